/*
 * RFC 4271 section 8 as a table. The left-out parts of the standard are optional session attributes that no
 * pod network needs (DelayOpen, DampPeerOscillations as a switch: here it is always on, as the growing idle
 * hold). RFC 6608 for the FSM error subcodes, RFC 6286 for the collision of equal identifiers, RFC 9687 for
 * the send hold timer.
 */
#include "bgp/fsm.h"

#include "base/check.h"

#include <assert.h>

struct cell {
	bool here; /* a zeroed cell means "unexpected" */
	enum fsm_state next;
	unsigned actions;
};

#define GO(next, actions)           \
	{                           \
		true, next, actions \
	}

enum {
	END = FSM_DO_CLOSE | FSM_DO_IDLE_HOLD,
	END_SAYING = FSM_DO_NOTIFY | END,
};

static const struct cell cells[FSM_STATES][FSM_EVENTS] = {
	/* Nothing is open and nothing is expected; only a start leads out. */
	[FSM_IDLE] = {
		[FSM_START] = GO(FSM_CONNECT, FSM_DO_DIAL),
		[FSM_START_PASSIVE] = GO(FSM_ACTIVE, 0),
		[FSM_STOP] = GO(FSM_IDLE, 0),
		[FSM_COLLISION] = GO(FSM_IDLE, 0),
		[FSM_TCP_DOWN] = GO(FSM_IDLE, 0),
	},
	/* TCP is being made. */
	[FSM_CONNECT] = {
		[FSM_START] = GO(FSM_CONNECT, 0),
		[FSM_START_PASSIVE] = GO(FSM_CONNECT, 0),
		[FSM_STOP] = GO(FSM_IDLE, FSM_DO_CLOSE),
		[FSM_COLLISION] = GO(FSM_IDLE, FSM_DO_CLOSE),
		[FSM_RETRY_TIMER] = GO(FSM_ACTIVE, FSM_DO_CLOSE | FSM_DO_RETRY),
		[FSM_TCP_UP] = GO(FSM_OPENSENT, FSM_DO_SEND_OPEN),
		[FSM_TCP_DOWN] = GO(FSM_ACTIVE, FSM_DO_CLOSE | FSM_DO_RETRY),
	},
	/* Waiting: to be dialled, or to dial again. */
	[FSM_ACTIVE] = {
		[FSM_START] = GO(FSM_ACTIVE, 0),
		[FSM_START_PASSIVE] = GO(FSM_ACTIVE, 0),
		[FSM_STOP] = GO(FSM_IDLE, FSM_DO_CLOSE),
		[FSM_COLLISION] = GO(FSM_IDLE, FSM_DO_CLOSE),
		[FSM_RETRY_TIMER] = GO(FSM_CONNECT, FSM_DO_DIAL),
		[FSM_TCP_UP] = GO(FSM_OPENSENT, FSM_DO_SEND_OPEN),
		[FSM_TCP_DOWN] = GO(FSM_ACTIVE, 0),
	},
	[FSM_OPENSENT] = {
		[FSM_START] = GO(FSM_OPENSENT, 0),
		[FSM_START_PASSIVE] = GO(FSM_OPENSENT, 0),
		[FSM_STOP] = GO(FSM_IDLE, FSM_DO_NOTIFY | FSM_DO_CLOSE),
		[FSM_COLLISION] = GO(FSM_IDLE, FSM_DO_NOTIFY | FSM_DO_CLOSE),
		[FSM_HOLD_TIMER] = GO(FSM_IDLE, END_SAYING),
		[FSM_SEND_TIMER] = GO(FSM_IDLE, END_SAYING),
		[FSM_TCP_DOWN] = GO(FSM_ACTIVE, FSM_DO_CLOSE | FSM_DO_RETRY),
		[FSM_RX_OPEN] = GO(FSM_OPENCONFIRM, FSM_DO_SEND_KEEPALIVE | FSM_DO_HOLD_AGAIN),
		[FSM_RX_NOTIFICATION] = GO(FSM_IDLE, END),
		[FSM_RX_BAD] = GO(FSM_IDLE, END_SAYING),
	},
	[FSM_OPENCONFIRM] = {
		[FSM_START] = GO(FSM_OPENCONFIRM, 0),
		[FSM_START_PASSIVE] = GO(FSM_OPENCONFIRM, 0),
		[FSM_STOP] = GO(FSM_IDLE, FSM_DO_NOTIFY | FSM_DO_CLOSE),
		[FSM_COLLISION] = GO(FSM_IDLE, FSM_DO_NOTIFY | FSM_DO_CLOSE),
		[FSM_HOLD_TIMER] = GO(FSM_IDLE, END_SAYING),
		[FSM_SEND_TIMER] = GO(FSM_IDLE, END_SAYING),
		[FSM_KEEPALIVE_TIMER] = GO(FSM_OPENCONFIRM, FSM_DO_SEND_KEEPALIVE),
		[FSM_TCP_DOWN] = GO(FSM_IDLE, END),
		[FSM_RX_KEEPALIVE] = GO(FSM_ESTABLISHED, FSM_DO_HOLD_AGAIN | FSM_DO_UP),
		[FSM_RX_NOTIFICATION] = GO(FSM_IDLE, END),
		[FSM_RX_BAD] = GO(FSM_IDLE, END_SAYING),
	},
	[FSM_ESTABLISHED] = {
		[FSM_START] = GO(FSM_ESTABLISHED, 0),
		[FSM_START_PASSIVE] = GO(FSM_ESTABLISHED, 0),
		[FSM_STOP] = GO(FSM_IDLE, FSM_DO_NOTIFY | FSM_DO_CLOSE | FSM_DO_DOWN),
		[FSM_COLLISION] = GO(FSM_IDLE, FSM_DO_NOTIFY | FSM_DO_CLOSE | FSM_DO_DOWN),
		[FSM_HOLD_TIMER] = GO(FSM_IDLE, END_SAYING | FSM_DO_DOWN),
		[FSM_SEND_TIMER] = GO(FSM_IDLE, END_SAYING | FSM_DO_DOWN),
		[FSM_KEEPALIVE_TIMER] = GO(FSM_ESTABLISHED, FSM_DO_SEND_KEEPALIVE),
		[FSM_TCP_DOWN] = GO(FSM_IDLE, END | FSM_DO_DOWN),
		[FSM_RX_KEEPALIVE] = GO(FSM_ESTABLISHED, FSM_DO_HOLD_AGAIN),
		[FSM_RX_UPDATE] = GO(FSM_ESTABLISHED, FSM_DO_HOLD_AGAIN | FSM_DO_UPDATE),
		[FSM_RX_REFRESH] = GO(FSM_ESTABLISHED, FSM_DO_HOLD_AGAIN | FSM_DO_REFRESH),
		[FSM_RX_NOTIFICATION] = GO(FSM_IDLE, END | FSM_DO_DOWN),
		[FSM_RX_BAD] = GO(FSM_IDLE, END_SAYING | FSM_DO_DOWN),
	},
};

/* What an empty cell means. Without a TCP connection nobody could be told, and Idle stays Idle. */
static const struct cell unexpected[FSM_STATES] = {
	[FSM_IDLE] = GO(FSM_IDLE, 0),
	[FSM_CONNECT] = GO(FSM_IDLE, END),
	[FSM_ACTIVE] = GO(FSM_IDLE, END),
	[FSM_OPENSENT] = GO(FSM_IDLE, END_SAYING),
	[FSM_OPENCONFIRM] = GO(FSM_IDLE, END_SAYING),
	[FSM_ESTABLISHED] = GO(FSM_IDLE, END_SAYING | FSM_DO_DOWN),
};

static const char *const state_names[] = {
	[FSM_IDLE] = "Idle",	     [FSM_CONNECT] = "Connect",		[FSM_ACTIVE] = "Active",
	[FSM_OPENSENT] = "OpenSent", [FSM_OPENCONFIRM] = "OpenConfirm", [FSM_ESTABLISHED] = "Established",
};
static_assert(ARRAY_SIZE(state_names) == FSM_STATES, "a name for every state");

static const char *const event_names[] = {
	[FSM_START] = "start",
	[FSM_START_PASSIVE] = "passive start",
	[FSM_STOP] = "stop",
	[FSM_COLLISION] = "collision",
	[FSM_RETRY_TIMER] = "retry timer",
	[FSM_HOLD_TIMER] = "hold timer",
	[FSM_SEND_TIMER] = "send hold timer",
	[FSM_KEEPALIVE_TIMER] = "keepalive timer",
	[FSM_TCP_UP] = "TCP up",
	[FSM_TCP_DOWN] = "TCP down",
	[FSM_RX_OPEN] = "OPEN",
	[FSM_RX_KEEPALIVE] = "KEEPALIVE",
	[FSM_RX_UPDATE] = "UPDATE",
	[FSM_RX_REFRESH] = "ROUTE-REFRESH",
	[FSM_RX_NOTIFICATION] = "NOTIFICATION",
	[FSM_RX_BAD] = "bad message",
};
static_assert(ARRAY_SIZE(event_names) == FSM_EVENTS, "a name for every event");

struct fsm_step fsm_step(enum fsm_state s, enum fsm_event ev)
{
	CHECK(s < FSM_STATES && ev < FSM_EVENTS);
	const struct cell *c = &cells[s][ev];
	if (!c->here)
		c = &unexpected[s];
	return (struct fsm_step){ c->next, c->actions, c == &unexpected[s] };
}

const char *fsm_state_name(enum fsm_state s)
{
	return s < FSM_STATES ? state_names[s] : "?";
}

const char *fsm_event_name(enum fsm_event ev)
{
	return ev < FSM_EVENTS ? event_names[ev] : "?";
}

uint8_t fsm_error_subcode(enum fsm_state s)
{
	return s >= FSM_OPENSENT && s <= FSM_ESTABLISHED ? (uint8_t)(s - FSM_OPENSENT + 1) : 0;
}

bool fsm_keeps_dialled(uint32_t my_id, uint32_t my_asn, uint32_t peer_id, uint32_t peer_asn)
{
	return my_id != peer_id ? my_id > peer_id : my_asn > peer_asn;
}

/* min, 2 min, 4 min ... up to max, each stretched by up to as much again but never above max. */
static usec_t back_off(usec_t min, usec_t max, unsigned n, struct prng *p)
{
	usec_t base = min;

	for (; n > 1 && base < max; n--)
		base *= 2;
	if (base * 2 > max)
		base = max / 2;
	return base + (usec_t)prng_below(p, (uint64_t)base + 1);
}

usec_t fsm_retry_wait(unsigned failures, struct prng *p)
{
	return back_off(FSM_RETRY_MIN, FSM_RETRY_MAX, failures, p);
}

usec_t fsm_idle_hold(unsigned errors, struct prng *p)
{
	return back_off(FSM_IDLE_HOLD_MIN, FSM_IDLE_HOLD_MAX, errors, p);
}

usec_t fsm_keepalive_wait(unsigned hold_seconds, unsigned configured, struct prng *p)
{
	usec_t hold = (usec_t)hold_seconds * SEC, full = hold / 3;

	if (configured)
		full = MIN((usec_t)configured * SEC, hold - hold / 10);

	return full - (usec_t)prng_below(p, (uint64_t)full / 4 + 1);
}

unsigned fsm_hold_time(unsigned ours, unsigned theirs)
{
	return ours < theirs ? ours : theirs;
}
