/*
 * bgp/policy: import and export policy as data: what a route must look like for a rule to match, and what the
 * rule then does to it. Everything that a Calico BGPFilter can say, and what Calico's own export function
 * needs (blocks, pools, communities on prefixes). Pure.
 *
 * A policy is a list of rules, looked through in order. Every match of a rule is optional; all that are given
 * must hold. The first matching rule with a final verdict decides; one with POLICY_NEXT changes the route and
 * the search goes on. Matches see the route as it came in, not as earlier rules have changed it.
 *
 * Invariant: a policy is never seen half-made: rules gather beside the old ones until policies_end().
 */
#pragma once
#include "base/addr.h"
#include "bgp/attr.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define POLICY_RULES_MAX  4096 /* rules of one policy; more are refused */
#define POLICY_OPS_MAX	  10   /* operations of one rule, as in a BGPFilter */
#define POLICY_ASNS_MAX	  10   /* AS numbers of a match or of a prepend operation, as in a BGPFilter */
#define POLICY_IFNAME_MAX 16   /* bytes of an interface name, with its NUL */

enum policy_prefix_op {
	POLICY_PREFIX_ANY, /* prefix, min_len and max_len do not count */
	POLICY_PREFIX_EQUAL,
	POLICY_PREFIX_NOT_EQUAL,
	POLICY_PREFIX_IN, /* it, or inside it */
	POLICY_PREFIX_NOT_IN,
};

enum policy_source { POLICY_SOURCE_ANY, POLICY_SOURCE_BGP, POLICY_SOURCE_OWN };
enum policy_session { POLICY_SESSION_ANY, POLICY_SESSION_EBGP, POLICY_SESSION_IBGP };
enum policy_verdict { POLICY_NEXT, POLICY_ACCEPT, POLICY_REJECT };

/* A standard one (RFC 1997): v[0] and v[1] below 65536, v[2] 0. A large one (RFC 8092): all three. */
struct policy_community {
	bool large;
	uint32_t v[3];
};

enum policy_op_kind {
	POLICY_ADD_COMMUNITY,
	POLICY_PREPEND, /* the path begins with these AS numbers then, in this order */
	POLICY_SET_LOCAL_PREF,
	POLICY_SET_MED,
	POLICY_OP_KINDS,
};

struct policy_op {
	uint8_t kind; /* enum policy_op_kind */
	uint8_t nasns;
	struct policy_community community;
	uint32_t value;
	uint32_t asns[POLICY_ASNS_MAX];
};

struct policy_rule {
	uint8_t family;	   /* AF_INET, AF_INET6: only such routes; 0 = both */
	uint8_t prefix_op; /* enum policy_prefix_op */
	/* The set that EQUAL and IN speak of: prefix, narrowed to lengths min_len..max_len; 0 and 0 = not
	 * narrowed (BGPFilter prefixLength; who means 0..0 says EQUAL). Lengths that no prefix of the set has
	 * do no harm: then nothing is in it. */
	struct prefix prefix;
	uint8_t min_len, max_len;
	uint8_t source;	 /* enum policy_source: where the route is from */
	uint8_t session; /* enum policy_session: to or from whom */
	bool has_community, has_local_pref;
	struct policy_community community; /* the route has it */
	uint32_t local_pref;		   /* the route has this LOCAL_PREF (an absent one counts as 100) */
	uint8_t nas_path;
	uint32_t as_path[POLICY_ASNS_MAX]; /* the AS path begins with these */
	/* Pattern for the interface of the route's next hop, "*" is any number of characters; "" = any. */
	char interface[POLICY_IFNAME_MAX];
	uint8_t verdict; /* enum policy_verdict */
	uint8_t nops;
	struct policy_op ops[POLICY_OPS_MAX]; /* not with POLICY_REJECT */
};

struct policy;	 /* one, complete and immutable until its next policies_end() */
struct policies; /* all of a speaker's, by number */

struct policies *policies_new(void);
void policies_free(struct policies *ps); /* NULL is fine */

/* A new or changed policy: begin, rules, end. Until its end the old one holds. otherwise: what happens to a
 * route that no rule decides about (true = accepted). */
void policies_begin(struct policies *ps, uint16_t id, const char *name, bool otherwise);
/* False: nothing was begun for id, it has POLICY_RULES_MAX rules already, or a number in r is out of its
 * bounds. Then its end will not come to be: the old policy stays. */
bool policies_add(struct policies *ps, uint16_t id, const struct policy_rule *r);
/* True if what holds now for id is another policy than before (name apart). If it says the same, the old
 * object stays and so do pointers into it. */
bool policies_end(struct policies *ps, uint16_t id);
/* False if there was none. What was begun is forgotten too. */
bool policies_drop(struct policies *ps, uint16_t id);
/* NULL if there is none. The pointer is good until the next change of this id. */
const struct policy *policies_get(const struct policies *ps, uint16_t id);
/* Stamp and sweep: drops every policy that was not begun since the last policies_stamp(); fn hears each. */
void policies_stamp(struct policies *ps);
void policies_sweep(struct policies *ps, void (*fn)(void *arg, uint16_t id), void *arg);

const char *policy_name(const struct policy *p);
bool policy_heeds_interface(const struct policy *p); /* a rule asks for one */

/* A route as a policy sees it. */
struct policy_route {
	const struct prefix *prefix;
	const struct attr_set *attr;
	bool own;	    /* originated by this node, not learned by BGP */
	bool ebgp;	    /* the session it comes from or goes to */
	const char *ifname; /* of its next hop; "" = unknown */
};

#define POLICY_NO_RULE UINT16_MAX
#define POLICY_OUT_OPS 64 /* operations that apply to one route; more are not carried out */

struct policy_result {
	bool accept;
	uint16_t rule; /* the one that decided, from 0; POLICY_NO_RULE: none did */
	uint16_t nops;
	const struct policy_op *ops[POLICY_OUT_OPS]; /* into the policy, in order */
};
void policy_eval(const struct policy *p, const struct policy_route *r, struct policy_result *ret);
/* Do the two say the same to a route: accepted or not, and the same operations? (For grouping routes that
 * come out alike.) */
bool policy_result_eq(const struct policy_result *a, const struct policy_result *b);

/* The operations as a change of attributes: sets path, communities and large, and puts LOCAL_PREF and MED, in
 * *ch and leaves the rest of it as it is. *buf holds what *ch points to then. */
struct policy_buf {
	uint32_t path[POLICY_OUT_OPS * POLICY_ASNS_MAX], communities[POLICY_OUT_OPS];
	struct attr_large large[POLICY_OUT_OPS];
};
void policy_change(const struct policy_result *r, struct policy_buf *buf, struct attr_change *ch);
/* The attributes after the operations, with a reference for the caller: the same object if nothing changes;
 * NULL if they would be longer than an attribute set can be. */
struct attr_set *policy_apply(struct attr_table *t, struct attr_set *a, const struct policy_result *r);
