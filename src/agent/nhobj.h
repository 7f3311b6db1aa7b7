/*
 * agent/nhobj: nexthop objects for learned routes (ip-nexthop(8)).
 *
 * The kernel looks through all next hops of an interface whenever an IPv4 route with a gateway comes in: with
 * thousands of gateways on one segment, every route is slow. A route through an object is not, but `ip route`
 * shows it with "nhid 7" in its line. So objects are used only where there are many gateways.
 *
 * An object that is deleted, by whomever, takes the routes through it along. The kernel deletes those of an
 * interface that goes down or loses its carrier, and says nothing. How are ours recognised after a restart?
 * By their protocol, 12 ("bird"); what is not used by then is deleted.
 */
#pragma once
#include "base/map.h"
#include "kern/nexthop.h"

/* From so many gateways on objects are used, and until there are less than half as many again. */
#define NHOBJ_MIN 500

enum nhobj_mode { NHOBJ_AUTO, NHOBJ_ALWAYS, NHOBJ_NEVER };

struct nhobj {
	uint32_t id;
	struct route_hop hop; /* gateway, ifindex, onlink; every other byte is zero */
	uint32_t users;	      /* nhobj_get() */
	bool keyed;	      /* in by_key */
	uint32_t dump;	      /* the last one that mentioned it */
	bool present;	      /* the kernel has it, as far as we were told */
	UT_hash_handle hh_id, hh_key;
};

struct nhobjs {
	enum nhobj_mode mode;
	bool on;	      /* new routes use objects */
	bool unsupported;     /* by this kernel */
	bool looked;	      /* a dump has been complete */
	bool changed;	      /* see nhobj_take_changed() */
	struct nhobj *by_id;  /* hh_id */
	struct nhobj *by_key; /* hh_key; without those whose number turned out to be taken */
	uint32_t last_id;
	uint32_t dump;
	size_t unused; /* present and without users */
};

/* How many gateways there are now; settled: whether that is all there will be for the moment. */
void nhobj_gateways(struct nhobjs *o, size_t n, bool settled);
/* Has the use of objects begun or ended, or must a number be another? Then how routes lead on must be worked
 * out again. Asked once. */
bool nhobj_take_changed(struct nhobjs *o);

/* The object for a hop, made if there is none yet; 0 if objects are not used for it. Each has one user more;
 * nhobj_put() of 0 is nothing. */
uint32_t nhobj_get(struct nhobjs *o, const struct route_hop *hop);
void nhobj_put(struct nhobjs *o, uint32_t id);

/* In a batch: makes the object if the kernel does not have it. True if a request was queued. */
bool nhobj_queue(struct nhobjs *o, struct nl *nl, uint32_t id);
void nhobj_on_result(struct nhobjs *o, uint32_t id, int code);

/* What the kernel has. */
void nhobj_dump_begin(struct nhobjs *o);
void nhobj_seen(struct nhobjs *o, const struct nexthop *nh);
void nhobj_dump_end(struct nhobjs *o);
bool nhobj_gone(struct nhobjs *o, uint32_t id); /* true if it was one of ours */
void nhobj_link_down(struct nhobjs *o, uint32_t ifindex);
bool nhobj_is_present(const struct nhobjs *o, uint32_t id);

/* Deletes those that nothing uses: when no route in the kernel can lead through one any more. */
int nhobj_sweep(struct nhobjs *o, struct nl *nl, struct err *e);
void nhobj_done(struct nhobjs *o);
