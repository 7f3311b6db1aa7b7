/*
 * base/wr: writing bytes into a buffer of fixed size.
 *
 * No call reports an error; a write that does not fit makes the writer bad for good, and the caller asks once
 * with wr_ok(). wr_open8/16() leave a hole for a length, wr_close8/16() fill it (too long makes w bad).
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct wr {
	uint8_t *buf;
	size_t len, cap;
	bool bad;
};

static inline struct wr wr_to(void *buf, size_t cap)
{
	return (struct wr){ buf, 0, cap, false };
}

static inline bool wr_ok(const struct wr *w)
{
	return !w->bad;
}

static inline uint8_t *wr_room(struct wr *w, size_t n)
{
	if (w->bad || w->cap - w->len < n) {
		w->bad = true;
		return NULL;
	}
	uint8_t *p = w->buf + w->len;
	w->len += n;
	return p;
}

static inline void wr_bytes(struct wr *w, const void *p, size_t n)
{
	uint8_t *at = wr_room(w, n);
	if (at && n)
		memcpy(at, p, n);
}

static inline void wr_u8(struct wr *w, uint8_t v)
{
	wr_bytes(w, &v, 1);
}

static inline void wr_be16(struct wr *w, uint16_t v)
{
	uint8_t b[2] = { (uint8_t)(v >> 8), (uint8_t)v };
	wr_bytes(w, b, 2);
}

static inline void wr_be32(struct wr *w, uint32_t v)
{
	uint8_t b[4] = { (uint8_t)(v >> 24), (uint8_t)(v >> 16), (uint8_t)(v >> 8), (uint8_t)v };
	wr_bytes(w, b, 4);
}

static inline void wr_be64(struct wr *w, uint64_t v)
{
	wr_be32(w, (uint32_t)(v >> 32));
	wr_be32(w, (uint32_t)v);
}

/* Leave a hole of 1 or 2 bytes for the length of what follows; returns where the hole is. */
static inline size_t wr_open8(struct wr *w)
{
	size_t hole = w->len;
	wr_u8(w, 0);
	return hole;
}

static inline size_t wr_open16(struct wr *w)
{
	size_t hole = w->len;
	wr_be16(w, 0);
	return hole;
}

static inline void wr_close8(struct wr *w, size_t hole)
{
	if (w->bad)
		return;
	size_t n = w->len - hole - 1;
	if (n > UINT8_MAX)
		w->bad = true;
	else
		w->buf[hole] = (uint8_t)n;
}

static inline void wr_close16(struct wr *w, size_t hole)
{
	if (w->bad)
		return;
	size_t n = w->len - hole - 2;
	if (n > UINT16_MAX) {
		w->bad = true;
		return;
	}
	w->buf[hole] = (uint8_t)(n >> 8);
	w->buf[hole + 1] = (uint8_t)n;
}
