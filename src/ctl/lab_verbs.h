/*
 * ctl/lab_verbs: what the verbs below `korat lab` share.
 */
#pragma once
#include "base/clock.h"
#include "base/err.h"
#include "ctl/lab.h"
#include "ctl/verb.h"

extern const struct verb verb_lab_up, verb_lab_down, verb_lab_status, verb_lab_exec, verb_lab_pod,
	verb_lab_node;

#define LAB_READY_WAIT	(15 * SEC)
#define LAB_ROUTES_WAIT (15 * SEC)

/* Root is needed for namespaces: -EPERM with a sentence that says so. */
int lab_need_root(const struct verb_args *a, struct err *e);
/* Large labs on small machines need longer. */
usec_t lab_patience(const struct lab *l, usec_t span);

/* Takes down the lab that is there, whatever state it is in; the caller holds the lock. Says what it does if
 * talk. */
int lab_take_down(bool talk, struct err *e);

/* Reads the lab for a change: takes the lock, refuses a half-made one. Returns the lock's descriptor or
 * -errno. */
int lab_begin_change(struct lab *ret, struct err *e);
/* Checks l with one record more in its list ("nodes", "pods"), writes the state, and hands out the lab with
 * it. */
int lab_extend(struct lab *l, const char *list, json_t *record, struct err *e);
