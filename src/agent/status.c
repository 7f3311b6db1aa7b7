/* The node in JSON: status, and the kernel's and BGP's facts about one packet. */
#include "agent/status.h"

#include "agent/agent.h"
#include "agent/podlink.h"
#include "kern/neigh.h"
#include "kern/sysctl.h"
#include "rpc/rpc.h"

#include <linux/if.h>
#include <stdio.h>

static json_t *text_addr(const struct addr *a)
{
	char buf[ADDR_STR_MAX];

	return json_string(addr_format(a, buf));
}

static json_t *text_prefix(const struct prefix *p)
{
	char buf[PREFIX_STR_MAX];

	return json_string(prefix_format(p, buf));
}

/* ---- status ---- */

static json_t *peers_json(const struct agent *a, size_t *ret_up)
{
	json_t *list = json_array();
	struct peer_entry *p, *tmp;
	usec_t now = a->io.now(a->io.arg);

	map_each (a->peers.map, p, tmp) {
		const struct ipc_peer_state *st = &p->state;
		bool up = p->heard && st->state == IPC_ESTABLISHED;
		*ret_up += up;
		json_array_append_new(
			list, json_pack("{s:o, s:s, s:s, s:I, s:s, s:i, s:i, s:i, s:b, s:i}", "address",
					text_addr(&p->remote), "name", p->want.name, "state",
					p->heard ? ipc_state_name(st->state) : "Idle", "since_seconds",
					(json_int_t)(p->heard ? (now - p->state_at) / SEC : 0), "reason",
					p->heard ? st->reason : "the speaker has not reported yet",
					"received", (int)st->received, "advertised", (int)st->advertised,
					"flaps", (int)st->flaps, "passive", p->want.passive, "remote_as",
					(int)p->want.remote_asn));
	}
	return list;
}

static int by_cidr(const void *a, const void *b)
{
	return prefix_cmp(a, b);
}

static json_t *blocks_json(const struct agent *a)
{
	json_t *list = json_array();
	struct world_affinity *aff, *tmp;
	struct prefix *v = xcalloc(map_count(a->world.affinities), sizeof(*v));
	size_t n = 0;

	map_each (a->world.affinities, aff, tmp)
		if (!strcmp(aff->affinity.host, a->me) && world_holds(&a->world, &aff->affinity))
			v[n++] = aff->affinity.cidr;
	qsort(v, n, sizeof(*v), by_cidr);
	for (size_t i = 0; i < n; i++)
		json_array_append_new(list, text_prefix(&v[i]));
	free(v);
	return list;
}

static json_t *pod_json(const struct agent *a, const struct wep *w)
{
	json_t *addrs = json_array();
	const struct pod_iface *f = pods_iface(&a->pods, w->interface);
	char mac[MAC_STR_MAX];

	for (size_t i = 0; i < w->naddrs; i++)
		json_array_append_new(addrs, text_addr(&w->addrs[i]));
	return json_pack("{s:s, s:s, s:o, s:s, s:i, s:b, s:s, s:s, s:s, s:s}", "name",
			 w->pod[0] ? w->pod : w->container_id, "namespace", w->namespace, "addresses", addrs,
			 "interface", w->interface, "ifindex", f ? (int)f->ifindex : 0, "up", f && f->up,
			 "netns", w->netns, "containerID", w->container_id, "ifname", w->endpoint, "mac",
			 mac_format(&w->mac, mac));
}

static json_t *pods_json(const struct agent *a)
{
	json_t *list = json_array();
	struct world_wep *p, *tmp;

	map_each (a->world.weps, p, tmp)
		json_array_append_new(list, pod_json(a, &p->wep));
	return list;
}

/* What works, but not for much longer. */
static json_t *warnings_json(const struct agent *a)
{
	json_t *list = json_array();

	for (size_t i = 0; i < ARRAY_SIZE(a->crowd.text); i++)
		if (a->crowd.text[i][0])
			json_array_append_new(list, json_string(a->crowd.text[i]));
	return list;
}

void status_on_status(struct agent *a, struct rpc_req *req)
{
	char reason[ERR_MSG_MAX];
	bool ready = agent_ready(a, reason);
	size_t up = 0;
	const struct node *me = world_me(&a->world);
	json_t *peers = peers_json(a, &up);
	json_t *sessions =
		json_pack("{s:i, s:i}", "established", (int)up, "configured", (int)json_array_size(peers));
	json_t *store =
		json_pack("{s:b, s:b, s:s, s:i}", "synced", a->world.synced, "lost", a->world.store_lost,
			  "fault", a->world.store_fault, "unusable_objects", (int)a->world.quarantined);

	json_t *o = json_pack("{s:s, s:b, s:s, s:i, s:i, s:b, s:i, s:i}", "node", a->me, "ready", ready,
			      "reason", reason, "pid", (int)getpid(), "speaker_pid",
			      (int)a->io.speaker_pid(a->io.arg), "speaker_synced", a->fib.synced, "routes",
			      (int)a->fib.count, "routes_failed", (int)a->routes.failed);
	if (me && addr_is_set(&me->ipv4))
		json_object_set_new(o, "ipv4", text_addr(&me->ipv4));
	if (me && addr_is_set(&me->ipv6))
		json_object_set_new(o, "ipv6", text_addr(&me->ipv6));
	json_object_set_new(o, "sessions", sessions);
	json_object_set_new(o, "peers", peers);
	json_object_set_new(o, "blocks", blocks_json(a));
	json_object_set_new(o, "pods", pods_json(a));
	json_object_set_new(o, "store", store);
	json_object_set_new(o, "warnings", warnings_json(a));
	rpc_reply(req, o);
}

/* ---- trace ---- */

struct trace {
	struct agent *a;
	struct addr src, dst;
	const struct wep *src_pod, *dst_pod;
};

static const struct wep *pod_of(const struct agent *a, const struct addr *addr)
{
	struct world_wep *p, *tmp;

	map_each (a->world.weps, p, tmp)
		for (size_t i = 0; i < p->wep.naddrs; i++)
			if (addr_eq(&p->wep.addrs[i], addr))
				return &p->wep;
	return NULL;
}

static int read_int(const char *fmt, const char *dev)
{
	char name[128], value[32];

	snprintf(name, sizeof(name), fmt, dev);
	return sysctl_read(name, value, sizeof(value), NULL) < 0 ? -1 : atoi(value);
}

static json_t *link_json(struct agent *a, uint32_t ifindex)
{
	struct link l;
	char mac[MAC_STR_MAX];

	if (!ifindex || link_get_index(a->nl, ifindex, &l, NULL) < 0)
		return json_null();
	return json_pack("{s:s, s:i, s:s, s:i, s:b, s:i, s:i, s:i, s:i, s:s}", "dev", l.name, "ifindex",
			 (int)l.ifindex, "mac", mac_format(&l.mac, mac), "mtu", (int)l.mtu, "up",
			 (l.flags & IFF_UP) && (l.flags & IFF_LOWER_UP), "peer", (int)l.peer, "proxy_arp",
			 read_int("net/ipv4/conf/%s/proxy_arp", l.name), "forwarding",
			 read_int("net/ipv4/conf/%s/forwarding", l.name), "rp_filter",
			 read_int("net/ipv4/conf/%s/rp_filter", l.name), "kind", l.kind);
}

/* Names of interfaces for route_format(): each is asked for once per route. */
struct namer {
	struct agent *a;
	char name[IFNAMSIZ];
};

static const char *name_of(void *arg, uint32_t ifindex)
{
	struct namer *n = arg;
	struct link l;

	if (link_get_index(n->a->nl, ifindex, &l, NULL) < 0)
		return NULL;
	snprintf(n->name, sizeof(n->name), "%s", l.name);
	return n->name;
}

static json_t *route_json(struct agent *a, const struct route *r)
{
	struct namer n = { .a = a };
	char text[ROUTE_STR_MAX], dev[IFNAMSIZ] = "";
	const struct route_hop *h = &r->hops[0];
	const char *d;

	route_format(r, name_of, &n, text);
	if (r->nhops && h->ifindex && (d = name_of(&n, h->ifindex)))
		snprintf(dev, sizeof(dev), "%s", d);
	return json_pack("{s:s, s:o, s:o, s:s, s:i, s:i, s:i}", "route", text, "prefix", text_prefix(&r->dst),
			 "gateway",
			 r->nhops && addr_is_set(&h->gateway) ? text_addr(&h->gateway) : json_null(), "dev",
			 dev, "type", (int)r->type, "protocol", (int)r->protocol, "nhops", (int)r->nhops);
}

/* Where a packet from src would come in: its own interface if it is a pod here, else where the route back to
 * it leads. */
static uint32_t incoming(struct trace *t)
{
	struct route_query q = { .dst = t->src };
	struct route r;

	if (t->src_pod) {
		const struct pod_iface *f = pods_iface(&t->a->pods, t->src_pod->interface);
		return f ? f->ifindex : 0;
	}
	return route_get(t->a->nl, &q, &r, NULL) == 0 && r.nhops ? r.hops[0].ifindex : 0;
}

struct neigh_look {
	struct addr addr;
	json_t *found;
};

static void on_neigh(void *arg, const struct neigh *n)
{
	struct neigh_look *l = arg;
	char mac[MAC_STR_MAX];

	if (!addr_eq(&n->addr, &l->addr) || l->found)
		return;
	l->found = json_pack("{s:o, s:s, s:s}", "addr", text_addr(&n->addr), "mac",
			     n->has_mac ? mac_format(&n->mac, mac) : "", "state", neigh_state_name(n->state));
}

static json_t *neigh_json(struct trace *t, const struct route *r)
{
	struct neigh_look look = { .addr = t->dst };

	if (!r->nhops || !r->hops[0].ifindex)
		return json_null();
	if (addr_is_set(&r->hops[0].gateway))
		look.addr = r->hops[0].gateway;
	neigh_dump(t->a->nl, look.addr.family, r->hops[0].ifindex, on_neigh, &look, NULL);
	return look.found ? look.found : json_null();
}

static const struct peer_entry *peer_of(const struct agent *a, const struct addr *addr)
{
	struct peer_entry *p;

	map_find(a->peers.map, addr, p);
	return p;
}

static json_t *nexthop_json(struct agent *a, const struct fib_nexthop *nh)
{
	const struct peer_entry *p = peer_of(a, &nh->addr);
	struct namer n = { .a = a };
	const char *dev = nh->resolved ? name_of(&n, nh->hop.ifindex) : NULL;

	return json_pack("{s:o, s:b, s:b, s:o, s:s, s:s, s:s, s:s}", "addr", text_addr(&nh->addr), "resolved",
			 nh->resolved, "connected", nh->connected, "via",
			 nh->resolved && addr_is_set(&nh->hop.gateway) ? text_addr(&nh->hop.gateway)
								       : json_null(),
			 "dev", dev ? dev : "", "peer_name", p ? p->want.name : "", "session",
			 p && p->heard ? ipc_state_name(p->state.state) : "", "reason",
			 p && p->heard ? p->state.reason : "");
}

/* What BGP knows about the FIB entry that decided; null if it is not BGP's. */
static json_t *bgp_json(struct agent *a, const struct prefix *prefix)
{
	const struct fib_paths *p = fib_find(a, prefix);
	json_t *hops;

	if (!p)
		return json_null();
	hops = json_array();
	for (size_t i = 0; i < p->n; i++)
		json_array_append_new(hops, nexthop_json(a, p->hops[i]));
	return json_pack("{s:o, s:o}", "prefix", text_prefix(prefix), "nexthops", hops);
}

/* The node that the datastore says owns the block an address is in: the other truth beside BGP. */
static json_t *owner_json(struct agent *a, const struct addr *addr)
{
	struct world_block *b, *tmp;
	const char *host = NULL;

	map_each (a->world.blocks, b, tmp)
		if (prefix_has(&b->cidr, addr)) {
			host = block_host(&b->block);
			return json_pack("{s:o, s:s, s:b}", "block", text_prefix(&b->cidr), "node",
					 host ? host : "", "allocated",
					 block_attr_of(&b->block, addr) != NULL);
		}
	return json_null();
}

static json_t *lookup_json(struct trace *t, uint32_t iif, struct route *ret, bool *ret_ok)
{
	struct route_query q = { .dst = t->dst, .src = t->src, .iif = iif };
	struct err e = { 0 };
	int r = route_get(t->a->nl, &q, ret, &e);

	*ret_ok = r == 0;
	if (r < 0)
		return json_pack("{s:b, s:i, s:s}", "ok", 0, "errno", -r, "error", e.msg);
	json_t *o = route_json(t->a, ret);
	json_object_set_new(o, "ok", json_true());
	return o;
}

/* The FIB entry that decides. The kernel names it only if it leads somewhere; a blackhole and the like it
 * answers with an error, so those are looked up in the table, longest prefix first. */
struct longest {
	struct addr dst;
	struct route best;
	bool found;
};

static void on_route(void *arg, const struct route *r)
{
	struct longest *l = arg;

	if (prefix_has(&r->dst, &l->dst) && (!l->found || r->dst.len > l->best.dst.len)) {
		l->best = *r;
		l->found = true;
	}
}

static bool find_match(struct trace *t, struct route *ret)
{
	struct route_query q = { .dst = t->dst, .fibmatch = true };
	struct longest l = { .dst = t->dst };
	int r = route_get(t->a->nl, &q, ret, NULL);

	if (r == 0 || r == -ENETUNREACH)
		return r == 0;
	route_dump(t->a->nl, t->dst.family, RT_TABLE_MAIN, 0, on_route, &l, NULL);
	*ret = l.best;
	return l.found;
}

static json_t *trace_json(struct trace *t)
{
	struct agent *a = t->a;
	uint32_t iif = incoming(t);
	struct route decided = { 0 }, match;
	bool ok;
	json_t *o = json_pack("{s:s, s:o, s:o, s:o, s:i}", "node", a->me, "src", text_addr(&t->src), "dst",
			      text_addr(&t->dst), "in", link_json(a, iif), "ip_forward",
			      read_int("net/ipv4/ip_forward%s", ""));

	json_object_set_new(o, "lookup", lookup_json(t, iif, &decided, &ok));
	json_object_set_new(o, "out",
			    ok && decided.nhops ? link_json(a, decided.hops[0].ifindex) : json_null());
	json_object_set_new(o, "neigh", ok ? neigh_json(t, &decided) : json_null());
	if (find_match(t, &match)) {
		json_object_set_new(o, "match", route_json(a, &match));
		json_object_set_new(o, "bgp", bgp_json(a, &match.dst));
	} else {
		json_object_set_new(o, "match", json_null());
		json_object_set_new(o, "bgp", json_null());
	}
	json_object_set_new(o, "owner", owner_json(a, &t->dst));
	json_object_set_new(o, "src_pod", t->src_pod ? pod_json(a, t->src_pod) : json_null());
	json_object_set_new(o, "dst_pod", t->dst_pod ? pod_json(a, t->dst_pod) : json_null());
	return o;
}

void status_on_trace(struct agent *a, struct rpc_req *req)
{
	const json_t *p = rpc_params(req);
	const char *src = json_string_value(json_object_get(p, "src")),
		   *dst = json_string_value(json_object_get(p, "dst"));
	struct trace t = { .a = a };

	if (!src || !dst || !addr_parse(src, &t.src) || !addr_parse(dst, &t.dst) ||
	    t.src.family != t.dst.family) {
		rpc_fail(req, EINVAL, NULL, "trace needs \"src\" and \"dst\", two addresses of one family");
		return;
	}
	t.src_pod = pod_of(a, &t.src);
	t.dst_pod = pod_of(a, &t.dst);
	rpc_reply(req, trace_json(&t));
}
