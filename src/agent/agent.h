/*
 * agent/agent: the node agent's core: the only place where subjects meet. It knows no loop: time, wake-ups
 * and the speaker's messages come through struct agent_io, the store and kern/ through their own interfaces,
 * so that the simulator can run many agents in one process on virtual time. agent/main.c is its edge.
 */
#pragma once
#include "agent/alloc.h"
#include "agent/crowd.h"
#include "agent/fib.h"
#include "agent/peers.h"
#include "agent/pods.h"
#include "agent/routes.h"
#include "agent/world.h"
#include "base/timer.h"
#include "bgp/ipc.h"
#include "kern/monitor.h"
#include "kern/nl.h"

struct rpc_req;

struct agent_io {
	void *arg;
	usec_t (*now)(void *arg);
	nsec_t (*wall)(void *arg);
	void (*random)(void *arg, void *bytes, size_t n); /* for uids */
	/* Call agent_settle() once, at the end of this turn. */
	void (*soon)(void *arg);
	/* A message for the speaker; dropped while none is connected (everything is stated again then). */
	void (*to_speaker)(void *arg, const struct ipc_msg *m);
	uint32_t (*speaker_pid)(void *arg); /* 0 while none is connected */
	/* Have the speaker listen on exactly these. 0, or -errno with a sentence (port in use). */
	int (*listen)(void *arg, const struct ipc_listen *where, size_t n, struct err *e);
	enum nhobj_mode nexthop_objects;
};

#define AGENT_ROUTE_BUDGET   256	/* kernel operations in one turn; there may be more at once */
#define AGENT_COMPARE_PERIOD (60 * SEC) /* dump and compare the kernel's routes */
#define AGENT_RETRY	     (2 * SEC)	/* what the kernel refused is tried again */

struct agent {
	const char *me; /* node name */
	struct agent_io io;
	struct timers *timers;
	struct store *store;
	struct nl *nl;	       /* the host's namespace */
	struct writer *writer; /* of many routes, in the same; NULL = none */
	struct world world;
	struct store_follow *follow;
	struct alloc alloc;
	struct pods pods;
	struct routes routes;
	struct peers peers;
	struct fib fib;
	struct crowd crowd;
	struct timer compare, retry;
	bool settling;
	bool stating;	/* the speaker has not been told yet that this is all */
	bool listening; /* ... on these, one of each family at most: */
	size_t nlisten;
	struct ipc_listen listen[2];
	char listen_fault[ERR_MSG_MAX];
};

struct agent *agent_new(const char *me, const struct agent_io *io, struct timers *timers, struct store *store,
			struct nl *nl, struct err *e);
void agent_free(struct agent *a); /* the kernel's routes stay: stopping is not decommissioning */

void agent_settle(struct agent *a);
void agent_on_written(struct agent *a); /* the writer has something back */
void agent_on_kernel(struct agent *a, const struct monitor_event *ev);
/* The speaker connected (hello received; fresh = another process than before), went away, or said something.
 */
void agent_on_speaker(struct agent *a, bool connected, bool fresh);
void agent_on_ipc(struct agent *a, const struct ipc_msg *m);

/* Is the node ready for pods? If not, ret_reason says what is missing and what to do, in one sentence. */
bool agent_ready(const struct agent *a, char ret_reason[static ERR_MSG_MAX]);
/* Has the datastore been read, and may it be used? The least that a DEL needs. */
bool agent_synced(const struct agent *a, char ret_reason[static ERR_MSG_MAX]);
void agent_wake(struct agent *a, unsigned dirty); /* marks and asks for a settle */
