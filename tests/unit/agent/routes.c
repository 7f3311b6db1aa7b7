/* Wanted routes against a kernel made of a table: order of classes, replace in place, nothing deleted too
 * early. */
#include "agent/routes.h"

#include "base/check.h"

#include <errno.h>
#include <stdarg.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdio.h>

/* ---- kern/ as a table (chosen by the linker) ---- */

struct nl {
	struct route fib[64];
	size_t n;
	int adds, replaces, dels;
	int refuse; /* errno for every operation, 0 = carry out */
	uint64_t tag;
	struct {
		uint64_t tag;
		int code;
	} results[NL_BATCH_MAX];
	size_t nresults;
};

static struct route *look_up(struct nl *nl, const struct route *r)
{
	for (size_t i = 0; i < nl->n; i++)
		if (prefix_eq(&nl->fib[i].dst, &r->dst) && nl->fib[i].table == r->table)
			return &nl->fib[i];
	return NULL;
}

static int result(struct nl *nl, int code)
{
	nl->results[nl->nresults].tag = nl->tag;
	nl->results[nl->nresults++].code = nl->refuse ? nl->refuse : code;
	return 0;
}

void nl_batch_begin(struct nl *nl)
{
	nl->nresults = 0;
}

void nl_tag(struct nl *nl, uint64_t tag)
{
	nl->tag = tag;
}

int nl_batch_end(struct nl *nl, nl_result_fn *fn, void *arg, struct err *e)
{
	for (size_t i = 0; i < nl->nresults; i++)
		fn(arg, nl->results[i].tag, nl->results[i].code, "");
	return 0;
}

int route_add(struct nl *nl, const struct route *r, struct err *e)
{
	if (nl->refuse)
		return result(nl, 0);
	if (look_up(nl, r))
		return result(nl, EEXIST);
	nl->fib[nl->n++] = *r;
	nl->adds++;
	return result(nl, 0);
}

int route_replace(struct nl *nl, const struct route *r, struct err *e)
{
	struct route *at = look_up(nl, r);

	if (nl->refuse)
		return result(nl, 0);
	if (!at)
		at = &nl->fib[nl->n++];
	*at = *r;
	nl->replaces++;
	return result(nl, 0);
}

int route_del(struct nl *nl, const struct route *r, struct err *e)
{
	struct route *at = look_up(nl, r);

	if (!at)
		return result(nl, ESRCH);
	*at = nl->fib[--nl->n];
	nl->dels++;
	return result(nl, 0);
}

bool route_same(const struct route *a, const struct route *b)
{
	if (!prefix_eq(&a->dst, &b->dst) || a->type != b->type || a->protocol != b->protocol ||
	    a->nhops != b->nhops)
		return false;
	for (size_t i = 0; i < a->nhops; i++)
		if (a->hops[i].ifindex != b->hops[i].ifindex ||
		    !addr_eq(&a->hops[i].gateway, &b->hops[i].gateway))
			return false;
	return true;
}

/* ---- tests ---- */

#define ALL ((1u << ROUTES_CLASSES) - 1)

static struct route via(const char *dst, const char *gw, uint8_t protocol, uint8_t type)
{
	struct route r = { .table = RT_TABLE_MAIN, .type = type, .protocol = protocol };

	assert_true(prefix_parse(dst, &r.dst));
	if (gw) {
		r.nhops = 1;
		r.hops[0].ifindex = 2;
		assert_true(addr_parse(gw, &r.hops[0].gateway));
	}
	return r;
}

static void wanted_is_added_changed_is_replaced(void **state)
{
	struct nl nl = { 0 };
	struct routes r;
	struct route a = via("10.8.152.192/26", "172.16.67.139", ROUTE_PROTO_BIRD, RTN_UNICAST);

	routes_init(&r);
	routes_begin(&r, ROUTES_FIB);
	routes_want(&r, ROUTES_FIB, &a);
	assert_false(routes_apply(&r, &nl, ALL, 100, NULL));
	assert_int_equal(nl.adds, 1);
	/* The same again is no work at all. */
	routes_want(&r, ROUTES_FIB, &a);
	assert_false(routes_apply(&r, &nl, ALL, 100, NULL));
	assert_int_equal(nl.adds + nl.replaces + nl.dels, 1);
	addr_parse("172.16.67.140", &a.hops[0].gateway);
	routes_want(&r, ROUTES_FIB, &a);
	assert_false(routes_apply(&r, &nl, ALL, 100, NULL));
	assert_int_equal(nl.replaces, 1);
	assert_int_equal(nl.dels, 0);
	routes_unwant(&r, ROUTES_FIB, RT_TABLE_MAIN, &a.dst);
	assert_false(routes_apply(&r, &nl, ALL, 100, NULL));
	assert_int_equal(nl.n, 0);
	assert_null(routes_find(&r, RT_TABLE_MAIN, &a.dst));
	routes_done(&r);
}

static void a_restart_adopts_and_sweeps_only_when_allowed(void **state)
{
	struct nl nl = { 0 };
	struct routes r;
	struct route keep = via("10.8.1.0/26", "172.16.67.139", ROUTE_PROTO_BIRD, RTN_UNICAST);
	struct route stale = via("10.8.2.0/26", "172.16.67.140", ROUTE_PROTO_BIRD, RTN_UNICAST);

	nl.fib[nl.n++] = keep;
	nl.fib[nl.n++] = stale;
	routes_init(&r);
	routes_dump_begin(&r);
	routes_seen(&r, ROUTES_FIB, &keep);
	routes_seen(&r, ROUTES_FIB, &stale);
	routes_dump_end(&r);
	routes_begin(&r, ROUTES_FIB);
	routes_want(&r, ROUTES_FIB, &keep);
	/* The speaker has not spoken: nothing is deleted, and what is as it should be is not touched. */
	assert_true(routes_apply(&r, &nl, 0, 100, NULL));
	assert_int_equal(nl.n, 2);
	assert_int_equal(nl.adds + nl.replaces + nl.dels, 0);
	assert_false(routes_apply(&r, &nl, 1u << ROUTES_FIB, 100, NULL));
	assert_int_equal(nl.n, 1);
	assert_int_equal(nl.dels, 1);
	routes_done(&r);
}

/* A block of one address and its pod want the same prefix: the pod has it, and the blackhole comes back after
 * it. */
static void a_pod_is_stronger_than_a_blackhole(void **state)
{
	struct nl nl = { 0 };
	struct routes r;
	struct route pod = via("10.8.1.1/32", NULL, RTPROT_BOOT, RTN_UNICAST);
	struct route hole = via("10.8.1.1/32", NULL, ROUTE_PROTO_BIRD, RTN_BLACKHOLE);

	pod.nhops = 1;
	pod.hops[0].ifindex = 7;
	routes_init(&r);
	for (int pass = 0; pass < 2; pass++) {
		routes_begin(&r, ROUTES_POD);
		routes_want(&r, ROUTES_POD, &pod);
		routes_sweep(&r, ROUTES_POD);
		routes_begin(&r, ROUTES_BLOCK);
		routes_want(&r, ROUTES_BLOCK, &hole);
		routes_sweep(&r, ROUTES_BLOCK);
		routes_apply(&r, &nl, ALL, 100, NULL);
		assert_int_equal(nl.fib[0].type, RTN_UNICAST);
	}
	routes_begin(&r, ROUTES_POD);
	routes_sweep(&r, ROUTES_POD);
	routes_begin(&r, ROUTES_BLOCK);
	routes_want(&r, ROUTES_BLOCK, &hole);
	routes_sweep(&r, ROUTES_BLOCK);
	routes_apply(&r, &nl, ALL, 100, NULL);
	assert_int_equal(nl.n, 1);
	assert_int_equal(nl.fib[0].type, RTN_BLACKHOLE);
	assert_int_equal(nl.dels, 0); /* in place */
	routes_done(&r);
}

static void a_foreign_route_is_left_alone_and_reported(void **state)
{
	struct nl nl = { 0 };
	struct routes r;
	struct route foreign = via("10.8.1.0/26", "172.16.67.1", RTPROT_STATIC, RTN_UNICAST);
	struct route ours = via("10.8.1.0/26", "172.16.67.139", ROUTE_PROTO_BIRD, RTN_UNICAST);

	nl.fib[nl.n++] = foreign;
	routes_init(&r);
	routes_begin(&r, ROUTES_FIB);
	routes_want(&r, ROUTES_FIB, &ours);
	assert_true(routes_apply(&r, &nl, ALL, 100, NULL));
	assert_int_equal(nl.fib[0].protocol, RTPROT_STATIC);
	assert_true(routes_find(&r, RT_TABLE_MAIN, &ours.dst)->fault[0] != '\0');
	/* It goes away: the next try succeeds. */
	nl.n = 0;
	assert_false(routes_apply(&r, &nl, ALL, 100, NULL));
	assert_int_equal(nl.fib[0].protocol, ROUTE_PROTO_BIRD);
	routes_done(&r);
}

static void what_somebody_deleted_comes_back(void **state)
{
	struct nl nl = { 0 };
	struct routes r;
	struct route a = via("10.8.1.0/26", "172.16.67.139", ROUTE_PROTO_BIRD, RTN_UNICAST);

	routes_init(&r);
	routes_begin(&r, ROUTES_FIB);
	routes_want(&r, ROUTES_FIB, &a);
	routes_apply(&r, &nl, ALL, 100, NULL);
	nl.n = 0;
	routes_seen_gone(&r, &a);
	assert_false(routes_apply(&r, &nl, ALL, 100, NULL));
	assert_int_equal(nl.n, 1);
	routes_done(&r);
}

static void one_refused_route_does_not_hold_up_the_others(void **state)
{
	struct nl nl = { .refuse = ENETUNREACH };
	struct routes r;
	char dst[32];

	routes_init(&r);
	routes_begin(&r, ROUTES_FIB);
	for (int i = 0; i < 200; i++) {
		struct route a;
		snprintf(dst, sizeof(dst), "10.9.%d.0/26", i);
		a = via(dst, "172.16.67.139", ROUTE_PROTO_BIRD, RTN_UNICAST);
		routes_want(&r, ROUTES_FIB, &a);
	}
	/* Every one is tried once, within the budget, and the call ends. */
	assert_int_equal(routes_apply(&r, &nl, ALL, 150, NULL), ROUTES_LATER);
	assert_int_equal(r.failed, 150);
	assert_true(routes_apply(&r, &nl, ALL, 1000, NULL));
	assert_int_equal(r.failed, 350);
	routes_done(&r);
}

/* A big table is worked off turn by turn without waiting in between, but refused routes alone do not spin. */
static void a_used_up_budget_goes_on_at_once(void **state)
{
	struct nl nl = { 0 };
	struct routes r;
	char dst[32];

	routes_init(&r);
	for (int i = 0; i < 20; i++) {
		snprintf(dst, sizeof(dst), "10.9.%d.0/26", i);
		struct route a = via(dst, "172.16.67.139", ROUTE_PROTO_BIRD, RTN_UNICAST);
		routes_want(&r, ROUTES_FIB, &a);
	}
	assert_int_equal(routes_apply(&r, &nl, ALL, 15, NULL), ROUTES_MORE);
	nl.refuse = ENETUNREACH;
	assert_int_equal(routes_apply(&r, &nl, ALL, 5, NULL), ROUTES_LATER);
	nl.refuse = 0;
	assert_int_equal(routes_apply(&r, &nl, ALL, 15, NULL), ROUTES_DONE);
	routes_done(&r);
}

/* However much a peer has said, a pod's route goes in next; also if the peer had said that very prefix. */
static void pods_do_not_wait_behind_peers(void **state)
{
	struct nl nl = { 0 };
	struct routes r;
	struct route pod = via("10.8.1.1/32", NULL, RTPROT_BOOT, RTN_UNICAST);
	struct route other = via("10.9.19.0/26", NULL, RTPROT_BOOT, RTN_UNICAST);
	char dst[32];

	routes_init(&r);
	for (int i = 0; i < 20; i++) {
		snprintf(dst, sizeof(dst), "10.9.%d.0/26", i);
		struct route a = via(dst, "172.16.67.139", ROUTE_PROTO_BIRD, RTN_UNICAST);
		routes_want(&r, ROUTES_FIB, &a);
	}
	routes_want(&r, ROUTES_POD, &pod);
	routes_want(&r, ROUTES_POD, &other);
	assert_int_equal(routes_apply(&r, &nl, ALL, 2, NULL), ROUTES_MORE);
	assert_int_equal(nl.n, 2);
	assert_non_null(look_up(&nl, &pod));
	assert_int_equal(look_up(&nl, &other)->protocol, RTPROT_BOOT);
	routes_done(&r);
}

/* A learned /32 for an address that a pod of ours has: when the pod goes, the learned route takes its place.
 */
static void a_weaker_class_gets_its_turn_back(void **state)
{
	struct nl nl = { 0 };
	struct routes r;
	struct route pod = via("10.8.1.1/32", NULL, RTPROT_BOOT, RTN_UNICAST);
	struct route learned = via("10.8.1.1/32", "172.16.67.139", ROUTE_PROTO_BIRD, RTN_UNICAST);

	pod.nhops = 1;
	pod.hops[0].ifindex = 7;
	routes_init(&r);
	for (int pod_first = 0; pod_first < 2; pod_first++) {
		routes_begin(&r, ROUTES_POD);
		if (pod_first)
			routes_want(&r, ROUTES_POD, &pod);
		routes_want(&r, ROUTES_FIB, &learned);
		if (!pod_first)
			routes_want(&r, ROUTES_POD, &pod);
		routes_sweep(&r, ROUTES_POD);
		assert_false(routes_take_released(&r));
		assert_int_equal(routes_apply(&r, &nl, ALL, 100, NULL), ROUTES_DONE);
		routes_begin(&r, ROUTES_POD);
		routes_sweep(&r, ROUTES_POD);
		assert_true(routes_take_released(&r));
		assert_false(routes_take_released(&r));
		routes_want(&r, ROUTES_FIB, &learned);
		assert_int_equal(routes_apply(&r, &nl, ALL, 100, NULL), ROUTES_DONE);
		assert_int_equal(nl.n, 1);
		assert_int_equal(nl.fib[0].protocol, ROUTE_PROTO_BIRD);
		assert_int_equal(nl.dels, 0);
	}
	routes_done(&r);
}

/* Nothing is concluded from a dump that broke off. */
static void a_broken_dump_changes_nothing(void **state)
{
	struct nl nl = { 0 };
	struct routes r;
	struct route a = via("10.8.1.0/26", "172.16.67.139", ROUTE_PROTO_BIRD, RTN_UNICAST);

	routes_init(&r);
	routes_want(&r, ROUTES_FIB, &a);
	routes_apply(&r, &nl, ALL, 100, NULL);
	routes_dump_begin(&r);
	routes_unwant(&r, ROUTES_FIB, RT_TABLE_MAIN, &a.dst);
	routes_apply(&r, &nl, ALL, 100, NULL);
	assert_int_equal(nl.n, 0);
	assert_null(routes_find(&r, RT_TABLE_MAIN, &a.dst));
	/* A complete one that does not mention a route says that it is not there. */
	routes_want(&r, ROUTES_FIB, &a);
	routes_apply(&r, &nl, ALL, 100, NULL);
	nl.n = 0;
	routes_dump_begin(&r);
	routes_dump_end(&r);
	routes_apply(&r, &nl, ALL, 100, NULL);
	assert_int_equal(nl.n, 1);
	routes_done(&r);
}

/* The kernel reports our own deletion after we have added the route again. */
static void a_late_echo_leaves_no_fault_behind(void **state)
{
	struct nl nl = { 0 };
	struct routes r;
	struct route a = via("10.8.1.0/26", "172.16.67.139", ROUTE_PROTO_BIRD, RTN_UNICAST);

	routes_init(&r);
	routes_want(&r, ROUTES_FIB, &a);
	routes_apply(&r, &nl, ALL, 100, NULL);
	routes_seen_gone(&r, &a);
	assert_int_equal(routes_apply(&r, &nl, ALL, 100, NULL), ROUTES_LATER);
	routes_seen(&r, ROUTES_FIB, &a);
	assert_string_equal(routes_find(&r, RT_TABLE_MAIN, &a.dst)->fault, "");
	assert_int_equal(routes_apply(&r, &nl, ALL, 100, NULL), ROUTES_DONE);
	routes_done(&r);
}

/* One of two next hops dies: the kernel keeps the route, which is replaced, not added. */
static void a_dead_next_hop_of_several(void **state)
{
	struct nl nl = { 0 };
	struct routes r;
	struct route a = via("10.8.1.0/26", "172.16.67.139", ROUTE_PROTO_BIRD, RTN_UNICAST);

	a.nhops = 2;
	a.hops[1].ifindex = 3;
	assert_true(addr_parse("172.16.68.139", &a.hops[1].gateway));
	routes_init(&r);
	routes_want(&r, ROUTES_FIB, &a);
	routes_apply(&r, &nl, ALL, 100, NULL);
	routes_seen_link_down(&r, 3);
	a.nhops = 1;
	routes_want(&r, ROUTES_FIB, &a);
	assert_int_equal(routes_apply(&r, &nl, ALL, 100, NULL), ROUTES_DONE);
	assert_int_equal(nl.replaces, 1);
	assert_int_equal(nl.fib[0].nhops, 1);
	routes_done(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(wanted_is_added_changed_is_replaced),
		cmocka_unit_test(a_restart_adopts_and_sweeps_only_when_allowed),
		cmocka_unit_test(a_pod_is_stronger_than_a_blackhole),
		cmocka_unit_test(a_foreign_route_is_left_alone_and_reported),
		cmocka_unit_test(what_somebody_deleted_comes_back),
		cmocka_unit_test(one_refused_route_does_not_hold_up_the_others),
		cmocka_unit_test(a_used_up_budget_goes_on_at_once),
		cmocka_unit_test(a_weaker_class_gets_its_turn_back),
		cmocka_unit_test(a_broken_dump_changes_nothing),
		cmocka_unit_test(a_late_echo_leaves_no_fault_behind),
		cmocka_unit_test(a_dead_next_hop_of_several),
		cmocka_unit_test(pods_do_not_wait_behind_peers),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
