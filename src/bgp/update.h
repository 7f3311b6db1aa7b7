/*
 * bgp/update: one UPDATE, both ways (RFC 4271 4.3, RFC 4760, RFC 7606, RFC 7911, RFC 4724 End-of-RIB).
 *
 * Decoding checks everything and copies nothing: prefixes are walked with a cursor over bytes that were found
 *good. Encoding packs prefixes that follow each other with equal attributes and next hop into one message.
 *
 *	switch (update_decode(m.body, &codec, &u)) {
 *	case ATTR_RESET:	send u.fault.notify, end
 *	case ATTR_WITHDRAW:	walk withdrawn[] and announced[] alike as withdrawals
 *	default:		walk withdrawn[], then announced[] with attr_intern(table, &u.attrs, &codec)
 *	}
 */
#pragma once
#include "base/addr.h"
#include "base/rd.h"
#include "base/wr.h"
#include "bgp/attr.h"

#include <stdbool.h>
#include <stdint.h>

/* Prefixes of one family on the wire. A zeroed one is empty. */
struct nlri {
	struct rd r;
	uint8_t af;    /* AF_INET, AF_INET6 */
	bool add_path; /* each is preceded by a path identifier */
};

/* The next prefix (host bits masked off), or false at the end. *ret_path_id (may be NULL) is 0 without
 * add-path. Advances n: walk a copy to walk twice. */
bool nlri_next(struct nlri *n, struct prefix *ret, uint32_t *ret_path_id);

struct update_reach {
	struct nlri nlri;
	struct addr nexthop;	/* unset if it was refused (then the verdict is WITHDRAW) */
	struct addr link_local; /* of the 32-byte form of MP_REACH_NLRI, else unset */
};

/* About 4 KB: keep one and use it again. Points into the message. */
struct update {
	struct attr_fault fault;
	struct attr_list attrs;
	struct nlri withdrawn[2];	  /* the classic field; MP_UNREACH_NLRI */
	struct update_reach announced[2]; /* the classic field; MP_REACH_NLRI */
	uint8_t eor;			  /* CAPS_V4 / CAPS_V6: this is the End-of-RIB marker of the family */
};

/* Returns u->fault.verdict. Prefixes of families that were not negotiated do not appear. */
enum attr_verdict update_decode(struct rd body, const struct codec *c, struct update *u);
bool update_has_routes(const struct update *u); /* anything announced */

/*
 * Encoding. A packer writes whole messages into w (usually a chunk shared by many peers). It keeps one
 * message open; what is given to it next joins that message if kind, family, set and next hop are the same
 * and there is room, else the message is closed and another begun. pack_end() closes the last one. The set
 * must live until then.
 */
struct packer {
	struct wr *w;
	const struct codec *codec;
	enum { PACK_NONE, PACK_ANNOUNCE, PACK_WITHDRAW } open;
	uint8_t af;
	bool mp; /* prefixes are in MP_REACH_NLRI / MP_UNREACH_NLRI */
	const struct attr_set *set;
	struct addr nexthop;
	size_t start, hole,
		attrs; /* of the open message: first byte, length hole of the prefixes, of the attributes */
	size_t tail;   /* bytes kept free for attributes that follow MP_REACH_NLRI */
	uint32_t messages, prefixes; /* written so far */
};

void pack_begin(struct packer *p, struct wr *w, const struct codec *c);
/* 0; -ENOSPC: w has no room for it, nothing was written (pack_end(), then go on with another buffer);
 * -EMSGSIZE: these attributes do not fit into a message of codec->max even with one prefix, do not announce
 * it. path_id is used only if the codec says so. An IPv4 prefix with an IPv6 next hop goes into
 * MP_REACH_NLRI. */
int pack_announce(struct packer *p, const struct attr_set *a, const struct addr *nexthop,
		  const struct prefix *prefix, uint32_t path_id);
/* 0 or -ENOSPC. */
int pack_withdraw(struct packer *p, const struct prefix *prefix, uint32_t path_id);
/* End-of-RIB of a family (AF_INET, AF_INET6). 0 or -ENOSPC. */
int pack_eor(struct packer *p, uint8_t af);
void pack_end(struct packer *p);
