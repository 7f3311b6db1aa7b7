/*
 * agent/speakerlink: the agent's end of the socket to the speaker (bgp/ipc.h), on the loop. Connects, greets,
 * reconnects; what the agent says while nobody is connected is dropped, because everything is stated again
 * after a connection.
 */
#pragma once
#include "base/err.h"
#include "bgp/ipc.h"

struct loop;
struct speakerlink;

#define SPEAKERLINK_QUEUE_MAX \
	(64u << 20) /* bytes waiting to be sent; more means a stuck speaker: start over */
#define SPEAKERLINK_RETRY (100 * MSEC)

struct speakerlink_events {
	void *arg;
	void (*state)(void *arg, bool connected, bool fresh);
	void (*message)(void *arg, const struct ipc_msg *m);
};

struct speakerlink *speakerlink_new(struct loop *l, const char *path, const struct speakerlink_events *ev);
void speakerlink_free(struct speakerlink *s);
void speakerlink_send(struct speakerlink *s, const struct ipc_msg *m);
/* Makes the speaker listen on exactly these: opens the sockets here (where the privilege is) and passes them,
 * unless it has them already, and has it close all others afterwards. An unspecified address is every address
 * of its family. If one cannot be had, those before it are, and nothing is closed. */
int speakerlink_listen(struct speakerlink *s, const struct ipc_listen *where, size_t n, struct err *e);
uint32_t speakerlink_pid(const struct speakerlink *s); /* 0 while not connected */
