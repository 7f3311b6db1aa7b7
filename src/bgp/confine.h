/*
 * bgp/confine: how the speaker, the process that listens to the network, gives up everything it does not
 * need.
 *
 * In this order: confine_begin() while still privileged, then everything is opened, then confine_user() and
 * confine_finish(). Nothing of it can be undone.
 */
#pragma once
#include "base/err.h"

#include <stdbool.h>
#include <sys/types.h>

/* Closes every descriptor but the standard ones, raises the descriptor limit, leaves the working directory.
 */
void confine_begin(void);
/* Becomes uid and gid (if it is not already), without supplementary groups and without any capability, for
 * good. */
int confine_user(uid_t uid, gid_t gid, struct err *e);
/* No file system (Landlock, where the kernel has it) and only the system calls of a running speaker (seccomp;
 * any other ends the process). In a build with AddressSanitizer only if force: its own system calls are not
 * in the list. */
int confine_finish(bool force, struct err *e);
