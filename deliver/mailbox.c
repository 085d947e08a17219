/* deliver/mailbox.c -- the process, see mailbox.h. */
#include "deliver/mailbox.h"

#include "common/clock.h"

#include <stdio.h>
#include <unistd.h>

/* --- to the planner --- */

static void
end_session(struct mailbox *b, enum session_end status, const char *enhanced, const char *text)
{
	struct d_closed m = { .status = (uint8_t)status, .enhanced = slice_str(enhanced), .text = slice_str(text) };

	if (b->local != NULL && b->open) {
		(void)d_closed_send(b->local, b->handle, &m);
		peer_flush(b->local);
	}
	room_exit(b->room);
}

/* In peace: whatever was told is believed by now. */
static void
close_session(struct mailbox *b)
{
	mailbox_job_settle(b);
	end_session(b, SESSION_DONE, "", "");
}

static bool
put_results(const struct mailbox_job *j, bool texts, struct buf *run)
{
	buf_clear(run);
	for (size_t i = 0; i < j->n_rcpts; i++)
		(void)job_result_put(run, &(struct job_result){ j->rcpts[i].index, j->outcomes[i].status, 0,
		    slice_str(j->outcomes[i].enhanced), slice_str(texts ? j->outcomes[i].text : "") });
	return !run->failed;
}

/* Without texts it always fits, see MAILBOX_RCPTS_MAX: a recipient that is not told of would get another copy. */
static bool
send_result(struct mailbox *b)
{
	struct mailbox_job *j = &b->job;
	struct buf run = BUF_INIT(IPC_BODY_MAX - 1024);
	struct d_result m = { .job = j->number, .pull = !b->closing };
	enum rc rc = RC_NOMEM;

	if (put_results(j, true, &run) || put_results(j, false, &run)) {
		m.results = buf_slice(&run);
		rc = d_result_send(b->local, b->handle, &m);
	}
	buf_free(&run);
	return rc == RC_OK;
}

/* After content came: credit for it, or the end. NULL, or why not. */
static const char *
after_content(struct mailbox *b)
{
	struct mailbox_job *j = &b->job;

	if (j->arrived < j->size) {
		if (j->earned >= IPC_CONTENT_CHUNK &&
		    d_credit_send(b->local, b->handle, &(struct d_credit){ j->number, j->earned }) == RC_OK)
			j->earned = 0;
		return NULL;
	}
	mailbox_job_finish(b);
	if (!send_result(b))
		return "the result does not fit";
	if (b->closing)
		close_session(b);
	return NULL;
}

/* --- from the planner --- */

static void
open_maildir(struct mailbox *b)
{
	char text[300];

	if (maildir_open(&b->dir, room_folder(b->room), b->account.uid, slice_str(b->host)) != RC_OK) {
		(void)snprintf(text, sizeof text, "%s%s%s", b->dir.what, b->dir.error == 0 ? "" : ": ",
		    b->dir.error == 0 ? "" : strerror(b->dir.error));
		end_session(b, SESSION_TEMPORARY, "4.3.0", text);
		return;
	}
	maildir_sweep(&b->dir, clock_wall_us() / 1000000);
	(void)d_pull_send(b->local, b->handle, &(struct d_pull){ 0 });
}

static const char *
on_open(void *ctx, struct peer *p, uint32_t handle, struct rd *body, int fd)
{
	struct mailbox *b = ctx;
	struct d_open m;

	(void)p, (void)fd;
	if (!d_open_get(body, &m))
		return "malformed D_OPEN";
	if (b->open || !slice_eq(m.nexthop, room_user(b->room)))
		return "D_OPEN for somebody else";
	b->open = true;
	b->handle = handle;
	open_maildir(b);
	return NULL;
}

static const char *
on_job(void *ctx, struct peer *p, uint32_t handle, struct rd *body, int fd)
{
	struct mailbox *b = ctx;
	struct d_job m;
	const char *why;

	(void)p, (void)fd;
	if (!d_job_get(body, &m))
		return "malformed D_JOB";
	if (!b->open || handle != b->handle || b->job.active || b->closing)
		return "D_JOB that was not asked for";
	why = mailbox_job_begin(b, &m);
	return why != NULL ? why : after_content(b);
}

static const char *
on_chunk(void *ctx, struct peer *p, uint32_t handle, struct rd *body, int fd)
{
	struct mailbox *b = ctx;
	struct d_chunk m;
	const char *why;

	(void)p, (void)fd;
	if (!d_chunk_get(body, &m))
		return "malformed D_CHUNK";
	if (!b->job.active || handle != b->handle || m.job != b->job.number)
		return "D_CHUNK of no job";
	why = mailbox_job_feed(b, m.content);
	return why != NULL ? why : after_content(b);
}

static const char *
on_idle(void *ctx, struct peer *p, uint32_t handle, struct rd *body, int fd)
{
	struct mailbox *b = ctx;
	struct d_idle m;

	(void)p, (void)fd;
	if (!d_idle_get(body, &m) || handle != b->handle)
		return "malformed D_IDLE";
	b->closing = true;
	if (!b->job.active)
		close_session(b);
	return NULL;
}

/* No result is awaited; the queue opens another session when it has more. */
static const char *
on_revoke(void *ctx, struct peer *p, uint32_t handle, struct rd *body, int fd)
{
	struct mailbox *b = ctx;
	struct d_revoke m;

	(void)p, (void)fd;
	if (!d_revoke_get(body, &m) || handle != b->handle)
		return "malformed D_REVOKE";
	if (b->job.active)
		mailbox_job_abort(b);
	close_session(b);
	return NULL;
}

/* Nobody waits for us any more. What was told but perhaps not heard keeps its name in tmp, for the next attempt. */
static void
line_closed(void *ctx, struct peer *p, const char *why)
{
	struct mailbox *b = ctx;

	room_log_drop(p, why);
	if (b->job.active)
		mailbox_job_abort(b);
	if (b->local == p)
		b->local = NULL;
	peer_free(p);
	room_exit(b->room);
}

static const struct peer_ops line_ops = {
	.on = { [D_OPEN] = on_open, [D_JOB] = on_job, [D_CHUNK] = on_chunk, [D_IDLE] = on_idle, [D_REVOKE] = on_revoke },
	.closed = line_closed,
};

/* --- the room --- */

static void
take_line(struct room *room, enum role them, unsigned index, int fd)
{
	struct mailbox *b = room->ctx;

	if (them != ROLE_LOCAL || b->local != NULL) {
		(void)close(fd);
		return;
	}
	b->local = peer_new(room->loop, fd, ROLE_MAILBOX, them, index, &line_ops, b);
}

static enum rc
prepare(struct room *room, struct buf *why)
{
	struct mailbox *b = room->ctx;
	enum rc rc = account_find(&room->conf->local, room_user(room), &b->account, why);

	if (rc != RC_OK)
		return rc;
	b->room = room;
	b->dir.tmp = b->dir.new = -1;
	b->job.file.fd = -1;
	buf_init(&b->out, IPC_FRAME_MAX + LETTER_HELD_MAX + 2 * LETTER_ADDRESS_MAX);
	(void)snprintf(b->host, sizeof b->host, "%s", room->conf->global.hostname);
	if (b->host[0] == '\0' && gethostname(b->host, sizeof b->host - 1) == -1)
		(void)snprintf(b->host, sizeof b->host, "localhost");
	(void)strerror(0);	/* its tables, while there is a file system */
	room_become(room, b->account.uid, b->account.gid, b->account.maildir);
	return RC_OK;
}

static void
stop(struct room *room, uint32_t grace_ms)
{
	struct mailbox *b = room->ctx;

	(void)grace_ms;
	b->room = room;
	b->closing = true;
	if (!b->job.active)
		close_session(b);
}

const struct room_ops mailbox_ops = {
	.role = ROLE_MAILBOX,
	.prepare = prepare,
	.line = take_line,
	.stop = stop,
};
