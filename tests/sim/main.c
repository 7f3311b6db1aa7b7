/*
 * korat-sim: runs seeds, replays one, proves that the harness notices broken worlds.
 *
 *	korat-sim --seeds N [--from S]	N seeds; each is also checked to replay exactly once in a while
 *	korat-sim --seed S [-v]		one seed, with its trace
 *	korat-sim --mutants		every mutant must be caught
 *	... --mutant NAME		in a world that is broken so
 */
#include "sim.h"

#include <getopt.h>
#include <inttypes.h>

#define REPLAY_EVERY 25
#define MUTANT_SEEDS 300

struct options {
	uint64_t from, seeds;
	bool one, verbose, mutants;
	enum mutant mutant;
};

struct sums {
	uint64_t steps, pods, kills, conflicts;
	usec_t time;
};

static void print_failure(const struct sim *s)
{
	printf("FAILED: korat-sim --seed %" PRIu64 "%s%s   # %s\n", s->seed, s->mutant ? " --mutant " : "",
	       s->mutant ? mutant_names[s->mutant] : "", s->failure);
}

static bool run_one(uint64_t seed, enum mutant m, bool verbose, struct sums *sums, char *failure)
{
	struct sim *s = xmalloc(sizeof(*s));
	bool ok = sim_run(s, seed, m, verbose);
	uint64_t hash = s->hash;

	sums->steps += s->steps;
	sums->time += s->now;
	sums->pods += s->pods_served;
	sums->kills += s->kills;
	sums->conflicts += s->conflicts;
	if (!ok && failure)
		snprintf(failure, SIM_TEXT_MAX, "%s", s->failure);
	else if (!ok)
		print_failure(s);
	if (ok && !verbose && seed % REPLAY_EVERY == 1) {
		sim_run(s, seed, m, false);
		if (s->hash != hash) {
			printf("FAILED: seed %" PRIu64 " does not replay\n", seed);
			ok = false;
		}
	}
	if (verbose)
		printf("seed %" PRIu64 ": %s, trace %016" PRIx64 "\n", seed, ok ? "well" : "failed", hash);
	free(s);
	return ok;
}

static int run_seeds(const struct options *o)
{
	struct sums sums = { 0 };
	uint64_t failed = 0;

	for (uint64_t i = 0; i < o->seeds; i++)
		failed += !run_one(o->from + i, o->mutant, o->verbose, &sums, NULL);
	printf("%" PRIu64 " seeds, %" PRIu64 " failed: %" PRIu64 " steps, %" PRIi64
	       " h of virtual time, %" PRIu64 " pods added, %" PRIu64 " processes killed, %" PRIu64
	       " writes lost a race\n",
	       o->seeds, failed, sums.steps, sums.time / SEC / 3600, sums.pods, sums.kills, sums.conflicts);
	return failed ? 1 : 0;
}

/* A world that is broken must be noticed, or the checks are worth nothing. */
static bool catch_one(enum mutant m)
{
	struct sums sums = { 0 };
	char failure[SIM_TEXT_MAX];

	for (uint64_t seed = 1; seed <= MUTANT_SEEDS; seed++)
		if (!run_one(seed, m, false, &sums, failure)) {
			printf("%-14s caught by seed %" PRIu64 ": %s\n", mutant_names[m], seed, failure);
			return true;
		}
	printf("%-14s SURVIVED %d seeds\n", mutant_names[m], MUTANT_SEEDS);
	return false;
}

static int run_mutants(void)
{
	int survived = 0;

	for (enum mutant m = 1; m < MUTANTS; m++)
		survived += !catch_one(m);
	return survived ? 1 : 0;
}

static enum mutant find_mutant(const char *name)
{
	for (enum mutant m = 0; m < MUTANTS; m++)
		if (!strcmp(mutant_names[m], name))
			return m;
	fprintf(stderr, "there is no mutant \"%s\"; there are:", name);
	for (enum mutant m = 1; m < MUTANTS; m++)
		fprintf(stderr, " %s", mutant_names[m]);
	fprintf(stderr, "\n");
	exit(2);
}

static void parse(int argc, char **argv, struct options *o)
{
	static const struct option longs[] = {
		{ "seeds", required_argument, NULL, 'n' }, { "from", required_argument, NULL, 'f' },
		{ "seed", required_argument, NULL, 's' },  { "mutant", required_argument, NULL, 'm' },
		{ "mutants", no_argument, NULL, 'M' },	   { NULL, 0, NULL, 0 },
	};
	int c;

	while ((c = getopt_long(argc, argv, "v", longs, NULL)) != -1)
		switch (c) {
		case 'n':
			o->seeds = strtoull(optarg, NULL, 10);
			break;
		case 's':
			o->one = true;
			/* fall through */
		case 'f':
			o->from = strtoull(optarg, NULL, 10);
			break;
		case 'm':
			o->mutant = find_mutant(optarg);
			break;
		case 'M':
			o->mutants = true;
			break;
		case 'v':
			o->verbose = true;
			break;
		default:
			exit(2);
		}
	if (o->one)
		o->seeds = 1;
}

int main(int argc, char **argv)
{
	struct options o = { .from = 1, .seeds = 100 };

	setvbuf(stdout, NULL, _IOLBF, 0);
	parse(argc, argv, &o);
	return o.mutants ? run_mutants() : run_seeds(&o);
}
