/*
 * korat delete: resources out of the datastore, but nothing that is in use. A pool goes only when no pod has
 * an address of it; the empty blocks of a pool or a node are given back with it.
 */
#include "base/check.h"
#include "ctl/out.h"
#include "ctl/release.h"
#include "ctl/resource.h"
#include "ctl/verb.h"

#include <stdio.h>

#define TRIES_MAX 8 /* how often others may be faster */

struct deletion {
	const struct verb_args *args;
	struct resource_store store;
};

/* ---- pools ---- */

struct pool {
	const char *name;
	char *stored;
	json_t *doc;
	int64_t rev;
	struct prefix cidr; /* unset if it has none that can be used: then no block is in it */
	bool closed;	    /* we have set spec.disabled */
};

static void pool_done(struct pool *p)
{
	free(p->stored);
	json_decref(p->doc);
	*p = (struct pool){ 0 };
}

static int read_pool(struct deletion *d, const char *name, struct pool *ret, struct err *e)
{
	struct pool p = { .name = name };
	int rc = store_get_wait(d->store.loop, d->store.store, KIND_IPPOOL, name, &p.stored, &p.rev, e);

	if (rc < 0)
		return rc;
	if (kind_parse_json(p.stored, strlen(p.stored), &p.doc, NULL) == 0) {
		const char *cidr = json_string_value(kind_get(p.doc, "spec.cidr"));
		if (!cidr || !prefix_parse(cidr, &p.cidr))
			p.cidr = (struct prefix){ 0 };
	}
	*ret = p;
	return 0;
}

static int write_pool(struct deletion *d, struct pool *p, const char *text, struct err *e)
{
	return store_write_wait(d->store.loop, d->store.store, KIND_IPPOOL, p->name, text, p->rev, false,
				&p->rev, e);
}

/* No new addresses from here on. */
static int close_pool(struct deletion *d, struct pool *p, struct err *e)
{
	json_t *spec = kind_get(p->doc, "spec");

	if (!spec || json_is_true(json_object_get(spec, "disabled")))
		return 0;
	json_object_set_new(spec, "disabled", json_true());
	own_mem char *text = kind_dump_json(p->doc);
	int rc = write_pool(d, p, text, e);
	p->closed = rc == 0;
	return rc;
}

static int in_use(const struct pool *p, const struct release_left *left, struct err *e)
{
	return err_set(
		e, EBUSY,
		"IPPool %.120s has %llu addresses in %u blocks in use: set its spec.disabled to true, so "
		"that no new ones are taken, delete the pods that have them, then delete the pool",
		p->name, (unsigned long long)left->addresses, left->blocks);
}

static int empty_pool(struct deletion *d, struct pool *p, struct err *e)
{
	struct release_left left;
	int rc = release_look(d->store.loop, d->store.store, &p->cidr, &left, e);

	if (rc == 0 && left.blocks)
		return in_use(p, &left, e);
	if (rc == 0)
		rc = close_pool(d, p, e);
	if (rc == 0)
		rc = release_pool(d->store.loop, d->store.store, &p->cidr, &left, e);
	return rc == 0 && left.blocks ? in_use(p, &left, e) : rc;
}

static int delete_pool_once(struct deletion *d, const char *name, struct err *e)
{
	struct pool p;
	int rc = read_pool(d, name, &p, e);

	if (rc < 0)
		return rc;
	if (addr_is_set(&p.cidr.addr))
		rc = empty_pool(d, &p, e);
	if (rc == 0)
		rc = store_delete_wait(d->store.loop, d->store.store, KIND_IPPOOL, name, p.rev, e);
	/* What is not deleted is left as it was. */
	if (rc < 0 && p.closed)
		write_pool(d, &p, p.stored, NULL);
	pool_done(&p);
	return rc;
}

static int delete_pool(struct deletion *d, const char *name, struct err *e)
{
	int rc = STORE_STALE;

	for (int tries = 0; tries < TRIES_MAX && rc == STORE_STALE; tries++)
		rc = delete_pool_once(d, name, e);
	return rc == STORE_STALE
		       ? err_set(e, EAGAIN, "others are changing IPPool %.200s all the time: try again", name)
		       : rc;
}

/* ---- nodes ---- */

/* The Node first: without it its agent claims no blocks. They are given back also if it has gone before. */
static int delete_node(struct deletion *d, const char *name, struct err *e)
{
	struct release_left left = { 0 };
	struct err e2 = { 0 };
	int rc = store_delete_wait(d->store.loop, d->store.store, KIND_NODE, name, 0, e);

	if (rc < 0 && rc != STORE_NOT_FOUND)
		return rc;
	int released = release_node(d->store.loop, d->store.store, name, &left, &e2);
	if (left.blocks)
		out_note("note: %llu addresses of %s in %u blocks are still given out, to pods that were not "
			 "deleted before it",
			 (unsigned long long)left.addresses, name, left.blocks);
	if (rc == 0 && released < 0) {
		*e = e2;
		return released;
	}
	return rc;
}

/* ---- any ---- */

static int delete_object(struct deletion *d, const struct kind_info *k, const char *name, struct err *e)
{
	if (k->internal)
		return err_set(e, EPERM,
			       "%s is written by koratd itself and cannot be deleted by hand: it goes with "
			       "its pods, "
			       "its pool or its node",
			       k->name);
	switch (k->kind) {
	case KIND_IPPOOL:
		return delete_pool(d, name, e);
	case KIND_NODE:
		return delete_node(d, name, e);
	case KIND_CLUSTERINFO:
		return err_set(e, EPERM, "every cluster has one ClusterInformation: it cannot be deleted");
	default:
		return store_delete_wait(d->store.loop, d->store.store, k->kind, name, 0, e);
	}
}

/* 0, or -errno with e; what was not there and may be so is neither. */
static int delete_one(struct deletion *d, const struct kind_info *k, const char *name, struct err *e)
{
	own_str struct str title = { 0 };
	int rc = delete_object(d, k, name, e);

	if (rc == STORE_NOT_FOUND && verb_has(d->args, "ignore-not-found"))
		return 0;
	if (rc == STORE_NOT_FOUND)
		return resource_missing(&d->store, k, name, e);
	if (rc < 0)
		return rc;
	resource_title(&title, k, name);
	printf("%s deleted\n", title.s);
	return 0;
}

static int delete_named(struct deletion *d)
{
	own_resource_names struct resource_names wanted = { 0 };
	struct err e = { 0 };
	int code = resource_names(d->args, &wanted);

	if (code)
		return code;
	if (!wanted.n)
		return verb_bad(d->args, "which %s? Name it; nothing is deleted by its kind alone",
				wanted.kind->name);
	if (resource_open(d->args, false, &d->store, &e) < 0)
		return out_exit(-1, &e);
	for (size_t i = 0; i < wanted.n; i++) {
		struct err bad = { 0 };
		if (delete_one(d, wanted.kind, wanted.names[i], &bad) < 0) {
			out_error(&bad);
			code = VERB_FAILED;
		}
	}
	return code;
}

/* Last written, first deleted: what stands above may be needed by what stands below. */
static int delete_from_files(struct deletion *d)
{
	own_resources struct resources all = { 0 };
	struct err e = { 0 };

	resources_read(d->args, &all);
	if (all.faults) {
		out_note("Nothing was deleted.");
		return VERB_FAILED;
	}
	if (resource_open(d->args, false, &d->store, &e) < 0)
		return out_exit(-1, &e);
	for (size_t i = all.n; i-- > 0;) {
		struct err bad = { 0 };
		if (delete_one(d, all.r[i].kind, all.r[i].name, &bad) < 0)
			resource_fault(&all, &all.r[i], "", &bad);
	}
	return all.faults ? VERB_FAILED : VERB_OK;
}

static int delete_run(const struct verb_args *a)
{
	struct deletion d = { .args = a };
	int code;

	if (verb_has(a, "filename")) {
		code = delete_from_files(&d);
	} else if (!a->npos) {
		code = verb_bad(a, "what? Give a kind and names, or -f and a file");
	} else {
		code = delete_named(&d);
	}
	resource_close(&d.store);
	return code;
}

static const struct verb_opt opts[] = {
	RESOURCE_OPT_FILE,
	{ "ignore-not-found", 0, NULL, "what is not there is no error" },
	RESOURCE_OPT_NAMESPACE,
	RESOURCE_OPT_DATASTORE,
	{ NULL },
};

const struct verb verb_delete = {
	.name = "delete",
	.args = "KIND NAME... | KIND/NAME... | -f FILE...",
	.summary = "delete resources",
	.text = "A pool that pods have addresses of is not deleted. Of -f files only kind and name count.\n",
	.examples = "  korat delete ippool old-pool\n"
		    "  korat delete -f ippool.yaml --ignore-not-found\n",
	.opts = opts,
	.run = delete_run,
};
