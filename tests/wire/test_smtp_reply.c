/* tests/wire/test_smtp_reply.c -- replies read from servers of every kind; enhanced codes. */
#include "common/wire/smtp_reply.h"
#include "tests/wire/check.h"

static enum rc
parse(struct slice s, struct smtp_reply *r)
{
	struct smtp_reply_scan scan = { 0 };
	size_t used;

	return smtp_reply_parse(&scan, s, r, &used);
}

/* shows: RFC5321 4.2/2, RFC5321 4.2/6, RFC5321 4.2.1/5, RFC5321 4.2/11 */
static void
replies_are_read(void **state)
{
	static const struct {
		const char *text;
		enum rc rc;
		unsigned code, lines;
		const char *said;
	} cases[] = {
		{ "250 2.1.0 Ok\r\n", RC_OK, 250, 1, "Ok" }, { "250\r\n", RC_OK, 250, 1, "" }, { "250 \r\n", RC_OK, 250, 1, "" },
		{ "550-5.1.1 No\r\n550 5.1.1 such user\r\n", RC_OK, 550, 2, "No such user" },
		/* What is said of a reply without a code stays where a server says it (RFC 3461 9.2). */
		{ "550-5.0.0 No\r\n550 such user\r\n", RC_OK, 550, 2, "5.0.0 No such user" },
		{ "450 4.0.0\r\n", RC_OK, 450, 1, "4.0.0" }, { "250 2.0.0 Ok\r\n", RC_OK, 250, 1, "Ok" },
		{ "250-a\r\n", RC_MORE, 0, 0, NULL },
		{ "250 a", RC_MORE, 0, 0, NULL }, { "", RC_MORE, 0, 0, NULL }, { "250-a\r\n251 b\r\n", RC_SYNTAX, 0, 0, NULL },
		{ "250 a\n", RC_SYNTAX, 0, 0, NULL }, { "199 a\r\n", RC_SYNTAX, 0, 0, NULL },
		{ "600 a\r\n", RC_SYNTAX, 0, 0, NULL },
		{ "25 a\r\n", RC_SYNTAX, 0, 0, NULL }, { "2500\r\n", RC_SYNTAX, 0, 0, NULL }, { "\r\n", RC_SYNTAX, 0, 0, NULL },
		{ "550 4.1.1 odd\r\n", RC_OK, 550, 1, "4.1.1 odd" }, { "550 gr\xc3\xbc\x1b[0m\r\n", RC_OK, 550, 1, "gr???[0m" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct buf to = BUF_INIT(1024);
		struct smtp_reply r;
		enum rc rc = parse(slice_str(cases[i].text), &r);

		if (rc != cases[i].rc)
			fail_msg("%s: %s", cases[i].text, rc_name(rc));
		if (rc == RC_OK) {
			assert_int_equal(r.code, cases[i].code);
			assert_int_equal(r.n_lines, cases[i].lines);
			assert_true(smtp_reply_text_put(&to, &r, 500));
			holds(&to, cases[i].said);
		}
		buf_free(&to);
	}
}

static void
there_is_an_end_to_everything(void **state)
{
	struct buf many = BUF_INIT(1 << 20);
	struct smtp_reply r;

	(void)state;
	for (size_t n = 2041; n <= 2044; n++) {
		buf_clear(&many);
		(void)buf_put_str(&many, "250 ");
		(void)buf_put_slice(&many, repeat('x', n, "\r\n"));
		assert_int_equal(parse(buf_slice(&many), &r), n + 6 <= SMTP_REPLY_LINE_MAX ? RC_OK : RC_RANGE);
	}
	for (unsigned lines = SMTP_REPLY_LINES_MAX; lines <= SMTP_REPLY_LINES_MAX + 1; lines++) {
		buf_clear(&many);
		for (unsigned i = 1; i < lines; i++)
			(void)buf_put_str(&many, "250-x\r\n");
		(void)buf_put_str(&many, "250 x\r\n");
		assert_int_equal(parse(buf_slice(&many), &r), lines <= SMTP_REPLY_LINES_MAX ? RC_OK : RC_RANGE);
	}
	assert_int_equal(parse(repeat('2', SMTP_REPLY_LINE_MAX, ""), &r), RC_RANGE);
	buf_free(&many);
}

/* shows: RFC5321 4.1.1.1/8 */
static void
ehlo_keywords(void **state)
{
	struct smtp_ehlo_line line;
	struct smtp_reply r;
	struct slice rest;
	bool first = true;

	(void)state;
	assert_int_equal(parse(S("250-mx.test greets\r\n250-SIZE 1000\r\n250-AUTH=LOGIN PLAIN\r\n250-\x80\r\n250 8bitmime\r\n"),
	    &r), RC_OK);
	rest = r.lines;
	assert_true(smtp_ehlo_next(&rest, &first, &line) && slice_eq(line.keyword, S("SIZE")) &&
	    slice_eq(line.params, S("1000")));
	assert_true(smtp_ehlo_next(&rest, &first, &line) && slice_eq(line.keyword, S("AUTH")) &&
	    slice_eq(line.params, S("LOGIN PLAIN")));
	assert_true(smtp_ehlo_next(&rest, &first, &line) && slice_caseeq(line.keyword, S("8BITMIME")));
	assert_false(smtp_ehlo_next(&rest, &first, &line));
}

static void
enhanced_codes(void **state)
{
	static const char *const good[] = { "2.0.0", "4.7.23", "5.999.999" };
	static const char *const bad[] = { "", "1.0.0", "3.0.0", "5.0", "5.1.1 ", "5.01.1", "5.1.1000", "5..1", "5.1.", " 5.1.1",
	    "5.1.1.1" };
	struct enhanced e;
	char out[ENHANCED_TEXT_MAX];

	(void)state;
	for (size_t i = 0; i < COUNT(good); i++) {
		assert_int_equal(enhanced_parse(slice_str(good[i]), &e), RC_OK);
		assert_int_equal(enhanced_format(e, out), strlen(good[i]));
		assert_string_equal(out, good[i]);
	}
	for (size_t i = 0; i < COUNT(bad); i++)
		if (enhanced_parse(slice_str(bad[i]), &e) == RC_OK)
			fail_msg("%s passed", bad[i]);
	assert_int_equal(enhanced_prefix(S("5.1.1  x"), &e), 7);
	assert_int_equal(enhanced_prefix(S("5.1.1x"), &e), 0);
	assert_true(enhanced_agrees(ENHANCED(5, 1, 1), 550) && !enhanced_agrees(ENHANCED(5, 1, 1), 450));
	assert_int_equal(enhanced_of_code(354).class, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(replies_are_read),
		cmocka_unit_test(there_is_an_end_to_everything),
		cmocka_unit_test(ehlo_keywords),
		cmocka_unit_test(enhanced_codes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
