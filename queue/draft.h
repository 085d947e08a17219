/* queue/draft.h -- mail on its way in: from an smtpd to the disk, and the answer.
 *
 * Q_ACCEPTED goes out from the store's callback, when the message is durable, and from nowhere else. A draft is owned by
 * its line until it is committed; when the line is lost, what was not committed is gone, and what was is kept: the client
 * may have no answer, but nobody told it that the message was refused (RFC 5321 6.1). */
#ifndef POSTERN_QUEUE_DRAFT_H
#define POSTERN_QUEUE_DRAFT_H

#include "queue/queue.h"

enum {
	DRAFTS_LINE_MAX = 100000,		/* of one smtpd at a time: more than the sessions it may have */
	/* Bytes of mail under way that may be in memory, envelopes included: what the drafts hold, and what smtpds have
	 * credit for and have not sent yet. No more is let in, and credit is held back. */
	DRAFT_BYTES_MAX = 512 * 1024 * 1024,
	/* What a draft in pieces may always hold, and counts for at least: each gets on, whatever the others hold. */
	DRAFT_SHARE_MIN = IPC_CONTENT_WINDOW + 64 * 1024,
	DRAFT_CREDIT_STEP = 64 * 1024,		/* credit is granted in steps, not byte by byte */
	DRAFT_TRACE_MAX = 64 * 1024,		/* what smtpd may add on top of max-message-size */
};

/* What is wrong with an envelope from an smtpd; NULL: nothing. Fills *ret_e, borrowing from bytes. Pure. */
const char *draft_check_envelope(struct slice bytes, struct envelope *ret_e);

/* Can this be the name of a destination, or of a transport? Pure. */
bool draft_name_fits(struct slice text);

/* How much more may be sent for a draft in pieces that holds so much, with so much credit already given: at most window
 * ahead, and `spare` bytes more than what the draft counts for. 0: less than a step. Pure. */
uint64_t draft_credit(uint64_t window, uint64_t held, uint64_t ahead, uint64_t spare);
/* What such a draft counts for. Pure. */
uint64_t draft_share(uint64_t held, uint64_t ahead);

#endif
