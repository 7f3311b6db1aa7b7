/*
 * ctl/release: gives claimed blocks back when the pool or the node that they belong to is deleted. It is
 * ipam's own protocol, one compare-and-swap after another, so it is safe beside agents at work; a block with
 * addresses in use stays where it is.
 */
#pragma once
#include "base/addr.h"
#include "base/err.h"

#include <stdint.h>

struct loop;
struct store;

struct release_left {
	uint32_t blocks; /* that are in use */
	uint64_t addresses;
};

/* How much of the pool is in use; changes nothing. */
int release_look(struct loop *l, struct store *s, const struct prefix *pool, struct release_left *ret,
		 struct err *e);
/* Gives back every block of the pool that is not in use; *ret is what is left. */
int release_pool(struct loop *l, struct store *s, const struct prefix *pool, struct release_left *ret,
		 struct err *e);
/* The same for the blocks of a node. */
int release_node(struct loop *l, struct store *s, const char *node, struct release_left *ret, struct err *e);
