/*
 * base/rd: reading bytes that somebody else chose.
 *
 * A cursor that cannot overrun: a read past the end yields zero and makes the cursor bad for good, so a
 * decoder reads everything it wants and asks once, with rd_end() (all consumed, nothing bad) or rd_ok(). A
 * nested element gets its own bounds from rd_sub(): its parser cannot see the outer bytes.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct rd {
	const uint8_t *at, *end;
	bool bad;
};

static inline struct rd rd_of(const void *p, size_t n)
{
	return n ? (struct rd){ p, (const uint8_t *)p + n, false } : (struct rd){ p, p, false };
}

static inline size_t rd_left(const struct rd *r)
{
	return (size_t)(r->end - r->at);
}

static inline bool rd_ok(const struct rd *r)
{
	return !r->bad;
}

/* Everything was there and nothing is left over. */
static inline bool rd_end(const struct rd *r)
{
	return !r->bad && r->at == r->end;
}

/* n bytes inside the input, or NULL (and the cursor is bad). */
static inline const uint8_t *rd_bytes(struct rd *r, size_t n)
{
	if (r->bad || rd_left(r) < n) {
		r->bad = true;
		r->at = r->end;
		return NULL;
	}
	const uint8_t *p = r->at;
	r->at += n;
	return p;
}

static inline void rd_copy(struct rd *r, void *dst, size_t n)
{
	const uint8_t *p = rd_bytes(r, n);
	if (p)
		memcpy(dst, p, n);
	else
		memset(dst, 0, n);
}

static inline uint8_t rd_u8(struct rd *r)
{
	const uint8_t *p = rd_bytes(r, 1);
	return p ? p[0] : 0;
}

static inline uint16_t rd_be16(struct rd *r)
{
	const uint8_t *p = rd_bytes(r, 2);
	return p ? (uint16_t)(p[0] << 8 | p[1]) : 0;
}

static inline uint32_t rd_be32(struct rd *r)
{
	const uint8_t *p = rd_bytes(r, 4);
	return p ? (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3] : 0;
}

static inline uint64_t rd_be64(struct rd *r)
{
	uint64_t hi = rd_be32(r);
	return hi << 32 | rd_be32(r);
}

/* A cursor over the next n bytes; r is already past them. Bad (and empty) if they are not there. */
static inline struct rd rd_sub(struct rd *r, size_t n)
{
	const uint8_t *p = rd_bytes(r, n);
	if (!p)
		return (struct rd){ r->end, r->end, true };
	return rd_of(p, n);
}
