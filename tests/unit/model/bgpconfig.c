/* BGPConfiguration: names, what only "default" may say, and what depends on what. */
#include "check.h"

#include "model/bgpconfig.h"

static json_t *conf(const char *spec)
{
	return make("BGPConfiguration", "default", spec);
}

static json_t *node(const char *spec)
{
	return make("BGPConfiguration", "node.n1", spec);
}

static void test_names(void **state)
{
	passes(conf("{}"), "{\"kind\":\"BGPConfiguration\",\"apiVersion\":\"projectcalico.org/v3\","
			   "\"metadata\":{\"name\":\"default\"},\"spec\":{}}");
	passes(node("{listenPort: 1790}"), NULL);
	refused(make("BGPConfiguration", "other", "{}"), "metadata.name",
		"neither \"default\" nor \"node.\"");
	refused(make("BGPConfiguration", "node.", "{}"), "metadata.name", "is not a name");
	refused(make("BGPConfiguration", "node", "{}"), "metadata.name", "neither");
}

static void test_only_default(void **state)
{
	static const char *const specs[][2] = {
		{ "nodeToNodeMeshEnabled", "{nodeToNodeMeshEnabled: true}" },
		{ "asNumber", "{asNumber: 65000}" },
		{ "serviceLoadBalancerIPs", "{serviceLoadBalancerIPs: [{cidr: 10.0.0.0/24}]}" },
		{ "serviceExternalIPs", "{serviceExternalIPs: [{cidr: 10.0.0.0/24}]}" },
		{ "serviceClusterIPs", "{serviceClusterIPs: [{cidr: 10.0.0.0/24}]}" },
		{ "nodeMeshPassword", "{nodeMeshPassword: {secretKeyRef: {name: a, key: b}}}" },
		{ "nodeMeshMaxRestartTime", "{nodeMeshMaxRestartTime: 60s}" },
	};
	char path[64];

	for (size_t i = 0; i < ARRAY_SIZE(specs); i++) {
		passes(conf(specs[i][1]), NULL);
		snprintf(path, sizeof(path), "spec.%s", specs[i][0]);
		refused(node(specs[i][1]), path, "allowed only in BGPConfiguration default, not in node.n1");
	}
}

static void test_mesh(void **state)
{
	refused(conf("{nodeToNodeMeshEnabled: false, nodeMeshMaxRestartTime: 60s}"),
		"spec.nodeMeshMaxRestartTime", "nodeToNodeMeshEnabled is false");
	refused(conf("{nodeToNodeMeshEnabled: false, nodeMeshPassword: {secretKeyRef: {name: a, key: b}}}"),
		"spec.nodeMeshPassword", "nodeToNodeMeshEnabled is false");
	refused(conf("{nodeMeshPassword: {secretKeyRef: {name: a}}}"),
		"spec.nodeMeshPassword.secretKeyRef.key", "it is missing");
	passes(conf("{nodeToNodeMeshEnabled: false}"), NULL);
}

static void test_communities(void **state)
{
	passes(conf("{prefixAdvertisements: [{cidr: 10.0.0.0/16, communities: ['65000:1', '1:2:3', "
		    "bgp-large]}],"
		    " communities: [{name: bgp-large, value: '65000:4294967295:1'}]}"),
	       NULL);
	refused(conf("{communities: [{name: a, value: '1:2'}]}"), "spec.communities",
		"no prefixAdvertisements");
	refused(conf("{communities: [{name: a, value: '65536:2'}]}"), "spec.communities[0].value",
		"is not a community");
	refused(conf("{communities: [{name: a, value: '1:2:3:4'}]}"), "spec.communities[0].value",
		"is not a community");
	refused(conf("{communities: [{name: a, value: '1:'}]}"), "spec.communities[0].value",
		"is not a community");
	refused(conf("{communities: [{value: '1:2'}]}"), "spec.communities[0].name", "it is missing");
	refused(conf("{prefixAdvertisements: [{cidr: 10.0.0.0/16, communities: [none]}]}"),
		"spec.prefixAdvertisements[0].communities[0]", "neither a community");
	refused(conf("{prefixAdvertisements: [{communities: ['1:2']}]}"), "spec.prefixAdvertisements[0].cidr",
		"it is missing");
	refused(conf("{prefixAdvertisements: [{cidr: 10.0.0.0/16, communities: [3]}]}"),
		"spec.prefixAdvertisements[0].communities[0]", "3 is not a string");
}

static void test_values(void **state)
{
	refused(conf("{listenPort: 0}"), "spec.listenPort", "0 is not an integer 1..65535");
	refused(conf("{listenPort: 65536}"), "spec.listenPort", "65536 is not an integer 1..65535");
	refused(conf("{asNumber: 0}"), "spec.asNumber", "is not an AS number");
	refused(conf("{bindMode: nodeip}"), "spec.bindMode", "did you mean NodeIP?");
	refused(conf("{logSeverityScreen: Loud}"), "spec.logSeverityScreen",
		"one of Debug, Info, Warning, Error, Fatal");
	refused(conf("{ignoredInterfaces: ['*']}"), "spec.ignoredInterfaces[0]", "not just \"*\"");
	refused(conf("{ignoredInterfaces: [abcdefghijklmnop]}"), "spec.ignoredInterfaces[0]",
		"is not an interface");
	refused(conf("{ignoredInterfaces: ['a/b']}"), "spec.ignoredInterfaces[0]", "is not an interface");
	refused(conf("{localWorkloadPeeringIPV4: 'fd00::1'}"), "spec.localWorkloadPeeringIPV4",
		"is not an IPv4");
	refused(conf("{programClusterRoutes: Off}"), "spec.programClusterRoutes",
		"one of Disabled, EnabledNoEncapOnly");
	refused(conf("{ipv4NormalRoutePriority: 0}"), "spec.ipv4NormalRoutePriority", "1..2147483646");
	refused(conf("{ipv6NormalRoutePriority: 2147483647}"), "spec.ipv6NormalRoutePriority",
		"1..2147483646");
	refused(conf("{serviceClusterIPs: [10.0.0.0/24]}"), "spec.serviceClusterIPs[0]",
		"is not a map of fields");
	refused(conf("{serviceLoadBalancerAggregation: true}"), "spec.serviceLoadBalancerAggregation",
		"true is not one of Enabled, Disabled");
	refused(conf("{nodeToNodeMesh: false}"),
		"spec.nodeToNodeMesh:", "did you mean nodeToNodeMeshEnabled?");
	passes(conf("{listenPort: 1, bindMode: NodeIP, logSeverityScreen: Debug, ignoredInterfaces: [eth*, "
		    "'veth.1'],"
		    " localWorkloadPeeringIPV4: 169.254.1.1, localWorkloadPeeringIPV6: 'fe80::1', "
		    "programClusterRoutes:"
		    " Enabled, ipv4NormalRoutePriority: 1, serviceLoadBalancerAggregation: Disabled}"),
	       NULL);
}

static void test_durations(void **state)
{
	static const struct {
		const char *text;
		uint32_t seconds;
		bool ok;
	} cases[] = { { "120s", 120, true }, { "2m", 120, true },     { "1h30m", 5400, true },
		      { "1.5s", 2, true },   { "500ms", 1, true },    { "'0'", 0, true },
		      { "0s", 0, true },     { "120", 0, false },     { "'120'", 0, false },
		      { "2 m", 0, false },   { "s", 0, false },	      { "-2s", 0, false },
		      { "2d", 0, false },    { "1e3s", 0, false },    { "0x10s", 0, false },
		      { "nans", 0, false },  { "9999999h", 0, false } };

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char *spec = xasprintf("{nodeMeshMaxRestartTime: %s}", cases[i].text);
		struct bgpconfig c;
		struct err e;
		if (cases[i].ok) {
			json_t *doc = conf(spec);
			assert_int_equal(bgpconfig_decode(doc, &c, &e), 0);
			assert_int_equal(c.restart_time, cases[i].seconds);
			passes(doc, NULL);
		} else {
			refused(conf(spec), "spec.nodeMeshMaxRestartTime", "is not a duration such as");
		}
		free(spec);
	}
}

static void test_decode(void **state)
{
	struct bgpconfig c;
	struct err e;
	json_t *doc = conf("{asNumber: '65000', nodeToNodeMeshEnabled: false, listenPort: 1790, bindMode: "
			   "NodeIP, new: 1}");

	assert_int_equal(bgpconfig_decode(doc, &c, &e), 0);
	assert_string_equal(c.name, "default");
	assert_true(c.has_mesh && !c.mesh && c.has_asn && c.bind_node_ip);
	assert_int_equal(c.asn, 65000);
	assert_int_equal(c.port, 1790);
	json_decref(doc);
	doc = doc_of("{metadata: {name: default}, spec: {asNumber: null, nodeToNodeMeshEnabled: null, "
		     "bindMode: ''}}");
	assert_int_equal(bgpconfig_decode(doc, &c, &e), 0);
	assert_false(c.has_mesh || c.has_asn || c.bind_node_ip);
	assert_int_equal(c.port, 0);
	json_decref(doc);
	doc = conf("{listenPort: 70000}");
	assert_int_equal(bgpconfig_decode(doc, &c, &e), -EINVAL);
	json_decref(doc);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names),  cmocka_unit_test(test_only_default),
		cmocka_unit_test(test_mesh),   cmocka_unit_test(test_communities),
		cmocka_unit_test(test_values), cmocka_unit_test(test_durations),
		cmocka_unit_test(test_decode),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
