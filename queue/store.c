/* queue/store.c -- the loop's side of the spool: builds what the committer writes, and keeps the books when it is durable. */
#include "queue/store_private.h"

#include "common/log.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

static void op_done(struct spool_work *w);
static void file_rolled(struct spool_work *w);
static void committer_notice(struct spool_work *w);
static void on_timer(struct timer *t, void *ctx);

static const struct committer_ops committer_ops = { op_done, file_rolled, committer_notice };

/* --- life --- */

struct store *
store_new(struct loop *loop, struct spool_io *io, const struct store_params *params, const struct store_ops *ops,
    void *ctx)
{
	struct store *s = calloc(1, sizeof *s);

	if (s == NULL)
		return NULL;
	BUG_ON(params->segment_size < 64 * 1024 || params->segment_size > SPOOL_SEGMENT_MAX - SPOOL_PAYLOAD_MAX);
	BUG_ON(params->big_message > SPOOL_PAYLOAD_MAX - STORE_ENVELOPE_MAX - SPOOL_HEAD_BYTES);
	s->loop = loop;
	s->io = io;
	s->params = *params;
	s->ops = ops;
	s->ctx = ctx;
	s->lock_fd = -1;
	timer_setup(&s->timer, loop, on_timer, s);
	if (spool_bell_init(&s->bell) != RC_OK)
		goto no_bell;
	if (committer_init(&s->committer, io, &s->bell, &committer_ops, s, params->segment_size) != RC_OK)
		goto no_committer;
	if (spool_pool_init(&s->readers, &s->bell) != RC_OK)
		goto no_readers;
	if (spool_pool_init(&s->writers, &s->bell) != RC_OK)
		goto no_writers;
	if (spool_pool_init(&s->keeper, &s->bell) == RC_OK)
		return s;
	spool_pool_end(&s->writers);
no_writers:
	spool_pool_end(&s->readers);
no_readers:
	committer_end(&s->committer);
no_committer:
	spool_bell_end(&s->bell);
no_bell:
	free(s);
	return NULL;
}

enum rc
store_threads_start(struct store *s)
{
	enum rc rc = spool_bell_attach(&s->bell, s->loop);

	if (rc == RC_OK)
		rc = committer_start(&s->committer);
	if (rc == RC_OK)
		rc = spool_pool_start(&s->readers, READERS);
	if (rc == RC_OK)
		rc = spool_pool_start(&s->writers, WRITERS);
	if (rc == RC_OK)
		rc = spool_pool_start(&s->keeper, 1);
	s->threaded = true;
	return rc;
}

static void
stop_threads(struct store *s)
{
	spool_pool_stop(&s->writers);
	spool_pool_stop(&s->readers);
	committer_join(&s->committer);
	spool_pool_stop(&s->keeper);
	s->threaded = false;
}

void
store_close(struct store *s)
{
	timer_cancel(&s->timer);
	streams_forget(s);
	stop_threads(s);
	s->closing = true;
	store_pump(s);
	if (s->recovery != NULL)
		recovery_end(s->recovery, false);
	if (s->recovered) {
		committer_probe(&s->committer);
		store_pump(s);
		committer_refuse_held(&s->committer);
		store_pump(s);
		if (s->committer.current != NULL && s->committer.current->batch != 0)
			(void)spool_file_seal(s->committer.current);
	}
	s->recovered = false;
}

void
store_free(struct store *s)
{
	if (s == NULL)
		return;
	timer_cancel(&s->timer);
	stop_threads(s);
	spool_pool_end(&s->keeper);
	spool_pool_end(&s->writers);
	spool_pool_end(&s->readers);
	spool_bell_end(&s->bell);
	if (s->recovery != NULL)
		recovery_end(s->recovery, false);
	committer_end(&s->committer);
	streams_forget(s);
	reads_forget(s);
	segments_free(s);
	if (s->lock_fd >= 0)
		(void)s->io->ops->close(s->io, s->lock_fd);
	free(s);
}

void
store_pump(struct store *s)
{
	bool more;

	do {
		more = committer_pump(&s->committer);
		more |= spool_pool_pump(&s->writers);
		more |= spool_pool_pump(&s->keeper);
		more |= spool_pool_pump(&s->readers);
		more |= spool_bell_answer(&s->bell);
	} while (more);
}

struct msgid
store_first_id(const struct store *s)
{
	return (struct msgid){ .spool = s->ident.spool, .boot = s->ident.boot, .seq = 1 };
}

/* --- states --- */

enum store_state
store_state(const struct store *s)
{
	return s->state;
}

uint64_t
store_free_bytes(const struct store *s)
{
	return s->free_bytes;
}

static enum store_state
state_now(const struct store *s, const char **ret_why)
{
	if (s->committer_state == COMMITTER_FAILED) {
		*ret_why = "the disk refuses to write";
		return STORE_FAILED;
	}
	if (s->committer_state == COMMITTER_FULL || s->spare_failed) {
		*ret_why = "no space for another segment";
		return STORE_FULL;
	}
	if (s->free_bytes < s->params.min_free) {
		*ret_why = "less than min-free is left";
		return STORE_FULL;
	}
	*ret_why = "the spool takes mail";
	return STORE_OK;
}

void
store_update_state(struct store *s)
{
	const char *why;
	enum store_state state = state_now(s, &why);

	if (state == s->state || !s->recovered)
		return;
	s->state = state;
	switch (state) {
	case STORE_OK:
		log_say(LOG_SPOOL_RECOVERED, NULL, F_TEXT("why", why));
		break;
	case STORE_FULL:
		log_say(LOG_SPOOL_FULL, NULL, F_TEXT("why", why), F_U64("free", s->free_bytes));
		break;
	case STORE_FAILED:
		/* NOLINTNEXTLINE(concurrency-mt-unsafe): the loop alone asks, and glibc has the text per thread */
		log_say(LOG_SPOOL_FAILED, NULL, F_TEXT("why", why), F_TEXT("error", strerror(s->committer_error)));
		break;
	}
	if (s->ops->state != NULL)
		s->ops->state(s->ctx, state, why);
}

static void
committer_notice(struct spool_work *w)
{
	struct committer *c = (struct committer *)(void *)((uint8_t *)w - offsetof(struct committer, notice));
	struct store *s = c->owner;
	struct committer_look look = committer_look(c);

	s->committer_state = look.state;
	s->committer_error = look.error;
	segments_set_current(s, look.current);
	store_update_state(s);
}

static void
file_rolled(struct spool_work *w)
{
	struct spool_file *f = (struct spool_file *)(void *)w;
	struct store *s = f->owner;

	keeper_seal(s, f);
	keeper_want_spare(s);
	keeper_look_at_space(s);
}

void
store_probe(struct store *s)
{
	if (!s->recovered)
		return;
	keeper_look_at_space(s);
	if (s->committer_state != COMMITTER_OK)
		committer_probe(&s->committer);
}

static void
on_timer(struct timer *t, void *ctx)
{
	store_probe(ctx);
	timer_start(t, PROBE_MS);
}

/* --- ops: durable or not --- */

static void
keep_books(struct store *s, struct spool_op *op)
{
	struct segment *home;

	segments_set_current(s, op->segment);
	home = segments_find(s, op->segment);
	if (op->has_mail && home != NULL)
		home->live++;
	for (size_t i = 0; i < op->n_refs; i++) {
		const struct op_ref *r = &op->refs[i];
		struct segment *about;

		segments_refer(s, op->segment, r->segment);
		about = segments_find(s, r->segment);
		if (!r->drop)
			continue;
		if (about != NULL && about->live > 0)
			about->live--;
		if (r->big)
			keeper_unlink_big(s, r->id);
		segments_consider(s, r->segment);
	}
	if (op->dead != 0)
		segments_dead(s, op->dead);
}

static void
op_done(struct spool_work *w)
{
	struct spool_op *op = (struct spool_op *)(void *)w;
	struct store *s = op->store;
	struct store_where where = { 0, 0, 0 };

	s->held_changes -= op->n_changes;
	if (op->rc == RC_OK) {
		keep_books(s, op);
		if (op->has_mail) {
			where.segment = op->segment;
			where.offset = op->offset / SPOOL_ALIGN;
			where.length = (uint32_t)spool_frame_bytes(spool_header_peek(op->frames).length);
			where.length |= op->has_big ? UINT32_C(1) << 31 : 0;
		}
	} else if (op->has_big)
		keeper_unlink_big(s, op->mail);
	if (op->fn != NULL)
		op->fn(op->arg, op->rc, where);
	spool_op_free(op);
}

void
store_answer_op(struct store *s, struct spool_op *op, enum rc rc)
{
	op->rc = rc;
	op->work.done = op_done;
	spool_bell_ring(&s->bell, &op->work);
}

void
store_queue_op(struct store *s, struct spool_op *op)
{
	s->held_changes += op->n_changes;
	if (op->client && s->state != STORE_OK)
		store_answer_op(s, op, s->state == STORE_FULL ? RC_NOSPACE : RC_IO);
	else if (op->n_changes > 0 && s->held_changes > STORE_HELD_MAX)
		store_answer_op(s, op, RC_IO);
	else
		committer_queue(&s->committer, op);
}

/* --- building ops --- */

static size_t
content_bytes(const struct store_mail *m)
{
	size_t n = 0;

	for (size_t i = 0; i < m->n_content; i++)
		if (__builtin_add_overflow(n, m->content[i].n, &n))
			return SIZE_MAX;
	return n;
}

static bool
add_mail(struct store *s, struct spool_op *op, const struct store_mail *m, size_t content)
{
	struct spool_head head = { .n_rcpts = m->n_rcpts, .envelope = (uint32_t)m->envelope.n, .content = content,
		.stored_at = s->io->ops->now(s->io) };
	size_t length = SPOOL_HEAD_BYTES + m->envelope.n + content;
	uint8_t *p = spool_op_frame(op, SPOOL_MESSAGE, m->id, (uint32_t)length);
	struct wr w = { p, 0, length, false };

	if (p == NULL)
		return false;
	spool_head_put(&w, &head);
	wr_bytes(&w, m->envelope.p, m->envelope.n);
	for (size_t i = 0; i < m->n_content; i++)
		wr_bytes(&w, m->content[i].p, m->content[i].n);
	op->has_mail = true;
	op->mail = m->id;
	return true;
}

static uint8_t
type_of_change(enum store_change_kind kind)
{
	switch (kind) {
	case STORE_CHANGE_DONE:
		return SPOOL_DONE;
	case STORE_CHANGE_BOUNCED:
		return SPOOL_BOUNCED;
	case STORE_CHANGE_NOTICED:
		return SPOOL_NOTICED;
	case STORE_CHANGE_DEFERRED:
		return SPOOL_DEFERRED;
	case STORE_CHANGE_FLAGS:
		return SPOOL_FLAGS;
	case STORE_CHANGE_DROP:
		return SPOOL_DROP;
	}
	BUG("a change of no kind");
}

/* How many changes from c on fit in one record: the same thing said of several recipients of one message. */
static size_t
run_of_changes(const struct store_change *c, size_t n)
{
	size_t run = 1;

	if (c->kind == STORE_CHANGE_DEFERRED || c->kind == STORE_CHANGE_FLAGS || c->kind == STORE_CHANGE_DROP)
		return 1;
	while (run < n && c[run].kind == c->kind && msgid_eq(c[run].id, c->id))
		run++;
	return run;
}

static bool
add_changes(struct spool_op *op, const struct store_change *c, size_t run)
{
	struct slice text = slice_first(c->text, STORE_TEXT_MAX);
	struct spool_deferred d = { c->rcpt, c->attempts, c->code, c->next, c->first_failure, text };
	uint8_t type = type_of_change(c->kind);
	size_t length = type == SPOOL_DROP ? 0 : type == SPOOL_FLAGS ? 4 :
	    type == SPOOL_DEFERRED ? spool_deferred_bytes(text.n) : 4 + 4 * run;
	uint8_t *p = spool_op_frame(op, type, c->id, (uint32_t)length);
	struct wr w = { p, 0, length, false };

	if (p == NULL)
		return false;
	if (type == SPOOL_DEFERRED)
		spool_deferred_put(&w, &d);
	else if (type == SPOOL_FLAGS)
		wr_u32(&w, c->flags);
	else if (type != SPOOL_DROP) {
		wr_u32(&w, (uint32_t)run);
		for (size_t i = 0; i < run; i++)
			wr_u32(&w, c[i].rcpt);
	}
	BUG_ON(w.bad || w.n != length);
	return spool_op_refer(op, c->id, c->where.segment, type == SPOOL_DROP, store_where_is_big(c->where));
}

/* Too large for a record: the way of mail that comes in pieces. */
static void
put_big(struct store *s, const struct store_mail *m, store_done_fn *fn, void *arg)
{
	struct store_stream *stream;
	enum rc rc = store_stream_begin(s, m, 0, NULL, NULL, &stream);

	if (rc == RC_OK) {
		store_stream_commit(&stream, fn, arg);
		return;
	}
	struct spool_op *op = spool_op_new(s, 0);
	if (op == NULL) {
		if (fn != NULL)
			fn(arg, RC_NOMEM, (struct store_where){ 0, 0, 0 });
		return;
	}
	op->fn = fn;
	op->arg = arg;
	store_answer_op(s, op, rc);
}

static bool
build(struct store *s, struct spool_op *op, const struct store_mail *mail, size_t content,
    const struct store_change *changes, size_t n_changes)
{
	if (mail != NULL && !add_mail(s, op, mail, content))
		return false;
	for (size_t i = 0, run; i < n_changes; i += run) {
		run = run_of_changes(&changes[i], n_changes - i);
		if (!add_changes(op, &changes[i], run))
			return false;
	}
	return true;
}

void
store_commit(struct store *s, const struct store_mail *mail, const struct store_change *changes, size_t n_changes,
    store_done_fn *fn, void *arg)
{
	size_t content = mail == NULL ? 0 : content_bytes(mail);
	struct spool_op *op;

	BUG_ON(!s->recovered || n_changes > STORE_CHANGES_MAX);
	if (mail != NULL && n_changes == 0 && content > s->params.big_message && mail->envelope.n <= STORE_ENVELOPE_MAX) {
		put_big(s, mail, fn, arg);
		return;
	}
	bool too_large = mail != NULL && (mail->envelope.n > STORE_ENVELOPE_MAX || mail->n_rcpts > mail->envelope.n ||
	    content > SPOOL_PAYLOAD_MAX - STORE_ENVELOPE_MAX - SPOOL_HEAD_BYTES);
	op = spool_op_new(s, mail == NULL || too_large ? 0 : spool_frame_bytes((uint32_t)(SPOOL_HEAD_BYTES +
	    mail->envelope.n + content)));
	if (op == NULL || (!too_large && !build(s, op, mail, content, changes, n_changes))) {
		spool_op_free(op);
		if (fn != NULL)
			fn(arg, RC_NOMEM, (struct store_where){ 0, 0, 0 });
		return;
	}
	op->fn = fn;
	op->arg = arg;
	op->client = n_changes == 0;
	if (too_large) {
		op->has_mail = false;
		store_answer_op(s, op, RC_RANGE);
		return;
	}
	op->n_changes = (uint32_t)n_changes;
	store_queue_op(s, op);
}
