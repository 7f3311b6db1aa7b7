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

/* Of any bytes, eight at a time; the last ones are padded with zeros, so the length goes in too. */
static inline uint64_t hash_bytes(const uint8_t *p, size_t n, uint64_t seed)
{
	uint64_t h = hash_mix(seed ^ 0x9e3779b97f4a7c15ull, n + 0xd6e8feb86659fd93ull), v;

	for (; n >= 8; p += 8, n -= 8) {
		memcpy(&v, p, 8);
		h = hash_mix(h ^ v, 0xa0761d6478bd642full ^ seed);
	}
	v = 0;
	memcpy(&v, p, n);
	return hash_mix(h ^ v, 0xe7037ed1a0b428dbull ^ seed);
}
