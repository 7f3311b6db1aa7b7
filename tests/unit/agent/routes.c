/* Wanted routes against a kernel made of a table: order of classes, replace in place, nothing deleted too
 * early. */
#include "agent/routes.h"

#include "base/check.h"

#include <errno.h>
#include <stdarg.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- kern/ as a table (chosen by the linker) ---- */

struct nl {
	struct route fib[600];
	size_t n;
	int adds, replaces, dels;
	int refuse; /* errno for every operation, 0 = carry out */
	uint64_t tag;
	struct {
		uint64_t tag;
		int code;
	} results[WRITER_BATCH];
	size_t nresults;
	struct nexthop objects[64];
	size_t nobjects;
	int made;	 /* objects, ever */
	bool no_objects; /* an old kernel */
	bool held;	 /* what is asked for is only queued, for carry_out() */
	struct op {
		int (*fn)(struct nl *nl, const struct route *r, struct err *e);
		struct route r;
	} ops[WRITER_BATCH];
};

static int hold(struct nl *nl, int (*fn)(struct nl *, const struct route *, struct err *),
		const struct route *r)
{
	nl->ops[nl->nresults].fn = fn;
	nl->ops[nl->nresults].r = *r;
	nl->results[nl->nresults++].tag = nl->tag;
	return 0;
}

/* The requests of held, by kernel. */
static void carry_out(struct nl *kernel, struct nl *held)
{
	for (size_t i = 0; i < held->nresults; i++) {
		kernel->nresults = 0;
		held->ops[i].fn(kernel, &held->ops[i].r, NULL);
		held->results[i].code = kernel->results[0].code;
	}
}

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

static struct nexthop *object(struct nl *nl, uint32_t id)
{
	for (size_t i = 0; i < nl->nobjects; i++)
		if (nl->objects[i].id == id)
			return &nl->objects[i];
	return NULL;
}

int route_add(struct nl *nl, const struct route *r, struct err *e)
{
	if (nl->held)
		return hold(nl, route_add, r);
	if (nl->refuse)
		return result(nl, 0);
	if (look_up(nl, r))
		return result(nl, EEXIST);
	if (r->nhid && !object(nl, r->nhid))
		return result(nl, EINVAL);
	nl->fib[nl->n++] = *r;
	nl->adds++;
	return result(nl, 0);
}

int route_replace(struct nl *nl, const struct route *r, struct err *e)
{
	if (nl->held)
		return hold(nl, route_replace, r);
	struct route *at = look_up(nl, r);

	if (nl->refuse)
		return result(nl, 0);
	if (r->nhid && !object(nl, r->nhid))
		return result(nl, EINVAL);
	if (!at)
		at = &nl->fib[nl->n++];
	*at = *r;
	nl->replaces++;
	return result(nl, 0);
}

int route_del(struct nl *nl, const struct route *r, struct err *e)
{
	if (nl->held)
		return hold(nl, route_del, r);
	struct route *at = look_up(nl, r);

	if (!at)
		return result(nl, ESRCH);
	*at = nl->fib[--nl->n];
	nl->dels++;
	return result(nl, 0);
}

int nexthop_add(struct nl *nl, const struct nexthop *nh, struct err *e)
{
	if (nl->no_objects)
		return result(nl, EOPNOTSUPP);
	if (object(nl, nh->id))
		return result(nl, EEXIST);
	nl->objects[nl->nobjects++] = *nh;
	nl->made++;
	return result(nl, 0);
}

/* Its routes go with it. */
int nexthop_del(struct nl *nl, uint32_t id, struct err *e)
{
	struct nexthop *nh = object(nl, id);

	if (!nh)
		return result(nl, ENOENT);
	*nh = nl->objects[--nl->nobjects];
	for (size_t i = 0; i < nl->n;)
		if (nl->fib[i].nhid == id)
			nl->fib[i] = nl->fib[--nl->n];
		else
			i++;
	return result(nl, 0);
}

/* A writer whose batches come back when the test says so. */
struct writer {
	struct nl *kernel;
	struct nl nl[WRITER_BATCHES];
	size_t given, done, landed;
};

struct nl *writer_begin(struct writer *w, size_t *ret_slot)
{
	if (w->given - w->landed == WRITER_BATCHES)
		return NULL;
	*ret_slot = w->given % WRITER_BATCHES;
	w->nl[*ret_slot] = (struct nl){ .held = true };
	return &w->nl[*ret_slot];
}

void writer_go(struct writer *w)
{
	w->given++;
}

struct nl *writer_land(struct writer *w, bool wait, size_t *ret_slot)
{
	while (w->done < w->given && (wait || w->done < w->landed))
		carry_out(w->kernel, &w->nl[w->done++ % WRITER_BATCHES]);
	if (w->done == w->landed)
		return NULL;
	*ret_slot = w->landed++ % WRITER_BATCHES;
	return &w->nl[*ret_slot];
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
	assert_false(routes_apply(&r, &nl, NULL, ALL, 100, NULL));
	assert_int_equal(nl.adds, 1);
	/* The same again is no work at all. */
	routes_want(&r, ROUTES_FIB, &a);
	assert_false(routes_apply(&r, &nl, NULL, ALL, 100, NULL));
	assert_int_equal(nl.adds + nl.replaces + nl.dels, 1);
	addr_parse("172.16.67.140", &a.hops[0].gateway);
	routes_want(&r, ROUTES_FIB, &a);
	assert_false(routes_apply(&r, &nl, NULL, ALL, 100, NULL));
	assert_int_equal(nl.replaces, 1);
	assert_int_equal(nl.dels, 0);
	routes_unwant(&r, ROUTES_FIB, RT_TABLE_MAIN, &a.dst);
	assert_false(routes_apply(&r, &nl, NULL, ALL, 100, NULL));
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
	assert_true(routes_apply(&r, &nl, NULL, 0, 100, NULL));
	assert_int_equal(nl.n, 2);
	assert_int_equal(nl.adds + nl.replaces + nl.dels, 0);
	assert_false(routes_apply(&r, &nl, NULL, 1u << ROUTES_FIB, 100, NULL));
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
		routes_apply(&r, &nl, NULL, ALL, 100, NULL);
		assert_int_equal(nl.fib[0].type, RTN_UNICAST);
	}
	routes_begin(&r, ROUTES_POD);
	routes_sweep(&r, ROUTES_POD);
	routes_begin(&r, ROUTES_BLOCK);
	routes_want(&r, ROUTES_BLOCK, &hole);
	routes_sweep(&r, ROUTES_BLOCK);
	routes_apply(&r, &nl, NULL, ALL, 100, NULL);
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
	assert_true(routes_apply(&r, &nl, NULL, ALL, 100, NULL));
	assert_int_equal(nl.fib[0].protocol, RTPROT_STATIC);
	assert_non_null(routes_find(&r, RT_TABLE_MAIN, &ours.dst)->fault);
	/* It may be one that was only not heard of: one look at everything, not one with every try. */
	assert_true(routes_take_puzzled(&r));
	assert_true(routes_apply(&r, &nl, NULL, ALL, 100, NULL));
	assert_false(routes_take_puzzled(&r));
	/* It goes away: the next try succeeds. */
	nl.n = 0;
	assert_false(routes_apply(&r, &nl, NULL, ALL, 100, NULL));
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
	routes_apply(&r, &nl, NULL, ALL, 100, NULL);
	nl.n = 0;
	routes_seen_gone(&r, &a);
	assert_false(routes_apply(&r, &nl, NULL, ALL, 100, NULL));
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
	assert_int_equal(routes_apply(&r, &nl, NULL, ALL, 150, NULL), ROUTES_LATER);
	assert_int_equal(r.failed, 150);
	assert_true(routes_apply(&r, &nl, NULL, ALL, 1000, NULL));
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
	assert_int_equal(routes_apply(&r, &nl, NULL, ALL, 15, NULL), ROUTES_MORE);
	nl.refuse = ENETUNREACH;
	assert_int_equal(routes_apply(&r, &nl, NULL, ALL, 5, NULL), ROUTES_LATER);
	nl.refuse = 0;
	assert_int_equal(routes_apply(&r, &nl, NULL, ALL, 15, NULL), ROUTES_DONE);
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
	assert_int_equal(routes_apply(&r, &nl, NULL, ALL, 2, NULL), ROUTES_MORE);
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
		assert_int_equal(routes_apply(&r, &nl, NULL, ALL, 100, NULL), ROUTES_DONE);
		routes_begin(&r, ROUTES_POD);
		routes_sweep(&r, ROUTES_POD);
		assert_true(routes_take_released(&r));
		assert_false(routes_take_released(&r));
		routes_want(&r, ROUTES_FIB, &learned);
		assert_int_equal(routes_apply(&r, &nl, NULL, ALL, 100, NULL), ROUTES_DONE);
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
	routes_apply(&r, &nl, NULL, ALL, 100, NULL);
	routes_dump_begin(&r);
	routes_unwant(&r, ROUTES_FIB, RT_TABLE_MAIN, &a.dst);
	routes_apply(&r, &nl, NULL, ALL, 100, NULL);
	assert_int_equal(nl.n, 0);
	assert_null(routes_find(&r, RT_TABLE_MAIN, &a.dst));
	/* A complete one that does not mention a route says that it is not there. */
	routes_want(&r, ROUTES_FIB, &a);
	routes_apply(&r, &nl, NULL, ALL, 100, NULL);
	nl.n = 0;
	routes_dump_begin(&r);
	routes_dump_end(&r);
	routes_apply(&r, &nl, NULL, ALL, 100, NULL);
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
	routes_apply(&r, &nl, NULL, ALL, 100, NULL);
	routes_seen_gone(&r, &a);
	assert_int_equal(routes_apply(&r, &nl, NULL, ALL, 100, NULL), ROUTES_LATER);
	routes_seen(&r, ROUTES_FIB, &a);
	assert_null(routes_find(&r, RT_TABLE_MAIN, &a.dst)->fault);
	assert_int_equal(routes_apply(&r, &nl, NULL, ALL, 100, NULL), ROUTES_DONE);
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
	routes_apply(&r, &nl, NULL, ALL, 100, NULL);
	routes_seen_link_down(&r, 3, false);
	a.nhops = 1;
	routes_want(&r, ROUTES_FIB, &a);
	assert_int_equal(routes_apply(&r, &nl, NULL, ALL, 100, NULL), ROUTES_DONE);
	assert_int_equal(nl.replaces, 1);
	assert_int_equal(nl.fib[0].nhops, 1);
	routes_done(&r);
}

/* ---- nexthop objects ---- */

static struct route hops_of(const char *dst, const char *gw, struct routes *r)
{
	struct route a = via(dst, gw, ROUTE_PROTO_BIRD, RTN_UNICAST);

	a.nhid = nhobj_get(&r->objects, &a.hops[0]);
	return a;
}

static void objects_on(struct routes *r, enum nhobj_mode mode)
{
	routes_init(r);
	r->objects.mode = mode;
	nhobj_dump_begin(&r->objects);
	nhobj_dump_end(&r->objects);
	nhobj_gateways(&r->objects, 0, false);
}

static void gateways_decide_about_objects(void **state)
{
	struct nhobjs o = { .mode = NHOBJ_AUTO };
	struct nexthop left = { .id = 9, .protocol = ROUTE_PROTO_BIRD };

	nhobj_dump_begin(&o);
	nhobj_dump_end(&o);
	nhobj_gateways(&o, NHOBJ_MIN, true);
	assert_false(o.on || nhobj_take_changed(&o));
	nhobj_gateways(&o, NHOBJ_MIN + 1, false);
	assert_true(o.on && nhobj_take_changed(&o) && !nhobj_take_changed(&o));
	/* Not back at once, and not while there may be more to come. */
	nhobj_gateways(&o, NHOBJ_MIN / 2, true);
	nhobj_gateways(&o, 1, false);
	assert_true(o.on);
	nhobj_gateways(&o, 1, true);
	assert_false(o.on);
	/* After a restart they are used if they were. */
	o = (struct nhobjs){ .mode = NHOBJ_AUTO };
	assert_true(addr_parse("172.16.67.139", &left.hop.gateway));
	nhobj_dump_begin(&o);
	nhobj_seen(&o, &left);
	nhobj_dump_end(&o);
	nhobj_gateways(&o, 1, false);
	assert_true(o.on);
	assert_int_equal(nhobj_get(&o, &left.hop), 9);
	o.mode = NHOBJ_NEVER;
	nhobj_gateways(&o, 5000, true);
	assert_false(o.on);
	nhobj_put(&o, 9);
	nhobj_done(&o);
}

static void routes_share_an_object_that_goes_after_them(void **state)
{
	struct nl nl = { 0 };
	struct routes r;

	objects_on(&r, NHOBJ_ALWAYS);
	struct route a = hops_of("10.8.1.0/26", "172.16.67.139", &r),
		     b = hops_of("10.8.2.0/26", "172.16.67.139", &r);
	assert_true(a.nhid && a.nhid == b.nhid);
	routes_want(&r, ROUTES_FIB, &a);
	routes_want(&r, ROUTES_FIB, &b);
	assert_int_equal(routes_apply(&r, &nl, NULL, ALL, 100, NULL), ROUTES_DONE);
	assert_int_equal(nl.made, 1);
	assert_int_equal(nl.n, 2);
	/* Nobody asks for it any more, but a route still leads through it that may not be deleted yet. */
	nhobj_put(&r.objects, a.nhid);
	nhobj_put(&r.objects, b.nhid);
	routes_unwant(&r, ROUTES_FIB, RT_TABLE_MAIN, &a.dst);
	b.nhid = 0;
	routes_want(&r, ROUTES_FIB, &b);
	assert_int_equal(routes_apply(&r, &nl, NULL, 0, 100, NULL), ROUTES_LATER);
	assert_int_equal(nl.n, 2);
	assert_int_equal(nl.nobjects, 1);
	assert_int_equal(routes_apply(&r, &nl, NULL, ALL, 100, NULL), ROUTES_DONE);
	assert_int_equal(nl.nobjects, 0);
	assert_int_equal(nl.n, 1);
	assert_int_equal(nl.fib[0].nhid, 0);
	routes_done(&r);
}

static void what_the_kernel_dropped_is_made_again(void **state)
{
	struct nl nl = { 0 };
	struct routes r;

	objects_on(&r, NHOBJ_ALWAYS);
	struct route a = hops_of("10.8.1.0/26", "172.16.67.139", &r);
	routes_want(&r, ROUTES_FIB, &a);
	routes_apply(&r, &nl, NULL, ALL, 100, NULL);
	/* By itself, for want of a carrier ... */
	nl.n = nl.nobjects = 0;
	routes_seen_link_down(&r, 2, true);
	assert_int_equal(routes_apply(&r, &nl, NULL, ALL, 100, NULL), ROUTES_DONE);
	assert_int_equal(nl.nobjects, 1);
	assert_int_equal(nl.n, 1);
	/* ... or because somebody said so. */
	nl.n = nl.nobjects = 0;
	routes_seen_object_gone(&r, a.nhid);
	assert_int_equal(routes_apply(&r, &nl, NULL, ALL, 100, NULL), ROUTES_DONE);
	assert_int_equal(nl.nobjects, 1);
	assert_int_equal(nl.n, 1);
	assert_int_equal(nl.made, 3);
	nhobj_put(&r.objects, a.nhid);
	routes_done(&r);
}

static void an_old_kernel_is_asked_once(void **state)
{
	struct nl nl = { .no_objects = true };
	struct routes r;

	objects_on(&r, NHOBJ_ALWAYS);
	assert_true(nhobj_take_changed(&r.objects));
	struct route a = hops_of("10.8.1.0/26", "172.16.67.139", &r);
	routes_want(&r, ROUTES_FIB, &a);
	assert_int_equal(routes_apply(&r, &nl, NULL, ALL, 100, NULL), ROUTES_LATER);
	assert_true(nhobj_take_changed(&r.objects));
	nhobj_put(&r.objects, a.nhid);
	a = hops_of("10.8.1.0/26", "172.16.67.139", &r);
	assert_int_equal(a.nhid, 0);
	routes_want(&r, ROUTES_FIB, &a);
	assert_int_equal(routes_apply(&r, &nl, NULL, ALL, 100, NULL), ROUTES_DONE);
	nhobj_gateways(&r.objects, 5000, true);
	assert_false(r.objects.on);
	routes_done(&r);
}

static void a_number_that_is_taken_is_left(void **state)
{
	struct nl nl = { 0 };
	struct routes r;

	objects_on(&r, NHOBJ_ALWAYS);
	assert_true(nhobj_take_changed(&r.objects));
	struct route a = hops_of("10.8.1.0/26", "172.16.67.139", &r);
	nl.objects[nl.nobjects++] = (struct nexthop){ .id = a.nhid, .protocol = RTPROT_STATIC };
	routes_want(&r, ROUTES_FIB, &a);
	routes_apply(&r, &nl, NULL, ALL, 100, NULL);
	assert_true(nhobj_take_changed(&r.objects));
	struct route b = hops_of("10.8.1.0/26", "172.16.67.139", &r);
	assert_int_not_equal(a.nhid, b.nhid);
	nhobj_put(&r.objects, a.nhid);
	routes_want(&r, ROUTES_FIB, &b);
	assert_int_equal(routes_apply(&r, &nl, NULL, ALL, 100, NULL), ROUTES_DONE);
	assert_int_equal(nl.nobjects, 2);
	assert_int_equal(nl.fib[0].nhid, b.nhid);
	nhobj_put(&r.objects, b.nhid);
	routes_done(&r);
}

/* ---- many ---- */

/* Records and their numbers are used again, and every one is found however the table has grown. */
static void many_come_and_go(void **state)
{
	struct routes r;
	struct nl nl = { 0 };
	enum { N = 3000 };

	routes_init(&r);
	for (int round = 0; round < 3; round++) {
		struct route_entry *en;
		size_t n = 0;
		for (uint32_t i = 0; i < N; i++) {
			struct addr dst = addr_v4(0x0a000000 + (i << 6));
			struct route a = via("10.8.1.0/26", i % 2 ? "172.16.67.139" : "172.16.67.140",
					     ROUTE_PROTO_BIRD, RTN_UNICAST);
			a.dst = prefix_of(&dst, 26);
			routes_want(&r, ROUTES_FIB, &a);
		}
		assert_int_equal(map_count(r.vias), 2);
		routes_each(&r, en)
		{
			assert_ptr_equal(routes_find(&r, RT_TABLE_MAIN, &en->dst), en);
			n++;
		}
		assert_int_equal(n, N);
		assert_int_equal(r.used, N);
		routes_each(&r, en) routes_unwant(&r, ROUTES_FIB, RT_TABLE_MAIN, &en->dst);
		assert_int_equal(r.used, 0);
		assert_null(r.vias);
		assert_int_equal(routes_apply(&r, &nl, NULL, ALL, 100, NULL), ROUTES_DONE);
	}
	assert_true(r.nchunks <= N / ROUTES_CHUNK + 1);
	routes_done(&r);
}

/* The same next hops in another order are the same. */
static void the_order_of_next_hops_is_nothing(void **state)
{
	struct nl nl = { 0 };
	struct routes r;
	struct route a = via("10.8.1.0/26", "172.16.67.139", ROUTE_PROTO_BIRD, RTN_UNICAST), b;

	a.nhops = 2;
	a.hops[1].ifindex = 2;
	assert_true(addr_parse("172.16.67.140", &a.hops[1].gateway));
	b = a;
	b.hops[0] = a.hops[1];
	b.hops[1] = a.hops[0];
	b.hops[0].weight = 1;
	routes_init(&r);
	routes_want(&r, ROUTES_FIB, &a);
	routes_apply(&r, &nl, NULL, ALL, 100, NULL);
	routes_want(&r, ROUTES_FIB, &b);
	routes_seen(&r, ROUTES_FIB, &b);
	assert_int_equal(routes_apply(&r, &nl, NULL, ALL, 100, NULL), ROUTES_DONE);
	assert_int_equal(nl.adds + nl.replaces, 1);
	routes_done(&r);
}

/* ---- batches under way ---- */

static struct route nth(int i, const char *gw)
{
	char dst[32];

	snprintf(dst, sizeof(dst), "10.%d.%d.0/24", 9 + i / 250, i % 250);
	return via(dst, gw, ROUTE_PROTO_BIRD, RTN_UNICAST);
}

/* While a route is on its way it may be wanted otherwise, or not at all, or be refused. */
static void what_changes_in_flight_is_put_right_after_it(void **state)
{
	struct nl *nl = xcalloc(1, sizeof(*nl));
	struct writer *w = xcalloc(1, sizeof(*w));
	struct routes r;

	w->kernel = nl;
	routes_init(&r);
	struct route foreign = nth(3, "172.16.67.1");
	foreign.protocol = RTPROT_STATIC;
	nl->fib[nl->n++] = foreign;
	for (int i = 0; i < 400; i++) {
		struct route a = nth(i, "172.16.67.139");
		routes_want(&r, ROUTES_FIB, &a);
	}
	assert_int_equal(routes_apply(&r, nl, w, ALL, 300, NULL), ROUTES_FLYING);
	assert_int_equal(r.flying, 2);
	assert_int_equal(nl->n, 1);
	struct route other = nth(1, "172.16.67.140"), gone = nth(2, NULL), back = nth(4, "172.16.67.139");
	routes_want(&r, ROUTES_FIB, &other);
	routes_unwant(&r, ROUTES_FIB, RT_TABLE_MAIN, &gone.dst);
	routes_unwant(&r, ROUTES_FIB, RT_TABLE_MAIN, &back.dst);
	routes_want(&r, ROUTES_FIB, &back);
	/* Nothing about them is tried before they have landed. */
	assert_int_equal(routes_apply(&r, nl, w, ALL, 300, NULL), ROUTES_DONE);
	assert_non_null(routes_find(&r, RT_TABLE_MAIN, &gone.dst));
	routes_land(&r, w, true);
	assert_int_equal(r.flying, 0);
	assert_int_equal(nl->n, 400);
	assert_true(routes_take_puzzled(&r));
	assert_int_equal(routes_apply(&r, nl, w, ALL, 300, NULL), ROUTES_LATER);
	assert_int_equal(look_up(nl, &foreign)->protocol, RTPROT_STATIC);
	assert_true(addr_eq(&look_up(nl, &other)->hops[0].gateway, &other.hops[0].gateway));
	assert_null(look_up(nl, &gone));
	assert_null(routes_find(&r, RT_TABLE_MAIN, &gone.dst));
	assert_non_null(look_up(nl, &back));
	assert_int_equal(nl->replaces, 1);
	assert_int_equal(nl->dels, 1);
	/* And all of them away again, the same way. */
	for (int i = 0; i < 400; i++) {
		struct route a = nth(i, NULL);
		routes_unwant(&r, ROUTES_FIB, RT_TABLE_MAIN, &a.dst);
	}
	assert_int_equal(routes_apply(&r, nl, w, 0, 300, NULL), ROUTES_LATER);
	while (routes_apply(&r, nl, w, ALL, 300, NULL) == ROUTES_FLYING)
		routes_land(&r, w, true);
	assert_int_equal(nl->n, 1);
	assert_int_equal(r.used, 0);
	assert_null(r.vias);
	routes_done(&r);
	free(w);
	free(nl);
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
		cmocka_unit_test(gateways_decide_about_objects),
		cmocka_unit_test(routes_share_an_object_that_goes_after_them),
		cmocka_unit_test(what_the_kernel_dropped_is_made_again),
		cmocka_unit_test(an_old_kernel_is_asked_once),
		cmocka_unit_test(a_number_that_is_taken_is_left),
		cmocka_unit_test(many_come_and_go),
		cmocka_unit_test(what_changes_in_flight_is_put_right_after_it),
		cmocka_unit_test(the_order_of_next_hops_is_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
