/*
 * Affinities: which node holds which block. Host and block are the name of the record, only the state is its
 * value, so that a list by name prefix is the list of a host's blocks.
 */
#include "model/affinity.h"

#include "model/block.h"

#include <stdio.h>
#include <string.h>

static const char *const states[] = {
	[AFFINITY_PENDING] = "pending",
	[AFFINITY_CONFIRMED] = "confirmed",
	[AFFINITY_PENDING_DELETION] = "pendingDeletion",
};

static int parse_name(const char *name, struct affinity *ret, struct err *e)
{
	const char *slash = strrchr(name, '/');

	if (!slash || slash == name || (size_t)(slash - name) >= sizeof(ret->host) ||
	    memchr(name, '/', (size_t)(slash - name)))
		return err_set(e, EINVAL, "affinity %.300s: the name is not <node>/<block>", name);
	if (block_parse_name(slash + 1, &ret->cidr) < 0)
		return err_set(e, EINVAL,
			       "affinity %.300s: the name does not end in a block like 10.0.0.0-26", name);
	memcpy(ret->host, name, (size_t)(slash - name));
	return 0;
}

/* Absent, null and "" are what very old records have, and all mean confirmed. */
static int parse_state(const json_t *v, enum affinity_state *ret)
{
	const char *s = json_string_value(v);

	*ret = AFFINITY_CONFIRMED;
	if (!v || json_is_null(v) || (s && !*s))
		return 0;
	for (size_t i = 0; s && i < sizeof(states) / sizeof(states[0]); i++)
		if (!strcmp(states[i], s)) {
			*ret = (enum affinity_state)i;
			return 0;
		}
	return -EINVAL;
}

int affinity_decode(const char *name, const json_t *doc, struct affinity *ret, struct err *e)
{
	struct affinity a = { .state = AFFINITY_CONFIRMED };
	int rc = parse_name(name, &a, e);

	if (rc < 0)
		return rc;
	if (doc && !json_is_null(doc) && !json_is_object(doc))
		return err_set(e, EINVAL, "affinity %s: the value is not a JSON object", name);
	if (parse_state(json_object_get(doc, "state"), &a.state) < 0)
		return err_set(e, EINVAL, "affinity %s: state is not pending, confirmed or pendingDeletion",
			       name);
	/* Calico's older custom resources have the word, not the truth value. */
	const json_t *deleted = json_object_get(doc, "deleted");
	const char *word = json_string_value(deleted);
	a.deleted = json_is_true(deleted) || (word && !strcmp(word, "true"));
	*ret = a;
	return 0;
}

json_t *affinity_encode(const struct affinity *a)
{
	json_t *doc = json_object();

	json_object_set_new(doc, "state", json_string(states[a->state]));
	json_object_set_new(doc, "deleted", json_boolean(a->deleted));
	return doc;
}

void affinity_name(const char *host, const struct prefix *cidr, char ret[static KIND_NAME_MAX])
{
	char block[KIND_NAME_MAX];

	block_name(cidr, block);
	snprintf(ret, KIND_NAME_MAX, "%.253s/%.60s", host, block);
}
