/* smtpd/rcpt_domains.h -- which domains the recipients of one session have had: RCPTDOMAINMAX (RFC 9422 4.3).
 *
 * For an operator whose mail goes on to something that serves one customer, or a few, at a time. They are kept as they are:
 * there are few, and no name may be taken for another. */
#ifndef POSTERN_SMTPD_RCPT_DOMAINS_H
#define POSTERN_SMTPD_RCPT_DOMAINS_H

#include "common/rc.h"
#include "common/slice.h"

struct rcpt_domains;

/* Is there room for one more recipient of this canonical domain? The first of a domain takes a place of at most max. Empty
 * (<Postmaster>): always. *at: NULL at first; rcpt_domains_free() gives it back. RC_RANGE: there is none. RC_NOMEM. */
enum rc rcpt_domains_take(struct rcpt_domains **at, struct slice domain, uint32_t max);

void rcpt_domains_free(struct rcpt_domains *d);	/* NULL is fine */

#endif
