/*
 * bgp/journal: in which order numbered things changed last. A change stamps the thing with the next version
 * and moves it to the tail of one list; a reader is a cursor, the version it has seen, and what it has to
 * hear is what stands behind it. Superseded changes are gone by themselves, and a change costs the same for
 * one reader and for five thousand.
 *
 * Invariant: versions grow along the list; a thing stands in it at most once.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define JOURNAL_NONE  UINT32_MAX
#define JOURNAL_WALKS 16 /* readers in the middle of the list whose place is remembered; a power of two */

struct journal {
	struct journal_node *nodes; /* by number of the thing */
	uint32_t n, cap, head, tail;
	/* The change after version `version` is at `at`. */
	struct journal_walk {
		uint64_t version;
		uint32_t at;
	} walks[JOURNAL_WALKS];
	uint32_t next_walk;
};

void journal_init(struct journal *j);
void journal_done(struct journal *j); /* and usable again */
/* Thing i changed; version is newer than all before. */
void journal_stamp(struct journal *j, uint32_t i, uint64_t version);
/* Thing i is no more. Nothing happens if it does not stand in the list. */
void journal_drop(struct journal *j, uint32_t i);

/* The first thing that changed after version v, or JOURNAL_NONE; then the one behind a thing. */
bool journal_has_after(const struct journal *j, uint64_t v);
uint32_t journal_after(const struct journal *j, uint64_t v);
uint32_t journal_behind(const struct journal *j, uint32_t i);
uint64_t journal_version_of(const struct journal *j, uint32_t i); /* 0: does not stand in the list */
/* A reader stopped at version v and will go on with thing `at`: makes the next journal_after(j, v) cheap. */
void journal_remember(struct journal *j, uint64_t v, uint32_t at);
size_t journal_bytes(const struct journal *j);
