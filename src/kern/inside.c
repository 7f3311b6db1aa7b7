/* A short-lived thread, because setns(2) and unshare(2) change the network namespace of one thread only. */
#include "kern/inside.h"

#include "base/check.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>

struct job {
	int nsfd;
	inside_fn *fn;
	void *arg;
	int result;
	struct err err;
};

static void *run(void *arg)
{
	struct job *j = arg;

	if (j->nsfd >= 0 && setns(j->nsfd, CLONE_NEWNET) < 0)
		j->result = err_set(&j->err, errno, "enter network namespace: %m");
	else
		j->result = j->fn(j->arg, &j->err);
	return NULL;
}

int inside_run(int nsfd, inside_fn *fn, void *arg, struct err *e)
{
	struct job j = { .nsfd = nsfd, .fn = fn, .arg = arg };
	sigset_t all, old;
	pthread_t t;

	sigfillset(&all);
	CHECK(!pthread_sigmask(SIG_SETMASK, &all, &old));
	int r = pthread_create(&t, NULL, run, &j);
	CHECK(!pthread_sigmask(SIG_SETMASK, &old, NULL));
	if (r)
		return err_set(e, r, "start a thread for another network namespace: %m");
	CHECK(!pthread_join(t, NULL));
	if (j.result < 0 && e)
		*e = j.err;
	return j.result;
}
