/*
 * A peer: when it is dialled, which of two connections survives (RFC 4271 6.8), what an OPEN must say, routes
 * in and out, and what stays when it restarts (RFC 4724, the helper's side). RFC 4271 9, RFC 2918, RFC 4456,
 * RFC 6286.
 */
#include "bgp/state.h"

static void on_idle_hold(struct timer *t, usec_t now);
static void on_refresh(struct timer *t, usec_t now);
static void on_stale_end(struct timer *t, usec_t now);

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

/* The kernel keeps our routes while we restart, so forwarding state is always preserved. */
struct caps peer_caps(const struct peer *p)
{
	struct caps c;

	caps_init(&c);
	c.mp = true;
	c.families = p->conf.families;
	c.refresh = true;
	c.as4 = true;
	c.asn = peer_asn(p);
	if (p->s->config.restart_time) {
		c.gr = true;
		c.gr_restarting = !p->s->synced;
		c.gr_time = p->s->config.restart_time;
		c.gr_families = c.gr_forwarding = p->conf.families;
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
	}
	if (!p->up)
		return;
	ret->router_id = p->up->open.router_id;
	ret->hold_time = (uint16_t)p->up->hold_time;
	ret->families = p->codec.families;
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

static struct cause cease(uint8_t subcode, const char *reason)
{
	struct cause why = CAUSE("%s", reason);

	notify_set(&why.notify, NOTIFY_CEASE, subcode, NULL, 0);
	return why;
}

void peer_reset(struct peer *p, const struct cause *why, usec_t now)
{
	stop(p, why, now);
	p->errors = 0;
	p->damped = false;
	if (!p->s->configured)
		return;
	p->wanted = true;
	start(p, now);
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
	return p;
}

void peer_remove(struct peer *p, usec_t now)
{
	struct speaker *s = p->s;
	struct cause why = cease(CEASE_DECONFIGURED, "no longer configured");

	stop(p, &why, now);
	rib_forget_peer(s->rib, p->number, 0, false);
	timer_stop(&p->stale_end);
	timer_stop(&p->refresh);
	conn_release(&p->dialled);
	list_del(&p->untold);
	s->numbers[p->number] = NULL;
	HASH_DEL(s->peers, p);
	free(p);
}

/* What a session was agreed upon: a change of it needs a new one. */
static bool same_session(const struct ipc_peer *a, const struct ipc_peer *b)
{
	return addr_eq(&a->local, &b->local) && a->remote_asn == b->remote_asn &&
	       a->local_asn == b->local_asn && a->families == b->families && a->client == b->client;
}

static bool same_dialling(const struct ipc_peer *a, const struct ipc_peer *b)
{
	return a->port == b->port && a->passive == b->passive;
}

void peer_state(struct speaker *s, const struct ipc_peer *conf, usec_t now)
{
	struct peer *p = peer_find(s, &conf->remote);
	struct cause why = cease(CEASE_CONFIG_CHANGE, "its configuration was changed");

	if (!p) {
		p = peer_new(s, conf, now);
		if (!p)
			return;
		p->gen = s->gen;
		peer_tell(p);
		if (s->configured) {
			p->wanted = true;
			start(p, now);
		}
		return;
	}
	struct ipc_peer old = p->conf;
	/* An agent that has just started did not know the peer yet when it was told all states. */
	if (p->gen != s->gen)
		peer_tell(p);
	p->gen = s->gen;
	p->conf = *conf;
	if (!s->configured)
		return;
	if (!same_session(&old, conf) || (!p->up && !same_dialling(&old, conf)))
		peer_reset(p, &why, now);
}

/* Opening. */

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
	conn_adopt(p->accepted, local);
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
	if (!p->stale)
		timer_stop(&p->stale_end);
}

static void on_stale_end(struct timer *t, usec_t now)
{
	struct peer *p = container_of(t, struct peer, stale_end);

	end_stale(p, CAPS_V4 | CAPS_V6);
	counters_changed(p, now);
	speaker_wake(p->s);
}

/* A restarted peer is back. What it has not preserved is gone; the rest waits for its End-of-RIB. */
static void stale_on_up(struct peer *p, const struct caps *caps, usec_t now)
{
	uint8_t kept = caps->gr ? caps->gr_families & caps->gr_forwarding : 0;

	end_stale(p, (uint8_t)~kept);
	if (p->stale)
		timer_start(p->s->timers, &p->stale_end, now + SPEAKER_STALE_EOR);
}

/*
 * The session ended without a NOTIFICATION and its peer asked for it: its routes stay for the time it has
 * asked for. Those still stale from an earlier restart stay too (RFC 4724 would delete them, and a second
 * restart in a row would cost packets), but not for longer than three such times altogether.
 */
static void stale_on_down(struct peer *p, const struct caps *caps, usec_t now)
{
	usec_t wait = (usec_t)caps->gr_time * SEC;
	uint8_t keep = wait ? caps->gr_families & p->codec.families : 0;

	for_each_family((uint8_t)~keep, forget, p);
	if (!p->stale)
		p->stale_since = now;
	p->stale = keep;
	for_each_family(keep, mark_stale, p);
	if (keep)
		timer_start(p->s->timers, &p->stale_end,
			    MIN(now + wait, MAX(now, p->stale_since + 3 * wait)));
}

static void end_other(struct peer *p, struct conn *c, usec_t now)
{
	struct conn *other = c->dialled ? p->accepted : &p->dialled;
	struct cause why = cease(CEASE_COLLISION, "connection collision");

	if (other && other->state != FSM_IDLE)
		conn_event(other, FSM_COLLISION, &why, now);
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
	p->codec = (struct codec){
		.ebgp = who.ebgp, .as4 = c->agreed.as4, .families = c->agreed.families, .max = MSG_MAX
	};
	struct export_how how = {
		.ebgp = who.ebgp,
		.client = !who.ebgp && p->conf.client,
		.local_asn = peer_asn(p),
		.cluster_id = who.ebgp ? 0 : s->config.cluster_id,
		.self = c->local,
		.codec = p->codec,
	};
	rib_peer_set(s->rib, p->number, &who);
	p->out = export_open(s->exports, p->number, &how);
	p->eor_out = p->eor_in = p->codec.families;
	p->eor_placed = false;
	p->refreshed = p->probed = now - SPEAKER_REFRESH_TIME;
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
	if (why->tcp_only && c->offered.gr && c->open.caps.gr) {
		stale_on_down(p, &c->open.caps, now);
	} else {
		timer_stop(&p->stale_end);
		p->stale = 0;
		rib_forget_peer(s->rib, p->number, 0, false);
	}
	peer_reason(p, why);
	peer_tell(p);
	speaker_check_sync(s, now);
	char a[ADDR_STR_MAX];
	speaker_note(s, "%s (%s) is down: %s", addr_format(&p->conf.remote, a), p->conf.name, why->reason);
}

/* Routes in. */

/* Why the paths of this UPDATE may not be used; 0 if they may. */
static uint16_t loops(const struct peer *p, const struct attr_set *a, const struct addr *nexthop)
{
	const struct ipc_config *me = &p->s->config;
	uint16_t flags = 0;

	if (attr_path_count(a, me->asn) || attr_path_count(a, peer_asn(p)))
		flags |= RIB_OWN_AS;
	if (a->flags & ATTR_HAS_ORIGINATOR && a->originator_id == me->router_id)
		flags |= RIB_OWN_ORIGINATOR;
	if (me->cluster_id && attr_cluster_has(a, me->cluster_id))
		flags |= RIB_OWN_CLUSTER;
	if (addr_eq(nexthop, &p->up->local))
		flags |= RIB_OWN_NEXTHOP;
	return flags;
}

static void withdraw_all(struct peer *p, struct nlri n)
{
	struct prefix prefix;

	while (nlri_next(&n, &prefix, NULL))
		rib_forget(p->s->rib, &prefix, p->number);
}

/* False if the table is full. */
static bool learn_all(struct peer *p, const struct update_reach *reach, struct attr_set *a)
{
	struct nlri n = reach->nlri;
	uint16_t flags = loops(p, a, &reach->nexthop);
	struct prefix prefix;

	while (nlri_next(&n, &prefix, NULL))
		if (!rib_learn(p->s->rib, &prefix, p->number, a, &reach->nexthop, flags))
			return false;
	return true;
}

static void on_eor(struct peer *p, uint8_t family, usec_t now)
{
	p->eor_in &= (uint8_t)~family;
	end_stale(p, family);
	speaker_check_sync(p->s, now);
}

static void limit_prefixes(struct peer *p, bool table_full, usec_t now)
{
	const struct rib_peer *counted = rib_peer(p->s->rib, p->number);
	struct cause why = { 0 };

	if (table_full)
		why = cease(CEASE_OUT_OF_RESOURCES, "the table is full");
	else if (counted->paths > SPEAKER_PEER_PREFIXES)
		why = cease(CEASE_MAX_PREFIXES, "the peer sent more prefixes than are allowed");
	else if (counted->attr_bytes > SPEAKER_PEER_ATTRS)
		why = cease(CEASE_MAX_PREFIXES, "the peer sent more attributes than are allowed");
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
	bool full = false;

	for (size_t i = 0; i < ARRAY_SIZE(u->withdrawn); i++)
		withdraw_all(p, u->withdrawn[i]);
	if (u->fault.verdict == ATTR_WITHDRAW) {
		for (size_t i = 0; i < ARRAY_SIZE(u->announced); i++)
			withdraw_all(p, u->announced[i].nlri);
	} else if (update_has_routes(u)) {
		struct attr_set *a = attr_intern(s->attrs, &u->attrs, &p->codec);
		for (size_t i = 0; i < ARRAY_SIZE(u->announced) && !full; i++)
			full = !learn_all(p, &u->announced[i], a);
		attr_unref(s->attrs, a);
	}
	if (u->fault.verdict != ATTR_TAKE)
		note_fault(p, &u->fault, now);
	if (u->eor)
		on_eor(p, u->eor, now);
	counters_changed(p, now);
	limit_prefixes(p, full, now);
}

/* Routes out. */

void peer_send(struct peer *p)
{
	if (list_empty(&p->sending))
		list_add_tail(&p->s->sending, &p->sending);
}

static void refresh(struct peer *p, usec_t now)
{
	p->refreshed = now;
	export_again(p->out);
	peer_send(p);
}

static void on_refresh(struct timer *t, usec_t now)
{
	struct peer *p = container_of(t, struct peer, refresh);

	if (p->out)
		refresh(p, now);
	speaker_wake(p->s);
}

void peer_refresh(struct peer *p, usec_t now)
{
	if (timer_armed(&p->refresh))
		return;
	if (now - p->refreshed >= SPEAKER_REFRESH_TIME)
		refresh(p, now);
	else
		timer_start(p->s->timers, &p->refresh, p->refreshed + SPEAKER_REFRESH_TIME);
}

/* While we restart gracefully ourselves, End-of-RIB would make the peer delete what we have not relearned
 * yet. */
static bool may_end_rib(const struct peer *p)
{
	return p->eor_out && (p->s->synced || !p->up->offered.gr) && export_version(p->out) >= p->eor_version;
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
	}
	if (export_updates(p->out) != before)
		counters_changed(p, now);
}
