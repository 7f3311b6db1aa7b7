/*
 * A peer: when it is dialled, which of two connections survives (RFC 4271 6.8), what an OPEN must say, routes
 * in and out, and what stays when it restarts (RFC 4724, the helper's side). RFC 4271 9, RFC 2918, RFC 4456,
 * RFC 6286.
 */
#include "bgp/state.h"

static void on_idle_hold(struct timer *t, usec_t now);
static void on_refresh(struct timer *t, usec_t now);
static void on_stale_end(struct timer *t, usec_t now);
static struct tell_how how_of(const struct peer *p, const struct conn *c);
static void limit_prefixes(struct peer *p, enum rib_learned learned, usec_t now);

struct peer *peer_find(struct speaker *s, const struct addr *remote)
{
	struct peer *p;

	map_find(s->peers, remote, p);
	return p;
}

uint32_t peer_asn(const struct peer *p)
{
	return p->conf.local_asn ? p->conf.local_asn : p->s->config.asn;
}

uint16_t peer_hold_time(const struct peer *p)
{
	return p->conf.hold_time ? p->conf.hold_time : p->s->config.hold_time;
}

static bool is_ebgp(const struct peer *p)
{
	return p->conf.remote_asn != peer_asn(p);
}

static uint16_t restart_time(const struct peer *p)
{
	return p->conf.own_restart_time ? p->conf.restart_time : p->s->config.restart_time;
}

static uint32_t max_prefixes(const struct peer *p)
{
	uint32_t own = p->conf.max_prefixes;

	return own && own < SPEAKER_PEER_PREFIXES ? own : SPEAKER_PEER_PREFIXES;
}

/* The kernel keeps our routes while we restart, so forwarding state is always preserved. */
struct caps peer_caps(const struct peer *p)
{
	struct caps c;

	caps_init(&c);
	c.mp = true;
	c.families = p->conf.families;
	c.refresh = c.enhanced_refresh = true;
	c.as4 = true;
	c.asn = peer_asn(p);
	c.ext_message = p->conf.ext_message;
	c.ext_nexthop = p->conf.ext_nexthop ? p->conf.families & CAPS_V4 : 0;
	c.add_path_recv = p->conf.add_path_recv & p->conf.families;
	c.add_path_send = p->conf.add_path_send & p->conf.families;
	if (p->conf.role && is_ebgp(p))
		c.role = (uint8_t)(p->conf.role - 1);
	if (restart_time(p)) {
		c.gr = c.gr_notification = true;
		c.gr_restarting = !p->s->synced;
		c.gr_time = restart_time(p);
		c.gr_families = c.gr_forwarding = p->conf.families;
		c.llgr = true; /* we help; our own routes need no more than the ordinary time */
	}
	return c;
}

/* What people see. */

static enum fsm_state state_of(const struct peer *p)
{
	enum fsm_state s = p->dialled.state;

	return p->accepted && p->accepted->state > s ? p->accepted->state : s;
}

void peer_tell(struct peer *p)
{
	if (list_empty(&p->untold))
		list_add_tail(&p->s->untold, &p->untold);
}

static void counters_changed(struct peer *p, usec_t now)
{
	p->counters = true;
	if (!timer_armed(&p->s->stats))
		timer_start(p->s->timers, &p->s->stats, now + SPEAKER_STATS_TIME);
}

void peer_show(struct peer *p, usec_t now)
{
	enum fsm_state s = state_of(p);

	if (s == p->shown)
		return;
	p->shown = s;
	p->since = now;
	peer_tell(p);
}

void peer_reason(struct peer *p, const struct cause *why)
{
	if (!why->reason[0] || (why->weak && p->strong))
		return;
	p->strong = why->told || why->notify.code;
	if (strcmp(p->reason, why->reason) == 0)
		return;
	memcpy(p->reason, why->reason, sizeof(p->reason));
	peer_tell(p);
}

static uint16_t agreed_of(const struct conn *c)
{
	const struct caps *o = &c->offered, *t = &c->open.caps;
	const struct {
		uint16_t bit;
		bool holds;
	} all[] = {
		{ IPC_AGREED_AS4, c->agreed.as4 },
		{ IPC_AGREED_REFRESH, c->agreed.refresh },
		{ IPC_AGREED_ENHANCED_REFRESH, c->agreed.enhanced_refresh },
		{ IPC_AGREED_EXT_MESSAGE, c->agreed.ext_message },
		{ IPC_AGREED_EXT_NEXTHOP, c->agreed.ext_nexthop },
		{ IPC_AGREED_ADD_PATH_IN, c->agreed.add_path_in },
		{ IPC_AGREED_ADD_PATH_OUT, c->agreed.add_path_out },
		{ IPC_AGREED_GR, o->gr && t->gr },
		{ IPC_AGREED_GR_NOTIFICATION, peer_knows_notification(c) },
		{ IPC_AGREED_LLGR, o->llgr && t->llgr },
		{ IPC_AGREED_ROLE, o->role != CAPS_ROLE_NONE && t->role != CAPS_ROLE_NONE },
	};
	uint16_t bits = 0;

	for (size_t i = 0; i < ARRAY_SIZE(all); i++)
		bits |= all[i].holds ? all[i].bit : 0;
	return bits;
}

void peer_describe(const struct peer *p, usec_t now, struct ipc_peer_state *ret)
{
	const struct rib_peer *counted = rib_peer(p->s->rib, p->number);

	*ret = (struct ipc_peer_state){
		.remote = p->conf.remote,
		.state = (uint8_t)p->shown,
		.since = now - p->since,
		.msgs_in = p->msgs_in,
		.msgs_out = p->msgs_out,
		.updates_in = p->updates_in,
		.updates_out = p->updates_out,
		.flaps = p->flaps,
	};
	memcpy(ret->reason, p->reason, sizeof(ret->reason));
	if (counted) {
		ret->received = counted->paths;
		ret->accepted = counted->usable;
		ret->rejected = counted->rejected;
		ret->stale = counted->stale;
	}
	if (!p->up)
		return;
	ret->router_id = p->up->open.router_id;
	ret->hold_time = (uint16_t)p->up->hold_time;
	ret->families = p->codec.families;
	ret->agreed = agreed_of(p->up);
	ret->advertised = export_count(p->out);
	ret->msgs_out += export_updates(p->out);
	ret->updates_out += export_updates(p->out);
}

/* Beginning and ending. */

static void start(struct peer *p, usec_t now)
{
	struct cause why = { 0 };

	bool waits = p->conf.passive && !p->conf.greet;
	conn_event(&p->dialled, waits ? FSM_START_PASSIVE : FSM_START, &why, now);
}

static bool is_alive(const struct conn *c)
{
	return c && c->state >= FSM_OPENSENT;
}

/* The peer has dialled and spoken: it is not dialled at the same time. One that only dialled may stay silent.
 */
static bool is_promising(const struct peer *p)
{
	return p->accepted && p->accepted->state >= FSM_OPENCONFIRM;
}

static void on_idle_hold(struct timer *t, usec_t now)
{
	struct peer *p = container_of(t, struct peer, idle_hold);

	p->damped = false;
	if (!is_promising(p))
		start(p, now);
	speaker_wake(p->s);
}

/* Whenever nothing is going on that could lead to a session, begin again after the idle hold; and a peer that
 * only waits to be dialled lets itself be dialled again. */
void peer_keep_going(struct peer *p, usec_t now)
{
	if (!p->wanted || timer_armed(&p->idle_hold))
		return;
	if (!p->damped && (p->dialled.state != FSM_IDLE || is_promising(p)))
		return;
	timer_start(p->s->timers, &p->idle_hold, now + fsm_idle_hold(MAX(p->errors, 1u), &p->s->prng));
}

/* Did we refuse what the peer said? It would say it again. */
static bool is_repeatable(const struct notify *n)
{
	return n->code == NOTIFY_HEADER || n->code == NOTIFY_OPEN || n->code == NOTIFY_UPDATE ||
	       n->code == NOTIFY_FSM || (n->code == NOTIFY_CEASE && n->subcode == CEASE_MAX_PREFIXES);
}

void peer_error(struct peer *p, const struct cause *why, usec_t now)
{
	if (is_alive(&p->dialled) || is_alive(p->accepted))
		return; /* one of two ended; the other is what counts */
	if (p->errors < 32)
		p->errors++;
	p->damped = is_repeatable(&why->notify) || p->brief >= SPEAKER_BRIEF_MAX;
	peer_reason(p, why);
}

static void stop(struct peer *p, const struct cause *why, usec_t now)
{
	p->wanted = false;
	if (p->accepted)
		conn_event(p->accepted, FSM_STOP, why, now);
	conn_event(&p->dialled, FSM_STOP, why, now);
	timer_stop(&p->idle_hold);
}

/* What has been decided for good does not let the peer keep our routes. */
static bool is_final(uint8_t subcode)
{
	return subcode == CEASE_DECONFIGURED || subcode == CEASE_SHUTDOWN || subcode == CEASE_MAX_PREFIXES ||
	       subcode == CEASE_OUT_OF_RESOURCES;
}

struct cause cease(uint8_t subcode, const char *reason)
{
	struct cause why = CAUSE("%s", reason);

	notify_set(&why.notify, NOTIFY_CEASE, subcode, NULL, 0);
	why.hard = is_final(subcode);
	return why;
}

static struct cause shutdown_cause(const struct peer *p)
{
	struct cause why =
		CAUSE("shut down by the administrator%s%.200s", p->conf.text[0] ? ": " : "", p->conf.text);

	notify_set_text(&why.notify, CEASE_SHUTDOWN, p->conf.text);
	why.hard = true;
	return why;
}

static void begin(struct peer *p, usec_t now)
{
	struct cause why = shutdown_cause(p);

	if (!p->s->configured)
		return;
	if (p->conf.shutdown) {
		peer_reason(p, &why);
		return;
	}
	p->wanted = true;
	start(p, now);
}

static void tell_key(struct peer *p, const char *password)
{
	if (p->s->io.key)
		p->s->io.key(p->s->io.arg, &p->conf.remote, password);
}

/* Also what was kept over a restart. */
static void forget_all(struct peer *p)
{
	p->stale = p->llgr = 0;
	timer_stop(&p->stale_end);
	rib_forget_peer(p->s->rib, p->number, 0, false);
}

void peer_reset(struct peer *p, const struct cause *why, usec_t now)
{
	stop(p, why, now);
	if (why->hard) /* also if it is away, and only its stale routes are there */
		forget_all(p);
	p->errors = 0;
	p->damped = false;
	begin(p, now);
}

static uint16_t number_get(struct speaker *s)
{
	uint32_t n = 0;

	while (n < s->nnumbers && s->numbers[n])
		n++;
	if (n == s->nnumbers && n < RIB_PEERS_MAX) {
		s->nnumbers = s->nnumbers ? s->nnumbers * 2 : 16;
		s->numbers = xrealloc(s->numbers, s->nnumbers * sizeof(struct peer *));
		memset(s->numbers + n, 0, (s->nnumbers - n) * sizeof(struct peer *));
	}
	return (uint16_t)MIN(n, RIB_PEERS_MAX);
}

static struct peer *peer_new(struct speaker *s, const struct ipc_peer *conf, usec_t now)
{
	uint16_t number = number_get(s);

	if (number == RIB_PEERS_MAX)
		return NULL;
	struct peer *p = xcalloc(1, sizeof(*p));
	p->s = s;
	p->conf = *conf;
	p->number = number;
	p->since = now;
	s->numbers[number] = p;
	list_init(&p->untold);
	list_init(&p->sending);
	timer_init(&p->idle_hold, on_idle_hold);
	timer_init(&p->refresh, on_refresh);
	timer_init(&p->stale_end, on_stale_end);
	conn_init(&p->dialled, p, true);
	HASH_ADD(hh, s->peers, conf.remote, sizeof(p->conf.remote), p);
	if (p->conf.password[0])
		tell_key(p, p->conf.password);
	return p;
}

void peer_remove(struct peer *p, usec_t now)
{
	struct speaker *s = p->s;
	struct cause why = cease(CEASE_DECONFIGURED, "no longer configured");

	stop(p, &why, now);
	forget_all(p);
	timer_stop(&p->refresh);
	conn_release(&p->dialled);
	list_del(&p->untold);
	s->numbers[p->number] = NULL;
	HASH_DEL(s->peers, p);
	if (p->conf.password[0])
		tell_key(p, "");
	free(p);
}

/* What a session was agreed upon, or TCP was made with: a change of it needs a new one. */
static bool same_session(const struct ipc_peer *a, const struct ipc_peer *b)
{
	return addr_eq(&a->local, &b->local) && a->remote_asn == b->remote_asn &&
	       a->local_asn == b->local_asn && a->families == b->families && a->client == b->client &&
	       a->hold_time == b->hold_time && a->role == b->role && a->role_strict == b->role_strict &&
	       a->add_path_recv == b->add_path_recv && a->add_path_send == b->add_path_send &&
	       a->ext_nexthop == b->ext_nexthop && a->ext_message == b->ext_message && a->ttl == b->ttl &&
	       a->ttl_security == b->ttl_security && !strcmp(a->password, b->password);
}

static bool same_dialling(const struct ipc_peer *a, const struct ipc_peer *b)
{
	return a->port == b->port && a->passive == b->passive && a->greet == b->greet;
}

static bool same_import(const struct ipc_peer *a, const struct ipc_peer *b)
{
	return a->import == b->import && a->allow_own_as == b->allow_own_as;
}

static bool same_export(const struct ipc_peer *a, const struct ipc_peer *b)
{
	return a->export == b->export && a->nexthop_mode == b->nexthop_mode;
}

/* Everything received is looked at anew: the peer is asked for it, as attributes that import policy has
 * changed are not kept as they were. */
static void import_again(struct peer *p, usec_t now)
{
	struct cause why = cease(CEASE_CONFIG_CHANGE,
				 "its import policy was changed and it does not know ROUTE-REFRESH");

	if (p->up && !peer_ask_refresh(p, now))
		peer_reset(p, &why, now);
}

static void export_anew(struct peer *p)
{
	struct tell_how how = how_of(p, p->up);

	export_change(p->out, &how);
	peer_send(p);
}

/* A change touches no more than it must: the session, what is asked for, what is told, or nothing. */
static void reconfigure(struct peer *p, const struct ipc_peer *old, usec_t now)
{
	struct cause why = cease(CEASE_CONFIG_CHANGE, "its configuration was changed");

	if (strcmp(old->password, p->conf.password) != 0)
		tell_key(p, p->conf.password);
	if (!p->s->configured)
		return;
	if (p->conf.shutdown && (!old->shutdown || strcmp(old->text, p->conf.text) != 0))
		why = shutdown_cause(p);
	else if (old->shutdown == p->conf.shutdown && same_session(old, &p->conf) &&
		 (p->up || same_dialling(old, &p->conf)))
		why.reason[0] = '\0';
	if (why.reason[0]) {
		peer_reset(p, &why, now);
		return;
	}
	if (!p->up)
		return;
	if (!same_export(old, &p->conf))
		export_anew(p);
	if (old->max_prefixes != p->conf.max_prefixes)
		limit_prefixes(p, RIB_OK, now);
	if (!same_import(old, &p->conf))
		import_again(p, now);
}

void peer_state(struct speaker *s, const struct ipc_peer *conf, usec_t now)
{
	struct peer *p = peer_find(s, &conf->remote);

	if (!p) {
		p = peer_new(s, conf, now);
		if (!p)
			return;
		p->gen = s->gen;
		peer_tell(p);
		begin(p, now);
		return;
	}
	struct ipc_peer old = p->conf;
	/* An agent that has just started did not know the peer yet when it was told all states. */
	if (p->gen != s->gen)
		peer_tell(p);
	p->gen = s->gen;
	p->conf = *conf;
	reconfigure(p, &old, now);
}

void peer_policy_changed(struct peer *p, uint16_t policy, usec_t now)
{
	if (p->up && p->conf.export == policy) {
		export_again(p->out);
		peer_send(p);
	}
	if (p->up && p->conf.import == policy)
		import_again(p, now);
}

/* Opening. */

/* RFC 9234 4.2: who is above whom must be seen alike from both sides. */
static bool roles_fit(const struct peer *p, uint8_t ours, uint8_t theirs, struct cause *why)
{
	static const uint8_t counterpart[] = {
		[CAPS_ROLE_PROVIDER] = CAPS_ROLE_CUSTOMER, [CAPS_ROLE_CUSTOMER] = CAPS_ROLE_PROVIDER,
		[CAPS_ROLE_RS] = CAPS_ROLE_RS_CLIENT,	   [CAPS_ROLE_RS_CLIENT] = CAPS_ROLE_RS,
		[CAPS_ROLE_PEER] = CAPS_ROLE_PEER,
	};
	bool missing = theirs == CAPS_ROLE_NONE;

	if (ours >= ARRAY_SIZE(counterpart))
		return true;
	if (missing ? !p->conf.role_strict : theirs == counterpart[ours])
		return true;
	*why = missing ? CAUSE("the peer announces no BGP role, and is required to")
		       : CAUSE("the peer's BGP role does not fit to ours (RFC 9234)");
	notify_set(&why->notify, NOTIFY_OPEN, OPEN_ROLE_MISMATCH, NULL, 0);
	return false;
}

/* An OPEN that nobody could agree with ends the connection: false, and why. */
static bool open_fits(const struct peer *p, const struct conn *c, const struct msg_open *open,
		      struct cause *why)
{
	static const uint8_t mp_v4[] = { 1, 4, 0, 1, 0, 1 }, mp_v6[] = { 1, 4, 0, 2, 0, 1 };
	bool v4 = p->conf.families & IPC_FAMILY_V4;

	if (open->asn != p->conf.remote_asn) {
		*why = CAUSE("AS number mismatch: peer says %u, expected %u", open->asn, p->conf.remote_asn);
		notify_set(&why->notify, NOTIFY_OPEN, OPEN_BAD_PEER_AS, NULL, 0);
		return false;
	}
	if (!is_ebgp(p) && open->router_id == p->s->config.router_id) {
		struct addr id = addr_v4(open->router_id);
		char a[ADDR_STR_MAX];
		*why = CAUSE("the peer has our own router id %s: give each node its own",
			     addr_format(&id, a));
		notify_set(&why->notify, NOTIFY_OPEN, OPEN_BAD_ID, NULL, 0);
		return false;
	}
	if (!roles_fit(p, c->offered.role, open->caps.role, why))
		return false;
	if (!caps_agree(&c->offered, &open->caps).families) {
		*why = CAUSE("the peer does not speak %s", v4 ? "IPv4 unicast" : "IPv6 unicast");
		notify_set(&why->notify, NOTIFY_OPEN, OPEN_BAD_CAPABILITY, v4 ? mp_v4 : mp_v6, sizeof(mp_v4));
		return false;
	}
	return true;
}

/* RFC 4271 6.8. True if c, whose OPEN has just come, goes on; the loser, if any, has ended then. */
static bool survives(struct peer *p, struct conn *c, const struct msg_open *open, usec_t now)
{
	struct conn *other = c->dialled ? p->accepted : &p->dialled;
	struct cause why = cease(CEASE_COLLISION, "connection collision");

	if (!other || other->state < FSM_OPENCONFIRM)
		return true;
	bool dialled = fsm_keeps_dialled(p->s->config.router_id, peer_asn(p), open->router_id, open->asn);
	bool c_wins = other->state != FSM_ESTABLISHED && c->dialled == dialled;
	conn_event(c_wins ? other : c, FSM_COLLISION, &why, now);
	return c_wins;
}

void peer_open(struct peer *p, struct conn *c, const struct msg_open *open, usec_t now)
{
	struct cause why = { 0 };

	if (!open_fits(p, c, open, &why)) {
		conn_event(c, FSM_RX_BAD, &why, now);
		return;
	}
	if (!survives(p, c, open, now))
		return;
	c->open = *open;
	c->agreed = caps_agree(&c->offered, &open->caps);
	c->hold_time = fsm_hold_time(peer_hold_time(p), open->hold_time);
	conn_event(c, FSM_RX_OPEN, &why, now);
}

/* Two signs that an established session is dead while its peer dials anew: we agreed on graceful restart
 * (then it is what RFC 4724 4.2 says to assume), or it has been up for a while. A young one is a collision.
 * Without graceful restart the old session is only asked: the kernel of a rebooted peer answers with a reset.
 */
static bool is_replaced(struct peer *p, usec_t now)
{
	struct cause why = CAUSE("the peer has restarted: it connects anew");
	struct conn *c = p->up;

	why.tcp_only = true;
	if (c->offered.gr && c->open.caps.gr && now - p->since >= SPEAKER_YOUNG) {
		conn_event(c, FSM_TCP_DOWN, &why, now);
		return true;
	}
	if (now - p->probed >= SPEAKER_PROBE_TIME) {
		struct cause probe = { 0 };
		p->probed = now;
		conn_event(c, FSM_KEEPALIVE_TIMER, &probe, now);
	}
	return false;
}

uint64_t peer_accept(struct peer *p, const struct addr *local, usec_t now)
{
	struct cause why = CAUSE("the peer has connected again");

	if (!p->wanted || p->damped)
		return 0;
	if (p->up && !is_replaced(p, now))
		return 0;
	if (p->accepted)
		conn_event(p->accepted, FSM_TCP_DOWN, &why, now);
	if (p->accepted)
		return 0;
	p->accepted = xmalloc(sizeof(*p->accepted));
	conn_init(p->accepted, p, false);
	conn_adopt(p->accepted, local, now);
	peer_show(p, now);
	return p->accepted->id;
}

/* Up and down. */

static void for_each_family(uint8_t families, void (*fn)(struct peer *, uint8_t af), struct peer *p)
{
	if (families & CAPS_V4)
		fn(p, AF_INET);
	if (families & CAPS_V6)
		fn(p, AF_INET6);
}

static void sweep_stale(struct peer *p, uint8_t af)
{
	rib_forget_peer(p->s->rib, p->number, af, true);
}

static void mark_stale(struct peer *p, uint8_t af)
{
	rib_stale_peer(p->s->rib, p->number, af);
}

static void forget(struct peer *p, uint8_t af)
{
	rib_forget_peer(p->s->rib, p->number, af, false);
}

static void end_stale(struct peer *p, uint8_t families)
{
	for_each_family(p->stale & families, sweep_stale, p);
	p->stale &= (uint8_t)~families;
	p->llgr &= p->stale;
	if (!p->stale)
		timer_stop(&p->stale_end);
}

static usec_t *until(struct peer *p, uint8_t family)
{
	return &p->stale_until[family == CAPS_V6];
}

/* The timer goes off for whichever family is next. */
static void arm_stale(struct peer *p)
{
	usec_t next = INT64_MAX;

	for (uint8_t f = CAPS_V4; f <= CAPS_V6; f <<= 1)
		if (p->stale & f)
			next = MIN(next, *until(p, f));
	if (p->stale)
		timer_start(p->s->timers, &p->stale_end, next);
	else
		timer_stop(&p->stale_end);
}

static struct attr_set *make_llgr(void *arg, struct attr_set *a)
{
	static const uint32_t stale = ATTR_COMMUNITY_LLGR_STALE;
	struct attr_change ch = { .communities = &stale, .ncommunities = 1 };

	return a->flags & ATTR_NO_LLGR ? NULL : attr_derive(arg, a, &ch);
}

/* RFC 9494 4.2: the restart took longer than it should. The routes go on as a last resort, marked, if the
 * peer has asked for it. */
static void begin_llgr(struct peer *p, uint8_t family, usec_t now)
{
	usec_t wait = p->llgr_time[family == CAPS_V6];

	if (!wait || p->up || p->llgr & family) {
		end_stale(p, family);
		return;
	}
	p->llgr |= family;
	*until(p, family) = now + wait;
	rib_change_stale(p->s->rib, p->number, caps_af(family), make_llgr, p->s->attrs);
}

static void on_stale_end(struct timer *t, usec_t now)
{
	struct peer *p = container_of(t, struct peer, stale_end);

	for (uint8_t f = CAPS_V4; f <= CAPS_V6; f <<= 1)
		if (p->stale & f && now >= *until(p, f))
			begin_llgr(p, f, now);
	arm_stale(p);
	counters_changed(p, now);
	speaker_wake(p->s);
}

/* A restarted peer is back. What it has not preserved is gone; the rest waits for its End-of-RIB. */
static void stale_on_up(struct peer *p, const struct caps *caps, usec_t now)
{
	uint8_t kept = caps->gr ? caps->gr_families & caps->gr_forwarding : 0;
	uint8_t long_kept = caps->llgr ? caps->llgr_families & caps->llgr_forwarding : 0;

	/* Nobody will speak of a family that the new session does not have. */
	end_stale(p, (uint8_t) ~(((kept & ~p->llgr) | (long_kept & p->llgr)) & p->codec.families));
	for (uint8_t f = CAPS_V4; f <= CAPS_V6; f <<= 1)
		*until(p, f) = now + SPEAKER_STALE_EOR;
	arm_stale(p);
}

/* For how long the peer wants its routes kept after the ordinary time. */
static void note_llgr(struct peer *p, const struct conn *c)
{
	const struct caps *caps = &c->open.caps;

	for (size_t i = 0; i < CAPS_FAMILIES; i++) {
		bool asked = c->offered.llgr && caps->llgr && caps->llgr_families & (CAPS_V4 << i);
		p->llgr_time[i] = asked ? (usec_t)caps->llgr_time[i] * SEC : 0;
	}
}

/*
 * The session ended in a way that lets its routes stay, and its peer asked for it: for the time it has asked
 * for. Those still stale from an earlier restart stay too (RFC 4724 would delete them, and a second restart
 * in a row would cost packets), but not for longer than three such times altogether.
 */
static void stale_on_down(struct peer *p, const struct conn *c, usec_t now)
{
	const struct caps *caps = &c->open.caps;
	usec_t wait = (usec_t)caps->gr_time * SEC;
	uint8_t keep = caps->gr_families & p->codec.families;

	note_llgr(p, c);
	if (!wait && !p->llgr_time[0] && !p->llgr_time[1])
		keep = 0;
	for_each_family((uint8_t)~keep, forget, p);
	if (!(p->stale & ~p->refreshing)) /* those of a refresh are not from an earlier restart */
		p->stale_since = now;
	p->refreshing = 0;
	p->stale = keep;
	p->llgr = 0;
	for_each_family(keep, mark_stale, p);
	for (uint8_t f = CAPS_V4; f <= CAPS_V6; f <<= 1)
		*until(p, f) = MIN(now + wait, MAX(now, p->stale_since + 3 * wait));
	arm_stale(p);
}

bool peer_knows_notification(const struct conn *c)
{
	return c->offered.gr && c->open.caps.gr && c->offered.gr_notification && c->open.caps.gr_notification;
}

/* RFC 4724: when only TCP was lost. RFC 8538: over a NOTIFICATION of either side too, unless it is a hard
 * one. */
static bool keeps_routes(const struct conn *c, const struct cause *why)
{
	if (!c->offered.gr || !c->open.caps.gr || why->hard)
		return false;
	return why->tcp_only || (peer_knows_notification(c) && (why->told || why->notify.code));
}

static void end_other(struct peer *p, struct conn *c, usec_t now)
{
	struct conn *other = c->dialled ? p->accepted : &p->dialled;
	struct cause why = cease(CEASE_COLLISION, "connection collision");

	if (other && other->state != FSM_IDLE)
		conn_event(other, FSM_COLLISION, &why, now);
}

static struct codec codec_of(const struct peer *p, const struct conn *c)
{
	return (struct codec){
		.ebgp = is_ebgp(p),
		.as4 = c->agreed.as4,
		.families = c->agreed.families,
		.ext_nexthop = c->agreed.ext_nexthop,
		.add_path_in = c->agreed.add_path_in & c->agreed.families,
		.add_path_out = c->agreed.add_path_out & c->agreed.families,
		.max = c->agreed.ext_message ? MSG_MAX_EXT : MSG_MAX,
	};
}

static struct tell_how how_of(const struct peer *p, const struct conn *c)
{
	bool ebgp = is_ebgp(p);

	return (struct tell_how){
		.ebgp = ebgp,
		.client = !ebgp && p->conf.client,
		.llgr = c->open.caps.llgr,
		.nexthop_mode = p->conf.nexthop_mode,
		.role = ebgp ? p->conf.role : IPC_ROLE_NONE,
		.policy = p->conf.export,
		.local_asn = peer_asn(p),
		.cluster_id = ebgp ? 0 : p->s->config.cluster_id,
		.self = c->local,
		.codec = p->codec,
	};
}

static void open_output(struct peer *p, struct conn *c, usec_t now)
{
	struct tell_how how = how_of(p, c);

	p->out = export_open(p->s->exports, p->number, &how);
	p->eor_out = p->eor_in = p->codec.families;
	p->eor_placed = false;
	p->refresh_due = p->refresh_end = p->refreshing = 0;
	p->refreshed = p->probed = p->began[0] = p->began[1] = now - SPEAKER_REFRESH_TIME;
}

void peer_up(struct peer *p, struct conn *c, usec_t now)
{
	struct speaker *s = p->s;
	struct rib_peer who = { .addr = p->conf.remote,
				.router_id = c->open.router_id,
				.ebgp = is_ebgp(p),
				.client = p->conf.client };

	p->up = c;
	p->strong = false;
	end_other(p, c, now);
	timer_stop(&p->idle_hold);
	p->codec = codec_of(p, c);
	rib_peer_set(s->rib, p->number, &who);
	open_output(p, c, now);
	stale_on_up(p, &c->open.caps, now);
	if (!s->seen_up) {
		s->seen_up = true;
		s->first_up = now;
	}
	s->nup++;
	peer_send(p);
	speaker_check_sync(s, now);
	char a[ADDR_STR_MAX];
	speaker_note(s, "%s (%s) is up", addr_format(&p->conf.remote, a), p->conf.name);
}

void peer_down(struct peer *p, struct conn *c, const struct cause *why, usec_t now)
{
	struct speaker *s = p->s;

	p->up = NULL;
	p->flaps++;
	p->updates_out += export_updates(p->out);
	p->msgs_out += export_updates(p->out);
	export_close(take(p->out));
	list_del(&p->sending);
	timer_stop(&p->refresh);
	s->nup--;
	if (now - p->since >= FSM_FORGET)
		p->errors = 0;
	p->brief = now - p->since < SPEAKER_BRIEF ? p->brief + 1 : 0;
	if (keeps_routes(c, why))
		stale_on_down(p, c, now);
	else
		forget_all(p);
	peer_reason(p, why);
	peer_tell(p);
	speaker_check_sync(s, now);
	char a[ADDR_STR_MAX];
	speaker_note(s, "%s (%s) is down: %s", addr_format(&p->conf.remote, a), p->conf.name, why->reason);
}

/* Routes in. */

static bool own_as(const struct peer *p, const struct attr_set *a)
{
	uint32_t mine = peer_asn(p), node = p->s->config.asn;

	return attr_path_count(a, mine) > p->conf.allow_own_as ||
	       (node != mine && attr_path_count(a, node) > p->conf.allow_own_as);
}

/* RFC 9234 5: who is below us, or beside us and not the one it names, must not send what is for customers
 * only. */
static bool is_leaked(const struct peer *p, const struct attr_set *a)
{
	if (!(a->flags & ATTR_HAS_OTC) || !is_ebgp(p))
		return false;
	return p->conf.role == IPC_ROLE_PROVIDER || p->conf.role == IPC_ROLE_RS ||
	       (p->conf.role == IPC_ROLE_PEER && a->otc != p->conf.remote_asn);
}

/* Why the paths of this UPDATE may not be used; 0 if they may. */
static uint16_t loops(const struct peer *p, const struct attr_set *a, const struct addr *nexthop)
{
	const struct ipc_config *me = &p->s->config;
	uint16_t flags = 0;

	if (own_as(p, a))
		flags |= RIB_OWN_AS;
	if (a->flags & ATTR_HAS_ORIGINATOR && a->originator_id == me->router_id)
		flags |= RIB_OWN_ORIGINATOR;
	if (me->cluster_id && attr_cluster_has(a, me->cluster_id))
		flags |= RIB_OWN_CLUSTER;
	if (addr_eq(nexthop, &p->up->local))
		flags |= RIB_OWN_NEXTHOP;
	if (is_leaked(p, a))
		flags |= RIB_LEAKED;
	return flags;
}

/* The next prefix of an UPDATE. A large table is in no cache: those after it are fetched meanwhile. */
static bool next_fetching(struct peer *p, struct nlri *n, struct nlri *ahead, struct prefix *ret,
			  uint32_t *id)
{
	struct prefix later;

	if (nlri_next(ahead, &later, id))
		rib_prefetch(p->s->rib, &later);
	return nlri_next(n, ret, id);
}

static void fetch_first(struct peer *p, struct nlri *ahead)
{
	struct prefix later;
	uint32_t id;

	for (int i = 0; i < RIB_AHEAD && nlri_next(ahead, &later, &id); i++)
		rib_prefetch(p->s->rib, &later);
}

static void withdraw_all(struct peer *p, struct nlri n)
{
	struct nlri ahead = n;
	struct prefix prefix;
	uint32_t id;

	fetch_first(p, &ahead);
	while (next_fetching(p, &n, &ahead, &prefix, &id))
		rib_forget(p->s->rib, &prefix, p->number, id);
}

/* What the session makes of received attributes before policy sees them: with a reference for the caller. */
static struct attr_set *received(struct peer *p, struct attr_set *a)
{
	struct attr_change ch = { 0 };
	bool from_above = p->conf.role == IPC_ROLE_CUSTOMER || p->conf.role == IPC_ROLE_PEER ||
			  p->conf.role == IPC_ROLE_RS_CLIENT;

	if (!is_ebgp(p))
		return attr_ref(a);
	if (a->flags & ATTR_GRACEFUL_SHUTDOWN) { /* RFC 8326 4.4: better any other path */
		ch.local_pref = ATTR_PUT;
		ch.local_pref_value = 0;
	}
	if (from_above && !(a->flags & ATTR_HAS_OTC))
		ch.otc = p->conf.remote_asn;
	if (!ch.otc && ch.local_pref == ATTR_KEEP)
		return attr_ref(a);
	struct attr_set *changed = attr_derive(p->s->attrs, a, &ch);
	return changed ? changed : attr_ref(a);
}

/* One UPDATE's routes on their way into the table. */
struct learning {
	struct peer *p;
	struct attr_set *attrs,
		*changed;	     /* as received; as the last route's policy left them, NULL = none yet */
	struct policy_result policy; /* the last route's */
	const struct addr *nexthop;
	uint16_t flags;
};

static void import_policy(const struct peer *p, const struct policy_route *r, struct policy_result *ret)
{
	struct tell_how from = { .ebgp = r->ebgp, .policy = p->conf.import };

	tell_policy(&from, p->s->policies, r, ret);
}

/* Routes of one UPDATE mostly meet the same rules: then their attributes are made once. Borrowed. */
static struct attr_set *change(struct learning *l, const struct policy_result *policy)
{
	struct speaker *s = l->p->s;

	if (!policy->nops)
		return l->attrs;
	if (l->changed && policy_result_eq(policy, &l->policy))
		return l->changed;
	attr_unref(s->attrs, l->changed);
	l->policy = *policy;
	l->changed = policy_apply(s->attrs, l->attrs, policy);
	return l->changed;
}

static enum rib_learned learn(struct learning *l, const struct prefix *prefix, uint32_t path_id)
{
	struct peer *p = l->p;
	struct policy_route r = { .prefix = prefix, .attr = l->attrs, .ebgp = is_ebgp(p), .ifname = "" };
	struct policy_result policy;
	struct attr_set *a = l->attrs;
	uint16_t flags = l->flags;

	import_policy(p, &r, &policy);
	if (policy.accept)
		a = change(l, &policy);
	if (!policy.accept || !a) {
		flags |= RIB_REJECTED;
		a = l->attrs;
	}
	return rib_learn(p->s->rib, prefix, p->number, path_id, a, l->nexthop, flags);
}

static enum rib_learned learn_all(struct peer *p, const struct update_reach *reach, struct attr_set *a)
{
	struct learning l = {
		.p = p, .attrs = a, .nexthop = &reach->nexthop, .flags = loops(p, a, &reach->nexthop)
	};
	struct nlri n = reach->nlri, ahead = n;
	enum rib_learned r = RIB_OK;
	struct prefix prefix;
	uint32_t id;

	fetch_first(p, &ahead);
	while (r == RIB_OK && next_fetching(p, &n, &ahead, &prefix, &id))
		r = learn(&l, &prefix, id);
	attr_unref(p->s->attrs, l.changed);
	return r;
}

static void on_eor(struct peer *p, uint8_t family, usec_t now)
{
	p->eor_in &= (uint8_t)~family;
	end_stale(p, family);
	speaker_check_sync(p->s, now);
}

/* RFC 4486 4: the family and the limit, for the peer's operator. */
static struct cause too_many(const struct peer *p, const char *what)
{
	struct cause why = cease(CEASE_MAX_PREFIXES, what);
	uint8_t data[7];
	struct wr w = wr_to(data, sizeof(data));

	wr_be16(&w, caps_afi(p->codec.families & CAPS_V4 ? CAPS_V4 : CAPS_V6));
	wr_u8(&w, 1);
	wr_be32(&w, max_prefixes(p));
	notify_set(&why.notify, NOTIFY_CEASE, CEASE_MAX_PREFIXES, data, w.len);
	return why;
}

/* What is kept of before does not count: a restarted peer may number its paths anew (RFC 7911). But there is
 * no more of it than of the others, however often the peer restarts. */
static bool over_limit(const struct peer *p, const struct rib_peer *counted)
{
	uint64_t max = max_prefixes(p);

	return counted->paths - counted->stale > max || counted->paths > 2 * max;
}

static void limit_prefixes(struct peer *p, enum rib_learned learned, usec_t now)
{
	const struct rib_peer *counted = rib_peer(p->s->rib, p->number);
	struct cause why = { 0 };

	if (learned == RIB_FULL)
		why = cease(CEASE_OUT_OF_RESOURCES, "the table is full");
	else if (learned == RIB_TOO_MANY)
		why = too_many(p, "the peer sent more paths to one prefix than are allowed");
	else if (over_limit(p, counted))
		why = too_many(p, "the peer sent more prefixes than are allowed");
	else if (counted->attr_bytes > SPEAKER_PEER_ATTRS)
		why = too_many(p, "the peer sent more attributes than are allowed");
	else
		return;
	conn_event(p->up, FSM_RX_BAD, &why, now);
}

/* A peer can make thousands of faults in a second: the log is not its to fill. */
static void note_fault(struct peer *p, const struct attr_fault *f, usec_t now)
{
	char a[ADDR_STR_MAX];

	if (p->faults++ && now - p->fault_noted < SPEAKER_NOTE_TIME)
		return;
	p->fault_noted = now;
	speaker_note(p->s, "%s (%s): UPDATE with a fault (%llu so far), %s: %s",
		     addr_format(&p->conf.remote, a), p->conf.name, (unsigned long long)p->faults,
		     attr_verdict_name(f->verdict), f->why);
}

void peer_update(struct peer *p, usec_t now)
{
	struct speaker *s = p->s;
	const struct update *u = &s->update;
	enum rib_learned learned = RIB_OK;

	for (size_t i = 0; i < ARRAY_SIZE(u->withdrawn); i++)
		withdraw_all(p, u->withdrawn[i]);
	if (u->fault.verdict == ATTR_WITHDRAW) {
		for (size_t i = 0; i < ARRAY_SIZE(u->announced); i++)
			withdraw_all(p, u->announced[i].nlri);
	} else if (update_has_routes(u)) {
		struct attr_set *wire = attr_intern(s->attrs, &u->attrs, &p->codec), *a = received(p, wire);
		for (size_t i = 0; i < ARRAY_SIZE(u->announced) && learned == RIB_OK; i++)
			learned = learn_all(p, &u->announced[i], a);
		attr_unref(s->attrs, a);
		attr_unref(s->attrs, wire);
	}
	if (u->fault.verdict != ATTR_TAKE)
		note_fault(p, &u->fault, now);
	if (u->eor)
		on_eor(p, u->eor, now);
	counters_changed(p, now);
	limit_prefixes(p, learned, now);
}

/* Routes out. */

void peer_send(struct peer *p)
{
	if (list_empty(&p->sending))
		list_add_tail(&p->s->sending, &p->sending);
}

static void queue_refresh(struct peer *p, uint8_t families, uint8_t subtype)
{
	uint8_t bytes[CAPS_FAMILIES * (MSG_HEADER + 4)];
	struct wr w = wr_to(bytes, sizeof(bytes));

	for (uint8_t f = CAPS_V4; f <= CAPS_V6; f <<= 1) {
		struct msg_refresh m = { .family = f, .subtype = subtype };
		if (families & f)
			msg_refresh_encode(&m, &w);
	}
	if (w.len)
		conn_queue(p->up, &w);
}

/* RFC 7313: between a beginning and an end, so that the peer can forget what is not said in between. */
static void refresh(struct peer *p, usec_t now)
{
	if (p->up->agreed.enhanced_refresh) {
		queue_refresh(p, p->refresh_due, MSG_REFRESH_BEGIN);
		p->refresh_end |= p->refresh_due;
		p->refresh_version = rib_version(p->s->rib);
	}
	p->refresh_due = 0;
	p->refreshed = now;
	export_again(p->out);
	peer_send(p);
}

static void on_refresh(struct timer *t, usec_t now)
{
	struct peer *p = container_of(t, struct peer, refresh);

	if (p->out)
		peer_refresh(p, now);
	speaker_wake(p->s);
}

void peer_refresh(struct peer *p, usec_t now)
{
	/* RFC 7313 4: not before the first End-of-RIB; what was asked for then is under way anyway. One
	 * answer after the other: begun anew each time it would never end for who reads slowly and asks
	 * often. */
	if (!p->refresh_due || timer_armed(&p->refresh) || p->eor_out || p->refresh_end)
		return;
	if (now - p->refreshed >= SPEAKER_REFRESH_TIME)
		refresh(p, now);
	else
		timer_start(p->s->timers, &p->refresh, p->refreshed + SPEAKER_REFRESH_TIME);
}

bool peer_ask_refresh(struct peer *p, usec_t now)
{
	if (!p->up || !p->up->agreed.refresh)
		return false;
	queue_refresh(p, p->codec.families, MSG_REFRESH_REQUEST);
	return conn_flush(p->up, now);
}

/* The peer begins to tell everything again: what it does not repeat until the end is gone. Each beginning is
 * a walk through the table, so it does not begin as often as it likes: then the one before goes on. */
static void begin_again(struct peer *p, uint8_t family, usec_t now)
{
	usec_t *began = &p->began[family == CAPS_V6];

	if (now - *began < SPEAKER_REFRESH_TIME)
		return;
	*began = now;
	mark_stale(p, caps_af(family));
	p->refreshing |= family;
	p->stale |= family;
	*until(p, family) = now + SPEAKER_STALE_EOR;
	arm_stale(p);
}

void peer_on_refresh(struct peer *p, const struct msg_refresh *m, usec_t now)
{
	uint8_t family = m->family & p->codec.families;

	if (m->subtype == MSG_REFRESH_REQUEST) {
		p->refresh_due |= family;
	} else if (!p->up->agreed.enhanced_refresh || !family) {
		return;
	} else if (m->subtype == MSG_REFRESH_BEGIN) {
		begin_again(p, family, now);
	} else if (p->refreshing & family) {
		p->refreshing &= (uint8_t)~family;
		end_stale(p, family);
		counters_changed(p, now);
	}
}

/* While we restart gracefully ourselves, End-of-RIB would make the peer delete what we have not relearned
 * yet. */
static bool may_end_rib(const struct peer *p)
{
	return p->eor_out && (p->s->synced || !p->up->offered.gr) && !export_rewinding(p->out) &&
	       export_version(p->out) >= p->eor_version;
}

static bool may_end_refresh(const struct peer *p)
{
	return p->refresh_end && !export_rewinding(p->out) && export_version(p->out) >= p->refresh_version;
}

static void queue_eor(struct peer *p, uint8_t af)
{
	uint8_t bytes[MSG_HEADER + 16];
	struct wr w = wr_to(bytes, sizeof(bytes));
	struct packer k;

	pack_begin(&k, &w, &p->codec);
	pack_eor(&k, af);
	pack_end(&k);
	conn_queue(p->up, &w);
	p->updates_out++;
}

void peer_flush(struct peer *p, usec_t now)
{
	uint64_t before = export_updates(p->out);

	list_del(&p->sending); /* a blocked one comes back when it may write, the others when the RIB changes
				*/
	if (!p->eor_placed) {
		p->eor_placed = true;
		p->eor_version = rib_version(p->s->rib);
	}
	if (!conn_flush(p->up, now))
		return;
	if (!p->up->blocked && may_end_rib(p)) {
		for_each_family(p->eor_out, queue_eor, p);
		p->eor_out = 0;
		if (!conn_flush(p->up, now))
			return;
		peer_refresh(p, now);
	}
	if (!p->up->blocked && may_end_refresh(p)) {
		queue_refresh(p, p->refresh_end, MSG_REFRESH_END);
		p->refresh_end = 0;
		if (!conn_flush(p->up, now))
			return;
		peer_refresh(p, now);
	}
	if (export_updates(p->out) != before)
		counters_changed(p, now);
}
