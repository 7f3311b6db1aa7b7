/* Accepting: every source that is no peer is closed before a byte of it is read. */
#include "bgp/listen.h"

#include "base/list.h"

#include <netinet/in.h>
#include <sys/socket.h>

struct listener {
	struct list node;
	struct listeners *all;
	struct ipc_listen where;
	int fd;
	struct io io;
	struct timer pause;
};

struct listeners {
	struct loop *loop;
	struct task *turn;
	struct sessions *sessions;
	struct speaker *speaker;
	struct list list;
	size_t n;
};

struct listeners *listeners_new(struct loop *l, struct task *turn, struct sessions *ss)
{
	struct listeners *ls = xcalloc(1, sizeof(*ls));

	ls->loop = l;
	ls->turn = turn;
	ls->sessions = ss;
	list_init(&ls->list);
	return ls;
}

void listeners_set_speaker(struct listeners *ls, struct speaker *s)
{
	ls->speaker = s;
}

static void listener_free(struct listener *l)
{
	list_del(&l->node);
	l->all->n--;
	loop_unwatch(&l->io);
	timer_stop(&l->pause);
	close(l->fd);
	free(l);
}

void listeners_free(struct listeners *ls)
{
	if (!ls)
		return;
	while (!list_empty(&ls->list))
		listener_free(list_entry(ls->list.next, struct listener, node));
	free(ls);
}

/* One connection. False if there are no more, or none can be taken. syscalls: accept4 getsockname close */
static bool accept_one(struct listener *l)
{
	struct listeners *ls = l->all;
	struct sockaddr_storage sa;
	socklen_t len = sizeof(sa);
	struct addr remote, local;
	uint16_t port;
	own_fd int fd = accept4(l->fd, (struct sockaddr *)&sa, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);

	if (fd < 0) {
		if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
			loop_unwatch(&l->io);
			timer_start(loop_timers(ls->loop), &l->pause, loop_now(ls->loop) + LISTEN_PAUSE);
			return false;
		}
		return errno == ECONNABORTED || errno == EINTR;
	}
	if (!addr_from_sockaddr(&sa, &remote, &port))
		return true;
	len = sizeof(sa);
	if (getsockname(fd, (struct sockaddr *)&sa, &len) < 0 || !addr_from_sockaddr(&sa, &local, &port))
		return true;
	uint64_t conn = speaker_on_accept(ls->speaker, &local, &remote, loop_now(ls->loop));
	if (!conn)
		return true;
	sessions_tune(fd, remote.family);
	sessions_adopt(ls->sessions, conn, take_fd(fd));
	return true;
}

static void on_ready(struct io *io, int events)
{
	struct listener *l = container_of(io, struct listener, io);

	for (int i = 0; i < LISTEN_ACCEPT_MAX; i++)
		if (!accept_one(l))
			break;
	loop_soon(l->all->loop, l->all->turn);
}

static void on_pause_end(struct timer *t, usec_t now)
{
	struct listener *l = container_of(t, struct listener, pause);

	if (loop_watch(l->all->loop, &l->io, l->fd, LOOP_READ, NULL) < 0)
		timer_start(loop_timers(l->all->loop), t, now + LISTEN_PAUSE);
}

static bool same(const struct ipc_listen *a, const struct ipc_listen *b)
{
	return addr_eq(&a->addr, &b->addr) && a->port == b->port;
}

void listeners_del(struct listeners *ls, const struct ipc_listen *where)
{
	struct listener *l, *tmp;

	list_each_safe (l, tmp, &ls->list, node)
		if (same(&l->where, where))
			listener_free(l);
}

uint8_t listeners_list(const struct listeners *ls, struct ipc_listen ret[static IPC_LISTEN_MAX])
{
	struct listener *l;
	uint8_t n = 0;

	list_each (l, &ls->list, node)
		ret[n++] = l->where;
	return n;
}

static int int_option(int fd, int option)
{
	int v = -1;
	socklen_t len = sizeof(v);

	return getsockopt(fd, SOL_SOCKET, option, &v, &len) < 0 ? -1 : v;
}

/* The agent is believed no more than the network: is this descriptor what it says? */
static int check(const struct ipc_listen *where, int fd, struct err *e)
{
	struct sockaddr_storage sa;
	socklen_t len = sizeof(sa);
	struct addr bound;
	uint16_t port;

	if (fd < 0)
		return err_set(e, EBADF, "no socket came with it");
	if (int_option(fd, SO_PROTOCOL) != IPPROTO_TCP || int_option(fd, SO_ACCEPTCONN) != 1)
		return err_set(e, EINVAL, "the descriptor is no listening TCP socket");
	if (getsockname(fd, (struct sockaddr *)&sa, &len) < 0 || !addr_from_sockaddr(&sa, &bound, &port))
		return err_set(e, EINVAL, "the socket has no address");
	if (!addr_eq(&bound, &where->addr) || port != where->port)
		return err_set(e, EINVAL, "the socket is bound to another address");
	return 0;
}

int listeners_add(struct listeners *ls, const struct ipc_listen *where, int fd_taken, struct err *e)
{
	own_fd int fd = fd_taken;
	char a[ADDR_STR_MAX];

	addr_format(&where->addr, a);
	if (check(where, fd, e) < 0)
		return err_in(e, "listen on %s port %u", a, where->port);
	listeners_del(ls, where);
	if (ls->n == IPC_LISTEN_MAX)
		return err_set(e, ENOSPC, "listen on %s port %u: %d addresses are the limit", a, where->port,
			       IPC_LISTEN_MAX);
	struct listener *l = xcalloc(1, sizeof(*l));
	l->all = ls;
	l->where = *where;
	l->fd = take_fd(fd);
	io_init(&l->io, on_ready);
	timer_init(&l->pause, on_pause_end);
	list_add_tail(&ls->list, &l->node);
	ls->n++;
	int r = loop_watch(ls->loop, &l->io, l->fd, LOOP_READ, e);
	if (r < 0)
		listener_free(l);
	return r;
}
