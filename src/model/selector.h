/*
 * model/selector: Calico's selector language, the whole of it: an expression over labels that says which
 * nodes, pods or peers are meant.
 *
 *	rack == 'a' && !has(drained) || zone in {"x", "y"}
 *
 * && binds tighter than ||, != and "not in" are true where the label is missing, every other comparison is
 * false there. Strings have no escapes. An empty selector is all(). It stands in model/ because the field
 * tables check it; policy/ and agent/ use it.
 */
#pragma once
#include "base/own.h"
#include "model/kinds.h"

#define SELECTOR_DEPTH_MAX 64  /* brackets within brackets */
#define SELECTOR_LABEL_MAX 512 /* bytes of a label's name in a selector */

struct selector;

/* -EINVAL: "column N: what was expected there". *ret is the caller's: selector_free(). */
int selector_parse(const char *text, struct selector **ret, struct err *e);
void selector_free(struct selector *s);
OWN_DEFINE(selector)

/* A label's value, or NULL if there is no such label; borrowed for the call. */
typedef const char *selector_label_fn(const void *arg, const char *key);
bool selector_match(const struct selector *s, selector_label_fn *label, const void *arg);
/* By metadata.labels. */
bool selector_match_meta(const struct selector *s, const struct meta *m);

/* The canonical text: the same for selectors that differ in spaces, quotes or the order of a set. malloc'ed.
 */
char *selector_text(const struct selector *s);

/* Does a selector match everything without being looked at: "", blanks or "all()"? */
bool selector_trivial(const char *s);
/* For field tables, .ok and .want: a selector of nodes, pods or peers. global() has no meaning there. */
bool selector_ok(const json_t *v);
#define SELECTOR_WANT "a selector such as all() or rack == 'a', at most 1024 bytes and without global()"
#define SELECTOR_MAX  1024
