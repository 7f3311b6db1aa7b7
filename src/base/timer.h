/*
 * base/timer: a heap of timers. Embed a struct timer in what it belongs to; arming cannot fail.
 *
 * The owner calls timers_next() to learn when to wake up and timers_run() with the time it read; the heap
 * never reads a clock. Invariant: an unarmed timer is in no heap, and timer_stop() may be called on it at any
 * time.
 */
#pragma once
#include "base/clock.h"

#include <stdbool.h>

struct timer;
struct timers;
typedef void timer_fn(struct timer *t, usec_t now);

struct timer {
	struct timers *heap; /* NULL while unarmed */
	usec_t at;
	uint64_t order; /* equal times fire in the order of arming, so that a simulation replays exactly */
	size_t index;
	timer_fn *fire;
};

struct timers {
	struct timer **v;
	size_t n, cap;
	uint64_t order;
};

#define USEC_NEVER INT64_MAX

void timers_init(struct timers *h);
void timers_done(struct timers *h); /* stops all */
/* When the first timer is due, or USEC_NEVER. */
usec_t timers_next(const struct timers *h);
/* Fires every timer due at or before now, in order; those armed meanwhile for <= now fire too. */
void timers_run(struct timers *h, usec_t now);

void timer_init(struct timer *t, timer_fn *fire);
void timer_start(struct timers *h, struct timer *t, usec_t at); /* (re)arms */
void timer_stop(struct timer *t);
static inline bool timer_armed(const struct timer *t)
{
	return t->heap;
}
