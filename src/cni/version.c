/* The versions spoken, and the answer to the verb VERSION. */
#include "cni/version.h"

#include "base/check.h"

#include <jansson.h>

static const struct version versions[] = {
	{ .text = "0.3.0", .old_result = true },
	{ .text = "0.3.1", .old_result = true },
	{ .text = "0.4.0", .old_result = true, .has_check = true },
	{ .text = VERSION_NEWEST, .has_check = true },
};

const struct version *version_find(const char *text)
{
	for (size_t i = 0; i < ARRAY_SIZE(versions); i++)
		if (!strcmp(versions[i].text, text))
			return &versions[i];
	return NULL;
}

char *version_list(char buf[static VERSION_LIST_MAX])
{
	size_t n = 0;

	for (size_t i = 0; i < ARRAY_SIZE(versions); i++)
		n += (size_t)snprintf(buf + n, VERSION_LIST_MAX - n, "%s%s", i ? ", " : "", versions[i].text);
	CHECK(n < VERSION_LIST_MAX);
	return buf;
}

char *version_format(void)
{
	json_t *root = json_object(), *list = json_array();

	for (size_t i = 0; i < ARRAY_SIZE(versions); i++)
		json_array_append_new(list, json_string(versions[i].text));
	json_object_set_new(root, "cniVersion", json_string(VERSION_NEWEST));
	json_object_set_new(root, "supportedVersions", list);
	char *text = json_dumps(root, JSON_COMPACT);
	CHECK(text);
	json_decref(root);
	return text;
}
