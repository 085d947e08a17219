/* queue/wheel.h -- what is due when: millions of waiting recipients, with no scan and no allocation.
 *
 * A hierarchical timing wheel in ticks of a second: adding and taking out are O(1), an element moves at most
 * WHEEL_LEVELS times before it is due. An element is in one list at a time, so the same link serves the ready list of
 * a destination. Pure: time is given. */
#ifndef POSTERN_QUEUE_WHEEL_H
#define POSTERN_QUEUE_WHEEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A place in a doubly linked ring; one that points at itself, or at NULL, is in none. */
struct link {
	struct link *next, *prev;
};

static inline void
link_init(struct link *l)
{
	l->next = l->prev = l;
}

static inline bool
link_alone(const struct link *l)
{
	return l->next == NULL || l->next == l;
}

static inline void
link_before(struct link *at, struct link *l)	/* before the head of a ring: at its end */
{
	l->prev = at->prev;
	l->next = at;
	at->prev->next = l;
	at->prev = l;
}

static inline void
link_remove(struct link *l)
{
	if (l->next != NULL) {
		l->next->prev = l->prev;
		l->prev->next = l->next;
	}
	l->next = l->prev = NULL;
}

/* Moves the whole ring of from to the end of the ring of to. */
static inline void
link_splice(struct link *to, struct link *from)
{
	if (from->next == from)
		return;
	from->next->prev = to->prev;
	to->prev->next = from->next;
	from->prev->next = to;
	to->prev = from->prev;
	link_init(from);
}

struct due {
	struct link link;	/* first: a due is its link */
	uint32_t at;		/* tick */
	uint16_t index;		/* these are the owner's: here, because the space would be lost otherwise */
	uint16_t state : 3;
	uint16_t generation : 13;
};

enum {
	WHEEL_BITS = 6,
	WHEEL_SLOTS = 1 << WHEEL_BITS,
	WHEEL_LEVELS = 4,	/* 194 days; anything later waits in the last slot and is put in again */
};

struct wheel {
	struct link slot[WHEEL_LEVELS][WHEEL_SLOTS];
	uint64_t full[WHEEL_LEVELS];	/* bit: the slot may hold something */
	struct link moving;		/* taken from a slot, not looked at yet */
	uint32_t now;			/* every tick up to here has been emptied into moving */
	size_t n;
	bool flushing;			/* what is in moving comes out whatever its time */
};

void wheel_init(struct wheel *w, uint32_t now);
/* d->at is set; a time that is past comes out at the next wheel_take. d must be in no list. */
void wheel_add(struct wheel *w, struct due *d);
void wheel_remove(struct wheel *w, struct due *d);
/* The next element due at or before now, taken out; in order of ticks. NULL: none, or *budget has run out (it counts
 * down by one for each element looked at, so that a turn of the loop stays short). */
struct due *wheel_take(struct wheel *w, uint32_t now, unsigned *budget);
/* wheel_take will give every element that is in it now, due or not. */
void wheel_flush(struct wheel *w);
/* No element is due before this tick (which may be earlier than the first). UINT32_MAX: empty. */
uint32_t wheel_next(const struct wheel *w);

#endif
