/*
 * A connection: the state machine's actions carried out, framing in both directions, timers. RFC 4271
 * sections 4, 6, 8 and 10; RFC 9687.
 */
#include "bgp/state.h"

#define QUEUE_MAX 65536 /* control messages waiting for one slow peer; more and it is not worth waiting */

static struct speaker *speaker_of(const struct conn *c)
{
	return c->peer->s;
}

static void arm(struct conn *c, struct timer *t, usec_t at)
{
	timer_start(speaker_of(c)->timers, t, at);
}

/* What the kernel drops for its signature or its TTL is not seen by anybody: silence is all there is. */
static struct cause no_answer(const struct ipc_peer *to)
{
	const char *hint = to->password[0] && to->ttl_security
				   ? " (so it looks when the passwords differ, or it is too far away)"
			   : to->password[0] ? " (so it looks when the passwords differ)"
			   : to->ttl_security
				   ? " (so it looks when it is further away than ttlSecurity allows)"
				   : "";
	char a[ADDR_STR_MAX];

	return CAUSE("no answer from %s port %u%s", addr_format(&to->remote, a), to->port, hint);
}

/* The peer has just dialled us: it is given a moment to speak before it is dialled as well. */
static bool is_courted(const struct peer *p, usec_t now)
{
	return p->accepted && now - p->accepted->since < SPEAKER_COURT;
}

static void on_retry(struct timer *t, usec_t now)
{
	struct conn *c = container_of(t, struct conn, retry);
	struct speaker *s = speaker_of(c);
	struct cause why = { 0 };

	if (c->state == FSM_ACTIVE && is_courted(c->peer, now)) {
		arm(c, t, now + SPEAKER_COURT);
		return;
	}
	if (c->state == FSM_CONNECT)
		why = no_answer(&c->peer->conf);
	conn_event(c, FSM_RETRY_TIMER, &why, now);
	speaker_wake(s);
}

static void on_hold(struct timer *t, usec_t now)
{
	struct conn *c = container_of(t, struct conn, hold);
	struct speaker *s = speaker_of(c);

	if (now < c->hold_until) {
		arm(c, t, c->hold_until);
		return;
	}
	struct cause why = CAUSE("hold timer expired after %lld s without a message",
				 (long long)((now - c->heard) / SEC));
	notify_set(&why.notify, NOTIFY_HOLD_TIMER, 0, NULL, 0);
	conn_event(c, FSM_HOLD_TIMER, &why, now);
	speaker_wake(s);
}

static void on_send_hold(struct timer *t, usec_t now)
{
	struct conn *c = container_of(t, struct conn, send);
	struct speaker *s = speaker_of(c);
	struct cause why = CAUSE("the peer did not read for a long time: send hold timer expired");

	notify_set(&why.notify, NOTIFY_SEND_HOLD, 0, NULL, 0);
	conn_event(c, FSM_SEND_TIMER, &why, now);
	speaker_wake(s);
}

static void on_keepalive(struct timer *t, usec_t now)
{
	struct conn *c = container_of(t, struct conn, keepalive);
	struct speaker *s = speaker_of(c);
	struct cause why = { 0 };

	conn_event(c, FSM_KEEPALIVE_TIMER, &why, now);
	speaker_wake(s);
}

void conn_init(struct conn *c, struct peer *p, bool dialled)
{
	*c = (struct conn){ .peer = p, .dialled = dialled, .state = dialled ? FSM_IDLE : FSM_ACTIVE };
	list_init(&c->fresh);
	timer_init(&c->retry, on_retry);
	timer_init(&c->hold, on_hold);
	timer_init(&c->send, on_send_hold);
	timer_init(&c->keepalive, on_keepalive);
}

struct conn *conn_find(struct speaker *s, uint64_t id)
{
	struct conn *c;

	map_find(s->conns, &id, c);
	return c;
}

static void give_number(struct conn *c)
{
	struct speaker *s = speaker_of(c);

	c->id = ++s->last_conn;
	map_add(s->conns, id, c);
}

void conn_adopt(struct conn *c, const struct addr *local, usec_t now)
{
	c->local = *local;
	c->since = now;
	give_number(c);
	list_add_tail(&speaker_of(c)->fresh, &c->fresh);
}

void conn_begin(struct conn *c, usec_t now)
{
	struct cause why = { 0 };

	if (list_empty(&c->fresh))
		return;
	list_del(&c->fresh);
	conn_event(c, FSM_TCP_UP, &why, now);
}

void conn_lost(struct conn *c)
{
	map_del(speaker_of(c)->conns, c);
	c->id = 0;
}

void conn_release(struct conn *c)
{
	timer_stop(&c->retry);
	timer_stop(&c->hold);
	timer_stop(&c->send);
	timer_stop(&c->keepalive);
	list_del(&c->fresh);
	free(take(c->partial));
	free(take(c->queue));
	c->npartial = c->nqueue = 0;
	c->blocked = false;
}

/* Sending. */

void conn_queue(struct conn *c, const struct wr *w)
{
	CHECK(wr_ok(w));
	if (!c->id || c->nqueue + w->len > QUEUE_MAX)
		return;
	c->queue = xrealloc(c->queue, c->nqueue + w->len);
	memcpy(c->queue + c->nqueue, w->buf, w->len);
	c->nqueue += w->len;
	c->peer->msgs_out++;
}

static struct out *out_of(const struct conn *c)
{
	return c->peer->up == c ? c->peer->out : NULL;
}

/* RFC 9687 4.1: the greater of 8 minutes and twice the hold time, from the last progress on. */
static void send_hold(struct conn *c, usec_t now)
{
	usec_t wait = MAX(FSM_SEND_HOLD_MIN, 2 * (usec_t)c->hold_time * SEC);

	if (c->blocked)
		arm(c, &c->send, now + wait);
	else
		timer_stop(&c->send);
}

/* Hands bytes to TCP; sets blocked if not all were taken. Negative if the connection is broken. */
static ssize_t hand_over(struct conn *c, const uint8_t *bytes, size_t n, bool more, usec_t now)
{
	struct speaker *s = speaker_of(c);
	ssize_t k = s->io.send(s->io.arg, c->id, bytes, n, more);

	if (k < 0)
		return k;
	bool was = c->blocked;
	c->blocked = (size_t)k < n;
	if (c->blocked != was || (k > 0 && c->blocked))
		send_hold(c, now);
	return k;
}

/* Where the peer has dialled, its OPEN is on the way: ours waits for the KEEPALIVE that answers it. One
 * segment less is a good part of what a session's way up costs. (A KEEPALIVE does not wait for the routes
 * behind it: FRR 8.4, when it has restarted, takes End-of-RIB in the same breath as an order to end its own
 * table before it has one.) */
static bool more_follows(const struct conn *c)
{
	return !c->dialled && c->state == FSM_OPENSENT;
}

static int send_queue(struct conn *c, usec_t now)
{
	ssize_t k = hand_over(c, c->queue, c->nqueue, more_follows(c), now);

	if (k < 0)
		return (int)k;
	c->nqueue -= (size_t)k;
	if (c->nqueue)
		memmove(c->queue, c->queue + k, c->nqueue);
	else
		free(take(c->queue));
	return 0;
}

static int send_routes(struct conn *c, struct out *o, usec_t now, bool *done)
{
	const uint8_t *bytes;
	size_t n;

	*done = !export_next(o, &bytes, &n);
	if (*done)
		return 0;
	ssize_t k = hand_over(c, bytes, n, false, now);
	if (k < 0)
		return (int)k;
	export_sent(o, (size_t)k);
	return 0;
}

/* A control message whose beginning is already sent goes on first; otherwise it waits for the end of an
 * UPDATE. The queue holds whole messages from its start unless it was cut by a short send, and then no UPDATE
 * follows it. */
static int send_step(struct conn *c, usec_t now, bool *done)
{
	struct out *o = out_of(c);

	if (c->nqueue && (!o || export_at_boundary(o)))
		return send_queue(c, now);
	if (o)
		return send_routes(c, o, now, done);
	*done = true;
	return 0;
}

static struct cause why_not_connected(const struct ipc_peer *to, int error)
{
	char a[ADDR_STR_MAX], l[ADDR_STR_MAX];

	addr_format(&to->remote, a);
	if (error == ECONNREFUSED)
		return CAUSE("connection refused by %s port %u", a, to->port);
	if (error == ETIMEDOUT)
		return no_answer(to);
	if (error == EADDRNOTAVAIL && addr_is_set(&to->local))
		return CAUSE("this node does not have the local address %s", addr_format(&to->local, l));
	if (error == EOPNOTSUPP && to->password[0])
		return CAUSE("no session with %s: this kernel cannot sign TCP segments (CONFIG_TCP_MD5SIG); "
			     "run one "
			     "that can, or remove the password at both ends",
			     a);
	if (error == ENOMEM && to->password[0])
		return CAUSE(
			"no session with %s: the kernel has no room for its TCP MD5 key; raise the sysctl "
			"net.core.optmem_max",
			a);
	if (error == EOPNOTSUPP)
		return CAUSE("no session with %s: this kernel cannot check the TTL of what it receives "
			     "(ttlSecurity); run a newer one, or remove ttlSecurity",
			     a);
	return CAUSE("connecting to %s port %u: %s", a, to->port, strerror(error));
}

static struct cause why_lost(const struct conn *c, int error)
{
	char a[ADDR_STR_MAX];

	addr_format(&c->peer->conf.remote, a);
	if (c->state != FSM_OPENSENT)
		return error ? CAUSE("connection to %s: %s", a, strerror(error))
			     : CAUSE("%s closed the connection", a);
	if (error && error != EPIPE && error != ECONNRESET)
		return CAUSE("connection to %s: %s", a, strerror(error));
	/* Mostly a consequence of what was said before, so it does not take its place. */
	struct cause why =
		CAUSE("%s closed the connection before it said anything: it may not know this node yet", a);
	why.weak = true;
	return why;
}

struct cause conn_why_closed(const struct conn *c, int error)
{
	struct cause why =
		c->state <= FSM_ACTIVE ? why_not_connected(&c->peer->conf, error) : why_lost(c, error);

	why.tcp_only = true;
	return why;
}

static void broken(struct conn *c, int error, usec_t now)
{
	struct cause why = conn_why_closed(c, error);

	conn_event(c, FSM_TCP_DOWN, &why, now);
}

bool conn_flush(struct conn *c, usec_t now)
{
	bool done = false;
	int r = 0;

	while (c->id && !c->blocked && !done && r == 0)
		r = send_step(c, now, &done);
	if (r == 0)
		return true;
	broken(c, -r, now);
	return false;
}

/* Actions. */

/* RFC 8538 3: what is to be final says so, with what it would have said otherwise as its data. */
static struct notify hardened(const struct notify *n)
{
	struct notify hard = { 0 };
	uint8_t data[NOTIFY_DATA_MAX];
	size_t len = MIN((size_t)n->len, sizeof(data) - 2);

	data[0] = n->code;
	data[1] = n->subcode;
	memcpy(data + 2, n->data, len);
	notify_set(&hard, NOTIFY_CEASE, CEASE_HARD_RESET, data, len + 2);
	return hard;
}

static void do_notify(struct conn *c, const struct cause *why, usec_t now)
{
	uint8_t bytes[MSG_HEADER + 2 + NOTIFY_DATA_MAX];
	struct wr w = wr_to(bytes, sizeof(bytes));
	struct out *o = out_of(c);
	struct notify n = why->hard && peer_knows_notification(c) ? hardened(&why->notify) : why->notify;

	if (!why->notify.code || c->blocked || (o && !export_at_boundary(o)))
		return; /* it would arrive in the middle of another message, or not at all */
	notify_encode(&n, &w);
	conn_queue(c, &w);
	send_queue(c, now);
}

static void do_close(struct conn *c, const struct cause *why, usec_t now)
{
	struct speaker *s = speaker_of(c);

	conn_release(c);
	if (!c->id)
		return;
	map_del(s->conns, c);
	s->io.close(s->io.arg, c->id);
	c->id = 0;
}

static void do_down(struct conn *c, const struct cause *why, usec_t now)
{
	peer_down(c->peer, c, why, now);
}

static void do_dial(struct conn *c, const struct cause *why, usec_t now)
{
	struct speaker *s = speaker_of(c);

	give_number(c);
	arm(c, &c->retry, now + FSM_DIAL_LIMIT);
	int r = s->io.dial(s->io.arg, c->id, &c->peer->conf);
	if (r == 0)
		return;
	conn_lost(c); /* nothing will arrive for this number */
	struct cause failed = conn_why_closed(c, -r);
	conn_event(c, FSM_TCP_DOWN, &failed, now);
}

/* An accepted connection is not made again by us; its end is the end of the object. */
static void do_retry(struct conn *c, const struct cause *why, usec_t now)
{
	peer_reason(c->peer, why);
	if (c->dialled)
		arm(c, &c->retry, now + fsm_retry_wait(++c->failures, &speaker_of(c)->prng));
}

static void do_idle_hold(struct conn *c, const struct cause *why, usec_t now)
{
	peer_error(c->peer, why, now);
}

static void hold_for(struct conn *c, usec_t wait, usec_t now)
{
	c->heard = now;
	c->hold_until = now + wait;
	if (!wait)
		timer_stop(&c->hold);
	else if (!timer_armed(&c->hold) || c->hold.at > c->hold_until)
		arm(c, &c->hold, c->hold_until);
}

static void do_send_open(struct conn *c, const struct cause *why, usec_t now)
{
	uint8_t bytes[MSG_MAX];
	struct wr w = wr_to(bytes, sizeof(bytes));
	struct msg_open open = {
		.asn = peer_asn(c->peer),
		.hold_time = peer_hold_time(c->peer),
		.router_id = speaker_of(c)->config.router_id,
		.caps = peer_caps(c->peer),
	};

	timer_stop(&c->retry);
	c->offered = open.caps;
	c->hold_time = open.hold_time;
	msg_open_encode(&open, &w);
	conn_queue(c, &w);
	hold_for(c, FSM_HOLD_LARGE, now);
	conn_flush(c, now);
}

static void do_send_keepalive(struct conn *c, const struct cause *why, usec_t now)
{
	uint8_t bytes[MSG_HEADER];
	struct wr w = wr_to(bytes, sizeof(bytes));
	usec_t wait = fsm_keepalive_wait(c->hold_time, c->peer->conf.keepalive_time, &speaker_of(c)->prng);

	if (wait)
		arm(c, &c->keepalive, now + wait);
	if (c->blocked && c->nqueue && c->state == FSM_ESTABLISHED)
		return; /* what waits already says the same (before, it may be the OPEN) */
	msg_keepalive_encode(&w);
	conn_queue(c, &w);
	conn_flush(c, now);
}

static void do_hold_again(struct conn *c, const struct cause *why, usec_t now)
{
	hold_for(c, (usec_t)c->hold_time * SEC, now);
}

static void do_up(struct conn *c, const struct cause *why, usec_t now)
{
	c->failures = 0;
	peer_up(c->peer, c, now);
}

static void do_update(struct conn *c, const struct cause *why, usec_t now)
{
	peer_update(c->peer, now);
}

static void do_refresh(struct conn *c, const struct cause *why, usec_t now)
{
	peer_refresh(c->peer, now);
}

static void (*const actions[])(struct conn *, const struct cause *, usec_t) = {
	do_notify,    do_close,		 do_down,	do_dial, do_retry,  do_idle_hold,
	do_send_open, do_send_keepalive, do_hold_again, do_up,	 do_update, do_refresh,
};
static_assert((1u << ARRAY_SIZE(actions)) - 1 == FSM_DO_ALL, "a function for every action");

/* An action may lead to another event on the same connection (a send that fails, a limit that is reached).
 * That event's outcome counts; what was left to do of this one is dropped. */
static void carry_out(struct conn *c, enum fsm_state next, unsigned what, const struct cause *why, usec_t now)
{
	for (size_t i = 0; i < ARRAY_SIZE(actions) && c->state == next; i++)
		if (what & 1u << i)
			actions[i](c, why, now);
}

static struct cause unexpected(enum fsm_state s, enum fsm_event ev)
{
	struct cause why = CAUSE("unexpected %s in state %s", fsm_event_name(ev), fsm_state_name(s));

	notify_set(&why.notify, NOTIFY_FSM, fsm_error_subcode(s), NULL, 0);
	return why;
}

/* An accepted connection without TCP is over. */
static bool is_over(const struct conn *c)
{
	return !c->dialled && !c->id && c->state <= FSM_ACTIVE;
}

static void run_event(struct conn *c, enum fsm_event ev, const struct cause *why, usec_t now)
{
	struct fsm_step st = fsm_step(c->state, ev);

	if (st.unexpected) {
		struct cause own = unexpected(c->state, ev);
		c->state = st.next;
		carry_out(c, st.next, st.actions, &own, now);
		return;
	}
	c->state = st.next;
	carry_out(c, st.next, st.actions, why, now);
}

void conn_event(struct conn *c, enum fsm_event ev, const struct cause *why, usec_t now)
{
	struct peer *p = c->peer;

	c->depth++;
	run_event(c, ev, why, now);
	c->depth--;
	peer_show(p, now);
	if (c->depth)
		return; /* the outer event cleans up */
	if (is_over(c)) {
		CHECK(p->accepted == c);
		p->accepted = NULL;
		conn_release(c);
		free(c);
	}
	peer_keep_going(p, now);
}

/* Receiving. */

static void on_open(struct conn *c, struct rd body, usec_t now)
{
	struct msg_open open;
	struct cause why = { 0 };

	if (c->state != FSM_OPENSENT) {
		conn_event(c, FSM_RX_OPEN, &why, now);
	} else if (msg_open_decode(body, &open, &why.notify) < 0) {
		char text[NOTIFY_STR_MAX];
		snprintf(why.reason, sizeof(why.reason), "bad OPEN: %.200s",
			 notify_format(&why.notify, text));
		conn_event(c, FSM_RX_BAD, &why, now);
	} else {
		peer_open(c->peer, c, &open, now);
	}
}

static void on_update(struct conn *c, struct rd body, usec_t now)
{
	struct speaker *s = speaker_of(c);
	struct cause why = { 0 };

	c->peer->updates_in++;
	if (c->state == FSM_ESTABLISHED && update_decode(body, &c->peer->codec, &s->update) == ATTR_RESET) {
		why = CAUSE("bad UPDATE: %.200s", s->update.fault.why);
		why.notify = s->update.fault.notify;
		conn_event(c, FSM_RX_BAD, &why, now);
		return;
	}
	conn_event(c, FSM_RX_UPDATE, &why, now);
}

static void on_notification(struct conn *c, struct rd body, usec_t now)
{
	struct cause why = { 0 };
	struct notify n;
	char text[NOTIFY_STR_MAX];

	notify_decode(body, &n);
	why.hard = n.code == NOTIFY_CEASE && n.subcode == CEASE_HARD_RESET;
	snprintf(why.reason, sizeof(why.reason), "peer sent NOTIFICATION: %.200s", notify_format(&n, text));
	why.told = true;
	conn_event(c, FSM_RX_NOTIFICATION, &why, now);
}

static void on_refresh(struct conn *c, struct rd body, usec_t now)
{
	struct msg_refresh m;
	struct cause why = { 0 };
	int r = msg_refresh_decode(body, &m, &why.notify);

	if (r < 0) {
		why = (struct cause){ "bad ROUTE-REFRESH", why.notify };
		conn_event(c, FSM_RX_BAD, &why, now);
	} else {
		if (c->state == FSM_ESTABLISHED && r > 0)
			peer_on_refresh(c->peer, &m, now);
		conn_event(c, FSM_RX_REFRESH, &why, now);
	}
}

static void on_message(struct conn *c, const struct msg *m, usec_t now)
{
	struct cause why = { 0 };

	c->peer->msgs_in++;
	switch ((enum msg_type)m->type) {
	case MSG_OPEN:
		on_open(c, m->body, now);
		break;
	case MSG_UPDATE:
		on_update(c, m->body, now);
		break;
	case MSG_NOTIFICATION:
		on_notification(c, m->body, now);
		break;
	case MSG_KEEPALIVE:
		conn_event(c, FSM_RX_KEEPALIVE, &why, now);
		break;
	case MSG_REFRESH:
		on_refresh(c, m->body, now);
		break;
	}
}

/* How long a message may be. OPEN and KEEPALIVE stay short in any case: msg_next() knows. */
static size_t longest(const struct conn *c)
{
	return c->agreed.ext_message ? MSG_MAX_EXT : MSG_MAX;
}

/* Takes the first message off; returns its length, 0 if it is not complete, -1 if the connection is over. */
static ssize_t take_message(struct speaker *s, uint64_t id, const uint8_t *bytes, size_t n, usec_t now)
{
	struct conn *c = conn_find(s, id);
	struct msg m;
	struct cause why = { 0 };

	if (!c)
		return -1;
	ssize_t k = msg_next(bytes, n, longest(c), &m, &why.notify);
	if (k < 0) {
		char text[NOTIFY_STR_MAX];
		snprintf(why.reason, sizeof(why.reason), "bad message: %.200s",
			 notify_format(&why.notify, text));
		conn_event(c, FSM_RX_BAD, &why, now);
		return -1;
	}
	if (k > 0)
		on_message(c, &m, now);
	return k;
}

/* How many bytes the message has that begins like this, as far as can be told. */
static size_t wanted(const uint8_t *bytes, size_t n)
{
	return n < MSG_HEADER ? MSG_HEADER : (size_t)bytes[16] << 8 | bytes[17];
}

/* Completes the message that began in an earlier read. Returns how many of the n new bytes it took, -1 if
 * over. Memory grows with what has come, not with what a header promises. */
static ssize_t complete_partial(struct speaker *s, uint64_t id, const uint8_t *bytes, size_t n, usec_t now)
{
	struct conn *c = conn_find(s, id);
	size_t had = c->npartial, more = MIN(n, wanted(c->partial, had) - had);
	/* The message may end the connection, which frees what it holds: the bytes are ours meanwhile. */
	own_mem uint8_t *buf = xrealloc(take(c->partial), had + more);

	c->npartial = 0;
	memcpy(buf + had, bytes, more);
	ssize_t k = take_message(s, id, buf, had + more, now);
	if (k < 0)
		return -1;
	if (k > 0)
		return (ssize_t)more;
	c = conn_find(s, id);
	c->partial = take(buf);
	c->npartial = had + more;
	return (ssize_t)more;
}

void conn_data(struct speaker *s, uint64_t id, const uint8_t *bytes, size_t n, usec_t now)
{
	struct conn *c = conn_find(s, id);

	if (!c)
		return;
	conn_begin(c, now);
	while (n > 0 && (c = conn_find(s, id))) {
		ssize_t k = c->partial ? complete_partial(s, id, bytes, n, now)
				       : take_message(s, id, bytes, n, now);
		if (k < 0)
			return;
		if (k == 0) {
			/* Less than one message is left; msg_next() has refused lengths above the limit. */
			CHECK(n < longest(c));
			c->partial = xmalloc(n);
			memcpy(c->partial, bytes, n);
			c->npartial = n;
			return;
		}
		bytes += k;
		n -= (size_t)k;
	}
}
