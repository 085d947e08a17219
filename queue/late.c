/* queue/late.c -- messages with a time, see late.h. */
#include "queue/late.h"

#include <stdlib.h>

static struct late *
of_due(struct due *due)
{
	return (struct late *)(void *)due;
}

static struct late *
make(struct message *m)
{
	if (m->late == NULL && (m->late = calloc(1, sizeof *m->late)) != NULL)
		m->late->message = m;
	return m->late;
}

static bool
tells(const struct message *m)
{
	return (m->flags & (MESSAGE_NOTICED | MESSAGE_BOUNCE)) == 0;
}

/* The next tick at which something is to be done; UINT32_MAX: none. */
static uint32_t
next_of(const struct schedule *s, const struct message *m)
{
	const struct late *l = m->late;
	uint64_t notice = (uint64_t)m->arrived + (s->limits.delay_notice + 999) / 1000;
	uint32_t at = UINT32_MAX;

	if (l->by != 0 && (l->returns || tells(m)))
		at = l->by;
	/* A sender who set a time for it is told then (RFC 2852 4.1.3); before is no must (RFC 3461 5.2.5), and once will do. */
	if (s->limits.delay_notice > 0 && tells(m) && (l->by == 0 || l->returns) && notice < at)
		at = (uint32_t)notice;
	return at;
}

static void
leave(struct schedule *s, struct late *l)
{
	if (!link_alone(&l->due.link))
		wheel_remove(&s->late, &l->due);
}

/* Where it belongs now; without anything to wait for it is no more. */
static void
arm(struct schedule *s, struct message *m)
{
	uint32_t at = next_of(s, m);

	leave(s, m->late);
	if (at == UINT32_MAX && m->late->by == 0) {
		free(m->late);
		m->late = NULL;
	} else if (at != UINT32_MAX) {
		m->late->due.at = at;
		wheel_add(&s->late, &m->late->due);
	}
}

enum rc
late_set_by(struct schedule *s, struct message *m, int64_t seconds, bool returns)
{
	struct late *l = make(m);

	if (l == NULL)
		return RC_NOMEM;
	if (seconds <= 0)
		seconds = returns ? 0 : LATE_GRACE_S;
	l->by = seconds < INT32_MAX ? s->now + (uint32_t)seconds : s->now + INT32_MAX;
	l->returns = returns;
	arm(s, m);
	return RC_OK;
}

void
late_watch(struct schedule *s, struct message *m)
{
	if (m->late == NULL && tells(m) && s->limits.delay_notice > 0 && make(m) != NULL)
		arm(s, m);
}

struct message *
late_next(struct schedule *s, unsigned *budget, enum late_what *ret_what)
{
	struct due *due;

	while ((due = wheel_take(&s->late, s->now, budget)) != NULL) {
		struct message *m = of_due(due)->message;

		/* The configuration may have changed since. */
		if (next_of(s, m) > s->now) {
			arm(s, m);
			continue;
		}
		*ret_what = late_is_over(s, m, true) ? LATE_RETURN : LATE_TELL;
		return m;
	}
	return NULL;
}

void
late_told(struct schedule *s, struct message *m)
{
	m->flags |= MESSAGE_NOTICED;
	if (m->late != NULL)
		arm(s, m);
}

void
late_again(struct schedule *s, struct message *m, uint32_t seconds)
{
	if (m->late == NULL)
		return;
	leave(s, m->late);
	m->late->due.at = s->now + seconds;
	wheel_add(&s->late, &m->late->due);
}

bool
late_is_over(const struct schedule *s, const struct message *m, bool returns)
{
	return m->late != NULL && m->late->by != 0 && m->late->by <= s->now && (!returns || m->late->returns);
}

void
late_forget(struct schedule *s, struct message *m)
{
	if (m->late == NULL)
		return;
	leave(s, m->late);
	free(m->late);
	m->late = NULL;
}
