/* The request socket: batches with exact results, sockets from elsewhere. */
#include "place.h"

#include "kern/route.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>

static int setup(void **state)
{
	place_enter(state);
	struct place *p = *state;
	if (p) {
		place_veth(p, "kv0", "kv1");
		place_do("ip addr add 10.1.0.1/16 dev kv0");
	}
	return 0;
}

/* The i-th of many /32 routes; every 97th asks for a gateway that is nowhere. */
static struct route numbered(struct place *p, uint32_t i, uint32_t ifindex)
{
	struct addr dst = addr_v4(0x0b000000 + i);
	bool bad = i % 97 == 0;

	return (struct route){
		.dst = prefix_host(&dst),
		.type = RTN_UNICAST,
		.protocol = ROUTE_PROTO_BIRD,
		.nhops = 1,
		.hops = { { .gateway = addr_v4(bad ? 0xc0000201 : 0x0a010002), .ifindex = ifindex } },
	};
}

struct tally {
	uint32_t next, wrong, failed;
};

static void on_result(void *arg, uint64_t tag, int code, const char *text)
{
	struct tally *t = arg;
	bool bad = tag % 97 == 0;

	if (tag != t->next++ || code != (bad ? ENETUNREACH : 0) ||
	    strcmp(text, bad ? "Nexthop has invalid gateway" : ""))
		t->wrong++;
	t->failed += code != 0;
}

static void count(void *arg, const struct route *r)
{
	++*(uint32_t *)arg;
}

#define MANY 10000

static void test_batch(void **state)
{
	struct place *p = *state;
	struct tally t = { 0 };
	uint32_t n = 0;

	NEED_ROOT();
	uint32_t ifindex = place_index(p, "kv0");
	nl_batch_begin(p->nl);
	for (uint32_t i = 0; i < MANY; i++) {
		struct route r = numbered(p, i, ifindex);
		nl_tag(p->nl, i);
		OK(route_replace(p->nl, &r, &e));
	}
	OK(nl_batch_end(p->nl, on_result, &t, &e));
	assert_int_equal(t.next, MANY);
	assert_int_equal(t.wrong, 0);
	assert_int_equal(t.failed, (MANY + 96) / 97);
	OK(route_dump(p->nl, AF_INET, RT_TABLE_MAIN, ROUTE_PROTO_BIRD, count, &n, &e));
	assert_int_equal(n, MANY - t.failed);
}

struct codes {
	int n, code[8];
	uint64_t tag[8];
};

static void keep(void *arg, uint64_t tag, int code, const char *text)
{
	struct codes *c = arg;

	c->tag[c->n] = tag;
	c->code[c->n++] = code;
}

/* A question inside a batch comes after what was queued; a tag is for one request; refused ones have no
 * result. */
static void test_mixed_batch(void **state)
{
	struct place *p = *state;
	struct codes c = { 0 };
	uint32_t n = 0;

	NEED_ROOT();
	struct route r = numbered(p, 5, place_index(p, "kv0")), broken = { 0 };
	r.dst.addr = addr_v4(0x0c000000);
	r.protocol = 99;
	nl_batch_begin(p->nl);
	nl_tag(p->nl, 7);
	OK(route_add(p->nl, &r, &e));
	OK(route_add(p->nl, &r, &e));
	nl_tag(p->nl, 8);
	assert_int_equal(route_add(p->nl, &broken, NULL), -EINVAL);
	OK(route_dump(p->nl, 0, RT_TABLE_MAIN, 99, count, &n, &e));
	assert_int_equal(n, 1);
	OK(route_del(p->nl, &r, &e));
	OK(nl_batch_end(p->nl, keep, &c, &e));
	assert_int_equal(c.n, 3);
	assert_int_equal(c.tag[0], 7);
	assert_int_equal(c.tag[1], 0);
	assert_int_equal(c.code[0], 0);
	assert_int_equal(c.code[1], EEXIST);
	assert_int_equal(c.code[2], 0);
	nl_batch_begin(p->nl);
	OK(nl_batch_end(p->nl, keep, &c, &e));
	assert_int_equal(c.n, 3);
}

/* The owner of a socket makes its queue so small that answers have no room: what has no result is unknown. */
static void test_lost_answers(void **state)
{
	struct place *p = *state;
	struct tally t = { .next = 1 };
	struct err err = { 0 };
	struct nl *nl;
	int one = 1;

	NEED_ROOT();
	int fd = nl_socket_in(p->ns, NULL);
	OK(nl_adopt(fd, &nl, &e));
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &one, sizeof(one)), 0);
	uint32_t ifindex = place_index(p, "kv0");
	nl_batch_begin(nl);
	for (uint32_t i = 1; i <= NL_BATCH_MAX; i++) {
		struct route r = numbered(p, i, ifindex);
		nl_tag(nl, i);
		OK(route_replace(nl, &r, &e));
	}
	struct route more = numbered(p, 1, ifindex);
	assert_int_equal(route_replace(nl, &more, NULL), -ETIMEDOUT);
	assert_int_equal(nl_batch_end(nl, on_result, &t, &err), -ETIMEDOUT);
	assert_string_equal(err.msg, "the kernel's answer did not come: Connection timed out");
	assert_true(t.next > 1 && t.next <= NL_BATCH_MAX);
	assert_int_equal(t.wrong, 0);
	assert_int_equal(route_replace(nl, &more, NULL), -ETIMEDOUT);
	nl_free(nl);
}

static void refuse(int fd)
{
	struct nl *nl = (struct nl *)"untouched", *was = nl;

	assert_true(fd >= 0);
	assert_int_equal(nl_adopt(fd, &nl, NULL), -EINVAL);
	assert_ptr_equal(nl, was);
	assert_true(fcntl(fd, F_GETFD) >= 0); /* still the caller's */
	close(fd);
}

static void test_adopt_refuses(void **state)
{
	struct sockaddr_nl to = { .nl_family = AF_NETLINK, .nl_pid = 4711 };
	struct nl *nl;
	int high = RTNLGRP_NEXTHOP;

	refuse(open("/dev/null", O_RDWR));
	refuse(open("/", O_RDONLY | O_DIRECTORY));
	refuse(open("/", O_PATH));
	refuse(socket(AF_INET, SOCK_STREAM, 0));
	refuse(socket(AF_UNIX, SOCK_DGRAM, 0));
	refuse(socket(AF_NETLINK, SOCK_RAW, NETLINK_GENERIC));
	int fd = socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE);
	if (geteuid() == 0) { /* others may not connect */
		assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
		refuse(fd);
	} else {
		close(fd);
	}
	fd = socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE);
	to = (struct sockaddr_nl){ .nl_family = AF_NETLINK, .nl_groups = RTMGRP_LINK };
	assert_int_equal(bind(fd, (struct sockaddr *)&to, sizeof(to)), 0);
	refuse(fd);
	fd = socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE);
	assert_int_equal(setsockopt(fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &high, sizeof(high)), 0);
	refuse(fd);
	assert_int_equal(nl_adopt(-1, &nl, NULL), -EINVAL);
}

/* A socket opened in another namespace works there, and the descriptor is made safe. */
static void test_adopt(void **state)
{
	struct place *p = *state;
	char name[64];
	struct link l;
	struct nl *nl;

	NEED_ROOT();
	snprintf(name, sizeof(name), "korat-t-kern-f%d", getpid());
	OK(netns_add(name, &e));
	own_fd int ns = netns_open_name(name, NULL);
	int fd = nl_socket_in(ns, NULL);
	assert_true(fd >= 0);
	assert_int_equal(netns_is_own(p->ns), 1);
	assert_int_equal(fcntl(fd, F_SETFD, 0), 0);
	OK(nl_adopt(fd, &nl, &e));
	assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
	assert_int_equal(nl_is_in(nl, ns), 1);
	assert_int_equal(nl_is_in(nl, p->ns), 0);
	assert_int_equal(nl_is_in(p->nl, p->ns), 1);
	assert_int_equal(link_get(nl, "kv0", &l, NULL), -ENODEV);
	OK(link_add_bridge(nl, "br0", &e));
	OK(link_get(nl, "br0", &l, &e));
	assert_string_equal(l.kind, "bridge");
	nl_free(nl);
	OK(netns_del(name, &e));
	assert_int_equal(nl_socket_in(-2, NULL) >= 0, 1); /* negative: here */
}

/* Somebody who shares the socket eats our answers: we give up after a bounded wait, and for good. */
static void test_eaten_answers(void **state)
{
	struct place *p = *state;
	struct timespec a, b;
	struct nl *nl;
	struct link l;
	int stop[2];

	NEED_ROOT();
	int fd = nl_socket_in(p->ns, NULL);
	OK(nl_adopt(fd, &nl, &e));
	assert_int_equal(pipe(stop), 0);
	pid_t thief = fork();
	if (thief == 0) {
		struct pollfd w[] = { { .fd = fd, .events = POLLIN }, { .fd = stop[0], .events = POLLIN } };
		char junk[65536];
		close(stop[1]);
		while (!(w[1].revents)) {
			(void)!recv(fd, junk, sizeof(junk), MSG_DONTWAIT);
			poll(w, 2, 0);
		}
		_exit(0);
	}
	/* A race, and the thief does not win every round: half an answer is an error, too, but no end. */
	int r = 0;
	for (int i = 0; i < 100000 && r != -ETIMEDOUT; i++) {
		clock_gettime(CLOCK_MONOTONIC, &a);
		r = link_get(nl, "kv0", &l, NULL);
		clock_gettime(CLOCK_MONOTONIC, &b);
		assert_true(r == 0 || r == -EPROTO || r == -ETIMEDOUT);
	}
	close(stop[1]);
	close(stop[0]);
	if (r == -ETIMEDOUT) {
		assert_true(b.tv_sec - a.tv_sec <= 1 + NL_WAIT_MS / 1000);
		assert_int_equal(link_get(nl, "kv0", &l, NULL), -ETIMEDOUT);
	}
	assert_int_equal(waitpid(thief, NULL, 0), thief);
	nl_free(nl);
}

/* Messages from other processes are no answers. */
static void test_strangers(void **state)
{
	struct place *p = *state;
	struct sockaddr_nl to = { 0 };
	socklen_t n = sizeof(to);
	struct {
		struct nlmsghdr h;
		struct nlmsgerr e;
	} lie = { .h = { .nlmsg_len = sizeof(lie), .nlmsg_type = NLMSG_ERROR }, .e = { .error = -EPERM } };
	struct nl *nl;
	struct link l;

	NEED_ROOT();
	int fd = nl_socket_in(p->ns, NULL);
	OK(nl_adopt(fd, &nl, &e));
	OK(link_get(nl, "kv0", &l, &e)); /* gives it its address */
	assert_int_equal(getsockname(fd, (struct sockaddr *)&to, &n), 0);
	own_fd int liar = socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE);
	for (int i = 0; i < 50; i++) {
		ssize_t sent =
			sendto(liar, &lie, sizeof(lie), MSG_DONTWAIT, (struct sockaddr *)&to, sizeof(to));
		assert_true(sent == sizeof(lie) || errno == EPERM || errno == EAGAIN);
	}
	OK(link_get(nl, "kv0", &l, &e));
	nl_free(nl);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_batch),	     cmocka_unit_test(test_mixed_batch),
		cmocka_unit_test(test_lost_answers), cmocka_unit_test(test_adopt_refuses),
		cmocka_unit_test(test_adopt),	     cmocka_unit_test(test_eaten_answers),
		cmocka_unit_test(test_strangers),
	};

	return cmocka_run_group_tests(tests, setup, place_leave);
}
