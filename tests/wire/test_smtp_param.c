/* tests/wire/test_smtp_param.c -- the values of extension parameters: what is taken, what is refused, and the edges. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "common/wire/date.h"
#include "common/wire/smtp_param.h"

#include <string.h>

/* shows: RFC1870 4/1 */
static void
sizes(void **state)
{
	uint64_t n = 7;

	(void)state;
	assert_int_equal(smtp_size_parse(S("18446744073709551615"), &n), RC_OK);
	assert_true(n == UINT64_MAX);
	assert_int_equal(smtp_size_parse(S("18446744073709551616"), &n), RC_RANGE);
	assert_int_equal(smtp_size_parse(S("000000000000000000001"), &n), RC_SYNTAX);
	assert_int_equal(smtp_size_parse(S("1 "), &n), RC_SYNTAX);
	assert_true(n == UINT64_MAX);
}

static void
bodies(void **state)
{
	enum smtp_body body;

	(void)state;
	assert_int_equal(smtp_body_parse(S("7bit"), &body), RC_OK);
	assert_int_equal(body, SMTP_BODY_7BIT);
	assert_int_equal(smtp_body_parse(S("8BITMIME"), &body), RC_OK);
	assert_int_equal(body, SMTP_BODY_8BITMIME);
	assert_int_equal(smtp_body_parse(S("BinaryMime"), &body), RC_OK);
	assert_int_equal(body, SMTP_BODY_BINARYMIME);
	assert_int_equal(smtp_body_parse(S("8BIT"), &body), RC_SYNTAX);
	assert_int_equal(smtp_body_parse(S(""), &body), RC_SYNTAX);
}

static void
chunks(void **state)
{
	static const struct {
		struct slice arg;
		enum rc rc;
		uint64_t size;
		bool last;
	} cases[] = {
		{ SLICE("0"), RC_OK, 0, false },
		{ SLICE("0 LAST"), RC_OK, 0, true },
		{ SLICE("86  last"), RC_OK, 86, true },
		{ SLICE("00000000000000000000000000000000012"), RC_OK, 12, false },
		{ SLICE("18446744073709551615"), RC_OK, UINT64_MAX, false },
		{ SLICE("18446744073709551616"), RC_RANGE, 0, false },
		{ SLICE(""), RC_SYNTAX, 0, false },
		{ SLICE("LAST"), RC_SYNTAX, 0, false },
		{ SLICE("1LAST"), RC_SYNTAX, 0, false },
		{ SLICE("1 LAST LAST"), RC_SYNTAX, 0, false },
		{ SLICE("-1"), RC_SYNTAX, 0, false },
		{ SLICE("0x10"), RC_SYNTAX, 0, false },
		{ SLICE("1\0"), RC_SYNTAX, 0, false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		uint64_t size = 7;
		bool last = true;

		assert_int_equal(smtp_bdat_parse(cases[i].arg, &size, &last), cases[i].rc);
		assert_true(size == (cases[i].rc == RC_OK ? cases[i].size : 7));
		if (cases[i].rc == RC_OK)
			assert_int_equal(last, cases[i].last);
	}
}

/* shows: RFC4954 5/1, RFC4954 5/2 */
static void
auth(void **state)
{
	(void)state;
	assert_int_equal(smtp_auth_parse(S("<>")), RC_OK);
	assert_int_equal(smtp_auth_parse(S("e+3Dmc2@example.com")), RC_OK);	/* the RFC's own example */
	assert_int_equal(smtp_auth_parse(S("")), RC_SYNTAX);
	assert_int_equal(smtp_auth_parse(S("<")), RC_SYNTAX);
	assert_int_equal(smtp_auth_parse(S("nobody")), RC_SYNTAX);
	assert_int_equal(smtp_auth_parse(S("a@b.example+0D+0A")), RC_SYNTAX);
	assert_int_equal(smtp_auth_parse(S("e+3dmc2@example.com")), RC_OK);	/* RFC 4954 8: hexchar in either case */
	assert_int_equal(smtp_auth_parse(S("e+3gmc2@example.com")), RC_SYNTAX);
	assert_int_equal(smtp_envid_parse(S("a+3db")), RC_SYNTAX);		/* RFC 3461 4: upper case */
}

/* shows: RFC3461 4/1 */
static void
xtext(void **state)
{
	struct buf b = BUF_INIT(64);

	(void)state;
	assert_int_equal(smtp_envid_parse(S("a+2Bb+3D+20!~")), RC_OK);
	assert_int_equal(smtp_envid_parse(S("a+2b")), RC_SYNTAX);		/* upper case only */
	assert_int_equal(smtp_envid_parse(S("a+2")), RC_SYNTAX);
	assert_int_equal(smtp_envid_parse(S("a+")), RC_SYNTAX);
	assert_int_equal(smtp_envid_parse(S("a=b")), RC_SYNTAX);
	assert_int_equal(smtp_envid_parse(S("a b")), RC_SYNTAX);
	assert_int_equal(smtp_envid_parse(S("\xc3\xa4")), RC_SYNTAX);
	assert_true(smtp_xtext_decode(&b, S("a+2Bb+3D+20!~")));
	assert_true(slice_eq(buf_slice(&b), S("a+b= !~")));
	buf_free(&b);
}

/* shows: RFC3461 4.4/1, RFC3461 4.2/1 */
static void
envelope_ids_and_original_recipients(void **state)
{
	uint8_t text[SMTP_ORCPT_MAX + 1];
	struct slice type, value;

	(void)state;
	memset(text, 'x', sizeof text);
	assert_int_equal(smtp_envid_parse(slice_of(text, SMTP_ENVID_MAX)), RC_OK);
	assert_int_equal(smtp_envid_parse(slice_of(text, SMTP_ENVID_MAX + 1)), RC_RANGE);
	assert_int_equal(smtp_envid_parse(S("")), RC_SYNTAX);
	/* No line of a report may begin in it (THREATS 15). */
	assert_int_equal(smtp_envid_parse(S("a+0D+0Ab")), RC_SYNTAX);
	assert_int_equal(smtp_envid_parse(S("a+00")), RC_SYNTAX);
	assert_int_equal(smtp_envid_parse(S("a+FF")), RC_SYNTAX);
	assert_int_equal(smtp_orcpt_parse(S("rfc822;a+2Bb@c.example"), &type, &value), RC_OK);
	assert_true(slice_eq(type, S("rfc822")) && slice_eq(value, S("a+2Bb@c.example")));
	/* RFC 6533 3: in three forms. */
	assert_int_equal(smtp_orcpt_parse(S("utf-8;+C3+A4@c.example"), &type, &value), RC_OK);
	assert_int_equal(smtp_orcpt_parse(S("utf-8;\\x{E4}@c.example"), &type, &value), RC_OK);
	assert_int_equal(smtp_orcpt_parse(S("UTF-8;\xc3\xa4@c.example"), &type, &value), RC_OK);
	assert_true(slice_eq(value, S("\xc3\xa4@c.example")));
	assert_int_equal(smtp_orcpt_parse(S("utf-8;\xe4@c.example"), &type, &value), RC_SYNTAX);
	assert_int_equal(smtp_orcpt_parse(S("utf-8;\xc2\x85@c.example"), &type, &value), RC_SYNTAX);
	assert_int_equal(smtp_orcpt_parse(S("rfc822;\xc3\xa4@c.example"), &type, &value), RC_SYNTAX);
	assert_int_equal(smtp_orcpt_parse(S("\xc3\xa4;a@c.example"), &type, &value), RC_SYNTAX);
	assert_int_equal(smtp_envid_parse(S("\xc3\xa4")), RC_SYNTAX);
	assert_int_equal(smtp_orcpt_parse(S("rfc822;+C3+A4@c.example"), &type, &value), RC_SYNTAX);
	assert_int_equal(smtp_orcpt_parse(S("rfc822;a+0Ab"), &type, &value), RC_SYNTAX);
	assert_int_equal(smtp_orcpt_parse(S("rfc822"), &type, &value), RC_SYNTAX);
	assert_int_equal(smtp_orcpt_parse(S("rfc822;"), &type, &value), RC_SYNTAX);
	assert_int_equal(smtp_orcpt_parse(S(";a@b"), &type, &value), RC_SYNTAX);
	assert_int_equal(smtp_orcpt_parse(S("rfc 822;a@b"), &type, &value), RC_SYNTAX);
	memcpy(text, "x;", 2);
	assert_int_equal(smtp_orcpt_parse(slice_of(text, SMTP_ORCPT_MAX), &type, &value), RC_OK);
	assert_int_equal(smtp_orcpt_parse(slice_of(text, SMTP_ORCPT_MAX + 1), &type, &value), RC_RANGE);
}

/* shows: RFC3461 4.1/1, RFC3461 4.1/2, RFC3461 4.3/1 */
static void
notify_and_ret(void **state)
{
	static const struct {
		struct slice value;
		enum rc rc;
		uint8_t bits;
	} cases[] = {
		{ SLICE("NEVER"), RC_OK, SMTP_NOTIFY_NEVER },
		{ SLICE("success"), RC_OK, SMTP_NOTIFY_SUCCESS },
		{ SLICE("SUCCESS,delay,Success"), RC_OK, SMTP_NOTIFY_SUCCESS | SMTP_NOTIFY_DELAY },
		{ SLICE("Failure,DELAY"), RC_OK, SMTP_NOTIFY_FAILURE | SMTP_NOTIFY_DELAY },
		{ SLICE("SUCCESS,FAILURE,DELAY"), RC_OK, SMTP_NOTIFY_SUCCESS | SMTP_NOTIFY_FAILURE | SMTP_NOTIFY_DELAY },
		{ SLICE("NEVER,FAILURE"), RC_SYNTAX, 7 },
		{ SLICE("FAILURE,NEVER"), RC_SYNTAX, 7 },
		{ SLICE("FAILURE,FAILURE"), RC_OK, SMTP_NOTIFY_FAILURE },
		{ SLICE("FAILURE,"), RC_SYNTAX, 7 },
		{ SLICE(",FAILURE"), RC_SYNTAX, 7 },
		{ SLICE("FAIL"), RC_SYNTAX, 7 },
		{ SLICE(""), RC_SYNTAX, 7 },
	};
	enum smtp_ret ret = SMTP_RET_NONE;

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		uint8_t bits = 7;

		assert_int_equal(smtp_notify_parse(cases[i].value, &bits), cases[i].rc);
		assert_int_equal(bits, cases[i].bits);
	}
	assert_int_equal(smtp_ret_parse(S("full"), &ret), RC_OK);
	assert_int_equal(ret, SMTP_RET_FULL);
	assert_int_equal(smtp_ret_parse(S("HDRS"), &ret), RC_OK);
	assert_int_equal(ret, SMTP_RET_HDRS);
	assert_int_equal(smtp_ret_parse(S("BODY"), &ret), RC_SYNTAX);
}

/* shows: RFC2852 4/1 */
static void
deliver_by(void **state)
{
	static const struct slice bad[] = { SLICE(""), SLICE("120"), SLICE("120;"), SLICE("120;X"), SLICE("120;RX"),
		SLICE("120;RTT"), SLICE("0;R"), SLICE("-5;R"), SLICE("1234567890;N"), SLICE(";N"), SLICE("+;N"), SLICE("1.5;N") };
	struct smtp_by by;

	(void)state;
	assert_int_equal(smtp_by_parse(S("120;R"), &by), RC_OK);
	assert_true(by.seconds == 120 && !by.notify && !by.trace);
	assert_int_equal(smtp_by_parse(S("+999999999;nt"), &by), RC_OK);
	assert_true(by.seconds == 999999999 && by.notify && by.trace);
	assert_int_equal(smtp_by_parse(S("-999999999;N"), &by), RC_OK);
	assert_true(by.seconds == -999999999 && by.notify && !by.trace);
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		assert_int_equal(smtp_by_parse(bad[i], &by), RC_SYNTAX);
}

/* shows: RFC4865 4.2/7, RFC6710 5/1 */
static void
holds_and_priorities(void **state)
{
	static const struct slice bad[] = { SLICE(""), SLICE("10"), SLICE("-0"), SLICE("-10"), SLICE("+1"), SLICE("a"),
	    SLICE("-") };
	uint32_t seconds;
	int8_t priority;

	(void)state;
	assert_int_equal(smtp_holdfor_parse(S("999999999"), &seconds), RC_OK);
	assert_int_equal(seconds, 999999999);
	assert_int_equal(smtp_holdfor_parse(S("0"), &seconds), RC_SYNTAX);
	assert_int_equal(smtp_holdfor_parse(S("01"), &seconds), RC_SYNTAX);
	assert_int_equal(smtp_holdfor_parse(S("1000000000"), &seconds), RC_SYNTAX);
	assert_int_equal(smtp_priority_parse(S("-9"), &priority), RC_OK);
	assert_int_equal(priority, -9);
	assert_int_equal(smtp_priority_parse(S("0"), &priority), RC_OK);
	assert_int_equal(priority, 0);
	assert_int_equal(smtp_priority_parse(S("9"), &priority), RC_OK);
	assert_int_equal(priority, 9);
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		assert_int_equal(smtp_priority_parse(bad[i], &priority), RC_SYNTAX);
}

static void
times(void **state)
{
	static const struct slice bad[] = { SLICE(""), SLICE("2026-11-23"), SLICE("2026-11-23T20:24:44"),
		SLICE("2026-11-23T20:24:44+01:00"), SLICE("2026-13-23T20:24:44Z"), SLICE("2026-11-31T20:24:44Z"),
		SLICE("2026-02-29T20:24:44Z"), SLICE("2026-11-23T24:00:00Z"), SLICE("2026-11-23T20:60:00Z"),
		SLICE("2026-11-23 20:24:44Z"), SLICE("2026-11-23T20:24:44.Z"), SLICE("2026-11-23T20:24:44ZZ"),
		SLICE("02026-11-23T20:24:44Z"), SLICE("2026-00-23T20:24:44Z"), SLICE("2026-11-00T20:24:44Z") };
	int64_t s = 7;

	(void)state;
	assert_int_equal(date_rfc3339_parse(S("1970-01-01T00:00:00Z"), &s), RC_OK);
	assert_true(s == 0);
	assert_int_equal(date_rfc3339_parse(S("2024-02-29t23:59:60.125z"), &s), RC_OK);
	assert_true(s == 1709251201);		/* RFC 4865 4.2: nothing is let go before its time */
	assert_int_equal(date_rfc3339_parse(S("2024-02-29T23:59:59.000Z"), &s), RC_OK);
	assert_true(s == 1709251199);
	assert_int_equal(date_rfc3339_parse(S("2024-02-29T23:59:59.0001Z"), &s), RC_OK);
	assert_true(s == 1709251200);
	assert_int_equal(date_rfc3339_parse(S("0000-01-01T00:00:00Z"), &s), RC_OK);
	assert_true(s == INT64_C(-62167219200));
	assert_int_equal(date_rfc3339_parse(S("9999-12-31T23:59:59Z"), &s), RC_OK);
	assert_true(s == INT64_C(253402300799));
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		assert_int_equal(date_rfc3339_parse(bad[i], &s), RC_SYNTAX);
	/* Every day of four hundred years, there and back. */
	for (int64_t day = -200000; day < 200000; day += 13) {
		char text[DATE_ISO8601_MAX];
		size_t n = date_iso8601(text, day * 86400 * 1000000, 0);

		assert_int_equal(date_rfc3339_parse(slice_of(text, n), &s), RC_OK);
		assert_true(s == day * 86400);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sizes),
		cmocka_unit_test(bodies),
		cmocka_unit_test(chunks),
		cmocka_unit_test(auth),
		cmocka_unit_test(xtext),
		cmocka_unit_test(envelope_ids_and_original_recipients),
		cmocka_unit_test(notify_and_ret),
		cmocka_unit_test(deliver_by),
		cmocka_unit_test(holds_and_priorities),
		cmocka_unit_test(times),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
