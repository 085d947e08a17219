/* tests/fuzz/clock.h -- the monotonic clock of a fuzz target: it stands still, and goes on when the input says so.
 *
 * Linking clock.c replaces clock_gettime() for the whole process, libevent included. Wall time stays real: libFuzzer needs
 * it to see that an input takes too long. */
#ifndef POSTERN_TESTS_FUZZ_CLOCK_H
#define POSTERN_TESTS_FUZZ_CLOCK_H

#include <stdint.h>

void fuzz_clock_reset(void);
void fuzz_clock_pass(uint64_t ms);

#endif
