/* What the node believes of the store: order of revisions, full compares, and objects that cannot be used. */
#include "agent/world.h"

#include "base/own.h"

#include <stdarg.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdio.h>

static int tell(struct world *w, enum store_event ev, enum kind k, const char *name, int64_t rev,
		const char *value)
{
	struct store_obj o = { .kind = k, .name = name, .rev = rev, .value = value };
	struct err e = { 0 };

	return world_on_event(w, ev, ev == STORE_PUT || ev == STORE_DEL ? &o : NULL, &e);
}

#define BGP(asn) "{\"spec\":{\"asNumber\":" #asn "}}"

/* Something decodable, made by our own encoder. */
static char *affinity_text(enum affinity_state st)
{
	struct affinity a = { .state = st };

	snprintf(a.host, sizeof(a.host), "node2");
	assert_true(prefix_parse("10.8.112.0/26", &a.cidr));
	json_t *doc = affinity_encode(&a);
	char *text = kind_dump_json(doc);
	json_decref(doc);
	return text;
}

static const char *name_of(char buf[KIND_NAME_MAX])
{
	struct prefix p;

	assert_true(prefix_parse("10.8.112.0/26", &p));
	affinity_name("node2", &p, buf);
	return buf;
}

static void nothing_goes_backwards(void **state)
{
	own_mem char *confirmed = affinity_text(AFFINITY_CONFIRMED),
		     *pending = affinity_text(AFFINITY_PENDING);
	char name[KIND_NAME_MAX];
	struct world w;

	name_of(name);
	world_init(&w, "node2");
	tell(&w, STORE_RESYNC, 0, NULL, 0, NULL);
	assert_int_equal(tell(&w, STORE_PUT, KIND_AFFINITY, name, 5, confirmed), 0);
	tell(&w, STORE_SYNCED, 0, NULL, 0, NULL);
	/* Late news of an earlier state. */
	tell(&w, STORE_PUT, KIND_AFFINITY, name, 4, pending);
	assert_int_equal(w.affinities->affinity.state, AFFINITY_CONFIRMED);
	tell(&w, STORE_DEL, KIND_AFFINITY, name, 4, NULL);
	assert_non_null(w.affinities);
	w.dirty = 0;
	tell(&w, STORE_DEL, KIND_AFFINITY, name, 6, NULL);
	assert_null(w.affinities);
	assert_int_equal(w.dirty, DIRTY_BLOCKS);
	world_done(&w);
}

/* Our own write may be newer than the list of a compare under way. */
static void a_compare_does_not_drop_what_was_written_meanwhile(void **state)
{
	own_mem char *confirmed = affinity_text(AFFINITY_CONFIRMED);
	char name[KIND_NAME_MAX];
	struct world w;

	name_of(name);
	world_init(&w, "node2");
	tell(&w, STORE_RESYNC, 0, NULL, 0, NULL);
	tell(&w, STORE_PUT, KIND_BGPCONFIG, "default", 3, BGP(64512));
	world_learn(&w, KIND_AFFINITY, name, confirmed, 9, NULL);
	tell(&w, STORE_SYNCED, 0, NULL, 0, NULL);
	assert_non_null(w.affinities);
	tell(&w, STORE_RESYNC, 0, NULL, 0, NULL);
	tell(&w, STORE_PUT, KIND_BGPCONFIG, "default", 12, BGP(64512));
	tell(&w, STORE_SYNCED, 0, NULL, 0, NULL);
	assert_null(w.affinities);
	world_done(&w);
}

/* What became unreadable stays as it was known, also over full compares, and is counted in each. */
static void what_cannot_be_decoded_stays_as_it_was(void **state)
{
	own_mem char *confirmed = affinity_text(AFFINITY_CONFIRMED);
	static const char *const broken[] = { "{\"state\":7}", "no JSON at all" };
	char name[KIND_NAME_MAX];
	struct world w;

	name_of(name);
	world_init(&w, "node2");
	tell(&w, STORE_RESYNC, 0, NULL, 0, NULL);
	tell(&w, STORE_PUT, KIND_AFFINITY, name, 5, confirmed);
	tell(&w, STORE_SYNCED, 0, NULL, 0, NULL);
	for (size_t i = 0; i < ARRAY_SIZE(broken); i++)
		for (int pass = 0; pass < 2; pass++) {
			tell(&w, STORE_RESYNC, 0, NULL, 0, NULL);
			assert_true(tell(&w, STORE_PUT, KIND_AFFINITY, name, 6 + (int)i, broken[i]) < 0);
			tell(&w, STORE_SYNCED, 0, NULL, 0, NULL);
			assert_non_null(w.affinities);
			assert_int_equal(w.affinities->affinity.state, AFFINITY_CONFIRMED);
			assert_int_equal(w.quarantined, 1);
		}
	tell(&w, STORE_RESYNC, 0, NULL, 0, NULL);
	tell(&w, STORE_SYNCED, 0, NULL, 0, NULL);
	assert_null(w.affinities);
	world_done(&w);
}

/* A deletion that fell into a gap of the watch is noticed by the next compare, for single objects too. */
static void a_configuration_deleted_in_a_gap_is_gone(void **state)
{
	struct world w;

	world_init(&w, "node2");
	tell(&w, STORE_RESYNC, 0, NULL, 0, NULL);
	assert_int_equal(tell(&w, STORE_PUT, KIND_BGPCONFIG, "default", 3, BGP(65001)), 0);
	assert_int_equal(
		tell(&w, STORE_PUT, KIND_CLUSTERINFO, "default", 4, "{\"spec\":{\"datastoreReady\":false}}"),
		0);
	tell(&w, STORE_SYNCED, 0, NULL, 0, NULL);
	assert_int_equal(world_asn(&w, NULL), 65001);
	assert_true(w.has_clusterinfo);
	tell(&w, STORE_LOST, 0, NULL, 0, NULL);
	tell(&w, STORE_RESYNC, 0, NULL, 0, NULL);
	tell(&w, STORE_SYNCED, 0, NULL, 0, NULL);
	assert_int_equal(world_asn(&w, NULL), 64512);
	assert_false(w.has_clusterinfo);
	/* And late news of what was there before is not believed after newer news. */
	tell(&w, STORE_PUT, KIND_BGPCONFIG, "default", 8, BGP(65008));
	tell(&w, STORE_PUT, KIND_BGPCONFIG, "default", 7, BGP(65007));
	assert_int_equal(world_asn(&w, NULL), 65008);
	world_done(&w);
}

/* A Node without a usable document is kept with the reason; mended, it is a Node like any other. */
static void a_node_says_what_is_wrong_with_it(void **state)
{
	struct world w;

	world_init(&w, "node2");
	assert_true(tell(&w, STORE_PUT, KIND_NODE, "node2", 3,
			 "{\"spec\":{\"bgp\":{\"ipv4Address\":\"x\"}}}") < 0);
	assert_non_null(world_me(&w));
	assert_true(w.nodes->fault[0] != '\0');
	assert_int_equal(tell(&w, STORE_PUT, KIND_NODE, "node2", 4,
			      "{\"metadata\":{\"name\":\"node2\"},\"spec\":{\"bgp\":{\"ipv4Address\":\"172."
			      "16.67.138/24\"}}}"),
			 0);
	assert_true(w.nodes->fault[0] == '\0' && addr_is_set(&world_me(&w)->ipv4));
	world_done(&w);
}

static bool selected(struct world *w, const char *pool, const char *node)
{
	struct ipam_view v;
	struct ippool p = { 0 };

	snprintf(p.name, sizeof(p.name), "%s", pool);
	world_view(w, &v);
	return v.pool_selects(v.arg, &p, node);
}

/* A pool's nodeSelector looks at the labels that a node has now. */
static void a_pool_is_for_the_nodes_it_selects(void **state)
{
	struct world w;

	world_init(&w, "node2");
	assert_int_equal(tell(&w, STORE_PUT, KIND_IPPOOL, "a", 1,
			      "{\"spec\":{\"cidr\":\"10.1.0.0/16\",\"nodeSelector\":\"rack == 'a'\"}}"),
			 0);
	assert_int_equal(tell(&w, STORE_PUT, KIND_IPPOOL, "not-a", 2,
			      "{\"spec\":{\"cidr\":\"10.2.0.0/16\",\"nodeSelector\":\"rack != 'a'\"}}"),
			 0);
	assert_true(tell(&w, STORE_PUT, KIND_IPPOOL, "torn", 3,
			 "{\"spec\":{\"cidr\":\"10.3.0.0/16\",\"nodeSelector\":\"rack == 'a\"}}") < 0);
	assert_true(!selected(&w, "a", "node1") && selected(&w, "not-a", "node1"));
	tell(&w, STORE_PUT, KIND_NODE, "node1", 4,
	     "{\"metadata\":{\"labels\":{\"rack\":\"a\"}},\"spec\":{}}");
	assert_true(selected(&w, "a", "node1") && !selected(&w, "not-a", "node1"));
	tell(&w, STORE_PUT, KIND_NODE, "node1", 5,
	     "{\"metadata\":{\"labels\":{\"rack\":\"b\"}},\"spec\":{}}");
	assert_true(!selected(&w, "a", "node1") && selected(&w, "not-a", "node1"));
	assert_false(selected(&w, "torn", "node1"));
	assert_int_equal(tell(&w, STORE_PUT, KIND_IPPOOL, "torn", 6, "{\"spec\":{\"cidr\":\"10.3.0.0/16\"}}"),
			 0);
	assert_true(selected(&w, "torn", "node1"));
	world_done(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_goes_backwards),
		cmocka_unit_test(a_compare_does_not_drop_what_was_written_meanwhile),
		cmocka_unit_test(what_cannot_be_decoded_stays_as_it_was),
		cmocka_unit_test(a_configuration_deleted_in_a_gap_is_gone),
		cmocka_unit_test(a_node_says_what_is_wrong_with_it),
		cmocka_unit_test(a_pool_is_for_the_nodes_it_selects),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
