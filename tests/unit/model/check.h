/* For tests of kinds: documents written in YAML (or JSON), checked as a user's or as a stored one. */
#pragma once
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/str.h"
#include "model/kinds.h"
#include "model/yaml.h"

#include <stdio.h>

static inline json_t *doc_of(const char *text)
{
	struct yaml y;
	struct err e = { 0 };

	if (yaml_parse("test.yaml", text, strlen(text), &y, &e) < 0)
		fail_msg("%s", e.msg);
	assert_int_equal(y.n, 1);
	json_t *doc = json_deep_copy(yaml_json(&y, 0));
	yaml_done(&y);
	return doc;
}

/* A document of a kind: name and spec in flow style. */
static inline json_t *make(const char *kind, const char *name, const char *spec)
{
	char *text = xasprintf("{kind: %s, apiVersion: projectcalico.org/v3, metadata: {name: %s}, spec: %s}",
			       kind, name, spec);
	json_t *doc = doc_of(text);

	free(text);
	return doc;
}

/* doc is taken. Passes as a user's document, and then is exactly the stored JSON (NULL: anything). */
static inline void passes(json_t *doc, const char *stored)
{
	char field[KIND_FIELD_MAX];
	struct err e = { 0 };
	const struct kind_info *k = kind_of(doc, field, &e);

	if (!k || k->check(doc, NULL, true, field, &e) < 0)
		fail_msg("%s (at %s)", e.msg, field);
	char *text = kind_dump_json(doc);
	if (stored)
		assert_string_equal(text, stored);
	free(text);
	json_decref(doc);
}

/* doc and old (or NULL) are taken. Is refused at field, with a sentence that contains says. */
static inline void refused_update(json_t *doc, json_t *old, const char *field, const char *says)
{
	char at[KIND_FIELD_MAX];
	struct err e = { 0 };
	const struct kind_info *k = kind_of(doc, at, &e);

	if (k)
		assert_int_equal(k->check(doc, old, true, at, &e), -EINVAL);
	assert_string_equal(at, field);
	if (!strstr(e.msg, says))
		fail_msg("\"%s\" does not say \"%s\"", e.msg, says);
	/* Every sentence begins with the path. */
	size_t n = strcspn(field, ":");
	assert_int_equal(strncmp(e.msg, field, n), 0);
	json_decref(doc);
	json_decref(old);
}

static inline void refused(json_t *doc, const char *field, const char *says)
{
	refused_update(doc, NULL, field, says);
}
