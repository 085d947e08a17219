/* queue/dispatch.h -- carriers (deliver and local processes) and the sessions that they hold for us.
 *
 * A session is opened for a destination, pulls one job after the other, and is let go when nothing is left for a while.
 * A carrier that dies takes its sessions with it; what they were doing was not delivered. */
#ifndef POSTERN_QUEUE_DISPATCH_H
#define POSTERN_QUEUE_DISPATCH_H

#include "queue/handles.h"
#include "queue/queue.h"

struct job;

enum session_phase {
	SESSION_OPENING,	/* D_OPEN was sent */
	SESSION_WAITING,	/* up, nothing to do: in the idle ring of its destination */
	SESSION_WORKING,	/* has a job */
	SESSION_ENDING,		/* D_IDLE was sent, or it will not pull again: D_CLOSED comes */
};

struct carrier {
	struct carrier *next;
	struct queue *queue;
	struct peer *peer;
	struct tree sessions;		/* by handle */
	uint64_t busy_until_ms;		/* it had no room for another session */
	uint32_t last_handle;
	enum carrier_kind kind;
};

struct session {
	struct handled named;		/* first */
	struct link idle;		/* in the ring of its destination */
	struct carrier *carrier;
	struct destination *destination;
	struct job *job;
	struct timer timer;		/* of idleness */
	enum session_phase phase;
};

/* It will get nothing more. */
void session_let_go(struct session *s);
/* The next job for a session that is up and has none. */
void session_next(struct session *s);

#endif
