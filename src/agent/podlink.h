/*
 * agent/podlink: the kernel side of one pod interface, made and unmade. Synchronous and without memory:
 *everything is asked of the kernel, so a call repeated after any interruption completes what the first one
 *began.
 *
 *	pod:   eth0@ifN, <address>/32, default via 169.254.1.1 dev eth0, 169.254.1.1 dev eth0 scope link
 *	host:  cali..., ee:ee:ee:ee:ee:ee, proxy ARP (IPv4) and fe80::ecee:eeff:feee:eeee (IPv6) answer for
 *the gateway
 */
#pragma once
#include "base/addr.h"
#include "base/err.h"
#include "kern/link.h"
#include "kern/nl.h"

#define PODLINK_PREFIX "cali"

struct podlink {
	char host[IFNAMSIZ], ifname[IFNAMSIZ];
	int ns_fd;     /* the pod's namespace, borrowed */
	struct nl *nl; /* a netlink socket inside it, borrowed */
	uint32_t mtu;  /* 0 = the kernel's default */
	size_t naddrs;
	const struct addr *addrs;
};

/* Makes the pair (or completes what is there), configures both ends, addresses and routes of the pod.
 * ret_host is the host end afterwards, ret_mac the pod end's address. On failure nothing is left behind. */
int podlink_make(struct nl *host, const struct podlink *p, struct link *ret_host, struct mac *ret_mac,
		 struct err *e);
/* Is everything as podlink_make() leaves it? -ENODEV/-EUCLEAN with the first thing that is not. */
int podlink_check(struct nl *host, const struct podlink *p, struct err *e);
/* Removes the pod's interface through its own namespace (which takes the host end along); absent is fine. */
int podlink_remove_inside(struct nl *pod, const char *ifname, struct err *e);
/* Removes the host end by name; absent is fine, another kind of interface is refused. */
int podlink_remove_host(struct nl *host, const char *name, struct err *e);

struct addr podlink_gateway(uint8_t family); /* 169.254.1.1, fe80::ecee:eeff:feee:eeee */
