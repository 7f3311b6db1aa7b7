/*
 * blast: many BGP sessions from one process to one speaker: it announces what was encoded beforehand and
 * counts exactly what comes back. Every session has an address of its own, which need not be configured: a
 * local route for the whole range is enough. A session that hears keeps one bit for each prefix of the plan,
 * so nothing is counted twice and nothing missing is overlooked; its own prefixes it has from the start.
 *
 *	blast TO FROM [WORD VALUE]...
 *
 * TO is the speaker, FROM the first session's address. Words: sessions N; feeds N (the first N announce, the
 * others hear) or all 1 (everybody does both); prefixes N of each feed; length BITS; fresh N (new attributes
 * every N prefixes, 0 = all share them); path N (AS numbers besides the own one); as N, as-step N, to-as N;
 * dials N (connections in the making at once); tick MS (a KEEPALIVE from the first session so often); limit
 *S.
 *
 * It connects everything, says {"up": SECONDS} and waits for orders on standard input; each is answered with
 * one line of JSON:  feed  |  flap N  |  withdraw  |  quit.
 */
#include "kit.h"

#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

enum { HEADER = 19, MSG_MAX = 4096, READ_MAX = 256 * 1024, PLAN_FIRST = 100u << 24, RETRY_NS = 50 * 1000000 };
enum { OPEN = 1, UPDATE, NOTIFICATION, KEEPALIVE };
enum state { CLOSED, CONNECTING, OPENSENT, OPENCONFIRM, UP };

struct session {
	int fd;
	enum state state;
	bool feeds, hears, done, writing;
	uint32_t number, addr, asn;
	int64_t retry_at, done_at;
	uint8_t *out; /* what it announces or withdraws, and how much of it TCP has taken */
	size_t nout, out_at;
	uint8_t ctl[512]; /* other messages; a multiple of whole ones unless some of it is sent */
	size_t nctl;
	uint8_t rest[MSG_MAX]; /* the beginning of a message */
	size_t nrest;
	uint64_t *has; /* a bit for each prefix of the plan */
	uint32_t nhas;
};

struct counts {
	uint64_t messages, bytes, prefixes, withdrawn, again, strange;
};

struct blast {
	struct session *s;
	int epoll;
	struct sockaddr_in to;
	uint32_t first, sessions, feeds, prefixes, length, fresh, path, asn, as_step, to_asn, dials, tick,
		limit;
	bool all;
	uint32_t total, up, dialling, hearers, done;
	int64_t keepalive_at, tick_at, first_route;
	bool adding;	  /* which way the plan is going */
	uint32_t watched; /* a prefix, and how many hearers have it */
	uint32_t have_watched;
	struct counts counts;
	uint8_t buf[MSG_MAX + READ_MAX + 8];
	uint8_t order[256];
	size_t norder;
};

static double cpu_seconds(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

/* ---- messages ---- */

static uint8_t *put16(uint8_t *p, uint32_t v)
{
	*p++ = (uint8_t)(v >> 8);
	*p++ = (uint8_t)v;
	return p;
}

static uint8_t *put32(uint8_t *p, uint32_t v)
{
	return put16(put16(p, v >> 16), v);
}

static uint8_t *begin(uint8_t *p, uint8_t type)
{
	memset(p, 0xff, 16);
	p[18] = type;
	return p + HEADER;
}

static void end(uint8_t *start, const uint8_t *p)
{
	put16(start + 16, (uint32_t)(p - start));
}

static uint8_t *put_open(const struct session *s, uint8_t *p)
{
	/* IPv4 unicast, route refresh, four-octet AS numbers */
	static const uint8_t caps[] = { 2, 14, 1, 4, 0, 1, 0, 1, 2, 0, 65, 4 };
	uint8_t *start = p;

	p = begin(p, OPEN);
	*p++ = 4;
	p = put16(p, s->asn > 0xffff ? 23456 : s->asn);
	p = put16(p, 240);
	p = put32(p, s->addr);
	*p++ = sizeof(caps) + 4;
	memcpy(p, caps, sizeof(caps));
	p = put32(p + sizeof(caps), s->asn);
	end(start, p);
	return p;
}

static uint8_t *put_prefix(const struct blast *b, uint8_t *p, uint32_t i)
{
	uint32_t addr = PLAN_FIRST + (i << (32 - b->length));

	*p++ = (uint8_t)b->length;
	for (uint32_t bits = 0; bits < b->length; bits += 8)
		*p++ = (uint8_t)(addr >> (24 - bits));
	return p;
}

static uint8_t *put_attrs(const struct blast *b, const struct session *s, uint8_t *p, uint32_t set)
{
	bool ibgp = b->asn == b->to_asn;
	uint32_t n = b->path + !ibgp;

	memcpy(p, (uint8_t[]){ 0x40, 1, 1, 0, 0x40, 2 }, 6);
	p += 6;
	*p++ = (uint8_t)(n ? 2 + 4 * n : 0);
	if (n) {
		*p++ = 2;
		*p++ = (uint8_t)n;
	}
	if (!ibgp)
		p = put32(p, s->asn);
	for (uint32_t i = 0; i < b->path; i++)
		p = put32(p, i + 1 == b->path ? 1000000 + set : 200000 + i);
	memcpy(p, (uint8_t[]){ 0x40, 3, 4 }, 3);
	p = put32(p + 3, s->addr);
	if (ibgp) {
		memcpy(p, (uint8_t[]){ 0x40, 5, 4 }, 3);
		p = put32(p + 3, 100);
	}
	return p;
}

/* One UPDATE with up to n prefixes from i on, all with the same attributes; says how many went in. */
static uint8_t *put_update(const struct blast *b, const struct session *s, uint8_t *start, uint32_t i,
			   uint32_t n, uint32_t *done)
{
	uint8_t *p = put16(begin(start, UPDATE), 0), *len = p;

	p = put_attrs(b, s, p + 2, b->fresh ? i / b->fresh : 0);
	put16(len, (uint32_t)(p - len - 2));
	for (*done = 0; *done < n && p - start < MSG_MAX - 5; ++*done)
		p = put_prefix(b, p, i + *done);
	end(start, p);
	return p;
}

static uint8_t *put_withdrawal(const struct blast *b, uint8_t *start, uint32_t i, uint32_t n, uint32_t *done)
{
	uint8_t *len = begin(start, UPDATE), *p = len + 2;

	for (*done = 0; *done < n && p - start < MSG_MAX - 7; ++*done)
		p = put_prefix(b, p, i + *done);
	put16(len, (uint32_t)(p - len - 2));
	p = put16(p, 0);
	end(start, p);
	return p;
}

static void prepare(const struct blast *b, struct session *s, bool adding)
{
	uint32_t from = s->number * b->prefixes, to = from + b->prefixes, k;
	size_t cap = 0;

	free(s->out);
	s->out = NULL;
	s->nout = s->out_at = 0;
	for (uint32_t i = from; i < to; i += k) {
		if (cap - s->nout < MSG_MAX) {
			cap = cap ? cap * 2 : MSG_MAX;
			s->out = realloc(s->out, cap);
			if (!s->out)
				errx(1, "no memory");
		}
		uint32_t n = to - i;
		if (b->fresh && b->fresh - i % b->fresh < n)
			n = b->fresh - i % b->fresh;
		uint8_t *p = s->out + s->nout;
		s->nout += (size_t)((adding ? put_update(b, s, p, i, n, &k)
					    : put_withdrawal(b, p, i, to - i, &k)) -
				    p);
	}
	uint8_t *fit = realloc(s->out, s->nout);
	s->out = fit ? fit : s->out;
}

/* ---- connections ---- */

static void fail(const struct session *s, const char *what)
{
	struct in_addr a = { htonl(s->addr) };

	errx(3, "session of %s: %s", inet_ntoa(a), what);
}

static void watch(struct blast *b, struct session *s, bool writing)
{
	struct epoll_event ev = { .events = EPOLLIN | (writing ? EPOLLOUT : 0), .data.ptr = s };

	if (s->writing != writing && epoll_ctl(b->epoll, EPOLL_CTL_MOD, s->fd, &ev) < 0)
		err(1, "epoll_ctl");
	s->writing = writing;
}

static void dial(struct blast *b, struct session *s)
{
	struct sockaddr_in from = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(s->addr) };
	struct epoll_event ev = { .events = EPOLLIN | EPOLLOUT, .data.ptr = s };
	int one = 1;

	s->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (s->fd < 0 || setsockopt(s->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof(one)) < 0 ||
	    setsockopt(s->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)) < 0 ||
	    bind(s->fd, (struct sockaddr *)&from, sizeof(from)) < 0)
		err(1, "socket");
	if (connect(s->fd, (struct sockaddr *)&b->to, sizeof(b->to)) < 0 && errno != EINPROGRESS)
		err(1, "connect");
	if (epoll_ctl(b->epoll, EPOLL_CTL_ADD, s->fd, &ev) < 0)
		err(1, "epoll_ctl");
	s->writing = true;
	s->state = CONNECTING;
	s->nctl = s->nrest = 0;
	b->dialling++;
}

/* Before it is up a connection may fail, as the speaker may not listen yet; afterwards it must not. */
static void lost(struct blast *b, struct session *s, const char *why)
{
	if (s->state == UP)
		fail(s, why);
	close(s->fd);
	s->state = CLOSED;
	s->retry_at = now() + RETRY_NS;
	b->dialling--;
}

static bool give(struct blast *b, struct session *s, const uint8_t *bytes, size_t n, size_t *took)
{
	ssize_t k = send(s->fd, bytes, n, MSG_NOSIGNAL | MSG_DONTWAIT);

	if (k < 0 && errno != EAGAIN) {
		lost(b, s, strerror(errno));
		return false;
	}
	*took = k > 0 ? (size_t)k : 0;
	return *took == n;
}

/* Never tears a message: the stream of UPDATEs once begun is finished before anything else is sent. */
static void flush(struct blast *b, struct session *s)
{
	size_t k;

	if (s->nctl && (!s->out_at || s->out_at == s->nout)) {
		bool all = give(b, s, s->ctl, s->nctl, &k);
		if (s->state == CLOSED)
			return;
		s->nctl -= k;
		memmove(s->ctl, s->ctl + k, s->nctl);
		if (!all) {
			watch(b, s, true);
			return;
		}
	}
	bool more = false;
	if (s->out_at < s->nout && s->state == UP) {
		more = !give(b, s, s->out + s->out_at, s->nout - s->out_at, &k);
		s->out_at += k;
	}
	watch(b, s, more);
}

static void say(struct blast *b, struct session *s, const uint8_t *bytes, size_t n)
{
	if (s->nctl + n > sizeof(s->ctl))
		return; /* the speaker takes nothing; a KEEPALIVE more would not help */
	memcpy(s->ctl + s->nctl, bytes, n);
	s->nctl += n;
	flush(b, s);
}

static void say_keepalive(struct blast *b, struct session *s)
{
	uint8_t m[HEADER];

	end(m, begin(m, KEEPALIVE));
	if (!s->out_at || s->out_at == s->nout)
		say(b, s, m, sizeof(m));
}

static void connected(struct blast *b, struct session *s)
{
	uint8_t m[MSG_MAX];
	int error = 0;
	socklen_t len = sizeof(error);

	getsockopt(s->fd, SOL_SOCKET, SO_ERROR, &error, &len);
	if (error) {
		lost(b, s, strerror(error));
		return;
	}
	s->state = OPENSENT;
	say(b, s, m, (size_t)(put_open(s, m) - m));
}

/* ---- counting ---- */

static void completed(struct blast *b, struct session *s)
{
	uint32_t own = s->feeds ? b->prefixes : 0;

	if (s->done || s->nhas != (b->adding ? b->total : own))
		return;
	s->done = true;
	s->done_at = now();
	b->done++;
}

static void change(struct blast *b, struct session *s, uint32_t i, bool add)
{
	uint64_t *word = &s->has[i / 64], bit = 1ull << i % 64;
	bool had = *word & bit;

	if (had == add) {
		b->counts.again++;
		return;
	}
	*word ^= bit;
	s->nhas += add ? 1 : -1u;
	if (i == b->watched)
		b->have_watched += add ? 1 : -1u;
}

/* Speakers differ in whether they tell a feed its own routes: that neither helps nor hurts. */
static bool is_own(const struct blast *b, const struct session *s, uint32_t i)
{
	return s->feeds && i - s->number * b->prefixes < b->prefixes;
}

/* The buffer goes on after the message, so four octets can always be read. */
static uint32_t address_at(const uint8_t *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return ntohl(v);
}

static void take_prefixes(struct blast *b, struct session *s, const uint8_t *p, const uint8_t *stop, bool add)
{
	uint32_t shift = 32 - b->length, octets = (b->length + 7) / 8, strange = 0, n = 0;

	for (; p < stop; n++) {
		uint32_t len = *p, i = (address_at(p + 1) - PLAN_FIRST) >> shift;
		p += len == b->length ? 1 + octets : 1 + (len + 7) / 8;
		if (len != b->length || i >= b->total)
			strange++;
		else if (s->hears && !is_own(b, s, i))
			change(b, s, i, add);
	}
	if (p != stop)
		fail(s, "a malformed prefix");
	b->counts.strange += strange;
	*(add ? &b->counts.prefixes : &b->counts.withdrawn) += n;
}

static void take_update(struct blast *b, struct session *s, const uint8_t *p, size_t n)
{
	size_t withdrawn = n < 4 ? SIZE_MAX : (size_t)p[0] << 8 | p[1];

	if (withdrawn > n - 4)
		fail(s, "a malformed UPDATE");
	size_t attrs = (size_t)p[2 + withdrawn] << 8 | p[3 + withdrawn];
	if (attrs > n - 4 - withdrawn)
		fail(s, "a malformed UPDATE");
	if (n > 4 && !b->first_route)
		b->first_route = now();
	take_prefixes(b, s, p + 2, p + 2 + withdrawn, false);
	take_prefixes(b, s, p + 4 + withdrawn + attrs, p + n, true);
}

static void now_up(struct blast *b, struct session *s)
{
	s->state = UP;
	b->up++;
	b->dialling--;
}

static void take_message(struct blast *b, struct session *s, const uint8_t *m, size_t n)
{
	char text[64];

	b->counts.messages++;
	if (m[18] == UPDATE && s->state == UP) {
		take_update(b, s, m + HEADER, n - HEADER);
	} else if (m[18] == OPEN && s->state == OPENSENT) {
		s->state = OPENCONFIRM;
		say_keepalive(b, s);
	} else if (m[18] == KEEPALIVE && s->state == OPENCONFIRM) {
		now_up(b, s);
	} else if (m[18] == NOTIFICATION && n >= HEADER + 2) {
		snprintf(text, sizeof(text), "NOTIFICATION %u/%u", m[HEADER], m[HEADER + 1]);
		lost(b, s, text);
	}
}

/* All whole messages; says how many bytes they were. */
static size_t take_messages(struct blast *b, struct session *s, const uint8_t *p, size_t n)
{
	size_t at = 0;

	while (n - at >= HEADER && s->state >= OPENSENT) {
		size_t len = (size_t)p[at + 16] << 8 | p[at + 17];
		if (len < HEADER || len > MSG_MAX)
			fail(s, "a malformed message");
		if (len > n - at)
			break;
		take_message(b, s, p + at, len);
		at += len;
	}
	return at;
}

static void readable(struct blast *b, struct session *s)
{
	memcpy(b->buf, s->rest, s->nrest);
	ssize_t k = recv(s->fd, b->buf + s->nrest, READ_MAX, MSG_DONTWAIT);
	if (k < 0 && errno == EAGAIN)
		return;
	if (k <= 0) {
		lost(b, s, k ? strerror(errno) : "closed by the speaker");
		return;
	}
	b->counts.bytes += (uint64_t)k;
	size_t n = s->nrest + (size_t)k, took = take_messages(b, s, b->buf, n);
	if (s->state == CLOSED)
		return;
	s->nrest = n - took;
	memcpy(s->rest, b->buf + took, s->nrest);
	if (s->hears)
		completed(b, s);
}

/* ---- the loop ---- */

static void take_order(struct blast *b)
{
	ssize_t n = read(STDIN_FILENO, b->order + b->norder, sizeof(b->order) - 1 - b->norder);

	if (n <= 0)
		exit(0);
	b->norder += (size_t)n;
}

static void keep_alive(struct blast *b, int64_t t)
{
	if (b->tick && t >= b->tick_at) {
		b->tick_at = t + (int64_t)b->tick * 1000000;
		if (b->s[0].state == UP)
			say_keepalive(b, &b->s[0]);
	}
	if (t < b->keepalive_at)
		return;
	b->keepalive_at = t + 30ll * 1000000000;
	for (uint32_t i = 0; i < b->sessions; i++)
		if (b->s[i].state == UP)
			say_keepalive(b, &b->s[i]);
}

static void poll_once(struct blast *b, int ms)
{
	struct epoll_event ev[256];
	int n = epoll_wait(b->epoll, ev, 256, b->tick && (int)b->tick < ms ? (int)b->tick : ms);

	for (int i = 0; i < n; i++) {
		struct session *s = ev[i].data.ptr;
		if (!s) {
			take_order(b);
			continue;
		}
		if (s->state == CONNECTING)
			connected(b, s);
		else if (ev[i].events & EPOLLOUT)
			flush(b, s);
		if (s->state > CONNECTING && ev[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR))
			readable(b, s);
	}
	keep_alive(b, now());
}

static void connect_all(struct blast *b)
{
	int64_t started = now(), stop = started + b->limit * 1000000000ll;

	while (b->up < b->sessions) {
		int64_t t = now();
		for (uint32_t i = 0; i < b->sessions && b->dialling < b->dials; i++)
			if (b->s[i].state == CLOSED && t >= b->s[i].retry_at)
				dial(b, &b->s[i]);
		poll_once(b, 10);
		if (t > stop)
			errx(4, "%u of %u sessions are up after %u s", b->up, b->sessions, b->limit);
	}
	printf("{\"up\": %.6f}\n", (double)(now() - started) / 1e9);
	fflush(stdout);
}

/* ---- orders ---- */

static int by_time(const void *x, const void *y)
{
	int64_t a = *(const int64_t *)x, b = *(const int64_t *)y;

	return a < b ? -1 : a > b;
}

static void report(const struct blast *b, int64_t started, double cpu)
{
	int64_t *at = calloc(b->hearers ? b->hearers : 1, sizeof(*at)), stopped = now();
	uint32_t n = 0;

	for (uint32_t i = 0; i < b->sessions; i++)
		if (b->s[i].hears)
			at[n++] = (b->s[i].done ? b->s[i].done_at : stopped) - started;
	qsort(at, n, sizeof(*at), by_time);
	const struct counts *c = &b->counts;
	printf("{\"complete\": %s, \"hearers\": %u, \"done\": %u, \"last\": %.6f, \"median\": %.6f, "
	       "\"first_route\": %.6f, "
	       "\"cpu\": %.6f, \"messages\": %llu, \"bytes\": %llu, \"prefixes\": %llu, \"withdrawn\": %llu, "
	       "\"again\": %llu, "
	       "\"strange\": %llu}\n",
	       b->done == b->hearers ? "true" : "false", b->hearers, b->done, n ? (double)at[n - 1] / 1e9 : 0,
	       n ? (double)at[n / 2] / 1e9 : 0, b->first_route ? (double)(b->first_route - started) / 1e9 : 0,
	       cpu_seconds() - cpu, (unsigned long long)c->messages, (unsigned long long)c->bytes,
	       (unsigned long long)c->prefixes, (unsigned long long)c->withdrawn,
	       (unsigned long long)c->again, (unsigned long long)c->strange);
	fflush(stdout);
	free(at);
}

/* Everybody announces or withdraws at once, until every hearer has it all, or nothing any more. */
static void run(struct blast *b, bool adding)
{
	b->adding = adding;
	b->done = 0;
	b->first_route = 0;
	b->counts = (struct counts){ 0 };
	for (uint32_t i = 0; i < b->sessions; i++) {
		struct session *s = &b->s[i];
		if (s->feeds)
			prepare(b, s, adding);
		s->done = false;
		if (s->hears)
			completed(b, s);
	}
	double cpu = cpu_seconds();
	int64_t started = now(), stop = started + b->limit * 1000000000ll;
	for (uint32_t i = 0; i < b->sessions; i++)
		if (b->s[i].feeds)
			flush(b, &b->s[i]);
	while (b->done < b->hearers && now() < stop)
		poll_once(b, 100);
	report(b, started, cpu);
}

static void rest_for(struct blast *b, int64_t ns)
{
	for (int64_t stop = now() + ns; now() < stop;)
		poll_once(b, 5);
}

/* The first session takes its first prefix back and announces it again; until the last of the others knows.
 */
static void flap(struct blast *b, uint32_t times)
{
	struct session *s = &b->s[0];
	uint32_t others = b->hearers - s->hears, k;
	uint8_t m[MSG_MAX];
	const char *sep = "";

	printf("{\"ms\": [");
	rest_for(b, 500 * 1000000);
	for (uint32_t i = 0; i < 2 * times; i++) {
		bool add = i % 2;
		uint8_t *stop = add ? put_update(b, s, m, 0, 1, &k) : put_withdrawal(b, m, 0, 1, &k);
		int64_t started = now(), limit = started + 10ll * 1000000000;
		say(b, s, m, (size_t)(stop - m));
		while (b->have_watched != (add ? others : 0) && now() < limit)
			poll_once(b, 5);
		printf("%s%.3f", sep, (double)(now() - started) / 1e6);
		sep = ", ";
		rest_for(b, 100 * 1000000);
	}
	printf("]}\n");
	fflush(stdout);
}

static bool obey(struct blast *b)
{
	char *line = (char *)b->order;

	line[b->norder] = '\0';
	char *nl = strchr(line, '\n');
	if (!nl)
		return true;
	*nl = '\0';
	if (!strcmp(line, "feed"))
		run(b, true);
	else if (!strcmp(line, "withdraw"))
		run(b, false);
	else if (!strncmp(line, "flap ", 5))
		flap(b, (uint32_t)atoi(line + 5));
	else if (!strcmp(line, "quit"))
		return false;
	else
		errx(2, "unknown order: %s", line);
	b->norder -= (size_t)(nl + 1 - line);
	memmove(line, nl + 1, b->norder);
	return true;
}

static uint32_t *word(struct blast *b, const char *w)
{
	const struct {
		const char *name;
		uint32_t *value;
	} words[] = {
		{ "sessions", &b->sessions },
		{ "feeds", &b->feeds },
		{ "prefixes", &b->prefixes },
		{ "length", &b->length },
		{ "fresh", &b->fresh },
		{ "path", &b->path },
		{ "as", &b->asn },
		{ "as-step", &b->as_step },
		{ "to-as", &b->to_asn },
		{ "dials", &b->dials },
		{ "tick", &b->tick },
		{ "limit", &b->limit },
	};

	for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++)
		if (!strcmp(w, words[i].name))
			return words[i].value;
	errx(2, "unknown word: %s", w);
}

static void options(struct blast *b, int argc, char **argv)
{
	struct in_addr from;

	if (argc < 3 || argc % 2 == 0)
		errx(2, "blast TO FROM [WORD VALUE]...");
	b->to = (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = htons(179) };
	if (inet_pton(AF_INET, argv[1], &b->to.sin_addr) != 1 || inet_pton(AF_INET, argv[2], &from) != 1)
		errx(2, "TO and FROM are IPv4 addresses");
	b->first = ntohl(from.s_addr);
	for (int i = 3; i < argc; i += 2) {
		if (!strcmp(argv[i], "all"))
			b->all = strcmp(argv[i + 1], "0");
		else
			*word(b, argv[i]) = (uint32_t)strtoul(argv[i + 1], NULL, 10);
	}
	if (b->all)
		b->feeds = b->sessions;
	if (b->feeds > b->sessions || b->length < 8 || b->length > 32 || !b->prefixes ||
	    b->fresh > b->prefixes)
		errx(2, "these numbers do not fit together");
}

static void add_session(struct blast *b, uint32_t i)
{
	struct session *s = &b->s[i];

	*s = (struct session){ .number = i, .addr = b->first + i, .asn = b->asn + i * b->as_step };
	s->feeds = i < b->feeds;
	s->hears = b->all || !s->feeds;
	if (!s->hears)
		return;
	b->hearers++;
	s->has = calloc(b->total / 64 + 1, sizeof(*s->has));
	if (!s->has)
		errx(1, "no memory");
	for (uint32_t k = 0; s->feeds && k < b->prefixes; k++) {
		uint32_t p = i * b->prefixes + k;
		s->has[p / 64] |= 1ull << p % 64;
		s->nhas++;
	}
}

int main(int argc, char **argv)
{
	static struct blast b = { .sessions = 2,
				  .feeds = 1,
				  .prefixes = 1000,
				  .length = 24,
				  .asn = 65001,
				  .to_asn = 65000,
				  .dials = 32,
				  .limit = 60 };

	options(&b, argc, argv);
	b.epoll = epoll_create1(EPOLL_CLOEXEC);
	struct epoll_event ev = { .events = EPOLLIN };
	if (b.epoll < 0 || epoll_ctl(b.epoll, EPOLL_CTL_ADD, STDIN_FILENO, &ev) < 0)
		err(1, "epoll");
	b.s = calloc(b.sessions, sizeof(*b.s));
	b.total = b.feeds * b.prefixes;
	if (!b.s)
		errx(1, "no memory");
	for (uint32_t i = 0; i < b.sessions; i++)
		add_session(&b, i);
	b.keepalive_at = now() + 30ll * 1000000000;
	connect_all(&b);
	while (obey(&b))
		if (!memchr(b.order, '\n', b.norder))
			poll_once(&b, 1000);
	return 0;
}
