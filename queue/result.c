/* queue/result.c -- what became of recipients, see result.h. */
#include "queue/result.h"

#include "common/job.h"
#include "common/wire/date.h"
#include "common/wire/enhanced.h"
#include "queue/bounce.h"
#include "queue/late.h"

#include <stdio.h>
#include <stdlib.h>

enum { RELAY_MAX = 320, DELAY_MAX = 96 };

/* Everything about one result that is the same for all its recipients. */
struct applying {
	struct queue *q;
	struct job *job;
	const struct d_result *result;
	struct buf relay;
	struct store_change *changes;
	size_t n_changes;
	struct bounce *bounce;		/* made with the first that failed */
};

/* --- words for the log --- */

/* host[ip]:port, as every log parser expects it; of a literal, which is no name, [ip]:port. */
static void
put_relay(struct buf *to, const struct session *s, struct slice host, struct ip ip, uint16_t port)
{
	if (host.n == 0 && ip.family == 0) {
		(void)buf_put_str(to, s->carrier->kind == CARRIER_LOCAL ? "local" : "none");
		return;
	}
	(void)buf_put_slice(to, slice_first(host, 255));
	if (ip.family != 0 && !slice_starts(host, S("["))) {
		(void)buf_put_byte(to, '[');
		(void)ip_put(to, ip);
		(void)buf_put_byte(to, ']');
	}
	if (port != 0)
		(void)buf_printf(to, ":%u", port);
}

struct delay {
	char total[DELAY_MAX], parts[DELAY_MAX];
};

/* In seconds: in all; and before the queue / in the queue / connecting / the attempt itself. */
static struct delay
delay_of(const struct envelope *e, uint64_t took_ms)
{
	int64_t all = (queue_wall() - e->received_at) / 1000, queued;
	struct delay d;

	if (all < 0)
		all = 0;
	queued = all - (int64_t)took_ms > 0 ? all - (int64_t)took_ms : 0;
	(void)snprintf(d.total, sizeof d.total, "%lld.%02lld", (long long)all / 1000, (long long)all % 1000 / 10);
	(void)snprintf(d.parts, sizeof d.parts, "0/%lld.%02lld/0/%llu.%02llu", (long long)queued / 1000,
	    (long long)queued % 1000 / 10, (unsigned long long)took_ms / 1000, (unsigned long long)took_ms % 1000 / 10);
	return d;
}

/* --- outcomes of one recipient --- */

static struct store_change
change_of(const struct rcpt *r, const struct message *m, enum store_change_kind kind)
{
	return (struct store_change){ .kind = kind, .id = message_id(m), .where = m->where, .rcpt = r->due.index };
}

static bool
is_local(const struct applying *a)
{
	return a->job->session->carrier->kind == CARRIER_LOCAL;
}

/* Is the sender to be told of this success by us (RFC 3461 5.2.2, 5.2.3; RFC 2852 4.1.4)? */
static bool
wants_to_know(const struct applying *a, const struct envelope_rcpt *who)
{
	const struct envelope *e = &a->job->parsed;
	bool asked = (who->notify & NOTIFY_SUCCESS) != 0 && (is_local(a) || (a->result->passed & JOB_PASSED_DSN) == 0);
	bool traced = e->deliver_by != 0 && !is_local(a) && ((e->flags & ENVELOPE_BY_TRACE) != 0 ||
	    ((e->flags & ENVELOPE_BY_NOTIFY) != 0 && e->deliver_by > queue_wall() && (a->result->passed & JOB_PASSED_BY) == 0));

	/* A stranger's sender may be forged, and would be told of mail that he never sent. */
	return e->sender.n > 0 && (e->flags & ENVELOPE_TRUSTED) != 0 && (asked || (traced && who->notify != NOTIFY_NEVER));
}

static void
delivered(struct applying *a, struct rcpt *r, const struct job_result *row, const struct envelope_rcpt *who)
{
	struct queue *q = a->q;
	struct message *m = a->job->message;
	struct msgid id = message_id(m);
	struct delay d = delay_of(&a->job->parsed, loop_now(q->room->loop) - a->job->taken_ms);

	log_say(LOG_DELIVERED, &id, F_STR("to", who->address), F_STR("orig_to", who->original),
	    F_STR("relay", buf_slice(&a->relay)), F_TEXT("delay", d.total), F_TEXT("delays", d.parts),
	    F_STR("dsn", row->enhanced), F_TEXT("status", "sent"), F_STR("text", row->text), F_STR("tls", a->result->tls));
	q->n_delivered++;
	if (wants_to_know(a, who)) {
		bounce_add(q, &a->bounce, buf_slice(&a->job->envelope), r, &(struct bounce_failure){
		    .news = is_local(a) ? BOUNCE_DELIVERED : BOUNCE_RELAYED, .code = row->code, .enhanced = row->enhanced,
		    .text = row->text, .relay = buf_slice(&a->relay), .host = a->result->host });
		return;
	}
	a->changes[a->n_changes++] = change_of(r, m, STORE_CHANGE_DONE);
	queue_rcpt_done(q, r);
}

/* The store's change for a deferral; the text must live until it is committed. */
static struct store_change
plan_deferral(struct queue *q, struct rcpt *r, const struct result_deferral *d, struct buf *reason)
{
	struct message *m = rcpt_message(r);
	struct store_change c = change_of(r, m, STORE_CHANGE_DEFERRED);
	struct msgid id = message_id(m);
	struct delay delay = delay_of(d->envelope, d->took_ms);
	uint64_t wait = d->wait_ms;
	char next[DATE_ISO8601_MAX];

	if (wait == 0)
		wait = backoff_message(&q->schedule.limits.backoff, schedule_age(&q->schedule, m),
		    random_next(&q->schedule.random));
	reason_put(reason, d->relay, d->code, d->enhanced, d->text);
	reason_set(&q->reasons, m, r->due.index, buf_slice(reason));
	c.next = queue_wall() + (int64_t)wait * 1000;
	c.attempts = 1;
	c.code = d->code;
	c.text = slice_first(buf_slice(reason), STORE_TEXT_MAX);
	(void)date_iso8601(next, c.next, 0);
	log_say(LOG_DEFERRED, &id, F_STR("to", d->row->address), F_STR("orig_to", d->row->original),
	    F_STR("relay", d->relay), F_TEXT("delay", delay.total), F_TEXT("delays", delay.parts),
	    F_STR("dsn", d->enhanced), F_TEXT("status", "deferred"), F_STR("text", buf_slice(reason)),
	    F_TEXT("next", next));
	q->n_deferred++;
	schedule_wait(&q->schedule, r, wait);
	return c;
}

void
result_defer(struct queue *q, struct rcpt *r, const struct result_deferral *d)
{
	struct buf reason = BUF_INIT(STORE_TEXT_MAX * 2);
	struct store_change c = plan_deferral(q, r, d, &reason);

	recent_drop(&q->recents, rcpt_message(r));
	late_watch(&q->schedule, rcpt_message(r));
	store_change(q->store, &c, NULL, NULL);
	buf_free(&reason);
}

static void
failed(struct applying *a, struct rcpt *r, const struct job_result *row, bool expired)
{
	bool late = expired && late_is_over(&a->q->schedule, a->job->message, true);

	bounce_add(a->q, &a->bounce, buf_slice(&a->job->envelope), r, &(struct bounce_failure){ .expired = expired, .late = late,
	    .code = row->code, .enhanced = row->enhanced, .text = row->text, .relay = buf_slice(&a->relay),
	    .host = a->result->host });
}

static void
deferred(struct applying *a, struct rcpt *r, const struct job_result *row, const struct envelope_rcpt *who)
{
	struct queue *q = a->q;
	struct message *m = a->job->message;

	if (schedule_expired(&q->schedule, m) || late_is_over(&q->schedule, m, true))
		failed(a, r, row, true);
	else
		result_defer(q, r, &(struct result_deferral){ .envelope = &a->job->parsed, .row = who,
		    .relay = buf_slice(&a->relay), .enhanced = row->enhanced, .text = row->text, .code = row->code,
		    .took_ms = loop_now(q->room->loop) - a->job->taken_ms });
}

/* --- a whole result --- */

/* Every row must be about a recipient of this job. A second one about the same recipient is passed over later. */
static const char *
check_rows(struct job *job, struct slice rows)
{
	struct rd r = { rows, false };
	struct job_result row;
	struct enhanced e;

	while (job_result_next(&r, &row)) {
		if (job_item(job, row.index) == NULL)
			return "a result for a recipient that it was not given";
		if (enhanced_parse(row.enhanced, &e) != RC_OK)
			return "a result without an enhanced code";
	}
	return r.bad ? "malformed results" : NULL;
}

static void
apply_row(struct applying *a, const struct job_result *row)
{
	struct job_item *item = job_item(a->job, row->index);
	struct rcpt *r = item->rcpt;

	if (r == NULL)
		return;
	item->rcpt = NULL;
	schedule_unbusy(&a->q->schedule, r);
	if ((a->job->message->flags & MESSAGE_GONE) != 0) {
		queue_rcpt_done(a->q, r);
		return;
	}
	switch ((enum job_status)row->status) {
	case JOB_DELIVERED:
		delivered(a, r, row, &item->row);
		break;
	case JOB_DEFERRED:
		deferred(a, r, row, &item->row);
		break;
	case JOB_FAILED:
		failed(a, r, row, false);
		break;
	}
}

/* A message that is done is dropped: that says everything about its recipients in one record. */
static void
commit(struct applying *a)
{
	struct message *m = a->job->message;

	if ((m->flags & MESSAGE_GONE) != 0)
		return;
	if (m->n_open == 0) {
		store_drop(a->q->store, message_id(m), m->where, NULL, NULL);
		queue_leave(a->q, m, "delivered");
	} else if (a->n_changes > 0)
		store_commit(a->q->store, NULL, a->changes, a->n_changes, NULL, NULL);
}

const char *
result_apply(struct job *job, const struct d_result *m)
{
	struct applying a = { .q = job->session->carrier->queue, .job = job, .result = m };
	struct rd rows = { m->results, false };
	struct job_result row;
	const char *why = m->host.n > 255 || m->tls.n > 255 ? "overlong words" : check_rows(job, m->results);

	if (why != NULL)
		return why;
	a.changes = calloc(job->n_items, sizeof *a.changes);
	if (a.changes == NULL)
		return NULL;	/* no memory: as if it had not been delivered */
	buf_init(&a.relay, RELAY_MAX * 2);
	put_relay(&a.relay, job->session, m->host, m->ip, m->port);
	while (job_result_next(&rows, &row))
		apply_row(&a, &row);
	commit(&a);
	bounce_go(&a.bounce);
	buf_free(&a.relay);
	free(a.changes);
	return NULL;
}

void
result_session_failed(struct session *s, const struct d_closed *m)
{
	struct queue *q = s->carrier->queue;
	struct job *job = s->job;
	struct buf why = BUF_INIT(4096), relay = BUF_INIT(RELAY_MAX * 2);

	put_relay(&relay, s, m->host, m->ip, 0);
	reason_put(&why, buf_slice(&relay), m->code, m->enhanced, m->text);
	destination_set_why(s->destination, m->code, m->enhanced, buf_slice(&why));
	for (size_t i = 0; job != NULL && job->announced && i < job->n_items; i++) {
		struct rcpt *r = job->items[i].rcpt;

		if (r == NULL || (job->message->flags & MESSAGE_GONE) != 0)
			continue;
		job->items[i].rcpt = NULL;
		schedule_unbusy(&q->schedule, r);
		result_defer(q, r, &(struct result_deferral){ .envelope = &job->parsed, .row = &job->items[i].row,
		    .relay = buf_slice(&relay), .enhanced = m->enhanced, .text = m->text, .code = m->code,
		    .took_ms = loop_now(q->room->loop) - job->taken_ms });
	}
	buf_free(&why);
	buf_free(&relay);
}
