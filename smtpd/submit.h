/* smtpd/submit.h -- the line to the queue: message ids, its state, and how a message is handed over.
 *
 * Everything that comes from it is checked. What it says about a message counts only while the transaction lives and
 * was begun on this line. */
#ifndef POSTERN_SMTPD_SUBMIT_H
#define POSTERN_SMTPD_SUBMIT_H

#include "smtpd/smtpd.h"
#include "smtpd/transaction.h"

/* A new line: what an earlier one said is void. */
void submit_line(struct smtpd *smtpd, unsigned index, int fd);

/* The next message id. RC_AGAIN: none left; more are asked for. */
enum rc submit_take_id(struct smtpd *smtpd, struct msgid *ret_id);

/* Of a transaction that ended before anybody heard of its id. */
void submit_return_id(struct transaction *tx);

/* May a message of this size (0: unknown) begin now? True, or the refusal. */
bool submit_accepting(const struct smtpd *smtpd, uint64_t size, struct refusal *ret_refusal);

/* Is the line that the transaction began on still up? */
bool submit_alive(const struct transaction *tx);

/* The whole message in one frame. RC_RANGE: too large for one. RC_AGAIN: the line is full, call again when woken.
 * RC_CLOSED: the line is down. RC_NOMEM. */
enum rc submit_whole(struct transaction *tx);
/* A larger one, the same results: the envelope; then content, as much as credit and line allow, off the front of
 * receive->content (RC_OK: all of it is gone that is not held); then the end. */
enum rc submit_begin(struct transaction *tx);
enum rc submit_content(struct transaction *tx);
enum rc submit_commit(struct transaction *tx);

/* ETRN: asks the queue to try what waits for this domain; the session is held, and answered when the queue has. False: it
 * cannot be asked. */
bool submit_flush(struct session *s, struct slice domain);
/* It does not answer; the session ends. See wait.h. */
void submit_flush_unanswered(struct session *s);
void submit_flush_forget(struct session *s);

/* Tells the queue to forget the message, unless it has it whole. */
void submit_forget(struct transaction *tx);

#endif
