/* What every backend must do alike. Linked once with each, under the symbol that its module exports. */
#include "util.h"

#include <stdio.h>

#define POOL KIND_IPPOOL
#define NODE KIND_NODE
#define BOTH (1u << POOL | 1u << NODE)

static int setup(void **state)
{
	struct env *t = xcalloc(1, sizeof(*t));

	env_init(t);
	env_open(t);
	*state = t;
	return 0;
}

static int teardown(void **state)
{
	env_done(*state);
	free(*state);
	return 0;
}

/* ---- one object ---- */

static void get_missing(void **state)
{
	struct env *t = *state;
	struct got g = { 0 };

	get(t, t->s, POOL, "a", &g);
	assert_int_equal(g.rc, STORE_NOT_FOUND);
	assert_null(g.value);
	got_done(&g);
}

static void create_then_get(void **state)
{
	struct env *t = *state;
	struct got g = { 0 };

	create(t, t->s, POOL, "a", "{\"x\":1}", &g);
	assert_int_equal(g.rc, 0);
	assert_string_equal(g.value, "{\"x\":1}");
	int64_t rev = g.rev;
	assert_true(rev > 0);
	get(t, t->s, POOL, "a", &g);
	assert_int_equal(g.rc, 0);
	assert_int_equal(g.rev, rev);
	assert_string_equal(g.value, "{\"x\":1}");
	got_done(&g);
}

static void create_exists(void **state)
{
	struct env *t = *state;
	struct got g = { 0 };

	create(t, t->s, POOL, "a", "1", &g);
	int64_t rev = g.rev;
	create(t, t->s, POOL, "a", "2", &g);
	assert_int_equal(g.rc, STORE_EXISTS);
	assert_int_equal(g.rev, rev);
	assert_string_equal(g.value, "1");
	assert_string_equal(g.e.msg, "ippools/a exists already");
	got_done(&g);
}

static void same_name_other_kind(void **state)
{
	struct env *t = *state;
	struct got g = { 0 };

	create(t, t->s, POOL, "a", "pool", &g);
	create(t, t->s, NODE, "a", "node", &g);
	assert_int_equal(g.rc, 0);
	get(t, t->s, POOL, "a", &g);
	assert_string_equal(g.value, "pool");
	got_done(&g);
}

static void revisions_grow(void **state)
{
	struct env *t = *state;
	struct got g = { 0 };
	int64_t last = 0;

	for (int i = 0; i < 5; i++) {
		char name[8];
		snprintf(name, sizeof(name), "n%d", i);
		create(t, t->s, i % 2 ? POOL : NODE, name, "1", &g);
		assert_true(g.rev > last);
		last = g.rev;
	}
	got_done(&g);
}

static void update_good(void **state)
{
	struct env *t = *state;
	struct got g = { 0 };

	create(t, t->s, POOL, "a", "1", &g);
	int64_t rev = g.rev;
	update(t, t->s, POOL, "a", "2", rev, &g);
	assert_int_equal(g.rc, 0);
	assert_true(g.rev > rev);
	rev = g.rev;
	get(t, t->s, POOL, "a", &g);
	assert_string_equal(g.value, "2");
	assert_int_equal(g.rev, rev);
	got_done(&g);
}

static void update_stale(void **state)
{
	struct env *t = *state;
	struct got g = { 0 };

	create(t, t->s, POOL, "a", "1", &g);
	int64_t first = g.rev;
	update(t, t->s, POOL, "a", "2", first, &g);
	int64_t second = g.rev;
	update(t, t->s, POOL, "a", "3", first, &g);
	assert_int_equal(g.rc, STORE_STALE);
	assert_int_equal(g.rev, second);
	assert_string_equal(g.value, "2");
	got_done(&g);
}

static void update_missing(void **state)
{
	struct env *t = *state;
	struct got g = { 0 };

	update(t, t->s, POOL, "a", "1", 1, &g);
	assert_int_equal(g.rc, STORE_NOT_FOUND);
	got_done(&g);
}

/* 0 is no revision: only deletions may be blind. */
static void update_blind(void **state)
{
	struct env *t = *state;
	struct got g = { 0 };

	create(t, t->s, POOL, "a", "1", &g);
	update(t, t->s, POOL, "a", "2", 0, &g);
	assert_int_equal(g.rc, STORE_STALE);
	got_done(&g);
}

static void update_same_value(void **state)
{
	struct env *t = *state;
	struct got g = { 0 };

	create(t, t->s, POOL, "a", "1", &g);
	int64_t rev = g.rev;
	update(t, t->s, POOL, "a", "1", rev, &g);
	assert_int_equal(g.rc, 0);
	assert_true(g.rev > rev);
	got_done(&g);
}

static void delete_with_revision(void **state)
{
	struct env *t = *state;
	struct got g = { 0 };

	create(t, t->s, POOL, "a", "1", &g);
	int64_t rev = g.rev;
	del(t, t->s, POOL, "a", rev, &g);
	assert_int_equal(g.rc, 0);
	assert_true(g.rev > rev);
	assert_null(g.value);
	get(t, t->s, POOL, "a", &g);
	assert_int_equal(g.rc, STORE_NOT_FOUND);
	got_done(&g);
}

static void delete_stale(void **state)
{
	struct env *t = *state;
	struct got g = { 0 };

	create(t, t->s, POOL, "a", "1", &g);
	int64_t rev = g.rev;
	update(t, t->s, POOL, "a", "2", rev, &g);
	del(t, t->s, POOL, "a", rev, &g);
	assert_int_equal(g.rc, STORE_STALE);
	assert_string_equal(g.value, "2");
	got_done(&g);
}

static void delete_blind(void **state)
{
	struct env *t = *state;
	struct got g = { 0 };

	create(t, t->s, POOL, "a", "1", &g);
	update(t, t->s, POOL, "a", "2", g.rev, &g);
	del(t, t->s, POOL, "a", 0, &g);
	assert_int_equal(g.rc, 0);
	got_done(&g);
}

static void delete_missing(void **state)
{
	struct env *t = *state;
	struct got g = { 0 };

	del(t, t->s, POOL, "a", 0, &g);
	assert_int_equal(g.rc, STORE_NOT_FOUND);
	got_done(&g);
}

/* A deleted object's revision never fits the one that took its name. */
static void recreate(void **state)
{
	struct env *t = *state;
	struct got g = { 0 };

	create(t, t->s, POOL, "a", "1", &g);
	int64_t rev = g.rev;
	del(t, t->s, POOL, "a", rev, &g);
	create(t, t->s, POOL, "a", "2", &g);
	assert_int_equal(g.rc, 0);
	assert_true(g.rev > rev);
	update(t, t->s, POOL, "a", "3", rev, &g);
	assert_int_equal(g.rc, STORE_STALE);
	del(t, t->s, POOL, "a", rev, &g);
	assert_int_equal(g.rc, STORE_STALE);
	got_done(&g);
}

/* ---- limits ---- */

static void long_name(void **state)
{
	struct env *t = *state;
	struct got g = { 0 };
	char name[KIND_NAME_MAX + 1];

	memset(name, 'n', sizeof(name));
	name[KIND_NAME_MAX - 1] = '\0';
	create(t, t->s, POOL, name, "1", &g);
	assert_int_equal(g.rc, 0);
	get(t, t->s, POOL, name, &g);
	assert_int_equal(g.rc, 0);
	name[KIND_NAME_MAX - 1] = 'n';
	name[KIND_NAME_MAX] = '\0';
	create(t, t->s, POOL, name, "1", &g);
	assert_int_equal(g.rc, -ENAMETOOLONG);
	get(t, t->s, POOL, name, &g);
	assert_int_equal(g.rc, -ENAMETOOLONG);
	got_done(&g);
}

static void large_value(void **state)
{
	struct env *t = *state;
	struct got g = { 0 };
	own_mem char *value = xmalloc(KIND_VALUE_MAX + 2);

	memset(value, 'v', KIND_VALUE_MAX + 1);
	value[KIND_VALUE_MAX + 1] = '\0';
	create(t, t->s, POOL, "a", value, &g);
	assert_int_equal(g.rc, -EFBIG);
	value[KIND_VALUE_MAX] = '\0';
	create(t, t->s, POOL, "a", value, &g);
	assert_int_equal(g.rc, 0);
	get(t, t->s, POOL, "a", &g);
	assert_string_equal(g.value, value);
	got_done(&g);
}

static void bad_arguments(void **state)
{
	struct env *t = *state;
	struct got g = { 0 };
	struct rec r = { 0 };

	create(t, t->s, POOL, "", "1", &g);
	assert_int_equal(g.rc, -EINVAL);
	create(t, t->s, KIND_NONE, "a", "1", &g);
	assert_int_equal(g.rc, -EINVAL);
	get(t, t->s, KINDS, "a", &g);
	assert_int_equal(g.rc, -EINVAL);
	list(t, t->s, KINDS, "", &r);
	assert_int_equal(r.rc, -EINVAL);
	rec_done(&r);
	got_done(&g);
}

/* Names and values are data, whatever is in them. */
static void odd_bytes(void **state)
{
	static const char *const odd[] = { "'; DROP TABLE object; --", "%",  "_",   "a\nb",
					   "\xc3\xa9\xf0\x9f\x90\x88", "\"", "../x" };
	struct env *t = *state;
	struct got g = { 0 };

	for (size_t i = 0; i < ARRAY_SIZE(odd); i++) {
		create(t, t->s, POOL, odd[i], odd[i], &g);
		assert_int_equal(g.rc, 0);
	}
	for (size_t i = 0; i < ARRAY_SIZE(odd); i++) {
		get(t, t->s, POOL, odd[i], &g);
		assert_string_equal(g.value, odd[i]);
	}
	got_done(&g);
}

/* ---- lists ---- */

static void list_nothing(void **state)
{
	struct env *t = *state;
	struct rec r = { 0 };

	list(t, t->s, POOL, "", &r);
	assert_int_equal(r.rc, 0);
	assert_int_equal(r.n, 0);
	rec_done(&r);
}

static void list_kind(void **state)
{
	struct env *t = *state;
	struct got g = { 0 };
	struct rec r = { 0 };

	create(t, t->s, POOL, "b", "1", &g);
	create(t, t->s, NODE, "c", "1", &g);
	create(t, t->s, POOL, "a", "1", &g);
	list(t, t->s, POOL, "", &r);
	assert_int_equal(r.rc, 0);
	assert_int_equal(r.n, 2);
	assert_non_null(rec_last(&r, "a"));
	assert_non_null(rec_last(&r, "b"));
	assert_int_equal(r.v[0].kind, POOL);
	assert_int_equal(r.rev, g.rev);
	rec_done(&r);
	got_done(&g);
}

static void list_prefix(void **state)
{
	static const char *const names[] = { "node1", "node1/a", "node1/b", "node10/a", "node", "nodf", "m" };
	struct env *t = *state;
	struct got g = { 0 };
	struct rec r = { 0 };

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		create(t, t->s, KIND_AFFINITY, names[i], "1", &g);
	list(t, t->s, KIND_AFFINITY, "node1/", &r);
	assert_int_equal(r.n, 2);
	assert_non_null(rec_last(&r, "node1/a"));
	assert_non_null(rec_last(&r, "node1/b"));
	list(t, t->s, KIND_AFFINITY, "node", &r);
	assert_int_equal(r.n, 5);
	list(t, t->s, KIND_AFFINITY, "z", &r);
	assert_int_equal(r.n, 0);
	rec_done(&r);
	got_done(&g);
}

/* Makes n objects in one turn, named n0, n1, ... */
static void fill(struct env *t, enum kind k, int n)
{
	struct got *g = xcalloc((size_t)n, sizeof(*g));

	for (int i = 0; i < n; i++) {
		char name[16];
		snprintf(name, sizeof(name), "n%d", i);
		store_create(t->s, k, name, name, on_got, &g[i]);
	}
	await(t, &g[n - 1]);
	for (int i = 0; i < n; i++) {
		assert_true(g[i].done);
		assert_int_equal(g[i].rc, 0);
		got_done(&g[i]);
	}
	free(g);
}

static void list_many(void **state)
{
	struct env *t = *state;
	struct rec r = { 0 };

	fill(t, NODE, 3000);
	list(t, t->s, NODE, "", &r);
	assert_int_equal(r.n, 3000);
	for (size_t i = 0; i < r.n; i++)
		assert_string_equal(r.v[i].name, r.v[i].value);
	rec_done(&r);
}

/* ---- several requests at once ---- */

/* A comparison that fails harms nobody else of the same turn. */
static void failures_are_alone(void **state)
{
	struct env *t = *state;
	struct got g[5] = { 0 };

	store_create(t->s, POOL, "a", "1", on_got, &g[0]);
	store_create(t->s, POOL, "a", "2", on_got, &g[1]);
	store_update(t->s, POOL, "none", "2", 1, on_got, &g[2]);
	store_delete(t->s, POOL, "none", 0, on_got, &g[3]);
	store_create(t->s, POOL, "b", "3", on_got, &g[4]);
	await(t, &g[4]);
	assert_int_equal(g[0].rc, 0);
	assert_int_equal(g[1].rc, STORE_EXISTS);
	assert_string_equal(g[1].value, "1");
	assert_int_equal(g[2].rc, STORE_NOT_FOUND);
	assert_int_equal(g[3].rc, STORE_NOT_FOUND);
	assert_int_equal(g[4].rc, 0);
	for (size_t i = 0; i < ARRAY_SIZE(g); i++)
		got_done(&g[i]);
}

/* What one handle asks for in one turn happens in that order. */
static void requests_in_order(void **state)
{
	struct env *t = *state;
	struct got g[4] = { 0 };

	store_create(t->s, POOL, "a", "1", on_got, &g[0]);
	store_get(t->s, POOL, "a", on_got, &g[1]);
	store_delete(t->s, POOL, "a", 0, on_got, &g[2]);
	store_get(t->s, POOL, "a", on_got, &g[3]);
	await(t, &g[3]);
	assert_string_equal(g[1].value, "1");
	assert_int_equal(g[1].rev, g[0].rev);
	assert_int_equal(g[2].rc, 0);
	assert_int_equal(g[3].rc, STORE_NOT_FOUND);
	for (size_t i = 0; i < ARRAY_SIZE(g); i++)
		got_done(&g[i]);
}

static void one_of_two_wins(void **state)
{
	struct env *t = *state;
	struct store *other = env_another(t, NULL);
	struct got g = { 0 }, a = { 0 }, b = { 0 };

	create(t, t->s, POOL, "a", "1", &g);
	store_update(t->s, POOL, "a", "mine", g.rev, on_got, &a);
	store_update(other, POOL, "a", "theirs", g.rev, on_got, &b);
	await(t, &b);
	while (!a.done)
		loop_turn(t->l, loop_now(t->l) + SEC);
	assert_true((a.rc == 0 && b.rc == STORE_STALE) || (b.rc == 0 && a.rc == STORE_STALE));
	assert_string_equal(a.value, b.value);
	store_free(other);
	got_done(&a);
	got_done(&b);
	got_done(&g);
}

struct chain {
	struct env *t;
	int left;
	bool done;
};

static void on_chained(void *arg, int rc, const struct store_obj *obj, const struct err *e)
{
	struct chain *c = arg;

	assert_int_equal(rc, 0);
	if (--c->left)
		store_update(c->t->s, POOL, "a", "x", obj->rev, on_chained, c);
	else
		c->done = true;
}

/* Each write is asked for in the callback of the one before. */
static void write_from_callback(void **state)
{
	struct env *t = *state;
	struct chain c = { t, 50, false };

	store_create(t->s, POOL, "a", "x", on_chained, &c);
	while (!c.done)
		loop_turn(t->l, loop_now(t->l) + SEC);
}

static void on_free_store(void *arg, int rc, const struct store_obj *obj, const struct err *e)
{
	struct env *t = arg;

	assert_non_null(t->s); /* only once */
	env_close(t);
}

static void free_in_callback(void **state)
{
	struct env *t = *state;

	store_create(t->s, POOL, "a", "1", on_free_store, t);
	store_create(t->s, POOL, "b", "1", on_free_store, t);
	store_get(t->s, POOL, "a", on_free_store, t);
	while (t->s)
		loop_turn(t->l, loop_now(t->l) + SEC);
	pass(t, 20 * MSEC);
	env_open(t);
	store_create(t->s, KIND_NONE, "a", "1", on_free_store, t);
	store_create(t->s, KIND_NONE, "b", "1", on_free_store, t);
	while (t->s)
		loop_turn(t->l, loop_now(t->l) + SEC);
	pass(t, 20 * MSEC);
}

static void on_free_in_list(void *arg, int rc, const struct store_obj *obj, int64_t rev, const struct err *e)
{
	on_free_store(arg, rc, obj, e);
}

static void free_in_list(void **state)
{
	struct env *t = *state;

	fill(t, POOL, 10);
	store_list(t->s, POOL, "", on_free_in_list, t);
	while (t->s)
		loop_turn(t->l, loop_now(t->l) + SEC);
	pass(t, 20 * MSEC);
}

static void free_with_requests(void **state)
{
	struct env *t = *state;
	struct got g[4] = { 0 };
	struct rec r = { 0 };

	store_create(t->s, POOL, "a", "1", on_got, &g[0]);
	store_get(t->s, POOL, "a", on_got, &g[1]);
	store_create(t->s, KIND_NONE, "a", "1", on_got, &g[2]);
	store_list(t->s, POOL, "", on_listed, &r);
	env_close(t);
	pass(t, 20 * MSEC);
	assert_false(g[0].done || g[1].done || g[2].done || r.ended);
}

/* ---- watching ---- */

static void *watch(struct env *t, uint32_t kinds, int64_t from, struct rec *r)
{
	return korat_store_ops.watch(t->b, kinds, from, on_seen, r);
}

static void unwatch(struct env *t, void *w)
{
	korat_store_ops.unwatch(t->b, w);
}

static void watch_from_revision(void **state)
{
	struct env *t = *state;
	struct got g = { 0 };
	struct rec r = { 0 };

	create(t, t->s, POOL, "a", "1", &g);
	int64_t from = g.rev;
	create(t, t->s, POOL, "b", "2", &g);
	int64_t second = g.rev;
	del(t, t->s, POOL, "a", 0, &g);
	void *w = watch(t, BOTH, from, &r);
	assert_int_equal(r.n, 0);
	await_count(t, &r.n, 2);
	assert_string_equal(r.v[0].name, "b");
	assert_int_equal(r.v[0].ev, STORE_PUT);
	assert_int_equal(r.v[0].rev, second);
	assert_string_equal(r.v[1].name, "a");
	assert_int_equal(r.v[1].ev, STORE_DEL);
	assert_int_equal(r.v[1].rev, g.rev);
	unwatch(t, w);
	rec_done(&r);
	got_done(&g);
}

static void watch_live(void **state)
{
	struct env *t = *state;
	struct got g = { 0 };
	struct rec r = { 0 };
	void *w = watch(t, BOTH, 0, &r);

	create(t, t->s, POOL, "a", "1", &g);
	await_count(t, &r.n, 1);
	update(t, t->s, POOL, "a", "2", g.rev, &g);
	await_count(t, &r.n, 2);
	assert_string_equal(r.v[1].value, "2");
	assert_int_equal(r.v[1].rev, g.rev);
	del(t, t->s, POOL, "a", g.rev, &g);
	await_count(t, &r.n, 3);
	assert_int_equal(r.v[2].ev, STORE_DEL);
	create(t, t->s, POOL, "a", "3", &g);
	await_count(t, &r.n, 4);
	assert_int_equal(r.v[3].ev, STORE_PUT);
	unwatch(t, w);
	rec_done(&r);
	got_done(&g);
}

static void watch_kinds(void **state)
{
	struct env *t = *state;
	struct got g = { 0 };
	struct rec r = { 0 };
	void *w = watch(t, 1u << NODE, 0, &r);

	create(t, t->s, POOL, "a", "1", &g);
	create(t, t->s, NODE, "b", "1", &g);
	del(t, t->s, POOL, "a", 0, &g);
	create(t, t->s, NODE, "c", "1", &g);
	await_count(t, &r.n, 2);
	pass(t, 20 * MSEC);
	assert_int_equal(r.n, 2);
	assert_string_equal(r.v[0].name, "b");
	assert_string_equal(r.v[1].name, "c");
	unwatch(t, w);
	rec_done(&r);
	got_done(&g);
}

/* More than one helping, in order, each object once. */
static void watch_many(void **state)
{
	struct env *t = *state;
	struct rec r = { 0 };

	fill(t, POOL, 2500);
	void *w = watch(t, BOTH, 0, &r);
	await_count(t, &r.n, 2500);
	for (size_t i = 1; i < r.n; i++)
		assert_true(r.v[i].rev > r.v[i - 1].rev);
	unwatch(t, w);
	rec_done(&r);
}

static void watch_other_handle(void **state)
{
	struct env *t = *state;
	struct store *other = env_another(t, NULL);
	struct got g = { 0 };
	struct rec r = { 0 };
	void *w = watch(t, BOTH, 0, &r);

	pass(t, 10 * MSEC);
	usec_t before = clock_now();
	create(t, other, POOL, "a", "1", &g);
	await_count(t, &r.n, 1);
	assert_true(clock_now() - before < SEC / 2); /* not by polling */
	assert_string_equal(r.v[0].name, "a");
	unwatch(t, w);
	store_free(other);
	rec_done(&r);
	got_done(&g);
}

static void unwatch_silences(void **state)
{
	struct env *t = *state;
	struct got g = { 0 };
	struct rec r = { 0 };

	create(t, t->s, POOL, "a", "1", &g);
	void *w = watch(t, BOTH, 0, &r);
	unwatch(t, w);
	create(t, t->s, POOL, "b", "1", &g);
	pass(t, 20 * MSEC);
	assert_int_equal(r.n, 0);
	got_done(&g);
}

struct enders {
	struct env *t;
	void *w[2];
	int told;
};

static void on_end_both(void *arg, enum store_event ev, const struct store_obj *obj, const struct err *e)
{
	struct enders *x = arg;

	x->told++;
	unwatch(x->t, x->w[0]);
	unwatch(x->t, x->w[1]);
}

/* Whichever is told first ends both. */
static void unwatch_in_callback(void **state)
{
	struct env *t = *state;
	struct enders x = { .t = t };

	fill(t, POOL, 5);
	x.w[0] = korat_store_ops.watch(t->b, BOTH, 0, on_end_both, &x);
	x.w[1] = korat_store_ops.watch(t->b, BOTH, 0, on_end_both, &x);
	pass(t, 20 * MSEC);
	assert_int_equal(x.told, 1);
}

/* Objects that come and go, far more often than deletions are remembered, in one turn. */
static void forget(struct env *t)
{
	enum { N = 10001 };
	struct got *g = xcalloc(2 * N, sizeof(*g));

	for (size_t i = 0; i < N; i++) {
		store_create(t->s, NODE, "brief", "1", on_got, &g[2 * i]);
		store_delete(t->s, NODE, "brief", 0, on_got, &g[2 * i + 1]);
	}
	await(t, &g[2 * N - 1]);
	for (size_t i = 0; i < 2 * N; i++) {
		assert_int_equal(g[i].rc, 0);
		got_done(&g[i]);
	}
	free(g);
}

static void watch_gap(void **state)
{
	struct env *t = *state;
	struct got g = { 0 };
	struct rec old = { 0 }, recent = { 0 };

	create(t, t->s, POOL, "a", "1", &g);
	int64_t first = g.rev;
	del(t, t->s, POOL, "a", 0, &g);
	forget(t);
	create(t, t->s, POOL, "b", "1", &g);
	void *w = watch(t, BOTH, first, &old);
	void *w2 = watch(t, BOTH, g.rev - 5, &recent);
	await_count(t, &old.n, 1);
	assert_int_equal(old.v[0].ev, STORE_RESYNC);
	while (!rec_last(&recent, "b"))
		loop_turn(t->l, loop_now(t->l) + SEC);
	assert_int_equal(recent.resyncs, 0);
	assert_int_equal(rec_last(&recent, "brief")->ev, STORE_DEL);
	create(t, t->s, POOL, "c", "1", &g);
	while (!rec_last(&recent, "c"))
		loop_turn(t->l, loop_now(t->l) + SEC);
	assert_int_equal(old.n, 1); /* nothing after that */
	unwatch(t, w);
	unwatch(t, w2);
	rec_done(&old);
	rec_done(&recent);
	got_done(&g);
}

/* From a revision that has not been reached: the store is not the one that the watcher knew. */
static void watch_future(void **state)
{
	struct env *t = *state;
	struct rec r = { 0 };
	void *w = watch(t, BOTH, 1000, &r);

	await_count(t, &r.n, 1);
	assert_int_equal(r.v[0].ev, STORE_RESYNC);
	unwatch(t, w);
	rec_done(&r);
}

/* ---- following ---- */

static void follow_from_empty(void **state)
{
	struct env *t = *state;
	struct got g = { 0 };
	struct rec r = { 0 };
	struct store_follow *f = store_follow(t->s, BOTH, on_seen, &r);

	assert_int_equal(r.n, 0);
	await_count(t, &r.synced, 1);
	assert_int_equal(r.n, 2);
	assert_int_equal(r.v[0].ev, STORE_RESYNC);
	create(t, t->s, POOL, "a", "1", &g);
	await_count(t, &r.n, 3);
	assert_int_equal(r.v[2].ev, STORE_PUT);
	assert_int_equal(r.v[2].rev, g.rev);
	store_follow_free(f);
	rec_done(&r);
	got_done(&g);
}

static void follow_existing(void **state)
{
	struct env *t = *state;
	struct got g = { 0 };
	struct rec r = { 0 };

	create(t, t->s, POOL, "a", "1", &g);
	create(t, t->s, NODE, "n", "1", &g);
	create(t, t->s, KIND_BLOCK, "not-asked", "1", &g);
	struct store_follow *f = store_follow(t->s, BOTH, on_seen, &r);
	await_count(t, &r.synced, 1);
	assert_int_equal(r.n, 4);
	assert_int_equal(r.v[0].ev, STORE_RESYNC);
	assert_int_equal(r.v[3].ev, STORE_SYNCED);
	assert_non_null(rec_last(&r, "a"));
	assert_non_null(rec_last(&r, "n"));
	pass(t, 20 * MSEC);
	assert_int_equal(r.n, 4);
	del(t, t->s, NODE, "n", 0, &g);
	await_count(t, &r.n, 5);
	assert_int_equal(r.v[4].ev, STORE_DEL);
	assert_int_equal(r.v[4].kind, NODE);
	assert_int_equal(store_follow_drift(f), 0);
	store_follow_free(f);
	rec_done(&r);
	got_done(&g);
}

/* What vanished unseen is told as a deletion, between RESYNC and SYNCED, along with all that is there. */
static void follow_gap(void **state)
{
	struct env *t = *state;
	struct got g = { 0 }, d = { 0 };
	struct rec r = { 0 };

	create(t, t->s, POOL, "goes", "1", &g);
	create(t, t->s, POOL, "stays", "1", &g);
	struct store_follow *f = store_follow(t->s, BOTH, on_seen, &r);
	await_count(t, &r.synced, 1);
	size_t before = r.n;
	store_delete(t->s, POOL, "goes", 0, on_got, &d);
	forget(t);
	await_count(t, &r.synced, 2);
	assert_int_equal(r.v[before].ev, STORE_RESYNC);
	assert_int_equal(r.v[r.n - 1].ev, STORE_SYNCED);
	assert_int_equal(rec_last(&r, "goes")->ev, STORE_DEL);
	assert_int_equal(rec_last(&r, "stays")->ev, STORE_PUT);
	assert_true(rec_last(&r, "stays") > &r.v[before]);
	create(t, t->s, POOL, "new", "1", &g);
	size_t n = r.n;
	await_count(t, &r.n, n + (rec_last(&r, "new") == NULL));
	assert_int_equal(rec_last(&r, "new")->ev, STORE_PUT);
	store_follow_free(f);
	rec_done(&r);
	got_done(&g);
	got_done(&d);
}

static void follow_twice(void **state)
{
	struct env *t = *state;
	struct store *other = env_another(t, NULL);
	struct got g = { 0 };
	struct rec a = { 0 }, b = { 0 }, c = { 0 };
	struct store_follow *fa = store_follow(t->s, BOTH, on_seen, &a);
	struct store_follow *fb = store_follow(t->s, 1u << POOL, on_seen, &b);
	struct store_follow *fc = store_follow(other, BOTH, on_seen, &c);

	await_count(t, &a.synced, 1);
	await_count(t, &b.synced, 1);
	await_count(t, &c.synced, 1);
	create(t, t->s, POOL, "a", "1", &g);
	create(t, other, NODE, "b", "1", &g);
	await_count(t, &a.n, 4);
	await_count(t, &b.n, 3);
	await_count(t, &c.n, 4);
	assert_string_equal(a.v[3].name, "b");
	assert_string_equal(b.v[2].name, "a");
	assert_string_equal(c.v[3].name, "b");
	store_follow_free(fa);
	create(t, t->s, POOL, "c", "1", &g);
	await_count(t, &b.n, 4);
	await_count(t, &c.n, 5);
	assert_int_equal(a.n, 4);
	store_follow_free(fb);
	store_follow_free(fc);
	store_free(other);
	rec_done(&a);
	rec_done(&b);
	rec_done(&c);
	got_done(&g);
}

static void on_ignored(void *arg, int rc, const struct store_obj *obj, const struct err *e)
{
}

struct freer {
	struct env *t;
	struct store_follow *f;
	enum store_event at;
	bool store, done;
};

static void on_free(void *arg, enum store_event ev, const struct store_obj *obj, const struct err *e)
{
	struct freer *x = arg;

	assert_false(x->done);
	if (ev != x->at)
		return;
	x->done = true;
	if (x->store)
		env_close(x->t);
	store_follow_free(x->f);
}

/* A follower, or the whole store, may be freed from any event. */
static void follow_freed_in_event(void **state)
{
	static const enum store_event events[] = { STORE_RESYNC, STORE_PUT, STORE_SYNCED, STORE_DEL };
	struct env *t = *state;
	struct got g = { 0 };

	for (size_t i = 0; i < 2 * ARRAY_SIZE(events); i++) {
		create(t, t->s, POOL, "a", "1", &g);
		create(t, t->s, POOL, "b", "1", &g);
		struct freer x = { .t = t, .at = events[i / 2], .store = i % 2 };
		x.f = store_follow(t->s, BOTH, on_free, &x);
		if (x.at == STORE_DEL) {
			pass(t, 20 * MSEC);
			store_delete(t->s, POOL, "a", 0, on_ignored, NULL);
		}
		while (!x.done)
			loop_turn(t->l, loop_now(t->l) + SEC);
		pass(t, 20 * MSEC);
		if (!t->s)
			env_open(t);
		del(t, t->s, POOL, "a", 0, &g);
		del(t, t->s, POOL, "b", 0, &g);
		assert_int_equal(g.rc, 0);
	}
	got_done(&g);
}

static void follow_outlives_store(void **state)
{
	struct env *t = *state;
	struct rec r = { 0 };
	struct store_follow *f = store_follow(t->s, BOTH, on_seen, &r);
	struct store_follow *unborn = store_follow(t->s, BOTH, on_seen, &r);

	await_count(t, &r.synced, 1);
	env_close(t);
	size_t n = r.n;
	pass(t, 20 * MSEC);
	assert_int_equal(r.n, n);
	store_follow_free(f);
	store_follow_free(unborn);
	rec_done(&r);
}

/* ---- the same data again ---- */

static void reopen(void **state)
{
	struct env *t = *state;
	struct got g = { 0 };
	struct rec r = { 0 };

	create(t, t->s, POOL, "a", "1", &g);
	create(t, t->s, POOL, "b", "1", &g);
	del(t, t->s, POOL, "b", 0, &g);
	int64_t rev = g.rev;
	env_close(t);
	env_open(t);
	list(t, t->s, POOL, "", &r);
	assert_int_equal(r.n, 1);
	assert_int_equal(r.rev, rev);
	create(t, t->s, POOL, "b", "2", &g);
	assert_true(g.rev > rev);
	rec_done(&r);
	void *w = watch(t, BOTH, rev - 1, &r);
	await_count(t, &r.n, 2);
	assert_int_equal(r.v[0].ev, STORE_DEL);
	assert_int_equal(r.v[1].ev, STORE_PUT);
	unwatch(t, w);
	rec_done(&r);
	got_done(&g);
}

static void two_handles(void **state)
{
	struct env *t = *state;
	struct store *other = env_another(t, NULL);
	struct got g = { 0 };

	create(t, t->s, POOL, "a", "1", &g);
	get(t, other, POOL, "a", &g);
	assert_string_equal(g.value, "1");
	update(t, other, POOL, "a", "2", g.rev, &g);
	assert_int_equal(g.rc, 0);
	update(t, t->s, POOL, "a", "3", g.rev, &g);
	assert_int_equal(g.rc, 0);
	store_free(other);
	get(t, t->s, POOL, "a", &g);
	assert_string_equal(g.value, "3");
	got_done(&g);
}

static void count_objects(void *arg, const struct store_obj *obj)
{
	(*(int *)arg)++;
}

static void waiting(void **state)
{
	struct env *t = *state;
	int64_t rev = 0, rev2 = 0;
	char *value = NULL;
	struct err e;
	int n = 0;

	assert_int_equal(store_write_wait(t->l, t->s, POOL, "a", "1", 0, true, &rev, &e), 0);
	assert_int_equal(store_write_wait(t->l, t->s, POOL, "a", "1", 0, true, NULL, &e), STORE_EXISTS);
	assert_string_equal(e.msg, "ippools/a exists already");
	assert_int_equal(store_write_wait(t->l, t->s, POOL, "a", "2", rev, false, &rev2, NULL), 0);
	assert_int_equal(store_get_wait(t->l, t->s, POOL, "a", &value, &rev, &e), 0);
	assert_string_equal(value, "2");
	assert_int_equal(rev, rev2);
	assert_int_equal(store_get_wait(t->l, t->s, POOL, "a", NULL, NULL, NULL), 0);
	assert_int_equal(store_list_wait(t->l, t->s, POOL, count_objects, &n, &e), 0);
	assert_int_equal(n, 1);
	assert_int_equal(store_delete_wait(t->l, t->s, POOL, "a", rev - 1, &e), STORE_STALE);
	assert_int_equal(store_delete_wait(t->l, t->s, POOL, "a", rev, &e), 0);
	assert_int_equal(store_get_wait(t->l, t->s, POOL, "a", NULL, NULL, &e), STORE_NOT_FOUND);
	free(value);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

/* env_another() opens by korat_store_ops: each backend is linked with this file into a program of its own. */
int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(get_missing),
		CASE(create_then_get),
		CASE(create_exists),
		CASE(same_name_other_kind),
		CASE(revisions_grow),
		CASE(update_good),
		CASE(update_stale),
		CASE(update_missing),
		CASE(update_blind),
		CASE(update_same_value),
		CASE(delete_with_revision),
		CASE(delete_stale),
		CASE(delete_blind),
		CASE(delete_missing),
		CASE(recreate),
		CASE(long_name),
		CASE(large_value),
		CASE(bad_arguments),
		CASE(odd_bytes),
		CASE(list_nothing),
		CASE(list_kind),
		CASE(list_prefix),
		CASE(list_many),
		CASE(failures_are_alone),
		CASE(requests_in_order),
		CASE(one_of_two_wins),
		CASE(write_from_callback),
		CASE(free_in_callback),
		CASE(free_in_list),
		CASE(free_with_requests),
		CASE(watch_from_revision),
		CASE(watch_live),
		CASE(watch_kinds),
		CASE(watch_many),
		CASE(watch_other_handle),
		CASE(unwatch_silences),
		CASE(unwatch_in_callback),
		CASE(watch_gap),
		CASE(watch_future),
		CASE(follow_from_empty),
		CASE(follow_existing),
		CASE(follow_gap),
		CASE(follow_twice),
		CASE(follow_freed_in_event),
		CASE(follow_outlives_store),
		CASE(reopen),
		CASE(two_handles),
		CASE(waiting),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
