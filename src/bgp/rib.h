/*
 * bgp/rib: every path to every prefix, of both families, and the order in which the best ones changed.
 *
 * There is no adj-RIB-out. Each change of a best path stamps its prefix with the next version and moves it to
 * the tail of one list; a reader is a cursor, the last version it has seen. What it has to hear is what
 * stands behind its cursor: superseded changes are gone by themselves, a new reader begins at 0, and a change
 * costs the same for one reader and for five thousand. A prefix without paths stays in the list as a
 * tombstone until rib_reap() is told that all readers have passed it.
 *
 * All links are 32-bit indices into growing arrays. An index of a prefix (not a pointer to it) stays valid
 * until rib_reap() hands it back.
 *
 * Invariant: between rib_settle() and the next change, each prefix with a usable path has exactly one path
 * flagged RIB_BEST.
 */
#pragma once
#include "base/addr.h"
#include "base/clock.h"
#include "bgp/attr.h"
#include "bgp/best.h"

#include <stdbool.h>
#include <stdint.h>

#define RIB_NONE      UINT32_MAX
#define RIB_SELF      UINT16_MAX /* the peer number of our own origins */
#define RIB_PEERS_MAX 65000
#define RIB_PREFIXES_MAX \
	8000000		 /* more are refused: memory is bounded by what we choose, not by what comes */
#define RIB_MULTI_MAX 16 /* equal-cost next hops used together */

/* Flags of a path. */
enum {
	RIB_BEST = 1,
	RIB_MULTI = 2,		 /* one of the equal-cost next hops, the best included */
	RIB_STALE = 4,		 /* its peer restarts and has not repeated it yet (RFC 4724) */
	RIB_OWN_AS = 8,		 /* not usable, because: our AS is in the AS_PATH */
	RIB_OWN_ORIGINATOR = 16, /* ... we are the ORIGINATOR_ID */
	RIB_OWN_CLUSTER = 32,	 /* ... our cluster is in the CLUSTER_LIST */
	RIB_OWN_NEXTHOP = 64,	 /* ... the next hop is our own address */
	RIB_UNUSABLE = RIB_OWN_AS | RIB_OWN_ORIGINATOR | RIB_OWN_CLUSTER | RIB_OWN_NEXTHOP,
};

struct rib_path {
	struct attr_set *attr;
	uint32_t nexthop; /* for rib_nexthop() */
	uint32_t next;	  /* of the same prefix, for rib_path() */
	uint16_t peer, flags;
};

/* What the decision needs to know of a peer, and what the RIB counts for it. */
struct rib_peer {
	struct addr addr;
	uint32_t router_id;
	bool ebgp, client;	/* client: of our route reflection */
	uint32_t paths, usable; /* counted here */
	uint32_t best;		/* prefixes whose best path is this peer's */
	uint64_t attr_bytes;	/* of all its paths' attributes, shared ones counted every time */
};

struct rib;
/* seed: of the hash, unknown to peers. t must outlive the RIB. */
struct rib *rib_new(struct attr_table *t, uint64_t seed);
void rib_free(struct rib *r);
size_t rib_count(const struct rib *r);	 /* prefixes, tombstones included */
uint32_t rib_limit(const struct rib *r); /* every index is below */
size_t rib_bytes(const struct rib *r);	 /* heap used */

/* Says who peer number n is; its counters are kept. Call before its first path, and when router_id changes.
 */
void rib_peer_set(struct rib *r, uint16_t n, const struct rib_peer *who);
const struct rib_peer *rib_peer(const struct rib *r, uint16_t n);

/*
 * Changes. They are noted; rib_settle() decides. A peer has at most one path per prefix.
 *
 * rib_learn: takes a reference of its own on a. nexthop may be unset (own origins). flags: of RIB_UNUSABLE.
 * Replaces the peer's former path and clears its RIB_STALE. False if RIB_PREFIXES_MAX is reached.
 */
bool rib_learn(struct rib *r, const struct prefix *p, uint16_t peer, struct attr_set *a,
	       const struct addr *nexthop, uint16_t flags);
/* False if there was no such path. */
bool rib_forget(struct rib *r, const struct prefix *p, uint16_t peer);
/* family: AF_INET, AF_INET6, or 0 for both. Both walk the whole table once. */
void rib_forget_peer(struct rib *r, uint16_t peer, uint8_t family, bool only_stale);
void rib_stale_peer(struct rib *r, uint16_t peer, uint8_t family);

/* Decides every prefix touched since the last call: moves those whose best path is another one or has other
 * attributes to the tail of the list, and puts those whose next hops changed into the queue of untold ones.
 */
void rib_settle(struct rib *r);

/* Looking. RIB_NONE / NULL where there is nothing. */
uint32_t rib_find(const struct rib *r, const struct prefix *p);
/* False for an index that is not in use (walk 0 .. rib_limit() - 1). */
bool rib_used(const struct rib *r, uint32_t idx);
const struct prefix *rib_prefix(const struct rib *r, uint32_t idx);
const struct rib_path *rib_first(const struct rib *r, uint32_t idx);
const struct rib_path *rib_next(const struct rib *r, const struct rib_path *path);
const struct rib_path *rib_best(const struct rib *r, uint32_t idx);
struct addr rib_nexthop(const struct rib *r, const struct rib_path *path);
/* All usable paths of a prefix as the decision saw them, already chosen between; *ret_paths[i] belongs to
 * the i-th. Both arrays are the RIB's, until its next call. Returns how many. */
size_t rib_explain(struct rib *r, uint32_t idx, const struct best_path **ret,
		   const struct rib_path *const **ret_paths);

/* The list. A version is a count of changes: 0 is before all of them. */
uint64_t rib_version(const struct rib *r); /* of the newest change */
/* The first prefix after version v, or RIB_NONE; then the one behind a prefix. */
uint32_t rib_after(const struct rib *r, uint64_t v);
uint32_t rib_behind(const struct rib *r, uint32_t idx);
uint64_t rib_version_of(const struct rib *r, uint32_t idx);
/* A reader stopped at version v and will go on from there: makes the next rib_after(r, v) cheap. */
void rib_remember(struct rib *r, uint64_t v);
/* Frees tombstones up to version v whose change has also been told. fn (may be NULL) hears each index before
 * it is used again. */
bool rib_has_tombstones(const struct rib *r);
typedef void rib_gone_fn(void *arg, uint32_t idx);
void rib_reap(struct rib *r, uint64_t v, rib_gone_fn *fn, void *arg);

/* The queue of prefixes whose next hops changed, each once; for the one reader who wants the outcome only. */
void rib_untell_all(struct rib *r);	/* everything is to be told again */
void rib_told_all(struct rib *r);	/* nobody listens */
uint32_t rib_pop_untold(struct rib *r); /* RIB_NONE if none */
