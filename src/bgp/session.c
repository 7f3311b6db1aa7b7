/*
 * TCP connections of the speaker. A connection that we close after a NOTIFICATION is shut down and read to
 * its end first, for a moment: closing at once would answer the peer's last bytes with a reset, and the reset
 * would overtake the NOTIFICATION.
 *
 * A new connection may be dead from the start: the other end is gone again, but its reset has a wrong TTL or
 * no signature and is dropped. Until the first byte comes, TCP is told to make sure (TCP_USER_TIMEOUT and
 * keepalives), where BGP would wait four minutes for an OPEN. Afterwards it would only do harm: shorter than
 * the hold time it ends sessions that BGP has promised to keep through an outage, and longer than that the
 * hold timer (or RFC 9687's, towards a peer that does not read) is always first.
 */
#include "bgp/session.h"

#include "base/map.h"
#include "bgp/sockopt.h"

#include <linux/sockios.h>
#include <netinet/in.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

struct session {
	UT_hash_handle hh; /* by id */
	struct list node;  /* while lingering */
	uint64_t id;
	struct sessions *all;
	int fd;
	bool connecting;
	bool impatient; /* until a byte has come */
	struct io io;
	struct timer linger;
};

struct sessions {
	struct loop *loop;
	struct task *turn;
	struct speaker *speaker;
	struct session *table;
	struct list lingering;
	size_t nlingering;
	uint8_t buf[SESSION_READ_MAX];
};

static void on_ready(struct io *io, int events);
static void on_linger_ready(struct io *io, int events);
static void on_linger_end(struct timer *t, usec_t now);

struct sessions *sessions_new(struct loop *l, struct task *turn)
{
	struct sessions *ss = xcalloc(1, sizeof(*ss));

	ss->loop = l;
	ss->turn = turn;
	list_init(&ss->lingering);
	return ss;
}

void sessions_set_speaker(struct sessions *ss, struct speaker *s)
{
	ss->speaker = s;
}

static void session_free(struct session *s)
{
	loop_unwatch(&s->io);
	timer_stop(&s->linger);
	close(s->fd);
	free(s);
}

void sessions_free(struct sessions *ss)
{
	struct session *s, *tmp;

	if (!ss)
		return;
	map_each (ss->table, s, tmp) {
		map_del(ss->table, s);
		session_free(s);
	}
	list_each_safe (s, tmp, &ss->lingering, node) {
		list_del(&s->node);
		session_free(s);
	}
	free(ss);
}

static struct session *session_add(struct sessions *ss, uint64_t id, int fd, bool connecting,
				   const struct ipc_peer *peer)
{
	struct session *s = xcalloc(1, sizeof(*s));

	s->id = id;
	s->all = ss;
	s->fd = fd;
	s->connecting = connecting;
	list_init(&s->node);
	io_init(&s->io, on_ready);
	timer_init(&s->linger, on_linger_end);
	s->impatient = sockopt_hides_resets(peer);
	if (s->impatient)
		sockopt_patience(fd, SESSION_PATIENCE);
	map_add(ss->table, id, s);
	return s;
}

static struct session *session_find(struct sessions *ss, uint64_t id)
{
	struct session *s;

	map_find(ss->table, &id, s);
	return s;
}

static int watch(struct session *s, int events)
{
	return loop_watch(s->all->loop, &s->io, s->fd, events, NULL);
}

/* The local port is chosen only at connect: many connections from one address do not use up all ports. The
 * option is IPv4's by name only. */
static int bind_local(int fd, const struct addr *local)
{
	struct sockaddr_storage ss;
	int one = 1;

	if (!addr_is_set(local))
		return 0;
	socklen_t len = addr_to_sockaddr(local, 0, &ss);
	setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof(one));
	return bind(fd, (struct sockaddr *)&ss, len) < 0 ? -errno : 0;
}

/* syscalls: socket bind connect close */
int sessions_dial(void *arg, uint64_t conn, const struct ipc_peer *peer)
{
	struct sessions *ss = arg;
	struct sockaddr_storage to;
	socklen_t len = addr_to_sockaddr(&peer->remote, peer->port, &to);
	own_fd int fd = socket(peer->remote.family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	sockopt_all(fd, peer->remote.family);
	int r = sockopt_peer(fd, peer, false);
	if (r < 0 || (r = bind_local(fd, &peer->local)) < 0)
		return r;
	if (connect(fd, (struct sockaddr *)&to, len) < 0 && errno != EINPROGRESS)
		return -errno;
	struct session *s = session_add(ss, conn, take_fd(fd), true, peer);
	r = watch(s, LOOP_WRITE);
	if (r < 0) {
		map_del(ss->table, s);
		session_free(s);
	}
	return r;
}

void sessions_adopt(struct sessions *ss, uint64_t conn, int fd)
{
	const struct ipc_peer *peer = speaker_conn_peer(ss->speaker, conn);
	struct session *s = session_add(ss, conn, fd, false, peer);
	int r = sockopt_peer(fd, peer, true);

	if (r == 0)
		r = watch(s, LOOP_READ);
	if (r == 0)
		return;
	map_del(ss->table, s);
	session_free(s);
	speaker_on_closed(ss->speaker, conn, -r, loop_now(ss->loop));
	loop_soon(ss->loop, ss->turn);
}

/* syscalls: sendto */
ssize_t sessions_send(void *arg, uint64_t conn, const void *bytes, size_t n, bool more)
{
	struct session *s = session_find(arg, conn);

	if (!s)
		return -EPIPE;
	ssize_t k = send(s->fd, bytes, n, MSG_NOSIGNAL | MSG_DONTWAIT | (more ? MSG_MORE : 0));
	if (k < 0 && errno != EAGAIN && errno != EINTR && errno != ENOBUFS)
		return -errno;
	if (k < 0)
		k = 0;
	if ((size_t)k < n)
		watch(s, LOOP_READ | LOOP_WRITE);
	return k;
}

static void forget(struct session *s)
{
	map_del(s->all->table, s);
	s->id = 0;
}

static void end_linger(struct session *s)
{
	list_del(&s->node);
	s->all->nlingering--;
	session_free(s);
}

/* syscalls: shutdown recvfrom */
void sessions_close(void *arg, uint64_t conn)
{
	struct sessions *ss = arg;
	struct session *s = session_find(ss, conn);

	if (!s)
		return;
	forget(s);
	if (s->connecting || ss->nlingering == SESSION_LINGER_MAX || shutdown(s->fd, SHUT_WR) < 0) {
		session_free(s);
		return;
	}
	list_add_tail(&ss->lingering, &s->node);
	ss->nlingering++;
	s->io.ready = on_linger_ready;
	if (watch(s, LOOP_READ) < 0)
		end_linger(s);
	else
		timer_start(loop_timers(ss->loop), &s->linger, loop_now(ss->loop) + SESSION_LINGER);
}

static void on_linger_ready(struct io *io, int events)
{
	struct session *s = container_of(io, struct session, io);
	ssize_t n = recv(s->fd, s->all->buf, sizeof(s->all->buf), MSG_DONTWAIT);

	if (n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR)))
		return;
	end_linger(s);
}

/* What is not acknowledged by now will not be (a changed key, a TTL that is refused): a reset tells the other
 * end, which may otherwise wait for minutes on a connection that has ended. syscalls: ioctl */
static void on_linger_end(struct timer *t, usec_t now)
{
	struct session *s = container_of(t, struct session, linger);
	int unacked = 0;

	if (ioctl(s->fd, SIOCOUTQ, &unacked) == 0 && unacked > 0)
		sockopt_reset(s->fd);
	end_linger(s);
}

static void closed(struct session *s, int error)
{
	struct sessions *ss = s->all;
	uint64_t id = s->id;

	forget(s);
	session_free(s);
	speaker_on_closed(ss->speaker, id, error, loop_now(ss->loop));
}

/* syscalls: getsockopt getsockname */
static void on_connected(struct session *s)
{
	struct sessions *ss = s->all;
	struct sockaddr_storage sa;
	socklen_t len = sizeof(int);
	int error = 0;
	struct addr local;
	uint16_t port;

	if (getsockopt(s->fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0)
		error = errno;
	if (error) {
		closed(s, error);
		return;
	}
	len = sizeof(sa);
	if (getsockname(s->fd, (struct sockaddr *)&sa, &len) < 0 || !addr_from_sockaddr(&sa, &local, &port)) {
		closed(s, errno);
		return;
	}
	s->connecting = false;
	watch(s, LOOP_READ);
	speaker_on_connected(ss->speaker, s->id, &local, loop_now(ss->loop));
}

static void on_readable(struct session *s)
{
	struct sessions *ss = s->all;
	ssize_t n = recv(s->fd, ss->buf, sizeof(ss->buf), MSG_DONTWAIT);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		closed(s, n < 0 ? errno : 0);
		return;
	}
	if (s->impatient) {
		s->impatient = false;
		sockopt_patience(s->fd, 0);
	}
	speaker_on_data(ss->speaker, s->id, ss->buf, (size_t)n, loop_now(ss->loop));
}

static void on_ready(struct io *io, int events)
{
	struct session *s = container_of(io, struct session, io);
	struct sessions *ss = s->all;
	uint64_t id = s->id;

	loop_soon(ss->loop, ss->turn);
	if (s->connecting) {
		on_connected(s);
		return;
	}
	if (events & LOOP_WRITE) {
		watch(s, LOOP_READ);
		speaker_on_writable(ss->speaker, id, loop_now(ss->loop));
		s = session_find(ss, id); /* sending may have ended it */
	}
	if (s && events & LOOP_READ)
		on_readable(s);
}
