/*
 * kern/inside: running one function inside another network namespace. Internal to kern/.
 *
 * A thread enters the namespace, runs the function and ends before inside_run() returns; the caller's own
 * threads never change theirs. All signals are blocked in it, so that handlers keep running where they
 * belong.
 */
#pragma once
#include "base/err.h"

/* 0 or -errno, which inside_run() returns in turn. */
typedef int inside_fn(void *arg, struct err *e);
/* nsfd -1: fn runs without entering anything (and may unshare its thread). needs: CAP_SYS_ADMIN. */
int inside_run(int nsfd, inside_fn *fn, void *arg, struct err *e);
