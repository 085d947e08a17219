/* queue/dsn.c -- the message that tells a sender what failed, see dsn.h. */
#include "queue/dsn.h"

#include "common/wire/base64.h"
#include "common/wire/date.h"
#include "common/wire/enhanced.h"
#include "common/wire/header.h"
#include "common/wire/smtp_param.h"
#include "common/wire/unitext.h"
#include "common/wire/utf8.h"

enum {
	TEXT_MAX = 700,			/* of a text from outside in one line: with what stands before it below 998 */
	HEADER_LINE_MAX = 998,		/* RFC 5322 2.1.1 */
	BASE64_LINE_BYTES = 57,		/* RFC 2045 6.8: 76 characters */
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

/* For people. */
static void
put_address(struct buf *to, struct slice s)
{
	(void)unitext_put_ascii(to, s, "", TEXT_MAX);
}

/* RFC 3461 9.2: the reply as the server gave it. Its status code has the class of the outcome here, which is not that of its code
 * where a 5xx is taken for temporary; and X.0.0 of mail that failed or waits says that there was none: a server that says so
 * itself has it in its words (smtp_reply_text_put()). */
static void
put_reply(struct buf *to, const struct dsn_rcpt *r)
{
	char text[ENHANCED_TEXT_MAX];
	bool arrived = r->action == DSN_DELIVERED || r->action == DSN_RELAYED;
	struct enhanced e;

	(void)buf_printf(to, "%u ", r->code);
	if (r->host.n == 0 || arrived || enhanced_parse(r->enhanced, &e) != RC_OK) {
		put_text(to, r->enhanced);
		(void)buf_put_byte(to, ' ');
	} else if (e.subject != 0 || e.detail != 0) {
		e.class = (uint8_t)(r->code / 100);
		(void)buf_put_slice(to, slice_of(text, enhanced_format(e, text)));
		(void)buf_put_byte(to, ' ');
	}
	put_text(to, r->text);
}

static void
put_address_field(struct buf *to, const char *name, struct slice address)
{
	(void)buf_printf(to, "%s: %s", name, slice_is_ascii(address) ? "rfc822; " : "utf-8; ");
	/* utf-8-addr-xtext: these four are no QCHAR. */
	(void)unitext_put_ascii(to, address, slice_is_ascii(address) ? "" : " \\+=", TEXT_MAX);
	(void)buf_put_str(to, "\r\n");
}

/* As a header field has it: UTF-8 as it is (RFC 6532 3.2). */
static void
put_raw_address(struct buf *to, struct slice s)
{
	if (utf8_is_visible(s) && !slice_is_ascii(s) && slice_find(s, '\r') == s.n && slice_find(s, '\n') == s.n)
		(void)buf_put_slice(to, slice_first(s, TEXT_MAX));
	else
		put_text(to, s);
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

static bool
has(const struct dsn *d, enum dsn_action action)
{
	for (size_t i = 0; i < d->n_rcpts; i++)
		if (d->rcpts[i].action == action)
			return true;
	return false;
}

/* Is the original returned whole? */
static bool
is_whole(const struct dsn *d)
{
	return d->returns >= DSN_WHOLE && d->original_whole;
}

static bool
some_failed(const struct dsn *d)
{
	return has(d, DSN_FAILED);
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
	put_raw_address(to, d->to);
	(void)buf_put_str(to, ">\r\n");
	(void)buf_printf(to, "Subject: %s\r\n", d->twice ? "Undeliverable bounce" :
	    some_failed(d) ? "Undelivered Mail Returned to Sender" :
	    has(d, DSN_DELAYED) ? "Delayed Mail (still being tried)" : "Successful Mail Delivery Report");
	(void)buf_printf(to, "Message-ID: <%.*s@", (int)sizeof id, id);
	put_text(to, d->hostname);
	(void)buf_put_str(to, ">\r\nAuto-Submitted: auto-replied\r\nMIME-Version: 1.0\r\n"
	    "Content-Type: multipart/report; report-type=delivery-status;\r\n\tboundary=\"");
	(void)buf_printf(to, "%.*s.%016llx\"\r\nContent-Transfer-Encoding: %s\r\n\r\n", (int)sizeof id, id,
	    (unsigned long long)d->random, d->returns == DSN_WHOLE_8BIT && is_whole(d) ? "8bit" : "7bit");
	(void)buf_put_str(to, "This is a MIME-encapsulated message.\r\n\r\n");
}

static const char *
introduction(const struct dsn *d)
{
	if (d->twice)
		return "A bounce could not be delivered to the sender of the message that it is\r\n"
		    "about. It is given to you as the postmaster; nobody else is told.\r\n\r\n";
	if (!some_failed(d) && has(d, DSN_DELAYED))
		return d->returns == DSN_NOTHING ?
		    "Your message has not been delivered yet to one or more recipients. You need not\r\n"
		    "send it again: it is still being tried, and you will be told if that is in vain.\r\n\r\n" :
		    "Your message has not been delivered yet to one or more recipients. You need not\r\n"
		    "send it again: it is still being "
		    "tried, and you will be told if that is in vain.\r\nIts header is attached below.\r\n\r\n";
	if (!some_failed(d))
		return d->returns == DSN_NOTHING ?
		    "Your message was delivered to these recipients, or passed on to a mail system\r\n"
		    "that will not report further. You asked for this report.\r\n\r\n" :
		    "Your message was delivered to these recipients, or passed on to a mail system\r\n"
		    "that will not report further. You "
		    "asked for this report. The header of your\r\nmessage is attached below.\r\n\r\n";
	if (d->returns == DSN_NOTHING)
		return "Your message could not be delivered to one or more recipients. It requires TLS,\r\n"
		    "and this report may travel without, so that nothing of it is attached.\r\n\r\n"
		    "For further assistance, please send mail to postmaster, and include this report.\r\n\r\n";
	if (is_whole(d))
		return "Your message could not be delivered to one or more recipients. It is attached\r\nbelow.\r\n\r\n"
		    "For further assistance, please send mail to postmaster, and include this report.\r\n\r\n";
	return "Your message could not be delivered to one or more recipients. Its header is\r\nattached below.\r\n\r\n"
	    "For further assistance, please send mail to postmaster, and include this report.\r\n\r\n";
}

static void
put_became(struct buf *to, const struct dsn_rcpt *r)
{
	switch (r->action) {
	case DSN_FAILED:
		break;
	case DSN_DELIVERED:
		(void)buf_put_str(to, "was delivered:\r\n    ");
		break;
	case DSN_RELAYED:
		(void)buf_put_str(to, "was passed on:\r\n    ");
		break;
	case DSN_DELAYED:
		(void)buf_put_str(to, r->late ? "was to be delivered by now, and waits:\r\n    " : "waits:\r\n    ");
		break;
	}
}

static void
put_words(struct buf *to, const struct dsn *d)
{
	put_boundary(to, d, "\r\nContent-Description: Notification\r\nContent-Type: text/plain; charset=us-ascii\r\n\r\n");
	(void)buf_put_str(to, "This is the mail system at host ");
	put_text(to, d->hostname);
	(void)buf_put_str(to, ".\r\n\r\n");
	(void)buf_put_str(to, introduction(d));
	for (size_t i = 0; i < d->n_rcpts; i++) {
		const struct dsn_rcpt *r = &d->rcpts[i];

		(void)buf_put_byte(to, '<');
		put_address(to, r->address);
		(void)buf_put_byte(to, '>');
		(void)buf_put_str(to, ":\r\n    ");
		put_became(to, r);
		if (r->expired)
			(void)buf_put_str(to, "could not be delivered in time; the last attempt:\r\n    ");
		if (r->code != 0) {
			if (r->relay.n > 0) {
				(void)buf_put_str(to, "host ");
				put_text(to, r->relay);
				(void)buf_put_str(to, " said:\r\n    ");
			}
			put_reply(to, r);
		} else
			put_text(to, r->text);
		(void)buf_put_str(to, "\r\n\r\n");
	}
}

static bool
is_of_class(struct slice enhanced, uint8_t digit)
{
	return enhanced.n >= 5 && enhanced.p[0] == digit;
}

/* RFC 3464 2.3.4: a failed recipient has a status of class 5; one that expired keeps class 4 (RFC 3463: X.4.7), unless it was
 * its sender who set the time (RFC 2852 4.1.3). */
static void
put_status(struct buf *to, const struct dsn_rcpt *r)
{
	if (r->action == DSN_FAILED && r->late) {
		put_field(to, "Status", "", S("5.4.7"));
		return;
	}
	if (r->expired || r->late) {
		put_field(to, "Status", "", S("4.4.7"));
		return;
	}
	if (r->action == DSN_DELAYED) {
		put_field(to, "Status", "", is_of_class(r->enhanced, '4') ? r->enhanced : S("4.0.0"));
		return;
	}
	if (r->action != DSN_FAILED) {
		put_field(to, "Status", "", is_of_class(r->enhanced, '2') ? r->enhanced : S("2.0.0"));
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

/* RFC 3461 6.3 d: type and address, not as xtext any more. */
static void
put_original_recipient(struct buf *to, struct slice orcpt)
{
	struct buf address = BUF_INIT(SMTP_ORCPT_MAX), type_text = BUF_INIT(SMTP_ORCPT_MAX);
	struct slice type, xtext;

	if (smtp_orcpt_parse(orcpt, &type, &xtext) == RC_OK && smtp_xtext_decode(&address, xtext) &&
	    buf_put_slice(&type_text, type) && buf_put_str(&type_text, "; ") && buf_cstr(&type_text) != NULL) {
		(void)buf_printf(to, "Original-Recipient: %s", buf_cstr(&type_text));
		/* Of type utf-8 it may be UTF-8 as it is, and this part is 7-bit. A backslash begins what is escaped already. */
		(void)unitext_put_ascii(to, buf_slice(&address), slice_caseeq(type, S("utf-8")) ? " +=" : "", TEXT_MAX);
		(void)buf_put_str(to, "\r\n");
	}
	buf_free(&address);
	buf_free(&type_text);
}

/* RFC 3461 6.3 a. */
static void
put_envelope_id(struct buf *to, struct slice envid)
{
	struct buf text = BUF_INIT(SMTP_ENVID_MAX);

	if (smtp_envid_parse(envid) == RC_OK && smtp_xtext_decode(&text, envid))
		put_field(to, "Original-Envelope-Id", "", buf_slice(&text));
	buf_free(&text);
}

static struct slice
action_name(enum dsn_action action)
{
	switch (action) {
	case DSN_FAILED:
		return S("failed");
	case DSN_DELIVERED:
		return S("delivered");
	case DSN_RELAYED:
		return S("relayed");
	case DSN_DELAYED:
		break;
	}
	return S("delayed");
}

static void
put_rcpt_fields(struct buf *to, const struct dsn *d, const struct dsn_rcpt *r)
{
	(void)buf_put_str(to, "\r\n");
	if (r->orcpt.n > 0)
		put_original_recipient(to, r->orcpt);
	put_address_field(to, "Final-Recipient", r->address);
	put_field(to, "Action", "", action_name(r->action));
	put_status(to, r);
	/* It says that Diagnostic-Code is that host's (RFC 3464 2.3.6), which our own words are not, whatever host was tried. */
	if (r->host.n > 0 && r->code != 0)
		put_field(to, "Remote-MTA", "dns; ", r->host);
	if (r->code == 0) {
		put_field(to, "Diagnostic-Code", "X-Postern; ", r->text);
	} else {
		(void)buf_put_str(to, "Diagnostic-Code: smtp; ");
		put_reply(to, r);
		(void)buf_put_str(to, "\r\n");
	}
	if (r->action == DSN_DELAYED && d->retry_until != 0)
		put_date(to, "Will-Retry-Until", d->retry_until);
}

static void
put_report(struct buf *to, const struct dsn *d)
{
	char id[QUEUE_ID_LEN];

	queue_id_format(d->about, id);
	put_boundary(to, d, "\r\nContent-Description: Delivery report\r\nContent-Type: message/delivery-status\r\n\r\n");
	if (d->envid.n > 0)
		put_envelope_id(to, d->envid);
	/* RFC 3461 6.3 b: "dns" is for a whole domain name. */
	put_field(to, "Reporting-MTA", slice_find(d->hostname, '.') < d->hostname.n ? "dns; " : "x-local-hostname; ",
	    d->hostname);
	put_date(to, "Arrival-Date", d->arrived);
	/* RFC 3464 2.2: what extends it comes last. */
	if (d->deliver_by != 0)
		put_date(to, "Deliver-By-Date", d->deliver_by);
	if (d->hold_request.n > 0)
		put_field(to, "Future-Release-Request", "", d->hold_request);
	put_field(to, "X-Postern-Queue-ID", "", slice_of(id, sizeof id));
	put_address_field(to, "X-Postern-Sender", d->sender);
	for (size_t i = 0; i < d->n_rcpts; i++)
		put_rcpt_fields(to, d, &d->rcpts[i]);
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
		if (c > 126 || c == '=' || (c < ' ' && c != '\t') || ((c == ' ' || c == '\t') && at_end) ||
		    (c == '-' && column == 0)) {
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

static void
put_original_header(struct buf *to, const struct dsn *d)
{
	struct slice header = header_of(d);
	bool quoted = !slice_is_ascii(header);

	put_boundary(to, d, some_failed(d) ? "\r\nContent-Description: Header of the undelivered message\r\n" :
	    "\r\nContent-Description: Header of the message\r\n");
	/* RFC 6533 4.3, 4.4: the traditional type when all is ASCII, and for what is not UTF-8 either. */
	(void)buf_printf(to, "Content-Type: %s\r\n", quoted && utf8_is_visible(header) ? "message/global-headers" :
	    "text/rfc822-headers");
	(void)buf_printf(to, "Content-Transfer-Encoding: %s\r\n\r\n", quoted ? "quoted-printable" : "7bit");
	if (quoted)
		put_original_quoted(to, header);
	else
		put_original_field(to, header);
}

static void
put_base64(struct buf *to, struct slice s)
{
	for (size_t at = 0; at < s.n; at += BASE64_LINE_BYTES) {
		(void)base64_put(to, slice_first(slice_from(s, at), BASE64_LINE_BYTES));
		(void)buf_put_str(to, "\r\n");
	}
}

/* As it came: nobody who wrote it could know our boundary. message/rfc822 may not be encoded (RFC 2046 5.2.1); message/global,
 * which holds any message, may (RFC 6532 3.7), and must be where the way back is 7-bit (RFC 6533 4.5). */
static void
put_original_whole(struct buf *to, const struct dsn *d)
{
	size_t n = d->original.n;

	put_boundary(to, d, "\r\nContent-Description: Undelivered message\r\n");
	(void)buf_printf(to, "Content-Type: %s\r\nContent-Transfer-Encoding: %s\r\n\r\n",
	    d->returns == DSN_WHOLE_ENCODED || (d->returns == DSN_WHOLE_8BIT && d->original_global) ? "message/global" :
	    "message/rfc822", d->returns == DSN_WHOLE_ENCODED ? "base64" : d->returns == DSN_WHOLE_8BIT ? "8bit" : "7bit");
	if (d->returns == DSN_WHOLE_ENCODED) {
		put_base64(to, d->original);
		return;
	}
	(void)buf_put_slice(to, d->original);
	if (n > 0 && d->original.p[n - 1] != '\n')
		(void)buf_put_str(to, "\r\n");
}

bool
dsn_put(struct buf *to, const struct dsn *d)
{
	put_head(to, d);
	put_words(to, d);
	put_report(to, d);
	if (is_whole(d))
		put_original_whole(to, d);
	else if (d->returns != DSN_NOTHING)
		put_original_header(to, d);
	(void)buf_put_str(to, "\r\n");
	put_boundary(to, d, "--\r\n");
	return !to->failed;
}
