/* The socket to the speaker: one datagram a message, greetings first, a bounded queue, reconnecting for ever.
 */
#include "agent/speakerlink.h"

#include "base/list.h"
#include "base/log.h"
#include "base/own.h"
#include "loop/loop.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>

#define READS_PER_EVENT \
	2 /* datagrams of up to some hundred messages: then what is known goes to the kernel */

struct outgoing {
	struct list node;
	size_t n;
	int fd; /* passed along, or -1 */
	uint8_t bytes[];
};

struct speakerlink {
	struct loop *loop;
	struct speakerlink_events ev;
	char path[108];
	int fd;
	struct io io;
	struct timer retry;
	struct list queue;
	size_t queued; /* bytes */
	bool greeted;
	uint64_t epoch; /* of the speaker last greeted */
	struct ipc_hello hello;
};

static void connect_soon(struct speakerlink *s);

static void free_outgoing(struct speakerlink *s, struct outgoing *o)
{
	list_del(&o->node);
	s->queued -= o->n;
	if (o->fd >= 0)
		close(o->fd);
	free(o);
}

static void disconnect(struct speakerlink *s)
{
	struct outgoing *o, *tmp;
	bool was = s->greeted;

	if (s->fd < 0)
		return;
	loop_unwatch(&s->io);
	close(s->fd);
	s->fd = -1;
	s->greeted = false;
	list_each_safe (o, tmp, &s->queue, node)
		free_outgoing(s, o);
	if (was) {
		log_warn("the BGP speaker is gone; its routes stay until it is back and has spoken");
		s->ev.state(s->ev.arg, false, false);
	}
	connect_soon(s);
}

/* ---- sending ---- */

static bool send_one(struct speakerlink *s, const struct outgoing *o)
{
	struct iovec iov = { (void *)o->bytes, o->n };
	struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1 };
	union {
		struct cmsghdr align;
		char room[CMSG_SPACE(sizeof(int))];
	} control;

	if (o->fd >= 0) {
		memset(&control, 0, sizeof(control));
		mh.msg_control = control.room;
		mh.msg_controllen = sizeof(control.room);
		struct cmsghdr *c = CMSG_FIRSTHDR(&mh);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(c), &o->fd, sizeof(int));
	}
	return sendmsg(s->fd, &mh, MSG_NOSIGNAL | MSG_DONTWAIT) >= 0;
}

static void flush(struct speakerlink *s)
{
	struct outgoing *o, *tmp;
	struct err e = { 0 };

	list_each_safe (o, tmp, &s->queue, node) {
		if (!send_one(s, o)) {
			if (errno != EAGAIN && errno != ENOBUFS) {
				disconnect(s);
				return;
			}
			break;
		}
		free_outgoing(s, o);
	}
	loop_watch(s->loop, &s->io, s->fd, list_empty(&s->queue) ? LOOP_READ : LOOP_READ | LOOP_WRITE, &e);
}

static void enqueue(struct speakerlink *s, const struct ipc_msg *m, int fd)
{
	uint8_t buf[IPC_MSG_MAX];
	struct wr w = wr_to(buf, sizeof(buf));

	/* The message before this one may have found the speaker gone. Nothing must be left in the queue: the
	 * next connection begins with a greeting. */
	if (s->fd < 0) {
		if (fd >= 0)
			close(fd);
		return;
	}
	ipc_encode(m, &w);
	CHECK(wr_ok(&w));
	struct outgoing *o = xmalloc(sizeof(*o) + w.len);
	o->n = w.len;
	o->fd = fd;
	memcpy(o->bytes, buf, w.len);
	bool idle = list_empty(&s->queue);
	list_add_tail(&s->queue, &o->node);
	s->queued += o->n;
	if (s->queued > SPEAKERLINK_QUEUE_MAX)
		disconnect(s);
	else if (idle)
		flush(s);
}

void speakerlink_send(struct speakerlink *s, const struct ipc_msg *m)
{
	if (s->greeted)
		enqueue(s, m, -1);
}

/* ---- receiving ---- */

static void on_hello(struct speakerlink *s, const struct ipc_hello *h)
{
	bool fresh = h->epoch != s->epoch;

	s->hello = *h;
	s->epoch = h->epoch;
	s->greeted = true;
	log_info("connected to the BGP speaker (pid %u%s)", h->pid, fresh ? ", fresh" : "");
	s->ev.state(s->ev.arg, true, fresh);
}

static bool take_message(struct speakerlink *s, struct rd *r)
{
	struct ipc_msg m;
	struct err e = { 0 };

	if (ipc_next(r, &m, &e) < 0 || (!s->greeted && m.type != IPC_HELLO)) {
		log_err(&e, "message from the speaker");
		disconnect(s);
		return false;
	}
	if (m.type == IPC_HELLO)
		on_hello(s, &m.hello);
	else
		s->ev.message(s->ev.arg, &m);
	return s->fd >= 0;
}

static bool receive_one(struct speakerlink *s)
{
	uint8_t buf[IPC_MSG_MAX];
	ssize_t n = recv(s->fd, buf, sizeof(buf), MSG_DONTWAIT | MSG_TRUNC);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return false;
	if (n <= 0 || (size_t)n > sizeof(buf)) {
		disconnect(s);
		return false;
	}
	struct rd r = rd_of(buf, (size_t)n);
	while (rd_left(&r))
		if (!take_message(s, &r))
			return false;
	return true;
}

static void on_ready(struct io *io, int events)
{
	struct speakerlink *s = container_of(io, struct speakerlink, io);

	if (events & LOOP_WRITE && !list_empty(&s->queue))
		flush(s);
	for (int i = 0; i < READS_PER_EVENT && s->fd >= 0; i++)
		if (!receive_one(s))
			break;
}

/* ---- connecting ---- */

static bool try_connect(struct speakerlink *s)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	own_fd int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct err e = { 0 };

	snprintf(sun.sun_path, sizeof(sun.sun_path), "%s", s->path);
	if (fd < 0 || connect(fd, (struct sockaddr *)&sun, sizeof(sun)) < 0)
		return false;
	if (loop_watch(s->loop, &s->io, fd, LOOP_READ, &e) < 0)
		return false;
	s->fd = take_fd(fd);
	struct ipc_msg m = { .type = IPC_HELLO, .hello = { .pid = (uint32_t)getpid() } };
	enqueue(s, &m, -1);
	return true;
}

static void on_retry(struct timer *t, usec_t now)
{
	struct speakerlink *s = container_of(t, struct speakerlink, retry);

	if (!try_connect(s))
		connect_soon(s);
}

static void connect_soon(struct speakerlink *s)
{
	timer_start(loop_timers(s->loop), &s->retry, loop_now(s->loop) + SPEAKERLINK_RETRY);
}

struct speakerlink *speakerlink_new(struct loop *l, const char *path, const struct speakerlink_events *ev)
{
	struct speakerlink *s = xcalloc(1, sizeof(*s));

	s->loop = l;
	s->ev = *ev;
	s->fd = -1;
	snprintf(s->path, sizeof(s->path), "%s", path);
	io_init(&s->io, on_ready);
	timer_init(&s->retry, on_retry);
	list_init(&s->queue);
	timer_start(loop_timers(l), &s->retry, loop_now(l));
	return s;
}

void speakerlink_free(struct speakerlink *s)
{
	if (!s)
		return;
	s->greeted = false; /* nobody is told */
	disconnect(s);
	timer_stop(&s->retry);
	free(s);
}

uint32_t speakerlink_pid(const struct speakerlink *s)
{
	return s->greeted ? s->hello.pid : 0;
}

/* ---- listening ---- */

static bool same(const struct ipc_listen *a, const struct ipc_listen *b)
{
	return addr_eq(&a->addr, &b->addr) && a->port == b->port;
}

static bool among(const struct ipc_listen *one, const struct ipc_listen *all, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (same(one, &all[i]))
			return true;
	return false;
}

/* Is the speaker on this port already, by another address of the family? */
static bool shares_port(const struct speakerlink *s, const struct ipc_listen *where)
{
	for (size_t i = 0; i < s->hello.nlisten; i++) {
		const struct ipc_listen *l = &s->hello.listen[i];
		if (l->addr.family == where->addr.family && l->port == where->port && !same(l, where))
			return true;
	}
	return false;
}

static int why_not(const struct ipc_listen *where, int error, struct err *e)
{
	char a[ADDR_STR_MAX], on[ADDR_STR_MAX + 32];
	bool any = addr_is_unspecified(&where->addr);

	snprintf(on, sizeof(on), "%s%sTCP port %u", any ? "" : addr_format(&where->addr, a), any ? "" : ", ",
		 where->port);
	if (error == EADDRINUSE)
		return err_set(
			e, error,
			"listen on %s: another BGP daemon (bird, frr, calico-node, a second koratd) has it; "
			"stop it, or set listenPort in BGPConfiguration default",
			on);
	if (error == EACCES)
		return err_set(
			e, error,
			"listen on %s: not allowed; koratd needs CAP_NET_BIND_SERVICE for ports below 1024",
			on);
	return err_set(e, error, "listen on %s: %m", on);
}

static void set(int fd, int level, int option)
{
	int one = 1;

	setsockopt(fd, level, option, &one, sizeof(one));
}

/*
 * SO_REUSEPORT lets a second socket of ours bind one address of a port beside the one that has every address,
 * or the other way round, so that neither has to be closed first. Both must have it, the first from when it
 * listens on; the second asks for it only in that case. So everybody else on our port is refused as ever.
 * IP_FREEBIND: the address may be the node's a little later, or again.
 * needs: CAP_NET_BIND_SERVICE for ports below 1024
 */
static int open_listener(const struct ipc_listen *where, bool beside, struct err *e)
{
	struct sockaddr_storage ss;
	socklen_t len = addr_to_sockaddr(&where->addr, where->port, &ss);
	uint8_t family = where->addr.family;
	own_fd int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return err_set(e, errno, "open a BGP socket: %m");
	set(fd, SOL_SOCKET, SO_REUSEADDR);
	if (family == AF_INET6)
		set(fd, IPPROTO_IPV6, IPV6_V6ONLY);
	set(fd, IPPROTO_IP, IP_FREEBIND);
	if (beside)
		set(fd, SOL_SOCKET, SO_REUSEPORT);
	if (bind(fd, (struct sockaddr *)&ss, len) < 0 || listen(fd, 4096) < 0)
		return why_not(where, errno, e);
	set(fd, SOL_SOCKET, SO_REUSEPORT);
	return take_fd(fd);
}

static void close_others(struct speakerlink *s, const struct ipc_listen *where, size_t n)
{
	size_t kept = 0;

	for (size_t i = 0; i < s->hello.nlisten; i++) {
		struct ipc_msg m = { .type = IPC_UNLISTEN, .listen = s->hello.listen[i] };
		if (among(&m.listen, where, n))
			s->hello.listen[kept++] = m.listen;
		else
			enqueue(s, &m, -1);
	}
	s->hello.nlisten = (uint8_t)kept;
}

static int listen_one(struct speakerlink *s, const struct ipc_listen *where, struct err *e)
{
	struct ipc_msg m = { .type = IPC_LISTEN, .listen = *where };

	if (among(where, s->hello.listen, s->hello.nlisten))
		return 0;
	int fd = open_listener(where, shares_port(s, where), e);
	if (fd == -EAFNOSUPPORT && where->addr.family == AF_INET6)
		return 0; /* a kernel without IPv6 */
	if (fd < 0)
		return fd;
	/* Remembered one by one: should the next one fail, this one is not opened a second time. */
	s->hello.listen[s->hello.nlisten++] = m.listen;
	enqueue(s, &m, fd);
	return 0;
}

int speakerlink_listen(struct speakerlink *s, const struct ipc_listen *where, size_t n, struct err *e)
{
	/* Many failures leave many behind: better a gap than nothing. */
	if (s->hello.nlisten + n > IPC_LISTEN_MAX)
		close_others(s, where, n);
	for (size_t i = 0; i < n; i++)
		if (listen_one(s, &where[i], e) < 0)
			return -e->code;
	close_others(s, where, n);
	return 0;
}
