/* bgp/hash: keyed hashing by folded multiplication: fast, and not to be foreseen by whoever chooses the keys
 * but not the seed. */
#pragma once
#include "base/addr.h"

#include <string.h>

static inline uint64_t hash_mix(uint64_t a, uint64_t b)
{
	unsigned __int128 m = (unsigned __int128)a * b;

	return (uint64_t)m ^ (uint64_t)(m >> 64);
}

/* Of an address, or of a prefix with its length. */
static inline uint64_t hash_addr(const struct addr *a, uint8_t len, uint64_t seed)
{
	uint64_t hi, lo, tail = (uint64_t)a->family << 8 | len;

	memcpy(&hi, a->b, 8);
	memcpy(&lo, a->b + 8, 8);
	return hash_mix(hi ^ seed ^ 0x9e3779b97f4a7c15ull,
			hash_mix(lo ^ 0xd1b54a32d192ed03ull, tail ^ seed ^ 0xa0761d6478bd642full) ^
				0xe7037ed1a0b428dbull);
}
