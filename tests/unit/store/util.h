/*
 * What the tests of the datastore share: a directory and a loop of their own, requests that wait for their
 * answer, and a recorder of events.
 */
#pragma once
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/check.h"
#include "loop/loop.h"
#include "store/store.h"

#include <sys/types.h>

struct env {
	struct loop *l;
	char dir[64];
	char path[80]; /* of the file, for backends that have one */
	void *b;       /* the backend's handle, owned by s */
	struct store *s;
};

void env_init(struct env *t); /* directory and loop */
void env_open(struct env *t); /* t->s on t->path, which may have to be made */
void env_close(struct env *t);
void env_done(struct env *t);
/* A further handle on the same file. */
struct store *env_another(struct env *t, void **ret_b);

/* An answer. Freed by the next one into the same variable, or by got_done(). */
struct got {
	bool done;
	int rc;
	int64_t rev;
	char *value; /* NULL: no object came with the answer */
	struct err e;
};
void got_done(struct got *g);
store_done_fn on_got;
void await(struct env *t, struct got *g);
void get(struct env *t, struct store *s, enum kind k, const char *name, struct got *g);
void create(struct env *t, struct store *s, enum kind k, const char *name, const char *value, struct got *g);
void update(struct env *t, struct store *s, enum kind k, const char *name, const char *value, int64_t rev,
	    struct got *g);
void del(struct env *t, struct store *s, enum kind k, const char *name, int64_t rev, struct got *g);

/* All that a follower or watcher was told, and all of a list. */
struct seen {
	enum store_event ev;
	enum kind kind;
	int64_t rev;
	char *name, *value;
};
struct rec {
	struct seen *v;
	size_t n, cap;
	size_t synced, resyncs, lost;
	bool ended; /* a list is complete */
	int rc;
	int64_t rev; /* of the list */
	struct err e;
};
store_event_fn on_seen;
store_list_fn on_listed;
void rec_done(struct rec *r);
/* Runs the loop until at least n of what counter counts are there; fails the test after 10 s. */
void await_count(struct env *t, const size_t *counter, size_t n);
void list(struct env *t, struct store *s, enum kind k, const char *prefix, struct rec *r);
/* Runs the loop for that long. */
void pass(struct env *t, usec_t time);
/* The last that was told about an object, or NULL. */
const struct seen *rec_last(const struct rec *r, const char *name);

usec_t clock_now(void);
void remove_tree(const char *dir);
