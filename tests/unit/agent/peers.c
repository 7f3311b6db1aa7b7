/* The mesh rules: who peers with whom, who dials, and what a node calls itself. */
#include "agent/agent.h"

#include "model/node.h"

#include <stdarg.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdio.h>

static struct node node(const char *name, const char *v4, const char *v6)
{
	struct node n = { 0 };

	snprintf(n.name, sizeof(n.name), "%s", name);
	if (v4)
		assert_true(addr_parse(v4, &n.ipv4));
	if (v6)
		assert_true(addr_parse(v6, &n.ipv6));
	return n;
}

static bool mesh(const struct node *a, const struct node *b, uint8_t family, struct ipc_peer *ret)
{
	return peers_mesh(a, b, family, 64512, 64513, 179, ret);
}

/* Compared as text: "10.0.0.9" is larger than "10.0.0.10", so 10.0.0.9 dials and 10.0.0.10 waits. */
static void the_textually_larger_address_dials(void **state)
{
	static const struct {
		const char *me, *other;
		bool passive;
	} rows[] = {
		{ "172.16.67.138", "172.16.67.139", true }, { "172.16.67.139", "172.16.67.138", false },
		{ "10.0.0.10", "10.0.0.9", true },	    { "10.0.0.9", "10.0.0.10", false },
		{ "9.0.0.1", "10.0.0.1", false },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct node a = node("a", rows[i].me, NULL), b = node("b", rows[i].other, NULL);
		struct ipc_peer p, q;
		assert_true(mesh(&a, &b, AF_INET, &p));
		assert_int_equal(p.passive, rows[i].passive);
		assert_true(mesh(&b, &a, AF_INET, &q));
		assert_int_equal(p.passive + q.passive, 1);
		assert_true(addr_eq(&p.remote, &b.ipv4));
		assert_true(addr_eq(&p.local, &a.ipv4));
		assert_int_equal(p.families, IPC_FAMILY_V4);
		assert_string_equal(p.name, "b");
	}
}

static void families_need_an_address_on_both_sides(void **state)
{
	struct node both = node("a", "10.0.0.1", "fd00::1"), v4 = node("b", "10.0.0.2", NULL),
		    v6 = node("c", NULL, "fd00::3");
	struct ipc_peer p;

	assert_true(mesh(&both, &v4, AF_INET, &p));
	assert_false(mesh(&both, &v4, AF_INET6, &p));
	assert_true(mesh(&both, &v6, AF_INET6, &p));
	assert_int_equal(p.families, IPC_FAMILY_V6);
	assert_false(mesh(&v4, &v6, AF_INET, &p));
	assert_false(mesh(&v4, &v6, AF_INET6, &p));
}

static void a_duplicate_address_is_nobody_to_talk_to(void **state)
{
	struct node a = node("a", "10.0.0.1", NULL), b = node("b", "10.0.0.1", NULL);
	struct ipc_peer p;

	assert_false(mesh(&a, &b, AF_INET, &p));
}

static void reflectors_are_not_in_the_mesh(void **state)
{
	struct node a = node("a", "10.0.0.1", NULL), b = node("b", "10.0.0.2", NULL);
	struct ipc_peer p;

	b.cluster_id = 1;
	assert_false(mesh(&a, &b, AF_INET, &p));
	assert_false(mesh(&b, &a, AF_INET, &p));
}

static void the_router_id_is_the_address_or_a_hash_of_the_name(void **state)
{
	struct node a = node("a", "172.16.67.138", NULL), b = node("node1", NULL, "fd00::1");

	assert_int_equal(peers_router_id(&a), 0xac10438a);
	assert_int_equal(peers_router_id(&b), 0xca12f31b); /* SHA-256("node1") */
	struct node c = node("node2", NULL, "fd00::2");
	assert_true(peers_router_id(&b) != peers_router_id(&c));
}

static int told;

static void count_told(void *arg, const struct ipc_msg *m)
{
	told += m->type == IPC_PEER;
}

static void learn_node(struct world *w, const char *name, const char *address, int64_t rev)
{
	struct err e = { 0 };
	char text[200];

	snprintf(text, sizeof(text),
		 "{\"metadata\":{\"name\":\"%s\"},\"spec\":{\"bgp\":{\"ipv4Address\":\"%s\"}}}", name,
		 address);
	assert_int_equal(world_learn(w, KIND_NODE, name, text, rev, &e), 0);
}

/* A session is known by its remote address; a second node that claims it does not make it flap. */
static void two_nodes_of_one_address_are_told_once(void **state)
{
	struct agent a = { .me = "node2", .io = { .to_speaker = count_told } };

	world_init(&a.world, "node2");
	learn_node(&a.world, "node2", "172.16.67.138/24", 1);
	learn_node(&a.world, "node3", "172.16.67.139/24", 2);
	learn_node(&a.world, "node4", "172.16.67.139/24", 3);
	a.world.synced = true;
	for (int pass = 0; pass < 3; pass++)
		peers_derive(&a);
	assert_int_equal(told, 1);
	assert_string_equal(a.peers.map->want.name, "node3");
	peers_done(&a.peers);
	world_done(&a.world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_textually_larger_address_dials),
		cmocka_unit_test(families_need_an_address_on_both_sides),
		cmocka_unit_test(a_duplicate_address_is_nobody_to_talk_to),
		cmocka_unit_test(reflectors_are_not_in_the_mesh),
		cmocka_unit_test(the_router_id_is_the_address_or_a_hash_of_the_name),
		cmocka_unit_test(two_nodes_of_one_address_are_told_once),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
