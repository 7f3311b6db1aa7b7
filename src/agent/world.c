/* The node's knowledge: stored objects with their revisions, and dirty bits. */
#include "agent/world.h"

#include <stdio.h>

void world_init(struct world *w, const char *me)
{
	*w = (struct world){ .me = me, .dirty = DIRTY_ALL };
	ipamconfig_default(&w->ipam);
}

static void free_block(struct world *w, struct world_block *b)
{
	map_del(w->blocks, b);
	block_done(&b->block);
	free(b);
}

static void free_affinity(struct world *w, struct world_affinity *a)
{
	map_del(w->affinities, a);
	free(a->name);
	free(a);
}

static void free_wep(struct world *w, struct world_wep *p)
{
	map_del(w->weps, p);
	json_decref(p->doc);
	free(p->name);
	free(p);
}

static void free_pool(struct world *w, struct world_pool *p)
{
	map_del(w->pools, p);
	free(p);
}

static void free_node(struct world *w, struct world_node *n)
{
	map_del(w->nodes, n);
	free(n);
}

void world_done(struct world *w)
{
	struct world_pool *pool, *tpool;
	struct world_node *node, *tnode;
	struct world_block *block, *tblock;
	struct world_affinity *aff, *taff;
	struct world_wep *wep, *twep;

	map_each (w->pools, pool, tpool)
		free_pool(w, pool);
	map_each (w->nodes, node, tnode)
		free_node(w, node);
	map_each (w->blocks, block, tblock)
		free_block(w, block);
	map_each (w->affinities, aff, taff)
		free_affinity(w, aff);
	map_each (w->weps, wep, twep)
		free_wep(w, wep);
}

/* Is this news? Then remember how new. */
static bool newer(struct world_seen *s, int64_t rev, uint64_t stamp)
{
	s->stamp = stamp;
	if (rev <= s->rev && s->rev)
		return false;
	s->rev = rev;
	return true;
}

/* A deletion is news only if nothing newer is known. */
static bool deletes(const struct world_seen *s, int64_t rev)
{
	return rev >= s->rev;
}

/* ---- one function per kind: doc NULL means "it does not exist" ---- */

static int learn_pool(struct world *w, const char *name, json_t *doc, int64_t rev, struct err *e)
{
	struct world_pool *p;
	struct ippool decoded;

	map_find_str(w->pools, name, p);
	if (!doc) {
		if (p && !deletes(&p->seen, rev))
			return 0;
		if (p)
			free_pool(w, p);
		w->dirty |= p ? DIRTY_POOLS : 0;
		return 0;
	}
	if (ippool_decode(doc, &decoded, e) < 0)
		return err_in(e, "IPPool %s", name);
	if (!p) {
		p = xcalloc(1, sizeof(*p));
		snprintf(p->pool.name, sizeof(p->pool.name), "%s", name);
		HASH_ADD_STR(w->pools, pool.name, p);
	}
	if (!newer(&p->seen, rev, w->stamp))
		return 0;
	/* The name is the key of the map: it stays in place. */
	memcpy(decoded.name, p->pool.name, sizeof(decoded.name));
	p->pool = decoded;
	w->dirty |= DIRTY_POOLS;
	return 0;
}

static int learn_node(struct world *w, const char *name, json_t *doc, int64_t rev, struct err *e)
{
	struct world_node *n;
	struct node decoded = { 0 };
	char fault[200] = "";

	map_find_str(w->nodes, name, n);
	if (!doc) {
		if (n && !deletes(&n->seen, rev))
			return 0;
		if (n)
			free_node(w, n);
		w->dirty |= n ? DIRTY_NODES : 0;
		return 0;
	}
	if (node_decode(doc, &decoded, e) < 0) {
		/* Kept, so that the node's own agent can say what is wrong with it. */
		snprintf(fault, sizeof(fault), "%.199s", e ? e->msg : "");
		decoded = (struct node){ 0 };
	}
	if (!n) {
		n = xcalloc(1, sizeof(*n));
		snprintf(n->node.name, sizeof(n->node.name), "%s", name);
		HASH_ADD_STR(w->nodes, node.name, n);
	}
	if (!newer(&n->seen, rev, w->stamp))
		return 0;
	memcpy(decoded.name, n->node.name, sizeof(decoded.name));
	n->node = decoded;
	memcpy(n->fault, fault, sizeof(fault));
	w->dirty |= DIRTY_NODES;
	return fault[0] ? err_in(e, "Node %s", name) : 0;
}

static int learn_bgpconfig(struct world *w, const char *name, json_t *doc, int64_t rev, struct err *e)
{
	struct bgpconfig decoded = { 0 };
	struct bgpconfig *at = NULL;

	if (!strcmp(name, "default"))
		at = &w->bgp_default;
	else if (!strncmp(name, "node.", 5) && !strcmp(name + 5, w->me))
		at = &w->bgp_node;
	if (!at)
		return 0;
	if (doc && bgpconfig_decode(doc, &decoded, e) < 0)
		return err_in(e, "BGPConfiguration %s", name);
	*at = decoded;
	w->dirty |= DIRTY_CONFIG;
	return 0;
}

static int learn_wep(struct world *w, const char *name, json_t *doc, int64_t rev, struct err *e)
{
	struct world_wep *p;
	struct wep decoded;

	map_find_str(w->weps, name, p);
	if (!doc) {
		if (p && !deletes(&p->seen, rev))
			return 0;
		if (p)
			free_wep(w, p);
		w->dirty |= p ? DIRTY_PODS : 0;
		return 0;
	}
	if (wep_decode(doc, &decoded, e) < 0)
		return err_in(e, "WorkloadEndpoint %s", name);
	if (strcmp(decoded.node, w->me) != 0)
		return 0;
	if (!p) {
		p = xcalloc(1, sizeof(*p));
		p->name = xstrdup(name);
		map_add_str(w->weps, name, p);
	}
	if (!newer(&p->seen, rev, w->stamp))
		return 0;
	p->wep = decoded;
	json_decref(p->doc);
	p->doc = json_incref(doc);
	w->dirty |= DIRTY_PODS;
	return 0;
}

static int learn_block(struct world *w, const char *name, json_t *doc, int64_t rev, struct err *e)
{
	struct world_block *b;
	struct prefix cidr;
	struct block decoded;

	if (block_parse_name(name, &cidr) < 0)
		return err_set(e, EINVAL, "block %s: the name is not a CIDR", name);
	map_find(w->blocks, &cidr, b);
	if (!doc) {
		if (b && !deletes(&b->seen, rev))
			return 0;
		if (b)
			free_block(w, b);
		w->dirty |= b ? DIRTY_BLOCKS : 0;
		return 0;
	}
	if (block_decode(doc, &decoded, e) < 0)
		return err_in(e, "block %s", name);
	if (!prefix_eq(&decoded.cidr, &cidr)) {
		block_done(&decoded);
		return err_set(e, EINVAL, "block %s: its document is about another CIDR", name);
	}
	if (!b) {
		b = xcalloc(1, sizeof(*b));
		b->cidr = cidr;
		map_add(w->blocks, cidr, b);
	}
	if (!newer(&b->seen, rev, w->stamp)) {
		block_done(&decoded);
		return 0;
	}
	block_done(&b->block);
	b->block = decoded;
	w->dirty |= DIRTY_BLOCKS;
	return 0;
}

static int learn_affinity(struct world *w, const char *name, json_t *doc, int64_t rev, struct err *e)
{
	struct world_affinity *a;
	struct affinity decoded;

	map_find_str(w->affinities, name, a);
	if (!doc) {
		if (a && !deletes(&a->seen, rev))
			return 0;
		if (a)
			free_affinity(w, a);
		w->dirty |= a ? DIRTY_BLOCKS : 0;
		return 0;
	}
	if (affinity_decode(name, doc, &decoded, e) < 0)
		return err_in(e, "block affinity %s", name);
	if (!a) {
		a = xcalloc(1, sizeof(*a));
		a->name = xstrdup(name);
		map_add_str(w->affinities, name, a);
	}
	if (!newer(&a->seen, rev, w->stamp))
		return 0;
	a->affinity = decoded;
	w->dirty |= DIRTY_BLOCKS;
	return 0;
}

static int learn_ipamconfig(struct world *w, const char *name, json_t *doc, int64_t rev, struct err *e)
{
	if (!doc) {
		ipamconfig_default(&w->ipam);
		return 0;
	}
	return ipamconfig_decode(doc, &w->ipam, e) < 0 ? err_in(e, "IPAM configuration") : 0;
}

static int learn_clusterinfo(struct world *w, const char *name, json_t *doc, int64_t rev, struct err *e)
{
	if (strcmp(name, "default") != 0)
		return 0;
	w->has_clusterinfo = doc != NULL;
	w->datastore_ready = json_is_true(json_object_get(json_object_get(doc, "spec"), "datastoreReady"));
	return 0;
}

/* One row a kind that the agent follows. */
static const struct {
	enum kind kind;
	int (*learn)(struct world *w, const char *name, json_t *doc, int64_t rev, struct err *e);
} learners[] = {
	{ KIND_IPPOOL, learn_pool },	       { KIND_NODE, learn_node },
	{ KIND_BGPCONFIG, learn_bgpconfig },   { KIND_WEP, learn_wep },
	{ KIND_BLOCK, learn_block },	       { KIND_AFFINITY, learn_affinity },
	{ KIND_IPAMCONFIG, learn_ipamconfig }, { KIND_CLUSTERINFO, learn_clusterinfo },
};

int world_learn(struct world *w, enum kind k, const char *name, const char *value, int64_t rev, struct err *e)
{
	json_t *doc = NULL;
	int r = 0;

	if (value && kind_parse_json(value, strlen(value), &doc, e) < 0)
		return err_in(e, "%s %s", kind_info(k)->name, name);
	for (size_t i = 0; i < ARRAY_SIZE(learners); i++)
		if (learners[i].kind == k)
			r = learners[i].learn(w, name, doc, rev, e);
	json_decref(doc);
	return r;
}

/* After a full compare: what it did not mention is gone, unless we wrote it after the list was taken. */
static bool vanished(const struct world *w, const struct world_seen *s)
{
	return s->stamp != w->stamp && s->rev <= w->seen_rev;
}

static void sweep(struct world *w)
{
	struct world_pool *pool, *tpool;
	struct world_node *node, *tnode;
	struct world_block *block, *tblock;
	struct world_affinity *aff, *taff;
	struct world_wep *wep, *twep;

	map_each (w->pools, pool, tpool)
		if (vanished(w, &pool->seen))
			free_pool(w, pool);
	map_each (w->nodes, node, tnode)
		if (vanished(w, &node->seen))
			free_node(w, node);
	map_each (w->blocks, block, tblock)
		if (vanished(w, &block->seen))
			free_block(w, block);
	map_each (w->affinities, aff, taff)
		if (vanished(w, &aff->seen))
			free_affinity(w, aff);
	map_each (w->weps, wep, twep)
		if (vanished(w, &wep->seen))
			free_wep(w, wep);
	w->dirty = DIRTY_ALL;
}

int world_on_event(struct world *w, enum store_event ev, const struct store_obj *obj, struct err *e)
{
	int r;

	switch (ev) {
	case STORE_RESYNC:
		w->stamp++;
		w->quarantined = 0;
		return 0;
	case STORE_SYNCED:
		w->synced = true;
		w->store_lost = false;
		sweep(w);
		return 0;
	case STORE_LOST:
		/* Losing the store changes nothing in the kernel; only new requests will feel it. */
		w->store_lost = true;
		return 0;
	case STORE_PUT:
	case STORE_DEL:
		w->seen_rev = MAX(w->seen_rev, obj->rev);
		r = world_learn(w, obj->kind, obj->name, ev == STORE_DEL ? NULL : obj->value, obj->rev, e);
		if (r < 0)
			w->quarantined++;
		return r;
	}
	return 0;
}

const struct node *world_me(const struct world *w)
{
	struct world_node *n;

	map_find_str(w->nodes, w->me, n);
	return n ? &n->node : NULL;
}

struct world_wep *world_find_wep(struct world *w, const char *store_name)
{
	struct world_wep *p;

	map_find_str(w->weps, store_name, p);
	return p;
}

const struct ippool *world_pool_of(const struct world *w, const struct addr *a)
{
	struct world_pool *p, *tmp;

	map_each (w->pools, p, tmp)
		if (prefix_has(&p->pool.cidr, a))
			return &p->pool;
	return NULL;
}

bool world_holds(const struct world *w, const struct affinity *a)
{
	struct world_block *b;
	const char *host;

	if (a->state == AFFINITY_PENDING)
		return false;
	map_find(w->blocks, &a->cidr, b);
	if (!b)
		return a->state == AFFINITY_CONFIRMED;
	host = block_host(&b->block);
	return !host || !strcmp(host, a->host);
}

bool world_owns(const struct world *w, const struct prefix *cidr)
{
	struct world_affinity *a;
	char name[KIND_NAME_MAX];

	affinity_name(w->me, cidr, name);
	map_find_str(w->affinities, name, a);
	return a && world_holds(w, &a->affinity);
}

uint32_t world_asn(const struct world *w, const struct node *n)
{
	if (n && n->has_asn)
		return n->asn;
	return w->bgp_default.has_asn ? w->bgp_default.asn : BGPCONFIG_ASN_DEFAULT;
}

uint16_t world_port(const struct world *w)
{
	if (w->bgp_node.port)
		return w->bgp_node.port;
	return w->bgp_default.port ? w->bgp_default.port : BGPCONFIG_PORT_DEFAULT;
}

/* ---- the IPAM machine's view ---- */

static const struct block *view_block(void *arg, const struct prefix *cidr, int64_t *rev)
{
	struct world *w = arg;
	struct world_block *b;

	map_find(w->blocks, cidr, b);
	if (!b)
		return NULL;
	*rev = b->seen.rev;
	return &b->block;
}

static const struct affinity *view_affinity(void *arg, const char *host, const struct prefix *cidr,
					    int64_t *rev)
{
	struct world *w = arg;
	struct world_affinity *a;
	char name[KIND_NAME_MAX];

	affinity_name(host, cidr, name);
	map_find_str(w->affinities, name, a);
	if (!a)
		return NULL;
	*rev = a->seen.rev;
	return &a->affinity;
}

static const struct handle *view_handle(void *arg, const char *id, int64_t *rev)
{
	struct world *w = arg;

	if (!w->handle_rev || strcmp(w->handle.id, id) != 0)
		return NULL;
	*rev = w->handle_rev;
	return &w->handle;
}

static int by_affinity(const void *a, const void *b)
{
	const struct world_affinity *const *x = a, *const *y = b;

	return prefix_cmp(&(*x)->affinity.cidr, &(*y)->affinity.cidr);
}

static void view_each_affinity(void *arg, const char *host, uint8_t family,
			       bool (*fn)(void *fnarg, const struct affinity *a, int64_t rev), void *fnarg)
{
	struct world *w = arg;
	struct world_affinity *a, *tmp;
	struct world_affinity **v = xcalloc(map_count(w->affinities), sizeof(struct world_affinity *));
	size_t n = 0;

	map_each (w->affinities, a, tmp)
		if (a->affinity.cidr.addr.family == family && !strcmp(a->affinity.host, host))
			v[n++] = a;
	qsort(v, n, sizeof(struct world_affinity *), by_affinity);
	for (size_t i = 0; i < n && fn(fnarg, &v[i]->affinity, v[i]->seen.rev); i++)
		;
	free(v);
}

static int by_block(const void *a, const void *b)
{
	const struct world_block *const *x = a, *const *y = b;

	return prefix_cmp(&(*x)->cidr, &(*y)->cidr);
}

static void view_each_block(void *arg, const struct prefix *within,
			    bool (*fn)(void *fnarg, const struct block *b, int64_t rev), void *fnarg)
{
	struct world *w = arg;
	struct world_block *b, *tmp;
	struct world_block **v = xcalloc(map_count(w->blocks), sizeof(struct world_block *));
	size_t n = 0;

	map_each (w->blocks, b, tmp)
		if (prefix_covers(within, &b->cidr))
			v[n++] = b;
	qsort(v, n, sizeof(struct world_block *), by_block);
	for (size_t i = 0; i < n && fn(fnarg, &v[i]->block, v[i]->seen.rev); i++)
		;
	free(v);
}

static int by_pool(const void *a, const void *b)
{
	const struct world_pool *const *x = a, *const *y = b;

	return strcmp((*x)->pool.name, (*y)->pool.name);
}

static void view_each_pool(void *arg, bool (*fn)(void *fnarg, const struct ippool *p), void *fnarg)
{
	struct world *w = arg;
	struct world_pool *p, *tmp;
	struct world_pool **v = xcalloc(map_count(w->pools), sizeof(struct world_pool *));
	size_t n = 0;

	map_each (w->pools, p, tmp)
		v[n++] = p;
	qsort(v, n, sizeof(struct world_pool *), by_pool);
	for (size_t i = 0; i < n && fn(fnarg, &v[i]->pool); i++)
		;
	free(v);
}

static bool view_pool_selects(void *arg, const struct ippool *p, const char *host)
{
	/* Node labels and the selector grammar come with the command-line kinds; until then only "everything"
	 * selects. */
	return p->node_selector[0] == '\0' || !strcmp(p->node_selector, "all()");
}

void world_view(struct world *w, struct ipam_view *ret)
{
	*ret = (struct ipam_view){
		.arg = w,
		.block = view_block,
		.affinity = view_affinity,
		.handle = view_handle,
		.each_affinity = view_each_affinity,
		.each_block = view_each_block,
		.each_pool = view_each_pool,
		.pool_selects = view_pool_selects,
		.config = &w->ipam,
	};
}
