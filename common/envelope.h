/* common/envelope.h -- who a message is from and to, and how it came: on the line from smtpd to queue, and in the spool.
 *
 * Encoded as a run of fields {u8 tag, u32 length, bytes}; a recipient is a nested run. Readers skip tags that they do
 * not know (later extensions add some), and refuse a run that is malformed. Everything is a slice: an encoded envelope
 * is decoded in place, recipient by recipient, with no allocation. */
#ifndef POSTERN_COMMON_ENVELOPE_H
#define POSTERN_COMMON_ENVELOPE_H

#include "common/buf.h"
#include "common/ip.h"
#include "common/rc.h"
#include "common/slice.h"

enum {
	ENVELOPE_8BITMIME = 1 << 0,	/* BODY=8BITMIME was given (RFC 6152) */
	ENVELOPE_BOUNCE = 1 << 1,	/* written by ourselves */
	ENVELOPE_DOUBLE = 1 << 2,	/* about a bounce, to the postmaster: when it fails too, nobody is told */
};

enum {
	ENVELOPE_BYTES_MAX = 16 * 1024 * 1024,	/* encoded, all recipients */
	ENVELOPE_TEXT_MAX = 1024,		/* any one text in it */
};

struct envelope {
	uint32_t flags;
	int64_t received_at;		/* wall clock, microseconds */
	struct slice sender;		/* canonical address, empty for <> */
	struct ip client;
	struct slice client_name;	/* confirmed name, or empty */
	struct slice helo;
	struct slice listener;
	struct slice proto;		/* "ESMTP", "SMTP", ... (RFC 3848) */
	struct slice message_id;	/* of the Message-ID field, for the log; may be empty */
	struct slice cause;		/* queue id of the message that a bounce is about */
	struct slice rcpts;		/* run of recipients: iterate with envelope_rcpt_next */
	uint32_t n_rcpts;
};

struct envelope_rcpt {
	struct slice address;		/* final recipient, canonical: where it goes */
	struct slice original;		/* as given in RCPT when different, else empty */
	struct slice transport;		/* route as of acceptance: see D_OPEN */
	struct slice nexthop;
	uint32_t generation;		/* of the configuration that routed it */
};

/* Appends the encoded form of everything but recipients; then one envelope_put_rcpt a recipient. False: to failed. */
bool envelope_put(struct buf *to, const struct envelope *e);
bool envelope_put_rcpt(struct buf *to, const struct envelope_rcpt *r);

/* Slices borrow from bytes. Checks the whole run, recipients too. RC_SYNTAX, RC_RANGE. */
enum rc envelope_parse(struct slice bytes, struct envelope *ret_e);

/* The next recipient; false at the end. Start with *rest = e.rcpts (the bytes of the whole run are fine too: other
 * fields are passed over). */
bool envelope_rcpt_next(struct slice *rest, struct envelope_rcpt *ret_r);

#endif
