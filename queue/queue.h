/* queue/queue.h -- the room that owns the truth: every message, durable, until it is delivered or returned.
 *
 * One context struct; everything hangs on it. Intake: draft.c (from smtpd). Out: dispatch.c (sessions), job.c (a message
 * on a session), result.c (what became of it), routing.c (asking the router), bounce.c and dsn.c (telling the sender).
 * What is tried when: schedule.c. On disk: store.h. Operators: admin.c. */
#ifndef POSTERN_QUEUE_QUEUE_H
#define POSTERN_QUEUE_QUEUE_H

#include "common/envelope.h"
#include "common/room.h"
#include "queue/ids.h"
#include "queue/message.h"
#include "queue/reason.h"
#include "queue/recent.h"
#include "queue/report_rate.h"
#include "queue/schedule.h"
#include "queue/store.h"
#include "queue/unread.h"

enum {
	QUEUE_SMTPDS_MAX = 256,		/* what the configuration allows */
	QUEUE_STEP_BUDGET = 2000,	/* elements of the schedule looked at in one turn of the loop */
	QUEUE_LOOK_MS = 1000,		/* how often slow changes (free space) are looked at */
};

struct bounce;
struct listing;

struct queue {
	struct room *room;
	struct spool_io *io;
	struct store *store;
	struct schedule schedule;
	struct messages messages;
	struct recents recents;
	struct reasons reasons;
	struct ids ids;
	struct own_ids own_ids;
	struct unread unread;		/* what the disk would not read */
	struct chore pump;
	struct timer tick;
	struct timer look;
	uint64_t started_ms;		/* of the loop's clock: tick TICK_ORIGIN */
	int64_t wall_lead;		/* of the wall clock over the loop's, when the spool was read: microseconds */

	struct smtpd_line *smtpds;	/* draft.c */
	uint64_t flushed_ms;		/* when somebody was let start the queue by ETRN; 0: never */
	uint64_t n_drafts, draft_bytes;
	uint8_t told;			/* what smtpds were told last: enum intake */
	uint64_t told_room;

	struct carrier *carriers[CARRIER_KINDS];	/* dispatch.c */
	struct job *jobs_stalled;
	uint32_t last_job;

	struct peer *router;		/* routing.c */
	struct tree questions;		/* by handle */
	uint32_t last_question, n_batches;

	struct bounce *bounces;		/* bounce.c */
	uint32_t n_bounces;
	uint64_t notice_minute;		/* the minute that notices of delay are counted in */
	uint32_t n_notices;
	struct report_rate report_rate;

	struct peer *control;		/* admin.c */
	struct listing *listings;
	uint32_t n_listings;

	uint64_t n_accepted, n_delivered, n_deferred, n_bounced;	/* since start, for queue status */
	bool recovered;			/* the spool is open */
	bool loading;			/* not everything that lies in it is in the index yet */
	uint64_t n_unreadable;		/* found at the start with an envelope that makes no sense */
	bool closing;			/* the room ends: no new sessions */
};

extern const struct room_ops queue_ops;

/* Something changed that may give work: the scheduler is asked at the end of this turn. */
void queue_pump(struct queue *q);
/* Wall clock, microseconds. */
int64_t queue_wall(void);
static inline const struct conf *queue_conf(const struct queue *q) { return q->room->conf; }

/* May deliveries be started? Not while their results could not be kept. */
static inline bool
queue_delivers(const struct queue *q)
{
	return q->recovered && !q->closing && store_state(q->store) != STORE_FAILED;
}

/* The kind of a transport and its window (0: the general one). False: there is no such transport. */
bool queue_transport(const struct queue *q, struct slice name, enum carrier_kind *ret_kind, uint32_t *ret_window);

/* A message that is durable: into the index (it must not be there) and to the scheduler. Its recipients get the
 * destinations that the envelope says. Logs LOG_QUEUED. */
void queue_enter(struct queue *q, struct message *m, const struct envelope *e);
/* Its deliver-by-time, if it has one (RFC 2852). */
void queue_set_by(struct queue *q, struct message *m, const struct envelope *e);
/* Nothing is left to do for this message: out of the index; freed when nobody holds it. Its record is dropped by the
 * caller. cause: for the log. */
void queue_leave(struct queue *q, struct message *m, const char *cause);
/* A recipient (in no list) is final; the message stays until queue_leave. */
void queue_rcpt_done(struct queue *q, struct rcpt *r);
/* The disk refused to read a message. */
void queue_read_failed(struct queue *q);
/* A callback will come back to this message. */
void message_hold(struct message *m);
void message_release(struct message *m);	/* may free it */

/* --- room parts, by file: lines that master hands out, and what the timers do --- */
void smtpd_line_new(struct queue *q, unsigned index, int fd);		/* draft.c */
void intake_tell(struct queue *q);					/* Q_STATE to all, when it changed */
void carrier_new(struct queue *q, enum carrier_kind kind, unsigned index, int fd);	/* dispatch.c */
void dispatch_work(struct queue *q);
void routing_init(struct queue *q);					/* routing.c */
void router_line(struct queue *q, int fd);
void routing_work(struct queue *q);
void control_line(struct queue *q, int fd);				/* admin.c */
void admin_loaded(struct queue *q);					/* the index is complete */

#endif
