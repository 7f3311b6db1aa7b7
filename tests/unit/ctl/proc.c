/* Processes by pid and start time, and how they are ended. */
#include "ctl/lab_proc.h"

#include "base/check.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static pid_t start(bool stubborn)
{
	int ready[2];
	char c;

	assert_int_equal(pipe(ready), 0);
	pid_t pid = fork();
	if (pid == 0) {
		signal(SIGTERM, stubborn ? SIG_IGN : SIG_DFL);
		if (write(ready[1], "", 1) == 1)
			pause();
		_exit(0);
	}
	assert_int_equal(read(ready[0], &c, 1), 1);
	close(ready[0]);
	close(ready[1]);
	return pid;
}

static void test_lives(void **state)
{
	struct lab_proc me, other;

	assert_int_equal(lab_proc_of(getpid(), &me), 0);
	assert_true(lab_proc_lives(&me));
	/* The same number with another start time is somebody else. */
	other = me;
	other.start++;
	assert_false(lab_proc_lives(&other));
	assert_false(lab_proc_lives(&(struct lab_proc){ 0 }));
	lab_proc_signal(&other, SIGKILL);
}

static void test_zombie_does_not_live(void **state)
{
	struct lab_proc p;
	pid_t pid = start(false);

	assert_int_equal(lab_proc_of(pid, &p), 0);
	kill(pid, SIGKILL);
	siginfo_t info;
	assert_int_equal(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT), 0);
	assert_false(lab_proc_lives(&p));
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static void test_end(void **state)
{
	struct lab_proc v[3] = { 0 };
	struct err e;

	assert_int_equal(lab_proc_of(start(false), &v[0]), 0);
	assert_int_equal(lab_proc_of(start(true), &v[1]), 0);
	assert_int_equal(lab_proc_end(v, ARRAY_SIZE(v), 100 * MSEC, &e), 0);
	assert_false(lab_proc_lives(&v[0]));
	assert_false(lab_proc_lives(&v[1]));
	/* Those that are gone are no work. */
	assert_int_equal(lab_proc_end(v, ARRAY_SIZE(v), 100 * MSEC, &e), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_lives),
					    cmocka_unit_test(test_zombie_does_not_live),
					    cmocka_unit_test(test_end) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
