/* smtpd/transaction.c -- see transaction.h. */
#include "smtpd/transaction.h"

#include "common/envelope.h"
#include "common/keyed_hash.h"
#include "common/log.h"
#include "common/text.h"
#include "common/wire/address.h"
#include "smtpd/allowance.h"
#include "smtpd/receive.h"
#include "smtpd/session.h"
#include "smtpd/submit.h"

#include <stdio.h>
#include <stdlib.h>

struct transaction *
transaction_new(struct session *s, struct msgid id, struct slice sender)
{
	struct transaction *tx = calloc(1, sizeof *tx);

	if (tx == NULL)
		return NULL;
	tx->sender = text_copy(sender);
	if (tx->sender == NULL) {
		free(tx);
		return NULL;
	}
	tx->session = s;
	tx->id = id;
	tx->queue_epoch = s->smtpd->queue_epoch;
	tx->began = loop_now(s->smtpd->loop);
	tx->last = &tx->waiting;
	buf_init(&tx->rcpts, TRANSACTION_RCPTS_MAX);
	return tx;
}

const char *
transaction_priority(const struct transaction *tx, char text[PRIORITY_TEXT_MAX])
{
	if (tx == NULL || tx->declared == NULL || !tx->declared->has_priority)
		return "";
	(void)snprintf(text, PRIORITY_TEXT_MAX, "%d", tx->declared->asked_priority);
	return text;
}

static void
first_rcpt_free(struct transaction *tx)
{
	struct rcpt *r = tx->waiting;

	tx->waiting = r->next;
	if (tx->waiting == NULL)
		tx->last = &tx->waiting;
	tx->n_waiting--;
	handle_release(r->spending ? &tx->session->smtpd->spends : &tx->session->smtpd->checks, r->handle);
	free(r);
}

void
transaction_free(struct transaction **at, const char *why)
{
	struct transaction *tx = *at;

	if (tx == NULL)
		return;
	*at = NULL;
	/* Without a recipient there is nothing to miss: probes of addresses end that way all day. */
	if (why != NULL && tx->n_rcpts > 0) {
		tx->id_used = true;
		log_say(tx->given ? LOG_UNACKNOWLEDGED : LOG_ABORTED, &tx->id, F_IP("client", tx->session->ip),
		    F_TEXT("from", tx->sender), F_TEXT("why", why), F_STR("user", session_user(tx->session)));
	}
	allowance_settle(tx);
	submit_forget(tx);
	submit_return_id(tx);
	while (tx->waiting != NULL)
		first_rcpt_free(tx);
	receive_free(tx);
	buf_free(&tx->rcpts);
	free(tx->marks);
	free(tx->declared);
	free(tx->only_rcpt);
	free(tx->sender);
	free(tx);
}

struct rcpt *
rcpt_new(struct transaction *tx, struct slice canonical, struct slice orcpt)
{
	struct rcpt *r = calloc(1, sizeof *r + canonical.n + orcpt.n);

	if (r == NULL)
		return NULL;
	r->tx = tx;
	r->n = canonical.n;
	if (canonical.n > 0)
		memcpy(r->text, canonical.p, canonical.n);
	r->n_orcpt = orcpt.n;
	if (orcpt.n > 0)
		memcpy(r->text + canonical.n, orcpt.p, orcpt.n);
	*tx->last = r;
	tx->last = &r->next;
	tx->n_waiting++;
	return r;
}

/* Named twice, served once (RFC 5321 4.1.1.3 promises no more), unless other reports are wanted: what was asked of each
 * name must be kept (RFC 3461 5.2.3, 5.2.6), so they stay two. */
static bool
is_named_already(const struct transaction *tx, const struct envelope_rcpt *new, uint32_t hash)
{
	for (size_t i = 0; i < tx->n_rcpts; i++) {
		struct slice rest = slice_from(buf_slice(&tx->rcpts), tx->marks[i].at);
		struct envelope_rcpt e;

		if (tx->marks[i].hash == hash && envelope_rcpt_next(&rest, &e) && slice_eq(e.address, new->address) &&
		    e.notify == new->notify && slice_eq(e.orcpt, new->orcpt))
			return true;
	}
	return false;
}

static uint32_t
hash_of(const struct hash_key *key, const struct envelope_rcpt *e)
{
	return (uint32_t)(keyed_hash(key, e->address) + 3 * keyed_hash(key, e->orcpt) + e->notify);
}

/* False: no memory for one more. */
static bool
mark_room(struct transaction *tx)
{
	size_t cap = tx->marks_cap == 0 ? 4 : (size_t)tx->marks_cap * 2;
	struct rcpt_mark *more;

	if (tx->n_rcpts < tx->marks_cap)
		return true;
	more = reallocarray(tx->marks, cap, sizeof *more);
	if (more == NULL)
		return false;
	tx->marks = more;
	tx->marks_cap = (uint32_t)cap;
	return true;
}

void
rcpt_accept(struct rcpt *r, struct slice final, struct slice transport, struct slice nexthop, uint32_t generation)
{
	struct transaction *tx = r->tx;
	struct slice given = slice_of(r->text, r->n);
	bool rewritten = final.n > 0 && !slice_eq(final, given);
	struct envelope_rcpt e = { .address = rewritten ? final : given, .original = rewritten ? given : S(""),
	    .transport = transport, .nexthop = nexthop, .generation = generation, .notify = r->notify,
	    .orcpt = slice_of(r->text + r->n, r->n_orcpt) };
	size_t before = buf_len(&tx->rcpts);
	uint32_t hash = hash_of(&tx->session->smtpd->rcpt_key, &e);
	char *only = NULL;

	if (is_named_already(tx, &e, hash)) {
		tx->n_named++;
		r->refusal.code = 0;
		return;
	}
	if (tx->n_rcpts == 0)
		only = text_copy(given);
	if ((tx->n_rcpts == 0 && only == NULL) || !mark_room(tx) || !envelope_put_rcpt(&tx->rcpts, &e)) {
		/* A half-written recipient must not stay: cut back to where it began. */
		tx->rcpts.end = tx->rcpts.start + before;
		tx->rcpts.failed = false;
		free(only);
		refusal_set(&r->refusal, 452, "4.5.3", "Too many recipients");
		return;
	}
	if (only != NULL)
		tx->only_rcpt = only;
	tx->marks[tx->n_rcpts++] = (struct rcpt_mark){ hash, (uint32_t)before };
	tx->n_named++;
	r->refusal.code = 0;
}

void
rcpts_reply(struct transaction *tx)
{
	struct session *s = tx->session;

	while (tx->waiting != NULL && tx->waiting->handle == 0) {
		struct rcpt *r = tx->waiting;

		s->verb = "RCPT";
		if (r->refusal.code == 0)
			session_reply(s, 250, "2.1.5", "Ok");
		else
			session_refuse(s, &r->refusal, slice_of(r->text, r->n), slice_str(r->rule));
		first_rcpt_free(tx);
	}
}
