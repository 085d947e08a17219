/* smtpd/transaction.h -- one mail transaction: from MAIL until the message is acknowledged or given up.
 *
 * Made by MAIL, destroyed by transaction_free on every way out (RSET, EHLO, a reply to the message, a lost client, a
 * lost queue), which also tells the queue to forget what it has of the message. */
#ifndef POSTERN_SMTPD_TRANSACTION_H
#define POSTERN_SMTPD_TRANSACTION_H

#include "common/queue_id.h"
#include "common/rc.h"
#include "smtpd/reply.h"

struct session;
struct receive;

enum {
	RCPT_OVERLAP_MAX = 100,		/* RCPTs of one session that wait for the router at a time */
	/* What all recipients may take in the envelope: with the rest of it, one frame to the queue. RFC 5321 4.5.3.1.8
	 * asks for 100 recipients; this holds 100 of the longest and a thousand of common length. */
	TRANSACTION_RCPTS_MAX = 112 * 1024,
	ENVELOPE_REST_MAX = 4 * 1024,
};

/* A RCPT whose reply has not been given: replies come in the order of the commands, verdicts in any. */
struct rcpt {
	struct rcpt *next;
	struct transaction *tx;
	uint32_t handle;		/* at the router, or, while spending, at the auth room; 0: answered */
	bool spending, for_message;	/* allowance.h; for the message too */
	struct refusal refusal;		/* code 0: accepted */
	char rule[64];
	uint8_t notify;			/* NOTIFY, as bits of common/envelope.h */
	size_t n, n_orcpt;
	uint8_t text[];			/* canonical address; n bytes; behind it ORCPT as given */
};

/* Where an accepted one begins, so that one that is named again is found without looking into all of them: a message may have
 * thousands, and each name is compared with those before it. */
struct rcpt_mark {
	uint32_t hash;			/* of address, NOTIFY and ORCPT, by a key that the client does not know */
	uint32_t at;
};

/* What MAIL declared and most do not. */
struct declared {
	int64_t deliver_by, hold_until;	/* as in the envelope */
	bool has_priority;
	int8_t priority, asked_priority;	/* what it has, and what was asked for (RFC 6710 4.1) */
	size_t n_envid, n_hold;
	uint8_t text[];			/* ENVID, then the request to hold it */
};

struct transaction {
	struct session *session;
	struct msgid id;
	bool id_used;			/* it stands in the log, or the queue knows it */
	uint32_t queue_epoch;		/* of the line that gave the id */
	char *sender;			/* canonical, "" for <> */
	uint64_t size;			/* SIZE=, 0: not given */
	uint32_t flags;			/* of the envelope: what MAIL declared */
	struct declared *declared;	/* NULL: nothing */
	bool binary;			/* BODY=BINARYMIME */
	bool utf8;			/* SMTPUTF8 */
	bool utf8_sender;		/* the sender is not ASCII, its domain apart */
	bool rcpt_seen;
	uint64_t began;

	struct rcpt *waiting, **last;	/* RCPTs without a reply */
	unsigned n_waiting;
	struct buf rcpts;		/* accepted ones: a run of the envelope */
	struct rcpt_mark *marks;	/* n_rcpts of them */
	uint32_t n_rcpts, marks_cap;
	uint32_t n_named;		/* RCPTs that were accepted, those that name one again too */
	char *only_rcpt;		/* of the first one, as given: for the trace field when it stays the only one */

	bool message_asked, message_spent; /* allowance.h */
	uint32_t n_spent;		/* recipients */
	uint64_t spends_since;		/* when the first was asked for */
	bool given;			/* the queue has all of it and has not refused it: it may be delivered */

	struct receive *receive;	/* from DATA on */
	uint32_t handle;		/* at the queue; 0: it has nothing of us */
	bool begun;			/* Q_BEGIN was sent: Q_ABORT undoes it */
};

/* NULL: no memory. Nothing of the session changes; the caller puts it there. */
struct transaction *transaction_new(struct session *s, struct msgid id, struct slice sender);

/* The one end of a transaction. why: for the event LOG_ABORTED, a constant; NULL: it ended as it should. */
void transaction_free(struct transaction **at, const char *why);

enum { PRIORITY_TEXT_MAX = 5 };
/* The MT-PRIORITY that was received, for the log (RFC 6710 4.1 3); empty when there was none. tx may be NULL. */
const char *transaction_priority(const struct transaction *tx, char text[PRIORITY_TEXT_MAX]);

/* A RCPT that waits for its turn to be answered. NULL: no memory. */
struct rcpt *rcpt_new(struct transaction *tx, struct slice canonical, struct slice orcpt);

/* The router has accepted it: into the envelope. final empty: unchanged. Sets the refusal when there is no room. */
void rcpt_accept(struct rcpt *r, struct slice final, struct slice transport, struct slice nexthop, uint32_t generation);

/* Gives the replies whose turn has come. */
void rcpts_reply(struct transaction *tx);

#endif
