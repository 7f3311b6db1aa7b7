/* What must be true after every step, and what a world without trouble must come to. */
#include "sim.h"

#include "agent/podlink.h"
#include "ipam/ipam.h"

#define ROUTES_MAX (15 * SEC)

/* ---- always ---- */

static struct stored *block_of(struct sim *s, const struct addr *a)
{
	for (struct stored *o = datastore_first(s); o; o = o->hh.next)
		if (o->kind == KIND_BLOCK && prefix_has(&o->block.cidr, a))
			return o;
	return NULL;
}

static void check_recorded(void *arg, const struct live_pod *p)
{
	struct sim *s = arg;
	char text[ADDR_STR_MAX];

	for (size_t i = 0; i < p->naddrs; i++) {
		struct stored *b = block_of(s, &p->addrs[i]);
		const struct block_attr *attr = b ? block_attr_of(&b->block, &p->addrs[i]) : NULL;
		if (!attr || !attr->handle || strcmp(attr->handle, p->handle) != 0)
			sim_fail(s, "pod %s on %s has %s, which the datastore says is %s%s", p->name,
				 p->node->label, addr_format(&p->addrs[i], text),
				 attr ? "somebody else's: " : "free",
				 attr && attr->handle ? attr->handle : "");
	}
}

struct clash {
	struct sim *sim;
	const struct live_pod *one;
};

static void check_pair(void *arg, const struct live_pod *p)
{
	struct clash *c = arg;
	char text[ADDR_STR_MAX];

	if (p->handle == c->one->handle)
		return;
	for (size_t i = 0; i < p->naddrs; i++)
		for (size_t k = 0; k < c->one->naddrs; k++)
			if (addr_eq(&p->addrs[i], &c->one->addrs[k]))
				sim_fail(c->sim, "pods %s on %s and %s on %s both have %s", p->name,
					 p->node->label, c->one->name, c->one->node->label,
					 addr_format(&p->addrs[i], text));
}

static void check_single(void *arg, const struct live_pod *p)
{
	struct clash c = { arg, p };

	runtime_each_live(arg, check_pair, &c);
}

static void check_owners(struct sim *s)
{
	for (struct stored *a = datastore_first(s); a; a = a->hh.next) {
		if (a->kind != KIND_AFFINITY || a->affinity.state != AFFINITY_CONFIRMED)
			continue;
		for (struct stored *b = a->hh.next; b; b = b->hh.next)
			if (b->kind == KIND_AFFINITY && b->affinity.state == AFFINITY_CONFIRMED &&
			    prefix_eq(&a->affinity.cidr, &b->affinity.cidr))
				sim_fail(s, "a block has two owners: %s and %s", a->name, b->name);
	}
}

static uint32_t counted(const struct handle *h, const struct prefix *cidr)
{
	for (size_t i = 0; i < h->n; i++)
		if (prefix_eq(&h->blocks[i].cidr, cidr))
			return h->blocks[i].count;
	return 0;
}

static const struct stored *handle_of(struct sim *s, const char *id)
{
	for (struct stored *o = datastore_first(s); o; o = o->hh.next)
		if (o->kind == KIND_HANDLE && !strcmp(o->name, id))
			return o;
	return NULL;
}

/* Handles may over-count, never under-count: what is not counted is never released. */
static void check_handles(struct sim *s)
{
	for (struct stored *o = datastore_first(s); o; o = o->hh.next) {
		if (o->kind != KIND_BLOCK)
			continue;
		for (size_t i = 0; i < o->block.nattrs; i++) {
			const char *id = o->block.attrs[i].handle;
			uint32_t n = id ? block_count_handle(&o->block, id) : 0;
			const struct stored *h = n ? handle_of(s, id) : NULL;
			if (n && (!h || counted(&h->handle, &o->block.cidr) < n))
				sim_fail(s, "handle %.40s counts %u addresses of block %s, which has %u", id,
					 h ? counted(&h->handle, &o->block.cidr) : 0, o->name, n);
		}
	}
}

void check_step(struct sim *s)
{
	runtime_each_live(s, check_recorded, s);
	runtime_each_live(s, check_single, s);
	check_owners(s);
	check_handles(s);
	kernel_check(s);
}

/* ---- in the end ---- */

struct want {
	struct prefix dst;
	uint32_t table;
	uint8_t type;
	struct addr gateway;
	char dev[8]; /* how the interface's name begins, "" = any */
	bool seen;
};

struct wants {
	struct sim *sim;
	struct sim_node *node;
	struct want v[512];
	size_t n;
	char *why;
	bool wrong;
};

static struct want *want(struct wants *w, const struct prefix *dst, uint8_t type)
{
	CHECK(w->n < ARRAY_SIZE(w->v));
	struct want *x = &w->v[w->n++];

	*x = (struct want){ .dst = *dst, .table = RT_TABLE_MAIN, .type = type };
	return x;
}

/* The way to another node: its address, or the gateway that leads there. */
static struct addr way_to(const struct sim_node *n, const struct sim_node *to, uint8_t family)
{
	struct prefix net = prefix_of(&n->v4, 24);

	if (family == AF_INET6)
		return to->v6;
	return prefix_has(&net, &to->v4) ? to->v4 : n->gateway;
}

static struct sim_node *node_by_name(struct sim *s, const char *name)
{
	for (size_t i = 0; i < SIM_NODES; i++)
		if (!strcmp(s->node[i].name, name))
			return &s->node[i];
	return NULL;
}

static void want_via(struct wants *w, const struct prefix *dst, const struct sim_node *to)
{
	struct want *x = want(w, dst, RTN_UNICAST);

	x->gateway = way_to(w->node, to, dst->addr.family);
	snprintf(x->dev, sizeof(x->dev), "ens192");
}

/* An affinity on its way out may be left behind while the block is another's already. */
static bool holds(struct sim *s, const struct stored *aff)
{
	struct stored *b;

	if (aff->kind != KIND_AFFINITY || aff->affinity.state == AFFINITY_PENDING)
		return false;
	b = block_of(s, &aff->affinity.cidr.addr);
	if (!b)
		return aff->affinity.state == AFFINITY_CONFIRMED;
	return !block_host(&b->block) || !strcmp(block_host(&b->block), aff->affinity.host);
}

static void want_blocks(struct wants *w)
{
	for (struct stored *o = datastore_first(w->sim); o; o = o->hh.next) {
		if (!holds(w->sim, o))
			continue;
		struct sim_node *owner = node_by_name(w->sim, o->affinity.host);
		if (owner == w->node)
			want(w, &o->affinity.cidr, RTN_BLACKHOLE);
		else if (owner)
			want_via(w, &o->affinity.cidr, owner);
	}
}

static bool owns(struct sim *s, const struct sim_node *n, const struct addr *a)
{
	for (struct stored *o = datastore_first(s); o; o = o->hh.next)
		if (holds(s, o) && prefix_has(&o->affinity.cidr, a) && !strcmp(o->affinity.host, n->name))
			return true;
	return false;
}

static void want_pod(void *arg, const struct live_pod *p)
{
	struct wants *w = arg;

	for (size_t i = 0; i < p->naddrs; i++) {
		struct prefix host = prefix_host(&p->addrs[i]);
		if (p->node == w->node)
			snprintf(want(w, &host, RTN_UNICAST)->dev, 8, "cali");
		else if (!owns(w->sim, p->node, &p->addrs[i]))
			want_via(w, &host, p->node); /* borrowed */
	}
}

static void match(void *arg, const struct route *r, const char *dev)
{
	struct wants *w = arg;
	char text[PREFIX_STR_MAX];

	for (size_t i = 0; i < w->n; i++) {
		struct want *x = &w->v[i];
		if (!x->seen && prefix_eq(&x->dst, &r->dst) && x->table == r->table && x->type == r->type &&
		    addr_eq(&x->gateway, &r->hops[0].gateway) && !strncmp(dev, x->dev, strlen(x->dev))) {
			x->seen = true;
			return;
		}
	}
	w->wrong = true;
	snprintf(w->why, SIM_TEXT_MAX, "%s has a route %s (type %u, dev %s) that it should not have",
		 w->node->label, prefix_format(&r->dst, text), r->type, dev);
}

static bool check_routes(struct sim *s, struct sim_node *n, char why[static SIM_TEXT_MAX])
{
	own_mem struct wants *w = xcalloc(1, sizeof(*w));
	struct addr gw = podlink_gateway(AF_INET);
	struct prefix to_gw = prefix_host(&gw);
	char text[PREFIX_STR_MAX];

	w->sim = s;
	w->node = n;
	w->why = why;
	want_blocks(w);
	runtime_each_live(s, want_pod, w);
	want(w, &to_gw, RTN_UNICAST)->table = RT_TABLE_LOCAL;
	kernel_each_route(n, match, w);
	for (size_t i = 0; i < w->n && !w->wrong; i++)
		if (!w->v[i].seen) {
			w->wrong = true;
			snprintf(why, SIM_TEXT_MAX, "%s lacks the route %s (type %u)", n->label,
				 prefix_format(&w->v[i].dst, text), w->v[i].type);
		}
	return !w->wrong;
}

static bool check_sessions(struct sim *s, struct sim_node *n, char why[static SIM_TEXT_MAX])
{
	struct peer_entry *p, *tmp;
	size_t up = 0, expected = (SIM_NODES - 1) * (s->plan.v6 ? 2 : 1);
	char text[ADDR_STR_MAX], reason[ERR_MSG_MAX];

	if (!n->agent || !n->speaker || !n->greeted) {
		snprintf(why, SIM_TEXT_MAX, "%s: agent or speaker do not run", n->label);
		return false;
	}
	if (!agent_ready(n->agent, reason)) {
		snprintf(why, SIM_TEXT_MAX, "%s is not ready: %.400s", n->label, reason);
		return false;
	}
	map_each (n->agent->peers.map, p, tmp) {
		if (p->heard && p->state.state == IPC_ESTABLISHED) {
			up++;
			continue;
		}
		snprintf(why, SIM_TEXT_MAX, "%s: the session to %s is %s (%s)", n->label,
			 addr_format(&p->remote, text),
			 p->heard ? ipc_state_name(p->state.state) : "not reported",
			 p->heard ? p->state.reason : "");
		return false;
	}
	if (up != expected)
		snprintf(why, SIM_TEXT_MAX, "%s has %zu sessions, should have %zu", n->label, up, expected);
	return up == expected;
}

static bool check_watch(struct sim_node *n, char why[static SIM_TEXT_MAX])
{
	if (store_follow_drift(n->agent->follow) == 0)
		return true;
	sim_fail(n->sim, "%s: a full compare found what the watch had not told", n->label);
	snprintf(why, SIM_TEXT_MAX, "drift");
	return false;
}

static bool check_rest(struct sim *s, char why[static SIM_TEXT_MAX])
{
	if (!runtime_quiet(s, why))
		return false;
	if (tcp_any_silent(s)) {
		snprintf(why, SIM_TEXT_MAX, "a connection is silent, and its hold timer has not noticed");
		return false;
	}
	for (size_t i = 0; i < SIM_NODES; i++)
		if (!check_sessions(s, &s->node[i], why) || !check_watch(&s->node[i], why))
			return false;
	return true;
}

/* Where everything else is right, routes are soon: nothing may hang on the compare that comes every minute.
 */
bool check_converged(struct sim *s, char why[static SIM_TEXT_MAX])
{
	if (!check_rest(s, why)) {
		s->rest_right = 0;
		return false;
	}
	for (size_t i = 0; i < SIM_NODES; i++) {
		if (check_routes(s, &s->node[i], why))
			continue;
		if (!s->rest_right)
			s->rest_right = s->now;
		if (s->now - s->rest_right > ROUTES_MAX)
			sim_fail(s, "all is well for %d s, but %.300s", (int)(ROUTES_MAX / SEC), why);
		return false;
	}
	s->rest_right = 0;
	return true;
}

bool check_empty(struct sim *s, char why[static SIM_TEXT_MAX])
{
	if (!check_converged(s, why))
		return false;
	for (struct stored *o = datastore_first(s); o; o = o->hh.next) {
		if (o->kind == KIND_HANDLE || o->kind == KIND_WEP ||
		    (o->kind == KIND_BLOCK && !block_empty(&o->block))) {
			snprintf(why, SIM_TEXT_MAX, "%s %s is left", kind_info(o->kind)->name, o->name);
			return false;
		}
	}
	for (size_t i = 0; i < SIM_NODES; i++)
		if (kernel_pod_links(&s->node[i])) {
			snprintf(why, SIM_TEXT_MAX, "%s has an interface of a pod left", s->node[i].label);
			return false;
		}
	return true;
}
