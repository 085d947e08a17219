/* queue/schedule.h -- which recipient is tried next, where, and over how many sessions. Pure: no I/O, time is given.
 *
 * A recipient that is due stands in the ready list of its destination. Sessions pull: schedule_take gives the recipients
 * at the head of the list that belong to one message. A destination with more ready than its sessions can begin with
 * wants another, up to its window, which grows with each success and shrinks with failures (as TCP does). One that
 * cannot be reached backs off as a whole: nothing is written for its messages. Those that want sessions take turns.
 *
 * The owner calls in with what happened and then asks, in any order, until each says none: schedule_next_stale,
 * schedule_next_offer, schedule_next_session, schedule_next_swept, late_next. */
#ifndef POSTERN_QUEUE_SCHEDULE_H
#define POSTERN_QUEUE_SCHEDULE_H

#include "common/ipc/schema.h"
#include "common/rc.h"
#include "queue/backoff.h"
#include "queue/destination.h"
#include "queue/message.h"

/* Ticks are seconds of a monotonic clock. This is where a process starts to count: mail that is older than the process
 * has a tick too. */
#define TICK_ORIGIN UINT32_C(200000000)

struct schedule_limits {
	struct backoff backoff;
	uint32_t window_first, window_max;	/* sessions to a destination */
	uint32_t sessions_max;			/* in all */
	uint32_t rcpts_per_job;
	uint64_t delay_notice;			/* milliseconds until a sender is told that his mail waits; 0: never */
};

struct schedule {
	struct schedule_limits limits;
	struct destinations destinations;
	struct wheel waiting;		/* recipients */
	struct wheel down;		/* destinations */
	struct wheel late;		/* messages: late.h */
	struct link wanting[CARRIER_KINDS], offering, sweeping, stale;
	uint64_t random;
	uint64_t n_ready, n_busy, n_stale;
	uint64_t n_held;		/* of n_ready: their destination is down */
	uint32_t n_sessions;
	uint32_t now;
	uint32_t origin;		/* when this process began to count */
	uint32_t ahead;			/* seconds that the wall clock had been ahead then */
	uint16_t generation;		/* of routes: 1..GENERATION_MASK */
	struct destination *flush_only;	/* somebody wants the mail of this one now; or NULL */
	bool flush_all;			/* an operator wants all of it */
};

void schedule_init(struct schedule *s, const struct schedule_limits *limits, uint32_t now, uint64_t seed);
/* Recipients and sessions are forgotten, not freed. */
void schedule_free(struct schedule *s);
/* A new configuration: every route is asked again before it is used. generation: that of struct conf. */
void schedule_adopt(struct schedule *s, const struct schedule_limits *limits, uint32_t generation);

/* --- recipients --- */

/* The route of a recipient, which is in no list. generation: as of struct conf; 0: unknown, ask. The transport's kind
 * and window (0: the general one) come along for a destination that is new. RC_NOMEM. */
struct schedule_route {
	struct slice transport, nexthop;
	enum carrier_kind kind;
	uint32_t window_max;
	uint32_t generation;
};
enum rc schedule_route(struct schedule *s, struct rcpt *r, const struct schedule_route *route);
/* Due now (r in no list): to the ready list, or to be routed again. */
void schedule_ready(struct schedule *s, struct rcpt *r);
/* Due after so many milliseconds (r in no list). Less than a second is a second. */
void schedule_wait(struct schedule *s, struct rcpt *r, uint64_t ms);
/* Takes it out of whatever list it is in: RCPT_NEW. Not for BUSY, ROUTING and FAILING, which are no lists. */
void schedule_cancel(struct schedule *s, struct rcpt *r);
/* It is final: lets go of its destination. In no list. */
void schedule_done(struct schedule *s, struct rcpt *r);
/* How long its message is in the queue, in milliseconds. */
uint64_t schedule_age(const struct schedule *s, const struct message *m);
/* Has it been tried for long enough (see backoff_expired)? What is older than this process has its age from the wall clock,
 * which may be wrong by years for a while after a start. So such mail is given up only when this process itself has tried
 * it for a twentieth of the time, or for an hour when that is less. */
bool schedule_expired(const struct schedule *s, const struct message *m);
/* The wall clock was that far ahead when this process began, as is known by now: what is older is younger than it seemed. */
void schedule_was_ahead(struct schedule *s, uint32_t seconds);

/* --- time --- */

/* Moves what is due, looking at *budget elements at most. False: the budget ran out, call again soon. */
bool schedule_run(struct schedule *s, uint32_t now, unsigned *budget);
/* Nothing falls due before this tick. */
uint32_t schedule_next(const struct schedule *s);

/* --- work to do --- */

/* A recipient whose route must be asked (of this message, when it is not NULL and next in line): now RCPT_ROUTING. */
struct rcpt *schedule_next_stale(struct schedule *s, const struct message *m);
/* A destination that wants one more session of a carrier of this kind: call schedule_opened if it gets it. */
struct destination *schedule_next_session(struct schedule *s, enum carrier_kind kind);
/* A destination that has work, and a session that waits. */
struct destination *schedule_next_offer(struct schedule *s);
/* A recipient that its destination gives up (how: SWEEP_EXPIRE, it is too old; SWEEP_FAIL, the destination will never
 * take mail): in no list, RCPT_NEW. NULL: none, or *budget has run out (then *ret_more is true). */
struct rcpt *schedule_next_swept(struct schedule *s, unsigned *budget, enum sweep *ret_how, bool *ret_more);

/* --- sessions --- */

enum session_news { NEWS_NONE, NEWS_DOWN, NEWS_UP };

void schedule_opened(struct schedule *s, struct destination *d);
/* Its first pull. NEWS_UP: the destination had been down. */
enum session_news schedule_up(struct schedule *s, struct destination *d);
/* The next recipients of one message, now RCPT_BUSY; max of them at most. 0: nothing is ready; the session waits (call
 * schedule_unwait before it does anything else). */
size_t schedule_take(struct schedule *s, struct destination *d, struct rcpt **ret_rcpts, size_t max);
void schedule_unwait(struct schedule *s, struct destination *d);
/* A job on this destination was carried out: a recipient's result, good or bad, arrived over a working session. */
void schedule_worked(struct schedule *s, struct destination *d);
/* A busy recipient has its result, or there will be none. Then in no list: RCPT_NEW. */
void schedule_unbusy(struct schedule *s, struct rcpt *r);

/* The session is over. was_up: it had pulled; waiting: it was waiting for work.
 * May free d unless somebody refers to it: hold it with schedule_hold. */
enum session_news schedule_closed(struct schedule *s, struct destination *d, enum session_end how, bool was_up,
    bool waiting);
void schedule_hold(struct destination *d);
void schedule_release(struct schedule *s, struct destination *d);

/* --- an operator wants it now --- */
void schedule_flush_all(struct schedule *s);
void schedule_flush_destination(struct schedule *s, struct destination *d);
void schedule_flush_message(struct schedule *s, struct message *m);

#endif
