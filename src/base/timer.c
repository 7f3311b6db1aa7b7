/* A binary heap of embedded timers; each knows its place, so stopping one is O(log n). */
#include "base/timer.h"

#include "base/check.h"

static bool before(const struct timer *a, const struct timer *b)
{
	return a->at != b->at ? a->at < b->at : a->order < b->order;
}

static void put(struct timers *h, size_t i, struct timer *t)
{
	h->v[i] = t;
	t->index = i;
}

static void sift_up(struct timers *h, size_t i)
{
	struct timer *t = h->v[i];

	for (; i && before(t, h->v[(i - 1) / 2]); i = (i - 1) / 2)
		put(h, i, h->v[(i - 1) / 2]);
	put(h, i, t);
}

static void sift_down(struct timers *h, size_t i)
{
	struct timer *t = h->v[i];

	for (;;) {
		size_t kid = 2 * i + 1;
		if (kid >= h->n)
			break;
		if (kid + 1 < h->n && before(h->v[kid + 1], h->v[kid]))
			kid++;
		if (!before(h->v[kid], t))
			break;
		put(h, i, h->v[kid]);
		i = kid;
	}
	put(h, i, t);
}

void timers_init(struct timers *h)
{
	*h = (struct timers){ 0 };
}

void timers_done(struct timers *h)
{
	while (h->n)
		timer_stop(h->v[0]);
	free(h->v);
	*h = (struct timers){ 0 };
}

usec_t timers_next(const struct timers *h)
{
	return h->n ? h->v[0]->at : USEC_NEVER;
}

void timers_run(struct timers *h, usec_t now)
{
	while (h->n && h->v[0]->at <= now) {
		struct timer *t = h->v[0];
		timer_stop(t);
		t->fire(t, now);
	}
}

void timer_init(struct timer *t, timer_fn *fire)
{
	*t = (struct timer){ .fire = fire };
}

void timer_start(struct timers *h, struct timer *t, usec_t at)
{
	timer_stop(t);
	if (h->n == h->cap) {
		h->cap = h->cap ? h->cap * 2 : 16;
		h->v = xrealloc(h->v, h->cap * sizeof(struct timer *));
	}
	t->heap = h;
	t->at = at;
	t->order = h->order++;
	put(h, h->n, t);
	sift_up(h, h->n++);
}

void timer_stop(struct timer *t)
{
	struct timers *h = t->heap;

	if (!h)
		return;
	t->heap = NULL;
	struct timer *last = h->v[--h->n];
	if (last == t)
		return;
	put(h, t->index, last);
	sift_up(h, last->index);
	sift_down(h, last->index);
}
