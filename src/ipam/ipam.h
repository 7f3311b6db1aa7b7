/*
 * ipam/ipam: the pure next-write machine of address management.
 *
 * Kubernetes has no transaction over several objects, so every protocol is a chain of single-object
 * compare-and-swaps that is safe at any interruption. ipam_step() looks at a view and a request and says what
 * the next single write is; the caller performs it, puts the outcome into the view (a stale write means: read
 * that object again into the view), and asks again. A lost race is just a new view. Nothing here does I/O,
 * reads a clock or remembers anything between steps except what is in the request.
 *
 * The rules are Calico's: affinity before block on claim, block before affinity on release; handle before
 * block on allocate, block before handle on release; handles may over-count, never under-count; a block is
 * written with its revision and sequenceNumber + 1; /26 and /122 blocks by default, 20 blocks per node and
 * family, borrowing unless strictAffinity.
 */
#pragma once
#include "base/addr.h"
#include "base/clock.h"
#include "base/err.h"
#include "model/affinity.h"
#include "model/block.h"
#include "model/handle.h"
#include "model/ipamconfig.h"
#include "model/ippool.h"
#include "model/kinds.h"

/* What the machine may look at. Pointers it gets are borrowed until the next call; NULL means "does not
 * exist". */
struct ipam_view {
	void *arg;
	/* All are as of the newest known revision. rev receives the object's revision, for compare-and-swap.
	 */
	const struct block *(*block)(void *arg, const struct prefix *cidr, int64_t *rev);
	const struct affinity *(*affinity)(void *arg, const char *host, const struct prefix *cidr,
					   int64_t *rev);
	const struct handle *(*handle)(void *arg, const char *id, int64_t *rev);
	/* Lists in ascending order of CIDR / name. fn returns false to stop. */
	void (*each_affinity)(void *arg, const char *host, uint8_t family,
			      bool (*fn)(void *fnarg, const struct affinity *a, int64_t rev), void *fnarg);
	void (*each_block)(void *arg, const struct prefix *within,
			   bool (*fn)(void *fnarg, const struct block *b, int64_t rev), void *fnarg);
	void (*each_pool)(void *arg, bool (*fn)(void *fnarg, const struct ippool *p), void *fnarg);
	/* Does the pool's nodeSelector select host? The caller knows: ipam sees no labels. */
	bool (*pool_selects)(void *arg, const struct ippool *p, const char *host);
	bool (*reserved)(void *arg, const struct addr *a); /* IPReservations; NULL = none */
	const struct ipamconfig *config;		   /* never NULL; defaults if not stored */
};

enum ipam_do {
	IPAM_ASSIGN,	       /* any free address of a pool */
	IPAM_ASSIGN_ADDR,      /* exactly addr */
	IPAM_RELEASE_HANDLE,   /* every address of handle */
	IPAM_RELEASE_AFFINITY, /* give block cidr of host back (empty, or any if also_used) */
};

#define IPAM_ATTRS_MAX 8
#define IPAM_POOLS_MAX 16

struct ipam_request {
	enum ipam_do what;
	const char *host;   /* node name */
	const char *handle; /* "<network>.<containerID>" */
	uint8_t family;	    /* IPAM_ASSIGN */
	struct addr addr;   /* IPAM_ASSIGN_ADDR */
	struct prefix cidr; /* IPAM_RELEASE_AFFINITY */
	bool also_used;	    /* IPAM_RELEASE_AFFINITY: non-empty blocks too (node removal) */
	struct block_attr_kv attrs[IPAM_ATTRS_MAX]; /* secondary attributes to record, key order as stored */
	size_t nattrs;
	struct prefix pools[IPAM_POOLS_MAX]; /* requested pools by CIDR; none = by selector */
	size_t npools;
	nsec_t wall;   /* now, for claim times, sequence numbers and cool-down */
	uint64_t seed; /* 0 = Calico's own choice of the first block (FNV-1 of host); else spreads by it */

	/* Private memory of the machine between steps; zero at the start, never touched by the caller. */
	struct {
		int phase;
		struct prefix cidr;
		char host[254];
		int64_t block_rev, affinity_rev;
		uint64_t stamp;
		uint32_t changes, lost, writes;
	} at;
};

enum ipam_answer {
	IPAM_WRITE,   /* perform write, put the outcome into the view, ask again */
	IPAM_OK,      /* finished: addr (if assigning) and block are set */
	IPAM_FULL,    /* no address to be had: e says which pools were looked at and why (ENOSPC) */
	IPAM_REFUSED, /* the request cannot be met as stated: e says why (no pool, taken address, block limit,
			 ...); EAGAIN means that others were faster too often, EBUSY that a block to give back
			 is in use */
};

enum ipam_op { IPAM_CREATE, IPAM_UPDATE, IPAM_DELETE };

/* One single-object write. Exactly one of the values is meant, by kind; rev is the revision to compare
 * (UPDATE, DELETE). */
struct ipam_write {
	enum ipam_op op;
	enum kind kind; /* KIND_BLOCK, KIND_AFFINITY, KIND_HANDLE */
	int64_t rev;
	char name[KIND_NAME_MAX]; /* store name of the object, as kind_*_name() makes it */
	struct block block;	  /* owned by the write: ipam_write_done() frees */
	struct affinity affinity;
	struct handle handle;
};

struct ipam_step {
	enum ipam_answer answer;
	struct ipam_write write; /* IPAM_WRITE */
	struct addr addr;	 /* IPAM_OK after an assignment */
	struct prefix block;	 /* the block it is in */
};

/*
 * The next step. Call ipam_step_done() on *ret before the next call. A write whose outcome is unknown is
 * treated like a stale one: read the object into the view and ask again; the machine recognises its own
 * writes.
 *
 * Asking twice is safe: ASSIGN and ASSIGN_ADDR with a handle that already has such an address answer with it
 * and write nothing (or only mend the handle's count), RELEASE_HANDLE also finds addresses whose handle
 * record is missing.
 */
void ipam_step(const struct ipam_view *v, struct ipam_request *req, struct ipam_step *ret, struct err *e);
void ipam_step_done(struct ipam_step *s);

/* Pure look-ups, used by the machine and by others. */
struct prefix ipam_block_of(const struct ippool *p, const struct addr *a); /* the block of p that holds a */
/*
 * The first block that Calico would try for host in a pool with blocks of block_len bits (section 2.5 of the
 * facts): Go's math/rand seeded with FNV-1 of the host. seed other than 0 spreads by it instead.
 */
struct prefix ipam_first_block(const struct prefix *pool, uint8_t block_len, const char *host, uint64_t seed);
