/*
 * store/sqlite: the parts of the SQLite backend: sqlite_file.c opens and makes the file and says what is
 * wrong with it, sqlite.c carries out requests and tells watchers.
 */
#pragma once
#include "base/list.h"
#include "base/prng.h"
#include "base/timer.h"
#include "loop/loop.h"
#include "store/store.h"

#include <sqlite3.h>

#define LOCK_MAX (5 * SEC) /* how long a lock of another process is waited for */

enum {
	Q_BEGIN,
	Q_BEGIN_WRITE,
	Q_COMMIT,
	Q_ROLLBACK,
	Q_REVISION,
	Q_SET_REVISION,
	Q_GET,
	Q_LIST,
	Q_INSERT,
	Q_UPDATE,
	Q_DELETE,
	Q_BURY,
	Q_PRUNE,
	Q_OLDEST_GONE,
	Q_CHANGES,
	QUERIES,
};

struct sq {
	struct loop *l;
	char *path, *log;
	sqlite3 *db; /* NULL while the file is gone */
	sqlite3_stmt *stmt[QUERIES];
	dev_t dev;
	ino_t ino;
	char id[40];	/* of the store in the file */
	int64_t newest; /* the highest revision seen in it */
	struct prng prng;
	struct list queue, ready; /* struct req: asked; carried out */
	size_t nqueue;
	struct list watches, graves;
	struct task work;
	struct timer yield; /* more work, next turn */
	struct timer retry; /* the file is locked */
	unsigned tries;
	struct timer poll;
	struct io notify;
	int notify_fd;
	uint64_t round;
	bool poked;	    /* look for changes */
	unsigned running;   /* callbacks on the stack */
	bool closed;	    /* freed when they have returned */
	bool in_commit;	    /* the failure came from COMMIT: nobody knows */
	struct err trouble; /* why the last transaction failed */
};

/* Fills e with what rc of SQLite (about db, which may be NULL) means for the user, as one sentence. Returns
 * -errno. */
int sqlite_explain(struct sq *b, sqlite3 *db, int rc, struct err *e);

/* Opens the file, made first if it is missing and create is set. Waits for a lock, so this is for the start
 * only. */
int sqlite_connect(struct sq *b, bool create, struct err *e);
void sqlite_disconnect(struct sq *b);
/* Before each transaction: is the file that we have open still the one that others find? If not it is opened
 * anew, provided it holds the same store. -EBUSY: not to be known just now. */
int sqlite_ensure(struct sq *b, struct err *e);

/* -ENOSPC if the disk has too little left for anything but deletions. */
int sqlite_check_room(struct sq *b, struct err *e);

/* A statement, ready to be bound. */
sqlite3_stmt *sqlite_use(struct sq *b, int query);
/* Steps a statement that yields no row of interest. SQLITE_OK or an error. */
int sqlite_run(sqlite3_stmt *st);
int sqlite_get_revision(struct sq *b, int64_t *ret);
