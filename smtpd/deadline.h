/* smtpd/deadline.h -- how long a session may take for what (RFC 5321 4.5.3.2.7, THREATS 7).
 *
 * One timer a session, set to the earliest deadline when it fires or an earlier one appears; progress only moves
 * session.since. A command has to arrive whole within its time: dribbling does not extend it. */
#ifndef POSTERN_SMTPD_DEADLINE_H
#define POSTERN_SMTPD_DEADLINE_H

#include <stdint.h>

struct session;

enum {
	NAME_PATIENCE_MS = 10 * 1000,		/* for the client's name */
	NAME_AGAIN_MS = 2 * 60 * 1000,		/* one that could not be looked up is asked for again. Longer than that. */
	VERDICT_PATIENCE_MS = 60 * 1000,	/* for the router; half of what a client waits, RFC 5321 4.5.3.2.3 */
	LOGIN_PATIENCE_MS = 60 * 1000,		/* for the auth room, beside the wait that failures have earned */
	QUEUE_PATIENCE_MS = 5 * 60 * 1000,	/* for the queue; half of what a client waits, RFC 5321 4.5.3.2.6 */
	LAST_PATIENCE_MS = 10 * 1000,		/* for the client to take its last reply */
	LINGER_MS = 3 * 1000,			/* and to close its side */
	RATE_GRACE_MS = 60 * 1000,		/* before min-data-rate counts */
};

/* Starts the timer, or moves it to an earlier deadline. */
void deadline_arm(struct session *s);

/* Progress was made: timeouts count from now. */
void deadline_progress(struct session *s);

/* Milliseconds after which the average of these bytes will have sunk below `rate` a second if nothing more comes;
 * UINT64_MAX: never. Pure. */
uint64_t deadline_of_rate(uint64_t bytes, uint64_t rate);

/* The timer_fn of the session's timer. */
struct timer;
void deadline_fire(struct timer *t, void *ctx);

#endif
