/* resolver/turns.h -- whose look-up is asked next: places for look-ups that strangers cause, shared out among their networks.
 *
 * The library that asks cannot be told to stop: a place is taken until it gives up, and strangers choose the name servers that it
 * waits for. So no network has more than a part of the places that are left: whoever comes with many finds the rest of them free
 * for others, however long his own take; and those who wait are served in turn, one of each network at a time. */
#ifndef POSTERN_RESOLVER_TURNS_H
#define POSTERN_RESOLVER_TURNS_H

#include "common/hash_table.h"
#include "common/ip.h"

#include <stdbool.h>
#include <stddef.h>

/* One network has at most places / (TURNS_PART + 1) when it is alone, and of n that take what they can, each
 * places / (TURNS_PART + n); but always one, while there is any. */
enum { TURNS_PART = 8 };

/* Embedded in what waits; zeroed: idle. */
struct turn {
	struct turn *next, *prev;	/* of its network, that wait too */
	struct turn_network *network;	/* NULL: idle */
	bool placed;
	void *what;
};

/* What waits and who has a place are the caller's to bound. */
struct turns {
	size_t places, taken;
	struct hash_table networks;	/* by address */
	struct turn_network *ring;	/* those with somebody who waits; this one is next */
};

void turns_init(struct turns *t, size_t places);
/* Everybody has left. */
void turns_free(struct turns *t);

/* From now on it waits for a place; turn->what is the caller's. net: the first address of the network. False: no memory. */
bool turns_enter(struct turns *t, struct turn *turn, struct ip net);
/* Whoever has got a place now; NULL: nobody can have one. */
struct turn *turns_next(struct turns *t);
/* Waits no longer, or gives its place back; harmless when it is idle. */
void turns_leave(struct turns *t, struct turn *turn);

#endif
