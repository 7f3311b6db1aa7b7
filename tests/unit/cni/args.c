/* The environment: what each verb needs, and the grammar of every value. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/check.h"
#include "base/own.h"
#include "cni/args.h"

#include <stdio.h>
#include <string.h>

static struct args_env good(const char *command)
{
	return (struct args_env){ .command = command,
				  .container_id = "0a1b2c",
				  .netns = "/run/netns/x",
				  .ifname = "eth0",
				  .args = "",
				  .path = "/opt/cni/bin",
				  .netns_override = "" };
}

/* The code of the fault, or 0; the sentence must contain word. */
static int code_of(const struct args_env *env, const char *word)
{
	struct args a = { 0 };
	struct fault f = { 0 };

	if (args_parse(env, &a, &f) == 0) {
		args_done(&a);
		return 0;
	}
	if (word && !strstr(f.msg, word))
		fail_msg("no \"%s\" in \"%s\"", word, f.msg);
	return f.code;
}

static void test_verbs(void **state)
{
	static const struct {
		const char *name;
		enum verb verb;
	} cases[] = { { "ADD", VERB_ADD },	   { "DEL", VERB_DEL },	     { "CHECK", VERB_CHECK },
		      { "VERSION", VERB_VERSION }, { "GC", VERB_GC },	     { "STATUS", VERB_STATUS },
		      { "add", VERB_UNKNOWN },	   { "ADD ", VERB_UNKNOWN }, { "", VERB_UNKNOWN } };
	struct args a;
	struct fault f;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct args_env env = good(cases[i].name);
		assert_int_equal(args_parse(&env, &a, &f), 0);
		assert_int_equal(a.verb, cases[i].verb);
		args_done(&a);
	}
}

static void test_needed(void **state)
{
	static const struct {
		const char *verb;
		bool id, netns, ifname, path;
	} cases[] = { { "ADD", 1, 1, 1, 1 }, { "CHECK", 1, 1, 1, 1 },  { "DEL", 1, 0, 1, 1 },
		      { "GC", 0, 0, 0, 1 },  { "STATUS", 0, 0, 0, 1 }, { "VERSION", 0, 0, 0, 0 } };

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct args_env env = good(cases[i].verb);
		env.container_id = "";
		assert_int_equal(code_of(&env, "CNI_CONTAINERID"), cases[i].id ? FAULT_ENV : 0);
		env = good(cases[i].verb);
		env.netns = "";
		assert_int_equal(code_of(&env, "CNI_NETNS"), cases[i].netns ? FAULT_ENV : 0);
		env = good(cases[i].verb);
		env.ifname = "";
		assert_int_equal(code_of(&env, "CNI_IFNAME"), cases[i].ifname ? FAULT_ENV : 0);
		env = good(cases[i].verb);
		env.path = "";
		assert_int_equal(code_of(&env, "CNI_PATH"), cases[i].path ? FAULT_ENV : 0);
	}
	struct args_env env = { "ADD", "", "", "", "", "", "" };
	assert_int_equal(code_of(&env, "CNI_CONTAINERID, CNI_NETNS, CNI_IFNAME, CNI_PATH"), FAULT_ENV);
}

static void test_ifname(void **state)
{
	static const char *const ok[] = { "eth0", "a", "net1.5", "abcdefghijklmno", "...", "e-_@" };
	static const char *const bad[] = {
		"abcdefghijklmnop", ".", "..", "a/b", "a:b", "a b", "eth%d", "a\tb", "a\n", "\xc3\xbc", "\x7f"
	};
	struct args_env env = good("ADD");

	for (size_t i = 0; i < ARRAY_SIZE(ok); i++) {
		env.ifname = ok[i];
		assert_int_equal(code_of(&env, NULL), 0);
	}
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		env.ifname = bad[i];
		assert_int_equal(code_of(&env, "CNI_IFNAME"), FAULT_ENV);
	}
}

static void test_container_id(void **state)
{
	char id[ARGS_ID_MAX + 2];
	struct args_env env = good("DEL");
	static const char *const bad[] = { "../x", "a/b", "-a", "_a", ".a", "a b", "a\nb", "\xc3\xbc" };

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		env.container_id = bad[i];
		assert_int_equal(code_of(&env, "CNI_CONTAINERID"), FAULT_ENV);
	}
	memset(id, 'a', sizeof(id));
	id[ARGS_ID_MAX + 1] = '\0';
	env.container_id = id;
	assert_int_equal(code_of(&env, "CNI_CONTAINERID"), FAULT_ENV);
	id[ARGS_ID_MAX] = '\0';
	assert_int_equal(code_of(&env, NULL), 0);
	env.container_id = "A9_.-z";
	assert_int_equal(code_of(&env, NULL), 0);
}

static void test_netns(void **state)
{
	char path[ARGS_NETNS_MAX + 2];
	struct args_env env = good("ADD");

	memset(path, '/', sizeof(path));
	path[ARGS_NETNS_MAX + 1] = '\0';
	env.netns = path;
	assert_int_equal(code_of(&env, "CNI_NETNS"), FAULT_ENV);
	path[ARGS_NETNS_MAX] = '\0';
	assert_int_equal(code_of(&env, NULL), 0);
	env.netns = "/a\nb";
	assert_int_equal(code_of(&env, "CNI_NETNS"), FAULT_ENV);
	env.netns = "/\xff";
	assert_int_equal(code_of(&env, "CNI_NETNS"), FAULT_ENV);
}

static void test_override(void **state)
{
	static const struct {
		const char *text;
		bool on;
	} cases[] = { { "1", true }, { "TRUE", true }, { "true", true },
		      { "", false }, { "0", false },   { "yes", false } };
	struct args a;
	struct fault f;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct args_env env = good("ADD");
		env.netns_override = cases[i].text;
		assert_int_equal(args_parse(&env, &a, &f), 0);
		assert_int_equal(a.own_netns_ok, cases[i].on);
		args_done(&a);
	}
}

static void test_pairs(void **state)
{
	struct args_env env = good("ADD");
	struct args a;
	struct fault f;

	env.args =
		"IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME=nginx-1.x;IP=10.8.112.2;X=;Y=a \"b\"";
	assert_int_equal(args_parse(&env, &a, &f), 0);
	json_t *want =
		json_pack("{s:s,s:s,s:s,s:s,s:s,s:s}", "IgnoreUnknown", "1", "K8S_POD_NAMESPACE", "default",
			  "K8S_POD_NAME", "nginx-1.x", "IP", "10.8.112.2", "X", "", "Y", "a \"b\"");
	assert_true(json_equal(a.pairs, want));
	json_decref(want);
	args_done(&a);
	env.args = "";
	assert_int_equal(args_parse(&env, &a, &f), 0);
	assert_int_equal(json_object_size(a.pairs), 0);
	args_done(&a);
}

static void test_bad_pairs(void **state)
{
	static const char *const bad[] = {
		";",
		"A",
		"A=1;",
		";A=1",
		"A=1;;B=2",
		"=1",
		"A=1=2",
		"A=b\nc",
		"A=\xff",
		"\xff=a",
		"A=1;A=2",
		"IgnoreUnknown=",
		"IgnoreUnknown=maybe",
		"IgnoreUnknown=0;FOO=1",
		"FOO=1;IgnoreUnknown=false",
		"IgnoreUnknown=1;FOO=1;IgnoreUnknown=0",
		"K8S_POD_NAME=Upper",
		"K8S_POD_NAME=-a",
		"K8S_POD_NAME=a-",
		"K8S_POD_NAME=a..b",
		"K8S_POD_NAME=a.-b",
		"K8S_POD_NAME=a-.b",
		"K8S_POD_NAME=a/b",
		"K8S_POD_NAME=.",
		"K8S_POD_NAMESPACE=a.b",
		"K8S_POD_NAMESPACE=a_b",
		"K8S_POD_NAMESPACE=aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
	};
	static const char *const ok[] = {
		"FOO=1",
		"FOO=1;FOO=1",
		"IgnoreUnknown=1;IgnoreUnknown=true",
		"IgnoreUnknown=0;K8S_POD_NAME=a;IP=x;MAC=y",
		"IgnoreUnknown=False",
		"K8S_POD_NAME=a--b.c-1.2",
		"K8S_POD_NAME=",
		"IgnoreUnknown=0;IgnoreUnknown=1;FOO=1",
		"K8S_POD_NAMESPACE=aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
	};
	struct args_env env = good("ADD");

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		env.args = bad[i];
		if (code_of(&env, "CNI_ARGS") != FAULT_ENV)
			fail_msg("\"%s\" is accepted", bad[i]);
	}
	for (size_t i = 0; i < ARRAY_SIZE(ok); i++) {
		env.args = ok[i];
		if (code_of(&env, NULL) != 0)
			fail_msg("\"%s\" is refused", ok[i]);
	}
}

static void test_long_pairs(void **state)
{
	char s[ARGS_PAIRS_MAX + 2];
	struct args_env env = good("ADD");

	memset(s, 'a', sizeof(s));
	memcpy(s, "A=", 2);
	s[ARGS_PAIRS_MAX + 1] = '\0';
	env.args = s;
	assert_int_equal(code_of(&env, "CNI_ARGS"), FAULT_ENV);
	s[ARGS_PAIRS_MAX] = '\0';
	assert_int_equal(code_of(&env, NULL), 0);
	env = good("VERSION"); /* which does not look at it */
	env.args = "junk";
	assert_int_equal(code_of(&env, NULL), 0);
}

static void test_env(void **state)
{
	setenv("CNI_COMMAND", "DEL", 1);
	unsetenv("CNI_ARGS");
	setenv("CNI_NETNS_OVERRIDE", "1", 1);
	struct args_env env = args_env();
	assert_string_equal(env.command, "DEL");
	assert_string_equal(env.args, "");
	assert_string_equal(env.netns_override, "1");
}

/* Whatever the sentence quotes, it can be printed. */
static void test_fault_format(void **state)
{
	struct fault f;

	fault_set_details(&f, 4, "why", "bad \xff byte and \"quote\"\n");
	own_mem char *s = fault_format(&f, "0.4.0");
	assert_string_equal(
		s, "{\n    \"cniVersion\": \"0.4.0\",\n    \"code\": 4,\n    \"msg\": \"bad ? byte and "
		   "\\\"quote\\\"\\n\",\n    \"details\": \"why\"\n}");
	fault_set(&f, 11, "later");
	own_mem char *t = fault_format(&f, "1.0.0");
	assert_string_equal(
		t, "{\n    \"cniVersion\": \"1.0.0\",\n    \"code\": 11,\n    \"msg\": \"later\"\n}");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_verbs),	     cmocka_unit_test(test_needed),
		cmocka_unit_test(test_ifname),	     cmocka_unit_test(test_container_id),
		cmocka_unit_test(test_netns),	     cmocka_unit_test(test_override),
		cmocka_unit_test(test_pairs),	     cmocka_unit_test(test_bad_pairs),
		cmocka_unit_test(test_long_pairs),   cmocka_unit_test(test_env),
		cmocka_unit_test(test_fault_format),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
