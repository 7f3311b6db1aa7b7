/*
 * ctl/lab_routes: has the news reached every kernel? Asked of the kernels themselves (RTM_GETROUTE), node by
 * node.
 */
#pragma once
#include "base/clock.h"
#include "ctl/lab.h"
#include "kern/route.h"

/*
 * Waits until every node has a route to every pod: its own /32 on the pod's node, a BGP route elsewhere.
 * Between nodes on different segments nothing is waited for. -ETIMEDOUT names the first gap; ret_missing is
 * how many nodes lack one.
 */
int lab_routes_wait(const struct lab *l, usec_t deadline, size_t *ret_missing, struct err *e);
/* The route by which node reaches addr, as the kernel's table has it and `ip route` prints it; "none" if
 * there is none. */
char *lab_routes_show(const char *node, const struct addr *addr, char buf[static ROUTE_STR_MAX]);
