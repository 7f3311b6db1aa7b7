/*
 * Field tables at work. A kind says what its members are in one table; this file is the only code that walks
 * a document by such a table, so that a row cannot be checked but not decoded, or decoded but unknown to
 * validation.
 *
 * Rows are few (tens), documents small: children of an object are found by looking through the table.
 */
#include "model/fields.h"

#include "base/check.h"
#include "base/str.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <strings.h>

#define PATH_MAX_BYTES 256

/* Every kind's envelope, in the order Calico stores it. */
static const struct kind_field envelope_fields[] = {
	{ "kind", "string", "The kind of this object.", .required = true, .form = FORM_STRING },
	{ "apiVersion", "string", "Always projectcalico.org/v3.", .required = true, .form = FORM_STRING },
	{ "metadata", "object", "Name, labels and bookkeeping.", .required = true, .form = FORM_OBJECT },
	{ "metadata.name", "string", "The object's name.", .form = FORM_STRING, .max = KIND_NAME_MAX - 1 },
	{ "metadata.generateName", "string", "The prefix a generated name began with.", .form = FORM_STRING },
	{ "metadata.namespace", "string", "The namespace of a namespaced object.", .form = FORM_STRING,
	  .max = 63 },
	{ "metadata.selfLink", "string", "Written by servers.", .form = FORM_STRING },
	{ "metadata.uid", "string", "The object's identity, given once.", .form = FORM_STRING, .max = 63 },
	{ "metadata.resourceVersion", "string", "The revision this document was read at.",
	  .form = FORM_STRING, .max = 63 },
	{ "metadata.generation", "integer", "Written by servers.", .form = FORM_INT, .max = INT64_MAX },
	{ "metadata.creationTimestamp", "string", "When it was created (RFC 3339).", .form = FORM_STRING,
	  .max = CLOCK_RFC3339_MAX - 1 },
	{ "metadata.deletionTimestamp", "string", "When its deletion was asked for.", .form = FORM_STRING },
	{ "metadata.deletionGracePeriodSeconds", "integer", "Written by servers.", .form = FORM_INT,
	  .max = INT64_MAX },
	{ "metadata.labels", "map of string", "Labels, for selectors.", .form = FORM_MAP },
	{ "metadata.annotations", "map of string", "Notes of programs.", .form = FORM_MAP },
	{ "metadata.ownerReferences", "list", "Written by Kubernetes.", .form = FORM_ANY },
	{ "metadata.finalizers[]", "list of string", "Who wants to act before it is deleted.",
	  .form = FORM_STRING },
	{ "metadata.managedFields", "list", "Written by Kubernetes.", .form = FORM_ANY },
	{ 0 },
};

struct walk {
	const struct kind_field *tables[2]; /* the envelope's and the kind's */
	bool strict;
	char *ret_field;
	struct err *e;
};

/* ---- messages ---- */

static int verr(char ret_field[static KIND_FIELD_MAX], struct err *e, const char *path, const char *mark,
		const char *fmt, va_list ap)
{
	char msg[ERR_MSG_MAX];

	vsnprintf(msg, sizeof(msg), fmt, ap);
	snprintf(ret_field, KIND_FIELD_MAX, "%.*s%s", KIND_FIELD_MAX - 2, path, mark);
	return err_set(e, EINVAL, "%s: %s", path, msg);
}

int field_err(char ret_field[static KIND_FIELD_MAX], struct err *e, const char *path, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	int rc = verr(ret_field, e, path, "", fmt, ap);
	va_end(ap);
	return rc;
}

/* The same for a key that should not be there. */
__attribute__((format(printf, 3, 4))) static int key_err(const struct walk *w, const char *path,
							 const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	int rc = verr(w->ret_field, w->e, path, ":", fmt, ap);
	va_end(ap);
	return rc;
}

char *fields_show(const json_t *v, char buf[static SHOW_MAX])
{
	size_t n = 0;

	switch (v ? json_typeof(v) : JSON_NULL) {
	case JSON_STRING:
		buf[n++] = '"';
		for (const char *p = json_string_value(v); *p; p++) {
			if (n > SHOW_MAX - 8 && ((unsigned char)*p & 0xc0) != 0x80) {
				memcpy(buf + n, "...", 3);
				n += 3;
				break;
			}
			buf[n++] = iscntrl((unsigned char)*p) ? '?' : *p;
		}
		buf[n++] = '"';
		buf[n] = '\0';
		return buf;
	case JSON_INTEGER:
		snprintf(buf, SHOW_MAX, "%lld", (long long)json_integer_value(v));
		return buf;
	case JSON_REAL:
		snprintf(buf, SHOW_MAX, "%.15g", json_real_value(v));
		return buf;
	case JSON_TRUE:
		return strcpy(buf, "true");
	case JSON_FALSE:
		return strcpy(buf, "false");
	case JSON_OBJECT:
		return strcpy(buf, "a map of fields");
	case JSON_ARRAY:
		return strcpy(buf, "a list");
	case JSON_NULL:
		break;
	}
	return strcpy(buf, "null");
}

/* Edits (insert, delete, replace, swap of neighbours) from a to b, case ignored. Names longer than a row are
 * far. */
static size_t edits(const char *a, const char *b)
{
	enum { ROW = 64 };
	size_t la = strlen(a), lb = strlen(b), d[3][ROW];

	if (la >= ROW || lb >= ROW)
		return ROW;
	for (size_t j = 0; j <= lb; j++)
		d[0][j] = j;
	for (size_t i = 1; i <= la; i++) {
		size_t *row = d[i % 3], *up = d[(i + 2) % 3], *upup = d[(i + 1) % 3];
		row[0] = i;
		for (size_t j = 1; j <= lb; j++) {
			int ca = tolower((unsigned char)a[i - 1]), cb = tolower((unsigned char)b[j - 1]);
			row[j] = MIN(MIN(row[j - 1], up[j]) + 1, up[j - 1] + (ca != cb));
			if (i > 1 && j > 1 && ca == tolower((unsigned char)b[j - 2]) &&
			    cb == tolower((unsigned char)a[i - 2]))
				row[j] = MIN(row[j], upup[j - 2] + 1);
		}
	}
	return d[la % 3][lb];
}

/* Does one begin with the other, for long enough to mean something? */
static bool begins(const char *a, const char *b)
{
	size_t n = MIN(strlen(a), strlen(b));

	return n >= 4 && strncasecmp(a, b, n) == 0;
}

const char *word_nearest(const char *word, const char *const *words, size_t n)
{
	const char *best = NULL;
	size_t least = MAX(strlen(word) / 3, 1) + 1;

	for (size_t i = 0; i < n; i++) {
		size_t d = edits(word, words[i]);
		if (d < least) {
			least = d;
			best = words[i];
		}
	}
	for (size_t i = 0; i < n && !best; i++)
		if (begins(word, words[i]))
			best = words[i];
	return best;
}

/* ---- tables ---- */

/* Is row a direct member of the object at prefix ("" or "spec.ports[]")? Its name goes to name. */
static bool is_child(const struct kind_field *row, const char *prefix, char name[static 64])
{
	size_t n = strlen(prefix);
	const char *p = row->path;

	if (n) {
		if (strncmp(p, prefix, n) != 0 || p[n] != '.')
			return false;
		p += n + 1;
	}
	size_t len = strcspn(p, ".[");
	const char *rest = p + len;
	if (strncmp(rest, "[]", 2) == 0)
		rest += 2;
	if (*rest || len >= 64)
		return false;
	memcpy(name, p, len);
	name[len] = '\0';
	return true;
}

static bool is_list(const struct kind_field *row)
{
	size_t n = strlen(row->path);

	return n > 2 && strcmp(row->path + n - 2, "[]") == 0;
}

/* Walks the members of the object at prefix over both tables; *t and *i start at 0. */
static const struct kind_field *next_child(const struct walk *w, const char *prefix, size_t *t, size_t *i,
					   char name[static 64])
{
	for (; *t < ARRAY_SIZE(w->tables); ++*t, *i = 0) {
		for (const struct kind_field *row; (row = &w->tables[*t][*i])->path;) {
			++*i;
			if (is_child(row, prefix, name))
				return row;
		}
	}
	return NULL;
}

static void join(char out[static PATH_MAX_BYTES], const char *path, const char *name)
{
	snprintf(out, PATH_MAX_BYTES, "%.100s%s%.140s", path, *path ? "." : "", name);
}

/* ---- one value ---- */

static void list_words(struct str *b, const char *const *words)
{
	for (size_t i = 0; words[i]; i++)
		str_addf(b, "%s%s", i ? ", " : "", words[i]);
}

static const char *example(const struct kind_field *row, const char *v4, const char *v6)
{
	return row->family == AF_INET6 ? v6 : v4;
}

/* What a row allows, for a sentence that goes on after "is not". */
static char *want(const struct kind_field *row)
{
	const char *family = row->family == AF_INET ? "IPv4 " : row->family == AF_INET6 ? "IPv6 " : "";
	struct str b = { 0 };

	if (row->want)
		return xstrdup(row->want);
	switch (row->form) {
	case FORM_OBJECT:
		return xstrdup("a map of fields");
	case FORM_STRING:
		return xstrdup("a string");
	case FORM_INT:
		if (row->max == INT64_MAX)
			return xasprintf("an integer of at least %lld", (long long)row->min);
		return xasprintf("an integer %lld..%lld", (long long)row->min, (long long)row->max);
	case FORM_BOOL:
		return xstrdup("true or false");
	case FORM_WORD:
		str_add(&b, "one of ");
		list_words(&b, row->words);
		return str_take(&b);
	case FORM_PREFIX:
		return xasprintf("an %snetwork such as %s", *family ? family : "IP ",
				 example(row, "10.0.0.0/16", "fd00:10::/64"));
	case FORM_CIDR:
		return xasprintf("an %saddress with its prefix length, such as %s", *family ? family : "IP ",
				 example(row, "10.0.0.1/24", "fd00:10::1/64"));
	case FORM_IP:
	case FORM_NET:
		return xasprintf("an %saddress", *family ? family : "IP ");
	case FORM_MAC:
		return xstrdup("a MAC address such as 00:50:56:95:8d:20");
	case FORM_MAP:
		return xstrdup("a map of strings");
	case FORM_ANY:
		break;
	}
	return xstrdup("allowed");
}

static bool family_ok(const struct kind_field *row, const struct addr *a)
{
	return !row->family || row->family == a->family;
}

static int word_index(const struct kind_field *row, const char *s)
{
	for (int i = 0; row->words[i]; i++)
		if (strcmp(row->words[i], s) == 0)
			return i;
	return -1;
}

/* Is v of the row's form? Objects only by type: their members are walked. */
static bool form_ok(const struct kind_field *row, const json_t *v)
{
	const char *s = json_string_value(v);
	struct prefix net;
	struct addr a;
	struct mac mac;

	switch (row->form) {
	case FORM_OBJECT:
	case FORM_MAP:
		return json_is_object(v);
	case FORM_STRING:
		return s;
	case FORM_INT:
		return json_is_integer(v) && json_integer_value(v) >= row->min &&
		       json_integer_value(v) <= row->max;
	case FORM_BOOL:
		return json_is_boolean(v);
	case FORM_WORD:
		return s && word_index(row, s) >= 0;
	case FORM_PREFIX:
		return s && prefix_parse(s, &net) && family_ok(row, &net.addr);
	case FORM_CIDR:
		return s && addr_parse_cidr(s, &a, NULL) && family_ok(row, &a);
	case FORM_IP:
		return s && addr_parse(s, &a) && family_ok(row, &a);
	case FORM_NET:
		return s && (addr_parse(s, &a) || addr_parse_cidr(s, &a, NULL)) && family_ok(row, &a);
	case FORM_MAC:
		return s && mac_parse(s, &mac);
	case FORM_ANY:
		return true;
	}
	return false;
}

static size_t count_words(const char *const *words)
{
	size_t n = 0;

	while (words[n])
		n++;
	return n;
}

/* The sentence for a value that is not of its form: what was seen, what is allowed, what was probably meant.
 */
static int form_err(const struct walk *w, const struct kind_field *row, const json_t *v, const char *path)
{
	char *allowed = want(row), shown[SHOW_MAX], net[PREFIX_STR_MAX], hint[160] = "";
	const char *s = json_string_value(v), *near;
	struct addr a;
	struct prefix p;

	fields_show(v, shown);
	if (row->form == FORM_PREFIX && s && addr_parse_cidr(s, &a, &p) && family_ok(row, &a)) {
		snprintf(hint, sizeof(hint), ": it has host bits set, the network is %s",
			 prefix_format(&p, net));
	} else if (row->form == FORM_WORD && s &&
		   (near = word_nearest(s, row->words, count_words(row->words)))) {
		snprintf(hint, sizeof(hint), ": did you mean %s?", near);
	} else if (row->form != FORM_OBJECT && row->form != FORM_MAP && !row->want && json_is_number(v) &&
		   row->form != FORM_INT && row->form != FORM_BOOL) {
		snprintf(hint, sizeof(hint), ": put it in quotes");
	} else if (row->form == FORM_INT && s) {
		snprintf(hint, sizeof(hint), ": write the number without quotes");
	}
	int rc = field_err(w->ret_field, w->e, path, "%s is not %s%s", shown, allowed, hint);
	free(allowed);
	return rc;
}

static int check_map(const struct walk *w, const json_t *v, const char *path)
{
	char at[PATH_MAX_BYTES], shown[SHOW_MAX];
	const char *key;
	json_t *x;

	json_object_foreach((json_t *)v, key, x)
	{
		join(at, path, key);
		if (!json_is_string(x))
			return field_err(w->ret_field, w->e, at, "%s is not a string%s",
					 fields_show(x, shown),
					 json_is_object(x) || json_is_array(x) ? "" : ": put it in quotes");
	}
	return 0;
}

static int check_object(const struct walk *w, json_t *obj, const char *prefix, const char *path);

/* One value (of a list: one element). Networks are brought into canonical text where set is given. */
static int check_value(const struct walk *w, const struct kind_field *row, json_t *v, const char *path)
{
	int64_t limit = row->max ? row->max : KIND_STRING_MAX;

	if (!form_ok(row, v) || (row->ok && !row->ok(v)))
		return form_err(w, row, v, path);
	if (row->form == FORM_STRING && (int64_t)json_string_length(v) > limit)
		return field_err(w->ret_field, w->e, path, "%zu bytes are too long: at most %lld are allowed",
				 json_string_length(v), (long long)limit);
	if (row->form == FORM_PREFIX) {
		char text[PREFIX_STR_MAX];
		struct prefix p;
		if (prefix_parse(json_string_value(v), &p))
			json_string_set(v, prefix_format(&p, text));
	}
	if (row->form == FORM_MAP)
		return check_map(w, v, path);
	if (row->form == FORM_OBJECT)
		return check_object(w, v, row->path, path);
	return 0;
}

static int check_list(const struct walk *w, const struct kind_field *row, json_t *v, const char *path)
{
	char at[PATH_MAX_BYTES], shown[SHOW_MAX];
	size_t i;
	json_t *x;

	if (!json_is_array(v))
		return field_err(w->ret_field, w->e, path, "%s is not a list", fields_show(v, shown));
	if (json_array_size(v) > KIND_LIST_MAX)
		return field_err(w->ret_field, w->e, path,
				 "%zu elements are too many: at most %d are allowed", json_array_size(v),
				 KIND_LIST_MAX);
	json_array_foreach(v, i, x)
	{
		snprintf(at, sizeof(at), "%.200s[%zu]", path, i);
		int rc = check_value(w, row, x, at);
		if (rc < 0)
			return rc;
	}
	return 0;
}

/* ---- objects ---- */

/* A default's text as JSON. */
static json_t *default_value(const struct kind_field *row)
{
	if (is_list(row)) {
		json_t *list = json_array();
		for (const char *p = row->def; *p;) {
			size_t n = strcspn(p, ",");
			json_array_append_new(list, json_stringn(p, n));
			p += n + (p[n] == ',');
		}
		return list;
	}
	switch (row->form) {
	case FORM_OBJECT:
	case FORM_MAP:
		return json_object();
	case FORM_INT:
		return json_integer(strtoll(row->def, NULL, 10));
	case FORM_BOOL:
		return json_boolean(strcmp(row->def, "true") == 0);
	default:
		return json_string(row->def);
	}
}

/* Where else in the tables a member of this name lives: people forget to indent, or to write "spec". */
static const struct kind_field *elsewhere(const struct walk *w, const char *name)
{
	for (size_t t = 0; t < ARRAY_SIZE(w->tables); t++) {
		for (const struct kind_field *row = w->tables[t]; row->path; row++) {
			const char *last = strrchr(row->path, '.');
			size_t n = strlen(name);
			if (last && strncmp(last + 1, name, n) == 0 &&
			    (!last[1 + n] || strcmp(last + 1 + n, "[]") == 0))
				return row;
		}
	}
	return NULL;
}

static int unknown_err(const struct walk *w, const char *prefix, const char *path, const char *key)
{
	enum { NAMES = 48 };
	char names[NAMES][64], at[PATH_MAX_BYTES];
	const char *list[NAMES];
	size_t n = 0, t = 0, i = 0;
	own_str struct str all = { 0 };

	while (n < NAMES && next_child(w, prefix, &t, &i, names[n])) {
		list[n] = names[n];
		str_addf(&all, "%s%s", n ? ", " : "", names[n]);
		n++;
	}
	join(at, path, key);
	const char *near = word_nearest(key, list, n);
	if (near)
		return key_err(w, at, "there is no such field: did you mean %s?", near);
	const struct kind_field *other = elsewhere(w, key);
	if (other)
		return key_err(w, at, "there is no such field here: it belongs at %s", other->path);
	return key_err(w, at, "there is no such field: allowed here are %s", n ? all.s : "none");
}

static int check_unknown(const struct walk *w, const json_t *obj, const char *prefix, const char *path)
{
	const char *key;
	json_t *v;

	json_object_foreach((json_t *)obj, key, v)
	{
		char name[64];
		size_t t = 0, i = 0;
		bool known = false;
		while (!known && next_child(w, prefix, &t, &i, name))
			known = strcmp(name, key) == 0;
		if (!known)
			return unknown_err(w, prefix, path, key);
	}
	return 0;
}

/* Is it as if it were not there? null always, and an empty word, which Calico takes for "default". */
static bool counts_as_absent(const struct kind_field *row, const json_t *v)
{
	return !v || json_is_null(v) ||
	       (row->form == FORM_WORD && json_is_string(v) && !json_string_length(v) && !is_list(row));
}

/* One member by its row: absent ones are filled or missed. */
static int check_member(const struct walk *w, json_t *obj, const struct kind_field *row, const char *name,
			const char *path)
{
	json_t *v = json_object_get(obj, name);

	if (counts_as_absent(row, v)) {
		if (row->required) {
			char *allowed = want(row);
			int rc = field_err(w->ret_field, w->e, path, "it is missing: it must be %s", allowed);
			free(allowed);
			return rc;
		}
		if (w->strict && v)
			json_object_del(obj, name);
		if (row->fill)
			json_object_set_new(obj, name, default_value(row));
		return 0;
	}
	return is_list(row) ? check_list(w, row, v, path) : check_value(w, row, v, path);
}

/* Brings the members into the table's order, which is the order of Calico's own stored documents. */
static void order_members(const struct walk *w, json_t *obj, const char *prefix)
{
	json_t *sorted = json_object();
	char name[64];
	size_t t = 0, i = 0;

	while (next_child(w, prefix, &t, &i, name)) {
		json_t *v = json_object_get(obj, name);
		if (v)
			json_object_set(sorted, name, v);
	}
	if (json_object_size(sorted) == json_object_size(obj)) {
		json_object_clear(obj);
		json_object_update(obj, sorted);
	}
	json_decref(sorted);
}

static int check_object(const struct walk *w, json_t *obj, const char *prefix, const char *path)
{
	char name[64], at[PATH_MAX_BYTES];
	const struct kind_field *row;
	size_t t = 0, i = 0;

	int rc = w->strict ? check_unknown(w, obj, prefix, path) : 0;
	while (rc == 0 && (row = next_child(w, prefix, &t, &i, name))) {
		join(at, path, name);
		rc = check_member(w, obj, row, name, at);
	}
	if (rc == 0 && w->strict)
		order_members(w, obj, prefix);
	return rc;
}

/* ---- the envelope ---- */

static bool label_part_ok(const char *s, size_t n, size_t max)
{
	if (!n || n > max || !isalnum((unsigned char)s[0]) || !isalnum((unsigned char)s[n - 1]))
		return false;
	for (size_t i = 0; i < n; i++)
		if (!isalnum((unsigned char)s[i]) && !strchr("-_.", s[i]))
			return false;
	return true;
}

static bool label_key_ok(const char *key)
{
	const char *slash = strchr(key, '/');
	char domain[254];

	if (!slash)
		return label_part_ok(key, strlen(key), 63);
	if ((size_t)(slash - key) >= sizeof(domain))
		return false;
	memcpy(domain, key, (size_t)(slash - key));
	domain[slash - key] = '\0';
	return kind_name_ok(domain) && label_part_ok(slash + 1, strlen(slash + 1), 63);
}

static int check_labels(const struct walk *w, const json_t *doc)
{
	json_t *labels = kind_get(doc, "metadata.labels"), *v;
	char at[PATH_MAX_BYTES], shown[SHOW_MAX];
	const char *key;

	if (json_object_size(labels) > KIND_LABELS_MAX)
		return field_err(w->ret_field, w->e, "metadata.labels",
				 "%zu labels are too many: at most %d are allowed", json_object_size(labels),
				 KIND_LABELS_MAX);
	json_object_foreach(labels, key, v)
	{
		join(at, "metadata.labels", key);
		if (!label_key_ok(key))
			return key_err(w, at,
				       "this is not a label name: letters, digits and \"-_.\", at most 63, "
				       "perhaps after a domain and \"/\"");
		if (json_string_length(v) && !label_part_ok(json_string_value(v), json_string_length(v), 63))
			return field_err(w->ret_field, w->e, at,
					 "%s is not a label value: letters, digits and \"-_.\", at most 63",
					 fields_show(v, shown));
	}
	return 0;
}

static int check_annotations(const struct walk *w, const json_t *doc)
{
	json_t *notes = kind_get(doc, "metadata.annotations"), *v;
	size_t total = 0;
	const char *key;

	json_object_foreach(notes, key, v) total += strlen(key) + json_string_length(v);
	if (total > 256 << 10)
		return field_err(w->ret_field, w->e, "metadata.annotations",
				 "%zu bytes are too many: at most 262144 are allowed", total);
	return 0;
}

static int check_header(const struct walk *w, const struct kind_info *k, const json_t *doc)
{
	const json_t *api = json_object_get(doc, "apiVersion"), *kind = json_object_get(doc, "kind");
	char shown[SHOW_MAX];

	if (!json_is_string(kind) || strcmp(json_string_value(kind), k->name) != 0)
		return field_err(w->ret_field, w->e, "kind", "%s is not %s", fields_show(kind, shown),
				 k->name);
	if (!json_is_string(api))
		return field_err(w->ret_field, w->e, "apiVersion",
				 "it is missing: it must be projectcalico.org/v3");
	if (strcmp(json_string_value(api), "projectcalico.org/v3") != 0)
		return field_err(w->ret_field, w->e, "apiVersion", "%s is not projectcalico.org/v3",
				 fields_show(api, shown));
	return 0;
}

static int check_name(const struct walk *w, const struct kind_info *k, const json_t *doc)
{
	json_t *name = kind_get(doc, "metadata.name"), *ns = kind_get(doc, "metadata.namespace");
	char shown[SHOW_MAX];

	if (!name && k->kind != KIND_WEP)
		return field_err(w->ret_field, w->e, "metadata.name", "it is missing: every %s has a name",
				 k->name);
	/* Names of endpoints are computed; wep_check() compares them. */
	if (name && k->kind != KIND_WEP && !kind_name_ok(json_string_value(name)))
		return field_err(
			w->ret_field, w->e, "metadata.name",
			"%s is not a name: lower-case letters, digits, \"-\" and \".\", at most 253, "
			"beginning and ending with a letter or digit",
			fields_show(name, shown));
	if (ns && !k->namespaced)
		return field_err(w->ret_field, w->e, "metadata.namespace",
				 "%s is not namespaced: leave it out", k->name);
	if (ns && !kind_name_ok(json_string_value(ns)))
		return field_err(w->ret_field, w->e, "metadata.namespace",
				 "%s is not the name of a namespace", fields_show(ns, shown));
	return 0;
}

/* ---- updates ---- */

/* Fields that may not change, against the stored document with its defaults filled in. */
static int check_immutable(const struct walk *w, const struct kind_info *k, const json_t *doc,
			   const json_t *old)
{
	char field[KIND_FIELD_MAX], before[SHOW_MAX], now[SHOW_MAX];
	json_t *copy = json_deep_copy(old);
	int rc = 0;

	if (k->check(copy, NULL, false, field, NULL) < 0) {
		/* An unusable stored document is mended by overwriting it. */
		json_decref(copy);
		return 0;
	}
	for (const struct kind_field *row = k->fields; row->path && rc == 0; row++) {
		const json_t *a = kind_get(copy, row->path), *b = kind_get(doc, row->path);
		if (row->immutable && a && !json_equal((json_t *)a, (json_t *)b))
			rc = field_err(w->ret_field, w->e, row->path,
				       "it cannot be changed from %s to %s: make a new %s instead",
				       fields_show(a, before), fields_show(b, now), k->name);
	}
	json_decref(copy);
	return rc;
}

int fields_check(const struct kind_info *k, json_t *doc, const json_t *old, bool strict,
		 char ret_field[static KIND_FIELD_MAX], struct err *e)
{
	struct walk w = { { envelope_fields, k->fields }, strict, ret_field, e };

	ret_field[0] = '\0';
	if (!json_is_object(doc))
		return err_set(e, EINVAL, "a document must be a map of fields");
	int rc = check_header(&w, k, doc);
	if (rc == 0)
		rc = check_object(&w, doc, "", "");
	if (rc == 0)
		rc = check_name(&w, k, doc);
	if (rc == 0 && strict)
		rc = check_labels(&w, doc);
	if (rc == 0 && strict)
		rc = check_annotations(&w, doc);
	if (rc == 0 && old)
		rc = check_immutable(&w, k, doc, old);
	return rc;
}

/* ---- decoding ---- */

static int put_string(const struct kind_field *row, const json_t *v, char *dst, struct err *e)
{
	if (json_string_length(v) >= row->size)
		return err_set(e, EINVAL, "%s: %zu bytes are too long: at most %d are allowed", row->path,
			       json_string_length(v), row->size - 1);
	memcpy(dst, json_string_value(v), json_string_length(v) + 1);
	return 0;
}

static void put_number(const struct kind_field *row, int64_t n, void *dst)
{
	switch (row->size) {
	case 1:
		*(uint8_t *)dst = (uint8_t)n;
		break;
	case 2:
		*(uint16_t *)dst = (uint16_t)n;
		break;
	case 4:
		*(uint32_t *)dst = (uint32_t)n;
		break;
	default:
		CHECK(row->size == 8);
		*(int64_t *)dst = n;
	}
}

static int decode_value(const struct kind_field *row, const json_t *v, void *dst, struct err *e)
{
	const char *s = json_string_value(v);

	switch (row->form) {
	case FORM_STRING:
		return put_string(row, v, dst, e);
	case FORM_INT:
		put_number(row, json_integer_value(v), dst);
		break;
	case FORM_BOOL:
		*(bool *)dst = json_is_true(v);
		break;
	case FORM_WORD:
		put_number(row, word_index(row, s), dst);
		break;
	case FORM_PREFIX:
		CHECK(prefix_parse(s, dst));
		break;
	case FORM_IP:
		CHECK(addr_parse(s, dst));
		break;
	case FORM_MAC:
		CHECK(mac_parse(s, dst));
		break;
	default:
		CHECK(!"a form that is decoded by its kind");
	}
	return 0;
}

int fields_decode(const struct kind_field *t, const json_t *doc, void *ret, struct err *e)
{
	char field[KIND_FIELD_MAX];
	struct walk w = { .ret_field = field, .e = e };

	for (const struct kind_field *row = t; row->path; row++) {
		if (!row->into)
			continue;
		const json_t *v = kind_get(doc, row->path);
		if (!v || (json_is_string(v) && !json_string_length(v)))
			continue;
		if (!form_ok(row, v) || (row->ok && !row->ok(v)))
			return form_err(&w, row, v, row->path);
		int rc = decode_value(row, v, (char *)ret + row->into - 1, e);
		if (rc < 0)
			return rc;
	}
	return 0;
}

const char *fields_str(const json_t *doc, const char *path)
{
	const char *s = json_string_value(kind_get(doc, path));

	return s ? s : "";
}
