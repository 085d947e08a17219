/* queue/dsn.h -- the message that tells a sender what failed: multipart/report (RFC 6522) with a delivery-status (RFC 3464)
 * and the header of the original. Pure.
 *
 * Whatever comes from outside (replies, names, the original header) is written so that it cannot start a line, a field or
 * a MIME part of its own. */
#ifndef POSTERN_QUEUE_DSN_H
#define POSTERN_QUEUE_DSN_H

#include "common/buf.h"
#include "common/queue_id.h"

struct dsn_rcpt {
	struct slice address;		/* final recipient */
	struct slice enhanced;		/* of the reply; the status given is of class 5, or 4.4.7 when expired */
	struct slice text;		/* the reply, or why there was none */
	struct slice relay;		/* host[ip]:port for people; may be empty */
	struct slice host;		/* who said it; may be empty */
	uint16_t code;			/* 0: no reply */
	bool expired;
};

struct dsn {
	struct slice hostname;		/* ours */
	struct slice to;		/* whom this is for */
	struct slice sender;		/* of the original; empty for <> */
	struct msgid id;		/* of this message */
	struct msgid about;		/* of the original */
	int64_t now, arrived;		/* seconds since 1970 */
	uint64_t random;		/* for the boundary */
	bool twice;			/* the original is a bounce itself: this is for the postmaster */
	const struct dsn_rcpt *rcpts;
	size_t n_rcpts;
	struct slice original;		/* the beginning of the original message */
	bool original_whole;		/* all of it */
	size_t header_max;		/* bytes of its header to return at most */
};

/* Appends the message, 7-bit whatever the original was. False: to is full. */
bool dsn_put(struct buf *to, const struct dsn *d);

#endif
