/*
 * bgp/told: what the peers of one export group may know from us, so that exactly that is withdrawn which can
 * be known. One bit per prefix (and whose path it is); where more than one path is told
 * (ADD-PATH), the path numbers of each prefix.
 *
 * A prefix's bit stays until the prefix is gone: withdrawing once too often is harmless, once too rarely is
 * not. The number of a path that is told no more stays until all readers were abreast of the version in which
 * it went: have known everything at some time after it.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct told {
	uint64_t *ever;	       /* bits by prefix index: announced at some time since the prefix exists */
	uint16_t *from;	       /* by prefix index: of whose paths the announced one is, as last said */
	uint32_t words;	       /* of ever; from has 64 for each */
	struct told_ids **ids; /* by prefix index; NULL: none */
	uint32_t nids;
	uint32_t count;	    /* what is announced now: prefixes, or paths */
	uint32_t *count_of; /* ... and of these, a peer's own, by its number */
	uint32_t npeers;
};

/* Whose a path is: a peer's number, or one of these. */
#define TOLD_OURS   UINT16_MAX
#define TOLD_NOBODY (UINT16_MAX - 1) /* nothing is announced */

void told_done(struct told *t);
/* Somebody who knows what `other` says joins those of t, who has passed nothing yet. */
void told_join(struct told *t, const struct told *other, uint64_t version);
/* How much of it is announced to a peer that does not hear its own. */
uint32_t told_count(const struct told *t, uint16_t peer);
/* The prefix is gone for good. */
void told_forget(struct told *t, uint32_t idx);

/* One path a prefix: may it be known? Then what is said of it now. */
bool told_known(struct told *t, uint32_t idx);
void told_say(struct told *t, uint32_t idx, uint16_t from);

/* Many paths a prefix: begin, told_id() for each path that is announced (true if it may be known already),
 * end. version: of this change; abreast: the version of which all readers were abreast. */
void told_ids_begin(struct told *t, uint32_t idx);
bool told_id(struct told *t, uint32_t idx, uint32_t id, uint16_t from);
void told_ids_end(struct told *t, uint32_t idx, uint64_t version, uint64_t abreast);
/* What is to be withdrawn after that, from *i = 0 on; 0 at the end. */
uint32_t told_gone(const struct told *t, uint32_t idx, size_t *i);
/* An announcement that could not be made after all. */
void told_id_failed(struct told *t, uint32_t idx, uint32_t id, uint64_t version);
