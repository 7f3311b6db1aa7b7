/*
 * Routes in: from the values of an UPDATE to paths in the table. Loops and leaks, what a session makes of
 * attributes, import policy, limits. RFC 4271 9, RFC 4456 8, RFC 4486, RFC 8326, RFC 9234.
 */
#include "bgp/state.h"

static bool own_as(const struct peer *p, const struct attr_set *a)
{
	uint32_t mine = peer_asn(p), node = p->s->config.asn;

	return attr_path_count(a, mine) > p->conf.allow_own_as ||
	       (node != mine && attr_path_count(a, node) > p->conf.allow_own_as);
}

/* RFC 9234 5: who is below us, or beside us and not the one it names, must not send what is for customers
 * only. */
static bool is_leaked(const struct peer *p, const struct attr_set *a)
{
	if (!(a->flags & ATTR_HAS_OTC) || !peer_is_ebgp(p))
		return false;
	return p->conf.role == IPC_ROLE_PROVIDER || p->conf.role == IPC_ROLE_RS ||
	       (p->conf.role == IPC_ROLE_PEER && a->otc != p->conf.remote_asn);
}

/* Why the paths of this UPDATE may not be used; 0 if they may. */
static uint16_t loops(const struct peer *p, const struct attr_set *a, const struct addr *nexthop)
{
	const struct ipc_config *me = &p->s->config;
	uint16_t flags = 0;

	if (own_as(p, a))
		flags |= RIB_OWN_AS;
	if (a->flags & ATTR_HAS_ORIGINATOR && a->originator_id == me->router_id)
		flags |= RIB_OWN_ORIGINATOR;
	if (me->cluster_id && attr_cluster_has(a, me->cluster_id))
		flags |= RIB_OWN_CLUSTER;
	if (addr_eq(nexthop, &p->up->local))
		flags |= RIB_OWN_NEXTHOP;
	if (is_leaked(p, a))
		flags |= RIB_LEAKED;
	return flags;
}

/* The next prefix of an UPDATE. A large table is in no cache: those after it are fetched meanwhile. */
static bool next_fetching(struct peer *p, struct nlri *n, struct nlri *ahead, struct prefix *ret,
			  uint32_t *id)
{
	struct prefix later;

	if (nlri_next(ahead, &later, id))
		rib_prefetch(p->s->rib, &later);
	return nlri_next(n, ret, id);
}

static void fetch_first(struct peer *p, struct nlri *ahead)
{
	struct prefix later;
	uint32_t id;

	for (int i = 0; i < PREFIXES_AHEAD && nlri_next(ahead, &later, &id); i++)
		rib_prefetch(p->s->rib, &later);
}

static void withdraw_all(struct peer *p, struct nlri n)
{
	struct nlri ahead = n;
	struct prefix prefix;
	uint32_t id;

	fetch_first(p, &ahead);
	while (next_fetching(p, &n, &ahead, &prefix, &id))
		rib_forget(p->s->rib, &prefix, p->number, id);
}

/* What the session makes of received attributes before policy sees them: with a reference for the caller. */
static struct attr_set *received(struct peer *p, struct attr_set *a)
{
	struct attr_change ch = { 0 };
	bool from_above = p->conf.role == IPC_ROLE_CUSTOMER || p->conf.role == IPC_ROLE_PEER ||
			  p->conf.role == IPC_ROLE_RS_CLIENT;

	if (!peer_is_ebgp(p))
		return attr_ref(a);
	if (a->flags & ATTR_GRACEFUL_SHUTDOWN) { /* RFC 8326 4.4: better any other path */
		ch.local_pref = ATTR_PUT;
		ch.local_pref_value = 0;
	}
	if (from_above && !(a->flags & ATTR_HAS_OTC))
		ch.otc = p->conf.remote_asn;
	if (!ch.otc && ch.local_pref == ATTR_KEEP)
		return attr_ref(a);
	struct attr_set *changed = attr_derive(p->s->attrs, a, &ch);
	return changed ? changed : attr_ref(a);
}

/* One UPDATE's routes on their way into the table. */
struct learning {
	struct peer *p;
	struct attr_set *attrs,
		*changed;	     /* as received; as the last route's policy left them, NULL = none yet */
	struct policy_result policy; /* the last route's */
	const struct addr *nexthop;
	const char *ifname; /* over which it is reached, as far as is known */
	uint16_t flags;
};

static void import_policy(const struct peer *p, const struct policy_route *r, struct policy_result *ret)
{
	struct tell_how from = { .ebgp = r->ebgp, .policy = p->conf.import };

	tell_policy(&from, p->s->policies, r, ret);
}

/* Routes of one UPDATE mostly meet the same rules: then their attributes are made once. Borrowed. */
static struct attr_set *change(struct learning *l, const struct policy_result *policy)
{
	struct speaker *s = l->p->s;

	if (!policy->nops)
		return l->attrs;
	if (l->changed && policy_result_eq(policy, &l->policy))
		return l->changed;
	attr_unref(s->attrs, l->changed);
	l->policy = *policy;
	l->changed = policy_apply(s->attrs, l->attrs, policy);
	return l->changed;
}

static enum rib_learned learn(struct learning *l, const struct prefix *prefix, uint32_t path_id)
{
	struct peer *p = l->p;
	struct policy_route r = {
		.prefix = prefix, .attr = l->attrs, .ebgp = peer_is_ebgp(p), .ifname = l->ifname
	};
	struct policy_result policy;
	struct attr_set *a = l->attrs;
	uint16_t flags = l->flags;

	import_policy(p, &r, &policy);
	if (policy.accept)
		a = change(l, &policy);
	if (!policy.accept || !a) {
		flags |= RIB_REJECTED;
		a = l->attrs;
	}
	return rib_learn(p->s->rib, prefix, p->number, path_id, a, l->nexthop, flags);
}

static enum rib_learned learn_all(struct peer *p, const struct update_reach *reach, struct attr_set *a)
{
	struct learning l = {
		.p = p,
		.attrs = a,
		.nexthop = &reach->nexthop,
		.ifname = nexthops_ifname(rib_nexthops(p->s->rib), &reach->nexthop),
		.flags = loops(p, a, &reach->nexthop),
	};
	struct nlri n = reach->nlri, ahead = n;
	enum rib_learned r = RIB_OK;
	struct prefix prefix;
	uint32_t id;

	fetch_first(p, &ahead);
	while (r == RIB_OK && next_fetching(p, &n, &ahead, &prefix, &id))
		r = learn(&l, &prefix, id);
	attr_unref(p->s->attrs, l.changed);
	return r;
}

static void on_eor(struct peer *p, uint8_t family, usec_t now)
{
	p->eor_in &= (uint8_t)~family;
	peer_stale_told(p, family, now);
	speaker_check_sync(p->s, now);
}

static uint32_t max_prefixes(const struct peer *p)
{
	uint32_t own = p->conf.max_prefixes;

	return own && own < SPEAKER_PEER_PREFIXES ? own : SPEAKER_PEER_PREFIXES;
}

/* RFC 4486 4: the family and the limit, for the peer's operator. */
static struct cause too_many(const struct peer *p, const char *what)
{
	struct cause why = cease(CEASE_MAX_PREFIXES, what);
	uint8_t data[7];
	struct wr w = wr_to(data, sizeof(data));

	wr_be16(&w, caps_afi(p->codec.families & CAPS_V4 ? CAPS_V4 : CAPS_V6));
	wr_u8(&w, 1);
	wr_be32(&w, max_prefixes(p));
	notify_set(&why.notify, NOTIFY_CEASE, CEASE_MAX_PREFIXES, data, w.len);
	return why;
}

/* What is kept of before does not count: a restarted peer may number its paths anew (RFC 7911). But there is
 * no more of it than of the others, however often the peer restarts. */
static bool over_limit(const struct peer *p, const struct rib_peer *counted)
{
	uint64_t max = max_prefixes(p);

	return counted->paths - counted->stale > max || counted->paths > 2 * max;
}

void peer_limit(struct peer *p, enum rib_learned learned, usec_t now)
{
	const struct rib_peer *counted = rib_peer(p->s->rib, p->number);
	struct cause why = { 0 };

	if (learned == RIB_FULL)
		why = cease(CEASE_OUT_OF_RESOURCES, "the table is full");
	else if (learned == RIB_TOO_MANY)
		why = too_many(p, "the peer sent more paths to one prefix than are allowed");
	else if (over_limit(p, counted))
		why = too_many(p, "the peer sent more prefixes than are allowed");
	else if (counted->attr_bytes > SPEAKER_PEER_ATTRS)
		why = too_many(p, "the peer sent more attributes than are allowed");
	else
		return;
	conn_event(p->up, FSM_RX_BAD, &why, now);
}

/* A peer can make thousands of faults in a second: the log is not its to fill. */
static void note_fault(struct peer *p, const struct attr_fault *f, usec_t now)
{
	char a[ADDR_STR_MAX];

	if (p->faults++ && now - p->fault_noted < SPEAKER_NOTE_TIME)
		return;
	p->fault_noted = now;
	speaker_note(p->s, "%s (%s): UPDATE with a fault (%llu so far), %s: %s",
		     addr_format(&p->conf.remote, a), p->conf.name, (unsigned long long)p->faults,
		     attr_verdict_name(f->verdict), f->why);
}

void peer_update(struct peer *p, usec_t now)
{
	struct speaker *s = p->s;
	const struct update *u = &s->update;
	enum rib_learned learned = RIB_OK;

	for (size_t i = 0; i < ARRAY_SIZE(u->withdrawn); i++)
		withdraw_all(p, u->withdrawn[i]);
	if (u->fault.verdict == ATTR_WITHDRAW) {
		for (size_t i = 0; i < ARRAY_SIZE(u->announced); i++)
			withdraw_all(p, u->announced[i].nlri);
	} else if (update_has_routes(u)) {
		struct attr_set *wire = attr_intern(s->attrs, &u->attrs, &p->codec), *a = received(p, wire);
		for (size_t i = 0; i < ARRAY_SIZE(u->announced) && learned == RIB_OK; i++)
			learned = learn_all(p, &u->announced[i], a);
		attr_unref(s->attrs, a);
		attr_unref(s->attrs, wire);
	}
	if (u->fault.verdict != ATTR_TAKE)
		note_fault(p, &u->fault, now);
	if (u->eor)
		on_eor(p, u->eor, now);
	peer_count(p, now);
	peer_limit(p, learned, now);
}
