/*
 * bgp/nexthops: the next hops of all paths, each once, counted, and what is known of how they are reached.
 *
 * Thousands of paths share a handful of next hops, so a path keeps a number. Whoever programs the routes is
 * asked about each (nexthops_pop() says about whom) and answers with nexthops_know(). Until it has, a next
 * hop counts as reachable: an answer takes a fraction of a millisecond, and a route that waited for it would
 * be late for nothing.
 *
 * Invariant: a number is used again only after whoever watched it has been told that it is gone.
 */
#pragma once
#include "bgp/policy.h"

struct nexthops;

struct nexthops *nexthops_new(uint64_t seed);
void nexthops_free(struct nexthops *t); /* NULL is fine */

/* The number of this address, with a reference for the caller; a may be unset (then nobody is asked about
 * it). */
uint32_t nexthops_get(struct nexthops *t, const struct addr *a);
void nexthops_put(struct nexthops *t, uint32_t n);
const struct addr *nexthops_addr(const struct nexthops *t, uint32_t n);

struct nexthop_info {
	bool unreachable;
	uint32_t metric; /* 0 = connected or not known yet */
	char ifname[POLICY_IFNAME_MAX];
};
const struct nexthop_info *nexthops_info(const struct nexthops *t, uint32_t n);
/* Over which interface this address is reached, as far as is known: "" if not. */
const char *nexthops_ifname(const struct nexthops *t, const struct addr *a);

/* An answer. True if it is news about a next hop in use that a decision depends on: then nexthops_changed()
 * says so of it until nexthops_settled(). The interface is none, unless somebody heeds it: then
 * nexthops_renamed() says so too. */
bool nexthops_know(struct nexthops *t, const struct addr *a, const struct nexthop_info *info);
bool nexthops_changed(const struct nexthops *t, uint32_t n);
bool nexthops_renamed(const struct nexthops *t, uint32_t n);
void nexthops_heed_names(struct nexthops *t); /* from now on: there is policy that asks for interfaces */
void nexthops_settled(struct nexthops *t);

/* The next one to be watched (*gone false) or not to be watched any more; false if there is none. */
bool nexthops_pop(struct nexthops *t, struct addr *ret, bool *gone);
void nexthops_unwatch_all(struct nexthops *t); /* nobody watches; what is known stays */
void nexthops_rewatch_all(struct nexthops *t); /* somebody new does */
size_t nexthops_count(const struct nexthops *t);
size_t nexthops_bytes(const struct nexthops *t);
