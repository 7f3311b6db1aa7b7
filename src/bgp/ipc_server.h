/*
 * bgp/ipc_server: the speaker's end of the socket to the agent, on the loop.
 *
 * One agent at a time. A connection becomes the agent's with its HELLO, and replaces the one before: a
 * restarted agent does not wait for its dead predecessor. Only root, our own user and the user that started
 * us are let in.
 */
#pragma once
#include "bgp/ipc.h"
#include "loop/loop.h"

#define IPC_SERVER_QUEUE_MAX   (16u << 20) /* bytes waiting for the agent; more means a stuck agent */
#define IPC_SERVER_QUEUE_READY (64u << 10) /* up to here more may come */
#define IPC_SERVER_BACKLOG     128
#define IPC_SERVER_PENDING_MAX 8   /* connections that have not said HELLO yet */
#define IPC_SERVER_READS       256 /* messages taken in one turn */

struct ipc_server;

struct ipc_server_events {
	void *arg;
	/* What to say in our HELLO. */
	void (*hello)(void *arg, struct ipc_hello *ret);
	void (*agent)(void *arg, bool connected);
	/* fd came along with the message and is the receiver's now; -1 if none did. */
	void (*message)(void *arg, const struct ipc_msg *m, int fd);
	void (*ready)(void *arg); /* the queue is empty again */
	void (*note)(void *arg, const char *line);
};

/* Listens on fd, a SOCK_SEQPACKET socket that is bound already; takes it. starter: the user that started us.
 * NULL and a sentence on error. */
struct ipc_server *ipc_server_new(struct loop *l, int fd, uid_t starter, const struct ipc_server_events *ev,
				  struct err *e);
void ipc_server_free(struct ipc_server *s);
/* Dropped if no agent is connected. It goes out with ipc_server_flush() at the latest. */
void ipc_server_flush(struct ipc_server *s);
void ipc_server_send(struct ipc_server *s, const struct ipc_msg *m);
bool ipc_server_ready(const struct ipc_server *s);
