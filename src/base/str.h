/*
 * base/str: text that grows while it is written. Zero is empty; str_done() frees.
 */
#pragma once
#include "base/check.h"

#include <stdarg.h>

struct str {
	char *s; /* NUL-terminated once anything was added; NULL before */
	size_t n, cap;
};

void str_add(struct str *b, const char *s);
void str_addn(struct str *b, const char *s, size_t n);
void str_addf(struct str *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void str_vaddf(struct str *b, const char *fmt, va_list ap);
/* Hands the text to the caller (never NULL) and empties b. */
char *str_take(struct str *b);
void str_done(struct str *b);
#define own_str __attribute__((cleanup(str_done)))
