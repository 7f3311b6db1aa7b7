/*
 * store/inner: what store.c and follow.c share.
 */
#pragma once
#include "base/list.h"
#include "base/prng.h"
#include "base/timer.h"
#include "store/store.h"

struct store {
	struct timers *timers;
	const struct store_ops *ops;
	void *b;
	struct prng prng;
	struct list follows;
	struct list listings;
	struct list refusals;
	struct timer refuse;
	bool running; /* a refusal is being told */
	bool closed;  /* and freed the store, which it ends */
};

/* Silences all followers, before the backend is closed; and drops what is left of their lists, after. */
void follow_stop_all(struct store *s);
void follow_drop_lists(struct store *s);
