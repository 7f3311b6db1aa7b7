/*
 * cni/pod: the pod's network namespace: checked, opened, entered.
 *
 * The agent has no right to enter a namespace; it works through two descriptors that this program opens for
 * it. Only what a process inside can set, the plugin sets itself.
 */
#pragma once
#include "cni/fault.h"

#include <stdbool.h>

/* Opens the namespace at path for good: whatever the path names later, the descriptor stays what was checked.
 * What is not a network namespace is refused without side effects (no FIFO waits, no device wakes up).
 * *ret_own: it is the one that this process is in. */
int pod_open(const char *path, int *ret_fd, bool *ret_own, struct fault *f);
/* Moves this process into the namespace, for the rest of its short life. needs: CAP_SYS_ADMIN. */
int pod_enter(int nsfd, struct fault *f);
/* An rtnetlink socket in the namespace entered, not connected, in no group. */
int pod_socket(int *ret_fd, struct fault *f);
/* Writes /proc/sys/<name> of the namespace entered. Names outside net/, and values of more than one short
 * line, are refused. */
int pod_sysctl(const char *name, const char *value, struct fault *f);
/* The kernel gives no IPv6 address to an interface made where IPv6 is switched off, as some runtimes leave
 * new namespaces. Nothing happens if this kernel has no IPv6. */
int pod_allow_ipv6(struct fault *f);
