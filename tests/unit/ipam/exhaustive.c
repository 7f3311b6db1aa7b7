/*
 * Every interleaving of a few small requests: two hosts, two blocks of two addresses, up to three requests at
 * once, each write done at any time, views that lag behind as long as they like, a crash of a request at any
 * place (with its last write lost, done, or still under way), and a view that is refreshed by a lost race
 * only for the object that was raced for.
 *
 * In every state the store must be sound; at the end nobody's address may be another's, and giving everything
 * back must leave nothing. Then the same with a store or a machine that is broken on purpose: each break must
 * be seen.
 *
 *	exhaustive [deep]	also explores the scenarios of several hundred thousand states
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/check.h"
#include "base/map.h"
#include "ipam/claim.h"
#include "world.h"

#include <stdio.h>

#define PROCS 3
#define REWRITES_MAX \
	8 /* two who undo each other's work could go on for ever: cut after so many writes of a block */
#define STATES_MAX	  3000000
#define MUTANT_STATES_MAX 100000 /* a mutant may do nonsense for ever; it must be seen before */
#define SEED		  3	 /* cheaper than Calico's choice; both hosts begin at the same block */
#define CELLS		  10
#define NOW		  ((nsec_t)1787392800000000000)
#define OLD		  (NOW - (nsec_t)3600 * 1000000000)

/* The machine's private memory, made small. */
struct memory {
	struct prefix cidr;
	char host[6];
	uint32_t phase, block_rev, affinity_rev, changes, lost;
	uint64_t stamp;
};

static const char too_many[] = "too many states";

enum proc_state { IDLE, RUNNING, DONE_OK, DONE_REFUSED };

struct proc {
	uint8_t state, crashes;
	uint8_t last; /* last byte of the address */
	struct memory at;
	struct flight flight;
	struct cell seen[CELLS];
};

struct state {
	struct cell cur[CELLS];
	struct proc p[PROCS];
};

struct scenario {
	const char *name;
	size_t n;
	struct {
		enum ipam_do what;
		const char *host, *handle, *addr; /* addr: address or block */
		bool also_used;
	} op[PROCS];
	/* Done before, in order, at OLD; views start with what was there then. */
	struct {
		enum ipam_do what;
		const char *host, *handle, *addr;
		int writes; /* stop after so many: an earlier crash. 0 = to the end */
	} before[6];
	int crashes;  /* at most, of all together */
	bool inexact; /* the same handle comes and goes: its count may lag */
	bool strict;
	bool given; /* blocks are given back meanwhile */
	bool deep;  /* only when asked for: many states */
};

static const struct scenario scenarios[] = {
	{ "two hosts claim", 2, { { IPAM_ASSIGN, "a", "h1" }, { IPAM_ASSIGN, "b", "h2" } }, .crashes = 1 },
	{ "two requests of one host",
	  2,
	  { { IPAM_ASSIGN, "a", "h1" }, { IPAM_ASSIGN, "a", "h2" } },
	  .crashes = 1 },
	{ "two want one address",
	  2,
	  { { IPAM_ASSIGN_ADDR, "a", "h1", "10.0.0.1" }, { IPAM_ASSIGN_ADDR, "b", "h2", "10.0.0.1" } },
	  .crashes = 1 },
	{ "borrowing the last ones",
	  2,
	  { { IPAM_ASSIGN, "b", "h1" }, { IPAM_ASSIGN, "a", "h2" } },
	  { { IPAM_ASSIGN_ADDR, "a", "x1", "10.0.0.0" }, { IPAM_ASSIGN_ADDR, "a", "x2", "10.0.0.2" } },
	  .crashes = 1 },
	{ "an empty block is reclaimed while its host uses it",
	  2,
	  { { IPAM_ASSIGN, "b", "h1" }, { IPAM_ASSIGN, "a", "h2" } },
	  { { IPAM_ASSIGN_ADDR, "a", "x1", "10.0.0.0" },
	    { IPAM_ASSIGN_ADDR, "a", "x2", "10.0.0.2" },
	    { IPAM_RELEASE_HANDLE, "a", "x1" },
	    { IPAM_ASSIGN_ADDR, "a", "x3", "10.0.0.3" } },
	  .crashes = 1,
	  .strict = true,
	  .given = true },
	{ "a block is given back while its host uses it",
	  2,
	  { { IPAM_RELEASE_AFFINITY, "a", "r", "10.0.0.0/31" }, { IPAM_ASSIGN_ADDR, "a", "h1", "10.0.0.1" } },
	  { { IPAM_ASSIGN_ADDR, "a", "x1", "10.0.0.0" }, { IPAM_RELEASE_HANDLE, "a", "x1" } },
	  .crashes = 1,
	  .given = true },
	{ "two givers and a taker",
	  3,
	  { { IPAM_RELEASE_AFFINITY, "a", "r", "10.0.0.0/31" },
	    { IPAM_RELEASE_AFFINITY, "a", "s", "10.0.0.0/31" },
	    { IPAM_ASSIGN_ADDR, "a", "h1", "10.0.0.1" } },
	  { { IPAM_ASSIGN_ADDR, "a", "x1", "10.0.0.0" }, { IPAM_RELEASE_HANDLE, "a", "x1" } },
	  .given = true,
	  .deep = true },
	{ "giving back died after its first write",
	  2,
	  { { IPAM_RELEASE_AFFINITY, "a", "r", "10.0.0.0/31" }, { IPAM_ASSIGN_ADDR, "a", "h1", "10.0.0.1" } },
	  { { IPAM_ASSIGN_ADDR, "a", "x1", "10.0.0.0" },
	    { IPAM_RELEASE_HANDLE, "a", "x1" },
	    { IPAM_RELEASE_AFFINITY, "a", "q", "10.0.0.0/31", 1 } },
	  .crashes = 1,
	  .given = true },
	{ "a node is removed while it works",
	  2,
	  { { IPAM_RELEASE_AFFINITY, "a", "r", "10.0.0.0/31", true },
	    { IPAM_ASSIGN_ADDR, "a", "h1", "10.0.0.1" } },
	  { { IPAM_ASSIGN_ADDR, "a", "x1", "10.0.0.0" } },
	  .given = true },
	{ "a node is removed while it works and dies",
	  2,
	  { { IPAM_RELEASE_AFFINITY, "a", "r", "10.0.0.0/31", true },
	    { IPAM_ASSIGN_ADDR, "a", "h1", "10.0.0.1" } },
	  { { IPAM_ASSIGN_ADDR, "a", "x1", "10.0.0.0" } },
	  .crashes = 1,
	  .given = true,
	  .deep = true },
	{ "one comes, one goes",
	  2,
	  { { IPAM_ASSIGN, "a", "h1" }, { IPAM_RELEASE_HANDLE, "a", "x1" } },
	  { { IPAM_ASSIGN_ADDR, "a", "x1", "10.0.0.0" } },
	  .crashes = 1 },
	{ "the same comes twice and goes",
	  2,
	  { { IPAM_ASSIGN, "a", "h1" }, { IPAM_RELEASE_HANDLE, "a", "h1" } },
	  .crashes = 1,
	  .inexact = true },
	{ "the same handle, two addresses",
	  2,
	  { { IPAM_ASSIGN_ADDR, "a", "h1", "10.0.0.0" }, { IPAM_ASSIGN_ADDR, "b", "h1", "10.0.0.2" } },
	  { { IPAM_ASSIGN_ADDR, "a", "h1", "10.0.0.1" } },
	  .crashes = 1 },
	{ "five for four",
	  3,
	  { { IPAM_ASSIGN, "a", "h1" }, { IPAM_ASSIGN, "b", "h2" }, { IPAM_ASSIGN, "b", "h3" } },
	  { { IPAM_ASSIGN_ADDR, "a", "x1", "10.0.0.0" }, { IPAM_ASSIGN_ADDR, "b", "x2", "10.0.0.3" } } },
};

/* ---- the set of states seen ---- */

struct digest {
	uint64_t h[2];
};

struct seen_set {
	struct digest *slot;
	size_t n, cap;
};

static struct digest digest_of(const void *p, size_t n)
{
	const uint64_t *w = p;
	struct digest d = { { 0x243f6a8885a308d3, 0x13198a2e03707344 } };

	for (size_t i = 0; i < n / 8; i++) {
		d.h[0] = (d.h[0] ^ w[i]) * 0x9e3779b97f4a7c15;
		d.h[0] ^= d.h[0] >> 29;
		d.h[1] = (d.h[1] + w[i]) * 0xbf58476d1ce4e5b9;
		d.h[1] ^= d.h[1] >> 31;
	}
	d.h[0] |= 1; /* 0 is an empty place */
	return d;
}

static bool set_add(struct seen_set *s, struct digest d);

static void set_grow(struct seen_set *s)
{
	struct seen_set bigger = { .cap = s->cap ? 2 * s->cap : 1 << 14 };

	bigger.slot = xcalloc(bigger.cap, sizeof(bigger.slot[0]));
	for (size_t i = 0; i < s->cap; i++)
		if (s->slot[i].h[0])
			set_add(&bigger, s->slot[i]);
	free(s->slot);
	*s = bigger;
}

/* False if it was there. */
static bool set_add(struct seen_set *s, struct digest d)
{
	if (2 * s->n >= s->cap)
		set_grow(s);
	size_t i = d.h[1] & (s->cap - 1);
	for (; s->slot[i].h[0]; i = (i + 1) & (s->cap - 1))
		if (s->slot[i].h[0] == d.h[0] && s->slot[i].h[1] == d.h[1])
			return false;
	s->slot[i] = d;
	s->n++;
	return true;
}

/* ---- exploring ---- */

struct search {
	struct world w;
	const struct scenario *sc;
	struct seen_set seen, cleaned;
	struct state *stack;
	size_t depth, cap;
	size_t cut, limit;
	const char *wrong; /* what was found */
};

/* ---- one form for states that differ only in how often an object was written ---- */

struct revs {
	uint32_t v[4 * PROCS + 1];
	size_t n;
};

static void revs_add(struct revs *r, uint32_t v)
{
	size_t at = 0;

	while (at < r->n && r->v[at] < v)
		at++;
	if (!v || (at < r->n && r->v[at] == v))
		return;
	memmove(&r->v[at + 1], &r->v[at], (r->n - at) * sizeof(r->v[0]));
	r->v[at] = v;
	r->n++;
}

static uint32_t rank_of(const struct revs *r, uint32_t v)
{
	uint32_t i = 0;

	if (!v)
		return 0;
	while (r->v[i] != v)
		i++;
	return i + 1;
}

/* Where the machine remembers a revision of this slot, or NULL. */
static uint32_t *remembered(const struct search *x, struct proc *p, size_t proc, const struct slot *s)
{
	struct memory *at = &p->at;

	if (at->phase == PHASE_NONE || s->kind == KIND_HANDLE || !prefix_eq(&at->cidr, &s->cidr))
		return NULL;
	if (s->kind == KIND_BLOCK)
		return &at->block_rev;
	const char *host = at->phase == PHASE_GIVE ? at->host : x->sc->op[proc].host;
	return at->phase != PHASE_RELEASE && !strcmp(host, s->host) ? &at->affinity_rev : NULL;
}

static void rank_slot(const struct search *x, struct state *s, size_t slot)
{
	struct revs r = { .n = 0 };
	uint32_t *rev;

	revs_add(&r, s->cur[slot].rev);
	for (size_t i = 0; i < x->sc->n; i++) {
		struct proc *p = &s->p[i];
		if (!p->seen[slot].content)
			p->seen[slot].rev = 0;
		revs_add(&r, p->seen[slot].rev);
		if (p->flight.up && p->flight.slot == slot)
			revs_add(&r, p->flight.rev);
		if ((rev = remembered(x, p, i, &x->w.slots[slot])))
			revs_add(&r, *rev);
	}
	s->cur[slot].rev = rank_of(&r, s->cur[slot].rev);
	for (size_t i = 0; i < x->sc->n; i++) {
		struct proc *p = &s->p[i];
		p->seen[slot].rev = rank_of(&r, p->seen[slot].rev);
		if (p->flight.up && p->flight.slot == slot)
			p->flight.rev = rank_of(&r, p->flight.rev);
		if ((rev = remembered(x, p, i, &x->w.slots[slot])))
			*rev = rank_of(&r, *rev);
	}
}

/* Takes s; only compared for equality are revisions, so their order is all that counts. */
static void push(struct search *x, struct state *s)
{
	for (size_t i = 0; i < x->w.nslots; i++) {
		const struct block *b =
			x->w.slots[i].kind == KIND_BLOCK ? world_block_at(&x->w, s->cur, i) : NULL;
		if (b && b->sequence % 100 > REWRITES_MAX) {
			x->cut++;
			return;
		}
		rank_slot(x, s, i);
	}
	if (!set_add(&x->seen, digest_of(s, sizeof(*s))))
		return;
	if (x->depth == x->cap) {
		x->cap = x->cap ? 2 * x->cap : 256;
		x->stack = xrealloc(x->stack, x->cap * sizeof(x->stack[0]));
	}
	x->stack[x->depth++] = *s;
}

static struct ipam_request request(enum ipam_do what, const char *host, const char *handle, const char *addr,
				   nsec_t wall)
{
	struct ipam_request r = world_request(what, host, handle, wall);

	if (addr && what == IPAM_RELEASE_AFFINITY)
		CHECK(prefix_parse(addr, &r.cidr));
	else if (addr)
		CHECK(addr_parse(addr, &r.addr));
	return r;
}

static struct ipam_request op_of(const struct search *x, size_t i, const struct proc *p)
{
	struct ipam_request r = request(x->sc->op[i].what, x->sc->op[i].host, x->sc->op[i].handle,
					x->sc->op[i].addr, NOW + (nsec_t)i * 1000 + p->crashes * 100);

	r.also_used = x->sc->op[i].also_used;
	r.seed = SEED;
	r.at.phase = (int)p->at.phase;
	r.at.cidr = p->at.cidr;
	strcpy(r.at.host, p->at.host);
	r.at.block_rev = p->at.block_rev;
	r.at.affinity_rev = p->at.affinity_rev;
	r.at.stamp = p->at.stamp;
	r.at.changes = p->at.changes;
	r.at.lost = p->at.lost;
	return r;
}

static void remember(struct proc *p, const struct ipam_request *r)
{
	memset(&p->at, 0, sizeof(p->at));
	p->at.cidr = r->at.cidr;
	CHECK(strlen(r->at.host) < sizeof(p->at.host));
	strcpy(p->at.host, r->at.host);
	p->at.phase = (uint32_t)r->at.phase;
	p->at.block_rev = (uint32_t)r->at.block_rev;
	p->at.affinity_rev = (uint32_t)r->at.affinity_rev;
	p->at.stamp = r->at.stamp;
	p->at.changes = MIN(r->at.changes, 1);
	p->at.lost = r->at.lost;
}

static bool is_assign(const struct search *x, size_t i)
{
	return x->sc->op[i].what == IPAM_ASSIGN || x->sc->op[i].what == IPAM_ASSIGN_ADDR;
}

static bool is_released_too(const struct search *x, const char *handle)
{
	for (size_t i = 0; i < x->sc->n; i++)
		if (x->sc->op[i].what == IPAM_RELEASE_HANDLE && !strcmp(x->sc->op[i].handle, handle))
			return true;
	return false;
}

/* An address that was answered is the asker's, and in a block that is confirmed for its host. */
static void check_answer(struct search *x, const struct state *s, size_t i)
{
	struct addr a = addr_v4(0x0a000000u + s->p[i].last);
	const char *owner = world_owner(&x->w, s->cur, &a);

	if (s->p[i].state != DONE_OK || !is_assign(x, i) || is_released_too(x, x->sc->op[i].handle))
		return;
	if (!owner || strcmp(owner, x->sc->op[i].handle) != 0)
		x->wrong = "an address that was given to one is another's";
	struct prefix cidr = prefix_of(&a, 31);
	char text[PREFIX_STR_MAX];
	prefix_format(&cidr, text);
	const struct block *b = world_block(&x->w, s->cur, text);
	const char *host = b ? block_host(b) : NULL;
	if (x->sc->given || !host || strcmp(host, x->sc->op[i].host) != 0)
		return;
	const struct affinity *aff = world_affinity(&x->w, s->cur, host, text);
	if (!aff || aff->state != AFFINITY_CONFIRMED)
		x->wrong = "an address was given out of a block that is not confirmed";
}

static void give_back_all(struct world *w, struct cell *cur)
{
	static const char *const handles[] = { "h1", "h2", "h3", "x1", "x2", "x3" };

	for (size_t i = 0; i < ARRAY_SIZE(handles); i++) {
		struct ipam_request r = world_request(IPAM_RELEASE_HANDLE, "a", handles[i], NOW + 9000);
		world_run(w, cur, &r, 50, NULL, NULL);
	}
	for (int host = 'a'; host <= 'b'; host++)
		for (uint32_t i = 0; i < 2; i++) {
			char name[2] = { (char)host };
			struct ipam_request r = world_request(IPAM_RELEASE_AFFINITY, name, NULL, NOW + 9000);
			struct addr a = addr_v4(0x0a000000u + 2 * i);
			r.cidr = prefix_of(&a, 31);
			world_run(w, cur, &r, 50, NULL, NULL);
		}
}

/* Nothing is left after everything was given back. */
static void check_end(struct search *x, const struct state *s)
{
	struct cell cur[CELLS];

	for (size_t i = 0; i < x->sc->n; i++) {
		check_answer(x, s, i);
		if (s->p[i].state == DONE_REFUSED && is_assign(x, i) && x->sc->op[i].what == IPAM_ASSIGN &&
		    x->sc->n == 2 && !x->sc->strict)
			x->wrong = "there was room for all";
	}
	if (!set_add(&x->cleaned, digest_of(s->cur, sizeof(s->cur))))
		return;
	memcpy(cur, s->cur, sizeof(cur));
	give_back_all(&x->w, cur);
	if (world_count(&x->w, cur) > 0)
		x->wrong = "something is left after everything was given back";
}

static int crashes_of(const struct state *s)
{
	int n = 0;

	for (size_t i = 0; i < PROCS; i++)
		n += s->p[i].crashes;
	return n;
}

static void take_step(struct search *x, const struct state *from, size_t i)
{
	struct state s = *from;
	struct proc *p = &s.p[i];
	struct world_view arg;
	struct ipam_view v = world_view(&x->w, p->seen, &arg);
	struct ipam_request r = op_of(x, i, p);
	struct ipam_step step;
	struct err e;

	ipam_step(&v, &r, &step, &e);
	remember(p, &r);
	if (step.answer != IPAM_WRITE) {
		p->state = step.answer == IPAM_OK ? DONE_OK : DONE_REFUSED;
		p->last = step.addr.b[3];
		memset(&p->at, 0, sizeof(p->at));
		memset(p->seen, 0, sizeof(p->seen)); /* it no longer matters: fewer states */
		check_answer(x, &s, i);
		push(x, &s);
		return;
	}
	/* It may die with the write under way. */
	if (crashes_of(&s) < x->sc->crashes) {
		struct state dead = s;
		world_prepare(&x->w, &step.write, &dead.p[i].flight);
		dead.p[i].crashes++;
		memset(&dead.p[i].at, 0, sizeof(dead.p[i].at));
		push(x, &dead);
	}
	world_write(&x->w, s.cur, p->seen, &step.write);
	ipam_step_done(&step);
	push(x, &s);
}

static void expand(struct search *x, const struct state *s)
{
	bool over = true;

	x->wrong = world_wrong(&x->w, s->cur, !x->sc->inexact);
	for (size_t i = 0; !x->wrong && i < x->sc->n; i++) {
		const struct proc *p = &s->p[i];
		if (p->flight.up) { /* lands, or never arrives */
			struct state t = *s;
			world_land(&x->w, t.cur, &p->flight);
			memset(&t.p[i].flight, 0, sizeof(t.p[i].flight));
			push(x, &t);
			t = *s;
			memset(&t.p[i].flight, 0, sizeof(t.p[i].flight));
			push(x, &t);
			over = false;
		}
		if (p->state != RUNNING)
			continue;
		over = false;
		take_step(x, s, i);
		if (memcmp(p->seen, s->cur, sizeof(p->seen)) != 0) { /* the watch catches up */
			struct state t = *s;
			memcpy(t.p[i].seen, t.cur, sizeof(t.cur));
			push(x, &t);
		}
		if (crashes_of(s) < x->sc->crashes) {
			struct state t = *s;
			t.p[i].crashes++;
			memset(&t.p[i].at, 0, sizeof(t.p[i].at));
			push(x, &t);
		}
	}
	if (over && !x->wrong)
		check_end(x, s);
}

static void prepare(struct search *x, struct state *s)
{
	world_init(&x->w);
	world_pool(&x->w, "pool", "10.0.0.0/30", 31);
	x->w.config.strict_affinity = x->sc->strict;
	for (size_t i = 0; i < ARRAY_SIZE(x->sc->before) && x->sc->before[i].host; i++) {
		struct ipam_request r =
			request(x->sc->before[i].what, x->sc->before[i].host, x->sc->before[i].handle,
				x->sc->before[i].addr, OLD + (nsec_t)i);
		int max = x->sc->before[i].writes;
		enum ipam_answer a = world_run(&x->w, s->cur, &r, max ? max : 50, NULL, NULL);
		CHECK(a == (max ? IPAM_WRITE : IPAM_OK));
	}
	for (size_t i = 0; i < x->sc->n; i++) {
		s->p[i].state = RUNNING;
		memcpy(s->p[i].seen, s->cur, sizeof(s->cur));
	}
}

/* What is wrong with the scenario under a mutant, or NULL. */
static const char *explore(const struct scenario *sc, enum mutant mutant, size_t limit, size_t *ret_states)
{
	struct search x = { .sc = sc, .limit = limit };
	struct state *s = xcalloc(1, sizeof(*s));

	prepare(&x, s);
	x.w.mutant = mutant;
	push(&x, s);
	while (x.depth && !x.wrong && x.seen.n < x.limit) {
		*s = x.stack[--x.depth];
		expand(&x, s);
		CHECK(x.w.nslots <= CELLS);
	}
	if (x.depth && !x.wrong)
		x.wrong = too_many;
	*ret_states = x.seen.n;
	free(s);
	free(x.stack);
	free(x.seen.slot);
	free(x.cleaned.slot);
	world_done(&x.w);
	return x.wrong;
}

static void everything_holds(void **state)
{
	const bool *deep = *state;
	size_t total = 0, n;

	for (size_t i = 0; i < ARRAY_SIZE(scenarios); i++) {
		if (scenarios[i].deep && !*deep)
			continue;
		const char *wrong = explore(&scenarios[i], MUTANT_NONE, STATES_MAX, &n);
		print_message("%-55s %8zu states%s%s\n", scenarios[i].name, n, wrong ? ": " : "",
			      wrong ? wrong : "");
		total += n;
		assert_null(wrong);
	}
	print_message("%zu states\n", total);
}

static void mutants_are_caught(void **state)
{
	static const char *const names[MUTANTS] = {
		[MUTANT_BLOCK_CAS] = "block updates without compare",
		[MUTANT_BLOCK_DELETE] = "block deletion without compare",
		[MUTANT_AFFINITY_CAS] = "affinities without compare",
		[MUTANT_HANDLE_CAS] = "handles without compare",
		[MUTANT_CREATE] = "create overwrites",
		[MUTANT_SKIP_HANDLE] = "no handle before the block",
		[MUTANT_SKIP_BUMP] = "no second write of a block that is claimed",
		[MUTANT_SKIP_FENCE] = "no second pendingDeletion",
		[MUTANT_TRUST_PENDING] = "pending taken for confirmed",
	};

	for (int m = MUTANT_NONE + 1; m < MUTANTS; m++) {
		const char *wrong = NULL;
		size_t i, n;
		for (i = 0; !wrong && i < ARRAY_SIZE(scenarios); i++) {
			wrong = explore(&scenarios[i], (enum mutant)m, MUTANT_STATES_MAX, &n);
			if (wrong == too_many)
				wrong = NULL;
		}
		print_message("%-45s %s%s%s\n", names[m], wrong ? scenarios[i - 1].name : "NOT CAUGHT",
			      wrong ? ": " : "", wrong ? wrong : "");
		assert_non_null(wrong);
	}
}

int main(int argc, char **argv)
{
	bool deep = argc > 1 && !strcmp(argv[1], "deep");
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_prestate(everything_holds, &deep),
		cmocka_unit_test(mutants_are_caught),
	};

	return cmocka_run_group_tests_name("ipam/exhaustive", tests, NULL, NULL);
}
