/* One pod interface in the kernel: the pair, both ends' settings, the pod's addresses and routes. */
#include "agent/podlink.h"

#include "base/check.h"
#include "kern/addr.h"
#include "kern/route.h"
#include "kern/sysctl.h"

#include <linux/if_addr.h>
#include <stdio.h>
#include <string.h>

static const struct mac host_mac = { { 0xee, 0xee, 0xee, 0xee, 0xee, 0xee } };

struct addr podlink_gateway(uint8_t family)
{
	struct addr a = { 0 };

	addr_parse(family == AF_INET ? "169.254.1.1" : "fe80::ecee:eeff:feee:eeee", &a);
	return a;
}

static bool has_family(const struct podlink *p, uint8_t family)
{
	for (size_t i = 0; i < p->naddrs; i++)
		if (p->addrs[i].family == family)
			return true;
	return false;
}

/* ---- the pair ---- */

static bool are_pair(const struct link *host, const struct link *pod)
{
	return !strcmp(host->kind, "veth") && !strcmp(pod->kind, "veth") && host->peer == pod->ifindex &&
	       pod->peer == host->ifindex;
}

static int remove_stale_host(struct nl *host, const struct podlink *p, const struct link *l, struct err *e)
{
	if (strcmp(l->kind, "veth") != 0)
		return err_set(e, EEXIST,
			       "interface %s on the host is not a veth pair of ours; remove or rename it",
			       p->host);
	return link_del(host, l->ifindex, e);
}

/* The pair as it should be, whether it was there (from an ADD that was killed) or not. */
static int ensure_pair(struct nl *host, const struct podlink *p, struct link *ret_host, struct link *ret_pod,
		       struct err *e)
{
	bool have_host = link_get(host, p->host, ret_host, NULL) == 0;
	bool have_pod = link_get(p->nl, p->ifname, ret_pod, NULL) == 0;

	if (have_host && have_pod && are_pair(ret_host, ret_pod))
		return 0;
	if (have_pod)
		return err_set(e, EEXIST,
			       "interface %s already exists in the pod and is not ours; the runtime must "
			       "give an empty namespace",
			       p->ifname);
	if (have_host && remove_stale_host(host, p, ret_host, e) < 0)
		return -e->code;
	struct link_veth v = {
		.ns_fd = -1, .peer_ns_fd = p->ns_fd, .mtu = p->mtu, .mac = host_mac, .no_txqueue = true
	};
	snprintf(v.name, sizeof(v.name), "%s", p->host);
	snprintf(v.peer_name, sizeof(v.peer_name), "%s", p->ifname);
	if (link_add_veth(host, &v, e) < 0)
		return -e->code;
	if (link_get(host, p->host, ret_host, e) < 0)
		return -e->code;
	return link_get(p->nl, p->ifname, ret_pod, e);
}

/* ---- the host end ---- */

struct setting {
	const char *name; /* %s = interface */
	const char *value;
	bool optional; /* a kernel without it is fine */
};

static const struct setting settings_v4[] = {
	{ "net/ipv4/conf/%s/route_localnet", "1", false },
	{ "net/ipv4/neigh/%s/proxy_delay", "0", true },
	{ "net/ipv4/conf/%s/proxy_arp", "1", false },
	{ "net/ipv4/conf/%s/forwarding", "1", false },
	/* A pod speaks with its own address: otherwise its ARP requests in the name of others would fill the
	 * neighbour table, which all pods and nodes share. */
	{ "net/ipv4/conf/%s/rp_filter", "1", false },
};

static const struct setting settings_v6[] = {
	{ "net/ipv6/conf/%s/disable_ipv6", "0", false },
	{ "net/ipv6/conf/%s/proxy_ndp", "1", false },
	{ "net/ipv6/conf/%s/forwarding", "1", false },
};

/* Every pod interface has the same link-local address, each on a link of its own: nobody is there to collide
 * with. */
static const struct setting settings_always[] = {
	{ "net/ipv6/conf/%s/accept_ra", "0", true },
	{ "net/ipv6/conf/%s/accept_dad", "0", true },
};

static int write_settings(const char *ifname, const struct setting *s, size_t n, struct err *e)
{
	char name[128];

	for (size_t i = 0; i < n; i++) {
		snprintf(name, sizeof(name), s[i].name, ifname);
		if (sysctl_write(name, s[i].value, e) < 0 && !s[i].optional)
			return -e->code;
	}
	return 0;
}

static int configure_host(struct nl *host, const struct podlink *p, struct link *l, struct err *e)
{
	if (has_family(p, AF_INET) && write_settings(p->host, settings_v4, ARRAY_SIZE(settings_v4), e) < 0)
		return -e->code;
	if (has_family(p, AF_INET6) && write_settings(p->host, settings_v6, ARRAY_SIZE(settings_v6), e) < 0)
		return -e->code;
	if (write_settings(p->host, settings_always, ARRAY_SIZE(settings_always), e) < 0)
		return -e->code;
	return link_set_up(host, l->ifindex, true, e);
}

/* ---- the pod end ---- */

static void pod_route(struct nl *pod, const struct prefix *dst, const struct addr *via, uint32_t ifindex,
		      struct err *e)
{
	struct route r = {
		.dst = *dst,
		.table = RT_TABLE_MAIN,
		.type = RTN_UNICAST,
		.protocol = RTPROT_BOOT,
		.scope = via ? RT_SCOPE_UNIVERSE : RT_SCOPE_LINK,
		.nhops = 1,
	};

	r.hops[0].ifindex = ifindex;
	if (via)
		r.hops[0].gateway = *via;
	route_replace(pod, &r, e);
}

static void pod_default_route(struct nl *pod, uint8_t family, uint32_t ifindex, struct err *e)
{
	struct addr gw = podlink_gateway(family);
	struct prefix to_gw = prefix_host(&gw);
	struct addr zero = { .family = family };
	struct prefix any = prefix_of(&zero, 0);

	if (family == AF_INET)
		pod_route(pod, &to_gw, NULL, ifindex, e);
	pod_route(pod, &any, &gw, ifindex, e);
}

static void pod_address(struct nl *pod, const struct addr *a, uint32_t ifindex, struct err *e)
{
	struct if_addr ia = {
		.ifindex = ifindex,
		.addr = *a,
		.len = (uint8_t)addr_bits(a->family),
		.scope = RT_SCOPE_UNIVERSE,
		/* The host answers for everybody on this link: there is nobody to collide with. */
		.flags = a->family == AF_INET6 ? IFA_F_NODAD : 0,
	};

	if (a->family == AF_INET)
		ia.broadcast = *a;
	ifaddr_replace(pod, &ia, e);
}

/* The first failure of a batch, in the kernel's words. */
struct first_failure {
	const char *what;
	int code;
	char text[160];
};

static void on_result(void *arg, uint64_t tag, int code, const char *text)
{
	struct first_failure *f = arg;

	if (!code || f->code)
		return;
	f->code = code;
	snprintf(f->text, sizeof(f->text), "%.150s", text);
}

static int configure_pod(const struct podlink *p, const struct link *pod, struct err *e)
{
	struct first_failure f = { 0 };

	/* Routes before addresses, as Calico does: an address without its route is never visible. */
	nl_batch_begin(p->nl);
	link_set_up(p->nl, pod->ifindex, true, e);
	if (has_family(p, AF_INET))
		pod_default_route(p->nl, AF_INET, pod->ifindex, e);
	if (has_family(p, AF_INET6))
		pod_default_route(p->nl, AF_INET6, pod->ifindex, e);
	for (size_t i = 0; i < p->naddrs; i++)
		pod_address(p->nl, &p->addrs[i], pod->ifindex, e);
	if (nl_batch_end(p->nl, on_result, &f, e) < 0)
		return err_in(e, "configure %s in the pod", p->ifname);
	if (f.code)
		return err_set(e, f.code, "configure %s in the pod: %m%s%s", p->ifname, f.text[0] ? ": " : "",
			       f.text);
	return 0;
}

int podlink_make(struct nl *host, const struct podlink *p, struct link *ret_host, struct mac *ret_mac,
		 struct err *e)
{
	struct link h, pod;

	if (ensure_pair(host, p, &h, &pod, e) < 0)
		return err_in(e, "make %s", p->host);
	if (configure_host(host, p, &h, e) < 0 || configure_pod(p, &pod, e) < 0) {
		link_del(host, h.ifindex, NULL);
		return err_in(e, "make %s", p->host);
	}
	*ret_host = h;
	*ret_mac = pod.mac;
	return 0;
}

/* ---- checking ---- */

struct look {
	const struct podlink *p;
	uint32_t ifindex;
	bool addr[16], default_v4, default_v6, gateway;
};

static void look_at_address(void *arg, const struct if_addr *a)
{
	struct look *l = arg;

	for (size_t i = 0; i < l->p->naddrs && i < ARRAY_SIZE(l->addr); i++)
		if (addr_eq(&a->addr, &l->p->addrs[i]) && a->len == addr_bits(a->addr.family))
			l->addr[i] = true;
}

static void look_at_route(void *arg, const struct route *r)
{
	struct look *l = arg;
	struct addr gw = podlink_gateway(r->dst.addr.family);
	bool ours = r->nhops == 1 && r->hops[0].ifindex == l->ifindex;

	if (ours && r->dst.len == 0 && addr_eq(&r->hops[0].gateway, &gw))
		*(r->dst.addr.family == AF_INET ? &l->default_v4 : &l->default_v6) = true;
	if (ours && r->dst.len == 32 && addr_eq(&r->dst.addr, &gw))
		l->gateway = true;
}

static int check_pod(const struct podlink *p, const struct link *pod, struct err *e)
{
	struct look l = { .p = p, .ifindex = pod->ifindex };
	char a[ADDR_STR_MAX];

	if (!(pod->flags & IFF_UP))
		return err_set(e, EUCLEAN, "interface %s in the pod is down", p->ifname);
	if (ifaddr_dump(p->nl, 0, pod->ifindex, look_at_address, &l, e) < 0 ||
	    route_dump(p->nl, 0, RT_TABLE_MAIN, 0, look_at_route, &l, e) < 0)
		return -e->code;
	for (size_t i = 0; i < p->naddrs; i++)
		if (!l.addr[i])
			return err_set(e, EUCLEAN, "address %s is missing on %s in the pod",
				       addr_format(&p->addrs[i], a), p->ifname);
	if (has_family(p, AF_INET) && !(l.default_v4 && l.gateway))
		return err_set(e, EUCLEAN, "the pod's default route via 169.254.1.1 dev %s is missing",
			       p->ifname);
	if (has_family(p, AF_INET6) && !l.default_v6)
		return err_set(e, EUCLEAN,
			       "the pod's IPv6 default route via fe80::ecee:eeff:feee:eeee dev %s is missing",
			       p->ifname);
	return 0;
}

static int check_setting(const char *ifname, const struct setting *s, struct err *e)
{
	char name[128], value[32];

	snprintf(name, sizeof(name), s->name, ifname);
	if (sysctl_read(name, value, sizeof(value), e) < 0)
		return s->optional ? 0 : -e->code;
	if (strcmp(value, s->value) != 0)
		return err_set(e, EUCLEAN, "%s is %s on the host, it must be %s", name, value, s->value);
	return 0;
}

int podlink_check(struct nl *host, const struct podlink *p, struct err *e)
{
	struct link h, pod;

	if (link_get(host, p->host, &h, NULL) < 0)
		return err_set(e, ENODEV, "interface %s is missing on the host", p->host);
	if (link_get(p->nl, p->ifname, &pod, NULL) < 0)
		return err_set(e, ENODEV, "interface %s is missing in the pod", p->ifname);
	if (!are_pair(&h, &pod))
		return err_set(e, EUCLEAN, "%s on the host and %s in the pod are not one pair", p->host,
			       p->ifname);
	if (!(h.flags & IFF_UP))
		return err_set(e, EUCLEAN, "interface %s on the host is down", p->host);
	for (size_t i = 0; i < ARRAY_SIZE(settings_v4) && has_family(p, AF_INET); i++)
		if (check_setting(p->host, &settings_v4[i], e) < 0)
			return -e->code;
	for (size_t i = 0; i < ARRAY_SIZE(settings_v6) && has_family(p, AF_INET6); i++)
		if (check_setting(p->host, &settings_v6[i], e) < 0)
			return -e->code;
	return check_pod(p, &pod, e);
}

/* ---- removing ---- */

int podlink_remove_inside(struct nl *pod, const char *ifname, struct err *e)
{
	struct link l;
	int r = link_get(pod, ifname, &l, e);

	if (r == -ENODEV)
		return 0;
	if (r < 0)
		return r;
	r = link_del(pod, l.ifindex, e);
	return r == -ENODEV ? 0 : r;
}

int podlink_remove_host(struct nl *host, const char *name, struct err *e)
{
	struct link l;
	int r = link_get(host, name, &l, e);

	if (r == -ENODEV)
		return 0;
	if (r < 0)
		return r;
	if (strcmp(l.kind, "veth") != 0)
		return err_set(e, EEXIST, "interface %s is a %s, not a veth of ours: left alone", name,
			       l.kind[0] ? l.kind : "device");
	r = link_del(host, l.ifindex, e);
	return r == -ENODEV ? 0 : r;
}
