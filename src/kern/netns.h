/*
 * kern/netns: network namespaces: named ones under /run/netns (as `ip netns` keeps them) and open
 * descriptors.
 */
#pragma once
#include "base/err.h"

#include <stdbool.h>
#include <sys/types.h>

/* Makes a new namespace, bound at /run/netns/NAME (`ip netns exec NAME` works); lo is left down.
 * needs: CAP_SYS_ADMIN. -EEXIST if the name is taken. The caller's own namespace does not change. */
int netns_add(const char *name, struct err *e);
int netns_del(const char *name, struct err *e); /* unbinds and unlinks; -ENOENT if absent */
/* Opens path and refuses (-EINVAL) what is not a network namespace. Returns a CLOEXEC descriptor or -errno.
 */
int netns_open(const char *path, struct err *e);
int netns_open_name(const char *name, struct err *e);
/* Is it one? (nsfs and of type CLONE_NEWNET). For descriptors handed over by somebody else. */
bool netns_is(int fd);
/* The same namespace as the calling process's? -errno on failure. */
int netns_is_own(int fd);
/* Puts the calling process (every later thread of it) into it. For children about to exec. */
int netns_enter(int fd, struct err *e);
/* Processes whose network namespace is fd's: calls fn for each pid (read from /proc). */
typedef void netns_pid_fn(void *arg, pid_t pid);
int netns_pids(int fd, netns_pid_fn *fn, void *arg, struct err *e);
