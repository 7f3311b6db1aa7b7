/* The RIB: paths in one array, chained per prefix; prefixes and their numbers are bgp/prefixes'. */
#include "bgp/rib.h"

#include "base/check.h"

#include <assert.h>

/* Flags of an entry. */
enum {
	DIRTY = 2,	    /* is in r->dirty */
	BEST_TOUCHED = 4,   /* the path that was best is another one now, or gone */
	HOPS_TOUCHED = 8,   /* a path that was used is gone or has another next hop */
	UNTOLD = 16,	    /* is in r->untold */
	TOMB = 32,	    /* is in r->tombstones */
	PATHS_TOUCHED = 64, /* a path came, went or changed */
};

/* Of an entry of the table of prefixes, the value is the first path. */
static_assert(sizeof(struct rib_path) == 24, "a path costs 24 bytes");
static_assert(RIB_NONE == PREFIXES_NONE && RIB_PREFIXES_MAX < PREFIXES_MAX, "numbers of prefixes are ours");

struct u32s {
	uint32_t *v;
	size_t n, cap;
};

struct rib {
	struct attr_table *attrs;
	struct prefixes prefixes;
	struct rib_path *paths;
	uint32_t npaths, paths_cap, free_path;
	struct nexthops *hops;
	bool hops_changed;
	struct rib_peer *peers;
	uint32_t npeers;
	uint64_t version;
	struct journal views[2];
	uint32_t readers[2]; /* of each view; the best one always has its journal */
	struct u32s dirty, untold, tombstones;
	size_t reaped; /* tombstones before this index are done */
	size_t told;   /* untold before this index are done */
	/* For one decision at a time. */
	struct best_path *best;
	const struct rib_path **chosen;
	size_t decide_cap;
};

static void u32s_add(struct u32s *s, uint32_t v)
{
	if (s->n == s->cap) {
		s->cap = s->cap ? s->cap * 2 : 64;
		s->v = xrealloc(s->v, s->cap * sizeof(*s->v));
	}
	s->v[s->n++] = v;
}

/* Throws away the first *done elements once they are more than half. */
static void u32s_shift(struct u32s *s, size_t *done)
{
	if (*done < 64 || *done < s->n / 2)
		return;
	memmove(s->v, s->v + *done, (s->n - *done) * sizeof(*s->v));
	s->n -= *done;
	*done = 0;
}

struct rib *rib_new(struct attr_table *t, uint64_t seed)
{
	struct rib *r = xcalloc(1, sizeof(*r));

	r->attrs = t;
	r->free_path = RIB_NONE;
	prefixes_init(&r->prefixes, seed);
	r->hops = nexthops_new(seed);
	for (size_t i = 0; i < ARRAY_SIZE(r->views); i++)
		journal_init(&r->views[i]);
	return r;
}

void rib_free(struct rib *r)
{
	if (!r)
		return;
	for (uint32_t i = 0; i < r->prefixes.n; i++)
		if (prefixes_used(&r->prefixes, i))
			for (uint32_t p = r->prefixes.entry[i].value; p != RIB_NONE; p = r->paths[p].next)
				attr_unref(r->attrs, r->paths[p].attr);
	prefixes_done(&r->prefixes);
	free(r->paths);
	nexthops_free(r->hops);
	for (size_t i = 0; i < ARRAY_SIZE(r->views); i++)
		journal_done(&r->views[i]);
	free(r->peers);
	free(r->dirty.v);
	free(r->untold.v);
	free(r->tombstones.v);
	free(r->best);
	free(r->chosen);
	free(r);
}

size_t rib_count(const struct rib *r)
{
	return r->prefixes.used;
}

uint32_t rib_limit(const struct rib *r)
{
	return r->prefixes.n;
}

size_t rib_bytes(const struct rib *r)
{
	return sizeof(*r) + prefixes_bytes(&r->prefixes) + r->paths_cap * sizeof(struct rib_path) +
	       nexthops_bytes(r->hops) + r->npeers * sizeof(struct rib_peer) + journal_bytes(&r->views[0]) +
	       journal_bytes(&r->views[1]) +
	       (r->dirty.cap + r->untold.cap + r->tombstones.cap) * sizeof(uint32_t);
}

void rib_peer_set(struct rib *r, uint16_t n, const struct rib_peer *who)
{
	CHECK(n < RIB_PEERS_MAX);
	if (n >= r->npeers) {
		uint32_t cap = r->npeers ? r->npeers : 16;
		while (cap <= n)
			cap *= 2;
		r->peers = xrealloc(r->peers, cap * sizeof(*r->peers));
		memset(r->peers + r->npeers, 0, (cap - r->npeers) * sizeof(*r->peers));
		r->npeers = cap;
	}
	r->peers[n].addr = who->addr;
	r->peers[n].router_id = who->router_id;
	r->peers[n].ebgp = who->ebgp;
	r->peers[n].client = who->client;
}

const struct rib_peer *rib_peer(const struct rib *r, uint16_t n)
{
	return n < r->npeers ? &r->peers[n] : NULL;
}

/* The views. */

uint64_t rib_version(const struct rib *r)
{
	return r->version;
}

struct journal *rib_journal(struct rib *r, enum rib_view v)
{
	return &r->views[v];
}

static void stamp(struct rib *r, enum rib_view v, uint32_t idx)
{
	journal_stamp(&r->views[v], idx, ++r->version);
}

void rib_view_open(struct rib *r, enum rib_view v)
{
	if (r->readers[v]++ || v == RIB_VIEW_BEST)
		return;
	for (uint32_t i = 0; i < r->prefixes.n; i++)
		if (prefixes_used(&r->prefixes, i) && r->prefixes.entry[i].value != RIB_NONE)
			stamp(r, v, i);
}

void rib_view_close(struct rib *r, enum rib_view v)
{
	if (--r->readers[v] == 0 && v != RIB_VIEW_BEST)
		journal_done(&r->views[v]);
}

/* Changes. */

static void mark_dirty(struct rib *r, uint32_t idx, unsigned touched)
{
	struct prefix_entry *e = &r->prefixes.entry[idx];

	e->flags |= touched;
	if (e->flags & DIRTY)
		return;
	e->flags |= DIRTY;
	u32s_add(&r->dirty, idx);
}

/* What the flags of a path that changes or goes say about its prefix. */
static unsigned touched_by(const struct rib_path *p, bool hop_stays)
{
	return PATHS_TOUCHED | (p->flags & RIB_BEST ? BEST_TOUCHED : 0) |
	       (p->flags & RIB_MULTI && !hop_stays ? HOPS_TOUCHED : 0);
}

static void count_path(struct rib *r, const struct rib_path *p, int by)
{
	if (p->peer >= r->npeers)
		return;
	struct rib_peer *peer = &r->peers[p->peer];
	peer->paths += (uint32_t)by;
	peer->attr_bytes += (uint64_t)by * p->attr->len;
	peer->usable += p->flags & RIB_UNUSABLE ? 0 : (uint32_t)by;
	peer->rejected += p->flags & RIB_REJECTED ? (uint32_t)by : 0;
	peer->stale += p->flags & RIB_STALE ? (uint32_t)by : 0;
}

/* Flags change only between being counted out and in. */
static void path_flags(struct rib *r, struct rib_path *p, uint16_t flags)
{
	count_path(r, p, -1);
	p->flags = flags;
	count_path(r, p, 1);
}

/* *others: how many paths of the peer were met before it, or there are. */
static uint32_t path_of(const struct rib *r, uint32_t idx, uint16_t peer, uint32_t path_id, uint32_t *others)
{
	uint32_t p = r->prefixes.entry[idx].value;

	*others = 0;
	for (; p != RIB_NONE; p = r->paths[p].next) {
		if (r->paths[p].peer != peer)
			continue;
		if (r->paths[p].path_id == path_id)
			break;
		++*others;
	}
	return p;
}

static uint32_t path_new(struct rib *r)
{
	uint32_t p = r->free_path;

	if (p != RIB_NONE) {
		r->free_path = r->paths[p].next;
		return p;
	}
	if (r->npaths == r->paths_cap) {
		r->paths_cap = r->paths_cap ? r->paths_cap + r->paths_cap / 2 : 64;
		r->paths = xrealloc(r->paths, r->paths_cap * sizeof(*r->paths));
	}
	return r->npaths++;
}

static void path_replace(struct rib *r, uint32_t idx, struct rib_path *p, struct attr_set *a,
			 const struct addr *nexthop, uint16_t flags)
{
	uint32_t hop = nexthops_get(r->hops, nexthop);
	bool same = p->attr == a && p->nexthop == hop && (p->flags & RIB_UNUSABLE) == flags;

	count_path(r, p, -1);
	if (!same)
		mark_dirty(r, idx, touched_by(p, p->nexthop == hop && !flags));
	attr_ref(a);
	attr_unref(r->attrs, p->attr);
	nexthops_put(r->hops, p->nexthop);
	p->attr = a;
	p->nexthop = hop;
	p->flags = (uint16_t)((p->flags & ~(RIB_UNUSABLE | RIB_STALE)) | flags);
	count_path(r, p, 1);
}

enum rib_learned rib_learn(struct rib *r, const struct prefix *p, uint16_t peer, uint32_t path_id,
			   struct attr_set *a, const struct addr *nexthop, uint16_t flags)
{
	uint32_t idx = rib_find(r, p), others;

	CHECK(!(flags & ~RIB_UNUSABLE));
	if (idx == RIB_NONE && r->prefixes.used >= RIB_PREFIXES_MAX)
		return RIB_FULL;
	if (idx == RIB_NONE)
		idx = prefixes_add(&r->prefixes, p);
	uint32_t at = path_of(r, idx, peer, path_id, &others);
	if (at != RIB_NONE) {
		path_replace(r, idx, &r->paths[at], a, nexthop, flags);
		return RIB_OK;
	}
	if (others >= RIB_PEER_PATHS_MAX)
		return RIB_TOO_MANY;
	at = path_new(r);
	r->paths[at] = (struct rib_path){ .attr = attr_ref(a),
					  .nexthop = nexthops_get(r->hops, nexthop),
					  .next = r->prefixes.entry[idx].value,
					  .path_id = path_id,
					  .peer = peer,
					  .flags = flags };
	r->prefixes.entry[idx].value = at;
	count_path(r, &r->paths[at], 1);
	mark_dirty(r, idx, PATHS_TOUCHED);
	return RIB_OK;
}

/* Unlinks and frees the path that *at points to. */
static void path_drop(struct rib *r, uint32_t idx, uint32_t *at)
{
	uint32_t i = *at;
	struct rib_path *p = &r->paths[i];

	mark_dirty(r, idx, touched_by(p, false));
	if (p->flags & RIB_BEST && p->peer < r->npeers)
		r->peers[p->peer].best--;
	count_path(r, p, -1);
	attr_unref(r->attrs, p->attr);
	nexthops_put(r->hops, p->nexthop);
	*at = p->next;
	*p = (struct rib_path){ .next = r->free_path };
	r->free_path = i;
}

bool rib_forget(struct rib *r, const struct prefix *p, uint16_t peer, uint32_t path_id)
{
	uint32_t idx = rib_find(r, p);

	if (idx == RIB_NONE)
		return false;
	for (uint32_t *at = &r->prefixes.entry[idx].value; *at != RIB_NONE; at = &r->paths[*at].next) {
		if (r->paths[*at].peer == peer && r->paths[*at].path_id == path_id) {
			path_drop(r, idx, at);
			return true;
		}
	}
	return false;
}

static bool of_family(const struct prefix_entry *e, uint8_t family)
{
	return e->used && (!family || e->family6 == (family == AF_INET6));
}

static bool has_paths(const struct rib *r, uint16_t peer)
{
	return peer >= r->npeers || r->peers[peer].paths;
}

void rib_forget_peer(struct rib *r, uint16_t peer, uint8_t family, bool only_stale)
{
	for (uint32_t idx = 0; has_paths(r, peer) && idx < r->prefixes.n; idx++) {
		if (!of_family(&r->prefixes.entry[idx], family))
			continue;
		uint32_t *at = &r->prefixes.entry[idx].value;
		while (*at != RIB_NONE) {
			const struct rib_path *p = &r->paths[*at];
			if (p->peer == peer && (!only_stale || p->flags & RIB_STALE))
				path_drop(r, idx, at);
			else
				at = &r->paths[*at].next;
		}
	}
}

void rib_stale_peer(struct rib *r, uint16_t peer, uint8_t family)
{
	for (uint32_t idx = 0; has_paths(r, peer) && idx < r->prefixes.n; idx++) {
		if (!of_family(&r->prefixes.entry[idx], family))
			continue;
		for (uint32_t i = r->prefixes.entry[idx].value; i != RIB_NONE; i = r->paths[i].next)
			if (r->paths[i].peer == peer)
				path_flags(r, &r->paths[i], r->paths[i].flags | RIB_STALE);
	}
}

/* One stale path: true if it stays. */
static bool change_stale(struct rib *r, uint32_t idx, struct rib_path *p, rib_change_fn *fn, void *arg)
{
	struct attr_set *a = fn(arg, p->attr);

	if (!a)
		return false;
	mark_dirty(r, idx, touched_by(p, true));
	count_path(r, p, -1);
	attr_unref(r->attrs, p->attr);
	p->attr = a;
	count_path(r, p, 1);
	return true;
}

void rib_change_stale(struct rib *r, uint16_t peer, uint8_t family, rib_change_fn *fn, void *arg)
{
	for (uint32_t idx = 0; has_paths(r, peer) && idx < r->prefixes.n; idx++) {
		if (!of_family(&r->prefixes.entry[idx], family))
			continue;
		uint32_t *at = &r->prefixes.entry[idx].value;
		while (*at != RIB_NONE) {
			struct rib_path *p = &r->paths[*at];
			if (p->peer == peer && p->flags & RIB_STALE && !change_stale(r, idx, p, fn, arg))
				path_drop(r, idx, at);
			else
				at = &r->paths[*at].next;
		}
	}
}

/* Next hops. */

struct nexthops *rib_nexthops(struct rib *r)
{
	return r->hops;
}

void rib_know_nexthop(struct rib *r, const struct addr *a, const struct nexthop_info *info)
{
	r->hops_changed |= nexthops_know(r->hops, a, info);
}

/* Policy may say something else of a path over another interface, though the decision does not. */
static unsigned touched_by_hop(const struct rib *r, const struct rib_path *p)
{
	return nexthops_renamed(r->hops, p->nexthop) ? touched_by(p, true) : 0;
}

/* One walk for however many next hops have changed. */
static void touch_changed_hops(struct rib *r)
{
	for (uint32_t idx = 0; idx < r->prefixes.n; idx++) {
		if (!prefixes_used(&r->prefixes, idx))
			continue;
		for (uint32_t i = r->prefixes.entry[idx].value; i != RIB_NONE; i = r->paths[i].next)
			if (nexthops_changed(r->hops, r->paths[i].nexthop))
				mark_dirty(r, idx, touched_by_hop(r, &r->paths[i]));
	}
	nexthops_settled(r->hops);
	r->hops_changed = false;
}

/* The decision. */

static void describe(const struct rib *r, const struct rib_path *p, struct best_path *ret)
{
	const struct attr_set *a = p->attr;
	const struct rib_peer *peer = rib_peer(r, p->peer);
	const struct nexthop_info *hop = nexthops_info(r->hops, p->nexthop);

	*ret = (struct best_path){
		.own = p->peer == RIB_SELF,
		.unreachable = hop->unreachable,
		.igp_metric = hop->metric,
		.stale = a->flags & ATTR_LLGR_STALE,
		.origin = a->origin,
		.as_path_len = a->as_path_len,
		.cluster_len = a->cluster_len,
		.local_pref = a->local_pref,
		.med = a->med,
		.first_asn = a->first_asn,
		.router_id = a->originator_id,
	};
	if (!peer)
		return;
	ret->ebgp = peer->ebgp;
	ret->peer = peer->addr;
	ret->path_id = p->path_id;
	if (!ret->router_id)
		ret->router_id = peer->router_id;
}

/* Gathers the usable paths and chooses; returns how many there are, *won is the index of the best. */
static size_t decide(struct rib *r, uint32_t idx, size_t *won)
{
	size_t n = 0;

	for (uint32_t p = r->prefixes.entry[idx].value; p != RIB_NONE; p = r->paths[p].next) {
		if (r->paths[p].flags & RIB_UNUSABLE)
			continue;
		if (n == r->decide_cap) {
			r->decide_cap = r->decide_cap ? r->decide_cap * 2 : 16;
			r->best = xrealloc(r->best, r->decide_cap * sizeof(*r->best));
			r->chosen = xrealloc(r->chosen, r->decide_cap * sizeof(struct rib_path *));
		}
		describe(r, &r->paths[p], &r->best[n]);
		r->chosen[n++] = &r->paths[p];
	}
	if (n)
		*won = best_choose(r->best, n);
	return n;
}

static bool same_hop_before(const struct rib *r, const size_t *multi, size_t n, size_t i)
{
	for (size_t j = 0; j < n; j++)
		if (r->chosen[multi[j]]->nexthop == r->chosen[i]->nexthop)
			return true;
	return false;
}

static bool is_before(const struct best_path *a, const struct best_path *b)
{
	int c = addr_cmp(&a->peer, &b->peer);

	return c < 0 || (c == 0 && a->path_id < b->path_id);
}

/* The paths used together: the best, then equal ones with other next hops by ascending peer address and path
 * identifier, so that the choice does not depend on who came first. */
static size_t choose_multi(const struct rib *r, size_t n, size_t won, size_t multi[RIB_MULTI_MAX])
{
	size_t k = 1;

	multi[0] = won;
	if (r->best[won].own)
		return 1;
	while (k < RIB_MULTI_MAX) {
		size_t next = n;
		for (size_t i = 0; i < n; i++) {
			if (!best_is_equal(&r->best[i]) || same_hop_before(r, multi, k, i))
				continue;
			if (next == n || is_before(&r->best[i], &r->best[next]))
				next = i;
		}
		if (next == n)
			break;
		multi[k++] = next;
	}
	return k;
}

static void mark_untold(struct rib *r, uint32_t idx)
{
	struct prefix_entry *e = &r->prefixes.entry[idx];

	if (e->flags & UNTOLD)
		return;
	e->flags |= UNTOLD;
	u32s_add(&r->untold, idx);
}

static void set_best(struct rib *r, struct rib_path *p, bool best)
{
	if (!(p->flags & RIB_BEST) == !best)
		return;
	p->flags ^= RIB_BEST;
	if (p->peer < r->npeers)
		r->peers[p->peer].best += best ? 1u : -1u;
}

/* Writes the outcome into the flags of the paths; true in *hops if the set of used ones is another one now.
 * Returns whether the best path is another one. */
static bool apply(struct rib *r, uint32_t idx, size_t n, size_t won, bool *hops)
{
	size_t multi[RIB_MULTI_MAX], k = n ? choose_multi(r, n, won, multi) : 0;
	const struct rib_path *best = n ? r->chosen[won] : NULL;
	bool changed = false;

	for (uint32_t i = r->prefixes.entry[idx].value; i != RIB_NONE; i = r->paths[i].next) {
		struct rib_path *p = &r->paths[i];
		bool used = false;
		for (size_t j = 0; j < k && !used; j++)
			used = r->chosen[multi[j]] == p;
		if (used != !!(p->flags & RIB_MULTI)) {
			p->flags ^= RIB_MULTI;
			*hops = true;
		}
		if ((p == best) != !!(p->flags & RIB_BEST)) {
			set_best(r, p, p == best);
			changed = true;
		}
	}
	return changed;
}

static void settle_one(struct rib *r, uint32_t idx)
{
	struct prefix_entry *e = &r->prefixes.entry[idx];
	bool best = e->flags & BEST_TOUCHED, hops = e->flags & HOPS_TOUCHED;
	size_t won = 0, n = decide(r, idx, &won);

	if (r->readers[RIB_VIEW_ALL] && e->flags & PATHS_TOUCHED)
		stamp(r, RIB_VIEW_ALL, idx);
	e->flags &= (uint8_t) ~(DIRTY | BEST_TOUCHED | HOPS_TOUCHED | PATHS_TOUCHED);
	if (apply(r, idx, n, won, &hops))
		best = true;
	if (best)
		stamp(r, RIB_VIEW_BEST, idx);
	if (hops)
		mark_untold(r, idx);
	if (e->value == RIB_NONE && !(e->flags & TOMB)) {
		e->flags |= TOMB;
		u32s_add(&r->tombstones, idx);
	}
}

void rib_settle(struct rib *r)
{
	if (r->hops_changed)
		touch_changed_hops(r);
	for (size_t i = 0; i < r->dirty.n; i++)
		settle_one(r, r->dirty.v[i]);
	r->dirty.n = 0;
}

static void entry_free(struct rib *r, uint32_t idx)
{
	for (size_t i = 0; i < ARRAY_SIZE(r->views); i++)
		journal_drop(&r->views[i], idx);
	prefixes_del(&r->prefixes, idx);
}

static uint64_t last_change(const struct rib *r, uint32_t idx)
{
	uint64_t best = journal_version_of(&r->views[RIB_VIEW_BEST], idx);

	return MAX(best, journal_version_of(&r->views[RIB_VIEW_ALL], idx));
}

bool rib_has_tombstones(const struct rib *r)
{
	return r->reaped < r->tombstones.n;
}

/* They stand in the order in which they died, so the first that is still needed ends the search. */
void rib_reap(struct rib *r, uint64_t v, rib_gone_fn *fn, void *arg)
{
	for (; r->reaped < r->tombstones.n; r->reaped++) {
		if (r->reaped + PREFIXES_AHEAD < r->tombstones.n)
			prefixes_prefetch_at(&r->prefixes, r->tombstones.v[r->reaped + PREFIXES_AHEAD]);
		uint32_t idx = r->tombstones.v[r->reaped];
		struct prefix_entry *e = &r->prefixes.entry[idx];
		if (e->value != RIB_NONE) { /* it lives again */
			e->flags &= (uint8_t)~TOMB;
			continue;
		}
		if (last_change(r, idx) > v || e->flags & (UNTOLD | DIRTY))
			break;
		if (fn)
			fn(arg, idx);
		entry_free(r, idx);
	}
	if (r->reaped == r->tombstones.n)
		r->tombstones.n = r->reaped = 0;
	else
		u32s_shift(&r->tombstones, &r->reaped);
}

/* Looking. */

uint32_t rib_find(const struct rib *r, const struct prefix *p)
{
	return prefixes_find(&r->prefixes, p);
}

void rib_prefetch(const struct rib *r, const struct prefix *p)
{
	prefixes_prefetch(&r->prefixes, p);
}

struct prefix rib_prefix(const struct rib *r, uint32_t idx)
{
	return prefixes_get(&r->prefixes, idx);
}

bool rib_used(const struct rib *r, uint32_t idx)
{
	return prefixes_used(&r->prefixes, idx);
}

const struct rib_path *rib_first(const struct rib *r, uint32_t idx)
{
	uint32_t p = r->prefixes.entry[idx].value;

	return p == RIB_NONE ? NULL : &r->paths[p];
}

const struct rib_path *rib_next(const struct rib *r, const struct rib_path *path)
{
	return path->next == RIB_NONE ? NULL : &r->paths[path->next];
}

const struct rib_path *rib_best(const struct rib *r, uint32_t idx)
{
	for (uint32_t p = r->prefixes.entry[idx].value; p != RIB_NONE; p = r->paths[p].next)
		if (r->paths[p].flags & RIB_BEST)
			return &r->paths[p];
	return NULL;
}

struct addr rib_nexthop(const struct rib *r, const struct rib_path *path)
{
	return *nexthops_addr(r->hops, path->nexthop);
}

const struct nexthop_info *rib_nexthop_info(const struct rib *r, const struct rib_path *path)
{
	return nexthops_info(r->hops, path->nexthop);
}

uint32_t rib_path_number(const struct rib *r, const struct rib_path *path)
{
	return (uint32_t)(path - r->paths) + 1;
}

size_t rib_explain(struct rib *r, uint32_t idx, const struct best_path **ret,
		   const struct rib_path *const **ret_paths)
{
	size_t won, n = decide(r, idx, &won);

	*ret = r->best;
	*ret_paths = r->chosen;
	return n;
}

/* The queue of the untold. */

void rib_untell_all(struct rib *r)
{
	for (uint32_t i = 0; i < r->prefixes.n; i++)
		if (prefixes_used(&r->prefixes, i) && r->prefixes.entry[i].value != RIB_NONE)
			mark_untold(r, i);
}

void rib_told_all(struct rib *r)
{
	while (rib_pop_untold(r) != RIB_NONE)
		;
}

uint32_t rib_pop_untold(struct rib *r)
{
	if (r->told == r->untold.n) {
		r->untold.n = r->told = 0;
		return RIB_NONE;
	}
	uint32_t idx = r->untold.v[r->told++];
	r->prefixes.entry[idx].flags &= (uint8_t)~UNTOLD;
	u32s_shift(&r->untold, &r->told);
	return idx;
}
