/*
 * Any bytes as a user's file. What is accepted must read back the same from its own dump, have a place for
 * every path, and pass through every kind's check without harm; a document that passes must pass again
 * unchanged.
 */
#include "base/check.h"
#include "model/ippool.h"
#include "model/node.h"
#include "model/bgpconfig.h"
#include "model/wep.h"
#include "model/yaml.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

/* Keys that are too long for a simple key of YAML cannot be dumped as one. */
static bool dumpable(const json_t *v)
{
	const char *key;
	json_t *x;
	size_t i;

	json_object_foreach((json_t *)v, key, x) if (strlen(key) > 250 || !dumpable(x)) return false;
	json_array_foreach((json_t *)v, i, x) if (!dumpable(x)) return false;
	return true;
}

static void check_dump(const json_t *doc)
{
	struct yaml y;
	struct err e;
	char *text = yaml_dump(doc);

	CHECK(yaml_parse("dump", text, strlen(text), &y, &e) == 0);
	CHECK(y.n == 1 && json_equal(yaml_json(&y, 0), (json_t *)doc));
	yaml_done(&y);
	free(text);
}

static void check_json(const json_t *doc)
{
	char *text = kind_dump_json(doc);
	json_t *back;
	struct err e;

	CHECK(kind_parse_json(text, strlen(text), &back, &e) == 0);
	CHECK(json_equal(back, (json_t *)doc));
	json_decref(back);
	free(text);
}

static void decode_all(const json_t *doc)
{
	struct ippool pool;
	struct node node;
	struct bgpconfig conf;
	struct wep wep;
	struct meta meta;
	struct err e;

	ippool_decode(doc, &pool, &e);
	node_decode(doc, &node, &e);
	bgpconfig_decode(doc, &conf, &e);
	if (wep_decode(doc, &wep, &e) == 0)
		json_decref(wep_encode(&wep, doc, NULL, 0));
	meta_decode(doc, &meta);
	meta_done(&meta);
}

static void check_kind(const struct yaml *y, size_t i)
{
	json_t *doc = json_deep_copy(yaml_json(y, i));
	char field[KIND_FIELD_MAX], name[KIND_NAME_MAX];
	int line, column;
	struct err e;
	const struct kind_info *k = kind_of(doc, field, &e);

	if (!k) {
		yaml_where(y, i, field, &line, &column);
		CHECK(line > 0 && column > 0);
	}
	for (int kind = KIND_NONE + 1; kind < KINDS && json_is_object(doc); kind++) {
		json_t *copy = json_deep_copy(doc);
		if (kind_info(kind)->check(copy, doc, true, field, &e) < 0) {
			yaml_where(y, i, field, &line, &column);
			CHECK(line > 0 && column > 0);
		} else {
			CHECK(kind_info(kind)->check(copy, NULL, true, field, &e) == 0);
			CHECK(kind_store_name(kind_info(kind), copy, name, &e) == 0);
			check_json(copy);
		}
		json_decref(copy);
	}
	json_decref(doc);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct yaml y;
	struct err e;

	if (yaml_parse("fuzz", (const char *)data, n, &y, &e) < 0) {
		CHECK(!strncmp(e.msg, "fuzz:", 5));
		return 0;
	}
	for (size_t i = 0; i < y.n; i++) {
		const json_t *doc = yaml_json(&y, i);
		if (dumpable(doc))
			check_dump(doc);
		if (json_is_object(doc)) {
			check_json(doc);
			decode_all(doc);
		}
		check_kind(&y, i);
	}
	yaml_done(&y);
	return 0;
}
