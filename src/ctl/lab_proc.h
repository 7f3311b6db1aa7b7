/*
 * ctl/lab_proc: processes that a lab started, known by pid and start time, so that a pid which the kernel has
 * given to somebody else in the meantime is never taken for ours.
 */
#pragma once
#include "base/clock.h"
#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct lab_proc {
	pid_t pid;	/* 0 = none */
	uint64_t start; /* clock ticks since boot, as /proc/PID/stat has it */
};

/* Fills *ret for a process that lives now; -ESRCH otherwise (a zombie does not live). */
int lab_proc_of(pid_t pid, struct lab_proc *ret);
bool lab_proc_lives(const struct lab_proc *p);
/* Sends signo, if it still is that process. */
void lab_proc_signal(const struct lab_proc *p, int signo);
/* Sends signo to pid if its network namespace is nsfd's. */
void lab_proc_signal_in(pid_t pid, int nsfd, int signo);
/* SIGTERM, then SIGKILL after grace; returns when all are gone (or cannot be killed: then -EBUSY). */
int lab_proc_end(const struct lab_proc *v, size_t n, usec_t grace, struct err *e);
