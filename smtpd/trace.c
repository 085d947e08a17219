/* smtpd/trace.c -- see trace.h. Every part has been checked where it came in: no part can end a line. */
#include "smtpd/trace.h"

#include "common/idn.h"
#include "common/wire/address.h"
#include "common/wire/chars.h"
#include "common/wire/date.h"
#include "common/wire/domain.h"
#include "common/wire/utf8.h"
#include "smtpd/session.h"

#include <time.h>

enum { TRACE_NAME_MAX = 64 };	/* of a client's certificate */

bool
trace_is_utf8(const struct transaction *tx)
{
	return tx->n_rcpts == 1 && !slice_is_ascii(slice_str(tx->only_rcpt));
}

static bool
needs_utf8(const struct transaction *tx)
{
	return tx->utf8 && (tx->utf8_sender || trace_is_utf8(tx));
}

/* A domain; with U-labels where the message needs SMTPUTF8 whatever stands here (RFC 6531 3.7.3). In others A-labels stay, or a
 * domain alone would keep them from servers that have no SMTPUTF8. */
static void
put_domain(struct buf *to, const struct transaction *tx, struct slice domain)
{
	if (needs_utf8(tx))
		(void)idn_unicode_put(to, domain);
	else
		(void)buf_put_slice(to, domain);
}

/* from HELO (NAME [ADDRESS]) */
static void
put_from(struct buf *to, const struct transaction *tx)
{
	const struct session *s = tx->session;
	struct slice name = session_client_name(s);

	/* A user's address tells where he is. What is left can be traced by us, who have the log (RFC 5321 7.6). */
	if (s->user != NULL && s->listener_conf != NULL && s->listener_conf->hide_client) {
		(void)buf_put_str(to, "Received: from ");
		put_domain(to, tx, smtpd_name(s->smtpd, s->conf));
		(void)buf_put_str(to, " (client not shown)\r\n");
		return;
	}
	(void)buf_put_str(to, "Received: from ");
	put_domain(to, tx, session_helo(s));
	(void)buf_put_str(to, " (");
	put_domain(to, tx, name.n == 0 ? S("unknown") : name);
	(void)buf_put_byte(to, ' ');
	if (s->ip.family == 0 || !domain_literal_put(to, s->ip))
		(void)buf_put_str(to, "[none]");
	(void)buf_put_str(to, ")\r\n");
}

/* Quoted as RFC 5322 3.2.4 has it, in a comment: what would end either is left out. It is printable ASCII already. */
static void
put_name(struct buf *to, const char *name)
{
	(void)buf_put_byte(to, '"');
	for (const char *c = name; *c != '\0' && c - name < TRACE_NAME_MAX; c++)
		(void)buf_put_byte(to, strchr("\"\\()", *c) == NULL ? (uint8_t)*c : '?');
	(void)buf_put_byte(to, '"');
}

/* (using TLSv1.3 with cipher NAME (256/256 bits) ...), in the words that Postfix has made common */
static void
put_cipher(struct buf *to, const struct tls_facts *f)
{
	(void)buf_printf(to, "\t(using %s with cipher %s (%u/%u bits)", f->protocol, f->cipher, f->used_bits, f->cipher_bits);
	if (*f->group != '\0')
		(void)buf_printf(to, "\r\n\t key-exchange %s", f->group);
	if (*f->signature != '\0')
		(void)buf_printf(to, " server-signature %s (%u bits)", f->signature, f->key_bits);
	if (*f->digest != '\0')
		(void)buf_printf(to, " server-digest %s", f->digest);
	(void)buf_put_str(to, ")\r\n");
}

static void
put_client(struct buf *to, const struct tls_facts *f)
{
	if (!f->asked) {
		(void)buf_put_str(to, "\t(No client certificate requested)\r\n");
		return;
	}
	if (f->client == NULL) {
		(void)buf_put_str(to, "\t(Client did not present a certificate)\r\n");
		return;
	}
	(void)buf_put_str(to, "\t(Client CN ");
	put_name(to, f->client->common_name);
	(void)buf_put_str(to, ", Issuer ");
	put_name(to, f->client->issuer);
	(void)buf_printf(to, " (%s))\r\n", f->client->verified ? "verified OK" : "not verified");
}

/* by US (Postern) with PROTO id ID */
static void
put_by(struct buf *to, const struct transaction *tx)
{
	const struct session *s = tx->session;
	char text[QUEUE_ID_LEN];

	queue_id_format(tx->id, text);
	(void)buf_put_str(to, "\tby ");
	put_domain(to, tx, smtpd_name(s->smtpd, s->conf));
	(void)buf_put_str(to, " (Postern) with ");
	(void)buf_put_slice(to, session_proto(s));
	(void)buf_put_str(to, " id ");
	(void)buf_put(to, text, sizeof text);
}

/* RFC 5321 4.4: local time with its offset. The zone was read before the walls went up, by prepare(). */
void
trace_date_put(struct buf *to, const struct session *s, int64_t now)
{
	char date[DATE_RFC5322_MAX];
	time_t seconds = (time_t)now;
	struct tm tm;

	if (!s->conf->smtpd.local_time || localtime_r(&seconds, &tm) == NULL)
		(void)buf_put(to, date, date_rfc5322(date, now, 0, "UTC"));
	else	/* "+03" is no name of a zone, and not for a comment */
		(void)buf_put(to, date, date_rfc5322(date, now, (int)(tm.tm_gmtoff / 60), char_is_alpha((uint8_t)tm.tm_zone[0]) ?
		    tm.tm_zone : NULL));
}

/* for <MAILBOX> */
static void
put_for(struct buf *to, const struct transaction *tx, struct slice rcpt)
{
	struct slice domain = address_domain_of(rcpt);

	(void)buf_put_str(to, "\r\n\tfor <");
	(void)buf_put_slice(to, slice_first(rcpt, rcpt.n - domain.n));
	/* <postmaster> stands alone in RCPT only: a trace field holds a mailbox (RFC 5321 4.1.1.3, 4.4). */
	if (domain.n == 0) {
		(void)buf_put_byte(to, '@');
		domain = smtpd_name(tx->session->smtpd, tx->session->conf);
	}
	put_domain(to, tx, domain);
	(void)buf_put_byte(to, '>');
}

bool
trace_put(struct buf *to, const struct transaction *tx, int64_t now)
{
	const struct tls_facts *tls = stream_tls(&tx->session->stream);

	put_from(to, tx);
	if (tls != NULL) {
		put_cipher(to, tls);
		put_client(to, tls);
	}
	put_by(to, tx);
	/* More than one would tell each recipient of the others (RFC 5321 7.2, 7.6). */
	if (tx->n_rcpts == 1)
		put_for(to, tx, slice_str(tx->only_rcpt));
	/* RFC 6710 4.1 2, 7. What is registered additionally stands behind the rest (RFC 5321 4.4, Opt-info). */
	if (tx->declared != NULL && tx->declared->has_priority)
		(void)buf_printf(to, "\r\n\tPRIORITY %d", tx->declared->priority);
	/* RFC 8314 4.3, for what is submitted; elsewhere the clause would only surprise those who read the field. */
	if (tls != NULL && tx->session->submission)
		(void)buf_printf(to, "\r\n\ttls %s", tls->registered);
	(void)buf_put_str(to, ";\r\n\t");
	trace_date_put(to, tx->session, now);
	(void)buf_put(to, "\r\n", 2);
	return !to->failed;
}
