/*
 * The caller's side: one connection, one line out, one line in, within one time limit. It blocks, because its
 * users (the CNI plugin and the command line) have nothing else to do, and it needs no loop, so that the
 * plugin stays small.
 */
#include "rpc/rpc.h"

#include "base/check.h"
#include "base/own.h"
#include "rpc/line.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <time.h>

#define FIRST_READ 4096

/* There is no loop here to be told the time by. */
static int64_t clock_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static int wait_for(int fd, short events, int64_t deadline, struct err *e)
{
	struct pollfd p = { .fd = fd, .events = events };

	for (;;) {
		int64_t left = deadline - clock_ms();
		int n = left > 0 ? poll(&p, 1, (int)left) : 0;
		if (n > 0)
			return 0;
		if (n == 0)
			return err_set(e, ETIMEDOUT, "no answer in time");
		if (errno != EINTR)
			return err_set(e, errno, "wait for the answer: %m");
	}
}

/* A full backlog makes connect() wait; the send timeout of the socket bounds that. */
static int open_connection(const char *path, int timeout_ms, int *ret, struct err *e)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	struct timeval limit = { timeout_ms / 1000, timeout_ms % 1000 * 1000 };
	int r;

	if (strlen(path) >= sizeof(sun.sun_path))
		return err_set(e, ENAMETOOLONG, "the path of a socket has at most %zu bytes",
			       sizeof(sun.sun_path) - 1);
	memcpy(sun.sun_path, path, strlen(path));
	own_fd int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return err_set(e, errno, "make a socket: %m");
	if (setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)) < 0)
		return err_set(e, errno, "set a time limit: %m");
	do
		r = connect(fd, (struct sockaddr *)&sun, sizeof(sun));
	while (r < 0 && errno == EINTR);
	if (r < 0 && errno == EAGAIN)
		return err_set(e, ETIMEDOUT, "the agent accepts no connection in time");
	if (r < 0)
		return err_set(e, errno, "%m");
	*ret = take_fd(fd);
	return 0;
}

static ssize_t send_some(int fd, char *s, size_t n, const int *fds, size_t nfds)
{
	union {
		char buf[CMSG_SPACE(sizeof(int) * RPC_FDS_MAX)];
		struct cmsghdr align;
	} control = { 0 };
	struct iovec iov = { s, n };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1 };

	if (nfds) {
		m.msg_control = control.buf;
		m.msg_controllen = CMSG_SPACE(sizeof(int) * nfds);
		struct cmsghdr *c = CMSG_FIRSTHDR(&m);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int) * nfds);
		memcpy(CMSG_DATA(c), fds, sizeof(int) * nfds);
	}
	return sendmsg(fd, &m, MSG_NOSIGNAL | MSG_DONTWAIT);
}

/* The descriptors travel with the first byte, so they are not offered again once anything was sent. */
static int send_line(int fd, char *s, size_t n, const int *fds, size_t nfds, int64_t deadline, struct err *e)
{
	size_t at = 0;

	while (at < n) {
		ssize_t k = send_some(fd, s + at, n - at, fds, at ? 0 : nfds);
		if (k > 0) {
			at += (size_t)k;
			continue;
		}
		/* The agent may refuse a request half-way. Its sentence is then waiting to be read. */
		if (k < 0 && (errno == EPIPE || errno == ECONNRESET))
			return 0;
		if (k < 0 && errno != EAGAIN && errno != EINTR)
			return err_set(e, errno, "send the request: %m");
		int r = wait_for(fd, POLLOUT, deadline, e);
		if (r < 0)
			return r;
	}
	return 0;
}

/* *ret_n is the length of the line without its newline. */
static int read_line(int fd, int64_t deadline, char **ret, size_t *ret_n, struct err *e)
{
	size_t n = 0, cap = FIRST_READ;
	own_mem char *buf = xmalloc(cap);

	for (;;) {
		ssize_t k = recv(fd, buf + n, cap - n, MSG_DONTWAIT);
		if (k == 0 || (k < 0 && errno == ECONNRESET))
			return err_set(e, ECONNRESET, "the agent hung up before it answered");
		if (k < 0 && errno != EAGAIN && errno != EINTR)
			return err_set(e, errno, "read the answer: %m");
		if (k < 0) {
			int r = wait_for(fd, POLLIN, deadline, e);
			if (r < 0)
				return r;
			continue;
		}
		const char *end = memchr(buf + n, '\n', (size_t)k);
		n += (size_t)k;
		if (end) {
			*ret_n = (size_t)(end - buf);
			if (*ret_n + 1 != n)
				return err_set(e, EPROTO, "the agent answered more than once");
			*ret = take(buf);
			return 0;
		}
		if (n > RPC_LINE_MAX)
			return err_set(e, EPROTO, "the answer is longer than %u bytes", RPC_LINE_MAX);
		if (n == cap)
			buf = xrealloc(buf, cap = MIN(cap * 2, (size_t)RPC_LINE_MAX + 1));
	}
}

static int take_answer(const char *s, size_t n, json_t **ret, struct rpc_error *ret_remote, struct err *e)
{
	struct line_answer a;

	if (line_parse_answer(s, n, &a, e) < 0) {
		err_in(e, "the agent's answer makes no sense");
		e->code = EPROTO;
		return -EPROTO;
	}
	if (a.result) {
		*ret = json_incref(a.result);
		json_decref(a.root);
		return 0;
	}
	if (ret_remote) {
		ret_remote->code = a.code;
		snprintf(ret_remote->details, sizeof(ret_remote->details), "%s", a.details);
	}
	err_set(e, EREMOTEIO, "%s", a.message);
	json_decref(a.root);
	return -EREMOTEIO;
}

static int converse(const char *path, char *line, size_t n, const int *fds, size_t nfds, int timeout_ms,
		    char **ret, size_t *ret_n, struct err *e)
{
	int64_t deadline = clock_ms() + timeout_ms;
	own_fd int fd = -1;
	int r = open_connection(path, timeout_ms, &fd, e);

	if (r == 0)
		r = send_line(fd, line, n, fds, nfds, deadline, e);
	if (r == 0)
		r = read_line(fd, deadline, ret, ret_n, e);
	return r;
}

int rpc_call(const char *path, const char *method, const json_t *params, const int *fds, size_t nfds,
	     int timeout_ms, json_t **ret, struct rpc_error *ret_remote, struct err *e)
{
	own_mem char *request = NULL, *answer = NULL;
	struct err own;
	size_t n;

	CHECK(nfds <= RPC_FDS_MAX && timeout_ms > 0);
	if (ret_remote)
		*ret_remote = (struct rpc_error){ 0 };
	e = e ? e : &own;
	int r = line_format_request(method, params, &request, &n, e);
	if (r == 0)
		r = converse(path, request, n, fds, nfds, timeout_ms, &answer, &n, e);
	if (r < 0)
		return err_in(e, "%s", path);
	return take_answer(answer, n, ret, ret_remote, e);
}
