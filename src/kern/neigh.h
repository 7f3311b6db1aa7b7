/*
 * kern/neigh: neighbour tables (ARP and ND caches).
 */
#pragma once
#include "base/addr.h"
#include "base/err.h"
#include "kern/nl.h"

#include <linux/neighbour.h>

struct neigh {
	uint32_t ifindex;
	struct addr addr;
	bool has_mac;
	struct mac mac;
	uint16_t state; /* NUD_REACHABLE, NUD_STALE, NUD_PERMANENT, NUD_FAILED, ... */
	uint8_t flags;	/* NTF_PROXY, ... */
};

int neigh_replace(struct nl *nl, const struct neigh *n, struct err *e);
int neigh_del(struct nl *nl, const struct neigh *n, struct err *e);
typedef void neigh_fn(void *arg, const struct neigh *n);
/* family 0 = both; ifindex 0 = every interface. Proxy entries are not listed. */
int neigh_dump(struct nl *nl, uint8_t family, uint32_t ifindex, neigh_fn *fn, void *arg, struct err *e);
const char *neigh_state_name(uint16_t state); /* "REACHABLE", ... as `ip neigh` prints it */
