/*
 * rpc/line: one line of the protocol of rpc/rpc.h, as bytes in and values out. Pure: reads and writes no
 * socket.
 *
 * The bytes come from somebody else, so depth and number of values are counted before jansson (which recurses
 * and allocates per value) sees them; member names may not repeat and NUL is refused in every spelling.
 */
#pragma once
#include "base/err.h"

#include <jansson.h>
#include <stddef.h>

#define LINE_VALUES_MAX 65536 /* values in one line, about 10 MiB of memory at worst */

/* JSON text of n bytes, within limits (brackets and commas are counted, which never makes too few values).
 * NULL and e (EBADMSG) if it is not; the caller owns the result. */
json_t *line_json(const char *s, size_t n, unsigned depth_max, size_t values_max, struct err *e);
/* A JSON string of arbitrary bytes: what is not UTF-8 becomes '?'. Never NULL. */
json_t *line_text(const char *s);

/* What a caller sends. method and params point into root, which the caller frees with json_decref(). */
struct line_request {
	json_t *root;
	const char *method;
	json_t *params; /* an object */
};
int line_parse_request(const char *s, size_t n, struct line_request *ret, struct err *e);

/* What comes back: result (an object), or code, message and details of an error. Points into root. */
struct line_answer {
	json_t *root;
	json_t *result; /* NULL if it is an error */
	int code;
	const char *message;
	const char *details; /* "" if none */
};
int line_parse_answer(const char *s, size_t n, struct line_answer *ret, struct err *e);

/* The three lines we write, newline included; malloc'd, *ret_n without the NUL. params and result are
 * borrowed. -EMSGSIZE if it would be longer than RPC_LINE_MAX, -EINVAL if method or params cannot be written
 * as JSON. */
int line_format_request(const char *method, const json_t *params, char **ret, size_t *ret_n, struct err *e);
int line_format_result(const json_t *result, char **ret, size_t *ret_n, struct err *e);
/* Cannot fail: message and details are cut to what fits by their callers' buffers. details may be NULL. */
char *line_format_error(int code, const char *message, const char *details, size_t *ret_n);
