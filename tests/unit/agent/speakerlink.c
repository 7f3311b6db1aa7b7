/* The agent's end of the socket, against a speaker played by the test: greeting, and a speaker that dies at a
 * bad moment. */
#include "agent/speakerlink.h"

#include "base/list.h"
#include "loop/loop.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdarg.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

struct play {
	struct loop *loop;
	struct speakerlink *link;
	struct timer tick;
	int server, conn;
	int connections, ups, downs, patience;
	bool die_at_once; /* as soon as the agent has been greeted */
	bool greeted;	  /* by the agent, on the present connection */
	uint16_t busy;	  /* a port whose IPv6 half somebody else has */
	bool failed_half;
	uint16_t moving; /* a port that is listened on here and there */
	bool moved;
};

static void say_hello(struct play *p)
{
	struct ipc_msg m = { .type = IPC_HELLO, .hello = { .pid = 7, .epoch = 1 } };
	uint8_t buf[IPC_MSG_MAX];
	struct wr w = wr_to(buf, sizeof(buf));

	ipc_encode(&m, &w);
	assert_int_equal(send(p->conn, buf, w.len, 0), (ssize_t)w.len);
}

static void hang_up(struct play *p)
{
	close(p->conn);
	p->conn = -1;
	p->greeted = false;
}

static int listen_on_all(struct play *p, uint16_t port, struct err *e)
{
	struct ipc_listen where[] = { { .addr.family = AF_INET, .port = port },
				      { .addr.family = AF_INET6, .port = port } };

	return speakerlink_listen(p->link, where, 2, e);
}

/* One address, every address, one address again: the sockets that are passed are still on their way, and
 * open. */
static void move_about(struct play *p)
{
	struct ipc_listen one = { .addr = addr_v4(INADDR_LOOPBACK), .port = p->moving };
	struct err e = { 0 };

	assert_int_equal(speakerlink_listen(p->link, &one, 1, &e), 0);
	assert_int_equal(speakerlink_listen(p->link, &one, 1, &e), 0);
	assert_int_equal(listen_on_all(p, p->moving, &e), 0);
	assert_int_equal(speakerlink_listen(p->link, &one, 1, &e), 0);
	assert_int_equal(speakerlink_listen(p->link, NULL, 0, &e), 0);
	p->moved = true;
}

static void on_state(void *arg, bool connected, bool fresh)
{
	struct play *p = arg;
	struct err e = { 0 };

	if (!connected) {
		p->downs++;
		return;
	}
	p->ups++;
	if (p->die_at_once) {
		p->die_at_once = false;
		hang_up(p);
		/* The first of its messages finds out; the others must leave nothing behind. */
		assert_int_equal(listen_on_all(p, 17901, &e), 0);
	}
	if (p->moving)
		move_about(p);
	if (p->busy) {
		assert_int_equal(listen_on_all(p, p->busy, &e), -EADDRINUSE);
		/* The IPv4 half is the speaker's by now, and must not be in our own way. */
		p->failed_half = true;
	}
}

static void on_message(void *arg, const struct ipc_msg *m)
{
}

static void on_tick(struct timer *t, usec_t now)
{
	struct play *p = container_of(t, struct play, tick);
	uint8_t buf[IPC_MSG_MAX];

	if (p->conn < 0 && (p->conn = accept(p->server, NULL, NULL)) >= 0)
		p->connections++;
	if (p->conn >= 0 && !p->greeted && recv(p->conn, buf, sizeof(buf), MSG_DONTWAIT) > 0) {
		p->greeted = true;
		say_hello(p);
	}
	if ((p->ups == 2 || p->failed_half || p->moved) || !--p->patience) {
		loop_stop(p->loop);
		return;
	}
	timer_start(loop_timers(p->loop), &p->tick, now + 10 * MSEC);
}

static void set_up(struct play *p, const char *path)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	struct speakerlink_events ev = { .arg = p, .state = on_state, .message = on_message };
	struct err e = { 0 };

	snprintf(sun.sun_path, sizeof(sun.sun_path), "%s", path);
	unlink(path);
	p->conn = -1;
	p->patience = 300;
	p->server = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0);
	assert_int_equal(bind(p->server, (struct sockaddr *)&sun, sizeof(sun)), 0);
	assert_int_equal(listen(p->server, 4), 0);
	p->loop = loop_new(&e);
	assert_non_null(p->loop);
	p->link = speakerlink_new(p->loop, path, &ev);
	timer_init(&p->tick, on_tick);
	timer_start(loop_timers(p->loop), &p->tick, loop_now(p->loop));
}

static void tear_down(struct play *p, const char *path)
{
	speakerlink_free(p->link);
	timer_stop(&p->tick);
	loop_free(p->loop);
	close(p->server);
	if (p->conn >= 0)
		close(p->conn);
	unlink(path);
}

static void a_speaker_that_dies_while_it_is_told(void **state)
{
	struct play p = { .die_at_once = true };
	char path[64];

	snprintf(path, sizeof(path), "/tmp/korat-t-speakerlink-%d", getpid());
	set_up(&p, path);
	loop_run(p.loop);
	assert_int_equal(p.ups, 2);
	assert_int_equal(p.downs, 1);
	assert_int_equal(p.connections, 2);
	tear_down(&p, path);
}

/* Takes the IPv6 half of some free port. */
static int take_half(uint16_t *ret_port)
{
	struct sockaddr_in6 sin6 = { .sin6_family = AF_INET6, .sin6_addr = in6addr_any };
	socklen_t len = sizeof(sin6);
	int one = 1, fd = socket(AF_INET6, SOCK_STREAM, 0);

	if (fd < 0)
		return -1;
	setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof(one));
	assert_int_equal(bind(fd, (struct sockaddr *)&sin6, len), 0);
	assert_int_equal(listen(fd, 1), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&sin6, &len), 0);
	*ret_port = ntohs(sin6.sin6_port);
	return fd;
}

static void one_family_of_the_port_is_in_use(void **state)
{
	struct play p = { 0 };
	struct err e = { 0 };
	char path[64];
	int other = take_half(&p.busy);

	if (other < 0)
		skip(); /* a kernel without IPv6 */
	snprintf(path, sizeof(path), "/tmp/korat-t-speakerlink-%d", getpid());
	set_up(&p, path);
	loop_run(p.loop);
	assert_true(p.failed_half);
	close(other);
	assert_int_equal(listen_on_all(&p, p.busy, &e), 0);
	tear_down(&p, path);
}

static uint16_t free_port(void)
{
	struct sockaddr_in sin = { .sin_family = AF_INET };
	socklen_t len = sizeof(sin);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	assert_int_equal(bind(fd, (struct sockaddr *)&sin, len), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&sin, &len), 0);
	close(fd);
	return ntohs(sin.sin_port);
}

/* The next message to the speaker; *ret_fd is what came with it, or -1. */
static struct ipc_msg next_message(struct play *p, int *ret_fd)
{
	uint8_t buf[IPC_MSG_MAX];
	struct iovec iov = { buf, sizeof(buf) };
	union {
		struct cmsghdr align;
		char room[CMSG_SPACE(sizeof(int))];
	} control;
	struct msghdr mh = { .msg_iov = &iov,
			     .msg_iovlen = 1,
			     .msg_control = control.room,
			     .msg_controllen = sizeof(control) };
	struct ipc_msg m;
	struct err e = { 0 };
	ssize_t n = recvmsg(p->conn, &mh, MSG_DONTWAIT);
	const struct cmsghdr *c = CMSG_FIRSTHDR(&mh);

	assert_true(n > 0);
	assert_int_equal(ipc_decode(buf, (size_t)n, &m, &e), 0);
	*ret_fd = -1;
	if (c)
		memcpy(ret_fd, CMSG_DATA(c), sizeof(*ret_fd));
	return m;
}

/* Somebody else. */
static int bind_beside(uint16_t port)
{
	struct sockaddr_in sin = { .sin_family = AF_INET, .sin_port = htons(port) };
	int one = 1, fd = socket(AF_INET, SOCK_STREAM, 0);

	sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	int r = bind(fd, (struct sockaddr *)&sin, sizeof(sin)) < 0 ? -errno : 0;
	close(fd);
	return r;
}

static void the_new_is_opened_before_the_old_is_closed(void **state)
{
	/* 4 = the IPv4 one of all, 6 = the IPv6 one, 1 = the one; negative = closed */
	static const int order[] = { 1, 4, 6, -1, 1, -4, -6, -1 };
	struct play p = { .moving = free_port() };
	int fds[ARRAY_SIZE(order)];
	char path[64];

	snprintf(path, sizeof(path), "/tmp/korat-t-speakerlink-%d", getpid());
	set_up(&p, path);
	loop_run(p.loop);
	assert_true(p.moved);
	for (size_t i = 0; i < ARRAY_SIZE(order); i++) {
		struct ipc_msg m = next_message(&p, &fds[i]);
		bool any = addr_is_unspecified(&m.listen.addr);
		int which = !any ? 1 : m.listen.addr.family == AF_INET ? 4 : 6;
		assert_int_equal(m.type == IPC_LISTEN ? which : -which, order[i]);
		assert_true(m.type == IPC_LISTEN || m.type == IPC_UNLISTEN);
		assert_int_equal(m.listen.port, p.moving);
		assert_int_equal(fds[i] >= 0, order[i] > 0);
	}
	assert_int_equal(bind_beside(p.moving), -EADDRINUSE);
	for (size_t i = 0; i < ARRAY_SIZE(order); i++)
		if (fds[i] >= 0)
			close(fds[i]);
	tear_down(&p, path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_speaker_that_dies_while_it_is_told),
		cmocka_unit_test(one_family_of_the_port_is_in_use),
		cmocka_unit_test(the_new_is_opened_before_the_old_is_closed),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
