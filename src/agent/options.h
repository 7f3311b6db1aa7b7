/*
 * agent/options: koratd's command line.
 */
#pragma once
#include "agent/nhobj.h"
#include "base/log.h"

#define EXIT_CONFIG \
	78 /* it cannot work as configured: starting again would not help (EX_CONFIG of sysexits) */

enum role { ROLE_BOTH, ROLE_AGENT, ROLE_SPEAKER };

struct options {
	enum role role;
	char node[254];	       /* default: the host name in lower case */
	char datastore[256];   /* default: sqlite:/var/lib/korat/korat.db */
	char run_dir[200];     /* default: /run/korat */
	char speaker_user[64]; /* default: korat-speaker if there is such a user, else nobody */
	enum log_level log_level;
	enum nhobj_mode nexthop_objects; /* default: auto */
};

/* -1: go on with *ret. Else the exit code: help and version were printed, or a usage error was. */
int options_parse(int argc, char **argv, struct options *ret);
struct speaker_opts;
void options_speaker(const struct options *o, struct speaker_opts *ret);
