/*
 * kern/nexthop: the kernel's nexthop objects (ip-nexthop(8)): a next hop with a number that routes name.
 *
 * Only plain ones, a gateway on an interface; groups, blackholes and those inside other things are not seen.
 * A kernel without them (before 5.3) answers -EOPNOTSUPP. needs: CAP_NET_ADMIN for changes.
 */
#pragma once
#include "kern/route.h"

struct nexthop {
	uint32_t id;
	uint8_t protocol;
	struct route_hop hop;
};

int nexthop_add(struct nl *nl, const struct nexthop *nh, struct err *e); /* -EEXIST if the number is taken */
int nexthop_del(struct nl *nl, uint32_t id,
		struct err *e); /* with every route through it; -ENOENT if absent */

typedef void nexthop_fn(void *arg, const struct nexthop *nh);
/* All of a protocol (0 = any). Of those that this module does not know only id and protocol are set. */
int nexthop_dump(struct nl *nl, uint8_t protocol, nexthop_fn *fn, void *arg, struct err *e);
