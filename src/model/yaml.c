/*
 * YAML 1.2 (which JSON is a part of) to JSON values with the place of each, and back to text.
 *
 * libfyaml reads the syntax and hands over events; the values are built here, because only so are depth,
 * number and size of values bounded while they are made (an alias counts as all it stands for), duplicate
 * keys found with both places, and every message one sentence of ours. Plain scalars are typed by the core
 * schema (YAML 1.2.2, section 10.3).
 */
#include "model/yaml.h"

#include "base/check.h"
#include "base/own.h"
#include "base/str.h"

#include <ctype.h>
#include <fcntl.h>
#include <libfyaml.h>
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <strings.h>

#define TEXT_BYTES_MAX \
	(2 * YAML_BYTES_MAX) /* of all strings and keys, aliases counted as what they stand for */
#define ANCHORS_MAX 1024     /* in one document */

/*
 * Runs that mean nothing but cost libfyaml much: its time grows with the square of blank runs, and before it
 * gives the first value it keeps some 100 bytes a mark of the line and 350 bytes a line of the scalar.
 */
#define BLANK_LINES_MAX 200
#define BLANKS_MAX	256
#define LINE_MARKS_MAX	50000	/* of ",:[]{}" in one line */
#define MARKS_MAX	1000000 /* of these, quotes and "-?&*!" in a file */
#define LINES_MAX	400000

struct place {
	int line, column;
};

/* Where one value stands. Children follow their parent; list items have no key. */
struct spot {
	char *key;
	uint32_t parent, index;
	struct place value, at_key;
	bool container;
};

struct yaml_doc {
	json_t *json;
	struct spot *spots; /* [0] is the document itself */
	size_t nspots, cap;
};

/* What a value costs, so that an alias to it can be refused before it is copied. */
struct cost {
	size_t values, bytes, depth;
};

struct anchor {
	char *name;
	const json_t *value; /* NULL until it is complete */
	struct cost cost;
};

/* A list or map that is being filled. */
struct frame {
	json_t *container;
	uint32_t spot;
	char *key; /* a map's key that waits for its value */
	struct place at_key;
	size_t anchor; /* index + 1, 0 if none */
	struct cost cost;
};

struct build {
	const char *file, *text;
	size_t n;
	struct yaml *y;
	struct yaml_doc *doc; /* the current one */
	struct frame stack[YAML_DEPTH_MAX];
	size_t depth;
	struct anchor *anchors;
	size_t nanchors;
	struct cost total;
	/* The last position that was turned into a place; positions mostly grow. */
	size_t pos;
	struct place place;
	struct err *e;
};

/* ---- places ---- */

__attribute__((format(printf, 3, 4))) static int fail(const struct build *b, struct place at, const char *fmt,
						      ...)
{
	char msg[ERR_MSG_MAX];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(msg, sizeof(msg), fmt, ap);
	va_end(ap);
	return err_set(b->e, EINVAL, "%.150s:%d:%d: %.300s", b->file, at.line, at.column, msg);
}

/* The place of a byte: lines by "\n", columns by characters. */
static struct place place_of(struct build *b, size_t pos)
{
	if (pos > b->n)
		pos = b->n;
	if (pos < b->pos) {
		b->pos = 0;
		b->place = (struct place){ 1, 1 };
	}
	for (; b->pos < pos; b->pos++) {
		unsigned char c = (unsigned char)b->text[b->pos];
		if (c == '\n')
			b->place = (struct place){ b->place.line + 1, 1 };
		else if ((c & 0xc0) != 0x80)
			b->place.column++;
	}
	/* In the middle of a character the count has already gone past it. */
	return b->place;
}

/* Where an event's own text begins; a quoted scalar begins at its quote, an alias at its star. */
static struct place event_place(struct build *b, struct fy_event *ev)
{
	const struct fy_mark *m = fy_event_start_mark(ev);
	size_t pos = m ? m->input_pos : b->pos;

	char before = pos > 0 && pos <= b->n ? b->text[pos - 1] : '\0';
	if (ev->type == FYET_ALIAS && before == '*')
		pos--;
	if (ev->type == FYET_SCALAR && ev->scalar.value) {
		enum fy_scalar_style style = fy_token_scalar_style(ev->scalar.value);
		if ((style == FYSS_SINGLE_QUOTED && before == '\'') ||
		    (style == FYSS_DOUBLE_QUOTED && before == '"'))
			pos--;
	}
	return place_of(b, pos);
}

static uint32_t add_spot(struct build *b, struct place at, bool container)
{
	struct yaml_doc *d = b->doc;

	if (d->nspots == d->cap) {
		d->cap = MAX(d->cap * 2, 32);
		d->spots = xrealloc(d->spots, d->cap * sizeof(*d->spots));
	}
	struct spot *s = &d->spots[d->nspots];
	*s = (struct spot){ .value = at, .at_key = at, .container = container };
	if (b->depth) {
		struct frame *f = &b->stack[b->depth - 1];
		s->parent = f->spot;
		s->index = (uint32_t)json_array_size(f->container);
		if (f->key) {
			s->key = xstrdup(f->key);
			s->at_key = f->at_key;
		}
	}
	return (uint32_t)d->nspots++;
}

/* ---- scalars ---- */

/* One line break in a quoted scalar is a blank, further ones are kept; blanks around them do not count. p is
 * at the first. */
static const char *fold(struct str *out, size_t begun, const char *p, const char *end)
{
	size_t breaks = 0;

	while (out->n > begun && (out->s[out->n - 1] == ' ' || out->s[out->n - 1] == '\t'))
		out->s[--out->n] = '\0';
	for (; p < end && strchr(" \t\r\n", *p); p++)
		breaks += *p == '\n' || (*p == '\r' && (p + 1 == end || p[1] != '\n'));
	if (breaks == 1)
		str_add(out, " ");
	while (breaks-- > 1)
		str_add(out, "\n");
	return p;
}

/*
 * The text of a single-quoted scalar, read from the input after its first quote: libfyaml 0.7.12 loses
 * characters (and memory) where two doubled quotes meet, as they do in selectors that compare with ''.
 */
static void unquote(struct str *out, const char *p, const char *end)
{
	size_t solid = 0; /* a doubled quote before it is not a blank to cut */

	while (p < end) {
		if (*p == '\'') {
			if (p + 1 == end || p[1] != '\'')
				return;
			str_add(out, "'");
			p += 2;
			solid = out->n;
		} else if (*p == '\n' || *p == '\r') {
			p = fold(out, solid, p, end);
			solid = out->n;
		} else {
			str_addn(out, p++, 1);
		}
	}
}

/* A scalar's text, added to out. False if the parser cannot give it. */
static bool scalar_text(const struct build *b, struct fy_token *t, struct str *out)
{
	const struct fy_mark *m = fy_token_start_mark(t);
	size_t n = 0;

	str_add(out, "");
	if (fy_token_scalar_style(t) == FYSS_SINGLE_QUOTED && m && m->input_pos > 0 && m->input_pos <= b->n &&
	    b->text[m->input_pos - 1] == '\'') {
		unquote(out, b->text + m->input_pos, b->text + b->n);
		return true;
	}
	const char *text = fy_token_get_text(t, &n);
	if (text)
		str_addn(out, text, n);
	return text;
}

static bool in(const char *s, const char *const *words, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(s, words[i]) == 0)
			return true;
	return false;
}

static bool is_null(const char *s)
{
	static const char *const words[] = { "", "~", "null", "Null", "NULL" };

	return in(s, words, ARRAY_SIZE(words));
}

static bool is_true(const char *s)
{
	static const char *const words[] = { "true", "True", "TRUE" };

	return in(s, words, ARRAY_SIZE(words));
}

static bool is_false(const char *s)
{
	static const char *const words[] = { "false", "False", "FALSE" };

	return in(s, words, ARRAY_SIZE(words));
}

/* 0 if s is no integer, else its base; *ret_digits are the digits after sign and base. */
static int int_base(const char *s, const char **ret_digits)
{
	int base = 10;

	if (s[0] == '0' && (s[1] == 'o' || s[1] == 'x')) {
		base = s[1] == 'o' ? 8 : 16;
		s += 2;
	} else if (*s == '-' || *s == '+') {
		s++;
	}
	size_t n = strspn(s, base == 8 ? "01234567" : base == 16 ? "0123456789abcdefABCDEF" : "0123456789");
	*ret_digits = s;
	return n && !s[n] ? base : 0;
}

/* [-+]? ( \. digits | digits ( \. digits? )? ) ( [eE] [-+]? digits )? */
static bool is_float(const char *s)
{
	s += *s == '-' || *s == '+';
	size_t whole = strspn(s, "0123456789"), frac = 0;
	s += whole;
	if (*s == '.') {
		frac = strspn(s + 1, "0123456789");
		s += 1 + frac;
	}
	if (!whole && !frac)
		return false;
	if (*s == 'e' || *s == 'E') {
		s++;
		s += *s == '-' || *s == '+';
		size_t exp = strspn(s, "0123456789");
		if (!exp)
			return false;
		s += exp;
	}
	return !*s;
}

static bool is_no_number(const char *s)
{
	static const char *const words[] = { ".nan", ".NaN", ".NAN" };
	static const char *const inf[] = { ".inf", ".Inf", ".INF" };

	return in(s, words, ARRAY_SIZE(words)) || in(s + (*s == '-' || *s == '+'), inf, ARRAY_SIZE(inf));
}

static int int_value(struct build *b, struct place at, const char *s, int base, const char *digits,
		     json_t **ret)
{
	errno = 0;
	long long n = base == 10 ? strtoll(s, NULL, 10) : strtoll(digits, NULL, base);

	if (errno)
		return fail(b, at, "%.40s is too large a number", s);
	*ret = json_integer(n);
	return 0;
}

static int plain_value(struct build *b, struct place at, const char *s, size_t n, json_t **ret)
{
	const char *digits;
	int base = int_base(s, &digits);

	if (is_null(s))
		*ret = json_null();
	else if (is_true(s) || is_false(s))
		*ret = json_boolean(is_true(s));
	else if (base)
		return int_value(b, at, s, base, digits, ret);
	else if (is_no_number(s) || (is_float(s) && !isfinite(strtod(s, NULL))))
		return fail(b, at, "%.40s is not a number that can be stored", s);
	else if (is_float(s))
		*ret = json_real(strtod(s, NULL));
	else
		*ret = json_stringn_nocheck(s, n);
	return 0;
}

/* The core schema's tags by their last word; "" is the explicit "!" (a string), NULL is none. */
static int tag_word(struct build *b, struct fy_event *ev, const char **ret)
{
	static const char *const known[] = { "str", "int", "float", "bool", "null", "map", "seq" };
	struct fy_token *t = ev->type == FYET_SCALAR	       ? ev->scalar.tag
			     : ev->type == FYET_MAPPING_START  ? ev->mapping_start.tag
			     : ev->type == FYET_SEQUENCE_START ? ev->sequence_start.tag
							       : NULL;
	const char *s = t ? fy_token_get_text0(t) : NULL;

	*ret = NULL;
	if (!s)
		return 0;
	if (strcmp(s, "!") == 0 || !*s) {
		*ret = "";
		return 0;
	}
	if (strncmp(s, "tag:yaml.org,2002:", 18) == 0) {
		for (size_t i = 0; i < ARRAY_SIZE(known); i++) {
			if (strcmp(s + 18, known[i]) == 0) {
				*ret = known[i];
				return 0;
			}
		}
	}
	return fail(b, event_place(b, ev), "the tag %.60s is not supported: leave it out", s);
}

static const char *type_word(const json_t *v)
{
	switch (json_typeof(v)) {
	case JSON_INTEGER:
		return "int";
	case JSON_REAL:
		return "float";
	case JSON_TRUE:
	case JSON_FALSE:
		return "bool";
	case JSON_NULL:
		return "null";
	default:
		return "str";
	}
}

static int scalar_value(struct build *b, struct fy_event *ev, json_t **ret)
{
	struct fy_token *t = ev->scalar.value;
	struct place at = event_place(b, ev);
	bool quoted = t && fy_token_scalar_style(t) != FYSS_PLAIN;
	own_str struct str text = { 0 };
	const char *tag;

	int rc = tag_word(b, ev, &tag);
	if (rc < 0)
		return rc;
	str_add(&text, "");
	if ((t && !scalar_text(b, t, &text)) || memchr(text.s, '\0', text.n))
		return fail(b, at, "a string must not contain NUL");
	const char *s = text.s;
	size_t n = text.n;
	b->total.bytes += n;
	if (b->total.bytes > TEXT_BYTES_MAX)
		return fail(b, at, "the strings of this file are longer than %u bytes in all",
			    TEXT_BYTES_MAX);
	if (tag ? !*tag || strcmp(tag, "str") == 0 : quoted) {
		*ret = json_stringn(s, n);
	} else {
		rc = plain_value(b, at, s, n, ret);
		if (rc < 0)
			return rc;
		if (tag && strcmp(tag, "float") == 0 && json_is_integer(*ret)) {
			double d = (double)json_integer_value(*ret);
			json_decref(*ret);
			*ret = json_real(d);
		}
		if (tag && *ret && strcmp(tag, type_word(*ret)) != 0) {
			json_decref(*ret);
			return fail(b, at, "\"%.40s\" is not a %s, as its tag says", s, tag);
		}
	}
	if (!*ret)
		return fail(b, at, "a string must be valid UTF-8");
	return 0;
}

/* ---- building ---- */

static bool at_root(const struct build *b)
{
	return b->depth == 0;
}

static void add_cost(struct cost *to, const struct cost *c)
{
	to->values += c->values;
	to->bytes += c->bytes;
	to->depth = MAX(to->depth, c->depth);
}

/* Hands a complete value to the container that waits for it; v is taken. */
static void give(struct build *b, json_t *v, const struct cost *c)
{
	if (at_root(b)) {
		b->doc->json = v;
		return;
	}
	struct frame *f = &b->stack[b->depth - 1];
	struct cost outer = { c->values, c->bytes, c->depth + 1 };
	add_cost(&f->cost, &outer);
	if (json_is_array(f->container)) {
		json_array_append_new(f->container, v);
		return;
	}
	f->cost.bytes += strlen(f->key);
	json_object_set_new_nocheck(f->container, f->key, v);
	free(f->key);
	f->key = NULL;
}

static int count_values(struct build *b, struct place at, size_t n)
{
	b->total.values += n;
	if (b->total.values > YAML_VALUES_MAX)
		return fail(b, at, "there are more than %d values in this file", YAML_VALUES_MAX);
	return 0;
}

static int new_anchor(struct build *b, struct fy_event *ev, size_t *ret)
{
	struct fy_token *t = ev->type == FYET_SCALAR	       ? ev->scalar.anchor
			     : ev->type == FYET_MAPPING_START  ? ev->mapping_start.anchor
			     : ev->type == FYET_SEQUENCE_START ? ev->sequence_start.anchor
							       : NULL;

	*ret = 0;
	if (!t)
		return 0;
	if (b->nanchors == ANCHORS_MAX)
		return fail(b, event_place(b, ev), "a document may have at most %d anchors", ANCHORS_MAX);
	if (!b->anchors)
		b->anchors = xcalloc(ANCHORS_MAX, sizeof(*b->anchors));
	b->anchors[b->nanchors] = (struct anchor){ .name = xstrdup(fy_token_get_text0(t)) };
	*ret = ++b->nanchors;
	return 0;
}

static void complete_anchor(struct build *b, size_t anchor, const json_t *v, const struct cost *c)
{
	if (!anchor)
		return;
	b->anchors[anchor - 1].value = v;
	b->anchors[anchor - 1].cost = *c;
}

/* Does the map on top of the stack wait for a key? */
static bool wants_key(const struct build *b)
{
	return b->depth && json_is_object(b->stack[b->depth - 1].container) && !b->stack[b->depth - 1].key;
}

/* The place of a key that is already there. */
static struct place other_key(const struct build *b, uint32_t parent, const char *key)
{
	for (size_t i = parent + 1; i < b->doc->nspots; i++)
		if (b->doc->spots[i].parent == parent && b->doc->spots[i].key &&
		    strcmp(b->doc->spots[i].key, key) == 0)
			return b->doc->spots[i].at_key;
	return (struct place){ 0, 0 };
}

static int on_key(struct build *b, struct fy_event *ev)
{
	struct frame *f = &b->stack[b->depth - 1];
	struct place at = event_place(b, ev);
	own_str struct str text = { 0 };

	if (ev->type == FYET_ALIAS)
		return fail(b, at, "a key must not be an alias");
	if (ev->type != FYET_SCALAR)
		return fail(b, at, "a key must be a word, not a list or a map");
	if (!ev->scalar.value || !scalar_text(b, ev->scalar.value, &text) || !text.n)
		return fail(b, at, "a key is missing before the \":\"");
	const char *key = text.s;
	size_t n = text.n;
	if (memchr(key, '\0', n))
		return fail(b, at, "a key must not contain NUL");
	if (strcmp(key, "<<") == 0)
		return fail(b, at, "merge keys (\"<<\") are not supported: write the fields out");
	json_t *utf8 = json_stringn(key, n);
	if (!utf8)
		return fail(b, at, "a key must be valid UTF-8");
	json_decref(utf8);
	if (json_object_get(f->container, key)) {
		struct place first = other_key(b, f->spot, key);
		return fail(b, at, "the key \"%.80s\" is there twice: first at line %d, column %d", key,
			    first.line, first.column);
	}
	b->total.bytes += n;
	f->key = str_take(&text);
	f->at_key = at;
	return 0;
}

static int on_scalar(struct build *b, struct fy_event *ev)
{
	struct place at = event_place(b, ev);
	json_t *v = NULL;
	size_t anchor;

	int rc = count_values(b, at, 1);
	if (rc == 0)
		rc = new_anchor(b, ev, &anchor);
	if (rc == 0)
		rc = scalar_value(b, ev, &v);
	if (rc < 0)
		return rc;
	struct cost c = { 1, json_string_length(v), 0 };
	add_spot(b, at, false);
	complete_anchor(b, anchor, v, &c);
	give(b, v, &c);
	return 0;
}

static int on_alias(struct build *b, struct fy_event *ev)
{
	struct place at = event_place(b, ev);
	const char *name = fy_token_get_text0(ev->alias.anchor);
	const struct anchor *a = NULL;

	for (size_t i = b->nanchors; i-- > 0 && !a;)
		if (strcmp(b->anchors[i].name, name) == 0)
			a = &b->anchors[i];
	if (!a)
		return fail(b, at, "there is no anchor &%.60s before this alias in the document", name);
	if (!a->value)
		return fail(b, at, "the alias *%.60s stands inside what it stands for", name);
	if (b->depth + a->cost.depth > YAML_DEPTH_MAX)
		return fail(b, at, "values are nested deeper than %d levels", YAML_DEPTH_MAX);
	b->total.bytes += a->cost.bytes;
	if (b->total.bytes > TEXT_BYTES_MAX)
		return fail(b, at, "the strings of this file are longer than %u bytes in all",
			    TEXT_BYTES_MAX);
	int rc = count_values(b, at, a->cost.values);
	if (rc < 0)
		return rc;
	struct cost c = a->cost;
	add_spot(b, at, false);
	give(b, json_deep_copy(a->value), &c);
	return 0;
}

static int on_start(struct build *b, struct fy_event *ev)
{
	bool map = ev->type == FYET_MAPPING_START;
	struct place at = event_place(b, ev);
	const char *tag;
	size_t anchor;

	int rc = count_values(b, at, 1);
	if (rc == 0)
		rc = tag_word(b, ev, &tag);
	if (rc == 0)
		rc = new_anchor(b, ev, &anchor);
	if (rc < 0)
		return rc;
	if (tag && *tag && strcmp(tag, map ? "map" : "seq") != 0)
		return fail(b, at, "a %s is not a %s, as its tag says", map ? "map" : "list", tag);
	if (b->depth == YAML_DEPTH_MAX)
		return fail(b, at, "values are nested deeper than %d levels", YAML_DEPTH_MAX);
	uint32_t spot = add_spot(b, at, true);
	b->stack[b->depth++] = (struct frame){ .container = map ? json_object() : json_array(),
					       .spot = spot,
					       .anchor = anchor,
					       .cost = { 1, 0, 1 } };
	return 0;
}

static int on_end(struct build *b)
{
	CHECK(b->depth);
	struct frame f = b->stack[--b->depth];

	complete_anchor(b, f.anchor, f.container, &f.cost);
	give(b, f.container, &f.cost);
	return 0;
}

static void drop_anchors(struct build *b)
{
	while (b->nanchors)
		free(b->anchors[--b->nanchors].name);
}

static void doc_done(struct yaml_doc *d)
{
	json_decref(d->json);
	for (size_t i = 0; i < d->nspots; i++)
		free(d->spots[i].key);
	free(d->spots);
}

static int on_document_start(struct build *b, struct fy_event *ev)
{
	struct yaml *y = b->y;

	if (y->n == YAML_DOCS_MAX)
		return fail(b, event_place(b, ev), "there are more than %d documents in this file",
			    YAML_DOCS_MAX);
	if ((y->n & (y->n - 1)) == 0)
		y->docs = xrealloc(y->docs, MAX(y->n * 2, 1) * sizeof(*y->docs));
	b->doc = &y->docs[y->n++];
	*b->doc = (struct yaml_doc){ 0 };
	return 0;
}

/* "---" with nothing after it is how people separate files, not a document. */
static int on_document_end(struct build *b)
{
	drop_anchors(b);
	if (!b->doc->json || json_is_null(b->doc->json)) {
		doc_done(b->doc);
		b->y->n--;
	}
	b->doc = NULL;
	return 0;
}

static int on_event(struct build *b, struct fy_event *ev)
{
	if (ev->type == FYET_DOCUMENT_START)
		return on_document_start(b, ev);
	if (ev->type == FYET_DOCUMENT_END)
		return on_document_end(b);
	if (ev->type == FYET_MAPPING_END || ev->type == FYET_SEQUENCE_END)
		return on_end(b);
	if (ev->type == FYET_STREAM_START || ev->type == FYET_STREAM_END)
		return 0;
	if (wants_key(b))
		return on_key(b, ev);
	if (ev->type == FYET_SCALAR)
		return on_scalar(b, ev);
	if (ev->type == FYET_ALIAS)
		return on_alias(b, ev);
	if (ev->type == FYET_MAPPING_START || ev->type == FYET_SEQUENCE_START)
		return on_start(b, ev);
	return 0;
}

/* ---- reading ---- */

/* The length of a valid UTF-8 character (RFC 3629) at s, 0 if there is none. */
static size_t utf8_length(const unsigned char *s, size_t n)
{
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	size_t len = s[0] < 0x80   ? 1
		     : s[0] < 0xc2 ? 0
		     : s[0] < 0xe0 ? 2
		     : s[0] < 0xf0 ? 3
		     : s[0] < 0xf5 ? 4
				   : 0;
	uint32_t c = len > 1 ? s[0] & (0x7fu >> len) : s[0];

	if (len > n)
		return 0;
	for (size_t i = 1; i < len; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (s[i] & 0x3f);
	}
	if (len > 1 && (c < least[len] || c > 0x10ffff || (c >= 0xd800 && c < 0xe000)))
		return 0;
	return len;
}

/* What would cost the parser too much for what it can mean. Counts of a run restart where it ends. */
struct runs {
	size_t blank_lines, blanks, line_marks;
	size_t marks, lines; /* of all */
};

static const char *run_too_long(struct runs *r, char c, char next)
{
	bool end = c == '\n' || (c == '\r' && next != '\n'), blank = c == ' ' || c == '\t';

	r->lines += end;
	r->blank_lines = end ? r->blank_lines + 1 : blank || c == '\r' ? r->blank_lines : 0;
	r->blanks = blank ? r->blanks + 1 : 0;
	r->line_marks = end ? 0 : r->line_marks + (strchr(",:[]{}", c) != NULL);
	r->marks += strchr(",:[]{}'\"-?&*!", c) != NULL;
	if (r->blank_lines > BLANK_LINES_MAX)
		return "there are too many blank lines in a row";
	if (r->blanks > BLANKS_MAX)
		return "there are too many blanks in a row";
	if (r->line_marks > LINE_MARKS_MAX)
		return "there are too many values in one line: write it in several";
	if (r->lines > LINES_MAX || r->marks > MARKS_MAX)
		return "there are too many lines or values in one file: write several";
	return NULL;
}

/* The first byte that text must not contain: NUL and other control characters, no UTF-8, one too many of a
 * run. */
static int check_bytes(struct build *b)
{
	const unsigned char *s = (const unsigned char *)b->text;
	struct runs runs = { 0 };

	for (size_t i = 0, len; i < b->n; i += len) {
		len = utf8_length(s + i, b->n - i);
		if (!len)
			return fail(b, place_of(b, i), "the byte 0x%02x is not valid UTF-8", s[i]);
		if ((s[i] < 0x20 && s[i] != '\n' && s[i] != '\t' && s[i] != '\r') || s[i] == 0x7f)
			return fail(b, place_of(b, i), "a control character (0x%02x) is not allowed in text",
				    s[i]);
		const char *why = run_too_long(&runs, (char)s[i], i + 1 < b->n ? (char)s[i + 1] : '\0');
		if (why)
			return fail(b, place_of(b, i), "%s", why);
	}
	return 0;
}

/* libfyaml's own words are for its authors; these are the mistakes people make. The first that fits counts.
 */
static const struct {
	const char *theirs, *ours;
} words[] = {
	{ " tab", "a tab cannot indent: use spaces" },
	{ "tab character", "a tab cannot indent: use spaces" },
	{ "escape", "the escape after \"\\\" in this string is not valid" },
	{ "trailing content", "text follows the closing quote: put all of it in quotes" },
	{ "-quoted scalar", "a quote is opened but not closed" },
	{ "plain scalar cannot start", "a value cannot begin with this character: put it in quotes" },
	{ "plain key",
	  "a key and \":\" are expected here: check the indentation of this line and the one before" },
	{ "nested block mapping", "a second \":\" is on this line: put the value in quotes" },
	{ "expected ':'", "a \":\" is missing after this key" },
	{ "missing ':'", "a \":\" is missing after this key" },
	{ "missing comma", "a \",\" is missing between two values" },
	{ "closing bracket", "a \"[\" or \"{\" is opened but not closed" },
	{ "mismatched flow", "a bracket is closed by one of the other kind" },
	{ "depth", "values are nested too deeply" },
	{ "indent", "this line is indented differently from its neighbours" },
	{ "indendation", "this line is indented differently from its neighbours" },
	{ "did not find expected",
	  "this does not belong to the list or map before it: check the indentation" },
	{ "end of block sequence", "this does not belong to the list before it: check the indentation" },
};

/* The first thing the parser complained about, as our sentence. */
static int syntax_err(struct build *b, struct fy_diag *diag)
{
	void *iter = NULL;
	const struct fy_diag_error *de = fy_diag_errors_iterate(diag, &iter);
	const char *msg = de && de->msg ? de->msg : "it cannot be read";
	struct place at = b->place;

	if (de && de->line > 0)
		at = (struct place){ de->line, MAX(de->column, 1) };
	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		if (strstr(msg, words[i].theirs))
			return fail(b, at, "not valid YAML: %s", words[i].ours);
	return fail(b, at, "not valid YAML: %.*s", (int)strcspn(msg, "\n"), msg);
}

/* Collected errors are never printed; should anything come here nevertheless, it is dropped. */
static void silent(struct fy_diag *diag, void *user, const char *buf, size_t len)
{
}

static struct fy_diag *quiet_diag(void)
{
	struct fy_diag_cfg cfg;

	fy_diag_cfg_default(&cfg);
	cfg.fp = NULL;
	cfg.output_fn = silent;
	cfg.colorize = false;
	struct fy_diag *d = fy_diag_create(&cfg);
	CHECK(d);
	fy_diag_set_collect_errors(d, true);
	return d;
}

static int run_events(struct build *b, struct fy_parser *p, struct fy_diag *diag)
{
	struct fy_event *ev;
	int rc = 0;

	while (rc == 0 && (ev = fy_parser_parse(p))) {
		rc = on_event(b, ev);
		fy_parser_event_free(p, ev);
	}
	if (rc == 0 && (fy_parser_get_stream_error(p) || fy_diag_got_error(diag) || b->doc))
		rc = syntax_err(b, diag);
	return rc;
}

static int parse(struct build *b)
{
	struct fy_diag *diag = quiet_diag();
	const struct fy_parse_cfg cfg = {
		.flags = FYPCF_QUIET | FYPCF_COLLECT_DIAG | FYPCF_DEFAULT_VERSION_1_2 | FYPCF_JSON_NONE,
		.diag = diag,
	};
	struct fy_parser *p = fy_parser_create(&cfg);

	CHECK(p && fy_parser_set_string(p, b->text, b->n) == 0);
	int rc = run_events(b, p, diag);
	fy_parser_destroy(p);
	fy_diag_destroy(diag);
	return rc;
}

/* What a parse that stopped half-way still holds. */
static void build_done(struct build *b)
{
	while (b->depth) {
		struct frame *f = &b->stack[--b->depth];
		json_decref(f->container);
		free(f->key);
	}
	drop_anchors(b);
	free(b->anchors);
}

int yaml_parse(const char *file, const char *text, size_t n, struct yaml *ret, struct err *e)
{
	struct yaml y = { .file = xstrdup(file) };
	struct build b = { .file = y.file, .text = text, .n = n, .y = &y, .place = { 1, 1 }, .e = e };
	int rc = 0;

	if (n > YAML_BYTES_MAX)
		rc = fail(&b, (struct place){ 1, 1 }, "the file is longer than %u bytes", YAML_BYTES_MAX);
	if (rc == 0 && n >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0) {
		b.text += 3;
		b.n -= 3;
	}
	if (rc == 0)
		rc = check_bytes(&b);
	if (rc == 0 && b.n)
		rc = parse(&b);
	build_done(&b);
	if (rc < 0)
		yaml_done(&y);
	else
		*ret = y;
	return rc;
}

static int read_all(int fd, const char *name, struct str *b, struct err *e)
{
	char buf[65536];

	for (;;) {
		ssize_t n = read(fd, buf, sizeof(buf));
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_set(e, errno, "read %s: %m", name);
		if (n == 0)
			return 0;
		str_addn(b, buf, (size_t)n);
		/* One byte too many is enough to be refused. */
		if (b->n > YAML_BYTES_MAX)
			return 0;
	}
}

int yaml_read_file(const char *path, struct yaml *ret, struct err *e)
{
	bool standard = strcmp(path, "-") == 0;
	const char *name = standard ? "<stdin>" : path;
	own_fd int fd = standard ? dup(STDIN_FILENO) : open(path, O_RDONLY | O_CLOEXEC);
	own_str struct str b = { 0 };

	if (fd < 0)
		return err_set(e, errno, "open %s: %m", name);
	int rc = read_all(fd, name, &b, e);
	return rc ? rc : yaml_parse(name, b.s ? b.s : "", b.n, ret, e);
}

void yaml_done(struct yaml *y)
{
	for (size_t i = 0; i < y->n; i++)
		doc_done(&y->docs[i]);
	free(y->docs);
	free(y->file);
	*y = (struct yaml){ 0 };
}

json_t *yaml_json(const struct yaml *y, size_t i)
{
	CHECK(i < y->n);
	return y->docs[i].json;
}

/* ---- finding places ---- */

/* The child of parent whose key (or index) path begins with; the longest key wins, as keys may contain dots.
 */
static const struct spot *find_child(const struct yaml_doc *d, uint32_t parent, const char *path,
				     size_t *ret_used)
{
	const struct spot *best = NULL;
	size_t used = 0;

	for (size_t i = parent + 1; i < d->nspots; i++) {
		const struct spot *s = &d->spots[i];
		char index[24];
		if (s->parent != parent)
			continue;
		if (!s->key)
			snprintf(index, sizeof(index), "[%u]", s->index);
		const char *name = s->key ? s->key : index;
		size_t n = strlen(name);
		if (n >= used && strncmp(path, name, n) == 0 && (!path[n] || strchr(".[:", path[n]))) {
			best = s;
			used = n;
		}
	}
	*ret_used = used;
	return best;
}

/* Values on the line of their key stand for themselves, blocks below it at their key. */
static struct place spot_place(const struct spot *s)
{
	return s->container && s->key && s->value.line != s->at_key.line ? s->at_key : s->value;
}

void yaml_where(const struct yaml *y, size_t i, const char *path, int *ret_line, int *ret_column)
{
	CHECK(i < y->n);
	const struct yaml_doc *d = &y->docs[i];
	const struct spot *s = &d->spots[0];
	size_t used;

	while (*path && *path != ':') {
		path += *path == '.';
		const struct spot *next = find_child(d, (uint32_t)(s - d->spots), path, &used);
		if (!next)
			break;
		s = next;
		path += used;
	}
	struct place at = strcmp(path, ":") == 0 ? s->at_key : spot_place(s);
	*ret_line = at.line;
	*ret_column = at.column;
}

int yaml_err(const struct yaml *y, size_t i, const char *path, struct err *e, const char *fmt, ...)
{
	char msg[ERR_MSG_MAX];
	int line, column;
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(msg, sizeof(msg), fmt, ap);
	va_end(ap);
	yaml_where(y, i, path, &line, &column);
	return err_set(e, EINVAL, "%.120s:%d:%d: %.370s", y->file, line, column, msg);
}

/* ---- writing ---- */

/* Would a reader of YAML 1.1 or 1.2 take this plain text for something else than a string? */
static bool looks_typed(const char *s)
{
	static const char *const yaml11[] = { "y", "n", "yes", "no", "on", "off", "null", "true", "false" };
	const char *digits;

	if (is_null(s) || int_base(s, &digits) || is_float(s) || is_no_number(s))
		return true;
	for (size_t i = 0; i < ARRAY_SIZE(yaml11); i++)
		if (strcasecmp(s, yaml11[i]) == 0)
			return true;
	/* Numbers with "_", base 60, 0b..., and dates are typed in YAML 1.1. */
	const char *p = s + (*s == '-' || *s == '+');
	if (isdigit((unsigned char)*p) && !p[strspn(p, "0123456789_:.abcdefxABCDEFobB+-")] &&
	    !strchr(p, '/') && (strpbrk(p, "_:") || p[0] == '0'))
		return true;
	return strlen(s) >= 8 && strspn(s, "0123456789") == 4 && s[4] == '-';
}

/* Would it be refused as a run when read back? Quoted text breaks runs by escapes. */
static bool has_long_run(const char *s)
{
	struct runs runs = { 0 };

	for (; *s; s++)
		if (run_too_long(&runs, *s, s[1]))
			return true;
	return false;
}

static bool plain_ok(const char *s)
{
	size_t n = strlen(s);

	if (!n || has_long_run(s) || strchr("-?:,[]{}#&*!|>'\"%@` .=<~", s[0]) || s[n - 1] == ' ' ||
	    s[n - 1] == ':')
		return false;
	for (const char *p = s; *p; p++) {
		unsigned char c = (unsigned char)*p;
		if (c < 0x20 || c >= 0x7f || (c == ':' && p[1] == ' ') || (c == '#' && p > s && p[-1] == ' '))
			return false;
	}
	return !looks_typed(s);
}

/* Double quotes with escapes: every string can be written so. Characters above ASCII stay as they are. */
static void dump_quoted(struct str *b, const char *s)
{
	size_t blanks = 0;

	str_add(b, "\"");
	for (; *s; s++) {
		unsigned char c = (unsigned char)*s;
		blanks = c == ' ' ? blanks + 1 : 0;
		if (blanks == BLANKS_MAX / 2) {
			str_add(b, "\\x20");
			blanks = 0;
		} else if (c == '"' || c == '\\')
			str_addf(b, "\\%c", c);
		else if (c == '\n')
			str_add(b, "\\n");
		else if (c == '\t')
			str_add(b, "\\t");
		else if (c == '\r')
			str_add(b, "\\r");
		else if (c < 0x20 || c == 0x7f)
			str_addf(b, "\\x%02x", c);
		else if (c == 0xc2 && (unsigned char)s[1] < 0xa0) /* C1 controls, NEL among them */
			str_addf(b, "\\x%02x", (unsigned char)*++s);
		else if (c == 0xe2 && (unsigned char)s[1] == 0x80 && ((unsigned char)s[2] & 0xfe) == 0xa8) {
			str_addf(b, "\\u20%02x",
				 (unsigned char)s[2] - 0x80); /* line and paragraph separators */
			s += 2;
		} else if (c == 0xef && (unsigned char)s[1] == 0xbb && (unsigned char)s[2] == 0xbf) {
			str_add(b, "\\ufeff");
			s += 2;
		} else
			str_addn(b, s, 1);
	}
	str_add(b, "\"");
}

/* Can it be a literal block ("|")? Several lines of plain characters, the first not indented, none with
 * trailing blanks. */
static bool literal_ok(const char *s)
{
	if (!strchr(s, '\n') || strchr(" \n\t", s[0]) || has_long_run(s))
		return false;
	for (const char *p = s; *p; p++) {
		unsigned char c = (unsigned char)*p;
		if (c != '\n' && (c < 0x20 || c >= 0x7f))
			return false;
		if (c == '\n' && p > s && p[-1] == ' ')
			return false;
		if (c == '\n' && (strncmp(p + 1, "---", 3) == 0 || strncmp(p + 1, "...", 3) == 0))
			return false;
	}
	return true;
}

static void indent(struct str *b, int n)
{
	str_addf(b, "%*s", n, "");
}

static void dump_literal(struct str *b, const char *s, int level)
{
	size_t n = strlen(s);

	str_add(b, s[n - 1] != '\n' ? "|-\n" : s[n - 2] == '\n' ? "|+\n" : "|\n");
	while (*s) {
		size_t len = strcspn(s, "\n");
		if (len)
			indent(b, level);
		str_addn(b, s, len);
		str_add(b, "\n");
		s += len + (s[len] == '\n');
	}
}

static void dump_real(struct str *b, double d)
{
	char buf[40];

	for (int digits = 15; digits <= 17; digits++) {
		snprintf(buf, sizeof(buf), "%.*g", digits, d);
		if (strtod(buf, NULL) == d)
			break;
	}
	str_add(b, buf);
	if (!strpbrk(buf, ".e"))
		str_add(b, ".0");
}

static void dump_string(struct str *b, const char *s, int level)
{
	if (plain_ok(s)) {
		str_addf(b, "%s\n", s);
	} else if (literal_ok(s)) {
		dump_literal(b, s, level);
	} else {
		dump_quoted(b, s);
		str_add(b, "\n");
	}
}

/* A scalar or an empty container, to the end of its line. level is where a literal block's lines begin. */
static void dump_scalar(struct str *b, const json_t *v, int level)
{
	switch (json_typeof(v)) {
	case JSON_STRING:
		dump_string(b, json_string_value(v), level);
		break;
	case JSON_INTEGER:
		str_addf(b, "%lld\n", (long long)json_integer_value(v));
		break;
	case JSON_REAL:
		dump_real(b, json_real_value(v));
		str_add(b, "\n");
		break;
	case JSON_TRUE:
		str_add(b, "true\n");
		break;
	case JSON_FALSE:
		str_add(b, "false\n");
		break;
	case JSON_NULL:
		str_add(b, "null\n");
		break;
	case JSON_OBJECT:
		str_add(b, "{}\n");
		break;
	case JSON_ARRAY:
		str_add(b, "[]\n");
		break;
	}
}

static bool has_members(const json_t *v)
{
	return json_object_size(v) || json_array_size(v);
}

static void dump_node(struct str *b, const json_t *v, int level, bool inlined);

static void dump_member(struct str *b, const char *key, const json_t *v, int level)
{
	if (plain_ok(key))
		str_add(b, key);
	else
		dump_quoted(b, key);
	if (!has_members(v)) {
		str_add(b, ": ");
		dump_scalar(b, v, level + 2);
		return;
	}
	str_add(b, ":\n");
	/* Lists stand under their key, not to its right, as kubectl writes them. */
	dump_node(b, v, json_is_array(v) ? level : level + 2, false);
}

/* A container with members. inlined: its first line has been begun ("- "). */
static void dump_node(struct str *b, const json_t *v, int level, bool inlined)
{
	const char *key;
	json_t *x;
	size_t i;

	if (json_is_object(v)) {
		json_object_foreach((json_t *)v, key, x)
		{
			if (!inlined)
				indent(b, level);
			inlined = false;
			dump_member(b, key, x, level);
		}
		return;
	}
	json_array_foreach((json_t *)v, i, x)
	{
		if (!inlined)
			indent(b, level);
		inlined = false;
		str_add(b, "- ");
		if (has_members(x))
			dump_node(b, x, level + 2, true);
		else
			dump_scalar(b, x, level + 2);
	}
}

char *yaml_dump(const json_t *doc)
{
	static const char *const first[] = { "apiVersion", "kind" };
	struct str b = { 0 };
	const char *key;
	json_t *v;

	if (!has_members(doc)) {
		dump_scalar(&b, doc, 2);
		return str_take(&b);
	}
	if (!json_is_object(doc)) {
		dump_node(&b, doc, 0, false);
		return str_take(&b);
	}
	for (size_t i = 0; i < ARRAY_SIZE(first); i++)
		if ((v = json_object_get(doc, first[i])))
			dump_member(&b, first[i], v, 0);
	json_object_foreach((json_t *)doc, key, v) if (!in(key, first, ARRAY_SIZE(first)))
		dump_member(&b, key, v, 0);
	return str_take(&b);
}
