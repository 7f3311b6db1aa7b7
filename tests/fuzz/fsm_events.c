/*
 * The speaker as a whole under a hostile peer, TCP and clock: the input is a list of events (open, bytes,
 * close, short writes, time, statements of the agent). Nothing may crash, leak, or loop, and what the speaker
 * sends must be whole messages of BGP.
 *
 * An event is a byte of kind, a byte of detail, and for bytes a length and that many bytes.
 */
#include "base/check.h"
#include "base/rd.h"
#include "bgp/fsm.h"
#include "bgp/msg.h"
#include "bgp/speaker.h"

#include <stdio.h>
#include <unistd.h>

#define CONNS 64

struct world {
	struct timers timers;
	struct speaker *s;
	usec_t now;
	uint64_t conns[CONNS];
	size_t nconns;
	bool dialling[CONNS];
	size_t window;	     /* how many bytes a send takes at most */
	bool deaf;	     /* the agent takes no messages just now */
	struct addr watched; /* the next hop that the speaker asked about last */
	uint8_t *sent[CONNS];
	size_t nsent[CONNS];
};

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

/* The linker leads every call of fsm_step() through here (--wrap), so that one can see where inputs get. */
struct fsm_step __real_fsm_step(enum fsm_state s, enum fsm_event ev);
struct fsm_step __wrap_fsm_step(enum fsm_state s, enum fsm_event ev);

static unsigned long cells[FSM_STATES][FSM_EVENTS];

struct fsm_step __wrap_fsm_step(enum fsm_state s, enum fsm_event ev)
{
	cells[s][ev]++;
	return __real_fsm_step(s, ev);
}

/* Cells that no input leads to: where there is no TCP nothing is heard, what is up is not started, and before
 * the session is up the hold timer comes before the send hold timer. */
static bool may_be_missed(enum fsm_state s, enum fsm_event ev)
{
	if (s == FSM_IDLE)
		return ev > FSM_STOP;
	if (s <= FSM_ACTIVE)
		return ev <= FSM_START_PASSIVE || ev == FSM_COLLISION || ev >= FSM_RX_OPEN ||
		       (ev >= FSM_HOLD_TIMER && ev <= FSM_KEEPALIVE_TIMER);
	if (s == FSM_ESTABLISHED && ev == FSM_COLLISION)
		return true;
	return ev <= FSM_START_PASSIVE || ev == FSM_RETRY_TIMER || ev == FSM_TCP_UP ||
	       (s < FSM_ESTABLISHED && ev == FSM_SEND_TIMER) ||
	       (s == FSM_OPENSENT && ev == FSM_KEEPALIVE_TIMER);
}

/* As a test, the corpus has to lead to every other cell. */
__attribute__((destructor)) static void check_cells(void)
{
	bool missed = false;

	for (int i = 0; getenv("FSM_CELLS") && i < FSM_STATES * FSM_EVENTS; i++) {
		enum fsm_state s = (enum fsm_state)(i / FSM_EVENTS);
		enum fsm_event ev = (enum fsm_event)(i % FSM_EVENTS);

		if (cells[s][ev] || may_be_missed(s, ev))
			continue;
		fprintf(stderr, "no input leads to %s in %s\n", fsm_event_name(ev), fsm_state_name(s));
		missed = true;
	}
	if (missed)
		_exit(1);
}

static size_t find(const struct world *w, uint64_t conn)
{
	size_t i = 0;

	while (i < w->nconns && w->conns[i] != conn)
		i++;
	return i;
}

static int add(struct world *w, uint64_t conn, bool dialling)
{
	if (w->nconns == CONNS)
		return -EMFILE;
	w->conns[w->nconns] = conn;
	w->dialling[w->nconns] = dialling;
	w->sent[w->nconns] = NULL;
	w->nsent[w->nconns++] = 0;
	return 0;
}

/* What was sent must be whole, well-framed messages, but for a tail that was cut by the end of the
 * connection. */
static void check_sent(const struct world *w, size_t i)
{
	const uint8_t *p = w->sent[i];
	size_t n = w->nsent[i];
	struct msg m;
	ssize_t k;

	while (n && (k = msg_next(p, n, MSG_MAX_EXT, &m, NULL)) != 0) {
		CHECK(k > 0);
		p += k;
		n -= (size_t)k;
	}
}

static void drop(struct world *w, size_t i)
{
	check_sent(w, i);
	free(w->sent[i]);
	w->nconns--;
	w->conns[i] = w->conns[w->nconns];
	w->dialling[i] = w->dialling[w->nconns];
	w->sent[i] = w->sent[w->nconns];
	w->nsent[i] = w->nsent[w->nconns];
}

static int on_dial(void *arg, uint64_t conn, const struct ipc_peer *peer)
{
	return add(arg, conn, true);
}

static ssize_t on_send(void *arg, uint64_t conn, const void *bytes, size_t n, bool more)
{
	struct world *w = arg;
	size_t i = find(w, conn);

	CHECK(i < w->nconns && !w->dialling[i]);
	if (n > w->window)
		n = w->window;
	w->sent[i] = xrealloc(w->sent[i], w->nsent[i] + n + 1);
	memcpy(w->sent[i] + w->nsent[i], bytes, n);
	w->nsent[i] += n;
	return (ssize_t)n;
}

static void on_close(void *arg, uint64_t conn)
{
	size_t i = find(arg, conn);

	CHECK(i < ((struct world *)arg)->nconns);
	drop(arg, i);
}

static void on_up(void *arg, const struct ipc_msg *m)
{
	static uint8_t out[IPC_MSG_MAX];
	struct ipc_msg again;
	struct err e;
	struct wr w = wr_to(out, sizeof(out));

	ipc_encode(m, &w);
	CHECK(wr_ok(&w) && ipc_decode(out, w.len, &again, &e) == 0);
	if (m->type == IPC_WATCH)
		((struct world *)arg)->watched = m->nexthop.addr;
}

static bool on_up_ready(void *arg)
{
	return !((struct world *)arg)->deaf;
}

static struct addr peer_addr(unsigned i)
{
	return addr_v4(0x0a000001 + i % 2);
}

static void state_peer(struct world *w, uint8_t detail)
{
	struct ipc_msg m = { .type = detail & 128 ? IPC_PEER_GONE : IPC_PEER };

	m.peer = (struct ipc_peer){
		.remote = peer_addr(detail),
		.port = 179,
		.remote_asn = detail & 2 ? 64512 : 65001,
		.passive = detail & 4,
		.families = IPC_FAMILY_V4 | IPC_FAMILY_V6,
		.client = detail & 8,
		.name = "peer",
	};
	speaker_on_ipc(w->s, &m, w->now);
}

/* A peer with everything that can be configured, from four bytes more. */
static void state_full_peer(struct world *w, uint8_t detail, struct rd *r)
{
	static const uint16_t times[] = { 0, 3, 30, 4095 };
	uint8_t a = rd_u8(r), b = rd_u8(r), c = rd_u8(r), d = rd_u8(r);
	struct ipc_msg m = { .type = IPC_PEER };

	m.peer = (struct ipc_peer){
		.remote = peer_addr(detail),
		.port = 179,
		.remote_asn = detail & 2 ? 64512 : 65001,
		.passive = detail & 4,
		.client = detail & 8,
		.local_asn = detail & 16 ? 65009 : 0,
		.families = c & 3 ? c & 3 : IPC_FAMILY_V4 | IPC_FAMILY_V6,
		.ext_message = a & 1,
		.ext_nexthop = a & 2,
		.role_strict = a & 4,
		.role = (a >> 3 & 7) % (IPC_ROLE_PEER + 1),
		.shutdown = a & 64,
		.add_path_recv = b & 3,
		.add_path_send = b >> 2 & 3,
		.nexthop_mode = (b >> 4 & 3) % (IPC_NEXTHOP_KEEP + 1),
		.allow_own_as = b >> 6,
		.import = c >> 2 & 3,
		.export = c >> 4 & 3,
		.max_prefixes = c & 64 ? 3 : 0,
		.hold_time = times[d & 3],
		.keepalive_time = d >> 2 & 1,
		.own_restart_time = d & 8,
		.restart_time = times[d >> 4 & 3],
		.ttl_security = d >> 6 & 1,
		.name = "peer",
		.text = "text",
	};
	if (c & 128)
		memcpy(m.peer.password, "key", 4);
	speaker_on_ipc(w->s, &m, w->now);
}

/* One policy of one rule, or none any more. */
static void state_policy(struct world *w, uint8_t detail)
{
	struct addr net = addr_v4(0x0a080000);
	struct ipc_msg m = { .type = detail & 128 ? IPC_POLICY_GONE : IPC_POLICY };
	uint16_t id = IPC_POLICY_FIRST + (detail & 1);

	m.policy = (struct ipc_policy){ id, detail & 2, "policy" };
	speaker_on_ipc(w->s, &m, w->now);
	if (detail & 128)
		return;
	m = (struct ipc_msg){ .type = IPC_RULE, .rule.id = id };
	m.rule.rule = (struct policy_rule){
		.prefix_op = detail & 4 ? POLICY_PREFIX_IN : POLICY_PREFIX_ANY,
		.prefix = prefix_of(&net, 16),
		.verdict = detail & 8	 ? POLICY_REJECT
			   : detail & 16 ? POLICY_ACCEPT
					 : POLICY_NEXT,
		.nops = detail & 8 ? 0 : 2,
		.ops = { { .kind = POLICY_PREPEND, .nasns = 2, .asns = { 65100, 65101 } },
			 { .kind = POLICY_ADD_COMMUNITY, .community = { detail & 32, { 65000, 1, 0 } } } },
	};
	speaker_on_ipc(w->s, &m, w->now);
	m = (struct ipc_msg){ .type = IPC_POLICY_END, .policy = { .id = id } };
	if (!(detail & 64))
		speaker_on_ipc(w->s, &m, w->now);
}

/* What an agent says about what exists already. */
static void state_other(struct world *w, uint8_t detail)
{
	struct ipc_msg m = { .type = detail & 1 ? IPC_REFRESH : IPC_RESET };

	if (detail & 2) {
		m.type = IPC_NEXTHOP;
		m.nexthop = (struct ipc_nexthop){ .addr = detail & 4 ? w->watched : peer_addr(detail >> 3),
						  .reachable = detail & 16,
						  .metric = detail & 32 ? 100 : 0,
						  .ifname = "eth0" };
		if (!addr_is_set(&m.nexthop.addr))
			return;
	} else if (detail & 1) {
		m.refresh = (struct ipc_refresh){ peer_addr(detail >> 3), detail & 4 };
	} else {
		m.reset = (struct ipc_reset){ peer_addr(detail >> 3), "reset" };
	}
	speaker_on_ipc(w->s, &m, w->now);
}

static void state_origin(struct world *w, uint8_t detail)
{
	struct ipc_msg m = { .type = detail & 128 ? IPC_ORIGIN_GONE : IPC_ORIGIN };
	struct addr a = addr_v4(0x0a080000 + ((uint32_t)detail << 6));

	m.origin.prefix = prefix_of(&a, 26);
	speaker_on_ipc(w->s, &m, w->now);
}

static void state_config(struct world *w, uint8_t detail)
{
	struct ipc_msg m = { .type = IPC_CONFIG };

	m.config = (struct ipc_config){ .asn = 64512,
					.router_id = 0x0a000009,
					.cluster_id = detail & 1,
					.hold_time = 90,
					.restart_time = detail & 2 ? 120 : 0 };
	speaker_on_ipc(w->s, &m, w->now);
}

static void accept_one(struct world *w, uint8_t detail)
{
	struct addr remote = peer_addr(detail), local = addr_v4(0x0a000009);
	uint64_t conn = w->nconns < CONNS ? speaker_on_accept(w->s, &local, &remote, w->now) : 0;

	if (conn)
		add(w, conn, false);
}

static void move_conn(struct world *w, uint8_t kind, uint8_t detail, struct rd *r)
{
	struct addr local = addr_v4(0x0a000009);

	if (!w->nconns)
		return;
	size_t i = detail % w->nconns;
	uint64_t conn = w->conns[i];
	if (kind == 4 && w->dialling[i]) {
		w->dialling[i] = false;
		speaker_on_connected(w->s, conn, &local, w->now);
	} else if (kind == 5) {
		drop(w, i);
		speaker_on_closed(w->s, conn, detail & 64 ? ECONNREFUSED : 0, w->now);
	} else if (kind == 6 && !w->dialling[i]) {
		speaker_on_writable(w->s, conn, w->now);
	} else if (kind == 7 && !w->dialling[i]) {
		size_t n = rd_be16(r);
		if (n > rd_left(r))
			n = rd_left(r);
		speaker_on_data(w->s, conn, rd_bytes(r, n), n, w->now);
	}
}

static void one_event(struct world *w, struct rd *r)
{
	uint8_t kind = rd_u8(r) % 16, detail = rd_u8(r);
	struct ipc_msg stated = { .type = detail & 1 ? IPC_STATED : IPC_DUMP, .dump = { .all = true } };

	switch (kind) {
	case 0:
		state_peer(w, detail);
		break;
	case 1:
		state_origin(w, detail);
		break;
	case 2:
		state_config(w, detail);
		break;
	case 3:
		accept_one(w, detail);
		break;
	case 8:
		w->now += (usec_t)detail * detail * 10 * MSEC;
		timers_run(&w->timers, w->now);
		break;
	case 9:
		w->window = (size_t)detail * detail;
		break;
	case 10:
		w->deaf = detail & 2;
		speaker_on_agent(w->s, detail & 1, w->now);
		break;
	case 11:
		speaker_on_ipc(w->s, &stated, w->now);
		break;
	case 12:
		speaker_turn(w->s, w->now);
		break;
	case 13:
		state_full_peer(w, detail, r);
		break;
	case 14:
		state_policy(w, detail);
		break;
	case 15:
		state_other(w, detail);
		break;
	default:
		move_conn(w, kind, detail, r);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
	struct world w = { .now = 1000 * SEC, .window = 65536 };
	struct speaker_io io = { .arg = &w,
				 .dial = on_dial,
				 .send = on_send,
				 .close = on_close,
				 .up = on_up,
				 .up_ready = on_up_ready };
	struct rd r = rd_of(bytes, n);

	timers_init(&w.timers);
	w.s = speaker_new(&io, &w.timers, 1, w.now);
	state_config(&w, 0);
	while (rd_left(&r) && rd_ok(&r)) {
		one_event(&w, &r);
		if (n & 1)
			speaker_turn(w.s, w.now);
	}
	speaker_turn(w.s, w.now);
	speaker_free(w.s);
	CHECK(w.nconns == 0 && timers_next(&w.timers) == USEC_NEVER);
	timers_done(&w.timers);
	return 0;
}
