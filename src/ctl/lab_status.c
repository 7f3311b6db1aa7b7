/* korat lab status: what every node's koratd says of itself, and where the pods are. */
#include "base/check.h"
#include "base/str.h"
#include "ctl/lab_agent.h"
#include "ctl/lab_cni.h"
#include "ctl/lab_state.h"
#include "ctl/lab_verbs.h"
#include "ctl/out.h"

#include <stdio.h>

#define ASK_MS 1000

struct seen {
	const struct lab_node *node;
	struct lab_proc proc;
	bool lives;
	json_t *status; /* NULL if it does not answer */
	struct err e;	/* why */
};

static void look(struct seen *s, const struct lab_node *n)
{
	s->node = n;
	s->proc = lab_agent_proc(n->name);
	s->lives = lab_proc_lives(&s->proc);
	if (!s->lives)
		err_set(&s->e, ESRCH, s->proc.pid ? "koratd has ended" : "koratd was not started");
	else
		lab_agent_status(n->name, ASK_MS, &s->status, &s->e);
}

static bool is_ready(const struct seen *s)
{
	return json_is_true(json_object_get(s->status, "ready"));
}

static const char *text_of(const json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));

	return s ? s : "";
}

static const char *state_word(const struct seen *s)
{
	if (!s->lives)
		return "down";
	if (!s->status)
		return "silent";
	return is_ready(s) ? "ready" : "starting";
}

static const char *reason_of(const struct seen *s)
{
	return s->status ? text_of(s->status, "reason") : s->e.msg;
}

static size_t count_pods(const struct lab *l, const char *node)
{
	size_t n = 0;

	for (size_t i = 0; i < l->npods; i++)
		n += strcmp(l->pods[i].node, node) == 0;
	return n;
}

static int number_of(const json_t *status, const char *a, const char *b)
{
	return (int)json_integer_value(json_object_get(json_object_get(status, a), b));
}

/* ---- for people ---- */

static void node_row(struct out_table *t, const struct lab *l, const struct seen *s)
{
	const struct lab_iface *f = &s->node->iface;
	char addr[ADDR_STR_MAX];
	own_str struct str blocks = { 0 };
	const json_t *block;
	size_t i;
	bool v4 = addr_is_set(&f->addr4);

	json_array_foreach(json_object_get(s->status, "blocks"), i, block)
		str_addf(&blocks, "%s%s", i ? "," : "", json_string_value(block));
	int up = number_of(s->status, "sessions", "established");
	int want = number_of(s->status, "sessions", "configured");
	enum out_look look = is_ready(s) ? OUT_GOOD : s->status ? OUT_WAITING : OUT_BAD;
	out_table_row(t);
	out_table_cell(t, OUT_PLAIN, "%s", s->node->name);
	out_table_cell(t, OUT_PLAIN, "%s/%u", addr_format(v4 ? &f->addr4 : &f->addr6, addr),
		       v4 ? f->len4 : f->len6);
	out_table_cell(t, look, "%s", state_word(s));
	if (s->proc.pid)
		out_table_cell(t, OUT_PLAIN, "%d", s->proc.pid);
	else
		out_table_cell(t, OUT_PLAIN, "-");
	if (s->status)
		out_table_cell(t, up == want ? OUT_GOOD : OUT_BAD, "%d/%d", up, want);
	else
		out_table_cell(t, OUT_PLAIN, "-");
	out_table_cell(t, OUT_PLAIN, "%zu", count_pods(l, s->node->name));
	out_table_cell(t, OUT_PLAIN, "%s", blocks.s ? blocks.s : "-");
}

static void print_nodes(const struct lab *l, const struct seen *seen)
{
	static const char *const headers[] = { "NODE",	   "ADDRESS", "STATE",	"PID",
					       "SESSIONS", "PODS",    "BLOCKS", NULL };
	own(out_table) struct out_table *t = out_table_new(headers);

	for (size_t i = 0; i < l->nnodes; i++)
		node_row(t, l, &seen[i]);
	out_table_print(t);
	for (size_t i = 0; i < l->nnodes; i++) {
		if (!is_ready(&seen[i]))
			printf("%s: %s\n", l->nodes[i].name, reason_of(&seen[i]));
	}
}

static void print_pods(const struct lab *l)
{
	static const char *const headers[] = { "POD", "ADDRESS", "NODE", "INTERFACE", NULL };
	char addrs[LAB_CNI_TEXT_MAX];

	if (!l->npods)
		return;
	own(out_table) struct out_table *t = out_table_new(headers);
	for (size_t i = 0; i < l->npods; i++) {
		json_t *result = lab_cni_result(l->pods[i].name);
		out_table_row(t);
		out_table_cell(t, OUT_PLAIN, "%s", l->pods[i].name);
		out_table_cell(t, result ? OUT_PLAIN : OUT_BAD, "%s",
			       result ? lab_cni_addresses(result, addrs) : "not made");
		out_table_cell(t, OUT_PLAIN, "%s", l->pods[i].node);
		out_table_cell(t, OUT_PLAIN, "%s", result ? lab_cni_interface(result) : "-");
		json_decref(result);
	}
	printf("\n");
	out_table_print(t);
}

/* ---- for programs ---- */

static json_t *node_json(const struct seen *s)
{
	const struct lab_iface *f = &s->node->iface;
	char netns[LAB_NETNS_MAX], addr[ADDR_STR_MAX];
	json_t *o = json_pack("{s:s, s:s, s:s, s:b, s:s, s:i}", "name", s->node->name, "namespace",
			      lab_netns(s->node->name, netns), "interface", f->name, "ready", is_ready(s),
			      "state", state_word(s), "pid", s->proc.pid);

	json_object_set_new(o, "reason", json_string(reason_of(s)));
	if (addr_is_set(&f->addr4))
		json_object_set_new(o, "address",
				    json_sprintf("%s/%u", addr_format(&f->addr4, addr), f->len4));
	if (addr_is_set(&f->addr6))
		json_object_set_new(o, "address6",
				    json_sprintf("%s/%u", addr_format(&f->addr6, addr), f->len6));
	/* The rest is the agent's own answer; "pid" above is that of koratd as a whole. */
	static const char *const keep[] = { "sessions", "peers", "blocks", "routes" };
	for (size_t i = 0; i < ARRAY_SIZE(keep); i++)
		json_object_set(o, keep[i], json_object_get(s->status, keep[i]));
	json_object_set(o, "agent_pid", json_object_get(s->status, "pid"));
	json_object_set(o, "speaker_pid", json_object_get(s->status, "speaker_pid"));
	return o;
}

static json_t *pod_json(const struct lab_pod *p)
{
	char netns[LAB_NETNS_MAX], text[ADDR_STR_MAX];
	json_t *result = lab_cni_result(p->name), *list = json_array();
	struct addr a;

	for (size_t i = 0; lab_cni_address(result, i, &a); i++)
		json_array_append_new(list, json_string(addr_format(&a, text)));
	json_t *o = json_pack(
		"{s:s, s:s, s:s, s:s, s:s, s:O, s:o}", "name", p->name, "node", p->node, "namespace",
		lab_netns(p->name, netns), "containerID", p->id, "interface", lab_cni_interface(result),
		"address", json_array_size(list) ? json_array_get(list, 0) : json_null(), "addresses", list);
	json_decref(result);
	return o;
}

static void print_json(const struct lab *l, bool complete, const struct seen *seen)
{
	json_t *nodes = json_array(), *pods = json_array();

	for (size_t i = 0; i < l->nnodes; i++)
		json_array_append_new(nodes, node_json(&seen[i]));
	for (size_t i = 0; i < l->npods; i++)
		json_array_append_new(pods, pod_json(&l->pods[i]));
	json_t *doc = json_pack("{s:s, s:b, s:s, s:o, s:o}", "lab", l->name, "complete", complete,
				"datastore", LAB_STORE, "nodes", nodes, "pods", pods);
	CHECK(doc);
	out_json(doc);
	json_decref(doc);
}

static int run(const struct verb_args *a)
{
	own_lab struct lab lab = { 0 };
	struct err e = { 0 };
	enum out_format format;
	bool complete;
	int r = verb_want(a, 0, 0);

	if (r || (r = out_format(a, &format)))
		return r;
	if (lab_need_root(a, &e) < 0 || lab_state_read(&lab, &complete, &e) < 0)
		return out_exit(-1, &e);
	own_mem struct seen *seen = xcalloc(lab.nnodes, sizeof(*seen));
	for (size_t i = 0; i < lab.nnodes; i++)
		look(&seen[i], &lab.nodes[i]);
	if (format == OUT_JSON) {
		print_json(&lab, complete, seen);
	} else {
		printf("Lab %s%s\n\n", lab.name, complete ? "" : " (half-made: 'korat lab down' removes it)");
		print_nodes(&lab, seen);
		print_pods(&lab);
	}
	for (size_t i = 0; i < lab.nnodes; i++)
		json_decref(seen[i].status);
	return VERB_OK;
}

static const struct verb_opt opts[] = { OUT_OPT, { NULL } };

const struct verb verb_lab_status = {
	.name = "status",
	.args = "",
	.summary = "show the nodes and pods of the lab",
	.examples = "  korat lab status\n"
		    "  korat lab status -o json\n",
	.text = "STATE is that of the node's koratd: ready, starting, silent (it does not answer) or down.\n"
		"SESSIONS are the BGP sessions that are established, of those that are configured.\n",
	.opts = opts,
	.run = run,
};
