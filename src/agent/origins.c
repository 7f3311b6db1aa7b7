/* Own blocks and borrowed addresses: announced, and blocks backed by a blackhole. */
#include "agent/origins.h"

#include "agent/agent.h"

static void tell(struct agent *a, const struct prefix *p, bool gone)
{
	struct ipc_msg m = { .type = gone ? IPC_ORIGIN_GONE : IPC_ORIGIN, .origin = { .prefix = *p } };

	a->io.to_speaker(a->io.arg, &m);
}

static void want(struct agent *a, const struct prefix *p)
{
	struct fib *f = &a->fib;
	struct origin_entry *o;

	map_find(f->origins, p, o);
	if (!o) {
		o = xcalloc(1, sizeof(*o));
		o->prefix = *p;
		map_add(f->origins, prefix, o);
	}
	delta_want(&o->delta, f->origin_stamp, false);
	if (!o->delta.present)
		tell(a, p, false);
	delta_applied(&o->delta);
}

static void want_blackhole(struct agent *a, const struct prefix *p)
{
	struct route r = {
		.dst = *p,
		.table = RT_TABLE_MAIN,
		.type = RTN_BLACKHOLE,
		.protocol = ROUTE_PROTO_BIRD,
		.scope = RT_SCOPE_UNIVERSE,
	};

	/* A block of a single address is its pod's own route: a blackhole would only be in its way. */
	if (p->len < addr_bits(p->addr.family))
		routes_want(&a->routes, ROUTES_BLOCK, &r);
}

static bool exported(const struct world *w, const struct prefix *p)
{
	const struct ippool *pool = world_pool_of(w, &p->addr);

	return !pool || !pool->disable_bgp_export;
}

static void want_blocks(struct agent *a)
{
	struct world *w = &a->world;
	struct world_affinity *aff, *tmp;

	map_each (w->affinities, aff, tmp) {
		if (strcmp(aff->affinity.host, w->me) != 0 || !world_holds(w, &aff->affinity))
			continue;
		want_blackhole(a, &aff->affinity.cidr);
		if (exported(w, &aff->affinity.cidr))
			want(a, &aff->affinity.cidr);
	}
}

static bool in_own_block(struct world *w, const struct addr *addr)
{
	const struct ippool *pool = world_pool_of(w, addr);
	struct prefix block;

	if (!pool)
		return false;
	block = ipam_block_of(pool, addr);
	return world_owns(w, &block);
}

static void want_borrowed(struct agent *a)
{
	struct world_wep *p, *tmp;

	map_each (a->world.weps, p, tmp)
		/* One that is being taken down gives its addresses back: another node may have them next. */
		for (size_t i = 0; i < p->wep.naddrs && !p->leaving; i++) {
			struct prefix host = prefix_host(&p->wep.addrs[i]);
			if (world_pool_of(&a->world, &host.addr) && !in_own_block(&a->world, &host.addr) &&
			    exported(&a->world, &host))
				want(a, &host);
		}
}

void origins_derive(struct agent *a)
{
	struct fib *f = &a->fib;
	struct origin_entry *o, *tmp;

	if (!a->world.synced)
		return;
	f->origin_stamp++;
	routes_begin(&a->routes, ROUTES_BLOCK);
	want_blocks(a);
	want_borrowed(a);
	routes_sweep(&a->routes, ROUTES_BLOCK);
	map_each (f->origins, o, tmp) {
		if (o->delta.stamp == f->origin_stamp)
			continue;
		tell(a, &o->prefix, true);
		map_del(f->origins, o);
		free(o);
	}
}

void origins_restate(struct agent *a)
{
	struct origin_entry *o, *tmp;

	map_each (a->fib.origins, o, tmp)
		o->delta.present = false;
}
