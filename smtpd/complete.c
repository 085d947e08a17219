/* smtpd/complete.c -- see complete.h. */
#include "smtpd/complete.h"

#include "common/wire/chars.h"
#include "common/wire/date.h"
#include "common/wire/mailbox_list.h"
#include "smtpd/command.h"
#include "smtpd/receive.h"
#include "smtpd/trace.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum rc
complete_begin(struct transaction *tx)
{
	struct complete *c;

	if (!tx->session->submission)
		return RC_OK;
	c = calloc(1, sizeof *c);
	if (c == NULL)
		return RC_NOMEM;
	buf_init(&c->field, HEADER_BYTES_MAX + RECEIVE_GATHER_MAX + TRACE_MAX);
	buf_init(&c->from, (size_t)COMPLETE_AUTHORS_MAX * (ADDRESS_TEXT_MAX + DOMAIN_LITERAL_MAX));
	buf_init(&c->sender, ADDRESS_TEXT_MAX + DOMAIN_LITERAL_MAX);
	header_begin(&c->it, S(""), false);
	tx->receive->complete = c;
	return RC_OK;
}

static void
stop_asking(struct transaction *tx)
{
	struct complete *c = tx->receive->complete;

	handle_release(&tx->session->smtpd->authors, c->handle);
	c->handle = 0;
}

void
complete_free(struct transaction *tx)
{
	struct complete *c = tx->receive == NULL ? NULL : tx->receive->complete;

	if (c == NULL)
		return;
	stop_asking(tx);
	buf_free(&c->field);
	buf_free(&c->from);
	buf_free(&c->sender);
	free(c);
	tx->receive->complete = NULL;
}

bool
complete_waits(const struct transaction *tx)
{
	const struct receive *r = tx->receive;

	return r->complete != NULL && r->complete->handle != 0 && !r->gone;
}

__attribute__((format(printf, 4, 5))) static void
refuse(struct transaction *tx, unsigned code, const char *enhanced, const char *format, ...)
{
	struct refusal r;
	char text[sizeof r.text];
	va_list args;

	va_start(args, format);
	(void)vsnprintf(text, sizeof text, format, args);
	va_end(args);
	refusal_set(&r, code, enhanced, text);
	receive_refuse(tx, &r);
}

/* --- one field --- */

/* The fields that hold addresses, and what is said of a wrong one (RFC 3463 3.2). */
static const struct watched {
	struct slice name;
	const char *text;
	const char *syntax, *unqualified;
	bool author;		/* whoever it names is shown as the one who has written it */
} watched[] = {
	{ SLICE("From"), "From", "5.1.7", "5.1.8", true },
	{ SLICE("Sender"), "Sender", "5.1.7", "5.1.8", true },
	{ SLICE("Reply-To"), "Reply-To", "5.1.7", "5.1.8", false },
	{ SLICE("To"), "To", "5.1.3", "5.1.2", false },
	{ SLICE("Cc"), "Cc", "5.1.3", "5.1.2", false },
	{ SLICE("Bcc"), "Bcc", "5.1.3", "5.1.2", false },
	{ SLICE("Resent-From"), "Resent-From", "5.1.7", "5.1.8", true },
	{ SLICE("Resent-Sender"), "Resent-Sender", "5.1.7", "5.1.8", true },
	{ SLICE("Resent-To"), "Resent-To", "5.1.3", "5.1.2", false },
	{ SLICE("Resent-Cc"), "Resent-Cc", "5.1.3", "5.1.2", false },
	{ SLICE("Resent-Bcc"), "Resent-Bcc", "5.1.3", "5.1.2", false },
};

/* RFC 2047 5 (3): none stands in an address. Readers that decode one all the same show another address than was checked. */
static bool
has_encoded_word(struct slice s)
{
	bool begun = false;

	for (size_t i = 0; i + 1 < s.n; i++) {
		begun = begun || (s.p[i] == '=' && s.p[i + 1] == '?');
		if (begun && s.p[i] == '?' && s.p[i + 1] == '=')
			return true;
	}
	return false;
}

/* Would people see another sender than the one that is checked? Then it is refused, and true. */
static bool
deceives(struct transaction *tx, const struct watched *what, const struct mailbox_list *list, const struct address *a)
{
	if (!what->author)
		return false;
	if (mailbox_list_name_deceives(list))
		refuse(tx, 554, what->syntax, "Name before the address in %s holds an @ outside quotes", what->text);
	else if (has_encoded_word(a->local))
		refuse(tx, 554, what->syntax, "Encoded word in the address in %s", what->text);
	return tx->receive->gone;
}

/* One address of it, which is kept in `to` unless that is NULL. False: refused. */
static bool
take_address(struct transaction *tx, const struct watched *what, struct address *a, struct buf *to)
{
	struct buf domain = BUF_INIT(DOMAIN_MAX);
	bool ascii = (a->flags & (ADDRESS_UTF8 | ADDRESS_U_LABELS)) == 0;

	if (!ascii && !tx->utf8)
		refuse(tx, 554, "5.6.7", "Address in %s is not ASCII: say SMTPUTF8", what->text);	/* RFC 6531 3.2 */
	else if (command_ascii_domain(a, &domain) != RC_OK)
		refuse(tx, 554, what->syntax, "Malformed address in %s", what->text);
	else if (!address_is_qualified(a))
		refuse(tx, 554, what->unqualified, "Domain in %s is not fully qualified", what->text);	/* RFC 6409 4.2 */
	else if (to != NULL && ((buf_len(to) > 0 && !buf_put_byte(to, '\n')) || !address_put(to, a)))
		refuse(tx, 452, "4.3.1", "Out of memory, try again later");
	buf_free(&domain);
	return !tx->receive->gone;
}

/* RFC 6409 5.1. *ret_n: how many there are. False: refused. */
static bool
take_addresses(struct transaction *tx, const struct watched *what, struct slice value, struct buf *to, unsigned max,
    unsigned *ret_n)
{
	struct mailbox_list list;
	struct address a;
	unsigned n = 0;
	enum rc rc;

	mailbox_list_begin(&list, value);
	while ((rc = mailbox_list_next(&list, &a)) == RC_OK) {
		if (++n > max) {
			refuse(tx, 554, "5.6.0", "Too many addresses in %s", what->text);
			return false;
		}
		if (deceives(tx, what, &list, &a) || !take_address(tx, what, &a, to))
			return false;
	}
	if (rc != RC_NOTFOUND)
		refuse(tx, 554, what->syntax, rc == RC_RANGE ? "Address in %s is too long" : "Malformed address in %s",
		    what->text);
	*ret_n = n;
	return rc == RC_NOTFOUND;
}

/* RFC 5322 3.6.4: "<" id-left "@" id-right ">". */
static bool
is_message_id(struct slice value)
{
	struct slice s = slice_trim(value, S(" \t\r\n"));
	size_t at = slice_rfind(s, '@');

	if (s.n < 5 || s.p[0] != '<' || s.p[s.n - 1] != '>' || at == s.n || at == 1 || at == s.n - 2)
		return false;
	for (size_t i = 1; i < s.n - 1; i++)
		if (s.p[i] == '<' || s.p[i] == '>' || (s.p[i] < 0x80 && !char_is_graph(s.p[i])))
			return false;
	return true;
}

/* Takes the field at the front of c->field out of the content. False: some of it has left already. */
static bool
drop(struct transaction *tx, size_t n)
{
	struct buf *content = &tx->receive->content;
	size_t all = buf_len(&tx->receive->complete->field);
	uint8_t *place;

	if (buf_len(content) < all)
		return false;
	place = content->p + content->end - all;
	memmove(place, place + n, all - n);
	content->end -= n;
	tx->receive->complete->cut = false;	/* what stands before it is whole */
	return true;
}

/* RFC 6409 8.3: one that is none is as good as missing. */
static void
take_message_id(struct transaction *tx, const struct header_field *f)
{
	if (is_message_id(f->value))
		tx->receive->complete->n_message_id++;
	else if (!drop(tx, f->raw.n))
		refuse(tx, 554, "5.6.0", "Malformed Message-ID");
}

/* RFC 6409 8.2. */
static void
take_date(struct transaction *tx, const struct header_field *f)
{
	if (date_rfc5322_is_valid(f->value))
		tx->receive->complete->n_date++;
	else if (!drop(tx, f->raw.n))
		refuse(tx, 554, "5.6.0", "Malformed Date");
}

/* RFC 5322 3.6: readers differ in which of two they show. The required fields are counted by themselves. False: refused. */
static bool
is_first(struct transaction *tx, struct slice name)
{
	static const char *const once[] = { "Subject", "To", "Cc", "Bcc", "Reply-To", "In-Reply-To", "References" };
	struct complete *c = tx->receive->complete;

	for (size_t i = 0; i < sizeof once / sizeof once[0]; i++) {
		if (!slice_caseeq(name, slice_str(once[i])))
			continue;
		if ((c->seen & UINT32_C(1) << i) != 0)
			refuse(tx, 554, "5.6.0", "Field %s stands more than once", once[i]);
		c->seen |= UINT32_C(1) << i;
	}
	return !tx->receive->gone;
}

static void
take_listed(struct transaction *tx, const struct watched *what, struct slice value)
{
	struct complete *c = tx->receive->complete;
	unsigned n;

	if (slice_eq(what->name, S("From"))) {
		c->n_from++;
		if (take_addresses(tx, what, value, &c->from, COMPLETE_AUTHORS_MAX, &n))
			c->n_authors += n;
	} else if (slice_eq(what->name, S("Sender"))) {
		c->n_sender++;
		if (take_addresses(tx, what, value, &c->sender, 1, &n) && n == 0)
			refuse(tx, 554, "5.6.0", "Field Sender is empty");
	} else {
		(void)take_addresses(tx, what, value, NULL, UINT32_MAX, &n);
	}
}

static void
take_field(struct transaction *tx, const struct header_field *f)
{
	if (!is_first(tx, f->name))
		return;
	if (slice_caseeq(f->name, S("Date")))
		take_date(tx, f);
	else if (slice_caseeq(f->name, S("Message-ID")))
		take_message_id(tx, f);
	for (size_t i = 0; i < sizeof watched / sizeof watched[0]; i++)
		if (slice_caseeq(f->name, watched[i].name))
			take_listed(tx, &watched[i], f->value);
}

/* --- what is added --- */

/* RFC 5322 3.6.4: unique by our name and the message's id in our queue, which no other message has or had. It is kept for
 * the log like one that was there. */
static void
put_message_id(struct buf *to, struct transaction *tx)
{
	struct header_watch *w = &tx->receive->watch;
	char id[QUEUE_ID_LEN];
	size_t from;

	queue_id_format(tx->id, id);
	(void)buf_put_str(to, "Message-ID: ");
	from = buf_len(to);
	(void)buf_put_byte(to, '<');
	(void)buf_put(to, id, sizeof id);
	(void)buf_put_byte(to, '@');
	(void)buf_put_slice(to, smtpd_name(tx->session->smtpd, tx->session->conf));
	(void)buf_put_str(to, ">\r\n");
	w->id_len = 0;
	if (to->failed || buf_len(to) - 2 - from > HEADER_ID_MAX)
		return;
	w->id_len = buf_len(to) - 2 - from;
	memcpy(w->id, buf_slice(to).p + from, w->id_len);
}

static void
put_fields(struct buf *to, struct transaction *tx, bool sender)
{
	const struct complete *c = tx->receive->complete;

	if (c->cut)	/* the last line has no end (BDAT) */
		(void)buf_put_str(to, "\r\n");
	if (sender) {
		(void)buf_put_str(to, "Sender: ");
		(void)buf_put_str(to, tx->sender);
		(void)buf_put_str(to, "\r\n");
	}
	if (c->n_date == 0) {
		(void)buf_put_str(to, "Date: ");
		trace_date_put(to, tx->session, (int64_t)time(NULL));
		(void)buf_put_str(to, "\r\n");
	}
	if (c->n_message_id == 0)
		put_message_id(to, tx);
}

/* Puts fields at the end of the header. */
static bool
insert(struct receive *r, struct slice fields)
{
	struct buf *content = &r->content;
	size_t tail = r->complete->tail;
	uint8_t *place;

	content->max += fields.n;	/* it may be full of what came */
	if (buf_reserve(content, fields.n) == NULL)
		return false;
	place = content->p + content->end - tail;
	memmove(place + fields.n, place, tail);
	memcpy(place, fields.p, fields.n);
	buf_advance(content, fields.n);
	return true;
}

static void
add_fields(struct transaction *tx, bool sender)
{
	struct receive *r = tx->receive;
	struct complete *c = r->complete;
	struct buf fields = BUF_INIT(COMPLETE_FIELDS_MAX);

	r->held = 0;
	if (c->n_date == 0 || c->n_message_id == 0 || sender) {
		put_fields(&fields, tx, sender);
		if (fields.failed || !insert(r, buf_slice(&fields)))
			refuse(tx, 452, "4.3.1", "Out of memory, try again later");
	}
	buf_free(&fields);
}

/* --- the end of the header --- */

/* RFC 5322 3.6. False: refused. */
static bool
is_whole(struct transaction *tx)
{
	const struct complete *c = tx->receive->complete;

	if (c->n_from == 0 || c->n_authors == 0)
		refuse(tx, 554, "5.6.0", c->n_from == 0 ? "Message has no From field" : "Field From names nobody");
	else if (c->n_from > 1 || c->n_sender > 1 || c->n_date > 1 || c->n_message_id > 1)
		refuse(tx, 554, "5.6.0", "Field %s stands more than once",
		    c->n_from > 1 ? "From" : c->n_sender > 1 ? "Sender" : c->n_date > 1 ? "Date" : "Message-ID");
	return !tx->receive->gone;
}

/* A Sender with the envelope's, when From is not the user's or names several (RFC 6409 8.1, RFC 5322 3.6.2). False: refused. */
static bool
may_add_sender(struct transaction *tx)
{
	if (*tx->sender == '\0')
		refuse(tx, 554, "5.6.0", "Message has no Sender, and its From needs one");
	return !tx->receive->gone;
}

/* Whose the addresses are is known, or nobody's concern. */
static void
conclude(struct transaction *tx, bool from_ok, bool sender_ok)
{
	const struct complete *c = tx->receive->complete;
	bool adds = strcmp(tx->session->conf->router.header_from, "sender") == 0;
	bool sender = c->n_sender == 0 && (!from_ok || c->n_authors > 1);

	/* RFC 6409 6.3 */
	if (!sender_ok)
		refuse(tx, 550, "5.7.1", "You may not send as the address in Sender");
	else if (!from_ok && !adds)
		refuse(tx, 550, "5.7.1", "You may not send as the address in From");
	else if (!sender || may_add_sender(tx))
		add_fields(tx, sender);
}

/* Is there anybody to be asked about? */
static bool
is_to_ask(const struct transaction *tx)
{
	const struct session *s = tx->session;

	return s->user != NULL && s->conf->router.senders.n > 0 && strcmp(s->conf->router.header_from, "ignore") != 0;
}

static void
ask(struct transaction *tx)
{
	struct smtpd *smtpd = tx->session->smtpd;
	struct complete *c = tx->receive->complete;
	struct r_authors m = { session_user(tx->session), buf_slice(&c->from), buf_slice(&c->sender) };

	if (smtpd->router != NULL)
		c->handle = handle_new(&smtpd->authors, tx);
	if (c->handle == 0 || r_authors_send(smtpd->router, c->handle, &m) != RC_OK)
		complete_answer(tx, NULL);
}

void
complete_answer(struct transaction *tx, const struct r_authored *m)
{
	stop_asking(tx);
	if (tx->receive->gone)
		return;
	if (m == NULL)
		refuse(tx, 451, "4.3.0", "Senders cannot be checked now, try again later");
	else
		conclude(tx, m->from_ok != 0, m->sender_ok != 0);
}

/* `rest` bytes of the content are behind the header. */
static void
header_over(struct transaction *tx, size_t rest, bool malformed)
{
	struct receive *r = tx->receive;
	struct complete *c = r->complete;

	c->ended = true;
	c->tail = r->held = rest;
	buf_free(&c->field);
	if (malformed)
		refuse(tx, 554, "5.6.0", "A line of the message's header is no field");
	else if (!is_whole(tx))
		return;
	else if (is_to_ask(tx))
		ask(tx);
	else
		conclude(tx, true, true);
}

/* Looks at the fields that are whole. What may still be changed stays here. */
static void
read_fields(struct transaction *tx, bool whole)
{
	struct receive *r = tx->receive;
	struct complete *c = r->complete;
	struct header_field f;
	enum rc rc = RC_OK;

	while (rc == RC_OK && !r->gone) {
		c->it.in = buf_slice(&c->field);
		c->it.whole = whole;
		rc = header_next(&c->it, &f);
		if (rc == RC_OK) {
			c->cut = whole && f.raw.p[f.raw.n - 1] != '\n';
			take_field(tx, &f);
			buf_consume(&c->field, f.raw.n);
			header_begin(&c->it, S(""), false);
		}
	}
	if (r->gone)
		return;
	if (rc == RC_RANGE)
		refuse(tx, 554, "5.6.0", "Message header is too long");
	else if (rc == RC_NOTFOUND)
		header_over(tx, buf_len(&c->field), c->it.malformed);
	else
		r->held = buf_len(&c->field) <= COMPLETE_HOLD_MAX ? buf_len(&c->field) : 0;
}

void
complete_feed(struct transaction *tx, size_t before)
{
	struct receive *r = tx->receive;
	struct complete *c = r->complete;

	if (c == NULL || c->ended || r->gone)
		return;
	if (buf_put_slice(&c->field, slice_from(buf_slice(&r->content), before)))
		read_fields(tx, false);
	else
		refuse(tx, 452, "4.3.1", "Out of memory, try again later");
}

void
complete_end(struct transaction *tx)
{
	struct receive *r = tx->receive;

	if (r->complete != NULL && !r->complete->ended && !r->gone)
		read_fields(tx, true);
}
