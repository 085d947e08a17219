/* deliver/local.h -- postern-local: the planner of deliveries to mailboxes on this host.
 *
 * The queue opens sessions with it as with any delivery process; the destination is a user. For each session it asks
 * master for a mailbox process, which becomes that user, and hands the frames of the session to and fro. It writes no
 * file and knows no account. What a mailbox process says (it runs as a user, who may have got at it) is checked against
 * what the queue asked of it: it can fail its own deliveries, and touch no others. */
#ifndef POSTERN_DELIVER_LOCAL_H
#define POSTERN_DELIVER_LOCAL_H

#include "common/job.h"
#include "common/room.h"

enum {
	LOCAL_SESSIONS_MAX = 4096,	/* of the queue at a time, most of them waiting; a power of two */
	LOCAL_BUCKETS = 1024,
	LOCAL_USER_MAX = 255,
	LOCAL_RCPTS_MAX = 5000,		/* as in a mailbox process */
	/* The queue may be a window ahead of the credit, whether or not it counts what came with the job. */
	LOCAL_AHEAD_MAX = IPC_CONTENT_WINDOW + IPC_FRAME_MAX,
};

enum local_state {
	LOCAL_WAITING,		/* for fewer processes */
	LOCAL_SPAWNING,		/* master was asked */
	LOCAL_STARTING,		/* the process has D_OPEN */
	LOCAL_READY,		/* it asked for a message */
	LOCAL_JOB,
	LOCAL_ENDING,		/* nothing more is given to it; its D_CLOSED is awaited */
};

struct local_session {
	struct local *local;
	struct local_session *next_bucket;
	struct local_session *prev, *next;	/* while waiting */
	uint32_t handle;			/* the queue's */
	uint32_t spawn;				/* ours, towards master; the low bits are the slot */
	enum local_state state;
	char user[LOCAL_USER_MAX + 1];
	struct peer *child;
	struct timer timer;			/* whenever it is the process's turn */
	uint32_t job;
	uint64_t left;				/* content of the job that has not come yet */
	uint32_t ahead;				/* passed on, no credit for it yet */
	uint16_t *indexes;			/* of the job's recipients */
	size_t n_indexes;
};

struct local {
	struct room *room;
	struct peer *queue;
	struct local_session *slots[LOCAL_SESSIONS_MAX];
	unsigned free_slots[LOCAL_SESSIONS_MAX];	/* a stack */
	unsigned n_sessions;
	unsigned n_processes;				/* sessions that have one, or asked for one */
	uint32_t spawns;
	struct local_session *buckets[LOCAL_BUCKETS];	/* by handle */
	struct local_session *first, *last;		/* waiting, in order */
};

extern const struct room_ops local_ops;

/* --- local.c: sessions --- */

struct local_session *local_find(struct local *l, uint32_t handle);
/* NULL: no room or no memory. */
struct local_session *local_session_new(struct local *l, uint32_t handle, struct slice user);
/* Tells the queue, and forgets it; its process, if any, loses its line and ends. */
void local_session_end(struct local_session *s, enum session_end status, uint16_t code, const char *enhanced,
    const char *text);
/* Starts processes for those who wait, within local { processes-max }. */
void local_start_waiting(struct local *l);
/* The process has so long from now. */
void local_session_clock(struct local_session *s);
/* A send to the queue that failed because it does not read: it loses its line. */
void local_queue_sent(struct local *l, enum rc rc);

/* --- local_relay.c: frames to and fro --- */

extern const struct peer_ops local_queue_ops;	/* ctx: struct local */
extern const struct peer_ops local_child_ops;	/* ctx: struct local_session */

#endif
