/*
 * The speaker as a whole under a hostile peer, TCP and clock: the input is a list of events (open, bytes,
 * close, short writes, time, statements of the agent). Nothing may crash, leak, or loop, and what the speaker
 * sends must be whole messages of BGP.
 *
 * An event is a byte of kind, a byte of detail, and for bytes a length and that many bytes.
 */
#include "base/check.h"
#include "base/rd.h"
#include "bgp/msg.h"
#include "bgp/speaker.h"

#define CONNS 64

struct world {
	struct timers timers;
	struct speaker *s;
	usec_t now;
	uint64_t conns[CONNS];
	size_t nconns;
	bool dialling[CONNS];
	size_t window; /* how many bytes a send takes at most */
	uint8_t *sent[CONNS];
	size_t nsent[CONNS];
};

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

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

	while (n && (k = msg_next(p, n, MSG_MAX, &m, NULL)) != 0) {
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

static ssize_t on_send(void *arg, uint64_t conn, const void *bytes, size_t n)
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
	uint8_t kind = rd_u8(r) % 13, detail = rd_u8(r);
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
		speaker_on_agent(w->s, detail & 1, w->now);
		break;
	case 11:
		speaker_on_ipc(w->s, &stated, w->now);
		break;
	case 12:
		speaker_turn(w->s, w->now);
		break;
	default:
		move_conn(w, kind, detail, r);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
	struct world w = { .now = 1000 * SEC, .window = 65536 };
	struct speaker_io io = { &w, on_dial, on_send, on_close, on_up, NULL, NULL, NULL };
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
