/*
 * bgp/export: what goes to which peer, encoded once for all who get the same.
 *
 * Peers to whom the same is said in the same way (struct tell_how) form a group. What
 * stands behind a reader's version in the RIB's list is encoded into a chunk, a run of whole UPDATEs that
 * takes readers from one version to another; every peer of the group that stands at the same version sends
 * the same chunk. A slow peer holds its chunk and its place; what is superseded meanwhile it never hears.
 *
 * The group remembers what any of its peers may have been told (bgp/told.h), so that exactly that is
 * withdrawn which can be known. A group with ADD-PATH reads the RIB's other view and tells every path, by its
 * number there.
 *
 * Nothing goes back to the peer it was learned from: a chunk notes whose routes stand where, and that peer
 * leaves them out (and hears a withdrawal instead, if it may know an earlier path from us).
 *
 * Invariant: a reader's version is always at a chunk's end; everything up to it was handed out completely.
 */
#pragma once
#include "bgp/tell.h"
#include "bgp/told.h"

#define EXPORT_CHUNK_BYTES    (96 * 1024) /* a chunk ends when it is about this long */
#define EXPORT_CHUNK_PREFIXES 4096
#define EXPORT_AMPLE_BYTES    (16u << 20) /* from so much in all chunks on ... */
#define EXPORT_CHUNK_SPARING  4096	  /* ... new ones end when they are about this long */

struct exports;
struct out; /* one peer's reading of the RIB */

/* rib, attrs and policies must outlive it. */
struct exports *exports_new(struct rib *rib, struct attr_table *attrs, const struct policies *policies);
void exports_free(struct exports *x); /* all outs must be closed */

struct out *export_open(struct exports *x, uint16_t peer, const struct tell_how *how);
void export_close(struct out *o); /* NULL is fine */
/* From the beginning, after what is being sent now: the peer asked for a refresh, or policy has changed. */
void export_again(struct out *o);
/* It is spoken to in another way from now on: from the beginning, after what is being sent now. The codec
 * stays. */
void export_change(struct out *o, const struct tell_how *how);
/* The beginning has not been reached yet that one of the two asked for. */
bool export_rewinding(const struct out *o);

/* The next bytes to send, or false if there is nothing now. They stay the same until export_sent() says
 * how many were taken. */
bool export_next(struct out *o, const uint8_t **ret, size_t *n);
void export_sent(struct out *o, size_t n);
/* Something else may be sent now without tearing a message apart. */
bool export_at_boundary(const struct out *o);
uint64_t export_version(const struct out *o); /* everything up to it has been handed out */
bool export_pending(const struct out *o);     /* the RIB has changed since, or it is in a chunk */
uint32_t export_count(const struct out *o);   /* prefixes (ADD-PATH: paths) announced to it now */
uint64_t export_updates(const struct out *o); /* UPDATE messages handed out */

/* The rules of this policy are other ones now. Whoever it applies to needs export_again(), too. */
void exports_policy_changed(struct exports *x, uint16_t policy);

/* The version that all readers have passed (the newest if there is none), for rib_reap(). */
uint64_t exports_passed(const struct exports *x);
void exports_on_gone(void *x, uint32_t idx); /* a rib_gone_fn */
/* The end of a round of sending: chunks that nobody is in the middle of go away. */
void exports_trim(struct exports *x);
/* Chunks in memory, for tests and limits. */
size_t exports_chunks(const struct exports *x);
size_t exports_bytes(const struct exports *x); /* UPDATEs in them */
