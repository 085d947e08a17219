/* tests/fuzz/fuzz_data.c -- the dot decoder against a slow one of ten lines, in pieces of every kind; and the encoder,
 * whose output decodes to what went in. */
#include "common/wire/smtp_data.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { LIMIT = 20 };

static bool normalise;	/* how decode() does it */

/* RFC 5321 4.5.2 read literally: content in `out`; returns the bytes used, SIZE_MAX when there is no end. */
static size_t
model(struct slice in, struct buf *out)
{
	size_t at = 0;
	bool start = true;

	while (at < in.n) {
		struct slice rest = slice_from(in, at);

		if (start && slice_starts(rest, S(".\r\n")))
			return at + 3;
		if (start && rest.p[0] == '.') {
			start = false;
			at++;
			continue;
		}
		start = slice_starts(rest, S("\r\n"));
		(void)buf_put(out, rest.p, start ? 2 : 1);
		at += start ? 2 : 1;
	}
	return SIZE_MAX;
}

static size_t
decode(struct slice in, size_t piece, size_t room, struct buf *out, struct smtp_data_decoder *d)
{
	struct buf some = BUF_INIT(room);
	size_t at = 0, used;

	smtp_data_decoder_init(d, LIMIT);
	d->normalise = normalise;
	for (;;) {
		enum rc rc = smtp_data_decode(d, slice_first(slice_from(in, at), piece), &some, &used);

		at += used;
		(void)buf_put_slice(out, buf_slice(&some));
		buf_clear(&some);
		if (rc == RC_OK || (rc == RC_MORE && at == in.n)) {
			buf_free(&some);
			return rc == RC_OK ? at : SIZE_MAX;
		}
		if (rc == RC_AGAIN ? used == 0 && room > 2 : rc != RC_MORE)
			abort();
	}
}

static bool
counters_differ(const struct smtp_data_decoder *a, const struct smtp_data_decoder *b)
{
	return a->size != b->size || a->bare_cr != b->bare_cr || a->bare_lf != b->bare_lf || a->nul != b->nul ||
	    a->long_lines != b->long_lines || a->longest_line != b->longest_line || a->eight_bit != b->eight_bit;
}

/* Returns false when the content is refused. */
static bool
encode(struct slice content, size_t piece, size_t room, struct buf *out)
{
	struct buf some = BUF_INIT(room);
	struct smtp_data_encoder e;
	size_t at = 0, used;
	enum rc rc = RC_OK;

	smtp_data_encoder_init(&e);
	while (at < content.n && rc != RC_SYNTAX) {
		rc = smtp_data_encode(&e, slice_first(slice_from(content, at), piece), &some, &used);
		if (rc == RC_AGAIN && used == 0 && buf_len(&some) == 0)
			abort();
		at += used;
		(void)buf_put_slice(out, buf_slice(&some));
		buf_clear(&some);
	}
	if (rc != RC_SYNTAX)
		rc = smtp_data_encode_end(&e, &some);
	(void)buf_put_slice(out, buf_slice(&some));
	buf_free(&some);
	return rc == RC_OK;
}

/* Where bare LFs are mended: nothing bare comes out, the message does not end sooner than it would, and pieces change
 * nothing. */
static void
check_mended(struct slice in, size_t end)
{
	struct buf whole = BUF_INIT(1 << 22), pieces = BUF_INIT(1 << 22);
	struct smtp_data_decoder d, again;
	size_t used;

	normalise = true;
	used = decode(in, SIZE_MAX, 1 << 20, &whole, &d);
	if (decode(in, 1, 7, &pieces, &again) != used || (used != SIZE_MAX && !slice_eq(buf_slice(&whole), buf_slice(&pieces))))
		abort();
	normalise = false;
	if (counters_differ(&d, &again) || d.bare_lf > 0 || used != end)
		abort();
	for (size_t i = 0; i < buf_len(&whole); i++)
		if (buf_slice(&whole).p[i] == '\n' && (i == 0 || buf_slice(&whole).p[i - 1] != '\r'))
			abort();
	buf_free(&whole);
	buf_free(&pieces);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct { size_t piece, room; } ways[] = {
		{ SIZE_MAX, 1 << 20 }, { 1, 1 << 20 }, { 2, 64 }, { 3, 5 }, { 7, 3 }, { SIZE_MAX, 16 },
	};
	struct buf expect = BUF_INIT(1 << 22), got = BUF_INIT(1 << 22), wire = BUF_INIT(1 << 22), wire2 = BUF_INIT(1 << 22);
	struct slice in = slice_of(data, size);
	struct smtp_data_decoder first = { .size = 0 }, d;
	size_t used = model(in, &expect);
	bool fine;

	for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++) {
		buf_clear(&got);
		if (decode(in, ways[i].piece, ways[i].room, &got, &d) != used)
			abort();
		/* A held-back dot or CR is not content yet. */
		if (used != SIZE_MAX && !slice_eq(buf_slice(&got), buf_slice(&expect)))
			abort();
		if (i == 0)
			first = d;
		else if (counters_differ(&first, &d))
			abort();
	}
	check_mended(in, used);
	fine = encode(in, SIZE_MAX, 1 << 20, &wire);
	if (encode(in, 1, 64, &wire2) != fine || (fine && !slice_eq(buf_slice(&wire), buf_slice(&wire2))))
		abort();
	buf_clear(&wire2);
	if (encode(in, 5, 9, &wire2) != fine)
		abort();
	if (fine) {
		buf_clear(&got);
		if (decode(buf_slice(&wire), SIZE_MAX, 1 << 20, &got, &d) != buf_len(&wire))
			abort();
		if (!slice_eq(slice_first(buf_slice(&got), size), in) || d.bare_cr > 0 || d.bare_lf > 0)
			abort();
	}
	buf_free(&expect);
	buf_free(&got);
	buf_free(&wire);
	buf_free(&wire2);
	return 0;
}
