/* tests/smtpd/test_names.c -- the name of a client: when it is asked for, and what the router hears of it. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "tests/smtpd/fakes.h"

#include "smtpd/deadline.h"
#include "smtpd/lookups.h"
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

static void
asks_and_waits(struct fakes *f)
{
	fakes_start(f, NULL);
	f->resolver_silent = true;
	(void)fakes_connect(f, "192.0.2.7");
	fakes_hear(f, "220 *");
	fakes_say(f, "VRFY alice\r\n");
	fakes_hear_nothing(f);
	assert_int_equal(f->n_forgotten, 0);
}

static void
forgotten_once(struct fakes *f)
{
	fakes_settle(f);
	assert_int_equal(f->n_forgotten, 1);
	assert_int_equal(f->last_forgotten, f->last_ptr);
}

static void
a_session_that_ends_takes_its_question_back(void **state)
{
	struct fakes f;

	(void)state;
	asks_and_waits(&f);
	session_end(f.smtpd.sessions, "as when sessions run out");
	forgotten_once(&f);
	assert_true(fakes_closed(&f, FAKES_PATIENCE_MS));
	fakes_stop(&f);
}

static void
a_question_that_nobody_waits_for_any_more_is_taken_back(void **state)
{
	uint32_t first;
	struct fakes f;

	(void)state;
	asks_and_waits(&f);
	first = f.last_ptr;
	lookup_name_unanswered(f.smtpd.sessions);
	fakes_hear(&f, "252 *");
	forgotten_once(&f);
	/* The next one has another number, and the late answer to the first finds nobody. */
	f.smtpd.sessions->name_since -= NAME_AGAIN_MS;
	fakes_say(&f, "VRFY alice\r\n");
	fakes_hear_nothing(&f);
	assert_int_not_equal(f.last_ptr, first);
	assert_int_equal(v_name_send(f.resolver, first, &(struct v_name){ DNS_OK, 0, S("other.example.net") }), RC_OK);
	fakes_hear_nothing(&f);
	assert_int_equal(v_name_send(f.resolver, f.last_ptr, &(struct v_name){ DNS_OK, 0, S("client.example.net") }), RC_OK);
	fakes_hear(&f, "252 *");
	assert_string_equal(f.smtpd.sessions->name, "client.example.net");
	assert_int_equal(f.n_forgotten, 1);
	fakes_stop(&f);
}

static void
what_is_answered_is_not_taken_back(void **state)
{
	static const enum dns_status fails[] = { (enum dns_status)0, DNS_NXDOMAIN, DNS_TEMPORARY, (enum dns_status)99 };
	struct fakes f;

	(void)state;
	for (size_t i = 0; i < sizeof fails / sizeof fails[0]; i++) {
		fakes_start(&f, NULL);
		f.resolver_fails = fails[i];
		(void)fakes_connect(&f, "192.0.2.7");
		fakes_hear(&f, "220 *");
		fakes_say(&f, "VRFY alice\r\nQUIT\r\n");
		fakes_hear(&f, "252 *");
		fakes_hear(&f, "221 *");
		assert_true(fakes_closed(&f, FAKES_PATIENCE_MS));
		assert_int_not_equal(f.last_ptr, 0);
		assert_int_equal(f.n_forgotten, 0);
		fakes_stop(&f);
	}
}

static void
a_line_that_is_gone_is_told_nothing(void **state)
{
	struct fakes f;

	(void)state;
	asks_and_waits(&f);
	fakes_resolver(&f, false);
	fakes_hear(&f, "252 *");
	fakes_resolver(&f, true);
	session_end(f.smtpd.sessions, "over");
	fakes_settle(&f);
	assert_int_equal(f.n_forgotten, 0);
	fakes_stop(&f);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(mail_waits_for_the_clients_name),
		cmocka_unit_test(a_name_that_there_is_not_is_no_name_that_cannot_be_found),
		cmocka_unit_test(without_a_resolver_names_cannot_be_found),
		cmocka_unit_test(a_session_that_ends_takes_its_question_back),
		cmocka_unit_test(a_question_that_nobody_waits_for_any_more_is_taken_back),
		cmocka_unit_test(what_is_answered_is_not_taken_back),
		cmocka_unit_test(a_line_that_is_gone_is_told_nothing),
	};

	(void)signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
