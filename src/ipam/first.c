/*
 * The first block of a host, as Calico picks it: an index drawn from Go's math/rand, seeded with FNV-1 (not
 * 1a) of the host name, so that hosts start at different places of a pool and one host always at the same.
 * Nothing depends on drawing the same index as Calico does, but a cluster that is moved over keeps its
 * layout. The generator's 607 start values are computed at build time by ipam/first_table.c.
 */
#include "ipam/first.h"

#include "base/check.h"
#include "base/prng.h"
#include "ipam/first_table.h"

#define LEN	607
#define TAP	273
#define MODULUS 2147483647

struct lagged {
	uint64_t vec[LEN];
	int tap, feed;
};

static uint32_t fnv1(const char *s)
{
	uint32_t h = 2166136261u;

	for (; *s; s++)
		h = h * 16777619u ^ (uint8_t)*s;
	return h;
}

static uint64_t lcg(uint64_t *x)
{
	return *x = *x * 48271 % MODULUS;
}

static void lagged_seed(struct lagged *g, uint32_t seed)
{
	uint64_t x = seed % MODULUS;

	if (!x)
		x = 89482311; /* zero would stay zero */
	for (int i = 0; i < 20; i++)
		lcg(&x);
	for (int i = 0; i < LEN; i++) {
		uint64_t v = lcg(&x) << 40;
		v ^= lcg(&x) << 20;
		v ^= lcg(&x);
		g->vec[i] = v ^ first_table[i];
	}
	g->tap = 0;
	g->feed = LEN - TAP;
}

/* 32 bits: the upper ones of a 63-bit output. */
static uint32_t lagged_next(struct lagged *g)
{
	g->tap = (g->tap + LEN - 1) % LEN;
	g->feed = (g->feed + LEN - 1) % LEN;
	g->vec[g->feed] += g->vec[g->tap];
	return (uint32_t)((g->vec[g->feed] & INT64_MAX) >> 31);
}

/*
 * Go draws whole 64-bit words, lower first, cuts the top word to the bit length of the limit 2^bits (which is
 * bits + 1), and draws again until the number is below the limit.
 */
static first_index_t draw(struct lagged *g, unsigned bits)
{
	unsigned words = bits / 64 + 1, top = (bits + 1) % 64;
	first_index_t n;

	do {
		n = 0;
		for (unsigned i = 0; i < words; i++) {
			uint64_t word = lagged_next(g);
			word |= (uint64_t)lagged_next(g) << 32;
			if (i == words - 1 && top)
				word &= (1ull << top) - 1;
			n |= (first_index_t)word << (64 * i);
		}
	} while (n >> bits);
	return n;
}

unsigned first_bits(const struct prefix *pool, uint8_t block_len)
{
	CHECK(block_len >= pool->len);
	return MIN((unsigned)(block_len - pool->len), FIRST_BITS_MAX);
}

first_index_t first_index(const char *host, unsigned bits, uint64_t seed)
{
	CHECK(bits <= FIRST_BITS_MAX);
	if (seed) {
		struct prng p = { seed ^ fnv1(host) };
		first_index_t n = prng_next(&p);
		n = n << 64 | prng_next(&p);
		return n & (((first_index_t)1 << bits) - 1);
	}
	struct lagged g;
	lagged_seed(&g, fnv1(host));
	return draw(&g, bits);
}

struct prefix first_nth(const struct prefix *pool, uint8_t block_len, first_index_t i)
{
	struct addr a = pool->addr;
	unsigned shift = addr_bits(a.family) - block_len;

	i <<= shift; /* below 2^128, as i is below 2^(block_len - pool->len) */
	for (size_t k = addr_size(a.family); k-- > 0; i >>= 8)
		a.b[k] |= (uint8_t)i;
	return prefix_of(&a, block_len);
}
