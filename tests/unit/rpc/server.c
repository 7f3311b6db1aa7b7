/*
 * The server against callers that speak raw bytes: every way to misbehave gets a sentence or a closed
 * connection, and nothing stays open behind it. Time is moved by firing the loop's timers with a later "now".
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/own.h"
#include "base/str.h"
#include "loop/loop.h"
#include "rpc/rpc.h"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

struct fix {
	struct loop *loop;
	struct rpc_server *server;
	char dir[64], path[96];
	struct rpc_req *held; /* by the method "hold" */
	int taken;	      /* by the method "take" */
	int fds_before;
};

static int count_fds(void)
{
	DIR *d = opendir("/proc/self/fd");
	int n = 0;

	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

static void fn_echo(void *arg, struct rpc_req *req)
{
	rpc_reply(req, json_deep_copy(rpc_params(req)));
}

static void fn_fail(void *arg, struct rpc_req *req)
{
	rpc_fail(req, 11, "later", "not %s", "now");
}

static void fn_hold(void *arg, struct rpc_req *req)
{
	struct fix *f = arg;

	f->held = req;
}

static void fn_take(void *arg, struct rpc_req *req)
{
	struct fix *f = arg;

	f->taken = rpc_take_fd(req, 0);
	assert_int_equal(rpc_take_fd(req, 0), -1);
	assert_int_equal(rpc_take_fd(req, RPC_FDS_MAX), -1);
	rpc_reply(req, NULL);
}

static void fn_big(void *arg, struct rpc_req *req)
{
	size_t n = (size_t)json_integer_value(json_object_get(rpc_params(req), "n"));
	own_mem char *s = xcalloc(n + 1, 1);

	memset(s, 'x', n);
	rpc_reply(req, json_pack("{s:s}", "s", s));
}

static const struct rpc_method methods[] = {
	{ "echo", fn_echo }, { "fail", fn_fail }, { "hold", fn_hold },
	{ "take", fn_take }, { "big", fn_big },	  { NULL, NULL },
};

static int set_up(void **state)
{
	struct fix *f = xcalloc(1, sizeof(*f));
	struct err e;

	strcpy(f->dir, "/tmp/korat-t-rpc-XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	snprintf(f->path, sizeof(f->path), "%s/agent.sock", f->dir);
	f->loop = loop_new(&e);
	f->server = rpc_listen(f->loop, f->path, methods, f, &e);
	assert_non_null(f->server);
	f->taken = -1;
	f->fds_before = count_fds();
	*state = f;
	return 0;
}

static void turn(struct fix *f)
{
	for (int i = 0; i < 8; i++)
		loop_turn(f->loop, loop_now(f->loop));
}

static int tear_down(void **state)
{
	struct fix *f = *state;

	turn(f);
	assert_int_equal(count_fds(), f->fds_before);
	rpc_server_free(f->server);
	assert_int_equal(access(f->path, F_OK), -1);
	rmdir(f->dir);
	loop_free(f->loop);
	free(f);
	return 0;
}

static int dial(struct fix *f)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	strcpy(sun.sun_path, f->path);
	assert_int_equal(connect(fd, (struct sockaddr *)&sun, sizeof(sun)), 0);
	return fd;
}

static void say(int fd, const char *s)
{
	assert_int_equal(send(fd, s, strlen(s), MSG_NOSIGNAL), (ssize_t)strlen(s));
}

static void say_with_fds(int fd, const char *s, const int *fds, size_t n)
{
	char control[CMSG_SPACE(sizeof(int) * 64)] = { 0 };
	struct iovec iov = { (void *)(uintptr_t)s, strlen(s) };
	struct msghdr m = { .msg_iov = &iov,
			    .msg_iovlen = 1,
			    .msg_control = control,
			    .msg_controllen = CMSG_SPACE(sizeof(int) * n) };
	struct cmsghdr *c = CMSG_FIRSTHDR(&m);

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int) * n);
	memcpy(CMSG_DATA(c), fds, sizeof(int) * n);
	assert_int_equal(sendmsg(fd, &m, MSG_NOSIGNAL), (ssize_t)strlen(s));
}

/* The loop turns until the server hangs up; then everything it said must contain want. */
static void expect(struct fix *f, int fd, const char *want)
{
	own_str struct str b = { 0 };
	char buf[65536];

	str_add(&b, "");
	for (int i = 0; i < 10000; i++) {
		turn(f);
		ssize_t n = recv(fd, buf, sizeof(buf), 0);
		if (n > 0)
			str_addn(&b, buf, (size_t)n);
		else if (n == 0 || errno == ECONNRESET)
			break;
		else
			assert_int_equal(errno, EAGAIN);
	}
	if (!strstr(b.s, want))
		fail_msg("expected \"%s\", got \"%.200s\"", want, b.s);
	if (*want)
		assert_ptr_equal(strchr(b.s, '\n'), b.s + b.n - 1);
	close(fd);
	turn(f);
	assert_int_equal(count_fds(), f->fds_before);
}

static void elapse(struct fix *f, usec_t t)
{
	timers_run(loop_timers(f->loop), loop_now(f->loop) + t);
}

static void test_echo(void **state)
{
	struct fix *f = *state;
	int fd = dial(f);

	say(fd, "{\"method\":\"echo\",\"params\":{\"a\":[1,\"\xc3\xbc\"]}}\n");
	expect(f, fd, "{\"result\":{\"a\":[1,\"\xc3\xbc\"]}}\n");
	fd = dial(f);
	say(fd, "{\"method\":\"fail\"}\n");
	expect(f, fd, "{\"error\":{\"code\":11,\"message\":\"not now\",\"details\":\"later\"}}\n");
}

static void test_socket_file(void **state)
{
	struct fix *f = *state;
	struct stat st;

	assert_int_equal(stat(f->path, &st), 0);
	assert_true(S_ISSOCK(st.st_mode));
	assert_int_equal(st.st_mode & 07777, 0600);
}

static void test_byte_by_byte(void **state)
{
	struct fix *f = *state;
	const char *s = "{\"method\":\"echo\"}\n";
	int fd = dial(f);

	for (; *s; s++) {
		assert_int_equal(send(fd, s, 1, 0), 1);
		turn(f);
	}
	expect(f, fd, "{\"result\":{}}\n");
}

static void test_nonsense(void **state)
{
	static const char *const lines[] = { "\n",
					     "hello\n",
					     "[]\n",
					     "{}\n",
					     "{\"method\":5}\n",
					     "{\"method\":\"echo\",\"params\":3}\n",
					     "GET / HTTP/1.1\r\n\r\n" };
	struct fix *f = *state;

	for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
		int fd = dial(f);
		say(fd, lines[i]);
		expect(f, fd, "{\"error\":{\"code\":74,");
	}
	int fd = dial(f);
	say(fd, "{\"method\":\"no\\nsuch\"}\n");
	expect(f, fd, "no method \\\"no\\nsuch\\\"");
	fd = dial(f);
	say(fd, "{\"method\":\"echo\"}\n{\"method\":\"echo\"}\n");
	expect(f, fd, "more than one line");
}

static void test_deep(void **state)
{
	struct fix *f = *state;
	own_str struct str b = { 0 };
	int fd = dial(f);

	str_add(&b, "{\"method\":\"echo\",\"params\":{\"a\":");
	for (int i = 0; i < 50000; i++)
		str_add(&b, "[");
	str_add(&b, "\n");
	say(fd, b.s);
	expect(f, fd, "nested deeper");
}

static void test_slow(void **state)
{
	struct fix *f = *state;
	int fd = dial(f), silent = dial(f);

	say(fd, "{\"method\":");
	turn(f);
	elapse(f, RPC_READ_TIMEOUT - SEC);
	turn(f);
	assert_int_equal(recv(fd, (char[1]){ 0 }, 1, 0), -1);
	assert_int_equal(errno, EAGAIN);
	elapse(f, RPC_READ_TIMEOUT + SEC);
	char buf[200] = { 0 };
	assert_true(recv(silent, buf, sizeof(buf) - 1, 0) > 0);
	assert_non_null(strstr(buf, "within 10 s"));
	close(silent);
	expect(f, fd, "within 10 s");
}

static void test_half_line_then_end(void **state)
{
	struct fix *f = *state;
	int fd = dial(f);

	say(fd, "{\"method\":\"echo\"}");
	shutdown(fd, SHUT_WR);
	expect(f, fd, "ended before its line did");
	fd = dial(f);
	say(fd, "{\"meth");
	turn(f);
	close(fd);
	turn(f);
	assert_int_equal(count_fds(), f->fds_before);
}

/* A caller that closes its sending direction after the line is still answered. */
static void test_half_closed(void **state)
{
	struct fix *f = *state;
	int fd = dial(f);

	say(fd, "{\"method\":\"hold\"}\n");
	shutdown(fd, SHUT_WR);
	turn(f);
	turn(f);
	assert_non_null(f->held);
	assert_false(rpc_gone(f->held));
	rpc_reply(f->held, json_pack("{s:b}", "late", 1));
	expect(f, fd, "{\"result\":{\"late\":true}}\n");
}

static size_t push(struct fix *f, int fd, size_t n, char c)
{
	char block[32768];
	size_t at = 0;

	memset(block, c, sizeof(block));
	for (int stuck = 0; at < n && stuck < 100;) {
		ssize_t k = send(fd, block, MIN(sizeof(block), n - at), MSG_NOSIGNAL);
		if (k < 0 && errno != EAGAIN)
			break;
		stuck = k > 0 ? 0 : stuck + 1;
		at += k > 0 ? (size_t)k : 0;
		turn(f);
	}
	return at;
}

static void test_too_long(void **state)
{
	struct fix *f = *state;
	int fd = dial(f);

	size_t n = push(f, fd, 5u << 20, 'a');
	assert_true(n < (3u << 20));
	expect(f, fd, "longer than 1 MiB");
	/* Exactly the limit is read to its end (and is then no JSON). */
	fd = dial(f);
	assert_int_equal(push(f, fd, RPC_LINE_MAX, 'a'), RPC_LINE_MAX);
	say(fd, "\n");
	expect(f, fd, "not valid JSON");
}

static void test_fds(void **state)
{
	struct fix *f = *state;
	int fds[RPC_FDS_MAX];
	struct stat a, b;
	int fd;

	for (size_t i = 0; i < RPC_FDS_MAX; i++)
		fds[i] = open(i ? "/dev/null" : "/dev/zero", O_RDONLY | O_CLOEXEC);
	fstat(fds[0], &a);
	f->fds_before += RPC_FDS_MAX + 1;
	fd = dial(f);
	say_with_fds(fd, "{\"method\":\"take\"}\n", fds, RPC_FDS_MAX);
	expect(f, fd, "{\"result\":{}}\n");
	assert_true(f->taken >= 0);
	assert_int_equal(fcntl(f->taken, F_GETFD), FD_CLOEXEC);
	fstat(f->taken, &b);
	assert_int_equal(a.st_rdev, b.st_rdev);
	close(f->taken);
	f->fds_before--;
	/* Descriptors sent to a method that does not want them, and with a request that is refused. */
	fd = dial(f);
	say_with_fds(fd, "{\"method\":\"echo\"}\n", fds, RPC_FDS_MAX);
	expect(f, fd, "{\"result\":{}}\n");
	fd = dial(f);
	say_with_fds(fd, "junk\n", fds, 3);
	expect(f, fd, "not valid JSON");
	fd = dial(f);
	say_with_fds(fd, "{\"half", fds, 3);
	turn(f);
	close(fd);
	turn(f);
	assert_int_equal(count_fds(), f->fds_before);
	for (size_t i = 0; i < RPC_FDS_MAX; i++)
		close(fds[i]);
	f->fds_before -= RPC_FDS_MAX;
}

static void test_too_many_fds(void **state)
{
	struct fix *f = *state;
	int fds[64];

	for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
		fds[i] = 0;
	int fd = dial(f);
	say_with_fds(fd, "{\"method\":\"echo\"}\n", fds, RPC_FDS_MAX + 1);
	expect(f, fd, "more descriptors");
	fd = dial(f);
	say_with_fds(fd, "{\"method\":\"echo\"}\n", fds, ARRAY_SIZE(fds));
	expect(f, fd, "more descriptors");
	fd = dial(f);
	say_with_fds(fd, "{\"method\":", fds, RPC_FDS_MAX);
	turn(f);
	say_with_fds(fd, "\"echo\"}\n", fds, 1);
	expect(f, fd, "more descriptors");
}

static void test_hang_up_before_answer(void **state)
{
	struct fix *f = *state;
	int null = open("/dev/null", O_RDONLY | O_CLOEXEC), fd = dial(f);

	say_with_fds(fd, "{\"method\":\"hold\",\"params\":{\"x\":1}}\n", &null, 1);
	close(null);
	turn(f);
	assert_non_null(f->held);
	assert_false(rpc_gone(f->held));
	close(fd);
	turn(f);
	assert_true(rpc_gone(f->held));
	assert_int_equal(json_integer_value(json_object_get(rpc_params(f->held), "x")), 1);
	rpc_reply(f->held, NULL);
	assert_int_equal(count_fds(), f->fds_before);
}

/* Bytes after the line, while the method works: the connection ends, the request does not. */
static void test_chatter_while_asked(void **state)
{
	struct fix *f = *state;
	int fd = dial(f);

	say(fd, "{\"method\":\"hold\"}\n");
	turn(f);
	say(fd, "more");
	turn(f);
	assert_true(rpc_gone(f->held));
	rpc_fail(f->held, 5, NULL, "unheard");
	expect(f, fd, "");
}

static void test_big_answer(void **state)
{
	struct fix *f = *state;
	int fd = dial(f);

	say(fd, "{\"method\":\"big\",\"params\":{\"n\":1000000}}\n");
	expect(f, fd, "xxxx\"}}\n");
	fd = dial(f);
	say(fd, "{\"method\":\"big\",\"params\":{\"n\":2000000}}\n");
	expect(f, fd, "{\"error\":{\"code\":90,");
	/* A caller that does not read: its answer is dropped after a while. */
	fd = dial(f);
	say(fd, "{\"method\":\"big\",\"params\":{\"n\":1000000}}\n");
	turn(f);
	assert_int_equal(count_fds(), f->fds_before + 2);
	elapse(f, RPC_READ_TIMEOUT + SEC);
	turn(f);
	assert_int_equal(count_fds(), f->fds_before + 1);
	close(fd);
}

static void test_many(void **state)
{
	struct fix *f = *state;
	static int fds[RPC_CONNS_MAX + 50];
	struct rlimit lim = { 4096, 4096 };

	setrlimit(RLIMIT_NOFILE, &lim);
	for (size_t i = 0; i < ARRAY_SIZE(fds); i++) {
		fds[i] = dial(f);
		turn(f);
	}
	assert_int_equal(count_fds(), f->fds_before + (int)ARRAY_SIZE(fds) + RPC_CONNS_MAX);
	for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
		say(fds[i], "{\"method\":\"echo\"}\n");
	for (int i = 0; i < 100; i++)
		turn(f);
	for (size_t i = 0; i < ARRAY_SIZE(fds); i++) {
		char buf[64] = { 0 };
		assert_true(recv(fds[i], buf, sizeof(buf), 0) > 0);
		assert_string_equal(buf, "{\"result\":{}}\n");
		close(fds[i]);
	}
}

static void test_out_of_descriptors(void **state)
{
	struct fix *f = *state;
	struct rlimit was, low;
	int fd = dial(f);

	say(fd, "{\"method\":\"echo\"}\n");
	getrlimit(RLIMIT_NOFILE, &was);
	low = (struct rlimit){ (rlim_t)fd + 1, was.rlim_max };
	setrlimit(RLIMIT_NOFILE, &low);
	turn(f);
	setrlimit(RLIMIT_NOFILE, &was);
	assert_int_equal(recv(fd, (char[1]){ 0 }, 1, 0), -1);
	elapse(f, SEC);
	expect(f, fd, "{\"result\":{}}\n");
}

static void test_wrong_user(void **state)
{
	struct fix *f = *state;
	int status, p[2];
	char buf[200] = { 0 };

	if (geteuid() != 0)
		skip();
	assert_int_equal(chmod(f->dir, 0755), 0);
	assert_int_equal(chmod(f->path, 0666), 0);
	assert_int_equal(pipe(p), 0);
	pid_t pid = fork();
	if (pid == 0) {
		if (setresuid(65534, 65534, 65534) < 0)
			_exit(1);
		int fd = dial(f);
		send(fd, "{\"method\":\"echo\"}\n", 18, MSG_NOSIGNAL);
		struct pollfd pf = { fd, POLLIN, 0 };
		poll(&pf, 1, 5000);
		ssize_t n = recv(fd, buf, sizeof(buf), 0);
		_exit(n > 0 && write(p[1], buf, (size_t)n) == n ? 0 : 2);
	}
	for (int i = 0; i < 500 && waitpid(pid, &status, WNOHANG) == 0; i++)
		loop_turn(f->loop, loop_now(f->loop) + 10 * MSEC);
	assert_int_equal(status, 0);
	assert_true(read(p[0], buf, sizeof(buf) - 1) > 0);
	assert_non_null(strstr(buf, "{\"error\":{\"code\":13,\"message\":\"only root"));
	close(p[0]);
	close(p[1]);
}

static void test_second_server(void **state)
{
	struct fix *f = *state;
	struct err e;

	assert_null(rpc_listen(f->loop, f->path, methods, f, &e));
	assert_int_equal(e.code, EADDRINUSE);
	assert_null(rpc_listen(f->loop, f->dir, methods, f, &e));
	assert_int_equal(e.code, EEXIST);
	assert_null(rpc_listen(f->loop, "/nonexistent/x.sock", methods, f, &e));
	assert_int_equal(e.code, ENOENT);
	assert_null(rpc_listen(f->loop, "relative", methods, f, &e));
	assert_int_equal(e.code, EINVAL);
	turn(f);
}

/* A socket file that an agent left behind when it was killed. */
static void test_stale_socket(void **state)
{
	struct fix *f = *state;
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	struct err e;

	snprintf(sun.sun_path, sizeof(sun.sun_path), "%s/stale.sock", f->dir);
	assert_int_equal(bind(fd, (struct sockaddr *)&sun, sizeof(sun)), 0);
	close(fd);
	struct rpc_server *s = rpc_listen(f->loop, sun.sun_path, methods, f, &e);
	assert_non_null(s);
	/* Somebody replaced the file: the one who goes must leave it alone. */
	unlink(sun.sun_path);
	fd = open(sun.sun_path, O_CREAT | O_RDWR | O_CLOEXEC, 0600);
	close(fd);
	rpc_server_free(s);
	assert_int_equal(unlink(sun.sun_path), 0);
}

static void test_free_while_asked(void **state)
{
	struct fix *f = *state;
	struct err e;
	char path[128];
	char buf[200] = { 0 };

	snprintf(path, sizeof(path), "%s", f->path);
	int fd = dial(f), half = dial(f);
	say(fd, "{\"method\":\"hold\"}\n");
	say(half, "{");
	turn(f);
	rpc_server_free(f->server);
	assert_true(rpc_gone(f->held));
	assert_true(recv(fd, buf, sizeof(buf) - 1, 0) > 0);
	assert_non_null(strstr(buf, "{\"error\":{\"code\":125,"));
	rpc_reply(f->held, NULL);
	close(fd);
	close(half);
	f->server = rpc_listen(f->loop, path, methods, f, &e);
	assert_non_null(f->server);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)
		T(test_echo),
		T(test_socket_file),
		T(test_byte_by_byte),
		T(test_nonsense),
		T(test_deep),
		T(test_slow),
		T(test_half_line_then_end),
		T(test_half_closed),
		T(test_too_long),
		T(test_fds),
		T(test_too_many_fds),
		T(test_hang_up_before_answer),
		T(test_chatter_while_asked),
		T(test_big_answer),
		T(test_many),
		T(test_out_of_descriptors),
		T(test_wrong_user),
		T(test_second_server),
		T(test_stale_socket),
		T(test_free_while_asked),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
