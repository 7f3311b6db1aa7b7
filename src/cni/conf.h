/*
 * cni/conf: the network configuration, as the runtime writes it to standard input.
 *
 * The plugin reads what it needs itself and hands the whole to the agent as it came.
 */
#pragma once
#include "cni/args.h"
#include "cni/fault.h"
#include "cni/version.h"

#include <jansson.h>
#include <stddef.h>

#define CONF_BYTES_MAX	(1u << 20)
#define CONF_DEPTH_MAX	32
#define CONF_VALUES_MAX 16384 /* keeps the memory of a hostile configuration below 8 MiB */
#define CONF_READ_MS	10000
#define CONF_SOCKET	"/run/korat/agent.sock"

struct conf {
	json_t *root; /* owned; the rest points into it */
	const char *name;
	const char *version_text;
	const struct version *version; /* NULL if it is not spoken here */
	const char *socket;
	const char *log_level; /* "" if not given */
};

/* Everything up to the end of fd, within CONF_BYTES_MAX and timeout_ms; *ret is malloc'd. */
int conf_read(int fd, int timeout_ms, char **ret, size_t *ret_n, struct fault *f);
/* JSON and network name, checked for every verb that takes a configuration. */
int conf_parse(const char *s, size_t n, struct conf *ret, struct fault *f);
/* Whether this verb can be carried out with it: version first, then the members used here. Sets c->socket. */
int conf_check(struct conf *c, enum verb verb, struct fault *f);
void conf_done(struct conf *c);
