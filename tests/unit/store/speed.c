/* How fast the SQLite datastore is here: writes alone and in groups, and how soon another process sees one.
 */
#include "util.h"

#include <inttypes.h>
#include <stdio.h>
#include <sys/wait.h>

#define NODE KIND_NODE

enum { SINGLE = 1000, GROUPS = 100, GROUP = 50, SEEN = 500, WARM = 20 };

static void single(struct env *t)
{
	struct got g = { 0 };
	char name[16];
	usec_t start = clock_now();

	for (int i = 0; i < SINGLE; i++) {
		snprintf(name, sizeof(name), "s%d", i);
		create(t, t->s, NODE, name, "{\"spec\":{}}", &g);
		assert_int_equal(g.rc, 0);
	}
	got_done(&g);
	printf("one by one      %8.0f writes/s\n", SINGLE * 1e6 / (double)(clock_now() - start));
}

static void grouped(struct env *t)
{
	struct got g[GROUP] = { 0 };
	char name[16];
	usec_t start = clock_now();

	for (int i = 0; i < GROUPS; i++) {
		for (int k = 0; k < GROUP; k++) {
			snprintf(name, sizeof(name), "g%d-%d", i, k);
			store_create(t->s, NODE, name, "{\"spec\":{}}", on_got, &g[k]);
		}
		await(t, &g[GROUP - 1]);
		for (int k = 0; k < GROUP; k++)
			got_done(&g[k]);
	}
	printf("groups of %d    %8.0f writes/s\n", GROUP,
	       GROUPS * GROUP * 1e6 / (double)(clock_now() - start));
}

struct onlooker {
	usec_t took[SEEN];
	int n, fd;
};

static void on_event(void *arg, enum store_event ev, const struct store_obj *obj, const struct err *e)
{
	struct onlooker *o = arg;

	if (ev == STORE_PUT && o->n < SEEN)
		o->took[o->n++] = clock_now() - strtoll(obj->value, NULL, 10);
	if ((ev == STORE_SYNCED || ev == STORE_PUT) && write(o->fd, "x", 1) != 1)
		_exit(1);
}

static int by_size(const void *a, const void *b)
{
	const usec_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static void look_on(struct env *t, int fd)
{
	struct onlooker o = { .fd = fd };

	t->l = loop_new(NULL);
	env_open(t);
	store_follow(t->s, 1u << KIND_IPPOOL, on_event, &o);
	while (o.n < SEEN)
		loop_turn(t->l, loop_now(t->l) + SEC);
	qsort(o.took + WARM, SEEN - WARM, sizeof(o.took[0]), by_size);
	printf("write seen by another process: median %" PRId64 " us, p99 %" PRId64 " us, longest %" PRId64
	       " us\n",
	       o.took[WARM + (SEEN - WARM) / 2], o.took[WARM + (SEEN - WARM) * 99 / 100], o.took[SEEN - 1]);
	fflush(stdout);
	_exit(0);
}

/* From the request in one process to the event in the other; the commit and its fsync are part of it. */
static void seen_elsewhere(struct env *t)
{
	struct got g = { 0 };
	char name[16], value[32], c;
	int fd[2];

	assert_int_equal(pipe(fd), 0);
	fflush(stdout);
	pid_t pid = fork();
	if (pid == 0)
		look_on(t, fd[1]);
	env_open(t);
	assert_int_equal(read(fd[0], &c, 1), 1);
	usec_t own = 0;
	for (int i = 0; i < SEEN; i++) {
		snprintf(name, sizeof(name), "l%d", i);
		usec_t start = clock_now();
		snprintf(value, sizeof(value), "%" PRId64, start);
		create(t, t->s, KIND_IPPOOL, name, value, &g);
		own += clock_now() - start;
		assert_int_equal(read(fd[0], &c, 1), 1);
	}
	waitpid(pid, NULL, 0);
	printf("the write itself: %" PRId64 " us on average\n", own / SEEN);
	got_done(&g);
}

int main(void)
{
	struct env t;

	env_init(&t);
	env_open(&t);
	single(&t);
	grouped(&t);
	env_close(&t);
	seen_elsewhere(&t);
	env_done(&t);
	return 0;
}
