/* smtpd/receive.h -- the content of a message: from DATA to the final dot (RFC 5321 4.1.1.4, 4.5.2), or in chunks of a given
 * size (BDAT, RFC 3030).
 *
 * A small message is gathered here and goes to the queue with its envelope in one frame. A larger one flows on as it
 * arrives, no faster than the queue takes it. What refuses a message is found while it arrives; the rest is then thrown
 * away, and the reply given at its end, where the client listens. Only bare newlines end the session at once. */
#ifndef POSTERN_SMTPD_RECEIVE_H
#define POSTERN_SMTPD_RECEIVE_H

#include "common/rc.h"
#include "common/slice.h"
#include "common/wire/header.h"
#include "common/wire/smtp_data.h"
#include "smtpd/reply.h"

struct complete;
struct session;
struct transaction;

enum {
	RECEIVE_GATHER_MAX = 64 * 1024,	/* content held here; above, it flows on */
};

struct receive {
	struct smtp_data_decoder decoder;
	struct header_watch watch;
	struct buf content;		/* trace field and content that the queue has not been given */
	size_t held;			/* of these the last ones stay here for now: they may still be changed */
	struct complete *complete;	/* complete.h; NULL: what comes is taken as it is */
	uint64_t given;			/* bytes of both that it has */
	uint64_t credit;		/* bytes it takes without being asked */
	uint64_t wire;			/* bytes received */
	uint64_t began;
	uint64_t stalled;		/* milliseconds that we did not read: no fault of the client */
	uint64_t stalled_since;		/* 0: reading */
	bool chunked;			/* it comes by BDAT */
	bool last;			/* this chunk is the last one */
	uint64_t left;			/* bytes of this chunk that have not come */
	uint64_t chunk;			/* bytes of it in all */
	struct refusal refusal;		/* code 0: nothing against it so far */
	uint64_t watched;		/* bytes that the watch was fed */
	bool eight_bit_body;		/* a byte above 127 stands behind the header; only looked for with SMTPUTF8 */
	bool gone;			/* the content is thrown away */
	bool waited;			/* it stood still for an answer */
};

/* Content will come, by DATA or in chunks by BDAT: makes tx->receive, with our trace field on top. RC_NOMEM. */
enum rc receive_begin(struct transaction *tx, bool chunked);
/* A chunk of that size begins: it is content from here on (RFC 3030 2). */
void receive_chunk(struct session *s, uint64_t size, bool last);
/* What the content so far says about itself, as flags of the envelope. */
uint32_t receive_flags(const struct transaction *tx);
void receive_free(struct transaction *tx);

/* Content. RC_OK: the message is complete, the phase has changed. RC_MORE: all is consumed. RC_AGAIN: call again when
 * the queue has taken something. *ret_used is set for every result. */
enum rc receive_input(struct session *s, struct slice in, size_t *ret_used);

/* The queue refuses, or is gone: the rest is thrown away, the refusal said at the end. */
void receive_refuse(struct transaction *tx, const struct refusal *why);

#endif
