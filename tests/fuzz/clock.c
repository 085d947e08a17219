/* tests/fuzz/clock.c -- see clock.h. */
#include "tests/fuzz/clock.h"

#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { BEGIN_S = 100000 };

static uint64_t now_ms = BEGIN_S * UINT64_C(1000);

void
fuzz_clock_reset(void)
{
	now_ms = BEGIN_S * UINT64_C(1000);
}

void
fuzz_clock_pass(uint64_t ms)
{
	now_ms += ms;
}

int
clock_gettime(clockid_t id, struct timespec *ts)
{
	if (id != CLOCK_MONOTONIC && id != CLOCK_MONOTONIC_COARSE && id != CLOCK_MONOTONIC_RAW && id != CLOCK_BOOTTIME)
		return (int)syscall(SYS_clock_gettime, id, ts);
	ts->tv_sec = (time_t)(now_ms / 1000);
	ts->tv_nsec = (long)(now_ms % 1000 * 1000000);
	return 0;
}
