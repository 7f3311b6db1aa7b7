/* The RIB against a naive table under random changes, with readers of its list that start, lag and begin
 * again. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/check.h"
#include "base/prng.h"
#include "bgp/rib.h"

enum { PREFIXES = 60, PEERS = 6, SETS = 8, HOPS = 3, READERS = 5 };

/* A path as the naive table keeps it; set < 0: there is none. */
struct naive {
	int set, hop;
	uint16_t flags;
	bool stale;
};

/* What a reader believes: which peer's path is the best, with what. */
struct belief {
	int peer; /* -1: none */
	const struct attr_set *attr;
	struct addr hop;
};

struct reader {
	bool on;
	uint64_t version;
	struct belief sees[PREFIXES];
};

struct world {
	struct prng r;
	struct attr_table *attrs;
	struct rib *rib;
	struct attr_set *sets[SETS];
	struct naive table[PREFIXES][PEERS + 1]; /* the last is ourselves */
	struct reader readers[READERS];
	struct addr told[PREFIXES][RIB_MULTI_MAX];
	size_t ntold[PREFIXES];
};

static struct prefix prefix_no(int i)
{
	struct addr a = addr_v4(0x0a080000 + ((uint32_t)i << 6));

	if (i % 3)
		return prefix_of(&a, 26);
	uint8_t b[16] = { 0xfd, 0x10, 0, 0, 0, 0, (uint8_t)i };
	a = addr_from_bytes(AF_INET6, b);
	return prefix_of(&a, 64);
}

static int index_of(const struct prefix *p)
{
	for (int i = 0; i < PREFIXES; i++) {
		struct prefix q = prefix_no(i);
		if (prefix_eq(p, &q))
			return i;
	}
	fail();
	return -1;
}

static struct addr hop_no(int i)
{
	return addr_v4(0xac100001 + (uint32_t)i);
}

static uint16_t peer_no(int i)
{
	return i == PEERS ? RIB_SELF : (uint16_t)i;
}

static struct rib_peer who(int i)
{
	return (struct rib_peer){ .addr = addr_v4(0x0a000001 + (uint32_t)i),
				  .router_id = 100 - (uint32_t)(i / 2),
				  .ebgp = i % 3 == 0 };
}

static void begin(struct world *w, uint64_t seed)
{
	*w = (struct world){ .r = { seed } };
	w->attrs = attr_table_new(seed);
	w->rib = rib_new(w->attrs, seed);
	for (int i = 0; i < SETS; i++) {
		struct attr_set *own = attr_originate(w->attrs, (uint8_t)(i % 2));
		struct attr_change ch = { .local_pref = ATTR_PUT,
					  .local_pref_value = (uint32_t)(100 + i / 4),
					  .med = ATTR_PUT,
					  .med_value = (uint32_t)(i % 4),
					  .prepend = 1,
					  .prepend_asn = 65000 + (uint32_t)i % 3 };
		w->sets[i] = attr_derive(w->attrs, own, &ch);
		attr_unref(w->attrs, own);
	}
	for (int i = 0; i < PEERS; i++) {
		struct rib_peer p = who(i);
		rib_peer_set(w->rib, (uint16_t)i, &p);
	}
	for (int p = 0; p < PREFIXES; p++)
		for (int i = 0; i <= PEERS; i++)
			w->table[p][i].set = -1;
}

static void end(struct world *w)
{
	rib_free(w->rib);
	for (int i = 0; i < SETS; i++)
		attr_unref(w->attrs, w->sets[i]);
	assert_int_equal(attr_table_count(w->attrs), 0);
	attr_table_free(w->attrs);
}

/* The standard's words, path by path: is a preferred to b? Negative yes, positive no, 0 equal up to here. */
static int naive_compare(const struct best_path *a, const struct best_path *b, bool to_the_end)
{
	if (a->own != b->own)
		return a->own ? -1 : 1;
	if (a->local_pref != b->local_pref)
		return a->local_pref > b->local_pref ? -1 : 1;
	if (a->as_path_len != b->as_path_len)
		return a->as_path_len < b->as_path_len ? -1 : 1;
	if (a->origin != b->origin)
		return a->origin < b->origin ? -1 : 1;
	if (!to_the_end)
		return 0;
	if (a->ebgp != b->ebgp)
		return a->ebgp ? -1 : 1;
	if (a->router_id != b->router_id)
		return a->router_id < b->router_id ? -1 : 1;
	return addr_cmp(&a->peer, &b->peer);
}

static struct best_path describe(const struct world *w, int p, int i)
{
	const struct attr_set *a = w->sets[w->table[p][i].set];
	struct rib_peer peer = who(i);
	struct best_path b = { .own = i == PEERS,
			       .local_pref = a->local_pref,
			       .as_path_len = a->as_path_len,
			       .origin = a->origin,
			       .med = a->med,
			       .first_asn = a->first_asn };

	if (i == PEERS)
		return b;
	b.ebgp = peer.ebgp;
	b.router_id = peer.router_id;
	b.peer = peer.addr;
	return b;
}

static bool usable(const struct naive *n)
{
	return n->set >= 0 && !(n->flags & RIB_UNUSABLE);
}

/* Left after the steps up to MED: nobody is better before MED, and nobody of the same AS has a lower MED. */
static bool survives_med(const struct world *w, int p, int i)
{
	struct best_path a = describe(w, p, i);

	for (int pass = 0; pass < 2; pass++) {
		for (int j = 0; j <= PEERS; j++) {
			if (!usable(&w->table[p][j]))
				continue;
			struct best_path b = describe(w, p, j);
			int c = naive_compare(&b, &a, false);
			if (c < 0 || (c == 0 && b.first_asn == a.first_asn && b.med < a.med))
				return false;
		}
	}
	return true;
}

static int naive_best(const struct world *w, int p)
{
	int best = -1;

	for (int i = 0; i <= PEERS; i++) {
		if (!usable(&w->table[p][i]) || !survives_med(w, p, i))
			continue;
		struct best_path a = describe(w, p, i);
		if (best >= 0) {
			struct best_path b = describe(w, p, best);
			if (naive_compare(&a, &b, true) >= 0)
				continue;
		}
		best = i;
	}
	return best;
}

/* The next hops to be used together: of all that survive MED and are as external as the best. */
static size_t naive_hops(const struct world *w, int p, int best, bool used[HOPS])
{
	size_t n = 0;

	memset(used, 0, HOPS * sizeof(bool));
	if (best < 0 || best == PEERS)
		return 0;
	for (int i = 0; i < PEERS; i++) {
		if (!usable(&w->table[p][i]) || !survives_med(w, p, i) || who(i).ebgp != who(best).ebgp)
			continue;
		n += !used[w->table[p][i].hop];
		used[w->table[p][i].hop] = true;
	}
	return n;
}

static void one_change(struct world *w)
{
	int p = (int)prng_below(&w->r, PREFIXES), i = (int)prng_below(&w->r, PEERS + 1);
	struct prefix prefix = prefix_no(p);
	struct naive *n = &w->table[p][i];
	uint64_t what = prng_below(&w->r, 100);

	if (what < 55) {
		*n = (struct naive){ (int)prng_below(&w->r, SETS), (int)prng_below(&w->r, HOPS), 0, false };
		if (i != PEERS && !prng_below(&w->r, 6))
			n->flags = RIB_OWN_AS;
		struct addr hop = hop_no(n->hop);
		assert_int_equal(rib_learn(w->rib, &prefix, peer_no(i), 0, w->sets[n->set], &hop, n->flags),
				 RIB_OK);
	} else if (what < 95) {
		assert_int_equal(rib_forget(w->rib, &prefix, peer_no(i), 0), n->set >= 0);
		n->set = -1;
	} else if (i != PEERS) {
		uint8_t family = what & 1 ? AF_INET : what & 2 ? AF_INET6 : 0;
		bool only_stale = what == 99;
		if (what == 98)
			rib_stale_peer(w->rib, (uint16_t)i, family);
		else
			rib_forget_peer(w->rib, (uint16_t)i, family, only_stale);
		for (int q = 0; q < PREFIXES; q++) {
			struct naive *m = &w->table[q][i];
			if (m->set < 0 || (family && prefix_no(q).addr.family != family))
				continue;
			if (what == 98)
				m->stale = true;
			else if (!only_stale || m->stale)
				m->set = -1;
		}
	}
}

static void read_some(struct world *w, struct reader *rd, unsigned max)
{
	uint32_t idx = journal_after(rib_journal(w->rib, RIB_VIEW_BEST), rd->version);

	for (; idx != RIB_NONE && max--; idx = journal_behind(rib_journal(w->rib, RIB_VIEW_BEST), idx)) {
		struct prefix p = rib_prefix(w->rib, idx);
		struct belief *b = &rd->sees[index_of(&p)];
		const struct rib_path *best = rib_best(w->rib, idx);
		assert_true(journal_version_of(rib_journal(w->rib, RIB_VIEW_BEST), idx) > rd->version);
		rd->version = journal_version_of(rib_journal(w->rib, RIB_VIEW_BEST), idx);
		*b = (struct belief){ .peer = -1 };
		if (best)
			*b = (struct belief){ best->peer, best->attr, rib_nexthop(w->rib, best) };
	}
	journal_remember(rib_journal(w->rib, RIB_VIEW_BEST), rd->version, idx);
}

static void read_told(struct world *w)
{
	uint32_t idx;

	while ((idx = rib_pop_untold(w->rib)) != RIB_NONE) {
		struct prefix prefix = rib_prefix(w->rib, idx);
		int p = index_of(&prefix);
		w->ntold[p] = 0;
		for (const struct rib_path *q = rib_first(w->rib, idx); q; q = rib_next(w->rib, q))
			if (q->flags & RIB_MULTI && q->peer != RIB_SELF)
				w->told[p][w->ntold[p]++] = rib_nexthop(w->rib, q);
	}
}

static void check_all(struct world *w)
{
	uint32_t paths[PEERS] = { 0 }, usables[PEERS] = { 0 }, bests[PEERS] = { 0 };
	uint64_t bytes[PEERS] = { 0 };

	for (int p = 0; p < PREFIXES; p++) {
		struct prefix prefix = prefix_no(p);
		uint32_t idx = rib_find(w->rib, &prefix);
		const struct rib_path *best = idx == RIB_NONE ? NULL : rib_best(w->rib, idx);
		int naive = naive_best(w, p);
		bool used[HOPS];
		if (naive < 0) {
			assert_null(best);
		} else {
			assert_non_null(best);
			assert_int_equal(best->peer, peer_no(naive));
			assert_ptr_equal(best->attr, w->sets[w->table[p][naive].set]);
		}
		assert_int_equal(naive_hops(w, p, naive, used), w->ntold[p]);
		for (size_t i = 0; i < w->ntold[p]; i++)
			assert_true(used[addr_to_v4(&w->told[p][i]) - 0xac100001]);
		for (int i = 0; i < PEERS; i++) {
			paths[i] += w->table[p][i].set >= 0;
			bytes[i] += w->table[p][i].set >= 0 ? w->sets[w->table[p][i].set]->len : 0;
			usables[i] += usable(&w->table[p][i]);
			bests[i] += naive == i;
		}
	}
	for (int i = 0; i < PEERS; i++) {
		assert_int_equal(rib_peer(w->rib, (uint16_t)i)->paths, paths[i]);
		assert_int_equal(rib_peer(w->rib, (uint16_t)i)->usable, usables[i]);
		assert_int_equal(rib_peer(w->rib, (uint16_t)i)->best, bests[i]);
		assert_int_equal(rib_peer(w->rib, (uint16_t)i)->attr_bytes, bytes[i]);
	}
}

static void check_reader(struct world *w, const struct reader *rd)
{
	for (int p = 0; p < PREFIXES; p++) {
		struct prefix prefix = prefix_no(p);
		uint32_t idx = rib_find(w->rib, &prefix);
		const struct rib_path *best = idx == RIB_NONE ? NULL : rib_best(w->rib, idx);
		assert_int_equal(rd->sees[p].peer, best ? best->peer : -1);
		if (!best)
			continue;
		struct addr hop = rib_nexthop(w->rib, best);
		assert_ptr_equal(rd->sees[p].attr, best->attr);
		assert_true(addr_eq(&rd->sees[p].hop, &hop));
	}
}

static void move_reader(struct world *w, struct reader *rd)
{
	uint64_t what = prng_below(&w->r, 20);

	if (!rd->on) {
		*rd = (struct reader){ .on = true };
		for (int p = 0; p < PREFIXES; p++)
			rd->sees[p].peer = -1;
	} else if (what == 0) {
		rd->on = false;
	} else if (what == 1) {
		rd->version = 0; /* a refresh: it keeps what it believes */
	} else if (what < 10) {
		read_some(w, rd, (unsigned)prng_below(&w->r, 8));
	} else {
		read_some(w, rd, UINT32_MAX);
		check_reader(w, rd);
	}
}

static void reap(struct world *w)
{
	uint64_t v = rib_version(w->rib);

	for (int i = 0; i < READERS; i++)
		if (w->readers[i].on && w->readers[i].version < v)
			v = w->readers[i].version;
	rib_reap(w->rib, v, NULL, NULL);
}

static void random_changes(void **state)
{
	for (uint64_t seed = 1; seed <= 30; seed++) {
		struct world w;
		begin(&w, seed);
		for (int round = 0; round < 600; round++) {
			for (uint64_t n = prng_below(&w.r, 12); n; n--)
				one_change(&w);
			rib_settle(w.rib);
			read_told(&w);
			check_all(&w);
			move_reader(&w, &w.readers[prng_below(&w.r, READERS)]);
			if (prng_below(&w.r, 3) == 0)
				reap(&w);
		}
		/* Everything goes: nothing is left. */
		for (int p = 0; p < PREFIXES; p++) {
			struct prefix prefix = prefix_no(p);
			for (int i = 0; i <= PEERS; i++)
				rib_forget(w.rib, &prefix, peer_no(i), 0);
		}
		rib_settle(w.rib);
		rib_told_all(w.rib);
		rib_reap(w.rib, rib_version(w.rib), NULL, NULL);
		assert_int_equal(rib_count(w.rib), 0);
		assert_false(rib_has_tombstones(w.rib));
		end(&w);
	}
}

/* A route that is repeated, or whose attributes alone change, is no news to the one who wants next hops. */
static void no_news(void **state)
{
	struct world w;
	struct prefix p = prefix_no(1);
	struct addr hop = hop_no(0), other = hop_no(1);

	begin(&w, 1);
	rib_learn(w.rib, &p, 1, 0, w.sets[0], &hop, 0);
	rib_settle(w.rib);
	assert_true(rib_pop_untold(w.rib) != RIB_NONE);
	uint64_t v = rib_version(w.rib);
	rib_learn(w.rib, &p, 1, 0, w.sets[0], &hop, 0);
	rib_settle(w.rib);
	assert_int_equal(rib_version(w.rib), v);
	rib_learn(w.rib, &p, 1, 0, w.sets[1], &hop, 0);
	rib_settle(w.rib);
	assert_int_equal(rib_version(w.rib), v + 1);
	assert_true(rib_pop_untold(w.rib) == RIB_NONE);
	rib_learn(w.rib, &p, 1, 0, w.sets[1], &other, 0);
	rib_settle(w.rib);
	assert_true(rib_pop_untold(w.rib) != RIB_NONE);
	/* Stale and fresh again: a restarted peer that repeats itself changes nothing. */
	v = rib_version(w.rib);
	rib_stale_peer(w.rib, 1, 0);
	rib_learn(w.rib, &p, 1, 0, w.sets[1], &other, 0);
	rib_forget_peer(w.rib, 1, 0, true);
	rib_settle(w.rib);
	assert_int_equal(rib_version(w.rib), v);
	assert_true(rib_pop_untold(w.rib) == RIB_NONE);
	end(&w);
}

/* A hundred thousand prefixes: the tables grow, and a prefix costs what the design says. */
static void many(void **state)
{
	struct world w;
	struct addr hop = hop_no(0);
	enum { N = 100000 };

	begin(&w, 9);
	for (uint32_t i = 0; i < N; i++) {
		struct addr a = addr_v4(i << 8);
		struct prefix p = prefix_of(&a, 24);
		assert_int_equal(rib_learn(w.rib, &p, (uint16_t)(i % PEERS), 0, w.sets[i % SETS], &hop, 0),
				 RIB_OK);
	}
	rib_settle(w.rib);
	assert_int_equal(rib_count(w.rib), N);
	assert_true(rib_bytes(w.rib) < N * 130u); /* 40 + 24 + hash + lists, with room to grow */
	for (uint32_t i = 0; i < N; i++) {
		struct addr a = addr_v4(i << 8);
		struct prefix p = prefix_of(&a, 24);
		assert_true(rib_find(w.rib, &p) != RIB_NONE);
	}
	rib_forget_peer(w.rib, 0, 0, false);
	rib_settle(w.rib);
	rib_told_all(w.rib);
	rib_reap(w.rib, rib_version(w.rib), NULL, NULL);
	assert_int_equal(rib_count(w.rib), N - (N + PEERS - 1) / PEERS);
	end(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(random_changes),
		cmocka_unit_test(no_news),
		cmocka_unit_test(many),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
