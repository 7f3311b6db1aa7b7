/*
 * Confinement of the speaker: user, capabilities, Landlock, seccomp. What is not needed is not there to be
 * taken. The list of system calls comes from the "syscalls:" comments beside the code of the edges, and from
 * what libuv and glibc do underneath.
 */
#include "bgp/confine.h"

#include "base/check.h"

#include <cap-ng.h>
#include <errno.h>
#include <grp.h>
#include <linux/landlock.h>
#include <seccomp.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define FILES_WANTED 65536 /* two a peer, and some */

#if defined(__SANITIZE_ADDRESS__)
#define HAVE_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define HAVE_ASAN 1
#endif
#endif
#ifndef HAVE_ASAN
#define HAVE_ASAN 0
#endif

static void raise_files(void)
{
	struct rlimit now, more = { FILES_WANTED, FILES_WANTED };

	if (getrlimit(RLIMIT_NOFILE, &now) < 0 || now.rlim_cur >= FILES_WANTED)
		return;
	if (now.rlim_max > more.rlim_max)
		more.rlim_max = now.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &more) == 0)
		return;
	now.rlim_cur = now.rlim_max;
	setrlimit(RLIMIT_NOFILE, &now);
}

void confine_begin(void)
{
	close_range(3, ~0u, 0);
	raise_files();
	tzset(); /* log lines need the time zone, and its file is out of reach later */
	if (chdir("/") < 0)
		return; /* it is where it is; Landlock closes the rest */
}

int confine_user(uid_t uid, gid_t gid, struct err *e)
{
	bool change = geteuid() != uid || getegid() != gid;

	capng_get_caps_process();
	bool may_bound = capng_have_capability(CAPNG_EFFECTIVE, CAP_SETPCAP);
	capng_clear(CAPNG_SELECT_BOTH);
	if (may_bound && capng_apply(CAPNG_SELECT_BOUNDS) < 0)
		return err_set(e, EPERM, "give up the bounding set of capabilities");
	if (change &&
	    (setgroups(0, NULL) < 0 || setresgid(gid, gid, gid) < 0 || setresuid(uid, uid, uid) < 0))
		return err_set(e, errno, "become user %u: %m", uid);
	if (capng_apply(CAPNG_SELECT_CAPS) < 0)
		return err_set(e, EPERM, "give up capabilities");
	if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0 && errno != EINVAL)
		return err_set(e, errno, "give up ambient capabilities: %m");
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return err_set(e, errno, "give up new privileges: %m");
	capng_get_caps_process();
	if (capng_have_capabilities(CAPNG_SELECT_CAPS) != CAPNG_NONE)
		return err_set(e, EPERM, "capabilities are left after giving them up");
	return 0;
}

/* Handled and without a single rule: nothing below any directory may be opened, made or executed. */
static int forbid_files(struct err *e)
{
	struct landlock_ruleset_attr attr = {
		.handled_access_fs = LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_WRITE_FILE |
				     LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR |
				     LANDLOCK_ACCESS_FS_REMOVE_DIR | LANDLOCK_ACCESS_FS_REMOVE_FILE |
				     LANDLOCK_ACCESS_FS_MAKE_CHAR | LANDLOCK_ACCESS_FS_MAKE_DIR |
				     LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_MAKE_SOCK |
				     LANDLOCK_ACCESS_FS_MAKE_FIFO | LANDLOCK_ACCESS_FS_MAKE_BLOCK |
				     LANDLOCK_ACCESS_FS_MAKE_SYM,
	};
	long fd = syscall(SYS_landlock_create_ruleset, &attr, sizeof(attr.handled_access_fs), 0);

	if (fd < 0)
		return 0; /* a kernel without Landlock: seccomp forbids opening anyway */
	long r = syscall(SYS_landlock_restrict_self, fd, 0);
	int error = errno;
	close((int)fd);
	return r < 0 ? err_set(e, error, "close off the file system: %m") : 0;
}

static const int allowed[] = {
	/* connections */
	SCMP_SYS(accept4),
	SCMP_SYS(bind),
	SCMP_SYS(connect),
	SCMP_SYS(getpeername),
	SCMP_SYS(getsockname),
	SCMP_SYS(getsockopt),
	SCMP_SYS(setsockopt),
	SCMP_SYS(shutdown),
	SCMP_SYS(close),
	SCMP_SYS(recvfrom),
	SCMP_SYS(recvmsg),
	SCMP_SYS(sendto),
	SCMP_SYS(sendmsg),
	SCMP_SYS(read),
	SCMP_SYS(readv),
	SCMP_SYS(write),
	SCMP_SYS(writev),
	SCMP_SYS(ioctl),
	SCMP_SYS(fcntl),
	/* the loop */
	SCMP_SYS(epoll_ctl),
	SCMP_SYS(epoll_wait),
	SCMP_SYS(epoll_pwait),
	SCMP_SYS(poll),
	SCMP_SYS(ppoll),
	SCMP_SYS(clock_gettime),
	SCMP_SYS(gettimeofday),
	SCMP_SYS(restart_syscall),
	SCMP_SYS(rt_sigreturn),
	SCMP_SYS(rt_sigprocmask),
	SCMP_SYS(rt_sigaction),
	SCMP_SYS(nanosleep),
	SCMP_SYS(clock_nanosleep),
	/* memory */
	SCMP_SYS(brk),
	SCMP_SYS(munmap),
	SCMP_SYS(mremap),
	SCMP_SYS(madvise),
	SCMP_SYS(futex),
	SCMP_SYS(getrandom),
	SCMP_SYS(sysinfo) /* glibc's qsort() asks how much memory there is */,
	/* itself, its log, its end */
	SCMP_SYS(getpid),
	SCMP_SYS(gettid),
	SCMP_SYS(getuid),
	SCMP_SYS(geteuid),
	SCMP_SYS(fstat),
	SCMP_SYS(newfstatat),
	SCMP_SYS(lseek),
	SCMP_SYS(exit),
	SCMP_SYS(exit_group),
};

/* Opening is answered with an error, not with death: libraries look for optional files. */
static const int refused[] = {
	SCMP_SYS(open), SCMP_SYS(openat), SCMP_SYS(access), SCMP_SYS(stat), SCMP_SYS(readlink),
};

static int add_rules(scmp_filter_ctx f)
{
	int r = 0;

	for (size_t i = 0; i < ARRAY_SIZE(allowed); i++)
		r |= seccomp_rule_add(f, SCMP_ACT_ALLOW, allowed[i], 0);
	for (size_t i = 0; i < ARRAY_SIZE(refused); i++)
		r |= seccomp_rule_add(f, SCMP_ACT_ERRNO(EACCES), refused[i], 0);
	/* TCP over IPv4 and IPv6, and nothing else. */
	for (size_t i = 0; i < 2; i++)
		r |= seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(socket), 2,
				      SCMP_A0(SCMP_CMP_EQ, i ? AF_INET6 : AF_INET),
				      SCMP_A1(SCMP_CMP_MASKED_EQ, 0xf, SOCK_STREAM));
	/* abort() signals the process itself; nobody else is to be signalled. */
	r |= seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(tgkill), 1,
			      SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)getpid()));
	/* Memory, but never code. */
	r |= seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 1,
			      SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
	r |= seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(mprotect), 1,
			      SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
	return r;
}

static int forbid_syscalls(struct err *e)
{
	scmp_filter_ctx f = seccomp_init(SCMP_ACT_KILL_PROCESS);

	if (!f)
		return err_set(e, ENOMEM, "make the system call filter");
	int r = add_rules(f);
	if (r == 0)
		r = seccomp_load(f);
	seccomp_release(f);
	return r < 0 ? err_set(e, -r, "load the system call filter: %m") : 0;
}

int confine_finish(bool force, struct err *e)
{
	if (HAVE_ASAN && !force)
		return 0;
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		return err_set(e, errno, "forbid looking into the process: %m");
	if (forbid_files(e) < 0)
		return -e->code;
	return forbid_syscalls(e);
}
