/* One direction of a path: pod, its link, the node's route, the neighbour behind it, the next node, ... ,
 * pod. */
#include "ctl/path_walk.h"

#include "base/check.h"
#include "base/own.h"
#include "ctl/lab_file.h"
#include "ctl/lab_state.h"
#include "kern/link.h"
#include "kern/neigh.h"
#include "kern/netns.h"
#include "kern/nl.h"
#include "kern/route.h"
#include "rpc/rpc.h"

#include <dirent.h>
#include <stdarg.h>
#include <stdio.h>

#define ASK_MS	 2000
#define HOPS_MAX 8 /* nodes and routers of one way: more is a loop */

static const char *text(const json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));

	return s ? s : "";
}

static bool is_true(const json_t *o, const char *key)
{
	return json_is_true(json_object_get(o, key));
}

/* ---- the agents that can be asked ---- */

static void ask_status(struct path_agent *a)
{
	struct err e = { 0 };

	if (rpc_call(a->socket, "status", NULL, NULL, 0, ASK_MS, &a->status, NULL, &e) < 0) {
		snprintf(a->fault, sizeof(a->fault), "%s", e.msg);
		return;
	}
	snprintf(a->name, sizeof(a->name), "%s", text(a->status, "node"));
	addr_parse(text(a->status, "ipv4"), &a->ipv4);
	addr_parse(text(a->status, "ipv6"), &a->ipv6);
}

static int find_lab_agents(struct path_agents *ret, struct err *e)
{
	own_lab struct lab l = { 0 };
	bool complete;
	char sock[LAB_PATH_MAX];

	if (lab_state_read(&l, &complete, e) < 0)
		return -e->code;
	for (size_t i = 0; i < l.nnodes && ret->n < PATH_AGENTS_MAX; i++) {
		struct path_agent *a = &ret->v[ret->n++];
		snprintf(a->name, sizeof(a->name), "%s", l.nodes[i].name);
		snprintf(a->socket, sizeof(a->socket), "%s",
			 lab_path_node(l.nodes[i].name, "agent.sock", sock));
		ask_status(a);
	}
	return 0;
}

int path_agents_find(const char *socket, struct path_agents *ret, struct err *e)
{
	memset(ret, 0, sizeof(*ret));
	if (!socket && lab_state_exists())
		return find_lab_agents(ret, e);
	struct path_agent *a = &ret->v[ret->n++];
	snprintf(a->socket, sizeof(a->socket), "%s", socket ? socket : "/run/korat/agent.sock");
	ask_status(a);
	if (!a->status)
		return err_set(e, ECONNREFUSED,
			       "ask the agent at %s: %.200s; is koratd running on this node? (--agent names "
			       "another socket)",
			       a->socket, a->fault);
	return 0;
}

void path_agents_done(struct path_agents *a)
{
	for (size_t i = 0; i < a->n; i++)
		json_decref(a->v[i].status);
	a->n = 0;
}

static const struct path_agent *agent_at(const struct path_agents *a, const struct addr *addr)
{
	for (size_t i = 0; i < a->n; i++)
		if (addr_is_set(addr) && (addr_eq(&a->v[i].ipv4, addr) || addr_eq(&a->v[i].ipv6, addr)))
			return &a->v[i];
	return NULL;
}

static const struct path_agent *agent_named(const struct path_agents *a, const char *name)
{
	for (size_t i = 0; i < a->n; i++)
		if (!strcmp(a->v[i].name, name))
			return &a->v[i];
	return NULL;
}

/* ---- the ends ---- */

static bool pod_has(const json_t *pod, const struct addr *want, uint8_t family, struct addr *ret)
{
	size_t i;
	json_t *v;

	json_array_foreach(json_object_get(pod, "addresses"), i, v)
	{
		struct addr a;
		if (!addr_parse(json_string_value(v), &a))
			continue;
		if (want ? addr_eq(&a, want) : a.family == family) {
			*ret = a;
			return true;
		}
	}
	return false;
}

/* People name a pod by its name, a lab's pod by the namespace it is in. */
static bool pod_is_called(const json_t *pod, const char *word)
{
	char ns[300];

	snprintf(ns, sizeof(ns), "/run/netns/korat-%s", word);
	return !strcmp(text(pod, "name"), word) || !strcmp(text(pod, "netns"), ns);
}

static const char *name_of_pod(const json_t *pod)
{
	static const char lab[] = "/run/netns/korat-";
	const char *ns = text(pod, "netns");

	return !strncmp(ns, lab, strlen(lab)) ? ns + strlen(lab) : text(pod, "name");
}

static bool find_pod(const struct path_agents *a, const char *word, const struct addr *addr, uint8_t family,
		     struct path_end *ret)
{
	for (size_t i = 0; i < a->n; i++) {
		size_t k;
		json_t *pod;
		json_array_foreach(json_object_get(a->v[i].status, "pods"), k, pod)
		{
			struct addr found;
			if (!addr && !pod_is_called(pod, word))
				continue;
			if (!pod_has(pod, addr, family, &found))
				continue;
			snprintf(ret->name, sizeof(ret->name), "%s", name_of_pod(pod));
			ret->addr = found;
			ret->at = &a->v[i];
			ret->pod = pod;
			return true;
		}
	}
	return false;
}

int path_end_find(const struct path_agents *a, const char *word, uint8_t family, struct path_end *ret,
		  struct err *e)
{
	struct path_end end = { 0 };
	struct addr addr;
	bool is_addr = addr_parse(word, &addr);

	snprintf(end.name, sizeof(end.name), "%s", word);
	if (find_pod(a, word, is_addr ? &addr : NULL, family, &end)) {
		*ret = end;
		return 0;
	}
	if (is_addr) {
		end.addr = addr;
		end.at = agent_at(a, &addr);
		*ret = end;
		return 0;
	}
	end.at = agent_named(a, word);
	if (!end.at)
		return err_set(e, ENOENT,
			       "there is no pod and no node called \"%.100s\"; give a pod's name, a node's "
			       "name or an address (`korat lab status` lists them)",
			       word);
	end.addr = family == AF_INET ? end.at->ipv4 : end.at->ipv6;
	if (!addr_is_set(&end.addr))
		return err_set(e, ENOENT, "%.100s has no IPv%d address", word, family == AF_INET ? 4 : 6);
	*ret = end;
	return 0;
}

/* ---- steps and verdicts ---- */

struct walk {
	const struct path_agents *agents;
	struct path_way *way;
	const struct path_agent *at; /* where the packet is */
	int hops;
};

static void step(struct walk *w, enum path_result result, const char *what, const char *where,
		 const char *fmt, ...) __attribute__((format(printf, 5, 6)));

static void step(struct walk *w, enum path_result result, const char *what, const char *where,
		 const char *fmt, ...)
{
	struct path_step *s;
	va_list ap;

	if (w->way->nsteps == PATH_STEPS_MAX)
		return;
	s = &w->way->steps[w->way->nsteps++];
	s->result = result;
	snprintf(s->what, sizeof(s->what), "%s", what);
	snprintf(s->where, sizeof(s->where), "%.63s", where);
	va_start(ap, fmt);
	vsnprintf(s->text, sizeof(s->text), fmt, ap);
	va_end(ap);
}

static bool verdict(struct walk *w, enum path_result result, const char *next, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

/* Ends the walk. Always false, so that a step can `return verdict(...)`. */
static bool verdict(struct walk *w, enum path_result result, const char *next, const char *fmt, ...)
{
	va_list ap;

	w->way->result = result;
	snprintf(w->way->next, sizeof(w->way->next), "%s", next ? next : "");
	va_start(ap, fmt);
	vsnprintf(w->way->verdict, sizeof(w->way->verdict), fmt, ap);
	va_end(ap);
	return false;
}

/* ---- inside a namespace that we can open ourselves: a pod's, or a lab router's ---- */

struct inside {
	struct nl *nl;
	struct addr want; /* neighbour or address looked for */
	bool found;
	struct neigh neigh;
};

static bool open_inside(const char *netns_path, struct nl **ret, struct err *e)
{
	own_fd int ns = netns_open(netns_path, e);

	if (ns < 0)
		return false;
	int fd = nl_socket_in(ns, e);
	return fd >= 0 && nl_adopt(fd, ret, e) == 0;
}

/* For route_format(): the names of interfaces in the namespace of nl. */
struct namer {
	struct nl *nl;
	struct link last;
};

static const char *name_of_link(void *arg, uint32_t ifindex)
{
	struct namer *n = arg;

	return link_get_index(n->nl, ifindex, &n->last, NULL) < 0 ? NULL : n->last.name;
}

static void on_neigh(void *arg, const struct neigh *n)
{
	struct inside *in = arg;

	if (!in->found && addr_eq(&n->addr, &in->want)) {
		in->found = true;
		in->neigh = *n;
	}
}

static bool find_neigh(struct nl *nl, const struct addr *addr, uint32_t ifindex, struct neigh *ret)
{
	struct inside in = { .want = *addr };

	neigh_dump(nl, addr->family, ifindex, on_neigh, &in, NULL);
	*ret = in.neigh;
	return in.found;
}

/* Step 1: the pod's own decision and whether its gateway has answered. */
static bool leave_pod(struct walk *w)
{
	const json_t *pod = w->way->from.pod;
	own(nl) struct nl *nl = NULL;
	struct err e = { 0 };
	struct route_query q = { .dst = w->way->to.addr, .fibmatch = true };
	struct route r;
	struct neigh n;
	char where[64], route[ROUTE_STR_MAX], mac[MAC_STR_MAX], gw[ADDR_STR_MAX];

	snprintf(where, sizeof(where), "pod %.50s", w->way->from.name);
	if (!open_inside(text(pod, "netns"), &nl, &e)) {
		step(w, PATH_UNKNOWN, "pod", where, "not looked into: %.300s", e.msg);
		return true;
	}
	if (route_get(nl, &q, &r, &e) < 0) {
		step(w, PATH_FAILS, "pod", where, "no route: %.300s", e.msg);
		return verdict(w, PATH_FAILS, NULL,
			       "Pod %s has no route to %s: its default route via 169.254.1.1 is missing. "
			       "Recreate the pod, or let the runtime CHECK it.",
			       w->way->from.name, w->way->to.name);
	}
	struct namer namer = { .nl = nl };
	route_format(&r, name_of_link, &namer, route);
	step(w, PATH_REACHES, "pod", where, "%s", route);
	if (!r.nhops || !addr_is_set(&r.hops[0].gateway))
		return true;
	addr_format(&r.hops[0].gateway, gw);
	if (!find_neigh(nl, &r.hops[0].gateway, r.hops[0].ifindex, &n)) {
		step(w, PATH_REACHES, "neighbour", where, "%s not asked for yet", gw);
	} else if (n.state & NUD_FAILED || !n.has_mac) {
		step(w, PATH_FAILS, "neighbour", where, "%s %s", gw, neigh_state_name(n.state));
		return verdict(w, PATH_FAILS, NULL,
			       "The pod's gateway %s does not answer on %s: proxy ARP is off on the host's "
			       "%s, or the host has no route that makes it answer.",
			       gw, where, text(pod, "interface"));
	} else {
		step(w, PATH_REACHES, "neighbour", where, "%s is at %s (%s)", gw, mac_format(&n.mac, mac),
		     neigh_state_name(n.state));
	}
	return true;
}

/* ---- a node ---- */

static json_t *trace(struct walk *w, struct err *e)
{
	char src[ADDR_STR_MAX], dst[ADDR_STR_MAX];
	json_t *params = json_pack("{s:s, s:s}", "src", addr_format(&w->way->from.addr, src), "dst",
				   addr_format(&w->way->to.addr, dst));
	json_t *facts = NULL;

	rpc_call(w->at->socket, "trace", params, NULL, 0, ASK_MS, &facts, NULL, e);
	json_decref(params);
	return facts;
}

static bool check_incoming(struct walk *w, const json_t *facts)
{
	const json_t *in = json_object_get(facts, "in");
	const char *dev = text(in, "dev");

	if (!json_is_object(in)) {
		if (!json_is_object(json_object_get(facts, "src_pod")))
			return true;
		step(w, PATH_FAILS, "link", w->at->name, "the pod's interface %s is missing",
		     text(w->way->from.pod, "interface"));
		return verdict(w, PATH_FAILS, NULL,
			       "The host's end of pod %s, %s, is missing on %s. Recreate the pod.",
			       w->way->from.name, text(w->way->from.pod, "interface"), w->at->name);
	}
	bool up = is_true(in, "up");
	step(w, up ? PATH_REACHES : PATH_FAILS, "link", w->at->name, "in through %s, index %d, %s, mtu %d%s",
	     dev, (int)json_integer_value(json_object_get(in, "ifindex")), text(in, "mac"),
	     (int)json_integer_value(json_object_get(in, "mtu")), up ? "" : ", DOWN");
	if (!up)
		return verdict(w, PATH_FAILS, NULL,
			       "Interface %s on %s is down. Bring it up: ip link set %s up.", dev,
			       w->at->name, dev);
	if (json_integer_value(json_object_get(facts, "ip_forward")) == 0 &&
	    w->way->to.addr.family == AF_INET)
		return verdict(w, PATH_FAILS, NULL,
			       "%s does not forward IPv4: net.ipv4.ip_forward is 0. Set it: sysctl -w "
			       "net.ipv4.ip_forward=1.",
			       w->at->name);
	return true;
}

/* BGP's side of the entry that decided: from whom, and is the session up. */
static void describe_bgp(const json_t *facts, char *buf, size_t cap)
{
	const json_t *nh = json_array_get(json_object_get(json_object_get(facts, "bgp"), "nexthops"), 0);

	buf[0] = '\0';
	if (!nh)
		return;
	const char *peer = text(nh, "peer_name");
	if (peer[0])
		snprintf(buf, cap, "  [BGP: from %s, session %s]", peer, text(nh, "session"));
	else
		snprintf(buf, cap, "  [BGP: next hop %s]", text(nh, "addr"));
}

static const char *owner_node(const json_t *facts)
{
	return text(json_object_get(facts, "owner"), "node");
}

/* No usable route: why, from what BGP and the datastore know. */
static bool no_route(struct walk *w, const json_t *facts)
{
	const json_t *match = json_object_get(facts, "match"), *owner = json_object_get(facts, "owner");
	const char *error = text(json_object_get(facts, "lookup"), "error");
	const char *route = text(match, "route");
	bool blackhole = !strncmp(route, "blackhole", 9);
	char dst[ADDR_STR_MAX];

	addr_format(&w->way->to.addr, dst);
	step(w, PATH_FAILS, "route", w->at->name, "%s", route[0] ? route : error);
	if (blackhole && is_true(owner, "allocated"))
		return verdict(w, PATH_FAILS, "korat lab status",
			       "%s is given out in the block %s of %s, but no pod there has it now: its "
			       "interface or route is missing.",
			       dst, text(owner, "block"), w->at->name);
	if (blackhole)
		return verdict(w, PATH_FAILS, NULL,
			       "%s is in %s, a block of %s, but no pod has it: the blackhole route drops the "
			       "packet.",
			       dst, text(match, "prefix"), w->at->name);
	if (owner_node(facts)[0])
		return verdict(w, PATH_FAILS, "korat lab status",
			       "%s has no route to %s, although the datastore says that its block %s is on "
			       "%s: the BGP session between them is not up.",
			       w->at->name, dst, text(owner, "block"), owner_node(facts));
	return verdict(w, PATH_FAILS, NULL, "%s has no route to %s, and no node owns a block with it (%s).",
		       w->at->name, dst, error);
}

static bool describe_neighbour(struct walk *w, const json_t *facts)
{
	const json_t *n = json_object_get(facts, "neigh"), *out = json_object_get(facts, "out"),
		     *lookup = json_object_get(facts, "lookup");
	const char *gw = text(lookup, "gateway"), *dev = text(lookup, "dev");
	char dst[ADDR_STR_MAX];

	if (!gw[0])
		gw = addr_format(&w->way->to.addr, dst);
	if (!json_is_object(n)) {
		step(w, PATH_REACHES, "neighbour", w->at->name, "%s dev %s not asked for yet", gw, dev);
		return true;
	}
	bool failed = !strcmp(text(n, "state"), "FAILED") ||
		      (!text(n, "mac")[0] && strcmp(text(n, "state"), "INCOMPLETE") != 0);
	step(w, failed ? PATH_FAILS : PATH_REACHES, "neighbour", w->at->name, "%s dev %s lladdr %s %s", gw,
	     dev, text(n, "mac"), text(n, "state"));
	if (failed)
		return verdict(w, PATH_FAILS, NULL,
			       "%s does not answer ARP on %s of %s: it is down, or not on this link.", gw,
			       dev, w->at->name);
	step(w, PATH_REACHES, "frame", w->at->name, "%s > %s, addresses %s", text(out, "mac"), text(n, "mac"),
	     "unchanged");
	return true;
}

/* ---- beyond the nodes: a router ---- */

/* In a lab the router can be asked as well: does it know the destination? */
static bool router_knows(const char *netns, const struct path_end *to, char route[static ROUTE_STR_MAX],
			 bool *ret_knows)
{
	char path[300];
	own(nl) struct nl *nl = NULL;
	struct err e = { 0 };
	struct route_query q = { .dst = to->addr, .fibmatch = true };
	struct route r;

	snprintf(path, sizeof(path), "/run/netns/%.200s", netns);
	if (!open_inside(path, &nl, &e))
		return false;
	*ret_knows = route_get(nl, &q, &r, &e) == 0;
	struct namer namer = { .nl = nl };
	if (*ret_knows)
		route_format(&r, name_of_link, &namer, route);
	else
		snprintf(route, ROUTE_STR_MAX, "no route: %.150s", e.msg);
	return true;
}

static const struct lab_router *router_at(const struct lab *l, const struct addr *addr)
{
	for (size_t i = 0; i < l->nrouters; i++)
		for (size_t k = 0; k < l->routers[i].nifs; k++)
			if (addr_eq(&l->routers[i].ifs[k].addr4, addr) ||
			    addr_eq(&l->routers[i].ifs[k].addr6, addr))
				return &l->routers[i];
	return NULL;
}

/* True if a router of the lab was asked and does not know the destination. */
static bool ask_router(struct walk *w, const struct addr *gw)
{
	own_lab struct lab l = { 0 };
	const struct lab_router *rt;
	char where[80], netns[LAB_NETNS_MAX], route[ROUTE_STR_MAX];
	bool complete, knows = false;

	if (!lab_state_exists() || lab_state_read(&l, &complete, NULL) < 0 || !(rt = router_at(&l, gw)))
		return false;
	if (!router_knows(lab_netns(rt->name, netns), &w->way->to, route, &knows))
		return false;
	snprintf(where, sizeof(where), "router %.60s", rt->name);
	step(w, knows ? PATH_REACHES : PATH_FAILS, "route", where, "%s", route);
	return !knows;
}

/* The packet goes to somebody who is not one of our nodes. The document's own conclusion. */
static bool to_router(struct walk *w, const json_t *facts, const struct addr *gw)
{
	const json_t *nh = json_array_get(json_object_get(json_object_get(facts, "bgp"), "nexthops"), 0);
	char g[ADDR_STR_MAX], dst[ADDR_STR_MAX];
	bool refused = ask_router(w, gw);

	addr_format(gw, g);
	addr_format(&w->way->to.addr, dst);
	if (nh && !is_true(nh, "connected"))
		return verdict(w, PATH_FAILS, NULL,
			       "The next hop %s (%s) is not on this link: %s and %s are not on one Ethernet "
			       "segment. The packet would go to the router %s, and the router does not know "
			       "the pod %s%s. "
			       "Put the nodes on one segment, let the router learn the pod routes by BGP, or "
			       "use encapsulation.",
			       text(nh, "addr"), text(nh, "peer_name"), w->at->name, text(nh, "peer_name"), g,
			       dst, refused ? "" : ", unless it learns it from elsewhere");
	return verdict(w, refused ? PATH_FAILS : PATH_UNKNOWN, NULL,
		       "%s hands the packet to %s, which is not a node of this cluster%s.", w->at->name, g,
		       refused ? " and has no route to it" : ": what it does from there is not known here");
}

/* ---- one hop ---- */

static bool arrive(struct walk *w, const json_t *facts)
{
	const json_t *pod = json_object_get(facts, "dst_pod");
	const char *dev = text(json_object_get(facts, "lookup"), "dev");

	if (!json_is_object(pod))
		return verdict(w, PATH_REACHES, NULL, "%s reaches %s.", w->way->from.name, w->way->to.name);
	if (strcmp(dev, text(pod, "interface")) != 0)
		return verdict(w, PATH_FAILS, NULL,
			       "%s has the pod behind %s, but its route for the address goes to %s.",
			       w->at->name, text(pod, "interface"), dev);
	char where[64];
	snprintf(where, sizeof(where), "pod %.50s", w->way->to.name);
	step(w, PATH_REACHES, "pod", where, "%s, %s, arrived", text(pod, "ifname"), text(pod, "mac"));
	return verdict(w, PATH_REACHES, NULL, "%s reaches %s.", w->way->from.name, w->way->to.name);
}

/* What w->at does with the packet. True if it goes on to another node (w->at is that one then). */
static bool one_node(struct walk *w, const json_t *facts)
{
	const json_t *lookup = json_object_get(facts, "lookup");
	char bgp[160];
	struct addr gw;

	if (!check_incoming(w, facts))
		return false;
	/* RTN_UNICAST is 1, RTN_LOCAL is 2; everything else refuses the packet. */
	json_int_t type = json_integer_value(json_object_get(lookup, "type"));
	if (!is_true(lookup, "ok") || (type != 1 && type != 2))
		return no_route(w, facts);
	describe_bgp(facts, bgp, sizeof(bgp));
	const char *entry = text(json_object_get(facts, "match"), "route");
	step(w, PATH_REACHES, "route", w->at->name, "%.220s%s",
	     type == 2 || !entry[0] ? text(lookup, "route") : entry, bgp);
	if (type == 2)
		return verdict(w, PATH_REACHES, NULL, "%s reaches %s.", w->way->from.name, w->way->to.name);
	if (!describe_neighbour(w, facts))
		return false;
	if (!text(lookup, "gateway")[0] || !addr_parse(text(lookup, "gateway"), &gw)) {
		/* Directly on a link: a pod of this node, or the other end itself. */
		const struct path_agent *there = agent_at(w->agents, &w->way->to.addr);
		if (there && there != w->at)
			return verdict(w, PATH_REACHES, NULL, "%s reaches %s.", w->way->from.name,
				       w->way->to.name);
		return arrive(w, facts);
	}
	const struct path_agent *next = agent_at(w->agents, &gw);
	if (!next)
		return to_router(w, facts, &gw);
	w->at = next;
	return true;
}

static bool hop(struct walk *w)
{
	struct err e = { 0 };
	json_t *facts;

	if (++w->hops > HOPS_MAX)
		return verdict(w, PATH_FAILS, NULL,
			       "The packet goes round in a circle: it passed %d nodes without arriving.",
			       HOPS_MAX);
	facts = trace(w, &e);
	if (!facts) {
		step(w, PATH_UNKNOWN, "agent", w->at->name, "cannot be asked: %.300s", e.msg);
		return verdict(
			w, PATH_UNKNOWN, NULL,
			"The agent of %s does not answer, so what its kernel would do is not known: %.200s",
			w->at->name, e.msg);
	}
	bool more = one_node(w, facts);
	json_decref(facts);
	return more;
}

void path_walk(const struct path_agents *a, const struct path_end *from, const struct path_end *to,
	       struct path_way *ret)
{
	struct walk w = { .agents = a, .way = ret, .at = from->at };

	memset(ret, 0, sizeof(*ret));
	ret->from = *from;
	ret->to = *to;
	if (!w.at) {
		verdict(&w, PATH_UNKNOWN, NULL,
			"%s is not a pod or node of this cluster: where its packets come in is not known "
			"here.",
			from->name);
		return;
	}
	if (from->pod && !leave_pod(&w))
		return;
	while (hop(&w))
		;
}
