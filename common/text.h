/* common/text.h -- what arrived as a slice and stays, as a C string of our own. */
#ifndef POSTERN_COMMON_TEXT_H
#define POSTERN_COMMON_TEXT_H

#include "common/slice.h"

/* The caller frees it. NULL: no memory. A NUL within ends the string early, so who takes s from outside has refused it. */
char *text_copy(struct slice s);

#endif
