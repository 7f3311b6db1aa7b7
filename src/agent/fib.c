/* Best routes from the speaker, next hops from the kernel, wanted routes out of both. */
#include "agent/fib.h"

#include "agent/agent.h"
#include "base/log.h"
#include "kern/link.h"

#include <stdio.h>

/* ---- next hops ---- */

static bool own_address(const struct agent *a, const struct addr *addr)
{
	const struct node *me = world_me(&a->world);

	return me && (addr_eq(&me->ipv4, addr) || addr_eq(&me->ipv6, addr));
}

/* The metric of a route as a next hop's: IPv6 routes have 1024 from the kernel where nobody chose one. */
static uint32_t metric_of(const struct route *r)
{
	bool none = !r->metric || (r->dst.addr.family == AF_INET6 && r->metric == 1024);

	if (!addr_is_set(&r->hops[0].gateway))
		return 0;
	return none ? UINT32_MAX : r->metric;
}

/* Thousands of next hops are on the same interface: its name is asked for once per look. */
static void name_interface(struct agent *a, struct fib_nexthop *nh)
{
	struct fib *f = &a->fib;
	struct link l;

	memset(nh->ifname, 0, sizeof(nh->ifname));
	if (!nh->hop.ifindex)
		return;
	if (f->named != nh->hop.ifindex) {
		memset(f->ifname, 0, sizeof(f->ifname));
		if (link_get_index(a->nl, nh->hop.ifindex, &l, NULL) == 0)
			snprintf(f->ifname, sizeof(f->ifname), "%s", l.name);
		f->named = nh->hop.ifindex;
	}
	memcpy(nh->ifname, f->ifname, sizeof(nh->ifname));
}

static void count_gateway(struct fib *f, struct fib_nexthop *nh)
{
	bool counts = nh->users && nh->resolved && nh->connected;

	f->gateways += (size_t)counts - (size_t)nh->counted;
	nh->counted = counts;
}

/* Asks the kernel how nh is reached now; true if the answer differs from before. */
static bool resolve(struct agent *a, struct fib_nexthop *nh)
{
	struct route_query q = { .dst = nh->addr, .fibmatch = true };
	struct route r;
	struct fib_nexthop was = *nh;

	nh->resolved = nh->connected = false;
	nh->metric = UINT32_MAX;
	memset(&nh->hop, 0, sizeof(nh->hop));
	if (!nh->excess && !own_address(a, &nh->addr) && route_get(a->nl, &q, &r, NULL) == 0 &&
	    r.type == RTN_UNICAST && r.protocol != ROUTE_PROTO_BIRD && r.nhops > 0) {
		nh->resolved = true;
		nh->hop = r.hops[0];
		nh->metric = metric_of(&r);
		nh->connected = !addr_is_set(&r.hops[0].gateway);
		if (nh->connected)
			nh->hop.gateway = nh->addr;
	}
	name_interface(a, nh);
	count_gateway(&a->fib, nh);
	return was.resolved != nh->resolved || was.hop.ifindex != nh->hop.ifindex ||
	       was.metric != nh->metric || strcmp(was.ifname, nh->ifname) != 0 ||
	       !addr_eq(&was.hop.gateway, &nh->hop.gateway);
}

static bool is_excess(struct agent *a, const struct addr *addr)
{
	struct peer_entry *peer;

	if (map_count(a->fib.nexthops) < FIB_NEXTHOPS_MAX)
		return false;
	map_find(a->peers.map, addr, peer);
	if (peer)
		return false;
	if (!a->fib.excess_told)
		log_warn("peers have named more than %d next hops; routes over further ones are unreachable",
			 FIB_NEXTHOPS_MAX);
	a->fib.excess_told = true;
	return true;
}

static struct fib_nexthop *nexthop_of(struct agent *a, const struct addr *addr)
{
	struct fib_nexthop *nh;

	map_find(a->fib.nexthops, addr, nh);
	if (!nh) {
		nh = xcalloc(1, sizeof(*nh));
		nh->addr = *addr;
		nh->excess = is_excess(a, addr);
		map_add(a->fib.nexthops, addr, nh);
		resolve(a, nh);
	}
	return nh;
}

static void drop_if_unused(struct fib *f, struct fib_nexthop *nh)
{
	count_gateway(f, nh);
	if (nh->users || nh->watched)
		return;
	map_del(f->nexthops, nh);
	free(nh);
}

/* ---- for the speaker ---- */

static void tell(struct agent *a, const struct fib_nexthop *nh)
{
	struct ipc_msg m = { .type = IPC_NEXTHOP };

	m.nexthop.addr = nh->addr;
	m.nexthop.reachable = nh->resolved;
	m.nexthop.metric = nh->metric;
	memcpy(m.nexthop.ifname, nh->ifname, sizeof(nh->ifname));
	a->io.to_speaker(a->io.arg, &m);
}

/* One too many is answered, but not kept: a speaker that watches millions takes no memory of ours. */
static void tell_excess(struct agent *a, const struct addr *addr)
{
	struct fib_nexthop nh = { .addr = *addr, .metric = UINT32_MAX };

	tell(a, &nh);
}

void fib_on_watch(struct agent *a, const struct addr *addr)
{
	struct fib_nexthop *nh;

	map_find(a->fib.nexthops, addr, nh);
	if (!nh && is_excess(a, addr)) {
		tell_excess(a, addr);
		return;
	}
	nh = nexthop_of(a, addr);
	nh->watched = true;
	nh->stamp = a->fib.stamp;
	tell(a, nh);
}

static void unwatch(struct fib *f, struct fib_nexthop *nh)
{
	nh->watched = false;
	drop_if_unused(f, nh);
}

void fib_on_unwatch(struct agent *a, const struct addr *addr)
{
	struct fib_nexthop *nh;

	map_find(a->fib.nexthops, addr, nh);
	if (nh)
		unwatch(&a->fib, nh);
}

/* ---- paths ---- */

/* How routes with these paths lead on, by what is known of their next hops now; true if that is new. */
static bool direct(struct agent *a, struct fib_paths *p)
{
	struct routes *rs = &a->routes;
	struct route how = { .type = RTN_UNICAST, .protocol = ROUTE_PROTO_BIRD, .scope = RT_SCOPE_UNIVERSE };
	struct route_via *old = p->via;
	uint32_t old_nhid = p->nhid;

	for (size_t i = 0; i < p->n && how.nhops < ROUTE_HOPS_MAX; i++)
		if (p->hops[i]->resolved)
			how.hops[how.nhops++] = p->hops[i]->hop;
	if (!how.nhops)
		how.type = RTN_UNREACHABLE;
	p->nhid = how.nhops == 1 ? nhobj_get(&rs->objects, &how.hops[0]) : 0;
	how.nhid = p->nhid;
	p->via = routes_via(rs, &how);
	routes_via_put(rs, old);
	nhobj_put(&rs->objects, old_nhid);
	return p->via != old;
}

static struct fib_paths *paths_get(struct agent *a, const struct ipc_route *r)
{
	struct fib_nexthop *hops[IPC_PATHS_MAX];
	size_t n = MIN(r->nhops, (size_t)IPC_PATHS_MAX);
	struct fib_paths *p;

	for (size_t i = 0; i < n; i++)
		hops[i] = nexthop_of(a, &r->nexthop[i]);
	HASH_FIND(hh, a->fib.paths, hops, n * sizeof(hops[0]), p);
	if (!p) {
		p = xcalloc(1, sizeof(*p) + n * sizeof(hops[0]));
		p->n = (uint8_t)n;
		memcpy(p->hops, hops, n * sizeof(hops[0]));
		HASH_ADD_KEYPTR(hh, a->fib.paths, p->hops, n * sizeof(hops[0]), p);
		for (size_t i = 0; i < n; i++) {
			hops[i]->users++;
			count_gateway(&a->fib, hops[i]);
		}
		direct(a, p);
	}
	p->users++;
	return p;
}

static void paths_put(struct agent *a, struct fib_paths *p)
{
	if (!p || --p->users)
		return;
	for (size_t i = 0; i < p->n; i++) {
		p->hops[i]->users--;
		/* One that is there twice goes with the last. */
		if (!p->hops[i]->users)
			drop_if_unused(&a->fib, p->hops[i]);
	}
	routes_via_put(&a->routes, p->via);
	nhobj_put(&a->routes.objects, p->nhid);
	map_del(a->fib.paths, p);
	free(p);
}

/* ---- connected networks ---- */

static struct fib_connected *connected_find(const struct fib *f, const struct prefix *net)
{
	struct fib_connected *c;

	map_find(f->connected_nets, net, c);
	return c;
}

void fib_connected_begin(struct fib *f)
{
	f->connected_stamp++;
}

void fib_connected_seen(struct fib *f, const struct prefix *net)
{
	struct fib_connected *c = connected_find(f, net);

	if (!c) {
		c = xcalloc(1, sizeof(*c));
		c->prefix = *net;
		map_add(f->connected_nets, prefix, c);
		f->restate = true;
	}
	c->stamp = f->connected_stamp;
}

void fib_connected_end(struct fib *f)
{
	struct fib_connected *c, *tmp;

	map_each (f->connected_nets, c, tmp) {
		if (c->stamp == f->connected_stamp)
			continue;
		map_del(f->connected_nets, c);
		free(c);
		f->restate = true;
	}
}

static bool has_peer(const struct peers *p, const struct prefix *net)
{
	struct peer_entry *en, *tmp;

	map_each (p->map, en, tmp)
		if (prefix_has(net, &en->remote))
			return true;
	return false;
}

static bool is_ours_alone(const struct agent *a, const struct prefix *net)
{
	struct fib_connected *c, *tmp;
	bool inside = false;

	if (connected_find(&a->fib, net))
		return true;
	map_each (a->fib.connected_nets, c, tmp)
		inside |= prefix_covers(&c->prefix, net);
	return inside && has_peer(&a->peers, net);
}

/* ---- prefixes ---- */

static void want(struct agent *a, struct route_entry *en)
{
	if (is_ours_alone(a, &en->dst))
		routes_unwant_entry(&a->routes, ROUTES_FIB, en);
	else
		routes_want_via(&a->routes, ROUTES_FIB, en, en->learned->via);
}

static void forget(struct agent *a, struct route_entry *en)
{
	paths_put(a, en->learned);
	a->fib.count--;
	routes_unlearned(&a->routes, en);
}

static struct route_entry *learned_find(const struct agent *a, const struct prefix *p)
{
	struct route_entry *en = routes_find(&a->routes, RT_TABLE_MAIN, p);

	return en && en->learned ? en : NULL;
}

const struct fib_paths *fib_find(const struct agent *a, const struct prefix *p)
{
	const struct route_entry *en = learned_find(a, p);

	return en ? en->learned : NULL;
}

void fib_on_route(struct agent *a, const struct ipc_route *r)
{
	struct fib_paths *paths, *old;

	agent_wake(a, 0);
	if (r->own || !r->nhops) {
		fib_on_gone(a, &r->prefix);
		return;
	}
	/* The new next hops are taken before the old ones are let go, so that a shared one is not resolved
	 * again. */
	paths = paths_get(a, r);
	struct route_entry *en = routes_entry(&a->routes, RT_TABLE_MAIN, &r->prefix);
	old = en->learned;
	a->fib.count += !old;
	en->learned = paths;
	en->told = a->fib.stamp;
	want(a, en);
	paths_put(a, old);
}

void fib_on_gone(struct agent *a, const struct prefix *prefix)
{
	struct route_entry *en = learned_find(a, prefix);

	if (en)
		forget(a, en);
	agent_wake(a, 0);
}

void fib_on_speaker(struct agent *a)
{
	a->fib.stamp++;
	a->fib.synced = false;
}

void fib_on_synced(struct agent *a)
{
	struct fib *f = &a->fib;
	struct fib_nexthop *nh, *tmp;
	struct route_entry *en;

	routes_each(&a->routes, en) if (en->learned && en->told != f->stamp) forget(a, en);
	map_each (f->nexthops, nh, tmp)
		if (nh->watched && nh->stamp != f->stamp)
			unwatch(f, nh);
	f->synced = f->ever_synced = true;
	agent_wake(a, 0);
}

void fib_restate(struct agent *a)
{
	struct route_entry *en;

	a->fib.restate = false;
	routes_each(&a->routes, en) if (en->learned) want(a, en);
}

/* Works out again how paths lead on; those of all, or only those over a next hop that has changed. */
static void redirect(struct agent *a, bool all)
{
	struct fib_paths *p, *tmp;
	bool changed = false;

	map_each (a->fib.paths, p, tmp) {
		bool touched = all;
		for (size_t i = 0; i < p->n; i++)
			touched |= p->hops[i]->changed;
		if (touched)
			changed |= direct(a, p);
	}
	if (changed)
		fib_restate(a);
}

void fib_derive(struct agent *a)
{
	struct fib_nexthop *nh, *tmp;
	bool changed = false;

	a->fib.named = 0;
	map_each (a->fib.nexthops, nh, tmp) {
		nh->changed = resolve(a, nh);
		changed |= nh->changed;
		if (nh->changed && nh->watched)
			tell(a, nh);
	}
	if (changed)
		redirect(a, false);
	map_each (a->fib.nexthops, nh, tmp)
		nh->changed = false;
}

void fib_use_objects(struct agent *a)
{
	nhobj_gateways(&a->routes.objects, a->fib.gateways, a->fib.synced);
	if (nhobj_take_changed(&a->routes.objects))
		redirect(a, true);
}

void fib_done(struct agent *a)
{
	struct fib *f = &a->fib;
	struct route_entry *en;
	struct fib_nexthop *nh, *tnh;
	struct origin_entry *o, *to;
	struct fib_connected *c, *tc;

	map_each (f->connected_nets, c, tc) {
		map_del(f->connected_nets, c);
		free(c);
	}
	routes_each(&a->routes, en) if (en->learned) forget(a, en);
	map_each (f->nexthops, nh, tnh)
		unwatch(f, nh);
	map_each (f->origins, o, to) {
		map_del(f->origins, o);
		free(o);
	}
}
