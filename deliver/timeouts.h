/* deliver/timeouts.h -- how long a server may take. RFC 5321 4.5.3.2, from conf deliver { timeout-* }.
 *
 * A stage's time is for its whole reply: a byte now and then does not renew it. On top of that a message and the way to a
 * greeting have totals, so that a server that stays just inside every single limit cannot hold a session for ever. */
#ifndef POSTERN_DELIVER_TIMEOUTS_H
#define POSTERN_DELIVER_TIMEOUTS_H

#include "common/conf.h"
#include "deliver/reply_policy.h"

enum {
	TIMEOUT_RESOLVE_MS = 120 * 1000,	/* the resolver answers in far less; it may be restarting */
	CONTENT_RATE_MIN = 512,			/* bytes a second that a server must take on average */
};

/* Milliseconds for one step; of STAGE_CONTENT for the next block (any progress renews it); 0: no limit (STAGE_IDLE). */
uint64_t timeout_of(const struct conf_deliver *conf, enum stage stage);

/* From the first connect to a ready session, all addresses together. */
uint64_t timeout_setup(const struct conf_deliver *conf);

/* A whole transaction. */
uint64_t timeout_message(const struct conf_deliver *conf, uint64_t size, size_t n_rcpts);

#endif
