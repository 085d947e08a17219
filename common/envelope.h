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
	ENVELOPE_8BITMIME = 1 << 0,	/* the content holds bytes above 127, whatever BODY said (RFC 6152 3) */
	ENVELOPE_BOUNCE = 1 << 1,	/* written by ourselves */
	ENVELOPE_DOUBLE = 1 << 2,	/* about a bounce, to the postmaster: when it fails too, nobody is told */
	ENVELOPE_BINARYMIME = 1 << 3,	/* BODY=BINARYMIME: lines mean nothing (RFC 3030 3) */
	ENVELOPE_SMTPUTF8 = 1 << 4,	/* SMTPUTF8 was given (RFC 6531 3.4) */
	ENVELOPE_REQUIRETLS = 1 << 5,	/* REQUIRETLS was given (RFC 8689 2) */
	ENVELOPE_TLS_OPTIONAL = 1 << 6,	/* the header says TLS-Required: No (RFC 8689 3) */
	ENVELOPE_RET_FULL = 1 << 7,	/* RET=FULL (RFC 3461 4.3) */
	ENVELOPE_RET_HDRS = 1 << 8,	/* RET=HDRS */
	ENVELOPE_BY_NOTIFY = 1 << 9,	/* BY=..;N: only tell when it is late (RFC 2852 4); else return it */
	ENVELOPE_BY_TRACE = 1 << 10,	/* BY=..T: tell of each relay */
	ENVELOPE_TRUSTED = 1 << 11,	/* its client is known: reports of success and delay go to its sender */
	/* What the server's side may say of a message; the rest is the queue's own. */
	ENVELOPE_FROM_CLIENT = ENVELOPE_8BITMIME | ENVELOPE_BINARYMIME | ENVELOPE_SMTPUTF8 | ENVELOPE_REQUIRETLS |
	    ENVELOPE_TLS_OPTIONAL | ENVELOPE_RET_FULL | ENVELOPE_RET_HDRS | ENVELOPE_BY_NOTIFY | ENVELOPE_BY_TRACE |
	    ENVELOPE_TRUSTED,
};

/* NOTIFY of a recipient (RFC 3461 4.1); 0: not given, which means FAILURE, and DELAY if that is our custom. */
enum { NOTIFY_NEVER = 1 << 0, NOTIFY_SUCCESS = 1 << 1, NOTIFY_FAILURE = 1 << 2, NOTIFY_DELAY = 1 << 3, NOTIFY_ALL = 15 };

enum { PRIORITY_MIN = -9, PRIORITY_MAX = 9 };	/* MT-PRIORITY (RFC 6710 4); 0: usual */

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
	struct slice envid;		/* ENVID, the xtext as given (RFC 3461 4.4); may be empty */
	int64_t deliver_by;		/* wall clock, microseconds; 0: no BY (RFC 2852) */
	int64_t hold_until;		/* the same for HOLDFOR and HOLDUNTIL (RFC 4865) */
	struct slice hold_request;	/* as asked: "for;N" or "until;DATE" (RFC 4865 5.1.2) */
	int8_t priority;		/* PRIORITY_MIN to PRIORITY_MAX */
	struct slice user;		/* who had logged in, or empty */
	struct slice rcpts;		/* run of recipients: iterate with envelope_rcpt_next */
	uint32_t n_rcpts;
};

struct envelope_rcpt {
	struct slice address;		/* final recipient, canonical: where it goes */
	struct slice original;		/* as given in RCPT when different, else empty */
	struct slice transport;		/* route as of acceptance: see D_OPEN */
	struct slice nexthop;
	uint32_t generation;		/* of the configuration that routed it */
	uint8_t notify;			/* NOTIFY_ bits */
	struct slice orcpt;		/* ORCPT as given: type;xtext (RFC 3461 4.2); may be empty */
};

/* May this be a text of an envelope? The text forms of the world (headers, logs, bounces) are built from these: no line may end
 * inside one. */
bool envelope_text_fits(struct slice text);

/* Appends the encoded form of everything but recipients; then one envelope_put_rcpt a recipient. False: to failed. */
bool envelope_put(struct buf *to, const struct envelope *e);
bool envelope_put_rcpt(struct buf *to, const struct envelope_rcpt *r);

/* Sets flags in an encoded envelope: what is known only when the whole content has come. False: it has no flags. */
bool envelope_add_flags(uint8_t *bytes, size_t n, uint32_t flags);

/* Slices borrow from bytes. Checks the whole run, recipients too. RC_SYNTAX, RC_RANGE. */
enum rc envelope_parse(struct slice bytes, struct envelope *ret_e);

/* The next recipient; false at the end. Start with *rest = e.rcpts (the bytes of the whole run are fine too: other
 * fields are passed over). */
bool envelope_rcpt_next(struct slice *rest, struct envelope_rcpt *ret_r);

#endif
