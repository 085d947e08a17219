/* queue/job.h -- one message on one session: its envelope and content to the carrier, until the result.
 *
 * The envelope is read back for each job, and kept in it: the result is logged, and a bounce written, from it. Content
 * is read from the store in pieces, at most a window ahead of what the carrier has credited. */
#ifndef POSTERN_QUEUE_JOB_H
#define POSTERN_QUEUE_JOB_H

#include "queue/dispatch.h"

struct job_item {
	struct rcpt *rcpt;		/* busy; NULL once its result is in */
	uint16_t index;			/* its own, and known when it is NULL */
	struct envelope_rcpt row;	/* borrows from the job's envelope; filled when D_JOB goes out */
};

struct job {
	struct job *next_stalled;	/* in queue.jobs_stalled */
	struct session *session;
	struct message *message;	/* held */
	uint32_t number;
	uint64_t taken_ms;
	uint64_t sent, credited;	/* bytes of content; it may be IPC_CONTENT_WINDOW ahead */
	bool announced;			/* D_JOB is out */
	bool reading;
	bool stalled;
	struct buf envelope;		/* the bytes */
	struct envelope parsed;		/* borrows from them */
	size_t n_items;
	struct job_item items[];	/* in the order of the envelope */
};

/* Recipients of one message, busy; they are given back when it cannot start (no memory): RC_NOMEM. */
enum rc job_start(struct session *s, struct rcpt *const *rcpts, size_t n);
/* More credit; the line is free again. */
const char *job_credit(struct job *job, uint32_t bytes);
void job_drained(struct queue *q, struct carrier *carrier);
/* Ends it: recipients without a result go back, to be tried again after wait_ms (0: at once). Frees it. */
void job_end(struct job *job, uint64_t wait_ms);
/* The recipient with this index; NULL: it is not in the job. */
struct job_item *job_item(struct job *job, uint16_t index);

#endif
