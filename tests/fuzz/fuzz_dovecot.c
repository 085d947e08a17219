/* tests/fuzz/fuzz_dovecot.c -- what Dovecot's auth service says, line by line: what is taken lies within the line, and has one
 * meaning. */
#include "common/wire/dovecot_auth.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
within(struct slice line, struct slice part)
{
	if (part.n > 0 && (part.p < line.p || part.p + part.n > line.p + line.n))
		abort();
	if (slice_find(part, '\t') < part.n || slice_find(part, 0) < part.n)
		abort();
}

/* What it stands for is never longer, and what has no escape stands for itself. */
static void
undo(struct slice value)
{
	struct buf plain = BUF_INIT(DOVECOT_LINE_MAX);

	if (dovecot_unescape(value, &plain) == RC_OK &&
	    (buf_len(&plain) > value.n || (slice_find(value, 1) == value.n && !slice_eq(buf_slice(&plain), value))))
		abort();
	buf_free(&plain);
}

static void
take(struct slice line)
{
	struct dovecot_line l;

	if (dovecot_line_parse(line, &l) != RC_OK)
		return;
	within(line, l.text);
	within(line, l.user);
	within(line, l.reason);
	within(line, l.code);
	within(line, l.resp);
	if (l.kind == DOVECOT_MECH && (l.text.n == 0 || l.text.n > DOVECOT_MECHANISM_MAX))
		abort();
	if (l.denied && l.kind != DOVECOT_OK)
		abort();
	undo(l.user);
	undo(l.reason);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice rest = slice_of(data, size);

	while (rest.n > 0) {
		size_t n = slice_find(rest, '\n');

		take(slice_first(rest, n));
		rest = slice_from(rest, n + 1);
	}
	undo(slice_first(slice_of(data, size), 1000));
	return 0;
}
