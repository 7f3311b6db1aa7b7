/*
 * The power fails at any moment: what was acknowledged before is there afterwards. The disk fails: that is
 * said.
 *
 * A layer below SQLite notes every write, truncation and sync of the file and its log. Then each prefix of
 * those notes is played back onto copies of the files as they were at first, in the ways a disk may have
 * carried it out: only what was synced; all of it; a random part of what was not synced, with a write torn in
 * two. The backend opens each result.
 */
#include "util.h"

#include "base/prng.h"

#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <sys/stat.h>

#define POOL KIND_IPPOOL

enum { FILE_DB, FILE_LOG, FILES };
enum { OBJECTS = 8, TURNS = 80 };

/* ---- the disk's notebook ---- */

enum note_op { NOTE_WRITE, NOTE_TRUNCATE, NOTE_SYNC };

struct note {
	enum note_op op;
	int file;
	sqlite3_int64 at; /* or the length, for a truncation */
	int n;
	uint8_t *bytes;
};

struct disk {
	sqlite3_vfs vfs;
	sqlite3_vfs *real;
	int write_error, sync_error; /* of SQLite, instead of doing it */
	bool taking;		     /* notes are taken; else syncs are skipped, as the copies need none */
	const char *path;
	struct note *v;
	size_t n, cap;
};

struct disk_file {
	sqlite3_file base;
	struct disk *disk;
	int file; /* FILES: not one of interest */
	sqlite3_file *real;
};

static void note(struct disk_file *f, struct note what)
{
	struct disk *d = f->disk;

	if (!d->taking || f->file == FILES)
		return;
	if (d->n == d->cap) {
		d->cap = d->cap ? d->cap * 2 : 256;
		d->v = xrealloc(d->v, d->cap * sizeof(*d->v));
	}
	what.file = f->file;
	d->v[d->n++] = what;
}

#define REAL(call, ...)                                 \
	struct disk_file *f = (struct disk_file *)file; \
	return f->real->pMethods->call(f->real __VA_OPT__(, ) __VA_ARGS__)

static int disk_close(sqlite3_file *file)
{
	REAL(xClose);
}

static int disk_read(sqlite3_file *file, void *to, int n, sqlite3_int64 at)
{
	REAL(xRead, to, n, at);
}

static int disk_write(sqlite3_file *file, const void *from, int n, sqlite3_int64 at)
{
	struct disk_file *f = (struct disk_file *)file;

	if (f->disk->write_error && f->file != FILES)
		return f->disk->write_error;
	if (f->disk->taking && f->file != FILES) {
		uint8_t *bytes = xmalloc((size_t)n);
		memcpy(bytes, from, (size_t)n);
		note(f, (struct note){ .op = NOTE_WRITE, .at = at, .n = n, .bytes = bytes });
	}
	return f->real->pMethods->xWrite(f->real, from, n, at);
}

static int disk_truncate(sqlite3_file *file, sqlite3_int64 n)
{
	note((struct disk_file *)file, (struct note){ .op = NOTE_TRUNCATE, .at = n });
	REAL(xTruncate, n);
}

static int disk_sync(sqlite3_file *file, int flags)
{
	struct disk_file *f = (struct disk_file *)file;

	note(f, (struct note){ .op = NOTE_SYNC });
	return f->file != FILES ? f->disk->sync_error : SQLITE_OK;
}

static int disk_size(sqlite3_file *file, sqlite3_int64 *ret)
{
	REAL(xFileSize, ret);
}

static int disk_lock(sqlite3_file *file, int level)
{
	REAL(xLock, level);
}

static int disk_unlock(sqlite3_file *file, int level)
{
	REAL(xUnlock, level);
}

static int disk_reserved(sqlite3_file *file, int *ret)
{
	REAL(xCheckReservedLock, ret);
}

static int disk_control(sqlite3_file *file, int op, void *arg)
{
	REAL(xFileControl, op, arg);
}

static int disk_sector(sqlite3_file *file)
{
	REAL(xSectorSize);
}

/* Nothing is promised: no atomic writes, no order, and a torn write may hurt its neighbours. */
static int disk_traits(sqlite3_file *file)
{
	return 0;
}

static int disk_shm_map(sqlite3_file *file, int page, int size, int extend, void volatile **ret)
{
	REAL(xShmMap, page, size, extend, ret);
}

static int disk_shm_lock(sqlite3_file *file, int at, int n, int flags)
{
	REAL(xShmLock, at, n, flags);
}

static void disk_shm_barrier(sqlite3_file *file)
{
	struct disk_file *f = (struct disk_file *)file;

	f->real->pMethods->xShmBarrier(f->real);
}

static int disk_shm_unmap(sqlite3_file *file, int remove)
{
	REAL(xShmUnmap, remove);
}

static const sqlite3_io_methods disk_methods = {
	.iVersion = 2,
	.xClose = disk_close,
	.xRead = disk_read,
	.xWrite = disk_write,
	.xTruncate = disk_truncate,
	.xSync = disk_sync,
	.xFileSize = disk_size,
	.xLock = disk_lock,
	.xUnlock = disk_unlock,
	.xCheckReservedLock = disk_reserved,
	.xFileControl = disk_control,
	.xSectorSize = disk_sector,
	.xDeviceCharacteristics = disk_traits,
	.xShmMap = disk_shm_map,
	.xShmLock = disk_shm_lock,
	.xShmBarrier = disk_shm_barrier,
	.xShmUnmap = disk_shm_unmap,
};

static int which(struct disk *d, const char *name)
{
	size_t n = strlen(d->path);

	if (!name || strncmp(name, d->path, n) != 0)
		return FILES;
	return !name[n] ? FILE_DB : strcmp(name + n, "-wal") == 0 ? FILE_LOG : FILES;
}

static int disk_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags, int *ret_flags)
{
	struct disk *d = container_of(vfs, struct disk, vfs);
	struct disk_file *f = (struct disk_file *)file;

	f->disk = d;
	f->file = which(d, name);
	f->real = (sqlite3_file *)(f + 1);
	int rc = d->real->xOpen(d->real, name, f->real, flags, ret_flags);
	f->base.pMethods = f->real->pMethods ? &disk_methods : NULL;
	return rc;
}

static void disk_insert(struct disk *d, const char *path)
{
	d->real = sqlite3_vfs_find(NULL);
	d->path = path;
	d->vfs = *d->real;
	d->vfs.zName = "notes";
	d->vfs.pNext = NULL;
	d->vfs.szOsFile = (int)sizeof(struct disk_file) + d->real->szOsFile;
	d->vfs.xOpen = disk_open;
	assert_int_equal(sqlite3_vfs_register(&d->vfs, 1), SQLITE_OK);
}

static void disk_remove(struct disk *d)
{
	sqlite3_vfs_unregister(&d->vfs);
	for (size_t i = 0; i < d->n; i++)
		free(d->v[i].bytes);
	free(d->v);
}

/* ---- the files as a disk may have them ---- */

struct image {
	uint8_t *v;
	size_t n;
};

static void image_read(struct image *m, const char *path)
{
	own_fd int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;

	assert_true(fd >= 0 && fstat(fd, &st) == 0);
	m->n = (size_t)st.st_size;
	m->v = xmalloc(m->n);
	assert_int_equal(read(fd, m->v, m->n), m->n);
}

static void image_write(const struct image *m, const char *path)
{
	own_fd int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, m->v, m->n), m->n);
}

static void image_resize(struct image *m, size_t n)
{
	m->v = xrealloc(m->v, n);
	if (n > m->n)
		memset(m->v + m->n, 0, n - m->n);
	m->n = n;
}

/* Carries out a write (its first `part` bytes) or a truncation. */
static void image_apply(struct image *m, const struct note *w, int part)
{
	if (w->op == NOTE_TRUNCATE) {
		image_resize(m, (size_t)w->at);
		return;
	}
	if ((size_t)(w->at + part) > m->n)
		image_resize(m, (size_t)(w->at + part));
	memcpy(m->v + w->at, w->bytes, (size_t)part);
}

static struct image image_copy(const struct image *m)
{
	struct image c = { xmalloc(m->n), m->n };

	memcpy(c.v, m->v, m->n);
	return c;
}

/* ---- what was promised ---- */

struct promise {
	size_t when; /* notes taken before the acknowledgement */
	int object;
	long version; /* 0: deleted */
	long order;   /* of the request, over all objects */
};

struct world {
	struct env t;
	struct disk disk;
	struct prng prng;
	struct promise *promises;
	size_t n;
	struct asked {
		struct world *w;
		int object;
		long version, order;
		bool deletes, open;
	} asked[OBJECTS];
	int64_t rev[OBJECTS]; /* 0: is not there */
	long order;
	struct image first[FILES];
};

static void on_kept(void *arg, int rc, const struct store_obj *obj, const struct err *e)
{
	struct asked *a = arg;
	struct world *w = a->w;

	assert_int_equal(rc, 0);
	a->open = false;
	w->rev[a->object] = a->deletes ? 0 : obj->rev;
	w->promises = xrealloc(w->promises, (w->n + 1) * sizeof(*w->promises));
	w->promises[w->n++] = (struct promise){ w->disk.n, a->object, a->version, a->order };
}

/* Changes object i: makes it, writes it anew, or deletes it. The value begins with the order of the request.
 */
static void ask(struct world *w, int i)
{
	static const size_t sizes[] = { 20, 300, 3000, 9000 };
	struct asked *a = &w->asked[i];
	char name[8];
	size_t size = sizes[prng_below(&w->prng, ARRAY_SIZE(sizes))];
	own_mem char *value = xcalloc(1, size + 1);

	*a = (struct asked){ w, i, ++w->order, w->order, false, true };
	memset(value, 'x', size);
	int n = snprintf(value, size, "%ld:", a->order);
	value[n] = 'x';
	snprintf(name, sizeof(name), "o%d", i);
	if (!w->rev[i]) {
		store_create(w->t.s, POOL, name, value, on_kept, a);
	} else if (prng_below(&w->prng, 4) == 0) {
		a->deletes = true;
		a->version = 0;
		store_delete(w->t.s, POOL, name, w->rev[i], on_kept, a);
	} else {
		store_update(w->t.s, POOL, name, value, w->rev[i], on_kept, a);
	}
}

static bool waiting(const struct world *w)
{
	for (int i = 0; i < OBJECTS; i++)
		if (w->asked[i].open)
			return true;
	return false;
}

static void work(struct world *w)
{
	for (int turn = 0; turn < TURNS; turn++) {
		for (int i = 0; i < OBJECTS; i++)
			if (prng_below(&w->prng, 3) == 0)
				ask(w, i);
		while (waiting(w))
			loop_turn(w->t.l, loop_now(w->t.l) + SEC);
	}
}

/* ---- is it kept? ---- */

/* By the requests acknowledged before note k: what an object must at least have seen. */
static const struct promise *last_promise(const struct world *w, int object, size_t k)
{
	const struct promise *last = NULL;

	for (size_t i = 0; i < w->n && w->promises[i].when <= k; i++)
		if (w->promises[i].object == object)
			last = &w->promises[i];
	return last;
}

/* There must be what was promised, or what a later request (which may have been under way) has made of it. */
static bool holds(const struct world *w, int object, size_t k, const char *value)
{
	const struct promise *p = last_promise(w, object, k), *next = NULL;
	long version = value ? strtol(value, NULL, 10) : 0;

	if (version == (p ? p->version : 0))
		return true;
	for (size_t i = 0; i < w->n && !next; i++)
		if (w->promises[i].object == object && w->promises[i].when > k)
			next = &w->promises[i];
	return next && version == next->version;
}

static bool sound(const char *path)
{
	sqlite3 *db;
	sqlite3_stmt *st;
	bool ok = false;

	if (sqlite3_open(path, &db) == SQLITE_OK &&
	    sqlite3_prepare_v2(db, "PRAGMA integrity_check", -1, &st, NULL) == SQLITE_OK) {
		ok = sqlite3_step(st) == SQLITE_ROW &&
		     strcmp((const char *)sqlite3_column_text(st, 0), "ok") == 0;
		sqlite3_finalize(st);
	}
	sqlite3_close(db);
	return ok;
}

/* Opens the files as the disk has them after note k. */
static bool keeps(struct world *w, const struct image images[FILES], size_t k)
{
	struct env after = w->t;
	struct rec r = { 0 };
	struct err e;
	bool ok = true;

	snprintf(after.path, sizeof(after.path), "%s/after.db", w->t.dir);
	own_mem char *log = xasprintf("%s-wal", after.path);
	image_write(&images[FILE_DB], after.path);
	image_write(&images[FILE_LOG], log);
	void *b = korat_store_ops.open(after.l, after.path, false, &e);
	if (b) {
		struct store *s = store_over(after.l, loop_timers(after.l), &korat_store_ops, b, 1);
		list(&after, s, POOL, "", &r);
		ok = r.rc == 0;
		for (int i = 0; i < OBJECTS && ok; i++) {
			char name[8];
			snprintf(name, sizeof(name), "o%d", i);
			const struct seen *o = rec_last(&r, name);
			ok = holds(w, i, k, o ? o->value : NULL);
		}
		store_free(s);
		rec_done(&r);
	}
	ok = ok && b && sound(after.path);
	unlink(after.path);
	unlink(log);
	return ok;
}

/* Of what was not synced, a random part was written, and the last of that by half. */
static void scatter(struct world *w, struct image images[FILES], const struct note *const *pending, size_t n)
{
	const struct note *last = NULL;

	for (size_t i = 0; i < n; i++) {
		if (prng_below(&w->prng, 2))
			continue;
		image_apply(&images[pending[i]->file], pending[i], pending[i]->n);
		last = pending[i];
	}
	if (last && last->op == NOTE_WRITE)
		for (int i = last->n / 2; i < last->n; i++)
			images[last->file].v[last->at + i] = (uint8_t)prng_next(&w->prng);
}

/* Plays back all notes; the number of moments at which the promise was broken. deaf: a disk that does not
 * sync. */
static size_t play_back(struct world *w, bool deaf, size_t *ret_checks)
{
	struct image synced[FILES] = { image_copy(&w->first[0]), image_copy(&w->first[1]) };
	struct image all[FILES] = { image_copy(&w->first[0]), image_copy(&w->first[1]) };
	const struct note **pending = xcalloc(w->disk.n, sizeof(void *));
	size_t n = 0, broken = 0, checks = 0;
	bool news = true;

	for (size_t k = 0; k < w->disk.n; k++) {
		const struct note *note_k = &w->disk.v[k];
		if (note_k->op == NOTE_SYNC) {
			size_t left = 0;
			for (size_t i = 0; i < n && !deaf; i++) {
				if (pending[i]->file == note_k->file)
					image_apply(&synced[pending[i]->file], pending[i], pending[i]->n);
				else
					pending[left++] = pending[i];
			}
			n = deaf ? n : left;
			news = true;
		} else {
			pending[n++] = note_k;
			image_apply(&all[note_k->file], note_k, note_k->n);
		}
		if (news) {
			broken += !keeps(w, synced, k + 1);
			checks++;
		}
		news = false;
		if (deaf)
			continue;
		if (prng_below(&w->prng, 2)) {
			broken += !keeps(w, all, k + 1);
		} else {
			struct image some[FILES] = { image_copy(&synced[0]), image_copy(&synced[1]) };
			scatter(w, some, pending, n);
			broken += !keeps(w, some, k + 1);
			free(some[0].v);
			free(some[1].v);
		}
		checks++;
	}
	for (int i = 0; i < FILES; i++) {
		free(synced[i].v);
		free(all[i].v);
	}
	free(pending);
	*ret_checks = checks;
	return broken;
}

static void power_loss(void **state)
{
	struct world *w = xcalloc(1, sizeof(*w));
	size_t checks, deaf_checks;

	w->prng.state = 2024;
	env_init(&w->t);
	disk_insert(&w->disk, w->t.path);
	env_open(&w->t);
	own_mem char *log = xasprintf("%s-wal", w->t.path);
	image_read(&w->first[FILE_DB], w->t.path);
	image_read(&w->first[FILE_LOG], log);
	w->disk.taking = true;
	work(w);
	w->disk.taking = false;
	env_close(&w->t);
	size_t folded = 0;
	for (size_t i = 0; i < w->disk.n; i++)
		folded += w->disk.v[i].file == FILE_DB && w->disk.v[i].op == NOTE_SYNC;
	assert_true(folded > 0); /* the log was folded into the file on the way */
	size_t broken = play_back(w, false, &checks);
	size_t deaf_broken = play_back(w, true, &deaf_checks);
	print_message("%zu writes and syncs, %zu promises, %zu moments checked\n", w->disk.n, w->n, checks);
	assert_int_equal(broken, 0);
	assert_true(deaf_broken > 0); /* without syncs it would not hold: the test can tell */
	disk_remove(&w->disk);
	env_done(&w->t);
	free(w->first[0].v);
	free(w->first[1].v);
	free(w->promises);
	free(w);
}

/* A disk that fails leaves one open question, what became of the write; once it works again, so does the
 * store. */
static void disk_fails(void **state)
{
	struct env t;
	struct disk d = { 0 };
	struct got g = { 0 };
	struct rec r = { 0 };

	env_init(&t);
	disk_insert(&d, t.path);
	env_open(&t);
	create(&t, t.s, POOL, "before", "1", &g);
	for (int i = 0; i < 2; i++) {
		d.sync_error = i ? 0 : SQLITE_IOERR_FSYNC;
		d.write_error = i ? SQLITE_IOERR_WRITE : 0;
		create(&t, t.s, POOL, "during", "1", &g);
		assert_int_equal(g.rc, STORE_UNKNOWN);
		assert_non_null(strstr(g.e.msg, "the disk of the datastore"));
		get(&t, t.s, POOL, "before", &g); /* reading goes on */
		assert_int_equal(g.rc, 0);
		d.sync_error = d.write_error = 0;
		get(&t, t.s, POOL, "during", &g);
		assert_int_equal(g.rc, STORE_NOT_FOUND);
	}
	d.write_error = SQLITE_FULL;
	create(&t, t.s, POOL, "during", "1", &g);
	assert_int_equal(g.rc, -ENOSPC);
	d.write_error = 0;
	create(&t, t.s, POOL, "after", "1", &g);
	assert_int_equal(g.rc, 0);
	env_close(&t);
	env_open(&t);
	list(&t, t.s, POOL, "", &r);
	assert_int_equal(r.n, 2);
	rec_done(&r);
	got_done(&g);
	env_close(&t);
	disk_remove(&d);
	env_done(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(power_loss), cmocka_unit_test(disk_fails) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
