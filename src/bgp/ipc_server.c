/* Agent connections: greeting, messages with descriptors, a bounded queue upward. */
#include "bgp/ipc_server.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>

#define FDS_MAX 4 /* more with one message are refused by the kernel's cut, and so is the message */

struct outgoing {
	struct list node;
	size_t n;
	uint8_t bytes[];
};

struct client {
	struct list node; /* of the pending ones */
	struct ipc_server *server;
	int fd;
	struct io io;
	bool greeted;
};

struct ipc_server {
	struct loop *loop;
	struct ipc_server_events ev;
	int fd;
	uid_t starter;
	struct io io;
	struct client *agent;
	struct list pending;
	size_t npending;
	struct list queue;
	size_t queued;			/* bytes */
	uint8_t batch[2 * IPC_MSG_MAX]; /* messages of this turn: one datagram; room for one more */
	size_t nbatch;
};

static void note(struct ipc_server *s, const char *line)
{
	s->ev.note(s->ev.arg, line);
}

static void drop_queue(struct ipc_server *s)
{
	while (!list_empty(&s->queue)) {
		struct outgoing *o = list_entry(s->queue.next, struct outgoing, node);
		list_del(&o->node);
		free(o);
	}
	s->queued = s->nbatch = 0;
}

static void client_free(struct client *c)
{
	struct ipc_server *s = c->server;

	if (s->agent == c) {
		s->agent = NULL;
		drop_queue(s);
	} else {
		list_del(&c->node);
		s->npending--;
	}
	loop_unwatch(&c->io);
	close(c->fd);
	free(c);
}

/* The connection is over, for whatever reason. */
static void hang_up(struct client *c, const char *why)
{
	struct ipc_server *s = c->server;
	bool was = s->agent == c;

	if (why)
		note(s, why);
	client_free(c);
	if (was)
		s->ev.agent(s->ev.arg, false);
}

/* Sending. syscalls: sendto */

static bool send_bytes(const struct client *c, const void *bytes, size_t n)
{
	return send(c->fd, bytes, n, MSG_NOSIGNAL | MSG_DONTWAIT) >= 0;
}

static bool would_block(void)
{
	return errno == EAGAIN || errno == ENOBUFS || errno == EINTR;
}

static void flush(struct client *c)
{
	struct ipc_server *s = c->server;

	while (!list_empty(&s->queue)) {
		struct outgoing *o = list_entry(s->queue.next, struct outgoing, node);
		if (!send_bytes(c, o->bytes, o->n)) {
			if (!would_block())
				hang_up(c, "the agent's connection broke while sending to it");
			return;
		}
		s->queued -= o->n;
		list_del(&o->node);
		free(o);
	}
	loop_watch(s->loop, &c->io, c->fd, LOOP_READ, NULL);
	s->ev.ready(s->ev.arg);
}

void ipc_server_flush(struct ipc_server *s)
{
	size_t n = s->nbatch;

	s->nbatch = 0;
	if (!s->agent || !n)
		return;
	if (list_empty(&s->queue) && send_bytes(s->agent, s->batch, n))
		return;
	/* A broken connection shows itself when it is read from. */
	struct outgoing *o = xmalloc(sizeof(*o) + n);
	o->n = n;
	memcpy(o->bytes, s->batch, n);
	list_add_tail(&s->queue, &o->node);
	s->queued += n;
	if (s->queued > IPC_SERVER_QUEUE_MAX)
		hang_up(s->agent, "the agent does not read what it is told; starting over with it");
	else
		loop_watch(s->loop, &s->agent->io, s->agent->fd, LOOP_READ | LOOP_WRITE, NULL);
}

/* Encoded in place: a buffer of its own would be zeroed for every route. */
void ipc_server_send(struct ipc_server *s, const struct ipc_msg *m)
{
	size_t before = s->nbatch;
	struct wr w = wr_to(s->batch + before, sizeof(s->batch) - before);

	if (!s->agent)
		return;
	ipc_encode(m, &w);
	CHECK(wr_ok(&w));
	if (before + w.len > IPC_MSG_MAX) {
		ipc_server_flush(s);
		if (!s->agent)
			return; /* that was too much */
		memmove(s->batch, s->batch + before, w.len);
	}
	s->nbatch += w.len;
}

bool ipc_server_ready(const struct ipc_server *s)
{
	return s->agent && s->queued < IPC_SERVER_QUEUE_READY;
}

/* Receiving. */

static void greet(struct client *c)
{
	struct ipc_server *s = c->server;
	struct ipc_msg m = { .type = IPC_HELLO };

	if (s->agent)
		hang_up(s->agent, "another agent has connected and replaces the one before");
	list_del(&c->node);
	s->npending--;
	c->greeted = true;
	s->agent = c;
	s->ev.hello(s->ev.arg, &m.hello);
	ipc_server_send(s, &m);
	ipc_server_flush(s);
	s->ev.agent(s->ev.arg, true);
}

/* Takes the first descriptor out of the control data and closes any other. */
static int take_fds(struct msghdr *mh)
{
	int first = -1, fd;

	for (struct cmsghdr *h = CMSG_FIRSTHDR(mh); h; h = CMSG_NXTHDR(mh, h)) {
		if (h->cmsg_level != SOL_SOCKET || h->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t at = CMSG_LEN(0); at + sizeof(fd) <= h->cmsg_len; at += sizeof(fd)) {
			memcpy(&fd, (uint8_t *)h + at, sizeof(fd));
			if (first < 0)
				first = fd;
			else
				close(fd);
		}
	}
	return first;
}

static void take_message(struct client *c, const struct ipc_msg *m, int fd_taken)
{
	struct ipc_server *s = c->server;
	own_fd int fd = fd_taken;

	if (!c->greeted && m->type == IPC_HELLO)
		greet(c);
	else if (!c->greeted)
		hang_up(c, "a connection on the agent's socket did not say HELLO first");
	else if (m->type != IPC_HELLO)
		s->ev.message(s->ev.arg, m, take_fd(fd));
}

/* False if there is nothing more to read, or nobody to read from. syscalls: recvmsg */
static bool receive_one(struct client *c)
{
	uint8_t bytes[IPC_MSG_MAX];
	struct iovec iov = { bytes, sizeof(bytes) };
	union {
		struct cmsghdr align;
		char room[CMSG_SPACE(FDS_MAX * sizeof(int))];
	} control;
	struct msghdr mh = { .msg_iov = &iov,
			     .msg_iovlen = 1,
			     .msg_control = control.room,
			     .msg_controllen = sizeof(control.room) };
	struct ipc_msg m;
	struct err e = { 0 };
	ssize_t n = recvmsg(c->fd, &mh, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);

	if (n < 0 && would_block())
		return false;
	if (n <= 0) {
		hang_up(c, NULL);
		return false;
	}
	own_fd int fd = take_fds(&mh);
	if (mh.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) {
		hang_up(c, "a message of the agent was too long");
		return false;
	}
	if (ipc_decode(bytes, (size_t)n, &m, &e) < 0) {
		char line[ERR_MSG_MAX + 32];
		snprintf(line, sizeof(line), "message of the agent: %s", e.msg);
		hang_up(c, line);
		return false;
	}
	struct ipc_server *s = c->server;
	take_message(c, &m, take_fd(fd));
	return s->agent ==
	       c; /* a message may have ended it; one that is not the agent's is read again later */
}

static void on_ready(struct io *io, int events)
{
	struct client *c = container_of(io, struct client, io);
	struct ipc_server *s = c->server;

	if (events & LOOP_WRITE && s->agent == c) {
		flush(c);
		if (s->agent != c)
			return;
	}
	if (!(events & LOOP_READ))
		return;
	for (int i = 0; i < IPC_SERVER_READS; i++)
		if (!receive_one(c))
			return;
}

/* Accepting. */

static bool is_trusted(const struct ipc_server *s, int fd)
{
	struct ucred cred;
	socklen_t len = sizeof(cred);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) < 0)
		return false;
	return cred.uid == 0 || cred.uid == s->starter || cred.uid == getuid();
}

/* syscalls: accept4 getsockopt getuid */
static void on_connection(struct io *io, int events)
{
	struct ipc_server *s = container_of(io, struct ipc_server, io);
	own_fd int fd = accept4(s->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

	if (fd < 0)
		return;
	if (!is_trusted(s, fd)) {
		note(s, "a connection on the agent's socket came from another user and was closed");
		return;
	}
	if (s->npending == IPC_SERVER_PENDING_MAX)
		client_free(list_entry(s->pending.next, struct client, node));
	struct client *c = xcalloc(1, sizeof(*c));
	c->server = s;
	c->fd = take_fd(fd);
	io_init(&c->io, on_ready);
	list_add_tail(&s->pending, &c->node);
	s->npending++;
	if (loop_watch(s->loop, &c->io, c->fd, LOOP_READ, NULL) < 0)
		client_free(c);
}

struct ipc_server *ipc_server_new(struct loop *l, int fd, uid_t starter, const struct ipc_server_events *ev,
				  struct err *e)
{
	struct ipc_server *s = xcalloc(1, sizeof(*s));

	s->loop = l;
	s->ev = *ev;
	s->fd = fd;
	s->starter = starter;
	list_init(&s->pending);
	list_init(&s->queue);
	io_init(&s->io, on_connection);
	if (listen(fd, IPC_SERVER_BACKLOG) < 0)
		err_set(e, errno, "listen for the agent: %m");
	else if (loop_watch(l, &s->io, fd, LOOP_READ, e) == 0)
		return s;
	ipc_server_free(s);
	return NULL;
}

void ipc_server_free(struct ipc_server *s)
{
	if (!s)
		return;
	if (s->agent)
		client_free(s->agent);
	while (!list_empty(&s->pending))
		client_free(list_entry(s->pending.next, struct client, node));
	loop_unwatch(&s->io);
	close(s->fd);
	free(s);
}
