/*
 * bgp/ipc: what agent and speaker say to each other over a SOCK_SEQPACKET Unix socket.
 *
 * A message is version (1), type (1), then the fields in order, big-endian; it says itself where it ends, and
 * a datagram may carry several (routes come by the hundred thousand, and a system call each is what they
 * would cost). A descriptor belongs to the one message of its datagram. Encoding and decoding are pure; the
 * receiver treats every message as hostile (the speaker is the process that listens to the network).
 *
 * Both directions are stamp-and-sweep. After a connection is made the agent sends HELLO, then everything it
 * wants (CONFIG, POLICYs, PEERs, ORIGINs, in that order), then STATED: what the speaker had and was not
 * stated again goes away. The speaker sends HELLO, then all its best routes and peer states, then SYNCED; the
 * agent sweeps only after SYNCED. SYNCED of a freshly started speaker is held back until its peers that are
 * up have sent End-of-RIB, or some seconds have passed (SPEAKER_SYNC_*): an empty RIB is not the truth yet.
 * Afterwards both send only changes. When the agent goes away the sessions stay up.
 */
#pragma once
#include "base/addr.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/rd.h"
#include "base/wr.h"
#include "bgp/policy.h"

#include <stdbool.h>

#define IPC_VERSION    2
#define IPC_MSG_MAX    16384 /* bytes of one datagram, and so of one message */
#define IPC_NAME_MAX   254   /* bytes of a peer's or origin's name, with its NUL */
#define IPC_TEXT_MAX   256   /* bytes of a reason, with its NUL */
#define IPC_PATHS_MAX  16    /* equal-cost next hops told in one ROUTE */
#define IPC_LISTEN_MAX 16    /* listening addresses */
#define IPC_PASS_MAX   81    /* bytes of a TCP MD5 key, with its NUL (TCP_MD5SIG_MAXKEYLEN is 80) */
#define IPC_ATTRS_MAX  1024  /* bytes of a path's attributes as text, with its NUL; a longer text is cut */

enum ipc_type {
	IPC_HELLO = 1,	 /* both ways, first: versions must match, or the connection ends */
	IPC_CONFIG,	 /* down */
	IPC_POLICY,	 /* down: what follows are the rules of this policy, a new or a changed one */
	IPC_RULE,	 /* down: its next rule */
	IPC_POLICY_END,	 /* down: that were all its rules: from now on it holds */
	IPC_POLICY_GONE, /* down */
	IPC_PEER,	 /* down: this peer shall exist, like this */
	IPC_PEER_GONE,	 /* down */
	IPC_ORIGIN,	 /* down: announce this prefix */
	IPC_ORIGIN_GONE, /* down */
	IPC_LISTEN,	 /* down: take this listening socket (one descriptor by SCM_RIGHTS) */
	IPC_UNLISTEN,	 /* down: close it */
	IPC_STATED,	 /* down: that was all; sweep what was not stated again */
	IPC_DUMP,	 /* down: tell me all paths of this prefix, or of every prefix */
	IPC_NEXTHOP,	/* down: how this next hop is reached; answers IPC_WATCH, and again when it changes */
	IPC_REFRESH,	/* down: ask a peer for its routes again, or tell it ours again */
	IPC_RESET,	/* down: end a session and begin anew */
	IPC_ROUTE,	/* up: the best path(s) of a prefix */
	IPC_ROUTE_GONE, /* up: no path any more */
	IPC_SYNCED,	/* up: that was all */
	IPC_PEER_STATE, /* up */
	IPC_PATH,	/* up: one row of a DUMP */
	IPC_DUMP_END,	/* up */
	IPC_WATCH,	/* up: tell me about this next hop */
	IPC_UNWATCH,	/* up: not any more */
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

/* The NEXT_HOP of routes that are passed on (Calico's nextHopMode). AUTO is what RFC 4271 5.1.3 says: kept to
 * iBGP peers, ourselves to eBGP peers. */
enum ipc_nexthop_mode { IPC_NEXTHOP_AUTO, IPC_NEXTHOP_SELF, IPC_NEXTHOP_KEEP };

/* RFC 9234, as ipc_peer says it: 0 = no role, else the role's code + 1. Ours, towards this peer. */
enum ipc_role {
	IPC_ROLE_NONE,
	IPC_ROLE_PROVIDER,
	IPC_ROLE_RS,
	IPC_ROLE_RS_CLIENT,
	IPC_ROLE_CUSTOMER,
	IPC_ROLE_PEER,
};

/* Numbers of policies. What is neither of these was stated with IPC_POLICY; a number that was not (yet)
 * stated lets nothing pass. */
enum {
	IPC_POLICY_DEFAULT =
		0,	    /* everything to and from iBGP peers, nothing to and from eBGP peers (RFC 8212) */
	IPC_POLICY_ALL = 1, /* everything */
	IPC_POLICY_FIRST = 2,
	IPC_POLICY_MAX = 4095,
};

/* A peer is known by its remote address. Zero is a sensible value of everything but the first few. */
struct ipc_peer {
	struct addr remote, local;	/* local unset = the kernel chooses */
	uint16_t port;			/* remote port to dial */
	uint32_t remote_asn, local_asn; /* local_asn 0 = ipc_config.asn */
	bool passive;			/* never dial */
	uint8_t families;		/* IPC_FAMILY_* to negotiate */
	bool client;			/* it is a client of ours (route reflection) */
	uint16_t hold_time;		/* 0 = ipc_config.hold_time */
	uint16_t keepalive_time;	/* seconds between KEEPALIVEs; 0 = a third of the agreed hold time */
	bool own_restart_time;		/* restart_time counts, not ipc_config.restart_time */
	uint16_t restart_time;		/* seconds; 0 = no graceful restart with this peer */
	uint16_t import, export;	/* policies, IPC_POLICY_* */
	uint32_t max_prefixes;		/* more received ones end the session; 0 = SPEAKER_PEER_PREFIXES */
	uint8_t allow_own_as;		/* our AS may be so many times in a received path */
	uint8_t nexthop_mode;		/* enum ipc_nexthop_mode */
	uint8_t role;			/* enum ipc_role */
	bool role_strict;		/* no session with a peer that announces no role */
	uint8_t add_path_recv;		/* IPC_FAMILY_* in which more than one path is taken (RFC 7911) */
	uint8_t add_path_send;		/* ... and told */
	bool ext_nexthop;		/* IPv4 routes may have IPv6 next hops (RFC 8950) */
	bool ext_message;		/* messages up to 65535 bytes (RFC 8654) */
	uint8_t ttl;			/* of what is sent; 0 = the kernel's default */
	uint8_t ttl_security;		/* GTSM (RFC 5082): at most so many hops away, 255 is sent; 0 = off */
	bool shutdown;			/* no session: Cease/Administrative Shutdown with text (RFC 9003) */
	char text[IPC_TEXT_MAX];
	char password[IPC_PASS_MAX]; /* TCP MD5 key (RFC 2385); "" = none */
	char name[IPC_NAME_MAX];     /* for people: "node3" */
};

struct ipc_policy {
	uint16_t id;		 /* IPC_POLICY_FIRST .. IPC_POLICY_MAX */
	bool otherwise;		 /* a route that no rule decides about is accepted */
	char name[IPC_NAME_MAX]; /* for people */
};

struct ipc_rule {
	uint16_t id; /* of its policy */
	struct policy_rule rule;
};

struct ipc_nexthop {
	struct addr addr;
	bool reachable;			/* by a route that is not one of ours from BGP */
	uint32_t metric;		/* 0 = on a network we are connected to; UINT32_MAX = unknown */
	char ifname[POLICY_IFNAME_MAX]; /* over which interface; "" if unreachable */
};

struct ipc_refresh {
	struct addr remote;
	bool out; /* tell the peer everything again; else: ask it (RFC 2918) */
};

struct ipc_reset {
	struct addr remote;
	char text[IPC_TEXT_MAX]; /* for the peer: Cease/Administrative Reset (RFC 9003) */
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
	uint8_t origin;	  /* 0 IGP, 1 EGP, 2 incomplete */
	uint32_t path_id; /* as received (RFC 7911) */
	bool ebgp, best, stale;
	char attrs[IPC_ATTRS_MAX]; /* all attributes in words */
	char why[IPC_TEXT_MAX];	   /* the step of the decision that chose or refused it, in words */
};

struct ipc_route {
	struct prefix prefix;
	bool own;      /* best is our own origin: nothing to install but the blackhole */
	uint8_t nhops; /* equal-cost next hops; 0 only if own */
	struct addr nexthop[IPC_PATHS_MAX];
	struct addr peer[IPC_PATHS_MAX]; /* from whom each came */
};

/* What both sides of a session agreed on, bits of ipc_peer_state.agreed. */
enum {
	IPC_AGREED_AS4 = 1,
	IPC_AGREED_REFRESH = 2,
	IPC_AGREED_ENHANCED_REFRESH = 4,
	IPC_AGREED_EXT_MESSAGE = 8,
	IPC_AGREED_EXT_NEXTHOP = 16,
	IPC_AGREED_ADD_PATH_IN = 32,
	IPC_AGREED_ADD_PATH_OUT = 64,
	IPC_AGREED_GR = 128,
	IPC_AGREED_GR_NOTIFICATION = 256,
	IPC_AGREED_LLGR = 512,
	IPC_AGREED_ROLE = 1024,
	IPC_AGREED_ALL = 2047,
};

enum ipc_state { IPC_IDLE, IPC_CONNECT, IPC_ACTIVE, IPC_OPENSENT, IPC_OPENCONFIRM, IPC_ESTABLISHED };

struct ipc_peer_state {
	struct addr remote;
	uint8_t state;	    /* enum ipc_state */
	usec_t since;	    /* microseconds it has been in it (a span, so that clocks need not agree) */
	uint32_t router_id; /* of the peer; 0 while unknown */
	uint16_t hold_time; /* negotiated, seconds */
	uint8_t families;   /* negotiated */
	uint16_t agreed;    /* IPC_AGREED_* */
	uint32_t received, accepted, advertised; /* paths; accepted: those that may be used */
	uint32_t rejected, stale; /* of the received: refused by import policy; kept from before */
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
		struct ipc_policy policy; /* POLICY; of POLICY_END and POLICY_GONE only id */
		struct ipc_rule rule;
		struct ipc_nexthop nexthop; /* NEXTHOP; of WATCH and UNWATCH only addr */
		struct ipc_refresh refresh;
		struct ipc_reset reset;
	};
};

/* The writer must have IPC_MSG_MAX bytes: then encoding cannot fail. */
void ipc_encode(const struct ipc_msg *m, struct wr *w);
/* Takes the first message off the datagram. 0, or -EPROTO with a sentence; *ret untouched then. */
int ipc_next(struct rd *r, struct ipc_msg *ret, struct err *e);
/* A datagram that is exactly one message. 0, or -EPROTO with a sentence; *ret untouched then. Strings are
 * NUL-terminated and free of control characters. */
int ipc_decode(const void *bytes, size_t n, struct ipc_msg *ret, struct err *e);
const char *ipc_state_name(uint8_t state); /* "Established", ... as RFC 4271 writes them */
