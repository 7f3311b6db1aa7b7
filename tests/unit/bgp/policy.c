/* Policies: every match and every operation, the order of rules, and how policies change. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/check.h"
#include "bgp/policy.h"

#include <stdio.h>

enum { ID = 7 };

static struct attr_table *table;
static struct attr_set *own, *path; /* an empty path; 65001 65002 with communities */
static struct policies *ps;

static int setup(void **state)
{
	static const uint32_t asns[] = { 65001, 65002 }, communities[] = { 65000u << 16 | 1, 2 };
	static const struct attr_large large[] = { { 4200000001u, 0, 7 } };
	struct attr_change ch = { .path = asns,
				  .npath = 2,
				  .communities = communities,
				  .ncommunities = 2,
				  .large = large,
				  .nlarge = 1,
				  .local_pref = ATTR_PUT,
				  .local_pref_value = 200 };

	table = attr_table_new(1);
	own = attr_originate(table, ATTR_ORIGIN_IGP);
	path = attr_derive(table, own, &ch);
	ps = policies_new();
	return 0;
}

static int teardown(void **state)
{
	attr_unref(table, own);
	attr_unref(table, path);
	assert_int_equal(attr_table_count(table), 0);
	attr_table_free(table);
	policies_free(ps);
	return 0;
}

static struct prefix prefix(const char *s)
{
	struct prefix p;

	assert_true(prefix_parse(s, &p));
	return p;
}

static void set(uint16_t id, bool otherwise, const struct policy_rule *rules, size_t n)
{
	policies_begin(ps, id, "policy", otherwise);
	for (size_t i = 0; i < n; i++)
		assert_true(policies_add(ps, id, &rules[i]));
	assert_true(policies_end(ps, id));
}

static struct policy_result eval(const char *p, const struct attr_set *a)
{
	struct prefix q = prefix(p);
	struct policy_route r = { .prefix = &q, .attr = a, .ifname = "" };
	struct policy_result ret;

	policy_eval(policies_get(ps, ID), &r, &ret);
	return ret;
}

/* Does a policy of this one rule take the route, with everything else refused? */
static bool takes_route(const struct policy_rule *rule, const struct policy_route *r)
{
	struct policy_rule accept = *rule;
	struct policy_result ret;

	accept.verdict = POLICY_ACCEPT;
	policies_drop(ps, ID);
	set(ID, false, &accept, 1);
	policy_eval(policies_get(ps, ID), r, &ret);
	assert_int_equal(ret.rule, ret.accept ? 0 : POLICY_NO_RULE);
	assert_int_equal(ret.nops, 0);
	return ret.accept;
}

static bool takes(const struct policy_rule *rule, const char *p)
{
	struct prefix q = prefix(p);
	struct policy_route r = { .prefix = &q, .attr = own, .ifname = "" };

	return takes_route(rule, &r);
}

/* --- matches --- */

static void test_any(void **state)
{
	struct policy_rule all = { 0 }, v6 = { .family = AF_INET6 };

	assert_true(takes(&all, "0.0.0.0/0"));
	assert_true(takes(&all, "2001:db8::1/128"));
	assert_false(takes(&v6, "0.0.0.0/0"));
	assert_true(takes(&v6, "::/0"));
	/* what does not count does not count */
	struct policy_rule odd = { .prefix = prefix("10.0.0.0/8"), .min_len = 9, .local_pref = 7 };
	assert_true(takes(&odd, "192.0.2.0/24"));
}

/* Prefix, operator and lengths, and which prefixes they take: "+" is taken, "-" is not. */
static void expect_prefixes(enum policy_prefix_op op, const char *p, uint8_t min, uint8_t max,
			    const char *list)
{
	struct policy_rule r = {
		.prefix_op = (uint8_t)op, .prefix = prefix(p), .min_len = min, .max_len = max
	};
	char buf[PREFIX_STR_MAX], sign;

	for (int n; sscanf(list, " %c%51s%n", &sign, buf, &n) == 2; list += n)
		if (takes(&r, buf) != (sign == '+'))
			fail_msg("%s %u-%u: %c%s", p, min, max, sign, buf);
}

static void test_prefix(void **state)
{
	expect_prefixes(POLICY_PREFIX_EQUAL, "10.1.0.0/16", 0, 0,
			"+10.1.0.0/16 -10.1.0.0/17 -10.0.0.0/15 -10.2.0.0/16 -::/16");
	expect_prefixes(POLICY_PREFIX_NOT_EQUAL, "10.1.0.0/16", 0, 0,
			"-10.1.0.0/16 +10.1.0.0/17 +10.0.0.0/15 +10.2.0.0/16 +::/16");
	expect_prefixes(POLICY_PREFIX_IN, "10.1.0.0/16", 0, 0,
			"+10.1.0.0/16 +10.1.0.0/17 +10.1.2.3/32 -10.0.0.0/15 -10.2.0.0/16 -::/16");
	expect_prefixes(POLICY_PREFIX_NOT_IN, "10.1.0.0/16", 0, 0,
			"-10.1.0.0/16 -10.1.0.0/17 -10.1.2.3/32 +10.0.0.0/15 +10.2.0.0/16 +::/16");
	expect_prefixes(POLICY_PREFIX_IN, "0.0.0.0/0", 0, 0, "+0.0.0.0/0 +255.255.255.255/32 -::/0");
	expect_prefixes(POLICY_PREFIX_EQUAL, "0.0.0.0/0", 0, 0, "+0.0.0.0/0 -0.0.0.0/1 -::/0");
	expect_prefixes(POLICY_PREFIX_IN, "2001:db8::/32", 0, 0,
			"+2001:db8::/32 +2001:db8::1/128 -2001:db9::/32 -32.1.13.184/32 -::/0");
	expect_prefixes(POLICY_PREFIX_NOT_IN, "2001:db8::/32", 0, 0,
			"-2001:db8::/48 +2001:db9::/32 +10.0.0.0/8");
	expect_prefixes(POLICY_PREFIX_EQUAL, "2001:db8::1/128", 0, 0, "+2001:db8::1/128 -2001:db8::/128");
}

static void test_prefix_length(void **state)
{
	expect_prefixes(POLICY_PREFIX_IN, "10.1.0.0/16", 24, 26,
			"+10.1.2.0/24 +10.1.2.64/26 -10.1.0.0/16 -10.1.2.0/23 -10.1.2.0/27 -10.2.0.0/24");
	/* never wider than the prefix, never longer than an address */
	expect_prefixes(POLICY_PREFIX_IN, "10.1.0.0/16", 8, 128, "+10.1.0.0/16 +10.1.0.1/32 -10.0.0.0/8");
	expect_prefixes(POLICY_PREFIX_IN, "10.1.0.0/16", 0, 20, "+10.1.0.0/16 +10.1.0.0/20 -10.1.0.0/21");
	expect_prefixes(POLICY_PREFIX_IN, "10.1.0.0/16", 8, 15, "-10.1.0.0/16 -10.0.0.0/15");
	expect_prefixes(POLICY_PREFIX_NOT_IN, "10.1.0.0/16", 24, 26,
			"-10.1.2.0/24 -10.1.2.64/26 +10.1.0.0/16 +10.1.2.0/23 +10.1.2.0/27 +10.2.0.0/24");
	expect_prefixes(POLICY_PREFIX_NOT_IN, "10.1.0.0/16", 8, 15, "+10.1.0.0/16");
	expect_prefixes(POLICY_PREFIX_EQUAL, "10.1.0.0/16", 8, 24, "+10.1.0.0/16 -10.1.0.0/24");
	expect_prefixes(POLICY_PREFIX_EQUAL, "10.1.0.0/16", 17, 24, "-10.1.0.0/16 -10.1.0.0/24");
	expect_prefixes(POLICY_PREFIX_NOT_EQUAL, "10.1.0.0/16", 17, 24, "+10.1.0.0/16 +10.1.0.0/24");
	expect_prefixes(POLICY_PREFIX_IN, "fd00::/8", 64, 64, "+fd00:1::/64 -fd00::/63 -fd00::/65 -fd00::/8");
}

static void test_source_and_session(void **state)
{
	struct prefix p = prefix("10.0.0.0/8");
	struct policy_rule bgp = { .source = POLICY_SOURCE_BGP }, mine = { .source = POLICY_SOURCE_OWN },
			   ebgp = { .session = POLICY_SESSION_EBGP },
			   ibgp = { .session = POLICY_SESSION_IBGP };

	for (unsigned i = 0; i < 4; i++) {
		struct policy_route r = { &p, own, .own = i & 1, .ebgp = i & 2, .ifname = "" };

		assert_int_equal(takes_route(&bgp, &r), !r.own);
		assert_int_equal(takes_route(&mine, &r), r.own);
		assert_int_equal(takes_route(&ebgp, &r), r.ebgp);
		assert_int_equal(takes_route(&ibgp, &r), !r.ebgp);
	}
}

static bool takes_attr(const struct policy_rule *rule, const struct attr_set *a)
{
	struct prefix p = prefix("fd00::/64");
	struct policy_route r = { .prefix = &p, .attr = a, .ifname = "" };

	return takes_route(rule, &r);
}

static void test_community(void **state)
{
	struct policy_rule r = { .has_community = true, .community = { false, { 65000, 1 } } };

	assert_true(takes_attr(&r, path));
	assert_false(takes_attr(&r, own));
	r.community.v[1] = 2;
	assert_false(takes_attr(&r, path));
	r.community.v[0] = 0;
	assert_true(takes_attr(&r, path));
	r.community = (struct policy_community){ true, { 4200000001u, 0, 7 } };
	assert_true(takes_attr(&r, path));
	assert_false(takes_attr(&r, own));
	r.community.v[2] = 8;
	assert_false(takes_attr(&r, path));
	/* 0:0 is a community, too: asked for, not there */
	r.community = (struct policy_community){ 0 };
	assert_false(takes_attr(&r, path));
}

static void test_local_pref(void **state)
{
	struct policy_rule r = { .has_local_pref = true, .local_pref = 200 };

	assert_true(takes_attr(&r, path));
	assert_false(takes_attr(&r, own));
	r.local_pref = 100;
	assert_false(takes_attr(&r, path));
	assert_true(takes_attr(&r, own)); /* has none */
	r.local_pref = 0;
	assert_false(takes_attr(&r, own));
}

static void test_as_path(void **state)
{
	struct policy_rule r = { .nas_path = 1, .as_path = { 65001, 65002, 65003 } };

	assert_true(takes_attr(&r, path));
	assert_false(takes_attr(&r, own));
	r.nas_path = 2;
	assert_true(takes_attr(&r, path));
	r.nas_path = 3;
	assert_false(takes_attr(&r, path));
	r.nas_path = 1;
	r.as_path[0] = 65002;
	assert_false(takes_attr(&r, path));
}

static void test_interface(void **state)
{
	static const struct {
		const char *pattern, *name;
		bool fits;
	} t[] = {
		{ "eth0", "eth0", true },
		{ "eth0", "eth01", false },
		{ "eth0", "eth", false },
		{ "eth*", "eth0", true },
		{ "eth*", "eth", true },
		{ "eth*", "veth0", false },
		{ "*", "anything", true },
		{ "*", "", true },
		{ "eth0", "", false },
		{ "*0", "eth10", true },
		{ "*10", "eth110", true },
		{ "*10", "eth1010", true },
		{ "*10", "eth101", false },
		{ "e*h*0", "eth0", true },
		{ "e*h*0", "ethh.100", true },
		{ "e*h*0", "et0", false },
		{ "**", "x", true },
		{ "a*b*c", "abbbcbc", true },
		{ "fifteen-letters", "fifteen-letters", true },
	};
	struct prefix p = prefix("10.0.0.0/8");

	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		struct policy_rule r = { 0 };
		struct policy_route route = { .prefix = &p, .attr = own, .ifname = t[i].name };

		snprintf(r.interface, sizeof(r.interface), "%s", t[i].pattern);
		if (takes_route(&r, &route) != t[i].fits)
			fail_msg("%s on %s", t[i].pattern, t[i].name);
	}
}

/* All matches that are given must hold. */
static void test_all_must_hold(void **state)
{
	struct prefix p = prefix("10.1.2.0/24"), q = prefix("10.2.2.0/24");
	const struct policy_rule full = { .family = AF_INET,
					  .prefix_op = POLICY_PREFIX_IN,
					  .prefix = prefix("10.1.0.0/16"),
					  .source = POLICY_SOURCE_BGP,
					  .session = POLICY_SESSION_EBGP,
					  .has_community = true,
					  .community = { false, { 65000, 1 } },
					  .has_local_pref = true,
					  .local_pref = 200,
					  .nas_path = 1,
					  .as_path = { 65001 },
					  .interface = "eth*" };
	const struct policy_route good = { &p, path, false, true, "eth0" };
	struct policy_route r = good;
	struct policy_rule m;

	assert_true(takes_route(&full, &good));
	r.prefix = &q;
	assert_false(takes_route(&full, &r));
	r = good;
	r.own = true;
	assert_false(takes_route(&full, &r));
	r = good;
	r.ebgp = false;
	assert_false(takes_route(&full, &r));
	r = good;
	r.ifname = "bond0";
	assert_false(takes_route(&full, &r));
	m = full;
	m.family = AF_INET6;
	assert_false(takes_route(&m, &good));
	m = full;
	m.community.v[1] = 9;
	assert_false(takes_route(&m, &good));
	m = full;
	m.local_pref = 100;
	assert_false(takes_route(&m, &good));
	m = full;
	m.as_path[0] = 65002;
	assert_false(takes_route(&m, &good));
}

/* --- the order of rules --- */

static struct policy_rule rule_in(const char *p, enum policy_verdict v)
{
	return (struct policy_rule){ .prefix_op = POLICY_PREFIX_IN,
				     .prefix = prefix(p),
				     .verdict = (uint8_t)v };
}

static void expect(const char *p, bool accept, uint16_t rule)
{
	struct policy_result r = eval(p, own);

	if (r.accept != accept || r.rule != rule)
		fail_msg("%s: %d by rule %u", p, r.accept, r.rule);
}

/* The first rule that matches decides, however long the prefixes of the others are. */
static void test_order(void **state)
{
	const struct policy_rule rules[] = {
		rule_in("10.1.0.0/16", POLICY_ACCEPT),
		rule_in("10.0.0.0/8", POLICY_REJECT),
		rule_in("10.1.2.0/24", POLICY_REJECT),
		rule_in("10.2.2.0/24", POLICY_ACCEPT),
		{ .has_local_pref = true, .local_pref = 5, .verdict = POLICY_REJECT },
		rule_in("11.0.0.0/8", POLICY_ACCEPT),
		{ .prefix_op = POLICY_PREFIX_NOT_IN,
		  .prefix = prefix("11.1.0.0/16"),
		  .verdict = POLICY_REJECT },
		rule_in("12.0.0.0/8", POLICY_ACCEPT),
		rule_in("11.0.0.0/8", POLICY_REJECT),
	};

	set(ID, true, rules, ARRAY_SIZE(rules));
	expect("10.1.2.0/24", true, 0);
	expect("10.2.2.0/24", false, 1);
	expect("10.0.0.0/8", false, 1);
	expect("11.1.0.0/16", true, 5);
	expect("11.2.0.0/16", true, 5);
	expect("12.0.0.0/8", false, 6);
	expect("::/0", false, 6);

	/* many for one prefix, between many for none */
	struct policy_rule many[64];
	for (unsigned i = 0; i < ARRAY_SIZE(many); i++) {
		many[i] = i % 2 ? rule_in(i % 4 == 1 ? "10.0.0.0/8" : "10.1.0.0/16", POLICY_ACCEPT)
				: (struct policy_rule){ .verdict = POLICY_ACCEPT };
		many[i].has_local_pref = true;
		many[i].local_pref = i;
	}
	for (unsigned i = 0; i < ARRAY_SIZE(many); i++) {
		many[i].local_pref = 100;
		policies_drop(ps, ID);
		set(ID, false, many, ARRAY_SIZE(many));
		expect("10.1.0.0/16", true, (uint16_t)i);
		many[i].local_pref = 101;
	}
}

static void test_otherwise(void **state)
{
	const struct policy_rule r = rule_in("10.0.0.0/8", POLICY_REJECT);

	set(ID, true, &r, 1);
	expect("11.0.0.0/8", true, POLICY_NO_RULE);
	expect("10.0.0.0/8", false, 0);
	policies_drop(ps, ID);
	set(ID, false, NULL, 0);
	expect("11.0.0.0/8", false, POLICY_NO_RULE);
}

/* --- operations --- */

static struct policy_op add_community(uint32_t a, uint32_t b)
{
	return (struct policy_op){ .kind = POLICY_ADD_COMMUNITY, .community = { false, { a, b } } };
}

static void expect_applied(struct attr_set *a, const struct policy_result *r, const char *text)
{
	struct attr_set *b = policy_apply(table, a, r);
	own_str struct str s = { 0 };

	attr_format(b, &s);
	assert_string_equal(s.s, text);
	attr_unref(table, b);
}

/* Rules that do not decide change the route and the search goes on; matches see it as it came in. */
static void test_next(void **state)
{
	struct policy_rule rules[] = {
		{ .nops = 2,
		  .ops = { add_community(65000, 9), { .kind = POLICY_SET_LOCAL_PREF, .value = 7 } } },
		{ .prefix_op = POLICY_PREFIX_IN,
		  .prefix = prefix("10.0.0.0/8"),
		  .nops = 1,
		  .ops = { { .kind = POLICY_SET_MED, .value = 50 } } },
		{ .has_local_pref = true, .local_pref = 7, .verdict = POLICY_REJECT },
		{ .has_community = true, .community = { false, { 65000, 9 } }, .verdict = POLICY_REJECT },
		{ .prefix_op = POLICY_PREFIX_IN,
		  .prefix = prefix("10.1.0.0/16"),
		  .verdict = POLICY_ACCEPT,
		  .nops = 1,
		  .ops = { { .kind = POLICY_PREPEND, .nasns = 2, .asns = { 64513, 64514 } } } },
		rule_in("10.2.0.0/16", POLICY_REJECT),
	};

	set(ID, true, rules, ARRAY_SIZE(rules));
	struct policy_result r = eval("10.1.0.0/16", own);
	assert_true(r.accept);
	assert_int_equal(r.rule, 4);
	assert_int_equal(r.nops, 4);
	expect_applied(own, &r, "origin igp, as-path 64513 64514, med 50, local-pref 7, communities 65000:9");
	r = eval("11.1.0.0/16", own);
	assert_int_equal(r.rule, POLICY_NO_RULE);
	expect_applied(own, &r, "origin igp, as-path empty, local-pref 7, communities 65000:9");
	r = eval("10.2.0.0/16", own);
	assert_false(r.accept);
	assert_int_equal(r.nops, 0); /* nothing is done to what is refused */
	r = eval("10.3.0.0/16", path);
	expect_applied(
		path, &r,
		"origin igp, as-path 65001 65002, med 50, local-pref 7, communities 65000:1 0:2 65000:9, "
		"large-communities 4200000001:0:7");
}

static void test_operations(void **state)
{
	struct policy_rule rule = {
		.verdict = POLICY_ACCEPT,
		.nops = 9,
		.ops = { { .kind = POLICY_PREPEND, .nasns = 2, .asns = { 1, 2 } },
			 add_community(65000, 1), /* there already */
			 add_community(65000, 3),
			 { .kind = POLICY_ADD_COMMUNITY, .community = { true, { 1, 2, 3 } } },
			 { .kind = POLICY_SET_LOCAL_PREF, .value = 5 },
			 { .kind = POLICY_SET_LOCAL_PREF, .value = 2147483647 - 1000 },
			 { .kind = POLICY_SET_MED, .value = 0 },
			 { .kind = POLICY_PREPEND, .nasns = 2, .asns = { 3, 4 } },
			 add_community(65535, 65281) },
	};

	set(ID, false, &rule, 1);
	struct policy_result r = eval("fd00::/64", path);
	expect_applied(path, &r,
		       "origin igp, as-path 3 4 1 2 65001 65002, med 0, local-pref 2147482647, communities "
		       "65000:1 0:2 65000:3 no-export, large-communities 4200000001:0:7 1:2:3");
	assert_true(r.accept && r.nops == 9);

	/* what changes nothing is the same object */
	rule.nops = 1;
	rule.ops[0] = add_community(65000, 1);
	set(ID, false, &rule, 1);
	r = eval("10.0.0.0/8", path);
	struct attr_set *a = policy_apply(table, path, &r);
	assert_ptr_equal(a, path);
	attr_unref(table, a);
	r.nops = 0;
	a = policy_apply(table, path, &r);
	assert_ptr_equal(a, path);
	attr_unref(table, a);
}

/* A change is made where the caller has some of his own. */
static void test_change(void **state)
{
	const struct policy_rule rule = { .verdict = POLICY_ACCEPT,
					  .nops = 2,
					  .ops = { { .kind = POLICY_PREPEND, .nasns = 1, .asns = { 1 } },
						   add_community(1, 1) } };
	struct attr_change ch = { .leave_as = true, .prepend = 1, .prepend_asn = 64512, .med = ATTR_CLEAR };
	struct policy_buf buf;

	set(ID, false, &rule, 1);
	struct policy_result r = eval("10.0.0.0/8", path);
	policy_change(&r, &buf, &ch);
	struct attr_set *a = attr_derive(table, path, &ch);
	own_str struct str s = { 0 };
	attr_format(a, &s);
	assert_string_equal(s.s, "origin igp, as-path 64512 1 65001 65002, communities 65000:1 0:2 1:1, "
				 "large-communities 4200000001:0:7");
	attr_unref(table, a);
}

/* More operations than one route can have are left out; what they make too long is not made. */
static void test_too_much(void **state)
{
	struct policy_rule rules[10] = { 0 };
	enum { N = 16383 };
	static uint32_t communities[N];

	for (unsigned i = 0; i < ARRAY_SIZE(rules); i++) {
		rules[i].nops = POLICY_OPS_MAX;
		for (unsigned k = 0; k < POLICY_OPS_MAX; k++)
			rules[i].ops[k] =
				(struct policy_op){ .kind = POLICY_PREPEND, .nasns = 10, .asns = { 1 } };
		for (unsigned k = 0; k < POLICY_OPS_MAX * POLICY_ASNS_MAX; k++)
			rules[i].ops[k / 10].asns[k % 10] = i * 100 + k + 1;
	}
	set(ID, true, rules, ARRAY_SIZE(rules));
	struct policy_result r = eval("10.0.0.0/8", path);
	assert_int_equal(r.nops, POLICY_OUT_OPS);
	struct attr_set *a = policy_apply(table, path, &r);
	assert_int_equal(a->as_path_len, POLICY_OUT_OPS * 10 + 2);
	assert_int_equal(a->first_asn, 631);
	attr_unref(table, a);

	for (uint32_t i = 0; i < N; i++)
		communities[i] = i;
	struct attr_change ch = { .communities = communities, .ncommunities = N };
	struct attr_set *full = attr_derive(table, own, &ch);
	const struct policy_rule add = { .verdict = POLICY_ACCEPT,
					 .nops = 1,
					 .ops = { add_community(65000, 1) } };
	set(ID, true, &add, 1);
	r = eval("10.0.0.0/8", full);
	assert_null(policy_apply(table, full, &r));
	attr_unref(table, full);
}

static void test_result_eq(void **state)
{
	const struct policy_rule rules[] = {
		{ .prefix_op = POLICY_PREFIX_IN,
		  .prefix = prefix("10.0.0.0/8"),
		  .verdict = POLICY_ACCEPT,
		  .nops = 1,
		  .ops = { add_community(1, 1) } },
		{ .prefix_op = POLICY_PREFIX_IN,
		  .prefix = prefix("11.0.0.0/8"),
		  .verdict = POLICY_ACCEPT,
		  .nops = 1,
		  .ops = { add_community(1, 1) } },
		{ .prefix_op = POLICY_PREFIX_IN,
		  .prefix = prefix("12.0.0.0/8"),
		  .verdict = POLICY_ACCEPT,
		  .nops = 1,
		  .ops = { add_community(1, 2) } },
		{ .prefix_op = POLICY_PREFIX_IN,
		  .prefix = prefix("13.0.0.0/8"),
		  .verdict = POLICY_ACCEPT,
		  .nops = 1,
		  .ops = { { .kind = POLICY_PREPEND, .nasns = 1, .asns = { 1 } } } },
		rule_in("14.0.0.0/8", POLICY_ACCEPT),
		rule_in("15.0.0.0/8", POLICY_REJECT),
	};
	static const bool same[7][7] = { { 1, 1 },
					 { 1, 1 },
					 { 0, 0, 1 },
					 { 0, 0, 0, 1 },
					 { 0, 0, 0, 0, 1, 0, 1 },
					 { 0, 0, 0, 0, 0, 1 },
					 { 0, 0, 0, 0, 1, 0, 1 } };

	set(ID, true, rules, ARRAY_SIZE(rules));
	for (unsigned i = 0; i < 7; i++) {
		for (unsigned k = 0; k < 7; k++) {
			char a[PREFIX_STR_MAX], b[PREFIX_STR_MAX];
			snprintf(a, sizeof(a), "%u.0.0.0/8", 10 + i);
			snprintf(b, sizeof(b), "%u.0.0.0/8", 10 + k);
			struct policy_result x = eval(a, own), y = eval(b, own);
			assert_int_equal(policy_result_eq(&x, &y), same[i][k]);
		}
	}
}

/* --- how policies come and go --- */

/* Until its end a new policy is not seen. */
static void test_half_made(void **state)
{
	const struct policy_rule accept = { .verdict = POLICY_ACCEPT }, reject = { .verdict = POLICY_REJECT };

	assert_false(policies_add(ps, ID, &accept));
	assert_false(policies_end(ps, ID));
	policies_begin(ps, ID, "one", false);
	assert_null(policies_get(ps, ID));
	assert_true(policies_add(ps, ID, &accept));
	assert_null(policies_get(ps, ID));
	assert_true(policies_end(ps, ID));
	const struct policy *one = policies_get(ps, ID);
	assert_string_equal(policy_name(one), "one");
	expect("10.0.0.0/8", true, 0);
	assert_false(policies_end(ps, ID)); /* nothing was begun */

	policies_begin(ps, ID, "two", true);
	assert_true(policies_add(ps, ID, &reject));
	expect("10.0.0.0/8", true, 0);
	policies_begin(ps, ID, "three", true); /* once more from the start */
	assert_true(policies_add(ps, ID, &accept));
	assert_true(policies_add(ps, ID, &reject));
	assert_ptr_equal(policies_get(ps, ID), one);
	assert_true(policies_end(ps, ID));
	assert_string_equal(policy_name(policies_get(ps, ID)), "three");
	expect("10.0.0.0/8", true, 0);
	assert_null(policies_get(ps, ID + 1));
}

/* The same again is no change and the same object, under whatever name. */
static void test_unchanged(void **state)
{
	struct policy_rule r = { .prefix_op = POLICY_PREFIX_IN,
				 .prefix = prefix("10.0.0.0/8"),
				 .has_community = true,
				 .community = { false, { 1, 2 } },
				 .nas_path = 1,
				 .as_path = { 1 },
				 .interface = "eth*",
				 .verdict = POLICY_ACCEPT,
				 .nops = 2,
				 .ops = { add_community(1, 2),
					  { .kind = POLICY_PREPEND, .nasns = 1, .asns = { 1 } } } };

	set(ID, false, &r, 1);
	const struct policy *p = policies_get(ps, ID);
	r.as_path[1] = 99; /* beyond its end */
	r.ops[1].asns[1] = 99;
	r.ops[1].value = 99;
	r.local_pref = 99;
	memset(r.interface + 5, 'x', 5);
	policies_begin(ps, ID, "new name", false);
	assert_true(policies_add(ps, ID, &r));
	assert_false(policies_end(ps, ID));
	assert_ptr_equal(policies_get(ps, ID), p);
	assert_string_equal(policy_name(p), "new name");

	/* every difference is one */
	set(ID, true, &r, 1);
	r.ops[1].asns[0] = 2;
	set(ID, true, &r, 1);
	r.ops[0].community.v[1] = 3;
	set(ID, true, &r, 1);
	r.ops[0].kind = POLICY_SET_MED;
	set(ID, true, &r, 1);
	r.nops = 1;
	set(ID, true, &r, 1);
	r.prefix = prefix("10.0.0.0/9");
	set(ID, true, &r, 1);
	r.prefix_op = POLICY_PREFIX_NOT_IN;
	set(ID, true, &r, 1);
	r.min_len = r.max_len = 30;
	set(ID, true, &r, 1);
	r.has_local_pref = true;
	set(ID, true, &r, 1);
	r.interface[0] = 'v';
	set(ID, true, &r, 1);
	r.verdict = POLICY_NEXT;
	set(ID, true, &r, 1);
	const struct policy_rule two[] = { r, r };
	set(ID, true, two, 2);
	set(ID, true, NULL, 0);
}

/* A policy that lost a rule does not come to be. */
static void expect_refused(const struct policy_rule *bad)
{
	const struct policy_rule accept = { .verdict = POLICY_ACCEPT };

	policies_begin(ps, ID, "bad", false);
	assert_true(policies_add(ps, ID, &accept));
	assert_false(policies_add(ps, ID, bad));
	assert_true(policies_add(ps, ID, &accept));
	assert_false(policies_end(ps, ID));
	assert_string_equal(policy_name(policies_get(ps, ID)), "policy");
}

static void test_limits(void **state)
{
	struct policy_rule r = { .verdict = POLICY_REJECT, .prefix_op = POLICY_PREFIX_IN };

	set(ID, true, NULL, 0);
	policies_begin(ps, ID, "big", true);
	for (uint32_t i = 0; i < POLICY_RULES_MAX; i++) {
		struct addr a = addr_v4(0x0a000000 + (i << 8));

		r.prefix = prefix_of(&a, 24);
		assert_true(policies_add(ps, ID, &r));
	}
	assert_true(policies_end(ps, ID));
	expect("10.0.0.0/24", false, 0);
	expect("10.15.255.7/32", false, POLICY_RULES_MAX - 1);
	expect("10.16.0.0/24", true, POLICY_NO_RULE);
	set(ID, true, NULL, 0);
	policies_begin(ps, ID, "too big", true);
	for (uint32_t i = 0; i < POLICY_RULES_MAX; i++)
		assert_true(policies_add(ps, ID, &r));
	assert_false(policies_add(ps, ID, &r));
	assert_false(policies_end(ps, ID));
	expect("10.15.255.7/32", true, POLICY_NO_RULE);

	const struct policy_rule none = { .verdict = POLICY_ACCEPT };
	struct policy_rule bad[14];
	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++)
		bad[i] = none;
	bad[0].nops = POLICY_OPS_MAX + 1;
	bad[1].nas_path = POLICY_ASNS_MAX + 1;
	bad[2].verdict = POLICY_REJECT + 1;
	bad[3].source = POLICY_SOURCE_OWN + 1;
	bad[4].session = POLICY_SESSION_IBGP + 1;
	bad[5].prefix_op = POLICY_PREFIX_NOT_IN + 1;
	memset(bad[6].interface, 'x', sizeof(bad[6].interface));
	bad[7].prefix_op = POLICY_PREFIX_IN; /* in what? */
	bad[8].prefix_op = POLICY_PREFIX_IN;
	bad[8].prefix = (struct prefix){ .addr = addr_v4(0), .len = 33 };
	bad[9].nops = 1;
	bad[9].ops[0].kind = POLICY_OP_KINDS;
	bad[10].nops = 1;
	bad[10].ops[0] = (struct policy_op){ .kind = POLICY_PREPEND, .nasns = POLICY_ASNS_MAX + 1 };
	bad[11].nops = 1;
	bad[11].ops[0] = add_community(65536, 0);
	bad[12].has_community = true;
	bad[12].community.v[2] = 1;
	bad[13].verdict = POLICY_REJECT;
	bad[13].nops = 1;
	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++)
		expect_refused(&bad[i]);
}

static void note(void *arg, uint16_t id)
{
	uint16_t *heard = arg;

	assert_null(policies_get(ps, id));
	heard[id]++;
}

static void test_sweep(void **state)
{
	uint16_t heard[10] = { 0 };

	for (uint16_t id = 2; id < 7; id++)
		set(id, true, NULL, 0);
	policies_begin(ps, 8, "never ended", true);
	policies_stamp(ps);
	policies_begin(ps, 3, "again", true);
	assert_false(policies_end(ps, 3)); /* the same */
	policies_begin(ps, 4, "again", false);
	assert_true(policies_end(ps, 4));
	policies_begin(ps, 5, "not ended yet", false);
	policies_begin(ps, 9, "new", false);
	policies_sweep(ps, note, heard);
	for (uint16_t id = 0; id < ARRAY_SIZE(heard); id++) {
		assert_int_equal(heard[id], id == 2 || id == 6);
		assert_int_equal(policies_get(ps, id) != NULL, id >= 3 && id <= 5);
	}
	assert_false(policies_end(ps, 8)); /* what was begun before is gone */
	assert_true(policies_end(ps, 5));
	assert_true(policies_end(ps, 9));
	assert_true(policies_drop(ps, 9));
	assert_false(policies_drop(ps, 9));
	policies_begin(ps, 9, "begun", true);
	assert_false(policies_drop(ps, 9));
	assert_false(policies_end(ps, 9));
	set(UINT16_MAX, true, NULL, 0);
	assert_non_null(policies_get(ps, UINT16_MAX));
	assert_null(policies_get(ps, UINT16_MAX - 1));
	policies_free(NULL);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_any),	   T(test_prefix),     T(test_prefix_length),
		T(test_community), T(test_local_pref), T(test_source_and_session),
		T(test_as_path),   T(test_interface),  T(test_all_must_hold),
		T(test_order),	   T(test_otherwise),  T(test_next),
		T(test_change),	   T(test_operations), T(test_too_much),
		T(test_result_eq), T(test_half_made),  T(test_unchanged),
		T(test_limits),	   T(test_sweep),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
