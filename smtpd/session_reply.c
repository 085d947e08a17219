/* smtpd/session_reply.c -- what a session says: replies and refusals, the errors that they count, and the last word of all.
 * How they leave is session.c's business. */
#include "smtpd/session.h"

#include <stdarg.h>
#include <stdio.h>

static void
send_reply(struct session *s, unsigned code, struct slice enhanced, struct slice text)
{
	size_t before = buf_len(&s->out);

	if (s->phase < PH_LINGER && !reply_line(&s->out, code, enhanced, text, false))
		session_speechless(s, before);
}

/* Its own, and its network's: whoever divides his guesses among many sessions is counted too. */
static void
note_error(struct session *s)
{
	s->n_errors++;
	client_note(s, CLIENT_ERROR, 1);
	s->too_many |= client_over(s, CLIENT_ERROR);
	s->late |= s->n_errors > s->conf->smtpd.delay_errors && s->conf->smtpd.error_delay > 0 && !s->exempt &&
	    !s->smtpd->stressed;
}

static void
put_reply(struct session *s, unsigned code, struct slice enhanced, struct slice text)
{
	if (code >= 500 && s->phase < PH_LINGER)
		note_error(s);
	send_reply(s, code, enhanced, text);
}

void
session_reply(struct session *s, unsigned code, const char *enhanced, const char *format, ...)
{
	char text[REPLY_TEXT_MAX + 1];
	va_list args;

	va_start(args, format);
	(void)vsnprintf(text, sizeof text, format, args);
	va_end(args);
	put_reply(s, code, slice_str(enhanced), slice_str(text));
}

void
session_fault(struct session *s, unsigned code, const char *enhanced, const char *text)
{
	log_say(LOG_PROTOCOL_ERROR, NULL, F_IP("client", s->ip), F_TEXT("what", text),
	    F_TEXT("command", s->verb == NULL ? "" : s->verb));
	put_reply(s, code, slice_str(enhanced), slice_str(text));
}

void
session_refuse(struct session *s, const struct refusal *r, struct slice to, struct slice rule)
{
	bool rcpt = s->verb != NULL && strcmp(s->verb, "RCPT") == 0;
	char priority[PRIORITY_TEXT_MAX];

	s->n_rejected++;
	if (s->tx != NULL)
		s->tx->id_used = true;
	log_say(LOG_REJECT, s->tx == NULL ? NULL : &s->tx->id, F_IP("client", s->ip), F_STR("helo", session_helo(s)),
	    F_TEXT("from", s->tx == NULL ? "" : s->tx->sender), F_STR("to", to),
	    F_TEXT("command", s->verb == NULL ? "" : s->verb),
	    F_U64("code", r->code), F_TEXT("enhanced", r->enhanced), F_TEXT("text", r->text), F_STR("rule", rule),
	    F_TEXT("priority", transaction_priority(s->tx, priority)), F_STR("proto", session_proto(s)),
	    F_STR("user", session_user(s)));
	/* A list may hold dead addresses, and the first hundred recipients must not be refused for their number
	 * (RFC 5321 4.5.3.1.8). Whoever guesses more than that is counted; the network's guesses are in any case. */
	if (rcpt && r->code >= 500) {
		client_note(s, CLIENT_UNKNOWN_RECIPIENT, 1);
		s->too_many |= client_over(s, CLIENT_UNKNOWN_RECIPIENT);
		if (s->n_refused_rcpts++ >= REFUSED_RCPTS_FREE)
			note_error(s);
		send_reply(s, r->code, slice_str(r->enhanced), slice_str(r->text));
	} else
		put_reply(s, r->code, slice_str(r->enhanced), slice_str(r->text));
}

void
session_last(struct session *s, unsigned code, const char *enhanced, const char *text, const char *reason)
{
	struct slice name = smtpd_name(s->smtpd, s->conf);

	BUG_ON(code != 221 && code != 421);
	if (s->phase >= PH_LAST)
		return;
	/* In the middle of a handshake nothing can be said. */
	if (s->phase == PH_SHAKE) {
		session_end(s, reason);
		return;
	}
	/* RFC 5321 4.2.2, 4.3.1: in 221 and 421, as in 220, the first word is our name. */
	session_reply(s, code, enhanced, "%.*s %s", (int)name.n, (const char *)name.p, text);
	if (s->phase == PH_DEAD)
		return;
	s->reason = reason;
	wait_forget(s);
	transaction_free(&s->tx, reason);
	session_enter(s, PH_LAST);
	chore_queue(&s->chore);
}

void
session_cut_off(struct session *s, unsigned code, const char *enhanced, const char *text, const char *reason)
{
	session_fault(s, code, enhanced, text);
	session_last(s, 421, "4.7.0", "Closing the connection", reason);
}
