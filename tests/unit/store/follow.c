/* Following over a backend that misbehaves on demand, in virtual time and without a loop. */
#include "util.h"

#include "base/timer.h"

#include <stdio.h>

#define POOLS (1u << KIND_IPPOOL)

struct fake {
	struct timers timers;
	usec_t now;
	struct store *s;
	struct store_follow *f;
	struct rec r;
	/* What the follower is waiting for. */
	store_list_fn *listed;
	enum kind kind;
	void *list_arg;
	store_event_fn *told;
	void *watch_arg;
	int64_t from;
	int lists, watches;
	bool closed;
};

static void fake_close(void *b)
{
	struct fake *k = b;

	k->closed = true;
}

static void fake_list(void *b, enum kind kind, const char *prefix, store_list_fn *fn, void *arg)
{
	struct fake *k = b;

	assert_null(k->listed); /* one after the other */
	assert_null(k->told);	/* and nothing is watched meanwhile */
	k->kind = kind;
	k->listed = fn;
	k->list_arg = arg;
	k->lists++;
}

static void *fake_watch(void *b, uint32_t kinds, int64_t from, store_event_fn *fn, void *arg)
{
	struct fake *k = b;

	assert_null(k->told);
	k->told = fn;
	k->watch_arg = arg;
	k->from = from;
	k->watches++;
	return k;
}

static void fake_unwatch(void *b, void *w)
{
	struct fake *k = b;

	assert_non_null(k->told);
	k->told = NULL;
}

static const struct store_ops fake_ops = {
	.name = "fake",
	.close = fake_close,
	.list = fake_list,
	.watch = fake_watch,
	.unwatch = fake_unwatch,
};

static int setup(void **state)
{
	struct fake *k = xcalloc(1, sizeof(*k));

	timers_init(&k->timers);
	k->now = SEC;
	k->s = store_over(NULL, &k->timers, &fake_ops, k, 7);
	k->f = store_follow(k->s, POOLS, on_seen, &k->r);
	assert_int_equal(k->lists, 0);
	timers_run(&k->timers, k->now);
	assert_int_equal(k->lists, 1);
	*state = k;
	return 0;
}

static int teardown(void **state)
{
	struct fake *k = *state;

	store_follow_free(k->f);
	store_free(k->s);
	assert_true(k->closed);
	assert_null(k->told);
	assert_int_equal(k->timers.n, 0);
	timers_done(&k->timers);
	rec_done(&k->r);
	free(k);
	return 0;
}

/* Moves the time to the next timer, and returns how long that took. */
static usec_t next_timer(struct fake *k)
{
	usec_t before = k->now;

	timers_run(&k->timers, k->now);
	if (k->listed)
		return 0;
	usec_t at = timers_next(&k->timers);
	assert_true(at != USEC_NEVER);
	k->now = MAX(k->now, at);
	timers_run(&k->timers, k->now);
	return k->now - before;
}

/* Answers the list with "name@revision" words. */
static void answer(struct fake *k, int64_t rev, const char *objects)
{
	store_list_fn *fn = k->listed;
	char name[32];
	long long at;
	int n;

	assert_non_null(fn);
	k->listed = NULL;
	for (; sscanf(objects, " %31[^@]@%lld%n", name, &at, &n) == 2; objects += n) {
		struct store_obj obj = { k->kind, name, at, "v" };
		fn(k->list_arg, 0, &obj, rev, NULL);
	}
	fn(k->list_arg, 0, NULL, rev, NULL);
}

static void answer_error(struct fake *k)
{
	store_list_fn *fn = k->listed;
	struct err e;

	k->listed = NULL;
	err_set(&e, EIO, "no answer");
	fn(k->list_arg, -EIO, NULL, 0, &e);
}

static void event(struct fake *k, enum store_event ev, const char *name, int64_t rev)
{
	struct store_obj obj = { KIND_IPPOOL, name, rev, ev == STORE_PUT ? "v" : NULL };
	struct err e;

	assert_non_null(k->told);
	err_set(&e, EIO, "connection lost");
	k->told(k->watch_arg, ev, name ? &obj : NULL, ev == STORE_LOST ? &e : NULL);
}

/* Everything that was told since the last question, as one line. */
static void expect(struct fake *k, const char *want)
{
	char line[512] = "";
	size_t n = 0;

	for (size_t i = 0; i < k->r.n; i++) {
		const struct seen *s = &k->r.v[i];
		const char *word[] = { "RESYNC", "+", "-", "SYNCED", "LOST" };
		n += (size_t)snprintf(line + n, sizeof(line) - n, "%s%s%s", n ? " " : "", word[s->ev],
				      s->name ? s->name : "");
	}
	assert_string_equal(line, want);
	rec_done(&k->r);
}

static void synced(struct fake *k)
{
	answer(k, 10, "a@5 b@7");
	expect(k, "RESYNC +a +b SYNCED");
	assert_int_equal(k->from, 10);
}

static void compare_periodically(void **state)
{
	struct fake *k = *state;

	synced(k);
	usec_t last = 0;
	bool varies = false;
	for (int i = 0; i < 20; i++) {
		usec_t t = next_timer(k);
		assert_in_range(t, STORE_COMPARE_PERIOD * 9 / 10, STORE_COMPARE_PERIOD * 11 / 10);
		varies = varies || (last && t != last);
		last = t;
		answer(k, 10, "a@5 b@7");
		expect(k, "RESYNC +a +b SYNCED");
	}
	assert_true(varies);
	assert_int_equal(store_follow_drift(k->f), 0);
}

static void unseen_changes(void **state)
{
	struct fake *k = *state;

	synced(k);
	event(k, STORE_PUT, "c", 12);
	expect(k, "+c");
	next_timer(k);
	/* The watch has never told of b@11 and d@9. */
	answer(k, 13, "b@11 c@12 d@9");
	expect(k, "RESYNC +b +c +d -a SYNCED");
	assert_int_equal(store_follow_drift(k->f), 2);
	assert_int_equal(k->from, 13);
}

static void duplicates(void **state)
{
	struct fake *k = *state;

	synced(k);
	event(k, STORE_PUT, "a", 5); /* from before the list */
	event(k, STORE_DEL, "b", 9);
	event(k, STORE_PUT, "z", 10);
	expect(k, "");
	event(k, STORE_PUT, "a", 11);
	event(k, STORE_PUT, "a", 11);
	expect(k, "+a");
	event(k, STORE_DEL, "a", 12);
	event(k, STORE_DEL, "a", 12);
	expect(k, "-a");
	event(k, STORE_DEL, "unknown", 13);
	expect(k, "");
	/* Several objects may change with one revision. */
	event(k, STORE_PUT, "x", 14);
	event(k, STORE_PUT, "y", 14);
	expect(k, "+x +y");
}

/* An event from before a deletion must not bring the object back; a list decides. */
static void events_from_the_past(void **state)
{
	struct fake *k = *state;

	synced(k);
	event(k, STORE_PUT, "a", 11);
	event(k, STORE_DEL, "a", 13);
	expect(k, "+a -a");
	event(k, STORE_PUT, "a", 12);
	event(k, STORE_PUT, "a", 12);
	expect(k, "");
	assert_in_range(next_timer(k), 1, SEC);
	answer(k, 13, "b@7");
	expect(k, "RESYNC +b SYNCED");
}

/* Of one object, the newer state wins, whatever came in between. */
static void events_out_of_order(void **state)
{
	struct fake *k = *state;

	synced(k);
	event(k, STORE_PUT, "a", 14);
	event(k, STORE_PUT, "b", 12);
	event(k, STORE_PUT, "a", 13);
	expect(k, "+a +b");
}

static void gap(void **state)
{
	struct fake *k = *state;

	synced(k);
	event(k, STORE_RESYNC, NULL, 0);
	assert_null(k->told);
	assert_int_equal(next_timer(k), 0); /* at once */
	answer(k, 20, "b@7 c@18");
	expect(k, "RESYNC +b +c -a SYNCED");
	usec_t last = 0;
	for (int i = 0; i < 12; i++) {
		event(k, STORE_RESYNC, NULL, 0);
		last = next_timer(k); /* but not for ever at once */
		while (!k->listed)
			last += next_timer(k);
		answer(k, 20, "b@7 c@18");
		assert_non_null(k->told);
	}
	assert_in_range(last, 15 * SEC, 30 * SEC);
}

static void outage(void **state)
{
	struct fake *k = *state;

	synced(k);
	event(k, STORE_LOST, NULL, 0);
	expect(k, "LOST");
	usec_t longest = 0;
	for (int i = 0; i < 15; i++) {
		usec_t t = next_timer(k);
		while (!k->listed)
			t += next_timer(k);
		assert_true(t >= 125 * MSEC);
		longest = MAX(longest, t);
		answer_error(k);
		expect(k, ""); /* told once */
	}
	assert_in_range(longest, 15 * SEC, 30 * SEC);
	while (!k->listed)
		next_timer(k);
	answer(k, 30, "a@5");
	expect(k, "RESYNC +a -b SYNCED");
	event(k, STORE_PUT, "c", 31);
	expect(k, "+c");
	event(k, STORE_LOST, NULL, 0);
	expect(k, "LOST");
	usec_t t = 0;
	while (!k->listed)
		t += next_timer(k);
	assert_in_range(t, 125 * MSEC, 250 * MSEC); /* a new outage starts small */
	answer(k, 31, "a@5 c@31");
}

static void outage_at_start(void **state)
{
	struct fake *k = *state;

	answer_error(k);
	expect(k, "LOST");
	while (!k->listed)
		next_timer(k);
	synced(k);
}

/* The list fails after it has begun: the round begins anew. */
static void outage_in_list(void **state)
{
	struct fake *k = *state;
	struct store_obj obj = { KIND_IPPOOL, "a", 5, "v" };

	k->listed(k->list_arg, 0, &obj, 10, NULL);
	expect(k, "RESYNC +a");
	answer_error(k);
	expect(k, "LOST");
	while (!k->listed)
		next_timer(k);
	answer(k, 12, "b@11");
	expect(k, "RESYNC +b -a SYNCED");
}

/* A list from a lagging replica is not told. */
static void stale_list(void **state)
{
	struct fake *k = *state;

	synced(k);
	event(k, STORE_PUT, "c", 15);
	expect(k, "+c");
	next_timer(k);
	answer(k, 14, "a@5 b@7");
	expect(k, "");
	while (!k->listed)
		next_timer(k);
	answer(k, 15, "a@5 b@7 c@15");
	expect(k, "RESYNC +a +b +c SYNCED");
}

/* When it stays behind, the store was restored from an older copy: that is said, and then believed. */
static void restored(void **state)
{
	struct fake *k = *state;

	synced(k);
	event(k, STORE_PUT, "c", 15);
	expect(k, "+c");
	for (int i = 0; i < 5; i++) {
		expect(k, "");
		while (!k->listed)
			next_timer(k);
		answer(k, 8, "a@4 b@7");
	}
	assert_true(strstr(k->r.e.msg, "went back from revision 15 to 8"));
	expect(k, "LOST");
	while (!k->listed)
		next_timer(k);
	answer(k, 8, "a@4 b@7");
	expect(k, "RESYNC +a +b -c SYNCED");
	event(k, STORE_PUT, "a", 9);
	expect(k, "+a");
}

/* Lists of kinds are of different revisions; the watch starts at the oldest, and what a list has shown
 * already is not told. */
static void several_kinds(void **state)
{
	struct fake *k = *state;

	answer(k, 1, "");
	store_follow_free(k->f);
	rec_done(&k->r);
	k->f = store_follow(k->s, POOLS | 1u << KIND_NODE, on_seen, &k->r);
	timers_run(&k->timers, k->now);
	assert_int_equal(k->kind, KIND_IPPOOL);
	answer(k, 10, "p@5");
	assert_int_equal(k->kind, KIND_NODE);
	answer(k, 20, "n@15");
	expect(k, "RESYNC +p +n SYNCED");
	assert_int_equal(k->from, 10);
	struct store_obj node = { KIND_NODE, "brief", 12, "v" };
	k->told(k->watch_arg, STORE_PUT, &node, NULL);
	node.value = NULL;
	node.rev = 14;
	k->told(k->watch_arg, STORE_DEL, &node, NULL);
	expect(k, "");
	event(k, STORE_PUT, "q", 13);
	expect(k, "+q");
}

/* Freed while a list is under way: its answer finds nobody. */
static void freed_in_list(void **state)
{
	struct fake *k = *state;

	store_follow_free(k->f);
	k->f = NULL;
	answer(k, 10, "a@5");
	expect(k, "");
}

/* The backend makes no calls after close; the list's memory goes with the store. */
static void store_freed_in_list(void **state)
{
	struct fake *k = *state;

	store_free(k->s);
	k->s = NULL;
	assert_int_equal(k->timers.n, 0);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(compare_periodically),
		CASE(unseen_changes),
		CASE(duplicates),
		CASE(events_from_the_past),
		CASE(events_out_of_order),
		CASE(gap),
		CASE(outage),
		CASE(outage_at_start),
		CASE(outage_in_list),
		CASE(stale_list),
		CASE(restored),
		CASE(several_kinds),
		CASE(freed_in_list),
		CASE(store_freed_in_list),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
