/*
 * The lines of our own protocol. A scan over the bytes counts what jansson would spend stack and memory on;
 * up to the first error both see the same tokens, so what passes the scan is within the limits for jansson
 * too.
 */
#include "rpc/line.h"

#include "base/check.h"
#include "base/own.h"
#include "base/rd.h"
#include "rpc/rpc.h"

#include <stdio.h>

/* method, params and the object around them (or error and its object) come on top of what RPC_JSON_DEPTH
 * allows to the caller's own values. */
#define LINE_DEPTH_MAX (RPC_JSON_DEPTH + 2)

static void skip_string(struct rd *r)
{
	while (rd_left(r)) {
		uint8_t c = rd_u8(r);
		if (c == '"')
			return;
		if (c == '\\' && rd_left(r))
			(void)rd_u8(r);
	}
}

static int check_limits(const char *s, size_t n, unsigned depth_max, size_t values_max, struct err *e)
{
	struct rd r = rd_of(s, n);
	unsigned depth = 0;
	size_t values = 1;

	if (memchr(s, '\0', n))
		return err_set(e, EBADMSG, "JSON with a NUL byte in it");
	while (rd_left(&r)) {
		switch (rd_u8(&r)) {
		case '"':
			skip_string(&r);
			break;
		case '{':
		case '[':
			values++;
			if (++depth > depth_max)
				return err_set(e, EBADMSG, "JSON nested deeper than %u levels", depth_max);
			break;
		case '}':
		case ']':
			depth -= depth > 0;
			break;
		case ',':
			values++;
			break;
		}
		if (values > values_max)
			return err_set(e, EBADMSG, "JSON with more than %zu values", values_max);
	}
	return 0;
}

json_t *line_json(const char *s, size_t n, unsigned depth_max, size_t values_max, struct err *e)
{
	json_error_t je;

	if (check_limits(s, n, depth_max, values_max, e) < 0)
		return NULL;
	json_t *j = json_loadb(s, n, JSON_REJECT_DUPLICATES, &je);
	if (!j)
		err_set(e, EBADMSG, "not valid JSON: %s (line %d, column %d)", je.text, je.line, je.column);
	return j;
}

json_t *line_text(const char *s)
{
	json_t *j = json_string(s);

	if (j)
		return j;
	own_mem char *copy = xstrdup(s);
	for (char *p = copy; *p; p++)
		if (*p & 0x80)
			*p = '?';
	j = json_string(copy);
	CHECK(j);
	return j;
}

int line_parse_request(const char *s, size_t n, struct line_request *ret, struct err *e)
{
	json_t *root = line_json(s, n, LINE_DEPTH_MAX, LINE_VALUES_MAX, e);

	if (!root)
		return -EBADMSG;
	json_t *params = json_object_get(root, "params");
	const char *method = json_string_value(json_object_get(root, "method"));
	if (!method || (params && !json_is_object(params))) {
		json_decref(root);
		return err_set(e, EBADMSG,
			       "a request is an object with a method (a string) and params (an object)");
	}
	if (!params) {
		params = json_object();
		CHECK(params && json_object_set_new(root, "params", params) == 0);
	}
	*ret = (struct line_request){ root, method, params };
	return 0;
}

static bool read_error(const json_t *error, struct line_answer *ret)
{
	const json_t *code = json_object_get(error, "code");
	const char *details = json_string_value(json_object_get(error, "details"));

	if (!json_is_integer(code) || json_integer_value(code) < 1 || json_integer_value(code) > 0xffff)
		return false;
	ret->code = (int)json_integer_value(code);
	ret->message = json_string_value(json_object_get(error, "message"));
	ret->details = details ? details : "";
	return ret->message;
}

int line_parse_answer(const char *s, size_t n, struct line_answer *ret, struct err *e)
{
	struct line_answer a = { .root = line_json(s, n, LINE_DEPTH_MAX, LINE_VALUES_MAX, e) };

	if (!a.root)
		return -EBADMSG;
	a.result = json_object_get(a.root, "result");
	const json_t *error = json_object_get(a.root, "error");
	if (error ? a.result || !read_error(error, &a) : !json_is_object(a.result)) {
		json_decref(a.root);
		return err_set(e, EBADMSG, "an answer is an object with either a result or an error");
	}
	*ret = a;
	return 0;
}

/* Takes root. */
static int format(json_t *root, char **ret, size_t *ret_n, struct err *e)
{
	own_mem char *text = json_dumps(root, JSON_COMPACT);

	json_decref(root);
	if (!text)
		return err_set(e, EINVAL, "text that is not UTF-8 cannot be sent");
	size_t n = strlen(text);
	if (n > RPC_LINE_MAX)
		return err_set(e, EMSGSIZE, "%zu bytes to send, more than the %u of one line", n,
			       RPC_LINE_MAX);
	text = xrealloc(text, n + 2);
	memcpy(text + n, "\n", 2);
	*ret = take(text);
	*ret_n = n + 1;
	return 0;
}

static json_t *object_of(const char *key, json_t *value)
{
	json_t *root = json_object();

	CHECK(root && value && json_object_set_new(root, key, value) == 0);
	return root;
}

/* jansson counts references inside its values, so even reading one needs it writable. */
static json_t *borrow(const json_t *j)
{
	return j ? json_incref((json_t *)(uintptr_t)j) : json_object();
}

int line_format_request(const char *method, const json_t *params, char **ret, size_t *ret_n, struct err *e)
{
	json_t *root = object_of("method", line_text(method));

	CHECK(json_object_set_new(root, "params", borrow(params)) == 0);
	return format(root, ret, ret_n, e);
}

int line_format_result(const json_t *result, char **ret, size_t *ret_n, struct err *e)
{
	return format(object_of("result", borrow(result)), ret, ret_n, e);
}

char *line_format_error(int code, const char *message, const char *details, size_t *ret_n)
{
	json_t *error = object_of("code", json_integer(code));
	char *text;

	CHECK(json_object_set_new(error, "message", line_text(message)) == 0);
	if (details && *details)
		CHECK(json_object_set_new(error, "details", line_text(details)) == 0);
	if (format(object_of("error", error), &text, ret_n, NULL) < 0)
		return line_format_error(code, "the error is too long to be told", NULL, ret_n);
	return text;
}
