/* model/node: Node, one machine of the cluster and its BGP addresses. */
#pragma once
#include "model/kinds.h"

struct node {
	char name[254];
	struct addr ipv4, ipv6;	  /* node addresses; unset if it has none of the family */
	struct prefix net4, net6; /* the networks they were given with */
	bool has_asn;
	uint32_t asn;
	uint32_t cluster_id; /* routeReflectorClusterID, 0 if none */
};

int node_decode(const json_t *doc, struct node *ret, struct err *e);
/* A stored-form Node document. Either address may be unset, not both (-EINVAL: "a node without address"). */
json_t *node_encode(const struct node *n, const uint8_t uid[16], nsec_t wall);
