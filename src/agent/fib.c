/* Best routes from the speaker, next hops from the kernel, wanted routes out of both. */
#include "agent/fib.h"

#include "agent/agent.h"
#include "base/log.h"

static struct fib_nexthop **hops_of(struct fib_prefix *p)
{
	return p->n > 1 ? p->hops : &p->hop1;
}

/* ---- next hops ---- */

static bool own_address(const struct agent *a, const struct addr *addr)
{
	const struct node *me = world_me(&a->world);

	return me && (addr_eq(&me->ipv4, addr) || addr_eq(&me->ipv6, addr));
}

/* Asks the kernel how nh is reached now; true if the answer differs from before. */
static bool resolve(struct agent *a, struct fib_nexthop *nh)
{
	struct route_query q = { .dst = nh->addr, .fibmatch = true };
	struct route r;
	bool was_resolved = nh->resolved;
	struct route_hop was = nh->hop;

	nh->resolved = nh->connected = false;
	memset(&nh->hop, 0, sizeof(nh->hop));
	if (!nh->excess && !own_address(a, &nh->addr) && route_get(a->nl, &q, &r, NULL) == 0 &&
	    r.type == RTN_UNICAST && r.protocol != ROUTE_PROTO_BIRD && r.nhops > 0) {
		nh->resolved = true;
		nh->hop = r.hops[0];
		nh->connected = !addr_is_set(&r.hops[0].gateway);
		if (nh->connected)
			nh->hop.gateway = nh->addr;
	}
	return was_resolved != nh->resolved || was.ifindex != nh->hop.ifindex ||
	       !addr_eq(&was.gateway, &nh->hop.gateway);
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

static struct fib_nexthop *nexthop_get(struct agent *a, const struct addr *addr)
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
	nh->users++;
	return nh;
}

static void nexthop_put(struct fib *f, struct fib_nexthop *nh)
{
	if (--nh->users)
		return;
	map_del(f->nexthops, nh);
	free(nh);
}

static void drop_hops(struct fib *f, struct fib_prefix *p)
{
	for (size_t i = 0; i < p->n; i++)
		nexthop_put(f, hops_of(p)[i]);
	free(p->hops);
	p->hops = NULL;
	p->hop1 = NULL;
	p->n = 0;
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

static void want(struct agent *a, struct fib_prefix *p)
{
	struct route r = {
		.dst = p->prefix,
		.table = RT_TABLE_MAIN,
		.type = RTN_UNICAST,
		.protocol = ROUTE_PROTO_BIRD,
		.scope = RT_SCOPE_UNIVERSE,
	};

	if (is_ours_alone(a, &p->prefix)) {
		routes_unwant(&a->routes, ROUTES_FIB, RT_TABLE_MAIN, &p->prefix);
		return;
	}
	for (size_t i = 0; i < p->n && r.nhops < ROUTE_HOPS_MAX; i++)
		if (hops_of(p)[i]->resolved)
			r.hops[r.nhops++] = hops_of(p)[i]->hop;
	if (!r.nhops)
		r.type = RTN_UNREACHABLE;
	routes_want(&a->routes, ROUTES_FIB, &r);
}

static void forget(struct agent *a, struct fib_prefix *p)
{
	routes_unwant(&a->routes, ROUTES_FIB, RT_TABLE_MAIN, &p->prefix);
	drop_hops(&a->fib, p);
	map_del(a->fib.map, p);
	free(p);
}

void fib_on_route(struct agent *a, const struct ipc_route *r)
{
	struct fib *f = &a->fib;
	struct fib_prefix *p;
	struct fib_prefix old = { 0 };

	map_find(f->map, &r->prefix, p);
	if (r->own || !r->nhops) {
		if (p)
			forget(a, p);
		agent_wake(a, 0);
		return;
	}
	if (!p) {
		p = xcalloc(1, sizeof(*p));
		p->prefix = r->prefix;
		map_add(f->map, prefix, p);
	}
	/* The new hops are taken before the old ones are let go, so that a shared one is not resolved again.
	 */
	old.n = p->n;
	old.hop1 = p->hop1;
	old.hops = p->hops;
	p->hops = NULL;
	p->n = r->nhops;
	if (p->n > 1)
		p->hops = xcalloc(p->n, sizeof(struct fib_nexthop *));
	for (size_t i = 0; i < p->n; i++)
		hops_of(p)[i] = nexthop_get(a, &r->nexthop[i]);
	drop_hops(f, &old);
	p->stamp = f->stamp;
	want(a, p);
	agent_wake(a, 0);
}

void fib_on_gone(struct agent *a, const struct prefix *prefix)
{
	struct fib_prefix *p;

	map_find(a->fib.map, prefix, p);
	if (p)
		forget(a, p);
	agent_wake(a, 0);
}

void fib_on_speaker(struct agent *a)
{
	a->fib.stamp++;
	a->fib.synced = false;
}

void fib_on_synced(struct agent *a)
{
	struct fib_prefix *p, *tmp;

	map_each (a->fib.map, p, tmp)
		if (p->stamp != a->fib.stamp)
			forget(a, p);
	a->fib.synced = a->fib.ever_synced = true;
	agent_wake(a, 0);
}

void fib_restate(struct agent *a)
{
	struct fib_prefix *p, *tmp;

	a->fib.restate = false;
	map_each (a->fib.map, p, tmp)
		want(a, p);
}

void fib_derive(struct agent *a)
{
	struct fib_nexthop *nh, *tnh;
	bool changed = false;

	map_each (a->fib.nexthops, nh, tnh)
		changed |= resolve(a, nh);
	if (changed)
		fib_restate(a);
}

void fib_done(struct fib *f)
{
	struct fib_prefix *p, *tp;
	struct origin_entry *o, *to;
	struct fib_connected *c, *tc;

	map_each (f->connected_nets, c, tc) {
		map_del(f->connected_nets, c);
		free(c);
	}
	map_each (f->map, p, tp) {
		drop_hops(f, p);
		map_del(f->map, p);
		free(p);
	}
	map_each (f->origins, o, to) {
		map_del(f->origins, o);
		free(o);
	}
}
