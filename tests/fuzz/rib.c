/*
 * The RIB against a table of its own: the input is a list of changes (paths learned, forgotten, stale,
 * changed; next hops that become known; readers that come, read a little and go; tombstones reaped), a byte
 * of kind and up to four of detail each. After every settling each prefix must have the best path and the
 * next hops that the standard's steps give, every count must be right, and a reader that has read to the end
 * must know what is there.
 */
#include "base/check.h"
#include "base/rd.h"
#include "bgp/rib.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

enum { PREFIXES = 8, PEERS = 3, SELF = PEERS, IDS = 3, SETS = 8, HOPS = 4, PATHS = (PEERS + 1) * IDS };

/* One possible path; set < 0: there is none. Its place says whose it is: peer * IDS + path identifier. */
struct path {
	int set, hop;
	uint16_t flags;
	bool stale;
};

struct world {
	struct attr_table *attrs;
	struct rib *rib;
	struct attr_set *sets[2 * SETS]; /* the second half: the same, long-lived stale (RFC 9494) */
	struct path t[PREFIXES][PATHS];
	struct nexthop_info hops[HOPS];
	bool held[HOPS]; /* what is known of it is kept */
	bool listening;	 /* somebody watches next hops: they are kept until it is told that they are gone */
	bool all_open;
	uint64_t seen[2];   /* versions of one reader of each view */
	int best[PREFIXES]; /* what the one believes: the place of a path, -1 = none */
	const struct attr_set *best_set[PREFIXES];
	unsigned all[PREFIXES]; /* ... the other: a bit for each usable path */
	const struct attr_set *all_sets[PREFIXES][PATHS];
	unsigned told[PREFIXES]; /* ... the agent: a bit for each next hop */
};

static struct prefix prefix_no(unsigned i)
{
	static const char *const texts[PREFIXES] = { "0.0.0.0", "10.8.0.0", "10.8.0.0", "10.8.0.64",
						     "::",	"fd10::",   "fd10::",	"fd10::40" };
	static const uint8_t lens[PREFIXES] = { 0, 16, 26, 26, 0, 64, 122, 122 };
	struct addr a;

	CHECK(addr_parse(texts[i], &a));
	return prefix_of(&a, lens[i]);
}

static unsigned prefix_index(const struct prefix *p)
{
	for (unsigned i = 0; i < PREFIXES; i++) {
		struct prefix q = prefix_no(i);
		if (prefix_eq(p, &q))
			return i;
	}
	CHECK(!"a prefix that was learned");
	return 0;
}

static struct addr hop_no(int i)
{
	return addr_v4(0xac100001 + (uint32_t)i);
}

static int hop_index(const struct addr *a)
{
	return (int)(addr_to_v4(a) - 0xac100001);
}

static uint16_t peer_no(int i)
{
	return i == SELF ? RIB_SELF : (uint16_t)i;
}

static int place_of(const struct rib_path *p)
{
	return (p->peer == RIB_SELF ? SELF : p->peer) * IDS + (int)p->path_id;
}

/* Two peers have the same router id, so that their addresses decide. */
static struct rib_peer who(int i)
{
	return (struct rib_peer){ .addr = addr_v4(0x0a000009 - (uint32_t)i),
				  .router_id = 100 - (uint32_t)(i / 2),
				  .ebgp = i == 1 };
}

static struct attr_set *make_set(struct attr_table *t, int i, bool llgr_stale)
{
	static const uint32_t stale = 0xffff0006;
	struct attr_set *own = attr_originate(t, i == 7 ? ATTR_ORIGIN_INCOMPLETE : ATTR_ORIGIN_IGP);
	struct attr_change ch = { .local_pref = ATTR_PUT,
				  .local_pref_value = i == 6 ? 200 : 100,
				  .med = ATTR_PUT,
				  .med_value = (uint32_t)i % 3,
				  .prepend = i == 5 ? 2 : 1,
				  .prepend_asn = 65000 + (uint32_t)i % 2,
				  .communities = &stale,
				  .ncommunities = llgr_stale,
				  .originator_id = i == 4 ? 7 : 0,
				  .cluster_id = i == 3 ? 9 : 0 };
	struct attr_set *a = attr_derive(t, own, &ch);

	attr_unref(t, own);
	return a;
}

static void begin(struct world *w)
{
	memset(w, 0, sizeof(*w));
	w->attrs = attr_table_new(1);
	w->rib = rib_new(w->attrs, 1);
	for (int i = 0; i < 2 * SETS; i++)
		w->sets[i] = make_set(w->attrs, i % SETS, i >= SETS);
	for (int i = 0; i < PEERS; i++) {
		struct rib_peer p = who(i);
		rib_peer_set(w->rib, (uint16_t)i, &p);
	}
	for (int i = 0; i < PREFIXES; i++) {
		w->best[i] = -1;
		for (int k = 0; k < PATHS; k++)
			w->t[i][k].set = -1;
	}
}

/* --- what the standard says (RFC 4271 9.1.2.2, RFC 4456, RFC 9494), step by step --- */

/* How good path k is in a step; less is better. */
static int64_t rank(const struct world *w, const struct path *row, int k, int step)
{
	const struct path *p = &row[k];
	const struct attr_set *a = w->sets[p->set];
	int peer = k / IDS;

	switch (step) {
	case 0:
		return peer != SELF;
	case 1:
		return w->hops[p->hop].unreachable;
	case 2:
		return p->set >= SETS;
	case 3:
		return -(int64_t)a->local_pref;
	case 4:
		return a->as_path_len;
	case 5:
		return a->origin;
	case 7:
		return peer == SELF || !who(peer).ebgp;
	case 8:
		return w->hops[p->hop].metric;
	case 9:
		return a->originator_id ? a->originator_id : peer == SELF ? 0 : who(peer).router_id;
	case 10:
		return a->cluster_len;
	case 11:
		return peer == SELF ? 0 : 0x0a000009 - peer;
	default: /* our own: of one peer's paths the lowest identifier */
		return k % IDS;
	}
}

enum { STEP_MED = 6, STEP_EQUAL = 9, STEPS = 13 };

/* MED only counts between paths of one neighbour AS. */
static unsigned after_med(const struct world *w, const struct path *row, unsigned in)
{
	unsigned out = in;

	for (int k = 0; k < PATHS; k++)
		for (int j = 0; j < PATHS; j++)
			if (in & 1u << k && in & 1u << j &&
			    w->sets[row[j].set]->first_asn == w->sets[row[k].set]->first_asn &&
			    w->sets[row[j].set]->med < w->sets[row[k].set]->med)
				out &= ~(1u << k);
	return out;
}

static unsigned after_step(const struct world *w, const struct path *row, unsigned in, int step)
{
	int64_t least = INT64_MAX;
	unsigned out = 0;

	if (step == STEP_MED)
		return after_med(w, row, in);
	for (int k = 0; k < PATHS; k++)
		if (in & 1u << k)
			least = MIN(least, rank(w, row, k, step));
	for (int k = 0; k < PATHS; k++)
		if (in & 1u << k && rank(w, row, k, step) == least)
			out |= 1u << k;
	return out;
}

static unsigned usable(const struct path *row)
{
	unsigned in = 0;

	for (int k = 0; k < PATHS; k++)
		if (row[k].set >= 0 && !(row[k].flags & RIB_UNUSABLE))
			in |= 1u << k;
	return in;
}

static unsigned known(const struct path *row)
{
	unsigned in = 0;

	for (int k = 0; k < PATHS; k++)
		if (row[k].set >= 0)
			in |= 1u << k;
	return in;
}

static unsigned survivors(const struct world *w, const struct path *row, int steps)
{
	unsigned in = usable(row);

	for (int step = 0; step < steps; step++)
		in = after_step(w, row, in, step);
	return in;
}

/* The next hops that are used together. */
static unsigned hops_of(const struct world *w, const struct path *row)
{
	unsigned in = survivors(w, row, STEP_EQUAL), hops = 0;

	for (int k = 0; k < PATHS; k++)
		if (in & 1u << k && k / IDS != SELF)
			hops |= 1u << row[k].hop;
	return hops;
}

/* --- changes --- */

static void learn(struct world *w, uint8_t a, uint8_t b, uint8_t c)
{
	static const uint16_t flags[] = {
		0, 0, 0, 0, RIB_OWN_AS, RIB_REJECTED, RIB_LEAKED | RIB_REJECTED, 0
	};
	int peer = a >> 3 & 3, id = peer == SELF ? 0 : b % IDS;
	struct path *p = &w->t[a % PREFIXES][peer * IDS + id];
	struct prefix prefix = prefix_no(a % PREFIXES);

	*p = (struct path){ c % SETS, b >> 2 & 3, peer == SELF ? 0 : flags[c >> 3 & 7], false };
	struct addr hop = hop_no(p->hop);
	CHECK(rib_learn(w->rib, &prefix, peer_no(peer), (uint32_t)id, w->sets[p->set], &hop, p->flags) ==
	      RIB_OK);
}

static void forget(struct world *w, uint8_t a, uint8_t b)
{
	int peer = a >> 3 & 3, id = peer == SELF ? 0 : b % IDS;
	struct path *p = &w->t[a % PREFIXES][peer * IDS + id];
	struct prefix prefix = prefix_no(a % PREFIXES);

	CHECK(rib_forget(w->rib, &prefix, peer_no(peer), (uint32_t)id) == (p->set >= 0));
	p->set = -1;
}

/* A reference to the long-lived stale form, or NULL for what must not live so long. */
static struct attr_set *prolong(void *arg, struct attr_set *a)
{
	struct world *w = arg;

	for (int i = 1; i < SETS; i++)
		if (a == w->sets[i] || a == w->sets[SETS + i])
			return attr_ref(w->sets[SETS + i]);
	return NULL;
}

static void prolong_one(struct path *p)
{
	if (p->set % SETS == 0)
		p->set = -1;
	else if (p->set < SETS)
		p->set += SETS;
}

static void change_peer(struct world *w, uint8_t detail)
{
	static const uint8_t families[] = { 0, AF_INET, AF_INET6, 0 };
	uint8_t family = families[detail >> 2 & 3], what = detail >> 4 & 3;
	uint16_t peer = detail % PEERS;

	if (what == 0)
		rib_stale_peer(w->rib, peer, family);
	else if (what == 1)
		rib_change_stale(w->rib, peer, family, prolong, w);
	else
		rib_forget_peer(w->rib, peer, family, what == 2);
	for (int i = 0; i < PREFIXES * IDS; i++) {
		struct path *p = &w->t[i / IDS][peer * IDS + i % IDS];

		if (p->set < 0 || (family && prefix_no((unsigned)i / IDS).addr.family != family))
			continue;
		if (what == 0)
			p->stale = true;
		else if (what == 1 && p->stale)
			prolong_one(p);
		else if (what == 3 || (what == 2 && p->stale))
			p->set = -1;
	}
}

static bool hop_used(const struct world *w, int hop)
{
	for (int i = 0; i < PREFIXES * PATHS; i++)
		if (w->t[i / PATHS][i % PATHS].set >= 0 && w->t[i / PATHS][i % PATHS].hop == hop)
			return true;
	return false;
}

static void forget_unused_hops(struct world *w)
{
	for (int hop = 0; hop < HOPS; hop++) {
		w->held[hop] = hop_used(w, hop);
		if (!w->held[hop])
			w->hops[hop] = (struct nexthop_info){ 0 };
	}
}

static void know(struct world *w, uint8_t detail)
{
	int hop = detail % HOPS;
	struct addr a = hop_no(hop);
	struct nexthop_info info = { .unreachable = detail & 4, .metric = detail & 8 ? 50 : 0 };

	rib_know_nexthop(w->rib, &a, &info);
	if (w->held[hop])
		w->hops[hop] = info;
}

/* Whoever watches is told what there is to be told: each next hop in use once, and none twice. */
static void watch(struct world *w, uint8_t detail)
{
	struct nexthops *hops = rib_nexthops(w->rib);
	unsigned told = 0;
	struct addr a;
	bool gone;

	if (detail & 1) {
		w->listening = !w->listening;
		if (w->listening)
			nexthops_rewatch_all(hops);
		else
			nexthops_unwatch_all(hops);
	}
	while (nexthops_pop(hops, &a, &gone)) {
		CHECK(w->listening && gone == !hop_used(w, hop_index(&a)));
		CHECK(!(told & 1u << hop_index(&a)));
		told |= 1u << hop_index(&a);
	}
	for (int hop = 0; detail & 1 && w->listening && hop < HOPS; hop++)
		CHECK(hop_used(w, hop) == !!(told & 1u << hop));
	forget_unused_hops(w);
}

/* --- readers --- */

static void read_best(struct world *w, unsigned i, uint32_t idx)
{
	const struct rib_path *best = rib_best(w->rib, idx);

	w->best[i] = best ? place_of(best) : -1;
	w->best_set[i] = best ? best->attr : NULL;
}

static void read_paths(struct world *w, unsigned i, uint32_t idx)
{
	w->all[i] = 0;
	for (const struct rib_path *p = rib_first(w->rib, idx); p; p = rib_next(w->rib, p)) {
		if (p->flags & RIB_UNUSABLE)
			continue;
		w->all[i] |= 1u << place_of(p);
		w->all_sets[i][place_of(p)] = p->attr;
	}
}

static void read_some(struct world *w, enum rib_view v, unsigned max)
{
	struct journal *j = rib_journal(w->rib, v);
	uint32_t idx = journal_after(j, w->seen[v]);

	for (; idx != JOURNAL_NONE && max--; idx = journal_behind(j, idx)) {
		struct prefix p = rib_prefix(w->rib, idx);

		CHECK(journal_version_of(j, idx) > w->seen[v]);
		w->seen[v] = journal_version_of(j, idx);
		if (v == RIB_VIEW_BEST)
			read_best(w, prefix_index(&p), idx);
		else
			read_paths(w, prefix_index(&p), idx);
	}
	if (idx == JOURNAL_NONE)
		w->seen[v] = rib_version(w->rib); /* what else has changed is of the other view */
	journal_remember(j, w->seen[v], idx);
}

static void read_told(struct world *w)
{
	uint32_t idx;

	while ((idx = rib_pop_untold(w->rib)) != RIB_NONE) {
		struct prefix prefix = rib_prefix(w->rib, idx);
		unsigned i = prefix_index(&prefix);

		w->told[i] = 0;
		for (const struct rib_path *p = rib_first(w->rib, idx); p; p = rib_next(w->rib, p)) {
			struct addr hop = rib_nexthop(w->rib, p);

			if (p->flags & RIB_MULTI && p->peer != RIB_SELF)
				w->told[i] |= 1u << hop_index(&hop);
		}
	}
}

static void view_all(struct world *w)
{
	if (w->all_open)
		rib_view_close(w->rib, RIB_VIEW_ALL);
	else
		rib_view_open(w->rib, RIB_VIEW_ALL);
	w->all_open = !w->all_open;
	w->seen[RIB_VIEW_ALL] = 0;
	memset(w->all, 0, sizeof(w->all));
}

/* --- checks, after settling --- */

static void check_prefix(struct world *w, unsigned i, uint32_t idx)
{
	const struct path *row = w->t[i];
	unsigned best = survivors(w, row, STEPS), marked = 0, there = 0;
	struct prefix prefix = prefix_no(i), got = rib_prefix(w->rib, idx);

	CHECK(prefix_eq(&prefix, &got));
	for (const struct rib_path *p = rib_first(w->rib, idx); p; p = rib_next(w->rib, p)) {
		const struct path *q = &row[place_of(p)];
		struct addr hop = rib_nexthop(w->rib, p);

		CHECK(q->set >= 0 && p->attr == w->sets[q->set] && hop_index(&hop) == q->hop);
		CHECK((p->flags & RIB_UNUSABLE) == q->flags && !(p->flags & RIB_STALE) == !q->stale);
		CHECK(!(p->flags & (RIB_BEST | RIB_MULTI)) || !q->flags);
		there |= 1u << place_of(p);
		if (p->flags & RIB_BEST) {
			CHECK(best & 1u << place_of(p) && p->flags & RIB_MULTI && p == rib_best(w->rib, idx));
			marked++;
		}
	}
	CHECK(there == known(row));
	CHECK(marked == (best != 0));
}

static void check_counts(struct world *w)
{
	for (int i = 0; i < PEERS; i++) {
		const struct rib_peer *peer = rib_peer(w->rib, (uint16_t)i);
		uint32_t paths = 0, good = 0, rejected = 0, stale = 0;
		uint64_t bytes = 0;

		for (int k = 0; k < PREFIXES * IDS; k++) {
			const struct path *p = &w->t[k / IDS][i * IDS + k % IDS];

			if (p->set < 0)
				continue;
			paths++;
			good += !p->flags;
			rejected += !!(p->flags & RIB_REJECTED);
			stale += p->stale;
			bytes += w->sets[p->set]->len;
		}
		CHECK(peer->paths == paths && peer->usable == good && peer->rejected == rejected);
		CHECK(peer->stale == stale && peer->attr_bytes == bytes);
	}
}

static void check_readers(struct world *w)
{
	uint32_t bests[PEERS] = { 0 };

	read_told(w);
	read_some(w, RIB_VIEW_BEST, UINT32_MAX);
	if (w->all_open)
		read_some(w, RIB_VIEW_ALL, UINT32_MAX);
	for (unsigned i = 0; i < PREFIXES; i++) {
		unsigned best = survivors(w, w->t[i], STEPS), all = usable(w->t[i]);

		CHECK(best ? w->best[i] >= 0 && best & 1u << w->best[i] : w->best[i] < 0);
		CHECK(!best || w->best_set[i] == w->sets[w->t[i][w->best[i]].set]);
		CHECK(w->told[i] == (w->best[i] >= 0 && w->best[i] / IDS == SELF ? 0 : hops_of(w, w->t[i])));
		CHECK(!w->all_open || w->all[i] == all);
		for (int k = 0; w->all_open && k < PATHS; k++)
			CHECK(!(all & 1u << k) || w->all_sets[i][k] == w->sets[w->t[i][k].set]);
		if (best && w->best[i] / IDS != SELF)
			bests[w->best[i] / IDS]++;
	}
	for (int i = 0; i < PEERS; i++)
		CHECK(rib_peer(w->rib, (uint16_t)i)->best == bests[i]);
}

static void settle(struct world *w, bool read)
{
	rib_settle(w->rib);
	for (unsigned i = 0; i < PREFIXES; i++) {
		struct prefix prefix = prefix_no(i);
		uint32_t idx = rib_find(w->rib, &prefix);

		if (idx == RIB_NONE)
			CHECK(!survivors(w, w->t[i], 0));
		else
			check_prefix(w, i, idx);
	}
	check_counts(w);
	if (read)
		check_readers(w);
}

static void on_gone(void *arg, uint32_t idx)
{
	const struct world *w = arg;

	CHECK(rib_first(w->rib, idx) == NULL);
}

static void reap(struct world *w)
{
	uint64_t v = w->seen[RIB_VIEW_BEST];

	if (w->all_open)
		v = MIN(v, w->seen[RIB_VIEW_ALL]);
	rib_reap(w->rib, v, on_gone, w);
}

static void one_event(struct world *w, struct rd *r)
{
	uint8_t kind = rd_u8(r), a = rd_u8(r), b, c;

	switch (kind % 8) {
	case 0:
	case 1:
		b = rd_u8(r);
		c = rd_u8(r);
		learn(w, a, b, c);
		break;
	case 2:
		forget(w, a, rd_u8(r));
		break;
	case 3:
		change_peer(w, a);
		break;
	case 4:
		if (a & 128)
			watch(w, a);
		else
			know(w, a);
		break;
	case 5:
		settle(w, a & 1);
		break;
	case 6:
		settle(w, false);
		if (!(a & 1) || w->all_open)
			read_some(w, a & 1 ? RIB_VIEW_ALL : RIB_VIEW_BEST, a >> 1 & 7);
		reap(w);
		break;
	default:
		if (a & 1)
			view_all(w);
		else
			rib_untell_all(w->rib);
	}
	for (int hop = 0; hop < HOPS; hop++)
		w->held[hop] |= hop_used(w, hop);
	if (!w->listening)
		forget_unused_hops(w);
}

static void end(struct world *w)
{
	for (int i = 0; i < PREFIXES * PATHS; i++) {
		struct prefix prefix = prefix_no((unsigned)i / PATHS);
		int k = i % PATHS;

		rib_forget(w->rib, &prefix, peer_no(k / IDS), (uint32_t)(k % IDS));
		w->t[i / PATHS][k].set = -1;
	}
	settle(w, true);
	reap(w);
	CHECK(rib_count(w->rib) == 0 && !rib_has_tombstones(w->rib));
	rib_free(w->rib);
	for (int i = 0; i < 2 * SETS; i++)
		attr_unref(w->attrs, w->sets[i]);
	CHECK(attr_table_count(w->attrs) == 0);
	attr_table_free(w->attrs);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static struct world w;
	struct rd r = rd_of(data, MIN(n, (size_t)2000));

	begin(&w);
	while (rd_left(&r) && rd_ok(&r))
		one_event(&w, &r);
	settle(&w, true);
	end(&w);
	return 0;
}
