/*
 * agent/pods: the runtime's wishes (CNI ADD, DEL, CHECK) become pods, and pods become routes.
 *
 * A request is a small machine keyed by (container, interface): asking twice joins the first, an ADD after a
 * killed ADD completes it, a DEL waits for an ADD under way. ADD: address (agent/alloc) -> interface
 * (agent/podlink) -> WorkloadEndpoint in the store
 * -> settle -> answered when the pod's routes are in the kernel: ready means ready. DEL goes the other way,
 * interface first.
 *
 * The gateway 169.254.1.1 answers by proxy ARP, which the kernel does only if it has a route to that address
 * over another interface; on a host without a default route it would stay silent. So one such route is kept
 * in table local, where `ip route` does not show it: 169.254.1.1/32 over the interface that has the node's
 * address.
 */
#pragma once
#include "agent/alloc.h"
#include "base/map.h"
#include "kern/link.h"
#include "kern/monitor.h"
#include "kern/nl.h"

struct agent;
struct rpc_req;

#define PODS_JOBS_MAX 1024 /* requests under way; further ones are told to try again */

/* A host-side pod interface as the kernel last reported it. */
struct pod_iface {
	char name[IFNAMSIZ];
	uint32_t ifindex;
	bool up;
	uint64_t stamp;	   /* of the last look that saw it */
	UT_hash_handle hh; /* by name */
};

struct pods {
	struct pod_job *jobs; /* map by key */
	struct pod_iface *ifaces;
	uint64_t stamp;	 /* of the last look at all interfaces */
	uint32_t uplink; /* ifindex of the interface with the node's IPv4 address, 0 = none */
};

/* RPC methods: take the request over and answer it in the end. */
void pods_on_add(struct agent *a, struct rpc_req *req);
void pods_on_del(struct agent *a, struct rpc_req *req);
void pods_on_check(struct agent *a, struct rpc_req *req);

/* Wanted routes of all pods of this node and of their gateway. */
void pods_derive(struct agent *a);
/* After routes were applied: answers the ADDs whose routes are in. */
void pods_answer(struct agent *a);
void pods_on_link(struct agent *a, const struct link *l, bool gone);
/* Looks at all interfaces of the host (start, lost events, and every minute; events keep it current in
 * between). */
int pods_look(struct agent *a, struct err *e);
/* Which interface has the node's IPv4 address now, and what is the host connected to? */
int pods_find_uplink(struct agent *a, struct err *e);
bool pods_is_iface(const struct pods *p, uint32_t ifindex); /* a pod's? */
const struct pod_iface *pods_iface(const struct pods *p, const char *name);
void pods_done(struct agent *a);
