/* deliver/local_relay.c -- the frames of a session, from the queue to its mailbox process and back, see local.h.
 *
 * A frame for a session that is not there crossed with its D_CLOSED: it is passed over. */
#include "deliver/local.h"

#include <stdlib.h>

enum { CHILD_HANDLE = 1 };	/* one session on the line to a process */

/* What could not be sent to the process: either it is gone, and closed() follows, or it does not read. */
static void
sent(struct local_session *s, enum rc rc)
{
	if (rc != RC_OK && rc != RC_CLOSED)
		local_session_end(s, SESSION_TEMPORARY, 451, "4.3.0", "the mailbox process does not take its mail");
}

/* --- from the queue --- */

static const char *
on_open(void *ctx, struct peer *p, uint32_t handle, struct rd *body, int fd)
{
	struct local *l = ctx;
	struct local_session *s;
	struct d_open m;

	(void)fd;
	if (!d_open_get(body, &m))
		return "malformed D_OPEN";
	if (local_find(l, handle) != NULL)
		return "D_OPEN with a handle in use";
	if (m.nexthop.n == 0 || m.nexthop.n > LOCAL_USER_MAX) {
		local_queue_sent(l, d_closed_send(p, handle, &(struct d_closed){ .status = SESSION_PERMANENT, .code = 550,
		    .enhanced = S("5.1.1"), .text = S("no such user") }));
		return NULL;
	}
	s = l->room->stopping ? NULL : local_session_new(l, handle, m.nexthop);
	if (s == NULL)
		local_queue_sent(l, d_closed_send(p, handle, &(struct d_closed){ .status = SESSION_BUSY }));
	else
		local_start_waiting(l);
	return NULL;
}

/* NULL, or why they are malformed. Keeps their numbers. */
static const char *
take_rcpts(struct local_session *s, struct slice run)
{
	struct rd r = { run, false };
	struct job_rcpt rcpt;
	size_t n = 0;

	while (job_rcpt_next(&r, &rcpt))
		n++;
	if (r.bad || n == 0 || n > LOCAL_RCPTS_MAX)
		return "D_JOB with malformed recipients";
	free(s->indexes);
	s->n_indexes = 0;
	s->indexes = calloc(n, sizeof *s->indexes);
	if (s->indexes == NULL)
		return "out of memory";
	r = (struct rd){ run, false };
	while (job_rcpt_next(&r, &rcpt))
		s->indexes[s->n_indexes++] = rcpt.index;
	return NULL;
}

static const char *
on_job(void *ctx, struct peer *p, uint32_t handle, struct rd *body, int fd)
{
	struct local_session *s = local_find(ctx, handle);
	struct d_job m;
	const char *why;

	(void)p, (void)fd;
	if (!d_job_get(body, &m) || m.content.n > m.size)
		return "malformed D_JOB";
	if (s == NULL || s->state == LOCAL_ENDING)
		return NULL;
	if (s->state != LOCAL_READY)
		return "D_JOB that was not asked for";
	why = take_rcpts(s, m.rcpts);
	if (why != NULL)
		return why;
	s->state = LOCAL_JOB;
	s->job = m.job;
	s->left = m.size - m.content.n;
	s->ahead = (uint32_t)m.content.n;
	local_session_clock(s);
	sent(s, d_job_send(s->child, CHILD_HANDLE, &m));
	return NULL;
}

static const char *
on_chunk(void *ctx, struct peer *p, uint32_t handle, struct rd *body, int fd)
{
	struct local_session *s = local_find(ctx, handle);
	struct d_chunk m;

	(void)p, (void)fd;
	if (!d_chunk_get(body, &m))
		return "malformed D_CHUNK";
	if (s == NULL || s->state == LOCAL_ENDING)
		return NULL;
	if (s->state != LOCAL_JOB || m.job != s->job)
		return "D_CHUNK of no job";
	if (m.content.n > s->left || m.content.n > LOCAL_AHEAD_MAX - s->ahead)
		return "D_CHUNK beyond the size or the window";
	s->left -= m.content.n;
	s->ahead += (uint32_t)m.content.n;
	sent(s, d_chunk_send(s->child, CHILD_HANDLE, &m));
	return NULL;
}

static const char *
on_idle(void *ctx, struct peer *p, uint32_t handle, struct rd *body, int fd)
{
	struct local_session *s = local_find(ctx, handle);
	struct d_idle m;

	(void)p, (void)fd;
	if (!d_idle_get(body, &m))
		return "malformed D_IDLE";
	if (s == NULL)
		return NULL;
	if (s->state == LOCAL_WAITING || s->state == LOCAL_SPAWNING) {
		local_session_end(s, SESSION_DONE, 0, "", "");
		return NULL;
	}
	if (s->state == LOCAL_READY || s->state == LOCAL_STARTING)
		s->state = LOCAL_ENDING;
	local_session_clock(s);
	sent(s, d_idle_send(s->child, CHILD_HANDLE, &m));
	return NULL;
}

static const char *
on_revoke(void *ctx, struct peer *p, uint32_t handle, struct rd *body, int fd)
{
	struct local_session *s = local_find(ctx, handle);
	struct d_revoke m;

	(void)p, (void)fd;
	if (!d_revoke_get(body, &m))
		return "malformed D_REVOKE";
	if (s == NULL || s->state != LOCAL_JOB || m.job != s->job)
		return NULL;
	s->state = LOCAL_ENDING;
	sent(s, d_revoke_send(s->child, CHILD_HANDLE, &m));
	return NULL;
}

/* Without the queue nobody waits for anything: what is not told was not delivered. */
static void
queue_closed(void *ctx, struct peer *p, const char *why)
{
	struct local *l = ctx;

	room_log_drop(p, why);
	if (l->queue == p) {
		l->queue = NULL;
		for (size_t i = 0; i < LOCAL_SESSIONS_MAX; i++)
			if (l->slots[i] != NULL)
				local_session_end(l->slots[i], SESSION_DONE, 0, "", "");
	}
	peer_free(p);
}

const struct peer_ops local_queue_ops = {
	.on = { [D_OPEN] = on_open, [D_JOB] = on_job, [D_CHUNK] = on_chunk, [D_IDLE] = on_idle, [D_REVOKE] = on_revoke },
	.closed = queue_closed,
};

/* --- from the process --- */

static const char *
on_pull(void *ctx, struct peer *p, uint32_t handle, struct rd *body, int fd)
{
	struct local_session *s = ctx;
	struct d_pull m;

	(void)p, (void)fd;
	if (!d_pull_get(body, &m) || handle != CHILD_HANDLE)
		return "malformed D_PULL";
	if (s->state == LOCAL_ENDING)
		return NULL;	/* crossed with D_IDLE */
	if (s->state != LOCAL_STARTING)
		return "D_PULL for the second time";
	s->state = LOCAL_READY;
	timer_cancel(&s->timer);
	local_queue_sent(s->local, d_pull_send(s->local->queue, s->handle, &(struct d_pull){ 0 }));
	return NULL;
}

static const char *
on_credit(void *ctx, struct peer *p, uint32_t handle, struct rd *body, int fd)
{
	struct local_session *s = ctx;
	struct d_credit m;

	(void)p, (void)fd;
	if (!d_credit_get(body, &m) || handle != CHILD_HANDLE)
		return "malformed D_CREDIT";
	if (s->state == LOCAL_ENDING)
		return NULL;
	if (s->state != LOCAL_JOB || m.job != s->job || m.bytes > s->ahead)
		return "D_CREDIT that was not earned";
	s->ahead -= m.bytes;
	local_queue_sent(s->local, d_credit_send(s->local->queue, s->handle, &m));
	return NULL;
}

static bool
is_printable(struct slice s)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] < 0x20 || s.p[i] > 0x7e)
			return false;
	return true;
}

/* Each recipient of the job once at most, in the order in which they were given. */
static bool
results_valid(const struct local_session *s, struct slice run)
{
	struct rd r = { run, false };
	struct job_result row;
	size_t at = 0;

	while (job_result_next(&r, &row)) {
		while (at < s->n_indexes && s->indexes[at] != row.index)
			at++;
		if (at++ >= s->n_indexes || row.enhanced.n == 0 || !is_printable(row.enhanced) || !is_printable(row.text))
			return false;
	}
	return !r.bad && r.s.n == 0;
}

static const char *
on_result(void *ctx, struct peer *p, uint32_t handle, struct rd *body, int fd)
{
	struct local_session *s = ctx;
	struct d_result m, checked;

	(void)fd;
	if (!d_result_get(body, &m) || handle != CHILD_HANDLE)
		return "malformed D_RESULT";
	if (s->state == LOCAL_ENDING)
		return NULL;
	if (s->state != LOCAL_JOB || m.job != s->job || s->left > 0 || !results_valid(s, m.results))
		return "D_RESULT that does not fit its job";
	checked = (struct d_result){ .job = m.job, .results = m.results, .pull = m.pull != 0 && !s->local->room->stopping };
	timer_cancel(&s->timer);
	s->state = checked.pull ? LOCAL_READY : LOCAL_ENDING;
	local_queue_sent(s->local, d_result_send(s->local->queue, s->handle, &checked));
	if (!checked.pull) {
		local_session_clock(s);
		if (m.pull != 0)
			sent(s, d_idle_send(p, CHILD_HANDLE, &(struct d_idle){ 0 }));
	}
	return NULL;
}

static const char *
on_closed(void *ctx, struct peer *p, uint32_t handle, struct rd *body, int fd)
{
	struct local_session *s = ctx;
	struct d_closed m;
	char enhanced[17], text[JOB_TEXT_MAX + 1];

	(void)p, (void)fd;
	if (!d_closed_get(body, &m) || handle != CHILD_HANDLE || m.enhanced.n >= sizeof enhanced ||
	    m.text.n >= sizeof text || !is_printable(m.enhanced) || !is_printable(m.text))
		return "malformed D_CLOSED";
	memcpy(enhanced, m.enhanced.n == 0 ? (const uint8_t *)"" : m.enhanced.p, m.enhanced.n);
	memcpy(text, m.text.n == 0 ? (const uint8_t *)"" : m.text.p, m.text.n);
	enhanced[m.enhanced.n] = text[m.text.n] = '\0';
	/* That a user has no mailbox at all is for the account database to say, not for something that runs as a user. */
	if (m.status == SESSION_DONE)
		local_session_end(s, SESSION_DONE, 0, "", "");
	else
		local_session_end(s, SESSION_TEMPORARY, 451, enhanced[0] == '4' ? enhanced : "4.3.0", text);
	return NULL;
}

static void
child_closed(void *ctx, struct peer *p, const char *why)
{
	struct local_session *s = ctx;

	room_log_drop(p, why);
	if (s->state == LOCAL_STARTING)
		local_session_end(s, SESSION_TEMPORARY, 451, "4.3.0", "the mailbox process died");
	else
		local_session_end(s, SESSION_LOST, 451, "4.3.0", "the mailbox process died");
}

const struct peer_ops local_child_ops = {
	.on = { [D_PULL] = on_pull, [D_CREDIT] = on_credit, [D_RESULT] = on_result, [D_CLOSED] = on_closed },
	.closed = child_closed,
};
