/* tests/common/filters.h -- what each room may call, as text for people: the tables with the base set merged in and every
 * constant as a number. tests/common/filters.txt holds it, so that a change of a filter is a change that is read. */
#ifndef POSTERN_TESTS_COMMON_FILTERS_H
#define POSTERN_TESTS_COMMON_FILTERS_H

#include "common/buf.h"

/* Appends it. False: no memory. */
bool filters_put(struct buf *to);

#endif
