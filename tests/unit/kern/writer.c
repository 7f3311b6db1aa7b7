/* Batches beside the loop: all carried out, in order, with their results; whatever the pace at which they are
 * fetched. */
#include "place.h"

#include "kern/route.h"
#include "kern/writer.h"
#include "loop/loop.h"

#define BATCHES 40
#define A_BATCH 100

struct fetched {
	struct writer *w;
	size_t woken, batches, results, wrong, failed;
};

static struct route numbered(uint32_t i)
{
	struct addr dst = addr_v4(0x0b000000 + i);

	return (struct route){ .dst = prefix_host(&dst),
			       .type = RTN_BLACKHOLE,
			       .protocol = ROUTE_PROTO_BIRD };
}

/* Every seventh exists already. */
static bool is_taken(uint64_t i)
{
	return i % 7 == 0;
}

static void on_result(void *arg, uint64_t tag, int code, const char *text)
{
	struct fetched *f = arg;

	f->wrong += tag != f->results || code != (is_taken(tag) ? EEXIST : 0);
	f->results++;
}

static void fetch(struct fetched *f, bool wait)
{
	struct nl *nl;
	size_t slot;

	while ((nl = writer_land(f->w, wait, &slot))) {
		f->wrong += slot != f->batches++ % WRITER_BATCHES;
		f->failed += nl_batch_end(nl, on_result, f, NULL) < 0;
	}
}

static void on_ready(void *arg)
{
	struct fetched *f = arg;

	f->woken++;
	fetch(f, false);
}

static bool give(struct writer *w, uint32_t first)
{
	size_t slot;
	struct nl *nl = writer_begin(w, &slot);

	if (!nl)
		return false;
	for (uint32_t i = first; i < first + A_BATCH; i++) {
		struct route r = numbered(i);
		nl_tag(nl, i);
		OK(route_add(nl, &r, &e));
	}
	writer_go(w);
	return true;
}

static void count(void *arg, const struct route *r)
{
	++*(uint32_t *)arg;
}

static void everything_comes_back_in_order(void **state)
{
	struct place *p = *state;
	struct fetched f = { 0 };
	uint32_t n = 0;

	NEED_ROOT();
	own(loop) struct loop *l = loop_new(NULL);
	f.w = writer_new(l, on_ready, &f, NULL);
	assert_non_null(f.w);
	for (size_t i = 0; i < WRITER_BATCHES; i++)
		assert_true(writer_port(f.w, i) != 0 && writer_port(f.w, i) != nl_port(p->nl));
	for (uint32_t i = 0; i < BATCHES * A_BATCH; i += 7) {
		struct route r = numbered(i);
		OK(route_replace(p->nl, &r, &e));
	}
	for (uint32_t given = 0; given < BATCHES; given++) {
		while (!give(f.w, given * A_BATCH)) {
			/* By turns as the loop says, and by waiting. */
			if (given % 2)
				loop_turn(l, loop_now(l) + 20 * MSEC);
			else
				fetch(&f, true);
		}
	}
	fetch(&f, true);
	assert_int_equal(f.batches, BATCHES);
	assert_int_equal(f.results, BATCHES * A_BATCH);
	assert_int_equal(f.wrong, 0);
	assert_int_equal(f.failed, 0);
	OK(route_dump(p->nl, AF_INET, RT_TABLE_MAIN, ROUTE_PROTO_BIRD, count, &n, &e));
	assert_int_equal(n, BATCHES * A_BATCH);
	/* What is under way when it ends is carried out. */
	for (uint32_t i = 0; i < WRITER_BATCHES; i++)
		assert_true(give(f.w, 1000000 + i * A_BATCH));
	size_t slot;
	assert_null(writer_begin(f.w, &slot));
	writer_free(f.w);
	n = 0;
	OK(route_dump(p->nl, AF_INET, RT_TABLE_MAIN, ROUTE_PROTO_BIRD, count, &n, &e));
	assert_int_equal(n, (BATCHES + WRITER_BATCHES) * A_BATCH);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(everything_comes_back_in_order) };

	return cmocka_run_group_tests(tests, place_enter, place_leave);
}
