/* Small objects by number: they keep what was put in, share chunks, and chunks go when they are empty. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/check.h"
#include "base/prng.h"
#include "bgp/cells.h"

#include <stdbool.h>

static void test_one(void **state)
{
	struct cells *c = cells_new();
	uint32_t a = cells_take(c, 1), b = cells_take(c, 8), d = cells_take(c, CELLS_SMALL + 1);

	assert_true(a && b && d && a != b);
	assert_int_equal(cells_bytes(c), 8 + 8 + CELLS_SMALL + 8);
	assert_int_equal((uint8_t *)cells_at(c, b) - (uint8_t *)cells_at(c, a), 8);
	memset(cells_at(c, d), 1, CELLS_SMALL + 1);
	cells_give(c, a, 1);
	assert_int_equal(cells_take(c, 7), a);
	cells_give(c, d, CELLS_SMALL + 1);
	cells_give(c, a, 7);
	cells_give(c, b, 8);
	assert_int_equal(cells_bytes(c), 0);
	cells_free(c);
	cells_free(NULL);
}

/* A chunk's worth and more, given back in another order: the numbers come again. */
static void test_full(void **state)
{
	enum { N = 10000, SIZE = 24 };
	static uint32_t cell[N];
	struct cells *c = cells_new();
	uint32_t last = 0;

	for (unsigned round = 0; round < 3; round++) {
		for (uint32_t i = 0; i < N; i++) {
			cell[i] = cells_take(c, SIZE);
			memcpy(cells_at(c, cell[i]), &i, sizeof(i));
			last = MAX(last, cell[i]);
		}
		for (uint32_t i = 0; i < N; i++)
			assert_memory_equal(cells_at(c, cell[i]), &i, sizeof(i));
		for (uint32_t i = 0; i < N; i++)
			cells_give(c, cell[round % 2 ? i : N - 1 - i], SIZE);
		assert_int_equal(cells_bytes(c), 0);
	}
	assert_true(last < 4 * N); /* no number is lost: one round needs 3 units a cell */
	cells_free(c);
}

/* Any order and any sizes: nobody's bytes are ever somebody else's. */
static void test_random(void **state)
{
	enum { N = 3000, STEPS = 60000 };
	static struct {
		uint32_t cell, n;
		uint8_t fill;
	} held[N];
	struct cells *c = cells_new();
	struct prng r = { 1 };
	size_t bytes = 0;

	for (unsigned step = 0; step < STEPS; step++) {
		unsigned i = (unsigned)prng_below(&r, N);

		if (held[i].cell) {
			const uint8_t *p = cells_at(c, held[i].cell);
			assert_true(p[0] == held[i].fill && p[held[i].n - 1] == held[i].fill);
			assert_true(p[held[i].n / 2] == held[i].fill);
			cells_give(c, held[i].cell, held[i].n);
			bytes -= (held[i].n + 7u) & ~7u;
			held[i].cell = 0;
			continue;
		}
		held[i].n = 1 + (uint32_t)prng_below(&r, prng_below(&r, 10) ? 100 : 3 * CELLS_SMALL);
		held[i].cell = cells_take(c, held[i].n);
		held[i].fill = (uint8_t)step;
		memset(cells_at(c, held[i].cell), held[i].fill, held[i].n);
		bytes += (held[i].n + 7u) & ~7u;
		assert_int_equal(cells_bytes(c), bytes);
	}
	for (unsigned i = 0; i < N; i++)
		if (held[i].cell)
			cells_give(c, held[i].cell, held[i].n);
	assert_int_equal(cells_bytes(c), 0);
	cells_free(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one),
		cmocka_unit_test(test_full),
		cmocka_unit_test(test_random),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
