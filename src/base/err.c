/* Errors as values: made where the knowledge is, wrapped once per layer. */
#include "base/err.h"

#include <stdio.h>
#include <string.h>

int err_set(struct err *e, int code, const char *fmt, ...)
{
	va_list ap;

	if (!e)
		return -code;
	va_start(ap, fmt);
	errno = code;
	vsnprintf(e->msg, sizeof(e->msg), fmt, ap);
	va_end(ap);
	e->code = code;
	return -code;
}

int err_in(struct err *e, const char *fmt, ...)
{
	char context[ERR_MSG_MAX], inner[ERR_MSG_MAX];
	va_list ap;

	if (!e)
		return -EIO;
	va_start(ap, fmt);
	vsnprintf(context, sizeof(context), fmt, ap);
	va_end(ap);
	memcpy(inner, e->msg, sizeof(inner));
	snprintf(e->msg, sizeof(e->msg), "%.200s: %.300s", context, inner);
	return -e->code;
}
