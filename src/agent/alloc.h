/*
 * agent/alloc: carries the IPAM machine's writes to the store, one request at a time.
 *
 * Requests are queued and worked off in order, because two of one node would mostly race for the same block.
 * Each write's outcome goes into the world before the next step is asked for; a stale write brings the newer
 * object along, and an unknown outcome (timeout) is read back first. A request gives up after ALLOC_TRIES_MAX
 * writes or when the store is away.
 */
#pragma once
#include "agent/world.h"
#include "base/list.h"

#define ALLOC_TRIES_MAX 400 /* writes for one request: Calico retries a block 100 times */
#define ALLOC_QUEUE_MAX 4096

struct alloc_job;
/* answer is IPAM_OK, IPAM_FULL or IPAM_REFUSED; or IPAM_WRITE with e when the store failed (try again later).
 */
typedef void alloc_done_fn(struct alloc_job *j, enum ipam_answer answer, const struct err *e);

/* Embedded in the caller's object; strings that req points to must live as long as the job. */
struct alloc_job {
	struct list node;
	struct ipam_request req;
	alloc_done_fn *done;
	bool queued;
	struct addr addr; /* the answer */
	struct prefix block;
	uint32_t writes; /* private */
};

struct alloc {
	struct world *world;
	struct store *store;
	nsec_t (*wall)(void *arg);
	void *arg;
	struct list queue;
	size_t queued;
	struct alloc_job *running; /* waiting for the store, or NULL */
	/* The write it waits for. */
	struct {
		enum kind kind;
		bool deletes;
		char name[KIND_NAME_MAX];
	} write;
};

void alloc_init(struct alloc *a, struct world *w, struct store *s, nsec_t (*wall)(void *arg), void *arg);
void alloc_start(struct alloc *a, struct alloc_job *j, const struct ipam_request *req, alloc_done_fn *done);
