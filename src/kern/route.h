/*
 * kern/route: the kernel's routes (rtnetlink routes), both families.
 *
 * A route is known by (family, table, destination, metric, tos 0). route_replace() changes it in place: the
 * kernel swaps the next hop without a moment in which there is none. IPv6 routes get metric 1024 from the
 * kernel when 0 is asked for; route_same() treats the two as equal.
 *
 * How is ours recognised after a restart? By route protocol (12, "bird", for what BGP made) in its table.
 */
#pragma once
#include "base/addr.h"
#include "base/err.h"
#include "kern/nl.h"

#include <linux/rtnetlink.h>

#define ROUTE_HOPS_MAX	 16 /* equal-cost next hops of one route; more are left out */
#define ROUTE_PROTO_BIRD 12

struct route_hop {
	struct addr gateway; /* unset = directly on the interface */
	uint32_t ifindex;    /* 0 only for blackhole and the like */
	bool onlink;
	uint16_t weight; /* 0 and 1 are the same */
	uint8_t flags;	 /* as read: RTNH_F_DEAD, RTNH_F_LINKDOWN; neither written nor compared */
};

struct route {
	struct prefix dst;
	uint32_t table;	  /* RT_TABLE_MAIN unless said otherwise; 0 is taken as main */
	uint32_t metric;  /* 0 = none */
	uint8_t type;	  /* RTN_UNICAST, RTN_BLACKHOLE, RTN_UNREACHABLE, RTN_LOCAL, ... */
	uint8_t protocol; /* RTPROT_BOOT, RTPROT_KERNEL, RTPROT_STATIC, ROUTE_PROTO_BIRD, ... */
	uint8_t scope;	  /* RT_SCOPE_UNIVERSE, RT_SCOPE_LINK, ... (IPv4) */
	struct addr prefsrc;
	uint8_t nhops;
	struct route_hop hops[ROUTE_HOPS_MAX];
	uint32_t nhid; /* the nexthop object the hops come from, 0 if none; written instead of them, not
			  compared */
	uint8_t pref;  /* as read: IPv6 router preference (RFC 4191), 0 = medium; neither written nor compared
			*/
};

int route_replace(struct nl *nl, const struct route *r, struct err *e); /* create or change in place */
int route_add(struct nl *nl, const struct route *r, struct err *e);	/* -EEXIST if one is there */
int route_del(struct nl *nl, const struct route *r,
	      struct err *e); /* of that key, type and protocol (0 = any); -ESRCH if absent */

typedef void route_fn(void *arg, const struct route *r);
/* All routes of table (0 = every table) and protocol (0 = any). family 0 = both. */
int route_dump(struct nl *nl, uint8_t family, uint32_t table, uint8_t protocol, route_fn *fn, void *arg,
	       struct err *e);

/* What the kernel itself would do with a packet (RTM_GETROUTE). Never re-implemented here. */
struct route_query {
	struct addr dst;
	struct addr src; /* unset = the kernel chooses */
	uint32_t iif;	 /* 0 = a packet of the host's own; else as if received on that interface */
	bool fibmatch;	 /* answer with the matching FIB entry instead of the resolved route */
};
/* 0 and *ret; -ENETUNREACH / -EHOSTUNREACH / -EACCES / -EINVAL(blackhole) as the kernel says. For IPv6 the
 * kernel may instead answer with a route of type RTN_BLACKHOLE, RTN_UNREACHABLE or RTN_PROHIBIT: look at
 * ret->type. */
int route_get(struct nl *nl, const struct route_query *q, struct route *ret, struct err *e);

/* Same effect: everything that is written, but the order of the hops. */
bool route_same(const struct route *a, const struct route *b);
/* As `ip route` prints it: "10.8.152.192/26 via 172.16.67.139 dev ens192 proto bird", without the blank at
 * the end. Several next hops are a line each, as there. name_of may be NULL, or answer NULL: then it is
 * "if7". */
#define ROUTE_STR_MAX 2048
char *route_format(const struct route *r, const char *(*name_of)(void *arg, uint32_t ifindex), void *arg,
		   char buf[static ROUTE_STR_MAX]);
