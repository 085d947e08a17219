/* tests/wire/test_smtp_data.c -- dots: only CRLF "." CRLF ends a message, in pieces of any size; and back again. */
#include "common/wire/smtp_data.h"
#include "tests/wire/check.h"

/* Decodes in pieces; returns the bytes used, or 0 when there was no end. */
static size_t
decode(struct slice in, size_t piece, struct buf *to, struct smtp_data_decoder *d)
{
	size_t at = 0, used;
	enum rc rc = RC_MORE;

	smtp_data_decoder_init(d, 1000);
	while (rc == RC_MORE && at < in.n) {
		rc = smtp_data_decode(d, slice_first(slice_from(in, at), piece), to, &used);
		at += used;
	}
	return rc == RC_OK ? at : 0;
}

/* shows: RFC5321 2.3.8/2, RFC5321 4.5.2/2, RFC5321 4.1.1.4/5 */
static void
the_end_and_nothing_like_it(void **state)
{
	static const struct {
		const char *in, *content;
		size_t used;
		unsigned bare_cr, bare_lf;
	} cases[] = {
		{ ".\r\n", "", 3, 0, 0 }, { "a\r\n.\r\nQUIT\r\n", "a\r\n", 6, 0, 0 }, { "..\r\n.\r\n", ".\r\n", 7, 0, 0 },
		{ "...\r\n.\r\n", "..\r\n", 8, 0, 0 }, { ".a\r\n.\r\n", "a\r\n", 7, 0, 0 }, { "a.\r\n.\r\n", "a.\r\n", 7, 0, 0 },
		{ "a\r\n.\n.\r\n", NULL, 0, 0, 1 }, { "a\n.\r\nb", NULL, 0, 0, 1 }, { "a\n.\nb", NULL, 0, 0, 2 },
		{ "a\r.\r\n", NULL, 0, 1, 0 },
		{ "a\r.\rb", NULL, 0, 2, 0 }, { "a\r\n.\rb", NULL, 0, 1, 0 }, { "a\r\n.\r\r\n", NULL, 0, 1, 0 },
		{ "a\r\r\n.\r\n", "a\r\r\n", 7, 1, 0 }, { "a\n\r\n.\r\n", "a\n\r\n", 7, 0, 1 }, { "a\r\n\n.\r\n", NULL, 0, 0, 1 },
		{ "\r\n.\r\n", "\r\n", 5, 0, 0 }, { "\n.\r\n", NULL, 0, 0, 1 },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++)
		for (size_t piece = 1; piece < 12; piece++) {
			struct buf to = BUF_INIT(1024);
			struct smtp_data_decoder d;

			if (decode(slice_str(cases[i].in), piece, &to, &d) != cases[i].used)
				fail_msg("case %zu in pieces of %zu", i, piece);
			assert_int_equal(d.bare_cr, cases[i].bare_cr);
			assert_int_equal(d.bare_lf, cases[i].bare_lf);
			if (cases[i].content != NULL)
				assert_string_equal(buf_cstr(&to), cases[i].content);
			buf_free(&to);
		}
}

/* shows: RFC5321 4.5.3.1.6/1, RFC5321 4.5.3.1.6/2 */
static void
lines_over_the_limit_are_counted(void **state)
{
	struct buf in = BUF_INIT(8192), to = BUF_INIT(8192);
	struct smtp_data_decoder d;

	(void)state;
	/* RFC 5321 4.5.3.1.6: 1000 octets with CRLF, without the stuffed dot. */
	(void)buf_put_slice(&in, repeat('x', 998, "\r\n"));
	(void)buf_put_str(&in, ".");
	(void)buf_put_slice(&in, repeat('.', 998, "\r\n"));
	(void)buf_put_str(&in, ".\r\n");
	assert_int_equal(decode(buf_slice(&in), 7, &to, &d), buf_len(&in));
	assert_int_equal(d.long_lines, 0);
	assert_int_equal(d.longest_line, 1000);
	buf_clear(&in);
	buf_clear(&to);
	(void)buf_put_slice(&in, repeat('x', 999, "\r\n.\r\n"));
	assert_int_equal(decode(buf_slice(&in), 7, &to, &d), buf_len(&in));
	assert_int_equal(d.long_lines, 1);
	assert_int_equal(d.size, 1001);
	buf_clear(&to);
	assert_int_equal(decode(slice_of("a\0\xff\r\n.\r\n", 8), 8, &to, &d), 8);
	assert_int_equal(d.nul, 1);
	assert_true(d.eight_bit);
	buf_free(&in);
	buf_free(&to);
}

/* shows: RFC5321 2.3.8/3, RFC5321 2.3.8/4, RFC5321 4.5.2/1, RFC5321 4.1.1.4/2, RFC5321 4.1.1.4/3 */
static void
the_encoder_stuffs_and_refuses(void **state)
{
	static const struct {
		const char *content, *wire;	/* NULL: refused */
	} cases[] = {
		{ "", ".\r\n" }, { "a\r\n", "a\r\n.\r\n" }, { "a", "a\r\n.\r\n" }, { ".\r\n", "..\r\n.\r\n" },
		{ "..\r\n.x", "...\r\n..x\r\n.\r\n" },
		{ "a\r\n\r\n.b\r\n", "a\r\n\r\n..b\r\n.\r\n" }, { "a\nb", NULL }, { "a\rb", NULL }, { "a\r", NULL },
		{ "\n", NULL }, { "a\r\r\n", NULL },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++)
		for (size_t piece = 1; piece < 8; piece++) {
			struct slice rest = slice_str(cases[i].content);
			struct buf to = BUF_INIT(1024);
			struct smtp_data_encoder e;
			enum rc rc = RC_OK;
			size_t used;

			smtp_data_encoder_init(&e);
			while (rest.n > 0 && rc == RC_OK) {
				rc = smtp_data_encode(&e, slice_first(rest, piece), &to, &used);
				rest = slice_from(rest, used);
			}
			if (rc == RC_OK)
				rc = smtp_data_encode_end(&e, &to);
			assert_int_equal(rc, cases[i].wire == NULL ? RC_SYNTAX : RC_OK);
			if (cases[i].wire != NULL)
				assert_string_equal(buf_cstr(&to), cases[i].wire);
			buf_free(&to);
		}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_end_and_nothing_like_it),
		cmocka_unit_test(lines_over_the_limit_are_counted),
		cmocka_unit_test(the_encoder_stuffs_and_refuses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
