/*
 * Wires. With a metric, an interface looks as NetworkManager sets it up: the address carries noprefixroute,
 * and the connected route is ours, with that metric. Without one the kernel makes that route. Duplicate
 * address detection is off for these interfaces: nobody else can have the addresses, and a second of silence
 * per link is what it would cost.
 */
#include "ctl/lab_net.h"

#include "base/check.h"
#include "kern/addr.h"
#include "kern/link.h"
#include "kern/neigh.h"
#include "kern/netns.h"
#include "kern/route.h"
#include "kern/sysctl.h"

#include <linux/if_addr.h>
#include <stdio.h>

#define BRIDGE	       "br0"
#define NEIGHS_USUAL   1024 /* the kernel's default limit, where it cannot be read */
#define NEIGHS_PER_POD 2    /* the pod's gateway, and the pod as seen by its node */

int lab_net_open(const char *netns, struct nl **ret, struct err *e)
{
	own_fd int ns = netns_open_name(netns, e);
	if (ns < 0)
		return ns;
	own_fd int fd = nl_socket_in(ns, e);
	int r = fd < 0 ? fd : nl_adopt(fd, ret, e);
	if (r < 0) {
		err_in(e, "namespace %s", netns);
		return r;
	}
	take_fd(fd);
	return 0;
}

struct check_free {
	struct err *e;
	int r;
};

static void check_one(void *arg, const char *netns)
{
	struct check_free *c = arg;
	char path[LAB_NETNS_MAX + 16];

	snprintf(path, sizeof(path), "/run/netns/%s", netns);
	if (!c->r && access(path, F_OK) == 0)
		c->r = err_set(c->e, EEXIST,
			       "the namespace %s is there already and belongs to no lab: remove it ('ip "
			       "netns del %s') "
			       "or choose another name",
			       netns, netns);
}

int lab_net_check_free(const struct lab *l, struct err *e)
{
	struct check_free c = { .e = e };

	lab_each_netns(l, check_one, &c);
	return c.r;
}

static int lo_up(const char *netns, struct err *e)
{
	own(nl) struct nl *nl = NULL;
	struct link lo;
	int r;

	if ((r = lab_net_open(netns, &nl, e)) || (r = link_get(nl, "lo", &lo, e)))
		return r;
	return link_set_up(nl, lo.ifindex, true, e);
}

int lab_net_add(const char *netns, struct err *e)
{
	int r = netns_add(netns, e);

	return r < 0 ? r : lo_up(netns, e);
}

/* A setting of a namespace; one that this kernel does not have (IPv6 left out) is no error. */
static int set(int ns, const char *value, struct err *e, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

static int set(int ns, const char *value, struct err *e, const char *fmt, ...)
{
	char name[128];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(name, sizeof(name), fmt, ap);
	va_end(ap);
	int r = sysctl_write_in(ns, name, value, e);
	return r == -ENOENT ? 0 : r;
}

int lab_net_segment(const struct lab_segment *s, struct err *e)
{
	char netns[LAB_NETNS_MAX];
	struct link bridge;
	own(nl) struct nl *nl = NULL;
	int r;

	own_fd int ns = netns_open_name(lab_netns_segment(s->name, netns), e);
	if (ns < 0)
		return ns;
	/* A switch says nothing by itself. */
	if ((r = set(ns, "1", e, "net/ipv6/conf/all/disable_ipv6")) ||
	    (r = set(ns, "1", e, "net/ipv6/conf/default/disable_ipv6")) ||
	    (r = lab_net_open(netns, &nl, e)) || (r = link_add_bridge(nl, BRIDGE, e)) ||
	    (r = link_get(nl, BRIDGE, &bridge, e)))
		return r;
	return link_set_up(nl, bridge.ifindex, true, e);
}

/* The bridge's end: named after the host, if that is short enough to be the name of an interface. */
static void port_name(const char *host, char ret[static IFNAMSIZ])
{
	if (strlen(host) < IFNAMSIZ && strcmp(host, BRIDGE) != 0 && strcmp(host, "lo") != 0)
		snprintf(ret, IFNAMSIZ, "%s", host);
	else
		*ret = '\0';
}

static struct if_addr make_address4(uint32_t ifindex, const struct lab_iface *i)
{
	struct if_addr r = { .ifindex = ifindex,
			     .addr = i->addr4,
			     .len = i->len4,
			     .scope = RT_SCOPE_UNIVERSE,
			     .flags = IFA_F_PERMANENT };

	if (i->metric)
		r.flags |= IFA_F_NOPREFIXROUTE;
	if (i->len4 < 31)
		r.broadcast = addr_v4(addr_to_v4(&i->addr4) | ~(uint32_t)0 >> i->len4);
	snprintf(r.label, sizeof(r.label), "%s", i->name);
	return r;
}

static int add_address4(struct nl *nl, uint32_t ifindex, const struct lab_iface *i, struct err *e)
{
	struct if_addr a = make_address4(ifindex, i);
	struct route connected = { .dst = prefix_of(&i->addr4, i->len4),
				   .table = RT_TABLE_MAIN,
				   .metric = i->metric,
				   .type = RTN_UNICAST,
				   .protocol = RTPROT_KERNEL,
				   .scope = RT_SCOPE_LINK,
				   .prefsrc = i->addr4,
				   .nhops = 1,
				   .hops = { { .ifindex = ifindex } } };
	int r = ifaddr_replace(nl, &a, e);

	return r < 0 || !i->metric ? r : route_replace(nl, &connected, e);
}

static int add_address6(struct nl *nl, uint32_t ifindex, const struct lab_iface *i, struct err *e)
{
	struct if_addr a = { .ifindex = ifindex,
			     .addr = i->addr6,
			     .len = i->len6,
			     .scope = RT_SCOPE_UNIVERSE,
			     .flags = IFA_F_NODAD };

	return ifaddr_replace(nl, &a, e);
}

static int add_default(struct nl *nl, uint32_t ifindex, const struct addr *gateway, uint32_t metric,
		       struct err *e)
{
	struct route def = { .dst = { .addr = { .family = gateway->family } },
			     .table = RT_TABLE_MAIN,
			     .metric = metric,
			     .type = RTN_UNICAST,
			     .protocol = RTPROT_STATIC,
			     .scope = RT_SCOPE_UNIVERSE,
			     .nhops = 1,
			     .hops = { { .gateway = *gateway, .ifindex = ifindex } } };

	return route_replace(nl, &def, e);
}

static int configure(struct nl *nl, uint32_t ifindex, const struct lab_iface *i, struct err *e)
{
	int r = link_set_up(nl, ifindex, true, e);

	if (!r && addr_is_set(&i->addr4))
		r = add_address4(nl, ifindex, i, e);
	if (!r && addr_is_set(&i->addr6))
		r = add_address6(nl, ifindex, i, e);
	if (!r && addr_is_set(&i->gw4))
		r = add_default(nl, ifindex, &i->gw4, i->metric, e);
	if (!r && addr_is_set(&i->gw6))
		r = add_default(nl, ifindex, &i->gw6, i->metric, e);
	return r;
}

/* The port's side of the wire; by the index that the host's end tells, as the name may be the kernel's
 * choice. */
static int plug_in(const char *segment_netns, uint32_t port, struct err *e)
{
	own(nl) struct nl *nl = NULL;
	struct link bridge;
	int r;

	if ((r = lab_net_open(segment_netns, &nl, e)) || (r = link_get(nl, BRIDGE, &bridge, e)) ||
	    (r = link_set_master(nl, port, bridge.ifindex, e)))
		return r;
	return link_set_up(nl, port, true, e);
}

static int add_iface(const struct lab *l, const char *host, struct nl *nl, int ns, const struct lab_iface *i,
		     struct err *e)
{
	char segment[LAB_NETNS_MAX];
	struct link_veth v = { .ns_fd = -1, .mac = i->mac };
	struct link made;
	int r;

	own_fd int segment_ns = netns_open_name(lab_netns_segment(l->segments[i->segment].name, segment), e);
	if (segment_ns < 0)
		return segment_ns;
	snprintf(v.name, sizeof(v.name), "%s", i->name);
	port_name(host, v.peer_name);
	v.peer_ns_fd = segment_ns;
	if ((r = link_add_veth(nl, &v, e)) || (r = link_get(nl, i->name, &made, e)) ||
	    (r = plug_in(segment, made.peer, e)) ||
	    (r = set(ns, "0", e, "net/ipv6/conf/%s/accept_dad", i->name)))
		return r;
	return configure(nl, made.ifindex, i, e);
}

static int make_host(const struct lab *l, const char *host, const struct lab_iface *ifs, size_t n,
		     struct err *e)
{
	char netns[LAB_NETNS_MAX];
	own(nl) struct nl *nl = NULL;
	int r;

	own_fd int ns = netns_open_name(lab_netns(host, netns), e);
	if (ns < 0)
		return ns;
	/* Link-local addresses come from the MAC (EUI-64), as in the seed, whatever this machine prefers. */
	if ((r = set(ns, "1", e, "net/ipv4/ip_forward")) ||
	    (r = set(ns, "1", e, "net/ipv6/conf/all/forwarding")) ||
	    (r = set(ns, "0", e, "net/ipv6/conf/default/addr_gen_mode")) || (r = lab_net_open(netns, &nl, e)))
		return r;
	for (size_t i = 0; i < n && !r; i++)
		r = add_iface(l, host, nl, ns, &ifs[i], e);
	if (r)
		err_in(e, "%s", host);
	return r;
}

int lab_net_node(const struct lab *l, const struct lab_node *n, struct err *e)
{
	return make_host(l, n->name, &n->iface, 1, e);
}

int lab_net_router(const struct lab *l, const struct lab_router *r, struct err *e)
{
	return make_host(l, r->name, r->ifs, r->nifs, e);
}

/* ---- neighbours ---- */

/* The limit is that of the machine's own namespace: elsewhere it is not even shown. */
static size_t neigh_limit(void)
{
	char text[32];

	if (sysctl_read("net/ipv4/neigh/default/gc_thresh3", text, sizeof(text), NULL) < 0)
		return NEIGHS_USUAL;
	return (size_t)strtoul(text, NULL, 10);
}

static size_t count_pairs(const struct lab *l)
{
	size_t n = 0;

	for (size_t i = 0; i < l->nnodes; i++) {
		for (size_t k = 0; k < l->nnodes; k++)
			n += i != k && l->nodes[i].iface.segment == l->nodes[k].iface.segment;
	}
	return n;
}

static int read_macs(const struct lab *l, struct mac *macs, struct err *e)
{
	char netns[LAB_NETNS_MAX];
	struct link link;
	int r = 0;

	for (size_t i = 0; i < l->nnodes && !r; i++) {
		own(nl) struct nl *nl = NULL;
		if (!(r = lab_net_open(lab_netns(l->nodes[i].name, netns), &nl, e)) &&
		    !(r = link_get(nl, l->nodes[i].iface.name, &link, e)))
			macs[i] = link.mac;
	}
	return r;
}

struct outcome {
	struct err *e;
	int r;
};

static void on_result(void *arg, uint64_t tag, int code, const char *text)
{
	struct outcome *o = arg;

	if (code && !o->r)
		o->r = err_set(o->e, code, "add a neighbour: %s", *text ? text : strerror(code));
}

static size_t add_neighbour(struct nl *nl, uint32_t ifindex, const struct addr *a, const struct mac *mac)
{
	struct neigh n = {
		.ifindex = ifindex, .addr = *a, .has_mac = true, .mac = *mac, .state = NUD_PERMANENT
	};

	return addr_is_set(a) && neigh_replace(nl, &n, NULL) == 0;
}

static int tell_node(const struct lab *l, size_t i, const struct mac *macs, size_t *ret_n, struct err *e)
{
	const struct lab_iface *own = &l->nodes[i].iface;
	struct outcome o = { .e = e };
	char netns[LAB_NETNS_MAX];
	own(nl) struct nl *nl = NULL;
	struct link link;
	int r;

	if ((r = lab_net_open(lab_netns(l->nodes[i].name, netns), &nl, e)) ||
	    (r = link_get(nl, own->name, &link, e)))
		return r;
	nl_batch_begin(nl);
	for (size_t k = 0; k < l->nnodes; k++) {
		const struct lab_iface *other = &l->nodes[k].iface;
		if (k == i || other->segment != own->segment)
			continue;
		*ret_n += add_neighbour(nl, link.ifindex, &other->addr4, &macs[k]);
		*ret_n += add_neighbour(nl, link.ifindex, &other->addr6, &macs[k]);
	}
	r = nl_batch_end(nl, on_result, &o, e);
	return r ? r : o.r;
}

int lab_net_neighbours(const struct lab *l, size_t *ret_n, struct err *e)
{
	int r;

	*ret_n = 0;
	if (count_pairs(l) + NEIGHS_PER_POD * l->npods < neigh_limit() / 2)
		return 0;
	own_mem struct mac *macs = xcalloc(l->nnodes, sizeof(*macs));
	r = read_macs(l, macs, e);
	for (size_t i = 0; i < l->nnodes && !r; i++)
		r = tell_node(l, i, macs, ret_n, e);
	return r;
}
