/*
 * ctl/verb: what `korat` can do, as data. A verb is one file ending in `const struct verb verb_<name>` and
 * one line in a table; parsing, help, --help, did-you-mean and exit codes come from here.
 *
 * Exit codes: VERB_OK, VERB_FAILED, VERB_USAGE; a verb may document further ones of its own.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>

enum { VERB_OK = 0, VERB_FAILED = 1, VERB_USAGE = 2 };

#define VERB_OPTS_MAX 16

struct verb_opt {
	const char *name;  /* "nodes" is --nodes */
	char letter;	   /* 'o' is -o; 0 = none */
	const char *value; /* what follows it in the help text, e.g. "N"; NULL for a flag */
	const char *doc;   /* a few words */
};

struct verb_args;

struct verb {
	const char *name;		/* "up" */
	const char *args;		/* "FILE | --nodes N" */
	const char *summary;		/* a few words, for the list */
	const char *text;		/* sentences for --help; may be NULL */
	const char *examples;		/* lines "  # why\n  korat ...\n"; may be NULL */
	const struct verb_opt *opts;	/* ended by a NULL name; may be NULL */
	const struct verb *const *subs; /* verbs below this one, NULL-ended; then run is NULL */
	bool rest;			/* options end at the first operand: a command line follows */
	int (*run)(const struct verb_args *a);
};

/* What was given. Strings are argv's. */
struct verb_args {
	const struct verb *verb;
	char path[64]; /* "korat lab up" */
	char **pos;    /* operands */
	size_t npos;
	size_t nset;
	struct {
		const struct verb_opt *opt;
		const char *value;
	} set[VERB_OPTS_MAX];
};

/* The whole program: finds the verb, parses, runs; returns the exit code. verbs is NULL-ended. */
int verb_main(const struct verb *const *verbs, int argc, char **argv);

bool verb_has(const struct verb_args *a, const char *opt);
/* The value of an option, or NULL if it was not given. */
const char *verb_get(const struct verb_args *a, const char *opt);
/* A whole number in [min, max]: 0 and *ret (untouched if the option was not given), else the exit code to
 * return. */
int verb_get_number(const struct verb_args *a, const char *opt, long min, long max, long *ret);
/* Says what is wrong with the command line, and how it is written; returns VERB_USAGE. */
int verb_bad(const struct verb_args *a, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Exactly min to max operands, or a usage error that names them by verb->args. */
int verb_want(const struct verb_args *a, size_t min, size_t max);
