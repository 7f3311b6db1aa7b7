/*
 * bgp/session: TCP under the speaker, on the loop: dialling, reading, writing, closing. It knows bytes, not
 * BGP.
 *
 * Invariant: a connection is in the table from dial or adoption until it is closed by the core or reported as
 * closed to it, never both.
 */
#pragma once
#include "bgp/speaker.h"
#include "loop/loop.h"

#define SESSION_READ_MAX   65536     /* bytes of one read; one buffer serves all connections */
#define SESSION_LINGER_MAX 256	     /* closed connections still delivering their last bytes */
#define SESSION_LINGER	   (3 * SEC) /* ... each for so long at most */
#define SESSION_PATIENCE   15 /* seconds for which a new connection may be silent, as TCP is concerned */

struct sessions;

/* turn is asked for after everything that may have changed the speaker; speaker must be set before the loop
 * runs. */
struct sessions *sessions_new(struct loop *l, struct task *turn);
void sessions_set_speaker(struct sessions *ss, struct speaker *s);
/* Closes all. */
void sessions_free(struct sessions *ss);

/* The functions of struct speaker_io; arg is the struct sessions. */
int sessions_dial(void *arg, uint64_t conn, const struct ipc_peer *peer);
ssize_t sessions_send(void *arg, uint64_t conn, const void *bytes, size_t n, bool more);
void sessions_close(void *arg, uint64_t conn);

/* An accepted socket that the speaker has given the number conn; takes fd. It gets what its peer asks for; a
 * socket that cannot have it is closed, and the core is told why. */
void sessions_adopt(struct sessions *ss, uint64_t conn, int fd);
