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
 *
 * There may be a million of them, so a route is one record of 80 bytes: what leads on (type, next hops) is
 * shared by all routes that do it alike, and what the speaker says about the prefix hangs on the same record.
 * Records have numbers, which is what the table of prefixes holds; they are walked in the order of their
 * numbers, which does not depend on any hash.
 */
#pragma once
#include "agent/nhobj.h"
#include "base/delta.h"
#include "base/list.h"
#include "base/map.h"
#include "kern/route.h"
#include "kern/writer.h"

/* Lower wins where two classes want the same prefix (a pod's own /32 before a blackhole of a /32 block). */
enum route_class { ROUTES_POD, ROUTES_BLOCK, ROUTES_GATEWAY, ROUTES_FIB, ROUTES_CLASSES };

/* How routes lead on. Next hops are in an order of their own, so equal ones are the same via. */
struct route_via {
	uint32_t users;
	UT_hash_handle hh; /* by the bytes from nhid on */
	uint32_t nhid;	   /* through this nexthop object, and then without hops; 0 = not */
	uint8_t type, protocol, scope, nhops;
	struct route_hop hops[];
};

/* What is to be done. A hundred thousand routes that may not be deleted yet, or that the kernel does not
 * take, shall not be looked through for those that can go in. */
enum routes_queue { ROUTES_FRESH, ROUTES_DOOMED, ROUTES_REFUSED, ROUTES_QUEUES };

struct fib_paths;

struct route_entry {
	struct prefix dst;
	uint8_t table; /* RT_TABLE_MAIN, RT_TABLE_LOCAL */
	uint8_t class : 3;
	bool used : 1;	    /* else this number is free */
	bool contested : 1; /* a weaker class wants the prefix too, or did */
	uint8_t what : 2;   /* enum routes_queue */
	bool flying : 1;    /* in a batch under way: in no list, and neither freed nor tried again */
	uint32_t next;	    /* of the same place in the table (or the next free one): its number + 1 */
	struct delta delta; /* the kernel's */
	struct list queued; /* in the queue of routes.queue that `what` says, while something is to be done */
	struct route_via *via;	   /* wanted (or, not wanted, present) */
	struct fib_paths *learned; /* what the speaker says about the prefix: agent/fib's */
	char *fault;		   /* why the kernel refused it last time, NULL if it did not; owned */
	uint32_t told;		   /* agent/fib's: the telling that mentioned it */
	uint32_t dump;		   /* the last one that mentioned it */
};

/* A batch that the writer has, and what each request in it was. */
struct routes_flight {
	size_t n;
	struct {
		struct route_entry *en;
		struct route_via *via; /* held */
		bool del, answered;
	} ops[WRITER_BATCH];
};

#define ROUTES_CHUNK 128

struct routes {
	struct route_entry **chunks;
	size_t nchunks;
	uint32_t free;	 /* the first free number + 1 */
	uint32_t *table; /* by the hash of the prefix: number + 1, 0 = none */
	uint32_t mask;	 /* its size - 1 */
	size_t used;
	struct route_via *vias;
	struct nhobjs objects;
	struct list queue[ROUTES_QUEUES];
	struct routes_flight *flights[WRITER_BATCHES]; /* allocated with the first */
	size_t flying;				       /* batches under way */
	uint64_t stamp[ROUTES_CLASSES];
	uint32_t dump;			    /* the one under way, or the last */
	bool released;			    /* see routes_take_released() */
	bool puzzled;			    /* see routes_take_puzzled() */
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

/* The same in two steps, for who has many routes that lead on alike: the via of a route (its dst does not
 * matter), held until it is put back, and then a record with that via. */
struct route_via *routes_via(struct routes *r, const struct route *how);
void routes_via_put(struct routes *r, struct route_via *via);
struct route_entry *routes_entry(struct routes *r, uint32_t table, const struct prefix *dst);
void routes_want_via(struct routes *r, enum route_class c, struct route_entry *en, struct route_via *via);
/* Either may be the end of the record, if nothing is learned. */
void routes_unwant_entry(struct routes *r, enum route_class c, struct route_entry *en);
void routes_unlearned(struct routes *r, struct route_entry *en); /* learned is NULL from now on */

/* Has a class let go of a prefix that a weaker one wanted too? Then the weaker ones must want theirs again.
 * Asked once. */
bool routes_take_released(struct routes *r);
/* Was there a route where none was known? Then events crossed, or it is a foreign one: dump and compare.
 * Asked once, and said once for a prefix until it has gone in. */
bool routes_take_puzzled(struct routes *r);

/* What the kernel has: from a dump or an event. Foreign routes are not shown to this module. */
void routes_seen(struct routes *r, enum route_class c, const struct route *have);
void routes_seen_gone(struct routes *r, const struct route *had);
/* An interface went down or away, or (lost) only its carrier did: the kernel drops the routes over it, of a
 * lost carrier only those through nexthop objects, and says nothing about them. */
void routes_seen_link_down(struct routes *r, uint32_t ifindex, bool lost);
/* A nexthop object of ours is gone, and with it every route through it. */
void routes_seen_object_gone(struct routes *r, uint32_t nhid);
/* Around a complete dump: what was not seen in between is not present. A dump that failed is simply not
 * ended. */
void routes_dump_begin(struct routes *r);
void routes_dump_end(struct routes *r);

/* Does what is to be done through nl, at most `budget` operations. may_delete: bit set of 1 << class. Says
 * what is left to do. What is a lot goes through w, if there is one, in batches that are under way when this
 * returns; routes_land() takes their results. */
enum routes_left {
	ROUTES_DONE,
	ROUTES_MORE,   /* the budget is used up and the kernel takes them: go on at once */
	ROUTES_LATER,  /* refused by the kernel, or may not be deleted yet: ask again later */
	ROUTES_FLYING, /* w has as much as it takes: go on when a batch has come back */
};
enum routes_left routes_apply(struct routes *r, struct nl *nl, struct writer *w, unsigned may_delete,
			      size_t budget, struct err *e);
/* Takes the results of batches that came back. wait: of all that are under way, which must be before anything
 * is heard of the kernel: what it said after a batch shall be heard after it. */
void routes_land(struct routes *r, struct writer *w, bool wait);
void routes_entry_route(const struct route_entry *en, struct route *ret);
struct route_entry *routes_find(const struct routes *r, uint32_t table, const struct prefix *dst);

/* Walks all records by number; the current one may be removed. */
struct route_entry *routes_walk(const struct routes *r, size_t *at);
#define routes_each(r, en) for (size_t at_ = 0; ((en) = routes_walk(r, &at_)) != NULL;)
