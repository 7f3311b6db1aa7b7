/* Processes are signalled through a pidfd that was opened before the last check, so that the check cannot go
 * stale. */
#include "ctl/lab_proc.h"

#include "base/own.h"
#include "ctl/lab_time.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define KILL_WAIT (5 * SEC)

static int open_pid(pid_t pid)
{
	return (int)syscall(SYS_pidfd_open, pid, 0);
}

static void send_signal(int pidfd, int signo)
{
	syscall(SYS_pidfd_send_signal, pidfd, signo, NULL, 0);
}

int lab_proc_of(pid_t pid, struct lab_proc *ret)
{
	char path[40], buf[1024], state;
	unsigned long long start;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	own_fd int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, buf, sizeof(buf) - 1);
	if (n <= 0)
		return -ESRCH;
	buf[n] = '\0';
	/* The name of the program, in parentheses, may contain anything. */
	char *p = strrchr(buf, ')');
	if (!p ||
	    sscanf(p + 1, " %c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d %*d %llu",
		   &state, &start) != 2)
		return -ESRCH;
	if (state == 'Z' || state == 'X')
		return -ESRCH;
	*ret = (struct lab_proc){ pid, start };
	return 0;
}

bool lab_proc_lives(const struct lab_proc *p)
{
	struct lab_proc now;

	return p->pid > 0 && lab_proc_of(p->pid, &now) == 0 && now.start == p->start;
}

void lab_proc_signal(const struct lab_proc *p, int signo)
{
	if (p->pid <= 0)
		return;
	own_fd int fd = open_pid(p->pid);
	if (fd >= 0 && lab_proc_lives(p))
		send_signal(fd, signo);
}

void lab_proc_signal_in(pid_t pid, int nsfd, int signo)
{
	char path[40];
	struct stat ns, of;

	if (pid <= 0)
		return;
	own_fd int fd = open_pid(pid);
	snprintf(path, sizeof(path), "/proc/%d/ns/net", pid);
	if (fd < 0 || fstat(nsfd, &ns) < 0 || stat(path, &of) < 0)
		return;
	if (ns.st_dev == of.st_dev && ns.st_ino == of.st_ino)
		send_signal(fd, signo);
}

static size_t living(const struct lab_proc *v, size_t n)
{
	size_t count = 0;

	for (size_t i = 0; i < n; i++) {
		/* It may be a child of this very process, which then has to be waited for. */
		if (v[i].pid > 0)
			waitpid(v[i].pid, NULL, WNOHANG);
		count += lab_proc_lives(&v[i]);
	}
	return count;
}

static size_t wait_gone(const struct lab_proc *v, size_t n, usec_t span)
{
	size_t left;

	for (usec_t end = lab_now() + span; (left = living(v, n)) && lab_now() < end;)
		lab_pause(10 * MSEC);
	return left;
}

int lab_proc_end(const struct lab_proc *v, size_t n, usec_t grace, struct err *e)
{
	static const int signals[] = { SIGTERM, SIGKILL };
	size_t left = living(v, n);

	for (size_t s = 0; s < 2 && left; s++) {
		for (size_t i = 0; i < n; i++)
			lab_proc_signal(&v[i], signals[s]);
		left = wait_gone(v, n, s ? KILL_WAIT : grace);
	}
	return left ? err_set(e, EBUSY, "%zu processes of the lab do not end, not even by SIGKILL", left) : 0;
}
