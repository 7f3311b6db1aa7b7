/*
 * Five hosts, thirty pods and somebody who gives blocks back, at random: views that lag, requests and replies
 * that are lost, writes that arrive late, agents that die. Whatever was answered must stay true, and in the
 * end everything can be given back and nothing is left.
 *
 *	random [SEEDS [FIRST]]
 *
 * runs so many seeds; one that fails is named and replays with "random 1 SEED".
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/check.h"
#include "base/prng.h"
#include "world.h"

#include <stdio.h>

#define HOSTS	6 /* the last one has no pods and gives back blocks of all */
#define PODS	30
#define TICKS	3000
#define FLIGHTS 8
#define START	((nsec_t)1787392800000000000)

enum pod_state {
	POD_NONE,
	POD_ADDING,
	POD_UP,
	POD_DELETING,
	POD_UNKNOWN, /* an ADD died: another ADD or a DEL follows */
	POD_DYING,   /* a DEL died: only a DEL can follow */
};

struct pod {
	enum pod_state state;
	int host;
	char handle[16];
	struct addr addr;
	bool fixed; /* wanted this address */
};

struct host {
	char name[8];
	struct cell seen[WORLD_SLOTS];
	bool busy;
	struct pod *pod;
	struct ipam_request req;
};

struct run {
	struct world w;
	struct cell cur[WORLD_SLOTS];
	struct host hosts[HOSTS];
	struct pod pods[PODS];
	struct flight flights[FLIGHTS];
	struct prng p;
	nsec_t now;
	bool late; /* writes may arrive late */
	unsigned adds, dels, crashes, full;
	const char *wrong;
};

static uint64_t pick(struct run *r, uint64_t n)
{
	return prng_below(&r->p, n);
}

static bool chance(struct run *r, unsigned percent)
{
	return pick(r, 100) < percent;
}

static void init(struct run *r, uint64_t seed, enum mutant mutant)
{
	memset(r, 0, sizeof(*r));
	world_init(&r->w);
	world_pool(&r->w, "p", "10.0.0.0/26", 30);
	world_pool(&r->w, "q", "10.0.1.0/28", 30);
	r->w.through_json = true;
	r->w.mutant = mutant;
	r->p.state = seed * 0x9e3779b97f4a7c15;
	r->late = seed & 1;
	r->w.config.strict_affinity = seed % 8 == 3;
	r->w.config.cooldown_seconds = seed % 8 == 5 ? 30 : 0;
	r->now = START;
	for (int i = 0; i < HOSTS; i++)
		snprintf(r->hosts[i].name, sizeof(r->hosts[i].name), "node%d", i);
	for (int i = 0; i < PODS; i++) {
		r->pods[i].host = i % (HOSTS - 1);
		snprintf(r->pods[i].handle, sizeof(r->pods[i].handle), "net.p%d", i);
	}
}

/* ---- requests ---- */

static void begin(struct run *r, struct host *h, struct pod *p, enum ipam_do what)
{
	h->busy = true;
	h->pod = p;
	h->req = world_request(what, h->name, p ? p->handle : NULL, 0);
	h->req.seed = chance(r, 50) ? pick(r, 1000) : 0;
	/* As the agent does it: the handle is read when a request begins. */
	for (size_t i = 0; p && i < r->w.nslots; i++)
		if (r->w.slots[i].kind == KIND_HANDLE && !strcmp(r->w.slots[i].name, p->handle))
			h->seen[i] = r->cur[i];
}

static void begin_pod(struct run *r, struct host *h)
{
	struct pod *p = &r->pods[pick(r, PODS / (HOSTS - 1)) * (HOSTS - 1) + (uint64_t)(h - r->hosts)];

	if (p->state == POD_DYING || (p->state == POD_UP && chance(r, 70)) ||
	    (p->state == POD_UNKNOWN && chance(r, 50))) {
		p->state = POD_DELETING;
		begin(r, h, p, IPAM_RELEASE_HANDLE);
		return;
	}
	bool again = p->state == POD_UP;
	if (!again) {
		/* After an ADD that died the runtime asks for the same again. */
		if (p->state == POD_NONE)
			p->fixed = chance(r, 20);
		if (p->fixed && p->state == POD_NONE)
			p->addr = addr_v4(0x0a000000u + (uint32_t)pick(r, 64));
		p->state = POD_ADDING;
	}
	begin(r, h, p, p->fixed ? IPAM_ASSIGN_ADDR : IPAM_ASSIGN);
	if (p->fixed)
		h->req.addr = p->addr;
}

static void begin_giving(struct run *r, struct host *h)
{
	size_t i = pick(r, r->w.nslots ? r->w.nslots : 1);

	if (i >= r->w.nslots || r->w.slots[i].kind != KIND_AFFINITY)
		return;
	begin(r, h, NULL, IPAM_RELEASE_AFFINITY);
	h->req.host = r->w.slots[i].host;
	h->req.cidr = r->w.slots[i].cidr;
	h->req.also_used = false;
}

/* ---- outcomes ---- */

static const char *owner_of(struct run *r, const struct addr *a)
{
	const char *owner = world_owner(&r->w, r->cur, a);

	return owner ? owner : "";
}

static bool has_any(struct run *r, const char *handle)
{
	for (size_t i = 0; i < r->w.nslots; i++) {
		const struct block *b = world_block_at(&r->w, r->cur, i);
		if (b && block_count_handle(b, handle))
			return true;
	}
	return false;
}

static void finish(struct run *r, struct host *h, const struct ipam_step *s)
{
	struct pod *p = h->pod;

	h->busy = false;
	if (!p)
		return;
	if (h->req.what == IPAM_RELEASE_HANDLE) {
		if (s->answer != IPAM_OK)
			r->wrong = "a DEL failed";
		if (has_any(r, p->handle))
			r->wrong = "an address is left after its DEL";
		p->state = POD_NONE;
		r->dels++;
		return;
	}
	if (s->answer == IPAM_OK) {
		if (p->state == POD_UP && !addr_eq(&p->addr, &s->addr))
			r->wrong = "asking again gave another address";
		p->addr = s->addr;
		p->state = POD_UP;
		r->adds++;
		return;
	}
	if (p->state == POD_UP)
		r->wrong = "asking again was refused";
	p->state = POD_UNKNOWN;
	r->full++;
}

static void launch(struct run *r, const struct ipam_write *w)
{
	size_t i = pick(r, FLIGHTS);

	if (!r->flights[i].up)
		world_prepare(&r->w, w, &r->flights[i]);
}

static void crash(struct run *r, struct host *h)
{
	if (h->pod && h->pod->state != POD_UP)
		h->pod->state = h->pod->state == POD_DELETING ? POD_DYING : POD_UNKNOWN;
	h->busy = false;
	r->crashes++;
	if (chance(r, 50))
		memcpy(h->seen, r->cur, sizeof(h->seen));
}

/* The object is read again: after a lost race, and when nobody knows. */
static void reread(struct run *r, struct host *h, const struct ipam_write *w)
{
	struct flight f;

	world_prepare(&r->w, w, &f);
	h->seen[f.slot] = r->cur[f.slot];
}

static void perform(struct run *r, struct host *h, const struct ipam_write *w, bool faults)
{
	uint64_t luck = faults ? pick(r, 100) : 99;

	if (luck < 4) { /* the request was lost */
		reread(r, h, w);
	} else if (luck < 8) { /* it will arrive later */
		if (r->late)
			launch(r, w);
		reread(r, h, w);
	} else if (luck < 10) { /* died before */
		crash(r, h);
	} else if (luck < 12) { /* died after */
		world_write(&r->w, r->cur, h->seen, w);
		crash(r, h);
	} else if (luck < 14) { /* died, and it will arrive later */
		if (r->late)
			launch(r, w);
		crash(r, h);
	} else { /* done, or a lost race; whether the reply arrives makes no difference */
		world_write(&r->w, r->cur, h->seen, w);
	}
}

static void step(struct run *r, struct host *h, bool faults)
{
	struct world_view arg;
	struct ipam_view v = world_view(&r->w, h->seen, &arg);
	struct ipam_step s;
	struct err e;

	h->req.wall = r->now;
	ipam_step(&v, &h->req, &s, &e);
	if (s.answer == IPAM_WRITE)
		perform(r, h, &s.write, faults);
	else
		finish(r, h, &s);
	ipam_step_done(&s);
}

/* ---- the world turns ---- */

static void check(struct run *r)
{
	const char *wrong = world_wrong(&r->w, r->cur, !r->late);

	if (wrong)
		r->wrong = wrong;
	for (int i = 0; i < PODS; i++)
		if (r->pods[i].state == POD_UP &&
		    strcmp(owner_of(r, &r->pods[i].addr), r->pods[i].handle) != 0)
			r->wrong = "an address that was answered is not the pod's";
}

static void tick(struct run *r)
{
	struct host *h = &r->hosts[pick(r, HOSTS)];
	size_t land = pick(r, FLIGHTS * 4);

	r->now += (nsec_t)pick(r, 2000000000) + 1;
	if (land < FLIGHTS && r->flights[land].up) {
		world_land(&r->w, r->cur, &r->flights[land]);
		r->flights[land].up = false;
	}
	for (size_t i = 0; chance(r, 30) && i < r->w.nslots; i++)
		if (chance(r, 50))
			h->seen[i] = r->cur[i];
	if (h->busy)
		step(r, h, true);
	else if (h == &r->hosts[HOSTS - 1])
		begin_giving(r, h);
	else
		begin_pod(r, h);
}

static void settle(struct run *r)
{
	for (size_t i = 0; i < FLIGHTS; i++)
		if (r->flights[i].up)
			world_land(&r->w, r->cur, &r->flights[i]);
	for (int i = 0; i < HOSTS; i++)
		while (r->hosts[i].busy && !r->wrong)
			step(r, &r->hosts[i], false);
	for (int i = 0; i < PODS && !r->wrong; i++) {
		struct host *h = &r->hosts[r->pods[i].host];
		begin(r, h, &r->pods[i], IPAM_RELEASE_HANDLE);
		while (h->busy && !r->wrong)
			step(r, h, false);
	}
}

static void give_all(struct run *r)
{
	r->now += (nsec_t)3600 * 1000000000; /* whatever cools down has done so */
	for (size_t i = 0; i < r->w.nslots; i++) {
		const struct block *b = world_block_at(&r->w, r->cur, i);
		const struct affinity *a = world_affinity_at(&r->w, r->cur, i);
		const char *host = a ? a->host : b ? block_host(b) : NULL;
		if (!host)
			continue;
		char name[254];
		snprintf(name, sizeof(name), "%s", host);
		struct ipam_request req = world_request(IPAM_RELEASE_AFFINITY, name, NULL, r->now);
		req.cidr = r->w.slots[i].cidr;
		world_run(&r->w, r->cur, &req, 100, NULL, NULL);
	}
	if (world_count(&r->w, r->cur) > 0)
		r->wrong = "something is left in the end";
}

/* What went wrong with the seed, or NULL. */
static const char *play(uint64_t seed, enum mutant mutant, bool talk)
{
	struct run *r = xmalloc(sizeof(*r));

	init(r, seed, mutant);
	for (int i = 0; i < TICKS && !r->wrong; i++) {
		tick(r);
		check(r);
	}
	if (!r->wrong)
		settle(r);
	if (!r->wrong)
		give_all(r);
	const char *wrong = r->wrong;
	if (talk)
		print_message("seed %llu: %u adds, %u deletes, %u crashes, %u refused%s%s\n",
			      (unsigned long long)seed, r->adds, r->dels, r->crashes, r->full,
			      wrong ? ": " : "", wrong ? wrong : "");
	world_done(&r->w);
	free(r);
	return wrong;
}

struct seeds {
	uint64_t n, first;
};

static void holds(void **state)
{
	const struct seeds *s = *state;

	for (uint64_t i = 0; i < s->n; i++)
		if (play(s->first + i, MUTANT_NONE, s->n == 1)) {
			play(s->first + i, MUTANT_NONE, true);
			fail_msg("seed %llu fails; replay: random 1 %llu", (unsigned long long)(s->first + i),
				 (unsigned long long)(s->first + i));
		}
	play(1, MUTANT_NONE, true);
}

/* The breaks of the store are seen at random, too. */
static void mutants_are_caught(void **state)
{
	static const enum mutant mutants[] = { MUTANT_BLOCK_CAS, MUTANT_BLOCK_DELETE, MUTANT_AFFINITY_CAS,
					       MUTANT_CREATE, MUTANT_SKIP_HANDLE };

	for (size_t i = 0; i < ARRAY_SIZE(mutants); i++) {
		const char *wrong = NULL;
		for (uint64_t seed = 1; !wrong && seed < 100; seed++)
			wrong = play(seed, mutants[i], false);
		if (!wrong)
			fail_msg("mutant %d is not seen in 100 seeds", mutants[i]);
	}
}

int main(int argc, char **argv)
{
	struct seeds s = { .n = argc > 1 ? strtoull(argv[1], NULL, 10) : 40,
			   .first = argc > 2 ? strtoull(argv[2], NULL, 10) : 1 };
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_prestate(holds, &s),
		cmocka_unit_test(mutants_are_caught),
	};

	return cmocka_run_group_tests_name("ipam/random", tests, NULL, NULL);
}
