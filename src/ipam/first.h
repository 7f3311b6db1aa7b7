/* ipam/first: where in a pool a host starts to look for a block, as Calico does it. */
#pragma once
#include "base/addr.h"

/* IPv6 pools have up to 2^126 blocks here; larger ones are only used in part. */
typedef unsigned __int128 first_index_t;
#define FIRST_BITS_MAX 126

/* The number of blocks of block_len bits in pool is 2^this. */
unsigned first_bits(const struct prefix *pool, uint8_t block_len);
/* Below 2^bits. seed 0 means Calico's choice for host. */
first_index_t first_index(const char *host, unsigned bits, uint64_t seed);
/* Block number i of the pool. */
struct prefix first_nth(const struct prefix *pool, uint8_t block_len, first_index_t i);
