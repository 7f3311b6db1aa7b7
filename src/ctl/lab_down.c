/*
 * korat lab down: takes a lab away in whatever state it is. Processes first (those on record, then whoever
 * still lives in one of its namespaces), then the namespaces that the state lists, then the state. Nothing
 * else is touched.
 */
#include "base/check.h"
#include "ctl/lab_agent.h"
#include "ctl/lab_state.h"
#include "ctl/lab_time.h"
#include "ctl/lab_verbs.h"
#include "ctl/out.h"
#include "kern/netns.h"

#include <dirent.h>
#include <stdio.h>

#define GRACE (3 * SEC)

/* Every koratd that was ever recorded: the directories tell, so that the state need not be understood. */
static struct lab_proc *recorded(size_t *ret_n)
{
	struct lab_proc *v = NULL;
	size_t n = 0;
	DIR *d = opendir(LAB_DIR "/nodes");

	for (struct dirent *entry; d && (entry = readdir(d));) {
		if (entry->d_name[0] == '.')
			continue;
		struct lab_proc p = lab_agent_proc(entry->d_name);
		if (!p.pid)
			continue;
		v = xrealloc(v, (n + 1) * sizeof(*v));
		v[n++] = p;
	}
	if (d)
		closedir(d);
	*ret_n = n;
	return v;
}

/* Ending ourselves in the middle of it would help nobody. */
static int refuse_inside(const json_t *names, struct err *e)
{
	const json_t *name;
	size_t i;

	json_array_foreach(names, i, name)
	{
		own_fd int ns = netns_open_name(json_string_value(name), NULL);
		if (ns >= 0 && netns_is_own(ns) == 1)
			return err_set(e, EBUSY, "korat itself runs inside the lab (in %s): run it outside",
				       json_string_value(name));
	}
	return 0;
}

static int del_netns(const json_t *names, size_t *ret_n, struct err *e)
{
	const json_t *name;
	size_t i;

	*ret_n = 0;
	json_array_foreach(names, i, name)
	{
		int r = lab_agent_end_all_in(json_string_value(name), e);
		if (!r)
			r = netns_del(json_string_value(name), e);
		if (r < 0 && r != -ENOENT)
			return r;
		*ret_n += r == 0;
	}
	return 0;
}

static int take_down(const json_t *names, bool talk, struct err *e)
{
	size_t nprocs, nspaces;
	int r = refuse_inside(names, e);

	if (r < 0)
		return r;
	own_mem struct lab_proc *procs = recorded(&nprocs);
	if ((r = lab_proc_end(procs, nprocs, GRACE, e)) || (r = del_netns(names, &nspaces, e)) ||
	    (r = lab_state_remove(e)))
		return r;
	if (talk)
		out_note("ended %zu koratd, removed %zu namespaces and " LAB_DIR, nprocs, nspaces);
	return 0;
}

int lab_take_down(bool talk, struct err *e)
{
	json_t *names = lab_state_netns(e);

	if (!names)
		return -e->code;
	int r = take_down(names, talk, e);
	json_decref(names);
	return r;
}

static int run(const struct verb_args *a)
{
	struct err e = { 0 };
	int r = verb_want(a, 0, 0);

	if (r)
		return r;
	if (lab_need_root(a, &e) < 0)
		return out_exit(-1, &e);
	own_fd int lock = lab_lock(&e);
	if (lock < 0)
		return out_exit(lock, &e);
	if (!lab_state_exists()) {
		/* Perhaps an up that was killed before it had written down what it was about to make. */
		r = lab_state_remove(&e);
		printf("No lab is up.\n");
		return out_exit(r, &e);
	}
	usec_t start = lab_now();
	r = lab_take_down(true, &e);
	if (!r)
		printf("The lab is down (%.2f s).\n", (double)(lab_now() - start) / SEC);
	return out_exit(r, &e);
}

const struct verb verb_lab_down = {
	.name = "down",
	.args = "",
	.summary = "remove the lab, also a half-made one",
	.text = "Ends the koratd that the lab started and whatever else runs in its namespaces, removes the\n"
		"namespaces and " LAB_DIR
		". Nothing else is touched. Without a lab it does nothing and succeeds.\n",
	.run = run,
};
