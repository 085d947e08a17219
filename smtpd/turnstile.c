/* smtpd/turnstile.c -- see turnstile.h. */
#include "smtpd/turnstile.h"

#include "smtpd/session.h"

enum { SECOND = 1000000 };	/* in microseconds; also what may be saved up: a second's worth */

static uint64_t
now_of(const struct smtpd *smtpd)
{
	return loop_now(smtpd->loop) * 1000;
}

/* Microseconds until the next may pass; 0: now. */
static uint64_t
due_in(const struct smtpd *smtpd)
{
	uint64_t now = now_of(smtpd), paid = smtpd->turnstile.paid_until;

	return paid > now + SECOND ? paid - now - SECOND : 0;
}

static void
pay(struct smtpd *smtpd, uint32_t rate)
{
	struct turnstile *t = &smtpd->turnstile;
	uint64_t now = now_of(smtpd);

	if (t->paid_until < now)
		t->paid_until = now;
	t->paid_until += SECOND / rate;
}

static void
arm(struct smtpd *smtpd)
{
	struct turnstile *t = &smtpd->turnstile;

	if (t->waiting != NULL && !timer_pending(&t->timer))
		timer_start(&t->timer, due_in(smtpd) / 1000 + 1);
}

static void
on_due(struct timer *timer, void *ctx)
{
	struct turnstile *t = ctx;

	(void)timer;
	while (t->waiting != NULL) {
		struct session *s = t->waiting;
		uint32_t rate = s->conf->smtpd.stranger_handshakes;

		if (rate > 0 && due_in(s->smtpd) > 0) {
			arm(s->smtpd);
			return;
		}
		turnstile_leave(s);
		if (rate > 0)
			pay(s->smtpd, rate);
		session_pass(s);
	}
}

void
turnstile_init(struct turnstile *t, struct loop *loop)
{
	t->waiting = NULL;
	t->paid_until = 0;
	timer_setup(&t->timer, loop, on_due, t);
}

void
turnstile_free(struct turnstile *t)
{
	timer_cancel(&t->timer);
}

static bool
is_known(const struct session *s)
{
	return s->exempt || s->client == NULL || client_is_good(&s->smtpd->clients, s->client);
}

bool
turnstile_ask(struct session *s)
{
	struct turnstile *t = &s->smtpd->turnstile;
	uint32_t rate = s->conf->smtpd.stranger_handshakes;

	if (rate == 0 || is_known(s))
		return true;
	if (due_in(s->smtpd) == 0) {
		pay(s->smtpd, rate);
		return true;
	}
	s->turn_next = t->waiting;
	if (s->turn_next != NULL)
		s->turn_next->turn_link = &s->turn_next;
	s->turn_link = &t->waiting;
	t->waiting = s;
	arm(s->smtpd);
	return false;
}

void
turnstile_leave(struct session *s)
{
	if (s->turn_link == NULL)
		return;
	*s->turn_link = s->turn_next;
	if (s->turn_next != NULL)
		s->turn_next->turn_link = s->turn_link;
	s->turn_link = NULL;
}
