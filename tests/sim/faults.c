/*
 * Bad luck, swarm style: each seed draws which kinds it has and how often they strike, so that rare
 * combinations are not drowned by the sum of everything.
 */
#include "sim.h"

struct fault {
	struct timer timer;
	struct sim *sim;
	const char *name;
	usec_t mean;
	void (*strike)(struct sim *s);
};

struct heal {
	struct list list;
	struct timer timer;
	struct sim *sim;
	void (*heal)(struct sim *s, unsigned a, unsigned b);
	unsigned a, b;
};

#define FAULTS 14
struct faults {
	struct fault fault[FAULTS];
	size_t n;
	struct list heals;
};

static struct sim_node *any(struct sim *s)
{
	return &s->node[sim_below(s, SIM_NODES)];
}

/* ---- what ends by itself ---- */

static void on_heal(struct timer *t, usec_t now)
{
	struct heal *h = container_of(t, struct heal, timer);

	list_del(&h->list);
	h->heal(h->sim, h->a, h->b);
	free(h);
}

static void heal_after(struct sim *s, usec_t delay, void (*fn)(struct sim *, unsigned, unsigned), unsigned a,
		       unsigned b)
{
	struct heal *h = xcalloc(1, sizeof(*h));

	h->sim = s;
	h->heal = fn;
	h->a = a;
	h->b = b;
	timer_init(&h->timer, on_heal);
	list_add_tail(&s->faults->heals, &h->list);
	sim_after(s, &h->timer, delay);
}

static void heal_cable(struct sim *s, unsigned a, unsigned b)
{
	sim_trace(s, "the cable node%u > node%u is whole again", a + 1, b + 1);
	s->cut[a][b] = false;
}

static void heal_store(struct sim *s, unsigned a, unsigned b)
{
	sim_trace(s, "%s: the datastore is back", s->node[a].label);
	datastore_down(&s->node[a], false);
}

static void heal_uplink(struct sim *s, unsigned a, unsigned b)
{
	for (unsigned i = 0; i < SIM_NODES; i++)
		if (i != a)
			s->cut[a][i] = s->cut[i][a] = false;
	kernel_uplink(&s->node[a], true);
}

/* ---- strikes ---- */

static usec_t outage(struct sim *s)
{
	return sim_chance(s, 70) ? sim_between(s, 100 * MSEC, 20 * SEC) : sim_between(s, 20 * SEC, 300 * SEC);
}

static void cut(struct sim *s)
{
	unsigned a = (unsigned)sim_below(s, SIM_NODES), b = (unsigned)sim_below(s, SIM_NODES);
	usec_t d = outage(s);

	if (a == b || s->cut[a][b])
		return;
	sim_trace(s, "the cable node%u > node%u is cut", a + 1, b + 1);
	s->cut[a][b] = true;
	heal_after(s, d, heal_cable, a, b);
	if (s->cut[b][a] || sim_chance(s, 40))
		return;
	s->cut[b][a] = true;
	heal_after(s, d, heal_cable, b, a);
}

static void reset(struct sim *s)
{
	tcp_reset_one(s);
}

static void silence(struct sim *s)
{
	tcp_silence_one(s);
}

static void kill_agent(struct sim *s)
{
	node_agent_kill(any(s));
}

/* Killed between two system calls, somewhere in what it does next. */
static void crash_agent(struct sim *s)
{
	struct sim_node *n = any(s);

	if (n->agent && n->effects < 0)
		n->effects = (int)sim_below(s, 30);
}

static void kill_speaker(struct sim *s)
{
	struct sim_node *n = any(s);

	node_speaker_kill(n);
	if (sim_chance(s, 20))
		node_agent_kill(n);
}

static void kill_plugin(struct sim *s)
{
	runtime_kill_plugin(s);
}

static void gap(struct sim *s)
{
	datastore_break_watches(s);
}

static void store_down(struct sim *s)
{
	struct sim_node *n = any(s);

	sim_trace(s, "%s: the datastore is out of reach", n->label);
	datastore_down(n, true);
	heal_after(s, sim_between(s, 100 * MSEC, 30 * SEC), heal_store, n->index, 0);
}

static void overrun(struct sim *s)
{
	struct sim_node *n = any(s);

	n->overrun = true;
	if (n->agent && !timer_armed(&n->kernel_news))
		sim_after(s, &n->kernel_news, sim_between(s, 5, MSEC));
}

static void steal(struct sim *s)
{
	kernel_steal(any(s));
}

static void heal_node(struct sim *s, unsigned a, unsigned b)
{
	sim_trace(s, "Node %s is made again", s->node[a].name);
	datastore_node(&s->node[a], true);
}

/* Somebody deletes a Node by mistake. */
static void lose_node(struct sim *s)
{
	struct sim_node *n = any(s);

	sim_trace(s, "Node %s is deleted", n->name);
	datastore_node(n, false);
	heal_after(s, sim_between(s, 10 * MSEC, 20 * SEC), heal_node, n->index, 0);
}

static void reconfigure(struct sim *s)
{
	datastore_reconfigure(s);
}

static void flap(struct sim *s)
{
	struct sim_node *n = any(s);

	kernel_uplink(n, false);
	for (unsigned i = 0; i < SIM_NODES; i++)
		if (i != n->index)
			s->cut[n->index][i] = s->cut[i][n->index] = true;
	heal_after(s, sim_between(s, 10 * MSEC, 20 * SEC), heal_uplink, n->index, 0);
}

/* ---- the plan ---- */

static bool coin(struct sim *s)
{
	return sim_chance(s, 35);
}

void faults_plan(struct sim *s)
{
	struct plan *p = &s->plan;

	p->cut = coin(s);
	p->reset = coin(s);
	p->silent = coin(s);
	p->slow_net = coin(s);
	p->small_buffers = coin(s);
	p->agent_kill = coin(s);
	p->agent_crash = coin(s);
	p->speaker_kill = coin(s);
	p->plugin_kill = coin(s);
	p->sandboxes = coin(s);
	p->netns_first = coin(s);
	p->store_slow = coin(s);
	p->reply_lost = coin(s);
	p->store_gap = coin(s);
	p->store_down = coin(s);
	p->overrun = coin(s);
	p->thief = coin(s);
	p->uplink_flap = coin(s);
	p->reconfigure = coin(s);
	p->node_gone = coin(s);
	p->small_blocks = sim_chance(s, 60);
	p->tight = p->small_blocks && sim_chance(s, 50);
	p->burst = sim_chance(s, 60);
	p->two_subnets = coin(s);
	p->default_route = coin(s);
	p->v6 = coin(s);
	p->pods = 4 + (unsigned)sim_below(s, sim_chance(s, 20) ? SIM_PODS_MAX - 4 : 16);
	if (p->tight)
		p->pods = MIN(p->pods, 12);
	p->trouble = sim_between(s, 20 * SEC, 120 * SEC);
}

static void on_fault(struct timer *t, usec_t now)
{
	struct fault *f = container_of(t, struct fault, timer);

	f->strike(f->sim);
	sim_after(f->sim, t, sim_between(f->sim, 1, 2 * f->mean));
}

static void enable(struct sim *s, bool on, void (*strike)(struct sim *s))
{
	struct fault *f = &s->faults->fault[s->faults->n];

	if (!on)
		return;
	CHECK(s->faults->n++ < FAULTS);
	f->sim = s;
	f->strike = strike;
	f->mean = sim_between(s, 500 * MSEC, 15 * SEC);
	timer_init(&f->timer, on_fault);
	sim_after(s, &f->timer, sim_between(s, 1, 2 * f->mean));
}

void faults_start(struct sim *s)
{
	const struct plan *p = &s->plan;

	s->faults = xcalloc(1, sizeof(*s->faults));
	list_init(&s->faults->heals);
	enable(s, p->cut, cut);
	enable(s, p->reset, reset);
	enable(s, p->silent, silence);
	enable(s, p->agent_kill, kill_agent);
	enable(s, p->agent_crash, crash_agent);
	enable(s, p->speaker_kill, kill_speaker);
	enable(s, p->plugin_kill, kill_plugin);
	enable(s, p->store_gap, gap);
	enable(s, p->store_down, store_down);
	enable(s, p->overrun, overrun);
	enable(s, p->thief, steal);
	enable(s, p->uplink_flap, flap);
	enable(s, p->reconfigure, reconfigure);
	enable(s, p->node_gone, lose_node);
}

void faults_stop(struct sim *s)
{
	struct heal *h, *tmp;

	sim_trace(s, "the trouble is over");
	for (size_t i = 0; i < s->faults->n; i++)
		timer_stop(&s->faults->fault[i].timer);
	list_each_safe (h, tmp, &s->faults->heals, list) {
		timer_stop(&h->timer);
		on_heal(&h->timer, s->now);
	}
	for (size_t i = 0; i < SIM_NODES; i++)
		s->node[i].effects = -1;
}

void faults_done(struct sim *s)
{
	struct heal *h, *tmp;

	for (size_t i = 0; i < s->faults->n; i++)
		timer_stop(&s->faults->fault[i].timer);
	list_each_safe (h, tmp, &s->faults->heals, list) {
		timer_stop(&h->timer);
		list_del(&h->list);
		free(h);
	}
	free(s->faults);
}
