/* queue/queue.c -- the life of the room: start and recovery, the turn of the wheel, configuration, stop. See queue.h. */
#include "queue/queue.h"

#include "common/clock.h"
#include "queue/bounce.h"
#include "queue/late.h"
#include "queue/spool_io.h"

#include <stdlib.h>
#include <sys/random.h>
#include <unistd.h>

enum { TICK_MAX_MS = 3600 * 1000 };
#define HELD_MAX_MS (UINT64_C(400) * 86400 * 1000)	/* longer than smtpd { max-future-release } can be */

int64_t
queue_wall(void)
{
	return clock_wall_us();
}

bool
queue_transport(const struct queue *q, struct slice name, enum carrier_kind *ret_kind, uint32_t *ret_window)
{
	const struct conf *c = queue_conf(q);

	for (size_t i = 0; i < c->n_transports; i++)
		if (slice_eq(slice_str(c->transports[i].title), name)) {
			*ret_kind = strcmp(c->transports[i].kind, "local") == 0 ? CARRIER_LOCAL : CARRIER_REMOTE;
			*ret_window = c->transports[i].concurrency_max;
			return true;
		}
	*ret_window = 0;
	*ret_kind = slice_eq(name, S("local")) ? CARRIER_LOCAL : CARRIER_REMOTE;
	return slice_eq(name, S("local")) || slice_eq(name, S("smtp"));
}

/* --- messages --- */

void
message_hold(struct message *m)
{
	BUG_ON(m->holds == UINT16_MAX);
	m->holds++;
}

void
message_release(struct message *m)
{
	if (--m->holds == 0 && (m->flags & MESSAGE_GONE) != 0)
		free(m);
}

void
queue_rcpt_done(struct queue *q, struct rcpt *r)
{
	struct message *m = rcpt_message(r);

	schedule_done(&q->schedule, r);
	m->n_open--;
	if ((m->flags & MESSAGE_GONE) == 0)
		q->messages.n_rcpts--;
}

void
queue_leave(struct queue *q, struct message *m, const char *cause)
{
	struct msgid id = message_id(m);

	log_say(LOG_REMOVED, &id, F_TEXT("cause", cause));
	messages_remove(&q->messages, m);
	recent_drop(&q->recents, m);
	reasons_drop(&q->reasons, m);
	late_forget(&q->schedule, m);
	m->flags |= MESSAGE_GONE;
	if (m->holds == 0)
		free(m);
}

/* The destination that the envelope says; one that cannot be used has its route asked again. */
static void
set_route(struct queue *q, struct rcpt *r, const struct envelope_rcpt *row, uint32_t generation)
{
	struct schedule_route route = { row->transport, row->nexthop, CARRIER_REMOTE, 0, generation };

	if (queue_transport(q, row->transport, &route.kind, &route.window_max) && row->nexthop.n > 0)
		(void)schedule_route(&q->schedule, r, &route);	/* no memory: without a route it will be asked */
}

/* How long it is to be kept back (RFC 4865), in milliseconds; a time that no clock of ours reaches is cut. */
static uint64_t
held_ms(int64_t until)
{
	int64_t left = until == 0 ? 0 : until - queue_wall();

	return left <= 0 ? 0 : (uint64_t)left / 1000 < HELD_MAX_MS ? (uint64_t)left / 1000 + 1 : HELD_MAX_MS;
}

void
queue_set_by(struct queue *q, struct message *m, const struct envelope *e)
{
	int64_t left = e->deliver_by - queue_wall();

	/* Without memory for it the next attempt tries again. */
	if (e->deliver_by != 0)
		(void)late_set_by(&q->schedule, m, left <= 0 ? left / 1000000 : (left + 999999) / 1000000,
		    (e->flags & ENVELOPE_BY_NOTIFY) == 0);
}

/* RFC 6710 5: a value without a level of its own is rounded up to the next that has one, or down to the highest. */
static uint16_t
priority_flag(const struct envelope *e)
{
	return e->priority > 0 ? MESSAGE_URGENT : e->priority <= -4 ? MESSAGE_LOW : 0;
}

void
queue_enter(struct queue *q, struct message *m, const struct envelope *e)
{
	struct slice rest = e->rcpts;
	struct envelope_rcpt row;
	struct msgid id = message_id(m);

	uint64_t held = held_ms(e->hold_until);

	/* Its time in the queue begins when it is let go. */
	m->arrived = q->schedule.now + (uint32_t)(held / 1000);
	m->flags |= priority_flag(e);
	if (!messages_add(&q->messages, m))
		BUG("an id was used twice");
	queue_set_by(q, m, e);
	log_say(LOG_QUEUED, &id, F_STR("from", e->sender), F_U64("size", m->size), F_U64("nrcpt", m->n_rcpts),
	    F_STR("cause", e->cause));
	for (uint32_t i = 0; i < m->n_rcpts && envelope_rcpt_next(&rest, &row); i++) {
		set_route(q, &m->rcpts[i], &row, row.generation);
		if (held > 0)
			schedule_wait(&q->schedule, &m->rcpts[i], held);
		else
			schedule_ready(&q->schedule, &m->rcpts[i]);
	}
	queue_pump(q);
}

/* --- the turn of the wheel --- */

void
queue_pump(struct queue *q)
{
	chore_queue(&q->pump);
}

static uint32_t
tick_of(const struct queue *q, uint64_t ms)
{
	return TICK_ORIGIN + (uint32_t)((ms - q->started_ms) / 1000);
}

/* Wakes when the next one is due. */
static void
set_tick(struct queue *q)
{
	uint32_t next = schedule_next(&q->schedule), now = q->schedule.now;
	uint64_t ms = TICK_MAX_MS;

	if (next <= now)
		ms = 1000;
	else if (next - now < TICK_MAX_MS / 1000)
		ms = q->started_ms + (uint64_t)(next - TICK_ORIGIN) * 1000 - loop_now(q->room->loop);
	timer_start(&q->tick, ms > TICK_MAX_MS ? 1 : ms + 1);
}

static void
on_pump(struct chore *c, void *ctx)
{
	struct queue *q = ctx;
	unsigned budget = QUEUE_STEP_BUDGET, sweep_budget = QUEUE_STEP_BUDGET;
	bool more;

	(void)c;
	if (!q->recovered)
		return;
	more = !schedule_run(&q->schedule, tick_of(q, loop_now(q->room->loop)), &budget);
	if (queue_delivers(q))
		more = !(bounces_sweep(q, &sweep_budget) && bounces_late(q, &sweep_budget)) && q->n_bounces < BOUNCES_MAX ? true :
		    more;
	routing_work(q);
	dispatch_work(q);
	set_tick(q);
	if (more)
		queue_pump(q);
	if (q->closing && q->schedule.n_sessions == 0 && q->n_drafts == 0 && q->n_bounces == 0)
		room_exit(q->room);
}

static void
on_tick(struct timer *t, void *ctx)
{
	(void)t;
	queue_pump(ctx);
}

static int64_t
wall_lead(const struct queue *q)
{
	return queue_wall() - (int64_t)loop_now(q->room->loop) * 1000;
}

static void
tell_unread(struct queue *q)
{
	uint64_t n = unread_due(&q->unread, loop_now(q->room->loop));

	if (n > 0)
		log_say(LOG_SPOOL_UNREAD, NULL, F_U64("count", n));
}

void
queue_read_failed(struct queue *q)
{
	unread_failed(&q->unread, loop_now(q->room->loop));
	tell_unread(q);
}

/* A clock that was wrong when we started, and has been set back since: mail that we found is younger than it seemed. */
static void
look_at_clock(struct queue *q)
{
	int64_t ahead = (q->wall_lead - wall_lead(q)) / 1000000;

	if (ahead > 0)
		schedule_was_ahead(&q->schedule, ahead < UINT32_MAX ? (uint32_t)ahead : UINT32_MAX);
}

static void
on_look(struct timer *t, void *ctx)
{
	struct queue *q = ctx;

	if (!q->recovered) {
		room_exit(q->room);
		return;
	}
	timer_start(t, QUEUE_LOOK_MS);
	look_at_clock(q);
	tell_unread(q);
	intake_tell(q);
	bounces_work(q);
	queue_pump(q);
}

/* --- the store's news --- */

static void
on_state(void *ctx, enum store_state state, const char *why)
{
	struct queue *q = ctx;

	switch (state) {
	case STORE_FULL:
		log_say(LOG_SPOOL_FULL, NULL, F_TEXT("why", why), F_U64("free", store_free_bytes(q->store)));
		break;
	case STORE_FAILED:
		log_say(LOG_SPOOL_FAILED, NULL, F_TEXT("why", why));
		break;
	case STORE_OK:
		log_say(LOG_SPOOL_RECOVERED, NULL, F_TEXT("why", why));
		break;
	}
	intake_tell(q);
	queue_pump(q);
}

static void
on_moved(void *ctx, struct msgid id, struct store_where from, struct store_where to)
{
	struct queue *q = ctx;
	struct message *m = messages_find(&q->messages, message_key(id));

	(void)from;
	if (m != NULL)
		m->where = to;
}

static const struct store_ops store_ops = { on_state, on_moved };

/* --- recovery --- */

static void
recover_rcpt(struct queue *q, struct message *m, uint32_t i, const struct store_rcpt *sr, const struct envelope_rcpt *row,
    uint64_t held)
{
	struct rcpt *r = &m->rcpts[i];
	int64_t wall = queue_wall();

	if (sr->state == STORE_DONE || sr->state == STORE_BOUNCED) {
		r->due.state = RCPT_DONE;
		m->n_open--;
		return;
	}
	set_route(q, r, row, 0);
	if (sr->state == STORE_DEFERRED)
		reason_set(&q->reasons, m, i, sr->text);
	if (sr->state == STORE_DEFERRED && sr->next > wall) {
		uint64_t ms = (uint64_t)(sr->next - wall) / 1000;

		/* A clock that has jumped must not make mail wait for years. */
		schedule_wait(&q->schedule, r, ms < q->schedule.limits.backoff.max * 2 ? ms : q->schedule.limits.backoff.max);
	} else if (held > 0)
		schedule_wait(&q->schedule, r, held);
	else
		schedule_ready(&q->schedule, r);
}

/* Its sender was told before, or is to be when the time comes. */
static void
recover_time(struct queue *q, struct message *m, const struct store_message *sm, const struct envelope *e)
{
	bool deferred = false;

	for (uint32_t i = 0; i < sm->n_rcpts; i++) {
		if (sm->rcpts[i].noticed)
			m->flags |= MESSAGE_NOTICED;
		deferred = deferred || sm->rcpts[i].state == STORE_DEFERRED;
	}
	queue_set_by(q, m, e);
	if (deferred)
		late_watch(&q->schedule, m);
}

static void
visit(void *arg, const struct store_message *sm)
{
	struct queue *q = arg;
	struct envelope_rcpt row;
	struct envelope e;
	struct message *m = NULL;
	struct slice rest;
	int64_t age, stored_at = sm->stored_at;
	uint64_t held;
	uint32_t now = q->schedule.now;

	if (envelope_parse(sm->envelope, &e) == RC_OK && e.n_rcpts == sm->n_rcpts)
		m = message_new(sm->id, sm->n_rcpts);
	if (m == NULL) {
		q->n_unreadable++;
		return;
	}
	m->where = sm->where;
	m->size = sm->size;
	held = held_ms(e.hold_until);
	if (held == 0 && e.hold_until > stored_at)
		stored_at = e.hold_until;
	age = (queue_wall() - stored_at) / 1000000;
	m->arrived = held > 0 ? now + (uint32_t)(held / 1000) : age <= 0 ? now : age >= (int64_t)now ? 0 : now - (uint32_t)age;
	m->flags = (uint16_t)(((e.flags & ENVELOPE_BOUNCE) != 0 ? MESSAGE_BOUNCE : 0) | priority_flag(&e));
	rest = e.rcpts;
	for (uint32_t i = 0; i < m->n_rcpts && envelope_rcpt_next(&rest, &row); i++)
		recover_rcpt(q, m, i, &sm->rcpts[i], &row, held);
	if (m->n_open == 0) {
		store_drop(q->store, sm->id, sm->where, NULL, NULL);
		free(m);
		return;
	}
	if (!messages_add(&q->messages, m))
		BUG("the store showed a message twice");
	recover_time(q, m, sm, &e);
	queue_pump(q);
}

static void
told(void *arg, const struct store_stats *stats)
{
	struct queue *q = arg;

	q->loading = false;
	admin_loaded(q);
	log_say(LOG_SPOOL_OPENED, NULL, F_U64("messages", stats->messages), F_U64("recipients", stats->recipients),
	    F_U64("segments", stats->segments), F_U64("ms", stats->ms), F_U64("damaged", stats->damaged),
	    F_U64("torn", stats->torn));
	if (q->n_unreadable > 0)
		log_say(LOG_TROUBLE, NULL, F_TEXT("what", "messages with an envelope that cannot be read stay in the spool"),
		    F_U64("error", q->n_unreadable));
}

/* Mail is taken as soon as the spool is open; what lies in it comes to the schedule step by step, beside that. */
static bool
recover(struct queue *q)
{
	struct store_stats stats = { .messages = 0 };
	const char *why = "no memory";
	enum rc rc = store_open(q->store, &stats, &why);

	if (rc == RC_OK) {
		q->ids.next = store_first_id(q->store);
		q->loading = true;
		rc = store_tell(q->store, visit, told, q);
	}
	if (rc != RC_OK) {
		log_say(LOG_SPOOL_FAILED, NULL, F_TEXT("why", why), F_TEXT("error", rc_name(rc)));
		return false;
	}
	q->recovered = true;
	q->wall_lead = wall_lead(q);
	return true;
}

/* --- the room --- */

static struct schedule_limits
limits_of(const struct conf *c)
{
	return (struct schedule_limits){
		.backoff = backoff_of(&c->queue),
		.window_first = c->queue.concurrency_first, .window_max = c->queue.concurrency_max,
		.sessions_max = c->queue.concurrency_total, .rcpts_per_job = c->queue.recipients_per_job,
		.delay_notice = c->queue.delay_notice,
	};
}

static enum rc
make_threads(struct room *room, struct buf *why)
{
	struct queue *q = room->ctx;
	const struct conf_queue *c = &room->conf->queue;
	struct store_params params = { .segment_size = c->segment_size, .big_message = c->big_message,
	    .min_free = c->min_free, .allow_unsafe_fs = c->allow_unsafe_fs };
	int fd = room_take_file(room, FILE_SPOOL, S("spool"));
	enum rc rc;

	if (fd == -1) {
		(void)buf_put_str(why, "master gave no spool directory");
		return RC_NOTFOUND;
	}
	q->room = room;
	q->io = spool_io_real(fd);
	q->store = q->io == NULL ? NULL : store_new(room->loop, q->io, &params, &store_ops, q);
	if (q->store == NULL) {
		(void)buf_put_str(why, "no memory for the store");
		return RC_NOMEM;
	}
	rc = store_threads_start(q->store);
	if (rc != RC_OK)
		(void)buf_put_str(why, "the store's threads cannot be started");
	return rc;
}

static void
start(struct room *room)
{
	struct queue *q = room->ctx;
	struct schedule_limits limits = limits_of(room->conf);
	uint64_t seed[2] = { 1, 1 };

	if (getrandom(seed, sizeof seed, 0) != (ssize_t)sizeof seed)
		BUG("no random numbers");
	q->started_ms = loop_now(room->loop);
	schedule_init(&q->schedule, &limits, TICK_ORIGIN, seed[0]);
	schedule_adopt(&q->schedule, &limits, room->conf->generation);
	messages_init(&q->messages);
	recents_init(&q->recents);
	reasons_init(&q->reasons, seed[1]);
	report_rate_init(&q->report_rate, seed[1] ^ seed[0]);
	routing_init(q);
	chore_setup(&q->pump, room->loop, on_pump, q);
	timer_setup(&q->tick, room->loop, on_tick, q);
	timer_setup(&q->look, room->loop, on_look, q);
	if (!recover(q)) {
		timer_start(&q->look, QUEUE_LOOK_MS);	/* master starts us again; not at once, the reason may pass */
		return;
	}
	intake_tell(q);
	timer_start(&q->look, QUEUE_LOOK_MS);
	queue_pump(q);
}

static void
take_line(struct room *room, enum role them, unsigned index, int fd)
{
	struct queue *q = room->ctx;

	switch ((int)them) {
	case ROLE_SMTPD:
		smtpd_line_new(q, index, fd);
		break;
	case ROLE_DELIVER:
		carrier_new(q, CARRIER_REMOTE, index, fd);
		break;
	case ROLE_LOCAL:
		carrier_new(q, CARRIER_LOCAL, index, fd);
		break;
	case ROLE_ROUTER:
		router_line(q, fd);
		break;
	case ROLE_CONTROL:
		control_line(q, fd);
		break;
	default:
		(void)close(fd);
		break;
	}
}

static const char *
adopt(struct room *room, const struct conf *old)
{
	struct queue *q = room->ctx;
	struct schedule_limits limits = limits_of(room->conf);

	if (old == NULL)
		return NULL;
	schedule_adopt(&q->schedule, &limits, room->conf->generation);
	intake_tell(q);
	queue_pump(q);
	return NULL;
}

/* What is under way may end; nothing new begins. */
static void
stop(struct room *room, uint32_t grace_ms)
{
	struct queue *q = room->ctx;

	(void)grace_ms;
	q->closing = true;
	intake_tell(q);
	queue_pump(q);
}

const struct room_ops queue_ops = {
	.role = ROLE_QUEUE,
	.threads = make_threads,
	.start = start,
	.line = take_line,
	.adopt = adopt,
	.stop = stop,
};
