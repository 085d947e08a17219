/* smtpd/offer.h -- which extensions a session may use: what the operator left on, and what can be kept here and now. What EHLO
 * announces and what MAIL and RCPT take is decided by the same function. */
#ifndef POSTERN_SMTPD_OFFER_H
#define POSTERN_SMTPD_OFFER_H

#include "smtpd/session.h"

bool offers(const struct session *s, enum extension e);

/* Appends what EHLO says behind the keyword, with a space before it; nothing for most. */
bool offer_put_value(struct buf *to, const struct session *s, enum extension e);

/* A new configuration: who may raise the priority of mail (RFC 6710 4.1), say ETRN, and have reports of success and delay. */
void offer_adopt(struct smtpd *smtpd, const struct conf *conf);
bool offer_trusts_priority(const struct session *s);
/* Are reports of success and delay written for its mail? */
bool offer_reports(const struct session *s);
/* The seconds that BY with mode R leaves at least (RFC 2852 2). */
unsigned offer_min_by(const struct session *s);

/* Is there anybody here who may say ETRN? */
bool offer_has_etrn(const struct session *s);

#endif
