/* Framing, OPEN, NOTIFICATION, KEEPALIVE and ROUTE-REFRESH. */
#include "kit.h"

#define MARKER "ffffffffffffffffffffffffffffffff"

static ssize_t next_hex(const char *hex, size_t max, struct msg *m, struct notify *n)
{
	static struct bytes b;

	b.n = 0;
	bytes_hex(&b, hex);
	*n = (struct notify){ 0 };
	return msg_next(b.b, b.n, max, m, n);
}

static void expect_refused(const char *hex, size_t max, uint8_t subcode, const char *data)
{
	struct bytes want = { .n = 0 };
	struct notify n;
	struct msg m;

	bytes_hex(&want, data);
	assert_int_equal(next_hex(hex, max, &m, &n), -EBADMSG);
	assert_int_equal(n.code, NOTIFY_HEADER);
	assert_int_equal(n.subcode, subcode);
	assert_int_equal(n.len, want.n);
	assert_memory_equal(n.data, want.b, want.n);
}

static void test_header(void **state)
{
	struct notify n;
	struct msg m;

	assert_int_equal(next_hex("", MSG_MAX, &m, &n), 0);
	assert_int_equal(next_hex(MARKER "0013", MSG_MAX, &m, &n), 0);
	assert_int_equal(next_hex(MARKER "0013 04", MSG_MAX, &m, &n), 19);
	assert_int_equal(m.type, MSG_KEEPALIVE);
	assert_int_equal(rd_left(&m.body), 0);
	assert_int_equal(next_hex(MARKER "0017 02 00000000", MSG_MAX, &m, &n), 23);
	assert_int_equal(rd_left(&m.body), 4);
	assert_int_equal(next_hex(MARKER "0017 02 000000", MSG_MAX, &m, &n), 0);

	expect_refused("feffffffffffffffffffffffffffffff 0013 04", MSG_MAX, HEADER_NOT_SYNCHRONIZED, "");
	expect_refused("fffffffffffffffffffffffffffffffe 0013 04", MSG_MAX, HEADER_NOT_SYNCHRONIZED, "");
	expect_refused(MARKER "0012 04", MSG_MAX, HEADER_BAD_LENGTH, "0012");
	expect_refused(MARKER "0000 04", MSG_MAX, HEADER_BAD_LENGTH, "0000");
	expect_refused(MARKER "1001 02", MSG_MAX, HEADER_BAD_LENGTH, "1001");
	expect_refused(MARKER "0014 04", MSG_MAX, HEADER_BAD_LENGTH, "0014");
	expect_refused(MARKER "001c 01", MSG_MAX, HEADER_BAD_LENGTH, "001c");
	expect_refused(MARKER "0016 02", MSG_MAX, HEADER_BAD_LENGTH, "0016");
	expect_refused(MARKER "0014 03", MSG_MAX, HEADER_BAD_LENGTH, "0014");
	expect_refused(MARKER "0016 05", MSG_MAX, HEADER_BAD_LENGTH, "0016");
	expect_refused(MARKER "0013 00", MSG_MAX, HEADER_BAD_TYPE, "00");
	expect_refused(MARKER "0013 06", MSG_MAX, HEADER_BAD_TYPE, "06");
	expect_refused(MARKER "0013 ff", MSG_MAX, HEADER_BAD_TYPE, "ff");
	/* RFC 8654 lifts the limit for all but OPEN and KEEPALIVE. */
	assert_int_equal(next_hex(MARKER "1001 02", MSG_MAX_EXT, &m, &n), 0);
	assert_int_equal(next_hex(MARKER "ffff 02", MSG_MAX_EXT, &m, &n), 0);
	expect_refused(MARKER "1001 01", MSG_MAX_EXT, HEADER_BAD_LENGTH, "1001");
	expect_refused(MARKER "1001 04", MSG_MAX_EXT, HEADER_BAD_LENGTH, "1001");
}

/* --- OPEN --- */

static int open_hex(const char *hex, struct msg_open *o, struct notify *n)
{
	static struct bytes b;

	b.n = 0;
	bytes_hex(&b, hex);
	*n = (struct notify){ 0 };
	return msg_open_decode(bytes_rd(&b), o, n);
}

/* From BIRD 2.0.12, iBGP with IPv4, IPv6 and add-path. */
#define BIRD_OPEN                                                                                            \
	"04fde800f00a0000012c022a0104000100010104000200010200400a0078000101000002010041040000fde84504000201" \
	"0346004700"

static void test_open_bird(void **state)
{
	struct msg_open o;
	struct notify n;
	uint8_t buf[MSG_MAX];
	struct wr w = wr_to(buf, sizeof(buf));
	own_str struct str s = { 0 };

	assert_int_equal(open_hex(BIRD_OPEN, &o, &n), 0);
	assert_int_equal(o.asn, 65000);
	assert_int_equal(o.hold_time, 240);
	assert_int_equal(o.router_id, 0x0a000001);
	assert_int_equal(o.caps.families, CAPS_V4 | CAPS_V6);
	assert_true(o.caps.refresh && o.caps.enhanced_refresh && o.caps.as4 && o.caps.gr && o.caps.llgr);
	assert_int_equal(o.caps.gr_time, 120);
	assert_int_equal(o.caps.gr_families, CAPS_V4 | CAPS_V6);
	assert_int_equal(o.caps.gr_forwarding, 0);
	assert_int_equal(o.caps.add_path_recv, CAPS_V6);
	assert_int_equal(o.caps.add_path_send, CAPS_V6);
	assert_int_equal(o.caps.role, CAPS_ROLE_NONE);
	caps_format(&o.caps, &s);
	assert_string_equal(
		s.s, "multiprotocol(ipv4 ipv6) route-refresh graceful-restart(120s ipv4 ipv6) as4(65000) "
		     "add-path(receive ipv6 send ipv6) enhanced-refresh "
		     "long-lived-graceful-restart(aware)");

	/* BIRD writes in the same order, so encoding gives BIRD's bytes back. */
	struct bytes want = { .n = 0 };
	bytes_hex(&want, BIRD_OPEN);
	msg_open_encode(&o, &w);
	assert_int_equal(w.len, MSG_HEADER + want.n);
	assert_memory_equal(buf + MSG_HEADER, want.b, want.n);
}

static void expect_open_refused(const char *hex, uint8_t subcode)
{
	struct msg_open o;
	struct notify n;

	assert_int_equal(open_hex(hex, &o, &n), -EBADMSG);
	assert_int_equal(n.code, NOTIFY_OPEN);
	if (n.subcode != subcode)
		print_message("%s\n", hex);
	assert_int_equal(n.subcode, subcode);
}

static void test_open_refused(void **state)
{
	expect_open_refused("03 fde9 005a 0a000001 00", OPEN_BAD_VERSION);
	expect_open_refused("04 0000 005a 0a000001 00", OPEN_BAD_PEER_AS);
	expect_open_refused("04 fde9 0001 0a000001 00", OPEN_BAD_HOLD_TIME);
	expect_open_refused("04 fde9 0002 0a000001 00", OPEN_BAD_HOLD_TIME);
	expect_open_refused("04 fde9 005a 00000000 00", OPEN_BAD_ID);
	expect_open_refused("04 fde9 005a 0a000001", OPEN_UNSPECIFIC); /* no option length */
	expect_open_refused("04 fde9 005a 0a", OPEN_UNSPECIFIC);
	expect_open_refused("", OPEN_UNSPECIFIC);
	expect_open_refused("04 fde9 005a 0a000001 00 00", OPEN_UNSPECIFIC); /* trailing byte */
	expect_open_refused("04 fde9 005a 0a000001 01 02", OPEN_UNSPECIFIC); /* half a parameter */
	expect_open_refused("04 fde9 005a 0a000001 02 0201", OPEN_UNSPECIFIC);
	expect_open_refused("04 fde9 005a 0a000001 03 020100", OPEN_UNSPECIFIC); /* half a capability */
	expect_open_refused("04 fde9 005a 0a000001 02 0100", OPEN_BAD_PARAMETER);
	/* AS4 with 0, too short, too long; never the neighbour's bytes */
	expect_open_refused("04 5ba0 005a 0a000001 08 0206 410400000000", OPEN_BAD_PEER_AS);
	expect_open_refused("04 5ba0 005a 0a000001 09 0207 410300fde9 0200", OPEN_UNSPECIFIC);
	expect_open_refused("04 5ba0 005a 0a000001 09 0207 4105000000fde9", OPEN_UNSPECIFIC);
	expect_open_refused("04 fde9 005a 0a000001 04 0202 4100", OPEN_UNSPECIFIC);
	expect_open_refused("04 fde9 005a 0a000001 05 0203 400178", OPEN_UNSPECIFIC); /* GR odd */
	expect_open_refused("04 fde9 005a 0a000001 07 0205 4003007800", OPEN_UNSPECIFIC);
	expect_open_refused("04 fde9 005a 0a000001 05 0203 450100", OPEN_UNSPECIFIC);  /* ADD-PATH */
	expect_open_refused("04 fde9 005a 0a000001 05 0203 470100", OPEN_UNSPECIFIC);  /* LLGR */
	expect_open_refused("04 fde9 005a 0a000001 04 0202 0900", OPEN_ROLE_MISMATCH); /* role */
	expect_open_refused("04 fde9 005a 0a000001 08 0206 090100 090101", OPEN_ROLE_MISMATCH);
	/* RFC 9072 cut after each byte of its header */
	expect_open_refused("04 fde9 005a 0a000001 ff ff", OPEN_UNSPECIFIC);
	expect_open_refused("04 fde9 005a 0a000001 ff ff00", OPEN_UNSPECIFIC);
	expect_open_refused("04 fde9 005a 0a000001 ff ff0001", OPEN_UNSPECIFIC);
	expect_open_refused("04 fde9 005a 0a000001 ff ff000102", OPEN_UNSPECIFIC);
	expect_open_refused("04 fde9 005a 0a000001 ff ff000302000202", OPEN_UNSPECIFIC);
}

static void test_open_accepted(void **state)
{
	struct msg_open o;
	struct notify n;

	assert_int_equal(open_hex("04 fde9 0000 0a000001 00", &o, &n), 0);
	assert_int_equal(o.asn, 65001);
	assert_int_equal(caps_families(&o.caps), CAPS_V4);
	/* unknown capabilities, also an empty and a long one, are skipped */
	assert_int_equal(open_hex("04 fde9 0003 0a000001 0a 0208 c800 8303010203 40", &o, &n), -EBADMSG);
	assert_int_equal(open_hex("04 fde9 0003 0a000001 0b 0209 c800 8303010203 0200", &o, &n), 0);
	assert_int_equal(o.caps.unknown, 2);
	assert_true(o.caps.refresh);
	/* several parameters; AS4 wins over AS_TRANS */
	assert_int_equal(open_hex("04 5ba0 005a 0a000001 0c 0206 4104fa56ea00 0202 0200", &o, &n), 0);
	assert_int_equal(o.asn, 4200000000u);
	/* multiprotocol only for families we do not speak: no family, not IPv4 */
	assert_int_equal(open_hex("04 fde9 005a 0a000001 08 0206 010400190046", &o, &n), 0);
	assert_int_equal(caps_families(&o.caps), 0);
	/* duplicates: the last graceful restart counts */
	assert_int_equal(open_hex("04 fde9 005a 0a000001 0e 020c 40068078 00010180 40020005", &o, &n), 0);
	assert_true(o.caps.gr && !o.caps.gr_restarting && o.caps.gr_time == 5 && !o.caps.gr_families);
	/* informative capabilities that are malformed are skipped */
	assert_int_equal(open_hex("04 fde9 005a 0a000001 0e 020c 490205 00 4b0105 4b00 490103", &o, &n), 0);
	assert_string_equal(o.caps.hostname, "");
	assert_string_equal(o.caps.version, "");
	assert_int_equal(
		open_hex("04 fde9 005a 0a000001 12 0210 4907 03 610a62 02 7a7a 4b05 04 42495244", &o, &n), 0);
	assert_string_equal(o.caps.hostname, "a?b");
	assert_string_equal(o.caps.version, "BIRD");
	/* RFC 9072 */
	assert_int_equal(open_hex("04 fde9 005a 0a000001 ff ff 0005 02 0002 0200", &o, &n), 0);
	assert_true(o.caps.refresh);
	/* ... also when the old length byte is not 255 */
	assert_int_equal(open_hex("04 fde9 005a 0a000001 03 ff 0005 02 0002 0200", &o, &n), 0);
}

static void test_open_round_trip(void **state)
{
	uint8_t buf[MSG_MAX];
	struct msg_open o = { .asn = 4200000001u, .hold_time = 90, .router_id = 7 }, back;
	struct wr w = wr_to(buf, sizeof(buf));
	struct notify n;
	struct msg m;

	caps_init(&o.caps);
	o.caps = (struct caps){
		.mp = true,
		.families = 3,
		.refresh = true,
		.ext_nexthop = CAPS_V4,
		.ext_message = true,
		.role = CAPS_ROLE_PEER,
		.gr = true,
		.gr_restarting = true,
		.gr_notification = true,
		.gr_time = 4095,
		.gr_families = 3,
		.gr_forwarding = CAPS_V6,
		.as4 = true,
		.asn = 4200000001u,
		.add_path_recv = 3,
		.add_path_send = CAPS_V4,
		.enhanced_refresh = true,
		.llgr = true,
		.llgr_families = 3,
		.llgr_forwarding = CAPS_V4,
		.llgr_time = { 0xffffff, 3600 },
	};
	memset(o.caps.hostname, 'h', sizeof(o.caps.hostname) - 1);
	memset(o.caps.version, 'v', sizeof(o.caps.version) - 1);
	o.asn16 = MSG_AS_TRANS;
	msg_open_encode(&o, &w);
	assert_true(wr_ok(&w));
	assert_int_equal(msg_next(buf, w.len, MSG_MAX, &m, &n), w.len);
	assert_int_equal(msg_open_decode(m.body, &back, &n), 0);
	assert_memory_equal(&back, &o, sizeof(o));
}

/* Capabilities longer than 252 bytes take the form of RFC 9072; both forms come back the same. */
static void test_open_long(void **state)
{
	for (size_t pad = 0; pad < 64; pad++) {
		uint8_t buf[MSG_MAX];
		struct msg_open o = { .asn = 65001, .asn16 = 65001, .router_id = 7 }, back;
		struct wr w = wr_to(buf, sizeof(buf));
		struct notify n;
		struct msg m;

		caps_init(&o.caps);
		o.caps.families = 3;
		o.caps.mp = o.caps.gr = o.caps.llgr = true;
		o.caps.gr_families = o.caps.llgr_families = o.caps.add_path_recv = 3;
		o.caps.role = 0;
		memset(o.caps.hostname, 'h', 64);
		memset(o.caps.version, 'v', pad);
		msg_open_encode(&o, &w);
		assert_int_equal(msg_next(buf, w.len, MSG_MAX, &m, &n), w.len);
		assert_int_equal(msg_open_decode(m.body, &back, &n), 0);
		assert_memory_equal(&back, &o, sizeof(o));
	}
}

static void test_agree(void **state)
{
	struct caps a, b;

	caps_init(&a);
	caps_init(&b);
	assert_int_equal(caps_agree(&a, &b).families, CAPS_V4);
	a.mp = b.mp = true;
	a.families = 3;
	b.families = CAPS_V6;
	a.as4 = a.refresh = b.refresh = true;
	a.add_path_recv = 3;
	b.add_path_send = 3;
	struct caps_agreed g = caps_agree(&a, &b);
	assert_int_equal(g.families, CAPS_V6);
	assert_false(g.as4);
	assert_true(g.refresh);
	assert_int_equal(g.add_path_in, CAPS_V6);
	assert_int_equal(g.add_path_out, 0);
}

/* Every known capability with every length of 0..40 zero bytes, inside an OPEN followed by another
 * capability: what comes behind must never be swallowed. */
static void test_caps_lengths(void **state)
{
	for (unsigned code = 0; code < 256; code++) {
		for (unsigned len = 0; len <= 40; len++) {
			uint8_t b[64] = { (uint8_t)code, (uint8_t)len };
			struct caps c;
			struct notify n = { 0 };

			b[2 + len] = 2;
			caps_init(&c);
			int k = caps_decode(rd_of(b, 2 + len + 2), &c, &n);
			assert_true(k == 0 || k == -EBADMSG);
			if (k == 0)
				assert_true(c.refresh);
			else
				assert_int_equal(n.code, NOTIFY_OPEN);
		}
	}
	for (size_t i = 1; i < caps_known(); i++) {
		assert_true(caps_known_code(i - 1) < caps_known_code(i));
		assert_non_null(caps_known_name(i));
	}
}

/* --- NOTIFICATION --- */

static void expect_text(const char *hex, const char *text)
{
	static struct bytes b;
	char buf[NOTIFY_STR_MAX];
	struct notify n;

	b.n = 0;
	bytes_hex(&b, hex);
	notify_decode(bytes_rd(&b), &n);
	assert_string_equal(notify_format(&n, buf), text);
}

static void test_notify(void **state)
{
	expect_text("0602", "Cease/Administrative Shutdown");
	expect_text("0602 0b 6d61696e74656e616e6365", "Cease/Administrative Shutdown: maintenance");
	expect_text("0602 00", "Cease/Administrative Shutdown");
	expect_text("0602 80 6869", "Cease/Administrative Shutdown: hi"); /* length past the data */
	expect_text("0604 04 610a1b5c", "Cease/Administrative Reset: a\\x0a\\x1b\\x5c");
	expect_text("0602 01 6869", "Cease/Administrative Shutdown: h");
	expect_text("0400", "Hold Timer Expired");
	expect_text("0800", "Send Hold Timer Expired");
	expect_text("0401", "Hold Timer Expired/unknown 1");
	expect_text("0202 fde9", "OPEN Message Error/Bad Peer AS: data fd e9");
	expect_text("0609 0602 02 6869", "Cease/Hard Reset (Cease/Administrative Shutdown): hi");
	expect_text("0609", "Cease/Hard Reset");
	expect_text("0609 06", "Cease/Hard Reset: data 06");
	expect_text("0503", "Finite State Machine Error/Unexpected Message in Established");
	expect_text("0701 0001", "ROUTE-REFRESH Message Error/Invalid Message Length: data 00 01");
	expect_text("09ff", "unknown 9/unknown 255");
	expect_text("", "unknown 0/unknown 0");
}

static void test_notify_round_trip(void **state)
{
	uint8_t buf[MSG_MAX], long_data[600];
	char text[NOTIFY_STR_MAX];
	struct notify n, back;
	struct msg m;

	memset(long_data, '\\', sizeof(long_data));
	for (size_t len = 0; len < sizeof(long_data); len += 37) {
		struct wr w = wr_to(buf, sizeof(buf));

		assert_int_equal(notify_set(&n, NOTIFY_CEASE, CEASE_SHUTDOWN, long_data, len), -EBADMSG);
		notify_encode(&n, &w);
		assert_int_equal(msg_next(buf, w.len, MSG_MAX, &m, NULL), w.len);
		notify_decode(m.body, &back);
		assert_int_equal(back.len, MIN(len, (size_t)NOTIFY_DATA_MAX));
		assert_memory_equal(back.data, n.data, back.len);
		assert_true(strlen(notify_format(&back, text)) < NOTIFY_STR_MAX);
	}
	notify_set_text(&n, CEASE_RESET, "bye");
	assert_string_equal(notify_format(&n, text), "Cease/Administrative Reset: bye");
	notify_set_text(&n, CEASE_RESET, NULL);
	assert_int_equal(n.len, 1);
	for (unsigned c = 0; c < 256; c++)
		for (unsigned s = 0; s < 256; s++)
			assert_non_null(notify_subcode_name((uint8_t)c, (uint8_t)s));
}

/* --- ROUTE-REFRESH, KEEPALIVE --- */

static int refresh_hex(const char *hex, struct msg_refresh *r, struct notify *n)
{
	static struct bytes b;

	b.n = 0;
	bytes_hex(&b, hex);
	return msg_refresh_decode(bytes_rd(&b), r, n);
}

static void test_refresh(void **state)
{
	uint8_t buf[MSG_MAX];
	struct msg_refresh r;
	struct notify n;
	struct msg m;

	for (uint8_t subtype = 0; subtype <= MSG_REFRESH_END; subtype++) {
		struct wr w = wr_to(buf, sizeof(buf));
		struct msg_refresh in = { CAPS_V6, subtype };

		msg_refresh_encode(&in, &w);
		assert_int_equal(msg_next(buf, w.len, MSG_MAX, &m, &n), 23);
		assert_int_equal(msg_refresh_decode(m.body, &r, &n), 1);
		assert_int_equal(r.family, CAPS_V6);
		assert_int_equal(r.subtype, subtype);
	}
	assert_int_equal(refresh_hex("00010001", &r, &n), 1);
	assert_int_equal(refresh_hex("00010301", &r, &n), 0); /* unknown subtype */
	assert_int_equal(refresh_hex("0001ff01", &r, &n), 0);
	assert_int_equal(refresh_hex("00190046", &r, &n), 0);	      /* EVPN */
	assert_int_equal(refresh_hex("0001000101400000", &r, &n), 0); /* an ORF */
	assert_int_equal(refresh_hex("0001010100", &r, &n), -EBADMSG);
	assert_int_equal(n.code, NOTIFY_REFRESH);
	assert_int_equal(n.subcode, REFRESH_BAD_LENGTH);
	struct bytes want = { .n = 0 };
	bytes_hex(&want, MARKER "0018 05 0001010100");
	assert_int_equal(n.len, want.n);
	assert_memory_equal(n.data, want.b, want.n);
	assert_int_equal(refresh_hex("000100", &r, &n), -EBADMSG);
}

static void test_keepalive(void **state)
{
	uint8_t buf[32];
	struct wr w = wr_to(buf, sizeof(buf));
	struct msg m;

	msg_keepalive_encode(&w);
	assert_int_equal(w.len, 19);
	assert_int_equal(msg_next(buf, w.len, MSG_MAX, &m, NULL), 19);
	assert_string_equal(msg_type_name(m.type), "KEEPALIVE");
	assert_string_equal(msg_type_name(0), "unknown");
	w = wr_to(buf, 18);
	msg_keepalive_encode(&w);
	assert_false(wr_ok(&w));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_header),		cmocka_unit_test(test_open_bird),
		cmocka_unit_test(test_open_refused),	cmocka_unit_test(test_open_accepted),
		cmocka_unit_test(test_open_round_trip), cmocka_unit_test(test_open_long),
		cmocka_unit_test(test_agree),		cmocka_unit_test(test_caps_lengths),
		cmocka_unit_test(test_notify),		cmocka_unit_test(test_notify_round_trip),
		cmocka_unit_test(test_refresh),		cmocka_unit_test(test_keepalive),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
