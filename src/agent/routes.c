/* Our kernel routes as deltas: want, have, and one batch for the difference. */
#include "agent/routes.h"

#include <stdio.h>

void routes_init(struct routes *r)
{
	*r = (struct routes){ 0 };
	list_init(&r->dirty);
}

static void forget(struct routes *r, struct route_entry *en)
{
	list_del(&en->dirty);
	map_del(r->map, en);
	free(en->hops);
	free(en);
}

void routes_done(struct routes *r)
{
	struct route_entry *en, *tmp;

	map_each (r->map, en, tmp)
		forget(r, en);
}

static struct route_key key_of(uint32_t table, const struct prefix *dst)
{
	struct route_key k;

	memset(&k, 0, sizeof(k));
	k.table = table ? table : RT_TABLE_MAIN;
	k.dst = *dst;
	return k;
}

static struct route_entry *find(const struct routes *r, uint32_t table, const struct prefix *dst)
{
	struct route_key k = key_of(table, dst);
	struct route_entry *en;

	map_find(r->map, &k, en);
	return en;
}

const struct route_entry *routes_find(const struct routes *r, uint32_t table, const struct prefix *dst)
{
	return find(r, table, dst);
}

static struct route_entry *entry(struct routes *r, uint32_t table, const struct prefix *dst,
				 enum route_class c)
{
	struct route_entry *en = find(r, table, dst);

	if (en)
		return en;
	en = xcalloc(1, sizeof(*en));
	en->key = key_of(table, dst);
	en->class = c;
	list_init(&en->dirty);
	map_add(r->map, key, en);
	return en;
}

void routes_entry_route(const struct route_entry *en, struct route *ret)
{
	*ret = (struct route){
		.dst = en->key.dst,
		.table = en->key.table,
		.type = en->type,
		.protocol = en->protocol,
		.scope = en->scope,
		.nhops = en->nhops,
	};
	memcpy(ret->hops, en->hops ? en->hops : &en->hop, en->nhops * sizeof(struct route_hop));
}

static void store_value(struct route_entry *en, const struct route *v)
{
	free(en->hops);
	en->hops = NULL;
	en->type = v->type;
	en->protocol = v->protocol;
	en->scope = v->scope;
	en->nhops = v->nhops;
	en->hop = v->hops[0];
	if (v->nhops > 1) {
		en->hops = xcalloc(v->nhops, sizeof(struct route_hop));
		memcpy(en->hops, v->hops, v->nhops * sizeof(struct route_hop));
	}
}

static bool value_is(const struct route_entry *en, const struct route *v)
{
	struct route mine;

	routes_entry_route(en, &mine);
	struct route other = *v;
	other.metric = mine.metric; /* the kernel adds 1024 to IPv6 by itself */
	other.prefsrc = mine.prefsrc;
	return route_same(&mine, &other);
}

static void note(struct routes *r, struct route_entry *en)
{
	enum delta_op op = delta_op(&en->delta);

	if (op == DELTA_KEEP) {
		list_del(&en->dirty);
		en->fault[0] = '\0';
	} else if (op == DELTA_FORGET) {
		forget(r, en);
	} else if (list_empty(&en->dirty)) {
		/* Pods do not wait behind what peers have said. */
		list_add_tail(en->class == ROUTES_FIB ? &r->dirty : r->dirty.next, &en->dirty);
	}
}

void routes_begin(struct routes *r, enum route_class c)
{
	r->stamp[c]++;
}

void routes_want(struct routes *r, enum route_class c, const struct route *want)
{
	struct route_entry *en = entry(r, want->table, &want->dst, c);

	if (en->delta.wanted && en->class < c) {
		en->contested = true; /* a stronger class has it */
		return;
	}
	en->contested |= en->delta.wanted && en->class > c;
	if (!en->delta.wanted || en->class != c) {
		r->count[en->class] -= en->delta.wanted;
		r->count[c]++;
		en->class = c;
		list_del(&en->dirty); /* its place in the line is another now */
	}
	bool differs = !value_is(en, want);
	delta_want(&en->delta, r->stamp[c], differs);
	if (differs)
		store_value(en, want);
	note(r, en);
}

static void unwant(struct routes *r, struct route_entry *en)
{
	en->delta.wanted = false;
	r->count[en->class]--;
	r->released |= en->contested;
	en->contested = false;
	note(r, en);
}

bool routes_take_released(struct routes *r)
{
	bool released = r->released;

	r->released = false;
	return released;
}

void routes_sweep(struct routes *r, enum route_class c)
{
	struct route_entry *en, *tmp;

	map_each (r->map, en, tmp)
		if (en->class == c && en->delta.wanted && en->delta.stamp != r->stamp[c])
			unwant(r, en);
}

void routes_unwant(struct routes *r, enum route_class c, uint32_t table, const struct prefix *dst)
{
	struct route_entry *en = find(r, table, dst);

	if (en && en->class == c && en->delta.wanted)
		unwant(r, en);
}

void routes_seen(struct routes *r, enum route_class c, const struct route *have)
{
	struct route_entry *en = entry(r, have->table, &have->dst, c);

	en->delta.present = true;
	en->dump = r->dump;
	en->delta.stamp = en->delta.wanted ? en->delta.stamp : 0;
	if (en->delta.wanted) {
		en->delta.differs = !value_is(en, have);
	} else {
		store_value(en, have);
		en->class = c;
	}
	note(r, en);
}

void routes_seen_gone(struct routes *r, const struct route *had)
{
	struct route_entry *en = find(r, had->table, &had->dst);

	/* A deletion of something other than what we want there is not about ours. */
	if (!en || !en->delta.present || !value_is(en, had))
		return;
	en->delta.present = false;
	note(r, en);
}

static bool uses(const struct route_entry *en, uint32_t ifindex)
{
	const struct route_hop *hops = en->hops ? en->hops : &en->hop;

	for (size_t i = 0; i < en->nhops; i++)
		if (hops[i].ifindex == ifindex)
			return true;
	return false;
}

void routes_seen_link_down(struct routes *r, uint32_t ifindex)
{
	struct route_entry *en, *tmp;

	map_each (r->map, en, tmp) {
		if (!en->delta.present || !uses(en, ifindex))
			continue;
		/* One of several next hops died: the route is there, but no longer as it was. */
		if (en->nhops > 1)
			en->delta.differs = en->delta.wanted;
		else
			en->delta.present = false;
		note(r, en);
	}
}

void routes_dump_begin(struct routes *r)
{
	r->dump++;
}

void routes_dump_end(struct routes *r)
{
	struct route_entry *en, *tmp;

	map_each (r->map, en, tmp) {
		en->delta.present &= en->dump == r->dump;
		note(r, en);
	}
}

/* ---- applying ---- */

struct batch {
	struct routes *r;
	struct route_entry *en[NL_BATCH_MAX];
	size_t n;
};

static void on_result(void *arg, uint64_t tag, int code, const char *text)
{
	struct batch *b = arg;
	struct route_entry *en = b->en[tag];
	bool del = !en->delta.wanted;

	en->fault[0] = '\0';
	if (code == 0 || (del && (code == ESRCH || code == ENODEV))) {
		delta_applied(&en->delta);
		if (del)
			b->r->deleted++;
		else
			b->r->replaced++;
		note(b->r, en);
		return;
	}
	b->r->failed++;
	snprintf(en->fault, sizeof(en->fault), "%.80s%s%.30s", strerror(code), text[0] ? ": " : "", text);
}

/* Queues up to one batch; those that may not be deleted yet stay in the list, behind. */
static size_t collect(struct routes *r, struct batch *b, unsigned may_delete, size_t budget)
{
	struct route_entry *en, *tmp;

	b->n = 0;
	list_each_safe (en, tmp, &r->dirty, dirty) {
		if (b->n == NL_BATCH_MAX || b->n == budget)
			break;
		if (delta_op(&en->delta) == DELTA_DEL && !(may_delete & 1u << en->class))
			continue;
		b->en[b->n++] = en;
	}
	/* What is tried goes to the end, so that a refused route cannot keep others waiting. */
	for (size_t i = 0; i < b->n; i++) {
		list_del(&b->en[i]->dirty);
		list_add_tail(&r->dirty, &b->en[i]->dirty);
	}
	return b->n;
}

/* Replacing would take over a foreign route for the same prefix, so what is new is added and a conflict is an
 * error; but a pod's own address is ours to say. */
static void queue_op(struct nl *nl, const struct route_entry *en, const struct route *rt, struct err *e)
{
	if (!en->delta.wanted)
		route_del(nl, rt, e);
	else if (en->delta.present || en->class == ROUTES_POD)
		route_replace(nl, rt, e);
	else
		route_add(nl, rt, e);
}

static int send_batch(struct batch *b, struct nl *nl, struct err *e)
{
	struct route rt;

	nl_batch_begin(nl);
	for (size_t i = 0; i < b->n; i++) {
		routes_entry_route(b->en[i], &rt);
		nl_tag(nl, i);
		queue_op(nl, b->en[i], &rt, e);
	}
	return nl_batch_end(nl, on_result, b, e);
}

enum routes_left routes_apply(struct routes *r, struct nl *nl, unsigned may_delete, size_t budget,
			      struct err *e)
{
	uint64_t before = r->replaced + r->deleted;
	struct batch b = { .r = r };
	size_t tried = 0, waiting = 0;
	struct route_entry *en;

	list_each (en, &r->dirty, dirty)
		if (++waiting == budget)
			break;
	while (tried < waiting && tried < budget) {
		size_t n = collect(r, &b, may_delete, MIN(budget - tried, waiting - tried));
		if (!n)
			break;
		if (send_batch(&b, nl, e) < 0)
			return ROUTES_LATER;
		tried += n;
	}
	if (list_empty(&r->dirty))
		return ROUTES_DONE;
	return tried == budget && r->replaced + r->deleted > before ? ROUTES_MORE : ROUTES_LATER;
}
