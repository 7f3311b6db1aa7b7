/*
 * agent/fib: learned routes and the next hops that carry them.
 *
 * Incremental, because only this is large: one speaker message is one prefix. A next hop is resolved once for
 * all its routes by asking the kernel (RTM_GETROUTE with fibmatch): on a connected network it is the gateway
 * itself; behind another gateway that gateway is used; through one of our own BGP routes, or not at all, it
 * is unreachable (recursion is not followed), as BIRD does.
 */
#pragma once
#include "base/delta.h"
#include "base/map.h"
#include "bgp/ipc.h"
#include "kern/route.h"

struct agent;

struct fib_nexthop {
	struct addr addr;
	uint32_t users;
	bool resolved;	/* hop is usable */
	bool connected; /* hop.gateway is the next hop itself */
	struct route_hop hop;
	UT_hash_handle hh; /* by addr */
};

struct fib_prefix {
	struct prefix prefix;
	uint64_t stamp;
	uint8_t n;
	struct fib_nexthop *hop1;  /* n == 1 */
	struct fib_nexthop **hops; /* n > 1, owned */
	UT_hash_handle hh;	   /* by prefix */
};

struct origin_entry {
	struct prefix prefix;
	struct delta delta;
	UT_hash_handle hh; /* by prefix */
};

struct fib {
	struct fib_prefix *map;
	struct fib_nexthop *nexthops;
	struct origin_entry *origins; /* what agent/origins announced */
	uint64_t origin_stamp;
	uint64_t stamp; /* of the speaker's telling under way */
	bool connected; /* to a speaker */
	bool synced;	/* the speaker has told everything (of this life) */
	bool ever_synced;
};

void fib_on_route(struct agent *a, const struct ipc_route *r);
void fib_on_gone(struct agent *a, const struct prefix *p);
void fib_on_speaker(struct agent *a); /* a telling begins: what it does not mention goes at fib_on_synced() */
void fib_on_synced(struct agent *a);
void fib_derive(struct agent *a);  /* after links or routes changed: resolve the next hops again */
void fib_restate(struct agent *a); /* wants all routes again */
void fib_done(struct fib *f);
