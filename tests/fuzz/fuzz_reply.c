/* tests/fuzz/fuzz_reply.c -- replies of a hostile server: bounded, the same in pieces, and printable when they go on. */
#include "common/wire/smtp_reply.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check_reply(const struct smtp_reply *r)
{
	struct slice rest = r->lines, text;
	struct smtp_ehlo_line line;
	struct buf out = BUF_INIT(SMTP_REPLY_BYTES_MAX);
	unsigned n = 0;
	bool first = true;

	while (smtp_reply_line_next(&rest, &text))
		n++;
	if (n != r->n_lines || n > SMTP_REPLY_LINES_MAX || r->code < 200 || r->code > 599)
		abort();
	for (rest = r->lines; smtp_ehlo_next(&rest, &first, &line);)
		;
	for (size_t max = 0; max < 600; max += 37) {
		buf_clear(&out);
		if (!smtp_reply_text_put(&out, r, max) || buf_len(&out) > max)
			abort();
		for (size_t i = 0; i < buf_len(&out); i++)
			if (buf_slice(&out).p[i] < 0x20 || buf_slice(&out).p[i] > 0x7e)
				abort();
	}
	buf_free(&out);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct smtp_reply_scan scan = { 0 }, slow = { 0 };
	struct smtp_reply r, s;
	size_t used = 0, slow_used = 0;
	enum rc rc = smtp_reply_parse(&scan, slice_of(data, size), &r, &used), slow_rc = RC_MORE;

	for (size_t n = 0; n <= size && slow_rc == RC_MORE; n++)
		slow_rc = smtp_reply_parse(&slow, slice_of(data, n), &s, &slow_used);
	if (slow_rc != rc)
		abort();
	if (rc != RC_OK)
		return 0;
	if (used != slow_used || used > size || r.code != s.code || r.n_lines != s.n_lines)
		abort();
	check_reply(&r);
	return 0;
}
