/*
 * bgp/prefixes: prefixes of both families and a small number for each, found by hash: an exact match is all
 * that a RIB needs.
 *
 * An IPv4 prefix stands in its entry itself, the address of an IPv6 one in an array of its own: most tables
 * are mostly one or the other, and a route should cost what it is. The entry's flags and value are the
 * user's: they stand here because what is found is looked at next.
 *
 * Invariant: numbers are dense and stay the same until prefixes_del(); then they are used again.
 */
#pragma once
#include "base/addr.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PREFIXES_NONE  UINT32_MAX
#define PREFIXES_MAX   0xfffffeu /* a number has to fit beside eight bits of its hash */
#define PREFIXES_AHEAD 8	 /* so far ahead of its turn a place is worth fetching */

struct prefix_entry {
	uint8_t key[4]; /* an IPv4 address; of IPv6: where it is in prefixes.wide */
	uint8_t family6, len, used;
	uint8_t flags;	/* the user's; 0 at first */
	uint32_t value; /* the user's; PREFIXES_NONE at first. Of a free entry: the next free one */
};

struct prefixes {
	uint64_t seed;
	struct prefix_entry *entry; /* by number */
	uint32_t n, cap, free, used;
	uint32_t *slots; /* tag << 24 | number + 1, 0 = empty; open addressing */
	uint32_t nslots; /* a power of two */
	struct prefix_wide *wide;
	uint32_t nwide, wide_cap, free_wide;
};

void prefixes_init(struct prefixes *t, uint64_t seed); /* seed: of the hash, unknown to peers */
void prefixes_done(struct prefixes *t);
/* The number of p, or PREFIXES_NONE. */
uint32_t prefixes_find(const struct prefixes *t, const struct prefix *p);
/* p must not be there, and fewer than PREFIXES_MAX prefixes. */
uint32_t prefixes_add(struct prefixes *t, const struct prefix *p);
void prefixes_del(struct prefixes *t, uint32_t i);
struct prefix prefixes_get(const struct prefixes *t, uint32_t i);
bool prefixes_used(const struct prefixes *t, uint32_t i); /* for walks from 0 to t->n - 1 */
/* It will be looked for, or deleted, soon: its place is fetched while other work is done. */
void prefixes_prefetch(const struct prefixes *t, const struct prefix *p);
void prefixes_prefetch_at(const struct prefixes *t, uint32_t i);
size_t prefixes_bytes(const struct prefixes *t);
