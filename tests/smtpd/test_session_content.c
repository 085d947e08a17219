/* tests/smtpd/test_session_content.c -- content on its way in: every octet and every size, the queue's credit and what it does to
 * the client's socket, rooms that die or break the rules in the middle. What else sessions do: test_session.c. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "tests/smtpd/fakes.h"

#include "smtpd/deadline.h"
#include "smtpd/session.h"

#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

enum { LINE = 64 };

/* n lines of LINE bytes that tell their number; every seventh starts with a dot (stuffed when asked for). */
static void
put_lines(struct buf *to, size_t n, bool stuffed)
{
	for (size_t i = 0; i < n; i++) {
		bool dot = i % 7 == 0;

		assert_true(buf_printf(to, "%s%c%0*zu\r\n", dot && stuffed ? "." : "", dot ? '.' : 'x', LINE - 3, i));
	}
}

static void
expect_content(const struct fake_message *m, size_t n_lines)
{
	struct buf want = BUF_INIT(256 << 20);
	struct slice content = buf_slice(&m->content);
	size_t head;

	put_lines(&want, n_lines, false);
	assert_true(content.n > buf_len(&want));
	head = content.n - buf_len(&want);
	assert_true(head < 512);
	assert_memory_equal(content.p, "Received: ", 10);
	assert_true(slice_eq(slice_from(content, head), buf_slice(&want)));
	buf_free(&want);
}

static void
expect_end(const struct fake_message *m, struct slice text)
{
	struct slice content = buf_slice(&m->content);

	assert_true(content.n > text.n);
	assert_true(slice_eq(slice_from(content, content.n - text.n), text));
}

/* All that a line of text may hold, as it came; and every byte there is, in a chunk that is declared binary.
 * shows: RFC5321 2.4/6, RFC5321 4.5.2/3, RFC6152 3/4, RFC3030 3/3 */
static void
every_character_arrives(void **state)
{
	uint8_t text[600], binary[256];
	struct fakes f;
	size_t n = 0;

	(void)state;
	for (unsigned c = 0; c < 256; c++) {
		binary[c] = (uint8_t)c;
		if (c == 0 || c == '\r' || c == '\n')
			continue;
		text[n++] = 'x';	/* a dot would be doubled */
		text[n++] = (uint8_t)c;
	}
	memcpy(text + n, "\r\n.\r\n", 5);
	fakes_begin(&f, NULL);
	fakes_transaction(&f);
	fakes_send(&f, slice_of(text, n + 5), 100);
	fakes_hear(&f, "250 2.0.0 Ok: queued as *");
	expect_end(fakes_last(&f), slice_of(text, n + 2));

	fakes_say(&f, "MAIL FROM:<a@b.example> BODY=BINARYMIME\r\nRCPT TO:<alice@example.org>\r\nBDAT 256 LAST\r\n");
	fakes_send(&f, slice_of(binary, sizeof binary), 100);
	fakes_hear(&f, "250 2.1.0 *");
	fakes_hear(&f, "250 2.1.5 *");
	fakes_hear(&f, "250 2.0.0 Ok: queued as *");
	expect_end(fakes_last(&f), slice_of(binary, sizeof binary));
	fakes_stop(&f);
}

/* --- large messages --- */

static void
every_size_arrives_whole(void **state)
{
	/* Around what is gathered, one frame, and the window. */
	static const size_t sizes[] = { 0, 1, 500, 1000, 1018, 1019, 1020, 1021, 1022, 1023, 1024, 1025, 1030, 1050, 2000, 2040,
		2050, 4090, 4096, 4100, 50000 };
	struct fakes f;

	(void)state;
	fakes_begin(&f, NULL);
	for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
		struct buf text = BUF_INIT(64 << 20);

		fakes_transaction(&f);
		put_lines(&text, sizes[i], true);
		assert_true(buf_put_str(&text, ".\r\n"));
		fakes_send(&f, buf_slice(&text), 7777 + i);
		fakes_hear(&f, "250 2.0.0 Ok: queued as *");
		assert_int_equal(f.n_messages, i + 1);
		expect_content(fakes_last(&f), sizes[i]);
		assert_int_equal(fakes_last(&f)->begun, sizes[i] * LINE > 66 * 1024);
		buf_free(&text);
	}
	fakes_stop(&f);
}

/* The client's bytes until the socket takes no more for a while. */
static size_t
push(struct fakes *f, struct slice bytes)
{
	size_t sent = 0;

	for (int quiet = 0; quiet < 5 && sent < bytes.n;) {
		ssize_t n = send(f->client, bytes.p + sent, bytes.n - sent, MSG_NOSIGNAL);

		if (n > 0) {
			sent += (size_t)n;
			quiet = 0;
		} else {
			quiet++;
		}
		fakes_settle(f);
	}
	return sent;
}

static void
without_credit_the_client_waits(void **state)
{
	struct buf text = BUF_INIT(64 << 20);
	struct fakes f;
	size_t sent;

	(void)state;
	fakes_begin(&f, NULL);
	f.queue_no_credit = true;
	fakes_transaction(&f);
	put_lines(&text, 100000, true);
	assert_true(buf_put_str(&text, ".\r\n"));
	sent = push(&f, buf_slice(&text));
	assert_int_equal(buf_len(&fakes_last(&f)->content), IPC_CONTENT_WINDOW);
	assert_true(sent < IPC_CONTENT_WINDOW + 1024 * 1024);
	assert_true((f.smtpd.sessions->waits & WAIT_AGAIN) != 0);
	assert_true(buf_len(&f.smtpd.sessions->in) <= SESSION_READ_MAX);
	fakes_hear_nothing(&f);

	/* A little credit: a little more. */
	fakes_queue_credit(&f, 1000);
	fakes_settle(&f);
	assert_int_equal(buf_len(&fakes_last(&f)->content), IPC_CONTENT_WINDOW + 1000);
	f.queue_no_credit = false;
	fakes_queue_credit(&f, IPC_CONTENT_WINDOW);
	fakes_send(&f, slice_from(buf_slice(&text), sent), SIZE_MAX);
	fakes_hear(&f, "250 2.0.0 *");
	expect_content(fakes_last(&f), 100000);
	buf_free(&text);
	fakes_stop(&f);
}

static void
start_large(struct fakes *f, size_t n_lines)
{
	struct buf text = BUF_INIT(64 << 20);

	fakes_transaction(f);
	put_lines(&text, n_lines, true);
	fakes_send(f, buf_slice(&text), SIZE_MAX);
	fakes_settle(f);
	assert_true(fakes_last(f)->begun);
	buf_free(&text);
}

/* shows: RFC5321 4.1.1.4/7 */
static void
the_queue_refuses_in_the_middle(void **state)
{
	struct fakes f;
	struct q_refused r = { 452, S("4.3.1"), S("Disk full") };

	(void)state;
	fakes_begin(&f, NULL);
	start_large(&f, 5000);
	assert_int_equal(q_refused_send(f.queue, fakes_last(&f)->handle, &r), RC_OK);
	fakes_hear_nothing(&f);
	fakes_say(&f, "much more\r\n.\r\n");
	fakes_hear(&f, "452 4.3.1 Disk full");
	assert_false(fakes_last(&f)->aborted || fakes_last(&f)->committed);
	fakes_say(&f, "NOOP\r\n");
	fakes_hear(&f, "250 *");
	fakes_stop(&f);
}

static void
what_cannot_be_kept_is_taken_back(void **state)
{
	struct conf *conf = fakes_conf();
	struct fakes f;

	(void)state;
	conf->smtpd.max_message_size = 200 * 1024;
	fakes_begin(&f, conf);

	/* Too large. */
	start_large(&f, 5000);
	assert_true(fakes_last(&f)->aborted);
	fakes_hear_nothing(&f);
	fakes_say(&f, ".\r\n");
	fakes_hear(&f, "552 5.3.4 *");

	/* A bare newline. */
	start_large(&f, 2000);
	assert_false(fakes_last(&f)->aborted);
	fakes_say(&f, "x\ny\r\n");
	fakes_hear(&f, "550 5.6.0 *");
	fakes_hear(&f, "421 *");
	fakes_settle(&f);
	assert_true(fakes_last(&f)->aborted);
	assert_true(fakes_closed(&f, FAKES_PATIENCE_MS));
	fakes_stop(&f);
}

/* shows: RFC5321 4.1.1.5/4, RFC5321 4.1.1.10/5 */
static void
a_client_that_vanishes_leaves_nothing(void **state)
{
	struct fakes f;

	(void)state;
	fakes_begin(&f, NULL);
	start_large(&f, 2000);
	assert_false(fakes_last(&f)->aborted);
	(void)close(f.client);
	f.client = -1;
	fakes_settle(&f);
	assert_true(fakes_last(&f)->aborted);
	assert_int_equal(f.smtpd.n_sessions, 0);
	fakes_stop(&f);
}

static void
the_queue_dies_in_the_middle(void **state)
{
	struct fakes f;

	(void)state;
	fakes_begin(&f, NULL);
	start_large(&f, 2000);
	fakes_queue(&f, false);
	fakes_settle(&f);
	fakes_queue(&f, true);
	fakes_settle(&f);
	fakes_say(&f, "more\r\n.\r\n");
	fakes_hear(&f, "451 4.3.0 *");
	fakes_transaction(&f);
	fakes_say(&f, ".\r\n");
	fakes_hear(&f, "250 2.0.0 *");
	fakes_stop(&f);
}

/* However many recipients the configuration allows, their envelope is one frame: the rest is told to come again. */
static void
an_envelope_never_outgrows_its_frame(void **state)
{
	struct conf *conf = fakes_conf();
	struct buf text = BUF_INIT(64 << 20);
	struct envelope e = { .n_rcpts = 0 };
	struct fakes f;
	char line[512];
	unsigned accepted = 0;

	(void)state;
	conf->smtpd.max_recipients = 50000;
	fakes_begin(&f, conf);
	fakes_say(&f, "MAIL FROM:<a@b.example>\r\n");
	fakes_hear(&f, "250 2.1.0 *");
	for (;;) {
		(void)snprintf(line, sizeof line, "RCPT TO:<user%060u@example.org>\r\n", accepted);
		fakes_say(&f, line);
		assert_true(fakes_line(&f, line, sizeof line, FAKES_PATIENCE_MS));
		if (line[0] == '4')
			break;
		assert_true(fakes_match("250 2.1.5 *", line));
		accepted++;
	}
	assert_true(fakes_match("452 4.5.3 *", line));
	assert_true(accepted > 800);
	fakes_say(&f, "DATA\r\n");
	fakes_hear(&f, "354 *");
	put_lines(&text, 1000, true);
	fakes_send(&f, buf_slice(&text), SIZE_MAX);
	fakes_say(&f, ".\r\n");
	fakes_hear(&f, "250 2.0.0 *");
	assert_true(fakes_last(&f)->begun);
	assert_int_equal(envelope_parse(buf_slice(&fakes_last(&f)->envelope), &e), RC_OK);
	assert_int_equal(e.n_rcpts, accepted);
	expect_content(fakes_last(&f), 1000);
	buf_free(&text);
	fakes_stop(&f);
}

/* --- rooms that break the rules are dropped, and nobody else suffers --- */

static void
credit_for_nothing_drops_the_queue(void **state)
{
	struct fakes f;

	(void)state;
	fakes_begin(&f, NULL);
	f.queue_no_credit = true;
	start_large(&f, 2000);
	fakes_queue_credit(&f, IPC_CONTENT_WINDOW);
	fakes_settle(&f);
	assert_null(f.smtpd.queue);
	assert_null(f.queue);
	fakes_say(&f, ".\r\n");
	fakes_hear(&f, "451 4.3.0 *");
	fakes_say(&f, "MAIL FROM:<a@b.example>\r\n");
	fakes_hear(&f, "451 4.3.0 *");
	fakes_stop(&f);
}

static void
accepting_what_is_not_complete_drops_the_queue(void **state)
{
	struct fakes f;
	struct q_accepted a;

	(void)state;
	fakes_begin(&f, NULL);
	start_large(&f, 2000);
	a.id = fakes_last(&f)->id;
	assert_int_equal(q_accepted_send(f.queue, fakes_last(&f)->handle, &a), RC_OK);
	fakes_settle(&f);
	assert_null(f.smtpd.queue);
	fakes_say(&f, ".\r\n");
	fakes_hear(&f, "451 4.3.0 *");
	fakes_stop(&f);
}

/* --- the client's side --- */

static void
replies_that_are_not_read_stop_the_reading(void **state)
{
	enum { N = 99000 };
	struct buf text = BUF_INIT(4 << 20);
	struct fakes f;
	size_t sent, heard = 0;

	(void)state;
	fakes_begin(&f, NULL);
	for (int i = 0; i < N; i++)
		assert_true(buf_put_str(&text, "NOOP\r\n"));
	f.closed = true;	/* the fake client looks away */
	sent = push(&f, buf_slice(&text));
	assert_true(sent < buf_len(&text));
	assert_true(buf_len(&f.smtpd.sessions->out) < REPLY_BUFFER_MAX);
	assert_true(f.smtpd.sessions->n_commands < N);
	f.closed = false;
	fakes_send(&f, slice_from(buf_slice(&text), sent), SIZE_MAX);
	for (; heard < N; heard++)
		fakes_hear(&f, "250 2.0.0 Ok");
	fakes_hear_nothing(&f);
	buf_free(&text);
	fakes_stop(&f);
}

static void
slow_data_has_a_deadline(void **state)
{
	(void)state;
	assert_true(deadline_of_rate(0, 0) == UINT64_MAX);
	assert_int_equal(deadline_of_rate(0, 100), RATE_GRACE_MS);
	assert_int_equal(deadline_of_rate(6000, 100), 60000);
	assert_int_equal(deadline_of_rate(6100, 100), 61000);
	assert_true(deadline_of_rate(UINT64_MAX, 1) == UINT64_MAX);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_character_arrives),
		cmocka_unit_test(every_size_arrives_whole),
		cmocka_unit_test(without_credit_the_client_waits),
		cmocka_unit_test(the_queue_refuses_in_the_middle),
		cmocka_unit_test(what_cannot_be_kept_is_taken_back),
		cmocka_unit_test(a_client_that_vanishes_leaves_nothing),
		cmocka_unit_test(the_queue_dies_in_the_middle),
		cmocka_unit_test(an_envelope_never_outgrows_its_frame),
		cmocka_unit_test(credit_for_nothing_drops_the_queue),
		cmocka_unit_test(accepting_what_is_not_complete_drops_the_queue),
		cmocka_unit_test(replies_that_are_not_read_stop_the_reading),
		cmocka_unit_test(slow_data_has_a_deadline),
	};

	(void)signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
