/*
 * rtwatch: the route events of two network namespaces, stamped by one process with one clock as they arrive,
 *so that "from the kernel of A to the kernel of B" is a difference of two readings. It runs at a real-time
 *priority: its own waiting for a processor would otherwise be measured.
 *
 *	rtwatch NETNS-A NETNS-B
 *
 * Prints  NANOSECONDS A|B NEW|DEL PREFIX TYPE PROTOCOL  for each IPv4 route of the main table. On standard
 *input it takes "add PREFIX" and "del PREFIX": a blackhole route in A, as somebody else's program would put
 *it there.
 */
#include "kit.h"

#include <arpa/inet.h>
#include <err.h>
#include <fcntl.h>
#include <libmnl/libmnl.h>
#include <limits.h>
#include <linux/rtnetlink.h>
#include <poll.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static struct mnl_socket *open_in(const char *name, unsigned groups)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "/run/netns/%s", name);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || setns(fd, CLONE_NEWNET) < 0)
		err(1, "enter %s", path);
	close(fd);
	struct mnl_socket *s = mnl_socket_open(NETLINK_ROUTE);
	if (!s || mnl_socket_bind(s, groups, MNL_SOCKET_AUTOPID) < 0)
		err(1, "netlink in %s", name);
	return s;
}

struct side {
	char name;
	struct mnl_socket *nl;
	int64_t at;
};

static int on_message(const struct nlmsghdr *h, void *arg)
{
	const struct side *s = arg;
	const struct rtmsg *r = mnl_nlmsg_get_payload(h);
	struct nlattr *a;
	char dst[INET_ADDRSTRLEN] = "0.0.0.0";

	if ((h->nlmsg_type != RTM_NEWROUTE && h->nlmsg_type != RTM_DELROUTE) || r->rtm_table != RT_TABLE_MAIN)
		return MNL_CB_OK;
	mnl_attr_for_each(a, h, sizeof(*r)) if (mnl_attr_get_type(a) == RTA_DST)
		inet_ntop(AF_INET, mnl_attr_get_payload(a), dst, sizeof(dst));
	printf("%lld %c %s %s/%u %u %u\n", (long long)s->at, s->name,
	       h->nlmsg_type == RTM_NEWROUTE ? "NEW" : "DEL", dst, r->rtm_dst_len, r->rtm_type,
	       r->rtm_protocol);
	return MNL_CB_OK;
}

static void take(struct side *s)
{
	static char buf[1 << 16];
	ssize_t n = mnl_socket_recvfrom(s->nl, buf, sizeof(buf));

	s->at = now();
	if (n < 0)
		err(1, "receive in %c", s->name);
	mnl_cb_run(buf, (size_t)n, 0, 0, on_message, s);
	fflush(stdout);
}

static void blackhole(struct mnl_socket *nl, const char *verb, const char *text)
{
	char buf[512], dst[64];
	struct in_addr addr;
	unsigned len;
	static unsigned seq;

	if (sscanf(text, "%63[0-9.]/%u", dst, &len) != 2 || inet_pton(AF_INET, dst, &addr) != 1)
		errx(1, "%s is no prefix", text);
	struct nlmsghdr *h = mnl_nlmsg_put_header(buf);
	h->nlmsg_type = strcmp(verb, "add") ? RTM_DELROUTE : RTM_NEWROUTE;
	h->nlmsg_flags = NLM_F_REQUEST | (strcmp(verb, "add") ? 0 : NLM_F_CREATE | NLM_F_EXCL);
	h->nlmsg_seq = ++seq;
	struct rtmsg *r = mnl_nlmsg_put_extra_header(h, sizeof(*r));
	r->rtm_family = AF_INET;
	r->rtm_dst_len = (unsigned char)len;
	r->rtm_table = RT_TABLE_MAIN;
	r->rtm_protocol = RTPROT_STATIC;
	r->rtm_type = RTN_BLACKHOLE;
	r->rtm_scope = RT_SCOPE_UNIVERSE;
	mnl_attr_put_u32(h, RTA_DST, addr.s_addr);
	if (mnl_socket_sendto(nl, h, h->nlmsg_len) < 0)
		err(1, "send");
}

int main(int argc, char **argv)
{
	struct sched_param rt = { .sched_priority = 10 };
	char line[256], verb[8], prefix[64];

	if (argc != 3)
		errx(2, "rtwatch NETNS-A NETNS-B");
	struct side side[2] = { { 'A', open_in(argv[1], RTMGRP_IPV4_ROUTE), 0 },
				{ 'B', open_in(argv[2], RTMGRP_IPV4_ROUTE), 0 } };
	struct mnl_socket *ask = open_in(argv[1], 0);
	if (sched_setscheduler(0, SCHED_FIFO, &rt) < 0)
		warn("real-time priority");
	printf("ready\n");
	fflush(stdout);
	for (;;) {
		struct pollfd p[] = { { mnl_socket_get_fd(side[0].nl), POLLIN, 0 },
				      { mnl_socket_get_fd(side[1].nl), POLLIN, 0 },
				      { STDIN_FILENO, POLLIN, 0 } };
		if (poll(p, 3, -1) < 0)
			err(1, "poll");
		for (int i = 0; i < 2; i++)
			if (p[i].revents)
				take(&side[i]);
		if (!p[2].revents)
			continue;
		ssize_t n = read(STDIN_FILENO, line, sizeof(line) - 1);
		if (n <= 0)
			return 0;
		line[n] = '\0';
		if (sscanf(line, "%7s %63s", verb, prefix) == 2)
			blackhole(ask, verb, prefix);
	}
}
