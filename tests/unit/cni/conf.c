/* The configuration: reading within bounds, what is refused with which code, and versions by verb. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/check.h"
#include "base/own.h"
#include "base/str.h"
#include "cni/conf.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static int code_of_bytes(const char *s, size_t n)
{
	struct conf c;
	struct fault f;

	if (conf_parse(s, n, &c, &f) == 0) {
		conf_done(&c);
		return 0;
	}
	assert_true(strlen(f.msg) > 10);
	return f.code;
}

static int code_of(const char *s)
{
	return code_of_bytes(s, strlen(s));
}

static void test_parse(void **state)
{
	const char *s =
		"{\"cniVersion\":\"0.3.1\",\"name\":\"k8s-pod-network\",\"type\":\"korat-cni\",\"more\":[1]}";
	struct conf c;
	struct fault f;

	assert_int_equal(conf_parse(s, strlen(s), &c, &f), 0);
	assert_string_equal(c.name, "k8s-pod-network");
	assert_string_equal(c.version->text, "0.3.1");
	assert_int_equal(conf_check(&c, VERB_ADD, &f), 0);
	assert_string_equal(c.socket, CONF_SOCKET);
	assert_int_equal(json_object_size(c.root), 4);
	conf_done(&c);
}

static void test_codes(void **state)
{
	static const struct {
		const char *s;
		int code;
	} cases[] = {
		{ "", FAULT_JSON },
		{ "nonsense", FAULT_JSON },
		{ "[]", FAULT_JSON },
		{ "\"x\"", FAULT_JSON },
		{ "{\"name\":\"a\"", FAULT_JSON },
		{ "{\"name\":\"a\"} trailing", FAULT_JSON },
		{ "{\"name\":\"a\",\"name\":\"b\"}", FAULT_JSON },
		{ "{\"name\":\"a\",\"x\":{\"ipam\":1,\"ipam\":2}}", FAULT_JSON },
		{ "{\"name\":\"\\u0000\"}", FAULT_JSON },
		{ "{\"name\":\"\xff\"}", FAULT_JSON },
		{ "{\"name\":5}", FAULT_JSON },
		{ "{\"name\":\"a\",\"cniVersion\":1}", FAULT_JSON },
		{ "{\"name\":\"a\",\"mtu\":99999999999999999999}", FAULT_JSON },
		{ "{}", FAULT_CONFIG },
		{ "{\"name\":\"\"}", FAULT_CONFIG },
		{ "{\"name\":\"-a\"}", FAULT_CONFIG },
		{ "{\"name\":\"a b\"}", FAULT_CONFIG },
		{ "{\"name\":\"../a\"}", FAULT_CONFIG },
		{ "{\"name\":\"a\"}", 0 },
		{ " {\"name\":\"A-_.9\",\"cniVersion\":\"\"}\n", 0 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		if (code_of(cases[i].s) != cases[i].code)
			fail_msg("%s: code %d", cases[i].s, code_of(cases[i].s));
	assert_int_equal(code_of_bytes("{\"name\":\"a\"}\0", 13), FAULT_JSON);
	assert_int_equal(code_of_bytes("{\"name\":\"a\0b\"}", 14), FAULT_JSON);
}

static int code_of_depth(int depth)
{
	own_str struct str b = { 0 };

	str_add(&b, "{\"name\":\"a\",\"x\":");
	for (int i = 1; i < depth; i++)
		str_add(&b, "[");
	for (int i = 1; i < depth; i++)
		str_add(&b, "]");
	str_add(&b, "}");
	return code_of(b.s);
}

static int code_of_values(size_t n)
{
	own_str struct str b = { 0 };

	str_add(&b, "{\"name\":\"a\",\"x\":[0");
	for (size_t i = 4; i < n; i++)
		str_add(&b, ",0");
	str_add(&b, "]}");
	return code_of(b.s);
}

static void test_limits(void **state)
{
	assert_int_equal(code_of_depth(CONF_DEPTH_MAX), 0);
	assert_int_equal(code_of_depth(CONF_DEPTH_MAX + 1), FAULT_JSON);
	assert_int_equal(code_of_depth(100000), FAULT_JSON);
	assert_int_equal(code_of_values(CONF_VALUES_MAX), 0);
	assert_int_equal(code_of_values(CONF_VALUES_MAX + 1), FAULT_JSON);
}

static int check(const char *version, enum verb verb, const char *more)
{
	own_mem char *s = xasprintf("{\"name\":\"a\",\"cniVersion\":\"%s\"%s}", version, more);
	struct conf c;
	struct fault f;

	assert_int_equal(conf_parse(s, strlen(s), &c, &f), 0);
	int code = conf_check(&c, verb, &f) < 0 ? f.code : 0;
	if (code == FAULT_VERSION)
		assert_non_null(strstr(f.details, "0.3.0, 0.3.1, 0.4.0, 1.0.0"));
	conf_done(&c);
	return code;
}

static void test_versions(void **state)
{
	static const struct {
		const char *version;
		int add, check;
	} cases[] = {
		{ "0.3.0", 0, 1 }, { "0.3.1", 0, 1 },  { "0.4.0", 0, 0 },     { "1.0.0", 0, 0 },
		{ "1.1.0", 1, 1 }, { "0.2.0", 1, 1 },  { "0.1.0", 1, 1 },     { "", 1, 1 },
		{ "1.0", 1, 1 },   { "01.0.0", 1, 1 }, { "99999.0.0", 1, 1 }, { "x", 1, 1 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		assert_int_equal(check(cases[i].version, VERB_ADD, ""), cases[i].add);
		assert_int_equal(check(cases[i].version, VERB_DEL, ""), cases[i].add);
		assert_int_equal(check(cases[i].version, VERB_CHECK, ",\"prevResult\":{}"), cases[i].check);
		assert_int_equal(check(cases[i].version, VERB_GC, ""), FAULT_VERSION);
		assert_int_equal(check(cases[i].version, VERB_STATUS, ""), FAULT_VERSION);
	}
}

static void test_members(void **state)
{
	assert_int_equal(check("1.0.0", VERB_CHECK, ""), FAULT_CONFIG);
	assert_int_equal(check("1.0.0", VERB_CHECK, ",\"prevResult\":[]"), FAULT_CONFIG);
	assert_int_equal(check("1.0.0", VERB_CHECK, ",\"prevResult\":null"), FAULT_CONFIG);
	assert_int_equal(check("1.0.0", VERB_ADD, ",\"prevResult\":5"), 0);
	assert_int_equal(check("1.0.0", VERB_ADD, ",\"agent_socket\":\"/x\""), 0);
	assert_int_equal(check("1.0.0", VERB_ADD, ",\"agent_socket\":\"x\""), FAULT_CONFIG);
	assert_int_equal(check("1.0.0", VERB_ADD, ",\"agent_socket\":\"\""), FAULT_CONFIG);
	assert_int_equal(check("1.0.0", VERB_ADD, ",\"agent_socket\":5"), FAULT_CONFIG);
	own_mem char *path = xasprintf(",\"agent_socket\":\"/%0107d\"", 0);
	assert_int_equal(check("1.0.0", VERB_DEL, path), FAULT_CONFIG);
	own_mem char *fits = xasprintf(",\"agent_socket\":\"/%0106d\"", 0);
	assert_int_equal(check("1.0.0", VERB_DEL, fits), 0);
}

/* A child writes what the pipe cannot hold. */
static int read_from_writer(size_t n, int timeout_ms, bool close_it, size_t *ret_n)
{
	int p[2];
	char *s = NULL;
	struct fault f = { 0 };

	assert_int_equal(pipe(p), 0);
	pid_t pid = fork();
	if (pid == 0) {
		own_mem char *buf = xcalloc(n + 1, 1);
		close(p[0]);
		for (size_t at = 0; at < n;) {
			ssize_t k = write(p[1], buf + at, n - at);
			if (k < 0)
				break;
			at += (size_t)k;
		}
		if (!close_it)
			pause();
		_exit(0);
	}
	close(p[1]);
	int r = conf_read(p[0], timeout_ms, &s, ret_n, &f);
	close(p[0]);
	free(s);
	kill(pid, SIGKILL);
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	return r < 0 ? f.code : 0;
}

static void test_read(void **state)
{
	size_t n;
	char *s;
	struct fault f;

	assert_int_equal(read_from_writer(0, 5000, true, &n), 0);
	assert_int_equal(n, 0);
	assert_int_equal(read_from_writer(CONF_BYTES_MAX, 5000, true, &n), 0);
	assert_int_equal(n, CONF_BYTES_MAX);
	assert_int_equal(read_from_writer(CONF_BYTES_MAX + 1, 5000, true, &n), FAULT_JSON);
	assert_int_equal(read_from_writer(100u << 20, 5000, true, &n), FAULT_JSON);
	assert_int_equal(read_from_writer(10, 100, false, &n), FAULT_IO);
	own_fd int dir = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(conf_read(dir, 100, &s, &n, &f), -1);
	assert_int_equal(f.code, FAULT_IO);
	assert_int_equal(conf_read(-1, 50, &s, &n, &f), -1);
	assert_int_equal(f.code, FAULT_IO);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse),	cmocka_unit_test(test_codes),
		cmocka_unit_test(test_limits),	cmocka_unit_test(test_versions),
		cmocka_unit_test(test_members), cmocka_unit_test(test_read),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
