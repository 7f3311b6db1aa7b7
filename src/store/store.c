/*
 * What all datastores have in common: opening by name, requests with checked arguments, and waiting for one
 * answer.
 */
#include "store/inner.h"

#include "base/str.h"
#include "loop/loop.h"

#include <dlfcn.h>
#include <limits.h>
#include <stdio.h>
#include <sys/random.h>

#define WORD_MAX 16 /* bytes of a backend's name, with its NUL */

/* A request that never reached the backend, because its arguments are wrong. */
struct refusal {
	struct list node;
	store_done_fn *done;
	store_list_fn *listed;
	void *arg;
	struct err e;
};

/* ---- requests ---- */

static void on_refuse(struct timer *t, usec_t now)
{
	struct store *s = container_of(t, struct store, refuse);

	s->running = true;
	while (!list_empty(&s->refusals)) {
		struct refusal *r = list_entry(s->refusals.next, struct refusal, node);
		list_del(&r->node);
		if (r->done)
			r->done(r->arg, -r->e.code, NULL, &r->e);
		else
			r->listed(r->arg, -r->e.code, NULL, 0, &r->e);
		free(r);
	}
	s->running = false;
	if (s->closed)
		free(s);
}

static void refuse(struct store *s, store_done_fn *done, store_list_fn *listed_fn, void *arg,
		   const struct err *e)
{
	struct refusal *r = xcalloc(1, sizeof(*r));

	*r = (struct refusal){ .done = done, .listed = listed_fn, .arg = arg, .e = *e };
	list_add_tail(&s->refusals, &r->node);
	timer_start(s->timers, &s->refuse, 0);
}

static int check_kind(enum kind k, struct err *e)
{
	if (k <= KIND_NONE || k >= KINDS)
		return err_set(e, EINVAL, "the datastore knows no kind number %d", (int)k);
	return 0;
}

static int check_name(enum kind k, const char *name, struct err *e)
{
	if (check_kind(k, e) < 0)
		return -e->code;
	if (!name || !*name)
		return err_set(e, EINVAL, "an object of the datastore needs a name");
	if (strlen(name) >= KIND_NAME_MAX)
		return err_set(e, ENAMETOOLONG,
			       "the name %.40s... is longer than the %d bytes a datastore takes", name,
			       KIND_NAME_MAX - 1);
	return 0;
}

static int check_value(const char *name, const char *value, struct err *e)
{
	if (!value)
		return err_set(e, EINVAL, "%.200s: an object of the datastore needs a value", name);
	if (strlen(value) > KIND_VALUE_MAX)
		return err_set(e, EFBIG, "%.200s: the value is larger than the %u bytes a datastore takes",
			       name, KIND_VALUE_MAX);
	return 0;
}

void store_get(struct store *s, enum kind k, const char *name, store_done_fn *fn, void *arg)
{
	struct err e;

	if (check_name(k, name, &e) < 0)
		refuse(s, fn, NULL, arg, &e);
	else
		s->ops->get(s->b, k, name, fn, arg);
}

void store_list(struct store *s, enum kind k, const char *prefix, store_list_fn *fn, void *arg)
{
	struct err e;

	if (check_kind(k, &e) < 0 || (*prefix && check_name(k, prefix, &e) < 0))
		refuse(s, NULL, fn, arg, &e);
	else
		s->ops->list(s->b, k, prefix, fn, arg);
}

void store_create(struct store *s, enum kind k, const char *name, const char *value, store_done_fn *fn,
		  void *arg)
{
	struct err e;

	if (check_name(k, name, &e) < 0 || check_value(name, value, &e) < 0)
		refuse(s, fn, NULL, arg, &e);
	else
		s->ops->put(s->b, k, name, value, true, 0, fn, arg);
}

void store_update(struct store *s, enum kind k, const char *name, const char *value, int64_t rev,
		  store_done_fn *fn, void *arg)
{
	struct err e;

	if (check_name(k, name, &e) < 0 || check_value(name, value, &e) < 0)
		refuse(s, fn, NULL, arg, &e);
	else
		s->ops->put(s->b, k, name, value, false, rev, fn, arg);
}

void store_delete(struct store *s, enum kind k, const char *name, int64_t rev, store_done_fn *fn, void *arg)
{
	struct err e;

	if (check_name(k, name, &e) < 0)
		refuse(s, fn, NULL, arg, &e);
	else
		s->ops->del(s->b, k, name, rev, fn, arg);
}

/* ---- opening ---- */

struct store *store_over(struct loop *l, struct timers *timers, const struct store_ops *ops, void *b,
			 uint64_t seed)
{
	struct store *s = xcalloc(1, sizeof(*s));

	s->timers = timers;
	s->ops = ops;
	s->b = b;
	s->prng.state = seed;
	list_init(&s->follows);
	list_init(&s->listings);
	list_init(&s->refusals);
	timer_init(&s->refuse, on_refuse);
	return s;
}

void store_free(struct store *s)
{
	if (!s)
		return;
	follow_stop_all(s);
	s->ops->close(s->b);
	follow_drop_lists(s);
	while (!list_empty(&s->refusals)) {
		struct refusal *r = list_entry(s->refusals.next, struct refusal, node);
		list_del(&r->node);
		free(r);
	}
	timer_stop(&s->refuse);
	s->closed = true;
	if (!s->running)
		free(s);
}

/* Splits "word:rest"; a path (with a slash before any colon, or with no colon) is sqlite's. */
static int split_where(const char *where, char word[static WORD_MAX], const char **ret_rest, struct err *e)
{
	size_t n = strspn(where, "abcdefghijklmnopqrstuvwxyz0123456789");

	if (!*where)
		return err_set(e, EINVAL, "the datastore has no name; give a path or sqlite:PATH");
	if (where[n] != ':') {
		snprintf(word, WORD_MAX, "sqlite");
		*ret_rest = where;
		return 0;
	}
	if (n == 0 || n >= WORD_MAX || !where[n + 1])
		return err_set(e, EINVAL, "\"%.200s\" names no datastore; give a path or sqlite:PATH", where);
	snprintf(word, WORD_MAX, "%.*s", (int)n, where);
	*ret_rest = where + n + 1;
	return 0;
}

/* The directory of the running program, without its last slash. */
static int program_dir(char dir[static PATH_MAX], struct err *e)
{
	ssize_t n = readlink("/proc/self/exe", dir, PATH_MAX - 1);

	if (n < 0)
		return err_set(e, errno, "find the directory of this program: %m");
	dir[n] = '\0';
	char *slash = strrchr(dir, '/');
	if (slash)
		*slash = '\0';
	return 0;
}

/*
 * A backend lives in the build tree beside the program, or in the library directory. It is never unloaded:
 * callbacks that libuv makes late would find its code gone.
 */
static const struct store_ops *load_backend(const char *word, struct err *e)
{
	own_str struct str tried = { 0 };
	char dir[PATH_MAX];

	if (program_dir(dir, e) < 0)
		return NULL;
	const char *const places[][2] = { { dir, "" }, { dir, "/../lib/korat" }, { KORAT_MODULE_DIR, "" } };
	for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
		own_mem char *path = xasprintf("%s%s/korat-store-%s.so", places[i][0], places[i][1], word);
		str_addf(&tried, "%s%s", i == 0 ? "" : i + 1 == ARRAY_SIZE(places) ? " and " : ", ", path);
		if (access(path, F_OK) < 0)
			continue;
		void *module = dlopen(path, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
		const struct store_ops *ops = module ? dlsym(module, "korat_store_ops") : NULL;
		if (!ops) {
			err_set(e, ELIBBAD, "load the module of %s datastores: %s", word, dlerror());
			return NULL;
		}
		if (strcmp(ops->name, word) != 0) {
			err_set(e, ELIBBAD, "the module %s is for %s datastores, not for %s", path, ops->name,
				word);
			return NULL;
		}
		return ops;
	}
	err_set(e, ELIBACC, "there is no module for %s datastores; looked for %s", word, tried.s);
	return NULL;
}

struct store *store_open(struct loop *l, const char *where, bool create, struct err *e)
{
	char word[WORD_MAX];
	const char *rest = NULL;
	uint64_t seed = 0;

	if (split_where(where, word, &rest, e) < 0)
		return NULL;
	const struct store_ops *ops = load_backend(word, e);
	if (!ops)
		return NULL;
	void *b = ops->open(l, rest, create, e);
	if (!b)
		return NULL;
	if (getrandom(&seed, sizeof(seed), 0) < 0)
		seed = (uint64_t)getpid();
	return store_over(l, loop_timers(l), ops, b, seed);
}

/* ---- waiting for one answer ---- */

struct answer {
	bool done;
	int rc;
	char **value;
	int64_t *rev;
	struct err *e;
	void (*fn)(void *arg, const struct store_obj *obj);
	void *arg;
};

static void answer_end(struct answer *a, int rc, const struct err *e)
{
	a->done = true;
	a->rc = rc;
	if (rc == 0 || !a->e)
		return;
	if (e)
		*a->e = *e;
	else
		err_set(a->e, -rc, "datastore: %s", strerror(-rc));
}

static void on_answer(void *arg, int rc, const struct store_obj *obj, const struct err *e)
{
	struct answer *a = arg;

	if (rc == 0 && obj && a->value)
		*a->value = xstrdup(obj->value ? obj->value : "");
	if (rc == 0 && obj && a->rev)
		*a->rev = obj->rev;
	answer_end(a, rc, e);
}

static void on_list_answer(void *arg, int rc, const struct store_obj *obj, int64_t rev, const struct err *e)
{
	struct answer *a = arg;

	if (rc == 0 && obj)
		a->fn(a->arg, obj);
	else
		answer_end(a, rc, e);
}

static int answer_wait(struct loop *l, struct answer *a)
{
	while (!a->done)
		loop_turn(l, loop_now(l) + SEC);
	return a->rc;
}

int store_get_wait(struct loop *l, struct store *s, enum kind k, const char *name, char **ret_value,
		   int64_t *ret_rev, struct err *e)
{
	struct answer a = { .value = ret_value, .rev = ret_rev, .e = e };

	store_get(s, k, name, on_answer, &a);
	return answer_wait(l, &a);
}

int store_write_wait(struct loop *l, struct store *s, enum kind k, const char *name, const char *value,
		     int64_t rev, bool create, int64_t *ret_rev, struct err *e)
{
	struct answer a = { .rev = ret_rev, .e = e };

	if (create)
		store_create(s, k, name, value, on_answer, &a);
	else
		store_update(s, k, name, value, rev, on_answer, &a);
	return answer_wait(l, &a);
}

int store_delete_wait(struct loop *l, struct store *s, enum kind k, const char *name, int64_t rev,
		      struct err *e)
{
	struct answer a = { .e = e };

	store_delete(s, k, name, rev, on_answer, &a);
	return answer_wait(l, &a);
}

int store_list_wait(struct loop *l, struct store *s, enum kind k,
		    void (*fn)(void *arg, const struct store_obj *obj), void *arg, struct err *e)
{
	struct answer a = { .fn = fn, .arg = arg, .e = e };

	store_list(s, k, "", on_list_answer, &a);
	return answer_wait(l, &a);
}
