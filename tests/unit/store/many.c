/* Many processes on one file: nothing is lost, nothing goes backwards, and kill -9 at any moment takes
 * nothing back. */
#include "util.h"

#include "base/prng.h"

#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>

#define NODE KIND_NODE

enum { WRITERS = 4, COUNTERS = 3, ROUNDS = 150, KILLS = 50, MAKERS = 8 };

/* In a child a failed check ends the process: it must not return into the runner of the parent. */
#define must(cond)                                                                 \
	do {                                                                       \
		if (!(cond)) {                                                     \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #cond); \
			_exit(1);                                                  \
		}                                                                  \
	} while (0)

static int setup(void **state)
{
	struct env *t = xcalloc(1, sizeof(*t));

	env_init(t);
	*state = t;
	return 0;
}

static int teardown(void **state)
{
	env_done(*state);
	free(*state);
	return 0;
}

/* A loop and a store of the child's own. */
static void child_open(struct env *t)
{
	struct err e;

	t->l = loop_new(&e);
	must(t->l);
	t->b = korat_store_ops.open(t->l, t->path, true, &e);
	if (!t->b) {
		fprintf(stderr, "%s\n", e.msg);
		_exit(1);
	}
	t->s = store_over(t->l, loop_timers(t->l), &korat_store_ops, t->b, (uint64_t)getpid());
}

static void expect_exit(pid_t pid)
{
	int status;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

/* ---- counters ---- */

static void increment(struct env *t, const char *name)
{
	char value[24];

	for (;;) {
		char *old = NULL;
		struct err e;
		int64_t rev = 0;
		int rc = store_get_wait(t->l, t->s, NODE, name, &old, &rev, &e);
		must(rc == 0 || rc == STORE_NOT_FOUND);
		snprintf(value, sizeof(value), "%ld", (old ? strtol(old, NULL, 10) : 0) + 1);
		free(old);
		rc = store_write_wait(t->l, t->s, NODE, name, value, rev, rc == STORE_NOT_FOUND, NULL, &e);
		if (rc == 0)
			return;
		if (rc != STORE_STALE && rc != STORE_EXISTS)
			fprintf(stderr, "%s\n", e.msg);
		must(rc == STORE_STALE || rc == STORE_EXISTS);
	}
}

static void count_up(struct env *t, int seed)
{
	struct prng p = { (uint64_t)seed };
	char name[16];

	child_open(t);
	for (int i = 0; i < ROUNDS; i++) {
		snprintf(name, sizeof(name), "counter%d", (int)prng_below(&p, COUNTERS));
		increment(t, name);
	}
	store_free(t->s);
	_exit(0);
}

struct onlooker {
	int64_t rev;
	long value[COUNTERS];
	long sum;
	bool synced;
};

static void on_count(void *arg, enum store_event ev, const struct store_obj *obj, const struct err *e)
{
	struct onlooker *o = arg;

	must(ev != STORE_LOST && ev != STORE_DEL);
	if (ev == STORE_RESYNC)
		o->synced = false;
	if (ev == STORE_SYNCED)
		o->synced = true;
	if (ev != STORE_PUT)
		return;
	long value = strtol(obj->value, NULL, 10);
	long *have = &o->value[obj->name[strlen("counter")] - '0'];
	must(value >= *have);
	must(!o->synced || obj->rev > o->rev);
	o->rev = MAX(o->rev, obj->rev);
	o->sum += value - *have;
	*have = value;
}

static void look_on(struct env *t)
{
	struct onlooker o = { 0 };
	usec_t end = clock_now() + 60 * SEC;

	child_open(t);
	struct store_follow *f = store_follow(t->s, 1u << NODE, on_count, &o);
	while (o.sum < (long)WRITERS * ROUNDS && clock_now() < end)
		loop_turn(t->l, loop_now(t->l) + 100 * MSEC);
	must(o.sum == (long)WRITERS * ROUNDS);
	must(store_follow_drift(f) == 0);
	store_follow_free(f);
	store_free(t->s);
	_exit(0);
}

static void no_update_is_lost(void **state)
{
	struct env *t = *state;
	pid_t pid[WRITERS + 1];
	struct rec r = { 0 };
	long sum = 0;

	for (int i = 0; i <= WRITERS; i++) {
		pid[i] = fork();
		if (pid[i] == 0) {
			if (i == WRITERS)
				look_on(t);
			count_up(t, i);
		}
	}
	for (int i = 0; i <= WRITERS; i++)
		expect_exit(pid[i]);
	env_open(t);
	list(t, t->s, NODE, "", &r);
	for (size_t i = 0; i < r.n; i++)
		sum += strtol(r.v[i].value, NULL, 10);
	assert_int_equal(sum, WRITERS * ROUNDS);
	assert_int_equal(r.rev, WRITERS * ROUNDS); /* each success was one revision */
	rec_done(&r);
}

/* ---- kill -9 ---- */

struct writer {
	struct env *t;
	int round, fd;
	uint32_t asked;
};

static void on_written(void *arg, int rc, const struct store_obj *obj, const struct err *e);

static void ask(struct writer *w)
{
	char name[32];

	snprintf(name, sizeof(name), "w%d-%u", w->round, w->asked++);
	store_create(w->t->s, NODE, name, "{}", on_written, w);
}

/* Reports the number of each acknowledged object; the pipe outlives the process. */
static void on_written(void *arg, int rc, const struct store_obj *obj, const struct err *e)
{
	struct writer *w = arg;
	uint32_t n = (uint32_t)strtoul(strchr(obj->name, '-') + 1, NULL, 10);

	must(rc == 0);
	must(write(w->fd, &n, sizeof(n)) == sizeof(n));
	ask(w);
}

static void write_until_killed(struct env *t, int round, int fd)
{
	struct writer w = { t, round, fd, 0 };

	child_open(t);
	for (int i = 0; i < 1 + round % 8; i++)
		ask(&w);
	loop_run(t->l);
}

static void killed_writers(void **state)
{
	struct env *t = *state;
	struct prng p = { 42 };
	struct got g = { 0 };
	size_t total = 0;

	for (int round = 0; round < KILLS; round++) {
		int fd[2];
		uint32_t n;
		char name[32];
		if (round % 2)
			env_open(t); /* the file is in use all the time, or is recovered by the next */
		assert_int_equal(pipe(fd), 0);
		pid_t pid = fork();
		if (pid == 0)
			write_until_killed(t, round, fd[1]);
		close(fd[1]);
		usleep((useconds_t)prng_below(&p, 30000));
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
		if (!t->s)
			env_open(t);
		while (read(fd[0], &n, sizeof(n)) == sizeof(n)) {
			snprintf(name, sizeof(name), "w%d-%u", round, n);
			get(t, t->s, NODE, name, &g);
			assert_int_equal(g.rc, 0);
			total++;
		}
		close(fd[0]);
		env_close(t);
	}
	assert_true(total > KILLS);
	got_done(&g);
}

/* ---- making the file ---- */

static void make_one(struct env *t, int i, int gate)
{
	char c, name[16];
	struct err e;

	must(read(gate, &c, 1) == 0); /* all at once, when the parent closes its end */
	child_open(t);
	snprintf(name, sizeof(name), "m%d", i);
	must(store_write_wait(t->l, t->s, NODE, name, "{}", 0, true, NULL, &e) == 0);
	store_free(t->s);
	_exit(0);
}

static void made_by_many(void **state)
{
	struct env *t = *state;
	struct rec r = { 0 };
	pid_t pid[MAKERS];
	int gate[2];

	assert_int_equal(pipe(gate), 0);
	for (int i = 0; i < MAKERS; i++) {
		pid[i] = fork();
		if (pid[i] == 0) {
			close(gate[1]);
			make_one(t, i, gate[0]);
		}
	}
	close(gate[0]);
	close(gate[1]);
	for (int i = 0; i < MAKERS; i++)
		expect_exit(pid[i]);
	env_open(t);
	list(t, t->s, NODE, "", &r);
	assert_int_equal(r.n, MAKERS);
	rec_done(&r);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(no_update_is_lost),
		CASE(killed_writers),
		CASE(made_by_many),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
