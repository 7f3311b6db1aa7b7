/* Policy on live sessions: what passes in and out, and what happens when it is changed while sessions are up.
 */
#include "actor.h"

#include <stdio.h>

enum { EBGP = 65001, IN = 10, OUT = 11, OTHER = 12 };

static struct prefix route_no(int i)
{
	return net_block(9, i);
}

/* A peer with these policies, up. asn 0: iBGP. */
static struct actor *joined(struct net *t, int number, uint32_t asn, uint16_t import, uint16_t export)
{
	struct actor *a = actor_new(t, number, 0, asn);
	struct ipc_peer conf = actor_conf(a);

	conf.import = import;
	conf.export = export;
	actor_state(a, &conf);
	actor_dial(a);
	assert_true(a->up);
	actor_log(a);
	return a;
}

static void announce(struct actor *a, int i, const struct attr_change *ch)
{
	struct prefix p = route_no(i);

	actor_announce(a, &p, 0, ch, NULL);
	net_run(a->net, 10 * MSEC);
}

static bool there(struct net *t, int i)
{
	struct prefix p = route_no(i);

	return net_route(&t->nodes[0], &p);
}

static const struct actor_heard *told(const struct actor *a, int i)
{
	struct prefix p = route_no(i);

	return actor_has(a, &p);
}

/* The only path of a route. */
static const struct ipc_path *path(struct net *t, int i)
{
	struct prefix p = route_no(i);

	assert_int_equal(net_dump(t, 0, &p), 1);
	return &t->nodes[0].paths[0];
}

static const struct ipc_peer_state *state_of(struct net *t, int peer)
{
	net_run(t, 2 * SEC);
	return &t->nodes[0].peers[peer];
}

static struct policy_rule rule_for(int i, uint8_t verdict)
{
	return (struct policy_rule){ .prefix_op = POLICY_PREFIX_EQUAL,
				     .prefix = route_no(i),
				     .verdict = verdict };
}

static void done(struct net *t, struct actor *a, struct actor *b)
{
	actor_free(a);
	if (b)
		actor_free(b);
	net_free(t);
}

/* RFC 8212: without a policy nothing comes from another AS, and nothing goes there; within ours all does. */
static void defaults(void **state)
{
	for (int ebgp = 0; ebgp < 2; ebgp++) {
		struct net *t = actor_net(0, 0);
		struct actor *a = joined(t, 1, ebgp ? EBGP : 0, IPC_POLICY_DEFAULT, IPC_POLICY_DEFAULT);
		announce(a, 0, NULL);
		assert_int_equal(there(t, 0), !ebgp);
		assert_int_equal(a->nheard, !ebgp);
		const struct ipc_peer_state *s = state_of(t, 1);
		assert_int_equal(s->received, 1);
		assert_int_equal(s->accepted, !ebgp);
		assert_int_equal(s->rejected, ebgp);
		assert_int_equal(s->advertised, !ebgp);
		if (ebgp)
			assert_non_null(strstr(path(t, 0)->why, "refused by the import policy"));
		done(t, a, NULL);
	}
}

/* A number that nobody has stated lets nothing pass; once it is stated the peer is asked again. */
static void not_stated_yet(void **state)
{
	struct net *t = actor_net(0, 0);
	struct actor *a = joined(t, 1, 0, IN, OUT);

	announce(a, 0, NULL);
	assert_false(there(t, 0));
	assert_int_equal(a->nheard, 0);
	net_policy(t, 0, IN, true, NULL, 0);
	net_run(t, SEC);
	assert_string_equal(actor_log(a), "request4");
	announce(a, 0, NULL);
	assert_true(there(t, 0));
	net_policy(t, 0, OUT, true, NULL, 0);
	net_run(t, SEC);
	assert_string_equal(actor_log(a), "+10.8.0.0/26");
	/* Gone again: so is what it let pass. */
	struct ipc_msg gone = { .type = IPC_POLICY_GONE, .policy.id = OUT };
	net_say(t, 0, &gone);
	net_run(t, SEC);
	assert_string_equal(actor_log(a), "-10.8.0.0/26");
	gone.policy.id = IN;
	net_say(t, 0, &gone);
	net_run(t, SEC);
	assert_string_equal(actor_log(a), "request4");
	announce(a, 0, NULL);
	assert_false(there(t, 0));
	assert_true(a->up);
	done(t, a, NULL);
}

/* A policy whose statement is not finished does not hold yet. */
static void half_stated(void **state)
{
	struct net *t = actor_net(0, 0);
	struct actor *a = joined(t, 1, 0, IN, OUT);
	struct ipc_msg m = { .type = IPC_POLICY, .policy = { .id = IN, .otherwise = true } };

	net_policy(t, 0, IN, false, NULL, 0);
	net_say(t, 0, &m);
	announce(a, 0, NULL);
	assert_false(there(t, 0));
	m.type = IPC_POLICY_END;
	net_say(t, 0, &m);
	announce(a, 0, NULL);
	assert_true(there(t, 0));
	done(t, a, NULL);
}

static void import_rules(void **state)
{
	struct net *t = actor_net(0, 0);
	struct policy_rule rules[3] = { rule_for(0, POLICY_REJECT), rule_for(1, POLICY_ACCEPT),
					rule_for(2, POLICY_ACCEPT) };
	struct actor *a, *b;

	rules[2].nops = 3;
	rules[2].ops[0] = (struct policy_op){ .kind = POLICY_SET_LOCAL_PREF, .value = 250 };
	rules[2].ops[1] =
		(struct policy_op){ .kind = POLICY_ADD_COMMUNITY, .community = { false, { 65000, 9 } } };
	rules[2].ops[2] = (struct policy_op){ .kind = POLICY_PREPEND, .nasns = 2, .asns = { EBGP, EBGP } };
	net_policy(t, 0, IN, false, rules, 3);
	a = joined(t, 1, EBGP, IN, IPC_POLICY_ALL);
	b = joined(t, 2, 0, IPC_POLICY_ALL, IPC_POLICY_ALL);
	for (int i = 0; i < 4; i++)
		announce(a, i, NULL);
	assert_false(there(t, 0) || there(t, 3)); /* refused by a rule; by what holds otherwise */
	assert_true(there(t, 1) && there(t, 2));
	assert_int_equal(path(t, 1)->local_pref, 100);
	assert_int_equal(path(t, 1)->as_path_len, 1);
	assert_int_equal(path(t, 2)->local_pref, 250);
	assert_int_equal(path(t, 2)->as_path_len, 3);
	assert_non_null(strstr(path(t, 2)->attrs, "65000:9"));
	assert_null(strstr(path(t, 1)->attrs, "65000:9"));
	assert_int_equal(state_of(t, 1)->rejected, 2);
	assert_int_equal(state_of(t, 1)->accepted, 2);
	/* What it was made to be is what others hear. */
	assert_true(told(b, 2) && told(b, 2)->attr->local_pref == 250 && told(b, 2)->attr->as_path_len == 3);
	assert_null(told(b, 0));
	/* All of one UPDATE or each in its own: the same. Withdrawn is withdrawn, refused or not. */
	for (int i = 0; i < 4; i++) {
		struct prefix p = route_no(i);
		actor_withdraw(a, &p, 0);
	}
	net_run(t, SEC);
	assert_int_equal(state_of(t, 1)->received, 0);
	assert_int_equal(state_of(t, 1)->rejected, 0);
	assert_int_equal(b->nheard, 1);
	done(t, a, b);
}

/* Other rules under the same number: the peer is asked again, nothing flaps, and peers with other policies do
 * not notice. */
static void import_changes(void **state)
{
	struct net *t = actor_net(0, 0);
	struct policy_rule rule = rule_for(0, POLICY_REJECT);
	struct actor *a, *b;

	net_policy(t, 0, IN, true, NULL, 0);
	net_policy(t, 0, OTHER, true, NULL, 0);
	a = joined(t, 1, 0, IN, IPC_POLICY_ALL);
	b = joined(t, 2, 0, OTHER, IPC_POLICY_ALL);
	for (int i = 0; i < 2; i++)
		announce(a, i, NULL);
	assert_true(there(t, 0) && there(t, 1));
	net_policy(t, 0, IN, true, NULL, 0); /* the same again */
	net_run(t, SEC);
	assert_string_equal(actor_log(a), "");
	net_policy(t, 0, IN, true, &rule, 1);
	net_run(t, SEC);
	assert_string_equal(actor_log(a), "request4");
	for (int i = 0; i < 2; i++)
		announce(a, i, NULL);
	assert_false(there(t, 0));
	assert_true(there(t, 1));
	assert_string_equal(actor_log(b), "");
	assert_int_equal(state_of(t, 1)->flaps + state_of(t, 2)->flaps, 0);
	/* Another number on the peer: the same. */
	struct ipc_peer conf = actor_conf(a);
	conf.import = OTHER;
	conf.export = IPC_POLICY_ALL;
	actor_state(a, &conf);
	net_run(t, SEC);
	assert_string_equal(actor_log(a), "request4");
	announce(a, 0, NULL);
	assert_true(there(t, 0));
	assert_int_equal(state_of(t, 1)->flaps, 0);
	done(t, a, b);
}

/* Who does not know ROUTE-REFRESH cannot be asked: only a new session helps. */
static void import_changes_without_refresh(void **state)
{
	struct net *t = actor_net(0, 0);
	struct actor *a = actor_new(t, 1, 0, 0);
	struct ipc_peer conf = actor_conf(a);

	net_policy(t, 0, IN, true, NULL, 0);
	conf.import = IN;
	a->open.caps.refresh = false;
	actor_state(a, &conf);
	actor_dial(a);
	assert_true(a->up);
	net_policy(t, 0, IN, false, NULL, 0);
	net_run(t, SEC);
	assert_false(a->up);
	assert_true(a->notify.code == NOTIFY_CEASE && a->notify.subcode == CEASE_CONFIG_CHANGE);
	actor_dial(a);
	announce(a, 0, NULL);
	assert_false(there(t, 0));
	done(t, a, NULL);
}

static void export_rules(void **state)
{
	struct net *t = actor_net(0, 0);
	struct policy_rule rules[2] = { rule_for(0, POLICY_REJECT), rule_for(1, POLICY_ACCEPT) };
	struct actor *a, *b;

	rules[1].nops = 2;
	rules[1].ops[0] = (struct policy_op){ .kind = POLICY_SET_MED, .value = 77 };
	rules[1].ops[1] = (struct policy_op){ .kind = POLICY_PREPEND, .nasns = 1, .asns = { 65009 } };
	net_policy(t, 0, OUT, true, rules, 2);
	a = joined(t, 1, 0, IPC_POLICY_ALL, IPC_POLICY_ALL);
	b = joined(t, 2, EBGP, IPC_POLICY_ALL, OUT);
	for (int i = 0; i < 3; i++)
		announce(a, i, &(struct attr_change){ .med = ATTR_PUT, .med_value = 5 });
	assert_null(told(b, 0));
	assert_true(told(b, 1) && told(b, 2));
	assert_int_equal(told(b, 1)->attr->med, 77);
	assert_int_equal(told(b, 2)->attr->med, 0); /* another's MED is not passed on to another AS */
	assert_int_equal(told(b, 1)->attr->as_path_len, 2);
	assert_int_equal(told(b, 1)->attr->first_asn, ACTOR_AS); /* we come first all the same */
	assert_true(attr_path_count(told(b, 1)->attr, 65009));
	assert_int_equal(told(b, 2)->attr->as_path_len, 1);
	/* The rules are others: what may not be known any more is withdrawn, what is new is told. */
	rules[0].prefix = route_no(1);
	net_policy(t, 0, OUT, true, rules, 1);
	actor_log(b);
	net_run(t, SEC);
	assert_true(told(b, 0) && told(b, 2) && !told(b, 1));
	const char *log = actor_log(b);
	assert_ptr_equal(strchr(log, '-'), strrchr(log, '-'));
	assert_non_null(strstr(log, "-10.8.144.64/26"));
	assert_int_equal(state_of(t, 1)->flaps + state_of(t, 2)->flaps, 0);
	assert_string_equal(actor_log(a), ""); /* who has another policy hears nothing */
	/* Another number: the same. */
	struct ipc_peer conf = actor_conf(b);
	conf.import = IPC_POLICY_ALL;
	conf.export = IPC_POLICY_DEFAULT;
	actor_state(b, &conf);
	net_run(t, SEC);
	assert_int_equal(b->nheard, 0);
	conf.export = IPC_POLICY_ALL;
	actor_state(b, &conf);
	net_run(t, SEC);
	assert_int_equal(b->nheard, 4);
	assert_int_equal(state_of(t, 2)->flaps, 0);
	done(t, a, b);
}

/* Many changes in a row while the peer hardly reads: the last one counts. */
static void export_changes_in_a_row(void **state)
{
	struct net *t = actor_net(0, 0);
	struct actor *a, *b;

	net_policy(t, 0, OUT, true, NULL, 0);
	a = joined(t, 1, 0, IPC_POLICY_ALL, IPC_POLICY_ALL);
	t->window = 31;
	b = joined(t, 2, EBGP, IPC_POLICY_ALL, OUT);
	for (int i = 0; i < 20; i++)
		announce(a, i, NULL);
	for (int k = 0; k < 40; k++) {
		struct policy_rule rule = rule_for(k % 20, k % 3 ? POLICY_REJECT : POLICY_ACCEPT);
		rule.nops = k % 3 ? 0 : 1;
		rule.ops[0] = (struct policy_op){ .kind = POLICY_SET_MED, .value = (uint32_t)k };
		net_policy(t, 0, OUT, k % 4, &rule, 1);
		net_run(t, (usec_t)prng_below(&t->r, 300));
		if (k % 10)
			continue;
		net_run(t, SEC);
		for (int i = 0; i < 20; i++) {
			bool rejected = i == k % 20 ? k % 3 : !(k % 4);
			assert_int_equal(!!told(b, i), !rejected);
			if (i == k % 20 && k % 3 == 0)
				assert_int_equal(told(b, i)->attr->med, k);
		}
	}
	assert_true(b->up);
	done(t, a, b);
}

/* How much a peer is told, as people see it: what it has told us itself is not among it, and what policy
 * keeps back is not either. */
static void counted(void **state)
{
	struct net *t = actor_net(0, 0);
	struct policy_rule own = { .source = POLICY_SOURCE_OWN, .verdict = POLICY_ACCEPT };
	struct actor *a, *b;

	net_policy(t, 0, OUT, false, &own, 1);
	a = joined(t, 1, EBGP, IPC_POLICY_ALL, OUT);
	b = joined(t, 2, EBGP + 1, IPC_POLICY_ALL, OUT);
	for (int i = 0; i < 10; i++)
		announce(a, i, NULL);
	assert_int_equal(state_of(t, 1)->advertised, 1);
	assert_int_equal(state_of(t, 2)->advertised, 1);
	net_policy(t, 0, OUT, true, NULL, 0);
	assert_int_equal(state_of(t, 1)->advertised, 1);
	assert_int_equal(state_of(t, 2)->advertised, 11);
	announce(b, 3, NULL); /* equally good; a's stays the best, by its router id */
	announce(b, 20, NULL);
	assert_int_equal(state_of(t, 1)->advertised, 2);
	assert_int_equal(state_of(t, 2)->advertised, 11);
	actor_hang_up(a);
	assert_int_equal(state_of(t, 2)->advertised, 1);
	done(t, a, b);
}

/* RFC 1997. */
static void well_known_communities(void **state)
{
	static const struct {
		uint32_t community;
		bool ibgp, ebgp;
	} rows[] = {
		{ ATTR_COMMUNITY_NO_EXPORT, true, false },
		{ ATTR_COMMUNITY_NO_ADVERTISE, false, false },
		{ ATTR_COMMUNITY_NO_EXPORT_SUBCONFED, true, false },
		{ 65000u << 16 | 1, true, true },
	};
	struct net *t = actor_net(0, 0);
	struct actor *a = joined(t, 1, EBGP, IPC_POLICY_ALL, IPC_POLICY_ALL),
		     *b = joined(t, 2, 0, IPC_POLICY_ALL, IPC_POLICY_ALL),
		     *c = joined(t, 3, EBGP + 1, IPC_POLICY_ALL, IPC_POLICY_ALL);

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		announce(a, (int)i,
			 &(struct attr_change){ .communities = &rows[i].community, .ncommunities = 1 });
		assert_true(there(t, (int)i));
		assert_int_equal(!!told(b, (int)i), rows[i].ibgp);
		assert_int_equal(!!told(c, (int)i), rows[i].ebgp);
	}
	/* It is given one of them only later. */
	announce(a, 3, &(struct attr_change){ .communities = &rows[0].community, .ncommunities = 1 });
	assert_true(told(b, 3) && !told(c, 3));
	actor_free(c);
	done(t, a, b);
}

/* RFC 8326: from another AS the community makes a route the last choice; in our own AS it was given that
 * already. */
static void graceful_shutdown(void **state)
{
	static const uint32_t community = ATTR_COMMUNITY_GRACEFUL_SHUTDOWN;
	struct attr_change ch = { .communities = &community, .ncommunities = 1 };
	struct net *t = actor_net(0, 0);
	struct actor *a = joined(t, 1, EBGP, IPC_POLICY_ALL, IPC_POLICY_ALL),
		     *b = joined(t, 2, 0, IPC_POLICY_ALL, IPC_POLICY_ALL);

	announce(a, 0, &ch);
	assert_int_equal(path(t, 0)->local_pref, 0);
	assert_true(told(b, 0) && told(b, 0)->attr->local_pref == 0);
	announce(b, 1, &ch);
	assert_int_equal(path(t, 1)->local_pref, 100);
	done(t, a, b);
}

static void nexthop_modes(void **state)
{
	static const struct {
		bool ebgp;
		uint8_t mode;
		bool keeps;
	} rows[] = {
		{ false, IPC_NEXTHOP_AUTO, true }, { false, IPC_NEXTHOP_SELF, false },
		{ false, IPC_NEXTHOP_KEEP, true }, { true, IPC_NEXTHOP_AUTO, false },
		{ true, IPC_NEXTHOP_SELF, false }, { true, IPC_NEXTHOP_KEEP, true },
	};
	struct addr self = net_addr(0), from = net_addr(1);
	struct prefix own = net_block(0, 0);

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct net *t = actor_net(0, 0);
		struct actor *a = joined(t, 1, EBGP, IPC_POLICY_ALL, IPC_POLICY_ALL),
			     *b = joined(t, 2, rows[i].ebgp ? EBGP + 1 : 0, IPC_POLICY_ALL, IPC_POLICY_ALL);
		struct ipc_peer conf = actor_conf(b);
		announce(a, 0, NULL);
		conf.import = conf.export = IPC_POLICY_ALL;
		conf.nexthop_mode = rows[i].mode;
		actor_state(b, &conf); /* while it is up */
		net_run(t, SEC);
		assert_true(told(b, 0) && addr_eq(&told(b, 0)->nexthop, rows[i].keeps ? &from : &self));
		assert_true(addr_eq(&actor_has(b, &own)->nexthop, &self));
		assert_int_equal(state_of(t, 2)->flaps, 0);
		done(t, a, b);
	}
}

/* RFC 8950: IPv4 routes over an IPv6 next hop go to those who can take them, and to nobody else. */
static void nexthops_of_the_other_family(void **state)
{
	struct net *t = actor_net(0, 0);
	struct actor *a = actor_new(t, 1, 0, EBGP), *b = actor_new(t, 2, 0, 0),
		     *c = joined(t, 3, 0, IPC_POLICY_ALL, IPC_POLICY_ALL);
	struct addr hop;
	struct prefix p = route_no(0);

	for (int i = 0; i < 2; i++) {
		struct actor *x = i ? b : a;
		struct ipc_peer conf = actor_conf(x);
		conf.import = conf.export = IPC_POLICY_ALL;
		conf.ext_nexthop = true;
		x->open.caps.ext_nexthop = CAPS_V4;
		actor_state(x, &conf);
		actor_dial(x);
		assert_true(x->up);
	}
	assert_true(addr_parse("fd00::99", &hop));
	actor_announce(a, &p, 0, NULL, &hop);
	net_run(t, SEC);
	assert_true(addr_eq(&net_need_route(&t->nodes[0], &p)->nexthop[0], &hop));
	assert_true(net_watches(t, 0, &hop));
	assert_true(told(b, 0) && addr_eq(&told(b, 0)->nexthop, &hop));
	assert_null(told(c, 0));
	announce(a, 0, NULL); /* over IPv4 again */
	assert_true(told(b, 0) && told(c, 0));
	actor_announce(a, &p, 0, NULL, &hop);
	net_run(t, SEC);
	assert_null(told(c, 0)); /* what it knew is not true any more */
	actor_free(c);
	done(t, a, b);
}

/* A rule asks for the interface of a next hop, which is known only when the agent has answered. */
static void interfaces(void **state)
{
	struct net *t = actor_net(0, 0);
	struct policy_rule rule = { .interface = "eth*", .verdict = POLICY_REJECT };
	struct addr hop = net_addr(1);
	struct actor *a, *b, *c;

	net_policy(t, 0, OUT, true, &rule, 1);
	a = joined(t, 1, EBGP, IPC_POLICY_ALL, IPC_POLICY_ALL);
	b = joined(t, 2, 0, IPC_POLICY_ALL, OUT);
	c = joined(t, 3, 0, IPC_POLICY_ALL, IPC_POLICY_ALL);
	announce(a, 0, NULL);
	assert_true(told(b, 0) && told(c, 0));
	net_nexthop(t, 0, &hop, true, 0); /* over eth0 */
	net_run(t, SEC);
	assert_null(told(b, 0));
	assert_non_null(told(c, 0));
	actor_free(c);
	done(t, a, b);
}

/* On the way in, too: the peer is asked again when an answer names an interface, once. */
static void interfaces_on_the_way_in(void **state)
{
	struct net *t = actor_net(0, 0);
	struct policy_rule rule = { .interface = "eth*", .verdict = POLICY_ACCEPT };
	struct addr hop = net_addr(1);
	struct actor *a;

	net_policy(t, 0, IN, false, &rule, 1);
	a = joined(t, 1, EBGP, IN, IPC_POLICY_ALL);
	announce(a, 0, NULL);
	assert_false(there(t, 0));
	actor_log(a);
	net_nexthop(t, 0, &hop, true, 0); /* over eth0 */
	net_run(t, 3 * SEC);
	assert_string_equal(actor_log(a), "request4");
	announce(a, 0, NULL);
	assert_true(there(t, 0));
	net_nexthop(t, 0, &hop, true, 5); /* farther, over the same */
	net_run(t, 3 * SEC);
	assert_string_equal(actor_log(a), "");
	assert_int_equal(state_of(t, 1)->flaps, 0);
	done(t, a, NULL);
}

/* Without such a rule the answer changes nothing, and nobody hears anything. */
static void interfaces_that_nobody_asks_for(void **state)
{
	struct net *t = actor_net(0, 0);
	struct addr hop = net_addr(1);
	struct actor *a = joined(t, 1, EBGP, IPC_POLICY_ALL, IPC_POLICY_ALL),
		     *b = joined(t, 2, 0, IPC_POLICY_ALL, IPC_POLICY_ALL);

	announce(a, 0, NULL);
	assert_non_null(told(b, 0));
	actor_log(b);
	net_nexthop(t, 0, &hop, true, 0);
	net_run(t, SEC);
	assert_string_equal(actor_log(b), "");
	done(t, a, b);
}

static void local_as(void **state)
{
	static const uint32_t local[] = { 64999 }, node[] = { ACTOR_AS },
			      node_twice[] = { ACTOR_AS, ACTOR_AS };
	struct net *t = actor_net(0, 0);
	struct actor *a = actor_new(t, 1, 0, EBGP);
	struct ipc_peer conf = actor_conf(a);
	struct prefix own = net_block(0, 0);

	conf.import = conf.export = IPC_POLICY_ALL;
	conf.local_asn = 64999;
	actor_state(a, &conf);
	actor_dial(a);
	assert_true(a->up);
	assert_int_equal(a->theirs.asn, 64999);
	assert_int_equal(actor_has(a, &own)->attr->first_asn, 64999);
	/* Both numbers are ours. */
	announce(a, 0, &(struct attr_change){ .path = local, .npath = 1 });
	announce(a, 1, &(struct attr_change){ .path = node, .npath = 1 });
	announce(a, 2, NULL);
	assert_false(there(t, 0) || there(t, 1));
	assert_true(there(t, 2));
	assert_non_null(strstr(path(t, 0)->why, "our own AS number"));
	/* So often and no more. */
	conf.allow_own_as = 1;
	actor_state(a, &conf);
	net_run(t, SEC);
	assert_non_null(strstr(actor_log(a), "request4"));
	announce(a, 1, &(struct attr_change){ .path = node, .npath = 1 });
	announce(a, 3, &(struct attr_change){ .path = node_twice, .npath = 2 });
	assert_true(there(t, 1));
	assert_false(there(t, 3));
	assert_int_equal(state_of(t, 1)->flaps, 0);
	done(t, a, NULL);
}

/* A new agent that does not state a policy again takes it away; stated again it changes nothing. */
static void agent_restarts(void **state)
{
	struct net *t = actor_net(0, 0);
	struct ipc_msg config = { .type = IPC_CONFIG };
	struct addr id = net_addr(0);
	struct actor *a, *b;

	net_policy(t, 0, IN, true, NULL, 0);
	net_policy(t, 0, OUT, true, NULL, 0);
	a = joined(t, 1, 0, IN, OUT);
	b = joined(t, 2, 0, IPC_POLICY_ALL, OUT);
	announce(a, 0, NULL);
	net_agent(t, 0, false);
	net_run(t, SEC);
	net_agent(t, 0, true);
	config.config = (struct ipc_config){ .asn = ACTOR_AS, .router_id = addr_to_v4(&id), .hold_time = 90 };
	net_say(t, 0, &config);
	net_policy(t, 0, IN, true, NULL, 0);
	struct ipc_peer ca = actor_conf(a), cb = actor_conf(b);
	ca.import = IN;
	ca.export = cb.export = OUT;
	cb.import = IPC_POLICY_ALL;
	actor_state(a, &ca);
	actor_state(b, &cb);
	net_origin(t, 0, 0, true);
	actor_log(a);
	net_stated(t, 0);
	net_run(t, SEC);
	assert_true(there(t, 0));
	assert_string_equal(actor_log(a), "-10.8.0.0/26"); /* OUT is no more, and IN is as it was */
	assert_int_equal(b->nheard, 0);
	assert_int_equal(state_of(t, 1)->flaps + state_of(t, 2)->flaps, 0);
	done(t, a, b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(defaults),
		cmocka_unit_test(not_stated_yet),
		cmocka_unit_test(half_stated),
		cmocka_unit_test(import_rules),
		cmocka_unit_test(import_changes),
		cmocka_unit_test(import_changes_without_refresh),
		cmocka_unit_test(export_rules),
		cmocka_unit_test(export_changes_in_a_row),
		cmocka_unit_test(counted),
		cmocka_unit_test(well_known_communities),
		cmocka_unit_test(graceful_shutdown),
		cmocka_unit_test(nexthop_modes),
		cmocka_unit_test(nexthops_of_the_other_family),
		cmocka_unit_test(interfaces),
		cmocka_unit_test(interfaces_on_the_way_in),
		cmocka_unit_test(interfaces_that_nobody_asks_for),
		cmocka_unit_test(local_as),
		cmocka_unit_test(agent_restarts),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
