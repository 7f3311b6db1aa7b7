/* ClusterInformation "default": written once when the datastore is first used; its datastoreReady stops all
 * writers. */
#include "model/clusterinfo.h"

#include "base/check.h"
#include "model/fields.h"

#include <stdio.h>

const struct kind_field clusterinfo_fields[] = {
	{ "spec", "object", "Who this cluster is.", "{}", .fill = true, .form = FORM_OBJECT },
	{ "spec.clusterGUID", "string", "32 hexadecimal digits, chosen once.", .form = FORM_STRING,
	  INTO(struct clusterinfo, guid) },
	{ "spec.clusterType", "string", "Comma list of words such as k8s,bgp.", .form = FORM_STRING,
	  INTO(struct clusterinfo, type) },
	{ "spec.calicoVersion", "string", "The version that last wrote it.", .form = FORM_STRING,
	  INTO(struct clusterinfo, version) },
	{ "spec.datastoreReady", "boolean", "False: nobody may change the datastore.", .form = FORM_BOOL,
	  INTO(struct clusterinfo, ready) },
	{ "spec.variant", "string", "Which product wrote it.", .form = FORM_STRING },
	{ 0 },
};

int clusterinfo_check(json_t *doc, const json_t *old, bool strict, char ret_field[static KIND_FIELD_MAX],
		      struct err *e)
{
	int rc = fields_check(kind_info(KIND_CLUSTERINFO), doc, old, strict, ret_field, e);

	if (rc == 0 && strcmp(fields_str(doc, "metadata.name"), "default") != 0)
		rc = field_err(ret_field, e, "metadata.name",
			       "\"%.100s\" is not \"default\", of which there is one",
			       fields_str(doc, "metadata.name"));
	return rc;
}

int clusterinfo_decode(const json_t *doc, struct clusterinfo *ret, struct err *e)
{
	struct clusterinfo c = { .ready = true };

	int rc = fields_decode(clusterinfo_fields, doc, &c, e);
	if (rc == 0)
		*ret = c;
	return rc;
}

json_t *clusterinfo_encode(const uint8_t guid[16], const char *type, const uint8_t uid[16], nsec_t wall)
{
	json_t *doc = kind_envelope(kind_info(KIND_CLUSTERINFO), "default", NULL, uid, wall);
	char hex[33];

	for (int i = 0; i < 16; i++)
		snprintf(hex + 2 * i, 3, "%02x", guid[i]);
	json_object_set_new(doc, "spec",
			    json_pack("{s:s, s:s, s:s, s:b}", "clusterGUID", hex, "clusterType", type,
				      "calicoVersion", "v3.31.0", "datastoreReady", 1));
	return doc;
}
