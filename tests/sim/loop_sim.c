/* tests/sim/loop_sim.c -- common/loop.h on the simulated clock and network. Linked before libcommon.a, so that its loop.c,
 * and libevent with it, stay out.
 *
 * A turn is one event of the world: descriptors that are ready, in random order, timers that are due, chores. */
#include "common/loop.h"

#include "common/rc.h"
#include "tests/sim/net.h"
#include "tests/sim/world.h"

#include <stdlib.h>
#include <string.h>

enum { WATCHES_MAX = 4096 };

struct loop {
	struct proc *proc;
	struct slot turn;
	struct chore *first, **last;
	struct chore *running;
	struct timer **timers;		/* a heap, by due time */
	size_t n_timers, max_timers;
	int fds[WATCHES_MAX];		/* that are watched */
	size_t n_fds;
	uint64_t now;
	bool stop, asleep;
	uint8_t scratch[LOOP_SCRATCH];
};

static void turn(void *ctx);

struct loop *
loop_new(void)
{
	struct loop *loop = calloc(1, sizeof *loop);

	if (loop == NULL)
		return NULL;
	loop->proc = world_current;
	loop->last = &loop->first;
	loop->now = world_now() / MS;
	return loop;
}

void
loop_free(struct loop *loop)
{
	if (loop == NULL)
		return;
	slot_clear(&loop->turn);
	free(loop->timers);
	free(loop);
}

void
loop_sleep(struct loop *loop)
{
	loop->asleep = true;
	slot_clear(&loop->turn);
}

void
loop_wake(struct loop *loop)
{
	loop->asleep = false;
	loop_kick(loop, 0);
}

bool
loop_is_stopped(const struct loop *loop)
{
	return loop->stop;
}

void
loop_quiet(struct loop *loop)
{
	slot_clear(&loop->turn);
}

void
loop_kick(struct loop *loop, uint64_t in)
{
	if (loop->asleep)
		return;
	if (loop->turn.index == 0 || loop->turn.at > world_now() + in)
		slot_set(&loop->turn, in, turn, loop);
}

void
loop_stop(struct loop *loop)
{
	loop->stop = true;
	loop_kick(loop, 0);
}

struct event_base *
loop_event_base(struct loop *loop)
{
	(void)loop;
	return NULL;
}

uint64_t loop_now(struct loop *loop) { return loop->now; }
uint8_t *loop_scratch(struct loop *loop) { return loop->scratch; }

/* --- descriptors --- */

void
watch_init(struct watch *w, struct loop *loop, int fd, watch_fn *fn, void *ctx)
{
	*w = (struct watch){ .loop = loop, .fn = fn, .ctx = ctx, .fd = fd };
}

void
watch_set(struct watch *w, bool read, bool write)
{
	struct loop *loop = w->loop;
	bool was = w->read || w->write, is = read || write;

	w->read = read;
	w->write = write;
	if (is && !was) {
		BUG_ON(loop->n_fds == WATCHES_MAX);
		loop->fds[loop->n_fds++] = w->fd;
		net_watch(w->fd, w);
	} else if (was && !is) {
		for (size_t i = 0; i < loop->n_fds; i++)
			if (loop->fds[i] == w->fd) {
				loop->fds[i] = loop->fds[--loop->n_fds];
				break;
			}
		net_watch(w->fd, NULL);
	}
	if (is && ((read && net_readable(w->fd)) || (write && net_writable(w->fd))))
		loop_kick(loop, 0);
}

void
watch_stop(struct watch *w)
{
	if (w->loop != NULL)
		watch_set(w, false, false);
}

static bool
is_ready(const struct watch *w, bool *ret_read, bool *ret_write)
{
	*ret_read = w->read && net_readable(w->fd);
	*ret_write = w->write && net_writable(w->fd);
	return *ret_read || *ret_write;
}

static void
run_watches(struct loop *loop)
{
	static int fds[WATCHES_MAX];	/* turns never nest */
	size_t n = loop->n_fds;

	memcpy(fds, loop->fds, n * sizeof fds[0]);
	for (size_t i = 0; i < n; i++) {
		size_t k = i + (size_t)world_below(n - i);
		int fd = fds[k];
		struct watch *w;
		bool r, wr;

		fds[k] = fds[i];
		fds[i] = fd;
		w = net_watched(fd, loop);
		if (w != NULL && is_ready(w, &r, &wr))
			w->fn(w, r, wr, w->ctx);
	}
}

/* --- timers: libevent's struct has room for a heap's book-keeping --- */

static uint64_t
due(const struct timer *t)
{
	return (uint64_t)t->ev.ev_timeout.tv_sec * SECOND + (uint64_t)t->ev.ev_timeout.tv_usec;
}

static void
place(struct loop *loop, size_t at, struct timer *t)
{
	loop->timers[at - 1] = t;
	t->ev.ev_timeout_pos.min_heap_idx = (int)at;
}

static void
settle(struct loop *loop, size_t at, struct timer *t)
{
	size_t child;

	for (; at > 1 && due(t) < due(loop->timers[at / 2 - 1]); at /= 2)
		place(loop, at, loop->timers[at / 2 - 1]);
	for (; (child = at * 2) <= loop->n_timers; at = child) {
		if (child < loop->n_timers && due(loop->timers[child]) < due(loop->timers[child - 1]))
			child++;
		if (due(loop->timers[child - 1]) >= due(t))
			break;
		place(loop, at, loop->timers[child - 1]);
	}
	place(loop, at, t);
}

void
timer_setup(struct timer *t, struct loop *loop, timer_fn *fn, void *ctx)
{
	*t = (struct timer){ .loop = loop, .fn = fn, .ctx = ctx };
}

bool
timer_pending(const struct timer *t)
{
	return t->ev.ev_timeout_pos.min_heap_idx != 0;
}

void
timer_cancel(struct timer *t)
{
	struct loop *loop = t->loop;
	size_t at = (size_t)t->ev.ev_timeout_pos.min_heap_idx;
	struct timer *last;

	if (at == 0)
		return;
	t->ev.ev_timeout_pos.min_heap_idx = 0;
	last = loop->timers[--loop->n_timers];
	if (last != t)
		settle(loop, at, last);
}

void
timer_start(struct timer *t, uint64_t ms)
{
	struct loop *loop = t->loop;
	uint64_t at = world_now() + (ms < UINT64_MAX / 4 / MS ? ms * MS : UINT64_MAX / 4);

	timer_cancel(t);
	if (loop->n_timers == loop->max_timers) {
		loop->max_timers = loop->max_timers == 0 ? 64 : loop->max_timers * 2;
		loop->timers = reallocarray(loop->timers, loop->max_timers, sizeof(struct timer *));
		BUG_ON(loop->timers == NULL);
	}
	t->ev.ev_timeout.tv_sec = (time_t)(at / SECOND);
	t->ev.ev_timeout.tv_usec = (suseconds_t)(at % SECOND);
	loop->n_timers++;
	settle(loop, loop->n_timers, t);
	loop_kick(loop, at - world_now());
}

static void
run_timers(struct loop *loop)
{
	uint64_t now = world_now();

	/* One that is started again with nothing to wait for has its turn in the next turn. */
	for (size_t n = loop->n_timers; n > 0 && loop->n_timers > 0 && due(loop->timers[0]) <= now; n--) {
		struct timer *t = loop->timers[0];

		timer_cancel(t);
		t->fn(t, t->ctx);
	}
}

/* --- chores, as in loop.c --- */

void
chore_setup(struct chore *c, struct loop *loop, chore_fn *fn, void *ctx)
{
	*c = (struct chore){ .loop = loop, .fn = fn, .ctx = ctx };
}

void
chore_queue(struct chore *c)
{
	if (c->queued)
		return;
	c->queued = true;
	c->next = NULL;
	*c->loop->last = c;
	c->loop->last = &c->next;
	loop_kick(c->loop, 0);
}

static bool
unlink_chore(struct chore **list, struct chore *c)
{
	for (; *list != NULL; list = &(*list)->next)
		if (*list == c) {
			*list = c->next;
			return true;
		}
	return false;
}

void
chore_cancel(struct chore *c)
{
	struct loop *loop = c->loop;

	if (!c->queued)
		return;
	if (!unlink_chore(&loop->running, c) && unlink_chore(&loop->first, c) && loop->last == &c->next) {
		loop->last = &loop->first;
		while (*loop->last != NULL)
			loop->last = &(*loop->last)->next;
	}
	c->queued = false;
	c->next = NULL;
}

static void
run_chores(struct loop *loop)
{
	loop->running = loop->first;
	loop->first = NULL;
	loop->last = &loop->first;
	while (loop->running != NULL) {
		struct chore *c = loop->running;

		loop->running = c->next;
		c->next = NULL;
		c->queued = false;
		c->fn(c, c->ctx);
	}
}

/* --- a turn --- */

static void
plan_next(struct loop *loop)
{
	bool r, wr;

	if (loop->first != NULL)
		loop_kick(loop, 0);
	for (size_t i = 0; i < loop->n_fds; i++) {
		struct watch *w = net_watched(loop->fds[i], loop);

		if (w != NULL && is_ready(w, &r, &wr)) {
			loop_kick(loop, 1 + world_below(50));
			break;
		}
	}
	if (loop->n_timers > 0) {
		uint64_t at = due(loop->timers[0]);

		loop_kick(loop, at > world_now() ? at - world_now() : 0);
	}
}

void
loop_turn(struct loop *loop, bool block)
{
	(void)block;
	loop->now = world_now() / MS;
	run_watches(loop);
	run_timers(loop);
	run_chores(loop);
	plan_next(loop);
}

static void
turn(void *ctx)
{
	struct loop *loop = ctx;
	struct proc *p = loop->proc, *before = world_enter(p);

	loop_turn(loop, false);
	(void)world_enter(before);
	loop_turned(p);
}

/* Nobody runs a loop to its end here: the world turns all of them. */
void
loop_run(struct loop *loop)
{
	(void)loop;
	BUG("a loop is run inside the simulation");
}
