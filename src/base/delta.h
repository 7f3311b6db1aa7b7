/*
 * base/delta: want, have, and the operation between them. One struct serves every kind of object.
 *
 * Stamp and sweep: a derivation stamps what it wants with the generation of this pass; what carries an older
 * stamp afterwards is no longer wanted. There are no "remove" events to lose, and a restart is the same pass.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>

struct delta {
	uint64_t stamp : 61; /* the last generation that wanted it; with the rest eight bytes */
	bool wanted : 1;
	bool present : 1; /* the other side has it, as far as we were told */
	bool differs : 1; /* present, but not as wanted */
};

enum delta_op { DELTA_KEEP, DELTA_ADD, DELTA_CHANGE, DELTA_DEL, DELTA_FORGET };

static inline enum delta_op delta_op(const struct delta *d)
{
	if (!d->wanted)
		return d->present ? DELTA_DEL : DELTA_FORGET;
	if (!d->present)
		return DELTA_ADD;
	return d->differs ? DELTA_CHANGE : DELTA_KEEP;
}

/* This pass wants it; differs says whether it wants it otherwise than the other side has it. */
static inline void delta_want(struct delta *d, uint64_t stamp, bool differs)
{
	d->stamp = stamp;
	d->wanted = true;
	d->differs = d->present && (d->differs || differs);
}

/* After a pass: true if the object lost its last reason to exist in it. */
static inline bool delta_sweep(struct delta *d, uint64_t stamp)
{
	if (d->stamp == stamp || !d->wanted)
		return false;
	d->wanted = false;
	return true;
}

static inline void delta_applied(struct delta *d)
{
	d->present = d->wanted;
	d->differs = false;
}
