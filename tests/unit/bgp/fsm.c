/* The state machine: properties over every cell, the cells that the standard names, and the timing. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/check.h"
#include "bgp/fsm.h"

static bool has_tcp(enum fsm_state s)
{
	return s >= FSM_OPENSENT;
}

static void check_cell(enum fsm_state s, enum fsm_event ev, const struct fsm_step *st)
{
	unsigned a = st->actions;

	assert_true(st->next < FSM_STATES);
	assert_int_equal(a & ~(unsigned)FSM_DO_ALL, 0);
	/* Up and down come in pairs, exactly where Established begins and ends. */
	assert_int_equal(!!(a & FSM_DO_UP), s != FSM_ESTABLISHED && st->next == FSM_ESTABLISHED);
	assert_int_equal(!!(a & FSM_DO_DOWN), s == FSM_ESTABLISHED && st->next != FSM_ESTABLISHED);
	/* TCP that was there is closed when the next state has none, and only then. */
	if (has_tcp(s))
		assert_int_equal(!!(a & FSM_DO_CLOSE), !has_tcp(st->next));
	if (a & FSM_DO_CLOSE)
		assert_true(st->next <= FSM_ACTIVE);
	/* Nothing is said where nobody hears it. */
	if (a & FSM_DO_NOTIFY)
		assert_true(has_tcp(s) && a & FSM_DO_CLOSE && st->next == FSM_IDLE);
	assert_int_equal(!!(a & FSM_DO_SEND_OPEN), !has_tcp(s) && has_tcp(st->next));
	assert_int_equal(!!(a & FSM_DO_DIAL), s != FSM_CONNECT && st->next == FSM_CONNECT);
	if (a & (FSM_DO_UPDATE | FSM_DO_REFRESH))
		assert_true(s == FSM_ESTABLISHED && st->next == FSM_ESTABLISHED);
	/* Who waits to dial again is in Active; who holds idle is in Idle. */
	if (a & FSM_DO_RETRY)
		assert_int_equal(st->next, FSM_ACTIVE);
	if (a & FSM_DO_IDLE_HOLD)
		assert_int_equal(st->next, FSM_IDLE);
	/* States only go forward one step at a time, or back. */
	assert_true(st->next <= s + 2);
	if (st->unexpected && has_tcp(s)) {
		assert_true(a & FSM_DO_NOTIFY && st->next == FSM_IDLE);
		assert_int_equal(fsm_error_subcode(s), s - FSM_OPENSENT + 1);
	}
	if (ev == FSM_STOP)
		assert_true(st->next == FSM_IDLE && !st->unexpected && !(a & FSM_DO_IDLE_HOLD));
	if (ev == FSM_TCP_DOWN)
		assert_false(st->unexpected || has_tcp(st->next) || a & FSM_DO_NOTIFY);
}

static void every_cell(void **state)
{
	for (enum fsm_state s = 0; s < FSM_STATES; s++) {
		for (enum fsm_event ev = 0; ev < FSM_EVENTS; ev++) {
			struct fsm_step st = fsm_step(s, ev);
			check_cell(s, ev, &st);
			assert_true(fsm_state_name(s)[0] != '?' && fsm_event_name(ev)[0] != '?');
		}
	}
	assert_string_equal(fsm_state_name(FSM_STATES), "?");
	assert_string_equal(fsm_event_name(FSM_EVENTS), "?");
	assert_int_equal(fsm_error_subcode(FSM_IDLE), 0);
}

/* Each message in each state with TCP: taken, or FSM error with the right subcode. */
static void messages(void **state)
{
	static const bool expected[][3] = {
		/* OpenSent, OpenConfirm, Established */
		[FSM_RX_OPEN] = { true, false, false },	      [FSM_RX_KEEPALIVE] = { false, true, true },
		[FSM_RX_UPDATE] = { false, false, true },     [FSM_RX_REFRESH] = { false, false, true },
		[FSM_RX_NOTIFICATION] = { true, true, true }, [FSM_RX_BAD] = { true, true, true },
	};

	for (enum fsm_event ev = FSM_RX_OPEN; ev <= FSM_RX_BAD; ev++)
		for (enum fsm_state s = FSM_OPENSENT; s <= FSM_ESTABLISHED; s++)
			assert_int_equal(fsm_step(s, ev).unexpected, !expected[ev][s - FSM_OPENSENT]);
}

static void the_way_up(void **state)
{
	static const struct {
		enum fsm_event ev;
		enum fsm_state next;
	} way[] = {
		{ FSM_START, FSM_CONNECT },	    { FSM_TCP_DOWN, FSM_ACTIVE },
		{ FSM_RETRY_TIMER, FSM_CONNECT },   { FSM_TCP_UP, FSM_OPENSENT },
		{ FSM_RX_OPEN, FSM_OPENCONFIRM },   { FSM_RX_KEEPALIVE, FSM_ESTABLISHED },
		{ FSM_RX_UPDATE, FSM_ESTABLISHED }, { FSM_RX_NOTIFICATION, FSM_IDLE },
		{ FSM_START_PASSIVE, FSM_ACTIVE },  { FSM_TCP_UP, FSM_OPENSENT },
	};
	enum fsm_state s = FSM_IDLE;

	for (size_t i = 0; i < ARRAY_SIZE(way); i++) {
		s = fsm_step(s, way[i].ev).next;
		assert_int_equal(s, way[i].next);
	}
}

static void collision(void **state)
{
	struct prng p = { 7 };

	assert_true(fsm_keeps_dialled(2, 1, 1, 1));
	assert_false(fsm_keeps_dialled(1, 9, 2, 1));
	assert_true(fsm_keeps_dialled(5, 65002, 5, 65001)); /* RFC 6286 */
	/* Both sides keep the same connection: what one dialled is what the other accepted. */
	for (int i = 0; i < 1000; i++) {
		uint32_t a = (uint32_t)prng_below(&p, 4), b = (uint32_t)prng_below(&p, 4);
		uint32_t x = 1 + (uint32_t)prng_below(&p, 3), y = 1 + (uint32_t)prng_below(&p, 3);
		if (a != b || x != y)
			assert_int_equal(fsm_keeps_dialled(a, x, b, y), !fsm_keeps_dialled(b, y, a, x));
	}
}

static void timing(void **state)
{
	struct prng p = { 1 };

	for (int i = 0; i < 2000; i++) {
		usec_t first = fsm_retry_wait(1, &p);
		assert_true(first >= FSM_RETRY_MIN && first <= 2 * FSM_RETRY_MIN);
		assert_true(fsm_retry_wait((unsigned)i, &p) <= FSM_RETRY_MAX);
		assert_true(fsm_retry_wait(1000, &p) >= FSM_RETRY_MAX / 2);
		assert_true(fsm_idle_hold((unsigned)i, &p) <= FSM_IDLE_HOLD_MAX);
		assert_true(fsm_idle_hold(UINT32_MAX, &p) >= FSM_IDLE_HOLD_MAX / 2);
		usec_t k = fsm_keepalive_wait(90, 0, &p);
		assert_true(k >= 22500 * MSEC && k <= 30 * SEC);
		assert_true(fsm_keepalive_wait(3, 0, &p) <= SEC);
		assert_true(fsm_keepalive_wait(90, 7, &p) <= 7 * SEC);
		assert_true(fsm_keepalive_wait(9, 600, &p) < 9 * SEC);
	}
	assert_int_equal(fsm_keepalive_wait(0, 30, &p), 0);
	assert_int_equal(fsm_hold_time(90, 240), 90);
	assert_int_equal(fsm_hold_time(90, 0), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_cell), cmocka_unit_test(messages), cmocka_unit_test(the_way_up),
		cmocka_unit_test(collision),  cmocka_unit_test(timing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
