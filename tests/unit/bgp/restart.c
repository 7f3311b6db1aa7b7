/*
 * Restarts of a peer (RFC 4724, RFC 8538), seen by its helper, and how long its routes outlive it (RFC 9494);
 * and the restarting side.
 */
#include "actor.h"

#include <stdio.h>

enum { TIME = 60, EBGP = 65001 }; /* seconds the peer asks for */

static struct prefix route_no(int i)
{
	return net_block(5, i);
}

static bool there(struct net *t, int i)
{
	struct prefix p = route_no(i);

	return net_route(&t->nodes[0], &p);
}

static uint32_t stale(struct net *t, int peer)
{
	net_run(t, 2 * SEC); /* counters are told once a second */
	return t->nodes[0].peers[peer].stale;
}

static void offer_restart(struct actor *a, bool notification)
{
	a->open.caps.gr = true;
	a->open.caps.gr_notification = notification;
	a->open.caps.gr_time = TIME;
	a->open.caps.gr_families = a->open.caps.gr_forwarding = a->open.caps.families;
}

/* The session is new; two routes, and the end of them. */
static void tell_two(struct actor *a)
{
	for (int i = 0; i < 2; i++) {
		struct prefix p = route_no(i);
		actor_announce(a, &p, 0, NULL, NULL);
	}
	actor_eor(a, AF_INET);
	net_run(a->net, SEC);
	assert_true(there(a->net, 0) && there(a->net, 1));
}

static struct actor *helped(struct net *t, bool restart, bool notification)
{
	struct actor *a = actor_new(t, 1, 0, 0);
	struct ipc_peer conf = actor_conf(a);

	if (restart)
		offer_restart(a, notification);
	actor_state(a, &conf);
	actor_dial(a);
	assert_true(a->up);
	tell_two(a);
	return a;
}

static void done(struct net *t, struct actor *a)
{
	actor_free(a);
	net_free(t);
}

/* TCP ends: kept if both sides speak of graceful restart, else gone. */
static void tcp_is_lost(void **state)
{
	for (int ours = 0; ours < 2; ours++) {
		for (int theirs = 0; theirs < 2; theirs++) {
			struct net *t = actor_net(ours ? 120 : 0, 0);
			struct actor *a = helped(t, theirs, false);
			actor_hang_up(a);
			net_run(t, SEC);
			assert_int_equal(there(t, 0), ours && theirs);
			assert_int_equal(t->nodes[0].peers[1].state == IPC_ESTABLISHED, 0);
			assert_int_equal(stale(t, 1), ours && theirs ? 2 : 0);
			done(t, a);
		}
	}
}

/* As long as the peer has asked for, and not longer. */
static void time_runs_out(void **state)
{
	struct net *t = actor_net(120, 0);
	struct actor *a = helped(t, true, true);

	actor_hang_up(a);
	net_run(t, TIME * SEC - SEC);
	assert_true(there(t, 0) && there(t, 1));
	net_run(t, 2 * SEC);
	assert_false(there(t, 0) || there(t, 1));
	assert_int_equal(stale(t, 1), 0);
	done(t, a);
}

/* RFC 8538: the peer says a NOTIFICATION. */
static void notification_received(void **state)
{
	const struct {
		uint8_t code, subcode;
		bool keeps; /* if both know how */
	} rows[] = {
		{ NOTIFY_CEASE, CEASE_SHUTDOWN, true },
		{ NOTIFY_CEASE, CEASE_RESET, true },
		{ NOTIFY_HOLD_TIMER, 0, true },
		{ NOTIFY_UPDATE, UPDATE_MALFORMED_LIST, true },
		{ NOTIFY_CEASE, CEASE_HARD_RESET, false },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		for (int knows = 0; knows < 2; knows++) {
			struct net *t = actor_net(120, 0);
			struct actor *a = helped(t, true, knows);
			actor_notify(a, rows[i].code, rows[i].subcode);
			net_run(t, SEC);
			assert_int_equal(there(t, 0), knows && rows[i].keeps);
			done(t, a);
		}
	}
}

/* ... and we say one: the peer has fallen silent. */
static void hold_timer_expires(void **state)
{
	for (int knows = 0; knows < 2; knows++) {
		struct net *t = actor_net(120, 0);
		struct actor *a = helped(t, true, knows);
		a->silent = true;
		actor_log(a);
		net_run(t, 91 * SEC);
		assert_string_equal(actor_log(a), "notify 4/0 closed");
		assert_int_equal(there(t, 0), knows);
		assert_int_equal(stale(t, 1), knows ? 2 : 0);
		done(t, a);
	}
}

static void refuse_it(struct actor *a, const struct ipc_peer *conf, int how)
{
	struct ipc_peer p = *conf;
	struct prefix third = route_no(2);

	if (how == 0) {
		net_peer_gone(a->net, 0, a->number);
		return;
	}
	p.shutdown = how == 1;
	p.max_prefixes = how == 2 ? 2 : 0;
	actor_state(a, &p);
	if (how == 2)
		actor_announce(a, &third, 0, NULL, NULL);
}

/* What is meant for good does not leave routes behind, and says so: Hard Reset with what it stands for. */
static void hard_resets(void **state)
{
	static const uint8_t subcodes[] = { CEASE_DECONFIGURED, CEASE_SHUTDOWN, CEASE_MAX_PREFIXES };

	for (int how = 0; how < 3; how++) {
		for (int knows = 0; knows < 2; knows++) {
			struct net *t = actor_net(120, 0);
			struct actor *a = helped(t, true, knows);
			struct ipc_peer conf = actor_conf(a);
			refuse_it(a, &conf, how);
			net_run(t, 100 * MSEC);
			assert_int_equal(a->notify.code, NOTIFY_CEASE);
			assert_int_equal(a->notify.subcode, knows ? CEASE_HARD_RESET : subcodes[how]);
			if (knows) {
				assert_true(a->notify.len >= 2);
				assert_int_equal(a->notify.data[0], NOTIFY_CEASE);
				assert_int_equal(a->notify.data[1], subcodes[how]);
			}
			assert_false(there(t, 0) || there(t, 1));
			done(t, a);
		}
	}
}

/* Another change of configuration lets routes stay while the session is made anew. */
static void soft_resets(void **state)
{
	struct net *t = actor_net(120, 0);
	struct actor *a = helped(t, true, true);
	struct ipc_peer conf = actor_conf(a);

	conf.hold_time = 30;
	actor_state(a, &conf);
	net_run(t, 100 * MSEC);
	assert_int_equal(a->notify.subcode, CEASE_CONFIG_CHANGE);
	assert_true(there(t, 0) && there(t, 1));
	actor_dial(a);
	assert_true(a->up);
	assert_true(there(t, 0) && there(t, 1));
	tell_two(a);
	assert_int_equal(stale(t, 1), 0);
	done(t, a);
}

/* It is shut down or taken away while only its stale routes are there: they have no owner any more. */
static void refused_while_away(void **state)
{
	for (int how = 0; how < 2; how++) {
		struct net *t = actor_net(120, 0);
		struct actor *a = helped(t, true, true);
		struct ipc_peer conf = actor_conf(a);
		actor_hang_up(a);
		net_run(t, SEC);
		assert_true(there(t, 0));
		refuse_it(a, &conf, how);
		net_run(t, SEC);
		assert_false(there(t, 0) || there(t, 1));
		done(t, a);
	}
}

/* Back with its forwarding state: what it repeats stays, the rest goes with End-of-RIB. */
static void comes_back(void **state)
{
	struct net *t = actor_net(120, 0);
	struct actor *a = helped(t, true, true);
	struct prefix first = route_no(0);

	actor_hang_up(a);
	net_run(t, 5 * SEC);
	a->open.caps.gr_restarting = true;
	actor_dial(a);
	assert_true(a->up && there(t, 0) && there(t, 1));
	actor_announce(a, &first, 0, NULL, NULL);
	net_run(t, SEC);
	assert_true(there(t, 0) && there(t, 1));
	assert_int_equal(stale(t, 1), 1);
	actor_eor(a, AF_INET);
	net_run(t, SEC);
	assert_true(there(t, 0) && there(t, 1)); /* its End-of-RIB may be ahead of its routes */
	net_run(t, 2 * SEC);
	assert_true(there(t, 0));
	assert_false(there(t, 1));
	net_run(t, 300 * SEC);
	assert_true(there(t, 0));
	done(t, a);
}

/* Back, but its forwarding state is lost, or it does not speak of restarting any more. */
static void comes_back_empty(void **state)
{
	for (int how = 0; how < 3; how++) {
		struct net *t = actor_net(120, 0);
		struct actor *a = helped(t, true, true);
		actor_hang_up(a);
		net_run(t, 5 * SEC);
		if (how == 0)
			a->open.caps.gr_forwarding = 0;
		else if (how == 1)
			a->open.caps.gr_families = a->open.caps.gr_forwarding = 0;
		else
			a->open.caps.gr = false;
		actor_dial(a);
		assert_true(a->up);
		assert_false(there(t, 0) || there(t, 1));
		done(t, a);
	}
}

/* Back, but it never says that it is done. */
static void never_ends(void **state)
{
	struct net *t = actor_net(120, 0);
	struct actor *a = helped(t, true, true);

	actor_hang_up(a);
	net_run(t, 5 * SEC);
	actor_dial(a);
	net_run(t, 115 * SEC);
	assert_true(a->up && there(t, 0));
	net_run(t, 10 * SEC);
	assert_true(a->up);
	assert_false(there(t, 0));
	done(t, a);
}

/* A family that the new session does not have: nobody will speak of its routes any more. */
static void comes_back_without_a_family(void **state)
{
	struct net *t = actor_net(120, 0);
	struct actor *a = actor_new(t, 1, 0, 0);
	struct ipc_peer conf = actor_conf(a);
	struct prefix wide;

	assert_true(prefix_parse("fd10:1::/64", &wide));
	a->open.caps.families = CAPS_V4 | CAPS_V6;
	offer_restart(a, true);
	conf.families = IPC_FAMILY_V4 | IPC_FAMILY_V6;
	actor_state(a, &conf);
	actor_dial(a);
	actor_announce(a, &wide, 0, NULL, NULL);
	actor_eor(a, AF_INET6);
	tell_two(a);
	assert_non_null(net_route(&t->nodes[0], &wide));
	conf.families = IPC_FAMILY_V4;
	actor_state(a, &conf);
	net_run(t, SEC);
	assert_non_null(net_route(&t->nodes[0], &wide));
	actor_dial(a); /* it would still like to speak of both */
	assert_true(a->up);
	tell_two(a);
	assert_null(net_route(&t->nodes[0], &wide));
	done(t, a);
}

/* Two restarts in a row: the routes of before the first one stay over the second, but not for ever. */
static void twice_in_a_row(void **state)
{
	struct net *t = actor_net(120, 0);
	struct actor *a = helped(t, true, true);

	actor_hang_up(a);
	net_run(t, 40 * SEC);
	actor_dial(a);
	assert_true(a->up);
	actor_hang_up(a);
	net_run(t, 50 * SEC);
	assert_true(there(t, 0) && there(t, 1));
	actor_dial(a);
	tell_two(a);
	assert_int_equal(stale(t, 1), 0);
	/* All is told: the count begins anew. */
	actor_hang_up(a);
	net_run(t, TIME * SEC - SEC);
	assert_true(there(t, 0));
	for (int i = 0; i < 5; i++) { /* three times TIME are not exceeded, however often it comes and goes */
		actor_dial(a);
		actor_hang_up(a);
		net_run(t, 40 * SEC);
	}
	assert_false(there(t, 0) || there(t, 1));
	done(t, a);
}

/* It restarts while it is telling everything again (RFC 7313). */
static void in_the_middle_of_a_refresh(void **state)
{
	struct net *t = actor_net(120, 0);
	struct actor *a = actor_new(t, 1, 0, 0);
	struct ipc_peer conf = actor_conf(a);

	offer_restart(a, true);
	a->open.caps.enhanced_refresh = true;
	actor_state(a, &conf);
	actor_dial(a);
	tell_two(a);
	net_run(t, 1000 * SEC);
	actor_refresh(a, CAPS_V4, MSG_REFRESH_BEGIN);
	net_run(t, SEC);
	actor_hang_up(a);
	net_run(t, 30 * SEC);
	assert_true(there(t, 0) && there(t, 1));
	actor_dial(a);
	tell_two(a);
	net_run(t, 300 * SEC); /* the refresh that was cut off is forgotten */
	assert_true(there(t, 0) && there(t, 1));
	done(t, a);
}

/* --- long-lived (RFC 9494) --- */

static void offer_llgr(struct actor *a, uint32_t seconds)
{
	offer_restart(a, true);
	a->open.caps.llgr = true;
	a->open.caps.llgr_families = a->open.caps.llgr_forwarding = a->open.caps.families;
	a->open.caps.llgr_time[0] = a->open.caps.llgr_time[1] = seconds;
}

static bool is_marked(const struct actor *a, int i)
{
	struct prefix p = route_no(i);
	const struct actor_heard *h = actor_has(a, &p);

	return h && h->attr->flags & ATTR_LLGR_STALE;
}

/* The helper's rules, told to all kinds of peers; actors: 1 restarts, 2 and 3 eBGP without and with LLGR, 4
 * and 5 iBGP clients without and with it. */
static void long_lived(void **state)
{
	static const uint32_t no_llgr = ATTR_COMMUNITY_NO_LLGR;
	struct net *t = actor_net(120, 77);
	struct actor *all[6];
	struct prefix p = route_no(0), refuses = route_no(2);
	const struct actor_heard *h;

	for (int i = 1; i < 6; i++) {
		struct actor *a = all[i] = actor_new(t, i, 0, i == 2 || i == 3 ? EBGP + (uint32_t)i : 0);
		struct ipc_peer conf = actor_conf(a);
		conf.client = i > 3;
		conf.import = conf.export = IPC_POLICY_ALL;
		if (i == 1)
			offer_llgr(a, 1000);
		else
			a->open.caps.llgr = i == 3 || i == 5;
		if (i == 3 || i == 5) { /* RFC 9494 4: LLGR goes with graceful restart */
			a->open.caps.gr = true;
			a->open.caps.gr_time = 0;
		}
		actor_state(a, &conf);
		actor_dial(a);
		assert_true(a->up);
	}
	tell_two(all[1]);
	actor_announce(all[1], &refuses, 0,
		       &(struct attr_change){ .communities = &no_llgr, .ncommunities = 1 }, NULL);
	net_run(t, SEC);
	for (int i = 2; i < 6; i++)
		assert_true(actor_has(all[i], &p) && !is_marked(all[i], 0));
	actor_hang_up(all[1]);
	net_run(t, TIME * SEC - SEC);
	assert_true(there(t, 0) && there(t, 2));
	net_run(t, 2 * SEC);
	/* Marked, and NO_LLGR is respected. */
	assert_true(there(t, 0) && there(t, 1));
	assert_false(there(t, 2));
	assert_null(actor_has(all[2], &p));
	assert_true(is_marked(all[3], 0) && is_marked(all[4], 0) && is_marked(all[5], 0));
	h = actor_has(all[4], &p);
	assert_non_null(h);
	assert_int_equal(h->attr->local_pref, 0);
	assert_true(h->attr->flags & ATTR_NO_EXPORT);
	h = actor_has(all[5], &p);
	assert_non_null(h);
	assert_int_equal(h->attr->local_pref, 100);
	assert_false(h->attr->flags & ATTR_NO_EXPORT);
	assert_null(actor_has(all[5], &refuses));
	/* Any other path is better, even a longer one. */
	static const uint32_t longer[] = { 1, 2, 3, 4 };
	actor_announce(all[2], &p, 0, &(struct attr_change){ .path = longer, .npath = 4 }, NULL);
	net_run(t, SEC);
	struct addr hop = net_addr(2);
	assert_true(addr_eq(&net_need_route(&t->nodes[0], &p)->nexthop[0], &hop));
	actor_withdraw(all[2], &p, 0);
	net_run(t, 900 * SEC);
	assert_true(there(t, 0));
	net_run(t, 100 * SEC);
	assert_false(there(t, 0) || there(t, 1));
	assert_null(actor_has(all[5], &p));
	for (int i = 1; i < 6; i++)
		actor_free(all[i]);
	net_free(t);
}

/* Each family has a time of its own; without one it ends with the ordinary restart time. */
static void a_time_for_each_family(void **state)
{
	struct net *t = actor_net(120, 0);
	struct actor *a = actor_new(t, 1, 0, 0);
	struct ipc_peer conf = actor_conf(a);
	struct prefix wide;

	assert_true(prefix_parse("fd10:1::/64", &wide));
	a->open.caps.families = conf.families = CAPS_V4 | CAPS_V6;
	offer_llgr(a, 300);
	a->open.caps.llgr_time[1] = 600;
	actor_state(a, &conf);
	actor_dial(a);
	actor_announce(a, &wide, 0, NULL, NULL);
	tell_two(a);
	actor_hang_up(a);
	net_run(t, (TIME + 299) * SEC);
	assert_true(there(t, 0) && net_route(&t->nodes[0], &wide));
	net_run(t, 2 * SEC);
	assert_false(there(t, 0));
	assert_non_null(net_route(&t->nodes[0], &wide));
	net_run(t, 298 * SEC);
	assert_non_null(net_route(&t->nodes[0], &wide));
	net_run(t, 2 * SEC);
	assert_null(net_route(&t->nodes[0], &wide));
	done(t, a);
}

static void only_long_lived(void **state)
{
	struct net *t = actor_net(120, 0);
	struct actor *a = actor_new(t, 1, 0, 0);
	struct ipc_peer conf = actor_conf(a);

	offer_llgr(a, 100);
	a->open.caps.gr_time = 0; /* marked from the first moment */
	actor_state(a, &conf);
	actor_dial(a);
	tell_two(a);
	actor_hang_up(a);
	net_run(t, SEC);
	struct prefix p = route_no(0);
	assert_int_equal(net_dump(t, 0, &p), 1);
	assert_non_null(strstr(t->nodes[0].paths[0].attrs, "llgr-stale"));
	net_run(t, 97 * SEC);
	assert_true(there(t, 0));
	net_run(t, 3 * SEC);
	assert_false(there(t, 0));
	done(t, a);
}

/* Back in the long-lived time, with forwarding state of that kind or not. */
static void back_in_long_lived_time(void **state)
{
	for (int kept = 0; kept < 2; kept++) {
		struct net *t = actor_net(120, 0);
		struct actor *a = actor_new(t, 1, 0, 0);
		struct ipc_peer conf = actor_conf(a);
		struct prefix first = route_no(0);
		offer_llgr(a, 1000);
		actor_state(a, &conf);
		actor_dial(a);
		tell_two(a);
		actor_hang_up(a);
		net_run(t, 500 * SEC);
		if (!kept)
			a->open.caps.llgr_forwarding = 0;
		actor_dial(a);
		assert_true(a->up);
		assert_int_equal(there(t, 0), kept);
		actor_announce(a, &first, 0, NULL, NULL);
		net_run(t, SEC);
		assert_int_equal(there(t, 1), kept);
		assert_int_equal(net_dump(t, 0, &first), 1);
		assert_null(strstr(t->nodes[0].paths[0].attrs,
				   "llgr-stale")); /* repeated, so not marked any more */
		actor_eor(a, AF_INET);
		net_run(t, 3 * SEC);
		assert_true(there(t, 0));
		assert_false(there(t, 1));
		done(t, a);
	}
}

/* Back for a moment, without a word about its routes: the long-lived time does not begin anew. */
static void bounces_in_long_lived_time(void **state)
{
	struct net *t = actor_net(120, 0);
	struct actor *a = actor_new(t, 1, 0, 0);
	struct ipc_peer conf = actor_conf(a);

	offer_llgr(a, 1000);
	actor_state(a, &conf);
	actor_dial(a);
	tell_two(a);
	actor_hang_up(a); /* 60 seconds, then 1000 */
	net_run(t, 500 * SEC);
	actor_dial(a);
	assert_true(a->up && there(t, 0));
	actor_hang_up(a);
	net_run(t, 540 * SEC);
	assert_true(there(t, 0));
	net_run(t, 40 * SEC);
	assert_false(there(t, 0));
	done(t, a);
}

/* --- our own restart --- */

static void we_restart(void **state)
{
	struct net *t = net_new(1);
	struct actor *a = actor_new(t, 1, 0, 0), *b = actor_new(t, 2, 0, 0);
	struct ipc_peer ca = actor_conf(a), cb = actor_conf(b);

	net_config(t, 0, 120);
	actor_state(a, &ca);
	actor_state(b, &cb);
	net_origin(t, 0, 0, true);
	net_stated(t, 0);
	actor_dial(a);
	actor_dial(b);
	/* "I have restarted, and what I forwarded is still there." */
	assert_true(a->up && b->up);
	assert_true(a->theirs.caps.gr && a->theirs.caps.gr_restarting && a->theirs.caps.gr_notification);
	assert_int_equal(a->theirs.caps.gr_forwarding, CAPS_V4);
	assert_int_equal(a->theirs.caps.gr_time, 120);
	/* Routes at once, their end only when all peers have told us theirs. */
	assert_string_equal(actor_log(a), "open +10.8.0.0/26");
	actor_eor(a, AF_INET);
	net_run(t, 5 * SEC);
	assert_string_equal(actor_log(a), "");
	assert_int_equal(t->nodes[0].synced, 0);
	actor_eor(b, AF_INET);
	net_run(t, 10 * MSEC);
	assert_string_equal(actor_log(a), "eor4");
	assert_int_equal(t->nodes[0].synced, 1);
	/* From now on it is not restarting any more. */
	actor_hang_up(b);
	actor_dial(b);
	assert_true(b->up && !b->theirs.caps.gr_restarting);
	actor_free(b);
	done(t, a);
}

/* Peers that never say their end do not hold us up for ever. */
static void we_restart_beside_mutes(void **state)
{
	struct net *t = net_new(1);
	struct actor *a = actor_new(t, 1, 0, 0);
	struct ipc_peer conf = actor_conf(a);

	net_config(t, 0, 120);
	actor_state(a, &conf);
	net_origin(t, 0, 0, true);
	net_stated(t, 0);
	actor_dial(a);
	actor_log(a);
	net_run(t, 9 * SEC);
	assert_string_equal(actor_log(a), "");
	net_run(t, SEC);
	assert_string_equal(actor_log(a), "eor4");
	done(t, a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tcp_is_lost),
		cmocka_unit_test(time_runs_out),
		cmocka_unit_test(notification_received),
		cmocka_unit_test(hold_timer_expires),
		cmocka_unit_test(hard_resets),
		cmocka_unit_test(soft_resets),
		cmocka_unit_test(refused_while_away),
		cmocka_unit_test(comes_back),
		cmocka_unit_test(comes_back_empty),
		cmocka_unit_test(never_ends),
		cmocka_unit_test(comes_back_without_a_family),
		cmocka_unit_test(twice_in_a_row),
		cmocka_unit_test(in_the_middle_of_a_refresh),
		cmocka_unit_test(long_lived),
		cmocka_unit_test(a_time_for_each_family),
		cmocka_unit_test(only_long_lived),
		cmocka_unit_test(back_in_long_lived_time),
		cmocka_unit_test(bounces_in_long_lived_time),
		cmocka_unit_test(we_restart),
		cmocka_unit_test(we_restart_beside_mutes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
