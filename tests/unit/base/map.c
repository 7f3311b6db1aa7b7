/* Maps under keys that somebody has chosen to hurt. */
#include "base/map.h"

#include "base/addr.h"

#include <stdarg.h>
#include <setjmp.h>
#include <cmocka.h>

struct item {
	struct prefix prefix;
	char name[64];
	UT_hash_handle hh;
};

static void drop(struct item *map)
{
	struct item *i, *tmp;

	map_each (map, i, tmp) {
		map_del(map, i);
		free(i);
	}
}

static struct item *item_of(uint32_t address)
{
	struct addr a = addr_v4(address);
	struct item *i = xcalloc(1, sizeof(*i));

	i->prefix = prefix_host(&a);
	return i;
}

/* uthash's own hash is known to everybody: these all fall into one of two thousand buckets. */
static void chosen_prefixes(void **state)
{
	struct item *map = NULL, *i;
	uint32_t address = 0x64400000, hash;

	for (int n = 0; n < 2000;) {
		i = item_of(address++);
		HASH_JEN(&i->prefix, sizeof(i->prefix), hash);
		if (hash % 2048 != 7) {
			free(i);
			continue;
		}
		map_add(map, prefix, i);
		n++;
	}
	assert_false(map->hh.tbl->noexpand);
	for (uint32_t n = 0; n < 20000; n++) {
		i = item_of(0x0a000000 + n);
		map_add(map, prefix, i);
	}
	assert_false(map->hh.tbl->noexpand);
	assert_true(map->hh.tbl->num_buckets >= 2048);
	drop(map);
}

/* Every length of a key, at every place of an eight-byte word, and every byte of it counts. */
static void every_byte_counts(void **state)
{
	uint8_t key[40] = { 0 };

	for (size_t n = 0; n <= sizeof(key); n++) {
		uint32_t zero = map_hash(key, n);
		assert_int_equal(map_hash(key, n), zero);
		for (size_t i = 0; i < n; i++) {
			key[i] = 1;
			assert_int_not_equal(map_hash(key, n), zero);
			key[i] = 0;
		}
		if (n)
			assert_int_not_equal(map_hash(key, n - 1), zero);
	}
}

static void names(void **state)
{
	struct item *map = NULL, *i, *found;

	for (int n = 0; n < 1000; n++) {
		i = xcalloc(1, sizeof(*i));
		for (int k = 0; k < n % 60; k++)
			i->name[k] = (char)('a' + (n + k) % 26);
		map_find_str(map, i->name, found);
		if (found) {
			assert_string_equal(found->name, i->name);
			free(i);
			continue;
		}
		HASH_ADD_STR(map, name, i);
	}
	for (i = map; i; i = i->hh.next) {
		map_find_str(map, i->name, found);
		assert_ptr_equal(found, i);
	}
	map_find_str(map, "not there", found);
	assert_null(found);
	drop(map);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(chosen_prefixes),
		cmocka_unit_test(every_byte_counts),
		cmocka_unit_test(names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
