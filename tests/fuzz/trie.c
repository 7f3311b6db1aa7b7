/*
 * The prefix trie against a list that is looked through. A record is a byte that says what to do, a length
 * and an address: 4 bytes of it, for IPv6 spread over the 16 so that long prefixes part at every depth.
 */
#include "base/check.h"
#include "base/rd.h"
#include "bgp/trie.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

enum { ENTRIES = 256 };

struct list {
	struct {
		struct prefix p;
		uint32_t value;
	} e[ENTRIES];
	size_t n;
};

static struct prefix get_prefix(struct rd *r, bool v6)
{
	struct addr a = { .family = v6 ? AF_INET6 : AF_INET };
	unsigned len = rd_u8(r);

	for (size_t i = 0; i < 4; i++)
		a.b[v6 ? i * 5 : i] = rd_u8(r);
	return prefix_of(&a, (uint8_t)(len % (addr_bits(a.family) + 1)));
}

static size_t find(const struct list *l, const struct prefix *p)
{
	size_t i = 0;

	while (i < l->n && !prefix_eq(&l->e[i].p, p))
		i++;
	return i;
}

static void check_covering(const struct trie *t, const struct list *l, const struct prefix *p)
{
	struct trie_walk w = trie_covering(t, p);
	uint32_t value, longest, n = 0;
	uint8_t len, last = 0, longest_len;

	for (size_t i = 0; i < l->n; i++)
		n += prefix_covers(&l->e[i].p, p);
	CHECK(trie_longest(t, p, &longest, &longest_len) == (n > 0));
	for (bool first = true; trie_walk_next(&w, &value, &len); first = false) {
		struct prefix q = prefix_of(&p->addr, len);
		size_t i = find(l, &q);

		CHECK(n-- > 0 && (first || len > last));
		CHECK(i < l->n && l->e[i].value == value);
		CHECK(n || (value == longest && len == longest_len));
		last = len;
	}
	CHECK(n == 0);
}

static void step(struct trie *t, struct list *l, uint8_t what, const struct prefix *p, uint32_t value)
{
	size_t i = find(l, p);
	bool there = i < l->n;
	uint32_t found;

	CHECK(trie_get(t, p, &found) == there && (!there || found == l->e[i].value));
	if (what % 4 == 3) {
		check_covering(t, l, p);
	} else if (what % 4 == 2) {
		CHECK(trie_remove(t, p) == there);
		if (there)
			l->e[i] = l->e[--l->n];
	} else if (there || l->n < ENTRIES) {
		CHECK(trie_put(t, p, value) == !there);
		l->e[i].p = *p;
		l->e[i].value = value;
		l->n += !there;
	}
	CHECK(trie_count(t) == l->n);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
	static struct list l;
	struct trie t = { 0 };
	struct rd r = rd_of(bytes, n);

	l.n = 0;
	for (uint32_t value = 0; rd_left(&r) >= 6; value++) {
		uint8_t what = rd_u8(&r);
		struct prefix p = get_prefix(&r, what & 128);

		step(&t, &l, what, &p, value);
	}
	for (size_t i = 0; i < l.n; i++)
		check_covering(&t, &l, &l.e[i].p);
	while (l.n)
		CHECK(trie_remove(&t, &l.e[--l.n].p));
	CHECK(trie_count(&t) == 0 && !t.root[0] && !t.root[1]);
	trie_done(&t);
	return 0;
}
