/* smtpd/cmd_rcpt.c -- RCPT: one recipient, which the router decides about (RFC 5321 4.1.1.3). */
#include "common/wire/smtp_command.h"
#include "smtpd/command.h"
#include "smtpd/lookups.h"
#include "smtpd/submit.h"

/* What can be said without asking. False: refused. */
static bool
judge(struct session *s, enum rc syntax, const struct smtp_path *path, struct refusal *ret_refusal)
{
	if (syntax == RC_RANGE)
		refusal_set(ret_refusal, 553, "5.1.3", "Address too long");
	else if (syntax != RC_OK)
		refusal_set(ret_refusal, 501, "5.5.4", "Syntax: RCPT TO:<address>");
	else if (path->params.n > 0)
		refusal_set(ret_refusal, 555, "5.5.4", "Parameter not recognized");	/* RFC 5321 4.1.1.11 */
	else if (!submit_alive(s->tx))
		refusal_set(ret_refusal, 451, "4.3.0", "The queue was restarted, begin again");
	else if (s->tx->n_rcpts >= s->conf->smtpd.max_recipients)
		refusal_set(ret_refusal, 452, "4.5.3", "Too many recipients");		/* RFC 5321 4.5.3.1.10 */
	else if (s->n_errors >= s->conf->smtpd.max_errors || s->too_many)
		refusal_set(ret_refusal, 452, "4.5.3", "Too many errors, send the rest later");
	else if (client_over(s, CLIENT_RECIPIENT))
		refusal_set(ret_refusal, 450, "4.7.1", "Too many recipients from your network, try again later");
	else
		return true;
	return false;
}

void
cmd_rcpt(struct session *s, struct slice arg)
{
	struct buf text = BUF_INIT(ADDRESS_TEXT_MAX);
	struct refusal refusal = { 0 };
	struct smtp_path path = { 0 };
	enum rc syntax = smtp_rcpt_parse(arg, &path);
	struct rcpt *r = NULL;
	bool ask = judge(s, syntax, &path, &refusal);

	s->tx->rcpt_seen = true;
	client_note(s, CLIENT_RECIPIENT, 1);
	if (syntax != RC_OK || address_put(&text, &path.address))
		r = rcpt_new(s->tx, buf_slice(&text));
	buf_free(&text);
	if (r == NULL) {
		session_last(s, 421, "4.3.0", "Out of memory, try again later", "no memory");
		return;
	}
	if (ask)
		lookup_check(r);
	else
		r->refusal = refusal;
	/* In its turn, when others before it still wait. */
	rcpts_reply(s->tx);
}
