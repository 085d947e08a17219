/* tests/deliver/test_session.c -- the real sessions against scripted servers: commands, replies, hosts. What of a message is
 * handed on: test_session_content.c; what ends sessions: test_session_end.c. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "tests/deliver/scene.h"

#include <signal.h>

/* shows: RFC5321 2.2.1/3, RFC5321 2.3.5/2, RFC5321 4.1.1.1/3, RFC5321 4.1.1.1/5, RFC5321 4.1.4/1, RFC5321 4.1.4/6
 * shows: RFC5321 4.1.4/14, RFC5321 4.1.1/4, RFC5321 4.5.3.1.7/3, RFC2920 3.1/1, RFC2920 3.1/4
 * shows: RFC5321 3.3/2, RFC5321 3.3/3, RFC5321 3.6.1/1, RFC5321 3.6.1/3, RFC5321 4.1.1.1/2, RFC5321 4.1.1.10/3
 * shows: RFC5321 4.1.1.3/1, RFC5321 4.1.2/2 */
static void
a_message_goes_out_in_one_pipeline(void **state)
{
	static const char *const scripts[] = { EHLO_PIPE
	    "C:MAIL FROM:<sender@a.test> SIZE=20\r\nC:RCPT TO:<r@b.test>\r\nC:DATA\r\n" MAIL_OK BYE, NULL };
	struct server server;
	struct scene s;

	(void)state;
	scene_open_job(&s, &server, scripts, scene_one);
	scene_until(&s, &s.n_results, 1);
	assert_int_equal(s.results[0].n, 1);
	assert_int_equal(s.results[0].rows[0].index, 10);
	assert_int_equal(s.results[0].rows[0].status, JOB_DELIVERED);
	assert_int_equal(s.results[0].rows[0].code, 250);
	assert_string_equal(s.results[0].rows[0].enhanced, "2.0.0");
	assert_string_equal(s.results[0].rows[0].text, "queued as 7");
	assert_string_equal(s.results[0].host, "mx.b.test");
	assert_true(s.results[0].pull);
	scene_send_idle(&s, 5);
	scene_until(&s, &s.n_closed, 1);
	assert_int_equal(s.closed.status, SESSION_DONE);
	scene_run(&s, 50);
	assert_int_equal(s.deliver.n_sessions, 0);
	assert_true(slice_eq(buf_slice(&server.content), S("Subject: x\r\n\r\n..dot\r\n")));
	server_end(&server);
	scene_close(&s);
}

/* shows: RFC5321 4.3.1/1, RFC5321 4.2.1/2, RFC5321 4.1.1.3/6
 * shows: RFC5321 4.1.1.10/4 */
static void
without_pipelining_each_command_waits(void **state)
{
	static const char *const scripts[] = { EHLO_PLAIN
	    "C:MAIL FROM:<sender@a.test>\r\nQ\nS:250 ok\nC:RCPT TO:<r1@b.test>\r\nQ\nS:250 ok\nC:RCPT TO:<r2@\nQ\nS:251 ok\n"
	    "C:RCPT TO:<r3@\nQ\nS:550 5.1.1 no such user\nC:DATA\nQ\nS:354 go\nD\nS:250 taken\nC:QUIT\r\nQ\nS:221 bye\n", NULL };
	struct server server;
	struct scene s;

	(void)state;
	scene_open_job(&s, &server, scripts, scene_three);
	scene_until(&s, &s.n_results, 1);
	assert_int_equal(s.results[0].n, 3);
	assert_int_equal(s.results[0].rows[0].status, JOB_DELIVERED);
	assert_string_equal(s.results[0].rows[0].enhanced, "2.0.0");
	assert_int_equal(s.results[0].rows[1].status, JOB_DELIVERED);
	assert_int_equal(s.results[0].rows[2].status, JOB_FAILED);
	assert_int_equal(s.results[0].rows[2].code, 550);
	assert_string_equal(s.results[0].rows[2].enhanced, "5.1.1");
	assert_string_equal(s.results[0].rows[2].text, "no such user");
	scene_close_idle(&s, &server);
}

/* shows: RFC5321 2.2.1/4, RFC5321 3.2/2 */
static void
helo_for_an_old_server(void **state)
{
	static const char *const scripts[] = { "S:220 old\nC:EHLO\nS:500 what?\nC:HELO client.test\nS:250 old\n"
	    "C:MAIL FROM:<sender@a.test>\r\nS:250 ok\nC:RCPT\nS:250 ok\nC:DATA\nS:354 go\nD\nS:250 taken\n" BYE, NULL };
	struct server server;
	struct scene s;

	(void)state;
	scene_open_job(&s, &server, scripts, scene_one);
	scene_until(&s, &s.n_results, 1);
	assert_int_equal(s.results[0].rows[0].status, JOB_DELIVERED);
	scene_close_idle(&s, &server);
}

/* shows: RFC5321 4.2.1/1, RFC5321 4.2.1/2, RFC5321 4.5.3.1.10/1, RFC5321 4.2/5, RFC2920 3.1/2 */
static void
each_recipient_has_its_own_outcome(void **state)
{
	static const char *const scripts[] = { EHLO_PIPE
	    "C:MAIL\nC:RCPT\nC:RCPT\nC:RCPT\nC:DATA\nS:250 ok\nS:250 ok\nS:552 5.2.2 too many\nS:550-5.1.1 gone\n"
	    "S:550 5.1.1 for good\nS:354 go\nD\nS:451 4.3.0 later\n"
	    /* the same session goes on without RSET */
	    "C:MAIL\nC:RCPT\nC:DATA\n" MAIL_OK BYE, NULL };
	struct server server;
	struct scene s;

	(void)state;
	scene_open_job(&s, &server, scripts, scene_three);
	scene_until(&s, &s.n_results, 1);
	assert_int_equal(s.results[0].n, 3);
	assert_int_equal(s.results[0].rows[0].status, JOB_DEFERRED);
	assert_int_equal(s.results[0].rows[0].code, 451);
	assert_int_equal(s.results[0].rows[1].status, JOB_DEFERRED);
	assert_int_equal(s.results[0].rows[1].code, 552);
	assert_string_equal(s.results[0].rows[1].enhanced, "4.2.2");
	assert_int_equal(s.results[0].rows[2].status, JOB_FAILED);
	assert_string_equal(s.results[0].rows[2].text, "gone for good");
	scene_small_job(&s, 2, scene_one);
	scene_until(&s, &s.n_results, 2);
	assert_int_equal(s.results[1].job, 2);
	assert_int_equal(s.results[1].rows[0].status, JOB_DELIVERED);
	scene_close_idle(&s, &server);
}

/* shows: RFC5321 4.1.1.4/2, RFC2920 3.1/3 */
static void
data_for_nobody_gets_a_lone_dot(void **state)
{
	static const char *const scripts[] = { EHLO_PIPE
	    "C:MAIL\nC:RCPT\nC:DATA\nS:250 ok\nS:550 no\nS:354 go\nC:.\r\nQ\nS:250 taken for nobody\n"
	    "C:MAIL\nC:RCPT\nC:DATA\n" MAIL_OK BYE, NULL };
	struct server server;
	struct scene s;

	(void)state;
	scene_open_job(&s, &server, scripts, scene_one);
	scene_until(&s, &s.n_results, 1);
	assert_int_equal(s.results[0].rows[0].status, JOB_FAILED);
	assert_int_equal(s.results[0].rows[0].code, 550);
	assert_true(s.results[0].pull);
	scene_small_job(&s, 2, scene_one);
	scene_until(&s, &s.n_results, 2);
	assert_int_equal(s.results[1].rows[0].status, JOB_DELIVERED);
	scene_close_idle(&s, &server);
}

static void
an_open_transaction_is_reset_first(void **state)
{
	static const char *const scripts[] = { EHLO_PIPE
	    "C:MAIL\nC:RCPT\nC:DATA\nS:250 ok\nS:550 no\nS:554 no valid recipients\n"
	    "C:RSET\nC:MAIL\nC:RCPT\nC:DATA\nS:250 reset\n" MAIL_OK BYE, NULL };
	struct server server;
	struct scene s;

	(void)state;
	scene_open_job(&s, &server, scripts, scene_one);
	scene_until(&s, &s.n_results, 1);
	assert_int_equal(s.results[0].rows[0].code, 550);
	scene_small_job(&s, 2, scene_one);
	scene_until(&s, &s.n_results, 2);
	assert_int_equal(s.results[1].rows[0].status, JOB_DELIVERED);
	scene_close_idle(&s, &server);
}

/* shows: RFC5321 3.3/8
 * shows: RFC5321 4.5.4.1/7, RFC5321 4.5.4.1/8 */
static void
mail_refused_in_a_pipeline(void **state)
{
	static const char *const scripts[] = { EHLO_PIPE
	    "C:MAIL\nC:RCPT\nC:RCPT\nC:RCPT\nC:DATA\nS:550 5.7.1 not you\nS:503 no MAIL\nS:503 no MAIL\nS:503 no MAIL\n"
	    "S:503 no RCPT\nC:MAIL\nC:RCPT\nC:DATA\n" MAIL_OK BYE, NULL };
	struct server server;
	struct scene s;

	(void)state;
	scene_open_job(&s, &server, scripts, scene_three);
	scene_until(&s, &s.n_results, 1);
	assert_int_equal(s.results[0].n, 3);
	for (size_t i = 0; i < 3; i++) {
		assert_int_equal(s.results[0].rows[i].status, JOB_FAILED);
		assert_int_equal(s.results[0].rows[i].code, 550);
		assert_string_equal(s.results[0].rows[i].text, "not you");
	}
	scene_small_job(&s, 2, scene_one);
	scene_until(&s, &s.n_results, 2);
	scene_close_idle(&s, &server);
}

static void
four_two_one_ends_the_session(void **state)
{
	static const char *const scripts[] = { EHLO_PIPE
	    "C:MAIL\nC:RCPT\nC:RCPT\nC:RCPT\nC:DATA\nS:250 ok\nS:550 5.1.1 no\nS:421 4.3.2 going down\nX", NULL };
	struct server server;
	struct scene s;

	(void)state;
	scene_open_job(&s, &server, scripts, scene_three);
	scene_until(&s, &s.n_closed, 1);
	assert_int_equal(s.n_results, 1);
	assert_false(s.results[0].pull);
	assert_int_equal(s.results[0].rows[0].status, JOB_FAILED);
	assert_int_equal(s.results[0].rows[1].status, JOB_DEFERRED);
	assert_int_equal(s.results[0].rows[1].code, 421);
	assert_int_equal(s.results[0].rows[2].status, JOB_DEFERRED);
	assert_int_equal(s.closed.status, SESSION_LOST);
	assert_int_equal(s.closed.code, 421);
	assert_string_equal(s.closed.enhanced, "4.3.2");
	server_end(&server);
	scene_close(&s);
}

/* shows: RFC5321 3.8/4, RFC5321 4.1.1.10/7 */
static void
lost_after_the_dot_is_deferred(void **state)
{
	static const char *const scripts[] = { EHLO_PIPE "C:MAIL\nC:RCPT\nC:DATA\nS:250 ok\nS:250 ok\nS:354 go\nD\nX", NULL };
	struct server server;
	struct scene s;

	(void)state;
	scene_open_job(&s, &server, scripts, scene_one);
	scene_until(&s, &s.n_closed, 1);
	assert_int_equal(s.results[0].rows[0].status, JOB_DEFERRED);
	assert_int_equal(s.results[0].rows[0].code, 0);
	assert_string_equal(s.results[0].rows[0].enhanced, "4.4.2");
	assert_non_null(strstr(s.results[0].rows[0].text, "not known"));
	assert_int_equal(s.closed.status, SESSION_TEMPORARY);	/* nothing has ever worked there */
	server_end(&server);
	scene_close(&s);
}

/* A server that hangs up between messages, and one that says 421 to the next MAIL: neither costs the message time. */
static void
a_connection_that_served_is_replaced(void **state)
{
	static const char *const scripts[] = {
	    EHLO_PIPE "C:MAIL\nC:RCPT\nC:DATA\n" MAIL_OK "X",
	    EHLO_PIPE "C:MAIL\nC:RCPT\nC:DATA\n" MAIL_OK "C:MAIL\nS:421 4.7.0 enough\nX",
	    EHLO_PIPE "C:MAIL\nC:RCPT\nC:DATA\n" MAIL_OK "C:MAIL\nX",
	    EHLO_PIPE "C:MAIL\nC:RCPT\nC:DATA\n" MAIL_OK BYE, NULL };
	struct server server;
	struct scene s;

	(void)state;
	scene_open_one(&s, &server, scripts);
	scene_until(&s, &s.n_pulls, 1);
	for (unsigned i = 1; i <= 4; i++) {
		scene_small_job(&s, i, scene_one);
		scene_until(&s, &s.n_results, i);
		assert_int_equal(s.results[i - 1].rows[0].status, JOB_DELIVERED);
		if (i == 1)
			scene_run(&s, 50);
	}
	assert_int_equal(s.n_pulls, 1);
	assert_int_equal(s.n_asked, 1);
	scene_close_idle(&s, &server);
}

static void
a_message_is_moved_once_only(void **state)
{
	static const char *const scripts[] = { EHLO_PIPE "C:MAIL\nC:RCPT\nC:DATA\n" MAIL_OK "C:MAIL\nX", EHLO_PIPE "C:MAIL\nX",
	    NULL };
	struct server server;
	struct scene s;

	(void)state;
	scene_open_job(&s, &server, scripts, scene_one);
	scene_until(&s, &s.n_results, 1);
	scene_small_job(&s, 2, scene_one);
	scene_until(&s, &s.n_closed, 1);
	assert_int_equal(s.results[1].rows[0].status, JOB_DEFERRED);
	server_end(&server);
	scene_close(&s);
}

/* shows: RFC5321 4.3.1/2
 * shows: RFC5321 4.1.4/15 */
static void
the_next_host_is_tried(void **state)
{
	static const char *const down[] = { "S:554 5.3.2 not here\nC:QUIT\r\nX", NULL };
	static const char *const busy[] = { "S:220 x\nC:EHLO\nS:451 later\nX", NULL };
	static const char *const good[] = { EHLO_PIPE "C:MAIL\nC:RCPT\nC:DATA\n" MAIL_OK BYE, NULL };
	struct server a, b, c;
	struct scene s;

	(void)state;
	scene_open(&s);
	server_start(&s, &a, 2, down);
	server_start(&s, &b, 3, busy);
	server_start(&s, &c, 5, good);
	scene_start(&s);
	scene_host(&s, 5, "gone.b.test", 0, DNS_TEMPORARY);
	scene_host(&s, 10, "mx1.b.test", 2, DNS_OK);
	scene_host(&s, 10, "mx2.b.test", 3, DNS_OK);
	scene_host(&s, 20, "mx3.b.test", 4, DNS_OK);	/* nobody listens */
	scene_host(&s, 30, "mx4.b.test", 5, DNS_OK);
	scene_send_open(&s, 5, "b.test");
	scene_until(&s, &s.n_pulls, 1);
	scene_small_job(&s, 1, scene_one);
	scene_until(&s, &s.n_results, 1);
	assert_string_equal(s.results[0].host, "mx4.b.test");
	server_end(&a);
	server_end(&b);
	scene_close_idle(&s, &c);
}

static void
all_hosts_down_is_temporary(void **state)
{
	static const char *const down[] = { "S:554 5.3.2 not here\nX", NULL };
	struct server server;
	struct scene s;

	(void)state;
	scene_open_one(&s, &server, down);
	scene_until(&s, &s.n_closed, 1);
	assert_int_equal(s.closed.status, SESSION_TEMPORARY);
	assert_int_equal(s.closed.code, 554);
	assert_string_equal(s.closed.enhanced, "4.3.2");
	assert_string_equal(s.closed.text, "not here");
	assert_string_equal(s.closed.host, "mx.b.test");
	assert_int_equal(s.n_pulls, 0);
	server_end(&server);
	scene_close(&s);
}

/* shows: RFC7504 3/3 */
static void
a_host_that_never_takes_mail_is_final(void **state)
{
	static const char *const never[] = { "S:521 no mail here\nX", NULL };
	struct server server;
	struct scene s;

	(void)state;
	scene_open_one(&s, &server, never);
	scene_until(&s, &s.n_closed, 1);
	assert_int_equal(s.closed.status, SESSION_PERMANENT);
	assert_int_equal(s.closed.code, 521);
	server_end(&server);
	scene_close(&s);
}

/* shows: RFC7504 4/1, RFC7505 4.1/1, RFC7505 4.1/2 */
static void
what_dns_says_ends_the_session(void **state)
{
	static const struct {
		uint8_t dns, end;
		uint16_t code;
		const char *enhanced;
	} table[] = {
		{ DNS_NULL_MX, SESSION_PERMANENT, 556, "5.1.10" },
		{ DNS_NXDOMAIN, SESSION_PERMANENT, 0, "5.1.2" },
		{ DNS_TEMPORARY, SESSION_TEMPORARY, 0, "4.4.3" },
		{ DNS_BOGUS, SESSION_TEMPORARY, 0, "4.7.0" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
		struct scene s;

		scene_open(&s);
		scene_start(&s);
		s.dns_status = table[i].dns;
		scene_send_open(&s, 5, "b.test");
		scene_until(&s, &s.n_closed, 1);
		assert_int_equal(s.closed.status, table[i].end);
		assert_int_equal(s.closed.code, table[i].code);
		assert_string_equal(s.closed.enhanced, table[i].enhanced);
		scene_close(&s);
	}
}

static void
mail_for_ourselves_is_a_loop(void **state)
{
	static const char *const mirror[] = { "S:220 client.test\nC:EHLO\nS:250 client.test\nX", NULL };
	struct server server;
	struct scene s;

	(void)state;
	scene_open(&s);
	scene_start(&s);
	scene_host(&s, 10, "client.test", 2, DNS_OK);
	scene_host(&s, 20, "mx2.b.test", 3, DNS_OK);
	scene_send_open(&s, 5, "b.test");
	scene_until(&s, &s.n_closed, 1);
	assert_int_equal(s.closed.status, SESSION_PERMANENT);
	assert_string_equal(s.closed.enhanced, "5.4.6");
	scene_close(&s);

	/* By another name and address, but it greets as we do. */
	scene_open_one(&s, &server, mirror);
	scene_until(&s, &s.n_closed, 1);
	assert_int_equal(s.closed.status, SESSION_PERMANENT);
	assert_string_equal(s.closed.enhanced, "5.4.6");
	server_end(&server);
	scene_close(&s);
}

/* shows: RFC5321 4.5.3.2/1, RFC5321 4.5.4/1 */
static void
silence_and_drips_time_out(void **state)
{
	static const char *const mute[] = { "H", NULL };
	static const char *const drips[] =
	    { "R:2\nW:60\nR:2\nW:60\nR:0\nW:60\nR: \nW:60\nR:x\nW:60\nR:x\nW:60\nR:x\nW:60\nR:x\nH", NULL };
	const char *const *both[] = { mute, drips };

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct server server;
		struct scene s;

		scene_open(&s);
		s.conf->deliver.timeout_banner = 300;
		server_start(&s, &server, 2, both[i]);
		scene_start(&s);
		scene_host(&s, 10, "mx.b.test", 2, DNS_OK);
		scene_send_open(&s, 5, "b.test");
		scene_until(&s, &s.n_closed, 1);
		assert_int_equal(s.closed.status, SESSION_TEMPORARY);
		assert_string_equal(s.closed.enhanced, "4.4.2");
		assert_non_null(strstr(s.closed.text, "timeout"));
		scene_close(&s);
		server_end(&server);
	}
}

/* shows: RFC5321 4.2/11 */
static void
what_is_no_smtp_ends_it(void **state)
{
	static const char *const web[] = { "S:HTTP/1.1 400 Bad Request\nX", NULL };
	static const char *const late[] = { EHLO_PIPE "C:MAIL\nC:RCPT\nC:DATA\nS:250 ok\nS:hello\nX", NULL };
	struct server server;
	struct scene s;

	(void)state;
	scene_open_one(&s, &server, web);
	scene_until(&s, &s.n_closed, 1);
	assert_int_equal(s.closed.status, SESSION_TEMPORARY);
	assert_string_equal(s.closed.enhanced, "4.5.0");
	server_end(&server);
	scene_close(&s);
	scene_open_job(&s, &server, late, scene_one);
	scene_until(&s, &s.n_closed, 1);
	assert_int_equal(s.results[0].rows[0].status, JOB_DEFERRED);
	assert_string_equal(s.results[0].rows[0].enhanced, "4.5.0");
	server_end(&server);
	scene_close(&s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_message_goes_out_in_one_pipeline),
		cmocka_unit_test(without_pipelining_each_command_waits),
		cmocka_unit_test(helo_for_an_old_server),
		cmocka_unit_test(each_recipient_has_its_own_outcome),
		cmocka_unit_test(data_for_nobody_gets_a_lone_dot),
		cmocka_unit_test(an_open_transaction_is_reset_first),
		cmocka_unit_test(mail_refused_in_a_pipeline),
		cmocka_unit_test(four_two_one_ends_the_session),
		cmocka_unit_test(lost_after_the_dot_is_deferred),
		cmocka_unit_test(a_connection_that_served_is_replaced),
		cmocka_unit_test(a_message_is_moved_once_only),
		cmocka_unit_test(the_next_host_is_tried),
		cmocka_unit_test(all_hosts_down_is_temporary),
		cmocka_unit_test(a_host_that_never_takes_mail_is_final),
		cmocka_unit_test(what_dns_says_ends_the_session),
		cmocka_unit_test(mail_for_ourselves_is_a_loop),
		cmocka_unit_test(silence_and_drips_time_out),
		cmocka_unit_test(what_is_no_smtp_ends_it),
	};

	(void)signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
