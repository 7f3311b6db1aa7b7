/*
 * bgp/fsm: the state machine of one BGP connection (RFC 4271 section 8) as data, and its timing.
 *
 * A peer has up to two connections, one dialled and one accepted; each is an ordinary machine of its own. The
 * accepted one begins in Active, as RFC 4271 sees it: waiting for TCP.
 *
 *        Start            TCP up            OPEN             KEEPALIVE
 *  Idle ------> Connect ---------> OpenSent ----> OpenConfirm ----> Established
 *   |   passive    ^ |     TCP up     ^ |               |                |
 *   |------------> | v ---------------' | TCP down      |                |
 *   |             Active <--------------'               |                |
 *   |              (retry timer dials again)            v                v
 *   '<------------- any error, NOTIFICATION, hold timer, Stop -----------'
 *
 * An event for which a state has no cell is unexpected: NOTIFICATION "FSM error" with the state's subcode
 * (RFC 6608), close, Idle.
 *
 * Invariant: fsm_step() is a pure function; whoever calls it sets the state first and then carries the
 * actions out in the order of their bits.
 */
#pragma once
#include "base/clock.h"
#include "base/prng.h"

#include <stdbool.h>

enum fsm_state {
	FSM_IDLE,
	FSM_CONNECT,
	FSM_ACTIVE,
	FSM_OPENSENT,
	FSM_OPENCONFIRM,
	FSM_ESTABLISHED,
	FSM_STATES
};

enum fsm_event {
	FSM_START,	   /* dial */
	FSM_START_PASSIVE, /* only wait to be dialled */
	FSM_STOP,	   /* the peer is no longer wanted, or not like this */
	FSM_COLLISION,	   /* the other connection to the same peer was preferred */
	FSM_RETRY_TIMER,
	FSM_HOLD_TIMER,
	FSM_SEND_TIMER, /* nothing could be sent for too long (RFC 9687) */
	FSM_KEEPALIVE_TIMER,
	FSM_TCP_UP,
	FSM_TCP_DOWN, /* could not be made, ended, or was replaced by a restarted peer */
	FSM_RX_OPEN,  /* acceptable */
	FSM_RX_KEEPALIVE,
	FSM_RX_UPDATE, /* possibly with errors that RFC 7606 lets a session survive */
	FSM_RX_REFRESH,
	FSM_RX_NOTIFICATION,
	FSM_RX_BAD, /* a message that ends the session; the NOTIFICATION to answer comes with it */
	FSM_EVENTS,
};

/* In the order in which they are carried out. */
enum fsm_action {
	FSM_DO_NOTIFY = 1 << 0,		/* send the NOTIFICATION that belongs to the event */
	FSM_DO_CLOSE = 1 << 1,		/* close TCP; all timers of the connection stop */
	FSM_DO_DOWN = 1 << 2,		/* the session was established and is not any more */
	FSM_DO_DIAL = 1 << 3,		/* start TCP, retry timer as its limit */
	FSM_DO_RETRY = 1 << 4,		/* start the retry timer: dial again in a while */
	FSM_DO_IDLE_HOLD = 1 << 5,	/* start again after a pause that grows with every error */
	FSM_DO_SEND_OPEN = 1 << 6,	/* and start the hold timer with its large value */
	FSM_DO_SEND_KEEPALIVE = 1 << 7, /* and restart the keepalive timer */
	FSM_DO_HOLD_AGAIN = 1 << 8,	/* restart the hold timer with the negotiated value */
	FSM_DO_UP = 1 << 9,		/* the session is established: tell everything */
	FSM_DO_UPDATE = 1 << 10,	/* take the routes */
	FSM_DO_REFRESH = 1 << 11,	/* tell everything again */
	FSM_DO_ALL = (1 << 12) - 1,
};

struct fsm_step {
	enum fsm_state next;
	unsigned actions;
	bool unexpected; /* the NOTIFICATION is code 5 with fsm_error_subcode() */
};

struct fsm_step fsm_step(enum fsm_state s, enum fsm_event ev);
const char *fsm_state_name(enum fsm_state s);
const char *fsm_event_name(enum fsm_event ev);
/* RFC 6608: 1, 2, 3 for OpenSent, OpenConfirm, Established; 0 for the others. */
uint8_t fsm_error_subcode(enum fsm_state s);

/*
 * Two connections to one peer, both past OPEN (RFC 4271 6.8): true if the one we dialled survives. The larger
 * BGP identifier keeps what it dialled; equal identifiers are told apart by AS number (RFC 6286).
 */
bool fsm_keeps_dialled(uint32_t my_id, uint32_t my_asn, uint32_t peer_id, uint32_t peer_asn);

/* Timing. Every wait is spread, so that a thousand nodes started together do not move in step. */
#define FSM_HOLD_LARGE	  (240 * SEC) /* until the OPEN has come; Calico's peers use the same */
#define FSM_DIAL_LIMIT	  (5 * SEC)   /* a TCP connection not made by then is tried again */
#define FSM_RETRY_MIN	  (50 * MSEC) /* a node that is starting listens a moment later */
#define FSM_RETRY_MAX	  (5 * SEC)
#define FSM_IDLE_HOLD_MIN (250 * MSEC)
#define FSM_IDLE_HOLD_MAX (30 * SEC)
#define FSM_FORGET	  (300 * SEC)	 /* established for so long: the errors before are forgotten */
#define FSM_SEND_HOLD_MIN (8 * 60 * SEC) /* RFC 9687: the greater of 8 minutes and twice the hold time */

/* The wait before attempt n+1 after n failures (n >= 1): doubling, between 100 % and 200 % of the minimum at
 * first. */
usec_t fsm_retry_wait(unsigned failures, struct prng *p);
usec_t fsm_idle_hold(unsigned errors, struct prng *p);
/* A third of the hold time, or what was configured (seconds, 0 = nothing; kept below the hold time), times 75
 * to 100 % (RFC 4271 10). 0 for a hold time of 0: no keepalives. */
usec_t fsm_keepalive_wait(unsigned hold_seconds, unsigned configured, struct prng *p);
/* RFC 4271 4.2: the smaller of both; 0 if either is 0 */
unsigned fsm_hold_time(unsigned ours, unsigned theirs);
