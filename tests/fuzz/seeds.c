/*
 * The seeds that follow the code: one of every message between agent and speaker, and those of formats that
 * are our own. `seeds DIR` writes them below DIR (tests/corpus), `seeds --check DIR` says which are not as
 * this program would write them: so a format cannot change without its seeds.
 */
#include "base/check.h"
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
	return run.bad;
}
