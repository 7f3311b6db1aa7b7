/* The lines of the protocol: round trips, and every limit at, below and above. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/own.h"
#include "base/str.h"
#include "rpc/line.h"
#include "rpc/rpc.h"

#include <string.h>

static bool json_ok(const char *s, size_t n, unsigned depth, size_t values)
{
	struct err e = { 0 };
	json_t *j = line_json(s, n, depth, values, &e);

	assert_int_equal(e.code, j ? 0 : EBADMSG);
	json_decref(j);
	return j;
}

static bool nested_ok(unsigned depth, char open, char close)
{
	own_str struct str b = { 0 };

	for (unsigned i = 0; i < depth; i++)
		str_add(&b, open == '{' ? "{\"a\":" : "[");
	str_add(&b, "1");
	for (unsigned i = 0; i < depth; i++)
		str_addn(&b, &close, 1);
	return json_ok(b.s, b.n, RPC_JSON_DEPTH, 1000);
}

static void test_depth(void **state)
{
	const char pair[] = "[]{}";

	for (int i = 0; i < 4; i += 2) {
		assert_true(nested_ok(RPC_JSON_DEPTH - 1, pair[i], pair[i + 1]));
		assert_true(nested_ok(RPC_JSON_DEPTH, pair[i], pair[i + 1]));
		assert_false(nested_ok(RPC_JSON_DEPTH + 1, pair[i], pair[i + 1]));
		assert_false(nested_ok(100000, pair[i], pair[i + 1]));
	}
	/* Brackets inside a string are no nesting, behind an escaped quote neither. */
	const char *s = "[\"[[[[\\\"[[[[\\\\\"]";
	assert_true(json_ok(s, strlen(s), 1, 10));
}

static void test_values(void **state)
{
	assert_true(json_ok("[1,2,3]", 7, 4, 4));
	assert_false(json_ok("[1,2,3,4]", 9, 4, 4));
	assert_false(json_ok("[[],[]]", 7, 4, 4));
}

static void test_nonsense(void **state)
{
	static const char *const bad[] = {
		"",
		"{",
		"}",
		"[1,]",
		"{\"a\":1}x",
		"{\"a\":1,\"a\":2}",
		"\"\\u0000\"",
		"{\"a\\u0000\":1}",
		"\"\xff\"",
		"\"\xc0\x80\"",
		"[99999999999999999999]",
		"[1e999]",
		"\"\\",
		"nul",
		"\"\\ud800\"",
		"'a'",
	};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_false(json_ok(bad[i], strlen(bad[i]), 32, 100));
	assert_false(json_ok("[1\0]", 4, 32, 100));
	assert_false(json_ok("\"a\0b\"", 5, 32, 100));
	assert_false(json_ok("\"a\\\0b\"", 6, 32, 100));
}

static void test_text(void **state)
{
	json_t *a = line_text("gr\xc3\xbc\xc3\x9f"), *b = line_text("gr\xfc\xdf\n");

	assert_string_equal(json_string_value(a), "gr\xc3\xbc\xc3\x9f");
	assert_string_equal(json_string_value(b), "gr??\n");
	json_decref(a);
	json_decref(b);
}

static void test_request(void **state)
{
	json_t *params = json_pack("{s:s,s:[i,i]}", "name", "two\nlines", "v", 1, 2);
	own_mem char *line = NULL;
	struct line_request q;
	struct err e;
	size_t n;

	assert_int_equal(line_format_request("a.b", params, &line, &n, &e), 0);
	assert_int_equal(strlen(line), n);
	assert_ptr_equal(strchr(line, '\n'), line + n - 1);
	assert_int_equal(line_parse_request(line, n - 1, &q, &e), 0);
	assert_string_equal(q.method, "a.b");
	assert_true(json_equal(q.params, params));
	json_decref(q.root);
	json_decref(params);
	assert_int_equal(line_parse_request("{\"method\":\"x\"}", 14, &q, &e), 0);
	assert_int_equal(json_object_size(q.params), 0);
	json_decref(q.root);
}

static void test_request_shapes(void **state)
{
	static const char *const bad[] = { "[]",
					   "1",
					   "{}",
					   "{\"method\":1}",
					   "{\"method\":\"a\",\"params\":[]}",
					   "{\"method\":\"a\",\"params\":null}",
					   "{\"params\":{}}" };
	struct line_request q;
	struct err e;

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(line_parse_request(bad[i], strlen(bad[i]), &q, &e), -EBADMSG);
}

/* What may be 32 deep on its own may be sent as a member of params. */
static void test_depth_of_params(void **state)
{
	for (int depth = RPC_JSON_DEPTH; depth <= RPC_JSON_DEPTH + 1; depth++) {
		json_t *v = json_array();
		for (int i = 1; i < depth; i++) {
			json_t *outer = json_array();
			json_array_append_new(outer, v);
			v = outer;
		}
		json_t *params = json_pack("{s:o}", "conf", v);
		own_mem char *line = NULL;
		struct line_request q;
		struct err e;
		size_t n;
		assert_int_equal(line_format_request("m", params, &line, &n, &e), 0);
		assert_int_equal(line_parse_request(line, n - 1, &q, &e),
				 depth > RPC_JSON_DEPTH ? -EBADMSG : 0);
		if (depth <= RPC_JSON_DEPTH)
			json_decref(q.root);
		json_decref(params);
	}
}

static void test_answer(void **state)
{
	json_t *result = json_pack("{s:i}", "x", 1);
	own_mem char *ok = NULL, *error = NULL;
	struct line_answer a;
	struct err e;
	size_t n;

	assert_int_equal(line_format_result(result, &ok, &n, &e), 0);
	assert_int_equal(line_parse_answer(ok, n - 1, &a, &e), 0);
	assert_true(json_equal(a.result, result));
	json_decref(a.root);
	json_decref(result);
	error = line_format_error(11, "no \xff", "why", &n);
	assert_int_equal(line_parse_answer(error, n - 1, &a, &e), 0);
	assert_null(a.result);
	assert_int_equal(a.code, 11);
	assert_string_equal(a.message, "no ?");
	assert_string_equal(a.details, "why");
	json_decref(a.root);
}

static void test_answer_shapes(void **state)
{
	static const char *const bad[] = {
		"{}",
		"[]",
		"{\"result\":1}",
		"{\"result\":{},\"error\":{\"code\":1,\"message\":\"m\"}}",
		"{\"error\":{}}",
		"{\"error\":{\"code\":0,\"message\":\"m\"}}",
		"{\"error\":{\"code\":-4,\"message\":\"m\"}}",
		"{\"error\":{\"code\":99999999,\"message\":\"m\"}}",
		"{\"error\":{\"code\":1}}",
		"{\"error\":{\"code\":\"1\",\"message\":\"m\"}}",
	};
	struct line_answer a;
	struct err e;

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(line_parse_answer(bad[i], strlen(bad[i]), &a, &e), -EBADMSG);
}

static void test_too_long(void **state)
{
	own_mem char *s = xmalloc(RPC_LINE_MAX + 1), *line = NULL;
	struct err e;
	size_t n;

	memset(s, 'a', RPC_LINE_MAX);
	s[RPC_LINE_MAX] = '\0';
	json_t *params = json_pack("{s:s}", "s", s);
	assert_int_equal(line_format_request("m", params, &line, &n, &e), -EMSGSIZE);
	assert_int_equal(line_format_result(params, &line, &n, &e), -EMSGSIZE);
	line = line_format_error(7, "m", s, &n);
	assert_non_null(strstr(line, "too long"));
	json_decref(params);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_depth),		cmocka_unit_test(test_values),
		cmocka_unit_test(test_nonsense),	cmocka_unit_test(test_text),
		cmocka_unit_test(test_request),		cmocka_unit_test(test_request_shapes),
		cmocka_unit_test(test_depth_of_params), cmocka_unit_test(test_answer),
		cmocka_unit_test(test_answer_shapes),	cmocka_unit_test(test_too_long),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
