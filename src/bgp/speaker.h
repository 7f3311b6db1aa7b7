/*
 * bgp/speaker: the BGP speaker as a pure core. Bytes, events and `now` go in; bytes, dials and messages come
 * out through struct speaker_io. It never opens a socket, reads a clock or sleeps: bgp/session.c,
 * bgp/listen.c and bgp/ipc_server.c are its edges on the loop, and the simulator runs many of it in one
 * process on virtual time.
 *
 * Invariant: one struct peer per remote address; at most two connections per peer (one dialled, one
 * accepted), two ordinary objects between which one function (RFC 4271 6.8) decides.
 */
#pragma once
#include "base/timer.h"
#include "bgp/ipc.h"

#include <sys/types.h>

struct speaker;

/* A fresh speaker says SYNCED when every peer that reached Established has sent End-of-RIB and FIRST has
 * passed since the first session came up; LAST after the configuration was stated at the latest (also when no
 * session comes up). */
#define SPEAKER_SYNC_FIRST (2 * SEC)
#define SPEAKER_SYNC_LAST  (10 * SEC)

struct speaker_io {
	void *arg;
	/* Start a TCP connection; the outcome arrives as speaker_on_connected() or speaker_on_closed(), never
	 * before dial returns. 0 or -errno (then nothing will arrive). conn is a number of the speaker's,
	 * never used twice. */
	int (*dial)(void *arg, uint64_t conn, const struct ipc_peer *peer);
	/* Queue bytes for sending: returns how many were taken (possibly fewer, then speaker_on_writable()
	 * follows), or -errno. more: they may wait for others that follow at once, for 200 ms at most. */
	ssize_t (*send)(void *arg, uint64_t conn, const void *bytes, size_t n, bool more);
	/* Close; nothing more arrives for conn. Bytes already taken by send are still delivered if possible.
	 */
	void (*close)(void *arg, uint64_t conn);
	/* A message for the agent. Dropped by the edge if no agent is connected. */
	void (*up)(void *arg, const struct ipc_msg *m);
	/* The rest may be NULL. */
	/* May more messages for the agent come now? If not, the edge calls speaker_turn() once they may. */
	bool (*up_ready)(void *arg);
	/* A timer has changed something: a speaker_turn() is due. */
	void (*wake)(void *arg);
	/* A line for the log: sessions that come and go, routes that are refused. */
	void (*note)(void *arg, const char *line);
	/* Whoever connects from remote must sign with this TCP MD5 key; "" = with none any more. Called when
	 * a peer with a password appears, when the password changes (before its session ends) and when it
	 * goes. */
	void (*key)(void *arg, const struct addr *remote, const char *password);
};

struct speaker *speaker_new(const struct speaker_io *io, struct timers *timers, uint64_t seed, usec_t now);
void speaker_free(struct speaker *s);

/* The agent connected (the edge has sent HELLO): re-tell everything. / It went away: keep going. */
void speaker_on_agent(struct speaker *s, bool connected, usec_t now);
/* A decoded message from the agent (LISTEN/UNLISTEN are the edge's business and ignored here). */
void speaker_on_ipc(struct speaker *s, const struct ipc_msg *m, usec_t now);

/* An incoming connection from remote to local. Returns its number, or 0: unknown source, close it before a
 * byte is read. */
uint64_t speaker_on_accept(struct speaker *s, const struct addr *local, const struct addr *remote,
			   usec_t now);
/* How the peer of a connection, or at an address, is configured; NULL if there is none. */
const struct ipc_peer *speaker_conn_peer(const struct speaker *s, uint64_t conn);
const struct ipc_peer *speaker_peer(const struct speaker *s, const struct addr *remote);
void speaker_on_connected(struct speaker *s, uint64_t conn, const struct addr *local, usec_t now);
void speaker_on_data(struct speaker *s, uint64_t conn, const void *bytes, size_t n, usec_t now);
void speaker_on_writable(struct speaker *s, uint64_t conn, usec_t now);
/* The connection ended or could not be made; error is an errno value, 0 for an orderly end. */
void speaker_on_closed(struct speaker *s, uint64_t conn, int error, usec_t now);

/* The end of a turn: select best paths of what changed, tell the agent, write UPDATEs. Call after any of the
 * above and after timers ran. */
void speaker_turn(struct speaker *s, usec_t now);

/* Asks a peer to tell everything again (RFC 2918). False if it is not established or cannot. */
bool speaker_refresh(struct speaker *s, const struct addr *remote, usec_t now);
/* What it holds, for tests and limits. */
size_t speaker_bytes(const struct speaker *s);
