/*
 * loop/loop: the edge to libuv. The only place that reads a clock and waits.
 *
 * A turn has a fixed order: wait; read the clock once; ready descriptors; due timers; then the tasks asked
 * for with loop_soon(), until none is left. Many asks of one task are one run, so "settle" runs last and
 * once. Callbacks never block. loop_unwatch() may be called from any callback; nothing late arrives
 * afterwards.
 */
#pragma once
#include "base/clock.h"
#include "base/err.h"
#include "base/list.h"
#include "base/own.h"
#include "base/timer.h"

#include <stdbool.h>
#include <sys/types.h>

struct loop;
struct io;
struct task;

enum { LOOP_READ = 1, LOOP_WRITE = 2 };

/* A watched descriptor; embed it. events is a set of LOOP_READ/LOOP_WRITE; errors and hang-ups arrive as
 * both. */
typedef void io_fn(struct io *io, int events);
struct io {
	struct io_handle *handle; /* NULL while not watched */
	io_fn *ready;
};

typedef void task_fn(struct task *t);
struct task {
	struct list node;
	bool queued;
	task_fn *run;
};

typedef void signal_fn(void *arg, int signo);
/* status as of waitpid(2). */
typedef void child_fn(void *arg, pid_t pid, int status);

struct loop *loop_new(struct err *e);
void loop_free(struct loop *l); /* everything must be unwatched */
OWN_DEFINE(loop)

void loop_run(struct loop *l); /* until loop_stop() */
void loop_stop(struct loop *l);
/* One turn, waiting at most until deadline (loop time); false once nothing is left to wait for. */
bool loop_turn(struct loop *l, usec_t deadline);

usec_t loop_now(const struct loop *l);	/* monotonic, as read at the start of this turn */
nsec_t loop_wall(const struct loop *l); /* wall clock, as read at the start of this turn */
struct timers *loop_timers(struct loop *l);

void io_init(struct io *io, io_fn *ready);
/* Watches fd (which the caller owns and must unwatch before closing), or changes what is watched for. */
int loop_watch(struct loop *l, struct io *io, int fd, int events, struct err *e);
void loop_unwatch(struct io *io);

void task_init(struct task *t, task_fn *run);
void loop_soon(struct loop *l, struct task *t);
void task_cancel(struct task *t);

/* Signals and children are for the life of the loop. */
int loop_on_signal(struct loop *l, int signo, signal_fn *fn, void *arg, struct err *e);
int loop_on_child(struct loop *l, pid_t pid, child_fn *fn, void *arg, struct err *e);
