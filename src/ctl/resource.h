/*
 * ctl/resource: what `korat apply`, `get` and `delete` share: which datastore they work on, the resources
 * that a command line or files name, and what becomes of the stored document when one is applied.
 */
#pragma once
#include "base/str.h"
#include "ctl/verb.h"
#include "model/kinds.h"
#include "model/yaml.h"
#include "store/store.h"

struct loop;

#define RESOURCE_DEFAULT_WHERE "sqlite:/var/lib/korat/korat.db"

#define RESOURCE_OPT_DATASTORE                                                                       \
	{                                                                                            \
		"datastore", 0, "WHERE",                                                             \
			"where resources are (default: $KORAT_DATASTORE, the lab's, the node's own)" \
	}
#define RESOURCE_OPT_FILE                                                                           \
	{                                                                                           \
		"filename", 'f', "FILE",                                                            \
			"a file, a directory of .yaml, .yml and .json files, or - (standard input)" \
	}
#define RESOURCE_OPT_NAMESPACE                                                          \
	{                                                                               \
		"namespace", 'n', "NAMESPACE", "of namespaced kinds (default: default)" \
	}

/* ---- the datastore ---- */

/* The first that says something: the option, the environment, a lab that is up; else the node's own. */
const char *resource_where(const char *given, const char *env, bool lab_is_up);

struct resource_store {
	struct loop *loop;
	struct store *store;
	nsec_t wall;
};

int resource_open(const struct verb_args *a, bool create, struct resource_store *ret, struct err *e);
void resource_close(struct resource_store *s);
#define own_resource_store __attribute__((cleanup(resource_close)))

/* ---- what the command line names ---- */

/* "ippool", "IPPools", "pool", ...: NULL with a sentence (a suggestion, the list) if there is no such kind.
 */
const struct kind_info *resource_kind(const char *word, struct err *e);

struct resource_names {
	const struct kind_info *kind;
	char **names; /* store names */
	size_t n;
};

/* KIND [NAME...] or KIND/NAME...: 0, or the exit code after having said what is wrong. */
int resource_names(const struct verb_args *a, struct resource_names *ret);
void resource_names_done(struct resource_names *n);
#define own_resource_names __attribute__((cleanup(resource_names_done)))

/* "ippool/default-pool": how a resource is called in what we print, and how it can be typed. */
void resource_title(struct str *s, const struct kind_info *k, const char *name);
/* "there is no IPPool 'defualt': did you mean ...", from the names that are stored. Fills e, returns -ENOENT.
 */
int resource_missing(struct resource_store *s, const struct kind_info *k, const char *name, struct err *e);

/* ---- resources in files ---- */

enum resource_change { RESOURCE_CREATED, RESOURCE_CONFIGURED, RESOURCE_UNCHANGED };

struct resource {
	size_t file, doc; /* where it was written */
	char at[32];	  /* "items[3]" of a list, else "" */
	const struct kind_info *kind;
	char name[KIND_NAME_MAX]; /* store name */
	json_t *given;		  /* as written, owned */
	/* After resource_prepare(): */
	json_t *ready; /* what is to be stored, owned */
	int64_t rev;   /* of the stored document, 0 if there is none */
	enum resource_change change;
};

struct resources {
	struct yaml *files;
	size_t nfiles;
	struct resource *r;
	size_t n;
	size_t faults; /* errors that were printed */
};

/* Every document of every -f and of operands, which are files too. Errors are printed and counted. */
void resources_read(const struct verb_args *a, struct resources *ret);
void resources_done(struct resources *all);
#define own_resources __attribute__((cleanup(resources_done)))

/* Prints "FILE:LINE:COLUMN: e->msg" for a field of a resource (a ':' at its end asks for the key), and counts
 * it. */
void resource_fault(struct resources *all, const struct resource *r, const char *field, const struct err *e);
/* Fills e with the same sentence. */
void resource_place(const struct resources *all, const struct resource *r, const char *field, struct err *e);

/*
 * What applying r over the stored text (NULL if there is none) makes of it: r->ready, r->rev and r->change.
 * What users write replaces what was there, but uid and creationTimestamp, what controllers report, and
 * members that we do not know are kept. -EINVAL with ret_field (as kind_info.check says) if it is not
 * allowed; -ESTALE if the file carries another resourceVersion than is stored.
 */
int resource_prepare(struct resource *r, const char *stored, int64_t rev, const uint8_t uid[16], nsec_t wall,
		     char ret_field[static KIND_FIELD_MAX], struct err *e);
/* No resource twice; no pool over another, be it in the files or among the n stored ones. Prints what is
 * wrong.
 */
struct ippool;
void resources_check_together(struct resources *all, const struct ippool *stored, size_t n);
