/* Agent and speaker understand each other; nothing else passes. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/check.h"
#include "base/prng.h"
#include "bgp/ipc.h"

static struct addr some_addr(struct prng *r)
{
	uint8_t b[16];

	for (size_t i = 0; i < sizeof(b); i++)
		b[i] = (uint8_t)prng_next(r);
	b[0] = 10;
	return addr_from_bytes(prng_below(r, 2) ? AF_INET : AF_INET6, b);
}

static struct prefix some_prefix(struct prng *r)
{
	struct addr a = some_addr(r);

	return prefix_of(&a, (uint8_t)prng_below(r, addr_bits(a.family) + 1));
}

static void some_text(struct prng *r, char *s, size_t max)
{
	size_t n = prng_below(r, max);

	for (size_t i = 0; i < n; i++)
		s[i] = (char)(' ' + prng_below(r, 95));
	s[n] = '\0';
}

static void fill_peer(struct prng *r, struct ipc_peer *p)
{
	p->remote = some_addr(r);
	if (prng_below(r, 2)) {
		p->local = p->remote;
		p->local.b[3] ^= 1;
	}
	p->port = (uint16_t)(1 + prng_below(r, 65535));
	p->remote_asn = 1 + (uint32_t)prng_below(r, UINT32_MAX - 1);
	p->local_asn = (uint32_t)prng_next(r);
	p->passive = prng_below(r, 2);
	p->client = prng_below(r, 2);
	p->families = (uint8_t)(1 + prng_below(r, 3));
	p->hold_time = prng_below(r, 2) ? 0 : (uint16_t)(3 + prng_below(r, 65000));
	p->keepalive_time = (uint16_t)prng_next(r);
	p->own_restart_time = prng_below(r, 2);
	p->restart_time = (uint16_t)prng_below(r, 4096);
	p->import = (uint16_t)prng_below(r, IPC_POLICY_MAX + 1);
	p->export = (uint16_t)prng_below(r, IPC_POLICY_MAX + 1);
	p->max_prefixes = (uint32_t)prng_next(r);
	p->allow_own_as = (uint8_t)prng_next(r);
	p->nexthop_mode = (uint8_t)prng_below(r, 3);
	p->role = (uint8_t)prng_below(r, 6);
	p->role_strict = prng_below(r, 2);
	p->add_path_recv = (uint8_t)prng_below(r, 4);
	p->add_path_send = (uint8_t)prng_below(r, 4);
	p->ext_nexthop = prng_below(r, 2);
	p->ext_message = prng_below(r, 2);
	p->ttl = (uint8_t)prng_next(r);
	p->ttl_security = (uint8_t)prng_next(r);
	p->shutdown = prng_below(r, 2);
	some_text(r, p->text, sizeof(p->text));
	some_text(r, p->password, sizeof(p->password));
	some_text(r, p->name, sizeof(p->name));
}

static struct policy_community some_community(struct prng *r)
{
	bool large = prng_below(r, 2);
	uint32_t max = large ? UINT32_MAX : UINT16_MAX;

	return (struct policy_community){ large,
					  { (uint32_t)prng_below(r, max), (uint32_t)prng_below(r, max),
					    large ? (uint32_t)prng_next(r) : 0 } };
}

static uint8_t some_asns(struct prng *r, uint32_t asns[static POLICY_ASNS_MAX], uint8_t min)
{
	uint8_t n = (uint8_t)(min + prng_below(r, POLICY_ASNS_MAX + 1u - min));

	for (size_t i = 0; i < n; i++)
		asns[i] = 1 + (uint32_t)prng_below(r, 70000);
	return n;
}

static void fill_rule(struct prng *r, struct policy_rule *p)
{
	static const uint8_t families[] = { 0, AF_INET, AF_INET6 };

	p->family = families[prng_below(r, 3)];
	p->prefix_op = (uint8_t)prng_below(r, POLICY_PREFIX_NOT_IN + 1);
	if (p->prefix_op) {
		p->prefix = some_prefix(r);
		p->max_len = (uint8_t)prng_below(r, 129);
		p->min_len = (uint8_t)prng_below(r, p->max_len + 1u);
	}
	p->source = (uint8_t)prng_below(r, 3);
	p->session = (uint8_t)prng_below(r, 3);
	p->has_community = prng_below(r, 2);
	p->has_local_pref = prng_below(r, 2);
	p->community = some_community(r);
	p->local_pref = (uint32_t)prng_next(r);
	p->nas_path = some_asns(r, p->as_path, 0);
	some_text(r, p->interface, sizeof(p->interface));
	p->verdict = (uint8_t)prng_below(r, 3);
	p->nops = p->verdict == POLICY_REJECT ? 0 : (uint8_t)prng_below(r, POLICY_OPS_MAX + 1);
	for (size_t i = 0; i < p->nops; i++) {
		p->ops[i].kind = (uint8_t)prng_below(r, POLICY_OP_KINDS);
		p->ops[i].community = some_community(r);
		p->ops[i].value = (uint32_t)prng_next(r);
		p->ops[i].nasns = some_asns(r, p->ops[i].asns, 1);
	}
}

static void fill_state(struct prng *r, struct ipc_peer_state *s)
{
	s->remote = some_addr(r);
	s->state = (uint8_t)prng_below(r, 6);
	s->since = (usec_t)(prng_next(r) >> 1);
	s->router_id = (uint32_t)prng_next(r);
	s->hold_time = 90;
	s->families = (uint8_t)prng_below(r, 4);
	s->agreed = (uint16_t)prng_below(r, IPC_AGREED_ALL + 1);
	s->rejected = (uint32_t)prng_next(r);
	s->stale = (uint32_t)prng_next(r);
	s->received = (uint32_t)prng_next(r);
	s->accepted = (uint32_t)prng_next(r);
	s->advertised = (uint32_t)prng_next(r);
	s->msgs_in = prng_next(r);
	s->msgs_out = prng_next(r);
	s->updates_in = prng_next(r);
	s->updates_out = prng_next(r);
	s->flaps = (uint32_t)prng_next(r);
	some_text(r, s->reason, sizeof(s->reason));
}

static void fill_path(struct prng *r, struct ipc_path *p)
{
	p->prefix = some_prefix(r);
	if (prng_below(r, 2)) {
		p->peer = some_addr(r);
		p->nexthop = some_addr(r);
	}
	p->router_id = (uint32_t)prng_next(r);
	p->local_pref = (uint32_t)prng_next(r);
	p->med = (uint32_t)prng_next(r);
	p->first_asn = (uint32_t)prng_next(r);
	p->as_path_len = (uint16_t)prng_next(r);
	p->origin = (uint8_t)prng_below(r, 3);
	p->ebgp = prng_below(r, 2);
	p->best = prng_below(r, 2);
	p->stale = prng_below(r, 2);
	p->path_id = (uint32_t)prng_next(r);
	some_text(r, p->attrs, sizeof(p->attrs));
	some_text(r, p->why, sizeof(p->why));
}

static struct ipc_msg some_msg(struct prng *r, enum ipc_type type)
{
	struct ipc_msg m = { .type = type };

	switch (type) {
	case IPC_HELLO:
		m.hello.pid = (uint32_t)prng_next(r);
		m.hello.epoch = prng_next(r);
		m.hello.nlisten = (uint8_t)prng_below(r, IPC_LISTEN_MAX + 1);
		for (size_t i = 0; i < m.hello.nlisten; i++)
			m.hello.listen[i] = (struct ipc_listen){ some_addr(r), 179 };
		break;
	case IPC_CONFIG:
		m.config = (struct ipc_config){ 64512, 1 + (uint32_t)prng_below(r, 99),
						(uint32_t)prng_next(r), 90, 4095 };
		break;
	case IPC_PEER:
		fill_peer(r, &m.peer);
		break;
	case IPC_POLICY:
		some_text(r, m.policy.name, sizeof(m.policy.name));
		m.policy.otherwise = prng_below(r, 2);
		m.policy.id = (uint16_t)(IPC_POLICY_FIRST + prng_below(r, 4000));
		break;
	case IPC_POLICY_END:
	case IPC_POLICY_GONE:
		m.policy.id = (uint16_t)(IPC_POLICY_FIRST + prng_below(r, 4000));
		break;
	case IPC_RULE:
		m.rule.id = IPC_POLICY_MAX;
		fill_rule(r, &m.rule.rule);
		break;
	case IPC_NEXTHOP:
		m.nexthop.addr = some_addr(r);
		m.nexthop.reachable = prng_below(r, 2);
		m.nexthop.metric = (uint32_t)prng_next(r);
		some_text(r, m.nexthop.ifname, sizeof(m.nexthop.ifname));
		break;
	case IPC_WATCH:
	case IPC_UNWATCH:
		m.nexthop.addr = some_addr(r);
		break;
	case IPC_REFRESH:
		m.refresh.remote = some_addr(r);
		m.refresh.out = prng_below(r, 2);
		break;
	case IPC_RESET:
		m.reset.remote = some_addr(r);
		some_text(r, m.reset.text, sizeof(m.reset.text));
		break;
	case IPC_PEER_GONE:
		m.peer.remote = some_addr(r);
		break;
	case IPC_ORIGIN:
		m.origin.prefix = some_prefix(r);
		if (prng_below(r, 2)) {
			m.origin.nexthop = m.origin.prefix.addr;
			m.origin.nexthop.b[0] = 10;
			m.origin.nexthop.b[3] = 1;
		}
		break;
	case IPC_ORIGIN_GONE:
		m.origin.prefix = some_prefix(r);
		break;
	case IPC_LISTEN:
	case IPC_UNLISTEN:
		m.listen = (struct ipc_listen){ { .family = AF_INET6 }, 179 };
		break;
	case IPC_DUMP:
		m.dump.id = (uint32_t)prng_next(r);
		m.dump.all = prng_below(r, 2);
		if (!m.dump.all)
			m.dump.prefix = some_prefix(r);
		break;
	case IPC_ROUTE:
		m.route.prefix = some_prefix(r);
		m.route.own = prng_below(r, 2);
		m.route.nhops = (uint8_t)(!m.route.own + prng_below(r, IPC_PATHS_MAX));
		for (size_t i = 0; i < m.route.nhops; i++) {
			m.route.nexthop[i] = some_addr(r);
			m.route.peer[i] = some_addr(r);
		}
		break;
	case IPC_ROUTE_GONE:
		m.route.prefix = some_prefix(r);
		break;
	case IPC_PEER_STATE:
		fill_state(r, &m.state);
		break;
	case IPC_PATH:
		m.dump_id = (uint32_t)prng_next(r);
		fill_path(r, &m.path);
		break;
	case IPC_DUMP_END:
		m.dump_id = (uint32_t)prng_next(r);
		break;
	case IPC_STATED:
	case IPC_SYNCED:
	case IPC_TYPES:
		break;
	}
	return m;
}

static void round_trip(void **state)
{
	static uint8_t a[IPC_MSG_MAX], b[IPC_MSG_MAX];
	struct prng r = { 3 };
	struct err e = { 0 };

	for (int i = 0; i < 20000; i++) {
		struct ipc_msg m = some_msg(&r, (enum ipc_type)(1 + i % (IPC_TYPES - 1))), got = { 0 };
		struct wr wa = wr_to(a, sizeof(a)), wb = wr_to(b, sizeof(b));
		ipc_encode(&m, &wa);
		assert_true(wr_ok(&wa));
		if (ipc_decode(a, wa.len, &got, &e) < 0)
			fail_msg("type %d: %s", (int)m.type, e.msg);
		ipc_encode(&got, &wb);
		assert_int_equal(wa.len, wb.len);
		assert_memory_equal(a, b, wa.len);
		/* One byte less or more is another message. */
		assert_int_equal(ipc_decode(a, wa.len - 1, &got, &e), -EPROTO);
		assert_true(e.msg[0]);
		a[wa.len] = 0;
		assert_int_equal(ipc_decode(a, wa.len + 1, &got, &e), -EPROTO);
	}
}

/* The longest of each fits. */
static void the_longest(void **state)
{
	static uint8_t a[IPC_MSG_MAX];
	struct ipc_msg m = { .type = IPC_ROUTE };
	struct wr w = wr_to(a, sizeof(a));

	assert_true(addr_parse("fd00::1", &m.route.nexthop[0]));
	m.route.prefix = prefix_host(&m.route.nexthop[0]);
	m.route.nhops = IPC_PATHS_MAX;
	for (size_t i = 0; i < IPC_PATHS_MAX; i++)
		m.route.nexthop[i] = m.route.peer[i] = m.route.nexthop[0];
	ipc_encode(&m, &w);
	assert_true(wr_ok(&w));
}

static void the_longest_rule(void **state)
{
	static uint8_t a[IPC_MSG_MAX];
	struct prng r = { 5 };
	struct ipc_msg m = some_msg(&r, IPC_RULE);
	struct wr w = wr_to(a, sizeof(a));

	m.rule.rule.prefix_op = POLICY_PREFIX_IN;
	m.rule.rule.nas_path = POLICY_ASNS_MAX;
	m.rule.rule.nops = POLICY_OPS_MAX;
	for (size_t i = 0; i < POLICY_OPS_MAX; i++)
		m.rule.rule.ops[i].nasns = POLICY_ASNS_MAX;
	ipc_encode(&m, &w);
	assert_true(wr_ok(&w));
}

static void texts(void **state)
{
	static uint8_t a[IPC_MSG_MAX];
	struct ipc_msg m = { .type = IPC_PEER_STATE }, got;
	struct wr w = wr_to(a, sizeof(a));
	struct err e;

	m.state.remote = addr_v4(0x0a000001);
	strcpy(m.state.reason, "knoten \xc3\xbc\x1b[2J\n\xff\xc2\x85 \xed\xa0\x80!");
	ipc_encode(&m, &w);
	assert_int_equal(ipc_decode(a, w.len, &got, &e), 0);
	assert_string_equal(got.state.reason, "knoten \xc3\xbc?[2J???"
					      "? ??"
					      "?!");
	a[w.len - 1] = '\n';
	assert_int_equal(ipc_decode(a, w.len, &got, &e), -EPROTO);
	memset(m.state.reason, 'x', sizeof(m.state.reason)); /* not terminated: cut */
	w = wr_to(a, sizeof(a));
	ipc_encode(&m, &w);
	assert_int_equal(ipc_decode(a, w.len, &got, &e), 0);
	assert_int_equal(strlen(got.state.reason), IPC_TEXT_MAX - 1);
}

static int decode_config(uint32_t asn, uint32_t id, uint16_t hold, uint16_t restart)
{
	uint8_t a[64];
	struct ipc_msg m = { .type = IPC_CONFIG, .config = { asn, id, 0, hold, restart } };
	struct wr w = wr_to(a, sizeof(a));
	struct err e;

	ipc_encode(&m, &w);
	return ipc_decode(a, w.len, &m, &e);
}

static void ranges(void **state)
{
	static const uint8_t version[] = { IPC_VERSION + 1, IPC_STATED };
	static const uint8_t type[] = { IPC_VERSION, IPC_TYPES };
	static const uint8_t host_bits[] = { IPC_VERSION, IPC_ROUTE_GONE, 4, 10, 0, 0, 1, 24 };
	static const uint8_t too_long[] = { IPC_VERSION, IPC_ROUTE_GONE, 4, 10, 0, 0, 0, 33 };
	static const uint8_t no_family[] = { IPC_VERSION, IPC_PEER_GONE, 5, 10, 0, 0, 0 };
	static const uint8_t multicast[] = { IPC_VERSION, IPC_PEER_GONE, 4, 224, 0, 0, 5 };
	static const uint8_t nothing_via[] = { IPC_VERSION, IPC_ROUTE, 4, 10, 0, 0, 0, 24, 0, 0 };
	struct ipc_msg m = { .type = IPC_TYPES };
	struct err e = { 0 };

	assert_int_equal(ipc_decode(version, sizeof(version), &m, &e), -EPROTO);
	assert_non_null(strstr(e.msg, "version"));
	assert_int_equal(ipc_decode(type, sizeof(type), &m, &e), -EPROTO);
	assert_int_equal(ipc_decode(type, 0, &m, &e), -EPROTO);
	assert_int_equal(ipc_decode(host_bits, sizeof(host_bits), &m, &e), -EPROTO);
	assert_int_equal(ipc_decode(too_long, sizeof(too_long), &m, &e), -EPROTO);
	assert_int_equal(ipc_decode(no_family, sizeof(no_family), &m, &e), -EPROTO);
	assert_int_equal(ipc_decode(multicast, sizeof(multicast), &m, &e), -EPROTO);
	assert_int_equal(ipc_decode(nothing_via, sizeof(nothing_via), &m, &e), -EPROTO);
	assert_int_equal(m.type, IPC_TYPES); /* untouched */
	assert_int_equal(decode_config(64512, 1, 90, 120), 0);
	assert_int_equal(decode_config(64512, 1, 0, 0), 0);
	assert_int_equal(decode_config(0, 1, 90, 0), -EPROTO);
	assert_int_equal(decode_config(64512, 0, 90, 0), -EPROTO);
	assert_int_equal(decode_config(64512, 1, 2, 0), -EPROTO);
	assert_int_equal(decode_config(64512, 1, 90, 4096), -EPROTO);
	assert_string_equal(ipc_state_name(IPC_ESTABLISHED), "Established");
	assert_string_equal(ipc_state_name(77), "?");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(round_trip),	    cmocka_unit_test(the_longest),
		cmocka_unit_test(the_longest_rule), cmocka_unit_test(texts),
		cmocka_unit_test(ranges),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
