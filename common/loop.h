/* common/loop.h -- the event loop of a room: descriptors, timers, and work put off to the end of a turn.
 *
 * A thin coat over libevent, so that no room names it. One loop a process, no threads. Watches, timers and chores are
 * embedded in the structs that use them; a zeroed one is valid and idle. Cancelling an idle one is harmless. */
#ifndef POSTERN_COMMON_LOOP_H
#define POSTERN_COMMON_LOOP_H

#include <event2/event_struct.h>
#include <stdbool.h>
#include <stdint.h>

struct loop;

struct loop *loop_new(void);		/* NULL: no memory or no epoll */
void loop_free(struct loop *loop);
void loop_run(struct loop *loop);	/* until loop_stop */
/* After each turn of loop_run it sleeps so long, so that what comes meanwhile is handled together: for a room whose work
 * nobody waits for. 0, as it is made: not at all. */
void loop_gather(struct loop *loop, unsigned ms);
void loop_stop(struct loop *loop);
/* One turn: waits at most until the next event or timer (block), or not at all. For tests and simulators. */
void loop_turn(struct loop *loop, bool block);

/* For a library that brings events of its own into the loop (libunbound): its struct event_base. Borrowed. */
struct event_base *loop_event_base(struct loop *loop);

/* Monotonic milliseconds, read once a turn. Never wall time. */
uint64_t loop_now(struct loop *loop);

/* One landing area a loop for what is read from a descriptor, LOOP_SCRATCH bytes: good until the handler returns, since
 * handlers never nest. It saves every connection a buffer of its own. */
enum { LOOP_SCRATCH = 128 * 1024 };
uint8_t *loop_scratch(struct loop *loop);

/* --- descriptors: level-triggered --- */
struct watch;
typedef void watch_fn(struct watch *w, bool readable, bool writable, void *ctx);
struct watch {
	struct event ev;
	struct loop *loop;
	watch_fn *fn;
	void *ctx;
	int fd;
	bool read, write;	/* what is being waited for */
};
/* Not waiting for anything yet. The descriptor stays the caller's. */
void watch_init(struct watch *w, struct loop *loop, int fd, watch_fn *fn, void *ctx);
/* What to wait for from now on; no cost when nothing changes. Both false: wait for nothing. */
void watch_set(struct watch *w, bool read, bool write);
/* Before the descriptor is closed. */
void watch_stop(struct watch *w);

/* --- timers: one shot --- */
struct timer;
typedef void timer_fn(struct timer *t, void *ctx);
struct timer {
	struct event ev;
	struct loop *loop;
	timer_fn *fn;
	void *ctx;
};
void timer_setup(struct timer *t, struct loop *loop, timer_fn *fn, void *ctx);
void timer_start(struct timer *t, uint64_t ms);	/* replaces an earlier start */
void timer_cancel(struct timer *t);
bool timer_pending(const struct timer *t);

/* --- chores: run once, when the events of this turn have all been handled --- */
struct chore;
typedef void chore_fn(struct chore *c, void *ctx);
struct chore {
	struct chore *next;
	struct loop *loop;
	chore_fn *fn;
	void *ctx;
	bool queued;
};
void chore_setup(struct chore *c, struct loop *loop, chore_fn *fn, void *ctx);
void chore_queue(struct chore *c);	/* queued once, however often it is asked for */
void chore_cancel(struct chore *c);	/* the struct may be freed at once afterwards */

#endif
