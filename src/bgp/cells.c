#include "bgp/cells.h"

#include "base/check.h"

#include <stdbool.h>

/* What is free must not be touched, although it is in the middle of an allocation. */
#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(p, n)	  ((void)(p), (void)(n))
#define ASAN_UNPOISON_MEMORY_REGION(p, n) ((void)(p), (void)(n))
#endif

enum {
	UNIT = 8,		      /* cells are multiples of this */
	UNIT_BITS = 11,		      /* a cell's number: its chunk, and in it the unit where it begins */
	CHUNK_UNITS = 1 << UNIT_BITS, /* 16 KiB */
	CHUNKS_MAX = 1 << (32 - UNIT_BITS),
	CLASSES = CELLS_SMALL / UNIT, /* by size in units, less one */
};

#define NO_UNIT	 UINT16_MAX
#define NO_CHUNK 0 /* the number 0 is not given to a chunk, so no cell is 0 */

struct chunk {
	uint8_t *mem;	     /* NULL: number not in use */
	uint32_t prev, next; /* in the list it is in: chunks of a class with room, or numbers not in use */
	uint16_t free;	     /* a free cell, which begins with the unit of the next one; NO_UNIT ends it */
	uint16_t fresh;	     /* from this unit on no cell was ever taken */
	uint16_t used;	     /* cells */
};

struct cells {
	struct chunk *chunk;
	uint32_t nchunks, cap;
	uint32_t unused;	 /* numbers of chunks that were given back */
	uint32_t roomy[CLASSES]; /* chunks with room */
	size_t bytes;
};

static size_t units_of(size_t n)
{
	return (n + UNIT - 1) / UNIT;
}

struct cells *cells_new(void)
{
	struct cells *c = xcalloc(1, sizeof(*c));

	c->cap = 16;
	c->chunk = xcalloc(c->cap, sizeof(*c->chunk));
	c->nchunks = 1;
	return c;
}

void cells_free(struct cells *c)
{
	if (!c)
		return;
	CHECK(!c->bytes);
	free(c->chunk);
	free(c);
}

size_t cells_bytes(const struct cells *c)
{
	return c->bytes;
}

void *cells_at(const struct cells *c, uint32_t cell)
{
	return c->chunk[cell >> UNIT_BITS].mem + (size_t)(cell % CHUNK_UNITS) * UNIT;
}

/* --- chunks --- */

static void list_push(struct cells *c, uint32_t *head, uint32_t i)
{
	c->chunk[i].prev = NO_CHUNK;
	c->chunk[i].next = *head;
	if (*head != NO_CHUNK)
		c->chunk[*head].prev = i;
	*head = i;
}

static void list_remove(struct cells *c, uint32_t *head, uint32_t i)
{
	const struct chunk *k = &c->chunk[i];

	if (k->prev == NO_CHUNK)
		*head = k->next;
	else
		c->chunk[k->prev].next = k->next;
	if (k->next != NO_CHUNK)
		c->chunk[k->next].prev = k->prev;
}

static uint32_t number_new(struct cells *c)
{
	uint32_t i = c->unused;

	if (i != NO_CHUNK) {
		list_remove(c, &c->unused, i);
		return i;
	}
	CHECK(c->nchunks < CHUNKS_MAX);
	if (c->nchunks == c->cap) {
		c->cap *= 2;
		c->chunk = xrealloc(c->chunk, c->cap * sizeof(*c->chunk));
	}
	return c->nchunks++;
}

static uint32_t chunk_new(struct cells *c, size_t bytes)
{
	uint32_t i = number_new(c);

	c->chunk[i] = (struct chunk){ .mem = xmalloc(bytes), .free = NO_UNIT };
	ASAN_POISON_MEMORY_REGION(c->chunk[i].mem, bytes);
	return i;
}

static void chunk_drop(struct cells *c, uint32_t i, size_t bytes)
{
	ASAN_UNPOISON_MEMORY_REGION(c->chunk[i].mem, bytes);
	free(c->chunk[i].mem);
	c->chunk[i].mem = NULL;
	list_push(c, &c->unused, i);
}

static bool chunk_has_room(const struct chunk *k, size_t units)
{
	return k->free != NO_UNIT || k->fresh + units <= CHUNK_UNITS;
}

/* --- cells --- */

/* A free cell of a chunk that has room, and it is in use then. */
static uint16_t chunk_take(struct chunk *k, size_t units)
{
	uint16_t unit = k->free;

	k->used++;
	if (unit == NO_UNIT) {
		unit = k->fresh;
		k->fresh = (uint16_t)(k->fresh + units);
		ASAN_UNPOISON_MEMORY_REGION(k->mem + (size_t)unit * UNIT, units * UNIT);
	} else {
		ASAN_UNPOISON_MEMORY_REGION(k->mem + (size_t)unit * UNIT, units * UNIT);
		memcpy(&k->free, k->mem + (size_t)unit * UNIT, sizeof(k->free));
	}
	return unit;
}

static void chunk_give(struct chunk *k, uint16_t unit, size_t units)
{
	memcpy(k->mem + (size_t)unit * UNIT, &k->free, sizeof(k->free));
	ASAN_POISON_MEMORY_REGION(k->mem + (size_t)unit * UNIT, units * UNIT);
	k->free = unit;
	k->used--;
}

uint32_t cells_take(struct cells *c, size_t n)
{
	size_t units = units_of(n);

	c->bytes += units * UNIT;
	if (n > CELLS_SMALL) {
		uint32_t big = chunk_new(c, units * UNIT);

		ASAN_UNPOISON_MEMORY_REGION(c->chunk[big].mem, units * UNIT);
		return big << UNIT_BITS;
	}
	uint32_t *roomy = &c->roomy[units - 1], i = *roomy;
	if (i == NO_CHUNK) {
		i = chunk_new(c, CHUNK_UNITS * UNIT);
		list_push(c, roomy, i);
	}
	struct chunk *k = &c->chunk[i];
	uint16_t unit = chunk_take(k, units);
	if (!chunk_has_room(k, units))
		list_remove(c, roomy, i);
	return i << UNIT_BITS | unit;
}

void cells_give(struct cells *c, uint32_t cell, size_t n)
{
	uint32_t i = cell >> UNIT_BITS;
	struct chunk *k = &c->chunk[i];
	size_t units = units_of(n);

	c->bytes -= units * UNIT;
	if (n > CELLS_SMALL) {
		chunk_drop(c, i, units * UNIT);
		return;
	}
	uint32_t *roomy = &c->roomy[units - 1];
	if (!chunk_has_room(k, units))
		list_push(c, roomy, i);
	chunk_give(k, (uint16_t)(cell % CHUNK_UNITS), units);
	if (!k->used) {
		list_remove(c, roomy, i);
		chunk_drop(c, i, CHUNK_UNITS * UNIT);
	}
}
