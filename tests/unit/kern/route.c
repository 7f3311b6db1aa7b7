/* Routes: the text form against the real `ip route`, replacing, listing, looking up. */
#include "place.h"

#include "kern/addr.h"
#include "kern/route.h"

static struct addr ip(const char *s)
{
	struct addr a = { 0 };

	assert_true(!*s || addr_parse(s, &a));
	return a;
}

static struct prefix net(const char *s)
{
	struct prefix p;

	assert_true(prefix_parse(s, &p));
	return p;
}

static void set_address(struct place *p, const char *dev, const char *cidr, uint32_t flags)
{
	struct if_addr a = { .ifindex = place_index(p, dev), .flags = flags };
	struct prefix n;

	assert_true(addr_parse_cidr(cidr, &a.addr, &n));
	a.len = n.len;
	OK(ifaddr_replace(p->nl, &a, &e));
}

/* ens192 with the addresses of the seed, and a pod's interface. */
static int setup(void **state)
{
	place_enter(state);
	struct place *p = *state;
	if (!p)
		return 0;
	place_veth(p, "ens192", "uplink");
	place_veth(p, "cali459253b413d", "pod");
	OK(link_set_up(p->nl, 1, true, &e));
	set_address(p, "ens192", "172.16.67.138/24", 0);
	set_address(p, "ens192", "fd00:67::138/64", 0x02 /* IFA_F_NODAD */);
	return 0;
}

static const char *name_of(void *arg, uint32_t ifindex)
{
	static struct link l; /* fine here: one name is used at a time */

	return link_get_index(arg, ifindex, &l, NULL) < 0 ? NULL : l.name;
}

struct listed {
	struct place *p;
	char *text; /* one line per route */
	size_t n;
	struct route last;
};

static void list(void *arg, const struct route *r)
{
	struct listed *l = arg;
	char buf[ROUTE_STR_MAX];

	char *text = xasprintf("%s%s\n", l->text ? l->text : "", route_format(r, name_of, l->p->nl, buf));
	free(l->text);
	l->text = text;
	l->n++;
	l->last = *r;
}

/* What we say about a table is what `ip` says, character by character. */
static void compare(struct place *p, uint8_t family, uint32_t table, const char *cmd)
{
	struct listed l = { .p = p };

	own_mem char *want = place_run(cmd);
	OK(route_dump(p->nl, family, table, 0, list, &l, &e));
	own_mem char *text = l.text;
	assert_string_equal(text ? text : "", want);
}

static struct route via(struct place *p, const char *dst, const char *gateway, const char *dev)
{
	struct route r = { .dst = net(dst), .protocol = ROUTE_PROTO_BIRD, .type = RTN_UNICAST };

	r.hops[r.nhops++] = (struct route_hop){ .gateway = ip(gateway), .ifindex = place_index(p, dev) };
	if (!*gateway && r.dst.addr.family == AF_INET)
		r.scope = RT_SCOPE_LINK;
	return r;
}

static struct route reject(const char *dst, uint8_t type)
{
	return (struct route){ .dst = net(dst), .type = type, .protocol = ROUTE_PROTO_BIRD };
}

static void test_seed_lines(void **state)
{
	struct place *p = *state;

	NEED_ROOT();
	struct route r = via(p, "10.8.152.192/26", "172.16.67.139", "ens192");
	OK(route_add(p->nl, &r, &e));
	assert_int_equal(route_add(p->nl, &r, NULL), -EEXIST);
	r = reject("10.8.112.0/26", RTN_BLACKHOLE);
	OK(route_replace(p->nl, &r, &e));
	r = via(p, "10.8.112.2/32", "", "cali459253b413d");
	r.protocol = RTPROT_BOOT;
	OK(route_replace(p->nl, &r, &e));
	r = via(p, "0.0.0.0/0", "172.16.67.1", "ens192");
	r.protocol = RTPROT_STATIC;
	r.metric = 100;
	OK(route_replace(p->nl, &r, &e));
	own_mem char *out = place_run("ip route");
	assert_string_equal(out, "default via 172.16.67.1 dev ens192 proto static metric 100\n"
				 "blackhole 10.8.112.0/26 proto bird\n"
				 "10.8.112.2 dev cali459253b413d scope link\n"
				 "10.8.152.192/26 via 172.16.67.139 dev ens192 proto bird\n"
				 "172.16.67.0/24 dev ens192 proto kernel scope link src 172.16.67.138\n");
	compare(p, AF_INET, RT_TABLE_MAIN, "ip route");
}

static void test_other_kinds(void **state)
{
	struct place *p = *state;
	char buf[ROUTE_STR_MAX];

	NEED_ROOT();
	struct route r = reject("10.9.0.0/24", RTN_UNREACHABLE);
	OK(route_replace(p->nl, &r, &e));
	r = reject("10.9.1.0/24", RTN_PROHIBIT);
	r.protocol = 77;
	OK(route_replace(p->nl, &r, &e));
	r = via(p, "10.9.2.0/24", "10.77.0.1", "ens192");
	r.hops[0].onlink = true;
	r.prefsrc = ip("172.16.67.138");
	OK(route_replace(p->nl, &r, &e));
	r = via(p, "10.9.3.0/24", "fd00:67::139", "ens192"); /* RFC 8950 */
	OK(route_replace(p->nl, &r, &e));
	r = via(p, "10.9.4.0/24", "172.16.67.139", "ens192");
	r.hops[r.nhops++] = (struct route_hop){ .gateway = ip("172.16.67.140"),
						.ifindex = r.hops[0].ifindex,
						.weight = 3 };
	r.hops[r.nhops++] = (struct route_hop){ .gateway = ip("fd00:67::1"), .ifindex = r.hops[0].ifindex };
	r.hops[r.nhops++] = (struct route_hop){ .ifindex = place_index(p, "cali459253b413d") };
	r.hops[r.nhops++] =
		(struct route_hop){ .gateway = ip("1.2.3.4"), .ifindex = r.hops[0].ifindex, .onlink = true };
	OK(route_replace(p->nl, &r, &e));
	place_do("ip nexthop add id 5 via 172.16.67.150 dev ens192");
	place_do("ip route add 10.9.5.0/24 nhid 5 proto bird");
	place_do("ip nexthop add id 6 via 172.16.67.151 dev ens192");
	place_do("ip nexthop add id 7 group 5/6");
	place_do("ip route add 10.9.6.0/24 nhid 7 proto bird");
	compare(p, AF_INET, RT_TABLE_MAIN, "ip route");

	struct listed l = { .p = p };
	OK(route_dump(p->nl, AF_INET, 0, 77, list, &l, &e));
	free(l.text);
	assert_int_equal(l.n, 1);
	assert_string_equal(route_format(&l.last, NULL, NULL, buf), "prohibit 10.9.1.0/24 proto 77");

	r = via(p, "10.9.7.0/24", "172.16.67.139", "ens192");
	r.table = 1000;
	OK(route_replace(p->nl, &r, &e));
	r = via(p, "10.9.8.1/32", "", "ens192");
	r.type = RTN_LOCAL;
	r.table = RT_TABLE_LOCAL;
	r.scope = RT_SCOPE_HOST;
	OK(route_replace(p->nl, &r, &e));
	compare(p, AF_INET, 0, "ip -4 route show table all");
}

static void test_ipv6(void **state)
{
	struct place *p = *state;

	NEED_ROOT();
	struct route r = via(p, "fd00:8::/122", "fd00:67::139", "ens192");
	OK(route_replace(p->nl, &r, &e));
	r = reject("fd00:9::/122", RTN_BLACKHOLE);
	OK(route_replace(p->nl, &r, &e));
	r = via(p, "fd00:8::2/128", "", "cali459253b413d");
	r.protocol = RTPROT_BOOT;
	OK(route_replace(p->nl, &r, &e));
	r = via(p, "::/0", "fe80::1", "ens192");
	r.metric = 7;
	OK(route_replace(p->nl, &r, &e));
	r = via(p, "fd00:10::/64", "fd00:67::139", "ens192");
	r.hops[r.nhops++] = (struct route_hop){ .gateway = ip("fd00:67::140"), .ifindex = r.hops[0].ifindex };
	OK(route_replace(p->nl, &r, &e));
	place_do("ip route add fd00:11::/64 via fe80::1 dev ens192 pref high");
	compare(p, AF_INET6, RT_TABLE_MAIN, "ip -6 route");
	compare(p, AF_INET6, RT_TABLE_LOCAL,
		"ip -6 route show table local | sed 's/ dev [^ ]*/& table local/'");
}

struct lookup {
	struct prefix dst;
	uint32_t metric;
	size_t n;
	struct route found;
};

static void pick(void *arg, const struct route *r)
{
	struct lookup *l = arg;

	if (prefix_eq(&r->dst, &l->dst) && (!l->metric || r->metric == l->metric)) {
		l->found = *r;
		l->n++;
	}
}

static struct route only(struct place *p, const char *dst)
{
	struct lookup l = { .dst = net(dst) };

	OK(route_dump(p->nl, l.dst.addr.family, RT_TABLE_MAIN, 0, pick, &l, &e));
	assert_int_equal(l.n, 1);
	return l.found;
}

/* Whatever a route was before, replacing leaves exactly the one that was asked for. */
static void replace_all_ways(struct place *p, const struct route *kinds, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		for (size_t j = 0; j < n; j++) {
			char buf[PREFIX_STR_MAX];
			prefix_format(&kinds[i].dst, buf);
			OK(route_replace(p->nl, &kinds[i], &e));
			OK(route_replace(p->nl, &kinds[j], &e));
			struct route now = only(p, buf);
			char is[ROUTE_STR_MAX], want[ROUTE_STR_MAX];
			route_format(&now, NULL, NULL, is);
			route_format(&kinds[j], NULL, NULL, want);
			if (!route_same(&now, &kinds[j]))
				fail_msg("is: %s\nwanted: %s", is, want);
			assert_int_equal(route_same(&now, &kinds[i]), i == j);
		}
	}
}

static void test_replace(void **state)
{
	struct place *p = *state;

	NEED_ROOT();
	for (int six = 0; six < 2; six++) {
		const char *dst = six ? "fd00:20::/64" : "10.20.0.0/24";
		struct route k[] = {
			via(p, dst, six ? "fd00:67::1" : "172.16.67.1", "ens192"),
			via(p, dst, six ? "fd00:67::2" : "172.16.67.2", "ens192"),
			via(p, dst, "", "cali459253b413d"),
			reject(dst, RTN_BLACKHOLE),
			reject(dst, RTN_UNREACHABLE),
			via(p, dst, six ? "fd00:67::1" : "172.16.67.1", "ens192"),
		};
		k[5].hops[k[5].nhops++] = k[1].hops[0];
		replace_all_ways(p, k, ARRAY_SIZE(k));

		struct route last = only(p, dst);
		struct route other = last;
		other.protocol = RTPROT_STATIC;
		assert_int_equal(route_del(p->nl, &other, NULL), -ESRCH);
		OK(route_del(p->nl, &last, &e));
		assert_int_equal(route_del(p->nl, &last, NULL), -ESRCH);
	}
}

static void test_metrics_are_apart(void **state)
{
	struct place *p = *state;
	struct err err = { 0 };

	NEED_ROOT();
	struct route a = via(p, "10.21.0.0/24", "172.16.67.1", "ens192"), b = a;
	b.metric = 50;
	OK(route_replace(p->nl, &a, &e));
	OK(route_replace(p->nl, &b, &e));
	OK(route_del(p->nl, &b, &e));
	struct route left = only(p, "10.21.0.0/24");
	assert_true(route_same(&left, &a));
	OK(route_del(p->nl, &a, &e));

	struct route bad = via(p, "10.21.0.0/24", "10.250.0.1", "ens192");
	assert_int_equal(route_replace(p->nl, &bad, &err), -ENETUNREACH);
	assert_string_equal(
		err.msg, "replace route 10.21.0.0/24: Network is unreachable (Nexthop has invalid gateway)");
}

static void test_dump_filters(void **state)
{
	struct place *p = *state;
	struct lookup l = { .dst = net("10.22.0.0/24") };

	NEED_ROOT();
	struct route r = via(p, "10.22.0.0/24", "172.16.67.1", "ens192");
	OK(route_replace(p->nl, &r, &e));
	r.table = 4711;
	OK(route_replace(p->nl, &r, &e));
	OK(route_dump(p->nl, 0, 4711, 0, pick, &l, &e));
	assert_int_equal(l.n, 1);
	assert_int_equal(l.found.table, 4711);
	OK(route_dump(p->nl, 0, 0, 0, pick, &l, &e));
	assert_int_equal(l.n, 3);
	OK(route_dump(p->nl, AF_INET, 4711, RTPROT_STATIC, pick, &l, &e));
	OK(route_dump(p->nl, AF_INET6, 4711, 0, pick, &l, &e));
	OK(route_dump(p->nl, 0, 12345, 0, pick, &l, &e)); /* a table that there is not */
	assert_int_equal(l.n, 3);
	OK(route_del(p->nl, &r, &e));
	r.table = 0;
	OK(route_del(p->nl, &r, &e));
}

static void test_get(void **state)
{
	struct place *p = *state;
	struct route r, ret = { 0 };
	char buf[ROUTE_STR_MAX];

	NEED_ROOT();
	r = via(p, "10.30.0.0/16", "172.16.67.9", "ens192");
	OK(route_replace(p->nl, &r, &e));
	struct route_query q = { .dst = ip("10.30.1.1") };
	OK(route_get(p->nl, &q, &ret, &e));
	assert_int_equal(ret.dst.len, 32);
	assert_true(addr_eq(&ret.hops[0].gateway, &r.hops[0].gateway));
	assert_int_equal(ret.hops[0].ifindex, r.hops[0].ifindex);
	struct addr own = ip("172.16.67.138");
	assert_true(addr_eq(&ret.prefsrc, &own));
	q.fibmatch = true;
	OK(route_get(p->nl, &q, &ret, &e));
	assert_true(route_same(&ret, &r));
	assert_string_equal(route_format(&ret, name_of, p->nl, buf),
			    "10.30.0.0/16 via 172.16.67.9 dev ens192 proto bird");

	static const struct {
		uint8_t type;
		int code;
	} errors[] = { { RTN_BLACKHOLE, -EINVAL },
		       { RTN_UNREACHABLE, -EHOSTUNREACH },
		       { RTN_PROHIBIT, -EACCES } };
	for (size_t i = 0; i < ARRAY_SIZE(errors); i++) {
		r = reject("10.30.2.0/24", errors[i].type);
		OK(route_replace(p->nl, &r, &e));
		struct route_query bad = { .dst = ip("10.30.2.1") };
		assert_int_equal(route_get(p->nl, &bad, &ret, NULL), errors[i].code);
		struct route r6 = reject("fd00:30::/64", errors[i].type);
		OK(route_replace(p->nl, &r6, &e));
		bad.dst = ip("fd00:30::1");
		int code = route_get(p->nl, &bad, &ret, NULL);
		assert_true(code == errors[i].code || (code == 0 && ret.type == errors[i].type));
	}
	q = (struct route_query){ .dst = ip("172.16.67.138") };
	OK(route_get(p->nl, &q, &ret, &e));
	assert_int_equal(ret.type, RTN_LOCAL);

	/* As if it came in on the pod's interface: without forwarding there is no way. */
	place_do("echo 0 > /proc/sys/net/ipv4/ip_forward");
	q = (struct route_query){ .dst = ip("10.30.1.1"),
				  .src = ip("10.8.112.2"),
				  .iif = place_index(p, "cali459253b413d") };
	r = via(p, "10.8.112.2/32", "", "cali459253b413d");
	OK(route_replace(p->nl, &r, &e));
	assert_int_equal(route_get(p->nl, &q, &ret, NULL), -EHOSTUNREACH);
	place_do("echo 1 > /proc/sys/net/ipv4/ip_forward");
	OK(route_get(p->nl, &q, &ret, &e));
	assert_int_equal(ret.hops[0].ifindex, place_index(p, "ens192"));
	q.src = ip("fd00::1");
	assert_int_equal(route_get(p->nl, &q, &ret, NULL), -EAFNOSUPPORT);
	q = (struct route_query){ .dst = ip("198.51.100.1") };
	place_do("ip route flush default");
	assert_int_equal(route_get(p->nl, &q, &ret, NULL), -ENETUNREACH);
}

static void test_same(void **state)
{
	struct route a = { .dst = net("10.0.0.0/8"), .protocol = 12, .type = RTN_UNICAST, .nhops = 2 }, b = a;

	a.hops[0] = (struct route_hop){ .gateway = ip("1.1.1.1"), .ifindex = 1 };
	a.hops[1] = (struct route_hop){ .gateway = ip("1.1.1.2"), .ifindex = 1, .weight = 1 };
	b.hops[0] = a.hops[1];
	b.hops[1] = a.hops[0];
	b.table = RT_TABLE_MAIN;
	b.type = 0;
	assert_true(route_same(&a, &b));
	b.hops[0] = b.hops[1];
	assert_false(route_same(&a, &b));
	b = a;
	b.nhops = 1;
	assert_false(route_same(&a, &b));
	b = a;
	b.scope = RT_SCOPE_LINK;
	assert_false(route_same(&a, &b));
	b = a;
	b.prefsrc = ip("9.9.9.9");
	assert_false(route_same(&a, &b));
	b = a;
	b.hops[1].weight = 2;
	assert_false(route_same(&a, &b));

	struct route six = { .dst = net("fd00::/64") }, metric = six;
	metric.metric = 1024;
	assert_true(route_same(&six, &metric));
	metric.metric = 100;
	assert_false(route_same(&six, &metric));
	a.metric = 1024;
	b = a;
	b.metric = 0;
	assert_false(route_same(&a, &b));
}

/* The longest text there can be is cut nowhere. */
static void test_format_fits(void **state)
{
	struct route r = { .dst = net("2001:db8:1111:2222:3333:4444:5555:6660/124"),
			   .nhops = ROUTE_HOPS_MAX,
			   .type = RTN_MULTICAST,
			   .table = UINT32_MAX,
			   .metric = UINT32_MAX,
			   .protocol = 200,
			   .scope = 199,
			   .prefsrc = ip("2001:db8:1111:2222:3333:4444:5555:6666"),
			   .nhid = UINT32_MAX };
	char buf[ROUTE_STR_MAX];

	for (size_t i = 0; i < ROUTE_HOPS_MAX; i++)
		r.hops[i] = (struct route_hop){ .gateway = r.prefsrc,
						.ifindex = UINT32_MAX,
						.onlink = true,
						.weight = 256,
						.flags = RTNH_F_DEAD | RTNH_F_LINKDOWN };
	route_format(&r, NULL, NULL, buf);
	assert_true(strlen(buf) < ROUTE_STR_MAX - 1);
	assert_string_equal(buf + strlen(buf) - strlen("dead onlink linkdown"), "dead onlink linkdown");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_seed_lines),
		cmocka_unit_test(test_other_kinds),
		cmocka_unit_test(test_ipv6),
		cmocka_unit_test(test_replace),
		cmocka_unit_test(test_metrics_are_apart),
		cmocka_unit_test(test_dump_filters),
		cmocka_unit_test(test_get),
		cmocka_unit_test(test_same),
		cmocka_unit_test(test_format_fits),
	};

	return cmocka_run_group_tests(tests, setup, place_leave);
}
