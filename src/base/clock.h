/*
 * base/clock: units of time. Nothing here reads a clock: time is passed in, once per turn of the loop.
 * usec_t counts microseconds of a monotonic clock whose zero has no meaning; nsec_t counts nanoseconds since
 * 1970-01-01 UTC and appears only in what we store and show.
 */
#pragma once
#include <stddef.h>
#include <stdint.h>

typedef int64_t usec_t;
typedef int64_t nsec_t;

#define MSEC ((usec_t)1000)
#define SEC  ((usec_t)1000000)

/* "2026-08-22T10:00:00Z" (RFC 3339, whole seconds, UTC), as Kubernetes writes creationTimestamp. */
#define CLOCK_RFC3339_MAX 32
char *clock_format_rfc3339(nsec_t wall, char buf[static CLOCK_RFC3339_MAX]);
/* "2026-08-22 10:00:00.12 +0000 UTC": Go's default print of a UTC time, trailing zeros cut, as Calico stores
 * it. */
#define CLOCK_GO_MAX 48
char *clock_format_go(nsec_t wall, char buf[static CLOCK_GO_MAX]);
/* Reads RFC 3339 with or without fraction and zone; returns 0 and sets *ret, or -EINVAL. */
int clock_parse_rfc3339(const char *s, nsec_t *ret);
/* "3s", "4m12s", "2h05m", "3d04h": how long ago or how long until, for people. */
#define CLOCK_SPAN_MAX 24
char *clock_format_span(usec_t span, char buf[static CLOCK_SPAN_MAX]);
