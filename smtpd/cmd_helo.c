/* smtpd/cmd_helo.c -- EHLO and HELO: the client's name for itself, and what we offer (RFC 5321 4.1.1.1). */
#include "common/wire/domain.h"
#include "smtpd/command.h"
#include "smtpd/login.h"
#include "smtpd/verify.h"

#include <stdlib.h>

/* What EHLO announces, in order. A row with offered() is announced when that says so. */
struct keyword {
	const char *name;
	bool (*offered)(const struct session *s);	/* NULL: always */
	bool (*put_value)(struct buf *to, const struct session *s);	/* NULL: no value */
};

static bool
put_size(struct buf *to, const struct session *s)
{
	return buf_printf(to, " %llu", (unsigned long long)s->conf->smtpd.max_message_size);
}

static bool
put_xclient(struct buf *to, const struct session *s)
{
	(void)s;
	return buf_put_str(to, " NAME ADDR PORT PROTO HELO LOGIN DESTADDR DESTPORT");
}

/* RFC 3207 4.2: never inside TLS. */
static bool
has_starttls(const struct session *s)
{
	return !stream_is_tls(&s->stream) && session_tls_listener(s) != NULL;
}

static bool
put_auth(struct buf *to, const struct session *s)
{
	(void)buf_put_byte(to, ' ');
	return login_mechanisms_put(to, s);
}

static const struct keyword keywords[] = {
	{ "PIPELINING", NULL, NULL },			/* RFC 2920 */
	{ "SIZE", NULL, put_size },			/* RFC 1870 */
	{ "8BITMIME", NULL, NULL },			/* RFC 6152 */
	{ "ENHANCEDSTATUSCODES", NULL, NULL },		/* RFC 2034 */
	{ "STARTTLS", has_starttls, NULL },		/* RFC 3207 */
	{ "AUTH", login_is_offered, put_auth },		/* RFC 4954 */
	{ "VRFY", verify_offered, NULL },		/* RFC 5321 3.5.2: EXPN must be announced, VRFY may */
	{ "EXPN", verify_offered, NULL },
	{ "XCLIENT", xclient_offered, put_xclient },	/* Postfix, XCLIENT_README */
	{ "HELP", NULL, NULL },
};

static bool
is_offered(const struct keyword *k, const struct session *s)
{
	return k->offered == NULL || k->offered(s);
}

static void
announce(struct session *s)
{
	struct buf line = BUF_INIT(REPLY_TEXT_MAX);
	size_t last = 0;

	for (size_t i = 0; i < sizeof keywords / sizeof keywords[0]; i++)
		if (is_offered(&keywords[i], s))
			last = i;
	(void)reply_line(&s->out, 250, S(""), smtpd_name(s->smtpd, s->conf), true);
	for (size_t i = 0; i <= last; i++) {
		const struct keyword *k = &keywords[i];

		if (!is_offered(k, s))
			continue;
		buf_clear(&line);
		(void)buf_put_str(&line, k->name);
		if (k->put_value != NULL)
			(void)k->put_value(&line, s);
		if (!reply_line(&s->out, 250, S(""), buf_slice(&line), i != last))
			session_end(s, "no memory for a reply");
	}
	buf_free(&line);
}

/* RFC 5321 4.1.2: a name with other characters than letters, digits and hyphens MUST be refused. */
static bool
is_name(const struct session *s, struct slice arg)
{
	struct ip literal;

	if (domain_ehlo_parse(arg, &literal) != RC_OK)
		return false;
	return literal.family != 0 || s->conf->smtpd.helo_underscore || domain_check(arg) == RC_OK;
}

/* Checks the name, keeps it, and clears the transaction (RFC 5321 4.1.4). False: refused. */
static bool
take_name(struct session *s, struct slice arg, bool esmtp)
{
	char *helo;

	if (!is_name(s, arg)) {
		session_fault(s, 501, "", arg.n == 0 ? "Say who you are: a domain name or an address literal" :
		    "That is neither a domain name nor an address literal");
		return false;
	}
	helo = text_copy(s->told_helo == NULL ? arg : slice_str(s->told_helo));
	if (helo == NULL) {
		/* RFC 5321 4.1.4 has no 4yz for EHLO but this one. */
		session_last(s, 421, "4.3.0", "Out of memory, try again later", "no memory");
		return false;
	}
	transaction_free(&s->tx, "EHLO");
	free(s->helo);
	s->helo = helo;
	s->esmtp = esmtp;
	session_enter(s, PH_READY);
	return true;
}

void
cmd_ehlo(struct session *s, struct slice arg)
{
	if (take_name(s, arg, true))
		announce(s);
}

void
cmd_helo(struct session *s, struct slice arg)
{
	struct slice name = smtpd_name(s->smtpd, s->conf);

	/* RFC 5321 4.2 and RFC 2034 4: no enhanced code in replies to EHLO and HELO. */
	if (take_name(s, arg, false))
		session_reply(s, 250, "", "%.*s", (int)name.n, (const char *)name.p);
}
