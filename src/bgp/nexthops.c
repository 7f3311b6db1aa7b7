/* A chained hash over one growing array. A next hop that nobody uses any more stays until its watcher has
 * heard of it; used again meanwhile, it is the same one. */
#include "bgp/nexthops.h"

#include "base/check.h"
#include "bgp/hash.h"

#define NONE UINT32_MAX

struct hop {
	struct addr addr;
	bool free, watched, queued, changed, renamed;
	uint32_t refs, next; /* next: in its bucket, + 1; of a free one: the next free one */
	struct nexthop_info info;
};

struct nexthops {
	uint64_t seed;
	struct hop *hops;
	uint32_t nhops, cap, free_hop, used;
	uint32_t *slots; /* first hop + 1 */
	uint32_t nslots; /* a power of two */
	uint32_t *queue; /* those to be told about; each once */
	uint32_t nqueue, queue_cap, told;
	uint32_t nchanged;
	bool listening, names; /* names: interfaces matter */
};

struct nexthops *nexthops_new(uint64_t seed)
{
	struct nexthops *t = xcalloc(1, sizeof(*t));

	t->seed = seed;
	t->free_hop = NONE;
	t->nslots = 64;
	t->slots = xcalloc(t->nslots, sizeof(*t->slots));
	return t;
}

void nexthops_free(struct nexthops *t)
{
	if (!t)
		return;
	free(t->hops);
	free(t->slots);
	free(t->queue);
	free(t);
}

static uint32_t *slot_of(const struct nexthops *t, const struct addr *a)
{
	return &t->slots[hash_addr(a, 0, t->seed) & (t->nslots - 1)];
}

static void grow(struct nexthops *t)
{
	free(t->slots);
	t->nslots *= 2;
	t->slots = xcalloc(t->nslots, sizeof(*t->slots));
	for (uint32_t i = 0; i < t->nhops; i++) {
		if (t->hops[i].free)
			continue;
		uint32_t *slot = slot_of(t, &t->hops[i].addr);
		t->hops[i].next = *slot;
		*slot = i + 1;
	}
}

static uint32_t find(const struct nexthops *t, const struct addr *a)
{
	for (uint32_t i = *slot_of(t, a); i; i = t->hops[i - 1].next)
		if (addr_eq(&t->hops[i - 1].addr, a))
			return i - 1;
	return NONE;
}

static uint32_t allocate(struct nexthops *t)
{
	uint32_t i = t->free_hop;

	if (i != NONE) {
		t->free_hop = t->hops[i].next;
		return i;
	}
	if (t->nhops == t->cap) {
		t->cap = t->cap ? t->cap * 2 : 16;
		t->hops = xrealloc(t->hops, t->cap * sizeof(*t->hops));
	}
	return t->nhops++;
}

static void release(struct nexthops *t, uint32_t i)
{
	uint32_t *at = slot_of(t, &t->hops[i].addr);

	while (*at != i + 1)
		at = &t->hops[*at - 1].next;
	*at = t->hops[i].next;
	t->nchanged -= t->hops[i].changed;
	t->hops[i] = (struct hop){ .free = true, .next = t->free_hop };
	t->free_hop = i;
	t->used--;
}

/* Somebody is to hear about it, or it can go at once. */
static void note(struct nexthops *t, uint32_t i)
{
	struct hop *h = &t->hops[i];

	if (h->queued)
		return;
	if (!t->listening || !addr_is_set(&h->addr)) {
		if (!h->refs)
			release(t, i);
		return;
	}
	h->queued = true;
	if (t->told > 64 && t->told > t->nqueue / 2) {
		memmove(t->queue, t->queue + t->told, (t->nqueue - t->told) * sizeof(*t->queue));
		t->nqueue -= t->told;
		t->told = 0;
	}
	if (t->nqueue == t->queue_cap) {
		t->queue_cap = t->queue_cap ? t->queue_cap * 2 : 64;
		t->queue = xrealloc(t->queue, t->queue_cap * sizeof(*t->queue));
	}
	t->queue[t->nqueue++] = i;
}

uint32_t nexthops_get(struct nexthops *t, const struct addr *a)
{
	uint32_t i = find(t, a);

	if (i == NONE) {
		if (t->used++ >= t->nslots)
			grow(t);
		i = allocate(t);
		uint32_t *slot = slot_of(t, a);
		t->hops[i] = (struct hop){ .addr = *a, .next = *slot };
		*slot = i + 1;
	}
	if (t->hops[i].refs++ == 0 && !t->hops[i].watched)
		note(t, i);
	return i;
}

void nexthops_put(struct nexthops *t, uint32_t n)
{
	if (--t->hops[n].refs == 0)
		note(t, n);
}

const struct addr *nexthops_addr(const struct nexthops *t, uint32_t n)
{
	return &t->hops[n].addr;
}

const struct nexthop_info *nexthops_info(const struct nexthops *t, uint32_t n)
{
	return &t->hops[n].info;
}

const char *nexthops_ifname(const struct nexthops *t, const struct addr *a)
{
	uint32_t i = find(t, a);

	return i == NONE ? "" : t->hops[i].info.ifname;
}

void nexthops_heed_names(struct nexthops *t)
{
	t->names = true;
}

bool nexthops_know(struct nexthops *t, const struct addr *a, const struct nexthop_info *info)
{
	uint32_t i = find(t, a);

	if (i == NONE || !addr_is_set(a))
		return false;
	struct hop *h = &t->hops[i];
	bool renamed = t->names && strcmp(h->info.ifname, info->ifname) != 0;
	bool news = renamed || h->info.unreachable != info->unreachable || h->info.metric != info->metric;
	h->info = *info;
	if (!news || !h->refs)
		return false;
	t->nchanged += !h->changed;
	h->changed = true;
	h->renamed |= renamed;
	return true;
}

bool nexthops_changed(const struct nexthops *t, uint32_t n)
{
	return t->hops[n].changed;
}

bool nexthops_renamed(const struct nexthops *t, uint32_t n)
{
	return t->hops[n].renamed;
}

void nexthops_settled(struct nexthops *t)
{
	for (uint32_t i = 0; t->nchanged && i < t->nhops; i++) {
		t->nchanged -= t->hops[i].changed;
		t->hops[i].changed = t->hops[i].renamed = false;
	}
}

bool nexthops_pop(struct nexthops *t, struct addr *ret, bool *gone)
{
	while (t->told < t->nqueue) {
		uint32_t i = t->queue[t->told++];
		struct hop *h = &t->hops[i];
		bool used = h->refs, watched = h->watched;

		h->queued = false;
		h->watched = used;
		*ret = h->addr;
		*gone = !used;
		if (!used)
			release(t, i);
		if (used != watched)
			return true;
	}
	t->told = t->nqueue = 0;
	return false;
}

void nexthops_unwatch_all(struct nexthops *t)
{
	struct addr a;
	bool gone;

	while (nexthops_pop(t, &a, &gone))
		;
	t->listening = false;
	for (uint32_t i = 0; i < t->nhops; i++)
		t->hops[i].watched = false;
}

void nexthops_rewatch_all(struct nexthops *t)
{
	nexthops_unwatch_all(t);
	t->listening = true;
	for (uint32_t i = 0; i < t->nhops; i++)
		if (!t->hops[i].free)
			note(t, i);
}

size_t nexthops_count(const struct nexthops *t)
{
	return t->used;
}

size_t nexthops_bytes(const struct nexthops *t)
{
	return sizeof(*t) + t->cap * sizeof(*t->hops) + (t->nslots + t->queue_cap) * sizeof(uint32_t);
}
