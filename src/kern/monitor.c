/* The kernel's multicast groups (rtnetlink(7)) as events. */
#include "kern/monitor.h"

#include "base/check.h"
#include "base/own.h"
#include "kern/parse.h"
#include "loop/loop.h"

#include <arpa/inet.h>
#include <linux/filter.h>

#define RX_SIZE		 (64 * 1024)
#define BUFFER		 (8 * 1024 * 1024) /* bytes the kernel keeps for us: some 10 000 routes of others */
#define DATAGRAMS_A_TURN 256		   /* then the rest of the program has its turn */

struct monitor {
	struct io io;
	struct loop *loop;
	int fd;
	monitor_fn *fn;
	void *arg;
	bool busy, doomed; /* freed by its own callback: by ready(), once that is over */
	uint8_t rx[RX_SIZE];
};

static const struct group {
	unsigned what;
	int group;
} groups_of[] = {
	{ MONITOR_LINK, RTNLGRP_LINK },	       { MONITOR_ADDR, RTNLGRP_IPV4_IFADDR },
	{ MONITOR_ADDR, RTNLGRP_IPV6_IFADDR }, { MONITOR_ROUTE, RTNLGRP_IPV4_ROUTE },
	{ MONITOR_ROUTE, RTNLGRP_IPV6_ROUTE }, { MONITOR_NEIGH, RTNLGRP_NEIGH },
	{ MONITOR_NEXTHOP, RTNLGRP_NEXTHOP },
};

static bool parse_event(uint16_t type, struct rd body, struct monitor_event *ev)
{
	switch (type) {
	case RTM_NEWLINK:
	case RTM_DELLINK:
		ev->what = MONITOR_LINK;
		ev->gone = type == RTM_DELLINK;
		return parse_link(body, &ev->link);
	case RTM_NEWADDR:
	case RTM_DELADDR:
		ev->what = MONITOR_ADDR;
		ev->gone = type == RTM_DELADDR;
		return parse_ifaddr(body, &ev->addr);
	case RTM_NEWROUTE:
	case RTM_DELROUTE:
		ev->what = MONITOR_ROUTE;
		ev->gone = type == RTM_DELROUTE;
		return parse_route(body, true, &ev->route);
	case RTM_NEWNEIGH:
	case RTM_DELNEIGH:
		ev->what = MONITOR_NEIGH;
		ev->gone = type == RTM_DELNEIGH;
		return parse_neigh(body, &ev->neigh) && !(ev->neigh.flags & NTF_PROXY);
	case RTM_NEWNEXTHOP:
	case RTM_DELNEXTHOP:
		ev->what = MONITOR_NEXTHOP;
		ev->gone = type == RTM_DELNEXTHOP;
		return parse_nexthop(body, &ev->nexthop);
	}
	return false;
}

static void overrun(struct monitor *m)
{
	struct monitor_event ev = { .what = MONITOR_OVERRUN };

	m->fn(m->arg, &ev);
}

static void take_datagram(struct monitor *m, size_t n)
{
	struct rd r = rd_of(m->rx, n);
	struct nlmsghdr h;
	struct rd body;

	while (!m->doomed && parse_message(&r, &h, &body)) {
		struct monitor_event ev = { 0 };
		if (parse_event(h.nlmsg_type, body, &ev))
			m->fn(m->arg, &ev);
	}
}

/* One datagram: false once there is none. */
static bool receive(struct monitor *m)
{
	struct sockaddr_nl from = { 0 };
	struct iovec v = { m->rx, sizeof(m->rx) };
	struct msghdr msg = {
		.msg_name = &from, .msg_namelen = sizeof(from), .msg_iov = &v, .msg_iovlen = 1
	};
	ssize_t n = recvmsg(m->fd, &msg, MSG_DONTWAIT);

	if (n < 0 && errno == EINTR)
		return true;
	if (n < 0 && errno == EAGAIN)
		return false;
	/* ENOBUFS, a message longer than the buffer, or whatever else: something was not heard. */
	if (n < 0 || (msg.msg_flags & MSG_TRUNC))
		overrun(m);
	else if (!from.nl_pid) /* other processes can send here, too */
		take_datagram(m, (size_t)n);
	return true;
}

static void ready(struct io *io, int events)
{
	struct monitor *m = container_of(io, struct monitor, io);

	m->busy = true;
	for (int i = 0; i < DATAGRAMS_A_TURN && !m->doomed; i++)
		if (!receive(m))
			break;
	m->busy = false;
	if (m->doomed)
		monitor_free(m);
	else if (events & LOOP_WRITE) /* an error (ENOBUFS): libuv has stopped watching because of it */
		CHECK(loop_watch(m->loop, &m->io, m->fd, LOOP_READ, NULL) == 0);
}

static int join(int fd, unsigned groups, struct err *e)
{
	struct sockaddr_nl own = { .nl_family = AF_NETLINK };

	/* A socket without an address of its own is left out of every group. */
	if (bind(fd, (struct sockaddr *)&own, sizeof(own)) < 0)
		return err_set(e, errno, "bind a netlink socket: %m");
	for (size_t i = 0; i < ARRAY_SIZE(groups_of); i++) {
		const struct group *g = &groups_of[i];
		if (!(groups & 1u << g->what))
			continue;
		/* A kernel without nexthop objects has no group for them, and nothing to say in it. */
		if (setsockopt(fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &g->group, sizeof(g->group)) < 0 &&
		    g->what != MONITOR_NEXTHOP)
			return err_set(e, errno, "listen to the kernel's events: %m");
	}
	return 0;
}

static void enlarge(int fd)
{
	int n = BUFFER;

	/* Beyond the system's limit with CAP_NET_ADMIN, else up to it. Less means more dumps, nothing worse.
	 */
	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &n, sizeof(n)) < 0)
		(void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &n, sizeof(n));
}

/*
 * The kernel tells everybody about every route, its author too: a hundred thousand learned routes come back
 * as as many messages, which cost a system call each and overrun any buffer. A filter drops them before they
 * are queued; attaching one needs no privilege. The kernel writes into each message the port of the socket
 * that asked for the change (0 for changes of its own, such as routes that go with an interface). Only
 * routes: what happens to links and addresses is learned from events, whoever asked for it.
 */
static void ignore_own(int fd, const uint32_t *own, size_t nown)
{
	struct sock_filter code[6 + MONITOR_OWN_MAX];
	struct sock_fprog prog = { .filter = code };
	uint8_t n = (uint8_t)MIN(nown, (size_t)MONITOR_OWN_MAX);

	/* The filter's words are big-endian, netlink's are the host's. */
	code[0] =
		(struct sock_filter)BPF_STMT(BPF_LD | BPF_H | BPF_ABS, offsetof(struct nlmsghdr, nlmsg_type));
	code[1] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, htons(RTM_NEWROUTE), 1, 0);
	code[2] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, htons(RTM_DELROUTE), 0,
					       (uint8_t)(n + 1));
	code[3] =
		(struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct nlmsghdr, nlmsg_pid));
	for (uint8_t i = 0; i < n; i++)
		code[4 + i] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, htonl(own[i]),
							   (uint8_t)(n - i), 0);
	code[4 + n] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, UINT32_MAX);
	code[5 + n] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, 0);
	prog.len = (unsigned short)(6 + n);
	/* Without it there is more to hear, nothing worse. */
	if (n)
		(void)setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &prog, sizeof(prog));
}

struct monitor *monitor_new(struct loop *l, unsigned groups, const uint32_t *own, size_t nown, monitor_fn *fn,
			    void *arg, struct err *e)
{
	own_fd int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);

	if (fd < 0) {
		err_set(e, errno, "open a netlink socket: %m");
		return NULL;
	}
	enlarge(fd);
	ignore_own(fd, own, nown);
	if (join(fd, groups, e) < 0)
		return NULL;
	struct monitor *m = xcalloc(1, sizeof(*m));
	io_init(&m->io, ready);
	m->loop = l;
	m->fn = fn;
	m->arg = arg;
	if (loop_watch(l, &m->io, fd, LOOP_READ, e) < 0) {
		free(m);
		return NULL;
	}
	m->fd = take_fd(fd);
	return m;
}

void monitor_free(struct monitor *m)
{
	if (!m)
		return;
	if (m->busy) {
		m->doomed = true;
		return;
	}
	loop_unwatch(&m->io);
	close(m->fd);
	free(m);
}
