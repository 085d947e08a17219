/* queue/schedule.c -- which recipient is tried next, see schedule.h. */
#include "queue/schedule.h"

#include "queue/late.h"

enum {
	PROOF = 20,				/* this part of the time to live must have been lived through in this process, */
	PROOF_MAX_MS = 3600 * 1000,		/* or so much: a house that is restarted every few hours gives mail up too */
};

static struct rcpt *
rcpt_of(struct link *l)
{
	return (struct rcpt *)(void *)l;
}

#define DESTINATION_OF(link_, member) \
	((struct destination *)(void *)((char *)(link_) - offsetof(struct destination, member)))

static uint16_t
generation_mark(uint32_t generation)
{
	return generation == 0 ? 0 : (uint16_t)(generation % GENERATION_MASK + 1);
}

void
schedule_init(struct schedule *s, const struct schedule_limits *limits, uint32_t now, uint64_t seed)
{
	*s = (struct schedule){ .limits = *limits, .now = now, .origin = now, .random = seed | 1,
	    .generation = generation_mark(1) };
	destinations_init(&s->destinations, seed);
	wheel_init(&s->waiting, now);
	wheel_init(&s->down, now);
	wheel_init(&s->late, now);
	for (unsigned k = 0; k < CARRIER_KINDS; k++)
		link_init(&s->wanting[k]);
	link_init(&s->offering);
	link_init(&s->sweeping);
	link_init(&s->stale);
}

void
schedule_free(struct schedule *s)
{
	destinations_free(&s->destinations);
}

void
schedule_adopt(struct schedule *s, const struct schedule_limits *limits, uint32_t generation)
{
	s->limits = *limits;
	s->generation = generation_mark(generation);
}

/* --- what a destination wants --- */

static bool
wants_session(const struct schedule *s, const struct destination *d)
{
	return !d->down && d->sweep != SWEEP_FAIL && d->n_ready > d->n_starting + d->n_waiting &&
	    d->n_sessions < d->window / WINDOW_ONE && d->n_sessions < d->window_max && s->limits.sessions_max > 0;
}

/* Puts it into the rings that it belongs to; it leaves them when it is found there in vain. */
static void
consider(struct schedule *s, struct destination *d)
{
	if (link_alone(&d->wanting) && wants_session(s, d))
		link_before(&s->wanting[d->kind], &d->wanting);
	if (link_alone(&d->offering) && d->n_ready > 0 && d->n_waiting > 0 && d->sweep != SWEEP_FAIL)
		link_before(&s->offering, &d->offering);
}

static void
release(struct schedule *s, struct destination *d)
{
	if (d->n_refs > 0 || d->n_sessions > 0 || d->down)
		return;
	link_remove(&d->wanting);
	link_remove(&d->offering);
	link_remove(&d->sweeping);
	if (s->flush_only == d)
		s->flush_only = NULL;
	destination_free(&s->destinations, d);
}

void
schedule_hold(struct destination *d)
{
	d->n_refs++;
}

void
schedule_release(struct schedule *s, struct destination *d)
{
	d->n_refs--;
	release(s, d);
}

static void
window_shrink(struct destination *d)
{
	d->window = d->window > 2 * WINDOW_ONE ? d->window / 2 : WINDOW_ONE;
}

static void
start_sweep(struct schedule *s, struct destination *d, enum sweep how)
{
	if (d->n_ready == 0)
		return;
	d->sweep = (uint8_t)how;
	d->sweep_level = 0;
	d->sweep_left = d->n_at[0];
	if (link_alone(&d->sweeping))
		link_before(&s->sweeping, &d->sweeping);
}

static void
go_down(struct schedule *s, struct destination *d)
{
	uint64_t ms;

	if (d->failures < UINT16_MAX && !d->flushed)
		d->failures++;
	/* The attempt was an operator's: the next is when it would have been without it. */
	if (!d->flushed || d->due.at <= s->now) {
		ms = backoff_destination(&s->limits.backoff, d->failures, random_next(&s->random));
		d->due.at = s->now + (uint32_t)((ms + 999) / 1000);
	}
	d->flushed = false;
	d->down = true;
	s->n_held += d->n_ready;
	d->window = WINDOW_ONE;		/* the next attempt is one session */
	wheel_add(&s->down, &d->due);
	start_sweep(s, d, SWEEP_EXPIRE);
}

/* Before its time: it works, or an operator wants to see whether it does. */
static void
come_up(struct schedule *s, struct destination *d)
{
	wheel_remove(&s->down, &d->due);
	d->flushed = true;
	d->down = false;
	s->n_held -= d->n_ready;
	consider(s, d);
}

/* --- recipients --- */

static enum ready_level
level_of(const struct message *m)
{
	return (m->flags & MESSAGE_URGENT) != 0 ? READY_URGENT : (m->flags & MESSAGE_LOW) != 0 ? READY_LOW : READY_NORMAL;
}

/* Who is next, or NULL. RFC 6710 5.1: a higher priority before a lower one, and as without the extension within each. lowest:
 * the other way round. */
static struct rcpt *
first_ready(const struct destination *d, bool lowest)
{
	for (unsigned i = 0; i < READY_LEVELS; i++) {
		const struct link *ring = &d->ready[lowest ? READY_LEVELS - 1 - i : i];

		if (!link_alone(ring))
			return rcpt_of(ring->next);
	}
	return NULL;
}

enum rc
schedule_route(struct schedule *s, struct rcpt *r, const struct schedule_route *route)
{
	struct destination *old = r->destination;
	struct destination *d = destination_get(&s->destinations, route->transport, route->nexthop);

	if (d == NULL)
		return RC_NOMEM;
	if (d->window == 0)
		d->window = s->limits.window_first * WINDOW_ONE;
	if (d->generation != route->generation || d->window_max == 0) {
		/* In the ring of its old kind it would be given to the wrong carriers. */
		link_remove(&d->wanting);
		d->generation = route->generation;
		d->kind = (uint8_t)route->kind;
		d->window_max = route->window_max != 0 ? route->window_max : s->limits.window_max;
	}
	d->n_refs++;
	r->destination = d;
	r->due.generation = generation_mark(route->generation) & (unsigned)GENERATION_MASK;
	if (old != NULL)
		schedule_release(s, old);
	return RC_OK;
}

void
schedule_ready(struct schedule *s, struct rcpt *r)
{
	struct destination *d = r->destination;
	enum ready_level level = level_of(rcpt_message(r));

	if (d == NULL || r->due.generation != s->generation) {
		r->due.state = RCPT_STALE;
		link_before(&s->stale, &r->due.link);
		s->n_stale++;
		return;
	}
	r->due.state = RCPT_READY;
	link_before(&d->ready[level], &r->due.link);
	d->n_at[level]++;
	d->n_ready++;
	s->n_ready++;
	s->n_held += d->down;
	consider(s, d);
}

void
schedule_wait(struct schedule *s, struct rcpt *r, uint64_t ms)
{
	uint64_t ticks = (ms + 999) / 1000;

	r->due.state = RCPT_WAITING;
	r->due.at = s->now + (ticks == 0 ? 1 : ticks > INT32_MAX ? INT32_MAX : (uint32_t)ticks);
	wheel_add(&s->waiting, &r->due);
}

static void
leave_ready(struct schedule *s, struct rcpt *r)
{
	link_remove(&r->due.link);
	r->destination->n_at[level_of(rcpt_message(r))]--;
	r->destination->n_ready--;
	s->n_ready--;
	s->n_held -= r->destination->down;
}

void
schedule_cancel(struct schedule *s, struct rcpt *r)
{
	switch ((enum rcpt_state)r->due.state) {
	case RCPT_WAITING:
		wheel_remove(&s->waiting, &r->due);
		break;
	case RCPT_READY:
		leave_ready(s, r);
		break;
	case RCPT_STALE:
		link_remove(&r->due.link);
		s->n_stale--;
		break;
	case RCPT_NEW:
		break;
	case RCPT_ROUTING:
	case RCPT_BUSY:
	case RCPT_FAILING:
	case RCPT_DONE:
		BUG("a recipient that is in no list");
	}
	r->due.state = RCPT_NEW;
}

void
schedule_done(struct schedule *s, struct rcpt *r)
{
	struct destination *d = r->destination;

	r->due.state = RCPT_DONE;
	r->destination = NULL;
	if (d != NULL)
		schedule_release(s, d);
}

uint64_t
schedule_age(const struct schedule *s, const struct message *m)
{
	uint32_t before = m->arrived < s->origin ? s->origin - m->arrived : 0;
	uint32_t since = m->arrived > s->origin ? m->arrived : s->origin;

	before -= before < s->ahead ? before : s->ahead;
	return ((uint64_t)before + (s->now > since ? s->now - since : 0)) * 1000;
}

bool
schedule_expired(const struct schedule *s, const struct message *m)
{
	uint64_t tried = (uint64_t)(s->now > s->origin ? s->now - s->origin : 0) * 1000;
	bool bounce = (m->flags & MESSAGE_BOUNCE) != 0;

	return backoff_expired(&s->limits.backoff, schedule_age(s, m), bounce) &&
	    (m->arrived >= s->origin || tried >= PROOF_MAX_MS || backoff_expired(&s->limits.backoff, tried * PROOF, bounce));
}

void
schedule_was_ahead(struct schedule *s, uint32_t seconds)
{
	if (seconds > s->ahead)
		s->ahead = seconds;
}

/* --- time --- */

static void
run_down(struct schedule *s, unsigned *budget)
{
	struct due *due;

	while ((due = wheel_take(&s->down, s->now, budget)) != NULL) {
		struct destination *d = DESTINATION_OF(due, due);

		d->flushed = d->due.at > s->now;
		d->down = false;
		s->n_held -= d->n_ready;
		consider(s, d);
		release(s, d);
	}
}

static void
run_waiting(struct schedule *s, unsigned *budget)
{
	struct due *due;

	while ((due = wheel_take(&s->waiting, s->now, budget)) != NULL) {
		struct rcpt *r = rcpt_of(&due->link);

		/* Taken out early for an operator who wants another destination's mail only. */
		if (r->due.at > s->now && !s->flush_all && (s->flush_only == NULL || r->destination != s->flush_only))
			wheel_add(&s->waiting, &r->due);
		else
			schedule_ready(s, r);
	}
}

bool
schedule_run(struct schedule *s, uint32_t now, unsigned *budget)
{
	if (now > s->now)
		s->now = now;
	run_down(s, budget);
	run_waiting(s, budget);
	return *budget > 0;
}

uint32_t
schedule_next(const struct schedule *s)
{
	uint32_t a = wheel_next(&s->waiting), b = wheel_next(&s->down), c = wheel_next(&s->late);

	a = a < b ? a : b;
	return a < c ? a : c;
}

/* --- work to do --- */

struct rcpt *
schedule_next_stale(struct schedule *s, const struct message *m)
{
	struct rcpt *r;

	if (link_alone(&s->stale))
		return NULL;
	r = rcpt_of(s->stale.next);
	if (m != NULL && rcpt_message(r) != m)
		return NULL;
	link_remove(&r->due.link);
	s->n_stale--;
	r->due.state = RCPT_ROUTING;
	return r;
}

struct destination *
schedule_next_session(struct schedule *s, enum carrier_kind kind)
{
	struct link *ring = &s->wanting[kind];

	while (s->n_sessions < s->limits.sessions_max && !link_alone(ring)) {
		struct destination *d = DESTINATION_OF(ring->next, wanting);

		link_remove(&d->wanting);
		if (!wants_session(s, d))
			continue;
		link_before(ring, &d->wanting);		/* the next turn is another's */
		return d;
	}
	return NULL;
}

struct destination *
schedule_next_offer(struct schedule *s)
{
	while (!link_alone(&s->offering)) {
		struct destination *d = DESTINATION_OF(s->offering.next, offering);

		link_remove(&d->offering);
		if (d->n_ready > 0 && d->n_waiting > 0 && d->sweep != SWEEP_FAIL)
			return d;
	}
	return NULL;
}

/* Is there more to walk, in this ring or, once it is done, in the next? */
static bool
sweep_goes_on(struct destination *d)
{
	while (d->sweep_left == 0 || link_alone(&d->ready[d->sweep_level])) {
		if (d->sweep_level + 1 == READY_LEVELS)
			return false;
		d->sweep_left = d->n_at[++d->sweep_level];
	}
	return true;
}

/* One step of the walk: the head either leaves, or goes to the end. */
static struct rcpt *
sweep_step(struct schedule *s, struct destination *d)
{
	struct link *ring = &d->ready[d->sweep_level];
	struct rcpt *r = rcpt_of(ring->next);
	struct message *m = rcpt_message(r);

	d->sweep_left--;
	if (d->sweep == SWEEP_FAIL || schedule_expired(s, m)) {
		schedule_cancel(s, r);
		return r;
	}
	late_watch(s, m);
	link_remove(&r->due.link);
	link_before(ring, &r->due.link);
	return NULL;
}

struct rcpt *
schedule_next_swept(struct schedule *s, unsigned *budget, enum sweep *ret_how, bool *ret_more)
{
	*ret_more = false;
	while (!link_alone(&s->sweeping)) {
		struct destination *d = DESTINATION_OF(s->sweeping.next, sweeping);
		enum sweep how = (enum sweep)d->sweep;

		while (sweep_goes_on(d)) {
			struct rcpt *r;

			if (*budget == 0) {
				*ret_more = true;
				return NULL;
			}
			(*budget)--;
			r = sweep_step(s, d);
			if (r != NULL) {
				*ret_how = how;
				return r;
			}
		}
		link_remove(&d->sweeping);
		d->sweep = SWEEP_NONE;
		consider(s, d);
	}
	return NULL;
}

/* --- sessions --- */

void
schedule_opened(struct schedule *s, struct destination *d)
{
	d->n_sessions++;
	d->n_starting++;
	s->n_sessions++;
}

enum session_news
schedule_up(struct schedule *s, struct destination *d)
{
	bool was_down = d->failures > 0;

	d->n_starting--;
	d->failures = 0;
	if (d->down)
		come_up(s, d);
	d->flushed = false;
	consider(s, d);
	return was_down ? NEWS_UP : NEWS_NONE;
}

size_t
schedule_take(struct schedule *s, struct destination *d, struct rcpt **ret_rcpts, size_t max)
{
	bool lowest = ++d->jobs % LOWEST_EVERY == 0;
	struct message *m = NULL;
	struct rcpt *r;
	size_t n = 0;

	if (max > s->limits.rcpts_per_job)
		max = s->limits.rcpts_per_job;
	while (n < max && d->sweep != SWEEP_FAIL && (r = first_ready(d, lowest)) != NULL) {
		if (m != NULL && rcpt_message(r) != m)
			break;
		leave_ready(s, r);
		if (r->due.generation != s->generation) {
			schedule_ready(s, r);	/* to be routed again */
			continue;
		}
		m = rcpt_message(r);
		r->due.state = RCPT_BUSY;
		s->n_busy++;
		ret_rcpts[n++] = r;
	}
	if (n == 0)
		d->n_waiting++;
	return n;
}

void
schedule_unwait(struct schedule *s, struct destination *d)
{
	d->n_waiting--;
	consider(s, d);
}

void
schedule_worked(struct schedule *s, struct destination *d)
{
	uint32_t sessions = d->window / WINDOW_ONE;

	d->window += sessions > WINDOW_ONE ? 1 : WINDOW_ONE / sessions;
	if (d->window > d->window_max * WINDOW_ONE)
		d->window = d->window_max * WINDOW_ONE;
	consider(s, d);
}

void
schedule_unbusy(struct schedule *s, struct rcpt *r)
{
	BUG_ON(r->due.state != RCPT_BUSY);
	r->due.state = RCPT_NEW;
	s->n_busy--;
}

/* It could not be opened. While others of the same destination work, the peer only counts its guests: take what it
 * gives. Otherwise the destination is down. */
static enum session_news
refused(struct schedule *s, struct destination *d)
{
	uint32_t up = d->n_sessions - d->n_starting;

	if (up > 0) {
		d->window = up * WINDOW_ONE;
		return NEWS_NONE;
	}
	if (d->down)
		return NEWS_NONE;	/* others that were started with it failed before: once is enough */
	go_down(s, d);
	return NEWS_DOWN;
}

enum session_news
schedule_closed(struct schedule *s, struct destination *d, enum session_end how, bool was_up, bool waiting)
{
	enum session_news news = NEWS_NONE;

	d->n_sessions--;
	s->n_sessions--;
	if (!was_up)
		d->n_starting--;
	if (waiting)
		d->n_waiting--;
	switch (how) {
	case SESSION_DONE:
	case SESSION_BUSY:
		break;
	case SESSION_TEMPORARY:
		news = refused(s, d);
		break;
	case SESSION_LOST:
		window_shrink(d);
		if (!was_up)
			news = refused(s, d);
		break;
	case SESSION_PERMANENT:
		start_sweep(s, d, SWEEP_FAIL);
		break;
	}
	consider(s, d);
	release(s, d);
	return news;
}

/* --- an operator wants it now --- */

void
schedule_flush_destination(struct schedule *s, struct destination *d)
{
	if (d->down)
		come_up(s, d);
	/* Nothing waits for it: all that was known of it is that it was down. */
	if (d->n_refs == 0) {
		release(s, d);
		return;
	}
	if (!s->waiting.flushing)
		s->flush_all = false;
	s->flush_only = d;
	wheel_flush(&s->waiting);
}

void
schedule_flush_all(struct schedule *s)
{
	s->flush_all = true;
	wheel_flush(&s->waiting);
	wheel_flush(&s->down);
}

void
schedule_flush_message(struct schedule *s, struct message *m)
{
	for (uint32_t i = 0; i < m->n_rcpts; i++) {
		struct rcpt *r = &m->rcpts[i];

		if (r->due.state == RCPT_WAITING) {
			schedule_cancel(s, r);
			schedule_ready(s, r);
		}
		if (r->due.state == RCPT_READY && r->destination->down)
			come_up(s, r->destination);
	}
}
