/*
 * A policy against the same rules looked through one by one, in other words than policy.c's. The input is
 * rules (their number first), then routes: every field is a byte or two, taken from few values so that things
 * match. What comes out is applied too, and asked whether it is there.
 */
#include "base/check.h"
#include "base/rd.h"
#include "bgp/policy.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

enum { RULES = 255 };

static const char *const names[] = { "", "eth0", "eth110", "cali12345", "bond0.100", "e", "eth1010" };
static const char *const patterns[] = { "", "*", "eth*", "*0", "e*1*0", "cali*", "e*10", "eth0" };

static struct prefix get_prefix(struct rd *r)
{
	static const uint8_t lens[] = { 8, 16, 24, 17 };
	uint8_t how = rd_u8(r), len = rd_u8(r), a = rd_u8(r), b = rd_u8(r);
	struct addr addr = { .family = how & 1 ? AF_INET6 : AF_INET, .b = { 10, a & 3, b & 0x81 } };

	if (how & 2)
		return prefix_of(&addr, lens[len % ARRAY_SIZE(lens)]);
	return prefix_of(&addr, (uint8_t)(len % (addr_bits(addr.family) + 1)));
}

static struct policy_community get_community(struct rd *r)
{
	uint8_t v = rd_u8(r);

	return (struct policy_community){ v & 1, { v >> 1 & 1, v >> 2 & 3, v & 1 ? v >> 4 & 1 : 0 } };
}

static uint8_t get_asns(struct rd *r, uint32_t asns[static POLICY_ASNS_MAX])
{
	uint8_t v = rd_u8(r), n = v % (POLICY_ASNS_MAX + 1);

	for (unsigned i = 0; i < n; i++)
		asns[i] = 1 + (v >> 4 & i & 1);
	return n;
}

static struct policy_op get_op(struct rd *r)
{
	struct policy_op op = { .kind = rd_u8(r) % POLICY_OP_KINDS };

	if (op.kind == POLICY_ADD_COMMUNITY)
		op.community = get_community(r);
	else if (op.kind == POLICY_PREPEND)
		op.nasns = get_asns(r, op.asns);
	else
		op.value = rd_u8(r) & 3;
	return op;
}

static struct policy_rule get_rule(struct rd *r)
{
	static const uint8_t families[] = { 0, 0, AF_INET, AF_INET6 };
	uint8_t what = rd_u8(r), from = rd_u8(r);
	struct policy_rule m = { .prefix_op = what % 5, .family = families[from >> 6] };

	m.verdict = what >> 4 & 3 ? what >> 4 & 1 ? POLICY_ACCEPT : POLICY_REJECT : POLICY_NEXT;
	m.source = from % 3;
	m.session = (from >> 2) % 3;
	if (m.prefix_op != POLICY_PREFIX_ANY)
		m.prefix = get_prefix(r);
	if (m.prefix_op != POLICY_PREFIX_ANY && from & 16) {
		m.min_len = rd_u8(r) % 130;
		m.max_len = rd_u8(r) % 130;
	}
	m.has_community = what & 64;
	if (m.has_community)
		m.community = get_community(r);
	if (what & 128) {
		uint8_t more = rd_u8(r);

		strcpy(m.interface, patterns[more % ARRAY_SIZE(patterns)]);
		m.has_local_pref = more & 16;
		m.local_pref = more & 16 ? 98u + (more >> 5 & 3) : 0;
		if (more & 128)
			m.nas_path = get_asns(r, m.as_path);
	}
	m.nops = m.verdict == POLICY_REJECT ? 0 : (from >> 5 & 1) * (rd_u8(r) % (POLICY_OPS_MAX + 1));
	for (unsigned i = 0; i < m.nops; i++)
		m.ops[i] = get_op(r);
	return m;
}

/* --- the rules in other words --- */

static bool glob(const char *pattern, const char *s)
{
	if (*pattern == '*')
		return glob(pattern + 1, s) || (*s && glob(pattern, s + 1));
	return *pattern == *s && (!*s || glob(pattern + 1, s + 1));
}

static bool in_set(const struct policy_rule *m, const struct prefix *p, bool or_inside)
{
	if (or_inside ? !prefix_covers(&m->prefix, p) : !prefix_eq(&m->prefix, p))
		return false;
	return (!m->min_len && !m->max_len) || (p->len >= m->min_len && p->len <= m->max_len);
}

static bool prefix_fits(const struct policy_rule *m, const struct prefix *p)
{
	switch (m->prefix_op) {
	case POLICY_PREFIX_EQUAL:
		return in_set(m, p, false);
	case POLICY_PREFIX_NOT_EQUAL:
		return !in_set(m, p, false);
	case POLICY_PREFIX_IN:
		return in_set(m, p, true);
	case POLICY_PREFIX_NOT_IN:
		return !in_set(m, p, true);
	default:
		return true;
	}
}

static bool community_fits(const struct policy_community *c, const struct attr_set *a)
{
	struct attr_large l = { c->v[0], c->v[1], c->v[2] };

	return c->large ? attr_large_has(a, &l) : attr_community_has(a, c->v[0] * 65536 + c->v[1]);
}

static bool path_fits(const struct policy_rule *m, const struct attr_set *a)
{
	struct rd r;

	CHECK(attr_find(a, ATTR_AS_PATH, &r));
	rd_be16(&r); /* one sequence is all that paths here have */
	for (unsigned i = 0; i < m->nas_path; i++)
		if (!rd_left(&r) || rd_be32(&r) != m->as_path[i])
			return false;
	return true;
}

static bool fits(const struct policy_rule *m, const struct policy_route *r)
{
	if (m->family && m->family != r->prefix->addr.family)
		return false;
	if ((m->source == POLICY_SOURCE_BGP && r->own) || (m->source == POLICY_SOURCE_OWN && !r->own))
		return false;
	if ((m->session == POLICY_SESSION_EBGP && !r->ebgp) || (m->session == POLICY_SESSION_IBGP && r->ebgp))
		return false;
	if (m->has_local_pref) {
		uint32_t there = r->attr->flags & ATTR_HAS_LOCAL_PREF ? r->attr->local_pref : 100;

		if (there != m->local_pref)
			return false;
	}
	return prefix_fits(m, r->prefix) && (!*m->interface || glob(m->interface, r->ifname)) &&
	       (!m->has_community || community_fits(&m->community, r->attr)) && path_fits(m, r->attr);
}

static void check_op(const struct policy_op *a, const struct policy_op *b)
{
	CHECK(a->kind == b->kind && a->nasns == b->nasns && a->value == b->value &&
	      !memcmp(a->asns, b->asns, sizeof(a->asns)) && a->community.large == b->community.large &&
	      !memcmp(a->community.v, b->community.v, sizeof(a->community.v)));
}

static void check_eval(const struct policy_rule *rule, size_t n, bool otherwise, const struct policy_route *r,
		       const struct policy_result *got)
{
	bool accept = otherwise, decided = false;
	size_t nops = 0;

	for (size_t i = 0; i < n && !decided; i++) {
		if (!fits(&rule[i], r))
			continue;
		decided = rule[i].verdict != POLICY_NEXT;
		if (decided) {
			accept = rule[i].verdict == POLICY_ACCEPT;
			CHECK(got->rule == i);
		}
		for (unsigned k = 0; k < rule[i].nops && got->accept && nops < POLICY_OUT_OPS; k++, nops++)
			check_op(got->ops[nops], &rule[i].ops[k]);
	}
	CHECK(got->accept == accept && got->nops == (accept ? nops : 0));
	CHECK(decided || got->rule == POLICY_NO_RULE);
}

/* What the last operation of a kind says is so afterwards. */
static void check_applied(const struct attr_set *a, const struct policy_result *res)
{
	bool seen[POLICY_OP_KINDS] = { false };

	for (unsigned i = res->nops; i-- > 0;) {
		const struct policy_op *op = res->ops[i];
		struct policy_rule path = { .nas_path = op->nasns };

		if (op->kind == POLICY_ADD_COMMUNITY)
			CHECK(community_fits(&op->community, a));
		if (seen[op->kind])
			continue;
		seen[op->kind] = true;
		if (op->kind == POLICY_PREPEND) {
			memcpy(path.as_path, op->asns, sizeof(path.as_path));
			CHECK(path_fits(&path, a));
		}
		CHECK(op->kind != POLICY_SET_LOCAL_PREF || a->local_pref == op->value);
		CHECK(op->kind != POLICY_SET_MED || a->med == op->value);
	}
}

/* --- routes --- */

static struct attr_set *get_attrs(struct attr_table *t, struct rd *r)
{
	struct policy_community c = get_community(r);
	uint8_t more = rd_u8(r);
	struct attr_large large = { c.v[0], c.v[1], c.v[2] };
	uint32_t community = c.v[0] << 16 | c.v[1], path[POLICY_ASNS_MAX];
	struct attr_change ch = { .communities = &community, .large = &large, .path = path };

	ch.nlarge = c.large;
	ch.ncommunities = !c.large;
	ch.npath = get_asns(r, path);
	ch.local_pref = more & 1 ? ATTR_PUT : ATTR_KEEP;
	ch.local_pref_value = 98u + (more >> 1 & 3);
	struct attr_set *own = attr_originate(t, ATTR_ORIGIN_IGP), *a = attr_derive(t, own, &ch);
	attr_unref(t, own);
	return a;
}

static void one_route(const struct policy *p, const struct policy_rule *rule, size_t n, bool otherwise,
		      struct attr_table *t, struct rd *r)
{
	struct prefix prefix = get_prefix(r);
	uint8_t bits = rd_u8(r);
	struct attr_set *a = get_attrs(t, r);
	struct policy_route route = { &prefix, a, bits & 1, bits & 2,
				      names[(bits >> 2) % ARRAY_SIZE(names)] };
	struct policy_result res;

	policy_eval(p, &route, &res);
	check_eval(rule, n, otherwise, &route, &res);
	struct attr_set *b = policy_apply(t, a, &res);
	check_applied(b, &res);
	CHECK(res.nops || a == b);
	attr_unref(t, a);
	attr_unref(t, b);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
	static struct policy_rule rule[RULES];
	struct policies *ps = policies_new();
	struct attr_table *t = attr_table_new(1);
	struct rd r = rd_of(bytes, n);
	bool otherwise = rd_u8(&r) & 1;
	size_t nrules = rd_u8(&r);

	policies_begin(ps, 7, "fuzz", otherwise);
	for (size_t i = 0; i < nrules; i++) {
		rule[i] = get_rule(&r);
		CHECK(policies_add(ps, 7, &rule[i]));
	}
	CHECK(policies_end(ps, 7));
	while (rd_left(&r))
		one_route(policies_get(ps, 7), rule, nrules, otherwise, t, &r);
	policies_free(ps);
	CHECK(attr_table_count(t) == 0);
	attr_table_free(t);
	return 0;
}
