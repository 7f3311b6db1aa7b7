/*
 * bgp/as_path: AS paths on the wire: segments of a type, a count and AS numbers of 2 or 4 bytes (width).
 *
 * Reading is by value on cursors: a function that looks at a path gets a cursor of its own. A canonical path
 * (attr_set) has 4-byte numbers and has passed as_path_check(). RFC 4271, 5065, 6793.
 */
#pragma once
#include "base/rd.h"
#include "base/str.h"
#include "base/wr.h"

#include <stdbool.h>
#include <stdint.h>

/* NULL, or what is malformed. */
const char *as_path_check(struct rd r, unsigned width, bool confed_allowed);
/* The length that best path compares (RFC 4271 9.1.2.2, RFC 5065): a set is one hop, a confederation segment
 * none. */
unsigned as_path_hops(struct rd r, unsigned width);
uint32_t as_path_asn(struct rd *r, unsigned width); /* one number */

/* Questions to a canonical path. */
uint32_t as_path_first(struct rd r); /* confederation segments apart; 0: none, or it begins with a set */
unsigned as_path_count(struct rd r, uint32_t asn);
bool as_path_begins(struct rd r, const uint32_t *asns, size_t n);
void as_path_print(struct rd r, struct str *out);

/* Writes a path with 4-byte numbers. Segments stay as they came; only where two paths are put together do the
 * sequences that meet become one. Start with the writer and zeros. */
struct as_path_out {
	struct wr *w;
	size_t count_at; /* where the last segment's count is */
	unsigned n;	 /* numbers in it; 0 = no segment yet */
	bool joins;	 /* the next segment may become part of the last one */
};
/* Numbers in front, one by one, as sequences. */
void as_path_prepend(struct as_path_out *p, uint32_t asn);
/* The path behind those; confed: with its confederation segments. */
void as_path_append(struct as_path_out *p, struct rd r, unsigned width, bool confed);

/* RFC 6793 4.2.3: the path of a peer with 2-byte numbers, completed from its AS4_PATH if that is not longer.
 */
void as_path_merge(struct rd path, struct rd path4, struct wr *w);

/* What a canonical path looks like to a peer with 2-byte numbers. */
struct as_path_as2 {
	size_t len;  /* of AS_PATH */
	size_t len4; /* of AS4_PATH; 0 = not needed */
};
struct as_path_as2 as_path_as2(struct rd r);
uint16_t as_path_asn_as2(uint32_t asn);
void as_path_put_as2(struct rd r, struct wr *w); /* the value of AS_PATH */
void as_path_put_as4(struct rd r, struct wr *w); /* the value of AS4_PATH */
