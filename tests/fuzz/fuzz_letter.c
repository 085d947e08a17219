/* tests/fuzz/fuzz_letter.c -- content into a mailbox: the pieces it comes in make no difference, and nothing but CRs and
 * Return-Path fields is ever lost. */
#include "deliver/letter.h"

#include <stdlib.h>

static struct letter_rcpt rcpt;

static void
feed(struct slice in, size_t piece, struct buf *out)
{
	struct letter l;

	rcpt = (struct letter_rcpt){ 1, S("bob@b.example"), false };
	letter_init(&l, &rcpt, 1);
	while (in.n > 0) {
		struct slice s = slice_first(in, piece);
		size_t before = buf_len(out);

		if (!letter_feed(&l, s, out) || buf_len(out) - before > s.n + LETTER_HELD_MAX)
			abort();
		in = slice_from(in, s.n);
	}
	if (!letter_end(&l, out))
		abort();
	letter_free(&l);
}

static bool
may_drop(struct slice in)
{
	for (; in.n >= 4; in = slice_from(in, 1))
		if (slice_caseeq(slice_first(in, 4), S("path")))
			return true;
	return false;
}

static size_t
count_crlf(struct slice in)
{
	size_t n = 0;

	for (; in.n >= 2; in = slice_from(in, 1))
		n += in.p[0] == '\r' && in.p[1] == '\n';
	return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice in = { data, size };
	struct buf whole = BUF_INIT(size + LETTER_HELD_MAX + 1), pieces = BUF_INIT(size + LETTER_HELD_MAX + 1);
	bool loops;

	if (size == 0)
		return 0;
	feed(in, size, &whole);
	loops = rcpt.loops;
	feed(in, 1 + data[0] % 16, &pieces);
	if (loops != rcpt.loops || !slice_eq(buf_slice(&whole), buf_slice(&pieces)) || buf_len(&whole) > size)
		abort();
	if (!may_drop(in) && buf_len(&whole) + count_crlf(in) != size)
		abort();
	buf_free(&whole);
	buf_free(&pieces);
	return 0;
}
