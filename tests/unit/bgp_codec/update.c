/* UPDATEs: those of a real speaker byte for byte, and every malformed one with its verdict (RFC 7606). */
#include "kit.h"

#include <arpa/inet.h>

static struct update u;
static struct bytes body;

static enum attr_verdict decode_parts(const struct codec *c, const char *withdrawn, const char *attrs,
				      const char *nlri)
{
	body_hex(&body, withdrawn, attrs, nlri);
	return update_decode(bytes_rd(&body), c, &u);
}

/* Attributes and a v4 prefix. */
static enum attr_verdict decode_v4(const struct codec *c, const char *attrs)
{
	return decode_parts(c, "", attrs, KIT_NLRI);
}

static unsigned count(struct nlri n)
{
	struct prefix p;
	unsigned k = 0;

	while (nlri_next(&n, &p, NULL))
		k++;
	return k;
}

static void expect_prefix(struct nlri *n, const char *text, uint32_t path_id)
{
	char buf[PREFIX_STR_MAX];
	struct prefix p;
	uint32_t id;

	assert_true(nlri_next(n, &p, &id));
	assert_string_equal(prefix_format(&p, buf), text);
	assert_int_equal(id, path_id);
}

/* --- from BIRD 2.0.12 --- */

#define CODEC(e, four, ap)                                                                                \
	{                                                                                                 \
		.ebgp = e, .as4 = four, .families = 3, .add_path_in = ap, .add_path_out = ap, .max = 4096 \
	}

static const struct capture {
	struct codec codec;
	const char *hex, *prefixes, *format;
} captures[] = {
	{ CODEC(false, true, 0),
	  "00000015400101004002004003040a00000140050400000064001a0a0870401a0a08700020cb007107",
	  "0.0.0.0/0 10.8.112.64/26 10.8.112.0/26 203.0.113.7/32",
	  "origin igp, as-path empty, local-pref 100" },
	{ CODEC(false, true, 0),
	  "0000004b4001010240020a02020000fdf2fa56ea014003040a0000018004040000003240050400000064"
	  "c00808fde80001ffffff01c010080002fde800000007c0200cfa56ea00000000010000000218c00002",
	  "192.0.2.0/24",
	  "origin incomplete, as-path 65010 4200000001, med 50, local-pref 100, communities 65000:1 "
	  "no-export, "
	  "ext-communities 0x0002fde800000007, large-communities 4200000000:1:2" },
	{ CODEC(false, true, CAPS_V6),
	  "00000047900e003500020110fd00000000000000000000000000000100000000037afd0000010002000000000000000000"
	  "4000000003"
	  "3020010db8000140010100400200"
	  "40050400000064",
	  "fd00:1:2::40/122#3 2001:db8:1::/48#3", "origin igp, as-path empty, local-pref 100" },
	{ CODEC(true, true, 0),
	  "000000144001010040020602010000fde84003040a000001001a0a0870401a0a08700020cb007107",
	  "0.0.0.0/0 10.8.112.64/26 10.8.112.0/26 203.0.113.7/32", "origin igp, as-path 65000" },
	{ CODEC(true, false, 0),
	  "00000012400101004002040201fde84003040a000001001a0a0870401a0a08700020cb007107",
	  "0.0.0.0/0 10.8.112.64/26 10.8.112.0/26 203.0.113.7/32", "origin igp, as-path 65000" },
	{ CODEC(true, false, 0),
	  "00000053400101024002080203fde8fdf25ba04003040a00000180040400000032c00808fde80001ffffff01"
	  "c010080002fde800000007c0110e02030000fde80000fdf2fa56ea01c0200cfa56ea00000000010000000218c00002",
	  "192.0.2.0/24",
	  "origin incomplete, as-path 65000 65010 4200000001, med 50, communities 65000:1 no-export, "
	  "ext-communities 0x0002fde800000007, large-communities 4200000000:1:2" },
	{ CODEC(true, false, 0),
	  "0000003c900e002d00020110fd000000000000000000000000000001007afd000001000200000000000000000040"
	  "3020010db80001400101004002040201fde8",
	  "fd00:1:2::40/122 2001:db8:1::/48", "origin igp, as-path 65000" },
};

static void append_prefixes(struct str *out, struct nlri n)
{
	char buf[PREFIX_STR_MAX];
	struct prefix p;
	uint32_t id;

	while (nlri_next(&n, &p, &id)) {
		str_addf(out, "%s%s", out->n ? " " : "", prefix_format(&p, buf));
		if (n.add_path)
			str_addf(out, "#%u", id);
	}
}

/* Packs what u announces with set a and compares with the message it came from. */
static void expect_same_bytes(const struct capture *k, struct attr_set *a)
{
	static uint8_t buf[MSG_MAX];
	struct wr w = wr_to(buf, sizeof(buf));
	struct packer p;
	struct prefix prefix;
	uint32_t id;

	pack_begin(&p, &w, &k->codec);
	for (unsigned i = 0; i < 2; i++) {
		struct nlri n = u.announced[i].nlri;

		while (nlri_next(&n, &prefix, &id))
			assert_int_equal(pack_announce(&p, a, &u.announced[i].nexthop, &prefix, id), 0);
	}
	pack_end(&p);
	assert_int_equal(p.messages, 1);
	assert_int_equal(w.len, MSG_HEADER + body.n);
	assert_memory_equal(buf + MSG_HEADER, body.b, body.n);
}

static void test_captures(void **state)
{
	struct attr_table *t = attr_table_new(1);

	for (size_t i = 0; i < ARRAY_SIZE(captures); i++) {
		const struct capture *k = &captures[i];
		own_str struct str prefixes = { 0 }, format = { 0 };

		body.n = 0;
		bytes_hex(&body, k->hex);
		assert_int_equal(update_decode(bytes_rd(&body), &k->codec, &u), ATTR_TAKE);
		assert_int_equal(u.eor, 0);
		append_prefixes(&prefixes, u.announced[0].nlri);
		append_prefixes(&prefixes, u.announced[1].nlri);
		assert_string_equal(prefixes.s, k->prefixes);
		struct attr_set *a = attr_intern(t, &u.attrs, &k->codec);
		attr_format(a, &format);
		assert_string_equal(format.s, k->format);
		expect_same_bytes(k, a);
		attr_unref(t, a);
	}
	assert_int_equal(attr_table_count(t), 0);
	attr_table_free(t);
}

/* --- End-of-RIB --- */

static void test_eor(void **state)
{
	struct codec v6_only = kit_ibgp;

	assert_int_equal(decode_parts(&kit_ibgp, "", "", ""), ATTR_TAKE);
	assert_int_equal(u.eor, CAPS_V4);
	assert_int_equal(decode_parts(&kit_ibgp, "", "800f03 000201", ""), ATTR_TAKE);
	assert_int_equal(u.eor, CAPS_V6);
	assert_int_equal(decode_parts(&kit_ibgp, "", "900f0003 000201", ""), ATTR_TAKE);
	assert_int_equal(u.eor, CAPS_V6);
	assert_int_equal(decode_parts(&kit_ibgp, "", "800f03 000101", ""), ATTR_TAKE);
	assert_int_equal(u.eor, CAPS_V4);
	assert_int_equal(decode_parts(&kit_ibgp, "", "800f03 001946", ""), ATTR_TAKE);
	assert_int_equal(u.eor, 0);
	assert_int_equal(decode_parts(&kit_ibgp, "", KIT_ORIGIN "800f03 000201", ""), ATTR_TAKE);
	assert_int_equal(u.eor, 0);
	assert_int_equal(decode_parts(&kit_ibgp, KIT_NLRI, "", ""), ATTR_TAKE);
	assert_int_equal(u.eor, 0);
	assert_int_equal(count(u.withdrawn[0]), 1);
	v6_only.families = CAPS_V6;
	assert_int_equal(decode_parts(&v6_only, "", "", ""), ATTR_TAKE);
	assert_int_equal(u.eor, 0);

	for (unsigned i = 0; i < 2; i++) {
		uint8_t buf[64];
		struct wr w = wr_to(buf, sizeof(buf));
		struct packer p;
		struct msg m;

		pack_begin(&p, &w, &kit_ibgp);
		assert_int_equal(pack_eor(&p, i ? AF_INET6 : AF_INET), 0);
		assert_int_equal(msg_next(buf, w.len, MSG_MAX, &m, NULL), w.len);
		assert_int_equal(update_decode(m.body, &kit_ibgp, &u), ATTR_TAKE);
		assert_int_equal(u.eor, i ? CAPS_V6 : CAPS_V4);
		w = wr_to(buf, w.len - 1);
		pack_begin(&p, &w, &kit_ibgp);
		assert_int_equal(pack_eor(&p, i ? AF_INET6 : AF_INET), -ENOSPC);
	}
}

/* --- verdicts --- */

static const struct verdict_case {
	const char *what;
	const struct codec *codec;
	const char *withdrawn, *attrs, *nlri;
	enum attr_verdict verdict;
	uint8_t subcode; /* if RESET */
} cases[] = {
	/* ORIGIN */
	{ "origin 3", &kit_ibgp, "", "400101 03" KIT_PATH KIT_NEXTHOP, KIT_NLRI, ATTR_WITHDRAW },
	{ "origin length 0", &kit_ibgp, "", "400100" KIT_PATH KIT_NEXTHOP, KIT_NLRI, ATTR_WITHDRAW },
	{ "origin length 2", &kit_ibgp, "", "400102 0000" KIT_PATH KIT_NEXTHOP, KIT_NLRI, ATTR_WITHDRAW },
	{ "origin optional", &kit_ibgp, "", "c00101 00" KIT_PATH KIT_NEXTHOP, KIT_NLRI, ATTR_WITHDRAW },
	{ "origin not transitive", &kit_ibgp, "", "000101 00" KIT_PATH KIT_NEXTHOP, KIT_NLRI, ATTR_WITHDRAW },
	{ "origin with extended length", &kit_ibgp, "", "50010001 00" KIT_PATH KIT_NEXTHOP, KIT_NLRI,
	  ATTR_TAKE },
	{ "origin twice, second bad", &kit_ibgp, "", KIT_BASE "400101 09", KIT_NLRI, ATTR_DROP },
	{ "no origin", &kit_ibgp, "", KIT_PATH KIT_NEXTHOP, KIT_NLRI, ATTR_WITHDRAW },
	/* AS_PATH */
	{ "no path", &kit_ibgp, "", KIT_ORIGIN KIT_NEXTHOP, KIT_NLRI, ATTR_WITHDRAW },
	{ "empty path, internal", &kit_ibgp, "", KIT_ORIGIN "400200" KIT_NEXTHOP, KIT_NLRI, ATTR_TAKE },
	{ "empty path, external", &kit_ebgp, "", KIT_ORIGIN "400200" KIT_NEXTHOP, KIT_NLRI, ATTR_WITHDRAW },
	{ "segment type 0", &kit_ibgp, "", KIT_ORIGIN "400206 0001 0000fde9" KIT_NEXTHOP, KIT_NLRI,
	  ATTR_WITHDRAW },
	{ "segment type 5", &kit_ibgp, "", KIT_ORIGIN "400206 0501 0000fde9" KIT_NEXTHOP, KIT_NLRI,
	  ATTR_WITHDRAW },
	{ "segment count 0", &kit_ibgp, "", KIT_ORIGIN "400202 0200" KIT_NEXTHOP, KIT_NLRI, ATTR_WITHDRAW },
	{ "segment overrun", &kit_ibgp, "", KIT_ORIGIN "400206 0202 0000fde9" KIT_NEXTHOP, KIT_NLRI,
	  ATTR_WITHDRAW },
	{ "one trailing byte", &kit_ibgp, "", KIT_ORIGIN "400207 0201 0000fde9 02" KIT_NEXTHOP, KIT_NLRI,
	  ATTR_WITHDRAW },
	{ "AS 0", &kit_ibgp, "", KIT_ORIGIN "400206 0201 00000000" KIT_NEXTHOP, KIT_NLRI, ATTR_WITHDRAW },
	{ "2-byte path from a 4-byte peer", &kit_ibgp, "", KIT_ORIGIN "400204 0201 fde9" KIT_NEXTHOP,
	  KIT_NLRI, ATTR_WITHDRAW },
	{ "confederation, external", &kit_ebgp, "", KIT_ORIGIN "400206 0301 0000fde9" KIT_NEXTHOP, KIT_NLRI,
	  ATTR_WITHDRAW },
	{ "confederation, internal", &kit_ibgp, "", KIT_ORIGIN "400206 0301 0000fde9" KIT_NEXTHOP, KIT_NLRI,
	  ATTR_TAKE },
	{ "a set", &kit_ebgp, "", KIT_ORIGIN "40020a 0102 0000fde9 0000fdea" KIT_NEXTHOP, KIT_NLRI,
	  ATTR_TAKE },
	/* NEXT_HOP */
	{ "no next hop", &kit_ibgp, "", KIT_ORIGIN KIT_PATH, KIT_NLRI, ATTR_WITHDRAW },
	{ "next hop 0.0.0.0", &kit_ibgp, "", KIT_ORIGIN KIT_PATH "400304 00000000", KIT_NLRI, ATTR_WITHDRAW },
	{ "next hop multicast", &kit_ibgp, "", KIT_ORIGIN KIT_PATH "400304 e0000001", KIT_NLRI,
	  ATTR_WITHDRAW },
	{ "next hop broadcast", &kit_ibgp, "", KIT_ORIGIN KIT_PATH "400304 ffffffff", KIT_NLRI,
	  ATTR_WITHDRAW },
	{ "next hop length 3", &kit_ibgp, "", KIT_ORIGIN KIT_PATH "400303 0a0000", KIT_NLRI, ATTR_WITHDRAW },
	{ "next hop length 16", &kit_ibgp, "", KIT_ORIGIN KIT_PATH "400310 0a000001000000000000000000000000",
	  KIT_NLRI, ATTR_WITHDRAW },
	/* MED, LOCAL_PREF */
	{ "med length 3", &kit_ibgp, "", KIT_BASE "800403 000000", KIT_NLRI, ATTR_WITHDRAW },
	{ "med transitive", &kit_ibgp, "", KIT_BASE "c00404 00000000", KIT_NLRI, ATTR_WITHDRAW },
	{ "local-pref, external", &kit_ebgp, "", KIT_BASE "400504 00000064", KIT_NLRI, ATTR_DROP },
	{ "local-pref malformed, external", &kit_ebgp, "", KIT_BASE "c00501 00", KIT_NLRI, ATTR_DROP },
	{ "local-pref length 5", &kit_ibgp, "", KIT_BASE "400505 0000000064", KIT_NLRI, ATTR_WITHDRAW },
	/* aggregation */
	{ "atomic aggregate", &kit_ibgp, "", KIT_BASE "400600", KIT_NLRI, ATTR_TAKE },
	{ "atomic aggregate length 1", &kit_ibgp, "", KIT_BASE "400601 00", KIT_NLRI, ATTR_DROP },
	{ "aggregator", &kit_ibgp, "", KIT_BASE "c00708 0000fde9 0a000001", KIT_NLRI, ATTR_TAKE },
	{ "aggregator of 6 from a 4-byte peer", &kit_ibgp, "", KIT_BASE "c00706 fde9 0a000001", KIT_NLRI,
	  ATTR_DROP },
	{ "aggregator length 7", &kit_ibgp, "", KIT_BASE "c00707 fde9 0a00000100", KIT_NLRI, ATTR_DROP },
	{ "aggregator AS 0", &kit_ibgp, "", KIT_BASE "c00708 00000000 0a000001", KIT_NLRI, ATTR_DROP },
	{ "aggregator flags", &kit_ibgp, "", KIT_BASE "400708 0000fde9 0a000001", KIT_NLRI, ATTR_WITHDRAW },
	/* communities */
	{ "communities empty", &kit_ibgp, "", KIT_BASE "c00800", KIT_NLRI, ATTR_WITHDRAW },
	{ "communities 5", &kit_ibgp, "", KIT_BASE "c00805 fde8000100", KIT_NLRI, ATTR_WITHDRAW },
	{ "communities partial", &kit_ibgp, "", KIT_BASE "e00804 fde80001", KIT_NLRI, ATTR_TAKE },
	{ "ext communities empty", &kit_ibgp, "", KIT_BASE "c01000", KIT_NLRI, ATTR_WITHDRAW },
	{ "ext communities 9", &kit_ibgp, "", KIT_BASE "c01009 000000000000000000", KIT_NLRI, ATTR_WITHDRAW },
	{ "large communities 11", &kit_ibgp, "", KIT_BASE "c0200b 0000000000000000000000", KIT_NLRI,
	  ATTR_WITHDRAW },
	{ "large communities empty", &kit_ibgp, "", KIT_BASE "c02000", KIT_NLRI, ATTR_WITHDRAW },
	/* reflection */
	{ "originator, external", &kit_ebgp, "", KIT_BASE "800904 0a000001", KIT_NLRI, ATTR_DROP },
	{ "originator length 3", &kit_ibgp, "", KIT_BASE "800903 0a0000", KIT_NLRI, ATTR_WITHDRAW },
	{ "cluster list empty", &kit_ibgp, "", KIT_BASE "800a00", KIT_NLRI, ATTR_WITHDRAW },
	{ "cluster list 6", &kit_ibgp, "", KIT_BASE "800a06 000000010000", KIT_NLRI, ATTR_WITHDRAW },
	{ "cluster list 6, external", &kit_ebgp, "", KIT_BASE "800a06 000000010000", KIT_NLRI, ATTR_DROP },
	/* AS4 */
	{ "as4-path from a 4-byte peer", &kit_ibgp, "", KIT_BASE "c01106 0201 0000fde9", KIT_NLRI,
	  ATTR_DROP },
	{ "as4-aggregator from a 4-byte peer", &kit_ibgp, "", KIT_BASE "c01203 000000", KIT_NLRI, ATTR_DROP },
	{ "as4-path malformed", &kit_old, "",
	  KIT_ORIGIN "400204 0201 5ba0" KIT_NEXTHOP "c01107 0201 0000fde9 00", KIT_NLRI, ATTR_DROP },
	{ "as4-path flags", &kit_old, "", KIT_ORIGIN "400204 0201 5ba0" KIT_NEXTHOP "401106 0201 0000fde9",
	  KIT_NLRI, ATTR_WITHDRAW },
	{ "as4-aggregator length", &kit_old, "", KIT_ORIGIN "400204 0201 5ba0" KIT_NEXTHOP "c01204 0000fde9",
	  KIT_NLRI, ATTR_DROP },
	{ "as4-path before as-path", &kit_old, "",
	  "c01106 0201 0001fde9" KIT_ORIGIN "400204 0201 5ba0" KIT_NEXTHOP, KIT_NLRI, ATTR_TAKE },
	{ "unreach and as4-path only", &kit_old, "", "800f03 000201 c01106 0201 0001fde9", "", ATTR_TAKE },
	/* unknown attributes */
	{ "unknown transitive", &kit_ibgp, "", KIT_BASE "c06303 010203", KIT_NLRI, ATTR_TAKE },
	{ "unknown not transitive", &kit_ibgp, "", KIT_BASE "806303 010203", KIT_NLRI, ATTR_TAKE },
	{ "only unknown, with prefix", &kit_ibgp, "", "c06303 010203", KIT_NLRI, ATTR_WITHDRAW },
	{ "unknown well-known", &kit_ibgp, "", KIT_BASE "406303 010203", KIT_NLRI, ATTR_RESET,
	  UPDATE_UNKNOWN_WELL_KNOWN },
	{ "prefix-sid all zero", &kit_ibgp, "", KIT_BASE "c02814 0000000000000000000000000000000000000000",
	  KIT_NLRI, ATTR_TAKE },
	{ "tunnel encapsulation, inner overrun", &kit_ibgp, "", KIT_BASE "c01706 0001 00ff 0101", KIT_NLRI,
	  ATTR_TAKE },
	/* the attribute field itself */
	{ "no attributes, a prefix", &kit_ibgp, "", "", KIT_NLRI, ATTR_WITHDRAW },
	{ "attribute past the end, prefix there", &kit_ibgp, "", KIT_BASE "c00808 fde80001", KIT_NLRI,
	  ATTR_WITHDRAW },
	{ "attribute past the end, no prefix", &kit_ibgp, "", KIT_BASE "c00808 fde80001", "", ATTR_RESET,
	  UPDATE_BAD_LENGTH },
	{ "extended length with no bytes left", &kit_ibgp, "", KIT_BASE "d008", KIT_NLRI, ATTR_WITHDRAW },
	{ "extended length with one byte left", &kit_ibgp, "", KIT_BASE "d00800", KIT_NLRI, ATTR_WITHDRAW },
	{ "one byte of an attribute", &kit_ibgp, "", KIT_BASE "c0", KIT_NLRI, ATTR_WITHDRAW },
	{ "only a flags byte", &kit_ibgp, "", "80", "", ATTR_RESET, UPDATE_BAD_LENGTH },
	{ "malformed, nothing to withdraw", &kit_ibgp, KIT_NLRI, "400101 03", "", ATTR_RESET,
	  UPDATE_BAD_ORIGIN },
	{ "dropped, nothing announced", &kit_ibgp, KIT_NLRI, "400601 00", "", ATTR_DROP },
	/* prefixes */
	{ "prefix of 33 bits", &kit_ibgp, "", KIT_BASE, "21 0a00000000", ATTR_RESET, UPDATE_BAD_NETWORK },
	{ "prefix cut short", &kit_ibgp, "", KIT_BASE, "18 0a00", ATTR_RESET, UPDATE_BAD_NETWORK },
	{ "withdrawn prefix of 33 bits", &kit_ibgp, "21 0a00000000", "", "", ATTR_RESET, UPDATE_BAD_NETWORK },
	{ "withdrawn prefix cut short", &kit_ibgp, "18 0a00", "", "", ATTR_RESET, UPDATE_BAD_NETWORK },
	{ "host bits", &kit_ibgp, "", KIT_BASE, "14 0affff", ATTR_TAKE },
	{ "default route", &kit_ibgp, "", KIT_BASE, "00", ATTR_TAKE },
	/* MP_REACH_NLRI */
	{ "v6", &kit_ibgp, "", KIT_ORIGIN KIT_PATH KIT_REACH6, "", ATTR_TAKE },
	{ "v6 and v4 together", &kit_ibgp, "", KIT_BASE KIT_REACH6, KIT_NLRI, ATTR_TAKE },
	{ "v6 without origin", &kit_ibgp, "", KIT_PATH KIT_REACH6, "", ATTR_WITHDRAW },
	{ "v6, bad communities", &kit_ibgp, "", KIT_ORIGIN KIT_PATH KIT_REACH6 "c00801 00", "",
	  ATTR_WITHDRAW },
	{ "reach twice", &kit_ibgp, "", KIT_ORIGIN KIT_PATH KIT_REACH6 KIT_REACH6, "", ATTR_RESET,
	  UPDATE_MALFORMED_LIST },
	{ "unreach twice", &kit_ibgp, "", "800f03 000201 800f03 000201", "", ATTR_RESET,
	  UPDATE_MALFORMED_LIST },
	{ "reach transitive", &kit_ibgp, "",
	  KIT_ORIGIN KIT_PATH "c00e1c 000201 10 fd000000000000000000000000000001 00"
			      "30 20010db80001",
	  "", ATTR_WITHDRAW },
	{ "next hop of 15", &kit_ibgp, "",
	  KIT_ORIGIN KIT_PATH "800e14 000201 0f fd0000000000000000000000000001 00", "", ATTR_RESET,
	  UPDATE_BAD_OPTIONAL },
	{ "next hop of 0", &kit_ibgp, "", KIT_ORIGIN KIT_PATH "800e0c 000201 00 00 30 20010db80001", "",
	  ATTR_RESET, UPDATE_BAD_OPTIONAL },
	{ "next hop past the end", &kit_ibgp, "",
	  KIT_ORIGIN KIT_PATH "800e14 000201 20 fd0000000000000000000000000001 00", "", ATTR_RESET,
	  UPDATE_BAD_OPTIONAL },
	{ "next hop of 4 for v6", &kit_ibgp, "",
	  KIT_ORIGIN KIT_PATH "800e10 000201 04 0a000001 00 30 20010db80001", "", ATTR_RESET,
	  UPDATE_BAD_OPTIONAL },
	{ "next hop ::", &kit_ibgp, "",
	  KIT_ORIGIN KIT_PATH "800e1c 000201 10 00000000000000000000000000000000 00"
			      "30 20010db80001",
	  "", ATTR_WITHDRAW },
	{ "next hop multicast v6", &kit_ibgp, "",
	  KIT_ORIGIN KIT_PATH "800e1c 000201 10 ff020000000000000000000000000001"
			      "00 30 20010db80001",
	  "", ATTR_WITHDRAW },
	{ "reach without reserved byte", &kit_ibgp, "",
	  KIT_ORIGIN KIT_PATH "800e14 000201 10"
			      "fd000000000000000000000000000001",
	  "", ATTR_RESET, UPDATE_BAD_OPTIONAL },
	{ "reach of 4 bytes", &kit_ibgp, "", KIT_ORIGIN KIT_PATH "800e04 00020100", "", ATTR_RESET,
	  UPDATE_BAD_OPTIONAL },
	{ "v6 prefix of 129 bits", &kit_ibgp, "",
	  KIT_ORIGIN KIT_PATH
	  "800e27 000201 10 fd000000000000000000000000000001 00 81 20010db8000100000000000000000000 00",
	  "", ATTR_RESET, UPDATE_BAD_OPTIONAL },
	{ "v6 prefix cut short", &kit_ibgp, "",
	  KIT_ORIGIN KIT_PATH "800e1a 000201 10 fd000000000000000000000000000001 00 30 20010db8", "",
	  ATTR_RESET, UPDATE_BAD_OPTIONAL },
	{ "reach, unknown family, rubbish", &kit_ibgp, "", KIT_ORIGIN KIT_PATH "800e07 004004 00 00 ff00", "",
	  ATTR_TAKE },
	{ "reach, multicast SAFI", &kit_ibgp, "", KIT_ORIGIN KIT_PATH "800e07 000202 00 00 ff00", "",
	  ATTR_TAKE },
	{ "unreach of 2 bytes", &kit_ibgp, "", "800f02 0002", "", ATTR_RESET, UPDATE_BAD_OPTIONAL },
	{ "unreach prefix cut short", &kit_ibgp, "", "800f06 000201 30 2001", "", ATTR_RESET,
	  UPDATE_BAD_OPTIONAL },
	{ "unreach with wrong flags", &kit_ibgp, "", "c00f0a 000201 30 20010db80001", "", ATTR_WITHDRAW },
	{ "v4 in reach", &kit_ibgp, "", KIT_ORIGIN KIT_PATH "800e0e 000101 04 0a000001 00 1a0a087040", "",
	  ATTR_TAKE },
	{ "v4 in reach by v6, not agreed", &kit_ibgp, "",
	  KIT_ORIGIN KIT_PATH "800e1a 000101 10 fd000000000000000000000000000001 00 1a0a087040", "",
	  ATTR_RESET, UPDATE_BAD_OPTIONAL },
};

static void test_verdicts(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const struct verdict_case *k = &cases[i];
		enum attr_verdict v = decode_parts(k->codec, k->withdrawn, k->attrs, k->nlri);

		if (v != k->verdict || (v == ATTR_RESET && u.fault.notify.subcode != k->subcode))
			fail_msg("%s: %s (%s), subcode %u", k->what, attr_verdict_name(v), u.fault.why,
				 u.fault.notify.subcode);
		assert_int_equal(v, u.fault.verdict);
		assert_true((v == ATTR_TAKE) == (u.fault.why[0] == '\0'));
		if (v == ATTR_WITHDRAW && strcmp(k->what, "unreach with wrong flags"))
			assert_true(update_has_routes(&u));
	}
}

/* Length fields of the message itself that do not add up. */
static void test_lengths(void **state)
{
	static const char *const bad[] = {
		"",	    "00",	"0000",	    "000000",	"0001",	    "00010000",
		"00050000", "ffff0000", "0000ffff", "00000001", "fffdfffd",
	};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		body.n = 0;
		bytes_hex(&body, bad[i]);
		assert_int_equal(update_decode(bytes_rd(&body), &kit_ibgp, &u), ATTR_RESET);
		assert_int_equal(u.fault.notify.code, NOTIFY_UPDATE);
		assert_false(update_has_routes(&u));
	}
}

static void test_notification_data(void **state)
{
	static const uint8_t want[] = { 0x40, 0x63, 3, 1, 2, 3 };

	decode_v4(&kit_ibgp, KIT_BASE "406303 010203");
	assert_int_equal(u.fault.notify.len, sizeof(want));
	assert_memory_equal(u.fault.notify.data, want, sizeof(want));
	assert_string_equal(u.fault.why, "attribute 99: unknown well-known attribute");
	decode_parts(&kit_ibgp, "", KIT_ORIGIN KIT_PATH, KIT_NLRI);
	assert_string_equal(u.fault.why, "next-hop: missing");
}

static void test_unagreed_families(void **state)
{
	struct codec v4_only = kit_ibgp, v6_only = kit_ibgp;

	v4_only.families = CAPS_V4;
	v6_only.families = CAPS_V6;
	assert_int_equal(decode_parts(&v4_only, KIT_NLRI, KIT_BASE KIT_REACH6, KIT_NLRI), ATTR_TAKE);
	assert_int_equal(count(u.announced[0].nlri), 1);
	assert_int_equal(count(u.announced[1].nlri), 0);
	assert_int_equal(decode_parts(&v6_only, KIT_NLRI, KIT_BASE KIT_REACH6, KIT_NLRI), ATTR_TAKE);
	assert_int_equal(count(u.withdrawn[0]), 0);
	assert_int_equal(count(u.announced[0].nlri), 0);
	assert_int_equal(count(u.announced[1].nlri), 1);
	/* and what is in the other family is not even looked at */
	assert_int_equal(decode_parts(&v6_only, "ff", KIT_BASE KIT_REACH6, "ff"), ATTR_TAKE);
	assert_int_equal(decode_parts(&v4_only, "", KIT_BASE "800e07 000201 00 00 ff00", KIT_NLRI),
			 ATTR_TAKE);
}

static void test_next_hops(void **state)
{
	struct codec ext = kit_ibgp;
	char buf[ADDR_STR_MAX];

	ext.ext_nexthop = CAPS_V4;
	assert_int_equal(decode_parts(&kit_ibgp, "",
				      KIT_ORIGIN KIT_PATH
				      "800e2c 000201 20 fd000000000000000000000000000001"
				      "fe800000000000000000000000000009 00 30 20010db80001",
				      ""),
			 ATTR_TAKE);
	assert_string_equal(addr_format(&u.announced[1].nexthop, buf), "fd00::1");
	assert_string_equal(addr_format(&u.announced[1].link_local, buf), "fe80::9");
	/* no global address at all */
	assert_int_equal(decode_parts(&kit_ibgp, "",
				      KIT_ORIGIN KIT_PATH
				      "800e2c 000201 20 00000000000000000000000000000000"
				      "fe800000000000000000000000000009 00 30 20010db80001",
				      ""),
			 ATTR_TAKE);
	assert_string_equal(addr_format(&u.announced[1].nexthop, buf), "fe80::9");
	/* a second address that is not link-local is not one */
	assert_int_equal(decode_parts(&kit_ibgp, "",
				      KIT_ORIGIN KIT_PATH
				      "800e2c 000201 20 fd000000000000000000000000000001"
				      "fd000000000000000000000000000009 00 30 20010db80001",
				      ""),
			 ATTR_TAKE);
	assert_false(addr_is_set(&u.announced[1].link_local));
	/* RFC 8950 */
	assert_int_equal(decode_parts(&ext, "",
				      KIT_ORIGIN KIT_PATH
				      "800e1a 000101 10 fd000000000000000000000000000001 00 1a0a087040",
				      ""),
			 ATTR_TAKE);
	expect_prefix(&u.announced[1].nlri, "10.8.112.64/26", 0);
	assert_string_equal(addr_format(&u.announced[1].nexthop, buf), "fd00::1");
}

static void test_prefixes(void **state)
{
	struct codec ap = kit_ibgp;

	assert_int_equal(decode_parts(&kit_ibgp, "08 0a 20 01020304",
				      KIT_BASE "800f0a 000201 30 20010db80001", "14 0affff 00 1f 0a0000ff"),
			 ATTR_TAKE);
	expect_prefix(&u.withdrawn[0], "10.0.0.0/8", 0);
	expect_prefix(&u.withdrawn[0], "1.2.3.4/32", 0);
	assert_int_equal(count(u.withdrawn[0]), 0);
	expect_prefix(&u.withdrawn[1], "2001:db8:1::/48", 0);
	expect_prefix(&u.announced[0].nlri, "10.255.240.0/20", 0);
	expect_prefix(&u.announced[0].nlri, "0.0.0.0/0", 0);
	expect_prefix(&u.announced[0].nlri, "10.0.0.254/31", 0);
	assert_int_equal(count(u.announced[0].nlri), 0);

	ap.add_path_in = CAPS_V4;
	assert_int_equal(decode_parts(&ap, "", KIT_BASE, "00000007 1a0a087040 ffffffff 00"), ATTR_TAKE);
	expect_prefix(&u.announced[0].nlri, "10.8.112.64/26", 7);
	expect_prefix(&u.announced[0].nlri, "0.0.0.0/0", 0xffffffff);
	assert_int_equal(decode_parts(&ap, "", KIT_BASE, "1a0a087040"), ATTR_RESET);
	assert_int_equal(decode_parts(&ap, "", KIT_BASE, "00000007"), ATTR_RESET);
}

/* A path of exactly the limit is taken, one more is not; both through the extended length. */
static void test_path_limit(void **state)
{
	struct attr_table *t = attr_table_new(3);

	for (unsigned n = ATTR_AS_PATH_MAX - 1; n <= ATTR_AS_PATH_MAX + 1; n++) {
		static uint8_t buf[20000];
		struct wr w = wr_to(buf, sizeof(buf));

		wr_be16(&w, 0);
		size_t attrs = wr_open16(&w);
		wr_bytes(&w, "\x40\x01\x01\x00\x40\x03\x04\x0a\x00\x00\x01\x50\x02", 13);
		size_t path = wr_open16(&w);
		for (unsigned left = n; left;) {
			unsigned k = MIN(left, 255u);

			wr_u8(&w, ATTR_SEQUENCE_SEG);
			wr_u8(&w, (uint8_t)k);
			for (unsigned i = 0; i < k; i++)
				wr_be32(&w, 4200000000u + i);
			left -= k;
		}
		wr_close16(&w, path);
		wr_close16(&w, attrs);
		wr_bytes(&w, "\x08\x0a", 2);
		enum attr_verdict v = update_decode(rd_of(buf, w.len), &kit_ibgp, &u);
		assert_int_equal(v, n <= ATTR_AS_PATH_MAX ? ATTR_TAKE : ATTR_WITHDRAW);
		if (v != ATTR_TAKE)
			continue;
		struct attr_set *a = attr_intern(t, &u.attrs, &kit_ibgp);
		assert_int_equal(a->as_path_len, n);
		attr_unref(t, a);
	}
	attr_table_free(t);
}

/*
 * Every code with every combination of the four flag bits and lengths 0..20: nothing may reset the session
 * but an unknown well-known attribute or a broken multiprotocol one, and unknown attributes never cost a
 * route.
 */
static void sweep_one(const struct codec *c, unsigned code, unsigned flags, unsigned len, uint8_t fill)
{
	uint8_t buf[128];
	struct wr w = wr_to(buf, sizeof(buf));

	wr_be16(&w, 0);
	size_t attrs = wr_open16(&w);
	wr_u8(&w, (uint8_t)flags);
	wr_u8(&w, (uint8_t)code);
	if (flags & ATTR_F_EXTENDED)
		wr_be16(&w, (uint16_t)len);
	else
		wr_u8(&w, (uint8_t)len);
	memset(wr_room(&w, len), fill, len);
	if (c->as4)
		wr_bytes(&w,
			 "\x40\x01\x01\x00\x40\x02\x06\x02\x01\x00\x00\xfd\xe9\x40\x03\x04\x0a\x00\x00\x01",
			 20);
	else
		wr_bytes(&w, "\x40\x01\x01\x00\x40\x02\x04\x02\x01\xfd\xe9\x40\x03\x04\x0a\x00\x00\x01", 18);
	wr_close16(&w, attrs);
	wr_bytes(&w, "\x08\x0a", 2);

	enum attr_verdict v = update_decode(rd_of(buf, w.len), c, &u);
	bool optional = flags & ATTR_F_OPTIONAL;
	assert_true(u.fault.verdict == v && v <= ATTR_RESET);
	if (!attr_name((uint8_t)code))
		assert_int_equal(v, optional ? ATTR_TAKE : ATTR_RESET);
	else if (v == ATTR_RESET)
		assert_true(code == ATTR_MP_REACH || code == ATTR_MP_UNREACH);
	if (v != ATTR_RESET)
		assert_int_equal(count(u.announced[0].nlri), 1);
	if (v == ATTR_TAKE && !attr_name((uint8_t)code))
		assert_int_equal(attr_list_find(&u.attrs, (uint8_t)code) != NULL,
				 (flags & ATTR_F_TRANSITIVE) != 0);
}

static void test_sweep(void **state)
{
	static const struct codec *const codecs[] = { &kit_ibgp, &kit_ebgp, &kit_old };
	static const uint8_t fills[] = { 0, 1, 2, 0xff };

	for (size_t c = 0; c < ARRAY_SIZE(codecs); c++)
		for (unsigned code = 0; code < 256; code++)
			for (unsigned flags = 0; flags < 256; flags += 16)
				for (unsigned len = 0; len <= 20; len++)
					for (size_t f = 0; f < ARRAY_SIZE(fills); f++)
						sweep_one(codecs[c], code, flags, len, fills[f]);
}

/* Every single-byte change and every truncation of good messages: some verdict, no reading outside (the
 * sanitizers see), and never a route without its mandatory attributes. */
static void check_any(const uint8_t *p, size_t n, const struct codec *c)
{
	uint8_t *exact = xmalloc(n ? n : 1); /* so that the sanitizer sees one byte too far */
	struct prefix prefix;

	memcpy(exact, p, n);
	enum attr_verdict v = update_decode(rd_of(exact, n), c, &u);
	assert_true(v <= ATTR_RESET);
	for (unsigned i = 0; i < 2; i++) {
		while (nlri_next(&u.withdrawn[i], &prefix, NULL))
			;
		if (v >= ATTR_WITHDRAW)
			continue;
		if (nlri_next(&u.announced[i].nlri, &prefix, NULL)) {
			assert_true(addr_is_set(&u.announced[i].nexthop));
			assert_non_null(attr_list_find(&u.attrs, ATTR_ORIGIN));
			assert_non_null(attr_list_find(&u.attrs, ATTR_AS_PATH));
		}
	}
	free(exact);
}

static void test_mutations(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(captures); i++) {
		const struct codec *c = &captures[i].codec;

		body.n = 0;
		bytes_hex(&body, captures[i].hex);
		for (size_t n = 0; n <= body.n; n++)
			check_any(body.b, n, c);
		for (size_t at = 0; at < body.n; at++) {
			uint8_t old = body.b[at];

			for (unsigned v = 0; v < 256; v++) {
				body.b[at] = (uint8_t)v;
				check_any(body.b, body.n, c);
			}
			body.b[at] = old;
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_captures),	  cmocka_unit_test(test_eor),
		cmocka_unit_test(test_verdicts),	  cmocka_unit_test(test_lengths),
		cmocka_unit_test(test_notification_data), cmocka_unit_test(test_unagreed_families),
		cmocka_unit_test(test_next_hops),	  cmocka_unit_test(test_prefixes),
		cmocka_unit_test(test_path_limit),	  cmocka_unit_test(test_sweep),
		cmocka_unit_test(test_mutations),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
