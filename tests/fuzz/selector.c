/*
 * Any bytes as a selector. What is taken must mean the same when it is read again from its canonical text,
 * which is its own canonical text, whatever labels an object has.
 */
#include "base/check.h"
#include "model/selector.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

/* An object that has or lacks a label, with one of three values, as seed says. */
static const char *label(const void *arg, const char *key)
{
	static const char *const values[] = { NULL, "a", "", "b" };
	unsigned h = *(const unsigned *)arg;

	for (; *key; key++)
		h = h * 31 + (unsigned char)*key;
	return values[h % ARRAY_SIZE(values)];
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	own(selector) struct selector *s = NULL, *again = NULL;
	own_mem char *text = xstrndup((const char *)data, n);
	struct err e;

	if (selector_parse(text, &s, &e) < 0) {
		CHECK(strncmp(e.msg, "column ", 7) == 0);
		return 0;
	}
	own_mem char *canonical = selector_text(s);
	/* Brackets that say what binds add to the depth. */
	if (selector_parse(canonical, &again, &e) < 0) {
		CHECK(strstr(e.msg, "nested deeper"));
		return 0;
	}
	own_mem char *twice = selector_text(again);
	CHECK(strcmp(canonical, twice) == 0);
	for (unsigned seed = 0; seed < 16; seed++)
		CHECK(selector_match(s, label, &seed) == selector_match(again, label, &seed));
	return 0;
}
