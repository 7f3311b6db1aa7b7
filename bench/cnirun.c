/*
 * cnirun: runs CNI plugins as a container runtime does (environment, standard input and output, one process a
 *call) and says how long each call took, from before the fork to after the plugin's exit. It is small and
 *reads everything beforehand, so that its own cost is little and the same for all plugins.
 *
 *	cnirun < PLAN
 *
 * A line of the plan, fields separated by tabs:  LABEL HOSTNS PROGRAM CONF CNI_PATH VERB ID NETNS ARGS
 * A line of the answer:  LABEL VERB ID STATUS NANOSECONDS STARTED   (CLOCK_MONOTONIC), and on failure what
 *the plugin printed.
 */
#include "kit.h"

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { LABEL, HOSTNS, PROGRAM, CONF, PATH, VERB, ID, NETNS, ARGS, FIELDS };

static size_t slurp(const char *path, char *buf, size_t cap)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, buf, cap);

	if (n < 0 || (size_t)n == cap)
		err(1, "read %s", path);
	close(fd);
	return (size_t)n;
}

static char *setting(const char *name, const char *value)
{
	char *s;

	if (asprintf(&s, "%s=%s", name, value) < 0)
		errx(1, "no memory");
	return s;
}

/* Returns the wait status; out receives what the plugin printed. */
static int call(char *const *f, const char *conf, size_t n, char *const *env, char *out, size_t cap)
{
	int in[2], back[2], status;
	char *const argv[] = { f[PROGRAM], NULL };
	size_t at = 0;

	if (pipe2(in, O_CLOEXEC) < 0 || pipe2(back, O_CLOEXEC) < 0)
		err(1, "pipe");
	if (write(in[1], conf, n) != (ssize_t)n)
		err(1, "write");
	close(in[1]);
	pid_t pid = fork();
	if (pid < 0)
		err(1, "fork");
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		dup2(in[0], 0);
		dup2(back[1], 1);
		execve(f[PROGRAM], argv, env);
		_exit(127);
	}
	close(in[0]);
	close(back[1]);
	for (ssize_t k; at < cap - 1 && (k = read(back[0], out + at, cap - 1 - at)) > 0;)
		at += (size_t)k;
	out[at] = '\0';
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	close(back[0]);
	return status;
}

static void run(char *const *f)
{
	static char conf[4096], out[65536];
	size_t n = slurp(f[CONF], conf, sizeof(conf));
	char netns[PATH_MAX];

	snprintf(netns, sizeof(netns), "/run/netns/%s", f[NETNS]);
	char *env[] = { setting("CNI_COMMAND", f[VERB]),
			setting("CNI_CONTAINERID", f[ID]),
			setting("CNI_NETNS", netns),
			setting("CNI_IFNAME", "eth0"),
			setting("CNI_PATH", f[PATH]),
			setting("CNI_ARGS", f[ARGS]),
			setting("PATH", "/usr/sbin:/usr/bin:/sbin:/bin"),
			NULL };
	enter(f[HOSTNS]);
	int64_t start = now();
	int status = call(f, conf, n, env, out, sizeof(out));
	int64_t end = now();
	printf("%s\t%s\t%s\t%d\t%lld\t%lld", f[LABEL], f[VERB], f[ID], status, (long long)(end - start),
	       (long long)start);
	for (char *p = out; status && *p; p++)
		if (*p == '\n' || *p == '\t')
			*p = ' ';
	printf("\t%s\n", status ? out : "");
	fflush(stdout);
	for (char **e = env; *e; e++)
		free(*e);
}

int main(void)
{
	static char line[8192];

	while (fgets(line, sizeof(line), stdin)) {
		char *f[FIELDS], *at = line;
		line[strcspn(line, "\n")] = '\0';
		for (int i = 0; i < FIELDS; i++)
			if (!(f[i] = strsep(&at, "\t")))
				errx(1, "a line of the plan has %d fields", FIELDS);
		run(f);
	}
	return 0;
}
