/*
 * kern/writer: many changes, carried out beside the loop.
 *
 * The kernel does rtnetlink's work inside sendmsg(), in the caller's time: while a hundred thousand routes go
 * in, the caller does nothing else, and while it reads what the next ones are, the kernel does nothing. So
 * batches can be given to a thread, which sends one after the other and collects the results. It has nothing
 * but the sockets it is lent, with their buffers; whoever has a socket at a time is the only one to touch it.
 *
 * Batches are carried out in the order in which they were given. A change made through another socket
 * meanwhile may come before or after them: it had better be about something else, or after writer_land().
 */
#pragma once
#include "kern/nl.h"

struct loop;
struct writer;

#define WRITER_BATCH   512 /* requests in one: some 2 ms of the kernel's time */
#define WRITER_BATCHES 4   /* one being carried out, the others wait: enough for when the loop is busy */

typedef void writer_fn(void *arg);
/* ready is called from the loop when a batch has come back: now take it with writer_land(). */
struct writer *writer_new(struct loop *l, writer_fn *ready, void *arg, struct err *e);
void writer_free(struct writer *w); /* what is under way is waited for; its results are nobody's */

uint32_t writer_port(const struct writer *w, size_t i); /* nl_port() of each of its WRITER_BATCHES sockets */

/* The next socket, with a batch begun on it and its number (below WRITER_BATCHES); NULL if all are under way.
 * At most WRITER_BATCH requests may be queued. */
struct nl *writer_begin(struct writer *w, size_t *ret_slot);
void writer_go(struct writer *w);

/* The oldest batch that came back, its slot and its socket for nl_batch_end(); NULL if none has. wait: waits
 * for the one under way, so that NULL says that there is none. The socket is free again afterwards. */
struct nl *writer_land(struct writer *w, bool wait, size_t *ret_slot);
