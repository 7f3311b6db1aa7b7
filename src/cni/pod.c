/*
 * Namespaces are recognised by their file system (nsfs) and by the kernel's word on their type. The path is
 * first opened without reading it (O_PATH), so that nothing but a namespace is ever really opened.
 *
 * There is no helper thread: this process is alone, has milliseconds to live, and the agent's socket is a
 * file, which does not depend on the network namespace. So it moves into the pod's namespace and stays there.
 * /proc/sys/net shows the namespace of the process that opens a file in it, which is then the pod's.
 */
#include "cni/pod.h"

#include "base/check.h"
#include "base/own.h"

#include <ctype.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/netlink.h>
#include <linux/nsfs.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#define SYSCTL_NAME_MAX	 128
#define SYSCTL_VALUE_MAX 64

static int open_ns(const char *path, int *ret, struct fault *f)
{
	char again[32];
	struct statfs fs;
	own_fd int at = open(path, O_PATH | O_CLOEXEC);

	if (at < 0 || fstatfs(at, &fs) < 0)
		return fault_set(f, FAULT_NETNS, "network namespace %s: %s", path, strerror(errno));
	if (fs.f_type != NSFS_MAGIC)
		return fault_set(f, FAULT_NETNS, "%s is not a network namespace", path);
	snprintf(again, sizeof(again), "/proc/self/fd/%d", at);
	own_fd int fd = open(again, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return fault_set(f, FAULT_NETNS, "open the network namespace %s: %s", path, strerror(errno));
	if (ioctl(fd, NS_GET_NSTYPE) != CLONE_NEWNET)
		return fault_set(f, FAULT_NETNS, "%s is a namespace, but not one of the network", path);
	*ret = take_fd(fd);
	return 0;
}

int pod_open(const char *path, int *ret_fd, bool *ret_own, struct fault *f)
{
	struct stat pod, own;
	own_fd int fd = -1;

	if (open_ns(path, &fd, f) < 0)
		return -1;
	if (fstat(fd, &pod) < 0 || stat("/proc/self/ns/net", &own) < 0)
		return fault_set(f, FAULT_IO, "compare network namespaces: %s", strerror(errno));
	*ret_own = pod.st_dev == own.st_dev && pod.st_ino == own.st_ino;
	*ret_fd = take_fd(fd);
	return 0;
}

int pod_enter(int nsfd, struct fault *f)
{
	if (setns(nsfd, CLONE_NEWNET) == 0)
		return 0;
	return fault_set(f, FAULT_IO, "enter the pod's network namespace: %s%s", strerror(errno),
			 errno == EPERM ? "; a CNI plugin must be run by root" : "");
}

int pod_socket(int *ret_fd, struct fault *f)
{
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);

	if (fd < 0)
		return fault_set(f, FAULT_IO, "open a netlink socket in the pod: %s", strerror(errno));
	*ret_fd = fd;
	return 0;
}

/* net/a/b, each part of letters, digits, "_", "-" and "."; parts of dots alone would lead elsewhere. */
static bool is_name(const char *s)
{
	if (strncmp(s, "net/", 4) != 0 || strlen(s) > SYSCTL_NAME_MAX)
		return false;
	for (const char *part = s; part; part = strchr(part, '/')) {
		part += *part == '/';
		size_t n = strcspn(part, "/");
		if (strspn(part, ".") >= n)
			return false;
		for (size_t i = 0; i < n; i++)
			if (!isgraph((unsigned char)part[i]))
				return false;
	}
	return true;
}

static bool is_value(const char *s)
{
	size_t n = strlen(s);

	if (!n || n > SYSCTL_VALUE_MAX)
		return false;
	for (; *s; s++)
		if (!isgraph((unsigned char)*s) && *s != ' ' && *s != '\t')
			return false;
	return true;
}

static int write_file(const char *path, const char *value)
{
	own_fd int fd = open(path, O_WRONLY | O_CLOEXEC | O_NOFOLLOW);

	if (fd < 0)
		return -errno;
	ssize_t n = write(fd, value, strlen(value));
	return n < 0 ? -errno : (size_t)n == strlen(value) ? 0 : -EIO;
}

int pod_sysctl(const char *name, const char *value, struct fault *f)
{
	char path[sizeof("/proc/sys/") + SYSCTL_NAME_MAX];

	if (!is_name(name) || !is_value(value))
		return fault_set(f, FAULT_PLUGIN,
				 "the agent wants %.100s set to \"%.60s\", which is not allowed", name,
				 value);
	snprintf(path, sizeof(path), "/proc/sys/%s", name);
	int r = write_file(path, value);
	return r < 0 ? fault_set(f, FAULT_IO, "set %s to %s in the pod: %s", name, value, strerror(-r)) : 0;
}

int pod_allow_ipv6(struct fault *f)
{
	/* "all" passes its value on to every interface there is; "default" is for those to come. */
	static const char *const which[] = { "all", "default", "lo" };
	char path[80];

	for (size_t i = 0; i < ARRAY_SIZE(which); i++) {
		snprintf(path, sizeof(path), "/proc/sys/net/ipv6/conf/%s/disable_ipv6", which[i]);
		int r = write_file(path, "0");
		if (r < 0 && r != -ENOENT)
			return fault_set(f, FAULT_IO, "allow IPv6 in the pod: %s: %s", path, strerror(-r));
	}
	return 0;
}
