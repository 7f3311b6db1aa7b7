/*
 * The turn of the loop, on libuv: uv_prepare arms one uv_timer for the head of our timer heap, uv_check runs
 * after the descriptors and carries out the tasks. libuv frees handles late, so each watched descriptor has a
 * small handle of its own on the heap that forgets its struct io when unwatched: nothing late for the gone.
 */
#include "loop/loop.h"

#include "base/check.h"

#include <signal.h>
#include <sys/wait.h>
#include <time.h>
#include <uv.h>

#define SIGNALS_MAX 8

struct io_handle {
	uv_poll_t poll;
	struct loop *loop;
	struct io *io; /* NULL once unwatched */
	int events;    /* UV_READABLE | UV_WRITABLE */
};

struct watch_signal {
	uv_signal_t uv;
	signal_fn *fn;
	void *arg;
};

struct watch_child {
	struct list node;
	pid_t pid;
	child_fn *fn;
	void *arg;
};

struct loop {
	uv_loop_t uv;
	uv_timer_t wake;
	uv_prepare_t prepare;
	uv_check_t check;
	struct timers timers;
	struct list tasks;
	struct list children;
	struct watch_signal *signals[SIGNALS_MAX];
	size_t nsignals;
	bool child_signal;
	bool waited; /* the clock has not been read since the last wait */
	usec_t now;
	nsec_t wall;
};

/* Once per turn: by the first callback after the wait. */
static void read_clock(struct loop *l)
{
	struct timespec ts;

	if (!l->waited)
		return;
	l->waited = false;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	l->now = (usec_t)ts.tv_sec * SEC + ts.tv_nsec / 1000;
	clock_gettime(CLOCK_REALTIME, &ts);
	l->wall = (nsec_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

static bool run_tasks(struct loop *l)
{
	bool any = !list_empty(&l->tasks);

	while (!list_empty(&l->tasks)) {
		struct task *t = list_entry(l->tasks.next, struct task, node);
		task_cancel(t);
		t->run(t);
	}
	return any;
}

static void on_wake(uv_timer_t *t)
{
	/* The timers themselves run in on_check, so that a turn has one place for each thing. */
}

/* Before waiting: sleep until the first timer, not at all if a task ran: it may be what the caller of the
 * turn is for. */
static void on_prepare(uv_prepare_t *p)
{
	struct loop *l = p->data;

	bool ran = run_tasks(l);
	usec_t next = ran ? 0 : timers_next(&l->timers);
	l->waited = true;
	if (next == USEC_NEVER) {
		uv_timer_stop(&l->wake);
		return;
	}
	read_clock(l);
	l->waited = true;
	usec_t wait = next <= l->now ? 0 : (next - l->now + MSEC - 1) / MSEC;
	uv_update_time(&l->uv);
	uv_timer_start(&l->wake, on_wake, (uint64_t)wait, 0);
}

static void on_check(uv_check_t *c)
{
	struct loop *l = c->data;

	read_clock(l);
	timers_run(&l->timers, l->now);
	run_tasks(l);
}

struct loop *loop_new(struct err *e)
{
	struct loop *l = xcalloc(1, sizeof(*l));
	int r = uv_loop_init(&l->uv);

	if (r < 0) {
		err_set(e, -r, "start the event loop: %s", uv_strerror(r));
		free(l);
		return NULL;
	}
	timers_init(&l->timers);
	list_init(&l->tasks);
	list_init(&l->children);
	uv_timer_init(&l->uv, &l->wake);
	uv_prepare_init(&l->uv, &l->prepare);
	uv_check_init(&l->uv, &l->check);
	l->prepare.data = l->check.data = l;
	uv_prepare_start(&l->prepare, on_prepare);
	uv_check_start(&l->check, on_check);
	l->waited = true;
	read_clock(l);
	return l;
}

static void free_signal(uv_handle_t *h)
{
	free(h->data);
}

void loop_free(struct loop *l)
{
	if (!l)
		return;
	for (size_t i = 0; i < l->nsignals; i++)
		uv_close((uv_handle_t *)&l->signals[i]->uv, free_signal);
	uv_close((uv_handle_t *)&l->wake, NULL);
	uv_close((uv_handle_t *)&l->prepare, NULL);
	uv_close((uv_handle_t *)&l->check, NULL);
	while (uv_run(&l->uv, UV_RUN_DEFAULT) != 0)
		;
	struct watch_child *c, *tmp;
	list_each_safe (c, tmp, &l->children, node)
		free(c);
	CHECK(uv_loop_close(&l->uv) == 0);
	timers_done(&l->timers);
	free(l);
}

void loop_run(struct loop *l)
{
	uv_run(&l->uv, UV_RUN_DEFAULT);
}

void loop_stop(struct loop *l)
{
	uv_stop(&l->uv);
}

static void on_deadline(struct timer *t, usec_t now)
{
	/* Its only work is to have woken the loop. */
}

bool loop_turn(struct loop *l, usec_t deadline)
{
	struct timer t;

	timer_init(&t, on_deadline);
	timer_start(&l->timers, &t, deadline);
	bool more = uv_run(&l->uv, UV_RUN_ONCE) != 0;
	timer_stop(&t);
	return more;
}

usec_t loop_now(const struct loop *l)
{
	return l->now;
}

nsec_t loop_wall(const struct loop *l)
{
	return l->wall;
}

struct timers *loop_timers(struct loop *l)
{
	return &l->timers;
}

void io_init(struct io *io, io_fn *ready)
{
	*io = (struct io){ .ready = ready };
}

static void on_poll(uv_poll_t *p, int status, int events)
{
	struct io_handle *h = p->data;
	int ev = (events & UV_READABLE ? LOOP_READ : 0) | (events & UV_WRITABLE ? LOOP_WRITE : 0);

	if (!h->io)
		return;
	read_clock(h->loop);
	h->io->ready(h->io, status < 0 ? LOOP_READ | LOOP_WRITE : ev);
	/* libuv stops watching a descriptor that reported an error; its owner decides that here, by
	 * unwatching. */
	if (status < 0 && h->io)
		uv_poll_start(p, h->events, on_poll);
}

static void free_handle(uv_handle_t *h)
{
	free(h->data);
}

int loop_watch(struct loop *l, struct io *io, int fd, int events, struct err *e)
{
	int ev = (events & LOOP_READ ? UV_READABLE : 0) | (events & LOOP_WRITE ? UV_WRITABLE : 0);
	int r = 0;

	if (!io->handle) {
		struct io_handle *h = xcalloc(1, sizeof(*h));
		r = uv_poll_init(&l->uv, &h->poll, fd);
		if (r < 0) {
			free(h);
			return err_set(e, -r, "watch descriptor %d: %s", fd, uv_strerror(r));
		}
		h->poll.data = h;
		h->io = io;
		h->loop = l;
		io->handle = h;
	}
	io->handle->events = ev;
	r = uv_poll_start(&io->handle->poll, ev, on_poll);
	if (r < 0)
		return err_set(e, -r, "watch descriptor %d: %s", fd, uv_strerror(r));
	return 0;
}

void loop_unwatch(struct io *io)
{
	struct io_handle *h = io->handle;

	if (!h)
		return;
	io->handle = NULL;
	h->io = NULL;
	uv_poll_stop(&h->poll);
	uv_close((uv_handle_t *)&h->poll, free_handle);
}

void task_init(struct task *t, task_fn *run)
{
	list_init(&t->node);
	t->queued = false;
	t->run = run;
}

void loop_soon(struct loop *l, struct task *t)
{
	if (t->queued)
		return;
	t->queued = true;
	list_add_tail(&l->tasks, &t->node);
}

void task_cancel(struct task *t)
{
	if (!t->queued)
		return;
	t->queued = false;
	list_del(&t->node);
}

static void on_signal(uv_signal_t *s, int signo)
{
	struct watch_signal *w = s->data;

	w->fn(w->arg, signo);
}

int loop_on_signal(struct loop *l, int signo, signal_fn *fn, void *arg, struct err *e)
{
	CHECK(l->nsignals < SIGNALS_MAX);
	struct watch_signal *w = xcalloc(1, sizeof(*w));
	w->fn = fn;
	w->arg = arg;
	uv_signal_init(&l->uv, &w->uv);
	w->uv.data = w;
	int r = uv_signal_start(&w->uv, on_signal, signo);
	l->signals[l->nsignals++] = w;
	return r < 0 ? err_set(e, -r, "watch signal %d: %s", signo, uv_strerror(r)) : 0;
}

static void on_child_signal(void *arg, int signo)
{
	struct loop *l = arg;
	struct watch_child *c, *tmp;
	int status;

	list_each_safe (c, tmp, &l->children, node) {
		if (waitpid(c->pid, &status, WNOHANG) != c->pid)
			continue;
		list_del(&c->node);
		c->fn(c->arg, c->pid, status);
		free(c);
	}
}

int loop_on_child(struct loop *l, pid_t pid, child_fn *fn, void *arg, struct err *e)
{
	struct watch_child *c = xcalloc(1, sizeof(*c));

	*c = (struct watch_child){ .pid = pid, .fn = fn, .arg = arg };
	list_add_tail(&l->children, &c->node);
	if (l->child_signal)
		return 0;
	l->child_signal = true;
	return loop_on_signal(l, SIGCHLD, on_child_signal, l, e);
}
