/* The plugin's parameters: identity, names, families; what is refused, and with which CNI code. */
#include "agent/cnireq.h"

#include <stdarg.h>
#include <setjmp.h>
#include <cmocka.h>
#include <string.h>

static int decode(const char *params, struct cnireq *ret, int *code)
{
	json_t *p = json_loads(params, 0, NULL);
	struct err e = { 0 };

	assert_non_null(p);
	int r = cnireq_decode(p, "node2", ret, code, &e);
	json_decref(p);
	if (r < 0)
		assert_true(strlen(e.msg) > 10);
	return r;
}

static void a_container_without_kubernetes(void **state)
{
	struct cnireq r;
	int code = 0;

	assert_int_equal(decode("{\"containerID\":\"459253b413d07c8e\",\"ifname\":\"eth0\",\"netns\":\"/run/"
				"netns/x\",\"network\":\"korat\","
				"\"args\":{\"IP\":\"10.8.112.2\"},\"conf\":{}}",
				&r, &code),
			 0);
	assert_string_equal(r.wep.interface, "cali459253b413d");
	assert_string_equal(r.wep_key, "default/node2-cni-459253b413d07c8e-eth0");
	assert_string_equal(r.handle, "korat.459253b413d07c8e");
	assert_int_equal(r.wanted.family, AF_INET);
	assert_true(r.v4 && !r.v6);
}

static void a_kubernetes_pod(void **state)
{
	struct cnireq r;
	int code = 0;

	assert_int_equal(decode("{\"containerID\":\"abc\",\"ifname\":\"eth0\",\"netns\":\"/"
				"x\",\"network\":\"k8s-pod-network\","
				"\"args\":{\"K8S_POD_NAME\":\"nginx\",\"K8S_POD_NAMESPACE\":\"default\"},"
				"\"conf\":{\"mtu\":1440,\"ipam\":{\"assign_ipv6\":\"true\"},\"container_"
				"settings\":{\"allow_ip_forwarding\":true}}}",
				&r, &code),
			 0);
	assert_string_equal(r.wep.interface, "calic440f455693");
	assert_string_equal(r.wep_key, "default/node2-k8s-nginx-eth0");
	assert_true(r.v4 && r.v6 && r.allow_ip_forwarding);
	assert_int_equal(r.mtu, 1440);
}

static void what_is_refused(void **state)
{
	static const struct {
		const char *params;
		int code;
	} rows[] = {
		{ "{}", CNI_BAD_ENV },
		{ "{\"containerID\":\"../x\",\"ifname\":\"eth0\",\"network\":\"n\"}", CNI_BAD_ENV },
		{ "{\"containerID\":\"a\",\"ifname\":\"et/h\",\"network\":\"n\"}", CNI_BAD_ENV },
		{ "{\"containerID\":\"a\",\"ifname\":\"sixteencharacter\",\"network\":\"n\"}", CNI_BAD_ENV },
		{ "{\"containerID\":\"a\",\"ifname\":\"eth%d\",\"network\":\"n\"}", CNI_BAD_ENV },
		{ "{\"containerID\":\"a\",\"ifname\":\"eth0\",\"network\":\"-n\"}", CNI_BAD_CONFIG },
		{ "{\"containerID\":\"a\",\"ifname\":\"eth0\",\"network\":\"n\",\"args\":{\"IP\":\"10.8.112."
		  "300\"}}",
		  CNI_BAD_ENV },
		{ "{\"containerID\":\"a\",\"ifname\":\"eth0\",\"network\":\"n\",\"args\":{\"K8S_POD_NAME\":"
		  "\"A_B\",\"K8S_POD_NAMESPACE\":\"d\"}}",
		  CNI_BAD_ENV },
		{ "{\"containerID\":\"a\",\"ifname\":\"eth0\",\"network\":\"n\",\"conf\":{\"mtu\":-1}}",
		  CNI_BAD_CONFIG },
		{ "{\"containerID\":\"a\",\"ifname\":\"eth0\",\"network\":\"n\",\"conf\":{\"ipam\":{\"assign_"
		  "ipv4\":\"false\"}}}",
		  CNI_BAD_CONFIG },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct cnireq r;
		int code = 0;
		assert_true(decode(rows[i].params, &r, &code) < 0);
		assert_int_equal(code, rows[i].code);
	}
}

/* What an ADD was refused for, its DEL is not; but whom it is about has to be said. */
static void a_deletion_needs_to_know_whom_only(void **state)
{
	json_t *p = json_loads(
		"{\"containerID\":\"a\",\"ifname\":\"eth0\",\"network\":\"n\",\"args\":{\"IP\":"
		"\"x\",\"K8S_POD_NAME\":\"A_B\",\"K8S_POD_NAMESPACE\":\"d\"},\"conf\":{\"mtu\":-1}}",
		0, NULL);
	struct cnireq r;
	struct err e = { 0 };
	int code = 0;

	assert_true(cnireq_decode(p, "node2", &r, &code, &e) < 0);
	assert_int_equal(cnireq_decode_id(p, &r, &code, &e), 0);
	assert_string_equal(r.handle, "n.a");
	json_object_del(p, "containerID");
	assert_true(cnireq_decode_id(p, &r, &code, &e) < 0);
	assert_int_equal(code, CNI_BAD_ENV);
	json_decref(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_container_without_kubernetes),
		cmocka_unit_test(a_kubernetes_pod),
		cmocka_unit_test(what_is_refused),
		cmocka_unit_test(a_deletion_needs_to_know_whom_only),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
