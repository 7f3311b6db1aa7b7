/* Timers fire in order and can be stopped at any time; times print as Calico stores them; deltas say what to
 * do. */
#include "base/clock.h"
#include "base/delta.h"
#include "base/prng.h"
#include "base/timer.h"

#include "base/check.h"

#include <errno.h>
#include <stdarg.h>
#include <setjmp.h>
#include <cmocka.h>

struct probe {
	struct timer t;
	usec_t fired;
	int times;
};

static void note(struct timer *t, usec_t now)
{
	struct probe *p = container_of(t, struct probe, t);

	p->fired = now;
	p->times++;
}

/* A heap against a plain array, with random starts, stops and turns. */
static void timers_match_a_plain_list(void **state)
{
	struct prng r = { 3 };
	struct timers h;
	struct probe v[50] = { 0 };
	usec_t want[50], now = 0;

	timers_init(&h);
	for (size_t i = 0; i < ARRAY_SIZE(v); i++) {
		timer_init(&v[i].t, note);
		want[i] = USEC_NEVER;
	}
	for (int step = 0; step < 20000; step++) {
		size_t i = prng_below(&r, ARRAY_SIZE(v));
		switch (prng_below(&r, 3)) {
		case 0:
			want[i] = now + (usec_t)prng_below(&r, 100);
			timer_start(&h, &v[i].t, want[i]);
			break;
		case 1:
			want[i] = USEC_NEVER;
			timer_stop(&v[i].t);
			break;
		default:
			now += (usec_t)prng_below(&r, 20);
			timers_run(&h, now);
			for (size_t k = 0; k < ARRAY_SIZE(v); k++) {
				assert_int_equal(v[k].times, want[k] <= now);
				assert_int_equal(timer_armed(&v[k].t),
						 want[k] > now && want[k] != USEC_NEVER);
				want[k] = want[k] <= now ? USEC_NEVER : want[k];
				v[k].times = 0;
			}
		}
		usec_t first = USEC_NEVER;
		for (size_t k = 0; k < ARRAY_SIZE(v); k++)
			first = MIN(first, want[k]);
		assert_int_equal(timers_next(&h), first);
	}
	timers_done(&h);
}

static void equal_times_fire_in_order_of_arming(void **state)
{
	struct timers h;
	struct probe v[3] = { 0 };

	timers_init(&h);
	for (size_t i = 0; i < 3; i++)
		timer_init(&v[i].t, note);
	timer_start(&h, &v[2].t, 5);
	timer_start(&h, &v[0].t, 5);
	timer_start(&h, &v[1].t, 5);
	assert_ptr_equal(h.v[0], &v[2].t);
	timer_stop(&v[2].t);
	assert_ptr_equal(h.v[0], &v[0].t);
	timers_done(&h);
}

static void times_print_as_calico_stores_them(void **state)
{
	char buf[CLOCK_GO_MAX];
	nsec_t t;

	assert_int_equal(clock_parse_rfc3339("2026-08-22T10:00:00Z", &t), 0);
	assert_string_equal(clock_format_rfc3339(t, buf), "2026-08-22T10:00:00Z");
	assert_string_equal(clock_format_go(t + 123456789, buf), "2026-08-22 10:00:00.123456789 +0000 UTC");
	assert_string_equal(clock_format_go(t + 120000000, buf), "2026-08-22 10:00:00.12 +0000 UTC");
	assert_string_equal(clock_format_go(t, buf), "2026-08-22 10:00:00 +0000 UTC");
	nsec_t u;
	assert_int_equal(clock_parse_rfc3339("2026-08-22T12:00:00.5+02:00", &u), 0);
	assert_int_equal(u - t, 500000000);
	assert_int_equal(clock_parse_rfc3339("2026-08-22 10:00:00", &u), -EINVAL);
	assert_int_equal(clock_parse_rfc3339("null", &u), -EINVAL);
}

static void deltas_say_what_to_do(void **state)
{
	struct delta d = { 0 };

	assert_int_equal(delta_op(&d), DELTA_FORGET);
	delta_want(&d, 1, false);
	assert_int_equal(delta_op(&d), DELTA_ADD);
	delta_applied(&d);
	assert_int_equal(delta_op(&d), DELTA_KEEP);
	delta_want(&d, 2, true);
	assert_int_equal(delta_op(&d), DELTA_CHANGE);
	/* Wanting it again does not forget that it still differs. */
	delta_want(&d, 3, false);
	assert_int_equal(delta_op(&d), DELTA_CHANGE);
	delta_applied(&d);
	assert_false(delta_sweep(&d, 3));
	assert_true(delta_sweep(&d, 4));
	assert_int_equal(delta_op(&d), DELTA_DEL);
	delta_applied(&d);
	assert_int_equal(delta_op(&d), DELTA_FORGET);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(timers_match_a_plain_list),
		cmocka_unit_test(equal_times_fire_in_order_of_arming),
		cmocka_unit_test(times_print_as_calico_stores_them),
		cmocka_unit_test(deltas_say_what_to_do),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
