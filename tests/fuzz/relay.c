/*
 * Routes through a speaker: two tellers announce and withdraw, five listeners are told. The input is a list
 * of events of four bytes: routes, sessions that end and come back, listeners that read slowly, not at all or
 * ask again, policies that change. In the end everybody reads, and then every listener must know exactly what
 * the tellers say: the best path of each prefix, or all of them where ADD-PATH was agreed, with the
 * attributes they had.
 */
#include "base/check.h"
#include "base/rd.h"
#include "bgp/msg.h"
#include "bgp/speaker.h"
#include "bgp/update.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

enum { TELLERS = 2, LISTENERS = 5, PEERS = TELLERS + LISTENERS, PREFIXES = 12, IDS = 3, SETS = 4 };
enum { ROOM = 1 << 17, SEEN_MAX = 4 * TELLERS * IDS };
enum { OUR_ASN = 64512, POLICY = IPC_POLICY_FIRST };

/* What peer i is like. Tellers are the first two. */
static const struct kind {
	uint32_t asn;
	uint8_t add_path_recv, add_path_send; /* the speaker's side of it */
	bool as2, ext, ibgp;
	bool gr; /* its routes outlive its session (RFC 4724) */
} kinds[PEERS] = {
	{ .asn = 65001, .add_path_recv = CAPS_V4, .ext = true },
	{ .asn = 65002, .gr = true },
	{ .asn = 65101 },
	{ .asn = 65102, .add_path_send = CAPS_V4 },
	{ .asn = 65103, .as2 = true },
	{ .asn = OUR_ASN, .ibgp = true, .ext = true },
	{ .asn = OUR_ASN, .ibgp = true, .add_path_send = CAPS_V4 },
};

/* A path that a listener was told of. */
struct seen {
	bool there;
	uint32_t id, tag; /* the tag is the community that the teller put in */
};

struct peer {
	uint64_t conn; /* 0 = no connection */
	size_t window; /* bytes it still takes */
	uint8_t in[ROOM];
	size_t nin;
	struct seen seen[PREFIXES][SEEN_MAX];
	bool filtered; /* the export policy of this listener lets nothing of the second half pass */
};

struct world {
	struct timers timers;
	struct speaker *s;
	struct attr_table *attrs;
	usec_t now;
	struct peer peers[PEERS];
	int said[TELLERS][PREFIXES][IDS]; /* which attributes; -1: none */
	bool unreachable[TELLERS];	  /* as next hops */
};

static struct addr peer_addr(int i)
{
	return addr_v4(0x0a000001 + (uint32_t)i);
}

static struct prefix prefix_no(int i)
{
	struct addr a = addr_v4(0x0a080000 + ((uint32_t)i << 16));

	return prefix_of(&a, 24);
}

static int prefix_index(const struct prefix *p)
{
	return (int)((addr_to_v4(&p->addr) - 0x0a080000) >> 16);
}

static struct codec codec_of(int i)
{
	const struct kind *k = &kinds[i];

	return (struct codec){
		.ebgp = !k->ibgp,
		.as4 = !k->as2,
		.families = CAPS_V4,
		.add_path_in = k->add_path_send,
		.add_path_out = k->add_path_recv,
		.max = k->ext ? MSG_MAX_EXT : MSG_MAX,
	};
}

/* --- what listeners hear --- */

static uint32_t tag_of(struct attr_table *t, const struct codec *c, const struct update *u)
{
	struct attr_set *a = attr_intern(t, &u->attrs, c);
	struct rd r = { 0 };

	CHECK(attr_find(a, ATTR_COMMUNITIES, &r));
	uint32_t tag = rd_be32(&r);
	/* The path is the teller's, behind ours if it went to another AS. */
	CHECK(a->as_path_len == (tag & 3) + 1u + c->ebgp);
	CHECK(!c->ebgp || a->first_asn == OUR_ASN);
	attr_unref(t, a);
	return tag;
}

static void hear_path(struct peer *p, int prefix, uint32_t id, bool gone, uint32_t tag)
{
	struct seen *row = p->seen[prefix], *at = NULL;

	CHECK(prefix >= 0 && prefix < PREFIXES);
	for (int i = 0; i < SEEN_MAX; i++)
		if (row[i].there && row[i].id == id)
			at = &row[i];
	if (gone) {
		if (at)
			at->there = false;
		return;
	}
	for (int i = 0; !at && i < SEEN_MAX; i++)
		if (!row[i].there)
			at = &row[i];
	CHECK(at); /* a few that are to be withdrawn may be there yet */
	*at = (struct seen){ true, id, tag };
}

static void hear_update(struct world *w, int i, struct rd body)
{
	static struct update u;
	struct codec c = codec_of(i);
	struct prefix prefix;
	uint32_t id;

	CHECK(update_decode(body, &c, &u) == ATTR_TAKE);
	while (nlri_next(&u.withdrawn[0], &prefix, &id))
		hear_path(&w->peers[i], prefix_index(&prefix), id, true, 0);
	if (!update_has_routes(&u) || i < TELLERS)
		return;
	uint32_t tag = tag_of(w->attrs, &c, &u);
	while (nlri_next(&u.announced[0].nlri, &prefix, &id))
		hear_path(&w->peers[i], prefix_index(&prefix), id, false, tag);
}

static void hear(struct world *w, int i)
{
	struct peer *p = &w->peers[i];
	size_t at = 0;
	struct msg m;
	ssize_t k;

	while ((k = msg_next(p->in + at, p->nin - at, codec_of(i).max, &m, NULL)) != 0) {
		CHECK(k > 0);
		if (m.type == MSG_UPDATE)
			hear_update(w, i, m.body);
		at += (size_t)k;
	}
	memmove(p->in, p->in + at, p->nin - at);
	p->nin -= at;
}

static int peer_of(struct world *w, uint64_t conn)
{
	int i = 0;

	while (i < PEERS && w->peers[i].conn != conn)
		i++;
	CHECK(i < PEERS);
	return i;
}

static ssize_t on_send(void *arg, uint64_t conn, const void *bytes, size_t n, bool more)
{
	struct world *w = arg;
	int i = peer_of(w, conn);
	struct peer *p = &w->peers[i];

	n = MIN(n, MIN(p->window, ROOM - p->nin));
	memcpy(p->in + p->nin, bytes, n);
	p->nin += n;
	p->window -= n;
	hear(w, i);
	return (ssize_t)n;
}

/* The session is over: what this peer was told, and with some what it has told, is of no account. */
static void forget(struct world *w, int i, bool kept)
{
	struct peer *p = &w->peers[i];

	p->conn = 0;
	p->nin = 0;
	memset(p->seen, 0, sizeof(p->seen));
	if (i < TELLERS && !kept)
		memset(w->said[i], 0xff, sizeof(w->said[i]));
}

static void on_close(void *arg, uint64_t conn)
{
	struct world *w = arg;

	forget(w, peer_of(w, conn), false);
}

static int on_dial(void *arg, uint64_t conn, const struct ipc_peer *peer)
{
	CHECK(!"all are passive");
	return -1;
}

static void on_up(void *arg, const struct ipc_msg *m)
{
}

/* --- what happens --- */

static void say(struct world *w, int i, const struct wr *m)
{
	CHECK(wr_ok(m));
	if (w->peers[i].conn)
		speaker_on_data(w->s, w->peers[i].conn, m->buf, m->len, w->now);
}

/* Some attributes of the first teller only fit into a long message (RFC 8654): who takes none is not told. */
static bool is_long(uint32_t tag)
{
	return !(tag >> 4 & 1) && (tag & 3) == SETS - 1;
}

/* The tag says it all: which teller, which identifier, which attributes. Longer paths are worse. */
static struct attr_set *make_set(struct world *w, int teller, int id, int set)
{
	static uint32_t communities[1300];
	uint32_t tag = 0xfde80000u | (uint32_t)teller << 4 | (uint32_t)id << 2 | (uint32_t)set;
	struct attr_set *own = attr_originate(w->attrs, ATTR_ORIGIN_IGP);
	struct attr_change ch = { .prepend = (uint8_t)(set + 1),
				  .prepend_asn = kinds[teller].asn,
				  .communities = communities,
				  .ncommunities = is_long(tag) ? ARRAY_SIZE(communities) : 1 };

	communities[0] = tag;
	for (uint32_t i = 1; i < ARRAY_SIZE(communities); i++)
		communities[i] = i;
	struct attr_set *a = attr_derive(w->attrs, own, &ch);

	attr_unref(w->attrs, own);
	return a;
}

/* Made once; the table of the tests' side outlives the worlds. */
static struct attr_set *attributes(struct world *w, int teller, int id, int set)
{
	static struct attr_set *made[TELLERS][IDS][SETS];
	struct attr_set **at = &made[teller][id][set];

	if (!*at)
		*at = make_set(w, teller, id, set);
	return *at;
}

static void tell(struct world *w, int teller, int prefix, int id, int set)
{
	struct codec c = codec_of(teller);
	struct prefix p = prefix_no(prefix);
	struct addr hop = peer_addr(teller);
	static uint8_t buf[MSG_MAX_EXT];
	struct wr m = wr_to(buf, sizeof(buf));
	struct packer k;

	if (!w->peers[teller].conn)
		return;
	if (!c.add_path_out)
		id = 0;
	w->said[teller][prefix][id] = set;
	pack_begin(&k, &m, &c);
	if (set < 0) {
		pack_withdraw(&k, &p, (uint32_t)id);
		pack_end(&k);
	} else {
		struct attr_set *a = attributes(w, teller, id, set);
		pack_announce(&k, a, &hop, &p, (uint32_t)id);
		pack_end(&k);
	}
	say(w, teller, &m);
}

static void send_refresh(struct world *w, int i, uint8_t subtype)
{
	uint8_t buf[64];
	struct wr m = wr_to(buf, sizeof(buf));

	msg_refresh_encode(&(struct msg_refresh){ CAPS_V4, subtype }, &m);
	say(w, i, &m);
}

static void send_eor(struct world *w, int i)
{
	struct codec c = codec_of(i);
	uint8_t buf[64];
	struct wr m = wr_to(buf, sizeof(buf));
	struct packer k;

	pack_begin(&k, &m, &c);
	pack_eor(&k, AF_INET);
	say(w, i, &m);
}

/* Every second route of what it has said; the rest it does not mention. */
static void tell_half_again(struct world *w, int teller, unsigned which)
{
	for (int k = 0; k < PREFIXES * IDS; k++) {
		int *set = &w->said[teller][k / IDS][k % IDS];

		if (*set >= 0 && (which + (unsigned)k / IDS) % 2)
			tell(w, teller, k / IDS, k % IDS, *set);
		else
			*set = -1;
	}
}

/* A session up to Established, with no hold time. */
static void open_session(struct world *w, int i, unsigned which)
{
	const struct kind *k = &kinds[i];
	struct addr local = addr_v4(0x0a000063), remote = peer_addr(i);
	uint8_t buf[MSG_MAX];
	struct wr m = wr_to(buf, sizeof(buf));
	struct msg_open o = { .asn = k->asn, .router_id = 0x0a000001 + (uint32_t)i };

	if (w->peers[i].conn)
		return;
	w->peers[i].conn = speaker_on_accept(w->s, &local, &remote, w->now);
	if (!w->peers[i].conn)
		return;
	caps_init(&o.caps);
	o.caps.mp = o.caps.refresh = o.caps.enhanced_refresh = true;
	o.caps.families = CAPS_V4;
	o.caps.as4 = !k->as2;
	o.caps.ext_message = k->ext;
	o.caps.add_path_send = k->add_path_recv;
	o.caps.add_path_recv = k->add_path_send;
	o.caps.gr = k->gr;
	o.caps.gr_time = 4095;
	o.caps.gr_families = o.caps.gr_forwarding = CAPS_V4;
	msg_open_encode(&o, &m);
	msg_keepalive_encode(&m);
	say(w, i, &m);
	if (i >= TELLERS)
		return;
	tell_half_again(w, i, which);
	send_eor(w, i);
}

static void close_session(struct world *w, int i)
{
	uint64_t conn = w->peers[i].conn;

	if (!conn)
		return;
	forget(w, i, kinds[i].gr);
	speaker_on_closed(w->s, conn, 0, w->now);
}

static void pass(struct world *w, usec_t time)
{
	w->now += time;
	timers_run(&w->timers, w->now);
	speaker_turn(w->s, w->now);
}

/* RFC 7313: what is not said between the two is not there any more. A beginning too soon after the last would
 * not be heard (SPEAKER_REFRESH_TIME). */
static void say_everything_again(struct world *w, int teller, unsigned which)
{
	if (!w->peers[teller].conn)
		return;
	pass(w, SEC);
	send_refresh(w, teller, MSG_REFRESH_BEGIN);
	tell_half_again(w, teller, which);
	send_refresh(w, teller, MSG_REFRESH_END);
}

static void say_nexthop(struct world *w, int teller)
{
	struct ipc_msg m = { .type = IPC_NEXTHOP };

	m.nexthop = (struct ipc_nexthop){ .addr = peer_addr(teller), .reachable = !w->unreachable[teller] };
	speaker_on_ipc(w->s, &m, w->now);
}

static void reset(struct world *w, int listener)
{
	struct ipc_msg m = { .type = IPC_RESET, .reset = { peer_addr(listener), "reset" } };

	speaker_on_ipc(w->s, &m, w->now);
}

static void state_peer(struct world *w, int i)
{
	const struct kind *k = &kinds[i];
	struct ipc_msg m = { .type = IPC_PEER };

	m.peer = (struct ipc_peer){ .remote = peer_addr(i),
				    .port = 179,
				    .remote_asn = k->asn,
				    .passive = true,
				    .families = IPC_FAMILY_V4,
				    .import = IPC_POLICY_ALL,
				    .export = w->peers[i].filtered ? POLICY : IPC_POLICY_ALL,
				    .add_path_recv = k->add_path_recv,
				    .add_path_send = k->add_path_send,
				    .ext_message = k->ext,
				    .name = "peer" };
	speaker_on_ipc(w->s, &m, w->now);
}

static void state_policy(struct world *w)
{
	struct ipc_msg m = { .type = IPC_POLICY, .policy = { POLICY, true, "half" } };

	speaker_on_ipc(w->s, &m, w->now);
	for (int i = PREFIXES / 2; i < PREFIXES; i++) {
		m = (struct ipc_msg){ .type = IPC_RULE, .rule.id = POLICY };
		m.rule.rule = (struct policy_rule){ .prefix_op = POLICY_PREFIX_IN,
						    .prefix = prefix_no(i),
						    .verdict = POLICY_REJECT };
		speaker_on_ipc(w->s, &m, w->now);
	}
	m = (struct ipc_msg){ .type = IPC_POLICY_END, .policy = { .id = POLICY } };
	speaker_on_ipc(w->s, &m, w->now);
}

static void read_on(struct world *w, int i, size_t window)
{
	w->peers[i].window = window;
	if (w->peers[i].conn)
		speaker_on_writable(w->s, w->peers[i].conn, w->now);
}

static void one_event(struct world *w, struct rd *r)
{
	uint8_t kind = rd_u8(r), a = rd_u8(r), b = rd_u8(r), c = rd_u8(r);
	int listener = TELLERS + a % LISTENERS;

	switch (kind % 16) {
	case 5:
		w->unreachable[a % TELLERS] = b & 1;
		say_nexthop(w, a % TELLERS);
		break;
	case 6:
		reset(w, listener);
		break;
	case 7:
		say_everything_again(w, a % TELLERS, b);
		break;
	case 8:
		tell(w, a % TELLERS, b % PREFIXES, c % IDS, -1);
		break;
	case 9:
		close_session(w, a % PEERS);
		break;
	case 10:
		open_session(w, a % PEERS, b);
		break;
	case 11:
		send_refresh(w, listener, MSG_REFRESH_REQUEST);
		break;
	case 12:
		read_on(w, listener, (size_t)b * b);
		break;
	case 13:
		w->peers[listener].filtered = b & 1;
		state_peer(w, listener);
		break;
	case 14:
		pass(w, (usec_t)b * 10 * MSEC);
		break;
	case 15:
		speaker_turn(w->s, w->now);
		break;
	default:
		tell(w, a % TELLERS, b % PREFIXES, c % IDS, c >> 2 & 3);
	}
}

/* --- in the end --- */

/* The best of what the tellers say: the shortest path, then the lower router id, then the lower identifier.
 */
static bool best_tag(const struct world *w, int prefix, uint32_t *ret)
{
	bool found = false;
	int best = 2 * SETS;

	for (int t = 0; t < TELLERS; t++) {
		for (int id = 0; id < IDS; id++) {
			int set = w->said[t][prefix][id], rank = set + (w->unreachable[t] ? SETS : 0);

			if (set < 0 || rank >= best)
				continue;
			best = rank;
			found = true;
			*ret = 0xfde80000u | (uint32_t)t << 4 | (uint32_t)id << 2 | (uint32_t)set;
		}
	}
	return found;
}

static int count_seen(const struct seen *row, uint32_t tag)
{
	int n = 0;

	for (int i = 0; i < SEEN_MAX; i++)
		n += row[i].there && (!tag || row[i].tag == tag);
	return n;
}

static void check_prefix(const struct world *w, int i, int prefix)
{
	const struct seen *row = w->peers[i].seen[prefix];
	bool hidden = w->peers[i].filtered && prefix >= PREFIXES / 2;
	uint32_t tag = 0;
	int all = 0;

	if (!kinds[i].add_path_send) {
		bool found = best_tag(w, prefix, &tag) && !hidden && (!is_long(tag) || kinds[i].ext);

		CHECK(count_seen(row, 0) == found);
		CHECK(!found || count_seen(row, tag) == 1);
		return;
	}
	for (int t = 0; t < TELLERS; t++) {
		for (int id = 0; id < IDS; id++) {
			int set = w->said[t][prefix][id];

			tag = 0xfde80000u | (uint32_t)t << 4 | (uint32_t)id << 2 | ((uint32_t)set & 3);
			if (set < 0 || hidden || (is_long(tag) && !kinds[i].ext))
				continue;
			all++;
			CHECK(count_seen(row, tag) == 1);
		}
	}
	CHECK(count_seen(row, 0) == all);
}

/* Sessions that were refused for a while come back, and everybody reads until nothing more comes. */
static void come_to_rest(struct world *w)
{
	for (int round = 0; round < 20; round++) {
		for (int i = 0; i < PEERS; i++) {
			open_session(w, i, (unsigned)round);
			read_on(w, i, SIZE_MAX);
		}
		for (int i = 0; i < TELLERS; i++)
			say_nexthop(w, i); /* the speaker forgets about those that no path uses */
		pass(w, 40 * SEC);
	}
	for (int round = 0; round < 20; round++)
		pass(w, SEC);
}

static void begin(struct world *w)
{
	struct ipc_msg config = { .type = IPC_CONFIG, .config = { OUR_ASN, 0x0a000063, 0, 0, 120 } };
	struct ipc_msg stated = { .type = IPC_STATED };

	memset(w, 0, sizeof(*w));
	memset(w->said, 0xff, sizeof(w->said));
	w->now = 1000 * SEC;
	static struct attr_table *attrs;
	if (!attrs)
		attrs = attr_table_new(2);
	w->attrs = attrs;
	timers_init(&w->timers);
	static struct speaker_io io = { .dial = on_dial, .send = on_send, .close = on_close, .up = on_up };
	io.arg = w;
	w->s = speaker_new(&io, &w->timers, 1, w->now);
	speaker_on_agent(w->s, true, w->now);
	speaker_on_ipc(w->s, &config, w->now);
	state_policy(w);
	for (int i = 0; i < PEERS; i++)
		state_peer(w, i);
	speaker_on_ipc(w->s, &stated, w->now);
	for (int i = 0; i < PEERS; i++) {
		w->peers[i].window = SIZE_MAX;
		open_session(w, i, 0);
	}
	speaker_turn(w->s, w->now);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
	static struct world w;
	struct rd r = rd_of(bytes, MIN(n, (size_t)2000));

	begin(&w);
	while (rd_left(&r) >= 4)
		one_event(&w, &r);
	come_to_rest(&w);
	for (int i = TELLERS; i < PEERS; i++)
		for (int prefix = 0; prefix < PREFIXES; prefix++)
			check_prefix(&w, i, prefix);
	speaker_free(w.s);
	timers_done(&w.timers);
	CHECK(attr_table_count(w.attrs) <= TELLERS * IDS * SETS);
	return 0;
}
