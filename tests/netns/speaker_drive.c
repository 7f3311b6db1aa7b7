/*
 * The speaker without an agent: starts speaker_main() in a child, says to it what standard input
 * says, line by line, and prints what it answers. For interoperability tests and benchmarks.
 *
 *	speaker_drive SOCKET [debug]
 *
 * Lines, as they may stand in any order:
 *
 *	config ASN ROUTER-ID [hold SECONDS] [restart SECONDS] [cluster ID]
 *	listen PORT			on every address, IPv4 and IPv6
 *	peer ADDRESS ASN [WORDS]	a new one, or what it shall be from now on
 *	peer-gone ADDRESS
 *	origin PREFIX [via ADDRESS]
 *	origin-gone PREFIX
 *	policy ID accept|reject [NAME]	of what no rule decides; its rules follow
 *	rule ID accept|reject|next [WORDS]
 *	policy-end ID			from now on the policy holds
 *	policy-gone ID
 *	nexthop ADDRESS up|down [metric N] [dev NAME]
 *	stated				that was all: what was not said again goes
 *	refresh ADDRESS [out]		ask the peer, or tell it everything again
 *	reset ADDRESS [TEXT]
 *	dump [PREFIX]			the paths of a prefix, or of all
 *	reachable			answer every watch at once: up
 *	quiet				from now on print only what is said of peers
 *	reconnect			as an agent that was restarted
 *	quit [kill]
 *
 * Words of a peer:
 *
 *	v4, v6, both			families; else that of its address
 *	local ADDRESS, port N, passive, client, name NAME
 *	hold N, keepalive N, restart N	seconds
 *	import N, export N		policies; without them everything passes (1),
 *					0 is RFC 8212
 *	max N, allow-own-as N, local-as N
 *	next-hop self|keep
 *	role provider|rs|rs-client|customer|peer, role-strict
 *	add-path recv|send|both, ext-nexthop, ext-message
 *	ttl N, gtsm N, password KEY
 *	shutdown TEXT			the last one: the rest of the line
 *
 * Words of a rule: what it asks, then what it changes:
 *
 *	v4, v6, bgp, own, ebgp, ibgp
 *	equal|not-equal|in|not-in PREFIX, len MIN MAX
 *	community A:B[:C], pref N, path A,B,..., dev PATTERN
 *	add A:B[:C], prepend A,B,..., set-pref N, set-med N
 *
 * Each printed line begins with the time in microseconds of CLOCK_REALTIME.
 */
#include "base/check.h"
#include "bgp/ipc.h"
#include "bgp/main.h"

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

struct drive {
	const char *path;
	pid_t child;
	int fd;
	bool done;
	bool quiet;	/* of what is read only what is said of peers is printed */
	bool reachable; /* every next hop the speaker asks about is */
};

static void stamp(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	printf("%lld ", (long long)ts.tv_sec * 1000000 + ts.tv_nsec / 1000);
}

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static void send_msg(struct drive *d, const struct ipc_msg *m, int fd)
{
	uint8_t bytes[IPC_MSG_MAX];
	struct wr w = wr_to(bytes, sizeof(bytes));
	ipc_encode(m, &w);
	struct iovec iov = { bytes, w.len };
	union {
		struct cmsghdr align;
		char room[CMSG_SPACE(sizeof(int))];
	} control = { 0 };
	struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1 };

	if (fd >= 0) {
		mh.msg_control = control.room;
		mh.msg_controllen = sizeof(control.room);
		struct cmsghdr *h = CMSG_FIRSTHDR(&mh);
		h->cmsg_level = SOL_SOCKET;
		h->cmsg_type = SCM_RIGHTS;
		h->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(h), &fd, sizeof(fd));
	}
	if (sendmsg(d->fd, &mh, MSG_NOSIGNAL) < 0)
		die("send to the speaker");
}

static void connect_speaker(struct drive *d)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	struct ipc_msg hello = { .type = IPC_HELLO };

	snprintf(sun.sun_path, sizeof(sun.sun_path), "%s", d->path);
	for (int i = 0; i < 500; i++) {
		d->fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
		if (connect(d->fd, (struct sockaddr *)&sun, sizeof(sun)) == 0) {
			hello.hello.pid = (uint32_t)getpid();
			send_msg(d, &hello, -1);
			return;
		}
		close(d->fd);
		usleep(10000);
	}
	die("connect to the speaker");
}

static uint32_t id_of(const char *s)
{
	struct addr a;

	if (addr_parse(s, &a) && a.family == AF_INET)
		return addr_to_v4(&a);
	return (uint32_t)strtoul(s, NULL, 0);
}

static void unknown(const char *w)
{
	fprintf(stderr, "unknown word: %s\n", w);
	exit(2);
}

/* The words after the fixed ones: "hold 9" is a pair, "passive" is a word. */
static const char *word(char **save)
{
	return strtok_r(NULL, " \t\n", save);
}

static struct addr need_addr(const char *s)
{
	struct addr a = { 0 };

	if (!s || !addr_parse(s, &a)) {
		fprintf(stderr, "not an address: %s\n", s ? s : "nothing");
		exit(2);
	}
	return a;
}

static struct prefix need_prefix(const char *s)
{
	struct prefix p = { 0 };

	if (!s || !prefix_parse(s, &p)) {
		fprintf(stderr, "not a prefix: %s\n", s ? s : "nothing");
		exit(2);
	}
	return p;
}

static unsigned long number(const char *s)
{
	return s ? strtoul(s, NULL, 0) : 0;
}

static void say_config(struct drive *d, char **save)
{
	struct ipc_msg m = { .type = IPC_CONFIG, .config = { .hold_time = 240 } };
	const char *w;

	m.config.asn = (uint32_t)number(word(save));
	m.config.router_id = id_of(word(save));
	while ((w = word(save))) {
		if (!strcmp(w, "hold"))
			m.config.hold_time = (uint16_t)number(word(save));
		else if (!strcmp(w, "restart"))
			m.config.restart_time = (uint16_t)number(word(save));
		else if (!strcmp(w, "cluster"))
			m.config.cluster_id = id_of(word(save));
	}
	send_msg(d, &m, -1);
}

static bool number_of(struct ipc_peer *p, const char *w, unsigned long v)
{
	if (!strcmp(w, "port"))
		p->port = (uint16_t)v;
	else if (!strcmp(w, "hold"))
		p->hold_time = (uint16_t)v;
	else if (!strcmp(w, "keepalive"))
		p->keepalive_time = (uint16_t)v;
	else if (!strcmp(w, "restart"))
		p->own_restart_time = true, p->restart_time = (uint16_t)v;
	else if (!strcmp(w, "import"))
		p->import = (uint16_t)v;
	else if (!strcmp(w, "export"))
		p->export = (uint16_t)v;
	else if (!strcmp(w, "max"))
		p->max_prefixes = (uint32_t)v;
	else if (!strcmp(w, "allow-own-as"))
		p->allow_own_as = (uint8_t)v;
	else if (!strcmp(w, "ttl"))
		p->ttl = (uint8_t)v;
	else if (!strcmp(w, "gtsm"))
		p->ttl_security = (uint8_t)v;
	else if (!strcmp(w, "local-as"))
		p->local_asn = (uint32_t)v;
	else
		return false;
	return true;
}

static uint8_t role_of(const char *s)
{
	static const char *const names[] = { "none", "provider", "rs", "rs-client", "customer", "peer" };

	for (uint8_t i = 0; s && i < ARRAY_SIZE(names); i++)
		if (!strcmp(s, names[i]))
			return i;
	fprintf(stderr, "not a role: %s\n", s ? s : "nothing");
	exit(2);
}

static void say_add_path(struct ipc_peer *p, const char *what)
{
	bool both = what && !strcmp(what, "both");

	if (both || !strcmp(what, "recv"))
		p->add_path_recv = IPC_FAMILY_V4 | IPC_FAMILY_V6;
	if (both || !strcmp(what, "send"))
		p->add_path_send = IPC_FAMILY_V4 | IPC_FAMILY_V6;
}

static bool flag_of(struct ipc_peer *p, const char *w)
{
	if (!strcmp(w, "passive"))
		p->passive = true;
	else if (!strcmp(w, "client"))
		p->client = true;
	else if (!strcmp(w, "v4"))
		p->families = IPC_FAMILY_V4;
	else if (!strcmp(w, "v6"))
		p->families = IPC_FAMILY_V6;
	else if (!strcmp(w, "both"))
		p->families = IPC_FAMILY_V4 | IPC_FAMILY_V6;
	else if (!strcmp(w, "role-strict"))
		p->role_strict = true;
	else if (!strcmp(w, "ext-nexthop"))
		p->ext_nexthop = true;
	else if (!strcmp(w, "ext-message"))
		p->ext_message = true;
	else
		return false;
	return true;
}

static void rest_of_line(char **save, char *ret, size_t n)
{
	const char *rest = strtok_r(NULL, "\n", save);

	snprintf(ret, n, "%s", rest ? rest : "");
}

static void say_peer(struct drive *d, char **save)
{
	struct ipc_msg m = { .type = IPC_PEER,
			     .peer = { .port = 179, .import = IPC_POLICY_ALL, .export = IPC_POLICY_ALL } };
	struct ipc_peer *p = &m.peer;
	const char *w;

	p->remote = need_addr(word(save));
	p->families = p->remote.family == AF_INET ? IPC_FAMILY_V4 : IPC_FAMILY_V6;
	p->remote_asn = (uint32_t)number(word(save));
	while ((w = word(save))) {
		if (flag_of(p, w))
			continue;
		if (!strcmp(w, "shutdown")) {
			p->shutdown = true;
			rest_of_line(save, p->text, sizeof(p->text));
			break;
		}
		const char *v = word(save);
		if (!strcmp(w, "local"))
			p->local = need_addr(v);
		else if (!strcmp(w, "next-hop"))
			p->nexthop_mode = !strcmp(v, "self") ? IPC_NEXTHOP_SELF : IPC_NEXTHOP_KEEP;
		else if (!strcmp(w, "role"))
			p->role = role_of(v);
		else if (!strcmp(w, "add-path"))
			say_add_path(p, v);
		else if (!strcmp(w, "password"))
			snprintf(p->password, sizeof(p->password), "%s", v);
		else if (!strcmp(w, "name"))
			snprintf(p->name, sizeof(p->name), "%s", v);
		else if (!number_of(p, w, number(v)))
			unknown(w);
	}
	send_msg(d, &m, -1);
}

static void say_policy(struct drive *d, enum ipc_type type, char **save)
{
	struct ipc_msg m = { .type = type };
	const char *w;

	m.policy.id = (uint16_t)number(word(save));
	if (type == IPC_POLICY) {
		w = word(save);
		m.policy.otherwise = w && !strcmp(w, "accept");
		w = word(save);
		snprintf(m.policy.name, sizeof(m.policy.name), "%s", w ? w : "");
	}
	send_msg(d, &m, -1);
}

static struct policy_community community_of(const char *s)
{
	struct policy_community c = { 0 };
	int n = s ? sscanf(s, "%u:%u:%u", &c.v[0], &c.v[1], &c.v[2]) : 0;

	if (n < 2)
		unknown(s ? s : "nothing");
	c.large = n == 3;
	return c;
}

static uint8_t asns_of(const char *s, uint32_t *asns)
{
	uint8_t n = 0;

	while (s && *s && n < POLICY_ASNS_MAX) {
		char *end;
		asns[n++] = (uint32_t)strtoul(s, &end, 10);
		s = *end == ',' ? end + 1 : NULL;
	}
	return n;
}

static bool prefix_match_of(struct policy_rule *p, const char *w, char **save)
{
	static const char *const ops[] = { "any", "equal", "not-equal", "in", "not-in" };

	for (uint8_t i = 1; i < ARRAY_SIZE(ops); i++) {
		if (strcmp(w, ops[i]))
			continue;
		p->prefix_op = i;
		p->prefix = need_prefix(word(save));
		return true;
	}
	return false;
}

static bool op_of(struct policy_rule *p, const char *w, char **save)
{
	struct policy_op *op = &p->ops[p->nops];

	if (!strcmp(w, "add")) {
		op->kind = POLICY_ADD_COMMUNITY;
		op->community = community_of(word(save));
	} else if (!strcmp(w, "prepend")) {
		op->kind = POLICY_PREPEND;
		op->nasns = asns_of(word(save), op->asns);
	} else if (!strcmp(w, "set-pref")) {
		op->kind = POLICY_SET_LOCAL_PREF;
		op->value = (uint32_t)number(word(save));
	} else if (!strcmp(w, "set-med")) {
		op->kind = POLICY_SET_MED;
		op->value = (uint32_t)number(word(save));
	} else {
		return false;
	}
	p->nops++;
	return true;
}

static bool match_of(struct policy_rule *p, const char *w, char **save)
{
	if (!strcmp(w, "v4")) {
		p->family = AF_INET;
	} else if (!strcmp(w, "v6")) {
		p->family = AF_INET6;
	} else if (!strcmp(w, "len")) {
		p->min_len = (uint8_t)number(word(save));
		p->max_len = (uint8_t)number(word(save));
	} else if (!strcmp(w, "bgp")) {
		p->source = POLICY_SOURCE_BGP;
	} else if (!strcmp(w, "own")) {
		p->source = POLICY_SOURCE_OWN;
	} else if (!strcmp(w, "ebgp")) {
		p->session = POLICY_SESSION_EBGP;
	} else if (!strcmp(w, "ibgp")) {
		p->session = POLICY_SESSION_IBGP;
	} else if (!strcmp(w, "community")) {
		p->has_community = true;
		p->community = community_of(word(save));
	} else if (!strcmp(w, "pref")) {
		p->has_local_pref = true;
		p->local_pref = (uint32_t)number(word(save));
	} else if (!strcmp(w, "path")) {
		p->nas_path = asns_of(word(save), p->as_path);
	} else if (!strcmp(w, "dev")) {
		const char *v = word(save);
		snprintf(p->interface, sizeof(p->interface), "%s", v ? v : "");
	} else {
		return prefix_match_of(p, w, save);
	}
	return true;
}

static void say_rule(struct drive *d, char **save)
{
	struct ipc_msg m = { .type = IPC_RULE };
	const char *w;

	m.rule.id = (uint16_t)number(word(save));
	w = word(save);
	m.rule.rule.verdict = !w || !strcmp(w, "next") ? POLICY_NEXT
			      : !strcmp(w, "accept")   ? POLICY_ACCEPT
						       : POLICY_REJECT;
	while ((w = word(save)))
		if (!match_of(&m.rule.rule, w, save) && !op_of(&m.rule.rule, w, save))
			unknown(w);
	send_msg(d, &m, -1);
}

static void say_nexthop(struct drive *d, char **save)
{
	struct ipc_msg m = { .type = IPC_NEXTHOP };
	const char *w;

	m.nexthop.addr = need_addr(word(save));
	w = word(save);
	m.nexthop.reachable = w && !strcmp(w, "up");
	while ((w = word(save))) {
		const char *v = word(save);
		if (!strcmp(w, "metric"))
			m.nexthop.metric = (uint32_t)number(v);
		else if (!strcmp(w, "dev"))
			snprintf(m.nexthop.ifname, sizeof(m.nexthop.ifname), "%s", v);
	}
	send_msg(d, &m, -1);
}

static void say_refresh(struct drive *d, char **save)
{
	struct ipc_msg m = { .type = IPC_REFRESH };

	m.refresh.remote = need_addr(word(save));
	m.refresh.out = word(save) != NULL;
	send_msg(d, &m, -1);
}

static void say_reset(struct drive *d, char **save)
{
	struct ipc_msg m = { .type = IPC_RESET };

	m.reset.remote = need_addr(word(save));
	rest_of_line(save, m.reset.text, sizeof(m.reset.text));
	send_msg(d, &m, -1);
}

static void say_origin(struct drive *d, char **save)
{
	struct ipc_msg m = { .type = IPC_ORIGIN };
	const char *w;

	m.origin.prefix = need_prefix(word(save));
	if ((w = word(save)) && !strcmp(w, "via"))
		m.origin.nexthop = need_addr(word(save));
	send_msg(d, &m, -1);
}

static void listen_on(struct drive *d, uint8_t family, uint16_t port)
{
	struct ipc_msg m = { .type = IPC_LISTEN, .listen = { .addr = { .family = family }, .port = port } };
	struct sockaddr_storage ss;
	socklen_t len = addr_to_sockaddr(&m.listen.addr, port, &ss);
	int one = 1, fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof(one));
	if (fd < 0 || bind(fd, (struct sockaddr *)&ss, len) < 0 || listen(fd, 4096) < 0)
		die("listen");
	send_msg(d, &m, fd);
	close(fd);
}

static void say_dump(struct drive *d, char **save)
{
	struct ipc_msg m = { .type = IPC_DUMP, .dump = { .id = 1 } };
	const char *w = word(save);

	m.dump.all = !w;
	if (w)
		m.dump.prefix = need_prefix(w);
	send_msg(d, &m, -1);
}

static void quit(struct drive *d, const char *how)
{
	int status = 0;

	kill(d->child, how && !strcmp(how, "kill") ? SIGKILL : SIGTERM);
	waitpid(d->child, &status, 0);
	stamp();
	printf("ended %d\n", WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status));
	d->done = true;
}

static void say(struct drive *d, char *line)
{
	char *save = NULL;
	const char *w = strtok_r(line, " \t\n", &save);
	struct ipc_msg m = { 0 };

	if (!w || *w == '#') {
		return;
	} else if (!strcmp(w, "config")) {
		say_config(d, &save);
	} else if (!strcmp(w, "peer")) {
		say_peer(d, &save);
	} else if (!strcmp(w, "peer-gone")) {
		m.type = IPC_PEER_GONE;
		m.peer.remote = need_addr(word(&save));
		send_msg(d, &m, -1);
	} else if (!strcmp(w, "policy")) {
		say_policy(d, IPC_POLICY, &save);
	} else if (!strcmp(w, "policy-end")) {
		say_policy(d, IPC_POLICY_END, &save);
	} else if (!strcmp(w, "policy-gone")) {
		say_policy(d, IPC_POLICY_GONE, &save);
	} else if (!strcmp(w, "rule")) {
		say_rule(d, &save);
	} else if (!strcmp(w, "nexthop")) {
		say_nexthop(d, &save);
	} else if (!strcmp(w, "refresh")) {
		say_refresh(d, &save);
	} else if (!strcmp(w, "reset")) {
		say_reset(d, &save);
	} else if (!strcmp(w, "origin")) {
		say_origin(d, &save);
	} else if (!strcmp(w, "origin-gone")) {
		m.type = IPC_ORIGIN_GONE;
		m.origin.prefix = need_prefix(word(&save));
		send_msg(d, &m, -1);
	} else if (!strcmp(w, "listen")) {
		uint16_t port = (uint16_t)number(word(&save));
		listen_on(d, AF_INET, port);
		listen_on(d, AF_INET6, port);
	} else if (!strcmp(w, "stated")) {
		m.type = IPC_STATED;
		send_msg(d, &m, -1);
	} else if (!strcmp(w, "dump")) {
		say_dump(d, &save);
	} else if (!strcmp(w, "quiet")) {
		d->quiet = true;
	} else if (!strcmp(w, "reachable")) {
		d->reachable = true;
	} else if (!strcmp(w, "reconnect")) {
		close(d->fd);
		connect_speaker(d);
	} else if (!strcmp(w, "quit")) {
		quit(d, word(&save));
	} else {
		unknown(w);
	}
}

static void print_route(const struct ipc_route *r)
{
	char p[PREFIX_STR_MAX], a[ADDR_STR_MAX], b[ADDR_STR_MAX];

	printf("route %s", prefix_format(&r->prefix, p));
	if (r->own)
		printf(" own");
	for (size_t i = 0; i < r->nhops; i++)
		printf(" via %s from %s", addr_format(&r->nexthop[i], a), addr_format(&r->peer[i], b));
	putchar('\n');
}

static const char *const agreed_names[] = { "as4",	    "refresh",	   "enhanced-refresh",
					    "ext-message",  "ext-nexthop", "add-path-in",
					    "add-path-out", "gr",	   "gr-notification",
					    "llgr",	    "role" };

static void print_peer(const struct ipc_peer_state *s)
{
	char a[ADDR_STR_MAX];

	printf("peer %s %s hold %u families %u received %u accepted %u advertised %u updates %llu %llu flaps "
	       "%u rejected %u stale %u agreed",
	       addr_format(&s->remote, a), ipc_state_name(s->state), s->hold_time, s->families, s->received,
	       s->accepted, s->advertised, (unsigned long long)s->updates_in,
	       (unsigned long long)s->updates_out, s->flaps, s->rejected, s->stale);
	for (size_t i = 0; i < ARRAY_SIZE(agreed_names); i++)
		if (s->agreed & 1u << i)
			printf("%s%s", i && s->agreed & ((1u << i) - 1) ? "," : " ", agreed_names[i]);
	printf(" reason %s\n", s->reason);
}

static void print_path(const struct ipc_path *s)
{
	char p[PREFIX_STR_MAX], a[ADDR_STR_MAX], b[ADDR_STR_MAX];

	printf("path %s via %s from %s id %u pref %u aslen %u first %u med %u%s%s [%s]: %s\n",
	       prefix_format(&s->prefix, p), addr_format(&s->nexthop, a), addr_format(&s->peer, b),
	       s->path_id, s->local_pref, s->as_path_len, s->first_asn, s->med, s->best ? " best" : "",
	       s->stale ? " stale" : "", s->attrs, s->why);
}

static void print_msg(const struct ipc_msg *m)
{
	char p[PREFIX_STR_MAX], a[ADDR_STR_MAX];

	stamp();
	switch (m->type) {
	case IPC_HELLO:
		printf("hello listen %u\n", m->hello.nlisten);
		break;
	case IPC_ROUTE:
		print_route(&m->route);
		break;
	case IPC_ROUTE_GONE:
		printf("gone %s\n", prefix_format(&m->route.prefix, p));
		break;
	case IPC_SYNCED:
		puts("synced");
		break;
	case IPC_PEER_STATE:
		print_peer(&m->state);
		break;
	case IPC_PATH:
		print_path(&m->path);
		break;
	case IPC_DUMP_END:
		puts("dump-end");
		break;
	case IPC_WATCH:
		printf("watch %s\n", addr_format(&m->nexthop.addr, a));
		break;
	case IPC_UNWATCH:
		printf("unwatch %s\n", addr_format(&m->nexthop.addr, a));
		break;
	default:
		printf("type %d\n", (int)m->type);
	}
}

static void answer_watch(struct drive *d, const struct addr *a)
{
	struct ipc_msg m = { .type = IPC_NEXTHOP, .nexthop = { .addr = *a, .reachable = true } };

	send_msg(d, &m, -1);
}

static void take_news(struct drive *d, const struct ipc_msg *m)
{
	if (d->reachable && m->type == IPC_WATCH)
		answer_watch(d, &m->nexthop.addr);
	if (!d->quiet || m->type == IPC_HELLO || m->type == IPC_SYNCED || m->type == IPC_PEER_STATE)
		print_msg(m);
}

static void hear(struct drive *d)
{
	uint8_t bytes[IPC_MSG_MAX];
	struct ipc_msg m;
	struct err e = { 0 };
	ssize_t n = recv(d->fd, bytes, sizeof(bytes), 0);

	if (n <= 0) {
		stamp();
		puts("speaker gone");
		exit(1);
	}
	struct rd r = rd_of(bytes, (size_t)n);
	while (rd_left(&r)) {
		if (ipc_next(&r, &m, &e) < 0) {
			fprintf(stderr, "%s\n", e.msg);
			exit(1);
		}
		take_news(d, &m);
	}
}

static pid_t start_speaker(const char *path, bool debug)
{
	struct speaker_opts o = { .uid = 65534,
				  .gid = 65534,
				  .log_level = debug ? LOG_LEVEL_DEBUG : LOG_LEVEL_WARN };
	pid_t pid;

	snprintf(o.path, sizeof(o.path), "%s", path);
	if (geteuid() != 0) {
		o.uid = geteuid();
		o.gid = getegid();
	}
	pid = fork();
	if (pid < 0)
		die("fork");
	if (pid == 0)
		_exit(speaker_main(&o));
	return pid;
}

int main(int argc, char **argv)
{
	struct drive d = { .fd = -1 };
	char line[1024];

	if (argc < 2) {
		fputs("usage: speaker_drive SOCKET [debug]\n", stderr);
		return 2;
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	setvbuf(stdin, NULL, _IONBF, 0);
	d.path = argv[1];
	d.child = start_speaker(d.path, argc > 2);
	connect_speaker(&d);
	stamp();
	printf("speaker pid %d\n", (int)d.child);
	while (!d.done) {
		struct pollfd p[] = { { .fd = d.fd, .events = POLLIN }, { .fd = 0, .events = POLLIN } };
		if (poll(p, 2, -1) < 0 && errno != EINTR)
			die("poll");
		if (p[0].revents)
			hear(&d);
		if (!p[1].revents || p[0].revents)
			continue;
		if (!fgets(line, sizeof(line), stdin))
			snprintf(line, sizeof(line), "quit");
		say(&d, line);
	}
	return 0;
}
