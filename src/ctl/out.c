/* Tables by libsmartcols, JSON by jansson, and the one place that writes to standard error. */
#include "ctl/out.h"

#include "base/check.h"
#include "base/str.h"

#include <libsmartcols.h>
#include <stdio.h>

struct out_table {
	struct libscols_table *scols;
	struct libscols_line *line;
	size_t column;
};

int out_format(const struct verb_args *a, enum out_format *ret)
{
	const char *word = verb_get(a, "output");

	*ret = OUT_TABLE;
	if (!word || strcmp(word, "table") == 0)
		return 0;
	if (strcmp(word, "json") != 0)
		return verb_bad(a, "unknown output format '%s': allowed are table and json", word);
	*ret = OUT_JSON;
	return 0;
}

static bool colour_wanted(void)
{
	const char *no = getenv("NO_COLOR"), *term = getenv("TERM");

	return isatty(STDOUT_FILENO) && !(no && *no) && !(term && strcmp(term, "dumb") == 0);
}

struct out_table *out_table_new(const char *const *headers)
{
	struct out_table *t = xcalloc(1, sizeof(*t));

	t->scols = scols_new_table();
	CHECK(t->scols);
	CHECK(scols_table_set_column_separator(t->scols, "  ") == 0);
	scols_table_enable_colors(t->scols, colour_wanted());
	for (; *headers; headers++)
		CHECK(scols_table_new_column(t->scols, *headers, 0, 0));
	return t;
}

void out_table_free(struct out_table *t)
{
	if (!t)
		return;
	scols_unref_table(t->scols);
	free(t);
}

void out_table_row(struct out_table *t)
{
	t->line = scols_table_new_line(t->scols, NULL);
	CHECK(t->line);
	t->column = 0;
}

void out_table_cell(struct out_table *t, enum out_look look, const char *fmt, ...)
{
	static const char *const colours[] = {
		[OUT_PLAIN] = NULL, [OUT_GOOD] = "green", [OUT_BAD] = "red", [OUT_WAITING] = "yellow"
	};
	own_str struct str text = { 0 };
	va_list ap;

	va_start(ap, fmt);
	str_vaddf(&text, fmt, ap);
	va_end(ap);
	CHECK(scols_line_set_data(t->line, t->column, text.s) == 0);
	if (colours[look])
		CHECK(scols_cell_set_color(scols_line_get_cell(t->line, t->column), colours[look]) == 0);
	t->column++;
}

void out_table_print(struct out_table *t)
{
	scols_print_table(t->scols);
}

void out_json(const json_t *doc)
{
	CHECK(json_dumpf(doc, stdout, JSON_INDENT(2)) == 0);
	putchar('\n');
}

void out_error(const struct err *e)
{
	fflush(stdout);
	fprintf(stderr, "korat: %s\n", e->msg);
}

void out_note(const char *fmt, ...)
{
	va_list ap;

	fflush(stdout);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
}

int out_exit(int r, const struct err *e)
{
	if (r >= 0)
		return VERB_OK;
	out_error(e);
	return VERB_FAILED;
}
