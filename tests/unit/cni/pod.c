/* What is not a pod's namespace is refused, whatever it is; names of settings are checked before anything is
 * written. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/check.h"
#include "base/own.h"
#include "cni/pod.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void test_not_a_namespace(void **state)
{
	char dir[] = "/tmp/korat-t-cni-XXXXXX", fifo[64], link[64];
	struct fault f;
	bool own;
	int fd = -7;

	assert_non_null(mkdtemp(dir));
	snprintf(fifo, sizeof(fifo), "%s/fifo", dir);
	snprintf(link, sizeof(link), "%s/link", dir);
	assert_int_equal(mkfifo(fifo, 0600), 0);
	assert_int_equal(symlink(link, link), 0);
	const char *const bad[] = { dir,
				    fifo,
				    link,
				    "/etc/passwd",
				    "/dev/null",
				    "/proc/self/ns/mnt",
				    "/proc/self/ns/pid",
				    "/nope",
				    "/etc/passwd/x",
				    "/proc/self/stat",
				    "relative" };
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		assert_int_equal(pod_open(bad[i], &fd, &own, &f), -1);
		assert_int_equal(f.code, FAULT_NETNS);
		assert_int_equal(fd, -7);
	}
	unlink(fifo);
	unlink(link);
	rmdir(dir);
}

static void test_own(void **state)
{
	struct fault f;
	bool own = false;
	int fd;

	assert_int_equal(pod_open("/proc/self/ns/net", &fd, &own, &f), 0);
	assert_true(own);
	assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
	close(fd);
}

static void test_sysctl_refused(void **state)
{
	static const char *const names[] = {
		"",	   "net",      "net/",	  "kernel/hostname", "net/../kernel/hostname",
		"net//x",  "net/x/",   "net/./x", "/net/x",	     "net/ipv4/../../kernel/core_pattern",
		"net/a b", "net/a\nb", "../proc", "net/..",	     "net/...",
	};
	static const char *const values[] = {
		"", "a\nb", "\x01", "a\x7f",
		"00000000000000000000000000000000000000000000000000000000000000000"
	};
	struct fault f;

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		assert_int_equal(pod_sysctl(names[i], "0", &f), -1);
		if (f.code != FAULT_PLUGIN)
			fail_msg("\"%s\" was tried", names[i]);
	}
	for (size_t i = 0; i < ARRAY_SIZE(values); i++) {
		assert_int_equal(pod_sysctl("net/korat/absent", values[i], &f), -1);
		assert_int_equal(f.code, FAULT_PLUGIN);
	}
	/* A good name that does not exist is tried. */
	assert_int_equal(pod_sysctl("net/korat.1/absent_x-y", "1 2", &f), -1);
	assert_int_equal(f.code, FAULT_IO);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_not_a_namespace),
		cmocka_unit_test(test_own),
		cmocka_unit_test(test_sysctl_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
