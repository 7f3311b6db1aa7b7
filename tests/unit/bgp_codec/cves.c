/*
 * What has brought down other speakers, as tests: the classes of malformed input behind published
 * vulnerabilities, each with its numbers. Messages stand at the end of their own allocation, so that the
 * sanitizers see one byte too far.
 */
#include "kit.h"

static struct update u;

static struct rd exact(const void *p, size_t n)
{
	static uint8_t *room;

	free(room);
	room = n ? xmalloc(n) : NULL;
	if (n)
		memcpy(room, p, n);
	return rd_of(room, n);
}

static struct rd exact_hex(const char *hex)
{
	static struct bytes b;

	b.n = 0;
	bytes_hex(&b, hex);
	return exact(b.b, b.n);
}

static enum attr_verdict update_hex(const struct codec *c, const char *attrs, const char *nlri)
{
	static struct bytes b;

	body_hex(&b, "", attrs, nlri);
	return update_decode(exact(b.b, b.n), c, &u);
}

static unsigned count(struct nlri n)
{
	struct prefix p;
	unsigned k = 0;

	while (nlri_next(&n, &p, NULL))
		k++;
	return k;
}

/* An OPEN is taken, or refused with a NOTIFICATION about an OPEN; nothing else. */
static int open_of(struct rd body, struct msg_open *ret)
{
	struct notify n = { 0 };
	int k = msg_open_decode(body, ret, &n);

	assert_true(k == 0 || (k == -EBADMSG && n.code == NOTIFY_OPEN));
	return k;
}

#define OPEN_HEAD "04 fde9 005a 0a000001"

/* CVE-2022-40302, CVE-2022-40318: extended optional parameters (RFC 9072), the message ends inside them. */
static void test_open_extended_length_cut(void **state)
{
	static struct bytes b;
	struct msg_open o;

	b.n = 0;
	bytes_hex(&b, OPEN_HEAD "ff ff 0009 02 0006 4104 0000fde9");
	assert_int_equal(open_of(exact(b.b, b.n), &o), 0);
	for (size_t n = 0; n < b.n; n++)
		assert_int_equal(open_of(exact(b.b, n), &o), -EBADMSG);
	/* lengths that promise more than there is, or less */
	for (unsigned v = 0; v <= 0xffff; v += v < 300 ? 1 : 777) {
		b.b[11] = (uint8_t)(v >> 8);
		b.b[12] = (uint8_t)v;
		assert_int_equal(open_of(exact(b.b, b.n), &o) == 0, v == 9);
	}
}

/* CVE-2022-43681: the message ends at, or one byte behind, the length of the optional parameters. */
static void test_open_cut_at_option_length(void **state)
{
	uint8_t head[11] = { 4, 0xfd, 0xe9, 0, 90, 10, 0, 0, 1 };
	struct msg_open o;

	assert_int_equal(open_of(exact(head, 9), &o), -EBADMSG);
	for (unsigned n = 1; n < 256; n++) {
		head[9] = (uint8_t)n;
		for (unsigned type = 0; type < 256; type++) {
			head[10] = (uint8_t)type;
			assert_int_equal(open_of(exact(head, 10), &o), -EBADMSG);
			assert_int_equal(open_of(exact(head, 11), &o), -EBADMSG);
		}
	}
}

/* CVE-2023-41361, CVE-2025-43971 and the like: every capability with every length, and one that must not be
 * eaten behind it. */
static void test_capability_lengths(void **state)
{
	static const uint8_t fills[] = { 0x00, 0x01, 0x41, 0xff };
	uint8_t body[600];
	struct msg_open o;

	for (unsigned i = 0; i < 256 * 256 * ARRAY_SIZE(fills); i++) {
		unsigned code = i & 255, len = i >> 8 & 255;
		struct wr w = wr_to(body, sizeof(body));

		wr_bytes(&w, "\x04\xfd\xe9\x00\x5a\x0a\x00\x00\x01\xff\xff", 11);
		size_t params = wr_open16(&w);
		wr_u8(&w, 2);
		size_t param = wr_open16(&w);
		wr_u8(&w, (uint8_t)code);
		wr_u8(&w, (uint8_t)len);
		memset(wr_room(&w, len), fills[i >> 16], len);
		wr_bytes(&w, "\x46\x00", 2); /* enhanced refresh */
		wr_close16(&w, param);
		wr_close16(&w, params);
		if (open_of(exact(body, w.len), &o) == 0)
			assert_true(o.caps.enhanced_refresh);
		/* the same, cut inside the value: never the bytes of a neighbour */
		if (len) {
			body[15] = (uint8_t)MIN(len + 3, 255u);
			open_of(exact(body, w.len), &o);
		}
	}
}

/* CVE-2022-37032, CVE-2024-31949: CAPABILITY messages and dynamic capability; there is no parser for them. */
static void test_no_dynamic_capability(void **state)
{
	struct msg_open o;
	struct notify n;
	struct msg m;

	for (unsigned type = 0; type < 256; type++) {
		uint8_t buf[30];

		memset(buf, 0xff, 16);
		buf[16] = 0;
		buf[17] = 30;
		buf[18] = (uint8_t)type;
		memset(buf + 19, 0, 11);
		if (type >= MSG_OPEN && type <= MSG_REFRESH)
			continue;
		assert_int_equal(msg_next(buf, sizeof(buf), MSG_MAX, &m, &n), -EBADMSG);
		assert_true(n.code == NOTIFY_HEADER && n.subcode == HEADER_BAD_TYPE);
	}
	assert_int_equal(open_of(exact_hex(OPEN_HEAD "06 0204 4300 0200"), &o), 0);
	assert_true(o.caps.unknown == 1 && o.caps.refresh);
}

/* CVE-2023-41358, -46753, -47234, -47235: prefixes with no attributes, or with none that make a route;
 * End-of-RIB lookalikes. */
static void test_routes_without_attributes(void **state)
{
	assert_int_equal(update_hex(&kit_ebgp, "", KIT_NLRI), ATTR_WITHDRAW);
	assert_int_equal(update_hex(&kit_ebgp, "c0fa00", KIT_NLRI), ATTR_WITHDRAW);
	assert_int_equal(update_hex(&kit_ebgp, "c06302 0000", KIT_NLRI), ATTR_WITHDRAW);
	assert_int_equal(update_hex(&kit_ebgp, KIT_NEXTHOP, KIT_NLRI), ATTR_WITHDRAW);
	assert_int_equal(count(u.announced[0].nlri), 1);
	assert_int_equal(update_hex(&kit_ebgp, "800f03 000201", KIT_NLRI), ATTR_WITHDRAW);
	assert_int_equal(u.eor, 0);
	assert_int_equal(update_hex(&kit_ebgp, "800f03 000201 c06300", ""), ATTR_TAKE);
	assert_int_equal(u.eor, 0);
	assert_int_equal(update_hex(&kit_ebgp, KIT_REACH6, ""), ATTR_WITHDRAW);
	assert_int_equal(update_hex(&kit_ebgp, KIT_REACH6 "c06300", ""), ATTR_WITHDRAW);
	assert_int_equal(update_hex(&kit_ebgp, "800f02 0002", ""), ATTR_RESET);
	assert_int_equal(u.eor, 0);
}

/* CVE-2023-46752: MP_REACH_NLRI with every next hop length, whole and cut after every byte. */
static void test_mp_reach_next_hop_lengths(void **state)
{
	for (unsigned len = 0; len < 256; len++) {
		for (unsigned there = 0; there <= 300; there++) {
			uint8_t buf[400];
			struct wr w = wr_to(buf, sizeof(buf));

			wr_be16(&w, 0);
			size_t attrs = wr_open16(&w);
			wr_bytes(&w, "\x40\x01\x01\x00\x40\x02\x06\x02\x01\x00\x00\xfd\xe9", 13);
			wr_bytes(&w, "\x90\x0e", 2);
			size_t reach = wr_open16(&w);
			wr_bytes(&w, "\x00\x02\x01", 3);
			wr_u8(&w, (uint8_t)len);
			memset(wr_room(&w, there), 0, there);
			wr_close16(&w, reach);
			wr_close16(&w, attrs);
			if (there)
				buf[25] = 0xfd; /* a next hop that can be one */
			enum attr_verdict v = update_decode(exact(buf, w.len), &kit_ibgp, &u);
			bool good = (len == 16 || len == 32) && there > len;
			if (!good)
				assert_int_equal(v, ATTR_RESET);
			else
				assert_int_equal(v, ATTR_TAKE);
		}
	}
}

/* VU#347067, CVE-2023-38283: what no speaker on the way looks at must cost nobody a session. Every optional
 * transitive attribute that is known, one byte short and one long. */
static void test_off_by_one_costs_no_session(void **state)
{
	static const struct {
		uint8_t code, n;
	} known[] = { { 7, 8 }, { 8, 4 }, { 16, 8 }, { 17, 6 }, { 18, 8 }, { 32, 12 }, { 35, 4 } };

	for (size_t i = 0; i < ARRAY_SIZE(known); i++) {
		for (int d = -1; d <= 1; d++) {
			uint8_t buf[100];
			struct wr w = wr_to(buf, sizeof(buf));
			unsigned n = (unsigned)(known[i].n + d);

			wr_be16(&w, 0);
			size_t attrs = wr_open16(&w);
			wr_bytes(&w, "\x40\x01\x01\x00\x40\x02\x06\x02\x01\x00\x00\xfd\xe9", 13);
			wr_bytes(&w, "\x40\x03\x04\x0a\x00\x00\x01\xe0", 8);
			wr_u8(&w, known[i].code);
			wr_u8(&w, (uint8_t)n);
			memset(wr_room(&w, n), 2, n);
			wr_close16(&w, attrs);
			wr_bytes(&w, "\x08\x0a", 2);
			assert_true(update_decode(exact(buf, w.len), &kit_ebgp, &u) <= ATTR_WITHDRAW);
			assert_int_equal(count(u.announced[0].nlri), 1);
		}
	}
}

/* The value passes through unread, to the byte. */
static void expect_opaque(const char *attrs, const char *value)
{
	struct attr_table *t = attr_table_new(5);
	static struct bytes want;
	struct rd r;

	assert_int_equal(update_hex(&kit_ebgp, attrs, KIT_NLRI), ATTR_TAKE);
	struct attr_set *a = attr_intern(t, &u.attrs, &kit_ebgp);
	want.n = 0;
	bytes_hex(&want, value);
	bool found = attr_find(a, u.attrs.item[u.attrs.n - 1].code, &r);
	assert_true(found && (a->flags & ATTR_HAS_UNKNOWN));
	assert_int_equal(rd_left(&r), want.n);
	assert_memory_equal(r.at, want.b, want.n);
	attr_unref(t, a);
	attr_table_free(t);
}

/* CVE-2023-38802, CVE-2024-44070: Tunnel Encapsulation (23), sub-TLVs longer than the attribute. */
static void test_tunnel_encapsulation(void **state)
{
	static const char *const values[] = { "",
					      "00",
					      "0001",
					      "000100ff",
					      "0001ffff",
					      "00010004 06ff",
					      "00010004 80ffff01",
					      "00010006 0604 0a00" };

	for (size_t i = 0; i < ARRAY_SIZE(values); i++) {
		struct bytes v = { .n = 0 };
		char attrs[200];

		bytes_hex(&v, values[i]);
		snprintf(attrs, sizeof(attrs), KIT_BASE "c017%02x%s", (unsigned)v.n, values[i]);
		expect_opaque(attrs, values[i]);
	}
}

/* CVE-2023-41359, -31490, CVE-2024-31948, and the all-zero Prefix-SID of 2025-05-20: PMSI (22), AIGP (26),
 * BGP-LS (29), Prefix-SID (40) and its SRv6 TLVs, TLVs of length 0, 1 and more than there is. */
static void test_attributes_with_tlvs(void **state)
{
	static const uint8_t codes[] = { 22, 29, 40, 128, 241 };
	static const char *const values[] = { "",
					      "00",
					      "0000",
					      "000000",
					      "010000",
					      "010001 00",
					      "0100ff",
					      "01ffff 00",
					      "050013 00",
					      "00000000000000000000000000000000",
					      "0500ff 00 01ffff 00 01ffff" };

	for (size_t i = 0; i < ARRAY_SIZE(codes) * ARRAY_SIZE(values); i++) {
		const char *value = values[i / ARRAY_SIZE(codes)];
		struct bytes v = { .n = 0 };
		char attrs[200];

		bytes_hex(&v, value);
		snprintf(attrs, sizeof(attrs), KIT_BASE "c0%02x%02x%s", codes[i % ARRAY_SIZE(codes)],
			 (unsigned)v.n, value);
		expect_opaque(attrs, value);
		/* AIGP is optional and not transitive: whatever is in it, it is gone */
		snprintf(attrs, sizeof(attrs), KIT_BASE "801a%02x%s", (unsigned)v.n, value);
		assert_int_equal(update_hex(&kit_ibgp, attrs, KIT_NLRI), ATTR_TAKE);
		assert_null(attr_list_find(&u.attrs, 26));
	}
}

/* An AS_PATH of n numbers in segments of 255, of a peer of this kind. */
static size_t long_path(uint8_t *buf, size_t cap, const struct codec *c, unsigned n)
{
	struct wr w = wr_to(buf, cap);

	wr_be16(&w, 0);
	size_t attrs = wr_open16(&w);
	wr_bytes(&w, "\x40\x01\x01\x00\x40\x03\x04\x0a\x00\x00\x01\x50\x02", 13);
	size_t path = wr_open16(&w);
	for (unsigned left = n; left;) {
		unsigned k = MIN(left, 255u);

		wr_u8(&w, ATTR_SEQUENCE_SEG);
		wr_u8(&w, (uint8_t)k);
		memset(wr_room(&w, (size_t)k * (c->as4 ? 4 : 2)), 1, (size_t)k * (c->as4 ? 4 : 2));
		left -= k;
	}
	wr_close16(&w, path);
	wr_close16(&w, attrs);
	wr_bytes(&w, "\x08\x0a", 2);
	assert_true(wr_ok(&w));
	return w.len;
}

/* CVE-2026-49943: more AS numbers than a fixed array holds, in extended messages. What is taken is encoded
 * for both kinds of peers. */
static void test_long_as_paths(void **state)
{
	static const unsigned lengths[] = { 255, 256, 1000, 1001, 2048, 2049, 8000, 16000 };
	static const struct codec *const codecs[] = { &kit_ebgp, &kit_old };
	static uint8_t buf[70000], out[70000];
	struct attr_table *t = attr_table_new(9);

	for (size_t i = 0; i < 2 * ARRAY_SIZE(lengths); i++) {
		const struct codec *c = codecs[i % 2];
		unsigned n = lengths[i / 2];
		size_t len = long_path(buf, sizeof(buf), c, n);

		assert_int_equal(update_decode(exact(buf, len), c, &u),
				 n <= ATTR_AS_PATH_MAX ? ATTR_TAKE : ATTR_WITHDRAW);
		assert_int_equal(count(u.announced[0].nlri), 1);
		if (n > ATTR_AS_PATH_MAX)
			continue;
		struct attr_set *a = attr_intern(t, &u.attrs, c);
		assert_int_equal(a->as_path_len, n);
		for (unsigned as4 = 0; as4 < 2; as4++) {
			struct wr w = wr_to(out, sizeof(out));

			attr_encode(a, NULL, as4, &w);
			assert_true(wr_ok(&w));
			assert_int_equal(w.len, attr_size(a, NULL, as4));
		}
		attr_unref(t, a);
	}
	attr_table_free(t);
}

/* GoBGP's panic: AS4_PATH before, without, and longer than AS_PATH, in every order. */
static void test_as4_path_orders(void **state)
{
	static const char *const parts[] = { KIT_ORIGIN,
					     "400204 0201 5ba0",
					     KIT_NEXTHOP,
					     "c01106 0201 fa56ea01",
					     "c00706 5ba0 0a000001",
					     "c01208 fa56ea02 0a000002" };
	struct attr_table *t = attr_table_new(9);
	struct attr_set *first = NULL;

	for (unsigned i = 0; i < 720; i++) {
		unsigned order[6] = { 0, 1, 2, 3, 4, 5 }, k = i;
		char attrs[300] = "";

		for (unsigned n = 6; n; k /= n, n--) {
			unsigned at = k % n, v = order[at];

			order[at] = order[n - 1];
			strcat(attrs, parts[v]);
		}
		assert_int_equal(update_hex(&kit_old, attrs, KIT_NLRI), ATTR_TAKE);
		struct attr_set *a = attr_intern(t, &u.attrs, &kit_old);
		if (!first)
			first = attr_ref(a);
		assert_ptr_equal(a, first);
		attr_unref(t, a);
	}
	assert_int_equal(first->first_asn, 4200000001u);
	attr_unref(t, first);
	assert_int_equal(update_hex(&kit_old, KIT_ORIGIN "c01106 0201 fa56ea01" KIT_NEXTHOP, KIT_NLRI),
			 ATTR_WITHDRAW);
	attr_table_free(t);
}

/* CVE-2023-38407: prefixes with every length and too few bytes, path identifiers that are not there. */
static void test_prefix_lengths(void **state)
{
	struct codec plain = kit_ibgp, paths = kit_ibgp;

	paths.add_path_in = CAPS_V4 | CAPS_V6;
	for (unsigned i = 0; i < 256 * 24 * 2; i++) {
		unsigned bits = i & 255, there = i / 256 % 24, v6 = i / 256 / 24;
		unsigned max = v6 ? 128 : 32, need = 1 + (bits + 7) / 8;

		for (unsigned p = 0; p < 2; p++) {
			uint8_t buf[100];
			struct wr w = wr_to(buf, sizeof(buf));

			wr_be16(&w, 0);
			size_t attrs = wr_open16(&w);
			if (v6)
				wr_bytes(&w, "\x80\x0f", 2);
			size_t hole = v6 ? wr_open8(&w) : 0;
			if (v6)
				wr_bytes(&w, "\x00\x02\x01", 3);
			else
				wr_bytes(&w,
					 "\x40\x01\x01\x00\x40\x02\x06\x02\x01\x00\x00\xfd\xe9\x40\x03\x04"
					 "\x0a\x00\x00\x01",
					 20);
			if (!v6)
				wr_close16(&w, attrs);
			uint8_t prefix[24] = { 0 };
			if (there > 4 * p)
				prefix[4 * p] = (uint8_t)bits;
			wr_bytes(&w, prefix, there);
			if (v6) {
				wr_close8(&w, hole);
				wr_close16(&w, attrs);
			}
			enum attr_verdict v = update_decode(exact(buf, w.len), p ? &paths : &plain, &u);
			if (!there)
				assert_int_equal(v, ATTR_TAKE);
			else if (there <= 4 * p || bits > max || need > there - 4 * p)
				assert_int_equal(v, ATTR_RESET);
			else if (need == there - 4 * p)
				assert_int_equal(v, ATTR_TAKE);
		}
	}
}

/* CVE-2023-38406, -41360, -41909, CVE-2026-37457: flowspec and other families that were not agreed on are not
 * even looked at; ORFs are not either. */
static void test_families_that_are_not_ours(void **state)
{
	static const char *const families[] = { "000185", "000186", "001946", "400447", "000104",
						"000180", "000280", "001941", "000002", "ffffff" };
	static const char *const rubbish[] = { "", "00", "ff", "f0ff", "0105ffffff", "80ffffffffffffffff" };
	struct msg_refresh r;
	struct notify n;

	for (size_t i = 0; i < ARRAY_SIZE(families) * ARRAY_SIZE(rubbish); i++) {
		const char *family = families[i % ARRAY_SIZE(families)],
			   *bytes = rubbish[i / ARRAY_SIZE(families)];
		struct bytes v = { .n = 0 };
		char attrs[200];

		bytes_hex(&v, bytes);
		snprintf(attrs, sizeof(attrs), KIT_BASE "800e%02x%s0000%s", (unsigned)v.n + 5, family, bytes);
		assert_int_equal(update_hex(&kit_ebgp, attrs, KIT_NLRI), ATTR_TAKE);
		assert_int_equal(count(u.announced[1].nlri), 0);
		snprintf(attrs, sizeof(attrs), "800f%02x%s%s", (unsigned)v.n + 3, family, bytes);
		assert_int_equal(update_hex(&kit_ebgp, attrs, ""), ATTR_TAKE);
		assert_int_equal(count(u.withdrawn[1]), 0);
		assert_int_equal(u.eor, 0);
	}
	/* ROUTE-REFRESH with ORF entries whose lengths run past the end */
	assert_int_equal(msg_refresh_decode(exact_hex("00010001 0140ffff"), &r, &n), 0);
	assert_int_equal(msg_refresh_decode(exact_hex("00010001 01"), &r, &n), 0);
	assert_int_equal(msg_refresh_decode(exact_hex("00010001 014000 40"), &r, &n), 0);
	assert_int_equal(msg_refresh_decode(exact_hex("00010001"), &r, &n), 1);
}

/* CVE-2026-37462: withdrawn and attribute lengths whose sum wraps around sixteen bits. */
static void test_update_length_arithmetic(void **state)
{
	static const char *const bodies[] = { "fffc 0000",	"ffff 0001 00", "8000 8000",
					      "fffe fffe 0000", "0001 ffff 00", "0000 fffd",
					      "0003 0000 0000", "ffff ffff",	"0004 00000000",
					      "0000 0001" };

	for (size_t i = 0; i < ARRAY_SIZE(bodies); i++) {
		enum attr_verdict v = update_decode(exact_hex(bodies[i]), &kit_ebgp, &u);

		assert_int_equal(v, ATTR_RESET);
		assert_int_equal(u.fault.notify.subcode, UPDATE_MALFORMED_LIST);
		assert_false(update_has_routes(&u));
		assert_int_equal(count(u.withdrawn[0]) + count(u.withdrawn[1]), 0);
	}
}

/* CVE-2026-30405: NEXT_HOP of every length and of addresses that are none. */
static void test_next_hop(void **state)
{
	static const char *const none[] = { "00000000", "00000001", "7f000001",
					    "e0000005", "f0000001", "ffffffff" };
	char attrs[1024];

	for (unsigned len = 0; len < 256; len++) {
		int n = snprintf(attrs, sizeof(attrs), KIT_ORIGIN KIT_PATH "4003%02x", len);

		for (unsigned i = 0; i < len; i++)
			n += snprintf(attrs + n, sizeof(attrs) - (size_t)n, "0a");
		assert_int_equal(update_hex(&kit_ebgp, attrs, KIT_NLRI),
				 len == 4 ? ATTR_TAKE : ATTR_WITHDRAW);
	}
	for (size_t i = 0; i < ARRAY_SIZE(none); i++) {
		snprintf(attrs, sizeof(attrs), KIT_ORIGIN KIT_PATH "400304%s", none[i]);
		assert_int_equal(update_hex(&kit_ebgp, attrs, KIT_NLRI), ATTR_WITHDRAW);
	}
}

/* CVE-2019-16159, CVE-2025-59688: NOTIFICATIONs with a text longer than they are, of every length, and with
 * bytes that a terminal would obey. */
static void test_notification_text(void **state)
{
	char text[NOTIFY_STR_MAX];
	struct notify n;

	for (unsigned subcode = 0; subcode < 12; subcode++) {
		for (unsigned said = 0; said < 256; said++) {
			for (unsigned there = 0; there < 300; there += there < 4 ? 1 : 37) {
				uint8_t body[400] = { NOTIFY_CEASE, (uint8_t)subcode, (uint8_t)said };

				memset(body + 3, said % 2 ? 0x1b : 'x', there);
				notify_decode(exact(body, 3 + there), &n);
				notify_format(&n, text);
				assert_true(n.len <= NOTIFY_DATA_MAX && strlen(text) < sizeof(text));
				for (const char *p = text; *p; p++)
					assert_true(*p >= 0x20 && *p < 0x7f);
			}
		}
	}
	for (size_t len = 0; len < 3; len++) {
		notify_decode(exact("\x06\x02", MIN(len, (size_t)2)), &n);
		notify_format(&n, text);
		assert_true(len < 2 ? n.code == 0 : n.code == NOTIFY_CEASE);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_open_extended_length_cut),
		cmocka_unit_test(test_open_cut_at_option_length),
		cmocka_unit_test(test_capability_lengths),
		cmocka_unit_test(test_no_dynamic_capability),
		cmocka_unit_test(test_routes_without_attributes),
		cmocka_unit_test(test_mp_reach_next_hop_lengths),
		cmocka_unit_test(test_off_by_one_costs_no_session),
		cmocka_unit_test(test_tunnel_encapsulation),
		cmocka_unit_test(test_attributes_with_tlvs),
		cmocka_unit_test(test_long_as_paths),
		cmocka_unit_test(test_as4_path_orders),
		cmocka_unit_test(test_prefix_lengths),
		cmocka_unit_test(test_families_that_are_not_ours),
		cmocka_unit_test(test_update_length_arithmetic),
		cmocka_unit_test(test_next_hop),
		cmocka_unit_test(test_notification_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
