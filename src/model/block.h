/*
 * model/block: an IPAM block: which addresses of one CIDR are given out, and to whom. Calico's stored form
 * (facts 2.1, 2.2).
 *
 * Invariant: every ordinal is either allocated (attr >= 0) or in the free queue exactly once, never both.
 */
#pragma once
#include "model/kinds.h"

#define BLOCK_SIZE_MAX	 4096 /* addresses: /20 and /116 */
#define BLOCK_HANDLE_MAX 512

struct block_attr_kv {
	const char *key, *value;
};

struct block_attr {
	char *handle; /* NULL if absent */
	size_t nkv;
	struct block_attr_kv *kv; /* "secondary", keys and values owned */
	char *released_at;	  /* cooling down since, as stored, or NULL */
	json_t *extra;		  /* unknown members, or NULL */
};

struct block {
	struct prefix cidr;
	char affinity[300];		    /* "host:<node>", "virtual:<name>" or "" (null) */
	char claim_time[CLOCK_RFC3339_MAX]; /* "" if absent */
	uint32_t size;			    /* addresses */
	int32_t *alloc;			    /* per ordinal: index into attrs, or -1 */
	uint32_t nfree;
	uint16_t *free; /* queue of free ordinals, head first */
	size_t nattrs;
	struct block_attr *attrs;
	bool attrs_null; /* stored as null: never allocated from */
	uint64_t sequence;
	uint64_t *alloc_seq; /* per ordinal: sequenceNumberForAllocation + 1, 0 if none */
	bool deleted;	     /* marked for deletion (Kubernetes only) */
	json_t *extra;	     /* unknown members, or NULL */
};

/* A fresh block as Calico creates one: affinity host:<node>, all free in order, sequence = wall. */
void block_init(struct block *b, const struct prefix *cidr, const char *host, nsec_t wall);
void block_done(struct block *b);
void block_copy(struct block *dst, const struct block *src);
int block_decode(const json_t *doc, struct block *ret, struct err *e); /* every index and length checked */
json_t *block_encode(const struct block *b);
/* "192.168.166.128-26" */
void block_name(const struct prefix *cidr, char ret[static KIND_NAME_MAX]);
int block_parse_name(const char *name, struct prefix *ret);
/* The host of its affinity ("host:" cut), or NULL. */
const char *block_host(const struct block *b);

/* Changes in memory; the caller bumps and writes. attr is copied; equal attributes are shared. */
bool block_take_free(struct block *b, const struct block_attr *attr,
		     bool (*usable)(void *arg, const struct addr *a), void *arg,
		     struct addr *ret); /* the first usable free address; false if none */
int block_take(struct block *b, const struct addr *a, const struct block_attr *attr,
	       struct err *e); /* -EEXIST if taken */
/* Frees every address of handle; returns how many. cooldown > 0 keeps them out of the queue until then. */
uint32_t block_release_handle(struct block *b, const char *handle, nsec_t wall, usec_t cooldown);
void block_gc(struct block *b, nsec_t wall, usec_t cooldown); /* facts 2.2 "GC on every read" */
bool block_empty(const struct block *b);
uint32_t block_count_handle(const struct block *b, const char *handle);
/* The attribute of an allocated address, or NULL (free, or not in this block). */
const struct block_attr *block_attr_of(const struct block *b, const struct addr *a);
bool block_first_of_handle(const struct block *b, const char *handle, struct addr *ret);
/* Is the invariant true? For tests and for blocks others wrote. */
int block_check(const struct block *b, struct err *e);
