/* ClusterInformation: one object, tolerant reading. */
#include "check.h"

#include "model/clusterinfo.h"

static void test_rules(void **state)
{
	passes(make("ClusterInformation", "default",
		    "{clusterGUID: 6f1b0c0e3a3f4a53b1a3c7d0a2d95e11, clusterType: 'k8s,bgp', calicoVersion: "
		    "v3.30.0,"
		    " datastoreReady: true, variant: Calico}"),
	       "{\"kind\":\"ClusterInformation\",\"apiVersion\":\"projectcalico.org/"
	       "v3\",\"metadata\":{\"name\":\"default\"},"
	       "\"spec\":{\"clusterGUID\":\"6f1b0c0e3a3f4a53b1a3c7d0a2d95e11\",\"clusterType\":\"k8s,bgp\","
	       "\"calicoVersion\":\"v3.30.0\",\"datastoreReady\":true,\"variant\":\"Calico\"}}");
	refused(make("ClusterInformation", "other", "{}"), "metadata.name", "is not \"default\"");
	refused(make("ClusterInformation", "default", "{datastoreReady: no}"), "spec.datastoreReady",
		"\"no\" is not true or false");
}

static void test_decode(void **state)
{
	struct clusterinfo c;
	struct err e;
	json_t *doc = make("ClusterInformation", "default", "{clusterGUID: ab, datastoreReady: false}");

	assert_int_equal(clusterinfo_decode(doc, &c, &e), 0);
	assert_false(c.ready);
	assert_string_equal(c.guid, "ab");
	json_decref(doc);
	doc = make("ClusterInformation", "default", "{}");
	assert_int_equal(clusterinfo_decode(doc, &c, &e), 0);
	assert_true(c.ready);
	json_decref(doc);
}

static void test_encode(void **state)
{
	static const uint8_t guid[16] = { 0x6f, 0x1b, [15] = 0x11 };
	struct clusterinfo c;
	struct err e;
	json_t *doc = clusterinfo_encode(guid, "cni,bgp", guid, 0);

	assert_int_equal(clusterinfo_decode(doc, &c, &e), 0);
	assert_string_equal(c.guid, "6f1b0000000000000000000000000011");
	assert_string_equal(c.type, "cni,bgp");
	assert_true(c.ready);
	passes(doc, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rules),
		cmocka_unit_test(test_decode),
		cmocka_unit_test(test_encode),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
