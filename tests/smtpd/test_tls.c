/* tests/smtpd/test_tls.c -- sessions over TLS: STARTTLS and what it forgets, hostile handshakes, certificates by name,
 * tickets, client certificates, channel bindings. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "tests/smtpd/tls_fixture.h"

#include "common/tls_settings.h"
#include "smtpd/session.h"

#include <openssl/err.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum { PATIENCE_MS = 5000 };

#define NAMES(...) ((const char *const[]){ __VA_ARGS__, NULL })

/* One house for a test: mx.example.org by RSA and by ECDSA, other.example and *.wild.example by ECDSA alone. */
struct scene {
	struct fakes f;
	struct tls_made rsa, ec, other, wild;
	struct tls_identities *ids;
	struct tls_client c;
};

static struct tls_made made_rsa, made_ec, made_other, made_wild;	/* once: keys take their time */

static void
scene_start(struct scene *s, struct conf *conf)
{
	memset(s, 0, sizeof *s);
	fakes_start(&s->f, conf == NULL ? tls_conf() : conf);
	s->ids = tls_identities_new();
	tls_identities_add(s->ids, &made_rsa, NAMES("mx.example.org"));
	tls_identities_add(s->ids, &made_other, NAMES("other.example"));
	tls_identities_add(s->ids, &made_ec, NAMES("mx.example.org"));
	tls_identities_add(s->ids, &made_wild, NAMES("*.wild.example"));
	tls_serve(&s->f, s->ids, S(""));
	tls_client_setup(&s->c);
}

static void
scene_end(struct scene *s)
{
	tls_client_free(&s->c);
	fakes_stop(&s->f);
	identities_unref(s->ids);
}

static void
say(struct scene *s, const char *text)
{
	if (s->c.ssl == NULL)
		fakes_send(&s->f, slice_str(text), SIZE_MAX);
	else
		tls_client_send(&s->c, &s->f, slice_str(text));
}

static void
hear(struct scene *s, const char *pattern)
{
	char line[1024];
	bool heard = s->c.ssl == NULL ? fakes_line(&s->f, line, sizeof line, PATIENCE_MS) :
	    tls_client_line(&s->c, &s->f, line, sizeof line, PATIENCE_MS);

	if (!heard)
		fail_msg("expected \"%s\", heard nothing%s", pattern, s->f.closed ? ": closed" : "");
	if (!fakes_match(pattern, line))
		fail_msg("expected \"%s\", heard \"%s\"", pattern, line);
}

/* All lines of a reply; true when one of them matches. */
static bool
hears(struct scene *s, const char *pattern)
{
	bool found = false, more = true;
	char line[1024];

	while (more) {
		if (!(s->c.ssl == NULL ? fakes_line(&s->f, line, sizeof line, PATIENCE_MS) :
		    tls_client_line(&s->c, &s->f, line, sizeof line, PATIENCE_MS)))
			fail_msg("heard nothing");
		found |= fakes_match(pattern, line);
		more = line[3] == '-';
	}
	return found;
}

/* The connection is over: what was still to be heard is heard. */
static void
expect_closed(struct scene *s)
{
	char line[1024];

	if (s->c.ssl == NULL)
		assert_true(fakes_closed(&s->f, PATIENCE_MS));
	else
		while (tls_client_line(&s->c, &s->f, line, sizeof line, PATIENCE_MS))
			;
	assert_true(s->f.closed);
}

/* As far as the handshake. */
static void
up_to_starttls(struct scene *s)
{
	(void)fakes_connect(&s->f, "192.0.2.7");
	hear(s, "220 mx.example.org *");
	say(s, "EHLO before.example\r\n");
	assert_true(hears(s, "250?STARTTLS") || true);
	say(s, "STARTTLS\r\n");
	hear(s, "220 2.0.0 *");
	tls_client_attach(&s->c, &s->f);
}

static void
starttls(struct scene *s)
{
	up_to_starttls(s);
	if (!tls_client_shake(&s->c, &s->f))
		fail_msg("no handshake: %s", ERR_reason_error_string(ERR_peek_error()));
}

/* The same client again, on a new connection. */
static void
hang_up(struct scene *s)
{
	tls_client_forget(&s->c);
	(void)close(s->f.client);
	s->f.client = -1;
	s->f.closed = false;
	fakes_settle(&s->f);
	buf_clear(&s->f.replies);
}

static struct session *
the_session(struct scene *s)
{
	assert_non_null(s->f.smtpd.sessions);
	return s->f.smtpd.sessions;
}

static const struct tls_facts *
facts(struct scene *s)
{
	const struct tls_facts *t = stream_tls(&the_session(s)->stream);

	assert_non_null(t);
	return t;
}

static void
send_message(struct scene *s)
{
	say(s, "MAIL FROM:<a@b.example>\r\nRCPT TO:<alice@example.org>\r\nDATA\r\n");
	hear(s, "250 2.1.0 *");
	hear(s, "250 2.1.5 *");
	hear(s, "354 *");
	say(s, "From: <a@b.example>\r\nSubject: x\r\n\r\nbody\r\n.\r\n");
	hear(s, "250 2.0.0 Ok: queued as *");
}

/* --- STARTTLS --- */

/* shows: RFC3207 4.2/1, RFC3207 4.2/2, RFC3207 4.2/3, RFC9325 3.1.1/3, RFC9325 3.1.1/4 */
static void
starttls_forgets_what_was_said(void **state)
{
	struct scene s;

	(void)state;
	scene_start(&s, NULL);
	(void)fakes_connect(&s.f, "192.0.2.7");
	hear(&s, "220 *");
	say(&s, "EHLO before.example\r\n");
	assert_true(hears(&s, "250*STARTTLS"));
	say(&s, "STARTTLS\r\n");
	hear(&s, "220 2.0.0 *");
	tls_client_attach(&s.c, &s.f);
	assert_true(tls_client_shake(&s.c, &s.f));
	assert_true(stream_is_tls(&the_session(&s)->stream));
	assert_null(the_session(&s)->helo);
	say(&s, "MAIL FROM:<a@b.example>\r\n");
	hear(&s, "503 5.5.1 Say EHLO or HELO first");
	say(&s, "STARTTLS\r\n");
	hear(&s, "503 5.5.1 *");
	say(&s, "EHLO after.example\r\n");
	assert_false(hears(&s, "250*STARTTLS"));
	say(&s, "STARTTLS\r\n");
	hear(&s, "503 5.5.1 TLS is on already");
	send_message(&s);
	say(&s, "QUIT\r\n");
	hear(&s, "221 *");
	expect_closed(&s);
	assert_string_equal(SSL_get_version(s.c.ssl), "TLSv1.3");
	assert_int_equal(SSL_get_shutdown(s.c.ssl) & SSL_RECEIVED_SHUTDOWN, SSL_RECEIVED_SHUTDOWN);
	scene_end(&s);
}

/* shows: RFC3848 1/2, RFC8314 4/3, RFC9325 4.1/3 */
static void
trace_and_envelope_say_how_it_came(void **state)
{
	struct slice content;
	struct envelope e;
	struct scene s;
	char text[4096];

	(void)state;
	scene_start(&s, NULL);
	starttls(&s);
	say(&s, "EHLO after.example\r\n");
	(void)hears(&s, "");
	send_message(&s);
	content = buf_slice(&fakes_last(&s.f)->content);
	assert_true(content.n < sizeof text);
	memcpy(text, content.p, content.n);
	text[content.n] = '\0';
	if (!fakes_match("Received: from after.example (client.example.net [192.0.2.7])\r\n"
	    "\t(using TLSv1.3 with cipher TLS_AES_256_GCM_SHA384 (256/256 bits)\r\n"
	    "\t key-exchange x25519 server-signature ECDSA (256 bits) server-digest SHA256)\r\n"
	    "\t(No client certificate requested)\r\n"
	    "\tby mx.example.org (Postern) with ESMTPS id *", text) &&
	    !fakes_match("Received: from after.example (client.example.net [192.0.2.7])\r\n"
	    "\t(using TLSv1.3 with cipher TLS_AES_256_GCM_SHA384 (256/256 bits)\r\n"
	    "\t key-exchange X25519 server-signature ECDSA (256 bits) server-digest SHA256)\r\n"
	    "\t(No client certificate requested)\r\n"
	    "\tby mx.example.org (Postern) with ESMTPS id *", text))
		fail_msg("the trace field is %s", text);
	assert_int_equal(envelope_parse(buf_slice(&fakes_last(&s.f)->envelope), &e), RC_OK);
	assert_true(slice_eq(e.proto, S("ESMTPS")));
	scene_end(&s);
}

/* shows: RFC8689 4.1/1, RFC8689 4.1/3 */
static void
tls_can_be_required_inside_tls(void **state)
{
	struct envelope e;
	struct scene s;

	(void)state;
	scene_start(&s, NULL);
	starttls(&s);
	say(&s, "EHLO after.example\r\n");
	assert_true(hears(&s, "250*REQUIRETLS"));
	say(&s, "MAIL FROM:<a@b.example> REQUIRETLS\r\nRCPT TO:<alice@example.org>\r\nBDAT 20 LAST\r\nTLS-Required: No\r\n\r\n");
	hear(&s, "250 2.1.0 *");
	hear(&s, "250 2.1.5 *");
	hear(&s, "250 2.0.0 *");
	assert_int_equal(envelope_parse(buf_slice(&fakes_last(&s.f)->envelope), &e), RC_OK);
	assert_int_equal(e.flags, ENVELOPE_REQUIRETLS);
	scene_end(&s);
}

/* shows: RFC8314 4/2 */
static void
what_is_submitted_names_its_cipher(void **state)
{
	struct conf *conf = tls_conf();
	struct conf_listener *l = tls_conf_listener(conf, "mx");
	struct slice content;
	char text[4096];
	struct scene s;

	(void)state;
	free(l->kind);
	l->kind = strdup("submission");
	scene_start(&s, conf);
	assert_int_equal(SSL_CTX_set_max_proto_version(s.c.ctx, TLS1_2_VERSION), 1);
	assert_int_equal(SSL_CTX_set_cipher_list(s.c.ctx, "ECDHE-ECDSA-AES128-GCM-SHA256"), 1);
	starttls(&s);
	the_session(&s)->user = strdup("alice");
	say(&s, "EHLO after.example\r\n");
	(void)hears(&s, "");
	send_message(&s);
	content = buf_slice(&fakes_last(&s.f)->content);
	assert_true(content.n < sizeof text);
	memcpy(text, content.p, content.n);
	text[content.n] = '\0';
	assert_non_null(strstr(text, "\r\n\tfor <alice@example.org>\r\n\ttls TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256;\r\n"));
	scene_end(&s);
}

/* shows: RFC3207 4/1, RFC3207 4/4, RFC3207 4/5, RFC3207 6/2 */
static void
starttls_refuses_what_is_out_of_place(void **state)
{
	struct scene s;

	(void)state;
	scene_start(&s, NULL);
	(void)fakes_connect(&s.f, "192.0.2.7");
	hear(&s, "220 *");
	say(&s, "STARTTLS\r\n");
	hear(&s, "503 5.5.1 Say EHLO or HELO first");
	say(&s, "EHLO x.example\r\n");
	assert_true(hears(&s, "250*STARTTLS"));
	say(&s, "STARTTLS now\r\n");
	hear(&s, "501 5.5.4 *");
	say(&s, "MAIL FROM:<a@b.example>\r\n");
	hear(&s, "250 *");
	say(&s, "STARTTLS\r\n");
	hear(&s, "503 5.5.1 A transaction is under way already");
	/* The certificates go away while the session lasts. */
	tls_listeners_free(s.f.smtpd.tls.set);
	s.f.smtpd.tls.set = NULL;
	say(&s, "EHLO x.example\r\n");
	assert_false(hears(&s, "250*STARTTLS"));
	say(&s, "STARTTLS\r\n");
	hear(&s, "454 4.7.0 *");
	send_message(&s);
	scene_end(&s);
}

/* shows: RFC3207 6/3 -- THREATS 3, CVE-2011-0411: in the same segment, and in one of its own that came before it was read. */
static void
words_behind_starttls_end_the_session(void **state)
{
	static const char *const behind[] = { "STARTTLS\r\nRSET\r\n",
	    "STARTTLS\r\nEHLO evil.example\r\nMAIL FROM:<e@evil.example>\r\n",
		"STARTTLS\r\n\r\n", "STARTTLS\r\nx" };

	(void)state;
	for (size_t i = 0; i < sizeof behind / sizeof behind[0]; i++) {
		struct scene s;

		scene_start(&s, NULL);
		(void)fakes_connect(&s.f, "192.0.2.7");
		hear(&s, "220 *");
		say(&s, "EHLO x.example\r\n");
		(void)hears(&s, "");
		say(&s, behind[i]);
		hear(&s, "421 4.7.0 *");
		expect_closed(&s);
		scene_end(&s);
	}
}

/* What comes after the reply and is no handshake is thrown away with the connection: nothing of it is heard. */
static void
words_after_the_reply_are_no_commands(void **state)
{
	struct scene s;

	(void)state;
	scene_start(&s, NULL);
	up_to_starttls(&s);
	tls_client_forget(&s.c);
	fakes_send(&s.f, S("EHLO evil.example\r\nMAIL FROM:<e@evil.example>\r\n"), SIZE_MAX);
	for (int i = 0; i < 100 && s.f.smtpd.n_sessions > 0; i++)
		fakes_turn(&s.f);
	assert_int_equal(s.f.smtpd.n_sessions, 0);
	assert_int_equal(s.f.smtpd.checks.used, 0);
	scene_end(&s);
}

/* shows: RFC3207 4/2, RFC3207 4/3, RFC3207 6/1, RFC9325 3.2/2 */
static void
tls_can_be_required(void **state)
{
	struct conf *conf = tls_conf();
	struct scene s;

	(void)state;
	tls_conf_listener(conf, "mx")->require_tls = true;
	scene_start(&s, conf);
	(void)fakes_connect(&s.f, "192.0.2.7");
	hear(&s, "220 *");
	say(&s, "HELO x.example\r\n");
	hear(&s, "530 5.7.0 Must issue a STARTTLS command first");
	say(&s, "EHLO x.example\r\n");
	assert_true(hears(&s, "250*STARTTLS"));
	say(&s, "NOOP\r\n");
	hear(&s, "250 *");
	say(&s, "MAIL FROM:<a@b.example>\r\n");
	hear(&s, "530 5.7.0 *");
	say(&s, "VRFY alice\r\n");
	hear(&s, "530 5.7.0 *");
	say(&s, "RSET\r\n");
	hear(&s, "530 5.7.0 *");
	say(&s, "STARTTLS\r\n");
	hear(&s, "220 *");
	tls_client_attach(&s.c, &s.f);
	assert_true(tls_client_shake(&s.c, &s.f));
	say(&s, "EHLO x.example\r\n");
	(void)hears(&s, "");
	send_message(&s);
	scene_end(&s);
}

/* shows: RFC8314 3.3/1, RFC8314 3.3/2, RFC9325 3.2/1 */
static void
implicit_tls_greets_inside(void **state)
{
	struct conf *conf = tls_conf();
	struct conf_listener *l = tls_conf_listener(conf, "mx");
	struct scene s;

	(void)state;
	free(l->tls);
	l->tls = strdup("implicit");
	scene_start(&s, conf);
	(void)fakes_connect(&s.f, "192.0.2.7");
	fakes_settle(&s.f);
	assert_int_equal(buf_len(&s.f.replies), 0);
	tls_client_attach(&s.c, &s.f);
	assert_true(tls_client_shake(&s.c, &s.f));
	hear(&s, "220 mx.example.org *");
	say(&s, "EHLO x.example\r\n");
	assert_false(hears(&s, "250*STARTTLS"));
	send_message(&s);
	hang_up(&s);
	/* Nobody to be: there is nothing that could be said. */
	tls_listeners_free(s.f.smtpd.tls.set);
	s.f.smtpd.tls.set = NULL;
	(void)fakes_connect(&s.f, "192.0.2.7");
	assert_true(fakes_closed(&s.f, PATIENCE_MS));
	assert_int_equal(buf_len(&s.f.replies), 0);
	scene_end(&s);
}

/* --- many that shake hands --- */

/* Of two that wait the latest is served first; one that is listed does not wait. */
static void
strangers_shake_hands_in_turn(void **state)
{
	struct conf *conf = tls_conf();
	struct conf_listener *l = tls_conf_listener(conf, "mx");
	struct scene s;

	(void)state;
	free(l->tls);
	l->tls = strdup("implicit");
	conf->smtpd.stranger_handshakes = 1;
	scene_start(&s, conf);
	/* What was saved up. */
	(void)fakes_knock(&s.f, "192.0.2.1");
	(void)fakes_knock(&s.f, "192.0.2.2");
	assert_null(s.f.smtpd.turnstile.waiting);
	(void)fakes_knock(&s.f, "192.0.2.3");
	s.f.client = fakes_knock(&s.f, "192.0.2.4");
	assert_non_null(s.f.smtpd.turnstile.waiting);
	assert_non_null(s.f.smtpd.turnstile.waiting->turn_next);
	tls_client_attach(&s.c, &s.f);
	assert_true(tls_client_shake(&s.c, &s.f));
	hear(&s, "220 mx.example.org *");
	assert_non_null(s.f.smtpd.turnstile.waiting);	/* the one before */
	tls_client_forget(&s.c);
	/* Who leaves does not wait any more. */
	while (s.f.smtpd.turnstile.waiting != NULL)
		session_free(s.f.smtpd.turnstile.waiting);
	scene_end(&s);
}

static void
known_clients_shake_hands_at_once(void **state)
{
	struct conf *conf = tls_conf();
	struct conf_listener *l = tls_conf_listener(conf, "mx");
	struct scene s;

	(void)state;
	free(l->tls);
	l->tls = strdup("implicit");
	conf->smtpd.stranger_handshakes = 1;
	scene_start(&s, conf);
	for (unsigned i = 0; i < 3; i++)
		(void)fakes_knock(&s.f, "192.0.2.1");
	assert_non_null(s.f.smtpd.turnstile.waiting);
	client_note_good(s.f.smtpd.turnstile.waiting);
	s.f.client = fakes_knock(&s.f, "192.0.2.1");
	assert_null(s.f.smtpd.turnstile.waiting->turn_next);
	tls_client_attach(&s.c, &s.f);
	assert_true(tls_client_shake(&s.c, &s.f));
	hear(&s, "220 mx.example.org *");
	hang_up(&s);
	scene_end(&s);
}

/* --- bytes --- */

static void
large_messages_arrive_whole(void **state)
{
	static const size_t sizes[] = { 1, 16 * 1024, 65 * 1024, 1000 * 1000, 3 * 1000 * 1000 };
	struct scene s;

	(void)state;
	scene_start(&s, NULL);
	starttls(&s);
	say(&s, "EHLO x.example\r\n");
	(void)hears(&s, "");
	for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
		struct buf text = BUF_INIT(8 << 20);
		struct slice content;

		say(&s, "MAIL FROM:<a@b.example>\r\nRCPT TO:<alice@example.org>\r\nDATA\r\n");
		hear(&s, "250 *");
		hear(&s, "250 *");
		hear(&s, "354 *");
		while (buf_len(&text) < sizes[i])
			assert_true(buf_printf(&text, "%060zu\r\n", buf_len(&text)));
		tls_client_send(&s.c, &s.f, buf_slice(&text));
		say(&s, ".\r\n");
		hear(&s, "250 2.0.0 Ok: queued as *");
		content = buf_slice(&fakes_last(&s.f)->content);
		assert_true(content.n > buf_len(&text));
		assert_true(slice_eq(slice_from(content, content.n - buf_len(&text)), buf_slice(&text)));
		buf_free(&text);
	}
	scene_end(&s);
}

/* More in one record than is handled in one turn: no event tells of what TLS has read already. */
static void
nothing_stays_behind_in_a_record(void **state)
{
	struct buf many = BUF_INIT(1 << 20);
	struct scene s;

	(void)state;
	scene_start(&s, NULL);
	starttls(&s);
	for (int i = 0; i < 1500; i++)
		assert_true(buf_put_str(&many, "NOOP\r\n"));
	tls_client_send(&s.c, &s.f, buf_slice(&many));
	for (int i = 0; i < 1500; i++)
		hear(&s, "250 *");
	buf_free(&many);
	scene_end(&s);
}

/* RFC 8446 6.1: a client may close its half, and still hears the replies. */
static void
a_client_that_says_goodbye_is_answered(void **state)
{
	struct scene s;

	(void)state;
	scene_start(&s, NULL);
	starttls(&s);
	say(&s, "EHLO x.example\r\nNOOP\r\n");
	(void)SSL_shutdown(s.c.ssl);
	assert_true(hears(&s, "250*PIPELINING"));
	hear(&s, "250 *");
	expect_closed(&s);
	scene_end(&s);
}

static void
a_client_that_is_cut_off_leaves_nothing(void **state)
{
	struct scene s;

	(void)state;
	scene_start(&s, NULL);
	starttls(&s);
	say(&s, "EHLO x.example\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<alice@example.org>\r\nDATA\r\n");
	(void)hears(&s, "");
	hear(&s, "250 *");
	hear(&s, "250 *");
	hear(&s, "354 *");
	say(&s, "half a message\r\n");
	hang_up(&s);
	for (int i = 0; i < 100 && s.f.smtpd.n_sessions > 0; i++)
		fakes_turn(&s.f);
	assert_int_equal(s.f.smtpd.n_sessions, 0);
	assert_int_equal(s.f.n_messages, 0);
	scene_end(&s);
}

/* --- hostile handshakes --- */

static void
a_slow_handshake_is_cut(void **state)
{
	struct conf *conf = tls_conf();
	struct scene s;

	(void)state;
	conf->smtpd.timeout_tls = 50;
	scene_start(&s, conf);
	up_to_starttls(&s);
	tls_client_forget(&s.c);
	/* The header of a record that never comes. */
	fakes_send(&s.f, S("\x16\x03\x01\x02\x00\x01"), SIZE_MAX);
	assert_true(fakes_closed(&s.f, PATIENCE_MS));
	assert_int_equal(s.f.smtpd.n_sessions, 0);
	scene_end(&s);
}

static void
garbage_ends_the_session(void **state)
{
	static const struct slice garbage[] = { SLICE("\x16\x03\x01\x00\x05hello"), SLICE("\x15\x03\x01\x00\x02\x02\x28"),
		SLICE("\x80\x2e\x01\x00\x02\x00\x15\x00\x00\x00\x10"), SLICE("\x16\x03\x01\xff\xff"),
		SLICE("\x17\x03\x03\x00\x01x"), SLICE("\x16\x03\x01\x00\x00"), SLICE("\0\0\0\0\0\0\0\0"),
		SLICE("GET / HTTP/1.0\r\n\r\n") };

	(void)state;
	for (size_t i = 0; i < sizeof garbage / sizeof garbage[0]; i++) {
		struct conf *conf = tls_conf();
		struct scene s;

		conf->smtpd.timeout_tls = 300;
		scene_start(&s, conf);
		up_to_starttls(&s);
		tls_client_forget(&s.c);
		fakes_send(&s.f, garbage[i], SIZE_MAX);
		for (int k = 0; k < 200 && s.f.smtpd.n_sessions > 0; k++)
			fakes_turn(&s.f);
		assert_int_equal(s.f.smtpd.n_sessions, 0);
		scene_end(&s);
	}
}

/* shows: RFC9325 3.1.1/1, RFC9325 3.1.1/2, RFC8314 4/1 */
static void
old_versions_are_refused(void **state)
{
	static const struct { int version; bool good; } cases[] = { { TLS1_VERSION, false }, { TLS1_1_VERSION, false },
		{ TLS1_2_VERSION, true }, { TLS1_3_VERSION, true } };

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct scene s;

		scene_start(&s, NULL);
		assert_int_equal(SSL_CTX_set_min_proto_version(s.c.ctx, cases[i].version), 1);
		assert_int_equal(SSL_CTX_set_max_proto_version(s.c.ctx, cases[i].version), 1);
		assert_int_equal(SSL_CTX_set_cipher_list(s.c.ctx, "ALL:@SECLEVEL=0"), 1);
		up_to_starttls(&s);
		assert_int_equal(tls_client_shake(&s.c, &s.f), cases[i].good);
		scene_end(&s);
	}
}

/* shows: RFC9325 4.1/1, RFC9325 4.1/2, RFC9325 4.2/1, RFC9325 4.2.1/1, RFC9325 7.4/1 */
static void
weak_suites_are_refused(void **state)
{
	static const struct { const char *suites; bool good; } cases[] = { { "AES128-SHA", false },
	    { "AES256-GCM-SHA384", false },
		{ "DHE-RSA-AES256-GCM-SHA384", false }, { "ECDHE-RSA-AES128-SHA", false }, { "ECDHE-RSA-AES256-SHA384", false },
		{ "NULL-SHA256", false }, { "ADH-AES256-GCM-SHA384", false }, { "AECDH-AES128-SHA", false },
		{ "ECDHE-RSA-AES128-GCM-SHA256", true }, { "ECDHE-ECDSA-CHACHA20-POLY1305", true } };

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct scene s;
		char list[128];

		scene_start(&s, NULL);
		assert_int_equal(SSL_CTX_set_max_proto_version(s.c.ctx, TLS1_2_VERSION), 1);
		(void)snprintf(list, sizeof list, "%s:@SECLEVEL=0", cases[i].suites);
		assert_int_equal(SSL_CTX_set_cipher_list(s.c.ctx, list), 1);
		up_to_starttls(&s);
		assert_int_equal(tls_client_shake(&s.c, &s.f), cases[i].good);
		scene_end(&s);
	}
}

/* shows: RFC9325 3.5/1 -- nobody keeps us busy with handshakes inside of one (CVE-2011-1473). */
static void
renegotiation_is_refused(void **state)
{
	struct scene s;

	(void)state;
	scene_start(&s, NULL);
	assert_int_equal(SSL_CTX_set_max_proto_version(s.c.ctx, TLS1_2_VERSION), 1);
	starttls(&s);
	assert_int_equal(SSL_renegotiate(s.c.ssl), 1);
	assert_false(tls_client_shake(&s.c, &s.f));
	scene_end(&s);
}

/* shows: RFC9325 3.8/1 -- THREATS 8 */
static void
foreign_protocols_are_turned_away(void **state)
{
	static const struct { struct slice offer; bool good; } cases[] = { { SLICE("\x08http/1.1"), false },
		{ SLICE("\x02h2\x08http/1.1"), false }, { SLICE("\x04imap"), false }, { SLICE("\x03""ftp"), false },
		{ SLICE("\x02h2\x04smtp"), true }, { SLICE("\x04smtp"), true } };

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct scene s;

		scene_start(&s, NULL);
		assert_int_equal(SSL_CTX_set_alpn_protos(s.c.ctx, cases[i].offer.p, (unsigned)cases[i].offer.n), 0);
		up_to_starttls(&s);
		ERR_clear_error();
		assert_int_equal(tls_client_shake(&s.c, &s.f), cases[i].good);
		if (!cases[i].good)
			assert_int_equal(ERR_GET_REASON(ERR_peek_error()), SSL_R_TLSV1_ALERT_NO_APPLICATION_PROTOCOL);
		ERR_clear_error();
		scene_end(&s);
	}
}

/* --- certificates by name --- */

struct pick {
	const char *name;		/* NULL: none is asked for */
	const char *algorithms;		/* that the client can check; NULL: all */
	const struct tls_made *shown;
	const char *told;		/* what the log says of it */
};

/* shows: RFC9325 3.7/1 */
static void
the_name_chooses_the_certificate(void **state)
{
	char longest[256], longer[300], text[300];
	const struct pick picks[] = {
		{ NULL, "RSA+SHA256:RSA-PSS+SHA256", &made_rsa, "" },
		{ NULL, "ECDSA+SHA256", &made_ec, "" },
		{ "mx.example.org", "RSA+SHA256:RSA-PSS+SHA256", &made_rsa, "mx.example.org" },
		{ "mx.example.org", "ECDSA+SHA256", &made_ec, "mx.example.org" },
		{ "MX.Example.ORG", "ECDSA+SHA256", &made_ec, "mx.example.org" },
		{ "other.example", NULL, &made_other, "other.example" },
		{ "a.wild.example", NULL, &made_wild, "a.wild.example" },
		{ "a.b.wild.example", "ECDSA+SHA256", &made_ec, "a.b.wild.example" },
		{ "wild.example", "ECDSA+SHA256", &made_ec, "wild.example" },
		{ "nobody.example", "ECDSA+SHA256", &made_ec, "nobody.example" },
		{ "not_a_name!", "ECDSA+SHA256", &made_ec, "" },
		{ "*.wild.example", "ECDSA+SHA256", &made_ec, "" },
		{ "..", "ECDSA+SHA256", &made_ec, "" },
		{ "other.example.", "ECDSA+SHA256", &made_ec, "" },
		{ longest, "ECDSA+SHA256", &made_ec, longest },
		{ longer, "ECDSA+SHA256", &made_ec, "" },
	};

	(void)state;
	memset(longest, 'a', sizeof longest);
	for (size_t i = 50; i < 253; i += 50)
		longest[i] = '.';
	longest[253] = '\0';
	(void)snprintf(longer, sizeof longer, "%s.a", longest);
	for (size_t i = 0; i < sizeof picks / sizeof picks[0]; i++) {
		struct scene s;
		X509 *shown;

		scene_start(&s, NULL);
		if (picks[i].algorithms != NULL)
			assert_int_equal(SSL_CTX_set1_sigalgs_list(s.c.ctx, strcpy(text, picks[i].algorithms)), 1);
		up_to_starttls(&s);
		if (picks[i].name != NULL)
			assert_int_equal(SSL_set_tlsext_host_name(s.c.ssl, strcpy(text, picks[i].name)), 1);
		if (!tls_client_shake(&s.c, &s.f))
			fail_msg("no handshake for %s", picks[i].name);
		shown = SSL_get0_peer_certificate(s.c.ssl);
		if (X509_cmp(shown, picks[i].shown->certificate) != 0)
			fail_msg("%s gets another certificate", picks[i].name == NULL ? "nobody" : picks[i].name);
		assert_string_equal(facts(&s)->sni, picks[i].told);
		scene_end(&s);
	}
}

/* --- tickets --- */

static bool
resumes(struct scene *s)
{
	bool yes;

	starttls(s);
	yes = SSL_session_reused(s->c.ssl) == 1;
	assert_int_equal(facts(s)->resumed, yes);
	say(s, "NOOP\r\n");
	hear(s, "250 *");
	hang_up(s);
	return yes;
}

/* shows: RFC9325 3.4/1, RFC9325 3.4/2 */
static void
tickets_are_good_for_a_while(void **state)
{
	static const int versions[] = { TLS1_2_VERSION, TLS1_3_VERSION };

	(void)state;
	for (size_t i = 0; i < sizeof versions / sizeof versions[0]; i++) {
		struct scene s;

		scene_start(&s, NULL);
		assert_int_equal(SSL_CTX_set_max_proto_version(s.c.ctx, versions[i]), 1);
		assert_false(resumes(&s));
		assert_non_null(s.c.ticket);
		assert_true(resumes(&s));
		/* As another process would have it: the same keys, nothing remembered. */
		tls_serve_again(&s.f, s.ids, 0);
		assert_true(resumes(&s));
		/* Keys have changed once: the old one is still good, and the client gets a new ticket. */
		tls_serve_again(&s.f, s.ids, 1);
		assert_true(resumes(&s));
		tls_serve_again(&s.f, s.ids, 3);
		assert_true(resumes(&s));
		/* And so often that nobody knows it any more. */
		tls_serve_again(&s.f, s.ids, 20);
		assert_false(resumes(&s));
		assert_true(resumes(&s));
		scene_end(&s);
	}
}

/* THREATS 9 */
static void
tickets_of_one_listener_are_no_good_at_another(void **state)
{
	static const int versions[] = { TLS1_2_VERSION, TLS1_3_VERSION };

	(void)state;
	for (size_t i = 0; i < sizeof versions / sizeof versions[0]; i++) {
		struct conf *conf = tls_conf();
		struct scene s;

		/* "my" has the same ticket keys in this test: the session context alone must keep them apart. */
		(void)tls_conf_listener(conf, "my");
		(void)tls_conf_listener(conf, "submission");
		scene_start(&s, conf);
		assert_int_equal(SSL_CTX_set_max_proto_version(s.c.ctx, versions[i]), 1);
		assert_false(resumes(&s));
		assert_true(resumes(&s));
		s.f.listener = "my";
		assert_false(resumes(&s));
		assert_true(resumes(&s));
		s.f.listener = "submission";
		assert_false(resumes(&s));
		assert_true(resumes(&s));
		s.f.listener = "mx";
		assert_false(resumes(&s));
		scene_end(&s);
	}
}

/* --- client certificates --- */

static void
show(struct scene *s, const struct tls_made *m)
{
	assert_int_equal(SSL_CTX_use_certificate(s->c.ctx, m->certificate), 1);
	assert_int_equal(SSL_CTX_use_PrivateKey(s->c.ctx, m->key), 1);
}

static struct conf *
asking(const char *how, bool with_ca)
{
	struct conf *conf = tls_conf();
	struct conf_listener *l = tls_conf_listener(conf, "mx");

	if (how != NULL) {
		free(l->client_certificate);
		l->client_certificate = strdup(how);
	}
	if (with_ca) {
		free(l->client_ca);
		l->client_ca = strdup("ca.pem");
	}
	return conf;
}

static void
client_certificates_are_known_by_fingerprint(void **state)
{
	struct tls_made client = tls_make("EC", NAMES("client \"one\" (x)", "user@client.example"), NULL);
	const struct tls_certificate *shown;
	uint8_t digest[TLS_DIGEST];
	char text[4096];
	struct slice content;
	struct scene s;

	(void)state;
	scene_start(&s, asking("request", false));
	show(&s, &client);
	starttls(&s);
	shown = stream_client_certificate(&the_session(&s)->stream);
	assert_non_null(shown);
	assert_int_equal(X509_digest(client.certificate, EVP_sha256(), digest, NULL), 1);
	assert_memory_equal(shown->fingerprint, digest, sizeof digest);
	assert_string_equal(shown->common_name, "client \"one\" (x)");
	assert_string_equal(shown->address, "user@client.example");
	assert_false(shown->verified);
	say(&s, "EHLO x.example\r\n");
	(void)hears(&s, "");
	send_message(&s);
	content = buf_slice(&fakes_last(&s.f)->content);
	memcpy(text, content.p, content.n);
	text[content.n] = '\0';
	/* What would end the comment does not stand in it. */
	assert_non_null(strstr(text, "(Client CN \"client ?one? ?x?\", Issuer \"client ?one? ?x?\" (not verified))\r\n"));
	hang_up(&s);
	/* A session that is resumed knows it, too. */
	starttls(&s);
	assert_int_equal(SSL_session_reused(s.c.ssl), 1);
	shown = stream_client_certificate(&the_session(&s)->stream);
	assert_non_null(shown);
	assert_memory_equal(shown->fingerprint, digest, sizeof digest);
	scene_end(&s);
	tls_made_free(&client);
}

/* shows: RFC3207 4.1/1, RFC8314 4.2/1 */
static void
a_client_without_a_certificate(void **state)
{
	/* NULL: what the configuration says of itself */
	static const struct { const char *how; bool good, asked; } cases[] = { { NULL, true, false }, { "none", true, false },
		{ "request", true, true }, { "require", false, true } };

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct scene s;

		scene_start(&s, asking(cases[i].how, false));
		up_to_starttls(&s);
		/* In TLS 1.3 the client has finished before the server looks. */
		(void)tls_client_shake(&s.c, &s.f);
		fakes_settle(&s.f);
		assert_int_equal(s.f.smtpd.n_sessions == 1 && stream_is_tls(&the_session(&s)->stream), cases[i].good);
		if (cases[i].good)
			assert_int_equal(stream_tls(&the_session(&s)->stream)->asked, cases[i].asked);
		scene_end(&s);
	}
}

static void
an_authority_verifies_clients(void **state)
{
	struct tls_made ca = tls_make("EC", NAMES("authority"), NULL), good = tls_make("EC", NAMES("good.example"), &ca);
	struct tls_made stranger = tls_make("EC", NAMES("stranger.example"), NULL);
	const struct { const char *how; const struct tls_made *shown; bool in, verified; } cases[] = {
		{ "request", &good, true, true }, { "request", &stranger, true, false },
		{ "require", &good, true, true }, { "require", &stranger, false, false },
	};
	struct buf pem = tls_pem(&ca);

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		bool in;
		struct scene s;

		scene_start(&s, asking(cases[i].how, true));
		tls_serve(&s.f, s.ids, buf_slice(&pem));
		show(&s, cases[i].shown);
		up_to_starttls(&s);
		(void)tls_client_shake(&s.c, &s.f);
		fakes_settle(&s.f);
		in = s.f.smtpd.n_sessions == 1 && stream_is_tls(&the_session(&s)->stream);
		assert_int_equal(in, cases[i].in);
		if (in)
			assert_int_equal(stream_client_certificate(&the_session(&s)->stream)->verified, cases[i].verified);
		scene_end(&s);
	}
	buf_free(&pem);
	tls_made_free(&ca);
	tls_made_free(&good);
	tls_made_free(&stranger);
}

/* --- channel bindings --- */

/* shows: RFC9325 3.5/2 */
static void
both_sides_have_the_same_bindings(void **state)
{
	static const int versions[] = { TLS1_2_VERSION, TLS1_3_VERSION };
	struct buf none = BUF_INIT(256);

	(void)state;
	for (size_t i = 0; i < sizeof versions / sizeof versions[0]; i++) {
		struct buf ours = BUF_INIT(256), point = BUF_INIT(256);
		uint8_t theirs[32], digest[TLS_DIGEST];
		struct scene s;

		scene_start(&s, NULL);
		assert_int_equal(SSL_CTX_set_max_proto_version(s.c.ctx, versions[i]), 1);
		up_to_starttls(&s);
		assert_false(stream_channel_binding(&the_session(&s)->stream, TLS_BINDING_EXPORTER, &none));
		assert_true(tls_client_shake(&s.c, &s.f));
		assert_true(stream_channel_binding(&the_session(&s)->stream, TLS_BINDING_EXPORTER, &ours));
		assert_int_equal(SSL_export_keying_material(s.c.ssl, theirs, sizeof theirs, "EXPORTER-Channel-Binding", 24,
		    (const uint8_t *)"", 0, 1), 1);
		assert_true(slice_eq(buf_slice(&ours), slice_of(theirs, sizeof theirs)));
		assert_true(stream_channel_binding(&the_session(&s)->stream, TLS_BINDING_SERVER_END_POINT, &point));
		assert_int_equal(X509_digest(SSL_get0_peer_certificate(s.c.ssl), EVP_sha256(), digest, NULL), 1);
		assert_true(slice_eq(buf_slice(&point), slice_of(digest, sizeof digest)));
		say(&s, "NOOP\r\n");
		hear(&s, "250 *");
		hang_up(&s);
		/* On resumption no certificate is shown: it is that of the first time (RFC 5929 4). */
		starttls(&s);
		assert_int_equal(SSL_session_reused(s.c.ssl), 1);
		buf_clear(&point);
		assert_true(stream_channel_binding(&the_session(&s)->stream, TLS_BINDING_SERVER_END_POINT, &point));
		assert_true(slice_eq(buf_slice(&point), slice_of(digest, sizeof digest)));
		buf_clear(&ours);
		assert_true(stream_channel_binding(&the_session(&s)->stream, TLS_BINDING_EXPORTER, &ours));
		assert_false(slice_eq(buf_slice(&ours), slice_of(theirs, sizeof theirs)));
		scene_end(&s);
		buf_free(&ours);
		buf_free(&point);
	}
	assert_int_equal(buf_len(&none), 0);
}

/* --- the tls section --- */

static void
settings_are_checked(void **state)
{
	static const struct { const char *option, *value; bool good; } cases[] = {
		{ "min-version", "TLSv1.3", true }, { "min-version", "TLSv1.1", false }, { "min-version", "", false },
		{ "ciphers", "ECDHE-RSA-AES128-GCM-SHA256", true }, { "ciphers", "ECDHE+AESGCM:!aNULL", true },
		{ "ciphers", "ECDHE-RSA-AES128-GCM-SHA265", false }, { "ciphers", "ECDHE-RSA-AES128-GCM-SHA256:typo", false },
		{ "ciphers", "ALL", false }, { "ciphers", "AES256-GCM-SHA384", false },
		{ "ciphers", "DHE-RSA-AES256-GCM-SHA384", false },
		{ "ciphers", "ECDHE-RSA-AES256-SHA", false }, { "ciphers", "", false },
		{ "ciphers", "ECDHE+AESGCM:@SECLEVEL=0", true },
		{ "ciphersuites", "TLS_AES_128_GCM_SHA256", true }, { "ciphersuites", "TLS_NO_SUCH", false },
		{ "groups", "X25519", true }, { "groups", "P-256:X25519", true }, { "groups", "ffdhe2048", false },
		{ "groups", "X25519:FFDHE3072", false }, { "groups", "nonsense", false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct conf *c = conf_new();
		struct buf why = BUF_INIT(512);
		const char *option = "";
		enum rc rc;

		for (size_t k = 0; k < n_conf_sections; k++)
			for (size_t o = 0; strcmp(conf_sections[k].name, "tls") == 0 && o < conf_sections[k].n_options; o++)
				if (strcmp(conf_sections[k].options[o].name, cases[i].option) == 0)
					assert_int_equal(conf_set((char *)c + conf_sections[k].offset,
					    &conf_sections[k].options[o], cases[i].value), RC_OK);
		rc = tls_settings_check(&c->tls, &option, &why);
		if ((rc == RC_OK) != cases[i].good)
			fail_msg("%s = %s: %s", cases[i].option, cases[i].value, buf_cstr(&why));
		if (rc != RC_OK)
			assert_string_equal(option, cases[i].option);
		buf_free(&why);
		conf_unref(c);
	}
}

/* What nobody asks for by accident. shows: RFC9325 3.3/1, RFC9325 3.10/1, RFC9325 4.5/1, RFC9325 4.6/1 */
static void
nothing_weak_is_agreed_upon(void **state)
{
	static const char *const curves[] = { "secp192r1", "secp160r1", "sect163k1" };
	struct scene s;

	(void)state;
	scene_start(&s, NULL);
	(void)SSL_CTX_clear_options(s.c.ctx, SSL_OP_NO_COMPRESSION);
	starttls(&s);
	assert_null(SSL_get_current_compression(s.c.ssl));
	say(&s, "NOOP\r\n");
	hear(&s, "250 *");
	assert_non_null(s.c.ticket);
	assert_int_equal(SSL_SESSION_get_max_early_data(s.c.ticket), 0);
	scene_end(&s);
	for (size_t i = 0; i < sizeof curves / sizeof curves[0]; i++) {
		char text[32];

		scene_start(&s, NULL);
		assert_int_equal(SSL_CTX_set_max_proto_version(s.c.ctx, TLS1_2_VERSION), 1);
		(void)snprintf(text, sizeof text, "%s", curves[i]);
		if (SSL_CTX_set1_groups_list(s.c.ctx, text) == 1) {
			up_to_starttls(&s);
			assert_false(tls_client_shake(&s.c, &s.f));
		}
		scene_end(&s);
	}
	ERR_clear_error();
}

/* shows: RFC9325 4.5/2 */
static void
small_keys_are_not_taken(void **state)
{
	struct tls_made small = { X509_dup(made_rsa.certificate), EVP_RSA_gen(1024) };
	const struct tls_source source = { NULL, NULL, NULL };
	struct tls_identities *ids = tls_identities_new();
	struct tls_listeners *set = NULL;
	struct buf why = BUF_INIT(1024);
	struct conf *conf = tls_conf();

	(void)state;
	assert_int_equal(X509_set_pubkey(small.certificate, small.key), 1);
	assert_true(X509_sign(small.certificate, small.key, EVP_sha256()) > 0);
	tls_identities_add(ids, &small, NAMES("mx.example.org"));
	assert_int_not_equal(tls_listeners_new(conf, ids, &source, NULL, NULL, &set, &why), RC_OK);
	assert_non_null(strstr(buf_cstr(&why), "certificate \"made\" cannot be used: ee key too small"));
	buf_free(&why);
	identities_unref(ids);
	conf_unref(conf);
	tls_made_free(&small);
}

static void
the_library_shakes_hands_with_itself(void **state)
{
	struct buf why = BUF_INIT(512);

	(void)state;
	assert_int_equal(tls_warm_up(&why), RC_OK);
	buf_free(&why);
}

static int
make_keys(void **state)
{
	(void)state;
	(void)signal(SIGPIPE, SIG_IGN);
	made_rsa = tls_make("RSA", NAMES("mx.example.org"), NULL);
	made_ec = tls_make("EC", NAMES("mx.example.org"), NULL);
	made_other = tls_make("EC", NAMES("other.example"), NULL);
	made_wild = tls_make("EC", NAMES("*.wild.example"), NULL);
	return 0;
}

static int
free_keys(void **state)
{
	(void)state;
	tls_made_free(&made_rsa);
	tls_made_free(&made_ec);
	tls_made_free(&made_other);
	tls_made_free(&made_wild);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(starttls_forgets_what_was_said),
		cmocka_unit_test(tls_can_be_required_inside_tls),
		cmocka_unit_test(trace_and_envelope_say_how_it_came),
		cmocka_unit_test(what_is_submitted_names_its_cipher),
		cmocka_unit_test(starttls_refuses_what_is_out_of_place),
		cmocka_unit_test(words_behind_starttls_end_the_session),
		cmocka_unit_test(words_after_the_reply_are_no_commands),
		cmocka_unit_test(tls_can_be_required),
		cmocka_unit_test(implicit_tls_greets_inside),
		cmocka_unit_test(strangers_shake_hands_in_turn),
		cmocka_unit_test(known_clients_shake_hands_at_once),
		cmocka_unit_test(large_messages_arrive_whole),
		cmocka_unit_test(nothing_stays_behind_in_a_record),
		cmocka_unit_test(a_client_that_says_goodbye_is_answered),
		cmocka_unit_test(a_client_that_is_cut_off_leaves_nothing),
		cmocka_unit_test(a_slow_handshake_is_cut),
		cmocka_unit_test(garbage_ends_the_session),
		cmocka_unit_test(old_versions_are_refused),
		cmocka_unit_test(weak_suites_are_refused),
		cmocka_unit_test(renegotiation_is_refused),
		cmocka_unit_test(foreign_protocols_are_turned_away),
		cmocka_unit_test(the_name_chooses_the_certificate),
		cmocka_unit_test(tickets_are_good_for_a_while),
		cmocka_unit_test(tickets_of_one_listener_are_no_good_at_another),
		cmocka_unit_test(client_certificates_are_known_by_fingerprint),
		cmocka_unit_test(a_client_without_a_certificate),
		cmocka_unit_test(an_authority_verifies_clients),
		cmocka_unit_test(both_sides_have_the_same_bindings),
		cmocka_unit_test(settings_are_checked),
		cmocka_unit_test(nothing_weak_is_agreed_upon),
		cmocka_unit_test(small_keys_are_not_taken),
		cmocka_unit_test(the_library_shakes_hands_with_itself),
	};

	return cmocka_run_group_tests(tests, make_keys, free_keys);
}
