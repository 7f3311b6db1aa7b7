/* Errors in the form of the CNI specification 1.0.0, section "Error". */
#include "cni/fault.h"

#include "base/check.h"
#include "rpc/line.h"

#include <stdio.h>

int fault_set(struct fault *f, int code, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(f->msg, sizeof(f->msg), fmt, ap);
	va_end(ap);
	f->code = code;
	f->details[0] = '\0';
	return -1;
}

int fault_set_details(struct fault *f, int code, const char *details, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(f->msg, sizeof(f->msg), fmt, ap);
	va_end(ap);
	f->code = code;
	snprintf(f->details, sizeof(f->details), "%s", details);
	return -1;
}

char *fault_format(const struct fault *f, const char *version)
{
	json_t *root = json_object();

	json_object_set_new(root, "cniVersion", line_text(version));
	json_object_set_new(root, "code", json_integer(f->code));
	json_object_set_new(root, "msg", line_text(f->msg));
	if (f->details[0])
		json_object_set_new(root, "details", line_text(f->details));
	char *text = json_dumps(root, JSON_INDENT(4));
	CHECK(text);
	json_decref(root);
	return text;
}
