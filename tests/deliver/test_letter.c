/* tests/deliver/test_letter.c -- what a mailbox gets: every byte but CRs of line ends and old Return-Path fields. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "deliver/letter.h"

#include <stdlib.h>

static struct letter_rcpt rcpts[2];

/* In pieces of the given size; 0: at random. */
static void
feed(struct slice in, size_t piece, struct buf *out)
{
	struct letter l;

	rcpts[0] = (struct letter_rcpt){ 1, S("bob@b.example"), false };
	rcpts[1] = (struct letter_rcpt){ 2, S("bob+x@b.example"), false };
	letter_init(&l, rcpts, 2);
	while (in.n > 0) {
		struct slice s = slice_first(in, piece == 0 ? 1 + (size_t)rand() % 20 : piece);

		assert_true(letter_feed(&l, s, out));
		in = slice_from(in, s.n);
	}
	assert_true(letter_end(&l, out));
	letter_free(&l);
}

static void
becomes(struct slice in, struct slice want)
{
	for (size_t piece = 0; piece < 50; piece++) {
		struct buf out = BUF_INIT(1 << 20);

		feed(in, piece == 49 ? in.n + 1 : piece, &out);
		assert_int_equal(buf_len(&out), want.n);
		assert_memory_equal(buf_slice(&out).p == NULL ? want.p : buf_slice(&out).p, want.p, want.n);
		buf_free(&out);
	}
}

/* shows: RFC5321 4.5.2/4 */
static void
lines_end_in_lf(void **state)
{
	(void)state;
	becomes(S(""), S(""));
	becomes(S("Subject: x\r\n\r\nbody\r\n\r\n.\r\n..\r\n"), S("Subject: x\n\nbody\n\n.\n..\n"));
	becomes(S("\r\nno header\r\n"), S("\nno header\n"));
	becomes(S("no header\r\nA: b\r\n"), S("no header\nA: b\n"));
	becomes(S(" folded first\r\n\r\n"), S(" folded first\n\n"));
	becomes(S("A: b"), S("A: b"));
	becomes(S("Return-Pa"), S("Return-Pa"));
	/* Such bytes never come: they are not ours to mend either. */
	becomes(S("A: b\r"), S("A: b\r"));
	becomes(S("A: b\r\n\r"), S("A: b\n\r"));
	becomes(S("A: b\r\r\n\rx\r\n"), S("A: b\r\n\rx\n"));
	becomes(S("A: \0b\r\n\r\n\0\r\n"), S("A: \0b\n\n\0\n"));
}

/* shows: RFC5321 4.4/14 */
static void
return_paths_go(void **state)
{
	(void)state;
	becomes(S("Return-Path: <a@b>\r\nA: b\r\n\r\nReturn-Path: body\r\n"), S("A: b\n\nReturn-Path: body\n"));
	becomes(S("A: b\r\nRETURN-path :\r\n <a>\r\n\t(folded)\r\nReturn-Paths: x\r\nReturn-Path: y\r\n\r\n"),
	    S("A: b\nReturn-Paths: x\n\n"));
	becomes(S("Return-Path: only"), S(""));
	becomes(S("X-Return-Path: a\r\nReturn-Path\r\nReturn-Path: b\r\n"), S("X-Return-Path: a\nReturn-Path\nReturn-Path: b\n"));
	becomes(S("A-very-long-name-of-a-field-that-is-longer-than-all-names-and-longer-than-the-room-for-one: Return-Path: a\r\n"
	    "Return-Path: b\r\n\r\n"),
	    S("A-very-long-name-of-a-field-that-is-longer-than-all-names-and-longer-than-the-room-for-one: Return-Path: a\n\n"));
}

static void
loops_are(struct slice in, bool first, bool second)
{
	for (size_t piece = 0; piece < 40; piece++) {
		struct buf out = BUF_INIT(1 << 20);

		feed(in, piece, &out);
		assert_int_equal(rcpts[0].loops, first);
		assert_int_equal(rcpts[1].loops, second);
		buf_free(&out);
	}
}

static void
loops_are_seen(void **state)
{
	(void)state;
	loops_are(S("Delivered-To: bob@b.example\r\n\r\n"), true, false);
	loops_are(S("A: b\r\ndelivered-to:\r\n\tBOB+x@B.example \r\n\r\n"), false, true);
	loops_are(S("Delivered-To: bob+x@b.example\r\nDelivered-To: bob@b.example\r\n"), true, true);
	loops_are(S("Delivered-To: bob@b.example"), true, false);
	loops_are(S("Delivered-To: bob@b.example.org\r\nX-Delivered-To: bob@b.example\r\n\r\nDelivered-To: bob@b.example\r\n"),
	    false, false);
	loops_are(S("Delivered-To: x: bob@b.example\r\n\r\n"), false, false);
}

/* A header without an end is looked at so far and no farther. */
static void
the_scan_is_bounded(void **state)
{
	const size_t n = HEADER_BYTES_MAX + 1000;
	uint8_t *big = malloc(n);
	struct buf out = BUF_INIT(1 << 20);

	(void)state;
	for (size_t i = 0; i < n; i++)
		big[i] = (uint8_t)"Aa: xxxx\r\n"[i % 10];
	memcpy(big + n - 200 - n % 10, "\r\nDelivered-To: bob@b.example\r\nReturn-Path: x\r\n", 48);
	feed(slice_of(big, n), 4096, &out);
	assert_false(rcpts[0].loops);
	assert_non_null(memmem(buf_slice(&out).p, buf_len(&out), "Return-Path: x\n", 15));
	buf_free(&out);
	free(big);
}

/* shows: RFC5321 4.4/11 */
static void
the_head(void **state)
{
	struct buf out = BUF_INIT(1000);
	uint8_t long_one[LETTER_ADDRESS_MAX + 1];

	(void)state;
	assert_true(letter_head(&out, S(""), S("bob@b.example")));
	assert_string_equal(buf_cstr(&out), "Return-Path: <>\nDelivered-To: bob@b.example\n");
	buf_free(&out);
	memset(long_one, 'x', sizeof long_one);
	assert_true(letter_address_valid(S("\"a b\"@c.example")));
	assert_false(letter_address_valid(S("a\nb")));
	assert_false(letter_address_valid(S("a\0b")));
	assert_false(letter_address_valid(slice_of(long_one, sizeof long_one)));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines_end_in_lf),
		cmocka_unit_test(return_paths_go),
		cmocka_unit_test(loops_are_seen),
		cmocka_unit_test(the_scan_is_bounded),
		cmocka_unit_test(the_head),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
