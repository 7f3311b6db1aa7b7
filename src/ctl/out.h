/*
 * ctl/out: what `korat` prints. Answers go to standard output, as a table for people or as JSON for programs;
 * everything else (progress, hints, errors) goes to standard error. Colour marks states only, only on a
 * terminal and never with NO_COLOR.
 */
#pragma once
#include "base/err.h"
#include "base/own.h"
#include "ctl/verb.h"

#include <jansson.h>

enum out_format { OUT_TABLE, OUT_JSON };

#define OUT_OPT                                                                         \
	{                                                                               \
		"output", 'o', "table|json", "how to print the answer (default: table)" \
	}

/* What -o says: 0 and *ret, else the exit code to return. */
int out_format(const struct verb_args *a, enum out_format *ret);

enum out_look { OUT_PLAIN, OUT_GOOD, OUT_BAD, OUT_WAITING };

struct out_table;
/* headers: NULL-ended. Cells are copied; rows are filled from left to right. */
struct out_table *out_table_new(const char *const *headers);
void out_table_row(struct out_table *t);
void out_table_cell(struct out_table *t, enum out_look look, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
void out_table_print(struct out_table *t);
void out_table_free(struct out_table *t);
OWN_DEFINE(out_table)

void out_json(const json_t *doc);
/* A line on standard error: "korat: message". */
void out_error(const struct err *e);
/* A line on standard error, as it is. */
void out_note(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* ok or failed, said as an exit code: prints e if r < 0. */
int out_exit(int r, const struct err *e);
