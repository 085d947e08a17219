/* common/wire/dns_message.h -- the answer section of a DNS message (RFC 1035 4.1), as the resolver reads it.
 *
 * What libunbound hands over was written by strangers: it is parsed again here, from the wire. Pure: a slice in, a struct
 * out that owns everything. Compression pointers go backwards only, and every loop has a named end. */
#ifndef POSTERN_COMMON_WIRE_DNS_MESSAGE_H
#define POSTERN_COMMON_WIRE_DNS_MESSAGE_H

#include "common/ip.h"
#include "common/rc.h"
#include "common/slice.h"

enum {
	DNS_NAME_MAX = 255,		/* octets on the wire, length bytes and root included (RFC 1035 2.3.4) */
	DNS_NAME_TEXT_MAX = 253,	/* as text without the trailing dot */
	DNS_ALIASES_MAX = 12,		/* CNAMEs in one chain; libunbound stops at 11 by itself */
	DNS_RECORDS_MAX = 64,		/* kept of one answer: twice what a mail route holds */
	DNS_RRS_MAX = 2048,		/* records of one section that we are willing to walk over */
	DNS_TTL_MAX = 86400,		/* a day: longer ones are cut (RFC 8767 4 advises a week at most) */
};

enum dns_type { DNS_TYPE_A = 1, DNS_TYPE_CNAME = 5, DNS_TYPE_SOA = 6, DNS_TYPE_PTR = 12, DNS_TYPE_MX = 15, DNS_TYPE_AAAA = 28 };
enum dns_rcode { DNS_RCODE_NOERROR = 0, DNS_RCODE_SERVFAIL = 2, DNS_RCODE_NXDOMAIN = 3 };

/* Uncompressed, in lower case (RFC 4343), with its root byte. The zeroed one is no name. */
struct dns_name {
	uint8_t wire[DNS_NAME_MAX];
	uint8_t n;		/* octets of wire; 1: the root */
};

struct dns_record {
	struct ip ip;		/* A, AAAA */
	uint16_t preference;	/* MX */
	struct dns_name name;	/* MX, PTR, CNAME */
};

struct dns_answer {
	uint8_t rcode;
	uint16_t type;		/* asked for */
	uint32_t ttl;		/* least of what was used; of the denial (RFC 2308 5) when there are no records; 0: unknown */
	struct dns_name question;
	struct dns_name owner;	/* where the chain of CNAMEs ended */
	size_t n_aliases;
	/* In the order of the message. Where there are too many the least preferred MX are left out. */
	struct dns_record records[DNS_RECORDS_MAX];
	size_t n_records;
};

/* Parses a response to one question of class IN. The records kept are those of the type asked for, owned by the name
 * asked for or by what its CNAMEs lead to. RC_SYNTAX: malformed, not a response, or not one question. RC_RANGE: a chain
 * of CNAMEs too long or in a circle, or too many records. */
enum rc dns_answer_parse(struct slice packet, struct dns_answer *ret_answer);

/* The name at offset `at` of the message; *ret_after: the offset behind it there. RC_SYNTAX. */
enum rc dns_name_read(struct slice packet, size_t at, struct dns_name *ret_name, size_t *ret_after);

/* From text without a trailing dot; labels of any printable ASCII but the dot and the backslash. "" is the root.
 * RC_SYNTAX, RC_RANGE. */
enum rc dns_name_from_text(struct slice text, struct dns_name *ret_name);

/* As text without a trailing dot, NUL-terminated; the root is "". RC_SYNTAX: a label has bytes that have no plain text
 * (white space, controls, dots, backslashes, bytes above ASCII): never a host. */
enum rc dns_name_text(const struct dns_name *name, char out[DNS_NAME_TEXT_MAX + 1], size_t *ret_n);

static inline bool
dns_name_eq(const struct dns_name *a, const struct dns_name *b)
{
	return a->n == b->n && memcmp(a->wire, b->wire, a->n) == 0;
}

static inline bool
dns_name_is_root(const struct dns_name *name)
{
	return name->n == 1;
}

/* The name under in-addr.arpa or ip6.arpa (RFC 1035 3.5, RFC 3596 2.5), as text. Returns its length, 0 for family 0. */
enum { DNS_REVERSE_TEXT_MAX = 73 };
size_t dns_reverse_name(struct ip ip, char out[DNS_REVERSE_TEXT_MAX]);

#endif
