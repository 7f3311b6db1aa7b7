/* WorkloadEndpoint: the names of facts section 5, rows 1 to 10, the rules, and keeping what others wrote. */
#include "check.h"

#include "model/wep.h"

static struct wep pod(const char *ns, const char *name)
{
	struct wep w = { .orchestrator = "k8s", .node = "node1", .endpoint = "eth0" };

	snprintf(w.namespace, sizeof(w.namespace), "%s", ns);
	snprintf(w.pod, sizeof(w.pod), "%s", name);
	return w;
}

static void test_interfaces(void **state)
{
	static const char *const rows[][3] = {
		{ "default", "nginx", "calic440f455693" },
		{ "default", "web-0", "cali0d7763386da" },
		{ "kube-system", "coredns-5d78c9869d-abcde", "cali4d5f75c480c" },
		{ "default", "nginx-7c5ddbdf54-x2x9k", "califdc86c7c78a" },
		{ "prod", "my-app-0", "cali219f1aeb76b" },
		{ "a", "b", "cali69f6642c9d7" },
		{ "test", "run1", "cali6c92af41991" },
		{ "default", "pod1", "calice0906292e2" },
	};
	char name[IFNAMSIZ];

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct wep w = pod(rows[i][0], rows[i][1]);
		wep_interface(&w, name);
		assert_string_equal(name, rows[i][2]);
	}
	struct wep w = pod("default", "nginx");
	wep_interface_prefixed("tap,cali", &w, name);
	assert_string_equal(name, "tapc440f455693");
	wep_interface_prefixed("averyveryverylongprefix", &w, name);
	assert_int_equal(strlen(name), IFNAMSIZ - 1);
	struct wep c = { .orchestrator = "cni", .container_id = "0a1b2c3d4e5f60718293" };
	wep_interface(&c, name);
	assert_string_equal(name, "cali0a1b2c3d4e5");
	snprintf(c.container_id, sizeof(c.container_id), "0a1b");
	wep_interface(&c, name);
	assert_string_equal(name, "cali0a1b");
}

static void test_names(void **state)
{
	struct wep w = pod("default", "nginx-7c5ddbdf54-x2x9k");
	char name[KIND_NAME_MAX], store[KIND_NAME_MAX];
	struct err e;

	strcpy(w.node, "node-1");
	assert_int_equal(wep_name(&w, name, &e), 0);
	assert_string_equal(name, "node--1-k8s-nginx--7c5ddbdf54--x2x9k-eth0");
	json_t *doc = wep_encode(&w, NULL, NULL, 0);
	const struct kind_info *k = kind_info(KIND_WEP);
	assert_int_equal(kind_store_name(k, doc, store, &e), 0);
	char *key = xasprintf("/calico/resources/v3/projectcalico.org/%s/%s", k->plural, store);
	assert_string_equal(key, "/calico/resources/v3/projectcalico.org/workloadendpoints/default/"
				 "node--1-k8s-nginx--7c5ddbdf54--x2x9k-eth0");
	free(key);
	json_decref(doc);
	struct wep c = { .orchestrator = "cni",
			 .node = "my-node",
			 .container_id = "0a1b2c3d4e5f60718293",
			 .endpoint = "eth0" };
	assert_int_equal(wep_name(&c, name, &e), 0);
	assert_string_equal(name, "my--node-cni-0a1b2c3d4e5f60718293-eth0");
	strcpy(c.orchestrator, "libnetwork");
	assert_int_equal(wep_name(&c, name, &e), 0);
	assert_string_equal(name, "my--node-libnetwork-libnetwork-eth0");
}

static void test_bad_names(void **state)
{
	struct wep empty = pod("default", ""), first = pod("default", "-x"), last = pod("default", "x-"),
		   longest = pod("default", "x");
	char name[KIND_NAME_MAX];
	struct err e;

	assert_int_equal(wep_name(&empty, name, &e), -EINVAL);
	assert_non_null(strstr(e.msg, "the pod is empty"));
	assert_int_equal(wep_name(&first, name, &e), -EINVAL);
	assert_int_equal(wep_name(&last, name, &e), -EINVAL);
	assert_non_null(strstr(e.msg, "begins or ends with \"-\""));
	memset(longest.node, 'a', 253);
	memset(longest.pod, '-', 253);
	longest.pod[0] = longest.pod[252] = 'b';
	assert_int_equal(wep_name(&longest, name, &e), -EINVAL);
	assert_non_null(strstr(e.msg, "too long"));
}

#define NGINX "orchestrator: k8s, node: node1, pod: nginx, endpoint: eth0"

static json_t *wep(const char *more)
{
	char *spec = xasprintf("{" NGINX "%s}", more);
	json_t *doc = make("WorkloadEndpoint", "node1-k8s-nginx-eth0", spec);

	free(spec);
	return doc;
}

static void test_rules(void **state)
{
	passes(wep(", ipNetworks: [192.168.166.128/32], interfaceName: calic440f455693, mac: "
		   "'9e:41:0c:aa:bb:cc',"
		   " containerID: 0a1b, profiles: [kns.default],"
		   " ports: [{name: http, protocol: TCP, port: 80, hostPort: 0, hostIP: ''}]"),
	       "{\"kind\":\"WorkloadEndpoint\",\"apiVersion\":\"projectcalico.org/v3\",\"metadata\":{"
	       "\"name\":\"node1-k8s-nginx-eth0\",\"namespace\":\"default\",\"labels\":{"
	       "\"projectcalico.org/namespace\":\"default\",\"projectcalico.org/"
	       "orchestrator\":\"k8s\"}},\"spec\":{"
	       "\"orchestrator\":\"k8s\",\"node\":\"node1\",\"containerID\":\"0a1b\",\"pod\":\"nginx\","
	       "\"endpoint\":\"eth0\",\"ipNetworks\":[\"192.168.166.128/32\"],\"profiles\":[\"kns.default\"],"
	       "\"interfaceName\":\"calic440f455693\",\"mac\":\"9e:41:0c:aa:bb:cc\",\"ports\":[{\"name\":"
	       "\"http\","
	       "\"protocol\":\"TCP\",\"port\":80,\"hostPort\":0,\"hostIP\":\"\"}]}}");
	refused(wep(", ipNetworks: [10.0.0.0/24]"), "spec.ipNetworks[0]", "is not a single address");
	refused(wep(", ipNetworks: [10.0.0.1/32, 'fd00::1/64']"), "spec.ipNetworks[1]",
		"is not a single address");
	refused(wep(", ipNetworks: [10.0.0.1/32], ipNATs: [{internalIP: 10.0.0.2, externalIP: 1.2.3.4}]"),
		"spec.ipNATs[0].internalIP", "10.0.0.2 is not one of the pod's ipNetworks");
	refused(wep(", ipv4Gateway: 'fd00::1'"), "spec.ipv4Gateway", "is not an IPv4 address");
	refused(wep(", ipv6Gateway: 10.0.0.1"), "spec.ipv6Gateway", "is not an IPv6 address");
	refused(wep(", interfaceName: abcdefghijklmnop"), "spec.interfaceName", "is not an interface name");
	refused(wep(", interfaceName: a/b"), "spec.interfaceName", "is not an interface name");
	refused(make("WorkloadEndpoint", "x", "{orchestrator: a b, node: n, pod: p, endpoint: eth0}"),
		"spec.orchestrator", "\"a b\" is not a name");
	refused(make("WorkloadEndpoint", "x", "{orchestrator: k8s, node: N, pod: p, endpoint: eth0}"),
		"spec.node", "is not a name");
	refused(make("WorkloadEndpoint", "x", "{orchestrator: k8s, node: n, pod: p/q, endpoint: eth0}"),
		"spec.pod", "is not a name");
	refused(make("WorkloadEndpoint", "x", "{orchestrator: k8s, node: n, pod: p, endpoint: eth/0}"),
		"spec.endpoint", "is not an interface name");
	refused(wep(", containerID: -x"), "spec.containerID", "is not a container id");
	refused(wep(", containerID: a.b"), "spec.containerID", "is not a container id");
	refused(wep(", mac: xx"), "spec.mac", "is not a MAC address");
	refused(wep(", ports: [{protocol: TCP}]"), "spec.ports[0].port", "it is missing");
	refused(wep(", ports: [{protocol: tcp, port: 1}]"), "spec.ports[0].protocol", "is not a protocol");
	refused(wep(", qosControls: {ingressBandwith: 3}"),
		"spec.qosControls.ingressBandwith:", "did you mean ingressBandwidth?");
	passes(wep(", ipNetworks: [10.0.0.1, 'fd00::1/128'], ipNATs: [{internalIP: 'fd00:0::1', externalIP: "
		   "'fd01::1'}],"
		   " ipv4Gateway: 169.254.1.1, ipv6Gateway: 'fe80::1', qosControls: {ingressBandwidth: "
		   "1000}"),
	       NULL);
}

static void test_computed_name(void **state)
{
	json_t *doc = doc_of(
		"{kind: WorkloadEndpoint, apiVersion: projectcalico.org/v3, metadata: {namespace: prod,"
		" labels: {projectcalico.org/namespace: wrong}}, spec: {" NGINX "}}");
	char field[KIND_FIELD_MAX];
	struct err e;

	assert_int_equal(kind_info(KIND_WEP)->check(doc, NULL, true, field, &e), 0);
	assert_string_equal(json_string_value(kind_get(doc, "metadata.name")), "node1-k8s-nginx-eth0");
	assert_string_equal(json_string_value(json_object_get(kind_get(doc, "metadata.labels"),
							      "projectcalico.org/namespace")),
			    "prod");
	json_decref(doc);
	refused(make("WorkloadEndpoint", "x", "{" NGINX "}"), "metadata.name",
		"\"x\" is not the name that spec gives: node1-k8s-nginx-eth0");
	refused(make("WorkloadEndpoint", "x", "{orchestrator: k8s, node: n, endpoint: eth0}"), "spec",
		"the pod is empty");
	refused(make("WorkloadEndpoint", "x", "{orchestrator: k8s, node: n}"), "spec.endpoint",
		"it is missing");
}

static void test_round_trip(void **state)
{
	struct wep w = pod("default", "nginx"), back;
	struct err e;

	assert_int_equal(wep_name(&w, w.name, &e), 0);
	wep_interface(&w, w.interface);
	assert_true(mac_parse("9e:41:0c:aa:bb:cc", &w.mac));
	assert_true(addr_parse("192.168.166.128", &w.addrs[0]));
	assert_true(addr_parse("fd00::1", &w.addrs[1]));
	w.naddrs = 2;
	strcpy(w.container_id, "0a1b");
	strcpy(w.profile, "seed");
	strcpy(w.netns, "/var/run/netns/x");
	json_t *doc = wep_encode(&w, NULL, NULL, 0);
	assert_int_equal(wep_decode(doc, &back, &e), 0);
	assert_memory_equal(&w, &back, sizeof(w));
	passes(doc, NULL);
}

static void test_keeps_what_others_wrote(void **state)
{
	json_t *base = doc_of(
		"{kind: WorkloadEndpoint, metadata: {name: n, namespace: default, uid: u, labels: {app: "
		"nginx},"
		" annotations: {a: b, korat.io/netns: /old}, new: 1}, spec: {orchestrator: k8s, node: node1,"
		" pod: nginx, endpoint: eth0, profiles: [net, kns.default], mac: '9e:41:0c:aa:bb:cc',"
		" ipNetworks: [10.0.0.1/32], serviceAccountName: sa, newer: [1]}}");
	struct wep w;
	struct err e;

	assert_int_equal(wep_decode(base, &w, &e), 0);
	assert_string_equal(w.netns, "/old");
	assert_string_equal(w.profile, "net");
	w.netns[0] = '\0';
	w.naddrs = 0;
	memset(&w.mac, 0, sizeof(w.mac));
	json_t *doc = wep_encode(&w, base, NULL, 0);
	assert_int_equal(json_integer_value(kind_get(doc, "metadata.new")), 1);
	assert_string_equal(json_string_value(kind_get(doc, "metadata.uid")), "u");
	assert_string_equal(json_string_value(kind_get(doc, "metadata.labels.app")), "nginx");
	assert_int_equal(json_object_size(kind_get(doc, "metadata.annotations")), 1);
	assert_string_equal(json_string_value(kind_get(doc, "spec.serviceAccountName")), "sa");
	assert_non_null(kind_get(doc, "spec.newer"));
	assert_null(kind_get(doc, "spec.mac"));
	assert_null(kind_get(doc, "spec.ipNetworks"));
	assert_int_equal(json_array_size(kind_get(doc, "spec.profiles")), 2);
	/* base itself is not changed. */
	assert_non_null(kind_get(base, "spec.mac"));
	json_decref(base);
	json_decref(doc);
}

static void test_decode_limits(void **state)
{
	struct wep w;
	struct err e;
	json_t *doc = doc_of(
		"{spec: {ipNetworks: [1.1.1.1, 1.1.1.2, 1.1.1.3, 1.1.1.4, 1.1.1.5, 1.1.1.6, 1.1.1.7, 1.1.1.8,"
		" 1.1.1.9]}}");

	assert_int_equal(wep_decode(doc, &w, &e), -EINVAL);
	json_decref(doc);
	doc = doc_of("{spec: {ipNetworks: [1.1.1.0/24]}}");
	assert_int_equal(wep_decode(doc, &w, &e), -EINVAL);
	json_decref(doc);
	doc = doc_of("{spec: {interfaceName: abcdefghijklmnop}}");
	assert_int_equal(wep_decode(doc, &w, &e), -EINVAL);
	json_decref(doc);
	doc = doc_of("{spec: {interfaceName: '', mac: null, pod: null}}");
	assert_int_equal(wep_decode(doc, &w, &e), 0);
	assert_string_equal(w.namespace, "default");
	json_decref(doc);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_interfaces),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_bad_names),
		cmocka_unit_test(test_rules),
		cmocka_unit_test(test_computed_name),
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_keeps_what_others_wrote),
		cmocka_unit_test(test_decode_limits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
