/*
 * korat lab up: step by step from a lab file to a network that forwards. What is about to be made is on disk
 * before the first step; a step that fails takes everything down again, unless --keep.
 */
#include "base/check.h"
#include "base/str.h"
#include "ctl/lab_agent.h"
#include "ctl/lab_cni.h"
#include "ctl/lab_file.h"
#include "ctl/lab_net.h"
#include "ctl/lab_routes.h"
#include "ctl/lab_state.h"
#include "ctl/lab_store.h"
#include "ctl/lab_time.h"
#include "ctl/lab_verbs.h"
#include "ctl/out.h"

#include <stdio.h>

#define LIST_MAX 8 /* so many names on one line */

struct up {
	struct lab lab;
	usec_t start;
	char programs[LAB_PROGRAMS_MAX];
	struct lab_proc *procs; /* per node */
};

/* "  0.12 s  nodes       node2 172.16.67.138/24" on standard error */
static void say(const struct up *u, const char *what, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

static void say(const struct up *u, const char *what, const char *fmt, ...)
{
	own_str struct str s = { 0 };
	va_list ap;

	va_start(ap, fmt);
	str_vaddf(&s, fmt, ap);
	va_end(ap);
	out_note("%6.2f s  %-10s  %s", (double)(lab_now() - u->start) / SEC, what, s.s);
}

/* The i-th word of a list of n, cut after LIST_MAX. */
static void add_word(struct str *s, size_t i, size_t n, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

static void add_word(struct str *s, size_t i, size_t n, const char *fmt, ...)
{
	va_list ap;

	if (i == LIST_MAX)
		str_addf(s, " and %zu more", n - i);
	if (i >= LIST_MAX)
		return;
	str_add(s, i ? ", " : "");
	va_start(ap, fmt);
	str_vaddf(s, fmt, ap);
	va_end(ap);
}

/* ---- steps ---- */

struct add_all {
	struct err *e;
	int r;
};

static void add_netns(void *arg, const char *netns)
{
	struct add_all *a = arg;

	if (!a->r)
		a->r = lab_net_add(netns, a->e);
}

/* Pods get theirs as a runtime makes it, later. */
static int make_namespaces(struct up *u, struct err *e)
{
	struct add_all a = { .e = e };
	struct lab hosts = u->lab;

	hosts.npods = 0;
	lab_each_netns(&hosts, add_netns, &a);
	if (!a.r)
		say(u, "namespaces", "%zu", hosts.nsegments + hosts.nrouters + hosts.nnodes);
	return a.r;
}

static int make_segments(struct up *u, struct err *e)
{
	const struct lab *l = &u->lab;
	own_str struct str s = { 0 };
	char net[PREFIX_STR_MAX];
	int r = 0;

	for (size_t i = 0; i < l->nsegments && !r; i++) {
		const struct lab_segment *g = &l->segments[i];
		r = lab_net_segment(g, e);
		add_word(&s, i, l->nsegments, "%s %s", g->name,
			 prefix_format(addr_is_set(&g->net4.addr) ? &g->net4 : &g->net6, net));
	}
	if (!r)
		say(u, "segments", "%s", s.s);
	return r;
}

static int make_routers(struct up *u, struct err *e)
{
	const struct lab *l = &u->lab;
	own_str struct str s = { 0 };
	int r = 0;

	for (size_t i = 0; i < l->nrouters && !r; i++) {
		r = lab_net_router(l, &l->routers[i], e);
		add_word(&s, i, l->nrouters, "%s", l->routers[i].name);
	}
	if (!r && l->nrouters)
		say(u, "routers", "%s", s.s);
	return r;
}

static int make_nodes(struct up *u, struct err *e)
{
	const struct lab *l = &u->lab;
	own_str struct str s = { 0 };
	char addr[ADDR_STR_MAX];
	int r = 0;

	for (size_t i = 0; i < l->nnodes && !r; i++) {
		const struct lab_iface *f = &l->nodes[i].iface;
		r = lab_net_node(l, &l->nodes[i], e);
		add_word(&s, i, l->nnodes, "%s %s (%s)", l->nodes[i].name,
			 addr_format(addr_is_set(&f->addr4) ? &f->addr4 : &f->addr6, addr), f->name);
	}
	if (!r)
		say(u, "nodes", "%s", s.s);
	return r;
}

static int make_neighbours(struct up *u, struct err *e)
{
	size_t n;
	int r = lab_net_neighbours(&u->lab, &n, e);

	if (!r && n)
		say(u, "neighbours",
		    "%zu permanent entries, as this machine's table has no room for so many others", n);
	return r;
}

static int fill_store(struct up *u, struct err *e)
{
	own_str struct str done = { 0 };
	int r = lab_store_fill(&u->lab, &done, e);

	if (!r && u->lab.nnodes <= LIST_MAX)
		say(u, "datastore", "%s", done.s);
	else if (!r)
		say(u, "datastore", "%zu Nodes and the resources of the lab", u->lab.nnodes);
	return r;
}

static int start_agents(struct up *u, struct err *e)
{
	const struct lab *l = &u->lab;
	own_str struct str s = { 0 };
	int r = 0;

	for (size_t i = 0; i < l->nnodes && !r; i++) {
		r = lab_agent_start(l, l->nodes[i].name, u->programs, &u->procs[i], e);
		add_word(&s, i, l->nnodes, "%s (pid %d)", l->nodes[i].name, u->procs[i].pid);
	}
	if (!r)
		say(u, "koratd", "%s", s.s);
	return r;
}

static int wait_agents(struct up *u, struct err *e)
{
	const struct lab *l = &u->lab;
	usec_t deadline = lab_now() + lab_patience(l, LAB_READY_WAIT);

	for (size_t i = 0; i < l->nnodes; i++) {
		int r = lab_agent_wait(l->nodes[i].name, &u->procs[i], deadline, e);
		if (r < 0) {
			lab_agent_show_log(l->nodes[i].name);
			return r;
		}
	}
	say(u, "ready", "%zu of %zu koratd", l->nnodes, l->nnodes);
	return 0;
}

static void say_pods(const struct up *u, const struct lab_cni_job *jobs)
{
	const struct lab *l = &u->lab;
	char addrs[LAB_CNI_TEXT_MAX];

	if (l->npods > LIST_MAX)
		say(u, "pods", "%zu", l->npods);
	for (size_t i = 0; i < l->npods && l->npods <= LIST_MAX; i++)
		say(u, "pod", "%s %s on %s (%s)", l->pods[i].name, lab_cni_addresses(jobs[i].result, addrs),
		    l->pods[i].node, lab_cni_interface(jobs[i].result));
}

static int make_pods(struct up *u, struct err *e)
{
	const struct lab *l = &u->lab;
	own_mem struct lab_cni_job *jobs = xcalloc(l->npods, sizeof(*jobs));
	char netns[LAB_NETNS_MAX];
	int r = 0;

	for (size_t i = 0; i < l->npods && !r; i++) {
		jobs[i].pod = &l->pods[i];
		r = lab_net_add(lab_netns(l->pods[i].name, netns), e);
	}
	size_t failed = r ? 0 : lab_cni_add(jobs, l->npods, u->programs);
	for (size_t i = 0; i < l->npods && failed && !r; i++) {
		if (jobs[i].r < 0) {
			lab_agent_show_log(l->pods[i].node);
			r = err_set(e, jobs[i].e.code, "%s", jobs[i].e.msg);
		}
	}
	if (!r)
		say_pods(u, jobs);
	for (size_t i = 0; i < l->npods; i++)
		json_decref(jobs[i].result);
	return r;
}

/* What the kernels of a lab with routers in between have: how the nodes see each other's pods. */
static void show_routes(const struct up *u)
{
	const struct lab *l = &u->lab;
	size_t shown = 0;

	for (size_t i = 0; i < l->nnodes; i++) {
		for (size_t k = 0; k < l->npods && shown < LIST_MAX; k++) {
			json_t *result = lab_cni_result(l->pods[k].name);
			struct addr a;
			bool other = strcmp(l->pods[k].node, l->nodes[i].name) != 0;
			if (other && lab_cni_address(result, 0, &a)) {
				char text[ROUTE_STR_MAX], addr[ADDR_STR_MAX];
				say(u, "route", "%s to %s: %s", l->nodes[i].name, addr_format(&a, addr),
				    lab_routes_show(l->nodes[i].name, &a, text));
				shown++;
			}
			json_decref(result);
		}
	}
}

/* All configured sessions up, on every node? Not an error if not: their peers may be unreachable on purpose.
 */
static bool wait_sessions(const struct lab *l, usec_t deadline)
{
	size_t up = 0;

	for (; up < l->nnodes && lab_now() < deadline; lab_pause(50 * MSEC)) {
		for (up = 0; up < l->nnodes; up++) {
			json_t *status = NULL;
			int established = -1, configured = 0;
			if (lab_agent_status(l->nodes[up].name, 1000, &status, NULL) == 0)
				json_unpack(status, "{s:{s:i, s:i}}", "sessions", "established", &established,
					    "configured", &configured);
			json_decref(status);
			if (established < configured)
				break;
		}
	}
	return up == l->nnodes;
}

static int wait_routes(struct up *u, struct err *e)
{
	const struct lab *l = &u->lab;
	usec_t deadline = lab_now() + lab_patience(l, LAB_ROUTES_WAIT);
	size_t missing;
	int r = lab_routes_wait(l, deadline, &missing, e);

	if (r < 0 && missing > 1)
		err_in(e, "%zu nodes lack routes, the first of them", missing);
	if (r < 0)
		return r;
	if (lab_is_flat(l)) {
		say(u, "routes", "every node has a route to every pod");
		return 0;
	}
	bool up = wait_sessions(l, deadline);
	say(u, "sessions", up ? "all are up" : "not all are up: see 'korat lab status'");
	show_routes(u);
	return 0;
}

/* ---- the whole ---- */

static int build(struct up *u, struct err *e)
{
	static int (*const steps[])(struct up * u, struct err * e) = {
		make_namespaces, make_segments, make_routers, make_nodes, make_neighbours,
		fill_store,	 start_agents,	wait_agents,  make_pods,  wait_routes,
	};
	int r = 0;

	for (size_t i = 0; i < ARRAY_SIZE(steps) && !r; i++)
		r = steps[i](u, e);
	return r ? r : lab_state_write(&u->lab, true, e);
}

/* Nothing of ours may be in the way. */
static int clear_way(const struct up *u, bool replace, struct err *e)
{
	struct lab old = { 0 };
	bool complete = false;

	if (lab_state_exists() && !replace) {
		const char *name = lab_state_read(&old, &complete, NULL) == 0 ? old.name : "(unreadable)";
		err_set(e, EEXIST,
			"lab %s is up%s: take it down with 'korat lab down', or replace it with 'korat lab "
			"up --replace ...'",
			name, complete ? "" : ", half-made");
		lab_done(&old);
		return -EEXIST;
	}
	if (lab_state_exists()) {
		int r = lab_take_down(true, e);
		if (r < 0)
			return r;
	}
	return lab_net_check_free(&u->lab, e);
}

static int undo(bool keep)
{
	struct err e = { 0 };

	if (keep) {
		out_note("what was made is kept as it is: 'korat lab status' looks at it, 'korat lab down' "
			 "removes it");
		return VERB_FAILED;
	}
	if (lab_take_down(false, &e) < 0)
		out_error(&e);
	else
		out_note("everything that was made is removed again (--keep leaves it for looking at)");
	return VERB_FAILED;
}

static void conclude(const struct up *u)
{
	const struct lab *l = &u->lab;

	printf("Lab %s is up: %zu node%s, %zu pod%s, %.2f s.\n", l->name, l->nnodes,
	       l->nnodes == 1 ? "" : "s", l->npods, l->npods == 1 ? "" : "s",
	       (double)(lab_now() - u->start) / SEC);
	if (l->npods)
		out_note("look: korat lab status | enter: korat lab exec %s -- sh | remove: korat lab down",
			 l->pods[0].name);
}

static int up_locked(struct up *u, const struct verb_args *a)
{
	struct err e = { 0 };
	int r;

	if ((r = clear_way(u, verb_has(a, "replace"), &e)))
		return out_exit(r, &e);
	u->start = lab_now();
	u->procs = xcalloc(u->lab.nnodes, sizeof(*u->procs));
	if ((r = lab_state_write(&u->lab, false, &e)))
		return out_exit(r, &e);
	if (build(u, &e) < 0) {
		out_error(&e);
		return undo(verb_has(a, "keep"));
	}
	conclude(u);
	return VERB_OK;
}

/* The lab that the command line names. 0, or the exit code. */
static int choose(const struct verb_args *a, struct lab *ret)
{
	struct err e = { 0 };
	long nodes = 0;
	int r = verb_want(a, 0, 1);

	if (!r)
		r = verb_get_number(a, "nodes", 1, LAB_NODES_MAX, &nodes);
	if (r)
		return r;
	if ((a->npos == 1) == (nodes > 0))
		return verb_bad(a, "either a lab file or --nodes N says what to make");
	if (nodes)
		lab_generate((size_t)nodes, ret);
	else if (lab_read_file(a->pos[0], ret, &e) < 0)
		return out_exit(-1, &e);
	return 0;
}

static int run(const struct verb_args *a)
{
	struct up u = { 0 };
	struct err e = { 0 };
	int r = choose(a, &u.lab);

	if (r)
		return r;
	own_fd int lock = -1;
	if (lab_need_root(a, &e) < 0 || lab_agent_programs(u.programs, &e) < 0 || (lock = lab_lock(&e)) < 0)
		r = out_exit(-1, &e);
	else
		r = up_locked(&u, a);
	lab_done(&u.lab);
	free(u.procs);
	return r;
}

static const struct verb_opt opts[] = {
	{ "nodes", 'n', "N", "a flat lab of N nodes (1 to 250) with a pod each" },
	{ "replace", 0, NULL, "take down the lab that is up, if there is one" },
	{ "keep", 0, NULL, "if it fails, leave what was made for looking at" },
	{ NULL },
};

const struct verb verb_lab_up = {
	.name = "up",
	.args = "FILE | --nodes N",
	.summary = "make a network and start koratd on every node",
	.examples = "  # the network of the walk-through: two nodes, two pods\n"
		    "  korat lab up examples/seed.yaml\n"
		    "  # two nodes with a router between\n"
		    "  korat lab up --replace examples/routed.yaml\n"
		    "  # twenty nodes on one segment, a pod on each\n"
		    "  korat lab up --nodes 20\n",
	.text = "Makes segments (bridges), routers and nodes in namespaces of their own, fills a datastore, "
		"starts\n"
		"koratd in every node, makes the pods through the CNI plugin, and waits until every node's "
		"kernel has a\n"
		"route to every pod on its segment.\n",
	.opts = opts,
	.run = run,
};
