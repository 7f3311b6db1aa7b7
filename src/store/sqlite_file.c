/*
 * The file of an SQLite datastore: making, opening, telling whether it is still the same one, and saying what
 * is wrong with it.
 */
#include "store/sqlite.h"

#include "base/check.h"

#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#define APPLICATION 0x4b6f7261 /* "Kora" */
#define SCHEMA	    1
#define KEEP_GONE   "10000" /* deletions */
#define RESERVE \
	((uint64_t)2 << 20) /* bytes of the disk; the log grows to half of that before it is folded in */

static const char schema[] = /**/
	"CREATE TABLE meta(key TEXT PRIMARY KEY, value) WITHOUT ROWID;"
	"CREATE TABLE object(rev INTEGER PRIMARY KEY, kind TEXT NOT NULL, name TEXT NOT NULL, value TEXT NOT "
	"NULL,"
	"  UNIQUE(kind, name));"
	/* seq counts deletions without holes, so that old ones can be found and a gap noticed. */
	"CREATE TABLE gone(rev INTEGER PRIMARY KEY, seq INTEGER NOT NULL, kind TEXT NOT NULL, name TEXT NOT "
	"NULL);"
	"INSERT INTO meta VALUES('revision', 0);"
	"INSERT INTO meta VALUES('id', lower(hex(randomblob(16))));";

static const char *const queries[QUERIES] = {
	[Q_BEGIN] = "BEGIN",
	[Q_BEGIN_WRITE] = "BEGIN IMMEDIATE",
	[Q_COMMIT] = "COMMIT",
	[Q_ROLLBACK] = "ROLLBACK",
	[Q_REVISION] = "SELECT value FROM meta WHERE key = 'revision'",
	[Q_SET_REVISION] = "UPDATE meta SET value = ?1 WHERE key = 'revision'",
	[Q_GET] = "SELECT rev, kind, name, value FROM object WHERE kind = ?1 AND name = ?2",
	[Q_LIST] = "SELECT rev, kind, name, value FROM object WHERE kind = ?1 AND name >= ?2 ORDER BY name",
	[Q_INSERT] = "INSERT INTO object(rev, kind, name, value) VALUES(?1, ?2, ?3, ?4)",
	[Q_UPDATE] = "UPDATE object SET rev = ?2, value = ?3 WHERE rev = ?1",
	[Q_DELETE] = "DELETE FROM object WHERE rev = ?1",
	[Q_BURY] = "INSERT INTO gone(rev, seq, kind, name)"
		   " VALUES(?1, coalesce((SELECT seq FROM gone ORDER BY rev DESC LIMIT 1), 0) + 1, ?2, ?3)",
	[Q_PRUNE] = "DELETE FROM gone WHERE rev = (SELECT rev FROM gone ORDER BY rev LIMIT 1)"
		    " AND seq <= (SELECT seq FROM gone ORDER BY rev DESC LIMIT 1) - " KEEP_GONE,
	[Q_OLDEST_GONE] = "SELECT rev, seq FROM gone ORDER BY rev LIMIT 1",
	[Q_CHANGES] = "SELECT rev, kind, name, value FROM object WHERE rev > ?1"
		      " UNION ALL SELECT rev, kind, name, NULL FROM gone WHERE rev > ?1 ORDER BY 1 LIMIT ?2",
};

/* ---- errors ---- */

static int damaged(struct sq *b, const char *how, struct err *e)
{
	return err_set(e, EUCLEAN,
		       "the datastore %s is damaged (%s): restore it from a copy, or on a single machine "
		       "delete it and "
		       "restart koratd, which makes a new one",
		       b->path, how);
}

/* The system's word for why a file cannot be used; never ENOENT and the like, which are answers of requests.
 */
static int refused(struct sq *b, int error, struct err *e)
{
	switch (error) {
	case ENOSPC:
	case EDQUOT:
		return err_set(e, error, "no space is left on the disk of the datastore %s; make room there",
			       b->path);
	case EROFS:
		return err_set(e, error,
			       "the datastore %s is on a read-only file system; it must be writable",
			       b->path);
	case EACCES:
	case EPERM:
		return err_set(e, error,
			       "this user may not read and write the datastore %s; become its owner or root",
			       b->path);
	case EMFILE:
	case ENFILE:
		return err_set(e, error, "too many files are open to use the datastore %s", b->path);
	case ENOENT:
	case ENOTDIR:
		return err_set(e, EIDRM, "the datastore %s is not there any more", b->path);
	default:
		return err_set(e, EIO, "the datastore %s cannot be used: %s", b->path, strerror(error));
	}
}

/* What SQLite says, as one sentence. Returns -errno. */
int sqlite_explain(struct sq *b, sqlite3 *db, int rc, struct err *e)
{
	int error = db ? sqlite3_system_errno(db) : 0;

	switch (rc & 0xff) {
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return err_set(e, EBUSY,
			       "the datastore %s has been locked by another process for more than 5 s",
			       b->path);
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
	case SQLITE_ERROR: /* our own statements are right, so the schema is not */
	case SQLITE_MISMATCH:
	case SQLITE_CONSTRAINT:
		return damaged(b, db ? sqlite3_errmsg(db) : sqlite3_errstr(rc), e);
	case SQLITE_FULL:
		return refused(b, ENOSPC, e);
	case SQLITE_READONLY:
		return refused(b, access(b->path, W_OK) < 0 ? errno : EROFS, e);
	case SQLITE_PERM:
	case SQLITE_AUTH:
		return refused(b, EACCES, e);
	case SQLITE_CANTOPEN:
		return refused(b, access(b->path, R_OK | W_OK) < 0 ? errno : error ? error : EACCES, e);
	case SQLITE_IOERR:
		if (error == ENOSPC || error == EDQUOT || error == EROFS || error == EACCES)
			return refused(b, error, e);
		return err_set(e, EIO, "the disk of the datastore %s fails (%s%s%s)", b->path,
			       sqlite3_errstr(rc), error ? ": " : "", error ? strerror(error) : "");
	case SQLITE_NOMEM:
		CHECK(!"memory");
	}
	return err_set(e, EIO, "the datastore %s cannot be used: %s", b->path, sqlite3_errstr(rc));
}

/* ---- statements ---- */

sqlite3_stmt *sqlite_use(struct sq *b, int q)
{
	sqlite3_reset(b->stmt[q]);
	return b->stmt[q];
}

/* Steps a statement that yields no row. */
int sqlite_run(sqlite3_stmt *st)
{
	int rc = sqlite3_step(st);

	sqlite3_reset(st);
	return rc == SQLITE_DONE || rc == SQLITE_ROW ? SQLITE_OK : rc;
}

int sqlite_get_revision(struct sq *b, int64_t *ret)
{
	sqlite3_stmt *st = sqlite_use(b, Q_REVISION);
	int rc = sqlite3_step(st);

	if (rc == SQLITE_ROW)
		*ret = sqlite3_column_int64(st, 0);
	sqlite3_reset(st);
	return rc == SQLITE_ROW ? SQLITE_OK : rc == SQLITE_DONE ? SQLITE_CORRUPT : rc;
}

/* ---- the file ---- */

void sqlite_disconnect(struct sq *b)
{
	for (int q = 0; q < QUERIES; q++) {
		sqlite3_finalize(b->stmt[q]);
		b->stmt[q] = NULL;
	}
	if (b->notify_fd >= 0) {
		loop_unwatch(&b->notify);
		close(b->notify_fd);
		b->notify_fd = -1;
	}
	sqlite3_close(b->db);
	b->db = NULL;
}

/* One value of a pragma or query; text "" and number 0 if there is none. */
static int ask(sqlite3 *db, const char *sql, int64_t *ret_number, char ret_text[static 40])
{
	sqlite3_stmt *st = NULL;
	int rc = sqlite3_prepare_v2(db, sql, -1, &st, NULL);

	if (rc != SQLITE_OK)
		return rc;
	rc = sqlite3_step(st);
	*ret_number = 0;
	ret_text[0] = '\0';
	if (rc == SQLITE_ROW) {
		const char *text = (const char *)sqlite3_column_text(st, 0);
		*ret_number = sqlite3_column_int64(st, 0);
		snprintf(ret_text, 40, "%s", text ? text : "");
	}
	sqlite3_finalize(st);
	return rc == SQLITE_ROW || rc == SQLITE_DONE ? SQLITE_OK : rc;
}

/* Is it a store of ours, and one that we understand? */
static int identify(struct sq *b, sqlite3 *db, struct err *e)
{
	int64_t application = 0, version = 0, tables = 0, n;
	char text[40];
	int rc = ask(db, "PRAGMA application_id", &application, text);

	if (rc == SQLITE_OK)
		rc = ask(db, "PRAGMA user_version", &version, text);
	if (rc == SQLITE_OK)
		rc = ask(db, "SELECT count(*) FROM sqlite_master", &tables, text);
	if (rc == SQLITE_OK && application == 0 && tables == 0)
		return damaged(b, "the file is empty", e);
	if (rc == SQLITE_OK && application != APPLICATION)
		return err_set(e, EINVAL, "%s is an SQLite file of another program, not a datastore",
			       b->path);
	if (rc == SQLITE_OK && version > SCHEMA)
		return err_set(e, ENOTSUP,
			       "the datastore %s was written by a newer Korat (schema %d, this one knows "
			       "%d): upgrade "
			       "this machine",
			       b->path, (int)version, SCHEMA);
	if (rc == SQLITE_OK)
		rc = ask(db, "SELECT value FROM meta WHERE key = 'id'", &n, b->id);
	if (rc != SQLITE_OK)
		return sqlite_explain(b, db, rc, e);
	return b->id[0] ? 0 : damaged(b, "it has no identity", e);
}

/* How the connection behaves. FULL: a commit is on the disk before it is acknowledged. */
static int configure(sqlite3 *db)
{
	static const char settings[] =
		"PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA trusted_schema = OFF;"
		"PRAGMA cell_size_check = ON; PRAGMA cache_size = -1024; PRAGMA wal_autocheckpoint = 256; "
		"PRAGMA mmap_size = 0;";

	sqlite3_db_config(db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
	return sqlite3_exec(db, settings, NULL, NULL, NULL);
}

/* Briefly asleep first; whoever holds the lock longer than that is waited for with the timer. */
static int on_busy(void *arg, int tries)
{
	if (tries >= 4)
		return 0;
	usleep(250);
	return 1;
}

static int prepare(struct sq *b)
{
	int rc = SQLITE_OK;

	for (int q = 0; q < QUERIES && rc == SQLITE_OK; q++)
		rc = sqlite3_prepare_v3(b->db, queries[q], -1, SQLITE_PREPARE_PERSISTENT, &b->stmt[q], NULL);
	return rc;
}

/* Opens the file that is there. patient: a lock is waited for (only where nothing else is running yet). */
static int connect_file(struct sq *b, bool patient, struct err *e)
{
	int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
	struct stat st;
	int64_t rev = 0;
	char id[sizeof(b->id)];

	if (stat(b->path, &st) < 0)
		return refused(b, errno, e);
	if (!S_ISREG(st.st_mode))
		return err_set(e, EINVAL, "%s is not a file, so it cannot be a datastore", b->path);
	memcpy(id, b->id, sizeof(id));
	int rc = sqlite3_open_v2(b->path, &b->db, flags, NULL);
	if (rc == SQLITE_OK && sqlite3_db_readonly(b->db, "main") == 1)
		rc = SQLITE_READONLY;
	if (rc == SQLITE_OK) {
		sqlite3_busy_timeout(b->db, patient ? LOCK_MAX / MSEC : 0);
		if (identify(b, b->db, e) < 0)
			goto failed;
		rc = configure(b->db);
	}
	if (rc == SQLITE_OK)
		rc = prepare(b);
	if (rc == SQLITE_OK)
		rc = sqlite_get_revision(b, &rev);
	if (rc != SQLITE_OK) {
		sqlite_explain(b, b->db, rc, e);
		goto failed;
	}
	if (id[0] && (strcmp(id, b->id) != 0 || rev < b->newest)) {
		err_set(e, EIDRM,
			"the datastore %s was replaced by %s one while in use: restart the programs that use "
			"it",
			b->path, strcmp(id, b->id) != 0 ? "another" : "an older");
		goto failed;
	}
	sqlite3_busy_handler(b->db, on_busy, NULL);
	b->dev = st.st_dev;
	b->ino = st.st_ino;
	b->newest = rev;
	return 0;
failed:
	memcpy(b->id, id, sizeof(id));
	sqlite_disconnect(b);
	return -e->code;
}

/* Why a file cannot be made. */
static int cannot_make(struct sq *b, const char *dir, int error, struct err *e)
{
	if (error == ENOENT || error == ENOTDIR)
		return err_set(e, error, "the datastore %s cannot be made: there is no directory %s", b->path,
			       dir);
	if (error == EACCES || error == EPERM)
		return err_set(e, error, "the datastore %s cannot be made: this user may not write in %s",
			       b->path, dir);
	return refused(b, error, e);
}

static int fill_file(struct sq *b, const char *path, struct err *e)
{
	own_mem char *sql = xasprintf("PRAGMA synchronous = FULL; BEGIN; PRAGMA application_id = %d;"
				      "PRAGMA user_version = %d; %s COMMIT; PRAGMA journal_mode = WAL;",
				      APPLICATION, SCHEMA, schema);
	sqlite3 *db = NULL;
	int rc = sqlite3_open_v2(path, &db,
				 SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, NULL);

	if (rc == SQLITE_OK)
		rc = sqlite3_exec(db, sql, NULL, NULL, NULL);
	if (rc != SQLITE_OK)
		sqlite_explain(b, db, rc, e);
	sqlite3_close(db);
	return rc == SQLITE_OK ? 0 : -e->code;
}

static int sync_path(const char *path, int flags)
{
	own_fd int fd = open(path, O_RDONLY | O_CLOEXEC | flags);

	return fd < 0 || fsync(fd) < 0 ? -1 : 0;
}

/*
 * Makes a whole, empty store under another name and links it into place, so that no moment shows half a store
 * and of two who make it at once one wins.
 */
static int make_file(struct sq *b, struct err *e)
{
	own_mem char *copy = xstrdup(b->path);
	own_mem char *tmp =
		xasprintf("%s.new-%d-%llx", b->path, (int)getpid(), (unsigned long long)prng_next(&b->prng));
	const char *dir = dirname(copy);
	int r = 0;

	int fd = open(tmp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return cannot_make(b, dir, errno, e);
	close(fd);
	if (fill_file(b, tmp, e) < 0)
		r = -e->code;
	else if (sync_path(tmp, 0) < 0 || (link(tmp, b->path) < 0 && errno != EEXIST))
		r = cannot_make(b, dir, errno, e);
	unlink(tmp);
	if (r == 0 && sync_path(dir, O_DIRECTORY) < 0)
		r = cannot_make(b, dir, errno, e);
	return r;
}

/* Before each transaction: is the file that we have open still the one that others find? -EBUSY: not yet
 * known. */
int sqlite_ensure(struct sq *b, struct err *e)
{
	struct stat st;

	if (b->db && stat(b->path, &st) == 0 && st.st_dev == b->dev && st.st_ino == b->ino)
		return 0;
	sqlite_disconnect(b);
	return connect_file(b, false, e);
}

static int find_or_make(struct sq *b, bool create, struct err *e)
{
	if (access(b->path, F_OK) == 0)
		return 0;
	if (errno != ENOENT && errno != ENOTDIR)
		return refused(b, errno, e);
	if (create)
		return make_file(b, e);
	return err_set(e, ENOENT, "there is no datastore %s; koratd makes it when it first starts", b->path);
}

int sqlite_connect(struct sq *b, bool create, struct err *e)
{
	int r = find_or_make(b, create, e);

	return r < 0 ? r : connect_file(b, true, e);
}

/*
 * Deleting needs room, too: in the log, and in the file once the log is folded into it. What adds to the
 * store therefore stops while there is still some. Pages of the file that deletions have set free count as
 * room.
 */
int sqlite_check_room(struct sq *b, struct err *e)
{
	struct statvfs st;
	int64_t pages = 0, size = 0;
	char text[40];

	if (statvfs(b->path, &st) < 0 || (uint64_t)st.f_bavail * st.f_frsize >= RESERVE)
		return 0;
	if (ask(b->db, "PRAGMA freelist_count", &pages, text) == SQLITE_OK &&
	    ask(b->db, "PRAGMA page_size", &size, text) == SQLITE_OK &&
	    (uint64_t)st.f_bavail * st.f_frsize + (uint64_t)(pages * size) >= RESERVE)
		return 0;
	return refused(b, ENOSPC, e);
}
