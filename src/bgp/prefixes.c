/* Open addressing with linear probing; deletion shifts back, so there are no graves in the slots. */
#include "bgp/prefixes.h"

#include "base/check.h"
#include "bgp/hash.h"

#include <assert.h>

static_assert(sizeof(struct prefix_entry) == 12, "a prefix costs 12 bytes");
static_assert(PREFIXES_MAX < 1 << 24, "a number fits beside its tag");

/* IPv6 addresses of prefixes. */
struct prefix_wide {
	union {
		uint8_t b[16];
		uint32_t next; /* free: the next free one */
	};
};

void prefixes_init(struct prefixes *t, uint64_t seed)
{
	*t = (struct prefixes){
		.seed = seed, .free = PREFIXES_NONE, .free_wide = PREFIXES_NONE, .nslots = 64
	};
	t->slots = xcalloc(t->nslots, sizeof(*t->slots));
}

void prefixes_done(struct prefixes *t)
{
	free(t->entry);
	free(t->slots);
	free(t->wide);
}

size_t prefixes_bytes(const struct prefixes *t)
{
	return t->cap * sizeof(*t->entry) + t->nslots * sizeof(*t->slots) + t->wide_cap * sizeof(*t->wide);
}

/* Eight bits of the hash stand beside the index: a probe that misses rarely has to look at the prefix itself,
 * which would be a cache miss. */
#define SLOT_INDEX 0xffffffu

static uint64_t hash_prefix(const struct prefixes *t, const struct prefix *p)
{
	return hash_addr(&p->addr, p->len, t->seed);
}

static uint32_t wide_of(const struct prefix_entry *e)
{
	uint32_t i;

	memcpy(&i, e->key, sizeof(i));
	return i;
}

struct prefix prefixes_get(const struct prefixes *t, uint32_t idx)
{
	const struct prefix_entry *e = &t->entry[idx];
	struct prefix p = { .addr.family = e->family6 ? AF_INET6 : AF_INET, .len = e->len };

	if (e->family6)
		memcpy(p.addr.b, t->wide[wide_of(e)].b, 16);
	else
		memcpy(p.addr.b, e->key, 4);
	return p;
}

static bool entry_is(const struct prefixes *t, const struct prefix_entry *e, const struct prefix *p)
{
	if (e->len != p->len || e->family6 != (p->addr.family == AF_INET6))
		return false;
	return e->family6 ? !memcmp(t->wide[wide_of(e)].b, p->addr.b, 16) : !memcmp(e->key, p->addr.b, 4);
}

static void wide_take(struct prefixes *t, struct prefix_entry *e, const struct addr *a)
{
	uint32_t i = t->free_wide;

	if (i != PREFIXES_NONE) {
		t->free_wide = t->wide[i].next;
	} else {
		if (t->nwide == t->wide_cap) {
			t->wide_cap = t->wide_cap ? t->wide_cap + t->wide_cap / 2 : 64;
			t->wide = xrealloc(t->wide, t->wide_cap * sizeof(*t->wide));
		}
		i = t->nwide++;
	}
	memcpy(t->wide[i].b, a->b, 16);
	memcpy(e->key, &i, sizeof(i));
}

static void wide_give(struct prefixes *t, const struct prefix_entry *e)
{
	uint32_t i = wide_of(e);

	t->wide[i].next = t->free_wide;
	t->free_wide = i;
}

static uint64_t hash_entry(const struct prefixes *t, uint32_t idx)
{
	struct prefix p = prefixes_get(t, idx);

	return hash_prefix(t, &p);
}

static uint32_t slot_value(uint64_t hash, uint32_t idx)
{
	return (uint32_t)(hash >> 56) << 24 | (idx + 1);
}

uint32_t prefixes_find(const struct prefixes *t, const struct prefix *p)
{
	uint64_t h = hash_prefix(t, p);
	uint32_t mask = t->nslots - 1, tag = (uint32_t)(h >> 56);

	for (uint32_t s = (uint32_t)h & mask; t->slots[s]; s = (s + 1) & mask) {
		uint32_t idx = (t->slots[s] & SLOT_INDEX) - 1;
		if (t->slots[s] >> 24 == tag && entry_is(t, &t->entry[idx], p))
			return idx;
	}
	return PREFIXES_NONE;
}

static void slot_put(struct prefixes *t, uint32_t idx)
{
	uint64_t h = hash_entry(t, idx);
	uint32_t s = (uint32_t)h & (t->nslots - 1);

	while (t->slots[s])
		s = (s + 1) & (t->nslots - 1);
	t->slots[s] = slot_value(h, idx);
}

static void slot_prefetch(const struct prefixes *t, uint64_t hash)
{
	__builtin_prefetch(&t->slots[(uint32_t)hash & (t->nslots - 1)], 1);
}

void prefixes_prefetch(const struct prefixes *t, const struct prefix *p)
{
	slot_prefetch(t, hash_prefix(t, p));
}

void prefixes_prefetch_at(const struct prefixes *t, uint32_t i)
{
	slot_prefetch(t, hash_entry(t, i));
}

static void slots_grow(struct prefixes *t)
{
	free(t->slots);
	t->nslots *= 2;
	t->slots = xcalloc(t->nslots, sizeof(*t->slots));
	for (uint32_t i = 0; i < t->n; i++) {
		if (i + PREFIXES_AHEAD < t->n)
			slot_prefetch(t, hash_entry(t, i + PREFIXES_AHEAD));
		if (t->entry[i].used)
			slot_put(t, i);
	}
}

static void slot_del(struct prefixes *t, uint32_t idx)
{
	uint64_t h = hash_entry(t, idx);
	uint32_t mask = t->nslots - 1, hole = (uint32_t)h & mask;

	while (t->slots[hole] != slot_value(h, idx))
		hole = (hole + 1) & mask;
	for (uint32_t s = (hole + 1) & mask; t->slots[s]; s = (s + 1) & mask) {
		uint32_t home = (uint32_t)hash_entry(t, (t->slots[s] & SLOT_INDEX) - 1) & mask;
		/* May move into the hole if its home is not between the hole (exclusive) and where it is. */
		if (((s - home) & mask) < ((s - hole) & mask))
			continue;
		t->slots[hole] = t->slots[s];
		hole = s;
	}
	t->slots[hole] = 0;
}

uint32_t prefixes_add(struct prefixes *t, const struct prefix *p)
{
	uint32_t i = t->free;

	CHECK(t->used < PREFIXES_MAX);
	if ((t->used + 1) * 4 > t->nslots * 3)
		slots_grow(t);
	if (i != PREFIXES_NONE) {
		t->free = t->entry[i].value;
	} else {
		if (t->n == t->cap) {
			t->cap = t->cap ? t->cap + t->cap / 2 : 64;
			t->entry = xrealloc(t->entry, t->cap * sizeof(*t->entry));
		}
		i = t->n++;
	}
	t->entry[i] = (struct prefix_entry){
		.family6 = p->addr.family == AF_INET6, .len = p->len, .used = true, .value = PREFIXES_NONE
	};
	if (p->addr.family == AF_INET6)
		wide_take(t, &t->entry[i], &p->addr);
	else
		memcpy(t->entry[i].key, p->addr.b, 4);
	t->used++;
	slot_put(t, i);
	return i;
}

void prefixes_del(struct prefixes *t, uint32_t i)
{
	slot_del(t, i);
	if (t->entry[i].family6)
		wide_give(t, &t->entry[i]);
	t->entry[i] = (struct prefix_entry){ .value = t->free };
	t->free = i;
	t->used--;
}

bool prefixes_used(const struct prefixes *t, uint32_t i)
{
	return i < t->n && t->entry[i].used;
}
