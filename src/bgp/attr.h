/*
 * bgp/attr: path attributes, one table row each, and the interned attribute set.
 *
 * Decoding answers with a verdict of RFC 7606; the worst one of a message wins. What was accepted is interned
 * as canonical wire bytes: ascending type code, 4-byte AS numbers, shortest length form, without NEXT_HOP,
 * MP_REACH_NLRI, MP_UNREACH_NLRI, AS4_PATH and AS4_AGGREGATOR. Equal sets are one object, so comparing routes
 * is comparing pointers and encoding is a copy. The next hop is not in the set: the path keeps it.
 */
#pragma once
#include "base/addr.h"
#include "base/rd.h"
#include "base/str.h"
#include "base/wr.h"
#include "bgp/notify.h"

#include <stdbool.h>
#include <stdint.h>

enum attr_code {
	ATTR_ORIGIN = 1,
	ATTR_AS_PATH = 2,
	ATTR_NEXT_HOP = 3,
	ATTR_MED = 4,
	ATTR_LOCAL_PREF = 5,
	ATTR_ATOMIC_AGGREGATE = 6,
	ATTR_AGGREGATOR = 7,
	ATTR_COMMUNITIES = 8,
	ATTR_ORIGINATOR_ID = 9,
	ATTR_CLUSTER_LIST = 10,
	ATTR_MP_REACH = 14,
	ATTR_MP_UNREACH = 15,
	ATTR_EXT_COMMUNITIES = 16,
	ATTR_AS4_PATH = 17,
	ATTR_AS4_AGGREGATOR = 18,
	ATTR_LARGE_COMMUNITIES = 32,
	ATTR_OTC = 35, /* Only to Customer (RFC 9234) */
};

enum { ATTR_F_OPTIONAL = 0x80, ATTR_F_TRANSITIVE = 0x40, ATTR_F_PARTIAL = 0x20, ATTR_F_EXTENDED = 0x10 };
enum { ATTR_ORIGIN_IGP, ATTR_ORIGIN_EGP, ATTR_ORIGIN_INCOMPLETE };
enum { ATTR_SET_SEG = 1, ATTR_SEQUENCE_SEG, ATTR_CONFED_SEQUENCE_SEG, ATTR_CONFED_SET_SEG };

/* Well-known communities: RFC 1997, 7999, 8326, 9494. */
enum {
	ATTR_COMMUNITY_GRACEFUL_SHUTDOWN = 0xffff0000,
	ATTR_COMMUNITY_LLGR_STALE = 0xffff0006,
	ATTR_COMMUNITY_NO_LLGR = 0xffff0007,
	ATTR_COMMUNITY_BLACKHOLE = 0xffff029a,
	ATTR_COMMUNITY_NO_EXPORT = 0xffffff01,
	ATTR_COMMUNITY_NO_ADVERTISE = 0xffffff02,
	ATTR_COMMUNITY_NO_EXPORT_SUBCONFED = 0xffffff03,
};

#define ATTR_AS_PATH_MAX	1000 /* AS numbers in a received path; a longer one is treated as withdrawn */
#define ATTR_LOCAL_PREF_DEFAULT 100
#define ATTR_SET_MAX		131072 /* bytes of one canonical set */
#define ATTR_WHY_MAX		128

/* RFC 7606, in order of severity. */
enum attr_verdict {
	ATTR_TAKE,
	ATTR_DROP,     /* the attribute is left out, the routes are used */
	ATTR_WITHDRAW, /* every prefix of the message counts as withdrawn */
	ATTR_RESET,    /* NOTIFICATION, and the session ends */
};
const char *attr_verdict_name(enum attr_verdict v);

/* What the two ends agreed on, as far as the bytes of an UPDATE depend on it. The core fills it from
 * caps_agree(). */
struct codec {
	bool ebgp;			   /* the peer is in another AS */
	bool as4;			   /* 4-byte AS numbers in AS_PATH and AGGREGATOR (both directions) */
	uint8_t families;		   /* negotiated: CAPS_V4 | CAPS_V6 */
	uint8_t ext_nexthop;		   /* CAPS_V4: IPv4 prefixes may carry an IPv6 next hop */
	uint8_t add_path_in, add_path_out; /* families in which NLRI carry path identifiers */
	uint32_t max;			   /* longest message we may send: MSG_MAX or MSG_MAX_EXT */
};

/* The worst thing found. verdict TAKE: nothing. */
struct attr_fault {
	enum attr_verdict verdict;
	uint8_t code;		/* the attribute it is about, 0 = none in particular */
	char why[ATTR_WHY_MAX]; /* a few words for the log; "" if nothing */
	struct notify notify;	/* meaningful if verdict is RESET */
};

/* An attribute of a message that was accepted, pointing into the message. */
struct attr_item {
	const uint8_t *at; /* the value */
	uint16_t len;
	uint8_t code, flags;
};

struct attr_mp { /* MP_REACH_NLRI / MP_UNREACH_NLRI, taken apart */
	bool present;
	uint8_t family; /* CAPS_*; 0 = one that was not negotiated: nlri is then not looked at */
	struct addr nexthop, link_local; /* MP_REACH; link_local unset if the short form was used */
	struct rd nlri;
};

/* What a message carried: the accepted attributes ascending by code, and the next hop and both multiprotocol
 * attributes apart from them. */
struct attr_list {
	uint16_t n;
	struct attr_item item[256]; /* only the first n are initialized */
	struct addr nexthop;	    /* NEXT_HOP; unset if absent or refused */
	bool bad_nexthop;	    /* it is no host address: only prefixes that use it care */
	struct attr_mp reach, unreach;
	bool others; /* the message had attributes besides MP_UNREACH_NLRI */
};

/* Decodes the path attributes field. Prefixes in reach/unreach are not yet checked: update_decode() does that
 * and is what to call for a whole message. *ret and *fault are filled in every case. Returns fault->verdict.
 */
enum attr_verdict attr_decode(struct rd r, const struct codec *c, struct attr_list *ret,
			      struct attr_fault *fault);
/* The accepted attribute with this code, or NULL. */
const struct attr_item *attr_list_find(const struct attr_list *l, uint8_t code);
/* Notes a fault if it is worse than what is there already. */
void attr_fault_add(struct attr_fault *f, enum attr_verdict v, uint8_t code, uint8_t subcode,
		    const void *data, size_t len, const char *why);

/* flags of an attr_set */
enum {
	ATTR_HAS_MED = 1,
	ATTR_HAS_LOCAL_PREF = 2,
	ATTR_HAS_ORIGINATOR = 4,
	ATTR_NO_EXPORT = 8, /* well-known communities (RFC 1997, 8326, 9494) */
	ATTR_NO_ADVERTISE = 16,
	ATTR_NO_EXPORT_SUBCONFED = 32,
	ATTR_GRACEFUL_SHUTDOWN = 64,
	ATTR_LLGR_STALE = 128,
	ATTR_NO_LLGR = 256,
	ATTR_HAS_UNKNOWN = 512, /* carries transitive attributes we do not know */
	ATTR_HAS_OTC = 1024,
};

/* Counted, immutable, one object per distinct value within its table. All fields derive from wire. There may
 * be a million of them: every byte here counts. */
struct attr_set {
	uint32_t refs;
	uint32_t len;		/* bytes of wire */
	uint32_t local_pref;	/* ATTR_LOCAL_PREF_DEFAULT if absent */
	uint32_t med;		/* 0 if absent */
	uint32_t originator_id; /* 0 if absent */
	uint32_t otc;		/* 0 if absent */
	uint32_t first_asn; /* the neighbour AS: leftmost of the path if it begins with a sequence, else 0 */
	uint16_t as_path_len; /* RFC 4271 9.1.2.2: a set counts 1; confederation segments count 0 */
	uint16_t cluster_len; /* identifiers in CLUSTER_LIST */
	uint16_t flags;
	uint8_t origin;
	uint8_t wire[];
};

struct attr_table;
/* seed makes the hash unpredictable to peers. */
struct attr_table *attr_table_new(uint64_t seed);
/* All sets must have been given back. NULL is fine. */
void attr_table_free(struct attr_table *t);
size_t attr_table_count(const struct attr_table *t);
size_t attr_table_bytes(const struct attr_table *t); /* heap used, about */

/* The set for these decoded attributes, with a reference for the caller. Call only when no verdict is
 * WITHDRAW or worse. */
struct attr_set *attr_intern(struct attr_table *t, const struct attr_list *l, const struct codec *c);
/* The set of a route of our own: ORIGIN and an empty AS_PATH. With a reference for the caller. */
struct attr_set *attr_originate(struct attr_table *t, uint8_t origin);
struct attr_set *attr_ref(struct attr_set *a);
void attr_unref(struct attr_table *t, struct attr_set *a); /* NULL is fine */

struct attr_large {
	uint32_t global, local1, local2;
};

enum attr_edit { ATTR_KEEP, ATTR_CLEAR, ATTR_PUT };

/* What export or import policy changes in a set; zero changes nothing. */
struct attr_change {
	enum attr_edit local_pref, med;
	uint32_t local_pref_value, med_value; /* for ATTR_PUT */
	const uint32_t *path;		      /* put before the path, in this order */
	size_t npath;
	uint32_t prepend_asn; /* with prepend > 0: put before all that; confederation segments are removed
				 then */
	uint8_t prepend;
	bool leave_as;	   /* towards another AS: no LOCAL_PREF, ORIGINATOR_ID, CLUSTER_LIST, non-transitive
			      extended communities */
	bool drop_unknown; /* no attributes that we do not know ourselves */
	uint32_t originator_id;	     /* reflection: ORIGINATOR_ID where there is none; 0 = leave */
	uint32_t cluster_id;	     /* reflection: put before CLUSTER_LIST; 0 = leave */
	uint32_t otc;		     /* Only to Customer where there is none; 0 = leave */
	const uint32_t *communities; /* added unless already there */
	size_t ncommunities;
	const struct attr_large *large;
	size_t nlarge;
};

/* The changed set, with a reference for the caller (the same object if nothing changes). NULL if it would be
 * longer than ATTR_SET_MAX or than an attribute can be: do not announce such a route. */
struct attr_set *attr_derive(struct attr_table *t, struct attr_set *a, const struct attr_change *ch);

/* Questions that loop detection and policy ask. */
bool attr_find(const struct attr_set *a, uint8_t code, struct rd *ret); /* the value, or false */
unsigned attr_path_count(const struct attr_set *a, uint32_t asn);	/* how often asn is in AS_PATH */
/* Are these the first AS numbers of the path? Confederation segments do not count, and a set ends what can be
 * compared. */
bool attr_path_begins(const struct attr_set *a, const uint32_t *asns, size_t n);
bool attr_cluster_has(const struct attr_set *a, uint32_t cluster_id);
bool attr_community_has(const struct attr_set *a, uint32_t community);
bool attr_large_has(const struct attr_set *a, const struct attr_large *l);

/* Encoding: all attributes of the set in ascending order, NEXT_HOP (if nexthop is a set IPv4 address) in its
 * place. A peer without 4-byte AS numbers gets AS_TRANS, AS4_PATH and AS4_AGGREGATOR. attr_size() is what
 * attr_encode() will write. */
size_t attr_size(const struct attr_set *a, const struct addr *nexthop, bool as4);
void attr_encode(const struct attr_set *a, const struct addr *nexthop, bool as4, struct wr *w);

/* "origin igp, as-path 65001 65002 {1 2}, local-pref 100, communities 65000:1". Adds to out. */
void attr_format(const struct attr_set *a, struct str *out);

/* The table: for tests, and for names. NULL / 0 if the code is unknown. */
const char *attr_name(uint8_t code);
