/*
 * bgp/ipc: what agent and speaker say to each other over a SOCK_SEQPACKET Unix socket.
 *
 * One datagram is one message: version (1), type (1), then the fields in order, big-endian. Encoding and
 * decoding are pure; the receiver treats every message as hostile (the speaker is the process that listens to
 * the network).
 *
 * Both directions are stamp-and-sweep. After a connection is made the agent sends HELLO, then everything it
 * wants (CONFIG, PEERs, ORIGINs, in that order), then STATED: what the speaker had and was not stated again
 * goes away. The speaker sends HELLO, then all its best routes and peer states, then SYNCED; the agent sweeps
 * only after SYNCED. SYNCED of a freshly started speaker is held back until its peers that are up have sent
 * End-of-RIB, or some seconds have passed (SPEAKER_SYNC_*): an empty RIB is not the truth yet. Afterwards
 * both send only changes. When the agent goes away the sessions stay up.
 */
#pragma once
#include "base/addr.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/rd.h"
#include "base/wr.h"

#include <stdbool.h>

#define IPC_VERSION    1
#define IPC_MSG_MAX    16384 /* bytes of one message */
#define IPC_NAME_MAX   254   /* bytes of a peer's or origin's name, with its NUL */
#define IPC_TEXT_MAX   256   /* bytes of a reason, with its NUL */
#define IPC_PATHS_MAX  16    /* equal-cost next hops told in one ROUTE */
#define IPC_LISTEN_MAX 16    /* listening addresses */

enum ipc_type {
	IPC_HELLO = 1,	 /* both ways, first: versions must match, or the connection ends */
	IPC_CONFIG,	 /* down */
	IPC_PEER,	 /* down: this peer shall exist, like this */
	IPC_PEER_GONE,	 /* down */
	IPC_ORIGIN,	 /* down: announce this prefix */
	IPC_ORIGIN_GONE, /* down */
	IPC_LISTEN,	 /* down: take this listening socket (one descriptor by SCM_RIGHTS) */
	IPC_UNLISTEN,	 /* down: close it */
	IPC_STATED,	 /* down: that was all; sweep what was not stated again */
	IPC_DUMP,	 /* down: tell me all paths of this prefix, or of every prefix */
	IPC_ROUTE,	 /* up: the best path(s) of a prefix */
	IPC_ROUTE_GONE,	 /* up: no path any more */
	IPC_SYNCED,	 /* up: that was all */
	IPC_PEER_STATE,	 /* up */
	IPC_PATH,	 /* up: one row of a DUMP */
	IPC_DUMP_END,	 /* up */
	IPC_TYPES,
};

struct ipc_hello {
	uint32_t pid;
	uint64_t epoch; /* speaker: when it started (wall nanoseconds), so that the agent notices a new one */
	uint8_t nlisten; /* speaker: what it listens on already */
	struct ipc_listen {
		struct addr addr; /* unspecified = every address of the family */
		uint16_t port;
	} listen[IPC_LISTEN_MAX];
};

struct ipc_config {
	uint32_t asn;
	uint32_t router_id;    /* as a 32-bit number; never 0 */
	uint32_t cluster_id;   /* 0 = not a route reflector */
	uint16_t hold_time;    /* seconds offered, 0 or >= 3 */
	uint16_t restart_time; /* seconds of graceful restart offered; 0 = none */
};

enum { IPC_FAMILY_V4 = 1, IPC_FAMILY_V6 = 2 };

/* A peer is known by its remote address. */
struct ipc_peer {
	struct addr remote, local;	/* local unset = the kernel chooses */
	uint16_t port;			/* remote port to dial */
	uint32_t remote_asn, local_asn; /* local_asn 0 = ipc_config.asn */
	bool passive;			/* never dial */
	uint8_t families;		/* IPC_FAMILY_* to negotiate */
	bool client;			/* it is a client of ours (route reflection) */
	uint16_t hold_time;		/* 0 = ipc_config.hold_time */
	char name[IPC_NAME_MAX];	/* for people: "node3" */
};

struct ipc_origin {
	struct prefix prefix;
	struct addr nexthop; /* unset = the session's own address */
};

/* One path, as best path selection saw it. */
struct ipc_path {
	struct prefix prefix;
	struct addr peer;    /* unset = our own origin */
	struct addr nexthop; /* as received */
	uint32_t router_id;  /* of the peer, or ORIGINATOR_ID */
	uint32_t local_pref, med;
	uint32_t first_asn;
	uint16_t as_path_len;
	uint8_t origin; /* 0 IGP, 1 EGP, 2 incomplete */
	bool ebgp, best, stale;
	char why[IPC_TEXT_MAX]; /* the step of the decision that chose or refused it, in words */
};

struct ipc_route {
	struct prefix prefix;
	bool own;      /* best is our own origin: nothing to install but the blackhole */
	uint8_t nhops; /* equal-cost next hops; 0 only if own */
	struct addr nexthop[IPC_PATHS_MAX];
	struct addr peer[IPC_PATHS_MAX]; /* from whom each came */
};

enum ipc_state { IPC_IDLE, IPC_CONNECT, IPC_ACTIVE, IPC_OPENSENT, IPC_OPENCONFIRM, IPC_ESTABLISHED };

struct ipc_peer_state {
	struct addr remote;
	uint8_t state;	    /* enum ipc_state */
	usec_t since;	    /* microseconds it has been in it (a span, so that clocks need not agree) */
	uint32_t router_id; /* of the peer; 0 while unknown */
	uint16_t hold_time; /* negotiated, seconds */
	uint8_t families;   /* negotiated */
	uint32_t received, accepted, advertised; /* prefixes */
	uint64_t msgs_in, msgs_out, updates_in, updates_out;
	uint32_t flaps;		   /* times it left Established */
	char reason[IPC_TEXT_MAX]; /* why it is not up, or why it last went down; "" if it never was */
};

struct ipc_dump {
	uint32_t id; /* chosen by the agent, comes back in each row */
	bool all;
	struct prefix prefix; /* if not all */
};

struct ipc_msg {
	enum ipc_type type;
	uint32_t dump_id; /* IPC_PATH, IPC_DUMP_END */
	union {
		struct ipc_hello hello;
		struct ipc_config config;
		struct ipc_peer peer;	  /* PEER; of PEER_GONE only remote */
		struct ipc_origin origin; /* ORIGIN; of ORIGIN_GONE only prefix */
		struct ipc_listen listen; /* LISTEN, UNLISTEN */
		struct ipc_dump dump;
		struct ipc_route route; /* ROUTE; of ROUTE_GONE only prefix */
		struct ipc_peer_state state;
		struct ipc_path path;
	};
};

/* The writer must have IPC_MSG_MAX bytes: then encoding cannot fail. */
void ipc_encode(const struct ipc_msg *m, struct wr *w);
/* 0, or -EPROTO with a sentence; *ret untouched then. Strings are NUL-terminated and free of control
 * characters. */
int ipc_decode(const void *bytes, size_t n, struct ipc_msg *ret, struct err *e);
const char *ipc_state_name(uint8_t state); /* "Established", ... as RFC 4271 writes them */
