/*
 * Requests to rtnetlink (netlink(7), rtnetlink(7)).
 *
 * The kernel carries a request out inside sendmsg() and has queued every acknowledgement when that returns,
 * so nothing here waits in practice. But a socket from elsewhere may be shared with somebody who eats our
 * answers: hence poll() with a bound, a bound on what is ignored, and a socket that failed once in that way
 * is never used again.
 */
#include "kern/msg.h"
#include "kern/parse.h"

#include "base/check.h"
#include "kern/inside.h"

#include <fcntl.h>
#include <linux/netlink.h>
#include <linux/sockios.h>
#include <poll.h>
#include <stdalign.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <sys/stat.h>

#define RX_SIZE	     (64 * 1024) /* the kernel fills at most 32 KiB per datagram of a dump */
#define DUMP_MAX     ((size_t)512 * 1024 * 1024)
#define DUMP_MAX_POD ((size_t)16 * 1024 * 1024) /* of a socket that others may hold, too */
#define IGNORED_MAX  4096			/* datagrams that answer nothing of ours, per request */
#define DUMP_TRIES   10

/* What became of one request. */
struct result {
	uint64_t tag;
	uint32_t seq;
	bool known;
	int code;
	char *text; /* NULL = none */
};

struct nl {
	int fd;
	uint32_t port;
	bool adopted;
	bool batching;
	bool lost;	   /* the kernel could not queue some answer to the request under way */
	int dead;	   /* an errno: the socket is not used again */
	struct err failed; /* why the open batch cannot go on */
	uint32_t seq;
	uint64_t tag;		/* of the next request */
	struct result *results; /* of the open batch, in order */
	size_t nresults, cap;
	size_t flush_at;	/* so many queued requests are sent by themselves */
	size_t queued;		/* the last so many results belong to messages in tx */
	size_t tx_len, tx_last; /* bytes, and where the last message begins */
	uint8_t *tx, *rx;
	alignas(struct nlmsghdr) uint8_t msg[NL_MSG_MAX];
};

static void set_int(int fd, int level, int opt, int v)
{
	/* Each of these is a comfort that older kernels lack and that nothing depends on. */
	(void)setsockopt(fd, level, opt, &v, sizeof(v));
}

static struct nl *nl_new(int fd, bool adopted)
{
	struct nl *nl = xcalloc(1, sizeof(*nl));

	nl->fd = fd;
	nl->adopted = adopted;
	nl->flush_at = NL_BATCH_MAX;
	nl->tx = xmalloc(nl->flush_at * NL_MSG_MAX);
	nl->rx = xmalloc(RX_SIZE);
	/* Unguessable, so that a co-owner of the socket cannot prepare answers; any value will do if this
	 * fails. */
	if (getrandom(&nl->seq, sizeof(nl->seq), GRND_NONBLOCK) < 0)
		nl->seq = 1;
	set_int(fd, SOL_NETLINK, NETLINK_EXT_ACK, 1);
	set_int(fd, SOL_NETLINK, NETLINK_CAP_ACK, 1);
	set_int(fd, SOL_NETLINK, NETLINK_GET_STRICT_CHK, 1);
	set_int(fd, SOL_SOCKET, SO_RCVBUF, 1024 * 1024);
	set_int(fd, SOL_SOCKET, SO_RCVBUFFORCE, 1024 * 1024);
	return nl;
}

int nl_open(struct nl **ret, struct err *e)
{
	struct sockaddr_nl own = { .nl_family = AF_NETLINK };
	socklen_t len = sizeof(own);
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);

	if (fd < 0)
		return err_set(e, errno, "open a netlink socket: %m");
	*ret = nl_new(fd, false);
	if (!bind(fd, (struct sockaddr *)&own, sizeof(own)) &&
	    !getsockname(fd, (struct sockaddr *)&own, &len))
		(*ret)->port = own.nl_pid;
	return 0;
}

uint32_t nl_port(const struct nl *nl)
{
	return nl->port;
}

static bool sock_opt_is(int fd, int opt, int want)
{
	int v = -1;
	socklen_t n = sizeof(v);

	return !getsockopt(fd, SOL_SOCKET, opt, &v, &n) && n == sizeof(v) && v == want;
}

/* Listens to no group. The bit set that the kernel gives covers groups above 32, too. */
static bool has_no_groups(int fd)
{
	uint32_t sets[16] = { 0 };
	socklen_t n = sizeof(sets);

	if (getsockopt(fd, SOL_NETLINK, NETLINK_LIST_MEMBERSHIPS, sets, &n) < 0)
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(sets); i++)
		if (sets[i])
			return false;
	return true;
}

static bool is_unconnected(int fd)
{
	struct sockaddr_nl peer = { 0 };
	socklen_t n = sizeof(peer);

	return !getpeername(fd, (struct sockaddr *)&peer, &n) && n == sizeof(peer) && !peer.nl_pid &&
	       !peer.nl_groups;
}

int nl_adopt(int fd, struct nl **ret, struct err *e)
{
	struct timeval wait = { .tv_sec = NL_WAIT_MS / 1000, .tv_usec = NL_WAIT_MS % 1000 * 1000 };

	if (!sock_opt_is(fd, SO_DOMAIN, AF_NETLINK) || !sock_opt_is(fd, SO_PROTOCOL, NETLINK_ROUTE))
		return err_set(e, EINVAL, "the descriptor is not an rtnetlink socket");
	if (!is_unconnected(fd))
		return err_set(e, EINVAL, "the rtnetlink socket is connected to somebody");
	if (!has_no_groups(fd))
		return err_set(e, EINVAL, "the rtnetlink socket listens to groups");
	if (fcntl(fd, F_SETFD, FD_CLOEXEC) < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait)) < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof(wait)) < 0)
		return err_set(e, errno, "prepare the rtnetlink socket: %m");
	*ret = nl_new(fd, true);
	return 0;
}

static void forget_results(struct nl *nl)
{
	for (size_t i = 0; i < nl->nresults; i++)
		free(nl->results[i].text);
	nl->nresults = 0;
}

void nl_free(struct nl *nl)
{
	if (!nl)
		return;
	forget_results(nl);
	free(nl->results);
	free(nl->tx);
	free(nl->rx);
	close(nl->fd);
	free(nl);
}

int nl_is_in(const struct nl *nl, int nsfd)
{
	own_fd int own = ioctl(nl->fd, SIOCGSKNS);
	struct stat a, b;

	if (own < 0 || fstat(own, &a) < 0 || fstat(nsfd, &b) < 0)
		return -errno;
	return a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

static int open_here(void *arg, struct err *e)
{
	int *fd = arg;

	*fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	return *fd < 0 ? err_set(e, errno, "open a netlink socket: %m") : 0;
}

int nl_socket_in(int nsfd, struct err *e)
{
	int fd = -1;
	int r = inside_run(nsfd, open_here, &fd, e);

	return r < 0 ? r : fd;
}

/* Answers -code. A socket from elsewhere that misbehaved once is not used again: its owner shall not hold us
 * up for every request. One of our own is as good as before, because no number of a request is used twice. */
static int misbehaved(struct nl *nl, int code, struct err *e, const char *what)
{
	if (nl->adopted)
		nl->dead = code;
	return err_set(e, code, "%s: %m", what);
}

static int send_bytes(struct nl *nl, const void *p, size_t n, struct err *e)
{
	struct sockaddr_nl kernel = { .nl_family = AF_NETLINK };

	nl->lost = false;
	for (;;) {
		ssize_t sent = sendto(nl->fd, p, n, 0, (struct sockaddr *)&kernel, sizeof(kernel));
		if (sent == (ssize_t)n)
			return 0;
		if (sent >= 0)
			return misbehaved(nl, EPROTO, e, "the kernel took half a netlink request");
		if (errno != EINTR)
			return err_set(e, errno, "send a netlink request: %m");
	}
}

/* 0 once something can be received. */
static int wait_for_answer(struct nl *nl, struct err *e)
{
	struct pollfd p = { .fd = nl->fd, .events = POLLIN };
	int r;

	do
		r = poll(&p, 1, NL_WAIT_MS);
	while (r < 0 && errno == EINTR);
	if (r == 0)
		return misbehaved(nl, ETIMEDOUT, e, "the kernel's answer did not come");
	return r < 0 ? misbehaved(nl, errno, e, "wait for the kernel's answer") : 0;
}

static int did_not_fit(struct err *e)
{
	return err_set(e, ENOBUFS, "the kernel's answers did not fit: %m");
}

/* The next datagram from the kernel, in nl->rx: its length, or -errno. -ENOBUFS: answers were lost. */
static ssize_t receive(struct nl *nl, unsigned *ignored, struct err *e)
{
	bool lost = false;

	for (;;) {
		struct sockaddr_nl from = { 0 };
		struct iovec v = { nl->rx, RX_SIZE };
		struct msghdr m = {
			.msg_name = &from, .msg_namelen = sizeof(from), .msg_iov = &v, .msg_iovlen = 1
		};
		ssize_t n = recvmsg(nl->fd, &m, MSG_DONTWAIT);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == ENOBUFS) {
			lost = nl->lost = true; /* what is left in the queue is still good */
			continue;
		}
		if (n < 0 && errno == EAGAIN) {
			if (lost || (nl->lost && !nl->adopted))
				return did_not_fit(e);
			int r = wait_for_answer(nl, e);
			if (r < 0)
				return r;
			continue;
		}
		if (n < 0)
			return misbehaved(nl, errno, e, "receive the kernel's answer");
		if (from.nl_family == AF_NETLINK && !from.nl_pid && m.msg_namelen == sizeof(from)) {
			if (m.msg_flags & MSG_TRUNC)
				return misbehaved(nl, EMSGSIZE, e, "the kernel's answer is too long");
			return n;
		}
		if (++*ignored > IGNORED_MAX)
			return misbehaved(nl, EPROTO, e, "somebody floods the netlink socket");
	}
}

struct nlmsghdr *nl_msg(struct nl *nl, uint16_t type, uint16_t flags, const void *body, size_t n)
{
	struct nlmsghdr *m = mnl_nlmsg_put_header(nl->msg);

	m->nlmsg_type = type;
	m->nlmsg_flags = (uint16_t)(NLM_F_REQUEST | flags);
	memcpy(msg_put_header(m, n), body, n);
	return m;
}

/* One datagram of acknowledgements: fills in the results of the queued requests. Returns how many were news.
 */
static size_t take_acks(struct nl *nl, size_t n)
{
	struct result *first = &nl->results[nl->nresults - nl->queued];
	struct rd r = rd_of(nl->rx, n);
	struct nlmsghdr h;
	struct rd body;
	size_t news = 0;

	while (parse_message(&r, &h, &body)) {
		char text[PARSE_TEXT_MAX];
		uint32_t i = h.nlmsg_seq - first->seq; /* wraps like the numbers do */
		int code;

		if (h.nlmsg_type != NLMSG_ERROR || i >= nl->queued || first[i].known)
			continue;
		if (!parse_error(body, h.nlmsg_flags, &code, text))
			continue;
		first[i].known = true;
		first[i].code = code;
		first[i].text = text[0] ? xstrdup(text) : NULL;
		news++;
	}
	return news;
}

static void ask_for_ack(struct nl *nl, size_t at)
{
	struct nlmsghdr h;

	memcpy(&h, nl->tx + at, sizeof(h));
	h.nlmsg_flags |= NLM_F_ACK;
	memcpy(nl->tx + at, &h, sizeof(h));
}

/* The last one is acknowledged: whichever nothing was said about before has succeeded. A socket that others
 * may read from acknowledges each: they could eat the failures. */
static void conclude(struct nl *nl)
{
	struct result *first = &nl->results[nl->nresults - nl->queued];

	for (size_t i = 0; i < nl->queued; i++)
		first[i].known = true;
}

static bool all_known(const struct nl *nl)
{
	const struct result *first = &nl->results[nl->nresults - nl->queued];
	size_t known = 0;

	if (!nl->adopted)
		return first[nl->queued - 1].known;
	for (size_t i = 0; i < nl->queued; i++)
		known += first[i].known;
	return known == nl->queued;
}

static int receive_results(struct nl *nl, struct err *e)
{
	unsigned ignored = 0;

	while (!all_known(nl)) {
		ssize_t n = receive(nl, &ignored, e);
		if (n < 0)
			return (int)n;
		if (!take_acks(nl, (size_t)n) && ++ignored > IGNORED_MAX)
			return misbehaved(nl, EPROTO, e, "the netlink socket answers what was not asked");
	}
	/* A failure may have been among what was lost. */
	if (nl->lost && !nl->adopted)
		return did_not_fit(e);
	conclude(nl);
	return 0;
}

/* Sends what is queued and waits for every result. */
static int flush(struct nl *nl, struct err *e)
{
	if (!nl->queued)
		return 0;
	ask_for_ack(nl, nl->tx_last);
	int r = send_bytes(nl, nl->tx, nl->tx_len, e);
	if (r == 0)
		r = receive_results(nl, e);
	nl->queued = 0;
	nl->tx_len = 0;
	return r;
}

/* Flushes inside a batch: a failure ends the batch, whose end reports it. */
static void flush_batch(struct nl *nl)
{
	struct err e = { 0 };

	if (flush(nl, &e) < 0)
		nl->failed = e;
}

static void queue(struct nl *nl, struct nlmsghdr *m)
{
	if (nl->nresults == nl->cap) {
		nl->cap = nl->cap ? nl->cap * 2 : 16;
		nl->results = xrealloc(nl->results, nl->cap * sizeof(*nl->results));
	}
	m->nlmsg_seq = nl->seq++;
	if (nl->adopted)
		m->nlmsg_flags |= NLM_F_ACK;
	nl->results[nl->nresults++] = (struct result){ .tag = nl->tag, .seq = m->nlmsg_seq };
	nl->tx_last = nl->tx_len;
	memcpy(nl->tx + nl->tx_len, m, m->nlmsg_len);
	nl->tx_len += MNL_ALIGN(m->nlmsg_len);
	nl->queued++;
}

static int fail(int code, const char *text, struct err *e)
{
	return text && *text ? err_set(e, code, "%m (%s)", text) : err_set(e, code, "%m");
}

static int request_now(struct nl *nl, struct nlmsghdr *m, struct err *e)
{
	CHECK(!nl->nresults);
	queue(nl, m);
	int r = flush(nl, e);
	const struct result *res = &nl->results[0];
	if (r == 0 && res->code)
		r = fail(res->code, res->text, e);
	forget_results(nl);
	return r;
}

int nl_request(struct nl *nl, struct nlmsghdr *m, struct err *e)
{
	int r = 0;

	if (nl->dead) {
		r = err_set(e, nl->dead, "the netlink socket failed before: %m");
	} else if (!nl->batching) {
		r = request_now(nl, m, e);
	} else if (nl->failed.code) {
		r = err_set(e, nl->failed.code, "the batch failed before: %m");
	} else {
		queue(nl, m);
		if (nl->queued == nl->flush_at)
			flush_batch(nl);
	}
	nl->tag = 0;
	return r;
}

void nl_batch_begin(struct nl *nl)
{
	CHECK(!nl->batching);
	nl->batching = true;
	nl->failed = (struct err){ 0 };
	nl->tag = 0;
}

void nl_hold(struct nl *nl, size_t n)
{
	/* One more than ever comes, so that none is the one too many. */
	nl->flush_at = n + 1;
	nl->tx = xrealloc(nl->tx, nl->flush_at * NL_MSG_MAX);
	/* The kernel takes no longer datagram than this, and keeps the refusals until they are read. */
	set_int(nl->fd, SOL_SOCKET, SO_SNDBUFFORCE, 1024 * 1024);
}

void nl_batch_send(struct nl *nl)
{
	CHECK(nl->batching);
	if (!nl->failed.code)
		flush_batch(nl);
}

void nl_tag(struct nl *nl, uint64_t tag)
{
	nl->tag = tag;
}

int nl_batch_end(struct nl *nl, nl_result_fn *fn, void *arg, struct err *e)
{
	CHECK(nl->batching);
	if (!nl->failed.code)
		flush_batch(nl);
	own_mem struct result *results = take(nl->results);
	size_t n = nl->nresults;
	int r = -nl->failed.code;
	if (r < 0 && e)
		*e = nl->failed;
	nl->batching = false;
	nl->nresults = nl->cap = 0;
	/* From here on fn may open the next batch. */
	for (size_t i = 0; i < n; i++) {
		if (results[i].known && fn)
			fn(arg, results[i].tag, results[i].code, results[i].text ? results[i].text : "");
		free(results[i].text);
	}
	return r;
}

/* The messages that answer one question, one after the other as they came. */
struct answer {
	uint8_t *p;
	size_t n, cap;
	bool done, interrupted;
	int code;
	char text[PARSE_TEXT_MAX];
};

static void answer_add(struct answer *a, const struct nlmsghdr *h, struct rd body)
{
	size_t len = MNL_ALIGN(h->nlmsg_len);

	if (a->cap - a->n < len) {
		a->cap = MAX(a->cap * 2, a->n + len + 4096);
		a->p = xrealloc(a->p, a->cap);
	}
	memcpy(a->p + a->n, h, sizeof(*h));
	memcpy(a->p + a->n + sizeof(*h), body.at, rd_left(&body));
	memset(a->p + a->n + h->nlmsg_len, 0, len - h->nlmsg_len);
	a->n += len;
}

/* One datagram: false if it has nothing to do with request seq. */
static bool take_answer(struct answer *a, uint32_t seq, struct rd r)
{
	struct nlmsghdr h;
	struct rd body;
	bool ours = false;

	while (!a->done && parse_message(&r, &h, &body)) {
		if (h.nlmsg_seq != seq)
			continue;
		ours = true;
		if (h.nlmsg_flags & NLM_F_DUMP_INTR)
			a->interrupted = true;
		if (h.nlmsg_type == NLMSG_ERROR)
			a->done = parse_error(body, h.nlmsg_flags, &a->code, a->text);
		else if (h.nlmsg_type == NLMSG_DONE)
			a->done = parse_done(body, h.nlmsg_flags, &a->code, a->text);
		else if (h.nlmsg_type >= NLMSG_MIN_TYPE)
			answer_add(a, &h, body);
	}
	return ours;
}

/* Asks once and collects all that comes back. */
static int ask(struct nl *nl, struct nlmsghdr *m, struct answer *a, struct err *e)
{
	unsigned ignored = 0;

	m->nlmsg_seq = nl->seq++;
	int r = send_bytes(nl, m, m->nlmsg_len, e);
	while (r == 0 && !a->done) {
		ssize_t n = receive(nl, &ignored, e);
		if (n < 0)
			return (int)n;
		if (!take_answer(a, m->nlmsg_seq, rd_of(nl->rx, (size_t)n)) && ++ignored > IGNORED_MAX)
			r = misbehaved(nl, EPROTO, e, "the netlink socket answers what was not asked");
		else if (a->n > (nl->adopted ? DUMP_MAX_POD : DUMP_MAX))
			r = misbehaved(nl, EMSGSIZE, e, "the kernel's answer has no end");
	}
	return r < 0 ? r : a->code ? fail(a->code, a->text, e) : 0;
}

static void deliver(const struct answer *a, nl_answer_fn *fn, void *arg)
{
	if (!a->n) /* and a->p is NULL */
		return;
	struct rd r = rd_of(a->p, a->n);
	struct nlmsghdr h;
	struct rd body;

	while (parse_message(&r, &h, &body))
		fn(arg, h.nlmsg_type, body);
}

int nl_query(struct nl *nl, struct nlmsghdr *m, nl_answer_fn *fn, void *arg, struct err *e)
{
	alignas(struct nlmsghdr) uint8_t copy[NL_MSG_MAX]; /* fn and the flush may build others */

	if (nl->dead)
		return err_set(e, nl->dead, "the netlink socket failed before: %m");
	memcpy(copy, m, m->nlmsg_len);
	m = (struct nlmsghdr *)copy;
	if (!(m->nlmsg_flags & NLM_F_DUMP))
		m->nlmsg_flags |= NLM_F_ACK; /* marks the end */
	if (nl->batching && !nl->failed.code)
		flush_batch(nl);
	for (int tries = 0; tries < DUMP_TRIES; tries++) {
		struct answer a = { 0 };
		own_mem uint8_t *mem = NULL;
		int r = ask(nl, m, &a, e);
		mem = a.p;
		if (r < 0)
			return r;
		if (a.interrupted)
			continue;
		deliver(&a, fn, arg);
		return 0;
	}
	return err_set(e, EAGAIN, "the kernel's list changed %d times while it was read", DUMP_TRIES);
}
