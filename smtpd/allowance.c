/* smtpd/allowance.c -- see allowance.h. */
#include "smtpd/allowance.h"

#include "smtpd/lookups.h"
#include "smtpd/session.h"

static bool
is_limited(const struct session *s)
{
	const struct conf_auth *c = &s->conf->auth;

	return s->user != NULL &&
	    (c->user_messages_hour | c->user_recipients_hour | c->user_messages_day | c->user_recipients_day) != 0;
}

static void
no_answer(struct rcpt *r)
{
	refusal_set(&r->refusal, 451, "4.3.0", "Limits cannot be checked now, try again later");
}

/* Whoever asked for the message too and gets no yes leaves that to the next one. */
static void
forget_handle(struct rcpt *r)
{
	handle_release(&r->tx->session->smtpd->spends, r->handle);
	r->handle = 0;
	r->spending = false;
	if (r->for_message)
		r->tx->message_asked = false;
}

bool
allowance_ask(struct rcpt *r)
{
	struct transaction *tx = r->tx;
	struct session *s = tx->session;
	struct au_spend m = { session_user(s), !tx->message_spent && !tx->message_asked, 1 };

	if (!is_limited(s))
		return false;
	if (s->smtpd->auth != NULL)
		r->handle = handle_new(&s->smtpd->spends, r);
	r->spending = r->handle != 0;
	if (r->handle == 0 || au_spend_send(s->smtpd->auth, r->handle, &m) != RC_OK) {
		forget_handle(r);
		no_answer(r);
		return true;
	}
	if (tx->spends_since == 0)
		tx->spends_since = loop_now(s->smtpd->loop);
	r->for_message = m.messages != 0;
	tx->message_asked = tx->message_asked || r->for_message;
	return true;
}

const char *
allowance_on_spent(void *ctx, struct peer *p, uint32_t handle, struct rd *body, int fd)
{
	struct smtpd *smtpd = ctx;
	struct rcpt *r = handle_find(&smtpd->spends, handle);
	struct transaction *tx;
	struct au_spent m;

	(void)p, (void)fd;
	if (!au_spent_get(body, &m))
		return "malformed AU_SPENT";
	if (r == NULL)
		return NULL;
	tx = r->tx;
	forget_handle(r);
	if (m.ok != 0) {
		tx->n_spent++;
		tx->message_spent = tx->message_spent || r->for_message;
	}
	if (m.ok == 0)
		refusal_from_room(&r->refusal, 450, S("4.7.1"), m.text.n == 0 ? S("You may not send more now, try again later") :
		    m.text);
	else if (!tx->message_spent)	/* asked with the first one, which was refused */
		refusal_set(&r->refusal, 450, "4.7.1", "You may not send more now, try again later");
	else
		lookup_check(r);
	session_wake(tx->session);
	return NULL;
}

void
allowance_unanswered(struct rcpt *r)
{
	forget_handle(r);
	no_answer(r);
}

void
allowances_fail(struct smtpd *smtpd)
{
	for (size_t i = 0; i < smtpd->spends.n; i++) {
		struct rcpt *r = handle_at(&smtpd->spends, i);

		if (r == NULL)
			continue;
		allowance_unanswered(r);
		session_wake(r->tx->session);
	}
}

/* Seconds, of which a part counts as a whole one: what is older than it was is not given back too much. */
static uint32_t
age_of(const struct transaction *tx)
{
	uint64_t ms = tx->spends_since == 0 ? 0 : loop_now(tx->session->smtpd->loop) - tx->spends_since;

	return ms / 1000 < UINT32_MAX ? (uint32_t)((ms + 999) / 1000) : UINT32_MAX;
}

void
allowance_settle(const struct transaction *tx)
{
	const struct session *s = tx->session;
	struct au_count m = { session_user(s), 0, 0, tx->message_spent, tx->n_spent, age_of(tx) };

	if (s->user == NULL || s->smtpd->auth == NULL)
		return;
	/* A client that goes before it hears of its message has sent it all the same. */
	if (tx->given) {
		m.messages = !tx->message_spent;
		m.messages_back = 0;
		m.rcpts = tx->n_rcpts > tx->n_spent ? tx->n_rcpts - tx->n_spent : 0;
		m.rcpts_back = tx->n_spent > tx->n_rcpts ? tx->n_spent - tx->n_rcpts : 0;
	}
	/* A line that is full loses it: some user has been counted for more, or for less, than he sent. */
	if (m.messages + m.rcpts + m.messages_back + m.rcpts_back > 0)
		(void)au_count_send(s->smtpd->auth, 0, &m);
}
