/*
 * bgp/state: the insides of the speaker, shared by speaker.c (agent and turn), peer.c and its parts (sessions
 * and routes) and conn.c (connections); nobody else includes it.
 *
 * Invariant: a peer's dialled connection object exists as long as the peer, its accepted one as long as that
 * TCP connection; peer->up is one of them and is Established, or NULL.
 */
#pragma once
#include "base/list.h"
#include "base/map.h"
#include "base/own.h"
#include "base/prng.h"
#include "bgp/export.h"
#include "bgp/fsm.h"
#include "bgp/msg.h"
#include "bgp/policy.h"
#include "bgp/rib.h"
#include "bgp/speaker.h"
#include "bgp/update.h"

#include <assert.h>
#include <stdio.h>

/* Written limits. */
#define SPEAKER_PEER_PREFIXES                                                                              \
	2000000 /* more from one peer: Cease/Maximum Number of Prefixes Reached; ipc_peer.max_prefixes may \
		   say less */
#define SPEAKER_PEER_ATTRS  (256u << 20) /* bytes of attributes of one peer's paths; more: the same */
#define SPEAKER_ORIGINS	    100000	 /* more are not taken from the agent */
#define SPEAKER_DUMPS	    8		 /* waiting; a further one is answered with its end at once */
#define SPEAKER_BATCH_PEERS 500		 /* from so many established peers on ... */
#define SPEAKER_BATCH_TIME  (3 * MSEC)	 /* ... changes are collected for so long before they are sent, */
#define SPEAKER_QUIET	    (20 * MSEC)	 /* ... but for the first ones after so long without any */
#define SPEAKER_STATS_TIME  (1 * SEC)	 /* counters of a peer are told at most so often */
#define SPEAKER_REFRESH_TIME                                                                               \
	(1 * SEC)		      /* a peer's refresh is answered at most so often, and its own begins \
				       */
#define SPEAKER_PROBE_TIME (1 * SEC)  /* a session in doubt is probed at most so often */
#define SPEAKER_NOTE_TIME  (10 * SEC) /* faults in a peer's UPDATEs are noted at most so often */
#define SPEAKER_BRIEF	   (1 * SEC)  /* a session that ends within this time was a brief one ... */
#define SPEAKER_BRIEF_MAX  10	      /* ... and after so many in a row the peer has to wait */
#define SPEAKER_YOUNG	   (10 * SEC) /* a session so new is not taken for dead because its peer dials */
#define SPEAKER_STALE_MORE \
	(2 * SEC)		/* ... and so long after it (a late route is kept, a dead one told later) */
#define SPEAKER_COURT (1 * SEC) /* a peer that has just dialled us is not dialled for so long */
#define SPEAKER_STALE_EOR \
	(120 *            \
	 SEC) /* stale paths of a peer that is back, or tells all again, wait so long for the end of it */

struct peer;

struct conn {
	UT_hash_handle hh; /* by id, while there is TCP */
	uint64_t id;	   /* 0: no TCP */
	struct peer *peer;
	struct list fresh; /* accepted, not yet begun */
	bool dialled;
	bool blocked; /* speaker_on_writable() will come */
	enum fsm_state state;
	struct addr local;
	usec_t since; /* an accepted one: when it came */
	struct timer retry, hold, send, keepalive;
	usec_t hold_until; /* the timer may be armed earlier: then it goes on from there */
	usec_t heard;	   /* when the last message came */
	unsigned depth;	   /* events in work: an action may lead to another */
	unsigned failures; /* TCP connections that came to nothing, in a row */
	struct caps offered;
	struct msg_open open; /* the peer's, from OpenConfirm on */
	struct caps_agreed agreed;
	unsigned hold_time; /* seconds, agreed; until then what we offered */
	uint8_t *partial;   /* the beginning of a message; NULL if none */
	size_t npartial;
	uint8_t *queue; /* messages other than UPDATE that wait to be sent */
	size_t nqueue;
};

struct peer {
	UT_hash_handle hh; /* by conf.remote */
	struct speaker *s;
	struct ipc_peer conf;
	uint16_t number;
	uint32_t gen; /* when it was last stated */
	bool wanted;  /* started: both false while it is being taken down */
	bool damped;  /* the last session ended over an error that would repeat itself */
	struct conn dialled, *accepted;
	struct conn *up;
	struct timer idle_hold;
	unsigned errors;
	/* What people see. */
	enum fsm_state shown;
	usec_t since;
	char reason[IPC_TEXT_MAX];
	bool strong; /* the reason is what a NOTIFICATION said, and no session has come since */
	uint32_t flaps;
	unsigned brief;	    /* sessions that ended at once, in a row */
	usec_t fault_noted; /* meaningful if faults */
	uint64_t faults;    /* UPDATEs with a fault, all in all */
	uint64_t msgs_in, msgs_out, updates_in, updates_out;
	struct list untold; /* its state is to be told */
	bool import_due;    /* a next hop's interface has become known, and import policy asks for it */
	bool counters;	    /* its counters have changed since */
	/* While established. */
	struct codec codec;
	struct out *out;
	struct list sending; /* there may be something to send */
	uint8_t eor_out;     /* families whose End-of-RIB is to be sent */
	bool eor_placed;
	uint64_t eor_version; /* ... once this version has been sent */
	uint8_t eor_in;	      /* families whose End-of-RIB has not come */
	usec_t refreshed, probed;
	struct timer refresh;
	/* The peer asked for everything again (RFC 2918, 7313): families asked for and not yet begun with,
	 * and those whose end is to be told once this version has been sent. */
	uint8_t refresh_due, refresh_end;
	uint64_t refresh_version;
	uint8_t refreshing;	     /* families in which the peer is telling everything again */
	usec_t began[CAPS_FAMILIES]; /* when it last began to */
	/* Across a restart of the peer (RFC 4724, 8538, 9494): families whose paths are kept, of these the
	 * long-lived ones, and until when. */
	uint8_t stale, llgr;
	usec_t stale_since, stale_until[CAPS_FAMILIES];
	usec_t llgr_time[CAPS_FAMILIES]; /* how long it asked for */
	usec_t llgr_end[CAPS_FAMILIES];	 /* of the time that has begun; 0 = none has */
	struct timer stale_end;
};

struct origin {
	UT_hash_handle hh;
	struct prefix prefix;
	uint32_t gen;
};

struct dump {
	struct ipc_dump what;
	uint32_t at;
};

struct speaker {
	struct speaker_io io;
	struct timers *timers;
	struct prng prng;
	bool configured;
	struct ipc_config config;
	struct peer *peers;
	struct peer **numbers; /* by number; NULL = free */
	uint32_t nnumbers, nup;
	struct conn *conns;
	uint64_t last_conn;
	struct list fresh, untold, sending;
	struct origin *origins;
	struct attr_table *attrs;
	struct attr_set *own; /* of our origins */
	struct policies *policies;
	bool heeds_interfaces; /* some rule has asked for one */
	struct rib *rib;
	struct exports *exports;
	uint64_t sent; /* the version all peers were put to sending for */
	uint32_t gen;
	bool agent, stated, synced, synced_told;
	usec_t first_up; /* meaningful if seen_up */
	bool seen_up;
	usec_t stated_at; /* meaningful if stated */
	struct timer sync, flush, stats;
	bool flush_due;
	usec_t flushed; /* when changes were last sent */
	struct dump dumps[SPEAKER_DUMPS];
	size_t ndumps;
	struct update update; /* the UPDATE in work */
};

/* Why an event happens: for people, and for the peer. */
struct cause {
	char reason[IPC_TEXT_MAX];
	struct notify notify; /* code 0: none */
	bool told;	      /* by a NOTIFICATION of the peer */
	bool weak;	      /* does not take the place of what a NOTIFICATION said */
	bool tcp_only;	      /* TCP ended and neither side has sent a NOTIFICATION */
	bool hard;	      /* routes must not be kept either (RFC 8538 Hard Reset) */
};
#define CAUSE(...)                                                           \
	({                                                                   \
		struct cause cause_ = { 0 };                                 \
		snprintf(cause_.reason, sizeof(cause_.reason), __VA_ARGS__); \
		cause_;                                                      \
	})

/* conn.c */
void conn_init(struct conn *c, struct peer *p, bool dialled);
/* The only way a connection changes: step, then the actions. c may be gone afterwards if it was accepted. */
void conn_event(struct conn *c, enum fsm_event ev, const struct cause *why, usec_t now);
void conn_adopt(struct conn *c, const struct addr *local, usec_t now); /* gives it a number: TCP is there */
void conn_begin(struct conn *c, usec_t now);			       /* an accepted one: TCP up */
struct cause conn_why_closed(const struct conn *c, int error);	       /* error: errno value, 0 = orderly */
void conn_lost(struct conn *c); /* TCP is gone already: it is not closed by us */
struct conn *conn_find(struct speaker *s, uint64_t id);
void conn_data(struct speaker *s, uint64_t id, const uint8_t *bytes, size_t n, usec_t now);
/* Sends what waits, in order and without tearing messages. False if the connection is gone. */
bool conn_flush(struct conn *c, usec_t now);
void conn_queue(struct conn *c, const struct wr *w); /* for conn_flush() */
void conn_release(struct conn *c);		     /* frees what it holds; it has no TCP */

/* peer.c: what a peer is and what people see of it, its configuration, OPEN, up and down. */
struct peer *peer_find(struct speaker *s, const struct addr *remote);
void peer_state(struct speaker *s, const struct ipc_peer *conf, usec_t now); /* new, or changed */
void peer_remove(struct peer *p, usec_t now);
void peer_reset(struct peer *p, const struct cause *why, usec_t now); /* end the session, begin anew */
void peer_keep_going(struct peer *p, usec_t now);
void peer_show(struct peer *p, usec_t now); /* the state may have changed */
void peer_reason(struct peer *p, const struct cause *why);
void peer_error(struct peer *p, const struct cause *why, usec_t now);
uint32_t peer_asn(const struct peer *p); /* ours, on this session */
bool peer_is_ebgp(const struct peer *p);
uint16_t peer_hold_time(const struct peer *p);
struct caps peer_caps(const struct peer *p);
/* The peer's OPEN came on c and is in *open. */
void peer_open(struct peer *p, struct conn *c, const struct msg_open *open, usec_t now);
void peer_up(struct peer *p, struct conn *c, usec_t now);
void peer_down(struct peer *p, struct conn *c, const struct cause *why, usec_t now);
/* Interfaces of next hops have become known. */
void peer_interfaces_changed(struct peer *p, usec_t now);
void peer_policy_changed(struct peer *p, uint16_t policy, usec_t now); /* its rules are other ones, or gone */
void peer_tell(struct peer *p);					       /* its state is to be told */
void peer_count(struct peer *p, usec_t now); /* its counters, or how far it is, are to be told soon */
struct cause cease(uint8_t subcode, const char *reason);
uint64_t peer_accept(struct peer *p, const struct addr *local, usec_t now);
void peer_describe(const struct peer *p, usec_t now, struct ipc_peer_state *ret);

/* peer_in.c: routes in. */
void peer_update(struct peer *p, usec_t now); /* takes the routes of s->update */
/* Ends the session if there are more than may be, or could not be learned. */
void peer_limit(struct peer *p, enum rib_learned learned, usec_t now);

/* peer_out.c: routes out. */
void peer_send(struct peer *p); /* there may be something to send */
void peer_flush(struct peer *p, usec_t now);
void peer_refresh(struct peer *p, usec_t now); /* answers what it has asked for, if it is time */
void peer_on_refresh(struct peer *p, const struct msg_refresh *m,
		     usec_t now); /* what it asks for, or tells */
void peer_on_refresh_due(struct timer *t, usec_t now);
bool peer_ask_refresh(struct peer *p, usec_t now); /* false: it cannot be asked */

/* peer_stale.c: paths kept over a restart, or while the peer tells everything again. */
bool peer_knows_notification(const struct conn *c); /* both sides keep routes over a NOTIFICATION */
bool peer_keeps_routes(const struct conn *c, const struct cause *why);
void peer_stale_down(struct peer *p, const struct conn *c, usec_t now);	 /* its routes stay for now */
void peer_stale_up(struct peer *p, const struct caps *caps, usec_t now); /* it is back */
void peer_stale_again(struct peer *p, uint8_t family, usec_t now);  /* it begins to tell everything again */
void peer_stale_told(struct peer *p, uint8_t families, usec_t now); /* it has said End-of-RIB */
void peer_stale_end(struct peer *p, uint8_t families);		    /* what it has not repeated goes */
void peer_on_stale_end(struct timer *t, usec_t now);

/* speaker.c */
void speaker_wake(struct speaker *s);
void speaker_note(struct speaker *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void speaker_check_sync(struct speaker *s, usec_t now);
