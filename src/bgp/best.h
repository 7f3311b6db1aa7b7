/*
 * bgp/best: the decision process, RFC 4271 9.1.2.2 with RFC 4456 9 (route reflection). Pure.
 *
 * The standard's steps are carried out as it describes them: each step removes from the set those paths that
 * are worse than the best of the set. A comparison of two would not do, because MED only counts between paths
 * of one neighbour AS and so gives no order. The age of a path is not a step: the outcome depends on what is
 * there, never on what came first.
 *
 * Invariant: of n >= 1 paths exactly one is BEST_WON; reordering the input never changes which.
 */
#pragma once
#include "base/addr.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum best_step {
	BEST_WON,
	BEST_OWN,	/* what this node originates beats everything learned */
	BEST_REACHABLE, /* a next hop that cannot be reached is the last resort (RFC 4271 9.1.2.1) */
	BEST_FRESH,	/* long-lived stale paths are the last resort (RFC 9494) */
	BEST_LOCAL_PREF,
	BEST_AS_PATH,
	BEST_ORIGIN,
	BEST_MED,
	BEST_EBGP,
	BEST_IGP_METRIC,
	BEST_ROUTER_ID, /* from here on the paths are equally good: they may be used together */
	BEST_CLUSTER,
	BEST_PEER,
	BEST_PATH_ID, /* of one peer's several paths (RFC 7911); the standard has no such step */
	BEST_STEPS,
};

struct best_path {
	bool own, unreachable, stale, ebgp;
	uint8_t origin;
	uint16_t as_path_len, cluster_len;
	uint32_t local_pref, med, first_asn;
	uint32_t igp_metric; /* cost to the next hop */
	uint32_t router_id;  /* ORIGINATOR_ID, or the peer's */
	struct addr peer;    /* unset if own */
	uint32_t path_id;
	uint8_t lost; /* out: enum best_step */
};

/* Fills lost of all n >= 1 paths; returns the index of the one that won. */
size_t best_choose(struct best_path *p, size_t n);
/* Won, or lost only on the arbitrary steps. */
bool best_is_equal(const struct best_path *p);
const char *best_step_name(enum best_step s);

#define BEST_WHY_MAX 256
/* The step that decided about path i, in words; call after best_choose(). */
char *best_why(const struct best_path *p, size_t n, size_t i, char buf[static BEST_WHY_MAX]);
