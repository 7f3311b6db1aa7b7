/*
 * The RIB. Prefixes are found by hash (an exact match is all BGP needs) and live in one array; paths live in
 * another, chained per prefix. Next hops are interned: thousands of paths share a handful.
 */
#include "bgp/rib.h"

#include "base/check.h"

#include <assert.h>

/* Flags of an entry. */
enum {
	USED = 1,
	DIRTY = 2,	  /* is in r->dirty */
	BEST_TOUCHED = 4, /* the path that was best is another one now, or gone */
	HOPS_TOUCHED = 8, /* a path that was used is gone or has another next hop */
	UNTOLD = 16,	  /* is in r->untold */
	TOMB = 32,	  /* is in r->tombstones */
};

struct entry {
	struct prefix prefix;
	uint8_t flags, spare;
	uint32_t paths;	       /* first path; of a free entry: the next free one */
	uint32_t vprev, vnext; /* the list of changes */
	uint64_t version;      /* 0 = never had a best path, not in the list */
};
static_assert(sizeof(struct entry) == 40, "a prefix costs 40 bytes");
static_assert(sizeof(struct rib_path) == 24, "a path costs 24 bytes");

struct hop {
	struct addr addr;
	uint32_t refs; /* 0 = free, next is then the next free one */
	uint32_t next; /* in its bucket */
};

struct u32s {
	uint32_t *v;
	size_t n, cap;
};

#define WALKS 16 /* readers in the middle of the list whose place is remembered; a power of two */

/* The change after version `version` is at `at`. */
struct walk {
	uint64_t version;
	uint32_t at;
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
	struct hop *hops;
	uint32_t nhops, hops_cap, free_hop, hops_used;
	uint32_t *hop_slots; /* chained: first hop + 1 */
	uint32_t nhop_slots;
	struct rib_peer *peers;
	uint32_t npeers;
	uint64_t version;
	uint32_t head, tail; /* of the list of changes */
	struct walk walks[WALKS];
	uint32_t next_walk;
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

static uint64_t mix(uint64_t a, uint64_t b)
{
	__uint128_t m = (__uint128_t)a * b;

	return (uint64_t)m ^ (uint64_t)(m >> 64);
}

static uint64_t hash_addr(const struct addr *a, uint8_t len, uint64_t seed)
{
	uint64_t hi, lo;

	memcpy(&hi, a->b, 8);
	memcpy(&lo, a->b + 8, 8);
	uint64_t tail = (uint64_t)a->family << 8 | len;
	return mix(hi ^ seed ^ 0x9e3779b97f4a7c15ull,
		   mix(lo ^ 0xd1b54a32d192ed03ull, tail ^ seed ^ 0xa0761d6478bd642full) ^
			   0xe7037ed1a0b428dbull);
}

struct rib *rib_new(struct attr_table *t, uint64_t seed)
{
	struct rib *r = xcalloc(1, sizeof(*r));

	r->attrs = t;
	r->seed = seed;
	r->free_entry = r->free_path = r->free_hop = r->head = r->tail = RIB_NONE;
	r->nslots = r->nhop_slots = 64;
	r->slots = xcalloc(r->nslots, sizeof(*r->slots));
	r->hop_slots = xcalloc(r->nhop_slots, sizeof(*r->hop_slots));
	for (size_t i = 0; i < WALKS; i++)
		r->walks[i].at = RIB_NONE;
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
	free(r->hops);
	free(r->hop_slots);
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
	       r->paths_cap * sizeof(struct rib_path) + r->hops_cap * sizeof(struct hop) +
	       r->nhop_slots * sizeof(uint32_t) + r->npeers * sizeof(struct rib_peer) +
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

/* Next hops: a chained hash; there are few, and each is counted. */

static uint32_t *hop_slot(const struct rib *r, const struct addr *a)
{
	return &r->hop_slots[hash_addr(a, 0, r->seed) & (r->nhop_slots - 1)];
}

static void hops_grow(struct rib *r)
{
	free(r->hop_slots);
	r->nhop_slots *= 2;
	r->hop_slots = xcalloc(r->nhop_slots, sizeof(*r->hop_slots));
	for (uint32_t i = 0; i < r->nhops; i++) {
		if (!r->hops[i].refs)
			continue;
		uint32_t *slot = hop_slot(r, &r->hops[i].addr);
		r->hops[i].next = *slot;
		*slot = i + 1;
	}
}

static uint32_t hop_new(struct rib *r)
{
	uint32_t i = r->free_hop;

	if (i != RIB_NONE) {
		r->free_hop = r->hops[i].next;
		return i;
	}
	if (r->nhops == r->hops_cap) {
		r->hops_cap = r->hops_cap ? r->hops_cap * 2 : 16;
		r->hops = xrealloc(r->hops, r->hops_cap * sizeof(*r->hops));
	}
	return r->nhops++;
}

static uint32_t hop_get(struct rib *r, const struct addr *a)
{
	for (uint32_t i = *hop_slot(r, a); i; i = r->hops[i - 1].next) {
		if (addr_eq(&r->hops[i - 1].addr, a)) {
			r->hops[i - 1].refs++;
			return i - 1;
		}
	}
	if (r->hops_used++ >= r->nhop_slots)
		hops_grow(r);
	uint32_t i = hop_new(r), *slot = hop_slot(r, a);
	r->hops[i] = (struct hop){ *a, 1, *slot };
	*slot = i + 1;
	return i;
}

static void hop_put(struct rib *r, uint32_t i)
{
	if (--r->hops[i].refs)
		return;
	uint32_t *at = hop_slot(r, &r->hops[i].addr);
	while (*at != i + 1)
		at = &r->hops[*at - 1].next;
	*at = r->hops[i].next;
	r->hops[i].next = r->free_hop;
	r->free_hop = i;
	r->hops_used--;
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
		if (r->slots[s] >> 24 == tag && prefix_eq(&r->entries[idx].prefix, p))
			return idx;
	}
	return RIB_NONE;
}

static void slot_put(struct rib *r, uint32_t idx)
{
	uint64_t h = hash_prefix(r, &r->entries[idx].prefix);
	uint32_t s = (uint32_t)h & (r->nslots - 1);

	while (r->slots[s])
		s = (s + 1) & (r->nslots - 1);
	r->slots[s] = slot_value(h, idx);
}

static void slots_grow(struct rib *r)
{
	free(r->slots);
	r->nslots *= 2;
	r->slots = xcalloc(r->nslots, sizeof(*r->slots));
	for (uint32_t i = 0; i < r->nentries; i++)
		if (r->entries[i].flags & USED)
			slot_put(r, i);
}

static void slot_del(struct rib *r, uint32_t idx)
{
	uint64_t h = hash_prefix(r, &r->entries[idx].prefix);
	uint32_t mask = r->nslots - 1, hole = (uint32_t)h & mask;

	while (r->slots[hole] != slot_value(h, idx))
		hole = (hole + 1) & mask;
	for (uint32_t s = (hole + 1) & mask; r->slots[s]; s = (s + 1) & mask) {
		const struct entry *e = &r->entries[(r->slots[s] & SLOT_INDEX) - 1];
		uint32_t home = (uint32_t)hash_prefix(r, &e->prefix) & mask;
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
		.prefix = *p, .flags = USED, .paths = RIB_NONE, .vprev = RIB_NONE, .vnext = RIB_NONE
	};
	r->used++;
	slot_put(r, i);
	return i;
}

/* The list of changes. */

static void list_out(struct rib *r, uint32_t idx)
{
	struct entry *e = &r->entries[idx];

	if (!e->version)
		return;
	for (size_t i = 0; i < WALKS; i++)
		if (r->walks[i].at == idx)
			r->walks[i].at = e->vnext;
	if (e->vprev != RIB_NONE)
		r->entries[e->vprev].vnext = e->vnext;
	else
		r->head = e->vnext;
	if (e->vnext != RIB_NONE)
		r->entries[e->vnext].vprev = e->vprev;
	else
		r->tail = e->vprev;
	e->vprev = e->vnext = RIB_NONE;
	e->version = 0;
}

static void list_to_tail(struct rib *r, uint32_t idx)
{
	struct entry *e = &r->entries[idx];

	list_out(r, idx);
	e->version = ++r->version;
	e->vprev = r->tail;
	if (r->tail != RIB_NONE)
		r->entries[r->tail].vnext = idx;
	else
		r->head = idx;
	r->tail = idx;
}

uint64_t rib_version(const struct rib *r)
{
	return r->version;
}

uint32_t rib_behind(const struct rib *r, uint32_t idx)
{
	return r->entries[idx].vnext;
}

uint64_t rib_version_of(const struct rib *r, uint32_t idx)
{
	return r->entries[idx].version;
}

uint32_t rib_after(const struct rib *r, uint64_t v)
{
	if (r->tail == RIB_NONE || r->entries[r->tail].version <= v)
		return RIB_NONE;
	if (v == 0 || r->entries[r->head].version > v)
		return r->head;
	for (size_t i = 0; i < WALKS; i++)
		if (r->walks[i].at != RIB_NONE && r->walks[i].version == v)
			return r->walks[i].at;
	/* Nearly always a few changes from the tail. */
	uint32_t idx = r->tail;
	while (r->entries[idx].vprev != RIB_NONE && r->entries[r->entries[idx].vprev].version > v)
		idx = r->entries[idx].vprev;
	return idx;
}

/* A remembered place at the end of the list (RIB_NONE) is worth nothing: from the tail it is found at once.
 */
void rib_remember(struct rib *r, uint64_t v)
{
	uint32_t at = rib_after(r, v);

	for (size_t i = 0; i < WALKS; i++)
		if (r->walks[i].at != RIB_NONE && r->walks[i].version == v)
			return;
	if (at != RIB_NONE && v != 0)
		r->walks[r->next_walk++ & (WALKS - 1)] = (struct walk){ v, at };
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
	return (p->flags & RIB_BEST ? BEST_TOUCHED : 0) |
	       (p->flags & RIB_MULTI && !hop_stays ? HOPS_TOUCHED : 0);
}

static void count_path(struct rib *r, const struct rib_path *p, int by)
{
	if (p->peer >= r->npeers)
		return;
	r->peers[p->peer].paths += (uint32_t)by;
	r->peers[p->peer].attr_bytes += (uint64_t)by * p->attr->len;
	if (!(p->flags & RIB_UNUSABLE))
		r->peers[p->peer].usable += (uint32_t)by;
}

static uint32_t path_of(const struct rib *r, uint32_t idx, uint16_t peer)
{
	uint32_t p = r->entries[idx].paths;

	while (p != RIB_NONE && r->paths[p].peer != peer)
		p = r->paths[p].next;
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
	uint32_t hop = hop_get(r, nexthop);

	p->flags &= (uint16_t)~RIB_STALE;
	if (p->attr == a && p->nexthop == hop && (p->flags & RIB_UNUSABLE) == flags) {
		hop_put(r, hop);
		return;
	}
	mark_dirty(r, idx, touched_by(p, p->nexthop == hop && !flags));
	count_path(r, p, -1);
	attr_ref(a);
	attr_unref(r->attrs, p->attr);
	hop_put(r, p->nexthop);
	p->attr = a;
	p->nexthop = hop;
	p->flags = (uint16_t)((p->flags & ~RIB_UNUSABLE) | flags);
	count_path(r, p, 1);
}

bool rib_learn(struct rib *r, const struct prefix *p, uint16_t peer, struct attr_set *a,
	       const struct addr *nexthop, uint16_t flags)
{
	uint32_t idx = rib_find(r, p);

	CHECK(!(flags & ~RIB_UNUSABLE));
	if (idx == RIB_NONE)
		idx = entry_new(r, p);
	if (idx == RIB_NONE)
		return false;
	uint32_t at = path_of(r, idx, peer);
	if (at != RIB_NONE) {
		path_replace(r, idx, &r->paths[at], a, nexthop, flags);
		return true;
	}
	at = path_new(r);
	r->paths[at] = (struct rib_path){ .attr = attr_ref(a),
					  .nexthop = hop_get(r, nexthop),
					  .next = r->entries[idx].paths,
					  .peer = peer,
					  .flags = flags };
	r->entries[idx].paths = at;
	count_path(r, &r->paths[at], 1);
	mark_dirty(r, idx, 0);
	return true;
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
	hop_put(r, p->nexthop);
	*at = p->next;
	*p = (struct rib_path){ .next = r->free_path };
	r->free_path = i;
}

bool rib_forget(struct rib *r, const struct prefix *p, uint16_t peer)
{
	uint32_t idx = rib_find(r, p);

	if (idx == RIB_NONE)
		return false;
	for (uint32_t *at = &r->entries[idx].paths; *at != RIB_NONE; at = &r->paths[*at].next) {
		if (r->paths[*at].peer == peer) {
			path_drop(r, idx, at);
			return true;
		}
	}
	return false;
}

static bool of_family(const struct entry *e, uint8_t family)
{
	return e->flags & USED && (!family || e->prefix.addr.family == family);
}

void rib_forget_peer(struct rib *r, uint16_t peer, uint8_t family, bool only_stale)
{
	if (peer < r->npeers && !r->peers[peer].paths)
		return;
	for (uint32_t idx = 0; idx < r->nentries; idx++) {
		if (!of_family(&r->entries[idx], family))
			continue;
		uint32_t *at = &r->entries[idx].paths;
		while (*at != RIB_NONE && r->paths[*at].peer != peer)
			at = &r->paths[*at].next;
		if (*at != RIB_NONE && (!only_stale || r->paths[*at].flags & RIB_STALE))
			path_drop(r, idx, at);
	}
}

void rib_stale_peer(struct rib *r, uint16_t peer, uint8_t family)
{
	for (uint32_t idx = 0; idx < r->nentries; idx++) {
		if (!of_family(&r->entries[idx], family))
			continue;
		uint32_t at = path_of(r, idx, peer);
		if (at != RIB_NONE)
			r->paths[at].flags |= RIB_STALE;
	}
}

/* The decision. */

static void describe(const struct rib *r, const struct rib_path *p, struct best_path *ret)
{
	const struct attr_set *a = p->attr;
	const struct rib_peer *peer = rib_peer(r, p->peer);

	*ret = (struct best_path){
		.own = p->peer == RIB_SELF,
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

/* The paths used together: the best, then equal ones with other next hops by ascending peer address, so that
 * the choice does not depend on who came first. */
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
			if (next == n || addr_cmp(&r->best[i].peer, &r->best[next].peer) < 0)
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

	e->flags &= (uint8_t) ~(DIRTY | BEST_TOUCHED | HOPS_TOUCHED);
	if (apply(r, idx, n, won, &hops))
		best = true;
	if (best)
		list_to_tail(r, idx);
	if (hops)
		mark_untold(r, idx);
	if (e->paths == RIB_NONE && !(e->flags & TOMB)) {
		e->flags |= TOMB;
		u32s_add(&r->tombstones, idx);
	}
}

void rib_settle(struct rib *r)
{
	for (size_t i = 0; i < r->dirty.n; i++)
		settle_one(r, r->dirty.v[i]);
	r->dirty.n = 0;
}

static void entry_free(struct rib *r, uint32_t idx)
{
	slot_del(r, idx);
	list_out(r, idx);
	r->entries[idx] = (struct entry){ .paths = r->free_entry };
	r->free_entry = idx;
	r->used--;
}

bool rib_has_tombstones(const struct rib *r)
{
	return r->reaped < r->tombstones.n;
}

/* They stand in the order in which they died, so the first that is still needed ends the search. */
void rib_reap(struct rib *r, uint64_t v, rib_gone_fn *fn, void *arg)
{
	for (; r->reaped < r->tombstones.n; r->reaped++) {
		uint32_t idx = r->tombstones.v[r->reaped];
		struct entry *e = &r->entries[idx];
		if (e->paths != RIB_NONE) { /* it lives again */
			e->flags &= (uint8_t)~TOMB;
			continue;
		}
		if (e->version > v || e->flags & (UNTOLD | DIRTY))
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

const struct prefix *rib_prefix(const struct rib *r, uint32_t idx)
{
	return &r->entries[idx].prefix;
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
	return r->hops[path->nexthop].addr;
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
