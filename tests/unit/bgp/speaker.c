/*
 * Whole speakers joined by byte pipes on virtual time: sessions, convergence, collisions, refresh, restarts,
 * slow readers, statements of the agent.
 */
#include "net.h"

static void two_speakers(void **state)
{
	struct net *t = net_new(2);
	struct prefix mine = net_block(0, 0);

	net_mesh_node(t, 0, 2, 0, false);
	net_mesh_node(t, 1, 2, 0, false);
	net_run(t, 2500 * MSEC);
	assert_true(net_mesh_is_complete(t, 2));
	assert_true(net_need_route(&t->nodes[0], &mine)->own);
	assert_int_equal(net_open_pipes(t), 1);
	assert_int_equal(t->nodes[0].synced, 1); /* both End-of-RIBs came, so two seconds after the session */
	/* A day of silence: keepalives keep it up. */
	net_run(t, 86400 * SEC);
	assert_true(net_mesh_is_complete(t, 2));
	assert_int_equal(t->nodes[0].peers[1].flaps, 0);
	assert_int_equal(t->nodes[0].peers[1].hold_time, 90);
	net_free(t);
}

/* Everybody dials everybody at the same moment; each pair ends with one connection. */
static void cold_mesh(void **state)
{
	for (uint64_t seed = 1; seed <= 10; seed++) {
		struct net *t = net_new(0);
		t->r.state = seed;
		for (int i = 0; i < 8; i++)
			net_start(t, i);
		for (int i = 0; i < 8; i++) {
			net_mesh_node(t, i, 8, seed % 2 ? 120 : 0, true);
			net_run(t, (usec_t)prng_below(&t->r, 300 * MSEC));
		}
		net_run(t, 3 * SEC);
		assert_true(net_mesh_is_complete(t, 8));
		assert_int_equal(net_open_pipes(t), 8 * 7 / 2);
		net_run(t, 8 * SEC);
		assert_true(net_mesh_is_complete(t, 8));
		for (int i = 0; i < 8; i++)
			assert_int_equal(t->nodes[i].synced, 1);
		net_free(t);
	}
}

/* One side is told of the other seconds later. */
static void late_statement(void **state)
{
	struct net *t = net_new(2);

	net_mesh_node(t, 0, 2, 0, true);
	net_run(t, 4 * SEC);
	assert_false(net_established(t, 0, 1));
	assert_non_null(strstr(t->nodes[0].peers[1].reason, "may not know this node yet"));
	net_config(t, 1, 0);
	net_peer(t, 1, 0, true); /* does not dial: the retries of the other must find it */
	net_stated(t, 1);
	net_run(t, 6 * SEC);
	assert_true(net_established(t, 0, 1));
	net_free(t);
}

static void silence_and_refusal(void **state)
{
	struct net *t = net_new(2);

	t->nodes[1].gone = true;
	net_mesh_node(t, 0, 2, 0, true);
	net_run(t, 20 * SEC);
	assert_string_equal(t->nodes[0].peers[1].reason, "no answer from 172.16.67.2 port 179");
	net_stop(t, 1);
	t->nodes[1].gone = false;
	net_run(t, 20 * SEC);
	assert_string_equal(t->nodes[0].peers[1].reason, "connection refused by 172.16.67.2 port 179");
	/* At most one attempt in 2.5 s in the long run. */
	size_t before = t->dials;
	net_run(t, 100 * SEC);
	assert_in_range(t->dials - before, 20, 41);
	assert_int_equal(t->nodes[0].synced, 1); /* although no session came up */
	net_free(t);
}

static void hold_timer(void **state)
{
	struct net *t = net_new(2);

	net_mesh_node(t, 0, 2, 0, false);
	net_mesh_node(t, 1, 2, 0, false);
	net_run(t, 5 * SEC);
	assert_true(net_mesh_is_complete(t, 2));
	/* Node 1 loses its power: no FIN, no answer. */
	t->nodes[1].gone = true;
	for (size_t i = 0; i < t->npipes; i++)
		t->pipes[i].dead = true;
	net_run(t, 60 * SEC);
	assert_true(net_established(t, 0, 1));
	net_run(t, 31 * SEC);
	assert_false(net_established(t, 0, 1));
	assert_string_equal(t->nodes[0].peers[1].reason, "hold timer expired after 90 s without a message");
	assert_int_equal(t->nodes[0].nroutes, 1);
	assert_int_equal(t->nodes[0].peers[1].flaps, 1);
	net_free(t);
}

static void origins_change(void **state)
{
	struct net *t = net_new(3);
	struct prefix p = net_block(0, 1);

	for (int i = 0; i < 3; i++)
		net_mesh_node(t, i, 3, 0, false);
	net_run(t, 3 * SEC);
	assert_true(net_mesh_is_complete(t, 3));
	net_origin(t, 0, 1, true);
	net_run(t, 10 * MSEC);
	assert_true(net_has_via(t, 1, &p, 0) && net_has_via(t, 2, &p, 0));
	/* What an iBGP peer said is not passed on: node 2 hears it once, from node 0. */
	assert_int_equal(t->nodes[2].peers[1].received, 1);
	net_origin(t, 0, 1, false);
	net_run(t, 10 * MSEC);
	assert_null(net_route(&t->nodes[1], &p));
	/* Here and gone within one turn is no message at all. */
	net_run(t, 2 * SEC);
	int told = t->nodes[1].told;
	uint64_t updates = t->nodes[1].peers[0].updates_in;
	net_origin(t, 0, 1, true);
	net_origin(t, 0, 1, false);
	net_run(t, 2 * SEC);
	assert_int_equal(t->nodes[1].told, told);
	assert_int_equal(t->nodes[1].peers[0].updates_in, updates);
	net_free(t);
}

static void a_peer_goes(void **state)
{
	struct net *t = net_new(3);

	for (int i = 0; i < 3; i++)
		net_mesh_node(t, i, 3, 120, false);
	net_run(t, 3 * SEC);
	assert_true(net_mesh_is_complete(t, 3));
	net_peer_gone(t, 0, 1);
	net_run(t, SEC);
	struct prefix p = net_block(1, 0);
	assert_null(net_route(&t->nodes[0], &p));
	assert_true(net_established(t, 0, 2) && net_established(t, 1, 2));
	assert_int_equal(t->nodes[0].peers[2].flaps, 0);
	assert_non_null(strstr(t->nodes[1].peers[0].reason, "Cease"));
	net_free(t);
}

static void as_number_mismatch(void **state)
{
	struct net *t = net_new(2);
	struct ipc_msg m = { .type = IPC_PEER, .peer = net_peer_conf(0, 1, false) };

	net_mesh_node(t, 1, 2, 0, true);
	net_config(t, 0, 0);
	m.peer.remote_asn = 64999;
	net_say(t, 0, &m);
	net_stated(t, 0);
	net_run(t, 20 * SEC);
	assert_string_equal(t->nodes[0].peers[1].reason,
			    "AS number mismatch: peer says 64512, expected 64999");
	assert_non_null(strstr(t->nodes[1].peers[0].reason,
			       "peer sent NOTIFICATION: OPEN Message Error/Bad Peer AS"));
	/* The wait between attempts grows: not more than a few in a minute. */
	size_t before = t->dials;
	net_run(t, 60 * SEC);
	assert_true(t->dials - before < 25);
	m.peer.remote_asn = 64512;
	net_say(t, 0, &m);
	net_run(t, 31 * SEC);
	assert_true(net_established(t, 0, 1) && net_established(t, 1, 0));
	net_free(t);
}

/* Only what a session was agreed upon ends it when it changes. */
static void statements_are_careful(void **state)
{
	struct net *t = net_new(3);
	struct ipc_msg m = { .type = IPC_PEER };

	for (int i = 0; i < 3; i++)
		net_mesh_node(t, i, 3, 0, false);
	net_run(t, 3 * SEC);
	m.peer = net_peer_conf(1, 0, false);
	strcpy(m.peer.name, "another name");
	m.peer.port = 1179;
	net_say(t, 1, &m);
	net_config(t, 1, 120);
	net_run(t, 3 * SEC);
	assert_int_equal(t->nodes[1].peers[0].flaps, 0);
	assert_int_equal(t->nodes[1].peers[2].flaps, 0);
	m.peer.hold_time = 30; /* for the next session */
	net_say(t, 1, &m);
	m.peer.local_asn = 64512;
	net_say(t, 1, &m);
	net_run(t, 3 * SEC);
	assert_int_equal(t->nodes[1].peers[0].flaps, 1);
	assert_int_equal(t->nodes[1].peers[2].flaps, 0);
	assert_true(net_established(t, 1, 0));
	assert_int_equal(t->nodes[1].peers[0].hold_time, 30);
	net_free(t);
}

static void agent_restarts(void **state)
{
	struct net *t = net_new(3);
	struct prefix left = net_block(0, 1), kept = net_block(0, 0);

	for (int i = 0; i < 3; i++)
		net_mesh_node(t, i, 3, 0, false);
	net_origin(t, 0, 1, true);
	net_run(t, 3 * SEC);
	assert_true(net_has_via(t, 1, &left, 0));
	net_agent(t, 0, false);
	net_run(t, 300 * SEC);
	assert_true(net_established(t, 1, 0) && net_has_via(t, 1, &left, 0));
	/* The new agent hears everything, then SYNCED at once; what it does not state goes, sessions stay. */
	net_agent(t, 0, true);
	net_run(t, MSEC);
	assert_int_equal(t->nodes[0].nroutes, 4);
	assert_int_equal(t->nodes[0].synced, 1);
	net_config(t, 0, 0);
	net_peer(t, 0, 1, true);
	net_origin(t, 0, 0, true);
	net_stated(t, 0);
	net_run(t, SEC);
	assert_true(net_has_via(t, 1, &kept, 0));
	assert_null(net_route(&t->nodes[1], &left));
	assert_int_equal(t->nodes[1].peers[0].flaps, 0);
	assert_false(net_established(t, 2, 0));
	net_free(t);
}

static void an_agent_that_does_not_read(void **state)
{
	struct net *t = net_new(2);

	net_mesh_node(t, 0, 2, 0, false);
	net_mesh_node(t, 1, 2, 0, false);
	net_run(t, 3 * SEC);
	t->nodes[0].deaf = true;
	int told = t->nodes[0].told;
	for (int i = 0; i < 100; i++) {
		net_origin(t, 1, 1 + i % 5, i % 3);
		net_run(t, 10 * MSEC);
	}
	assert_int_equal(t->nodes[0].told, told);
	t->nodes[0].deaf = false;
	net_run(t, 10 * MSEC);
	for (int i = 1; i <= 5; i++) {
		struct prefix p = net_block(1, i);
		assert_int_equal(!!net_route(&t->nodes[0], &p), !!net_route(&t->nodes[1], &p));
	}
	assert_true(t->nodes[0].told - told <= 5 + 1); /* the outcome only */
	net_free(t);
}

static void refresh(void **state)
{
	struct net *t = net_new(2);
	struct addr a = net_addr(1);

	net_mesh_node(t, 0, 2, 0, false);
	net_mesh_node(t, 1, 2, 0, false);
	net_run(t, 5 * SEC);
	uint64_t updates = t->nodes[0].peers[1].updates_in;
	/* A storm of requests is one walk a second. */
	for (int i = 0; i < 50; i++)
		assert_true(speaker_refresh(t->nodes[0].s, &a, t->now));
	net_run(t, 3 * SEC);
	assert_int_equal(t->nodes[0].peers[1].updates_in, updates + 2);
	assert_true(net_mesh_is_complete(t, 2));
	net_peer_gone(t, 0, 1);
	assert_false(speaker_refresh(t->nodes[0].s, &a, t->now));
	net_free(t);
}

/* A peer's process restarts: with graceful restart nobody notices, and what it does not repeat is swept. */
static void graceful_restart(void **state)
{
	struct net *t = net_new(3);
	struct prefix kept = net_block(1, 0), dropped = net_block(1, 1);

	for (int i = 0; i < 3; i++)
		net_mesh_node(t, i, 3, 120, false);
	net_origin(t, 1, 1, true);
	net_run(t, 15 * SEC);
	assert_true(net_has_via(t, 0, &dropped, 1));
	net_stop(t, 1);
	net_run(t, 5 * SEC);
	assert_false(net_established(t, 0, 1));
	assert_true(net_has_via(t, 0, &kept, 1) && net_has_via(t, 0, &dropped, 1));
	net_start(t, 1);
	net_mesh_node(t, 1, 3, 120, false);
	net_run(t, 1500 * MSEC);
	assert_true(net_established(t, 0, 1) && net_has_via(t, 0, &kept, 1));
	net_run(t, 15 * SEC);
	assert_int_equal(t->nodes[1].synced, 1);
	assert_true(net_has_via(t, 0, &kept, 1));
	assert_null(net_route(&t->nodes[0], &dropped));
	/* Gone for good: its routes go after the time it has asked for. */
	net_stop(t, 1);
	net_run(t, 110 * SEC);
	assert_true(net_has_via(t, 0, &kept, 1));
	net_run(t, 15 * SEC);
	assert_null(net_route(&t->nodes[0], &kept));
	net_free(t);
}

/* The peer does not read: what we hold for it is bounded, others are not held up, and in the end it is let
 * go. */
static void slow_reader(void **state)
{
	struct net *t = net_new(3);

	for (int i = 0; i < 3; i++)
		net_mesh_node(t, i, 3, 0, false);
	net_run(t, 3 * SEC);
	for (size_t i = 0; i < t->npipes; i++)
		for (int e = 0; e < 2; e++)
			if (t->pipes[i].node[e] == &t->nodes[1] && t->pipes[i].node[1 - e] == &t->nodes[0])
				t->pipes[i].window[e] = 0;
	size_t bytes = speaker_bytes(t->nodes[0].s);
	for (int i = 0; i < 3000; i++) {
		net_origin(t, 0, 1 + i % 40, i / 40 % 2);
		speaker_turn(t->nodes[0].s, t->now);
	}
	for (int i = 1; i <= 40; i++)
		net_origin(t, 0, i, true);
	net_run(t, 20 * SEC);
	struct prefix p = net_block(0, 7);
	assert_true(net_has_via(t, 2, &p, 0));
	assert_null(net_route(&t->nodes[1], &p));
	assert_true(speaker_bytes(t->nodes[0].s) < bytes + 65536);
	assert_true(net_established(t, 0, 1));
	/* It hears our keepalives no more and gives up first. */
	net_run(t, 75 * SEC);
	assert_int_equal(t->nodes[0].peers[1].flaps, 1);
	assert_int_equal(t->nodes[0].peers[2].flaps, 0);
	net_run(t, 30 * SEC);
	assert_true(net_has_via(t, 1, &p, 0));
	net_free(t);
}

/* One byte at a time, in any pieces: the same. */
static void narrow_pipes(void **state)
{
	struct net *t = net_new(0);

	t->window = 7;
	for (int i = 0; i < 3; i++)
		net_start(t, i);
	for (int i = 0; i < 3; i++)
		net_mesh_node(t, i, 3, 0, true);
	for (int i = 1; i < 60; i++)
		net_origin(t, 0, i, true);
	net_run(t, 5 * SEC);
	assert_int_equal(t->nodes[1].nroutes, 62);
	assert_int_equal(t->nodes[2].nroutes, 62);
	net_free(t);
}

/* Two nodes announce the same prefix: two next hops. Then one of them prefers its own. */
static void equal_paths(void **state)
{
	struct net *t = net_new(4);
	struct ipc_msg m = { .type = IPC_ORIGIN }, dump = { .type = IPC_DUMP };

	for (int i = 0; i < 4; i++)
		net_mesh_node(t, i, 4, 0, false);
	m.origin.prefix = net_block(15, 0);
	net_say(t, 1, &m);
	net_say(t, 2, &m);
	net_run(t, 3 * SEC);
	struct ipc_route *r = net_need_route(&t->nodes[0], &m.origin.prefix);
	assert_int_equal(r->nhops, 2);
	assert_true(net_need_route(&t->nodes[1], &m.origin.prefix)->own);
	dump.dump.prefix = m.origin.prefix;
	dump.dump.id = 9;
	net_say(t, 0, &dump);
	net_run(t, MSEC);
	assert_int_equal(t->nodes[0].npaths, 2);
	assert_int_equal(t->nodes[0].dump_ends, 1);
	assert_int_equal(t->nodes[0].paths[0].best + t->nodes[0].paths[1].best, 1);
	for (int i = 0; i < 2; i++)
		assert_non_null(strstr(t->nodes[0].paths[i].why, "router id"));
	m.type = IPC_ORIGIN_GONE;
	net_say(t, 1, &m);
	net_run(t, MSEC);
	assert_int_equal(net_need_route(&t->nodes[0], &m.origin.prefix)->nhops, 1);
	net_free(t);
}

/* A reflector and clients that know only it. */
static void reflection(void **state)
{
	struct net *t = net_new(6);

	for (int i = 0; i < 6; i++) {
		net_config(t, i, 0);
		if (i)
			net_peer(t, i, 0, false);
		net_origin(t, i, 0, true);
	}
	struct ipc_msg m = { .type = IPC_CONFIG,
			     .config = { .asn = 64512, .router_id = 77, .cluster_id = 77, .hold_time = 90 } };
	net_say(t, 0, &m);
	for (int i = 1; i < 6; i++) {
		struct ipc_msg p = { .type = IPC_PEER, .peer = net_peer_conf(0, i, true) };
		p.peer.client = true;
		net_say(t, 0, &p);
	}
	for (int i = 0; i < 6; i++)
		net_stated(t, i);
	net_run(t, 4 * SEC);
	for (int i = 1; i < 6; i++) {
		assert_int_equal(t->nodes[i].nroutes, 6);
		assert_int_equal(t->nodes[i].peers[0].received, 5); /* its own did not come back */
		assert_int_equal(t->nodes[0].peers[i].advertised, 5);
		for (int j = 1; j < 6; j++) {
			struct prefix p = net_block(j, 0);
			struct addr hop = net_addr(j);
			struct ipc_route *r = net_need_route(&t->nodes[i], &p);
			assert_true(i == j ? r->own : addr_eq(&r->nexthop[0], &hop));
		}
	}
	net_stop(t, 3);
	net_run(t, SEC);
	assert_int_equal(t->nodes[1].nroutes, 5);
	net_free(t);
}

/* Random trouble for a while, then peace: the mesh is complete. */
static void trouble(void **state)
{
	for (uint64_t seed = 1; seed <= 12; seed++) {
		struct net *t = net_new(0);
		t->r.state = seed;
		for (int i = 0; i < 5; i++)
			net_start(t, i);
		for (int i = 0; i < 5; i++)
			net_mesh_node(t, i, 5, seed % 2 ? 120 : 0, seed % 3);
		for (int k = 0; k < 60; k++) {
			net_run(t, (usec_t)prng_below(&t->r, 700 * MSEC));
			int i = (int)prng_below(&t->r, 5);
			uint64_t what = prng_below(&t->r, 4);
			if (what == 0 && t->npipes) { /* a connection breaks for both */
				struct net_pipe *p = &t->pipes[prng_below(&t->r, t->npipes)];
				p->fin[0] = p->fin[1] = true;
			} else if (what == 1) { /* a process restarts */
				net_stop(t, i);
				net_start(t, i);
				net_mesh_node(t, i, 5, seed % 2 ? 120 : 0, seed % 3);
			} else if (what == 2) {
				net_peer_gone(t, i, (i + 1) % 5);
				net_peer(t, i, (i + 1) % 5, false);
			} else {
				net_origin(t, i, 1, prng_below(&t->r, 2));
			}
		}
		for (int i = 0; i < 5; i++)
			net_origin(t, i, 1, false);
		net_run(t, 200 * SEC);
		assert_true(net_mesh_is_complete(t, 5));
		assert_int_equal(net_open_pipes(t), 10);
		net_free(t);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(two_speakers),
		cmocka_unit_test(cold_mesh),
		cmocka_unit_test(late_statement),
		cmocka_unit_test(silence_and_refusal),
		cmocka_unit_test(hold_timer),
		cmocka_unit_test(origins_change),
		cmocka_unit_test(a_peer_goes),
		cmocka_unit_test(as_number_mismatch),
		cmocka_unit_test(statements_are_careful),
		cmocka_unit_test(agent_restarts),
		cmocka_unit_test(an_agent_that_does_not_read),
		cmocka_unit_test(refresh),
		cmocka_unit_test(graceful_restart),
		cmocka_unit_test(slow_reader),
		cmocka_unit_test(narrow_pipes),
		cmocka_unit_test(equal_paths),
		cmocka_unit_test(reflection),
		cmocka_unit_test(trouble),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
