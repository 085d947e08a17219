/* queue/report_rate.h -- how many reports of success and delay a sender is written in an hour. Pure.
 *
 * Counters that senders share by two hashes with a secret, in constant memory: one whose address falls together with busy ones
 * twice may get too few, which costs him a report that tells of nothing bad. */
#ifndef POSTERN_QUEUE_REPORT_RATE_H
#define POSTERN_QUEUE_REPORT_RATE_H

#include "common/keyed_hash.h"
#include "common/slice.h"

enum { REPORT_RATE_ROWS = 2, REPORT_RATE_COUNTERS = 2048 };

struct report_rate {
	struct hash_key keys[REPORT_RATE_ROWS];
	uint64_t hour;
	uint32_t counts[REPORT_RATE_ROWS][REPORT_RATE_COUNTERS];
};

void report_rate_init(struct report_rate *r, uint64_t seed);
/* May one more be written? Then it is counted. now: milliseconds. */
bool report_rate_take(struct report_rate *r, uint64_t now, struct slice sender, uint32_t max);

#endif
