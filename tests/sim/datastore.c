/*
 * One datastore in memory for all nodes: documents with revisions, compare-and-swap, a change log for
 * watches. Requests and answers take time and overtake each other; an answer may be lost (before or after the
 * write was done), a watch may break, a node may lose the store for a while. A write on its way when its
 * writer dies still arrives.
 */
#include "sim.h"

#include "ipam/ipam.h"

#define LOST_AFTER (5 * SEC) /* an answer that does not come is given up */

struct change {
	enum kind kind;
	char *name, *value; /* value NULL: deleted */
};

struct datastore {
	struct sim *sim;
	struct stored *map;
	struct change *log; /* revision i + 1 at i */
	size_t nlog, cap;
	struct list clients, requests;
};

struct client {
	struct list list;
	struct sim_node *node;
	struct list watches;
	bool down;
};

enum what { GET, LIST, PUT, DEL };

struct request {
	struct list list;
	struct timer timer;
	struct datastore *ds;
	struct client *client; /* NULL: the caller is no more */
	enum what what;
	enum kind kind;
	char *name, *value;
	bool create;
	int64_t rev;
	store_done_fn *done;
	store_list_fn *listed;
	void *arg;
	bool landed, refused; /* refused: the store cannot be reached */
	/* The answer. */
	int rc;
	size_t n;
	struct stored *objs; /* names and values owned */
};

struct watch {
	struct list list;
	struct client *client;
	uint32_t kinds;
	size_t at; /* in the log */
	struct timer timer;
	store_event_fn *fn;
	void *arg;
	bool broken, running, gone;
	bool lost;
};

/* ---- the documents ---- */

static char *key_of(enum kind k, const char *name)
{
	return xasprintf("%c%s", '@' + (int)k, name);
}

static struct stored *lookup(struct datastore *ds, enum kind k, const char *name)
{
	own_mem char *key = key_of(k, name);
	struct stored *o;

	map_find_str(ds->map, key, o);
	return o;
}

static void forget_value(struct stored *o)
{
	if (o->kind == KIND_BLOCK)
		block_done(&o->block);
	memset(&o->block, 0, sizeof(o->block));
	free((char *)o->value);
	o->value = NULL;
}

static void stored_free(struct datastore *ds, struct stored *o)
{
	forget_value(o);
	map_del(ds->map, o);
	free((char *)o->name);
	free(o->key);
	free(o);
}

static void decode(struct datastore *ds, struct stored *o)
{
	json_t *doc = NULL;
	struct err e = { 0 };
	int r = kind_parse_json(o->value, strlen(o->value), &doc, &e);

	if (r == 0 && o->kind == KIND_BLOCK) {
		r = block_decode(doc, &o->block, &e);
		if (r == 0)
			r = block_check(&o->block, &e);
	}
	if (r == 0 && o->kind == KIND_AFFINITY)
		r = affinity_decode(o->name, doc, &o->affinity, &e);
	if (r == 0 && o->kind == KIND_HANDLE)
		r = handle_decode(o->name, doc, &o->handle, &e);
	if (r < 0)
		sim_fail(ds->sim, "%s %s as stored: %s", kind_info(o->kind)->name, o->name, e.msg);
	json_decref(doc);
}

static void watches_soon(struct datastore *ds, enum kind k);

static int64_t append(struct datastore *ds, enum kind k, const char *name, const char *value)
{
	if (ds->nlog == ds->cap) {
		ds->cap = ds->cap ? 2 * ds->cap : 256;
		ds->log = xrealloc(ds->log, ds->cap * sizeof(*ds->log));
	}
	ds->log[ds->nlog++] = (struct change){ k, xstrdup(name), value ? xstrdup(value) : NULL };
	watches_soon(ds, k);
	ds->sim->check_due = true;
	return (int64_t)ds->nlog;
}

static int64_t set(struct datastore *ds, enum kind k, const char *name, const char *value)
{
	struct stored *o = lookup(ds, k, name);

	if (!o) {
		o = xcalloc(1, sizeof(*o));
		o->kind = k;
		o->name = xstrdup(name);
		o->key = key_of(k, name);
		map_add_str(ds->map, key, o);
	}
	forget_value(o);
	o->value = xstrdup(value);
	o->rev = append(ds, k, name, value);
	decode(ds, o);
	return o->rev;
}

struct stored *datastore_first(struct sim *s)
{
	return s->ds->map;
}

/* ---- requests ---- */

static void request_free(struct request *r)
{
	timer_stop(&r->timer);
	list_del(&r->list);
	for (size_t i = 0; i < r->n; i++) {
		free((char *)r->objs[i].name);
		free((char *)r->objs[i].value);
	}
	free(r->objs);
	free(r->name);
	free(r->value);
	free(r);
}

static void keep(struct request *r, const struct stored *o)
{
	r->objs = xrealloc(r->objs, (r->n + 1) * sizeof(*r->objs));
	r->objs[r->n++] = (struct stored){
		.kind = o->kind, .name = xstrdup(o->name), .rev = o->rev, .value = xstrdup(o->value)
	};
}

static void land_put(struct request *r, const struct stored *o)
{
	struct datastore *ds = r->ds;
	enum mutant m = ds->sim->mutant;

	if (r->create && o && m != MUTANT_STORE_CREATE) {
		r->rc = STORE_EXISTS;
		keep(r, o);
		return;
	}
	if (!r->create && !o) {
		r->rc = STORE_NOT_FOUND;
		return;
	}
	if (!r->create && o->rev != r->rev && m != MUTANT_STORE_CAS) {
		r->rc = STORE_STALE;
		ds->sim->conflicts++;
		keep(r, o);
		return;
	}
	if (m == MUTANT_HANDLE_LOST && r->kind == KIND_HANDLE && sim_chance(ds->sim, 10)) {
		struct stored fake = {
			.kind = r->kind, .name = r->name, .value = r->value, .rev = (int64_t)ds->nlog
		};
		keep(r, &fake);
		return;
	}
	set(ds, r->kind, r->name, r->value);
	keep(r, lookup(ds, r->kind, r->name));
}

static void land_del(struct request *r, struct stored *o)
{
	struct datastore *ds = r->ds;

	if (!o) {
		r->rc = STORE_NOT_FOUND;
		return;
	}
	if (r->rev && o->rev != r->rev && ds->sim->mutant != MUTANT_STORE_CAS) {
		r->rc = STORE_STALE;
		ds->sim->conflicts++;
		keep(r, o);
		return;
	}
	append(ds, r->kind, r->name, NULL);
	stored_free(ds, o);
}

static void land_list(struct request *r)
{
	struct stored *o, *tmp;

	r->rev = (int64_t)r->ds->nlog;
	map_each (r->ds->map, o, tmp)
		if (o->kind == r->kind && !strncmp(o->name, r->name, strlen(r->name)))
			keep(r, o);
}

static const char *what_name(const struct request *r)
{
	static const char *const names[] = {
		[GET] = "get", [LIST] = "list", [PUT] = "update", [DEL] = "delete"
	};

	return r->what == PUT && r->create ? "create" : names[r->what];
}

static void land(struct request *r)
{
	struct stored *o = lookup(r->ds, r->kind, r->name);

	switch (r->what) {
	case GET:
		r->rc = o ? 0 : STORE_NOT_FOUND;
		if (o)
			keep(r, o);
		break;
	case LIST:
		land_list(r);
		return;
	case PUT:
		land_put(r, o);
		break;
	case DEL:
		land_del(r, o);
		break;
	}
	if (r->what != GET)
		sim_trace(r->ds->sim, "%s: %s %s %s: %d, rev %d %s",
			  r->client ? r->client->node->label : "(dead)", what_name(r),
			  kind_info(r->kind)->name, r->name, r->rc, (int)r->ds->nlog,
			  r->kind == KIND_AFFINITY && r->value ? r->value : "");
}

static void tell_list(struct request *r, const struct err *e)
{
	if (r->rc < 0) {
		r->listed(r->arg, r->rc, NULL, 0, e);
		return;
	}
	for (size_t i = 0; i < r->n; i++) {
		struct store_obj obj = { r->objs[i].kind, r->objs[i].name, r->objs[i].rev, r->objs[i].value };
		r->listed(r->arg, 0, &obj, r->rev, NULL);
	}
	r->listed(r->arg, 0, NULL, r->rev, NULL);
}

static void answer(struct request *r)
{
	struct store_obj obj = { .kind = r->kind, .name = r->name };
	struct err e = { 0 };

	if (r->rc == STORE_UNKNOWN)
		err_set(&e, ETIMEDOUT, "the datastore did not answer");
	else if (r->rc < 0)
		err_set(&e, -r->rc, "the datastore cannot be reached");
	if (r->what == LIST) {
		tell_list(r, &e);
		return;
	}
	if (r->n && r->rc != STORE_UNKNOWN) {
		obj.rev = r->objs[0].rev;
		obj.value = r->objs[0].value;
	}
	bool has_obj = obj.value || (r->rc == 0 && r->what == DEL);
	r->done(r->arg, r->rc, has_obj ? &obj : NULL, r->rc < 0 ? &e : NULL);
}

static usec_t pause_of(struct sim *s)
{
	if (s->plan.store_slow && !s->calm && sim_chance(s, 10))
		return sim_between(s, MSEC, 3 * SEC);
	return sim_between(s, 30, 4 * MSEC);
}

/* The way of a request: it lands, its answer comes back; either may fail. */
static void on_request(struct timer *t, usec_t now)
{
	struct request *r = container_of(t, struct request, timer);
	struct sim *s = r->ds->sim;
	usec_t back = pause_of(s);

	if (r->landed) {
		if (r->client)
			answer(r);
		request_free(r);
		return;
	}
	r->landed = true;
	if (r->client && r->client->down) {
		r->refused = true;
		r->rc = -EHOSTUNREACH;
	}
	bool lose = s->plan.reply_lost && !s->calm && r->what != LIST && sim_chance(s, 4);
	bool lose_all = lose && sim_chance(s, 50);
	if (!r->refused && !lose_all)
		land(r);
	if (!r->client) {
		request_free(r);
		return;
	}
	if (lose) {
		sim_trace(s, "%s: the answer to %s %s is lost%s", r->client->node->label, what_name(r),
			  r->name, lose_all ? " with the question" : "");
		r->rc = STORE_UNKNOWN;
		back = LOST_AFTER;
	}
	sim_after(s, &r->timer, back);
}

static struct request *ask(struct client *c, enum what what, enum kind k, const char *name)
{
	struct datastore *ds = c->node->sim->ds;
	struct request *r = xcalloc(1, sizeof(*r));

	r->ds = ds;
	r->client = c;
	r->what = what;
	r->kind = k;
	r->name = xstrdup(name);
	timer_init(&r->timer, on_request);
	list_add_tail(&ds->requests, &r->list);
	sim_after(ds->sim, &r->timer, pause_of(ds->sim));
	return r;
}

static void op_get(void *b, enum kind k, const char *name, store_done_fn *fn, void *arg)
{
	struct request *r = ask(b, GET, k, name);

	r->done = fn;
	r->arg = arg;
}

static void op_list(void *b, enum kind k, const char *prefix, store_list_fn *fn, void *arg)
{
	struct request *r = ask(b, LIST, k, prefix);

	r->listed = fn;
	r->arg = arg;
}

static void op_put(void *b, enum kind k, const char *name, const char *value, bool create, int64_t rev,
		   store_done_fn *fn, void *arg)
{
	struct client *c = b;

	if (!node_effect(c->node))
		return;
	struct request *r = ask(c, PUT, k, name);
	r->value = xstrdup(value);
	r->create = create;
	r->rev = rev;
	r->done = fn;
	r->arg = arg;
}

static void op_del(void *b, enum kind k, const char *name, int64_t rev, store_done_fn *fn, void *arg)
{
	struct client *c = b;

	if (!node_effect(c->node))
		return;
	struct request *r = ask(c, DEL, k, name);
	r->rev = rev;
	r->done = fn;
	r->arg = arg;
}

/* ---- watches ---- */

static void watch_free(struct watch *w)
{
	timer_stop(&w->timer);
	list_del(&w->list);
	free(w);
}

static bool overtaken(const struct datastore *ds, size_t i)
{
	for (size_t k = i + 1; k < ds->nlog; k++)
		if (ds->log[k].kind == ds->log[i].kind && !strcmp(ds->log[k].name, ds->log[i].name))
			return true;
	return false;
}

static void tell_change(struct watch *w, size_t i)
{
	struct datastore *ds = w->client->node->sim->ds;
	const struct change *c = &ds->log[i];
	struct store_obj obj = { c->kind, c->name, (int64_t)i + 1, c->value };

	if (!(w->kinds & 1u << c->kind))
		return;
	if (ds->sim->mutant == MUTANT_WATCH_LOSS && sim_chance(ds->sim, 3))
		return;
	if (ds->sim->plan.store_slow && sim_chance(ds->sim, 50) && overtaken(ds, i))
		return; /* a slow watcher hears of the last state only */
	w->fn(w->arg, c->value ? STORE_PUT : STORE_DEL, &obj, NULL);
}

static void watch_end(struct watch *w, enum store_event ev)
{
	struct err e = { 0 };

	err_set(&e, EHOSTUNREACH, "the datastore cannot be reached");
	w->broken = true;
	w->fn(w->arg, ev, NULL, ev == STORE_LOST ? &e : NULL);
}

static void watch_soon(struct watch *w)
{
	struct sim *s = w->client->node->sim;

	if (!timer_armed(&w->timer))
		sim_after(s, &w->timer,
			  s->plan.store_slow && sim_chance(s, 10) ? sim_between(s, MSEC, 3 * SEC)
								  : sim_between(s, 100, 20 * MSEC));
}

static void on_watch(struct timer *t, usec_t now)
{
	struct watch *w = container_of(t, struct watch, timer);
	struct datastore *ds = w->client->node->sim->ds;
	size_t until = ds->nlog;

	w->running = true;
	if (w->client->down)
		watch_end(w, STORE_LOST);
	if (sim_chance(ds->sim, 20) && w->at < until)
		until = w->at + 1 + sim_below(ds->sim, until - w->at);
	while (!w->gone && !w->broken && w->at < until)
		tell_change(w, w->at++);
	w->running = false;
	if (w->gone)
		watch_free(w);
	else if (!w->broken && w->at < ds->nlog)
		watch_soon(w);
}

static void watches_soon(struct datastore *ds, enum kind k)
{
	struct client *c;
	struct watch *w;

	list_each (c, &ds->clients, list)
		list_each (w, &c->watches, list)
			if (!w->broken && w->kinds & 1u << k)
				watch_soon(w);
}

static void *op_watch(void *b, uint32_t kinds, int64_t from, store_event_fn *fn, void *arg)
{
	struct client *c = b;
	struct watch *w = xcalloc(1, sizeof(*w));

	w->client = c;
	w->kinds = kinds;
	w->at = (size_t)from;
	w->fn = fn;
	w->arg = arg;
	timer_init(&w->timer, on_watch);
	list_add_tail(&c->watches, &w->list);
	watch_soon(w);
	return w;
}

static void op_unwatch(void *b, void *p)
{
	struct watch *w = p;

	w->gone = true;
	if (!w->running)
		watch_free(w);
}

/* ---- clients ---- */

/*
 * What a dead process had sent still arrives, or does not; but before its successor is there: an allocation
 * that came later still would be known to nobody, and only a garbage collector of IPAM could find it.
 */
static void orphan(struct request *r)
{
	struct sim *s = r->ds->sim;

	r->client = NULL;
	if (r->landed || s->ended || sim_chance(s, 30))
		request_free(r);
	else
		sim_after(s, &r->timer, sim_between(s, 1, 20 * MSEC));
}

static void op_close(void *b)
{
	struct client *c = b;
	struct request *r, *rt;
	struct watch *w, *tmp;

	list_each_safe (r, rt, &c->node->sim->ds->requests, list)
		if (r->client == c)
			orphan(r);
	list_each_safe (w, tmp, &c->watches, list)
		watch_free(w);
	list_del(&c->list);
	free(c);
}

static const struct store_ops ops = {
	.name = "sim",
	.close = op_close,
	.get = op_get,
	.list = op_list,
	.put = op_put,
	.del = op_del,
	.watch = op_watch,
	.unwatch = op_unwatch,
};

struct store *datastore_connect(struct sim_node *n)
{
	struct client *c = xcalloc(1, sizeof(*c));

	c->node = n;
	list_init(&c->watches);
	list_add_tail(&n->sim->ds->clients, &c->list);
	return store_over(NULL, &n->agent_timers, &ops, c, prng_next(&n->sim->prng));
}

/* Some watches break: what comes next can only be had by a list. */
void datastore_break_watches(struct sim *s)
{
	struct client *c, *tmp;

	list_each_safe (c, tmp, &s->ds->clients, list) {
		if (list_empty(&c->watches) || !sim_chance(s, 60))
			continue;
		struct watch *w = list_entry(c->watches.next, struct watch, list);
		if (w->broken)
			continue;
		sim_trace(s, "%s: the watch has a gap", c->node->label);
		w->running = true;
		watch_end(w, STORE_RESYNC);
		w->running = false;
		if (w->gone)
			watch_free(w);
	}
}

void datastore_down(struct sim_node *n, bool down)
{
	struct client *c;
	struct watch *w;

	list_each (c, &n->sim->ds->clients, list) {
		if (c->node != n)
			continue;
		c->down = down;
		list_each (w, &c->watches, list)
			if (down && !w->broken)
				watch_soon(w);
	}
}

/* ---- the contents at the start ---- */

static void store_doc(struct sim *s, enum kind k, const char *name, json_t *doc)
{
	own_mem char *text = kind_dump_json(doc);

	json_decref(doc);
	set(s->ds, k, name, text);
}

static json_t *pool_doc(const char *name, const char *cidr, int block)
{
	return json_pack("{s:s, s:s, s:{s:s}, s:{s:s, s:i, s:s, s:s, s:b, s:s}}", "kind", "IPPool",
			 "apiVersion", "projectcalico.org/v3", "metadata", "name", name, "spec", "cidr", cidr,
			 "blockSize", block, "ipipMode", "Never", "vxlanMode", "Never", "natOutgoing", 0,
			 "nodeSelector", "all()");
}

void datastore_reconfigure(struct sim *s)
{
	int port = sim_chance(s, 50) ? 179 : 1790, asn = sim_chance(s, 50) ? 64512 : 64513;

	sim_trace(s, "BGPConfiguration: port %d, AS %d", port, asn);
	store_doc(s, KIND_BGPCONFIG, "default",
		  json_pack("{s:s, s:s, s:{s:s}, s:{s:i, s:i}}", "kind", "BGPConfiguration", "apiVersion",
			    "projectcalico.org/v3", "metadata", "name", "default", "spec", "listenPort", port,
			    "asNumber", asn));
}

void datastore_node(struct sim_node *n, bool there)
{
	static const uint8_t uid[16] = { 1 };
	struct sim *s = n->sim;
	struct node doc = { .ipv4 = n->v4, .net4 = prefix_of(&n->v4, 24) };
	struct stored *old = lookup(s->ds, KIND_NODE, n->name);

	if (!there && old) {
		append(s->ds, KIND_NODE, n->name, NULL);
		stored_free(s->ds, old);
	}
	if (!there)
		return;
	if (s->plan.v6) {
		doc.ipv6 = n->v6;
		doc.net6 = prefix_of(&n->v6, 64);
	}
	snprintf(doc.name, sizeof(doc.name), "%s", n->name);
	store_doc(s, KIND_NODE, n->name, node_encode(&doc, uid, s->wall));
}

void datastore_start(struct sim *s)
{
	struct datastore *ds = xcalloc(1, sizeof(*ds));

	ds->sim = s;
	s->ds = ds;
	list_init(&ds->clients);
	list_init(&ds->requests);
	for (size_t i = 0; i < SIM_NODES; i++)
		datastore_node(&s->node[i], true);
	if (s->plan.tight)
		store_doc(s, KIND_IPPOOL, "tight", pool_doc("tight", "10.8.0.0/28", 30));
	else if (s->plan.small_blocks)
		store_doc(s, KIND_IPPOOL, "small", pool_doc("small", "10.8.0.0/26", 29));
	else
		store_doc(s, KIND_IPPOOL, "pool", pool_doc("pool", "10.8.0.0/16", 26));
	if (s->plan.v6)
		store_doc(s, KIND_IPPOOL, "pool6", pool_doc("pool6", "fd00:8::/48", 122));
	store_doc(s, KIND_CLUSTERINFO, "default",
		  json_pack("{s:s, s:s, s:{s:s}, s:{s:b}}", "kind", "ClusterInformation", "apiVersion",
			    "projectcalico.org/v3", "metadata", "name", "default", "spec", "datastoreReady",
			    1));
}

void datastore_stop(struct sim *s)
{
	struct datastore *ds = s->ds;
	struct request *r, *rt;
	struct stored *o, *ot;

	list_each_safe (r, rt, &ds->requests, list)
		request_free(r);
	map_each (ds->map, o, ot)
		stored_free(ds, o);
	for (size_t i = 0; i < ds->nlog; i++) {
		free(ds->log[i].name);
		free(ds->log[i].value);
	}
	free(ds->log);
	free(ds);
}
