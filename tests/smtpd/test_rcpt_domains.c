/* tests/smtpd/test_rcpt_domains.c -- the domains of a session's recipients, up to the most that there may be. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "common/wire/domain.h"
#include "smtpd/rcpt_domains.h"

#include <stdio.h>
#include <string.h>

static struct slice
domain_of(unsigned i, char text[DOMAIN_MAX + 1])
{
	(void)snprintf(text, DOMAIN_MAX + 1, "%0255u", i);
	return slice_str(text);
}

/* As many as can be set, all of them of the greatest length; shows: RFC9422 4.3/2 */
static void
up_to_the_most(void **state)
{
	struct rcpt_domains *d = NULL;
	char text[DOMAIN_MAX + 2];

	(void)state;
	for (unsigned i = 0; i < 100; i++)
		assert_int_equal(rcpt_domains_take(&d, domain_of(i, text), 100), RC_OK);
	for (unsigned i = 0; i < 100; i++)
		assert_int_equal(rcpt_domains_take(&d, domain_of(i, text), 100), RC_OK);
	assert_int_equal(rcpt_domains_take(&d, S("a.example"), 100), RC_RANGE);
	assert_int_equal(rcpt_domains_take(&d, S(""), 100), RC_OK);
	memset(text, 'a', DOMAIN_MAX + 1);
	assert_int_equal(rcpt_domains_take(&d, slice_of(text, DOMAIN_MAX + 1), 100), RC_RANGE);
	rcpt_domains_free(d);
	rcpt_domains_free(NULL);
}

static void
one(void **state)
{
	struct rcpt_domains *d = NULL;

	(void)state;
	assert_int_equal(rcpt_domains_take(&d, S(""), 1), RC_OK);
	assert_null(d);
	assert_int_equal(rcpt_domains_take(&d, S("a.example"), 1), RC_OK);
	assert_int_equal(rcpt_domains_take(&d, S("b.example"), 1), RC_RANGE);
	assert_int_equal(rcpt_domains_take(&d, S("a.exampl"), 1), RC_RANGE);
	assert_int_equal(rcpt_domains_take(&d, S("a.example"), 1), RC_OK);
	rcpt_domains_free(d);
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(one), cmocka_unit_test(up_to_the_most) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
