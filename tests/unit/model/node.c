/* Node: addresses, AS numbers, and what is stored. */
#include "check.h"

#include "model/node.h"

static json_t *node(const char *spec)
{
	return make("Node", "n1", spec);
}

static void test_rules(void **state)
{
	passes(node("{bgp: {ipv4Address: 172.16.67.138/24}}"),
	       "{\"kind\":\"Node\",\"apiVersion\":\"projectcalico.org/v3\",\"metadata\":{\"name\":\"n1\"},"
	       "\"spec\":{\"bgp\":{\"ipv4Address\":\"172.16.67.138/24\"}},\"status\":{}}");
	passes(doc_of("{kind: Node, apiVersion: projectcalico.org/v3, metadata: {name: n1}}"),
	       "{\"kind\":\"Node\",\"apiVersion\":\"projectcalico.org/v3\",\"metadata\":{\"name\":\"n1\"},"
	       "\"spec\":{},\"status\":{}}");
	passes(node("{bgp: {ipv6Address: 'fd00::1/64', asNumber: '1.10', routeReflectorClusterID: 244.0.0.1},"
		    " orchRefs: [{nodeName: n1, orchestrator: k8s}], addresses: [{address: 10.0.0.1, type: "
		    "InternalIP},"
		    " {address: 10.0.0.1/24, type: CalicoNodeIP}], wireguard: {interfaceIPv4Address: "
		    "10.1.1.1},"
		    " interfaces: [{name: ens192, addresses: [10.0.0.1]}], vxlanTunnelMACAddr: "
		    "'66:01:02:03:04:05'}"),
	       NULL);
	/* However it was written, an AS number is stored as a number. */
	passes(node("{bgp: {ipv4Address: 10.0.0.1/24, asNumber: '1.10'}}"),
	       "{\"kind\":\"Node\",\"apiVersion\":\"projectcalico.org/v3\",\"metadata\":{\"name\":\"n1\"},"
	       "\"spec\":{\"bgp\":{\"asNumber\":65546,\"ipv4Address\":\"10.0.0.1/24\"}},\"status\":{}}");
	refused(node("{bgp: {}}"), "spec.bgp", "a node without address");
	refused(node("{bgp: {asNumber: 65000}}"), "spec.bgp", "a node without address");
	refused(node("{bgp: {ipv4Address: 10.0.0.1}}"), "spec.bgp.ipv4Address",
		"\"10.0.0.1\" is not an IPv4 address with its prefix length, such as 10.0.0.1/24");
	refused(node("{bgp: {ipv4Address: 'fd00::1/64'}}"), "spec.bgp.ipv4Address", "is not an IPv4 address");
	refused(node("{bgp: {ipv6Address: 10.0.0.1/24}}"), "spec.bgp.ipv6Address", "is not an IPv6 address");
	refused(node("{bgp: {ipv4Address: 127.0.0.1/8}}"), "spec.bgp.ipv4Address", "other nodes can reach");
	refused(node("{bgp: {ipv4Address: 224.0.0.5/24}}"), "spec.bgp.ipv4Address", "other nodes can reach");
	refused(node("{bgp: {ipv6Address: '::/0'}}"), "spec.bgp.ipv6Address", "other nodes can reach");
	refused(node("{bgp: {ipv4Address: 10.0.0.1/24, routeReflectorClusterID: 'fd00::1'}}"),
		"spec.bgp.routeReflectorClusterID", "is not an IPv4 address");
	refused(node("{bgp: {ipv4Address: 10.0.0.1/24, routeReflectorClusterID: 5}}"),
		"spec.bgp.routeReflectorClusterID", "5 is not");
	refused(node("{addresses: [{type: InternalIP}]}"), "spec.addresses[0].address", "it is missing");
	refused(node("{addresses: [{address: 10.0.0.1, type: internalIP}]}"), "spec.addresses[0].type",
		"did you mean InternalIP?");
	refused(node("{vxlanTunnelMACAddr: '66:01'}"), "spec.vxlanTunnelMACAddr", "is not a MAC address");
	refused(node("{bpg: {ipv4Address: 10.0.0.1/24}}"), "spec.bpg:", "did you mean bgp?");
	refused(node("{bgp: 3}"), "spec.bgp", "3 is not a map of fields");
	refused(make("Node", "Node1", "{}"), "metadata.name", "\"Node1\" is not a name: lower-case letters");
	refused(make("Node", "n1-", "{}"), "metadata.name", "is not a name");
}

static void test_as_numbers(void **state)
{
	static const struct {
		const char *text;
		int64_t asn; /* 0: refused */
	} cases[] = {
		{ "65000", 65000 },
		{ "1", 1 },
		{ "4294967295", 4294967295 },
		{ "'65000'", 65000 },
		{ "'4294967295'", 4294967295 },
		{ "'1.10'", 65546 },
		{ "'0.1'", 1 },
		{ "'65535.65535'", 4294967295 },
		{ "0", 0 },
		{ "-1", 0 },
		{ "4294967296", 0 },
		{ "'4294967296'", 0 },
		{ "'1.65536'", 0 },
		{ "'65536.1'", 0 },
		{ "'1.'", 0 },
		{ "'.1'", 0 },
		{ "'1.2.3'", 0 },
		{ "'0.0'", 0 },
		{ "''", 0 },
		{ "'x'", 0 },
		{ "' 1'", 0 },
		{ "'+1'", 0 },
		{ "'01'", 0 },
		{ "1.5", 0 },
		{ "true", 0 },
		{ "[1]", 0 },
		{ "'18446744073709551617'", 0 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char *spec = xasprintf("{bgp: {ipv4Address: 10.0.0.1/24, asNumber: %s}}", cases[i].text);
		json_t *doc = node(spec);
		struct node n = { 0 };
		struct err e;
		free(spec);
		if (cases[i].asn) {
			assert_int_equal(node_decode(doc, &n, &e), 0);
			assert_true(n.has_asn);
			assert_int_equal(n.asn, cases[i].asn);
			passes(doc, NULL);
		} else {
			assert_int_equal(node_decode(doc, &n, &e), -EINVAL);
			refused(doc, "spec.bgp.asNumber", "is not an AS number: 1..4294967295");
		}
	}
}

static void test_decode_tolerates(void **state)
{
	struct node n;
	struct err e;
	char text[PREFIX_STR_MAX];
	json_t *doc =
		doc_of("{metadata: {name: n1, creationTimestamp: null}, spec: {bgp: {ipv4Address: 10.0.0.1,"
		       " ipv6Address: null, new: 1}, x: {}}}");

	assert_int_equal(node_decode(doc, &n, &e), 0);
	assert_string_equal(n.name, "n1");
	assert_string_equal(prefix_format(&n.net4, text), "10.0.0.1/32");
	assert_false(addr_is_set(&n.ipv6));
	assert_false(n.has_asn);
	json_decref(doc);
	doc = doc_of("{metadata: {name: n1}}");
	assert_int_equal(node_decode(doc, &n, &e), 0);
	assert_false(addr_is_set(&n.ipv4));
	json_decref(doc);
	doc = doc_of("{metadata: {name: n1}, spec: {bgp: {ipv4Address: 'fd00::1/64'}}}");
	assert_int_equal(node_decode(doc, &n, &e), -EINVAL);
	assert_non_null(strstr(e.msg, "spec.bgp.ipv4Address"));
	json_decref(doc);
}

static void test_encode(void **state)
{
	static const uint8_t uid[16] = { 0xff, [15] = 1 };
	struct node n = { .name = "node2", .has_asn = true, .asn = 64512, .cluster_id = 0xf4000001 }, back;
	struct err e;

	assert_null(node_encode(&n, uid, 0));
	assert_true(addr_parse_cidr("172.16.67.138/24", &n.ipv4, &n.net4));
	assert_true(addr_parse_cidr("fd00::8/64", &n.ipv6, &n.net6));
	json_t *doc = node_encode(&n, uid, 1787392800000000000);
	char *text = kind_dump_json(doc);
	assert_string_equal(
		text,
		"{\"kind\":\"Node\",\"apiVersion\":\"projectcalico.org/v3\",\"metadata\":{\"name\":\"node2\","
		"\"uid\":\"ff000000-0000-4000-8000-000000000001\",\"creationTimestamp\":\"2026-08-22T10:00:"
		"00Z\"},"
		"\"spec\":{\"bgp\":{\"asNumber\":64512,\"ipv4Address\":\"172.16.67.138/"
		"24\",\"ipv6Address\":\"fd00::8/64\","
		"\"routeReflectorClusterID\":\"244.0.0.1\"},\"addresses\":[{\"address\":\"172.16.67.138/24\","
		"\"type\":\"CalicoNodeIP\"},{\"address\":\"fd00::8/"
		"64\",\"type\":\"CalicoNodeIP\"}]},\"status\":{}}");
	free(text);
	assert_int_equal(node_decode(doc, &back, &e), 0);
	assert_memory_equal(&n.ipv4, &back.ipv4, sizeof(n.ipv4));
	assert_memory_equal(&n.net6, &back.net6, sizeof(n.net6));
	assert_int_equal(back.cluster_id, n.cluster_id);
	passes(doc, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rules),
		cmocka_unit_test(test_as_numbers),
		cmocka_unit_test(test_decode_tolerates),
		cmocka_unit_test(test_encode),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
