/*
 * Every attribute code with every combination of flags and many lengths and contents, in sessions of every
 * kind. What each message is worth is said by a table of rules written from the RFCs alone, with parsers of
 * its own over plain bytes: the decoder and it know nothing of each other and have to agree a million times.
 */
#include "kit.h"

enum { OPT = ATTR_F_OPTIONAL, TRANS = ATTR_F_TRANSITIVE, EXT = ATTR_F_EXTENDED };

/* The session, and what the message looks like around the attribute that is tried. */
struct shape {
	bool ebgp, as4;
	bool v6;   /* the route is an IPv6 one in MP_REACH_NLRI, else an IPv4 one in the NLRI field */
	bool last; /* the attribute stands behind the others, else before them */
};

/* --- the rules, by hand --- */

static uint32_t number(const uint8_t *p, size_t n)
{
	uint32_t v = 0;

	while (n--)
		v = v << 8 | *p++;
	return v;
}

static bool all_zero(const uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (p[i])
			return false;
	return true;
}

/* RFC 4271 4.3 and 6.3, RFC 7606 7.1 */
static bool good_origin(const uint8_t *v, size_t n, const struct shape *s)
{
	return n == 1 && v[0] <= 2;
}

/* RFC 4271 4.3, RFC 7606 7.2, RFC 7607 (AS 0), RFC 5065 section 5; a thousand AS numbers are our own bound */
static bool good_segments(const uint8_t *v, size_t n, size_t width, unsigned types)
{
	size_t at = 0, total = 0;

	while (at < n) {
		if (n - at < 2 || v[at] < 1 || v[at] > types || !v[at + 1] || n - at - 2 < v[at + 1] * width)
			return false;
		size_t count = v[at + 1];
		for (at += 2; count--; at += width, total++)
			if (all_zero(v + at, width))
				return false;
	}
	return total <= 1000;
}

static bool good_path(const uint8_t *v, size_t n, const struct shape *s)
{
	return (n || !s->ebgp) && good_segments(v, n, s->as4 ? 4 : 2, s->ebgp ? 2 : 4);
}

static bool host_v4(const uint8_t *v)
{
	return v[0] != 0 && v[0] != 127 && v[0] < 224;
}

static bool host_v6(const uint8_t *v)
{
	return v[0] != 0xff && !(all_zero(v, 15) && v[15] <= 1);
}

/* RFC 4271 6.3, RFC 7606 7.3; beside prefixes with a next hop of their own its value is ignored (RFC 4760) */
static bool good_nexthop(const uint8_t *v, size_t n, const struct shape *s)
{
	return n == 4 && (s->v6 || host_v4(v));
}

static bool good_4(const uint8_t *v, size_t n, const struct shape *s)
{
	return n == 4;
}

static bool good_0(const uint8_t *v, size_t n, const struct shape *s)
{
	return n == 0;
}

static bool some_4(const uint8_t *v, size_t n, const struct shape *s)
{
	return n && n % 4 == 0;
}

static bool some_8(const uint8_t *v, size_t n, const struct shape *s)
{
	return n && n % 8 == 0;
}

static bool some_12(const uint8_t *v, size_t n, const struct shape *s)
{
	return n && n % 12 == 0;
}

/* RFC 7606 7.7, RFC 7607 */
static bool good_aggregator(const uint8_t *v, size_t n, const struct shape *s)
{
	return s->as4 ? n == 8 && number(v, 4) : n == 6 && number(v, 2);
}

/* RFC 6793 section 6 */
static bool good_as4_path(const uint8_t *v, size_t n, const struct shape *s)
{
	return n >= 6 && good_segments(v, n, 4, 4);
}

static bool good_as4_aggregator(const uint8_t *v, size_t n, const struct shape *s)
{
	return n == 8 && number(v, 4);
}

/* RFC 9234 section 5; AS 0, which nobody can be (RFC 7607), we do not take either */
static bool good_otc(const uint8_t *v, size_t n, const struct shape *s)
{
	return n == 4 && number(v, 4);
}

/* RFC 7606 5.3 */
static bool good_prefixes(const uint8_t *v, size_t n, unsigned bits)
{
	for (size_t at = 0; at < n;) {
		size_t size = 1 + (v[at] + 7u) / 8;

		if (v[at] > bits || n - at < size)
			return false;
		at += size;
	}
	return true;
}

static unsigned bits_of(const uint8_t *v)
{
	uint32_t family = number(v, 3);

	return family == 0x000101 ? 32 : family == 0x000201 ? 128 : 0;
}

/* RFC 4760 section 3, RFC 7606 7.11: without its prefixes the session cannot go on */
static enum attr_verdict judge_reach(const uint8_t *v, size_t n)
{
	if (n < 5 || n - 5 < v[3])
		return ATTR_RESET;
	const uint8_t *hop = v + 4, *prefixes = hop + v[3] + 1;
	unsigned size = v[3], bits = bits_of(v);
	if (!bits)
		return ATTR_TAKE; /* not agreed on: ignored */
	if (bits == 32 ? size != 4 : size != 16 && size != 32)
		return ATTR_RESET;
	if (!good_prefixes(prefixes, n - 5 - size, bits))
		return ATTR_RESET;
	if (bits == 32)
		return host_v4(hop) ? ATTR_TAKE : ATTR_WITHDRAW;
	bool second = size == 32 && hop[16] == 0xfe && (hop[17] & 0xc0) == 0x80 && all_zero(hop, 16);
	return host_v6(hop) || second ? ATTR_TAKE : ATTR_WITHDRAW;
}

/* RFC 7606 7.12 */
static enum attr_verdict judge_unreach(const uint8_t *v, size_t n)
{
	if (n < 3)
		return ATTR_RESET;
	return !bits_of(v) || good_prefixes(v + 3, n - 3, bits_of(v)) ? ATTR_TAKE : ATTR_RESET;
}

/* What each attribute that we know must be, and what RFC 7606 section 7 wants done with one that is not. */
static const struct rule {
	uint8_t code, flags;
	enum attr_verdict malformed;
	bool (*good)(const uint8_t *v, size_t n, const struct shape *s);
	bool not_external; /* discarded if it comes from another AS */
	bool not_new;	   /* discarded if it comes from a peer with 4-byte AS numbers (RFC 6793 section 6) */
} rules[] = {
	{ 1, TRANS, ATTR_WITHDRAW, good_origin },		    /* 7.1 */
	{ 2, TRANS, ATTR_WITHDRAW, good_path },			    /* 7.2 */
	{ 3, TRANS, ATTR_WITHDRAW, good_nexthop },		    /* 7.3 */
	{ 4, OPT, ATTR_WITHDRAW, good_4 },			    /* 7.4 */
	{ 5, TRANS, ATTR_WITHDRAW, good_4, .not_external = true },  /* 7.5 */
	{ 6, TRANS, ATTR_DROP, good_0 },			    /* 7.6 */
	{ 7, OPT | TRANS, ATTR_DROP, good_aggregator },		    /* 7.7 */
	{ 8, OPT | TRANS, ATTR_WITHDRAW, some_4 },		    /* 7.8 */
	{ 9, OPT, ATTR_WITHDRAW, good_4, .not_external = true },    /* 7.9 */
	{ 10, OPT, ATTR_WITHDRAW, some_4, .not_external = true },   /* 7.10 */
	{ 14, OPT, ATTR_RESET, NULL },				    /* 7.11 */
	{ 15, OPT, ATTR_RESET, NULL },				    /* 7.12 */
	{ 16, OPT | TRANS, ATTR_WITHDRAW, some_8 },		    /* 7.14 */
	{ 17, OPT | TRANS, ATTR_DROP, good_as4_path, false, true }, /* RFC 6793 section 6 */
	{ 18, OPT | TRANS, ATTR_DROP, good_as4_aggregator, false, true },
	{ 32, OPT | TRANS, ATTR_WITHDRAW, some_12 },  /* RFC 8092 section 6 */
	{ 35, OPT | TRANS, ATTR_WITHDRAW, good_otc }, /* RFC 9234 section 5 */
};

static const struct rule *rule_of(unsigned code)
{
	for (size_t i = 0; i < ARRAY_SIZE(rules); i++)
		if (rules[i].code == code)
			return &rules[i];
	return NULL;
}

static enum attr_verdict judge_value(const struct rule *r, const uint8_t *v, size_t n, const struct shape *s)
{
	if (r->code == 14)
		return judge_reach(v, n);
	if (r->code == 15)
		return judge_unreach(v, n);
	return r->good(v, n, s) ? ATTR_TAKE : r->malformed;
}

/* The verdict about one attribute that is there as a whole. */
static enum attr_verdict judge(unsigned code, unsigned flags, const uint8_t *v, size_t n,
			       const struct shape *s)
{
	const struct rule *r = rule_of(code);

	if (!r) /* RFC 4271 6.3: a well-known attribute must be known; optional ones need not be */
		return flags & OPT ? ATTR_TAKE : ATTR_RESET;
	if ((r->not_external && s->ebgp) || (r->not_new && s->as4))
		return ATTR_DROP;
	enum attr_verdict worth = judge_value(r, v, n, s);
	/* RFC 7606 section 3 c */
	return (flags & (OPT | TRANS)) == r->flags ? worth : MAX(worth, ATTR_WITHDRAW);
}

/* --- the messages --- */

enum cut { WHOLE, STRAY, BEYOND }; /* the attribute as it is; one byte after it; its length one too much */

struct trial {
	struct shape shape;
	unsigned code, flags;
	const uint8_t *value;
	size_t len;
	enum cut cut;
};

/* The message stands at the end of its own allocation, so that the sanitizer sees one byte too far. */
enum { ROOM = 5000 };
static uint8_t *room;
static struct update u;

static void put_tried(struct wr *w, const struct trial *t)
{
	size_t len = t->len + (t->cut == BEYOND);

	wr_u8(w, (uint8_t)t->flags);
	wr_u8(w, (uint8_t)t->code);
	if (t->flags & EXT)
		wr_be16(w, (uint16_t)len);
	else
		wr_u8(w, (uint8_t)len);
	wr_bytes(w, t->value, t->len);
	if (t->cut == STRAY)
		wr_u8(w, 0x40);
}

/* What the route needs besides the attribute that is tried, which takes its own part. */
static void put_others(struct wr *w, const struct trial *t)
{
	const struct shape *s = &t->shape;

	if (s->v6 && t->code != 14)
		wr_bytes(w,
			 "\x80\x0e\x1c\x00\x02\x01\x10\xfd\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01\x00\x30\x20\x01"
			 "\x0d\xb8\0\x01",
			 31);
	if (t->code != 1)
		wr_bytes(w, "\x40\x01\x01\x00", 4);
	if (t->code != 2 && s->as4)
		wr_bytes(w, "\x40\x02\x06\x02\x01\x00\x00\xfd\xe9", 9);
	if (t->code != 2 && !s->as4)
		wr_bytes(w, "\x40\x02\x04\x02\x01\xfd\xe9", 7);
	if (!s->v6 && t->code != 3)
		wr_bytes(w, "\x40\x03\x04\x0a\x00\x00\x01", 7);
}

static enum attr_verdict decode(const struct trial *t)
{
	struct codec c = {
		.ebgp = t->shape.ebgp, .as4 = t->shape.as4, .families = CAPS_V4 | CAPS_V6, .max = MSG_MAX
	};
	static uint8_t buf[ROOM];
	struct wr w = wr_to(buf, sizeof(buf));

	wr_be16(&w, 0);
	size_t attrs = wr_open16(&w);
	if (!t->shape.last)
		put_tried(&w, t);
	put_others(&w, t);
	if (t->shape.last)
		put_tried(&w, t);
	wr_close16(&w, attrs);
	if (!t->shape.v6)
		wr_bytes(&w, "\x08\x0a", 2);
	assert_true(wr_ok(&w));
	memcpy(room + ROOM - w.len, buf, w.len);
	return update_decode(rd_of(room + ROOM - w.len, w.len), &c, &u);
}

/* RFC 7606 sections 3 j, 4 and 5.2 on top of what the attribute itself is worth. */
static enum attr_verdict expected(const struct trial *t)
{
	bool multi = t->code == 14 || t->code == 15;

	if (t->cut == BEYOND)
		return multi ? ATTR_RESET : ATTR_WITHDRAW;
	enum attr_verdict v = judge(t->code, t->flags, t->value, t->len, &t->shape);
	if (t->cut == STRAY)
		v = MAX(v, ATTR_WITHDRAW);
	/* A fault that would withdraw the routes, and there are none: they may be what was lost. */
	bool none = t->code == 14 && t->shape.v6 && v == ATTR_WITHDRAW && bits_of(t->value) &&
		    t->len == 5u + t->value[3];
	return none ? ATTR_RESET : v;
}

static unsigned prefixes(struct nlri n)
{
	struct prefix p;
	unsigned k = 0;

	while (nlri_next(&n, &p, NULL))
		k++;
	return k;
}

/* Nothing short of a new session loses a prefix, and a set has what was taken and nothing else. */
static void check_kept(const struct trial *t, enum attr_verdict v)
{
	const struct rule *r = rule_of(t->code);
	bool whole = t->cut != BEYOND;
	bool taken = whole && judge(t->code, t->flags, t->value, t->len, &t->shape) == ATTR_TAKE;
	bool listed = taken && t->code != 3 && t->code != 14 && t->code != 15 && (r || t->flags & TRANS);

	if (v != ATTR_RESET && t->code != 14)
		assert_int_equal(prefixes(u.announced[t->shape.v6].nlri), 1);
	if (v != ATTR_RESET && !t->shape.v6)
		assert_int_equal(prefixes(u.announced[0].nlri), 1);
	if (v <= ATTR_DROP && t->code != 14)
		assert_true(addr_is_set(&u.announced[t->shape.v6].nexthop));
	assert_int_equal(attr_list_find(&u.attrs, (uint8_t)t->code) != NULL, listed);
}

static void attempt(const struct trial *t)
{
	enum attr_verdict want = expected(t), got = decode(t);

	if (got != want)
		fail_msg("attribute %u flags %02x length %zu (%02x...), %s, %s, %s, %s, cut %d: %s (%s), not "
			 "%s",
			 t->code, t->flags, t->len, t->len ? t->value[0] : 0u,
			 t->shape.ebgp ? "eBGP" : "iBGP", t->shape.as4 ? "4-byte" : "2-byte",
			 t->shape.v6 ? "IPv6" : "IPv4", t->shape.last ? "last" : "first", (int)t->cut,
			 attr_verdict_name(got), u.fault.why, attr_verdict_name(want));
	assert_true((got == ATTR_TAKE) == !u.fault.why[0]);
	if (got == ATTR_RESET)
		assert_true(u.fault.notify.code == NOTIFY_UPDATE && u.fault.notify.subcode);
	check_kept(t, got);
}

/* --- the values --- */

static const struct sound {
	uint8_t code, n;
	const char *v;
} sounds[] = {
	{ 2, 10, "\x02\x02\x00\x00\xfd\xe9\x00\x00\xfd\xea" },
	{ 3, 4, "\x0a\x00\x00\x01" },
	{ 7, 8, "\x00\x00\xfd\xe9\x0a\x00\x00\x01" },
	{ 14, 28, "\x00\x02\x01\x10\xfd\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01\x00\x30\x20\x01\x0d\xb8\x00\x02" },
	{ 15, 10, "\x00\x02\x01\x30\x20\x01\x0d\xb8\x00\x02" },
	{ 17, 10, "\x02\x02\x00\x00\xfd\xe9\x00\x00\xfd\xea" },
	{ 35, 4, "\x00\x00\xfd\xe9" },
};

static uint8_t *value_of(unsigned code, unsigned fill)
{
	static const uint8_t bytes[] = { 0x00, 0x01, 0x02, 0xff };
	static uint8_t v[4100];

	memset(v, fill < ARRAY_SIZE(bytes) ? bytes[fill] : 0, sizeof(v));
	for (size_t i = 0; fill >= ARRAY_SIZE(bytes) && i < ARRAY_SIZE(sounds); i++)
		if (sounds[i].code == code)
			memcpy(v, sounds[i].v, sounds[i].n);
	return v;
}

static void sweep_lengths(struct trial *t)
{
	static const uint16_t more[] = { 255, 256, 4000 };

	for (size_t i = 0; i <= 40 + ARRAY_SIZE(more); i++) {
		t->len = i <= 40 ? i : more[i - 41];
		for (t->cut = WHOLE; t->cut <= (t->shape.last ? BEYOND : WHOLE); t->cut++)
			if (t->len + (t->cut == BEYOND) <= (t->flags & EXT ? 65535u : 255u))
				attempt(t);
	}
}

/* The low four bits of the flags mean nothing (RFC 4271 4.3) and are set now and then. */
static void sweep_code(unsigned code)
{
	unsigned fills = rule_of(code) ? 5 : 1;
	struct trial t = { .code = code };

	for (unsigned fill = 0; fill < fills; fill++) {
		t.value = value_of(code, fill + (fills == 1 ? code % 5 : 0));
		for (unsigned k = 0; k < 256; k++) {
			t.shape = (struct shape){ k & 1, k & 2, k & 4, k & 8 };
			t.flags = (k & 0xf0) | (code + k / 16) % 16;
			sweep_lengths(&t);
		}
	}
}

static void sweep_some(unsigned from, unsigned to)
{
	room = xmalloc(ROOM);
	for (unsigned code = from; code <= to; code++)
		sweep_code(code);
	free(room);
}

static void test_known(void **state)
{
	sweep_some(0, 40);
}

static void test_unknown(void **state)
{
	sweep_some(41, 255);
}

/* The rules speak of exactly the attributes that have a name. */
static void test_rules(void **state)
{
	for (unsigned code = 0; code < 256; code++)
		assert_int_equal(attr_name((uint8_t)code) != NULL, rule_of(code) != NULL);
}

/* Twice: the first one counts, whatever it was; but not for the two that carry prefixes (RFC 7606 3 g). */
static void test_twice(void **state)
{
	for (unsigned code = 0; code < 256; code++) {
		const struct rule *r = rule_of(code);
		uint8_t buf[200], flags = r ? r->flags : OPT | TRANS;
		struct trial t = { .shape = { .as4 = true }, .code = code };
		struct wr w = wr_to(buf, sizeof(buf));
		static const uint8_t n[256] = {
			[1] = 1,  [2] = 10,  [3] = 4,	[4] = 4,  [5] = 4,   [7] = 8,  [8] = 4,	  [9] = 4,
			[10] = 4, [14] = 28, [15] = 10, [16] = 8, [17] = 10, [18] = 8, [32] = 12, [35] = 4
		};

		wr_be16(&w, 0);
		size_t attrs = wr_open16(&w);
		for (unsigned i = 0; i < 2; i++) {
			wr_u8(&w, flags);
			wr_u8(&w, (uint8_t)code);
			wr_u8(&w, n[code]);
			wr_bytes(&w, value_of(code, i ? 3 : 4), n[code]);
		}
		put_others(&w, &t);
		wr_close16(&w, attrs);
		wr_bytes(&w, "\x08\x0a", 2);
		enum attr_verdict v = update_decode(rd_of(buf, w.len), &kit_ibgp, &u);
		assert_int_equal(v, code == 14 || code == 15 ? ATTR_RESET : ATTR_DROP);
		if (v == ATTR_RESET)
			assert_int_equal(u.fault.notify.subcode, UPDATE_MALFORMED_LIST);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rules),
		cmocka_unit_test(test_known),
		cmocka_unit_test(test_unknown),
		cmocka_unit_test(test_twice),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
