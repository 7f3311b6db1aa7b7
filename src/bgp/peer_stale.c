/*
 * Paths that are kept although their peer is away, or tells everything anew: marked, repeated or swept, and
 * for how long. RFC 4724 (the helper's side), RFC 8538, RFC 9494, RFC 7313.
 */
#include "bgp/state.h"

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

void peer_stale_end(struct peer *p, uint8_t families)
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

static void forget_llgr_end(struct peer *p, uint8_t families)
{
	for (size_t i = 0; i < CAPS_FAMILIES; i++)
		if (families & CAPS_V4 << i)
			p->llgr_end[i] = 0;
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

/* End-of-RIB: what was not repeated goes, a moment later. A restarted FRR 8.4 says it now and then before its
 * routes, which then follow within that moment; taken at its word it would lose packets. */
void peer_stale_told(struct peer *p, uint8_t families, usec_t now)
{
	for (uint8_t f = CAPS_V4; f <= CAPS_V6; f <<= 1)
		if (p->stale & families & f)
			*until(p, f) = now + SPEAKER_STALE_MORE;
	forget_llgr_end(p, families);
	arm_stale(p);
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
	usec_t wait = p->llgr_time[family == CAPS_V6], *end = &p->llgr_end[family == CAPS_V6];

	if (!*end)
		*end = now + wait;
	/* One that comes and goes without telling its routes does not get the time anew. */
	if (!wait || p->up || p->llgr & family || now >= *end) {
		peer_stale_end(p, family);
		return;
	}
	p->llgr |= family;
	*until(p, family) = *end;
	rib_change_stale(p->s->rib, p->number, caps_af(family), make_llgr, p->s->attrs);
}

void peer_on_stale_end(struct timer *t, usec_t now)
{
	struct peer *p = container_of(t, struct peer, stale_end);

	for (uint8_t f = CAPS_V4; f <= CAPS_V6; f <<= 1)
		if (p->stale & f && now >= *until(p, f))
			begin_llgr(p, f, now);
	arm_stale(p);
	peer_count(p, now);
	speaker_wake(p->s);
}

/* A restarted peer is back. What it has not preserved is gone; the rest waits for its End-of-RIB. */
void peer_stale_up(struct peer *p, const struct caps *caps, usec_t now)
{
	uint8_t kept = caps->gr ? caps->gr_families & caps->gr_forwarding : 0;
	uint8_t long_kept = caps->llgr ? caps->llgr_families & caps->llgr_forwarding : 0;

	/* Nobody will speak of a family that the new session does not have. */
	peer_stale_end(p, (uint8_t) ~(((kept & ~p->llgr) | (long_kept & p->llgr)) & p->codec.families));
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
void peer_stale_down(struct peer *p, const struct conn *c, usec_t now)
{
	const struct caps *caps = &c->open.caps;
	usec_t wait = (usec_t)caps->gr_time * SEC;
	uint8_t keep = caps->gr_families & p->codec.families;

	note_llgr(p, c);
	if (!wait && !p->llgr_time[0] && !p->llgr_time[1])
		keep = 0;
	for_each_family((uint8_t)~keep, forget, p);
	uint8_t earlier =
		p->stale & (uint8_t)~p->refreshing; /* those of a refresh are not from an earlier restart */
	if (!earlier)
		p->stale_since = now;
	forget_llgr_end(p, (uint8_t)~earlier);
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
	return c->open.caps.gr && c->offered.gr_notification && c->open.caps.gr_notification;
}

/* RFC 4724: when only TCP was lost. RFC 8538: over a NOTIFICATION of either side too, unless it is a hard
 * one. */
bool peer_keeps_routes(const struct conn *c, const struct cause *why)
{
	if (!c->offered.gr_families || !c->open.caps.gr || why->hard)
		return false;
	return why->tcp_only || (peer_knows_notification(c) && (why->told || why->notify.code));
}

/* The peer begins to tell everything again: what it does not repeat until the end is gone. Each beginning is
 * a walk through the table, so it does not begin as often as it likes: then the one before goes on. */
void peer_stale_again(struct peer *p, uint8_t family, usec_t now)
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
