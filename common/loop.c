/* common/loop.c -- the loop of loop.h on libevent's descriptor and timer events, and nothing else of libevent. */
#include "common/loop.h"

#include "common/clock.h"
#include "common/rc.h"

#include <event2/event.h>
#include <poll.h>
#include <stdlib.h>

struct loop {
	struct event_base *base;
	struct chore *first, **last;	/* to do at the end of this turn */
	struct chore *running;		/* rest of the list being run */
	uint64_t now;
	unsigned gather_ms;
	bool stop;
	uint8_t scratch[LOOP_SCRATCH];
};

struct loop *
loop_new(void)
{
	struct loop *loop = calloc(1, sizeof *loop);
	struct event_config *config = event_config_new();

	if (loop == NULL || config == NULL)
		goto fail;
	/* No signals through libevent, no locks, and no environment that could change the method. */
	if (event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK | EVENT_BASE_FLAG_IGNORE_ENV) != 0)
		goto fail;
	loop->base = event_base_new_with_config(config);
	if (loop->base == NULL)
		goto fail;
	event_config_free(config);
	loop->last = &loop->first;
	loop->now = clock_monotonic_ms();
	return loop;
fail:
	if (config != NULL)
		event_config_free(config);
	free(loop);
	return NULL;
}

void
loop_free(struct loop *loop)
{
	if (loop == NULL)
		return;
	event_base_free(loop->base);
	free(loop);
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

void
loop_turn(struct loop *loop, bool block)
{
	int flags = EVLOOP_ONCE;

	/* A chore that queued another one must not wait for the next event. */
	if (!block || loop->first != NULL)
		flags |= EVLOOP_NONBLOCK;
	if (event_base_loop(loop->base, flags) == -1)
		BUG("event_base_loop failed");
	loop->now = clock_monotonic_ms();
	run_chores(loop);
}

void
loop_run(struct loop *loop)
{
	loop->stop = false;
	while (!loop->stop) {
		loop_turn(loop, true);
		if (loop->gather_ms > 0)
			(void)poll(NULL, 0, (int)loop->gather_ms);
	}
}

void
loop_gather(struct loop *loop, unsigned ms)
{
	loop->gather_ms = ms;
}

void
loop_stop(struct loop *loop)
{
	loop->stop = true;
}

struct event_base *
loop_event_base(struct loop *loop)
{
	return loop->base;
}

uint64_t
loop_now(struct loop *loop)
{
	return loop->now;
}

uint8_t *
loop_scratch(struct loop *loop)
{
	return loop->scratch;
}

static void
on_fd(evutil_socket_t fd, short what, void *arg)
{
	struct watch *w = arg;

	(void)fd;
	w->loop->now = clock_monotonic_ms();
	w->fn(w, (what & EV_READ) != 0, (what & EV_WRITE) != 0, w->ctx);
}

void
watch_init(struct watch *w, struct loop *loop, int fd, watch_fn *fn, void *ctx)
{
	*w = (struct watch){ .loop = loop, .fn = fn, .ctx = ctx, .fd = fd };
}

void
watch_set(struct watch *w, bool read, bool write)
{
	short what = EV_PERSIST;

	if (w->read == read && w->write == write)
		return;
	if (w->read || w->write)
		(void)event_del(&w->ev);
	w->read = read;
	w->write = write;
	if (!read && !write)
		return;
	if (read)
		what |= EV_READ;
	if (write)
		what |= EV_WRITE;
	if (event_assign(&w->ev, w->loop->base, w->fd, what, on_fd, w) == -1 || event_add(&w->ev, NULL) == -1)
		BUG("cannot watch a descriptor");
}

void
watch_stop(struct watch *w)
{
	if (w->loop != NULL)
		watch_set(w, false, false);
}

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct timer *t = arg;

	(void)fd;
	(void)what;
	t->loop->now = clock_monotonic_ms();
	t->fn(t, t->ctx);
}

void
timer_setup(struct timer *t, struct loop *loop, timer_fn *fn, void *ctx)
{
	*t = (struct timer){ .loop = loop, .fn = fn, .ctx = ctx };
	if (evtimer_assign(&t->ev, loop->base, on_timer, t) == -1)
		BUG("cannot set up a timer");
}

void
timer_start(struct timer *t, uint64_t ms)
{
	struct timeval tv = { (time_t)(ms / 1000), (suseconds_t)(ms % 1000 * 1000) };

	if (evtimer_add(&t->ev, &tv) == -1)
		BUG("cannot start a timer");
}

void
timer_cancel(struct timer *t)
{
	if (t->loop != NULL)
		(void)evtimer_del(&t->ev);
}

bool
timer_pending(const struct timer *t)
{
	return t->loop != NULL && evtimer_pending(&t->ev, NULL);
}

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
