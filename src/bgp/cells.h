/*
 * bgp/cells: memory for very many small objects, addressed by 32-bit numbers.
 *
 * Cells of one size (in steps of 8 bytes) share chunks of 16 KiB, so an object costs its own bytes and
 * nothing more, and whoever keeps a number instead of a pointer saves half of that too. A cell never moves; a
 * chunk without cells is given back. Objects of more than CELLS_SMALL bytes have a chunk each.
 *
 * Memory that cannot be had ends the process, as everywhere.
 */
#pragma once
#include <stddef.h>
#include <stdint.h>

#define CELLS_SMALL 1024

struct cells;

struct cells *cells_new(void);
/* All cells must have been given back. NULL is fine. */
void cells_free(struct cells *c);
/* The number of a new cell of n bytes, n > 0; what is in it is undefined. Never 0. */
uint32_t cells_take(struct cells *c, size_t n);
/* n as it was taken. */
void cells_give(struct cells *c, uint32_t cell, size_t n);
/* Aligned to 8 bytes. Good until it is given back. */
void *cells_at(const struct cells *c, uint32_t cell);
size_t cells_bytes(const struct cells *c); /* of the cells in use */
