/* queue/dsn.h -- the message that tells a sender what failed, waits or has arrived: multipart/report (RFC 6522) with a
 * delivery-status (RFC 3464) and the header of the original. Pure.
 *
 * Whatever comes from outside (replies, names, the original header) is written so that it cannot start a line, a field or
 * a MIME part of its own. */
#ifndef POSTERN_QUEUE_DSN_H
#define POSTERN_QUEUE_DSN_H

#include "common/buf.h"
#include "common/queue_id.h"

enum dsn_action { DSN_FAILED, DSN_DELIVERED, DSN_RELAYED, DSN_DELAYED };

/* RET (RFC 3461 4.3), and what the way back carries. */
enum dsn_return {
	DSN_HEADER,
	DSN_NOTHING,			/* not even the header */
	DSN_WHOLE,			/* as it came: 7-bit lines */
	DSN_WHOLE_8BIT,			/* as it came: lines; then the report is 8-bit too */
	DSN_WHOLE_ENCODED,		/* whatever it is, in base64 */
};

struct dsn_rcpt {
	enum dsn_action action;
	struct slice address;		/* final recipient */
	struct slice orcpt;		/* ORCPT as given, type;xtext (RFC 3461 4.2); may be empty */
	struct slice enhanced;		/* of the reply; the status given is of class 5, or 4.4.7 when expired, or 2 */
	struct slice text;		/* the reply, or why there was none */
	struct slice relay;		/* host[ip]:port for people; may be empty */
	struct slice host;		/* who said it; may be empty */
	uint16_t code;			/* 0: no reply */
	bool expired;			/* failed, because it is too old */
	bool late;			/* the deliver-by-time has passed (RFC 2852 4.1.3) */
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
	enum dsn_return returns;	/* of the original; what is not there whole is not returned whole */
	bool original_global;		/* its header may be UTF-8 (RFC 6532) */
	struct slice envid;		/* xtext (RFC 3461 4.4); may be empty */
	int64_t deliver_by;		/* seconds since 1970; 0: none (RFC 2852 5) */
	int64_t retry_until;		/* the same, for recipients that are delayed (RFC 3464 2.3.9) */
	struct slice hold_request;	/* RFC 4865 5.1.2; may be empty */
};

/* Appends the message, 7-bit whatever the original was (but for DSN_WHOLE_8BIT). False: to is full. */
bool dsn_put(struct buf *to, const struct dsn *d);

#endif
