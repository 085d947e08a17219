/* common/text.c -- see text.h. */
#include "common/text.h"

#include <stdlib.h>

char *
text_copy(struct slice s)
{
	char *copy = malloc(s.n + 1);

	if (copy == NULL)
		return NULL;
	if (s.n > 0)
		memcpy(copy, s.p, s.n);
	copy[s.n] = '\0';
	return copy;
}
