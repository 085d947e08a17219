/* smtpd/cmd_rcpt.c -- RCPT: one recipient, which the router decides about (RFC 5321 4.1.1.3). */
#include "common/wire/smtp_command.h"
#include "common/wire/smtp_param.h"
#include "common/wire/utf8.h"
#include "smtpd/allowance.h"
#include "smtpd/command.h"
#include "smtpd/lookups.h"
#include "smtpd/offer.h"
#include "smtpd/rcpt_domains.h"
#include "smtpd/submit.h"

struct wishes {
	uint8_t notify;
	struct slice orcpt;
};

/* RC_SYNTAX: 501. RC_UNSUPPORTED: 555. */
static enum rc
take_params(const struct session *s, struct slice rest, struct wishes *w)
{
	struct slice type, xtext;
	enum rc rc = RC_OK;
	struct smtp_param p;

	while (rc == RC_OK && smtp_param_next(&rest, &p)) {
		rc = RC_UNSUPPORTED;
		if (offers(s, EXT_DSN) && slice_caseeq(p.keyword, S("NOTIFY"))) {
			rc = smtp_notify_parse(p.value, &w->notify);		/* RFC 3461 4.1 */
		} else if (offers(s, EXT_DSN) && slice_caseeq(p.keyword, S("ORCPT"))) {
			rc = smtp_orcpt_parse(p.value, &type, &xtext);		/* RFC 3461 4.2 */
			w->orcpt = p.value;
		}
	}
	return rc;
}

/* RFC 9422 4.3 */
static bool
has_too_many_domains(struct session *s, struct slice domain)
{
	uint32_t max = s->conf->smtpd.max_recipient_domains;

	return max > 0 && rcpt_domains_take(&s->rcpt_domains, domain, max) != RC_OK;
}

/* What can be said without asking. canonical: of the address, when there is one. False: refused. */
static bool
judge(struct session *s, enum rc syntax, const struct address *to, struct slice canonical, enum rc params,
    struct refusal *ret_refusal)
{
	if (syntax == RC_UNSUPPORTED)
		refusal_set(ret_refusal, 553, "5.6.7", "Say SMTPUTF8 for an address that is not ASCII");	/* RFC 6531 3.5 */
	else if (syntax == RC_RANGE)
		refusal_set(ret_refusal, 553, "5.1.3", "Address too long");
	else if (syntax != RC_OK)
		refusal_set(ret_refusal, 501, "5.5.4", "Syntax: RCPT TO:<address>");
	else if (params == RC_UNSUPPORTED)
		refusal_set(ret_refusal, 555, "5.5.4", "Parameter not recognized");	/* RFC 5321 4.1.1.11 */
	else if (params != RC_OK)
		refusal_set(ret_refusal, 501, "5.5.4", "Malformed parameter");
	else if (s->submission && (to->flags & ADDRESS_POSTMASTER) == 0 && !address_is_qualified(to))
		refusal_set(ret_refusal, 554, "5.1.2", "The recipient's domain is not fully qualified");	/* RFC 6409 4.2 */
	else if (!submit_alive(s->tx))
		refusal_set(ret_refusal, 451, "4.3.0", "The queue was restarted, begin again");
	else if (s->tx->n_named >= s->conf->smtpd.max_recipients)	/* RFC 9422 4.2 counts commands */
		refusal_set(ret_refusal, 452, "4.5.3", "Too many recipients");		/* RFC 5321 4.5.3.1.10 */
	else if (command_has_erred_enough(s))
		refusal_set(ret_refusal, 452, "4.7.0", "Too many errors, send the rest later");
	else if (client_over(s, CLIENT_RECIPIENT))
		refusal_set(ret_refusal, 450, "4.7.1", "Too many recipients from your network, try again later");
	else if (has_too_many_domains(s, address_domain_of(canonical)))
		refusal_set(ret_refusal, 452, "4.5.3", "Too many domains in one session, send to the others in another");
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
	struct wishes wishes = { 0, S("") };
	enum rc params = syntax == RC_OK ? take_params(s, path.params, &wishes) : RC_OK;
	struct rcpt *r = NULL;
	struct buf domain = BUF_INIT(DOMAIN_MAX);
	bool utf8 = (path.address.flags & (ADDRESS_UTF8 | ADDRESS_U_LABELS)) != 0;
	bool written, ask;

	utf8 |= syntax == RC_OK && !slice_is_ascii(path.params);	/* ORCPT (RFC 6533 3) */
	if (utf8 && (!s->tx->utf8 || command_ascii_domain(&path.address, &domain) != RC_OK))
		syntax = s->tx->utf8 ? RC_SYNTAX : RC_UNSUPPORTED;
	written = syntax != RC_OK || address_put(&text, &path.address);
	ask = judge(s, syntax, &path.address, buf_slice(&text), params, &refusal);

	s->tx->rcpt_seen = true;
	client_note(s, CLIENT_RECIPIENT, 1);
	if (written)
		r = rcpt_new(s->tx, buf_slice(&text), ask ? wishes.orcpt : S(""));
	buf_free(&text);
	buf_free(&domain);
	if (r == NULL) {
		session_last(s, 421, "4.3.0", "Out of memory, try again later", "no memory");
		return;
	}
	r->notify = wishes.notify;
	if (!ask)
		r->refusal = refusal;
	else if (!allowance_ask(r))
		lookup_check(r);
	/* In its turn, when others before it still wait. */
	rcpts_reply(s->tx);
}
