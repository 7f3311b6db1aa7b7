/* Every rule of IPPool, once kept and once broken; and what stored documents of all ages decode to. */
#include "check.h"

#include "model/ippool.h"

static json_t *pool(const char *spec)
{
	return make("IPPool", "p", spec);
}

static void test_defaults_and_order(void **state)
{
	passes(pool("{natOutgoing: true, cidr: 192.168.0.0/16}"),
	       "{\"kind\":\"IPPool\",\"apiVersion\":\"projectcalico.org/"
	       "v3\",\"metadata\":{\"name\":\"p\"},\"spec\":{"
	       "\"cidr\":\"192.168.0.0/"
	       "16\",\"vxlanMode\":\"Never\",\"ipipMode\":\"Never\",\"natOutgoing\":true,"
	       "\"blockSize\":26,\"nodeSelector\":\"all()\",\"allowedUses\":[\"Workload\",\"Tunnel\"],"
	       "\"assignmentMode\":\"Automatic\"}}");
	passes(pool("{cidr: 'fd00:10:244:0::/64', ipipMode: '', disabled: null}"),
	       "{\"kind\":\"IPPool\",\"apiVersion\":\"projectcalico.org/"
	       "v3\",\"metadata\":{\"name\":\"p\"},\"spec\":{"
	       "\"cidr\":\"fd00:10:244::/"
	       "64\",\"vxlanMode\":\"Never\",\"ipipMode\":\"Never\",\"blockSize\":122,"
	       "\"nodeSelector\":\"all()\",\"allowedUses\":[\"Workload\",\"Tunnel\"],"
	       "\"assignmentMode\":\"Automatic\"}}");
}

static void test_cidr(void **state)
{
	refused(pool("{natOutgoing: true}"), "spec.cidr", "it is missing");
	refused(pool("{cidr: 10.0.0.1/16}"), "spec.cidr", "the network is 10.0.0.0/16");
	refused(pool("{cidr: 10.0.0.0}"), "spec.cidr",
		"\"10.0.0.0\" is not an IP network such as 10.0.0.0/16");
	refused(pool("{cidr: 10.0.0.0/33}"), "spec.cidr", "is not an IP network");
	refused(pool("{cidr: 10}"), "spec.cidr", "10 is not an IP network");
	refused(pool("{cidr: [10.0.0.0/16]}"), "spec.cidr", "a list is not");
	refused(pool("{cidr: 169.254.0.0/24}"), "spec.cidr", "overlaps the link-local range 169.254.0.0/16");
	refused(pool("{cidr: 168.0.0.0/6}"), "spec.cidr", "link-local");
	refused(pool("{cidr: 0.0.0.0/0}"), "spec.cidr", "link-local");
	refused(pool("{cidr: 'fe80::/64'}"), "spec.cidr", "fe80::/10");
	passes(pool("{cidr: 169.253.0.0/16}"), NULL);
	passes(pool("{cidr: 'fec0::/64'}"), NULL);
}

static void test_block_size(void **state)
{
	refused(pool("{cidr: 10.0.0.0/16, blockSize: 33}"), "spec.blockSize",
		"spec.blockSize: 33 is outside the pool 10.0.0.0/16: allowed are 20..32 and at least the "
		"pool length 16");
	refused(pool("{cidr: 10.0.0.0/16, blockSize: 19}"), "spec.blockSize", "19 is outside");
	refused(pool("{cidr: 10.0.0.0/24, blockSize: 23}"), "spec.blockSize", "at least the pool length 24");
	refused(pool("{cidr: 10.0.0.0/28}"), "spec.blockSize", "26 is outside the pool 10.0.0.0/28");
	refused(pool("{cidr: 'fd00::/64', blockSize: 26}"), "spec.blockSize", "allowed are 116..128");
	refused(pool("{cidr: 'fd00::/64', blockSize: 115}"), "spec.blockSize", "116..128");
	refused(pool("{cidr: 10.0.0.0/16, blockSize: 1000}"), "spec.blockSize",
		"1000 is not a prefix length");
	refused(pool("{cidr: 10.0.0.0/16, blockSize: -1}"), "spec.blockSize", "-1 is not a prefix length");
	refused(pool("{cidr: 10.0.0.0/16, blockSize: '26'}"), "spec.blockSize", "without quotes");
	refused(pool("{cidr: 10.0.0.0/16, blockSize: 26.5}"), "spec.blockSize", "26.5 is not");
	passes(pool("{cidr: 10.0.0.0/16, blockSize: 20}"), NULL);
	passes(pool("{cidr: 10.0.0.0/16, blockSize: 32}"), NULL);
	passes(pool("{cidr: 10.0.0.0/24, blockSize: 24}"), NULL);
	passes(pool("{cidr: 10.0.0.0/28, blockSize: 26, disabled: true}"), NULL);
	passes(pool("{cidr: 10.0.0.0/16, blockSize: 0}"), NULL);
	passes(pool("{cidr: 'fd00::/112', blockSize: 116}"), NULL);
	passes(pool("{cidr: 'fd00::/112', blockSize: 128}"), NULL);
}

static void test_encapsulation(void **state)
{
	refused(pool("{cidr: 10.0.0.0/16, ipipMode: Always, vxlanMode: CrossSubnet}"), "spec.ipipMode",
		"exclude each other");
	refused(pool("{cidr: 'fd00::/64', ipipMode: Always}"), "spec.ipipMode", "IPv4 only");
	refused(pool("{cidr: 10.0.0.0/16, vxlanMode: always}"), "spec.vxlanMode",
		"\"always\" is not one of Never, Always, CrossSubnet: did you mean Always?");
	refused(pool("{cidr: 10.0.0.0/16, ipipMode: Sometimes}"), "spec.ipipMode",
		"one of Never, Always, CrossSubnet");
	passes(pool("{cidr: 10.0.0.0/16, ipipMode: CrossSubnet}"), NULL);
	passes(pool("{cidr: 'fd00::/64', vxlanMode: Always}"), NULL);
}

static void test_booleans(void **state)
{
	refused(pool("{cidr: 10.0.0.0/16, natOutgoing: yes}"), "spec.natOutgoing",
		"\"yes\" is not true or false");
	refused(pool("{cidr: 10.0.0.0/16, disabled: 1}"), "spec.disabled", "1 is not true or false");
	passes(pool("{cidr: 10.0.0.0/16, natOutgoing: True, disabled: false, disableBGPExport: true}"), NULL);
}

static void test_selectors(void **state)
{
	char *longest = xasprintf("{cidr: 10.0.0.0/16, nodeSelector: \"x == '%01017d'\"}", 7);
	char *longer = xasprintf("{cidr: 10.0.0.0/16, nodeSelector: \"x == '%01018d'\"}", 7);

	passes(pool(longest), NULL);
	refused(pool(longer), "spec.nodeSelector", "at most 1024 bytes");
	free(longest);
	free(longer);
	refused(pool("{cidr: 10.0.0.0/16, nodeSelector: \"has(x\"}"), "spec.nodeSelector",
		"is not a selector");
	refused(pool("{cidr: 10.0.0.0/16, nodeSelector: \"x in {'a')\"}"), "spec.nodeSelector",
		"is not a selector");
	refused(pool("{cidr: 10.0.0.0/16, nodeSelector: \"x == 'a\"}"), "spec.nodeSelector",
		"is not a selector");
	refused(pool("{cidr: 10.0.0.0/16, nodeSelector: \"global()\"}"), "spec.nodeSelector",
		"without global()");
	refused(pool("{cidr: 10.0.0.0/16, nodeSelector: \"a; b\"}"), "spec.nodeSelector",
		"is not a selector");
	refused(pool("{cidr: 10.0.0.0/16, nodeSelector: 3}"), "spec.nodeSelector", "3 is not a selector");
	passes(pool("{cidr: 10.0.0.0/16, nodeSelector: \"rack in {'a', \\\"b;\\\"} && !has(x.y/z-w) || (a != "
		    "'c')\"}"),
	       NULL);
	refused(pool("{cidr: 10.0.0.0/16, namespaceSelector: \"x == 'a'\"}"), "spec.namespaceSelector",
		"set allowedUses to [Workload]");
	passes(pool("{cidr: 10.0.0.0/16, namespaceSelector: \"x == 'a'\", allowedUses: [Workload]}"), NULL);
}

static void test_uses(void **state)
{
	refused(pool("{cidr: 10.0.0.0/16, allowedUses: [Workload, LoadBalancer]}"), "spec.allowedUses",
		"only use");
	refused(pool("{cidr: 10.0.0.0/16, allowedUses: [LoadBalancer], vxlanMode: Always}"), "spec.vxlanMode",
		"Never");
	refused(pool("{cidr: 10.0.0.0/16, allowedUses: [LoadBalancer], ipipMode: Always}"), "spec.ipipMode",
		"Never");
	refused(pool("{cidr: 10.0.0.0/16, allowedUses: [LoadBalancer], nodeSelector: has(x)}"),
		"spec.nodeSelector", "all()");
	refused(pool("{cidr: 10.0.0.0/16, allowedUses: [LoadBalancer], disableBGPExport: true}"),
		"spec.disableBGPExport", "exported");
	refused(pool("{cidr: 10.0.0.0/16, allowedUses: [Workloads]}"), "spec.allowedUses[0]",
		"did you mean Workload?");
	refused(pool("{cidr: 10.0.0.0/16, allowedUses: [Workload, 3]}"), "spec.allowedUses[1]",
		"3 is not one of");
	refused(pool("{cidr: 10.0.0.0/16, allowedUses: Workload}"), "spec.allowedUses", "is not a list");
	refused(pool("{cidr: 10.0.0.0/16, allowedUses: []}"), "spec.allowedUses", "empty");
	refused(pool("{cidr: 10.0.0.0/16, assignmentMode: manual}"), "spec.assignmentMode",
		"did you mean Manual?");
	passes(pool("{cidr: 10.0.0.0/16, allowedUses: [LoadBalancer]}"), NULL);
	passes(pool("{cidr: 10.0.0.0/16, allowedUses: [Tunnel], assignmentMode: Manual}"), NULL);
}

static void test_unknown_members(void **state)
{
	refused(pool("{cidr: 10.0.0.0/16, blocksize: 26}"), "spec.blocksize:", "did you mean blockSize?");
	refused(pool("{cdir: 10.0.0.0/16}"), "spec.cdir:", "did you mean cidr?");
	refused(pool("{cidr: 10.0.0.0/16, nat-outgoing: true}"),
		"spec.nat-outgoing:", "did you mean natOutgoing?");
	refused(pool("{cidr: 10.0.0.0/16, colour: red}"),
		"spec.colour:", "allowed here are cidr, vxlanMode, ipipMode");
	refused(doc_of("{kind: IPPool, apiVersion: projectcalico.org/v3, metadata: {name: p}, cidr: "
		       "10.0.0.0/16}"),
		"cidr:", "it belongs at spec.cidr");
	refused(doc_of("{kind: IPPool, apiVersion: projectcalico.org/v3, name: p, spec: {cidr: "
		       "10.0.0.0/16}}"),
		"name:", "it belongs at metadata.name");
	refused(doc_of("{kind: IPPool, apiVersion: projectcalico.org/v3, metadata: {name: p}}"), "spec",
		"missing");
}

static void test_updates(void **state)
{
	json_t *old = pool("{cidr: 10.0.0.0/16}"),
	       *lb = pool("{cidr: 10.0.0.0/16, allowedUses: [LoadBalancer]}");
	char field[KIND_FIELD_MAX];
	struct err e;

	refused_update(
		pool("{cidr: 10.0.0.0/17}"), json_incref(old), "spec.cidr",
		"it cannot be changed from \"10.0.0.0/16\" to \"10.0.0.0/17\": make a new IPPool instead");
	refused_update(pool("{cidr: 10.0.0.0/16, blockSize: 27}"), json_incref(old), "spec.blockSize",
		       "it cannot be changed from 26 to 27");
	refused_update(pool("{cidr: 10.0.0.0/16}"), json_incref(lb), "spec.allowedUses", "stays one");
	json_t *same = pool("{cidr: 10.0.0.0/16, blockSize: 26, natOutgoing: true}");
	assert_int_equal(kind_info(KIND_IPPOOL)->check(same, old, true, field, &e), 0);
	/* The stored one is not touched by being compared with. */
	assert_null(kind_get(old, "spec.blockSize"));
	json_decref(same);
	json_decref(old);
	json_decref(lb);
}

static void test_decode(void **state)
{
	struct ippool p;
	struct err e;
	char text[PREFIX_STR_MAX];
	json_t *doc = pool("{cidr: 192.168.0.0/16, ipipMode: CrossSubnet, vxlanMode: Never, natOutgoing: "
			   "true, blockSize: 24,"
			   " nodeSelector: has(x), allowedUses: [Tunnel], assignmentMode: Manual, "
			   "disableBGPExport: true,"
			   " future: {a: [1]}}");

	assert_int_equal(ippool_decode(doc, &p, &e), 0);
	json_decref(doc);
	assert_string_equal(p.name, "p");
	assert_string_equal(prefix_format(&p.cidr, text), "192.168.0.0/16");
	assert_int_equal(p.block_size, 24);
	assert_int_equal(p.ipip, POOL_ENCAP_CROSS_SUBNET);
	assert_int_equal(p.vxlan, POOL_ENCAP_NEVER);
	assert_int_equal(p.uses, POOL_USE_TUNNEL);
	assert_true(p.nat_outgoing && p.manual && p.disable_bgp_export && !p.disabled);
	assert_string_equal(p.node_selector, "has(x)");

	doc = pool("{cidr: 'fd00::/48', ipipMode: null, vxlanMode: '', blockSize: 0, allowedUses: null, "
		   "disabled: null}");
	assert_int_equal(ippool_decode(doc, &p, &e), 0);
	json_decref(doc);
	assert_int_equal(p.block_size, 122);
	assert_int_equal(p.uses, POOL_USE_WORKLOAD | POOL_USE_TUNNEL);
	assert_string_equal(p.node_selector, "");
	assert_false(p.disabled);
}

static void test_decode_unusable(void **state)
{
	static const char *const bad[][2] = {
		{ "{}", "spec.cidr: it is missing" },
		{ "{cidr: 10.0.0.0}", "spec.cidr" },
		{ "{cidr: 10.0.0.0/16, blockSize: 15}", "spec.blockSize: 15 is outside" },
		{ "{cidr: 10.0.0.0/16, ipipMode: What}", "spec.ipipMode" },
		{ "{cidr: 10.0.0.0/16, disabled: maybe}", "spec.disabled" },
	};
	struct ippool p = { .block_size = 99 };
	struct err e;

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		json_t *doc = pool(bad[i][0]);
		assert_int_equal(ippool_decode(doc, &p, &e), -EINVAL);
		assert_int_equal(strncmp(e.msg, bad[i][1], strlen(bad[i][1])), 0);
		json_decref(doc);
	}
	assert_int_equal(p.block_size, 99);
}

static void test_not_allocatable(void **state)
{
	struct ippool p;
	struct err e;
	json_t *doc = doc_of("{kind: IPPool, metadata: {name: p}, spec: {cidr: 10.0.0.0/16},"
			     " status: {conditions: [{type: Other, status: 'False'}, {type: Allocatable, "
			     "status: 'False'}]}}");

	assert_int_equal(ippool_decode(doc, &p, &e), 0);
	assert_true(p.disabled);
	json_decref(doc);
	doc = doc_of("{metadata: {name: p, deletionTimestamp: '2026-08-22T10:00:00Z'}, spec: {cidr: "
		     "10.0.0.0/16}}");
	assert_int_equal(ippool_decode(doc, &p, &e), 0);
	assert_true(p.disabled);
	json_decref(doc);
}

static struct ippool named(const char *name, const char *cidr)
{
	struct ippool p = { 0 };

	snprintf(p.name, sizeof(p.name), "%s", name);
	assert_true(prefix_parse(cidr, &p.cidr));
	return p;
}

static void test_overlap(void **state)
{
	struct ippool others[] = { named("a", "10.0.0.0/16"), named("b", "fd00::/64") };
	struct ippool inside = named("c", "10.0.4.0/24"), around = named("c", "10.0.0.0/8"),
		      beside = named("c", "10.1.0.0/16"), itself = named("a", "10.0.0.0/15");
	struct err e;

	assert_int_equal(ippool_check_overlap(&inside, others, 2, &e), -EEXIST);
	assert_string_equal(e.msg, "spec.cidr: 10.0.4.0/24 overlaps 10.0.0.0/16 of IPPool a");
	assert_int_equal(ippool_check_overlap(&around, others, 2, &e), -EEXIST);
	assert_int_equal(ippool_check_overlap(&beside, others, 2, &e), 0);
	assert_int_equal(ippool_check_overlap(&itself, others, 2, &e), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_defaults_and_order),
		cmocka_unit_test(test_cidr),
		cmocka_unit_test(test_block_size),
		cmocka_unit_test(test_encapsulation),
		cmocka_unit_test(test_booleans),
		cmocka_unit_test(test_selectors),
		cmocka_unit_test(test_uses),
		cmocka_unit_test(test_unknown_members),
		cmocka_unit_test(test_updates),
		cmocka_unit_test(test_decode),
		cmocka_unit_test(test_decode_unusable),
		cmocka_unit_test(test_not_allocatable),
		cmocka_unit_test(test_overlap),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
