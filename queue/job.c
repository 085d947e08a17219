/* queue/job.c -- one message on one session, see job.h. */
#include "queue/job.h"

#include "common/job.h"
#include "queue/late.h"

#include <stdlib.h>

enum {
	JOB_RUN_MAX = 64 * 1024,	/* bytes of recipients in a D_JOB: it must leave room for content in the frame */
	READ_AHEAD = 4 * IPC_CONTENT_CHUNK,	/* asked of the store at once */
	DAMAGED_RETRY_MS = 3600 * 1000,
	DISK_RETRY_MS = 15 * 1000,	/* after EIO: often enough to go on by itself */
	READ_RETRY_MS = 5000,
	HOLD_LOOK_MS = 3600 * 1000,
};

static void on_envelope(void *arg, enum rc rc, struct slice bytes);
static void on_content(void *arg, enum rc rc, struct slice bytes);

static struct queue *
queue_of(const struct job *job)
{
	return job->session->carrier->queue;
}

static void
give_back(struct queue *q, struct rcpt *r, uint64_t wait_ms)
{
	struct message *m = rcpt_message(r);

	schedule_unbusy(&q->schedule, r);
	if ((m->flags & MESSAGE_GONE) != 0)
		queue_rcpt_done(q, r);
	else if (wait_ms > 0)
		schedule_wait(&q->schedule, r, wait_ms);
	else
		schedule_ready(&q->schedule, r);
}

void
job_end(struct job *job, uint64_t wait_ms)
{
	struct queue *q = queue_of(job);
	struct message *m = job->message;

	for (size_t i = 0; i < job->n_items; i++)
		if (job->items[i].rcpt != NULL)
			give_back(q, job->items[i].rcpt, wait_ms);
	if (job->reading)
		store_read_cancel(q->store, job);
	if (job->stalled) {
		struct job **at = &q->jobs_stalled;

		while (*at != job)
			at = &(*at)->next_stalled;
		*at = job->next_stalled;
	}
	job->session->job = NULL;
	buf_free(&job->envelope);
	free(job);
	message_release(m);
}

/* The message cannot be read (now). Its recipients wait; a session that knows nothing of it goes on with another. */
static void
unreadable(struct job *job, enum rc rc)
{
	struct session *s = job->session;
	bool announced = job->announced, damaged = rc == RC_CORRUPT || rc == RC_NOTFOUND;
	struct msgid id = message_id(job->message);

	if (damaged) {
		job->message->flags |= MESSAGE_DAMAGED;
		log_say(LOG_TROUBLE, &id, F_TEXT("what", "a message cannot be read; it stays in the queue"),
		    F_TEXT("error", rc_name(rc)));
	} else if (rc == RC_IO) {
		queue_read_failed(queue_of(job));
	}
	if (announced)
		(void)d_revoke_send(s->carrier->peer, s->named.handle, &(struct d_revoke){ job->number });
	job_end(job, damaged ? DAMAGED_RETRY_MS : rc == RC_IO ? DISK_RETRY_MS : READ_RETRY_MS);
	if (announced)
		s->phase = SESSION_ENDING;	/* the carrier had to cut the connection */
	else if (damaged || rc == RC_IO)
		session_next(s);
	else
		session_let_go(s);	/* memory or the line is full: not the moment for more */
}

struct job_item *
job_item(struct job *job, uint16_t index)
{
	for (size_t low = 0, high = job->n_items; low < high;) {
		size_t middle = low + (high - low) / 2;

		if (job->items[middle].index == index)
			return &job->items[middle];
		if (job->items[middle].index < index)
			low = middle + 1;
		else
			high = middle;
	}
	return NULL;
}

/* --- content --- */

static void
stall(struct job *job)
{
	struct queue *q = queue_of(job);

	if (job->stalled)
		return;
	job->stalled = true;
	job->next_stalled = q->jobs_stalled;
	q->jobs_stalled = job;
}

/* Asks for the next piece, if there is one and it may be sent. */
static void
read_on(struct job *job)
{
	struct message *m = job->message;
	uint64_t allowed = job->credited + IPC_CONTENT_WINDOW, n = m->size - job->sent;

	if (job->reading || job->stalled || job->sent >= m->size || job->sent >= allowed)
		return;
	if (n > allowed - job->sent)
		n = allowed - job->sent;
	if (n > READ_AHEAD)
		n = READ_AHEAD;
	if (peer_room(job->session->carrier->peer) < 2 * READ_AHEAD) {
		stall(job);
		return;
	}
	job->reading = true;
	store_read(queue_of(job)->store, message_id(m), m->where, job->sent, (size_t)n, on_content, job);
}

/* The recipients that a frame has room for; the rest goes back to be taken next. */
static bool
put_rcpts(struct job *job, struct buf *to)
{
	struct slice rest = job->parsed.rcpts;
	struct envelope_rcpt row;
	uint32_t index = 0;
	size_t i = 0;

	while (i < job->n_items && envelope_rcpt_next(&rest, &row)) {
		if (index++ != job->items[i].index)
			continue;
		if (buf_len(to) + JOB_RCPT_REST + row.address.n + row.orcpt.n > JOB_RUN_MAX)
			break;
		if (!job_rcpt_put(to, &(struct job_rcpt){ job->items[i].index, row.address, row.notify, row.orcpt }))
			return false;
		job->items[i++].row = row;
	}
	if (i == 0)
		return false;
	while (job->n_items > i)
		give_back(queue_of(job), job->items[--job->n_items].rcpt, 0);
	return true;
}

/* D_JOB with the first part of the content. */
static void
announce(struct job *job, struct slice content)
{
	struct session *s = job->session;
	struct message *m = job->message;
	struct buf run = BUF_INIT(JOB_RUN_MAX);
	struct msgid id = message_id(m);
	struct d_job frame = {
		.job = job->number, .id = id, .sender = job->parsed.sender, .size = m->size,
		.content = slice_first(content, IPC_CONTENT_CHUNK),
		.flags = job->parsed.flags,
		.envid = job->parsed.envid,
		.deliver_by = (uint64_t)job->parsed.deliver_by,
		.priority = (uint8_t)job->parsed.priority,
	};

	if (!put_rcpts(job, &run)) {
		buf_free(&run);
		unreadable(job, RC_CORRUPT);
		return;
	}
	frame.rcpts = buf_slice(&run);
	if (d_job_send(s->carrier->peer, s->named.handle, &frame) != RC_OK) {
		buf_free(&run);
		unreadable(job, RC_AGAIN);
		return;
	}
	buf_free(&run);
	job->announced = true;
	job->sent = frame.content.n;
	log_say(LOG_ATTEMPT, &id, F_STR("destination", destination_name(s->destination)), F_U64("nrcpt", job->n_items));
}

/* What fits into the window, in frames. content starts at job->sent. */
static void
send_content(struct job *job, struct slice content)
{
	struct session *s = job->session;

	if (!job->announced) {
		announce(job, content);
		if (s->job != job)
			return;		/* it was not to be */
		content = slice_from(content, IPC_CONTENT_CHUNK);
	}
	while (content.n > 0 && job->sent < job->credited + IPC_CONTENT_WINDOW) {
		struct slice part = slice_first(content, IPC_CONTENT_CHUNK);

		if (part.n > job->credited + IPC_CONTENT_WINDOW - job->sent)
			part.n = (size_t)(job->credited + IPC_CONTENT_WINDOW - job->sent);
		if (d_chunk_send(s->carrier->peer, s->named.handle, &(struct d_chunk){ job->number, part }) != RC_OK) {
			stall(job);
			return;
		}
		job->sent += part.n;
		content = slice_from(content, part.n);
	}
	read_on(job);
}

static void
on_content(void *arg, enum rc rc, struct slice bytes)
{
	struct job *job = arg;

	job->reading = false;
	if (rc == RC_OK && bytes.n == 0 && job->message->size > job->sent)
		rc = RC_CORRUPT;
	if (rc != RC_OK)
		unreadable(job, rc);
	else
		send_content(job, bytes);
}

const char *
job_credit(struct job *job, uint32_t bytes)
{
	if (bytes > job->sent - job->credited)
		return "credit for more than was sent";
	job->credited += bytes;
	read_on(job);
	return NULL;
}

void
job_drained(struct queue *q, struct carrier *carrier)
{
	struct job *stalled = q->jobs_stalled;

	q->jobs_stalled = NULL;
	while (stalled != NULL) {
		struct job *job = stalled;

		stalled = job->next_stalled;
		job->stalled = false;
		if (job->session->carrier == carrier)
			read_on(job);
		else
			stall(job);
	}
}

/* --- the start --- */

/* An operator's flush, or a clock that jumped: it is still not its time (RFC 4865 4.2). */
static bool
held_back(const struct job *job)
{
	return job->parsed.hold_until != 0 && job->parsed.hold_until > queue_wall();
}

static void
hold(struct job *job)
{
	struct session *s = job->session;
	int64_t ms = (job->parsed.hold_until - queue_wall()) / 1000 + 1;

	job_end(job, ms > HOLD_LOOK_MS ? HOLD_LOOK_MS : (uint64_t)ms);
	session_let_go(s);
}

/* RFC 2852 4.1.3: with mode R there are no attempts when the time is over. */
static bool
is_too_late(const struct job *job)
{
	struct queue *q = queue_of(job);
	const struct envelope *e = &job->parsed;

	if (job->message->late == NULL && e->deliver_by != 0)	/* there was no memory for it */
		queue_set_by(q, job->message, e);
	return late_is_over(&q->schedule, job->message, true);
}

static void
with_envelope(struct job *job, struct slice content, bool have_content)
{
	struct message *m = job->message;

	if (envelope_parse(buf_slice(&job->envelope), &job->parsed) != RC_OK || job->parsed.n_rcpts != m->n_rcpts) {
		unreadable(job, RC_CORRUPT);
		return;
	}
	if (held_back(job)) {
		hold(job);
		return;
	}
	if (is_too_late(job)) {
		struct session *s = job->session;

		job_end(job, LATE_BUSY_S * 1000);	/* it is about to be returned */
		session_let_go(s);
		return;
	}
	if (have_content || m->size == 0) {
		send_content(job, content);
		return;
	}
	read_on(job);
}

static void
on_envelope(void *arg, enum rc rc, struct slice bytes)
{
	struct job *job = arg;

	job->reading = false;
	if (rc == RC_OK && !buf_put_slice(&job->envelope, bytes))
		rc = RC_NOMEM;
	if (rc != RC_OK)
		unreadable(job, rc);
	else
		with_envelope(job, S(""), false);
}

static int
by_index(const void *a, const void *b)
{
	const struct job_item *left = a, *right = b;

	return (int)left->index - (int)right->index;
}

enum rc
job_start(struct session *s, struct rcpt *const *rcpts, size_t n)
{
	struct queue *q = s->carrier->queue;
	struct message *m = rcpt_message(rcpts[0]);
	struct job *job = calloc(1, sizeof *job + n * sizeof job->items[0]);
	struct slice envelope, content;

	if (job == NULL) {
		for (size_t i = 0; i < n; i++)
			give_back(q, rcpts[i], READ_RETRY_MS);
		return RC_NOMEM;
	}
	job->session = s;
	job->message = m;
	job->number = ++q->last_job;
	job->taken_ms = loop_now(q->room->loop);
	job->n_items = n;
	for (size_t i = 0; i < n; i++)
		job->items[i] = (struct job_item){ .rcpt = rcpts[i], .index = rcpts[i]->due.index };
	qsort(job->items, n, sizeof job->items[0], by_index);	/* they are found in one pass over the envelope */
	buf_init(&job->envelope, STORE_ENVELOPE_MAX);
	s->job = job;
	message_hold(m);
	if (recent_get(m, &envelope, &content) && buf_put_slice(&job->envelope, envelope)) {
		with_envelope(job, content, true);
		return RC_OK;
	}
	job->reading = true;
	store_read_envelope(q->store, message_id(m), m->where, on_envelope, job);
	return RC_OK;
}
