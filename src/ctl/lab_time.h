/*
 * ctl/lab_time: waiting. `korat lab` is a program that does one thing after another, without a loop, so it
 * reads the clock and sleeps by itself, here.
 */
#pragma once
#include "base/clock.h"

#include <errno.h>
#include <time.h>

static inline usec_t lab_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (usec_t)ts.tv_sec * SEC + ts.tv_nsec / 1000;
}

static inline void lab_pause(usec_t span)
{
	struct timespec ts = { .tv_sec = span / SEC, .tv_nsec = span % SEC * 1000 };

	while (nanosleep(&ts, &ts) < 0 && errno == EINTR)
		;
}
