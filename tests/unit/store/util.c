/* See util.h. */
#include "util.h"

#include <dirent.h>
#include <stdio.h>
#include <time.h>

usec_t clock_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (usec_t)ts.tv_sec * SEC + ts.tv_nsec / 1000;
}

void remove_tree(const char *dir)
{
	DIR *d = opendir(dir);

	for (struct dirent *de; d && (de = readdir(d));) {
		own_mem char *path = xasprintf("%s/%s", dir, de->d_name);
		if (strcmp(de->d_name, ".") != 0 && strcmp(de->d_name, "..") != 0 && unlink(path) < 0)
			remove_tree(path);
	}
	if (d)
		closedir(d);
	rmdir(dir);
}

void env_init(struct env *t)
{
	*t = (struct env){ 0 };
	snprintf(t->dir, sizeof(t->dir), "/tmp/korat-t-store-XXXXXX");
	assert_non_null(mkdtemp(t->dir));
	snprintf(t->path, sizeof(t->path), "%s/korat.db", t->dir);
	t->l = loop_new(NULL);
	assert_non_null(t->l);
}

struct store *env_another(struct env *t, void **ret_b)
{
	struct err e = { 0 };
	void *b = korat_store_ops.open(t->l, t->path, true, &e);

	if (!b)
		fail_msg("%s", e.msg);
	if (ret_b)
		*ret_b = b;
	return store_over(t->l, loop_timers(t->l), &korat_store_ops, b, 1);
}

void env_open(struct env *t)
{
	t->s = env_another(t, &t->b);
}

void env_close(struct env *t)
{
	store_free(t->s);
	t->s = NULL;
}

void env_done(struct env *t)
{
	env_close(t);
	loop_free(t->l);
	remove_tree(t->dir);
}

void got_done(struct got *g)
{
	free(g->value);
	*g = (struct got){ 0 };
}

void on_got(void *arg, int rc, const struct store_obj *obj, const struct err *e)
{
	struct got *g = arg;

	assert_false(g->done);
	g->done = true;
	g->rc = rc;
	g->rev = obj ? obj->rev : 0;
	g->value = obj && obj->value ? xstrdup(obj->value) : NULL;
	assert_true((rc != 0) == (e != NULL));
	if (e) {
		g->e = *e;
		assert_int_equal(rc, -e->code);
		assert_true(e->msg[0]);
	}
}

void await(struct env *t, struct got *g)
{
	usec_t end = clock_now() + 10 * SEC;

	assert_false(g->done); /* never before the call has returned */
	while (!g->done && clock_now() < end)
		loop_turn(t->l, loop_now(t->l) + 100 * MSEC);
	assert_true(g->done);
}

void get(struct env *t, struct store *s, enum kind k, const char *name, struct got *g)
{
	got_done(g);
	store_get(s, k, name, on_got, g);
	await(t, g);
}

void create(struct env *t, struct store *s, enum kind k, const char *name, const char *value, struct got *g)
{
	got_done(g);
	store_create(s, k, name, value, on_got, g);
	await(t, g);
}

void update(struct env *t, struct store *s, enum kind k, const char *name, const char *value, int64_t rev,
	    struct got *g)
{
	got_done(g);
	store_update(s, k, name, value, rev, on_got, g);
	await(t, g);
}

void del(struct env *t, struct store *s, enum kind k, const char *name, int64_t rev, struct got *g)
{
	got_done(g);
	store_delete(s, k, name, rev, on_got, g);
	await(t, g);
}

static void rec_add(struct rec *r, enum store_event ev, const struct store_obj *obj)
{
	if (r->n == r->cap) {
		r->cap = r->cap ? r->cap * 2 : 16;
		r->v = xrealloc(r->v, r->cap * sizeof(*r->v));
	}
	struct seen *s = &r->v[r->n++];
	*s = (struct seen){ .ev = ev };
	if (!obj)
		return;
	s->kind = obj->kind;
	s->rev = obj->rev;
	s->name = xstrdup(obj->name);
	s->value = obj->value ? xstrdup(obj->value) : NULL;
}

void on_seen(void *arg, enum store_event ev, const struct store_obj *obj, const struct err *e)
{
	struct rec *r = arg;

	rec_add(r, ev, obj);
	assert_true((obj != NULL) == (ev == STORE_PUT || ev == STORE_DEL));
	assert_true((e != NULL) == (ev == STORE_LOST));
	if (obj)
		assert_true((obj->value != NULL) == (ev == STORE_PUT));
	r->synced += ev == STORE_SYNCED;
	r->resyncs += ev == STORE_RESYNC;
	r->lost += ev == STORE_LOST;
	if (e)
		r->e = *e;
}

void on_listed(void *arg, int rc, const struct store_obj *obj, int64_t rev, const struct err *e)
{
	struct rec *r = arg;

	assert_false(r->ended);
	if (rc == 0 && obj) {
		rec_add(r, STORE_PUT, obj);
		return;
	}
	r->ended = true;
	r->rc = rc;
	r->rev = rev;
	if (e)
		r->e = *e;
}

void rec_done(struct rec *r)
{
	for (size_t i = 0; i < r->n; i++) {
		free(r->v[i].name);
		free(r->v[i].value);
	}
	free(r->v);
	*r = (struct rec){ 0 };
}

void await_count(struct env *t, const size_t *counter, size_t n)
{
	usec_t end = clock_now() + 10 * SEC;

	while (*counter < n && clock_now() < end)
		loop_turn(t->l, loop_now(t->l) + 100 * MSEC);
	assert_true(*counter >= n);
}

void list(struct env *t, struct store *s, enum kind k, const char *prefix, struct rec *r)
{
	usec_t end = clock_now() + 10 * SEC;

	rec_done(r);
	store_list(s, k, prefix, on_listed, r);
	assert_false(r->ended);
	while (!r->ended && clock_now() < end)
		loop_turn(t->l, loop_now(t->l) + 100 * MSEC);
	assert_true(r->ended);
}

void pass(struct env *t, usec_t time)
{
	usec_t end = clock_now() + time;

	for (usec_t now; (now = clock_now()) < end;)
		loop_turn(t->l, loop_now(t->l) + (end - now));
}

const struct seen *rec_last(const struct rec *r, const char *name)
{
	for (size_t i = r->n; i-- > 0;)
		if (r->v[i].name && strcmp(r->v[i].name, name) == 0)
			return &r->v[i];
	return NULL;
}
