/*
 * ctl/lab_net: the wires of a lab: a segment is a bridge in a namespace of its own, a host is a namespace
 * joined to bridges by veth pairs whose ends are born where they belong. Everything is made by kern/.
 */
#pragma once
#include "ctl/lab.h"
#include "kern/nl.h"

/* A request socket inside a named namespace. */
int lab_net_open(const char *netns, struct nl **ret, struct err *e);
/* Is any of the lab's names taken by a namespace that is there already? -EEXIST: then it is somebody else's.
 */
int lab_net_check_free(const struct lab *l, struct err *e);
/* Makes one namespace with its loopback up. */
int lab_net_add(const char *netns, struct err *e);
int lab_net_segment(const struct lab_segment *s, struct err *e);
/* Joins a host to its segments, with addresses, routes and forwarding. */
int lab_net_node(const struct lab *l, const struct lab_node *n, struct err *e);
int lab_net_router(const struct lab *l, const struct lab_router *r, struct err *e);

/*
 * All namespaces of a machine share one neighbour table, which a lab of many nodes overruns (each has the
 * other n - 1 as neighbours). Such a lab gets permanent entries, which do not count. *ret_n is how many were
 * made, 0 if there is room.
 */
int lab_net_neighbours(const struct lab *l, size_t *ret_n, struct err *e);
