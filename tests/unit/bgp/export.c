/*
 * What peers are told, seen from their side: every one decodes the bytes it is given and keeps a table;
 * whatever they join, leave, read slowly or ask again, in the end each has exactly what the rules give it.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/check.h"
#include "base/prng.h"
#include "bgp/export.h"
#include "bgp/msg.h"
#include "bgp/update.h"

enum {
	PREFIXES = 80,
	PEERS = 12,
	SETS = 8,
	IDS = 3,
	PATHS = PEERS * IDS + 1,
	POLICIES = 4,
	RULES = 5,
	BUF = 1 << 16
};

struct heard {
	bool there;
	uint32_t id; /* of ADD-PATH */
	struct attr_set *attr;
	struct addr hop;
};

struct listener {
	struct out *out;
	struct tell_how how;
	struct heard table[PREFIXES][PATHS];
	uint8_t buf[BUF];
	size_t n;
	uint64_t messages;
};

/* What a policy says, for those who cannot read it. */
struct statement {
	bool stated, otherwise;
	struct policy_rule rules[RULES];
	size_t n;
};

struct world {
	struct prng r;
	struct attr_table *attrs, *theirs; /* ours, and that of all the peers */
	struct policies *policies;
	struct statement statements[POLICIES]; /* of policy IPC_POLICY_FIRST on */
	struct rib *rib;
	struct exports *x;
	struct attr_set *sets[SETS];
	struct listener peers[PEERS];
};

static struct addr self4(void)
{
	return addr_v4(0xac104389);
}

static struct addr self6(void)
{
	struct addr a = { 0 };

	assert_true(addr_parse("fd00::137", &a));
	return a;
}

static struct prefix prefix_no(int i)
{
	struct addr a = addr_v4(0x0a080000 + ((uint32_t)i << 6));

	if (i % 4)
		return prefix_of(&a, 26);
	uint8_t b[16] = { 0xfd, 0x10, 0, 0, 0, 0, (uint8_t)i };
	a = addr_from_bytes(AF_INET6, b);
	return prefix_of(&a, 64);
}

static int index_of(const struct prefix *p)
{
	for (int i = 0; i < PREFIXES; i++) {
		struct prefix q = prefix_no(i);
		if (prefix_eq(p, &q))
			return i;
	}
	fail();
	return -1;
}

static struct addr hop_of(uint8_t family, uint16_t peer)
{
	struct addr a = { .family = family };

	a.b[0] = family == AF_INET ? 10 : 0xfd;
	a.b[3] = (uint8_t)(peer + 1);
	return a;
}

/* Of both families next hops exist; the session speaks one or both. */
static struct addr hop_for(const struct prefix *p, uint16_t peer)
{
	return peer == RIB_SELF ? (struct addr){ 0 } : hop_of(p->addr.family, peer);
}

static bool peer_is_ebgp(int i)
{
	return i >= 7 && i != 11;
}

/* Hears every path. */
static bool peer_hears_all(int i)
{
	return i >= 9;
}

static bool peer_is_client(int i)
{
	return i == 2 || i == 3 || i == 4;
}

/* 0 and 5, 1 and 6, 9 and 10 are alike at first. */
static struct tell_how how_of(int i, uint32_t cluster)
{
	struct tell_how h = { .ebgp = peer_is_ebgp(i),
			      .client = peer_is_client(i),
			      .policy = IPC_POLICY_ALL,
			      .local_asn = 64512,
			      .cluster_id = peer_is_ebgp(i) ? 0 : cluster,
			      .llgr = i == 0 || i == 5 || i == 2 || i == 11,
			      .role = i == 7		  ? IPC_ROLE_PROVIDER
				      : i == 8		  ? IPC_ROLE_CUSTOMER
				      : i == 9 || i == 10 ? IPC_ROLE_PEER
							  : IPC_ROLE_NONE,
			      .self = i == 4 ? self6() : self4() };

	h.codec = (struct codec){ .ebgp = h.ebgp,
				  .as4 = i != 8,
				  .families = i == 4			     ? CAPS_V6
					      : i == 3 || (i >= 8 && i < 11) ? CAPS_V4 | CAPS_V6
									     : CAPS_V4,
				  .ext_nexthop = i == 0 || i == 5 || i == 3 || i == 11 ? CAPS_V4 : 0,
				  .max = MSG_MAX };
	if (peer_hears_all(i))
		h.codec.add_path_out = h.codec.add_path_in = CAPS_V4 | CAPS_V6;
	return h;
}

static void begin(struct world *w, uint64_t seed)
{
	memset(w, 0, sizeof(*w));
	w->r.state = seed;
	w->attrs = attr_table_new(seed);
	w->theirs = attr_table_new(seed);
	w->rib = rib_new(w->attrs, seed);
	w->policies = policies_new();
	w->x = exports_new(w->rib, w->attrs, w->policies);
	for (int i = 0; i < SETS; i++) {
		static const uint32_t no_export[] = { 0xffffff01 }, no_advertise[] = { 0xffffff02 },
				      llgr_stale[] = { ATTR_COMMUNITY_LLGR_STALE };
		struct attr_set *own = attr_originate(w->attrs, ATTR_ORIGIN_IGP);
		struct attr_change ch = { .prepend = (uint8_t)(i % 3), .prepend_asn = 70000 + (uint32_t)i };
		if (i == 4 || i == 5) {
			ch.communities = i == 4 ? no_export : no_advertise;
			ch.ncommunities = 1;
		}
		if (i == 6) {
			ch.communities = llgr_stale;
			ch.ncommunities = 1;
		}
		if (i == 7)
			ch.otc = 99;
		if (i == 1) {
			ch.med = ATTR_PUT;
			ch.med_value = 7;
		}
		w->sets[i] = attr_derive(w->attrs, own, &ch);
		attr_unref(w->attrs, own);
	}
	for (int i = 0; i < PEERS; i++) {
		struct rib_peer who = { .addr = addr_v4(0x0a000001 + (uint32_t)i),
					.router_id = 1000 + (uint32_t)i,
					.ebgp = peer_is_ebgp(i),
					.client = peer_is_client(i) };
		rib_peer_set(w->rib, (uint16_t)i, &who);
	}
}

static void forget_heard(struct world *w, struct listener *l)
{
	for (int i = 0; i < PREFIXES; i++) {
		for (int j = 0; j < PATHS; j++) {
			attr_unref(w->theirs, l->table[i][j].attr);
			l->table[i][j] = (struct heard){ 0 };
		}
	}
}

static void leave(struct world *w, struct listener *l)
{
	export_close(l->out);
	l->out = NULL;
	l->n = 0;
	forget_heard(w, l);
}

static void end(struct world *w)
{
	for (int i = 0; i < PEERS; i++)
		if (w->peers[i].out)
			leave(w, &w->peers[i]);
	exports_free(w->x);
	policies_free(w->policies);
	rib_free(w->rib);
	for (int i = 0; i < SETS; i++)
		attr_unref(w->attrs, w->sets[i]);
	assert_int_equal(attr_table_count(w->attrs), 0);
	assert_int_equal(attr_table_count(w->theirs), 0);
	attr_table_free(w->attrs);
	attr_table_free(w->theirs);
}

/* Where the path with this id is, or a free place for it. */
static struct heard *place(struct listener *l, const struct prefix *p, uint32_t id)
{
	struct heard *row = l->table[index_of(p)], *free_one = NULL;

	for (int j = 0; j < PATHS; j++) {
		if (row[j].there && row[j].id == id)
			return &row[j];
		if (!row[j].there && !free_one)
			free_one = &row[j];
	}
	assert_non_null(free_one);
	return free_one;
}

static void hear_announced(struct world *w, struct listener *l, struct update_reach *reach,
			   struct attr_set *a)
{
	struct prefix p;
	uint32_t id;

	while (nlri_next(&reach->nlri, &p, &id)) {
		struct heard *h = place(l, &p, id);
		attr_unref(w->theirs, h->attr);
		*h = (struct heard){ true, id, attr_ref(a), reach->nexthop };
	}
}

static void hear_withdrawn(struct world *w, struct listener *l, struct nlri *n)
{
	struct prefix p;
	uint32_t id;

	while (nlri_next(n, &p, &id)) {
		struct heard *h = place(l, &p, id);
		attr_unref(w->theirs, h->attr);
		*h = (struct heard){ 0 };
	}
}

static void hear_update(struct world *w, struct listener *l, struct rd body)
{
	static struct update u;

	assert_int_equal(update_decode(body, &l->how.codec, &u), ATTR_TAKE);
	for (int i = 0; i < 2; i++)
		hear_withdrawn(w, l, &u.withdrawn[i]);
	if (!update_has_routes(&u))
		return;
	struct attr_set *a = attr_intern(w->theirs, &u.attrs, &l->how.codec);
	for (int i = 0; i < 2; i++)
		hear_announced(w, l, &u.announced[i], a);
	attr_unref(w->theirs, a);
}

static void hear(struct world *w, struct listener *l)
{
	struct msg m;
	struct notify bad;
	size_t at = 0;
	ssize_t k;

	while ((k = msg_next(l->buf + at, l->n - at, MSG_MAX, &m, &bad)) > 0) {
		assert_int_equal(m.type, MSG_UPDATE);
		hear_update(w, l, m.body);
		l->messages++;
		at += (size_t)k;
	}
	assert_true(k == 0);
	l->n -= at;
	memmove(l->buf, l->buf + at, l->n);
}

/* Reads at most max bytes; the boundary that the sender claims must be one for the receiver. */
static bool read_some(struct world *w, struct listener *l, size_t max)
{
	const uint8_t *bytes;
	size_t n;

	assert_int_equal(export_at_boundary(l->out), l->n == 0);
	if (!export_next(l->out, &bytes, &n))
		return false;
	n = MIN(MIN(n, max), BUF - l->n);
	memcpy(l->buf + l->n, bytes, n);
	l->n += n;
	export_sent(l->out, n);
	hear(w, l);
	return true;
}

static struct attr_set *mark_stale(void *arg, struct attr_set *a)
{
	static const uint32_t stale = ATTR_COMMUNITY_LLGR_STALE;
	struct world *w = arg;

	return prng_below(&w->r, 3)
		       ? attr_derive(w->attrs, a,
				     &(struct attr_change){ .communities = &stale, .ncommunities = 1 })
		       : NULL;
}

/* What concerns a whole peer: it restarts, is marked, goes. */
static void peer_change(struct world *w)
{
	uint16_t peer = (uint16_t)prng_below(&w->r, PEERS);
	uint8_t family = prng_below(&w->r, 2) ? AF_INET : 0;

	switch (prng_below(&w->r, 4)) {
	case 0:
		rib_stale_peer(w->rib, peer, family);
		break;
	case 1:
		rib_change_stale(w->rib, peer, family, mark_stale, w);
		break;
	case 2:
		rib_forget_peer(w->rib, peer, family, true);
		break;
	default:
		rib_forget_peer(w->rib, peer, family, false);
		break;
	}
}

static void hop_change(struct world *w)
{
	struct addr a = hop_of(prng_below(&w->r, 2) ? AF_INET : AF_INET6, (uint16_t)prng_below(&w->r, PEERS));
	struct nexthop_info info = { .unreachable = prng_below(&w->r, 3) == 0,
				     .metric = (uint32_t)prng_below(&w->r, 3) };

	rib_know_nexthop(w->rib, &a, &info);
}

static void one_change(struct world *w)
{
	static const uint16_t flags[] = { RIB_OWN_AS, RIB_REJECTED, RIB_LEAKED | RIB_OWN_NEXTHOP };
	struct prefix p = prefix_no((int)prng_below(&w->r, PREFIXES));
	uint64_t who = prng_below(&w->r, PEERS + 2);
	uint16_t peer = who >= PEERS ? RIB_SELF : (uint16_t)who, bad = 0;
	struct addr hop = hop_for(&p, peer);
	uint32_t id = peer == RIB_SELF ? 0 : (uint32_t)prng_below(&w->r, IDS);

	if (prng_below(&w->r, 60) == 0)
		peer_change(w);
	if (prng_below(&w->r, 20) == 0)
		hop_change(w);
	if (peer != RIB_SELF && prng_below(&w->r, 5) == 0)
		hop = hop_of(AF_INET6, peer); /* also of IPv4 */
	if (peer != RIB_SELF && prng_below(&w->r, 6) == 0)
		bad = flags[prng_below(&w->r, ARRAY_SIZE(flags))];
	if (prng_below(&w->r, 100) < 60)
		rib_learn(w->rib, &p, peer, id, w->sets[prng_below(&w->r, SETS)], &hop, bad);
	else
		rib_forget(w->rib, &p, peer, id);
}

/* --- policy, once more in other words --- */

static struct policy_op some_op(struct world *w)
{
	struct policy_op op = { .kind = (uint8_t)prng_below(&w->r, POLICY_OP_KINDS),
				.value = (uint32_t)prng_below(&w->r, 3) * 50 };

	if (op.kind == POLICY_PREPEND) {
		op.nasns = 1;
		op.asns[0] = 80000 + (uint32_t)prng_below(&w->r, 2);
	}
	if (op.kind == POLICY_ADD_COMMUNITY)
		op.community = (struct policy_community){ false, { 7, (uint32_t)prng_below(&w->r, 2) } };
	return op;
}

static struct policy_rule some_rule(struct world *w)
{
	struct policy_rule r = { .source = (uint8_t)prng_below(&w->r, 3),
				 .session = (uint8_t)prng_below(&w->r, 3),
				 .verdict = (uint8_t)prng_below(&w->r, 3) };

	if (prng_below(&w->r, 2)) {
		r.prefix_op = POLICY_PREFIX_IN;
		r.prefix = prefix_no((int)prng_below(&w->r, PREFIXES));
		r.prefix = prefix_of(&r.prefix.addr, (uint8_t)(r.prefix.len - prng_below(&w->r, 6)));
	}
	if (r.verdict != POLICY_REJECT)
		for (uint64_t n = prng_below(&w->r, 3); n; n--)
			r.ops[r.nops++] = some_op(w);
	return r;
}

static void restate_policy(struct world *w)
{
	size_t k = prng_below(&w->r, POLICIES);
	uint16_t id = (uint16_t)(IPC_POLICY_FIRST + k);
	struct statement *st = &w->statements[k];
	bool changed;

	*st = (struct statement){ .stated = prng_below(&w->r, 6), .otherwise = prng_below(&w->r, 2) };
	if (st->stated) {
		policies_begin(w->policies, id, "", st->otherwise);
		for (st->n = 0; st->n < prng_below(&w->r, RULES + 1); st->n++) {
			st->rules[st->n] = some_rule(w);
			assert_true(policies_add(w->policies, id, &st->rules[st->n]));
		}
		changed = policies_end(w->policies, id);
	} else {
		changed = policies_drop(w->policies, id);
	}
	if (!changed)
		return;
	exports_policy_changed(w->x, id);
	for (int i = 0; i < PEERS; i++)
		if (w->peers[i].out && w->peers[i].how.policy == id)
			export_again(w->peers[i].out);
}

struct outcome {
	bool accept, med_set, pref_set, community[2];
	uint32_t med, pref, first_asn;
	uint16_t prepended;
};

static void carry_out(const struct policy_op *op, struct outcome *o)
{
	switch ((enum policy_op_kind)op->kind) {
	case POLICY_ADD_COMMUNITY:
		o->community[op->community.v[1]] = true;
		break;
	case POLICY_PREPEND:
		o->prepended++;
		o->first_asn = op->asns[0];
		break;
	case POLICY_SET_LOCAL_PREF:
		o->pref_set = true;
		o->pref = op->value;
		break;
	case POLICY_SET_MED:
		o->med_set = true;
		o->med = op->value;
		break;
	case POLICY_OP_KINDS:
		break;
	}
}

static struct outcome outcome_of(const struct world *w, const struct tell_how *h, const struct prefix *p,
				 bool own)
{
	struct outcome o = { .accept = h->policy == IPC_POLICY_ALL || !h->ebgp };

	if (h->policy < IPC_POLICY_FIRST)
		return o;
	const struct statement *st = &w->statements[h->policy - IPC_POLICY_FIRST];
	o.accept = st->stated && st->otherwise;
	for (size_t i = 0; i < st->n; i++) {
		const struct policy_rule *r = &st->rules[i];
		if (r->source && own != (r->source == POLICY_SOURCE_OWN))
			continue;
		if (r->session && h->ebgp != (r->session == POLICY_SESSION_EBGP))
			continue;
		if (r->prefix_op && !prefix_covers(&r->prefix, p))
			continue;
		for (size_t k = 0; k < r->nops; k++)
			carry_out(&r->ops[k], &o);
		if (r->verdict == POLICY_NEXT)
			continue;
		o.accept = r->verdict == POLICY_ACCEPT;
		break;
	}
	return o;
}

/* --- the rules once more, in other words --- */

static struct addr hop_to_tell(const struct world *w, int to, const struct rib_path *path)
{
	const struct tell_how *h = &w->peers[to].how;
	bool keep = h->nexthop_mode == IPC_NEXTHOP_KEEP || (h->nexthop_mode == IPC_NEXTHOP_AUTO && !h->ebgp);

	return keep && path->peer != RIB_SELF ? rib_nexthop(w->rib, path) : h->self;
}

static bool should_tell(const struct world *w, int to, const struct prefix *p, const struct rib_path *path)
{
	const struct tell_how *h = &w->peers[to].how;
	bool from_ibgp = path->peer != RIB_SELF && !peer_is_ebgp(path->peer);
	struct addr hop = hop_to_tell(w, to, path);

	if (path->peer == to || path->flags & RIB_UNUSABLE || path->attr->flags & ATTR_NO_ADVERTISE)
		return false;
	if (!(h->codec.families & caps_family_of_af(p->addr.family)))
		return false;
	if (hop.family != p->addr.family && !(h->codec.ext_nexthop && hop.family == AF_INET6))
		return false;
	if (!outcome_of(w, h, p, path->peer == RIB_SELF).accept)
		return false;
	if (!h->ebgp)
		return !from_ibgp || (h->cluster_id && (peer_is_client(path->peer) || peer_is_client(to)));
	if (path->attr->flags & ATTR_HAS_OTC && (h->role == IPC_ROLE_CUSTOMER || h->role == IPC_ROLE_PEER))
		return false;
	return !(path->attr->flags & ATTR_NO_EXPORT) && (h->llgr || !(path->attr->flags & ATTR_LLGR_STALE));
}

/* The last AS number of a path of one sequence, 0 if it is empty. */
static uint32_t origin_asn(const struct attr_set *a)
{
	uint32_t asn = 0;
	struct rd r;

	assert_true(attr_find(a, ATTR_AS_PATH, &r));
	rd_be16(&r);
	while (rd_left(&r))
		asn = rd_be32(&r);
	return asn;
}

static void check_attrs(const struct world *w, int to, const struct prefix *p, const struct rib_path *best,
			const struct heard *h)
{
	const struct tell_how *how = &w->peers[to].how;
	struct addr hop = hop_to_tell(w, to, best);
	bool own = best->peer == RIB_SELF, reflected = !own && !how->ebgp && !peer_is_ebgp(best->peer);
	bool as_stale = best->attr->flags & ATTR_LLGR_STALE && !how->llgr;
	struct outcome o = outcome_of(w, how, p, own);

	assert_true(addr_eq(&h->hop, &hop));
	assert_int_equal(h->attr->as_path_len, best->attr->as_path_len + o.prepended + how->ebgp);
	for (uint32_t i = 0; i < 2; i++)
		assert_int_equal(attr_community_has(h->attr, 7 << 16 | i), o.community[i]);
	if (how->ebgp) {
		bool marks = how->role == IPC_ROLE_PROVIDER || how->role == IPC_ROLE_PEER;
		assert_int_equal(h->attr->first_asn, 64512);
		assert_int_equal(h->attr->flags & (ATTR_HAS_LOCAL_PREF | ATTR_HAS_ORIGINATOR), 0);
		assert_int_equal(h->attr->med, o.med_set ? o.med : own ? best->attr->med : 0);
		assert_int_equal(h->attr->otc, best->attr->otc ? best->attr->otc : marks ? 64512 : 0);
	} else {
		if (o.prepended)
			assert_int_equal(h->attr->first_asn, o.first_asn);
		assert_int_equal(h->attr->local_pref, as_stale ? 0 : o.pref_set ? o.pref : 100);
		assert_true(h->attr->flags & ATTR_HAS_LOCAL_PREF);
		assert_int_equal(!!(h->attr->flags & ATTR_NO_EXPORT),
				 as_stale || best->attr->flags & ATTR_NO_EXPORT);
		assert_int_equal(h->attr->originator_id, reflected ? 1000u + best->peer : 0);
		assert_int_equal(attr_cluster_has(h->attr, 5), reflected);
		assert_int_equal(h->attr->med, o.med_set ? o.med : best->attr->med);
		assert_int_equal(h->attr->otc, best->attr->otc);
	}
	if (best->attr->as_path_len)
		assert_int_equal(origin_asn(h->attr), origin_asn(best->attr));
}

static void check_peer(struct world *w, int to)
{
	uint32_t count = 0;

	for (int i = 0; i < PREFIXES; i++) {
		struct prefix p = prefix_no(i);
		uint32_t idx = rib_find(w->rib, &p);
		uint32_t expected = 0;
		const struct rib_path *path = idx == RIB_NONE ? NULL : rib_first(w->rib, idx);
		for (; path; path = rib_next(w->rib, path)) {
			if (!peer_hears_all(to) && !(path->flags & RIB_BEST))
				continue;
			if (!should_tell(w, to, &p, path))
				continue;
			uint32_t id = peer_hears_all(to) ? rib_path_number(w->rib, path) : 0;
			const struct heard *h = place(&w->peers[to], &p, id);
			assert_true(h->there);
			check_attrs(w, to, &p, path, h);
			expected++;
		}
		for (int j = 0; j < PATHS; j++)
			expected -= w->peers[to].table[i][j].there;
		assert_int_equal(expected, 0);
		for (int j = 0; j < PATHS; j++)
			count += w->peers[to].table[i][j].there;
	}
	assert_int_equal(export_count(w->peers[to].out), count);
}

static void join(struct world *w, int i, uint32_t cluster)
{
	w->peers[i].how = how_of(i, cluster);
	w->peers[i].out = export_open(w->x, (uint16_t)i, &w->peers[i].how);
}

static void move_peer(struct world *w, int i, uint32_t cluster)
{
	struct listener *l = &w->peers[i];
	uint64_t what = prng_below(&w->r, 42);

	if (!l->out) {
		join(w, i, cluster);
	} else if (what == 0) {
		leave(w, l);
	} else if (what == 1) {
		export_again(l->out);
	} else if (what == 2) {
		l->how.nexthop_mode = (uint8_t)(prng_below(&w->r, 6) % 4 % 3); /* mostly alike */
		export_change(l->out, &l->how);
	} else if (what == 3) {
		l->how.policy = prng_below(&w->r, 2)
					? IPC_POLICY_ALL
					: (uint16_t)prng_below(&w->r, IPC_POLICY_FIRST + POLICIES);
		export_change(l->out, &l->how);
	} else if (what < 25) {
		for (uint64_t n = prng_below(&w->r, 5); n; n--)
			read_some(w, l, 1 + prng_below(&w->r, 90));
	} else {
		while (read_some(w, l, 1 + prng_below(&w->r, 4000)))
			;
		assert_false(export_pending(l->out));
		check_peer(w, i);
	}
}

static void random_world(uint64_t seed, uint32_t cluster)
{
	static struct world w;

	begin(&w, seed);
	for (int round = 0; round < 1500; round++) {
		for (uint64_t n = prng_below(&w.r, 6); n; n--)
			one_change(&w);
		rib_settle(w.rib);
		rib_told_all(w.rib);
		if (prng_below(&w.r, 12) == 0)
			restate_policy(&w);
		move_peer(&w, (int)prng_below(&w.r, PEERS), cluster);
		if (prng_below(&w.r, 3) == 0)
			exports_trim(w.x);
		if (prng_below(&w.r, 3) == 0) {
			exports_trim(w.x);
			rib_reap(w.rib, exports_passed(w.x), exports_on_gone, w.x);
		}
	}
	for (int i = 0; i < PEERS; i++) {
		if (!w.peers[i].out)
			join(&w, i, cluster);
		while (read_some(&w, &w.peers[i], SIZE_MAX))
			;
		check_peer(&w, i);
	}
	exports_trim(w.x);
	assert_int_equal(exports_chunks(w.x), 0);
	assert_int_equal(exports_passed(w.x), rib_version(w.rib));
	end(&w);
}

static void random_mesh(void **state)
{
	for (uint64_t seed = 1; seed <= 15; seed++)
		random_world(seed, 0);
}

static void random_reflector(void **state)
{
	for (uint64_t seed = 100; seed <= 115; seed++)
		random_world(seed, 5);
}

/* Many prefixes with equal attributes go in few messages, to many peers in the same bytes. */
static void shared(void **state)
{
	static struct world w;
	struct addr none = { 0 };
	const uint8_t *first = NULL;

	begin(&w, 1);
	for (int i = 1; i < PREFIXES; i++) {
		struct prefix p = prefix_no(i);
		if (p.addr.family == AF_INET)
			rib_learn(w.rib, &p, RIB_SELF, 0, w.sets[0], &none, 0);
	}
	rib_settle(w.rib);
	for (int i = 0; i < 3; i++) {
		struct listener *l = &w.peers[i];
		const uint8_t *bytes;
		size_t n;
		l->how = how_of(0, 0);
		l->out = export_open(w.x, (uint16_t)i, &l->how);
		assert_true(export_next(l->out, &bytes, &n));
		assert_true(!first || bytes == first);
		first = bytes;
		assert_int_equal(exports_chunks(w.x), 1);
	}
	for (int i = 0; i < 3; i++) {
		while (read_some(&w, &w.peers[i], 1000))
			;
		assert_int_equal(w.peers[i].messages, 1);
		assert_int_equal(export_count(w.peers[i].out), 60);
	}
	end(&w);
}

/* A peer that does not read hears only the outcome. */
static void superseded(void **state)
{
	static struct world w;
	struct addr none = { 0 };
	struct prefix p = prefix_no(1);
	struct listener *l = &w.peers[0];

	begin(&w, 1);
	join(&w, 0, 0);
	for (int i = 0; i < 1000; i++) {
		if (i % 2)
			rib_forget(w.rib, &p, RIB_SELF, 0);
		else
			rib_learn(w.rib, &p, RIB_SELF, 0, w.sets[0], &none, 0);
		rib_settle(w.rib);
	}
	rib_learn(w.rib, &p, RIB_SELF, 0, w.sets[0], &none, 0);
	rib_settle(w.rib);
	while (read_some(&w, l, 1000))
		;
	assert_int_equal(l->messages, 1);
	check_peer(&w, 0);
	end(&w);
}

/* Readers that all stand elsewhere and read no more: each holds a chunk, but not all of them long ones. */
static void many_that_do_not_read(void **state)
{
	enum { READERS = 400, MANY = 20000 };
	static struct world w;
	struct addr none = { 0 };
	struct out *outs[READERS];
	struct tell_how how = how_of(4, 0); /* of IPv6: prefixes are long */
	const uint8_t *bytes;
	size_t n;

	begin(&w, 1);
	for (int round = 0; round < 2; round++) {
		for (uint32_t i = 0; i < MANY; i++) {
			uint8_t b[16] = { 0xfd, 0x11, [14] = (uint8_t)(i >> 8), [15] = (uint8_t)i };
			struct addr a = addr_from_bytes(AF_INET6, b);
			struct prefix p = prefix_host(&a);
			rib_learn(w.rib, &p, RIB_SELF, 0, w.sets[round], &none, 0);
		}
		rib_settle(w.rib);
		for (uint16_t i = 0; i < READERS && round == 0; i++) {
			struct prefix p = prefix_no(0);
			rib_learn(w.rib, &p, RIB_SELF, 0, w.sets[i % 2], &none, 0);
			rib_settle(w.rib);
			outs[i] = export_open(w.x, i, &how);
			while (export_next(outs[i], &bytes, &n))
				export_sent(outs[i], n);
			exports_trim(w.x);
		}
	}
	for (int i = 0; i < READERS; i++)
		assert_true(export_next(outs[i], &bytes, &n));
	exports_trim(w.x);
	assert_true(exports_chunks(w.x) >= READERS);
	assert_true(exports_bytes(w.x) <
		    EXPORT_AMPLE_BYTES + EXPORT_CHUNK_BYTES + READERS * 2 * EXPORT_CHUNK_SPARING);
	/* They lose nothing by it. */
	while (export_next(outs[READERS - 1], &bytes, &n))
		export_sent(outs[READERS - 1], n);
	assert_true(export_version(outs[READERS - 1]) == rib_version(w.rib));
	assert_int_equal(export_count(outs[READERS - 1]), MANY + 1);
	for (int i = 0; i < READERS; i++)
		export_close(outs[i]);
	assert_int_equal(exports_bytes(w.x), 0);
	end(&w);
}

/* What one prefix looks like to a reader: the ids it knows of it. */
struct narrow {
	struct out *out;
	struct tell_how how;
	struct prefix p;
	uint32_t ids[8];
	size_t nids;
};

static void narrow_hear(struct narrow *l, struct nlri n, bool announced)
{
	struct prefix p;
	uint32_t id;

	while (nlri_next(&n, &p, &id)) {
		size_t i = 0;
		if (!prefix_eq(&p, &l->p))
			continue;
		while (i < l->nids && l->ids[i] != id)
			i++;
		if (i < l->nids)
			l->ids[i] = l->ids[--l->nids];
		assert_true(l->nids < 8);
		if (announced)
			l->ids[l->nids++] = id;
	}
}

/* Reads up to the next place where it may stop; false if there is nothing. */
static bool narrow_read(struct narrow *l)
{
	static struct update u;
	const uint8_t *bytes;
	struct notify bad;
	struct msg m;
	ssize_t k;
	size_t n;

	if (!export_next(l->out, &bytes, &n))
		return false;
	for (size_t at = 0; at < n; at += (size_t)k) {
		k = msg_next(bytes + at, n - at, MSG_MAX, &m, &bad);
		assert_true(k > 0);
		assert_int_equal(update_decode(m.body, &l->how.codec, &u), ATTR_TAKE);
		for (int i = 0; i < 2; i++) {
			narrow_hear(l, u.withdrawn[i], false);
			narrow_hear(l, u.announced[i].nlri, true);
		}
	}
	export_sent(l->out, n);
	return true;
}

static void fill(struct world *w, uint32_t from, uint32_t n)
{
	struct addr none = { 0 };

	for (uint32_t i = from; i < from + n; i++) {
		struct addr a = addr_v4(0x20000000 + i);
		struct prefix p = prefix_host(&a);
		rib_learn(w->rib, &p, RIB_SELF, 0, w->sets[0], &none, 0);
	}
	rib_settle(w->rib);
}

/* A path goes, one reader hears of it, and before the other comes to it its prefix changes again and moves
 * away from the place where it stood. */
static void a_path_goes_and_its_prefix_moves(void **state)
{
	static struct world w;
	struct narrow quick = { 0 }, slow = { 0 };
	struct addr hop = hop_for(&(struct prefix){ addr_v4(1), 32 }, 1);

	begin(&w, 1);
	quick.how = slow.how = how_of(10, 0);
	quick.p = slow.p = prefix_no(1);
	quick.out = export_open(w.x, 9, &quick.how);
	slow.out = export_open(w.x, 10, &slow.how);
	for (uint16_t i = 0; i < 2; i++)
		rib_learn(w.rib, &quick.p, i, 0, w.sets[0], &hop, 0);
	rib_settle(w.rib);
	while (narrow_read(&quick) | narrow_read(&slow))
		;
	assert_true(quick.nids == 2 && slow.nids == 2);
	rib_forget(w.rib, &quick.p, 0, 0);
	rib_settle(w.rib);
	while (narrow_read(&quick))
		;
	assert_int_equal(quick.nids, 1);
	fill(&w, 0, EXPORT_CHUNK_PREFIXES + 100);
	rib_learn(w.rib, &quick.p, 1, 0, w.sets[1], &hop, 0);
	rib_settle(w.rib);
	exports_trim(w.x);
	assert_true(narrow_read(&slow)); /* past the place, and not at the new one */
	assert_int_equal(slow.nids, 2);
	while (narrow_read(&quick))
		;
	exports_trim(w.x);
	while (narrow_read(&slow))
		;
	assert_int_equal(quick.nids, 1);
	assert_int_equal(slow.nids, 1);
	assert_int_equal(slow.ids[0], quick.ids[0]);
	/* Once both have heard it, nobody remembers the path that went. */
	export_close(quick.out);
	export_close(slow.out);
	end(&w);
}

/* A peer whose routes are there already joins while another one is in the middle of them. */
static void joins_with_routes(void **state)
{
	static struct world w;
	struct narrow first = { 0 }, owner = { 0 };
	struct prefix p = prefix_no(1);
	struct addr hop = hop_for(&p, 8);
	const uint8_t *bytes;
	size_t n;

	begin(&w, 1);
	first.how = owner.how = how_of(7, 0);
	first.p = owner.p = p;
	rib_learn(w.rib, &p, 8, 0, w.sets[0], &hop, 0);
	rib_settle(w.rib);
	first.out = export_open(w.x, 7, &first.how);
	assert_true(export_next(first.out, &bytes, &n)); /* is handed it, and has not sent it yet */
	owner.out = export_open(w.x, 8, &owner.how);
	while (narrow_read(&owner) | narrow_read(&first))
		;
	assert_int_equal(first.nids, 1);
	assert_int_equal(owner.nids, 0);
	export_close(first.out);
	export_close(owner.out);
	end(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(random_mesh),
		cmocka_unit_test(random_reflector),
		cmocka_unit_test(shared),
		cmocka_unit_test(superseded),
		cmocka_unit_test(many_that_do_not_read),
		cmocka_unit_test(a_path_goes_and_its_prefix_moves),
		cmocka_unit_test(joins_with_routes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
