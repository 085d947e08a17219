/* queue/bounce.h -- recipients that failed for good, on their way to be told to the sender; those that were delivered, when
 * the sender asked to be told (RFC 3461); and those that wait, of whom he is told once while they stay what they are.
 *
 * What failed together goes into one report: its route is asked of the router, the original header read, and then report
 * and marks are made durable in one atomic group, so that a recipient is never lost nor told twice. A failing bounce is
 * told to the postmaster; one that fails there too ends with a line in the log (RFC 5321 6.1: never a loop). */
#ifndef POSTERN_QUEUE_BOUNCE_H
#define POSTERN_QUEUE_BOUNCE_H

#include "queue/queue.h"

enum {
	BOUNCES_MAX = 256,		/* under way; sweeps wait for them */
	BOUNCE_RCPTS_MAX = 1000,	/* in one report */
};

enum bounce_news { BOUNCE_FAILED, BOUNCE_DELIVERED, BOUNCE_RELAYED, BOUNCE_DELAYED };

struct bounce_failure {
	enum bounce_news news;
	bool expired;			/* it is too old */
	bool late;			/* its sender's own time is over (RFC 2852) */
	uint16_t code;
	struct slice enhanced, text;
	struct slice relay, host;	/* may be empty */
};

/* Adds a recipient (in no list) to *at, which is made when it is NULL; one that is full is sent off and replaced. envelope:
 * of the message, empty when it has to be read. With no memory the recipient waits for another attempt. */
void bounce_add(struct queue *q, struct bounce **at, struct slice envelope, struct rcpt *r,
    const struct bounce_failure *failure);
/* That was all. NULL is fine. Consumes it. */
void bounce_go(struct bounce **at);
/* Those that had to wait for the router. */
void bounces_work(struct queue *q);
/* What the schedule gives up: too old, or the destination never takes mail. False: more is to be done. */
bool bounces_sweep(struct queue *q, unsigned *budget);
/* What has waited too long for its sender: he is told, or it is returned (late.h). False: more is to be done. */
bool bounces_late(struct queue *q, unsigned *budget);

#endif
