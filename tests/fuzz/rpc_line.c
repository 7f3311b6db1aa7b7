/* A line of the protocol between our programs, as a request and as an answer; what parses is written and
 * parsed again. */
#include "base/check.h"
#include "base/own.h"
#include "rpc/line.h"
#include "rpc/rpc.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void try_request(const char *s, size_t n)
{
	struct line_request q, again;
	own_mem char *line = NULL;
	struct err e;
	size_t len;

	if (line_parse_request(s, n, &q, &e) < 0) {
		CHECK(e.code == EBADMSG);
		return;
	}
	/* Escapes make a line longer, so one of nearly the whole limit may not fit a second time. */
	if (line_format_request(q.method, q.params, &line, &len, &e) == 0) {
		CHECK(line_parse_request(line, len - 1, &again, &e) == 0);
		CHECK(!strcmp(q.method, again.method) && json_equal(q.params, again.params));
		json_decref(again.root);
	} else {
		CHECK(e.code == EMSGSIZE);
	}
	json_decref(q.root);
}

static void try_answer(const char *s, size_t n)
{
	struct line_answer a, again;
	own_mem char *line = NULL;
	struct err e;
	size_t len;

	if (line_parse_answer(s, n, &a, &e) < 0) {
		CHECK(e.code == EBADMSG);
		return;
	}
	if (a.result) {
		if (line_format_result(a.result, &line, &len, &e) == 0) {
			CHECK(line_parse_answer(line, len - 1, &again, &e) == 0 &&
			      json_equal(a.result, again.result));
			json_decref(again.root);
		}
	} else {
		line = line_format_error(a.code, a.message, a.details, &len);
		CHECK(line_parse_answer(line, len - 1, &again, &e) == 0 && !again.result &&
		      again.code == a.code);
		json_decref(again.root);
	}
	json_decref(a.root);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	if (n > RPC_LINE_MAX)
		return 0;
	try_request((const char *)data, n);
	try_answer((const char *)data, n);
	return 0;
}
