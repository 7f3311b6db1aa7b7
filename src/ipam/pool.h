/* ipam/pool: which pools a request may use, and which block of them to try next (facts 2.3 and 2.5). */
#pragma once
#include "ipam/ipam.h"

struct pool_set {
	struct ippool *p; /* owned: pool_set_done() */
	size_t n;
};

/* The pools that a request for any address may use. -EINVAL or -ENOENT with a sentence if there is none. */
int pool_gather(const struct ipam_view *v, const struct ipam_request *req, struct pool_set *ret,
		struct err *e);
/* The enabled pool that holds a and may be used for pods. */
int pool_of_addr(const struct ipam_view *v, const struct addr *a, struct ippool *ret, struct err *e);
/* The enabled pool that covers a block but no longer selects the host. */
bool pool_left_behind(const struct ipam_view *v, const char *host, const struct prefix *cidr);
bool pool_covers(const struct pool_set *s, const struct prefix *cidr);
void pool_set_done(struct pool_set *s);

enum pool_pick {
	POOL_PICK_NONE,
	POOL_PICK_CLAIM,   /* cidr has no block (or one with our name but without affinity): claim it */
	POOL_PICK_RECLAIM, /* cidr is an empty block of host, held for more than a minute: have it given back
			      first */
	POOL_PICK_DROP,	   /* cidr is an empty block of nobody: delete it first */
};

/* host has room for 254 bytes. */
enum pool_pick pool_pick_block(const struct ipam_view *v, const struct ipam_request *req,
			       const struct pool_set *s, struct prefix *ret_cidr, char *ret_host);
/* Blocks of other hosts in the order in which addresses are borrowed from them; fn returns false to stop. */
void pool_each_foreign(const struct ipam_view *v, const struct ipam_request *req, const struct pool_set *s,
		       bool (*fn)(void *arg, const struct prefix *cidr), void *arg);
/* Appends "pool NAME (CIDR): 3 blocks, 0 of 12 addresses free" for each pool to buf. */
void pool_describe(const struct ipam_view *v, const struct pool_set *s, char *buf, size_t max);
