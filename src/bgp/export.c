/* Groups and chunks: RFC 4271 9.2, RFC 7911. */
#include "bgp/export.h"

#include "base/check.h"
#include "base/list.h"
#include "base/own.h"
#include "bgp/msg.h"
#include "bgp/update.h"

#include <assert.h>
#include <errno.h>

static_assert(RIB_SELF == TOLD_OURS && RIB_PEERS_MAX <= TOLD_NOBODY, "numbers of peers are not others");

#define SLOTS_MIN (EXPORT_CHUNK_PREFIXES * 2) /* a power of two */

/* Where a peer's own routes stand in a chunk, and what it hears in their place. */
struct skip {
	uint16_t peer;
	uint32_t at, len;
	uint32_t instead, instead_len;
};

struct chunk {
	struct list node;
	uint64_t from, to;
	bool newest;  /* `to` was the newest version */
	uint64_t age; /* chunks made before it */
	uint32_t refs, len, instead_len, nskips, messages;
	uint8_t *bytes, *instead;
	struct skip *skips; /* by peer, then place */
};

struct group {
	struct list node;
	struct tell_how how;
	enum rib_view view;
	uint32_t members;
	struct told told;
	struct list chunks;
};

struct out {
	struct exports *x;
	struct group *group, *next; /* next: after this chunk, with `again`; NULL: stays */
	uint16_t peer;
	bool again;
	uint64_t since; /* it enters no chunk of before: its own routes are not marked there */
	uint64_t version;
	uint64_t
		abreast; /* the last version that was the newest when it got there: it knew everything then */
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
	uint32_t outcome; /* of policy: in exports.outcomes */
	uint16_t peer;
	uint8_t af;
};

struct item {
	uint32_t idx, next; /* next of its bucket, + 1 */
	uint32_t id;	    /* the path's number with ADD-PATH, else 0 */
	bool known;	    /* was told before */
};

struct exports {
	struct rib *rib;
	struct attr_table *attrs;
	const struct policies *policies;
	struct list groups;
	struct out **outs; /* by peer number */
	uint32_t nouts;
	size_t nchunks, bytes; /* bytes: in all of them */
	uint64_t made;	       /* chunks, ever */
	/* For making one chunk. */
	struct item *items;
	struct bucket *buckets;
	struct policy_result *outcomes; /* different ones; the first is "no operations" */
	uint32_t nitems, nbuckets, noutcomes, items_cap, buckets_cap, outcomes_cap;
	uint32_t withdrawn; /* first item of the list of withdrawals, + 1 */
	struct slot {
		uint32_t round, bucket;
	} * slots;
	uint32_t round, nslots;
	struct wr text, instead;
	struct skip *skips;
	uint32_t nskips, skips_cap;
};

struct exports *exports_new(struct rib *rib, struct attr_table *attrs, const struct policies *policies)
{
	struct exports *x = xcalloc(1, sizeof(*x));

	x->rib = rib;
	x->attrs = attrs;
	x->policies = policies;
	list_init(&x->groups);
	return x;
}

static void chunk_free(struct exports *x, struct chunk *c)
{
	x->nchunks--;
	x->bytes -= c->len + c->instead_len;
	list_del(&c->node);
	free(c->bytes);
	free(c->instead);
	free(c->skips);
	free(c);
}

static void group_free(struct exports *x, struct group *g)
{
	struct chunk *c, *tmp;

	list_each_safe (c, tmp, &g->chunks, node)
		chunk_free(x, c);
	list_del(&g->node);
	told_done(&g->told);
	rib_view_close(x->rib, g->view);
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
	free(x->outcomes);
	free(x->slots);
	free(x->text.buf);
	free(x->instead.buf);
	free(x->skips);
	free(x);
}

static struct group *group_join(struct exports *x, const struct tell_how *how)
{
	struct group *g;

	list_each (g, &x->groups, node) {
		if (!tell_how_eq(&g->how, how))
			continue;
		g->members++;
		return g;
	}
	g = xcalloc(1, sizeof(*g));
	g->how = *how;
	g->view = how->codec.add_path_out ? RIB_VIEW_ALL : RIB_VIEW_BEST;
	g->members = 1;
	list_init(&g->chunks);
	list_add_tail(&x->groups, &g->node);
	rib_view_open(x->rib, g->view);
	return g;
}

static void group_leave(struct exports *x, struct group *g)
{
	if (g && --g->members == 0)
		group_free(x, g);
}

struct out *export_open(struct exports *x, uint16_t peer, const struct tell_how *how)
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
	o->group = group_join(x, how);
	/* Mostly a peer joins without routes; not when it has restarted and they were kept. */
	if (rib_peer(x->rib, peer) && rib_peer(x->rib, peer)->paths)
		o->since = x->made;
	return o;
}

void export_close(struct out *o)
{
	if (!o)
		return;
	if (o->chunk)
		o->chunk->refs--;
	o->x->outs[o->peer] = NULL;
	group_leave(o->x, o->group);
	group_leave(o->x, take(o->next));
	free(o);
}

/* Nobody enters what is already written: it was written before something that newcomers must hear. */
static void close_chunks(struct group *g)
{
	struct chunk *c;

	list_each (c, &g->chunks, node)
		c->from = UINT64_MAX;
}

/* Back to the beginning, in the next group if there is one. What the peer knows from the old group, the new
 * one has to withdraw if it does not tell it. */
static void rewind_now(struct out *o)
{
	o->again = false;
	o->version = 0;
	if (!o->next)
		return;
	o->abreast = 0;
	told_join(&o->next->told, &o->group->told, rib_version(o->x->rib));
	close_chunks(o->next);
	group_leave(o->x, o->group);
	o->group = take(o->next);
}

void export_again(struct out *o)
{
	o->again = true;
	if (!o->chunk)
		rewind_now(o);
}

void export_change(struct out *o, const struct tell_how *how)
{
	struct group *g = group_join(o->x, how);

	group_leave(o->x, take(o->next));
	if (g == o->group)
		group_leave(o->x, g);
	else
		o->next = g;
	export_again(o);
}

void exports_policy_changed(struct exports *x, uint16_t policy)
{
	struct group *g;

	list_each (g, &x->groups, node)
		if (g->how.policy == policy)
			close_chunks(g);
}

bool export_rewinding(const struct out *o)
{
	return o->again;
}

void exports_on_gone(void *arg, uint32_t idx)
{
	struct exports *x = arg;
	struct group *g;

	list_each (g, &x->groups, node)
		told_forget(&g->told, idx);
}

/* Up to where all members of a group know everything. A version alone does not say so: a reader passes the
 * place where a prefix stood without having heard of it if the prefix has changed again and moved on. */
static uint64_t group_abreast(const struct exports *x, const struct group *g)
{
	uint64_t v = rib_version(x->rib);

	for (uint32_t i = 0; i < x->nouts; i++) {
		const struct out *o = x->outs[i];
		if (!o || (o->group != g && o->next != g))
			continue;
		v = o->next == g ? 0 : MIN(v, o->abreast);
	}
	return v;
}

/* Making a chunk. */

static void scratch_ready(struct exports *x)
{
	if (!x->slots) {
		x->nslots = SLOTS_MIN;
		x->slots = xcalloc(x->nslots, sizeof(*x->slots));
		x->text = wr_to(xmalloc(EXPORT_CHUNK_BYTES), EXPORT_CHUNK_BYTES);
		x->instead = wr_to(xmalloc(MSG_MAX_EXT), MSG_MAX_EXT);
	}
	if (++x->round == 0) {
		memset(x->slots, 0, x->nslots * sizeof(*x->slots));
		x->round = 1;
	}
	x->nitems = x->nbuckets = x->noutcomes = x->nskips = x->withdrawn = 0;
	x->text.len = x->instead.len = 0;
}

static void add_item(struct exports *x, uint32_t *first, uint32_t idx, uint32_t id, bool known)
{
	if (x->nitems == x->items_cap) {
		x->items_cap = x->items_cap ? x->items_cap * 2 : 64;
		x->items = xrealloc(x->items, x->items_cap * sizeof(*x->items));
	}
	x->items[x->nitems] = (struct item){ idx, *first, id, known };
	*first = ++x->nitems;
}

/* Nearly always there are one or two. */
static uint32_t outcome_of(struct exports *x, const struct policy_result *r)
{
	for (uint32_t i = 0; i < x->noutcomes; i++)
		if (policy_result_eq(&x->outcomes[i], r))
			return i;
	if (x->noutcomes == x->outcomes_cap) {
		x->outcomes_cap = x->outcomes_cap ? x->outcomes_cap * 2 : 1;
		x->outcomes = xrealloc(x->outcomes, x->outcomes_cap * sizeof(*x->outcomes));
	}
	x->outcomes[x->noutcomes] = *r;
	return x->noutcomes++;
}

static struct slot *slot_of(const struct exports *x, const struct bucket *key)
{
	uint64_t h = ((uint64_t)(uintptr_t)key->attr >> 4) * 0x9e3779b97f4a7c15ull;
	h = (h ^ key->hop ^ (uint64_t)key->peer << 20 ^ (uint64_t)key->af << 40 ^
	     (uint64_t)key->outcome << 48) *
	    0xd1b54a32d192ed03ull;
	uint32_t s = (uint32_t)(h >> 40) & (x->nslots - 1);

	for (; x->slots[s].round == x->round; s = (s + 1) & (x->nslots - 1)) {
		const struct bucket *b = &x->buckets[x->slots[s].bucket];
		if (b->attr == key->attr && b->hop == key->hop && b->peer == key->peer && b->af == key->af &&
		    b->outcome == key->outcome)
			break;
	}
	return &x->slots[s];
}

static void slots_grow(struct exports *x)
{
	free(x->slots);
	x->nslots *= 2;
	x->slots = xcalloc(x->nslots, sizeof(*x->slots));
	for (uint32_t i = 0; i < x->nbuckets; i++)
		*slot_of(x, &x->buckets[i]) = (struct slot){ x->round, i };
}

static void bucket_fill(struct exports *x, const struct group *g, const struct rib_path *p, struct bucket *b)
{
	struct addr hop = rib_nexthop(x->rib, p);

	b->nexthop = tell_nexthop(&g->how, &hop, b->af);
	if (addr_is_set(&b->nexthop))
		b->derived =
			tell_attrs(&g->how, x->attrs, p, rib_peer(x->rib, p->peer), &x->outcomes[b->outcome]);
}

/* The bucket of a path that may be told; derived is NULL if it turns out that it cannot be. */
static struct bucket *bucket_get(struct exports *x, const struct group *g, const struct rib_path *p,
				 uint8_t af, const struct policy_result *policy, size_t *bytes)
{
	struct bucket key = { .attr = p->attr,
			      .hop = p->nexthop,
			      .peer = p->peer,
			      .af = af,
			      .outcome = outcome_of(x, policy) };
	struct slot *s = slot_of(x, &key);

	if (s->round == x->round)
		return &x->buckets[s->bucket];
	if (x->nbuckets == x->buckets_cap) {
		x->buckets_cap = x->buckets_cap ? x->buckets_cap * 2 : 64;
		x->buckets = xrealloc(x->buckets, x->buckets_cap * sizeof(*x->buckets));
	}
	*s = (struct slot){ x->round, x->nbuckets };
	struct bucket *b = &x->buckets[x->nbuckets++];
	*b = key;
	bucket_fill(x, g, p, b);
	if (b->derived)
		*bytes += MSG_HEADER + 64 + attr_size(b->derived, &b->nexthop, g->how.codec.as4);
	if (x->nbuckets * 2 > x->nslots)
		slots_grow(x);
	return b;
}

static bool family_spoken(const struct group *g, uint8_t af)
{
	return g->how.codec.families & caps_family_of_af(af);
}

static bool all_paths(const struct group *g, uint8_t af)
{
	return g->how.codec.add_path_out & caps_family_of_af(af);
}

/* The bucket that a path goes into, NULL if this group is not told of it. */
static struct bucket *sort_path(struct exports *x, const struct group *g, const struct prefix *prefix,
				const struct rib_path *p, size_t *bytes)
{
	struct policy_route r = {
		.prefix = prefix,
		.attr = p->attr,
		.own = p->peer == RIB_SELF,
		.ebgp = g->how.ebgp,
		.ifname = rib_nexthop_info(x->rib, p)->ifname,
	};
	struct policy_result policy;

	if (!tell_allowed(&g->how, p, rib_peer(x->rib, p->peer)))
		return NULL;
	tell_policy(&g->how, x->policies, &r, &policy);
	if (!policy.accept)
		return NULL;
	struct bucket *b = bucket_get(x, g, p, prefix->addr.family, &policy, bytes);
	return b->derived ? b : NULL;
}

static void gather_best(struct exports *x, struct group *g, uint32_t idx, const struct prefix *p,
			size_t *bytes)
{
	const struct rib_path *best = rib_best(x->rib, idx);
	bool known = told_known(&g->told, idx);
	struct bucket *b = best ? sort_path(x, g, p, best, bytes) : NULL;

	told_say(&g->told, idx, b ? best->peer : TOLD_NOBODY);
	if (b)
		add_item(x, &b->first, idx, 0, known);
	else if (known)
		add_item(x, &x->withdrawn, idx, 0, true);
}

static void gather_all(struct exports *x, struct group *g, uint32_t idx, const struct prefix *p,
		       uint64_t abreast, size_t *bytes)
{
	uint32_t id;
	size_t i = 0;

	told_ids_begin(&g->told, idx);
	for (const struct rib_path *path = rib_first(x->rib, idx); path; path = rib_next(x->rib, path)) {
		struct bucket *b = sort_path(x, g, p, path, bytes);
		if (!b)
			continue;
		id = rib_path_number(x->rib, path);
		add_item(x, &b->first, idx, id, told_id(&g->told, idx, id, path->peer));
		*bytes += 4;
	}
	told_ids_end(&g->told, idx, journal_version_of(rib_journal(x->rib, g->view), idx), abreast);
	while ((id = told_gone(&g->told, idx, &i)))
		add_item(x, &x->withdrawn, idx, id, true);
}

/* Sorts what stands behind version from into buckets and withdrawals; returns the version reached. */
static uint64_t gather(struct exports *x, struct group *g, uint64_t from)
{
	struct journal *j = rib_journal(x->rib, g->view);
	uint64_t to = from, abreast = g->view == RIB_VIEW_ALL ? group_abreast(x, g) : 0;
	uint32_t idx = journal_after(j, from);
	/* Each peer that does not read holds the chunk in which it stands: thousands of them shall not hold
	 * long ones. */
	size_t bytes = 0, limit = x->bytes < EXPORT_AMPLE_BYTES ? EXPORT_CHUNK_BYTES : EXPORT_CHUNK_SPARING;

	for (; idx != RIB_NONE && x->nitems < EXPORT_CHUNK_PREFIXES && x->nbuckets < EXPORT_CHUNK_PREFIXES &&
	       bytes < limit;
	     idx = journal_behind(j, idx)) {
		struct prefix p = rib_prefix(x->rib, idx);
		to = journal_version_of(j, idx);
		if (!family_spoken(g, p.addr.family))
			continue;
		if (all_paths(g, p.addr.family))
			gather_all(x, g, idx, &p, abreast, &bytes);
		else
			gather_best(x, g, idx, &p, &bytes);
		bytes += 1 + addr_size(p.addr.family);
	}
	journal_remember(j, to, idx);
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

static void write_withdrawal(struct exports *x, struct packer *k, const struct item *i)
{
	struct prefix p = rib_prefix(x->rib, i->idx);

	while (pack_withdraw(k, &p, i->id) == -ENOSPC)
		grow(k);
}

/* False if the attributes fit into no message of this peer. */
static bool write_announcement(struct exports *x, struct packer *k, const struct bucket *b,
			       const struct item *i)
{
	struct prefix p = rib_prefix(x->rib, i->idx);
	int r;

	while ((r = pack_announce(k, b->derived, &b->nexthop, &p, i->id)) == -ENOSPC)
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
			write_withdrawal(x, &k, &x->items[i - 1]);
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
		const struct item *it = &x->items[i - 1];
		if (write_announcement(x, k, b, it))
			continue;
		if (it->id)
			told_id_failed(&g->told, it->idx, it->id, rib_version(x->rib));
		else
			told_say(&g->told, it->idx, TOLD_NOBODY);
		if (it->known)
			write_withdrawal(x, k, it);
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
	c->age = x->made++;
	c->to = gather(x, g, from);
	c->newest = c->to == rib_version(x->rib);
	pack_begin(&k, &x->text, &g->how.codec);
	for (uint32_t i = x->withdrawn; i; i = x->items[i - 1].next)
		write_withdrawal(x, &k, &x->items[i - 1]);
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
	c->instead_len = (uint32_t)x->instead.len;
	c->instead = copy(x->instead.buf, x->instead.len);
	c->skips = copy(x->skips, x->nskips * sizeof(*x->skips));
	c->nskips = x->nskips;
	c->messages = k.messages;
	list_add_tail(&g->chunks, &c->node);
	x->nchunks++;
	x->bytes += c->len + c->instead_len;
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
		if (i->from == o->version && i->age >= o->since) {
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
	o->version = o->chunk->to;
	if (o->chunk->newest)
		o->abreast = o->version;
	o->chunk->refs--;
	o->chunk = NULL;
	if (o->again)
		rewind_now(o);
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

/* What changed in the other view only is no news. */
static bool has_news(struct out *o)
{
	uint64_t newest = rib_version(o->x->rib);

	if (o->version >= newest)
		return false;
	if (journal_has_after(rib_journal(o->x->rib, o->group->view), o->version))
		return true;
	o->version = o->abreast = newest;
	return false;
}

bool export_next(struct out *o, const uint8_t **ret, size_t *n)
{
	for (;;) {
		if (!o->chunk) {
			if (!has_news(o))
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
	return told_count(&o->group->told, o->peer);
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

size_t exports_bytes(const struct exports *x)
{
	return x->bytes;
}
