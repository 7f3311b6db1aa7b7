/* koratd's options: few, with defaults that fit a systemd machine. */
#include "agent/options.h"

#include "base/check.h"
#include "bgp/main.h"
#include "model/kinds.h"

#include <ctype.h>
#include <getopt.h>
#include <pwd.h>
#include <stdio.h>
#include <unistd.h>

static const char help[] =
	"koratd: gives pods their addresses, wires them to the host and tells the other nodes over BGP\n"
	"\n"
	"  koratd [OPTIONS]           both processes; whichever dies is started again\n"
	"  koratd agent [OPTIONS]     the agent alone\n"
	"  koratd speaker [OPTIONS]   the BGP speaker alone\n"
	"\n"
	"  --node NAME          this node's name in the datastore   (the host name)\n"
	"  --datastore WHERE    sqlite:FILE                         (sqlite:/var/lib/korat/korat.db)\n"
	"  --run-dir DIR        sockets and lock                    (/run/korat)\n"
	"  --speaker-user USER  what the speaker runs as            (korat-speaker, else nobody)\n"
	"  --nexthop-objects X  auto, always or never: have learned routes lead through nexthop objects\n"
	"                       (auto: from 500 gateways on, where plain routes get slow; `ip route`\n"
	"                       then shows \"nhid 7\" in their lines)\n"
	"  --log-level LEVEL    error, warn, info or debug          (info)\n"
	"  --help, --version\n";

static void default_node(char *name, size_t cap)
{
	if (gethostname(name, cap - 1) < 0)
		name[0] = '\0';
	for (char *p = name; *p; p++)
		*p = (char)tolower((unsigned char)*p);
}

static bool set(char *dst, size_t cap, const char *option, const char *value)
{
	if (value[0] && (size_t)snprintf(dst, cap, "%s", value) < cap)
		return true;
	fprintf(stderr, "koratd: %s needs a value of 1 to %zu characters\n", option, cap - 1);
	return false;
}

static bool set_mode(enum nhobj_mode *mode, const char *value)
{
	static const char *const names[] = {
		[NHOBJ_AUTO] = "auto", [NHOBJ_ALWAYS] = "always", [NHOBJ_NEVER] = "never"
	};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (!strcmp(value, names[i])) {
			*mode = (enum nhobj_mode)i;
			return true;
		}
	fprintf(stderr, "koratd: --nexthop-objects %s is not one of auto, always and never\n", value);
	return false;
}

static int parse_role(int *argc, char ***argv, struct options *o)
{
	const char *word = *argc > 1 ? (*argv)[1] : "-";

	if (word[0] == '-')
		return 0;
	if (!strcmp(word, "agent"))
		o->role = ROLE_AGENT;
	else if (!strcmp(word, "speaker"))
		o->role = ROLE_SPEAKER;
	else
		return -1;
	(*argc)--;
	(*argv)++;
	return 0;
}

int options_parse(int argc, char **argv, struct options *ret)
{
	enum { NODE = 1, DATASTORE, RUN_DIR, SPEAKER_USER, NEXTHOP_OBJECTS, LOG_LEVEL, HELP, VERSION };
	static const struct option longs[] = {
		{ "node", required_argument, NULL, NODE },
		{ "datastore", required_argument, NULL, DATASTORE },
		{ "run-dir", required_argument, NULL, RUN_DIR },
		{ "speaker-user", required_argument, NULL, SPEAKER_USER },
		{ "nexthop-objects", required_argument, NULL, NEXTHOP_OBJECTS },
		{ "log-level", required_argument, NULL, LOG_LEVEL },
		{ "help", no_argument, NULL, HELP },
		{ "version", no_argument, NULL, VERSION },
		{ 0 },
	};
	struct options o = { .log_level = LOG_LEVEL_INFO,
			     .datastore = "sqlite:/var/lib/korat/korat.db",
			     .run_dir = "/run/korat" };
	bool ok = true;
	int c;

	default_node(o.node, sizeof(o.node));
	if (parse_role(&argc, &argv, &o) < 0) {
		fprintf(stderr,
			"koratd: there is no role \"%s\"; allowed are agent and speaker, or none for both\n",
			argv[1]);
		return 2;
	}
	while (ok && (c = getopt_long(argc, argv, "", longs, NULL)) != -1) {
		switch (c) {
		case NODE:
			ok = set(o.node, sizeof(o.node), "--node", optarg);
			break;
		case DATASTORE:
			ok = set(o.datastore, sizeof(o.datastore), "--datastore", optarg);
			break;
		case RUN_DIR:
			/* Sockets live in it, and their paths have room for 107 bytes. */
			ok = set(o.run_dir, 90, "--run-dir", optarg);
			break;
		case SPEAKER_USER:
			ok = set(o.speaker_user, sizeof(o.speaker_user), "--speaker-user", optarg);
			break;
		case NEXTHOP_OBJECTS:
			ok = set_mode(&o.nexthop_objects, optarg);
			break;
		case LOG_LEVEL:
			if (log_level_parse(optarg, &o.log_level) < 0) {
				fprintf(stderr,
					"koratd: --log-level %s is not one of error, warn, info and debug\n",
					optarg);
				ok = false;
			}
			break;
		case HELP:
			fputs(help, stdout);
			return 0;
		case VERSION:
			puts("koratd " KORAT_VERSION);
			return 0;
		default:
			ok = false;
		}
	}
	if (ok && optind < argc) {
		fprintf(stderr, "koratd: unexpected word \"%s\"; see koratd --help\n", argv[optind]);
		ok = false;
	}
	if (ok && !kind_name_ok(o.node)) {
		fprintf(stderr,
			"koratd: node name \"%s\" is not a lower-case DNS name (letters, digits, \"-\" and "
			"\".\"); set --node\n",
			o.node);
		ok = false;
	}
	if (!ok)
		return 2;
	*ret = o;
	return -1;
}

void options_speaker(const struct options *o, struct speaker_opts *ret)
{
	const struct passwd *pw = NULL;

	memset(ret, 0, sizeof(*ret));
	snprintf(ret->path, sizeof(ret->path), "%.90s/speaker.sock", o->run_dir);
	pw = getpwnam(o->speaker_user[0] ? o->speaker_user : "korat-speaker");
	ret->uid = pw ? pw->pw_uid : 65534;
	ret->gid = pw ? pw->pw_gid : 65534;
	ret->log_level = o->log_level;
}
