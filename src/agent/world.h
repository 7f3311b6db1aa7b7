/*
 * agent/world: what this node knows, as plain structs, and which parts changed since the last settle.
 *
 * Events (store, kernel, speaker, runtime) only change the world and set dirty bits; agent/settle derives
 * what should be. Objects are kept with the revision they were seen at and never go backwards: an event older
 * than what is known, or than our own acknowledged write, is ignored.
 */
#pragma once
#include "base/map.h"
#include "ipam/ipam.h"
#include "model/bgpconfig.h"
#include "model/clusterinfo.h"
#include "model/node.h"
#include "model/selector.h"
#include "model/wep.h"
#include "store/store.h"

enum world_dirty {
	DIRTY_POOLS = 1 << 0,
	DIRTY_NODES = 1 << 1,
	DIRTY_CONFIG = 1 << 2,
	DIRTY_BLOCKS = 1 << 3, /* affinities, and blocks' owners */
	DIRTY_PODS = 1 << 4,
	DIRTY_LINKS = 1 << 5,  /* kernel: interfaces, addresses, foreign routes */
	DIRTY_ROUTES = 1 << 6, /* best routes from the speaker */
	DIRTY_ALL = 0x7f,
};

/* What every stored object carries. */
struct world_seen {
	int64_t rev;
	uint64_t stamp; /* of the last full compare that mentioned it */
};

struct world_pool {
	struct world_seen seen;
	struct ippool pool;
	struct selector *selects; /* nodeSelector */
	UT_hash_handle hh;	  /* by pool.name */
};

struct world_node {
	struct world_seen seen;
	struct node node;
	struct meta meta;  /* for its labels */
	char fault[200];   /* why its document cannot be used, "" if it can */
	UT_hash_handle hh; /* by node.name */
};

struct world_block {
	struct world_seen seen;
	struct prefix cidr;
	struct block block;
	UT_hash_handle hh; /* by cidr */
};

struct world_affinity {
	struct world_seen seen;
	char *name; /* "<host>/<cidr>", as stored */
	struct affinity affinity;
	UT_hash_handle hh; /* by name */
};

/* WorkloadEndpoints of this node only. */
struct world_wep {
	struct world_seen seen;
	char *name; /* store name: "<namespace>/<wep name>" */
	struct wep wep;
	json_t *doc;	   /* as stored, so that unknown members survive an update */
	bool leaving;	   /* a DEL is taking it down: no route is wanted any more */
	UT_hash_handle hh; /* by name */
};

struct world {
	const char *me; /* this node's name */
	struct world_pool *pools;
	struct world_node *nodes;
	struct world_block *blocks;
	struct world_affinity *affinities;
	struct world_wep *weps;
	struct bgpconfig bgp_default, bgp_node;
	struct ipamconfig ipam;
	bool has_clusterinfo, datastore_ready;
	struct world_seen bgp_default_seen, bgp_node_seen, ipam_seen, clusterinfo_seen;
	/* Handles are not followed (there is one per pod of the cluster): agent/alloc reads the one it works
	 * on. */
	struct handle handle;
	int64_t handle_rev; /* 0 = it does not exist */

	unsigned dirty;
	bool synced; /* the store has told everything at least once */
	bool store_lost;
	char store_fault[200];
	int64_t seen_rev;     /* highest revision any event carried */
	uint64_t stamp;	      /* of the full compare under way */
	uint32_t quarantined; /* stored objects that could not be decoded, at the last look */
};

/* The kinds a node agent follows. */
#define WORLD_KINDS                                                                                       \
	(1u << KIND_IPPOOL | 1u << KIND_NODE | 1u << KIND_BGPCONFIG | 1u << KIND_WEP | 1u << KIND_BLOCK | \
	 1u << KIND_AFFINITY | 1u << KIND_IPAMCONFIG | 1u << KIND_CLUSTERINFO)

void world_init(struct world *w, const char *me);
void world_done(struct world *w);

/* One event of the store. An object that cannot be decoded is left as it was known and counted in
 * quarantined; e says why. */
int world_on_event(struct world *w, enum store_event ev, const struct store_obj *obj, struct err *e);
/* Our own acknowledged write or a fresh read: the same, but not through the watch. value NULL = it does not
 * exist. */
int world_learn(struct world *w, enum kind k, const char *name, const char *value, int64_t rev,
		struct err *e);

const struct node *world_me(const struct world *w); /* our Node, or NULL */
struct world_wep *world_find_wep(struct world *w, const char *store_name);
/* The pool that holds a, or NULL. */
const struct ippool *world_pool_of(const struct world *w, const struct addr *a);
/*
 * Does this affinity make its block one of its host's: announced, and backed by a blackhole? Not while it is
 * pending, and not where the block is another host's by now, or is gone: an affinity on its way out
 * (pendingDeletion) stays behind when whoever was taking it out is interrupted, and a blackhole for somebody
 * else's block would cut its pods off.
 */
bool world_holds(const struct world *w, const struct affinity *a);
/* Does this node own the block (affinity confirmed or on its way out)? */
bool world_owns(const struct world *w, const struct prefix *cidr);
uint32_t world_asn(const struct world *w, const struct node *n); /* n NULL = the cluster's */
uint16_t world_port(const struct world *w);
bool world_binds_node_ip(const struct world *w); /* listen on the node's own addresses only */

/* Is the node one of those that a selector names, by its labels? One that is not in the store has none. */
bool world_selects(const struct world *w, const struct selector *s, const char *node);

/* The IPAM machine's view of this world. */
void world_view(struct world *w, struct ipam_view *ret);
