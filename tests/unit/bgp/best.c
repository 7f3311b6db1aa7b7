/* The decision process: each step by a pair of paths, MED's peculiarity, and that order never matters. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/check.h"
#include "base/prng.h"
#include "bgp/best.h"

static struct best_path plain(void)
{
	return (struct best_path){ .local_pref = 100,
				   .as_path_len = 2,
				   .med = 10,
				   .first_asn = 65001,
				   .router_id = 10,
				   .peer = addr_v4(0x0a00000a) };
}

/* Row: what of the second path is changed so that it wins, and what makes it lose. Steps are in order, so
 * each row also makes the later fields as bad as can be. */
static void each_step(void **state)
{
	for (enum best_step s = BEST_OWN; s < BEST_STEPS; s++) {
		struct best_path p[2] = { plain(), plain() };
		struct best_path *a = &p[0], *b = &p[1];
		/* b is worse in everything after step s, better in s. */
		if (s < BEST_FRESH)
			b->stale = true;
		if (s < BEST_LOCAL_PREF)
			b->local_pref = 1;
		if (s < BEST_AS_PATH)
			b->as_path_len = 9;
		if (s < BEST_ORIGIN)
			b->origin = 2;
		if (s < BEST_MED)
			b->med = 99;
		if (s < BEST_EBGP)
			a->ebgp = true;
		if (s < BEST_IGP_METRIC)
			b->igp_metric = 9;
		if (s < BEST_ROUTER_ID)
			b->router_id = 99;
		if (s < BEST_CLUSTER)
			b->cluster_len = 9;
		if (s < BEST_PATH_ID)
			b->peer = addr_v4(s < BEST_PEER ? 0x0a0000ff : 0x0a000001);
		b->path_id = s < BEST_PATH_ID ? 9 : 0;
		a->path_id = 1;
		switch (s) {
		case BEST_OWN:
			b->own = true;
			break;
		case BEST_REACHABLE:
			a->unreachable = true;
			break;
		case BEST_FRESH:
			a->stale = true;
			break;
		case BEST_LOCAL_PREF:
			b->local_pref = 101;
			break;
		case BEST_AS_PATH:
			b->as_path_len = 1;
			break;
		case BEST_ORIGIN:
			a->origin = 1;
			break;
		case BEST_MED:
			b->med = 9;
			break;
		case BEST_EBGP:
			b->ebgp = true;
			break;
		case BEST_IGP_METRIC:
			a->igp_metric = 1;
			break;
		case BEST_ROUTER_ID:
			b->router_id = 9;
			break;
		case BEST_CLUSTER:
			a->cluster_len = 1;
			break;
		case BEST_PEER:
		case BEST_PATH_ID:
		case BEST_WON:
		case BEST_STEPS:
			break;
		}
		assert_int_equal(best_choose(p, 2), 1);
		assert_int_equal(a->lost, s);
		assert_int_equal(b->lost, BEST_WON);
		assert_int_equal(best_is_equal(a), s >= BEST_ROUTER_ID);
		char why[BEST_WHY_MAX];
		assert_true(strncmp(best_why(p, 2, 1, why), "best: ", 6) == 0 && strlen(why) > 8);
		assert_non_null(strstr(best_why(p, 2, 0, why), "the other one wins"));
	}
}

static void reasons_in_words(void **state)
{
	struct best_path p[2] = { plain(), plain() };
	char why[BEST_WHY_MAX];

	p[1].local_pref = 200;
	best_choose(p, 2);
	assert_string_equal(best_why(p, 2, 1, why), "best: higher local preference, 200 over 100");
	assert_string_equal(best_why(p, 2, 0, why),
			    "not best, the other one wins: higher local preference, 200 over 100");
	p[1].local_pref = 100;
	p[1].router_id = 9;
	best_choose(p, 2);
	assert_string_equal(best_why(p, 2, 0, why),
			    "equally good, the other one wins: lower router id, 0.0.0.9 over 0.0.0.10");
	best_choose(p, 1);
	assert_string_equal(best_why(p, 1, 0, why), "the only path");
}

/* The classic: a beats b by router id, b beats c by MED, c beats a by eBGP; only the set has an answer. */
static void med_is_per_neighbour(void **state)
{
	struct best_path p[3] = { plain(), plain(), plain() };

	p[0].first_asn = 1;
	p[0].med = 500;
	p[0].router_id = 1;
	p[1].first_asn = 2;
	p[1].med = 1;
	p[1].router_id = 2;
	p[2].first_asn = 2;
	p[2].med = 2;
	p[2].ebgp = true;
	p[2].router_id = 3;
	assert_int_equal(best_choose(p, 3), 0);
	assert_int_equal(p[2].lost, BEST_MED);
	assert_int_equal(p[1].lost, BEST_ROUTER_ID);
	char why[BEST_WHY_MAX];
	assert_string_equal(best_why(p, 3, 2, why), "not best, the other one wins: lower MED, 1 over 2");
	p[1].first_asn = 3; /* now nobody has a MED to be compared with */
	assert_int_equal(best_choose(p, 3), 2);
	assert_int_equal(p[0].lost, BEST_EBGP);
}

static struct best_path some(struct prng *r, uint32_t i)
{
	return (struct best_path){
		.stale = !prng_below(r, 8),
		.ebgp = prng_below(r, 2),
		.origin = (uint8_t)prng_below(r, 2),
		.as_path_len = (uint16_t)prng_below(r, 2),
		.cluster_len = (uint16_t)prng_below(r, 2),
		.local_pref = (uint32_t)prng_below(r, 2),
		.med = (uint32_t)prng_below(r, 3),
		.first_asn = (uint32_t)prng_below(r, 3),
		.igp_metric = (uint32_t)prng_below(r, 2),
		.router_id = (uint32_t)prng_below(r, 3),
		.peer = addr_v4(i + 1),
	};
}

enum { MOST = 60 };

/* Few paths and many are compared in two ways; the outcome is the same whatever their order. */
static void order_never_matters(void **state)
{
	struct prng r = { 42 };

	for (int round = 0; round < 20000; round++) {
		size_t n = 1 + prng_below(&r, round % 10 ? 6 : MOST), won = 0;
		struct best_path p[MOST], q[MOST];
		for (size_t i = 0; i < n; i++)
			p[i] = some(&r, (uint32_t)i);
		memcpy(q, p, sizeof(q));
		for (size_t i = n - 1; i > 0; i--) {
			size_t j = prng_below(&r, i + 1);
			struct best_path t = q[i];
			q[i] = q[j];
			q[j] = t;
		}
		size_t a = best_choose(p, n), b = best_choose(q, n);
		assert_true(addr_eq(&p[a].peer, &q[b].peer));
		for (size_t i = 0; i < n; i++)
			won += p[i].lost == BEST_WON;
		assert_int_equal(won, 1);
	}
}

/* Paths that are worse than all others from the start change nothing, but make many of few. */
static void many_are_compared_like_few(void **state)
{
	struct prng r = { 43 };

	for (int round = 0; round < 5000; round++) {
		size_t n = 1 + prng_below(&r, 12);
		struct best_path few[MOST], many[MOST];
		for (size_t i = 0; i < n; i++) {
			few[i] = some(&r, (uint32_t)i);
			few[i].first_asn = (uint32_t)prng_below(&r, 5);
			many[i] = few[i];
		}
		for (size_t i = n; i < MOST; i++) {
			many[i] = some(&r, (uint32_t)i);
			many[i].unreachable = true;
		}
		assert_int_equal(best_choose(few, n), best_choose(many, MOST));
		for (size_t i = 0; i < n; i++)
			assert_int_equal(few[i].lost, many[i].lost);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_step),
		cmocka_unit_test(reasons_in_words),
		cmocka_unit_test(med_is_per_neighbour),
		cmocka_unit_test(order_never_matters),
		cmocka_unit_test(many_are_compared_like_few),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
