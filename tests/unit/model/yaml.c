/* YAML: types, places, limits, hostile input, and text that reads back as what it was written from. */
#include "check.h"

#include "base/prng.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

static struct yaml parsed(const char *text)
{
	struct yaml y;
	struct err e = { 0 };

	if (yaml_parse("f.yaml", text, strlen(text), &y, &e) < 0)
		fail_msg("%s", e.msg);
	return y;
}

static void same_json(const char *text, const char *json)
{
	struct yaml y = parsed(text);

	assert_int_equal(y.n, 1);
	char *got = kind_dump_json(yaml_json(&y, 0));
	assert_string_equal(got, json);
	free(got);
	yaml_done(&y);
}

static void broken_n(const char *text, size_t n, const char *says)
{
	struct yaml y = { .n = 77 };
	struct err e = { 0 };

	assert_int_equal(yaml_parse("f.yaml", text, n, &y, &e), -EINVAL);
	assert_int_equal(y.n, 77);
	if (!strstr(e.msg, says))
		fail_msg("\"%s\" does not say \"%s\"", e.msg, says);
	assert_null(strchr(e.msg, '\n'));
}

static void broken(const char *text, const char *says)
{
	broken_n(text, strlen(text), says);
}

static void test_core_schema(void **state)
{
	same_json("[null, Null, NULL, ~, ]", "[null,null,null,null]");
	same_json("a:\nb: ~\n", "{\"a\":null,\"b\":null}");
	same_json("[true, True, TRUE, false, False, FALSE]", "[true,true,true,false,false,false]");
	same_json("[yes, no, on, off, y, n, tRUE]", "[\"yes\",\"no\",\"on\",\"off\",\"y\",\"n\",\"tRUE\"]");
	same_json("[0, -1, +12, 007, 0o17, 0xfF]", "[0,-1,12,7,15,255]");
	same_json("[9223372036854775807, -9223372036854775808]",
		  "[9223372036854775807,-9223372036854775808]");
	same_json("[0b1, 1_000, 0o8, 0xg, '1', \"1\", 1a]",
		  "[\"0b1\",\"1_000\",\"0o8\",\"0xg\",\"1\",\"1\",\"1a\"]");
	same_json("[1.5, -.5, 1., 1e3, 1.0e-2]", "[1.5,-0.5,1.0,1000.0,0.01]");
	same_json("[1.2.3, 10.0.0.1, 10.0.0.0/8, ee:ee:ee, 1:30, 2026-08-22]",
		  "[\"1.2.3\",\"10.0.0.1\",\"10.0.0.0/8\",\"ee:ee:ee\",\"1:30\",\"2026-08-22\"]");
	same_json("['true', \"null\", '~', '']", "[\"true\",\"null\",\"~\",\"\"]");
	same_json("a: |\n  1\nb: >-\n  2\n", "{\"a\":\"1\\n\",\"b\":\"2\"}");
	same_json("[!!str 1, !!int 2, !!float 3, !!bool true, !!null null, ! 4]",
		  "[\"1\",2,3.0,true,null,\"4\"]");
	same_json("!!map {a: !!seq [1]}", "{\"a\":[1]}");
	same_json("{1: a, true: b, null: c}", "{\"1\":\"a\",\"true\":\"b\",\"null\":\"c\"}");
}

static void test_single_quotes(void **state)
{
	same_json("['''', '''''', 'x''''y', '''x''', 'a != ''''', '']",
		  "[\"'\",\"''\",\"x''y\",\"'x'\",\"a != ''\",\"\"]");
	same_json("{'a''''b': 'c' }", "{\"a''b\":\"c\"}");
	same_json("a: 'one\n  two  \n\n\n  \t three '' \n four '\n",
		  "{\"a\":\"one two\\n\\nthree ' four \"}");
	same_json("a: ' \n b'\nc: '\n\n '\n", "{\"a\":\" b\",\"c\":\"\\n\"}");
	same_json("a: 'x\r\n  y'\r\n", "{\"a\":\"x y\"}");
	same_json("a: '\\n \xc3\xa4 # \"'", "{\"a\":\"\\\\n \xc3\xa4 # \\\"\"}");
}

static void test_scalars_refused(void **state)
{
	broken("a: 9223372036854775808", "f.yaml:1:4: 9223372036854775808 is too large a number");
	broken("a: 0xffffffffffffffffff", "too large");
	broken("a: .inf", "f.yaml:1:4: .inf is not a number that can be stored");
	broken("a: -.INF", "-.INF is not a number");
	broken("a: .nan", ".nan is not a number");
	broken("a: 1e999", "1e999 is not a number");
	broken("a: !!int x", "\"x\" is not a int, as its tag says");
	broken("a: !!map [1]", "a list is not a map, as its tag says");
	broken("a: !foo x", "is not supported: leave it out");
	broken("a: !!binary x", "is not supported");
	broken("a: \"x\\0y\"", "must not contain NUL");
	broken("\"x\\0y\": 1", "must not contain NUL");
}

static void test_json_is_yaml(void **state)
{
	same_json("{\"a\": [1, {\"b\": null, \"c\": \"\\u00e9\\n\\/\"}],\t\"d\": -1.5e3}",
		  "{\"a\":[1,{\"b\":null,\"c\":\"\xc3\xa9\\n/\"}],\"d\":-1500.0}");
	same_json("{\n\t\"a\": 1\n}\n", "{\"a\":1}");
	same_json("[]", "[]");
	same_json("{}", "{}");
}

static void test_documents(void **state)
{
	struct yaml y = parsed("---\n---\na: 1\n---\n# only a comment\n---\nb: 2\n...\n---\n");
	int line, column;

	assert_int_equal(y.n, 2);
	assert_non_null(json_object_get(yaml_json(&y, 1), "b"));
	yaml_where(&y, 0, "a", &line, &column);
	assert_int_equal(line, 3);
	yaml_where(&y, 1, "b", &line, &column);
	assert_int_equal(line, 7);
	yaml_done(&y);
	y = parsed("");
	assert_int_equal(y.n, 0);
	yaml_done(&y);
	y = parsed("# nothing\n");
	assert_int_equal(y.n, 0);
	yaml_done(&y);
	y = parsed("\xef\xbb\xbf"
		   "a: 1\r\nb: 2\r\n");
	assert_int_equal(json_object_size(yaml_json(&y, 0)), 2);
	yaml_done(&y);
}

static void at(const struct yaml *y, const char *path, int line, int column)
{
	int l, c;

	yaml_where(y, 0, path, &l, &c);
	if (l != line || c != column)
		fail_msg("%s is at %d:%d, not at %d:%d", path, l, c, line, column);
}

static void test_places(void **state)
{
	struct yaml y = parsed("apiVersion: v3\n"		 /* 1 */
			       "metadata:\n"			 /* 2 */
			       "  name: 'x'\n"			 /* 3 */
			       "  labels:\n"			 /* 4 */
			       "    kubernetes.io/arch: \"a\"\n" /* 5 */
			       "    kubernetes.io: b\n"		 /* 6 */
			       "spec:\n"			 /* 7 */
			       "  pods:\n"			 /* 8 */
			       "  - name: one\n"		 /* 9 */
			       "  - name: \xc3\xa4\n"		 /* 10 */
			       "    uses: [a, b, {c: d}]\n"	 /* 11 */
			       "  empty:\n"			 /* 12 */
			       "  \xc3\xa4\xc3\xb6: {x: 1}\n"	 /* 13 */
			       "  text: |\n"			 /* 14 */
			       "    more\n");

	at(&y, "apiVersion", 1, 13);
	at(&y, "metadata", 2, 1);
	at(&y, "metadata.name", 3, 9);
	at(&y, "metadata.name:", 3, 3);
	at(&y, "metadata.labels.kubernetes.io/arch", 5, 25);
	at(&y, "metadata.labels.kubernetes.io/arch:", 5, 5);
	at(&y, "metadata.labels.kubernetes.io", 6, 20);
	at(&y, "spec", 7, 1);
	at(&y, "spec.pods", 8, 3);
	at(&y, "spec.pods[0].name", 9, 11);
	at(&y, "spec.pods[1]", 10, 5);
	at(&y, "spec.pods[1].name", 10, 11);
	at(&y, "spec.pods[1].uses", 11, 11);
	at(&y, "spec.pods[1].uses[1]", 11, 15);
	at(&y, "spec.pods[1].uses[2].c", 11, 22);
	at(&y, "spec.\xc3\xa4\xc3\xb6.x", 13, 11);
	/* What is not there stands at its nearest parent. */
	at(&y, "spec.cidr", 7, 1);
	at(&y, "spec.pods[2].name", 8, 3);
	at(&y, "spec.pods[1].mac", 10, 5);
	at(&y, "status.x", 1, 1);
	at(&y, "", 1, 1);
	at(&y, "metadata.nam", 2, 1);
	yaml_done(&y);
}

static void test_err(void **state)
{
	struct yaml y = parsed("a:\n  b: 1\n");
	struct err e = { .msg = "a.b: 1 is wrong" };

	/* e may be its own argument. */
	assert_int_equal(yaml_err(&y, 0, "a.b", &e, "%s", e.msg), -EINVAL);
	assert_string_equal(e.msg, "f.yaml:2:6: a.b: 1 is wrong");
	yaml_done(&y);
}

static void test_syntax_errors(void **state)
{
	broken("a:\n\tb: 1\n", "f.yaml:2:1: not valid YAML: a tab cannot indent: use spaces");
	broken("a: 1\n b: 2\n", "f.yaml:1:4: not valid YAML: a key and \":\" are expected");
	broken("a: b: c\n", "f.yaml:1:5: not valid YAML: a second \":\" is on this line");
	broken("a: [1, 2\nb: 1\n", "opened but not closed");
	broken("a: {b: [1}\n", "f.yaml:1:10: not valid YAML: a bracket is closed by one of the other kind");
	broken("a: \"x\n", "a quote is opened but not closed");
	broken("a: 'x' y\n", "text follows the closing quote");
	broken("a: 1\nb\nc: 2\n", "a \":\" is missing");
	broken("a: @x\n", "a value cannot begin with this character");
	broken("a: \"\\q\"\n", "the escape");
	broken("a:\n  - b\n - c\n", "indented differently");
	broken("{\"a\" 1}", "f.yaml:1:");
	broken("- a\nb: 1\n", "f.yaml:2:1: not valid YAML");
	broken("]", "f.yaml:1:1: not valid YAML");
	broken("a: 1\n---\nb: [\n", "f.yaml:4:1:");
}

static void test_keys(void **state)
{
	broken("a: 1\nb:\n  c: 1\n  d: 2\n  c: 3\n",
	       "f.yaml:5:3: the key \"c\" is there twice: first at line 3, column 3");
	broken("{\"a\": 1, \"a\": 1}",
	       "f.yaml:1:10: the key \"a\" is there twice: first at line 1, column 2");
	broken("{1: a, '1': b}", "the key \"1\" is there twice");
	broken("? [a]\n: 1\n", "a key must be a word");
	broken("? {a: b}\n: 1\n", "a key must be a word");
	broken(": 1\n", "a key is missing");
	broken("a: &x b\n*x : c\n", "must not be an alias");
	broken("a: &x {b: 1}\nc:\n  <<: *x\n", "merge keys");
}

static void test_aliases(void **state)
{
	same_json("a: &x {b: [1]}\nc: *x\nd: &x 2\ne: *x\n",
		  "{\"a\":{\"b\":[1]},\"c\":{\"b\":[1]},\"d\":2,\"e\":2}");
	broken("a: *x\n", "f.yaml:1:4: there is no anchor &x before this alias");
	broken("a: &x [*x]\n", "stands inside what it stands for");
	broken("a: &x 1\n---\nb: *x\n", "f.yaml:3:4: there is no anchor &x");
	struct yaml y = parsed("a: &x {b: 1}\nc: *x\n");
	at(&y, "c.b", 2, 4);
	yaml_done(&y);
}

/* Aliases of lists of aliases: what they stand for counts, not how it is written. */
static void test_billion_laughs(void **state)
{
	struct str b = { 0 };

	str_add(&b, "a0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol]\n");
	for (int i = 1; i < 12; i++) {
		str_addf(&b, "a%d: &a%d [", i, i);
		for (int j = 0; j < 9; j++)
			str_addf(&b, "%s*a%d", j ? ", " : "", i - 1);
		str_add(&b, "]\n");
	}
	broken(b.s, "there are more than 250000 values in this file");
	str_done(&b);

	/* Few values, but long ones. */
	str_add(&b, "a: &a \"");
	for (int i = 0; i < 100000; i++)
		str_add(&b, "0123456789");
	str_add(&b, "\"\nb: [");
	for (int i = 0; i < 1000; i++)
		str_add(&b, "*a, ");
	str_add(&b, "]\n");
	broken(b.s, "the strings of this file are longer than");
	str_done(&b);

	/* Deep by aliases. */
	str_add(&b, "a0: &a0 [1]\n");
	for (int i = 1; i < 40; i++)
		str_addf(&b, "a%d: &a%d [*a%d]\n", i, i, i - 1);
	broken(b.s, "nested deeper than 32 levels");
	str_done(&b);

	for (int i = 0; i < 1100; i++)
		str_addf(&b, "- &a%d x\n", i);
	broken(b.s, "at most 1024 anchors");
	str_done(&b);
}

static void test_depth(void **state)
{
	struct str b = { 0 };

	for (int depth = 31; depth <= 33; depth++) {
		for (int i = 0; i < depth; i++)
			str_add(&b, "[");
		for (int i = 0; i < depth; i++)
			str_add(&b, "]");
		if (depth <= 32) {
			struct yaml y = parsed(b.s);
			yaml_done(&y);
		} else {
			broken(b.s, "f.yaml:1:33: values are nested deeper than 32 levels");
		}
		str_done(&b);
	}
	for (int i = 0; i < 100; i++)
		str_addf(&b, "%*sa:\n", i, "");
	broken(b.s, "nested");
	str_done(&b);
	for (int i = 0; i < 40000; i++)
		str_add(&b, "[");
	broken(b.s, "nested");
	str_done(&b);
	for (int i = 0; i < 100000; i++)
		str_add(&b, "- ");
	broken(b.s, "nested");
	str_done(&b);
	for (int i = 0; i < 20000; i++)
		str_add(&b, "{a: ");
	broken(b.s, "nested");
	str_done(&b);
}

static void test_bytes(void **state)
{
	broken_n("a: b\0c", 6, "f.yaml:1:5: a control character (0x00)");
	broken_n("\0", 1, "f.yaml:1:1: a control character");
	broken("a: \x01", "(0x01)");
	broken("a: \x1b[31m", "(0x1b)");
	broken("a: \x7f", "(0x7f)");
	broken("a: \xff", "f.yaml:1:4: the byte 0xff is not valid UTF-8");
	broken("\xc3\xa4: \xc0\xaf", "f.yaml:1:4: the byte 0xc0");
	broken("a: \xed\xa0\x80", "0xed");
	broken("a: \xf4\x90\x80\x80", "0xf4");
	broken("a: \xe2\x82", "0xe2");
	broken_n("\xff\xfe"
		 "a\0",
		 4, "0xff");
	same_json("a: \xf0\x9f\x98\x80\xe2\x82\xac", "{\"a\":\"\xf0\x9f\x98\x80\xe2\x82\xac\"}");
}

static void test_size(void **state)
{
	char *big = xmalloc(YAML_BYTES_MAX + 2);
	struct yaml y;
	struct err e;

	memset(big, 'x', YAML_BYTES_MAX + 1);
	memcpy(big, "a: ", 3);
	broken_n(big, YAML_BYTES_MAX + 1, "longer than 4194304 bytes");
	assert_int_equal(yaml_parse("f", big, YAML_BYTES_MAX, &y, &e), 0);
	assert_int_equal(json_string_length(json_object_get(yaml_json(&y, 0), "a")), YAML_BYTES_MAX - 3);
	yaml_done(&y);
	for (size_t i = 0; i < YAML_BYTES_MAX; i += 4)
		memcpy(big + i, "- 1\n", 4);
	broken_n(big, 1200000, "more than 250000 values");
	broken_n(big, YAML_BYTES_MAX, "too many lines or values in one file");
	for (size_t i = 0; i < 60000; i += 6)
		memcpy(big + i, "---\n1\n", 6);
	assert_int_equal(yaml_parse("f", big, 60000, &y, &e), 0);
	assert_int_equal(y.n, 10000);
	yaml_done(&y);
	memcpy(big + 60000, "---\n1\n", 6);
	broken_n(big, 60006, "more than 10000 documents");
	free(big);
}

/* What the parser would need minutes or gigabytes for. */
static void test_runs(void **state)
{
	static const struct {
		const char *before, *run, *says;
		int n;
	} cases[] = {
		{ "a: |\n", "\n", "f.yaml:201:1: there are too many blank lines", 1000000 },
		{ "a: x\n", " \t\r\n", "too many blank lines in a row", 1000000 },
		{ "? ", " ", "f.yaml:1:258: there are too many blanks", 1000000 },
		{ "- ", "\t", "too many blanks in a row", 1000000 },
		{ "", "[", "too many values in one line", 1000000 },
		{ "[", "a,", "too many values in one line", 1000000 },
		{ "[", "\"", "too many lines or values in one file", 2000000 },
		{ "a: b", "\n c", "too many lines or values in one file", 1000000 },
		{ "{", "a: {", "too many values in one line", 1000000 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct str b = { 0 };
		str_add(&b, cases[i].before);
		for (int n = 0; n < cases[i].n; n++)
			str_add(&b, cases[i].run);
		broken_n(b.s, MIN(b.n, YAML_BYTES_MAX), cases[i].says);
		str_done(&b);
	}
}

static void test_files(void **state)
{
	char path[] = "/tmp/korat-yaml-XXXXXX";
	int fd = mkstemp(path);
	struct yaml y;
	struct err e;

	assert_true(fd >= 0);
	assert_int_equal(write(fd, "a: [", 4), 4);
	assert_int_equal(yaml_read_file(path, &y, &e), -EINVAL);
	assert_int_equal(strncmp(e.msg, path, strlen(path)), 0);
	assert_int_equal(pwrite(fd, "a: 1", 4, 0), 4);
	assert_int_equal(yaml_read_file(path, &y, &e), 0);
	assert_int_equal(json_integer_value(json_object_get(yaml_json(&y, 0), "a")), 1);
	yaml_done(&y);
	/* Only as much as is needed to refuse it is read. */
	assert_int_equal(ftruncate(fd, 1LL << 40), 0);
	assert_int_equal(yaml_read_file(path, &y, &e), -EINVAL);
	assert_non_null(strstr(e.msg, "longer than"));
	close(fd);
	unlink(path);
	assert_int_equal(yaml_read_file(path, &y, &e), -ENOENT);
	assert_non_null(strstr(e.msg, "No such file"));
	assert_int_equal(yaml_read_file("/tmp", &y, &e), -EISDIR);
}

static void test_dump(void **state)
{
	json_t *doc = doc_of(
		"{kind: IPPool, apiVersion: projectcalico.org/v3, metadata: {name: p, creationTimestamp:"
		" '2026-08-22T10:00:00Z', labels: {}, annotations: {note: \"a\\nb\\n\"}},"
		" spec: {cidr: 10.0.0.0/16, nodeSelector: all(), allowedUses: [Workload, Tunnel], "
		"natOutgoing: true,"
		" x: [[1, 2], [], {a: 'yes', b: null}], asn: '1.10', mac: '00:50:56:95:58:10', f: 1.0,"
		" sel: \"a == 'b'\", e: ''}}");
	char *text = yaml_dump(doc);

	assert_string_equal(text, "apiVersion: projectcalico.org/v3\n"
				  "kind: IPPool\n"
				  "metadata:\n"
				  "  name: p\n"
				  "  creationTimestamp: \"2026-08-22T10:00:00Z\"\n"
				  "  labels: {}\n"
				  "  annotations:\n"
				  "    note: |\n"
				  "      a\n"
				  "      b\n"
				  "spec:\n"
				  "  cidr: 10.0.0.0/16\n"
				  "  nodeSelector: all()\n"
				  "  allowedUses:\n"
				  "  - Workload\n"
				  "  - Tunnel\n"
				  "  natOutgoing: true\n"
				  "  x:\n"
				  "  - - 1\n"
				  "    - 2\n"
				  "  - []\n"
				  "  - a: \"yes\"\n"
				  "    b: null\n"
				  "  asn: \"1.10\"\n"
				  "  mac: \"00:50:56:95:58:10\"\n"
				  "  f: 1.0\n"
				  "  sel: a == 'b'\n"
				  "  e: \"\"\n");
	json_t *back = doc_of(text);
	assert_true(json_equal(doc, back));
	json_decref(back);
	free(text);
	json_decref(doc);
}

/* Runs that are refused when read are written so that they are not. */
static void test_dump_of_runs(void **state)
{
	static const char runs[] = " \n\t";
	char text[1002];

	for (const char *c = runs; *c; c++) {
		memset(text, *c, sizeof(text) - 1);
		text[0] = 'a';
		text[1000] = 'b';
		text[1001] = '\0';
		json_t *doc = json_pack("{s:s}", "v", text);
		char *yaml = yaml_dump(doc);
		json_t *back = doc_of(yaml);
		assert_true(json_equal(doc, back));
		json_decref(back);
		json_decref(doc);
		free(yaml);
	}
}

/* A string of pieces that have a meaning in YAML somewhere. */
static json_t *odd_string(struct prng *p)
{
	static const char *const pieces[] = { "a",
					      "b c",
					      ":",
					      ": ",
					      " #",
					      "#",
					      "-",
					      "- ",
					      "\n",
					      "\n\n",
					      " ",
					      "  ",
					      "'",
					      "\"",
					      "\\",
					      "{",
					      "}",
					      "[",
					      "]",
					      ",",
					      "&",
					      "*",
					      "!",
					      "|",
					      ">",
					      "%",
					      "@",
					      "`",
					      "?",
					      "~",
					      "null",
					      "on",
					      "1",
					      ".",
					      "e3",
					      "0x1",
					      "true",
					      "---",
					      "...",
					      "\t",
					      "\r",
					      "\x01",
					      "\x7f",
					      "\xc3\xa4",
					      "\xc2\x85",
					      "\xe2\x80\xa8",
					      "\xef\xbb\xbf",
					      "\xf0\x9f\x98\x80",
					      "=",
					      "<<",
					      "_" };
	struct str b = { 0 };

	for (uint64_t n = prng_below(p, 6); n > 0; n--)
		str_add(&b, pieces[prng_below(p, ARRAY_SIZE(pieces))]);
	json_t *v = json_string(b.s ? b.s : "");
	str_done(&b);
	return v;
}

static json_t *odd_value(struct prng *p, int depth)
{
	json_t *v;

	switch (prng_below(p, depth > 5 ? 5 : 7)) {
	case 0:
		return json_integer((json_int_t)prng_next(p));
	case 1:
		return json_real((double)(int64_t)prng_next(p) / (double)(1 + prng_below(p, 1000)));
	case 2:
		return prng_below(p, 3) ? json_boolean(prng_below(p, 2)) : json_null();
	case 3:
	case 4:
		return odd_string(p);
	case 5:
		v = json_array();
		for (uint64_t n = prng_below(p, 4); n > 0; n--)
			json_array_append_new(v, odd_value(p, depth + 1));
		return v;
	default:
		v = json_object();
		for (uint64_t n = prng_below(p, 4); n > 0; n--) {
			json_t *key = odd_string(p);
			if (json_string_length(key) && strcmp(json_string_value(key), "<<") != 0)
				json_object_set_new(v, json_string_value(key), odd_value(p, depth + 1));
			json_decref(key);
		}
		return v;
	}
}

static void test_dump_reads_back(void **state)
{
	struct prng p = { 20260822 };

	for (int i = 0; i < 20000; i++) {
		json_t *doc = json_object();
		json_object_set_new(doc, "v", odd_value(&p, 0));
		char *text = yaml_dump(doc);
		json_t *back = doc_of(text);
		if (!json_equal(doc, back))
			fail_msg("seed step %d:\n%s", i, text);
		json_decref(back);
		json_decref(doc);
		free(text);
	}
}

/* A user's mistake, end to end: the sentence that `korat apply` prints. */
static void test_message_of_a_mistake(void **state)
{
	struct yaml y = parsed("apiVersion: projectcalico.org/v3\nkind: IPPool\nmetadata:\n  name: p\nspec:\n"
			       "  cidr: 10.0.0.0/16\n  blocksize: 26\n");
	char field[KIND_FIELD_MAX];
	struct err e;
	json_t *doc = json_deep_copy(yaml_json(&y, 0));

	assert_int_equal(kind_info(KIND_IPPOOL)->check(doc, NULL, true, field, &e), -EINVAL);
	yaml_err(&y, 0, field, &e, "%s", e.msg);
	assert_string_equal(e.msg,
			    "f.yaml:7:3: spec.blocksize: there is no such field: did you mean blockSize?");
	json_decref(doc);
	yaml_done(&y);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_core_schema),
		cmocka_unit_test(test_single_quotes),
		cmocka_unit_test(test_scalars_refused),
		cmocka_unit_test(test_json_is_yaml),
		cmocka_unit_test(test_documents),
		cmocka_unit_test(test_places),
		cmocka_unit_test(test_err),
		cmocka_unit_test(test_syntax_errors),
		cmocka_unit_test(test_keys),
		cmocka_unit_test(test_aliases),
		cmocka_unit_test(test_billion_laughs),
		cmocka_unit_test(test_depth),
		cmocka_unit_test(test_bytes),
		cmocka_unit_test(test_size),
		cmocka_unit_test(test_runs),
		cmocka_unit_test(test_files),
		cmocka_unit_test(test_dump),
		cmocka_unit_test(test_dump_reads_back),
		cmocka_unit_test(test_dump_of_runs),
		cmocka_unit_test(test_message_of_a_mistake),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
