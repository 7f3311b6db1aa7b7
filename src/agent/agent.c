/*
 * The turn of the agent: events have changed the world and set dirty bits; agent_settle() runs the
 * derivations in their order, applies the differences and answers who waited.
 */
#include "agent/agent.h"

#include "agent/origins.h"
#include "agent/podlink.h"
#include "base/log.h"

#include <linux/if.h>
#include <stdio.h>

/* ---- the order of the world. Everything it derives goes down this list; routes are then applied in one
 * batch ---- */

static const struct derivation {
	unsigned when;
	void (*derive)(struct agent *a);
} order[] = {
	{ DIRTY_PODS | DIRTY_LINKS | DIRTY_NODES, pods_derive },
	{ DIRTY_BLOCKS | DIRTY_POOLS | DIRTY_PODS, origins_derive },
	{ DIRTY_NODES | DIRTY_CONFIG, peers_derive },
	{ DIRTY_LINKS | DIRTY_NODES, fib_derive },
	{ DIRTY_NODES, crowd_derive },
};

/* Nothing is deleted before every source of its class has spoken. */
static unsigned may_delete(const struct agent *a)
{
	unsigned store = a->world.synced ? 1u << ROUTES_POD | 1u << ROUTES_BLOCK | 1u << ROUTES_GATEWAY : 0;
	unsigned speaker = a->world.synced && a->fib.synced ? 1u << ROUTES_FIB : 0;

	return store | speaker;
}

static void try_later(struct agent *a)
{
	if (!timer_armed(&a->retry))
		timer_start(a->timers, &a->retry, a->io.now(a->io.arg) + AGENT_RETRY);
}

/* Every address of both families; with bindMode NodeIP only the node's own, and nothing while it has none. */
static size_t where_to_listen(const struct agent *a, struct ipc_listen ret[static 2])
{
	const struct node *me = world_me(&a->world);
	const struct addr any[] = { { .family = AF_INET }, { .family = AF_INET6 } };
	const struct addr own[] = { me ? me->ipv4 : (struct addr){ 0 }, me ? me->ipv6 : (struct addr){ 0 } };
	const struct addr *from = world_binds_node_ip(&a->world) ? own : any;
	size_t n = 0;

	for (size_t i = 0; i < ARRAY_SIZE(any); i++)
		if (from[i].family)
			ret[n++] = (struct ipc_listen){ .addr = from[i], .port = world_port(&a->world) };
	return n;
}

static bool listens_there(const struct agent *a, const struct ipc_listen *where, size_t n)
{
	bool same = a->listening && a->nlisten == n;

	for (size_t i = 0; same && i < n; i++)
		same = addr_eq(&a->listen[i].addr, &where[i].addr) && a->listen[i].port == where[i].port;
	return same;
}

static void listen_as_configured(struct agent *a)
{
	struct ipc_listen where[ARRAY_SIZE(a->listen)];
	size_t n = where_to_listen(a, where);
	struct err e = { 0 };

	if (!a->world.synced || !a->fib.connected || listens_there(a, where, n))
		return;
	if (a->io.listen(a->io.arg, where, n, &e) < 0) {
		/* Tried again in every turn, said once. */
		if (strcmp(a->listen_fault, e.msg) != 0)
			log_error("%s", e.msg);
		snprintf(a->listen_fault, sizeof(a->listen_fault), "%s", e.msg);
		try_later(a);
		return;
	}
	a->listen_fault[0] = '\0';
	a->listening = true;
	a->nlisten = n;
	memcpy(a->listen, where, n * sizeof(where[0]));
}

static void tell_stated(struct agent *a)
{
	struct ipc_msg m = { .type = IPC_STATED };

	/* Without a Node of our own there is nothing to configure: then that is all, and old peers go. */
	if (a->stating && a->world.synced && (a->peers.config_told || !world_me(&a->world))) {
		a->io.to_speaker(a->io.arg, &m);
		a->stating = false;
	}
}

static void apply_routes(struct agent *a)
{
	struct err e = { 0 };
	enum routes_left left =
		routes_apply(&a->routes, a->nl, a->writer, may_delete(a), AGENT_ROUTE_BUDGET, &e);

	if (left == ROUTES_MORE)
		a->io.soon(a->io.arg);
	else if (left == ROUTES_LATER)
		try_later(a);
	if (e.code)
		log_err(&e, "program routes");
	/* Whether objects can be used shows when the first is made. */
	if (a->routes.objects.changed)
		a->io.soon(a->io.arg);
	/* Not at once: what crossed our route may have come, or be about to go. */
	if (routes_take_puzzled(&a->routes))
		timer_start(a->timers, &a->compare, a->io.now(a->io.arg) + AGENT_RETRY);
}

void agent_settle(struct agent *a)
{
	unsigned dirty = a->world.dirty;

	a->world.dirty = 0;
	a->settling = true;
	if (dirty & (DIRTY_LINKS | DIRTY_NODES)) {
		struct err e = { 0 };
		if (pods_find_uplink(a, &e) < 0)
			log_err(&e, "look at the host's addresses");
	}
	for (size_t i = 0; i < ARRAY_SIZE(order); i++)
		if (dirty & order[i].when)
			order[i].derive(a);
	fib_use_objects(a);
	if (routes_take_released(&a->routes) || a->fib.restate)
		fib_restate(a);
	listen_as_configured(a);
	tell_stated(a);
	apply_routes(a);
	a->settling = false;
	pods_answer(a);
}

void agent_wake(struct agent *a, unsigned dirty)
{
	a->world.dirty |= dirty;
	if (!a->settling || dirty)
		a->io.soon(a->io.arg);
}

/* ---- the kernel ---- */

/* Which of our classes a kernel route belongs to, or ROUTES_CLASSES if it is foreign. */
static enum route_class class_of(const struct agent *a, const struct route *r)
{
	struct addr gw = podlink_gateway(AF_INET);

	if (r->table == RT_TABLE_LOCAL)
		return r->protocol == ROUTE_PROTO_BIRD && prefix_has(&r->dst, &gw) && r->dst.len == 32
			       ? ROUTES_GATEWAY
			       : ROUTES_CLASSES;
	if (r->table != RT_TABLE_MAIN)
		return ROUTES_CLASSES;
	if (r->protocol == ROUTE_PROTO_BIRD)
		return r->type == RTN_BLACKHOLE ? ROUTES_BLOCK : ROUTES_FIB;
	if (r->protocol == RTPROT_KERNEL || r->nhops != 1)
		return ROUTES_CLASSES;
	return pods_is_iface(&a->pods, r->hops[0].ifindex) ? ROUTES_POD : ROUTES_CLASSES;
}

static void on_dumped_route(void *arg, const struct route *r)
{
	struct agent *a = arg;
	enum route_class c = class_of(a, r);

	if (c != ROUTES_CLASSES)
		routes_seen(&a->routes, c, r);
}

static void on_dumped_object(void *arg, const struct nexthop *nh)
{
	nhobj_seen(&((struct agent *)arg)->routes.objects, nh);
}

static int compare_objects(struct agent *a, struct err *e)
{
	struct nhobjs *o = &a->routes.objects;
	struct err fault = { 0 };

	nhobj_dump_begin(o);
	int r = nexthop_dump(a->nl, ROUTE_PROTO_BIRD, on_dumped_object, a, &fault);
	/* A kernel without them has none. */
	if (r < 0 && r != -EOPNOTSUPP) {
		*e = fault;
		return r;
	}
	nhobj_dump_end(o);
	return 0;
}

/* Dump and compare: at the start, after lost events and every minute. */
static int compare_kernel(struct agent *a, struct err *e)
{
	routes_land(&a->routes, a->writer, true);
	if (pods_look(a, e) < 0 || pods_find_uplink(a, e) < 0)
		return -e->code;
	if (compare_objects(a, e) < 0)
		return -e->code;
	routes_dump_begin(&a->routes);
	if (route_dump(a->nl, 0, RT_TABLE_MAIN, 0, on_dumped_route, a, e) < 0 ||
	    route_dump(a->nl, AF_INET, RT_TABLE_LOCAL, ROUTE_PROTO_BIRD, on_dumped_route, a, e) < 0)
		return -e->code;
	routes_dump_end(&a->routes);
	agent_wake(a, DIRTY_LINKS | DIRTY_PODS);
	return 0;
}

static void on_compare(struct timer *t, usec_t now)
{
	struct agent *a = container_of(t, struct agent, compare);
	struct err e = { 0 };

	bool done = compare_kernel(a, &e) == 0;

	if (!done)
		log_err(&e, "compare the kernel's routes");
	timer_start(a->timers, &a->compare, now + (done ? AGENT_COMPARE_PERIOD : AGENT_RETRY));
}

static void on_retry(struct timer *t, usec_t now)
{
	agent_wake(container_of(t, struct agent, retry), DIRTY_LINKS);
}

static void on_route_event(struct agent *a, const struct monitor_event *ev)
{
	enum route_class c = class_of(a, &ev->route);

	if (c == ROUTES_CLASSES) {
		/* A foreign route may carry our next hops; one over a pod's interface does not. */
		if (ev->route.table == RT_TABLE_MAIN &&
		    !(ev->route.nhops && pods_is_iface(&a->pods, ev->route.hops[0].ifindex)))
			agent_wake(a, DIRTY_LINKS);
		return;
	}
	if (ev->gone)
		routes_seen_gone(&a->routes, &ev->route);
	else
		routes_seen(&a->routes, c, &ev->route);
	agent_wake(a, 0);
}

/* Pods come and go all the time: their interfaces carry no next hops and are understood one by one. */
static void on_link_event(struct agent *a, const struct monitor_event *ev)
{
	bool pods = pods_is_iface(&a->pods, ev->link.ifindex);

	pods_on_link(a, &ev->link, ev->gone);
	bool down = ev->gone || !(ev->link.flags & IFF_UP);
	/* As the kernel itself judges carrier when it drops nexthop objects. */
	bool lost = !(ev->link.flags & (IFF_RUNNING | IFF_LOWER_UP));
	if (down || lost)
		routes_seen_link_down(&a->routes, ev->link.ifindex, !down);
	if (!pods && !pods_is_iface(&a->pods, ev->link.ifindex))
		agent_wake(a, DIRTY_LINKS);
}

void agent_on_written(struct agent *a)
{
	routes_land(&a->routes, a->writer, false);
	agent_wake(a, 0);
}

void agent_on_kernel(struct agent *a, const struct monitor_event *ev)
{
	routes_land(&a->routes, a->writer, true);
	switch (ev->what) {
	case MONITOR_LINK:
		on_link_event(a, ev);
		break;
	case MONITOR_ADDR:
		if (!pods_is_iface(&a->pods, ev->addr.ifindex))
			agent_wake(a, DIRTY_LINKS);
		break;
	case MONITOR_ROUTE:
		on_route_event(a, ev);
		break;
	case MONITOR_OVERRUN:
		log_warn("the kernel's events overran; comparing everything");
		on_compare(&a->compare, a->io.now(a->io.arg));
		break;
	case MONITOR_NEXTHOP:
		if (ev->gone) {
			routes_seen_object_gone(&a->routes, ev->nexthop.id);
			agent_wake(a, 0);
		}
		break;
	case MONITOR_NEIGH:
		break;
	}
}

/* ---- the speaker ---- */

void agent_on_speaker(struct agent *a, bool connected, bool fresh)
{
	a->fib.connected = connected;
	if (!connected)
		return;
	fib_on_speaker(a);
	/* Also one that was there before may have missed the last sockets; what it has, it is not given
	 * again.
	 */
	a->listening = false;
	peers_restate(a);
	origins_restate(a);
	a->stating = true;
	agent_wake(a, DIRTY_NODES | DIRTY_CONFIG | DIRTY_BLOCKS);
}

void agent_on_ipc(struct agent *a, const struct ipc_msg *m)
{
	switch (m->type) {
	case IPC_ROUTE:
		fib_on_route(a, &m->route);
		break;
	case IPC_ROUTE_GONE:
		fib_on_gone(a, &m->route.prefix);
		break;
	case IPC_WATCH:
		fib_on_watch(a, &m->nexthop.addr);
		break;
	case IPC_UNWATCH:
		fib_on_unwatch(a, &m->nexthop.addr);
		break;
	case IPC_SYNCED:
		fib_on_synced(a);
		break;
	case IPC_PEER_STATE:
		peers_on_state(a, &m->state);
		break;
	default:
		break;
	}
}

/* ---- the store ---- */

static void on_store(void *arg, enum store_event ev, const struct store_obj *obj, const struct err *fault)
{
	struct agent *a = arg;
	struct err e = { 0 };

	if (ev == STORE_LOST) {
		if (!a->world.store_lost)
			log_warn("datastore: %s", fault ? fault->msg : "lost");
		snprintf(a->world.store_fault, sizeof(a->world.store_fault), "%.199s",
			 fault ? fault->msg : "");
	}
	if (world_on_event(&a->world, ev, obj, &e) < 0)
		log_err(&e, "left out of use");
	agent_wake(a, 0);
}

/* ---- readiness ---- */

bool agent_synced(const struct agent *a, char ret_reason[static ERR_MSG_MAX])
{
	const struct world *w = &a->world;

	if (!w->synced || w->store_lost) {
		snprintf(ret_reason, ERR_MSG_MAX, "the datastore %s%s%.190s",
			 w->synced ? "cannot be reached" : "has not been read yet",
			 w->store_fault[0] ? ": " : "", w->store_fault);
		return false;
	}
	if (w->has_clusterinfo && !w->datastore_ready) {
		snprintf(ret_reason, ERR_MSG_MAX,
			 "ClusterInformation default says datastoreReady: false, so the datastore is locked "
			 "(an upgrade, a migration)");
		return false;
	}
	return true;
}

bool agent_ready(const struct agent *a, char ret_reason[static ERR_MSG_MAX])
{
	const struct world *w = &a->world;
	const struct node *me = world_me(w);
	struct world_node *n;

	ret_reason[0] = '\0';
	if (!agent_synced(a, ret_reason))
		return false;
	if (!me) {
		snprintf(ret_reason, ERR_MSG_MAX,
			 "there is no Node %s in the datastore; create it with spec.bgp.ipv4Address, or "
			 "start koratd with --node set to its name",
			 w->me);
		return false;
	}
	if (!addr_is_set(&me->ipv4) && !addr_is_set(&me->ipv6)) {
		map_find_str(w->nodes, w->me, n);
		snprintf(ret_reason, ERR_MSG_MAX,
			 "Node %s has no usable address; set spec.bgp.ipv4Address to its address with "
			 "length, such as 10.0.0.1/24%s%s",
			 w->me, n->fault[0] ? ": " : "", n->fault);
		return false;
	}
	if (!a->fib.connected) {
		snprintf(ret_reason, ERR_MSG_MAX, "the BGP speaker of this node is not running");
		return false;
	}
	if (a->listen_fault[0]) {
		snprintf(ret_reason, ERR_MSG_MAX, "%s", a->listen_fault);
		return false;
	}
	return true;
}

/* ---- life ---- */

struct agent *agent_new(const char *me, const struct agent_io *io, struct timers *timers, struct store *store,
			struct nl *nl, struct err *e)
{
	struct agent *a = xcalloc(1, sizeof(*a));

	a->me = me;
	a->io = *io;
	a->timers = timers;
	a->store = store;
	a->nl = nl;
	world_init(&a->world, me);
	alloc_init(&a->alloc, &a->world, store, io->wall, io->arg);
	routes_init(&a->routes);
	a->routes.objects.mode = io->nexthop_objects;
	timer_init(&a->compare, on_compare);
	timer_init(&a->retry, on_retry);
	/* Look before touching: what is in the kernel is known before anything is wanted. */
	if (compare_kernel(a, e) < 0) {
		agent_free(a);
		return NULL;
	}
	timer_start(timers, &a->compare, io->now(io->arg) + AGENT_COMPARE_PERIOD);
	a->follow = store_follow(store, WORLD_KINDS, on_store, a);
	return a;
}

void agent_free(struct agent *a)
{
	if (!a)
		return;
	store_follow_free(a->follow);
	timer_stop(&a->compare);
	timer_stop(&a->retry);
	pods_done(a);
	routes_land(&a->routes, a->writer, true);
	fib_done(a);
	routes_done(&a->routes);
	peers_done(&a->peers);
	world_done(&a->world);
	free(a);
}
