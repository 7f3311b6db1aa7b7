/*
 * Connections between speakers. Bytes arrive late and in pieces that have nothing to do with how they were
 * sent; a cut cable stalls both directions until it is healed; a connection may be reset, or fall silent for
 * good (half-open).
 */
#include "sim.h"

#define SYN_FIRST SEC
#define SYN_MAX	  (127 * SEC)

enum tcp_state { TCP_SYN, TCP_UP };

struct tcp_dir {
	struct timer pump;
	uint8_t *buf;
	size_t n, cap;
	bool full; /* the sender waits */
	bool fin;  /* closed behind the last byte */
};

struct tcp_end {
	struct sim_node *node;
	uint64_t conn; /* the speaker's number; 0 = this end is closed */
	struct addr addr;
	bool told; /* the dialler knows that it is connected */
};

/* end[0] dialled. dir[i] goes from end[i] to the other. */
struct tcp {
	struct list list;
	struct sim *sim;
	enum tcp_state state;
	struct tcp_end end[2];
	struct tcp_dir dir[2];
	uint16_t port;
	bool silent; /* nothing passes any more */
	usec_t syn_wait, syn_since;
	struct timer syn, connected;
	int error; /* what the last end will be told */
};

static usec_t latency(struct sim *s)
{
	return s->plan.slow_net ? sim_between(s, 200, sim_chance(s, 5) ? 800 * MSEC : 20 * MSEC)
				: sim_between(s, 50, 900);
}

static bool passes(const struct tcp *t, int from)
{
	const struct sim *s = t->sim;
	unsigned a = t->end[from].node->index, b = t->end[!from].node->index;

	return !t->silent && !s->cut[a][b] && !s->cut[b][a];
}

static void tcp_free(struct tcp *t)
{
	for (int i = 0; i < 2; i++) {
		timer_stop(&t->dir[i].pump);
		free(t->dir[i].buf);
	}
	timer_stop(&t->syn);
	timer_stop(&t->connected);
	list_del(&t->list);
	free(t);
}

static bool is_open(const struct tcp *t, int i)
{
	return t->end[i].conn != 0;
}

/* One end learns that the connection is no more. Frees t if that was the last one. */
static void end_closed(struct tcp *t, int i, int error)
{
	struct tcp_end *e = &t->end[i];
	uint64_t conn = e->conn;

	e->conn = 0;
	struct sim_node *n = e->node;
	if (!is_open(t, !i))
		tcp_free(t);
	if (!conn || !n->speaker)
		return;
	speaker_on_closed(n->speaker, conn, error, n->sim->now);
	node_speaker_turn_soon(n);
}

static void pump_soon(struct tcp *t, int d)
{
	if (!timer_armed(&t->dir[d].pump))
		sim_after(t->sim, &t->dir[d].pump, latency(t->sim));
}

/* ---- connecting ---- */

static void refuse(struct tcp *t)
{
	end_closed(t, 0, ECONNREFUSED);
}

static void on_syn(struct timer *timer, usec_t now)
{
	struct tcp *t = container_of(timer, struct tcp, syn);
	struct sim *s = t->sim;
	struct tcp_end *from = &t->end[0], *to = &t->end[1];

	if (!passes(t, 0)) {
		if (now - t->syn_since >= SYN_MAX) {
			end_closed(t, 0, ETIMEDOUT);
			return;
		}
		sim_after(s, &t->syn, t->syn_wait);
		t->syn_wait *= 2;
		return;
	}
	if (!to->node->speaker || to->node->listening != t->port) {
		refuse(t);
		return;
	}
	t->state = TCP_UP;
	to->told = true;
	sim_after(s, &t->connected, latency(s));
	uint64_t conn = speaker_on_accept(to->node->speaker, &to->addr, &from->addr, now);
	node_speaker_turn_soon(to->node);
	to->conn = conn;
	if (!conn)
		t->dir[1].fin = true; /* accepted by the kernel, closed by the speaker */
	if (t->dir[1].fin)
		pump_soon(t, 1);
}

static void on_connected(struct timer *timer, usec_t now)
{
	struct tcp *t = container_of(timer, struct tcp, connected);
	struct tcp_end *e = &t->end[0];

	e->told = true;
	if (!e->conn)
		return;
	struct sim_node *n = e->node;
	if (t->dir[1].n || t->dir[1].fin)
		pump_soon(t, 1);
	speaker_on_connected(n->speaker, e->conn, &e->addr, now);
	node_speaker_turn_soon(n);
}

/* ---- bytes ---- */

static void writable_again(struct tcp *t, int d)
{
	struct sim_node *n = t->end[d].node;
	uint64_t conn = t->end[d].conn;

	t->dir[d].full = false;
	if (!conn || !n->speaker)
		return;
	speaker_on_writable(n->speaker, conn, n->sim->now);
	node_speaker_turn_soon(n);
}

/* Some bytes from the front arrive. */
static void deliver(struct tcp *t, int d)
{
	struct tcp_dir *dir = &t->dir[d];
	struct tcp_end *to = &t->end[!d];
	struct sim *s = t->sim;
	size_t n = sim_chance(s, 70) ? dir->n : 1 + sim_below(s, dir->n);
	own_mem uint8_t *bytes = xmalloc(n);
	bool full = dir->full;

	memcpy(bytes, dir->buf, n);
	dir->n -= n;
	memmove(dir->buf, dir->buf + n, dir->n);
	if (dir->n || dir->fin)
		pump_soon(t, d);
	if (s->mutant == MUTANT_TCP_LOSS && sim_chance(s, 3))
		return;
	struct sim_node *node = to->node;
	uint64_t conn = to->conn;
	if (full)
		writable_again(t, d); /* may close t */
	if (!conn || !node->speaker)
		return;
	speaker_on_data(node->speaker, conn, bytes, n, s->now);
	node_speaker_turn_soon(node);
}

static void on_pump(struct timer *timer, int d)
{
	struct tcp *t = container_of(timer, struct tcp, dir[0].pump);
	struct tcp_dir *dir;

	if (d)
		t = container_of(timer, struct tcp, dir[1].pump);
	dir = &t->dir[d];
	if (!passes(t, d)) {
		/* Retransmission. A silent connection is only ever ended by its speakers. */
		if (!t->silent)
			sim_after(t->sim, &dir->pump, sim_between(t->sim, 100 * MSEC, 2 * SEC));
		return;
	}
	if (!t->end[!d].told)
		return; /* not before it is connected */
	if (!is_open(t, !d)) {
		/* Nobody there: a reset comes back. */
		dir->n = 0;
		if (is_open(t, d))
			end_closed(t, d, ECONNRESET);
		return;
	}
	if (dir->n)
		deliver(t, d);
	else if (dir->fin)
		end_closed(t, !d, 0);
}

static void on_pump0(struct timer *timer, usec_t now)
{
	on_pump(timer, 0);
}

static void on_pump1(struct timer *timer, usec_t now)
{
	on_pump(timer, 1);
}

/* ---- what the speaker calls ---- */

int tcp_dial(struct sim_node *n, uint64_t conn, const struct ipc_peer *peer)
{
	struct sim *s = n->sim;
	struct sim_node *to = node_by_addr(s, &peer->remote);
	const struct addr *mine = peer->remote.family == AF_INET ? &n->v4 : &n->v6;

	if (!to || to == n || (addr_is_set(&peer->local) && !addr_eq(&peer->local, mine)))
		return -EADDRNOTAVAIL;
	struct tcp *t = xcalloc(1, sizeof(*t));
	t->sim = s;
	t->end[0] = (struct tcp_end){ .node = n, .conn = conn, .addr = *mine };
	t->end[1] = (struct tcp_end){ .node = to, .addr = peer->remote };
	t->port = peer->port;
	t->syn_since = s->now;
	t->syn_wait = SYN_FIRST;
	for (int i = 0; i < 2; i++) {
		t->dir[i].cap = s->plan.small_buffers ? 40 + sim_below(s, 400) : 65536;
		t->dir[i].buf = xmalloc(t->dir[i].cap);
		timer_init(&t->dir[i].pump, i ? on_pump1 : on_pump0);
	}
	timer_init(&t->syn, on_syn);
	timer_init(&t->connected, on_connected);
	list_add_tail(&s->tcps, &t->list);
	sim_after(s, &t->syn, latency(s));
	return 0;
}

static struct tcp *find(struct sim_node *n, uint64_t conn, int *ret_end)
{
	struct tcp *t;

	list_each (t, &n->sim->tcps, list)
		for (int i = 0; i < 2; i++)
			if (t->end[i].node == n && t->end[i].conn == conn) {
				*ret_end = i;
				return t;
			}
	return NULL;
}

ssize_t tcp_send(struct sim_node *n, uint64_t conn, const void *bytes, size_t len)
{
	int i;
	struct tcp *t = find(n, conn, &i);

	if (!t || t->state != TCP_UP)
		return -ENOTCONN;
	struct tcp_dir *dir = &t->dir[i];
	size_t take = MIN(len, dir->cap - dir->n);
	memcpy(dir->buf + dir->n, bytes, take);
	dir->n += take;
	dir->full = take < len;
	pump_soon(t, i);
	return (ssize_t)take;
}

void tcp_close(struct sim_node *n, uint64_t conn)
{
	int i;
	struct tcp *t = find(n, conn, &i);

	if (!t)
		return;
	t->end[i].conn = 0;
	t->dir[i].fin = true;
	t->dir[i].full = false;
	if (!is_open(t, !i))
		tcp_free(t);
	else if (t->state == TCP_UP)
		pump_soon(t, i);
}

/* ---- bad luck ---- */

static void reset(struct tcp *t)
{
	int first = (int)sim_below(t->sim, 2);

	/* Either end may be the last, and the last one frees. */
	bool both = is_open(t, !first);
	if (is_open(t, first))
		end_closed(t, first, ECONNRESET);
	if (both)
		end_closed(t, !first, ECONNRESET);
}

void tcp_process_gone(struct sim_node *n)
{
	struct tcp *t, *tmp;

	list_each_safe (t, tmp, &n->sim->tcps, list)
		for (int i = 0; i < 2; i++) {
			if (t->end[i].node != n || !is_open(t, i))
				continue;
			if (sim_chance(n->sim, 30))
				t->dir[i].n = 0; /* a reset, rather than an end */
			tcp_close(n, t->end[i].conn);
			break;
		}
}

static struct tcp *pick(struct sim *s)
{
	struct tcp *t;
	size_t n = 0, k;

	list_each (t, &s->tcps, list)
		n += t->state == TCP_UP && !t->silent && is_open(t, 0) && is_open(t, 1);
	if (!n)
		return NULL;
	k = sim_below(s, n);
	list_each (t, &s->tcps, list)
		if (t->state == TCP_UP && !t->silent && is_open(t, 0) && is_open(t, 1) && !k--)
			return t;
	return NULL;
}

bool tcp_reset_one(struct sim *s)
{
	struct tcp *t = pick(s);

	if (!t)
		return false;
	sim_trace(s, "the connection %s - %s is reset", t->end[0].node->label, t->end[1].node->label);
	reset(t);
	return true;
}

bool tcp_silence_one(struct sim *s)
{
	struct tcp *t = pick(s);

	if (!t)
		return false;
	sim_trace(s, "the connection %s - %s falls silent", t->end[0].node->label, t->end[1].node->label);
	t->silent = true;
	return true;
}

bool tcp_any_silent(const struct sim *s)
{
	const struct tcp *t;

	list_each (t, &s->tcps, list)
		if (t->silent)
			return true;
	return false;
}

void tcp_free_all(struct sim *s)
{
	struct tcp *t, *tmp;

	list_each_safe (t, tmp, &s->tcps, list)
		tcp_free(t);
}
