/* model/bgpconfig: BGPConfiguration "default" and "node.<name>". */
#pragma once
#include "model/kinds.h"

#define BGPCONFIG_ASN_DEFAULT  64512
#define BGPCONFIG_PORT_DEFAULT 179

struct bgpconfig {
	char name[254];
	bool has_mesh, mesh; /* nodeToNodeMeshEnabled */
	bool has_asn;
	uint32_t asn;
	uint16_t port;	       /* listenPort, 0 = not given */
	bool bind_node_ip;     /* bindMode NodeIP */
	uint32_t restart_time; /* nodeMeshMaxRestartTime in seconds, 0 = not given */
};

int bgpconfig_decode(const json_t *doc, struct bgpconfig *ret, struct err *e);
/* AS numbers are JSON numbers, strings "65000" or dotted "1.10". */
int asn_decode(const json_t *v, uint32_t *ret);
