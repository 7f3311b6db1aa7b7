/*
 * ipam/claim: taking a block for a host and giving it back, one write at a time (facts 2.6 and 2.9).
 *
 * Invariant: a confirmed affinity always has its block, and a block names at most one host.
 */
#pragma once
#include "ipam/ipam.h"

enum claim {
	CLAIM_WRITE, /* *w is the next write */
	CLAIM_DONE,  /* the block is confirmed for the host; or it is given back */
	CLAIM_LOST,  /* the block is another's; or it cannot be given back, e says why */
};

/* What req->at.phase says. */
enum { PHASE_NONE, PHASE_CLAIM, PHASE_GIVE, PHASE_RELEASE };

enum claim claim_take(const struct ipam_view *v, struct ipam_request *req, const struct prefix *cidr,
		      struct ipam_write *w);
/* host is whose block it is: req->host, or another's whose empty block is wanted. */
enum claim claim_give(const struct ipam_view *v, struct ipam_request *req, const char *host,
		      const struct prefix *cidr, bool also_used, struct ipam_write *w, struct err *e);
