/*
 * Whole speakers joined by byte pipes on virtual time: sessions, convergence, collisions, refresh, restarts,
 * slow readers, statements of the agent. No socket, no clock, no waiting.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/check.h"
#include "base/prng.h"
#include "bgp/msg.h"
#include "bgp/speaker.h"

#include <errno.h>
#include <stdio.h>

enum { NODES = 20, PIPES = 2000, ROUTES = 4096, LATENCY = 1000 };

struct net;

struct node {
	struct net *net;
	int number;
	struct speaker *s;
	struct ipc_route routes[ROUTES];
	size_t nroutes;
	struct ipc_peer_state peers[NODES];
	struct ipc_path paths[64];
	size_t npaths;
	int synced, told, dump_ends, watched;
	bool deaf; /* up_ready says no */
	bool gone; /* no such host */
	usec_t synced_at;
};

/* One TCP connection. End 0 dialled; an end's conn is 0 once its speaker has closed or was told of the end.
 */
struct pipe {
	struct node *node[2];
	uint64_t conn[2];
	bool up, dead;	 /* dead: nothing gets through, and nobody is told */
	usec_t due;	 /* dialling: when it is answered */
	uint8_t *buf[2]; /* on the way to end i */
	size_t n[2], window[2];
	bool fin[2];	 /* nothing more comes to end i */
	bool full[2];	 /* end i's sender waits for room */
	size_t taken[2]; /* bytes that have reached end i */
};

struct net {
	struct timers timers;
	usec_t now;
	struct node nodes[NODES];
	struct pipe pipes[PIPES];
	size_t npipes;
	size_t window;
	struct prng r;
	size_t dials;
};

static struct addr addr_of(int node)
{
	return addr_v4(0xac104300 + (uint32_t)node + 1);
}

static struct prefix block(int node, int i)
{
	struct addr a = addr_v4(0x0a080000 + ((uint32_t)(node * 64 + i) << 6));

	return prefix_of(&a, 26);
}

/* struct speaker_io */

static int on_dial(void *arg, uint64_t conn, const struct ipc_peer *peer)
{
	struct node *n = arg;
	struct net *t = n->net;

	assert_true(t->npipes < PIPES);
	t->dials++;
	struct pipe *p = &t->pipes[t->npipes++];
	*p = (struct pipe){
		.node = { n }, .conn = { conn }, .due = t->now + LATENCY, .window = { t->window, t->window }
	};
	for (int i = 0; i < NODES; i++) {
		struct addr a = addr_of(i);
		if (addr_eq(&a, &peer->remote))
			p->node[1] = &t->nodes[i];
	}
	return 0;
}

static struct pipe *find(struct node *n, uint64_t conn, int *end)
{
	for (size_t i = 0; i < n->net->npipes; i++)
		for (*end = 0; *end < 2; (*end)++)
			if (n->net->pipes[i].node[*end] == n && n->net->pipes[i].conn[*end] == conn)
				return &n->net->pipes[i];
	return NULL;
}

static ssize_t on_send(void *arg, uint64_t conn, const void *bytes, size_t n)
{
	int end;
	struct pipe *p = find(arg, conn, &end);

	CHECK(p && p->up);
	int to = 1 - end;
	size_t room = p->n[to] < p->window[to] ? p->window[to] - p->n[to] : 0, k = MIN(n, room);
	if (p->fin[end] && !p->conn[to])
		return -EPIPE;
	p->buf[to] = xrealloc(p->buf[to], p->n[to] + k + 1);
	memcpy(p->buf[to] + p->n[to], bytes, k);
	p->n[to] += k;
	p->full[to] = k < n;
	return (ssize_t)k;
}

static void on_close(void *arg, uint64_t conn)
{
	int end;
	struct pipe *p = find(arg, conn, &end);

	CHECK(p);
	p->conn[end] = 0;
	p->fin[1 - end] = true;
}

static struct ipc_route *route_of(struct node *n, const struct prefix *p)
{
	for (size_t i = 0; i < n->nroutes; i++)
		if (prefix_eq(&n->routes[i].prefix, p))
			return &n->routes[i];
	return NULL;
}

/* It must be there. */
static struct ipc_route *need_route(struct node *n, const struct prefix *p)
{
	struct ipc_route *r = route_of(n, p);

	CHECK(r);
	return r;
}

static void on_route(struct node *n, const struct ipc_msg *m)
{
	struct ipc_route *r = route_of(n, &m->route.prefix);

	if (m->type == IPC_ROUTE) {
		if (!r)
			r = &n->routes[n->nroutes++];
		assert_true(n->nroutes <= ROUTES);
		*r = m->route;
	} else if (r) {
		*r = n->routes[--n->nroutes];
	}
}

static void on_up(void *arg, const struct ipc_msg *m)
{
	struct node *n = arg;

	n->told++;
	switch (m->type) {
	case IPC_ROUTE:
	case IPC_ROUTE_GONE:
		on_route(n, m);
		break;
	case IPC_PEER_STATE:
		for (int i = 0; i < NODES; i++) {
			struct addr a = addr_of(i);
			if (addr_eq(&a, &m->state.remote))
				n->peers[i] = m->state;
		}
		break;
	case IPC_SYNCED:
		n->synced++;
		n->synced_at = n->net->now;
		break;
	case IPC_PATH:
		n->paths[n->npaths++] = m->path;
		break;
	case IPC_DUMP_END:
		n->dump_ends++;
		break;
	case IPC_WATCH:
		n->watched++;
		break;
	case IPC_UNWATCH:
		n->watched--;
		break;
	default:
		fail();
	}
}

static bool on_up_ready(void *arg)
{
	return !((struct node *)arg)->deaf;
}

static void start(struct net *t, int i)
{
	struct node *n = &t->nodes[i];
	struct speaker_io io = { n, on_dial, on_send, on_close, on_up, on_up_ready, NULL, NULL };

	*n = (struct node){ .net = t, .number = i };
	n->s = speaker_new(&io, &t->timers, prng_next(&t->r), t->now);
	speaker_on_agent(n->s, true, t->now);
}

static struct net *net_new(int nodes)
{
	struct net *t = xcalloc(1, sizeof(*t));

	t->now = 1000 * SEC;
	t->window = 1 << 20;
	t->r.state = 5;
	timers_init(&t->timers);
	for (int i = 0; i < nodes; i++)
		start(t, i);
	return t;
}

static void drop_pipes_of(struct net *t, struct node *n)
{
	for (size_t i = 0; i < t->npipes; i++)
		for (int e = 0; e < 2; e++)
			if (t->pipes[i].node[e] == n && t->pipes[i].conn[e])
				on_close(n, t->pipes[i].conn[e]);
}

static void stop(struct net *t, int i)
{
	speaker_free(t->nodes[i].s);
	t->nodes[i].s = NULL;
	drop_pipes_of(t, &t->nodes[i]);
}

static void net_free(struct net *t)
{
	for (int i = 0; i < NODES; i++)
		if (t->nodes[i].s)
			stop(t, i);
	assert_true(timers_next(&t->timers) == USEC_NEVER);
	timers_done(&t->timers);
	for (size_t i = 0; i < t->npipes; i++) {
		free(t->pipes[i].buf[0]);
		free(t->pipes[i].buf[1]);
	}
	free(t);
}

static void refuse(struct net *t, struct pipe *p, int error)
{
	uint64_t conn = p->conn[0];

	p->conn[0] = 0;
	speaker_on_closed(p->node[0]->s, conn, error, t->now);
}

static void answer(struct net *t, struct pipe *p)
{
	struct node *a = p->node[0], *b = p->node[1];
	struct addr from = addr_of(a->number);

	if (!p->conn[0])
		return;
	if (!b || a->gone || b->gone) {
		p->due = USEC_NEVER; /* silence */
		return;
	}
	if (!b->s) {
		refuse(t, p, ECONNREFUSED);
		return;
	}
	struct addr to = addr_of(b->number);
	p->up = true;
	p->conn[1] = speaker_on_accept(b->s, &to, &from, t->now);
	p->fin[0] = !p->conn[1];
	speaker_on_connected(a->s, p->conn[0], &from, t->now);
}

static bool deliver(struct net *t, struct pipe *p, int end)
{
	struct node *n = p->node[end];
	uint64_t conn = p->conn[end];

	if (!conn || p->dead)
		return false;
	if (p->n[end]) {
		uint8_t *bytes = p->buf[end];
		size_t k = p->n[end];
		p->buf[end] = NULL;
		p->n[end] = 0;
		p->taken[end] += k;
		speaker_on_data(n->s, conn, bytes, k, t->now);
		free(bytes);
	} else if (p->fin[end]) {
		p->conn[end] = 0;
		speaker_on_closed(n->s, conn, 0, t->now);
	} else if (p->full[end] && p->conn[1 - end] && p->window[end]) {
		p->full[end] = false;
		speaker_on_writable(p->node[1 - end]->s, p->conn[1 - end], t->now);
	} else {
		return false;
	}
	return true;
}

static void turns(struct net *t)
{
	for (int i = 0; i < NODES; i++)
		if (t->nodes[i].s)
			speaker_turn(t->nodes[i].s, t->now);
}

/* Everything that happens at this moment. */
static bool moment(struct net *t)
{
	bool moved = false;

	for (size_t i = 0; i < t->npipes; i++) {
		struct pipe *p = &t->pipes[i];
		if (!p->up && p->conn[0] && p->due <= t->now) {
			answer(t, p);
			moved = true;
		}
		for (int e = 0; p->up && e < 2; e++)
			moved |= deliver(t, p, e);
	}
	turns(t);
	return moved;
}

static usec_t next_event(const struct net *t)
{
	usec_t next = timers_next(&t->timers);

	for (size_t i = 0; i < t->npipes; i++)
		if (!t->pipes[i].up && t->pipes[i].conn[0] && t->pipes[i].due < next)
			next = t->pipes[i].due;
	return next;
}

static void run(struct net *t, usec_t span)
{
	usec_t end = t->now + span;

	for (;;) {
		turns(t);
		while (moment(t))
			t->now += 10;
		usec_t next = next_event(t);
		if (next > end)
			break;
		t->now = MAX(t->now, next);
		timers_run(&t->timers, t->now);
	}
	t->now = MAX(t->now, end);
}

/* Statements */

static void say(struct net *t, int node, const struct ipc_msg *m)
{
	speaker_on_ipc(t->nodes[node].s, m, t->now);
}

static void config(struct net *t, int node, uint16_t restart)
{
	struct ipc_msg m = { .type = IPC_CONFIG };
	struct addr a = addr_of(node);

	m.config = (struct ipc_config){
		.asn = 64512, .router_id = addr_to_v4(&a), .hold_time = 90, .restart_time = restart
	};
	say(t, node, &m);
}

static struct ipc_peer peer_conf(int from, int to, bool passive)
{
	struct ipc_peer p = { .remote = addr_of(to),
			      .local = addr_of(from),
			      .port = 179,
			      .remote_asn = 64512,
			      .passive = passive,
			      .families = IPC_FAMILY_V4 };

	snprintf(p.name, sizeof(p.name), "node%d", to);
	return p;
}

static void peer(struct net *t, int from, int to, bool passive)
{
	struct ipc_msg m = { .type = IPC_PEER, .peer = peer_conf(from, to, passive) };

	say(t, from, &m);
}

static void peer_gone(struct net *t, int from, int to)
{
	struct ipc_msg m = { .type = IPC_PEER_GONE };

	m.peer.remote = addr_of(to);
	say(t, from, &m);
}

static void origin(struct net *t, int node, int i, bool there)
{
	struct ipc_msg m = { .type = there ? IPC_ORIGIN : IPC_ORIGIN_GONE };

	m.origin.prefix = block(node, i);
	say(t, node, &m);
}

static void stated(struct net *t, int node)
{
	struct ipc_msg m = { .type = IPC_STATED };

	say(t, node, &m);
}

static void mesh_node(struct net *t, int node, int nodes, uint16_t restart, bool both_dial)
{
	config(t, node, restart);
	for (int j = 0; j < nodes; j++)
		if (j != node)
			peer(t, node, j, !both_dial && node < j);
	origin(t, node, 0, true);
	stated(t, node);
}

static bool established(const struct net *t, int from, int to)
{
	return t->nodes[from].peers[to].state == IPC_ESTABLISHED;
}

static bool has_via(struct net *t, int node, const struct prefix *p, int via)
{
	struct ipc_route *r = route_of(&t->nodes[node], p);
	struct addr a = addr_of(via);

	return r && !r->own && r->nhops == 1 && addr_eq(&r->nexthop[0], &a) && addr_eq(&r->peer[0], &a);
}

static bool mesh_is_complete(struct net *t, int nodes)
{
	for (int i = 0; i < nodes; i++) {
		if (t->nodes[i].nroutes != (size_t)nodes)
			return false;
		for (int j = 0; j < nodes; j++) {
			struct prefix p = block(j, 0);
			if (i != j && (!established(t, i, j) || !has_via(t, i, &p, j)))
				return false;
		}
	}
	return true;
}

static size_t open_pipes(const struct net *t)
{
	size_t n = 0;

	for (size_t i = 0; i < t->npipes; i++)
		n += t->pipes[i].up && t->pipes[i].conn[0] && t->pipes[i].conn[1];
	return n;
}

static void two_speakers(void **state)
{
	struct net *t = net_new(2);
	struct prefix mine = block(0, 0);

	mesh_node(t, 0, 2, 0, false);
	mesh_node(t, 1, 2, 0, false);
	run(t, 2500 * MSEC);
	assert_true(mesh_is_complete(t, 2));
	assert_true(need_route(&t->nodes[0], &mine)->own);
	assert_int_equal(open_pipes(t), 1);
	assert_int_equal(t->nodes[0].synced, 1); /* both End-of-RIBs came, so two seconds after the session */
	/* A day of silence: keepalives keep it up. */
	run(t, 86400 * SEC);
	assert_true(mesh_is_complete(t, 2));
	assert_int_equal(t->nodes[0].peers[1].flaps, 0);
	assert_int_equal(t->nodes[0].peers[1].hold_time, 90);
	net_free(t);
}

/* Everybody dials everybody at the same moment; each pair ends with one connection. */
static void cold_mesh(void **state)
{
	for (uint64_t seed = 1; seed <= 10; seed++) {
		struct net *t = net_new(0);
		t->r.state = seed;
		for (int i = 0; i < 8; i++)
			start(t, i);
		for (int i = 0; i < 8; i++) {
			mesh_node(t, i, 8, seed % 2 ? 120 : 0, true);
			run(t, (usec_t)prng_below(&t->r, 300 * MSEC));
		}
		run(t, 3 * SEC);
		assert_true(mesh_is_complete(t, 8));
		assert_int_equal(open_pipes(t), 8 * 7 / 2);
		run(t, 8 * SEC);
		assert_true(mesh_is_complete(t, 8));
		for (int i = 0; i < 8; i++)
			assert_int_equal(t->nodes[i].synced, 1);
		net_free(t);
	}
}

/* One side is told of the other seconds later. */
static void late_statement(void **state)
{
	struct net *t = net_new(2);

	mesh_node(t, 0, 2, 0, true);
	run(t, 4 * SEC);
	assert_false(established(t, 0, 1));
	assert_non_null(strstr(t->nodes[0].peers[1].reason, "may not know this node yet"));
	config(t, 1, 0);
	peer(t, 1, 0, true); /* does not dial: the retries of the other must find it */
	stated(t, 1);
	run(t, 6 * SEC);
	assert_true(established(t, 0, 1));
	net_free(t);
}

static void silence_and_refusal(void **state)
{
	struct net *t = net_new(2);

	t->nodes[1].gone = true;
	mesh_node(t, 0, 2, 0, true);
	run(t, 20 * SEC);
	assert_string_equal(t->nodes[0].peers[1].reason, "no answer from 172.16.67.2 port 179");
	stop(t, 1);
	t->nodes[1].gone = false;
	run(t, 20 * SEC);
	assert_string_equal(t->nodes[0].peers[1].reason, "connection refused by 172.16.67.2 port 179");
	/* At most one attempt in 2.5 s in the long run. */
	size_t before = t->dials;
	run(t, 100 * SEC);
	assert_in_range(t->dials - before, 20, 41);
	assert_int_equal(t->nodes[0].synced, 1); /* although no session came up */
	net_free(t);
}

static void hold_timer(void **state)
{
	struct net *t = net_new(2);

	mesh_node(t, 0, 2, 0, false);
	mesh_node(t, 1, 2, 0, false);
	run(t, 5 * SEC);
	assert_true(mesh_is_complete(t, 2));
	/* Node 1 loses its power: no FIN, no answer. */
	t->nodes[1].gone = true;
	for (size_t i = 0; i < t->npipes; i++)
		t->pipes[i].dead = true;
	run(t, 60 * SEC);
	assert_true(established(t, 0, 1));
	run(t, 31 * SEC);
	assert_false(established(t, 0, 1));
	assert_string_equal(t->nodes[0].peers[1].reason, "hold timer expired after 90 s without a message");
	assert_int_equal(t->nodes[0].nroutes, 1);
	assert_int_equal(t->nodes[0].peers[1].flaps, 1);
	net_free(t);
}

static void origins_change(void **state)
{
	struct net *t = net_new(3);
	struct prefix p = block(0, 1);

	for (int i = 0; i < 3; i++)
		mesh_node(t, i, 3, 0, false);
	run(t, 3 * SEC);
	assert_true(mesh_is_complete(t, 3));
	origin(t, 0, 1, true);
	run(t, 10 * MSEC);
	assert_true(has_via(t, 1, &p, 0) && has_via(t, 2, &p, 0));
	/* What an iBGP peer said is not passed on: node 2 hears it once, from node 0. */
	assert_int_equal(t->nodes[2].peers[1].received, 1);
	origin(t, 0, 1, false);
	run(t, 10 * MSEC);
	assert_null(route_of(&t->nodes[1], &p));
	/* Here and gone within one turn is no message at all. */
	run(t, 2 * SEC);
	int told = t->nodes[1].told;
	uint64_t updates = t->nodes[1].peers[0].updates_in;
	origin(t, 0, 1, true);
	origin(t, 0, 1, false);
	run(t, 2 * SEC);
	assert_int_equal(t->nodes[1].told, told);
	assert_int_equal(t->nodes[1].peers[0].updates_in, updates);
	net_free(t);
}

static void a_peer_goes(void **state)
{
	struct net *t = net_new(3);

	for (int i = 0; i < 3; i++)
		mesh_node(t, i, 3, 120, false);
	run(t, 3 * SEC);
	assert_true(mesh_is_complete(t, 3));
	peer_gone(t, 0, 1);
	run(t, SEC);
	struct prefix p = block(1, 0);
	assert_null(route_of(&t->nodes[0], &p));
	assert_true(established(t, 0, 2) && established(t, 1, 2));
	assert_int_equal(t->nodes[0].peers[2].flaps, 0);
	assert_non_null(strstr(t->nodes[1].peers[0].reason, "Cease"));
	net_free(t);
}

static void as_number_mismatch(void **state)
{
	struct net *t = net_new(2);
	struct ipc_msg m = { .type = IPC_PEER, .peer = peer_conf(0, 1, false) };

	mesh_node(t, 1, 2, 0, true);
	config(t, 0, 0);
	m.peer.remote_asn = 64999;
	say(t, 0, &m);
	stated(t, 0);
	run(t, 20 * SEC);
	assert_string_equal(t->nodes[0].peers[1].reason,
			    "AS number mismatch: peer says 64512, expected 64999");
	assert_non_null(strstr(t->nodes[1].peers[0].reason,
			       "peer sent NOTIFICATION: OPEN Message Error/Bad Peer AS"));
	/* The wait between attempts grows: not more than a few in a minute. */
	size_t before = t->dials;
	run(t, 60 * SEC);
	assert_true(t->dials - before < 25);
	m.peer.remote_asn = 64512;
	say(t, 0, &m);
	run(t, 31 * SEC);
	assert_true(established(t, 0, 1) && established(t, 1, 0));
	net_free(t);
}

/* Only what a session was agreed upon ends it when it changes. */
static void statements_are_careful(void **state)
{
	struct net *t = net_new(3);
	struct ipc_msg m = { .type = IPC_PEER };

	for (int i = 0; i < 3; i++)
		mesh_node(t, i, 3, 0, false);
	run(t, 3 * SEC);
	m.peer = peer_conf(1, 0, false);
	strcpy(m.peer.name, "another name");
	m.peer.port = 1179;
	say(t, 1, &m);
	config(t, 1, 120);
	run(t, 3 * SEC);
	assert_int_equal(t->nodes[1].peers[0].flaps, 0);
	assert_int_equal(t->nodes[1].peers[2].flaps, 0);
	m.peer.hold_time = 30; /* for the next session */
	say(t, 1, &m);
	m.peer.local_asn = 64512;
	say(t, 1, &m);
	run(t, 3 * SEC);
	assert_int_equal(t->nodes[1].peers[0].flaps, 1);
	assert_int_equal(t->nodes[1].peers[2].flaps, 0);
	assert_true(established(t, 1, 0));
	assert_int_equal(t->nodes[1].peers[0].hold_time, 30);
	net_free(t);
}

static void agent_restarts(void **state)
{
	struct net *t = net_new(3);
	struct prefix left = block(0, 1), kept = block(0, 0);

	for (int i = 0; i < 3; i++)
		mesh_node(t, i, 3, 0, false);
	origin(t, 0, 1, true);
	run(t, 3 * SEC);
	assert_true(has_via(t, 1, &left, 0));
	speaker_on_agent(t->nodes[0].s, false, t->now);
	run(t, 300 * SEC);
	assert_true(established(t, 1, 0) && has_via(t, 1, &left, 0));
	/* The new agent hears everything, then SYNCED at once; what it does not state goes, sessions stay. */
	t->nodes[0].nroutes = 0;
	t->nodes[0].synced = 0;
	speaker_on_agent(t->nodes[0].s, true, t->now);
	run(t, MSEC);
	assert_int_equal(t->nodes[0].nroutes, 4);
	assert_int_equal(t->nodes[0].synced, 1);
	config(t, 0, 0);
	peer(t, 0, 1, true);
	origin(t, 0, 0, true);
	stated(t, 0);
	run(t, SEC);
	assert_true(has_via(t, 1, &kept, 0));
	assert_null(route_of(&t->nodes[1], &left));
	assert_int_equal(t->nodes[1].peers[0].flaps, 0);
	assert_false(established(t, 2, 0));
	net_free(t);
}

static void an_agent_that_does_not_read(void **state)
{
	struct net *t = net_new(2);

	mesh_node(t, 0, 2, 0, false);
	mesh_node(t, 1, 2, 0, false);
	run(t, 3 * SEC);
	t->nodes[0].deaf = true;
	int told = t->nodes[0].told;
	for (int i = 0; i < 100; i++) {
		origin(t, 1, 1 + i % 5, i % 3);
		run(t, 10 * MSEC);
	}
	assert_int_equal(t->nodes[0].told, told);
	t->nodes[0].deaf = false;
	run(t, 10 * MSEC);
	for (int i = 1; i <= 5; i++) {
		struct prefix p = block(1, i);
		assert_int_equal(!!route_of(&t->nodes[0], &p), !!route_of(&t->nodes[1], &p));
	}
	assert_true(t->nodes[0].told - told <= 5 + 1); /* the outcome only */
	net_free(t);
}

static void refresh(void **state)
{
	struct net *t = net_new(2);
	struct addr a = addr_of(1);

	mesh_node(t, 0, 2, 0, false);
	mesh_node(t, 1, 2, 0, false);
	run(t, 5 * SEC);
	uint64_t updates = t->nodes[0].peers[1].updates_in;
	/* A storm of requests is one walk a second. */
	for (int i = 0; i < 50; i++)
		assert_true(speaker_refresh(t->nodes[0].s, &a, t->now));
	run(t, 3 * SEC);
	assert_int_equal(t->nodes[0].peers[1].updates_in, updates + 2);
	assert_true(mesh_is_complete(t, 2));
	peer_gone(t, 0, 1);
	assert_false(speaker_refresh(t->nodes[0].s, &a, t->now));
	net_free(t);
}

/* A peer's process restarts: with graceful restart nobody notices, and what it does not repeat is swept. */
static void graceful_restart(void **state)
{
	struct net *t = net_new(3);
	struct prefix kept = block(1, 0), dropped = block(1, 1);

	for (int i = 0; i < 3; i++)
		mesh_node(t, i, 3, 120, false);
	origin(t, 1, 1, true);
	run(t, 15 * SEC);
	assert_true(has_via(t, 0, &dropped, 1));
	stop(t, 1);
	run(t, 5 * SEC);
	assert_false(established(t, 0, 1));
	assert_true(has_via(t, 0, &kept, 1) && has_via(t, 0, &dropped, 1));
	start(t, 1);
	mesh_node(t, 1, 3, 120, false);
	run(t, 1500 * MSEC);
	assert_true(established(t, 0, 1) && has_via(t, 0, &kept, 1));
	run(t, 15 * SEC);
	assert_int_equal(t->nodes[1].synced, 1);
	assert_true(has_via(t, 0, &kept, 1));
	assert_null(route_of(&t->nodes[0], &dropped));
	/* Gone for good: its routes go after the time it has asked for. */
	stop(t, 1);
	run(t, 110 * SEC);
	assert_true(has_via(t, 0, &kept, 1));
	run(t, 15 * SEC);
	assert_null(route_of(&t->nodes[0], &kept));
	net_free(t);
}

/* The peer does not read: what we hold for it is bounded, others are not held up, and in the end it is let
 * go. */
static void slow_reader(void **state)
{
	struct net *t = net_new(3);

	for (int i = 0; i < 3; i++)
		mesh_node(t, i, 3, 0, false);
	run(t, 3 * SEC);
	for (size_t i = 0; i < t->npipes; i++)
		for (int e = 0; e < 2; e++)
			if (t->pipes[i].node[e] == &t->nodes[1] && t->pipes[i].node[1 - e] == &t->nodes[0])
				t->pipes[i].window[e] = 0;
	size_t bytes = speaker_bytes(t->nodes[0].s);
	for (int i = 0; i < 3000; i++) {
		origin(t, 0, 1 + i % 40, i / 40 % 2);
		speaker_turn(t->nodes[0].s, t->now);
	}
	for (int i = 1; i <= 40; i++)
		origin(t, 0, i, true);
	run(t, 20 * SEC);
	struct prefix p = block(0, 7);
	assert_true(has_via(t, 2, &p, 0));
	assert_null(route_of(&t->nodes[1], &p));
	assert_true(speaker_bytes(t->nodes[0].s) < bytes + 65536);
	assert_true(established(t, 0, 1));
	/* It hears our keepalives no more and gives up first. */
	run(t, 75 * SEC);
	assert_int_equal(t->nodes[0].peers[1].flaps, 1);
	assert_int_equal(t->nodes[0].peers[2].flaps, 0);
	run(t, 30 * SEC);
	assert_true(has_via(t, 1, &p, 0));
	net_free(t);
}

/* One byte at a time, in any pieces: the same. */
static void narrow_pipes(void **state)
{
	struct net *t = net_new(0);

	t->window = 7;
	for (int i = 0; i < 3; i++)
		start(t, i);
	for (int i = 0; i < 3; i++)
		mesh_node(t, i, 3, 0, true);
	for (int i = 1; i < 60; i++)
		origin(t, 0, i, true);
	run(t, 5 * SEC);
	assert_int_equal(t->nodes[1].nroutes, 62);
	assert_int_equal(t->nodes[2].nroutes, 62);
	net_free(t);
}

/* Two nodes announce the same prefix: two next hops. Then one of them prefers its own. */
static void equal_paths(void **state)
{
	struct net *t = net_new(4);
	struct ipc_msg m = { .type = IPC_ORIGIN }, dump = { .type = IPC_DUMP };

	for (int i = 0; i < 4; i++)
		mesh_node(t, i, 4, 0, false);
	m.origin.prefix = block(15, 0);
	say(t, 1, &m);
	say(t, 2, &m);
	run(t, 3 * SEC);
	struct ipc_route *r = need_route(&t->nodes[0], &m.origin.prefix);
	assert_int_equal(r->nhops, 2);
	assert_true(need_route(&t->nodes[1], &m.origin.prefix)->own);
	dump.dump.prefix = m.origin.prefix;
	dump.dump.id = 9;
	say(t, 0, &dump);
	run(t, MSEC);
	assert_int_equal(t->nodes[0].npaths, 2);
	assert_int_equal(t->nodes[0].dump_ends, 1);
	assert_int_equal(t->nodes[0].paths[0].best + t->nodes[0].paths[1].best, 1);
	for (int i = 0; i < 2; i++)
		assert_non_null(strstr(t->nodes[0].paths[i].why, "router id"));
	m.type = IPC_ORIGIN_GONE;
	say(t, 1, &m);
	run(t, MSEC);
	assert_int_equal(need_route(&t->nodes[0], &m.origin.prefix)->nhops, 1);
	net_free(t);
}

/* A reflector and clients that know only it. */
static void reflection(void **state)
{
	struct net *t = net_new(6);

	for (int i = 0; i < 6; i++) {
		config(t, i, 0);
		if (i)
			peer(t, i, 0, false);
		origin(t, i, 0, true);
	}
	struct ipc_msg m = { .type = IPC_CONFIG,
			     .config = { .asn = 64512, .router_id = 77, .cluster_id = 77, .hold_time = 90 } };
	say(t, 0, &m);
	for (int i = 1; i < 6; i++) {
		struct ipc_msg p = { .type = IPC_PEER, .peer = peer_conf(0, i, true) };
		p.peer.client = true;
		say(t, 0, &p);
	}
	for (int i = 0; i < 6; i++)
		stated(t, i);
	run(t, 4 * SEC);
	for (int i = 1; i < 6; i++) {
		assert_int_equal(t->nodes[i].nroutes, 6);
		assert_int_equal(t->nodes[i].peers[0].received, 5); /* its own did not come back */
		assert_int_equal(t->nodes[0].peers[i].advertised, 5);
		for (int j = 1; j < 6; j++) {
			struct prefix p = block(j, 0);
			struct addr hop = addr_of(j);
			struct ipc_route *r = need_route(&t->nodes[i], &p);
			assert_true(i == j ? r->own : addr_eq(&r->nexthop[0], &hop));
		}
	}
	stop(t, 3);
	run(t, SEC);
	assert_int_equal(t->nodes[1].nroutes, 5);
	net_free(t);
}

/* Random trouble for a while, then peace: the mesh is complete. */
static void trouble(void **state)
{
	for (uint64_t seed = 1; seed <= 12; seed++) {
		struct net *t = net_new(0);
		t->r.state = seed;
		for (int i = 0; i < 5; i++)
			start(t, i);
		for (int i = 0; i < 5; i++)
			mesh_node(t, i, 5, seed % 2 ? 120 : 0, seed % 3);
		for (int k = 0; k < 60; k++) {
			run(t, (usec_t)prng_below(&t->r, 700 * MSEC));
			int i = (int)prng_below(&t->r, 5);
			uint64_t what = prng_below(&t->r, 4);
			if (what == 0 && t->npipes) { /* a connection breaks for both */
				struct pipe *p = &t->pipes[prng_below(&t->r, t->npipes)];
				p->fin[0] = p->fin[1] = true;
			} else if (what == 1) { /* a process restarts */
				stop(t, i);
				start(t, i);
				mesh_node(t, i, 5, seed % 2 ? 120 : 0, seed % 3);
			} else if (what == 2) {
				peer_gone(t, i, (i + 1) % 5);
				peer(t, i, (i + 1) % 5, false);
			} else {
				origin(t, i, 1, prng_below(&t->r, 2));
			}
		}
		for (int i = 0; i < 5; i++)
			origin(t, i, 1, false);
		run(t, 200 * SEC);
		assert_true(mesh_is_complete(t, 5));
		assert_int_equal(open_pipes(t), 10);
		net_free(t);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(two_speakers),
		cmocka_unit_test(cold_mesh),
		cmocka_unit_test(late_statement),
		cmocka_unit_test(silence_and_refusal),
		cmocka_unit_test(hold_timer),
		cmocka_unit_test(origins_change),
		cmocka_unit_test(a_peer_goes),
		cmocka_unit_test(as_number_mismatch),
		cmocka_unit_test(statements_are_careful),
		cmocka_unit_test(agent_restarts),
		cmocka_unit_test(an_agent_that_does_not_read),
		cmocka_unit_test(refresh),
		cmocka_unit_test(graceful_restart),
		cmocka_unit_test(slow_reader),
		cmocka_unit_test(narrow_pipes),
		cmocka_unit_test(equal_paths),
		cmocka_unit_test(reflection),
		cmocka_unit_test(trouble),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
