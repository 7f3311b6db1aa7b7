/*
 * cni/fault: what the plugin answers when it cannot do what it was asked: a code that the runtime acts on, a
 * sentence for people, and details. The specification fixes the codes below 100.
 */
#pragma once
#include "base/err.h"

enum fault_code {
	FAULT_VERSION = 1, /* this CNI version, or this verb in it, is not spoken here */
	FAULT_ENV = 4,	   /* environment variables missing or wrong */
	FAULT_IO = 5,	   /* the system refused something */
	FAULT_JSON = 6,	   /* what came on standard input is not a network configuration */
	FAULT_CONFIG = 7,  /* it is one, but a wrong one */
	FAULT_NETNS = 8,   /* the network namespace is gone, is none, or is the host's */
	FAULT_TRY_AGAIN = 11,
	FAULT_FLAGS = 100,  /* wrong command line; Calico's number */
	FAULT_PLUGIN = 999, /* everything else; Calico's number */
};

struct fault {
	int code; /* an enum fault_code, or any code the agent chose */
	char msg[ERR_MSG_MAX];
	char details[256];
};

/* Fills f and returns -1, so that `return fault_set(…)` reads as what it is. */
int fault_set(struct fault *f, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* The same with the details to it. */
int fault_set_details(struct fault *f, int code, const char *details, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
/* The JSON that goes to standard output; malloc'd. version: the cniVersion to name. */
char *fault_format(const struct fault *f, const char *version);
