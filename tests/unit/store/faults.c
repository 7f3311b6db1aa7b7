/* What can happen to the file of an SQLite datastore, and the one sentence that is said about it. */
#include "util.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define POOL KIND_IPPOOL

static int setup(void **state)
{
	struct env *t = xcalloc(1, sizeof(*t));

	env_init(t);
	*state = t;
	return 0;
}

static int teardown(void **state)
{
	env_done(*state);
	free(*state);
	return 0;
}

static void opening(struct env *t, bool make, int code, const char *words)
{
	struct err e = { 0 };

	assert_null(korat_store_ops.open(t->l, t->path, make, &e));
	if (e.code != code || !strstr(e.msg, words) || !strstr(e.msg, t->dir))
		fail_msg("%d: %s", e.code, e.msg);
}

static void write_file(const char *path, off_t at, const void *bytes, size_t n)
{
	own_fd int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, bytes, n, at), n);
}

static void sql(const char *path, const char *text)
{
	sqlite3 *db;
	char *why = NULL;

	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	sqlite3_busy_timeout(db, 5000);
	if (sqlite3_exec(db, text, NULL, NULL, &why) != SQLITE_OK)
		fail_msg("%s: %s", text, why);
	sqlite3_close(db);
}

/* n objects of about 1 KiB each. */
static void fill(struct env *t, int n)
{
	own_mem char *value = xcalloc(1, 1001);
	struct got *g = xcalloc((size_t)n, sizeof(*g));

	memset(value, 'x', 1000);
	for (int i = 0; i < n; i++) {
		char name[16];
		snprintf(name, sizeof(name), "n%d", i);
		store_create(t->s, POOL, name, value, on_got, &g[i]);
	}
	await(t, &g[n - 1]);
	for (int i = 0; i < n; i++) {
		assert_int_equal(g[i].rc, 0);
		got_done(&g[i]);
	}
	free(g);
}

/* ---- at opening ---- */

static void missing(void **state)
{
	struct env *t = *state;

	opening(t, false, ENOENT, "koratd makes it");
	assert_int_equal(access(t->path, F_OK), -1);
}

static void missing_directory(void **state)
{
	struct env *t = *state;

	snprintf(t->path, sizeof(t->path), "%s/none/korat.db", t->dir);
	opening(t, true, ENOENT, "there is no directory");
}

static void is_directory(void **state)
{
	struct env *t = *state;

	assert_int_equal(mkdir(t->path, 0700), 0);
	opening(t, true, EINVAL, "is not a file");
}

static void not_a_database(void **state)
{
	struct env *t = *state;
	char junk[8192];

	memset(junk, 'j', sizeof(junk));
	write_file(t->path, 0, junk, sizeof(junk));
	opening(t, true, EUCLEAN, "is damaged (file is not a database)");
}

static void empty(void **state)
{
	struct env *t = *state;

	write_file(t->path, 0, "", 0);
	opening(t, true, EUCLEAN, "is damaged (the file is empty)");
}

static void of_another_program(void **state)
{
	struct env *t = *state;

	sql(t->path, "CREATE TABLE t(x)");
	opening(t, true, EINVAL, "of another program");
}

static void newer_schema(void **state)
{
	struct env *t = *state;

	env_open(t);
	env_close(t);
	sql(t->path, "PRAGMA user_version = 9");
	opening(t, true, ENOTSUP, "newer Korat (schema 9, this one knows 1)");
}

static void missing_table(void **state)
{
	struct env *t = *state;

	env_open(t);
	env_close(t);
	sql(t->path, "DROP TABLE gone");
	opening(t, true, EUCLEAN, "no such table: gone");
}

static void private_file(void **state)
{
	struct env *t = *state;
	struct got g = { 0 };
	struct stat st;

	env_open(t);
	create(t, t->s, POOL, "a", "1", &g);
	got_done(&g);
	for (int i = 0; i < 3; i++) {
		own_mem char *path = xasprintf("%s%s", t->path, (const char *[]){ "", "-wal", "-shm" }[i]);
		assert_int_equal(stat(path, &st), 0);
		assert_int_equal(st.st_mode & 07777, 0600);
	}
}

/* ---- damage ---- */

/* Opening or listing must say "damaged", and neither may crash or go on for ever. */
static void expect_damaged(struct env *t)
{
	struct err e = { 0 };
	struct rec r = { 0 };
	void *b = korat_store_ops.open(t->l, t->path, true, &e);

	if (b) {
		t->s = store_over(t->l, loop_timers(t->l), &korat_store_ops, b, 1);
		list(t, t->s, POOL, "", &r);
		e = r.e;
		rec_done(&r);
	}
	if (e.code != EUCLEAN || !strstr(e.msg, "is damaged (") || !strstr(e.msg, "restore it from a copy"))
		fail_msg("%d: %s", e.code, e.msg);
}

static void truncated(void **state)
{
	struct env *t = *state;
	struct stat st;

	env_open(t);
	fill(t, 500);
	env_close(t);
	assert_int_equal(stat(t->path, &st), 0);
	assert_int_equal(truncate(t->path, st.st_size / 2), 0);
	expect_damaged(t);
}

static void header_lost(void **state)
{
	struct env *t = *state;
	char zero[100] = { 0 };

	env_open(t);
	fill(t, 10);
	env_close(t);
	write_file(t->path, 0, zero, sizeof(zero));
	expect_damaged(t);
}

static void pages_lost(void **state)
{
	struct env *t = *state;
	char junk[4096];
	struct stat st;

	env_open(t);
	fill(t, 500);
	env_close(t);
	assert_int_equal(stat(t->path, &st), 0);
	memset(junk, 0x5a, sizeof(junk));
	for (off_t at = (off_t)sizeof(junk); at + 4096 <= st.st_size; at += 2 * 4096)
		write_file(t->path, at, junk, sizeof(junk));
	expect_damaged(t);
}

static void copy_file(const char *from, const char *to)
{
	own_fd int in = open(from, O_RDONLY | O_CLOEXEC);
	char buf[65536];
	off_t at = 0;

	for (ssize_t n; (n = read(in, buf, sizeof(buf))) > 0; at += n)
		write_file(to, at, buf, (size_t)n);
}

/* Lists and writes in a file of which one page is junk. True if the damage was noticed. */
static bool notices(struct env *t)
{
	struct rec r = { 0 };
	struct got g = { 0 };
	struct err e;
	void *b = korat_store_ops.open(t->l, t->path, false, &e);

	if (!b) {
		assert_int_equal(e.code, EUCLEAN);
		return true;
	}
	t->s = store_over(t->l, loop_timers(t->l), &korat_store_ops, b, 1);
	list(t, t->s, POOL, "", &r);
	assert_true(r.rc == 0 || r.rc == -EUCLEAN);
	create(t, t->s, POOL, "new", "1", &g);
	if (g.rc != 0 && g.rc != -EUCLEAN)
		fail_msg("%d: %s", g.rc, g.e.msg);
	bool damage = r.rc || g.rc;
	rec_done(&r);
	got_done(&g);
	env_close(t);
	return damage;
}

/* Whatever single page is lost: an answer or a sentence, never a crash. */
static void any_page_lost(void **state)
{
	struct env *t = *state;
	own_mem char *copy = xasprintf("%s/copy", t->dir);
	char junk[4096];
	struct stat st;
	int noticed = 0, pages;

	env_open(t);
	fill(t, 60);
	env_close(t);
	assert_int_equal(rename(t->path, copy), 0);
	assert_int_equal(stat(copy, &st), 0);
	pages = (int)(st.st_size / (off_t)sizeof(junk));
	assert_true(pages > 10);
	memset(junk, 0xff, sizeof(junk));
	for (int i = 0; i < pages; i++) {
		copy_file(copy, t->path);
		write_file(t->path, (off_t)i * (off_t)sizeof(junk), junk, sizeof(junk));
		noticed += notices(t);
		unlink(t->path);
	}
	assert_true(noticed > pages / 2);
}

/* Rows that others have written wrongly are left out; the rest is told. */
static void foreign_rows(void **state)
{
	struct env *t = *state;
	struct got g = { 0 };
	struct rec r = { 0 };

	env_open(t);
	create(t, t->s, POOL, "good", "1", &g);
	sql(t->path, "INSERT INTO object VALUES(2, 'wondersets', 'x', '{}');"
		     "INSERT INTO object VALUES(3, 'ippools', '', '{}');"
		     "INSERT INTO object VALUES(4, 'ippools', hex(zeroblob(400)), '{}');"
		     "INSERT INTO object VALUES(5, 'ippools', 'fine', '{}');"
		     "UPDATE meta SET value = 5 WHERE key = 'revision'");
	struct store_follow *f = store_follow(t->s, 1u << POOL, on_seen, &r);
	await_count(t, &r.synced, 1);
	assert_int_equal(r.n, 4);
	assert_non_null(rec_last(&r, "good"));
	assert_non_null(rec_last(&r, "fine"));
	sql(t->path, "INSERT INTO object VALUES(6, 'wondersets', 'y', '{}');"
		     "INSERT INTO object VALUES(7, 'ippools', 'more', '{}');"
		     "UPDATE meta SET value = 7 WHERE key = 'revision'");
	await_count(t, &r.n, 5); /* by polling: the sqlite shell wakes nobody */
	assert_string_equal(r.v[4].name, "more");
	store_follow_free(f);
	rec_done(&r);
	got_done(&g);
}

/* ---- locks ---- */

/* A process that holds the write lock until it is killed; returns once it does. */
static pid_t locker(const char *path, const char *how)
{
	int ready[2];
	char c;

	assert_int_equal(pipe(ready), 0);
	pid_t pid = fork();
	if (pid == 0) {
		sqlite3 *db;
		if (sqlite3_open(path, &db) != SQLITE_OK ||
		    sqlite3_exec(db, how, NULL, NULL, NULL) != SQLITE_OK)
			_exit(1);
		if (write(ready[1], "x", 1) == 1)
			pause();
		_exit(0);
	}
	close(ready[1]);
	assert_int_equal(read(ready[0], &c, 1), 1);
	close(ready[0]);
	return pid;
}

static void unlock(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

struct unlocker {
	struct timer t;
	pid_t pid;
};

static void on_unlock(struct timer *t, usec_t now)
{
	unlock(container_of(t, struct unlocker, t)->pid);
}

static void locked_for_a_while(void **state)
{
	struct env *t = *state;
	struct unlocker u;
	struct got g = { 0 };

	env_open(t);
	u.pid = locker(t->path, "BEGIN IMMEDIATE");
	timer_init(&u.t, on_unlock);
	pass(t, MSEC);
	usec_t start = clock_now();
	timer_start(loop_timers(t->l), &u.t, loop_now(t->l) + 700 * MSEC);
	create(t, t->s, POOL, "a", "1", &g);
	assert_int_equal(g.rc, 0);
	assert_in_range(clock_now() - start, 600 * MSEC, 1500 * MSEC);
	got_done(&g);
}

static void locked_for_long(void **state)
{
	struct env *t = *state;
	struct got g = { 0 };
	struct rec r = { 0 };

	env_open(t);
	pid_t pid = locker(t->path, "BEGIN IMMEDIATE");
	list(t, t->s, POOL, "", &r); /* readers do not mind */
	assert_int_equal(r.rc, 0);
	usec_t start = clock_now();
	store_create(t->s, POOL, "a", "1", on_got, &g);
	usec_t longest = 0;
	while (!g.done) {
		usec_t before = clock_now();
		loop_turn(t->l, loop_now(t->l) + MSEC);
		longest = MAX(longest, clock_now() - before);
	}
	assert_int_equal(g.rc, -EBUSY);
	assert_true(strstr(g.e.msg, "locked by another process"));
	assert_in_range(clock_now() - start, 4900 * MSEC, 6 * SEC);
	assert_true(longest < SEC / 2); /* the loop goes on */
	unlock(pid);
	create(t, t->s, POOL, "a", "1", &g);
	assert_int_equal(g.rc, 0);
	got_done(&g);
	rec_done(&r);
}

static void locked_at_opening(void **state)
{
	struct env *t = *state;

	env_open(t);
	env_close(t);
	pid_t pid = locker(t->path, "PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE;"
				    "UPDATE meta SET value = value; COMMIT");
	usec_t start = clock_now();
	opening(t, true, EBUSY, "locked by another process");
	assert_in_range(clock_now() - start, 4500 * MSEC, 12 * SEC);
	unlock(pid);
	env_open(t);
}

/* ---- the file goes away ---- */

static void moved_away_and_back(void **state)
{
	struct env *t = *state;
	own_mem char *other = xasprintf("%s/other", t->dir);
	struct got g = { 0 };
	struct rec r = { 0 };

	env_open(t);
	struct store_follow *f = store_follow(t->s, 1u << POOL, on_seen, &r);
	await_count(t, &r.synced, 1);
	assert_int_equal(rename(t->path, other), 0);
	create(t, t->s, POOL, "a", "1", &g);
	assert_int_equal(g.rc, -EIDRM);
	assert_true(strstr(g.e.msg, "is not there any more"));
	get(t, t->s, POOL, "a", &g);
	assert_int_equal(g.rc, -EIDRM); /* which is not "no such object" */
	await_count(t, &r.lost, 1);
	assert_true(strstr(r.e.msg, "is not there any more"));
	assert_int_equal(rename(other, t->path), 0);
	await_count(t, &r.synced, 2);
	create(t, t->s, POOL, "a", "1", &g);
	assert_int_equal(g.rc, 0);
	await_count(t, &r.n, r.n + (rec_last(&r, "a") == NULL));
	store_follow_free(f);
	got_done(&g);
	rec_done(&r);
}

static void replaced(void **state)
{
	struct env *t = *state;
	struct got g = { 0 };

	env_open(t);
	create(t, t->s, POOL, "a", "1", &g);
	assert_int_equal(unlink(t->path), 0);
	for (int i = 0; i < 2; i++) {
		own_mem char *path = xasprintf("%s%s", t->path, i ? "-wal" : "-shm");
		unlink(path);
	}
	struct store *other = env_another(t, NULL);
	create(t, other, POOL, "a", "other", &g);
	update(t, t->s, POOL, "a", "2", g.rev, &g);
	assert_int_equal(g.rc, -EIDRM);
	assert_true(strstr(g.e.msg, "replaced by another one"));
	get(t, other, POOL, "a", &g);
	assert_string_equal(g.value, "other");
	env_close(t);
	get(t, other, POOL, "a", &g); /* the old handle has not taken the new log away */
	assert_string_equal(g.value, "other");
	store_free(other);
	env_open(t);
	get(t, t->s, POOL, "a", &g);
	assert_string_equal(g.value, "other");
	got_done(&g);
}

static void older_copy(void **state)
{
	struct env *t = *state;
	own_mem char *copy = xasprintf("%s/copy", t->dir), *log = xasprintf("%s-wal", t->path);
	struct got g = { 0 };

	env_open(t);
	create(t, t->s, POOL, "a", "1", &g);
	env_close(t);
	copy_file(t->path, copy);
	env_open(t);
	update(t, t->s, POOL, "a", "2", g.rev, &g);
	assert_int_equal(g.rc, 0);
	assert_int_equal(rename(copy, t->path), 0);
	unlink(log);
	update(t, t->s, POOL, "a", "3", g.rev, &g);
	assert_int_equal(g.rc, -EIDRM);
	assert_true(strstr(g.e.msg, "replaced by an older one"));
	env_close(t);
	env_open(t);
	got_done(&g);
}

/* ---- in another process: other users, other mounts ---- */

/* Says what is wrong and ends the process: a failed assertion must not return into the runner of the parent.
 */
#define must(cond)                                                                 \
	do {                                                                       \
		if (!(cond)) {                                                     \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #cond); \
			_exit(1);                                                  \
		}                                                                  \
	} while (0)

static void in_child(struct env *t, void (*fn)(struct env *t))
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		fn(t);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
		skip();
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void must_not_open(struct env *t, int code, const char *words)
{
	struct err e = { 0 };

	must(!korat_store_ops.open(t->l, t->path, true, &e));
	if (e.code != code || !strstr(e.msg, words)) {
		fprintf(stderr, "%d: %s\n", e.code, e.msg);
		_exit(1);
	}
}

static void as_nobody(struct env *t)
{
	if (setgid(65534) < 0 || setuid(65534) < 0)
		_exit(77);
	must_not_open(t, EACCES, "may not read and write");
}

static void as_nobody_new(struct env *t)
{
	if (setgid(65534) < 0 || setuid(65534) < 0)
		_exit(77);
	must_not_open(t, EACCES, "may not write in");
}

static void not_permitted(void **state)
{
	struct env *t = *state;

	if (geteuid() != 0)
		skip();
	assert_int_equal(chmod(t->dir, 0755), 0);
	in_child(t, as_nobody_new);
	env_open(t);
	env_close(t);
	in_child(t, as_nobody);
	assert_int_equal(chmod(t->path, 0444), 0);
	in_child(t, as_nobody);
}

/* A small file system of our own over the test's directory. */
static void mount_small(struct env *t, const char *options)
{
	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("tmpfs", t->dir, "tmpfs", 0, options) < 0)
		_exit(77);
}

static struct err last_error(struct env *t, const char *name, const char *value, int64_t rev)
{
	struct err e = { 0 };
	int64_t ret;
	int rc = store_write_wait(t->l, t->s, POOL, name, value, rev, rev == 0, &ret, &e);

	if (rc == 0)
		e.code = 0;
	return e;
}

static void on_full_disk(struct env *t)
{
	char *value = xcalloc(1, 20001);
	struct err e = { 0 };
	char name[16];
	int n = 0;

	mount_small(t, "size=8m");
	env_open(t);
	memset(value, 'x', 20000);
	for (; n < 1000 && e.code == 0; n++) {
		snprintf(name, sizeof(name), "n%d", n);
		e = last_error(t, name, value, 0);
	}
	must(e.code == ENOSPC);
	must(strstr(e.msg, "no space is left"));
	must(n > 50);
	/* What was acknowledged is there, what was refused is not. */
	for (int i = 0; i < n; i++) {
		snprintf(name, sizeof(name), "n%d", i);
		must(store_get_wait(t->l, t->s, POOL, name, NULL, NULL, NULL) ==
		     (i < n - 1 ? 0 : STORE_NOT_FOUND));
	}
	/* Deletions still work, and make room. */
	for (int i = 0; i < n - 1; i++) {
		snprintf(name, sizeof(name), "n%d", i);
		must(store_delete_wait(t->l, t->s, POOL, name, 0, &e) == 0);
	}
	must(last_error(t, "small", "1", 0).code == 0);
	env_close(t);
	free(value);
}

static void full_disk(void **state)
{
	in_child(*state, on_full_disk);
}

static void on_full_disk_new(struct env *t)
{
	mount_small(t, "size=16k");
	must_not_open(t, ENOSPC, "no space is left");
	must(access(t->path, F_OK) < 0); /* nothing half-made */
}

static void full_disk_new(void **state)
{
	in_child(*state, on_full_disk_new);
}

static void on_read_only(struct env *t)
{
	mount_small(t, "size=4m");
	env_open(t);
	must(last_error(t, "a", "1", 0).code == 0);
	env_close(t);
	must(mount(NULL, t->dir, NULL, MS_REMOUNT | MS_RDONLY, NULL) == 0);
	must_not_open(t, EROFS, "read-only file system");
	snprintf(t->path, sizeof(t->path), "%s/new.db", t->dir);
	must_not_open(t, EROFS, "read-only file system");
}

static void read_only(void **state)
{
	in_child(*state, on_read_only);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(missing),
		CASE(missing_directory),
		CASE(is_directory),
		CASE(not_a_database),
		CASE(empty),
		CASE(of_another_program),
		CASE(newer_schema),
		CASE(missing_table),
		CASE(private_file),
		CASE(truncated),
		CASE(header_lost),
		CASE(pages_lost),
		CASE(any_page_lost),
		CASE(foreign_rows),
		CASE(locked_for_a_while),
		CASE(locked_for_long),
		CASE(locked_at_opening),
		CASE(moved_away_and_back),
		CASE(replaced),
		CASE(older_copy),
		CASE(not_permitted),
		CASE(full_disk),
		CASE(full_disk_new),
		CASE(read_only),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
