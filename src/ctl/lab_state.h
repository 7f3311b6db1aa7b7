/*
 * ctl/lab_state: what `korat lab` remembers between its commands, under /run/korat/lab.
 *
 *	state.json          the lab, and every namespace that it has or is about to have
 *	store.db            the datastore of all nodes
 *	nodes/NODE/         run directory of the node's koratd, its log, its pid, its CNI configuration
 *	pods/POD.json       what the plugin answered to ADD
 *
 * state.json is written, with fsync, before anything that it lists is made, and removed last: whatever
 * happens in between, `korat lab down` finds everything. One command changes the lab at a time (lab_lock()).
 */
#pragma once
#include "base/err.h"
#include "ctl/lab.h"

#include <stdbool.h>

#define LAB_TOP	     "/run/korat"
#define LAB_DIR	     LAB_TOP "/lab"
#define LAB_STORE    "sqlite:" LAB_DIR "/store.db"
#define LAB_PATH_MAX 160

/* Waits for other lab commands to end. Returns a descriptor that holds the lock until it is closed, or
 * -errno. */
int lab_lock(struct err *e);

/* complete: everything that it lists was made. Makes LAB_DIR if need be. */
int lab_state_write(const struct lab *l, bool complete, struct err *e);
/* -ENOENT if there is no lab: e says so, and how to start one. */
int lab_state_read(struct lab *ret, bool *ret_complete, struct err *e);
bool lab_state_exists(void);
/* The namespaces it lists, even if the rest cannot be understood. An array of strings, new reference; NULL
 * without lab. */
json_t *lab_state_netns(struct err *e);
/* Removes LAB_DIR and all in it, the state last. */
int lab_state_remove(struct err *e);

/* Paths below LAB_DIR. */
char *lab_path_node(const char *node, const char *file, char buf[static LAB_PATH_MAX]);
char *lab_path_pod(const char *pod, char buf[static LAB_PATH_MAX]);
/* Makes a directory if it is not there. */
int lab_mkdir(const char *path, struct err *e);
/* Writes a whole file, atomically; with fsync if asked for. */
int lab_write_file(const char *path, const char *text, bool sync, struct err *e);
/* The whole file (at most 1 MiB), malloc'ed. */
int lab_read_text(const char *path, char **ret, struct err *e);
