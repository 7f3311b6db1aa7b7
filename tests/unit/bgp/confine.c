/* What a speaker that somebody has taken over can still do: every call here is made by a confined child. */
#include "bgp/confine.h"

#include "base/check.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define NOBODY 65534
#define KILLED (-1)
#define FINE   0

/* FINE, an errno, or KILLED: what becomes of a call in a confined process. */
static int outcome(long nr, long a, long b, long c, long d)
{
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		struct err e = { 0 };
		uid_t uid = geteuid() ? geteuid() : NOBODY;
		gid_t gid = geteuid() ? getegid() : NOBODY;
		confine_begin();
		if (confine_user(uid, gid, &e) < 0 || confine_finish(true, &e) < 0)
			_exit(254);
		long r = syscall(nr, a, b, c, d, 0, 0);
		/* Not by _exit(), before which a sanitizer would make calls of its own. */
		syscall(SYS_exit_group, r < 0 ? errno : FINE);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (WIFSIGNALED(status)) {
		assert_int_equal(WTERMSIG(status), SIGSYS);
		return KILLED;
	}
	assert_int_not_equal(WEXITSTATUS(status), 254);
	return WEXITSTATUS(status);
}

struct attempt {
	const char *name;
	int outcome;
	long nr, a, b, c, d;
};

#define P(s) ((long)(s))

static void try_all(const struct attempt *all, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const struct attempt *t = &all[i];
		int got = outcome(t->nr, t->a, t->b, t->c, t->d);
		if (got != t->outcome)
			fail_msg("%s: %d, not %d", t->name, got, t->outcome);
	}
}

static void no_files(void **state)
{
	const struct attempt all[] = {
		{ "open", EACCES, SYS_open, P("/etc/passwd"), O_RDONLY },
		{ "open /proc", EACCES, SYS_open, P("/proc/self/mem"), O_RDWR },
		{ "openat", EACCES, SYS_openat, AT_FDCWD, P("/tmp/x"), O_CREAT | O_RDWR, 0600 },
		{ "openat2", KILLED, SYS_openat2, AT_FDCWD, P("/etc/passwd"), 0, 0 },
		{ "creat", KILLED, SYS_creat, P("/tmp/x"), 0600 },
		{ "unlink", KILLED, SYS_unlink, P("/tmp/x") },
		{ "rename", KILLED, SYS_rename, P("/tmp/x"), P("/tmp/y") },
		{ "mkdir", KILLED, SYS_mkdir, P("/tmp/x"), 0700 },
		{ "symlink", KILLED, SYS_symlink, P("/tmp/x"), P("/tmp/y") },
		{ "chmod", KILLED, SYS_chmod, P("/tmp"), 0777 },
		{ "mount", KILLED, SYS_mount, P("none"), P("/tmp"), P("tmpfs"), 0 },
		{ "memfd_create", KILLED, SYS_memfd_create, P("x"), 0 },
		{ "open_by_handle_at", KILLED, SYS_open_by_handle_at, AT_FDCWD, 0, 0 },
	};

	try_all(all, ARRAY_SIZE(all));
}

static void no_programs_and_no_other_processes(void **state)
{
	char name[] = "true", *argv[] = { name, NULL };
	const struct attempt all[] = {
		{ "execve", KILLED, SYS_execve, P("/bin/true"), P(argv), 0 },
		{ "execveat", KILLED, SYS_execveat, AT_FDCWD, P("/bin/true"), P(argv), 0 },
		{ "fork", KILLED, SYS_fork },
		{ "clone", KILLED, SYS_clone, SIGCHLD },
		{ "ptrace", KILLED, SYS_ptrace, PTRACE_ATTACH, getpid() },
		{ "process_vm_readv", KILLED, SYS_process_vm_readv, getpid() },
		{ "pidfd_open", KILLED, SYS_pidfd_open, getpid() },
		{ "kill", KILLED, SYS_kill, getpid(), 0 },
		{ "tgkill of another", KILLED, SYS_tgkill, getpid(), getpid(), 0 },
		{ "code", KILLED, SYS_mprotect, 0x10000, 4096, PROT_READ | PROT_EXEC },
		{ "new code", KILLED, SYS_mmap, 0, 4096, PROT_WRITE | PROT_EXEC,
		  MAP_PRIVATE | MAP_ANONYMOUS },
		{ "io_uring_setup", KILLED, SYS_io_uring_setup, 1, 0 },
		{ "bpf", KILLED, SYS_bpf, 0, 0, 0 },
		{ "userfaultfd", KILLED, SYS_userfaultfd, 0 },
	};

	try_all(all, ARRAY_SIZE(all));
}

static void no_way_back(void **state)
{
	const struct attempt all[] = {
		{ "setuid", KILLED, SYS_setuid, 0 },
		{ "setresuid", KILLED, SYS_setresuid, 0, 0, 0 },
		{ "capset", KILLED, SYS_capset, 0, 0 },
		{ "unshare", KILLED, SYS_unshare, CLONE_NEWUSER },
		{ "setns", KILLED, SYS_setns, 0, 0 },
		{ "prctl", KILLED, SYS_prctl, PR_SET_DUMPABLE, 1 },
		{ "prlimit64", KILLED, SYS_prlimit64, 0, 0, 0, 0 },
		{ "seccomp", KILLED, SYS_seccomp, 0, 0, 0 },
	};

	try_all(all, ARRAY_SIZE(all));
}

static void tcp_and_nothing_else(void **state)
{
	const struct attempt all[] = {
		{ "TCP", FINE, SYS_socket, AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0 },
		{ "TCP over IPv6", FINE, SYS_socket, AF_INET6, SOCK_STREAM, 0 },
		{ "UDP", KILLED, SYS_socket, AF_INET, SOCK_DGRAM, 0 },
		{ "raw", KILLED, SYS_socket, AF_INET, SOCK_RAW, 6 },
		{ "netlink", KILLED, SYS_socket, AF_NETLINK, SOCK_RAW, NETLINK_ROUTE },
		{ "netlink as a stream", KILLED, SYS_socket, AF_NETLINK, SOCK_STREAM, NETLINK_ROUTE },
		{ "unix", KILLED, SYS_socket, AF_UNIX, SOCK_STREAM, 0 },
		{ "packet", KILLED, SYS_socket, AF_PACKET, SOCK_RAW, 0 },
		{ "vsock", KILLED, SYS_socket, AF_VSOCK, SOCK_STREAM, 0 },
		{ "socketpair", KILLED, SYS_socketpair, AF_UNIX, SOCK_STREAM, 0, 0 },
	};

	try_all(all, ARRAY_SIZE(all));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_files),
		cmocka_unit_test(no_programs_and_no_other_processes),
		cmocka_unit_test(no_way_back),
		cmocka_unit_test(tcp_and_nothing_else),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
