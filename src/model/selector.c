/*
 * Selectors: a recursive descent over the text, one function a level of the grammar, and a walk over the
 * tree.
 *
 * Words such as "in" or "contains" are operators only behind a label, so that labels may have their names.
 */
#include "model/selector.h"

#include "base/check.h"
#include "base/str.h"

#include <ctype.h>
#include <string.h>

enum op {
	OP_ALL,
	OP_GLOBAL,
	OP_HAS,
	OP_EQ,
	OP_NE,
	OP_IN,
	OP_NOT_IN,
	OP_CONTAINS,
	OP_STARTS,
	OP_ENDS,
	OP_AND,
	OP_OR
};

#define NODE_NONE UINT32_MAX

struct node {
	enum op op;
	bool not ;
	char *key;     /* the label */
	char **values; /* sorted, without doubles; == and its like have one */
	size_t nvalues;
	uint32_t kid, next; /* of OP_AND and OP_OR: the first operand; the next one of the same parent */
};

struct selector {
	struct node *node;
	uint32_t n, cap, root;
};

struct parser {
	const char *text, *at;
	struct selector *s;
	unsigned depth;
	struct err *e;
};

/* ---- tokens ---- */

static bool label_char(char c)
{
	return isalnum((unsigned char)c) || (c && strchr("_./-", c));
}

static void blanks(struct parser *p)
{
	p->at += strspn(p->at, " \t");
}

static int expected(struct parser *p, const char *what)
{
	char seen[24];

	if (!*p->at)
		return err_set(p->e, EINVAL, "column %zu: %s is expected, and the selector ends",
			       p->at - p->text + 1, what);
	snprintf(seen, sizeof(seen), "%.20s", p->at);
	return err_set(p->e, EINVAL, "column %zu: %s is expected before \"%s\"", p->at - p->text + 1, what,
		       seen);
}

static bool take_sign(struct parser *p, const char *sign)
{
	blanks(p);
	size_t n = strlen(sign);
	if (strncmp(p->at, sign, n) != 0)
		return false;
	p->at += n;
	return true;
}

/* Takes a whole word, not the beginning of a longer one. */
static bool take_word(struct parser *p, const char *word)
{
	size_t n = strlen(word);

	blanks(p);
	if (strncmp(p->at, word, n) != 0 || label_char(p->at[n]))
		return false;
	p->at += n;
	return true;
}

static int take_label(struct parser *p, char **ret)
{
	size_t n = 0;

	blanks(p);
	while (label_char(p->at[n]))
		n++;
	if (!n)
		return expected(p, "a label, \"(\", \"!\", has(LABEL) or all()");
	if (n > SELECTOR_LABEL_MAX)
		return err_set(p->e, EINVAL, "column %zu: a label is longer than %u bytes",
			       p->at - p->text + 1, SELECTOR_LABEL_MAX);
	*ret = xstrndup(p->at, n);
	p->at += n;
	return 0;
}

static int take_string(struct parser *p, char **ret)
{
	blanks(p);
	char quote = *p->at;
	if (quote != '"' && quote != '\'')
		return expected(p, "a string in quotes");
	const char *end = strchr(p->at + 1, quote);
	if (!end)
		return expected(p, "a string with its closing quote");
	*ret = xstrndup(p->at + 1, (size_t)(end - p->at - 1));
	p->at = end + 1;
	return 0;
}

/* ---- the tree ---- */

static uint32_t node_add(struct selector *s, enum op op)
{
	if (s->n == s->cap) {
		s->cap = s->cap ? s->cap * 2 : 8;
		s->node = xrealloc(s->node, s->cap * sizeof(*s->node));
	}
	s->node[s->n] = (struct node){ .op = op, .kid = NODE_NONE, .next = NODE_NONE };
	return s->n++;
}

static void value_add(struct node *n, char *value)
{
	n->values = xrealloc(n->values, (n->nvalues + 1) * sizeof(*n->values));
	n->values[n->nvalues++] = value;
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static void values_sort(struct node *n)
{
	size_t kept = 0;

	if (n->nvalues)
		qsort(n->values, n->nvalues, sizeof(*n->values), by_text);
	for (size_t i = 0; i < n->nvalues; i++) {
		if (kept && strcmp(n->values[kept - 1], n->values[i]) == 0)
			free(n->values[i]);
		else
			n->values[kept++] = n->values[i];
	}
	n->nvalues = kept;
}

/* ---- the grammar ---- */

static int parse_or(struct parser *p, uint32_t *ret);

static int parse_set(struct parser *p, struct node *n)
{
	if (!take_sign(p, "{"))
		return expected(p, "a set in braces");
	while (!take_sign(p, "}")) {
		char *value;
		int rc = take_string(p, &value);
		if (rc < 0)
			return rc;
		value_add(n, value);
		if (!take_sign(p, ",") && *p->at != '}')
			return expected(p, "\",\" or \"}\"");
	}
	values_sort(n);
	return 0;
}

static int parse_operand(struct parser *p, struct node *n, enum op op)
{
	char *value;

	n->op = op;
	if (op == OP_IN || op == OP_NOT_IN)
		return parse_set(p, n);
	int rc = take_string(p, &value);
	if (rc == 0)
		value_add(n, value);
	return rc;
}

/* "starts with" and "startswith" are the same. */
static bool take_pair(struct parser *p, const char *first, const char *second, const char *together)
{
	const char *from = p->at;

	if (take_word(p, together) || (take_word(p, first) && take_word(p, second)))
		return true;
	p->at = from;
	return false;
}

static int parse_comparison(struct parser *p, struct node *n)
{
	if (take_sign(p, "=="))
		return parse_operand(p, n, OP_EQ);
	if (take_sign(p, "!="))
		return parse_operand(p, n, OP_NE);
	if (take_word(p, "in"))
		return parse_operand(p, n, OP_IN);
	if (take_pair(p, "not", "in", "notin"))
		return parse_operand(p, n, OP_NOT_IN);
	if (take_word(p, "contains"))
		return parse_operand(p, n, OP_CONTAINS);
	if (take_pair(p, "starts", "with", "startswith"))
		return parse_operand(p, n, OP_STARTS);
	if (take_pair(p, "ends", "with", "endswith"))
		return parse_operand(p, n, OP_ENDS);
	return expected(p, "==, !=, in, not in, contains, starts with or ends with");
}

/* What stands behind "has(", "all(" and "global(". */
static int parse_call(struct parser *p, struct node *n, enum op op)
{
	n->op = op;
	if (op == OP_HAS) {
		int rc = take_label(p, &n->key);
		if (rc < 0)
			return rc;
	}
	return take_sign(p, ")") ? 0 : expected(p, "\")\"");
}

static int parse_brackets(struct parser *p, uint32_t *ret)
{
	if (p->depth == SELECTOR_DEPTH_MAX)
		return err_set(p->e, EINVAL, "column %zu: brackets are nested deeper than %u",
			       p->at - p->text, SELECTOR_DEPTH_MAX);
	p->depth++;
	int rc = parse_or(p, ret);
	p->depth--;
	if (rc == 0 && !take_sign(p, ")"))
		return expected(p, "\")\", && or ||");
	return rc;
}

static int parse_atom(struct parser *p, uint32_t *ret)
{
	if (take_sign(p, "("))
		return parse_brackets(p, ret);
	*ret = node_add(p->s, OP_ALL);
	struct node *n = &p->s->node[*ret];
	if (take_sign(p, "all("))
		return parse_call(p, n, OP_ALL);
	if (take_sign(p, "global("))
		return parse_call(p, n, OP_GLOBAL);
	if (take_sign(p, "has("))
		return parse_call(p, n, OP_HAS);
	int rc = take_label(p, &n->key);
	return rc < 0 ? rc : parse_comparison(p, n);
}

static int parse_unary(struct parser *p, uint32_t *ret)
{
	bool not = false;

	for (; take_sign(p, "!"); not = !not )
		;
	int rc = parse_atom(p, ret);
	if (rc == 0)
		p->s->node[*ret].not ^= not ;
	return rc;
}

/* One operand stands for itself; several become one node. */
static int parse_chain(struct parser *p, const char *sign, enum op op,
		       int (*operand)(struct parser *p, uint32_t *ret), uint32_t *ret)
{
	uint32_t last;

	int rc = operand(p, ret);
	if (rc < 0 || !take_sign(p, sign))
		return rc;
	last = *ret;
	*ret = node_add(p->s, op);
	p->s->node[*ret].kid = last;
	do {
		uint32_t next;
		rc = operand(p, &next);
		if (rc < 0)
			return rc;
		p->s->node[last].next = next;
		last = next;
	} while (take_sign(p, sign));
	return 0;
}

static int parse_and(struct parser *p, uint32_t *ret)
{
	return parse_chain(p, "&&", OP_AND, parse_unary, ret);
}

static int parse_or(struct parser *p, uint32_t *ret)
{
	return parse_chain(p, "||", OP_OR, parse_and, ret);
}

static int parse(struct parser *p)
{
	blanks(p);
	if (!*p->at) {
		p->s->root = node_add(p->s, OP_ALL);
		return 0;
	}
	int rc = parse_or(p, &p->s->root);
	if (rc == 0 && (blanks(p), *p->at))
		return expected(p, "&&, || or the end");
	return rc;
}

int selector_parse(const char *text, struct selector **ret, struct err *e)
{
	own(selector) struct selector *s = xcalloc(1, sizeof(*s));
	struct parser p = { .text = text, .at = text, .s = s, .e = e };

	int rc = parse(&p);
	if (rc < 0)
		return rc;
	*ret = take(s);
	return 0;
}

void selector_free(struct selector *s)
{
	if (!s)
		return;
	for (uint32_t i = 0; i < s->n; i++) {
		for (size_t v = 0; v < s->node[i].nvalues; v++)
			free(s->node[i].values[v]);
		free(s->node[i].values);
		free(s->node[i].key);
	}
	free(s->node);
	free(s);
}

/* ---- matching ---- */

static bool ends_with(const char *s, const char *end)
{
	size_t n = strlen(s), m = strlen(end);

	return n >= m && memcmp(s + n - m, end, m) == 0;
}

static bool among(const struct node *n, const char *value)
{
	return n->nvalues && bsearch(&value, n->values, n->nvalues, sizeof(*n->values), by_text);
}

/* value NULL: the label is missing. */
static bool compare(const struct node *n, const char *value)
{
	switch (n->op) {
	case OP_HAS:
		return value;
	case OP_EQ:
	case OP_IN:
		return value && among(n, value);
	case OP_NE:
	case OP_NOT_IN:
		return !value || !among(n, value);
	case OP_CONTAINS:
		return value && strstr(value, n->values[0]);
	case OP_STARTS:
		return value && strncmp(value, n->values[0], strlen(n->values[0])) == 0;
	case OP_ENDS:
		return value && ends_with(value, n->values[0]);
	default:
		return true; /* all(), global() */
	}
}

static bool match(const struct selector *s, uint32_t at, selector_label_fn *label, const void *arg)
{
	const struct node *n = &s->node[at];
	bool found;

	if (n->op == OP_AND || n->op == OP_OR) {
		found = n->op == OP_AND;
		for (uint32_t k = n->kid; k != NODE_NONE && found == (n->op == OP_AND); k = s->node[k].next)
			found = match(s, k, label, arg);
	} else {
		found = compare(n, n->key ? label(arg, n->key) : NULL);
	}
	return found ^ n->not ;
}

bool selector_match(const struct selector *s, selector_label_fn *label, const void *arg)
{
	return match(s, s->root, label, arg);
}

static const char *meta_label(const void *arg, const char *key)
{
	const struct meta *m = arg;

	for (size_t i = 0; i < m->nlabels; i++)
		if (strcmp(m->labels[i].key, key) == 0)
			return m->labels[i].value;
	return NULL;
}

bool selector_match_meta(const struct selector *s, const struct meta *m)
{
	return selector_match(s, meta_label, m);
}

/* ---- text ---- */

static const char *const words[] = {
	[OP_EQ] = "==",
	[OP_NE] = "!=",
	[OP_IN] = "in",
	[OP_NOT_IN] = "not in",
	[OP_CONTAINS] = "contains",
	[OP_STARTS] = "starts with",
	[OP_ENDS] = "ends with",
};

static void add_string(struct str *b, const char *s)
{
	char quote = strchr(s, '"') ? '\'' : '"';

	str_addf(b, "%c%s%c", quote, s, quote);
}

static void add_comparison(struct str *b, const struct node *n)
{
	bool set = n->op == OP_IN || n->op == OP_NOT_IN;

	str_addf(b, "%s %s %s", n->key, words[n->op], set ? "{" : "");
	for (size_t i = 0; i < n->nvalues; i++) {
		str_add(b, i ? ", " : "");
		add_string(b, n->values[i]);
	}
	str_add(b, set ? "}" : "");
}

static void add_node(struct str *b, const struct selector *s, uint32_t at)
{
	const struct node *n = &s->node[at];

	str_add(b, n->not ? "!" : "");
	switch (n->op) {
	case OP_ALL:
		str_add(b, "all()");
		return;
	case OP_GLOBAL:
		str_add(b, "global()");
		return;
	case OP_HAS:
		str_addf(b, "has(%s)", n->key);
		return;
	case OP_AND:
	case OP_OR:
		for (uint32_t k = n->kid; k != NODE_NONE; k = s->node[k].next) {
			str_add(b, k == n->kid ? "(" : n->op == OP_AND ? " && " : " || ");
			add_node(b, s, k);
		}
		str_add(b, ")");
		return;
	default:
		add_comparison(b, n);
	}
}

char *selector_text(const struct selector *s)
{
	struct str b = { 0 };

	add_node(&b, s, s->root);
	return str_take(&b);
}

/* ---- for the kinds ---- */

static bool says_global(const struct selector *s)
{
	for (uint32_t i = 0; i < s->n; i++)
		if (s->node[i].op == OP_GLOBAL)
			return true;
	return false;
}

bool selector_trivial(const char *text)
{
	own(selector) struct selector *s = NULL;

	return selector_parse(text, &s, NULL) == 0 && s->node[s->root].op == OP_ALL && !s->node[s->root].not ;
}

bool selector_ok(const json_t *v)
{
	own(selector) struct selector *s = NULL;
	const char *text = json_string_value(v);

	return strlen(text) <= SELECTOR_MAX && selector_parse(text, &s, NULL) == 0 && !says_global(s);
}
