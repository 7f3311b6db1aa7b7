/*
 * korat path A B: every step of a packet from A to B and back, from the kernels' own answers, and one
 * verdict.
 */
#include "base/check.h"
#include "base/str.h"
#include "ctl/out.h"
#include "ctl/path_walk.h"
#include "ctl/verb.h"

#include <stdio.h>

/* Exit codes beside the usual ones. */
enum { PATH_EXIT_FAILS = 4, PATH_EXIT_UNKNOWN = 5 };

static const char *const result_words[] = {
	[PATH_REACHES] = "reaches", [PATH_FAILS] = "fails", [PATH_UNKNOWN] = "unknown"
};

static const struct verb_opt opts[] = {
	OUT_OPT,
	{ "ipv6", '6', NULL, "use the IPv6 addresses of names" },
	{ "agent", 0, "SOCKET", "ask this agent (default: the lab's, else /run/korat/agent.sock)" },
	{ 0 },
};

static json_t *way_json(const struct path_way *w)
{
	json_t *steps = json_array();
	char from[ADDR_STR_MAX], to[ADDR_STR_MAX];

	for (size_t i = 0; i < w->nsteps; i++) {
		const struct path_step *s = &w->steps[i];
		json_array_append_new(steps, json_pack("{s:i, s:s, s:s, s:s, s:s}", "step", (int)i + 1,
						       "where", s->where, "what", s->what, "text", s->text,
						       "result", result_words[s->result]));
	}
	return json_pack("{s:s, s:s, s:s, s:s, s:o, s:s, s:s, s:s}", "from", w->from.name, "from_address",
			 addr_format(&w->from.addr, from), "to", w->to.name, "to_address",
			 addr_format(&w->to.addr, to), "steps", steps, "result", result_words[w->result],
			 "verdict", w->verdict, "next", w->next);
}

static void print_way(const struct path_way *w, const char *title)
{
	static const char *const headers[] = { "", "WHERE", "WHAT", "SEEN", "", NULL };
	static const enum out_look looks[] = {
		[PATH_REACHES] = OUT_GOOD, [PATH_FAILS] = OUT_BAD, [PATH_UNKNOWN] = OUT_WAITING
	};
	static const char *const marks[] = {
		[PATH_REACHES] = "ok", [PATH_FAILS] = "FAILS", [PATH_UNKNOWN] = "?"
	};
	own(out_table) struct out_table *t = out_table_new(headers);
	char from[ADDR_STR_MAX], to[ADDR_STR_MAX];

	printf("%s: %s (%s) → %s (%s)\n", title, w->from.name, addr_format(&w->from.addr, from), w->to.name,
	       addr_format(&w->to.addr, to));
	for (size_t i = 0; i < w->nsteps; i++) {
		const struct path_step *s = &w->steps[i];
		out_table_row(t);
		out_table_cell(t, OUT_PLAIN, "%zu", i + 1);
		out_table_cell(t, OUT_PLAIN, "%s", s->where);
		out_table_cell(t, OUT_PLAIN, "%s", s->what);
		out_table_cell(t, OUT_PLAIN, "%s", s->text);
		out_table_cell(t, looks[s->result], "%s", marks[s->result]);
	}
	out_table_print(t);
	printf("  %s\n", w->verdict);
	if (w->next[0])
		printf("  Next: %s\n", w->next);
}

static enum path_result worse(enum path_result a, enum path_result b)
{
	if (a == PATH_FAILS || b == PATH_FAILS)
		return PATH_FAILS;
	return a == PATH_UNKNOWN || b == PATH_UNKNOWN ? PATH_UNKNOWN : PATH_REACHES;
}

static void overall(const struct path_way *there, const struct path_way *back, struct str *s)
{
	if (there->result == PATH_REACHES && back->result == PATH_REACHES)
		str_addf(s, "Both directions work: %s and %s reach each other.", there->from.name,
			 there->to.name);
	else if (there->result == PATH_REACHES)
		str_addf(s, "Only one direction works: %s reaches %s, but answers do not come back. %s",
			 there->from.name, there->to.name, back->verdict);
	else
		str_addf(s, "%s", there->verdict);
}

static int show(const struct path_way *there, const struct path_way *back, enum out_format format)
{
	static const int codes[] = {
		[PATH_REACHES] = VERB_OK, [PATH_FAILS] = PATH_EXIT_FAILS, [PATH_UNKNOWN] = PATH_EXIT_UNKNOWN
	};
	enum path_result result = worse(there->result, back->result);
	own_str struct str s = { 0 };

	overall(there, back, &s);
	if (format == OUT_JSON) {
		json_t *o = json_pack("{s:s, s:s, s:[o,o]}", "result", result_words[result], "verdict", s.s,
				      "ways", way_json(there), way_json(back));
		out_json(o);
		json_decref(o);
	} else {
		print_way(there, "There");
		printf("\n");
		print_way(back, "Back");
		printf("\nVerdict: %s\n", s.s);
	}
	return codes[result];
}

static int walk_both(const struct path_agents *agents, const struct verb_args *a, enum out_format format,
		     struct err *e)
{
	uint8_t family = verb_has(a, "ipv6") ? AF_INET6 : AF_INET;
	struct path_end from, to;
	struct addr given;

	/* One address decides the family of a name beside it. */
	for (size_t i = 0; i < 2; i++)
		if (addr_parse(a->pos[i], &given))
			family = given.family;
	if (path_end_find(agents, a->pos[0], family, &from, e) < 0 ||
	    path_end_find(agents, a->pos[1], family, &to, e) < 0)
		return VERB_FAILED;
	if (from.addr.family != to.addr.family) {
		err_set(e, EINVAL, "%s and %s are not of one family: give two IPv4 or two IPv6 addresses",
			from.name, to.name);
		return VERB_FAILED;
	}
	struct path_way *ways = xcalloc(2, sizeof(*ways));
	path_walk(agents, &from, &to, &ways[0]);
	path_walk(agents, &to, &from, &ways[1]);
	int code = show(&ways[0], &ways[1], format);
	free(ways);
	return code;
}

static int path_run(const struct verb_args *a)
{
	enum out_format format = OUT_TABLE;
	struct err e = { 0 };
	int code = verb_want(a, 2, 2);

	if (code || (code = out_format(a, &format)))
		return code;
	struct path_agents *agents = xcalloc(1, sizeof(*agents));
	if (path_agents_find(verb_get(a, "agent"), agents, &e) < 0)
		code = VERB_FAILED;
	else
		code = walk_both(agents, a, format, &e);
	if (e.code)
		out_error(&e);
	path_agents_done(agents);
	free(agents);
	return code;
}

const struct verb verb_path = {
	.name = "path",
	.args = "A B",
	.summary = "explain the way of a packet between two pods, nodes or addresses, and back",
	.text = "Asks every kernel on the way what it would do with the packet: route, neighbour, interface. "
		"What BGP and the\n"
		"datastore know stands beside it. Exit code 0: both directions work; 4: a direction fails; "
		"5: not known.",
	.examples = "  # two pods, by name or address\n"
		    "  korat path nginx-1 nginx-2\n"
		    "  korat path 10.8.112.2 10.8.152.200 -o json\n",
	.opts = opts,
	.run = path_run,
};
