/* tests/deliver/test_session_end.c -- what ends the real sessions, or must not: stops, limits, a queue that breaks the rules,
 * replies that nobody asked for; and the room itself behind its sandbox. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "tests/deliver/scene.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

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
	scene_open_job(&s, &server, scripts, scene_one);
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
	scene_open_one(&s, &server, scripts);
	scene_until(&s, &s.n_pulls, 1);
	scene_send_job(&s, 5, 1, 0, scene_one, 5, SCENE_SMALL);	/* more content than its size */
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
	uint8_t *big = malloc(SCENE_BIG);
	struct server server;
	struct scene s;

	(void)state;
	assert_non_null(big);
	scene_open_one(&s, &server, scripts);
	scene_until(&s, &s.n_pulls, 1);
	(void)scene_big(big);
	scene_send_job(&s, 5, 1, 0, scene_one, SCENE_BIG, slice_of(big, 30000));
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
		scene_open_job(&s, &server, scripts, scene_one);
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
		scene_open_job(&s, &server, scripts, scene_three);
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
		scene_open_job(&s, &server, scripts, scene_three);
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

		scene_open_one(&s, &server, i == 0 ? banner : ehlo);
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
	scene_open_one(&s, &server, scripts);
	scene_until(&s, &s.n_pulls, 1);
	scene_send_job(&s, 5, 1, 0, scene_one, 1000, S("a\r\nb\r\n"));
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
	scene_open_job(&s, &server, scripts, scene_one);
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
	scene_small_job(&s, 1, scene_one);
	scene_until(&s, &s.n_results, 1);
	assert_true(s.results[0].pull);
	scene_small_job(&s, 2, scene_one);
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
	uint8_t *big = malloc(SCENE_BIG);
	struct slice first;
	struct server bad, server;
	struct played room;
	struct scene s;
	struct wr stop = play_space();

	(void)state;
	if (geteuid() != 0)
		skip();
	assert_non_null(big);
	first = slice_first(slice_of(big, scene_big(big)), 200 * SCENE_LINE);
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
	scene_send_job(&s, 5, 1, 0, scene_one, first.n, first);
	scene_until(&s, &s.n_results, 1);
	assert_int_equal(s.results[0].rows[0].status, JOB_DELIVERED);
	assert_string_equal(s.results[0].host, "mx2.b.test");
	scene_small_job(&s, 2, scene_one);
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
