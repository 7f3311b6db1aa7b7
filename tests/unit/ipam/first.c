/* The first block of a host against values of real clusters and of Go's own generator (facts 2.5 and rows
 * 24-28). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/check.h"
#include "ipam/ipam.h"

struct row {
	const char *pool;
	uint8_t block_len;
	const char *host, *want;
};

static const struct row rows[] = {
	{ "192.168.0.0/16", 26, "node1", "192.168.166.128/26" },
	{ "192.168.0.0/16", 26, "node2", "192.168.104.0/26" },
	{ "192.168.0.0/16", 26, "node3", "192.168.135.0/26" },
	{ "192.168.0.0/16", 26, "master", "192.168.219.64/26" },
	{ "192.168.0.0/16", 26, "k8s-node1", "192.168.36.64/26" },
	{ "192.168.0.0/16", 26, "k8s-node2", "192.168.169.128/26" },
	{ "192.168.0.0/16", 26, "k8s-master", "192.168.235.192/26" },
	{ "192.168.0.0/16", 26, "kind-control-plane", "192.168.82.0/26" },
	{ "192.168.0.0/16", 26, "kind-worker", "192.168.162.128/26" },
	{ "192.168.0.0/16", 26, "kind-worker2", "192.168.110.128/26" },
	{ "10.244.0.0/16", 26, "minikube", "10.244.120.64/26" },
	{ "10.244.0.0/16", 26, "kind-control-plane", "10.244.82.0/26" },
	{ "10.0.0.0/24", 28, "node1", "10.0.0.112/28" },
	{ "10.0.0.0/16", 24, "node1", "10.0.154.0/24" },
	{ "fd00:10:244::/112", 122, "node1", "fd00:10:244::a680/122" },
	{ "fd00:10:244::/64", 122, "node1", "fd00:10:244:0:c11:b42f:f17e:a680/122" },
	{ "fd00:10:244::/48", 122, "node1", "fd00:10:244:df9b:fa8:334a:557b:7740/122" },
	{ "10.0.0.0/26", 26, "node1", "10.0.0.0/26" },
};

static void as_calico(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct prefix pool, got;
		char text[PREFIX_STR_MAX];
		assert_true(prefix_parse(rows[i].pool, &pool));
		got = ipam_first_block(&pool, rows[i].block_len, rows[i].host, 0);
		assert_string_equal(prefix_format(&got, text), rows[i].want);
	}
}

/* With a seed of one's own: always inside, the same for the same seed, and not all at one place. */
static void seeded(void **state)
{
	struct prefix pool, first;
	size_t other = 0;

	assert_true(prefix_parse("fd00::/20", &pool));
	for (uint64_t seed = 1; seed < 200; seed++) {
		struct prefix a = ipam_first_block(&pool, 122, "node1", seed);
		struct prefix b = ipam_first_block(&pool, 122, "node1", seed);
		assert_true(prefix_covers(&pool, &a));
		assert_true(prefix_eq(&a, &b));
		if (seed == 1)
			first = a;
		other += !prefix_eq(&a, &first);
	}
	assert_int_equal(other, 198);
	assert_true(prefix_parse("::/0", &pool));
	struct prefix a = ipam_first_block(&pool, 128, "node1", 0);
	assert_int_equal(a.len, 128);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(as_calico),
		cmocka_unit_test(seeded),
	};

	return cmocka_run_group_tests_name("ipam/first", tests, NULL, NULL);
}
