/*
 * model/kinds: every kind of object that users write and we store, in one list.
 *
 * A kind is one file (model/<kind>.c) with its C struct, its field table and its check, and one row in kinds.c. The
 * field table drives decoding, encoding, defaults, validation and `korat get` columns, so nothing can be half-added.
 * Stored form: Calico's own compact JSON. Users see YAML or JSON of apiVersion projectcalico.org/v3.
 *
 * Store names: "<name>" for global kinds, "<namespace>/<name>" for namespaced ones; blocks, affinities and handles are
 * named as in Calico's etcd keys ("192.168.166.128-26", "<host>/192.168.166.128-26", "<handle id>").
 */
#pragma once
#include "base/addr.h"
#include "base/clock.h"
#include "base/err.h"

#include <jansson.h>
#include <stdbool.h>

enum kind {
	KIND_NONE,
	KIND_IPPOOL,
	KIND_NODE,
	KIND_BGPCONFIG,
	KIND_WEP,
	KIND_BLOCK,
	KIND_AFFINITY,
	KIND_HANDLE,
	KIND_IPAMCONFIG,
	KIND_CLUSTERINFO,
	KINDS, /* how many, and one past the last */
};

#define KIND_NAME_MAX	600 /* bytes of a store name, with its NUL */
#define KIND_VALUE_MAX	(2u << 20)
#define KIND_LABELS_MAX 64

/* How a user's document is placed in its file, for messages: "FILE:LINE:COLUMN". line 0 = unknown. */
struct kind_at {
	const char *file;
	int line, column;
};

struct kind_field {
	const char *path; /* "spec.blockSize" */
	const char *type; /* "string", "integer", "boolean", "cidr", "list of string", ...: for people */
	const char *doc;  /* one sentence */
	const char *def;  /* default as text, NULL if none */
	bool required, immutable;
};

/* metadata of a document, decoded */
struct meta {
	char name[254];
	char namespace[64];
	char uid[40];
	char created[CLOCK_RFC3339_MAX];
	size_t nlabels;
	struct {
		char *key, *value;
	} *labels; /* owned */
};

struct kind_info {
	enum kind kind;
	const char *name;   /* "IPPool" */
	const char *plural; /* "ippools": as in store paths and `korat get ippools` */
	const char *aliases[8]; /* further spellings for the command line, NULL-ended */
	bool namespaced;
	bool internal; /* IPAM records: not written by users through apply */
	const struct kind_field *fields; /* NULL-ended by path */
	/* Columns of `korat get` (and more of -o wide): header and JSON path ("metadata.name", "spec.cidr"). */
	struct {
		const char *header, *path;
		bool wide;
	} columns[8];
	/*
	 * Checks a whole document (envelope and spec) and fills defaults in place. old is the stored document when updating (for
	 * immutable fields), else NULL. On failure e names field path, what was seen and what is allowed. Unknown members are
	 * errors when strict (user input), kept untouched otherwise.
	 */
	int (*check)(json_t *doc, const json_t *old, bool strict, char ret_field[static 128], struct err *e);
};

extern const struct kind_info kind_table[KINDS];

const struct kind_info *kind_info(enum kind k);
/* By kind name, plural, singular or alias, in any case; NULL if there is none. */
const struct kind_info *kind_find(const char *word);
/* The store name of a document ("default-ipv4-ippool", "default/node1-k8s-nginx-eth0"). */
int kind_store_name(const struct kind_info *k, const json_t *doc, char ret[static KIND_NAME_MAX], struct err *e);
/* DNS-1123 subdomain, at most 253 bytes: what Calico accepts as a name. */
bool kind_name_ok(const char *name);

void meta_decode(const json_t *doc, struct meta *ret); /* tolerant; ret is owned: meta_done() */
void meta_done(struct meta *m);
/* A new envelope {"kind","apiVersion","metadata":{"name","uid"?,"creationTimestamp"}}. uid: 16 random bytes. */
json_t *kind_envelope(const struct kind_info *k, const char *name, const char *namespace, const uint8_t uid[16], nsec_t wall);

/* JSON text <-> document, with limits (KIND_VALUE_MAX bytes, depth 32). Compact output, key order kept. */
int kind_parse_json(const char *text, size_t n, json_t **ret, struct err *e);
char *kind_dump_json(const json_t *doc); /* malloc'ed */
