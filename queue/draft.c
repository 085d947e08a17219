/* queue/draft.c -- mail on its way in, see draft.h. */
#include "queue/draft.h"

#include "queue/handles.h"

#include <stdlib.h>
#include <unistd.h>

enum {
	IDS_BURST = 16,			/* blocks an smtpd may ask for at once; then one for each IDS_PACE_MS */
	IDS_PACE_MS = 5,
	FLUSH_PACE_MS = 10 * 1000,
};

struct smtpd_line {
	struct smtpd_line *next;
	struct queue *queue;
	struct peer *peer;
	struct granted_ids ids;
	struct tree drafts;		/* by handle */
	uint64_t since_ms;
	uint64_t blocks;
};

struct draft {
	struct handled named;		/* first */
	struct queue *queue;
	struct smtpd_line *line;	/* NULL: lost after the commit */
	bool committing;
	struct message *message;	/* made before the commit: nothing can fail behind it */
	struct store_stream *stream;
	uint64_t size, granted;
	uint64_t counted;		/* its share of queue.draft_bytes */
	size_t n_envelope;
	uint8_t envelope[];
};

static struct draft *
find(struct smtpd_line *line, uint32_t handle)
{
	return handles_find(&line->drafts, handle);
}

static struct slice
envelope_of(const struct draft *d)
{
	return slice_of(d->envelope, d->n_envelope);
}

/* The one end of every draft. */
static void
draft_free(struct draft *d)
{
	struct queue *q = d->queue;

	if (d->line != NULL)
		handles_remove(&d->line->drafts, &d->named);
	store_stream_abort(&d->stream);
	if (d->message != NULL)
		recent_drop(&q->recents, d->message);
	free(d->message);
	q->draft_bytes -= d->counted;
	q->n_drafts--;
	free(d);
}

/* --- refusals --- */

static void
refuse(struct smtpd_line *line, uint32_t handle, uint16_t code, struct slice enhanced, struct slice text)
{
	(void)q_refused_send(line->peer, handle, &(struct q_refused){ code, enhanced, text });
}

static void
refuse_for(struct smtpd_line *line, uint32_t handle, enum rc rc)
{
	switch (rc) {
	case RC_NOSPACE:
	case RC_NOMEM:
	case RC_AGAIN:
		refuse(line, handle, 452, S("4.3.1"), S("Insufficient system storage, try again later"));
		break;
	case RC_RANGE:
		refuse(line, handle, 552, S("5.3.4"), S("Message too big"));
		break;
	case RC_OK:
	case RC_SYNTAX:
	case RC_MORE:
	case RC_NOTFOUND:
	case RC_EXISTS:
	case RC_IO:
	case RC_CORRUPT:
	case RC_DENIED:
	case RC_CLOSED:
	case RC_TIMEOUT:
	case RC_UNSUPPORTED:
		refuse(line, handle, 451, S("4.3.0"), S("The message could not be stored, try again later"));
		break;
	}
}

/* --- the state that smtpds are told --- */

enum intake { INTAKE_UNTOLD, INTAKE_OPEN, INTAKE_FULL, INTAKE_FAILED };

static enum intake
intake_now(const struct queue *q)
{
	if (!q->recovered || q->closing)
		return INTAKE_FAILED;
	switch (store_state(q->store)) {
	case STORE_FAILED:
		return INTAKE_FAILED;
	case STORE_FULL:
		return INTAKE_FULL;
	case STORE_OK:
		break;
	}
	return messages_count(&q->messages) + store_untold(q->store) + q->n_drafts >= queue_conf(q)->queue.max_messages ?
	    INTAKE_FULL : INTAKE_OPEN;
}

/* The largest message that fits, when that is less than the configuration allows anyhow; else 0. */
static uint64_t
room_left(const struct queue *q)
{
	uint64_t largest = queue_conf(q)->smtpd.max_message_size, free_bytes, min = queue_conf(q)->queue.min_free;

	if (!q->recovered)
		return 0;
	free_bytes = store_free_bytes(q->store);
	free_bytes = free_bytes > min ? free_bytes - min : 0;
	return free_bytes / 2 >= largest ? 0 : free_bytes / 2 + 1;
}

static void
tell(struct queue *q, struct smtpd_line *line)
{
	struct q_state m = { 1, 0, S(""), S(""), q->told_room };

	if (q->told == INTAKE_FULL)
		m = (struct q_state){ 0, 452, S("4.3.1"), S("Insufficient system storage, try again later"), 0 };
	else if (q->told != INTAKE_OPEN)
		m = (struct q_state){ 0, 451, S("4.3.0"), S("The mail system cannot take mail now, try again later"), 0 };
	(void)q_state_send(line->peer, 0, &m);
}

void
intake_tell(struct queue *q)
{
	enum intake now = intake_now(q);
	uint64_t room = room_left(q);

	if (now == q->told && room == q->told_room)
		return;
	q->told = (uint8_t)now;
	q->told_room = room;
	for (struct smtpd_line *line = q->smtpds; line != NULL; line = line->next)
		if (peer_alive(line->peer))
			tell(q, line);
}

/* Bytes of mail that may still come into memory. */
static uint64_t
spare_bytes(const struct queue *q)
{
	uint64_t used = q->draft_bytes + store_forsaken_bytes(q->store);

	return used < DRAFT_BYTES_MAX ? DRAFT_BYTES_MAX - used : 0;
}

/* The envelope is kept twice: here and in what goes to the disk. */
static uint64_t
bytes_of_envelope(size_t envelope)
{
	return 2 * (uint64_t)envelope;
}

/* RC_OK: there is room for one more, of so many bytes. */
static enum rc
admit(const struct queue *q, const struct smtpd_line *line, bool whole, uint64_t bytes)
{
	/* Messages that are long under way may not keep out those that come in one piece. */
	uint64_t kept_free = whole ? 0 : DRAFT_BYTES_MAX / 4;

	if (intake_now(q) == INTAKE_FAILED)
		return RC_IO;
	if (intake_now(q) == INTAKE_FULL || spare_bytes(q) < kept_free + bytes || line->drafts.n >= DRAFTS_LINE_MAX)
		return RC_NOSPACE;
	return RC_OK;
}

/* --- the end of a draft: durable, or not --- */

static void
on_durable(void *arg, enum rc rc, struct store_where where)
{
	struct draft *d = arg;
	struct queue *q = d->queue;
	struct envelope e;

	if (rc != RC_OK) {
		if (d->line != NULL)
			refuse_for(d->line, d->named.handle, rc);
		draft_free(d);
		return;
	}
	if (d->line != NULL)
		(void)q_accepted_send(d->line->peer, d->named.handle, &(struct q_accepted){ message_id(d->message) });
	BUG_ON(envelope_parse(envelope_of(d), &e) != RC_OK);	/* checked when it came */
	d->message->where = where;
	d->message->size = d->size;
	q->n_accepted++;
	queue_enter(q, d->message, &e);
	d->message = NULL;
	draft_free(d);
}

static struct store_mail
mail_of(const struct draft *d, const struct slice *content, size_t n_content)
{
	return (struct store_mail){ message_id(d->message), d->message->n_rcpts, envelope_of(d), content, n_content };
}

/* --- frames --- */

/* Checks what Q_SUBMIT and Q_BEGIN share, and makes the draft. RC_OK with *ret_draft, or a refusal to be sent. */
static const char *
draft_new(struct smtpd_line *line, bool whole, uint32_t handle, struct msgid id, struct slice envelope, uint64_t bytes,
    struct draft **ret_draft, enum rc *ret_rc)
{
	struct queue *q = line->queue;
	struct envelope e;
	struct draft *d;
	const char *why = draft_check_envelope(envelope, &e);

	if (why != NULL)
		return why;
	if (find(line, handle) != NULL)
		return "a handle that is in use";
	if (!granted_ids_use(&line->ids, id))
		return "an id that it was not given, or used before";
	bytes += bytes_of_envelope(envelope.n);
	*ret_rc = admit(q, line, whole, bytes);
	if (*ret_rc != RC_OK)
		return NULL;
	*ret_rc = RC_NOMEM;
	d = calloc(1, sizeof *d + envelope.n);
	if (d == NULL)
		return NULL;
	d->message = message_new(id, e.n_rcpts);
	if (d->message == NULL) {
		free(d);
		return NULL;
	}
	memcpy(d->envelope, envelope.p, envelope.n);
	d->n_envelope = envelope.n;
	d->queue = q;
	d->line = line;
	d->named.handle = handle;
	d->counted = bytes;
	q->draft_bytes += bytes;
	q->n_drafts++;
	BUG_ON(!handles_add(&line->drafts, &d->named));
	*ret_draft = d;
	*ret_rc = RC_OK;
	return NULL;
}

/* After the commit it only shrinks, and counts what it did. */
static void
count_bytes(struct draft *d)
{
	uint64_t share = bytes_of_envelope(d->n_envelope) + draft_share(store_stream_held(d->stream), d->granted - d->size);

	d->queue->draft_bytes += share - d->counted;
	d->counted = share;
}

static bool
too_big(const struct draft *d, uint64_t size)
{
	return size > queue_conf(d->queue)->smtpd.max_message_size + DRAFT_TRACE_MAX;
}

static const char *
on_submit(void *ctx, struct peer *p, uint32_t handle, struct rd *body, int fd)
{
	struct smtpd_line *line = ctx;
	struct draft *d = NULL;
	struct q_submit m;
	struct store_mail mail;
	const char *why;
	enum rc rc;

	(void)p, (void)fd;
	if (!q_submit_get(body, &m))
		return "malformed Q_SUBMIT";
	why = draft_new(line, true, handle, m.id, m.envelope, m.content.n, &d, &rc);
	if (why != NULL)
		return why;
	if (rc != RC_OK) {
		refuse_for(line, handle, rc);
		return NULL;
	}
	d->committing = true;
	d->size = m.content.n;
	recent_keep(&line->queue->recents, d->message, m.envelope, m.content);
	mail = mail_of(d, &m.content, 1);
	store_put(line->queue->store, &mail, on_durable, d);
	return NULL;
}

/* As much credit as the store has room for, at most a window ahead of what came; less while memory is short. What is short
 * of it for that reason goes on from its file: the disk makes the room that it needs. */
static void
grant(struct draft *d)
{
	uint64_t ahead = d->granted - d->size, window = store_stream_window(d->stream), held, credit;

	count_bytes(d);
	if (window > IPC_CONTENT_WINDOW)
		window = IPC_CONTENT_WINDOW;
	if (window < ahead + DRAFT_CREDIT_STEP)
		return;
	held = store_stream_held(d->stream);
	credit = draft_credit(window, held, ahead, spare_bytes(d->queue));
	if (credit == 0)
		store_stream_to_file(d->stream);
	else if (q_credit_send(d->line->peer, d->named.handle, &(struct q_credit){ (uint32_t)credit }) == RC_OK) {
		d->granted += credit;
		count_bytes(d);
	}
}

static void
on_stream(void *arg, enum rc rc)
{
	struct draft *d = arg;

	if (d->committing)
		return;
	if (rc == RC_OK) {
		grant(d);
		return;
	}
	refuse_for(d->line, d->named.handle, rc);
	draft_free(d);
}

static const char *
on_begin(void *ctx, struct peer *p, uint32_t handle, struct rd *body, int fd)
{
	struct smtpd_line *line = ctx;
	struct draft *d = NULL;
	struct store_mail mail;
	struct q_begin m;
	const char *why;
	enum rc rc;

	(void)p, (void)fd;
	if (!q_begin_get(body, &m))
		return "malformed Q_BEGIN";
	why = draft_new(line, false, handle, m.id, m.envelope, DRAFT_SHARE_MIN, &d, &rc);
	if (why != NULL)
		return why;
	if (rc == RC_OK && m.size_hint > 0 && too_big(d, m.size_hint))
		rc = RC_RANGE;
	if (rc == RC_OK) {
		mail = mail_of(d, NULL, 0);
		rc = store_stream_begin(line->queue->store, &mail, m.size_hint, on_stream, d, &d->stream);
	}
	if (rc != RC_OK) {
		refuse_for(line, handle, rc);
		if (d != NULL)
			draft_free(d);
		return NULL;
	}
	d->granted = IPC_CONTENT_WINDOW;
	return NULL;
}

/* A draft that was refused while its next chunk was under way is unknown here: that is nobody's fault. */
static const char *
on_chunk(void *ctx, struct peer *p, uint32_t handle, struct rd *body, int fd)
{
	struct smtpd_line *line = ctx;
	struct draft *d = find(line, handle);
	struct q_chunk m;
	enum rc rc;

	(void)p, (void)fd;
	if (!q_chunk_get(body, &m) || m.content.n > IPC_CONTENT_CHUNK)
		return "malformed Q_CHUNK";
	if (d == NULL)
		return NULL;
	if (d->committing)
		return "content behind the end of a message";
	if (m.content.n > d->granted - d->size)
		return "content without credit";
	d->size += m.content.n;
	rc = too_big(d, d->size) ? RC_RANGE : store_stream_append(d->stream, m.content);
	if (rc != RC_OK) {
		refuse_for(line, handle, rc);
		draft_free(d);
		return NULL;
	}
	grant(d);
	return NULL;
}

/* Known only now: the envelope has not gone to the disk yet. */
static void
add_flags(struct draft *d, uint32_t flags)
{
	/* One without the field is as one with zeros; whoever sends flags later must have sent it. */
	if (!envelope_add_flags(d->envelope, d->n_envelope, flags))
		return;
	store_stream_envelope(d->stream, envelope_of(d));
}

static const char *
on_commit(void *ctx, struct peer *p, uint32_t handle, struct rd *body, int fd)
{
	struct smtpd_line *line = ctx;
	struct draft *d = find(line, handle);
	struct q_commit m;

	(void)p, (void)fd;
	if (!q_commit_get(body, &m))
		return "malformed Q_COMMIT";
	if (d == NULL)
		return NULL;
	if (d->committing)
		return "a second Q_COMMIT";
	if (m.size != d->size)
		return "a message of another size than its parts";
	if ((m.flags & ~(uint32_t)ENVELOPE_FROM_CLIENT) != 0)
		return "a message with flags that are ours";
	d->committing = true;
	if (m.flags != 0)
		add_flags(d, m.flags);
	store_stream_commit(&d->stream, on_durable, d);
	return NULL;
}

/* After the commit there is no way back: it may be durable already. */
static const char *
on_abort(void *ctx, struct peer *p, uint32_t handle, struct rd *body, int fd)
{
	struct smtpd_line *line = ctx;
	struct draft *d = find(line, handle);
	struct q_abort m;

	(void)p, (void)fd;
	if (!q_abort_get(body, &m))
		return "malformed Q_ABORT";
	if (d != NULL && !d->committing)
		draft_free(d);
	return NULL;
}

/* --- ids --- */

static const char *
give_ids(struct smtpd_line *line)
{
	struct queue *q = line->queue;
	uint64_t allowed = IDS_BURST + (loop_now(q->room->loop) - line->since_ms) / IDS_PACE_MS;
	struct q_ids m = { .count = IDS_BLOCK };
	enum rc rc;

	if (line->blocks++ >= allowed)
		return "it asks for more ids than it can use";
	rc = granted_ids_more(&line->ids, &q->ids, &m.first);
	if (rc == RC_OK)
		(void)q_ids_send(line->peer, 0, &m);
	if (rc == RC_RANGE)
		room_exit(q->room);	/* the next boot has new ones */
	return NULL;
}

static const char *
on_ids_want(void *ctx, struct peer *p, uint32_t handle, struct rd *body, int fd)
{
	struct q_ids_want m;

	(void)p, (void)handle, (void)fd;
	return q_ids_want_get(body, &m) ? give_ids(ctx) : "malformed Q_IDS_WANT";
}

/* --- ETRN --- */

/* A flush looks at all that waits: it is done once in a while, whoever asks. */
static const char *
on_flush(void *ctx, struct peer *p, uint32_t handle, struct rd *body, int fd)
{
	struct smtpd_line *line = ctx;
	struct queue *q = line->queue;
	struct q_flushed answer = { RC_OK, 0 };
	uint64_t now = loop_now(q->room->loop);
	struct destination *d;
	struct q_flush m;

	(void)p, (void)fd;
	if (!q_flush_get(body, &m) || !draft_name_fits(m.domain))
		return "malformed Q_FLUSH";
	d = destination_find(&q->schedule.destinations, S("smtp"), m.domain);
	if (d != NULL && d->n_refs > 0) {
		answer.waiting = d->n_refs;
		/* Another flush would end the one that is under way. */
		if (q->schedule.waiting.flushing || (q->flushed_ms != 0 && now - q->flushed_ms < FLUSH_PACE_MS)) {
			answer.status = RC_AGAIN;
		} else {
			q->flushed_ms = now;
			schedule_flush_destination(&q->schedule, d);
			queue_pump(q);
		}
	}
	(void)q_flushed_send(line->peer, handle, &answer);
	return NULL;
}

/* --- lines --- */

static void
line_closed(void *ctx, struct peer *p, const char *why)
{
	struct smtpd_line *line = ctx, **at = &line->queue->smtpds;
	struct tree_node *n;

	room_log_drop(p, why);
	while ((n = tree_drain(&line->drafts)) != NULL) {
		struct draft *d = (struct draft *)(void *)n;

		d->line = NULL;
		if (!d->committing)
			draft_free(d);
	}
	while (*at != line)
		at = &(*at)->next;
	*at = line->next;
	granted_ids_free(&line->ids);
	peer_free(p);
	free(line);
}

static const struct peer_ops line_ops = {
	.on = {
		[Q_IDS_WANT] = on_ids_want, [Q_SUBMIT] = on_submit, [Q_BEGIN] = on_begin, [Q_CHUNK] = on_chunk,
		[Q_COMMIT] = on_commit, [Q_ABORT] = on_abort, [Q_FLUSH] = on_flush,
	},
	.closed = line_closed,
};

void
smtpd_line_new(struct queue *q, unsigned index, int fd)
{
	struct smtpd_line *line = calloc(1, sizeof *line);

	if (line == NULL) {
		(void)close(fd);
		return;
	}
	line->queue = q;
	line->since_ms = loop_now(q->room->loop);
	handles_init(&line->drafts);
	line->peer = peer_new(q->room->loop, fd, ROLE_QUEUE, ROLE_SMTPD, index, &line_ops, line);
	if (line->peer == NULL) {
		free(line);
		return;
	}
	line->next = q->smtpds;
	q->smtpds = line;
	if (!q->recovered)
		return;
	tell(q, line);
	(void)give_ids(line);
}
