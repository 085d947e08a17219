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

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_third_day),
		cmocka_unit_test(test_zones),
	};

	return cmocka_run_group_tests_name("date", tests, NULL, NULL);
}
