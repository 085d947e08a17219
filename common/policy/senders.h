/* common/policy/senders.h -- which sender addresses a user who has logged in may use: router { senders }. */
#ifndef POSTERN_COMMON_POLICY_SENDERS_H
#define POSTERN_COMMON_POLICY_SENDERS_H

#include "common/policy/address.h"

/* Do all values of the list say something: addresses, domains, tables that there are? RC_OK, or words in why. */
enum rc senders_check(const struct policy *p, struct buf *why);

/* Is this user in the list: by name, or, where the name is an address, by that? */
bool senders_have_user(const struct patterns *list, struct slice user, struct pattern_hit *ret_hit);

/* May the user send as this address? <> may be sent by everybody: notifications of mail programs are (RFC 8098 3). */
bool senders_allow(const struct policy *p, struct slice user, const struct subject *from);

/* The same for addresses separated by LF: all of them? */
bool senders_allow_all(const struct policy *p, struct slice user, struct slice addresses);

#endif
