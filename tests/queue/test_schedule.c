/* tests/queue/test_schedule.c -- the scheduler and what it stands on, with a clock of our own. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "queue/late.h"
#include "queue/report_rate.h"
#include "queue/schedule.h"
#include "queue/unread.h"

#include <stdlib.h>

static const struct schedule_limits limits = {
	.backoff = { .first = 300000, .max = 3600000, .jitter = 0, .expire = 432000000, .expire_bounce = 86400000 },
	.window_first = 2, .window_max = 4, .sessions_max = 5, .rcpts_per_job = 3,
};

struct world {
	struct schedule s;
	struct message *messages[64];
	size_t n;
	unsigned budget;
};

static struct world *
world_new(void)
{
	struct world *w = calloc(1, sizeof *w);

	assert_non_null(w);
	schedule_init(&w->s, &limits, TICK_ORIGIN, 1);
	schedule_adopt(&w->s, &limits, 1);
	return w;
}

static void
world_free(struct world *w)
{
	for (size_t i = 0; i < w->n; i++) {
		late_forget(&w->s, w->messages[i]);
		free(w->messages[i]);
	}
	schedule_free(&w->s);
	free(w);
}

static struct message *
mail_of(struct world *w, uint16_t flags, const char *nexthop, uint32_t n)
{
	struct message *m = message_new((struct msgid){ 1, 1, w->n + 1 }, n);
	struct schedule_route route = { S("smtp"), slice_str(nexthop), CARRIER_REMOTE, 0, 1 };

	assert_non_null(m);
	w->messages[w->n++] = m;
	m->arrived = w->s.now;
	m->flags = flags;
	for (uint32_t i = 0; i < n; i++) {
		assert_int_equal(schedule_route(&w->s, &m->rcpts[i], &route), RC_OK);
		schedule_ready(&w->s, &m->rcpts[i]);
	}
	return m;
}

/* A message to n recipients at one destination, due now. */
static struct message *
mail(struct world *w, const char *nexthop, uint32_t n)
{
	return mail_of(w, 0, nexthop, n);
}

static struct destination *
find(struct world *w, const char *nexthop)
{
	return destination_find(&w->s.destinations, S("smtp"), slice_str(nexthop));
}

static unsigned
open_sessions(struct world *w)
{
	struct destination *d;
	unsigned n = 0;

	while ((d = schedule_next_session(&w->s, CARRIER_REMOTE)) != NULL) {
		schedule_opened(&w->s, d);
		n++;
	}
	return n;
}

static void
run(struct world *w, uint32_t seconds)
{
	unsigned budget = 1000000;

	assert_true(schedule_run(&w->s, w->s.now + seconds, &budget));
}

/* shows: RFC5321 4.5.4.1/9, RFC5321 4.5.3.1.8/6 */
static void
recipients_of_one_message_share_a_job(void **state)
{
	struct world *w = world_new();
	struct rcpt *r[10];
	struct message *a = mail(w, "a.test", 5);
	struct destination *d = find(w, "a.test");

	(void)state;
	(void)mail(w, "a.test", 1);
	assert_int_equal(open_sessions(w), 2);		/* the first window */
	assert_int_equal(schedule_up(&w->s, d), NEWS_NONE);
	assert_int_equal(schedule_take(&w->s, d, r, 10), 3);	/* rcpts_per_job */
	assert_ptr_equal(r[0], &a->rcpts[0]);
	assert_int_equal(r[0]->due.state, RCPT_BUSY);
	assert_int_equal(schedule_take(&w->s, d, r, 10), 2);	/* not the next message */
	assert_int_equal(schedule_take(&w->s, d, r, 10), 1);
	assert_int_equal(schedule_take(&w->s, d, r, 10), 0);	/* the session waits */
	(void)mail(w, "a.test", 1);
	assert_ptr_equal(schedule_next_offer(&w->s), d);
	assert_null(schedule_next_offer(&w->s));
	schedule_unwait(&w->s, d);
	assert_int_equal(schedule_take(&w->s, d, r, 10), 1);
	world_free(w);
}

/* Three levels, and in each the one that came first.
 * shows: RFC6710 5/4, RFC6710 5.1/1, RFC6710 5.1/2 */
static void
urgent_mail_goes_first(void **state)
{
	struct world *w = world_new();
	struct message *low = mail_of(w, MESSAGE_LOW, "a.test", 1), *usual = mail(w, "a.test", 2);
	struct message *urgent = mail_of(w, MESSAGE_URGENT, "a.test", 2), *next = mail_of(w, MESSAGE_URGENT, "a.test", 1);
	struct message *last = mail(w, "a.test", 1);
	const struct rcpt *const order[] = { &urgent->rcpts[0], &urgent->rcpts[1], &next->rcpts[0], &usual->rcpts[0],
		&usual->rcpts[1], &last->rcpts[0], &low->rcpts[0] };
	struct destination *d = find(w, "a.test");
	struct rcpt *r[10];
	size_t n;

	(void)state;
	assert_int_equal(open_sessions(w), 2);
	(void)schedule_up(&w->s, d);
	for (size_t at = 0; at < sizeof order / sizeof order[0]; at += n) {
		n = schedule_take(&w->s, d, r, 10);
		assert_in_range(n, 1, 2);
		for (size_t i = 0; i < n; i++)
			assert_ptr_equal(r[i], order[at + i]);
	}
	assert_int_equal(schedule_take(&w->s, d, r, 10), 0);
	assert_int_equal(d->n_ready, 0);
	world_free(w);
}

/* However much comes that goes first. */
static void
low_mail_has_its_turn(void **state)
{
	struct world *w = world_new();
	struct message *low = mail_of(w, MESSAGE_LOW, "a.test", 2);
	struct destination *d = find(w, "a.test");
	struct rcpt *r[10];
	unsigned jobs = 0;
	size_t n;

	(void)state;
	(void)mail(w, "a.test", 1);
	assert_int_equal(open_sessions(w), 2);
	(void)schedule_up(&w->s, d);
	do {
		(void)mail(w, "a.test", 1);
		n = schedule_take(&w->s, d, r, 10);
		assert_in_range(++jobs, 1, LOWEST_EVERY);
	} while (r[0] != &low->rcpts[0]);
	assert_int_equal(jobs, LOWEST_EVERY);
	assert_int_equal(n, 2);
	assert_ptr_equal(r[1], &low->rcpts[1]);
	n = schedule_take(&w->s, d, r, 10);
	assert_int_equal(n, 1);
	world_free(w);
}

static void
destinations_take_turns(void **state)
{
	struct world *w = world_new();
	struct destination *d[5];

	(void)state;
	for (int i = 0; i < 20; i++)
		(void)mail(w, "a.test", 1);
	(void)mail(w, "b.test", 1);
	(void)mail(w, "c.test", 1);
	for (int i = 0; i < 4; i++) {
		d[i] = schedule_next_session(&w->s, CARRIER_REMOTE);
		if (d[i] != NULL)
			schedule_opened(&w->s, d[i]);
	}
	assert_ptr_equal(d[0], find(w, "a.test"));
	assert_ptr_equal(d[1], find(w, "b.test"));
	assert_ptr_equal(d[2], find(w, "c.test"));
	assert_ptr_equal(d[3], find(w, "a.test"));
	assert_null(schedule_next_session(&w->s, CARRIER_REMOTE));
	assert_null(schedule_next_session(&w->s, CARRIER_LOCAL));
	world_free(w);
}

static void
the_window_grows_and_the_total_holds(void **state)
{
	struct world *w = world_new();
	struct destination *d;

	(void)state;
	for (int i = 0; i < 20; i++)
		(void)mail(w, "a.test", 1);
	d = find(w, "a.test");
	assert_int_equal(open_sessions(w), 2);
	(void)schedule_up(&w->s, d);
	for (int i = 0; i < 20; i++)
		schedule_worked(&w->s, d);
	assert_int_equal(d->window, 4 * WINDOW_ONE);
	assert_int_equal(open_sessions(w), 2);
	for (int i = 0; i < 20; i++)
		(void)mail(w, "b.test", 1);
	assert_int_equal(open_sessions(w), 1);		/* sessions_max */
	world_free(w);
}

/* shows: RFC5321 4.5.4.1/2, RFC5321 4.5.4.1/6 */
static void
a_dead_destination_backs_off_as_a_whole(void **state)
{
	struct world *w = world_new();
	struct rcpt *r[4];
	struct destination *d;
	enum sweep how;
	unsigned budget = 100;
	bool more;

	(void)state;
	for (int i = 0; i < 10; i++)
		(void)mail(w, "a.test", 1);
	d = find(w, "a.test");
	assert_int_equal(open_sessions(w), 2);
	assert_int_equal(schedule_closed(&w->s, d, SESSION_TEMPORARY, false, false), NEWS_DOWN);
	assert_int_equal(schedule_closed(&w->s, d, SESSION_TEMPORARY, false, false), NEWS_NONE);	/* once is enough */
	assert_true(d->down);
	assert_null(schedule_next_swept(&w->s, &budget, &how, &more));
	assert_int_equal(open_sessions(w), 0);
	assert_int_equal(d->n_ready, 10);
	assert_int_equal(w->s.n_held, 10);
	schedule_cancel(&w->s, &w->messages[9]->rcpts[0]);
	assert_int_equal(w->s.n_held, 9);
	schedule_ready(&w->s, &w->messages[9]->rcpts[0]);
	assert_int_equal(w->s.n_held, 10);
	run(w, 299);
	assert_int_equal(open_sessions(w), 0);
	run(w, 1);
	assert_int_equal(w->s.n_held, 0);
	assert_int_equal(open_sessions(w), 1);		/* one to try */
	assert_int_equal(schedule_closed(&w->s, d, SESSION_TEMPORARY, false, false), NEWS_DOWN);
	run(w, 599);
	assert_int_equal(open_sessions(w), 0);
	run(w, 1);
	assert_int_equal(open_sessions(w), 1);
	assert_int_equal(schedule_up(&w->s, d), NEWS_UP);
	assert_int_equal(schedule_take(&w->s, d, r, 4), 1);
	schedule_worked(&w->s, d);
	assert_int_equal(open_sessions(w), 1);
	world_free(w);
}

/* shows: RFC5321 4.5.4.1/7 */
static void
a_peer_that_counts_its_guests_is_not_down(void **state)
{
	struct world *w = world_new();
	struct destination *d;

	(void)state;
	for (int i = 0; i < 10; i++)
		(void)mail(w, "a.test", 1);
	d = find(w, "a.test");
	assert_int_equal(open_sessions(w), 2);
	(void)schedule_up(&w->s, d);
	assert_int_equal(schedule_closed(&w->s, d, SESSION_TEMPORARY, false, false), NEWS_NONE);
	assert_false(d->down);
	assert_int_equal(d->window, WINDOW_ONE);
	assert_int_equal(open_sessions(w), 0);
	world_free(w);
}

static void
old_mail_of_a_dead_destination_expires(void **state)
{
	struct world *w = world_new();
	struct message *old = mail(w, "a.test", 2), *bounce = mail(w, "a.test", 1), *young = mail(w, "a.test", 1);
	struct destination *d = find(w, "a.test");
	struct rcpt *r;
	enum sweep how;
	unsigned budget = 100;
	bool more;

	(void)state;
	w->s.origin -= 432000;	/* this process has lived through all of it */
	old->arrived -= 432000;
	bounce->arrived -= 86400;
	bounce->flags = MESSAGE_BOUNCE;
	assert_int_equal(open_sessions(w), 2);
	assert_int_equal(schedule_closed(&w->s, d, SESSION_TEMPORARY, false, false), NEWS_DOWN);
	(void)schedule_closed(&w->s, d, SESSION_TEMPORARY, false, false);
	for (uint32_t i = 0; i < 2; i++) {
		r = schedule_next_swept(&w->s, &budget, &how, &more);
		assert_ptr_equal(r, &old->rcpts[i]);
		assert_int_equal(how, SWEEP_EXPIRE);
		schedule_done(&w->s, r);
	}
	r = schedule_next_swept(&w->s, &budget, &how, &more);
	assert_ptr_equal(r, &bounce->rcpts[0]);
	schedule_done(&w->s, r);
	assert_null(schedule_next_swept(&w->s, &budget, &how, &more));
	assert_int_equal(young->rcpts[0].due.state, RCPT_READY);
	assert_int_equal(d->n_ready, 1);
	world_free(w);
}

/* Each of its rings is walked, once, and what stays there keeps its place. */
static void
old_mail_of_each_priority_expires(void **state)
{
	static const uint16_t flags[] = { MESSAGE_URGENT, 0, MESSAGE_LOW };
	struct world *w = world_new();
	struct message *old[3], *young[3][2];
	struct destination *d;
	struct rcpt *r;
	enum sweep how;
	unsigned budget = 9;
	bool more;

	(void)state;
	w->s.origin -= 432000;
	for (unsigned i = 0; i < 3; i++) {
		young[i][0] = mail_of(w, flags[i], "a.test", 1);
		old[i] = mail_of(w, flags[i], "a.test", 1);
		young[i][1] = mail_of(w, flags[i], "a.test", 1);
		old[i]->arrived -= 432000;
	}
	d = find(w, "a.test");
	assert_int_equal(open_sessions(w), 2);
	assert_int_equal(schedule_closed(&w->s, d, SESSION_TEMPORARY, false, false), NEWS_DOWN);
	for (unsigned i = 0; i < 3; i++) {
		r = schedule_next_swept(&w->s, &budget, &how, &more);
		assert_ptr_equal(r, &old[i]->rcpts[0]);
		assert_int_equal(how, SWEEP_EXPIRE);
		schedule_done(&w->s, r);
	}
	assert_null(schedule_next_swept(&w->s, &budget, &how, &more));
	assert_false(more);
	assert_int_equal(budget, 0);
	for (unsigned i = 0; i < 3; i++)
		for (unsigned k = 0; k < 2; k++) {
			assert_int_equal(schedule_take(&w->s, d, &r, 1), 1);
			assert_ptr_equal(r, &young[i][k]->rcpts[0]);
		}
	world_free(w);
}

static void
a_destination_that_never_takes_mail_fails_all(void **state)
{
	struct world *w = world_new();
	struct destination *d;
	struct rcpt *r;
	enum sweep how;
	unsigned budget = 4, n = 0;
	bool more;

	(void)state;
	for (int i = 0; i < 10; i++)
		(void)mail_of(w, i % 3 == 0 ? MESSAGE_URGENT : i % 3 == 1 ? MESSAGE_LOW : 0, "a.test", 1);
	d = find(w, "a.test");
	assert_int_equal(open_sessions(w), 2);
	assert_int_equal(schedule_closed(&w->s, d, SESSION_PERMANENT, false, false), NEWS_NONE);
	for (;;) {
		r = schedule_next_swept(&w->s, &budget, &how, &more);
		if (r == NULL && !more)
			break;
		if (r == NULL) {
			budget = 4;
			continue;
		}
		assert_int_equal(how, SWEEP_FAIL);
		schedule_done(&w->s, r);
		n++;
	}
	assert_int_equal(n, 10);
	(void)schedule_closed(&w->s, d, SESSION_DONE, false, false);
	assert_null(find(w, "a.test"));		/* nobody needs it any more */
	assert_int_equal(w->s.n_sessions, 0);
	world_free(w);
}

static void
a_new_configuration_has_every_route_asked_again(void **state)
{
	struct world *w = world_new();
	struct message *m = mail(w, "a.test", 1);
	struct rcpt *r[2];
	struct destination *d = find(w, "a.test");
	struct schedule_route route = { S("smtp"), S("b.test"), CARRIER_REMOTE, 0, 2 };

	(void)state;
	assert_int_equal(open_sessions(w), 1);
	(void)schedule_up(&w->s, d);
	schedule_adopt(&w->s, &limits, 2);
	assert_int_equal(schedule_take(&w->s, d, r, 2), 0);
	assert_ptr_equal(schedule_next_stale(&w->s, NULL), &m->rcpts[0]);
	assert_int_equal(m->rcpts[0].due.state, RCPT_ROUTING);
	assert_int_equal(schedule_route(&w->s, &m->rcpts[0], &route), RC_OK);
	m->rcpts[0].due.state = RCPT_NEW;
	schedule_ready(&w->s, &m->rcpts[0]);
	assert_int_equal(find(w, "b.test")->n_ready, 1);
	assert_int_equal(schedule_closed(&w->s, d, SESSION_DONE, true, true), NEWS_NONE);
	assert_null(find(w, "a.test"));
	world_free(w);
}

static void
flushes_bring_forward(void **state)
{
	struct world *w = world_new();
	struct message *a = mail(w, "a.test", 1), *b = mail(w, "b.test", 1);

	(void)state;
	schedule_cancel(&w->s, &a->rcpts[0]);
	schedule_cancel(&w->s, &b->rcpts[0]);
	schedule_wait(&w->s, &a->rcpts[0], 3600000);
	schedule_wait(&w->s, &b->rcpts[0], 100000000);
	schedule_flush_destination(&w->s, find(w, "b.test"));
	run(w, 0);
	assert_int_equal(a->rcpts[0].due.state, RCPT_WAITING);
	assert_int_equal(b->rcpts[0].due.state, RCPT_READY);
	schedule_flush_message(&w->s, a);
	assert_int_equal(a->rcpts[0].due.state, RCPT_READY);
	schedule_cancel(&w->s, &a->rcpts[0]);
	schedule_wait(&w->s, &a->rcpts[0], 3600000);
	schedule_flush_all(&w->s);
	run(w, 0);
	assert_int_equal(a->rcpts[0].due.state, RCPT_READY);
	world_free(w);
}

/* A destination that is flushed may vanish: what is known of it when nothing waits for it any more, or while the queue is still
 * being looked through. */
static void
what_is_flushed_may_vanish(void **state)
{
	struct world *w = world_new();
	struct message *a = mail(w, "a.test", 1), *b = mail(w, "b.test", 3);
	struct destination *d = find(w, "a.test");
	unsigned budget = 1;

	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		struct rcpt *r = i == 0 ? &a->rcpts[0] : &b->rcpts[i - 1];

		schedule_cancel(&w->s, r);
		schedule_wait(&w->s, r, 1000000);
	}
	schedule_flush_destination(&w->s, d);
	(void)schedule_run(&w->s, w->s.now, &budget);
	assert_int_equal(a->rcpts[0].due.state, RCPT_READY);
	schedule_cancel(&w->s, &a->rcpts[0]);
	schedule_done(&w->s, &a->rcpts[0]);
	assert_null(find(w, "a.test"));
	run(w, 0);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(b->rcpts[i].due.state, RCPT_WAITING);
	/* All of it, with one destination asked for in between. */
	schedule_flush_all(&w->s);
	a = mail(w, "a.test", 1);
	d = find(w, "a.test");
	schedule_flush_destination(&w->s, d);
	run(w, 0);
	assert_int_equal(b->rcpts[0].due.state, RCPT_READY);
	/* Down, and its mail is gone. */
	schedule_opened(&w->s, d);
	assert_int_equal(schedule_closed(&w->s, d, SESSION_TEMPORARY, false, false), NEWS_DOWN);
	schedule_cancel(&w->s, &a->rcpts[0]);
	schedule_done(&w->s, &a->rcpts[0]);
	assert_ptr_equal(find(w, "a.test"), d);
	schedule_flush_destination(&w->s, d);
	assert_null(find(w, "a.test"));
	world_free(w);
}

/* Who flushes often does not have the mail wait for longer than without. */
static void
a_flush_leaves_the_back_off_as_it_was(void **state)
{
	struct world *w = world_new();
	struct message *m = mail(w, "a.test", 1);
	struct destination *d = find(w, "a.test");

	(void)state;
	assert_int_equal(open_sessions(w), 1);
	assert_int_equal(schedule_closed(&w->s, d, SESSION_TEMPORARY, false, false), NEWS_DOWN);
	for (unsigned i = 0; i < 9; i++) {
		run(w, 10);
		switch (i % 3) {
		case 0: schedule_flush_destination(&w->s, d); break;
		case 1: schedule_flush_message(&w->s, m); break;
		case 2: schedule_flush_all(&w->s); break;
		}
		run(w, 0);
		assert_false(d->down);
		assert_int_equal(open_sessions(w), 1);
		assert_int_equal(schedule_closed(&w->s, d, SESSION_TEMPORARY, false, false), NEWS_DOWN);
		assert_int_equal(d->failures, 1);
	}
	run(w, 300 - 9 * 10 - 1);
	assert_true(d->down);
	run(w, 1);
	assert_false(d->down);
	assert_int_equal(open_sessions(w), 1);
	assert_int_equal(schedule_closed(&w->s, d, SESSION_TEMPORARY, false, false), NEWS_DOWN);
	assert_int_equal(d->failures, 2);	/* its own attempt counts */
	/* A flush that helps ends it all: the next failure is the first. */
	schedule_flush_destination(&w->s, d);
	assert_int_equal(open_sessions(w), 1);
	assert_int_equal(schedule_up(&w->s, d), NEWS_UP);
	assert_int_equal(schedule_closed(&w->s, d, SESSION_DONE, true, false), NEWS_NONE);
	assert_int_equal(open_sessions(w), 1);
	assert_int_equal(schedule_closed(&w->s, d, SESSION_TEMPORARY, false, false), NEWS_DOWN);
	assert_int_equal(d->failures, 1);
	world_free(w);
}

/* shows: RFC5321 4.5.4.1/3, RFC5321 4.5.4.1/4 */
static void
waits_follow_the_age(void **state)
{
	struct backoff b = limits.backoff;

	(void)state;
	assert_int_equal(backoff_message(&b, 0, 7), 300000);
	assert_int_equal(backoff_message(&b, 900000, 7), 900000);
	assert_int_equal(backoff_message(&b, 90000000, 7), 3600000);
	assert_int_equal(backoff_destination(&b, 1, 7), 300000);
	assert_int_equal(backoff_destination(&b, 3, 7), 1200000);
	assert_int_equal(backoff_destination(&b, 60000, 7), 3600000);
	b.jitter = 20000;
	for (uint64_t i = 0; i < 100000; i += 77) {
		uint64_t wait = backoff_message(&b, 0, i);

		assert_in_range(wait, 300000, 350000);
	}
	assert_false(backoff_expired(&b, 431999999, false));
	assert_true(backoff_expired(&b, 432000000, false));
	assert_true(backoff_expired(&b, 86400000, true));
}

/* A clock that is wrong by years at a start, or was when mail came, must not return it all (THREATS "Clock jump"). */
static void
mail_from_before_the_start_has_its_time(void **state)
{
	struct world *w = world_new();
	struct message *m = mail(w, "dead.example", 1);

	(void)state;
	m->arrived = 0;		/* years ago, says the clock */
	assert_false(schedule_expired(&w->s, m));
	/* An hour of trying is enough, or who restarts every few hours would never hear of his mail. */
	w->s.now += 3599;
	assert_false(schedule_expired(&w->s, m));
	w->s.now++;
	assert_true(schedule_expired(&w->s, m));
	/* A shorter time to live asks for a part of it. */
	w->s.limits.backoff.expire = 3600 * 1000;
	w->s.now = TICK_ORIGIN + 179;
	assert_false(schedule_expired(&w->s, m));
	w->s.now++;
	assert_true(schedule_expired(&w->s, m));
	w->s.limits.backoff.expire = 432000000;
	w->s.now = TICK_ORIGIN + 3600;
	/* The clock is set back: it is as old as we know it to be. */
	schedule_was_ahead(&w->s, TICK_ORIGIN - 3600);
	assert_false(schedule_expired(&w->s, m));
	assert_int_equal(schedule_age(&w->s, m), (3600 + 3600) * UINT64_C(1000));
	schedule_was_ahead(&w->s, 1);
	schedule_was_ahead(&w->s, UINT32_MAX);
	assert_int_equal(schedule_age(&w->s, m), 3600 * UINT64_C(1000));
	/* What came since has its age from our own clock alone. */
	m->arrived = TICK_ORIGIN;
	w->s.now = TICK_ORIGIN + 431999;
	assert_false(schedule_expired(&w->s, m));
	w->s.now++;
	assert_true(schedule_expired(&w->s, m));
	world_free(w);
}

/* Ten thousand messages on a disk that reads nothing, each tried every 15 seconds for two days. */
static void
a_disk_that_reads_nothing_is_told_seldom(void **state)
{
	struct unread u = { .n = 0 };
	uint64_t now = 1000, told = 0, events = 0, n;
	const uint64_t minute = 60 * 1000;

	(void)state;
	unread_failed(&u, now);
	assert_int_equal(unread_due(&u, now), 1);	/* the first at once */
	for (uint64_t end = now + 48 * 60 * minute; now < end; now += 15000) {
		for (unsigned i = 0; i < 10000; i++) {
			unread_failed(&u, now);
			n = unread_due(&u, now);
			told += n;
			events += n > 0;
		}
	}
	assert_in_range(events, 48, 60);
	assert_int_equal(told + u.n, 48 * 60 * 4 * UINT64_C(10000));
	/* It reads again: what was counted is told, once, and the next failure is news. */
	assert_true(u.n > 0);
	assert_true(unread_due(&u, now + minute) > 0);
	assert_int_equal(unread_due(&u, now + 2 * minute), 0);
	now += 3 * minute;
	unread_failed(&u, now);
	assert_int_equal(unread_due(&u, now), 1);
}

static struct message *
next_late(struct world *w, uint32_t seconds, enum late_what *ret_what)
{
	unsigned budget = 1000;

	run(w, seconds);
	return late_next(&w->s, &budget, ret_what);
}

/* Told when the time has passed, once; before that time only what has none, or is returned then.
 * shows: RFC2852 4.1.3/3 */
static void
a_sender_is_told_once(void **state)
{
	struct world *w = world_new();
	struct schedule_limits l = limits;
	struct message *by, *failed, *fresh, *long_by;
	enum late_what what;

	(void)state;
	l.delay_notice = 1000 * 1000;
	schedule_adopt(&w->s, &l, 1);
	by = mail(w, "a.test", 1);
	failed = mail(w, "b.test", 1);
	fresh = mail(w, "c.test", 1);
	long_by = mail(w, "d.test", 1);
	assert_int_equal(late_set_by(&w->s, by, 10, false), RC_OK);
	assert_int_equal(late_set_by(&w->s, long_by, 2000, false), RC_OK);
	late_watch(&w->s, long_by);
	late_watch(&w->s, failed);
	late_watch(&w->s, failed);
	assert_true(schedule_next(&w->s) <= w->s.now + 10);
	assert_null(next_late(w, 9, &what));
	assert_false(late_is_over(&w->s, by, false));
	assert_ptr_equal(next_late(w, 1, &what), by);
	assert_int_equal(what, LATE_TELL);
	assert_true(late_is_over(&w->s, by, false) && !late_is_over(&w->s, by, true));
	late_again(&w->s, by, 5);		/* it could not be */
	assert_null(next_late(w, 4, &what));
	assert_ptr_equal(next_late(w, 1, &what), by);
	late_told(&w->s, by);
	assert_null(next_late(w, 984, &what));
	assert_ptr_equal(next_late(w, 1, &what), failed);
	assert_int_equal(what, LATE_TELL);
	late_told(&w->s, failed);
	assert_null(failed->late);
	late_watch(&w->s, failed);
	assert_null(failed->late);
	assert_null(next_late(w, 999, &what));	/* its sender hears nothing of a delay before */
	assert_ptr_equal(next_late(w, 1, &what), long_by);
	assert_int_equal(what, LATE_TELL);
	assert_true(late_is_over(&w->s, long_by, false));
	late_told(&w->s, long_by);
	assert_null(next_late(w, 100000, &what));
	assert_null(fresh->late);		/* nothing has failed */
	assert_int_equal(w->s.late.n, 0);
	world_free(w);
}

/* Mode R: told of the delay before, returned at its time and not sooner, looked at again while an attempt is under way.
 * shows: RFC2852 4.1.3/1 */
static void
what_is_late_is_returned(void **state)
{
	struct world *w = world_new();
	struct schedule_limits l = limits;
	struct message *m, *over, *late;
	enum late_what what;

	(void)state;
	l.delay_notice = 100 * 1000;
	schedule_adopt(&w->s, &l, 1);
	m = mail(w, "a.test", 1);
	over = mail(w, "a.test", 1);
	late = mail(w, "a.test", 1);
	assert_int_equal(late_set_by(&w->s, m, 1000, true), RC_OK);
	assert_int_equal(late_set_by(&w->s, over, -3, true), RC_OK);
	assert_int_equal(late_set_by(&w->s, late, -3, false), RC_OK);
	assert_ptr_equal(next_late(w, 0, &what), over);
	assert_int_equal(what, LATE_RETURN);
	late_forget(&w->s, over);
	assert_null(next_late(w, LATE_GRACE_S - 1, &what));
	assert_ptr_equal(next_late(w, 1, &what), late);		/* late when it came, and still here */
	assert_int_equal(what, LATE_TELL);
	late_told(&w->s, late);
	assert_ptr_equal(next_late(w, 40, &what), m);
	assert_int_equal(what, LATE_TELL);
	late_told(&w->s, m);
	assert_null(next_late(w, 899, &what));
	assert_ptr_equal(next_late(w, 1, &what), m);
	assert_int_equal(what, LATE_RETURN);
	assert_true(late_is_over(&w->s, m, true));
	late_again(&w->s, m, LATE_BUSY_S);
	assert_ptr_equal(next_late(w, LATE_BUSY_S, &what), m);
	assert_int_equal(what, LATE_RETURN);
	world_free(w);
}

/* A destination that is down writes nothing for its mail; the walk when it goes down is what sees that it waits. */
static void
mail_of_a_dead_destination_is_seen_to_wait(void **state)
{
	struct world *w = world_new();
	struct schedule_limits l = limits;
	struct destination *d;
	struct message *m;
	enum late_what what;
	enum sweep how;
	unsigned budget = 100;
	bool more;

	(void)state;
	l.delay_notice = 7200 * 1000;
	schedule_adopt(&w->s, &l, 1);
	m = mail(w, "a.test", 1);
	d = find(w, "a.test");
	schedule_opened(&w->s, d);
	assert_int_equal(schedule_closed(&w->s, d, SESSION_TEMPORARY, false, false), NEWS_DOWN);
	assert_null(schedule_next_swept(&w->s, &budget, &how, &more));
	assert_non_null(m->late);
	assert_null(next_late(w, 7199, &what));
	assert_ptr_equal(next_late(w, 1, &what), m);
	/* A longer time in the configuration counts for what waits too. */
	late_again(&w->s, m, 1);
	l.delay_notice = 8000 * 1000;
	schedule_adopt(&w->s, &l, 1);
	assert_null(next_late(w, 799, &what));
	assert_ptr_equal(next_late(w, 1, &what), m);
	/* Bounces have no sender. */
	m->flags |= MESSAGE_BOUNCE;
	late_told(&w->s, m);
	assert_null(m->late);
	world_free(w);
}

static void
a_sender_gets_so_many_reports(void **state)
{
	static struct report_rate r;
	uint64_t now = 12345678;
	char other[] = "0@a.example";

	(void)state;
	report_rate_init(&r, 7);
	for (unsigned i = 0; i < 5; i++)
		assert_true(report_rate_take(&r, now, S("A@a.example"), 5));
	assert_false(report_rate_take(&r, now, S("a@A.example"), 5));
	for (other[0] = '0'; other[0] <= '9'; other[0]++)
		assert_true(report_rate_take(&r, now, slice_str(other), 5));
	assert_true(report_rate_take(&r, now + 3600000, S("a@a.example"), 5));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(recipients_of_one_message_share_a_job),
		cmocka_unit_test(urgent_mail_goes_first),
		cmocka_unit_test(low_mail_has_its_turn),
		cmocka_unit_test(destinations_take_turns),
		cmocka_unit_test(the_window_grows_and_the_total_holds),
		cmocka_unit_test(a_dead_destination_backs_off_as_a_whole),
		cmocka_unit_test(a_peer_that_counts_its_guests_is_not_down),
		cmocka_unit_test(old_mail_of_a_dead_destination_expires),
		cmocka_unit_test(old_mail_of_each_priority_expires),
		cmocka_unit_test(a_destination_that_never_takes_mail_fails_all),
		cmocka_unit_test(a_new_configuration_has_every_route_asked_again),
		cmocka_unit_test(flushes_bring_forward),
		cmocka_unit_test(a_flush_leaves_the_back_off_as_it_was),
		cmocka_unit_test(what_is_flushed_may_vanish),
		cmocka_unit_test(waits_follow_the_age),
		cmocka_unit_test(mail_from_before_the_start_has_its_time),
		cmocka_unit_test(a_disk_that_reads_nothing_is_told_seldom),
		cmocka_unit_test(a_sender_is_told_once),
		cmocka_unit_test(what_is_late_is_returned),
		cmocka_unit_test(mail_of_a_dead_destination_is_seen_to_wait),
		cmocka_unit_test(a_sender_gets_so_many_reports),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
