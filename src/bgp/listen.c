/*
 * Accepting: every source that is no peer is closed before a byte of it is read. A peer with a password gets
 * no further than its first SYN without it: the kernel looks for its key on the listening socket, so every
 * listening socket has the keys of all peers of its family.
 */
#include "bgp/listen.h"

#include "base/list.h"
#include "base/map.h"
#include "bgp/sockopt.h"

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

struct key {
	UT_hash_handle hh; /* by remote */
	struct addr remote;
	char password[IPC_PASS_MAX];
	bool refused; /* and said so */
};

struct listeners {
	struct loop *loop;
	struct task *turn;
	struct sessions *sessions;
	struct speaker *speaker;
	void (*complain)(const char *sentence);
	struct list list;
	size_t n;
	struct key *keys;
};

struct listeners *listeners_new(struct loop *l, struct task *turn, struct sessions *ss,
				void (*complain)(const char *sentence))
{
	struct listeners *ls = xcalloc(1, sizeof(*ls));

	ls->loop = l;
	ls->turn = turn;
	ls->sessions = ss;
	ls->complain = complain;
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

static void key_free(struct listeners *ls, struct key *k)
{
	map_del(ls->keys, k);
	explicit_bzero(k->password, sizeof(k->password));
	free(k);
}

void listeners_free(struct listeners *ls)
{
	struct key *k, *tmp;

	if (!ls)
		return;
	while (!list_empty(&ls->list))
		listener_free(list_entry(ls->list.next, struct listener, node));
	map_each (ls->keys, k, tmp)
		key_free(ls, k);
	free(ls);
}

/* Keys. */

static void complain(struct listeners *ls, struct key *k, int error)
{
	const struct ipc_peer *peer = speaker_peer(ls->speaker, &k->remote);
	char a[ADDR_STR_MAX];
	struct err e = { 0 };

	if (k->refused)
		return;
	k->refused = true;
	err_set(&e, error, "%m");
	if (error == EOPNOTSUPP)
		err_set(&e, error,
			"this kernel cannot sign TCP segments (CONFIG_TCP_MD5SIG); run one that can, or "
			"remove the "
			"password at both ends");
	else if (error == ENOMEM)
		err_set(&e, error,
			"there is no room for its key on a listening socket; raise the sysctl "
			"net.core.optmem_max");
	err_in(&e, "no session with peer %s (%s), because of its password", peer ? peer->name : "",
	       addr_format(&k->remote, a));
	ls->complain(e.msg);
}

static void put_key(struct listener *l, struct key *k)
{
	if (l->where.addr.family != k->remote.family)
		return;
	int r = sockopt_key(l->fd, &k->remote, k->password);
	if (r < 0)
		complain(l->all, k, -r);
}

static struct key *get_key(struct listeners *ls, const struct addr *remote)
{
	struct key *k;

	map_find(ls->keys, remote, k);
	if (k)
		return k;
	k = xcalloc(1, sizeof(*k));
	k->remote = *remote;
	map_add(ls->keys, remote, k);
	return k;
}

void listeners_key(struct listeners *ls, const struct addr *remote, const char *password)
{
	struct key *k = get_key(ls, remote);
	struct listener *l;

	k->refused = false;
	memset(k->password, 0, sizeof(k->password));
	memcpy(k->password, password, strnlen(password, sizeof(k->password) - 1));
	list_each (l, &ls->list, node)
		put_key(l, k);
	if (!password[0])
		key_free(ls, k);
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
	sessions_adopt(ls->sessions, conn, take_fd(fd));
	return true;
}

static void accept_all(struct listener *l)
{
	for (int i = 0; i < LISTEN_ACCEPT_MAX; i++)
		if (!accept_one(l))
			break;
	loop_soon(l->all->loop, l->all->turn);
}

static void on_ready(struct io *io, int events)
{
	accept_all(container_of(io, struct listener, io));
}

/* Who has got through the handshake already is not turned away. */
static void listener_close(struct listener *l)
{
	accept_all(l);
	listener_free(l);
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
			listener_close(l);
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
	struct key *k, *tmp;
	l->all = ls;
	l->where = *where;
	l->fd = take_fd(fd);
	io_init(&l->io, on_ready);
	timer_init(&l->pause, on_pause_end);
	list_add_tail(&ls->list, &l->node);
	ls->n++;
	sockopt_listener(l->fd, where->addr.family);
	map_each (ls->keys, k, tmp)
		put_key(l, k);
	int r = loop_watch(ls->loop, &l->io, l->fd, LOOP_READ, e);
	if (r < 0)
		listener_free(l);
	return r;
}
