/* tests/smtpd/test_names.c -- the name of a client: when it is asked for, and what the router hears of it. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "tests/smtpd/fakes.h"

#include "smtpd/deadline.h"
#include "smtpd/session.h"

#include <signal.h>
#include <stdlib.h>

static void
mail_waits_for_the_clients_name(void **state)
{
	struct fakes f;

	(void)state;
	fakes_start(&f, NULL);
	f.resolver_silent = true;
	(void)fakes_connect(&f, "192.0.2.7");
	fakes_say(&f, "HELO client.example\r\nNOOP\r\nMAIL FROM:<a@b.example>\r\n");
	fakes_hear(&f, "220 *");
	fakes_hear(&f, "250 *");
	fakes_hear(&f, "250 2.0.0 *");
	fakes_hear_nothing(&f);
	fakes_resolver(&f, false);
	fakes_hear(&f, "250 2.1.0 *");
	fakes_say(&f, "RCPT TO:<alice@example.org>\r\n");
	fakes_hear(&f, "250 2.1.5 *");
	assert_string_equal(f.last_name, "");
	assert_true(f.last_name_failed);
	assert_string_equal(f.last_helo, "client.example");
	fakes_stop(&f);
}

static void
one_recipient(struct fakes *f)
{
	fakes_say(f, "MAIL FROM:<a@b.example>\r\nRCPT TO:<alice@example.org>\r\nRSET\r\n");
	fakes_hear(f, "250 2.1.0 *");
	fakes_hear(f, "250 2.1.5 *");
	fakes_hear(f, "250 2.0.0 *");
}

/* The router has to know: a rule that asks for the name can be neither obeyed nor passed over. */
static void
a_name_that_there_is_not_is_no_name_that_cannot_be_found(void **state)
{
	static const struct { enum dns_status status; bool failed; } cases[] = {
		{ DNS_NXDOMAIN, false }, { DNS_NODATA, false }, { DNS_TEMPORARY, true }, { DNS_BOGUS, true },
		{ DNS_NULL_MX, true }, { (enum dns_status)99, true },
	};
	struct fakes f;

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		fakes_start(&f, NULL);
		f.resolver_fails = cases[i].status;
		(void)fakes_connect(&f, "192.0.2.7");
		fakes_say(&f, "HELO client.example\r\n");
		fakes_hear(&f, "220 *");
		fakes_hear(&f, "250 *");
		one_recipient(&f);
		assert_string_equal(f.last_name, "");
		assert_int_equal(f.last_name_failed, cases[i].failed);
		/* In the same session it is asked for again after a while, not at once. */
		f.resolver_fails = (enum dns_status)0;
		one_recipient(&f);
		assert_int_equal(f.last_name_failed, cases[i].failed);
		f.smtpd.sessions->name_since -= NAME_AGAIN_MS;
		one_recipient(&f);
		assert_false(f.last_name_failed);
		assert_string_equal(f.last_name, cases[i].failed ? "client.example.net" : "");
		fakes_stop(&f);
	}
}

static void
without_a_resolver_names_cannot_be_found(void **state)
{
	struct fakes f;

	(void)state;
	fakes_start(&f, NULL);
	fakes_resolver(&f, false);
	(void)fakes_connect(&f, "192.0.2.7");
	fakes_say(&f, "HELO client.example\r\n");
	fakes_hear(&f, "220 *");
	fakes_hear(&f, "250 *");
	one_recipient(&f);
	assert_true(f.last_name_failed);
	/* One that is back is asked at the next opportunity. */
	fakes_resolver(&f, true);
	one_recipient(&f);
	assert_false(f.last_name_failed);
	assert_string_equal(f.last_name, "client.example.net");
	fakes_stop(&f);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(mail_waits_for_the_clients_name),
		cmocka_unit_test(a_name_that_there_is_not_is_no_name_that_cannot_be_found),
		cmocka_unit_test(without_a_resolver_names_cannot_be_found),
	};

	(void)signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
