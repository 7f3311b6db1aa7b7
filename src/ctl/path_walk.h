/*
 * ctl/path_walk: follows a packet from one address to another, node by node, by asking each node's agent what
 * its kernel would do (RPC "trace"), the pods' own namespaces, and in a lab the routers. Nothing is computed
 * here that a kernel can be asked.
 *
 * One direction is a list of numbered steps and a verdict; `korat path` walks both.
 */
#pragma once
#include "base/addr.h"
#include "base/err.h"

#include <jansson.h>
#include <stdbool.h>

#define PATH_AGENTS_MAX 256
#define PATH_STEPS_MAX	64
#define PATH_TEXT_MAX	400

/* A node whose agent can be asked. */
struct path_agent {
	char name[254];
	char socket[160];
	json_t *status; /* its answer to "status", NULL if it does not answer */
	char fault[ERR_MSG_MAX];
	struct addr ipv4, ipv6; /* the node's own */
};

struct path_agents {
	size_t n;
	struct path_agent v[PATH_AGENTS_MAX];
};

/* The lab's agents if there is a lab, else the agent of this machine (socket at path). */
int path_agents_find(const char *socket, struct path_agents *ret, struct err *e);
void path_agents_done(struct path_agents *a);

/* One end of a path: what the user named. */
struct path_end {
	char name[254]; /* as it is shown: "nginx-1", "node2" or the address */
	struct addr addr;
	const struct path_agent *at; /* whose pod or address it is, NULL if nobody's we know */
	const json_t *pod;	     /* borrowed from at->status; NULL if it is not a pod */
};

/* A pod by name, a node by name, or an address. -ENOENT with the names there are. */
int path_end_find(const struct path_agents *a, const char *word, uint8_t family, struct path_end *ret,
		  struct err *e);

enum path_result { PATH_REACHES, PATH_FAILS, PATH_UNKNOWN };

struct path_step {
	char where[64]; /* "pod nginx-1", "node2", "router gw" */
	char what[16];	/* "pod", "link", "route", "neighbour", "frame" */
	char text[PATH_TEXT_MAX];
	enum path_result result; /* of this step */
};

struct path_way {
	struct path_end from, to;
	size_t nsteps;
	struct path_step steps[PATH_STEPS_MAX];
	enum path_result result;
	char verdict[2 * PATH_TEXT_MAX]; /* one or two sentences: the cause and what to do */
	char next[PATH_TEXT_MAX];	 /* the next command to run, "" if none */
};

void path_walk(const struct path_agents *a, const struct path_end *from, const struct path_end *to,
	       struct path_way *ret);
