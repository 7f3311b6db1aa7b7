/*
 * Network namespaces (network_namespaces(7)). Named ones are bind mounts below /run/netns, kept the way
 * iproute2 keeps them, down to its lock and its shared mount point, so that both can be used side by side.
 */
#include "kern/netns.h"

#include "base/check.h"
#include "base/own.h"
#include "kern/inside.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <linux/nsfs.h>
#include <sched.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#define NETNS_DIR "/run/netns"

static int path_of(const char *name, char path[static PATH_MAX], struct err *e)
{
	size_t n = strlen(name);

	if (!n || n > NAME_MAX || strchr(name, '/') || !strcmp(name, ".") || !strcmp(name, ".."))
		return err_set(e, EINVAL, "\"%.64s\" is no name for a network namespace", name);
	snprintf(path, PATH_MAX, NETNS_DIR "/%s", name);
	return 0;
}

/* Mounts below the directory must reach every mount namespace that has it, or a namespace deleted here would
 * live on there. Only a mount point can be shared: the directory is made one by binding it onto itself. */
static int share_dir(struct err *e)
{
	if (!mount("", NETNS_DIR, "none", MS_SHARED | MS_REC, NULL))
		return 0;
	if (errno != EINVAL)
		return err_set(e, errno, "share " NETNS_DIR ": %m");
	if (mount(NETNS_DIR, NETNS_DIR, "none", MS_BIND | MS_REC, NULL) < 0)
		return err_set(e, errno, "bind " NETNS_DIR " onto itself: %m");
	if (mount("", NETNS_DIR, "none", MS_SHARED | MS_REC, NULL) < 0)
		return err_set(e, errno, "share " NETNS_DIR ": %m");
	return 0;
}

static int prepare_dir(struct err *e)
{
	if (mkdir(NETNS_DIR, 0755) < 0 && errno != EEXIST)
		return err_set(e, errno, "make " NETNS_DIR ": %m");
	own_fd int dir = open(NETNS_DIR, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return err_set(e, errno, "open " NETNS_DIR ": %m");
	/* Two at once would bind it twice; `ip netns add` takes the same lock. Closing lets go of it. */
	if (flock(dir, LOCK_EX) < 0)
		return err_set(e, errno, "lock " NETNS_DIR ": %m");
	return share_dir(e);
}

static int make_and_bind(void *arg, struct err *e)
{
	const char *path = arg;

	if (unshare(CLONE_NEWNET) < 0)
		return err_set(e, errno, "make a network namespace: %m");
	if (mount("/proc/thread-self/ns/net", path, "none", MS_BIND, NULL) < 0)
		return err_set(e, errno, "bind the namespace onto %s: %m", path);
	return 0;
}

int netns_add(const char *name, struct err *e)
{
	char path[PATH_MAX];

	int r = path_of(name, path, e);
	if (r < 0 || (r = prepare_dir(e)) < 0)
		return r;
	own_fd int file = open(path, O_RDONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0);
	if (file < 0)
		return err_set(e, errno, "add network namespace %s: %m", name);
	r = inside_run(-1, make_and_bind, path, e);
	if (r < 0) {
		unlink(path);
		err_in(e, "add network namespace %s", name);
	}
	return r;
}

int netns_del(const char *name, struct err *e)
{
	char path[PATH_MAX];

	int r = path_of(name, path, e);
	if (r < 0)
		return r;
	/* EINVAL: the file of an add that was cut short, with nothing mounted. */
	if (umount2(path, MNT_DETACH) < 0 && errno != EINVAL)
		return err_set(e, errno, "unbind network namespace %s: %m", name);
	if (unlink(path) < 0)
		return err_set(e, errno, "delete network namespace %s: %m", name);
	return 0;
}

bool netns_is(int fd)
{
	struct statfs fs;

	/* Asked first, because the number of the ioctl may mean something else to other files. */
	if (fstatfs(fd, &fs) < 0 || fs.f_type != NSFS_MAGIC)
		return false;
	return ioctl(fd, NS_GET_NSTYPE) == CLONE_NEWNET;
}

int netns_open(const char *path, struct err *e)
{
	/* O_NONBLOCK: a pipe in the place of a namespace must not hold us up. */
	own_fd int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

	if (fd < 0)
		return err_set(e, errno, "open network namespace %s: %m", path);
	if (!netns_is(fd))
		return err_set(e, EINVAL, "%s is not a network namespace", path);
	return take_fd(fd);
}

int netns_open_name(const char *name, struct err *e)
{
	char path[PATH_MAX];
	int r = path_of(name, path, e);

	return r < 0 ? r : netns_open(path, e);
}

int netns_is_own(int fd)
{
	struct stat a, b;

	if (fstat(fd, &a) < 0 || stat("/proc/thread-self/ns/net", &b) < 0)
		return -errno;
	return a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

int netns_enter(int fd, struct err *e)
{
	return setns(fd, CLONE_NEWNET) < 0 ? err_set(e, errno, "enter network namespace: %m") : 0;
}

static pid_t pid_of(const char *s)
{
	char *end;
	long n = *s >= '1' && *s <= '9' ? strtol(s, &end, 10) : 0;

	return n > 0 && n <= INT_MAX && !*end ? (pid_t)n : 0;
}

static void proc_close(DIR **d)
{
	if (*d)
		closedir(*d);
}

int netns_pids(int fd, netns_pid_fn *fn, void *arg, struct err *e)
{
	__attribute__((cleanup(proc_close))) DIR *proc = opendir("/proc");
	struct stat ns, st;
	struct dirent *d;

	if (!proc)
		return err_set(e, errno, "open /proc: %m");
	if (fstat(fd, &ns) < 0)
		return err_set(e, errno, "look at a network namespace: %m");
	while ((d = readdir(proc))) {
		char path[64];
		pid_t pid = pid_of(d->d_name);
		if (!pid)
			continue;
		snprintf(path, sizeof(path), "%d/ns/net", pid);
		/* Processes end while we look, and some are not ours to look at. */
		if (fstatat(dirfd(proc), path, &st, 0) == 0 && st.st_dev == ns.st_dev &&
		    st.st_ino == ns.st_ino)
			fn(arg, pid);
	}
	return 0;
}
