/* A peer's configuration, changed while its session is up: what it costs; and what a session must be to come
 * up. */
#include "actor.h"

#include <stdio.h>

enum { EBGP = 65001 };

static struct prefix route_no(int i)
{
	return net_block(9, i);
}

static bool there(struct net *t, int i)
{
	struct prefix p = route_no(i);

	return net_route(&t->nodes[0], &p);
}

static void announce(struct actor *a, int i, const struct attr_change *ch)
{
	struct prefix p = route_no(i);

	actor_announce(a, &p, 0, ch, NULL);
	net_run(a->net, 10 * MSEC);
}

static uint32_t flaps(struct net *t, int peer)
{
	net_run(t, 2 * SEC);
	return t->nodes[0].peers[peer].flaps;
}

static void done(struct net *t, struct actor *a, struct actor *b)
{
	actor_free(a);
	if (b)
		actor_free(b);
	net_free(t);
}

/* --- every field --- */

static const struct field {
	const char *name;
	size_t at, size;
	uint32_t value;
	bool resets;
} fields[] = {
#define FIELD(name, value, resets)                                                                          \
	{                                                                                                   \
#name, offsetof(struct ipc_peer, name), sizeof(((struct ipc_peer *)0)->name), value, resets \
	}
	FIELD(port, 1179, false),
	FIELD(remote_asn, EBGP + 7, true),
	FIELD(local_asn, 64777, true),
	FIELD(passive, false, false),
	FIELD(families, IPC_FAMILY_V4 | IPC_FAMILY_V6, true),
	FIELD(client, true, true),
	FIELD(hold_time, 30, true),
	FIELD(keepalive_time, 7, false),
	FIELD(own_restart_time, true, false),
	FIELD(restart_time, 77, false),
	FIELD(import, IPC_POLICY_DEFAULT, false),
	FIELD(export, IPC_POLICY_DEFAULT, false),
	FIELD(max_prefixes, 1000, false),
	FIELD(allow_own_as, 1, false),
	FIELD(nexthop_mode, IPC_NEXTHOP_SELF, false),
	FIELD(role, IPC_ROLE_PEER, true),
	FIELD(role_strict, true, true),
	FIELD(add_path_recv, IPC_FAMILY_V4, true),
	FIELD(add_path_send, IPC_FAMILY_V4, true),
	FIELD(ext_nexthop, true, true),
	FIELD(ext_message, true, true),
	FIELD(ttl, 3, true),
	FIELD(ttl_security, 2, true),
	FIELD(shutdown, true, true),
	FIELD(text, 'x', false),
	FIELD(password, 'x', true),
	FIELD(name, 'x', false),
#undef FIELD
};

static void change(struct ipc_peer *p, const struct field *f)
{
	memcpy((char *)p + f->at, &f->value, MIN(f->size, sizeof(f->value)));
}

static void every_field(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
		const struct field *f = &fields[i];
		struct net *t = actor_net(0, 0);
		struct actor *a = actor_up(t, 1, EBGP), *b = actor_up(t, 2, 0);
		struct ipc_peer conf = actor_conf(a);
		conf.import = conf.export = IPC_POLICY_ALL;
		announce(a, 0, NULL);
		actor_state(a, &conf); /* as it is: nothing */
		assert_int_equal(flaps(t, 1), 0);
		actor_log(a);
		change(&conf, f);
		actor_state(a, &conf);
		if (flaps(t, 1) != f->resets)
			fail_msg("%s: %u flaps", f->name, t->nodes[0].peers[1].flaps);
		assert_int_equal(a->up, !f->resets);
		if (f->resets)
			assert_true(a->notify.code == NOTIFY_CEASE &&
				    a->notify.subcode == (strcmp(f->name, "shutdown") ? CEASE_CONFIG_CHANGE
										      : CEASE_SHUTDOWN));
		assert_int_equal(flaps(t, 2), 0);
		assert_true(b->up);
		done(t, a, b);
	}
}

/* The local address, which is no number. */
static void local_address(void **state)
{
	struct net *t = actor_net(0, 0);
	struct actor *a = actor_up(t, 1, 0), *b = actor_up(t, 2, 0);
	struct ipc_peer conf = actor_conf(a);

	conf.import = conf.export = IPC_POLICY_ALL;
	conf.local = net_addr(7);
	actor_state(a, &conf);
	assert_int_equal(flaps(t, 1), 1);
	assert_int_equal(flaps(t, 2), 0);
	done(t, a, b);
}

/* Of the node: times are for the next session, all else is for all sessions. */
static void node_configuration(void **state)
{
	const struct ipc_config base = { .asn = ACTOR_AS, .router_id = 0xac104301, .hold_time = 90 };
	struct ipc_config rows[] = { base, base, base, base };

	rows[1].hold_time = 30;
	rows[1].restart_time = 100;
	rows[2].router_id++;
	rows[3].cluster_id = 9;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct net *t = actor_net(0, 0);
		struct actor *a = actor_up(t, 1, EBGP);
		struct ipc_msg m = { .type = IPC_CONFIG, .config = rows[i] };
		net_say(t, 0, &m);
		assert_int_equal(flaps(t, 1), i > 1);
		done(t, a, NULL);
	}
}

/* --- ends and new beginnings --- */

static void shutdown_and_back(void **state)
{
	struct net *t = actor_net(0, 0);
	struct actor *a = actor_up(t, 1, 0);
	struct ipc_peer conf = actor_conf(a);
	char text[NOTIFY_STR_MAX];

	announce(a, 0, NULL);
	conf.shutdown = true;
	strcpy(conf.text, "a new switch");
	actor_state(a, &conf);
	assert_int_equal(flaps(t, 1), 1);
	assert_string_equal(notify_format(&a->notify, text), "Cease/Administrative Shutdown: a new switch");
	assert_string_equal(t->nodes[0].peers[1].reason, "shut down by the administrator: a new switch");
	assert_false(there(t, 0));
	actor_dial(a); /* not even TCP */
	assert_false(a->up);
	assert_int_equal(a->conn, 0);
	strcpy(conf.text, "still");
	actor_state(a, &conf);
	net_run(t, SEC);
	assert_string_equal(t->nodes[0].peers[1].reason, "shut down by the administrator: still");
	/* Another agent says the same: it stays so. */
	net_agent(t, 0, false);
	net_agent(t, 0, true);
	actor_state(a, &conf);
	net_run(t, SEC);
	actor_dial(a);
	assert_false(a->up);
	conf.shutdown = false;
	actor_state(a, &conf);
	net_run(t, SEC);
	actor_dial(a);
	assert_true(a->up);
	assert_int_equal(flaps(t, 1), 1);
	done(t, a, NULL);
}

static void stated_as_shut_down(void **state)
{
	struct net *t = actor_net(0, 0);
	struct actor *a = actor_new(t, 1, 0, 0);
	struct ipc_peer conf = actor_conf(a);

	conf.shutdown = true;
	conf.passive = false;
	actor_state(a, &conf);
	net_run(t, 20 * SEC);
	assert_string_equal(t->nodes[0].peers[1].reason, "shut down by the administrator");
	actor_dial(a);
	assert_false(a->up);
	size_t dials = t->dials;
	net_run(t, 60 * SEC);
	assert_int_equal(t->dials, dials);
	done(t, a, NULL);
}

static void reset_by_the_agent(void **state)
{
	struct net *t = actor_net(0, 0);
	struct actor *a = actor_up(t, 1, 0), *b = actor_up(t, 2, 0);
	struct ipc_msg m = { .type = IPC_RESET, .reset = { net_addr(1), "once more" } };
	char text[NOTIFY_STR_MAX];

	net_say(t, 0, &m);
	assert_int_equal(flaps(t, 1), 1);
	assert_string_equal(notify_format(&a->notify, text), "Cease/Administrative Reset: once more");
	assert_string_equal(t->nodes[0].peers[1].reason, "reset by the administrator: once more");
	actor_dial(a);
	assert_true(a->up);
	assert_int_equal(flaps(t, 2), 0);
	m.reset.remote = net_addr(9); /* nobody */
	net_say(t, 0, &m);
	assert_int_equal(flaps(t, 1) + flaps(t, 2), 1);
	done(t, a, b);
}

static void max_prefixes(void **state)
{
	static const uint8_t expected[] = { 0, 1, 1, 0, 0, 0, 3 };
	struct net *t = actor_net(0, 0);
	struct actor *a = actor_up(t, 1, 0), *b = actor_up(t, 2, 0);
	struct ipc_peer conf = actor_conf(a);

	conf.export = IPC_POLICY_ALL;
	conf.import = IPC_POLICY_ALL;
	conf.max_prefixes = 3;
	actor_state(a, &conf);
	for (int k = 0; k < 2; k++)
		for (int i = 0; i < 3; i++)
			announce(a, i, NULL); /* the same again is not more */
	assert_int_equal(flaps(t, 1), 0);
	announce(a, 3, NULL);
	assert_int_equal(flaps(t, 1), 1);
	assert_true(a->notify.code == NOTIFY_CEASE && a->notify.subcode == CEASE_MAX_PREFIXES);
	assert_int_equal(a->notify.len, sizeof(expected));
	assert_memory_equal(a->notify.data, expected, sizeof(expected));
	assert_false(there(t, 0));
	/* Lowered while up; what policy refuses counts, too: it is held. */
	net_run(t, 60 * SEC);
	conf.max_prefixes = 10;
	actor_state(a, &conf);
	actor_dial(a);
	assert_true(a->up);
	conf.import = 999;
	actor_state(a, &conf);
	for (int i = 0; i < 4; i++)
		announce(a, i, NULL);
	assert_int_equal(flaps(t, 1), 1);
	conf.max_prefixes = 4;
	actor_state(a, &conf);
	assert_int_equal(flaps(t, 1), 1);
	conf.max_prefixes = 3;
	actor_state(a, &conf);
	assert_int_equal(flaps(t, 1), 2);
	/* Refused for a while: it would say the same again. */
	actor_dial(a);
	assert_true(b->up);
	assert_int_equal(flaps(t, 2), 0);
	done(t, a, b);
}

/* Two things change at once and the first of them ends the session. */
static void several_at_once(void **state)
{
	struct net *t = actor_net(0, 0);
	struct actor *a = actor_up(t, 1, 0);
	struct ipc_peer conf = actor_conf(a);

	for (int i = 0; i < 4; i++)
		announce(a, i, NULL);
	conf.max_prefixes = 2;
	conf.import = IPC_POLICY_DEFAULT;
	conf.nexthop_mode = IPC_NEXTHOP_SELF;
	actor_state(a, &conf);
	assert_int_equal(flaps(t, 1), 1);
	assert_false(there(t, 0));
	done(t, a, NULL);
}

/* --- times --- */

static void hold_time(void **state)
{
	static const struct {
		uint16_t ours, theirs, agreed;
	} rows[] = { { 90, 30, 30 }, { 30, 90, 30 }, { 9, 0, 0 } };

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct net *t = actor_net(0, 0);
		struct actor *a = actor_new(t, 1, 0, 0);
		struct ipc_peer conf = actor_conf(a);
		conf.hold_time = rows[i].ours;
		a->open.hold_time = rows[i].theirs;
		actor_state(a, &conf);
		actor_dial(a);
		assert_true(a->up);
		assert_int_equal(a->theirs.hold_time, rows[i].ours);
		assert_int_equal(t->nodes[0].peers[1].hold_time, rows[i].agreed);
		unsigned before = a->keepalives;
		net_run(t, 100 * SEC);
		if (rows[i].agreed)
			assert_in_range(a->keepalives - before, 10, 14);
		else
			assert_int_equal(a->keepalives, before);
		a->silent = true;
		net_run(t, (rows[i].agreed + 1) * SEC);
		assert_int_equal(a->up, !rows[i].agreed);
		if (!rows[i].agreed) {
			net_run(t, 86400 * SEC);
			assert_true(a->up);
		}
		done(t, a, NULL);
	}
}

/* Changed while up, from the next keepalive on; it never exceeds what the hold time allows. */
static void keepalive_time(void **state)
{
	struct net *t = actor_net(0, 0);
	struct actor *a = actor_up(t, 1, 0);
	struct ipc_peer conf = actor_conf(a);
	unsigned before;

	conf.import = conf.export = IPC_POLICY_ALL;
	conf.keepalive_time = 2;
	actor_state(a, &conf);
	net_run(t, 30 * SEC);
	before = a->keepalives;
	net_run(t, 100 * SEC);
	assert_in_range(a->keepalives - before, 50, 68);
	conf.keepalive_time = 3600;
	actor_state(a, &conf);
	net_run(t, 10 * SEC);
	before = a->keepalives;
	net_run(t, 900 * SEC);
	assert_in_range(a->keepalives - before, 10, 15);
	assert_int_equal(flaps(t, 1), 0);
	done(t, a, NULL);
}

/* --- keys --- */

static void keys(void **state)
{
	struct net *t = actor_net(0, 0);
	struct actor *a = actor_new(t, 1, 0, 0), *b = actor_up(t, 2, 0);
	struct ipc_peer conf = actor_conf(a);
	struct addr remote = net_addr(1);
	struct net_node *n = &t->nodes[0];

	assert_int_equal(n->keys, 0); /* b has none */
	strcpy(conf.password, "one");
	actor_state(a, &conf);
	assert_int_equal(n->keys, 1);
	assert_string_equal(n->key, "one");
	assert_true(addr_eq(&n->key_of, &remote));
	actor_state(a, &conf);
	assert_int_equal(n->keys, 1);
	strcpy(conf.password, "two");
	actor_state(a, &conf);
	assert_int_equal(n->keys, 2);
	assert_string_equal(n->key, "two");
	conf.password[0] = '\0';
	actor_state(a, &conf);
	assert_int_equal(n->keys, 3);
	assert_string_equal(n->key, "");
	memset(conf.password, 0, sizeof(conf.password));
	strcpy(conf.password, "three");
	actor_state(a, &conf);
	net_peer_gone(t, 0, 1);
	assert_int_equal(n->keys, 5);
	assert_string_equal(n->key, "");
	assert_int_equal(flaps(t, 2), 0);
	done(t, a, b);
}

/* --- roles (RFC 9234) --- */

static uint8_t counterpart(uint8_t role)
{
	static const uint8_t of[] = { IPC_ROLE_NONE, IPC_ROLE_CUSTOMER, IPC_ROLE_RS_CLIENT,
				      IPC_ROLE_RS,   IPC_ROLE_PROVIDER, IPC_ROLE_PEER };

	return of[role];
}

/* A peer of another AS; roles as ipc_peer has them, 0 = none. */
static struct actor *with_roles(struct net *t, int number, uint8_t ours, uint8_t theirs, bool strict)
{
	struct actor *a = actor_new(t, number, 0, EBGP + (uint32_t)number);
	struct ipc_peer conf = actor_conf(a);

	conf.import = conf.export = IPC_POLICY_ALL;
	conf.role = ours;
	conf.role_strict = strict;
	a->open.caps.role = theirs ? (uint8_t)(theirs - 1) : CAPS_ROLE_NONE;
	actor_state(a, &conf);
	actor_dial(a);
	return a;
}

static void every_pair_of_roles(void **state)
{
	for (uint8_t ours = 0; ours <= IPC_ROLE_PEER; ours++) {
		for (uint8_t theirs = 0; theirs <= IPC_ROLE_PEER; theirs++) {
			for (int strict = 0; strict < 2; strict++) {
				struct net *t = actor_net(0, 0);
				struct actor *a = with_roles(t, 1, ours, theirs, strict);
				bool fits = !ours || (theirs ? theirs == counterpart(ours) : !strict);
				assert_int_equal(a->up, fits);
				if (!fits)
					assert_true(a->notify.code == NOTIFY_OPEN &&
						    a->notify.subcode == OPEN_ROLE_MISMATCH);
				assert_int_equal(!!(t->nodes[0].peers[1].agreed & IPC_AGREED_ROLE),
						 fits && ours && theirs);
				if (fits)
					assert_int_equal(a->theirs.caps.role,
							 ours ? ours - 1 : CAPS_ROLE_NONE);
				done(t, a, NULL);
			}
		}
	}
}

/* Within one AS a role means nothing. */
static void no_role_within_an_as(void **state)
{
	struct net *t = actor_net(0, 0);
	struct actor *a = actor_new(t, 1, 0, 0);
	struct ipc_peer conf = actor_conf(a);

	conf.role = IPC_ROLE_PROVIDER;
	conf.role_strict = true;
	actor_state(a, &conf);
	actor_dial(a);
	assert_true(a->up);
	assert_int_equal(a->theirs.caps.role, CAPS_ROLE_NONE);
	announce(a, 0, &(struct attr_change){ .otc = 5 });
	assert_true(there(t, 0));
	done(t, a, NULL);
}

/* RFC 9234 5, what comes: for each of our roles without OTC, with the peer's own number, with another's. */
static void only_to_customers_in(void **state)
{
	for (uint8_t ours = 0; ours <= IPC_ROLE_PEER; ours++) {
		struct net *t = actor_net(0, 0);
		struct actor *a = with_roles(t, 1, ours, counterpart(ours), false), *b = actor_up(t, 2, 0);
		bool below = ours == IPC_ROLE_PROVIDER || ours == IPC_ROLE_RS,
		     from_above =
			     ours == IPC_ROLE_CUSTOMER || ours == IPC_ROLE_RS_CLIENT || ours == IPC_ROLE_PEER;
		struct prefix p[3] = { route_no(0), route_no(1), route_no(2) };
		announce(a, 0, NULL);
		announce(a, 1, &(struct attr_change){ .otc = EBGP + 1 });
		announce(a, 2, &(struct attr_change){ .otc = 77 });
		assert_true(there(t, 0));
		assert_int_equal(there(t, 1), !below);
		assert_int_equal(there(t, 2), !below && ours != IPC_ROLE_PEER);
		/* What is marked on the way is seen within our AS, where marks stay as they are. */
		assert_true(actor_has(b, &p[0]));
		assert_int_equal(actor_has(b, &p[0])->attr->otc, from_above ? EBGP + 1 : 0);
		if (there(t, 1))
			assert_int_equal(actor_has(b, &p[1])->attr->otc, EBGP + 1);
		if (there(t, 2))
			assert_int_equal(actor_has(b, &p[2])->attr->otc, 77);
		if (!there(t, 2)) {
			assert_int_equal(net_dump(t, 0, &p[2]), 1);
			assert_non_null(strstr(t->nodes[0].paths[0].why, "leaked"));
		}
		done(t, a, b);
	}
}

/* ... and what goes. */
static void only_to_customers_out(void **state)
{
	for (uint8_t ours = 0; ours <= IPC_ROLE_PEER; ours++) {
		struct net *t = actor_net(0, 0);
		struct actor *a = with_roles(t, 1, ours, counterpart(ours), false), *b = actor_up(t, 2, 0);
		bool up_or_beside =
			ours == IPC_ROLE_CUSTOMER || ours == IPC_ROLE_RS_CLIENT || ours == IPC_ROLE_PEER;
		bool marks = ours == IPC_ROLE_PROVIDER || ours == IPC_ROLE_RS || ours == IPC_ROLE_PEER;
		struct prefix plain = route_no(0), marked = route_no(1);
		announce(b, 0, NULL);
		announce(b, 1, &(struct attr_change){ .otc = 77 });
		assert_true(actor_has(a, &plain));
		assert_int_equal(actor_has(a, &plain)->attr->otc, marks ? ACTOR_AS : 0);
		assert_int_equal(!!actor_has(a, &marked), !up_or_beside);
		if (!up_or_beside)
			assert_int_equal(actor_has(a, &marked)->attr->otc, 77);
		done(t, a, b);
	}
}

/* --- extended messages (RFC 8654) --- */

enum { MANY = 15000 }; /* communities: 60 KB */

static struct attr_change long_change(uint32_t *communities)
{
	for (uint32_t i = 0; i < MANY; i++)
		communities[i] = 65000u << 16 | i;
	return (struct attr_change){ .communities = communities, .ncommunities = MANY };
}

/* ours, theirs: who offers it. */
static struct actor *extended(struct net *t, int number, bool ours, bool theirs)
{
	struct actor *a = actor_new(t, number, 0, 0);
	struct ipc_peer conf = actor_conf(a);

	conf.ext_message = ours;
	a->open.caps.ext_message = theirs;
	conf.client = true;
	actor_state(a, &conf);
	actor_dial(a);
	assert_true(a->up);
	return a;
}

static void extended_messages(void **state)
{
	static uint32_t communities[MANY];
	struct attr_change ch = long_change(communities);

	for (int offered = 0; offered < 4; offered++) {
		struct net *t = actor_net(0, 0);
		struct actor *a = extended(t, 1, offered & 1, offered & 2), *b;
		b = actor_up(t, 2, 0);
		a->codec.max = MSG_MAX_EXT; /* it says it anyway */
		announce(a, 0, &ch);
		net_run(t, SEC);
		assert_int_equal(a->up, offered == 3);
		assert_int_equal(there(t, 0), offered == 3);
		if (offered != 3)
			assert_true(a->notify.code == NOTIFY_HEADER &&
				    a->notify.subcode == HEADER_BAD_LENGTH);
		assert_int_equal(flaps(t, 2), 0);
		done(t, a, b);
	}
}

/* A route that fits into no message of a peer is not told to it, and withdrawn if it knew a shorter one. */
static void too_long_for_some(void **state)
{
	static uint32_t communities[MANY];
	struct attr_change ch = long_change(communities);
	struct net *t = actor_net(0, 77);
	struct actor *a = extended(t, 1, true, true), *b = extended(t, 2, true, true),
		     *c = extended(t, 3, true, false);
	struct prefix p = route_no(0), other = route_no(1);

	announce(a, 0, NULL);
	announce(a, 1, NULL);
	assert_true(actor_has(b, &p) && actor_has(c, &p));
	announce(a, 0, &ch);
	net_run(t, SEC);
	assert_true(actor_has(b, &p));
	assert_int_equal(actor_has(b, &p)->attr->len > 60000, true);
	assert_null(actor_has(c, &p));
	assert_true(actor_has(c, &other));
	announce(a, 0, NULL);
	assert_true(actor_has(c, &p));
	assert_true(a->up && b->up && c->up);
	actor_free(c);
	done(t, a, b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_field),
		cmocka_unit_test(local_address),
		cmocka_unit_test(node_configuration),
		cmocka_unit_test(shutdown_and_back),
		cmocka_unit_test(stated_as_shut_down),
		cmocka_unit_test(reset_by_the_agent),
		cmocka_unit_test(max_prefixes),
		cmocka_unit_test(several_at_once),
		cmocka_unit_test(hold_time),
		cmocka_unit_test(keepalive_time),
		cmocka_unit_test(keys),
		cmocka_unit_test(every_pair_of_roles),
		cmocka_unit_test(no_role_within_an_as),
		cmocka_unit_test(only_to_customers_in),
		cmocka_unit_test(only_to_customers_out),
		cmocka_unit_test(extended_messages),
		cmocka_unit_test(too_long_for_some),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
