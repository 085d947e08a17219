/* smtpd/cmd_mail.c -- MAIL: a transaction begins (RFC 5321 4.1.1.2), with the parameters of the extensions. */
#include "common/clock.h"
#include "common/envelope.h"
#include "common/wire/date.h"
#include "common/wire/smtp_command.h"
#include "common/wire/smtp_param.h"
#include "common/wire/utf8.h"
#include "smtpd/command.h"
#include "smtpd/offer.h"
#include "smtpd/submit.h"

#include <stdlib.h>

/* How long ago the end of a hold may be: a day, in microseconds. */
static const int64_t HOLD_PASSED_MAX_US = INT64_C(86400) * 1000000;

struct mail {
	uint64_t size;
	enum smtp_body body;
	uint32_t flags;			/* of the envelope */
	struct slice envid;
	int64_t deliver_by, hold_until;	/* wall clock, microseconds; 0: none */
	int64_t by_seconds;		/* as given */
	struct slice hold_word, hold_value;
	bool has_priority;
	int8_t priority, asked_priority;
};

/* --- one for each parameter; RC_SYNTAX and RC_RANGE are 501, RC_UNSUPPORTED 555 --- */

static enum rc
take_size(const struct session *s, struct slice value, struct mail *m)
{
	enum rc rc = smtp_size_parse(value, &m->size);

	(void)s;
	if (rc == RC_RANGE)
		m->size = UINT64_MAX;
	return rc == RC_RANGE ? RC_OK : rc;
}

static enum rc
take_body(const struct session *s, struct slice value, struct mail *m)
{
	enum rc rc = smtp_body_parse(value, &m->body);

	return rc == RC_OK && m->body == SMTP_BODY_BINARYMIME && !offers(s, EXT_BINARYMIME) ? RC_SYNTAX : rc;
}

static enum rc
take_ret(const struct session *s, struct slice value, struct mail *m)
{
	enum smtp_ret ret = SMTP_RET_NONE;
	enum rc rc = smtp_ret_parse(value, &ret);

	(void)s;
	m->flags |= ret == SMTP_RET_FULL ? ENVELOPE_RET_FULL : ret == SMTP_RET_HDRS ? ENVELOPE_RET_HDRS : 0;
	return rc;
}

static enum rc
take_envid(const struct session *s, struct slice value, struct mail *m)
{
	(void)s;
	m->envid = value;
	return smtp_envid_parse(value);
}

/* Nobody here is trusted to say who else has submitted a message, so each is treated as if he had said AUTH=<> (RFC 4954 5). */
static enum rc
take_auth(const struct session *s, struct slice value, struct mail *m)
{
	(void)s, (void)m;
	return smtp_auth_parse(value);
}

static enum rc
take_by(const struct session *s, struct slice value, struct mail *m)
{
	struct smtp_by by;
	enum rc rc = smtp_by_parse(value, &by);

	(void)s;
	if (rc != RC_OK)
		return rc;
	m->by_seconds = by.seconds;
	m->deliver_by = clock_wall_us() + (int64_t)by.seconds * 1000000;
	m->flags |= (by.notify ? ENVELOPE_BY_NOTIFY : 0) | (by.trace ? ENVELOPE_BY_TRACE : 0);
	return RC_OK;
}

/* HOLDFOR and HOLDUNTIL exclude each other (RFC 4865 4.2 9). */
static enum rc
hold(const struct session *s, struct slice word, struct slice value, int64_t now, int64_t until, struct mail *m)
{
	if (m->hold_until != 0 || until > now + (int64_t)s->conf->smtpd.max_future_release * 1000)
		return RC_SYNTAX;
	m->hold_until = until;
	m->hold_word = word;
	m->hold_value = value;
	return RC_OK;
}

static enum rc
take_holdfor(const struct session *s, struct slice value, struct mail *m)
{
	int64_t now = clock_wall_us();
	uint32_t seconds = 0;
	enum rc rc = smtp_holdfor_parse(value, &seconds);

	return rc != RC_OK ? rc : hold(s, S("for;"), value, now, now + (int64_t)seconds * 1000000, m);
}

static enum rc
take_holduntil(const struct session *s, struct slice value, struct mail *m)
{
	int64_t seconds, now = clock_wall_us();
	enum rc rc = date_rfc3339_parse(value, &seconds);

	/* "Future" (RFC 4865 3). One that has passed a while ago stood in an outbox, or its clock is not ours: that is as good
	 * as none. Older ones are a fault of the client. */
	return rc != RC_OK || seconds <= 0 || seconds * 1000000 < now - HOLD_PASSED_MAX_US ? RC_SYNTAX :
	    hold(s, S("until;"), value, now, seconds * 1000000, m);
}

static enum rc
take_priority(const struct session *s, struct slice value, struct mail *m)
{
	(void)s;
	m->has_priority = true;
	return smtp_priority_parse(value, &m->priority);
}

static enum rc
take_smtputf8(const struct session *s, struct slice value, struct mail *m)
{
	(void)s, (void)value;
	m->flags |= ENVELOPE_SMTPUTF8;
	return RC_OK;
}

static enum rc
take_requiretls(const struct session *s, struct slice value, struct mail *m)
{
	(void)s, (void)value;
	m->flags |= ENVELOPE_REQUIRETLS;
	return RC_OK;
}

static const struct {
	struct slice keyword;
	enum extension needs;
	bool has_value;
	enum rc (*take)(const struct session *s, struct slice value, struct mail *m);
} params[] = {
	{ SLICE("SIZE"), EXT_SIZE, true, take_size },			/* RFC 1870 */
	{ SLICE("BODY"), EXT_8BITMIME, true, take_body },		/* RFC 6152, RFC 3030 */
	{ SLICE("RET"), EXT_DSN, true, take_ret },			/* RFC 3461 4.3 */
	{ SLICE("ENVID"), EXT_DSN, true, take_envid },			/* RFC 3461 4.4 */
	{ SLICE("AUTH"), EXT_AUTH, true, take_auth },			/* RFC 4954 5 */
	{ SLICE("SMTPUTF8"), EXT_SMTPUTF8, false, take_smtputf8 },	/* RFC 6531 3.4 */
	{ SLICE("BY"), EXT_DELIVERBY, true, take_by },			/* RFC 2852 4 */
	{ SLICE("HOLDFOR"), EXT_FUTURERELEASE, true, take_holdfor },	/* RFC 4865 3 */
	{ SLICE("HOLDUNTIL"), EXT_FUTURERELEASE, true, take_holduntil },
	{ SLICE("MT-PRIORITY"), EXT_PRIORITY, true, take_priority },	/* RFC 6710 4 */
	{ SLICE("REQUIRETLS"), EXT_REQUIRETLS, false, take_requiretls }, /* RFC 8689 2 */
};

/* Who has logged in is not offered AUTH again, and may say the parameter. */
static bool
is_taken(const struct session *s, enum extension e)
{
	return offers(s, e) || (e == EXT_AUTH && s->user != NULL);
}

static enum rc
take_param(const struct session *s, const struct smtp_param *p, struct mail *m)
{
	for (size_t i = 0; i < sizeof params / sizeof params[0]; i++) {
		if (!slice_caseeq(p->keyword, params[i].keyword) || !is_taken(s, params[i].needs))
			continue;
		return p->has_value == params[i].has_value ? params[i].take(s, p->value, m) : RC_SYNTAX;
	}
	return RC_UNSUPPORTED;
}

/* False: answered. */
static bool
take_params(struct session *s, struct slice rest, struct mail *mail)
{
	struct smtp_param p;

	while (smtp_param_next(&rest, &p)) {
		enum rc rc = take_param(s, &p, mail);

		if (rc == RC_OK)
			continue;
		if (rc == RC_UNSUPPORTED)
			session_fault(s, 555, "5.5.4", "Parameter not recognized");	/* RFC 5321 4.1.1.11 */
		else
			session_fault(s, 501, "5.5.4", "Malformed parameter");
		return false;
	}
	/* RFC 2852 3 */
	if (mail->deliver_by != 0 && (mail->flags & ENVELOPE_BY_NOTIFY) == 0 && mail->by_seconds < (int64_t)offer_min_by(s)) {
		session_fault(s, 555, "5.3.3", "It cannot be delivered in so short a time");
		return false;
	}
	/* RFC 4865 5.2.2: it would be late before it is let go. */
	if (mail->hold_until != 0 && mail->deliver_by != 0 && mail->hold_until > mail->deliver_by) {
		session_fault(s, 501, "5.5.4", "It is to be held longer than it may take");
		return false;
	}
	return true;
}

/* --- the beginning --- */

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

static bool
declares(const struct mail *m)
{
	return m->envid.n > 0 || m->deliver_by != 0 || m->hold_until != 0 || m->has_priority;
}

/* What a few messages declare, in memory of its own. */
static struct declared *
declared_new(const struct mail *m)
{
	struct declared *d;

	if (!declares(m))
		return NULL;
	d = malloc(sizeof *d + m->envid.n + m->hold_word.n + m->hold_value.n);
	if (d == NULL)
		return NULL;
	*d = (struct declared){ .deliver_by = m->deliver_by, .hold_until = m->hold_until, .has_priority = m->has_priority,
	    .priority = m->priority, .asked_priority = m->asked_priority,
	    .n_envid = m->envid.n, .n_hold = m->hold_word.n + m->hold_value.n };
	if (m->envid.n > 0)
		memcpy(d->text, m->envid.p, m->envid.n);
	if (m->hold_word.n > 0) {
		memcpy(d->text + m->envid.n, m->hold_word.p, m->hold_word.n);
		memcpy(d->text + m->envid.n + m->hold_word.n, m->hold_value.p, m->hold_value.n);
	}
	return d;
}

/* RFC 6710 4.1: nobody raises himself, and is told so. */
static void
say_ok(struct session *s, bool lowered)
{
	if (lowered)
		session_reply(s, 250, "2.3.6", "0 is the priority of this message");
	else
		session_reply(s, 250, "2.1.0", "Ok");
}

/* RFC 6531 3.5; what AUTH says is an address too. False: answered. */
static bool
takes_sender(struct session *s, struct smtp_path *path, const struct mail *mail, struct buf *domain)
{
	struct address *sender = &path->address;
	bool utf8 = (sender->flags & (ADDRESS_UTF8 | ADDRESS_U_LABELS)) != 0 || !slice_is_ascii(path->params);

	if (utf8 && (mail->flags & ENVELOPE_SMTPUTF8) == 0)
		session_fault(s, 550, "5.6.7", "Say SMTPUTF8 for an address that is not ASCII");
	else if (command_ascii_domain(sender, domain) != RC_OK)
		session_fault(s, 501, "5.1.7", "The sender's domain is not a valid name");
	else if (s->submission && (sender->flags & ADDRESS_NULL) == 0 && !address_is_qualified(sender))
		session_fault(s, 554, "5.1.8", "The domain of the sender is not fully qualified");	/* RFC 6409 4.2 */
	else
		return true;
	return false;
}

static void
begin(struct session *s, const struct address *sender, struct mail *mail)
{
	struct buf text = BUF_INIT(ADDRESS_TEXT_MAX);
	bool lowered = mail->priority > 0 && !offer_trusts_priority(s);
	struct declared *declared;
	struct msgid id;

	mail->asked_priority = mail->priority;
	if (lowered)
		mail->priority = 0;
	declared = declared_new(mail);
	if ((declared != NULL || !declares(mail)) && submit_take_id(s->smtpd, &id) == RC_OK && address_put(&text, sender))
		s->tx = transaction_new(s, id, buf_slice(&text));
	buf_free(&text);
	if (s->tx == NULL) {
		free(declared);
		session_reply(s, 451, "4.3.0", "No transaction can begin now, try again later");
		return;
	}
	s->tx->size = mail->size;
	s->tx->binary = mail->body == SMTP_BODY_BINARYMIME;
	/* Whether it needs a server with SMTPUTF8 is known when its header has come. */
	s->tx->flags = mail->flags & ~(uint32_t)ENVELOPE_SMTPUTF8;
	s->tx->utf8 = (mail->flags & ENVELOPE_SMTPUTF8) != 0;
	s->tx->utf8_sender = (sender->flags & ADDRESS_UTF8) != 0;
	s->tx->declared = declared;
	s->n_messages++;
	client_note(s, CLIENT_MESSAGE, 1);
	session_enter(s, PH_MAIL);
	say_ok(s, lowered);
}

void
cmd_mail(struct session *s, struct slice arg)
{
	struct mail mail = { .body = SMTP_BODY_7BIT };
	struct buf domain = BUF_INIT(DOMAIN_MAX);
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
	else if (take_params(s, path.params, &mail) && takes_sender(s, &path, &mail, &domain) && may_begin(s, mail.size))
		begin(s, &path.address, &mail);
	buf_free(&domain);
}
