/* The node's knowledge: stored objects with their revisions, and dirty bits. */
#include "agent/world.h"

#include <stdio.h>

void world_init(struct world *w, const char *me)
{
	*w = (struct world){ .me = me, .dirty = DIRTY_ALL };
	ipamconfig_default(&w->ipam);
}

/* ---- leaving: one function a kind. `seen` is part of every object ---- */

static void drop_pool(struct world *w, struct world_seen *s)
{
	struct world_pool *p = container_of(s, struct world_pool, seen);

	map_del(w->pools, p);
	selector_free(p->selects);
	free(p);
}

static void drop_node(struct world *w, struct world_seen *s)
{
	struct world_node *n = container_of(s, struct world_node, seen);

	map_del(w->nodes, n);
	meta_done(&n->meta);
	free(n);
}

static void drop_block(struct world *w, struct world_seen *s)
{
	struct world_block *b = container_of(s, struct world_block, seen);

	map_del(w->blocks, b);
	block_done(&b->block);
	free(b);
}

static void drop_affinity(struct world *w, struct world_seen *s)
{
	struct world_affinity *a = container_of(s, struct world_affinity, seen);

	map_del(w->affinities, a);
	free(a->name);
	free(a);
}

static void drop_wep(struct world *w, struct world_seen *s)
{
	struct world_wep *p = container_of(s, struct world_wep, seen);

	map_del(w->weps, p);
	json_decref(p->doc);
	free(p->name);
	free(p);
}

/* Those of which there is one stay in place and fall back to what holds without them. */

static void drop_bgpconfig(struct world *w, struct world_seen *s)
{
	*(s == &w->bgp_node_seen ? &w->bgp_node : &w->bgp_default) = (struct bgpconfig){ 0 };
	*s = (struct world_seen){ 0 };
}

static void drop_ipamconfig(struct world *w, struct world_seen *s)
{
	ipamconfig_default(&w->ipam);
	*s = (struct world_seen){ 0 };
}

static void drop_clusterinfo(struct world *w, struct world_seen *s)
{
	w->has_clusterinfo = w->datastore_ready = false;
	*s = (struct world_seen){ 0 };
}

/* ---- finding: what is known under a name, or NULL ---- */

static struct world_seen *find_pool(struct world *w, const char *name)
{
	struct world_pool *p;

	map_find_str(w->pools, name, p);
	return p ? &p->seen : NULL;
}

static struct world_seen *find_node(struct world *w, const char *name)
{
	struct world_node *n;

	map_find_str(w->nodes, name, n);
	return n ? &n->seen : NULL;
}

static struct world_seen *find_block(struct world *w, const char *name)
{
	struct world_block *b;
	struct prefix cidr;

	if (block_parse_name(name, &cidr) < 0)
		return NULL;
	map_find(w->blocks, &cidr, b);
	return b ? &b->seen : NULL;
}

static struct world_seen *find_affinity(struct world *w, const char *name)
{
	struct world_affinity *a;

	map_find_str(w->affinities, name, a);
	return a ? &a->seen : NULL;
}

static struct world_seen *find_wep(struct world *w, const char *name)
{
	struct world_wep *p = world_find_wep(w, name);

	return p ? &p->seen : NULL;
}

static struct world_seen *find_bgpconfig(struct world *w, const char *name)
{
	if (!strcmp(name, "default"))
		return &w->bgp_default_seen;
	return !strncmp(name, "node.", 5) && !strcmp(name + 5, w->me) ? &w->bgp_node_seen : NULL;
}

static struct world_seen *find_ipamconfig(struct world *w, const char *name)
{
	return &w->ipam_seen;
}

static struct world_seen *find_clusterinfo(struct world *w, const char *name)
{
	return !strcmp(name, "default") ? &w->clusterinfo_seen : NULL;
}

/* ---- entering: what is new to us, or newer. *seen is what find said; NULL afterwards if it does not concern
 * this node. On failure nothing has changed ---- */

static int put_pool(struct world *w, const char *name, json_t *doc, struct world_seen **seen, struct err *e)
{
	struct world_pool *p = *seen ? container_of(*seen, struct world_pool, seen) : NULL;
	struct ippool decoded;

	if (ippool_decode(doc, &decoded, e) < 0)
		return err_in(e, "IPPool %s", name);
	if (!p) {
		p = xcalloc(1, sizeof(*p));
		snprintf(p->pool.name, sizeof(p->pool.name), "%s", name);
		HASH_ADD_STR(w->pools, pool.name, p);
	}
	/* The name is the key of the map: it stays in place. */
	memcpy(decoded.name, p->pool.name, sizeof(decoded.name));
	p->pool = decoded;
	selector_free(p->selects);
	p->selects = NULL;
	selector_parse(decoded.node_selector, &p->selects, NULL);
	*seen = &p->seen;
	return 0;
}

static int put_node(struct world *w, const char *name, json_t *doc, struct world_seen **seen, struct err *e)
{
	struct world_node *n = *seen ? container_of(*seen, struct world_node, seen) : NULL;
	struct node decoded = { 0 };
	struct err why = { 0 };
	int r = node_decode(doc, &decoded, &why);

	/* One that cannot be used is kept all the same, so that the node's own agent can say what is wrong
	 * with it. */
	if (r < 0)
		decoded = (struct node){ 0 };
	if (!n) {
		n = xcalloc(1, sizeof(*n));
		snprintf(n->node.name, sizeof(n->node.name), "%s", name);
		HASH_ADD_STR(w->nodes, node.name, n);
	}
	memcpy(decoded.name, n->node.name, sizeof(decoded.name));
	n->node = decoded;
	meta_done(&n->meta);
	meta_decode(doc, &n->meta);
	snprintf(n->fault, sizeof(n->fault), "%.199s", why.msg);
	*seen = &n->seen;
	return r < 0 ? err_set(e, why.code, "Node %s: %s", name, why.msg) : 0;
}

static int put_block(struct world *w, const char *name, json_t *doc, struct world_seen **seen, struct err *e)
{
	struct world_block *b = *seen ? container_of(*seen, struct world_block, seen) : NULL;
	struct prefix cidr;
	struct block decoded;

	if (block_parse_name(name, &cidr) < 0)
		return err_set(e, EINVAL, "block %s: the name is not a CIDR", name);
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
	block_done(&b->block);
	b->block = decoded;
	*seen = &b->seen;
	return 0;
}

static int put_affinity(struct world *w, const char *name, json_t *doc, struct world_seen **seen,
			struct err *e)
{
	struct world_affinity *a = *seen ? container_of(*seen, struct world_affinity, seen) : NULL;
	struct affinity decoded;

	if (affinity_decode(name, doc, &decoded, e) < 0)
		return err_in(e, "block affinity %s", name);
	if (!a) {
		a = xcalloc(1, sizeof(*a));
		a->name = xstrdup(name);
		map_add_str(w->affinities, name, a);
	}
	a->affinity = decoded;
	*seen = &a->seen;
	return 0;
}

static int put_wep(struct world *w, const char *name, json_t *doc, struct world_seen **seen, struct err *e)
{
	struct world_wep *p = *seen ? container_of(*seen, struct world_wep, seen) : NULL;
	struct wep decoded;

	if (wep_decode(doc, &decoded, e) < 0)
		return err_in(e, "WorkloadEndpoint %s", name);
	if (strcmp(decoded.node, w->me) != 0) {
		*seen = NULL;
		return 0;
	}
	if (!p) {
		p = xcalloc(1, sizeof(*p));
		p->name = xstrdup(name);
		map_add_str(w->weps, name, p);
	}
	p->wep = decoded;
	json_decref(p->doc);
	p->doc = json_incref(doc);
	*seen = &p->seen;
	return 0;
}

static int put_bgpconfig(struct world *w, const char *name, json_t *doc, struct world_seen **seen,
			 struct err *e)
{
	struct bgpconfig decoded = { 0 };

	if (!*seen)
		return 0; /* another node's */
	if (bgpconfig_decode(doc, &decoded, e) < 0)
		return err_in(e, "BGPConfiguration %s", name);
	*(*seen == &w->bgp_node_seen ? &w->bgp_node : &w->bgp_default) = decoded;
	return 0;
}

static int put_ipamconfig(struct world *w, const char *name, json_t *doc, struct world_seen **seen,
			  struct err *e)
{
	struct ipamconfig decoded;

	if (ipamconfig_decode(doc, &decoded, e) < 0)
		return err_in(e, "IPAM configuration");
	w->ipam = decoded;
	return 0;
}

static int put_clusterinfo(struct world *w, const char *name, json_t *doc, struct world_seen **seen,
			   struct err *e)
{
	struct clusterinfo decoded;

	if (!*seen)
		return 0; /* not the one that counts */
	if (clusterinfo_decode(doc, &decoded, e) < 0)
		return err_in(e, "ClusterInformation %s", name);
	w->has_clusterinfo = true;
	w->datastore_ready = decoded.ready;
	return 0;
}

/* ---- learning: the same for every kind ---- */

/* One row a kind that the agent follows. */
static const struct learner {
	enum kind kind;
	unsigned dirty;
	struct world_seen *(*find)(struct world *w, const char *name);
	int (*put)(struct world *w, const char *name, json_t *doc, struct world_seen **seen, struct err *e);
	void (*drop)(struct world *w, struct world_seen *s);
} learners[] = {
	{ KIND_IPPOOL, DIRTY_POOLS, find_pool, put_pool, drop_pool },
	{ KIND_NODE, DIRTY_NODES, find_node, put_node, drop_node },
	{ KIND_BGPCONFIG, DIRTY_CONFIG, find_bgpconfig, put_bgpconfig, drop_bgpconfig },
	{ KIND_WEP, DIRTY_PODS, find_wep, put_wep, drop_wep },
	{ KIND_BLOCK, DIRTY_BLOCKS, find_block, put_block, drop_block },
	{ KIND_AFFINITY, DIRTY_BLOCKS, find_affinity, put_affinity, drop_affinity },
	{ KIND_IPAMCONFIG, 0, find_ipamconfig, put_ipamconfig, drop_ipamconfig },
	{ KIND_CLUSTERINFO, 0, find_clusterinfo, put_clusterinfo, drop_clusterinfo },
};

static const struct learner *learner_of(enum kind k)
{
	for (size_t i = 0; i < ARRAY_SIZE(learners); i++)
		if (learners[i].kind == k)
			return &learners[i];
	return NULL;
}

/* A deletion is news only if nothing newer is known. */
static void learn_gone(struct world *w, const struct learner *l, struct world_seen *s, int64_t rev)
{
	if (!s || rev < s->rev)
		return;
	l->drop(w, s);
	w->dirty |= l->dirty;
}

int world_learn(struct world *w, enum kind k, const char *name, const char *value, int64_t rev, struct err *e)
{
	const struct learner *l = learner_of(k);
	struct world_seen *s = l ? l->find(w, name) : NULL;
	json_t *doc = NULL;

	if (!l)
		return 0;
	if (!value) {
		learn_gone(w, l, s, rev);
		return 0;
	}
	if (s) {
		/* It is there, whatever it says: what cannot be decoded stays as it was known. */
		s->stamp = w->stamp;
		if (s->rev && rev <= s->rev)
			return 0;
	}
	if (kind_parse_json(value, strlen(value), &doc, e) < 0)
		return err_in(e, "%s %s", kind_info(k)->name, name);
	int r = l->put(w, name, doc, &s, e);
	json_decref(doc);
	if (s) {
		s->stamp = w->stamp;
		s->rev = r < 0 ? s->rev : rev;
		w->dirty |= l->dirty;
	}
	return r;
}

/* ---- after a full compare ---- */

/* What it did not mention is gone, unless we wrote it after the list was taken. */
static void drop_vanished(struct world *w, enum kind k, struct world_seen *s)
{
	if (s->stamp != w->stamp && s->rev <= w->seen_rev)
		learner_of(k)->drop(w, s);
}

static void each_seen(struct world *w, void (*fn)(struct world *w, enum kind k, struct world_seen *s))
{
	struct world_pool *pool, *tpool;
	struct world_node *node, *tnode;
	struct world_block *block, *tblock;
	struct world_affinity *aff, *taff;
	struct world_wep *wep, *twep;

	map_each (w->pools, pool, tpool)
		fn(w, KIND_IPPOOL, &pool->seen);
	map_each (w->nodes, node, tnode)
		fn(w, KIND_NODE, &node->seen);
	map_each (w->blocks, block, tblock)
		fn(w, KIND_BLOCK, &block->seen);
	map_each (w->affinities, aff, taff)
		fn(w, KIND_AFFINITY, &aff->seen);
	map_each (w->weps, wep, twep)
		fn(w, KIND_WEP, &wep->seen);
	fn(w, KIND_BGPCONFIG, &w->bgp_default_seen);
	fn(w, KIND_BGPCONFIG, &w->bgp_node_seen);
	fn(w, KIND_IPAMCONFIG, &w->ipam_seen);
	fn(w, KIND_CLUSTERINFO, &w->clusterinfo_seen);
}

static void drop_any(struct world *w, enum kind k, struct world_seen *s)
{
	learner_of(k)->drop(w, s);
}

void world_done(struct world *w)
{
	each_seen(w, drop_any);
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
		each_seen(w, drop_vanished);
		w->dirty = DIRTY_ALL;
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

/* Calico reads it from "default" only. */
bool world_binds_node_ip(const struct world *w)
{
	return w->bgp_default.bind_node_ip;
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

bool world_selects(const struct world *w, const struct selector *s, const char *node)
{
	static const struct meta none;
	struct world_node *n;

	map_find_str(w->nodes, node, n);
	return selector_match_meta(s, n ? &n->meta : &none);
}

static bool view_pool_selects(void *arg, const struct ippool *p, const char *host)
{
	struct world *w = arg;
	struct world_pool *known;

	map_find_str(w->pools, p->name, known);
	return known && known->selects && world_selects(w, known->selects, host);
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
