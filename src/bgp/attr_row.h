/*
 * bgp/attr_row: what one path attribute is: name, flags, length, what a malformed one does to its message
 * (RFC 7606), how it is read, which header fields of a set it gives, how policy edits it, how it is shown.
 * attr.c holds the rows; it and attr_set.c are loops over them, and what has no row is an unknown attribute.
 */
#pragma once
#include "bgp/attr.h"

enum {
	ROW_WELL_KNOWN = ATTR_F_TRANSITIVE,
	ROW_OPTIONAL = ATTR_F_OPTIONAL,
	ROW_OPT_TRANS = ATTR_F_OPTIONAL | ATTR_F_TRANSITIVE,
};

struct attr_job; /* one attribute being decoded */

struct attr_row {
	const char *name;
	uint8_t flags;	       /* the required Optional and Transitive bits */
	uint16_t min, step;    /* length: min + k * step; step 0 = exactly min */
	enum attr_verdict bad; /* of a malformed one */
	uint8_t subcode;       /* for a bad value, if it comes to a NOTIFICATION */
	bool internal;	       /* from another AS it is left out, whatever it says */
	bool as2_only;	       /* from a peer with 4-byte AS numbers it is left out */
	bool apart;	       /* is not in the list of items: get() puts it elsewhere */
	const char *(*get)(struct rd r, const struct attr_job *j); /* NULL, or what is malformed */
	void (*head)(struct attr_set *a, struct rd r); /* header fields from the canonical value */
	/* The new value, and whether there is one after the edit. */
	void (*edit)(const struct attr_item *old, const struct attr_change *ch, struct wr *w);
	bool (*kept)(const struct attr_item *old, const struct attr_change *ch);
	void (*print)(struct rd r, struct str *out);
};

#define ATTR_ROWS (ATTR_OTC + 1) /* codes from here on have no row */

const struct attr_row *attr_row_of(uint8_t code); /* NULL if it has none */

/* What is in a value of COMMUNITIES (or CLUSTER_LIST) and of LARGE_COMMUNITIES. */
bool attr_row_has_community(struct rd r, uint32_t community);
bool attr_row_has_large(struct rd r, const struct attr_large *l);
