/*
 * bgp/tell: what a kind of peer is told of a path: whether at all, with which next hop, with which
 * attributes. RFC 4271 5.1 and 9.2, RFC 4456 (reflection), RFC 1997 (well-known communities), RFC 8950 (next
 * hops of the other family), RFC 9234 (roles), RFC 9494 (long-lived stale routes), RFC 8212 and policy. Pure.
 */
#pragma once
#include "bgp/ipc.h"
#include "bgp/rib.h"

/* How a peer is spoken to; peers alike in all of it hear the same bytes. */
struct tell_how {
	bool ebgp;
	bool client;	      /* iBGP: it is a client of ours */
	bool llgr;	      /* it knows long-lived graceful restart */
	uint8_t nexthop_mode; /* enum ipc_nexthop_mode */
	uint8_t role;	      /* ours towards it, enum ipc_role; only eBGP */
	uint16_t policy;      /* IPC_POLICY_* */
	uint32_t local_asn;   /* put before the path towards another AS */
	uint32_t cluster_id;  /* 0: we do not reflect */
	struct addr self;     /* the session's own address */
	struct codec codec;
};
bool tell_how_eq(const struct tell_how *a, const struct tell_how *b);

/* May a path from this source be told to a peer like this at all? from: NULL for our own. */
bool tell_allowed(const struct tell_how *to, const struct rib_path *p, const struct rib_peer *from);
/* The next hop as it is told, unset if there is none that this peer could take with a prefix of family af. */
struct addr tell_nexthop(const struct tell_how *to, const struct addr *nexthop, uint8_t af);
/* What policy says; never accepts where none was stated. */
void tell_policy(const struct tell_how *to, const struct policies *ps, const struct policy_route *r,
		 struct policy_result *ret);
/* The attributes as they are told, with a reference; NULL if they cannot be told. */
struct attr_set *tell_attrs(const struct tell_how *to, struct attr_table *t, const struct rib_path *p,
			    const struct rib_peer *from, const struct policy_result *policy);
