/* Namespaces and their settings, on the real kernel. */
#include "place.h"

#include "kern/sysctl.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>

static ino_t own_inode(void)
{
	struct stat st;

	assert_int_equal(stat("/proc/thread-self/ns/net", &st), 0);
	return st.st_ino;
}

static void test_add_and_delete(void **state)
{
	char name[64], cmd[256];
	ino_t before = own_inode();

	NEED_ROOT();
	snprintf(name, sizeof(name), "korat-t-kern-a%d", getpid());
	OK(netns_add(name, &e));
	assert_int_equal(own_inode(), before);
	assert_int_equal(netns_add(name, NULL), -EEXIST);
	snprintf(cmd, sizeof(cmd), "ip netns exec %s ip -o link", name);
	own_mem char *links = place_run(cmd);
	assert_non_null(strstr(links, "1: lo: <LOOPBACK> "));
	assert_null(strstr(links, "\n2:"));
	snprintf(cmd, sizeof(cmd), "ip netns list | grep -qw %s", name);
	place_do(cmd);

	own_fd int ns = netns_open_name(name, NULL);
	assert_true(ns >= 0);
	assert_true(netns_is(ns));
	assert_int_equal(netns_is_own(ns), 0);
	OK(netns_del(name, &e));
	assert_int_equal(netns_del(name, NULL), -ENOENT);
	assert_int_equal(netns_open_name(name, NULL), -ENOENT);
}

/* Both tools can delete what the other one made. */
static void test_iproute2(void **state)
{
	char name[64], cmd[256];

	NEED_ROOT();
	snprintf(name, sizeof(name), "korat-t-kern-b%d", getpid());
	snprintf(cmd, sizeof(cmd), "ip netns add %s", name);
	place_do(cmd);
	assert_int_equal(netns_add(name, NULL), -EEXIST);
	OK(netns_del(name, &e));
	OK(netns_add(name, &e));
	snprintf(cmd, sizeof(cmd), "ip netns del %s", name);
	place_do(cmd);
	assert_int_equal(netns_open_name(name, NULL), -ENOENT);
}

/* An add that was killed leaves a file with nothing mounted on it. */
static void test_leftover_file(void **state)
{
	char name[64], path[128];

	NEED_ROOT();
	snprintf(name, sizeof(name), "korat-t-kern-c%d", getpid());
	snprintf(path, sizeof(path), "/run/netns/%s", name);
	int fd = open(path, O_RDONLY | O_CREAT | O_CLOEXEC, 0);
	assert_true(fd >= 0);
	close(fd);
	assert_int_equal(netns_open_name(name, NULL), -EINVAL);
	OK(netns_del(name, &e));
	assert_int_equal(netns_del(name, NULL), -ENOENT);
}

static void test_names(void **state)
{
	static const char *const bad[] = { "", ".", "..", "a/b", "/etc" };

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		assert_int_equal(netns_add(bad[i], NULL), -EINVAL);
		assert_int_equal(netns_del(bad[i], NULL), -EINVAL);
		assert_int_equal(netns_open_name(bad[i], NULL), -EINVAL);
	}
}

static void test_what_is_none(void **state)
{
	static const char *const others[] = {
		"/", "/dev/null", "/dev/zero", "/proc/self/ns/mnt", "/proc/self/ns/user", "/proc/self/status"
	};
	char fifo[] = "/tmp/korat-t-kern-XXXXXX";
	struct err e = { 0 };

	for (size_t i = 0; i < ARRAY_SIZE(others); i++)
		assert_int_equal(netns_open(others[i], &e), -EINVAL);
	assert_string_equal(e.msg, "/proc/self/status is not a network namespace");
	assert_int_equal(netns_open("/run/netns/korat-t-kern-none", NULL), -ENOENT);
	assert_non_null(mkdtemp(fifo));
	assert_int_equal(rmdir(fifo), 0);
	assert_int_equal(mkfifo(fifo, 0600), 0);
	assert_int_equal(netns_open(fifo, NULL), -EINVAL);
	unlink(fifo);
	assert_false(netns_is(-1));
	own_fd int own = netns_open("/proc/self/ns/net", NULL);
	assert_int_equal(netns_is_own(own), 1);
}

static void count(void *arg, pid_t pid)
{
	pid_t *want = arg;

	assert_int_equal(pid, *want);
	*want = -pid;
}

static void test_pids(void **state)
{
	char name[64];
	int up[2];

	NEED_ROOT();
	snprintf(name, sizeof(name), "korat-t-kern-d%d", getpid());
	OK(netns_add(name, &e));
	own_fd int ns = netns_open_name(name, NULL);
	assert_int_equal(pipe2(up, O_CLOEXEC), 0);
	pid_t kid = fork();
	if (kid == 0) {
		if (netns_enter(ns, NULL) < 0 || write(up[1], "", 1) != 1)
			_exit(1);
		pause();
		_exit(0);
	}
	char c;
	assert_int_equal(read(up[0], &c, 1), 1);
	pid_t seen = kid;
	OK(netns_pids(ns, count, &seen, &e));
	assert_int_equal(seen, -kid);
	kill(kid, SIGKILL);
	waitpid(kid, NULL, 0);
	close(up[0]);
	close(up[1]);
	OK(netns_del(name, &e));
}

static void test_sysctl(void **state)
{
	struct place *p = *state;
	char buf[64], name[64];

	NEED_ROOT();
	OK(sysctl_write("net/ipv4/ip_forward", "1", &e));
	OK(sysctl_read("net/ipv4/ip_forward", buf, sizeof(buf), &e));
	assert_string_equal(buf, "1");
	assert_int_equal(sysctl_read("net/ipv4/no_such_thing", buf, sizeof(buf), NULL), -ENOENT);
	assert_int_equal(sysctl_write("net/ipv4/conf/all/rp_filter", "many", NULL), -EINVAL);

	/* In another namespace, of an interface with a dot in its name; here it does not exist. */
	snprintf(name, sizeof(name), "korat-t-kern-e%d", getpid());
	OK(netns_add(name, &e));
	own_fd int ns = netns_open_name(name, NULL);
	struct link_veth v = { .name = "kv0", .peer_name = "kv.1", .ns_fd = -1, .peer_ns_fd = ns };
	OK(link_add_veth(p->nl, &v, &e));
	OK(sysctl_write_in(ns, "net/ipv4/conf/kv.1/proxy_arp", "1", &e));
	assert_int_equal(sysctl_write("net/ipv4/conf/kv.1/proxy_arp", "1", NULL), -ENOENT);
	OK(netns_enter(ns, &e));
	OK(sysctl_read("net/ipv4/conf/kv.1/proxy_arp", buf, sizeof(buf), &e));
	assert_string_equal(buf, "1");
	OK(sysctl_read("net/ipv4/ip_forward", buf, sizeof(buf), &e));
	assert_string_equal(buf, "0");
	OK(netns_enter(p->ns, &e));
	OK(netns_del(name, &e));
}

static void test_sysctl_names(void **state)
{
	static const char *const bad[] = { "",
					   "net",
					   "net/",
					   "/net/ipv4/ip_forward",
					   "net//ip_forward",
					   "..",
					   "net/../kernel/panic",
					   "net/./ipv4",
					   "kernel/panic",
					   "net/ipv4/",
					   "net/ipv4/conf/../ip_forward" };
	char buf[8];

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		assert_int_equal(sysctl_write(bad[i], "1", NULL), -EINVAL);
		assert_int_equal(sysctl_read(bad[i], buf, sizeof(buf), NULL), -EINVAL);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_add_and_delete), cmocka_unit_test(test_iproute2),
		cmocka_unit_test(test_leftover_file),  cmocka_unit_test(test_names),
		cmocka_unit_test(test_what_is_none),   cmocka_unit_test(test_pids),
		cmocka_unit_test(test_sysctl),	       cmocka_unit_test(test_sysctl_names),
	};

	return cmocka_run_group_tests(tests, place_enter, place_leave);
}
