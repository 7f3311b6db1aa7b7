/* The pure parsers: values, refusals, and every message cut at every byte. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/check.h"
#include "kern/msg.h"
#include "kern/parse.h"

#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/veth.h>
#include <stdalign.h>
#include <stdio.h>

/* A message under construction, without a socket. */
struct draft {
	alignas(struct nlmsghdr) uint8_t buf[NL_MSG_MAX];
	struct nlmsghdr *m;
};

static void start(struct draft *d, const void *body, size_t n)
{
	d->m = mnl_nlmsg_put_header(d->buf);
	memcpy(msg_put_header(d->m, n), body, n);
}

/* The body, in memory that ends where it ends, so that the sanitizer sees every byte too far. */
static struct rd body_of(const struct draft *d, size_t n, void **mem)
{
	*mem = xmalloc(n + !n);
	memcpy(*mem, d->buf + NLMSG_HDRLEN, n);
	return rd_of(*mem, n);
}

static size_t body_len(const struct draft *d)
{
	return d->m->nlmsg_len - NLMSG_HDRLEN;
}

static struct addr ip(const char *s)
{
	struct addr a = { 0 };

	assert_true(addr_parse(s, &a));
	return a;
}

static bool as_link(struct rd b)
{
	struct link l;
	return parse_link(b, &l);
}

static bool as_ifaddr(struct rd b)
{
	struct if_addr a;
	return parse_ifaddr(b, &a);
}

static bool as_neigh(struct rd b)
{
	struct neigh n;
	return parse_neigh(b, &n);
}

static bool as_route(struct rd b)
{
	struct route r;
	return parse_route(b, true, &r);
}

/* Is that where one attribute has ended, with or without its padding? */
static bool between_attrs(const struct draft *d, size_t header, size_t cut)
{
	const uint8_t *body = d->buf + NLMSG_HDRLEN;
	struct nlattr a;

	for (size_t at = header; at < body_len(d); at += MNL_ALIGN(a.nla_len)) {
		memcpy(&a, body + at, sizeof(a));
		if (cut == at || (cut >= at + a.nla_len && cut < at + MNL_ALIGN(a.nla_len)))
			return true;
	}
	return false;
}

/* Whole it parses; cut anywhere but between two attributes it does not; with any byte changed it does not
 * crash. */
static void torture(const struct draft *d, size_t header, bool (*parse)(struct rd))
{
	size_t n = body_len(d);
	void *mem;

	assert_true(parse(body_of(d, n, &mem)));
	free(mem);
	for (size_t cut = 0; cut < n; cut++) {
		bool ok = parse(body_of(d, cut, &mem));
		free(mem);
		if (!between_attrs(d, header, cut))
			assert_false(ok);
	}
	for (size_t at = 0; at < n; at++) {
		for (unsigned v = 0; v < 256; v += 5) {
			struct rd b = body_of(d, n, &mem);
			((uint8_t *)mem)[at] = (uint8_t)v;
			(void)parse(b);
			free(mem);
		}
	}
}

static void test_link(void **state)
{
	struct draft d = { 0 };
	struct ifinfomsg h = { .ifi_index = 7, .ifi_flags = IFF_UP };
	struct link l;
	void *mem;

	start(&d, &h, sizeof(h));
	msg_put_str(d.m, IFLA_IFNAME, "cali459253b413d");
	msg_put(d.m, IFLA_ADDRESS, "\xee\xee\xee\xee\xee\xee", 6);
	msg_put_u32(d.m, IFLA_MTU, 1500);
	msg_put_u32(d.m, IFLA_LINK, 2);
	msg_put_u32(d.m, IFLA_LINK_NETNSID, 3);
	msg_put(d.m, IFLA_OPERSTATE, "\6", 1);
	struct nlattr *info = msg_nest(d.m, IFLA_LINKINFO);
	msg_put_str(d.m, IFLA_INFO_KIND, "veth");
	msg_nest_end(d.m, info);
	assert_true(parse_link(body_of(&d, body_len(&d), &mem), &l));
	free(mem);
	assert_string_equal(l.name, "cali459253b413d");
	assert_string_equal(l.kind, "veth");
	assert_int_equal(l.mtu, 1500);
	assert_int_equal(l.peer, 2);
	assert_int_equal(l.peer_nsid, 3);
	assert_int_equal(l.operstate, 6);
	assert_int_equal(l.mac.b[5], 0xee);
	torture(&d, sizeof(h), as_link);
}

static bool link_named(const void *name, size_t n)
{
	struct draft d = { 0 };
	struct ifinfomsg h = { .ifi_index = 7 };
	void *mem;

	start(&d, &h, sizeof(h));
	msg_put(d.m, IFLA_IFNAME, name, n);
	bool ok = as_link(body_of(&d, body_len(&d), &mem));
	free(mem);
	return ok;
}

static void test_names(void **state)
{
	assert_true(link_named("eth0", 5));
	assert_true(link_named("fifteen-letters", 16));
	assert_false(link_named("eth0", 4));	/* no end */
	assert_false(link_named("eth0\0!", 7)); /* more behind the end */
	assert_false(link_named("", 1));
	assert_false(link_named("", 0));
	assert_false(link_named("sixteen-letters!", 17));
}

static void test_bridge_ports_are_no_links(void **state)
{
	struct draft d = { 0 };
	struct ifinfomsg h = { .ifi_family = AF_BRIDGE, .ifi_index = 7 };
	void *mem;

	start(&d, &h, sizeof(h));
	msg_put_str(d.m, IFLA_IFNAME, "eth0");
	assert_false(as_link(body_of(&d, body_len(&d), &mem)));
	free(mem);
}

static void test_ifaddr(void **state)
{
	struct draft d = { 0 };
	struct ifaddrmsg h = { .ifa_family = AF_INET, .ifa_prefixlen = 24, .ifa_index = 3 };
	struct addr ours = ip("10.0.0.1"), peer = ip("10.0.0.2");
	struct if_addr a;
	void *mem;

	start(&d, &h, sizeof(h));
	msg_put_addr(d.m, IFA_ADDRESS, &peer);
	msg_put_addr(d.m, IFA_LOCAL, &ours);
	msg_put_u32(d.m, IFA_FLAGS, IFA_F_NOPREFIXROUTE);
	msg_put_str(d.m, IFA_LABEL, "eth0");
	assert_true(parse_ifaddr(body_of(&d, body_len(&d), &mem), &a));
	free(mem);
	assert_true(addr_eq(&a.addr, &ours));
	assert_int_equal(a.flags, IFA_F_NOPREFIXROUTE);
	torture(&d, sizeof(h), as_ifaddr);

	h.ifa_prefixlen = 33;
	start(&d, &h, sizeof(h));
	msg_put_addr(d.m, IFA_LOCAL, &ours);
	assert_false(as_ifaddr(body_of(&d, body_len(&d), &mem)));
	free(mem);
	h.ifa_prefixlen = 24;
	start(&d, &h, sizeof(h));
	assert_false(as_ifaddr(body_of(&d, body_len(&d), &mem))); /* no address */
	free(mem);
	h.ifa_family = AF_INET6;
	start(&d, &h, sizeof(h));
	msg_put_addr(d.m, IFA_LOCAL, &ours); /* four bytes are no IPv6 address */
	assert_false(as_ifaddr(body_of(&d, body_len(&d), &mem)));
	free(mem);
}

static void test_neigh(void **state)
{
	struct draft d = { 0 };
	struct ndmsg h = { .ndm_family = AF_INET6, .ndm_ifindex = 3, .ndm_state = NUD_STALE };
	struct addr a = ip("fe80::1");
	struct neigh n;
	void *mem;

	start(&d, &h, sizeof(h));
	msg_put_addr(d.m, NDA_DST, &a);
	msg_put(d.m, NDA_LLADDR, "\2\0\0\0\0\1", 6);
	assert_true(parse_neigh(body_of(&d, body_len(&d), &mem), &n));
	free(mem);
	assert_true(n.has_mac && addr_eq(&n.addr, &a));
	torture(&d, sizeof(h), as_neigh);

	start(&d, &h, sizeof(h));
	msg_put_addr(d.m, NDA_DST, &a);
	msg_put(d.m, NDA_LLADDR, "12345678901234567890", 20); /* InfiniBand */
	assert_true(parse_neigh(body_of(&d, body_len(&d), &mem), &n));
	free(mem);
	assert_false(n.has_mac);
	h.ndm_family = AF_BRIDGE;
	start(&d, &h, sizeof(h));
	msg_put_addr(d.m, NDA_DST, &a);
	assert_false(as_neigh(body_of(&d, body_len(&d), &mem)));
	free(mem);
}

static void begin_route(struct draft *d, const struct rtmsg *h)
{
	struct addr dst = ip("10.8.152.193"); /* with a host bit, which is masked */

	start(d, h, sizeof(*h));
	msg_put_addr(d->m, RTA_DST, &dst);
	msg_put_u32(d->m, RTA_TABLE, 1000);
}

static void put_hop(struct draft *d, uint32_t ifindex, const struct addr *via, uint8_t hops)
{
	struct rtnexthop *nh = msg_put_header(d->m, sizeof(*nh));

	nh->rtnh_ifindex = (int)ifindex;
	nh->rtnh_hops = hops;
	if (via->family == AF_INET)
		msg_put_addr(d->m, RTA_GATEWAY, via);
	else
		msg_put_via(d->m, RTA_VIA, via);
	nh->rtnh_len = (uint16_t)((char *)mnl_nlmsg_get_payload_tail(d->m) - (char *)nh);
}

static void test_route(void **state)
{
	struct draft d = { 0 };
	struct rtmsg h = {
		.rtm_family = AF_INET, .rtm_dst_len = 26, .rtm_type = RTN_UNICAST, .rtm_protocol = 12
	};
	struct addr gw = ip("10.0.0.1"), gw6 = ip("fe80::1");
	char buf[ROUTE_STR_MAX];
	struct route r;
	void *mem;

	begin_route(&d, &h);
	msg_put_addr(d.m, RTA_GATEWAY, &gw);
	msg_put_u32(d.m, RTA_OIF, 4);
	msg_put_u32(d.m, RTA_PRIORITY, 9);
	msg_put_u32(d.m, RTA_NH_ID, 5);
	assert_true(parse_route(body_of(&d, body_len(&d), &mem), true, &r));
	free(mem);
	assert_string_equal(route_format(&r, NULL, NULL, buf),
			    "10.8.152.192/26 nhid 5 via 10.0.0.1 dev if4 table 1000 proto bird metric 9");
	torture(&d, sizeof(h), as_route);

	begin_route(&d, &h);
	struct nlattr *nest = msg_nest(d.m, RTA_MULTIPATH);
	put_hop(&d, 4, &gw, 0);
	put_hop(&d, 5, &gw6, 2);
	msg_nest_end(d.m, nest);
	assert_true(parse_route(body_of(&d, body_len(&d), &mem), true, &r));
	free(mem);
	assert_string_equal(route_format(&r, NULL, NULL, buf),
			    "10.8.152.192/26 table 1000 proto bird\n\tnexthop via 10.0.0.1 dev if4 weight 1\n"
			    "\tnexthop via inet6 fe80::1 dev if5 weight 3");
	torture(&d, sizeof(h), as_route);

	/* More next hops than we keep. */
	begin_route(&d, &h);
	nest = msg_nest(d.m, RTA_MULTIPATH);
	for (uint32_t i = 1; i <= ROUTE_HOPS_MAX + 5; i++)
		put_hop(&d, i, &gw, 0);
	msg_nest_end(d.m, nest);
	assert_true(parse_route(body_of(&d, body_len(&d), &mem), true, &r));
	free(mem);
	assert_int_equal(r.nhops, ROUTE_HOPS_MAX);
}

static void test_foreign_routes(void **state)
{
	struct draft d = { 0 };
	struct rtmsg tos = { .rtm_family = AF_INET, .rtm_dst_len = 26, .rtm_tos = 4 };
	struct rtmsg src = { .rtm_family = AF_INET, .rtm_dst_len = 26, .rtm_src_len = 8 };
	struct rtmsg clone = { .rtm_family = AF_INET, .rtm_dst_len = 26, .rtm_flags = RTM_F_CLONED };
	const struct rtmsg *all[] = { &tos, &src, &clone };
	struct route r;
	void *mem;

	for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
		begin_route(&d, all[i]);
		assert_false(parse_route(body_of(&d, body_len(&d), &mem), true, &r));
		free(mem);
		assert_true(parse_route(body_of(&d, body_len(&d), &mem), false, &r));
		free(mem);
	}
	struct rtmsg bad = { .rtm_family = AF_INET, .rtm_dst_len = 33 };
	begin_route(&d, &bad);
	assert_false(parse_route(body_of(&d, body_len(&d), &mem), false, &r));
	free(mem);
	bad = (struct rtmsg){ .rtm_family = 128 }; /* the multicast routing family */
	start(&d, &bad, sizeof(bad));
	assert_false(parse_route(body_of(&d, body_len(&d), &mem), false, &r));
	free(mem);
}

static bool as_error(struct rd b)
{
	char text[PARSE_TEXT_MAX];
	int code;
	return parse_error(b, NLM_F_ACK_TLVS, &code, text);
}

static void test_errors(void **state)
{
	struct draft d = { 0 };
	struct nlmsgerr h = { .error = -EEXIST, .msg = { .nlmsg_len = sizeof(h.msg) } };
	char text[PARSE_TEXT_MAX], longest[400];
	int code;
	void *mem;

	start(&d, &h, sizeof(h));
	msg_put_u32(d.m, NLMSGERR_ATTR_OFFS, 12);
	msg_put_str(d.m, NLMSGERR_ATTR_MSG, "No\x1b[31m!");
	assert_true(parse_error(body_of(&d, body_len(&d), &mem), NLM_F_ACK_TLVS | NLM_F_CAPPED, &code, text));
	free(mem);
	assert_int_equal(code, EEXIST);
	assert_string_equal(text, "No?[31m!");
	assert_true(parse_error(body_of(&d, body_len(&d), &mem), 0, &code, text));
	free(mem);
	assert_string_equal(text, "");
	torture(&d, sizeof(h), as_error);

	memset(longest, 'x', sizeof(longest));
	start(&d, &h, sizeof(h));
	msg_put(d.m, NLMSGERR_ATTR_MSG, longest, sizeof(longest));
	assert_true(parse_error(body_of(&d, body_len(&d), &mem), NLM_F_ACK_TLVS, &code, text));
	free(mem);
	assert_int_equal(strlen(text), PARSE_TEXT_MAX - 1);

	h.error = 1; /* no kernel says that */
	start(&d, &h, sizeof(h));
	assert_false(as_error(body_of(&d, body_len(&d), &mem)));
	free(mem);
	h.error = INT32_MIN;
	start(&d, &h, sizeof(h));
	assert_false(as_error(body_of(&d, body_len(&d), &mem)));
	free(mem);
	h = (struct nlmsgerr){ .error = -1, .msg = { .nlmsg_len = UINT32_MAX } };
	start(&d, &h, sizeof(h));
	assert_false(as_error(body_of(&d, body_len(&d), &mem)));
	free(mem);
	int32_t done = -ENOENT;
	assert_true(parse_done(rd_of(&done, sizeof(done)), 0, &code, text));
	assert_int_equal(code, ENOENT);
	assert_true(parse_done(rd_of(&done, 0), 0, &code, text));
	assert_int_equal(code, 0);
	assert_false(parse_done(rd_of(&done, 3), 0, &code, text));
}

static void test_framing(void **state)
{
	struct nlmsghdr h, two[2] = { { .nlmsg_len = sizeof(h), .nlmsg_seq = 1 },
				      { .nlmsg_len = sizeof(h), .nlmsg_seq = 2 } };
	struct rd body, r = rd_of(two, sizeof(two));

	assert_true(parse_message(&r, &h, &body) && h.nlmsg_seq == 1 && !rd_left(&body));
	assert_true(parse_message(&r, &h, &body) && h.nlmsg_seq == 2);
	assert_false(parse_message(&r, &h, &body));
	assert_true(rd_ok(&r));
	static const uint32_t bad[] = { 0, 1, 15, 33, 0x7fffffff, 0x80000000, 0xfffffffc, 0xffffffff };
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		two[0].nlmsg_len = bad[i];
		r = rd_of(two, sizeof(two));
		assert_false(parse_message(&r, &h, &body));
		assert_false(rd_ok(&r));
	}
	r = rd_of(two, 15);
	assert_false(parse_message(&r, &h, &body));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_link),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_bridge_ports_are_no_links),
		cmocka_unit_test(test_ifaddr),
		cmocka_unit_test(test_neigh),
		cmocka_unit_test(test_route),
		cmocka_unit_test(test_foreign_routes),
		cmocka_unit_test(test_errors),
		cmocka_unit_test(test_framing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
