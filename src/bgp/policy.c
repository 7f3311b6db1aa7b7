#include "bgp/policy.h"

#include "base/check.h"
#include "bgp/trie.h"

#define NO_MORE UINT16_MAX /* ends a chain of rules */

enum where { ANYWHERE, INSIDE, OUTSIDE };

/* A rule as it is kept. What it does not ask for is zero, and there are no gaps between the fields: equal
 * rules are equal bytes. */
struct rule {
	uint32_t community[3], local_pref;
	uint32_t as_path[POLICY_ASNS_MAX];
	uint32_t first_op;
	uint16_t next; /* the next rule of its chain: those for the same prefix, or for none */
	char interface[POLICY_IFNAME_MAX];
	struct prefix prefix;
	uint8_t where, lo, hi; /* INSIDE: covered by prefix and of a length from lo to hi */
	uint8_t family, source, session;
	uint8_t has_community, large, has_local_pref;
	uint8_t nas_path, verdict, nops;
};
_Static_assert(sizeof(struct rule) == 108, "no gaps");

struct policy {
	char *name;
	bool otherwise;
	struct rule *rule;
	struct policy_op *op;
	uint32_t nrules, rules_cap, nops, ops_cap;
	/* Rules that want a prefix inside a certain one are found by that prefix: the first of each chain is
	 * the trie's value. The others are one chain. All chains ascend. */
	struct trie by_prefix;
	uint16_t others;
};

struct entry {
	struct policy *now;   /* NULL: there is none yet */
	struct policy *draft; /* begun; NULL: nothing is */
	bool broken;	      /* the draft has lost a rule */
	bool begun;	      /* since the last policies_stamp() */
};

struct policies {
	struct entry *entry; /* by number: every route of every peer asks */
	uint32_t n;
};

/* --- rules --- */

static bool community_ok(const struct policy_community *c)
{
	return c->large || (c->v[0] <= UINT16_MAX && c->v[1] <= UINT16_MAX && !c->v[2]);
}

static bool op_ok(const struct policy_op *op)
{
	return op->kind < POLICY_OP_KINDS && op->nasns <= POLICY_ASNS_MAX &&
	       (op->kind != POLICY_ADD_COMMUNITY || community_ok(&op->community));
}

static bool prefix_ok(const struct policy_rule *r)
{
	unsigned bits = addr_bits(r->prefix.addr.family);

	return r->prefix_op == POLICY_PREFIX_ANY ||
	       (r->prefix_op <= POLICY_PREFIX_NOT_IN && bits && r->prefix.len <= bits);
}

static bool rule_ok(const struct policy_rule *r)
{
	bool ok = prefix_ok(r) && r->source <= POLICY_SOURCE_OWN && r->session <= POLICY_SESSION_IBGP &&
		  (!r->has_community || community_ok(&r->community)) && r->nas_path <= POLICY_ASNS_MAX &&
		  memchr(r->interface, '\0', sizeof(r->interface)) && r->verdict <= POLICY_REJECT &&
		  r->nops <= (r->verdict == POLICY_REJECT ? 0 : POLICY_OPS_MAX);

	for (unsigned i = 0; ok && i < r->nops; i++)
		ok = op_ok(&r->ops[i]);
	return ok;
}

static bool is_outside(uint8_t prefix_op)
{
	return prefix_op == POLICY_PREFIX_NOT_EQUAL || prefix_op == POLICY_PREFIX_NOT_IN;
}

/* EQUAL is IN with one length. */
static void rule_set_prefix(struct rule *m, const struct policy_rule *r)
{
	bool equal = r->prefix_op == POLICY_PREFIX_EQUAL || r->prefix_op == POLICY_PREFIX_NOT_EQUAL;

	if (r->prefix_op == POLICY_PREFIX_ANY)
		return;
	m->prefix = r->prefix;
	m->where = is_outside(r->prefix_op) ? OUTSIDE : INSIDE;
	m->lo = r->min_len;
	m->hi = equal ? r->prefix.len : (uint8_t)addr_bits(r->prefix.addr.family);
	if (r->min_len || r->max_len)
		m->hi = MIN(m->hi, r->max_len);
}

static struct rule rule_of(const struct policy_rule *r)
{
	struct rule m = { .family = r->family,
			  .source = r->source,
			  .session = r->session,
			  .nas_path = r->nas_path,
			  .verdict = r->verdict,
			  .nops = r->nops,
			  .next = NO_MORE };

	rule_set_prefix(&m, r);
	if (r->has_community) {
		m.has_community = true;
		m.large = r->community.large;
		memcpy(m.community, r->community.v, sizeof(m.community));
	}
	if (r->has_local_pref) {
		m.has_local_pref = true;
		m.local_pref = r->local_pref;
	}
	memcpy(m.as_path, r->as_path, r->nas_path * sizeof(*r->as_path));
	memcpy(m.interface, r->interface, strlen(r->interface));
	return m;
}

static bool op_eq(const struct policy_op *a, const struct policy_op *b)
{
	if (a->kind != b->kind)
		return false;
	switch (a->kind) {
	case POLICY_ADD_COMMUNITY:
		return a->community.large == b->community.large &&
		       !memcmp(a->community.v, b->community.v, sizeof(a->community.v));
	case POLICY_PREPEND:
		return a->nasns == b->nasns && !memcmp(a->asns, b->asns, a->nasns * sizeof(*a->asns));
	default:
		return a->value == b->value;
	}
}

/* --- one policy --- */

static struct policy *policy_new(const char *name, bool otherwise)
{
	struct policy *p = xcalloc(1, sizeof(*p));

	p->name = xstrdup(name);
	p->otherwise = otherwise;
	p->others = NO_MORE;
	return p;
}

static void policy_free(struct policy *p)
{
	if (!p)
		return;
	trie_done(&p->by_prefix);
	free(p->name);
	free(p->rule);
	free(p->op);
	free(p);
}

const char *policy_name(const struct policy *p)
{
	return p->name;
}

bool policy_heeds_interface(const struct policy *p)
{
	for (uint32_t i = 0; i < p->nrules; i++)
		if (p->rule[i].interface[0])
			return true;
	return false;
}

static void policy_add(struct policy *p, const struct policy_rule *r)
{
	if (p->nrules == p->rules_cap) {
		p->rules_cap = p->rules_cap ? p->rules_cap * 2 : 4;
		p->rule = xrealloc(p->rule, p->rules_cap * sizeof(*p->rule));
	}
	while (p->ops_cap - p->nops < r->nops) {
		p->ops_cap = p->ops_cap ? p->ops_cap * 2 : 4;
		p->op = xrealloc(p->op, p->ops_cap * sizeof(*p->op));
	}
	struct rule *m = &p->rule[p->nrules++];
	*m = rule_of(r);
	m->first_op = p->nops;
	for (unsigned i = 0; i < r->nops; i++)
		p->op[p->nops++] = r->ops[i];
}

/* Puts every rule into its chain; from the last to the first, so that chains ascend. */
static void policy_index(struct policy *p)
{
	for (uint32_t i = p->nrules; i-- > 0;) {
		struct rule *m = &p->rule[i];
		uint32_t next = NO_MORE;

		if (m->where == INSIDE) {
			trie_get(&p->by_prefix, &m->prefix, &next);
			trie_put(&p->by_prefix, &m->prefix, i);
			m->next = (uint16_t)next;
		} else {
			m->next = p->others;
			p->others = (uint16_t)i;
		}
	}
}

/* Of two complete ones; names do not count. */
static bool policy_eq(const struct policy *a, const struct policy *b)
{
	bool eq = a->otherwise == b->otherwise && a->nrules == b->nrules && a->nops == b->nops &&
		  (!a->nrules || !memcmp(a->rule, b->rule, a->nrules * sizeof(*a->rule)));

	for (uint32_t i = 0; eq && i < a->nops; i++)
		eq = op_eq(&a->op[i], &b->op[i]);
	return eq;
}

/* --- all policies --- */

struct policies *policies_new(void)
{
	return xcalloc(1, sizeof(struct policies));
}

/* NULL: it was never begun. */
static struct entry *entry_find(const struct policies *ps, uint16_t id)
{
	return id < ps->n ? &ps->entry[id] : NULL;
}

static struct entry *entry_make(struct policies *ps, uint16_t id)
{
	uint32_t n = ps->n;

	if (id >= n) {
		ps->n = id + 1u;
		ps->entry = xrealloc(ps->entry, ps->n * sizeof(*ps->entry));
		memset(&ps->entry[n], 0, (ps->n - n) * sizeof(*ps->entry));
	}
	return &ps->entry[id];
}

static void entry_drop(struct entry *e)
{
	policy_free(e->now);
	policy_free(e->draft);
	*e = (struct entry){ 0 };
}

void policies_free(struct policies *ps)
{
	if (!ps)
		return;
	for (uint32_t id = 0; id < ps->n; id++)
		entry_drop(&ps->entry[id]);
	free(ps->entry);
	free(ps);
}

void policies_begin(struct policies *ps, uint16_t id, const char *name, bool otherwise)
{
	struct entry *e = entry_make(ps, id);

	policy_free(e->draft);
	e->draft = policy_new(name, otherwise);
	e->broken = false;
	e->begun = true;
}

bool policies_add(struct policies *ps, uint16_t id, const struct policy_rule *r)
{
	struct entry *e = entry_find(ps, id);

	if (!e || !e->draft)
		return false;
	if (e->draft->nrules == POLICY_RULES_MAX || !rule_ok(r)) {
		e->broken = true;
		return false;
	}
	policy_add(e->draft, r);
	return true;
}

bool policies_end(struct policies *ps, uint16_t id)
{
	struct entry *e = entry_find(ps, id);
	struct policy *draft = e ? e->draft : NULL;

	if (!draft)
		return false;
	e->draft = NULL;
	if (e->broken) {
		policy_free(draft);
		return false;
	}
	policy_index(draft);
	if (e->now && policy_eq(e->now, draft)) {
		free(e->now->name);
		e->now->name = draft->name;
		draft->name = NULL;
		policy_free(draft);
		return false;
	}
	policy_free(e->now);
	e->now = draft;
	return true;
}

bool policies_drop(struct policies *ps, uint16_t id)
{
	struct entry *e = entry_find(ps, id);
	bool was = e && e->now;

	if (e)
		entry_drop(e);
	return was;
}

const struct policy *policies_get(const struct policies *ps, uint16_t id)
{
	const struct entry *e = entry_find(ps, id);

	return e ? e->now : NULL;
}

void policies_stamp(struct policies *ps)
{
	for (uint32_t id = 0; id < ps->n; id++)
		ps->entry[id].begun = false;
}

void policies_sweep(struct policies *ps, void (*fn)(void *arg, uint16_t id), void *arg)
{
	for (uint32_t id = 0; id < ps->n; id++)
		if (!ps->entry[id].begun && policies_drop(ps, (uint16_t)id))
			fn(arg, (uint16_t)id);
}

/* --- does a rule match? --- */

/* Goes back to the last "*" when what follows it does not fit here. */
static bool name_matches(const char *pattern, const char *name)
{
	const char *star = NULL, *from = NULL;

	while (*name) {
		if (*pattern == '*') {
			star = ++pattern;
			from = name;
		} else if (*pattern == *name) {
			pattern++;
			name++;
		} else if (star) {
			pattern = star;
			name = ++from;
		} else {
			return false;
		}
	}
	while (*pattern == '*')
		pattern++;
	return !*pattern;
}

static bool prefix_matches(const struct rule *m, const struct prefix *p)
{
	if (m->family && m->family != p->addr.family)
		return false;
	if (m->where == ANYWHERE)
		return true;
	bool inside = m->lo <= p->len && p->len <= m->hi && prefix_covers(&m->prefix, p);
	return inside == (m->where == INSIDE);
}

static bool community_matches(const struct rule *m, const struct attr_set *a)
{
	const uint32_t *v = m->community;

	if (m->large)
		return attr_large_has(a, &(struct attr_large){ v[0], v[1], v[2] });
	return attr_community_has(a, v[0] << 16 | v[1]);
}

/* The cheap questions first. */
static bool rule_matches(const struct rule *m, const struct policy_route *r)
{
	return prefix_matches(m, r->prefix) && (!m->source || r->own == (m->source == POLICY_SOURCE_OWN)) &&
	       (!m->session || r->ebgp == (m->session == POLICY_SESSION_EBGP)) &&
	       (!m->has_local_pref || r->attr->local_pref == m->local_pref) &&
	       (!m->interface[0] || name_matches(m->interface, r->ifname)) &&
	       (!m->has_community || community_matches(m, r->attr)) &&
	       (!m->nas_path || attr_path_begins(r->attr, m->as_path, m->nas_path));
}

/* --- a policy and a route --- */

/* The rules to be looked at: the heads of some chains. */
struct candidates {
	unsigned n;
	uint16_t at[1 + 129]; /* the others', and one for each length of a prefix */
};

static void candidates_add(struct candidates *c, uint16_t rule)
{
	if (rule != NO_MORE)
		c->at[c->n++] = rule;
}

/* The lowest of them, and its chain goes on; NO_MORE at the end. */
static uint16_t candidates_next(struct candidates *c, const struct rule *rule)
{
	unsigned min = 0;
	uint16_t i;

	if (!c->n)
		return NO_MORE;
	for (unsigned k = 1; k < c->n; k++)
		if (c->at[k] < c->at[min])
			min = k;
	i = c->at[min];
	if (rule[i].next != NO_MORE)
		c->at[min] = rule[i].next;
	else
		c->at[min] = c->at[--c->n];
	return i;
}

static void result_add(struct policy_result *ret, const struct policy *p, const struct rule *m)
{
	for (unsigned i = 0; i < m->nops && ret->nops < POLICY_OUT_OPS; i++)
		ret->ops[ret->nops++] = &p->op[m->first_op + i];
}

void policy_eval(const struct policy *p, const struct policy_route *r, struct policy_result *ret)
{
	struct candidates c;
	struct trie_walk w = trie_covering(&p->by_prefix, r->prefix);
	uint32_t head;

	c.n = 0;
	candidates_add(&c, p->others);
	while (trie_walk_next(&w, &head, NULL))
		candidates_add(&c, (uint16_t)head);
	ret->accept = p->otherwise;
	ret->rule = POLICY_NO_RULE;
	ret->nops = 0;
	for (uint16_t i; (i = candidates_next(&c, p->rule)) != NO_MORE;) {
		const struct rule *m = &p->rule[i];

		if (!rule_matches(m, r))
			continue;
		result_add(ret, p, m);
		if (m->verdict == POLICY_NEXT)
			continue;
		ret->accept = m->verdict == POLICY_ACCEPT;
		ret->rule = i;
		break;
	}
	if (!ret->accept)
		ret->nops = 0;
}

bool policy_result_eq(const struct policy_result *a, const struct policy_result *b)
{
	bool eq = a->accept == b->accept && a->nops == b->nops;

	for (unsigned i = 0; eq && i < a->nops; i++)
		eq = a->ops[i] == b->ops[i] || op_eq(a->ops[i], b->ops[i]);
	return eq;
}

/* --- what it does to the attributes --- */

static void change_add_community(struct policy_buf *buf, struct attr_change *ch, const struct policy_op *op)
{
	const uint32_t *v = op->community.v;

	if (op->community.large)
		buf->large[ch->nlarge++] = (struct attr_large){ v[0], v[1], v[2] };
	else
		buf->communities[ch->ncommunities++] = v[0] << 16 | v[1];
}

/* Each goes before what the earlier ones have put there, so the path grows from the end of its buffer. */
static void change_prepend(struct policy_buf *buf, struct attr_change *ch, const struct policy_op *op)
{
	ch->npath += op->nasns;
	ch->path = buf->path + ARRAY_SIZE(buf->path) - ch->npath;
	memcpy(buf->path + ARRAY_SIZE(buf->path) - ch->npath, op->asns, op->nasns * sizeof(*op->asns));
}

static void change_add(struct policy_buf *buf, struct attr_change *ch, const struct policy_op *op)
{
	switch (op->kind) {
	case POLICY_ADD_COMMUNITY:
		change_add_community(buf, ch, op);
		break;
	case POLICY_PREPEND:
		change_prepend(buf, ch, op);
		break;
	case POLICY_SET_LOCAL_PREF:
		ch->local_pref = ATTR_PUT;
		ch->local_pref_value = op->value;
		break;
	case POLICY_SET_MED:
		ch->med = ATTR_PUT;
		ch->med_value = op->value;
		break;
	}
}

void policy_change(const struct policy_result *r, struct policy_buf *buf, struct attr_change *ch)
{
	ch->path = NULL;
	ch->communities = buf->communities;
	ch->large = buf->large;
	ch->npath = ch->ncommunities = ch->nlarge = 0;
	for (unsigned i = 0; i < r->nops; i++)
		change_add(buf, ch, r->ops[i]);
}

struct attr_set *policy_apply(struct attr_table *t, struct attr_set *a, const struct policy_result *r)
{
	struct policy_buf buf;
	struct attr_change ch = { 0 };

	if (!r->nops)
		return attr_ref(a);
	policy_change(r, &buf, &ch);
	return attr_derive(t, a, &ch);
}
