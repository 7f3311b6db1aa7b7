/* model/ipamconfig: how IPAM behaves, stored at Calico's /calico/ipam/v2/config (facts 2.10). */
#pragma once
#include "model/kinds.h"

struct ipamconfig {
	bool strict_affinity, auto_allocate; /* no record: false, true; in a record absent means false */
	uint32_t max_blocks_per_host;	     /* 0 = not set (20 applies) */
	uint32_t cooldown_seconds;	     /* 0..1200 */
	char vm_persistence[32];	     /* kubeVirtVMAddressPersistence, carried along; "" if absent */
};

void ipamconfig_default(struct ipamconfig *c);
int ipamconfig_decode(const json_t *doc, struct ipamconfig *ret, struct err *e);
json_t *ipamconfig_encode(const struct ipamconfig *c);
