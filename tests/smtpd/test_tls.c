/* tests/smtpd/test_tls.c -- sessions over TLS: STARTTLS and what it forgets, many that shake hands, bytes at the edge of a
 * record, hostile handshakes. Certificates, tickets and settings: test_tls_identity.c. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "tests/smtpd/tls_scene.h"

#include "smtpd/session.h"

#include <openssl/err.h>
#include <stdio.h>
#include <stdlib.h>

/* --- STARTTLS --- */

/* shows: RFC3207 4.2/1, RFC3207 4.2/2, RFC3207 4.2/3, RFC9325 3.1.1/3, RFC9325 3.1.1/4, RFC8314 3.3/2 */
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

/* shows: RFC3848 1/2, RFC9325 4.1/3 */
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
	    "\t(using TLSv1.3 with cipher TLS_AES_128_GCM_SHA256 (128/128 bits)\r\n"
	    "\t key-exchange x25519 server-signature ECDSA (256 bits) server-digest SHA256)\r\n"
	    "\t(No client certificate requested)\r\n"
	    "\tby mx.example.org (Postern) with ESMTPS id *", text) &&
	    !fakes_match("Received: from after.example (client.example.net [192.0.2.7])\r\n"
	    "\t(using TLSv1.3 with cipher TLS_AES_128_GCM_SHA256 (128/128 bits)\r\n"
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

static void
no_memory_for_the_reply_to_starttls(void **state)
{
	struct scene s;

	(void)state;
	scene_start(&s, NULL);
	(void)fakes_connect(&s.f, "192.0.2.7");
	hear(&s, "220 *");
	say(&s, "EHLO x.example\r\n");
	assert_true(hears(&s, "250*STARTTLS"));
	s.f.smtpd.sessions->out.max = 8;
	say(&s, "STARTTLS\r\n");
	hear(&s, "421 4.3.0 *");
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

/* However a session ends over TLS, the client can tell that it was we who ended it, and not somebody between us.
 * shows: RFC8314 3.4/1 */
static void
every_end_is_a_close_alert(void **state)
{
	static const struct {
		const char *said, *end;
		bool evict, stop;
	} cases[] = {
		{ "QUIT\r\n", "221 *", false, false },
		{ "NOOP\rX\r\n", "500 *", false, false },
		{ "", "421 4.3.2 *", true, false },
		{ "", "421 4.3.2 *", false, true },
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct scene s;

		scene_start(&s, NULL);
		starttls(&s);
		say(&s, cases[i].said);
		if (cases[i].evict)
			session_evict(the_session(&s));
		if (cases[i].stop)
			session_stop(the_session(&s));
		hear(&s, cases[i].end);
		expect_closed(&s);
		if ((SSL_get_shutdown(s.c.ssl) & SSL_RECEIVED_SHUTDOWN) == 0)
			fail_msg("case %zu: no close_notify", i);
		scene_end(&s);
	}
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

/* shows: RFC9325 4.1/1, RFC9325 4.1/2, RFC9325 4.2/1, RFC9325 4.2.1/1, RFC9325 4.2.1/3, RFC9325 7.4/1
 * shows: RFC9325 4.1/3 */
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

/* Under TLS 1.2 the strongest of what a client offers is taken, wherever it stands. shows: RFC9325 4.2.1/2, RFC9325 4.2.1/4 */
static void
strong_suites_and_common_groups(void **state)
{
	static const struct { const char *suites, *groups, *suite; int key; } cases[] = {
		{ "ECDHE-RSA-AES128-SHA:AES128-SHA:ECDHE-RSA-AES128-GCM-SHA256", "P-256", "ECDHE-RSA-AES128-GCM-SHA256",
		    EVP_PKEY_EC },
		{ "ECDHE-RSA-AES128-GCM-SHA256:ECDHE-RSA-AES256-GCM-SHA384", "X25519", "ECDHE-RSA-AES256-GCM-SHA384",
		    EVP_PKEY_X25519 },
		{ "ECDHE-RSA-AES128-GCM-SHA256", "P-521:P-256:X25519", "ECDHE-RSA-AES128-GCM-SHA256", EVP_PKEY_X25519 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		EVP_PKEY *key = NULL;
		struct scene s;
		char text[128];

		scene_start(&s, NULL);
		assert_int_equal(SSL_CTX_set_max_proto_version(s.c.ctx, TLS1_2_VERSION), 1);
		(void)snprintf(text, sizeof text, "%s:@SECLEVEL=0", cases[i].suites);
		assert_int_equal(SSL_CTX_set_cipher_list(s.c.ctx, text), 1);
		(void)snprintf(text, sizeof text, "%s", cases[i].groups);
		assert_int_equal(SSL_CTX_set1_groups_list(s.c.ctx, text), 1);
		starttls(&s);
		assert_string_equal(SSL_get_cipher_name(s.c.ssl), cases[i].suite);
		assert_int_equal(SSL_get_peer_tmp_key(s.c.ssl, &key), 1);
		assert_int_equal(EVP_PKEY_get_base_id(key), cases[i].key);
		EVP_PKEY_free(key);
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

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(starttls_forgets_what_was_said),
		cmocka_unit_test(trace_and_envelope_say_how_it_came),
		cmocka_unit_test(tls_can_be_required_inside_tls),
		cmocka_unit_test(what_is_submitted_names_its_cipher),
		cmocka_unit_test(starttls_refuses_what_is_out_of_place),
		cmocka_unit_test(no_memory_for_the_reply_to_starttls),
		cmocka_unit_test(words_behind_starttls_end_the_session),
		cmocka_unit_test(words_after_the_reply_are_no_commands),
		cmocka_unit_test(tls_can_be_required),
		cmocka_unit_test(implicit_tls_greets_inside),
		cmocka_unit_test(strangers_shake_hands_in_turn),
		cmocka_unit_test(known_clients_shake_hands_at_once),
		cmocka_unit_test(large_messages_arrive_whole),
		cmocka_unit_test(nothing_stays_behind_in_a_record),
		cmocka_unit_test(a_client_that_says_goodbye_is_answered),
		cmocka_unit_test(every_end_is_a_close_alert),
		cmocka_unit_test(a_client_that_is_cut_off_leaves_nothing),
		cmocka_unit_test(a_slow_handshake_is_cut),
		cmocka_unit_test(garbage_ends_the_session),
		cmocka_unit_test(old_versions_are_refused),
		cmocka_unit_test(weak_suites_are_refused),
		cmocka_unit_test(strong_suites_and_common_groups),
		cmocka_unit_test(renegotiation_is_refused),
		cmocka_unit_test(foreign_protocols_are_turned_away),
	};

	return cmocka_run_group_tests(tests, scene_make_keys, scene_free_keys);
}
