/*
 * Backends as modules: where they are looked for, and what is said when they are not there. The program
 * copies itself and the module (its argument) to places of their own, and runs there as a client.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/check.h"
#include "loop/loop.h"
#include "store/store.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>

/* ---- the client ---- */

static bool mapped(const char *library)
{
	FILE *f = fopen("/proc/self/maps", "re");
	char line[512];
	bool found = false;

	while (f && fgets(line, sizeof(line), f))
		found = found || strstr(line, library);
	if (f)
		fclose(f);
	return found;
}

static void nobody(void *arg, enum store_event ev, const struct store_obj *obj, const struct err *e)
{
}

/* Opens the datastore twice and uses it; prints "ok" or the sentence. */
static int client(const char *where)
{
	struct err e = { 0 };
	struct loop *l = loop_new(&e);

	if (mapped("libsqlite3"))
		puts("sqlite is loaded before it is used");
	struct store *a = store_open(l, where, true, &e);
	struct store *b = a ? store_open(l, where, false, &e) : NULL;
	if (b) {
		struct store_follow *f = store_follow(b, 1u << KIND_NODE, nobody, NULL);
		int rc = store_write_wait(l, a, KIND_NODE, "a", "1", 0, true, NULL, &e);
		if (rc == 0 || rc == STORE_EXISTS)
			rc = store_get_wait(l, b, KIND_NODE, "a", NULL, NULL, &e);
		loop_turn(l, loop_now(l) + 10 * MSEC);
		puts(rc == 0 && mapped("libsqlite3") ? "ok" : e.msg);
		store_follow_free(f);
	} else {
		puts(e.msg);
	}
	store_free(a);
	store_free(b);
	loop_free(l); /* libuv makes the module's last callbacks here */
	return 0;
}

/* ---- the test ---- */

struct place {
	const char *module; /* the one that was built */
	char dir[64];
};

static int setup(void **state)
{
	struct place *p = *state;

	snprintf(p->dir, sizeof(p->dir), "/tmp/korat-t-store-XXXXXX");
	assert_non_null(mkdtemp(p->dir));
	return 0;
}

static char *path_in(const struct place *p, const char *name)
{
	return xasprintf("%s/%s", p->dir, name);
}

static void make_dir(const struct place *p, const char *name)
{
	own_mem char *path = path_in(p, name);

	assert_int_equal(mkdir(path, 0700), 0);
}

static int teardown(void **state)
{
	static const char *const names[] = { "bin/korat-store-sqlite.so",
					     "bin/korat-store-none.so",
					     "bin/prog",
					     "lib/korat/korat-store-sqlite.so",
					     "bin/korat.db",
					     "korat.db" };
	static const char *const dirs[] = { "lib/korat", "lib", "bin", "" };
	struct place *p = *state;

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		own_mem char *path = path_in(p, names[i]);
		unlink(path);
	}
	for (size_t i = 0; i < ARRAY_SIZE(dirs); i++) {
		own_mem char *path = path_in(p, dirs[i]);
		rmdir(path);
	}
	return 0;
}

static void copy(const char *from, const struct place *p, const char *name)
{
	own_mem char *to = path_in(p, name);
	own_fd int in = open(from, O_RDONLY | O_CLOEXEC);
	own_fd int out = open(to, O_WRONLY | O_CREAT | O_CLOEXEC, 0700);
	char buf[65536];

	assert_true(in >= 0 && out >= 0);
	for (ssize_t n; (n = read(in, buf, sizeof(buf))) > 0;)
		assert_int_equal(write(out, buf, (size_t)n), n);
}

/* What the client in bin/ prints, without the line's end. */
static void run_client(const struct place *p, const char *where, char ret[static 1024])
{
	own_mem char *prog = path_in(p, "bin/prog");
	int fd[2], status;
	size_t n = 0;

	assert_int_equal(pipe(fd), 0);
	pid_t pid = fork();
	if (pid == 0) {
		dup2(fd[1], STDOUT_FILENO);
		close(fd[0]);
		close(fd[1]);
		if (chdir(p->dir) == 0)
			execl(prog, prog, "client", where, NULL);
		_exit(1);
	}
	close(fd[1]);
	for (ssize_t got; (got = read(fd[0], ret + n, 1023 - n)) > 0;)
		n += (size_t)got;
	close(fd[0]);
	ret[n] = '\0';
	if (n && ret[n - 1] == '\n')
		ret[n - 1] = '\0';
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void beside_program(void **state)
{
	struct place *p = *state;
	own_mem char *path = path_in(p, "korat.db"), *prefixed = xasprintf("sqlite:%s", path);
	char said[1024];

	make_dir(p, "bin");
	copy("/proc/self/exe", p, "bin/prog");
	copy(p->module, p, "bin/korat-store-sqlite.so");
	run_client(p, prefixed, said);
	assert_string_equal(said, "ok");
	run_client(p, path, said);
	assert_string_equal(said, "ok");
	run_client(p, "korat.db", said);
	assert_string_equal(said, "ok");
	run_client(p, "./korat.db", said);
	assert_string_equal(said, "ok");
	run_client(p, "sqlite:korat.db", said);
	assert_string_equal(said, "ok");
}

static void in_library_directory(void **state)
{
	struct place *p = *state;
	char said[1024];

	make_dir(p, "bin");
	make_dir(p, "lib");
	make_dir(p, "lib/korat");
	copy("/proc/self/exe", p, "bin/prog");
	copy(p->module, p, "lib/korat/korat-store-sqlite.so");
	run_client(p, "korat.db", said);
	assert_string_equal(said, "ok");
}

static void nowhere(void **state)
{
	struct place *p = *state;
	own_mem char *first = path_in(p, "bin/korat-store-none.so"),
		     *second = path_in(p, "bin/../lib/korat/korat-store-none.so");
	char said[1024];

	make_dir(p, "bin");
	copy("/proc/self/exe", p, "bin/prog");
	run_client(p, "none:x", said);
	assert_true(strncmp(said, "there is no module for none datastores; looked for ", 51) == 0);
	assert_non_null(strstr(said, first));
	assert_non_null(strstr(said, second));
	assert_non_null(strstr(said, " and /"));
}

static void not_a_module(void **state)
{
	struct place *p = *state;
	char said[1024];

	make_dir(p, "bin");
	copy("/proc/self/exe", p, "bin/prog");
	copy("/proc/self/status", p, "bin/korat-store-sqlite.so");
	run_client(p, "korat.db", said);
	assert_true(strncmp(said, "load the module of sqlite datastores: ", 38) == 0);
	copy(p->module, p, "bin/korat-store-none.so");
	run_client(p, "none:x", said);
	assert_non_null(strstr(said, "is for sqlite datastores, not for none"));
}

static void no_datastore(void **state)
{
	static const char *const bad[] = { "", ":", ":x", "sqlite:", "averyveryverylongname:x" };
	struct place *p = *state;
	char said[1024];

	make_dir(p, "bin");
	copy("/proc/self/exe", p, "bin/prog");
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		run_client(p, bad[i], said);
		assert_non_null(strstr(said, "give a path or sqlite:PATH"));
	}
}

#define CASE(f) cmocka_unit_test_prestate_setup_teardown(f, setup, teardown, &place)

int main(int argc, char **argv)
{
	static struct place place;
	const struct CMUnitTest tests[] = { CASE(beside_program), CASE(in_library_directory), CASE(nowhere),
					    CASE(not_a_module), CASE(no_datastore) };

	if (argc == 3 && strcmp(argv[1], "client") == 0)
		return client(argv[2]);
	if (argc != 2)
		return 2;
	place.module = argv[1];
	return cmocka_run_group_tests(tests, NULL, NULL);
}
