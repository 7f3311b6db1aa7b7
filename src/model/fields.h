/*
 * model/fields: the field tables at work: one walk over a document for types, unknown members, defaults,
 * order and immutability; one loop for decoding into a C struct. Private to model/.
 */
#pragma once
#include "model/kinds.h"

/* The walk by k's table and the envelope's. In place: see kind_info.check. */
int fields_check(const struct kind_info *k, json_t *doc, const json_t *old, bool strict,
		 char ret_field[static KIND_FIELD_MAX], struct err *e);
/* Puts every present field that has INTO() into *ret; absent, null and "" leave it as it is. -EINVAL names
 * the field. */
int fields_decode(const struct kind_field *t, const json_t *doc, void *ret, struct err *e);
/* "path: sentence" into e, path into ret_field; returns -EINVAL. */
int field_err(char ret_field[static KIND_FIELD_MAX], struct err *e, const char *path, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

/* A value as it is shown in messages: "text" quoted and cut, 33, true, a list, ... */
#define SHOW_MAX 80
char *fields_show(const json_t *v, char buf[static SHOW_MAX]);
/* The nearest of n words to word by spelling, or NULL if none is near. */
const char *word_nearest(const char *word, const char *const *words, size_t n);
/* The string at a path, or "" if it is absent or something else. */
const char *fields_str(const json_t *doc, const char *path);

/* Rows of the kinds: model/<kind>.c defines them, kinds.c lists them. */
typedef int kind_check_fn(json_t *doc, const json_t *old, bool strict, char ret_field[static KIND_FIELD_MAX],
			  struct err *e);
extern const struct kind_field ippool_fields[], node_fields[], bgpconfig_fields[], wep_fields[],
	clusterinfo_fields[];
kind_check_fn ippool_check, node_check, bgpconfig_check, wep_check, clusterinfo_check;

/* An AS number as asn_decode() takes it. */
bool asn_ok(const json_t *v);
/* Makes obj's asNumber a plain number, as Calico stores it whatever way it was written. */
void asn_canonical(json_t *obj);
#define ASN_WANT "an AS number: 1..4294967295, or dotted in quotes as \"1.10\""
