/*
 * agent/supervise: `koratd` without a role: starts agent and speaker and restarts whichever dies, with a
 * growing pause. Under systemd each is a service of its own and this is not used.
 *
 * A speaker that outlived a killed supervisor is left alone and used: its sessions are worth more than a tidy
 * process tree.
 */
#pragma once
#include "agent/options.h"

int supervise(const struct options *o, int (*agent)(const struct options *),
	      int (*speaker)(const struct options *));
