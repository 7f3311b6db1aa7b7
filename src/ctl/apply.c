/*
 * korat apply: the resources of files into the datastore. Everything is checked before anything is written;
 * each write says which revision it was made for, so that nobody else's change is lost.
 */
#include "base/check.h"
#include "ctl/out.h"
#include "ctl/resource.h"
#include "ctl/verb.h"
#include "model/ippool.h"

#include <stdio.h>
#include <sys/random.h>

#define TRIES_MAX 8 /* how often others may be faster */

static const char *const change_words[] = { [RESOURCE_CREATED] = "created",
					    [RESOURCE_CONFIGURED] = "configured",
					    [RESOURCE_UNCHANGED] = "unchanged" };

/*
 * What a Calico document may say and koratd does not act on. It is stored, because the datastore may be
 * shared with Calico, but somebody who relies on it must hear of it. harmless is the value that asks for
 * nothing.
 */
static const struct {
	enum kind kind;
	const char *path, *harmless;
} idle[] = {
	{ KIND_IPPOOL, "spec.vxlanMode", "Never" },
	{ KIND_IPPOOL, "spec.ipipMode", "Never" },
	{ KIND_IPPOOL, "spec.natOutgoing", "false" },
	{ KIND_IPPOOL, "spec.namespaceSelector", "" },
	{ KIND_BGPCONFIG, "spec.serviceLoadBalancerIPs", "" },
	{ KIND_BGPCONFIG, "spec.serviceExternalIPs", "" },
	{ KIND_BGPCONFIG, "spec.serviceClusterIPs", "" },
	{ KIND_BGPCONFIG, "spec.prefixAdvertisements", "" },
	{ KIND_BGPCONFIG, "spec.nodeMeshPassword", "" },
	{ KIND_BGPCONFIG, "spec.nodeMeshMaxRestartTime", "" },
	{ KIND_BGPCONFIG, "spec.ignoredInterfaces", "" },
	{ KIND_BGPCONFIG, "spec.localWorkloadPeeringIPV4", "" },
	{ KIND_BGPCONFIG, "spec.localWorkloadPeeringIPV6", "" },
	{ KIND_BGPCONFIG, "spec.ipv4NormalRoutePriority", "" },
	{ KIND_BGPCONFIG, "spec.ipv6NormalRoutePriority", "" },
};

static void note(const struct resources *all, const struct resource *r, const char *field, const char *text)
{
	struct err e = { 0 };

	err_set(&e, ENOTSUP, "%s: %s", field, text);
	resource_place(all, r, field, &e);
	out_note("note: %s", e.msg);
}

static bool asks_for(const json_t *v, const char *harmless)
{
	if (json_is_string(v))
		return strcmp(json_string_value(v), harmless) != 0;
	if (json_is_boolean(v))
		return json_is_true(v);
	return v && (!json_is_array(v) || json_array_size(v));
}

static void note_idle(const struct resources *all, const struct resource *r)
{
	for (size_t i = 0; i < ARRAY_SIZE(idle); i++)
		if (idle[i].kind == r->kind->kind &&
		    asks_for(kind_get(r->given, idle[i].path), idle[i].harmless))
			note(all, r, idle[i].path, "stored, but koratd does not act on it yet");
}

/* ---- checking ---- */

static void new_uid(uint8_t uid[static 16])
{
	CHECK(getrandom(uid, 16, 0) == 16);
}

/* Reads what is stored and makes of it what shall be. 0, or -errno with the field that is wrong, if it is
 * one.
 */
static int prepare(struct resource_store *s, struct resource *r, char field[static KIND_FIELD_MAX],
		   struct err *e)
{
	own_mem char *stored = NULL;
	int64_t rev = 0;
	uint8_t uid[16];
	int rc = 0;

	field[0] = '\0';
	new_uid(uid);
	if (s->store)
		rc = store_get_wait(s->loop, s->store, r->kind->kind, r->name, &stored, &rev, e);
	if (rc == STORE_NOT_FOUND)
		e->code = rc = 0;
	return rc < 0 ? rc : resource_prepare(r, stored, rev, uid, s->wall, field, e);
}

struct pools {
	struct ippool *p;
	size_t n;
};

static void add_pool(void *arg, const struct store_obj *obj)
{
	struct pools *l = arg;
	json_t *doc = NULL;

	l->p = xrealloc(l->p, (l->n + 1) * sizeof(l->p[0]));
	if (kind_parse_json(obj->value, strlen(obj->value), &doc, NULL) == 0 &&
	    ippool_decode(doc, &l->p[l->n], NULL) == 0)
		l->n++;
	json_decref(doc);
}

/* Says all that is wrong, not only the first. The store may be missing: then only the files are looked at. */
static int check_all(struct resource_store *s, struct resources *all, struct err *e)
{
	struct pools pools = { 0 };
	int rc = s->store ? store_list_wait(s->loop, s->store, KIND_IPPOOL, add_pool, &pools, e) : 0;

	for (size_t i = 0; i < all->n && rc == 0; i++) {
		char field[KIND_FIELD_MAX];
		struct err bad = { 0 };
		if (prepare(s, &all->r[i], field, &bad) < 0)
			resource_fault(all, &all->r[i], field, &bad);
	}
	if (rc == 0)
		resources_check_together(all, pools.p, pools.n);
	free(pools.p);
	return rc;
}

/* ---- writing ---- */

/* Did somebody else come first? Then their document is read, ours is made anew on top of it, and tried again.
 */
static bool lost_race(const struct resource *r, int rc)
{
	return rc == STORE_STALE || (rc == STORE_EXISTS && !r->rev) || (rc == STORE_NOT_FOUND && r->rev);
}

static int write_one(struct resource_store *s, struct resource *r, char field[static KIND_FIELD_MAX],
		     struct err *e)
{
	int rc = 0;

	for (int tries = 0; tries < TRIES_MAX; tries++) {
		if (r->change == RESOURCE_UNCHANGED)
			return 0;
		own_mem char *text = kind_dump_json(r->ready);
		rc = store_write_wait(s->loop, s->store, r->kind->kind, r->name, text, r->rev, !r->rev, NULL,
				      e);
		if (!lost_race(r, rc))
			return rc;
		rc = prepare(s, r, field, e);
		if (rc < 0)
			return rc;
	}
	return err_set(e, EAGAIN, "others are changing %s %.200s all the time: try again", r->kind->name,
		       r->name);
}

static void write_all(struct resource_store *s, struct resources *all, bool dry)
{
	for (size_t i = 0; i < all->n; i++) {
		struct resource *r = &all->r[i];
		own_str struct str title = { 0 };
		char field[KIND_FIELD_MAX] = "";
		struct err e = { 0 };
		resource_title(&title, r->kind, r->name);
		if (!dry && write_one(s, r, field, &e) < 0) {
			resource_fault(all, r, field, &e);
			continue;
		}
		printf("%s %s%s\n", title.s, change_words[r->change], dry ? " (dry run)" : "");
		if (r->change != RESOURCE_UNCHANGED)
			note_idle(all, r);
	}
}

/* Files with faults are still compared with what is stored, if there is a datastore; none is made for them.
 */
static int open_store(const struct verb_args *a, const struct resources *all, struct resource_store *s,
		      struct err *e)
{
	bool write = !all->faults && !verb_has(a, "dry-run");
	int rc = resource_open(a, write, s, e);

	return write || rc != -ENOENT ? rc : 0;
}

static int apply_run(const struct verb_args *a)
{
	own_resource_store struct resource_store s = { 0 };
	own_resources struct resources all = { 0 };
	struct err e = { 0 };

	if (!verb_has(a, "filename"))
		return verb_bad(a, "-f says which files to apply; -f - reads standard input");
	resources_read(a, &all);
	if (open_store(a, &all, &s, &e) < 0 || check_all(&s, &all, &e) < 0)
		return out_exit(-1, &e);
	if (all.faults) {
		out_note("Nothing was changed.");
		return VERB_FAILED;
	}
	write_all(&s, &all, verb_has(a, "dry-run"));
	return all.faults ? VERB_FAILED : VERB_OK;
}

static const struct verb_opt opts[] = {
	RESOURCE_OPT_FILE,
	{ "dry-run", 0, NULL, "check everything and say what would be done, but change nothing" },
	RESOURCE_OPT_DATASTORE,
	{ NULL },
};

const struct verb verb_apply = {
	.name = "apply",
	.args = "-f FILE...",
	.summary = "create resources, or change them to what files say",
	.text = "Files hold documents of apiVersion projectcalico.org/v3, in YAML or JSON, several in a file "
		"with\n"
		"\"---\" between them or as a List. All of them are checked before the first is written. "
		"What a\n"
		"file leaves out gets its default; labels and annotations too are as the file says.\n"
		"A node's koratd sees the change at once and brings the kernel in line with it.\n",
	.examples = "  # a pool, and whatever else is in the file\n"
		    "  korat apply -f ippool.yaml\n"
		    "  # change one field of what is there\n"
		    "  korat get bgpconfiguration default -o yaml | sed 's/asNumber: .*/asNumber: 64600/' | "
		    "korat "
		    "apply -f -\n",
	.opts = opts,
	.run = apply_run,
};
