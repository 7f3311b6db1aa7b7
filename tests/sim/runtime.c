/*
 * rpc/ and the container runtime: it wants pods, calls the plugin (here: hands a request to the agent's
 * core), hears answers, tries again, and sometimes dies, loses patience, or takes the namespace away before
 * it says DEL. A pod may be given a new sandbox while its old one is still being deleted.
 */
#include "sim.h"

#include "agent/status.h"
#include "rpc/rpc.h"

#include <stdarg.h>

#define NETWORK	    "k8s-pod-network"
#define ADD_TIMEOUT (60 * SEC)
#define DEL_TIMEOUT (30 * SEC)

enum box_state { BOX_NEW, BOX_LIVE, BOX_LEAVING };

/* One container: a namespace and what the plugin was asked about it. */
struct box {
	struct list list;
	struct pod *pod;
	char id[65], handle[128];
	struct kns *ns; /* NULL: taken away */
	enum box_state state;
	struct rpc_req *call; /* the plugin that runs */
	struct timer next;    /* when to call again */
	struct timer patience;
	size_t naddrs;
	struct addr addrs[WEP_ADDRS_MAX];
};

struct pod {
	struct runtime *rt;
	struct sim_node *node;
	char name[32];
	bool wanted, anonymous; /* anonymous: no Kubernetes names */
	struct box *box;	/* the present one */
	struct timer change;	/* wanted <-> not wanted */
};

struct runtime {
	struct sim *sim;
	struct pod pods[SIM_PODS_MAX];
	struct list boxes, calls;
};

struct rpc_req {
	struct list list;
	struct runtime *rt;
	struct sim_node *node;
	struct box *box; /* NULL: nobody waits any more */
	bool add, handed, ended, ok;
	bool inquiry; /* answered at once, read by who asked */
	json_t *params, *result;
	int fds[2];
	char error[ERR_MSG_MAX];
	struct timer timer;
};

/* ---- rpc/, as the agent's core sees it ---- */

const json_t *rpc_params(const struct rpc_req *req)
{
	return req->params;
}

int rpc_take_fd(struct rpc_req *req, size_t i)
{
	return i < ARRAY_SIZE(req->fds) ? take_fd(req->fds[i]) : -1;
}

bool rpc_gone(const struct rpc_req *req)
{
	return !req->box;
}

static void call_free(struct rpc_req *req)
{
	for (size_t i = 0; i < ARRAY_SIZE(req->fds); i++)
		if (req->fds[i] >= 0)
			close(req->fds[i]);
	json_decref(req->params);
	json_decref(req->result);
	timer_stop(&req->timer);
	list_del(&req->list);
	free(req);
}

static void on_answer(struct timer *t, usec_t now);
static void judge_answer(struct rpc_req *req);

static void call_end(struct rpc_req *req, bool ok)
{
	struct sim *s = req->rt->sim;

	if (req->ended)
		sim_fail(s, "%s: a request is answered twice", req->node->label);
	req->ended = true;
	req->ok = ok;
	if (req->inquiry)
		return;
	if (!req->box) {
		call_free(req);
		return;
	}
	if (ok)
		judge_answer(req);
	timer_init(&req->timer, on_answer);
	sim_after(s, &req->timer, sim_between(s, 20, 500));
}

void rpc_reply(struct rpc_req *req, json_t *result)
{
	req->result = result;
	if (!node_effect(req->node)) {
		snprintf(req->error, sizeof(req->error), "the agent went away");
		call_end(req, false);
		return;
	}
	call_end(req, true);
}

void rpc_fail(struct rpc_req *req, int code, const char *details, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(req->error, sizeof(req->error), fmt, ap);
	va_end(ap);
	call_end(req, false);
}

/* ---- calling the plugin ---- */

static json_t *params_of(const struct box *b)
{
	struct sim *s = b->pod->rt->sim;
	char netns[128];
	json_t *args = b->pod->anonymous ? json_object()
					 : json_pack("{s:s, s:s}", "K8S_POD_NAMESPACE", "default",
						     "K8S_POD_NAME", b->pod->name);

	snprintf(netns, sizeof(netns), "/run/netns/%.20s", b->id);
	return json_pack("{s:s, s:s, s:s, s:s, s:s, s:o, s:{s:s, s:s, s:{s:s, s:s}}}", "cniVersion", "1.0.0",
			 "containerID", b->id, "ifname", "eth0", "netns", netns, "network", NETWORK, "args",
			 args, "conf", "name", NETWORK, "type", "korat-cni", "ipam", "type", "calico-ipam",
			 "assign_ipv6", s->plan.v6 ? "true" : "false");
}

static void on_dispatch(struct timer *t, usec_t now)
{
	struct rpc_req *req = container_of(t, struct rpc_req, timer);
	struct agent *a = req->node->agent;

	req->handed = true;
	if (!a) {
		rpc_fail(req, ECONNREFUSED, NULL, "no agent listens");
		return;
	}
	if (req->add)
		pods_on_add(a, req);
	else
		pods_on_del(a, req);
}

static void call(struct box *b)
{
	struct runtime *rt = b->pod->rt;
	struct sim *s = rt->sim;
	struct rpc_req *req = xcalloc(1, sizeof(*req));

	req->rt = rt;
	req->node = b->pod->node;
	req->box = b;
	req->add = b->state == BOX_NEW;
	req->params = params_of(b);
	req->fds[0] = b->ns ? kernel_fd(b->ns, false) : -1;
	req->fds[1] = b->ns ? kernel_fd(b->ns, true) : -1;
	timer_init(&req->timer, on_dispatch);
	list_add_tail(&rt->calls, &req->list);
	sim_after(s, &req->timer, sim_between(s, 50, 2 * MSEC));
	b->call = req;
	sim_after(s, &b->patience, req->add ? ADD_TIMEOUT : DEL_TIMEOUT);
	sim_trace(s, "%s: %s %s (%.8s)", b->pod->node->label, req->add ? "ADD" : "DEL", b->pod->name, b->id);
}

/* ---- boxes ---- */

static void on_next(struct timer *t, usec_t now)
{
	struct box *b = container_of(t, struct box, next);

	if (!b->call && b->state != BOX_LIVE)
		call(b);
}

static void box_again(struct box *b)
{
	struct sim *s = b->pod->rt->sim;

	sim_after(s, &b->next, sim_between(s, 20 * MSEC, 2 * SEC));
}

/* The plugin's process is gone; the agent may not know. */
static void abandon(struct box *b)
{
	struct rpc_req *req = b->call;

	b->call = NULL;
	timer_stop(&b->patience);
	req->box = NULL;
	if (req->ended || !req->handed)
		call_free(req);
}

static void leave(struct box *b);
static void box_new(struct pod *p);

static void give_up(struct box *b)
{
	struct pod *p = b->pod;
	struct sim *s = p->rt->sim;

	leave(b);
	if (s->plan.sandboxes && p->wanted && sim_chance(s, 50))
		box_new(p); /* while the old one is being deleted */
}

static void on_patience(struct timer *t, usec_t now)
{
	struct box *b = container_of(t, struct box, patience);

	sim_trace(b->pod->rt->sim, "%s: the plugin for %s has waited long enough", b->pod->node->label,
		  b->pod->name);
	abandon(b);
	if (b->state == BOX_NEW && sim_chance(b->pod->rt->sim, 50))
		give_up(b);
	else
		box_again(b);
}

static void box_new(struct pod *p)
{
	struct sim *s = p->rt->sim;
	struct box *b = xcalloc(1, sizeof(*b));

	b->pod = p;
	for (size_t i = 0; i < sizeof(b->id) - 1; i++)
		b->id[i] = "0123456789abcdef"[sim_below(s, 16)];
	snprintf(b->handle, sizeof(b->handle), "%s.%s", NETWORK, b->id);
	b->ns = kernel_pod_ns(p->node);
	timer_init(&b->next, on_next);
	timer_init(&b->patience, on_patience);
	list_add_tail(&p->rt->boxes, &b->list);
	p->box = b;
	sim_after(s, &b->next, sim_between(s, MSEC, 100 * MSEC));
}

static void box_free(struct box *b)
{
	if (b->call)
		abandon(b);
	if (b->ns)
		kernel_ns_unref(b->ns);
	if (b->pod->box == b)
		b->pod->box = NULL;
	timer_stop(&b->next);
	timer_stop(&b->patience);
	list_del(&b->list);
	free(b);
}

static void leave(struct box *b)
{
	struct sim *s = b->pod->rt->sim;

	if (b->state == BOX_LEAVING)
		return;
	if (b->call)
		abandon(b);
	b->state = BOX_LEAVING;
	if (b->pod->box == b)
		b->pod->box = NULL;
	if (s->plan.netns_first && sim_chance(s, 30)) {
		kernel_ns_unref(b->ns);
		b->ns = NULL;
	}
	sim_after(s, &b->next, sim_between(s, MSEC, 50 * MSEC));
}

static void box_gone(struct box *b)
{
	struct pod *p = b->pod;

	box_free(b);
	if (p->wanted && !p->box)
		box_new(p);
}

/* ---- answers ---- */

static size_t read_addrs(const json_t *result, struct addr *ret)
{
	json_t *list = json_object_get(result, "addresses"), *v;
	struct prefix p;
	size_t i, n = 0;

	json_array_foreach(list, i, v) if (json_is_string(v) && prefix_parse(json_string_value(v), &p) &&
					   n < WEP_ADDRS_MAX) ret[n++] = p.addr;
	return n;
}

/* Ready means ready: at the moment of the answer the pod's routes and addresses are in the kernel. */
static void judge_added(struct rpc_req *req)
{
	struct sim *s = req->rt->sim;
	struct box *b = req->box;
	struct addr addrs[WEP_ADDRS_MAX];
	size_t n = read_addrs(req->result, addrs);
	char text[ADDR_STR_MAX];

	if (n != (s->plan.v6 ? 2u : 1u))
		sim_fail(s, "%s: ADD of %s answered with %zu addresses", req->node->label, b->pod->name, n);
	for (size_t i = 0; i < n; i++)
		if (!kernel_has_addr(b->ns, &addrs[i]) || !kernel_has_pod_route(req->node, &addrs[i], b->ns))
			sim_fail(s, "%s: ADD of %s answered before %s works", req->node->label, b->pod->name,
				 addr_format(&addrs[i], text));
}

/* Gone means gone. */
static void judge_answer(struct rpc_req *req)
{
	struct box *b = req->box;

	if (req->add)
		judge_added(req);
	else if (b->ns && kernel_has_links(b->ns))
		sim_fail(req->rt->sim, "%s: DEL of %s answered, its interface is there", req->node->label,
			 b->pod->name);
}

static void added(struct box *b, const struct rpc_req *req)
{
	struct sim *s = b->pod->rt->sim;
	char text[ADDR_STR_MAX];

	b->naddrs = read_addrs(req->result, b->addrs);
	b->state = BOX_LIVE;
	s->pods_served++;
	s->check_due = true;
	sim_trace(s, "%s: pod %s (%.8s) lives with %s", b->pod->node->label, b->pod->name, b->id,
		  addr_format(&b->addrs[0], text));
	if (!b->pod->wanted)
		leave(b);
}

static void on_answer(struct timer *t, usec_t now)
{
	struct rpc_req *req = container_of(t, struct rpc_req, timer);
	struct box *b = req->box;
	struct sim *s = req->rt->sim;

	b->call = NULL;
	timer_stop(&b->patience);
	if (!req->ok)
		sim_trace(s, "%s: %s %s (%.8s) failed: %s", req->node->label, req->add ? "ADD" : "DEL",
			  b->pod->name, b->id, req->error);
	if (req->ok && req->add)
		added(b, req);
	else if (req->ok)
		box_gone(b);
	else if (req->add && (!b->pod->wanted || sim_chance(s, 40)))
		give_up(b);
	else
		box_again(b);
	call_free(req);
}

/* ---- questions that are answered at once ---- */

static void inquire(struct sim_node *n, struct box *b, json_t *params,
		    void (*method)(struct agent *, struct rpc_req *), const char *name)
{
	struct sim *s = n->sim;
	struct rpc_req *req = xcalloc(1, sizeof(*req));

	req->rt = s->rt;
	req->node = n;
	req->inquiry = true;
	req->params = params;
	req->fds[0] = b ? kernel_fd(b->ns, false) : -1;
	req->fds[1] = b ? kernel_fd(b->ns, true) : -1;
	list_add_tail(&s->rt->calls, &req->list);
	method(n->agent, req);
	if (!req->ended || !req->ok)
		sim_fail(s, "%s: %s%s%s is answered with: %s", n->label, name, b ? " of " : "",
			 b ? b->pod->name : "", req->ended ? req->error : "nothing");
	call_free(req);
}

static void trace_to(struct box *from, const struct box *to)
{
	char src[ADDR_STR_MAX], dst[ADDR_STR_MAX];
	json_t *p = json_pack("{s:s, s:s}", "src", addr_format(&from->addrs[0], src), "dst",
			      addr_format(&to->addrs[0], dst));

	inquire(from->pod->node, NULL, p, status_on_trace, "trace");
}

void runtime_inquire(struct sim *s)
{
	struct box *b, *last = NULL;

	for (size_t i = 0; i < SIM_NODES; i++)
		inquire(&s->node[i], NULL, json_object(), status_on_status, "status");
	list_each (b, &s->rt->boxes, list) {
		inquire(b->pod->node, b, params_of(b), pods_on_check, "CHECK");
		if (last)
			trace_to(b, last);
		last = b;
	}
}

/* ---- pods ---- */

static void on_change(struct timer *t, usec_t now)
{
	struct pod *p = container_of(t, struct pod, change);
	struct sim *s = p->rt->sim;

	if (s->calm)
		return;
	p->wanted = !p->wanted;
	if (p->wanted) {
		if (!p->box)
			box_new(p);
		if (sim_chance(s, 50))
			sim_after(s, &p->change, sim_between(s, SEC, 60 * SEC));
		return;
	}
	if (p->box && p->box->state != BOX_LEAVING)
		leave(p->box);
	if (sim_chance(s, 60))
		sim_after(s, &p->change, sim_between(s, 100 * MSEC, 30 * SEC));
}

void runtime_start(struct sim *s)
{
	struct runtime *rt = xcalloc(1, sizeof(*rt));

	s->rt = rt;
	rt->sim = s;
	list_init(&rt->boxes);
	list_init(&rt->calls);
	for (unsigned i = 0; i < s->plan.pods; i++) {
		struct pod *p = &rt->pods[i];
		p->rt = rt;
		p->node = &s->node[sim_below(s, SIM_NODES)];
		p->anonymous = sim_chance(s, 10);
		snprintf(p->name, sizeof(p->name), "pod-%u", i);
		timer_init(&p->change, on_change);
		if (s->plan.burst && sim_chance(s, 70))
			sim_after(s, &p->change, sim_between(s, 5 * SEC, 5 * SEC + 100 * MSEC));
		else
			sim_after(s, &p->change, sim_between(s, SEC, s->plan.trouble));
	}
}

void runtime_stop(struct sim *s)
{
	struct box *b, *tb;
	struct rpc_req *r, *tr;

	for (unsigned i = 0; i < s->plan.pods; i++)
		timer_stop(&s->rt->pods[i].change);
	list_each_safe (b, tb, &s->rt->boxes, list)
		box_free(b);
	list_each_safe (r, tr, &s->rt->calls, list)
		call_free(r);
	free(s->rt);
}

void runtime_delete_all(struct sim *s)
{
	struct box *b, *tmp;

	for (unsigned i = 0; i < s->plan.pods; i++)
		s->rt->pods[i].wanted = false;
	list_each_safe (b, tmp, &s->rt->boxes, list)
		leave(b);
}

static const char *const state_names[] = { "not added yet", "live", "not deleted yet" };

bool runtime_quiet(struct sim *s, char why[static SIM_TEXT_MAX])
{
	struct box *b;

	list_each (b, &s->rt->boxes, list)
		if (b->call || b->state != BOX_LIVE) {
			snprintf(why, SIM_TEXT_MAX, "%s (%.8s) on %s is %s", b->pod->name, b->id,
				 b->pod->node->label, state_names[b->state]);
			return false;
		}
	for (unsigned i = 0; i < s->plan.pods; i++)
		if (s->rt->pods[i].wanted && !s->rt->pods[i].box) {
			snprintf(why, SIM_TEXT_MAX, "%s has no sandbox", s->rt->pods[i].name);
			return false;
		}
	if (!list_empty(&s->rt->calls)) {
		snprintf(why, SIM_TEXT_MAX, "a request that nobody waits for is still under way");
		return false;
	}
	return true;
}

void runtime_kill_plugin(struct sim *s)
{
	struct box *b, *pick = NULL;
	size_t n = 0;

	list_each (b, &s->rt->boxes, list)
		if (b->call && sim_below(s, ++n) == 0)
			pick = b;
	if (!pick)
		return;
	sim_trace(s, "%s: the plugin for %s is killed", pick->pod->node->label, pick->pod->name);
	abandon(pick);
	if (pick->state == BOX_NEW && sim_chance(s, 50))
		give_up(pick);
	else
		box_again(pick);
}

void runtime_each_live(struct sim *s, void (*fn)(void *arg, const struct live_pod *p), void *arg)
{
	struct box *b;

	if (!s->rt)
		return;
	list_each (b, &s->rt->boxes, list) {
		struct live_pod p = { b->pod->node, b->pod->name, b->handle, b->ns, b->naddrs, b->addrs };
		if (b->state == BOX_LIVE)
			fn(arg, &p);
	}
}
