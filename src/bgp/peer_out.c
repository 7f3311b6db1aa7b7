/*
 * Routes out: when a peer is sent what its reader in bgp/export has for it, and what stands around it:
 * End-of-RIB, refreshes with beginning and end. RFC 2918, RFC 4724, RFC 7313.
 */
#include "bgp/state.h"

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

void peer_on_refresh_due(struct timer *t, usec_t now)
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

void peer_on_refresh(struct peer *p, const struct msg_refresh *m, usec_t now)
{
	uint8_t family = m->family & p->codec.families;

	if (m->subtype == MSG_REFRESH_REQUEST) {
		p->refresh_due |= family;
	} else if (!p->up->agreed.enhanced_refresh || !family) {
		return;
	} else if (m->subtype == MSG_REFRESH_BEGIN) {
		peer_stale_again(p, family, now);
	} else if (p->refreshing & family) {
		p->refreshing &= (uint8_t)~family;
		peer_stale_end(p, family);
		peer_count(p, now);
	}
}

/* While we restart gracefully ourselves, End-of-RIB would make the peer delete what we have not relearned
 * yet. */
static bool may_end_rib(const struct peer *p)
{
	return p->eor_out && (p->s->synced || !p->up->offered.gr_families) && !export_rewinding(p->out) &&
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

static void queue_eors(struct peer *p)
{
	for (uint8_t f = CAPS_V4; f <= CAPS_V6; f <<= 1)
		if (p->eor_out & f)
			queue_eor(p, caps_af(f));
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
		queue_eors(p);
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
		peer_count(p, now);
}
