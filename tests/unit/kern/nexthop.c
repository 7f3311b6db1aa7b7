/* Nexthop objects on the real kernel: made, listed, used by routes, gone with their interface. */
#include "place.h"

#include "kern/nexthop.h"
#include "kern/parse.h"

static struct nexthop object(struct place *p, uint32_t id, const char *gateway)
{
	struct nexthop nh = { .id = id, .protocol = ROUTE_PROTO_BIRD };

	nh.hop.ifindex = place_index(p, "kn0");
	assert_true(addr_parse(gateway, &nh.hop.gateway));
	return nh;
}

struct listed {
	size_t n;
	struct nexthop last;
};

static void count(void *arg, const struct nexthop *nh)
{
	struct listed *l = arg;

	l->n++;
	l->last = *nh;
}

static bool supported(struct place *p)
{
	struct listed l = { 0 };

	return nexthop_dump(p->nl, 0, count, &l, NULL) != -EOPNOTSUPP;
}

#define NEED_OBJECTS()                                                  \
	do {                                                            \
		NEED_ROOT();                                            \
		if (!supported(*state)) {                               \
			print_message("skipped: no nexthop objects\n"); \
			skip();                                         \
		}                                                       \
	} while (0)

static size_t listed(struct place *p, uint8_t protocol, struct nexthop *ret)
{
	struct listed l = { 0 };

	OK(nexthop_dump(p->nl, protocol, count, &l, &e));
	*ret = l.last;
	return l.n;
}

static void one_route(void *arg, const struct route *r)
{
	*(struct route *)arg = *r;
}

static int setup(void **state)
{
	place_enter(state);
	if (!*state)
		return 0;
	place_veth(*state, "kn0", "kn1");
	place_do("ip addr add 172.16.67.138/24 dev kn0 && ip addr add fd00:67::138/64 dev kn0 nodad");
	return 0;
}

static void what_is_made_is_listed(void **state)
{
	NEED_OBJECTS();
	struct place *p = *state;
	struct nexthop a = object(p, 71, "172.16.67.139"), b = object(p, 72, "fd00:67::139"), got;

	OK(nexthop_add(p->nl, &a, &e));
	assert_int_equal(nexthop_add(p->nl, &a, NULL), -EEXIST);
	assert_int_equal(listed(p, ROUTE_PROTO_BIRD, &got), 1);
	assert_int_equal(got.id, 71);
	assert_true(addr_eq(&got.hop.gateway, &a.hop.gateway));
	assert_int_equal(got.hop.ifindex, a.hop.ifindex);
	place_do("ip link set lo up && ip nexthop add id 5 blackhole");
	assert_int_equal(listed(p, ROUTE_PROTO_BIRD, &got), 1);
	OK(nexthop_add(p->nl, &b, &e));
	assert_int_equal(listed(p, 0, &got), 3);
	assert_int_equal(got.id, 72);
	assert_true(addr_eq(&got.hop.gateway, &b.hop.gateway));
	OK(nexthop_del(p->nl, 71, &e));
	OK(nexthop_del(p->nl, 72, &e));
	OK(nexthop_del(p->nl, 5, &e));
	assert_int_equal(nexthop_del(p->nl, 71, NULL), -ENOENT);
	assert_int_equal(listed(p, 0, &got), 0);
}

static void a_route_moves_onto_an_object_and_back_in_place(void **state)
{
	NEED_OBJECTS();
	struct place *p = *state;
	struct nexthop a = object(p, 73, "172.16.67.139");
	struct route r = { .type = RTN_UNICAST, .protocol = ROUTE_PROTO_BIRD, .nhops = 1 }, got = { 0 };

	assert_true(prefix_parse("10.8.1.0/26", &r.dst));
	r.hops[0] = a.hop;
	OK(route_add(p->nl, &r, &e));
	OK(nexthop_add(p->nl, &a, &e));
	r.nhid = 73;
	OK(route_replace(p->nl, &r, &e));
	OK(route_dump(p->nl, AF_INET, RT_TABLE_MAIN, ROUTE_PROTO_BIRD, one_route, &got, &e));
	assert_int_equal(got.nhid, 73);
	assert_true(addr_eq(&got.hops[0].gateway, &a.hop.gateway));
	r.nhid = 0;
	OK(route_replace(p->nl, &r, &e));
	OK(route_dump(p->nl, AF_INET, RT_TABLE_MAIN, ROUTE_PROTO_BIRD, one_route, &got, &e));
	assert_int_equal(got.nhid, 0);
	/* Nothing leads through it any more, so the route stays when it goes. */
	OK(nexthop_del(p->nl, 73, &e));
	OK(route_del(p->nl, &r, &e));
}

/* Why the agent has to remember: the kernel says nothing when these go. */
static void a_lost_carrier_takes_object_and_routes(void **state)
{
	NEED_OBJECTS();
	struct place *p = *state;
	struct nexthop a = object(p, 74, "172.16.67.139"), got;
	struct route r = { .type = RTN_UNICAST, .protocol = ROUTE_PROTO_BIRD, .nhid = 74 };

	assert_true(prefix_parse("10.8.1.0/26", &r.dst));
	OK(nexthop_add(p->nl, &a, &e));
	OK(route_add(p->nl, &r, &e));
	place_do("ip link set kn1 down");
	/* The kernel hears of a lost carrier in a work queue of its own. */
	for (int i = 0; i < 1000 && listed(p, 0, &got); i++)
		usleep(10000);
	assert_int_equal(listed(p, 0, &got), 0);
	assert_int_equal(route_del(p->nl, &r, NULL), -ESRCH);
	place_do("ip link set kn1 up");
}

static void bytes_that_are_none(void **state)
{
	static const uint8_t no_id[] = { AF_INET, 0, 12, 0, 0, 0, 0, 0 };
	static const uint8_t group[] = { 0, 0, 12, 0, 0, 0, 0, 0, 8, 0, 1, 0, 9, 0, 0, 0, 4, 0, 2, 0 };
	static const uint8_t wrong_gateway[] = { AF_INET, 0, 12, 0, 0, 0, 0, 0, 8, 0, 1, 0,
						 9,	  0, 0,	 0, 7, 0, 6, 0, 1, 2, 3, 0 };
	struct nexthop nh;

	for (size_t n = 0; n < sizeof(no_id); n++)
		assert_false(parse_nexthop(rd_of(no_id, n), &nh));
	assert_false(parse_nexthop(rd_of(no_id, sizeof(no_id)), &nh));
	assert_false(parse_nexthop(rd_of(wrong_gateway, sizeof(wrong_gateway)), &nh));
	assert_true(parse_nexthop(rd_of(group, sizeof(group)), &nh));
	assert_int_equal(nh.id, 9);
	assert_false(addr_is_set(&nh.hop.gateway));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_made_is_listed),
		cmocka_unit_test(a_route_moves_onto_an_object_and_back_in_place),
		cmocka_unit_test(a_lost_carrier_takes_object_and_routes),
		cmocka_unit_test(bytes_that_are_none),
	};

	return cmocka_run_group_tests(tests, setup, place_leave);
}
