/* common/clock.h -- the two clocks: what people call the time, and what timers go by. */
#ifndef POSTERN_COMMON_CLOCK_H
#define POSTERN_COMMON_CLOCK_H

#include <stdint.h>
#include <time.h>

static inline int64_t
clock_us(clockid_t clock)
{
	struct timespec t;

	(void)clock_gettime(clock, &t);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

/* Microseconds since 1970: for headers, the log and expiry. It jumps when somebody sets it. */
static inline int64_t
clock_wall_us(void)
{
	return clock_us(CLOCK_REALTIME);
}

/* Milliseconds since some time before the start; it never goes back. */
static inline uint64_t
clock_monotonic_ms(void)
{
	return (uint64_t)clock_us(CLOCK_MONOTONIC) / 1000;
}

#endif
