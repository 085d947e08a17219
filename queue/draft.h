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
	DRAFT_BYTES_MAX = 512 * 1024 * 1024,	/* of all drafts, as far as they may be in memory */
	DRAFT_TRACE_MAX = 64 * 1024,		/* what smtpd may add on top of max-message-size */
};

/* What is wrong with an envelope from an smtpd; NULL: nothing. Fills *ret_e, borrowing from bytes. Pure. */
const char *draft_check_envelope(struct slice bytes, struct envelope *ret_e);

#endif
