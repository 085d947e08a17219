/* tests/deliver/test_session_content.c -- what of a message, and of what its sender asked for, the real sessions hand on to
 * servers that can do more or less. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "tests/deliver/scene.h"

#include <signal.h>
#include <stdlib.h>
#include <time.h>

/* shows: RFC5321 2.4/5, RFC5321 4.5.3.1/3, RFC6152 3/5, RFC6152 3/6 */
static void
what_the_server_cannot_take_is_not_sent(void **state)
{
	static const char *const scripts[] = { "S:220 x\nC:EHLO\nS:250-x\nS:250 SIZE 100\nQ\nQ\nQ\n" BYE, NULL };
	struct server server;
	struct scene s;

	(void)state;
	scene_open_one(&s, &server, scripts);
	scene_until(&s, &s.n_pulls, 1);
	scene_send_job(&s, 5, 1, 0, scene_one, 5000, SCENE_SMALL);
	scene_until(&s, &s.n_results, 1);
	assert_int_equal(s.results[0].rows[0].status, JOB_FAILED);
	assert_string_equal(s.results[0].rows[0].enhanced, "5.3.4");
	scene_send_job(&s, 5, 2, ENVELOPE_8BITMIME, scene_one, SCENE_SMALL.n, SCENE_SMALL);
	scene_until(&s, &s.n_results, 2);
	assert_int_equal(s.results[1].rows[0].status, JOB_FAILED);
	assert_string_equal(s.results[1].rows[0].enhanced, "5.6.3");
	scene_run(&s, 200);
	scene_close_idle(&s, &server);
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
	scene_open_one(&s, &server, scripts);
	scene_until(&s, &s.n_pulls, 1);
	for (unsigned i = 0; i < 2; i++) {
		scene_small_job(&s, 1 + i, scene_one);
		scene_until(&s, &s.n_results, 1 + i);
		assert_int_equal(s.results[i].rows[0].status, JOB_FAILED);
		assert_string_equal(s.results[i].rows[0].enhanced, enhanced[i]);
	}
	scene_run(&s, 100);
	scene_close_idle(&s, &server);
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
	scene_open_one(&s, &server, scripts);
	scene_until(&s, &s.n_pulls, 1);
	s.envid = "Q+2B";
	s.orcpt = "rfc822;R+2Bx@B.test";
	s.notify = NOTIFY_SUCCESS | NOTIFY_DELAY;
	s.priority = -2;
	(void)clock_gettime(CLOCK_REALTIME, &now);
	s.deliver_by = (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000 + 99900000;	/* seconds that are begun do not count */
	scene_send_job(&s, 5, 1, ENVELOPE_RET_HDRS | ENVELOPE_BY_TRACE, scene_one, SCENE_SMALL.n, SCENE_SMALL);
	scene_until(&s, &s.n_results, 1);
	assert_int_equal(s.results[0].rows[0].status, JOB_DELIVERED);
	assert_int_equal(s.results[0].passed, JOB_PASSED_DSN | JOB_PASSED_BY);
	scene_close_idle(&s, &server);
}

/* A server with DSN and without DELIVERBY is to tell of a delay.
 * shows: RFC2852 4.1.4/3, RFC3461 5.2.1/2, RFC3461 5.2.1/3 */
static void
who_knows_no_time_tells_of_a_delay(void **state)
{
	static const char *const scripts[] = { "S:220 x\nC:EHLO\nS:250-x\nS:250 DSN\n"
	    "C:MAIL FROM:<sender@a.test>\r\nS:250 ok\nC:RCPT TO:<r@b.test> NOTIFY=FAILURE,DELAY\r\nS:250 ok\nC:DATA\nS:354 go\n"
	    "D\nS:250 ok\n"
	    "C:MAIL FROM:<sender@a.test>\r\nS:250 ok\nC:RCPT TO:<r@b.test> NOTIFY=SUCCESS,DELAY\r\nS:250 ok\nC:DATA\nS:354 go\n"
	    "D\nS:250 ok\n"
	    "C:MAIL FROM:<sender@a.test>\r\nS:250 ok\nC:RCPT TO:<r@b.test> NOTIFY=NEVER\r\nS:250 ok\nC:DATA\nS:354 go\nD\n"
	    "S:250 ok\n"
	    /* Its time is over: nothing is added. */
	    "C:MAIL FROM:<sender@a.test>\r\nS:250 ok\nC:RCPT TO:<r@b.test>\r\nS:250 ok\nC:DATA\nS:354 go\nD\nS:250 ok\n"
	    "C:MAIL FROM:<sender@a.test>\r\nS:250 ok\nC:RCPT TO:<r@b.test> NOTIFY=SUCCESS\r\nS:250 ok\nC:DATA\nS:354 go\n"
	    "D\nS:250 ok\n" BYE, NULL };
	static const uint8_t asked[] = { 0, NOTIFY_SUCCESS, NOTIFY_NEVER, 0, NOTIFY_SUCCESS };
	struct server server;
	struct scene s;

	(void)state;
	scene_open_one(&s, &server, scripts);
	scene_until(&s, &s.n_pulls, 1);
	for (unsigned i = 0; i < sizeof asked; i++) {
		s.deliver_by = ((int64_t)time(NULL) + (i < 3 ? 100 : -100)) * 1000000;
		s.notify = asked[i];
		scene_send_job(&s, 5, 1 + i, ENVELOPE_BY_NOTIFY, scene_one, SCENE_SMALL.n, SCENE_SMALL);
		scene_until(&s, &s.n_results, 1 + i);
		assert_int_equal(s.results[i].rows[0].status, JOB_DELIVERED);
	}
	scene_close_idle(&s, &server);
}

/* A server that needs more time than there is does not get the message, one that needs less does; no other host is looked for.
 * shows: RFC2852 4.1.4.1/1, RFC2852 4.1.4/2, RFC2852 4.1.3/1, RFC2852 7/1 */
static void
a_server_has_the_time_that_it_needs(void **state)
{
	static const char *const scripts[] = { "S:220 x\nC:EHLO\nS:250-x\nS:250 DELIVERBY 200\nQ\n"
	    "C:MAIL FROM:<sender@a.test> BY=2\nS:250 ok\nC:RCPT\nS:250 ok\nC:DATA\nS:354 go\nD\nS:250 ok\n" BYE, NULL };
	static const struct { int left; enum job_status status; const char *enhanced; } cases[] = {
		{ 190, JOB_FAILED, "5.3.3" }, { -10, JOB_FAILED, "5.4.7" }, { 220, JOB_DELIVERED, "2.0.0" } };
	struct server server;
	struct scene s;

	(void)state;
	scene_open(&s);
	server_start(&s, &server, 2, scripts);
	s.conf->deliver.port = s.port;
	scene_start(&s);
	s.dns_status = DNS_OK;
	scene_host(&s, 10, "mx1.b.test", 2, DNS_OK);
	scene_host(&s, 20, "mx2.b.test", 3, DNS_OK);
	scene_send_open(&s, 5, "b.test");
	scene_until(&s, &s.n_pulls, 1);
	for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		s.deliver_by = ((int64_t)time(NULL) + cases[i].left) * 1000000;
		scene_send_job(&s, 5, 1 + i, 0, scene_one, SCENE_SMALL.n, SCENE_SMALL);
		scene_until(&s, &s.n_results, 1 + i);
		assert_int_equal(s.results[i].rows[0].status, cases[i].status);
		assert_string_equal(s.results[i].rows[0].enhanced, cases[i].enhanced);
		assert_string_equal(s.results[i].host, "mx1.b.test");
		scene_run(&s, i == 1 ? 100 : 0);	/* the server looks whether anything comes */
	}
	scene_close_idle(&s, &server);
}

/* shows: RFC6710 4.2/1, RFC6710 5/2, RFC3461 5.2.1/2, RFC3461 5.2.1/3 */
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
	scene_open_one(&s, &server, scripts);
	scene_until(&s, &s.n_pulls, 1);
	scene_send_job(&s, 5, 1, 0, scene_one, SCENE_SMALL.n, SCENE_SMALL);
	scene_until(&s, &s.n_results, 1);
	s.priority = 9;
	scene_send_job(&s, 5, 2, 0, scene_one, SCENE_SMALL.n, SCENE_SMALL);
	scene_until(&s, &s.n_results, 2);
	assert_int_equal(s.results[1].rows[0].status, JOB_DELIVERED);
	scene_close_idle(&s, &server);
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
	scene_open_one(&s, &server, scripts);
	scene_until(&s, &s.n_pulls, 1);
	s.sender = "";
	scene_send_job(&s, 5, 1, ENVELOPE_BOUNCE | ENVELOPE_REQUIRETLS, scene_one, SCENE_SMALL.n, SCENE_SMALL);
	scene_until(&s, &s.n_results, 1);
	assert_int_equal(s.results[0].rows[0].status, JOB_DELIVERED);
	scene_send_job(&s, 5, 2, ENVELOPE_TLS_OPTIONAL, scene_one, SCENE_SMALL.n, SCENE_SMALL);
	scene_until(&s, &s.n_results, 2);
	assert_int_equal(s.results[1].rows[0].status, JOB_FAILED);
	assert_int_equal(s.results[1].rows[0].code, 530);
	scene_close_idle(&s, &server);
}

/* shows: RFC3461 5.2.2/3, RFC6710 4.3/1, RFC3030 3/5, RFC6531 3.2/1, RFC8689 4.2.1/1, RFC2852 4.1.4/2, RFC6531 3.5/4 */
static void
what_the_server_cannot_do_is_not_asked_of_it(void **state)
{
	static const char *const both[] = { "j\xc3\xb6rg@b.test", "r@b.test", NULL };
	static const char *const scripts[] = { "S:220 x\nC:EHLO\nS:250-x\nS:250 8BITMIME\n"
	    "C:MAIL FROM:<sender@a.test>\r\nS:250 ok\nC:RCPT TO:<r@b.test>\r\nS:250 ok\nC:DATA\nS:354 go\nD\nS:250 ok\n" BYE,
	    NULL };
	static const struct { uint32_t flags; const char *enhanced; } needs[] = { { ENVELOPE_BINARYMIME, "5.6.3" },
		{ ENVELOPE_SMTPUTF8, "5.6.9" }, { ENVELOPE_REQUIRETLS, "5.7.10" } };
	struct server server;
	struct scene s;

	(void)state;
	scene_open_one(&s, &server, scripts);
	scene_until(&s, &s.n_pulls, 1);
	s.envid = "Q";
	s.notify = NOTIFY_NEVER;
	s.priority = 3;
	scene_send_job(&s, 5, 1, ENVELOPE_RET_FULL, scene_one, SCENE_SMALL.n, SCENE_SMALL);
	scene_until(&s, &s.n_results, 1);
	assert_int_equal(s.results[0].rows[0].status, JOB_DELIVERED);
	assert_int_equal(s.results[0].passed, 0);
	for (unsigned i = 0; i < sizeof needs / sizeof needs[0]; i++) {
		scene_send_job(&s, 5, 2 + i, needs[i].flags, scene_one, SCENE_SMALL.n, SCENE_SMALL);
		scene_until(&s, &s.n_results, 2 + i);
		assert_int_equal(s.results[1 + i].rows[0].status, JOB_FAILED);
		assert_string_equal(s.results[1 + i].rows[0].enhanced, needs[i].enhanced);
	}
	s.deliver_by = ((int64_t)time(NULL) + 100) * 1000000;
	scene_send_job(&s, 5, 8, 0, scene_one, SCENE_SMALL.n, SCENE_SMALL);
	scene_until(&s, &s.n_results, 5);
	assert_string_equal(s.results[4].rows[0].enhanced, "5.3.3");
	s.deliver_by = 0;
	s.sender = "j\xc3\xb6rg@a.test";
	scene_send_job(&s, 5, 9, 0, scene_one, SCENE_SMALL.n, SCENE_SMALL);
	scene_until(&s, &s.n_results, 6);
	assert_string_equal(s.results[5].rows[0].enhanced, "5.6.7");
	/* With an address in UTF-8 our trace field has it, too: the address is what is wrong with its recipient. */
	s.sender = NULL;
	scene_send_job(&s, 5, 10, ENVELOPE_SMTPUTF8, both, SCENE_SMALL.n, SCENE_SMALL);
	scene_until(&s, &s.n_results, 7);
	assert_int_equal(s.results[6].n, 2);
	for (size_t i = 0; i < 2; i++)
		assert_string_equal(s.results[6].rows[i].enhanced, s.results[6].rows[i].index == 10 ? "5.6.7" : "5.6.9");
	scene_close_idle(&s, &server);
}

/* Nothing but one address is in UTF-8: the other recipient is served by a server without SMTPUTF8, and one that has it is asked
 * for it only when such an address comes along. shows: RFC6531 3.2/1, RFC6531 3.1/4, RFC6531 3.4/3, RFC6531 3.4/4 */
static void
an_address_in_utf8_concerns_its_recipient_alone(void **state)
{
	static const char *const both[] = { "j\xc3\xb6rg@b.test", "r@b.test", NULL };
	static const char *const without[] = { "S:220 x\nC:EHLO\nS:250-x\nS:250 8BITMIME\n"
	    "C:MAIL FROM:<sender@a.test>\r\nS:250 ok\nC:RCPT TO:<r@b.test>\r\nS:250 ok\nC:DATA\nS:354 go\nD\nS:250 ok\n" BYE,
	    NULL };
	static const char *const with[] = { "S:220 x\nC:EHLO\nS:250-x\nS:250-8BITMIME\nS:250 SMTPUTF8 NO=1\n"
	    "C:MAIL FROM:<sender@a.test> SMTPUTF8\r\nS:250 ok\nC:RCPT TO:<j\xc3\xb6rg@b.test>\r\nS:250 ok\nC:RCPT\nS:250 ok\n"
	    "C:DATA\nS:354 go\nD\nS:250 ok\n"
	    "C:MAIL FROM:<sender@a.test>\r\nS:250 ok\nC:RCPT TO:<r@b.test>\r\nS:250 ok\nC:DATA\nS:354 go\nD\nS:250 ok\n" BYE,
	    NULL };
	struct server server;
	struct scene s;

	(void)state;
	scene_open_one(&s, &server, without);
	scene_until(&s, &s.n_pulls, 1);
	scene_send_job(&s, 5, 1, 0, both, SCENE_SMALL.n, SCENE_SMALL);
	scene_until(&s, &s.n_results, 1);
	assert_int_equal(s.results[0].n, 2);
	for (size_t i = 0; i < 2; i++)
		assert_int_equal(s.results[0].rows[i].status, s.results[0].rows[i].index == 10 ? JOB_FAILED : JOB_DELIVERED);
	scene_close_idle(&s, &server);

	scene_open_one(&s, &server, with);
	scene_until(&s, &s.n_pulls, 1);
	scene_send_job(&s, 5, 1, 0, both, SCENE_SMALL.n, SCENE_SMALL);
	scene_until(&s, &s.n_results, 1);
	assert_int_equal(s.results[0].rows[0].status, JOB_DELIVERED);
	assert_int_equal(s.results[0].rows[1].status, JOB_DELIVERED);
	scene_send_job(&s, 5, 2, 0, scene_one, SCENE_SMALL.n, SCENE_SMALL);
	scene_until(&s, &s.n_results, 2);
	assert_int_equal(s.results[1].rows[0].status, JOB_DELIVERED);
	scene_close_idle(&s, &server);
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
	scene_open_one(&s, &server, scripts);
	scene_until(&s, &s.n_pulls, 1);
	scene_send_job(&s, 5, 1, ENVELOPE_BINARYMIME, scene_one, content.n, content);
	scene_until(&s, &s.n_results, 1);
	assert_int_equal(s.results[0].rows[0].status, JOB_DELIVERED);
	scene_send_job(&s, 5, 2, ENVELOPE_BINARYMIME, scene_one, content.n, content);
	scene_until(&s, &s.n_results, 2);
	assert_int_equal(s.results[1].rows[0].status, JOB_FAILED);
	scene_send_job(&s, 5, 3, ENVELOPE_BINARYMIME, scene_one, content.n, content);
	scene_until(&s, &s.n_results, 3);
	assert_int_equal(s.results[2].rows[0].status, JOB_DEFERRED);
	assert_int_equal(buf_len(&server.content), 22);
	assert_memory_equal(buf_slice(&server.content).p, content.p, 11);
	scene_close_idle(&s, &server);
}

/* shows: RFC5321 2.3.8/4 */
static void
bare_newlines_are_never_sent(void **state)
{
	static const char *const scripts[] = { EHLO_PIPE "C:MAIL\nC:RCPT\nC:DATA\nS:250 ok\nS:250 ok\nS:354 go\nH", NULL };
	struct server server;
	struct scene s;

	(void)state;
	scene_open_one(&s, &server, scripts);
	scene_until(&s, &s.n_pulls, 1);
	scene_send_job(&s, 5, 1, 0, scene_one, 9, S("a\n.\r\nb\r\n"));
	scene_until(&s, &s.n_closed, 1);
	assert_int_equal(s.results[0].rows[0].status, JOB_FAILED);
	assert_string_equal(s.results[0].rows[0].enhanced, "5.6.0");
	server_end(&server);
	scene_close(&s);
}

/* Content beyond the window, in chunks as the credit comes, to a slow reader. */
static void
big_content_flows_with_credit(void **state)
{
	static const char *const scripts[] = { EHLO_PIPE
	    "C:MAIL FROM:<sender@a.test> SIZE=900000 BODY=8BITMIME\r\nC:RCPT\nC:DATA\nS:250 ok\nS:250 ok\nS:354 go\nW:300\nD\n"
	    "S:250 ok\n" BYE, NULL };
	uint8_t *big = malloc(SCENE_BIG);
	struct server server;
	struct scene s;
	size_t sent = 30000, waits = 0;
	struct slice all;

	(void)state;
	assert_non_null(big);
	all = slice_of(big, scene_big(big));
	scene_open(&s);
	server_start(&s, &server, 2, scripts);
	s.conf->deliver.port = s.port;
	scene_start(&s);
	s.dns_status = DNS_OK;
	scene_host(&s, 10, "mx.b.test", 2, DNS_OK);
	scene_send_open(&s, 5, "b.test");
	scene_until(&s, &s.n_pulls, 1);
	scene_send_job(&s, 5, 1, ENVELOPE_8BITMIME, scene_one, SCENE_BIG, slice_first(all, sent));
	while (sent < SCENE_BIG) {
		size_t n = SCENE_BIG - sent < 20000 ? SCENE_BIG - sent : 20000;
		struct d_chunk m = { 1, slice_first(slice_from(all, sent), n) };

		while (sent + n > s.credit + IPC_CONTENT_WINDOW)
			assert_true(++waits < 5000), scene_run(&s, 2);
		assert_int_equal(d_chunk_send(s.queue, 5, &m), RC_OK);
		sent += n;
	}
	scene_until(&s, &s.n_results, 1);
	assert_int_equal(s.results[0].rows[0].status, JOB_DELIVERED);
	assert_true(buf_len(&server.content) == SCENE_BIG + SCENE_BIG / SCENE_LINE);
	scene_close_idle(&s, &server);
	free(big);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_the_server_cannot_take_is_not_sent),
		cmocka_unit_test(what_is_refused_for_good_is_returned),
		cmocka_unit_test(what_the_sender_asked_is_handed_on),
		cmocka_unit_test(who_knows_no_time_tells_of_a_delay),
		cmocka_unit_test(a_server_has_the_time_that_it_needs),
		cmocka_unit_test(every_priority_is_handed_on),
		cmocka_unit_test(what_requires_tls_is_no_reason_to_lose_a_report),
		cmocka_unit_test(what_the_server_cannot_do_is_not_asked_of_it),
		cmocka_unit_test(an_address_in_utf8_concerns_its_recipient_alone),
		cmocka_unit_test(binary_content_goes_out_by_bdat),
		cmocka_unit_test(bare_newlines_are_never_sent),
		cmocka_unit_test(big_content_flows_with_credit),
	};

	(void)signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
