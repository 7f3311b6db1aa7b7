/* IPAM writes, carried to the store and their outcomes back. */
#include "agent/alloc.h"

#include <stdio.h>

static void read_handle(struct alloc *a);
static void step(struct alloc *a);

void alloc_init(struct alloc *a, struct world *w, struct store *s, nsec_t (*wall)(void *arg), void *arg)
{
	*a = (struct alloc){ .world = w, .store = s, .wall = wall, .arg = arg };
	list_init(&a->queue);
}

static void next_job(struct alloc *a)
{
	if (a->running || list_empty(&a->queue))
		return;
	a->running = list_entry(a->queue.next, struct alloc_job, node);
	list_del(&a->running->node);
	a->queued--;
	read_handle(a);
}

static void finish(struct alloc *a, enum ipam_answer answer, const struct err *e)
{
	struct alloc_job *j = a->running;

	a->running = NULL;
	j->queued = false;
	j->done(j, answer, e);
	next_job(a);
}

void alloc_start(struct alloc *a, struct alloc_job *j, const struct ipam_request *req, alloc_done_fn *done)
{
	struct err e = { 0 };

	j->req = *req;
	j->done = done;
	j->writes = 0;
	list_init(&j->node);
	if (a->queued >= ALLOC_QUEUE_MAX) {
		err_set(&e, EAGAIN, "more than %d address requests are waiting on this node",
			ALLOC_QUEUE_MAX);
		done(j, IPAM_WRITE, &e);
		return;
	}
	j->queued = true;
	list_add_tail(&a->queue, &j->node);
	a->queued++;
	next_job(a);
}

/* ---- the handle is not followed (there is one per pod in the cluster); it is read when a request needs it
 * ---- */

static void learn_handle(struct alloc *a, const char *value, int64_t rev)
{
	struct world *w = a->world;
	json_t *doc = NULL;

	w->handle_rev = 0;
	if (!value || kind_parse_json(value, strlen(value), &doc, NULL) < 0)
		return;
	if (handle_decode(a->running->req.handle, doc, &w->handle, NULL) == 0)
		w->handle_rev = rev;
	json_decref(doc);
}

static void on_handle(void *arg, int rc, const struct store_obj *obj, const struct err *e)
{
	struct alloc *a = arg;

	if (rc < 0 && rc != STORE_NOT_FOUND) {
		finish(a, IPAM_WRITE, e);
		return;
	}
	learn_handle(a, rc == 0 ? obj->value : NULL, rc == 0 ? obj->rev : 0);
	step(a);
}

static void read_handle(struct alloc *a)
{
	a->world->handle_rev = 0;
	if (!a->running->req.handle) {
		step(a);
		return;
	}
	store_get(a->store, KIND_HANDLE, a->running->req.handle, on_handle, a);
}

/* ---- writing ---- */

static json_t *value_of(const struct ipam_write *w)
{
	switch (w->kind) {
	case KIND_BLOCK:
		return block_encode(&w->block);
	case KIND_AFFINITY:
		return affinity_encode(&w->affinity);
	case KIND_HANDLE:
		return handle_encode(&w->handle);
	default:
		return NULL;
	}
}

static void learn(struct alloc *a, enum kind k, const char *name, const char *value, int64_t rev)
{
	if (k == KIND_HANDLE)
		learn_handle(a, value, rev);
	else
		world_learn(a->world, k, name, value, rev, NULL);
}

static void on_reread(void *arg, int rc, const struct store_obj *obj, const struct err *e)
{
	struct alloc *a = arg;

	if (rc == 0)
		learn(a, a->write.kind, a->write.name, obj->value, obj->rev);
	else if (rc == STORE_NOT_FOUND)
		learn(a, a->write.kind, a->write.name, NULL, INT64_MAX);
	if (rc < 0 && rc != STORE_NOT_FOUND)
		finish(a, IPAM_WRITE, e);
	else
		step(a);
}

static void on_written(void *arg, int rc, const struct store_obj *obj, const struct err *e)
{
	struct alloc *a = arg;
	enum kind k = a->write.kind;
	const char *name = a->write.name;

	switch (rc) {
	case 0:
		if (a->write.deletes)
			learn(a, k, name, NULL, INT64_MAX);
		else
			learn(a, k, name, obj->value, obj->rev);
		break;
	case STORE_EXISTS:
	case STORE_STALE:
		if (obj && obj->value) {
			learn(a, k, name, obj->value, obj->rev);
			break;
		}
		/* fall through */
	case STORE_UNKNOWN:
		store_get(a->store, k, name, on_reread, a);
		return;
	case STORE_NOT_FOUND:
		learn(a, k, name, NULL, INT64_MAX);
		break;
	default:
		finish(a, IPAM_WRITE, e);
		return;
	}
	step(a);
}

static void perform(struct alloc *a, const struct ipam_write *w)
{
	a->write.kind = w->kind;
	a->write.deletes = w->op == IPAM_DELETE;
	snprintf(a->write.name, sizeof(a->write.name), "%s", w->name);
	if (w->op == IPAM_DELETE) {
		store_delete(a->store, w->kind, w->name, w->rev, on_written, a);
		return;
	}
	json_t *doc = value_of(w);
	own_mem char *text = kind_dump_json(doc);
	json_decref(doc);
	if (w->op == IPAM_CREATE)
		store_create(a->store, w->kind, w->name, text, on_written, a);
	else
		store_update(a->store, w->kind, w->name, text, w->rev, on_written, a);
}

static void step(struct alloc *a)
{
	struct alloc_job *j = a->running;
	struct err e = { 0 };
	struct ipam_step s;
	struct ipam_view view;

	world_view(a->world, &view);
	j->req.wall = a->wall(a->arg);
	ipam_step(&view, &j->req, &s, &e);
	if (s.answer == IPAM_WRITE && ++j->writes <= ALLOC_TRIES_MAX) {
		perform(a, &s.write);
		ipam_step_done(&s);
		return;
	}
	if (s.answer == IPAM_WRITE)
		err_set(&e, EAGAIN,
			"gave up after %d writes: too many nodes are changing the same address blocks; try "
			"again",
			ALLOC_TRIES_MAX);
	j->addr = s.addr;
	j->block = s.block;
	enum ipam_answer answer = s.answer;
	ipam_step_done(&s);
	finish(a, answer, &e);
}
