/*
 * The environment of a plugin (CNI specification 1.0.0, section "Parameters").
 *
 * CNI_ARGS follows Calico: keys that are not known are ignored unless the caller says IgnoreUnknown=0, and
 * each pair has exactly one '='. A key given twice with two values is refused, because no reading of it is
 * safe.
 */
#include "cni/args.h"

#include "base/check.h"
#include "base/own.h"
#include "base/rd.h"
#include "base/str.h"

#include <ctype.h>
#include <net/if.h>
#include <strings.h>

enum { NEED_PATH = 1, NEED_POD = 2, NEED_NETNS = 4 };

static const struct {
	const char *name;
	enum verb verb;
	int needs;
} verbs[] = {
	{ "VERSION", VERB_VERSION, 0 },
	{ "ADD", VERB_ADD, NEED_PATH | NEED_POD | NEED_NETNS },
	{ "DEL", VERB_DEL, NEED_PATH | NEED_POD },
	{ "CHECK", VERB_CHECK, NEED_PATH | NEED_POD | NEED_NETNS },
	{ "GC", VERB_GC, NEED_PATH },
	{ "STATUS", VERB_STATUS, NEED_PATH },
};

static const char *const known_pairs[] = { "IgnoreUnknown",
					   "K8S_POD_NAMESPACE",
					   "K8S_POD_NAME",
					   "K8S_POD_UID",
					   "K8S_POD_INFRA_CONTAINER_ID",
					   "CNI_TEST_NAMESPACE",
					   "IP",
					   "MAC" };

static const char *variable(const char *name)
{
	const char *s = getenv(name);

	return s ? s : "";
}

struct args_env args_env(void)
{
	return (struct args_env){ .command = variable("CNI_COMMAND"),
				  .container_id = variable("CNI_CONTAINERID"),
				  .netns = variable("CNI_NETNS"),
				  .ifname = variable("CNI_IFNAME"),
				  .args = variable("CNI_ARGS"),
				  .path = variable("CNI_PATH"),
				  .netns_override = variable("CNI_NETNS_OVERRIDE") };
}

bool args_id_ok(const char *s)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
	size_t n = strspn(s, letters);

	if (!n || strlen(s) > ARGS_ID_MAX)
		return false;
	for (s += n; *s; s++)
		if (!strchr(letters, *s) && !strchr("_.-", *s))
			return false;
	return true;
}

/* Readable on one line: valid UTF-8 without control characters. */
static bool is_text(const char *s)
{
	json_t *j = json_string(s);

	json_decref(j);
	for (; *s; s++)
		if ((unsigned char)*s < 0x20 || *s == 0x7f)
			return false;
	return j;
}

static int check_present(const struct args_env *env, int needs, struct fault *f)
{
	const struct {
		const char *name, *value;
		int need;
	} vars[] = {
		{ "CNI_CONTAINERID", env->container_id, NEED_POD },
		{ "CNI_NETNS", env->netns, NEED_NETNS },
		{ "CNI_IFNAME", env->ifname, NEED_POD },
		{ "CNI_PATH", env->path, NEED_PATH },
	};
	own_str struct str missing = { 0 };

	for (size_t i = 0; i < ARRAY_SIZE(vars); i++)
		if ((needs & vars[i].need) && !*vars[i].value)
			str_addf(&missing, "%s%s", missing.n ? ", " : "", vars[i].name);
	return missing.n ? fault_set(f, FAULT_ENV, "%s needs these environment variables: %s", env->command,
				     missing.s)
			 : 0;
}

static int check_ifname(const char *s, struct fault *f)
{
	if (strlen(s) >= IFNAMSIZ)
		return fault_set(f, FAULT_ENV,
				 "CNI_IFNAME=%.40s is longer than the %d characters of an interface name", s,
				 IFNAMSIZ - 1);
	if (!strcmp(s, ".") || !strcmp(s, ".."))
		return fault_set(f, FAULT_ENV, "CNI_IFNAME=%s is not an interface name", s);
	/* The kernel takes "%d" for a number of its choice, and other bytes would lie to whoever reads them.
	 */
	for (const char *p = s; *p; p++)
		if (!isgraph((unsigned char)*p) || strchr("/:%", *p))
			return fault_set(f, FAULT_ENV,
					 "CNI_IFNAME=%s has a character that an interface name cannot have",
					 s);
	return 0;
}

static int check_pod(const struct args_env *env, struct fault *f)
{
	if (!args_id_ok(env->container_id))
		return fault_set(f, FAULT_ENV,
				 "CNI_CONTAINERID=%.80s: a container id has 1 to %d letters, digits, \"_\", "
				 "\".\" and \"-\", a "
				 "letter or digit first",
				 env->container_id, ARGS_ID_MAX);
	if (strlen(env->netns) > ARGS_NETNS_MAX)
		return fault_set(f, FAULT_ENV, "CNI_NETNS is longer than %d bytes", ARGS_NETNS_MAX);
	if (!is_text(env->netns))
		return fault_set(f, FAULT_ENV, "CNI_NETNS has control characters or is not UTF-8");
	return check_ifname(env->ifname, f);
}

/* A DNS name as Kubernetes requires of pods and namespaces (RFC 1123 labels joined by dots). */
static bool is_dns_name(const char *s, size_t max)
{
	char before = '.';

	if (strlen(s) > max)
		return false;
	for (; *s; before = *s++)
		if (*s == '.' || *s == '-' ? !isalnum((unsigned char)before) && (before != '-' || *s == '.')
					   : !islower((unsigned char)*s) && !isdigit((unsigned char)*s))
			return false;
	return isalnum((unsigned char)before);
}

static int check_pair(const char *key, const char *value, bool names, struct fault *f)
{
	if (!is_text(key) || !is_text(value))
		return fault_set(f, FAULT_ENV, "CNI_ARGS has control characters or is not UTF-8");
	if (!*value || !names)
		return 0;
	if ((!strcmp(key, "K8S_POD_NAME") && !is_dns_name(value, 253)) ||
	    (!strcmp(key, "K8S_POD_NAMESPACE") && (!is_dns_name(value, 63) || strchr(value, '.'))))
		return fault_set(f, FAULT_ENV, "CNI_ARGS: %s=%.80s is not a name that Kubernetes gives", key,
				 value);
	return 0;
}

static int add_pair(json_t *pairs, const char *key, const char *value, bool names, struct fault *f)
{
	const char *before = json_string_value(json_object_get(pairs, key));

	if (check_pair(key, value, names, f) < 0)
		return -1;
	if (before && strcmp(key, "IgnoreUnknown") != 0 && strcmp(before, value) != 0)
		return fault_set(f, FAULT_ENV, "CNI_ARGS gives %.40s twice, as %.80s and as %.80s", key,
				 before, value);
	json_object_set_new(pairs, key, json_string(value));
	return 0;
}

static bool is_known(const char *key)
{
	for (size_t i = 0; i < ARRAY_SIZE(known_pairs); i++)
		if (!strcmp(known_pairs[i], key))
			return true;
	return false;
}

static int check_unknown(json_t *pairs, struct fault *f)
{
	const char *ignore = json_string_value(json_object_get(pairs, "IgnoreUnknown")), *key;
	json_t *value;

	if (!ignore || !strcmp(ignore, "1") || !strcasecmp(ignore, "true"))
		return 0;
	if (strcmp(ignore, "0") != 0 && strcasecmp(ignore, "false") != 0)
		return fault_set(f, FAULT_ENV,
				 "CNI_ARGS: IgnoreUnknown=%.40s is neither true, 1, false nor 0", ignore);
	json_object_foreach(pairs, key, value) if (!is_known(key)) return fault_set(
		f, FAULT_ENV, "CNI_ARGS: %.80s is not known here, and IgnoreUnknown is off", key);
	return 0;
}

/* Up to the next ';' or the end; the separator is consumed. */
static char *next_pair(struct rd *r)
{
	const char *s = (const char *)r->at;
	const char *end = memchr(s, ';', rd_left(r));
	size_t n = end ? (size_t)(end - s) : rd_left(r);

	(void)rd_bytes(r, n + (end != NULL));
	return xstrndup(s, n);
}

/* "A=1;B=2". Without anything it is an empty object; an empty pair, also behind a last ';', is an error.
 * names: are the pod's names checked? Not for DEL: what could not be added must be possible to delete. */
static int parse_pairs(const char *s, json_t *pairs, bool names, struct fault *f)
{
	size_t n = strlen(s);
	struct rd r = rd_of(s, n);

	if (n > ARGS_PAIRS_MAX)
		return fault_set(f, FAULT_ENV, "CNI_ARGS is longer than %d bytes", ARGS_PAIRS_MAX);
	for (bool more = n; more;) {
		more = memchr(r.at, ';', rd_left(&r));
		own_mem char *pair = next_pair(&r);
		char *eq = strchr(pair, '=');
		if (!eq || eq == pair || strchr(eq + 1, '='))
			return fault_set(f, FAULT_ENV, "CNI_ARGS: \"%.80s\" is not KEY=VALUE", pair);
		*eq = '\0';
		if (add_pair(pairs, pair, eq + 1, names, f) < 0)
			return -1;
	}
	return check_unknown(pairs, f);
}

int args_parse(const struct args_env *env, struct args *ret, struct fault *f)
{
	struct args a = { .command = env->command,
			  .container_id = env->container_id,
			  .netns = env->netns,
			  .ifname = env->ifname,
			  .own_netns_ok = !strcmp(env->netns_override, "1") ||
					  !strcasecmp(env->netns_override, "true") };
	int needs = 0;

	for (size_t i = 0; i < ARRAY_SIZE(verbs); i++)
		if (!strcmp(verbs[i].name, env->command)) {
			a.verb = verbs[i].verb;
			needs = verbs[i].needs;
		}
	if (check_present(env, needs, f) < 0)
		return -1;
	if ((needs & NEED_POD) && check_pod(env, f) < 0)
		return -1;
	a.pairs = json_object();
	if ((needs & NEED_POD) && parse_pairs(env->args, a.pairs, strcmp(env->command, "DEL") != 0, f) < 0) {
		json_decref(a.pairs);
		return -1;
	}
	*ret = a;
	return 0;
}

void args_done(struct args *a)
{
	json_decref(a->pairs);
	*a = (struct args){ 0 };
}
