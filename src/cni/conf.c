/* The network configuration (CNI specification 1.0.0, section "Execution configuration"): read, bounded,
 * checked. */
#include "cni/conf.h"

#include "base/check.h"
#include "base/own.h"
#include "rpc/line.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define FIRST_READ 16384

/* This program has no loop to be told the time by. */
static int64_t clock_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static int wait_input(int fd, int64_t deadline, struct fault *f)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	for (;;) {
		int64_t left = deadline - clock_ms();
		int n = left > 0 ? poll(&p, 1, (int)left) : 0;
		if (n > 0)
			return 0;
		if (n == 0)
			return fault_set(f, FAULT_IO,
					 "the network configuration on standard input did not end in time");
		if (errno != EINTR)
			return fault_set(f, FAULT_IO, "wait for the network configuration: %s",
					 strerror(errno));
	}
}

int conf_read(int fd, int timeout_ms, char **ret, size_t *ret_n, struct fault *f)
{
	int64_t deadline = clock_ms() + timeout_ms;
	size_t n = 0, cap = FIRST_READ;
	own_mem char *buf = xmalloc(cap);

	for (;;) {
		if (wait_input(fd, deadline, f) < 0)
			return -1;
		ssize_t k = read(fd, buf + n, cap - n);
		if (k < 0 && (errno == EINTR || errno == EAGAIN))
			continue;
		if (k < 0)
			return fault_set(f, FAULT_IO, "read the network configuration: %s", strerror(errno));
		if (k == 0)
			break;
		n += (size_t)k;
		if (n > CONF_BYTES_MAX)
			return fault_set(f, FAULT_JSON, "the network configuration is longer than %u bytes",
					 CONF_BYTES_MAX);
		if (n == cap)
			buf = xrealloc(buf, cap = MIN(cap * 2, (size_t)CONF_BYTES_MAX + 1));
	}
	*ret = take(buf);
	*ret_n = n;
	return 0;
}

/* A member that is a string, the default if absent; NULL if it is something else. */
static const char *text(const json_t *o, const char *key, const char *otherwise)
{
	const json_t *j = json_object_get(o, key);

	return j ? json_string_value(j) : otherwise;
}

static int check_name(const struct conf *c, struct fault *f)
{
	if (!c->version_text || !c->name)
		return fault_set(f, FAULT_JSON, "network configuration: \"%s\" must be a string",
				 c->name ? "cniVersion" : "name");
	if (!*c->name)
		return fault_set(f, FAULT_CONFIG, "the network configuration has no \"name\"");
	if (!args_id_ok(c->name))
		return fault_set_details(f, FAULT_CONFIG, c->name,
					 "the name of a network has 1 to %d letters, digits, \"_\", \".\" "
					 "and \"-\", a letter or "
					 "digit first",
					 ARGS_ID_MAX);
	return 0;
}

int conf_parse(const char *s, size_t n, struct conf *ret, struct fault *f)
{
	struct err e;
	struct conf c = { .root = line_json(s, n, CONF_DEPTH_MAX, CONF_VALUES_MAX, &e) };

	if (!c.root)
		return fault_set(f, FAULT_JSON, "network configuration: %s", e.msg);
	if (!json_is_object(c.root)) {
		json_decref(c.root);
		return fault_set(f, FAULT_JSON, "network configuration: not a JSON object");
	}
	c.name = text(c.root, "name", "");
	c.version_text = text(c.root, "cniVersion", "");
	c.log_level = text(c.root, "log_level", "");
	c.log_level = c.log_level ? c.log_level : "";
	if (check_name(&c, f) < 0) {
		json_decref(c.root);
		return -1;
	}
	c.version_text = *c.version_text ? c.version_text : VERSION_ABSENT;
	c.version = version_find(c.version_text);
	*ret = c;
	return 0;
}

static int check_version(const struct conf *c, enum verb verb, const char *spoken, struct fault *f)
{
	if (verb == VERB_GC || verb == VERB_STATUS)
		return fault_set_details(f, FAULT_VERSION, spoken,
					 "%s does not exist in the CNI versions spoken here",
					 verb == VERB_GC ? "GC" : "STATUS");
	if (!c->version)
		return fault_set_details(f, FAULT_VERSION, spoken, "CNI version \"%.40s\" is not spoken here",
					 c->version_text);
	if (verb == VERB_CHECK && !c->version->has_check)
		return fault_set_details(f, FAULT_VERSION, spoken, "CHECK does not exist in CNI version %s",
					 c->version_text);
	return 0;
}

int conf_check(struct conf *c, enum verb verb, struct fault *f)
{
	char list[VERSION_LIST_MAX], spoken[VERSION_LIST_MAX + 60];

	snprintf(spoken, sizeof(spoken), "the configuration says %.12s, spoken are %.60s", c->version_text,
		 version_list(list));
	if (check_version(c, verb, spoken, f) < 0)
		return -1;
	c->socket = text(c->root, "agent_socket", CONF_SOCKET);
	if (!c->socket || *c->socket != '/' ||
	    strlen(c->socket) >= sizeof((struct sockaddr_un){ 0 }.sun_path))
		return fault_set(f, FAULT_CONFIG,
				 "network configuration: \"agent_socket\" must be the absolute path of a "
				 "socket, shorter than %zu "
				 "bytes",
				 sizeof((struct sockaddr_un){ 0 }.sun_path));
	if (verb == VERB_CHECK && !json_is_object(json_object_get(c->root, "prevResult")))
		return fault_set(f, FAULT_CONFIG, "CHECK needs the result of the ADD as \"prevResult\"");
	return 0;
}

void conf_done(struct conf *c)
{
	json_decref(c->root);
	*c = (struct conf){ 0 };
}
