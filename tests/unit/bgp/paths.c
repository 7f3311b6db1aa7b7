/* More than one path of a prefix (RFC 7911), and how the next hops of paths are reached. */
#include "actor.h"

#include "bgp/rib.h"

static struct prefix some(void)
{
	return net_block(9, 0);
}

static struct addr hop_no(int i)
{
	return addr_v4(0x0a000000 + (uint32_t)i);
}

static struct actor *joined(struct net *t, int number, uint32_t asn, uint8_t recv, uint8_t send, bool client)
{
	struct actor *a = actor_new(t, number, 0, asn);
	struct ipc_peer conf = actor_conf(a);

	conf.families = a->open.caps.families = CAPS_V4 | CAPS_V6;
	conf.add_path_recv = a->open.caps.add_path_send = recv;
	conf.add_path_send = a->open.caps.add_path_recv = send;
	conf.client = client;
	conf.import = conf.export = IPC_POLICY_ALL;
	actor_state(a, &conf);
	actor_dial(a);
	assert_true(a->up);
	return a;
}

static void announce(struct actor *a, uint32_t id, int hop)
{
	struct prefix p = some();
	struct addr h = hop_no(hop);

	actor_announce(a, &p, id, NULL, &h);
	net_run(a->net, 10 * MSEC);
}

static void withdraw(struct actor *a, uint32_t id)
{
	struct prefix p = some();

	actor_withdraw(a, &p, id);
	net_run(a->net, 10 * MSEC);
}

/* The path that the last dump has with this id, or NULL. */
static const struct ipc_path *dumped(struct net *t, uint32_t id)
{
	struct net_node *n = &t->nodes[0];

	for (size_t i = 0; i < n->npaths; i++)
		if (n->paths[i].path_id == id)
			return &n->paths[i];
	return NULL;
}

static size_t dump(struct net *t)
{
	struct prefix p = some();

	return net_dump(t, 0, &p);
}

/* Is exactly this set of next hops used? hops ends with 0. */
static bool used(struct net *t, const int *hops)
{
	struct prefix p = some();
	const struct ipc_route *r = net_route(&t->nodes[0], &p);
	size_t n = 0;

	for (; hops[n]; n++) {
		struct addr h = hop_no(hops[n]);
		size_t i = 0;
		while (r && i < r->nhops && !addr_eq(&r->nexthop[i], &h))
			i++;
		if (!r || i == r->nhops)
			return false;
	}
	return r && r->nhops == n;
}
#define USED(t, ...) used(t, (const int[]){ __VA_ARGS__, 0 })

static bool was_told(const struct actor *a, int hop)
{
	struct prefix p = some();
	struct addr h = hop_no(hop);

	for (size_t i = 0; i < a->nheard; i++)
		if (prefix_eq(&a->heard[i].prefix, &p) && addr_eq(&a->heard[i].nexthop, &h))
			return true;
	return false;
}

static size_t told(const struct actor *a)
{
	struct prefix p = some();

	return actor_count(a, &p);
}

static void done(struct net *t, struct actor **a, size_t n)
{
	for (size_t i = 0; i < n; i++)
		actor_free(a[i]);
	net_free(t);
}

/* --- ADD-PATH --- */

/* What one side may send and the other takes, in each direction and family for itself. */
static void agreed(void **state)
{
	for (unsigned bits = 0; bits < 256; bits += 5) {
		struct net *t = actor_net(0, 0);
		struct actor *a = actor_new(t, 1, 0, 0);
		struct ipc_peer conf = actor_conf(a);
		conf.families = a->open.caps.families = CAPS_V4 | CAPS_V6;
		conf.add_path_recv = bits & 3;
		conf.add_path_send = bits >> 2 & 3;
		a->open.caps.add_path_recv = bits >> 4 & 3;
		a->open.caps.add_path_send = bits >> 6 & 3;
		actor_state(a, &conf);
		actor_dial(a);
		assert_int_equal(a->theirs.caps.add_path_recv, conf.add_path_recv);
		assert_int_equal(a->theirs.caps.add_path_send, conf.add_path_send);
		uint8_t in = conf.add_path_recv & a->open.caps.add_path_send,
			out = conf.add_path_send & a->open.caps.add_path_recv;
		uint16_t said = t->nodes[0].peers[1].agreed;
		assert_int_equal(!!(said & IPC_AGREED_ADD_PATH_IN), !!in);
		assert_int_equal(!!(said & IPC_AGREED_ADD_PATH_OUT), !!out);
		/* Bytes are understood on both sides, with identifiers and without. */
		assert_int_equal(a->nheard, 1);
		assert_int_equal(!!a->heard[0].id, !!(out & CAPS_V4));
		announce(a, 3, 1);
		announce(a, 4, 2);
		assert_int_equal(dump(t), in & CAPS_V4 ? 2 : 1);
		assert_true(a->up);
		done(t, &a, 1);
	}
}

static void two_of_one_peer(void **state)
{
	struct net *t = actor_net(0, 0);
	struct actor *a = joined(t, 1, 0, CAPS_V4, 0, false);

	announce(a, 0, 1); /* any number is a good one */
	announce(a, UINT32_MAX, 2);
	assert_int_equal(dump(t), 2);
	assert_true(dumped(t, 0) && dumped(t, UINT32_MAX));
	assert_int_equal(dumped(t, 0)->best + dumped(t, UINT32_MAX)->best, 1);
	assert_true(USED(t, 1, 2));
	/* The same number again replaces. */
	announce(a, UINT32_MAX, 3);
	assert_int_equal(dump(t), 2);
	assert_true(USED(t, 1, 3));
	withdraw(a, 77); /* never said */
	assert_true(USED(t, 1, 3));
	withdraw(a, 0);
	assert_int_equal(dump(t), 1);
	assert_true(USED(t, 3));
	withdraw(a, UINT32_MAX);
	assert_int_equal(dump(t), 0);
	struct prefix p = some();
	assert_null(net_route(&t->nodes[0], &p));
	done(t, &a, 1);
}

/* A reflector and clients: 1 and 2 announce and hear all, 3 hears all, 4 hears the best only. */
static void all_to_clients(void **state)
{
	struct net *t = actor_net(0, 77);
	struct actor *a[5];
	uint32_t id = 0;

	for (int i = 1; i < 5; i++)
		a[i - 1] = joined(t, i, 0, i < 3 ? CAPS_V4 : 0, i < 4 ? CAPS_V4 : 0, true);
	announce(a[0], 5, 1);
	announce(a[0], 6, 2);
	announce(a[1], 5, 3);
	assert_true(told(a[2]) == 3 && was_told(a[2], 1) && was_told(a[2], 2) && was_told(a[2], 3));
	assert_int_equal(told(a[3]), 1);
	/* Not back to where they came from. */
	assert_true(told(a[0]) == 1 && was_told(a[0], 3));
	assert_true(told(a[1]) == 2 && was_told(a[1], 1) && was_told(a[1], 2));
	/* A path keeps its number as long as it exists: only it is spoken of when it changes. */
	for (size_t i = 0; i < a[2]->nheard; i++)
		if (was_told(a[2], 1) && addr_to_v4(&a[2]->heard[i].nexthop) == 0x0a000001)
			id = a[2]->heard[i].id;
	assert_true(id != 0);
	withdraw(a[0], 6);
	assert_true(told(a[2]) == 2 && was_told(a[2], 1) && was_told(a[2], 3));
	for (size_t i = 0; i < a[2]->nheard; i++)
		if (addr_to_v4(&a[2]->heard[i].nexthop) == 0x0a000001)
			assert_int_equal(a[2]->heard[i].id, id);
	announce(a[0], 6, 4);
	assert_int_equal(told(a[2]), 3);
	/* One that joins late hears the same. */
	a[4] = joined(t, 6, 0, 0, CAPS_V4, true);
	net_run(t, SEC);
	assert_true(told(a[4]) == 3 && was_told(a[4], 1) && was_told(a[4], 4) && was_told(a[4], 3));
	actor_hang_up(a[0]);
	net_run(t, SEC);
	assert_true(told(a[2]) == 1 && was_told(a[2], 3));
	assert_true(told(a[4]) == 1 && was_told(a[4], 3));
	assert_int_equal(told(a[1]), 0);
	done(t, a, 5);
}

/* One that does not read while paths come and go knows in the end what there is. */
static void slow_reader(void **state)
{
	struct net *t = actor_net(0, 77);
	struct actor *a[3];
	struct prng r = { 3 };

	for (int i = 1; i < 4; i++)
		a[i - 1] = joined(t, i, 0, i == 1 ? CAPS_V4 : 0, i > 1 ? CAPS_V4 : 0, true);
	for (int round = 0; round < 40; round++) {
		struct net_pipe *slow = NULL;
		for (size_t i = 0; i < t->npipes; i++)
			if (t->pipes[i].node[0] == &t->nodes[2] && t->pipes[i].conn[0])
				slow = &t->pipes[i];
		assert_non_null(slow);
		slow->window[0] = prng_below(&r, 3) ? 0 : prng_below(&r, 90);
		for (int i = 0; i < 6; i++) {
			if (prng_below(&r, 3))
				announce(a[0], (uint32_t)prng_below(&r, 5), 1 + (int)prng_below(&r, 200));
			else
				withdraw(a[0], (uint32_t)prng_below(&r, 5));
		}
		if (round % 4 == 3) {
			slow->window[0] = 1 << 20;
			net_run(t, SEC);
			size_t n = dump(t);
			assert_int_equal(told(a[1]), n);
			assert_int_equal(told(a[2]), n);
			for (size_t i = 0; i < n; i++) {
				int hop = (int)(addr_to_v4(&t->nodes[0].paths[i].nexthop) - 0x0a000000);
				assert_true(was_told(a[1], hop) && was_told(a[2], hop));
			}
		}
	}
	assert_true(a[0]->up && a[1]->up && a[2]->up);
	done(t, a, 3);
}

/* More paths to one prefix than are good for us. */
static void too_many(void **state)
{
	struct net *t = actor_net(0, 0);
	struct actor *a = joined(t, 1, 0, CAPS_V4, 0, false);
	struct prefix p = some();

	for (uint32_t i = 0; i < RIB_PEER_PATHS_MAX; i++)
		actor_announce(a, &p, i, NULL, NULL);
	net_run(t, SEC);
	assert_true(a->up);
	actor_announce(a, &p, RIB_PEER_PATHS_MAX, NULL, NULL);
	net_run(t, SEC);
	assert_false(a->up);
	assert_int_equal(a->notify.code, NOTIFY_CEASE);
	assert_int_equal(a->notify.subcode, CEASE_MAX_PREFIXES);
	assert_null(net_route(&t->nodes[0], &p));
	assert_non_null(strstr(t->nodes[0].peers[1].reason, "paths to one prefix"));
	done(t, &a, 1);
}

/* A restarted peer numbers its paths anew: what is kept of before does not count against its limit. */
static void renumbered(void **state)
{
	struct net *t = actor_net(120, 0);
	struct actor *a = actor_new(t, 1, 0, 0);
	struct ipc_peer conf = actor_conf(a);

	conf.add_path_recv = a->open.caps.add_path_send = CAPS_V4;
	conf.max_prefixes = 5;
	a->open.caps.gr = true;
	a->open.caps.gr_time = 60;
	a->open.caps.gr_families = a->open.caps.gr_forwarding = CAPS_V4;
	actor_state(a, &conf);
	actor_dial(a);
	for (uint32_t i = 0; i < 4; i++)
		announce(a, i, 1 + (int)i);
	actor_hang_up(a);
	net_run(t, SEC);
	actor_dial(a);
	for (uint32_t i = 0; i < 4; i++)
		announce(a, 10 + i, 1 + (int)i);
	assert_true(a->up);
	assert_true(USED(t, 1, 2, 3, 4));
	actor_eor(a, AF_INET);
	net_run(t, 3 * SEC);
	assert_true(a->up);
	assert_int_equal(dump(t), 4);
	announce(a, 20, 5);
	assert_true(a->up);
	announce(a, 21, 6);
	assert_false(a->up); /* the limit is one still */
	done(t, &a, 1);
}

/* --- next hops --- */

static void watched(void **state)
{
	struct net *t = actor_net(0, 0);
	struct actor *a[2] = { joined(t, 1, 0, 0, 0, false), joined(t, 2, 0, 0, 0, false) };
	struct addr h = hop_no(1);
	struct prefix p[] = { net_block(9, 0), net_block(9, 1), net_block(9, 2) };

	/* The harness itself fails if one is watched twice, or let go and not watched. */
	for (int i = 0; i < 3; i++)
		for (int k = 0; k < 2; k++)
			actor_announce(a[k], &p[i], 0, NULL, &h);
	net_run(t, SEC);
	assert_true(net_watches(t, 0, &h));
	assert_int_equal(t->nodes[0].watches, 1); /* own origins have none */
	for (int i = 0; i < 3; i++) {
		for (int k = 0; k < 2; k++) {
			assert_true(net_watches(t, 0, &h));
			actor_withdraw(a[k], &p[i], 0);
			net_run(t, 10 * MSEC);
		}
	}
	assert_int_equal(t->nodes[0].nwatching, 0);
	/* Gone and back within a turn is nothing to speak of. */
	actor_announce(a[0], &p[0], 0, NULL, &h);
	net_run(t, SEC);
	int before = t->nodes[0].watches;
	actor_withdraw(a[0], &p[0], 0);
	actor_announce(a[0], &p[0], 0, NULL, &h);
	net_run(t, SEC);
	assert_int_equal(t->nodes[0].watches, before);
	assert_true(net_watches(t, 0, &h));
	/* A new agent is told of those in use, and only of them. */
	net_agent(t, 0, false);
	struct addr other = hop_no(2);
	actor_announce(a[1], &p[1], 0, NULL, &other);
	actor_withdraw(a[0], &p[0], 0);
	net_run(t, SEC);
	net_agent(t, 0, true);
	net_run(t, SEC);
	assert_int_equal(t->nodes[0].nwatching, 1);
	assert_true(net_watches(t, 0, &other));
	actor_hang_up(a[1]);
	net_run(t, SEC);
	assert_int_equal(t->nodes[0].nwatching, 0);
	done(t, a, 2);
}

static void reach(struct net *t, int hop, bool reachable, uint32_t metric)
{
	struct addr h = hop_no(hop);

	net_nexthop(t, 0, &h, reachable, metric);
	net_run(t, 10 * MSEC);
}

/* Three peers, each with its own next hop; 4 listens over eBGP. */
static void reached(void **state)
{
	struct net *t = actor_net(0, 0);
	struct actor *a[4];

	for (int i = 1; i < 5; i++) {
		a[i - 1] = joined(t, i, i == 4 ? 65001 : 0, 0, 0, false);
		if (i < 4)
			announce(a[i - 1], 0, i);
	}
	assert_true(USED(t, 1, 2, 3)); /* good until we hear otherwise */
	reach(t, 1, false, 0);
	assert_true(USED(t, 2, 3));
	dump(t);
	for (size_t i = 0; i < t->nodes[0].npaths; i++)
		if (addr_to_v4(&t->nodes[0].paths[i].nexthop) == 0x0a000001)
			assert_non_null(strstr(t->nodes[0].paths[i].why, "reach"));
	/* The metric decides where all else is equal. */
	reach(t, 2, true, 20);
	reach(t, 3, true, 10);
	assert_true(USED(t, 3));
	reach(t, 1, true, 10);
	assert_true(USED(t, 1, 3));
	reach(t, 1, true, UINT32_MAX);
	assert_true(USED(t, 3));
	/* All of them are out of reach: the route stays, and is told on. */
	actor_log(a[3]);
	for (int i = 1; i < 4; i++)
		reach(t, i, false, 0);
	struct prefix p = some();
	assert_non_null(net_route(&t->nodes[0], &p));
	assert_non_null(actor_has(a[3], &p));
	assert_null(strchr(actor_log(a[3]), '-'));
	reach(t, 2, true, 0);
	assert_true(USED(t, 2));
	/* An answer about what nobody uses is nothing. */
	reach(t, 99, false, 0);
	assert_true(USED(t, 2));
	/* The next agent answers anew. */
	net_agent(t, 0, false);
	net_run(t, SEC);
	net_agent(t, 0, true);
	net_run(t, SEC);
	assert_int_equal(t->nodes[0].nwatching, 3);
	assert_true(USED(t, 2));
	reach(t, 3, true, 0);
	assert_true(USED(t, 2, 3));
	done(t, a, 4);
}

/* A next hop that was let go and comes again is not remembered as what it was. */
static void forgotten(void **state)
{
	struct net *t = actor_net(0, 0);
	struct actor *a = joined(t, 1, 0, CAPS_V4, 0, false);

	announce(a, 1, 1);
	announce(a, 2, 2);
	reach(t, 1, false, 0);
	assert_true(USED(t, 2));
	withdraw(a, 1);
	announce(a, 1, 1);
	assert_int_equal(t->nodes[0].watches, 3);
	assert_true(USED(t, 1, 2));
	done(t, &a, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(agreed),	  cmocka_unit_test(two_of_one_peer),
		cmocka_unit_test(all_to_clients), cmocka_unit_test(slow_reader),
		cmocka_unit_test(too_many),	  cmocka_unit_test(renumbered),
		cmocka_unit_test(watched),	  cmocka_unit_test(reached),
		cmocka_unit_test(forgotten),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
