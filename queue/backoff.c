/* queue/backoff.c -- when mail is tried again, see backoff.h. */
#include "queue/backoff.h"

enum { DOUBLINGS_MAX = 16 };

struct backoff
backoff_of(const struct conf_queue *conf)
{
	struct backoff b = { conf->retry_first, conf->retry_max, conf->retry_jitter, conf->expire,
	    conf->expire_bounce };

	if (b.max < b.first)
		b.max = b.first;
	return b;
}

/* The wait and its random part: up to a tenth of it and the configured jitter. */
static uint64_t
spread(const struct backoff *b, uint64_t wait, uint64_t random)
{
	uint64_t range = wait / 10 + b->jitter;

	/* Jitter 0 asks for exact times, which only laboratories do. */
	return b->jitter == 0 ? wait : wait + random % (range + 1);
}

uint64_t
backoff_message(const struct backoff *b, uint64_t age, uint64_t random)
{
	uint64_t wait = age < b->first ? b->first : age > b->max ? b->max : age;

	return spread(b, wait, random);
}

uint64_t
backoff_destination(const struct backoff *b, unsigned failures, uint64_t random)
{
	uint64_t wait = b->first;

	for (unsigned i = 1; i < failures && i < DOUBLINGS_MAX && wait < b->max; i++)
		wait *= 2;
	return spread(b, wait < b->max ? wait : b->max, random);
}
