/*
 * Resources by name and from files. All that decides is pure: it gets texts and gives documents; apply, get
 * and delete carry them to the store and back.
 */
#include "ctl/resource.h"

#include "base/check.h"
#include "ctl/lab_state.h"
#include "ctl/near.h"
#include "ctl/out.h"
#include "loop/loop.h"
#include "model/ippool.h"

#include <ctype.h>
#include <dirent.h>
#include <stdio.h>
#include <strings.h>
#include <sys/stat.h>

#define PATH_BYTES 512 /* of a field path while a document is walked */

/* ---- the datastore ---- */

const char *resource_where(const char *given, const char *env, bool lab_is_up)
{
	if (given)
		return given;
	if (env && *env)
		return env;
	return lab_is_up ? LAB_STORE : RESOURCE_DEFAULT_WHERE;
}

int resource_open(const struct verb_args *a, bool create, struct resource_store *ret, struct err *e)
{
	const char *where =
		resource_where(verb_get(a, "datastore"), getenv("KORAT_DATASTORE"), lab_state_exists());

	*ret = (struct resource_store){ .loop = loop_new(e) };
	if (!ret->loop)
		return -e->code;
	ret->wall = loop_wall(ret->loop);
	ret->store = store_open(ret->loop, where, create, e);
	return ret->store ? 0 : -e->code;
}

void resource_close(struct resource_store *s)
{
	store_free(s->store);
	if (s->loop)
		loop_free(s->loop);
	*s = (struct resource_store){ 0 };
}

/* ---- what the command line names ---- */

const struct kind_info *resource_kind(const char *word, struct err *e)
{
	const struct kind_info *k = kind_find(word);
	const char *plurals[KINDS] = { 0 }, *both[2 * KINDS] = { 0 }, *near;
	own_str struct str s = { 0 };
	size_t n = 0;

	if (k)
		return k;
	for (int i = KIND_NONE + 1; i < KINDS; i++, n++) {
		plurals[n] = both[2 * n] = kind_info((enum kind)i)->plural;
		both[2 * n + 1] = kind_info((enum kind)i)->name;
	}
	if ((near = near_find(word, both)))
		str_addf(&s, "did you mean '%s'? ", kind_find(near)->plural);
	near_explain(&s, "", plurals, "kinds are");
	err_set(e, EINVAL, "unknown kind '%.60s': %s", word, s.s);
	return NULL;
}

static void add_name(struct resource_names *n, const char *name, const char *namespace)
{
	n->names = xrealloc(n->names, (n->n + 1) * sizeof(n->names[0]));
	n->names[n->n++] = n->kind->namespaced && !strchr(name, '/') ? xasprintf("%s/%s", namespace, name)
								     : xstrdup(name);
}

/* The word before the first slash, if there is one. */
static bool split_title(const char *arg, char word[static 64], const char **ret_rest)
{
	const char *slash = strchr(arg, '/');

	if (!slash)
		return false;
	snprintf(word, 64, "%.*s", (int)MIN((size_t)(slash - arg), 63), arg);
	*ret_rest = slash + 1;
	return true;
}

static int take_titles(const struct verb_args *a, const char *namespace, struct resource_names *ret)
{
	struct err e = { 0 };
	const char *name;
	char word[64];

	for (size_t i = 0; i < a->npos; i++) {
		if (!split_title(a->pos[i], word, &name) || !*name)
			return verb_bad(a, "'%s' is not KIND/NAME, as the operand before it", a->pos[i]);
		const struct kind_info *k = resource_kind(word, &e);
		if (!k)
			return verb_bad(a, "%s", e.msg);
		if (ret->kind && ret->kind != k)
			return verb_bad(a, "one kind at a time: %s and %s are two", ret->kind->name, k->name);
		ret->kind = k;
		add_name(ret, name, namespace);
	}
	return 0;
}

int resource_names(const struct verb_args *a, struct resource_names *ret)
{
	const char *namespace = verb_get(a, "namespace"), *rest;
	struct err e = { 0 };
	char word[64];
	int code = 0;

	*ret = (struct resource_names){ 0 };
	CHECK(a->npos);
	if (split_title(a->pos[0], word, &rest)) {
		code = take_titles(a, namespace ? namespace : "default", ret);
	} else {
		ret->kind = resource_kind(a->pos[0], &e);
		if (!ret->kind)
			return verb_bad(a, "%s", e.msg);
		for (size_t i = 1; i < a->npos; i++)
			add_name(ret, a->pos[i], namespace ? namespace : "default");
	}
	if (!code && namespace && !ret->kind->namespaced)
		code = verb_bad(a, "%s is not namespaced: leave --namespace out", ret->kind->name);
	return code;
}

void resource_names_done(struct resource_names *n)
{
	for (size_t i = 0; i < n->n; i++)
		free(n->names[i]);
	free(n->names);
	*n = (struct resource_names){ 0 };
}

void resource_title(struct str *s, const struct kind_info *k, const char *name)
{
	for (const char *p = k->name; *p; p++)
		str_addf(s, "%c", tolower((unsigned char)*p));
	str_addf(s, "/%s", name);
}

struct listing {
	char **names;
	size_t n;
};

static void list_name(void *arg, const struct store_obj *obj)
{
	struct listing *l = arg;

	l->names = xrealloc(l->names, (l->n + 2) * sizeof(l->names[0]));
	l->names[l->n++] = xstrdup(obj->name);
	l->names[l->n] = NULL;
}

int resource_missing(struct resource_store *s, const struct kind_info *k, const char *name, struct err *e)
{
	struct listing l = { .names = xcalloc(1, sizeof(l.names[0])) };
	own_str struct str text = { 0 };
	char are[80];

	snprintf(are, sizeof(are), "%s are", k->plural);
	if (store_list_wait(s->loop, s->store, k->kind, list_name, &l, NULL) == 0 && l.n)
		near_explain(&text, name, (const char *const *)l.names, are);
	else
		str_addf(&text, "there is none at all");
	for (size_t i = 0; i < l.n; i++)
		free(l.names[i]);
	free(l.names);
	return err_set(e, ENOENT, "there is no %s '%.200s': %.200s", k->name, name, text.s);
}

/* ---- resources in files ---- */

void resource_place(const struct resources *all, const struct resource *r, const char *field, struct err *e)
{
	char path[KIND_FIELD_MAX + sizeof(r->at) + 1];
	struct err placed = { 0 };

	snprintf(path, sizeof(path), "%s%s%s", r->at, *r->at && *field ? "." : "", field);
	yaml_err(&all->files[r->file], r->doc, path, &placed, "%s", e->msg);
	*e = placed;
}

void resource_fault(struct resources *all, const struct resource *r, const char *field, const struct err *e)
{
	struct err placed = *e;

	resource_place(all, r, field, &placed);
	out_error(&placed);
	all->faults++;
}

/* The name of one whose name is computed (an endpoint's) is in its checked form. */
static int name_of(struct resource *r, char field[static KIND_FIELD_MAX], struct err *e)
{
	json_t *copy;
	int rc;

	snprintf(field, KIND_FIELD_MAX, "metadata.name");
	if (kind_store_name(r->kind, r->given, r->name, e) == 0)
		return 0;
	copy = json_deep_copy(r->given);
	rc = r->kind->check(copy, NULL, true, field, e);
	if (rc == 0)
		rc = kind_store_name(r->kind, copy, r->name, e);
	json_decref(copy);
	return rc;
}

static void take_resource(struct resources *all, size_t doc, const char *at, const json_t *given)
{
	struct resource r = { .file = all->nfiles - 1, .doc = doc, .given = json_deep_copy(given) };
	char field[KIND_FIELD_MAX] = "";
	struct err e = { 0 };

	snprintf(r.at, sizeof(r.at), "%s", at);
	r.kind = kind_of(given, field, &e);
	if (r.kind && r.kind->internal) {
		snprintf(field, sizeof(field), "kind");
		err_set(&e, EINVAL, "kind: %s is written by korat itself and cannot be changed by hand",
			r.kind->name);
	}
	if (e.code || name_of(&r, field, &e) < 0) {
		resource_fault(all, &r, field, &e);
		json_decref(r.given);
		return;
	}
	all->r = xrealloc(all->r, (all->n + 1) * sizeof(all->r[0]));
	all->r[all->n++] = r;
}

static void take_document(struct resources *all, size_t doc)
{
	const json_t *json = yaml_json(&all->files[all->nfiles - 1], doc), *items = kind_items(json);
	char at[32];

	if (!items)
		take_resource(all, doc, "", json);
	for (size_t i = 0; i < json_array_size(items); i++) {
		snprintf(at, sizeof(at), "items[%zu]", i);
		take_resource(all, doc, at, json_array_get(items, i));
	}
}

static void read_file(struct resources *all, const char *path)
{
	struct yaml y = { 0 };
	struct err e = { 0 };

	if (yaml_read_file(path, &y, &e) == 0 && !y.n) {
		err_set(&e, EINVAL, "%s:1:1: there is no document in this file", path);
		yaml_done(&y);
	}
	if (e.code) {
		out_error(&e);
		all->faults++;
		return;
	}
	all->files = xrealloc(all->files, (all->nfiles + 1) * sizeof(all->files[0]));
	all->files[all->nfiles++] = y;
	for (size_t i = 0; i < y.n; i++)
		take_document(all, i);
}

static int is_resource_file(const struct dirent *d)
{
	static const char *const ends[] = { ".yaml", ".yml", ".json" };
	const char *dot = strrchr(d->d_name, '.');

	for (size_t i = 0; dot && dot != d->d_name && i < ARRAY_SIZE(ends); i++)
		if (strcmp(dot, ends[i]) == 0)
			return 1;
	return 0;
}

static void read_directory(struct resources *all, const char *path)
{
	struct dirent **found = NULL;
	struct err e = { 0 };
	int n = scandir(path, &found, is_resource_file, alphasort);

	if (n < 0)
		err_set(&e, errno, "read the directory %s: %m", path);
	else if (n == 0)
		err_set(&e, ENOENT, "there is no .yaml, .yml or .json file in %s", path);
	for (int i = 0; i < n; i++) {
		own_mem char *file = xasprintf("%s/%s", path, found[i]->d_name);
		read_file(all, file);
		free(found[i]);
	}
	free(found);
	if (e.code) {
		out_error(&e);
		all->faults++;
	}
}

static void read_path(struct resources *all, const char *path)
{
	struct stat st;

	if (strcmp(path, "-") != 0 && stat(path, &st) == 0 && S_ISDIR(st.st_mode))
		read_directory(all, path);
	else
		read_file(all, path);
}

void resources_read(const struct verb_args *a, struct resources *ret)
{
	*ret = (struct resources){ 0 };
	for (size_t i = 0; i < a->nset; i++)
		if (strcmp(a->set[i].opt->name, "filename") == 0)
			read_path(ret, a->set[i].value);
	/* "-f *.yaml": the shell has made operands of all but the first. */
	for (size_t i = 0; i < a->npos; i++)
		read_path(ret, a->pos[i]);
}

void resources_done(struct resources *all)
{
	for (size_t i = 0; i < all->n; i++) {
		json_decref(all->r[i].given);
		json_decref(all->r[i].ready);
	}
	for (size_t i = 0; i < all->nfiles; i++)
		yaml_done(&all->files[i]);
	free(all->r);
	free(all->files);
	*all = (struct resources){ 0 };
}

/* ---- what becomes of the stored document ---- */

/* Is path ("spec.ports[].name") a field of the kind, or above one? */
static bool is_known(const struct kind_info *k, const char *path)
{
	size_t n = strlen(path);

	for (const struct kind_field *f = k->fields; f->path; f++)
		if (strncmp(f->path, path, n) == 0 && (!f->path[n] || f->path[n] == '.' || f->path[n] == '['))
			return true;
	return false;
}

static bool has_members(const struct kind_info *k, const char *path)
{
	size_t n = strlen(path);

	for (const struct kind_field *f = k->fields; f->path; f++)
		if (strncmp(f->path, path, n) == 0 && f->path[n] == '.')
			return true;
	return false;
}

/* Is every member of x in y, and the same? */
static bool is_part_of(const json_t *x, const json_t *y)
{
	const char *key;
	json_t *v;

	json_object_foreach((json_t *)x, key, v)
	{
		const json_t *w = json_object_get(y, key);
		if (!w || !json_equal(v, (json_t *)w))
			return false;
	}
	return json_is_object(x) && json_is_object(y);
}

enum unknown {
	UNKNOWN_DROP, /* take out of doc what is the same in old: who edits what `get` printed brings it along
		       */
	UNKNOWN_KEEP, /* copy into doc what only old has */
};

/* Members of old that Korat does not know: a newer Calico wrote them, so they are neither errors nor lost. */
static void handle_unknown(enum unknown how, const struct kind_info *k, const char *path, json_t *doc,
			   const json_t *old);

static void handle_member(enum unknown how, const struct kind_info *k, const char *path, json_t *mine,
			  const json_t *theirs)
{
	char at[PATH_BYTES];
	size_t i, j;
	json_t *x, *y;

	if (json_is_object(mine) && json_is_object(theirs) && has_members(k, path)) {
		handle_unknown(how, k, path, mine, theirs);
		return;
	}
	snprintf(at, sizeof(at), "%.500s[]", path);
	if (!json_is_array(mine) || !json_is_array(theirs) || !has_members(k, at))
		return;
	json_array_foreach(mine, i, x)
	{
		json_array_foreach((json_t *)theirs, j, y)
		{
			if (!is_part_of(x, y))
				continue;
			handle_unknown(how, k, at, x, y);
			break;
		}
	}
}

static void handle_unknown(enum unknown how, const struct kind_info *k, const char *path, json_t *doc,
			   const json_t *old)
{
	char at[PATH_BYTES];
	const char *key;
	json_t *theirs;

	json_object_foreach((json_t *)old, key, theirs)
	{
		json_t *mine = json_object_get(doc, key);
		snprintf(at, sizeof(at), "%.250s%s%.250s", path, *path ? "." : "", key);
		if (is_known(k, at))
			handle_member(how, k, at, mine, theirs);
		else if (how == UNKNOWN_KEEP && !mine)
			json_object_set_new(doc, key, json_deep_copy(theirs));
		else if (how == UNKNOWN_DROP && mine && json_equal(mine, theirs))
			json_object_del(doc, key);
	}
}

/* The same below spec, status and whatever else there is beside the envelope. */
static void handle_all_unknown(enum unknown how, const struct kind_info *k, json_t *doc, const json_t *old)
{
	static const char *const envelope[] = { "kind", "apiVersion", "metadata" };
	json_t *rest = json_copy((json_t *)old);

	for (size_t i = 0; i < ARRAY_SIZE(envelope); i++)
		json_object_del(rest, envelope[i]);
	handle_unknown(how, k, "", doc, rest);
	json_decref(rest);
}

/* Users write labels and annotations; the rest of metadata is bookkeeping of programs. */
static void keep_metadata(json_t *doc, const json_t *old)
{
	static const char *const users[] = { "labels", "annotations" };
	json_t *rest = json_copy(json_object_get(old, "metadata"));

	for (size_t i = 0; i < ARRAY_SIZE(users); i++)
		json_object_del(rest, users[i]);
	json_object_update_missing(json_object_get(doc, "metadata"), rest);
	json_decref(rest);
}

static void keep_member(json_t *doc, const json_t *old, const char *name)
{
	json_t *theirs = json_object_get(old, name);

	if (theirs && json_is_object(doc) && !json_object_get(doc, name))
		json_object_set_new(doc, name, json_deep_copy(theirs));
}

/* What nobody writes by hand: a file without it does not take it away. */
static void keep_reports(const struct kind_info *k, json_t *doc, const json_t *old)
{
	static const char *const cluster[] = { "clusterGUID", "clusterType", "calicoVersion" };

	keep_member(doc, old, "status");
	for (size_t i = 0; i < ARRAY_SIZE(cluster) && k->kind == KIND_CLUSTERINFO; i++)
		keep_member(json_object_get(doc, "spec"), json_object_get(old, "spec"), cluster[i]);
}

/* A file that was made by `get` says which revision it was made from. */
static int check_revision(const json_t *doc, int64_t rev, char ret_field[static KIND_FIELD_MAX],
			  struct err *e)
{
	const char *given = json_string_value(kind_get(doc, "metadata.resourceVersion"));
	char present[24];

	snprintf(present, sizeof(present), "%lld", (long long)rev);
	if (!given || strcmp(given, present) == 0)
		return 0;
	snprintf(ret_field, KIND_FIELD_MAX, "metadata.resourceVersion");
	return err_set(
		e, ESTALE,
		"metadata.resourceVersion: %.40s is not the present revision %s: somebody has changed it "
		"since; get it again, or leave resourceVersion out",
		given, present);
}

/* Is doc what is stored already, but for defaults that are now written out? */
static bool is_same(const struct kind_info *k, const json_t *doc, const json_t *old, const uint8_t uid[16],
		    nsec_t wall)
{
	char field[KIND_FIELD_MAX];
	json_t *copy = json_deep_copy(old);
	bool same = false;

	if (k->check(copy, NULL, false, field, NULL) == 0) {
		kind_stamp(copy, old, uid, wall);
		same = json_equal(copy, (json_t *)doc);
	}
	json_decref(copy);
	return same;
}

int resource_prepare(struct resource *r, const char *stored, int64_t rev, const uint8_t uid[16], nsec_t wall,
		     char ret_field[static KIND_FIELD_MAX], struct err *e)
{
	json_t *doc = json_deep_copy(r->given), *old = NULL;
	int rc = 0;

	ret_field[0] = '\0';
	/* A stored text that cannot be read is mended by overwriting it. */
	if (stored && kind_parse_json(stored, strlen(stored), &old, NULL) < 0)
		old = json_object();
	if (old) {
		keep_reports(r->kind, doc, old);
		handle_all_unknown(UNKNOWN_DROP, r->kind, doc, old);
		rc = check_revision(doc, rev, ret_field, e);
	}
	if (rc == 0)
		rc = r->kind->check(doc, old, true, ret_field, e);
	if (rc == 0 && old) {
		handle_all_unknown(UNKNOWN_KEEP, r->kind, doc, old);
		keep_metadata(doc, old);
	}
	if (rc == 0) {
		kind_stamp(doc, old, uid, wall);
		r->change = !old				    ? RESOURCE_CREATED
			    : is_same(r->kind, doc, old, uid, wall) ? RESOURCE_UNCHANGED
								    : RESOURCE_CONFIGURED;
		json_decref(r->ready);
		r->ready = json_incref(doc);
		r->rev = old ? rev : 0;
	}
	json_decref(old);
	json_decref(doc);
	return rc;
}

/* ---- what several resources say together ---- */

static void check_twice(struct resources *all, const struct resource *r)
{
	for (const struct resource *o = all->r; o < r; o++) {
		struct err e = { 0 };
		int line, column;
		if (o->kind != r->kind || strcmp(o->name, r->name) != 0)
			continue;
		yaml_where(&all->files[o->file], o->doc, o->at, &line, &column);
		err_set(&e, EINVAL, "metadata.name: %s %.100s is given twice: first at %.120s:%d:%d",
			r->kind->name, r->name, all->files[o->file].file, line, column);
		resource_fault(all, r, "metadata.name", &e);
		return;
	}
}

static bool is_replaced(const struct resources *all, const char *pool)
{
	for (size_t i = 0; i < all->n; i++)
		if (all->r[i].kind->kind == KIND_IPPOOL && strcmp(all->r[i].name, pool) == 0)
			return true;
	return false;
}

/* Pools are compared with those that stay, and with those that stand before them in the files. */
static void check_pools(struct resources *all, const struct ippool *stored, size_t n)
{
	struct ippool *pools = xcalloc(all->n + n, sizeof(*pools));
	size_t npools = 0;

	for (size_t i = 0; i < n; i++)
		if (!is_replaced(all, stored[i].name))
			pools[npools++] = stored[i];
	for (size_t i = 0; i < all->n; i++) {
		const struct resource *r = &all->r[i];
		struct ippool *p = &pools[npools];
		struct err e = { 0 };
		if (r->kind->kind != KIND_IPPOOL || !r->ready || ippool_decode(r->ready, p, NULL) < 0)
			continue;
		if (ippool_check_overlap(p, pools, npools, &e) < 0)
			resource_fault(all, r, "spec.cidr", &e);
		npools++;
	}
	free(pools);
}

void resources_check_together(struct resources *all, const struct ippool *stored, size_t n)
{
	for (size_t i = 0; i < all->n; i++)
		check_twice(all, &all->r[i]);
	check_pools(all, stored, n);
}
