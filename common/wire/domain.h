/* common/wire/domain.h -- domain names, address literals, EHLO arguments and the domain patterns of tables.
 *
 * Grammar: RFC 5321 4.1.2 and 4.1.3. Pure; slices borrow from the input. Names are compared and written in lower case
 * (ASCII, RFC 4343); U-labels are not names here. */
#ifndef POSTERN_COMMON_WIRE_DOMAIN_H
#define POSTERN_COMMON_WIRE_DOMAIN_H

#include "common/buf.h"
#include "common/ip.h"
#include "common/rc.h"
#include "common/slice.h"

enum {
	DOMAIN_LABEL_MAX = 63,	/* RFC 1035 2.3.4 */
	DOMAIN_MAX = 255,	/* RFC 5321 4.5.3.1.2 */
	DOMAIN_DNS_MAX = 253,	/* what a name of 255 octets on the DNS wire has as text (RFC 1035 2.3.4) */
	DOMAIN_LITERAL_MAX = 48, /* canonical address literal with brackets */
};

/* Is the whole slice a Domain of RFC 5321 4.1.2 (letters, digits, inner hyphens; no trailing dot)? RC_SYNTAX;
 * RC_RANGE: well-formed, but a label or the whole is too long. */
enum rc domain_check(struct slice name);

/* Can this Domain (checked before) be asked for in the DNS? Not when it is longer than 253 octets, and not when its
 * last label is all digits: that is a misspelt address (RFC 1123 2.1, THREATS 23). */
bool domain_is_dns_usable(struct slice name);

/* Appends the checked name in lower case. RC_SYNTAX, RC_RANGE as above; RC_NOMEM: `to` is full. */
enum rc domain_put(struct buf *to, struct slice name);

/* Appends s in lower case, unchecked. False: `to` is full. */
bool domain_lower_put(struct buf *to, struct slice s);

/* An address literal with its brackets: [192.0.2.1] or [IPv6:2001:db8::1]; the tag in any case; v4-mapped becomes
 * family 4. General-address-literals (no tag is registered but IPv6) are RC_SYNTAX. */
enum rc domain_literal_parse(struct slice text, struct ip *ret_ip);

/* Appends the canonical literal of an address, with brackets. False: family 0, or `to` is full. */
bool domain_literal_put(struct buf *to, struct ip ip);

/* The argument of EHLO or HELO (RFC 5321 4.1.1.1): a Domain in which underscores pass for letters (hosts of that kind
 * are many; whether they may is for the caller), or a literal. ret_literal has family 0 when it is a name. RC_SYNTAX,
 * RC_RANGE. */
enum rc domain_ehlo_parse(struct slice arg, struct ip *ret_literal);

/* A pattern of a table. example.org: that domain. *.example.org and .example.org: everything below it, not itself. */
struct domain_pattern {
	struct slice name;	/* without the wildcard; as written */
	bool below;
};
enum rc domain_pattern_parse(struct slice text, struct domain_pattern *ret_pattern);

#endif
