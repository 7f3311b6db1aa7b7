/*
 * agent/routes: every kernel route that is ours, as want / have / operation.
 *
 * Derivations say what they want, class by class; agent/settle applies the difference in one batch. A route
 * is replaced in place, never deleted and added again, and none is deleted before the sources of its class
 * have spoken.
 *
 * How is ours recognised after a restart? In table main: protocol 12 ("bird") for what BGP and blocks made;
 * any route over an interface whose name begins with "cali" for pods. In table local: 169.254.1.1/32 with
 * protocol 12 (the pods' gateway, see agent/pods.h). Nothing else is touched.
 */
#pragma once
#include "base/delta.h"
#include "base/list.h"
#include "base/map.h"
#include "kern/route.h"

/* Lower wins where two classes want the same prefix (a pod's own /32 before a blackhole of a /32 block). */
enum route_class { ROUTES_POD, ROUTES_BLOCK, ROUTES_GATEWAY, ROUTES_FIB, ROUTES_CLASSES };

struct route_key {
	uint32_t table;
	struct prefix dst;
	uint8_t pad[2];
};

struct route_entry {
	struct route_key key;
	struct delta delta;
	enum route_class class;
	bool contested; /* a weaker class wants the prefix too, or did */
	uint32_t dump;	/* the last one that mentioned it */
	/* What is wanted (or, not wanted, what is present): a struct route without the room for sixteen hops.
	 */
	uint8_t type, protocol, scope, nhops;
	struct route_hop hop;	/* the only one */
	struct route_hop *hops; /* all, if there are several; owned */
	struct list dirty;	/* in routes.dirty while something is to be done */
	char fault[120];	/* why the kernel refused it last time, "" if it did not */
	UT_hash_handle hh;
};

struct routes {
	struct route_entry *map;
	struct list dirty;
	uint64_t stamp[ROUTES_CLASSES];
	uint32_t dump;			    /* the one under way, or the last */
	bool released;			    /* see routes_take_released() */
	size_t count[ROUTES_CLASSES];	    /* wanted */
	uint64_t replaced, deleted, failed; /* since the start */
};

void routes_init(struct routes *r);
void routes_done(struct routes *r);

/* A pass over a class: begin, want everything, sweep (what was not wanted is no longer). */
void routes_begin(struct routes *r, enum route_class c);
void routes_want(struct routes *r, enum route_class c, const struct route *want);
void routes_sweep(struct routes *r, enum route_class c);
/* One prefix no longer wanted, outside a pass (incremental FIB). */
void routes_unwant(struct routes *r, enum route_class c, uint32_t table, const struct prefix *dst);

/* Has a class let go of a prefix that a weaker one wanted too? Then the weaker ones must want theirs again.
 * Asked once. */
bool routes_take_released(struct routes *r);

/* What the kernel has: from a dump or an event. Foreign routes are not shown to this module. */
void routes_seen(struct routes *r, enum route_class c, const struct route *have);
void routes_seen_gone(struct routes *r, const struct route *had);
/* An interface went down or away: the kernel drops the routes over it and says nothing about them. */
void routes_seen_link_down(struct routes *r, uint32_t ifindex);
/* Around a complete dump: what was not seen in between is not present. A dump that failed is simply not
 * ended. */
void routes_dump_begin(struct routes *r);
void routes_dump_end(struct routes *r);

/* Applies what is dirty through nl, at most `budget` operations. may_delete: bit set of 1 << class. Says
 * what is left to do. */
enum routes_left {
	ROUTES_DONE,
	ROUTES_MORE,  /* the budget is used up and the kernel takes them: go on at once */
	ROUTES_LATER, /* refused by the kernel, or may not be deleted yet: ask again later */
};
enum routes_left routes_apply(struct routes *r, struct nl *nl, unsigned may_delete, size_t budget,
			      struct err *e);
void routes_entry_route(const struct route_entry *en, struct route *ret);
const struct route_entry *routes_find(const struct routes *r, uint32_t table, const struct prefix *dst);
