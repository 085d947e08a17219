/* smtpd/submit.c -- see submit.h. */
#include "smtpd/submit.h"

#include "common/clock.h"
#include "common/envelope.h"
#include "smtpd/listener.h"
#include "smtpd/offer.h"
#include "smtpd/receive.h"
#include "smtpd/session.h"


/* --- message ids --- */

static uint32_t
ids_left(const struct smtpd *smtpd)
{
	uint32_t left = smtpd->n_returned;

	for (unsigned i = 0; i < smtpd->n_ids; i++)
		left += smtpd->ids[i].left;
	return left;
}

static void
want_ids(struct smtpd *smtpd)
{
	struct q_ids_want m = { ids_left(smtpd) };

	if (smtpd->queue == NULL || smtpd->ids_asked || m.left >= IDS_LOW)
		return;
	smtpd->ids_asked = q_ids_want_send(smtpd->queue, 0, &m) == RC_OK;
}

enum rc
submit_take_id(struct smtpd *smtpd, struct msgid *ret_id)
{
	struct id_block *b = &smtpd->ids[0];

	if (smtpd->n_returned > 0) {
		*ret_id = smtpd->returned[--smtpd->n_returned];
		return RC_OK;
	}
	if (smtpd->n_ids == 0) {
		want_ids(smtpd);
		return RC_AGAIN;
	}
	*ret_id = b->next;
	b->next.seq++;
	if (--b->left == 0) {
		smtpd->n_ids--;
		memmove(b, b + 1, smtpd->n_ids * sizeof *b);
	}
	want_ids(smtpd);
	return RC_OK;
}

void
submit_return_id(struct transaction *tx)
{
	struct smtpd *smtpd = tx->session->smtpd;

	if (!tx->id_used && submit_alive(tx) && smtpd->n_returned < IDS_RETURNED_MAX)
		smtpd->returned[smtpd->n_returned++] = tx->id;
}

static const char *
on_ids(void *ctx, struct peer *p, uint32_t handle, struct rd *body, int fd)
{
	struct smtpd *smtpd = ctx;
	struct q_ids m;

	(void)p, (void)handle, (void)fd;
	if (!q_ids_get(body, &m) || m.count == 0 || m.count > IDS_BLOCK_MAX || m.first.seq > QUEUE_ID_SEQ_MAX - m.count)
		return "malformed Q_IDS";
	if (smtpd->n_ids == ID_BLOCKS_MAX)
		return "more blocks of ids than were asked for";
	smtpd->ids[smtpd->n_ids++] = (struct id_block){ m.first, m.count };
	smtpd->ids_asked = false;
	return NULL;
}

/* --- its state --- */

static const char *
on_state(void *ctx, struct peer *p, uint32_t handle, struct rd *body, int fd)
{
	struct smtpd *smtpd = ctx;
	struct q_state m;

	(void)p, (void)handle, (void)fd;
	if (!q_state_get(body, &m))
		return "malformed Q_STATE";
	if (!smtpd->queue_known) {
		timer_cancel(&smtpd->breather);
		listeners_breathe_again(&smtpd->breather, smtpd);
	}
	smtpd->queue_known = true;
	smtpd->queue_accepting = m.accepting != 0;
	smtpd->queue_room = m.room;
	if (!smtpd->queue_accepting)
		refusal_from_room(&smtpd->queue_refusal, m.code, m.enhanced, m.text);
	return NULL;
}

bool
submit_accepting(const struct smtpd *smtpd, uint64_t size, struct refusal *ret_refusal)
{
	if (smtpd->queue == NULL || !smtpd->queue_known)
		refusal_set(ret_refusal, 451, "4.3.0", "The queue cannot be reached, try again later");
	else if (!smtpd->queue_accepting)
		*ret_refusal = smtpd->queue_refusal;
	else if (smtpd->queue_room != 0 && size > smtpd->queue_room)
		refusal_set(ret_refusal, 452, "4.3.1", "Not enough room for this message now");
	else
		return true;
	return false;
}

bool
submit_alive(const struct transaction *tx)
{
	const struct smtpd *smtpd = tx->session->smtpd;

	return smtpd->queue != NULL && peer_alive(smtpd->queue) && smtpd->queue_epoch == tx->queue_epoch;
}

/* --- messages out --- */

static enum rc
name_message(struct transaction *tx)
{
	if (!submit_alive(tx))
		return RC_CLOSED;
	tx->id_used = true;
	if (tx->handle == 0)
		tx->handle = handle_new(&tx->session->smtpd->messages, tx);
	return tx->handle == 0 ? RC_NOMEM : RC_OK;
}

/* What is known of the content by now; the rest is told by Q_COMMIT. */
static bool
put_envelope(struct buf *to, const struct transaction *tx)
{
	const struct session *s = tx->session;
	const struct declared *d = tx->declared;
	struct envelope e = {
		.flags = tx->flags | receive_flags(tx) | (offer_reports(s) ? ENVELOPE_TRUSTED : 0),
		.received_at = clock_wall_us(),
		.sender = slice_str(tx->sender),
		.client = s->ip,
		.client_name = session_client_name(s),
		.helo = slice_first(session_helo(s), ENVELOPE_TEXT_MAX),
		.listener = slice_first(s->listener, ENVELOPE_TEXT_MAX),
		.proto = session_proto(s),
		.user = session_user(s),
		.message_id = header_watch_id(&tx->receive->watch),
	};
	if (d != NULL) {
		e.envid = slice_of(d->text, d->n_envid);
		e.hold_request = slice_of(d->text + d->n_envid, d->n_hold);
		e.deliver_by = d->deliver_by;
		e.hold_until = d->hold_until;
		e.priority = d->priority;
	}
	return envelope_put(to, &e) && buf_put_slice(to, buf_slice(&tx->rcpts));
}

enum rc
submit_whole(struct transaction *tx)
{
	struct buf envelope = BUF_INIT(TRANSACTION_RCPTS_MAX + ENVELOPE_REST_MAX);
	enum rc rc = name_message(tx);

	if (rc == RC_OK && !put_envelope(&envelope, tx))
		rc = RC_NOMEM;
	if (rc == RC_OK) {
		struct q_submit m = { tx->id, buf_slice(&envelope), buf_slice(&tx->receive->content) };

		rc = q_submit_send(tx->session->smtpd->queue, tx->handle, &m);
	}
	buf_free(&envelope);
	/* What has gone is the queue's: the line's buffer holds it until it is written. */
	if (rc == RC_OK)
		buf_free(&tx->receive->content);
	tx->given = rc == RC_OK;
	return rc;
}

enum rc
submit_begin(struct transaction *tx)
{
	struct buf envelope = BUF_INIT(TRANSACTION_RCPTS_MAX + ENVELOPE_REST_MAX);
	enum rc rc = name_message(tx);

	if (rc == RC_OK && !put_envelope(&envelope, tx))
		rc = RC_NOMEM;
	if (rc == RC_OK) {
		struct q_begin m = { tx->id, buf_slice(&envelope), tx->size };

		rc = q_begin_send(tx->session->smtpd->queue, tx->handle, &m);
	}
	buf_free(&envelope);
	if (rc == RC_OK) {
		tx->begun = true;
		tx->receive->credit = IPC_CONTENT_WINDOW;
	}
	return rc;
}

enum rc
submit_content(struct transaction *tx)
{
	struct receive *r = tx->receive;
	enum rc rc = submit_alive(tx) ? RC_OK : RC_CLOSED;

	while (rc == RC_OK && buf_len(&r->content) > r->held) {
		struct slice part = slice_first(slice_first(buf_slice(&r->content), buf_len(&r->content) - r->held),
		    IPC_CONTENT_CHUNK);
		struct q_chunk m = { slice_first(part, r->credit) };

		if (m.content.n == 0)
			return RC_AGAIN;
		rc = q_chunk_send(tx->session->smtpd->queue, tx->handle, &m);
		if (rc != RC_OK)
			break;
		r->credit -= m.content.n;
		r->given += m.content.n;
		buf_consume(&r->content, m.content.n);
	}
	return rc;
}

enum rc
submit_commit(struct transaction *tx)
{
	struct q_commit m = { tx->receive->given, receive_flags(tx) };
	enum rc rc = submit_alive(tx) ? q_commit_send(tx->session->smtpd->queue, tx->handle, &m) : RC_CLOSED;

	tx->given = rc == RC_OK;
	return rc;
}

void
submit_forget(struct transaction *tx)
{
	struct q_abort m = { 0 };

	if (tx->handle == 0)
		return;
	/* An abort is small and finds room in the line's reserve. When that is used up too, the queue is not alive: half a
	 * message must not stay there, so the line goes, and all with it. */
	if (tx->begun && tx->session->phase != PH_COMMIT && submit_alive(tx) &&
	    q_abort_send(tx->session->smtpd->queue, tx->handle, &m) != RC_OK)
		peer_drop(tx->session->smtpd->queue, "the line is full, and a message has to be given up");
	handle_release(&tx->session->smtpd->messages, tx->handle);
	tx->handle = 0;
	tx->begun = false;
}

/* --- answers --- */

static struct transaction *
message_of(struct smtpd *smtpd, uint32_t handle)
{
	struct transaction *tx = handle_find(&smtpd->messages, handle);

	return tx != NULL && tx->session->tx == tx && tx->session->phase != PH_DEAD ? tx : NULL;
}

static const char *
on_credit(void *ctx, struct peer *p, uint32_t handle, struct rd *body, int fd)
{
	struct transaction *tx = message_of(ctx, handle);
	struct q_credit m;

	(void)p, (void)fd;
	if (!q_credit_get(body, &m))
		return "malformed Q_CREDIT";
	if (tx == NULL || !tx->begun)
		return NULL;
	if (m.bytes > IPC_CONTENT_WINDOW || tx->receive->credit + m.bytes > IPC_CONTENT_WINDOW)
		return "credit for more than was sent";
	tx->receive->credit += m.bytes;
	session_wake(tx->session);
	return NULL;
}

static void
log_accepted(const struct session *s)
{
	const struct transaction *tx = s->tx;
	const struct tls_facts *tls = stream_tls(&s->stream);
	char priority[PRIORITY_TEXT_MAX];

	log_say(LOG_ACCEPTED, &tx->id, F_IP("client", s->ip), F_STR("helo", session_helo(s)), F_TEXT("from", tx->sender),
	    F_U64("size", tx->receive->decoder.size), F_U64("nrcpt", tx->n_rcpts), F_STR("proto", session_proto(s)),
	    F_TEXT("tls", tls == NULL ? "" : tls->protocol), F_STR("user", session_user(s)),
	    F_TEXT("priority", transaction_priority(tx, priority)), F_STR("message_id", header_watch_id(&tx->receive->watch)),
	    F_U64("ms", loop_now(s->smtpd->loop) - tx->began));
}

static const char *
on_accepted(void *ctx, struct peer *p, uint32_t handle, struct rd *body, int fd)
{
	struct transaction *tx = message_of(ctx, handle);
	char id[QUEUE_ID_LEN];
	struct q_accepted m;
	struct session *s;

	(void)p, (void)fd;
	if (!q_accepted_get(body, &m))
		return "malformed Q_ACCEPTED";
	if (tx == NULL)
		return NULL;
	s = tx->session;
	if (s->phase != PH_COMMIT || !msgid_eq(m.id, tx->id))
		return "Q_ACCEPTED for a message that was not committed";
	queue_id_format(tx->id, id);
	s->n_accepted++;
	client_note_good(s);
	log_accepted(s);
	session_reply(s, 250, "2.0.0", "Ok: queued as %.*s", (int)sizeof id, id);
	transaction_free(&s->tx, NULL);
	session_transaction_over(s);
	return NULL;
}

/* The queue has nothing of the message (any more). */
static void
refused(struct transaction *tx, const struct refusal *r)
{
	struct session *s = tx->session;

	handle_release(&s->smtpd->messages, tx->handle);
	tx->handle = 0;
	tx->begun = false;
	tx->given = false;
	if (s->phase == PH_DATA || s->phase == PH_CHUNKS) {
		receive_refuse(tx, r);
		session_wake(s);
	} else if (s->phase == PH_COMMIT) {
		session_refuse(s, r, S(""), S(""));
		transaction_free(&s->tx, NULL);
		session_transaction_over(s);
	}
}

static const char *
on_refused(void *ctx, struct peer *p, uint32_t handle, struct rd *body, int fd)
{
	struct transaction *tx = message_of(ctx, handle);
	struct refusal r;
	struct q_refused m;

	(void)p, (void)fd;
	if (!q_refused_get(body, &m))
		return "malformed Q_REFUSED";
	if (tx == NULL)
		return NULL;
	refusal_from_room(&r, m.code, m.enhanced, m.text);
	refused(tx, &r);
	return NULL;
}

/* --- ETRN --- */

bool
submit_flush(struct session *s, struct slice domain)
{
	struct smtpd *smtpd = s->smtpd;
	struct q_flush m = { domain };

	if (smtpd->queue == NULL || (s->flush_handle = handle_new(&smtpd->flushes, s)) == 0)
		return false;
	if (q_flush_send(smtpd->queue, s->flush_handle, &m) != RC_OK) {
		submit_flush_forget(s);
		return false;
	}
	wait_begin(s, WAIT_FLUSH);
	return true;
}

void
submit_flush_forget(struct session *s)
{
	handle_release(&s->smtpd->flushes, s->flush_handle);
	s->flush_handle = 0;
}

static void
flush_over(struct session *s)
{
	submit_flush_forget(s);
	wait_over(s, WAIT_FLUSH);
}

void
submit_flush_unanswered(struct session *s)
{
	session_reply(s, 458, "4.3.0", "The queue cannot be asked now");
	flush_over(s);
}

static const char *
on_flushed(void *ctx, struct peer *p, uint32_t handle, struct rd *body, int fd)
{
	struct smtpd *smtpd = ctx;
	struct session *s = handle_find(&smtpd->flushes, handle);
	struct q_flushed m;

	(void)p, (void)fd;
	if (!q_flushed_get(body, &m))
		return "malformed Q_FLUSHED";
	if (s == NULL)
		return NULL;
	if (m.status != RC_OK)
		session_reply(s, 458, "4.3.2", "The queue was started a moment ago, try again later");
	else if (m.waiting == 0)
		/* Not 251: what a rule or route sends there by another way is not counted. */
		session_reply(s, 250, "2.0.0", "Ok, no messages are known to wait");
	else
		/* Not 253: recipients are counted, and those too whose hour has not come. */
		session_reply(s, 252, "2.0.0", "Ok, pending messages started");
	flush_over(s);
	return NULL;
}

/* --- the line --- */

static void
line_drained(void *ctx, struct peer *p)
{
	struct smtpd *smtpd = ctx;

	(void)p;
	for (size_t i = 0; i < smtpd->messages.n; i++) {
		struct transaction *tx = handle_at(&smtpd->messages, i);

		if (tx != NULL && (tx->session->waits & WAIT_AGAIN) != 0)
			session_wake(tx->session);
	}
}

/* What the queue has not seen whole is refused for now (451). What it had whole may be durable or not: nothing true can be
 * said about it, so the connection ends without a word, and the client tries again (RFC 5321 4.2.5, RFC 1047). */
static void
line_lost(struct smtpd *smtpd)
{
	struct refusal r;

	smtpd->queue = NULL;
	smtpd->queue_known = false;
	smtpd->n_ids = smtpd->n_returned = 0;
	smtpd->ids_asked = false;
	for (size_t i = 0; i < smtpd->flushes.n; i++)
		if (handle_at(&smtpd->flushes, i) != NULL)
			wait_unanswered(handle_at(&smtpd->flushes, i), WAIT_FLUSH);
	refusal_set(&r, 451, "4.3.0", "The queue was lost, try again later");
	for (size_t i = 0; i < smtpd->messages.n; i++) {
		struct transaction *tx = handle_at(&smtpd->messages, i);

		if (tx != NULL && tx->session->phase == PH_COMMIT)
			session_end(tx->session, "the queue was lost");
		else if (tx != NULL)
			refused(tx, &r);
	}
}

static void
line_closed(void *ctx, struct peer *p, const char *why)
{
	struct smtpd *smtpd = ctx;

	room_log_drop(p, why);
	if (smtpd->queue == p)
		line_lost(smtpd);
	peer_free(p);
}

static const struct peer_ops queue_ops = {
	.on = {
		[Q_IDS] = on_ids,
		[Q_STATE] = on_state,
		[Q_CREDIT] = on_credit,
		[Q_ACCEPTED] = on_accepted,
		[Q_REFUSED] = on_refused,
		[Q_FLUSHED] = on_flushed,
	},
	.closed = line_closed,
	.drained = line_drained,
};

void
submit_line(struct smtpd *smtpd, unsigned index, int fd)
{
	if (smtpd->queue != NULL)
		line_closed(smtpd, smtpd->queue, NULL);
	smtpd->queue_epoch++;
	smtpd->queue = peer_new(smtpd->loop, fd, ROLE_SMTPD, ROLE_QUEUE, index, &queue_ops, smtpd);
}
