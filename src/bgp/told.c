/* Bits and short lists by prefix index. */
#include "bgp/told.h"

#include "base/check.h"
#include "base/own.h"

struct told_ids {
	uint32_t n, cap;
	struct told_one {
		uint32_t id;
		uint16_t from;
		bool seen;
		uint64_t gone; /* the version in which it was withdrawn; 0 = announced */
	} of[];
};

void told_done(struct told *t)
{
	for (uint32_t i = 0; i < t->nids; i++)
		free(t->ids[i]);
	free(t->ids);
	free(t->ever);
	free(t->from);
	free(t->count_of);
	*t = (struct told){ 0 };
}

static void reach(struct told *t, uint32_t idx)
{
	uint32_t words = idx / 64 + 1;

	if (words <= t->words)
		return;
	words += words / 2;
	t->ever = xrealloc(t->ever, words * sizeof(uint64_t));
	t->from = xrealloc(t->from, words * 64 * sizeof(uint16_t));
	memset(t->ever + t->words, 0, (words - t->words) * sizeof(uint64_t));
	for (uint32_t i = t->words * 64; i < words * 64; i++)
		t->from[i] = TOLD_NOBODY;
	t->words = words;
}

static bool get(const uint64_t *bits, uint32_t i)
{
	return bits[i / 64] >> (i % 64) & 1;
}

static void put(uint64_t *bits, uint32_t i, bool v)
{
	if (v)
		bits[i / 64] |= (uint64_t)1 << (i % 64);
	else
		bits[i / 64] &= ~((uint64_t)1 << (i % 64));
}

bool told_known(struct told *t, uint32_t idx)
{
	reach(t, idx);
	return get(t->ever, idx);
}

static void count(struct told *t, uint16_t from, int by)
{
	if (from == TOLD_NOBODY)
		return;
	t->count += (uint32_t)by;
	if (from == TOLD_OURS)
		return;
	if (from >= t->npeers) {
		uint32_t n = from + from / 2 + 16;
		t->count_of = xrealloc(t->count_of, n * sizeof(uint32_t));
		memset(t->count_of + t->npeers, 0, (n - t->npeers) * sizeof(uint32_t));
		t->npeers = n;
	}
	t->count_of[from] += (uint32_t)by;
}

uint32_t told_count(const struct told *t, uint16_t peer)
{
	return t->count - (peer < t->npeers ? t->count_of[peer] : 0);
}

void told_say(struct told *t, uint32_t idx, uint16_t from)
{
	reach(t, idx);
	count(t, t->from[idx], -1);
	count(t, from, 1);
	t->from[idx] = from;
	if (from != TOLD_NOBODY)
		put(t->ever, idx, true);
}

/* Path numbers. */

static struct told_ids *ids_of(const struct told *t, uint32_t idx)
{
	return idx < t->nids ? t->ids[idx] : NULL;
}

static struct told_one *find(const struct told *t, uint32_t idx, uint32_t id)
{
	struct told_ids *l = ids_of(t, idx);

	for (uint32_t i = 0; l && i < l->n; i++)
		if (l->of[i].id == id)
			return &l->of[i];
	return NULL;
}

static struct told_one *add(struct told *t, uint32_t idx, uint32_t id)
{
	if (idx >= t->nids) {
		uint32_t n = idx + idx / 2 + 16;
		t->ids = xrealloc(t->ids, n * sizeof(struct told_ids *));
		memset(t->ids + t->nids, 0, (n - t->nids) * sizeof(struct told_ids *));
		t->nids = n;
	}
	struct told_ids *l = t->ids[idx];
	if (!l || l->n == l->cap) {
		uint32_t n = l ? l->n : 0, cap = l ? l->cap * 2 : 2;
		l = t->ids[idx] = xrealloc(l, sizeof(*l) + cap * sizeof(l->of[0]));
		l->n = n;
		l->cap = cap;
	}
	l->of[l->n] = (struct told_one){ .id = id, .from = TOLD_NOBODY };
	return &l->of[l->n++];
}

void told_ids_begin(struct told *t, uint32_t idx)
{
	struct told_ids *l = ids_of(t, idx);

	for (uint32_t i = 0; l && i < l->n; i++)
		l->of[i].seen = false;
}

/* What is withdrawn belongs to nobody. */
static void set_from(struct told *t, struct told_one *o, uint16_t from)
{
	count(t, o->from, -1);
	count(t, from, 1);
	o->from = from;
}

bool told_id(struct told *t, uint32_t idx, uint32_t id, uint16_t from)
{
	struct told_one *o = find(t, idx, id);
	bool known = o;

	if (!o)
		o = add(t, idx, id);
	set_from(t, o, from);
	o->gone = 0;
	o->seen = true;
	return known;
}

void told_ids_end(struct told *t, uint32_t idx, uint64_t version, uint64_t abreast)
{
	struct told_ids *l = ids_of(t, idx);
	uint32_t kept = 0;

	for (uint32_t i = 0; l && i < l->n; i++) {
		struct told_one *o = &l->of[i];
		if (!o->seen && !o->gone) {
			o->gone = version;
			set_from(t, o, TOLD_NOBODY);
		} else if (o->gone && o->gone <= abreast) {
			continue;
		}
		l->of[kept++] = *o;
	}
	if (!l)
		return;
	l->n = kept;
	if (kept)
		return;
	free(l);
	t->ids[idx] = NULL;
}

uint32_t told_gone(const struct told *t, uint32_t idx, size_t *i)
{
	const struct told_ids *l = ids_of(t, idx);

	while (l && *i < l->n) {
		const struct told_one *o = &l->of[(*i)++];
		if (o->gone)
			return o->id;
	}
	return 0;
}

void told_id_failed(struct told *t, uint32_t idx, uint32_t id, uint64_t version)
{
	struct told_one *o = find(t, idx, id);

	if (!o || o->gone)
		return;
	o->gone = version;
	set_from(t, o, TOLD_NOBODY);
}

void told_forget(struct told *t, uint32_t idx)
{
	struct told_ids *l = ids_of(t, idx);

	for (uint32_t i = 0; l && i < l->n; i++)
		count(t, l->of[i].from, -1);
	if (l)
		free(take(t->ids[idx]));
	if (idx / 64 >= t->words)
		return;
	told_say(t, idx, TOLD_NOBODY);
	put(t->ever, idx, false);
}

static void join_ids(struct told *t, uint32_t idx, const struct told_ids *l, uint64_t version)
{
	for (uint32_t i = 0; l && i < l->n; i++) {
		struct told_one *o = find(t, idx, l->of[i].id);
		if (!o) {
			o = add(t, idx, l->of[i].id);
			o->gone = version;
		} else if (o->gone) {
			o->gone = version;
		}
	}
}

void told_join(struct told *t, const struct told *other, uint64_t version)
{
	if (other->words)
		reach(t, other->words * 64 - 1);
	for (uint32_t i = 0; i < other->words; i++)
		t->ever[i] |= other->ever[i];
	for (uint32_t i = 0; i < other->nids; i++)
		join_ids(t, i, other->ids[i], version);
}
