/* The environment as any bytes: seven variables, a line each. What is accepted must be fit to be handed on.
 */
#include "base/check.h"
#include "base/own.h"
#include "cni/args.h"
#include "cni/version.h"

#include <net/if.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void check_accepted(const struct args *a)
{
	const char *key;
	json_t *value;

	if (a->verb == VERB_VERSION || a->verb == VERB_UNKNOWN || a->verb == VERB_GC ||
	    a->verb == VERB_STATUS)
		return;
	CHECK(args_id_ok(a->container_id));
	CHECK(*a->ifname && strlen(a->ifname) < IFNAMSIZ && !strchr(a->ifname, '/'));
	CHECK(a->verb == VERB_DEL || *a->netns);
	json_object_foreach(a->pairs, key, value)
	{
		CHECK(*key && !strchr(key, '=') && !strchr(key, ';'));
		CHECK(json_is_string(value));
	}
	char *text = json_dumps(a->pairs, JSON_COMPACT);
	CHECK(text && !strchr(text, '\n'));
	free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct args_env env;
	const char **vars[] = { &env.command, &env.container_id, &env.netns,	     &env.ifname,
				&env.args,    &env.path,	 &env.netns_override };
	own_mem char *text = xstrndup((const char *)data, n);
	struct args a;
	struct fault f;
	char *line = text;

	for (size_t i = 0; i < ARRAY_SIZE(vars); i++) {
		char *end = strchr(line, '\n');
		*vars[i] = line;
		line += strlen(line);
		if (end) {
			*end = '\0';
			line = end + 1;
		}
	}
	if (args_parse(&env, &a, &f) < 0) {
		CHECK(f.code == FAULT_ENV);
		free(fault_format(&f, VERSION_NEWEST));
		return 0;
	}
	check_accepted(&a);
	args_done(&a);
	return 0;
}
