/*
 * bgp/main: the speaker as a process.
 */
#pragma once
#include "base/log.h"

#include <stdbool.h>
#include <sys/types.h>

struct speaker_opts {
	char path[108]; /* where the agent finds us: a Unix socket that is made, mode 0600 */
	uid_t uid;	/* who to be; the process must be root or this user already */
	gid_t gid;
	enum log_level log_level;
	bool confine_always; /* also in a build with AddressSanitizer (confine.h) */
};

/*
 * Runs until SIGTERM or SIGINT; returns the exit code: 0 after a signal, 1 if it could not start (and said
 * why). Closes every descriptor above 2 first: run it in a process of its own. SIGTERM is a restart, not a
 * farewell: TCP is closed without a NOTIFICATION, so that peers keep our routes for the graceful restart
 * time.
 */
int speaker_main(const struct speaker_opts *o);
