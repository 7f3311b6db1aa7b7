/*
 * The run: a world is planned from its seed, has its trouble, calms down, must converge, must stay so, must
 * come down to nothing. One thing happens at a time, in the order of virtual time; equal times go by the
 * order of arming.
 */
#include "sim.h"

#include "base/log.h"
#include "loop/loop.h"

#include <inttypes.h>

#define CALM_MAX   (900 * SEC) /* to converge: twice the hold time, its retries, two full compares */
#define STAY_TIME  (150 * SEC) /* and then nothing may change */
#define EMPTY_MAX  (300 * SEC)
#define STEPS_MAX  4000000
#define WALL_START INT64_C(1790000000000000000)

struct sim *sim_now;

const char *const mutant_names[MUTANTS] = {
	[MUTANT_NONE] = "none",
	[MUTANT_STORE_CAS] = "store-cas",
	[MUTANT_STORE_CREATE] = "store-create",
	[MUTANT_HANDLE_LOST] = "handle-lost",
	[MUTANT_WATCH_LOSS] = "watch-loss",
	[MUTANT_ROUTE_ADD] = "route-add",
	[MUTANT_ROUTE_EVENT] = "route-event",
	[MUTANT_IPC_ORDER] = "ipc-order",
	[MUTANT_IPC_LOSS] = "ipc-loss",
	[MUTANT_TCP_LOSS] = "tcp-loss",
	[MUTANT_TWINS] = "twins",
	[MUTANT_LINK_DEL] = "link-del",
};

/* ---- trace ---- */

static void hash_text(struct sim *s, const char *text)
{
	for (; *text; text++)
		s->hash = (s->hash ^ (uint8_t)*text) * 0x100000001b3ull;
}

static void trace_text(struct sim *s, const char *text)
{
	s->hash = (s->hash ^ (uint64_t)s->now) * 0x100000001b3ull;
	hash_text(s, text);
	if (s->verbose)
		printf("%4" PRId64 ".%06" PRId64 " %s\n", s->now / SEC, s->now % SEC, text);
}

void sim_trace(struct sim *s, const char *fmt, ...)
{
	char text[2048];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	trace_text(s, text);
}

void sim_fail(struct sim *s, const char *fmt, ...)
{
	char text[SIM_TEXT_MAX];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	sim_trace(s, "FAILED: %s", text);
	if (s->failed)
		return;
	s->failed = true;
	snprintf(s->failure, sizeof(s->failure), "at %.3f s: %.470s", (double)s->now / 1e6, text);
}

/* What the cores log is a part of the trace, and silent without -v. The symbols stand before those of
 * base/log. */
void log_at(enum log_level level, const char *fmt, ...)
{
	char text[1024];
	va_list ap;

	if (!sim_now)
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	sim_trace(sim_now, "log: %s", text);
}

void log_err(const struct err *e, const char *fmt, ...)
{
	char text[1024];
	va_list ap;

	if (!sim_now)
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	sim_trace(sim_now, "log: %s: %s", text, e->msg);
}

/* The only functions of loop/ that are linked in, by store/store.c for the command line. The cores know no
 * loop. */
usec_t loop_now(const struct loop *l)
{
	CHECK(!"the simulator has no loop");
}

bool loop_turn(struct loop *l, usec_t deadline)
{
	CHECK(!"the simulator has no loop");
}

struct timers *loop_timers(struct loop *l)
{
	CHECK(!"the simulator has no loop");
}

/* ---- chance ---- */

uint64_t sim_below(struct sim *s, uint64_t n)
{
	return n ? prng_below(&s->prng, n) : 0;
}

bool sim_chance(struct sim *s, unsigned percent)
{
	return sim_below(s, 100) < percent;
}

usec_t sim_between(struct sim *s, usec_t min, usec_t max)
{
	return min + (usec_t)sim_below(s, (uint64_t)(max - min) + 1);
}

void sim_after(struct sim *s, struct timer *t, usec_t delay)
{
	timer_start(&s->events, t, s->now + MAX(delay, 1));
}

/* ---- one step ---- */

static void earliest(struct timers *h, struct timers **best, usec_t *at)
{
	usec_t next = timers_next(h);

	if (next >= *at)
		return;
	*at = next;
	*best = h;
}

/* Everything that is due first, in one of the heaps; false at `until`. */
static bool step(struct sim *s, usec_t until)
{
	struct timers *due = NULL;
	usec_t at = until;

	earliest(&s->events, &due, &at);
	for (size_t i = 0; i < SIM_NODES; i++) {
		if (s->node[i].agent)
			earliest(&s->node[i].agent_timers, &due, &at);
		if (s->node[i].speaker)
			earliest(&s->node[i].speaker_timers, &due, &at);
	}
	if (!due) {
		s->now = until;
		return false;
	}
	s->now = MAX(s->now, at);
	timers_run(due, s->now);
	for (size_t i = 0; i < SIM_NODES; i++)
		if (s->node[i].dying)
			node_reap(&s->node[i]);
	if (s->check_due) {
		s->check_due = false;
		check_step(s);
	}
	if (++s->steps > STEPS_MAX)
		sim_fail(s, "no end in sight after %d steps", STEPS_MAX);
	return true;
}

static void run_for(struct sim *s, usec_t span)
{
	usec_t until = s->now + span;

	while (!s->failed && step(s, until))
		;
}

typedef bool goal_fn(struct sim *s, char why[static SIM_TEXT_MAX]);

static void run_until(struct sim *s, goal_fn *goal, const char *what, usec_t max)
{
	usec_t until = s->now + max;
	char why[SIM_TEXT_MAX] = "";

	while (!s->failed && !goal(s, why)) {
		if (s->now >= until) {
			sim_fail(s, "%s not within %d s: %s", what, (int)(max / SEC), why);
			return;
		}
		run_for(s, SEC);
	}
	sim_trace(s, "%s", what);
}

static void must_still(struct sim *s, goal_fn *goal, const char *what)
{
	char why[SIM_TEXT_MAX] = "";

	if (!s->failed && !goal(s, why))
		sim_fail(s, "was %s, and no longer is: %s", what, why);
}

/* ---- the run ---- */

static void begin(struct sim *s, uint64_t seed, enum mutant mutant, bool verbose)
{
	memset(s, 0, sizeof(*s));
	s->seed = seed;
	s->mutant = mutant;
	s->verbose = verbose;
	s->prng.state = seed * 0x9e3779b97f4a7c15ull + 0x1234567;
	s->wall = WALL_START;
	s->hash = 0xcbf29ce484222325ull;
	timers_init(&s->events);
	list_init(&s->tcps);
	sim_now = s;
	faults_plan(s);
	nodes_start(s);
	kernel_start(s);
	datastore_start(s);
	runtime_start(s);
	faults_start(s);
}

static void end(struct sim *s)
{
	s->ended = true;
	faults_done(s);
	nodes_stop(s);
	tcp_free_all(s);
	runtime_stop(s);
	datastore_stop(s);
	kernel_stop(s);
	timers_done(&s->events);
	sim_now = NULL;
}

bool sim_run(struct sim *s, uint64_t seed, enum mutant mutant, bool verbose)
{
	begin(s, seed, mutant, verbose);
	run_for(s, s->plan.trouble);
	faults_stop(s);
	s->calm = true;
	run_until(s, check_converged, "converged", CALM_MAX);
	run_for(s, STAY_TIME);
	must_still(s, check_converged, "converged");
	if (!s->failed)
		runtime_inquire(s);
	runtime_delete_all(s);
	run_until(s, check_empty, "empty", EMPTY_MAX);
	end(s);
	return !s->failed;
}
