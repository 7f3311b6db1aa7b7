/*
 * RFC 7606 case by case: each malformed attribute with the action the RFC demands, tried with an IPv4 route
 * in the NLRI field and with an IPv6 route in MP_REACH_NLRI before and behind it. Whatever the action, short
 * of a reset the prefix is found, and after "attribute discard" the set has the rest.
 */
#include "kit.h"

static struct attr_table *table;
static struct update u;
static struct bytes body;

static int setup(void **state)
{
	table = attr_table_new(7);
	return 0;
}

static int teardown(void **state)
{
	assert_int_equal(attr_table_count(table), 0);
	attr_table_free(table);
	return 0;
}

static unsigned count(struct nlri n)
{
	struct prefix p;
	unsigned k = 0;

	while (nlri_next(&n, &p, NULL))
		k++;
	return k;
}

/* --- section 7: attributes --- */

enum { NO_ORIGIN = 1, NO_PATH = 2, NO_NEXTHOP = 4 }; /* what the case brings itself, or leaves out */

#define OLD_PATH "400204 0201 fde9"
#define TAKEN	 "origin igp, as-path 65001"

static const struct attr_case {
	const char *what;
	const struct codec *codec;
	unsigned without;
	const char *attrs;
	enum attr_verdict verdict;
	const char *set; /* if the routes are used; NULL = TAKEN */
} attr_cases[] = {
	{ "nothing wrong", &kit_ibgp, 0, "", ATTR_TAKE },
	/* 7.1 */
	{ "ORIGIN of no bytes", &kit_ibgp, NO_ORIGIN, "400100", ATTR_WITHDRAW },
	{ "ORIGIN of 2 bytes", &kit_ibgp, NO_ORIGIN, "400102 0000", ATTR_WITHDRAW },
	{ "ORIGIN 3", &kit_ibgp, NO_ORIGIN, "400101 03", ATTR_WITHDRAW },
	{ "ORIGIN 255", &kit_ebgp, NO_ORIGIN, "400101 ff", ATTR_WITHDRAW },
	{ "ORIGIN optional transitive", &kit_ibgp, NO_ORIGIN, "c00101 00", ATTR_WITHDRAW },
	{ "ORIGIN optional", &kit_ibgp, NO_ORIGIN, "800101 00", ATTR_WITHDRAW },
	{ "ORIGIN neither", &kit_ibgp, NO_ORIGIN, "000101 00", ATTR_WITHDRAW },
	{ "ORIGIN partial", &kit_ibgp, NO_ORIGIN, "600101 00", ATTR_TAKE },
	{ "ORIGIN with unused bits", &kit_ibgp, NO_ORIGIN, "4f0101 00", ATTR_TAKE },
	{ "ORIGIN missing", &kit_ibgp, NO_ORIGIN, "", ATTR_WITHDRAW },
	/* 7.2 */
	{ "AS_PATH missing", &kit_ibgp, NO_PATH, "", ATTR_WITHDRAW },
	{ "AS_PATH empty, internal", &kit_ibgp, NO_PATH, "400200", ATTR_TAKE, "origin igp, as-path empty" },
	{ "AS_PATH empty, external", &kit_ebgp, NO_PATH, "400200", ATTR_WITHDRAW },
	{ "AS_PATH segment type 0", &kit_ibgp, NO_PATH, "400206 0001 0000fde9", ATTR_WITHDRAW },
	{ "AS_PATH segment type 5", &kit_ibgp, NO_PATH, "400206 0501 0000fde9", ATTR_WITHDRAW },
	{ "AS_PATH segment type 255", &kit_ebgp, NO_PATH, "400206 ff01 0000fde9", ATTR_WITHDRAW },
	{ "AS_PATH segment of length 0", &kit_ibgp, NO_PATH, "400202 0200", ATTR_WITHDRAW },
	{ "AS_PATH segment of length 0 behind a good one", &kit_ibgp, NO_PATH, "400208 0201 0000fde9 0200",
	  ATTR_WITHDRAW },
	{ "AS_PATH overrun", &kit_ibgp, NO_PATH, "400206 0202 0000fde9", ATTR_WITHDRAW },
	{ "AS_PATH underrun", &kit_ibgp, NO_PATH, "400207 0201 0000fde9 02", ATTR_WITHDRAW },
	{ "AS_PATH count 255 and nothing", &kit_ibgp, NO_PATH, "400202 02ff", ATTR_WITHDRAW },
	{ "AS_PATH with half a number", &kit_ibgp, NO_PATH, "400205 0201 00fde9", ATTR_WITHDRAW },
	{ "AS_PATH optional", &kit_ibgp, NO_PATH, "c00206 0201 0000fde9", ATTR_WITHDRAW },
	{ "AS_PATH not transitive", &kit_ibgp, NO_PATH, "000206 0201 0000fde9", ATTR_WITHDRAW },
	{ "AS_PATH of 4-byte numbers from an old peer", &kit_old, NO_PATH, "400206 0201 0000fde9",
	  ATTR_WITHDRAW },
	{ "AS_PATH of 2-byte numbers from a new peer", &kit_ebgp, NO_PATH, "400204 0201 fde9",
	  ATTR_WITHDRAW },
	{ "AS_CONFED_SEQUENCE from another AS", &kit_ebgp, NO_PATH, "40020c 0301 0000fde8 0201 0000fde9",
	  ATTR_WITHDRAW },
	{ "AS_CONFED_SET from another AS", &kit_ebgp, NO_PATH, "40020c 0201 0000fde9 0401 0000fde8",
	  ATTR_WITHDRAW },
	{ "AS_CONFED_SEQUENCE within", &kit_ibgp, NO_PATH, "40020c 0301 0000fde8 0201 0000fde9", ATTR_TAKE,
	  "origin igp, as-path (65000) 65001" },
	{ "AS_PATH in two sequences", &kit_ibgp, NO_PATH, "40020c 0201 0000fde9 0201 0000fdea", ATTR_TAKE,
	  "origin igp, as-path 65001 65002" },
	/* RFC 7607 */
	{ "AS 0 alone", &kit_ibgp, NO_PATH, "400206 0201 00000000", ATTR_WITHDRAW },
	{ "AS 0 in the middle", &kit_ebgp, NO_PATH, "40020e 0203 0000fde9 00000000 0000fdea", ATTR_WITHDRAW },
	{ "AS 0 in a set", &kit_ebgp, NO_PATH, "40020c 0201 0000fde9 0101 00000000", ATTR_WITHDRAW },
	{ "AS 0 from an old peer", &kit_old, NO_PATH, "400206 0202 fde9 0000", ATTR_WITHDRAW },
	/* 7.4 */
	{ "MED of 3", &kit_ibgp, 0, "800403 000001", ATTR_WITHDRAW },
	{ "MED of 5", &kit_ibgp, 0, "800405 0000000001", ATTR_WITHDRAW },
	{ "MED of 0", &kit_ebgp, 0, "800400", ATTR_WITHDRAW },
	{ "MED transitive", &kit_ibgp, 0, "c00404 00000001", ATTR_WITHDRAW },
	{ "MED well-known", &kit_ibgp, 0, "400404 00000001", ATTR_WITHDRAW },
	/* 7.5 */
	{ "LOCAL_PREF from another AS", &kit_ebgp, 0, "400504 00000064", ATTR_DROP },
	{ "LOCAL_PREF of 3 from another AS", &kit_ebgp, 0, "400503 000064", ATTR_DROP },
	{ "LOCAL_PREF of 3", &kit_ibgp, 0, "400503 000064", ATTR_WITHDRAW },
	{ "LOCAL_PREF of 0", &kit_ibgp, 0, "400500", ATTR_WITHDRAW },
	{ "LOCAL_PREF optional", &kit_ibgp, 0, "c00504 00000064", ATTR_WITHDRAW },
	/* 7.6, 7.7: the attribute goes, the route stays */
	{ "ATOMIC_AGGREGATE of 1", &kit_ibgp, 0, "400601 00", ATTR_DROP },
	{ "ATOMIC_AGGREGATE of 255", &kit_ebgp, 0, "5006000a 00000000000000000000", ATTR_DROP },
	{ "ATOMIC_AGGREGATE optional", &kit_ibgp, 0, "c00600", ATTR_WITHDRAW },
	{ "AGGREGATOR of 6 from a new peer", &kit_ibgp, 0, "c00706 fde9 0a000001", ATTR_DROP },
	{ "AGGREGATOR of 7", &kit_ibgp, 0, "c00707 00fde9 0a000001", ATTR_DROP },
	{ "AGGREGATOR of 0", &kit_ibgp, 0, "c00700", ATTR_DROP },
	{ "AGGREGATOR AS 0", &kit_ibgp, 0, "c00708 00000000 0a000001", ATTR_DROP },
	{ "AGGREGATOR of 8 from an old peer", &kit_old, NO_PATH, OLD_PATH "c00708 0000fde9 0a000001",
	  ATTR_DROP },
	{ "AGGREGATOR AS 0 from an old peer", &kit_old, NO_PATH, OLD_PATH "c00706 0000 0a000001", ATTR_DROP },
	{ "AGGREGATOR not transitive", &kit_ibgp, 0, "800708 0000fde9 0a000001", ATTR_WITHDRAW },
	/* 7.8 */
	{ "COMMUNITIES of 0", &kit_ibgp, 0, "c00800", ATTR_WITHDRAW },
	{ "COMMUNITIES of 5", &kit_ibgp, 0, "c00805 fde8000100", ATTR_WITHDRAW },
	{ "COMMUNITIES of 3", &kit_ebgp, 0, "c00803 fde800", ATTR_WITHDRAW },
	{ "COMMUNITIES not transitive", &kit_ibgp, 0, "800804 fde80001", ATTR_WITHDRAW },
	{ "COMMUNITIES partial", &kit_ibgp, 0, "e00804 fde80001", ATTR_TAKE, TAKEN ", communities 65000:1" },
	/* 7.9, 7.10 */
	{ "ORIGINATOR_ID from another AS", &kit_ebgp, 0, "800904 0a000007", ATTR_DROP },
	{ "ORIGINATOR_ID of 3 from another AS", &kit_ebgp, 0, "800903 0a0000", ATTR_DROP },
	{ "ORIGINATOR_ID of 3", &kit_ibgp, 0, "800903 0a0000", ATTR_WITHDRAW },
	{ "ORIGINATOR_ID of 8", &kit_ibgp, 0, "800908 0a0000070a000007", ATTR_WITHDRAW },
	{ "ORIGINATOR_ID transitive", &kit_ibgp, 0, "c00904 0a000007", ATTR_WITHDRAW },
	{ "CLUSTER_LIST from another AS", &kit_ebgp, 0, "800a04 00000001", ATTR_DROP },
	{ "CLUSTER_LIST of 0", &kit_ibgp, 0, "800a00", ATTR_WITHDRAW },
	{ "CLUSTER_LIST of 6", &kit_ibgp, 0, "800a06 000000010000", ATTR_WITHDRAW },
	{ "CLUSTER_LIST transitive", &kit_ibgp, 0, "c00a04 00000001", ATTR_WITHDRAW },
	/* 7.14, RFC 8092 */
	{ "EXTENDED COMMUNITIES of 0", &kit_ibgp, 0, "c01000", ATTR_WITHDRAW },
	{ "EXTENDED COMMUNITIES of 7", &kit_ibgp, 0, "c01007 0002fde8000000", ATTR_WITHDRAW },
	{ "EXTENDED COMMUNITIES of unknown kinds", &kit_ibgp, 0, "c01008 ffffffffffffffff", ATTR_TAKE,
	  TAKEN ", ext-communities 0xffffffffffffffff" },
	{ "LARGE_COMMUNITY of 0", &kit_ibgp, 0, "c02000", ATTR_WITHDRAW },
	{ "LARGE_COMMUNITY of 13", &kit_ibgp, 0, "c0200d 00000001000000020000000300", ATTR_WITHDRAW },
	{ "LARGE_COMMUNITY well-known", &kit_ibgp, 0, "40200c 000000010000000200000003", ATTR_WITHDRAW },
	/* RFC 6793 section 6 */
	{ "AS4_PATH from a new peer", &kit_ebgp, 0, "c01106 0201 0000fde9", ATTR_DROP },
	{ "AS4_PATH malformed from a new peer", &kit_ebgp, 0, "c01101 02", ATTR_DROP },
	{ "AS4_AGGREGATOR from a new peer", &kit_ebgp, 0, "c01208 fa56ea02 0a000002", ATTR_DROP },
	{ "AS4_PATH of 0", &kit_old, NO_PATH, OLD_PATH "c01100", ATTR_DROP },
	{ "AS4_PATH of 2", &kit_old, NO_PATH, OLD_PATH "c01102 0200", ATTR_DROP },
	{ "AS4_PATH of 7", &kit_old, NO_PATH, OLD_PATH "c01107 0201 fa56ea01 00", ATTR_DROP },
	{ "AS4_PATH overrun", &kit_old, NO_PATH, OLD_PATH "c01106 0202 fa56ea01", ATTR_DROP },
	{ "AS4_PATH segment type 9", &kit_old, NO_PATH, OLD_PATH "c01106 0901 fa56ea01", ATTR_DROP },
	{ "AS4_PATH AS 0", &kit_old, NO_PATH, OLD_PATH "c01106 0201 00000000", ATTR_DROP },
	{ "AS4_PATH not transitive", &kit_old, NO_PATH, OLD_PATH "801106 0201 fa56ea01", ATTR_WITHDRAW },
	{ "AS4_PATH merged", &kit_old, NO_PATH, "400206 0202 fde9 5ba0 c01106 0201 fa56ea01", ATTR_TAKE,
	  "origin igp, as-path 65001 4200000001" },
	{ "AS4_PATH before AS_PATH", &kit_old, NO_PATH, "c01106 0201 fa56ea01 400206 0202 fde9 5ba0",
	  ATTR_TAKE, "origin igp, as-path 65001 4200000001" },
	{ "AS4_PATH without AS_PATH", &kit_old, NO_PATH, "c01106 0201 fa56ea01", ATTR_WITHDRAW },
	{ "AS4_PATH longer than AS_PATH", &kit_old, NO_PATH, OLD_PATH "c0110a 0202 fa56ea01 0000fde9",
	  ATTR_TAKE },
	{ "AS4_PATH with confederation segments", &kit_old, NO_PATH,
	  "400206 0202 fde9 5ba0 c0110c 0301 00000007 0201 fa56ea01", ATTR_TAKE,
	  "origin igp, as-path 65001 4200000001" },
	{ "AS4_PATH with a set", &kit_old, NO_PATH, "400208 0201 fde9 0101 5ba0 c01106 0101 fa56ea01",
	  ATTR_TAKE, "origin igp, as-path 65001 {4200000001}" },
	{ "AS4_AGGREGATOR of 6", &kit_old, NO_PATH, OLD_PATH "c00706 5ba0 0a000001 c01206 ea02 0a000002",
	  ATTR_DROP, TAKEN ", aggregator 23456 10.0.0.1" },
	{ "AS4_AGGREGATOR AS 0", &kit_old, NO_PATH, OLD_PATH "c00706 5ba0 0a000001 c01208 00000000 0a000002",
	  ATTR_DROP, TAKEN ", aggregator 23456 10.0.0.1" },
	{ "AS4_AGGREGATOR merged", &kit_old, NO_PATH,
	  OLD_PATH "c00706 5ba0 0a000001 c01208 fa56ea02 0a000002", ATTR_TAKE,
	  TAKEN ", aggregator 4200000002 10.0.0.2" },
	{ "AGGREGATOR that an old speaker put in", &kit_old, NO_PATH,
	  "400206 0202 fde9 5ba0 c00706 fde9 0a000001 c01106 0201 fa56ea01 c01208 fa56ea02 0a000002",
	  ATTR_TAKE, "origin igp, as-path 65001 23456, aggregator 65001 10.0.0.1" },
	/* unknown attributes */
	{ "unknown, optional", &kit_ibgp, 0, "80c803 010203", ATTR_TAKE },
	{ "unknown, optional transitive", &kit_ibgp, 0, "c0c803 010203", ATTR_TAKE,
	  TAKEN ", attribute-200 flags 0xe0 length 3 010203" },
	{ "unknown, empty", &kit_ibgp, 0, "c0c800", ATTR_TAKE, TAKEN ", attribute-200 flags 0xe0 length 0" },
	{ "unknown, well-known", &kit_ibgp, 0, "40c803 010203", ATTR_RESET },
	{ "unknown, neither", &kit_ebgp, 0, "00c803 010203", ATTR_RESET },
	{ "attribute 0, optional", &kit_ebgp, 0, "c00000", ATTR_TAKE,
	  "attribute-0 flags 0xe0 length 0, " TAKEN },
	/* 3 g: the first one counts */
	{ "ORIGIN twice", &kit_ibgp, 0, "400101 02", ATTR_DROP },
	{ "ORIGIN twice, the second malformed", &kit_ibgp, 0, "400105 0102030405", ATTR_DROP },
	{ "ORIGIN twice, the first malformed", &kit_ibgp, NO_ORIGIN, "400101 07 400101 00", ATTR_WITHDRAW },
	{ "MED twice", &kit_ibgp, 0, "800404 00000007 800404 00000008", ATTR_DROP, TAKEN ", med 7" },
	{ "COMMUNITIES twice", &kit_ebgp, 0, "c00804 fde80001 c00804 fde80002", ATTR_DROP,
	  TAKEN ", communities 65000:1" },
	{ "an unknown one twice", &kit_ibgp, 0, "c0c801 01 c0c801 02", ATTR_DROP,
	  TAKEN ", attribute-200 flags 0xe0 length 1 01" },
	{ "MP_UNREACH_NLRI twice", &kit_ibgp, 0, "800f03 000201 800f03 000201", ATTR_RESET },
	/* 3 h: the strongest action wins */
	{ "discard and withdraw", &kit_ibgp, 0, "400601 00 800403 000001", ATTR_WITHDRAW },
	{ "withdraw and discard", &kit_ibgp, 0, "800403 000001 400601 00", ATTR_WITHDRAW },
	{ "withdraw and reset", &kit_ibgp, 0, "800403 000001 40c800", ATTR_RESET },
	{ "discard twice", &kit_ibgp, 0, "400601 00 c00700", ATTR_DROP },
	/* section 4 */
	{ "one byte left over", &kit_ibgp, 0, "c0", ATTR_WITHDRAW },
	{ "two bytes left over", &kit_ibgp, 0, "c008", ATTR_WITHDRAW },
	{ "extended length and no room for it", &kit_ibgp, 0, "d00800", ATTR_WITHDRAW },
	{ "a length that runs past the end", &kit_ibgp, 0, "c00808 fde80001", ATTR_WITHDRAW },
	{ "an extended length that does", &kit_ebgp, 0, "d008ffff fde80001", ATTR_WITHDRAW },
	{ "MP_REACH_NLRI that runs past the end", &kit_ibgp, 0, "800e20 00010104", ATTR_RESET },
	{ "MP_UNREACH_NLRI that runs past the end", &kit_ibgp, 0, "800f09 00020130", ATTR_RESET },
	{ "extended length where a short one would do", &kit_ibgp, 0, "90040004 00000007", ATTR_TAKE,
	  TAKEN ", med 7" },
};

#define REACH6 KIT_REACH6

static enum attr_verdict decode_case(const struct attr_case *k, bool v6, bool reach_last)
{
	char attrs[1024];

	/* An attribute that runs past the end swallows what stands behind it: the case itself goes last. */
	snprintf(attrs, sizeof(attrs), "%s%s%s%s%s%s", v6 && !reach_last ? REACH6 : "",
		 k->without & NO_ORIGIN ? "" : KIT_ORIGIN, k->without & NO_PATH ? "" : KIT_PATH,
		 v6 || k->without & NO_NEXTHOP ? "" : KIT_NEXTHOP, v6 && reach_last ? REACH6 : "", k->attrs);
	body_hex(&body, "", attrs, v6 ? "" : KIT_NLRI);
	return update_decode(bytes_rd(&body), k->codec, &u);
}

static void check_set(const struct attr_case *k)
{
	own_str struct str text = { 0 };
	struct attr_set *a = attr_intern(table, &u.attrs, k->codec);

	attr_format(a, &text);
	if (strcmp(text.s, k->set ? k->set : TAKEN))
		fail_msg("%s: \"%s\"", k->what, text.s);
	attr_unref(table, a);
}

static void test_attributes(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(attr_cases); i++) {
		const struct attr_case *k = &attr_cases[i];

		for (unsigned way = 0; way < 3; way++) {
			enum attr_verdict v = decode_case(k, way > 0, way == 2);

			if (v != k->verdict)
				fail_msg("%s, way %u: %s (%s)", k->what, way, attr_verdict_name(v),
					 u.fault.why);
			if (v != ATTR_RESET)
				assert_int_equal(count(u.announced[way > 0].nlri), 1);
			if (v <= ATTR_DROP)
				check_set(k);
		}
	}
}

/* --- sections 3, 5 and 7.3, 7.11, 7.12: what has prefixes in it --- */

#define V6	  "fd000000000000000000000000000001"
#define LINK	  "fe800000000000000000000000000009"
#define P6	  "30 20010db80001"
#define MANDATORY KIT_ORIGIN KIT_PATH

static const struct message_case {
	const char *what;
	const char *withdrawn, *attrs, *nlri;
	enum attr_verdict verdict;
	uint8_t subcode;	  /* of the NOTIFICATION, if RESET */
	uint8_t gone[2], said[2]; /* prefixes withdrawn and announced, in the classic fields and the others */
} message_cases[] = {
	/* 7.3 */
	{ "NEXT_HOP missing", "", MANDATORY, KIT_NLRI, ATTR_WITHDRAW, 0, .said = { 1, 0 } },
	{ "NEXT_HOP of 3", "", MANDATORY "400303 0a0000", KIT_NLRI, ATTR_WITHDRAW, 0, .said = { 1, 0 } },
	{ "NEXT_HOP of 0", "", MANDATORY "400300", KIT_NLRI, ATTR_WITHDRAW, 0, .said = { 1, 0 } },
	{ "NEXT_HOP of 16", "", MANDATORY "400310" V6, KIT_NLRI, ATTR_WITHDRAW, 0, .said = { 1, 0 } },
	{ "NEXT_HOP 0.0.0.0", "", MANDATORY "400304 00000000", KIT_NLRI, ATTR_WITHDRAW, 0, .said = { 1, 0 } },
	{ "NEXT_HOP 224.0.0.1", "", MANDATORY "400304 e0000001", KIT_NLRI, ATTR_WITHDRAW, 0,
	  .said = { 1, 0 } },
	{ "NEXT_HOP 127.0.0.1", "", MANDATORY "400304 7f000001", KIT_NLRI, ATTR_WITHDRAW, 0,
	  .said = { 1, 0 } },
	{ "NEXT_HOP missing with IPv6 routes only", "", MANDATORY KIT_REACH6, "", ATTR_TAKE, 0,
	  .said = { 0, 1 } },
	{ "NEXT_HOP 0.0.0.0 with IPv6 routes only", "", MANDATORY "400304 00000000" KIT_REACH6, "", ATTR_TAKE,
	  0, .said = { 0, 1 } },
	{ "NEXT_HOP of 3 with IPv6 routes only", "", MANDATORY "400303 000000" KIT_REACH6, "", ATTR_WITHDRAW,
	  0, .said = { 0, 1 } },
	{ "NEXT_HOP 0.0.0.0 with both", "", MANDATORY "400304 00000000" KIT_REACH6, KIT_NLRI, ATTR_WITHDRAW,
	  0, .said = { 1, 1 } },
	{ "NEXT_HOP missing with both", "", MANDATORY KIT_REACH6, KIT_NLRI, ATTR_WITHDRAW, 0,
	  .said = { 1, 1 } },
	/* 7.11 */
	{ "both next hop lengths: 16", "", MANDATORY "800e1c 000201 10" V6 "00" P6, "", ATTR_TAKE, 0,
	  .said = { 0, 1 } },
	{ "both next hop lengths: 32", "", MANDATORY "800e2c 000201 20" V6 LINK "00" P6, "", ATTR_TAKE, 0,
	  .said = { 0, 1 } },
	{ "next hop of 4 bytes for IPv6", "", MANDATORY "800e10 000201 04 0a000001 00" P6, "", ATTR_RESET,
	  UPDATE_BAD_OPTIONAL },
	{ "next hop of 12 bytes, as of a VPN", "",
	  MANDATORY "800e18 000201 0c 00000000000000000a000001 00" P6, "", ATTR_RESET, UPDATE_BAD_OPTIONAL },
	{ "next hop of 24 bytes, as of a VPN", "", MANDATORY "800e24 000201 18 0000000000000000" V6 "00" P6,
	  "", ATTR_RESET, UPDATE_BAD_OPTIONAL },
	{ "next hop of 48 bytes", "", MANDATORY "800e3c 000201 30" V6 LINK V6 "00" P6, "", ATTR_RESET,
	  UPDATE_BAD_OPTIONAL },
	{ "next hop of 0 bytes", "", MANDATORY "800e0c 000201 00 00" P6, "", ATTR_RESET,
	  UPDATE_BAD_OPTIONAL },
	{ "next hop of 255 bytes that are not there", "", MANDATORY "800e1c 000201 ff" V6 "00" P6, "",
	  ATTR_RESET, UPDATE_BAD_OPTIONAL },
	{ "next hop up to the very end", "", MANDATORY "800e14 000201 10" V6, "", ATTR_RESET,
	  UPDATE_BAD_OPTIONAL },
	{ "next hop ::", "", MANDATORY "800e1c 000201 10 00000000000000000000000000000000 00" P6, "",
	  ATTR_WITHDRAW, 0, .said = { 0, 1 } },
	{ "next hop ::1", "", MANDATORY "800e1c 000201 10 00000000000000000000000000000001 00" P6, "",
	  ATTR_WITHDRAW, 0, .said = { 0, 1 } },
	{ "next hop ff02::1", "", MANDATORY "800e1c 000201 10 ff020000000000000000000000000001 00" P6, "",
	  ATTR_WITHDRAW, 0, .said = { 0, 1 } },
	{ "reserved byte not 0", "", MANDATORY "800e1c 000201 10" V6 "07" P6, "", ATTR_TAKE, 0,
	  .said = { 0, 1 } },
	{ "MP_REACH_NLRI transitive", "", MANDATORY "c00e1c 000201 10" V6 "00" P6, "", ATTR_WITHDRAW, 0,
	  .said = { 0, 1 } },
	{ "MP_REACH_NLRI well-known", "", MANDATORY "400e1c 000201 10" V6 "00" P6, "", ATTR_WITHDRAW, 0,
	  .said = { 0, 1 } },
	{ "MP_REACH_NLRI transitive, prefixes malformed", "",
	  MANDATORY "c00e1a 000201 10" V6 "00 30 20010db8", "", ATTR_RESET, UPDATE_BAD_OPTIONAL },
	{ "MP_REACH_NLRI of 0", "", MANDATORY "800e00", "", ATTR_RESET, UPDATE_BAD_OPTIONAL },
	{ "MP_REACH_NLRI of 4", "", MANDATORY "800e04 00020100", "", ATTR_RESET, UPDATE_BAD_OPTIONAL },
	{ "MP_REACH_NLRI twice", "", MANDATORY KIT_REACH6 KIT_REACH6, "", ATTR_RESET, UPDATE_MALFORMED_LIST },
	{ "MP_REACH_NLRI twice, of two families", "",
	  MANDATORY KIT_REACH6 "800e0e 000101 04 0a000001 00 1a0a087040", "", ATTR_RESET,
	  UPDATE_MALFORMED_LIST },
	{ "prefix of 129 bits", "",
	  MANDATORY "800e27 000201 10" V6 "00 81 20010db800010000000000000000000000", "", ATTR_RESET,
	  UPDATE_BAD_OPTIONAL },
	{ "prefix of 255 bits", "", MANDATORY "800e1c 000201 10" V6 "00 ff 20010db80001", "", ATTR_RESET,
	  UPDATE_BAD_OPTIONAL },
	{ "IPv6 prefix cut short", "", MANDATORY "800e1b 000201 10" V6 "00 30 20010db800", "", ATTR_RESET,
	  UPDATE_BAD_OPTIONAL },
	{ "IPv6 prefix cut short behind a good one", "", MANDATORY "800e1e 000201 10" V6 "00" P6 "3020", "",
	  ATTR_RESET, UPDATE_BAD_OPTIONAL },
	{ "a good MP_REACH_NLRI and a bad NLRI field", "", KIT_BASE KIT_REACH6, "21 0a00000000", ATTR_RESET,
	  UPDATE_BAD_NETWORK },
	/* 7.12 */
	{ "MP_UNREACH_NLRI of 2", "", "800f02 0002", "", ATTR_RESET, UPDATE_BAD_OPTIONAL },
	{ "MP_UNREACH_NLRI of 0", "", "800f00", "", ATTR_RESET, UPDATE_BAD_OPTIONAL },
	{ "MP_UNREACH_NLRI cut short", "", "800f06 000201 30 2001", "", ATTR_RESET, UPDATE_BAD_OPTIONAL },
	{ "MP_UNREACH_NLRI transitive", "", "c00f0a 000201" P6, "", ATTR_WITHDRAW, 0, .gone = { 0, 1 } },
	{ "MP_UNREACH_NLRI twice", "", "800f0a 000201" P6 "800f0a 000201" P6, "", ATTR_RESET,
	  UPDATE_MALFORMED_LIST },
	/* 5.1: fields in any order and combination */
	{ "everything at once",
	  "08 0a",
	  MANDATORY "800f0a 000201" P6 KIT_NEXTHOP KIT_REACH6,
	  KIT_NLRI,
	  ATTR_TAKE,
	  0,
	  { 1, 1 },
	  { 1, 1 } },
	{ "everything at once, and a fault",
	  "08 0a",
	  MANDATORY "800f0a 000201" P6 KIT_NEXTHOP "c00801 00" KIT_REACH6,
	  KIT_NLRI,
	  ATTR_WITHDRAW,
	  0,
	  { 1, 1 },
	  { 1, 1 } },
	{ "everything at once, and a discard",
	  "08 0a",
	  MANDATORY "800f0a 000201" P6 KIT_NEXTHOP "c00700" KIT_REACH6,
	  KIT_NLRI,
	  ATTR_DROP,
	  0,
	  { 1, 1 },
	  { 1, 1 } },
	{ "withdrawn and announced in one",
	  "1a0a087040",
	  KIT_BASE,
	  KIT_NLRI,
	  ATTR_TAKE,
	  0,
	  { 1, 0 },
	  { 1, 0 } },
	/* 5.2: nothing to withdraw */
	{ "a fault and no routes", "", KIT_BASE "c00801 00", "", ATTR_RESET, UPDATE_BAD_LENGTH },
	{ "a fault and only withdrawn routes", "08 0a", KIT_BASE "c00801 00", "", ATTR_RESET,
	  UPDATE_BAD_LENGTH },
	{ "a fault and only MP_UNREACH_NLRI", "", "800f0a 000201" P6 "c00801 00", "", ATTR_RESET,
	  UPDATE_BAD_LENGTH },
	{ "a fault and an empty MP_REACH_NLRI", "", MANDATORY "800e15 000201 10" V6 "00 c00801 00", "",
	  ATTR_RESET, UPDATE_BAD_LENGTH },
	{ "a discard and no routes", "", KIT_BASE "c00700", "", ATTR_DROP },
	{ "attributes without routes", "", KIT_BASE, "", ATTR_TAKE },
	{ "MP_UNREACH_NLRI with attributes nobody needs", "", KIT_ORIGIN "800f0a 000201" P6, "", ATTR_TAKE, 0,
	  .gone = { 0, 1 } },
	/* 5.3 */
	{ "prefix of 33 bits", "", KIT_BASE, "21 0a00000000", ATTR_RESET, UPDATE_BAD_NETWORK },
	{ "prefix cut short", "", KIT_BASE, "20 0a0000", ATTR_RESET, UPDATE_BAD_NETWORK },
	{ "a length and no prefix", "", KIT_BASE, "1a0a087040 18", ATTR_RESET, UPDATE_BAD_NETWORK },
	{ "withdrawn prefix of 33 bits", "21 0a00000000", "", "", ATTR_RESET, UPDATE_BAD_NETWORK },
	{ "withdrawn prefix cut short", "10 0a", "", "", ATTR_RESET, UPDATE_BAD_NETWORK },
	{ "withdrawn prefix cut short, good routes", "10 0a", KIT_BASE, KIT_NLRI, ATTR_RESET,
	  UPDATE_BAD_NETWORK },
	{ "prefix cut short and a fault", "", KIT_BASE "c00801 00", "20 0a0000", ATTR_RESET,
	  UPDATE_BAD_NETWORK },
	{ "host bits in a prefix", "", KIT_BASE, "08 0a 09 0aff 14 0affff", ATTR_TAKE, 0, .said = { 3, 0 } },
	/* section 4, with the fields the session needs behind it */
	{ "an attribute that would swallow the prefixes", "", KIT_BASE "c00810 fde80001", KIT_NLRI,
	  ATTR_WITHDRAW, 0, .said = { 1, 0 } },
	{ "an attribute that swallows MP_REACH_NLRI", "", MANDATORY "c008ff" KIT_REACH6, "", ATTR_RESET,
	  UPDATE_BAD_LENGTH },
	{ "no attributes, but routes", "", "", KIT_NLRI, ATTR_WITHDRAW, 0, .said = { 1, 0 } },
};

static void test_messages(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(message_cases); i++) {
		const struct message_case *k = &message_cases[i];

		body_hex(&body, k->withdrawn, k->attrs, k->nlri);
		enum attr_verdict v = update_decode(bytes_rd(&body), &kit_ibgp, &u);
		if (v != k->verdict)
			fail_msg("%s: %s (%s)", k->what, attr_verdict_name(v), u.fault.why);
		if (v == ATTR_RESET && u.fault.notify.subcode != k->subcode)
			fail_msg("%s: subcode %u", k->what, u.fault.notify.subcode);
		for (unsigned f = 0; f < 2 && v != ATTR_RESET; f++)
			if (count(u.withdrawn[f]) != k->gone[f] || count(u.announced[f].nlri) != k->said[f])
				fail_msg("%s: prefixes %u and %u", k->what, count(u.withdrawn[f]),
					 count(u.announced[f].nlri));
	}
}

/* RFC 4271 4.3, RFC 7606 3 b: the three lengths, every pair of them around what is right. */
static void test_lengths(void **state)
{
	static struct bytes good;

	body_hex(&good, KIT_NLRI, KIT_BASE, KIT_NLRI);
	unsigned withdrawn = 5, attrs = (unsigned)good.n - 4 - 5 - 5;

	for (unsigned w = 0; w <= 0xffff; w += w < 80 ? 1 : 251) {
		bool fits = 4 + w <= good.n;

		body = good;
		body.b[0] = (uint8_t)(w >> 8);
		body.b[1] = (uint8_t)w;
		enum attr_verdict v = update_decode(bytes_rd(&body), &kit_ibgp, &u);
		if (!fits)
			assert_true(v == ATTR_RESET && u.fault.notify.subcode == UPDATE_MALFORMED_LIST);
		else
			assert_true((v == ATTR_TAKE) == (w == withdrawn));
	}
	for (unsigned a = 0; a <= 0xffff; a += a < 80 ? 1 : 251) {
		body = good;
		body.b[2 + withdrawn] = (uint8_t)(a >> 8);
		body.b[3 + withdrawn] = (uint8_t)a;
		enum attr_verdict v = update_decode(bytes_rd(&body), &kit_ibgp, &u);
		if (4 + withdrawn + a > good.n)
			assert_true(v == ATTR_RESET && u.fault.notify.subcode == UPDATE_MALFORMED_LIST);
		else
			assert_true((v == ATTR_TAKE) == (a == attrs));
	}
}

/* RFC 9234 section 5: malformed is treat-as-withdraw. Whose routes it may come with is not the codec's. */
static void test_otc(void **state)
{
	static const struct attr_case cases[] = {
		{ "OTC of 3", &kit_ebgp, 0, "c02303 00fde9", ATTR_WITHDRAW },
		{ "OTC of 5", &kit_ibgp, 0, "c02305 0000fde900", ATTR_WITHDRAW },
		{ "OTC of 0", &kit_ebgp, 0, "c02300", ATTR_WITHDRAW },
		{ "OTC of 8", &kit_ebgp, 0, "c02308 0000fde90000fdea", ATTR_WITHDRAW },
		{ "OTC not transitive", &kit_ebgp, 0, "802304 0000fde9", ATTR_WITHDRAW },
		{ "OTC", &kit_ebgp, 0, "c02304 0000fde9", ATTR_TAKE },
		{ "OTC AS 0", &kit_ebgp, 0, "c02304 00000000", ATTR_WITHDRAW },
		{ "OTC twice", &kit_ebgp, 0, "c02304 0000fde9 c02304 0000fdea", ATTR_DROP },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		for (unsigned way = 0; way < 3; way++)
			assert_int_equal(decode_case(&cases[i], way > 0, way == 2), cases[i].verdict);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_attributes, setup, teardown),
		cmocka_unit_test(test_messages),
		cmocka_unit_test(test_lengths),
		cmocka_unit_test(test_otc),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
