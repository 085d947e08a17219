/* common/wire/proxy_header.c -- see proxy_header.h. Sections are those of proxy-protocol.txt. */
#include "common/wire/proxy_header.h"

#include <arpa/inet.h>
#include <netinet/in.h>

/* --- version 1, section 2.1: PROXY TCP4 192.0.2.1 192.0.2.2 56324 25 CRLF --- */

/* Up to the next space, which is taken too. */
static struct slice
word(struct slice *rest)
{
	size_t n = slice_find(*rest, ' ');
	struct slice w = slice_first(*rest, n);

	*rest = slice_from(*rest, n < rest->n ? n + 1 : n);
	return w;
}

static bool
port_parse(struct slice text, uint16_t *ret_port)
{
	unsigned port = 0;

	if (text.n == 0 || text.n > 5 || (text.n > 1 && text.p[0] == '0'))
		return false;
	for (size_t i = 0; i < text.n; i++) {
		if (text.p[i] < '0' || text.p[i] > '9')
			return false;
		port = port * 10 + (unsigned)(text.p[i] - '0');
	}
	if (port > UINT16_MAX)
		return false;
	*ret_port = (uint16_t)port;
	return true;
}

static enum rc
v1_line(struct slice line, struct proxy_header *h)
{
	struct slice rest = slice_from(line, 6), family = word(&rest), from, to, from_port;
	bool v4 = slice_eq(family, S("TCP4")), v6 = slice_eq(family, S("TCP6"));

	if (slice_eq(family, S("UNKNOWN"))) {
		h->local = true;
		return RC_OK;
	}
	from = word(&rest);
	to = word(&rest);
	from_port = word(&rest);
	if ((!v4 && !v6) || (slice_find(from, ':') < from.n) != v6 || (slice_find(to, ':') < to.n) != v6)
		return RC_SYNTAX;
	if (ip_parse(from, &h->from) != RC_OK || ip_parse(to, &h->to) != RC_OK)
		return RC_SYNTAX;
	return port_parse(from_port, &h->from_port) && port_parse(rest, &h->to_port) ? RC_OK : RC_SYNTAX;
}

static enum rc
v1(struct slice in, struct proxy_header *h, size_t *ret_used)
{
	size_t lf = slice_find(slice_first(in, PROXY_V1_MAX), '\n');

	if (lf == in.n && lf < PROXY_V1_MAX)
		return RC_MORE;
	if (lf >= PROXY_V1_MAX || in.p[lf - 1] != '\r')
		return RC_SYNTAX;
	*ret_used = lf + 1;
	return v1_line(slice_first(in, lf - 1), h);
}

/* --- version 2, section 2.2 --- */

static const uint8_t signature[12] = "\r\n\r\n\0\r\nQUIT\n";

enum {
	V2_FIXED = 16,
	V2_LOCAL = 0x20, V2_PROXY = 0x21,
	V2_UNSPEC = 0x00, V2_TCP4 = 0x11, V2_UDP4 = 0x12, V2_TCP6 = 0x21, V2_UDP6 = 0x22, V2_UNIX_STREAM = 0x31,
	    V2_UNIX_DGRAM = 0x32,
	TLV_CRC32C = 0x03,
};

static unsigned
u16_at(const uint8_t *p)
{
	return (unsigned)p[0] << 8 | p[1];
}

static struct ip
ip4_at(const uint8_t *p)
{
	struct ip ip = { 4, { p[0], p[1], p[2], p[3] } };

	return ip;
}

/* One in an IPv6 dress becomes IPv4 here as everywhere. */
static struct ip
ip6_at(const uint8_t *p)
{
	union {
		struct sockaddr_storage any;
		struct sockaddr_in6 in6;
	} from = { .in6 = { .sin6_family = AF_INET6 } };
	struct ip ip = { 0, { 0 } };

	memcpy(&from.in6.sin6_addr, p, 16);
	(void)ip_from_sockaddr(&from.any, sizeof from.in6, &ip, NULL);
	return ip;
}

/* Castagnoli's, of all of the header with the four bytes at `hole` as zeros (2.2.3). Headers are short and few. */
static uint32_t
crc32c(struct slice s, size_t hole)
{
	uint32_t crc = UINT32_MAX;

	for (size_t i = 0; i < s.n; i++) {
		crc ^= i >= hole && i < hole + 4 ? 0 : s.p[i];
		for (int bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ ((crc & 1) != 0 ? UINT32_C(0x82f63b78) : 0);
	}
	return ~crc;
}

/* The additions behind the addresses: all that we look at is whether they are whole, and the checksum. */
static enum rc
v2_additions(struct slice header, size_t at)
{
	while (at < header.n) {
		const uint8_t *p = header.p + at;
		size_t n;

		if (header.n - at < 3)
			return RC_SYNTAX;
		n = u16_at(p + 1);
		if (n > header.n - at - 3)
			return RC_SYNTAX;
		if (p[0] == TLV_CRC32C) {
			uint32_t want = n == 4 ? (uint32_t)p[3] << 24 | (uint32_t)p[4] << 16 | (uint32_t)p[5] << 8 | p[6] : 0;

			if (n != 4 || crc32c(header, at + 3) != want)
				return RC_SYNTAX;
		}
		at += 3 + n;
	}
	return RC_OK;
}

/* How many bytes of addresses a family has; SIZE_MAX: there is none such. */
static size_t
v2_addresses(uint8_t family)
{
	switch (family) {
	case V2_UNSPEC:
		return 0;
	case V2_TCP4:
	case V2_UDP4:
		return 12;
	case V2_TCP6:
	case V2_UDP6:
		return 36;
	case V2_UNIX_STREAM:
	case V2_UNIX_DGRAM:
		return 216;
	default:
		return SIZE_MAX;
	}
}

static enum rc
v2(struct slice in, struct proxy_header *h, size_t *ret_used)
{
	size_t body, addresses;

	if (in.n < V2_FIXED)
		return RC_MORE;
	/* Version and command before anything is waited for. */
	addresses = v2_addresses(in.p[13]);
	if ((in.p[12] != V2_LOCAL && in.p[12] != V2_PROXY) || addresses == SIZE_MAX)
		return RC_SYNTAX;
	body = u16_at(in.p + 14);
	if (body > PROXY_HEADER_MAX - V2_FIXED)
		return RC_RANGE;
	if (in.n < V2_FIXED + body)
		return RC_MORE;
	*ret_used = V2_FIXED + body;
	/* LOCAL: the rest is to be passed over, whatever it is. UNSPEC: so are the addresses, whose length nobody knows. */
	h->local = in.p[12] == V2_LOCAL || in.p[13] == V2_UNSPEC;
	if (h->local)
		return RC_OK;
	if (addresses > body)
		return RC_SYNTAX;
	if (in.p[13] == V2_TCP4) {
		h->from = ip4_at(in.p + 16);
		h->to = ip4_at(in.p + 20);
		h->from_port = (uint16_t)u16_at(in.p + 24);
		h->to_port = (uint16_t)u16_at(in.p + 26);
	} else if (in.p[13] == V2_TCP6) {
		h->from = ip6_at(in.p + 16);
		h->to = ip6_at(in.p + 32);
		h->from_port = (uint16_t)u16_at(in.p + 48);
		h->to_port = (uint16_t)u16_at(in.p + 50);
	} else
		return RC_SYNTAX;	/* no client of ours comes by datagrams, or by a path */
	return v2_additions(slice_first(in, *ret_used), V2_FIXED + addresses);
}

enum rc
proxy_header_parse(struct slice in, struct proxy_header *ret_header, size_t *ret_used)
{
	static const uint8_t v1_start[6] = "PROXY ";
	struct proxy_header h = { .local = false };
	size_t n2 = in.n < sizeof signature ? in.n : sizeof signature, n1 = in.n < sizeof v1_start ? in.n : sizeof v1_start;
	enum rc rc;

	if (in.n == 0)
		return RC_MORE;
	if (memcmp(in.p, signature, n2) == 0)
		rc = n2 < sizeof signature ? RC_MORE : v2(in, &h, ret_used);
	else if (memcmp(in.p, v1_start, n1) == 0)
		rc = n1 < sizeof v1_start ? RC_MORE : v1(in, &h, ret_used);
	else
		return RC_SYNTAX;
	if (rc == RC_OK)
		*ret_header = h;
	return rc;
}
