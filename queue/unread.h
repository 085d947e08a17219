/* queue/unread.h -- a disk that refuses to read says so for every message again and again: in the log it is one event with a
 * count, seldom and more seldom while it lasts. Pure: time is given. */
#ifndef POSTERN_QUEUE_UNREAD_H
#define POSTERN_QUEUE_UNREAD_H

#include <stdbool.h>
#include <stdint.h>

enum {
	UNREAD_FIRST_MS = 30 * 1000,	/* between the first two events; doubled with each */
	UNREAD_MAX_MS = 3600 * 1000,
	UNREAD_OVER_MS = 60 * 1000,	/* so long without a failure: the next one is news again */
};

/* All zero at first. */
struct unread {
	uint64_t n;			/* failures that were not told */
	uint64_t told_ms, failed_ms;	/* when it was told last, and when one failed last */
	uint32_t wait_ms;		/* between two events; 0: the next one is told at once */
};

/* One more read has failed. Ask unread_due. */
void unread_failed(struct unread *u, uint64_t now_ms);

/* How many failures an event is due for; they count as told. 0: none. Call it every few seconds. */
uint64_t unread_due(struct unread *u, uint64_t now_ms);

#endif
