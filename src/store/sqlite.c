/*
 * The embedded datastore: one SQLite file that any number of processes use at once.
 *
 * Table object holds what there is, keyed by its revision, so that "what changed since revision R" is a range
 * of it; an update moves the row to the end. Table gone remembers the last KEEP_GONE deletions for the same
 * question. Puts therefore never leave a gap, and nothing is stored twice.
 *
 * All requests of a turn are carried out in order in one transaction: one fsync, however many writers wait.
 * The log (WAL mode, synchronous=FULL) is on the disk before a callback says so. Other processes are woken by
 * the time stamp of the log, which a writer touches after its commit (a write to the log would be seen before
 * it counts); a look at the revision once a second is for those who do not.
 *
 * A lock that another process holds is waited for with a timer. A file that was moved away, or exchanged, is
 * noticed before each transaction: an acknowledgement must never be for a file that nobody will find again.
 */
#include "store/sqlite.h"

#include "base/check.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/inotify.h>
#include <sys/random.h>
#include <sys/stat.h>

#define POLL	  SEC
#define QUEUE_MAX 65536 /* requests */
#define CHUNK	  512	/* changes told to a watcher before others get their turn */

struct row {
	enum kind kind;
	int64_t rev;
	char *name, *value; /* value NULL: a deletion */
};

struct rows {
	struct row *v;
	size_t n, cap;
};

enum req_op { REQ_GET, REQ_LIST, REQ_CREATE, REQ_UPDATE, REQ_DELETE };

struct req {
	struct list node;
	enum req_op op;
	enum kind kind;
	char *name, *value;
	int64_t rev;
	usec_t at; /* when it was asked */
	store_done_fn *done;
	store_list_fn *listed;
	void *arg;
	/* The outcome. */
	int rc;
	struct err e;
	struct rows rows;
	int64_t now; /* the store's revision after it */
};

struct watch {
	struct list node;
	struct sq *b;
	uint32_t kinds;
	int64_t at; /* told up to here */
	store_event_fn *fn;
	void *arg;
	uint64_t round;
	usec_t busy_since; /* 0: not */
	bool ended;	   /* told of a gap or a failure */
	bool dead;	   /* unwatched; freed once no callback is running */
};

/* ---- statements: each returns SQLITE_OK, SQLITE_ROW or an error of SQLite ---- */

static void bind_text(sqlite3_stmt *st, int at, const char *s)
{
	CHECK(sqlite3_bind_text(st, at, s, -1, SQLITE_STATIC) == SQLITE_OK);
}

static void bind_int(sqlite3_stmt *st, int at, int64_t v)
{
	CHECK(sqlite3_bind_int64(st, at, v) == SQLITE_OK);
}

static const char *word_of(enum kind k)
{
	return kind_info(k)->plural;
}

static enum kind kind_by_word(const char *word)
{
	for (enum kind k = KIND_NONE + 1; k < KINDS; k++)
		if (strcmp(word_of(k), word) == 0)
			return k;
	return KIND_NONE;
}

static void rows_done(struct rows *rows)
{
	for (size_t i = 0; i < rows->n; i++) {
		free(rows->v[i].name);
		free(rows->v[i].value);
	}
	free(rows->v);
	*rows = (struct rows){ 0 };
}

static struct row *rows_add(struct rows *rows)
{
	if (rows->n == rows->cap) {
		rows->cap = rows->cap ? rows->cap * 2 : 1;
		rows->v = xrealloc(rows->v, rows->cap * sizeof(*rows->v));
	}
	struct row *r = &rows->v[rows->n++];
	*r = (struct row){ 0 };
	return r;
}

/* The present row of "rev, kind, name, value". One of a kind we do not know gets KIND_NONE. */
static void rows_take(struct rows *rows, sqlite3_stmt *st)
{
	const char *kind = (const char *)sqlite3_column_text(st, 1);
	const char *name = (const char *)sqlite3_column_text(st, 2);
	const char *value = (const char *)sqlite3_column_text(st, 3);
	struct row *r = rows_add(rows);

	r->rev = sqlite3_column_int64(st, 0);
	if (!kind || !name || !*name || strlen(name) >= KIND_NAME_MAX ||
	    (value && strlen(value) > KIND_VALUE_MAX))
		return; /* not written by us */
	r->kind = kind_by_word(kind);
	r->name = xstrdup(name);
	r->value = value ? xstrdup(value) : NULL;
}

static int set_revision(struct sq *b, int64_t rev)
{
	sqlite3_stmt *st = sqlite_use(b, Q_SET_REVISION);

	bind_int(st, 1, rev);
	return sqlite_run(st);
}

/* Ends whatever transaction is open, without a word: the trouble has been noted before. */
static void roll_back(struct sq *b)
{
	for (int q = 0; q < QUERIES; q++)
		sqlite3_reset(b->stmt[q]);
	if (!sqlite3_get_autocommit(b->db))
		sqlite_run(sqlite_use(b, Q_ROLLBACK));
}

/* ---- carrying out requests ---- */

static int find(struct sq *b, struct req *r)
{
	sqlite3_stmt *st = sqlite_use(b, Q_GET);

	bind_text(st, 1, word_of(r->kind));
	bind_text(st, 2, r->name);
	int rc = sqlite3_step(st);
	if (rc == SQLITE_ROW)
		rows_take(&r->rows, st);
	sqlite3_reset(st);
	return rc == SQLITE_ROW || rc == SQLITE_DONE ? SQLITE_OK : rc;
}

static int find_all(struct sq *b, struct req *r)
{
	sqlite3_stmt *st = sqlite_use(b, Q_LIST);
	size_t n = strlen(r->name);
	int rc;

	bind_text(st, 1, word_of(r->kind));
	bind_text(st, 2, r->name);
	while ((rc = sqlite3_step(st)) == SQLITE_ROW) {
		const char *name = (const char *)sqlite3_column_text(st, 2);
		if (name && strncmp(name, r->name, n) != 0)
			break;
		rows_take(&r->rows, st);
	}
	sqlite3_reset(st);
	return rc == SQLITE_ROW || rc == SQLITE_DONE ? SQLITE_OK : rc;
}

static int insert(struct sq *b, const struct req *r, int64_t rev)
{
	sqlite3_stmt *st = sqlite_use(b, Q_INSERT);

	bind_int(st, 1, rev);
	bind_text(st, 2, word_of(r->kind));
	bind_text(st, 3, r->name);
	bind_text(st, 4, r->value);
	return sqlite_run(st);
}

static int update(struct sq *b, const struct req *r, int64_t old, int64_t rev)
{
	sqlite3_stmt *st = sqlite_use(b, Q_UPDATE);

	bind_int(st, 1, old);
	bind_int(st, 2, rev);
	bind_text(st, 3, r->value);
	return sqlite_run(st);
}

static int delete (struct sq *b, const struct req *r, int64_t old, int64_t rev)
{
	sqlite3_stmt *st = sqlite_use(b, Q_DELETE);

	bind_int(st, 1, old);
	int rc = sqlite_run(st);
	if (rc != SQLITE_OK)
		return rc;
	st = sqlite_use(b, Q_BURY);
	bind_int(st, 1, rev);
	bind_text(st, 2, word_of(r->kind));
	bind_text(st, 3, r->name);
	rc = sqlite_run(st);
	return rc == SQLITE_OK ? sqlite_run(sqlite_use(b, Q_PRUNE)) : rc;
}

/* An answer other than "done"; the object that is there, if any, goes with it. */
static void answer(struct req *r, int code, const char *what)
{
	r->rc = -code;
	err_set(&r->e, code, "%s/%.200s %s", word_of(r->kind), r->name, what);
}

/* What was found is replaced by what is there now. */
static void changed(struct req *r, int64_t rev)
{
	rows_done(&r->rows);
	struct row *row = rows_add(&r->rows);
	*row = (struct row){ r->kind, rev, xstrdup(r->name), r->op == REQ_DELETE ? NULL : xstrdup(r->value) };
}

/* One change of one object, if the comparison holds. */
static int change(struct sq *b, struct req *r, int64_t *rev)
{
	int rc = find(b, r);
	int64_t old = r->rows.n ? r->rows.v[0].rev : 0;

	if (rc != SQLITE_OK)
		return rc;
	if (r->op == REQ_CREATE && old) {
		answer(r, EEXIST, "exists already");
		return SQLITE_OK;
	}
	if (r->op != REQ_CREATE && !old) {
		answer(r, ENOENT, "does not exist");
		return SQLITE_OK;
	}
	if (r->op != REQ_CREATE && r->rev != old && !(r->op == REQ_DELETE && r->rev == 0)) {
		answer(r, ESTALE, "was changed by somebody else meanwhile");
		return SQLITE_OK;
	}
	if (r->op == REQ_CREATE)
		rc = insert(b, r, *rev + 1);
	else if (r->op == REQ_UPDATE)
		rc = update(b, r, old, *rev + 1);
	else
		rc = delete (b, r, old, *rev + 1);
	if (rc == SQLITE_OK)
		changed(r, ++*rev);
	return rc;
}

static int execute(struct sq *b, struct req *r, int64_t *rev)
{
	int rc = SQLITE_OK;

	r->rc = 0;
	rows_done(&r->rows);
	switch (r->op) {
	case REQ_GET:
		rc = find(b, r);
		if (rc == SQLITE_OK && !r->rows.n)
			answer(r, ENOENT, "does not exist");
		break;
	case REQ_LIST:
		rc = find_all(b, r);
		break;
	case REQ_CREATE:
	case REQ_UPDATE:
	case REQ_DELETE:
		rc = change(b, r, rev);
		break;
	}
	r->now = *rev;
	return rc;
}

static bool is_write(const struct req *r)
{
	return r->op != REQ_GET && r->op != REQ_LIST;
}

/* Carries out the whole batch in one transaction, or nothing of it. An error of SQLite; b->trouble says more.
 */
static int transact(struct sq *b, struct list *batch, bool write)
{
	int64_t before = 0, rev = 0;
	struct req *r;

	b->in_commit = false;
	int rc = sqlite_run(sqlite_use(b, write ? Q_BEGIN_WRITE : Q_BEGIN));
	if (rc == SQLITE_OK)
		rc = sqlite_get_revision(b, &before);
	rev = before;
	list_each (r, batch, node) {
		if (rc != SQLITE_OK)
			break;
		rc = execute(b, r, &rev);
	}
	if (rc == SQLITE_OK && rev != before)
		rc = set_revision(b, rev);
	if (rc == SQLITE_OK) {
		b->in_commit = true;
		rc = sqlite_run(sqlite_use(b, Q_COMMIT));
	}
	if (rc != SQLITE_OK) {
		sqlite_explain(b, b->db, rc, &b->trouble);
		roll_back(b);
		return rc;
	}
	b->newest = MAX(b->newest, rev);
	if (rev != before) {
		b->poked = true;
		utimensat(AT_FDCWD, b->log, NULL, 0); /* wakes the other processes */
	}
	return SQLITE_OK;
}

static void move_all(struct list *from, struct list *to_front_of)
{
	while (!list_empty(from)) {
		struct list *n = from->prev;
		list_del(n);
		list_add_head(to_front_of, n);
	}
}

/* Takes the reads at the head of the queue, or everything from a write on. True if there is a write among it.
 */
static bool take_batch(struct sq *b, struct list *batch)
{
	bool write = is_write(list_entry(b->queue.next, struct req, node));
	struct req *r, *tmp;

	list_init(batch);
	list_each_safe (r, tmp, &b->queue, node) {
		if (!write && is_write(r))
			break;
		list_del(&r->node);
		list_add_tail(batch, &r->node);
	}
	return write;
}

static void fail(struct sq *b, struct req *r, const struct err *e)
{
	rows_done(&r->rows);
	r->e = *e;
	r->rc = -e->code;
	list_del(&r->node);
	list_add_tail(&b->ready, &r->node);
}

/* Those who have waited long enough are told; the rest waits on. */
static void wait_for_lock(struct sq *b, struct list *batch)
{
	struct req *r, *tmp;
	struct err e;

	sqlite_explain(b, NULL, SQLITE_BUSY, &e);
	list_each_safe (r, tmp, batch, node)
		if (loop_now(b->l) - r->at >= LOCK_MAX)
			fail(b, r, &e);
	move_all(batch, &b->queue);
	if (list_empty(&b->queue))
		return;
	usec_t most = MSEC << MIN(b->tries, 5u);
	b->tries++;
	usec_t wait = MSEC + (usec_t)prng_below(&b->prng, (uint64_t)most);
	timer_start(loop_timers(b->l), &b->retry, loop_now(b->l) + wait);
}

static bool adds(const struct list *batch)
{
	const struct req *r;

	list_each (r, batch, node)
		if (r->op == REQ_CREATE || r->op == REQ_UPDATE)
			return true;
	return false;
}

/*
 * The transaction failed. A full disk fails what adds to it, so that deletions may still succeed; else all
 * writes have failed and the reads are tried again by themselves.
 */
static void fail_batch(struct sq *b, struct list *batch, bool write)
{
	bool full = b->trouble.code == ENOSPC || b->trouble.code == EDQUOT, puts = adds(batch);
	struct req *r, *tmp;

	/* Written, perhaps, but perhaps not for good: that is the one thing that may not be called failed. */
	if (write && b->in_commit && b->trouble.code == EIO)
		b->trouble.code = ETIMEDOUT;
	list_each_safe (r, tmp, batch, node)
		if (!write || (full && puts ? is_write(r) && r->op != REQ_DELETE : is_write(r)))
			fail(b, r, &b->trouble);
	move_all(batch, &b->queue);
}

static int attempt(struct sq *b, struct list *batch, bool write)
{
	b->in_commit = false;
	if (sqlite_ensure(b, &b->trouble) < 0)
		return b->trouble.code == EBUSY ? SQLITE_BUSY : SQLITE_IOERR;
	if (adds(batch) && sqlite_check_room(b, &b->trouble) < 0)
		return SQLITE_FULL;
	return transact(b, batch, write);
}

static void carry_out(struct sq *b)
{
	struct list batch;

	while (!list_empty(&b->queue) && !timer_armed(&b->retry)) {
		bool write = take_batch(b, &batch);
		int rc = attempt(b, &batch, write);
		if ((rc & 0xff) == SQLITE_BUSY) {
			wait_for_lock(b, &batch);
			continue;
		}
		b->tries = 0;
		if (rc != SQLITE_OK) {
			fail_batch(b, &batch, write);
			continue;
		}
		while (!list_empty(&batch)) {
			struct list *n = batch.next;
			list_del(n);
			list_add_tail(&b->ready, n);
		}
	}
}

/* ---- answers ---- */

static void req_free(struct req *r)
{
	list_del(&r->node);
	rows_done(&r->rows);
	free(r->name);
	free(r->value);
	free(r);
}

static struct store_obj obj_of(const struct row *row)
{
	return (struct store_obj){ row->kind, row->name, row->rev, row->value };
}

static void answer_list(struct sq *b, struct req *r)
{
	for (size_t i = 0; r->rc == 0 && i < r->rows.n && !b->closed; i++) {
		struct store_obj obj = obj_of(&r->rows.v[i]);
		if (obj.kind != KIND_NONE)
			r->listed(r->arg, 0, &obj, r->now, NULL);
	}
	if (!b->closed)
		r->listed(r->arg, r->rc, NULL, r->now, r->rc ? &r->e : NULL);
}

static void answer_one(struct req *r)
{
	struct store_obj obj;

	if (r->rows.n)
		obj = obj_of(&r->rows.v[0]);
	r->done(r->arg, r->rc, r->rows.n ? &obj : NULL, r->rc ? &r->e : NULL);
}

static void deliver(struct sq *b)
{
	while (!b->closed && !list_empty(&b->ready)) {
		struct req *r = list_entry(b->ready.next, struct req, node);
		list_del(&r->node);
		b->nqueue--;
		if (r->op == REQ_LIST)
			answer_list(b, r);
		else
			answer_one(r);
		req_free(r);
	}
}

/* ---- watches ---- */

/* Deletions after revision at may have been forgotten already. */
static int find_gap(struct sq *b, int64_t at, bool *ret)
{
	sqlite3_stmt *st = sqlite_use(b, Q_OLDEST_GONE);
	int rc = sqlite3_step(st);

	*ret = rc == SQLITE_ROW && sqlite3_column_int64(st, 1) > 1 && at < sqlite3_column_int64(st, 0) - 1;
	sqlite3_reset(st);
	return rc == SQLITE_ROW || rc == SQLITE_DONE ? SQLITE_OK : rc;
}

static int find_changes(struct sq *b, int64_t at, struct rows *ret)
{
	sqlite3_stmt *st = sqlite_use(b, Q_CHANGES);
	int rc;

	bind_int(st, 1, at);
	bind_int(st, 2, CHUNK);
	while ((rc = sqlite3_step(st)) == SQLITE_ROW)
		rows_take(ret, st);
	sqlite3_reset(st);
	return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

/* What w has not been told yet, at most CHUNK of it, and the store's revision. */
static int look(struct sq *b, struct watch *w, struct rows *ret, int64_t *ret_now, bool *ret_gap)
{
	int rc = sqlite_run(sqlite_use(b, Q_BEGIN));

	if (rc == SQLITE_OK)
		rc = sqlite_get_revision(b, ret_now);
	*ret_gap = rc == SQLITE_OK && *ret_now < w->at;
	if (rc == SQLITE_OK && *ret_now > w->at)
		rc = find_gap(b, w->at, ret_gap);
	if (rc == SQLITE_OK && *ret_now > w->at && !*ret_gap)
		rc = find_changes(b, w->at, ret);
	if (rc == SQLITE_OK)
		rc = sqlite_run(sqlite_use(b, Q_COMMIT));
	if (rc == SQLITE_OK)
		return SQLITE_OK;
	sqlite_explain(b, b->db, rc, &b->trouble);
	roll_back(b);
	return rc;
}

static void tell(struct watch *w, enum store_event ev, const struct store_obj *obj, const struct err *e)
{
	w->ended = ev == STORE_RESYNC || ev == STORE_LOST;
	w->fn(w->arg, ev, obj, e);
}

static void tell_changes(struct sq *b, struct watch *w, const struct rows *rows, int64_t now)
{
	for (size_t i = 0; i < rows->n && !w->dead && !b->closed; i++) {
		struct store_obj obj = obj_of(&rows->v[i]);
		w->at = obj.rev;
		if (obj.kind != KIND_NONE && w->kinds & 1u << obj.kind)
			tell(w, obj.value ? STORE_PUT : STORE_DEL, &obj, NULL);
	}
	if (w->dead || b->closed)
		return;
	if (rows->n < CHUNK) {
		w->at = now;
		return;
	}
	b->poked = true;
	timer_start(loop_timers(b->l), &b->yield, 0);
}

/* The file is locked just now: look again soon, but not for ever. */
static void feed_later(struct sq *b, struct watch *w)
{
	usec_t now = loop_now(b->l);

	if (!w->busy_since)
		w->busy_since = now;
	if (now - w->busy_since >= LOCK_MAX) {
		tell(w, STORE_LOST, NULL, &b->trouble);
		return;
	}
	b->poked = true;
	timer_start(loop_timers(b->l), &b->yield, now + 20 * MSEC);
}

static void feed_watch(struct sq *b, struct watch *w)
{
	struct rows rows = { 0 };
	int64_t now = 0;
	bool gap = false;
	int rc = SQLITE_IOERR;

	if (sqlite_ensure(b, &b->trouble) == 0)
		rc = look(b, w, &rows, &now, &gap);
	else if (b->trouble.code == EBUSY)
		rc = SQLITE_BUSY;
	if ((rc & 0xff) == SQLITE_BUSY) {
		feed_later(b, w);
	} else if (rc != SQLITE_OK) {
		tell(w, STORE_LOST, NULL, &b->trouble);
	} else {
		w->busy_since = 0;
		b->newest = MAX(b->newest, now);
		if (gap)
			tell(w, STORE_RESYNC, NULL, NULL);
		else
			tell_changes(b, w, &rows, now);
	}
	rows_done(&rows);
}

/* Callbacks may end any watch, so the list is searched anew for one that this round has not served. */
static struct watch *next_watch(struct sq *b)
{
	struct watch *w;

	list_each (w, &b->watches, node)
		if (w->round != b->round && !w->ended)
			return w;
	return NULL;
}

static void feed(struct sq *b)
{
	struct watch *w;

	if (!b->poked)
		return;
	b->poked = false;
	b->round++;
	while (!b->closed && (w = next_watch(b))) {
		w->round = b->round;
		feed_watch(b, w);
	}
}

/* ---- turns ---- */

static void bury(struct sq *b)
{
	while (!list_empty(&b->graves)) {
		struct watch *w = list_entry(b->graves.next, struct watch, node);
		list_del(&w->node);
		free(w);
	}
}

static void work(struct task *t)
{
	struct sq *b = container_of(t, struct sq, work);

	b->running++;
	carry_out(b);
	deliver(b);
	if (!b->closed)
		feed(b);
	b->running--;
	if (b->running)
		return;
	bury(b);
	if (b->closed)
		free(b);
}

/* Asked from one of our own callbacks, it is work for the next turn: others come first. */
static void soon(struct sq *b)
{
	if (b->running)
		timer_start(loop_timers(b->l), &b->yield, 0);
	else
		loop_soon(b->l, &b->work);
}

static void on_yield(struct timer *t, usec_t now)
{
	struct sq *b = container_of(t, struct sq, yield);

	loop_soon(b->l, &b->work);
}

static void on_retry(struct timer *t, usec_t now)
{
	struct sq *b = container_of(t, struct sq, retry);

	loop_soon(b->l, &b->work);
}

static void on_notify(struct io *io, int events)
{
	struct sq *b = container_of(io, struct sq, notify);
	char buf[4096] __attribute__((aligned(__alignof__(struct inotify_event))));

	while (read(b->notify_fd, buf, sizeof(buf)) > 0)
		;
	b->poked = true;
	loop_soon(b->l, &b->work);
}

/* Best effort: without it (a limit of the kernel's, say) changes of others are seen at the next poll. */
static void listen_to_log(struct sq *b)
{
	if (b->notify_fd >= 0 || !b->db)
		return;
	own_fd int fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	if (fd < 0 || inotify_add_watch(fd, b->log, IN_ATTRIB) < 0)
		return;
	if (loop_watch(b->l, &b->notify, fd, LOOP_READ, NULL) == 0)
		b->notify_fd = take_fd(fd);
}

static void on_poll(struct timer *t, usec_t now)
{
	struct sq *b = container_of(t, struct sq, poll);

	if (list_empty(&b->watches))
		return;
	listen_to_log(b);
	b->poked = true;
	loop_soon(b->l, &b->work);
	timer_start(loop_timers(b->l), t, now + POLL);
}

/* ---- the backend ---- */

static void sqlite_close(void *arg)
{
	struct sq *b = arg;

	timer_stop(&b->yield);
	timer_stop(&b->retry);
	timer_stop(&b->poll);
	task_cancel(&b->work);
	while (!list_empty(&b->queue))
		req_free(list_entry(b->queue.next, struct req, node));
	while (!list_empty(&b->ready))
		req_free(list_entry(b->ready.next, struct req, node));
	while (!list_empty(&b->watches)) {
		struct watch *w = list_entry(b->watches.next, struct watch, node);
		list_del(&w->node);
		list_add_tail(&b->graves, &w->node);
	}
	sqlite_disconnect(b);
	free(b->path);
	free(b->log);
	b->closed = true;
	if (b->running)
		return;
	bury(b);
	free(b);
}

static struct sq *sq_new(struct loop *l, const char *where)
{
	struct sq *b = xcalloc(1, sizeof(*b));
	own_mem char *cwd = *where == '/' ? NULL : getcwd(NULL, 0);

	/* Absolute, so that the program may change its directory and no name is special to SQLite. */
	b->path = cwd ? xasprintf("%s/%s", cwd, where) : xstrdup(where);
	b->log = xasprintf("%s-wal", b->path);
	b->l = l;
	b->notify_fd = -1;
	if (getrandom(&b->prng.state, sizeof(b->prng.state), 0) < 0)
		b->prng.state = (uint64_t)getpid();
	list_init(&b->queue);
	list_init(&b->ready);
	list_init(&b->watches);
	list_init(&b->graves);
	task_init(&b->work, work);
	timer_init(&b->yield, on_yield);
	timer_init(&b->retry, on_retry);
	timer_init(&b->poll, on_poll);
	io_init(&b->notify, on_notify);
	return b;
}

static void *sqlite_open(struct loop *l, const char *where, bool create, struct err *e)
{
	struct sq *b = sq_new(l, where);

	if (sqlite_connect(b, create, e) < 0) {
		sqlite_close(b);
		return NULL;
	}
	return b;
}

static struct req *req_new(struct sq *b, enum req_op op, enum kind k, const char *name, const char *value,
			   int64_t rev)
{
	struct req *r = xcalloc(1, sizeof(*r));

	r->op = op;
	r->kind = k;
	r->name = xstrdup(name);
	r->value = value ? xstrdup(value) : NULL;
	r->rev = rev;
	r->at = loop_now(b->l);
	return r;
}

static void enqueue(struct sq *b, struct req *r, void *arg)
{
	struct err e;

	r->arg = arg;
	list_add_tail(&b->queue, &r->node);
	if (++b->nqueue > QUEUE_MAX) {
		err_set(&e, ENOBUFS, "more than %d requests wait for the datastore %s", QUEUE_MAX, b->path);
		fail(b, r, &e);
	}
	soon(b);
}

static void sqlite_get(void *b, enum kind k, const char *name, store_done_fn *fn, void *arg)
{
	struct req *r = req_new(b, REQ_GET, k, name, NULL, 0);

	r->done = fn;
	enqueue(b, r, arg);
}

static void sqlite_list(void *b, enum kind k, const char *prefix, store_list_fn *fn, void *arg)
{
	struct req *r = req_new(b, REQ_LIST, k, prefix, NULL, 0);

	r->listed = fn;
	enqueue(b, r, arg);
}

static void sqlite_put(void *b, enum kind k, const char *name, const char *value, bool create, int64_t rev,
		       store_done_fn *fn, void *arg)
{
	struct req *r = req_new(b, create ? REQ_CREATE : REQ_UPDATE, k, name, value, rev);

	r->done = fn;
	enqueue(b, r, arg);
}

static void sqlite_del(void *b, enum kind k, const char *name, int64_t rev, store_done_fn *fn, void *arg)
{
	struct req *r = req_new(b, REQ_DELETE, k, name, NULL, rev);

	r->done = fn;
	enqueue(b, r, arg);
}

static void *sqlite_watch(void *arg, uint32_t kinds, int64_t from, store_event_fn *fn, void *fn_arg)
{
	struct sq *b = arg;
	struct watch *w = xcalloc(1, sizeof(*w));

	*w = (struct watch){ .b = b, .kinds = kinds, .at = from, .fn = fn, .arg = fn_arg };
	list_add_tail(&b->watches, &w->node);
	listen_to_log(b);
	if (!timer_armed(&b->poll))
		timer_start(loop_timers(b->l), &b->poll, loop_now(b->l) + POLL);
	b->poked = true;
	soon(b);
	return w;
}

static void sqlite_unwatch(void *arg, void *watch)
{
	struct sq *b = arg;
	struct watch *w = watch;

	list_del(&w->node);
	w->dead = true;
	if (b->running)
		list_add_tail(&b->graves, &w->node);
	else
		free(w);
}

const struct store_ops korat_store_ops = {
	.name = "sqlite",
	.open = sqlite_open,
	.close = sqlite_close,
	.get = sqlite_get,
	.list = sqlite_list,
	.put = sqlite_put,
	.del = sqlite_del,
	.watch = sqlite_watch,
	.unwatch = sqlite_unwatch,
};
