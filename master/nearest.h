/* master/nearest.h -- which of the known words did the administrator mean? */
#ifndef POSTERN_MASTER_NEAREST_H
#define POSTERN_MASTER_NEAREST_H

#include <stddef.h>

/* The word closest to typed (insertions, deletions, changes and swaps of neighbours), or NULL when none is close enough
 * to be a slip of the finger. Borrowed from words. */
const char *nearest_word(const char *typed, const char *const *words, size_t n);

#endif
