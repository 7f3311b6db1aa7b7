/*
 * The list of kinds, and what all kinds share: the envelope, store names, JSON text with limits.
 *
 * Kind names, plurals, aliases and columns are Calico's, so that scripts and habits keep working.
 */
#include "model/kinds.h"

#include "base/check.h"
#include "base/str.h"
#include "model/fields.h"

#include <stdio.h>
#include <strings.h>

/* IPAM records are written by the agents alone: a hand-written one would break invariants over several
 * objects. */
static int internal_check(json_t *doc, const json_t *old, bool strict, char ret_field[static KIND_FIELD_MAX],
			  struct err *e)
{
	if (strict)
		return field_err(ret_field, e, "kind",
				 "IPAM records are not written by hand: see \"korat ipam\"");
	if (!json_is_object(doc))
		return err_set(e, EINVAL, "a document must be a map of fields");
	return 0;
}

static const struct kind_field no_fields[] = { { 0 } };

const struct kind_info kind_table[KINDS] = {
	[KIND_IPPOOL] = { KIND_IPPOOL,
			  "IPPool",
			  "ippools",
			  { "ipp", "ipps", "pool", "pools" },
			  .fields = ippool_fields,
			  .check = ippool_check,
			  .columns = { { "NAME", "@" },
				       { "CIDR", "spec.cidr" },
				       { "NAT", "spec.natOutgoing", true, "false" },
				       { "IPIPMODE", "spec.ipipMode", true, "Never" },
				       { "VXLANMODE", "spec.vxlanMode", true, "Never" },
				       { "DISABLED", "spec.disabled", true, "false" },
				       { "DISABLEBGPEXPORT", "spec.disableBGPExport", true, "false" },
				       { "SELECTOR", "spec.nodeSelector", false, "all()" },
				       { "ASSIGNMENTMODE", "spec.assignmentMode", true, "Automatic" } } },
	[KIND_NODE] = { KIND_NODE,
			"Node",
			"nodes",
			{ "no", "nos" },
			.fields = node_fields,
			.check = node_check,
			.columns = { { "NAME", "@" },
				     { "ASN", "spec.bgp.asNumber", true, "" },
				     { "IPV4", "spec.bgp.ipv4Address", true, "" },
				     { "IPV6", "spec.bgp.ipv6Address", true, "" } } },
	[KIND_BGPCONFIG] = { KIND_BGPCONFIG,
			     "BGPConfiguration",
			     "bgpconfigurations",
			     { "bgpconfig", "bgpconfigs" },
			     .fields = bgpconfig_fields,
			     .check = bgpconfig_check,
			     .columns = { { "NAME", "@" },
					  { "LOGSEVERITY", "spec.logSeverityScreen", false, "" },
					  { "MESHENABLED", "spec.nodeToNodeMeshEnabled", false, "-" },
					  { "ASNUMBER", "spec.asNumber", false, "-" } } },
	[KIND_WEP] = { KIND_WEP,
		       "WorkloadEndpoint",
		       "workloadendpoints",
		       { "wep", "weps" },
		       .namespaced = true,
		       .fields = wep_fields,
		       .check = wep_check,
		       .columns = { { "NAME", "metadata.name", true, "" },
				    { "WORKLOAD", "spec.pod", false, "" },
				    { "NODE", "spec.node", false, "" },
				    { "NETWORKS", "spec.ipNetworks", false, "" },
				    { "INTERFACE", "spec.interfaceName", false, "" },
				    { "PROFILES", "spec.profiles", true, "" },
				    { "NATS", "spec.ipNATs", true, "" } } },
	[KIND_BLOCK] = { KIND_BLOCK,
			 "IPAMBlock",
			 "ipamblocks",
			 { "block", "blocks" },
			 .internal = true,
			 .fields = no_fields,
			 .check = internal_check,
			 .columns = { { "CIDR", "cidr", false, "" },
				      { "AFFINITY", "affinity", false, "" },
				      { "CLAIMED", "affinity_claim_time", true, "" } } },
	[KIND_AFFINITY] = { KIND_AFFINITY,
			    "BlockAffinity",
			    "blockaffinities",
			    { "affinity", "affinities" },
			    .internal = true,
			    .fields = no_fields,
			    .check = internal_check,
			    .columns = { { "NAME", "@" }, { "STATE", "state", false, "confirmed" } } },
	[KIND_HANDLE] = { KIND_HANDLE,
			  "IPAMHandle",
			  "ipamhandles",
			  { "handle", "handles" },
			  .internal = true,
			  .fields = no_fields,
			  .check = internal_check,
			  .columns = { { "NAME", "@" } } },
	[KIND_IPAMCONFIG] = { KIND_IPAMCONFIG,
			      "IPAMConfiguration",
			      "ipamconfigurations",
			      { "ipamconfig", "ipamconfigs" },
			      .internal = true,
			      .fields = no_fields,
			      .check = internal_check,
			      .columns = { { "NAME", "@" },
					   { "STRICTAFFINITY", "strict_affinity", false, "false" },
					   { "AUTOALLOCATEBLOCKS", "auto_allocate_blocks", false, "false" },
					   { "MAXBLOCKSPERHOST", "maxBlocksPerHost", true, "0" } } },
	[KIND_CLUSTERINFO] = { KIND_CLUSTERINFO,
			       "ClusterInformation",
			       "clusterinformations",
			       { "clusterinfo", "clusterinfos" },
			       .fields = clusterinfo_fields,
			       .check = clusterinfo_check,
			       .columns = { { "NAME", "@" },
					    { "CLUSTERGUID", "spec.clusterGUID", false, "" },
					    { "CLUSTERTYPE", "spec.clusterType", false, "" },
					    { "CALICOVERSION", "spec.calicoVersion", false, "" },
					    { "DATASTOREREADY", "spec.datastoreReady", false, "-" } } },
};

/* ---- finding ---- */

const struct kind_info *kind_info(enum kind k)
{
	CHECK(k > KIND_NONE && k < KINDS);
	return &kind_table[k];
}

const struct kind_info *kind_find(const char *word)
{
	for (int k = KIND_NONE + 1; k < KINDS; k++) {
		const struct kind_info *i = &kind_table[k];
		if (strcasecmp(word, i->name) == 0 || strcasecmp(word, i->plural) == 0)
			return i;
		for (const char *const *a = i->aliases; *a; a++)
			if (strcasecmp(word, *a) == 0)
				return i;
	}
	return NULL;
}

/* Kinds of Calico that a user may well hand us before we act on them: they deserve a better answer than
 * "unknown". */
static const char *const later[] = { "BGPPeer",
				     "BGPFilter",
				     "IPReservation",
				     "FelixConfiguration",
				     "CalicoNodeStatus",
				     "KubeControllersConfiguration",
				     "HostEndpoint",
				     "GlobalNetworkPolicy",
				     "GlobalNetworkSet",
				     "NetworkPolicy",
				     "NetworkSet",
				     "Profile",
				     "Tier",
				     "StagedGlobalNetworkPolicy",
				     "StagedNetworkPolicy",
				     "StagedKubernetesNetworkPolicy" };

const struct kind_info *kind_of(const json_t *doc, char ret_field[static KIND_FIELD_MAX], struct err *e)
{
	const json_t *kind = json_object_get(doc, "kind");
	const char *s = json_string_value(kind), *names[KINDS];
	char shown[SHOW_MAX];
	own_str struct str all = { 0 };
	size_t n = 0;

	ret_field[0] = '\0';
	if (!json_is_object(doc)) {
		err_set(e, EINVAL, "a document must be a map of fields that begins with apiVersion and kind");
		return NULL;
	}
	for (int k = KIND_NONE + 1; k < KINDS; k++) {
		const struct kind_info *i = &kind_table[k];
		if (s && strcmp(s, i->name) == 0)
			return i;
		if (!i->internal) {
			str_addf(&all, "%s%s", n ? ", " : "", i->name);
			names[n++] = i->name;
		}
	}
	if (!kind) {
		field_err(ret_field, e, "kind", "it is missing: allowed are %s", all.s);
		return NULL;
	}
	fields_show(kind, shown);
	if (!s) {
		field_err(ret_field, e, "kind", "%s is not a kind: allowed are %s", shown, all.s);
		return NULL;
	}
	for (size_t i = 0; i < ARRAY_SIZE(later); i++) {
		if (strcmp(s, later[i]) == 0) {
			field_err(ret_field, e, "kind", "%s is not supported yet: allowed are %s", s, all.s);
			return NULL;
		}
	}
	const char *near = word_nearest(s, names, n);
	if (near)
		field_err(ret_field, e, "kind", "%s is not a known kind: did you mean %s?", shown, near);
	else
		field_err(ret_field, e, "kind", "%s is not a known kind: allowed are %s", shown, all.s);
	return NULL;
}

json_t *kind_items(const json_t *doc)
{
	const char *kind = json_string_value(json_object_get(doc, "kind"));
	json_t *items = json_object_get(doc, "items");
	size_t n = kind ? strlen(kind) : 0;

	return n >= 4 && strcmp(kind + n - 4, "List") == 0 && json_is_array(items) ? items : NULL;
}

/* ---- names ---- */

static bool lower_or_digit(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

bool kind_name_ok(const char *name)
{
	size_t n = strlen(name);

	if (!n || n > 253)
		return false;
	for (size_t i = 0; i < n; i++) {
		bool edge = i == 0 || name[i - 1] == '.' || i + 1 == n || name[i + 1] == '.';
		if (!lower_or_digit(name[i]) && (edge || (name[i] != '-' && name[i] != '.')))
			return false;
	}
	return true;
}

/* A block is named by its cidr, with "-" for "/"; the other IPAM records do not carry their names. */
static int block_store_name(const json_t *doc, char ret[static KIND_NAME_MAX], struct err *e)
{
	const char *cidr = json_string_value(json_object_get(doc, "cidr"));
	struct prefix p;
	char text[PREFIX_STR_MAX];

	if (!cidr || !prefix_parse(cidr, &p))
		return err_set(e, EINVAL, "cidr: a block without a network");
	prefix_format(&p, text);
	*strchr(text, '/') = '-';
	strcpy(ret, text);
	return 0;
}

int kind_store_name(const struct kind_info *k, const json_t *doc, char ret[static KIND_NAME_MAX],
		    struct err *e)
{
	const char *name = fields_str(doc, "metadata.name"), *ns = fields_str(doc, "metadata.namespace");

	if (k->kind == KIND_BLOCK)
		return block_store_name(doc, ret, e);
	if (k->kind == KIND_IPAMCONFIG) {
		strcpy(ret, "default");
		return 0;
	}
	if (!*name)
		return err_set(e, EINVAL, "metadata.name: it is missing");
	int n = k->namespaced ? snprintf(ret, KIND_NAME_MAX, "%s/%s", *ns ? ns : "default", name)
			      : snprintf(ret, KIND_NAME_MAX, "%s", name);
	if (n >= KIND_NAME_MAX)
		return err_set(e, EINVAL, "metadata.name: %d bytes are too long: at most %d are allowed", n,
			       KIND_NAME_MAX - 1);
	return 0;
}

/* ---- envelopes ---- */

json_t *kind_get(const json_t *doc, const char *path)
{
	char name[128];

	for (;;) {
		size_t n = strcspn(path, ".");
		if (n >= sizeof(name))
			return NULL;
		memcpy(name, path, n);
		name[n] = '\0';
		doc = json_object_get(doc, name);
		if (!doc || json_is_null(doc))
			return NULL;
		if (!path[n])
			return (json_t *)doc;
		path += n + 1;
	}
}

static void copy_text(char *dst, size_t size, const char *s)
{
	snprintf(dst, size, "%s", s);
}

void meta_decode(const json_t *doc, struct meta *ret)
{
	const json_t *labels = kind_get(doc, "metadata.labels");
	const char *key;
	json_t *v;

	memset(ret, 0, sizeof(*ret));
	copy_text(ret->name, sizeof(ret->name), fields_str(doc, "metadata.name"));
	copy_text(ret->namespace, sizeof(ret->namespace), fields_str(doc, "metadata.namespace"));
	copy_text(ret->uid, sizeof(ret->uid), fields_str(doc, "metadata.uid"));
	copy_text(ret->created, sizeof(ret->created), fields_str(doc, "metadata.creationTimestamp"));
	ret->labels = xcalloc(MIN(json_object_size(labels), KIND_LABELS_MAX), sizeof(*ret->labels));
	json_object_foreach((json_t *)labels, key, v)
	{
		if (ret->nlabels == KIND_LABELS_MAX)
			break;
		if (!json_is_string(v))
			continue;
		ret->labels[ret->nlabels].key = xstrdup(key);
		ret->labels[ret->nlabels].value = xstrdup(json_string_value(v));
		ret->nlabels++;
	}
}

void meta_done(struct meta *m)
{
	for (size_t i = 0; i < m->nlabels; i++) {
		free(m->labels[i].key);
		free(m->labels[i].value);
	}
	free(m->labels);
	memset(m, 0, sizeof(*m));
}

char *uid_format(const uint8_t uid[16], char buf[static UID_STR_MAX])
{
	char *p = buf;

	for (int i = 0; i < 16; i++) {
		uint8_t b = uid[i];
		if (i == 6)
			b = (uint8_t)((b & 0x0f) | 0x40);
		if (i == 8)
			b = (uint8_t)((b & 0x3f) | 0x80);
		if (i == 4 || i == 6 || i == 8 || i == 10)
			*p++ = '-';
		*p++ = "0123456789abcdef"[b >> 4];
		*p++ = "0123456789abcdef"[b & 15];
	}
	*p = '\0';
	return buf;
}

json_t *kind_envelope(const struct kind_info *k, const char *name, const char *namespace,
		      const uint8_t uid[16], nsec_t wall)
{
	json_t *meta = json_object();
	char id[UID_STR_MAX], when[CLOCK_RFC3339_MAX];

	json_object_set_new(meta, "name", json_string(name));
	if (namespace && *namespace)
		json_object_set_new(meta, "namespace", json_string(namespace));
	if (uid)
		json_object_set_new(meta, "uid", json_string(uid_format(uid, id)));
	json_object_set_new(meta, "creationTimestamp", json_string(clock_format_rfc3339(wall, when)));
	json_t *doc = json_pack("{s:s, s:s, s:o}", "kind", k->name, "apiVersion", "projectcalico.org/v3",
				"metadata", meta);
	CHECK(doc);
	return doc;
}

void kind_stamp(json_t *doc, const json_t *old, const uint8_t uid[16], nsec_t wall)
{
	static const char *const servers[] = { "selfLink",
					       "resourceVersion",
					       "generation",
					       "deletionTimestamp",
					       "deletionGracePeriodSeconds",
					       "managedFields" };
	/* What identifies comes first, as in Calico's own documents. */
	static const char *const first[] = { "name", "generateName", "namespace", "uid",
					     "creationTimestamp" };
	json_t *meta = json_object_get(doc, "metadata");
	const json_t *had_uid = kind_get(old, "metadata.uid"),
		     *had_time = kind_get(old, "metadata.creationTimestamp");
	char id[UID_STR_MAX], when[CLOCK_RFC3339_MAX];

	for (size_t i = 0; i < ARRAY_SIZE(servers); i++)
		json_object_del(meta, servers[i]);
	json_object_del(meta, "uid");
	json_object_del(meta, "creationTimestamp");
	json_object_set_new(meta, "uid",
			    had_uid ? json_deep_copy(had_uid) : json_string(uid_format(uid, id)));
	json_object_set_new(meta, "creationTimestamp",
			    had_time ? json_deep_copy(had_time)
				     : json_string(clock_format_rfc3339(wall, when)));
	json_t *rest = json_copy(meta);
	json_object_clear(meta);
	for (size_t i = 0; i < ARRAY_SIZE(first); i++)
		if (json_object_get(rest, first[i]))
			json_object_set(meta, first[i], json_object_get(rest, first[i]));
	json_object_update_missing(meta, rest);
	json_decref(rest);
}

/* ---- columns ---- */

static void add_text(struct str *b, const json_t *v)
{
	size_t i;
	json_t *x;

	switch (json_typeof(v)) {
	case JSON_STRING:
		str_add(b, json_string_value(v));
		break;
	case JSON_INTEGER:
		str_addf(b, "%lld", (long long)json_integer_value(v));
		break;
	case JSON_REAL:
		str_addf(b, "%.15g", json_real_value(v));
		break;
	case JSON_TRUE:
	case JSON_FALSE:
		str_add(b, json_is_true(v) ? "true" : "false");
		break;
	case JSON_ARRAY:
		json_array_foreach((json_t *)v, i, x)
		{
			if (i)
				str_add(b, ",");
			add_text(b, x);
		}
		break;
	case JSON_OBJECT: {
		char *text = kind_dump_json(v);
		str_add(b, text);
		free(text);
		break;
	}
	case JSON_NULL:
		break;
	}
}

char *kind_column(const struct kind_info *k, size_t i, const char *store_name, const json_t *doc)
{
	struct str b = { 0 };

	CHECK(i < ARRAY_SIZE(k->columns) && k->columns[i].header);
	if (strcmp(k->columns[i].path, "@") == 0)
		return xstrdup(store_name);
	const json_t *v = kind_get(doc, k->columns[i].path);
	if (v && !(json_is_string(v) && !json_string_length(v)))
		add_text(&b, v);
	else if (k->columns[i].unset)
		str_add(&b, k->columns[i].unset);
	return str_take(&b);
}

/* ---- JSON text ---- */

/* The deepest nesting of brackets outside strings; the parser itself would recurse far deeper than we allow.
 */
static int nesting(const char *s, size_t n)
{
	int depth = 0, most = 0;
	bool quoted = false;

	for (size_t i = 0; i < n; i++) {
		if (quoted) {
			if (s[i] == '\\')
				i++;
			else if (s[i] == '"')
				quoted = false;
		} else if (s[i] == '"') {
			quoted = true;
		} else if (s[i] == '{' || s[i] == '[') {
			depth++;
			most = MAX(most, depth);
		} else if (s[i] == '}' || s[i] == ']') {
			depth--;
		}
	}
	return most;
}

int kind_parse_json(const char *text, size_t n, json_t **ret, struct err *e)
{
	json_error_t je;

	if (n > KIND_VALUE_MAX)
		return err_set(e, E2BIG, "JSON: %zu bytes are too long: at most %u are allowed", n,
			       KIND_VALUE_MAX);
	if (nesting(text, n) > KIND_DEPTH_MAX)
		return err_set(e, EINVAL, "JSON: nested deeper than %d levels", KIND_DEPTH_MAX);
	if (n == 0) {
		*ret = json_object();
		return 0;
	}
	json_t *doc = json_loadb(text, n, 0, &je);
	if (!doc)
		return err_set(e, EINVAL, "JSON: line %d, column %d: %s", je.line, je.column, je.text);
	if (!json_is_object(doc)) {
		json_decref(doc);
		return err_set(e, EINVAL, "JSON: a document must be an object");
	}
	*ret = doc;
	return 0;
}

char *kind_dump_json(const json_t *doc)
{
	char *s = json_dumps(doc, JSON_COMPACT | JSON_PRESERVE_ORDER | JSON_ENCODE_ANY);

	CHECK(s);
	return s;
}
