/* smtpd/deadline.c -- see deadline.h. */
#include "smtpd/deadline.h"

#include "smtpd/login.h"
#include "smtpd/receive.h"
#include "smtpd/session.h"

struct deadline {
	uint64_t at;
	void (*fn)(struct session *s, const char *reason);	/* what happens then */
	const char *reason;
};

static void
sooner(struct deadline *d, uint64_t at, void (*fn)(struct session *s, const char *reason), const char *reason)
{
	if (at < d->at)
		*d = (struct deadline){ at, fn, reason };
}

static void
throw_out(struct session *s, const char *reason)
{
	session_last(s, 421, "4.4.2", reason, reason);
}

static void
hang_up(struct session *s, const char *reason)
{
	session_end(s, reason);
}

static void
no_name(struct session *s, const char *reason)
{
	(void)reason;
	wait_unanswered(s, WAIT_NAME);
}

static void
no_verdict(struct session *s, const char *reason)
{
	(void)reason;
	wait_unanswered(s, WAIT_FLUSH | WAIT_VERIFY | WAIT_RCPTS);
}

static void
wake_up(struct session *s, const char *reason)
{
	(void)reason;
	wait_over(s, WAIT_LATE);
}

/* The queue is silent: nothing was promised, so the client keeps the message. */
static void
no_queue(struct session *s, const char *reason)
{
	struct refusal r;

	if (s->phase == PH_DATA) {
		refusal_set(&r, 451, "4.3.0", "The queue does not answer, try again later");
		receive_refuse(s->tx, &r);
		session_wake(s);
		return;
	}
	/* It may have the message: then a 451 would be a lie that makes two of it (RFC 5321 4.2.5, RFC 1047). */
	session_end(s, reason);
}

uint64_t
deadline_of_rate(uint64_t bytes, uint64_t rate)
{
	uint64_t ms;

	if (rate == 0 || __builtin_mul_overflow(bytes, 1000, &ms))
		return UINT64_MAX;
	ms /= rate;
	return ms < RATE_GRACE_MS ? RATE_GRACE_MS : ms;
}

/* Whoever is exempt from limits has the time that was promised to him. */
static bool
hurries(const struct session *s)
{
	return s->smtpd->stressed && !s->exempt;
}

static uint64_t
command_time(const struct session *s)
{
	const struct conf_smtpd *c = &s->conf->smtpd;

	return hurries(s) && c->stress_timeout_command < c->timeout_command ? c->stress_timeout_command : c->timeout_command;
}

/* A login that the client does not go on with: the auth room counts it for the network as well (held_a_place()). What it has
 * given up before is counted already. When sessions run out the client had less time than was promised to it: then it may be slow
 * and honest, and has failed no login. */
static void
no_response(struct session *s, const char *reason)
{
	bool cut_short = command_time(s) < s->conf->smtpd.timeout_command;

	if (!login_has_failed(s))
		client_note(s, cut_short ? CLIENT_ERROR : CLIENT_FAILED_LOGIN, 1);
	throw_out(s, reason);
}

static uint64_t
data_time(const struct session *s)
{
	const struct conf_smtpd *c = &s->conf->smtpd;

	return hurries(s) && c->stress_timeout_data < c->timeout_data ? c->stress_timeout_data : c->timeout_data;
}

static uint64_t
message_deadline(const struct session *s)
{
	return s->tx->receive->began + s->tx->receive->stalled + s->conf->smtpd.timeout_message;
}

static void
data_deadlines(const struct session *s, struct deadline *d)
{
	const struct receive *r = s->tx->receive;
	uint64_t slow = deadline_of_rate(r->wire, s->conf->smtpd.min_data_rate);

	if (s->waits != 0) {
		sooner(d, s->since + QUEUE_PATIENCE_MS, no_queue, "the queue does not answer");
		return;
	}
	sooner(d, s->since + data_time(s), throw_out, "Timeout: no data");
	sooner(d, message_deadline(s), throw_out, "Timeout: message takes too long");
	if (slow != UINT64_MAX)
		sooner(d, r->began + r->stalled + slow, throw_out, "Timeout: data comes too slowly");
}

static void
command_deadlines(const struct session *s, struct deadline *d)
{
	unsigned waits = wait_what(s);

	/* A name that is looked up makes nobody wait until it is needed. Recipients do, though they do not hold the session:
	 * the client may be waiting for the reply. */
	if ((waits & ~(unsigned)WAIT_NAME) == 0)
		sooner(d, s->since + command_time(s), throw_out, "Timeout: no command");
	else if ((waits & WAIT_NAME) != 0)
		sooner(d, s->name_since + NAME_PATIENCE_MS, no_name, "");
	else
		sooner(d, s->since + VERDICT_PATIENCE_MS, no_verdict, "");
}

static void
no_login(struct session *s, const char *reason)
{
	(void)reason;
	wait_unanswered(s, WAIT_LOGIN);
}

static void
login_deadlines(const struct session *s, struct deadline *d)
{
	if ((s->waits & WAIT_LOGIN) != 0)
		sooner(d, s->since + s->conf->auth.failure_delay_max + LOGIN_PATIENCE_MS, no_login, "");
	else
		sooner(d, s->since + command_time(s), no_response, "Timeout: no response");
}

static struct deadline
earliest(const struct session *s)
{
	struct deadline d = { UINT64_MAX, hang_up, "" };

	if ((s->waits & WAIT_LATE) != 0) {
		sooner(&d, s->since + s->conf->smtpd.error_delay, wake_up, "");
		return d;
	}
	/* A message that makes progress is judged by the times of messages alone. */
	if (s->waits == 0 && s->phase < PH_DATA)
		sooner(&d, s->began + s->conf->smtpd.timeout_session, throw_out, "Timeout: session takes too long");
	switch (s->phase) {
	case PH_HELLO:
	case PH_READY:
	case PH_MAIL:
		command_deadlines(s, &d);
		break;
	case PH_AUTH:
		login_deadlines(s, &d);
		break;
	case PH_CHUNKS:
		command_deadlines(s, &d);
		sooner(&d, message_deadline(s), throw_out, "Timeout: message takes too long");
		break;
	case PH_SKIP:
		sooner(&d, s->since + data_time(s), throw_out, "Timeout: no data");
		sooner(&d, s->skip.began + s->conf->smtpd.timeout_message, throw_out, "Timeout: message takes too long");
		break;
	case PH_DATA:
		data_deadlines(s, &d);
		break;
	case PH_COMMIT:
		sooner(&d, s->since + QUEUE_PATIENCE_MS, no_queue, "the queue does not answer");
		break;
	case PH_SHAKE:
		sooner(&d, s->since + s->conf->smtpd.timeout_tls, session_shake_failed, "Timeout: TLS handshake");
		break;
	case PH_LAST:
		sooner(&d, s->since + LAST_PATIENCE_MS, hang_up, "last reply not taken");
		break;
	case PH_LINGER:
		sooner(&d, s->since + LINGER_MS, hang_up, "");
		break;
	case PH_DEAD:
	case PHASE_COUNT:
		break;
	}
	return d;
}

void
deadline_arm(struct session *s)
{
	uint64_t at = earliest(s).at, now = loop_now(s->smtpd->loop);

	if (at == UINT64_MAX || (s->timer_at != 0 && s->timer_at <= at))
		return;
	s->timer_at = at;
	timer_start(&s->timer, at > now ? at - now : 0);
}

void
deadline_progress(struct session *s)
{
	s->since = loop_now(s->smtpd->loop);
}

/* It ended nothing: then it must not be found again at once, and again, for as long as nothing else happens. */
static bool
still_there(const struct session *s, const struct deadline *d)
{
	struct deadline now = earliest(s);

	return now.at == d->at && now.fn == d->fn;
}

void
deadline_fire(struct timer *t, void *ctx)
{
	struct session *s = ctx;
	struct deadline d = earliest(s);

	(void)t;
	s->timer_at = 0;
	if (d.at <= loop_now(s->smtpd->loop))
		d.fn(s, d.reason);
	if (s->phase == PH_DEAD)
		return;
	if (d.at <= loop_now(s->smtpd->loop) && still_there(s, &d))
		deadline_progress(s);
	/* Also flushes, and arms the timer again. */
	session_wake(s);
}
