/* korat lab exec: runs a command inside a node, router or pod of the lab. It takes our place, so its exit
 * code is ours. */
#include "base/check.h"
#include "base/str.h"
#include "ctl/lab_cni.h"
#include "ctl/lab_state.h"
#include "ctl/lab_verbs.h"
#include "ctl/near.h"
#include "ctl/out.h"
#include "kern/netns.h"

#include <stdio.h>

#define NOT_RUN	  126 /* as shells say it */
#define NOT_FOUND 127

static bool pod_has(const struct lab_pod *p, const struct addr *a)
{
	json_t *result = lab_cni_result(p->name);
	struct addr has;
	bool found = false;

	for (size_t i = 0; !found && lab_cni_address(result, i, &has); i++)
		found = addr_eq(&has, a);
	json_decref(result);
	return found;
}

/* By name; or by address, as it is addresses that one sees in routes and packets. */
static const char *find_host(const struct lab *l, const char *word)
{
	struct addr a = { 0 };
	bool is_addr = addr_parse(word, &a);

	for (size_t i = 0; i < l->nnodes; i++) {
		const struct lab_node *n = &l->nodes[i];
		if (strcmp(n->name, word) == 0 ||
		    (is_addr && (addr_eq(&n->iface.addr4, &a) || addr_eq(&n->iface.addr6, &a))))
			return n->name;
	}
	for (size_t i = 0; i < l->nrouters; i++) {
		if (strcmp(l->routers[i].name, word) == 0)
			return l->routers[i].name;
	}
	for (size_t i = 0; i < l->npods; i++) {
		if (strcmp(l->pods[i].name, word) == 0 || (is_addr && pod_has(&l->pods[i], &a)))
			return l->pods[i].name;
	}
	return NULL;
}

static int unknown(const struct lab *l, const char *word, struct err *e)
{
	own_mem const char **names = xcalloc(l->nnodes + l->nrouters + l->npods + 1, sizeof(*names));
	own_str struct str s = { 0 };
	size_t n = 0;

	for (size_t i = 0; i < l->nnodes; i++)
		names[n++] = l->nodes[i].name;
	for (size_t i = 0; i < l->nrouters; i++)
		names[n++] = l->routers[i].name;
	for (size_t i = 0; i < l->npods; i++)
		names[n++] = l->pods[i].name;
	near_explain(&s, word, names, "there are");
	return err_set(e, ENOENT, "lab %s has no node, router or pod '%.60s': %.350s", l->name, word, s.s);
}

static int enter(const struct lab *l, const char *word, struct err *e)
{
	char netns[LAB_NETNS_MAX], sock[LAB_PATH_MAX];
	const char *host = find_host(l, word);

	if (!host)
		return unknown(l, word, e);
	own_fd int ns = netns_open_name(lab_netns(host, netns), e);
	if (ns < 0)
		return ns;
	if (lab_node(l, host)) {
		/* korat itself, run in there, finds the node's own agent and datastore. */
		setenv("KORAT_SOCKET", lab_path_node(host, "agent.sock", sock), 1);
		setenv("KORAT_DATASTORE", LAB_STORE, 1);
	}
	return netns_enter(ns, e);
}

static int run(const struct verb_args *a)
{
	own_lab struct lab lab = { 0 };
	struct err e = { 0 };
	bool complete;

	if (a->npos < 2)
		return verb_bad(a,
				a->npos ? "a command is missing" : "a node or pod and a command are missing");
	if (lab_need_root(a, &e) < 0 || lab_state_read(&lab, &complete, &e) < 0 ||
	    enter(&lab, a->pos[0], &e) < 0)
		return out_exit(-1, &e);
	own_mem char **argv = xcalloc(a->npos, sizeof(*argv));
	memcpy(argv, a->pos + 1, (a->npos - 1) * sizeof(*argv));
	execvp(argv[0], argv);
	int code = errno == ENOENT ? NOT_FOUND : NOT_RUN;
	err_set(&e, errno, "run %s: %m", argv[0]);
	out_error(&e);
	return code;
}

const struct verb verb_lab_exec = {
	.name = "exec",
	.args = "NODE|POD -- COMMAND...",
	.summary = "run a command inside a node, router or pod",
	.examples = "  korat lab exec node2 -- ip route\n"
		    "  korat lab exec pod1 -- ping -c 1 10.8.0.2\n"
		    "  # by address\n"
		    "  korat lab exec 10.8.112.2 -- ip neigh\n",
	.text = "The exit code is the command's; 127 if it is not found, 126 if it cannot be run.\n"
		"In a node, KORAT_SOCKET and KORAT_DATASTORE point at its agent and at the lab's "
		"datastore.\n",
	.rest = true,
	.run = run,
};
