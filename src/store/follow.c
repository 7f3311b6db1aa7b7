/*
 * Following, made out of list and watch.
 *
 * A watch alone is never the truth. A follower therefore runs in rounds: stop the watch, list every kind,
 * tell all of it, tell what has vanished, watch on from where the lists stood. A round comes at the start,
 * after a gap, after an outage and once a minute. Since nothing is watched while lists are under way, nothing
 * has to be held back and an honest list is never older than what was told before; one that is older came
 * from a lagging replica and is asked for again.
 *
 * Whatever has to happen "later" is a timer, so that a simulator with a timer heap and no loop can drive all
 * of this.
 */
#include "store/inner.h"

#include "base/map.h"

#include <stdio.h>

#define RETRY_FIRST (250 * MSEC)
#define RETRY_MAX   (30 * SEC)
#define STALE_LISTS \
	5 /* this many lists in a row that are older than what we know: the store itself went back */

/* What a follower was told last about an object. */
struct known {
	UT_hash_handle hh;
	int64_t rev;
	uint64_t stamp; /* the round that last saw it */
	char *key;	/* one letter for the kind, then the name */
};

/* One list that is under way for a follower; it may outlive it. */
struct listing {
	struct list node;
	struct store_follow *f; /* NULL once the follower has gone */
	bool begun, stale;
	bool running; /* its callback is on the stack */
	bool orphan;  /* and frees it, as the store was freed meanwhile */
};

struct store_follow {
	struct list node;
	struct store *s; /* NULL once the store was freed */
	uint32_t kinds;
	store_event_fn *fn;
	void *arg;
	struct timer due; /* the next round */
	usec_t delay;	  /* what the timer still has to wait for once it knows the time */
	struct listing *listing;
	enum kind listed; /* the kind of the list that is under way */
	void *watch;
	struct known *known;
	uint64_t stamp;
	int64_t at[KINDS];   /* revision of the last list */
	int64_t high[KINDS]; /* highest revision told or listed */
	unsigned tries;	     /* rounds asked for by trouble since it was calm */
	unsigned stale;	     /* stale lists in a row */
	uint64_t drift;
	bool told_resync, synced, lost;
	bool doubt; /* an event out of order has called for a list */
	bool *gone;
};

/* ---- rounds ---- */

static void again(struct store_follow *f, usec_t delay)
{
	f->delay = delay;
	timer_start(f->s->timers, &f->due, 0);
}

/* None at first, then doubling up to a limit; half of it is drawn, so that many agents do not come back as
 * one. */
static usec_t back_off(struct store_follow *f)
{
	usec_t d = RETRY_FIRST;

	if (f->tries++ == 0)
		return 0;
	for (unsigned i = 2; i < f->tries && d < RETRY_MAX; i++)
		d *= 2;
	d = MIN(d, RETRY_MAX);
	return d / 2 + (usec_t)prng_below(&f->s->prng, (uint64_t)d / 2);
}

/* False if the follower (or the store) was freed meanwhile: then nothing of it may be touched. */
static bool tell(struct store_follow *f, enum store_event ev, const struct store_obj *obj,
		 const struct err *e)
{
	bool gone = false;

	f->gone = &gone;
	f->fn(f->arg, ev, obj, e);
	if (gone)
		return false;
	f->gone = NULL;
	return true;
}

static void stop_watch(struct store_follow *f)
{
	if (f->watch)
		f->s->ops->unwatch(f->s->b, f->watch);
	f->watch = NULL;
}

static void lost(struct store_follow *f, const struct err *e)
{
	bool news = !f->lost;

	stop_watch(f);
	f->lost = true;
	if (f->tries == 0)
		f->tries = 1; /* an outage is never met with an instant retry */
	again(f, back_off(f));
	if (news)
		tell(f, STORE_LOST, NULL, e);
}

static struct known *known_find(struct store_follow *f, const struct store_obj *obj)
{
	char key[KIND_NAME_MAX + 1];
	struct known *k;

	snprintf(key, sizeof(key), "%c%s", '@' + (int)obj->kind, obj->name);
	map_find_str(f->known, key, k);
	return k;
}

static struct known *known_add(struct store_follow *f, const struct store_obj *obj)
{
	struct known *k = xcalloc(1, sizeof(*k));

	k->key = xasprintf("%c%s", '@' + (int)obj->kind, obj->name);
	map_add_str(f->known, key, k);
	return k;
}

static void known_del(struct store_follow *f, struct known *k)
{
	map_del(f->known, k);
	free(k->key);
	free(k);
}

/* The store as a whole is older than what it told us before: somebody put an old copy back. */
static void went_back(struct store_follow *f, int64_t rev)
{
	struct known *k, *tmp;
	struct err e;

	err_set(&e, ESTALE,
		"the datastore went back from revision %lld to %lld: an older copy was put in its place",
		(long long)f->high[f->listed], (long long)rev);
	f->stale = 0;
	f->lost = false;
	map_each (f->known, k, tmp)
		k->rev = 0;
	memset(f->at, 0, sizeof(f->at));
	memset(f->high, 0, sizeof(f->high));
	lost(f, &e);
}

static void stale_list(struct store_follow *f, int64_t rev)
{
	if (++f->stale >= STALE_LISTS) {
		went_back(f, rev);
		return;
	}
	if (f->tries == 0)
		f->tries = 1;
	again(f, back_off(f));
}

/* One object of a list; false if the follower has gone. */
static bool listed(struct store_follow *f, struct listing *g, const struct store_obj *obj)
{
	struct known *k = known_find(f, obj);

	if (k && obj->rev < k->rev) {
		g->stale = true;
		return true;
	}
	if (f->synced && obj->rev <= f->high[obj->kind] && (!k || k->rev != obj->rev))
		f->drift++;
	if (!k)
		k = known_add(f, obj);
	k->rev = obj->rev;
	k->stamp = f->stamp;
	return tell(f, STORE_PUT, obj, NULL);
}

static void on_event(void *arg, enum store_event ev, const struct store_obj *obj, const struct err *e);

static int64_t watch_from(const struct store_follow *f)
{
	int64_t from = INT64_MAX;

	for (enum kind k = 0; k < KINDS; k++)
		if (f->kinds & 1u << k)
			from = MIN(from, f->at[k]);
	return from;
}

/* All lists are in: what they did not show is gone. */
static void end_round(struct store_follow *f)
{
	struct known *k, *tmp;

	map_each (f->known, k, tmp) {
		if (k->stamp == f->stamp)
			continue;
		char name[KIND_NAME_MAX];
		struct store_obj obj = { .kind = (enum kind)(k->key[0] - '@'), .name = name };

		snprintf(name, sizeof(name), "%s", k->key + 1);
		obj.rev = f->at[obj.kind];
		known_del(f, k);
		if (!tell(f, STORE_DEL, &obj, NULL))
			return;
	}
	f->synced = true;
	f->lost = false;
	f->stale = 0;
	if (!tell(f, STORE_SYNCED, NULL, NULL))
		return;
	f->watch = f->s->ops->watch(f->s->b, f->kinds, watch_from(f), on_event, f);
	again(f, STORE_COMPARE_PERIOD * 9 / 10 + (usec_t)prng_below(&f->s->prng, STORE_COMPARE_PERIOD / 5));
}

static void on_listed(void *arg, int rc, const struct store_obj *obj, int64_t rev, const struct err *e);

static void list_next(struct store_follow *f)
{
	do
		f->listed++;
	while (f->listed < KINDS && !(f->kinds & 1u << f->listed));
	if (f->listed == KINDS) {
		end_round(f);
		return;
	}
	struct listing *g = xcalloc(1, sizeof(*g));
	g->f = f;
	f->listing = g;
	list_add_tail(&f->s->listings, &g->node);
	f->s->ops->list(f->s->b, f->listed, "", on_listed, g);
}

/* The first answer of a list: is it usable, and does the round begin with it? False if the follower has gone.
 */
static bool begin_list(struct store_follow *f, struct listing *g, int64_t rev)
{
	g->begun = true;
	if (rev < f->high[f->listed])
		g->stale = true;
	if (g->stale || f->told_resync)
		return true;
	f->told_resync = true;
	return tell(f, STORE_RESYNC, NULL, NULL);
}

static void end_list(struct store_follow *f, bool stale, int rc, int64_t rev, const struct err *e)
{
	f->listing = NULL;
	if (rc < 0) {
		lost(f, e);
		return;
	}
	if (stale) {
		stale_list(f, rev);
		return;
	}
	f->at[f->listed] = rev;
	f->high[f->listed] = MAX(f->high[f->listed], rev);
	list_next(f);
}

static void on_listed(void *arg, int rc, const struct store_obj *obj, int64_t rev, const struct err *e)
{
	struct listing *g = arg;
	struct store_follow *f = g->f;
	bool last = rc < 0 || !obj;

	g->running = true;
	if (f && rc == 0 && !g->begun && !begin_list(f, g, rev))
		f = NULL;
	if (f && last)
		end_list(f, g->stale, rc, rev, e);
	else if (f && !g->stale)
		listed(f, g, obj);
	g->running = false;
	if (last || g->orphan) {
		list_del(&g->node);
		free(g);
	}
}

static void begin_round(struct store_follow *f)
{
	stop_watch(f);
	f->stamp++;
	f->told_resync = f->doubt = false;
	f->listed = KIND_NONE;
	list_next(f);
}

static void on_due(struct timer *t, usec_t now)
{
	struct store_follow *f = container_of(t, struct store_follow, due);
	usec_t delay = f->delay;

	f->delay = 0;
	if (delay) {
		timer_start(f->s->timers, t, now + delay);
		return;
	}
	if (f->watch)
		f->tries = 0; /* the minute is over and nothing has happened */
	begin_round(f);
}

/* ---- events of the watch ---- */

static void changed(struct store_follow *f, enum store_event ev, const struct store_obj *obj)
{
	struct known *k = known_find(f, obj);
	int64_t *high = &f->high[obj->kind];

	f->tries = 0;
	if (obj->rev <= f->at[obj->kind] || (k && obj->rev <= k->rev))
		return; /* told before, or overtaken by the list */
	if (!k && obj->rev < *high) {
		/* Either it lost its place in the order, or it comes from before a deletion. A list will tell
		 * which. */
		if (!f->doubt)
			again(f, RETRY_FIRST);
		f->doubt = true;
		return;
	}
	*high = MAX(*high, obj->rev);
	if (ev == STORE_DEL) {
		if (!k)
			return;
		known_del(f, k);
	} else {
		if (!k)
			k = known_add(f, obj);
		k->rev = obj->rev;
		k->stamp = f->stamp;
	}
	tell(f, ev, obj, NULL);
}

static void on_event(void *arg, enum store_event ev, const struct store_obj *obj, const struct err *e)
{
	struct store_follow *f = arg;

	switch (ev) {
	case STORE_PUT:
	case STORE_DEL:
		changed(f, ev, obj);
		break;
	case STORE_RESYNC:
		stop_watch(f);
		again(f, back_off(f));
		break;
	case STORE_LOST:
		lost(f, e);
		break;
	case STORE_SYNCED:
		break;
	}
}

struct store_follow *store_follow(struct store *s, uint32_t kinds, store_event_fn *fn, void *arg)
{
	struct store_follow *f = xcalloc(1, sizeof(*f));

	f->s = s;
	f->kinds = kinds & ((1u << KINDS) - 1) & ~(1u << KIND_NONE);
	CHECK(f->kinds);
	f->fn = fn;
	f->arg = arg;
	timer_init(&f->due, on_due);
	list_add_tail(&s->follows, &f->node);
	again(f, 0);
	return f;
}

/* Ends all that is going on; the struct itself stays its owner's. */
static void follow_stop(struct store_follow *f)
{
	if (f->gone)
		*f->gone = true;
	f->gone = NULL;
	timer_stop(&f->due);
	stop_watch(f);
	if (f->listing)
		f->listing->f = NULL;
	f->listing = NULL;
	list_del(&f->node);
	f->s = NULL;
}

void store_follow_free(struct store_follow *f)
{
	struct known *k, *tmp;

	if (!f)
		return;
	if (f->s)
		follow_stop(f);
	map_each (f->known, k, tmp)
		known_del(f, k);
	free(f);
}

uint64_t store_follow_drift(const struct store_follow *f)
{
	return f->drift;
}

void follow_stop_all(struct store *s)
{
	while (!list_empty(&s->follows))
		follow_stop(list_entry(s->follows.next, struct store_follow, node));
}

void follow_drop_lists(struct store *s)
{
	while (!list_empty(&s->listings)) {
		struct listing *g = list_entry(s->listings.next, struct listing, node);
		list_del(&g->node);
		g->orphan = true;
		if (!g->running)
			free(g);
	}
}
