/* queue/backoff.h -- when mail is tried again, and when it is given up.
 *
 * Waits follow the age of the message (RFC 5321 4.5.4.1: frequent at first, then less so): the next attempt comes after
 * as long again as the message has waited already, between retry-first and retry-max, plus a random part, so that what
 * failed together does not come back together. No counter of attempts has to be kept. A destination that cannot be
 * reached backs off as a whole, by the number of failures in a row. Pure. */
#ifndef POSTERN_QUEUE_BACKOFF_H
#define POSTERN_QUEUE_BACKOFF_H

#include "common/conf.h"

#include <stdbool.h>
#include <stdint.h>

struct backoff {
	uint64_t first, max, jitter;		/* milliseconds */
	uint64_t expire, expire_bounce;
};

struct backoff backoff_of(const struct conf_queue *conf);

/* Milliseconds to wait; age: how long the message is in the queue; random: any number. Never 0. */
uint64_t backoff_message(const struct backoff *b, uint64_t age, uint64_t random);

/* Milliseconds to leave a destination alone after its failures-th failure in a row (from 1). Never 0. */
uint64_t backoff_destination(const struct backoff *b, unsigned failures, uint64_t random);

/* Has a message of this age been tried for long enough? Ask only after an attempt failed: nothing is ever returned
 * that has not been tried since it grew old. */
static inline bool
backoff_expired(const struct backoff *b, uint64_t age, bool bounce)
{
	return age >= (bounce ? b->expire_bounce : b->expire);
}

#endif
