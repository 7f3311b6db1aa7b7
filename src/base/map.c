/*
 * The hash under base/map.h. Prefixes and names come from people we do not trust, and a few thousand chosen
 * ones would make a table with a known hash as slow as a list, for good: uthash stops growing a table that it
 * cannot spread. So the hash has a key of this process that nobody else knows.
 */
#include "base/map.h"

#include <string.h>
#include <sys/random.h>

/* Written once, before main(). */
static uint64_t key;

__attribute__((constructor)) static void choose_key(void)
{
	/* Where the kernel has no random bytes yet, its choice of our addresses has to do. */
	if (getrandom(&key, sizeof(key), GRND_NONBLOCK) != sizeof(key))
		key = (uint64_t)(uintptr_t)&key * 0x9e3779b97f4a7c15ull;
}

static uint64_t mix(uint64_t a, uint64_t b)
{
	__uint128_t m = (__uint128_t)a * b;

	return (uint64_t)m ^ (uint64_t)(m >> 64);
}

uint32_t map_hash(const void *bytes, size_t n)
{
	const uint8_t *p = bytes;
	uint64_t h = n, word;

	for (; n > 8; p += 8, n -= 8) {
		memcpy(&word, p, 8);
		h = mix(word ^ key, h ^ 0xe7037ed1a0b428dbull);
	}
	word = 0;
	if (n)
		memcpy(&word, p, n);
	h = mix(word ^ key, h ^ 0xa0761d6478bd642full);
	return (uint32_t)(h ^ h >> 32);
}
