/* The prefix trie: by hand at the places where nodes come and go, and against a list with random prefixes. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/check.h"
#include "base/prng.h"
#include "bgp/trie.h"

static struct prefix prefix(const char *s)
{
	struct prefix p;

	assert_true(prefix_parse(s, &p));
	return p;
}

static bool put(struct trie *t, const char *s, uint32_t value)
{
	struct prefix p = prefix(s);

	return trie_put(t, &p, value);
}

static bool drop(struct trie *t, const char *s)
{
	struct prefix p = prefix(s);

	return trie_remove(t, &p);
}

#define NONE UINT32_MAX

static uint32_t get(const struct trie *t, const char *s)
{
	struct prefix p = prefix(s);
	uint32_t value = NONE;

	return trie_get(t, &p, &value) ? value : NONE;
}

static uint32_t longest(const struct trie *t, const char *s)
{
	struct prefix p = prefix(s);
	uint32_t value = NONE;

	return trie_longest(t, &p, &value, NULL) ? value : NONE;
}

/* The values of the covering prefixes are these, in this order; a 0 ends them. */
static void expect_covering(const struct trie *t, const char *s, const uint32_t *want)
{
	struct prefix p = prefix(s);
	struct trie_walk w = trie_covering(t, &p);
	uint32_t value;
	uint8_t len, last = 0;

	for (; trie_walk_next(&w, &value, &len); want++) {
		assert_int_equal(value, *want);
		assert_true(len >= last && len <= p.len);
		last = len;
	}
	assert_int_equal(*want, 0);
	assert_false(trie_walk_next(&w, &value, &len));
}
#define EXPECT_COVERING(t, s, ...) expect_covering(t, s, (const uint32_t[]){ __VA_ARGS__ })

static void test_empty(void **state)
{
	struct trie t = { 0 };

	assert_int_equal(trie_count(&t), 0);
	assert_int_equal(trie_bytes(&t), 0);
	assert_int_equal(get(&t, "0.0.0.0/0"), NONE);
	assert_int_equal(longest(&t, "10.0.0.1/32"), NONE);
	assert_false(drop(&t, "0.0.0.0/0"));
	EXPECT_COVERING(&t, "10.0.0.0/8", 0);
	trie_done(&t);
}

static void test_put(void **state)
{
	struct trie t = { 0 };

	assert_true(put(&t, "10.1.0.0/16", 1));
	assert_true(put(&t, "10.2.0.0/16", 2)); /* parts from the first */
	assert_true(put(&t, "10.0.0.0/8", 3));	/* above both */
	assert_true(put(&t, "10.1.2.0/24", 4)); /* below one */
	assert_true(put(&t, "0.0.0.0/0", 5));
	assert_true(put(&t, "10.1.2.3/32", 6));
	assert_true(put(&t, "10.0.0.0/14", 7)); /* where the first two part */
	assert_false(put(&t, "10.1.2.3/32", 8));
	assert_int_equal(trie_count(&t), 7);
	assert_int_equal(get(&t, "10.1.2.3/32"), 8);
	assert_int_equal(get(&t, "10.0.0.0/14"), 7);
	assert_int_equal(get(&t, "10.0.0.0/13"), NONE);
	assert_int_equal(get(&t, "10.1.2.2/32"), NONE);
	EXPECT_COVERING(&t, "10.1.2.3/32", 5, 3, 7, 1, 4, 8, 0);
	EXPECT_COVERING(&t, "10.1.2.2/32", 5, 3, 7, 1, 4, 0);
	EXPECT_COVERING(&t, "10.1.2.0/23", 5, 3, 7, 1, 0);
	EXPECT_COVERING(&t, "11.0.0.0/8", 5, 0);
	EXPECT_COVERING(&t, "0.0.0.0/0", 5, 0);
	assert_int_equal(longest(&t, "10.2.255.0/24"), 2);
	assert_int_equal(longest(&t, "10.3.0.0/16"), 7);
	assert_int_equal(longest(&t, "9.0.0.0/8"), 5);
	assert_true(trie_bytes(&t) >= 7 * 32);
	trie_done(&t);
	assert_int_equal(trie_count(&t), 0);
}

/* Families do not see each other, though their bits may be the same. */
static void test_families(void **state)
{
	struct trie t = { 0 };

	put(&t, "0.0.0.0/0", 1);
	put(&t, "::/0", 2);
	put(&t, "32.1.13.184/32", 3); /* 2001:db8::/32 */
	put(&t, "2001:db8::/64", 4);
	put(&t, "2001:db8::/65", 5);
	put(&t, "2001:db8:0:0:8000::/65", 6);
	put(&t, "2001:db8::1/128", 7);
	put(&t, "2001:db8::/128", 8);
	EXPECT_COVERING(&t, "2001:db8::1/128", 2, 4, 5, 7, 0);
	EXPECT_COVERING(&t, "2001:db8::/128", 2, 4, 5, 8, 0);
	EXPECT_COVERING(&t, "2001:db8:0:0:8000::1/128", 2, 4, 6, 0);
	EXPECT_COVERING(&t, "2001:db8::/32", 2, 0);
	EXPECT_COVERING(&t, "32.1.13.184/32", 1, 3, 0);
	assert_int_equal(trie_count(&t), 8);
	trie_done(&t);
}

static void test_remove(void **state)
{
	static const char *const all[] = { "10.0.0.0/8",  "10.1.0.0/16", "10.2.0.0/16", "10.1.2.0/24",
					   "10.1.3.0/24", "0.0.0.0/0",	 "10.1.2.3/32" };
	struct trie t = { 0 };

	/* every one alone is taken out of all, and comes back */
	for (uint32_t i = 0; i < ARRAY_SIZE(all); i++)
		put(&t, all[i], i);
	size_t bytes = trie_bytes(&t);
	for (uint32_t i = 0; i < ARRAY_SIZE(all); i++) {
		assert_true(drop(&t, all[i]));
		assert_false(drop(&t, all[i]));
		for (uint32_t k = 0; k < ARRAY_SIZE(all); k++)
			assert_int_equal(get(&t, all[k]), k == i ? NONE : k);
		assert_int_equal(trie_count(&t), ARRAY_SIZE(all) - 1);
		put(&t, all[i], i);
	}
	assert_false(drop(&t, "10.0.0.0/14")); /* only where two part: no prefix of ours */
	assert_false(drop(&t, "10.1.2.4/32"));
	for (uint32_t i = 0; i < ARRAY_SIZE(all); i++)
		assert_true(drop(&t, all[i]));
	assert_int_equal(trie_count(&t), 0);
	EXPECT_COVERING(&t, "10.1.2.3/32", 0);
	/* what was given back is used again */
	for (unsigned round = 0; round < 100; round++) {
		for (uint32_t i = 0; i < ARRAY_SIZE(all); i++)
			put(&t, all[i], i);
		for (uint32_t i = 0; i < ARRAY_SIZE(all); i++)
			drop(&t, all[(i * 3 + round) % ARRAY_SIZE(all)]);
	}
	assert_int_equal(trie_bytes(&t), bytes);
	trie_done(&t);
}

/* --- against a list --- */

enum { PREFIXES = 400 };

struct list {
	struct prefix p[PREFIXES];
	uint32_t value[PREFIXES];
	bool in[PREFIXES];
};

/* Few bits are chosen, so that prefixes often contain each other or part late. */
static struct prefix random_prefix(struct prng *r)
{
	struct addr a = { .family = prng_below(r, 2) ? AF_INET : AF_INET6 };
	unsigned bits = addr_bits(a.family);

	for (unsigned i = 0; i < addr_size(a.family); i++)
		a.b[i] = prng_below(r, 4) ? 0 : (uint8_t)(1u << prng_below(r, 8));
	return prefix_of(&a, (uint8_t)(prng_below(r, 8) ? prng_below(r, bits + 1) : bits));
}

static void check_covering(const struct trie *t, const struct list *l, const struct prefix *p)
{
	struct trie_walk w = trie_covering(t, p);
	uint32_t value, found = 0, want = 0, best = 0;
	uint8_t len, last = 0, best_len = 0;

	for (size_t i = 0; i < PREFIXES; i++) {
		if (!l->in[i] || !prefix_covers(&l->p[i], p))
			continue;
		want++;
		if (l->p[i].len >= best_len) {
			best_len = l->p[i].len;
			best = l->value[i];
		}
	}
	while (trie_walk_next(&w, &value, &len)) {
		assert_true(!found || len > last);
		last = len;
		found++;
		struct prefix q = prefix_of(&p->addr, len);
		uint32_t exact = NONE;
		assert_true(trie_get(t, &q, &exact));
		assert_int_equal(exact, value);
	}
	assert_int_equal(found, want);
	assert_int_equal(trie_longest(t, p, &value, &len), want > 0);
	if (want) {
		assert_int_equal(value, best);
		assert_int_equal(len, best_len);
	}
}

static void test_random(void **state)
{
	static struct list l;
	struct trie t = { 0 };
	struct prng r = { 7 };
	uint32_t count = 0;

	for (size_t i = 0; i < PREFIXES; i++) {
		bool again;
		do {
			l.p[i] = random_prefix(&r);
			again = false;
			for (size_t k = 0; k < i; k++)
				again |= prefix_eq(&l.p[i], &l.p[k]);
		} while (again);
	}
	for (uint32_t step = 0; step < 20000; step++) {
		size_t i = (size_t)prng_below(&r, PREFIXES);
		uint32_t value = NONE;

		assert_int_equal(trie_get(&t, &l.p[i], &value), l.in[i]);
		assert_int_equal(value, l.in[i] ? l.value[i] : NONE);
		if (prng_below(&r, step / 4000 % 2 ? 4 : 2)) {
			assert_int_equal(trie_remove(&t, &l.p[i]), l.in[i]);
			count -= l.in[i];
			l.in[i] = false;
		} else {
			assert_int_equal(trie_put(&t, &l.p[i], step), !l.in[i]);
			count += !l.in[i];
			l.in[i] = true;
			l.value[i] = step;
		}
		assert_int_equal(trie_count(&t), count);
		struct prefix p = random_prefix(&r);
		check_covering(&t, &l, &p);
	}
	assert_true(count > 0);
	trie_done(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_empty),  cmocka_unit_test(test_put),    cmocka_unit_test(test_families),
		cmocka_unit_test(test_remove), cmocka_unit_test(test_random),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
