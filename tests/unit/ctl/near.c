/* What was probably meant. */
#include "ctl/near.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>

static const char *const words[] = { "name", "segment", "address", "address6", "gateway", "up", NULL };

static void test_find(void **state)
{
	assert_string_equal(near_find("adress", words), "address");
	assert_string_equal(near_find("Address", words), "address");
	assert_string_equal(near_find("nmae", words), "name");
	assert_string_equal(near_find("gate", words), "gateway");
	assert_string_equal(near_find("pu", words), "up");
	assert_null(near_find("colour", words));
	assert_null(near_find("", words));
	assert_null(near_find("a-word-that-is-much-longer-than-anything-there-is", words));
}

static void test_explain(void **state)
{
	static const char *const none[] = { NULL };
	own_str struct str a = { 0 }, b = { 0 }, c = { 0 };

	near_explain(&a, "segmnt", words, "allowed are");
	assert_string_equal(
		a.s, "did you mean 'segment'? allowed are name, segment, address, address6, gateway, up");
	near_explain(&b, "x", none, "nodes are");
	assert_string_equal(b.s, "nodes are none");
	near_explain(&c, "colour", words, "allowed are");
	assert_string_equal(c.s, "allowed are name, segment, address, address6, gateway, up");
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_find), cmocka_unit_test(test_explain) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
