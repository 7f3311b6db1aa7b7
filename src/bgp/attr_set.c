/*
 * Attribute sets: interned canonical bytes, made from a message or from another set, asked, written and
 * shown.
 */
#include "base/check.h"
#include "bgp/as_path.h"
#include "bgp/attr.h"
#include "bgp/attr_row.h"
#include "bgp/cells.h"
#include "bgp/hash.h"
#include "bgp/msg.h"

/* --- canonical bytes --- */

static size_t item_size(size_t len)
{
	return (len > UINT8_MAX ? 4 : 3) + len;
}

static void put_header(struct wr *w, uint8_t flags, uint8_t code, size_t len)
{
	flags &= (uint8_t)~ATTR_F_EXTENDED;
	if (len > UINT16_MAX) {
		w->bad = true;
		return;
	}
	wr_u8(w, len > UINT8_MAX ? flags | ATTR_F_EXTENDED : flags);
	wr_u8(w, code);
	if (len > UINT8_MAX)
		wr_be16(w, (uint16_t)len);
	else
		wr_u8(w, (uint8_t)len);
}

static void put_item(struct wr *w, uint8_t flags, uint8_t code, const void *value, size_t len)
{
	put_header(w, flags, code, len);
	wr_bytes(w, value, len);
}

/* The next attribute of canonical bytes; our own, but read like any others. */
static bool item_next(struct rd *r, struct attr_item *ret)
{
	if (!rd_left(r))
		return false;
	ret->flags = rd_u8(r);
	ret->code = rd_u8(r);
	ret->len = ret->flags & ATTR_F_EXTENDED ? rd_be16(r) : rd_u8(r);
	ret->at = rd_bytes(r, ret->len);
	return rd_ok(r);
}

static struct rd item_value(const struct attr_item *it)
{
	return it ? rd_of(it->at, it->len) : (struct rd){ 0 };
}

/* --- the table of sets --- */

#define SLOTS_MIN 64

/* Open addressing, linear probing. The hashes are beside the sets' numbers, so probing and growing touch no
 * set but the one that is looked for. */
struct slot {
	uint32_t hash;
	uint32_t cell; /* 0 = empty */
};

struct attr_table {
	struct slot *slot;
	size_t nslots, count;
	struct cells *cells;
	uint64_t seed;
	uint8_t wire[ATTR_SET_MAX]; /* the set being built */
	uint8_t value[UINT16_MAX];  /* a value being built */
};

struct attr_table *attr_table_new(uint64_t seed)
{
	struct attr_table *t = xmalloc(sizeof(*t)); /* the big buffers stay untouched until used */

	t->slot = xcalloc(SLOTS_MIN, sizeof(*t->slot));
	t->nslots = SLOTS_MIN;
	t->count = 0;
	t->cells = cells_new();
	t->seed = seed;
	return t;
}

void attr_table_free(struct attr_table *t)
{
	if (!t)
		return;
	CHECK(!t->count);
	cells_free(t->cells);
	free(t->slot);
	free(t);
}

size_t attr_table_count(const struct attr_table *t)
{
	return t->count;
}

size_t attr_table_bytes(const struct attr_table *t)
{
	return cells_bytes(t->cells) + t->nslots * sizeof(*t->slot) + sizeof(*t);
}

static uint32_t hash_of(const struct attr_table *t, const uint8_t *p, size_t n)
{
	uint64_t h = hash_bytes(p, n, t->seed);

	return (uint32_t)(h ^ h >> 32);
}

static size_t slot_next(const struct attr_table *t, size_t i)
{
	return (i + 1) & (t->nslots - 1);
}

static size_t slot_home(const struct attr_table *t, uint32_t hash)
{
	return hash & (t->nslots - 1);
}

/* The first empty one for this hash. */
static struct slot *slot_empty(const struct attr_table *t, uint32_t hash)
{
	size_t i = slot_home(t, hash);

	while (t->slot[i].cell)
		i = slot_next(t, i);
	return &t->slot[i];
}

static void table_grow(struct attr_table *t)
{
	struct slot *old = t->slot;
	size_t n = t->nslots;

	t->nslots = n * 2;
	t->slot = xcalloc(t->nslots, sizeof(*t->slot));
	for (size_t i = 0; i < n; i++)
		if (old[i].cell)
			*slot_empty(t, old[i].hash) = old[i];
	free(old);
}

/* Empties a slot: those behind it that could be nearer to their homes move up, so that probing never meets a
 * gap before what it looks for. */
static void slot_clear(struct attr_table *t, size_t hole)
{
	for (size_t i = slot_next(t, hole); t->slot[i].cell; i = slot_next(t, i)) {
		size_t from_home = (i - slot_home(t, t->slot[i].hash)) & (t->nslots - 1);

		if (from_home < ((i - hole) & (t->nslots - 1)))
			continue;
		t->slot[hole] = t->slot[i];
		hole = i;
	}
	t->slot[hole] = (struct slot){ 0 };
}

static void set_head(struct attr_set *a)
{
	struct rd r = rd_of(a->wire, a->len);
	struct attr_item it;

	a->local_pref = ATTR_LOCAL_PREF_DEFAULT;
	while (item_next(&r, &it)) {
		const struct attr_row *row = attr_row_of(it.code);

		if (!row)
			a->flags |= ATTR_HAS_UNKNOWN;
		else if (row->head)
			row->head(a, rd_of(it.at, it.len));
	}
}

static size_t set_size(size_t len)
{
	return offsetof(struct attr_set, wire) + len;
}

static uint32_t set_new(struct attr_table *t, size_t len)
{
	uint32_t cell = cells_take(t->cells, set_size(len));
	struct attr_set *a = cells_at(t->cells, cell);

	memset(a, 0, offsetof(struct attr_set, wire));
	a->refs = 1;
	a->len = (uint32_t)len;
	memcpy(a->wire, t->wire, len);
	set_head(a);
	return cell;
}

/* The set whose canonical bytes are the first len of t->wire. */
static struct attr_set *table_take(struct attr_table *t, size_t len)
{
	uint32_t hash = hash_of(t, t->wire, len);

	for (size_t i = slot_home(t, hash); t->slot[i].cell; i = slot_next(t, i)) {
		if (t->slot[i].hash != hash)
			continue;
		struct attr_set *a = cells_at(t->cells, t->slot[i].cell);
		if (a->len == len && !memcmp(a->wire, t->wire, len))
			return attr_ref(a);
	}
	if (t->count >= t->nslots / 8 * 7)
		table_grow(t);
	struct slot *s = slot_empty(t, hash);
	*s = (struct slot){ hash, set_new(t, len) };
	t->count++;
	return cells_at(t->cells, s->cell);
}

struct attr_set *attr_ref(struct attr_set *a)
{
	a->refs++;
	CHECK(a->refs);
	return a;
}

void attr_unref(struct attr_table *t, struct attr_set *a)
{
	if (!a || --a->refs)
		return;
	uint32_t hash = hash_of(t, a->wire, a->len);
	size_t i = slot_home(t, hash);
	while (t->slot[i].hash != hash || cells_at(t->cells, t->slot[i].cell) != a) {
		CHECK(t->slot[i].cell);
		i = slot_next(t, i);
	}
	cells_give(t->cells, t->slot[i].cell, set_size(a->len));
	slot_clear(t, i);
	t->count--;
}

/* --- from a message to a set --- */

/* RFC 6793 4.2.3: an AGGREGATOR with a real number beside an AS4_AGGREGATOR was put in by a speaker that does
 * not know 4-byte numbers, after both companions were written: they are out of date. */
static bool as4_usable(const struct attr_list *l)
{
	const struct attr_item *agg = attr_list_find(l, ATTR_AGGREGATOR);
	struct rd r = item_value(agg);

	return !agg || !attr_list_find(l, ATTR_AS4_AGGREGATOR) || rd_be16(&r) == MSG_AS_TRANS;
}

/* AS_PATH of a 2-byte peer with 4-byte numbers. */
static void put_path_as2(struct attr_table *t, const struct attr_list *l, const struct attr_item *it,
			 struct wr *w)
{
	const struct attr_item *as4 = as4_usable(l) ? attr_list_find(l, ATTR_AS4_PATH) : NULL;
	struct wr value = wr_to(t->value, sizeof(t->value));

	as_path_merge(item_value(it), item_value(as4), &value);
	CHECK(wr_ok(&value));
	put_item(w, ROW_WELL_KNOWN, ATTR_AS_PATH, t->value, value.len);
}

static void put_aggregator_as2(const struct attr_list *l, const struct attr_item *it, struct wr *w)
{
	const struct attr_item *as4 = as4_usable(l) ? attr_list_find(l, ATTR_AS4_AGGREGATOR) : NULL;
	struct rd r = item_value(as4 ? as4 : it);

	put_header(w, ROW_OPT_TRANS | (it->flags & ATTR_F_PARTIAL), ATTR_AGGREGATOR, 8);
	wr_be32(w, as_path_asn(&r, as4 ? 4 : 2));
	wr_be32(w, rd_be32(&r));
}

static void put_canonical(struct attr_table *t, const struct attr_list *l, const struct attr_item *it,
			  bool as4, struct wr *w)
{
	const struct attr_row *row = attr_row_of(it->code);

	if (row && row->as2_only)
		return;
	if (!as4 && it->code == ATTR_AS_PATH)
		put_path_as2(t, l, it, w);
	else if (!as4 && it->code == ATTR_AGGREGATOR)
		put_aggregator_as2(l, it, w);
	else if (!row)
		put_item(w, ROW_OPT_TRANS | ATTR_F_PARTIAL, it->code, it->at, it->len);
	else if (row->flags == ROW_OPT_TRANS)
		put_item(w, ROW_OPT_TRANS | (it->flags & ATTR_F_PARTIAL), it->code, it->at, it->len);
	else
		put_item(w, row->flags, it->code, it->at, it->len);
}

struct attr_set *attr_intern(struct attr_table *t, const struct attr_list *l, const struct codec *c)
{
	struct wr w = wr_to(t->wire, sizeof(t->wire));

	for (size_t i = 0; i < l->n; i++)
		put_canonical(t, l, &l->item[i], c->as4, &w);
	/* A message is at most 64 KB and a path grows by at most 4 bytes for each of ATTR_AS_PATH_MAX
	 * numbers, twice. */
	CHECK(wr_ok(&w));
	return table_take(t, w.len);
}

struct attr_set *attr_originate(struct attr_table *t, uint8_t origin)
{
	struct wr w = wr_to(t->wire, sizeof(t->wire));

	put_item(&w, ROW_WELL_KNOWN, ATTR_ORIGIN, &origin, 1);
	put_item(&w, ROW_WELL_KNOWN, ATTR_AS_PATH, NULL, 0);
	return table_take(t, w.len);
}

/* --- changing a set --- */

static void derive_put(struct attr_table *t, uint8_t code, const struct attr_item *old,
		       const struct attr_change *ch, struct wr *w)
{
	const struct attr_row *row = attr_row_of(code);
	struct wr value = wr_to(t->value, sizeof(t->value));

	if (!row) {
		if (old && !ch->drop_unknown)
			put_item(w, old->flags, code, old->at, old->len);
	} else if (!row->edit) {
		if (old)
			put_item(w, old->flags, code, old->at, old->len);
	} else if (row->kept(old, ch)) {
		row->edit(old, ch, &value);
		w->bad |= value.bad;
		put_item(w, old ? old->flags : row->flags, code, t->value, value.len);
	}
}

struct attr_set *attr_derive(struct attr_table *t, struct attr_set *a, const struct attr_change *ch)
{
	struct wr w = wr_to(t->wire, sizeof(t->wire));
	struct rd r = rd_of(a->wire, a->len);
	struct attr_item it;
	unsigned code = 0; /* the next one not yet written */

	while (item_next(&r, &it)) {
		for (; code < it.code && code < ATTR_ROWS; code++)
			derive_put(t, (uint8_t)code, NULL, ch, &w);
		derive_put(t, it.code, &it, ch, &w);
		code = it.code + 1u;
	}
	for (; code < ATTR_ROWS; code++)
		derive_put(t, (uint8_t)code, NULL, ch, &w);
	return wr_ok(&w) ? table_take(t, w.len) : NULL;
}

/* --- questions --- */

bool attr_find(const struct attr_set *a, uint8_t code, struct rd *ret)
{
	struct rd r = rd_of(a->wire, a->len);
	struct attr_item it;

	while (item_next(&r, &it)) {
		if (it.code != code)
			continue;
		*ret = rd_of(it.at, it.len);
		return true;
	}
	return false;
}

unsigned attr_path_count(const struct attr_set *a, uint32_t asn)
{
	struct rd r;

	return attr_find(a, ATTR_AS_PATH, &r) ? as_path_count(r, asn) : 0;
}

bool attr_path_begins(const struct attr_set *a, const uint32_t *asns, size_t n)
{
	struct rd r;

	return !n || (attr_find(a, ATTR_AS_PATH, &r) && as_path_begins(r, asns, n));
}

bool attr_cluster_has(const struct attr_set *a, uint32_t cluster_id)
{
	struct rd r;

	return a->cluster_len && attr_find(a, ATTR_CLUSTER_LIST, &r) && attr_row_has_community(r, cluster_id);
}

bool attr_community_has(const struct attr_set *a, uint32_t community)
{
	struct rd r;

	return attr_find(a, ATTR_COMMUNITIES, &r) && attr_row_has_community(r, community);
}

bool attr_large_has(const struct attr_set *a, const struct attr_large *l)
{
	struct rd r;

	return attr_find(a, ATTR_LARGE_COMMUNITIES, &r) && attr_row_has_large(r, l);
}

/* --- encoding --- */

static void put_path_to_as2(struct rd path, struct wr *w)
{
	put_header(w, ROW_WELL_KNOWN, ATTR_AS_PATH, as_path_as2(path).len);
	as_path_put_as2(path, w);
}

static void put_aggregator_to_as2(struct rd r, uint8_t flags, struct wr *w)
{
	uint32_t asn = rd_be32(&r);

	put_header(w, flags, ATTR_AGGREGATOR, 6);
	wr_be16(w, as_path_asn_as2(asn));
	wr_be32(w, rd_be32(&r));
}

/* Is the AGGREGATOR one that 2 bytes cannot say? */
static bool aggregator_big(const struct attr_set *a, struct rd *ret)
{
	struct rd r;

	if (!attr_find(a, ATTR_AGGREGATOR, &r))
		return false;
	*ret = r;
	return rd_be32(&r) > UINT16_MAX;
}

/* The two attributes that carry what a 2-byte peer cannot see in its own. */
static void put_companions(const struct attr_set *a, struct wr *w)
{
	struct rd path, agg;

	if (attr_find(a, ATTR_AS_PATH, &path)) {
		size_t len4 = as_path_as2(path).len4;

		if (len4) {
			put_header(w, ROW_OPT_TRANS, ATTR_AS4_PATH, len4);
			as_path_put_as4(path, w);
		}
	}
	if (aggregator_big(a, &agg))
		put_item(w, ROW_OPT_TRANS, ATTR_AS4_AGGREGATOR, agg.at, rd_left(&agg));
}

static void put_nexthop(const struct addr *nexthop, struct wr *w)
{
	if (nexthop && nexthop->family == AF_INET)
		put_item(w, ROW_WELL_KNOWN, ATTR_NEXT_HOP, nexthop->b, 4);
}

static void encode_as2(const struct attr_set *a, const struct addr *nexthop, struct wr *w)
{
	struct rd r = rd_of(a->wire, a->len);
	struct attr_item it;
	bool nexthop_due = true, companions_due = true;

	while (item_next(&r, &it)) {
		struct rd value = rd_of(it.at, it.len);

		if (nexthop_due && it.code > ATTR_NEXT_HOP) {
			put_nexthop(nexthop, w);
			nexthop_due = false;
		}
		if (companions_due && it.code > ATTR_AS4_AGGREGATOR) {
			put_companions(a, w);
			companions_due = false;
		}
		if (it.code == ATTR_AS_PATH)
			put_path_to_as2(value, w);
		else if (it.code == ATTR_AGGREGATOR)
			put_aggregator_to_as2(value, it.flags, w);
		else
			put_item(w, it.flags, it.code, it.at, it.len);
	}
	if (nexthop_due)
		put_nexthop(nexthop, w);
	if (companions_due)
		put_companions(a, w);
}

/* What the bytes of a set become for a 2-byte peer. */
static size_t size_as2(const struct attr_set *a)
{
	size_t n = a->len;
	struct rd path, agg;

	if (attr_find(a, ATTR_AS_PATH, &path)) {
		struct as_path_as2 p = as_path_as2(path);

		n -= item_size(rd_left(&path));
		n += item_size(p.len) + (p.len4 ? item_size(p.len4) : 0);
	}
	if (attr_find(a, ATTR_AGGREGATOR, &agg))
		n -= 2;
	if (aggregator_big(a, &agg))
		n += item_size(8);
	return n;
}

size_t attr_size(const struct attr_set *a, const struct addr *nexthop, bool as4)
{
	return (as4 ? a->len : size_as2(a)) + (nexthop && nexthop->family == AF_INET ? item_size(4) : 0);
}

/* Where NEXT_HOP belongs among the canonical bytes. */
static size_t nexthop_at(const struct attr_set *a)
{
	struct rd r = rd_of(a->wire, a->len);
	struct attr_item it;
	size_t at = 0;

	while (item_next(&r, &it) && it.code < ATTR_NEXT_HOP)
		at = (size_t)(r.at - a->wire);
	return at;
}

void attr_encode(const struct attr_set *a, const struct addr *nexthop, bool as4, struct wr *w)
{
	if (!as4) {
		encode_as2(a, nexthop, w);
		return;
	}
	size_t split = nexthop_at(a);
	wr_bytes(w, a->wire, split);
	put_nexthop(nexthop, w);
	wr_bytes(w, a->wire + split, a->len - split);
}

/* --- showing --- */

static void unknown_print(uint8_t code, uint8_t flags, struct rd r, struct str *out)
{
	size_t n = rd_left(&r), shown = MIN(n, (size_t)32);

	str_addf(out, "attribute-%u flags 0x%02x length %zu", code, flags, n);
	for (size_t i = 0; i < shown; i++)
		str_addf(out, "%s%02x", i ? "" : " ", rd_u8(&r));
	str_add(out, shown < n ? "..." : "");
}

void attr_format(const struct attr_set *a, struct str *out)
{
	struct rd r = rd_of(a->wire, a->len);
	struct attr_item it;

	for (const char *gap = ""; item_next(&r, &it); gap = ", ") {
		const struct attr_row *row = attr_row_of(it.code);
		struct rd value = rd_of(it.at, it.len);

		str_add(out, gap);
		if (!row || !row->print) {
			unknown_print(it.code, it.flags, value, out);
			continue;
		}
		str_addf(out, "%s%s", row->name, rd_left(&value) || it.code == ATTR_AS_PATH ? " " : "");
		row->print(value, out);
	}
}
