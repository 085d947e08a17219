/* tests/wire/test_unitext.c -- addresses of type utf-8, in ASCII and as they are. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "common/wire/unitext.h"

static void
ascii_is(struct slice text, const char *special, const char *want)
{
	struct buf b = BUF_INIT(200);

	assert_true(unitext_put_ascii(&b, text, special, SIZE_MAX));
	assert_true(buf_put_byte(&b, '\0'));
	assert_string_equal(b.p + b.start, want);
	buf_free(&b);
}

static void
utf8_is(struct slice text, struct slice want)
{
	struct buf b = BUF_INIT(200);

	assert_true(unitext_put_utf8(&b, text));
	assert_true(slice_eq(buf_slice(&b), want));
	buf_free(&b);
}

/* shows: RFC6533 3/2 */
static void
in_ascii(void **state)
{
	struct buf b = BUF_INIT(10);

	(void)state;
	ascii_is(S("j\xc3\xb6rg@\xe2\x82\xac.test"), "", "j\\x{F6}rg@\\x{20AC}.test");
	ascii_is(S("\xf0\x9f\x98\x80+x"), "", "\\x{1F600}+x");
	ascii_is(S("a+b =c\\d"), " \\+=", "a\\x{2B}b\\x{20}\\x{3D}c\\x{5C}d");
	ascii_is(S("a\r\n\0\x7f\xc2\x85\xe4"), "", "a???" "?" "???");
	ascii_is(S(""), "", "");
	/* A bound on what is written, and a buffer that is full. */
	assert_true(unitext_put_ascii(&b, S("abcdef"), "", 3));
	assert_int_equal(buf_len(&b), 3);
	assert_false(unitext_put_ascii(&b, S("\xc3\xb6\xc3\xb6"), "", SIZE_MAX));
	buf_free(&b);
}

/* shows: RFC6533 3/5 */
static void
as_it_is(void **state)
{
	struct buf b = BUF_INIT(2);

	(void)state;
	utf8_is(S("j\\x{F6}rg\\x{2B}x\\x{5C}@\\x{20AC}.test\\x{1F600}"),
	    S("j\xc3\xb6rg\\x{2B}x\\x{5C}@\xe2\x82\xac.test\xf0\x9f\x98\x80"));
	utf8_is(S("\\x{80}\\x{9F}\\x{A0}\\x{7FF}\\x{800}\\x{ffff}\\x{10000}\\x{10FFFF}"),
	    S("\\x{80}\\x{9F}\xc2\xa0\xdf\xbf\xe0\xa0\x80\xef\xbf\xbf\xf0\x90\x80\x80\xf4\x8f\xbf\xbf"));
	/* No characters: surrogates, separators of lines, too large, too long, too short, unfinished. */
	utf8_is(S("\\x{D800}\\x{DFFF}\\x{2028}\\x{110000}\\x{0000E4}\\x{1234567}\\x{}\\x{F}\\x{}"),
	    S("\\x{D800}\\x{DFFF}\\x{2028}\\x{110000}\xc3\xa4\\x{1234567}\\x{}\\x{F}\\x{}"));
	utf8_is(S("\\x{E4"), S("\\x{E4"));
	utf8_is(S("\\x{"), S("\\x{"));
	utf8_is(S("\\"), S("\\"));
	utf8_is(S("\\y{E4}\\x(E4}\\x{G4}"), S("\\y{E4}\\x(E4}\\x{G4}"));
	utf8_is(S("\xc3\xa4"), S("\xc3\xa4"));
	assert_false(unitext_put_utf8(&b, S("\\x{20AC}")));
	buf_free(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(in_ascii), cmocka_unit_test(as_it_is) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
