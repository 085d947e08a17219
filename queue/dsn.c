/* queue/dsn.c -- the message that tells a sender what failed, see dsn.h. */
#include "queue/dsn.h"

#include "common/wire/date.h"
#include "common/wire/header.h"

enum {
	TEXT_MAX = 700,			/* of a text from outside in one line: with what stands before it below 998 */
	HEADER_LINE_MAX = 998,		/* RFC 5322 2.1.1 */
	QUOTED_LINE_MAX = 72,		/* RFC 2045 6.7: 76 with a last escape and its soft break */
};

/* Printable ASCII as it is, anything else as a question mark: no line ends, no bytes that need a charset. */
static void
put_text(struct buf *to, struct slice s)
{
	s = slice_first(s, TEXT_MAX);
	for (size_t i = 0; i < s.n; i++)
		(void)buf_put_byte(to, s.p[i] < 0x20 || s.p[i] > 0x7e ? '?' : s.p[i]);
}

static void
put_field(struct buf *to, const char *name, const char *type, struct slice value)
{
	(void)buf_put_str(to, name);
	(void)buf_put_str(to, ": ");
	(void)buf_put_str(to, type);
	put_text(to, value);
	(void)buf_put_str(to, "\r\n");
}

static void
put_date(struct buf *to, const char *name, int64_t seconds)
{
	char text[DATE_RFC5322_MAX];

	(void)date_rfc5322(text, seconds, 0, NULL);
	(void)buf_printf(to, "%s: %s\r\n", name, text);
}

static void
put_boundary(struct buf *to, const struct dsn *d, const char *end)
{
	char id[QUEUE_ID_LEN];

	queue_id_format(d->id, id);
	(void)buf_printf(to, "--%.*s.%016llx%s", (int)sizeof id, id, (unsigned long long)d->random, end);
}

static void
put_head(struct buf *to, const struct dsn *d)
{
	char id[QUEUE_ID_LEN];

	queue_id_format(d->id, id);
	put_date(to, "Date", d->now);
	(void)buf_put_str(to, "From: Mail Delivery System <MAILER-DAEMON@");
	put_text(to, d->hostname);
	(void)buf_put_str(to, ">\r\nTo: <");
	put_text(to, d->to);
	(void)buf_put_str(to, ">\r\n");
	(void)buf_printf(to, "Subject: %s\r\n", d->twice ? "Undeliverable bounce" : "Undelivered Mail Returned to Sender");
	(void)buf_printf(to, "Message-ID: <%.*s@", (int)sizeof id, id);
	put_text(to, d->hostname);
	(void)buf_put_str(to, ">\r\nAuto-Submitted: auto-replied\r\nMIME-Version: 1.0\r\n"
	    "Content-Type: multipart/report; report-type=delivery-status;\r\n\tboundary=\"");
	(void)buf_printf(to, "%.*s.%016llx\"\r\nContent-Transfer-Encoding: 7bit\r\n\r\n", (int)sizeof id, id,
	    (unsigned long long)d->random);
	(void)buf_put_str(to, "This is a MIME-encapsulated message.\r\n\r\n");
}

static void
put_words(struct buf *to, const struct dsn *d)
{
	put_boundary(to, d, "\r\nContent-Description: Notification\r\nContent-Type: text/plain; charset=us-ascii\r\n\r\n");
	(void)buf_put_str(to, "This is the mail system at host ");
	put_text(to, d->hostname);
	(void)buf_put_str(to, ".\r\n\r\n");
	(void)buf_put_str(to, d->twice ?
	    "A bounce could not be delivered to the sender of the message that it is\r\nabout. It is given to you as the "
	    "postmaster; nobody else is told.\r\n\r\n" :
	    "Your message could not be delivered to one or more recipients. Its header is\r\nattached below.\r\n\r\n"
	    "For further assistance, please send mail to postmaster, and include this report.\r\n\r\n");
	for (size_t i = 0; i < d->n_rcpts; i++) {
		const struct dsn_rcpt *r = &d->rcpts[i];

		(void)buf_put_byte(to, '<');
		put_text(to, r->address);
		(void)buf_put_byte(to, '>');
		(void)buf_put_str(to, ":\r\n    ");
		if (r->expired)
			(void)buf_put_str(to, "could not be delivered in time; the last attempt:\r\n    ");
		if (r->code != 0) {
			if (r->relay.n > 0) {
				(void)buf_put_str(to, "host ");
				put_text(to, r->relay);
				(void)buf_put_str(to, " said:\r\n    ");
			}
			(void)buf_printf(to, "%u ", r->code);
			put_text(to, r->enhanced);
			(void)buf_put_byte(to, ' ');
		}
		put_text(to, r->text);
		(void)buf_put_str(to, "\r\n\r\n");
	}
}

/* RFC 3464 2.3.4: a failed recipient has a status of class 5; one that expired keeps class 4 (RFC 3463: X.4.7). */
static void
put_status(struct buf *to, const struct dsn_rcpt *r)
{
	if (r->expired) {
		put_field(to, "Status", "", S("4.4.7"));
		return;
	}
	if (r->enhanced.n >= 5 && r->enhanced.p[0] >= '2' && r->enhanced.p[0] <= '5') {
		(void)buf_put_str(to, "Status: 5");
		put_text(to, slice_from(r->enhanced, 1));
		(void)buf_put_str(to, "\r\n");
		return;
	}
	put_field(to, "Status", "", S("5.0.0"));
}

static void
put_rcpt_fields(struct buf *to, const struct dsn_rcpt *r)
{
	(void)buf_put_str(to, "\r\n");
	put_field(to, "Final-Recipient", "rfc822; ", r->address);
	put_field(to, "Action", "", S("failed"));
	put_status(to, r);
	if (r->host.n > 0)
		put_field(to, "Remote-MTA", "dns; ", r->host);
	if (r->code == 0) {
		put_field(to, "Diagnostic-Code", "X-Postern; ", r->text);
		return;
	}
	(void)buf_printf(to, "Diagnostic-Code: smtp; %u ", r->code);
	put_text(to, r->enhanced);
	(void)buf_put_byte(to, ' ');
	put_text(to, r->text);
	(void)buf_put_str(to, "\r\n");
}

static void
put_report(struct buf *to, const struct dsn *d)
{
	char id[QUEUE_ID_LEN];

	queue_id_format(d->about, id);
	put_boundary(to, d, "\r\nContent-Description: Delivery report\r\nContent-Type: message/delivery-status\r\n\r\n");
	put_field(to, "Reporting-MTA", "dns; ", d->hostname);
	put_field(to, "X-Postern-Queue-ID", "", slice_of(id, sizeof id));
	put_field(to, "X-Postern-Sender", "rfc822; ", d->sender);
	put_date(to, "Arrival-Date", d->arrived);
	for (size_t i = 0; i < d->n_rcpts; i++)
		put_rcpt_fields(to, &d->rcpts[i]);
	(void)buf_put_str(to, "\r\n");
}

/* A field of the original, line by line: CRLF ends a line, other control bytes but TAB are question marks. A line that
 * starts like our boundary would is no field name that anybody uses; it gets a space before it. */
static void
put_original_field(struct buf *to, struct slice raw)
{
	size_t column = 0;

	for (size_t i = 0; i < raw.n; i++) {
		uint8_t c = raw.p[i];

		if (c == '\r' && i + 1 < raw.n && raw.p[i + 1] == '\n') {
			(void)buf_put_str(to, "\r\n");
			i++;
			column = 0;
			continue;
		}
		if (column++ >= HEADER_LINE_MAX)
			continue;
		if (column == 1 && c == '-')
			(void)buf_put_byte(to, ' ');
		(void)buf_put_byte(to, (c < 0x20 && c != '\t') || c == 0x7f ? '?' : c);
	}
	if (column > 0)
		(void)buf_put_str(to, "\r\n");
}

/* The same with bytes above 127: quoted-printable (RFC 2045 6.7), as RFC 6522 4 allows, so that a report never needs
 * 8BITMIME and always reaches the sender. */
static void
put_original_quoted(struct buf *to, struct slice raw)
{
	size_t column = 0;

	for (size_t i = 0; i < raw.n; i++) {
		uint8_t c = raw.p[i];
		bool at_end = i + 1 == raw.n || raw.p[i + 1] == '\r';

		if (c == '\r' && i + 1 < raw.n && raw.p[i + 1] == '\n') {
			(void)buf_put_str(to, "\r\n");
			i++;
			column = 0;
			continue;
		}
		if (column >= QUOTED_LINE_MAX) {
			(void)buf_put_str(to, "=\r\n");
			column = 0;
		}
		if (c > 126 || c == '=' || (c < ' ' && c != '\t') || ((c == ' ' || c == '\t') && at_end) || (c == '-' && column == 0)) {
			(void)buf_printf(to, "=%02X", c);
			column += 3;
		} else {
			(void)buf_put_byte(to, c);
			column++;
		}
	}
	if (column > 0)
		(void)buf_put_str(to, "\r\n");
}

/* Whole fields, as many as fit. */
static struct slice
header_of(const struct dsn *d)
{
	struct header_field field;
	struct header_iter it;
	size_t end = 0;

	header_begin(&it, d->original, d->original_whole);
	while (header_next(&it, &field) == RC_OK) {
		size_t n = (size_t)(field.raw.p + field.raw.n - d->original.p);

		if (n > d->header_max)
			break;
		end = n;
	}
	return slice_first(d->original, end);
}

bool
dsn_put(struct buf *to, const struct dsn *d)
{
	struct slice header = header_of(d);
	bool quoted = false;

	for (size_t i = 0; i < header.n && !quoted; i++)
		quoted = header.p[i] > 127;
	put_head(to, d);
	put_words(to, d);
	put_report(to, d);
	put_boundary(to, d, "\r\nContent-Description: Header of the undelivered message\r\n"
	    "Content-Type: text/rfc822-headers\r\n");
	(void)buf_printf(to, "Content-Transfer-Encoding: %s\r\n\r\n", quoted ? "quoted-printable" : "7bit");
	if (quoted)
		put_original_quoted(to, header);
	else
		put_original_field(to, header);
	(void)buf_put_str(to, "\r\n");
	put_boundary(to, d, "--\r\n");
	return !to->failed;
}
