/* tests/log/test_ring.c -- the ring keeps order, loses what does not fit, and counts it. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "log/ring.h"

#include <stdio.h>
#include <stdlib.h>

static struct slice
numbered(char space[32], unsigned n)
{
	return slice_of(space, (size_t)snprintf(space, 32, "line %u\n", n));
}

static void
lines_come_out_in_order_across_the_end(void **state)
{
	struct ring r;
	uint8_t line[32];
	char space[32];
	size_t n, whole;
	unsigned in = 0, out = 0;

	(void)state;
	assert_int_equal(ring_init(&r, 101), RC_OK);
	srand(1);
	for (int i = 0; i < 20000; i++) {
		if (rand() % 2 == 0 && r.n < 50)
			assert_true(ring_put(&r, numbered(space, in++)));
		else if (ring_peek_line(&r, line, sizeof line, &n, &whole)) {
			struct slice want = numbered(space, out++);

			assert_int_equal(n, want.n - 1);
			assert_int_equal(whole, want.n);
			assert_memory_equal(line, want.p, n);
			ring_consume(&r, whole);
		}
		assert_int_equal(r.lines, in - out);
		assert_int_equal(r.written, out);
	}
	assert_int_equal(r.dropped, 0);
	ring_free(&r);
}

static void
a_stream_takes_any_piece(void **state)
{
	struct ring r;
	char space[32], want[4096], got[4096];
	size_t n_want = 0, n_got = 0;

	(void)state;
	assert_int_equal(ring_init(&r, 64), RC_OK);
	for (unsigned i = 0; i < 300; i++) {
		struct slice line = numbered(space, i), piece;

		assert_true(ring_put(&r, line));
		memcpy(want + n_want, line.p, line.n);
		n_want += line.n;
		do {
			piece = slice_first(ring_peek(&r), 1 + i % 7);
			memcpy(got + n_got, piece.p, piece.n);
			n_got += piece.n;
			ring_consume(&r, piece.n);
		} while (r.n > 30);
	}
	assert_memory_equal(got, want, n_got);
	assert_int_equal(n_want - n_got, r.n);
	ring_free(&r);
}

static void
drops_make_one_gap(void **state)
{
	struct ring r;
	unsigned kept = 0;

	(void)state;
	assert_int_equal(ring_init(&r, 100), RC_OK);
	while (ring_put(&r, S("0123456789\n")))
		kept++;
	assert_int_equal(kept, 9);
	assert_int_equal(r.dropped, 1);
	assert_int_equal(ring_take_untold(&r), 0);	/* no room to say it */
	ring_consume(&r, 22);
	assert_false(ring_put(&r, S("0123456789\n")));	/* it would fit, but the gap goes on */
	ring_consume(&r, 33);
	assert_int_equal(ring_take_untold(&r), 2);
	assert_int_equal(ring_take_untold(&r), 0);
	assert_true(ring_put(&r, S("0123456789\n")));
	assert_int_equal(r.dropped, 2);
	assert_int_equal(r.lines, 5);
	ring_free(&r);
}

static void
too_long_a_line_drops_only_itself(void **state)
{
	struct ring r;

	(void)state;
	assert_int_equal(ring_init(&r, 8), RC_OK);
	assert_false(ring_put(&r, S("0123456789\n")));
	assert_true(ring_put(&r, S("0123\n")));
	assert_int_equal(r.dropped, 1);
	ring_free(&r);
}

static void
resizing_keeps_the_oldest(void **state)
{
	struct ring r;
	uint8_t line[32];
	char space[32];
	size_t n, whole;

	(void)state;
	assert_int_equal(ring_init(&r, 100), RC_OK);
	for (unsigned i = 0; i < 10; i++)
		assert_true(ring_put(&r, numbered(space, i)));
	ring_consume(&r, 14);
	for (unsigned i = 10; i < 13; i++)
		assert_true(ring_put(&r, numbered(space, i)));	/* around the end */
	assert_int_equal(ring_resize(&r, 1000), RC_OK);
	assert_int_equal(r.lines, 11);
	assert_int_equal(r.written, 2);
	assert_int_equal(ring_resize(&r, 20), RC_OK);
	assert_int_equal(r.lines, 2);
	assert_int_equal(r.dropped, 9);
	assert_true(ring_peek_line(&r, line, sizeof line, &n, &whole));
	assert_memory_equal(line, "line 2", 6);
	ring_free(&r);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines_come_out_in_order_across_the_end),
		cmocka_unit_test(a_stream_takes_any_piece),
		cmocka_unit_test(drops_make_one_gap),
		cmocka_unit_test(too_long_a_line_drops_only_itself),
		cmocka_unit_test(resizing_keeps_the_oldest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
