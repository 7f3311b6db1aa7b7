/*
 * agent/cnireq: what the plugin passed on, read and checked: the runtime's parameters and network
 * configuration. Pure.
 */
#pragma once
#include "base/addr.h"
#include "base/err.h"
#include "model/wep.h"

#include <jansson.h>

#define CNIREQ_POOLS_MAX 8

/* CNI error codes (the specification's, and 100 and up ours). */
enum {
	CNI_BAD_ENV = 4,
	CNI_BAD_CONFIG = 7,
	CNI_BAD_NETNS = 8,
	CNI_TRY_AGAIN = 11,
	CNI_CHECK_FAILED = 100,
	CNI_FAILED = 999, /* Calico's code for everything else */
};

struct cnireq {
	char container_id[254], ifname[IFNAMSIZ], network[254], netns[256];
	char handle[512];	     /* "<network>.<containerID>" */
	struct wep wep;		     /* identity and interface name filled in; addresses not yet */
	char wep_key[KIND_NAME_MAX]; /* store name */
	struct addr wanted;	     /* CNI_ARGS IP=, unset if none */
	bool v4, v6;		     /* families to assign */
	size_t npools;
	struct prefix pools[CNIREQ_POOLS_MAX];	/* ipam.ipv4_pools and ipv6_pools given as CIDRs */
	char pool_names[CNIREQ_POOLS_MAX][254]; /* ... or as names ("" where a CIDR is given) */
	uint32_t mtu;
	bool allow_ip_forwarding;
};

/* params as in the rpc contract of cni.add, cni.del and cni.check. On failure *ret_code is the CNI code. */
int cnireq_decode(const json_t *params, const char *node, struct cnireq *ret, int *ret_code, struct err *e);
/* Only whom it is about (container, interface, network, handle), which is all that a DEL needs: it must not
 * fail for what its ADD was refused for, or the runtime repeats it for ever. */
int cnireq_decode_id(const json_t *params, struct cnireq *ret, int *ret_code, struct err *e);
