/*
 * ctl/lab: what a lab is: Ethernet segments, nodes and routers on them, pods on the nodes, and the resources
 * of the cluster. Values only; lab_file reads and writes it, lab_net and the others make it real.
 *
 * Invariant (checked by lab_decode): every reference resolves, every address is in its segment and its own,
 * and the names of all namespaces differ.
 */
#pragma once
#include "base/addr.h"
#include "base/own.h"

#include <jansson.h>
#include <net/if.h>

#define LAB_NAME_MAX	 64 /* with the NUL: a DNS label */
#define LAB_NODES_MAX	 250
#define LAB_SEGMENTS_MAX 64
#define LAB_ROUTERS_MAX	 64
#define LAB_PODS_MAX	 5000
#define LAB_IFS_MAX	 16  /* of one router */
#define LAB_ID_MAX	 129 /* container id, with the NUL */
#define LAB_NETNS_MAX	 (LAB_NAME_MAX + 16)

struct lab_segment {
	char name[LAB_NAME_MAX];
	struct prefix net4, net6; /* net6 unset = none */
};

struct lab_iface {
	char name[IFNAMSIZ];
	size_t segment; /* index */
	bool has_mac;
	struct mac mac;
	struct addr addr4, addr6, gw4, gw6; /* unset = none */
	uint8_t len4, len6;
	uint32_t metric; /* 0: the kernel makes the connected route; else we do, as NetworkManager does */
};

struct lab_node {
	char name[LAB_NAME_MAX];
	struct lab_iface iface;
};

struct lab_router {
	char name[LAB_NAME_MAX];
	size_t nifs;
	struct lab_iface ifs[LAB_IFS_MAX];
};

struct lab_pod {
	char name[LAB_NAME_MAX];
	char node[LAB_NAME_MAX];
	char id[LAB_ID_MAX];
	struct addr ip; /* unset = IPAM chooses */
};

struct lab {
	char name[LAB_NAME_MAX];
	size_t nsegments, nrouters, nnodes, npods;
	struct lab_segment *segments;
	struct lab_router *routers;
	struct lab_node *nodes;
	struct lab_pod *pods;
	json_t *resources; /* array of documents, checked and with defaults */
	json_t *cni;	   /* object: members added to the CNI configuration of every node */
};

void lab_done(struct lab *l);
#define own_lab __attribute__((cleanup(lab_done)))

const struct lab_node *lab_node(const struct lab *l, const char *name); /* NULL if there is none */
const struct lab_pod *lab_pod(const struct lab *l, const char *name);
void lab_del_node(struct lab *l, const char *name);
void lab_del_pod(struct lab *l, const char *name);

/* Names of namespaces: "korat-<name>", of segments "korat-seg-<name>". */
char *lab_netns(const char *name, char buf[static LAB_NETNS_MAX]);
char *lab_netns_segment(const char *name, char buf[static LAB_NETNS_MAX]);
typedef void lab_netns_fn(void *arg, const char *netns);
void lab_each_netns(const struct lab *l, lab_netns_fn *fn, void *arg);
/* 64 hexadecimal digits, always the same for one name: what a runtime would have chosen. */
void lab_make_id(const char *name, char ret[static LAB_ID_MAX]);
/* Are all nodes on one segment? Else some next hops are behind routers. */
bool lab_is_flat(const struct lab *l);
