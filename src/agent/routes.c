/* Our kernel routes as deltas: want, have, and one batch for the difference. */
#include "agent/routes.h"

#include <stdio.h>

_Static_assert(sizeof(struct route_entry) <= 80, "a million routes are 80 MB");

/* ---- how routes lead on ---- */

struct via_key {
	uint32_t nhid;
	uint8_t type, protocol, scope, nhops;
	struct route_hop hops[ROUTE_HOPS_MAX];
};

static size_t via_size(size_t nhops)
{
	return offsetof(struct via_key, hops) + nhops * sizeof(struct route_hop);
}

static int by_bytes(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct route_hop));
}

/* Every byte is set, so that equal ones are equal as bytes, too. */
static size_t key_of(const struct route *how, struct via_key *k)
{
	size_t n = how->nhid ? 0 : how->nhops;

	memset(k, 0, via_size(n));
	k->nhid = how->nhid;
	k->type = how->type ? how->type : RTN_UNICAST;
	k->protocol = how->protocol;
	k->scope = how->dst.addr.family == AF_INET6 ? RT_SCOPE_UNIVERSE : how->scope;
	/* IPv6 shows its blackholes as routes over lo. */
	if (k->type != RTN_UNICAST && k->type != RTN_LOCAL)
		n = 0;
	for (size_t i = 0; i < n; i++) {
		k->hops[i].gateway = how->hops[i].gateway;
		k->hops[i].ifindex = how->hops[i].ifindex;
		k->hops[i].onlink = how->hops[i].onlink;
		k->hops[i].weight = how->hops[i].weight ? how->hops[i].weight : 1;
	}
	k->nhops = (uint8_t)n;
	if (n > 1)
		qsort(k->hops, n, sizeof(k->hops[0]), by_bytes);
	return via_size(n);
}

static struct route_via *via_find(const struct routes *r, const struct via_key *k, size_t n)
{
	struct route_via *via;

	HASH_FIND(hh, r->vias, k, n, via);
	return via;
}

struct route_via *routes_via(struct routes *r, const struct route *how)
{
	struct via_key k;
	size_t n = key_of(how, &k);
	struct route_via *via = via_find(r, &k, n);

	_Static_assert(offsetof(struct route_via, hops) - offsetof(struct route_via, nhid) ==
			       offsetof(struct via_key, hops),
		       "the same bytes");
	if (!via) {
		via = xcalloc(1, offsetof(struct route_via, nhid) + n);
		memcpy(&via->nhid, &k, n);
		HASH_ADD_KEYPTR(hh, r->vias, &via->nhid, n, via);
	}
	via->users++;
	return via;
}

void routes_via_put(struct routes *r, struct route_via *via)
{
	if (!via || --via->users)
		return;
	map_del(r->vias, via);
	free(via);
}

static bool leads_as(const struct route_via *via, const struct route *how)
{
	struct via_key k;
	size_t n = key_of(how, &k);

	return via && via_size(via->nhops) == n && memcmp(&via->nhid, &k, n) == 0;
}

/* ---- records ---- */

static struct route_entry *record(const struct routes *r, uint32_t number)
{
	return &r->chunks[number / ROUTES_CHUNK][number % ROUTES_CHUNK];
}

struct route_entry *routes_walk(const struct routes *r, size_t *at)
{
	while (*at < r->nchunks * ROUTES_CHUNK) {
		struct route_entry *en = record(r, (uint32_t)(*at)++);
		if (en->used)
			return en;
	}
	return NULL;
}

static uint32_t *place_of(const struct routes *r, uint8_t table, const struct prefix *dst)
{
	struct {
		struct prefix dst;
		uint8_t table;
	} key = { *dst, table };

	return &r->table[map_hash(&key, sizeof(key)) & r->mask];
}

static void grow_table(struct routes *r)
{
	uint32_t size = r->table ? (r->mask + 1) * 2 : 64;
	struct route_entry *en;

	free(r->table);
	r->table = xcalloc(size, sizeof(*r->table));
	r->mask = size - 1;
	for (uint32_t i = 0; i < r->nchunks * ROUTES_CHUNK; i++) {
		en = record(r, i);
		if (!en->used)
			continue;
		uint32_t *place = place_of(r, en->table, &en->dst);
		en->next = *place;
		*place = i + 1;
	}
}

static void add_chunk(struct routes *r)
{
	struct route_entry *chunk = xcalloc(ROUTES_CHUNK, sizeof(*chunk));
	uint32_t first = (uint32_t)r->nchunks * ROUTES_CHUNK;

	if (!(r->nchunks & (r->nchunks - 1)))
		r->chunks =
			xrealloc(r->chunks, (r->nchunks ? r->nchunks * 2 : 1) * sizeof(struct route_entry *));
	r->chunks[r->nchunks++] = chunk;
	for (uint32_t i = ROUTES_CHUNK; i-- > 0;) {
		chunk[i].next = r->free;
		r->free = first + i + 1;
	}
}

struct route_entry *routes_find(const struct routes *r, uint32_t table, const struct prefix *dst)
{
	uint8_t t = (uint8_t)(table ? table : RT_TABLE_MAIN);

	for (uint32_t n = r->table ? *place_of(r, t, dst) : 0; n; n = record(r, n - 1)->next) {
		struct route_entry *en = record(r, n - 1);
		if (en->table == t && prefix_eq(&en->dst, dst))
			return en;
	}
	return NULL;
}

struct route_entry *routes_entry(struct routes *r, uint32_t table, const struct prefix *dst)
{
	struct route_entry *en = routes_find(r, table, dst);

	if (en)
		return en;
	if (!r->free)
		add_chunk(r);
	/* Every step along a place's records is a miss of the cache; four bytes a record are cheaper. */
	if (!r->table || r->used * 2 > r->mask)
		grow_table(r);
	uint32_t number = r->free - 1;
	en = record(r, number);
	r->free = en->next;
	memset(en, 0, sizeof(*en));
	en->used = true;
	en->dst = *dst;
	en->table = (uint8_t)(table ? table : RT_TABLE_MAIN);
	en->class = ROUTES_CLASSES;
	list_init(&en->queued);
	uint32_t *place = place_of(r, en->table, dst);
	en->next = *place;
	*place = number + 1;
	r->used++;
	return en;
}

static void set_via(struct routes *r, struct route_entry *en, struct route_via *via)
{
	struct route_via *old = en->via;

	via->users++;
	en->via = via;
	routes_via_put(r, old);
}

static void set_fault(struct route_entry *en, const char *text)
{
	free(en->fault);
	en->fault = text ? xstrdup(text) : NULL;
}

static void forget(struct routes *r, struct route_entry *en)
{
	uint32_t *at = place_of(r, en->table, &en->dst);

	while (record(r, *at - 1) != en)
		at = &record(r, *at - 1)->next;
	uint32_t number = *at;
	*at = en->next;
	list_del(&en->queued);
	routes_via_put(r, en->via);
	set_fault(en, NULL);
	en->used = false;
	en->next = r->free;
	r->free = number;
	r->used--;
}

void routes_init(struct routes *r)
{
	*r = (struct routes){ 0 };
	for (size_t i = 0; i < ROUTES_QUEUES; i++)
		list_init(&r->queue[i]);
}

void routes_done(struct routes *r)
{
	struct route_entry *en;

	routes_each(r, en) forget(r, en);
	for (size_t i = 0; i < r->nchunks; i++)
		free(r->chunks[i]);
	free(r->chunks);
	free(r->table);
	for (size_t i = 0; i < WRITER_BATCHES; i++)
		free(r->flights[i]);
	nhobj_done(&r->objects);
}

void routes_entry_route(const struct route_entry *en, struct route *ret)
{
	const struct route_via *via = en->via;

	memset(ret, 0, offsetof(struct route, hops));
	ret->dst = en->dst;
	ret->table = en->table;
	ret->type = via->type;
	ret->protocol = via->protocol;
	ret->scope = via->scope;
	ret->nhops = via->nhops;
	memcpy(ret->hops, via->hops, via->nhops * sizeof(struct route_hop));
	ret->nhid = via->nhid;
	ret->pref = 0;
}

static void enlist(struct routes *r, struct route_entry *en, enum routes_queue what)
{
	struct list *l = &r->queue[what];

	if (!list_empty(&en->queued) && en->what == what)
		return;
	list_del(&en->queued);
	en->what = what;
	/* Pods do not wait behind what peers have said. */
	list_add_tail(en->class == ROUTES_FIB ? l : l->next, &en->queued);
}

static void note(struct routes *r, struct route_entry *en)
{
	enum delta_op op = delta_op(&en->delta);

	if (en->flying)
		return; /* looked at when it has landed */
	if (op == DELTA_KEEP || (op == DELTA_FORGET && en->learned)) {
		list_del(&en->queued);
		set_fault(en, NULL);
	} else if (op == DELTA_FORGET) {
		forget(r, en);
	} else {
		enlist(r, en, en->fault ? ROUTES_REFUSED : op == DELTA_DEL ? ROUTES_DOOMED : ROUTES_FRESH);
	}
}

/* ---- what is wanted ---- */

void routes_begin(struct routes *r, enum route_class c)
{
	r->stamp[c]++;
}

void routes_want_via(struct routes *r, enum route_class c, struct route_entry *en, struct route_via *via)
{
	if (en->delta.wanted && en->class < c) {
		en->contested = true; /* a stronger class has it */
		return;
	}
	en->contested |= en->delta.wanted && en->class > c;
	if (!en->delta.wanted || en->class != c) {
		if (en->delta.wanted)
			r->count[en->class]--;
		r->count[c]++;
		en->class = c;
		list_del(&en->queued); /* its place in the line is another now */
	}
	bool differs = en->via != via;
	delta_want(&en->delta, r->stamp[c], differs);
	if (differs)
		set_via(r, en, via);
	note(r, en);
}

void routes_want(struct routes *r, enum route_class c, const struct route *want)
{
	struct route_via *via = routes_via(r, want);

	routes_want_via(r, c, routes_entry(r, want->table, &want->dst), via);
	routes_via_put(r, via);
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

bool routes_take_puzzled(struct routes *r)
{
	bool puzzled = r->puzzled;

	r->puzzled = false;
	return puzzled;
}

void routes_sweep(struct routes *r, enum route_class c)
{
	struct route_entry *en;

	routes_each(r, en) if (en->class == c && en->delta.wanted && en->delta.stamp != r->stamp[c])
		unwant(r, en);
}

void routes_unwant_entry(struct routes *r, enum route_class c, struct route_entry *en)
{
	if (en->class == c && en->delta.wanted)
		unwant(r, en);
}

void routes_unwant(struct routes *r, enum route_class c, uint32_t table, const struct prefix *dst)
{
	struct route_entry *en = routes_find(r, table, dst);

	if (en)
		routes_unwant_entry(r, c, en);
}

void routes_unlearned(struct routes *r, struct route_entry *en)
{
	en->learned = NULL;
	if (en->class == ROUTES_FIB && en->delta.wanted)
		unwant(r, en);
	else
		note(r, en);
}

/* ---- what is there ---- */

void routes_seen(struct routes *r, enum route_class c, const struct route *have)
{
	struct route_entry *en = routes_entry(r, have->table, &have->dst);

	en->delta.present = true;
	en->dump = r->dump;
	if (en->delta.wanted) {
		en->delta.differs = !leads_as(en->via, have);
	} else {
		struct route_via *via = routes_via(r, have);
		set_via(r, en, via);
		routes_via_put(r, via);
		en->delta.stamp = 0;
		if (en->class != c)
			list_del(&en->queued); /* its place in the line is another now */
		en->class = c;
	}
	note(r, en);
}

void routes_seen_gone(struct routes *r, const struct route *had)
{
	struct route_entry *en = routes_find(r, had->table, &had->dst);

	/* A deletion of something other than what we want there is not about ours. */
	if (!en || !en->delta.present || !leads_as(en->via, had))
		return;
	en->delta.present = false;
	note(r, en);
}

static bool uses(const struct route_via *via, uint32_t ifindex)
{
	for (size_t i = 0; i < via->nhops; i++)
		if (via->hops[i].ifindex == ifindex)
			return true;
	return false;
}

static void seen_link_down(struct routes *r, struct route_entry *en)
{
	/* One of several next hops died: the route is there, but no longer as it was. */
	if (en->via->nhops > 1)
		en->delta.differs = en->delta.wanted;
	else
		en->delta.present = false;
	note(r, en);
}

void routes_seen_link_down(struct routes *r, uint32_t ifindex, bool lost)
{
	struct route_entry *en;

	if (lost && !r->objects.by_id)
		return;
	nhobj_link_down(&r->objects, ifindex);
	routes_each(r, en)
	{
		if (!en->delta.present)
			continue;
		if (en->via->nhid ? !nhobj_is_present(&r->objects, en->via->nhid)
				  : !lost && uses(en->via, ifindex))
			seen_link_down(r, en);
	}
}

void routes_seen_object_gone(struct routes *r, uint32_t nhid)
{
	struct route_entry *en;

	if (!nhobj_gone(&r->objects, nhid))
		return;
	routes_each(r, en)
	{
		if (!en->delta.present || en->via->nhid != nhid)
			continue;
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
	struct route_entry *en;

	routes_each(r, en)
	{
		en->delta.present &= en->dump == r->dump;
		note(r, en);
	}
}

/* ---- applying ---- */

#define OBJECT ((uint64_t)1 << 32) /* a tag of nhobj's, with the number of the object below */

struct batch {
	struct routes *r;
	struct route_entry *en[NL_BATCH_MAX];
	size_t n;
};

static void refused(struct routes *r, struct route_entry *en, int code, const char *text)
{
	char fault[120];

	snprintf(fault, sizeof(fault), "%.80s%s%.30s", strerror(code), text[0] ? ": " : "", text);
	/* We hear of others' changes a little later than they happen, and not of our own at all. */
	r->puzzled |= code == EEXIST && !en->fault;
	set_fault(en, fault);
	r->failed++;
	note(r, en);
}

static void on_result(void *arg, uint64_t tag, int code, const char *text)
{
	struct batch *b = arg;

	if (tag & OBJECT) {
		nhobj_on_result(&b->r->objects, (uint32_t)tag, code);
		return;
	}
	struct route_entry *en = b->en[tag];
	bool del = !en->delta.wanted;
	if (code && !(del && (code == ESRCH || code == ENODEV))) {
		refused(b->r, en, code, text);
		return;
	}
	delta_applied(&en->delta);
	if (del)
		b->r->deleted++;
	else
		b->r->replaced++;
	note(b->r, en);
}

static bool may(const struct route_entry *en, unsigned may_delete)
{
	return delta_op(&en->delta) != DELTA_DEL || may_delete & 1u << en->class;
}

/* Up to max that may be done, those first that were never refused; ret may be NULL. */
static size_t pick(const struct routes *r, enum routes_queue last, unsigned may_delete,
		   struct route_entry **ret, size_t max)
{
	struct route_entry *en;
	size_t n = 0;

	for (enum routes_queue what = ROUTES_FRESH; what <= last; what++) {
		list_each (en, &r->queue[what], queued) {
			/* What was learned is at the end, and all alike. */
			if (n == max ||
			    (what == ROUTES_DOOMED && en->class == ROUTES_FIB && !may(en, may_delete)))
				break;
			if (!may(en, may_delete))
				continue;
			if (ret)
				ret[n] = en;
			n++;
		}
	}
	return n;
}

/* What is tried goes to the end, so that one that is refused again does not keep the others waiting. */
static size_t collect(struct routes *r, struct batch *b, unsigned may_delete, size_t budget)
{
	b->n = pick(r, ROUTES_REFUSED, may_delete, b->en, MIN(budget, (size_t)NL_BATCH_MAX));
	for (size_t i = 0; i < b->n; i++) {
		list_del(&b->en[i]->queued);
		list_add_tail(&r->queue[b->en[i]->what], &b->en[i]->queued);
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

static void queue_one(struct routes *r, struct nl *nl, const struct route_entry *en, uint64_t tag,
		      struct err *e)
{
	struct route rt;

	routes_entry_route(en, &rt);
	/* Queued again with every route until the result is known: "it exists" is no fault then. */
	if (rt.nhid && en->delta.wanted) {
		nl_tag(nl, OBJECT | rt.nhid);
		nhobj_queue(&r->objects, nl, rt.nhid);
	}
	nl_tag(nl, tag);
	queue_op(nl, en, &rt, e);
}

static int send_batch(struct batch *b, struct nl *nl, struct err *e)
{
	nl_batch_begin(nl);
	for (size_t i = 0; i < b->n; i++)
		queue_one(b->r, nl, b->en[i], i, e);
	return nl_batch_end(nl, on_result, b, e);
}

/* ---- batches under way ---- */

struct landing {
	struct routes *r;
	struct routes_flight *f;
};

static void take_off(struct routes_flight *f, struct route_entry *en)
{
	list_del(&en->queued);
	en->flying = true;
	en->via->users++;
	f->ops[f->n].en = en;
	f->ops[f->n].via = en->via;
	f->ops[f->n].del = !en->delta.wanted;
	f->ops[f->n].answered = false;
	f->n++;
}

/* Compared with what is wanted by now, which may be another route than was sent. */
static void landed(struct routes *r, struct routes_flight *f, size_t i, bool done)
{
	struct route_entry *en = f->ops[i].en;
	struct route_via *via = f->ops[i].via;

	en->flying = false;
	if (done) {
		en->delta.present = !f->ops[i].del;
		en->delta.differs = en->delta.wanted && en->delta.present && en->via != via;
		if (f->ops[i].del)
			r->deleted++;
		else
			r->replaced++;
	}
	if (done && !en->delta.wanted && en->via != via)
		set_via(r, en, via);
	routes_via_put(r, via);
	note(r, en);
}

static void on_landed(void *arg, uint64_t tag, int code, const char *text)
{
	struct landing *l = arg;

	if (tag & OBJECT) {
		nhobj_on_result(&l->r->objects, (uint32_t)tag, code);
		return;
	}
	bool done = !code || (l->f->ops[tag].del && (code == ESRCH || code == ENODEV));
	if (!done)
		refused(l->r, l->f->ops[tag].en, code, text);
	l->f->ops[tag].answered = true;
	landed(l->r, l->f, tag, done);
}

void routes_land(struct routes *r, struct writer *w, bool wait)
{
	struct nl *nl;
	size_t slot;

	while (r->flying && (nl = writer_land(w, wait, &slot))) {
		struct landing l = { r, r->flights[slot] };
		/* Whatever has no result may or may not have happened. */
		r->puzzled |= nl_batch_end(nl, on_landed, &l, NULL) < 0;
		for (size_t i = 0; i < l.f->n; i++)
			if (!l.f->ops[i].answered)
				landed(r, l.f, i, false);
		r->flying--;
	}
}

/* Gives away as many batches as are taken. */
static void fly(struct routes *r, struct writer *w, unsigned may_delete)
{
	struct route_entry *en[WRITER_BATCH / 2]; /* the other half may be objects */
	struct nl *nl;
	size_t slot, n;

	while ((n = pick(r, ROUTES_DOOMED, may_delete, en, ARRAY_SIZE(en))) &&
	       (nl = writer_begin(w, &slot))) {
		if (!r->flights[slot])
			r->flights[slot] = xcalloc(1, sizeof(*r->flights[slot]));
		struct routes_flight *f = r->flights[slot];
		f->n = 0;
		for (size_t i = 0; i < n; i++) {
			queue_one(r, nl, en[i], i, NULL);
			take_off(f, en[i]);
		}
		writer_go(w);
		r->flying++;
	}
}

/* While a route in the kernel is not as it should be, it may lead through an object that nothing wants. */
static void sweep_objects(struct routes *r, struct nl *nl)
{
	struct route_entry *en;

	if (r->flying)
		return;
	for (size_t i = 0; i < ROUTES_QUEUES; i++)
		list_each (en, &r->queue[i], queued)
			if (en->delta.present)
				return;
	nhobj_sweep(&r->objects, nl, NULL);
}

static bool is_all_done(const struct routes *r)
{
	for (size_t i = 0; i < ROUTES_QUEUES; i++)
		if (!list_empty(&r->queue[i]))
			return false;
	return true;
}

enum routes_left routes_apply(struct routes *r, struct nl *nl, struct writer *w, unsigned may_delete,
			      size_t budget, struct err *e)
{
	uint64_t before = r->replaced + r->deleted;
	struct batch b = { .r = r };
	size_t tried = 0, waiting = pick(r, ROUTES_REFUSED, may_delete, NULL, budget);

	/* A few are done sooner than a thread is woken, and a pod waits for them. */
	if (w && pick(r, ROUTES_DOOMED, may_delete, NULL, NL_BATCH_MAX + 1) > NL_BATCH_MAX) {
		fly(r, w, may_delete);
		return ROUTES_FLYING;
	}
	while (tried < waiting && tried < budget) {
		size_t n = collect(r, &b, may_delete, MIN(budget - tried, waiting - tried));
		if (!n)
			break;
		if (send_batch(&b, nl, e) < 0)
			return ROUTES_LATER;
		tried += n;
	}
	if (r->objects.unused && may_delete & 1u << ROUTES_FIB)
		sweep_objects(r, nl);
	if (is_all_done(r))
		return ROUTES_DONE;
	return tried == budget && r->replaced + r->deleted > before ? ROUTES_MORE : ROUTES_LATER;
}
