/* master/stop.c -- the end of the house, see stop.h. */
#include "master/stop.h"

#include "common/log.h"
#include "master/notify.h"

#include <stdio.h>
#include <string.h>
#include <sysexits.h>

enum {
	SETTLE_MS = 5000,	/* for rooms that have nothing to wait for, and on top of the grace of those that have */
	STEPS = 5,
};

/* Who stops together. Front doors and carriers end their sessions and deliveries; then the queue makes everything
 * durable that it heard; then those that only answer. */
static const uint32_t steps[STEPS] = {
	ROLE_BIT(ROLE_SMTPD) | ROLE_BIT(ROLE_DELIVER) | ROLE_BIT(ROLE_LOCAL),
	ROLE_BIT(ROLE_MAILBOX),
	ROLE_BIT(ROLE_QUEUE),
	ROLE_BIT(ROLE_ROUTER) | ROLE_BIT(ROLE_AUTH) | ROLE_BIT(ROLE_RESOLVER) | ROLE_BIT(ROLE_CONTROL) | ROLE_BIT(ROLE_VAULT),
	ROLE_BIT(ROLE_LOG),
};

static void
step_begin(struct master *m)
{
	uint64_t grace = m->stop_step == 0 ? m->source.conf->global.stop_grace : SETTLE_MS;

	for (struct child *c = m->children; c != NULL; c = c->next)
		if ((steps[m->stop_step] & ROLE_BIT(c->role)) != 0)
			child_send_stop(c, (uint32_t)grace);
	timer_start(&m->stop_timer, grace + SETTLE_MS);
}

static bool
step_done(const struct master *m)
{
	for (const struct child *c = m->children; c != NULL; c = c->next)
		if ((steps[m->stop_step] & ROLE_BIT(c->role)) != 0 && (c->pid != 0 || c->line != NULL))
			return false;
	return true;
}

void
stop_progress(struct master *m)
{
	if (m->phase != PHASE_STOPPING)
		return;
	while (m->stop_step < STEPS && step_done(m)) {
		m->stop_step++;
		if (m->stop_step < STEPS)
			step_begin(m);
	}
	if (m->stop_step < STEPS)
		return;
	/* It may be due in this very turn, and there is no step left for it to hurry. */
	timer_cancel(&m->stop_timer);
	loop_stop(m->loop);
}

/* Somebody did not end in time. */
static void
on_stop_timer(struct timer *t, void *ctx)
{
	struct master *m = ctx;

	for (struct child *c = m->children; c != NULL; c = c->next)
		if ((steps[m->stop_step] & ROLE_BIT(c->role)) != 0 && c->pid != 0) {
			log_say(LOG_TROUBLE, NULL, F_TEXT("what", "killed, since it did not stop in time"),
			    F_TEXT("error", role_program(c->role)));
			child_kill(c);
		}
	timer_start(t, SETTLE_MS);
}

void
stop_begin(struct master *m, const char *reason)
{
	if (m->phase == PHASE_STOPPING)
		return;
	m->phase = PHASE_STOPPING;
	notify_stopping();
	log_say(LOG_STOPPING, NULL, F_TEXT("reason", reason));
	for (struct child *c = m->children; c != NULL; c = c->next)
		timer_cancel(&c->restart);
	timer_setup(&m->stop_timer, m->loop, on_stop_timer, m);
	m->stop_step = 0;
	step_begin(m);
	stop_progress(m);
}

void
stop_failed_start(struct master *m, const struct child *c)
{
	struct buf cause = BUF_INIT(4096);

	(void)fprintf(stderr, "postern: %s does not start: %s\n", role_program(c->role), child_cause(c, &cause));
	buf_free(&cause);
	m->exit_status = EX_CONFIG;
	stop_begin(m, "a room does not start");
}
