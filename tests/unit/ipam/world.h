/*
 * tests/unit/ipam/world: a store in memory with revisions, views of it that may be old, and ways to break
 * both.
 *
 * Contents of objects are interned, so a state of the store is a small array of (content, revision) and can
 * be copied, compared and hashed. Content 0 is "does not exist"; revisions go on counting after a deletion.
 */
#pragma once
#include "ipam/ipam.h"

#define WORLD_SLOTS 256

struct cell {
	uint32_t content, rev;
};

/* What a broken store or machine would do; the model check must notice each. */
enum mutant {
	MUTANT_NONE,
	MUTANT_BLOCK_CAS,     /* updates of blocks do not compare the revision */
	MUTANT_BLOCK_DELETE,  /* deletions of blocks do not */
	MUTANT_AFFINITY_CAS,  /* affinities are written without a look at the revision */
	MUTANT_HANDLE_CAS,    /* handles are */
	MUTANT_CREATE,	      /* creating overwrites what is there */
	MUTANT_SKIP_HANDLE,   /* handles are counted in the mind only */
	MUTANT_SKIP_BUMP,     /* a block that exists is not written again when it is claimed */
	MUTANT_SKIP_FENCE,    /* pendingDeletion is not written again when it is there */
	MUTANT_TRUST_PENDING, /* a pending affinity counts as confirmed */
	MUTANTS,
};

struct slot {
	enum kind kind;
	char name[KIND_NAME_MAX];
	struct prefix cidr; /* blocks and affinities */
	char host[254];	    /* affinities */
};

struct content;

struct world {
	enum mutant mutant;
	bool through_json; /* every written value takes the way through its stored form */
	size_t nslots;
	struct slot slots[WORLD_SLOTS];
	struct content *by_key, **contents;
	size_t ncontents;
	struct ippool pools[4];
	size_t npools;
	const char *unselected; /* "host": no pool selects it */
	struct prefix reserved; /* family 0: none */
	struct ipamconfig config;
};

/* A write on its way. */
struct flight {
	bool up;
	enum ipam_op op;
	uint32_t slot, rev, content;
};

void world_init(struct world *w);
void world_done(struct world *w);
struct ippool *world_pool(struct world *w, const char *name, const char *cidr, uint8_t block_size);

/* A view of cells, borrowed. */
struct world_view {
	struct world *w;
	const struct cell *seen;
	struct affinity shown;
};
struct ipam_view world_view(struct world *w, const struct cell *seen, struct world_view *arg);

void world_prepare(struct world *w, const struct ipam_write *wr, struct flight *ret);
/* Performs it on cur if the revision allows; true if so. */
bool world_land(struct world *w, struct cell *cur, const struct flight *f);
/* Like a caller of the machine: performs the write and learns the outcome. */
bool world_write(struct world *w, struct cell *cur, struct cell *seen, const struct ipam_write *wr);
/* Runs a request to its end with a fresh view; at most max writes (then IPAM_WRITE is returned). */
enum ipam_answer world_run(struct world *w, struct cell *cur, struct ipam_request *req, int max,
			   struct addr *ret, struct err *e);

const struct block *world_block(struct world *w, const struct cell *cur, const char *cidr);
const struct block *world_block_at(struct world *w, const struct cell *cur, size_t slot);
const struct affinity *world_affinity_at(struct world *w, const struct cell *cur, size_t slot);
const struct affinity *world_affinity(struct world *w, const struct cell *cur, const char *host,
				      const char *cidr);
const struct handle *world_handle(struct world *w, const struct cell *cur, const char *id);
/* Whose handle an address has, or NULL. */
const char *world_owner(struct world *w, const struct cell *cur, const struct addr *a);
/*
 * What must be true in every state of the store: blocks are sound, a confirmed affinity has its block, and
 * (exact) each handle counts at least what it has. NULL, or what is wrong.
 */
const char *world_wrong(struct world *w, const struct cell *cur, bool exact);
/* How many objects there are. */
size_t world_count(const struct world *w, const struct cell *cur);

struct ipam_request world_request(enum ipam_do what, const char *host, const char *handle, nsec_t wall);
