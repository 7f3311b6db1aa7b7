/*
 * bgp/rib: every path to every prefix, of both families, and the order in which they changed.
 *
 * There is no adj-RIB-out. Each change of a best path stamps its prefix in a journal (bgp/journal.h); a
 * reader is a cursor in it. Readers of the other view hear of every usable path (ADD-PATH): their journal
 * exists only while there are such readers. Both share one count of versions. A prefix without paths stays as
 * a tombstone until rib_reap() is told that all readers have passed it.
 *
 * All links are 32-bit indices into growing arrays. An index of a prefix (not a pointer to it) stays valid
 * until rib_reap() hands it back; the number of a path stays the same as long as the path exists.
 *
 * Invariant: between rib_settle() and the next change, each prefix with a usable path has exactly one path
 * flagged RIB_BEST.
 */
#pragma once
#include "base/addr.h"
#include "base/clock.h"
#include "bgp/attr.h"
#include "bgp/best.h"
#include "bgp/journal.h"
#include "bgp/nexthops.h"
#include "bgp/prefixes.h"

#include <stdbool.h>
#include <stdint.h>

#define RIB_NONE      UINT32_MAX
#define RIB_SELF      UINT16_MAX /* the peer number of our own origins */
#define RIB_PEERS_MAX 65000
#define RIB_PREFIXES_MAX \
	8000000		 /* more are refused: memory is bounded by what we choose, not by what comes */
#define RIB_MULTI_MAX 16 /* equal-cost next hops used together */
#define RIB_PEER_PATHS_MAX \
	1024 /* of one peer to one prefix (ADD-PATH); more are refused: looking through them takes time */

/* Flags of a path. */
enum {
	RIB_BEST = 1,
	RIB_MULTI = 2,		 /* one of the equal-cost next hops, the best included */
	RIB_STALE = 4,		 /* its peer restarts and has not repeated it yet (RFC 4724) */
	RIB_OWN_AS = 8,		 /* not usable, because: our AS is in the AS_PATH */
	RIB_OWN_ORIGINATOR = 16, /* ... we are the ORIGINATOR_ID */
	RIB_OWN_CLUSTER = 32,	 /* ... our cluster is in the CLUSTER_LIST */
	RIB_OWN_NEXTHOP = 64,	 /* ... the next hop is our own address */
	RIB_REJECTED = 128,	 /* ... import policy refuses it */
	RIB_LEAKED = 256,	 /* ... it came a way that routes must not come (RFC 9234) */
	RIB_UNUSABLE = RIB_OWN_AS | RIB_OWN_ORIGINATOR | RIB_OWN_CLUSTER | RIB_OWN_NEXTHOP | RIB_REJECTED |
		       RIB_LEAKED,
};

struct rib_path {
	struct attr_set *attr;
	uint32_t nexthop; /* for rib_nexthop() */
	uint32_t next;	  /* of the same prefix, for rib_path() */
	uint32_t path_id; /* as the peer gave it (RFC 7911), else 0 */
	uint16_t peer, flags;
};

/* What the decision needs to know of a peer, and what the RIB counts for it. */
struct rib_peer {
	struct addr addr;
	uint32_t router_id;
	bool ebgp, client;			 /* client: of our route reflection */
	uint32_t paths, usable, rejected, stale; /* counted here */
	uint32_t best;				 /* prefixes whose best path is this peer's */
	uint64_t attr_bytes; /* of all its paths' attributes, shared ones counted every time */
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
 * Changes. They are noted; rib_settle() decides. A peer's path is known by its prefix and path_id.
 *
 * rib_learn: takes a reference of its own on a. nexthop may be unset (own origins). flags: of RIB_UNUSABLE.
 * Replaces the peer's former path and clears its RIB_STALE.
 */
enum rib_learned {
	RIB_OK,
	RIB_FULL,     /* RIB_PREFIXES_MAX */
	RIB_TOO_MANY, /* RIB_PEER_PATHS_MAX */
};
enum rib_learned rib_learn(struct rib *r, const struct prefix *p, uint16_t peer, uint32_t path_id,
			   struct attr_set *a, const struct addr *nexthop, uint16_t flags);
/* False if there was no such path. */
bool rib_forget(struct rib *r, const struct prefix *p, uint16_t peer, uint32_t path_id);
/* family: AF_INET, AF_INET6, or 0 for both. They walk the whole table once. */
void rib_forget_peer(struct rib *r, uint16_t peer, uint8_t family, bool only_stale);
void rib_stale_peer(struct rib *r, uint16_t peer, uint8_t family);
/* Long-lived graceful restart: the peer's stale paths go on with what fn makes of their attributes (a
 * reference, taken over), or go if it returns NULL. */
typedef struct attr_set *rib_change_fn(void *arg, struct attr_set *a);
void rib_change_stale(struct rib *r, uint16_t peer, uint8_t family, rib_change_fn *fn, void *arg);

/* How a next hop is reached has been learned. */
void rib_know_nexthop(struct rib *r, const struct addr *a, const struct nexthop_info *info);
struct nexthops *rib_nexthops(struct rib *r); /* for whoever has to be asked */

/* Decides every prefix touched since the last call: moves those whose best path is another one or has other
 * attributes to the tail of the list, and puts those whose next hops changed into the queue of untold ones.
 */
void rib_settle(struct rib *r);

/* Looking. RIB_NONE / NULL where there is nothing. */
uint32_t rib_find(const struct rib *r, const struct prefix *p);
/* It will be looked for soon, PREFIXES_AHEAD prefixes from now: its place is fetched while other work is
 * done. */
void rib_prefetch(const struct rib *r, const struct prefix *p);
/* False for an index that is not in use (walk 0 .. rib_limit() - 1). */
bool rib_used(const struct rib *r, uint32_t idx);
struct prefix rib_prefix(const struct rib *r, uint32_t idx);
const struct rib_path *rib_first(const struct rib *r, uint32_t idx);
const struct rib_path *rib_next(const struct rib *r, const struct rib_path *path);
const struct rib_path *rib_best(const struct rib *r, uint32_t idx);
struct addr rib_nexthop(const struct rib *r, const struct rib_path *path);
const struct nexthop_info *rib_nexthop_info(const struct rib *r, const struct rib_path *path);
uint32_t rib_path_number(const struct rib *r,
			 const struct rib_path *path); /* unique among all paths, not 0 */
/* All usable paths of a prefix as the decision saw them, already chosen between; *ret_paths[i] belongs to
 * the i-th. Both arrays are the RIB's, until its next call. Returns how many. */
size_t rib_explain(struct rib *r, uint32_t idx, const struct best_path **ret,
		   const struct rib_path *const **ret_paths);

/* The views. A version is a count of changes: 0 is before all of them. */
enum rib_view { RIB_VIEW_BEST, RIB_VIEW_ALL };
uint64_t rib_version(const struct rib *r); /* of the newest change in any view */
/* Readers of RIB_VIEW_ALL come and go: the journal begins with the first and ends with the last. */
void rib_view_open(struct rib *r, enum rib_view v);
void rib_view_close(struct rib *r, enum rib_view v);
struct journal *rib_journal(struct rib *r, enum rib_view v);

/* Frees tombstones up to version v whose change has also been told. fn (may be NULL) hears each index before
 * it is used again. */
bool rib_has_tombstones(const struct rib *r);
typedef void rib_gone_fn(void *arg, uint32_t idx);
void rib_reap(struct rib *r, uint64_t v, rib_gone_fn *fn, void *arg);

/* The queue of prefixes whose next hops changed, each once; for the one reader who wants the outcome only. */
void rib_untell_all(struct rib *r);	/* everything is to be told again */
void rib_told_all(struct rib *r);	/* nobody listens */
uint32_t rib_pop_untold(struct rib *r); /* RIB_NONE if none */
