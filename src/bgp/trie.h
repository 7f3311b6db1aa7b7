/*
 * bgp/trie: a number for each of a set of prefixes, and all those that cover a given one. Both families, path
 * compressed. Pure.
 *
 * A prefix costs one node of 32 bytes and at most one more where two part; all are in one array and know each
 * other by 32-bit numbers. Looking something up visits at most one node for each bit of the prefix.
 */
#pragma once
#include "base/addr.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct trie_node;

/* Zero is an empty one. The fields are the trie's own. */
struct trie {
	struct trie_node *node; /* [0] is not used: number 0 is "none" */
	uint32_t n, cap;
	uint32_t free; /* nodes that were given back, linked by their first child */
	uint32_t root[2];
	uint32_t count;
};

void trie_done(struct trie *t); /* t is empty then */
uint32_t trie_count(const struct trie *t);
size_t trie_bytes(const struct trie *t); /* heap used */

/* True if p was not there; if it was, its value is replaced. */
bool trie_put(struct trie *t, const struct prefix *p, uint32_t value);
/* False if p was not there. */
bool trie_remove(struct trie *t, const struct prefix *p);
/* The value of exactly p; false (and *ret untouched) if it has none. */
bool trie_get(const struct trie *t, const struct prefix *p, uint32_t *ret);

/* All prefixes that cover p (p itself too) from the shortest to the longest. The trie must not change
 * meanwhile. */
struct trie_walk {
	const struct trie *t;
	uint64_t hi, lo;
	uint32_t at;
	uint8_t len;
};
struct trie_walk trie_covering(const struct trie *t, const struct prefix *p);
/* False at the end. ret_len may be NULL: the covering prefix is p cut to this length. */
bool trie_walk_next(struct trie_walk *w, uint32_t *ret_value, uint8_t *ret_len);

/* The longest prefix that covers p; false if none does. ret_len may be NULL. */
bool trie_longest(const struct trie *t, const struct prefix *p, uint32_t *ret_value, uint8_t *ret_len);
