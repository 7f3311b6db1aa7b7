/* What the codec's tests share: bytes from hex, and UPDATEs built by hand. */
#pragma once
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/check.h"
#include "bgp/caps.h"
#include "bgp/msg.h"
#include "bgp/update.h"

#include <errno.h>
#include <stdio.h>

struct bytes {
	uint8_t b[70000];
	size_t n;
};

static inline void bytes_add(struct bytes *out, const void *p, size_t n)
{
	assert_true(out->n + n <= sizeof(out->b));
	memcpy(out->b + out->n, p, n);
	out->n += n;
}

/* Adds hex digits; spaces are skipped. */
static inline void bytes_hex(struct bytes *out, const char *hex)
{
	for (unsigned v; *hex; hex += 2) {
		while (*hex == ' ')
			hex++;
		if (!*hex)
			break;
		assert_int_equal(sscanf(hex, "%2x", &v), 1);
		bytes_add(out, &(uint8_t){ (uint8_t)v }, 1);
	}
}

static inline struct rd bytes_rd(const struct bytes *b)
{
	return rd_of(b->b, b->n);
}

/* The body of an UPDATE from its three parts in hex. */
static inline void body_hex(struct bytes *out, const char *withdrawn, const char *attrs, const char *nlri)
{
	static struct bytes w, a;
	uint8_t len[2];

	w.n = a.n = out->n = 0;
	bytes_hex(&w, withdrawn);
	bytes_hex(&a, attrs);
	len[0] = (uint8_t)(w.n >> 8);
	len[1] = (uint8_t)w.n;
	bytes_add(out, len, 2);
	bytes_add(out, w.b, w.n);
	len[0] = (uint8_t)(a.n >> 8);
	len[1] = (uint8_t)a.n;
	bytes_add(out, len, 2);
	bytes_add(out, a.b, a.n);
	bytes_hex(out, nlri);
}

static const struct codec kit_ibgp = { .as4 = true, .families = CAPS_V4 | CAPS_V6, .max = MSG_MAX };
static const struct codec kit_ebgp = {
	.ebgp = true, .as4 = true, .families = CAPS_V4 | CAPS_V6, .max = MSG_MAX
};
static const struct codec kit_old = { .ebgp = true, .families = CAPS_V4 | CAPS_V6, .max = MSG_MAX };

/* ORIGIN igp, AS_PATH 65001, NEXT_HOP 10.0.0.1 */
#define KIT_ORIGIN  "400101 00"
#define KIT_PATH    "400206 0201 0000fde9"
#define KIT_NEXTHOP "400304 0a000001"
#define KIT_BASE    KIT_ORIGIN KIT_PATH KIT_NEXTHOP
#define KIT_NLRI    "1a0a087040" /* 10.8.112.64/26 */
/* 2001:db8:1::/48 by next hop fd00::1 */
#define KIT_REACH6 "800e1c 000201 10 fd000000000000000000000000000001 00 30 20010db80001"
