/*
 * kern/link: network interfaces (rtnetlink links): veth pairs, bridges, their state and names.
 *
 * How is ours recognised after a restart? Pod interfaces by the prefix "cali" of their name (kern/ does not
 * know that: its users do). Everything here is by ifindex or exact name; nothing is guessed.
 */
#pragma once
#include "base/addr.h"
#include "base/err.h"
#include "kern/nl.h"

#include <net/if.h>

struct link {
	uint32_t ifindex;
	uint32_t flags;	   /* IFF_UP, IFF_LOWER_UP, ... */
	uint32_t mtu;	   /* bytes */
	uint32_t peer;	   /* IFLA_LINK: ifindex of the veth peer (in its own namespace), 0 if none */
	int32_t peer_nsid; /* IFLA_LINK_NETNSID, -1 if the peer is in this namespace or there is none */
	uint32_t master;   /* ifindex of the bridge it is a port of, 0 if none */
	uint8_t operstate; /* IF_OPER_* */
	struct mac mac;
	char name[IFNAMSIZ];
	char kind[16]; /* "veth", "bridge", "" for hardware */
};

/* A veth pair to be made. Empty names are chosen by the kernel; 0 leaves the kernel's default. A namespace
 * descriptor of -1 means the namespace of the request socket. */
struct link_veth {
	char name[IFNAMSIZ], peer_name[IFNAMSIZ];
	int ns_fd, peer_ns_fd; /* where each end is born */
	uint32_t mtu;
	uint32_t queues;	  /* tx and rx queues of both ends; 0 = kernel default */
	bool no_txqueue;	  /* transmit queue length 0 on both ends (there is nothing to wait for) */
	struct mac mac, peer_mac; /* all zero = random */
	bool up;		  /* bring the first end (not the peer) up at once */
};

int link_add_veth(struct nl *nl, const struct link_veth *v, struct err *e); /* -EEXIST if a name is taken */
int link_add_bridge(struct nl *nl, const char *name, struct err *e);
int link_del(struct nl *nl, uint32_t ifindex, struct err *e);
/* By name: 0 and *ret, or -ENODEV. By index likewise. */
int link_get(struct nl *nl, const char *name, struct link *ret, struct err *e);
int link_get_index(struct nl *nl, uint32_t ifindex, struct link *ret, struct err *e);
int link_set_up(struct nl *nl, uint32_t ifindex, bool up, struct err *e);
int link_set_mac(struct nl *nl, uint32_t ifindex, const struct mac *mac, struct err *e);
int link_set_mtu(struct nl *nl, uint32_t ifindex, uint32_t mtu, struct err *e);
int link_set_name(struct nl *nl, uint32_t ifindex, const char *name, struct err *e);
int link_set_master(struct nl *nl, uint32_t ifindex, uint32_t master, struct err *e); /* 0 = none */
int link_set_ns(struct nl *nl, uint32_t ifindex, int ns_fd, struct err *e);

typedef void link_fn(void *arg, const struct link *l);
int link_dump(struct nl *nl, link_fn *fn, void *arg, struct err *e);
