/*
 * The messages between agent and speaker as bytes. Each message kind is one row: what it is called, how it is
 * put and how it is got. The decoder believes nothing: every enum, count, length and text is checked, and a
 * message with a byte left over is refused, so that the two programs cannot drift apart unnoticed.
 */
#include "bgp/ipc.h"

#include "base/check.h"

#include <assert.h>
#include <string.h>

/* On the wire a family is 4, 6 or 0 (no address): the numbers of AF_INET6 differ between systems, these do
 * not. */
enum { WIRE_NONE = 0, WIRE_V4 = 4, WIRE_V6 = 6 };

#define RESTART_TIME_MAX 4095 /* RFC 4724: twelve bits */
#define HOLD_TIME_MIN	 3    /* RFC 4271 4.2 */

static const char *const state_names[] = {
	[IPC_IDLE] = "Idle",	     [IPC_CONNECT] = "Connect",		[IPC_ACTIVE] = "Active",
	[IPC_OPENSENT] = "OpenSent", [IPC_OPENCONFIRM] = "OpenConfirm", [IPC_ESTABLISHED] = "Established",
};
static_assert(ARRAY_SIZE(state_names) == IPC_ESTABLISHED + 1, "a name for every state");

const char *ipc_state_name(uint8_t state)
{
	return state < ARRAY_SIZE(state_names) ? state_names[state] : "?";
}

/*
 * Length in bytes of the printable UTF-8 character at p, or 0 if there is none: control characters (C0, DEL,
 * C1), overlong forms, surrogates and stray bytes do not pass. Texts come from configuration and from peers
 * and end on terminals.
 */
static size_t printable(const uint8_t *p, size_t n)
{
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	size_t len;
	uint32_t c;

	if (p[0] < 0x80)
		return p[0] >= 0x20 && p[0] != 0x7f;
	if ((p[0] & 0xe0) == 0xc0)
		len = 2, c = p[0] & 0x1f;
	else if ((p[0] & 0xf0) == 0xe0)
		len = 3, c = p[0] & 0x0f;
	else if ((p[0] & 0xf8) == 0xf0)
		len = 4, c = p[0] & 0x07;
	else
		return 0;
	if (n < len)
		return 0;
	for (size_t i = 1; i < len; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (p[i] & 0x3f);
	}
	bool bad = c < least[len] || c > 0x10ffff || (c >= 0xd800 && c < 0xe000) || (c >= 0x80 && c < 0xa0);
	return bad ? 0 : len;
}

/* Whatever does not print becomes a question mark: what we send always decodes. */
static void put_text(struct wr *w, const char *s, size_t max)
{
	size_t n = strnlen(s, max - 1), step;
	size_t hole = wr_open8(w);

	for (size_t i = 0; i < n; i += step) {
		step = printable((const uint8_t *)s + i, n - i);
		if (step) {
			wr_bytes(w, s + i, step);
		} else {
			wr_u8(w, '?');
			step = 1;
		}
	}
	wr_close8(w, hole);
}

static void put_long_text(struct wr *w, const char *s, size_t max)
{
	size_t n = strnlen(s, max - 1), step;
	size_t hole = wr_open16(w);

	for (size_t i = 0; i < n; i += step) {
		step = printable((const uint8_t *)s + i, n - i);
		wr_bytes(w, step ? s + i : "?", MAX(step, (size_t)1));
		step = MAX(step, (size_t)1);
	}
	wr_close16(w, hole);
}

static void get_text_of(struct rd *r, size_t n, char *ret, size_t max)
{
	const uint8_t *p = rd_bytes(r, n);

	if (!p || n >= max) {
		r->bad = true;
		return;
	}
	for (size_t i = 0, step; i < n; i += step) {
		step = printable(p + i, n - i);
		if (!step) {
			r->bad = true;
			return;
		}
	}
	memcpy(ret, p, n);
	ret[n] = '\0';
}

static void get_text(struct rd *r, char *ret, size_t max)
{
	get_text_of(r, rd_u8(r), ret, max);
}

static void get_long_text(struct rd *r, char *ret, size_t max)
{
	get_text_of(r, rd_be16(r), ret, max);
}

/* The value has to hold, or the message is refused. */
static void must(struct rd *r, bool holds)
{
	if (!holds)
		r->bad = true;
}

static void put_bool(struct wr *w, bool v)
{
	wr_u8(w, v);
}

static bool get_bool(struct rd *r)
{
	uint8_t v = rd_u8(r);

	must(r, v <= 1);
	return v == 1;
}

static void put_addr(struct wr *w, const struct addr *a)
{
	wr_u8(w, a->family == AF_INET ? WIRE_V4 : a->family == AF_INET6 ? WIRE_V6 : WIRE_NONE);
	wr_bytes(w, a->b, addr_size(a->family));
}

/* Possibly no address. */
static struct addr get_addr(struct rd *r)
{
	uint8_t wire = rd_u8(r);
	uint8_t family = wire == WIRE_V4 ? AF_INET : wire == WIRE_V6 ? AF_INET6 : 0;

	must(r, family || wire == WIRE_NONE);
	const uint8_t *p = rd_bytes(r, addr_size(family));
	if (!p || !family)
		return (struct addr){ 0 };
	return addr_from_bytes(family, p);
}

static struct addr get_set_addr(struct rd *r)
{
	struct addr a = get_addr(r);

	must(r, addr_is_set(&a));
	return a;
}

/* An address that a TCP connection or a next hop can have. */
static struct addr get_host(struct rd *r)
{
	struct addr a = get_set_addr(r);

	must(r, !addr_is_unspecified(&a) && !addr_is_multicast(&a));
	return a;
}

static void put_prefix(struct wr *w, const struct prefix *p)
{
	put_addr(w, &p->addr);
	wr_u8(w, p->len);
}

static struct prefix get_prefix(struct rd *r)
{
	struct addr a = get_set_addr(r);
	uint8_t len = rd_u8(r);

	must(r, len <= addr_bits(a.family));
	if (!rd_ok(r))
		return (struct prefix){ 0 };
	struct prefix p = prefix_of(&a, len);
	must(r, addr_eq(&p.addr, &a));
	return p;
}

static uint16_t get_port(struct rd *r)
{
	uint16_t port = rd_be16(r);

	must(r, port != 0);
	return port;
}

static uint16_t get_hold_time(struct rd *r)
{
	uint16_t v = rd_be16(r);

	must(r, v == 0 || v >= HOLD_TIME_MIN);
	return v;
}

static void put_listen_fields(struct wr *w, const struct ipc_listen *l)
{
	put_addr(w, &l->addr);
	wr_be16(w, l->port);
}

static struct ipc_listen get_listen_fields(struct rd *r)
{
	struct ipc_listen l = { .addr = get_set_addr(r), .port = 0 };

	l.port = get_port(r);
	return l;
}

static void put_hello(struct wr *w, const struct ipc_msg *m)
{
	CHECK(m->hello.nlisten <= IPC_LISTEN_MAX);
	wr_be32(w, m->hello.pid);
	wr_be64(w, m->hello.epoch);
	wr_u8(w, m->hello.nlisten);
	for (size_t i = 0; i < m->hello.nlisten; i++)
		put_listen_fields(w, &m->hello.listen[i]);
}

static void get_hello(struct rd *r, struct ipc_msg *m)
{
	m->hello.pid = rd_be32(r);
	m->hello.epoch = rd_be64(r);
	m->hello.nlisten = rd_u8(r);
	must(r, m->hello.nlisten <= IPC_LISTEN_MAX);
	for (size_t i = 0; rd_ok(r) && i < m->hello.nlisten; i++)
		m->hello.listen[i] = get_listen_fields(r);
}

static void put_config(struct wr *w, const struct ipc_msg *m)
{
	wr_be32(w, m->config.asn);
	wr_be32(w, m->config.router_id);
	wr_be32(w, m->config.cluster_id);
	wr_be16(w, m->config.hold_time);
	wr_be16(w, m->config.restart_time);
}

static void get_config(struct rd *r, struct ipc_msg *m)
{
	m->config.asn = rd_be32(r);
	m->config.router_id = rd_be32(r);
	m->config.cluster_id = rd_be32(r);
	m->config.hold_time = get_hold_time(r);
	m->config.restart_time = rd_be16(r);
	must(r, m->config.asn != 0 && m->config.router_id != 0 && m->config.restart_time <= RESTART_TIME_MAX);
}

static uint8_t get_enum(struct rd *r, unsigned end)
{
	uint8_t v = rd_u8(r);

	must(r, v < end);
	return v;
}

static uint8_t get_families(struct rd *r)
{
	return get_enum(r, (IPC_FAMILY_V4 | IPC_FAMILY_V6) + 1);
}

static void put_peer(struct wr *w, const struct ipc_msg *m)
{
	const struct ipc_peer *p = &m->peer;

	put_addr(w, &p->remote);
	put_addr(w, &p->local);
	wr_be16(w, p->port);
	wr_be32(w, p->remote_asn);
	wr_be32(w, p->local_asn);
	put_bool(w, p->passive);
	wr_u8(w, p->families);
	put_bool(w, p->client);
	wr_be16(w, p->hold_time);
	wr_be16(w, p->keepalive_time);
	put_bool(w, p->own_restart_time);
	wr_be16(w, p->restart_time);
	wr_be16(w, p->import);
	wr_be16(w, p->export);
	wr_be32(w, p->max_prefixes);
	wr_u8(w, p->allow_own_as);
	wr_u8(w, p->nexthop_mode);
	wr_u8(w, p->role);
	put_bool(w, p->role_strict);
	wr_u8(w, p->add_path_recv);
	wr_u8(w, p->add_path_send);
	put_bool(w, p->ext_nexthop);
	put_bool(w, p->ext_message);
	wr_u8(w, p->ttl);
	wr_u8(w, p->ttl_security);
	put_bool(w, p->shutdown);
	put_text(w, p->text, sizeof(p->text));
	put_text(w, p->password, sizeof(p->password));
	put_text(w, p->name, sizeof(p->name));
}

static void get_peer(struct rd *r, struct ipc_msg *m)
{
	struct ipc_peer *p = &m->peer;

	p->remote = get_host(r);
	p->local = get_addr(r);
	must(r, !addr_is_set(&p->local) || p->local.family == p->remote.family);
	p->port = get_port(r);
	p->remote_asn = rd_be32(r);
	must(r, p->remote_asn != 0);
	p->local_asn = rd_be32(r);
	p->passive = get_bool(r);
	p->families = get_families(r);
	must(r, p->families != 0);
	p->client = get_bool(r);
	p->hold_time = get_hold_time(r);
	p->keepalive_time = rd_be16(r);
	p->own_restart_time = get_bool(r);
	p->restart_time = rd_be16(r);
	p->import = rd_be16(r);
	p->export = rd_be16(r);
	must(r, p->restart_time <= RESTART_TIME_MAX && p->import <= IPC_POLICY_MAX &&
			p->export <= IPC_POLICY_MAX);
	p->max_prefixes = rd_be32(r);
	p->allow_own_as = rd_u8(r);
	p->nexthop_mode = get_enum(r, IPC_NEXTHOP_KEEP + 1);
	p->role = get_enum(r, IPC_ROLE_PEER + 1);
	p->role_strict = get_bool(r);
	p->add_path_recv = get_families(r);
	p->add_path_send = get_families(r);
	p->ext_nexthop = get_bool(r);
	p->ext_message = get_bool(r);
	p->ttl = rd_u8(r);
	p->ttl_security = rd_u8(r);
	p->shutdown = get_bool(r);
	get_text(r, p->text, sizeof(p->text));
	get_text(r, p->password, sizeof(p->password));
	get_text(r, p->name, sizeof(p->name));
}

static void put_peer_gone(struct wr *w, const struct ipc_msg *m)
{
	put_addr(w, &m->peer.remote);
}

static void get_peer_gone(struct rd *r, struct ipc_msg *m)
{
	m->peer.remote = get_host(r);
}

/* Policies. */

static void put_community(struct wr *w, const struct policy_community *c)
{
	put_bool(w, c->large);
	for (size_t i = 0; i < ARRAY_SIZE(c->v); i++)
		wr_be32(w, c->v[i]);
}

static struct policy_community get_community(struct rd *r)
{
	struct policy_community c = { .large = get_bool(r) };

	for (size_t i = 0; i < ARRAY_SIZE(c.v); i++)
		c.v[i] = rd_be32(r);
	must(r, c.large || (c.v[0] <= UINT16_MAX && c.v[1] <= UINT16_MAX && c.v[2] == 0));
	return c;
}

static void put_asns(struct wr *w, const uint32_t *asns, uint8_t n)
{
	CHECK(n <= POLICY_ASNS_MAX);
	wr_u8(w, n);
	for (size_t i = 0; i < n; i++)
		wr_be32(w, asns[i]);
}

static uint8_t get_asns(struct rd *r, uint32_t asns[static POLICY_ASNS_MAX])
{
	uint8_t n = get_enum(r, POLICY_ASNS_MAX + 1);

	for (size_t i = 0; rd_ok(r) && i < n; i++) {
		asns[i] = rd_be32(r);
		must(r, asns[i] != 0);
	}
	return n;
}

static void put_op(struct wr *w, const struct policy_op *op)
{
	wr_u8(w, op->kind);
	put_community(w, &op->community);
	wr_be32(w, op->value);
	put_asns(w, op->asns, op->nasns);
}

static struct policy_op get_op(struct rd *r)
{
	struct policy_op op = { .kind = get_enum(r, POLICY_OP_KINDS) };

	op.community = get_community(r);
	op.value = rd_be32(r);
	op.nasns = get_asns(r, op.asns);
	must(r, op.kind != POLICY_PREPEND || op.nasns);
	return op;
}

static uint16_t get_policy_id(struct rd *r)
{
	uint16_t id = rd_be16(r);

	must(r, id >= IPC_POLICY_FIRST && id <= IPC_POLICY_MAX);
	return id;
}

static void put_policy(struct wr *w, const struct ipc_msg *m)
{
	wr_be16(w, m->policy.id);
	put_bool(w, m->policy.otherwise);
	put_text(w, m->policy.name, sizeof(m->policy.name));
}

static void get_policy(struct rd *r, struct ipc_msg *m)
{
	m->policy.id = get_policy_id(r);
	m->policy.otherwise = get_bool(r);
	get_text(r, m->policy.name, sizeof(m->policy.name));
}

static void put_policy_id(struct wr *w, const struct ipc_msg *m)
{
	wr_be16(w, m->policy.id);
}

static void get_policy_id_only(struct rd *r, struct ipc_msg *m)
{
	m->policy.id = get_policy_id(r);
}

static void put_rule(struct wr *w, const struct ipc_msg *m)
{
	const struct policy_rule *p = &m->rule.rule;

	CHECK(p->nops <= POLICY_OPS_MAX);
	wr_be16(w, m->rule.id);
	wr_u8(w, p->family == AF_INET ? WIRE_V4 : p->family == AF_INET6 ? WIRE_V6 : WIRE_NONE);
	wr_u8(w, p->prefix_op);
	if (p->prefix_op != POLICY_PREFIX_ANY) {
		put_prefix(w, &p->prefix);
		wr_u8(w, p->min_len);
		wr_u8(w, p->max_len);
	}
	wr_u8(w, p->source);
	wr_u8(w, p->session);
	put_bool(w, p->has_community);
	put_community(w, &p->community);
	put_bool(w, p->has_local_pref);
	wr_be32(w, p->local_pref);
	put_asns(w, p->as_path, p->nas_path);
	put_text(w, p->interface, sizeof(p->interface));
	wr_u8(w, p->verdict);
	wr_u8(w, p->nops);
	for (size_t i = 0; i < p->nops; i++)
		put_op(w, &p->ops[i]);
}

static void get_rule(struct rd *r, struct ipc_msg *m)
{
	struct policy_rule *p = &m->rule.rule;

	m->rule.id = get_policy_id(r);
	uint8_t family = rd_u8(r);
	must(r, family == WIRE_NONE || family == WIRE_V4 || family == WIRE_V6);
	p->family = family == WIRE_V4 ? AF_INET : family == WIRE_V6 ? AF_INET6 : 0;
	p->prefix_op = get_enum(r, POLICY_PREFIX_NOT_IN + 1);
	if (p->prefix_op != POLICY_PREFIX_ANY) {
		p->prefix = get_prefix(r);
		p->min_len = rd_u8(r);
		p->max_len = rd_u8(r);
		must(r, p->min_len <= p->max_len);
	}
	p->source = get_enum(r, POLICY_SOURCE_OWN + 1);
	p->session = get_enum(r, POLICY_SESSION_IBGP + 1);
	p->has_community = get_bool(r);
	p->community = get_community(r);
	p->has_local_pref = get_bool(r);
	p->local_pref = rd_be32(r);
	p->nas_path = get_asns(r, p->as_path);
	get_text(r, p->interface, sizeof(p->interface));
	p->verdict = get_enum(r, POLICY_REJECT + 1);
	p->nops = get_enum(r, POLICY_OPS_MAX + 1);
	must(r, !p->nops || p->verdict != POLICY_REJECT);
	for (size_t i = 0; rd_ok(r) && i < p->nops; i++)
		p->ops[i] = get_op(r);
}

/* Next hops. */

static void put_nexthop(struct wr *w, const struct ipc_msg *m)
{
	put_addr(w, &m->nexthop.addr);
	put_bool(w, m->nexthop.reachable);
	wr_be32(w, m->nexthop.metric);
	put_text(w, m->nexthop.ifname, sizeof(m->nexthop.ifname));
}

static void get_nexthop(struct rd *r, struct ipc_msg *m)
{
	m->nexthop.addr = get_host(r);
	m->nexthop.reachable = get_bool(r);
	m->nexthop.metric = rd_be32(r);
	get_text(r, m->nexthop.ifname, sizeof(m->nexthop.ifname));
}

static void put_nexthop_addr(struct wr *w, const struct ipc_msg *m)
{
	put_addr(w, &m->nexthop.addr);
}

static void get_nexthop_addr(struct rd *r, struct ipc_msg *m)
{
	m->nexthop.addr = get_host(r);
}

static void put_refresh(struct wr *w, const struct ipc_msg *m)
{
	put_addr(w, &m->refresh.remote);
	put_bool(w, m->refresh.out);
}

static void get_refresh(struct rd *r, struct ipc_msg *m)
{
	m->refresh.remote = get_host(r);
	m->refresh.out = get_bool(r);
}

static void put_reset(struct wr *w, const struct ipc_msg *m)
{
	put_addr(w, &m->reset.remote);
	put_text(w, m->reset.text, sizeof(m->reset.text));
}

static void get_reset(struct rd *r, struct ipc_msg *m)
{
	m->reset.remote = get_host(r);
	get_text(r, m->reset.text, sizeof(m->reset.text));
}

static void put_origin(struct wr *w, const struct ipc_msg *m)
{
	put_prefix(w, &m->origin.prefix);
	put_addr(w, &m->origin.nexthop);
}

static void get_origin(struct rd *r, struct ipc_msg *m)
{
	m->origin.prefix = get_prefix(r);
	m->origin.nexthop = get_addr(r);
	if (addr_is_set(&m->origin.nexthop))
		must(r, m->origin.nexthop.family == m->origin.prefix.addr.family &&
				!addr_is_unspecified(&m->origin.nexthop) &&
				!addr_is_multicast(&m->origin.nexthop));
}

static void put_origin_gone(struct wr *w, const struct ipc_msg *m)
{
	put_prefix(w, &m->origin.prefix);
}

static void get_origin_gone(struct rd *r, struct ipc_msg *m)
{
	m->origin.prefix = get_prefix(r);
}

static void put_listen(struct wr *w, const struct ipc_msg *m)
{
	put_listen_fields(w, &m->listen);
}

static void get_listen(struct rd *r, struct ipc_msg *m)
{
	m->listen = get_listen_fields(r);
}

static void put_nothing(struct wr *w, const struct ipc_msg *m)
{
}

static void get_nothing(struct rd *r, struct ipc_msg *m)
{
}

static void put_dump(struct wr *w, const struct ipc_msg *m)
{
	wr_be32(w, m->dump.id);
	put_bool(w, m->dump.all);
	if (!m->dump.all)
		put_prefix(w, &m->dump.prefix);
}

static void get_dump(struct rd *r, struct ipc_msg *m)
{
	m->dump.id = rd_be32(r);
	m->dump.all = get_bool(r);
	if (!m->dump.all)
		m->dump.prefix = get_prefix(r);
}

static void put_route(struct wr *w, const struct ipc_msg *m)
{
	const struct ipc_route *t = &m->route;

	CHECK(t->nhops <= IPC_PATHS_MAX);
	put_prefix(w, &t->prefix);
	put_bool(w, t->own);
	wr_u8(w, t->nhops);
	for (size_t i = 0; i < t->nhops; i++) {
		put_addr(w, &t->nexthop[i]);
		put_addr(w, &t->peer[i]);
	}
}

static void get_route(struct rd *r, struct ipc_msg *m)
{
	struct ipc_route *t = &m->route;

	t->prefix = get_prefix(r);
	t->own = get_bool(r);
	t->nhops = rd_u8(r);
	must(r, t->nhops <= IPC_PATHS_MAX && (t->nhops || t->own));
	for (size_t i = 0; rd_ok(r) && i < t->nhops; i++) {
		t->nexthop[i] = get_host(r);
		t->peer[i] = get_host(r);
	}
}

static void put_route_gone(struct wr *w, const struct ipc_msg *m)
{
	put_prefix(w, &m->route.prefix);
}

static void get_route_gone(struct rd *r, struct ipc_msg *m)
{
	m->route.prefix = get_prefix(r);
}

static void put_state(struct wr *w, const struct ipc_msg *m)
{
	const struct ipc_peer_state *s = &m->state;

	put_addr(w, &s->remote);
	wr_u8(w, s->state);
	wr_be64(w, (uint64_t)s->since);
	wr_be32(w, s->router_id);
	wr_be16(w, s->hold_time);
	wr_u8(w, s->families);
	wr_be16(w, s->agreed);
	wr_be32(w, s->received);
	wr_be32(w, s->accepted);
	wr_be32(w, s->advertised);
	wr_be32(w, s->rejected);
	wr_be32(w, s->stale);
	wr_be64(w, s->msgs_in);
	wr_be64(w, s->msgs_out);
	wr_be64(w, s->updates_in);
	wr_be64(w, s->updates_out);
	wr_be32(w, s->flaps);
	put_text(w, s->reason, sizeof(s->reason));
}

static void get_state(struct rd *r, struct ipc_msg *m)
{
	struct ipc_peer_state *s = &m->state;

	s->remote = get_host(r);
	s->state = rd_u8(r);
	must(r, s->state <= IPC_ESTABLISHED);
	uint64_t since = rd_be64(r);
	must(r, since <= INT64_MAX);
	s->since = (usec_t)since;
	s->router_id = rd_be32(r);
	s->hold_time = get_hold_time(r);
	s->families = rd_u8(r);
	must(r, s->families <= (IPC_FAMILY_V4 | IPC_FAMILY_V6));
	s->agreed = rd_be16(r);
	must(r, s->agreed <= IPC_AGREED_ALL);
	s->received = rd_be32(r);
	s->accepted = rd_be32(r);
	s->advertised = rd_be32(r);
	s->rejected = rd_be32(r);
	s->stale = rd_be32(r);
	s->msgs_in = rd_be64(r);
	s->msgs_out = rd_be64(r);
	s->updates_in = rd_be64(r);
	s->updates_out = rd_be64(r);
	s->flaps = rd_be32(r);
	get_text(r, s->reason, sizeof(s->reason));
}

static void put_path(struct wr *w, const struct ipc_msg *m)
{
	const struct ipc_path *p = &m->path;

	wr_be32(w, m->dump_id);
	put_prefix(w, &p->prefix);
	put_addr(w, &p->peer);
	put_addr(w, &p->nexthop);
	wr_be32(w, p->router_id);
	wr_be32(w, p->local_pref);
	wr_be32(w, p->med);
	wr_be32(w, p->first_asn);
	wr_be16(w, p->as_path_len);
	wr_u8(w, p->origin);
	wr_be32(w, p->path_id);
	put_bool(w, p->ebgp);
	put_bool(w, p->best);
	put_bool(w, p->stale);
	put_long_text(w, p->attrs, sizeof(p->attrs));
	put_text(w, p->why, sizeof(p->why));
}

static void get_path(struct rd *r, struct ipc_msg *m)
{
	struct ipc_path *p = &m->path;

	m->dump_id = rd_be32(r);
	p->prefix = get_prefix(r);
	p->peer = get_addr(r);
	p->nexthop = get_addr(r);
	p->router_id = rd_be32(r);
	p->local_pref = rd_be32(r);
	p->med = rd_be32(r);
	p->first_asn = rd_be32(r);
	p->as_path_len = rd_be16(r);
	p->origin = rd_u8(r);
	must(r, p->origin <= 2);
	p->path_id = rd_be32(r);
	p->ebgp = get_bool(r);
	p->best = get_bool(r);
	p->stale = get_bool(r);
	get_long_text(r, p->attrs, sizeof(p->attrs));
	get_text(r, p->why, sizeof(p->why));
}

static void put_dump_end(struct wr *w, const struct ipc_msg *m)
{
	wr_be32(w, m->dump_id);
}

static void get_dump_end(struct rd *r, struct ipc_msg *m)
{
	m->dump_id = rd_be32(r);
}

static const struct {
	const char *name;
	void (*put)(struct wr *, const struct ipc_msg *);
	void (*get)(struct rd *, struct ipc_msg *);
} kinds[] = {
	[0] = { NULL, NULL, NULL },
	[IPC_HELLO] = { "HELLO", put_hello, get_hello },
	[IPC_CONFIG] = { "CONFIG", put_config, get_config },
	[IPC_POLICY] = { "POLICY", put_policy, get_policy },
	[IPC_RULE] = { "RULE", put_rule, get_rule },
	[IPC_POLICY_END] = { "POLICY_END", put_policy_id, get_policy_id_only },
	[IPC_POLICY_GONE] = { "POLICY_GONE", put_policy_id, get_policy_id_only },
	[IPC_PEER] = { "PEER", put_peer, get_peer },
	[IPC_PEER_GONE] = { "PEER_GONE", put_peer_gone, get_peer_gone },
	[IPC_ORIGIN] = { "ORIGIN", put_origin, get_origin },
	[IPC_ORIGIN_GONE] = { "ORIGIN_GONE", put_origin_gone, get_origin_gone },
	[IPC_LISTEN] = { "LISTEN", put_listen, get_listen },
	[IPC_UNLISTEN] = { "UNLISTEN", put_listen, get_listen },
	[IPC_STATED] = { "STATED", put_nothing, get_nothing },
	[IPC_DUMP] = { "DUMP", put_dump, get_dump },
	[IPC_NEXTHOP] = { "NEXTHOP", put_nexthop, get_nexthop },
	[IPC_REFRESH] = { "REFRESH", put_refresh, get_refresh },
	[IPC_RESET] = { "RESET", put_reset, get_reset },
	[IPC_ROUTE] = { "ROUTE", put_route, get_route },
	[IPC_ROUTE_GONE] = { "ROUTE_GONE", put_route_gone, get_route_gone },
	[IPC_SYNCED] = { "SYNCED", put_nothing, get_nothing },
	[IPC_PEER_STATE] = { "PEER_STATE", put_state, get_state },
	[IPC_PATH] = { "PATH", put_path, get_path },
	[IPC_DUMP_END] = { "DUMP_END", put_dump_end, get_dump_end },
	[IPC_WATCH] = { "WATCH", put_nexthop_addr, get_nexthop_addr },
	[IPC_UNWATCH] = { "UNWATCH", put_nexthop_addr, get_nexthop_addr },
};
static_assert(ARRAY_SIZE(kinds) == IPC_TYPES, "a row for every message");

void ipc_encode(const struct ipc_msg *m, struct wr *w)
{
	CHECK(m->type > 0 && m->type < IPC_TYPES);
	wr_u8(w, IPC_VERSION);
	wr_u8(w, (uint8_t)m->type);
	kinds[m->type].put(w, m);
}

int ipc_next(struct rd *r, struct ipc_msg *ret, struct err *e)
{
	size_t n = rd_left(r);
	struct ipc_msg m = { 0 };
	uint8_t version = rd_u8(r), type = rd_u8(r);

	if (!rd_ok(r))
		return err_set(e, EPROTO, "a message of %zu bytes is too short", n);
	if (version != IPC_VERSION)
		return err_set(e, EPROTO,
			       "the other side speaks version %u of the protocol, we speak %u: restart both",
			       version, IPC_VERSION);
	if (type == 0 || type >= IPC_TYPES)
		return err_set(e, EPROTO, "message type %u is unknown", type);
	m.type = type;
	kinds[type].get(r, &m);
	if (!rd_ok(r))
		return err_set(e, EPROTO, "%s: a field is missing or out of range", kinds[type].name);
	*ret = m;
	return 0;
}

int ipc_decode(const void *bytes, size_t n, struct ipc_msg *ret, struct err *e)
{
	struct rd r = rd_of(bytes, n);
	struct ipc_msg m;
	int rc = ipc_next(&r, &m, e);

	if (rc < 0)
		return rc;
	if (!rd_end(&r))
		return err_set(e, EPROTO, "%s: %zu bytes too many", kinds[m.type].name, rd_left(&r));
	*ret = m;
	return 0;
}
