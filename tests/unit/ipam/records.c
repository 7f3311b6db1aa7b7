/* Blocks, affinities, handles and the configuration in Calico's stored form, byte for byte, and what is
 * refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/check.h"
#include "base/own.h"
#include "base/str.h"
#include "model/affinity.h"
#include "model/block.h"
#include "model/handle.h"
#include "model/ipamconfig.h"

#include <string.h>

#define WALL ((nsec_t)1787392800000000000) /* 2026-08-22 10:00:00 UTC */

static struct prefix cidr_of(const char *text)
{
	struct prefix p;

	assert_true(prefix_parse(text, &p));
	return p;
}

static struct addr addr_of(const char *text)
{
	struct addr a;

	assert_true(addr_parse(text, &a));
	return a;
}

static void assert_json(json_t *doc, const char *want)
{
	char *text = json_dumps(doc, JSON_COMPACT);

	assert_string_equal(text, want);
	free(text);
	json_decref(doc);
}

static struct block decode(const char *text)
{
	struct block b;
	struct err e = { 0 };
	json_t *doc = json_loads(text, 0, NULL);

	assert_non_null(doc);
	if (block_decode(doc, &b, &e) < 0)
		fail_msg("%s", e.msg);
	assert_int_equal(block_check(&b, &e), 0);
	json_decref(doc);
	return b;
}

static void assert_refused(const char *text, const char *why)
{
	struct block b;
	struct err e = { 0 };
	json_t *doc = json_loads(text, JSON_DECODE_ANY, NULL);

	assert_non_null(doc);
	assert_int_equal(block_decode(doc, &b, &e), -EINVAL);
	if (!strstr(e.msg, why))
		fail_msg("\"%s\" lacks \"%s\"", e.msg, why);
	json_decref(doc);
}

static struct block_attr attr(const char *handle)
{
	static struct block_attr_kv kv[] = { { "timestamp", "2026-08-22 10:00:00.12 +0000 UTC" },
					     { "node", "node1" },
					     { "namespace", "default" },
					     { "pod", "nginx" } };

	return (struct block_attr){ .handle = (char *)handle, .nkv = ARRAY_SIZE(kv), .kv = kv };
}

/* Rows 12, 13, 16: names. */
static void names(void **state)
{
	struct prefix p = cidr_of("192.168.166.128/26"), q = cidr_of("fd00:10:244::a680/122"), got;
	char name[KIND_NAME_MAX];

	block_name(&p, name);
	assert_string_equal(name, "192.168.166.128-26");
	assert_int_equal(block_parse_name(name, &got), 0);
	assert_true(prefix_eq(&p, &got));
	block_name(&q, name);
	assert_string_equal(name, "fd00:10:244::a680-122");
	assert_int_equal(block_parse_name(name, &got), 0);
	assert_true(prefix_eq(&q, &got));
	assert_int_equal(block_parse_name("10.0.0.1-26", &got), -EINVAL);
	assert_int_equal(block_parse_name("10.0.0.0", &got), -EINVAL);
	assert_int_equal(block_parse_name("-", &got), -EINVAL);
	affinity_name("node1", &p, name);
	assert_string_equal(name, "node1/192.168.166.128-26");
}

/* Rows 29, 31, 32: a block's life. */
static void life(void **state)
{
	struct prefix p = cidr_of("10.0.0.0/30");
	struct block_attr a = attr("net.c1");
	struct block b;
	struct addr got;

	block_init(&b, &p, "node1", WALL);
	assert_json(block_encode(&b),
		    "{\"cidr\":\"10.0.0.0/"
		    "30\",\"affinity\":\"host:node1\",\"affinity_claim_time\":\"2026-08-22T10:00:00Z\","
		    "\"allocations\":[null,null,null,null],\"unallocated\":[0,1,2,3],\"attributes\":null,"
		    "\"sequenceNumber\":1787392800000000000,\"sequenceNumberForAllocation\":{},\"deleted\":"
		    "false}");
	assert_true(block_take_free(&b, &a, NULL, NULL, &got));
	b.sequence++;
	struct addr first = addr_of("10.0.0.0");
	assert_true(addr_eq(&got, &first));
	assert_json(block_encode(&b),
		    "{\"cidr\":\"10.0.0.0/"
		    "30\",\"affinity\":\"host:node1\",\"affinity_claim_time\":\"2026-08-22T10:00:00Z\","
		    "\"allocations\":[0,null,null,null],\"unallocated\":[1,2,3],\"attributes\":[{\"handle_"
		    "id\":\"net.c1\","
		    "\"secondary\":{\"namespace\":\"default\",\"node\":\"node1\",\"pod\":\"nginx\","
		    "\"timestamp\":\"2026-08-22 10:00:00.12 +0000 "
		    "UTC\"}}],\"sequenceNumber\":1787392800000000001,"
		    "\"sequenceNumberForAllocation\":{\"0\":1787392800000000000},\"deleted\":false}");
	assert_false(block_empty(&b));
	assert_int_equal(block_release_handle(&b, "net.c1", WALL, 0), 1);
	assert_true(block_empty(&b));
	assert_json(block_encode(&b),
		    "{\"cidr\":\"10.0.0.0/"
		    "30\",\"affinity\":\"host:node1\",\"affinity_claim_time\":\"2026-08-22T10:00:00Z\","
		    "\"allocations\":[null,null,null,null],\"unallocated\":[1,2,3,0],\"attributes\":[],"
		    "\"sequenceNumber\":1787392800000000001,\"sequenceNumberForAllocation\":{},\"deleted\":"
		    "false}");
	block_done(&b);
}

/* Row 30: first in, first out; the last address too. */
static void queue(void **state)
{
	struct prefix p = cidr_of("192.168.166.128/26");
	struct block_attr a = attr("h"), other = attr("one");
	struct block b;
	struct addr got;

	block_init(&b, &p, "node1", WALL);
	for (uint64_t i = 0; i < 3; i++) {
		struct addr want = prefix_nth(&p, i);
		assert_true(block_take_free(&b, i == 1 ? &other : &a, NULL, NULL, &got));
		assert_true(addr_eq(&got, &want));
	}
	assert_int_equal(b.nattrs, 2); /* equal ones are shared */
	assert_int_equal(block_release_handle(&b, "one", WALL, 0), 1);
	for (uint64_t i = 3; i <= 64; i++) {
		struct addr want = prefix_nth(&p, i == 64 ? 1 : i);
		assert_true(block_take_free(&b, &a, NULL, NULL, &got));
		assert_true(addr_eq(&got, &want));
	}
	assert_false(block_take_free(&b, &a, NULL, NULL, &got));
	assert_int_equal(block_count_handle(&b, "h"), 64);
	assert_int_equal(b.nfree, 0);
	assert_int_equal(block_check(&b, NULL), 0);
	block_done(&b);
}

static bool odd(void *arg, const struct addr *a)
{
	return a->b[3] & 1;
}

static void choosing(void **state)
{
	struct prefix p = cidr_of("10.0.0.0/30");
	struct block_attr a = attr("h");
	struct block b, c;
	struct addr got, want = addr_of("10.0.0.1"), far = addr_of("10.0.0.4");
	struct err e;

	block_init(&b, &p, "node1", WALL);
	assert_true(block_take_free(&b, &a, odd, NULL, &got));
	assert_true(addr_eq(&got, &want));
	assert_int_equal(b.free[0], 0); /* what was passed over stays where it was */
	assert_int_equal(block_take(&b, &want, &a, &e), -EEXIST);
	assert_int_equal(block_take(&b, &far, &a, &e), -EINVAL);
	assert_string_equal(block_attr_of(&b, &want)->handle, "h");
	assert_null(block_attr_of(&b, &far));
	assert_true(block_first_of_handle(&b, "h", &got));
	assert_true(addr_eq(&got, &want));
	assert_false(block_first_of_handle(&b, "other", &got));
	assert_string_equal(block_host(&b), "node1");
	block_copy(&c, &b);
	block_done(&b);
	assert_int_equal(block_count_handle(&c, "h\r\nx"), 1); /* old handles end at a carriage return */
	block_done(&c);
}

static void cooling(void **state)
{
	struct prefix p = cidr_of("10.0.0.0/31");
	struct block_attr a = attr("h");
	struct block b;
	struct addr got, first = addr_of("10.0.0.0");
	struct err e;

	block_init(&b, &p, "node1", WALL);
	assert_true(block_take_free(&b, &a, NULL, NULL, &got));
	assert_int_equal(block_release_handle(&b, "h", WALL + 120000000, 60 * SEC), 1);
	assert_json(block_encode(&b),
		    "{\"cidr\":\"10.0.0.0/"
		    "31\",\"affinity\":\"host:node1\",\"affinity_claim_time\":\"2026-08-22T10:00:00Z\","
		    "\"allocations\":[0,null],\"unallocated\":[1],\"attributes\":[{\"releasedAt\":\"2026-08-"
		    "22T10:00:00.12Z\"}],"
		    "\"sequenceNumber\":1787392800000000000,\"sequenceNumberForAllocation\":{\"0\":"
		    "1787392800000000000},"
		    "\"deleted\":false}");
	assert_false(block_empty(&b));
	assert_int_equal(block_release_handle(&b, "h", WALL, 60 * SEC), 0);
	assert_int_equal(block_take(&b, &first, &a, &e), -EEXIST);
	block_gc(&b, WALL + 60000000000, 60 * SEC);
	assert_int_equal(b.nfree, 1);
	block_gc(&b, WALL + 60130000000, 60 * SEC);
	assert_int_equal(b.nfree, 2);
	assert_int_equal(b.nattrs, 0);
	assert_true(block_empty(&b));
	block_done(&b);
}

/* What others wrote: nulls, old and unknown members, Windows reservations; all of it survives. */
static void foreign(void **state)
{
	static const char *const text =
		"{\"cidr\":\"10.0.0.0/"
		"30\",\"affinity\":null,\"allocations\":[1,null,0,1],\"unallocated\":[1],"
		"\"attributes\":[{\"handle_id\":\"Windows-Reserved-IPAM-Handle\",\"secondary\":{\"note\":"
		"\"windows host rsvd\"}},"
		"{\"handle_id\":\"h\",\"alternateOwnerAttrs\":{\"a\":\"b\"}}],\"sequenceNumber\":"
		"9007199254740993,"
		"\"sequenceNumberForAllocation\":{\"0\":1,\"2\":9007199254740992},\"deleted\":false,"
		"\"strictAffinity\":false,"
		"\"future\":{\"x\":[1,2]}}";
	struct block b = decode(text);
	struct addr got;

	assert_null(block_host(&b));
	assert_false(block_empty(&b));
	assert_int_equal(b.sequence, 9007199254740993);
	assert_json(block_encode(&b), text);
	assert_int_equal(block_release_handle(&b, "h", WALL, 0), 2);
	assert_true(block_empty(&b)); /* only Windows' own is left */
	assert_int_equal(b.free[1], 0);
	assert_int_equal(b.free[2], 3);
	block_done(&b);
	b = decode("{\"cidr\":\"10.0.0.0/31\",\"affinity\":\"virtual:load-balancer\",\"allocations\":null,"
		   "\"unallocated\":null,\"attributes\":null,\"sequenceNumberForAllocation\":null,"
		   "\"hostAffinity\":null}");
	assert_null(block_host(&b));
	assert_int_equal(b.nfree, 2);
	assert_true(b.attrs_null);
	struct block_attr a = { .handle = NULL };
	assert_true(block_take_free(&b, &a, NULL, NULL, &got));
	assert_false(block_empty(&b));
	block_done(&b);
	/* The keys of the sequence numbers are in the order of text. */
	b = decode("{\"cidr\":\"10.0.0.0/"
		   "28\",\"sequenceNumber\":5,\"sequenceNumberForAllocation\":{\"10\":1,\"2\":1,\"1\":1},"
		   "\"attributes\":[{}],\"allocations\":[null,0,0,null,null,null,null,null,null,null,0,null,"
		   "null,null,null,null]}");
	json_t *doc = block_encode(&b);
	assert_json(json_incref(json_object_get(doc, "sequenceNumberForAllocation")),
		    "{\"1\":1,\"10\":1,\"2\":1}");
	json_decref(doc);
	block_done(&b);
}

#define BLOCK(rest) "{\"cidr\":\"10.0.0.0/31\"," rest "}"

static void refused(void **state)
{
	assert_refused("[]", "cidr");
	assert_refused("{}", "cidr");
	assert_refused("{\"cidr\":7}", "cidr");
	assert_refused("{\"cidr\":\"10.0.0.1/31\"}", "cidr");
	assert_refused("{\"cidr\":\"10.0.0.0/19\"}", "4096");
	assert_refused(BLOCK("\"allocations\":[null]"), "allocations is not a list of 2");
	assert_refused(BLOCK("\"allocations\":[null,null,null]"), "allocations is not a list of 2");
	assert_refused(BLOCK("\"allocations\":{}"), "allocations is not a list of 2");
	assert_refused(BLOCK("\"allocations\":[0,null]"), "allocations[0]");
	assert_refused(BLOCK("\"allocations\":[null,-1],\"attributes\":[{}]"), "allocations[1]");
	assert_refused(BLOCK("\"allocations\":[null,1],\"attributes\":[{}]"), "allocations[1]");
	assert_refused(BLOCK("\"allocations\":[null,0.5],\"attributes\":[{}]"), "allocations[1]");
	assert_refused(BLOCK("\"unallocated\":[0,0]"), "twice");
	assert_refused(BLOCK("\"unallocated\":[0,1,0]"), "unallocated");
	assert_refused(BLOCK("\"unallocated\":[2]"), "unallocated[0]");
	assert_refused(BLOCK("\"unallocated\":[-1]"), "unallocated[0]");
	assert_refused(BLOCK("\"unallocated\":[\"0\"]"), "unallocated[0]");
	assert_refused(BLOCK("\"unallocated\":[0],\"allocations\":[0,null],\"attributes\":[{}]"),
		       "ordinal 0");
	assert_refused(BLOCK("\"attributes\":{}"), "attributes");
	assert_refused(BLOCK("\"attributes\":[7]"), "attributes[0]");
	assert_refused(BLOCK("\"attributes\":[{\"handle_id\":7}]"), "handle_id");
	assert_refused(BLOCK("\"attributes\":[{},{\"secondary\":{\"a\":1}}]"), "attributes[1]: secondary.a");
	assert_refused(BLOCK("\"attributes\":[{\"releasedAt\":\"yesterday\"}]"), "releasedAt");
	assert_refused(BLOCK("\"attributes\":[{\"releasedAt\":\"9999-01-01T00:00:00Z\"}]"), "releasedAt");
	assert_refused(BLOCK("\"affinity\":7"), "affinity");
	assert_refused(BLOCK("\"affinity_claim_time\":\"a time that is longer than any time can be\""),
		       "affinity_claim_time");
	assert_refused(BLOCK("\"sequenceNumber\":-1"), "sequenceNumber");
	assert_refused(BLOCK("\"sequenceNumber\":1.5"), "sequenceNumber");
	assert_refused(BLOCK("\"sequenceNumber\":9223372036854775807"), "sequenceNumber");
	assert_refused(BLOCK("\"sequenceNumberForAllocation\":{\"2\":1}"), "\"2\"");
	assert_refused(BLOCK("\"sequenceNumberForAllocation\":{\"01\":1}"), "\"01\"");
	assert_refused(BLOCK("\"sequenceNumberForAllocation\":{\"\":1}"), "\"\"");
	assert_refused(BLOCK("\"sequenceNumberForAllocation\":{\"0\":\"1\"}"), "\"0\"");
	assert_refused(BLOCK("\"sequenceNumberForAllocation\":[]"), "not an object");
}

/* Row 14. */
static void affinities(void **state)
{
	struct affinity a = { .host = "node1",
			      .cidr = cidr_of("192.168.166.128/26"),
			      .state = AFFINITY_CONFIRMED },
			got;
	struct err e;

	assert_json(affinity_encode(&a), "{\"state\":\"confirmed\",\"deleted\":false}");
	a.state = AFFINITY_PENDING_DELETION;
	assert_json(affinity_encode(&a), "{\"state\":\"pendingDeletion\",\"deleted\":false}");
	assert_int_equal(affinity_decode("node1/192.168.166.128-26", NULL, &got, &e), 0);
	assert_int_equal(got.state, AFFINITY_CONFIRMED);
	assert_string_equal(got.host, "node1");
	assert_true(prefix_eq(&got.cidr, &a.cidr));

	static const struct {
		const char *json;
		int rc;
		enum affinity_state state;
		bool deleted;
	} rows[] = {
		{ "{}", 0, AFFINITY_CONFIRMED, false },
		{ "{\"state\":\"\"}", 0, AFFINITY_CONFIRMED, false },
		{ "{\"state\":null,\"deleted\":\"true\"}", 0, AFFINITY_CONFIRMED, true },
		{ "{\"state\":\"pending\",\"deleted\":\"false\"}", 0, AFFINITY_PENDING, false },
		{ "{\"state\":\"pendingDeletion\",\"deleted\":true}", 0, AFFINITY_PENDING_DELETION, true },
		{ "{\"state\":\"lost\"}", -EINVAL, 0, false },
		{ "{\"state\":7}", -EINVAL, 0, false },
		{ "[]", -EINVAL, 0, false },
	};
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		json_t *doc = json_loads(rows[i].json, 0, NULL);
		assert_int_equal(affinity_decode("node1/10.0.0.0-26", doc, &got, &e), rows[i].rc);
		if (rows[i].rc == 0) {
			assert_int_equal(got.state, rows[i].state);
			assert_int_equal(got.deleted, rows[i].deleted);
		}
		json_decref(doc);
	}
	static const char *const bad[] = {
		"", "/", "node1", "node1/", "/10.0.0.0-26", "a/b/10.0.0.0-26", "node1/10.0.0.1-26"
	};
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(affinity_decode(bad[i], NULL, &got, &e), -EINVAL);
}

/* Row 15. */
static void handles(void **state)
{
	struct prefix a = cidr_of("192.168.166.128/26"), b = cidr_of("10.0.0.0/26"),
		      c = cidr_of("fd00::/122");
	struct handle h = { .id = "k8s-pod-network.abc" }, got;
	struct err e;

	assert_int_equal(handle_add(&h, &a, 1, &e), 0);
	assert_json(handle_encode(&h), "{\"block\":{\"192.168.166.128/26\":1},\"deleted\":false}");
	assert_int_equal(handle_add(&h, &c, 2, &e), 0);
	assert_int_equal(handle_add(&h, &b, 1, &e), 0);
	assert_int_equal(handle_add(&h, &a, UINT32_MAX, &e), 0);
	json_t *doc = handle_encode(&h);
	assert_int_equal(handle_decode("k8s-pod-network.abc", doc, &got, &e), 0);
	assert_json(doc, "{\"block\":{\"10.0.0.0/26\":1,\"192.168.166.128/26\":4294967295,\"fd00::/"
			 "122\":2},\"deleted\":false}");
	assert_int_equal(got.n, 3);
	assert_false(handle_sub(&got, &c, 1));
	assert_int_equal(got.n, 3);
	assert_false(handle_sub(&got, &c, 9));
	assert_false(handle_sub(&got, &a, UINT32_MAX));
	assert_true(handle_sub(&got, &b, 1));
	for (uint32_t i = 0; i < HANDLE_BLOCKS_MAX; i++) {
		struct addr at = addr_v4(0x0b000000u + i);
		struct prefix p = prefix_host(&at);
		assert_int_equal(handle_add(&got, &p, 1, &e), 0);
	}
	assert_int_equal(handle_add(&got, &a, 1, &e), -E2BIG);
	static const char *const bad[] = { "[]",
					   "{\"block\":[]}",
					   "{\"block\":{\"x\":1}}",
					   "{\"block\":{\"10.0.0.0/26\":-1}}",
					   "{\"block\":{\"10.0.0.0/26\":\"1\"}}",
					   "{\"block\":{\"10.0.0.0/26\":4294967296}}" };
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		doc = json_loads(bad[i], 0, NULL);
		assert_int_equal(handle_decode("h", doc, &got, &e), -EINVAL);
		json_decref(doc);
	}
	assert_int_equal(handle_decode("a/b", NULL, &got, &e), -EINVAL);
	assert_int_equal(handle_decode("", NULL, &got, &e), -EINVAL);
	assert_int_equal(handle_decode("h", NULL, &got, &e), 0);
	assert_int_equal(got.n, 0);
}

/* Row 55 and the trap of the absent member. */
static void configuration(void **state)
{
	struct ipamconfig c;
	struct err e;

	ipamconfig_default(&c);
	assert_true(c.auto_allocate);
	assert_json(ipamconfig_encode(&c), "{\"auto_allocate_blocks\":true}");
	json_t *doc = json_loads("{\"strict_affinity\":true}", 0, NULL);
	assert_int_equal(ipamconfig_decode(doc, &c, &e), 0);
	assert_true(c.strict_affinity);
	assert_false(c.auto_allocate);
	assert_json(ipamconfig_encode(&c), "{\"strict_affinity\":true}");
	json_decref(doc);
	static const char *const full =
		"{\"strict_affinity\":true,\"auto_allocate_blocks\":true,\"maxBlocksPerHost\":4,"
		"\"kubeVirtVMAddressPersistence\":\"Enabled\",\"ipCooldownSeconds\":60}";
	doc = json_loads(full, 0, NULL);
	assert_int_equal(ipamconfig_decode(doc, &c, &e), 0);
	assert_int_equal(c.max_blocks_per_host, 4);
	assert_int_equal(c.cooldown_seconds, 60);
	assert_json(ipamconfig_encode(&c), full);
	json_decref(doc);
	static const char *const bad[] = { "[]", "{\"strict_affinity\":1}", "{\"maxBlocksPerHost\":-1}",
					   "{\"maxBlocksPerHost\":\"4\"}", "{\"ipCooldownSeconds\":1201}" };
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		doc = json_loads(bad[i], 0, NULL);
		assert_int_equal(ipamconfig_decode(doc, &c, &e), -EINVAL);
		json_decref(doc);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names),	 cmocka_unit_test(life),       cmocka_unit_test(queue),
		cmocka_unit_test(choosing),	 cmocka_unit_test(cooling),    cmocka_unit_test(foreign),
		cmocka_unit_test(refused),	 cmocka_unit_test(affinities), cmocka_unit_test(handles),
		cmocka_unit_test(configuration),
	};

	return cmocka_run_group_tests_name("ipam/records", tests, NULL, NULL);
}
