/*
 * A block from the store: any JSON is either refused or becomes a sound block that says the same when it is
 * written and read again, and stays sound under every change.
 */
#include "base/check.h"
#include "model/block.h"

#include <stdint.h>

#define WALL ((nsec_t)1787392800000000000)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void change(struct block *b)
{
	struct block_attr attr = { .handle = (char *)"fuzz.handle" };
	char handle[BLOCK_HANDLE_MAX] = "fuzz.handle";
	struct addr a;

	block_gc(b, WALL, 60 * SEC);
	CHECK(block_check(b, NULL) == 0);
	if (b->nattrs && b->attrs[0].handle)
		memcpy(handle, b->attrs[0].handle, strlen(b->attrs[0].handle) + 1);
	if (block_take_free(b, &attr, NULL, NULL, &a)) {
		CHECK(block_attr_of(b, &a));
		CHECK(block_take(b, &a, &attr, NULL) == -EEXIST);
	}
	uint32_t has = block_count_handle(b, handle);
	CHECK(block_release_handle(b, handle, WALL, 0) == has);
	CHECK(block_count_handle(b, handle) == 0);
	CHECK(block_check(b, NULL) == 0);
	block_release_handle(b, "fuzz.handle", WALL, 60 * SEC);
	block_gc(b, WALL + 61000000000, 60 * SEC);
	CHECK(block_check(b, NULL) == 0);
}

static void round_trip(const struct block *b)
{
	json_t *once = block_encode(b);
	struct block again;

	CHECK(block_decode(once, &again, NULL) == 0);
	json_t *twice = block_encode(&again);
	CHECK(json_equal(once, twice));
	json_decref(once);
	json_decref(twice);
	block_done(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	json_t *doc = json_loadb((const char *)data, n, JSON_ALLOW_NUL, NULL);
	struct block b;
	struct err e;

	if (!doc)
		return 0;
	if (block_decode(doc, &b, &e) == 0) {
		CHECK(block_check(&b, &e) == 0);
		round_trip(&b);
		change(&b);
		round_trip(&b);
		block_done(&b);
	}
	json_decref(doc);
	return 0;
}
