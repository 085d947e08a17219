/* tests/queue/test_dsn.c -- bounces, byte for byte, and with hostile words from outside. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "queue/dsn.h"
#include "queue/reason.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct dsn_rcpt one = {
	.address = SLICE("x@sink.test"), .enhanced = SLICE("5.1.1"), .text = SLICE("nobody here"),
	.relay = SLICE("mx.sink.test[192.0.2.1]:25"), .host = SLICE("mx.sink.test"), .code = 550,
};

static struct dsn
example(void)
{
	return (struct dsn){
		.hostname = SLICE("mx.postern.test"), .to = SLICE("alice@postern.test"), .sender = SLICE("alice@postern.test"),
		.id = { 1, 1, 0x201 }, .about = { 1, 1, 0x101 }, .now = 1700000060, .arrived = 1700000000, .random = 0x1234,
		.rcpts = &one, .n_rcpts = 1, .original = SLICE("Subject: hello\r\nFrom: alice@postern.test\r\n\r\nbody\r\n"),
		.original_whole = true, .header_max = 65536,
	};
}

static const char *
written(struct buf *b, const struct dsn *d)
{
	buf_clear(b);
	assert_true(dsn_put(b, d));
	for (size_t i = 0; i < buf_len(b); i++)
		assert_true(buf_slice(b).p[i] < 0x80);
	return buf_cstr(b);
}

#define B "--0001000000G1.0000000000001234"

/* shows: RFC5321 3.6.3/2, RFC3461 6.3/3, RFC3461 6.3/4, RFC3461 6.3/5, RFC3461 6.3/7, RFC3461 6.3/10, RFC3461 9.2/1
 * shows: RFC5321 4.4/12 */
static void
a_bounce_byte_for_byte(void **state)
{
	struct buf b = BUF_INIT(1 << 20);
	struct dsn d = example();

	(void)state;
	assert_string_equal(written(&b, &d),
	    "Date: Tue, 14 Nov 2023 22:14:20 +0000 (UTC)\r\n"
	    "From: Mail Delivery System <MAILER-DAEMON@mx.postern.test>\r\n"
	    "To: <alice@postern.test>\r\n"
	    "Subject: Undelivered Mail Returned to Sender\r\n"
	    "Message-ID: <0001000000G1@mx.postern.test>\r\n"
	    "Auto-Submitted: auto-replied\r\n"
	    "MIME-Version: 1.0\r\n"
	    "Content-Type: multipart/report; report-type=delivery-status;\r\n"
	    "\tboundary=\"0001000000G1.0000000000001234\"\r\n"
	    "Content-Transfer-Encoding: 7bit\r\n"
	    "\r\n"
	    "This is a MIME-encapsulated message.\r\n"
	    "\r\n"
	    B "\r\n"
	    "Content-Description: Notification\r\n"
	    "Content-Type: text/plain; charset=us-ascii\r\n"
	    "\r\n"
	    "This is the mail system at host mx.postern.test.\r\n"
	    "\r\n"
	    "Your message could not be delivered to one or more recipients. Its header is\r\n"
	    "attached below.\r\n"
	    "\r\n"
	    "For further assistance, please send mail to postmaster, and include this report.\r\n"
	    "\r\n"
	    "<x@sink.test>:\r\n"
	    "    host mx.sink.test[192.0.2.1]:25 said:\r\n"
	    "    550 5.1.1 nobody here\r\n"
	    "\r\n"
	    B "\r\n"
	    "Content-Description: Delivery report\r\n"
	    "Content-Type: message/delivery-status\r\n"
	    "\r\n"
	    "Reporting-MTA: dns; mx.postern.test\r\n"
	    "Arrival-Date: Tue, 14 Nov 2023 22:13:20 +0000 (UTC)\r\n"
	    "X-Postern-Queue-ID: 000100000081\r\n"
	    "X-Postern-Sender: rfc822; alice@postern.test\r\n"
	    "\r\n"
	    "Final-Recipient: rfc822; x@sink.test\r\n"
	    "Action: failed\r\n"
	    "Status: 5.1.1\r\n"
	    "Remote-MTA: dns; mx.sink.test\r\n"
	    "Diagnostic-Code: smtp; 550 5.1.1 nobody here\r\n"
	    "\r\n"
	    B "\r\n"
	    "Content-Description: Header of the undelivered message\r\n"
	    "Content-Type: text/rfc822-headers\r\n"
	    "Content-Transfer-Encoding: 7bit\r\n"
	    "\r\n"
	    "Subject: hello\r\n"
	    "From: alice@postern.test\r\n"
	    "\r\n"
	    B "--\r\n");
	buf_free(&b);
}

/* Lines end in CRLF, none is longer than 998, and nothing but the header part may hold bytes above 127. */
static void
well_formed(struct slice s)
{
	size_t column = 0;

	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] == '\r') {
			assert_true(i + 1 < s.n && s.p[i + 1] == '\n');
			i++;
			column = 0;
			continue;
		}
		assert_int_not_equal(s.p[i], '\n');
		assert_int_not_equal(s.p[i], '\0');
		assert_in_range(++column, 1, 998);
	}
}

static size_t
count(const char *in, const char *what)
{
	size_t n = 0;

	for (const char *at = in; (at = strstr(at, what)) != NULL; at++)
		n++;
	return n;
}

/* shows: RFC5321 4.5.3.1/2, RFC5321 4.1.2/9 */
static void
hostile_words_stay_in_their_line(void **state)
{
	struct buf b = BUF_INIT(1 << 20);
	struct dsn d = example();
	struct dsn_rcpt evil = one;
	const char *text;

	(void)state;
	evil.text = S("no\r\nAction: delivered\r\n" B "\r\n\r\n\xff\xfe\x1b[2J\0.");
	evil.host = S("mx\r\nStatus: 2.0.0");
	evil.relay = S("a\nb");
	evil.address = S("\"a\r\n\"@sink.test");
	evil.enhanced = S("5.1.1\r\nX: y");
	d.rcpts = &evil;
	text = written(&b, &d);
	well_formed(buf_slice(&b));
	assert_int_equal(count(text, "\r\nAction: "), 1);
	assert_int_equal(count(text, "\r\nStatus: "), 1);
	assert_int_equal(count(text, "\r\nX: "), 0);
	assert_int_equal(count(text, "\r\n" B), 4);
	assert_int_equal(count(text, "\r\n.\r\n"), 0);
	buf_free(&b);
}

static void
the_original_header_cannot_break_out(void **state)
{
	struct buf b = BUF_INIT(1 << 20), original = BUF_INIT(1 << 20);
	struct dsn d = example();
	const char *text;

	(void)state;
	(void)buf_put_str(&original, "Subject: gr\xc3\xbc\xc3\x9f\x65\r\n" B ": x\r\nLong: ");
	for (int i = 0; i < 3000; i++)
		(void)buf_put_byte(&original, 'a');
	(void)buf_put_str(&original, "\r\nBare: a\rb\nc\x01\r\n folded\r\n\r\nSecret: in the body\r\n");
	d.original = buf_slice(&original);
	text = written(&b, &d);
	well_formed(buf_slice(&b));
	assert_int_equal(count(text, "\r\n" B), 4);
	assert_int_equal(count(text, "Content-Transfer-Encoding: quoted-printable\r\n"), 1);
	assert_int_equal(count(text, "Subject: gr=C3=BC=C3=9Fe\r\n"), 1);
	assert_int_equal(count(text, "Secret"), 0);
	buf_free(&b);
	buf_free(&original);
}

static void
a_long_header_is_cut_at_a_field(void **state)
{
	struct buf b = BUF_INIT(1 << 20);
	struct dsn d = example();
	const char *text;

	(void)state;
	d.header_max = 20;		/* the second field does not fit */
	text = written(&b, &d);
	assert_int_equal(count(text, "Subject: hello\r\n"), 1);
	assert_int_equal(count(text, "From: alice@"), 0);
	d.original = S("From: alice@postern.te");	/* cut in the middle of a field: not all that was read */
	d.original_whole = false;
	d.header_max = 65536;
	text = written(&b, &d);
	assert_int_equal(count(text, "From: alice@"), 0);
	d.original = S("");
	well_formed(slice_str(written(&b, &d)));
	buf_free(&b);
}

/* shows: RFC5321 4.4/21, RFC5321 4.4/22, RFC3461 6.3/11, RFC3464 2.3.6/1 */
static void
expired_recipients_and_no_reply(void **state)
{
	struct buf b = BUF_INIT(1 << 20);
	struct dsn d = example();
	struct dsn_rcpt r[3] = { one, one, one };
	const char *text;

	(void)state;
	r[0].expired = true;
	r[0].code = 0;
	r[0].relay = S("");		/* but it has a host, which was asked and did not answer */
	r[0].enhanced = S("4.4.1");
	r[0].text = S("connection refused");
	r[1].enhanced = S("5.0.0");		/* what a reply without a code of its own is given (test_reply_policy.c) */
	r[2].code = 0;				/* no reply, and a destination that is given up without a code */
	r[2].host = r[2].relay = r[2].enhanced = S("");
	r[2].text = S("the destination cannot be reached");
	d.rcpts = r;
	d.n_rcpts = 3;
	d.twice = true;
	text = written(&b, &d);
	well_formed(buf_slice(&b));
	assert_int_equal(count(text, "\r\nStatus: 4.4.7\r\n"), 1);
	assert_int_equal(count(text, "\r\nStatus: 5.0.0\r\n"), 2);
	assert_int_equal(count(text, "\r\nDiagnostic-Code: X-Postern; connection refused\r\n"), 1);
	assert_int_equal(count(text, "\r\nDiagnostic-Code: X-Postern; the destination cannot be reached\r\n"), 1);
	assert_int_equal(count(text, "\r\nFinal-Recipient: "), 3);
	assert_int_equal(count(text, "\r\nRemote-MTA: "), 1);
	assert_int_equal(count(text, "\r\nSubject: Undeliverable bounce\r\n"), 1);
	buf_free(&b);
}

/* A status code that the server did not give is in Status alone; one whose class was made that of the outcome has its own again.
 *
 * shows: RFC3461 9.2/1 */
static void
the_diagnostic_code_is_what_was_said(void **state)
{
	static const struct { unsigned code; const char *enhanced, *text, *status, *said; } cases[] = {
		{ 550, "5.1.1", "no", "5.1.1", "550 5.1.1 no" },
		{ 550, "5.0.0", "no", "5.0.0", "550 no" },
		{ 550, "5.0.0", "5.0.0 no", "5.0.0", "550 5.0.0 no" },	/* test_smtp_reply.c */
		{ 550, "4.7.1", "not now", "5.7.1", "550 5.7.1 not now" },
		{ 550, "4.0.0", "not now", "5.0.0", "550 not now" },
		{ 450, "4.0.0", "busy", "5.0.0", "450 busy" },
		{ 450, "5.2.1", "busy", "5.2.1", "450 4.2.1 busy" },
		{ 250, "4.1.5", "ok", "5.1.5", "250 2.1.5 ok" },	/* as out of step as a server can be */
		{ 354, "4.0.0", "go", "5.0.0", "354 go" },
	};
	struct buf b = BUF_INIT(1 << 20);
	struct dsn d = example();
	struct dsn_rcpt r = one;
	char line[128];

	(void)state;
	d.rcpts = &r;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		r.code = (uint16_t)cases[i].code;
		r.enhanced = slice_str(cases[i].enhanced);
		r.text = slice_str(cases[i].text);
		(void)snprintf(line, sizeof line,
		    "\r\nStatus: %s\r\nRemote-MTA: dns; mx.sink.test\r\nDiagnostic-Code: smtp; %s\r\n", cases[i].status,
		    cases[i].said);
		if (strstr(written(&b, &d), line) == NULL)
			fail_msg("case %zu is not %s in %s", i, line, buf_cstr(&b));
		(void)snprintf(line, sizeof line, " said:\r\n    %s\r\n", cases[i].said);
		assert_int_equal(count(buf_cstr(&b), line), 1);
	}
	r.code = 250;
	r.enhanced = S("4.0.0");
	r.text = S("ok");
	r.expired = true;
	assert_non_null(strstr(written(&b, &d), "Action: failed\r\nStatus: 4.4.7\r\nRemote-MTA: dns; mx.sink.test\r\n"
	    "Diagnostic-Code: smtp; 250 ok\r\n"));
	r.expired = false;
	r.action = DSN_DELAYED;
	assert_non_null(strstr(written(&b, &d), "\r\nDiagnostic-Code: smtp; 250 ok\r\n"));
	r.action = DSN_RELAYED;
	r.enhanced = S("2.0.0");
	assert_non_null(strstr(written(&b, &d), "\r\nDiagnostic-Code: smtp; 250 2.0.0 ok\r\n"));
	buf_free(&b);
}

/* shows: RFC6533 3/3, RFC6533 3/4 */
static void
addresses_in_utf8_are_escaped(void **state)
{
	struct buf b = BUF_INIT(1 << 20);
	struct dsn d = example();
	struct dsn_rcpt r = one;
	const char *text;

	(void)state;
	d.rcpts = &r;
	r.address = S("j\xc3\xb6rg+x=\"a \\b\"@sink.test");
	text = written(&b, &d);
	well_formed(buf_slice(&b));
	assert_int_equal(count(text, "\r\nFinal-Recipient: utf-8; j\\x{F6}rg\\x{2B}x\\x{3D}\"a\\x{20}\\x{5C}b\"@sink.test\r\n"),
	    1);
	r.orcpt = S("utf-8;\\x{20AC}\\x{2B}z@sink.test");
	text = written(&b, &d);
	assert_int_equal(count(text, "\r\nOriginal-Recipient: utf-8; \\x{20AC}\\x{2B}z@sink.test\r\n"), 1);
	/* The other two forms of the same. */
	r.orcpt = S("utf-8;\xe2\x82\xac\\x{2B}z@sink.test");
	text = written(&b, &d);
	well_formed(buf_slice(&b));
	assert_int_equal(count(text, "\r\nOriginal-Recipient: utf-8; \\x{20AC}\\x{2B}z@sink.test\r\n"), 1);
	r.orcpt = S("utf-8;+E2+82+AC+2Bz@sink.test");
	text = written(&b, &d);
	assert_int_equal(count(text, "\r\nOriginal-Recipient: utf-8; \\x{20AC}\\x{2B}z@sink.test\r\n"), 1);
	/* ASCII stays what it was. */
	r.address = S("j+x=y@sink.test");
	r.orcpt = S("rfc822;J+2Bx+3Dy@sink.test");
	text = written(&b, &d);
	assert_int_equal(count(text, "\r\nOriginal-Recipient: rfc822; J+x=y@sink.test\r\n"
	    "Final-Recipient: rfc822; j+x=y@sink.test\r\n"), 1);
	buf_free(&b);
}

/* shows: RFC6533 4.3/1 */
static void
a_header_in_utf8_is_labelled_so(void **state)
{
	struct buf b = BUF_INIT(1 << 20);
	struct dsn d = example();
	const char *text;

	(void)state;
	d.original = S("Subject: gr\xc3\xbc\xc3\x9f\x65\r\n\r\n");
	text = written(&b, &d);
	assert_int_equal(count(text, "Content-Type: message/global-headers\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
	    "Subject: gr=C3=BC=C3=9Fe\r\n"), 1);
	d.original = S("Subject: gr\xfc\xdf\x65\r\n\r\n");	/* not UTF-8 */
	text = written(&b, &d);
	assert_int_equal(count(text, "Content-Type: text/rfc822-headers\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
	    "Subject: gr=FC=DFe\r\n"), 1);
	buf_free(&b);
}

/* shows: RFC3461 6.2/1, RFC3461 6.2/2, RFC6533 4.5/1 */
static void
a_message_comes_back_whole(void **state)
{
	struct buf b = BUF_INIT(1 << 20);
	struct dsn d = example();
	struct dsn_rcpt delivered = one;
	const char *text;

	(void)state;
	d.returns = DSN_WHOLE;
	text = written(&b, &d);
	assert_int_equal(count(text, "Content-Type: message/rfc822\r\nContent-Transfer-Encoding: 7bit\r\n\r\nSubject: hello\r\n"),
	    1);
	assert_int_equal(count(text, "\r\nbody\r\n"), 1);
	d.original = S("Subject: gr\xc3\xbc\xc3\x9f\x65 without a last line end, a line of base64 is not enough for all of it");
	d.returns = DSN_WHOLE_ENCODED;
	text = written(&b, &d);
	well_formed(buf_slice(&b));
	assert_int_equal(count(text, "Content-Type: message/global\r\nContent-Transfer-Encoding: base64\r\n\r\n"
	    "U3ViamVjdDogZ3LDvMOfZSB3aXRob3V0IGEgbGFzdCBsaW5lIGVuZCwgYSBsaW5lIG9mIGJhc2U2\r\n"
	    "NCBpcyBub3QgZW5vdWdoIGZvciBhbGwgb2YgaXQ=\r\n\r\n"), 1);
	d.returns = DSN_WHOLE_8BIT;
	d.original_global = true;
	buf_clear(&b);
	assert_true(dsn_put(&b, &d));
	text = buf_cstr(&b);
	assert_int_equal(count(text, "\r\nContent-Transfer-Encoding: 8bit\r\n"), 2);
	assert_int_equal(count(text, "Content-Type: message/global\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
	    "Subject: gr\xc3\xbc\xc3\x9f\x65 with"), 1);
	d.original_global = false;
	buf_clear(&b);
	assert_true(dsn_put(&b, &d));
	assert_int_equal(count(buf_cstr(&b), "Content-Type: message/rfc822\r\nContent-Transfer-Encoding: 8bit\r\n"), 1);
	d.original = S("Subject: gr\xc3\xbc\xc3\x9f\x65\r\nX: y\r\n");	/* the rest could not be read */
	d.original_whole = false;
	text = written(&b, &d);
	assert_int_equal(count(text, "Content-Type: message/global-headers\r\n"), 1);
	d.returns = DSN_NOTHING;
	text = written(&b, &d);
	assert_int_equal(count(text, "Subject: gr"), 0);
	assert_int_equal(count(text, "\r\n" B "\r\n"), 2);
	assert_int_equal(count(text, "\r\n" B "--\r\n"), 1);
	/* Of what was delivered there is no more than that. */
	delivered.action = DSN_DELIVERED;
	d.rcpts = &delivered;
	assert_int_equal(count(written(&b, &d), "asked for this report.\r\n"), 1);
	buf_free(&b);
}

/* What was said is kept in words, and its parts are found again in them; words of others are not mistaken for a reply. */
static void
a_reply_is_found_in_words(void **state)
{
	static const char *const others[] = { "", "host", "host ", "host mx[192.0.2.1]:25", "host mx[192.0.2.1]:25 said: ",
		"host mx said: 45", "host mx said: 4510 4.7.1 x", "host mx said: 199 4.7.1 x", "host mx said: 4x1 4.7.1 x",
		"host mx says: 451 4.7.1 x", "451 4.7.1 x", "connection refused" };
	/* X.0.0 is there once when the server said it, and not when it did not (test_smtp_reply.c). */
	static const struct { const char *enhanced, *text, *words; } replies[] = {
		{ "4.0.0", "busy", "host mx said: 450 busy" },
		{ "4.0.0", "4.0.0 busy", "host mx said: 450 4.0.0 busy" },
		{ "4.2.1", "busy", "host mx said: 450 4.2.1 busy" },
		{ "4.0.0", "", "host mx said: 450 " },
		{ "4.0.0", "5.7.1 busy", "host mx said: 450 4.0.0 5.7.1 busy" },	/* a code that does not fit */
		{ "4.0.0", "4.0.0 5.7.1 busy", "host mx said: 450 4.0.0 4.0.0 5.7.1 busy" },
		{ "4.2.1", "4.0.0 busy", "host mx said: 450 4.2.1 4.0.0 busy" },
	};
	struct buf words = BUF_INIT(4096);
	struct reason_reply r = { .code = 0 };

	(void)state;
	reason_put(&words, S("mx.sink.test[2001:db8::1]:25"), 451, S("4.7.1"), S("not you said: x"));
	assert_true(reason_reply(buf_slice(&words), &r));
	assert_int_equal(r.code, 451);
	assert_true(slice_eq(r.relay, S("mx.sink.test[2001:db8::1]:25")));
	assert_true(slice_eq(r.host, S("mx.sink.test")));
	assert_true(slice_eq(r.enhanced, S("4.7.1")));
	assert_true(slice_eq(r.text, S("not you said: x")));
	for (size_t i = 0; i < sizeof replies / sizeof replies[0]; i++) {
		buf_clear(&words);
		reason_put(&words, S("mx"), 450, slice_str(replies[i].enhanced), slice_str(replies[i].text));
		assert_string_equal(buf_cstr(&words), replies[i].words);
		assert_true(reason_reply(buf_slice(&words), &r));
		assert_true(r.code == 450 && slice_eq(r.enhanced, slice_str(replies[i].enhanced)));
		assert_true(slice_eq(r.text, slice_str(replies[i].text)));
	}
	buf_clear(&words);
	reason_put(&words, S("[192.0.2.1]"), 554, S("5.0.0"), S(""));
	assert_true(reason_reply(buf_slice(&words), &r));
	assert_int_equal(r.code, 554);
	assert_true(slice_eq(r.host, S("[192.0.2.1]")));
	assert_int_equal(r.text.n, 0);
	for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
		assert_false(reason_reply(slice_str(others[i]), &r));
	buf_free(&words);
}

/* shows: RFC3461 6.3/6 */
static void
a_host_without_a_domain_says_so(void **state)
{
	struct buf b = BUF_INIT(1 << 20);
	struct dsn d = example();

	(void)state;
	d.hostname = S("localhost");
	assert_int_equal(count(written(&b, &d), "\r\nReporting-MTA: x-local-hostname; localhost\r\n"), 1);
	buf_free(&b);
}

static void
no_room_is_said(void **state)
{
	struct buf b = BUF_INIT(500);
	struct dsn d = example();

	(void)state;
	assert_false(dsn_put(&b, &d));
	buf_free(&b);
}

/* shows: RFC2852 4.1.3/2, RFC2852 4.1.3/3, RFC2852 5/1 */
static void
what_waits_and_what_is_late(void **state)
{
	struct buf b = BUF_INIT(1 << 20);
	struct dsn d = example();
	struct dsn_rcpt r = one;
	const char *text;

	(void)state;
	d.rcpts = &r;
	d.deliver_by = 1700000050;
	d.retry_until = 1700432000;
	r.action = DSN_DELAYED;
	r.code = 0;
	r.text = S("host mx.sink.test said: 451 4.2.0 later");
	r.enhanced = S("4.2.0");
	text = written(&b, &d);
	assert_non_null(strstr(text, "Subject: Delayed Mail (still being tried)\r\n"));
	assert_non_null(strstr(text, "<x@sink.test>:\r\n    waits:\r\n    host mx.sink.test said: 451 4.2.0 later\r\n"));
	assert_non_null(strstr(text, "Arrival-Date: Tue, 14 Nov 2023 22:13:20 +0000 (UTC)\r\n"
	    "Deliver-By-Date: Tue, 14 Nov 2023 22:14:10 +0000 (UTC)\r\n"));
	assert_non_null(strstr(text, "Action: delayed\r\nStatus: 4.2.0\r\n"));
	assert_non_null(strstr(text, "Will-Retry-Until: Sun, 19 Nov 2023 22:13:20 +0000 (UTC)\r\n"));
	r.late = true;
	assert_non_null(strstr(written(&b, &d), "Action: delayed\r\nStatus: 4.4.7\r\n"));
	r.late = false;
	r.enhanced = S("");
	assert_non_null(strstr(written(&b, &d), "Action: delayed\r\nStatus: 4.0.0\r\n"));
	r.action = DSN_FAILED;
	r.expired = r.late = true;
	assert_non_null(strstr(written(&b, &d), "Action: failed\r\nStatus: 5.4.7\r\n"));
	buf_free(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_bounce_byte_for_byte),
		cmocka_unit_test(hostile_words_stay_in_their_line),
		cmocka_unit_test(the_original_header_cannot_break_out),
		cmocka_unit_test(a_long_header_is_cut_at_a_field),
		cmocka_unit_test(expired_recipients_and_no_reply),
		cmocka_unit_test(the_diagnostic_code_is_what_was_said),
		cmocka_unit_test(addresses_in_utf8_are_escaped),
		cmocka_unit_test(a_header_in_utf8_is_labelled_so),
		cmocka_unit_test(a_message_comes_back_whole),
		cmocka_unit_test(a_reply_is_found_in_words),
		cmocka_unit_test(a_host_without_a_domain_says_so),
		cmocka_unit_test(no_room_is_said),
		cmocka_unit_test(what_waits_and_what_is_late),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
