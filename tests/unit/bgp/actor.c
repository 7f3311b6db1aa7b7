#include "actor.h"

#include "base/check.h"
#include "base/own.h"

#include <stdio.h>

enum { KEEPALIVE = 20 * SEC };

void actor_write(struct actor *a, const struct wr *w)
{
	assert_true(wr_ok(w) && a->conn);
	net_send(a->net, a->number, a->conn, w->buf, w->len);
}

static void say_keepalive(struct actor *a)
{
	uint8_t bytes[MSG_HEADER];
	struct wr w = wr_to(bytes, sizeof(bytes));

	msg_keepalive_encode(&w);
	actor_write(a, &w);
}

static void on_keepalive(struct timer *t, usec_t now)
{
	struct actor *a = container_of(t, struct actor, keepalive);

	if (!a->silent)
		say_keepalive(a);
	timer_start(&a->net->timers, t, now + KEEPALIVE);
}

static void on_connected(void *arg, uint64_t conn)
{
	struct actor *a = arg;
	uint8_t bytes[MSG_MAX];
	struct wr w = wr_to(bytes, sizeof(bytes));

	msg_open_encode(&a->open, &w);
	actor_write(a, &w);
}

static void forget(struct actor *a, size_t i)
{
	attr_unref(a->attrs, a->heard[i].attr);
	a->heard[i] = a->heard[--a->nheard];
}

static void over(struct actor *a)
{
	timer_stop(&a->keepalive);
	a->conn = 0;
	a->up = false;
	a->npartial = 0;
	while (a->nheard)
		forget(a, 0);
}

static void note(struct actor *a, const char *fmt, ...)
{
	va_list ap;

	if (a->log.n)
		str_add(&a->log, " ");
	va_start(ap, fmt);
	str_vaddf(&a->log, fmt, ap);
	va_end(ap);
}

static void on_closed(void *arg, uint64_t conn)
{
	note(arg, "closed");
	over(arg);
}

static void hear_open(struct actor *a, struct rd body)
{
	struct notify bad;
	bool ebgp;

	assert_int_equal(msg_open_decode(body, &a->theirs, &bad), 0);
	note(a, "open");
	a->agreed = caps_agree(&a->open.caps, &a->theirs.caps);
	ebgp = a->open.asn != a->theirs.asn;
	a->codec = (struct codec){ .ebgp = ebgp,
				   .as4 = a->agreed.as4,
				   .families = a->agreed.families,
				   .ext_nexthop = a->agreed.ext_nexthop,
				   .add_path_in = a->agreed.add_path_in,
				   .add_path_out = a->agreed.add_path_out,
				   .max = a->agreed.ext_message ? MSG_MAX_EXT : MSG_MAX };
	say_keepalive(a);
}

static size_t index_of(const struct actor *a, const struct prefix *p, uint32_t id)
{
	size_t i = 0;

	while (i < a->nheard && !(prefix_eq(&a->heard[i].prefix, p) && a->heard[i].id == id))
		i++;
	return i;
}

static void note_prefix(struct actor *a, char sign, const struct prefix *p, uint32_t id, uint8_t ids)
{
	char text[PREFIX_STR_MAX];

	if (ids & caps_family_of_af(p->addr.family))
		note(a, "%c%s#%u", sign, prefix_format(p, text), id);
	else
		note(a, "%c%s", sign, prefix_format(p, text));
}

static void hear_withdrawn(struct actor *a, struct nlri n)
{
	struct prefix p;
	uint32_t id;

	while (nlri_next(&n, &p, &id)) {
		size_t i = index_of(a, &p, id);
		note_prefix(a, '-', &p, id, a->codec.add_path_in);
		if (i < a->nheard)
			forget(a, i);
	}
}

static void hear_announced(struct actor *a, struct update_reach reach, struct attr_set *attr)
{
	struct prefix p;
	uint32_t id;

	while (nlri_next(&reach.nlri, &p, &id)) {
		size_t i = index_of(a, &p, id);
		note_prefix(a, '+', &p, id, a->codec.add_path_in);
		if (i < a->nheard)
			forget(a, i);
		assert_true(a->nheard < ACTOR_HEARD);
		a->heard[a->nheard++] = (struct actor_heard){ p, id, attr_ref(attr), reach.nexthop };
	}
}

static void hear_update(struct actor *a, struct rd body)
{
	static struct update u;
	struct attr_set *attr;

	assert_int_equal(update_decode(body, &a->codec, &u), ATTR_TAKE);
	a->updates++;
	for (size_t i = 0; i < ARRAY_SIZE(u.withdrawn); i++)
		hear_withdrawn(a, u.withdrawn[i]);
	if (update_has_routes(&u)) {
		attr = attr_intern(a->attrs, &u.attrs, &a->codec);
		for (size_t i = 0; i < ARRAY_SIZE(u.announced); i++)
			hear_announced(a, u.announced[i], attr);
		attr_unref(a->attrs, attr);
	}
	if (u.eor)
		note(a, "eor%d", u.eor == CAPS_V4 ? 4 : 6);
}

static void hear_refresh(struct actor *a, struct rd body)
{
	static const char *const names[] = { "request", "borr", "eorr" };
	struct msg_refresh m;
	struct notify bad;

	assert_int_equal(msg_refresh_decode(body, &m, &bad), 1);
	note(a, "%s%d", names[m.subtype], m.family == CAPS_V4 ? 4 : 6);
}

static void hear(struct actor *a, const struct msg *m)
{
	switch ((enum msg_type)m->type) {
	case MSG_OPEN:
		hear_open(a, m->body);
		break;
	case MSG_KEEPALIVE:
		a->keepalives++;
		if (!a->up)
			timer_start(&a->net->timers, &a->keepalive, a->net->now + KEEPALIVE);
		a->up = true;
		break;
	case MSG_UPDATE:
		hear_update(a, m->body);
		break;
	case MSG_REFRESH:
		hear_refresh(a, m->body);
		break;
	case MSG_NOTIFICATION:
		notify_decode(m->body, &a->notify);
		note(a, "notify %u/%u", a->notify.code, a->notify.subcode);
		break;
	}
}

static void on_data(void *arg, uint64_t conn, const uint8_t *bytes, size_t n)
{
	struct actor *a = arg;
	struct msg m;
	struct notify bad;
	size_t at = 0;
	ssize_t k;

	a->partial = xrealloc(a->partial, a->npartial + n);
	memcpy(a->partial + a->npartial, bytes, n);
	a->npartial += n;
	while ((k = msg_next(a->partial + at, a->npartial - at, a->codec.max ? a->codec.max : MSG_MAX, &m,
			     &bad)) > 0) {
		hear(a, &m);
		at += (size_t)k;
	}
	assert_true(k == 0);
	memmove(a->partial, a->partial + at, a->npartial - at);
	a->npartial -= at;
}

struct actor *actor_new(struct net *t, int number, int to, uint32_t asn)
{
	struct actor *a = xcalloc(1, sizeof(*a));
	struct addr id = net_addr(number);

	a->net = t;
	a->number = number;
	a->to = to;
	a->open = (struct msg_open){ .asn = asn ? asn : ACTOR_AS,
				     .hold_time = 90,
				     .router_id = addr_to_v4(&id) };
	caps_init(&a->open.caps);
	a->open.caps.mp = a->open.caps.as4 = a->open.caps.refresh = true;
	a->open.caps.families = CAPS_V4;
	a->attrs = attr_table_new(1);
	timer_init(&a->keepalive, on_keepalive);
	a->script = (struct net_script){ a, on_connected, on_data, on_closed };
	t->nodes[number].script = &a->script;
	t->nodes[number].net = t;
	t->nodes[number].number = number;
	return a;
}

void actor_free(struct actor *a)
{
	over(a);
	a->net->nodes[a->number].script = NULL;
	attr_table_free(a->attrs);
	str_done(&a->log);
	str_done(&a->last);
	free(a->partial);
	free(a);
}

struct ipc_peer actor_conf(const struct actor *a)
{
	struct ipc_peer p = net_peer_conf(a->to, a->number, true);

	p.remote_asn = a->open.asn;
	return p;
}

void actor_state(const struct actor *a, const struct ipc_peer *conf)
{
	struct ipc_msg m = { .type = IPC_PEER, .peer = *conf };

	net_say(a->net, a->to, &m);
}

void actor_dial(struct actor *a)
{
	a->notify = (struct notify){ 0 };
	a->codec = (struct codec){ 0 };
	a->updates = a->keepalives = 0;
	a->conn = net_dial(a->net, a->number, a->to);
	net_run(a->net, 100 * MSEC);
}

void actor_hang_up(struct actor *a)
{
	net_hang_up(a->net, a->number, a->conn);
	over(a);
}

void actor_notify(struct actor *a, uint8_t code, uint8_t subcode)
{
	struct notify n = { .code = code, .subcode = subcode };
	uint8_t bytes[64];
	struct wr w = wr_to(bytes, sizeof(bytes));

	notify_encode(&n, &w);
	actor_write(a, &w);
	actor_hang_up(a);
}

struct net *actor_net(uint16_t restart, uint32_t cluster_id)
{
	struct net *t = net_new(1);
	struct ipc_msg m = { .type = IPC_CONFIG };
	struct addr id = net_addr(0);

	m.config = (struct ipc_config){ .asn = ACTOR_AS,
					.router_id = addr_to_v4(&id),
					.cluster_id = cluster_id,
					.hold_time = 90,
					.restart_time = restart };
	net_say(t, 0, &m);
	net_origin(t, 0, 0, true);
	net_stated(t, 0);
	return t;
}

struct actor *actor_up(struct net *t, int number, uint32_t asn)
{
	struct actor *a = actor_new(t, number, 0, asn);
	struct ipc_peer conf = actor_conf(a);

	conf.import = conf.export = IPC_POLICY_ALL;
	actor_state(a, &conf);
	actor_dial(a);
	assert_true(a->up);
	return a;
}

static void write_packed(struct actor *a, struct packer *k)
{
	pack_end(k);
	actor_write(a, k->w);
}

static struct addr own_nexthop(const struct actor *a, uint8_t af)
{
	uint8_t b[16] = { 0xfd, [15] = (uint8_t)(a->number + 1) };

	return af == AF_INET ? net_addr(a->number) : addr_from_bytes(AF_INET6, b);
}

void actor_announce(struct actor *a, const struct prefix *p, uint32_t id, const struct attr_change *ch,
		    const struct addr *nexthop)
{
	static uint8_t bytes[MSG_MAX_EXT];
	struct wr w = wr_to(bytes, sizeof(bytes));
	struct packer k;
	struct attr_change all = ch ? *ch : (struct attr_change){ 0 };
	struct attr_set *own = attr_originate(a->attrs, ATTR_ORIGIN_IGP), *attr;
	struct addr hop = nexthop ? *nexthop : own_nexthop(a, p->addr.family);

	if (a->codec.ebgp) {
		all.prepend_asn = a->open.asn;
		all.prepend = 1;
	} else if (all.local_pref == ATTR_KEEP) {
		all.local_pref = ATTR_PUT;
		all.local_pref_value = 100;
	}
	attr = attr_derive(a->attrs, own, &all);
	assert_non_null(attr);
	pack_begin(&k, &w, &a->codec);
	assert_int_equal(pack_announce(&k, attr, &hop, p, id), 0);
	write_packed(a, &k);
	attr_unref(a->attrs, own);
	attr_unref(a->attrs, attr);
}

void actor_withdraw(struct actor *a, const struct prefix *p, uint32_t id)
{
	uint8_t bytes[MSG_MAX];
	struct wr w = wr_to(bytes, sizeof(bytes));
	struct packer k;

	pack_begin(&k, &w, &a->codec);
	assert_int_equal(pack_withdraw(&k, p, id), 0);
	write_packed(a, &k);
}

void actor_eor(struct actor *a, uint8_t af)
{
	uint8_t bytes[64];
	struct wr w = wr_to(bytes, sizeof(bytes));
	struct packer k;

	pack_begin(&k, &w, &a->codec);
	assert_int_equal(pack_eor(&k, af), 0);
	write_packed(a, &k);
}

void actor_refresh(struct actor *a, uint8_t family, uint8_t subtype)
{
	struct msg_refresh m = { family, subtype };
	uint8_t bytes[64];
	struct wr w = wr_to(bytes, sizeof(bytes));

	msg_refresh_encode(&m, &w);
	actor_write(a, &w);
}

const struct actor_heard *actor_has(const struct actor *a, const struct prefix *p)
{
	for (size_t i = 0; i < a->nheard; i++)
		if (prefix_eq(&a->heard[i].prefix, p))
			return &a->heard[i];
	return NULL;
}

size_t actor_count(const struct actor *a, const struct prefix *p)
{
	size_t n = 0;

	for (size_t i = 0; i < a->nheard; i++)
		n += prefix_eq(&a->heard[i].prefix, p);
	return n;
}

const char *actor_log(struct actor *a)
{
	str_done(&a->last);
	a->last = a->log;
	a->log = (struct str){ 0 };
	return a->last.s ? a->last.s : "";
}
