/*
 * kern/parse: what the kernel's rtnetlink messages say, as values. Internal to kern/, its tests and fuzz
 * targets.
 *
 * Pure: bytes in, a value out. Some of the sockets were handed to us by pods, so every length is checked and
 * nothing is taken on trust; false means "not a well-formed object of this kind" and leaves *ret untouched.
 */
#pragma once
#include "base/rd.h"
#include "kern/addr.h"
#include "kern/link.h"
#include "kern/neigh.h"
#include "kern/nexthop.h"
#include "kern/route.h"

#include <linux/netlink.h>

#define PARSE_TEXT_MAX 160

/* The next netlink message of a datagram: false at the end and at a broken header. */
bool parse_message(struct rd *r, struct nlmsghdr *ret, struct rd *ret_body);
/* The next attribute: false at the end; r->bad says that it was not a clean one. */
bool parse_attr(struct rd *r, uint16_t *ret_type, struct rd *ret_value);
/* NLMSG_ERROR: code 0 or a positive errno; text is the extended ACK's message, printable, "" if none. */
bool parse_error(struct rd body, uint16_t flags, int *ret_code, char text[static PARSE_TEXT_MAX]);
/* NLMSG_DONE: the same; a body without a code is "done". */
bool parse_done(struct rd body, uint16_t flags, int *ret_code, char text[static PARSE_TEXT_MAX]);

bool parse_link(struct rd body, struct link *ret);
bool parse_ifaddr(struct rd body, struct if_addr *ret);
bool parse_neigh(struct rd body, struct neigh *ret);
/* fib: an entry of a table, as opposed to the answer to a lookup. Entries that struct route cannot tell apart
 * from others (with a source prefix or TOS, or a cached clone) are refused, so that nobody deletes the wrong
 * one. */
bool parse_route(struct rd body, bool fib, struct route *ret);
/* hop is unset for a nexthop object that is no plain gateway on an interface. */
bool parse_nexthop(struct rd body, struct nexthop *ret);
