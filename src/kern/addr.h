/*
 * kern/addr: the addresses of interfaces (rtnetlink addresses).
 *
 * The struct is not called ifaddr, because <net/if.h> has one of that name.
 */
#pragma once
#include "base/addr.h"
#include "base/err.h"
#include "kern/nl.h"

#include <net/if.h>

struct if_addr {
	uint32_t ifindex;
	struct addr addr;      /* with host bits */
	uint8_t len;	       /* prefix length */
	struct addr broadcast; /* unset = none (IPv4 only) */
	uint8_t scope;	       /* RT_SCOPE_UNIVERSE, RT_SCOPE_LINK, RT_SCOPE_HOST */
	uint32_t flags;	       /* IFA_F_NOPREFIXROUTE, IFA_F_NODAD, IFA_F_PERMANENT, ... */
	char label[IFNAMSIZ];  /* IPv4 only; "" = the interface's name */
};

int ifaddr_replace(struct nl *nl, const struct if_addr *a, struct err *e); /* adds or changes */
int ifaddr_del(struct nl *nl, const struct if_addr *a, struct err *e);	   /* -EADDRNOTAVAIL if absent */

typedef void ifaddr_fn(void *arg, const struct if_addr *a);
/* family 0 = both; ifindex 0 = every interface. */
int ifaddr_dump(struct nl *nl, uint8_t family, uint32_t ifindex, ifaddr_fn *fn, void *arg, struct err *e);
