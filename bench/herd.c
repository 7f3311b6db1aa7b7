/*
 * herd: starts a program in each of many network namespaces at one instant, and says when the kernel of each
 * namespace has its routes. Everything slow is done beforehand: the children are forked, inside their
 * namespaces, and wait at a pipe. It watches at a real-time priority: its own waiting for a processor would
 * otherwise be measured.
 *
 *	herd ROUTES < PLAN
 *
 * A line of the plan, fields separated by tabs:  NETNS LOG PROGRAM ARGUMENT...  ; an empty line ends it. It
 * prints "pid INDEX PID" for each and "ready". At the line "go" it prints "go", all start, and then
 * "INDEX NANOSECONDS" each time a namespace has come to have ROUTES routes with protocol bird through a
 * gateway. At the end of its input it ends the children.
 */
#include "kit.h"

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <libmnl/libmnl.h>
#include <limits.h>
#include <linux/rtnetlink.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { NODES_MAX = 1000, ROUTES_MAX = 1024, ARGS_MAX = 32, PROTO_BIRD = 12 };

struct route {
	uint32_t dst;
	uint8_t len;
};

struct node {
	pid_t pid;
	struct mnl_socket *nl;
	struct route has[ROUTES_MAX];
	size_t nhas;
};

static struct node *nodes;
static size_t nnodes, want;
static int64_t started;

static struct mnl_socket *listen_for_routes(void)
{
	struct mnl_socket *s = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC | SOCK_NONBLOCK);
	int room = 4 << 20;

	if (!s || mnl_socket_bind(s, RTMGRP_IPV4_ROUTE, MNL_SOCKET_AUTOPID) < 0 ||
	    setsockopt(mnl_socket_get_fd(s), SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof(room)) < 0)
		err(1, "netlink");
	return s;
}

static void wait_and_become(char *const *f, int gate)
{
	char byte;

	prctl(PR_SET_PDEATHSIG, SIGTERM);
	int fd = open(f[1], O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644), in = open("/dev/null", O_RDONLY);
	if (fd < 0 || in < 0 || dup2(fd, 1) < 0 || dup2(fd, 2) < 0 || dup2(in, 0) < 0)
		_exit(126);
	if (read(gate, &byte, 1) != 0)
		_exit(126);
	execv(f[2], f + 2);
	_exit(127);
}

static void prepare(char *line, const int *gate)
{
	char *f[ARGS_MAX + 1] = { 0 }, *save = NULL;
	size_t n = 0;

	for (char *w = strtok_r(line, "\t\n", &save); w && n < ARGS_MAX; w = strtok_r(NULL, "\t\n", &save))
		f[n++] = w;
	if (n < 3 || nnodes == NODES_MAX)
		errx(1, "the plan is not understood");
	struct node *nd = &nodes[nnodes];
	enter(f[0]);
	nd->nl = listen_for_routes();
	nd->pid = fork();
	if (nd->pid < 0)
		err(1, "fork");
	if (nd->pid == 0) {
		close(gate[1]);
		wait_and_become(f, gate[0]);
	}
	printf("pid %zu %d\n", nnodes++, (int)nd->pid);
}

/* ---- routes ---- */

static void change(struct node *nd, struct route r, bool add)
{
	size_t i = 0;

	while (i < nd->nhas && (nd->has[i].dst != r.dst || nd->has[i].len != r.len))
		i++;
	if (add == (i < nd->nhas))
		return;
	if (!add)
		nd->has[i] = nd->has[--nd->nhas];
	else if (nd->nhas == ROUTES_MAX)
		errx(1, "more routes than expected");
	else
		nd->has[nd->nhas++] = r;
}

static int on_route(const struct nlmsghdr *h, void *arg)
{
	const struct rtmsg *rt = mnl_nlmsg_get_payload(h);
	struct route r = { .len = rt->rtm_dst_len };
	const struct nlattr *a;
	bool gateway = false;

	if (h->nlmsg_type != RTM_NEWROUTE && h->nlmsg_type != RTM_DELROUTE)
		return MNL_CB_OK;
	if (rt->rtm_table != RT_TABLE_MAIN || rt->rtm_protocol != PROTO_BIRD || rt->rtm_type != RTN_UNICAST)
		return MNL_CB_OK;
	mnl_attr_for_each(a, h, sizeof(*rt))
	{
		if (mnl_attr_get_type(a) == RTA_DST)
			r.dst = mnl_attr_get_u32(a);
		gateway |= mnl_attr_get_type(a) == RTA_GATEWAY || mnl_attr_get_type(a) == RTA_NH_ID;
	}
	if (gateway)
		change(arg, r, h->nlmsg_type == RTM_NEWROUTE);
	return MNL_CB_OK;
}

static void take(struct node *nd)
{
	static char buf[1 << 16];
	size_t had = nd->nhas;

	for (ssize_t n; (n = mnl_socket_recvfrom(nd->nl, buf, sizeof(buf))) != 0;) {
		if (n < 0 && errno == EAGAIN)
			break;
		if (n < 0)
			err(1, "route events of node %zu", (size_t)(nd - nodes));
		mnl_cb_run(buf, (size_t)n, 0, 0, on_route, nd);
	}
	if (nd->nhas != had && nd->nhas == want) {
		printf("%zu %lld\n", (size_t)(nd - nodes), (long long)(now() - started));
		fflush(stdout);
	}
}

/* ---- */

static void end_children(void)
{
	for (size_t i = 0; i < nnodes; i++)
		kill(nodes[i].pid, SIGTERM);
	for (size_t i = 0; i < nnodes; i++)
		while (waitpid(nodes[i].pid, NULL, 0) < 0 && errno == EINTR)
			;
}

static bool take_order(int *gate)
{
	char line[64];
	ssize_t n = read(STDIN_FILENO, line, sizeof(line) - 1);

	if (n <= 0)
		return false;
	line[n] = '\0';
	if (strcmp(line, "go\n") != 0)
		errx(1, "unknown order: %s", line);
	printf("go\n");
	fflush(stdout);
	started = now();
	close(*gate);
	return true;
}

static void read_plan(const int *gate)
{
	static char line[65536];
	size_t n = 0;

	/* Byte by byte: what follows the plan are orders, read with read(). */
	while (n < sizeof(line) && read(STDIN_FILENO, line + n, 1) == 1) {
		if (line[n++] != '\n')
			continue;
		if (n == 1)
			return;
		line[n - 1] = '\0';
		prepare(line, gate);
		n = 0;
	}
	errx(1, "the plan has no end");
}

int main(int argc, char **argv)
{
	struct sched_param rt = { .sched_priority = 10 };
	struct pollfd p[NODES_MAX + 1];
	int gate[2];

	if (argc != 2 || (want = strtoul(argv[1], NULL, 10)) > ROUTES_MAX)
		errx(2, "herd ROUTES < PLAN");
	nodes = calloc(NODES_MAX, sizeof(*nodes));
	if (!nodes || pipe2(gate, O_CLOEXEC) < 0)
		err(1, "pipe");
	setvbuf(stdout, NULL, _IOLBF, 0);
	read_plan(gate);
	if (sched_setscheduler(0, SCHED_FIFO, &rt) < 0)
		warn("real-time priority");
	printf("ready\n");
	fflush(stdout);
	for (size_t i = 0; i < nnodes; i++)
		p[i] = (struct pollfd){ mnl_socket_get_fd(nodes[i].nl), POLLIN, 0 };
	p[nnodes] = (struct pollfd){ STDIN_FILENO, POLLIN, 0 };
	for (;;) {
		if (poll(p, nnodes + 1, -1) < 0)
			err(1, "poll");
		for (size_t i = 0; i < nnodes; i++)
			if (p[i].revents)
				take(&nodes[i]);
		if (p[nnodes].revents && !take_order(&gate[1]))
			break;
	}
	end_children();
	return 0;
}
