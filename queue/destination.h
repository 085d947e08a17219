/* queue/destination.h -- where mail goes next: a transport and a next hop, each pair once, and what is known of it.
 *
 * About 300 bytes each, kept while a recipient, a session or a back-off needs it. */
#ifndef POSTERN_QUEUE_DESTINATION_H
#define POSTERN_QUEUE_DESTINATION_H

#include "common/slice.h"
#include "queue/tree.h"
#include "queue/wheel.h"

enum carrier_kind { CARRIER_REMOTE, CARRIER_LOCAL, CARRIER_KINDS };

enum {
	DESTINATION_NAME_MAX = 1024,	/* of the transport, and of the next hop */
	DESTINATION_WHY_MAX = 512,	/* of the reason of a failure; the rest is cut */
	WINDOW_ONE = 256,		/* a session, in the units of window */
	/* One job in so many begins with the lowest priority, however much of a higher one comes: all mail leaves. */
	LOWEST_EVERY = 16,
};

enum sweep { SWEEP_NONE, SWEEP_EXPIRE, SWEEP_FAIL };

/* The levels of MT-PRIORITY that are told apart, those of MIXER (RFC 6710 5, Appendix B): 4, 0 and -4. */
enum ready_level { READY_URGENT, READY_NORMAL, READY_LOW, READY_LEVELS };

struct destination {
	struct tree_node node;		/* first */
	uint64_t priority;
	struct due due;			/* in the wheel while down: when it is tried again */
	struct link ready[READY_LEVELS];	/* rings of its recipients that wait for a session, first come, first served */
	struct link wanting;		/* in the ring of those that want a session */
	struct link offering;		/* in the ring of those with work for a session that waits */
	struct link idle;		/* ring of the sessions that wait: dispatch.c */
	struct link sweeping;		/* in the ring of those whose list is being walked */
	uint32_t n_refs;		/* recipients that point here */
	uint32_t n_ready;		/* in all rings */
	uint32_t n_at[READY_LEVELS];	/* in each */
	uint32_t n_sessions;		/* open, of any phase */
	uint32_t n_starting;		/* of them: not up yet */
	uint32_t n_waiting;		/* of them: up, and nothing to do */
	uint32_t window;		/* sessions allowed, times WINDOW_ONE */
	uint32_t window_max;		/* sessions */
	uint32_t sweep_left;		/* of the ring that is being walked */
	uint32_t generation;		/* of the configuration that set kind and window_max */
	uint16_t failures;		/* in a row */
	uint16_t code;			/* of the last failure */
	uint8_t kind;			/* enum carrier_kind */
	uint8_t jobs;			/* that were asked for, modulo 256: for LOWEST_EVERY */
	uint8_t sweep;			/* enum sweep */
	uint8_t sweep_level;		/* enum ready_level: the ring that is being walked */
	bool down;
	bool flushed;			/* was down when an operator wanted it tried; due.at is when it would have been */
	char enhanced[12];
	char *why;			/* of the last failure: text for people; NULL: none */
	uint16_t transport_len, nexthop_len;
	char name[];			/* transport, a colon, next hop */
};

struct destinations {
	struct tree by_name;
	uint64_t random;
};

void destinations_init(struct destinations *all, uint64_t seed);
void destinations_free(struct destinations *all);
/* Finds it. NULL: not known. */
struct destination *destination_find(const struct destinations *all, struct slice transport, struct slice nexthop);
/* Finds or makes it. NULL: no memory, or a name is too long. */
struct destination *destination_get(struct destinations *all, struct slice transport, struct slice nexthop);
/* It must be in no list and have no references. */
void destination_free(struct destinations *all, struct destination *d);
void destination_set_why(struct destination *d, uint16_t code, struct slice enhanced, struct slice why);

static inline struct slice
destination_transport(const struct destination *d)
{
	return slice_of(d->name, d->transport_len);
}

static inline struct slice
destination_nexthop(const struct destination *d)
{
	return slice_of(d->name + d->transport_len + 1, d->nexthop_len);
}

static inline struct slice
destination_name(const struct destination *d)
{
	return slice_of(d->name, (size_t)d->transport_len + 1 + d->nexthop_len);
}

/* A well-mixed number; *state is never 0 (xorshift64*). Not for secrets. */
static inline uint64_t
random_next(uint64_t *state)
{
	uint64_t x = *state;

	x ^= x >> 12;
	x ^= x << 25;
	x ^= x >> 27;
	*state = x;
	return x * UINT64_C(0x2545f4914f6cdd1d);
}

#endif
