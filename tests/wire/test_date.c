/* tests/wire/test_date.c -- dates against the C library's, over the whole range of years. */
#include "common/wire/date.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

static const int64_t first = -INT64_C(62167219200), last = INT64_C(253402300799);

static void
check(int64_t at)
{
	char ours[DATE_RFC5322_MAX], theirs[64];
	time_t t = (time_t)at;
	struct tm tm;

	assert_non_null(gmtime_r(&t, &tm));
	assert_true(strftime(theirs, sizeof theirs, "%a, %d %b %Y %H:%M:%S +0000", &tm) > 0);
	/* strftime does not fill years below 1000 with zeros. */
	if (tm.tm_year + 1900 < 1000)
		(void)snprintf(strchr(theirs, ',') + 9, 32, "%04d %02d:%02d:%02d +0000", tm.tm_year + 1900, tm.tm_hour, tm.tm_min,
		    tm.tm_sec);
	(void)date_rfc5322(ours, at, 0, NULL);
	if (strncmp(ours, theirs, strlen(theirs)) != 0)
		fail_msg("%lld: %s, not %s", (long long)at, ours, theirs);
}

static void
test_every_third_day(void **state)
{
	(void)state;
	for (int64_t at = first; at <= last; at += 3 * 86400 - 1)
		check(at);
	check(last);
}

static void
test_zones(void **state)
{
	char out[DATE_RFC5322_MAX], iso[DATE_ISO8601_MAX];

	(void)state;
	(void)date_rfc5322(out, 951782400, 90, "CET");		/* 2000-02-29 00:00 UTC */
	assert_string_equal(out, "Tue, 29 Feb 2000 01:30:00 +0130 (CET)");
	(void)date_rfc5322(out, 951782400, -1, NULL);
	assert_string_equal(out, "Mon, 28 Feb 2000 23:59:00 -0001");
	(void)date_iso8601(iso, INT64_C(951782400123456), 0);
	assert_string_equal(iso, "2000-02-29T00:00:00.123456Z");
}

/* RFC 5322 3.3, 4.3. */
static void
what_is_a_date(void **state)
{
	static const struct { const char *text; bool good; } cases[] = {
		{ " Thu, 26 Nov 2026 05:00:00 +0000", true }, { "26 Nov 2026 05:00 -0130 (CET)", true },
		{ "Thu,26 Nov 2026 05:00:60 GMT", true }, { "thu (a (b\\)) c), 6 nov 99\r\n 05 : 00 Z", true },
		{ "29 Feb 2024 23:59:59 EST", true }, { "29 Feb 2023 23:59:59 EST", false },
		{ "31 Apr 2026 00:00:00 +0000", false }, { "today", false }, { "", false },
		{ "Thu, 26 Nov 2026 05:00:00", false }, { "26 Nov 2026 24:00:00 +0000", false },
		{ "26 Nov 2026 05:60:00 +0000", false }, { "26 Nov 2026 05:00:61 +0000", false },
		{ "0 Nov 2026 05:00 +0000", false }, { "26 Nov 20261 05:00 +0000", false },
		{ "26 Nov 1899 05:00 +0000", false }, { "26 Now 2026 05:00 +0000", false },
		{ "2026-11-26T05:00:00Z", false }, { "26 Nov 2026 05:00 +00", false },
		{ "26 Nov 2026 05:00 +0060", false }, { "26 Nov 2026 05:00 +0000 (", false },
		{ "26 Nov 2026 05:00 +0000 x", false }, { "26 Nov 2026 05:00 +0000 (\\", false },
		{ "Thu 26 Nov 2026 05:00 +0000", false }, { "26 Nov 2026 05:00 Europe", false },
		{ "26 Nov 2026 5:00 +0000", false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
		if (date_rfc5322_is_valid(slice_str(cases[i].text)) != cases[i].good)
			fail_msg("%s", cases[i].text);
}

/* What is written here is read here. */
static void
what_is_written_is_a_date(void **state)
{
	char out[DATE_RFC5322_MAX];

	(void)state;
	for (int64_t at = 0; at < INT64_C(4102444800); at += 86399 * 17) {
		(void)date_rfc5322(out, at, (int)(at % 1440) - 720, at % 2 == 0 ? "CEST" : NULL);
		assert_true(date_rfc5322_is_valid(slice_str(out)));
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_third_day),
		cmocka_unit_test(test_zones),
		cmocka_unit_test(what_is_a_date),
		cmocka_unit_test(what_is_written_is_a_date),
	};

	return cmocka_run_group_tests_name("date", tests, NULL, NULL);
}
