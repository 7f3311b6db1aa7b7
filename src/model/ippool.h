/* model/ippool: IPPool, a range of addresses for pods, cut into blocks. */
#pragma once
#include "model/kinds.h"

enum { POOL_USE_WORKLOAD = 1, POOL_USE_TUNNEL = 2, POOL_USE_LOADBALANCER = 4 };
enum pool_encap { POOL_ENCAP_NEVER, POOL_ENCAP_ALWAYS, POOL_ENCAP_CROSS_SUBNET };

struct ippool {
	char name[254];
	struct prefix cidr;
	uint8_t block_size;					 /* prefix length of its blocks */
	bool disabled, nat_outgoing, disable_bgp_export, manual; /* manual: assignmentMode Manual */
	enum pool_encap vxlan, ipip;
	uint8_t uses;		  /* POOL_USE_* */
	char node_selector[1025]; /* "" matches all */
};

/* Tolerant of unknown members and absent defaults; -EINVAL with the field if it cannot be used. */
int ippool_decode(const json_t *doc, struct ippool *ret, struct err *e);
/* Does cidr overlap another pool of the list? 0, or -EEXIST naming it. For `apply`. */
int ippool_check_overlap(const struct ippool *p, const struct ippool *others, size_t n, struct err *e);
