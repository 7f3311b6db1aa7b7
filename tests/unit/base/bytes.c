/* Cursors cannot overrun, writers cannot overflow, errors keep their context. */
#include "base/err.h"
#include "base/rd.h"
#include "base/str.h"
#include "base/wr.h"

#include <stdarg.h>
#include <setjmp.h>
#include <cmocka.h>

static void a_short_read_is_sticky(void **state)
{
	const uint8_t b[] = { 1, 2, 3 };
	struct rd r = rd_of(b, sizeof(b));

	assert_int_equal(rd_be16(&r), 0x0102);
	assert_int_equal(rd_be16(&r), 0);
	assert_false(rd_ok(&r));
	assert_int_equal(rd_u8(&r), 0); /* the third byte is not handed out after the failure */
	assert_false(rd_end(&r));
}

static void a_sub_cursor_has_its_own_bounds(void **state)
{
	const uint8_t b[] = { 1, 2, 3, 4 };
	struct rd r = rd_of(b, sizeof(b));
	struct rd s = rd_sub(&r, 2);

	assert_int_equal(rd_be32(&s), 0);
	assert_false(rd_ok(&s));
	assert_true(rd_ok(&r));
	assert_int_equal(rd_be16(&r), 0x0304);
	assert_true(rd_end(&r));
	s = rd_sub(&r, 1);
	assert_false(rd_ok(&s));
	assert_false(rd_ok(&r));
}

static void a_huge_length_is_only_too_long(void **state)
{
	const uint8_t b[4] = { 0 };
	struct rd r = rd_of(b, sizeof(b));

	assert_null(rd_bytes(&r, SIZE_MAX));
	assert_false(rd_ok(&r));
}

static void a_writer_stops_at_its_end(void **state)
{
	uint8_t buf[6] = { 0 };
	struct wr w = wr_to(buf, 5);

	size_t hole = wr_open16(&w);
	wr_u8(&w, 7);
	wr_be16(&w, 0x0809);
	wr_close16(&w, hole);
	assert_true(wr_ok(&w));
	assert_memory_equal(buf, ((uint8_t[]){ 0, 3, 7, 8, 9, 0 }), 6);
	wr_u8(&w, 1);
	assert_false(wr_ok(&w));
	assert_int_equal(buf[5], 0);
}

static void a_length_that_does_not_fit_is_an_error(void **state)
{
	uint8_t buf[400];
	struct wr w = wr_to(buf, sizeof(buf));
	size_t hole = wr_open8(&w);

	for (int i = 0; i < 256; i++)
		wr_u8(&w, 0);
	wr_close8(&w, hole);
	assert_false(wr_ok(&w));
}

static void errors_gain_context(void **state)
{
	struct err e = { 0 };

	assert_int_equal(err_set(&e, ENOENT, "open /x: %m"), -ENOENT);
	assert_int_equal(err_in(&e, "pool %s", "default"), -ENOENT);
	assert_string_equal(e.msg, "pool default: open /x: No such file or directory");
	assert_int_equal(err_set(NULL, EIO, "nobody listens"), -EIO);
}

static void text_grows(void **state)
{
	own_str struct str s = { 0 };

	for (int i = 0; i < 1000; i++)
		str_addf(&s, "%d,", i % 10);
	assert_int_equal(s.n, 2000);
	char *t = str_take(&s);
	assert_int_equal(strlen(t), 2000);
	free(t);
	t = str_take(&s);
	assert_string_equal(t, "");
	free(t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_short_read_is_sticky),
		cmocka_unit_test(a_sub_cursor_has_its_own_bounds),
		cmocka_unit_test(a_huge_length_is_only_too_long),
		cmocka_unit_test(a_writer_stops_at_its_end),
		cmocka_unit_test(a_length_that_does_not_fit_is_an_error),
		cmocka_unit_test(errors_gain_context),
		cmocka_unit_test(text_grows),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
