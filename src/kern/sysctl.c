/* Files below /proc/sys/net. What they show and change is the network namespace of the thread that opens
 * them. */
#include "kern/sysctl.h"

#include "base/check.h"
#include "base/own.h"
#include "kern/inside.h"

#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>

/* Names carry interface names, which others choose: nothing may lead out of /proc/sys/net. */
static bool name_ok(const char *name)
{
	if (strncmp(name, "net/", 4) || strlen(name) > 200)
		return false;
	for (const char *p = name;; p++) {
		size_t n = strcspn(p, "/");
		if (!n || (n == 1 && p[0] == '.') || (n == 2 && p[0] == '.' && p[1] == '.'))
			return false;
		p += n;
		if (!*p)
			return true;
	}
}

static int open_name(const char *name, int flags, struct err *e)
{
	char path[PATH_MAX];

	if (!name_ok(name))
		return err_set(e, EINVAL, "\"%.64s\" is no name of a setting", name);
	snprintf(path, sizeof(path), "/proc/sys/%s", name);
	int fd = open(path, flags | O_CLOEXEC | O_NOFOLLOW);
	return fd < 0 ? err_set(e, errno, "open %s: %m", path) : fd;
}

int sysctl_write(const char *name, const char *value, struct err *e)
{
	own_fd int fd = open_name(name, O_WRONLY, e);
	size_t n = strlen(value);

	if (fd < 0)
		return fd;
	/* The kernel reads a setting from one write; half of one is a mistake. */
	ssize_t w = write(fd, value, n);
	if (w < 0)
		return err_set(e, errno, "write %s to %s: %m", value, name);
	return (size_t)w == n ? 0 : err_set(e, EIO, "write %s to %s: not taken whole", value, name);
}

int sysctl_read(const char *name, char *buf, size_t cap, struct err *e)
{
	own_fd int fd = open_name(name, O_RDONLY, e);

	CHECK(cap > 0);
	if (fd < 0)
		return fd;
	ssize_t n = read(fd, buf, cap - 1);
	if (n < 0)
		return err_set(e, errno, "read %s: %m", name);
	while (n > 0 && strchr(" \t\n", buf[n - 1]))
		n--;
	buf[n] = '\0';
	return 0;
}

struct setting {
	const char *name, *value;
};

static int write_here(void *arg, struct err *e)
{
	const struct setting *s = arg;

	return sysctl_write(s->name, s->value, e);
}

int sysctl_write_in(int nsfd, const char *name, const char *value, struct err *e)
{
	struct setting s = { name, value };

	return inside_run(nsfd, write_here, &s, e);
}
