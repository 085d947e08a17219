/* tests/fields.h -- how many fields of a name a header has. */
#ifndef POSTERN_TESTS_FIELDS_H
#define POSTERN_TESTS_FIELDS_H

#include "common/wire/header.h"

static inline size_t
fields_count(struct slice message, struct slice name)
{
	struct header_iter it;
	struct header_field field;
	size_t n = 0;

	header_begin(&it, message, true);
	while (header_next(&it, &field) == RC_OK)
		n += slice_caseeq(field.name, name);
	return n;
}

#endif
