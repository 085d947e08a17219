/* smtpd/trace.c -- see trace.h. Every part has been checked where it came in: no part can end a line. */
#include "smtpd/trace.h"

#include "common/wire/chars.h"
#include "common/wire/date.h"
#include "common/wire/domain.h"
#include "smtpd/session.h"

#include <time.h>

/* from HELO (NAME [ADDRESS]) */
static void
put_from(struct buf *to, const struct session *s)
{
	struct slice name = session_client_name(s);

	(void)buf_put_str(to, "Received: from ");
	(void)buf_put_slice(to, session_helo(s));
	(void)buf_put_str(to, " (");
	(void)buf_put_slice(to, name.n == 0 ? S("unknown") : name);
	(void)buf_put_byte(to, ' ');
	if (s->ip.family == 0 || !domain_literal_put(to, s->ip))
		(void)buf_put_str(to, "[none]");
	(void)buf_put_str(to, ")\r\n");
}

/* by US (Postern) with PROTO id ID */
static void
put_by(struct buf *to, const struct session *s, struct msgid id)
{
	char text[QUEUE_ID_LEN];

	queue_id_format(id, text);
	(void)buf_put_str(to, "\tby ");
	(void)buf_put_slice(to, smtpd_name(s->smtpd, s->conf));
	(void)buf_put_str(to, " (Postern) with ");
	(void)buf_put_slice(to, session_proto(s));
	(void)buf_put_str(to, " id ");
	(void)buf_put(to, text, sizeof text);
}

/* RFC 5321 4.4: local time with its offset. The zone was read before the walls went up, by prepare(). */
static void
put_date(struct buf *to, const struct session *s, int64_t now)
{
	char date[DATE_RFC5322_MAX];
	time_t seconds = (time_t)now;
	struct tm tm;

	if (!s->conf->smtpd.local_time || localtime_r(&seconds, &tm) == NULL)
		(void)buf_put(to, date, date_rfc5322(date, now, 0, "UTC"));
	else	/* "+03" is no name of a zone, and not for a comment */
		(void)buf_put(to, date, date_rfc5322(date, now, (int)(tm.tm_gmtoff / 60), char_is_alpha((uint8_t)tm.tm_zone[0]) ? tm.tm_zone : NULL));
}

bool
trace_put(struct buf *to, const struct transaction *tx, int64_t now)
{
	put_from(to, tx->session);
	put_by(to, tx->session, tx->id);
	/* More than one would tell each recipient of the others (RFC 5321 7.2, 7.6). */
	if (tx->n_rcpts == 1) {
		(void)buf_put_str(to, "\r\n\tfor <");
		(void)buf_put_str(to, tx->only_rcpt);
		/* <postmaster> stands alone in RCPT only: a trace field holds a mailbox (RFC 5321 4.1.1.3, 4.4). */
		if (strchr(tx->only_rcpt, '@') == NULL) {
			(void)buf_put_byte(to, '@');
			(void)buf_put_slice(to, smtpd_name(tx->session->smtpd, tx->session->conf));
		}
		(void)buf_put_byte(to, '>');
	}
	(void)buf_put_str(to, ";\r\n\t");
	put_date(to, tx->session, now);
	(void)buf_put(to, "\r\n", 2);
	return !to->failed;
}
