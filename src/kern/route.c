/*
 * The kernel's routes over rtnetlink: RTM_NEWROUTE, RTM_GETROUTE, RTM_DELROUTE. IPv4 prefixes may have IPv6
 * gateways (RTA_VIA, as RFC 8950 next hops need).
 */
#include "kern/route.h"

#include "base/check.h"
#include "kern/msg.h"
#include "kern/parse.h"

#include <stdio.h>

#define METRIC_V6_DEFAULT 1024

static uint32_t table_of(const struct route *r)
{
	return r->table ? r->table : RT_TABLE_MAIN;
}

static uint8_t type_of(const struct route *r)
{
	return r->type ? r->type : RTN_UNICAST;
}

static uint32_t metric_of(const struct route *r)
{
	return !r->metric && r->dst.addr.family == AF_INET6 ? METRIC_V6_DEFAULT : r->metric;
}

/* Does the kernel take next hops with this type of route? */
static bool has_hops(const struct route *r)
{
	switch (type_of(r)) {
	case RTN_BLACKHOLE:
	case RTN_UNREACHABLE:
	case RTN_PROHIBIT:
	case RTN_THROW:
		return false;
	}
	return true;
}

static int explain(int res, const char *what, const struct route *r, struct err *e)
{
	char buf[PREFIX_STR_MAX];

	if (res < 0)
		err_in(e, "%s route %s", what, prefix_format(&r->dst, buf));
	return res;
}

static int check(const struct route *r, struct err *e)
{
	if (!addr_is_set(&r->dst.addr) || r->dst.len > addr_bits(r->dst.addr.family))
		return err_set(e, EINVAL, "not a prefix");
	if (r->nhops > ROUTE_HOPS_MAX)
		return err_set(e, EINVAL, "more than %d next hops", ROUTE_HOPS_MAX);
	return 0;
}

static struct nlmsghdr *begin(struct nl *nl, uint16_t type, uint16_t flags, const struct route *r,
			      const struct rtmsg *tail)
{
	uint32_t table = table_of(r);
	struct rtmsg h = *tail;

	h.rtm_family = r->dst.addr.family;
	h.rtm_dst_len = r->dst.len;
	h.rtm_table = table <= UINT8_MAX ? (uint8_t)table : RT_TABLE_UNSPEC;
	h.rtm_protocol = r->protocol;
	struct nlmsghdr *m = nl_msg(nl, type, flags, &h, sizeof(h));
	msg_put_u32(m, RTA_TABLE, table);
	if (r->dst.len)
		msg_put_addr(m, RTA_DST, &r->dst.addr);
	if (metric_of(r))
		msg_put_u32(m, RTA_PRIORITY, metric_of(r));
	return m;
}

static void put_gateway(struct nlmsghdr *m, const struct route *r, const struct route_hop *h)
{
	if (!addr_is_set(&h->gateway))
		return;
	if (h->gateway.family == r->dst.addr.family)
		msg_put_addr(m, RTA_GATEWAY, &h->gateway);
	else
		msg_put_via(m, RTA_VIA, &h->gateway);
}

static void put_multipath(struct nlmsghdr *m, const struct route *r)
{
	struct nlattr *nest = msg_nest(m, RTA_MULTIPATH);

	for (size_t i = 0; i < r->nhops; i++) {
		const struct route_hop *h = &r->hops[i];
		struct rtnexthop *nh = msg_put_header(m, sizeof(*nh));
		nh->rtnh_ifindex = (int)h->ifindex;
		nh->rtnh_hops = (uint8_t)(h->weight ? MIN(h->weight, 256) - 1 : 0);
		nh->rtnh_flags = h->onlink ? RTNH_F_ONLINK : 0;
		put_gateway(m, r, h);
		nh->rtnh_len = (uint16_t)((char *)mnl_nlmsg_get_payload_tail(m) - (char *)nh);
	}
	/* As a plain array, not as a nest of attributes, is how RTA_MULTIPATH is marked. */
	msg_nest_end(m, nest);
	nest->nla_type = RTA_MULTIPATH;
}

static void put_hops(struct nlmsghdr *m, const struct route *r)
{
	if (!has_hops(r))
		return;
	if (r->nhid) {
		msg_put_u32(m, RTA_NH_ID, r->nhid);
		return;
	}
	if (!r->nhops)
		return;
	if (r->nhops > 1) {
		put_multipath(m, r);
		return;
	}
	put_gateway(m, r, &r->hops[0]);
	if (r->hops[0].ifindex)
		msg_put_u32(m, RTA_OIF, r->hops[0].ifindex);
}

static int put(struct nl *nl, uint16_t flags, const struct route *r, struct err *e)
{
	bool onlink = has_hops(r) && !r->nhid && r->nhops == 1 && r->hops[0].onlink;
	struct rtmsg tail = {
		.rtm_type = type_of(r),
		.rtm_scope = r->dst.addr.family == AF_INET ? r->scope : RT_SCOPE_UNIVERSE,
		.rtm_flags = onlink ? RTNH_F_ONLINK : 0,
	};

	int res = check(r, e);
	if (res < 0)
		return res;
	struct nlmsghdr *m = begin(nl, RTM_NEWROUTE, NLM_F_CREATE | flags, r, &tail);
	if (addr_is_set(&r->prefsrc))
		msg_put_addr(m, RTA_PREFSRC, &r->prefsrc);
	put_hops(m, r);
	return nl_request(nl, m, e);
}

int route_replace(struct nl *nl, const struct route *r, struct err *e)
{
	return explain(put(nl, NLM_F_REPLACE, r, e), "replace", r, e);
}

int route_add(struct nl *nl, const struct route *r, struct err *e)
{
	return explain(put(nl, NLM_F_EXCL, r, e), "add", r, e);
}

/* The next hops are no part of what a route is known by, so they are not named: all of them go. */
int route_del(struct nl *nl, const struct route *r, struct err *e)
{
	struct rtmsg tail = { .rtm_type = r->type, .rtm_scope = RT_SCOPE_NOWHERE };
	int res = check(r, e);

	if (res == 0)
		res = nl_request(nl, begin(nl, RTM_DELROUTE, 0, r, &tail), e);
	return explain(res, "delete", r, e);
}

struct listing {
	uint8_t family;
	uint32_t table;
	uint8_t protocol;
	route_fn *fn;
	void *arg;
};

static void on_route(void *arg, uint16_t type, struct rd body)
{
	const struct listing *l = arg;
	struct route r;

	if (type != RTM_NEWROUTE || !parse_route(body, true, &r) || r.dst.addr.family != l->family)
		return;
	if ((l->table && r.table != l->table) || (l->protocol && r.protocol != l->protocol))
		return;
	l->fn(l->arg, &r);
}

static int dump_family(struct nl *nl, struct listing *l, struct err *e)
{
	struct rtmsg h = { .rtm_family = l->family, .rtm_protocol = l->protocol };
	struct nlmsghdr *m = nl_msg(nl, RTM_GETROUTE, NLM_F_DUMP, &h, sizeof(h));

	if (l->table)
		msg_put_u32(m, RTA_TABLE, l->table);
	int r = nl_query(nl, m, on_route, l, e);
	/* Tables come into being with their first route: one that is not there is empty. */
	return r == -ENOENT && l->table ? 0 : r;
}

int route_dump(struct nl *nl, uint8_t family, uint32_t table, uint8_t protocol, route_fn *fn, void *arg,
	       struct err *e)
{
	static const uint8_t families[] = { AF_INET, AF_INET6 };
	int r = 0;

	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(families); i++) {
		struct listing l = { families[i], table, protocol, fn, arg };
		if (!family || family == families[i])
			r = dump_family(nl, &l, e);
	}
	if (r < 0)
		err_in(e, "list routes");
	return r;
}

struct found {
	bool found;
	struct route route;
};

static void on_answer(void *arg, uint16_t type, struct rd body)
{
	struct found *f = arg;

	if (type == RTM_NEWROUTE && parse_route(body, false, &f->route))
		f->found = true;
}

int route_get(struct nl *nl, const struct route_query *q, struct route *ret, struct err *e)
{
	uint8_t bits = (uint8_t)addr_bits(q->dst.family);
	struct rtmsg h = {
		.rtm_family = q->dst.family,
		.rtm_dst_len = bits,
		.rtm_src_len = addr_is_set(&q->src) ? bits : 0,
		.rtm_flags = q->fibmatch ? RTM_F_FIB_MATCH : 0,
	};
	struct found f = { 0 };
	char buf[ADDR_STR_MAX];

	if (!bits || (addr_is_set(&q->src) && q->src.family != q->dst.family))
		return err_set(e, EAFNOSUPPORT,
			       "look up a route: not an address, or a source of the other family");
	if (q->dst.family == AF_INET) /* IPv6 always names the table, and refuses to be asked */
		h.rtm_flags |= RTM_F_LOOKUP_TABLE;
	struct nlmsghdr *m = nl_msg(nl, RTM_GETROUTE, 0, &h, sizeof(h));
	msg_put_addr(m, RTA_DST, &q->dst);
	if (addr_is_set(&q->src))
		msg_put_addr(m, RTA_SRC, &q->src);
	if (q->iif)
		msg_put_u32(m, RTA_IIF, q->iif);
	int r = nl_query(nl, m, on_answer, &f, e);
	if (r == 0 && !f.found)
		r = err_set(e, EPROTO, "the kernel's answer is no route");
	if (r < 0)
		err_in(e, "look up the route to %s", addr_format(&q->dst, buf));
	else
		*ret = f.route;
	return r;
}

static unsigned weight_of(const struct route_hop *h)
{
	return h->weight ? h->weight : 1;
}

static bool hop_same(const struct route_hop *a, const struct route_hop *b)
{
	return a->ifindex == b->ifindex && a->onlink == b->onlink && weight_of(a) == weight_of(b) &&
	       addr_eq(&a->gateway, &b->gateway);
}

static bool hops_same(const struct route *a, const struct route *b)
{
	uint32_t used = 0; /* hops of b that have their partner in a */

	_Static_assert(ROUTE_HOPS_MAX <= 32, "a bit per hop");
	if (a->nhops != b->nhops)
		return false;
	for (size_t i = 0; i < a->nhops; i++) {
		size_t j = 0;
		while (j < b->nhops && (used & 1u << j || !hop_same(&a->hops[i], &b->hops[j])))
			j++;
		if (j == b->nhops)
			return false;
		used |= 1u << j;
	}
	return true;
}

bool route_same(const struct route *a, const struct route *b)
{
	if (!prefix_eq(&a->dst, &b->dst) || table_of(a) != table_of(b) || metric_of(a) != metric_of(b))
		return false;
	if (type_of(a) != type_of(b) || a->protocol != b->protocol || !addr_eq(&a->prefsrc, &b->prefsrc))
		return false;
	if (a->dst.addr.family == AF_INET && a->scope != b->scope)
		return false;
	/* IPv6 shows its blackholes as routes over lo. */
	return !has_hops(a) || hops_same(a, b);
}

/* Text that is cut, not overrun, at the end of the buffer. */
struct text {
	char *buf;
	size_t n;
};

__attribute__((format(printf, 2, 3))) static void add(struct text *t, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	int n = vsnprintf(t->buf + t->n, ROUTE_STR_MAX - t->n, fmt, ap);
	va_end(ap);
	if (n > 0)
		t->n = MIN(t->n + (size_t)n, (size_t)ROUTE_STR_MAX - 1);
}

struct named {
	uint32_t number;
	const char *name;
};

static const struct named types[] = {
	{ RTN_LOCAL, "local" },		{ RTN_BROADCAST, "broadcast" }, { RTN_ANYCAST, "anycast" },
	{ RTN_MULTICAST, "multicast" }, { RTN_BLACKHOLE, "blackhole" }, { RTN_UNREACHABLE, "unreachable" },
	{ RTN_PROHIBIT, "prohibit" },	{ RTN_THROW, "throw" },		{ RTN_NAT, "nat" },
	{ RTN_XRESOLVE, "xresolve" },
};
static const struct named protocols[] = {
	{ 1, "redirect" }, { 2, "kernel" }, { 3, "boot" },   { 4, "static" },	   { 8, "gated" },
	{ 9, "ra" },	   { 10, "mrt" },   { 11, "zebra" }, { 12, "bird" },	   { 13, "dnrouted" },
	{ 14, "xorp" },	   { 15, "ntk" },   { 16, "dhcp" },  { 18, "keepalived" }, { 42, "babel" },
	{ 99, "openr" },   { 186, "bgp" },  { 187, "isis" }, { 188, "ospf" },	   { 189, "rip" },
	{ 192, "eigrp" },
};
static const struct named scopes[] = {
	{ 253, "link" }, { 254, "host" }, { 255, "nowhere" }, { 200, "site" }
};
static const struct named tables[] = { { 253, "default" }, { 254, "main" }, { 255, "local" } };

/* "label name " by the table, or "label 77 " if it has no name. */
static void add_named(struct text *t, const char *label, const struct named *v, size_t n, uint32_t number)
{
	for (size_t i = 0; i < n; i++) {
		if (v[i].number == number) {
			add(t, "%s%s ", label, v[i].name);
			return;
		}
	}
	add(t, "%s%u ", label, number);
}

struct namer {
	const char *(*name_of)(void *arg, uint32_t ifindex);
	void *arg;
};

static void add_dst(struct text *t, const struct route *r)
{
	char buf[PREFIX_STR_MAX];

	if (!r->dst.len)
		add(t, "default ");
	else if (r->dst.len == addr_bits(r->dst.addr.family))
		add(t, "%s ", addr_format(&r->dst.addr, buf));
	else
		add(t, "%s ", prefix_format(&r->dst, buf));
}

static void add_via(struct text *t, const struct route *r, const struct route_hop *h)
{
	char buf[ADDR_STR_MAX];

	if (!addr_is_set(&h->gateway))
		return;
	if (h->gateway.family == r->dst.addr.family)
		add(t, "via %s ", addr_format(&h->gateway, buf));
	else
		add(t, "via %s %s ", h->gateway.family == AF_INET6 ? "inet6" : "inet",
		    addr_format(&h->gateway, buf));
}

static void add_dev(struct text *t, const struct route_hop *h, const struct namer *names)
{
	const char *name = h->ifindex && names->name_of ? names->name_of(names->arg, h->ifindex) : NULL;

	if (name)
		add(t, "dev %s ", name);
	else if (h->ifindex)
		add(t, "dev if%u ", h->ifindex);
}

static void add_hop_flags(struct text *t, const struct route_hop *h)
{
	if (h->flags & RTNH_F_DEAD)
		add(t, "dead ");
	if (h->onlink)
		add(t, "onlink ");
	if (h->flags & RTNH_F_LINKDOWN)
		add(t, "linkdown ");
}

/* Everything between the next hop and the flags. */
static void add_properties(struct text *t, const struct route *r)
{
	char buf[ADDR_STR_MAX];
	/* The kernel's own IPv6 routes do have metric 0. */
	uint32_t metric = r->protocol == RTPROT_KERNEL ? r->metric : metric_of(r);

	if (table_of(r) != RT_TABLE_MAIN)
		add_named(t, "table ", tables, ARRAY_SIZE(tables), r->table);
	if (r->protocol != RTPROT_BOOT && r->protocol != RTPROT_UNSPEC)
		add_named(t, "proto ", protocols, ARRAY_SIZE(protocols), r->protocol);
	if (r->scope != RT_SCOPE_UNIVERSE)
		add_named(t, "scope ", scopes, ARRAY_SIZE(scopes), r->scope);
	if (addr_is_set(&r->prefsrc))
		add(t, "src %s ", addr_format(&r->prefsrc, buf));
	if (metric || r->dst.addr.family == AF_INET6)
		add(t, "metric %u ", metric);
}

static void add_multipath(struct text *t, const struct route *r, const struct namer *names)
{
	for (size_t i = 0; r->nhops > 1 && i < r->nhops; i++) {
		const struct route_hop *h = &r->hops[i];
		while (t->n && t->buf[t->n - 1] == ' ')
			t->n--;
		add(t, "\n\tnexthop ");
		add_via(t, r, h);
		add_dev(t, h, names);
		add(t, "weight %u ", weight_of(h));
		add_hop_flags(t, h);
	}
}

static void add_pref(struct text *t, const struct route *r)
{
	if (r->dst.addr.family == AF_INET6)
		add(t, "pref %s ", r->pref == 1 ? "high" : r->pref == 3 ? "low" : "medium");
}

char *route_format(const struct route *r, const char *(*name_of)(void *arg, uint32_t ifindex), void *arg,
		   char buf[static ROUTE_STR_MAX])
{
	struct namer names = { name_of, arg };
	struct text t = { .buf = buf };

	buf[0] = '\0';
	if (type_of(r) != RTN_UNICAST)
		add_named(&t, "", types, ARRAY_SIZE(types), r->type);
	add_dst(&t, r);
	if (r->nhid)
		add(&t, "nhid %u ", r->nhid);
	if (r->nhops == 1) {
		add_via(&t, r, &r->hops[0]);
		add_dev(&t, &r->hops[0], &names);
	}
	add_properties(&t, r);
	if (r->nhops == 1)
		add_hop_flags(&t, &r->hops[0]);
	add_pref(&t, r);
	add_multipath(&t, r, &names);
	while (t.n && buf[t.n - 1] == ' ')
		buf[--t.n] = '\0';
	return buf;
}
