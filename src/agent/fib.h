/*
 * agent/fib: learned routes and the next hops that carry them.
 *
 * Incremental, because only this is large: one speaker message is one prefix. A next hop is resolved once for
 * all its routes by asking the kernel (RTM_GETROUTE with fibmatch): on a connected network it is the gateway
 * itself; behind another gateway that gateway is used; through one of our own BGP routes, or not at all, it
 * is unreachable (recursion is not followed), as BIRD does. The speaker watches next hops in the same table:
 * it is told what each resolves to, and again when that changes.
 *
 * What the host is connected to is not a matter of BGP: a learned route for exactly such a network is not
 * programmed. The kernel would prefer it to a connected route of a higher metric, and one peer could take the
 * whole segment's traffic. (BIRD prefers its direct routes to learned ones and never exports them.) Nor is
 * one for a part of it that has a BGP peer of ours in it: it would lead to that peer through BGP, where next
 * hops are not looked for, and so end the sessions with everybody in that part.
 *
 * A prefix has no record here: its route's (agent/routes) points to its paths, which all prefixes share that
 * were learned with the same next hops.
 */
#pragma once
#include "agent/routes.h"
#include "base/delta.h"
#include "base/map.h"
#include "bgp/ipc.h"

struct agent;

/* The kernel compares a new next hop of an interface with every other one: with many, each route is slow, and
 * a peer can name millions. Beyond this number only those that are peers themselves are used. */
#define FIB_NEXTHOPS_MAX 4096

struct fib_nexthop {
	struct addr addr;
	uint32_t users;	 /* paths */
	bool excess;	 /* one too many: never used */
	bool resolved;	 /* hop is usable */
	bool connected;	 /* hop.gateway is the next hop itself */
	bool counted;	 /* in fib.gateways */
	bool watched;	 /* the speaker wants to know */
	bool changed;	 /* by the look under way */
	uint64_t stamp;	 /* of the telling in which it was watched */
	uint32_t metric; /* as IPC_NEXTHOP has it */
	struct route_hop hop;
	char ifname[POLICY_IFNAME_MAX];
	UT_hash_handle hh; /* by addr */
};

/* The next hops of a path set, and how its routes lead on. */
struct fib_paths {
	uint32_t users; /* prefixes */
	uint32_t nhid;	/* held: nexthop object that via leads through, 0 = none */
	uint8_t n;
	struct route_via *via;
	UT_hash_handle hh; /* by hops */
	struct fib_nexthop *hops[];
};

struct fib_connected {
	struct prefix prefix;
	uint64_t stamp;	   /* of the last look that saw it */
	UT_hash_handle hh; /* by prefix */
};

struct origin_entry {
	struct prefix prefix;
	struct delta delta;
	UT_hash_handle hh; /* by prefix */
};

struct fib {
	size_t count; /* learned prefixes */
	struct fib_paths *paths;
	struct fib_nexthop *nexthops;
	uint32_t named; /* the interface whose name this is */
	char ifname[POLICY_IFNAME_MAX];
	size_t gateways; /* next hops with users that are gateways themselves */
	struct fib_connected *connected_nets;
	uint64_t connected_stamp;
	bool excess_told;
	bool restate;		      /* what may be programmed has changed */
	struct origin_entry *origins; /* what agent/origins announced */
	uint64_t origin_stamp;
	uint32_t stamp; /* of the speaker's telling under way */
	bool connected; /* to a speaker */
	bool synced;	/* the speaker has told everything (of this life) */
	bool ever_synced;
};

void fib_on_route(struct agent *a, const struct ipc_route *r);
void fib_on_gone(struct agent *a, const struct prefix *p);
void fib_on_watch(struct agent *a, const struct addr *nexthop);
void fib_on_unwatch(struct agent *a, const struct addr *nexthop);
void fib_on_speaker(struct agent *a); /* a telling begins: what it does not mention goes at fib_on_synced() */
void fib_on_synced(struct agent *a);
/* Around a look at the host's addresses: the networks it is connected to. A look that failed is not ended. */
void fib_connected_begin(struct fib *f);
void fib_connected_seen(struct fib *f, const struct prefix *net);
void fib_connected_end(struct fib *f);
void fib_derive(struct agent *a);      /* after links or routes changed: resolve the next hops again */
void fib_restate(struct agent *a);     /* wants all routes again */
void fib_use_objects(struct agent *a); /* or not: by the number of gateways */
/* What the speaker says about a prefix; NULL if nothing. */
const struct fib_paths *fib_find(const struct agent *a, const struct prefix *p);
void fib_done(struct agent *a); /* before routes_done() */
