/* Dialling takes a moment, bytes take none; what a speaker writes is delivered in the next round of the same
 * moment. */
#include "net.h"

#include "base/check.h"

#include <errno.h>
#include <stdio.h>

struct addr net_addr(int node)
{
	return addr_v4(0xac104300 + (uint32_t)node + 1);
}

struct prefix net_block(int node, int i)
{
	struct addr a = addr_v4(0x0a080000 + ((uint32_t)(node * 64 + i) << 6));

	return prefix_of(&a, 26);
}

/* struct speaker_io */

static int on_dial(void *arg, uint64_t conn, const struct ipc_peer *peer)
{
	struct net_node *n = arg;
	struct net *t = n->net;

	assert_true(t->npipes < NET_PIPES);
	t->dials++;
	struct net_pipe *p = &t->pipes[t->npipes++];
	*p = (struct net_pipe){ .node = { n },
				.conn = { conn },
				.due = t->now + NET_LATENCY,
				.window = { t->window, t->window } };
	for (int i = 0; i < NET_NODES; i++) {
		struct addr a = net_addr(i);
		if (addr_eq(&a, &peer->remote))
			p->node[1] = &t->nodes[i];
	}
	return 0;
}

static struct net_pipe *find(struct net_node *n, uint64_t conn, int *end)
{
	for (size_t i = 0; i < n->net->npipes; i++)
		for (*end = 0; *end < 2; (*end)++)
			if (n->net->pipes[i].node[*end] == n && n->net->pipes[i].conn[*end] == conn)
				return &n->net->pipes[i];
	return NULL;
}

static ssize_t on_send(void *arg, uint64_t conn, const void *bytes, size_t n, bool more)
{
	int end;
	struct net_pipe *p = find(arg, conn, &end);

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
	struct net_pipe *p = find(arg, conn, &end);

	CHECK(p);
	p->conn[end] = 0;
	p->fin[1 - end] = true;
}

struct ipc_route *net_route(struct net_node *n, const struct prefix *p)
{
	for (size_t i = 0; i < n->nroutes; i++)
		if (prefix_eq(&n->routes[i].prefix, p))
			return &n->routes[i];
	return NULL;
}

struct ipc_route *net_need_route(struct net_node *n, const struct prefix *p)
{
	struct ipc_route *r = net_route(n, p);

	CHECK(r);
	return r;
}

static void on_route(struct net_node *n, const struct ipc_msg *m)
{
	struct ipc_route *r = net_route(n, &m->route.prefix);

	if (m->type == IPC_ROUTE) {
		if (!r)
			r = &n->routes[n->nroutes++];
		assert_true(n->nroutes <= NET_ROUTES);
		*r = m->route;
	} else if (r) {
		*r = n->routes[--n->nroutes];
	}
}

static size_t watch_of(const struct net_node *n, const struct addr *a)
{
	size_t i = 0;

	while (i < n->nwatching && !addr_eq(&n->watching[i], a))
		i++;
	return i;
}

bool net_watches(const struct net *t, int node, const struct addr *a)
{
	return watch_of(&t->nodes[node], a) < t->nodes[node].nwatching;
}

/* Each next hop once. */
static void watch(struct net_node *n, const struct addr *a)
{
	assert_true(watch_of(n, a) == n->nwatching && n->nwatching < ARRAY_SIZE(n->watching));
	n->watching[n->nwatching++] = *a;
	n->watches++;
}

static void unwatch(struct net_node *n, const struct addr *a)
{
	size_t i = watch_of(n, a);

	assert_true(i < n->nwatching);
	n->watching[i] = n->watching[--n->nwatching];
}

static void on_up(void *arg, const struct ipc_msg *m)
{
	struct net_node *n = arg;

	n->told++;
	switch (m->type) {
	case IPC_ROUTE:
	case IPC_ROUTE_GONE:
		on_route(n, m);
		break;
	case IPC_PEER_STATE:
		for (int i = 0; i < NET_NODES; i++) {
			struct addr a = net_addr(i);
			if (addr_eq(&a, &m->state.remote))
				n->peers[i] = m->state;
		}
		break;
	case IPC_SYNCED:
		n->synced++;
		n->synced_at = n->net->now;
		break;
	case IPC_PATH:
		assert_true(n->npaths < ARRAY_SIZE(n->paths));
		n->paths[n->npaths++] = m->path;
		break;
	case IPC_DUMP_END:
		n->dump_ends++;
		break;
	case IPC_WATCH:
		watch(n, &m->nexthop.addr);
		break;
	case IPC_UNWATCH:
		unwatch(n, &m->nexthop.addr);
		break;
	default:
		fail();
	}
}

static void on_key(void *arg, const struct addr *remote, const char *password)
{
	struct net_node *n = arg;

	n->keys++;
	n->key_of = *remote;
	snprintf(n->key, sizeof(n->key), "%s", password);
}

static bool on_up_ready(void *arg)
{
	return !((struct net_node *)arg)->deaf;
}

void net_start(struct net *t, int i)
{
	struct net_node *n = &t->nodes[i];
	struct speaker_io io = { n, on_dial, on_send, on_close, on_up, on_up_ready, NULL, NULL, on_key };

	*n = (struct net_node){ .net = t, .number = i };
	n->s = speaker_new(&io, &t->timers, prng_next(&t->r), t->now);
	speaker_on_agent(n->s, true, t->now);
}

void net_agent(struct net *t, int node, bool connected)
{
	struct net_node *n = &t->nodes[node];

	if (connected)
		n->nroutes = n->nwatching = n->synced = 0;
	speaker_on_agent(n->s, connected, t->now);
}

struct net *net_new(int nodes)
{
	struct net *t = xcalloc(1, sizeof(*t));

	t->now = 1000 * SEC;
	t->window = 1 << 20;
	t->r.state = 5;
	timers_init(&t->timers);
	for (int i = 0; i < nodes; i++)
		net_start(t, i);
	return t;
}

static void drop_pipes_of(struct net *t, struct net_node *n)
{
	for (size_t i = 0; i < t->npipes; i++)
		for (int e = 0; e < 2; e++)
			if (t->pipes[i].node[e] == n && t->pipes[i].conn[e])
				on_close(n, t->pipes[i].conn[e]);
}

void net_stop(struct net *t, int i)
{
	speaker_free(t->nodes[i].s);
	t->nodes[i].s = NULL;
	drop_pipes_of(t, &t->nodes[i]);
}

void net_free(struct net *t)
{
	for (int i = 0; i < NET_NODES; i++)
		if (t->nodes[i].s)
			net_stop(t, i);
	assert_true(timers_next(&t->timers) == USEC_NEVER);
	timers_done(&t->timers);
	for (size_t i = 0; i < t->npipes; i++) {
		free(t->pipes[i].buf[0]);
		free(t->pipes[i].buf[1]);
	}
	free(t);
}

uint64_t net_dial(struct net *t, int from, int to)
{
	static uint64_t last; /* far from the speakers' own numbers, and never used twice */
	struct ipc_peer peer = { .remote = net_addr(to) };
	uint64_t conn = (1ull << 40) + ++last;

	on_dial(&t->nodes[from], conn, &peer);
	return conn;
}

void net_send(struct net *t, int node, uint64_t conn, const void *bytes, size_t n)
{
	int end;
	struct net_pipe *p = find(&t->nodes[node], conn, &end);

	CHECK(p && p->up);
	int to = 1 - end;
	p->buf[to] = xrealloc(p->buf[to], p->n[to] + n + 1);
	memcpy(p->buf[to] + p->n[to], bytes, n);
	p->n[to] += n;
}

void net_hang_up(struct net *t, int node, uint64_t conn)
{
	on_close(&t->nodes[node], conn);
}

/* What happens at a node: its speaker's business, or its script's. */

static void tell_connected(struct net *t, struct net_node *n, uint64_t conn, const struct addr *local)
{
	if (n->script)
		n->script->connected(n->script->arg, conn);
	else
		speaker_on_connected(n->s, conn, local, t->now);
}

static void tell_data(struct net *t, struct net_node *n, uint64_t conn, const uint8_t *bytes, size_t k)
{
	if (n->script)
		n->script->data(n->script->arg, conn, bytes, k);
	else
		speaker_on_data(n->s, conn, bytes, k, t->now);
}

static void tell_closed(struct net *t, struct net_node *n, uint64_t conn, int error)
{
	if (n->script)
		n->script->closed(n->script->arg, conn);
	else
		speaker_on_closed(n->s, conn, error, t->now);
}

static void tell_writable(struct net *t, struct net_node *n, uint64_t conn)
{
	if (n->s)
		speaker_on_writable(n->s, conn, t->now);
}

static void refuse(struct net *t, struct net_pipe *p, int error)
{
	uint64_t conn = p->conn[0];

	p->conn[0] = 0;
	tell_closed(t, p->node[0], conn, error);
}

static void answer(struct net *t, struct net_pipe *p)
{
	struct net_node *a = p->node[0], *b = p->node[1];
	struct addr from = net_addr(a->number);

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
	struct addr to = net_addr(b->number);
	p->up = true;
	p->conn[1] = speaker_on_accept(b->s, &to, &from, t->now);
	p->fin[0] = !p->conn[1];
	tell_connected(t, a, p->conn[0], &from);
}

static bool deliver(struct net *t, struct net_pipe *p, int end)
{
	struct net_node *n = p->node[end];
	uint64_t conn = p->conn[end];

	if (!conn || p->dead || t->now < p->ready[end])
		return false;
	if (p->n[end]) {
		p->ready[end] = p->pace[end] ? t->now + p->pace[end] : 0;
		uint8_t *bytes = p->buf[end];
		size_t k = p->n[end];
		p->buf[end] = NULL;
		p->n[end] = 0;
		p->taken[end] += k;
		tell_data(t, n, conn, bytes, k);
		free(bytes);
	} else if (p->fin[end]) {
		p->conn[end] = 0;
		tell_closed(t, n, conn, 0);
	} else if (p->full[end] && p->conn[1 - end] && p->window[end]) {
		p->full[end] = false;
		tell_writable(t, p->node[1 - end], p->conn[1 - end]);
	} else {
		return false;
	}
	return true;
}

static void turns(struct net *t)
{
	for (int i = 0; i < NET_NODES; i++)
		if (t->nodes[i].s)
			speaker_turn(t->nodes[i].s, t->now);
}

/* Everything that happens at this moment. */
static bool moment(struct net *t)
{
	bool moved = false;

	for (size_t i = 0; i < t->npipes; i++) {
		struct net_pipe *p = &t->pipes[i];
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

	for (size_t i = 0; i < t->npipes; i++) {
		const struct net_pipe *p = &t->pipes[i];
		if (!p->up && p->conn[0] && p->due < next)
			next = p->due;
		for (int e = 0; e < 2; e++)
			if (p->conn[e] && p->ready[e] > t->now && p->ready[e] < next)
				next = p->ready[e];
	}
	return next;
}

void net_run(struct net *t, usec_t span)
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

void net_say(struct net *t, int node, const struct ipc_msg *m)
{
	speaker_on_ipc(t->nodes[node].s, m, t->now);
}

void net_config(struct net *t, int node, uint16_t restart)
{
	struct ipc_msg m = { .type = IPC_CONFIG };
	struct addr a = net_addr(node);

	m.config = (struct ipc_config){
		.asn = 64512, .router_id = addr_to_v4(&a), .hold_time = 90, .restart_time = restart
	};
	net_say(t, node, &m);
}

struct ipc_peer net_peer_conf(int from, int to, bool passive)
{
	struct ipc_peer p = { .remote = net_addr(to),
			      .local = net_addr(from),
			      .port = 179,
			      .remote_asn = 64512,
			      .passive = passive,
			      .families = IPC_FAMILY_V4 };

	snprintf(p.name, sizeof(p.name), "node%d", to);
	return p;
}

void net_peer(struct net *t, int from, int to, bool passive)
{
	struct ipc_msg m = { .type = IPC_PEER, .peer = net_peer_conf(from, to, passive) };

	net_say(t, from, &m);
}

void net_peer_gone(struct net *t, int from, int to)
{
	struct ipc_msg m = { .type = IPC_PEER_GONE };

	m.peer.remote = net_addr(to);
	net_say(t, from, &m);
}

void net_origin(struct net *t, int node, int i, bool there)
{
	struct ipc_msg m = { .type = there ? IPC_ORIGIN : IPC_ORIGIN_GONE };

	m.origin.prefix = net_block(node, i);
	net_say(t, node, &m);
}

void net_stated(struct net *t, int node)
{
	struct ipc_msg m = { .type = IPC_STATED };

	net_say(t, node, &m);
}

void net_policy(struct net *t, int node, uint16_t id, bool otherwise, const struct policy_rule *rules,
		size_t n)
{
	struct ipc_msg m = { .type = IPC_POLICY };

	m.policy = (struct ipc_policy){ .id = id, .otherwise = otherwise, .name = "a policy" };
	net_say(t, node, &m);
	for (size_t i = 0; i < n; i++) {
		struct ipc_msg rule = { .type = IPC_RULE, .rule = { id, rules[i] } };
		net_say(t, node, &rule);
	}
	m.type = IPC_POLICY_END;
	net_say(t, node, &m);
}

void net_nexthop(struct net *t, int node, const struct addr *a, bool reachable, uint32_t metric)
{
	struct ipc_msg m = { .type = IPC_NEXTHOP };

	m.nexthop = (struct ipc_nexthop){ *a, reachable, metric, "eth0" };
	net_say(t, node, &m);
}

size_t net_dump(struct net *t, int node, const struct prefix *p)
{
	struct ipc_msg m = { .type = IPC_DUMP, .dump = { .id = 1, .prefix = *p } };

	t->nodes[node].npaths = 0;
	net_say(t, node, &m);
	net_run(t, MSEC);
	return t->nodes[node].npaths;
}

void net_mesh_node(struct net *t, int node, int nodes, uint16_t restart, bool both_dial)
{
	net_config(t, node, restart);
	for (int j = 0; j < nodes; j++)
		if (j != node)
			net_peer(t, node, j, !both_dial && node < j);
	net_origin(t, node, 0, true);
	net_stated(t, node);
}

bool net_established(const struct net *t, int from, int to)
{
	return t->nodes[from].peers[to].state == IPC_ESTABLISHED;
}

bool net_has_via(struct net *t, int node, const struct prefix *p, int via)
{
	struct ipc_route *r = net_route(&t->nodes[node], p);
	struct addr a = net_addr(via);

	return r && !r->own && r->nhops == 1 && addr_eq(&r->nexthop[0], &a) && addr_eq(&r->peer[0], &a);
}

bool net_mesh_is_complete(struct net *t, int nodes)
{
	for (int i = 0; i < nodes; i++) {
		if (t->nodes[i].nroutes != (size_t)nodes)
			return false;
		for (int j = 0; j < nodes; j++) {
			struct prefix p = net_block(j, 0);
			if (i != j && (!net_established(t, i, j) || !net_has_via(t, i, &p, j)))
				return false;
		}
	}
	return true;
}

size_t net_open_pipes(const struct net *t)
{
	size_t n = 0;

	for (size_t i = 0; i < t->npipes; i++)
		n += t->pipes[i].up && t->pipes[i].conn[0] && t->pipes[i].conn[1];
	return n;
}
