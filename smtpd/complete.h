/* smtpd/complete.h -- the header of what a user submits (RFC 6409 6.3, 8), on listeners of kind submission only.
 *
 * Fields are looked at as they stream by, one at a time in memory. What the mail program has left out (Date, Message-ID, a
 * Sender where From needs one) stands behind the other fields in the end; a Message-ID or Date that is none is replaced;
 * nothing else is changed. What cannot be mended is refused, since its user can mend it (RFC 6409 3.2). When senders are
 * somebody's, the router is asked about From and Sender, and the content waits for its answer. */
#ifndef POSTERN_SMTPD_COMPLETE_H
#define POSTERN_SMTPD_COMPLETE_H

#include "common/ipc/schema.h"
#include "common/wire/header.h"
#include "smtpd/transaction.h"

enum {
	COMPLETE_AUTHORS_MAX = 50,	/* addresses in From */
	COMPLETE_FIELDS_MAX = 2048,	/* bytes of what is added: no field is longer than a name of ours and an address */
	COMPLETE_HOLD_MAX = 4096,	/* bytes of a field that can be replaced */
};

struct complete {
	struct header_iter it;
	struct buf field;	/* the field that is being read: the last bytes of receive->content, or of what has left it */
	struct buf from, sender;	/* their addresses, canonical, separated by LF */
	unsigned n_from, n_sender, n_date, n_message_id, n_authors;
	uint32_t seen;			/* bits, of the other fields that may be there once only */
	size_t tail;			/* bytes of the content behind the end of the header */
	uint32_t handle;		/* at the router; 0: it is not asked */
	bool ended;			/* the header is read */
	bool cut;			/* it ends within a line */
};

/* All of these do nothing for a transaction without tx->receive->complete. */
enum rc complete_begin(struct transaction *tx);		/* makes it, where this listener has one. RC_NOMEM */
void complete_free(struct transaction *tx);
/* New bytes at the end of tx->receive->content, whose length was `before`. May refuse the message. */
void complete_feed(struct transaction *tx, size_t before);
void complete_end(struct transaction *tx);		/* no more come */
/* Must the content wait for the router? */
bool complete_waits(const struct transaction *tx);

/* The router has answered, or (NULL) will not. */
void complete_answer(struct transaction *tx, const struct r_authored *m);

#endif
