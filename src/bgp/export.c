/*
 * Groups, chunks and the rules of announcing: RFC 4271 9.2 and 5.1, RFC 4456 (reflection), RFC 1997
 * (well-known communities).
 */
#include "bgp/export.h"

#include "base/check.h"
#include "base/list.h"
#include "bgp/msg.h"
#include "bgp/update.h"

#include <errno.h>

#define SLOTS (EXPORT_CHUNK_PREFIXES * 2) /* a power of two */

/* Where a peer's own routes stand in a chunk, and what it hears in their place. */
struct skip {
	uint16_t peer;
	uint32_t at, len;
	uint32_t instead, instead_len;
};

struct chunk {
	struct list node;
	uint64_t from, to;
	uint32_t refs, len, nskips, messages;
	uint8_t *bytes, *instead;
	struct skip *skips; /* by peer, then place */
};

struct group {
	struct list node;
	struct export_how how;
	uint32_t members, count; /* count: prefixes announced as of the newest chunk */
	uint64_t *told, *now;	 /* a bit per prefix index: ever since it exists; at the newest encoding */
	uint32_t words;
	struct list chunks;
};

struct out {
	struct exports *x;
	struct group *group;
	uint16_t peer;
	bool again;
	uint64_t version;
	struct chunk *chunk;
	uint32_t at;	      /* in chunk->bytes */
	uint32_t skip, skips; /* the next of its skips and the end of them */
	uint32_t instead;     /* bytes of the current skip's replacement already sent */
	uint64_t updates;
};

/* While a chunk is made: prefixes that are said alike. */
struct bucket {
	struct attr_set *attr, *derived; /* derived NULL: not announced */
	struct addr nexthop;
	uint32_t hop, first;
	uint16_t peer;
	uint8_t af;
};

struct item {
	uint32_t idx, next; /* next of its bucket, + 1 */
	bool known;	    /* was told before */
};

struct exports {
	struct rib *rib;
	struct attr_table *attrs;
	struct list groups;
	struct out **outs; /* by peer number */
	uint32_t nouts;
	size_t nchunks;
	/* For making one chunk. */
	struct item *items;
	struct bucket *buckets;
	uint32_t nitems, nbuckets, withdrawn; /* withdrawn: first item of the list of withdrawals, + 1 */
	struct {
		uint32_t round, bucket;
	} * slots;
	uint32_t round;
	struct wr text, instead;
	struct skip *skips;
	uint32_t nskips, skips_cap;
};

struct exports *exports_new(struct rib *rib, struct attr_table *attrs)
{
	struct exports *x = xcalloc(1, sizeof(*x));

	x->rib = rib;
	x->attrs = attrs;
	list_init(&x->groups);
	return x;
}

static void chunk_free(struct exports *x, struct chunk *c)
{
	list_del(&c->node);
	free(c->bytes);
	free(c->instead);
	free(c->skips);
	free(c);
	x->nchunks--;
}

static void group_free(struct exports *x, struct group *g)
{
	struct chunk *c, *tmp;

	list_each_safe (c, tmp, &g->chunks, node)
		chunk_free(x, c);
	list_del(&g->node);
	free(g->told);
	free(g->now);
	free(g);
}

void exports_free(struct exports *x)
{
	if (!x)
		return;
	CHECK(list_empty(&x->groups));
	free(x->outs);
	free(x->items);
	free(x->buckets);
	free(x->slots);
	free(x->text.buf);
	free(x->instead.buf);
	free(x->skips);
	free(x);
}

static bool codec_eq(const struct codec *a, const struct codec *b)
{
	return a->ebgp == b->ebgp && a->as4 == b->as4 && a->families == b->families &&
	       a->ext_nexthop == b->ext_nexthop && a->add_path_out == b->add_path_out && a->max == b->max;
}

static bool how_eq(const struct export_how *a, const struct export_how *b)
{
	return a->ebgp == b->ebgp && a->client == b->client && a->local_asn == b->local_asn &&
	       a->cluster_id == b->cluster_id && addr_eq(&a->self, &b->self) &&
	       codec_eq(&a->codec, &b->codec);
}

static struct group *group_get(struct exports *x, const struct export_how *how)
{
	struct group *g;

	list_each (g, &x->groups, node)
		if (how_eq(&g->how, how))
			return g;
	g = xcalloc(1, sizeof(*g));
	g->how = *how;
	list_init(&g->chunks);
	list_add_tail(&x->groups, &g->node);
	return g;
}

struct out *export_open(struct exports *x, uint16_t peer, const struct export_how *how)
{
	struct out *o = xcalloc(1, sizeof(*o));

	if (peer >= x->nouts) {
		uint32_t cap = x->nouts ? x->nouts : 16;
		while (cap <= peer)
			cap *= 2;
		x->outs = xrealloc(x->outs, cap * sizeof(struct out *));
		memset(x->outs + x->nouts, 0, (cap - x->nouts) * sizeof(struct out *));
		x->nouts = cap;
	}
	CHECK(!x->outs[peer]);
	x->outs[peer] = o;
	o->x = x;
	o->peer = peer;
	o->group = group_get(x, how);
	o->group->members++;
	return o;
}

void export_close(struct out *o)
{
	if (!o)
		return;
	if (o->chunk)
		o->chunk->refs--;
	o->x->outs[o->peer] = NULL;
	if (--o->group->members == 0)
		group_free(o->x, o->group);
	free(o);
}

void export_again(struct out *o)
{
	if (o->chunk)
		o->again = true;
	else
		o->version = 0;
}

/* The bits of a group. */

static void bits_reach(struct group *g, uint32_t idx)
{
	uint32_t words = idx / 64 + 1;

	if (words <= g->words)
		return;
	words += words / 2;
	g->told = xrealloc(g->told, words * sizeof(uint64_t));
	g->now = xrealloc(g->now, words * sizeof(uint64_t));
	memset(g->told + g->words, 0, (words - g->words) * sizeof(uint64_t));
	memset(g->now + g->words, 0, (words - g->words) * sizeof(uint64_t));
	g->words = words;
}

static bool bit_get(const uint64_t *bits, uint32_t i)
{
	return bits[i / 64] >> (i % 64) & 1;
}

static void bit_put(uint64_t *bits, uint32_t i, bool v)
{
	if (v)
		bits[i / 64] |= (uint64_t)1 << (i % 64);
	else
		bits[i / 64] &= ~((uint64_t)1 << (i % 64));
}

static void note_now(struct group *g, uint32_t idx, bool announced)
{
	g->count += (uint32_t)announced - (uint32_t)bit_get(g->now, idx);
	bit_put(g->now, idx, announced);
	if (announced)
		bit_put(g->told, idx, true);
}

void exports_on_gone(void *arg, uint32_t idx)
{
	struct exports *x = arg;
	struct group *g;

	list_each (g, &x->groups, node) {
		if (idx / 64 >= g->words)
			continue;
		note_now(g, idx, false);
		bit_put(g->told, idx, false);
	}
}

/* The rules. */

/* May a path from this source be told to a peer like this at all? */
static bool may_tell(const struct export_how *to, const struct rib_path *p, const struct rib_peer *from)
{
	uint16_t f = p->attr->flags;

	if (f & ATTR_NO_ADVERTISE)
		return false;
	if (to->ebgp)
		return !(f & (ATTR_NO_EXPORT | ATTR_NO_EXPORT_SUBCONFED));
	if (p->peer == RIB_SELF || from->ebgp)
		return true;
	/* iBGP to iBGP only by reflection: from a client to all, from the others to clients (RFC 4456 6). */
	return to->cluster_id && (from->client || to->client);
}

/* The next hop as this peer is told, unset if there is none in the prefix's family. */
static struct addr nexthop_for(const struct export_how *to, const struct addr *nexthop, uint8_t af)
{
	if (!to->ebgp && addr_is_set(nexthop))
		return *nexthop;
	return to->self.family == af ? to->self : (struct addr){ 0 };
}

/* The attributes as this peer is told, with a reference; NULL if they cannot be told. */
static struct attr_set *derive(struct exports *x, const struct export_how *to, const struct rib_path *p,
			       const struct rib_peer *from)
{
	struct attr_change ch = { 0 };

	if (to->ebgp) {
		ch.leave_as = ch.drop_unknown = true;
		ch.prepend = 1;
		ch.prepend_asn = to->local_asn;
		if (p->peer != RIB_SELF)
			ch.med = ATTR_CLEAR;
	} else if (p->peer == RIB_SELF || from->ebgp) {
		if (!(p->attr->flags & ATTR_HAS_LOCAL_PREF)) {
			ch.local_pref = ATTR_PUT;
			ch.local_pref_value = ATTR_LOCAL_PREF_DEFAULT;
		}
	} else {
		ch.originator_id = from->router_id;
		ch.cluster_id = to->cluster_id;
	}
	return attr_derive(x->attrs, p->attr, &ch);
}

/* Making a chunk. */

static void scratch_ready(struct exports *x)
{
	if (!x->items) {
		x->items = xmalloc(EXPORT_CHUNK_PREFIXES * sizeof(*x->items));
		x->buckets = xmalloc(EXPORT_CHUNK_PREFIXES * sizeof(*x->buckets));
		x->slots = xcalloc(SLOTS, sizeof(*x->slots));
		x->text = wr_to(xmalloc(EXPORT_CHUNK_BYTES), EXPORT_CHUNK_BYTES);
		x->instead = wr_to(xmalloc(MSG_MAX_EXT), MSG_MAX_EXT);
	}
	if (++x->round == 0) {
		memset(x->slots, 0, SLOTS * sizeof(*x->slots));
		x->round = 1;
	}
	x->nitems = x->nbuckets = x->nskips = x->withdrawn = 0;
	x->text.len = x->instead.len = 0;
}

static struct bucket *bucket_get(struct exports *x, const struct group *g, const struct rib_path *p,
				 uint8_t af)
{
	uint64_t h = ((uint64_t)(uintptr_t)p->attr >> 4) * 0x9e3779b97f4a7c15ull;
	h = (h ^ p->nexthop ^ (uint64_t)p->peer << 20 ^ (uint64_t)af << 40) * 0xd1b54a32d192ed03ull;
	uint32_t s = (uint32_t)(h >> 40) & (SLOTS - 1);

	for (; x->slots[s].round == x->round; s = (s + 1) & (SLOTS - 1)) {
		struct bucket *b = &x->buckets[x->slots[s].bucket];
		if (b->attr == p->attr && b->hop == p->nexthop && b->peer == p->peer && b->af == af)
			return b;
	}
	x->slots[s].round = x->round;
	x->slots[s].bucket = x->nbuckets;
	struct bucket *b = &x->buckets[x->nbuckets++];
	const struct rib_peer *from = rib_peer(x->rib, p->peer);
	struct addr hop = rib_nexthop(x->rib, p);
	*b = (struct bucket){ .attr = p->attr, .hop = p->nexthop, .peer = p->peer, .af = af };
	b->nexthop = nexthop_for(&g->how, &hop, af);
	if (addr_is_set(&b->nexthop) && may_tell(&g->how, p, from))
		b->derived = derive(x, &g->how, p, from);
	return b;
}

static void add_item(struct exports *x, uint32_t *first, uint32_t idx, bool known)
{
	x->items[x->nitems] = (struct item){ idx, *first, known };
	*first = ++x->nitems;
}

static bool family_spoken(const struct group *g, uint8_t af)
{
	return g->how.codec.families & caps_family_of_af(af);
}

/* Sorts what stands behind version from into buckets and withdrawals; returns the version reached. */
static uint64_t gather(struct exports *x, struct group *g, uint64_t from)
{
	size_t bytes = 0;
	uint64_t to = from;
	uint32_t idx = rib_after(x->rib, from);

	for (; idx != RIB_NONE && x->nitems < EXPORT_CHUNK_PREFIXES && x->nbuckets < EXPORT_CHUNK_PREFIXES &&
	       bytes < EXPORT_CHUNK_BYTES;
	     idx = rib_behind(x->rib, idx)) {
		const struct prefix *p = rib_prefix(x->rib, idx);
		const struct rib_path *best = rib_best(x->rib, idx);
		uint8_t af = p->addr.family;
		to = rib_version_of(x->rib, idx);
		if (!family_spoken(g, af))
			continue;
		bits_reach(g, idx);
		bool known = bit_get(g->told, idx);
		uint32_t buckets = x->nbuckets;
		struct bucket *b = best ? bucket_get(x, g, best, af) : NULL;
		if (b && b->derived) {
			if (buckets != x->nbuckets)
				bytes += MSG_HEADER + 64 +
					 attr_size(b->derived, &b->nexthop, g->how.codec.as4);
			add_item(x, &b->first, idx, known);
			note_now(g, idx, true);
		} else {
			note_now(g, idx, false);
			if (!known)
				continue;
			add_item(x, &x->withdrawn, idx, known);
		}
		bytes += 1 + addr_size(af);
	}
	/* At the end of the list also those changes are passed whose tombstones are gone. */
	return idx == RIB_NONE ? rib_version(x->rib) : to;
}

/* The packer wants more room: twice as much. */
static void grow(struct packer *k)
{
	pack_end(k);
	k->w->cap *= 2;
	k->w->buf = xrealloc(k->w->buf, k->w->cap);
}

static void write_withdrawal(struct packer *k, const struct prefix *p)
{
	while (pack_withdraw(k, p, 0) == -ENOSPC)
		grow(k);
}

/* False if the attributes fit into no message of this peer. */
static bool write_announcement(struct packer *k, const struct bucket *b, const struct prefix *p)
{
	int r;

	while ((r = pack_announce(k, b->derived, &b->nexthop, p, 0)) == -ENOSPC)
		grow(k);
	return r == 0;
}

static bool is_member(const struct exports *x, const struct group *g, uint16_t peer)
{
	return peer < x->nouts && x->outs[peer] && x->outs[peer]->group == g;
}

static void note_skip(struct exports *x, const struct skip *s)
{
	if (x->nskips == x->skips_cap) {
		x->skips_cap = x->skips_cap ? x->skips_cap * 2 : 64;
		x->skips = xrealloc(x->skips, x->skips_cap * sizeof(*x->skips));
	}
	x->skips[x->nskips++] = *s;
}

/* What the peer whose routes these are hears instead: that none of them is to be had from us. */
static uint32_t write_instead(struct exports *x, const struct group *g, const struct bucket *b)
{
	struct packer k;
	size_t start = x->instead.len;

	pack_begin(&k, &x->instead, &g->how.codec);
	for (uint32_t i = b->first; i; i = x->items[i - 1].next)
		if (x->items[i - 1].known)
			write_withdrawal(&k, rib_prefix(x->rib, x->items[i - 1].idx));
	pack_end(&k);
	return (uint32_t)(x->instead.len - start);
}

static void write_bucket(struct exports *x, struct group *g, struct packer *k, const struct bucket *b)
{
	bool own = is_member(x, g, b->peer);
	struct skip s = { .peer = b->peer };

	if (own) {
		pack_end(k);
		s.at = (uint32_t)k->w->len;
	}
	for (uint32_t i = b->first; i; i = x->items[i - 1].next) {
		const struct prefix *p = rib_prefix(x->rib, x->items[i - 1].idx);
		if (write_announcement(k, b, p))
			continue;
		note_now(g, x->items[i - 1].idx, false);
		if (x->items[i - 1].known)
			write_withdrawal(k, p);
	}
	if (!own)
		return;
	pack_end(k);
	s.len = (uint32_t)k->w->len - s.at;
	s.instead = (uint32_t)x->instead.len;
	s.instead_len = write_instead(x, g, b);
	if (s.len)
		note_skip(x, &s);
}

static int skip_cmp(const void *va, const void *vb)
{
	const struct skip *a = va, *b = vb;

	if (a->peer != b->peer)
		return a->peer < b->peer ? -1 : 1;
	return a->at < b->at ? -1 : a->at > b->at;
}

static void *copy(const void *p, size_t n)
{
	return n ? memcpy(xmalloc(n), p, n) : NULL;
}

static struct chunk *chunk_new(struct exports *x, struct group *g, uint64_t from)
{
	struct packer k;
	struct chunk *c = xcalloc(1, sizeof(*c));

	scratch_ready(x);
	c->from = from;
	c->to = gather(x, g, from);
	pack_begin(&k, &x->text, &g->how.codec);
	for (uint32_t i = x->withdrawn; i; i = x->items[i - 1].next)
		write_withdrawal(&k, rib_prefix(x->rib, x->items[i - 1].idx));
	for (uint32_t i = 0; i < x->nbuckets; i++)
		if (x->buckets[i].derived)
			write_bucket(x, g, &k, &x->buckets[i]);
	pack_end(&k);
	for (uint32_t i = 0; i < x->nbuckets; i++)
		attr_unref(x->attrs, x->buckets[i].derived);
	CHECK(wr_ok(&x->text) && wr_ok(&x->instead));
	if (x->nskips)
		qsort(x->skips, x->nskips, sizeof(*x->skips), skip_cmp);
	c->len = (uint32_t)x->text.len;
	c->bytes = copy(x->text.buf, x->text.len);
	c->instead = copy(x->instead.buf, x->instead.len);
	c->skips = copy(x->skips, x->nskips * sizeof(*x->skips));
	c->nskips = x->nskips;
	c->messages = k.messages;
	rib_remember(x->rib, c->to);
	list_add_tail(&g->chunks, &c->node);
	x->nchunks++;
	return c;
}

/* Reading. */

static uint32_t first_skip(const struct chunk *c, uint16_t peer)
{
	uint32_t lo = 0, hi = c->nskips;

	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;
		if (c->skips[mid].peer < peer)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

static void enter_chunk(struct out *o)
{
	struct group *g = o->group;
	struct chunk *c = NULL, *i;

	list_each (i, &g->chunks, node) {
		if (i->from == o->version) {
			c = i;
			break;
		}
	}
	if (!c)
		c = chunk_new(o->x, g, o->version);
	c->refs++;
	o->chunk = c;
	o->at = o->instead = 0;
	o->skip = o->skips = first_skip(c, o->peer);
	while (o->skips < c->nskips && c->skips[o->skips].peer == o->peer)
		o->skips++;
	o->updates += c->messages;
}

static void leave_chunk(struct out *o)
{
	o->version = o->again ? 0 : o->chunk->to;
	o->again = false;
	o->chunk->refs--;
	o->chunk = NULL;
}

/* The bytes of the chunk it is in, or false at its end. */
static bool piece(struct out *o, const uint8_t **ret, size_t *n)
{
	const struct chunk *c = o->chunk;

	for (; o->skip < o->skips && o->at == c->skips[o->skip].at; o->skip++) {
		const struct skip *s = &c->skips[o->skip];
		if (o->instead < s->instead_len) {
			*ret = c->instead + s->instead + o->instead;
			*n = s->instead_len - o->instead;
			return true;
		}
		o->at += s->len;
		o->instead = 0;
	}
	uint32_t end = o->skip < o->skips ? c->skips[o->skip].at : c->len;
	*n = end - o->at;
	if (*n)
		*ret = c->bytes + o->at;
	return *n;
}

bool export_next(struct out *o, const uint8_t **ret, size_t *n)
{
	for (;;) {
		if (!o->chunk) {
			if (o->version >= rib_version(o->x->rib))
				return false;
			enter_chunk(o);
		}
		if (piece(o, ret, n))
			return true;
		leave_chunk(o);
	}
}

static bool in_instead(const struct out *o)
{
	return o->skip < o->skips && o->at == o->chunk->skips[o->skip].at && o->instead;
}

void export_sent(struct out *o, size_t n)
{
	const uint8_t *bytes;
	size_t left;

	if (!o->chunk)
		return;
	if (o->skip < o->skips && o->at == o->chunk->skips[o->skip].at)
		o->instead += (uint32_t)n;
	else
		o->at += (uint32_t)n;
	/* A chunk is left as soon as it is done, so that its reader counts as having passed it. */
	if (!piece(o, &bytes, &left))
		leave_chunk(o);
}

bool export_at_boundary(const struct out *o)
{
	const uint8_t *p;
	uint32_t at, i = 0;

	if (!o->chunk)
		return true;
	if (in_instead(o)) {
		p = o->chunk->instead + o->chunk->skips[o->skip].instead;
		at = o->instead;
	} else {
		p = o->chunk->bytes;
		at = o->at;
	}
	while (i < at)
		i += (uint32_t)p[i + 16] << 8 | p[i + 17];
	return i == at;
}

uint64_t export_version(const struct out *o)
{
	return o->version;
}

bool export_pending(const struct out *o)
{
	return o->chunk || o->version < rib_version(o->x->rib);
}

uint32_t export_count(const struct out *o)
{
	const struct group *g = o->group;
	const struct rib_peer *me = rib_peer(o->x->rib, o->peer);
	bool own_included = g->how.ebgp || (me && me->ebgp) || g->how.cluster_id;

	if (!own_included || !me)
		return g->count;
	return g->count > me->best ? g->count - me->best : 0;
}

uint64_t export_updates(const struct out *o)
{
	return o->updates;
}

uint64_t exports_passed(const struct exports *x)
{
	uint64_t v = rib_version(x->rib);

	for (uint32_t i = 0; i < x->nouts; i++)
		if (x->outs[i] && x->outs[i]->version < v)
			v = x->outs[i]->version;
	return v;
}

void exports_trim(struct exports *x)
{
	struct group *g;
	struct chunk *c, *tmp;

	list_each (g, &x->groups, node)
		list_each_safe (c, tmp, &g->chunks, node)
			if (!c->refs)
				chunk_free(x, c);
}

size_t exports_chunks(const struct exports *x)
{
	return x->nchunks;
}
