/* tests/smtpd/tls_scene.c -- see tls_scene.h. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "tests/smtpd/tls_scene.h"

#include <openssl/err.h>
#include <signal.h>
#include <unistd.h>

struct tls_made made_rsa, made_ec, made_other, made_wild;

int
scene_make_keys(void **state)
{
	(void)state;
	(void)signal(SIGPIPE, SIG_IGN);
	made_rsa = tls_make("RSA", NAMES("mx.example.org"), NULL);
	made_ec = tls_make("EC", NAMES("mx.example.org"), NULL);
	made_other = tls_make("EC", NAMES("other.example"), NULL);
	made_wild = tls_make("EC", NAMES("*.wild.example"), NULL);
	return 0;
}

int
scene_free_keys(void **state)
{
	(void)state;
	tls_made_free(&made_rsa);
	tls_made_free(&made_ec);
	tls_made_free(&made_other);
	tls_made_free(&made_wild);
	return 0;
}

void
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

void
scene_end(struct scene *s)
{
	tls_client_free(&s->c);
	fakes_stop(&s->f);
	identities_unref(s->ids);
}

void
say(struct scene *s, const char *text)
{
	if (s->c.ssl == NULL)
		fakes_send(&s->f, slice_str(text), SIZE_MAX);
	else
		tls_client_send(&s->c, &s->f, slice_str(text));
}

void
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

bool
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

void
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

void
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

void
starttls(struct scene *s)
{
	up_to_starttls(s);
	if (!tls_client_shake(&s->c, &s->f))
		fail_msg("no handshake: %s", ERR_reason_error_string(ERR_peek_error()));
}

void
hang_up(struct scene *s)
{
	tls_client_forget(&s->c);
	(void)close(s->f.client);
	s->f.client = -1;
	s->f.closed = false;
	fakes_settle(&s->f);
	buf_clear(&s->f.replies);
}

struct session *
the_session(struct scene *s)
{
	assert_non_null(s->f.smtpd.sessions);
	return s->f.smtpd.sessions;
}

const struct tls_facts *
facts(struct scene *s)
{
	const struct tls_facts *t = stream_tls(&the_session(s)->stream);

	assert_non_null(t);
	return t;
}

void
send_message(struct scene *s)
{
	say(s, "MAIL FROM:<a@b.example>\r\nRCPT TO:<alice@example.org>\r\nDATA\r\n");
	hear(s, "250 2.1.0 *");
	hear(s, "250 2.1.5 *");
	hear(s, "354 *");
	say(s, "From: <a@b.example>\r\nSubject: x\r\n\r\nbody\r\n.\r\n");
	hear(s, "250 2.0.0 Ok: queued as *");
}
