/*
 * The speaker's core: what the agent states, what the agent is told, and the turn that ties both to the
 * sessions. Events change the RIB and mark peers; the turn decides once, tells the agent, and lets every peer
 * that has something to hear send. When to say SYNCED: RFC 4724 4.1, as far as it is about not taking an
 * empty table for the truth.
 */
#include "bgp/state.h"

#include <stdarg.h>

static void on_sync(struct timer *t, usec_t now);
static void on_flush(struct timer *t, usec_t now);
static void on_stats(struct timer *t, usec_t now);

struct speaker *speaker_new(const struct speaker_io *io, struct timers *timers, uint64_t seed, usec_t now)
{
	struct speaker *s = xcalloc(1, sizeof(*s));

	s->io = *io;
	s->timers = timers;
	s->prng.state = seed;
	list_init(&s->fresh);
	list_init(&s->untold);
	list_init(&s->sending);
	timer_init(&s->sync, on_sync);
	timer_init(&s->flush, on_flush);
	timer_init(&s->stats, on_stats);
	s->attrs = attr_table_new(prng_next(&s->prng));
	s->own = attr_originate(s->attrs, ATTR_ORIGIN_IGP);
	s->rib = rib_new(s->attrs, prng_next(&s->prng));
	s->flushed = now;
	s->policies = policies_new();
	s->exports = exports_new(s->rib, s->attrs, s->policies);
	return s;
}

/* TCP is closed without a word: stopping is not decommissioning, and peers keep our routes for a while. */
static void drop_peer(struct peer *p)
{
	struct speaker *s = p->s;
	struct conn *conns[] = { &p->dialled, p->accepted };

	export_close(take(p->out));
	for (size_t i = 0; i < ARRAY_SIZE(conns); i++) {
		struct conn *c = conns[i];
		if (!c)
			continue;
		conn_release(c);
		if (!c->id)
			continue;
		map_del(s->conns, c);
		s->io.close(s->io.arg, c->id);
	}
	free(p->accepted);
	timer_stop(&p->idle_hold);
	timer_stop(&p->refresh);
	timer_stop(&p->stale_end);
	list_del(&p->untold);
	list_del(&p->sending);
	map_del(s->peers, p);
	free(p);
}

void speaker_free(struct speaker *s)
{
	struct peer *p, *ptmp;
	struct origin *o, *otmp;

	if (!s)
		return;
	map_each (s->peers, p, ptmp)
		drop_peer(p);
	map_each (s->origins, o, otmp) {
		map_del(s->origins, o);
		free(o);
	}
	timer_stop(&s->sync);
	timer_stop(&s->flush);
	timer_stop(&s->stats);
	exports_free(s->exports);
	policies_free(s->policies);
	rib_free(s->rib);
	attr_unref(s->attrs, s->own);
	attr_table_free(s->attrs);
	free(s->numbers);
	free(s);
}

size_t speaker_bytes(const struct speaker *s)
{
	return sizeof(*s) + rib_bytes(s->rib) + attr_table_bytes(s->attrs) +
	       map_count(s->peers) * sizeof(struct peer) + map_count(s->origins) * sizeof(struct origin);
}

void speaker_wake(struct speaker *s)
{
	if (s->io.wake)
		s->io.wake(s->io.arg);
}

void speaker_note(struct speaker *s, const char *fmt, ...)
{
	char line[ERR_MSG_MAX + IPC_NAME_MAX];
	va_list ap;

	if (!s->io.note)
		return;
	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	s->io.note(s->io.arg, line);
}

/* SYNCED. */

static void set_synced(struct speaker *s)
{
	struct peer *p, *tmp;

	s->synced = true;
	timer_stop(&s->sync);
	map_each (s->peers, p, tmp)
		if (p->up)
			peer_send(p); /* End-of-RIB may have waited for it */
}

/* A peer that has just restarted itself is not waited for: it waits for us (RFC 4724 4.1). */
static bool all_told_us(const struct speaker *s)
{
	struct peer *p, *tmp;

	map_each (s->peers, p, tmp)
		if (p->up && p->eor_in && !(p->up->open.caps.gr && p->up->open.caps.gr_restarting))
			return false;
	return true;
}

void speaker_check_sync(struct speaker *s, usec_t now)
{
	if (s->synced || !s->stated)
		return;
	if (!s->peers) {
		set_synced(s);
		return;
	}
	if (!s->seen_up)
		return;
	usec_t first = s->first_up + SPEAKER_SYNC_FIRST;
	if (now < first) {
		if (!timer_armed(&s->sync) || s->sync.at > first)
			timer_start(s->timers, &s->sync, first);
	} else if (all_told_us(s)) {
		set_synced(s);
	}
}

static void on_sync(struct timer *t, usec_t now)
{
	struct speaker *s = container_of(t, struct speaker, sync);

	if (now >= s->stated_at + SPEAKER_SYNC_LAST)
		set_synced(s);
	else
		speaker_check_sync(s, now);
	if (!s->synced && !timer_armed(t))
		timer_start(s->timers, t, s->stated_at + SPEAKER_SYNC_LAST);
	speaker_wake(s);
}

/* What the agent says. */

static void on_config(struct speaker *s, const struct ipc_config *conf, usec_t now)
{
	struct ipc_config old = s->config;
	struct peer *p, *tmp;
	struct cause why = CAUSE("the node's BGP configuration was changed");
	bool first = !s->configured;

	notify_set(&why.notify, NOTIFY_CEASE, CEASE_CONFIG_CHANGE, NULL, 0);
	s->config = *conf;
	s->configured = true;
	if (!first && old.asn == conf->asn && old.router_id == conf->router_id &&
	    old.cluster_id == conf->cluster_id)
		return; /* the times are for the next OPEN */
	map_each (s->peers, p, tmp)
		peer_reset(p, &why, now);
}

static void on_origin(struct speaker *s, const struct ipc_origin *conf)
{
	struct origin *o;

	map_find(s->origins, &conf->prefix, o);
	if (!o) {
		if (map_count(s->origins) >= SPEAKER_ORIGINS)
			return;
		o = xcalloc(1, sizeof(*o));
		o->prefix = conf->prefix;
		map_add(s->origins, prefix, o);
	}
	o->gen = s->gen;
	rib_learn(s->rib, &conf->prefix, RIB_SELF, 0, s->own, &conf->nexthop, 0);
}

static void origin_remove(struct speaker *s, struct origin *o)
{
	rib_forget(s->rib, &o->prefix, RIB_SELF, 0);
	map_del(s->origins, o);
	free(o);
}

static void on_origin_gone(struct speaker *s, const struct prefix *prefix)
{
	struct origin *o;

	map_find(s->origins, prefix, o);
	if (o)
		origin_remove(s, o);
}

static void policy_changed(struct speaker *s, uint16_t id, usec_t now)
{
	struct peer *p, *tmp;

	exports_policy_changed(s->exports, id);
	map_each (s->peers, p, tmp)
		peer_policy_changed(p, id, now);
}

struct sweep {
	struct speaker *s;
	usec_t now;
};

static void on_policy_swept(void *arg, uint16_t id)
{
	struct sweep *w = arg;

	policy_changed(w->s, id, w->now);
}

static void on_policy(struct speaker *s, const struct ipc_msg *m, usec_t now)
{
	bool changed = false;

	if (m->type == IPC_POLICY)
		policies_begin(s->policies, m->policy.id, m->policy.name, m->policy.otherwise);
	else if (m->type == IPC_POLICY_END)
		changed = policies_end(s->policies, m->policy.id);
	else
		changed = policies_drop(s->policies, m->policy.id);
	if (changed)
		policy_changed(s, m->policy.id, now);
}

static void on_nexthop(struct speaker *s, const struct ipc_nexthop *n, usec_t now)
{
	struct peer *p, *tmp;
	struct nexthop_info info = { .unreachable = !n->reachable, .metric = n->metric };

	memcpy(info.ifname, n->ifname, sizeof(info.ifname));
	bool renamed = strcmp(nexthops_ifname(rib_nexthops(s->rib), &n->addr), info.ifname) != 0;
	rib_know_nexthop(s->rib, &n->addr, &info);
	if (renamed && s->heeds_interfaces)
		map_each (s->peers, p, tmp)
			peer_interfaces_changed(p, now);
}

static void on_reset(struct speaker *s, const struct ipc_reset *r, usec_t now)
{
	struct peer *p = peer_find(s, &r->remote);
	struct cause why = CAUSE("reset by the administrator%s%.200s", r->text[0] ? ": " : "", r->text);

	notify_set_text(&why.notify, CEASE_RESET, r->text);
	if (p && p->wanted)
		peer_reset(p, &why, now);
}

static void on_refresh(struct speaker *s, const struct ipc_refresh *r, usec_t now)
{
	struct peer *p = peer_find(s, &r->remote);

	if (!p || !p->up)
		return;
	if (!r->out) {
		peer_ask_refresh(p, now);
		return;
	}
	p->refresh_due |= p->codec.families;
	peer_refresh(p, now);
}

static void on_stated(struct speaker *s, usec_t now)
{
	struct peer *p, *ptmp;
	struct origin *o, *otmp;
	struct sweep w = { s, now };

	map_each (s->peers, p, ptmp)
		if (p->gen != s->gen)
			peer_remove(p, now);
	map_each (s->origins, o, otmp)
		if (o->gen != s->gen)
			origin_remove(s, o);
	policies_sweep(s->policies, on_policy_swept, &w);
	if (s->synced || s->stated)
		return;
	s->stated = true;
	s->stated_at = now;
	timer_start(s->timers, &s->sync, now + SPEAKER_SYNC_LAST);
	speaker_check_sync(s, now);
}

static void on_peer_gone(struct speaker *s, const struct addr *remote, usec_t now)
{
	struct peer *p = peer_find(s, remote);

	if (!p)
		return;
	peer_remove(p, now);
	speaker_check_sync(s, now);
}

static void tell_dump_end(struct speaker *s, uint32_t id)
{
	struct ipc_msg m = { .type = IPC_DUMP_END, .dump_id = id };

	s->io.up(s->io.arg, &m);
}

static void on_dump(struct speaker *s, const struct ipc_dump *what)
{
	struct peer *p, *tmp;

	if (s->ndumps == SPEAKER_DUMPS) {
		tell_dump_end(s, what->id);
		return;
	}
	s->dumps[s->ndumps++] = (struct dump){ *what, 0 };
	map_each (s->peers, p, tmp)
		peer_tell(p); /* with fresh counters */
}

void speaker_on_agent(struct speaker *s, bool connected, usec_t now)
{
	struct peer *p, *tmp;

	s->agent = connected;
	s->ndumps = 0;
	s->synced_told = false;
	if (!connected) {
		rib_told_all(s->rib);
		nexthops_unwatch_all(rib_nexthops(s->rib));
		return;
	}
	s->gen++;
	policies_stamp(s->policies);
	rib_untell_all(s->rib);
	nexthops_rewatch_all(rib_nexthops(s->rib));
	map_each (s->peers, p, tmp)
		peer_tell(p);
}

void speaker_on_ipc(struct speaker *s, const struct ipc_msg *m, usec_t now)
{
	switch (m->type) {
	case IPC_CONFIG:
		on_config(s, &m->config, now);
		break;
	case IPC_PEER:
		peer_state(s, &m->peer, now);
		break;
	case IPC_PEER_GONE:
		on_peer_gone(s, &m->peer.remote, now);
		break;
	case IPC_ORIGIN:
		on_origin(s, &m->origin);
		break;
	case IPC_ORIGIN_GONE:
		on_origin_gone(s, &m->origin.prefix);
		break;
	case IPC_STATED:
		on_stated(s, now);
		break;
	case IPC_DUMP:
		on_dump(s, &m->dump);
		break;
	case IPC_POLICY:
	case IPC_POLICY_END:
	case IPC_POLICY_GONE:
		on_policy(s, m, now);
		break;
	case IPC_RULE:
		if (m->rule.rule.interface[0]) {
			s->heeds_interfaces = true;
			nexthops_heed_names(rib_nexthops(s->rib));
		}
		policies_add(s->policies, m->rule.id, &m->rule.rule);
		break;
	case IPC_NEXTHOP:
		on_nexthop(s, &m->nexthop, now);
		break;
	case IPC_REFRESH:
		on_refresh(s, &m->refresh, now);
		break;
	case IPC_RESET:
		on_reset(s, &m->reset, now);
		break;
	case IPC_WATCH:
	case IPC_UNWATCH:
	case IPC_HELLO:
	case IPC_LISTEN:
	case IPC_UNLISTEN:
	case IPC_ROUTE:
	case IPC_ROUTE_GONE:
	case IPC_SYNCED:
	case IPC_PEER_STATE:
	case IPC_PATH:
	case IPC_DUMP_END:
	case IPC_TYPES:
		break; /* the edge's business, or not for us */
	}
}

/* What TCP says. */

uint64_t speaker_on_accept(struct speaker *s, const struct addr *local, const struct addr *remote, usec_t now)
{
	struct peer *p = peer_find(s, remote);

	return p ? peer_accept(p, local, now) : 0;
}

const struct ipc_peer *speaker_conn_peer(const struct speaker *s, uint64_t conn)
{
	const struct conn *c;

	map_find(s->conns, &conn, c);
	return c ? &c->peer->conf : NULL;
}

const struct ipc_peer *speaker_peer(const struct speaker *s, const struct addr *remote)
{
	const struct peer *p;

	map_find(s->peers, remote, p);
	return p ? &p->conf : NULL;
}

void speaker_on_connected(struct speaker *s, uint64_t conn, const struct addr *local, usec_t now)
{
	struct conn *c = conn_find(s, conn);
	struct cause why = { 0 };

	if (!c || c->state != FSM_CONNECT)
		return;
	c->local = *local;
	conn_event(c, FSM_TCP_UP, &why, now);
}

void speaker_on_data(struct speaker *s, uint64_t conn, const void *bytes, size_t n, usec_t now)
{
	conn_data(s, conn, bytes, n, now);
}

void speaker_on_writable(struct speaker *s, uint64_t conn, usec_t now)
{
	struct conn *c = conn_find(s, conn);

	if (!c)
		return;
	c->blocked = false;
	timer_stop(&c->send);
	if (c->peer->up == c)
		peer_send(c->peer);
	else
		conn_flush(c, now);
}

void speaker_on_closed(struct speaker *s, uint64_t conn, int error, usec_t now)
{
	struct conn *c = conn_find(s, conn);

	if (!c)
		return;
	struct cause why = conn_why_closed(c, error);
	conn_lost(c);
	conn_event(c, FSM_TCP_DOWN, &why, now);
}

bool speaker_refresh(struct speaker *s, const struct addr *remote, usec_t now)
{
	struct peer *p = peer_find(s, remote);

	return p && peer_ask_refresh(p, now);
}

/* The turn. */

static void begin_accepted(struct speaker *s, usec_t now)
{
	while (!list_empty(&s->fresh))
		conn_begin(list_entry(s->fresh.next, struct conn, fresh), now);
}

static bool may_tell(const struct speaker *s)
{
	return s->agent && (!s->io.up_ready || s->io.up_ready(s->io.arg));
}

static void tell_route(struct speaker *s, uint32_t idx)
{
	const struct rib_path *best = rib_best(s->rib, idx), *p;
	struct ipc_msg m = { .type = best ? IPC_ROUTE : IPC_ROUTE_GONE };

	m.route.prefix = rib_prefix(s->rib, idx);
	if (best)
		m.route.own = best->peer == RIB_SELF;
	for (p = best && !m.route.own ? rib_first(s->rib, idx) : NULL; p; p = rib_next(s->rib, p)) {
		if (!(p->flags & RIB_MULTI) || m.route.nhops == IPC_PATHS_MAX)
			continue;
		m.route.nexthop[m.route.nhops] = rib_nexthop(s->rib, p);
		m.route.peer[m.route.nhops++] = rib_peer(s->rib, p->peer)->addr;
	}
	s->io.up(s->io.arg, &m);
}

static void tell_peer(struct speaker *s, struct peer *p, usec_t now)
{
	struct ipc_msg m = { .type = IPC_PEER_STATE };

	list_del(&p->untold);
	p->counters = false;
	peer_describe(p, now, &m.state);
	s->io.up(s->io.arg, &m);
}

static const char *why_unusable(uint16_t flags)
{
	if (flags & RIB_OWN_AS)
		return "not used: our own AS number is in the AS path";
	if (flags & RIB_OWN_ORIGINATOR)
		return "not used: it began at this node (ORIGINATOR_ID)";
	if (flags & RIB_REJECTED)
		return "not used: refused by the import policy";
	if (flags & RIB_LEAKED)
		return "not used: leaked, it was meant for customers only (RFC 9234)";
	if (flags & RIB_OWN_CLUSTER)
		return "not used: it has passed our cluster already (CLUSTER_LIST)";
	return "not used: the next hop is this node's own address";
}

static void describe_attrs(const struct attr_set *a, char ret[static IPC_ATTRS_MAX])
{
	own_str struct str text = { 0 };

	attr_format(a, &text);
	snprintf(ret, IPC_ATTRS_MAX, "%s", text.s ? text.s : "");
}

static struct ipc_msg describe_path(const struct speaker *s, uint32_t id, uint32_t idx,
				    const struct rib_path *p)
{
	const struct attr_set *a = p->attr;
	const struct rib_peer *peer = rib_peer(s->rib, p->peer);
	struct ipc_msg m = { .type = IPC_PATH, .dump_id = id };

	m.path = (struct ipc_path){
		.prefix = rib_prefix(s->rib, idx),
		.path_id = p->path_id,
		.nexthop = rib_nexthop(s->rib, p),
		.router_id = a->originator_id,
		.local_pref = a->local_pref,
		.med = a->med,
		.first_asn = a->first_asn,
		.as_path_len = a->as_path_len,
		.origin = a->origin,
		.best = p->flags & RIB_BEST,
		.stale = p->flags & RIB_STALE,
	};
	if (peer) {
		m.path.peer = peer->addr;
		m.path.ebgp = peer->ebgp;
	}
	describe_attrs(a, m.path.attrs);
	if (!m.path.router_id)
		m.path.router_id = peer ? peer->router_id : s->config.router_id;
	return m;
}
static_assert(IPC_TEXT_MAX >= BEST_WHY_MAX, "a reason fits");

static void tell_paths(struct speaker *s, uint32_t id, uint32_t idx)
{
	const struct best_path *all;
	const struct rib_path *const *paths;

	if (!rib_used(s->rib, idx))
		return;
	size_t n = rib_explain(s->rib, idx, &all, &paths);
	for (size_t i = 0; i < n; i++) {
		struct ipc_msg m = describe_path(s, id, idx, paths[i]);
		best_why(all, n, i, m.path.why);
		s->io.up(s->io.arg, &m);
	}
	for (const struct rib_path *p = rib_first(s->rib, idx); p; p = rib_next(s->rib, p)) {
		if (!(p->flags & RIB_UNUSABLE))
			continue;
		struct ipc_msg m = describe_path(s, id, idx, p);
		snprintf(m.path.why, sizeof(m.path.why), "%s", why_unusable(p->flags));
		s->io.up(s->io.arg, &m);
	}
}

/* One step of the dump at the head of the line. */
static void tell_dump(struct speaker *s)
{
	struct dump *d = &s->dumps[0];

	if (!d->what.all)
		tell_paths(s, d->what.id, rib_find(s->rib, &d->what.prefix));
	else if (d->at < rib_limit(s->rib))
		tell_paths(s, d->what.id, d->at);
	if (d->what.all && d->at++ < rib_limit(s->rib))
		return;
	tell_dump_end(s, d->what.id);
	memmove(d, d + 1, --s->ndumps * sizeof(*d));
}

static bool tell_nexthop_watch(struct speaker *s)
{
	struct ipc_msg m = { 0 };
	bool gone;

	if (!nexthops_pop(rib_nexthops(s->rib), &m.nexthop.addr, &gone))
		return false;
	m.type = gone ? IPC_UNWATCH : IPC_WATCH;
	s->io.up(s->io.arg, &m);
	return true;
}

static void tell_agent(struct speaker *s, usec_t now)
{
	struct ipc_msg synced = { .type = IPC_SYNCED };
	uint32_t idx;

	while (may_tell(s)) {
		if ((idx = rib_pop_untold(s->rib)) != RIB_NONE) {
			tell_route(s, idx);
		} else if (tell_nexthop_watch(s)) {
			continue;
		} else if (!list_empty(&s->untold)) {
			tell_peer(s, list_entry(s->untold.next, struct peer, untold), now);
		} else if (s->synced && !s->synced_told) {
			s->synced_told = true;
			s->io.up(s->io.arg, &synced);
		} else if (s->ndumps) {
			tell_dump(s);
		} else {
			return;
		}
	}
	if (!s->agent)
		rib_told_all(s->rib);
}

static void on_stats(struct timer *t, usec_t now)
{
	struct speaker *s = container_of(t, struct speaker, stats);
	struct peer *p, *tmp;

	map_each (s->peers, p, tmp) {
		if (p->counters)
			peer_tell(p);
		if (p->import_due)
			peer_ask_refresh(p, now);
		p->import_due = false;
	}
	speaker_wake(s);
}

static void on_flush(struct timer *t, usec_t now)
{
	struct speaker *s = container_of(t, struct speaker, flush);

	s->flush_due = true;
	speaker_wake(s);
}

static void send_all(struct speaker *s, usec_t now)
{
	struct peer *p, *tmp;

	if (s->sent != rib_version(s->rib)) {
		s->sent = rib_version(s->rib);
		map_each (s->peers, p, tmp)
			if (p->up && !p->up->blocked)
				peer_send(p);
	}
	while (!list_empty(&s->sending))
		peer_flush(list_entry(s->sending.next, struct peer, sending), now);
	exports_trim(s->exports);
}

/* With many peers a burst of changes is worth collecting: each flush costs a system call a peer. What comes
 * after a quiet moment does not wait. */
static void send_or_wait(struct speaker *s, usec_t now)
{
	if (list_empty(&s->sending) && s->sent == rib_version(s->rib))
		return;
	if (s->nup >= SPEAKER_BATCH_PEERS && !s->flush_due && now - s->flushed < SPEAKER_QUIET) {
		if (!timer_armed(&s->flush))
			timer_start(s->timers, &s->flush, now + SPEAKER_BATCH_TIME);
		return;
	}
	s->flush_due = false;
	s->flushed = now;
	timer_stop(&s->flush);
	send_all(s, now);
}

void speaker_turn(struct speaker *s, usec_t now)
{
	begin_accepted(s, now);
	/* Sending may end a session and so change the table again; every round but the first costs a peer. */
	do {
		rib_settle(s->rib);
		send_or_wait(s, now);
		rib_settle(s->rib);
	} while (s->sent != rib_version(s->rib) && !timer_armed(&s->flush));
	tell_agent(s, now);
	if (!rib_has_tombstones(s->rib))
		return;
	/* What nobody reads any more may speak of a prefix that is reaped: nobody is to begin with it. */
	exports_trim(s->exports);
	rib_reap(s->rib, exports_passed(s->exports), exports_on_gone, s->exports);
}
