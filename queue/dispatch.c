/* queue/dispatch.c -- carriers and sessions, see dispatch.h. */
#include "queue/dispatch.h"

#include "queue/bounce.h"
#include "queue/job.h"
#include "queue/result.h"

#include <stdlib.h>
#include <unistd.h>

enum {
	BUSY_MS = 1000,			/* a carrier that is full is not asked again before */
	REQUEUE_MS = 1000,		/* after a carrier died: it may have been this message that killed it */
	RCPTS_AT_ONCE = 1000,		/* taken for one job; rcpts_per_job is the usual limit */
};

static struct session *
find(struct carrier *c, uint32_t handle)
{
	return handles_find(&c->sessions, handle);
}

static struct session *
of_idle(struct link *l)
{
	return (struct session *)(void *)((char *)l - offsetof(struct session, idle));
}

static void
leave_idle(struct session *s)
{
	link_remove(&s->idle);
	timer_cancel(&s->timer);
}

void
session_let_go(struct session *s)
{
	s->phase = SESSION_ENDING;
	(void)d_idle_send(s->carrier->peer, s->named.handle, &(struct d_idle){ 0 });
}

/* Nothing came for it in time. */
static void
idle_over(struct timer *t, void *ctx)
{
	struct session *s = ctx;

	(void)t;
	leave_idle(s);
	schedule_unwait(&s->carrier->queue->schedule, s->destination);
	session_let_go(s);
}

static void
wait_for_work(struct session *s)
{
	struct queue *q = s->carrier->queue;
	uint64_t ms = queue_conf(q)->queue.idle_session;

	if (ms == 0 || !queue_delivers(q)) {
		schedule_unwait(&q->schedule, s->destination);
		session_let_go(s);
		return;
	}
	s->phase = SESSION_WAITING;
	link_before(&s->destination->idle, &s->idle);
	timer_start(&s->timer, ms);
}

void
session_next(struct session *s)
{
	struct queue *q = s->carrier->queue;
	struct rcpt *rcpts[RCPTS_AT_ONCE];
	size_t n;

	if (!queue_delivers(q)) {
		session_let_go(s);
		return;
	}
	n = schedule_take(&q->schedule, s->destination, rcpts, RCPTS_AT_ONCE);
	if (n == 0) {
		wait_for_work(s);
		return;
	}
	s->phase = SESSION_WORKING;
	if (job_start(s, rcpts, n) != RC_OK)
		session_let_go(s);
	queue_pump(q);
}

/* Its job is over (job.c has let go of it): wait for the next pull, or take it now. */
static void
session_job_over(struct session *s, bool pull)
{
	s->job = NULL;
	if (s->phase != SESSION_WORKING)
		return;
	if (pull)
		session_next(s);
	else
		s->phase = SESSION_ENDING;
}

static void
log_down(struct queue *q, struct destination *d)
{
	log_say(LOG_DESTINATION_DOWN, NULL, F_STR("destination", destination_name(d)),
	    F_TEXT("text", d->why == NULL ? "" : d->why), F_U64("retry_in", d->due.at - q->schedule.now),
	    F_U64("waiting", d->n_ready));
}

/* The one end of a session: D_CLOSED came, or its carrier is gone. */
static void
session_end(struct session *s, enum session_end how, uint64_t wait_ms)
{
	struct queue *q = s->carrier->queue;
	struct destination *d = s->destination;
	bool up = s->phase != SESSION_OPENING, waiting = s->phase == SESSION_WAITING;

	if (waiting)
		leave_idle(s);
	if (s->job != NULL)
		job_end(s->job, wait_ms);
	handles_remove(&s->carrier->sessions, &s->named);
	timer_cancel(&s->timer);
	free(s);
	schedule_hold(d);
	if (schedule_closed(&q->schedule, d, how, up, waiting) == NEWS_DOWN)
		log_down(q, d);
	schedule_release(&q->schedule, d);
	queue_pump(q);
}

/* --- frames --- */

static const char *
on_pull(void *ctx, struct peer *p, uint32_t handle, struct rd *body, int fd)
{
	struct carrier *c = ctx;
	struct session *s = find(c, handle);
	struct d_pull m;

	(void)p, (void)fd;
	if (!d_pull_get(body, &m))
		return "malformed D_PULL";
	if (s == NULL || s->phase != SESSION_OPENING)
		return "D_PULL of a session that is not being opened";
	s->phase = SESSION_WORKING;
	if (schedule_up(&c->queue->schedule, s->destination) == NEWS_UP)
		log_say(LOG_DESTINATION_UP, NULL, F_STR("destination", destination_name(s->destination)));
	session_next(s);
	return NULL;
}

static const char *
on_credit(void *ctx, struct peer *p, uint32_t handle, struct rd *body, int fd)
{
	struct session *s = find(ctx, handle);
	struct d_credit m;

	(void)p, (void)fd;
	if (!d_credit_get(body, &m))
		return "malformed D_CREDIT";
	if (s == NULL || s->job == NULL || s->job->number != m.job)
		return NULL;	/* of a job that we have revoked */
	return job_credit(s->job, m.bytes);
}

static const char *
on_result(void *ctx, struct peer *p, uint32_t handle, struct rd *body, int fd)
{
	struct session *s = find(ctx, handle);
	struct d_result m;
	struct job *job;
	const char *why;

	(void)p, (void)fd;
	if (!d_result_get(body, &m))
		return "malformed D_RESULT";
	if (s == NULL)
		return "D_RESULT of no session";
	if (s->job == NULL || s->job->number != m.job) {
		/* The result of a job that was revoked may have been under way. Its pull counts. */
		if (s->phase == SESSION_WORKING && s->job == NULL)
			session_job_over(s, m.pull != 0);
		return NULL;
	}
	job = s->job;
	if (!job->announced)
		return "D_RESULT of a job that was not given";
	why = result_apply(job, &m);
	if (why != NULL)
		return why;
	schedule_worked(&s->carrier->queue->schedule, s->destination);
	job_end(job, REQUEUE_MS);
	session_job_over(s, m.pull != 0);
	queue_pump(s->carrier->queue);
	return NULL;
}

static const char *
on_closed(void *ctx, struct peer *p, uint32_t handle, struct rd *body, int fd)
{
	struct carrier *c = ctx;
	struct session *s = find(c, handle);
	struct d_closed m;

	(void)p, (void)fd;
	if (!d_closed_get(body, &m) || m.status < SESSION_DONE || m.status > SESSION_BUSY || m.enhanced.n > 16 ||
	    m.text.n > 1024 || m.host.n > 255)
		return "malformed D_CLOSED";
	if (s == NULL)
		return "D_CLOSED of no session";
	if (m.status == SESSION_BUSY)
		c->busy_until_ms = loop_now(c->queue->room->loop) + BUSY_MS;
	else if (m.status != SESSION_DONE)
		result_session_failed(s, &m);
	session_end(s, (enum session_end)m.status, REQUEUE_MS);
	return NULL;
}

/* --- carriers --- */

static void
carrier_closed(void *ctx, struct peer *p, const char *why)
{
	struct carrier *c = ctx, **at = &c->queue->carriers[c->kind];
	struct queue *q = c->queue;

	room_log_drop(p, why);
	while (c->sessions.root != NULL)
		session_end((struct session *)(void *)c->sessions.root, SESSION_BUSY, REQUEUE_MS);
	while (*at != c)
		at = &(*at)->next;
	*at = c->next;
	peer_free(p);
	free(c);
	queue_pump(q);
}

static void
carrier_drained(void *ctx, struct peer *p)
{
	struct carrier *c = ctx;

	(void)p;
	job_drained(c->queue, c);
}

static const struct peer_ops carrier_ops = {
	.on = { [D_PULL] = on_pull, [D_CREDIT] = on_credit, [D_RESULT] = on_result, [D_CLOSED] = on_closed },
	.closed = carrier_closed,
	.drained = carrier_drained,
};

void
carrier_new(struct queue *q, enum carrier_kind kind, unsigned index, int fd)
{
	struct carrier *c = calloc(1, sizeof *c);

	if (c == NULL) {
		(void)close(fd);
		return;
	}
	c->queue = q;
	c->kind = kind;
	handles_init(&c->sessions);
	c->peer = peer_new(q->room->loop, fd, ROLE_QUEUE, kind == CARRIER_LOCAL ? ROLE_LOCAL : ROLE_DELIVER, index,
	    &carrier_ops, c);
	if (c->peer == NULL) {
		free(c);
		return;
	}
	c->next = q->carriers[kind];
	q->carriers[kind] = c;
	queue_pump(q);
}

/* The one with the fewest sessions that has room. */
static struct carrier *
choose(struct queue *q, enum carrier_kind kind)
{
	uint64_t now = loop_now(q->room->loop);
	struct carrier *best = NULL;

	for (struct carrier *c = q->carriers[kind]; c != NULL; c = c->next)
		if (peer_alive(c->peer) && c->busy_until_ms <= now && peer_room(c->peer) > IPC_FRAME_MAX &&
		    (best == NULL || c->sessions.n < best->sessions.n))
			best = c;
	return best;
}

static bool
session_open(struct carrier *c, struct destination *d)
{
	struct session *s = calloc(1, sizeof *s);
	struct d_open m = { destination_transport(d), destination_nexthop(d) };

	if (s == NULL)
		return false;
	do
		s->named.handle = ++c->last_handle;
	while (find(c, s->named.handle) != NULL || s->named.handle == 0);
	if (d_open_send(c->peer, s->named.handle, &m) != RC_OK) {
		free(s);
		return false;
	}
	s->carrier = c;
	s->destination = d;
	s->phase = SESSION_OPENING;
	timer_setup(&s->timer, c->queue->room->loop, idle_over, s);
	(void)handles_add(&c->sessions, &s->named);
	schedule_opened(&c->queue->schedule, d);
	return true;
}

void
dispatch_work(struct queue *q)
{
	struct destination *d;

	if (!queue_delivers(q))
		return;
	while ((d = schedule_next_offer(&q->schedule)) != NULL) {
		struct session *s = of_idle(d->idle.next);

		leave_idle(s);
		schedule_unwait(&q->schedule, d);
		session_next(s);
	}
	for (unsigned kind = 0; kind < CARRIER_KINDS; kind++) {
		struct carrier *c;

		while ((c = choose(q, (enum carrier_kind)kind)) != NULL &&
		    (d = schedule_next_session(&q->schedule, (enum carrier_kind)kind)) != NULL)
			if (!session_open(c, d))
				break;
	}
}
