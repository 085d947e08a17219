/* common/idn.h -- internationalised domain names (IDNA 2008, RFC 5890 to 5893). Inside Postern a domain is ASCII, its U-labels
 * written as A-labels (xn--...): so one name is one name in every table, whichever way it was written. */
#ifndef POSTERN_COMMON_IDN_H
#define POSTERN_COMMON_IDN_H

#include "common/buf.h"
#include "common/rc.h"
#include "common/slice.h"

/* Appends the domain in ASCII and lower case. An ASCII domain is not looked into. Mapped first as people type (UTS 46, not
 * transitional): upper case, full-width letters, other forms of the same character. RC_SYNTAX: no such name can be.
 * RC_RANGE: too long. RC_NOMEM. */
enum rc idn_domain_put(struct buf *to, struct slice domain);

/* Appends a domain that is in ASCII with its A-labels as U-labels, for people and for mail that is in UTF-8 anyway. What would
 * not come back as the same name, or is longer than DOMAIN_MAX, stays as it is. False: to is full. */
bool idn_unicode_put(struct buf *to, struct slice domain);

#endif
