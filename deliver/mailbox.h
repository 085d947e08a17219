/* deliver/mailbox.h -- postern-mailbox: one recipient's process, which writes into his Maildir as himself.
 *
 * It serves one session of the planner (D_OPEN to D_CLOSED) and ends with it. What it says about its deliveries is
 * believed for this recipient only; it knows of no other. It may block: nobody but its own session waits for it. */
#ifndef POSTERN_DELIVER_MAILBOX_H
#define POSTERN_DELIVER_MAILBOX_H

#include "common/job.h"
#include "common/room.h"
#include "deliver/account.h"
#include "deliver/letter.h"
#include "deliver/maildir.h"

enum {
	MAILBOX_RCPTS_MAX = 5000,	/* of one job; a result for each fits a frame */
	MAILBOX_TEXT_MAX = 256 * 1024,	/* their addresses */
};

/* What became of a recipient so far. status 0: nothing yet. */
struct mailbox_outcome {
	uint8_t status;			/* enum job_status */
	const char *enhanced;
	char text[160];
};

struct mailbox_job {
	bool active;
	uint32_t number;
	struct msgid id;
	uint64_t size, arrived;
	uint32_t earned;		/* credit not granted yet */
	struct buf text;		/* sender and addresses, which the slices below point into */
	struct slice sender;
	struct letter_rcpt *rcpts;
	struct mailbox_outcome *outcomes;
	size_t n_rcpts;
	size_t carrier;			/* whose copy takes the content as it comes; n_rcpts: nobody's */
	struct maildir_file file;	/* that copy; fd -1: none */
	uint64_t head;			/* bytes of it before the content */
	struct letter letter;
};

struct mailbox {
	struct room *room;
	struct peer *local;
	uint32_t handle;
	bool open;			/* D_OPEN came */
	bool closing;			/* no further job */
	struct maildir dir;
	struct account account;
	char host[256];
	struct mailbox_job job;		/* when not active: the last one, whose names in tmp/ wait to be settled */
	struct buf out;
};

extern const struct room_ops mailbox_ops;

/* --- mailbox_job.c: one message --- */

/* Starts on m, whose content follows by mailbox_job_feed. NULL, or why it is malformed. */
const char *mailbox_job_begin(struct mailbox *b, const struct d_job *m);
/* NULL, or why not. Afterwards arrived == size tells that all is there. */
const char *mailbox_job_feed(struct mailbox *b, struct slice content);
/* Everything came: makes the copies, and fills every outcome. */
void mailbox_job_finish(struct mailbox *b);
/* Given up: nothing of it remains but what is in new/. */
void mailbox_job_abort(struct mailbox *b);
/* The result was told and the planner has gone on: the names in tmp/ of what was delivered go. */
void mailbox_job_settle(struct mailbox *b);

#endif
