/* Lab files: what they say, and every way in which they are refused, with its place. */
#include "ctl/lab_file.h"

#include "base/check.h"
#include "base/str.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#define HEAD                            \
	"apiVersion: lab.korat.io/v1\n" \
	"kind: Lab\n"                   \
	"name: t\n"
#define LAN                \
	HEAD "segments:\n" \
	     "  - {name: lan, subnet: 10.0.0.0/24, subnet6: 'fd00::/64'}\n"
#define NODE           \
	LAN "nodes:\n" \
	    "  - {name: a, segment: lan, address: 10.0.0.1/24}\n"
#define POOL                                     \
	"resources:\n"                           \
	"  - apiVersion: projectcalico.org/v3\n" \
	"    kind: IPPool\n"                     \
	"    metadata: {name: p}\n"              \
	"    spec: {cidr: 10.8.0.0/16}\n"

static int parse(const char *text, struct lab *ret, struct err *e)
{
	struct yaml y = { 0 };
	int r = yaml_parse("t.yaml", text, strlen(text), &y, e);

	if (r < 0)
		return r;
	r = lab_decode(&y, ret, e);
	yaml_done(&y);
	return r;
}

static void refused(const char *text, const char *where, const char *what)
{
	struct lab lab = { 0 };
	struct err e = { 0 };

	if (parse(text, &lab, &e) == 0) {
		lab_done(&lab);
		fail_msg("taken, instead of '%s':\n%s", what, text);
	}
	if (strncmp(e.msg, where, strlen(where)) != 0 || !strstr(e.msg, what))
		fail_msg("expected '%s ... %s', got '%s' for:\n%s", where, what, e.msg, text);
}

static void taken(const char *text)
{
	struct lab lab = { 0 };
	struct err e = { 0 };

	if (parse(text, &lab, &e) < 0)
		fail_msg("refused: %s\n%s", e.msg, text);
	lab_done(&lab);
}

static void assert_addr(const struct addr *a, const char *want)
{
	char text[ADDR_STR_MAX];

	assert_string_equal(addr_format(a, text), want);
}

static void test_seed(void **state)
{
	own_lab struct lab l = { 0 };
	struct err e = { 0 };
	char mac[MAC_STR_MAX];

	if (lab_read_file(EXAMPLES "/seed.yaml", &l, &e) < 0)
		fail_msg("%s", e.msg);
	assert_string_equal(l.name, "seed");
	assert_int_equal(l.nsegments, 1);
	assert_int_equal(l.nnodes, 2);
	assert_int_equal(l.npods, 2);
	assert_true(lab_is_flat(&l));
	const struct lab_iface *i = &lab_node(&l, "node2")->iface;
	assert_addr(&i->addr4, "172.16.67.138");
	assert_int_equal(i->len4, 24);
	assert_int_equal(i->metric, 100);
	assert_addr(&i->gw4, "none");
	assert_string_equal(i->name, "ens192");
	assert_string_equal(mac_format(&i->mac, mac), "00:50:56:95:8d:20");
	i = &lab_node(&l, "node3")->iface;
	assert_addr(&i->addr4, "172.16.67.139");
	assert_addr(&i->gw4, "172.16.67.1");
	assert_string_equal(mac_format(&i->mac, mac), "00:50:56:95:58:0c");
	assert_addr(&l.pods[0].ip, "10.8.112.2");
	assert_string_equal(l.pods[0].node, "node2");
	assert_memory_equal(l.pods[0].id, "459253b413d", 11);
	assert_addr(&l.pods[1].ip, "10.8.152.200");
	assert_string_equal(l.pods[1].node, "node3");
	assert_memory_equal(l.pods[1].id, "9e48d9de449", 11);
	assert_int_equal(json_array_size(l.resources), 2);
}

static void test_routed(void **state)
{
	own_lab struct lab l = { 0 };
	struct err e = { 0 };

	if (lab_read_file(EXAMPLES "/routed.yaml", &l, &e) < 0)
		fail_msg("%s", e.msg);
	assert_false(lab_is_flat(&l));
	assert_int_equal(l.nrouters, 1);
	assert_int_equal(l.routers[0].nifs, 2);
	assert_string_equal(l.routers[0].ifs[1].name, "eth1");
	assert_addr(&l.routers[0].ifs[1].addr4, "172.16.66.1");
	assert_addr(&lab_node(&l, "node3")->iface.addr4, "172.16.66.139");
	assert_addr(&lab_node(&l, "node3")->iface.gw4, "172.16.66.1");
}

static void test_dual_stack(void **state)
{
	own_lab struct lab l = { 0 };
	struct err e = { 0 };

	if (lab_read_file(EXAMPLES "/dual-stack.yaml", &l, &e) < 0)
		fail_msg("%s", e.msg);
	assert_addr(&lab_node(&l, "node3")->iface.addr6, "fd00:67::139");
	assert_int_equal(lab_node(&l, "node3")->iface.len6, 64);
	assert_int_equal(json_array_size(l.resources), 2);
}

/* What the state file keeps is the same lab again. */
static void same_again(const struct lab *l)
{
	own_lab struct lab again = { 0 };
	struct err e = { 0 };
	json_t *doc = lab_encode(l);

	if (lab_decode_json(doc, &again, &e) < 0)
		fail_msg("%s", e.msg);
	json_t *twice = lab_encode(&again);
	assert_true(json_equal(doc, twice));
	json_decref(doc);
	json_decref(twice);
}

static void test_round_trip(void **state)
{
	own_lab struct lab seed = { 0 }, routed = { 0 }, rich = { 0 };
	struct err e = { 0 };

	assert_int_equal(lab_read_file(EXAMPLES "/seed.yaml", &seed, &e), 0);
	same_again(&seed);
	assert_int_equal(lab_read_file(EXAMPLES "/routed.yaml", &routed, &e), 0);
	same_again(&routed);
	assert_int_equal(
		parse(LAN
		      "routers:\n"
		      "  - {name: r, interfaces: [{segment: lan, interface: up0, address6: 'fd00::9/64'}]}\n"
		      "nodes:\n"
		      "  - {name: a, segment: lan, address6: 'fd00::1/64', gateway6: 'fe80::1'}\n"
		      "  - {name: b, segment: lan, address: 10.0.0.2/24, gateway: 10.0.0.9, metric: 7}\n" POOL
		      "pods:\n"
		      "  - {name: p1, node: b}\n"
		      "cni: {mtu: 1400}\n",
		      &rich, &e),
		0);
	same_again(&rich);
}

static void test_generate(void **state)
{
	static const size_t sizes[] = { 1, 5, LAB_NODES_MAX };

	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		own_lab struct lab l = { 0 };
		lab_generate(sizes[i], &l);
		assert_int_equal(l.nnodes, sizes[i]);
		assert_int_equal(l.npods, sizes[i]);
		assert_true(lab_is_flat(&l));
		assert_string_equal(l.nodes[0].name, "node1");
		assert_addr(&l.nodes[0].iface.addr4, "10.100.0.1");
		assert_int_equal(l.nodes[0].iface.len4, 16);
		assert_string_equal(l.pods[sizes[i] - 1].node, l.nodes[sizes[i] - 1].name);
		assert_int_equal(strlen(l.pods[0].id), 64);
		same_again(&l);
	}
}

static void test_change(void **state)
{
	own_lab struct lab l = { 0 };
	char buf[LAB_NETNS_MAX], id[LAB_ID_MAX];

	lab_generate(3, &l);
	lab_del_pod(&l, "pod2");
	lab_del_node(&l, "node2");
	lab_del_node(&l, "nobody");
	assert_int_equal(l.nnodes, 2);
	assert_null(lab_node(&l, "node2"));
	assert_null(lab_pod(&l, "pod2"));
	assert_string_equal(lab_node(&l, "node3")->name, "node3");
	assert_string_equal(lab_pod(&l, "pod3")->node, "node3");
	same_again(&l);
	assert_string_equal(lab_netns("node1", buf), "korat-node1");
	assert_string_equal(lab_netns_segment("lan", buf), "korat-seg-lan");
	lab_make_id("pod3", id);
	assert_string_equal(id, l.pods[1].id);
}

static void test_the_whole(void **state)
{
	refused("", "", "empty");
	refused("- 1\n", "t.yaml:1:1:", "a lab must be a mapping");
	refused("kind: Lab\n", "t.yaml:1:", "a lab needs the field 'apiVersion'");
	refused("apiVersion: v1\n", "t.yaml:1:13:", "must be lab.korat.io/v1, not 'v1'");
	refused("apiVersion: lab.korat.io/v1\nkind: Laboratory\n",
		"t.yaml:2:7:", "must be Lab, not 'Laboratory'");
	refused("apiVersion: lab.korat.io/v1\nkind: Lab\n", "t.yaml:1:", "needs the field 'name'");
	refused(HEAD, "t.yaml:1:", "needs the field 'segments'");
	refused(LAN, "t.yaml:1:", "needs the field 'nodes'");
	refused(LAN "nodes: []\n", "t.yaml:6:", "at least one node");
	refused(NODE "---\n" NODE, "t.yaml:9:", "one document");
	refused(NODE "colour: red\n",
		"t.yaml:8:1:", "a lab has no field 'colour': allowed are apiVersion, kind, name");
	refused(NODE "pod: []\n", "t.yaml:8:1:", "did you mean 'pods'?");
	refused(HEAD "segments: 3\n", "t.yaml:4:11:", "must be a list");
	refused(HEAD "segments:\n  - {name: lan\n", "t.yaml:", "");
	taken(NODE);
}

static void test_names(void **state)
{
	refused("apiVersion: lab.korat.io/v1\nkind: Lab\nname: 12\n", "t.yaml:3:7:", "put it in quotes");
	refused("apiVersion: lab.korat.io/v1\nkind: Lab\nname: The Lab\n",
		"t.yaml:3:7:", "is no name: allowed are");
	refused("apiVersion: lab.korat.io/v1\nkind: Lab\nname: -a\n",
		"t.yaml:3:7:", "is no name: allowed are");
	refused("apiVersion: lab.korat.io/v1\nkind: Lab\nname: ../x\n",
		"t.yaml:3:7:", "is no name: allowed are");
	refused(LAN "  - {name: lan, subnet: 10.0.1.0/24}\n",
		"t.yaml:6:12:", "the name 'lan' is already taken by segments[0].name");
	refused(NODE "  - {name: a, segment: lan, address: 10.0.0.2/24}\n",
		"t.yaml:8:12:", "the name 'a' is already taken by nodes[0].name");
	refused(NODE "  - {name: seg-lan, segment: lan, address: 10.0.0.2/24}\n",
		"t.yaml:8:12:", "kept for segments");
	refused(NODE POOL "pods:\n  - {name: a, node: a}\n",
		"t.yaml:14:12:", "the name 'a' is already taken by nodes[0].name");
}

static void test_segments(void **state)
{
	refused(HEAD "segments:\n  - {name: lan}\n", "t.yaml:5:", "needs a 'subnet'");
	refused(HEAD "segments:\n  - {name: lan, subnet: 10.0.0.1/24}\n",
		"t.yaml:5:25:", "did you mean '10.0.0.0/24'?");
	refused(HEAD "segments:\n  - {name: lan, subnet: here}\n", "t.yaml:5:25:", "is no IPv4 network");
	refused(HEAD "segments:\n  - {name: lan, subnet: 'fd00::/64'}\n",
		"t.yaml:5:25:", "is no IPv4 network");
	refused(HEAD "segments:\n  - {name: lan, subnet6: 10.0.0.0/24}\n",
		"t.yaml:5:26:", "is no IPv6 network");
	refused(LAN "  - {name: two, subnet: 10.0.0.128/25}\n",
		"t.yaml:6:", "overlaps with that of segment lan");
	refused(LAN "  - {name: two, subnet6: 'fd00::/48'}\n",
		"t.yaml:6:", "overlaps with that of segment lan");
}

static void test_nodes(void **state)
{
	refused(LAN "nodes:\n  - {name: b, segment: lna, address: 10.0.0.1/24}\n",
		"t.yaml:7:24:", "there is no segment 'lna': did you mean 'lan'? segments are lan");
	refused(LAN "nodes:\n  - {name: b, segment: lan, adress: 10.0.0.1/24}\n",
		"t.yaml:7:29:", "a node has no field 'adress': did you mean 'address'?");
	refused(LAN "nodes:\n  - {name: b, segment: lan}\n", "t.yaml:7:", "an address is missing");
	refused(LAN "nodes:\n  - {name: b, segment: lan, address: 10.0.0.1}\n",
		"t.yaml:7:38:", "is no IPv4 address with a prefix length");
	refused(LAN "nodes:\n  - {name: b, segment: lan, address: 10.0.1.1/24}\n",
		"t.yaml:7:38:", "10.0.1.1/24 is not in segment lan, whose subnet is 10.0.0.0/24");
	refused(LAN "nodes:\n  - {name: b, segment: lan, address: 10.0.0.1/25}\n",
		"t.yaml:7:38:", "is not in segment lan");
	refused(LAN "nodes:\n  - {name: b, segment: lan, address: 10.0.0.0/24}\n",
		"t.yaml:7:38:", "network address");
	refused(LAN "nodes:\n  - {name: b, segment: lan, address: 10.0.0.255/24}\n",
		"t.yaml:7:38:", "broadcast address");
	refused(NODE "  - {name: b, segment: lan, address: 10.0.0.1/24}\n",
		"t.yaml:8:38:", "the address 10.0.0.1 is already taken by nodes[0].address");
	refused(NODE "  - {name: b, segment: lan, address: 10.0.0.2/24, gateway: 10.0.0.2}\n",
		"t.yaml:8:60:", "must be another host");
	refused(NODE "  - {name: b, segment: lan, address: 10.0.0.2/24, gateway: 10.1.0.2}\n",
		"t.yaml:8:60:", "must be another host");
	refused(NODE "  - {name: b, segment: lan, address: 10.0.0.2/24, gateway: 10.0.0.1/24}\n",
		"t.yaml:8:60:", "without a prefix length");
	refused(NODE "  - {name: b, segment: lan, address: 10.0.0.2/24, gateway6: 'fd00::1'}\n",
		"t.yaml:8:61:", "needs an address of it");
	refused(NODE "  - {name: b, segment: lan, address: 10.0.0.2/24, mac: 1}\n",
		"t.yaml:8:56:", "must be text");
	refused(NODE "  - {name: b, segment: lan, address: 10.0.0.2/24, mac: 'x'}\n",
		"t.yaml:8:56:", "is no MAC address");
	refused(NODE "  - {name: b, segment: lan, address: 10.0.0.2/24, mac: '01:00:00:00:00:01'}\n",
		"t.yaml:8:56:", "lowest bit");
	refused(NODE "  - {name: b, segment: lan, address: 10.0.0.2/24, mac: '02:00:00:00:00:01'}\n"
		     "  - {name: c, segment: lan, address: 10.0.0.3/24, mac: '02:00:00:00:00:01'}\n",
		"t.yaml:9:56:", "the MAC address is already taken by nodes[1].mac");
	refused(NODE "  - {name: b, segment: lan, address: 10.0.0.2/24, interface: lo}\n",
		"t.yaml:8:62:", "is taken");
	refused(NODE "  - {name: b, segment: lan, address: 10.0.0.2/24, interface: cali1}\n",
		"t.yaml:8:62:", "is taken");
	refused(NODE "  - {name: b, segment: lan, address: 10.0.0.2/24, interface: a/b}\n",
		"t.yaml:8:62:", "no interface name");
	refused(NODE "  - {name: b, segment: lan, address: 10.0.0.2/24, interface: sixteen-letters-}\n",
		"t.yaml:8:62:", "no interface name");
	refused(NODE "  - {name: b, segment: lan, address: 10.0.0.2/24, metric: 0}\n",
		"t.yaml:8:59:", "whole number from 1");
	taken(LAN "nodes:\n  - {name: b, segment: lan, address6: 'fd00::1/64'}\n");
	taken(HEAD "segments:\n  - {name: p2p, subnet: 10.0.0.0/31}\n"
		   "nodes:\n  - {name: b, segment: p2p, address: 10.0.0.0/31}\n");
}

static void test_routers(void **state)
{
	refused(LAN "routers:\n  - {name: r}\n", "t.yaml:7:", "a router needs the field 'interfaces'");
	refused(LAN "routers:\n  - {name: r, interfaces: [{segment: lan, address: 10.0.0.8/24}, {segment: "
		    "lan, address: 10.0.0.9/24}]}\n",
		"t.yaml:7:", "one interface on a segment");
	refused(LAN "routers:\n  - {name: r, interfaces: [{segment: lan, speed: 10}]}\n",
		"t.yaml:7:", "an interface of a router has no field 'speed'");
	refused(LAN "routers:\n  - {name: r, interfaces: [{segment: lan, address: 10.0.0.1/24}]}\n"
		    "nodes:\n  - {name: a, segment: lan, address: 10.0.0.1/24}\n",
		"t.yaml:9:38:", "already taken by routers[0].interfaces[0].address");
}

static void test_resources(void **state)
{
	refused(NODE "resources: {}\n", "t.yaml:8:", "must be a list of documents");
	refused(NODE "resources:\n  - 3\n", "t.yaml:9:5:", "a resource must be a whole document");
	refused(NODE "resources:\n  - {apiVersion: projectcalico.org/v3, kind: IPPol, metadata: {name: x}, "
		     "spec: {}}\n",
		"t.yaml:9:", "IPPool");
	refused(NODE "resources:\n"
		     "  - apiVersion: projectcalico.org/v3\n"
		     "    kind: IPPool\n"
		     "    metadata: {name: p}\n"
		     "    spec: {cidr: 10.8.0.0/16, blockSise: 26}\n",
		"t.yaml:12:31:", "blockSise");
	refused(NODE "resources:\n"
		     "  - apiVersion: projectcalico.org/v3\n"
		     "    kind: IPPool\n"
		     "    metadata: {name: p}\n"
		     "    spec: {cidr: 10.8.0.0/16, blockSize: 12}\n",
		"t.yaml:12:42:", "blockSize");
	refused(NODE POOL "  - apiVersion: projectcalico.org/v3\n"
			  "    kind: IPPool\n"
			  "    metadata: {name: q}\n"
			  "    spec: {cidr: 10.8.128.0/17}\n",
		"t.yaml:16:18:", "overlap");
	refused(NODE POOL "  - apiVersion: projectcalico.org/v3\n"
			  "    kind: IPPool\n"
			  "    metadata: {name: p}\n"
			  "    spec: {cidr: 10.9.0.0/16}\n",
		"t.yaml:13:", "IPPool 'p' is already taken by resources[0]");
	taken(NODE POOL);
}

static void test_pods(void **state)
{
	refused(NODE "pods:\n  - {name: p, node: a}\n", "t.yaml:9:", "there is no IPPool");
	refused(NODE POOL "pods:\n  - {name: p, node: b}\n", "t.yaml:14:21:", "there is no node 'b'");
	refused(NODE POOL "pods:\n  - {name: p}\n", "t.yaml:14:", "a pod needs the field 'node'");
	refused(NODE POOL "pods:\n  - {name: p, node: a, ip: 10.9.0.1}\n",
		"t.yaml:14:28:", "is in no IPPool");
	refused(NODE POOL "pods:\n  - {name: p, node: a, ip: 10.8.0.1/32}\n",
		"t.yaml:14:28:", "without a prefix length");
	refused(NODE POOL
		"pods:\n  - {name: p, node: a, ip: 10.8.0.1}\n  - {name: q, node: a, ip: 10.8.0.1}\n",
		"t.yaml:15:28:", "the address 10.8.0.1 is already taken by pods[0].ip");
	refused(NODE POOL "pods:\n  - {name: p, node: a, containerID: short}\n",
		"t.yaml:14:37:", "is no container id");
	refused(NODE POOL "pods:\n  - {name: p, node: a, containerID: 'aaaaaaaaaaa/..'}\n",
		"t.yaml:14:37:", "is no container id");
	refused(NODE POOL "pods:\n  - {name: p, node: a, containerID: aaaaaaaaaaa1}\n"
			  "  - {name: q, node: a, containerID: aaaaaaaaaaa2}\n",
		"t.yaml:15:37:", "the interface caliaaaaaaaaaaa on a is already taken by pods[0]");
	taken(NODE POOL "pods:\n  - {name: p, node: a, containerID: aaaaaaaaaaa1, ip: 10.8.0.1}\n");
}

static void test_cni(void **state)
{
	refused(NODE "cni: 3\n", "t.yaml:8:6:", "must be a mapping");
	refused(NODE "cni: {type: calico}\n", "t.yaml:8:13:", "'type' is set by the lab itself");
	taken(NODE "cni: {mtu: 1400}\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_seed),	   cmocka_unit_test(test_routed),
		cmocka_unit_test(test_round_trip), cmocka_unit_test(test_generate),
		cmocka_unit_test(test_change),	   cmocka_unit_test(test_the_whole),
		cmocka_unit_test(test_names),	   cmocka_unit_test(test_segments),
		cmocka_unit_test(test_nodes),	   cmocka_unit_test(test_routers),
		cmocka_unit_test(test_resources),  cmocka_unit_test(test_pods),
		cmocka_unit_test(test_cni),	   cmocka_unit_test(test_dual_stack),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
