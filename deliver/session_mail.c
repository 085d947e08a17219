/* deliver/session_mail.c -- message after message over a session that is up. See session.h. */
#include "deliver/session.h"
#include "deliver/timeouts.h"

/* ---- results ------------------------------------------------------------------------------------------------------*/

/* The job is over: its outcomes go to the queue. */
static void
report(struct session *s, bool pull)
{
	struct deliver *d = s->deliver;
	const struct route_try *at = &s->route.tries[s->try];
	struct buf rows = BUF_INIT(IPC_BODY_MAX);
	struct d_result m = { s->job->number, S(""), route_host_name(&s->route, at->host), at->ip, s->route.port, S(""), pull,
	    (s->exchange.caps.dsn ? JOB_PASSED_DSN : 0) | (s->exchange.caps.deliver_by ? JOB_PASSED_BY : 0) };

	if (!job_results_put(s->job, &rows)) {
		/* Outcomes that cannot be told are duplicates to come; without the line the queue knows at least. */
		deliver_queue_sent(d, RC_NOMEM);
	} else if (d->queue != NULL) {
		m.results = buf_slice(&rows);
		deliver_queue_sent(d, d_result_send(d->queue, s->by_handle.id, &m));
	}
	buf_free(&rows);
	job_free(s->job);
	s->job = NULL;
}

static void
finish(struct session *s)
{
	bool pull;

	s->left_open = transaction_left_open(&s->transaction);
	s->served++;
	s->served_here++;
	if (exchange_is_out_of_step(&s->exchange))
		job_distrust(s->job);
	pull = !s->no_more && !s->deliver->stopping && s->served < s->conf->queue.messages_per_session;
	report(s, pull);
	session_enter(s, IN_READY);
	if (!pull)
		session_quit(s);
}

/* The server said 421 or broke the protocol: what it said is in the job's outcomes already. */
static void
finish_over(struct session *s, enum stage stage, const struct smtp_reply *reply)
{
	enum session_end end = s->worked ? SESSION_LOST : SESSION_TEMPORARY;
	struct buf text = BUF_INIT(JOB_TEXT_MAX);
	struct verdict v;

	if (reply->code < 400) {
		reply_out_of_step_put(&text, reply, JOB_TEXT_MAX);
		verdict_say(&v, end, 0, ENHANCED(4, 5, 0), "%.*s", (int)buf_len(&text), (const char *)buf_slice(&text).p);
		buf_free(&text);
	} else {
		verdict_quote(&v, end, reply);
	}
	report(s, false);
	session_end(s, stage, &v);
}

/* ---- the connection goes ------------------------------------------------------------------------------------------*/

/* Before MAIL was answered nothing has happened to the message: once it may go over another connection at once. Servers
 * hang up between messages for many reasons of their own. */
static bool
try_again(struct session *s)
{
	bool reused = s->served_here > 0;

	if (s->transaction.mail_answered || s->job->retried || (!reused && s->try + 1 >= s->route.n_tries))
		return false;
	s->job->retried = true;
	if (!reused)
		s->try++;
	session_reconnect(s, reused);
	return true;
}

void
mail_lost(struct session *s, enum loss loss, const char *what)
{
	enum stage at = exchange_stage(&s->exchange);
	struct verdict v;

	if (loss == LOSS_HANGUP && try_again(s))
		return;
	verdict_say(&v, s->worked ? SESSION_LOST : SESSION_TEMPORARY, 0, loss_enhanced(loss), "%s (%s)%s", what,
	    stage_name(at),
	    s->transaction.dot_sent && !s->transaction.alone ? "; whether the message arrived is not known" : "");
	job_decide_rest(s->job, JOB_DEFERRED, 0, v.enhanced, verdict_text(&v));
	report(s, false);
	session_end(s, at, &v);
}

/* ---- going on -----------------------------------------------------------------------------------------------------*/

static void
grant_credit(struct session *s)
{
	struct d_credit m = { s->job->number, content_grant(&s->job->content) };

	if (m.bytes > 0 && s->deliver->queue != NULL)
		deliver_queue_sent(s->deliver, d_credit_send(s->deliver->queue, s->by_handle.id, &m));
}

/* Content goes in pieces of the outgoing buffer's size, as long as the socket takes them. */
static bool
pump_and_write(struct session *s)
{
	bool flowing;

	do {
		if (transaction_is_out_of_step(&s->transaction, &s->exchange)) {
			job_distrust(s->job);
			mail_lost(s, LOSS_NONSENSE, "the server said what nobody had asked for");
			return false;
		}
		flowing = s->transaction.flowing;
		if (transaction_pump(&s->transaction, &s->exchange) != RC_OK) {
			mail_lost(s, LOSS_MEMORY, "out of memory here");
			return false;
		}
		if (s->transaction.broken) {
			report(s, false);
			session_end_done(s);
			return false;
		}
		if (!session_flush(s))
			return false;
		grant_credit(s);
	} while (flowing && buf_len(&s->exchange.out) == 0 && buf_len(&s->job->content.waiting) > 0 &&
	    s->transaction.flowing && !exchange_has_input(&s->exchange));
	return true;
}

void
mail_progress(struct session *s)
{
	if (!pump_and_write(s))
		return;
	/* Behind the dot only its own time counts: a server that has the message must not be hung up on because it was slow
	 * before, or the message would go out twice (RFC 5321 4.5.3.2.6, RFC 1047). */
	if (s->transaction.dot_sent && buf_len(&s->exchange.out) == 0)
		timer_cancel(&s->total_timer);
	if (transaction_done(&s->transaction, &s->exchange))
		finish(s);
	else
		session_arm(s);
}

void
mail_begin(struct session *s)
{
	bool reset = s->left_open;

	s->left_open = false;
	transaction_begin(&s->transaction, &s->exchange, s->job, reset);
	timer_start(&s->total_timer, timeout_message(&s->conf->deliver, s->job->content.size, s->job->n_rcpts));
	session_enter(s, IN_MAIL);
	mail_progress(s);
}

void
mail_reply(struct session *s, enum stage stage, const struct smtp_reply *reply)
{
	/* 421 to the first command after a message: "enough for this connection", no word about the mail. Nor is a RSET that
	 * the server will not do. */
	if (((stage == STAGE_RSET && reply->code / 100 != 2) || (stage == STAGE_MAIL && reply->code == 421)) &&
	    s->served_here > 0 && try_again(s))
		return;
	transaction_reply(&s->transaction, &s->exchange, stage, reply);
	/* A 250 to MAIL is no progress: a server that hangs up after it would be tried again and again (RFC 5321 4.5.4.1). Nor
	 * is one to a dot that it has not seen, which ends the transaction. */
	if ((stage == STAGE_DOT && reply->code / 100 == 2 && !s->transaction.over) ||
	    (stage == STAGE_RCPT && reply->code / 100 == 5))
		s->worked = true;
	if (s->transaction.over) {
		if (transaction_done(&s->transaction, &s->exchange) && stage == STAGE_DOT)
			s->served++;
		finish_over(s, stage, reply);
		return;
	}
	mail_progress(s);
}

/* ---- frames of the queue ------------------------------------------------------------------------------------------*/

const char *
session_job(struct session *s, const struct d_job *m)
{
	struct verdict v;
	enum rc rc;

	if (s->state != IN_READY || s->job != NULL)
		return "a job for a session that did not ask for one";
	rc = job_new(m, &s->job);
	if (rc == RC_NOMEM) {
		verdict_say(&v, SESSION_BUSY, 0, ENHANCED(4, 3, 0), "out of memory here");
		session_end(s, STAGE_IDLE, &v);
		return NULL;
	}
	if (rc != RC_OK)
		return "malformed D_JOB";
	if (connection_is_open(&s->connection) && !exchange_has_input(&s->exchange))
		mail_begin(s);
	else
		session_reconnect(s, true);
	return NULL;
}

const char *
session_chunk(struct session *s, const struct d_chunk *m)
{
	if (s->job == NULL || s->job->number != m->job)
		return NULL;	/* it was decided without its content */
	switch ((int)content_add(&s->job->content, m->content)) {
	case RC_OK:
		break;
	case RC_NOMEM:
		if (s->state == IN_MAIL)
			mail_lost(s, LOSS_MEMORY, "out of memory here");
		return NULL;
	default:
		return "content beyond its size or window";
	}
	if (s->state == IN_MAIL && s->transaction.flowing)
		mail_progress(s);
	return NULL;
}

void
session_revoke(struct session *s, uint32_t job)
{
	/* In the middle of the content there is no way to take it back but to cut the connection. When the result was under
	 * way already, the queue awaits the end of the session all the same. */
	if (s->job == NULL)
		session_idle(s);
	else if (s->job->number == job)
		session_end_done(s);
}

void
session_idle(struct session *s)
{
	s->no_more = true;
	switch (s->state) {
	case IN_READY:
		session_quit(s);
		break;
	case IN_RESOLVE:
	case IN_CONNECT:
	case IN_GREETING:
		if (s->job == NULL)
			session_end_done(s);
		break;
	case IN_MAIL:
	case IN_QUIT:
	case IN_END:
		break;
	}
}
