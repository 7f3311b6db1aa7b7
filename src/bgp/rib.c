/*
 * The RIB. Prefixes are found by hash (an exact match is all BGP needs) and live in one array; paths live in
 * another, chained per prefix. An IPv4 prefix stands in its entry itself, the address of an IPv6 one in an
 * array of its own: most tables are mostly one or the other, and a route should cost what it is.
 */
#include "bgp/rib.h"

#include "base/check.h"
#include "bgp/hash.h"

#include <assert.h>

/* Flags of an entry. */
enum {
	USED = 1,
	DIRTY = 2,	    /* is in r->dirty */
	BEST_TOUCHED = 4,   /* the path that was best is another one now, or gone */
	HOPS_TOUCHED = 8,   /* a path that was used is gone or has another next hop */
	UNTOLD = 16,	    /* is in r->untold */
	TOMB = 32,	    /* is in r->tombstones */
	PATHS_TOUCHED = 64, /* a path came, went or changed */
};

struct entry {
	uint8_t key[4]; /* an IPv4 address; of IPv6: where it is in r->wide */
	uint8_t family6, len, flags, spare;
	uint32_t paths; /* first path; of a free entry: the next free one */
};
static_assert(sizeof(struct entry) == 12, "a prefix costs 12 bytes, and 16 in each journal");
static_assert(sizeof(struct rib_path) == 24, "a path costs 24 bytes");

/* IPv6 addresses of prefixes. */
struct wide {
	union {
		uint8_t b[16];
		uint32_t next; /* free: the next free one */
	};
};

struct u32s {
	uint32_t *v;
	size_t n, cap;
};

struct rib {
	struct attr_table *attrs;
	uint64_t seed;
	struct entry *entries;
	uint32_t nentries, entries_cap, free_entry, used;
	uint32_t *slots; /* tag << 24 | entry + 1, 0 = empty; open addressing */
	uint32_t nslots; /* a power of two */
	struct rib_path *paths;
	uint32_t npaths, paths_cap, free_path;
	struct wide *wide;
	uint32_t nwide, wide_cap, free_wide;
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
	r->seed = seed;
	r->free_entry = r->free_path = r->free_wide = RIB_NONE;
	r->nslots = 64;
	r->slots = xcalloc(r->nslots, sizeof(*r->slots));
	r->hops = nexthops_new(seed);
	for (size_t i = 0; i < ARRAY_SIZE(r->views); i++)
		journal_init(&r->views[i]);
	return r;
}

void rib_free(struct rib *r)
{
	if (!r)
		return;
	for (uint32_t i = 0; i < r->nentries; i++)
		if (r->entries[i].flags & USED)
			for (uint32_t p = r->entries[i].paths; p != RIB_NONE; p = r->paths[p].next)
				attr_unref(r->attrs, r->paths[p].attr);
	free(r->entries);
	free(r->slots);
	free(r->paths);
	free(r->wide);
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
	return r->used;
}

uint32_t rib_limit(const struct rib *r)
{
	return r->nentries;
}

size_t rib_bytes(const struct rib *r)
{
	return sizeof(*r) + r->entries_cap * sizeof(struct entry) + r->nslots * sizeof(uint32_t) +
	       r->paths_cap * sizeof(struct rib_path) + r->wide_cap * sizeof(struct wide) +
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

/* Prefixes: open addressing with linear probing; deletion shifts back, so there are no graves in the slots.
 */

/* Eight bits of the hash stand beside the index: a probe that misses rarely has to look at the prefix itself,
 * which would be a cache miss. */
static_assert(RIB_PREFIXES_MAX < 1 << 24, "an index fits beside its tag");
#define SLOT_INDEX 0xffffffu

static uint64_t hash_prefix(const struct rib *r, const struct prefix *p)
{
	return hash_addr(&p->addr, p->len, r->seed);
}

static uint32_t wide_of(const struct entry *e)
{
	uint32_t i;

	memcpy(&i, e->key, sizeof(i));
	return i;
}

struct prefix rib_prefix(const struct rib *r, uint32_t idx)
{
	const struct entry *e = &r->entries[idx];
	struct prefix p = { .addr.family = e->family6 ? AF_INET6 : AF_INET, .len = e->len };

	if (e->family6)
		memcpy(p.addr.b, r->wide[wide_of(e)].b, 16);
	else
		memcpy(p.addr.b, e->key, 4);
	return p;
}

static bool entry_is(const struct rib *r, const struct entry *e, const struct prefix *p)
{
	if (e->len != p->len || e->family6 != (p->addr.family == AF_INET6))
		return false;
	return e->family6 ? !memcmp(r->wide[wide_of(e)].b, p->addr.b, 16) : !memcmp(e->key, p->addr.b, 4);
}

static void wide_take(struct rib *r, struct entry *e, const struct addr *a)
{
	uint32_t i = r->free_wide;

	if (i != RIB_NONE) {
		r->free_wide = r->wide[i].next;
	} else {
		if (r->nwide == r->wide_cap) {
			r->wide_cap = r->wide_cap ? r->wide_cap + r->wide_cap / 2 : 64;
			r->wide = xrealloc(r->wide, r->wide_cap * sizeof(*r->wide));
		}
		i = r->nwide++;
	}
	memcpy(r->wide[i].b, a->b, 16);
	memcpy(e->key, &i, sizeof(i));
}

static void wide_give(struct rib *r, const struct entry *e)
{
	uint32_t i = wide_of(e);

	r->wide[i].next = r->free_wide;
	r->free_wide = i;
}

static uint64_t hash_entry(const struct rib *r, uint32_t idx)
{
	struct prefix p = rib_prefix(r, idx);

	return hash_prefix(r, &p);
}

static uint32_t slot_value(uint64_t hash, uint32_t idx)
{
	return (uint32_t)(hash >> 56) << 24 | (idx + 1);
}

uint32_t rib_find(const struct rib *r, const struct prefix *p)
{
	uint64_t h = hash_prefix(r, p);
	uint32_t mask = r->nslots - 1, tag = (uint32_t)(h >> 56);

	for (uint32_t s = (uint32_t)h & mask; r->slots[s]; s = (s + 1) & mask) {
		uint32_t idx = (r->slots[s] & SLOT_INDEX) - 1;
		if (r->slots[s] >> 24 == tag && entry_is(r, &r->entries[idx], p))
			return idx;
	}
	return RIB_NONE;
}

static void slot_put(struct rib *r, uint32_t idx)
{
	uint64_t h = hash_entry(r, idx);
	uint32_t s = (uint32_t)h & (r->nslots - 1);

	while (r->slots[s])
		s = (s + 1) & (r->nslots - 1);
	r->slots[s] = slot_value(h, idx);
}

static void slot_prefetch(const struct rib *r, uint64_t hash)
{
	__builtin_prefetch(&r->slots[(uint32_t)hash & (r->nslots - 1)], 1);
}

void rib_prefetch(const struct rib *r, const struct prefix *p)
{
	slot_prefetch(r, hash_prefix(r, p));
}

static void slots_grow(struct rib *r)
{
	free(r->slots);
	r->nslots *= 2;
	r->slots = xcalloc(r->nslots, sizeof(*r->slots));
	for (uint32_t i = 0; i < r->nentries; i++) {
		if (i + RIB_AHEAD < r->nentries)
			slot_prefetch(r, hash_entry(r, i + RIB_AHEAD));
		if (r->entries[i].flags & USED)
			slot_put(r, i);
	}
}

static void slot_del(struct rib *r, uint32_t idx)
{
	uint64_t h = hash_entry(r, idx);
	uint32_t mask = r->nslots - 1, hole = (uint32_t)h & mask;

	while (r->slots[hole] != slot_value(h, idx))
		hole = (hole + 1) & mask;
	for (uint32_t s = (hole + 1) & mask; r->slots[s]; s = (s + 1) & mask) {
		uint32_t home = (uint32_t)hash_entry(r, (r->slots[s] & SLOT_INDEX) - 1) & mask;
		/* May move into the hole if its home is not between the hole (exclusive) and where it is. */
		if (((s - home) & mask) < ((s - hole) & mask))
			continue;
		r->slots[hole] = r->slots[s];
		hole = s;
	}
	r->slots[hole] = 0;
}

static uint32_t entry_new(struct rib *r, const struct prefix *p)
{
	uint32_t i = r->free_entry;

	if (r->used >= RIB_PREFIXES_MAX)
		return RIB_NONE;
	if ((r->used + 1) * 4 > r->nslots * 3)
		slots_grow(r);
	if (i != RIB_NONE) {
		r->free_entry = r->entries[i].paths;
	} else {
		if (r->nentries == r->entries_cap) {
			r->entries_cap = r->entries_cap ? r->entries_cap + r->entries_cap / 2 : 64;
			r->entries = xrealloc(r->entries, r->entries_cap * sizeof(*r->entries));
		}
		i = r->nentries++;
	}
	r->entries[i] = (struct entry){
		.family6 = p->addr.family == AF_INET6, .len = p->len, .flags = USED, .paths = RIB_NONE
	};
	if (p->addr.family == AF_INET6)
		wide_take(r, &r->entries[i], &p->addr);
	else
		memcpy(r->entries[i].key, p->addr.b, 4);
	r->used++;
	slot_put(r, i);
	return i;
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
	for (uint32_t i = 0; i < r->nentries; i++)
		if (r->entries[i].flags & USED && r->entries[i].paths != RIB_NONE)
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
	struct entry *e = &r->entries[idx];

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
	uint32_t p = r->entries[idx].paths;

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
	if (idx == RIB_NONE)
		idx = entry_new(r, p);
	if (idx == RIB_NONE)
		return RIB_FULL;
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
					  .next = r->entries[idx].paths,
					  .path_id = path_id,
					  .peer = peer,
					  .flags = flags };
	r->entries[idx].paths = at;
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
	for (uint32_t *at = &r->entries[idx].paths; *at != RIB_NONE; at = &r->paths[*at].next) {
		if (r->paths[*at].peer == peer && r->paths[*at].path_id == path_id) {
			path_drop(r, idx, at);
			return true;
		}
	}
	return false;
}

static bool of_family(const struct entry *e, uint8_t family)
{
	return e->flags & USED && (!family || e->family6 == (family == AF_INET6));
}

static bool has_paths(const struct rib *r, uint16_t peer)
{
	return peer >= r->npeers || r->peers[peer].paths;
}

void rib_forget_peer(struct rib *r, uint16_t peer, uint8_t family, bool only_stale)
{
	for (uint32_t idx = 0; has_paths(r, peer) && idx < r->nentries; idx++) {
		if (!of_family(&r->entries[idx], family))
			continue;
		uint32_t *at = &r->entries[idx].paths;
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
	for (uint32_t idx = 0; has_paths(r, peer) && idx < r->nentries; idx++) {
		if (!of_family(&r->entries[idx], family))
			continue;
		for (uint32_t i = r->entries[idx].paths; i != RIB_NONE; i = r->paths[i].next)
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
	for (uint32_t idx = 0; has_paths(r, peer) && idx < r->nentries; idx++) {
		if (!of_family(&r->entries[idx], family))
			continue;
		uint32_t *at = &r->entries[idx].paths;
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
	for (uint32_t idx = 0; idx < r->nentries; idx++) {
		if (!(r->entries[idx].flags & USED))
			continue;
		for (uint32_t i = r->entries[idx].paths; i != RIB_NONE; i = r->paths[i].next)
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

	for (uint32_t p = r->entries[idx].paths; p != RIB_NONE; p = r->paths[p].next) {
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
	struct entry *e = &r->entries[idx];

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

	for (uint32_t i = r->entries[idx].paths; i != RIB_NONE; i = r->paths[i].next) {
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
	struct entry *e = &r->entries[idx];
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
	if (e->paths == RIB_NONE && !(e->flags & TOMB)) {
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
	slot_del(r, idx);
	for (size_t i = 0; i < ARRAY_SIZE(r->views); i++)
		journal_drop(&r->views[i], idx);
	if (r->entries[idx].family6)
		wide_give(r, &r->entries[idx]);
	r->entries[idx] = (struct entry){ .paths = r->free_entry };
	r->free_entry = idx;
	r->used--;
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
		if (r->reaped + RIB_AHEAD < r->tombstones.n)
			slot_prefetch(r, hash_entry(r, r->tombstones.v[r->reaped + RIB_AHEAD]));
		uint32_t idx = r->tombstones.v[r->reaped];
		struct entry *e = &r->entries[idx];
		if (e->paths != RIB_NONE) { /* it lives again */
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

bool rib_used(const struct rib *r, uint32_t idx)
{
	return idx < r->nentries && r->entries[idx].flags & USED;
}

const struct rib_path *rib_first(const struct rib *r, uint32_t idx)
{
	uint32_t p = r->entries[idx].paths;

	return p == RIB_NONE ? NULL : &r->paths[p];
}

const struct rib_path *rib_next(const struct rib *r, const struct rib_path *path)
{
	return path->next == RIB_NONE ? NULL : &r->paths[path->next];
}

const struct rib_path *rib_best(const struct rib *r, uint32_t idx)
{
	for (uint32_t p = r->entries[idx].paths; p != RIB_NONE; p = r->paths[p].next)
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
	for (uint32_t i = 0; i < r->nentries; i++)
		if (r->entries[i].flags & USED && r->entries[i].paths != RIB_NONE)
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
	r->entries[idx].flags &= (uint8_t)~UNTOLD;
	u32s_shift(&r->untold, &r->told);
	return idx;
}
