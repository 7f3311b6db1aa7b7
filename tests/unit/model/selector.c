/* The selector language: every operator with its label present, absent and different; what is refused and
 * where. */
#include "check.h"

#include "model/selector.h"

/* The object that the table is about: rack=a, zone=eu-1, has=yes, empty="". */
static const char *label(const void *arg, const char *key)
{
	static const char *const labels[][2] = {
		{ "rack", "a" }, { "zone", "eu-1" }, { "has", "yes" },
		{ "in", "out" }, { "empty", "" },    { "x.y/z-w_1", "it's" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(labels); i++)
		if (strcmp(labels[i][0], key) == 0)
			return labels[i][1];
	return NULL;
}

static const struct {
	const char *text;
	bool want;
	const char *canonical;
} good[] = {
	{ "", true, "all()" },
	{ " \t", true, "all()" },
	{ "all()", true, "all()" },
	{ "all( )", true, "all()" },
	{ "!all()", false, "!all()" },
	{ "global()", true, "global()" },
	{ "has(rack)", true, "has(rack)" },
	{ "has( none )", false, "has(none)" },
	{ "has(empty)", true, "has(empty)" },
	{ "rack == 'a'", true, "rack == \"a\"" },
	{ "rack=='b'", false, "rack == \"b\"" },
	{ "none == ''", false, "none == \"\"" },
	{ "empty == ''", true, "empty == \"\"" },
	{ "rack != 'a'", false, "rack != \"a\"" },
	{ "rack != 'b'", true, "rack != \"b\"" },
	{ "none != 'b'", true, "none != \"b\"" },
	{ "rack in {'b', \"a\"}", true, "rack in {\"a\", \"b\"}" },
	{ "rack in{'a','a',}", true, "rack in {\"a\"}" },
	{ "rack in {}", false, "rack in {}" },
	{ "none in {'a'}", false, "none in {\"a\"}" },
	{ "rack not in {'a'}", false, "rack not in {\"a\"}" },
	{ "rack notin {'b'}", true, "rack not in {\"b\"}" },
	{ "rack not in {}", true, "rack not in {}" },
	{ "none not in {'a'}", true, "none not in {\"a\"}" },
	{ "zone contains 'u-'", true, "zone contains \"u-\"" },
	{ "zone contains 'us'", false, "zone contains \"us\"" },
	{ "none contains ''", false, "none contains \"\"" },
	{ "zone starts with 'eu'", true, "zone starts with \"eu\"" },
	{ "zone startswith 'u'", false, "zone starts with \"u\"" },
	{ "none starts with ''", false, "none starts with \"\"" },
	{ "zone ends with '-1'", true, "zone ends with \"-1\"" },
	{ "zone endswith 'eu-11'", false, "zone ends with \"eu-11\"" },
	{ "none ends with ''", false, "none ends with \"\"" },
	{ "x.y/z-w_1 == \"it's\"", true, "x.y/z-w_1 == \"it's\"" },
	{ "rack == '\"'", false, "rack == '\"'" },
	/* Words are labels where a label stands. */
	{ "has == 'yes' && in != 'in' && all != 'x'", true,
	  "(has == \"yes\" && in != \"in\" && all != \"x\")" },
	{ "in in {'out'}", true, "in in {\"out\"}" },
	/* Binding. */
	{ "has(none) && has(none) || has(rack)", true, "((has(none) && has(none)) || has(rack))" },
	{ "has(none) && (has(none) || has(rack))", false, "(has(none) && (has(none) || has(rack)))" },
	{ "has(rack) || has(none) && has(none)", true, "(has(rack) || (has(none) && has(none)))" },
	{ "!has(none) && has(rack)", true, "(!has(none) && has(rack))" },
	{ "!(has(none) && has(rack))", true, "!(has(none) && has(rack))" },
	{ "!!has(rack)", true, "has(rack)" },
	{ "! ! !has(rack)", false, "!has(rack)" },
	{ "!rack == 'b'", true, "!rack == \"b\"" },
	{ "!(!(has(rack)))", true, "has(rack)" },
	{ "((rack == 'a'))", true, "rack == \"a\"" },
};

static void test_good(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		struct selector *s;
		struct err e;

		if (selector_parse(good[i].text, &s, &e) < 0)
			fail_msg("%s: %s", good[i].text, e.msg);
		if (selector_match(s, label, NULL) != good[i].want)
			fail_msg("%s: not %d", good[i].text, good[i].want);
		char *text = selector_text(s);
		assert_string_equal(text, good[i].canonical);
		free(text);
		selector_free(s);
	}
}

static const char *const bad[][2] = {
	{ "has(x", "column 6: \")\" is expected, and the selector ends" },
	{ "has()", "column 5: a label" },
	{ "has", "column 4: ==, !=, in" },
	{ "has (x)", "column 5: ==, !=, in" },
	{ "x", "column 2: ==" },
	{ "x = 'a'", "column 3: ==" },
	{ "x == a", "column 6: a string in quotes is expected before \"a\"" },
	{ "x == 'a", "column 6: a string with its closing quote" },
	{ "x == 'a' y == 'b'", "column 10: &&, || or the end" },
	{ "x == 'a' &&", "column 12: a label" },
	{ "x == 'a' & y == 'b'", "column 10: &&" },
	{ "|| x == 'a'", "column 1: a label" },
	{ "(x == 'a'", "column 10: \")\", && or ||" },
	{ "x == 'a')", "column 9: &&" },
	{ "x in 'a'", "column 6: a set in braces" },
	{ "x in {'a' 'b'}", "column 11: \",\" or \"}\"" },
	{ "x in {,}", "column 7: a string" },
	{ "x in {'a')", "column 10: \",\" or \"}\"" },
	{ "x not 'a'", "column 3: ==" },
	{ "x inn {'a'}", "column 3: ==" },
	{ "x starts 'a'", "column 3: ==" },
	{ "a; b", "column 2: ==" },
	{ "x ==\n'a'", "column 5: a string" },
	{ "!", "column 2: a label" },
};

static void test_bad(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct selector *s = NULL;
		struct err e;

		assert_int_equal(selector_parse(bad[i][0], &s, &e), -EINVAL);
		assert_null(s);
		if (strncmp(e.msg, bad[i][1], strlen(bad[i][1])) != 0)
			fail_msg("%s: \"%s\" is not \"%s\"", bad[i][0], e.msg, bad[i][1]);
	}
}

static int parse_repeated(const char *open, unsigned n, const char *middle, const char *close)
{
	own_str struct str text = { 0 };
	own(selector) struct selector *s = NULL;

	for (unsigned i = 0; i < n; i++)
		str_add(&text, open);
	str_add(&text, middle);
	for (unsigned i = 0; i < n; i++)
		str_add(&text, close);
	return selector_parse(text.s, &s, NULL);
}

static void test_bounds(void **state)
{
	assert_int_equal(parse_repeated("(", SELECTOR_DEPTH_MAX, "all()", ")"), 0);
	assert_int_equal(parse_repeated("(", SELECTOR_DEPTH_MAX + 1, "all()", ")"), -EINVAL);
	assert_int_equal(parse_repeated("!", 100000, "all()", ""), 0);
	assert_int_equal(parse_repeated("l", SELECTOR_LABEL_MAX, " == 'x'", ""), 0);
	assert_int_equal(parse_repeated("l", SELECTOR_LABEL_MAX + 1, " == 'x'", ""), -EINVAL);
}

static void test_for_kinds(void **state)
{
	assert_true(selector_trivial(""));
	assert_true(selector_trivial("  "));
	assert_true(selector_trivial(" all() "));
	assert_false(selector_trivial("!all()"));
	assert_false(selector_trivial("all() && has(x)"));
	assert_false(selector_trivial("has(x)"));
	assert_false(selector_trivial("has(x"));

	json_t *doc = doc_of("{metadata: {labels: {rack: a}}}");
	struct selector *s;
	struct meta m;
	meta_decode(doc, &m);
	assert_int_equal(selector_parse("rack == 'a' && !has(zone)", &s, NULL), 0);
	assert_true(selector_match_meta(s, &m));
	selector_free(s);
	meta_done(&m);
	json_decref(doc);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),
		cmocka_unit_test(test_bad),
		cmocka_unit_test(test_bounds),
		cmocka_unit_test(test_for_kinds),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
