/* tests/smtpd/test_session.c -- what conversations cannot show: limits at the door, what sessions keep, late and wrong answers of
 * other rooms, replies that are gathered. Content and back-pressure: test_session_content.c. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "tests/smtpd/fakes.h"

#include "common/clock.h"
#include "smtpd/deadline.h"
#include "smtpd/session.h"

#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static void
answers_that_nobody_waits_for_are_nothing(void **state)
{
	struct fakes f;
	struct q_accepted a = { { 1, 2, 3 } };
	struct r_verdict v = { .action = VERDICT_ACCEPT, .transport = S("x"), .nexthop = S("x") };
	struct v_name n = { DNS_OK, 0, S("x.example") };

	(void)state;
	fakes_begin(&f, NULL);
	assert_int_equal(q_accepted_send(f.queue, 12345, &a), RC_OK);
	assert_int_equal(r_verdict_send(f.router, 0, &v), RC_OK);
	assert_int_equal(v_name_send(f.resolver, UINT32_MAX, &n), RC_OK);
	fakes_settle(&f);
	assert_non_null(f.smtpd.queue);
	assert_non_null(f.smtpd.router);
	assert_non_null(f.smtpd.resolver);
	fakes_stop(&f);
}

/* A verdict for a transaction that was reset must not reach the next one. */
static void
late_verdicts_find_nobody(void **state)
{
	struct fakes f;

	(void)state;
	fakes_begin(&f, NULL);
	f.router_holds = true;
	fakes_say(&f, "MAIL FROM:<a@b.example>\r\nRCPT TO:<alice@example.org>\r\n");
	fakes_hear(&f, "250 2.1.0 *");
	fakes_settle(&f);
	assert_int_equal(f.n_held, 1);
	(void)close(f.client);
	f.client = -1;
	fakes_settle(&f);
	f.replies.start = f.replies.end = 0;
	f.closed = false;
	(void)fakes_connect(&f, "192.0.2.8");
	fakes_say(&f, "HELO other.example\r\nMAIL FROM:<c@d.example>\r\nRCPT TO:<nobody@example.org>\r\n");
	fakes_hear(&f, "220 *");
	fakes_hear(&f, "250 *");
	fakes_hear(&f, "250 2.1.0 *");
	fakes_settle(&f);
	assert_int_equal(f.n_held, 2);
	fakes_router_answer(&f, false);
	fakes_hear(&f, "550 5.1.1 *");
	fakes_hear_nothing(&f);
	fakes_stop(&f);
}

static void
an_idle_session_holds_no_buffers(void **state)
{
	struct fakes f;

	(void)state;
	fakes_begin(&f, NULL);
	fakes_transaction(&f);
	fakes_say(&f, "x\r\n.\r\nNO");
	fakes_hear(&f, "250 2.0.0 *");
	fakes_say(&f, "OP\r\n");
	fakes_hear(&f, "250 *");
	fakes_settle(&f);
	assert_null(f.smtpd.sessions->in.p);
	assert_null(f.smtpd.sessions->out.p);
	assert_null(f.smtpd.sessions->tx);
	assert_true(sizeof(struct session) <= 1024);
	fakes_stop(&f);
}

/* However long it was silent before. */
static void
the_name_has_its_time_when_it_is_asked_for(void **state)
{
	struct fakes f;

	(void)state;
	fakes_begin(&f, NULL);
	f.smtpd.sessions->began -= 60 * 1000;
	fakes_say(&f, "MAIL FROM:<a@b.example>\r\n");
	fakes_hear(&f, "250 2.1.0 *");
	fakes_say(&f, "RCPT TO:<alice@example.org>\r\n");
	fakes_hear(&f, "250 2.1.5 *");
	assert_string_equal(f.last_name, "client.example.net");
	fakes_stop(&f);
}

static void
a_session_keeps_the_configuration_it_began_with(void **state)
{
	struct fakes f;
	struct conf *next = fakes_conf();
	int second;
	char greeting[64] = "";

	(void)state;
	fakes_begin(&f, NULL);
	next->generation = 2;
	next->global.hostname[0] = 'n';
	smtpd_adopt(&f.smtpd, next);
	conf_unref(next);
	fakes_say(&f, "HELO again.example\r\n");
	fakes_hear(&f, "250 mx.example.org");
	second = fakes_connect(&f, "192.0.2.9");
	fakes_settle(&f);
	assert_true(recv(second, greeting, sizeof greeting - 1, 0) > 0);
	assert_true(fakes_match("220 nx.example.org *", greeting));
	(void)close(second);
	fakes_stop(&f);
}

/* --- the door --- */

static bool
is_admitted(struct fakes *f, int fd)
{
	char text[512] = "";

	fakes_settle(f);
	assert_true(recv(fd, text, sizeof text - 1, 0) > 0);
	assert_true(fakes_match("220 *", text) || fakes_match("421 4.?.? *", text) || strncmp(text, "421 4.", 6) == 0);
	return text[0] == '2';
}

static void
clients_have_a_limit(void **state)
{
	struct conf *conf = fakes_conf();
	struct fakes f;
	int a, b, c, d, e;

	(void)state;
	conf->smtpd.max_sessions_per_client = 2;
	fakes_start(&f, conf);
	a = fakes_knock(&f, "192.0.2.7");
	f.closed = true;
	b = fakes_knock(&f, "192.0.2.7");
	c = fakes_knock(&f, "192.0.2.7");
	assert_true(is_admitted(&f, a));
	assert_true(is_admitted(&f, b));
	assert_false(is_admitted(&f, c));
	d = fakes_knock(&f, "192.0.2.8");
	assert_true(is_admitted(&f, d));
	(void)close(b);
	fakes_settle(&f);
	e = fakes_knock(&f, "192.0.2.7");
	assert_true(is_admitted(&f, e));
	(void)close(c), (void)close(d), (void)close(e);

	/* An IPv6 client is its /64. */
	b = fakes_knock(&f, "2001:db8::1");
	c = fakes_knock(&f, "2001:db8::ffff:2");
	d = fakes_knock(&f, "2001:db8:0:0:5::3");
	e = fakes_knock(&f, "2001:db8:0:1::1");
	assert_true(is_admitted(&f, b));
	assert_true(is_admitted(&f, c));
	assert_false(is_admitted(&f, d));
	assert_true(is_admitted(&f, e));
	(void)close(b), (void)close(c), (void)close(d), (void)close(e);
	fakes_settle(&f);
	assert_int_equal(f.smtpd.n_sessions, 1);
	assert_int_equal(f.smtpd.clients.table.n, 1);
	fakes_stop(&f);
}

static void
the_process_has_a_limit(void **state)
{
	enum { N = 300 };
	struct conf *conf = fakes_conf();
	struct fakes f;
	int fds[N + 1];

	(void)state;
	conf->smtpd.max_sessions = N;
	fakes_start(&f, conf);
	f.closed = true;
	for (int i = 0; i <= N; i++) {
		char ip[32];

		(void)snprintf(ip, sizeof ip, "192.0.%d.%d", i / 250, i % 250);
		fds[i] = fakes_knock(&f, ip);
		assert_int_equal(is_admitted(&f, fds[i]), i < N);
	}
	for (int i = 1; i <= N; i++)
		(void)close(fds[i]);
	fakes_settle(&f);
	assert_int_equal(f.smtpd.n_sessions, 1);
	fakes_stop(&f);
}

/* --- the rest --- */

static void
use_one(struct fakes *f)
{
	fakes_say(f, "MAIL FROM:<a@b.example>\r\nRCPT TO:<alice@example.org>\r\nRSET\r\n");
	fakes_hear(f, "250 2.1.0 *");
	fakes_hear(f, "250 2.1.5 *");
	fakes_hear(f, "250 2.0.0 *");
	fakes_settle(f);
}

static void
ids_are_not_used_up_by_resets(void **state)
{
	struct fakes f;

	(void)state;
	fakes_begin(&f, NULL);
	for (int i = 0; i < 5000; i++) {
		fakes_say(&f, "MAIL FROM:<a@b.example>\r\nRSET\r\n");
		fakes_hear(&f, "250 2.1.0 *");
		fakes_hear(&f, "250 2.0.0 *");
	}
	assert_int_equal(f.next_seq, 1001);
	fakes_stop(&f);
}

static void
ids_are_asked_for_in_time(void **state)
{
	struct fakes f;

	(void)state;
	fakes_start(&f, NULL);
	f.ids_a_block = 0;
	fakes_queue(&f, true);
	fakes_queue_give_ids(&f, IDS_LOW + 1);
	fakes_settle(&f);
	(void)fakes_connect(&f, "192.0.2.7");
	fakes_say(&f, "HELO client.example\r\n");
	fakes_hear(&f, "220 *");
	fakes_hear(&f, "250 *");
	use_one(&f);
	assert_int_equal(f.n_wants, 0);
	use_one(&f);
	assert_int_equal(f.n_wants, 1);
	/* Asked once, and used up to the last. */
	for (unsigned i = 2; i < IDS_LOW + 1; i++)
		use_one(&f);
	assert_int_equal(f.n_wants, 1);
	fakes_say(&f, "MAIL FROM:<a@b.example>\r\n");
	fakes_hear(&f, "451 4.3.0 *");
	fakes_queue_give_ids(&f, 1);
	fakes_settle(&f);
	fakes_say(&f, "MAIL FROM:<a@b.example>\r\n");
	fakes_hear(&f, "250 *");
	fakes_stop(&f);
}

static void
handles_tell_generations_apart(void **state)
{
	struct handles h = { 0 };
	int a, b;
	uint32_t first, second;

	(void)state;
	first = handle_new(&h, &a);
	assert_int_not_equal(first, 0);
	assert_ptr_equal(handle_find(&h, first), &a);
	handle_release(&h, first);
	assert_null(handle_find(&h, first));
	second = handle_new(&h, &b);
	assert_int_not_equal(first, second);
	assert_null(handle_find(&h, first));
	handle_release(&h, first);
	assert_ptr_equal(handle_find(&h, second), &b);
	for (int i = 0; i < 10000; i++) {
		uint32_t more = handle_new(&h, &a);

		assert_int_not_equal(more, 0);
		handle_release(&h, more);
	}
	assert_ptr_equal(handle_find(&h, second), &b);
	assert_int_equal(h.used, 1);
	assert_null(handle_find(&h, 0));
	assert_null(handle_find(&h, UINT32_MAX));
	handles_free(&h);
}

/* shows: RFC5321 4.5.3.2.7/1 */
static void
clients_have_five_minutes_for_a_command(void **state)
{
	struct session *s;
	struct fakes f;

	(void)state;
	fakes_begin(&f, NULL);
	s = f.smtpd.sessions;
	s->since -= 299 * 1000;
	s->timer_at = 0;
	deadline_arm(s);
	fakes_hear_nothing(&f);
	s->since -= 1000;
	s->timer_at = 0;
	deadline_arm(s);
	fakes_hear(&f, "421 4.4.2 *");
	assert_true(fakes_closed(&f, FAKES_PATIENCE_MS));
	fakes_stop(&f);
}

/* shows: RFC5321 4.2/10, RFC5321 4.3.2/3 */
static void
refusals_of_other_rooms_are_made_sane(void **state)
{
	struct refusal r;

	(void)state;
	refusal_from_room(&r, 250, S("2.0.0"), S("Ok"));
	assert_int_equal(r.code, 451);
	refusal_from_room(&r, 55, S(""), S(""));
	assert_int_equal(r.code, 451);
	refusal_from_room(&r, 60000, S(""), S(""));
	assert_int_equal(r.code, 451);
	refusal_from_room(&r, 450, S("5.1.1"), S("a\tb\r\n"));
	assert_int_equal(r.code, 450);
	assert_string_equal(r.enhanced, "4.0.0");
	assert_string_equal(r.text, "a?b??");
	refusal_from_room(&r, 554, S("5.7.999"), S(""));
	assert_string_equal(r.enhanced, "5.7.999");
	assert_string_equal(r.text, "Refused");
}

/* A session on a socket that keeps the bounds of writes: what one write holds is what the client gets in one packet. */
static int
whole_writes(struct fakes *f)
{
	struct ip ip;
	int ends[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends), 0);
	assert_int_equal(ip_parse(S("192.0.2.7"), &ip), RC_OK);
	assert_non_null(session_new(&f->smtpd, ends[1], slice_str(f->listener), ip, NULL));
	return ends[0];
}

static void
expect_write(struct fakes *f, int fd, const char *const *patterns)
{
	char text[4096], *save = NULL, *line;
	ssize_t n = -1;

	for (unsigned turn = 0; turn < 1000 && n < 0; turn++) {
		loop_turn(f->loop, false);
		n = recv(fd, text, sizeof text - 1, 0);
	}
	assert_true(n > 0);
	text[n] = '\0';
	for (line = strtok_r(text, "\r\n", &save); line != NULL; line = strtok_r(NULL, "\r\n", &save), patterns++)
		if (*patterns == NULL || !fakes_match(*patterns, line))
			fail_msg("expected \"%s\", got \"%s\" in this write", *patterns == NULL ? "no more" : *patterns, line);
	assert_null(*patterns);
}

#define EXPECT_WRITE(f, fd, ...) expect_write(f, fd, (const char *const[]){ __VA_ARGS__, NULL })

/* Replies to MAIL, RCPT and their like leave together; those to NOOP, VRFY, EXPN, TURN, DATA and to what is no command leave at
 * once, with whatever was gathered before. shows: RFC2920 3.2/3, RFC2920 3.2/4, RFC2920 3.2/7 */
static void
some_replies_are_gathered_and_some_are_not(void **state)
{
	static const char group[] = "MAIL FROM:<a@b.example>\r\nRSET\r\nMAIL FROM:<a@b.example>\r\nNOOP\r\nRSET\r\n"
	    "EHLO again.example\r\n"
	    "VRFY x\r\nRSET\r\nEXPN x\r\nTURN\r\nFROBNICATE\r\n\x80\r\nNO\0OP\r\nMAIL FROM:<a@b.example>\r\nRSET\r\nQUIT\r\n";
	struct fakes f;
	int fd;

	(void)state;
	fakes_start(&f, NULL);
	f.conf->smtpd.client_names = false;
	f.conf->smtpd.delay_errors = 1000;
	for (size_t i = 0; i < EXT_COUNT; i++)
		assert_int_equal(conf_list_add(&f.conf->smtpd.disable, slice_str(extension_keyword((enum extension)i))), RC_OK);
	fd = whole_writes(&f);
	EXPECT_WRITE(&f, fd, "220 *");
	assert_int_equal(send(fd, "EHLO client.example\r\n", 21, 0), 21);
	EXPECT_WRITE(&f, fd, "250 mx.example.org");
	assert_int_equal(send(fd, group, sizeof group - 1, 0), sizeof group - 1);
	EXPECT_WRITE(&f, fd, "250 2.1.0 *", "250 2.0.0 *", "250 2.1.0 *", "250 2.0.0 *");
	EXPECT_WRITE(&f, fd, "250 2.0.0 *", "250 mx.example.org");
	EXPECT_WRITE(&f, fd, "252 *");
	EXPECT_WRITE(&f, fd, "250 *", "252 *");
	EXPECT_WRITE(&f, fd, "502 *");
	EXPECT_WRITE(&f, fd, "500 *");
	EXPECT_WRITE(&f, fd, "500 *");
	EXPECT_WRITE(&f, fd, "500 *");
	EXPECT_WRITE(&f, fd, "250 2.1.0 *", "250 2.0.0 *", "221 *");
	(void)close(fd);
	fakes_stop(&f);
}

/* A reply that is late for its error does not keep back what was said before it. shows: RFC2920 3.2/6 */
static void
what_was_said_before_a_late_reply_is_not_late(void **state)
{
	struct fakes f;
	int fd;

	(void)state;
	fakes_start(&f, NULL);
	f.conf->smtpd.client_names = false;
	f.conf->smtpd.delay_errors = 0;
	f.conf->smtpd.error_delay = 60;
	fd = whole_writes(&f);
	EXPECT_WRITE(&f, fd, "220 *");
	assert_int_equal(send(fd, "HELO client.example\r\nRSET\r\nRSET x\r\nRSET\r\n", 41, 0), 41);
	EXPECT_WRITE(&f, fd, "250 *", "250 2.0.0 *");
	(void)usleep(80 * 1000);
	EXPECT_WRITE(&f, fd, "501 *", "250 2.0.0 *");
	(void)close(fd);
	fakes_stop(&f);
}

/* No memory for a reply: what stands before it, then 421 from elsewhere; never half of one, nor nothing.
 * shows: RFC5321 3.8/1, RFC5321 4.1.1.10/2 */
static void
no_memory_for_a_reply(void **state)
{
	static const char *const commands[] = { "NOOP\r\n", "EHLO client.example\r\n", "QUIT\r\n", "VRFY alice\r\n" };
	struct fakes f;

	(void)state;
	for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
		fakes_begin(&f, NULL);
		/* Room for one reply, and a part of the next: of EHLO some lines, of others not one. */
		f.smtpd.sessions->out.max = i == 1 ? 80 : 8;
		fakes_say(&f, commands[i]);
		fakes_hear(&f, "421 4.3.0 mx.example.org Out of memory, try again later");
		assert_false(fakes_line(&f, (char[8]){ 0 }, 8, 50));
		assert_true(f.closed);
		fakes_stop(&f);
	}
	/* Behind another reply, which is heard. */
	fakes_begin(&f, NULL);
	f.smtpd.sessions->out.max = 60;
	fakes_say(&f, "MAIL FROM:<a@b.example>\r\nRCPT TO:<alice@example.org>\r\nRCPT TO:<bob@example.org>\r\n"
	    "RCPT TO:<carol@example.org>\r\nRCPT TO:<nobody@example.org>\r\n");
	fakes_hear(&f, "250 2.1.0 *");
	fakes_hear(&f, "250 2.1.5 *");
	fakes_hear(&f, "250 2.1.5 *");
	fakes_hear(&f, "250 2.1.5 *");
	fakes_hear(&f, "421 4.3.0 *");
	fakes_stop(&f);
}

static void
send_held(struct fakes *f, const char *mail)
{
	fakes_say(f, mail);
	fakes_hear(f, "250 2.1.0 *");
	fakes_say(f, "RCPT TO:<alice@example.org>\r\nDATA\r\n");
	fakes_hear(f, "250 2.1.5 *");
	fakes_hear(f, "354 *");
	fakes_say(f, "From: a@b.example\r\n\r\n.\r\n");
	fakes_hear(f, "250 2.0.0 *");
}

/* A date within the time that is announced is taken, and not beside an interval: one hold is enough.
 * shows: RFC4865 4.2/4, RFC4865 4.2/9 */
static void
one_hold_until_a_date(void **state)
{
	time_t soon = time(NULL) + 3600;
	char date[32], line[128];
	int64_t now;
	struct envelope e;
	struct fakes f;
	struct tm tm;

	(void)state;
	fakes_begin(&f, NULL);
	f.smtpd.sessions->submission = true;
	f.smtpd.sessions->user = strdup("alice");
	assert_true(strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&soon, &tm)) > 0);
	(void)snprintf(line, sizeof line, "MAIL FROM:<a@b.example> HOLDUNTIL=%s HOLDFOR=60\r\n", date);
	fakes_say(&f, line);
	fakes_hear(&f, "501 5.5.4 *");
	(void)snprintf(line, sizeof line, "MAIL FROM:<a@b.example> HOLDFOR=60 HOLDUNTIL=%s\r\n", date);
	fakes_say(&f, line);
	fakes_hear(&f, "501 5.5.4 *");
	(void)snprintf(line, sizeof line, "MAIL FROM:<a@b.example> HOLDUNTIL=%s\r\n", date);
	send_held(&f, line);
	assert_int_equal(envelope_parse(buf_slice(&fakes_last(&f)->envelope), &e), RC_OK);
	assert_int_equal(e.hold_until, (int64_t)soon * 1000000);
	/* RFC 4865 4.2: not before its time, not by a fraction of a second either. */
	date[strlen(date) - 1] = '\0';
	(void)snprintf(line, sizeof line, "MAIL FROM:<a@b.example> HOLDUNTIL=%s.25Z\r\n", date);
	send_held(&f, line);
	assert_int_equal(envelope_parse(buf_slice(&fakes_last(&f)->envelope), &e), RC_OK);
	assert_int_equal(e.hold_until, (int64_t)(soon + 1) * 1000000);
	now = clock_wall_us();
	send_held(&f, "MAIL FROM:<a@b.example> HOLDFOR=60\r\n");
	assert_int_equal(envelope_parse(buf_slice(&fakes_last(&f)->envelope), &e), RC_OK);
	assert_true(e.hold_until >= now + INT64_C(60000000));
	fakes_stop(&f);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(some_replies_are_gathered_and_some_are_not),
		cmocka_unit_test(what_was_said_before_a_late_reply_is_not_late),
		cmocka_unit_test(answers_that_nobody_waits_for_are_nothing),
		cmocka_unit_test(late_verdicts_find_nobody),
		cmocka_unit_test(an_idle_session_holds_no_buffers),
		cmocka_unit_test(the_name_has_its_time_when_it_is_asked_for),
		cmocka_unit_test(a_session_keeps_the_configuration_it_began_with),
		cmocka_unit_test(clients_have_a_limit),
		cmocka_unit_test(the_process_has_a_limit),
		cmocka_unit_test(ids_are_asked_for_in_time),
		cmocka_unit_test(ids_are_not_used_up_by_resets),
		cmocka_unit_test(handles_tell_generations_apart),
		cmocka_unit_test(clients_have_five_minutes_for_a_command),
		cmocka_unit_test(refusals_of_other_rooms_are_made_sane),
		cmocka_unit_test(no_memory_for_a_reply),
		cmocka_unit_test(one_hold_until_a_date),
	};

	(void)signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
