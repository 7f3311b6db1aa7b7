/*
 * The seeds that follow the code: one of every message between agent and speaker, and those of formats that
 * are our own. `seeds DIR` writes them below DIR (tests/corpus), `seeds --check DIR` says which are not as
 * this program would write them: so a format cannot change without its seeds.
 */
#include "base/check.h"
#include "base/prng.h"
#include "bgp/ipc.h"

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>

enum { SEED_MAX = 65536, NAMES_MAX = 200 };

static struct {
	const char *top;
	bool check;
	int bad;
} run;

static void complain(const char *path, const char *what)
{
	fprintf(stderr, "%s: %s; `seeds tests/corpus` writes it\n", path, what);
	run.bad = 1;
}

static void check_file(const char *path, const void *bytes, size_t n)
{
	static uint8_t there[SEED_MAX + 1];
	FILE *f = fopen(path, "rb");

	if (!f) {
		complain(path, "is not there");
		return;
	}
	size_t m = fread(there, 1, sizeof(there), f);
	fclose(f);
	if (m != n || memcmp(there, bytes, n))
		complain(path, "is another one");
}

static void write_file(const char *path, const void *bytes, size_t n)
{
	FILE *f = fopen(path, "wb");

	if (!f || fwrite(bytes, 1, n, f) != n || fclose(f)) {
		perror(path);
		run.bad = 1;
	}
}

static void seed(const char *target, const char *name, const void *bytes, size_t n)
{
	char path[4096];

	snprintf(path, sizeof(path), "%s/%s", run.top, target);
	if (!run.check && mkdir(path, 0777) < 0 && errno != EEXIST)
		perror(path);
	snprintf(path, sizeof(path), "%s/%s/%s", run.top, target, name);
	if (run.check)
		check_file(path, bytes, n);
	else
		write_file(path, bytes, n);
}

static void put_hex(struct wr *w, const char *hex)
{
	for (unsigned v; *hex; hex += 2) {
		while (*hex == ' ')
			hex++;
		CHECK(sscanf(hex, "%2x", &v) == 1);
		wr_u8(w, (uint8_t)v);
	}
}

static void seed_hex(const char *target, const char *name, const char *hex)
{
	static uint8_t buf[SEED_MAX];
	struct wr w = wr_to(buf, sizeof(buf));

	put_hex(&w, hex);
	CHECK(wr_ok(&w));
	seed(target, name, buf, w.len);
}

/* The bytes that choose the sessions, and the body of an UPDATE. */
static void seed_update(const char *name, const char *sessions, const char *attrs, const char *nlri)
{
	static uint8_t buf[SEED_MAX];
	struct wr w = wr_to(buf, sizeof(buf));

	put_hex(&w, sessions);
	wr_be16(&w, 0);
	size_t hole = wr_open16(&w);
	put_hex(&w, attrs);
	wr_close16(&w, hole);
	put_hex(&w, nlri);
	CHECK(wr_ok(&w));
	seed("bgp_rewrite", name, buf, w.len);
}

/* --- between agent and speaker --- */

static bool said[IPC_TYPES];

static void say(const char *name, const struct ipc_msg *m)
{
	static uint8_t buf[IPC_MSG_MAX];
	struct wr w = wr_to(buf, sizeof(buf));

	ipc_encode(m, &w);
	CHECK(wr_ok(&w));
	seed("ipc", name, buf, w.len);
	said[m->type] = true;
}

static struct addr addr(const char *text)
{
	struct addr a;

	CHECK(addr_parse(text, &a));
	return a;
}

static struct prefix prefix(const char *text, uint8_t len)
{
	struct addr a = addr(text);

	return prefix_of(&a, len);
}

static void say_session(void)
{
	struct ipc_peer full = {
		.remote = addr("fd00::1"),
		.local = addr("fd00::2"),
		.port = 1790,
		.remote_asn = 4200000000u,
		.local_asn = 65001,
		.passive = true,
		.families = IPC_FAMILY_V4 | IPC_FAMILY_V6,
		.client = true,
		.hold_time = 30,
		.keepalive_time = 10,
		.own_restart_time = true,
		.restart_time = 4095,
		.import = IPC_POLICY_FIRST,
		.export = IPC_POLICY_MAX,
		.max_prefixes = 1000,
		.allow_own_as = 2,
		.nexthop_mode = IPC_NEXTHOP_KEEP,
		.role = IPC_ROLE_CUSTOMER,
		.role_strict = true,
		.add_path_recv = IPC_FAMILY_V4,
		.add_path_send = IPC_FAMILY_V6,
		.ext_nexthop = true,
		.ext_message = true,
		.ttl = 2,
		.ttl_security = 1,
		.shutdown = true,
		.text = "for the night",
		.password = "s3cret",
		.name = "rack-7",
	};
	struct ipc_peer plain = { .remote = addr("10.0.0.1"),
				  .port = 179,
				  .remote_asn = 64512,
				  .families = IPC_FAMILY_V4,
				  .name = "node1" };

	say("peer", &(struct ipc_msg){ IPC_PEER, .peer = plain });
	say("peer_full", &(struct ipc_msg){ IPC_PEER, .peer = full });
	say("peer_gone", &(struct ipc_msg){ IPC_PEER_GONE, .peer = plain });
	say("refresh", &(struct ipc_msg){ IPC_REFRESH, .refresh = { addr("10.0.0.1"), true } });
	say("reset", &(struct ipc_msg){ IPC_RESET, .reset = { addr("fd00::1"), "maintenance" } });
	say("peer_state",
	    &(struct ipc_msg){ IPC_PEER_STATE,
			       .state = { .remote = addr("10.0.0.1"),
					  .state = IPC_ESTABLISHED,
					  .since = 77 * SEC,
					  .router_id = 0x0a000001,
					  .hold_time = 90,
					  .families = IPC_FAMILY_V4,
					  .agreed = IPC_AGREED_ALL,
					  .received = 9,
					  .accepted = 7,
					  .rejected = 2,
					  .stale = 1,
					  .advertised = 5,
					  .msgs_in = 100,
					  .msgs_out = 1ull << 40,
					  .updates_in = 3,
					  .updates_out = 4,
					  .flaps = 1,
					  .reason = "Cease/Administrative Shutdown: l\xc3\xbc" } });
}

static void say_policies(void)
{
	struct policy_rule full = {
		.family = AF_INET,
		.prefix_op = POLICY_PREFIX_IN,
		.prefix = prefix("10.8.0.0", 16),
		.min_len = 24,
		.max_len = 26,
		.source = POLICY_SOURCE_BGP,
		.session = POLICY_SESSION_EBGP,
		.has_community = true,
		.has_local_pref = true,
		.community = { true, { 65001, 2, 3 } },
		.local_pref = 200,
		.nas_path = 2,
		.as_path = { 65001, 4200000001u },
		.interface = "eth*",
		.verdict = POLICY_ACCEPT,
		.nops = 4,
		.ops = { { .kind = POLICY_ADD_COMMUNITY, .community = { false, { 65000, 7, 0 } } },
			 { .kind = POLICY_PREPEND, .nasns = 3, .asns = { 1, 2, 3 } },
			 { .kind = POLICY_SET_LOCAL_PREF, .value = 300 },
			 { .kind = POLICY_SET_MED, .value = 5 } },
	};
	struct policy_rule plain = { .verdict = POLICY_REJECT };

	say("policy", &(struct ipc_msg){ IPC_POLICY, .policy = { 2, true, "export-to-tor" } });
	say("rule", &(struct ipc_msg){ IPC_RULE, .rule = { 2, plain } });
	say("rule_full", &(struct ipc_msg){ IPC_RULE, .rule = { IPC_POLICY_MAX, full } });
	say("policy_end", &(struct ipc_msg){ IPC_POLICY_END, .policy = { .id = 2 } });
	say("policy_gone", &(struct ipc_msg){ IPC_POLICY_GONE, .policy = { .id = IPC_POLICY_MAX } });
}

static void say_routes(void)
{
	struct ipc_route two = { .prefix = prefix("10.8.0.64", 26), .nhops = 2 };
	struct ipc_path path = { .prefix = prefix("fd10::", 122),
				 .peer = addr("10.0.0.1"),
				 .nexthop = addr("fd00::1"),
				 .router_id = 1,
				 .local_pref = 100,
				 .as_path_len = 2,
				 .first_asn = 65001,
				 .path_id = 3,
				 .best = true,
				 .attrs = "origin igp, as-path 65001",
				 .why = "the only path" };

	two.nexthop[0] = two.peer[0] = addr("10.0.0.1");
	two.nexthop[1] = two.peer[1] = addr("10.0.0.2");
	say("origin", &(struct ipc_msg){ IPC_ORIGIN, .origin = { .prefix = prefix("10.8.0.0", 26) } });
	say("origin6", &(struct ipc_msg){ IPC_ORIGIN, .origin = { prefix("fd10::", 122), addr("fd00::1") } });
	say("origin_gone",
	    &(struct ipc_msg){ IPC_ORIGIN_GONE, .origin = { .prefix = prefix("0.0.0.0", 0) } });
	say("route", &(struct ipc_msg){ IPC_ROUTE, .route = two });
	two.own = true;
	two.nhops = 0;
	say("route_own", &(struct ipc_msg){ IPC_ROUTE, .route = two });
	say("route_gone", &(struct ipc_msg){ IPC_ROUTE_GONE, .route = two });
	say("path", &(struct ipc_msg){ IPC_PATH, .dump_id = 7, .path = path });
	say("dump", &(struct ipc_msg){ IPC_DUMP, .dump = { .id = 7, .all = true } });
	say("dump_one", &(struct ipc_msg){ IPC_DUMP, .dump = { .id = 8, .prefix = prefix("fd10::", 122) } });
	say("dump_end", &(struct ipc_msg){ IPC_DUMP_END, .dump_id = 7 });
	say("nexthop", &(struct ipc_msg){ IPC_NEXTHOP, .nexthop = { addr("10.0.0.1"), true, 0, "eth0" } });
	say("nexthop_none",
	    &(struct ipc_msg){ IPC_NEXTHOP, .nexthop = { addr("fd00::9"), false, UINT32_MAX, "" } });
	say("watch", &(struct ipc_msg){ IPC_WATCH, .nexthop = { .addr = addr("10.0.0.1") } });
	say("unwatch", &(struct ipc_msg){ IPC_UNWATCH, .nexthop = { .addr = addr("fd00::9") } });
}

/* A datagram of several messages. */
static void say_several(void)
{
	static uint8_t buf[IPC_MSG_MAX];
	struct wr w = wr_to(buf, sizeof(buf));
	struct ipc_msg route = { IPC_ROUTE, .route = { .prefix = prefix("10.8.0.64", 26), .own = true } };

	ipc_encode(&route, &w);
	route.type = IPC_ROUTE_GONE;
	ipc_encode(&route, &w);
	ipc_encode(&(struct ipc_msg){ IPC_SYNCED }, &w);
	seed("ipc", "several", buf, w.len);
}

static void say_all(void)
{
	struct ipc_listen any = { { .family = AF_INET6 }, 179 };
	struct ipc_msg hello = { IPC_HELLO, .hello = { .pid = 4711, .epoch = 1ull << 60, .nlisten = 1 } };

	hello.hello.listen[0] = any;
	say("hello", &hello);
	say("config", &(struct ipc_msg){ IPC_CONFIG, .config = { 64512, 0x0a000009, 1, 90, 120 } });
	say("listen", &(struct ipc_msg){ IPC_LISTEN, .listen = any });
	say("unlisten", &(struct ipc_msg){ IPC_UNLISTEN, .listen = any });
	say("stated", &(struct ipc_msg){ IPC_STATED });
	say("synced", &(struct ipc_msg){ IPC_SYNCED });
	say_session();
	say_policies();
	say_routes();
	say_several();
	for (int i = 1; i < IPC_TYPES; i++)
		if (!said[i])
			complain("ipc", "a message has no seed");
}

/* --- messages of BGP, behind the bytes that choose the sessions --- */

#define ORIGIN	 "400101 00"
#define PATH	 "400206 0201 0000fde9"
#define OLD_PATH "400206 0202 fde9 5ba0"
#define NEXTHOP	 "400304 0a000001"
#define REACH	 "800e1c 000201 10 fd000000000000000000000000000001 00 30 20010db80001"

static void say_bgp(void)
{
	seed_hex("bgp_refresh", "request", "00010001");
	seed_hex("bgp_refresh", "begin", "00020101");
	seed_hex("bgp_refresh", "end", "00020201");
	seed_hex("bgp_refresh", "orf", "00010001 01400004 00000001");
	seed_hex("bgp_refresh", "long_begin", "0001010100");
	seed_hex("bgp_refresh", "other_family", "00190046");
	/* from eBGP to eBGP, old to new, new to old, and inside */
	seed_update("v4", "0303", ORIGIN PATH NEXTHOP, "1a0a087040 00 20cb007107");
	seed_update("v6", "0202", REACH ORIGIN PATH, "");
	seed_update("old_to_new", "0102", ORIGIN OLD_PATH NEXTHOP "c01106 0201 fa56ea01 c00706 fde9 0a000001",
		    "1a0a087040");
	seed_update("new_to_old", "0200",
		    ORIGIN "40020e 0203 fa56ea01 0000fde9 fa56ea02" NEXTHOP
			   "c00708 fa56ea01 0a000001 c0200c 000000010000000200000003",
		    "1a0a087040");
	seed_update("add_path", "1a1a", ORIGIN PATH NEXTHOP, "00000007 1a0a087040 00000008 00");
	seed_update("add_path_lost", "1a02", ORIGIN PATH NEXTHOP, "00000007 1a0a087040");
	seed_update("v4_by_v6", "0606",
		    ORIGIN PATH "800e1a 000101 10 fd000000000000000000000000000001 00 1a0a087040", "");
	seed_update("reflected", "2222",
		    ORIGIN PATH NEXTHOP "800404 00000032 400504 000000c8 800904 0a000007 800a04 00000001"
					"c00804 fde80001 c06302 abcd",
		    "1a0a087040");
	seed_update("confederation", "0200", ORIGIN "40020c 0301 00000009 0201 0000fde9" NEXTHOP,
		    "1a0a087040");
	seed_update("only_to_customer", "0303", ORIGIN PATH NEXTHOP "c02304 0000fde9", "1a0a087040");
}

/* --- the speaker as a whole: events of two bytes, bytes of TCP behind some (see fsm_events.c) --- */

enum event {
	EV_PEER,
	EV_ORIGIN,
	EV_CONFIG,
	EV_ACCEPT,
	EV_CONNECTED,
	EV_CLOSED,
	EV_WRITABLE,
	EV_DATA,
	EV_TIME,   /* the square of it, in 10 ms */
	EV_WINDOW, /* the square of it, in bytes */
	EV_AGENT,
	EV_STATED,
	EV_TURN,
	EV_FULL_PEER,
	EV_POLICY,
	EV_OTHER,
};

#define MARKER	      "ffffffffffffffffffffffffffffffff"
#define KEEPALIVE     MARKER "0013 04"
#define REFRESH	      MARKER "0017 05 00010001"
#define BORR	      MARKER "0017 05 00010101"
#define EORR	      MARKER "0017 05 00010201"
#define NOTIFICATION  MARKER "0015 03 0604"
#define HARD_RESET    MARKER "0017 03 0609 0604"
#define EOR	      MARKER "0017 02 00000000"
#define UPDATE	      MARKER "0030 02 0000 0014" ORIGIN PATH NEXTHOP "1a0a087040"
#define UPDATE_IBGP   MARKER "0031 02 0000 0015" ORIGIN "400200 400504 00000064" NEXTHOP "1a0a087040"
#define UPDATE_GONE   MARKER "001c 02 0005 1a0a087040 0000"
#define UPDATE_BROKEN MARKER "0017 02 ffff0000"
#define UPDATE_SOFT   MARKER "0030 02 0000 0014 400101 09" PATH NEXTHOP "1a0a087040"

struct story {
	uint8_t buf[SEED_MAX];
	struct wr w;
};

static struct story story;

static void begin(void)
{
	story.w = wr_to(story.buf, sizeof(story.buf));
}

static void ev(enum event kind, uint8_t detail)
{
	wr_u8(&story.w, (uint8_t)kind);
	wr_u8(&story.w, detail);
}

static void hears(uint8_t conn, const char *hex)
{
	ev(EV_DATA, conn);
	size_t hole = wr_open16(&story.w);
	put_hex(&story.w, hex);
	wr_close16(&story.w, hole);
	ev(EV_TURN, 0);
}

static void hears_open(uint8_t conn, const char *router_id, unsigned asn)
{
	char hex[400];

	snprintf(hex, sizeof(hex),
		 MARKER "0047 01 04 %04x 001e %s 2a 0228 010400010001 010400020001 0200 0600 4600 4006 4078 "
			"00010180 4700"
			"4104 0000%04x 4504 00010103",
		 asn, router_id, asn);
	hears(conn, hex);
}

static void end(const char *name)
{
	ev(EV_TURN, 0);
	CHECK(wr_ok(&story.w));
	seed("fsm_events", name, story.buf, story.w.len);
}

/* The first connection, of peer 10.0.0.2 (i = 1) or 10.0.0.1 (i = 0), accepted and in OpenSent. */
static void accepted(uint8_t peer)
{
	begin();
	ev(EV_CONFIG, 2);
	ev(EV_AGENT, 1);
	ev(EV_PEER, peer | 4);
	ev(EV_ORIGIN, 3);
	ev(EV_STATED, 1);
	ev(EV_ACCEPT, peer);
	ev(EV_TURN, 0);
}

static void established(uint8_t peer)
{
	accepted(peer);
	hears_open(0, peer & 1 ? "0a000002" : "0a000001", peer & 2 ? 64512 : 65001);
	hears(0, KEEPALIVE);
}

static const struct {
	const char *name, *hex;
} in_any_state[] = {
	{ "keepalive", KEEPALIVE },	  { "update", UPDATE },	       { "refresh", REFRESH },
	{ "notification", NOTIFICATION }, { "broken", UPDATE_BROKEN }, { "hard_reset", HARD_RESET },
};

static void say_every_message_in_every_state(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(in_any_state); i++) {
		char name[NAMES_MAX];

		accepted(2);
		hears(0, in_any_state[i].hex);
		snprintf(name, sizeof(name), "opensent_%s", in_any_state[i].name);
		end(name);
		accepted(2);
		hears_open(0, "0a000001", 64512);
		hears(0, in_any_state[i].hex);
		snprintf(name, sizeof(name), "openconfirm_%s", in_any_state[i].name);
		end(name);
		established(2);
		hears(0, in_any_state[i].hex);
		snprintf(name, sizeof(name), "established_%s", in_any_state[i].name);
		end(name);
	}
	established(2);
	hears_open(0, "0a000001", 64512);
	end("established_open");
	accepted(2);
	hears_open(0, "0a000001", 64512);
	hears_open(0, "0a000001", 64512);
	end("openconfirm_open");
}

static void say_timers(void)
{
	for (uint8_t state = 0; state < 3; state++) {
		static const char *const names[] = { "opensent_hold", "openconfirm_hold",
						     "established_hold" };

		accepted(2);
		if (state > 0)
			hears_open(0, "0a000001", 64512);
		if (state > 1)
			hears(0, KEEPALIVE);
		ev(EV_TIME, 60); /* 36 s */
		ev(EV_TURN, 0);
		ev(EV_TIME, 160); /* 256 s */
		end(names[state]);
		/* Nothing can be sent any more, and it speaks on: RFC 9687 */
		accepted(2);
		if (state > 0)
			hears_open(0, "0a000001", 64512);
		if (state > 1)
			hears(0, KEEPALIVE);
		ev(EV_WINDOW, 0);
		for (uint8_t i = 0; i < 30; i++) {
			ev(EV_ORIGIN, (uint8_t)(i + 10));
			hears(0, state > 1 ? KEEPALIVE : "");
			ev(EV_TIME, 45); /* 20 s */
		}
		static const char *const blocked[] = { "opensent_blocked", "openconfirm_blocked",
						       "established_blocked" };
		end(blocked[state]);
	}
}

static void say_sessions(void)
{
	established(2);
	hears(0, UPDATE_IBGP EOR);
	hears(0, BORR UPDATE_IBGP EORR);
	hears(0, REFRESH);
	hears(0, UPDATE_SOFT UPDATE_GONE);
	ev(EV_OTHER, 1);
	ev(EV_OTHER, 5);
	ev(EV_OTHER, 2 | 4 | 16);
	ev(EV_STATED, 0);
	ev(EV_OTHER, 0);
	end("long_session");
	/* two peers, an external one with policies that is told what the other says */
	established(2);
	ev(EV_POLICY, 1 | 2 | 16);
	ev(EV_POLICY, 0 | 4 | 8);
	ev(EV_FULL_PEER, 1 | 4);
	put_hex(&story.w, "03 0f 3c 39");
	ev(EV_ACCEPT, 1);
	ev(EV_TURN, 0);
	hears_open(1, "0a000002", 65001);
	hears(1, KEEPALIVE);
	hears(0, UPDATE_IBGP);
	hears(1, REFRESH);
	ev(EV_POLICY, 1 | 8);
	ev(EV_TURN, 0);
	ev(EV_POLICY, 128 | 1);
	end("two_peers");
	/* GR: it goes and comes back, says less, and does not come back the second time */
	established(2);
	hears(0, UPDATE_IBGP EOR);
	ev(EV_CLOSED, 0);
	ev(EV_ACCEPT, 2);
	ev(EV_TURN, 0);
	hears_open(0, "0a000001", 64512);
	hears(0, KEEPALIVE);
	hears(0, EOR);
	ev(EV_CLOSED, 0);
	ev(EV_TIME, 140);
	end("graceful_restart");
	/* both dial; whichever survives, then it is told to be another one */
	begin();
	ev(EV_CONFIG, 0);
	ev(EV_AGENT, 1);
	ev(EV_PEER, 2);
	ev(EV_STATED, 1);
	ev(EV_CONNECTED, 0);
	ev(EV_ACCEPT, 2);
	ev(EV_TURN, 0);
	hears_open(0, "0a000001", 64512);
	hears_open(1, "0a000001", 64512);
	hears(0, KEEPALIVE);
	hears(1, KEEPALIVE);
	ev(EV_ACCEPT, 2);
	ev(EV_TURN, 0);
	hears_open(1, "0a000001", 64512);
	ev(EV_FULL_PEER, 2);
	put_hex(&story.w, "40 00 00 00");
	ev(EV_PEER, 128 | 2);
	end("collision_established");
}

/* --- the RIB: changes in random order (see rib.c), long ones and some short enough to be varied --- */

static void say_changes(void)
{
	static const uint8_t lens[8] = {
		[0] = 4, [1] = 4, [2] = 3, [3] = 2, [4] = 2, [5] = 2, [6] = 2, [7] = 2
	};
	struct prng r = { 1 };

	for (unsigned i = 0; i < 12; i++) {
		char name[NAMES_MAX];

		begin();
		for (unsigned n = i < 6 ? 25 : 500; n; n--) {
			/* half of all are new paths */
			uint8_t kind = (uint8_t)(prng_below(&r, 2) ? 0 : prng_below(&r, 8));

			wr_u8(&story.w, kind);
			for (uint8_t k = 1; k < lens[kind]; k++)
				wr_u8(&story.w, (uint8_t)prng_next(&r));
		}
		snprintf(name, sizeof(name), "random_%u", i + 1);
		seed("rib", name, story.buf, story.w.len);
	}
}

/* --- routes through a speaker: events of four bytes (see relay.c) --- */

/* A reader that lags in a message about a prefix is reset after the prefix has gone: when it comes back it
 * must not begin with that message. */
static void say_old_message(void)
{
	/* two routes; a listener takes a few bytes of them; one is withdrawn; the listener is reset */
	static const uint8_t events[][4] = {
		{ 0, 0, 3, 0 }, { 0, 0, 8, 0 }, { 12, 0, 3, 0 }, { 15 },
		{ 8, 0, 8, 0 }, { 15 },		{ 6 },		 { 15 },
	};

	begin();
	for (size_t i = 0; i < ARRAY_SIZE(events); i++)
		wr_bytes(&story.w, events[i], 4);
	seed("relay", "old_message", story.buf, story.w.len);
}

static void say_relayed(void)
{
	struct prng r = { 2 };

	for (unsigned i = 0; i < 12; i++) {
		char name[NAMES_MAX];

		begin();
		for (unsigned n = i < 4 ? 12 : 480; n; n--)
			wr_be32(&story.w, (uint32_t)prng_next(&r));
		snprintf(name, sizeof(name), "random_%u", i + 1);
		seed("relay", name, story.buf, story.w.len);
	}
}

int main(int argc, char **argv)
{
	run.check = argc == 3 && !strcmp(argv[1], "--check");
	if (argc != 2 + run.check) {
		fprintf(stderr, "usage: seeds [--check] DIR\n");
		return 2;
	}
	run.top = argv[argc - 1];
	say_all();
	say_bgp();
	say_every_message_in_every_state();
	say_timers();
	say_sessions();
	say_changes();
	say_old_message();
	say_relayed();
	return run.bad;
}
