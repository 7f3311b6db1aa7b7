/*
 * The agent's side of the protocol, on the loop. A caller is a struct conn, which goes away the moment the
 *caller does; what it asked for is a struct rpc_req, which stays until the agent has ended it.
 *
 *	READING --line complete--> ASKED --answer--> WRITING --sent--> gone
 *	   |  nonsense, too long, too slow, wrong user  ^
 *	   +--------------------------------------------+
 *
 * Nothing a caller does can hold more than one connection's worth of memory, descriptors and
 *RPC_READ_TIMEOUT.
 */
#include "rpc/rpc.h"

#include "base/check.h"
#include "base/list.h"
#include "loop/loop.h"
#include "rpc/line.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#define ACCEPTS_PER_TURN 16
#define ACCEPT_PAUSE	 (100 * MSEC) /* when the process or the machine is out of descriptors */
#define FIRST_READ	 4096

struct rpc_server {
	struct loop *loop;
	int fd;
	struct io io; /* unwatched while as many callers are served as may be */
	struct timer pause;
	struct sockaddr_un sun;
	dev_t dev; /* of the socket file, so that only our own is unlinked */
	ino_t ino;
	const struct rpc_method *methods;
	void *arg;
	struct list conns;
	size_t nconns;
};

enum conn_state { CONN_READING, CONN_ASKED, CONN_WRITING };

struct conn {
	struct list node;
	struct rpc_server *server;
	enum conn_state state;
	int fd;
	struct io io;
	struct timer deadline; /* unarmed while CONN_ASKED: then it is the agent who takes its time */
	char *buf;	       /* the request while reading, the answer while writing */
	size_t len, cap, sent;
	int fds[RPC_FDS_MAX];
	size_t nfds;
	struct rpc_req *req;
};

struct rpc_req {
	struct conn *conn; /* NULL once the caller is gone */
	struct line_request line;
	int fds[RPC_FDS_MAX]; /* -1 once taken */
	size_t nfds;
};

static void close_all(const int *fds, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (fds[i] >= 0)
			close(fds[i]);
}

static void server_resume(struct rpc_server *s)
{
	if (s->io.handle || timer_armed(&s->pause) || s->nconns >= RPC_CONNS_MAX)
		return;
	if (loop_watch(s->loop, &s->io, s->fd, LOOP_READ, NULL) < 0)
		timer_start(loop_timers(s->loop), &s->pause, loop_now(s->loop) + ACCEPT_PAUSE);
}

static void conn_free(struct conn *c)
{
	struct rpc_server *s = c->server;

	if (c->req)
		c->req->conn = NULL;
	loop_unwatch(&c->io);
	timer_stop(&c->deadline);
	close_all(c->fds, c->nfds);
	close(c->fd);
	free(c->buf);
	list_del(&c->node);
	free(c);
	s->nconns--;
	server_resume(s);
}

static void conn_limit(struct conn *c)
{
	struct loop *l = c->server->loop;

	timer_start(loop_timers(l), &c->deadline, loop_now(l) + RPC_READ_TIMEOUT);
}

/* Sends what is left; true if that is nothing, or if the caller does not want it. */
static bool conn_flush(struct conn *c)
{
	while (c->sent < c->len) {
		ssize_t n = send(c->fd, c->buf + c->sent, c->len - c->sent, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n < 0 && errno == EAGAIN)
			return false;
		if (n < 0 && errno != EINTR)
			return true;
		c->sent += n > 0 ? (size_t)n : 0;
	}
	return true;
}

/* Takes line, sends it and ends the connection, now or as fast as the caller reads. */
static void conn_answer(struct conn *c, char *line, size_t n)
{
	free(c->buf);
	c->buf = line;
	c->len = n;
	c->sent = 0;
	c->state = CONN_WRITING;
	if (conn_flush(c) || loop_watch(c->server->loop, &c->io, c->fd, LOOP_WRITE, NULL) < 0)
		conn_free(c);
	else
		conn_limit(c);
}

static void conn_refuse(struct conn *c, int code, const char *why)
{
	size_t n;
	char *line = line_format_error(code, why, NULL, &n);

	conn_answer(c, line, n);
}

static const struct rpc_method *find_method(const struct rpc_server *s, const char *name)
{
	for (const struct rpc_method *m = s->methods; m->name; m++)
		if (!strcmp(m->name, name))
			return m;
	return NULL;
}

/* The line is complete: it becomes a request, and the method has the last word here, as it may end both. */
static void conn_ask(struct conn *c, size_t n)
{
	struct rpc_server *s = c->server;
	struct line_request line;
	struct err e;

	if (line_parse_request(c->buf, n, &line, &e) < 0) {
		conn_refuse(c, e.code, e.msg);
		return;
	}
	const struct rpc_method *m = find_method(s, line.method);
	if (!m) {
		err_set(&e, ENOSYS, "this agent has no method \"%.100s\"", line.method);
		json_decref(line.root);
		conn_refuse(c, e.code, e.msg);
		return;
	}
	struct rpc_req *req = xcalloc(1, sizeof(*req));
	req->conn = c;
	req->line = line;
	memcpy(req->fds, c->fds, sizeof(c->fds));
	req->nfds = c->nfds;
	c->nfds = 0;
	c->req = req;
	c->state = CONN_ASKED;
	free(c->buf);
	c->buf = NULL;
	c->len = c->cap = 0;
	timer_stop(&c->deadline);
	m->fn(s->arg, req);
}

/* False if there were more than fit: the kernel then closes what it could not hand over. */
static bool conn_take_fds(struct conn *c, struct msghdr *m)
{
	bool fits = !(m->msg_flags & MSG_CTRUNC);

	for (struct cmsghdr *h = CMSG_FIRSTHDR(m); h; h = CMSG_NXTHDR(m, h)) {
		if (h->cmsg_level != SOL_SOCKET || h->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t i = 0; i < (h->cmsg_len - CMSG_LEN(0)) / sizeof(int); i++) {
			int fd;
			memcpy(&fd, CMSG_DATA(h) + i * sizeof(int), sizeof(int));
			if (c->nfds < RPC_FDS_MAX) {
				c->fds[c->nfds++] = fd;
			} else {
				close(fd);
				fits = false;
			}
		}
	}
	return fits;
}

static ssize_t conn_receive(struct conn *c, bool *ret_fits)
{
	union {
		char buf[CMSG_SPACE(sizeof(int) * RPC_FDS_MAX)];
		struct cmsghdr align;
	} control;
	struct iovec iov = { c->buf + c->len, c->cap - c->len };
	struct msghdr m = { .msg_iov = &iov,
			    .msg_iovlen = 1,
			    .msg_control = control.buf,
			    .msg_controllen = sizeof(control.buf) };
	ssize_t n = recvmsg(c->fd, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);

	*ret_fits = n < 0 || conn_take_fds(c, &m);
	return n;
}

static void conn_read(struct conn *c)
{
	bool fits;

	if (c->len == c->cap) {
		c->cap = c->cap ? MIN(c->cap * 2, (size_t)RPC_LINE_MAX + 1) : FIRST_READ;
		c->buf = xrealloc(c->buf, c->cap);
	}
	ssize_t n = conn_receive(c, &fits);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		/* Half a line and then the end is still answered: the caller may have closed one direction
		 * only. */
		if (n == 0 && c->len)
			conn_refuse(c, EBADMSG, "the request ended before its line did");
		else
			conn_free(c);
		return;
	}
	if (!fits) {
		conn_refuse(c, EBADMSG,
			    "more descriptors than can be taken: at most 4, and the agent must have room");
		return;
	}
	const char *end = memchr(c->buf + c->len, '\n', (size_t)n);
	c->len += (size_t)n;
	if (end && (size_t)(end - c->buf) + 1 != c->len)
		conn_refuse(c, EBADMSG, "more than one line: a connection is for one request");
	else if (end)
		conn_ask(c, c->len - 1);
	else if (c->len > RPC_LINE_MAX)
		conn_refuse(c, EMSGSIZE, "the request is longer than 1 MiB");
}

/* While the agent works, the caller has nothing to say; what can be learned is whether it still listens. */
static void conn_listen(struct conn *c)
{
	struct pollfd p = { .fd = c->fd, .events = POLLIN };
	char byte;

	if (poll(&p, 1, 0) <= 0)
		return;
	if (p.revents & (POLLHUP | POLLERR | POLLNVAL)) {
		conn_free(c);
		return;
	}
	ssize_t n = recv(c->fd, &byte, 1, MSG_DONTWAIT | MSG_PEEK);
	if (n == 0)
		loop_unwatch(&c->io); /* it closed its sending direction only, and may still read */
	else if (n > 0 || errno != EAGAIN)
		conn_free(c);
}

static void on_ready(struct io *io, int events)
{
	struct conn *c = container_of(io, struct conn, io);

	switch (c->state) {
	case CONN_READING:
		conn_read(c);
		break;
	case CONN_ASKED:
		conn_listen(c);
		break;
	case CONN_WRITING:
		if (conn_flush(c))
			conn_free(c);
		break;
	}
}

static void on_deadline(struct timer *t, usec_t now)
{
	struct conn *c = container_of(t, struct conn, deadline);

	if (c->state == CONN_READING)
		conn_refuse(c, ETIMEDOUT, "no complete request within 10 s");
	else
		conn_free(c);
}

/* The mode of the socket file already keeps others out; but a mode can be changed by hand. */
static bool is_welcome(int fd)
{
	struct ucred who;
	socklen_t n = sizeof(who);

	return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &n) == 0 &&
	       (who.uid == 0 || who.uid == geteuid());
}

static void conn_new(struct rpc_server *s, int fd)
{
	struct conn *c = xcalloc(1, sizeof(*c));

	c->server = s;
	c->fd = fd;
	io_init(&c->io, on_ready);
	timer_init(&c->deadline, on_deadline);
	list_add_tail(&s->conns, &c->node);
	s->nconns++;
	if (!is_welcome(fd))
		conn_refuse(c, EACCES, "only root and the agent's own user may call the agent");
	else if (loop_watch(s->loop, &c->io, fd, LOOP_READ, NULL) < 0)
		conn_free(c);
	else
		conn_limit(c);
}

static void on_listen(struct io *io, int events)
{
	struct rpc_server *s = container_of(io, struct rpc_server, io);

	for (int i = 0; i < ACCEPTS_PER_TURN && s->nconns < RPC_CONNS_MAX; i++) {
		int fd = accept4(s->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
		if (fd >= 0) {
			conn_new(s, fd);
			continue;
		}
		if (errno == EAGAIN || errno == EINTR || errno == ECONNABORTED)
			return;
		/* Callers wait in the backlog, and asking again at once would only burn time. */
		loop_unwatch(&s->io);
		timer_start(loop_timers(s->loop), &s->pause, loop_now(s->loop) + ACCEPT_PAUSE);
		return;
	}
	if (s->nconns >= RPC_CONNS_MAX)
		loop_unwatch(&s->io);
}

static void on_pause_over(struct timer *t, usec_t now)
{
	server_resume(container_of(t, struct rpc_server, pause));
}

/* Is a server alive behind the socket file? A full backlog (EAGAIN) is one, too. */
static bool is_served(const struct sockaddr_un *sun)
{
	own_fd int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	return fd >= 0 && (connect(fd, (const struct sockaddr *)sun, sizeof(*sun)) == 0 || errno == EAGAIN);
}

static int clear_path(const struct sockaddr_un *sun, struct err *e)
{
	struct stat st;

	if (lstat(sun->sun_path, &st) < 0)
		return errno == ENOENT ? 0 : err_set(e, errno, "%m");
	if (!S_ISSOCK(st.st_mode))
		return err_set(e, EEXIST,
			       "the path is taken by something that is not a socket; move it away");
	if (is_served(sun))
		return err_set(e, EADDRINUSE, "another agent is already listening here");
	if (unlink(sun->sun_path) < 0)
		return err_set(e, errno, "remove the socket of an agent that is gone: %m");
	return 0;
}

static int bind_socket(struct rpc_server *s, struct err *e)
{
	struct stat st;

	int r = clear_path(&s->sun, e);
	if (r < 0)
		return r;
	s->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	/* The mode of the unbound socket becomes the mode of the file: there is no moment with a wider one.
	 */
	if (s->fd < 0 || fchmod(s->fd, 0600) < 0)
		return err_set(e, errno, "make a socket: %m");
	if (bind(s->fd, (struct sockaddr *)&s->sun, sizeof(s->sun)) < 0 || lstat(s->sun.sun_path, &st) < 0)
		return err_set(e, errno, "%m");
	s->dev = st.st_dev;
	s->ino = st.st_ino;
	if (listen(s->fd, SOMAXCONN) < 0)
		return err_set(e, errno, "%m");
	return 0;
}

/* The folder is locked meanwhile: of two agents that start together, one finds the other listening. */
static int server_open(struct rpc_server *s, const char *path, struct err *e)
{
	char dir[sizeof(s->sun.sun_path) + 2];

	if (*path != '/' || strlen(path) >= sizeof(s->sun.sun_path))
		return err_set(e, EINVAL, "the path of a socket starts with / and has at most %zu bytes",
			       sizeof(s->sun.sun_path) - 1);
	s->sun.sun_family = AF_UNIX;
	memcpy(s->sun.sun_path, path, strlen(path));
	snprintf(dir, sizeof(dir), "%.*s", (int)(strrchr(path, '/') - path + 1), path);
	own_fd int lock = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (lock < 0 || flock(lock, LOCK_EX) < 0)
		return err_set(e, errno, "open the folder of the socket: %m");
	int r = bind_socket(s, e);
	return r < 0 ? r : loop_watch(s->loop, &s->io, s->fd, LOOP_READ, e);
}

struct rpc_server *rpc_listen(struct loop *l, const char *path, const struct rpc_method *methods, void *arg,
			      struct err *e)
{
	own(rpc_server) struct rpc_server *s = xcalloc(1, sizeof(*s));

	*s = (struct rpc_server){ .loop = l, .fd = -1, .methods = methods, .arg = arg };
	list_init(&s->conns);
	io_init(&s->io, on_listen);
	timer_init(&s->pause, on_pause_over);
	if (server_open(s, path, e) < 0) {
		err_in(e, "listen on %s", path);
		return NULL;
	}
	return take(s);
}

static void unlink_own(const struct rpc_server *s)
{
	struct stat st;

	if (s->ino && lstat(s->sun.sun_path, &st) == 0 && st.st_dev == s->dev && st.st_ino == s->ino)
		unlink(s->sun.sun_path);
}

void rpc_server_free(struct rpc_server *s)
{
	struct conn *c, *tmp;
	size_t n;

	if (!s)
		return;
	list_each_safe (c, tmp, &s->conns, node) {
		if (c->state != CONN_WRITING) {
			free(c->buf);
			c->buf = line_format_error(ECANCELED, "the agent is stopping; ask again", NULL, &n);
			c->len = n;
			c->sent = 0;
		}
		conn_flush(c);
		conn_free(c);
	}
	timer_stop(&s->pause);
	loop_unwatch(&s->io);
	if (s->fd >= 0)
		close(s->fd);
	unlink_own(s);
	free(s);
}

const json_t *rpc_params(const struct rpc_req *req)
{
	return req->line.params;
}

int rpc_take_fd(struct rpc_req *req, size_t i)
{
	return i < req->nfds ? take_fd(req->fds[i]) : -1;
}

bool rpc_gone(const struct rpc_req *req)
{
	return !req->conn;
}

/* Takes line. */
static void req_end(struct rpc_req *req, char *line, size_t n)
{
	struct conn *c = req->conn;

	close_all(req->fds, req->nfds);
	json_decref(req->line.root);
	free(req);
	if (!c) {
		free(line);
		return;
	}
	c->req = NULL;
	conn_answer(c, line, n);
}

void rpc_reply(struct rpc_req *req, json_t *result)
{
	char *line;
	size_t n;
	struct err e;

	CHECK(!result || json_is_object(result));
	if (line_format_result(result, &line, &n, &e) < 0)
		line = line_format_error(e.code, e.msg, NULL, &n);
	json_decref(result);
	req_end(req, line, n);
}

void rpc_fail(struct rpc_req *req, int code, const char *details, const char *fmt, ...)
{
	char message[ERR_MSG_MAX];
	va_list ap;
	size_t n;

	va_start(ap, fmt);
	vsnprintf(message, sizeof(message), fmt, ap);
	va_end(ap);
	char *line = line_format_error(code, message, details, &n);
	req_end(req, line, n);
}
