/*
 * model/yaml: users' YAML (or JSON, which is YAML) to documents, with the place of every value kept.
 *
 * Limits: YAML_BYTES_MAX bytes, YAML_DOCS_MAX documents, depth YAML_DEPTH_MAX, YAML_VALUES_MAX values; no
 * aliases across documents; duplicate keys, merge keys and foreign tags are errors. Documents without any
 * content are skipped. A message always carries file, line and column, what was found and what is allowed.
 */
#pragma once
#include "base/err.h"

#include <jansson.h>
#include <stddef.h>

#define YAML_BYTES_MAX (4u << 20)
#define YAML_DOCS_MAX  10000
#define YAML_DEPTH_MAX 32
#define YAML_VALUES_MAX                                                                     \
	250000 /* values of all documents of a file, aliases counted as what they stand for \
		*/

struct yaml_doc;
struct yaml {
	char *file;
	struct yaml_doc *docs;
	size_t n;
};

/* Parses text (file is only for messages). -EINVAL with "FILE:LINE:COLUMN: ..." in e. yaml_done() frees *ret.
 */
int yaml_parse(const char *file, const char *text, size_t n, struct yaml *ret, struct err *e);
int yaml_read_file(const char *path, struct yaml *ret, struct err *e); /* "-" is standard input */
void yaml_done(struct yaml *y);
json_t *yaml_json(
	const struct yaml *y,
	size_t i); /* document i as JSON, borrowed; plain scalars typed by the YAML 1.2 core schema */
/* Where the value (or, if absent, its nearest existing parent) of a field path "spec.pods[2].name" stands in
 * document i. A block of fields or a list that begins on a later line stands at its key. "spec.polls:" with a
 * colon at the end asks for the key instead of the value. Lines and columns count from 1, columns in
 * characters. */
void yaml_where(const struct yaml *y, size_t i, const char *path, int *ret_line, int *ret_column);
/* Fills e with "FILE:LINE:COLUMN: message" for a field path of document i; returns -EINVAL. */
int yaml_err(const struct yaml *y, size_t i, const char *path, struct err *e, const char *fmt, ...)
	__attribute__((format(printf, 5, 6)));
/* Documents as YAML text in block style (for `get -o yaml`), malloc'ed. */
char *yaml_dump(const json_t *doc);
