/*
 * base/err: an error is a value on the caller's stack.
 *
 * A function that can fail returns 0 or -errno and fills the struct err it was handed. The message says what
 * was being done with which object, in one sentence; each layer adds context once with err_in(). Libraries
 * return errors; only agent/, cni/ and ctl/ log or print them.
 */
#pragma once
#include <errno.h>
#include <stdarg.h>

#define ERR_MSG_MAX 512

struct err {
	int code; /* a positive errno value; 0 means "no error" */
	char msg[ERR_MSG_MAX];
};

/* Fills e (which may be NULL) and returns -code. "%m" in fmt prints strerror(code). */
int err_set(struct err *e, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* Puts "context: " before the message and returns -e->code. */
int err_in(struct err *e, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
