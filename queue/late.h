/* queue/late.h -- messages with a time: by which they are to be delivered (DELIVERBY, RFC 2852), and after which their sender
 * is told that they still wait (RFC 3461 4.1, DELAY). A part of the schedule. Pure.
 *
 * One wheel, and nothing walks the queue: a message with BY has its element from its first second, any other gets one when an
 * attempt has failed. A sender is told once of a message: at the time that he set for that, or else when it has waited long.
 * Times are ticks of the schedule: a wall clock that jumps changes nothing for mail that came before. */
#ifndef POSTERN_QUEUE_LATE_H
#define POSTERN_QUEUE_LATE_H

#include "queue/schedule.h"

enum {
	LATE_GRACE_S = 60,	/* what was late when it came: it may be delivered at once before anybody is told */
	LATE_BUSY_S = 5,	/* a recipient of a message that is to be returned is just being tried: looked at again */
	LATE_RETRY_S = 60,	/* nobody could be told just now */
};

struct late {
	struct due due;		/* first */
	struct message *message;
	uint32_t by;		/* tick of the deliver-by-time; 0: none */
	bool returns;		/* then it is returned (mode R); else its sender is told (N) */
};

enum late_what { LATE_TELL, LATE_RETURN };

/* It is to be delivered within so many seconds, which may be over. RC_NOMEM: nothing will happen then. */
enum rc late_set_by(struct schedule *s, struct message *m, int64_t seconds, bool returns);
/* An attempt has failed: from now on its age matters. */
void late_watch(struct schedule *s, struct message *m);
/* The next message whose time has come, and what for: call late_told or late_again. NULL: none, or *budget has run out. */
struct message *late_next(struct schedule *s, unsigned *budget, enum late_what *ret_what);
/* Its sender has been told, or is not to be. */
void late_told(struct schedule *s, struct message *m);
/* Not now: in so many seconds. */
void late_again(struct schedule *s, struct message *m, uint32_t seconds);
/* Has the deliver-by-time passed? returns: of mode R only. */
bool late_is_over(const struct schedule *s, const struct message *m, bool returns);
/* It leaves. */
void late_forget(struct schedule *s, struct message *m);

#endif
