/* queue/result.h -- what became of recipients: to the log, to the disk, to the schedule. */
#ifndef POSTERN_QUEUE_RESULT_H
#define POSTERN_QUEUE_RESULT_H

#include "queue/job.h"

/* The result of a job. Recipients that it names are no longer the job's. NULL, or what is wrong with it (then nothing was
 * done). */
const char *result_apply(struct job *job, const struct d_result *m);
/* A session ended for a reason that is not peace: remembered at its destination, logged for the recipients of its job. */
void result_session_failed(struct session *s, const struct d_closed *m);
/* Defers a recipient that is in no list: log, disk, schedule. to, relay and the rest: for the log. */
struct result_deferral {
	const struct envelope *envelope;
	const struct envelope_rcpt *row;
	struct slice relay, enhanced, text;
	uint16_t code;
	uint64_t took_ms;		/* of the attempt */
	uint64_t wait_ms;		/* 0: by its age */
};
void result_defer(struct queue *q, struct rcpt *r, const struct result_deferral *d);

#endif
