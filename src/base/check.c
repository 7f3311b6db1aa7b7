/* Invariants and memory that cannot fail: see the header for why release builds keep them. */
#include "base/check.h"

#include <stdarg.h>
#include <stdio.h>

void check_failed(const char *cond, const char *file, int line)
{
	fprintf(stderr, "korat: internal error: %s is false at %s:%d\n", cond, file, line);
	abort();
}

void *xmalloc(size_t n)
{
	void *p = malloc(n ? n : 1);
	CHECK(p);
	return p;
}

void *xcalloc(size_t n, size_t size)
{
	void *p = calloc(n ? n : 1, size ? size : 1);
	CHECK(p);
	return p;
}

void *xrealloc(void *p, size_t n)
{
	void *q = realloc(p, n ? n : 1);
	CHECK(q);
	return q;
}

char *xstrdup(const char *s)
{
	char *p = strdup(s);
	CHECK(p);
	return p;
}

char *xstrndup(const char *s, size_t n)
{
	char *p = strndup(s, n);
	CHECK(p);
	return p;
}

char *xasprintf(const char *fmt, ...)
{
	va_list ap;
	char *p = NULL;

	va_start(ap, fmt);
	int n = vasprintf(&p, fmt, ap);
	va_end(ap);
	CHECK(n >= 0);
	return p;
}
