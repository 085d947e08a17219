/* queue/wheel.c -- what is due when, see wheel.h. */
#include "queue/wheel.h"

enum { SLOT_MASK = WHEEL_SLOTS - 1 };

void
wheel_init(struct wheel *w, uint32_t now)
{
	for (unsigned l = 0; l < WHEEL_LEVELS; l++) {
		w->full[l] = 0;
		for (unsigned s = 0; s < WHEEL_SLOTS; s++)
			link_init(&w->slot[l][s]);
	}
	link_init(&w->moving);
	w->now = now;
	w->n = 0;
	w->flushing = false;
}

static void
put(struct wheel *w, struct due *d)
{
	uint32_t at = d->at, distance;
	unsigned level = 0, slot;

	if (at <= w->now) {
		link_before(&w->moving, &d->link);
		return;
	}
	distance = at - w->now;
	while (level < WHEEL_LEVELS - 1 && distance >= UINT32_C(1) << WHEEL_BITS * (level + 1))
		level++;
	if (distance >= UINT32_C(1) << WHEEL_BITS * WHEEL_LEVELS)
		at = w->now + (UINT32_C(1) << WHEEL_BITS * WHEEL_LEVELS) - 1;
	slot = at >> WHEEL_BITS * level & SLOT_MASK;
	link_before(&w->slot[level][slot], &d->link);
	w->full[level] |= UINT64_C(1) << slot;
}

void
wheel_add(struct wheel *w, struct due *d)
{
	put(w, d);
	w->n++;
}

void
wheel_remove(struct wheel *w, struct due *d)
{
	link_remove(&d->link);
	w->n--;		/* the bit of its slot may be left set: wheel_take finds the slot empty and goes on */
}

/* How many slots from `from` on (itself 0) to the next that may hold something; 64: none. */
static unsigned
next_full(uint64_t full, unsigned from)
{
	uint64_t turned = from == 0 ? full : full >> from | full << (WHEEL_SLOTS - from);

	return turned == 0 ? WHEEL_SLOTS : (unsigned)__builtin_ctzll(turned);
}

uint32_t
wheel_next(const struct wheel *w)
{
	uint32_t best = UINT32_MAX;

	if (!link_alone(&w->moving))
		return w->now;
	for (unsigned l = 0; l < WHEEL_LEVELS; l++) {
		unsigned shift = WHEEL_BITS * l;
		uint32_t base = w->now >> shift;
		/* The slot of now itself has been emptied, and holds what comes a whole turn later. */
		unsigned skip = next_full(w->full[l], (base + 1) & SLOT_MASK);
		uint64_t at = ((uint64_t)base + 1 + skip) << shift;

		if (skip < WHEEL_SLOTS && at < best)
			best = (uint32_t)at;
	}
	return best;
}

static void
empty_slot(struct wheel *w, unsigned level, uint32_t tick)
{
	unsigned s = tick >> WHEEL_BITS * level & SLOT_MASK;

	link_splice(&w->moving, &w->slot[level][s]);
	w->full[level] &= ~(UINT64_C(1) << s);
}

/* Goes to the next tick at which a slot has to be emptied, but not past now. */
static bool
advance(struct wheel *w, uint32_t now)
{
	uint32_t next = wheel_next(w);

	if (next > now) {
		w->now = now;
		return false;
	}
	w->now = next;
	for (unsigned l = WHEEL_LEVELS; l-- > 1;)
		if ((next & ((UINT32_C(1) << WHEEL_BITS * l) - 1)) == 0)
			empty_slot(w, l, next);
	empty_slot(w, 0, next);
	return true;
}

struct due *
wheel_take(struct wheel *w, uint32_t now, unsigned *budget)
{
	for (;;) {
		while (!link_alone(&w->moving)) {
			struct due *d = (struct due *)(void *)w->moving.next;

			if (*budget == 0)
				return NULL;
			(*budget)--;
			link_remove(&d->link);
			if (d->at <= w->now || w->flushing) {
				w->n--;
				return d;
			}
			put(w, d);
		}
		w->flushing = false;
		if (w->now >= now || !advance(w, now))
			return NULL;
	}
}

void
wheel_flush(struct wheel *w)
{
	for (unsigned l = 0; l < WHEEL_LEVELS; l++) {
		for (unsigned s = 0; s < WHEEL_SLOTS; s++)
			link_splice(&w->moving, &w->slot[l][s]);
		w->full[l] = 0;
	}
	w->flushing = true;
}
