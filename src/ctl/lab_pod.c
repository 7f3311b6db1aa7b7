/* korat lab pod: adds and deletes pods of a running lab, by the CNI protocol as everything else. */
#include "base/check.h"
#include "ctl/lab_agent.h"
#include "ctl/lab_cni.h"
#include "ctl/lab_net.h"
#include "ctl/lab_state.h"
#include "ctl/lab_verbs.h"
#include "ctl/out.h"
#include "kern/netns.h"

#include <stdio.h>

/* Forgets a pod: the state as it is now, which others may have changed since, without it. */
static int forget(const char *name, struct err *e)
{
	own_lab struct lab lab = { 0 };
	own_fd int lock = lab_begin_change(&lab, e);

	if (lock < 0)
		return lock;
	lab_del_pod(&lab, name);
	return lab_state_write(&lab, true, e);
}

static int remove_pod(const struct lab_pod *p, const char *programs, struct err *e)
{
	char netns[LAB_NETNS_MAX];
	int r = lab_cni_del(p, programs, e);

	if (r < 0)
		return r;
	if ((r = lab_agent_end_all_in(lab_netns(p->name, netns), e)) < 0)
		return r;
	r = netns_del(netns, e);
	return r == -ENOENT ? 0 : r;
}

static int make_pod(const struct lab_pod *p, const char *programs, json_t **ret, struct err *e)
{
	struct lab_cni_job job = { .pod = p };
	char netns[LAB_NETNS_MAX];
	int r = lab_net_add(lab_netns(p->name, netns), e);

	if (r < 0)
		return r;
	lab_cni_add(&job, 1, programs);
	if (job.r < 0)
		return err_set(e, job.e.code, "%s", job.e.msg);
	*ret = job.result;
	return 0;
}

static json_t *record_of(const struct verb_args *a)
{
	json_t *o = json_pack("{s:s}", "name", a->pos[0]);
	static const char *const fields[][2] = { { "node", "node" },
						 { "ip", "ip" },
						 { "container-id", "containerID" } };

	for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
		if (verb_get(a, fields[i][0]))
			json_object_set_new(o, fields[i][1], json_string(verb_get(a, fields[i][0])));
	}
	return o;
}

/* Puts the pod into the state; the lock is given back before the work begins, so that pods can be made side
 * by side. */
static int enlist(const struct verb_args *a, struct lab *ret, struct err *e)
{
	char path[LAB_NETNS_MAX + 16], netns[LAB_NETNS_MAX];
	own_fd int lock = lab_begin_change(ret, e);

	if (lock < 0)
		return lock;
	snprintf(path, sizeof(path), "/run/netns/%s", lab_netns(a->pos[0], netns));
	if (!lab_pod(ret, a->pos[0]) && access(path, F_OK) == 0)
		return err_set(e, EEXIST, "the namespace %s is there already: choose another name", netns);
	return lab_extend(ret, "pods", record_of(a), e);
}

static int add(const struct verb_args *a)
{
	own_lab struct lab lab = { 0 };
	struct err e = { 0 }, e2 = { 0 };
	char programs[LAB_PROGRAMS_MAX], addrs[LAB_CNI_TEXT_MAX];
	json_t *result = NULL;
	int r = verb_want(a, 1, 1);

	if (r)
		return r;
	if (!verb_get(a, "node"))
		return verb_bad(a, "--node says where the pod is to run");
	if (lab_need_root(a, &e) < 0 || lab_agent_programs(programs, &e) < 0 || enlist(a, &lab, &e) < 0)
		return out_exit(-1, &e);
	const struct lab_pod *p = lab_pod(&lab, a->pos[0]);
	r = make_pod(p, programs, &result, &e);
	if (r < 0) {
		if (remove_pod(p, programs, &e2) < 0 || forget(p->name, &e2) < 0)
			out_error(&e2);
		return out_exit(r, &e);
	}
	printf("Pod %s is up: %s on %s (%s).\n", p->name, lab_cni_addresses(result, addrs), p->node,
	       lab_cni_interface(result));
	json_decref(result);
	return VERB_OK;
}

static int del(const struct verb_args *a)
{
	own_lab struct lab lab = { 0 };
	struct err e = { 0 };
	char programs[LAB_PROGRAMS_MAX];
	int r = verb_want(a, 1, 1);
	bool complete;

	if (r)
		return r;
	if (lab_need_root(a, &e) < 0 || lab_agent_programs(programs, &e) < 0 ||
	    lab_state_read(&lab, &complete, &e) < 0)
		return out_exit(-1, &e);
	const struct lab_pod *p = lab_pod(&lab, a->pos[0]);
	if (!p)
		return out_exit(err_set(&e, ENOENT, "lab %s has no pod '%s': 'korat lab status' lists them",
					lab.name, a->pos[0]),
				&e);
	r = remove_pod(p, programs, &e);
	if (!r)
		r = forget(p->name, &e);
	if (!r)
		printf("Pod %s is gone.\n", p->name);
	return out_exit(r, &e);
}

static const struct verb_opt add_opts[] = {
	{ "node", 0, "NODE", "where it runs" },
	{ "ip", 0, "ADDRESS", "its address (default: IPAM chooses)" },
	{ "container-id", 0, "ID", "as the runtime would choose it (default: made from the name)" },
	{ NULL },
};

static const struct verb verb_add = {
	.name = "add",
	.args = "NAME --node NODE",
	.summary = "make a pod through the CNI plugin",
	.examples = "  korat lab pod add web --node node2\n"
		    "  korat lab pod add db --node node3 --ip 10.8.152.201\n",
	.opts = add_opts,
	.run = add,
};

static const struct verb verb_del = {
	.name = "del",
	.args = "NAME",
	.summary = "delete a pod through the CNI plugin",
	.run = del,
};

static const struct verb *const subs[] = { &verb_add, &verb_del, NULL };

const struct verb verb_lab_pod = {
	.name = "pod",
	.args = "VERB [ARGUMENTS]",
	.summary = "add or delete a pod of the lab that is up",
	.subs = subs,
};
