/* Learned routes and next hops against a kernel made of a table: what each resolves to, and what the speaker
 * hears. */
#include "agent/agent.h"

#include <stdarg.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- the rest of the program, as little of it as there must be ---- */

struct nl {
	struct route main[32]; /* what next hops are looked up in */
	size_t n;
	size_t lookups;
	size_t adds, replaces, dels;
	uint64_t tags[2 * NL_BATCH_MAX];
	size_t ntags;
	uint64_t tag;
	struct route last;
};

static bool failed_to_find(const struct route *r)
{
	return r->type != RTN_UNICAST;
}

int route_get(struct nl *nl, const struct route_query *q, struct route *ret, struct err *e)
{
	const struct route *best = NULL;

	nl->lookups++;
	assert_true(q->fibmatch);
	for (size_t i = 0; i < nl->n; i++)
		if (prefix_has(&nl->main[i].dst, &q->dst) && (!best || best->dst.len < nl->main[i].dst.len))
			best = &nl->main[i];
	if (!best)
		return -ENETUNREACH;
	if (failed_to_find(best) && best->type != RTN_LOCAL)
		return -EHOSTUNREACH;
	*ret = *best;
	return 0;
}

int link_get_index(struct nl *nl, uint32_t ifindex, struct link *ret, struct err *e)
{
	*ret = (struct link){ .ifindex = ifindex };
	snprintf(ret->name, sizeof(ret->name), "eth%u", ifindex);
	return 0;
}

void nl_batch_begin(struct nl *nl)
{
	nl->ntags = 0;
}

void nl_tag(struct nl *nl, uint64_t tag)
{
	nl->tag = tag;
}

static int done(struct nl *nl)
{
	nl->tags[nl->ntags++] = nl->tag;
	return 0;
}

int nl_batch_end(struct nl *nl, nl_result_fn *fn, void *arg, struct err *e)
{
	for (size_t i = 0; i < nl->ntags; i++)
		fn(arg, nl->tags[i], 0, "");
	return 0;
}

int route_add(struct nl *nl, const struct route *r, struct err *e)
{
	nl->adds++;
	nl->last = *r;
	return done(nl);
}

int route_replace(struct nl *nl, const struct route *r, struct err *e)
{
	nl->replaces++;
	nl->last = *r;
	return done(nl);
}

int route_del(struct nl *nl, const struct route *r, struct err *e)
{
	nl->dels++;
	return done(nl);
}

int nexthop_add(struct nl *nl, const struct nexthop *nh, struct err *e)
{
	return done(nl);
}

int nexthop_del(struct nl *nl, uint32_t id, struct err *e)
{
	return done(nl);
}

struct nl *writer_begin(struct writer *w, size_t *ret_slot)
{
	return NULL;
}

void writer_go(struct writer *w)
{
}

struct nl *writer_land(struct writer *w, bool wait, size_t *ret_slot)
{
	return NULL;
}

static struct node me;

const struct node *world_me(const struct world *w)
{
	return &me;
}

void agent_wake(struct agent *a, unsigned dirty)
{
}

/* ---- a node on 172.16.67.0/24 behind eth2, with a default route ---- */

struct place {
	struct agent a;
	struct nl nl;
	struct ipc_nexthop heard;
	size_t told;
};

static void hear(void *arg, const struct ipc_msg *m)
{
	struct place *p = arg;

	assert_int_equal(m->type, IPC_NEXTHOP);
	p->heard = m->nexthop;
	p->told++;
}

static struct addr ip(const char *s)
{
	struct addr a;

	assert_true(addr_parse(s, &a));
	return a;
}

static struct route *put(struct place *p, const char *dst, const char *gateway, uint32_t ifindex)
{
	struct route *r = &p->nl.main[p->nl.n++];

	*r = (struct route){
		.type = RTN_UNICAST, .protocol = RTPROT_STATIC, .table = RT_TABLE_MAIN, .nhops = 1
	};
	assert_true(prefix_parse(dst, &r->dst));
	r->hops[0].ifindex = ifindex;
	if (gateway)
		r->hops[0].gateway = ip(gateway);
	return r;
}

static int begin(void **state)
{
	struct place *p = xcalloc(1, sizeof(*p));

	p->a.nl = &p->nl;
	p->a.io = (struct agent_io){ .arg = p, .to_speaker = hear };
	routes_init(&p->a.routes);
	me = (struct node){ .ipv4 = ip("172.16.67.138") };
	put(p, "172.16.67.0/24", NULL, 2)->protocol = RTPROT_KERNEL;
	put(p, "0.0.0.0/0", "172.16.67.1", 2);
	*state = p;
	return 0;
}

static int end(void **state)
{
	struct place *p = *state;

	fib_done(&p->a);
	assert_null(p->a.fib.paths);
	assert_null(p->a.fib.nexthops);
	assert_int_equal(p->a.fib.gateways, 0);
	routes_done(&p->a.routes);
	free(p);
	return 0;
}

static void learn(struct place *p, const char *dst, const char *a, const char *b)
{
	struct ipc_route r = { .nhops = b ? 2 : 1 };

	assert_true(prefix_parse(dst, &r.prefix));
	r.nexthop[0] = ip(a);
	if (b)
		r.nexthop[1] = ip(b);
	fib_on_route(&p->a, &r);
}

static enum routes_left apply(struct place *p)
{
	return routes_apply(&p->a.routes, &p->nl, NULL, (1u << ROUTES_CLASSES) - 1, 100, NULL);
}

/* What the route for dst is to be, or "" if it is not wanted. */
static const char *wanted(struct place *p, const char *dst)
{
	static char text[128];
	char gw[ADDR_STR_MAX];
	struct prefix net;
	const struct route_entry *en;

	text[0] = '\0';
	assert_true(prefix_parse(dst, &net));
	en = routes_find(&p->a.routes, RT_TABLE_MAIN, &net);
	if (!en || !en->delta.wanted)
		return text;
	if (en->via->type == RTN_UNREACHABLE)
		return "unreachable";
	for (size_t i = 0; i < en->via->nhops; i++)
		snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s%s eth%u", i ? ", " : "",
			 addr_format(&en->via->hops[i].gateway, gw), en->via->hops[i].ifindex);
	return text;
}

static void watch(struct place *p, const char *addr)
{
	struct addr a = ip(addr);

	fib_on_watch(&p->a, &a);
	assert_true(addr_eq(&p->heard.addr, &a));
}

/* ---- tests ---- */

static void every_kind_of_next_hop_is_answered(void **state)
{
	static const struct {
		const char *addr;
		bool reachable;
		uint32_t metric;
		const char *ifname;
	} rows[] = {
		{ "172.16.67.139", true, 0, "eth2" },	     /* connected */
		{ "172.16.67.138", false, UINT32_MAX, "" },  /* ourselves */
		{ "192.168.1.1", true, UINT32_MAX, "eth2" }, /* behind the default route */
		{ "10.77.0.1", true, 20, "eth3" },	     /* behind a router, with a metric */
		{ "10.8.1.1", false, UINT32_MAX, "" },	     /* through BGP */
		{ "10.9.1.1", false, UINT32_MAX, "" },	     /* a blackhole */
		{ "10.7.0.1", false, UINT32_MAX, "" },	     /* an address of ours that is no node's */
		{ "fd00:67::139", true, 0, "eth2" },
		{ "fd00:99::1", true, UINT32_MAX, "eth2" }, /* 1024 is what the kernel gives every route */
		{ "fd00:98::1", true, 7, "eth2" },
		{ "2001:db8::1", false, UINT32_MAX, "" }, /* nothing leads there */
	};
	struct place *p = *state;

	put(p, "10.77.0.0/16", "172.16.67.2", 3)->metric = 20;
	put(p, "10.8.0.0/16", "172.16.67.140", 2)->protocol = ROUTE_PROTO_BIRD;
	put(p, "10.9.0.0/16", NULL, 0)->type = RTN_BLACKHOLE;
	put(p, "10.7.0.1/32", NULL, 1)->type = RTN_LOCAL;
	put(p, "fd00:67::/64", NULL, 2)->metric = 256;
	put(p, "fd00:99::/64", "fd00:67::1", 2)->metric = 1024;
	put(p, "fd00:98::/64", "fd00:67::1", 2)->metric = 7;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		watch(p, rows[i].addr);
		assert_int_equal(p->told, i + 1);
		if (p->heard.reachable != rows[i].reachable || p->heard.metric != rows[i].metric)
			fail_msg("%s: %d %u", rows[i].addr, p->heard.reachable, p->heard.metric);
		assert_string_equal(p->heard.ifname, rows[i].ifname);
	}
}

static void a_change_is_told_and_moves_the_route(void **state)
{
	struct place *p = *state;
	struct addr nh = ip("172.16.67.139");

	watch(p, "172.16.67.139");
	learn(p, "10.8.1.0/26", "172.16.67.139", NULL);
	assert_int_equal(p->nl.lookups, 1); /* one record for both */
	assert_string_equal(wanted(p, "10.8.1.0/26"), "172.16.67.139 eth2");
	assert_int_equal(apply(p), ROUTES_DONE);
	fib_derive(&p->a);
	assert_int_equal(p->told, 1); /* nothing new */
	/* The network is gone from the interface: the default route is all there is, then not even that. */
	p->nl.main[0] = p->nl.main[1];
	p->nl.n = 1;
	fib_derive(&p->a);
	assert_int_equal(p->told, 2);
	assert_true(p->heard.reachable && p->heard.metric == UINT32_MAX);
	assert_string_equal(wanted(p, "10.8.1.0/26"), "172.16.67.1 eth2");
	p->nl.n = 0;
	fib_derive(&p->a);
	assert_int_equal(p->told, 3);
	assert_false(p->heard.reachable);
	assert_string_equal(p->heard.ifname, "");
	assert_string_equal(wanted(p, "10.8.1.0/26"), "unreachable");
	assert_int_equal(apply(p), ROUTES_DONE);
	/* In place: the only addition was the first. */
	assert_int_equal(p->nl.adds, 1);
	assert_int_equal(p->nl.replaces, 1);
	assert_int_equal(p->nl.dels, 0);
	/* Nobody watches any more: nothing is told, but the route still follows. */
	fib_on_unwatch(&p->a, &nh);
	put(p, "172.16.67.0/24", NULL, 5);
	fib_derive(&p->a);
	assert_int_equal(p->told, 3);
	assert_string_equal(wanted(p, "10.8.1.0/26"), "172.16.67.139 eth5");
}

static void several_next_hops_are_changed_in_place(void **state)
{
	struct place *p = *state;

	learn(p, "10.8.1.0/26", "172.16.67.139", NULL);
	apply(p);
	learn(p, "10.8.1.0/26", "172.16.67.139", "172.16.67.140");
	assert_string_equal(wanted(p, "10.8.1.0/26"), "172.16.67.139 eth2, 172.16.67.140 eth2");
	apply(p);
	/* One of the two is through BGP by now. */
	put(p, "172.16.67.140/32", "172.16.67.150", 2)->protocol = ROUTE_PROTO_BIRD;
	fib_derive(&p->a);
	assert_string_equal(wanted(p, "10.8.1.0/26"), "172.16.67.139 eth2");
	apply(p);
	learn(p, "10.8.1.0/26", "172.16.67.139", "172.16.67.139");
	apply(p);
	assert_int_equal(p->nl.adds, 1);
	assert_int_equal(p->nl.replaces, 3);
	assert_int_equal(p->nl.dels, 0);
	assert_int_equal(map_count(p->a.fib.paths), 1);
}

static void a_new_speaker_watches_again(void **state)
{
	struct place *p = *state;

	fib_on_speaker(&p->a);
	watch(p, "172.16.67.139");
	watch(p, "172.16.67.140");
	learn(p, "10.8.1.0/26", "172.16.67.140", NULL);
	learn(p, "10.8.2.0/26", "172.16.67.141", NULL);
	fib_on_synced(&p->a);
	fib_on_speaker(&p->a);
	watch(p, "172.16.67.140");
	learn(p, "10.8.1.0/26", "172.16.67.140", NULL);
	/* Nothing goes before it has said everything. */
	assert_int_equal(map_count(p->a.fib.nexthops), 3);
	assert_int_equal(p->a.fib.count, 2);
	fib_on_synced(&p->a);
	assert_int_equal(map_count(p->a.fib.nexthops), 1);
	assert_int_equal(p->a.fib.count, 1);
	assert_string_equal(wanted(p, "10.8.2.0/26"), "");
}

static void too_many_are_answered_but_not_kept(void **state)
{
	struct place *p = *state;
	char text[32];

	for (unsigned i = 0; i < FIB_NEXTHOPS_MAX; i++) {
		snprintf(text, sizeof(text), "10.1.%u.%u", i / 256, i % 256);
		watch(p, text);
		assert_true(p->heard.reachable);
	}
	watch(p, "10.2.0.1");
	assert_false(p->heard.reachable);
	assert_int_equal(p->heard.metric, UINT32_MAX);
	assert_int_equal(map_count(p->a.fib.nexthops), FIB_NEXTHOPS_MAX);
	/* A route over one more is there, and leads nowhere. */
	learn(p, "10.8.1.0/26", "10.2.0.1", NULL);
	assert_string_equal(wanted(p, "10.8.1.0/26"), "unreachable");
}

/* From NHOBJ_MIN gateways on, also for the routes that were there before; a next hop behind a router is none.
 */
static void many_gateways_are_objects(void **state)
{
	struct place *p = *state;
	struct route_entry *en;
	char text[32], dst[32];

	put(p, "10.64.0.0/16", NULL, 2);
	for (unsigned i = 0; i <= NHOBJ_MIN; i++) {
		snprintf(text, sizeof(text), "10.64.%u.%u", i / 256, i % 256);
		snprintf(dst, sizeof(dst), "10.8.%u.%u/32", i / 256, i % 256);
		assert_int_equal(p->a.fib.gateways, i);
		learn(p, dst, text, NULL);
		learn(p, "10.9.0.0/26", "10.99.0.1", NULL);
		fib_use_objects(&p->a);
		assert_int_equal(p->a.routes.objects.on, i >= NHOBJ_MIN);
	}
	routes_each(&p->a.routes, en) assert_true(en->via->nhid != 0);
	learn(p, "10.8.0.0/32", "10.64.0.0", "10.64.0.1");
	assert_string_equal(wanted(p, "10.8.0.0/32"), "10.64.0.0 eth2, 10.64.0.1 eth2");
	while (apply(p) == ROUTES_MORE)
		;
	fib_on_synced(&p->a);
	for (unsigned i = 3; i <= NHOBJ_MIN; i++) {
		struct prefix net;
		snprintf(dst, sizeof(dst), "10.8.%u.%u/32", i / 256, i % 256);
		assert_true(prefix_parse(dst, &net));
		fib_on_gone(&p->a, &net);
	}
	fib_use_objects(&p->a);
	assert_false(p->a.routes.objects.on);
	assert_string_equal(wanted(p, "10.8.0.1/32"), "10.64.0.1 eth2");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(every_kind_of_next_hop_is_answered, begin, end),
		cmocka_unit_test_setup_teardown(a_change_is_told_and_moves_the_route, begin, end),
		cmocka_unit_test_setup_teardown(several_next_hops_are_changed_in_place, begin, end),
		cmocka_unit_test_setup_teardown(a_new_speaker_watches_again, begin, end),
		cmocka_unit_test_setup_teardown(too_many_are_answered_but_not_kept, begin, end),
		cmocka_unit_test_setup_teardown(many_gateways_are_objects, begin, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
