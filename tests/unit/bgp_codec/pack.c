/* Packing: limits to the byte, and random sets and prefixes that must come back as they were. */
#include "kit.h"

#include "base/prng.h"

static struct update u;

struct route {
	struct prefix prefix;
	struct addr nexthop;
	uint32_t path_id;
	struct attr_set *set; /* NULL = withdrawn */
};

static struct prefix prefix_text(const char *s)
{
	struct prefix p;

	assert_true(prefix_parse(s, &p));
	return p;
}

static struct addr addr_text(const char *s)
{
	struct addr a;

	assert_true(addr_parse(s, &a));
	return a;
}

/* Decodes all messages in buf and compares what they say with the routes, in order. */
static void expect_routes(const uint8_t *buf, size_t n, const struct codec *c, struct attr_table *t,
			  const struct route *r, size_t nroutes)
{
	struct msg m;
	ssize_t k;

	for (; (k = msg_next(buf, n, c->max, &m, NULL)) > 0; buf += k, n -= (size_t)k) {
		assert_int_equal(m.type, MSG_UPDATE);
		assert_int_equal(update_decode(m.body, c, &u), ATTR_TAKE);
		struct attr_set *a = update_has_routes(&u) ? attr_intern(t, &u.attrs, c) : NULL;
		for (unsigned i = 0; i < 4; i++) {
			struct nlri *list = i < 2 ? &u.withdrawn[i] : &u.announced[i - 2].nlri;
			struct prefix prefix;
			uint32_t id;

			while (nlri_next(list, &prefix, &id)) {
				assert_true(nroutes-- > 0);
				assert_true(prefix_eq(&prefix, &r->prefix));
				assert_int_equal(id, list->add_path ? r->path_id : 0);
				assert_ptr_equal(i < 2 ? NULL : a, r->set);
				if (i >= 2)
					assert_true(addr_eq(&u.announced[i - 2].nexthop, &r->nexthop));
				r++;
			}
		}
		attr_unref(t, a);
	}
	assert_int_equal(k, 0);
	assert_int_equal(n, 0);
	assert_int_equal(nroutes, 0);
}

/* Messages are filled to the last byte that fits, and never over. */
static void test_full(void **state)
{
	struct attr_table *t = attr_table_new(1);
	struct attr_set *a = attr_originate(t, ATTR_ORIGIN_IGP);
	struct addr nh4 = addr_text("10.0.0.1"), nh6 = addr_text("fd00::1");
	static uint8_t buf[3 * MSG_MAX];

	for (unsigned kind = 0; kind < 4; kind++) {
		struct wr w = wr_to(buf, sizeof(buf));
		bool v6 = kind & 1, withdraw = kind & 2;
		unsigned size = v6 ? 17 : 5, n = 0;
		struct packer p;

		pack_begin(&p, &w, &kit_ibgp);
		while (p.messages < 2) {
			struct prefix prefix = { .addr.family = v6 ? AF_INET6 : AF_INET,
						 .len = v6 ? 128 : 32 };

			prefix.addr.b[0] = 0x20;
			prefix.addr.b[2] = (uint8_t)(n >> 8);
			prefix.addr.b[3] = (uint8_t)n;
			n++;
			assert_int_equal(withdraw ? pack_withdraw(&p, &prefix, 0)
						  : pack_announce(&p, a, v6 ? &nh6 : &nh4, &prefix, 0),
					 0);
		}
		struct msg m;
		ssize_t k = msg_next(buf, w.len, MSG_MAX, &m, NULL);
		assert_true(k > MSG_MAX - (int)size && k <= MSG_MAX);
		pack_end(&p);
		assert_int_equal(p.messages, 3);
		assert_int_equal(p.prefixes, n);
	}
	attr_unref(t, a);
	attr_table_free(t);
}

/* Every size of buffer: what fits is written whole, what does not is refused without a trace. */
static void test_small_buffers(void **state)
{
	struct attr_table *t = attr_table_new(1);
	struct attr_set *a = attr_originate(t, ATTR_ORIGIN_IGP);
	struct route r[] = {
		{ prefix_text("10.8.112.64/26"), addr_text("10.0.0.1"), 0, a },
		{ prefix_text("10.8.112.128/26"), addr_text("10.0.0.1"), 0, a },
		{ prefix_text("2001:db8::/32"), addr_text("fd00::1"), 0, a },
		{ prefix_text("2001:db9::/32"), addr_text("fd00::1"), 0, a },
		{ prefix_text("10.0.0.0/8"), { 0 }, 0, NULL },
		{ prefix_text("2001:dba::/32"), { 0 }, 0, NULL },
	};

	for (size_t cap = 0; cap < 400; cap++) {
		uint8_t *buf = xmalloc(cap ? cap : 1);
		struct wr w = wr_to(buf, cap);
		struct packer p;
		size_t n = 0;

		pack_begin(&p, &w, &kit_ibgp);
		for (; n < ARRAY_SIZE(r); n++) {
			int k = r[n].set ? pack_announce(&p, a, &r[n].nexthop, &r[n].prefix, 0)
					 : pack_withdraw(&p, &r[n].prefix, 0);
			if (k == -ENOSPC)
				break;
			assert_int_equal(k, 0);
		}
		pack_end(&p);
		assert_true(wr_ok(&w));
		expect_routes(buf, w.len, &kit_ibgp, t, r, n);
		free(buf);
	}
	attr_unref(t, a);
	attr_table_free(t);
}

/* Attributes that just fit with one prefix, and one more community that does not. */
static void test_attributes_too_long(void **state)
{
	struct attr_table *t = attr_table_new(1);
	struct attr_set *own = attr_originate(t, ATTR_ORIGIN_IGP);
	struct addr nh = addr_text("10.0.0.1");
	struct prefix prefix = prefix_text("10.8.112.64/26");
	static uint32_t communities[20000];
	static uint8_t buf[MSG_MAX_EXT];
	bool fitted = false, refused = false;

	for (unsigned i = 0; i < ARRAY_SIZE(communities); i++)
		communities[i] = i;
	for (unsigned n = 900; n < 1100; n++) {
		struct attr_change ch = { .communities = communities, .ncommunities = n };
		struct attr_set *a = attr_derive(t, own, &ch);
		struct wr w = wr_to(buf, sizeof(buf));
		struct packer p;

		pack_begin(&p, &w, &kit_ibgp);
		int k = pack_announce(&p, a, &nh, &prefix, 0);
		pack_end(&p);
		size_t need = MSG_HEADER + 4 + attr_size(a, &nh, true) + 5;
		assert_int_equal(k, need <= MSG_MAX ? 0 : -EMSGSIZE);
		assert_int_equal(w.len, k ? 0 : need);
		fitted |= k == 0;
		refused |= k != 0;
		struct codec ext = kit_ibgp;
		ext.max = MSG_MAX_EXT;
		pack_begin(&p, &w, &ext);
		w.len = 0;
		assert_int_equal(pack_announce(&p, a, &nh, &prefix, 0), 0);
		pack_end(&p);
		assert_int_equal(w.len, need);
		attr_unref(t, a);
	}
	assert_true(fitted && refused);
	attr_unref(t, own);
	attr_table_free(t);
}

/* --- random --- */

static struct prng rng = { 2026 };

static bool chance(unsigned percent)
{
	return prng_below(&rng, 100) < percent;
}

/* A random attribute field, valid on a session with 4-byte numbers. */
static void random_path(struct wr *w, bool big)
{
	wr_bytes(w, "\x50\x02", 2);
	size_t hole = wr_open16(w);
	for (unsigned segments = (unsigned)prng_below(&rng, 4); segments; segments--) {
		unsigned n = 1 + (unsigned)prng_below(&rng, chance(5) ? 255 : 5);

		wr_u8(w, chance(80) ? ATTR_SEQUENCE_SEG : ATTR_SET_SEG);
		wr_u8(w, (uint8_t)n);
		while (n--)
			wr_be32(w, big && chance(40) ? 4200000000u + (uint32_t)prng_below(&rng, 9)
						     : 1 + (uint32_t)prng_below(&rng, 64000));
	}
	wr_close16(w, hole);
}

static void random_bytes(struct wr *w, uint8_t flags, uint8_t code, size_t unit, size_t max)
{
	size_t n = unit * (1 + prng_below(&rng, max));

	wr_u8(w, flags | ATTR_F_EXTENDED);
	wr_u8(w, code);
	wr_be16(w, (uint16_t)n);
	while (n--)
		wr_u8(w, (uint8_t)prng_next(&rng));
}

static struct attr_set *random_set(struct attr_table *t, bool big)
{
	static uint8_t buf[8192];
	struct wr w = wr_to(buf, sizeof(buf));
	struct attr_list l;
	struct attr_fault f;

	wr_bytes(&w, "\x40\x01\x01", 3);
	wr_u8(&w, (uint8_t)prng_below(&rng, 3));
	random_path(&w, big);
	if (chance(50))
		random_bytes(&w, 0x80, ATTR_MED, 4, 1);
	if (chance(50))
		random_bytes(&w, 0x40, ATTR_LOCAL_PREF, 4, 1);
	if (chance(20))
		wr_bytes(&w, "\x40\x06\x00", 3);
	if (chance(20))
		wr_bytes(&w,
			 chance(50) && big ? "\xc0\x07\x08\x00\x01\x00\x01\x0a\x00\x00\x01"
					   : "\xc0\x07\x08\x00\x00\x01\x01\x0a\x00\x00\x01",
			 11);
	if (chance(30))
		random_bytes(&w, chance(20) ? 0xe0 : 0xc0, ATTR_COMMUNITIES, 4, 90);
	if (chance(30))
		random_bytes(&w, 0x80, ATTR_ORIGINATOR_ID, 4, 1);
	if (chance(30))
		random_bytes(&w, 0x80, ATTR_CLUSTER_LIST, 4, 5);
	if (chance(30))
		random_bytes(&w, 0xc0, ATTR_EXT_COMMUNITIES, 8, 5);
	if (chance(30))
		random_bytes(&w, 0xc0, ATTR_LARGE_COMMUNITIES, 12, 5);
	if (chance(10))
		random_bytes(&w, 0xc0, (uint8_t)(40 + prng_below(&rng, 216)), 1, 300);
	assert_true(wr_ok(&w));
	assert_int_equal(attr_decode(rd_of(buf, w.len), &kit_ibgp, &l, &f), ATTR_TAKE);
	return attr_intern(t, &l, &kit_ibgp);
}

static struct prefix random_prefix(bool v6)
{
	struct addr a = { .family = v6 ? AF_INET6 : AF_INET };

	for (unsigned i = 0; i < (v6 ? 16 : 4); i++)
		a.b[i] = (uint8_t)prng_next(&rng);
	return prefix_of(&a, (uint8_t)prng_below(&rng, v6 ? 129 : 33));
}

static struct route random_route(struct attr_set *const *sets, size_t nsets)
{
	bool v6 = chance(30);
	struct route r = { .prefix = random_prefix(v6), .path_id = (uint32_t)prng_next(&rng) };

	if (chance(20))
		return r;
	r.set = sets[prng_below(&rng, nsets)];
	r.nexthop = v6 ? addr_text(chance(50) ? "fd00::1" : "fd00::2") : addr_v4(0x0a000001 + chance(20));
	return r;
}

/* Packs in runs of equal attributes, as an export does, into a chunk of random size; reads it back. */
static void round_trip(const struct codec *c)
{
	enum { SETS = 5, ROUTES = 600 };
	static struct route r[ROUTES];
	static uint8_t buf[65536];
	struct attr_table *t = attr_table_new(prng_next(&rng));
	struct attr_set *sets[SETS];
	struct wr w = wr_to(buf, 2000 + prng_below(&rng, sizeof(buf) - 2000));
	struct packer p;
	size_t n = 0;

	for (unsigned i = 0; i < SETS; i++)
		sets[i] = random_set(t, c->as4 || chance(50));
	pack_begin(&p, &w, c);
	while (n < ROUTES) {
		struct route first = random_route(sets, SETS);
		unsigned run = 1 + (unsigned)prng_below(&rng, 40);
		int k = 0;

		for (; run && n < ROUTES && !k; run--) {
			r[n] = first;
			r[n].prefix = random_prefix(first.prefix.addr.family == AF_INET6);
			r[n].path_id = (uint32_t)prng_next(&rng);
			k = first.set
				    ? pack_announce(&p, first.set, &first.nexthop, &r[n].prefix, r[n].path_id)
				    : pack_withdraw(&p, &r[n].prefix, r[n].path_id);
			if (k == 0)
				n++;
		}
		if (k == -ENOSPC)
			break;
		assert_true(k == 0 || k == -EMSGSIZE);
	}
	pack_end(&p);
	assert_int_equal(p.prefixes, n);
	expect_routes(buf, w.len, c, t, r, n);
	for (unsigned i = 0; i < SETS; i++)
		attr_unref(t, sets[i]);
	assert_int_equal(attr_table_count(t), 0);
	attr_table_free(t);
}

static void test_round_trip(void **state)
{
	struct codec c = kit_ibgp;

	for (unsigned i = 0; i < 400; i++) {
		c.as4 = i & 1;
		c.add_path_in = c.add_path_out = (uint8_t)(i >> 1 & 3);
		c.max = i % 5 ? MSG_MAX : MSG_MAX_EXT;
		round_trip(&c);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_full),
		cmocka_unit_test(test_small_buffers),
		cmocka_unit_test(test_attributes_too_long),
		cmocka_unit_test(test_round_trip),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
