/*
 * A pair that was confirmed once is not asked again, so that a large lab costs one question per pair. A
 * default route is no answer: the entry that matches has to be one of pods.
 */
#include "ctl/lab_routes.h"

#include "base/check.h"
#include "ctl/lab_cni.h"
#include "ctl/lab_net.h"
#include "ctl/lab_time.h"
#include "kern/link.h"

#include <stdio.h>

#define POLL (20 * MSEC)

struct target {
	const struct lab_pod *pod;
	const struct lab_node *node;
	struct addr addr;
};

struct targets {
	size_t n;
	struct target *v;
};

static void targets_add(struct targets *t, const struct lab *l, const struct lab_pod *pod)
{
	json_t *result = lab_cni_result(pod->name);
	struct addr a;

	for (size_t i = 0; lab_cni_address(result, i, &a); i++) {
		t->v = xrealloc(t->v, (t->n + 1) * sizeof(*t->v));
		t->v[t->n++] = (struct target){ pod, lab_node(l, pod->node), a };
	}
	json_decref(result);
}

static bool is_pod_route(const struct route *r, bool own)
{
	if (own)
		return r->type == RTN_UNICAST && r->dst.len == addr_bits(r->dst.addr.family);
	return r->type == RTN_UNICAST && r->protocol == ROUTE_PROTO_BIRD;
}

static int get_match(struct nl *nl, const struct addr *a, struct route *ret, struct err *e)
{
	struct route_query q = { .dst = *a, .fibmatch = true };

	return route_get(nl, &q, ret, e);
}

/* Waits for one node; *at moves over what it has. */
static int wait_node(const struct lab_node *n, const struct targets *t, usec_t deadline, size_t *at,
		     struct err *e)
{
	char netns[LAB_NETNS_MAX];
	own(nl) struct nl *nl = NULL;
	int r = lab_net_open(lab_netns(n->name, netns), &nl, e);

	while (!r && *at < t->n) {
		const struct target *to = &t->v[*at];
		struct route route;
		if (to->node->iface.segment != n->iface.segment ||
		    (get_match(nl, &to->addr, &route, NULL) == 0 && is_pod_route(&route, to->node == n)))
			++*at;
		else if (lab_now() > deadline)
			break;
		else
			lab_pause(POLL);
	}
	return r;
}

int lab_routes_wait(const struct lab *l, usec_t deadline, size_t *ret_missing, struct err *e)
{
	struct targets t = { 0 };
	char addr[ADDR_STR_MAX];
	int r = 0;

	*ret_missing = 0;
	for (size_t i = 0; i < l->npods; i++)
		targets_add(&t, l, &l->pods[i]);
	for (size_t i = 0; i < l->nnodes && r >= 0; i++) {
		size_t at = 0;
		int rc = wait_node(&l->nodes[i], &t, deadline, &at, e);
		if (rc < 0) {
			r = rc;
			break;
		}
		if (at < t.n && !*ret_missing)
			err_set(e, ETIMEDOUT, "%s has no route to pod %s (%s on %s)", l->nodes[i].name,
				t.v[at].pod->name, addr_format(&t.v[at].addr, addr), t.v[at].pod->node);
		*ret_missing += at < t.n;
	}
	free(t.v);
	return r < 0 ? r : *ret_missing ? -ETIMEDOUT : 0;
}

struct namer {
	struct nl *nl;
	struct link link;
};

static const char *name_of(void *arg, uint32_t ifindex)
{
	struct namer *n = arg;

	return link_get_index(n->nl, ifindex, &n->link, NULL) < 0 ? NULL : n->link.name;
}

char *lab_routes_show(const char *node, const struct addr *addr, char buf[static ROUTE_STR_MAX])
{
	char netns[LAB_NETNS_MAX];
	own(nl) struct nl *nl = NULL;
	struct route route;

	snprintf(buf, ROUTE_STR_MAX, "none");
	if (lab_net_open(lab_netns(node, netns), &nl, NULL) < 0 || get_match(nl, addr, &route, NULL) < 0)
		return buf;
	struct namer n = { .nl = nl };
	return route_format(&route, name_of, &n, buf);
}
