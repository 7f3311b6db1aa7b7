/*
 * Pools and the choice of a block: a host starts at its own place of the pool (ipam/first) and walks to the
 * right, so that hosts rarely meet. Blocks of all sizes that exist in the pool count as taken, so an old
 * block of another size is never overlapped.
 */
#include "ipam/pool.h"

#include "base/check.h"
#include "base/own.h"
#include "ipam/first.h"

#include <stdio.h>

#define RECLAIM_AGE ((nsec_t)60 * 1000000000) /* an empty block of another is not touched before */
#define WALK_MAX    65536		      /* places looked at beyond those that are taken */

/* ---- which pools ---- */

static const char *family_word(uint8_t family)
{
	return family == AF_INET6 ? "IPv6" : "IPv4";
}

struct gather {
	const struct ipam_view *v;
	const struct ipam_request *req;
	struct pool_set *set;
	size_t enabled, selected;
};

static bool is_requested(const struct ipam_request *req, const struct ippool *p)
{
	for (size_t i = 0; i < req->npools; i++)
		if (prefix_eq(&req->pools[i], &p->cidr))
			return true;
	return false;
}

static bool gather_pool(void *arg, const struct ippool *p)
{
	struct gather *g = arg;

	if (p->disabled || p->cidr.addr.family != g->req->family)
		return true;
	g->enabled++;
	if (g->req->npools ? !is_requested(g->req, p)
			   : p->manual || !g->v->pool_selects(g->v->arg, p, g->req->host))
		return true;
	g->selected++;
	if (!(p->uses & POOL_USE_WORKLOAD))
		return true;
	g->set->p = xrealloc(g->set->p, (g->set->n + 1) * sizeof(*p));
	g->set->p[g->set->n++] = *p;
	return true;
}

struct enabled {
	const struct prefix *cidr;
	bool found;
};

static bool find_enabled(void *arg, const struct ippool *p)
{
	struct enabled *f = arg;

	f->found = !p->disabled && prefix_eq(&p->cidr, f->cidr);
	return !f->found;
}

static int check_requested(const struct ipam_view *v, const struct ipam_request *req, struct err *e)
{
	char text[PREFIX_STR_MAX];

	for (size_t i = 0; i < req->npools; i++) {
		struct enabled f = { .cidr = &req->pools[i] };
		v->each_pool(v->arg, find_enabled, &f);
		if (!f.found)
			return err_set(e, ENOENT,
				       "the given pool (%s) does not exist, or is not enabled; see `korat "
				       "get ippools`",
				       prefix_format(&req->pools[i], text));
	}
	return 0;
}

int pool_gather(const struct ipam_view *v, const struct ipam_request *req, struct pool_set *ret,
		struct err *e)
{
	struct gather g = { .v = v, .req = req, .set = ret };
	int rc = check_requested(v, req, e);

	*ret = (struct pool_set){ 0 };
	if (rc < 0)
		return rc;
	v->each_pool(v->arg, gather_pool, &g);
	if (ret->n)
		return 0;
	if (!g.enabled)
		return err_set(e, ENOENT, "there is no enabled %s pool; create an IPPool",
			       family_word(req->family));
	if (!g.selected && req->npools)
		return err_set(e, ENOENT, "none of the requested pools is an %s pool",
			       family_word(req->family));
	if (!g.selected)
		return err_set(e, ENOENT,
			       "no %s pool is for node %s: of %zu enabled, each has another nodeSelector or "
			       "assignmentMode Manual",
			       family_word(req->family), req->host, g.enabled);
	return err_set(e, ENOENT, "no %s pool for node %s has Workload among its allowedUses",
		       family_word(req->family), req->host);
}

struct holder {
	const struct addr *a;
	struct ippool *ret;
	bool found;
};

static bool find_holder(void *arg, const struct ippool *p)
{
	struct holder *h = arg;

	h->found = !p->disabled && prefix_has(&p->cidr, h->a);
	if (h->found)
		*h->ret = *p;
	return !h->found;
}

int pool_of_addr(const struct ipam_view *v, const struct addr *a, struct ippool *ret, struct err *e)
{
	struct holder h = { .a = a, .ret = ret };
	char text[ADDR_STR_MAX];

	v->each_pool(v->arg, find_holder, &h);
	if (!h.found)
		return err_set(e, ENOENT,
			       "%s: The provided IP address is not in a configured pool (or the pool is "
			       "disabled); see "
			       "`korat get ippools`",
			       addr_format(a, text));
	if (!(ret->uses & POOL_USE_WORKLOAD))
		return err_set(e, EINVAL, "%s is in pool %s, which has no Workload among its allowedUses",
			       addr_format(a, text), ret->name);
	return 0;
}

bool pool_left_behind(const struct ipam_view *v, const char *host, const struct prefix *cidr)
{
	struct ippool pool;
	struct holder h = { .a = &cidr->addr, .ret = &pool };

	v->each_pool(v->arg, find_holder, &h);
	return h.found && !v->pool_selects(v->arg, &pool, host);
}

bool pool_covers(const struct pool_set *s, const struct prefix *cidr)
{
	for (size_t i = 0; i < s->n; i++)
		if (prefix_covers(&s->p[i].cidr, cidr))
			return true;
	return false;
}

void pool_set_done(struct pool_set *s)
{
	free(s->p);
	*s = (struct pool_set){ 0 };
}

/* ---- what is in a pool ---- */

struct entry {
	struct prefix cidr;
	nsec_t claimed;
	bool empty, virtual;
	uint32_t nfree;
	char host[254]; /* "" if nobody's */
};

struct entries {
	struct entry *e;
	size_t n, cap;
};

static bool add_entry(void *arg, const struct block *b, int64_t rev)
{
	struct entries *s = arg;
	const char *host = block_host(b);

	if (s->n == s->cap) {
		s->cap = s->cap ? 2 * s->cap : 64;
		s->e = xrealloc(s->e, s->cap * sizeof(s->e[0]));
	}
	struct entry *x = &s->e[s->n++];
	*x = (struct entry){ .cidr = b->cidr, .empty = block_empty(b), .nfree = b->nfree };
	x->virtual = b->affinity[0] && !host;
	snprintf(x->host, sizeof(x->host), "%s", host ? host : "");
	if (clock_parse_rfc3339(b->claim_time, &x->claimed) < 0)
		x->claimed = 0;
	return true;
}

static int entry_cmp(const void *a, const void *b)
{
	return prefix_cmp(&((const struct entry *)a)->cidr, &((const struct entry *)b)->cidr);
}

static void list_entries(const struct ipam_view *v, const struct prefix *within, struct entries *ret)
{
	*ret = (struct entries){ 0 };
	v->each_block(v->arg, within, add_entry, ret);
	if (ret->n)
		qsort(ret->e, ret->n, sizeof(ret->e[0]), entry_cmp);
}

/* The first entry that does not come before cidr. */
static size_t lower_bound(const struct entries *s, const struct prefix *cidr)
{
	size_t lo = 0, hi = s->n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		if (prefix_cmp(&s->e[mid].cidr, cidr) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

/* The block that is at cidr or overlaps it, or NULL. */
static const struct entry *entry_at(const struct entries *s, const struct prefix *cidr)
{
	size_t i = lower_bound(s, cidr);

	if (i < s->n && prefix_covers(cidr, &s->e[i].cidr))
		return &s->e[i];
	if (i > 0 && prefix_covers(&s->e[i - 1].cidr, cidr))
		return &s->e[i - 1];
	return NULL;
}

/* ---- which block ---- */

static first_index_t start_of(const struct ipam_request *req, const struct ippool *p)
{
	bool single = p->block_size == addr_bits(p->cidr.addr.family);

	/* Hosts with blocks of one address would all take long walks over the same ones. */
	return first_index(req->host, first_bits(&p->cidr, p->block_size),
			   req->seed ? req->seed
			   : single  ? (uint64_t)req->wall
				     : 0);
}

static bool all_reserved(const struct ipam_view *v, const struct prefix *cidr)
{
	uint64_t n = 1ull << MIN(addr_bits(cidr->addr.family) - cidr->len, 12u);

	if (!v->reserved)
		return false;
	for (uint64_t i = 0; i < n; i++) {
		struct addr a = prefix_nth(cidr, i);
		if (!v->reserved(v->arg, &a))
			return false;
	}
	return true;
}

struct walk {
	enum pool_pick pick; /* the best so far */
	struct prefix cidr;
	char host[254];
};

static bool is_orphan(const struct ipam_view *v, const struct ipam_request *req, const struct entry *x)
{
	int64_t rev;

	return x->nfree && !strcmp(x->host, req->host) && !v->affinity(v->arg, req->host, &x->cidr, &rev);
}

/* Can an existing block be had? Remembers the first empty one of others; true ends the walk. */
static bool consider(const struct ipam_view *v, const struct ipam_request *req, const struct prefix *cidr,
		     const struct entry *x, struct walk *w)
{
	if (!prefix_eq(cidr, &x->cidr))
		return false;
	if (is_orphan(v, req, x)) {
		w->pick = POOL_PICK_CLAIM;
		w->cidr = *cidr;
		return true;
	}
	if (w->pick != POOL_PICK_NONE || !x->empty || !x->nfree || x->virtual ||
	    !strcmp(x->host, req->host) || req->wall - x->claimed < RECLAIM_AGE)
		return false;
	w->pick = x->host[0] ? POOL_PICK_RECLAIM : POOL_PICK_DROP;
	w->cidr = *cidr;
	memcpy(w->host, x->host, sizeof(w->host));
	return false;
}

static bool walk_pool(const struct ipam_view *v, const struct ipam_request *req, const struct ippool *p,
		      struct walk *w)
{
	first_index_t total = (first_index_t)1 << first_bits(&p->cidr, p->block_size);
	first_index_t at = start_of(req, p);
	struct entries s;
	bool done = false;

	list_entries(v, &p->cidr, &s);
	for (size_t i = 0; !done && i < total && i < s.n + WALK_MAX; i++, at = (at + 1) % total) {
		struct prefix cidr = first_nth(&p->cidr, p->block_size, at);
		const struct entry *x = entry_at(&s, &cidr);
		if (x) {
			done = consider(v, req, &cidr, x, w);
		} else if (!all_reserved(v, &cidr)) {
			w->pick = POOL_PICK_CLAIM;
			w->cidr = cidr;
			done = true;
		}
	}
	free(s.e);
	return done;
}

enum pool_pick pool_pick_block(const struct ipam_view *v, const struct ipam_request *req,
			       const struct pool_set *s, struct prefix *ret_cidr, char *ret_host)
{
	struct walk w = { .pick = POOL_PICK_NONE };

	for (size_t i = 0; i < s->n; i++)
		if (walk_pool(v, req, &s->p[i], &w))
			break;
	*ret_cidr = w.cidr;
	memcpy(ret_host, w.host, sizeof(w.host));
	return w.pick;
}

void pool_each_foreign(const struct ipam_view *v, const struct ipam_request *req, const struct pool_set *s,
		       bool (*fn)(void *arg, const struct prefix *cidr), void *arg)
{
	bool more = true;

	for (size_t i = 0; more && i < s->n; i++) {
		const struct ippool *p = &s->p[i];
		struct prefix first = first_nth(&p->cidr, p->block_size, start_of(req, p));
		struct entries all;
		list_entries(v, &p->cidr, &all);
		size_t start = lower_bound(&all, &first);
		for (size_t k = 0; more && k < all.n; k++) {
			const struct entry *x = &all.e[(start + k) % all.n];
			if (strcmp(x->host, req->host) != 0)
				more = fn(arg, &x->cidr);
		}
		free(all.e);
	}
}

struct tally {
	uint64_t blocks, addresses, free;
};

static bool tally_block(void *arg, const struct block *b, int64_t rev)
{
	struct tally *t = arg;

	t->blocks++;
	t->addresses += b->size;
	t->free += b->nfree;
	return true;
}

void pool_describe(const struct ipam_view *v, const struct pool_set *s, char *buf, size_t max)
{
	size_t at = 0;

	buf[0] = '\0';
	for (size_t i = 0; i < s->n && at + 1 < max; i++) {
		struct tally t = { 0 };
		char cidr[PREFIX_STR_MAX];
		v->each_block(v->arg, &s->p[i].cidr, tally_block, &t);
		int n = snprintf(buf + at, max - at,
				 "%spool %.60s (%s): %llu blocks, %llu of their %llu addresses free",
				 i ? "; " : "", s->p[i].name, prefix_format(&s->p[i].cidr, cidr),
				 (unsigned long long)t.blocks, (unsigned long long)t.free,
				 (unsigned long long)t.addresses);
		at += (size_t)n;
	}
}
