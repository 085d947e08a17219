/* smtpd/verify.h -- VRFY and EXPN: does this address exist here? (RFC 5321 3.5)
 *
 * Clients of smtpd { vrfy } are told what the router says of the address; all others are told 252, and so learn nothing
 * (RFC 5321 7.3). The session waits for the answer: no command behind is handled before, and what is not answered in time
 * is 252 too. No lists are kept here, so that EXPN of an address is a list of one (RFC 5321 3.5.1). */
#ifndef POSTERN_SMTPD_VERIFY_H
#define POSTERN_SMTPD_VERIFY_H

#include "common/ipc/schema.h"
#include "smtpd/session.h"

/* A new configuration: which clients are answered. */
void verify_adopt(struct smtpd *smtpd, const struct conf *conf);

/* Is this client answered? */
bool verify_offered(const struct session *s);

/* VRFY or EXPN (which: EXT_VRFY, EXT_EXPN) of what the argument names. Replies, at once or when the router has answered. */
void verify(struct session *s, enum extension which, struct slice arg);

/* The router's answer to this handle, when it is one of ours: true. */
bool verify_verdict(struct smtpd *smtpd, uint32_t handle, const struct r_verdict *m);

/* Nobody answers. */
void verify_unanswered(struct session *s);

/* The session ends. */
void verify_forget(struct session *s);

#endif
