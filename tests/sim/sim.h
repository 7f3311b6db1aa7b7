/*
 * tests/sim: five nodes in one process on virtual time. The cores of agent, speaker and IPAM are the real
 *ones; this folder is the world around them: a clock, kernels, a datastore, cables, a container runtime, and
 *bad luck. Everything follows from one seed, so a failing seed replays.
 *
 *	sim.c		clock, event queue, trace, the run from start to verdict
 *	node.c		processes: the edges of agent and speaker, the socket between them, kills and restarts
 *	tcp.c		connections between speakers: delay, odd pieces, resets, silent loss, cut cables
 *	datastore.c	one shared store with revisions and watches: late and lost answers, gaps, outages
 *	kernel.c	kern/ as a table: namespaces, interfaces, addresses, routes; refuses what a kernel
 *refuses runtime.c	rpc/ and the container runtime: adds and deletes pods, dies in the middle of it
 *	faults.c	which kinds of bad luck a seed has, and when it strikes
 *	check.c		what must be true after every step, and what must be reached in the end
 */
#pragma once
#include "agent/agent.h"
#include "base/list.h"
#include "base/prng.h"
#include "base/timer.h"
#include "bgp/speaker.h"
#include "store/store.h"

#include <stdio.h>

#define SIM_NODES    5
#define SIM_PODS_MAX 48
#define SIM_TEXT_MAX 512

/* A world that is broken on purpose: each must be noticed by some seed. */
enum mutant {
	MUTANT_NONE,
	MUTANT_STORE_CAS,    /* the store does not compare revisions */
	MUTANT_STORE_CREATE, /* creating overwrites what is there */
	MUTANT_HANDLE_LOST,  /* writes of handles are acknowledged and forgotten */
	MUTANT_WATCH_LOSS,   /* watches do not tell some changes */
	MUTANT_ROUTE_ADD,    /* the kernel acknowledges a new route and forgets it */
	MUTANT_ROUTE_EVENT,  /* the kernel's events about routes are lost without a word */
	MUTANT_IPC_ORDER,    /* the socket between agent and speaker swaps messages */
	MUTANT_IPC_LOSS,     /* ... loses some */
	MUTANT_TCP_LOSS,     /* a connection loses bytes in the middle */
	MUTANT_TWINS,	     /* two nodes have the same name */
	MUTANT_LINK_DEL,     /* deleting an interface is acknowledged and not done */
	MUTANTS,
};
extern const char *const mutant_names[MUTANTS];

/* The bad luck of this seed, and the shape of its world. */
struct plan {
	bool cut, reset, silent, slow_net, small_buffers;
	bool agent_kill, agent_crash, speaker_kill;
	bool plugin_kill, plugin_slow, sandboxes, netns_first;
	bool store_slow, reply_lost, store_gap, store_down;
	bool overrun, thief, uplink_flap, reconfigure, node_gone;
	bool small_blocks, tight, burst, two_subnets, default_route, v6;
	unsigned pods;
	usec_t trouble; /* how long it lasts */
};

/* ---- kernel.c ---- */

struct kns; /* a network namespace */

/* ---- node.c ---- */

struct sim_node {
	struct sim *sim;
	unsigned index;
	char name[16], label[16]; /* label: what it is called in the trace (twins have one name) */
	struct addr v4, v6, gateway;
	struct kns *host;

	/* The agent's process. */
	struct agent *agent; /* NULL while it does not run */
	struct timers agent_timers;
	struct store *store;
	struct nl *nl;
	struct timer settle, agent_start, kernel_news;
	bool dying;	/* killed: nothing it does has an effect any more */
	int effects;	/* it is killed after so many more of them; -1 = not */
	unsigned turns; /* settles within one second, against livelock */
	usec_t turns_since;
	usec_t agent_since;
	struct list news; /* kernel events on their way */
	bool overrun;

	/* The speaker's process. */
	struct speaker *speaker;
	struct timers speaker_timers;
	struct timer turn, speaker_start;
	uint64_t epoch;
	uint16_t listening; /* port; 0 = not */

	/* The socket between them. */
	struct timer connect;
	uint64_t ipc;	      /* number of the connection, counted up */
	uint64_t agent_ipc;   /* ... the agent's end is on; 0 = none */
	uint64_t speaker_ipc; /* ... the speaker's end is on */
	bool greeted;
	uint64_t epoch_seen;
	struct list flights[2]; /* down, up */
	bool up_blocked;
};

/* ---- the whole ---- */

struct sim {
	uint64_t seed;
	enum mutant mutant;
	bool verbose;
	struct plan plan;
	struct prng prng;
	usec_t now;
	nsec_t wall;
	uint64_t steps;
	struct timers events;
	uint64_t hash; /* of everything that happened */
	bool failed;
	char failure[SIM_TEXT_MAX];
	bool calm;  /* the trouble is over */
	bool ended; /* everything is being taken down */
	struct sim_node node[SIM_NODES];
	bool cut[SIM_NODES][SIM_NODES]; /* packets from .. to .. are lost */
	struct list tcps;
	struct datastore *ds;
	struct runtime *rt;
	struct faults *faults;
	struct kernel *kernel;
	bool check_due;	   /* something changed that invariants are about */
	usec_t rest_right; /* in the end: since when everything but routes has been right; 0 = not */
	unsigned pods_served, kills, conflicts;
};

/* The one on stage, for those fakes that are not told (kern/sysctl, log, descriptors). */
extern struct sim *sim_now;

/* sim.c */
bool sim_run(struct sim *s, uint64_t seed, enum mutant mutant, bool verbose); /* true: all was well */
void sim_trace(struct sim *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void sim_fail(struct sim *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
uint64_t sim_below(struct sim *s, uint64_t n);
bool sim_chance(struct sim *s, unsigned percent);
usec_t sim_between(struct sim *s, usec_t min, usec_t max);
void sim_after(struct sim *s, struct timer *t, usec_t delay);

/* node.c */
void nodes_start(struct sim *s);
void nodes_stop(struct sim *s);
void node_agent_kill(struct sim_node *n);
void node_agent_start(struct sim_node *n);
void node_speaker_kill(struct sim_node *n);
void node_speaker_start(struct sim_node *n);
void node_reap(struct sim_node *n); /* ends an agent that is dying */
void node_speaker_turn_soon(struct sim_node *n);
struct sim_node *node_by_addr(struct sim *s, const struct addr *a);
/* May something with an effect on the world be done by this agent now? Counts it. */
bool node_effect(struct sim_node *n);

/* tcp.c */
int tcp_dial(struct sim_node *n, uint64_t conn, const struct ipc_peer *peer);
ssize_t tcp_send(struct sim_node *n, uint64_t conn, const void *bytes, size_t len);
void tcp_close(struct sim_node *n, uint64_t conn);
void tcp_process_gone(struct sim_node *n); /* the kernel closes what a dead speaker had */
bool tcp_reset_one(struct sim *s);	   /* a random connection is reset, or falls silent */
bool tcp_silence_one(struct sim *s);
bool tcp_any_silent(const struct sim *s);
void tcp_free_all(struct sim *s);

/* datastore.c */
void datastore_start(struct sim *s);
void datastore_stop(struct sim *s);
struct store *datastore_connect(struct sim_node *n);
void datastore_break_watches(struct sim *s);
void datastore_node(struct sim_node *n, bool there); /* its Node resource */
void datastore_reconfigure(struct sim *s);	     /* somebody applies another BGPConfiguration */
void datastore_down(struct sim_node *n, bool down);  /* out of reach of one node */
struct stored {
	enum kind kind;
	const char *name;
	int64_t rev;
	const char *value;
	/* Decoded, for the checks. */
	struct block block;
	struct affinity affinity;
	struct handle handle;
	UT_hash_handle hh;
	char *key;
};
struct stored *datastore_first(struct sim *s); /* walk by ->hh.next */

/* kernel.c */
void kernel_start(struct sim *s);
void kernel_stop(struct sim *s);			      /* fails the run if descriptors are left */
struct nl *kernel_socket(struct sim_node *n, struct kns *ns); /* nl_open() for the agent */
struct kns *kernel_pod_ns(struct sim_node *home);
void kernel_ns_ref(struct kns *ns);
void kernel_ns_unref(struct kns *ns); /* the last one ends it and what is in it */
int kernel_fd(struct kns *ns, bool socket);
void kernel_uplink(struct sim_node *n, bool up);
bool kernel_steal(struct sim_node *n); /* somebody deletes one of our routes */
void kernel_deliver(struct sim_node *n);
void kernel_forget_news(struct sim_node *n);
void kernel_check(struct sim *s);
bool kernel_has_pod_route(struct sim_node *n, const struct addr *a, struct kns *pod);
bool kernel_has_links(struct kns *ns);
bool kernel_has_addr(struct kns *ns, const struct addr *a);
/* Calls fn for each route of the host that is ours. */
void kernel_each_route(struct sim_node *n, void (*fn)(void *arg, const struct route *r, const char *dev),
		       void *arg);
uint32_t kernel_uplink_index(const struct sim_node *n);
size_t kernel_pod_links(struct sim_node *n);

/* runtime.c */
struct box; /* one container of a pod */
void runtime_start(struct sim *s);
void runtime_stop(struct sim *s);
void runtime_delete_all(struct sim *s);
bool runtime_quiet(struct sim *s, char why[static SIM_TEXT_MAX]); /* every pod is where it should be */
void runtime_kill_plugin(struct sim *s);
struct live_pod {
	struct sim_node *node;
	const char *name, *handle;
	struct kns *ns;
	size_t naddrs;
	const struct addr *addrs;
};
/* Asks CHECK of every pod, and status and trace of every agent; what they say must be good. */
void runtime_inquire(struct sim *s);
void runtime_each_live(struct sim *s, void (*fn)(void *arg, const struct live_pod *p), void *arg);

/* faults.c */
void faults_plan(struct sim *s);
void faults_start(struct sim *s);
void faults_stop(struct sim *s); /* heals everything */
void faults_done(struct sim *s);

/* check.c */
void check_step(struct sim *s);
bool check_converged(struct sim *s, char why[static SIM_TEXT_MAX]);
bool check_empty(struct sim *s, char why[static SIM_TEXT_MAX]);
