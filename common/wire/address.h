/* common/wire/address.h -- mail addresses and the paths of MAIL and RCPT.
 *
 * Grammar: RFC 5321 4.1.2 (Reverse-path, Forward-path, Mailbox), strict: no unquoted specials, no
 * empty atoms. A local part may hold characters of UTF-8 (RFC 6531 3.3), which are marked: who may use them is the caller's
 * to know. A source route is accepted and dropped (4.1.1.3, Appendix C). Pure; slices borrow from the input.
 *
 * Every address has one canonical text, written by address_put: the local part unquoted when it needs no quotes, else
 * with the fewest backslashes (4.1.2: all quoted forms are equivalent), its case kept; the domain in lower case; a
 * literal as domain_literal_put writes it. All rooms exchange and store only that; address_parse reads it. */
#ifndef POSTERN_COMMON_WIRE_ADDRESS_H
#define POSTERN_COMMON_WIRE_ADDRESS_H

#include "common/buf.h"
#include "common/ip.h"
#include "common/rc.h"
#include "common/slice.h"
#include "common/wire/domain.h"

enum {
	ADDRESS_LOCAL_MAX = 64,		/* RFC 5321 4.5.3.1.1; as written, quotes included */
	ADDRESS_PATH_MAX = 256,		/* RFC 5321 4.5.3.1.3; as written, <> and route included */
	ADDRESS_TEXT_MAX = ADDRESS_LOCAL_MAX + 1 + DOMAIN_MAX,	/* local@domain, canonical or not */
};

enum {
	ADDRESS_NULL = 1 << 0,		/* <>; everything else is empty */
	ADDRESS_POSTMASTER = 1 << 1,	/* <Postmaster> without a domain (RFC 5321 4.5.1) */
	ADDRESS_QUOTED = 1 << 2,	/* the local part was written as a quoted string */
	ADDRESS_ROUTED = 1 << 3,	/* a source route stood before it */
	/* Characters that other systems read as a route inside the local part (THREATS 22). They are set however the
	 * local part was quoted, because its canonical form may need no quotes. */
	ADDRESS_PERCENT = 1 << 4,	/* user%elsewhere@here */
	ADDRESS_BANG = 1 << 5,		/* elsewhere!user@here */
	ADDRESS_AT = 1 << 6,		/* "user@elsewhere"@here */
	ADDRESS_UTF8 = 1 << 7,		/* the local part is not ASCII */
	ADDRESS_U_LABELS = 1 << 8,	/* the domain is not ASCII, and was not checked: make it so before address_put (idn.h) */
	ADDRESS_RELAY_TRICK = ADDRESS_PERCENT | ADDRESS_BANG | ADDRESS_AT,
};

struct address {
	unsigned flags;
	struct slice local;	/* without its quotes, but with its backslashes: use address_local_put */
	struct slice domain;	/* as written: a Domain, or a literal with brackets; empty for <> and <Postmaster> */
	struct ip literal;	/* family != 0 when domain is a literal */
};

enum address_path {
	ADDRESS_REVERSE,	/* of MAIL: <> is allowed */
	ADDRESS_FORWARD,	/* of RCPT: <Postmaster> is allowed */
};

/* The path at the start of s; one space before it is tolerated (MAIL FROM: <a@b> is common). *ret_used: bytes up to and
 * with the `>`. RC_SYNTAX: not a path (wins over RC_RANGE); RC_RANGE: a path, but the local part, the domain, one of
 * its labels or the whole is too long. */
enum rc address_path_parse(struct slice s, enum address_path kind, struct address *ret_address, size_t *ret_used);

/* The whole slice is local@domain, the domain in ASCII, canonical or not, as in configuration, tables and our own envelopes.
 * RC_SYNTAX, RC_RANGE. */
enum rc address_parse(struct slice s, struct address *ret_address);

/* The same as clients may write it under RFC 6531 3.3: the domain may be in U-labels (ADDRESS_U_LABELS). */
enum rc address_mailbox_parse(struct slice s, struct address *ret_address);

/* Appends the canonical text: nothing for <>, the bare word for <Postmaster>. False: `to` is full. */
bool address_put(struct buf *to, const struct address *a);

/* Appends the local part in its meaning: unquoted, without backslashes. May hold any of 0x20-0x7e. */
bool address_local_put(struct buf *to, const struct address *a);

/* Of an address in canonical text: what follows its last @ (no domain holds one); empty when there is none. */
static inline struct slice
address_domain_of(struct slice canonical)
{
	return slice_from(canonical, slice_rfind(canonical, '@') + 1);
}

/* Of an address in canonical text: what stands before its last @, quotes included; the whole when there is none. */
static inline struct slice
address_local_of(struct slice canonical)
{
	return slice_first(canonical, slice_rfind(canonical, '@'));
}

/* Is its domain one that means the same everywhere: a literal, or a name of more than one label (RFC 5321 2.3.5)? */
static inline bool
address_is_qualified(const struct address *a)
{
	return a->literal.family != 0 || slice_find(a->domain, '.') < a->domain.n;
}

#endif
