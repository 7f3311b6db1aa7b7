/*
 * model/kinds: every kind of object that users write and we store, in one list.
 *
 * A kind is one file (model/<kind>.c) with its C struct, its field table and its check, and one row in
 * kinds.c. The field table drives decoding, encoding, defaults, validation and `korat get` columns, so
 * nothing can be half-added. Stored form: Calico's own compact JSON. Users see YAML or JSON of apiVersion
 * projectcalico.org/v3.
 *
 * Store names: "<name>" for global kinds, "<namespace>/<name>" for namespaced ones; blocks, affinities and
 * handles are named as in Calico's etcd keys ("192.168.166.128-26", "<host>/192.168.166.128-26", "<handle
 * id>").
 */
#pragma once
#include "base/addr.h"
#include "base/clock.h"
#include "base/err.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

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
#define KIND_DEPTH_MAX	32
#define KIND_LABELS_MAX 64

/* How a user's document is placed in its file, for messages: "FILE:LINE:COLUMN". line 0 = unknown. */
struct kind_at {
	const char *file;
	int line, column;
};

/* What a field's value looks like; model/fields.c checks and decodes by it. */
enum kind_form {
	FORM_OBJECT, /* members are rows of their own */
	FORM_STRING, /* at most max bytes (0: KIND_STRING_MAX) */
	FORM_INT,    /* min..max */
	FORM_BOOL,
	FORM_WORD,   /* one of words */
	FORM_PREFIX, /* a network, no host bits */
	FORM_CIDR,   /* an address with its prefix length */
	FORM_IP,     /* an address alone */
	FORM_NET,    /* FORM_CIDR or FORM_IP */
	FORM_MAC,
	FORM_MAP, /* any keys, values are strings */
	FORM_ANY, /* known, but not looked into (its check function may) */
};

#define KIND_STRING_MAX 4096 /* bytes of a string field without a limit of its own */
#define KIND_LIST_MAX	4096 /* elements of a list field */
#define KIND_FIELD_MAX	128  /* bytes of a field path in an error, with its NUL */

struct kind_field {
	const char *path; /* "spec.blockSize"; a list is "spec.allowedUses[]", its objects' members
			     "spec.ports[].name" */
	const char *type; /* "string", "integer", "boolean", "cidr", "list of string", ...: for people */
	const char *doc;  /* one sentence */
	const char *def;  /* default as text, NULL if none */
	bool required, immutable;

	/* How it is checked and decoded. */
	enum kind_form form;
	bool fill;	/* an absent value is stored as def */
	uint8_t family; /* addresses: only AF_INET or AF_INET6; 0 both */
	int64_t min, max;
	const char *const *words;    /* NULL-ended */
	bool (*ok)(const json_t *v); /* a further rule, or NULL; */
	const char *want;	     /* and what it allows, for the message: "a number 1..4294967295" */
	uint16_t into, size;	     /* INTO(): where kind_decode() puts it; into 0 = nowhere */
};
#define INTO(type, member) .into = offsetof(type, member) + 1, .size = sizeof(((type *)0)->member)

/* metadata of a document, decoded */
struct meta {
	char name[254];
	char namespace[64];
	char uid[40];
	char created[CLOCK_RFC3339_MAX];
	size_t nlabels;
	struct {
		char *key, *value;
	} * labels; /* owned */
};

struct kind_info {
	enum kind kind;
	const char *name;	/* "IPPool" */
	const char *plural;	/* "ippools": as in store paths and `korat get ippools` */
	const char *aliases[8]; /* further spellings for the command line, NULL-ended */
	bool namespaced;
	bool internal;			 /* IPAM records: not written by users through apply */
	const struct kind_field *fields; /* NULL-ended by path */
	/* Columns of `korat get` (and more of -o wide), NULL-ended: header, JSON path ("metadata.name",
	 * "spec.cidr"; "@" is the store name) and what is shown for an absent value. kind_column() gives the
	 * text. */
	struct {
		const char *header, *path;
		bool wide;
		const char *unset;
	} columns[11];
	/*
	 * Checks a whole document (envelope and spec) and fills defaults in place. old is the stored document
	 * when updating (for immutable fields), else NULL. On failure e names field path, what was seen and
	 * what is allowed, and ret_field is the path for yaml_err() (with a ':' at its end if the key itself
	 * is wrong, not its value). Unknown members are errors when strict (user input), kept untouched
	 * otherwise. Strict also brings the members into the order Calico stores them.
	 */
	int (*check)(json_t *doc, const json_t *old, bool strict, char ret_field[static KIND_FIELD_MAX],
		     struct err *e);
};

extern const struct kind_info kind_table[KINDS];

const struct kind_info *kind_info(enum kind k);
/* By kind name, plural, singular or alias, in any case; NULL if there is none. */
const struct kind_info *kind_find(const char *word);
/* The kind of a user's document; NULL with a sentence (a suggestion, or that Calico has it but we do not yet)
 * if unknown. */
const struct kind_info *kind_of(const json_t *doc, char ret_field[static KIND_FIELD_MAX], struct err *e);
/* The items of a "List" or "IPPoolList" document as `get -o yaml` writes them, borrowed; NULL if it is not a
 * list. */
json_t *kind_items(const json_t *doc);
/* The store name of a document ("default-ipv4-ippool", "default/node1-k8s-nginx-eth0"). */
int kind_store_name(const struct kind_info *k, const json_t *doc, char ret[static KIND_NAME_MAX],
		    struct err *e);
/* DNS-1123 subdomain, at most 253 bytes: what Calico accepts as a name. */
bool kind_name_ok(const char *name);

void meta_decode(const json_t *doc, struct meta *ret); /* tolerant; ret is owned: meta_done() */
void meta_done(struct meta *m);
/* A new envelope {"kind","apiVersion","metadata":{"name","uid"?,"creationTimestamp"}}. uid: 16 random bytes.
 */
/* uid NULL: none. namespace NULL or "": none. */
json_t *kind_envelope(const struct kind_info *k, const char *name, const char *namespace,
		      const uint8_t uid[16], nsec_t wall);

/* Makes a checked user's document ready to be stored: uid and creationTimestamp are those of old (the stored
 * document), or fresh if old is NULL; what only servers write (resourceVersion, generation, managedFields,
 * ...) is taken out. */
void kind_stamp(json_t *doc, const json_t *old, const uint8_t uid[16], nsec_t wall);
/* A version 4 UUID of 16 random bytes. */
#define UID_STR_MAX 37
char *uid_format(const uint8_t uid[16], char buf[static UID_STR_MAX]);
/* Text of column i for a document (malloc'ed, "" if there is nothing); lists are joined by ",". */
char *kind_column(const struct kind_info *k, size_t i, const char *store_name, const json_t *doc);
/* A value by dotted path ("spec.bgp.asNumber"; members of lists are not reached), borrowed; NULL if absent or
 * null. */
json_t *kind_get(const json_t *doc, const char *path);

/* JSON text <-> document, with limits (KIND_VALUE_MAX bytes, depth 32). Compact output, key order kept.
 * Integers are exact in 64 bits. Only objects are documents; an empty text (very old affinities) reads as {}.
 */
int kind_parse_json(const char *text, size_t n, json_t **ret, struct err *e);
char *kind_dump_json(const json_t *doc); /* malloc'ed */
