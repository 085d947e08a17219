/* common/wire/mailbox_list.h -- the addresses in a header field: From, Sender, Reply-To, To, Cc, Bcc and their kin.
 *
 * Grammar: RFC 5322 3.4, with what people's programs write: unquoted dots and @ in display names, 8-bit ones, empty members
 * of a list, routes (4.4). Comments, folding and display names are passed over; what counts is each addr-spec, which has to
 * be a mailbox as MAIL and RCPT know it (RFC 5321 4.1.2). Pure; bounded memory, no recursion. */
#ifndef POSTERN_COMMON_WIRE_MAILBOX_LIST_H
#define POSTERN_COMMON_WIRE_MAILBOX_LIST_H

#include "common/rc.h"
#include "common/slice.h"
#include "common/wire/address.h"

struct mailbox_list {
	struct slice in;
	size_t at;
	bool in_group;			/* "friends: a@b, c@d;" */
	size_t n;			/* of text */
	bool overflows;			/* it does not hold what stands there */
	bool has_at;			/* an @ stands there, and not between quotes */
	struct slice name;		/* before the < of the address that came last; empty: it has none */
	bool name_has_at;
	uint8_t text[ADDRESS_PATH_MAX + 2];	/* the addr-spec without comments and folding, between < and > */
};

/* value: behind the field's colon. */
void mailbox_list_begin(struct mailbox_list *l, struct slice value);

/* The next address, whose slices borrow from l until the next call. RC_NOTFOUND: there are no more. RC_SYNTAX: what stands
 * here is no list of addresses. RC_RANGE: one of them is too long. */
enum rc mailbox_list_next(struct mailbox_list *l, struct address *ret_address);

/* Does the display name of the address that came last hold an @ that is not quoted, and is not that address once more? That
 * is no phrase (RFC 5322 3.2.5), and some readers of mail take the name for the address: "boss@other.test <me@mine.test>". */
bool mailbox_list_name_deceives(const struct mailbox_list *l);

#endif
