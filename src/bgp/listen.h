/*
 * bgp/listen: the listening sockets of the speaker. They are opened by the agent, which may bind port 179,
 * and arrived over its socket; they outlive the agent.
 */
#pragma once
#include "bgp/session.h"

#define LISTEN_ACCEPT_MAX 1024	    /* connections taken from one socket in one turn */
#define LISTEN_PAUSE	  (1 * SEC) /* after running out of descriptors */

struct listeners;

/* complain gets a sentence for the log about each key the kernel refuses. */
struct listeners *listeners_new(struct loop *l, struct task *turn, struct sessions *ss,
				void (*complain)(const char *sentence));
void listeners_set_speaker(struct listeners *ls, struct speaker *s);
void listeners_free(struct listeners *ls);

/* Takes fd, which must be a listening TCP socket bound to what l says; replaces a former one for the same. 0
 * or -errno, and a sentence; fd is closed then. */
int listeners_add(struct listeners *ls, const struct ipc_listen *l, int fd, struct err *e);
void listeners_del(struct listeners *ls, const struct ipc_listen *l);
/* As speaker_io.key: for all listening sockets of the family, those there are and those to come. */
void listeners_key(struct listeners *ls, const struct addr *remote, const char *password);
/* What is listened on, for HELLO. */
uint8_t listeners_list(const struct listeners *ls, struct ipc_listen ret[static IPC_LISTEN_MAX]);
