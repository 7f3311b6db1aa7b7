/* The command line: verbs, options and help, all from one table. */
#include "ctl/verb.h"

#include "base/check.h"
#include "base/str.h"
#include "ctl/near.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define VERBS_MAX 64
#define INDENT	  2
#define GAP	  2

static void print_list(FILE *f, const struct verb *const *verbs)
{
	size_t width = 0;

	for (size_t i = 0; verbs[i]; i++)
		width = MAX(width, strlen(verbs[i]->name));
	for (size_t i = 0; verbs[i]; i++)
		fprintf(f, "%*s%-*s%s\n", INDENT, "", (int)width + GAP, verbs[i]->name, verbs[i]->summary);
}

static void print_program_help(FILE *f, const struct verb *const *verbs)
{
	fprintf(f, "korat: pod networking by plain routes and BGP.\n"
		   "\n"
		   "Usage: korat VERB [ARGUMENTS]\n"
		   "\n");
	print_list(f, verbs);
	fprintf(f, "\n"
		   "'korat VERB --help' tells more about one of them; 'korat --version' prints the version.\n"
		   "Exit codes: 0 done, 1 failed, 2 wrong usage.\n");
}

static void print_options(FILE *f, const struct verb *v)
{
	size_t width = strlen("-h, --help"), n = 0;
	char left[VERB_OPTS_MAX][64];

	for (; v->opts && v->opts[n].name; n++) {
		const struct verb_opt *o = &v->opts[n];
		char letter[8] = "    ";
		CHECK(n < VERB_OPTS_MAX);
		if (o->letter)
			snprintf(letter, sizeof(letter), "-%c, ", o->letter);
		snprintf(left[n], sizeof(left[n]), "%s--%s%s%s", letter, o->name, o->value ? " " : "",
			 o->value ? o->value : "");
		width = MAX(width, strlen(left[n]));
	}
	fprintf(f, "\nOptions:\n");
	for (size_t i = 0; i < n; i++)
		fprintf(f, "%*s%-*s%s\n", INDENT, "", (int)width + GAP, left[i], v->opts[i].doc);
	fprintf(f, "%*s%-*s%s\n", INDENT, "", (int)width + GAP, "-h, --help", "this text");
}

static void print_verb_help(FILE *f, const struct verb_args *a)
{
	const struct verb *v = a->verb;

	fprintf(f, "%s: %s.\n\nUsage: %s%s%s\n", a->path, v->summary, a->path, *v->args ? " " : "", v->args);
	if (v->examples)
		fprintf(f, "\nExamples:\n%s", v->examples);
	if (v->text)
		fprintf(f, "\n%s", v->text);
	if (v->subs) {
		fprintf(f, "\nVerbs:\n");
		print_list(f, v->subs);
		fprintf(f, "\n'%s VERB --help' tells more about one of them.\n", a->path);
		return;
	}
	print_options(f, v);
}

/* "korat lab: unknown verb 'upp': did you mean 'up'? ..." */
static int unknown_verb(const char *path, const char *word, const struct verb *const *verbs)
{
	const char *names[VERBS_MAX + 1] = { 0 };
	own_str struct str s = { 0 };

	for (size_t i = 0; verbs[i] && i < VERBS_MAX; i++)
		names[i] = verbs[i]->name;
	near_explain(&s, word, names, "verbs are");
	fprintf(stderr, "%s: unknown verb '%s': %s\n", path, word, s.s);
	return VERB_USAGE;
}

static int unknown_option(const struct verb_args *a, const char *word)
{
	const char *names[VERB_OPTS_MAX + 2] = { 0 };
	char dashed[VERB_OPTS_MAX + 1][40];
	own_str struct str s = { 0 };
	size_t n = 0;

	for (; a->verb->opts && a->verb->opts[n].name; n++) {
		snprintf(dashed[n], sizeof(dashed[n]), "--%s", a->verb->opts[n].name);
		names[n] = dashed[n];
	}
	names[n] = "--help";
	near_explain(&s, word, names, "options are");
	return verb_bad(a, "unknown option '%s': %s", word, s.s);
}

int verb_bad(const struct verb_args *a, const char *fmt, ...)
{
	va_list ap;

	fflush(stdout);
	fprintf(stderr, "%s: ", a->path);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fprintf(stderr, "\nUsage: %s%s%s\n", a->path, *a->verb->args ? " " : "", a->verb->args);
	return VERB_USAGE;
}

int verb_want(const struct verb_args *a, size_t min, size_t max)
{
	if (a->npos < min)
		return verb_bad(a, "something is missing");
	if (a->npos > max)
		return verb_bad(a, "'%s' is one too many", a->pos[max]);
	return 0;
}

static const char *find_set(const struct verb_args *a, const char *opt, bool *ret_has)
{
	*ret_has = false;
	for (size_t i = a->nset; i-- > 0;) {
		if (strcmp(a->set[i].opt->name, opt) == 0) {
			*ret_has = true;
			return a->set[i].value;
		}
	}
	return NULL;
}

bool verb_has(const struct verb_args *a, const char *opt)
{
	bool has;

	find_set(a, opt, &has);
	return has;
}

const char *verb_get(const struct verb_args *a, const char *opt)
{
	bool has;

	return find_set(a, opt, &has);
}

int verb_get_number(const struct verb_args *a, const char *opt, long min, long max, long *ret)
{
	const char *s = verb_get(a, opt);
	char *end;

	if (!s)
		return 0;
	errno = 0;
	long n = strtol(s, &end, 10);
	if (errno || end == s || *end || n < min || n > max)
		return verb_bad(a, "--%s is '%s', but must be a whole number from %ld to %ld", opt, s, min,
				max);
	*ret = n;
	return 0;
}

/* --name, --name=value or -x: the option it names, or NULL. *ret_value is what follows "=" (or the letter).
 */
static const struct verb_opt *find_option(const struct verb *v, const char *word, const char **ret_value)
{
	*ret_value = NULL;
	for (const struct verb_opt *o = v->opts; o && o->name; o++) {
		size_t n = strlen(o->name);
		if (strncmp(word, "--", 2) == 0) {
			if (strncmp(word + 2, o->name, n) != 0 || (word[2 + n] && word[2 + n] != '='))
				continue;
			*ret_value = word[2 + n] ? word + 3 + n : NULL;
			return o;
		}
		if (o->letter && word[1] == o->letter) {
			*ret_value = word[2] ? word + 2 : NULL;
			return o;
		}
	}
	return NULL;
}

/* One option at argv[*i]; moves *i over its value. 0, or the exit code. */
static int take_option(struct verb_args *a, int argc, char **argv, int *i)
{
	const char *value;
	const struct verb_opt *o = find_option(a->verb, argv[*i], &value);

	if (!o)
		return unknown_option(a, argv[*i]);
	if (!o->value && value)
		return verb_bad(a, "--%s takes no value", o->name);
	if (o->value && !value) {
		if (*i + 1 >= argc)
			return verb_bad(a, "--%s needs a value: --%s %s", o->name, o->name, o->value);
		value = argv[++*i];
	}
	if (a->nset == VERB_OPTS_MAX)
		return verb_bad(a, "too many options");
	a->set[a->nset].opt = o;
	a->set[a->nset++].value = value;
	return 0;
}

static bool is_help(const char *s)
{
	return strcmp(s, "--help") == 0 || strcmp(s, "-h") == 0;
}

/* Sorts argv into options and operands (which are moved to its front). 0, or the exit code. */
static int parse(struct verb_args *a, int argc, char **argv, bool *ret_help)
{
	bool only_operands = false;

	a->pos = argv;
	for (int i = 0; i < argc; i++) {
		if (!only_operands && strcmp(argv[i], "--") == 0) {
			only_operands = true;
		} else if (!only_operands && argv[i][0] == '-' && argv[i][1]) {
			if (is_help(argv[i])) {
				*ret_help = true;
				return 0;
			}
			int r = take_option(a, argc, argv, &i);
			if (r)
				return r;
		} else {
			a->pos[a->npos++] = argv[i];
			if (a->verb->rest && a->npos == 1) {
				/* What follows is somebody else's command line, after an optional "--". */
				if (i + 1 < argc && strcmp(argv[i + 1], "--") == 0)
					i++;
				only_operands = true;
			}
		}
	}
	return 0;
}

static int run_verb(const struct verb *v, const char *above, int argc, char **argv);

static int run_below(const struct verb *const *verbs, const char *path, int argc, char **argv)
{
	for (; *verbs; verbs++) {
		if (strcmp((*verbs)->name, argv[0]) == 0)
			return run_verb(*verbs, path, argc, argv);
	}
	return -1;
}

static int run_verb(const struct verb *v, const char *above, int argc, char **argv)
{
	struct verb_args a = { .verb = v };
	bool help = false;

	snprintf(a.path, sizeof(a.path), "%s %s", above, v->name);
	argc--;
	argv++;
	if (v->subs) {
		if (argc && !is_help(argv[0]) && strcmp(argv[0], "help") != 0) {
			int r = run_below(v->subs, a.path, argc, argv);
			return r >= 0 ? r : unknown_verb(a.path, argv[0], v->subs);
		}
		print_verb_help(argc ? stdout : stderr, &a);
		return argc ? VERB_OK : VERB_USAGE;
	}
	int r = parse(&a, argc, argv, &help);
	if (help) {
		print_verb_help(stdout, &a);
		return VERB_OK;
	}
	return r ? r : v->run(&a);
}

/* "korat help lab up" is "korat lab up --help". */
static int run_help(const struct verb *const *verbs, int argc, char **argv)
{
	const char *path = "korat";
	char above[64];
	struct verb_args a = { 0 };

	for (int i = 0; i < argc; i++) {
		const struct verb *found = NULL;
		for (size_t k = 0; verbs && verbs[k] && !found; k++)
			found = strcmp(verbs[k]->name, argv[i]) == 0 ? verbs[k] : NULL;
		if (!found && verbs)
			return unknown_verb(path, argv[i], verbs);
		if (!found)
			break;
		memcpy(above, a.path, sizeof(above));
		a.verb = found;
		snprintf(a.path, sizeof(a.path), "%.40s %.20s", i ? above : "korat", found->name);
		path = a.path;
		verbs = found->subs;
	}
	print_verb_help(stdout, &a);
	return VERB_OK;
}

static int dispatch(const struct verb *const *verbs, int argc, char **argv)
{
	if (argc == 0) {
		print_program_help(stderr, verbs);
		return VERB_USAGE;
	}
	if (is_help(argv[0]) || (strcmp(argv[0], "help") == 0 && argc == 1)) {
		print_program_help(stdout, verbs);
		return VERB_OK;
	}
	if (strcmp(argv[0], "help") == 0)
		return run_help(verbs, argc - 1, argv + 1);
	if (strcmp(argv[0], "--version") == 0 || strcmp(argv[0], "-V") == 0) {
		printf("korat %s\n", KORAT_VERSION);
		return VERB_OK;
	}
	int r = run_below(verbs, "korat", argc, argv);
	return r >= 0 ? r : unknown_verb("korat", argv[0], verbs);
}

int verb_main(const struct verb *const *verbs, int argc, char **argv)
{
	int code = dispatch(verbs, argc - 1, argv + 1);

	/* An answer that could not be written (a full disk, a closed pipe) is not an answer. */
	if ((fflush(stdout) != 0 || ferror(stdout)) && code == VERB_OK) {
		fprintf(stderr, "korat: cannot write to standard output: %m\n");
		return VERB_FAILED;
	}
	return code;
}
