/* korat get: what is in the datastore, as a table for people or as documents that `korat apply` takes. */
#include "base/check.h"
#include "ctl/out.h"
#include "ctl/resource.h"
#include "ctl/verb.h"
#include "model/bgpconfig.h"

#include <stdio.h>
#include <strings.h>

enum form { AS_TABLE, AS_WIDE, AS_YAML, AS_JSON, AS_NAME };

static const struct {
	const char *word;
	enum form form;
} forms[] = {
	{ "table", AS_TABLE }, { "ps", AS_TABLE },  { "wide", AS_WIDE }, { "yaml", AS_YAML },
	{ "yml", AS_YAML },    { "json", AS_JSON }, { "name", AS_NAME },
};

/* One that was found. */
struct found {
	char *name;  /* store name */
	json_t *doc; /* as stored; NULL if it cannot be read */
	int64_t rev;
};

struct get {
	const struct verb_args *args;
	struct resource_store store;
	struct resource_names wanted;
	enum form form;
	const char *prefix; /* of store names: "default/", or "" */
	struct found *found;
	size_t n;
	size_t faults;
};

/* ---- finding ---- */

static void add(struct get *g, const char *name, const char *value, int64_t rev)
{
	struct found f = { .name = xstrdup(name), .rev = rev };
	struct err e = { 0 };

	if (kind_parse_json(value, strlen(value), &f.doc, &e) < 0) {
		err_in(&e, "%s %.150s cannot be read", g->wanted.kind->name, name);
		out_error(&e);
		g->faults++;
	}
	g->found = xrealloc(g->found, (g->n + 1) * sizeof(g->found[0]));
	g->found[g->n++] = f;
}

static void on_listed(void *arg, const struct store_obj *obj)
{
	struct get *g = arg;

	if (strncmp(obj->name, g->prefix, strlen(g->prefix)) == 0)
		add(g, obj->name, obj->value, obj->rev);
}

static int find_one(struct get *g, const char *name, struct err *e)
{
	own_mem char *value = NULL;
	int64_t rev = 0;
	int rc = store_get_wait(g->store.loop, g->store.store, g->wanted.kind->kind, name, &value, &rev, e);

	if (rc == 0)
		add(g, name, value, rev);
	if (rc != STORE_NOT_FOUND)
		return rc;
	/* The others that were asked for are shown nevertheless. */
	resource_missing(&g->store, g->wanted.kind, name, e);
	out_error(e);
	g->faults++;
	return 0;
}

static int find(struct get *g, struct err *e)
{
	int rc = 0;

	if (!g->wanted.n)
		return store_list_wait(g->store.loop, g->store.store, g->wanted.kind->kind, on_listed, g, e);
	for (size_t i = 0; i < g->wanted.n && rc == 0; i++)
		rc = find_one(g, g->wanted.names[i], e);
	return rc;
}

/* ---- documents ---- */

/* Our own records carry no envelope in the datastore; they are shown in one. */
static json_t *in_envelope(const struct get *g, const struct found *f)
{
	if (!g->wanted.kind->internal)
		return json_deep_copy(f->doc);
	return json_pack("{s:s, s:s, s:{s:s}, s:O}", "kind", g->wanted.kind->name, "apiVersion",
			 "projectcalico.org/v3", "metadata", "name", f->name, "spec", f->doc);
}

static json_t *document(const struct get *g, const struct found *f)
{
	static const char *const own[] = { "uid", "creationTimestamp", "resourceVersion" };
	json_t *doc = in_envelope(g, f), *meta = json_object_get(doc, "metadata");
	char rev[24];

	snprintf(rev, sizeof(rev), "%lld", (long long)f->rev);
	if (json_is_object(meta))
		json_object_set_new(meta, "resourceVersion", json_string(rev));
	for (size_t i = 0; i < ARRAY_SIZE(own) && verb_has(g->args, "export"); i++)
		json_object_del(meta, own[i]);
	return doc;
}

/* One by name is itself; anything else is a list. */
static json_t *documents(const struct get *g)
{
	json_t *items = json_array();
	char kind[80];

	for (size_t i = 0; i < g->n; i++)
		if (g->found[i].doc)
			json_array_append_new(items, document(g, &g->found[i]));
	if (g->wanted.n == 1) {
		json_t *only = json_incref(json_array_get(items, 0));
		json_decref(items);
		return only;
	}
	snprintf(kind, sizeof(kind), "%sList", g->wanted.kind->name);
	return json_pack("{s:s, s:s, s:o}", "kind", kind, "apiVersion", "projectcalico.org/v3", "items",
			 items);
}

static void print_documents(const struct get *g)
{
	json_t *doc = documents(g);

	if (doc && g->form == AS_JSON) {
		out_json(doc);
	} else if (doc) {
		own_mem char *text = yaml_dump(doc);
		fputs(text, stdout);
	}
	json_decref(doc);
}

static void print_names(const struct get *g)
{
	for (size_t i = 0; i < g->n; i++) {
		own_str struct str s = { 0 };
		resource_title(&s, g->wanted.kind, g->found[i].name);
		printf("%s\n", s.s);
	}
}

/* ---- the table ---- */

/* What a node's AS is when it has none of its own. */
static uint32_t cluster_asn(struct get *g)
{
	own_mem char *value = NULL;
	struct bgpconfig c = { 0 };
	json_t *doc = NULL;
	struct err e;

	if (store_get_wait(g->store.loop, g->store.store, KIND_BGPCONFIG, "default", &value, NULL, &e) == 0 &&
	    kind_parse_json(value, strlen(value), &doc, NULL) == 0)
		bgpconfig_decode(doc, &c, NULL);
	json_decref(doc);
	return c.has_asn ? c.asn : BGPCONFIG_ASN_DEFAULT;
}

static bool is_shown(const struct get *g, size_t column)
{
	return g->form == AS_WIDE || !g->wanted.kind->columns[column].wide;
}

static bool shows_namespace(const struct get *g)
{
	return g->wanted.kind->namespaced &&
	       (verb_has(g->args, "all-namespaces") || verb_has(g->args, "namespace"));
}

static void print_cell(struct get *g, struct out_table *t, const struct found *f, size_t column)
{
	const struct kind_info *k = g->wanted.kind;
	own_mem char *text = kind_column(k, column, f->name, f->doc);

	if (!*text && k->kind == KIND_NODE && strcmp(k->columns[column].header, "ASN") == 0)
		out_table_cell(t, OUT_PLAIN, "(%u)", cluster_asn(g));
	else
		out_table_cell(t, OUT_PLAIN, "%s", text);
}

static void print_row(struct get *g, struct out_table *t, const struct found *f)
{
	out_table_row(t);
	if (shows_namespace(g))
		out_table_cell(t, OUT_PLAIN, "%.*s", (int)strcspn(f->name, "/"), f->name);
	for (size_t i = 0; g->wanted.kind->columns[i].header; i++)
		if (is_shown(g, i))
			print_cell(g, t, f, i);
}

static void print_table(struct get *g)
{
	const char *headers[ARRAY_SIZE(g->wanted.kind->columns) + 2] = { 0 };
	size_t n = 0;

	if (!g->n) {
		if (!g->faults)
			out_note("There is no %s%s%.*s.", g->wanted.kind->name,
				 *g->prefix ? " in namespace " : "", (int)strcspn(g->prefix, "/"), g->prefix);
		return;
	}
	if (shows_namespace(g))
		headers[n++] = "NAMESPACE";
	for (size_t i = 0; g->wanted.kind->columns[i].header; i++)
		if (is_shown(g, i))
			headers[n++] = g->wanted.kind->columns[i].header;
	own(out_table) struct out_table *t = out_table_new(headers);
	for (size_t i = 0; i < g->n; i++)
		if (g->found[i].doc)
			print_row(g, t, &g->found[i]);
	out_table_print(t);
}

/* ---- the verb ---- */

static int take_form(const struct verb_args *a, enum form *ret)
{
	const char *word = verb_get(a, "output");

	*ret = AS_TABLE;
	for (size_t i = 0; word && i < ARRAY_SIZE(forms); i++) {
		if (strcmp(word, forms[i].word) == 0) {
			*ret = forms[i].form;
			return 0;
		}
	}
	if (!word)
		return 0;
	return verb_bad(a, "unknown output format '%s': allowed are table, wide, yaml, json and name", word);
}

static int take_words(struct get *g)
{
	const struct verb_args *a = g->args;
	own_str struct str kinds = { 0 };
	bool all = verb_has(a, "all-namespaces");

	if (!a->npos) {
		for (int k = KIND_NONE + 1; k < KINDS; k++)
			str_addf(&kinds, "%s%s", k > KIND_NONE + 1 ? ", " : "",
				 kind_info((enum kind)k)->plural);
		return verb_bad(a, "which kind? There are %s", kinds.s);
	}
	int code = take_form(a, &g->form);
	if (!code)
		code = resource_names(a, &g->wanted);
	if (code)
		return code;
	if (all && verb_has(a, "namespace"))
		return verb_bad(a, "--namespace and --all-namespaces exclude each other");
	if (all && !g->wanted.kind->namespaced)
		return verb_bad(a, "%s is not namespaced: leave --all-namespaces out", g->wanted.kind->name);
	return 0;
}

static int get(struct get *g, struct err *e)
{
	const char *namespace = verb_get(g->args, "namespace");
	own_mem char *prefix = xasprintf("%s/", namespace ? namespace : "default");

	g->prefix = g->wanted.kind->namespaced && !verb_has(g->args, "all-namespaces") ? prefix : "";
	int rc = resource_open(g->args, false, &g->store, e);
	if (rc == 0)
		rc = find(g, e);
	if (rc < 0)
		return rc;
	if (g->form == AS_YAML || g->form == AS_JSON)
		print_documents(g);
	else if (g->form == AS_NAME)
		print_names(g);
	else
		print_table(g);
	return 0;
}

static int get_run(const struct verb_args *a)
{
	struct get g = { .args = a };
	struct err e = { 0 };
	int code = take_words(&g);

	if (!code)
		code = out_exit(get(&g, &e), &e);
	for (size_t i = 0; i < g.n; i++) {
		free(g.found[i].name);
		json_decref(g.found[i].doc);
	}
	free(g.found);
	resource_names_done(&g.wanted);
	resource_close(&g.store);
	return !code && g.faults ? VERB_FAILED : code;
}

static const struct verb_opt opts[] = {
	{ "output", 'o', "table|wide|yaml|json|name", "how to print the answer (default: table)" },
	RESOURCE_OPT_NAMESPACE,
	{ "all-namespaces", 'A', NULL, "of all namespaces" },
	{ "export", 0, NULL, "leave out uid, creationTimestamp and resourceVersion" },
	RESOURCE_OPT_DATASTORE,
	{ NULL },
};

const struct verb verb_get_resources = {
	.name = "get",
	.args = "KIND [NAME...] | KIND/NAME...",
	.summary = "print resources",
	.text = "KIND is a kind in any spelling that Calico knows: ippool, IPPools, pool. Blocks, affinities "
		"and\n"
		"handles, which koratd keeps for itself, can be printed too, but not applied.\n",
	.examples = "  korat get ippools\n"
		    "  korat get node node1 -o yaml\n"
		    "  # addresses that pods have\n"
		    "  korat get wep -A -o wide\n",
	.opts = opts,
	.run = get_run,
};
