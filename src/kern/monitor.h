/*
 * kern/monitor: what changes in the kernel, as events on the loop.
 *
 * Events say that something changed and what it looks like now; they may be lost (ENOBUFS), which arrives as
 * MONITOR_OVERRUN and means: dump and compare. Correctness never hangs on an event.
 */
#pragma once
#include "base/err.h"
#include "kern/addr.h"
#include "kern/link.h"
#include "kern/neigh.h"
#include "kern/nexthop.h"
#include "kern/route.h"

struct loop;
struct monitor;

enum monitor_what {
	MONITOR_LINK,
	MONITOR_ADDR,
	MONITOR_ROUTE,
	MONITOR_NEIGH,
	MONITOR_NEXTHOP, /* objects */
	MONITOR_OVERRUN,
};

struct monitor_event {
	enum monitor_what what;
	bool gone; /* deleted, as opposed to new or changed */
	union {
		struct link link;
		struct if_addr addr;
		struct route route;
		struct neigh neigh;
		struct nexthop nexthop;
	};
};

typedef void monitor_fn(void *arg, const struct monitor_event *ev);
/* groups: bit set of 1 << MONITOR_*. own: nl_port() of sockets whose changes of routes are no news, because
 * whoever makes them has the answers. */
#define MONITOR_OWN_MAX 8
struct monitor *monitor_new(struct loop *l, unsigned groups, const uint32_t *own, size_t nown, monitor_fn *fn,
			    void *arg, struct err *e);
void monitor_free(struct monitor *m);
