/* queue/report_rate.c -- see report_rate.h. */
#include "queue/report_rate.h"

#include "common/wire/address.h"

static const uint64_t hour_ms = 3600 * 1000;

/* By a seed and not by chance, so that a test can have the same again. */
void
report_rate_init(struct report_rate *r, uint64_t seed)
{
	*r = (struct report_rate){ 0 };
	for (uint64_t i = 0; i < REPORT_RATE_ROWS; i++) {
		memcpy(r->keys[i].b, &seed, sizeof seed);
		memcpy(r->keys[i].b + sizeof seed, &i, sizeof i);
	}
}

/* Letters are folded: a domain is one domain. What is longer than an address can be is counted by its beginning. */
static size_t
counter_of(const struct hash_key *key, struct slice sender)
{
	uint8_t folded[ADDRESS_TEXT_MAX];
	size_t n = sender.n < sizeof folded ? sender.n : sizeof folded;

	for (size_t i = 0; i < n; i++)
		folded[i] = ascii_lower(sender.p[i]);
	return (size_t)(keyed_hash(key, slice_of(folded, n)) % REPORT_RATE_COUNTERS);
}

bool
report_rate_take(struct report_rate *r, uint64_t now, struct slice sender, uint32_t max)
{
	uint32_t *counts[REPORT_RATE_ROWS], least = UINT32_MAX;

	if (now / hour_ms != r->hour) {
		memset(r->counts, 0, sizeof r->counts);
		r->hour = now / hour_ms;
	}
	for (size_t i = 0; i < REPORT_RATE_ROWS; i++) {
		counts[i] = &r->counts[i][counter_of(&r->keys[i], sender)];
		if (*counts[i] < least)
			least = *counts[i];
	}
	if (least >= max)
		return false;
	for (size_t i = 0; i < REPORT_RATE_ROWS; i++)
		++*counts[i];
	return true;
}
