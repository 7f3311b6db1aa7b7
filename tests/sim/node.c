/*
 * The two processes of a node as the simulator runs them: what agent/main, agent/speakerlink and the
 * speaker's edges do on the loop is done here on virtual time. A killed process is freed, and from the moment
 * it is killed nothing that it still does on its way out has an effect.
 */
#include "sim.h"

#include "ipam/ipam.h"

#include <inttypes.h>

#define CONNECT_RETRY	 (100 * MSEC)
#define UP_QUEUE_MAX	 64    /* messages on the socket before the speaker has to wait */
#define TURNS_PER_SECOND 20000 /* more is a loop that feeds itself */

/* One datagram on the socket between agent and speaker. */
struct flight {
	struct timer timer;
	struct list list;
	struct sim_node *n;
	bool up;
	uint64_t ipc;
	enum { FLIGHT_OPEN, FLIGHT_DATA, FLIGHT_CLOSE } what;
	size_t len;
	uint8_t bytes[];
};

struct sim_node *node_by_addr(struct sim *s, const struct addr *a)
{
	for (size_t i = 0; i < SIM_NODES; i++)
		if (addr_eq(a, &s->node[i].v4) || (addr_is_set(a) && addr_eq(a, &s->node[i].v6)))
			return &s->node[i];
	return NULL;
}

bool node_effect(struct sim_node *n)
{
	if (!n)
		return true;
	if (n->dying)
		return false;
	if (n->effects < 0)
		return true;
	if (n->effects-- > 0)
		return true;
	sim_trace(n->sim, "%s: agent killed in the middle of its work", n->label);
	n->dying = true;
	return false;
}

/* ---- the socket ---- */

static void flight_land(struct timer *t, usec_t now);

static void flight_free(struct flight *f)
{
	timer_stop(&f->timer);
	list_del(&f->list);
	free(f);
}

/* Never before what was sent earlier, unless the world is broken. */
static usec_t landing(struct sim_node *n, bool up)
{
	struct sim *s = n->sim;
	struct list *q = &n->flights[up];
	usec_t at = s->now + sim_between(s, 5, sim_chance(s, 2) ? 20 * MSEC : 300);

	if (list_empty(q) || s->mutant == MUTANT_IPC_ORDER)
		return at;
	return MAX(at, list_entry(q->prev, struct flight, list)->timer.at);
}

static void fly(struct sim_node *n, bool up, int what, uint64_t ipc, const void *bytes, size_t len)
{
	struct flight *f = xmalloc(sizeof(*f) + len);

	*f = (struct flight){ .n = n, .up = up, .ipc = ipc, .len = len };
	f->what = what;
	if (len)
		memcpy(f->bytes, bytes, len);
	timer_init(&f->timer, flight_land);
	timer_start(&n->sim->events, &f->timer, landing(n, up));
	list_add_tail(&n->flights[up], &f->list);
}

static void fly_msg(struct sim_node *n, bool up, uint64_t ipc, const struct ipc_msg *m)
{
	uint8_t buf[IPC_MSG_MAX];
	struct wr w = wr_to(buf, sizeof(buf));

	ipc_encode(m, &w);
	CHECK(wr_ok(&w));
	if (n->sim->mutant == MUTANT_IPC_LOSS && sim_chance(n->sim, 3))
		return;
	fly(n, up, FLIGHT_DATA, ipc, buf, w.len);
}

static void agent_hears(struct sim_node *n, const struct ipc_msg *m)
{
	bool fresh;

	if (m->type == IPC_HELLO) {
		fresh = m->hello.epoch != n->epoch_seen;
		n->epoch_seen = m->hello.epoch;
		n->greeted = true;
		sim_trace(n->sim, "%s: agent connected to its speaker%s", n->label, fresh ? " (fresh)" : "");
		agent_on_speaker(n->agent, true, fresh);
	} else if (n->greeted) {
		agent_on_ipc(n->agent, m);
	}
}

static void speaker_hears(struct sim_node *n, const struct ipc_msg *m)
{
	if (m->type == IPC_LISTEN)
		n->listening = m->listen.port;
	else if (m->type == IPC_UNLISTEN && n->listening == m->listen.port)
		n->listening = 0;
	speaker_on_ipc(n->speaker, m, n->sim->now);
}

static void hear(struct sim_node *n, bool up, const void *bytes, size_t len)
{
	struct ipc_msg m;
	struct err e = { 0 };

	if (ipc_decode(bytes, len, &m, &e) < 0)
		sim_fail(n->sim, "%s: what the %s said cannot be decoded: %s", n->label,
			 up ? "speaker" : "agent", e.msg);
	else if (up)
		agent_hears(n, &m);
	else
		speaker_hears(n, &m);
}

static void speaker_accepts(struct sim_node *n, uint64_t ipc)
{
	struct ipc_msg hello = { .type = IPC_HELLO };

	hello.hello.pid = 1000 + n->index;
	hello.hello.epoch = n->epoch;
	if (n->listening) {
		hello.hello.nlisten = 1;
		hello.hello.listen[0].addr.family = AF_INET;
		hello.hello.listen[0].port = n->listening;
	}
	n->speaker_ipc = ipc;
	fly_msg(n, true, ipc, &hello);
	speaker_on_agent(n->speaker, true, n->sim->now);
}

static void connect_soon(struct sim_node *n)
{
	sim_after(n->sim, &n->connect, CONNECT_RETRY);
}

static void land_up(struct flight *f)
{
	struct sim_node *n = f->n;

	if (!n->agent || n->agent_ipc != f->ipc)
		return;
	if (f->what == FLIGHT_DATA) {
		hear(n, true, f->bytes, f->len);
		return;
	}
	n->agent_ipc = 0;
	if (n->greeted)
		agent_on_speaker(n->agent, false, false);
	n->greeted = false;
	connect_soon(n);
}

static void land_down(struct flight *f)
{
	struct sim_node *n = f->n;

	if (!n->speaker)
		return;
	if (f->what == FLIGHT_OPEN) {
		speaker_accepts(n, f->ipc);
	} else if (n->speaker_ipc == f->ipc && f->what == FLIGHT_DATA) {
		hear(n, false, f->bytes, f->len);
	} else if (n->speaker_ipc == f->ipc) {
		n->speaker_ipc = 0;
		speaker_on_agent(n->speaker, false, n->sim->now);
	}
	node_speaker_turn_soon(n);
}

static void flight_land(struct timer *t, usec_t now)
{
	struct flight *f = container_of(t, struct flight, timer);
	struct sim_node *n = f->n;

	list_del(&f->list);
	if (f->up)
		land_up(f);
	else
		land_down(f);
	if (n->up_blocked && list_empty(&n->flights[1])) {
		n->up_blocked = false;
		node_speaker_turn_soon(n);
	}
	free(f);
}

/* What a dead process had not read goes with it. */
static void drop_flights(struct sim_node *n, bool up)
{
	struct flight *f, *tmp;

	list_each_safe (f, tmp, &n->flights[up], list)
		flight_free(f);
}

static void on_connect(struct timer *t, usec_t now)
{
	struct sim_node *n = container_of(t, struct sim_node, connect);

	if (!n->agent)
		return;
	if (!n->speaker) {
		connect_soon(n);
		return;
	}
	n->agent_ipc = ++n->ipc;
	fly(n, false, FLIGHT_OPEN, n->agent_ipc, NULL, 0);
}

/* ---- the agent's process ---- */

static usec_t io_now(void *arg)
{
	return ((struct sim_node *)arg)->sim->now;
}

static nsec_t io_wall(void *arg)
{
	struct sim *s = ((struct sim_node *)arg)->sim;

	return s->wall + s->now * 1000;
}

static void io_random(void *arg, void *bytes, size_t n)
{
	struct sim *s = ((struct sim_node *)arg)->sim;

	for (size_t i = 0; i < n; i++)
		((uint8_t *)bytes)[i] = (uint8_t)sim_below(s, 256);
}

/* The end of a turn comes soon, so that some turns have several events. */
static void io_soon(void *arg)
{
	struct sim_node *n = arg;

	if (!timer_armed(&n->settle))
		sim_after(n->sim, &n->settle, sim_between(n->sim, 1, 60));
}

static void io_to_speaker(void *arg, const struct ipc_msg *m)
{
	struct sim_node *n = arg;

	if (n->greeted && node_effect(n))
		fly_msg(n, false, n->agent_ipc, m);
}

static uint32_t io_speaker_pid(void *arg)
{
	struct sim_node *n = arg;

	return n->greeted ? 1000 + n->index : 0;
}

/* The simulated TCP knows ports, not addresses to listen on. */
static int io_listen(void *arg, const struct ipc_listen *where, size_t n, struct err *e)
{
	for (size_t i = 0; i < n; i++) {
		struct ipc_msg m = { .type = IPC_LISTEN, .listen = where[i] };
		if (where[i].addr.family == AF_INET)
			io_to_speaker(arg, &m);
	}
	return 0;
}

static void on_settle(struct timer *t, usec_t now)
{
	struct sim_node *n = container_of(t, struct sim_node, settle);

	if (!n->agent || n->dying)
		return;
	if (now - n->turns_since > SEC) {
		n->turns_since = now;
		n->turns = 0;
	}
	if (++n->turns > TURNS_PER_SECOND)
		sim_fail(n->sim, "%s: the agent settles for ever", n->label);
	agent_settle(n->agent);
}

static void on_kernel_news(struct timer *t, usec_t now)
{
	kernel_deliver(container_of(t, struct sim_node, kernel_news));
}

void node_agent_start(struct sim_node *n)
{
	struct err e = { 0 };
	struct agent_io io = {
		.arg = n,
		.now = io_now,
		.wall = io_wall,
		.random = io_random,
		.soon = io_soon,
		.to_speaker = io_to_speaker,
		.speaker_pid = io_speaker_pid,
		.listen = io_listen,
	};

	if (n->agent)
		return;
	sim_trace(n->sim, "%s: agent starts", n->label);
	timers_init(&n->agent_timers);
	n->effects = -1;
	n->agent_since = n->sim->now;
	n->store = datastore_connect(n);
	n->nl = kernel_socket(n, n->host);
	n->agent = agent_new(n->name, &io, &n->agent_timers, n->store, n->nl, &e);
	if (!n->agent) {
		sim_fail(n->sim, "%s: the agent does not start: %s", n->label, e.msg);
		return;
	}
	n->epoch_seen = 0;
	connect_soon(n);
	io_soon(n);
}

static void on_agent_start(struct timer *t, usec_t now)
{
	node_agent_start(container_of(t, struct sim_node, agent_start));
}

void node_reap(struct sim_node *n)
{
	n->dying = true;
	if (n->agent_ipc)
		fly(n, false, FLIGHT_CLOSE, n->agent_ipc, NULL, 0);
	n->agent_ipc = 0;
	n->greeted = false;
	drop_flights(n, true);
	n->up_blocked = false;
	agent_free(take(n->agent));
	store_free(take(n->store));
	nl_free(take(n->nl));
	timers_done(&n->agent_timers);
	timer_stop(&n->settle);
	timer_stop(&n->connect);
	kernel_forget_news(n);
	n->dying = false;
	n->effects = -1;
	if (n->sim->ended)
		return;
	n->sim->kills++;
	if (n->sim->calm || sim_chance(n->sim, 60))
		sim_after(n->sim, &n->agent_start, sim_between(n->sim, 50 * MSEC, 2 * SEC));
	else
		sim_after(n->sim, &n->agent_start, sim_between(n->sim, 2 * SEC, 40 * SEC));
}

void node_agent_kill(struct sim_node *n)
{
	if (!n->agent)
		return;
	sim_trace(n->sim, "%s: agent killed", n->label);
	node_reap(n);
}

/* ---- the speaker's process ---- */

static int io_dial(void *arg, uint64_t conn, const struct ipc_peer *peer)
{
	return tcp_dial(arg, conn, peer);
}

static ssize_t io_send(void *arg, uint64_t conn, const void *bytes, size_t len, bool more)
{
	return tcp_send(arg, conn, bytes, len);
}

static void io_close(void *arg, uint64_t conn)
{
	tcp_close(arg, conn);
}

static void io_up(void *arg, const struct ipc_msg *m)
{
	struct sim_node *n = arg;

	if (n->speaker_ipc)
		fly_msg(n, true, n->speaker_ipc, m);
}

static size_t flying(const struct list *q)
{
	size_t n = 0;

	for (const struct list *l = q->next; l != q && n <= UP_QUEUE_MAX; l = l->next)
		n++;
	return n;
}

static bool io_up_ready(void *arg)
{
	struct sim_node *n = arg;

	n->up_blocked = flying(&n->flights[1]) >= UP_QUEUE_MAX;
	return !n->up_blocked;
}

static void io_wake(void *arg)
{
	node_speaker_turn_soon(arg);
}

static void io_note(void *arg, const char *line)
{
	struct sim_node *n = arg;

	sim_trace(n->sim, "%s: speaker: %s", n->label, line);
}

void node_speaker_turn_soon(struct sim_node *n)
{
	if (n->speaker && !timer_armed(&n->turn))
		sim_after(n->sim, &n->turn, sim_between(n->sim, 1, 40));
}

static void on_turn(struct timer *t, usec_t now)
{
	struct sim_node *n = container_of(t, struct sim_node, turn);

	if (n->speaker)
		speaker_turn(n->speaker, now);
}

void node_speaker_start(struct sim_node *n)
{
	struct sim *s = n->sim;
	struct speaker_io io = {
		.arg = n,
		.dial = io_dial,
		.send = io_send,
		.close = io_close,
		.up = io_up,
		.up_ready = io_up_ready,
		.wake = io_wake,
		.note = io_note,
	};

	if (n->speaker)
		return;
	sim_trace(s, "%s: speaker starts", n->label);
	timers_init(&n->speaker_timers);
	n->listening = 0;
	n->epoch++;
	n->speaker = speaker_new(&io, &n->speaker_timers, prng_next(&s->prng), s->now);
}

static void on_speaker_start(struct timer *t, usec_t now)
{
	node_speaker_start(container_of(t, struct sim_node, speaker_start));
}

void node_speaker_kill(struct sim_node *n)
{
	if (!n->speaker)
		return;
	sim_trace(n->sim, "%s: speaker killed", n->label);
	tcp_process_gone(n);
	if (n->speaker_ipc)
		fly(n, true, FLIGHT_CLOSE, n->speaker_ipc, NULL, 0);
	else if (n->agent_ipc)
		fly(n, true, FLIGHT_CLOSE, n->agent_ipc, NULL, 0);
	n->speaker_ipc = 0;
	n->listening = 0;
	n->up_blocked = false;
	drop_flights(n, false);
	speaker_free(take(n->speaker));
	timers_done(&n->speaker_timers);
	timer_stop(&n->turn);
	if (n->sim->ended)
		return;
	n->sim->kills++;
	sim_after(n->sim, &n->speaker_start,
		  sim_between(n->sim, 50 * MSEC, sim_chance(n->sim, 70) ? 2 * SEC : 60 * SEC));
}

/* ---- all of them ---- */

static void node_init(struct sim *s, unsigned i)
{
	struct sim_node *n = &s->node[i];

	n->sim = s;
	n->index = i;
	n->epoch = 1000 * (i + 1);
	snprintf(n->label, sizeof(n->label), "node%u", i + 1);
	snprintf(n->name, sizeof(n->name), "node%u", s->mutant == MUTANT_TWINS && i == 1 ? 1 : i + 1);
	list_init(&n->flights[0]);
	list_init(&n->flights[1]);
	timer_init(&n->settle, on_settle);
	timer_init(&n->agent_start, on_agent_start);
	timer_init(&n->speaker_start, on_speaker_start);
	timer_init(&n->kernel_news, on_kernel_news);
	timer_init(&n->connect, on_connect);
	timer_init(&n->turn, on_turn);
	sim_after(s, &n->agent_start, sim_between(s, 0, 3 * SEC));
	sim_after(s, &n->speaker_start, sim_between(s, 0, 3 * SEC));
}

void nodes_start(struct sim *s)
{
	for (unsigned i = 0; i < SIM_NODES; i++)
		node_init(s, i);
}

void nodes_stop(struct sim *s)
{
	for (unsigned i = 0; i < SIM_NODES; i++) {
		node_agent_kill(&s->node[i]);
		node_speaker_kill(&s->node[i]);
		drop_flights(&s->node[i], false);
		drop_flights(&s->node[i], true);
	}
}
