/* tests/deliver/test_session.c -- the real sessions against scripted servers. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "tests/deliver/scene.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define EHLO_PIPE "S:220 mx.test ESMTP\nC:EHLO client.test\r\nS:250-mx.test hello\nS:250-SIZE 1000000\nS:250-8BITMIME\n" \
    "S:250 PIPELINING\n"
#define EHLO_PLAIN "S:220 mx.test\nC:EHLO client.test\nS:250 mx.test\n"
#define MAIL_OK "S:250 2.1.0 ok\nS:250 2.1.5 ok\nS:354 go\nD\nS:250 2.0.0 queued as 7\n"
#define BYE "C:QUIT\nS:221 bye\n"

static const char *const one[] = { "r@b.test", NULL };
static const char *const three[] = { "r1@b.test", "r2@b.test", "r3@b.test", NULL };
#define SMALL S("Subject: x\r\n\r\n.dot\r\n")

/* Opens a session to one server at 127.0.0.2 that plays these scripts. */
static void
open_one(struct scene *s, struct server *server, const char *const *scripts)
{
	scene_open(s);
	server_start(s, server, 2, scripts);
	scene_start(s);
	scene_host(s, 10, "mx.b.test", 2, DNS_OK);
	scene_send_open(s, 5, "b.test");
}

static void
small_job(struct scene *s, uint32_t job, const char *const *rcpts)
{
	scene_send_job(s, 5, job, 0, rcpts, SMALL.n, SMALL);
}

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
	open_one(&s, &server, scripts);
	scene_until(&s, &s.n_pulls, 1);
	small_job(&s, 1, one);
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

static void
close_idle(struct scene *s, struct server *server)
{
	scene_send_idle(s, 5);
	scene_until(s, &s->n_closed, 1);
	assert_int_equal(s->closed.status, SESSION_DONE);
	scene_run(s, 50);
	server_end(server);
	scene_close(s);
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
	open_one(&s, &server, scripts);
	scene_until(&s, &s.n_pulls, 1);
	small_job(&s, 1, three);
	scene_until(&s, &s.n_results, 1);
	assert_int_equal(s.results[0].n, 3);
	assert_int_equal(s.results[0].rows[0].status, JOB_DELIVERED);
	assert_string_equal(s.results[0].rows[0].enhanced, "2.0.0");
	assert_int_equal(s.results[0].rows[1].status, JOB_DELIVERED);
	assert_int_equal(s.results[0].rows[2].status, JOB_FAILED);
	assert_int_equal(s.results[0].rows[2].code, 550);
	assert_string_equal(s.results[0].rows[2].enhanced, "5.1.1");
	assert_string_equal(s.results[0].rows[2].text, "no such user");
	close_idle(&s, &server);
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
	open_one(&s, &server, scripts);
	scene_until(&s, &s.n_pulls, 1);
	small_job(&s, 1, one);
	scene_until(&s, &s.n_results, 1);
	assert_int_equal(s.results[0].rows[0].status, JOB_DELIVERED);
	close_idle(&s, &server);
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
	open_one(&s, &server, scripts);
	scene_until(&s, &s.n_pulls, 1);
	small_job(&s, 1, three);
	scene_until(&s, &s.n_results, 1);
	assert_int_equal(s.results[0].n, 3);
	assert_int_equal(s.results[0].rows[0].status, JOB_DEFERRED);
	assert_int_equal(s.results[0].rows[0].code, 451);
	assert_int_equal(s.results[0].rows[1].status, JOB_DEFERRED);
	assert_int_equal(s.results[0].rows[1].code, 552);
	assert_string_equal(s.results[0].rows[1].enhanced, "4.2.2");
	assert_int_equal(s.results[0].rows[2].status, JOB_FAILED);
	assert_string_equal(s.results[0].rows[2].text, "gone for good");
	small_job(&s, 2, one);
	scene_until(&s, &s.n_results, 2);
	assert_int_equal(s.results[1].job, 2);
	assert_int_equal(s.results[1].rows[0].status, JOB_DELIVERED);
	close_idle(&s, &server);
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
	open_one(&s, &server, scripts);
	scene_until(&s, &s.n_pulls, 1);
	small_job(&s, 1, one);
	scene_until(&s, &s.n_results, 1);
	assert_int_equal(s.results[0].rows[0].status, JOB_FAILED);
	assert_int_equal(s.results[0].rows[0].code, 550);
	assert_true(s.results[0].pull);
	small_job(&s, 2, one);
	scene_until(&s, &s.n_results, 2);
	assert_int_equal(s.results[1].rows[0].status, JOB_DELIVERED);
	close_idle(&s, &server);
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
	open_one(&s, &server, scripts);
	scene_until(&s, &s.n_pulls, 1);
	small_job(&s, 1, one);
	scene_until(&s, &s.n_results, 1);
	assert_int_equal(s.results[0].rows[0].code, 550);
	small_job(&s, 2, one);
	scene_until(&s, &s.n_results, 2);
	assert_int_equal(s.results[1].rows[0].status, JOB_DELIVERED);
	close_idle(&s, &server);
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
	open_one(&s, &server, scripts);
	scene_until(&s, &s.n_pulls, 1);
	small_job(&s, 1, three);
	scene_until(&s, &s.n_results, 1);
	assert_int_equal(s.results[0].n, 3);
	for (size_t i = 0; i < 3; i++) {
		assert_int_equal(s.results[0].rows[i].status, JOB_FAILED);
		assert_int_equal(s.results[0].rows[i].code, 550);
		assert_string_equal(s.results[0].rows[i].text, "not you");
	}
	small_job(&s, 2, one);
	scene_until(&s, &s.n_results, 2);
	close_idle(&s, &server);
}

static void
four_two_one_ends_the_session(void **state)
{
	static const char *const scripts[] = { EHLO_PIPE
	    "C:MAIL\nC:RCPT\nC:RCPT\nC:RCPT\nC:DATA\nS:250 ok\nS:550 5.1.1 no\nS:421 4.3.2 going down\nX", NULL };
	struct server server;
	struct scene s;

	(void)state;
	open_one(&s, &server, scripts);
	scene_until(&s, &s.n_pulls, 1);
	small_job(&s, 1, three);
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
	open_one(&s, &server, scripts);
	scene_until(&s, &s.n_pulls, 1);
	small_job(&s, 1, one);
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
	open_one(&s, &server, scripts);
	scene_until(&s, &s.n_pulls, 1);
	for (unsigned i = 1; i <= 4; i++) {
		small_job(&s, i, one);
		scene_until(&s, &s.n_results, i);
		assert_int_equal(s.results[i - 1].rows[0].status, JOB_DELIVERED);
		if (i == 1)
			scene_run(&s, 50);
	}
	assert_int_equal(s.n_pulls, 1);
	assert_int_equal(s.n_asked, 1);
	close_idle(&s, &server);
}

static void
a_message_is_moved_once_only(void **state)
{
	static const char *const scripts[] = { EHLO_PIPE "C:MAIL\nC:RCPT\nC:DATA\n" MAIL_OK "C:MAIL\nX", EHLO_PIPE "C:MAIL\nX",
	    NULL };
	struct server server;
	struct scene s;

	(void)state;
	open_one(&s, &server, scripts);
	scene_until(&s, &s.n_pulls, 1);
	small_job(&s, 1, one);
	scene_until(&s, &s.n_results, 1);
	small_job(&s, 2, one);
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
	small_job(&s, 1, one);
	scene_until(&s, &s.n_results, 1);
	assert_string_equal(s.results[0].host, "mx4.b.test");
	server_end(&a);
	server_end(&b);
	close_idle(&s, &c);
}

static void
all_hosts_down_is_temporary(void **state)
{
	static const char *const down[] = { "S:554 5.3.2 not here\nX", NULL };
	struct server server;
	struct scene s;

	(void)state;
	open_one(&s, &server, down);
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
	open_one(&s, &server, never);
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
	open_one(&s, &server, mirror);
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
	open_one(&s, &server, web);
	scene_until(&s, &s.n_closed, 1);
	assert_int_equal(s.closed.status, SESSION_TEMPORARY);
	assert_string_equal(s.closed.enhanced, "4.5.0");
	server_end(&server);
	scene_close(&s);
	open_one(&s, &server, late);
	scene_until(&s, &s.n_pulls, 1);
	small_job(&s, 1, one);
	scene_until(&s, &s.n_closed, 1);
	assert_int_equal(s.results[0].rows[0].status, JOB_DEFERRED);
	assert_string_equal(s.results[0].rows[0].enhanced, "4.5.0");
	server_end(&server);
	scene_close(&s);
}

/* shows: RFC5321 2.4/5, RFC5321 4.5.3.1/3, RFC6152 3/5, RFC6152 3/6 */
static void
what_the_server_cannot_take_is_not_sent(void **state)
{
	static const char *const scripts[] = { "S:220 x\nC:EHLO\nS:250-x\nS:250 SIZE 100\nQ\nQ\nQ\n" BYE, NULL };
	struct server server;
	struct scene s;

	(void)state;
	open_one(&s, &server, scripts);
	scene_until(&s, &s.n_pulls, 1);
	scene_send_job(&s, 5, 1, 0, one, 5000, SMALL);
	scene_until(&s, &s.n_results, 1);
	assert_int_equal(s.results[0].rows[0].status, JOB_FAILED);
	assert_string_equal(s.results[0].rows[0].enhanced, "5.3.4");
	scene_send_job(&s, 5, 2, ENVELOPE_8BITMIME, one, SMALL.n, SMALL);
	scene_until(&s, &s.n_results, 2);
	assert_int_equal(s.results[1].rows[0].status, JOB_FAILED);
	assert_string_equal(s.results[1].rows[0].enhanced, "5.6.3");
	scene_run(&s, 200);
	close_idle(&s, &server);
}

/* A server that refuses the size, or the data, for good is not asked for that message again.
 * shows: RFC1870 6.2/1, RFC5321 4.2.5/5 */
static void
what_is_refused_for_good_is_returned(void **state)
{
	static const char *const scripts[] = { "S:220 x\nC:EHLO\nS:250-x\nS:250 SIZE 1000000\n"
	    "C:MAIL FROM:<sender@a.test> SIZE=\nS:552 5.3.4 too large\n"
	    "C:MAIL\nS:250 ok\nC:RCPT\nS:250 ok\nC:DATA\nS:354 go\nD\nS:554 5.6.0 no\nQ\n" BYE, NULL };
	static const char *const enhanced[] = { "5.3.4", "5.6.0" };
	struct server server;
	struct scene s;

	(void)state;
	open_one(&s, &server, scripts);
	scene_until(&s, &s.n_pulls, 1);
	for (unsigned i = 0; i < 2; i++) {
		small_job(&s, 1 + i, one);
		scene_until(&s, &s.n_results, 1 + i);
		assert_int_equal(s.results[i].rows[0].status, JOB_FAILED);
		assert_string_equal(s.results[i].rows[0].enhanced, enhanced[i]);
	}
	scene_run(&s, 100);
	close_idle(&s, &server);
}

/* shows: RFC3461 5.2.1/1, RFC2852 4.1.4/1 */
static void
what_the_sender_asked_is_handed_on(void **state)
{
	static const char *const scripts[] =
	    { "S:220 x\nC:EHLO\nS:250-x\nS:250-DSN\nS:250-MT-PRIORITY MIXER\nS:250-DELIVERBY 10\nS:250 X\n"
	    "C:MAIL FROM:<sender@a.test> RET=HDRS ENVID=Q+2B BY=99;RT MT-PRIORITY=-2\r\nS:250 ok\n"
	    "C:RCPT TO:<r@b.test> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;R+2Bx@B.test\r\nS:250 ok\nC:DATA\nS:354 go\nD\n"
	    "S:250 ok\n" BYE, NULL };
	struct server server;
	struct timespec now;
	struct scene s;

	(void)state;
	open_one(&s, &server, scripts);
	scene_until(&s, &s.n_pulls, 1);
	s.envid = "Q+2B";
	s.orcpt = "rfc822;R+2Bx@B.test";
	s.notify = NOTIFY_SUCCESS | NOTIFY_DELAY;
	s.priority = -2;
	(void)clock_gettime(CLOCK_REALTIME, &now);
	s.deliver_by = (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000 + 99900000;	/* seconds that are begun do not count */
	scene_send_job(&s, 5, 1, ENVELOPE_RET_HDRS | ENVELOPE_BY_TRACE, one, SMALL.n, SMALL);
	scene_until(&s, &s.n_results, 1);
	assert_int_equal(s.results[0].rows[0].status, JOB_DELIVERED);
	assert_int_equal(s.results[0].passed, JOB_PASSED_DSN | JOB_PASSED_BY);
	close_idle(&s, &server);
}

/* A server with DSN and without DELIVERBY is to tell of a delay.
 * shows: RFC2852 4.1.4/3 */
static void
who_knows_no_time_tells_of_a_delay(void **state)
{
	static const char *const scripts[] = { "S:220 x\nC:EHLO\nS:250-x\nS:250 DSN\n"
	    "C:MAIL FROM:<sender@a.test>\r\nS:250 ok\nC:RCPT TO:<r@b.test> NOTIFY=FAILURE,DELAY\r\nS:250 ok\nC:DATA\nS:354 go\n"
	    "D\nS:250 ok\n"
	    "C:MAIL FROM:<sender@a.test>\r\nS:250 ok\nC:RCPT TO:<r@b.test> NOTIFY=SUCCESS,DELAY\r\nS:250 ok\nC:DATA\nS:354 go\n"
	    "D\nS:250 ok\n"
	    "C:MAIL FROM:<sender@a.test>\r\nS:250 ok\nC:RCPT TO:<r@b.test> NOTIFY=NEVER\r\nS:250 ok\nC:DATA\nS:354 go\nD\n"
	    "S:250 ok\n" BYE, NULL };
	static const uint8_t asked[] = { 0, NOTIFY_SUCCESS, NOTIFY_NEVER };
	struct server server;
	struct scene s;

	(void)state;
	open_one(&s, &server, scripts);
	scene_until(&s, &s.n_pulls, 1);
	s.deliver_by = ((int64_t)time(NULL) + 100) * 1000000;
	for (unsigned i = 0; i < sizeof asked; i++) {
		s.notify = asked[i];
		scene_send_job(&s, 5, 1 + i, ENVELOPE_BY_NOTIFY, one, SMALL.n, SMALL);
		scene_until(&s, &s.n_results, 1 + i);
		assert_int_equal(s.results[i].rows[0].status, JOB_DELIVERED);
	}
	close_idle(&s, &server);
}

/* shows: RFC6710 4.2/1, RFC6710 5/2, RFC3461 5.2.1/2 */
static void
every_priority_is_handed_on(void **state)
{
	static const char *const scripts[] = { "S:220 x\nC:EHLO\nS:250-x\nS:250-DSN\nS:250 MT-PRIORITY\n"
	    "C:MAIL FROM:<sender@a.test> MT-PRIORITY=0\r\nS:250 ok\nC:RCPT TO:<r@b.test>\r\nS:250 ok\nC:DATA\nS:354 go\nD\n"
	    "S:250 ok\n"
	    "C:MAIL FROM:<sender@a.test> MT-PRIORITY=9\r\nS:250 ok\nC:RCPT TO:<r@b.test>\r\nS:250 ok\nC:DATA\nS:354 go\nD\n"
	    "S:250 ok\n" BYE, NULL };
	struct server server;
	struct scene s;

	(void)state;
	open_one(&s, &server, scripts);
	scene_until(&s, &s.n_pulls, 1);
	scene_send_job(&s, 5, 1, 0, one, SMALL.n, SMALL);
	scene_until(&s, &s.n_results, 1);
	s.priority = 9;
	scene_send_job(&s, 5, 2, 0, one, SMALL.n, SMALL);
	scene_until(&s, &s.n_results, 2);
	assert_int_equal(s.results[1].rows[0].status, JOB_DELIVERED);
	close_idle(&s, &server);
}

/* A report about what requires TLS goes out to whoever is there; one that says TLS-Required: No fails where TLS is required.
 * shows: RFC8689 5/3, RFC8689 4.2.2/2 */
static void
what_requires_tls_is_no_reason_to_lose_a_report(void **state)
{
	static const char *const scripts[] = { "S:220 x\nC:EHLO\nS:250-x\nS:250 8BITMIME\n"
	    "C:MAIL FROM:<>\r\nS:250 ok\nC:RCPT TO:<r@b.test>\r\nS:250 ok\nC:DATA\nS:354 go\nD\nS:250 ok\n"
	    "C:MAIL FROM:<>\r\nS:530 5.7.0 Must issue a STARTTLS command first\n" BYE, NULL };
	struct server server;
	struct scene s;

	(void)state;
	open_one(&s, &server, scripts);
	scene_until(&s, &s.n_pulls, 1);
	s.sender = "";
	scene_send_job(&s, 5, 1, ENVELOPE_BOUNCE | ENVELOPE_REQUIRETLS, one, SMALL.n, SMALL);
	scene_until(&s, &s.n_results, 1);
	assert_int_equal(s.results[0].rows[0].status, JOB_DELIVERED);
	scene_send_job(&s, 5, 2, ENVELOPE_TLS_OPTIONAL, one, SMALL.n, SMALL);
	scene_until(&s, &s.n_results, 2);
	assert_int_equal(s.results[1].rows[0].status, JOB_FAILED);
	assert_int_equal(s.results[1].rows[0].code, 530);
	close_idle(&s, &server);
}

/* shows: RFC3461 5.2.2/3, RFC6710 4.3/1, RFC3030 3/5, RFC6531 3.2/1, RFC8689 4.2.1/1, RFC2852 4.1.4/2 */
static void
what_the_server_cannot_do_is_not_asked_of_it(void **state)
{
	static const char *const scripts[] = { "S:220 x\nC:EHLO\nS:250-x\nS:250 8BITMIME\n"
	    "C:MAIL FROM:<sender@a.test>\r\nS:250 ok\nC:RCPT TO:<r@b.test>\r\nS:250 ok\nC:DATA\nS:354 go\nD\nS:250 ok\n" BYE,
	    NULL };
	static const struct { uint32_t flags; const char *enhanced; } needs[] = { { ENVELOPE_BINARYMIME, "5.6.3" },
		{ ENVELOPE_SMTPUTF8, "5.6.7" }, { ENVELOPE_REQUIRETLS, "5.7.10" } };
	struct server server;
	struct scene s;

	(void)state;
	open_one(&s, &server, scripts);
	scene_until(&s, &s.n_pulls, 1);
	s.envid = "Q";
	s.notify = NOTIFY_NEVER;
	s.priority = 3;
	scene_send_job(&s, 5, 1, ENVELOPE_RET_FULL, one, SMALL.n, SMALL);
	scene_until(&s, &s.n_results, 1);
	assert_int_equal(s.results[0].rows[0].status, JOB_DELIVERED);
	assert_int_equal(s.results[0].passed, 0);
	for (unsigned i = 0; i < sizeof needs / sizeof needs[0]; i++) {
		scene_send_job(&s, 5, 2 + i, needs[i].flags, one, SMALL.n, SMALL);
		scene_until(&s, &s.n_results, 2 + i);
		assert_int_equal(s.results[1 + i].rows[0].status, JOB_FAILED);
		assert_string_equal(s.results[1 + i].rows[0].enhanced, needs[i].enhanced);
	}
	s.deliver_by = ((int64_t)time(NULL) + 100) * 1000000;
	scene_send_job(&s, 5, 8, 0, one, SMALL.n, SMALL);
	scene_until(&s, &s.n_results, 5);
	assert_string_equal(s.results[4].rows[0].enhanced, "5.3.3");
	close_idle(&s, &server);
}

/* Nothing but one address is in UTF-8: the other recipient is served by a server without SMTPUTF8, and one that has it is asked
 * for it only when such an address comes along. shows: RFC6531 3.2/1 */
static void
an_address_in_utf8_concerns_its_recipient_alone(void **state)
{
	static const char *const both[] = { "j\xc3\xb6rg@b.test", "r@b.test", NULL };
	static const char *const without[] = { "S:220 x\nC:EHLO\nS:250-x\nS:250 8BITMIME\n"
	    "C:MAIL FROM:<sender@a.test>\r\nS:250 ok\nC:RCPT TO:<r@b.test>\r\nS:250 ok\nC:DATA\nS:354 go\nD\nS:250 ok\n" BYE,
	    NULL };
	static const char *const with[] = { "S:220 x\nC:EHLO\nS:250-x\nS:250-8BITMIME\nS:250 SMTPUTF8\n"
	    "C:MAIL FROM:<sender@a.test> SMTPUTF8\r\nS:250 ok\nC:RCPT TO:<j\xc3\xb6rg@b.test>\r\nS:250 ok\nC:RCPT\nS:250 ok\n"
	    "C:DATA\nS:354 go\nD\nS:250 ok\n"
	    "C:MAIL FROM:<sender@a.test>\r\nS:250 ok\nC:RCPT TO:<r@b.test>\r\nS:250 ok\nC:DATA\nS:354 go\nD\nS:250 ok\n" BYE,
	    NULL };
	struct server server;
	struct scene s;

	(void)state;
	open_one(&s, &server, without);
	scene_until(&s, &s.n_pulls, 1);
	scene_send_job(&s, 5, 1, 0, both, SMALL.n, SMALL);
	scene_until(&s, &s.n_results, 1);
	assert_int_equal(s.results[0].n, 2);
	for (size_t i = 0; i < 2; i++)
		assert_int_equal(s.results[0].rows[i].status, s.results[0].rows[i].index == 10 ? JOB_FAILED : JOB_DELIVERED);
	close_idle(&s, &server);

	open_one(&s, &server, with);
	scene_until(&s, &s.n_pulls, 1);
	scene_send_job(&s, 5, 1, 0, both, SMALL.n, SMALL);
	scene_until(&s, &s.n_results, 1);
	assert_int_equal(s.results[0].rows[0].status, JOB_DELIVERED);
	assert_int_equal(s.results[0].rows[1].status, JOB_DELIVERED);
	scene_send_job(&s, 5, 2, 0, one, SMALL.n, SMALL);
	scene_until(&s, &s.n_results, 2);
	assert_int_equal(s.results[1].rows[0].status, JOB_DELIVERED);
	close_idle(&s, &server);
}

/* shows: RFC3030 3/6 */
static void
binary_content_goes_out_by_bdat(void **state)
{
	static const char *const scripts[] = { "S:220 x\nC:EHLO\nS:250-x\nS:250-CHUNKING\nS:250-PIPELINING\nS:250 BINARYMIME\n"
	    "C:MAIL FROM:<sender@a.test> BODY=BINARYMIME\r\nC:RCPT TO:<r@b.test>\r\nQ\nS:250 ok\nS:250 ok\n"
	    "C:BDAT 11 LAST\r\nN:11\nS:250 ok\n"
	    "C:MAIL FROM:<sender@a.test> BODY=BINARYMIME\r\nC:RCPT TO:<r@b.test>\r\nS:250 ok\nS:550 5.1.1 no\n"
	    "C:RSET\r\nS:250 ok\nC:MAIL FROM:<sender@a.test> BODY=BINARYMIME\r\nC:RCPT\nS:250 ok\nS:250 ok\nC:BDAT 11 LAST\r\n"
	    "N:11\nS:451 4.3.0 later\n" BYE, NULL };
	static const struct slice content = SLICE("\r\r\n.\r\n\n\0\xff.\n");
	struct server server;
	struct scene s;

	(void)state;
	assert_int_equal(content.n, 11);
	open_one(&s, &server, scripts);
	scene_until(&s, &s.n_pulls, 1);
	scene_send_job(&s, 5, 1, ENVELOPE_BINARYMIME, one, content.n, content);
	scene_until(&s, &s.n_results, 1);
	assert_int_equal(s.results[0].rows[0].status, JOB_DELIVERED);
	scene_send_job(&s, 5, 2, ENVELOPE_BINARYMIME, one, content.n, content);
	scene_until(&s, &s.n_results, 2);
	assert_int_equal(s.results[1].rows[0].status, JOB_FAILED);
	scene_send_job(&s, 5, 3, ENVELOPE_BINARYMIME, one, content.n, content);
	scene_until(&s, &s.n_results, 3);
	assert_int_equal(s.results[2].rows[0].status, JOB_DEFERRED);
	assert_int_equal(buf_len(&server.content), 22);
	assert_memory_equal(buf_slice(&server.content).p, content.p, 11);
	close_idle(&s, &server);
}

/* shows: RFC5321 2.3.8/4 */
static void
bare_newlines_are_never_sent(void **state)
{
	static const char *const scripts[] = { EHLO_PIPE "C:MAIL\nC:RCPT\nC:DATA\nS:250 ok\nS:250 ok\nS:354 go\nH", NULL };
	struct server server;
	struct scene s;

	(void)state;
	open_one(&s, &server, scripts);
	scene_until(&s, &s.n_pulls, 1);
	scene_send_job(&s, 5, 1, 0, one, 9, S("a\n.\r\nb\r\n"));
	scene_until(&s, &s.n_closed, 1);
	assert_int_equal(s.results[0].rows[0].status, JOB_FAILED);
	assert_string_equal(s.results[0].rows[0].enhanced, "5.6.0");
	server_end(&server);
	scene_close(&s);
}

enum { LINE = 100, BIG = 900 * 1000 };

static size_t
make_big(uint8_t *p)
{
	for (size_t i = 0; i < BIG; i++)
		p[i] = i % LINE == LINE - 2 ? '\r' : i % LINE == LINE - 1 ? '\n' : i % LINE == 0 ? '.' :
		    (uint8_t)('a' + i / LINE % 26);
	return BIG;
}

/* Content beyond the window, in chunks as the credit comes, to a slow reader. */
static void
big_content_flows_with_credit(void **state)
{
	static const char *const scripts[] = { EHLO_PIPE
	    "C:MAIL FROM:<sender@a.test> SIZE=900000 BODY=8BITMIME\r\nC:RCPT\nC:DATA\nS:250 ok\nS:250 ok\nS:354 go\nW:300\nD\n"
	    "S:250 ok\n" BYE, NULL };
	uint8_t *big = malloc(BIG);
	struct server server;
	struct scene s;
	size_t sent = 30000, waits = 0;
	struct slice all;

	(void)state;
	assert_non_null(big);
	all = slice_of(big, make_big(big));
	scene_open(&s);
	server_start(&s, &server, 2, scripts);
	s.conf->deliver.port = s.port;
	scene_start(&s);
	s.dns_status = DNS_OK;
	scene_host(&s, 10, "mx.b.test", 2, DNS_OK);
	scene_send_open(&s, 5, "b.test");
	scene_until(&s, &s.n_pulls, 1);
	scene_send_job(&s, 5, 1, ENVELOPE_8BITMIME, one, BIG, slice_first(all, sent));
	while (sent < BIG) {
		size_t n = BIG - sent < 20000 ? BIG - sent : 20000;
		struct d_chunk m = { 1, slice_first(slice_from(all, sent), n) };

		while (sent + n > s.credit + IPC_CONTENT_WINDOW)
			assert_true(++waits < 5000), scene_run(&s, 2);
		assert_int_equal(d_chunk_send(s.queue, 5, &m), RC_OK);
		sent += n;
	}
	scene_until(&s, &s.n_results, 1);
	assert_int_equal(s.results[0].rows[0].status, JOB_DELIVERED);
	assert_true(buf_len(&server.content) == BIG + BIG / LINE);
	close_idle(&s, &server);
	free(big);
}

static void
count(void *ctx)
{
	++*(unsigned *)ctx;
}

static void
stop_lets_the_message_end(void **state)
{
	static const char *const scripts[] =
	    { EHLO_PIPE "C:MAIL\nC:RCPT\nC:DATA\nS:250 ok\nS:250 ok\nS:354 go\nD\nW:100\nS:250 ok\n" BYE, NULL };
	struct server server;
	struct scene s;
	unsigned stops = 0;

	(void)state;
	open_one(&s, &server, scripts);
	scene_until(&s, &s.n_pulls, 1);
	small_job(&s, 1, one);
	scene_run(&s, 50);
	deliver_stop(&s.deliver, count, &stops);
	assert_int_equal(stops, 0);
	scene_until(&s, &s.n_closed, 1);
	assert_int_equal(s.n_results, 1);
	assert_int_equal(s.results[0].rows[0].status, JOB_DELIVERED);
	assert_false(s.results[0].pull);
	assert_int_equal(s.closed.status, SESSION_DONE);
	scene_send_open(&s, 6, "b.test");
	scene_until(&s, &s.n_closed, 2);
	assert_int_equal(s.closed.status, SESSION_BUSY);
	scene_until(&s, &stops, 1);
	assert_int_equal(stops, 1);
	server_end(&server);
	scene_close(&s);
}

static void
a_queue_that_breaks_the_rules_is_dropped(void **state)
{
	static const char *const scripts[] = { EHLO_PIPE "H", NULL };
	struct server server;
	struct scene s;

	(void)state;
	open_one(&s, &server, scripts);
	scene_until(&s, &s.n_pulls, 1);
	scene_send_job(&s, 5, 1, 0, one, 5, SMALL);	/* more content than its size */
	for (int i = 0; i < 500 && !s.queue_gone; i++)
		scene_run(&s, 2);
	assert_true(s.queue_gone);
	assert_int_equal(s.deliver.n_sessions, 0);
	server_end(&server);
	scene_close(&s);
}

static void
sessions_have_a_limit(void **state)
{
	struct scene s;

	(void)state;
	scene_open(&s);
	s.conf->deliver.max_sessions = 1;
	scene_start(&s);
	peer_free(s.resolver);
	s.resolver = NULL;
	scene_send_open(&s, 5, "b.test");
	scene_send_open(&s, 6, "c.test");
	scene_until(&s, &s.n_closed, 1);
	assert_int_equal(s.closed.status, SESSION_BUSY);
	scene_close(&s);
}

static void
an_early_refusal_is_heard(void **state)
{
	static const char *const scripts[] = { EHLO_PIPE
	    "C:MAIL\nC:RCPT\nC:DATA\nS:250 ok\nS:250 ok\nS:354 go\nS:552 5.3.4 too big for me\nX", NULL };
	uint8_t *big = malloc(BIG);
	struct server server;
	struct scene s;

	(void)state;
	assert_non_null(big);
	open_one(&s, &server, scripts);
	scene_until(&s, &s.n_pulls, 1);
	(void)make_big(big);
	scene_send_job(&s, 5, 1, 0, one, BIG, slice_of(big, 30000));
	scene_until(&s, &s.n_closed, 1);
	assert_int_equal(s.n_results, 1);
	assert_int_equal(s.results[0].rows[0].status, JOB_FAILED);
	assert_int_equal(s.results[0].rows[0].code, 552);
	assert_string_equal(s.results[0].rows[0].text, "too big for me");
	server_end(&server);
	scene_close(&s);
	free(big);
}

/* The server answers a dot that it has not seen, in one segment with the reply to DATA: what comes before the content
 * cannot be about it. */
static void
an_answer_ahead_of_the_dot_delivers_nothing(void **state)
{
	static const char *const ahead[] = { "250 ok|250 ok|354 go|250 taken|", "250 ok|250 ok|354 go|2" };

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		char script[256];
		const char *scripts[] = { script, NULL };
		struct server server;
		struct scene s;

		(void)snprintf(script, sizeof script, "%sC:MAIL\nC:RCPT\nC:DATA\nB:%s\nW:50\nS:50 taken\nH", EHLO_PIPE, ahead[i]);
		open_one(&s, &server, scripts);
		scene_until(&s, &s.n_pulls, 1);
		small_job(&s, 1, one);
		scene_until(&s, &s.n_results, 1);
		assert_int_equal(s.results[0].rows[0].status, JOB_DEFERRED);
		scene_until(&s, &s.n_closed, 1);
		server_end(&server);
		scene_close(&s);
	}
}

/* One reply too many, and whatever follows answers the wrong question: nobody is failed or delivered by it. */
static void
a_reply_too_many_ends_the_session(void **state)
{
	static const char *const plain[] = {
		"B:250 ok|250 and this|\nH",				/* to MAIL: no RCPT follows */
		"B:250 ok|2\nH",					/* a part of it is enough */
		"S:250 ok\nC:RCPT\nB:250 ok|250 and this|\nH",	/* no second RCPT */
		"S:250 ok\nC:RCPT\nS:250 ok\nC:RCPT\nB:550 no|550 and this|\nH",
		"S:250 ok\nC:RCPT\nS:250 ok\nC:RCPT\nS:250 ok\nC:RCPT\nB:250 ok|354 go|\nH",	/* no DATA */
		"S:250 ok\nC:RCPT\nS:250 ok\nC:RCPT\nS:250 ok\nC:RCPT\nS:250 ok\nC:DATA\nB:354 go|250 taken|\nH",
	};

	(void)state;
	for (size_t i = 0; i < sizeof plain / sizeof plain[0]; i++) {
		char script[256];
		const char *scripts[] = { script, NULL };
		struct server server;
		struct scene s;

		(void)snprintf(script, sizeof script, "%sC:MAIL\n%s", EHLO_PLAIN, plain[i]);
		open_one(&s, &server, scripts);
		scene_until(&s, &s.n_pulls, 1);
		small_job(&s, 1, three);
		scene_until(&s, &s.n_results, 1);
		assert_int_equal(s.results[0].n, 3);
		for (size_t k = 0; k < 3; k++) {
			assert_int_equal(s.results[0].rows[k].status, JOB_DEFERRED);
			assert_int_equal(s.results[0].rows[k].enhanced[0], '4');
		}
		scene_until(&s, &s.n_closed, 1);
		server_end(&server);
		assert_true(buf_len(&server.content) == 0);
		scene_close(&s);
	}
}

/* In a pipeline it shows only at the end. Until then the second recipient has got the answer about the first. */
static void
a_reply_too_many_in_a_pipeline_fails_nobody(void **state)
{
	static const char *const pipeline[] = {
		"250 ok|250 and this|550 no|250 ok|250 ok|354 go|",	/* DATA gets a 250 */
		"250 ok|250 and this|550 no|550 no|550 no|554 nobody|",	/* one is left over */
	};

	(void)state;
	for (size_t i = 0; i < sizeof pipeline / sizeof pipeline[0]; i++) {
		char script[256];
		const char *scripts[] = { script, NULL };
		struct server server;
		struct scene s;

		(void)snprintf(script, sizeof script, "%sC:MAIL\nC:RCPT\nC:RCPT\nC:RCPT\nC:DATA\nB:%s\nH", EHLO_PIPE,
		    pipeline[i]);
		open_one(&s, &server, scripts);
		scene_until(&s, &s.n_pulls, 1);
		small_job(&s, 1, three);
		scene_until(&s, &s.n_results, 1);
		assert_int_equal(s.results[0].n, 3);
		for (size_t k = 0; k < 3; k++)
			assert_int_equal(s.results[0].rows[k].status, JOB_DEFERRED);
		scene_send_idle(&s, 5);
		scene_until(&s, &s.n_closed, 1);
		server_end(&server);
		scene_close(&s);
	}
}

static void
a_greeting_too_many_ends_the_session(void **state)
{
	static const char *const banner[] = { "B:220 mx.test|250 mx.test|\nH", NULL };
	static const char *const ehlo[] = { "S:220 mx.test\nC:EHLO\nB:250 mx.test|250 ok|\nH", NULL };

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct server server;
		struct scene s;

		open_one(&s, &server, i == 0 ? banner : ehlo);
		scene_until(&s, &s.n_closed, 1);
		assert_int_equal(s.closed.status, SESSION_TEMPORARY);
		assert_string_equal(s.closed.enhanced, "4.5.0");
		assert_int_equal(s.n_pulls, 0);
		server_end(&server);
		scene_close(&s);
	}
}

/* Revoked in the middle of its content: the server must not see an end of it. */
static void
a_revoked_message_has_no_end(void **state)
{
	static const char *const scripts[] = { EHLO_PIPE "C:MAIL\nC:RCPT\nC:DATA\nS:250 ok\nS:250 ok\nS:354 go\nC:a\nH", NULL };
	struct d_revoke m = { 1 };
	struct server server;
	struct scene s;

	(void)state;
	open_one(&s, &server, scripts);
	scene_until(&s, &s.n_pulls, 1);
	scene_send_job(&s, 5, 1, 0, one, 1000, S("a\r\nb\r\n"));
	scene_run(&s, 100);
	assert_int_equal(d_revoke_send(s.queue, 5, &m), RC_OK);
	scene_until(&s, &s.n_closed, 1);
	assert_int_equal(s.n_results, 0);
	assert_int_equal(s.closed.status, SESSION_DONE);
	server_end(&server);
	scene_close(&s);
}

static void
idle_while_busy_ends_after_the_message(void **state)
{
	static const char *const scripts[] = { EHLO_PIPE
	    "C:MAIL\nC:RCPT\nC:DATA\nS:250 ok\nS:250 ok\nS:354 go\nD\nW:100\nS:250 ok\n" BYE, NULL };
	struct server server;
	struct scene s;

	(void)state;
	open_one(&s, &server, scripts);
	scene_until(&s, &s.n_pulls, 1);
	small_job(&s, 1, one);
	scene_send_idle(&s, 5);
	scene_until(&s, &s.n_closed, 1);
	assert_int_equal(s.n_results, 1);
	assert_false(s.results[0].pull);
	assert_int_equal(s.results[0].rows[0].status, JOB_DELIVERED);
	assert_int_equal(s.closed.status, SESSION_DONE);
	scene_run(&s, 50);
	server_end(&server);
	scene_close(&s);
}

static void
a_session_carries_so_many_messages(void **state)
{
	static const char *const scripts[] =
	    { EHLO_PIPE "C:MAIL\nC:RCPT\nC:DATA\n" MAIL_OK "C:MAIL\nC:RCPT\nC:DATA\n" MAIL_OK BYE, NULL };
	struct server server;
	struct scene s;

	(void)state;
	scene_open(&s);
	s.conf->queue.messages_per_session = 2;
	server_start(&s, &server, 2, scripts);
	scene_start(&s);
	scene_host(&s, 10, "mx.b.test", 2, DNS_OK);
	scene_send_open(&s, 5, "b.test");
	scene_until(&s, &s.n_pulls, 1);
	small_job(&s, 1, one);
	scene_until(&s, &s.n_results, 1);
	assert_true(s.results[0].pull);
	small_job(&s, 2, one);
	scene_until(&s, &s.n_closed, 1);
	assert_false(s.results[1].pull);
	assert_int_equal(s.closed.status, SESSION_DONE);
	scene_run(&s, 50);
	server_end(&server);
	scene_close(&s);
}

/* The real program behind its sandbox: whatever system call a delivery needs, its filter must let pass. */
static void
the_real_room_delivers_and_stops(void **state)
{
	static const char *const down[] = { "S:554 5.3.2 not here\nX", NULL };
	static const char *const scripts[] =
	    { EHLO_PIPE "C:MAIL\nC:RCPT\nC:DATA\nS:250 ok\nS:250 ok\nS:354 go\nW:200\nD\nS:250 ok\n"
	    "C:MAIL\nC:RCPT\nC:DATA\n" MAIL_OK BYE, NULL };
	uint8_t *big = malloc(BIG);
	struct slice first;
	struct server bad, server;
	struct played room;
	struct scene s;
	struct wr stop = play_space();

	(void)state;
	if (geteuid() != 0)
		skip();
	assert_non_null(big);
	first = slice_first(slice_of(big, make_big(big)), 200 * LINE);
	scene_open(&s);
	server_start(&s, &bad, 2, down);
	server_start(&s, &server, 3, scripts);
	assert_int_equal(conf_list_add(&s.conf->deliver.source, S("127.0.0.9")), RC_OK);
	scene_start_room(&s, &room);
	scene_host(&s, 5, "mx0.b.test", 7, DNS_OK);	/* refuses connections */
	scene_host(&s, 10, "mx1.b.test", 2, DNS_OK);
	scene_host(&s, 20, "mx2.b.test", 3, DNS_OK);
	scene_send_open(&s, 5, "b.test");
	scene_until(&s, &s.n_pulls, 1);
	scene_send_job(&s, 5, 1, 0, one, first.n, first);
	scene_until(&s, &s.n_results, 1);
	assert_int_equal(s.results[0].rows[0].status, JOB_DELIVERED);
	assert_string_equal(s.results[0].host, "mx2.b.test");
	small_job(&s, 2, one);
	scene_until(&s, &s.n_results, 2);
	assert_int_equal(s.results[1].rows[0].status, JOB_DELIVERED);
	assert_true(m_stop_put(&stop, &(struct m_stop){ 5000 }));
	play_send(&room, M_STOP, 0, slice_of(stop.p, stop.n), -1);
	scene_until(&s, &s.n_closed, 1);
	assert_int_equal(s.closed.status, SESSION_DONE);
	for (int i = 0; i < 500 && !s.queue_gone; i++)
		scene_run(&s, 10);
	assert_true(s.queue_gone);
	assert_int_equal(play_end(&room), 0);
	server_end(&bad);
	server_end(&server);
	scene_close(&s);
	free(big);
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
		cmocka_unit_test(what_the_server_cannot_take_is_not_sent),
		cmocka_unit_test(bare_newlines_are_never_sent),
		cmocka_unit_test(what_the_sender_asked_is_handed_on),
		cmocka_unit_test(every_priority_is_handed_on),
		cmocka_unit_test(what_requires_tls_is_no_reason_to_lose_a_report),
		cmocka_unit_test(what_the_server_cannot_do_is_not_asked_of_it),
		cmocka_unit_test(who_knows_no_time_tells_of_a_delay),
		cmocka_unit_test(what_is_refused_for_good_is_returned),
		cmocka_unit_test(an_address_in_utf8_concerns_its_recipient_alone),
		cmocka_unit_test(binary_content_goes_out_by_bdat),
		cmocka_unit_test(big_content_flows_with_credit),
		cmocka_unit_test(stop_lets_the_message_end),
		cmocka_unit_test(a_queue_that_breaks_the_rules_is_dropped),
		cmocka_unit_test(sessions_have_a_limit),
		cmocka_unit_test(an_early_refusal_is_heard),
		cmocka_unit_test(an_answer_ahead_of_the_dot_delivers_nothing),
		cmocka_unit_test(a_reply_too_many_ends_the_session),
		cmocka_unit_test(a_reply_too_many_in_a_pipeline_fails_nobody),
		cmocka_unit_test(a_greeting_too_many_ends_the_session),
		cmocka_unit_test(a_revoked_message_has_no_end),
		cmocka_unit_test(idle_while_busy_ends_after_the_message),
		cmocka_unit_test(a_session_carries_so_many_messages),
		cmocka_unit_test(the_real_room_delivers_and_stops),
	};

	(void)signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
