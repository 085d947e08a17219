/* smtpd/cmd_helo.c -- EHLO and HELO: the client's name for itself, and what we offer (RFC 5321 4.1.1.1). */
#include "common/text.h"
#include "common/wire/domain.h"
#include "smtpd/command.h"
#include "smtpd/offer.h"

#include <stdlib.h>

/* What EHLO announces, in this order; what is not offered is left out. */
static const enum extension keywords[] = { EXT_PIPELINING, EXT_SIZE, EXT_8BITMIME, EXT_CHUNKING, EXT_BINARYMIME, EXT_DSN,
	EXT_SMTPUTF8, EXT_STARTTLS, EXT_AUTH, EXT_REQUIRETLS, EXT_DELIVERBY, EXT_FUTURERELEASE, EXT_PRIORITY, EXT_LIMITS,
	EXT_ETRN, EXT_VRFY, EXT_EXPN, EXT_XCLIENT, EXT_ENHANCED, EXT_HELP };

static void
announce(struct session *s)
{
	struct buf line = BUF_INIT(REPLY_TEXT_MAX);
	size_t left = 0, before = buf_len(&s->out);

	for (size_t i = 0; i < sizeof keywords / sizeof keywords[0]; i++)
		left += offers(s, keywords[i]);
	(void)reply_line(&s->out, 250, S(""), smtpd_name(s->smtpd, s->conf), left > 0);
	for (size_t i = 0; i < sizeof keywords / sizeof keywords[0]; i++) {
		if (!offers(s, keywords[i]))
			continue;
		buf_clear(&line);
		(void)buf_put_str(&line, extension_keyword(keywords[i]));
		(void)offer_put_value(&line, s, keywords[i]);
		(void)reply_line(&s->out, 250, S(""), buf_slice(&line), --left > 0);
	}
	buf_free(&line);
	if (s->out.failed)
		session_speechless(s, before);
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
