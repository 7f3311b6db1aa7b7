/* korat lab: the verbs below it, and what they share. */
#include "base/check.h"
#include "ctl/lab_agent.h"
#include "ctl/lab_file.h"
#include "ctl/lab_state.h"
#include "ctl/lab_verbs.h"

static const struct verb *const verbs[] = {
	&verb_lab_up, &verb_lab_down, &verb_lab_status, &verb_lab_exec, &verb_lab_pod, &verb_lab_node, NULL
};

const struct verb verb_lab = {
	.name = "lab",
	.args = "VERB [ARGUMENTS]",
	.summary = "a network of nodes and pods on this machine, in namespaces of its own",
	.examples = "  # the network of the walk-through: two nodes, two pods\n"
		    "  korat lab up examples/seed.yaml\n"
		    "  # twenty nodes on one segment, a pod on each\n"
		    "  korat lab up --nodes 20\n"
		    "  korat lab exec pod1 -- ip route\n"
		    "  korat lab down\n",
	.text = "One lab is up at a time. Its namespaces are called korat-NODE and korat-POD ('ip netns' "
		"shows them),\n"
		"its state is in " LAB_DIR ". All lab verbs need root.\n",
	.subs = verbs,
};

int lab_need_root(const struct verb_args *a, struct err *e)
{
	if (geteuid() == 0)
		return 0;
	return err_set(e, EPERM, "'%s' needs root, as network namespaces do: run it with sudo", a->path);
}

usec_t lab_patience(const struct lab *l, usec_t span)
{
	return span + (usec_t)(l->nnodes + l->npods) * 200 * MSEC;
}

int lab_begin_change(struct lab *ret, struct err *e)
{
	bool complete;
	own_fd int lock = lab_lock(e);
	if (lock < 0)
		return lock;
	int r = lab_state_read(ret, &complete, e);
	if (r < 0)
		return r;
	if (!complete) {
		lab_done(ret);
		return err_set(e, EBUSY, "the lab is half-made: 'korat lab down' removes it");
	}
	return take_fd(lock);
}

int lab_extend(struct lab *l, const char *list, json_t *record, struct err *e)
{
	struct lab more = { 0 };
	json_t *doc = lab_encode(l);

	json_array_append_new(json_object_get(doc, list), record);
	int r = lab_decode_json(doc, &more, e);
	json_decref(doc);
	if (!r)
		r = lab_state_write(&more, true, e);
	if (r < 0) {
		lab_done(&more);
		return r;
	}
	lab_done(l);
	*l = more;
	return 0;
}
