/* tests/wire/check.h -- what the tests of the parsers share. */
#ifndef POSTERN_TESTS_WIRE_CHECK_H
#define POSTERN_TESTS_WIRE_CHECK_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "common/buf.h"

#include <stdio.h>
#include <stdlib.h>

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

/* n times c, then the text after it; static, until the next call. */
static inline struct slice
repeat(char c, size_t n, const char *after)
{
	static char space[200000];
	size_t m = strlen(after);

	assert_true(n + m <= sizeof space);
	memset(space, c, n);
	memcpy(space + n, after, m);
	return slice_of(space, n + m);
}

/* The buffer holds exactly this text; empties it. */
static inline void
holds(struct buf *b, const char *text)
{
	assert_string_equal(buf_cstr(b), text);
	buf_clear(b);
}

#endif
