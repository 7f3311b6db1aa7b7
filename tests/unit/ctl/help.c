/*
 * What the program prints and how it exits, run as a whole with its main() under another name. The texts are
 * compared with tests/golden/ctl; KORAT_GOLDEN_UPDATE=1 in the environment writes them anew.
 */
#include "base/check.h"
#include "base/own.h"
#include "base/str.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/wait.h>

#include <cmocka.h>

#undef main

int korat_main(int argc, char **argv);

#define WORDS_MAX 8

static void read_all(int fd, struct str *s)
{
	char buf[4096];
	ssize_t n;

	while ((n = read(fd, buf, sizeof(buf))) > 0)
		str_addn(s, buf, (size_t)n);
}

/* Runs "korat <line>" in a child; both outputs go to ret, as they would to a terminal. */
static int korat(const char *line, struct str *ret)
{
	char *argv[WORDS_MAX + 2] = { (char *)"korat" }, words[200];
	int argc = 1, p[2], status;

	snprintf(words, sizeof(words), "%s", line);
	for (char *save, *w = strtok_r(words, " ", &save); w; w = strtok_r(NULL, " ", &save))
		argv[argc++] = w;
	assert_int_equal(pipe(p), 0);
	fflush(stdout);
	pid_t pid = fork();
	if (pid == 0) {
		dup2(p[1], STDOUT_FILENO);
		dup2(p[1], STDERR_FILENO);
		close(p[0]);
		close(p[1]);
		int code = korat_main(argc, argv);
		fflush(stdout);
		_exit(code);
	}
	close(p[1]);
	read_all(p[0], ret);
	close(p[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void expect(int code, const char *line, const char *part)
{
	own_str struct str out = { 0 };
	int got = korat(line, &out);

	if (got != code || !out.s || !strstr(out.s, part))
		fail_msg("korat %s: exit %d, expected %d, with '%s' in:\n%s", line, got, code, part,
			 out.s ? out.s : "");
}

static void compare(const char *line, const char *file)
{
	own_mem char *path = xasprintf("%s/%s", GOLDEN, file);
	own_str struct str out = { 0 }, want = { 0 };

	assert_int_equal(korat(line, &out), 0);
	if (getenv("KORAT_GOLDEN_UPDATE")) {
		own_fd int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
		assert_int_equal(write(fd, out.s, out.n), out.n);
		return;
	}
	own_fd int fd = open(path, O_RDONLY);
	assert_true(fd >= 0);
	read_all(fd, &want);
	assert_string_equal(out.s, want.s);
}

static void test_golden(void **state)
{
	compare("lab --help", "lab.txt");
	compare("lab up --help", "lab_up.txt");
	compare("lab down -h", "lab_down.txt");
	compare("help lab status", "lab_status.txt");
	compare("lab exec --help", "lab_exec.txt");
	compare("help lab pod add", "lab_pod_add.txt");
	compare("lab node add --help", "lab_node_add.txt");
	compare("apply --help", "apply.txt");
	compare("help get", "get.txt");
	compare("delete --help", "delete.txt");
}

static void test_help(void **state)
{
	expect(0, "--help", "Usage: korat VERB");
	expect(0, "help", "Usage: korat VERB");
	expect(0, "-h", "a network of nodes and pods");
	expect(2, "", "Usage: korat VERB");
	expect(2, "lab", "Usage: korat lab VERB");
	expect(0, "--version", "korat " KORAT_VERSION);
	expect(2, "help lba", "did you mean 'lab'?");
}

static void test_usage(void **state)
{
	expect(2, "lba", "korat: unknown verb 'lba': did you mean 'lab'?");
	expect(2, "lab dwon", "korat lab: unknown verb 'dwon': did you mean 'down'?");
	expect(2, "lab up --ndoes 3", "unknown option '--ndoes': did you mean '--nodes'?");
	expect(2, "lab up", "either a lab file or --nodes N");
	expect(2, "lab up file --nodes 3", "either a lab file or --nodes N");
	expect(2, "lab up --nodes", "--nodes needs a value: --nodes N");
	expect(2, "lab up --nodes 0", "must be a whole number from 1 to 250");
	expect(2, "lab up --nodes=251", "must be a whole number from 1 to 250");
	expect(2, "lab up -n 3x", "must be a whole number");
	expect(2, "lab up --keep=yes x", "--keep takes no value");
	expect(2, "lab down now", "'now' is one too many");
	expect(2, "lab status -o xml", "unknown output format 'xml': allowed are table and json");
	expect(2, "lab exec", "a node or pod and a command are missing");
	expect(2, "lab exec node2 --", "a command is missing");
	expect(2, "lab pod add", "something is missing");
	expect(2, "lab pod add x", "--node says where");
	expect(2, "lab node add x", "--address says which");
	expect(1, "lab up /nonexistent/lab.yaml", "/nonexistent/lab.yaml");
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_golden), cmocka_unit_test(test_help),
					    cmocka_unit_test(test_usage) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
