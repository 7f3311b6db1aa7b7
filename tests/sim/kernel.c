/*
 * kern/ as a table: each node has a host namespace, each pod one of its own. What the agents' core calls here
 * has the names of kern/, so that the linker chooses; what is refused is refused as Linux refuses it.
 * Descriptors are numbers of this file, and close() is wrapped, so that a namespace lives as long as somebody
 * has it open.
 */
#include "sim.h"

#include "agent/podlink.h"
#include "kern/addr.h"
#include "kern/netns.h"
#include "kern/sysctl.h"

#include <linux/if.h>
#include <linux/if_addr.h>

#define FD_FIRST    100000
#define FDS	    4096
#define STOLEN_BACK (6 * SEC) /* a route that somebody deleted is back after this */

struct klink {
	struct list list;
	struct kns *ns;
	struct klink *peer;
	struct link l;
};

struct kaddr {
	struct list list;
	struct if_addr a;
};

struct kroute {
	struct list list;
	struct route r;
};

struct kns {
	struct list list;
	struct sim *sim;
	struct sim_node *owner; /* host namespaces */
	struct sim_node *home;	/* the node it is on */
	unsigned id, refs;
	uint32_t last_ifindex;
	struct list links, addrs, routes;
};

struct news {
	struct list list;
	struct monitor_event ev;
};

struct theft {
	struct list list;
	struct timer timer;
	struct sim_node *node;
	struct route route;
	usec_t agent_since; /* the agent that knew what to do about it */
};

struct setting {
	struct list list;
	char *name, *value;
};

struct kernel {
	struct sim *sim;
	struct list namespaces, thefts, settings;
	unsigned last_ns, last_mac;
	struct {
		struct kns *ns;
		bool socket;
	} fd[FDS];
};

struct result {
	uint64_t tag;
	int code;
};

struct nl {
	struct kns *ns;
	struct sim_node *node; /* whose agent uses it */
	bool batch;
	uint64_t tag;
	struct result *results;
	size_t n;
};

/* ---- namespaces and descriptors ---- */

static struct kns *ns_new(struct sim_node *home, struct sim_node *owner)
{
	struct sim *s = home->sim;
	struct kns *ns = xcalloc(1, sizeof(*ns));

	ns->sim = s;
	ns->owner = owner;
	ns->home = home;
	ns->id = ++s->kernel->last_ns;
	ns->refs = 1;
	list_init(&ns->links);
	list_init(&ns->addrs);
	list_init(&ns->routes);
	list_add_tail(&s->kernel->namespaces, &ns->list);
	return ns;
}

struct kns *kernel_pod_ns(struct sim_node *home)
{
	struct kns *ns = ns_new(home, NULL);

	ns->last_ifindex = 1; /* lo */
	return ns;
}

void kernel_ns_ref(struct kns *ns)
{
	ns->refs++;
}

static void link_remove(struct klink *k);

void kernel_ns_unref(struct kns *ns)
{
	struct kaddr *a, *ta;
	struct kroute *r, *tr;

	if (--ns->refs)
		return;
	while (!list_empty(&ns->links))
		link_remove(list_entry(ns->links.next, struct klink, list));
	list_each_safe (a, ta, &ns->addrs, list) {
		list_del(&a->list);
		free(a);
	}
	list_each_safe (r, tr, &ns->routes, list) {
		list_del(&r->list);
		free(r);
	}
	list_del(&ns->list);
	free(ns);
}

int kernel_fd(struct kns *ns, bool socket)
{
	struct kernel *k = ns->sim->kernel;

	for (int i = 0; i < FDS; i++)
		if (!k->fd[i].ns) {
			k->fd[i].ns = ns;
			k->fd[i].socket = socket;
			kernel_ns_ref(ns);
			return FD_FIRST + i;
		}
	CHECK(!"descriptors leak");
}

static struct kns *ns_of_fd(int fd, bool socket)
{
	int i = fd - FD_FIRST;

	if (!sim_now || i < 0 || i >= FDS || sim_now->kernel->fd[i].socket != socket)
		return NULL;
	return sim_now->kernel->fd[i].ns;
}

int __real_close(int fd);
int __wrap_close(int fd);
int __wrap_close(int fd)
{
	int i = fd - FD_FIRST;

	if (i < 0 || i >= FDS)
		return __real_close(fd);
	struct kns *ns = sim_now->kernel->fd[i].ns;
	if (!ns) {
		sim_fail(sim_now, "descriptor %d is closed twice", i);
		errno = EBADF;
		return -1;
	}
	sim_now->kernel->fd[i].ns = NULL;
	kernel_ns_unref(ns);
	return 0;
}

bool netns_is(int fd)
{
	return ns_of_fd(fd, false) != NULL;
}

int netns_is_own(int fd)
{
	return 0;
}

/* ---- events ---- */

static void news(struct kns *ns, const struct monitor_event *ev)
{
	struct sim_node *n = ns->owner;
	struct sim *s = ns->sim;

	if (!n || !n->agent)
		return;
	if (s->mutant == MUTANT_ROUTE_EVENT && ev->what == MONITOR_ROUTE)
		return;
	struct news *w = xcalloc(1, sizeof(*w));
	w->ev = *ev;
	list_add_tail(&n->news, &w->list);
	if (!timer_armed(&n->kernel_news))
		sim_after(s, &n->kernel_news, sim_between(s, 5, sim_chance(s, 3) ? 30 * MSEC : 400));
}

static void news_link(struct klink *k, bool gone)
{
	struct monitor_event ev = { .what = MONITOR_LINK, .gone = gone };

	ev.link = k->l;
	news(k->ns, &ev);
}

static void news_route(struct kns *ns, const struct route *r, bool gone)
{
	struct monitor_event ev = { .what = MONITOR_ROUTE, .gone = gone };

	ev.route = *r;
	news(ns, &ev);
}

void kernel_forget_news(struct sim_node *n)
{
	timer_stop(&n->kernel_news);
	while (!list_empty(&n->news)) {
		struct news *w = list_entry(n->news.next, struct news, list);
		list_del(&w->list);
		free(w);
	}
}

void kernel_deliver(struct sim_node *n)
{
	struct sim *s = n->sim;
	struct monitor_event lost = { .what = MONITOR_OVERRUN };
	size_t max = sim_chance(s, 50) ? 1 : SIZE_MAX;

	if (!n->agent)
		return;
	if (n->overrun) {
		n->overrun = false;
		kernel_forget_news(n);
		sim_trace(s, "%s: kernel events overrun", n->label);
		agent_on_kernel(n->agent, &lost);
		return;
	}
	while (!list_empty(&n->news) && max-- && !n->dying) {
		struct news *w = list_entry(n->news.next, struct news, list);
		list_del(&w->list);
		agent_on_kernel(n->agent, &w->ev);
		free(w);
	}
	if (!list_empty(&n->news) && !timer_armed(&n->kernel_news))
		sim_after(s, &n->kernel_news, sim_between(s, 5, 200));
}

/* ---- looking things up ---- */

static struct klink *link_by_index(struct kns *ns, uint32_t ifindex)
{
	struct klink *k;

	list_each (k, &ns->links, list)
		if (k->l.ifindex == ifindex)
			return k;
	return NULL;
}

static struct klink *link_by_name(struct kns *ns, const char *name)
{
	struct klink *k;

	list_each (k, &ns->links, list)
		if (!strcmp(k->l.name, name))
			return k;
	return NULL;
}

static uint32_t table_of(const struct route *r)
{
	return r->table ? r->table : RT_TABLE_MAIN;
}

static uint8_t type_of(const struct route *r)
{
	return r->type ? r->type : RTN_UNICAST;
}

static struct kroute *route_by_key(struct kns *ns, const struct route *r)
{
	struct kroute *k;

	list_each (k, &ns->routes, list)
		if (prefix_eq(&k->r.dst, &r->dst) && table_of(&k->r) == table_of(r) &&
		    k->r.metric == r->metric)
			return k;
	return NULL;
}

static struct kroute *longest(struct kns *ns, uint32_t table, const struct addr *a)
{
	struct kroute *k, *best = NULL;

	list_each (k, &ns->routes, list)
		if (table_of(&k->r) == table && prefix_has(&k->r.dst, a) &&
		    (!best || k->r.dst.len > best->r.dst.len))
			best = k;
	return best;
}

static struct kroute *match(struct kns *ns, const struct addr *a)
{
	struct kroute *k = longest(ns, RT_TABLE_LOCAL, a);

	return k ? k : longest(ns, RT_TABLE_MAIN, a);
}

static bool is_unicast(const struct route *r)
{
	return type_of(r) == RTN_UNICAST;
}

/* ---- changes: nobody is asked for permission here ---- */

static void route_put_in(struct kns *ns, const struct route *r, bool told)
{
	struct kroute *k = route_by_key(ns, r);

	if (!k) {
		k = xcalloc(1, sizeof(*k));
		list_add_tail(&ns->routes, &k->list);
	}
	k->r = *r;
	k->r.table = table_of(r);
	k->r.type = type_of(r);
	if (told)
		news_route(ns, &k->r, false);
}

static void route_take_out(struct kns *ns, struct kroute *k, bool told)
{
	if (told)
		news_route(ns, &k->r, true);
	list_del(&k->list);
	free(k);
}

/* The kernel drops routes over an interface that goes down, and says nothing. */
static void flush_routes(struct kns *ns, uint32_t ifindex)
{
	struct kroute *k, *tmp;

	list_each_safe (k, tmp, &ns->routes, list)
		if (type_of(&k->r) != RTN_LOCAL && k->r.nhops && k->r.hops[0].ifindex == ifindex)
			route_take_out(ns, k, false);
}

static void flush_addrs(struct kns *ns, uint32_t ifindex)
{
	struct kaddr *a, *ta;
	struct kroute *k, *tk;

	list_each_safe (a, ta, &ns->addrs, list)
		if (a->a.ifindex == ifindex) {
			list_del(&a->list);
			free(a);
		}
	list_each_safe (k, tk, &ns->routes, list)
		if (k->r.nhops && k->r.hops[0].ifindex == ifindex)
			route_take_out(ns, k, false);
}

static struct klink *link_new(struct kns *ns, const char *name, const char *kind)
{
	struct klink *k = xcalloc(1, sizeof(*k));

	k->ns = ns;
	k->l.ifindex = ++ns->last_ifindex;
	k->l.mtu = 1500;
	k->l.peer_nsid = -1;
	snprintf(k->l.name, sizeof(k->l.name), "%s", name);
	snprintf(k->l.kind, sizeof(k->l.kind), "%s", kind);
	k->l.mac.b[0] = 2;
	k->l.mac.b[5] = (uint8_t)++ns->sim->kernel->last_mac;
	k->l.mac.b[4] = (uint8_t)(ns->sim->kernel->last_mac >> 8);
	list_add_tail(&ns->links, &k->list);
	return k;
}

static void forget_settings(struct kernel *k, const char *ifname);

static void link_vanish(struct klink *k)
{
	if (k->ns->owner)
		forget_settings(k->ns->sim->kernel, k->l.name);
	flush_addrs(k->ns, k->l.ifindex);
	k->l.flags = 0;
	news_link(k, true);
	list_del(&k->list);
	free(k);
}

static void link_remove(struct klink *k)
{
	struct klink *peer = k->peer;

	k->ns->sim->check_due = true;
	link_vanish(k);
	if (peer)
		link_vanish(peer);
}

static void carrier(struct klink *k)
{
	bool lower = k->peer ? k->peer->l.flags & IFF_UP && k->l.flags & IFF_UP : k->l.flags & IFF_UP;

	k->l.flags = (k->l.flags & ~(unsigned)(IFF_LOWER_UP | IFF_RUNNING)) |
		     (lower ? (unsigned)(IFF_LOWER_UP | IFF_RUNNING) : 0);
}

static void link_flags(struct klink *k, bool up)
{
	uint32_t was = k->l.flags;

	k->l.flags = up ? k->l.flags | IFF_UP : k->l.flags & ~(unsigned)IFF_UP;
	carrier(k);
	if (k->peer) {
		carrier(k->peer);
		news_link(k->peer, false);
	}
	if (!up && was & IFF_UP)
		flush_routes(k->ns, k->l.ifindex);
	news_link(k, false);
}

/* ---- struct nl ---- */

struct nl *kernel_socket(struct sim_node *n, struct kns *ns)
{
	struct nl *nl = xcalloc(1, sizeof(*nl));

	nl->node = n;
	nl->ns = ns;
	kernel_ns_ref(ns);
	return nl;
}

int nl_adopt(int fd, struct nl **ret, struct err *e)
{
	struct kns *ns = ns_of_fd(fd, true);

	if (!ns)
		return err_set(e, EINVAL, "not a netlink socket");
	*ret = kernel_socket(ns->home, ns);
	close(fd);
	return 0;
}

void nl_free(struct nl *nl)
{
	if (!nl)
		return;
	kernel_ns_unref(nl->ns);
	free(nl->results);
	free(nl);
}

int nl_is_in(const struct nl *nl, int nsfd)
{
	return ns_of_fd(nsfd, false) == nl->ns;
}

void nl_batch_begin(struct nl *nl)
{
	nl->batch = true;
	nl->tag = 0;
	nl->n = 0;
}

void nl_tag(struct nl *nl, uint64_t tag)
{
	nl->tag = tag;
}

int nl_batch_end(struct nl *nl, nl_result_fn *fn, void *arg, struct err *e)
{
	nl->batch = false;
	for (size_t i = 0; i < nl->n; i++)
		fn(arg, nl->results[i].tag, nl->results[i].code, "");
	nl->n = 0;
	return 0;
}

/* The outcome of a change: told at once, or when the batch ends. */
static int outcome(struct nl *nl, int code, const char *what, struct err *e)
{
	if (!nl->batch)
		return code ? err_set(e, code, "%s: %m", what) : 0;
	nl->results = xrealloc(nl->results, (nl->n + 1) * sizeof(*nl->results));
	nl->results[nl->n++] = (struct result){ nl->tag, code };
	nl->tag = 0;
	return 0;
}

static bool effective(struct nl *nl)
{
	return node_effect(nl->node);
}

/* ---- kern/link ---- */

static int add_veth(struct nl *nl, const struct link_veth *v)
{
	struct kns *ns = v->ns_fd < 0 ? nl->ns : ns_of_fd(v->ns_fd, false);
	struct kns *peer_ns = v->peer_ns_fd < 0 ? nl->ns : ns_of_fd(v->peer_ns_fd, false);
	static const struct mac zero;

	if (!ns || !peer_ns)
		return EINVAL;
	if (link_by_name(ns, v->name) || link_by_name(peer_ns, v->peer_name))
		return EEXIST;
	struct klink *a = link_new(ns, v->name, "veth"), *b = link_new(peer_ns, v->peer_name, "veth");
	a->peer = b;
	b->peer = a;
	a->l.peer = b->l.ifindex;
	b->l.peer = a->l.ifindex;
	a->l.peer_nsid = (int32_t)peer_ns->id;
	b->l.peer_nsid = (int32_t)ns->id;
	if (memcmp(&v->mac, &zero, sizeof(zero)) != 0)
		a->l.mac = v->mac;
	if (v->mtu)
		a->l.mtu = b->l.mtu = v->mtu;
	news_link(a, false);
	news_link(b, false);
	return 0;
}

int link_add_veth(struct nl *nl, const struct link_veth *v, struct err *e)
{
	return outcome(nl, effective(nl) ? add_veth(nl, v) : ECANCELED, "make a veth pair", e);
}

int link_del(struct nl *nl, uint32_t ifindex, struct err *e)
{
	struct klink *k = link_by_index(nl->ns, ifindex);

	if (!effective(nl))
		return outcome(nl, ECANCELED, "delete an interface", e);
	if (k && nl->ns->sim->mutant != MUTANT_LINK_DEL)
		link_remove(k);
	return outcome(nl, k ? 0 : ENODEV, "delete an interface", e);
}

int link_get(struct nl *nl, const char *name, struct link *ret, struct err *e)
{
	struct klink *k = link_by_name(nl->ns, name);

	if (!k)
		return err_set(e, ENODEV, "interface %s: %m", name);
	*ret = k->l;
	return 0;
}

int link_get_index(struct nl *nl, uint32_t ifindex, struct link *ret, struct err *e)
{
	struct klink *k = link_by_index(nl->ns, ifindex);

	if (!k)
		return err_set(e, ENODEV, "interface %u: %m", ifindex);
	*ret = k->l;
	return 0;
}

int link_set_up(struct nl *nl, uint32_t ifindex, bool up, struct err *e)
{
	struct klink *k = link_by_index(nl->ns, ifindex);

	if (!effective(nl))
		return outcome(nl, ECANCELED, "set an interface up", e);
	if (k)
		link_flags(k, up);
	return outcome(nl, k ? 0 : ENODEV, "set an interface up", e);
}

int link_dump(struct nl *nl, link_fn *fn, void *arg, struct err *e)
{
	struct klink *k;

	list_each (k, &nl->ns->links, list)
		fn(arg, &k->l);
	return 0;
}

/* ---- kern/addr ---- */

static void local_route(struct kns *ns, const struct if_addr *a)
{
	struct route r = {
		.dst = prefix_host(&a->addr),
		.table = RT_TABLE_LOCAL,
		.type = RTN_LOCAL,
		.protocol = RTPROT_KERNEL,
		.scope = RT_SCOPE_HOST,
		.nhops = 1,
	};

	r.hops[0].ifindex = a->ifindex;
	route_put_in(ns, &r, true);
}

static void connected_route(struct kns *ns, const struct if_addr *a)
{
	struct route r = {
		.dst = prefix_of(&a->addr, a->len),
		.table = RT_TABLE_MAIN,
		.type = RTN_UNICAST,
		.protocol = RTPROT_KERNEL,
		.scope = RT_SCOPE_LINK,
		.nhops = 1,
	};

	r.hops[0].ifindex = a->ifindex;
	if (a->len < addr_bits(a->addr.family))
		route_put_in(ns, &r, true);
}

static int put_addr(struct kns *ns, const struct if_addr *a)
{
	struct klink *k = link_by_index(ns, a->ifindex);
	struct kaddr *old, *n;

	if (!k)
		return ENODEV;
	ns->sim->check_due = true;
	list_each (old, &ns->addrs, list)
		if (old->a.ifindex == a->ifindex && addr_eq(&old->a.addr, &a->addr))
			return 0;
	n = xcalloc(1, sizeof(*n));
	n->a = *a;
	list_add_tail(&ns->addrs, &n->list);
	local_route(ns, a);
	if (k->l.flags & IFF_UP)
		connected_route(ns, a);
	return 0;
}

int ifaddr_replace(struct nl *nl, const struct if_addr *a, struct err *e)
{
	return outcome(nl, effective(nl) ? put_addr(nl->ns, a) : ECANCELED, "add an address", e);
}

int ifaddr_dump(struct nl *nl, uint8_t family, uint32_t ifindex, ifaddr_fn *fn, void *arg, struct err *e)
{
	struct kaddr *a;

	list_each (a, &nl->ns->addrs, list)
		if ((!family || a->a.addr.family == family) && (!ifindex || a->a.ifindex == ifindex))
			fn(arg, &a->a);
	return 0;
}

/* ---- kern/route ---- */

static int check_hop(struct kns *ns, const struct route_hop *h)
{
	struct klink *k = link_by_index(ns, h->ifindex);
	struct kroute *via;

	if (!k)
		return ENODEV;
	if (!(k->l.flags & IFF_UP))
		return ENETDOWN;
	if (!addr_is_set(&h->gateway) || addr_is_link_local(&h->gateway))
		if (h->gateway.family != AF_INET)
			return 0;
	via = match(ns, &h->gateway);
	if (via && type_of(&via->r) == RTN_LOCAL)
		return EINVAL;
	if (!via || !is_unicast(&via->r) || addr_is_set(&via->r.hops[0].gateway) ||
	    via->r.hops[0].ifindex != h->ifindex)
		return ENETUNREACH;
	return 0;
}

static int check_route(struct kns *ns, const struct route *r)
{
	int code = 0;

	if (!is_unicast(r))
		return 0;
	if (!r->nhops)
		return EINVAL;
	for (size_t i = 0; i < r->nhops && !code; i++)
		code = check_hop(ns, &r->hops[i]);
	return code;
}

static bool in_pools(const struct sim *s, const struct prefix *p)
{
	struct prefix v4, v6;

	prefix_parse("10.8.0.0/16", &v4);
	prefix_parse("fd00:8::/48", &v6);
	return prefix_covers(&v4, p) || prefix_covers(&v6, p);
}

/* A route of BGP's that makes no sense must never be asked for, whatever the trouble. */
static void judge_route(struct nl *nl, const struct route *r)
{
	struct sim *s = nl->ns->sim;
	struct sim_node *n = nl->ns->owner, *to;
	char text[PREFIX_STR_MAX];

	if (!n || r->protocol != ROUTE_PROTO_BIRD || table_of(r) != RT_TABLE_MAIN)
		return;
	prefix_format(&r->dst, text);
	if (!in_pools(s, &r->dst))
		sim_fail(s, "%s: a BGP route for %s, which is in no pool", n->label, text);
	if (!is_unicast(r))
		return;
	for (size_t i = 0; i < r->nhops; i++) {
		to = node_by_addr(s, &r->hops[i].gateway);
		if (to == n || (!to && !addr_eq(&r->hops[i].gateway, &n->gateway)))
			sim_fail(s, "%s: a BGP route for %s whose gateway is no other node", n->label, text);
	}
}

/* Nobody hears of his own routes (kern/monitor.h); here and there one that does must get along as well. */
static bool is_told(const struct nl *nl)
{
	return sim_chance(nl->ns->sim, 10);
}

static int put_route(struct nl *nl, const struct route *r, bool add)
{
	struct kns *ns = nl->ns;
	int code = check_route(ns, r);

	if (code)
		return code;
	if (add && route_by_key(ns, r))
		return EEXIST;
	judge_route(nl, r);
	if (add && ns->owner && ns->sim->mutant == MUTANT_ROUTE_ADD && sim_chance(ns->sim, 10))
		return 0;
	route_put_in(ns, r, is_told(nl));
	return 0;
}

int route_replace(struct nl *nl, const struct route *r, struct err *e)
{
	return outcome(nl, effective(nl) ? put_route(nl, r, false) : ECANCELED, "replace a route", e);
}

int route_add(struct nl *nl, const struct route *r, struct err *e)
{
	return outcome(nl, effective(nl) ? put_route(nl, r, true) : ECANCELED, "add a route", e);
}

struct claimed {
	struct sim_node *node;
	const struct prefix *dst;
	const char *pod;
};

static void claims(void *arg, const struct live_pod *p)
{
	struct claimed *c = arg;

	for (size_t i = 0; i < p->naddrs; i++) {
		struct prefix host = prefix_host(&p->addrs[i]);
		if (p->node == c->node && prefix_eq(&host, c->dst))
			c->pod = p->name;
	}
}

/* The route of a pod that lives on this node is never taken out by its own agent. */
static void judge_deletion(struct nl *nl, const struct route *r)
{
	struct claimed c = { nl->ns->owner, &r->dst, NULL };
	char text[PREFIX_STR_MAX];

	if (!c.node || table_of(r) != RT_TABLE_MAIN)
		return;
	runtime_each_live(nl->ns->sim, claims, &c);
	if (c.pod)
		sim_fail(nl->ns->sim, "%s: the agent deletes the route %s of the living pod %s",
			 c.node->label, prefix_format(&r->dst, text), c.pod);
}

static int del_route(struct nl *nl, const struct route *r)
{
	struct kroute *k = route_by_key(nl->ns, r);

	if (!k || (r->type && type_of(&k->r) != r->type) || (r->protocol && k->r.protocol != r->protocol))
		return ESRCH;
	judge_deletion(nl, &k->r);
	route_take_out(nl->ns, k, is_told(nl));
	return 0;
}

int route_del(struct nl *nl, const struct route *r, struct err *e)
{
	return outcome(nl, effective(nl) ? del_route(nl, r) : ECANCELED, "delete a route", e);
}

int route_dump(struct nl *nl, uint8_t family, uint32_t table, uint8_t protocol, route_fn *fn, void *arg,
	       struct err *e)
{
	struct kroute *k;

	list_each (k, &nl->ns->routes, list)
		if ((!family || k->r.dst.addr.family == family) && (!table || k->r.table == table) &&
		    (!protocol || k->r.protocol == protocol))
			fn(arg, &k->r);
	return 0;
}

int route_get(struct nl *nl, const struct route_query *q, struct route *ret, struct err *e)
{
	struct kroute *k = match(nl->ns, &q->dst);

	if (!k)
		return err_set(e, ENETUNREACH, "route: %m");
	switch (type_of(&k->r)) {
	case RTN_BLACKHOLE:
		return err_set(e, EINVAL, "route: %m");
	case RTN_UNREACHABLE:
		return err_set(e, EHOSTUNREACH, "route: %m");
	}
	*ret = k->r;
	return 0;
}

/* ---- kern/writer: there is none, all goes the slow way ---- */

struct nl *writer_begin(struct writer *w, size_t *ret_slot)
{
	return NULL;
}

void writer_go(struct writer *w)
{
}

struct nl *writer_land(struct writer *w, bool wait, size_t *ret_slot)
{
	return NULL;
}

/* ---- kern/nexthop: a kernel without them; so few gateways need none ---- */

int nexthop_add(struct nl *nl, const struct nexthop *nh, struct err *e)
{
	return outcome(nl, EOPNOTSUPP, "add a nexthop object", e);
}

int nexthop_del(struct nl *nl, uint32_t id, struct err *e)
{
	return outcome(nl, EOPNOTSUPP, "delete a nexthop object", e);
}

int nexthop_dump(struct nl *nl, uint8_t protocol, nexthop_fn *fn, void *arg, struct err *e)
{
	return err_set(e, EOPNOTSUPP, "list nexthop objects: %m");
}

static bool hop_same(const struct route_hop *a, const struct route_hop *b)
{
	return a->ifindex == b->ifindex && addr_eq(&a->gateway, &b->gateway) && a->onlink == b->onlink;
}

static bool hops_same(const struct route *a, const struct route *b)
{
	size_t found = 0;

	for (size_t i = 0; i < a->nhops; i++)
		for (size_t k = 0; k < b->nhops; k++)
			if (hop_same(&a->hops[i], &b->hops[k])) {
				found++;
				break;
			}
	return a->nhops == b->nhops && found == a->nhops;
}

bool route_same(const struct route *a, const struct route *b)
{
	return prefix_eq(&a->dst, &b->dst) && table_of(a) == table_of(b) && type_of(a) == type_of(b) &&
	       a->protocol == b->protocol && (a->dst.addr.family != AF_INET || a->scope == b->scope) &&
	       (!is_unicast(a) || hops_same(a, b));
}

char *route_format(const struct route *r, const char *(*name_of)(void *arg, uint32_t ifindex), void *arg,
		   char buf[static ROUTE_STR_MAX])
{
	prefix_format(&r->dst, buf);
	return buf;
}

/* ---- kern/neigh ---- */

int neigh_dump(struct nl *nl, uint8_t family, uint32_t ifindex, neigh_fn *fn, void *arg, struct err *e)
{
	return 0;
}

const char *neigh_state_name(uint16_t state)
{
	return "REACHABLE";
}

/* ---- kern/sysctl: one list for all nodes, since pods' interfaces have names of their own ---- */

static struct setting *setting_find(const char *name)
{
	struct setting *x;

	list_each (x, &sim_now->kernel->settings, list)
		if (!strcmp(x->name, name))
			return x;
	return NULL;
}

static void setting_free(struct setting *x)
{
	list_del(&x->list);
	free(x->name);
	free(x->value);
	free(x);
}

/* They go with their interface. */
static void forget_settings(struct kernel *k, const char *ifname)
{
	struct setting *x, *tmp;
	char part[IFNAMSIZ + 2];

	snprintf(part, sizeof(part), "/%s/", ifname);
	list_each_safe (x, tmp, &k->settings, list)
		if (strstr(x->name, part))
			setting_free(x);
}

int sysctl_write(const char *name, const char *value, struct err *e)
{
	struct setting *x = setting_find(name);

	if (!x) {
		x = xcalloc(1, sizeof(*x));
		x->name = xstrdup(name);
		list_add_tail(&sim_now->kernel->settings, &x->list);
	}
	free(x->value);
	x->value = xstrdup(value);
	return 0;
}

int sysctl_read(const char *name, char *buf, size_t cap, struct err *e)
{
	struct setting *x = setting_find(name);

	snprintf(buf, cap, "%s", x ? x->value : "0");
	return 0;
}

/* ---- for the harness ---- */

uint32_t kernel_uplink_index(const struct sim_node *n)
{
	return link_by_name(n->host, "ens192")->l.ifindex;
}

/* Down takes the routes over it along; up brings the connected ones back, as an administrator's hand would.
 */
void kernel_uplink(struct sim_node *n, bool up)
{
	struct klink *k = link_by_name(n->host, "ens192");
	struct kaddr *a;

	sim_trace(n->sim, "%s: ens192 %s", n->label, up ? "up" : "down");
	link_flags(k, up);
	if (!up)
		return;
	list_each (a, &n->host->addrs, list)
		if (a->a.ifindex == k->l.ifindex)
			connected_route(n->host, &a->a);
	if (addr_is_set(&n->gateway)) {
		struct route r = {
			.table = RT_TABLE_MAIN,
			.type = RTN_UNICAST,
			.protocol = RTPROT_STATIC,
			.nhops = 1,
		};
		struct addr any = { .family = AF_INET };
		r.dst = prefix_of(&any, 0);
		r.hops[0].ifindex = k->l.ifindex;
		r.hops[0].gateway = n->gateway;
		route_put_in(n->host, &r, true);
	}
}

static bool is_ours(const struct sim_node *n, const struct route *r)
{
	struct klink *k = r->nhops ? link_by_index(n->host, r->hops[0].ifindex) : NULL;

	if (r->protocol == ROUTE_PROTO_BIRD)
		return true;
	return k && !strncmp(k->l.name, "cali", 4) && table_of(r) == RT_TABLE_MAIN;
}

void kernel_each_route(struct sim_node *n, void (*fn)(void *arg, const struct route *r, const char *dev),
		       void *arg)
{
	struct kroute *k;

	list_each (k, &n->host->routes, list) {
		struct klink *l = k->r.nhops ? link_by_index(n->host, k->r.hops[0].ifindex) : NULL;
		if (is_ours(n, &k->r))
			fn(arg, &k->r, l ? l->l.name : "");
	}
}

static void theft_free(struct theft *t)
{
	timer_stop(&t->timer);
	list_del(&t->list);
	free(t);
}

/* Pods' routes and blackholes depend on this node alone, so they must be back by now. */
static void on_theft(struct timer *timer, usec_t now)
{
	struct theft *t = container_of(timer, struct theft, timer);
	struct sim_node *n = t->node;
	struct claimed c = { n, &t->route.dst, NULL };
	char text[PREFIX_STR_MAX];

	runtime_each_live(n->sim, claims, &c);
	if (n->agent && n->agent_since == t->agent_since && c.pod && !route_by_key(n->host, &t->route))
		sim_fail(n->sim, "%s: the route %s of pod %s was deleted by somebody and is not back",
			 n->label, prefix_format(&t->route.dst, text), c.pod);
	theft_free(t);
}

bool kernel_steal(struct sim_node *n)
{
	struct kroute *k, *pick = NULL;
	size_t seen = 0;
	char text[PREFIX_STR_MAX];

	list_each (k, &n->host->routes, list)
		if (is_ours(n, &k->r) && sim_below(n->sim, ++seen) == 0)
			pick = k;
	if (!pick)
		return false;
	sim_trace(n->sim, "%s: somebody deletes the route %s", n->label, prefix_format(&pick->r.dst, text));
	struct theft *t = xcalloc(1, sizeof(*t));
	t->node = n;
	t->route = pick->r;
	t->agent_since = n->agent && n->agent->world.synced ? n->agent_since : -1;
	timer_init(&t->timer, on_theft);
	list_add_tail(&n->sim->kernel->thefts, &t->list);
	sim_after(n->sim, &t->timer, STOLEN_BACK);
	route_take_out(n->host, pick, true);
	return true;
}

bool kernel_has_addr(struct kns *ns, const struct addr *a)
{
	struct kaddr *k;

	list_each (k, &ns->addrs, list)
		if (addr_eq(&k->a.addr, a))
			return true;
	return false;
}

bool kernel_has_pod_route(struct sim_node *n, const struct addr *a, struct kns *pod)
{
	struct kroute *k = match(n->host, a);
	struct klink *l = k && k->r.nhops ? link_by_index(n->host, k->r.hops[0].ifindex) : NULL;

	return k && k->r.dst.len == addr_bits(a->family) && l && l->peer && l->peer->ns == pod &&
	       l->l.flags & IFF_UP;
}

bool kernel_has_links(struct kns *ns)
{
	return !list_empty(&ns->links);
}

size_t kernel_pod_links(struct sim_node *n)
{
	struct klink *k;
	size_t count = 0;

	list_each (k, &n->host->links, list)
		count += !strncmp(k->l.name, "cali", 4);
	return count;
}

/* No address in two namespaces, ever: it is given back only when its interface is gone. */
void kernel_check(struct sim *s)
{
	struct kns *ns, *other;
	struct kaddr *a;
	char text[ADDR_STR_MAX];

	list_each (ns, &s->kernel->namespaces, list) {
		if (ns->owner)
			continue;
		list_each (a, &ns->addrs, list)
			for (struct list *l = ns->list.next; l != &s->kernel->namespaces; l = l->next) {
				other = list_entry(l, struct kns, list);
				if (!other->owner && kernel_has_addr(other, &a->a.addr))
					sim_fail(s, "the pods' namespaces %u and %u have the same address %s",
						 ns->id, other->id, addr_format(&a->a.addr, text));
			}
	}
}

static void host_addr(struct sim_node *n, const struct addr *a, uint8_t len)
{
	struct if_addr ia = { .ifindex = kernel_uplink_index(n), .addr = *a, .len = len };

	put_addr(n->host, &ia);
}

static void host_start(struct sim_node *n)
{
	struct sim *s = n->sim;
	char text[64];
	bool far = s->plan.two_subnets && n->index >= 3;

	list_init(&n->news);
	n->host = ns_new(n, n);
	snprintf(text, sizeof(text), "172.16.%u.%u", far ? 68 : 67, 138 + n->index);
	addr_parse(text, &n->v4);
	snprintf(text, sizeof(text), "fd00:67::%u", 138 + n->index);
	if (s->plan.v6)
		addr_parse(text, &n->v6);
	if (s->plan.two_subnets || s->plan.default_route)
		addr_parse(far ? "172.16.68.1" : "172.16.67.1", &n->gateway);
	link_new(n->host, "lo", "");
	link_new(n->host, "ens192", "");
	host_addr(n, &n->v4, 24);
	if (s->plan.v6)
		host_addr(n, &n->v6, 64);
	kernel_uplink(n, true);
}

void kernel_start(struct sim *s)
{
	s->kernel = xcalloc(1, sizeof(*s->kernel));
	s->kernel->sim = s;
	list_init(&s->kernel->namespaces);
	list_init(&s->kernel->thefts);
	list_init(&s->kernel->settings);
	for (size_t i = 0; i < SIM_NODES; i++)
		host_start(&s->node[i]);
}

void kernel_stop(struct sim *s)
{
	struct kernel *k = s->kernel;
	struct theft *t, *tmp;

	list_each_safe (t, tmp, &k->thefts, list)
		theft_free(t);
	for (int i = 0; i < FDS; i++)
		if (k->fd[i].ns) {
			sim_fail(s, "descriptor %d is left open", i);
			close(FD_FIRST + i);
		}
	for (size_t i = 0; i < SIM_NODES; i++)
		kernel_ns_unref(s->node[i].host);
	if (!list_empty(&k->namespaces))
		sim_fail(s, "a namespace is held by nobody");
	while (!list_empty(&k->settings))
		setting_free(list_entry(k->settings.next, struct setting, list));
	free(k);
}
