/* Results, letter by letter, per version; and what is no result. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/check.h"
#include "base/own.h"
#include "base/str.h"
#include "cni/result.h"

#include <string.h>

static const struct args args = { .ifname = "eth0", .netns = "/var/run/netns/cni-1" };

static const char answer[] =
	"{\"hostInterface\":\"calic440f455693\",\"mac\":\"9e:41:0c:aa:bb:cc\",\"mtu\":1440,"
	"\"addresses\":[\"fd00:10:244::a680/128\",\"10.8.112.2/32\"],"
	"\"routes\":[{\"dst\":\"10.8.112.2/26\"}],"
	"\"sysctls\":[[\"net/ipv4/ip_forward\",\"0\"]]}";

static const char want_100[] = "{\n"
			       "    \"cniVersion\": \"1.0.0\",\n"
			       "    \"interfaces\": [\n"
			       "        {\n"
			       "            \"name\": \"calic440f455693\"\n"
			       "        },\n"
			       "        {\n"
			       "            \"mac\": \"9e:41:0c:aa:bb:cc\",\n"
			       "            \"mtu\": 1440,\n"
			       "            \"name\": \"eth0\",\n"
			       "            \"sandbox\": \"/var/run/netns/cni-1\"\n"
			       "        }\n"
			       "    ],\n"
			       "    \"ips\": [\n"
			       "        {\n"
			       "            \"address\": \"10.8.112.2/32\",\n"
			       "            \"interface\": 1\n"
			       "        },\n"
			       "        {\n"
			       "            \"address\": \"fd00:10:244::a680/128\",\n"
			       "            \"interface\": 1\n"
			       "        }\n"
			       "    ],\n"
			       "    \"routes\": [\n"
			       "        {\n"
			       "            \"dst\": \"10.8.112.2/26\"\n"
			       "        }\n"
			       "    ]\n"
			       "}";

/* The old formats differ in nothing but the version, which goes where %s is. */
static const char want_old[] = "{\n"
			       "    \"cniVersion\": \"%s\",\n"
			       "    \"interfaces\": [\n"
			       "        {\n"
			       "            \"name\": \"calic440f455693\"\n"
			       "        },\n"
			       "        {\n"
			       "            \"name\": \"eth0\",\n"
			       "            \"mac\": \"9e:41:0c:aa:bb:cc\",\n"
			       "            \"sandbox\": \"/var/run/netns/cni-1\"\n"
			       "        }\n"
			       "    ],\n"
			       "    \"ips\": [\n"
			       "        {\n"
			       "            \"version\": \"4\",\n"
			       "            \"interface\": 1,\n"
			       "            \"address\": \"10.8.112.2/32\"\n"
			       "        },\n"
			       "        {\n"
			       "            \"version\": \"6\",\n"
			       "            \"interface\": 1,\n"
			       "            \"address\": \"fd00:10:244::a680/128\"\n"
			       "        }\n"
			       "    ],\n"
			       "    \"routes\": [\n"
			       "        {\n"
			       "            \"dst\": \"10.8.112.2/26\"\n"
			       "        }\n"
			       "    ],\n"
			       "    \"dns\": {}\n"
			       "}";

static char *format(const char *json, const char *version)
{
	json_t *j = json_loads(json, 0, NULL);
	struct result r;
	struct fault f;

	assert_int_equal(result_parse(j, &r, &f), 0);
	char *s = result_format(&r, &args, version_find(version));
	json_decref(j);
	return s;
}

static void test_golden(void **state)
{
	static const char *const old[] = { "0.3.0", "0.3.1", "0.4.0" };
	own_mem char *s = format(answer, "1.0.0");

	assert_string_equal(s, want_100);
	for (size_t i = 0; i < ARRAY_SIZE(old); i++) {
		own_mem char *got = format(answer, old[i]);
		own_mem char *want = xasprintf(want_old, old[i]);
		assert_string_equal(got, want);
	}
}

/* No MTU, no routes: the members are left out. */
static void test_least(void **state)
{
	own_mem char *s = format(
		"{\"hostInterface\":\"h\",\"mac\":\"02:00:00:00:00:01\",\"addresses\":[\"10.0.0.1/32\"]}",
		"1.0.0");

	assert_null(strstr(s, "mtu"));
	assert_null(strstr(s, "routes"));
	assert_null(strstr(s, "dns"));
	assert_int_not_equal(s[strlen(s) - 1], '\n');
	own_mem char *t =
		format("{\"hostInterface\":\"h\",\"mac\":\"02:00:00:00:00:01\",\"mtu\":0,\"routes\":[],"
		       "\"addresses\":[\"10.0.0.1/32\"],\"sysctls\":[]}",
		       "1.0.0");
	assert_string_equal(s, t);
}

static void test_sysctls(void **state)
{
	json_t *j = json_loads(answer, 0, NULL);
	struct result r;
	struct fault f;

	assert_int_equal(result_parse(j, &r, &f), 0);
	assert_int_equal(r.nsysctls, 1);
	assert_string_equal(r.sysctls[0].name, "net/ipv4/ip_forward");
	assert_string_equal(r.sysctls[0].value, "0");
	json_decref(j);
}

static void test_nonsense(void **state)
{
	static const struct {
		const char *key, *value;
	} bad[] = {
		{ "hostInterface", "null" },
		{ "hostInterface", "\"\"" },
		{ "hostInterface", "\"abcdefghijklmnop\"" },
		{ "hostInterface", "5" },
		{ "mac", "null" },
		{ "mac", "\"xx\"" },
		{ "mtu", "-1" },
		{ "mtu", "\"1500\"" },
		{ "mtu", "4294967296" },
		{ "addresses", "null" },
		{ "addresses", "[]" },
		{ "addresses", "[5]" },
		{ "addresses", "[\"10.0.0.1\"]" },
		{ "addresses", "[\"x/32\"]" },
		{ "addresses", "{}" },
		{ "routes", "{}" },
		{ "routes", "[{}]" },
		{ "routes", "[{\"dst\":\"x\"}]" },
		{ "routes", "[\"10.0.0.0/8\"]" },
		{ "sysctls", "{}" },
		{ "sysctls", "[\"a\"]" },
		{ "sysctls", "[[\"a\"]]" },
		{ "sysctls", "[[\"a\",0]]" },
		{ "sysctls", "[[\"a\",\"b\",\"c\"]]" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		json_t *j = json_loads(answer, 0, NULL);
		struct result r;
		struct fault f;
		json_object_set_new(j, bad[i].key, json_loads(bad[i].value, JSON_DECODE_ANY, NULL));
		assert_int_equal(result_parse(j, &r, &f), -1);
		assert_int_equal(f.code, FAULT_PLUGIN);
		assert_non_null(strstr(f.msg, bad[i].key));
		json_decref(j);
	}
}

static int parse_many(const char *key, const char *value, int n)
{
	json_t *j = json_loads(answer, 0, NULL), *list = json_array();
	struct result r;
	struct fault f;

	for (int i = 0; i < n; i++)
		json_array_append_new(list, json_loads(value, JSON_DECODE_ANY, NULL));
	json_object_set_new(j, key, list);
	int code = result_parse(j, &r, &f);
	json_decref(j);
	return code;
}

static void test_limits(void **state)
{
	for (int over = 0; over < 2; over++) {
		assert_int_equal(parse_many("addresses", "\"10.0.0.1/32\"", RESULT_ADDRESSES_MAX + over),
				 -over);
		assert_int_equal(
			parse_many("routes", "{\"dst\":\"10.0.0.1/26\"}", RESULT_ADDRESSES_MAX + over),
			-over);
		assert_int_equal(parse_many("sysctls", "[\"net/x\",\"1\"]", RESULT_SYSCTLS_MAX + over),
				 -over);
	}
}

static void test_version(void **state)
{
	own_mem char *s = version_format();

	assert_string_equal(
		s,
		"{\"cniVersion\":\"1.0.0\",\"supportedVersions\":[\"0.3.0\",\"0.3.1\",\"0.4.0\",\"1.0.0\"]}");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_golden),	cmocka_unit_test(test_least),
		cmocka_unit_test(test_sysctls), cmocka_unit_test(test_nonsense),
		cmocka_unit_test(test_limits),	cmocka_unit_test(test_version),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
