/*
 * How fast do routes get into the kernel?
 *
 *	install raw ROUTES GATEWAYS BATCH	by hand: add, replace and delete over rtnetlink, as fast as it
 *goes install speaker SOCKET ROUTES GATEWAYS	through an agent: plays its BGP speaker
 *
 * Routes are /26 from 10.128.0.0 on, by turns over gateways from 172.31.64.2 on, which a network of eth0
 *holds.
 *
 * raw prints nanoseconds of its three passes: BATCH messages per sendmsg(), only the last of which asks for
 *an acknowledgement (the kernel reports errors anyway); nothing is faster with one thread.
 *
 * speaker greets every agent that connects and reads lines from standard input: "feed" tells all routes and
 *SYNCED and prints nanoseconds from the first message until the last route is in the kernel, "watch" has the
 *agent tell about all gateways and prints nanoseconds until the last answer, and what was answered. The
 *kernel is asked for the last route once everything is told, and then whether all are there.
 */
#include "kit.h"
#include "bgp/ipc.h"

#include <errno.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define FIRST_ROUTE   (10u << 24 | 128u << 16)
#define FIRST_GATEWAY (172u << 24 | 31u << 16 | 64u << 8 | 2)
#define PLEN	      26

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static uint32_t route_number(int i)
{
	return FIRST_ROUTE + ((uint32_t)i << (32 - PLEN));
}

/* ---- rtnetlink by hand ---- */

struct raw {
	int fd;
	uint32_t oif, seq;
	size_t len;
	char tx[1 << 17];
	char rx[1 << 17];
};

static void raw_open(struct raw *r)
{
	int one = 1, size = 8 << 20;
	struct sockaddr_nl kernel = { .nl_family = AF_NETLINK };

	r->fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	if (r->fd < 0 || connect(r->fd, (struct sockaddr *)&kernel, sizeof(kernel)) < 0)
		die("netlink");
	setsockopt(r->fd, SOL_NETLINK, NETLINK_CAP_ACK, &one, sizeof(one));
	setsockopt(r->fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size));
	r->oif = if_nametoindex("eth0");
}

static void put(struct nlmsghdr *h, unsigned short type, uint32_t v)
{
	struct rtattr *a = (struct rtattr *)((char *)h + h->nlmsg_len);

	a->rta_type = type;
	a->rta_len = RTA_LENGTH(4);
	memcpy(RTA_DATA(a), &v, 4);
	h->nlmsg_len += a->rta_len;
}

static void queue(struct raw *r, uint16_t type, uint16_t flags, uint32_t dst, uint32_t gateway)
{
	struct nlmsghdr *h = (struct nlmsghdr *)(r->tx + r->len);
	struct rtmsg *m = NLMSG_DATA(h);

	memset(h, 0, NLMSG_LENGTH(sizeof(*m)));
	h->nlmsg_len = NLMSG_LENGTH(sizeof(*m));
	h->nlmsg_type = type;
	h->nlmsg_flags = NLM_F_REQUEST | flags;
	h->nlmsg_seq = ++r->seq;
	*m = (struct rtmsg){ .rtm_family = AF_INET,
			     .rtm_dst_len = PLEN,
			     .rtm_table = RT_TABLE_MAIN,
			     .rtm_protocol = 12,
			     .rtm_scope = RT_SCOPE_UNIVERSE,
			     .rtm_type = RTN_UNICAST };
	put(h, RTA_DST, __builtin_bswap32(dst));
	if (type == RTM_NEWROUTE) {
		put(h, RTA_GATEWAY, __builtin_bswap32(gateway));
		put(h, RTA_OIF, r->oif);
	}
	r->len += h->nlmsg_len;
}

/* Sends what is queued and waits for the acknowledgement of its last message. */
static void flush(struct raw *r, struct nlmsghdr *last)
{
	last->nlmsg_flags |= NLM_F_ACK;
	if (send(r->fd, r->tx, r->len, 0) != (ssize_t)r->len)
		die("send");
	r->len = 0;
	for (;;) {
		ssize_t n = recv(r->fd, r->rx, sizeof(r->rx), 0);
		if (n < 0)
			die("recv");
		const struct nlmsghdr *h = (struct nlmsghdr *)r->rx;
		const struct nlmsgerr *e = NLMSG_DATA(h);
		if (h->nlmsg_type != NLMSG_ERROR || e->error) {
			errno = -e->error;
			die("the kernel's answer");
		}
		if (h->nlmsg_seq == r->seq)
			return;
	}
}

static long long pass(struct raw *r, uint16_t type, uint16_t flags, int routes, int gateways, int batch,
		      int shift)
{
	long long t = now();

	for (int i = 0; i < routes; i++) {
		struct nlmsghdr *h = (struct nlmsghdr *)(r->tx + r->len);
		queue(r, type, flags, route_number(i), FIRST_GATEWAY + (uint32_t)((i + shift) % gateways));
		if ((i + 1) % batch == 0 || i == routes - 1)
			flush(r, h);
	}
	return now() - t;
}

static int raw(int routes, int gateways, int batch)
{
	static struct raw r;

	raw_open(&r);
	if (batch < 1 || batch > 1024)
		return 2;
	long long add = pass(&r, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, routes, gateways, batch, 0);
	long long replace = pass(&r, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE, routes, gateways, batch, 1);
	long long del = pass(&r, RTM_DELROUTE, 0, routes, gateways, batch, 0);
	printf("%lld %lld %lld\n", add, replace, del);
	return 0;
}

/* Is exactly this route there? */
static int is_there(struct raw *r, uint32_t dst)
{
	struct nlmsghdr *h = (struct nlmsghdr *)r->tx;
	struct rtmsg *m = NLMSG_DATA(h);

	memset(h, 0, NLMSG_LENGTH(sizeof(*m)));
	*h = (struct nlmsghdr){ .nlmsg_len = NLMSG_LENGTH(sizeof(*m)),
				.nlmsg_type = RTM_GETROUTE,
				.nlmsg_flags = NLM_F_REQUEST,
				.nlmsg_seq = ++r->seq };
	*m = (struct rtmsg){ .rtm_family = AF_INET, .rtm_dst_len = 32, .rtm_flags = RTM_F_FIB_MATCH };
	put(h, RTA_DST, __builtin_bswap32(dst));
	if (send(r->fd, h, h->nlmsg_len, 0) < 0 || recv(r->fd, r->rx, sizeof(r->rx), 0) < 0)
		die("look a route up");
	h = (struct nlmsghdr *)r->rx;
	m = NLMSG_DATA(h);
	return h->nlmsg_type == RTM_NEWROUTE && m->rtm_dst_len == PLEN;
}

/* ---- the speaker's part ---- */

struct play {
	int listener, agent, routes, gateways;
	struct raw raw;
	size_t n; /* bytes of messages that wait for company in their datagram */
	uint8_t batch[IPC_MSG_MAX];
};

static void send_batch(struct play *p)
{
	if (p->n && send(p->agent, p->batch, p->n, MSG_NOSIGNAL) < 0)
		die("tell the agent");
	p->n = 0;
}

/* As many in a datagram as there is room for, as the speaker does. */
static void say(struct play *p, const struct ipc_msg *m)
{
	uint8_t bytes[IPC_MSG_MAX];
	struct wr w = wr_to(bytes, sizeof(bytes));

	ipc_encode(m, &w);
	if (p->n + w.len > sizeof(p->batch))
		send_batch(p);
	memcpy(p->batch + p->n, bytes, w.len);
	p->n += w.len;
}

/* The agent says what it wants, which is nothing to us, except for its answers about next hops: counts them.
 */
static int hear(struct play *p, int *answers, int *reachable)
{
	static uint8_t bytes[IPC_MSG_MAX];
	static struct ipc_msg m;
	ssize_t n = recv(p->agent, bytes, sizeof(bytes), 0);
	struct err e = { 0 };

	if (n <= 0) {
		close(p->agent);
		p->agent = -1;
		return -1;
	}
	for (struct rd r = rd_of(bytes, (size_t)n); rd_left(&r);) {
		if (ipc_next(&r, &m, &e) < 0) {
			fprintf(stderr, "%s\n", e.msg);
			exit(1);
		}
		*answers += m.type == IPC_NEXTHOP;
		*reachable += m.type == IPC_NEXTHOP && m.nexthop.reachable;
	}
	return 0;
}

static void greet(struct play *p)
{
	static struct ipc_msg m;

	if (p->agent >= 0)
		close(p->agent);
	p->agent = accept(p->listener, NULL, NULL);
	if (p->agent < 0)
		die("accept");
	m = (struct ipc_msg){ .type = IPC_HELLO, .hello = { .pid = (uint32_t)getpid(), .epoch = 1 } };
	p->n = 0;
	say(p, &m);
	send_batch(p);
}

static void tell(struct play *p)
{
	static struct ipc_msg m;

	for (int i = 0; i < p->routes; i++) {
		struct addr dst = addr_v4(route_number(i));
		m.type = IPC_ROUTE;
		m.route.prefix = prefix_of(&dst, PLEN);
		m.route.nhops = 1;
		m.route.nexthop[0] = addr_v4(FIRST_GATEWAY + (uint32_t)(i % p->gateways));
		m.route.peer[0] = m.route.nexthop[0];
		say(p, &m);
	}
	m.type = IPC_SYNCED;
	say(p, &m);
	send_batch(p);
}

static void feed(struct play *p)
{
	long long t = now();

	tell(p);
	long long told = now();
	while (!is_there(&p->raw, route_number(p->routes - 1)))
		usleep(500);
	long long last = now();
	for (int i = 0; i < p->routes; i++)
		while (!is_there(&p->raw, route_number(i))) {
			usleep(500);
			last = now();
		}
	printf("%lld %lld\n", last - t, told - t);
}

static void watch(struct play *p)
{
	static struct ipc_msg m;
	int answers = 0, reachable = 0;
	long long t = now();

	for (int i = 0; i < p->gateways; i++) {
		m.type = IPC_WATCH;
		m.nexthop.addr = addr_v4(FIRST_GATEWAY + (uint32_t)i);
		say(p, &m);
	}
	send_batch(p);
	while (answers < p->gateways && hear(p, &answers, &reachable) == 0)
		;
	printf("%lld %d %d\n", now() - t, answers, reachable);
}

static void obey(struct play *p)
{
	char line[64];

	if (!fgets(line, sizeof(line), stdin))
		exit(0);
	if (p->agent >= 0 && !strcmp(line, "feed\n")) {
		feed(p);
	} else if (p->agent >= 0 && !strcmp(line, "tell\n")) {
		tell(p);
		printf("0\n");
	} else if (p->agent >= 0 && !strcmp(line, "watch\n")) {
		watch(p);
	} else {
		printf("no\n");
	}
	fflush(stdout);
}

static _Noreturn void speaker(const char *path, int routes, int gateways)
{
	static struct play p = { .agent = -1 };
	int ignored = 0;
	struct sockaddr_un sun = { .sun_family = AF_UNIX };

	p.routes = routes;
	p.gateways = gateways;
	raw_open(&p.raw);
	unlink(path);
	snprintf(sun.sun_path, sizeof(sun.sun_path), "%s", path);
	p.listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (p.listener < 0 || bind(p.listener, (struct sockaddr *)&sun, sizeof(sun)) < 0 ||
	    listen(p.listener, 4) < 0)
		die(path);
	for (;;) {
		struct pollfd fds[] = { { 0, POLLIN, 0 }, { p.listener, POLLIN, 0 }, { p.agent, POLLIN, 0 } };
		if (poll(fds, 3, -1) < 0)
			die("poll");
		if (fds[1].revents)
			greet(&p);
		else if (fds[2].revents)
			hear(&p, &ignored, &ignored);
		else if (fds[0].revents)
			obey(&p);
	}
}

int main(int argc, char **argv)
{
	if (argc == 5 && !strcmp(argv[1], "raw"))
		return raw(atoi(argv[2]), atoi(argv[3]), atoi(argv[4]));
	if (argc == 5 && !strcmp(argv[1], "speaker"))
		speaker(argv[2], atoi(argv[3]), atoi(argv[4]));
	fprintf(stderr, "install raw ROUTES GATEWAYS BATCH | install speaker SOCKET ROUTES GATEWAYS\n");
	return 2;
}
