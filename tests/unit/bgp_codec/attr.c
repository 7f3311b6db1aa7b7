/* Attribute sets: interning, header fields, editing, and the conversions between 2- and 4-byte AS numbers. */
#include "kit.h"

static struct attr_table *table;
static struct update u;

static int setup(void **state)
{
	table = attr_table_new(42);
	return 0;
}

static int teardown(void **state)
{
	assert_int_equal(attr_table_count(table), 0);
	attr_table_free(table);
	return 0;
}

/* The set of these attributes, as this session reads them. */
static struct attr_set *set_hex(const struct codec *c, const char *attrs)
{
	static struct bytes body;

	body_hex(&body, "", attrs, "");
	assert_true(update_decode(bytes_rd(&body), c, &u) <= ATTR_DROP);
	return attr_intern(table, &u.attrs, c);
}

static void expect_format(const struct attr_set *a, const char *text)
{
	own_str struct str s = { 0 };

	attr_format(a, &s);
	assert_string_equal(s.s, text);
}

static void expect_encoded(const struct attr_set *a, bool as4, const char *nexthop, const char *hex)
{
	static struct bytes want;
	uint8_t buf[MSG_MAX];
	struct wr w = wr_to(buf, sizeof(buf));
	struct addr nh = { 0 };

	want.n = 0;
	bytes_hex(&want, hex);
	if (nexthop)
		assert_true(addr_parse(nexthop, &nh));
	attr_encode(a, &nh, as4, &w);
	assert_int_equal(w.len, want.n);
	assert_memory_equal(buf, want.b, want.n);
	assert_int_equal(attr_size(a, &nh, as4), w.len);
}

static void test_intern(void **state)
{
	struct attr_set *a = set_hex(&kit_ibgp, KIT_BASE "400504 00000064 c00804 fde80001");
	/* other order, extended length, another next hop, an attribute that is dropped: the same set */
	struct attr_set *b = set_hex(&kit_ibgp, "d0080004 fde80001 400504 00000064" KIT_PATH KIT_ORIGIN
						"400304 0a000009 806301 07");
	struct attr_set *c = set_hex(&kit_ibgp, KIT_BASE "400504 00000065 c00804 fde80001");

	assert_ptr_equal(a, b);
	assert_ptr_not_equal(a, c);
	assert_int_equal(a->refs, 2);
	assert_int_equal(attr_table_count(table), 2);
	attr_unref(table, a);
	attr_unref(table, b);
	assert_int_equal(attr_table_count(table), 1);
	attr_unref(table, c);
	attr_unref(table, NULL);
}

static void test_many(void **state)
{
	enum { N = 5000 };
	static struct attr_set *sets[N];
	struct attr_set *base = attr_originate(table, ATTR_ORIGIN_IGP);
	size_t empty = attr_table_bytes(table);

	for (unsigned i = 0; i < N; i++) {
		struct attr_change ch = { .med = ATTR_PUT, .med_value = i };

		sets[i] = attr_derive(table, base, &ch);
		assert_int_equal(sets[i]->med, i);
	}
	assert_int_equal(attr_table_count(table), N + 1);
	assert_true(attr_table_bytes(table) > empty);
	for (unsigned i = 0; i < N; i += 2)
		attr_unref(table, sets[i]);
	for (unsigned i = 1; i < N; i += 2) {
		struct attr_change ch = { .med = ATTR_PUT, .med_value = i };
		struct attr_set *again = attr_derive(table, base, &ch);

		assert_ptr_equal(again, sets[i]);
		attr_unref(table, again);
		attr_unref(table, again);
	}
	attr_unref(table, base);
}

static void test_head(void **state)
{
	/* path: confederation (1 2), sequence 65001 65002, set {7 8}; the set is one hop, the confederation
	 * none */
	struct attr_set *a = set_hex(
		&kit_ibgp, "400101 02"
			   "40021e 0302 00000001 00000002 0202 0000fde9 0000fdea 0102 00000007 00000008"
			   "800404 00000032 400504 000000c8 400600 c00708 0000fde9 0a000001"
			   "c00810 fde80001 ffffff01 ffffff02 ffff0006 800904 0a000007"
			   "800a08 00000001 00000002 c01008 0002fde800000007 c06302 abcd");

	assert_int_equal(a->origin, ATTR_ORIGIN_INCOMPLETE);
	assert_int_equal(a->as_path_len, 3);
	assert_int_equal(a->first_asn, 65001);
	assert_int_equal(a->med, 50);
	assert_int_equal(a->local_pref, 200);
	assert_int_equal(a->originator_id, 0x0a000007);
	assert_int_equal(a->cluster_len, 2);
	assert_int_equal(a->flags, ATTR_HAS_MED | ATTR_HAS_LOCAL_PREF | ATTR_HAS_ORIGINATOR | ATTR_NO_EXPORT |
					   ATTR_NO_ADVERTISE | ATTR_LLGR_STALE | ATTR_HAS_UNKNOWN);
	assert_int_equal(attr_path_count(a, 65001), 1);
	assert_int_equal(attr_path_count(a, 2), 1);
	assert_int_equal(attr_path_count(a, 8), 1);
	assert_int_equal(attr_path_count(a, 9), 0);
	assert_true(attr_cluster_has(a, 2));
	assert_false(attr_cluster_has(a, 3));
	assert_true(attr_community_has(a, 0xfde80001));
	assert_false(attr_community_has(a, 0xfde80002));
	expect_format(a, "origin incomplete, as-path (1 2) 65001 65002 {7 8}, med 50, local-pref 200, "
			 "atomic-aggregate, "
			 "aggregator 65001 10.0.0.1, communities 65000:1 no-export no-advertise llgr-stale, "
			 "originator-id 10.0.0.7, cluster-list 0.0.0.1 0.0.0.2, "
			 "ext-communities 0x0002fde800000007, attribute-99 flags 0xe0 length 2 abcd");
	attr_unref(table, a);

	a = set_hex(&kit_ibgp, KIT_ORIGIN "400206 0101 0000fde9");
	assert_int_equal(a->first_asn, 0);
	assert_int_equal(a->as_path_len, 1);
	assert_int_equal(a->local_pref, ATTR_LOCAL_PREF_DEFAULT);
	assert_int_equal(a->flags, 0);
	attr_unref(table, a);

	a = attr_originate(table, ATTR_ORIGIN_EGP);
	assert_int_equal(a->origin, ATTR_ORIGIN_EGP);
	expect_format(a, "origin egp, as-path empty");
	expect_encoded(a, true, "10.0.0.1", "400101 01 400200 400304 0a000001");
	expect_encoded(a, true, NULL, "400101 01 400200");
	expect_encoded(a, true, "fd00::1", "400101 01 400200");
	attr_unref(table, a);
}

/* Partial: set on unknown attributes that are passed on, kept on known optional transitive ones, nowhere
 * else. */
static void test_partial(void **state)
{
	struct attr_set *a = set_hex(&kit_ibgp, "600101 00" KIT_PATH "e00804 fde80001 c06301 00 e06401 00");

	expect_encoded(a, true, NULL, KIT_ORIGIN KIT_PATH "e00804 fde80001 e06301 00 e06401 00");
	attr_unref(table, a);
}

/* --- 2-byte AS numbers --- */

static void expect_merged(const char *attrs, const char *text)
{
	struct attr_set *a = set_hex(&kit_old, attrs);

	expect_format(a, text);
	attr_unref(table, a);
}

static void test_as4_merge(void **state)
{
	/* no AS4_PATH */
	expect_merged(KIT_ORIGIN "400206 0202 fde9 5ba0", "origin igp, as-path 65001 23456");
	/* the old speaker has put itself before */
	expect_merged(KIT_ORIGIN "400208 0203 fde9 5ba0 fdea c0110a 0202 fa56ea01 0000fdea",
		      "origin igp, as-path 65001 4200000001 65002");
	/* equally long */
	expect_merged(KIT_ORIGIN "400206 0202 5ba0 fdea c0110a 0202 fa56ea01 0000fdea",
		      "origin igp, as-path 4200000001 65002");
	/* longer than AS_PATH: ignored */
	expect_merged(KIT_ORIGIN "400204 0201 5ba0 c0110a 0202 fa56ea01 0000fdea",
		      "origin igp, as-path 23456");
	/* sets: one hop each */
	expect_merged(KIT_ORIGIN
		      "40020c 0202 fde9 5ba0 0102 0007 0008 c01110 0201 fa56ea01 0102 00000007 00010008",
		      "origin igp, as-path 65001 4200000001 {7 65544}");
	/* a leading set taken from AS_PATH */
	expect_merged(KIT_ORIGIN "40020a 0102 0007 0008 0201 5ba0 c01106 0201 fa56ea01",
		      "origin igp, as-path {7 8} 4200000001");
	/* confederation segments in AS4_PATH are left out */
	expect_merged(KIT_ORIGIN "400206 0202 fde9 5ba0 c0110c 0301 00000009 0201 fa56ea01",
		      "origin igp, as-path 65001 4200000001");
	/* AGGREGATOR with AS_TRANS takes the companion */
	expect_merged(KIT_ORIGIN "400204 0201 5ba0 c00706 5ba0 0a000001 c01106 0201 fa56ea01"
				 "c01208 fa56ea02 0a000002",
		      "origin igp, as-path 4200000001, aggregator 4200000002 10.0.0.2");
	/* AGGREGATOR with a real number: both companions are out of date */
	expect_merged(KIT_ORIGIN "400204 0201 5ba0 c00706 fde9 0a000001 c01106 0201 fa56ea01"
				 "c01208 fa56ea02 0a000002",
		      "origin igp, as-path 23456, aggregator 65001 10.0.0.1");
	/* ... but an AGGREGATOR that never had a companion says nothing about the path */
	expect_merged(KIT_ORIGIN "400204 0201 5ba0 c00706 fde9 0a000001 c01106 0201 fa56ea01",
		      "origin igp, as-path 4200000001, aggregator 65001 10.0.0.1");
	/* without AGGREGATOR its companion means nothing */
	expect_merged(KIT_ORIGIN "400204 0201 fde9 c01208 fa56ea02 0a000002", "origin igp, as-path 65001");
	/* a malformed companion does no harm */
	expect_merged(KIT_ORIGIN "400204 0201 5ba0 c01107 0201 fa56ea01 00", "origin igp, as-path 23456");
}

static void test_to_as2(void **state)
{
	struct attr_set *a =
		set_hex(&kit_ibgp, KIT_ORIGIN "40020a 0202 0000fde9 0000fdea c00708 0000fde9 0a000001");

	expect_encoded(a, false, "10.0.0.1",
		       KIT_ORIGIN "400206 0202 fde9 fdea 400304 0a000001 c00706 fde9 0a000001");
	attr_unref(table, a);

	/* companions stand between code 16 and code 32; confederation segments stay out of them */
	a = set_hex(&kit_ibgp,
		    KIT_ORIGIN "400210 0301 0000fde8 0202 0000fde9 fa56ea01 c00708 fa56ea02 0a000001"
			       "c01008 0002fde800000007 c0200c 000000010000000200000003");
	expect_encoded(a, false, "10.0.0.1",
		       KIT_ORIGIN "40020a 0301 fde8 0202 fde9 5ba0 400304 0a000001 c00706 5ba0 0a000001"
				  "c01008 0002fde800000007 c0110a 0202 0000fde9 fa56ea01"
				  "c01208 fa56ea02 0a000001 c0200c 000000010000000200000003");
	attr_unref(table, a);

	/* only the path; nothing after it */
	a = set_hex(&kit_ibgp, KIT_ORIGIN "400206 0201 fa56ea01");
	expect_encoded(a, false, NULL, KIT_ORIGIN "400204 0201 5ba0 c01106 0201 fa56ea01");
	attr_unref(table, a);
}

/* --- editing --- */

static void test_derive(void **state)
{
	struct attr_set *a =
		set_hex(&kit_ibgp, KIT_ORIGIN "40020c 0301 00000009 0201 0000fde9 800404 00000032"
					      "400504 000000c8 c00804 fde80001 800904 0a000007"
					      "800a04 00000001 c01010 0002fde800000007 4002fde800000008"
					      "c0200c 000000010000000200000003 c06301 00");
	static const uint32_t communities[] = { 0xfde80001, 0xfde80002, 0xfde80002 };
	static const struct attr_large large[] = { { 1, 2, 3 }, { 1, 2, 4 } };
	struct attr_change none = { 0 };
	struct attr_set *b = attr_derive(table, a, &none);

	assert_ptr_equal(a, b);
	attr_unref(table, b);

	/* to another AS */
	struct attr_change leave = { .leave_as = true,
				     .drop_unknown = true,
				     .med = ATTR_CLEAR,
				     .prepend = 2,
				     .prepend_asn = 65000,
				     .communities = communities,
				     .ncommunities = 3,
				     .large = large,
				     .nlarge = 2 };
	b = attr_derive(table, a, &leave);
	expect_format(b, "origin igp, as-path 65000 65000 65001, communities 65000:1 65000:2, "
			 "ext-communities 0x0002fde800000007, large-communities 1:2:3 1:2:4");
	assert_int_equal(b->as_path_len, 3);
	assert_int_equal(b->first_asn, 65000);
	assert_true(attr_large_has(b, &large[1]));
	attr_unref(table, b);

	/* reflected: ORIGINATOR_ID stays, the cluster is put before */
	struct attr_change reflect = { .originator_id = 5, .cluster_id = 0x0a000063 };
	b = attr_derive(table, a, &reflect);
	assert_int_equal(b->originator_id, 0x0a000007);
	assert_int_equal(b->cluster_len, 2);
	struct rd r;
	assert_true(attr_find(b, ATTR_CLUSTER_LIST, &r));
	assert_int_equal(rd_be32(&r), 0x0a000063);
	attr_unref(table, b);
	attr_unref(table, a);

	/* from nothing: everything is created in its place */
	struct attr_set *own = attr_originate(table, ATTR_ORIGIN_IGP);
	b = attr_derive(table, own, &reflect);
	expect_encoded(b, true, "10.0.0.1",
		       "40010100 400200 400304 0a000001 800904 00000005 800a04 0a000063");
	attr_unref(table, b);
	struct attr_change all = { .local_pref = ATTR_PUT,
				   .local_pref_value = 100,
				   .med = ATTR_PUT,
				   .med_value = 7,
				   .prepend = 1,
				   .prepend_asn = 4200000001u,
				   .communities = communities,
				   .ncommunities = 2,
				   .large = large,
				   .nlarge = 1 };
	b = attr_derive(table, own, &all);
	expect_encoded(b, true, "10.0.0.1",
		       "40010100 400206 0201 fa56ea01 400304 0a000001 800404 00000007"
		       "400504 00000064 c00808 fde80001 fde80002"
		       "c0200c 000000010000000200000003");
	assert_ptr_not_equal(b, own);
	attr_unref(table, b);
	struct attr_change gone = { .local_pref = ATTR_CLEAR };
	b = attr_derive(table, own, &gone);
	assert_ptr_equal(b, own);
	attr_unref(table, b);
	attr_unref(table, own);

	/* no extended community left: no attribute */
	a = set_hex(&kit_ibgp, KIT_ORIGIN KIT_PATH "c01008 4002fde800000008");
	b = attr_derive(table, a, &(struct attr_change){ .leave_as = true });
	expect_format(b, "origin igp, as-path 65001");
	attr_unref(table, a);
	attr_unref(table, b);
}

/* A path grows past one segment and past the one-byte length. */
static void test_prepend(void **state)
{
	struct attr_set *a = attr_originate(table, ATTR_ORIGIN_IGP);

	for (unsigned i = 1; i <= 300; i++) {
		struct attr_change ch = { .prepend = 1, .prepend_asn = i };
		struct attr_set *b = attr_derive(table, a, &ch);
		struct rd r;

		attr_unref(table, a);
		a = b;
		assert_int_equal(a->as_path_len, i);
		assert_int_equal(a->first_asn, i);
		assert_true(attr_find(a, ATTR_AS_PATH, &r));
		assert_int_equal(rd_left(&r), 4 * i + (i > 255 ? 4 : 2));
	}
	attr_unref(table, a);
}

/* A path of an operator's own choice goes before the old one, and our own numbers before both. */
static void test_path(void **state)
{
	static const uint32_t asns[] = { 1, 2, 4200000001u };
	static uint32_t many[600];
	struct attr_set *a = set_hex(&kit_ibgp, KIT_ORIGIN "40020c 0301 00000009 0201 0000fde9");
	struct attr_change ch = { .path = asns, .npath = 3 };
	struct attr_set *b = attr_derive(table, a, &ch);

	expect_format(b, "origin igp, as-path 1 2 4200000001 (9) 65001");
	attr_unref(table, b);
	ch.prepend = 2;
	ch.prepend_asn = 64512;
	b = attr_derive(table, a, &ch);
	expect_format(b, "origin igp, as-path 64512 64512 1 2 4200000001 65001");
	expect_encoded(b, true, NULL,
		       KIT_ORIGIN "40021a 0206 0000fc00 0000fc00 00000001 00000002 fa56ea01 0000fde9");
	assert_int_equal(b->first_asn, 64512);
	assert_int_equal(b->as_path_len, 6);
	attr_unref(table, b);

	/* more than a segment holds */
	for (unsigned i = 0; i < ARRAY_SIZE(many); i++)
		many[i] = i + 1;
	ch.path = many;
	ch.npath = ARRAY_SIZE(many);
	b = attr_derive(table, a, &ch);
	assert_int_equal(b->as_path_len, 603);
	assert_true(attr_path_begins(b, (uint32_t[]){ 64512, 64512, 1, 2 }, 4));
	struct rd r;
	assert_true(attr_find(b, ATTR_AS_PATH, &r));
	assert_int_equal(rd_left(&r), 3 * 2 + 603 * 4);
	attr_unref(table, b);
	attr_unref(table, a);

	/* where there is no path there is one then */
	a = set_hex(&kit_ibgp, KIT_ORIGIN "400200");
	ch = (struct attr_change){ .path = asns, .npath = 1 };
	b = attr_derive(table, a, &ch);
	expect_encoded(b, true, NULL, KIT_ORIGIN "400206 0201 00000001");
	attr_unref(table, b);
	attr_unref(table, a);
}

static void expect_begins(const char *path, size_t n)
{
	static const uint32_t asns[] = { 65001, 65002, 65003 };
	struct attr_set *a = set_hex(&kit_ibgp, path);

	for (size_t i = 0; i <= ARRAY_SIZE(asns); i++)
		assert_int_equal(attr_path_begins(a, asns, i), i <= n);
	attr_unref(table, a);
}

static void test_path_begins(void **state)
{
	expect_begins(KIT_ORIGIN "400200", 0);
	expect_begins(KIT_ORIGIN KIT_PATH, 1);
	expect_begins(KIT_ORIGIN "40020a 0202 0000fdea 0000fde9", 0);
	expect_begins(KIT_ORIGIN "40020e 0203 0000fde9 0000fdea 0000fdec", 2);
	/* two segments are one path; confederation segments are not seen */
	expect_begins(KIT_ORIGIN "40020c 0201 0000fde9 0201 0000fdea", 2);
	expect_begins(KIT_ORIGIN "400212 0301 00000009 0201 0000fde9 0201 0000fdea", 2);
	/* a set has no order */
	expect_begins(KIT_ORIGIN "40020c 0201 0000fde9 0101 0000fdea", 1);
	expect_begins(KIT_ORIGIN "400206 0101 0000fde9", 0);
}

static void test_otc(void **state)
{
	struct attr_set *a = set_hex(&kit_ebgp, KIT_BASE "c02304 0000fde9");
	struct attr_change ch = { .otc = 65010, .leave_as = true, .drop_unknown = true };
	struct attr_set *b = attr_derive(table, a, &ch);
	static struct bytes body;

	assert_int_equal(a->otc, 65001);
	assert_int_equal(a->flags, ATTR_HAS_OTC);
	expect_format(a, "origin igp, as-path 65001, only-to-customer 65001");
	assert_ptr_equal(a, b);
	attr_unref(table, b);
	attr_unref(table, a);

	a = set_hex(&kit_ebgp, KIT_BASE);
	assert_int_equal(a->otc, 0);
	b = attr_derive(table, a, &ch);
	assert_int_equal(b->otc, 65010);
	expect_encoded(b, true, NULL, KIT_ORIGIN KIT_PATH "c02304 0000fdf2");
	attr_unref(table, b);
	attr_unref(table, a);

	/* malformed: no AS number, too short, not transitive */
	static const char *const bad[] = { "c02304 00000000", "c02303 000001", "802304 0000fde9" };
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		own_str struct str s = { 0 };

		str_addf(&s, KIT_BASE "%s", bad[i]);
		body_hex(&body, "", s.s, KIT_NLRI);
		assert_int_equal(update_decode(bytes_rd(&body), &kit_ebgp, &u), ATTR_WITHDRAW);
		assert_int_equal(u.fault.code, ATTR_OTC);
	}
}

/* More than an attribute can hold is not made. */
static void test_too_long(void **state)
{
	enum { N = 20000 };
	static uint32_t communities[N];
	struct attr_set *a = attr_originate(table, ATTR_ORIGIN_IGP);

	for (unsigned i = 0; i < N; i++)
		communities[i] = i;
	struct attr_change ch = { .communities = communities, .ncommunities = N };
	assert_null(attr_derive(table, a, &ch));
	ch.ncommunities = 16383;
	struct attr_set *b = attr_derive(table, a, &ch);
	assert_non_null(b);
	assert_int_equal(attr_table_count(table), 2);
	attr_unref(table, b);
	attr_unref(table, a);
}

static void test_names(void **state)
{
	assert_string_equal(attr_name(ATTR_LARGE_COMMUNITIES), "large-communities");
	assert_null(attr_name(0));
	assert_null(attr_name(33));
	assert_null(attr_name(34));
	assert_string_equal(attr_name(ATTR_OTC), "only-to-customer");
	assert_null(attr_name(255));
	assert_string_equal(attr_verdict_name(ATTR_WITHDRAW), "treat as withdraw");
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_intern), T(test_many),	     T(test_head),    T(test_partial),	T(test_as4_merge),
		T(test_to_as2), T(test_derive),	     T(test_prepend), T(test_too_long), T(test_names),
		T(test_path),	T(test_path_begins), T(test_otc),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
