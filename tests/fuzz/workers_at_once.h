/* tests/fuzz/workers_at_once.h -- see workers_at_once.c. */
#ifndef POSTERN_TESTS_FUZZ_WORKERS_AT_ONCE_H
#define POSTERN_TESTS_FUZZ_WORKERS_AT_ONCE_H

#include "common/workers.h"

void workers_turn(struct workers *w);	/* reports what is finished */

#endif
