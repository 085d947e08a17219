/* queue/report_rate.c -- see report_rate.h. */
#include "queue/report_rate.h"

static const uint64_t hour_ms = 3600 * 1000;

void
report_rate_init(struct report_rate *r, uint64_t seed)
{
	*r = (struct report_rate){ .seed = { seed, ~seed } };
}

/* FNV-1a from a secret start, and a last mix so that its upper bits are good too. Letters are folded: a domain is one domain. */
static size_t
counter_of(uint64_t seed, struct slice sender)
{
	uint64_t h = seed ^ UINT64_C(0xcbf29ce484222325);

	for (size_t i = 0; i < sender.n; i++)
		h = (h ^ ascii_lower(sender.p[i])) * UINT64_C(0x100000001b3);
	h = (h ^ h >> 33) * UINT64_C(0xff51afd7ed558ccd);
	return (size_t)(h >> 40) % REPORT_RATE_COUNTERS;
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
		counts[i] = &r->counts[i][counter_of(r->seed[i], sender)];
		if (*counts[i] < least)
			least = *counts[i];
	}
	if (least >= max)
		return false;
	for (size_t i = 0; i < REPORT_RATE_ROWS; i++)
		++*counts[i];
	return true;
}
