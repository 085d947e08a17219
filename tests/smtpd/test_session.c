/* tests/smtpd/test_session.c -- what conversations cannot show: large messages under the queue's credit, back-pressure
 * both ways, limits at the door, what sessions keep, and rooms that break the rules. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "tests/smtpd/fakes.h"

#include "smtpd/deadline.h"
#include "smtpd/session.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { PATIENCE_MS = 5000, LINE = 64 };

static void
hear(struct fakes *f, const char *pattern)
{
	char line[1024];

	if (!fakes_line(f, line, sizeof line, PATIENCE_MS))
		fail_msg("expected \"%s\", heard nothing%s", pattern, f->closed ? ": closed" : "");
	if (!fakes_match(pattern, line))
		fail_msg("expected \"%s\", heard \"%s\"", pattern, line);
}

static void
hear_nothing(struct fakes *f)
{
	char line[1024];

	fakes_settle(f);
	if (fakes_line(f, line, sizeof line, 20))
		fail_msg("expected nothing, heard \"%s\"", line);
	assert_false(f->closed);
}

static void
say(struct fakes *f, const char *text)
{
	fakes_send(f, slice_str(text), SIZE_MAX);
}

static void
transaction(struct fakes *f)
{
	say(f, "MAIL FROM:<a@b.example>\r\nRCPT TO:<alice@example.org>\r\nDATA\r\n");
	hear(f, "250 2.1.0 *");
	hear(f, "250 2.1.5 *");
	hear(f, "354 *");
}

static void
begin(struct fakes *f, struct conf *conf)
{
	fakes_start(f, conf);
	(void)fakes_connect(f, "192.0.2.7");
	say(f, "HELO client.example\r\n");
	hear(f, "220 *");
	hear(f, "250 *");
}

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
	begin(&f, NULL);
	transaction(&f);
	fakes_send(&f, slice_of(text, n + 5), 100);
	hear(&f, "250 2.0.0 Ok: queued as *");
	expect_end(fakes_last(&f), slice_of(text, n + 2));

	say(&f, "MAIL FROM:<a@b.example> BODY=BINARYMIME\r\nRCPT TO:<alice@example.org>\r\nBDAT 256 LAST\r\n");
	fakes_send(&f, slice_of(binary, sizeof binary), 100);
	hear(&f, "250 2.1.0 *");
	hear(&f, "250 2.1.5 *");
	hear(&f, "250 2.0.0 Ok: queued as *");
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
	begin(&f, NULL);
	for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
		struct buf text = BUF_INIT(64 << 20);

		transaction(&f);
		put_lines(&text, sizes[i], true);
		assert_true(buf_put_str(&text, ".\r\n"));
		fakes_send(&f, buf_slice(&text), 7777 + i);
		hear(&f, "250 2.0.0 Ok: queued as *");
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
	begin(&f, NULL);
	f.queue_no_credit = true;
	transaction(&f);
	put_lines(&text, 100000, true);
	assert_true(buf_put_str(&text, ".\r\n"));
	sent = push(&f, buf_slice(&text));
	assert_int_equal(buf_len(&fakes_last(&f)->content), IPC_CONTENT_WINDOW);
	assert_true(sent < IPC_CONTENT_WINDOW + 1024 * 1024);
	assert_true((f.smtpd.sessions->waits & WAIT_AGAIN) != 0);
	assert_true(buf_len(&f.smtpd.sessions->in) <= SESSION_READ_MAX);
	hear_nothing(&f);

	/* A little credit: a little more. */
	fakes_queue_credit(&f, 1000);
	fakes_settle(&f);
	assert_int_equal(buf_len(&fakes_last(&f)->content), IPC_CONTENT_WINDOW + 1000);
	f.queue_no_credit = false;
	fakes_queue_credit(&f, IPC_CONTENT_WINDOW);
	fakes_send(&f, slice_from(buf_slice(&text), sent), SIZE_MAX);
	hear(&f, "250 2.0.0 *");
	expect_content(fakes_last(&f), 100000);
	buf_free(&text);
	fakes_stop(&f);
}

static void
start_large(struct fakes *f, size_t n_lines)
{
	struct buf text = BUF_INIT(64 << 20);

	transaction(f);
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
	begin(&f, NULL);
	start_large(&f, 5000);
	assert_int_equal(q_refused_send(f.queue, fakes_last(&f)->handle, &r), RC_OK);
	hear_nothing(&f);
	say(&f, "much more\r\n.\r\n");
	hear(&f, "452 4.3.1 Disk full");
	assert_false(fakes_last(&f)->aborted || fakes_last(&f)->committed);
	say(&f, "NOOP\r\n");
	hear(&f, "250 *");
	fakes_stop(&f);
}

static void
what_cannot_be_kept_is_taken_back(void **state)
{
	struct conf *conf = fakes_conf();
	struct fakes f;

	(void)state;
	conf->smtpd.max_message_size = 200 * 1024;
	begin(&f, conf);

	/* Too large. */
	start_large(&f, 5000);
	assert_true(fakes_last(&f)->aborted);
	hear_nothing(&f);
	say(&f, ".\r\n");
	hear(&f, "552 5.3.4 *");

	/* A bare newline. */
	start_large(&f, 2000);
	assert_false(fakes_last(&f)->aborted);
	say(&f, "x\ny\r\n");
	hear(&f, "550 5.6.0 *");
	hear(&f, "421 *");
	fakes_settle(&f);
	assert_true(fakes_last(&f)->aborted);
	assert_true(fakes_closed(&f, PATIENCE_MS));
	fakes_stop(&f);
}

/* shows: RFC5321 4.1.1.5/4, RFC5321 4.1.1.10/5 */
static void
a_client_that_vanishes_leaves_nothing(void **state)
{
	struct fakes f;

	(void)state;
	begin(&f, NULL);
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
	begin(&f, NULL);
	start_large(&f, 2000);
	fakes_queue(&f, false);
	fakes_settle(&f);
	fakes_queue(&f, true);
	fakes_settle(&f);
	say(&f, "more\r\n.\r\n");
	hear(&f, "451 4.3.0 *");
	transaction(&f);
	say(&f, ".\r\n");
	hear(&f, "250 2.0.0 *");
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
	begin(&f, conf);
	say(&f, "MAIL FROM:<a@b.example>\r\n");
	hear(&f, "250 2.1.0 *");
	for (;;) {
		(void)snprintf(line, sizeof line, "RCPT TO:<user%060u@example.org>\r\n", accepted);
		say(&f, line);
		assert_true(fakes_line(&f, line, sizeof line, PATIENCE_MS));
		if (line[0] == '4')
			break;
		assert_true(fakes_match("250 2.1.5 *", line));
		accepted++;
	}
	assert_true(fakes_match("452 4.5.3 *", line));
	assert_true(accepted > 800);
	say(&f, "DATA\r\n");
	hear(&f, "354 *");
	put_lines(&text, 1000, true);
	fakes_send(&f, buf_slice(&text), SIZE_MAX);
	say(&f, ".\r\n");
	hear(&f, "250 2.0.0 *");
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
	begin(&f, NULL);
	f.queue_no_credit = true;
	start_large(&f, 2000);
	fakes_queue_credit(&f, IPC_CONTENT_WINDOW);
	fakes_settle(&f);
	assert_null(f.smtpd.queue);
	assert_null(f.queue);
	say(&f, ".\r\n");
	hear(&f, "451 4.3.0 *");
	say(&f, "MAIL FROM:<a@b.example>\r\n");
	hear(&f, "451 4.3.0 *");
	fakes_stop(&f);
}

static void
accepting_what_is_not_complete_drops_the_queue(void **state)
{
	struct fakes f;
	struct q_accepted a;

	(void)state;
	begin(&f, NULL);
	start_large(&f, 2000);
	a.id = fakes_last(&f)->id;
	assert_int_equal(q_accepted_send(f.queue, fakes_last(&f)->handle, &a), RC_OK);
	fakes_settle(&f);
	assert_null(f.smtpd.queue);
	say(&f, ".\r\n");
	hear(&f, "451 4.3.0 *");
	fakes_stop(&f);
}

static void
answers_that_nobody_waits_for_are_nothing(void **state)
{
	struct fakes f;
	struct q_accepted a = { { 1, 2, 3 } };
	struct r_verdict v = { .action = VERDICT_ACCEPT, .transport = S("x"), .nexthop = S("x") };
	struct v_name n = { DNS_OK, 0, S("x.example") };

	(void)state;
	begin(&f, NULL);
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
	begin(&f, NULL);
	f.router_holds = true;
	say(&f, "MAIL FROM:<a@b.example>\r\nRCPT TO:<alice@example.org>\r\n");
	hear(&f, "250 2.1.0 *");
	fakes_settle(&f);
	assert_int_equal(f.n_held, 1);
	(void)close(f.client);
	f.client = -1;
	fakes_settle(&f);
	f.replies.start = f.replies.end = 0;
	f.closed = false;
	(void)fakes_connect(&f, "192.0.2.8");
	say(&f, "HELO other.example\r\nMAIL FROM:<c@d.example>\r\nRCPT TO:<nobody@example.org>\r\n");
	hear(&f, "220 *");
	hear(&f, "250 *");
	hear(&f, "250 2.1.0 *");
	fakes_settle(&f);
	assert_int_equal(f.n_held, 2);
	fakes_router_answer(&f, false);
	hear(&f, "550 5.1.1 *");
	hear_nothing(&f);
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
	begin(&f, NULL);
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
		hear(&f, "250 2.0.0 Ok");
	hear_nothing(&f);
	buf_free(&text);
	fakes_stop(&f);
}

static void
an_idle_session_holds_no_buffers(void **state)
{
	struct fakes f;

	(void)state;
	begin(&f, NULL);
	transaction(&f);
	say(&f, "x\r\n.\r\nNO");
	hear(&f, "250 2.0.0 *");
	say(&f, "OP\r\n");
	hear(&f, "250 *");
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
	begin(&f, NULL);
	f.smtpd.sessions->began -= 60 * 1000;
	say(&f, "MAIL FROM:<a@b.example>\r\n");
	hear(&f, "250 2.1.0 *");
	say(&f, "RCPT TO:<alice@example.org>\r\n");
	hear(&f, "250 2.1.5 *");
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
	begin(&f, NULL);
	next->generation = 2;
	next->global.hostname[0] = 'n';
	smtpd_adopt(&f.smtpd, next);
	conf_unref(next);
	say(&f, "HELO again.example\r\n");
	hear(&f, "250 mx.example.org");
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
	assert_int_equal(f.smtpd.clients.n, 1);
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
	say(f, "MAIL FROM:<a@b.example>\r\nRCPT TO:<alice@example.org>\r\nRSET\r\n");
	hear(f, "250 2.1.0 *");
	hear(f, "250 2.1.5 *");
	hear(f, "250 2.0.0 *");
	fakes_settle(f);
}

static void
ids_are_not_used_up_by_resets(void **state)
{
	struct fakes f;

	(void)state;
	begin(&f, NULL);
	for (int i = 0; i < 5000; i++) {
		say(&f, "MAIL FROM:<a@b.example>\r\nRSET\r\n");
		hear(&f, "250 2.1.0 *");
		hear(&f, "250 2.0.0 *");
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
	say(&f, "HELO client.example\r\n");
	hear(&f, "220 *");
	hear(&f, "250 *");
	use_one(&f);
	assert_int_equal(f.n_wants, 0);
	use_one(&f);
	assert_int_equal(f.n_wants, 1);
	/* Asked once, and used up to the last. */
	for (unsigned i = 2; i < IDS_LOW + 1; i++)
		use_one(&f);
	assert_int_equal(f.n_wants, 1);
	say(&f, "MAIL FROM:<a@b.example>\r\n");
	hear(&f, "451 4.3.0 *");
	fakes_queue_give_ids(&f, 1);
	fakes_settle(&f);
	say(&f, "MAIL FROM:<a@b.example>\r\n");
	hear(&f, "250 *");
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

/* shows: RFC5321 4.5.3.2.7/1 */
static void
clients_have_five_minutes_for_a_command(void **state)
{
	struct session *s;
	struct fakes f;

	(void)state;
	begin(&f, NULL);
	s = f.smtpd.sessions;
	s->since -= 299 * 1000;
	s->timer_at = 0;
	deadline_arm(s);
	hear_nothing(&f);
	s->since -= 1000;
	s->timer_at = 0;
	deadline_arm(s);
	hear(&f, "421 4.4.2 *");
	assert_true(fakes_closed(&f, PATIENCE_MS));
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
		begin(&f, NULL);
		/* Room for one reply, and a part of the next: of EHLO some lines, of others not one. */
		f.smtpd.sessions->out.max = i == 1 ? 80 : 8;
		say(&f, commands[i]);
		hear(&f, "421 4.3.0 mx.example.org Out of memory, try again later");
		assert_false(fakes_line(&f, (char[8]){ 0 }, 8, 50));
		assert_true(f.closed);
		fakes_stop(&f);
	}
	/* Behind another reply, which is heard. */
	begin(&f, NULL);
	f.smtpd.sessions->out.max = 60;
	say(&f, "MAIL FROM:<a@b.example>\r\nRCPT TO:<alice@example.org>\r\nRCPT TO:<bob@example.org>\r\n"
	    "RCPT TO:<carol@example.org>\r\nRCPT TO:<nobody@example.org>\r\n");
	hear(&f, "250 2.1.0 *");
	hear(&f, "250 2.1.5 *");
	hear(&f, "250 2.1.5 *");
	hear(&f, "250 2.1.5 *");
	hear(&f, "421 4.3.0 *");
	fakes_stop(&f);
}

/* A date within the time that is announced is taken, and not beside an interval: one hold is enough.
 * shows: RFC4865 4.2/4, RFC4865 4.2/9 */
static void
one_hold_until_a_date(void **state)
{
	time_t soon = time(NULL) + 3600;
	char date[32], line[128];
	struct envelope e;
	struct fakes f;
	struct tm tm;

	(void)state;
	begin(&f, NULL);
	f.smtpd.sessions->submission = true;
	f.smtpd.sessions->user = strdup("alice");
	assert_true(strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&soon, &tm)) > 0);
	(void)snprintf(line, sizeof line, "MAIL FROM:<a@b.example> HOLDUNTIL=%s HOLDFOR=60\r\n", date);
	say(&f, line);
	hear(&f, "501 5.5.4 *");
	(void)snprintf(line, sizeof line, "MAIL FROM:<a@b.example> HOLDFOR=60 HOLDUNTIL=%s\r\n", date);
	say(&f, line);
	hear(&f, "501 5.5.4 *");
	(void)snprintf(line, sizeof line, "MAIL FROM:<a@b.example> HOLDUNTIL=%s\r\n", date);
	say(&f, line);
	hear(&f, "250 2.1.0 *");
	say(&f, "RCPT TO:<alice@example.org>\r\nDATA\r\n");
	hear(&f, "250 2.1.5 *");
	hear(&f, "354 *");
	say(&f, "From: a@b.example\r\n\r\n.\r\n");
	hear(&f, "250 2.0.0 *");
	assert_int_equal(envelope_parse(buf_slice(&fakes_last(&f)->envelope), &e), RC_OK);
	assert_int_equal(e.hold_until, (int64_t)soon * 1000000);
	fakes_stop(&f);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(some_replies_are_gathered_and_some_are_not),
		cmocka_unit_test(what_was_said_before_a_late_reply_is_not_late),
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
		cmocka_unit_test(answers_that_nobody_waits_for_are_nothing),
		cmocka_unit_test(late_verdicts_find_nobody),
		cmocka_unit_test(replies_that_are_not_read_stop_the_reading),
		cmocka_unit_test(an_idle_session_holds_no_buffers),
		cmocka_unit_test(the_name_has_its_time_when_it_is_asked_for),
		cmocka_unit_test(a_session_keeps_the_configuration_it_began_with),
		cmocka_unit_test(clients_have_a_limit),
		cmocka_unit_test(the_process_has_a_limit),
		cmocka_unit_test(ids_are_asked_for_in_time),
		cmocka_unit_test(ids_are_not_used_up_by_resets),
		cmocka_unit_test(handles_tell_generations_apart),
		cmocka_unit_test(slow_data_has_a_deadline),
		cmocka_unit_test(clients_have_five_minutes_for_a_command),
		cmocka_unit_test(refusals_of_other_rooms_are_made_sane),
		cmocka_unit_test(no_memory_for_a_reply),
		cmocka_unit_test(one_hold_until_a_date),
	};

	(void)signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
