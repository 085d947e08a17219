/* deliver/content.h -- the content of one message on its way from the queue to a server. Pure.
 *
 * Chunks come from the queue as far as its credit reaches, are dot-stuffed (RFC 5321 4.5.2) into the outgoing buffer as
 * room appears there, and earn credit when they have left. So a slow server stops the queue, and memory stays bounded. */
#ifndef POSTERN_DELIVER_CONTENT_H
#define POSTERN_DELIVER_CONTENT_H

#include "common/buf.h"
#include "common/ipc/schema.h"
#include "common/rc.h"
#include "common/wire/smtp_data.h"

enum {
	/* The queue may be a window ahead of the credit, whether or not it counts what came with the job. */
	CONTENT_WAITING_MAX = IPC_CONTENT_WINDOW + IPC_FRAME_MAX,
	CONTENT_GRANT_MIN = IPC_CONTENT_CHUNK,	/* credit is given in pieces of this size at least */
};

struct content {
	struct smtp_data_encoder encoder;
	bool plain;		/* goes out as it is, its size was said before (BDAT, RFC 3030) */
	struct buf waiting;	/* came, not written */
	uint64_t size;		/* of the whole */
	uint64_t arrived;
	uint32_t earned;	/* credit that was not granted yet */
};

void content_init(struct content *c, uint64_t size);
void content_free(struct content *c);

/* A piece from the queue. RC_RANGE: more than the size, or beyond the window: the queue breaks the rules. RC_NOMEM. */
enum rc content_add(struct content *c, struct slice piece);

/* Encodes into `out` what fits. RC_OK: everything and the final dot are in it. RC_MORE: the queue owes the rest. RC_AGAIN:
 * `out` is full. RC_SYNTAX: a bare CR or LF: nothing more may be sent on this connection. RC_NOMEM. */
enum rc content_pump(struct content *c, struct buf *out);

/* Bytes to grant the queue now; 0: none. Counts as granted. */
uint32_t content_grant(struct content *c);

#endif
