/* A thread, two sockets that go to and fro, and a descriptor that wakes the loop. */
#include "kern/writer.h"

#include "base/own.h"
#include "kern/msg.h"
#include "loop/loop.h"

#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>

struct writer {
	struct nl *nl[WRITER_BATCHES];
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t given, done;
	/* Batches are numbered from 0; number n goes through socket n % WRITER_BATCHES. Under the lock: */
	uint64_t ngiven, ndone;
	bool stop;
	/* The loop's own: */
	uint64_t nlanded;
	int fd;
	struct io io;
	writer_fn *ready;
	void *arg;
};

/* Waits for the next batch; false if there will be none. */
static bool next_batch(struct writer *w)
{
	pthread_mutex_lock(&w->lock);
	while (!w->stop && w->ndone == w->ngiven)
		pthread_cond_wait(&w->given, &w->lock);
	bool more = w->ndone < w->ngiven;
	pthread_mutex_unlock(&w->lock);
	return more;
}

static void batch_done(struct writer *w)
{
	uint64_t one = 1;

	pthread_mutex_lock(&w->lock);
	w->ndone++;
	pthread_cond_signal(&w->done);
	pthread_mutex_unlock(&w->lock);
	CHECK(write(w->fd, &one, sizeof(one)) == sizeof(one));
}

static void *work(void *arg)
{
	struct writer *w = arg;

	while (next_batch(w)) {
		/* Only this thread changes ndone. */
		nl_batch_send(w->nl[w->ndone % WRITER_BATCHES]);
		batch_done(w);
	}
	return NULL;
}

static void on_readable(struct io *io, int events)
{
	struct writer *w = container_of(io, struct writer, io);
	uint64_t n;

	if (read(w->fd, &n, sizeof(n)) == sizeof(n))
		w->ready(w->arg);
}

static int start_thread(struct writer *w, struct err *e)
{
	sigset_t all, before;

	/* Signals are the loop's. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	int code = pthread_create(&w->thread, NULL, work, w);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return code ? err_set(e, code, "start the thread that writes routes: %m") : 0;
}

static void free_parts(struct writer *w)
{
	for (size_t i = 0; i < WRITER_BATCHES; i++)
		nl_free(w->nl[i]);
	loop_unwatch(&w->io);
	if (w->fd >= 0)
		close(w->fd);
	pthread_cond_destroy(&w->given);
	pthread_cond_destroy(&w->done);
	pthread_mutex_destroy(&w->lock);
	free(w);
}

struct writer *writer_new(struct loop *l, writer_fn *ready, void *arg, struct err *e)
{
	struct writer *w = xcalloc(1, sizeof(*w));

	w->ready = ready;
	w->arg = arg;
	io_init(&w->io, on_readable);
	pthread_mutex_init(&w->lock, NULL);
	pthread_cond_init(&w->given, NULL);
	pthread_cond_init(&w->done, NULL);
	w->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (w->fd < 0) {
		err_set(e, errno, "make an event descriptor: %m");
		goto fail;
	}
	for (size_t i = 0; i < WRITER_BATCHES; i++) {
		if (nl_open(&w->nl[i], e) < 0)
			goto fail;
		nl_hold(w->nl[i], WRITER_BATCH);
	}
	if (loop_watch(l, &w->io, w->fd, LOOP_READ, e) < 0 || start_thread(w, e) < 0)
		goto fail;
	return w;
fail:
	free_parts(w);
	return NULL;
}

void writer_free(struct writer *w)
{
	if (!w)
		return;
	pthread_mutex_lock(&w->lock);
	w->stop = true;
	pthread_cond_signal(&w->given);
	pthread_mutex_unlock(&w->lock);
	pthread_join(w->thread, NULL);
	free_parts(w);
}

uint32_t writer_port(const struct writer *w, size_t i)
{
	return nl_port(w->nl[i]);
}

struct nl *writer_begin(struct writer *w, size_t *ret_slot)
{
	size_t slot = w->ngiven % WRITER_BATCHES;

	/* Only the loop changes ngiven. */
	if (w->ngiven - w->nlanded == WRITER_BATCHES)
		return NULL;
	nl_batch_begin(w->nl[slot]);
	*ret_slot = slot;
	return w->nl[slot];
}

void writer_go(struct writer *w)
{
	pthread_mutex_lock(&w->lock);
	w->ngiven++;
	pthread_cond_signal(&w->given);
	pthread_mutex_unlock(&w->lock);
}

struct nl *writer_land(struct writer *w, bool wait, size_t *ret_slot)
{
	pthread_mutex_lock(&w->lock);
	while (wait && w->ndone == w->nlanded && w->ndone < w->ngiven)
		pthread_cond_wait(&w->done, &w->lock);
	bool landed = w->ndone > w->nlanded;
	pthread_mutex_unlock(&w->lock);
	if (!landed)
		return NULL;
	*ret_slot = w->nlanded++ % WRITER_BATCHES;
	return w->nl[*ret_slot];
}
