/* A store in memory for the tests of address management. */
#include "world.h"

#include "base/check.h"
#include "base/map.h"
#include "base/own.h"
#include "base/str.h"

#include <stdio.h>
#include <string.h>

struct content {
	char *key;
	uint32_t id;
	enum kind kind;
	struct block block;
	struct affinity affinity;
	struct handle handle;
	UT_hash_handle hh;
};

void world_init(struct world *w)
{
	memset(w, 0, sizeof(*w));
	ipamconfig_default(&w->config);
	w->contents = xcalloc(1, sizeof(w->contents[0])); /* [0] is NULL: nothing */
	w->ncontents = 1;
}

void world_done(struct world *w)
{
	struct content *c, *tmp;

	map_each (w->by_key, c, tmp) {
		map_del(w->by_key, c);
		block_done(&c->block);
		free(c->key);
		free(c);
	}
	free(w->contents);
}

struct ippool *world_pool(struct world *w, const char *name, const char *cidr, uint8_t block_size)
{
	struct ippool *p = &w->pools[w->npools++];

	*p = (struct ippool){ .block_size = block_size, .uses = POOL_USE_WORKLOAD | POOL_USE_TUNNEL };
	snprintf(p->name, sizeof(p->name), "%s", name);
	CHECK(prefix_parse(cidr, &p->cidr));
	return p;
}

/* ---- contents ---- */

static void add_bytes(struct str *s, const void *p, size_t n)
{
	const uint8_t *b = p;

	for (size_t i = 0; i < n; i++) { /* as text, without zeros */
		const char two[2] = { (char)('A' + (b[i] & 15)), (char)('A' + (b[i] >> 4)) };
		str_addn(s, two, 2);
	}
}

static void key_of_block(struct str *s, const struct block *b)
{
	str_add(s, b->affinity);
	str_add(s, b->claim_time);
	add_bytes(s, &b->sequence, sizeof(b->sequence));
	add_bytes(s, &b->attrs_null, sizeof(b->attrs_null));
	add_bytes(s, b->alloc, b->size * sizeof(b->alloc[0]));
	add_bytes(s, b->alloc_seq, b->size * sizeof(b->alloc_seq[0]));
	add_bytes(s, b->free, b->nfree * sizeof(b->free[0]));
	for (size_t i = 0; i < b->nattrs; i++) {
		str_add(s, "|");
		str_add(s, b->attrs[i].handle ? b->attrs[i].handle : "");
		str_add(s, b->attrs[i].released_at ? b->attrs[i].released_at : "");
	}
}

/* Everything of a value that the tests vary, as a string. */
static char *key_of(const struct ipam_write *wr)
{
	own_str struct str s = { 0 };

	add_bytes(&s, &wr->kind, 1);
	str_add(&s, wr->name);
	if (wr->kind == KIND_BLOCK)
		key_of_block(&s, &wr->block);
	else if (wr->kind == KIND_AFFINITY)
		add_bytes(&s, &wr->affinity.state, 1);
	else
		add_bytes(&s, wr->handle.blocks, wr->handle.n * sizeof(wr->handle.blocks[0]));
	return str_take(&s);
}

/* The value as it would come back from a store. */
static void copy_value(const struct world *w, struct content *c, const struct ipam_write *wr)
{
	struct err e = { 0 };

	c->affinity = wr->affinity;
	c->handle = wr->handle;
	if (wr->kind == KIND_BLOCK)
		block_copy(&c->block, &wr->block);
	if (!w->through_json)
		return;
	json_t *doc = wr->kind == KIND_BLOCK	  ? block_encode(&wr->block)
		      : wr->kind == KIND_AFFINITY ? affinity_encode(&wr->affinity)
						  : handle_encode(&wr->handle);
	block_done(&c->block);
	int rc = wr->kind == KIND_BLOCK	     ? block_decode(doc, &c->block, &e)
		 : wr->kind == KIND_AFFINITY ? affinity_decode(wr->name, doc, &c->affinity, &e)
					     : handle_decode(wr->name, doc, &c->handle, &e);
	CHECK(rc == 0);
	json_decref(doc);
}

static uint32_t intern(struct world *w, const struct ipam_write *wr)
{
	own_mem char *key = key_of(wr);
	struct content *c;
	struct err e;

	map_find_str(w->by_key, key, c);
	if (c)
		return c->id;
	c = xcalloc(1, sizeof(*c));
	c->key = take(key);
	c->kind = wr->kind;
	c->id = (uint32_t)w->ncontents;
	copy_value(w, c, wr);
	if (c->kind == KIND_BLOCK)
		CHECK(block_check(&c->block, &e) == 0);
	w->contents = xrealloc(w->contents, (w->ncontents + 1) * sizeof(w->contents[0]));
	w->contents[w->ncontents++] = c;
	map_add_str(w->by_key, key, c);
	return c->id;
}

static uint32_t slot_of(struct world *w, const struct ipam_write *wr)
{
	size_t i = 0;

	while (i < w->nslots && (w->slots[i].kind != wr->kind || strcmp(w->slots[i].name, wr->name) != 0))
		i++;
	CHECK(i < WORLD_SLOTS);
	if (i < w->nslots)
		return (uint32_t)i;
	struct slot *s = &w->slots[w->nslots++];
	s->kind = wr->kind;
	strcpy(s->name, wr->name);
	if (wr->kind == KIND_BLOCK) {
		CHECK(block_parse_name(wr->name, &s->cidr) == 0);
	} else if (wr->kind == KIND_AFFINITY) {
		s->cidr = wr->affinity.cidr;
		strcpy(s->host, wr->affinity.host);
	}
	return (uint32_t)i;
}

/* ---- views ---- */

static const struct content *seen_in(const struct world *w, const struct cell *seen, size_t i)
{
	return w->contents[seen[i].content];
}

static const struct block *view_block(void *arg, const struct prefix *cidr, int64_t *rev)
{
	struct world_view *v = arg;

	for (size_t i = 0; i < v->w->nslots; i++) {
		const struct slot *s = &v->w->slots[i];
		if (s->kind != KIND_BLOCK || !prefix_eq(&s->cidr, cidr) || !v->seen[i].content)
			continue;
		*rev = v->seen[i].rev;
		return &seen_in(v->w, v->seen, i)->block;
	}
	return NULL;
}

static const struct affinity *show(struct world_view *v, size_t i)
{
	v->shown = seen_in(v->w, v->seen, i)->affinity;
	if (v->w->mutant == MUTANT_TRUST_PENDING && v->shown.state == AFFINITY_PENDING)
		v->shown.state = AFFINITY_CONFIRMED;
	return &v->shown;
}

static const struct affinity *view_affinity(void *arg, const char *host, const struct prefix *cidr,
					    int64_t *rev)
{
	struct world_view *v = arg;

	for (size_t i = 0; i < v->w->nslots; i++) {
		const struct slot *s = &v->w->slots[i];
		if (s->kind != KIND_AFFINITY || !v->seen[i].content || !prefix_eq(&s->cidr, cidr) ||
		    strcmp(s->host, host) != 0)
			continue;
		*rev = v->seen[i].rev;
		return show(v, i);
	}
	return NULL;
}

static const struct handle *view_handle(void *arg, const char *id, int64_t *rev)
{
	struct world_view *v = arg;

	for (size_t i = 0; i < v->w->nslots; i++)
		if (v->w->slots[i].kind == KIND_HANDLE && v->seen[i].content &&
		    !strcmp(v->w->slots[i].name, id)) {
			*rev = v->seen[i].rev;
			return &seen_in(v->w, v->seen, i)->handle;
		}
	return NULL;
}

/* The present slots of a kind in ascending order; returns how many. */
static size_t ordered(const struct world_view *v, enum kind k, uint16_t ret[static WORLD_SLOTS])
{
	size_t n = 0;

	for (size_t i = 0; i < v->w->nslots; i++) {
		if (v->w->slots[i].kind != k || !v->seen[i].content)
			continue;
		size_t at = n++;
		for (; at > 0 && prefix_cmp(&v->w->slots[ret[at - 1]].cidr, &v->w->slots[i].cidr) > 0; at--)
			ret[at] = ret[at - 1];
		ret[at] = (uint16_t)i;
	}
	return n;
}

static void view_each_affinity(void *arg, const char *host, uint8_t family,
			       bool (*fn)(void *fnarg, const struct affinity *a, int64_t rev), void *fnarg)
{
	struct world_view *v = arg;
	uint16_t list[WORLD_SLOTS];
	size_t n = ordered(v, KIND_AFFINITY, list);

	for (size_t i = 0; i < n; i++) {
		const struct slot *s = &v->w->slots[list[i]];
		if (s->cidr.addr.family == family && !strcmp(s->host, host) &&
		    !fn(fnarg, show(v, list[i]), v->seen[list[i]].rev))
			return;
	}
}

static void view_each_block(void *arg, const struct prefix *within,
			    bool (*fn)(void *fnarg, const struct block *b, int64_t rev), void *fnarg)
{
	struct world_view *v = arg;
	uint16_t list[WORLD_SLOTS];
	size_t n = ordered(v, KIND_BLOCK, list);

	for (size_t i = 0; i < n; i++)
		if (prefix_covers(within, &v->w->slots[list[i]].cidr) &&
		    !fn(fnarg, &seen_in(v->w, v->seen, list[i])->block, v->seen[list[i]].rev))
			return;
}

static void view_each_pool(void *arg, bool (*fn)(void *fnarg, const struct ippool *p), void *fnarg)
{
	struct world_view *v = arg;

	for (size_t i = 0; i < v->w->npools; i++)
		if (!fn(fnarg, &v->w->pools[i]))
			return;
}

static bool view_selects(void *arg, const struct ippool *p, const char *host)
{
	struct world_view *v = arg;

	return !v->w->unselected || strcmp(v->w->unselected, host) != 0;
}

static bool view_reserved(void *arg, const struct addr *a)
{
	struct world_view *v = arg;

	return v->w->reserved.addr.family && prefix_has(&v->w->reserved, a);
}

struct ipam_view world_view(struct world *w, const struct cell *seen, struct world_view *arg)
{
	*arg = (struct world_view){ .w = w, .seen = seen };
	return (struct ipam_view){
		.arg = arg,
		.block = view_block,
		.affinity = view_affinity,
		.handle = view_handle,
		.each_affinity = view_each_affinity,
		.each_block = view_each_block,
		.each_pool = view_each_pool,
		.pool_selects = view_selects,
		.reserved = view_reserved,
		.config = &w->config,
	};
}

/* ---- writing ---- */

void world_prepare(struct world *w, const struct ipam_write *wr, struct flight *ret)
{
	*ret = (struct flight){ .up = true, .op = wr->op, .slot = slot_of(w, wr), .rev = (uint32_t)wr->rev };
	ret->content = wr->op == IPAM_DELETE ? 0 : intern(w, wr);
}

static bool revision_counts(const struct world *w, const struct flight *f)
{
	switch (w->slots[f->slot].kind) {
	case KIND_BLOCK:
		return w->mutant != (f->op == IPAM_DELETE ? MUTANT_BLOCK_DELETE : MUTANT_BLOCK_CAS);
	case KIND_AFFINITY:
		return w->mutant != MUTANT_AFFINITY_CAS;
	default:
		return w->mutant != MUTANT_HANDLE_CAS;
	}
}

bool world_land(struct world *w, struct cell *cur, const struct flight *f)
{
	struct cell *c = &cur[f->slot];

	if (f->op == IPAM_CREATE) {
		if (c->content && w->mutant != MUTANT_CREATE)
			return false;
	} else if (!c->content || (c->rev != f->rev && revision_counts(w, f))) {
		return false;
	}
	*c = (struct cell){ f->content, c->rev + 1 };
	return true;
}

/* Is the write one that the mutant leaves out? Then the view shows it, and the store has never heard of it.
 */
static bool swallow(const struct world *w, const struct cell *cur, const struct cell *seen,
		    const struct flight *f)
{
	const struct content *old = w->contents[cur[f->slot].content], *new = w->contents[f->content];

	if (w->mutant == MUTANT_SKIP_FENCE) /* here it is the view that says it is there */
		old = w->contents[seen[f->slot].content];
	if (!old || !new)
		return w->mutant == MUTANT_SKIP_HANDLE && new &&new->kind == KIND_HANDLE;
	switch (w->mutant) {
	case MUTANT_SKIP_HANDLE:
		return new->kind == KIND_HANDLE;
	case MUTANT_SKIP_BUMP:
		return new->kind == KIND_BLOCK && f->rev == cur[f->slot].rev &&new->block.affinity[0] &&
		       old->block.nfree == new->block.nfree;
	case MUTANT_SKIP_FENCE:
		return new->kind == KIND_AFFINITY &&new->affinity.state == AFFINITY_PENDING_DELETION &&
		       old->affinity.state == AFFINITY_PENDING_DELETION;
	default:
		return false;
	}
}

bool world_write(struct world *w, struct cell *cur, struct cell *seen, const struct ipam_write *wr)
{
	struct flight f;

	world_prepare(w, wr, &f);
	if (swallow(w, cur, seen, &f)) {
		seen[f.slot] = (struct cell){ f.content, cur[f.slot].rev + 1 };
		return true;
	}
	bool ok = world_land(w, cur, &f);
	seen[f.slot] = cur[f.slot];
	return ok;
}

enum ipam_answer world_run(struct world *w, struct cell *cur, struct ipam_request *req, int max,
			   struct addr *ret, struct err *e)
{
	struct world_view arg;
	struct ipam_view v = world_view(w, cur, &arg);
	struct ipam_step s;
	struct err unused;

	for (;; max--) {
		ipam_step(&v, req, &s, e ? e : &unused);
		if (s.answer != IPAM_WRITE || max <= 0)
			break;
		world_write(w, cur, cur, &s.write);
		ipam_step_done(&s);
	}
	if (ret)
		*ret = s.addr;
	ipam_step_done(&s);
	return s.answer;
}

/* ---- looking ---- */

const struct block *world_block_at(struct world *w, const struct cell *cur, size_t slot)
{
	const struct content *c = seen_in(w, cur, slot);

	return c && c->kind == KIND_BLOCK ? &c->block : NULL;
}

const struct affinity *world_affinity_at(struct world *w, const struct cell *cur, size_t slot)
{
	const struct content *c = seen_in(w, cur, slot);

	return c && c->kind == KIND_AFFINITY ? &c->affinity : NULL;
}

const struct block *world_block(struct world *w, const struct cell *cur, const char *cidr)
{
	struct world_view v = { .w = w, .seen = cur };
	struct prefix p;
	int64_t rev;

	CHECK(prefix_parse(cidr, &p));
	return view_block(&v, &p, &rev);
}

const struct affinity *world_affinity(struct world *w, const struct cell *cur, const char *host,
				      const char *cidr)
{
	struct prefix p;

	CHECK(prefix_parse(cidr, &p));
	for (size_t i = 0; i < w->nslots; i++) {
		const struct affinity *a = world_affinity_at(w, cur, i);
		if (a && prefix_eq(&a->cidr, &p) && !strcmp(a->host, host))
			return a;
	}
	return NULL;
}

const struct handle *world_handle(struct world *w, const struct cell *cur, const char *id)
{
	struct world_view v = { .w = w, .seen = cur };
	int64_t rev;

	return view_handle(&v, id, &rev);
}

const char *world_owner(struct world *w, const struct cell *cur, const struct addr *a)
{
	for (size_t i = 0; i < w->nslots; i++) {
		const struct block *b = world_block_at(w, cur, i);
		const struct block_attr *attr = b ? block_attr_of(b, a) : NULL;
		if (attr)
			return attr->handle;
	}
	return NULL;
}

size_t world_count(const struct world *w, const struct cell *cur)
{
	size_t n = 0;

	for (size_t i = 0; i < w->nslots; i++)
		n += cur[i].content != 0;
	return n;
}

static uint32_t counted(const struct handle *h, const struct prefix *cidr)
{
	for (size_t i = 0; h && i < h->n; i++)
		if (prefix_eq(&h->blocks[i].cidr, cidr))
			return h->blocks[i].count;
	return 0;
}

static const char *block_wrong(struct world *w, const struct cell *cur, const struct block *b)
{
	for (size_t i = 0; i < b->nattrs; i++) {
		const char *id = b->attrs[i].handle;
		if (id && counted(world_handle(w, cur, id), &b->cidr) < block_count_handle(b, id))
			return "a handle counts less than it has";
	}
	return NULL;
}

static const char *affinity_wrong(struct world *w, const struct cell *cur, const struct affinity *a)
{
	struct world_view v = { .w = w, .seen = cur };
	int64_t rev;

	if (a->state != AFFINITY_CONFIRMED)
		return NULL;
	const struct block *b = view_block(&v, &a->cidr, &rev);
	if (!b)
		return "a confirmed affinity has no block";
	if (!block_host(b) || strcmp(block_host(b), a->host) != 0)
		return "a block has two owners";
	return NULL;
}

const char *world_wrong(struct world *w, const struct cell *cur, bool exact)
{
	for (size_t i = 0; i < w->nslots; i++) {
		const struct block *b = world_block_at(w, cur, i);
		const struct affinity *a = world_affinity_at(w, cur, i);
		const char *wrong = a		 ? affinity_wrong(w, cur, a)
				    : b && exact ? block_wrong(w, cur, b)
						 : NULL;
		if (wrong)
			return wrong;
	}
	return NULL;
}

struct ipam_request world_request(enum ipam_do what, const char *host, const char *handle, nsec_t wall)
{
	return (struct ipam_request){
		.what = what, .host = host, .handle = handle, .family = AF_INET, .wall = wall
	};
}
