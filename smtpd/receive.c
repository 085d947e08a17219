/* smtpd/receive.c -- see receive.h. */
#include "smtpd/receive.h"

#include "common/envelope.h"
#include "common/wire/utf8.h"
#include "smtpd/complete.h"
#include "smtpd/deadline.h"
#include "smtpd/session.h"
#include "smtpd/submit.h"
#include "smtpd/trace.h"

#include <stdlib.h>
#include <time.h>

enum rc
receive_begin(struct transaction *tx, bool chunked)
{
	struct receive *r = calloc(1, sizeof *r);

	if (r == NULL)
		return RC_NOMEM;
	r->chunked = chunked;
	if (chunked)
		smtp_data_decoder_init_plain(&r->decoder, tx->session->conf->smtpd.max_text_line);
	else
		smtp_data_decoder_init(&r->decoder, tx->session->conf->smtpd.max_text_line);
	r->decoder.normalise = tx->session->lenient && !tx->binary;
	header_watch_init(&r->watch);
	buf_init(&r->content, RECEIVE_GATHER_MAX + TRACE_MAX);
	r->began = loop_now(tx->session->smtpd->loop);
	tx->receive = r;
	if (trace_put(&r->content, tx, (int64_t)time(NULL)) && complete_begin(tx) == RC_OK)
		return RC_OK;
	receive_free(tx);
	return RC_NOMEM;
}

void
receive_chunk(struct session *s, uint64_t size, bool last)
{
	struct receive *r = s->tx->receive;

	r->left = r->chunk = size;
	r->last = last;
	session_enter(s, PH_DATA);
}

/* Is it anything but lines of text? Only BINARYMIME may be (RFC 3030 3). */
static bool
is_binary(const struct receive *r)
{
	const struct smtp_data_decoder *d = &r->decoder;

	return d->nul > 0 || d->long_lines > 0 || d->bare_cr > 0 || d->bare_lf > 0;
}

/* RFC 6531 3.2: UTF-8 may stand in a header at any level of the MIME structure. Parts are not looked into: where there may be
 * some, a body that is not ASCII may hold such a header. A field in another character set (Latin-1, mostly) is none that
 * RFC 6532 has, whatever the client said: it goes on as it came, to servers without SMTPUTF8 too, as it always has. */
static bool
may_hold_utf8_header(const struct receive *r)
{
	return r->watch.utf8 || (r->eight_bit_body && header_watch_has_parts(&r->watch));
}

uint32_t
receive_flags(const struct transaction *tx)
{
	const struct receive *r = tx->receive;

	/* What was declared binary and is not, needs no server that takes it. A recipient in UTF-8 needs one that takes it for
	 * himself (deliver/transaction.c), and for all only when our trace field names him. */
	return (r->decoder.eight_bit ? ENVELOPE_8BITMIME : 0) | (tx->binary && is_binary(r) ? ENVELOPE_BINARYMIME : 0) |
	    ((tx->flags & ENVELOPE_REQUIRETLS) == 0 && header_watch_tls_optional(&r->watch) ? ENVELOPE_TLS_OPTIONAL : 0) |
	    (tx->utf8 && (tx->utf8_sender || may_hold_utf8_header(r) || trace_is_utf8(tx)) ? ENVELOPE_SMTPUTF8 : 0);
}

void
receive_free(struct transaction *tx)
{
	struct receive *r = tx->receive;

	if (r == NULL)
		return;
	complete_free(tx);
	buf_free(&r->content);
	free(r);
	tx->receive = NULL;
}

void
receive_refuse(struct transaction *tx, const struct refusal *why)
{
	struct receive *r = tx->receive;

	if (r->refusal.code == 0)
		r->refusal = *why;
	r->gone = true;
	r->held = 0;
	buf_free(&r->content);
	submit_forget(tx);
}

static void
refuse(struct transaction *tx, unsigned code, const char *enhanced, const char *text)
{
	struct refusal r;

	refusal_set(&r, code, enhanced, text);
	receive_refuse(tx, &r);
}

/* What can be held against text. Binary content holds all of it. */
static void
judge_text(struct transaction *tx)
{
	const struct receive *r = tx->receive;

	if (r->decoder.nul > 0)
		refuse(tx, 554, "5.6.0", "Message holds NUL characters");		/* RFC 5322 2.3 has none */
	else if (r->decoder.long_lines > 0)
		refuse(tx, 554, "5.6.0", "Message holds a line that is too long");	/* RFC 5321 4.5.3.1.6 */
	else if (r->chunked && (r->decoder.bare_cr > 0 || r->decoder.bare_lf > 0))
		/* Its end is known from its size: nobody can be deceived about that, and the session goes on (RFC 3030 2). */
		refuse(tx, 550, "5.6.0", r->decoder.bare_lf > 0 ? "Bare LF in message" : "Bare CR in message");
}

/* What can be held against the content so far. */
static void
judge(struct transaction *tx)
{
	const struct receive *r = tx->receive;
	const struct conf_smtpd *conf = &tx->session->conf->smtpd;

	if (r->decoder.size > conf->max_message_size)
		refuse(tx, 552, "5.3.4", "Message exceeds the size limit");		/* RFC 1870 6.3 */
	else if (r->watch.too_long || r->watch.bytes > conf->max_header_size)
		refuse(tx, 554, "5.6.0", "Message header is too long");
	else if (r->watch.received >= conf->max_hops)
		refuse(tx, 554, "5.4.6", "Too many hops, this message is in a loop");	/* RFC 5321 6.3 */
	else if (!tx->binary)
		judge_text(tx);
	else if (r->watch.not_text)
		/* RFC 3030 frees the body of its lines, and not the header: a field could be smuggled in. */
		refuse(tx, 554, "5.6.0", "Bare CR, bare LF or NUL in the message's header");
}

/* A line end that others might take for one and we do not, or the other way round: nothing of what this client sends
 * can be trusted to mean one thing (THREATS 1). */
static bool
has_bare_newline(struct session *s)
{
	const struct smtp_data_decoder *d = &s->tx->receive->decoder;
	const char *what = d->bare_lf > 0 ? "Bare LF in message" : "Bare CR in message";

	if (s->tx->receive->chunked || (d->bare_cr == 0 && d->bare_lf == 0))
		return false;
	s->verb = "DATA";
	session_fault(s, 550, "5.6.0", what);
	session_last(s, 421, "4.7.0", "Lines must end in CRLF", "bare newline");
	return true;
}

/* The queue takes what is gathered. RC_OK: all of it. */
static enum rc
flow_on(struct transaction *tx)
{
	enum rc rc = tx->begun ? RC_OK : submit_begin(tx);

	if (rc == RC_OK)
		rc = submit_content(tx);
	if (rc != RC_OK && rc != RC_AGAIN)
		refuse(tx, 451, "4.3.0", "The queue cannot be reached, try again later");
	return rc;
}

static enum rc
hand_over(struct transaction *tx)
{
	struct receive *r = tx->receive;
	enum rc rc = RC_RANGE;

	if (!submit_alive(tx)) {
		refuse(tx, 451, "4.3.0", "The queue was restarted, try again");
		return RC_CLOSED;
	}
	if (!tx->begun)
		rc = submit_whole(tx);
	if (rc != RC_RANGE)
		return rc;
	rc = flow_on(tx);
	if (rc == RC_OK && buf_len(&r->content) == 0)
		rc = submit_commit(tx);
	return rc;
}

/* The transaction ends without a message. */
static void
refuse_now(struct session *s)
{
	struct transaction *tx = s->tx;

	session_refuse(s, &tx->receive->refusal, tx->n_rcpts == 1 ? slice_str(tx->only_rcpt) : S(""), S(""));
	transaction_free(&s->tx, NULL);
	session_transaction_over(s);
}

/* For the router's answer about who wrote it. */
static bool
stands_still(struct transaction *tx)
{
	bool waits = complete_waits(tx);

	tx->receive->waited = tx->receive->waited || waits;
	return waits;
}

/* All content has come. */
static enum rc
finish(struct session *s)
{
	struct transaction *tx = s->tx;
	struct receive *r = tx->receive;
	enum rc rc;

	/* RFC 1047: a client that is gone cannot hear that we have it, and will send it again. A small message that waits for
	 * nobody takes no time in which it could have gone. */
	if ((tx->begun || r->waited) && stream_is_lost(&s->stream)) {
		session_end(s, "connection lost before the message was acknowledged");
		return RC_OK;
	}
	s->verb = r->chunked ? "BDAT" : "DATA";
	header_watch_end(&r->watch);
	complete_end(tx);
	if (stands_still(tx))
		return RC_AGAIN;
	judge(tx);
	if (r->refusal.code == 0) {
		rc = hand_over(tx);
		if (rc == RC_AGAIN)
			return rc;
		if (rc == RC_OK) {
			session_enter(s, PH_COMMIT);
			return RC_OK;
		}
		refuse(tx, 451, "4.3.0", "The message cannot be queued now, try again later");
	}
	refuse_now(s);
	return RC_OK;
}

/* A chunk has come whole. What is wrong with it is said now, and ends the transaction: the chunks that are pipelined behind
 * it are read away and answered one by one (RFC 3030 2). */
static enum rc
finish_chunk(struct session *s)
{
	struct receive *r = s->tx->receive;

	if (r->last) {
		smtp_data_decoder_end(&r->decoder);
		return finish(s);
	}
	s->verb = "BDAT";
	if (r->refusal.code == 0)
		judge(s->tx);
	if (r->refusal.code != 0) {
		refuse_now(s);
		return RC_OK;
	}
	session_enter(s, PH_CHUNKS);
	session_reply(s, 250, "2.0.0", "%llu octets received", (unsigned long long)r->chunk);
	return RC_OK;
}

static void
watch_feed(struct transaction *tx, struct slice content)
{
	struct receive *r = tx->receive;
	uint64_t header;

	header_watch_feed(&r->watch, content);
	header = r->watch.bytes > r->watched ? r->watch.bytes - r->watched : 0;
	if (tx->utf8 && r->watch.ended && !r->eight_bit_body && header < content.n)
		r->eight_bit_body = !slice_is_ascii(slice_from(content, (size_t)header));
	r->watched += content.n;
}

/* The results of smtp_data_decode. */
static enum rc
decode(struct transaction *tx, struct slice in, size_t *ret_used)
{
	struct receive *r = tx->receive;
	size_t before = buf_len(&r->content);
	enum rc rc;

	if (r->chunked && in.n > r->left)
		in = slice_first(in, (size_t)r->left);
	rc = smtp_data_decode(&r->decoder, in, r->gone ? NULL : &r->content, ret_used);
	r->wire += *ret_used;
	if (r->chunked)
		r->left -= *ret_used;
	if (!r->gone) {
		watch_feed(tx, slice_from(buf_slice(&r->content), before));
		complete_feed(tx, before);
	}
	return rc;
}

static enum rc
take(struct session *s, struct slice in, size_t *ret_used)
{
	struct transaction *tx = s->tx;
	enum rc rc;

	*ret_used = 0;
	if (stands_still(tx))
		return RC_AGAIN;
	if (tx->receive->chunked && tx->receive->left == 0)
		return finish_chunk(s);
	rc = decode(tx, in, ret_used);
	if (has_bare_newline(s))
		return RC_MORE;
	if (stands_still(tx))
		return RC_AGAIN;
	if (rc == RC_OK)
		return finish(s);
	if (rc == RC_NOMEM)
		refuse(tx, 452, "4.3.1", "Out of memory, try again later");
	else if (tx->receive->refusal.code == 0)
		judge(tx);
	if (rc == RC_MORE)
		return tx->receive->chunked && tx->receive->left == 0 ? finish_chunk(s) : RC_MORE;
	/* What is gathered must leave before there is room for more; or nothing is kept any more. */
	return tx->receive->gone || flow_on(tx) != RC_AGAIN ? RC_OK : RC_AGAIN;
}

enum rc
receive_input(struct session *s, struct slice in, size_t *ret_used)
{
	struct receive *r = s->tx->receive;
	uint64_t now = loop_now(s->smtpd->loop);
	enum rc rc;

	if (r->stalled_since != 0)
		r->stalled += now - r->stalled_since;
	r->stalled_since = 0;
	deadline_progress(s);
	rc = take(s, in, ret_used);
	if (rc == RC_AGAIN)
		r->stalled_since = now;
	return rc;
}
