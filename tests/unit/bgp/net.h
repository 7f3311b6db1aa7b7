/*
 * Whole speakers joined by byte pipes on virtual time. No socket, no clock, no waiting: every event has a
 * moment, and net_run() goes from one to the next.
 */
#pragma once
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/prng.h"
#include "bgp/msg.h"
#include "bgp/speaker.h"

enum { NET_NODES = 20, NET_PIPES = 2000, NET_ROUTES = 4096, NET_LATENCY = 1000 };

struct net;

/* A node that is no speaker of ours but a peer that does as the test says (actor.h). */
struct net_script {
	void *arg;
	void (*connected)(void *arg, uint64_t conn);
	void (*data)(void *arg, uint64_t conn, const uint8_t *bytes, size_t n);
	void (*closed)(void *arg, uint64_t conn);
};

struct net_node {
	struct net *net;
	int number;
	struct speaker *s;	   /* or NULL */
	struct net_script *script; /* or NULL */
	struct ipc_route routes[NET_ROUTES];
	size_t nroutes;
	struct ipc_peer_state peers[NET_NODES];
	struct ipc_path paths[64]; /* of the last dump */
	size_t npaths;
	int synced, told, dump_ends, keys;
	char key[IPC_PASS_MAX]; /* the last it was told of, and whose it is */
	struct addr key_of;
	struct addr watching[64]; /* next hops */
	size_t nwatching;
	int watches; /* WATCHes all in all */
	bool deaf;   /* up_ready says no */
	bool gone;   /* no such host */
	usec_t synced_at;
};

/* One TCP connection. End 0 dialled; an end's conn is 0 once its speaker has closed or was told of the end.
 */
struct net_pipe {
	struct net_node *node[2];
	uint64_t conn[2];
	bool up, dead;	 /* dead: nothing gets through, and nobody is told */
	usec_t due;	 /* dialling: when it is answered */
	uint8_t *buf[2]; /* on the way to end i */
	size_t n[2], window[2];
	bool fin[2];	 /* nothing more comes to end i */
	bool full[2];	 /* end i's sender waits for room */
	size_t taken[2]; /* bytes that have reached end i */
	usec_t pace[2];	 /* what has come to end i is read so far apart; 0 = at once */
	usec_t ready[2];
};

struct net {
	struct timers timers;
	usec_t now;
	struct net_node nodes[NET_NODES];
	struct net_pipe pipes[NET_PIPES];
	size_t npipes;
	size_t window;
	struct prng r;
	size_t dials;
};

/* So many speakers, each with an agent that has stated nothing yet. */
struct net *net_new(int nodes);
void net_free(struct net *t); /* no timer may be left */
/* A speaker's process begins, or ends without a word. */
void net_start(struct net *t, int i);
void net_stop(struct net *t, int i);
void net_run(struct net *t, usec_t span);

/* A node's agent goes away; or a new one comes, which knows nothing. */
void net_agent(struct net *t, int node, bool connected);

/* For scripts: begins a TCP connection from node `from` (returns its number), sends, closes. */
uint64_t net_dial(struct net *t, int from, int to);
void net_send(struct net *t, int node, uint64_t conn, const void *bytes, size_t n);
void net_hang_up(struct net *t, int node, uint64_t conn);

/* Who is who. */
struct addr net_addr(int node);
struct prefix net_block(int node, int i); /* the i-th of a node */

/* What a node's agent says. */
void net_say(struct net *t, int node, const struct ipc_msg *m);
void net_config(struct net *t, int node, uint16_t restart);
struct ipc_peer net_peer_conf(int from, int to, bool passive);
void net_peer(struct net *t, int from, int to, bool passive);
void net_peer_gone(struct net *t, int from, int to);
void net_origin(struct net *t, int node, int i, bool there);
void net_stated(struct net *t, int node);
/* A policy with these rules. */
void net_policy(struct net *t, int node, uint16_t id, bool otherwise, const struct policy_rule *rules,
		size_t n);
void net_nexthop(struct net *t, int node, const struct addr *a, bool reachable, uint32_t metric);
/* Asks for all paths of a prefix and waits for the answer; returns how many there are in node.paths. */
size_t net_dump(struct net *t, int node, const struct prefix *p);
/* All of it, for one of `nodes` nodes that know each other and have one block each. */
void net_mesh_node(struct net *t, int node, int nodes, uint16_t restart, bool both_dial);

/* What a node's agent knows. */
struct ipc_route *net_route(struct net_node *n, const struct prefix *p);
struct ipc_route *net_need_route(struct net_node *n, const struct prefix *p); /* it must be there */
bool net_established(const struct net *t, int from, int to);
bool net_has_via(struct net *t, int node, const struct prefix *p, int via);
bool net_watches(const struct net *t, int node, const struct addr *a);
bool net_mesh_is_complete(struct net *t, int nodes);
size_t net_open_pipes(const struct net *t);
