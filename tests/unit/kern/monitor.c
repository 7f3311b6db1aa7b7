/* What the kernel tells us as it happens, and what it says when it told too much. */
#include "place.h"

#include "kern/monitor.h"
#include "loop/loop.h"

struct heard {
	size_t links, addrs, routes, neighs, gone, overruns;
	struct monitor_event last;
	struct monitor *free_me;
};

static void on_event(void *arg, const struct monitor_event *ev)
{
	struct heard *h = arg;

	h->links += ev->what == MONITOR_LINK;
	h->addrs += ev->what == MONITOR_ADDR;
	h->routes += ev->what == MONITOR_ROUTE;
	h->neighs += ev->what == MONITOR_NEIGH;
	h->overruns += ev->what == MONITOR_OVERRUN;
	h->gone += ev->gone;
	h->last = *ev;
	if (h->free_me) {
		monitor_free(h->free_me);
		h->free_me = NULL;
	}
}

static void turn(struct loop *l)
{
	for (int i = 0; i < 5; i++)
		loop_turn(l, loop_now(l) + 20 * MSEC);
}

static struct route blackhole(uint32_t i)
{
	struct addr a = addr_v4(0x0b000000 + i);

	return (struct route){ .dst = prefix_host(&a), .type = RTN_BLACKHOLE, .protocol = ROUTE_PROTO_BIRD };
}

static void test_events(void **state)
{
	struct place *p = *state;
	struct heard h = { 0 };

	NEED_ROOT();
	own(loop) struct loop *l = loop_new(NULL);
	struct monitor *m = monitor_new(
		l, 1u << MONITOR_LINK | 1u << MONITOR_ADDR | 1u << MONITOR_ROUTE | 1u << MONITOR_NEIGH, NULL,
		0, on_event, &h, NULL);
	assert_non_null(m);
	place_veth(p, "kv0", "kv1");
	turn(l);
	assert_true(h.links >= 2);
	place_do("ip addr add 10.1.0.1/24 dev kv0 && ip addr add fd00:1::1/64 dev kv0 nodad");
	turn(l);
	assert_true(h.addrs >= 2);

	h = (struct heard){ 0 };
	struct route r = blackhole(1);
	OK(route_replace(p->nl, &r, &e));
	turn(l);
	assert_int_equal(h.routes, 1);
	assert_true(route_same(&h.last.route, &r) && !h.last.gone);
	OK(route_del(p->nl, &r, &e));
	turn(l);
	assert_int_equal(h.routes, 2);
	assert_true(route_same(&h.last.route, &r) && h.last.gone);
	assert_true(prefix_parse("fd00:2::/64", &r.dst));
	OK(route_replace(p->nl, &r, &e));
	turn(l);
	assert_int_equal(h.routes, 3);
	assert_true(route_same(&h.last.route, &r));

	place_do("ip neigh replace 10.1.0.7 lladdr 02:00:00:00:00:07 dev kv0 nud permanent");
	turn(l);
	assert_true(h.neighs >= 1);

	/* A port leaving its bridge is not an interface that is gone. */
	place_do("ip link add kbr type bridge && ip link set kv1 master kbr");
	turn(l);
	h = (struct heard){ 0 };
	place_do("ip link set kv1 nomaster");
	turn(l);
	assert_true(h.links >= 1);
	assert_int_equal(h.gone, 0);
	place_do("ip link del kv0");
	turn(l);
	assert_true(h.gone >= 2);
	monitor_free(m);
}

static void test_groups(void **state)
{
	struct place *p = *state;
	struct heard h = { 0 };

	NEED_ROOT();
	own(loop) struct loop *l = loop_new(NULL);
	struct monitor *m = monitor_new(l, 1u << MONITOR_ADDR, NULL, 0, on_event, &h, NULL);
	struct route r = blackhole(2);
	OK(route_replace(p->nl, &r, &e));
	OK(route_del(p->nl, &r, &e));
	turn(l);
	assert_int_equal(h.routes, 0);
	/* Freed by its own callback, with more waiting. */
	place_veth(p, "kv0", "kv1");
	h.free_me = m;
	place_do("ip addr add 10.1.0.1/24 dev kv0 && ip addr add 10.1.0.2/24 dev kv0");
	turn(l);
	assert_null(h.free_me);
	assert_int_equal(h.addrs, 1);
	monitor_free(NULL);
}

#define FLOOD 40000

static void test_overrun(void **state)
{
	struct place *p = *state;
	struct heard h = { 0 };

	NEED_ROOT();
	own(loop) struct loop *l = loop_new(NULL);
	struct monitor *m = monitor_new(l, 1u << MONITOR_ROUTE, NULL, 0, on_event, &h, NULL);
	nl_batch_begin(p->nl);
	for (uint32_t i = 0; i < FLOOD; i++) {
		struct route r = blackhole(i);
		OK(route_replace(p->nl, &r, &e));
	}
	OK(nl_batch_end(p->nl, NULL, NULL, &e));
	for (size_t before = 1, now = 0; before != now;) {
		before = h.routes + h.overruns;
		turn(l);
		now = h.routes + h.overruns;
	}
	assert_true(h.overruns >= 1);
	if (h.routes < 5000 || h.routes >= FLOOD)
		fail_msg("%zu routes heard of, %zu overruns", h.routes, h.overruns);
	/* And it hears again. */
	size_t routes = h.routes;
	struct route r = blackhole(FLOOD);
	OK(route_replace(p->nl, &r, &e));
	turn(l);
	assert_int_equal(h.routes, routes + 1);
	assert_true(route_same(&h.last.route, &r));
	monitor_free(m);
}

/* Routes of the socket that is named are no news, those of others and everything else is. */
static void test_own(void **state)
{
	struct place *p = *state;
	struct heard h = { 0 };
	struct nl *other = NULL;

	NEED_ROOT();
	own(loop) struct loop *l = loop_new(NULL);
	assert_true(nl_port(p->nl) != 0);
	OK(nl_open(&other, &e));
	assert_true(nl_port(other) != nl_port(p->nl));
	struct monitor *m = monitor_new(l, 1u << MONITOR_LINK | 1u << MONITOR_ROUTE | 1u << MONITOR_NEXTHOP,
					(uint32_t[]){ 1, nl_port(p->nl) }, 2, on_event, &h, NULL);
	struct route a = blackhole(1000000), b = blackhole(1000001);
	OK(route_replace(p->nl, &a, &e));
	OK(route_del(p->nl, &a, &e));
	OK(route_replace(other, &b, &e));
	turn(l);
	assert_int_equal(h.routes, 1);
	assert_true(route_same(&h.last.route, &b));
	/* Who deletes it is not who added it. */
	OK(route_del(p->nl, &b, &e));
	OK(route_replace(p->nl, &a, &e));
	OK(route_del(other, &a, &e));
	turn(l);
	assert_int_equal(h.routes, 2);
	assert_true(h.last.gone && route_same(&h.last.route, &a));
	place_veth(p, "kv4", "kv5");
	turn(l);
	assert_true(h.links >= 2);
	/* A route that goes with its address is nobody's. */
	size_t before = h.routes;
	place_do("ip addr add 10.4.0.1/24 dev kv4 && ip addr del 10.4.0.1/24 dev kv4");
	turn(l);
	assert_true(h.routes > before);
	monitor_free(m);
	nl_free(other);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_events),
		cmocka_unit_test(test_groups),
		cmocka_unit_test(test_overrun),
		cmocka_unit_test(test_own),
	};

	return cmocka_run_group_tests(tests, place_enter, place_leave);
}
