/* korat lab node: adds, deletes and restarts nodes of a running lab. */
#include "base/check.h"
#include "ctl/lab_agent.h"
#include "ctl/lab_cni.h"
#include "ctl/lab_net.h"
#include "ctl/lab_state.h"
#include "ctl/lab_store.h"
#include "ctl/lab_time.h"
#include "ctl/lab_verbs.h"
#include "ctl/out.h"
#include "kern/netns.h"

#include <stdio.h>

#define GRACE (5 * SEC)

static int unknown_node(const struct lab *l, const char *name, struct err *e)
{
	return err_set(e, ENOENT, "lab %s has no node '%s': 'korat lab status' lists them", l->name, name);
}

static int start_and_wait(const struct lab *l, const char *node, const char *programs, struct err *e)
{
	struct lab_proc p;
	int r = lab_agent_start(l, node, programs, &p, e);

	if (!r)
		r = lab_agent_wait(node, &p, lab_now() + LAB_READY_WAIT, e);
	if (r < 0)
		lab_agent_show_log(node);
	return r;
}

static int make_node(const struct lab *l, const struct lab_node *n, const char *programs, struct err *e)
{
	char netns[LAB_NETNS_MAX];
	int r;

	if ((r = lab_net_add(lab_netns(n->name, netns), e)) || (r = lab_net_node(l, n, e)) ||
	    (r = lab_store_add_node(n, e)))
		return r;
	return start_and_wait(l, n->name, programs, e);
}

/* koratd ends by itself if it can; whoever is left in the namespace (a shell) goes with it. */
static int end_node(const char *node, struct err *e)
{
	struct lab_proc p = lab_agent_proc(node);
	char netns[LAB_NETNS_MAX];
	int r = lab_proc_end(&p, 1, GRACE, e);

	return r < 0 ? r : lab_agent_end_all_in(lab_netns(node, netns), e);
}

static int remove_pods(struct lab *l, const char *node, const char *programs, struct err *e)
{
	char netns[LAB_NETNS_MAX];
	int r = 0;

	for (size_t i = l->npods; i-- > 0 && !r;) {
		struct lab_pod p = l->pods[i];
		if (strcmp(p.node, node) != 0)
			continue;
		if ((r = lab_cni_del(&p, programs, e)) ||
		    (r = lab_agent_end_all_in(lab_netns(p.name, netns), e)))
			return r;
		r = netns_del(netns, e);
		r = r == -ENOENT ? 0 : r;
		lab_del_pod(l, p.name);
	}
	return r;
}

static int remove_node(struct lab *l, const char *node, const char *programs, struct err *e)
{
	char netns[LAB_NETNS_MAX];
	int r;

	if ((r = remove_pods(l, node, programs, e)) || (r = end_node(node, e)) ||
	    (r = lab_store_del_node(node, e)))
		return r;
	r = netns_del(lab_netns(node, netns), e);
	if (r < 0 && r != -ENOENT)
		return r;
	static const char *const files[] = { "koratd.pid" };
	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		char path[LAB_PATH_MAX];
		unlink(lab_path_node(node, files[i], path));
	}
	lab_del_node(l, node);
	return lab_state_write(l, true, e);
}

static json_t *record_of(const struct verb_args *a, const struct lab *l)
{
	static const char *const fields[] = { "segment",  "address",   "address6", "gateway",
					      "gateway6", "interface", "mac" };
	json_t *o = json_pack("{s:s, s:s, s:s}", "name", a->pos[0], "segment", l->segments[0].name,
			      "interface", l->nodes[0].iface.name);

	for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
		if (verb_get(a, fields[i]))
			json_object_set_new(o, fields[i], json_string(verb_get(a, fields[i])));
	}
	return o;
}

/* A node that is already there must not be touched by what undoes a failed addition. */
static int add_checked(const struct verb_args *a, struct lab *l, const char *programs, struct err *e)
{
	char path[LAB_NETNS_MAX + 16], netns[LAB_NETNS_MAX];
	struct err e2 = { 0 };

	snprintf(path, sizeof(path), "/run/netns/%s", lab_netns(a->pos[0], netns));
	if (!lab_node(l, a->pos[0]) && access(path, F_OK) == 0)
		return err_set(e, EEXIST, "the namespace %s is there already: choose another name", netns);
	int r = lab_extend(l, "nodes", record_of(a, l), e);
	if (r < 0)
		return r;
	r = make_node(l, lab_node(l, a->pos[0]), programs, e);
	if (r < 0 && remove_node(l, a->pos[0], programs, &e2) < 0)
		out_error(&e2);
	return r;
}

static int del_checked(const struct verb_args *a, struct lab *l, const char *programs, struct err *e)
{
	if (!lab_node(l, a->pos[0]))
		return unknown_node(l, a->pos[0], e);
	if (l->nnodes == 1)
		return err_set(e, EBUSY, "%s is the last node: 'korat lab down' removes the whole lab",
			       a->pos[0]);
	return remove_node(l, a->pos[0], programs, e);
}

/* koratd alone: pods and their traffic stay as they are. */
static int restart_checked(const struct verb_args *a, struct lab *l, const char *programs, struct err *e)
{
	if (!lab_node(l, a->pos[0]))
		return unknown_node(l, a->pos[0], e);
	struct lab_proc p = lab_agent_proc(a->pos[0]);
	int r = lab_proc_end(&p, 1, GRACE, e);
	return r < 0 ? r : start_and_wait(l, a->pos[0], programs, e);
}

/* What the verbs share: one name, root, the programs, the lab's lock; done says what became of the node. */
static int change(const struct verb_args *a,
		  int (*fn)(const struct verb_args *a, struct lab *l, const char *programs, struct err *e),
		  const char *done)
{
	own_lab struct lab lab = { 0 };
	struct err e = { 0 };
	char programs[LAB_PROGRAMS_MAX];

	if (lab_need_root(a, &e) < 0 || lab_agent_programs(programs, &e) < 0)
		return out_exit(-1, &e);
	own_fd int lock = lab_begin_change(&lab, &e);
	int r = lock < 0 ? lock : fn(a, &lab, programs, &e);
	if (!r)
		printf("Node %s %s.\n", a->pos[0], done);
	return out_exit(r, &e);
}

static int add(const struct verb_args *a)
{
	int r = verb_want(a, 1, 1);

	if (r)
		return r;
	if (!verb_get(a, "address") && !verb_get(a, "address6"))
		return verb_bad(a, "--address says which address the node has");
	return change(a, add_checked, "is up");
}

static int del(const struct verb_args *a)
{
	int r = verb_want(a, 1, 1);

	return r ? r : change(a, del_checked, "is gone");
}

static int restart(const struct verb_args *a)
{
	int r = verb_want(a, 1, 1);

	return r ? r : change(a, restart_checked, "runs koratd again");
}

static const struct verb_opt add_opts[] = {
	{ "address", 0, "ADDRESS/LENGTH", "its IPv4 address on the segment" },
	{ "address6", 0, "ADDRESS/LENGTH", "its IPv6 address on the segment" },
	{ "segment", 0, "NAME", "where it is plugged in (default: the lab's first)" },
	{ "interface", 0, "NAME", "what its interface is called (default: as on the first node)" },
	{ "mac", 0, "MAC", "the interface's MAC address (default: random)" },
	{ "gateway", 0, "ADDRESS", "its IPv4 default route" },
	{ "gateway6", 0, "ADDRESS", "its IPv6 default route" },
	{ NULL },
};

static const struct verb verb_add = {
	.name = "add",
	.args = "NAME --address ADDRESS/LENGTH",
	.summary = "add a node and start its koratd",
	.examples = "  korat lab node add node4 --address 172.16.67.140/24\n",
	.opts = add_opts,
	.run = add,
};

static const struct verb verb_del = {
	.name = "del",
	.args = "NAME",
	.summary = "delete a node: its pods, its koratd and its Node resource",
	.run = del,
};

static const struct verb verb_restart = {
	.name = "restart",
	.args = "NAME",
	.summary = "end koratd on a node and start it again; pods stay",
	.run = restart,
};

static const struct verb *const subs[] = { &verb_add, &verb_del, &verb_restart, NULL };

const struct verb verb_lab_node = {
	.name = "node",
	.args = "VERB [ARGUMENTS]",
	.summary = "add, delete or restart a node of the lab that is up",
	.subs = subs,
};
