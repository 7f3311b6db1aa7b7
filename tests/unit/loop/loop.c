/* The turn of the loop: order, one run of many asks, nothing late for the gone. */
#include "loop/loop.h"

#include "base/check.h"

#include <signal.h>
#include <stdarg.h>
#include <setjmp.h>
#include <cmocka.h>
#include <sys/wait.h>

struct probe {
	struct loop *loop;
	struct io io, io2;
	struct timer timer;
	struct task task, again;
	int fds[2];
	char order[32];
};

static void say(struct probe *p, char c)
{
	size_t n = strlen(p->order);

	p->order[n] = c;
	p->order[n + 1] = '\0';
}

static void on_io(struct io *io, int events)
{
	struct probe *p = container_of(io, struct probe, io);
	char c;

	assert_int_equal(read(p->fds[0], &c, 1), 1);
	say(p, 'i');
	loop_soon(p->loop, &p->task);
	loop_soon(p->loop, &p->task);
}

static void on_timer(struct timer *t, usec_t now)
{
	say(container_of(t, struct probe, timer), 't');
}

static void on_task(struct task *t)
{
	struct probe *p = container_of(t, struct probe, task);

	say(p, 's');
	loop_soon(p->loop, &p->again);
}

static void on_again(struct task *t)
{
	struct probe *p = container_of(t, struct probe, again);

	say(p, 'a');
	loop_stop(p->loop);
}

static void setup(struct probe *p)
{
	struct err e;

	memset(p, 0, sizeof(*p));
	p->loop = loop_new(&e);
	assert_non_null(p->loop);
	io_init(&p->io, on_io);
	timer_init(&p->timer, on_timer);
	task_init(&p->task, on_task);
	task_init(&p->again, on_again);
	assert_int_equal(pipe(p->fds), 0);
}

static void teardown(struct probe *p)
{
	loop_unwatch(&p->io);
	timer_stop(&p->timer);
	loop_free(p->loop);
	close(p->fds[0]);
	close(p->fds[1]);
}

static void a_turn_has_its_order(void **state)
{
	struct probe p;
	struct err e;

	setup(&p);
	assert_int_equal(loop_watch(p.loop, &p.io, p.fds[0], LOOP_READ, &e), 0);
	timer_start(loop_timers(p.loop), &p.timer, loop_now(p.loop));
	assert_int_equal(write(p.fds[1], "x", 1), 1);
	loop_run(p.loop);
	assert_string_equal(p.order, "itsa");
	teardown(&p);
}

static void time_moves_between_turns(void **state)
{
	struct probe p;

	setup(&p);
	usec_t start = loop_now(p.loop);
	timer_start(loop_timers(p.loop), &p.timer, start + 20 * MSEC);
	while (!p.order[0])
		loop_turn(p.loop, loop_now(p.loop) + SEC);
	assert_true(loop_now(p.loop) >= start + 20 * MSEC);
	assert_string_equal(p.order, "t");
	teardown(&p);
}

/* Both descriptors are ready in one turn; the first callback unwatches the second. */
static void on_first_of_two(struct io *io, int events)
{
	struct probe *p = container_of(io, struct probe, io);

	say(p, '1');
	loop_unwatch(&p->io);
	loop_unwatch(&p->io2);
	loop_stop(p->loop);
}

static void on_second_of_two(struct io *io, int events)
{
	struct probe *p = container_of(io, struct probe, io2);

	say(p, '2');
	loop_unwatch(&p->io);
	loop_unwatch(&p->io2);
	loop_stop(p->loop);
}

static void nothing_late_for_the_gone(void **state)
{
	struct probe p;
	struct err e;
	int more[2];

	setup(&p);
	assert_int_equal(pipe(more), 0);
	io_init(&p.io, on_first_of_two);
	io_init(&p.io2, on_second_of_two);
	assert_int_equal(loop_watch(p.loop, &p.io, p.fds[0], LOOP_READ, &e), 0);
	assert_int_equal(loop_watch(p.loop, &p.io2, more[0], LOOP_READ, &e), 0);
	assert_int_equal(write(p.fds[1], "x", 1) + write(more[1], "x", 1), 2);
	loop_run(p.loop);
	loop_turn(p.loop, loop_now(p.loop));
	assert_int_equal(strlen(p.order), 1);
	close(more[0]);
	close(more[1]);
	teardown(&p);
}

static void on_child(void *arg, pid_t pid, int status)
{
	struct probe *p = arg;

	assert_int_equal(WEXITSTATUS(status), 7);
	say(p, 'c');
	loop_stop(p->loop);
}

static void children_are_reaped(void **state)
{
	struct probe p;
	struct err e;
	pid_t pid;

	setup(&p);
	pid = fork();
	if (pid == 0) {
		usleep(20000);
		_exit(7);
	}
	assert_int_equal(loop_on_child(p.loop, pid, on_child, &p, &e), 0);
	loop_run(p.loop);
	assert_string_equal(p.order, "c");
	teardown(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_turn_has_its_order),
		cmocka_unit_test(time_moves_between_turns),
		cmocka_unit_test(nothing_late_for_the_gone),
		cmocka_unit_test(children_are_reaped),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
