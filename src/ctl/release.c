/* Blocks and affinities that a pool or a node leaves behind, one after another through ipam_step(). */
#include "ctl/release.h"

#include "base/check.h"
#include "base/own.h"
#include "ipam/ipam.h"
#include "loop/loop.h"
#include "store/store.h"

#include <stdio.h>

/* One block as somebody's; host is "" if it is nobody's. */
struct claim_entry {
	struct prefix cidr;
	char host[254];
	bool has_block, empty;
	uint32_t used;
	int64_t rev; /* of the block */
};

struct release {
	struct loop *loop;
	struct store *store;
	const struct prefix *pool; /* only what is inside, or NULL */
	const char *node;	   /* only what is this node's, or NULL */
	struct claim_entry *entries;
	size_t n;
	struct ipamconfig config;
	/* What ipam_step() looks at. */
	bool has_block, has_affinity;
	struct block block;
	struct affinity affinity;
	int64_t block_rev, affinity_rev;
};

/* ---- what there is ---- */

/* 0 also if it does not exist; *ret is then NULL. */
static int read_object(struct release *r, enum kind k, const char *name, json_t **ret, int64_t *ret_rev,
		       struct err *e)
{
	own_mem char *value = NULL;
	int rc = store_get_wait(r->loop, r->store, k, name, &value, ret_rev, e);

	*ret = NULL;
	if (rc == 0)
		return kind_parse_json(value, strlen(value), ret, e);
	return rc == STORE_NOT_FOUND ? 0 : rc;
}

static struct claim_entry *entry_for(struct release *r, const struct prefix *cidr, const char *host)
{
	for (size_t i = 0; i < r->n; i++)
		if (prefix_eq(&r->entries[i].cidr, cidr) && strcmp(r->entries[i].host, host) == 0)
			return &r->entries[i];
	r->entries = xrealloc(r->entries, (r->n + 1) * sizeof(r->entries[0]));
	struct claim_entry *x = &r->entries[r->n++];
	*x = (struct claim_entry){ .cidr = *cidr };
	snprintf(x->host, sizeof(x->host), "%s", host);
	return x;
}

static bool is_meant(const struct release *r, const struct prefix *cidr, const char *host)
{
	return (!r->pool || prefix_covers(r->pool, cidr)) && (!r->node || strcmp(r->node, host) == 0);
}

static json_t *parse(const char *text)
{
	json_t *doc = NULL;

	return text && kind_parse_json(text, strlen(text), &doc, NULL) == 0 ? doc : NULL;
}

static void on_affinity(void *arg, const struct store_obj *obj)
{
	struct release *r = arg;
	struct affinity a;
	json_t *doc = parse(obj->value);

	if (doc && affinity_decode(obj->name, doc, &a, NULL) == 0 && is_meant(r, &a.cidr, a.host))
		entry_for(r, &a.cidr, a.host);
	json_decref(doc);
}

/* A block that cannot be understood counts as used: nobody knows what is in it. */
static void on_block(void *arg, const struct store_obj *obj)
{
	struct release *r = arg;
	struct prefix cidr;
	struct block b;
	json_t *doc = parse(obj->value);

	if (doc && block_decode(doc, &b, NULL) == 0) {
		const char *host = block_host(&b);
		block_gc(&b, loop_wall(r->loop), r->config.cooldown_seconds * SEC);
		if (is_meant(r, &b.cidr, host ? host : "")) {
			struct claim_entry *x = entry_for(r, &b.cidr, host ? host : "");
			x->has_block = true;
			x->empty = block_empty(&b) && (host || !b.affinity[0]);
			x->used = b.size - b.nfree;
			x->rev = obj->rev;
		}
		block_done(&b);
	} else if (r->pool && block_parse_name(obj->name, &cidr) == 0 && prefix_covers(r->pool, &cidr)) {
		entry_for(r, &cidr, "")->has_block = true;
	}
	json_decref(doc);
}

static int read_config(struct release *r, struct err *e)
{
	json_t *doc;

	ipamconfig_default(&r->config);
	int rc = read_object(r, KIND_IPAMCONFIG, "default", &doc, &r->block_rev, e);
	if (rc == 0 && doc)
		rc = ipamconfig_decode(doc, &r->config, e);
	json_decref(doc);
	return rc < 0 ? err_in(e, "IPAM configuration") : 0;
}

static int look(struct release *r, struct release_left *ret, struct err *e)
{
	int rc = read_config(r, e);

	if (rc == 0)
		rc = store_list_wait(r->loop, r->store, KIND_AFFINITY, on_affinity, r, e);
	if (rc == 0)
		rc = store_list_wait(r->loop, r->store, KIND_BLOCK, on_block, r, e);
	*ret = (struct release_left){ 0 };
	for (size_t i = 0; i < r->n; i++) {
		if (!r->entries[i].has_block || r->entries[i].empty)
			continue;
		ret->blocks++;
		ret->addresses += r->entries[i].used;
	}
	return rc;
}

/* ---- ipam's view of the store: one block and its affinity, read anew before every step ---- */

static int read_block(struct release *r, const struct prefix *cidr, struct err *e)
{
	char name[KIND_NAME_MAX];
	json_t *doc;

	block_done(&r->block);
	r->has_block = false;
	block_name(cidr, name);
	int rc = read_object(r, KIND_BLOCK, name, &doc, &r->block_rev, e);
	if (rc == 0 && doc) {
		rc = block_decode(doc, &r->block, e);
		r->has_block = rc == 0;
	}
	json_decref(doc);
	return rc < 0 ? err_in(e, "block %s", name) : 0;
}

static int read_affinity(struct release *r, const char *host, const struct prefix *cidr, struct err *e)
{
	char name[KIND_NAME_MAX];
	json_t *doc;

	affinity_name(host, cidr, name);
	int rc = read_object(r, KIND_AFFINITY, name, &doc, &r->affinity_rev, e);
	r->has_affinity = rc == 0 && doc;
	if (r->has_affinity)
		rc = affinity_decode(name, doc, &r->affinity, e);
	json_decref(doc);
	return rc < 0 ? err_in(e, "block affinity %s", name) : 0;
}

static const struct block *view_block(void *arg, const struct prefix *cidr, int64_t *rev)
{
	struct release *r = arg;

	if (!r->has_block)
		return NULL;
	*rev = r->block_rev;
	return &r->block;
}

static const struct affinity *view_affinity(void *arg, const char *host, const struct prefix *cidr,
					    int64_t *rev)
{
	struct release *r = arg;

	if (!r->has_affinity)
		return NULL;
	*rev = r->affinity_rev;
	return &r->affinity;
}

static const struct handle *view_handle(void *arg, const char *id, int64_t *rev)
{
	return NULL;
}

static void view_no_affinities(void *arg, const char *host, uint8_t family,
			       bool (*fn)(void *fnarg, const struct affinity *a, int64_t rev), void *fnarg)
{
}

static void view_no_blocks(void *arg, const struct prefix *within,
			   bool (*fn)(void *fnarg, const struct block *b, int64_t rev), void *fnarg)
{
}

static void view_no_pools(void *arg, bool (*fn)(void *fnarg, const struct ippool *p), void *fnarg)
{
}

static bool view_selects(void *arg, const struct ippool *p, const char *host)
{
	return true;
}

/* ---- giving back ---- */

/* Did the write fail for another reason than that somebody was faster? That one is seen by the next look. */
static bool has_failed(int rc)
{
	return rc < 0 && rc != STORE_STALE && rc != STORE_EXISTS && rc != STORE_NOT_FOUND &&
	       rc != STORE_UNKNOWN;
}

static int perform(struct release *r, const struct ipam_write *w, struct err *e)
{
	if (w->op == IPAM_DELETE)
		return store_delete_wait(r->loop, r->store, w->kind, w->name, w->rev, e);
	json_t *doc = w->kind == KIND_BLOCK ? block_encode(&w->block) : affinity_encode(&w->affinity);
	own_mem char *text = kind_dump_json(doc);
	json_decref(doc);
	return store_write_wait(r->loop, r->store, w->kind, w->name, text, w->rev, w->op == IPAM_CREATE, NULL,
				e);
}

/* One step. *ret_more: there are others. */
static int step(struct release *r, struct ipam_request *req, bool *ret_more, struct err *e)
{
	const struct ipam_view view = {
		.arg = r,
		.block = view_block,
		.affinity = view_affinity,
		.handle = view_handle,
		.each_affinity = view_no_affinities,
		.each_block = view_no_blocks,
		.each_pool = view_no_pools,
		.pool_selects = view_selects,
		.config = &r->config,
	};
	struct err why = { 0 };
	struct ipam_step s;
	int rc = 0;

	ipam_step(&view, req, &s, &why);
	*ret_more = s.answer == IPAM_WRITE;
	if (s.answer == IPAM_WRITE) {
		rc = perform(r, &s.write, e);
		rc = has_failed(rc) ? rc : 0;
	} else if (s.answer == IPAM_REFUSED && why.code != EBUSY) {
		/* EBUSY: it is in use after all; the next look counts it. */
		*e = why;
		rc = -e->code;
	}
	ipam_step_done(&s);
	return rc;
}

static int give_back(struct release *r, const struct claim_entry *x, struct err *e)
{
	struct ipam_request req = {
		.what = IPAM_RELEASE_AFFINITY, .host = x->host, .cidr = x->cidr, .wall = loop_wall(r->loop)
	};
	bool more = true;
	int rc = 0;

	while (more && rc == 0) {
		if ((rc = read_block(r, &x->cidr, e)) == 0 &&
		    (rc = read_affinity(r, x->host, &x->cidr, e)) == 0)
			rc = step(r, &req, &more, e);
	}
	return rc;
}

/* An empty block that no node claims. */
static int drop_block(struct release *r, const struct claim_entry *x, struct err *e)
{
	char name[KIND_NAME_MAX];

	block_name(&x->cidr, name);
	int rc = store_delete_wait(r->loop, r->store, KIND_BLOCK, name, x->rev, e);
	return has_failed(rc) ? rc : 0;
}

static int give_all(struct release *r, struct release_left *ret, struct err *e)
{
	int rc = look(r, ret, e);

	for (size_t i = 0; i < r->n && rc == 0; i++) {
		const struct claim_entry *x = &r->entries[i];
		if (x->has_block && !x->empty)
			continue;
		rc = x->host[0] ? give_back(r, x, e) : drop_block(r, x, e);
	}
	r->n = 0;
	return rc ? rc : look(r, ret, e);
}

static void done(struct release *r)
{
	block_done(&r->block);
	free(r->entries);
}

int release_look(struct loop *l, struct store *s, const struct prefix *pool, struct release_left *ret,
		 struct err *e)
{
	struct release r = { .loop = l, .store = s, .pool = pool };
	int rc = look(&r, ret, e);

	done(&r);
	return rc;
}

int release_pool(struct loop *l, struct store *s, const struct prefix *pool, struct release_left *ret,
		 struct err *e)
{
	struct release r = { .loop = l, .store = s, .pool = pool };
	int rc = give_all(&r, ret, e);

	done(&r);
	return rc;
}

int release_node(struct loop *l, struct store *s, const char *node, struct release_left *ret, struct err *e)
{
	struct release r = { .loop = l, .store = s, .node = node };
	int rc = give_all(&r, ret, e);

	done(&r);
	return rc;
}
