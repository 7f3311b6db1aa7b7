/*
 * rpc_call() against our own server on the loop (the call blocks, so it has a thread of its own here), and
 * against servers that answer nonsense, late or not at all.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/own.h"
#include "loop/loop.h"
#include "rpc/rpc.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>

struct fix {
	char dir[64], path[96];
};

static int set_up(void **state)
{
	struct fix *f = xcalloc(1, sizeof(*f));

	strcpy(f->dir, "/tmp/korat-t-rpc-XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	snprintf(f->path, sizeof(f->path), "%s/agent.sock", f->dir);
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fix *f = *state;

	unlink(f->path);
	assert_int_equal(rmdir(f->dir), 0);
	free(f);
	return 0;
}

struct call {
	const char *path, *method;
	json_t *params;
	int fds[RPC_FDS_MAX];
	size_t nfds;
	int timeout_ms;
	int r;
	json_t *result;
	struct rpc_error remote;
	struct err e;
	atomic_bool done;
};

static void *run_call(void *arg)
{
	struct call *c = arg;

	c->r = rpc_call(c->path, c->method, c->params, c->fds, c->nfds, c->timeout_ms, &c->result, &c->remote,
			&c->e);
	c->done = true;
	return NULL;
}

static void fn_echo(void *arg, struct rpc_req *req)
{
	rpc_reply(req, json_deep_copy(rpc_params(req)));
}

static void fn_fail(void *arg, struct rpc_req *req)
{
	rpc_fail(req, 11, "the details", "the sentence");
}

static void fn_inode(void *arg, struct rpc_req *req)
{
	own_fd int a = rpc_take_fd(req, 0);
	own_fd int b = rpc_take_fd(req, 1);
	struct stat sa, sb;

	if (fstat(a, &sa) < 0 || fstat(b, &sb) < 0)
		rpc_fail(req, 5, NULL, "no descriptors");
	else
		rpc_reply(req,
			  json_pack("{s:I,s:I}", "a", (json_int_t)sa.st_ino, "b", (json_int_t)sb.st_ino));
}

static const struct rpc_method methods[] = {
	{ "echo", fn_echo }, { "fail", fn_fail }, { "inode", fn_inode }, { NULL, NULL }
};

static void serve(struct fix *f, struct call *c)
{
	struct err e;
	pthread_t t;
	own(loop) struct loop *l = loop_new(&e);
	struct rpc_server *s = rpc_listen(l, f->path, methods, NULL, &e);

	assert_non_null(s);
	c->path = f->path;
	c->timeout_ms = 10000;
	assert_int_equal(pthread_create(&t, NULL, run_call, c), 0);
	while (!c->done)
		loop_turn(l, loop_now(l) + 5 * MSEC);
	pthread_join(t, NULL);
	rpc_server_free(s);
}

static void test_echo(void **state)
{
	struct call c = { .method = "echo", .params = json_pack("{s:[s,i]}", "k", "v\n\"", 7) };

	serve(*state, &c);
	assert_int_equal(c.r, 0);
	assert_true(json_equal(c.result, c.params));
	json_decref(c.result);
	json_decref(c.params);
}

static void test_remote_error(void **state)
{
	struct call c = { .method = "fail" };

	serve(*state, &c);
	assert_int_equal(c.r, -EREMOTEIO);
	assert_int_equal(c.e.code, EREMOTEIO);
	assert_string_equal(c.e.msg, "the sentence");
	assert_int_equal(c.remote.code, 11);
	assert_string_equal(c.remote.details, "the details");
	c = (struct call){ .method = "nothing" };
	serve(*state, &c);
	assert_int_equal(c.r, -EREMOTEIO);
	assert_int_equal(c.remote.code, ENOSYS);
}

static void test_fds(void **state)
{
	int a = open("/", O_RDONLY | O_CLOEXEC), b = open("/tmp", O_RDONLY | O_CLOEXEC);
	struct call c = { .method = "inode", .fds = { a, b }, .nfds = 2 };
	struct stat sa, sb;

	fstat(a, &sa);
	fstat(b, &sb);
	serve(*state, &c);
	assert_int_equal(c.r, 0);
	assert_int_equal(json_integer_value(json_object_get(c.result, "a")), sa.st_ino);
	assert_int_equal(json_integer_value(json_object_get(c.result, "b")), sb.st_ino);
	assert_int_equal(fcntl(a, F_GETFD), FD_CLOEXEC); /* borrowed: still ours */
	json_decref(c.result);
	close(a);
	close(b);
}

/* A request of nearly the whole limit, there and back. */
static void test_large(void **state)
{
	own_mem char *s = xcalloc(1000001, 1);

	memset(s, 'y', 1000000);
	struct call c = { .method = "echo", .params = json_pack("{s:s}", "s", s) };
	serve(*state, &c);
	assert_int_equal(c.r, 0);
	assert_true(json_equal(c.result, c.params));
	json_decref(c.result);
	json_decref(c.params);
}

static int listen_at(struct fix *f, int backlog)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	strcpy(sun.sun_path, f->path);
	assert_int_equal(bind(fd, (struct sockaddr *)&sun, sizeof(sun)), 0);
	assert_int_equal(listen(fd, backlog), 0);
	return fd;
}

static int call(struct fix *f, int timeout_ms, struct err *e)
{
	json_t *result = NULL;
	int r = rpc_call(f->path, "m", NULL, NULL, 0, timeout_ms, &result, NULL, e);

	assert_true(r < 0 || result);
	json_decref(result);
	return r;
}

static void test_nobody(void **state)
{
	struct fix *f = *state;
	struct err e;

	assert_int_equal(call(f, 100, &e), -ENOENT);
	assert_non_null(strstr(e.msg, f->path));
	close(listen_at(f, 1));
	assert_int_equal(call(f, 100, &e), -ECONNREFUSED);
	assert_int_equal(
		rpc_call("/a/path/that/is/longer/than/what/a/socket/address/can/carry/because/it/goes/on/and/"
			 "on/without/any/reason/to/stop",
			 "m", NULL, NULL, 0, 100, NULL, NULL, &e),
		-ENAMETOOLONG);
	assert_int_equal(rpc_call(f->path, "m", NULL, NULL, 0, 100, NULL, NULL, NULL), -ECONNREFUSED);
}

static int64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static void test_silent(void **state)
{
	struct fix *f = *state;
	int fd = listen_at(f, 0);
	struct err e;

	int64_t t = now_ms();
	assert_int_equal(call(f, 150, &e), -ETIMEDOUT); /* accepted by the backlog, never answered */
	assert_int_equal(call(f, 150, &e), -ETIMEDOUT); /* the backlog is full by now */
	t = now_ms() - t;
	assert_in_range(t, 290, 2000);
	close(fd);
}

struct fake {
	int fd;
	const char *answer;
	size_t n;
	bool read_first;
};

static void *run_fake(void *arg)
{
	struct fake *k = arg;
	char buf[4096];
	size_t at = 0;
	own_fd int fd = accept(k->fd, NULL, NULL);

	if (k->read_first && recv(fd, buf, sizeof(buf), 0) < 0)
		return NULL;
	while (at < k->n) {
		ssize_t n = send(fd, k->answer + at, k->n - at, MSG_NOSIGNAL);
		if (n < 0)
			break;
		at += (size_t)n;
	}
	return NULL;
}

static int call_fake(struct fix *f, const char *answer, size_t n, bool read_first, struct err *e)
{
	struct fake k = { listen_at(f, 1), answer, n, read_first };
	pthread_t t;

	pthread_create(&t, NULL, run_fake, &k);
	int r = call(f, 3000, e);
	pthread_join(t, NULL);
	close(k.fd);
	unlink(f->path);
	return r;
}

static void test_nonsense(void **state)
{
	static const struct {
		const char *answer;
		int r;
	} cases[] = {
		{ "", -ECONNRESET },
		{ "{\"result\":{}}", -ECONNRESET },
		{ "\n", -EPROTO },
		{ "hello\n", -EPROTO },
		{ "{}\n", -EPROTO },
		{ "{\"result\":[]}\n", -EPROTO },
		{ "{\"error\":{}}\n", -EPROTO },
		{ "{\"result\":{}}\n{\"result\":{}}\n", -EPROTO },
		{ "{\"error\":{\"code\":3,\"message\":\"m\"}}\n", -EREMOTEIO },
		{ "{\"result\":{}}\n", 0 },
	};
	struct err e;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		for (int read_first = 0; read_first < 2; read_first++)
			assert_int_equal(
				call_fake(*state, cases[i].answer, strlen(cases[i].answer), read_first, &e),
				cases[i].r);
}

static void test_endless_answer(void **state)
{
	size_t n = 3u << 20;
	own_mem char *s = xmalloc(n);
	struct err e;

	memset(s, 'z', n);
	assert_int_equal(call_fake(*state, s, n, true, &e), -EPROTO);
	assert_non_null(strstr(e.msg, "longer than"));
}

/* The server refuses in the middle of a long request: its sentence arrives, not a broken pipe. */
static void test_refused_half_way(void **state)
{
	struct fix *f = *state;
	const char *answer = "{\"error\":{\"code\":90,\"message\":\"too much\"}}\n";
	struct fake k = { listen_at(f, 1), answer, strlen(answer), true };
	own_mem char *s = xcalloc(1000001, 1);
	struct rpc_error remote;
	json_t *result = NULL;
	struct err e;
	pthread_t t;

	memset(s, 'y', 1000000);
	json_t *params = json_pack("{s:s}", "s", s);
	pthread_create(&t, NULL, run_fake, &k);
	assert_int_equal(rpc_call(f->path, "m", params, NULL, 0, 3000, &result, &remote, &e), -EREMOTEIO);
	assert_int_equal(remote.code, 90);
	pthread_join(t, NULL);
	json_decref(params);
	close(k.fd);
}

static void test_unsendable(void **state)
{
	struct fix *f = *state;
	json_t *params = json_object(), *result = NULL;
	own_mem char *s = xcalloc(RPC_LINE_MAX + 1, 1);
	struct err e;

	memset(s, 'y', RPC_LINE_MAX);
	json_object_set_new(params, "s", json_string(s));
	assert_int_equal(rpc_call(f->path, "m", params, NULL, 0, 100, &result, NULL, &e), -EMSGSIZE);
	json_object_set_new_nocheck(params, "s", json_string_nocheck("\xff"));
	assert_int_equal(rpc_call(f->path, "m", params, NULL, 0, 100, &result, NULL, &e), -EINVAL);
	json_decref(params);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)
		T(test_echo),	    T(test_remote_error),   T(test_fds),
		T(test_large),	    T(test_nobody),	    T(test_silent),
		T(test_nonsense),   T(test_endless_answer), T(test_refused_half_way),
		T(test_unsendable),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
