/* smtpd/wait.c -- see wait.h. */
#include "smtpd/wait.h"

#include "smtpd/deadline.h"
#include "smtpd/login.h"
#include "smtpd/lookups.h"
#include "smtpd/submit.h"
#include "smtpd/verify.h"

static const struct {
	enum wait what;
	void (*unanswered)(struct session *s);
	void (*forget)(struct session *s);	/* NULL: what ends with the transaction */
} questions[] = {
	{ WAIT_FLUSH, submit_flush_unanswered, submit_flush_forget },
	{ WAIT_VERIFY, verify_unanswered, verify_forget },
	{ WAIT_RCPTS, lookup_rcpts_unanswered, NULL },
	{ WAIT_LOGIN, login_unanswered, login_free },
	{ WAIT_NAME, lookup_name_unanswered, lookup_name_forget },
};
enum { N_QUESTIONS = sizeof questions / sizeof questions[0] };

unsigned
wait_what(const struct session *s)
{
	unsigned what = s->waits;

	if (s->name_handle != 0)
		what |= WAIT_NAME;
	if (s->tx != NULL && s->tx->n_waiting > 0)
		what |= WAIT_RCPTS;
	return what;
}

void
wait_begin(struct session *s, enum wait what)
{
	s->waits |= (unsigned)what;
}

void
wait_over(struct session *s, enum wait what)
{
	bool held = s->waits != 0;

	if (s->tx != NULL && s->phase == PH_MAIL)
		rcpts_reply(s->tx);
	s->waits &= ~(unsigned)(what | WAIT_AGAIN);
	if (held && s->waits == 0)
		deadline_progress(s);
	chore_queue(&s->chore);
}

void
wait_unanswered(struct session *s, unsigned what)
{
	for (size_t i = 0; i < N_QUESTIONS; i++)
		if ((wait_what(s) & what & questions[i].what) != 0)
			questions[i].unanswered(s);
}

void
wait_forget(struct session *s)
{
	for (size_t i = 0; i < N_QUESTIONS; i++)
		if (questions[i].forget != NULL)
			questions[i].forget(s);
	s->waits = 0;
}
