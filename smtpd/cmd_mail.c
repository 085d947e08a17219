/* smtpd/cmd_mail.c -- MAIL: a transaction begins (RFC 5321 4.1.1.2, SIZE: RFC 1870, BODY: RFC 6152). */
#include "common/wire/smtp_command.h"
#include "smtpd/command.h"
#include "smtpd/submit.h"

struct mail {
	uint64_t size;
	enum smtp_body body;
};

/* False: answered. */
static bool
take_params(struct session *s, struct slice params, struct mail *mail)
{
	struct smtp_param p;

	while (smtp_param_next(&params, &p)) {
		enum rc rc = RC_UNSUPPORTED;

		if (slice_caseeq(p.keyword, S("SIZE")))
			rc = smtp_size_parse(p.value, &mail->size);
		else if (slice_caseeq(p.keyword, S("BODY")))
			rc = smtp_body_parse(p.value, &mail->body);
		if (rc == RC_UNSUPPORTED)
			session_fault(s, 555, "5.5.4", "Parameter not recognized");	/* RFC 5321 4.1.1.11 */
		else if (rc == RC_RANGE)
			mail->size = UINT64_MAX;
		else if (rc != RC_OK)
			session_fault(s, 501, "5.5.4", "Malformed parameter");
		if (rc != RC_OK && rc != RC_RANGE)
			return false;
	}
	return true;
}

/* False: answered. */
static bool
may_begin(struct session *s, uint64_t size)
{
	struct refusal r;

	if (size > s->conf->smtpd.max_message_size)
		refusal_set(&r, 552, "5.3.4", "Message exceeds the size limit");	/* RFC 1870 6.1 */
	else if (client_over(s, CLIENT_MESSAGE))
		refusal_set(&r, 451, "4.7.1", "Too many messages from your network, try again later");	/* RFC 5321 4.3.2 */
	else if (submit_accepting(s->smtpd, size, &r))
		return true;
	session_refuse(s, &r, S(""), S(""));
	return false;
}

static void
begin(struct session *s, const struct address *sender, const struct mail *mail)
{
	struct buf text = BUF_INIT(ADDRESS_TEXT_MAX);
	struct msgid id;

	if (submit_take_id(s->smtpd, &id) == RC_OK && address_put(&text, sender))
		s->tx = transaction_new(s, id, buf_slice(&text));
	buf_free(&text);
	if (s->tx == NULL) {
		session_reply(s, 451, "4.3.0", "No transaction can begin now, try again later");
		return;
	}
	s->tx->size = mail->size;
	s->tx->eight_bit = mail->body == SMTP_BODY_8BITMIME;
	s->n_messages++;
	client_note(s, CLIENT_MESSAGE, 1);
	session_enter(s, PH_MAIL);
	session_reply(s, 250, "2.1.0", "Ok");
}

void
cmd_mail(struct session *s, struct slice arg)
{
	struct mail mail = { 0, SMTP_BODY_7BIT };
	struct smtp_path path;
	enum rc rc;

	if (s->n_messages >= s->conf->smtpd.max_messages) {
		session_last(s, 421, "4.7.0", "Too many messages in one session", "too many messages");
		return;
	}
	rc = smtp_mail_parse(arg, &path);
	if (rc == RC_RANGE)
		session_fault(s, 553, "5.1.7", "Address too long");
	else if (rc != RC_OK)
		session_fault(s, 501, "5.5.4", "Syntax: MAIL FROM:<address> and parameters");
	else if (take_params(s, path.params, &mail) && may_begin(s, mail.size))
		begin(s, &path.address, &mail);
}
