/*
 * A peer: when it is dialled, which of two connections survives (RFC 4271 6.8), what an OPEN must say, what a
 * change of its configuration touches, up and down. Its routes are in peer_in.c, peer_out.c and peer_stale.c.
 * RFC 6286, RFC 8538, RFC 9003, RFC 9234.
 */
#include "bgp/state.h"

static void on_idle_hold(struct timer *t, usec_t now);
static struct tell_how how_of(const struct peer *p, const struct conn *c);

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

bool peer_is_ebgp(const struct peer *p)
{
	return p->conf.remote_asn != peer_asn(p);
}

static uint16_t restart_time(const struct peer *p)
{
	return p->conf.own_restart_time ? p->conf.restart_time : p->s->config.restart_time;
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
	if (p->conf.role && peer_is_ebgp(p))
		c.role = (uint8_t)(p->conf.role - 1);
	/* Also without a time: it says that we send End-of-RIB and want the peer's. FRR answers no
	 * ROUTE-REFRESH before its own, which it sends only to those who announce this. */
	c.gr = true;
	if (restart_time(p)) {
		c.gr_notification = true;
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

void peer_count(struct peer *p, usec_t now)
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
	bool news = s == FSM_ESTABLISHED || p->shown == FSM_ESTABLISHED;
	p->shown = s;
	p->since = now;
	/* The way there is a matter of milliseconds, or goes round and round: nobody has to hear of each
	 * step. */
	if (news)
		peer_tell(p);
	else
		peer_count(p, now);
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
		{ IPC_AGREED_GR, o->gr_families && t->gr },
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

	conn_event(&p->dialled, p->conf.passive ? FSM_START_PASSIVE : FSM_START, &why, now);
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
	timer_init(&p->refresh, peer_on_refresh_due);
	timer_init(&p->stale_end, peer_on_stale_end);
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
	return a->port == b->port && a->passive == b->passive;
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
		peer_limit(p, RIB_OK, now);
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

/* The peer is asked for its routes again, soon and once for however many next hops. A peer that cannot be
 * asked keeps what it got: a new session would begin with the same question. */
void peer_interfaces_changed(struct peer *p, usec_t now)
{
	const struct policy *import = policies_get(p->s->policies, p->conf.import);

	if (!p->up || !import || !policy_heeds_interface(import))
		return;
	p->import_due = true;
	peer_count(p, now);
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
	if (!peer_is_ebgp(p) && open->router_id == p->s->config.router_id) {
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
	if (c->offered.gr_families && c->open.caps.gr && now - p->since >= SPEAKER_YOUNG) {
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
		.ebgp = peer_is_ebgp(p),
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
	bool ebgp = peer_is_ebgp(p);

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
				.ebgp = peer_is_ebgp(p),
				.client = p->conf.client };

	p->up = c;
	p->strong = false;
	end_other(p, c, now);
	timer_stop(&p->idle_hold);
	p->codec = codec_of(p, c);
	rib_peer_set(s->rib, p->number, &who);
	open_output(p, c, now);
	peer_stale_up(p, &c->open.caps, now);
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
	if (peer_keeps_routes(c, why))
		peer_stale_down(p, c, now);
	else
		forget_all(p);
	peer_reason(p, why);
	peer_tell(p);
	speaker_check_sync(s, now);
	char a[ADDR_STR_MAX];
	speaker_note(s, "%s (%s) is down: %s", addr_format(&p->conf.remote, a), p->conf.name, why->reason);
}
