/* smtpd/allowance.h -- how much a user may send (auth { user-messages-hour } and its kin). The auth room counts, for all
 * processes together: it is asked about each recipient before the router is, and the first one stands for the message too. What
 * was spent and not used is given back when the transaction ends: all of it, unless the queue was given the message. Without
 * limits it is only told what was sent. */
#ifndef POSTERN_SMTPD_ALLOWANCE_H
#define POSTERN_SMTPD_ALLOWANCE_H

#include "common/ipc/peer.h"
#include "smtpd/transaction.h"

struct smtpd;

/* Asks; the router is asked when the answer is yes. False: nobody limits this session. */
bool allowance_ask(struct rcpt *r);
/* The transaction ends. */
void allowance_settle(const struct transaction *tx);

/* AU_SPENT. Its ctx is the struct smtpd. */
ipc_fn allowance_on_spent;
/* Nobody says whether this one may: 451. */
void allowance_unanswered(struct rcpt *r);
/* The line to the auth room is down. */
void allowances_fail(struct smtpd *smtpd);

#endif
