/* The rules of announcing. */
#include "bgp/tell.h"

#include "bgp/msg.h"

static bool codec_eq(const struct codec *a, const struct codec *b)
{
	return a->ebgp == b->ebgp && a->as4 == b->as4 && a->families == b->families &&
	       a->ext_nexthop == b->ext_nexthop && a->add_path_out == b->add_path_out && a->max == b->max;
}

bool tell_how_eq(const struct tell_how *a, const struct tell_how *b)
{
	return a->ebgp == b->ebgp && a->client == b->client && a->llgr == b->llgr &&
	       a->nexthop_mode == b->nexthop_mode && a->role == b->role && a->policy == b->policy &&
	       a->local_asn == b->local_asn && a->cluster_id == b->cluster_id &&
	       addr_eq(&a->self, &b->self) && codec_eq(&a->codec, &b->codec);
}

/* RFC 9234 5: what has been told "only to customers" goes to nobody above or beside us. */
static bool keeps_to_customers(const struct tell_how *to)
{
	return to->role == IPC_ROLE_CUSTOMER || to->role == IPC_ROLE_PEER || to->role == IPC_ROLE_RS_CLIENT;
}

static bool marks_for_customers(const struct tell_how *to)
{
	return to->role == IPC_ROLE_PROVIDER || to->role == IPC_ROLE_PEER || to->role == IPC_ROLE_RS;
}

bool tell_allowed(const struct tell_how *to, const struct rib_path *p, const struct rib_peer *from)
{
	uint16_t f = p->attr->flags;

	if (p->flags & RIB_UNUSABLE || f & ATTR_NO_ADVERTISE)
		return false;
	if (to->ebgp) {
		if (f & (ATTR_NO_EXPORT | ATTR_NO_EXPORT_SUBCONFED))
			return false;
		if (f & ATTR_LLGR_STALE && !to->llgr)
			return false; /* RFC 9494 4.6 */
		return !(f & ATTR_HAS_OTC && keeps_to_customers(to));
	}
	if (p->peer == RIB_SELF || from->ebgp)
		return true;
	/* iBGP to iBGP only by reflection: from a client to all, from the others to clients (RFC 4456 6). */
	return to->cluster_id && (from->client || to->client);
}

static bool keeps_nexthop(const struct tell_how *to)
{
	switch ((enum ipc_nexthop_mode)to->nexthop_mode) {
	case IPC_NEXTHOP_SELF:
		return false;
	case IPC_NEXTHOP_KEEP:
		return true;
	case IPC_NEXTHOP_AUTO:
		break;
	}
	return !to->ebgp;
}

struct addr tell_nexthop(const struct tell_how *to, const struct addr *nexthop, uint8_t af)
{
	struct addr a = keeps_nexthop(to) && addr_is_set(nexthop) ? *nexthop : to->self;

	if (a.family == af || (af == AF_INET && a.family == AF_INET6 && to->codec.ext_nexthop & CAPS_V4))
		return a;
	return (struct addr){ 0 };
}

void tell_policy(const struct tell_how *to, const struct policies *ps, const struct policy_route *r,
		 struct policy_result *ret)
{
	const struct policy *p;

	ret->nops = 0;
	ret->rule = POLICY_NO_RULE;
	ret->accept = to->policy == IPC_POLICY_ALL || (to->policy == IPC_POLICY_DEFAULT && !to->ebgp);
	if (to->policy < IPC_POLICY_FIRST)
		return;
	p = policies_get(ps, to->policy);
	if (p)
		policy_eval(p, r, ret);
}

static bool sets_med(const struct policy_result *policy)
{
	for (size_t i = 0; i < policy->nops; i++)
		if (policy->ops[i]->kind == POLICY_SET_MED)
			return true;
	return false;
}

static void to_ebgp(const struct tell_how *to, const struct rib_path *p, const struct policy_result *policy,
		    struct attr_change *ch)
{
	ch->leave_as = true;
	ch->prepend = 1;
	ch->prepend_asn = to->local_asn;
	if (p->peer != RIB_SELF && !sets_med(policy))
		ch->med = ATTR_CLEAR;
	if (marks_for_customers(to))
		ch->otc = to->local_asn;
}

static void to_ibgp(const struct tell_how *to, const struct attr_set *a, const struct rib_path *p,
		    const struct rib_peer *from, struct attr_change *ch)
{
	static const uint32_t no_export = ATTR_COMMUNITY_NO_EXPORT;

	if (!(a->flags & ATTR_HAS_LOCAL_PREF)) {
		ch->local_pref = ATTR_PUT;
		ch->local_pref_value = ATTR_LOCAL_PREF_DEFAULT;
	}
	if (p->peer != RIB_SELF && !from->ebgp) {
		ch->originator_id = from->router_id;
		ch->cluster_id = to->cluster_id;
	}
	/* RFC 9494 4.6: to those who do not know what stale means it is the last resort, and stays inside. */
	if (a->flags & ATTR_LLGR_STALE && !to->llgr) {
		ch->local_pref = ATTR_PUT;
		ch->local_pref_value = 0;
		ch->communities = &no_export;
		ch->ncommunities = 1;
	}
}

struct attr_set *tell_attrs(const struct tell_how *to, struct attr_table *t, const struct rib_path *p,
			    const struct rib_peer *from, const struct policy_result *policy)
{
	struct attr_change ch = { 0 };
	struct attr_set *a = policy_apply(t, p->attr, policy), *ret;

	if (!a)
		return NULL;
	if (to->ebgp)
		to_ebgp(to, p, policy, &ch);
	else
		to_ibgp(to, a, p, from, &ch);
	ret = attr_derive(t, a, &ch);
	attr_unref(t, a);
	return ret;
}
