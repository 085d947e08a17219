/* tests/wire/test_smtp_line.c -- command lines and what stands in them. */
#include "common/wire/smtp_command.h"
#include "common/wire/smtp_line.h"
#include "common/wire/smtp_param.h"
#include "tests/wire/check.h"

static enum smtp_line_result
first_of(struct slice s, size_t limit, struct slice *ret_line)
{
	struct smtp_line_scan scan = { 0 };
	size_t used;

	return smtp_line_next(&scan, s, limit, ret_line, &used);
}

/* shows: RFC5321 2.3.8/1, RFC5321 2.4/4 */
static void
only_crlf_ends_a_line(void **state)
{
	struct slice line = { NULL, 0 };

	(void)state;
	assert_int_equal(first_of(S("NOOP\r\nQ"), 512, &line), SMTP_LINE_OK);
	assert_true(slice_eq(line, S("NOOP")));
	assert_int_equal(first_of(S("\r\n"), 512, &line), SMTP_LINE_OK);
	assert_int_equal(line.n, 0);
	assert_int_equal(first_of(S("NOOP\r"), 512, &line), SMTP_LINE_MORE);
	assert_int_equal(first_of(S("NOOP"), 512, &line), SMTP_LINE_MORE);
	assert_int_equal(first_of(S(""), 512, &line), SMTP_LINE_MORE);
	assert_int_equal(first_of(S("NOOP\n"), 512, &line), SMTP_LINE_BARE_LF);
	assert_int_equal(first_of(S("\n"), 512, &line), SMTP_LINE_BARE_LF);
	assert_int_equal(first_of(S("NO\rOP\r\n"), 512, &line), SMTP_LINE_BARE_CR);
	assert_int_equal(first_of(S("NOOP\r\r\n"), 512, &line), SMTP_LINE_BARE_CR);
	assert_int_equal(first_of(S("NO\0OP\r\n"), 512, &line), SMTP_LINE_NUL);
}

/* RFC 5321 4.5.3.1.4: 512 octets with CRLF.
 * shows: RFC5321 4.5.3.1.4/1 */
static void
the_limit_counts_the_crlf(void **state)
{
	struct slice line = { NULL, 0 };
	struct smtp_line_scan scan = { 0 };
	size_t used, passed = 0;

	(void)state;
	assert_int_equal(first_of(repeat('x', 510, "\r\n"), 512, &line), SMTP_LINE_OK);
	assert_int_equal(line.n, 510);
	assert_int_equal(first_of(repeat('x', 511, "\r\n"), 512, &line), SMTP_LINE_LONG);
	while (smtp_line_next(&scan, repeat('x', 1000, ""), 512, &line, &used) == SMTP_LINE_MORE) {
		assert_int_equal(used, 1000);
		passed += used;
		assert_true(passed <= SMTP_LINE_DISCARD_MAX + 1000);
	}
	assert_true(passed + 1000 > SMTP_LINE_DISCARD_MAX);
	scan = (struct smtp_line_scan){ 0 };
	assert_int_equal(smtp_line_next(&scan, repeat('x', 1000, ""), 512, &line, &used), SMTP_LINE_MORE);
	assert_int_equal(smtp_line_next(&scan, S("x\r\nNOOP\r\n"), 512, &line, &used), SMTP_LINE_LONG);
	assert_int_equal(used, 3);
	assert_int_equal(smtp_line_next(&scan, S("NOOP\r\n"), 512, &line, &used), SMTP_LINE_OK);
}

static void
verbs_and_arguments(void **state)
{
	struct smtp_command c;

	(void)state;
	assert_int_equal(smtp_command_parse(S("MAIL FROM:<a@b>  "), &c), RC_OK);
	assert_true(slice_eq(c.verb, S("MAIL")) && slice_eq(c.arg, S("FROM:<a@b>")));
	assert_int_equal(smtp_command_parse(S("noop"), &c), RC_OK);
	assert_int_equal(c.arg.n, 0);
	assert_int_equal(smtp_command_parse(S(""), &c), RC_SYNTAX);
	assert_int_equal(smtp_command_parse(S(" NOOP"), &c), RC_SYNTAX);
	assert_int_equal(smtp_command_parse(S("NOOP\tx"), &c), RC_SYNTAX);
	assert_int_equal(smtp_command_parse(S("NO:OP"), &c), RC_SYNTAX);
	assert_int_equal(smtp_command_parse(S("NOOP \x80"), &c), RC_SYNTAX);
	assert_int_equal(smtp_command_parse(S("1NOOP"), &c), RC_SYNTAX);
}

static void
parameters(void **state)
{
	struct smtp_path p;
	struct smtp_param param;
	struct slice rest;
	struct buf many = BUF_INIT(4096);
	uint64_t n;

	(void)state;
	assert_int_equal(smtp_mail_parse(S("from:<a@b.test> SIZE=10  BODY=8BITMIME X"), &p), RC_OK);
	rest = p.params;
	assert_true(smtp_param_next(&rest, &param) && slice_eq(param.keyword, S("SIZE")) && slice_eq(param.value, S("10")));
	assert_true(smtp_param_next(&rest, &param) && slice_eq(param.value, S("8BITMIME")));
	assert_true(smtp_param_next(&rest, &param) && !param.has_value);
	assert_false(smtp_param_next(&rest, &param));
	assert_int_equal(smtp_mail_parse(S("FROM:<a@b.test>SIZE=1"), &p), RC_SYNTAX);
	assert_int_equal(smtp_mail_parse(S("FROM:<a@b.test> SIZE="), &p), RC_SYNTAX);
	assert_int_equal(smtp_mail_parse(S("FROM:<a@b.test> SIZE=1 size=2"), &p), RC_SYNTAX);
	assert_int_equal(smtp_mail_parse(S("FROM:<a@b.test> A=b=c"), &p), RC_SYNTAX);
	assert_int_equal(smtp_mail_parse(S("FROM :<a@b.test>"), &p), RC_SYNTAX);
	assert_int_equal(smtp_mail_parse(S("TO:<a@b.test>"), &p), RC_SYNTAX);
	assert_int_equal(smtp_rcpt_parse(S("TO:<>"), &p), RC_SYNTAX);
	for (int i = 0; i <= SMTP_PARAMS_MAX; i++) {
		buf_clear(&many);
		(void)buf_put_str(&many, "FROM:<a@b.test>");
		for (int k = 0; k < SMTP_PARAMS_MAX - 1 + (i > 0); k++)
			(void)buf_printf(&many, " K%d", k);
		assert_int_equal(smtp_mail_parse(buf_slice(&many), &p), RC_OK);
	}
	(void)buf_put_str(&many, " LAST");
	assert_int_equal(smtp_mail_parse(buf_slice(&many), &p), RC_SYNTAX);
	assert_int_equal(smtp_size_parse(S("18446744073709551615"), &n), RC_OK);
	assert_true(n == UINT64_MAX);
	assert_int_equal(smtp_size_parse(S("18446744073709551616"), &n), RC_RANGE);
	assert_int_equal(smtp_size_parse(S("00000000000000000001"), &n), RC_OK);
	assert_int_equal(smtp_size_parse(S("000000000000000000001"), &n), RC_SYNTAX);
	assert_int_equal(smtp_size_parse(S("-1"), &n), RC_SYNTAX);
	assert_int_equal(smtp_size_parse(S(""), &n), RC_SYNTAX);
	buf_free(&many);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(only_crlf_ends_a_line),
		cmocka_unit_test(the_limit_counts_the_crlf),
		cmocka_unit_test(verbs_and_arguments),
		cmocka_unit_test(parameters),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
