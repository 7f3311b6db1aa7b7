/*
 * cni/args: what the runtime says through the environment, read once and checked. Pure but for args_env().
 */
#pragma once
#include "cni/fault.h"

#include <jansson.h>
#include <stdbool.h>

#define ARGS_ID_MAX    253  /* characters of a container id or a network name */
#define ARGS_NETNS_MAX 255  /* bytes of the path of a namespace */
#define ARGS_PAIRS_MAX 4096 /* bytes of CNI_ARGS */

enum verb { VERB_UNKNOWN, VERB_VERSION, VERB_ADD, VERB_DEL, VERB_CHECK, VERB_GC, VERB_STATUS };

/* The variables as they are; "" where one is not set. */
struct args_env {
	const char *command, *container_id, *netns, *ifname, *args, *path, *netns_override;
};
struct args_env args_env(void);

/* Strings point into the environment; what the verb does not need is unchecked and not to be used. */
struct args {
	enum verb verb;
	const char *command, *container_id, *netns, *ifname;
	bool own_netns_ok; /* CNI_NETNS_OVERRIDE: the host's namespace is meant when it is named */
	json_t *pairs;	   /* CNI_ARGS as an object of strings; owned */
};

/* 0 or -1 and *f. An unknown verb is no error here: the configuration is looked at first, as Calico does. */
int args_parse(const struct args_env *env, struct args *ret, struct fault *f);
void args_done(struct args *a);
/* The grammar that container ids and network names share. */
bool args_id_ok(const char *s);
