/*
 * agent/peers: which BGP sessions should be there (the full mesh from the Node resources, Calico's rules),
 * and what the speaker last said about each.
 */
#pragma once
#include "base/delta.h"
#include "base/map.h"
#include "bgp/ipc.h"

struct agent;

struct peer_entry {
	struct addr remote;
	struct delta delta;
	struct ipc_peer want;
	bool heard;
	struct ipc_peer_state state;
	usec_t state_at;   /* when that was heard */
	UT_hash_handle hh; /* by remote */
};

struct peers {
	struct peer_entry *map;
	struct ipc_config config; /* as last told */
	bool config_told;
	uint64_t stamp;
};

/* Pure: the mesh session from me to other over family, or false if there is none (facts 1.6). */
struct node;
bool peers_mesh(const struct node *me, const struct node *other, uint8_t family, uint32_t my_asn,
		uint32_t other_asn, uint16_t port, struct ipc_peer *ret);
/* The BGP identifier of a node: its IPv4 address, or a hash of its name where it has none. Never 0. */
uint32_t peers_router_id(const struct node *me);

void peers_derive(struct agent *a);
void peers_restate(struct agent *a); /* the speaker is new or back: say everything again */
void peers_on_state(struct agent *a, const struct ipc_peer_state *st);
void peers_done(struct peers *p);
