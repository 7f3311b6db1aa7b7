/*
 * Drives an agent without a speaker: `agent_drive SOCKET` plays the speaker on the agent's socket, reads one
 *command a line from standard input and prints what the agent says about next hops, and "agent" whenever one
 *connects.
 *
 *	route PREFIX NEXTHOP...		gone PREFIX		synced
 *	watch ADDRESS			unwatch ADDRESS
 *
 *	nexthop ADDRESS reachable|unreachable METRIC|- IFNAME|-
 */
#include "base/check.h"
#include "bgp/ipc.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

struct drive {
	int listener, agent;
};

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static void say(const struct drive *d, const struct ipc_msg *m)
{
	uint8_t bytes[IPC_MSG_MAX];
	struct wr w = wr_to(bytes, sizeof(bytes));

	ipc_encode(m, &w);
	if (d->agent < 0 || send(d->agent, bytes, w.len, MSG_NOSIGNAL) < 0)
		die("tell the agent");
}

static void greet(struct drive *d)
{
	struct ipc_msg m = { .type = IPC_HELLO, .hello = { .pid = (uint32_t)getpid(), .epoch = 1 } };

	if (d->agent >= 0)
		close(d->agent);
	d->agent = accept(d->listener, NULL, NULL);
	if (d->agent < 0)
		die("accept");
	say(d, &m);
	puts("agent");
}

static void print(const struct ipc_msg *m)
{
	char addr[ADDR_STR_MAX], metric[16] = "-";

	if (m->type != IPC_NEXTHOP)
		return;
	if (m->nexthop.metric != UINT32_MAX)
		snprintf(metric, sizeof(metric), "%u", m->nexthop.metric);
	printf("nexthop %s %s %s %s\n", addr_format(&m->nexthop.addr, addr),
	       m->nexthop.reachable ? "reachable" : "unreachable", metric,
	       m->nexthop.ifname[0] ? m->nexthop.ifname : "-");
}

static void hear(struct drive *d)
{
	uint8_t bytes[IPC_MSG_MAX];
	struct ipc_msg m;
	struct err e = { 0 };
	ssize_t n = recv(d->agent, bytes, sizeof(bytes), 0);

	if (n <= 0) {
		close(d->agent);
		d->agent = -1;
		return;
	}
	for (struct rd r = rd_of(bytes, (size_t)n); rd_left(&r); print(&m))
		if (ipc_next(&r, &m, &e) < 0) {
			printf("error %s\n", e.msg);
			exit(1);
		}
}

static struct addr address(const char *s)
{
	struct addr a;

	if (!s || !addr_parse(s, &a))
		die("not an address");
	return a;
}

static void obey(struct drive *d, char *line)
{
	static const struct {
		const char *verb;
		enum ipc_type type;
	} verbs[] = {
		{ "route", IPC_ROUTE }, { "gone", IPC_ROUTE_GONE }, { "synced", IPC_SYNCED },
		{ "watch", IPC_WATCH }, { "unwatch", IPC_UNWATCH },
	};
	struct ipc_msg m = { 0 };
	char *save, *verb = strtok_r(line, " \n", &save), *word = strtok_r(NULL, " \n", &save);

	for (size_t i = 0; i < ARRAY_SIZE(verbs); i++)
		if (verb && !strcmp(verb, verbs[i].verb))
			m.type = verbs[i].type;
	if (!m.type)
		die("not a verb");
	if ((m.type == IPC_ROUTE || m.type == IPC_ROUTE_GONE) &&
	    (!word || !prefix_parse(word, &m.route.prefix)))
		die("not a prefix");
	if (m.type == IPC_WATCH || m.type == IPC_UNWATCH)
		m.nexthop.addr = address(word);
	while (m.type == IPC_ROUTE && m.route.nhops < IPC_PATHS_MAX &&
	       (word = strtok_r(NULL, " \n", &save))) {
		m.route.nexthop[m.route.nhops] = address(word);
		m.route.peer[m.route.nhops++] = address(word);
	}
	say(d, &m);
}

int main(int argc, char **argv)
{
	struct drive d = { .agent = -1 };
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	char line[1024];

	if (argc != 2)
		return 2;
	setvbuf(stdout, NULL, _IOLBF, 0);
	setvbuf(stdin, NULL, _IONBF, 0); /* poll() must see what is not read yet */
	unlink(argv[1]);
	snprintf(sun.sun_path, sizeof(sun.sun_path), "%s", argv[1]);
	d.listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (d.listener < 0 || bind(d.listener, (struct sockaddr *)&sun, sizeof(sun)) < 0 ||
	    listen(d.listener, 4) < 0)
		die(argv[1]);
	for (;;) {
		struct pollfd fds[] = { { 0, POLLIN, 0 }, { d.listener, POLLIN, 0 }, { d.agent, POLLIN, 0 } };
		if (poll(fds, 3, -1) < 0)
			die("poll");
		if (fds[1].revents)
			greet(&d);
		else if (fds[2].revents)
			hear(&d);
		else if (!fgets(line, sizeof(line), stdin))
			return 0;
		else
			obey(&d, line);
	}
}
