/* Whatever bytes come out of an rtnetlink socket: nothing is read outside of them, and values keep their
 * invariants. */
#include "base/check.h"
#include "kern/parse.h"

#include <net/if.h>

static void check_addr(const struct addr *a)
{
	static const struct addr none;

	CHECK(addr_size(a->family) || addr_eq(a, &none));
	for (size_t i = addr_size(a->family); i < sizeof(a->b); i++)
		CHECK(!a->b[i]);
}

static void try_link(struct rd body)
{
	struct link l;

	if (!parse_link(body, &l))
		return;
	CHECK(l.ifindex && l.name[0]);
	CHECK(memchr(l.name, '\0', sizeof(l.name)) && memchr(l.kind, '\0', sizeof(l.kind)));
}

static void try_ifaddr(struct rd body)
{
	struct if_addr a;

	if (!parse_ifaddr(body, &a))
		return;
	check_addr(&a.addr);
	check_addr(&a.broadcast);
	CHECK(a.ifindex && addr_is_set(&a.addr) && a.len <= addr_bits(a.addr.family));
	CHECK(memchr(a.label, '\0', sizeof(a.label)));
}

static void try_neigh(struct rd body)
{
	struct neigh n;

	if (!parse_neigh(body, &n))
		return;
	check_addr(&n.addr);
	CHECK(n.ifindex && addr_is_set(&n.addr) && neigh_state_name(n.state));
}

static void try_route(struct rd body, bool fib)
{
	struct route r;
	char buf[ROUTE_STR_MAX];

	if (!parse_route(body, fib, &r))
		return;
	check_addr(&r.dst.addr);
	check_addr(&r.prefsrc);
	CHECK(addr_is_set(&r.dst.addr) && r.dst.len <= addr_bits(r.dst.addr.family));
	struct prefix masked = prefix_of(&r.dst.addr, r.dst.len);
	CHECK(prefix_eq(&masked, &r.dst));
	CHECK(r.nhops <= ROUTE_HOPS_MAX);
	for (size_t i = 0; i < r.nhops; i++)
		check_addr(&r.hops[i].gateway);
	CHECK(route_same(&r, &r));
	CHECK(strlen(route_format(&r, NULL, NULL, buf)) < ROUTE_STR_MAX);
}

static void try_codes(struct rd body, uint16_t flags)
{
	char text[PARSE_TEXT_MAX];
	int code;

	if (parse_error(body, flags, &code, text))
		CHECK(code >= 0 && code <= 4095 && strlen(text) < PARSE_TEXT_MAX);
	if (parse_done(body, flags, &code, text))
		CHECK(code >= 0 && code <= 4095 && strlen(text) < PARSE_TEXT_MAX);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct rd r = rd_of(data, n);
	struct nlmsghdr h;
	struct rd body;

	while (parse_message(&r, &h, &body)) {
		try_codes(body, h.nlmsg_flags);
		try_link(body);
		try_ifaddr(body);
		try_neigh(body);
		try_route(body, true);
		try_route(body, false);
	}
	return 0;
}
