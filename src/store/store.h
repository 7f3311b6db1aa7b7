/*
 * store/store: the datastore, whatever it is. Documents by kind and name, each with a revision; every change
 * is a compare-and-swap on one object; a watch tells what changed since a revision.
 *
 * There is no transaction over several objects, because Kubernetes has none. A timeout means "unknown", never
 * "failed". All calls are asynchronous: the outcome arrives in a callback from the loop, never before the
 * call has returned. A backend (and its libraries) is loaded only when it is used: sqlite is a module of its
 * own beside the program.
 */
#pragma once
#include "base/err.h"
#include "base/own.h"
#include "model/kinds.h"

struct loop;
struct timers;
struct timers;
struct store;

/* Outcomes of a write, as rc of store_done: 0 done; */
#define STORE_EXISTS	(-EEXIST)    /* create: there is one (obj is it) */
#define STORE_STALE	(-ESTALE)    /* update/delete: the revision differs (obj is the present one) */
#define STORE_NOT_FOUND (-ENOENT)    /* get/update/delete: there is none */
#define STORE_UNKNOWN	(-ETIMEDOUT) /* it may or may not have happened: read it again */
/* any other negative errno: it did not happen, e says why */

struct store_obj {
	enum kind kind;
	const char *name;  /* store name (model/kinds.h) */
	int64_t rev;	   /* > 0; grows with every change of anything in the store */
	const char *value; /* compact JSON text; NULL in a deletion event */
};

/* obj (may be NULL) and e are borrowed for the call. */
typedef void store_done_fn(void *arg, int rc, const struct store_obj *obj, const struct err *e);
/* One call per object of a list, then one with obj NULL; rc != 0 ends it early. rev is the list's. */
typedef void store_list_fn(void *arg, int rc, const struct store_obj *obj, int64_t rev, const struct err *e);

/*
 * where: "sqlite:/var/lib/korat/korat.db" (a plain path means sqlite), later "etcd:..." and "kube:". create
 * says whether a missing sqlite file may be made. -EUCLEAN for a corrupt file, -EBUSY for one that is locked
 * for longer than 5 s, -ENOENT, -EACCES, ... each with one clear sentence. A store is not carried over a
 * fork(): open it in the process that uses it.
 */
struct store *store_open(struct loop *l, const char *where, bool create, struct err *e);
/* Also from a callback. Those not yet made are never made. Followers fall silent, but stay theirs to free. */
void store_free(struct store *s);
OWN_DEFINE(store)

void store_get(struct store *s, enum kind k, const char *name, store_done_fn *fn, void *arg);
/* prefix "" lists all of the kind; else only names that begin with it. */
void store_list(struct store *s, enum kind k, const char *prefix, store_list_fn *fn, void *arg);
/* On success obj carries the new revision. value is copied. */
void store_create(struct store *s, enum kind k, const char *name, const char *value, store_done_fn *fn,
		  void *arg);
void store_update(struct store *s, enum kind k, const char *name, const char *value, int64_t rev,
		  store_done_fn *fn, void *arg);
/* rev 0 deletes whatever is there. */
void store_delete(struct store *s, enum kind k, const char *name, int64_t rev, store_done_fn *fn, void *arg);

/*
 * Following: everything there is, then every change, for a set of kinds. A full compare (RESYNC ... SYNCED)
 * comes first, after a gap, and every STORE_COMPARE_PERIOD; between RESYNC and SYNCED every present object is
 * told, so that the follower can stamp and sweep. Events of one object come in order of revision and never go
 * backwards.
 */
#define STORE_COMPARE_PERIOD (60 * SEC) /* +- 10 % */

enum store_event {
	STORE_RESYNC, /* a full compare begins; obj NULL */
	STORE_PUT,    /* new or changed (or unchanged, during a compare) */
	STORE_DEL,    /* gone */
	STORE_SYNCED, /* the compare is complete; obj NULL */
	STORE_LOST, /* the store cannot be reached, e says why; told once, and following goes on by itself */
};
typedef void store_event_fn(void *arg, enum store_event ev, const struct store_obj *obj, const struct err *e);
struct store_follow;
/* kinds: bit set of 1u << KIND_*. */
struct store_follow *store_follow(struct store *s, uint32_t kinds, store_event_fn *fn, void *arg);
void store_follow_free(struct store_follow *f);
/* How many objects a full compare has found other than the watch had told. Should stay 0. */
uint64_t store_follow_drift(const struct store_follow *f);

/* For programs that only want an answer: run the loop until the outcome is there. *ret_value is malloc'ed
 * (may be NULL). */
int store_get_wait(struct loop *l, struct store *s, enum kind k, const char *name, char **ret_value,
		   int64_t *ret_rev, struct err *e);
int store_write_wait(struct loop *l, struct store *s, enum kind k, const char *name, const char *value,
		     int64_t rev, bool create, int64_t *ret_rev, struct err *e);
int store_delete_wait(struct loop *l, struct store *s, enum kind k, const char *name, int64_t rev,
		      struct err *e);
int store_list_wait(struct loop *l, struct store *s, enum kind k,
		    void (*fn)(void *arg, const struct store_obj *obj), void *arg, struct err *e);

/* ---- for backends (store/<backend>.c) ---- */

struct store_ops {
	const char *name; /* the word before the colon */
	void *(*open)(struct loop *l, const char *where, bool create, struct err *e);
	void (*close)(void *b);
	void (*get)(void *b, enum kind k, const char *name, store_done_fn *fn, void *arg);
	void (*list)(void *b, enum kind k, const char *prefix, store_list_fn *fn, void *arg);
	void (*put)(void *b, enum kind k, const char *name, const char *value, bool create, int64_t rev,
		    store_done_fn *fn, void *arg);
	void (*del)(void *b, enum kind k, const char *name, int64_t rev, store_done_fn *fn, void *arg);
	/*
	 * Changes after revision from, of the kinds; PUT and DEL events in order of revision. A watcher that
	 * is slower than the writers may be told an object's last state only. RESYNC as an event means: there
	 * is a gap, list again; LOST: it has failed. Neither is followed by anything. The common code
	 * (store/follow.c) makes follow out of list and watch. Returns a handle for unwatch. unwatch and
	 * close may be called from any callback.
	 */
	void *(*watch)(void *b, uint32_t kinds, int64_t from, store_event_fn *fn, void *arg);
	void (*unwatch)(void *b, void *w);
};

/* A store over a backend that the caller brings (tests and the simulator). b is owned by the store. */
struct store *store_over(struct loop *l, struct timers *timers, const struct store_ops *ops, void *b,
			 uint64_t seed);
/* The one symbol that a backend module exports. */
extern const struct store_ops korat_store_ops __attribute__((visibility("default")));
