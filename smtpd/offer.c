/* smtpd/offer.c -- see offer.h. */
#include "smtpd/offer.h"

#include "common/policy/networks.h"
#include "common/wire/date.h"
#include "smtpd/command.h"
#include "smtpd/login.h"
#include "smtpd/verify.h"

#include <time.h>

enum {
	LIMIT_MOST = 999999,		/* RFC 9422 4.1, 4.2 */
	RCPT_COMMON = 112,		/* bytes of a recipient in the envelope, where nothing is unusual */
};

static bool
is_in(const struct table *t, const struct session *s)
{
	struct table_hit hit;

	return t != NULL && table_has_ip(t, s->ip, &hit);
}

static bool
is_on(const struct session *s, enum extension e)
{
	return (s->extensions_off & (UINT32_C(1) << e)) == 0;
}

bool
offer_has_etrn(const struct session *s)
{
	return is_on(s, EXT_ETRN) && !s->submission && s->smtpd->etrn_clients != NULL && table_count(s->smtpd->etrn_clients) > 0;
}

static bool
offers_futurerelease(const struct session *s)
{
	/* RFC 4865 4.2 2: on the submission port and nowhere else. */
	return s->submission && s->conf->smtpd.max_future_release >= 1000;
}

bool
offers(const struct session *s, enum extension e)
{
	if (!is_on(s, e))
		return false;
	switch (e) {
	case EXT_BINARYMIME:
		return is_on(s, EXT_CHUNKING) && is_on(s, EXT_8BITMIME);	/* RFC 3030 3; BODY is a parameter of 8BITMIME */
	case EXT_FUTURERELEASE:
		return offers_futurerelease(s);
	case EXT_SMTPUTF8:
		return is_on(s, EXT_8BITMIME);		/* RFC 6531 3.1 8 */
	case EXT_VRFY:			/* RFC 5321 3.5.2: EXPN must be announced, VRFY may */
	case EXT_EXPN:
		return verify_offered(s);
	case EXT_ETRN:
		return !s->submission && is_in(s->smtpd->etrn_clients, s);	/* RFC 6409 7 */
	case EXT_DELIVERBY:
		return offer_reports(s);	/* a stranger could have reports of what is late sent to whom he names */
	case EXT_REQUIRETLS:
		return stream_is_tls(&s->stream);		/* RFC 8689 2: inside TLS only */
	case EXT_STARTTLS:
		return !stream_is_tls(&s->stream) && session_tls_listener(s) != NULL;	/* RFC 3207 4.2 */
	case EXT_XCLIENT:		/* Postfix, XCLIENT_README */
		return xclient_offered(s);
	case EXT_AUTH:
		return login_is_offered(s);	/* RFC 4954 */
	case EXT_PIPELINING:
	case EXT_SIZE:
	case EXT_8BITMIME:
	case EXT_ENHANCED:
	case EXT_CHUNKING:
	case EXT_DSN:
	case EXT_PRIORITY:
	case EXT_LIMITS:
	case EXT_HELP:
	case EXT_COUNT:
		break;
	}
	return true;
}

void
offer_adopt(struct smtpd *smtpd, const struct conf *conf)
{
	networks_renew(conf, &conf->smtpd.priority_clients, &smtpd->priority_clients);
	networks_renew(conf, &conf->smtpd.etrn_clients, &smtpd->etrn_clients);
	networks_renew(conf, &conf->smtpd.report_clients, &smtpd->report_clients);
}

bool
offer_trusts_priority(const struct session *s)
{
	return is_in(s->smtpd->priority_clients, s);
}

bool
offer_reports(const struct session *s)
{
	return s->user != NULL || is_in(s->smtpd->report_clients, s);
}

unsigned
offer_min_by(const struct session *s)
{
	return (unsigned)(s->conf->smtpd.min_deliver_by / 1000);
}

static unsigned
at_most(uint32_t n, unsigned most)
{
	return n < most ? n : most;
}

/* RFC 9422 3: what is certain; other limits depend on the client and the moment. Six digits, and no more recipients than
 * there is room for when their addresses are of common length: of longer ones fewer, and then 452. */
static bool
put_limits(struct buf *to, const struct session *s)
{
	(void)buf_printf(to, " MAILMAX=%u RCPTMAX=%u", at_most(s->conf->smtpd.max_messages, LIMIT_MOST),
	    at_most(s->conf->smtpd.max_recipients, TRANSACTION_RCPTS_MAX / RCPT_COMMON));
	if (s->conf->smtpd.max_recipient_domains > 0)
		(void)buf_printf(to, " RCPTDOMAINMAX=%u", s->conf->smtpd.max_recipient_domains);
	return !to->failed;
}

/* RFC 4865 3: the longest interval, and the latest time. */
static bool
put_future(struct buf *to, const struct session *s)
{
	uint64_t seconds = s->conf->smtpd.max_future_release / 1000;
	char date[DATE_ISO8601_MAX];

	(void)date_iso8601(date, ((int64_t)time(NULL) + (int64_t)seconds) * 1000000, 0);
	/* Without the fraction of a second. */
	return buf_printf(to, " %llu %.19sZ", (unsigned long long)seconds, date);
}

bool
offer_put_value(struct buf *to, const struct session *s, enum extension e)
{
	switch ((int)e) {
	case EXT_SIZE:
		return buf_printf(to, " %llu", (unsigned long long)s->conf->smtpd.max_message_size);
	case EXT_LIMITS:
		return put_limits(to, s);
	case EXT_FUTURERELEASE:
		return put_future(to, s);
	case EXT_DELIVERBY:		/* RFC 2852 2: the least that may be asked for with R */
		return buf_printf(to, " %u", offer_min_by(s));
	case EXT_XCLIENT:
		return buf_put_str(to, " NAME ADDR PORT PROTO HELO LOGIN DESTADDR DESTPORT");
	case EXT_AUTH:
		return buf_put_byte(to, ' ') && login_mechanisms_put(to, s);
	default:
		return true;
	}
}
