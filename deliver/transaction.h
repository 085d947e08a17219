/* deliver/transaction.h -- one message over one connection: MAIL to the reply after the dot. Pure: no socket, no clock.
 *
 * The owner pumps (which puts what may be sent now into the exchange), writes, reads, and hands each reply over, until
 * the transaction is done or over. Outcomes land in the job. RFC 5321 3.3, RFC 2920 3.1. */
#ifndef POSTERN_DELIVER_TRANSACTION_H
#define POSTERN_DELIVER_TRANSACTION_H

#include "deliver/exchange.h"
#include "deliver/job.h"

struct transaction {
	struct job *job;	/* the session's */
	size_t next;		/* recipient to ask about next */
	size_t answered;	/* recipients before it have no reply due */
	size_t n_asked;
	size_t n_accepted;
	bool reset_first;	/* the last transaction was left open on this connection */
	bool mail_sent, mail_answered, mail_ok;
	bool utf8;		/* MAIL said SMTPUTF8 */
	bool data_sent;
	bool refused;		/* the message as a whole has its outcome: nothing more is asked */
	bool flowing;		/* content */
	bool dot_sent, dot_answered;
	bool alone;		/* the dot stands alone: DATA was accepted for no recipient */
	bool over;		/* the connection is of no more use */
	bool broken;		/* the content cannot be sent; the connection must be cut before its end */
};

/* Starts afresh with this job. reset_first: see above. A job that this server cannot take (SIZE, 8BITMIME) is decided at
 * once, and the transaction is done without a word to the server. */
void transaction_begin(struct transaction *t, struct exchange *x, struct job *job, bool reset_first);

/* Puts what may be sent now. Content that may flow is encoded as far as there is room. RC_OK or RC_NOMEM. */
enum rc transaction_pump(struct transaction *t, struct exchange *x);

/* A reply that exchange_reply gave. Pump again afterwards. */
void transaction_reply(struct transaction *t, struct exchange *x, enum stage stage, const struct smtp_reply *reply);

/* Without pipelining a command waits for the reply to the one before. A server that has said more than that reply was not
 * asked: the next command must not be sent, or the surplus would be taken for its answer (RFC 5321 4.1, RFC 2920 3.1). */
bool transaction_is_out_of_step(const struct transaction *t, const struct exchange *x);

/* Every command is answered and nothing is left to ask. */
bool transaction_done(const struct transaction *t, const struct exchange *x);

/* Does the server hold an open transaction of ours now (for the next reset_first)? */
bool transaction_left_open(const struct transaction *t);

/* Waiting for the queue, not for the server. */
bool transaction_wants_content(const struct transaction *t, const struct exchange *x);

#endif
