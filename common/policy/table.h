/* common/policy/table.h -- a set of patterns: what a table file holds, or what stands in a list of the configuration.
 *
 * Patterns of all kinds share one hash table, so that a look-up costs the same in a table of ten and of a million
 * entries: a domain is asked for once, then each domain above it; an address in each form that could stand there; an IP
 * address once for each prefix length in use. Everything is compared without regard to case (ASCII), local parts too:
 * two rules that differ in nothing but the case of a name would only ever be a mistake.
 *
 * Lifetime: table_new to table_free; slices that a look-up gives borrow from the table. */
#ifndef POSTERN_COMMON_POLICY_TABLE_H
#define POSTERN_COMMON_POLICY_TABLE_H

#include "common/buf.h"
#include "common/ip.h"
#include "common/rc.h"
#include "common/slice.h"

enum table_kind {
	TABLE_NULL,	/* <> */
	TABLE_NET,	/* 192.0.2.0/24, 2001:db8::1 */
	TABLE_ADDRESS,	/* user@example.org */
	TABLE_USER_AT,	/* user@ : that user of any domain */
	TABLE_BELOW,	/* *.example.org or .example.org: everything below it, not itself */
	TABLE_LITERAL,	/* [192.0.2.1]: a domain by its address */
	TABLE_NAME,	/* a single word that can be a domain or a user: example.org, localhost, alice */
	TABLE_USER,	/* a word that can be a user only: first_last */
	TABLE_UTF8_USER, /* the same in UTF-8: of one who logs in, and of others' mailboxes; no account here has such a name */
	TABLE_PRINT,	/* 64 hexadecimal digits, with or without colons between: the SHA-256 fingerprint of a certificate */
	TABLE_KINDS
};
#define TABLE_BIT(kind) (1u << (kind))
enum {
	TABLE_FOR_CLIENTS = TABLE_BIT(TABLE_NET),
	TABLE_FOR_NAMES = TABLE_BIT(TABLE_NAME) | TABLE_BIT(TABLE_BELOW),
	TABLE_FOR_DOMAINS = TABLE_FOR_NAMES | TABLE_BIT(TABLE_LITERAL),
	TABLE_FOR_ADDRESSES = TABLE_FOR_DOMAINS | TABLE_BIT(TABLE_ADDRESS) | TABLE_BIT(TABLE_USER_AT) | TABLE_BIT(TABLE_NULL),
	TABLE_FOR_ACCOUNTS = TABLE_BIT(TABLE_NAME) | TABLE_BIT(TABLE_USER),
	TABLE_FOR_USERS = TABLE_FOR_ACCOUNTS | TABLE_BIT(TABLE_UTF8_USER),
	TABLE_FOR_LOGINS = TABLE_FOR_USERS | TABLE_BIT(TABLE_ADDRESS),
	TABLE_FOR_PRINTS = TABLE_BIT(TABLE_PRINT),
};

enum {
	TABLE_PATTERN_MAX = 320,	/* bytes of one pattern: an address of 64 + 1 + 255 */
	TABLE_VALUE_MAX = 1024,
	TABLE_PRINT_DIGITS = 64,
	TABLE_LINE_MAX = 4096,
};

struct table;

/* Goes on from the name of a table's file, for all who read one. */
extern const char table_too_large[];

struct table_hit {
	struct slice pattern;	/* as a person would write it */
	struct slice value;	/* what stood behind it; often empty */
	uint32_t line;
};

/* name is for messages and is copied. NULL: no memory. */
struct table *table_new(const char *name);
void table_free(struct table *t);	/* NULL is fine */
const char *table_name(const struct table *t);
size_t table_count(const struct table *t);

/* Adds one pattern. RC_SYNTAX, RC_RANGE (too long), RC_EXISTS (stands there already with another value), with a reason
 * in words appended to why; RC_NOMEM. The same pattern with the same value twice is fine. */
enum rc table_add(struct table *t, struct slice pattern, struct slice value, uint32_t line, struct buf *why);

/* A text file: one pattern a line, a value behind white space, # starts a comment. why: "path:line: what, what to do", and
 * a line for each further mistake, without the last line's end. */
enum rc table_load_text(struct table *t, struct slice bytes, const char *path, struct buf *why);

/* Warns in notes, a line each, of networks in such a file that are wider than they look; for whoever shows it to people. */
void table_warn_text(struct slice bytes, const char *path, struct buf *notes);

/* A file in the form of /etc/passwd: the users whose uid is min_uid or more; not the overflow uid 65534, which is
 * nobody's. The first line of a name counts, as it does for getpwnam(3). */
enum rc table_load_passwd(struct table *t, struct slice bytes, uint32_t min_uid, const char *path, struct buf *why);

/* One entry of local { users }: name:uid:gid:home. RC_SYNTAX, RC_RANGE (a uid below min_uid), with words in why. */
enum rc table_add_account(struct table *t, struct slice text, uint32_t min_uid, struct buf *why);

/* Does the table hold only kinds of this mask? If not, *ret_bad is one that does not belong. */
bool table_holds_only(const struct table *t, unsigned kinds, struct table_hit *ret_bad);

/* Does some network of the table hold all addresses of a family (a prefix of 0 bits)? */
bool table_has_everywhere(const struct table *t);

/* One pattern after the other in the order of their coming; *at is 0 at first. False: that was the last. */
bool table_next(const struct table *t, size_t *at, struct table_hit *ret_hit);

/* Look-ups. True: *ret_hit says what matched. */
bool table_has_ip(const struct table *t, struct ip ip, struct table_hit *ret_hit);
/* A domain: itself, or below a wildcard. */
bool table_has_name(const struct table *t, struct slice name, struct table_hit *ret_hit);
bool table_has_literal(const struct table *t, struct ip literal, struct table_hit *ret_hit);
bool table_has_user(const struct table *t, struct slice user, struct table_hit *ret_hit);
/* local@domain in canonical text; domain may be empty (nothing but user@ matches then). */
bool table_has_mailbox(const struct table *t, struct slice local, struct slice domain, struct table_hit *ret_hit);
/* Digits without colons; empty: no certificate. */
bool table_has_print(const struct table *t, struct slice print, struct table_hit *ret_hit);
bool table_has_null(const struct table *t, struct table_hit *ret_hit);

#endif
