/* common/ip.c -- addresses and networks: text, tests, socket addresses. See ip.h. */
#include "common/ip.h"

#include "common/wire/chars.h"

#include <netinet/in.h>
#include <string.h>

static const uint8_t mapped_prefix[12] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff };

static bool
is_mapped(const uint8_t b[16])
{
	return memcmp(b, mapped_prefix, sizeof mapped_prefix) == 0;
}

static struct ip
ip_v4(const uint8_t b[4])
{
	struct ip ip = { 4, { 0 } };

	memcpy(ip.b, b, 4);
	return ip;
}

static struct ip
ip_v6(const uint8_t b[16])
{
	struct ip ip = { 6, { 0 } };

	if (is_mapped(b))
		return ip_v4(b + 12);
	memcpy(ip.b, b, 16);
	return ip;
}

/* Up to three digits, no leading zero, at most max; advances *at. */
static bool
decimal(struct slice s, size_t *at, unsigned max, unsigned *ret_v)
{
	size_t start = *at, i = start;
	unsigned v = 0;

	for (; i < s.n && i - start < 4 && s.p[i] >= '0' && s.p[i] <= '9'; i++)
		v = v * 10 + (unsigned)(s.p[i] - '0');
	if (i == start || i - start > 3 || v > max || (s.p[start] == '0' && i - start > 1))
		return false;
	*at = i;
	*ret_v = v;
	return true;
}

static bool
parse_v4(struct slice s, uint8_t out[4])
{
	size_t at = 0;
	unsigned v;

	for (size_t i = 0; i < 4; i++) {
		if (i > 0 && (at >= s.n || s.p[at++] != '.'))
			return false;
		if (!decimal(s, &at, 255, &v))
			return false;
		out[i] = (uint8_t)v;
	}
	return at == s.n;
}

/* One group of up to four hex digits; advances *at. */
static bool
hex_group(struct slice s, size_t *at, uint8_t out[2])
{
	size_t i = *at;
	unsigned v = 0;

	for (; i < s.n && i - *at < 4 && char_hex_digit(s.p[i]) >= 0; i++)
		v = v << 4 | (unsigned)char_hex_digit(s.p[i]);
	if (i == *at)
		return false;
	out[0] = (uint8_t)(v >> 8);
	out[1] = (uint8_t)v;
	*at = i;
	return true;
}

/* RFC 4291 2.2: eight groups, one run of them left out as "::", the last two perhaps a dotted quad. */
static bool
parse_v6(struct slice s, uint8_t out[16])
{
	uint8_t b[16] = { 0 };
	size_t n = 0, gap = SIZE_MAX, at = 0;

	if (slice_starts(s, S("::"))) {
		gap = 0;
		at = 2;
	}
	while (at < s.n) {
		size_t group = at;

		if (n == 16 || !hex_group(s, &at, b + n))
			return false;
		if (at < s.n && s.p[at] == '.') {
			if (n > 12 || !parse_v4(slice_from(s, group), b + n))
				return false;
			n += 4;
			break;
		}
		n += 2;
		if (at == s.n)
			break;
		if (s.p[at++] != ':' || at == s.n)
			return false;
		if (s.p[at] == ':') {
			if (gap != SIZE_MAX)
				return false;
			gap = n;
			at++;
		}
	}
	if (gap == SIZE_MAX ? n != 16 : n > 14)
		return false;
	memset(out, 0, 16);
	if (gap == SIZE_MAX)
		gap = n;
	memcpy(out, b, gap);
	memcpy(out + 16 - (n - gap), b + gap, n - gap);
	return true;
}

enum rc
ip_parse(struct slice text, struct ip *ret_ip)
{
	uint8_t b[16];

	if (text.n >= IP_TEXT_MAX)
		return RC_SYNTAX;
	if (parse_v4(text, b))
		*ret_ip = ip_v4(b);
	else if (parse_v6(text, b))
		*ret_ip = ip_v6(b);
	else
		return RC_SYNTAX;
	return RC_OK;
}

static size_t
put_v4(char *out, const uint8_t b[4])
{
	size_t n = 0;

	for (size_t i = 0; i < 4; i++) {
		if (i > 0)
			out[n++] = '.';
		n += put_decimal(out + n, b[i]);
	}
	return n;
}

/* RFC 5952 4.2: the first of the longest runs of zero groups, if it has two at least. */
static void
longest_zeros(const uint8_t b[16], size_t *ret_start, size_t *ret_len)
{
	size_t start = 0, len = 0;

	*ret_start = 8;
	*ret_len = 1;
	for (size_t i = 0; i < 8; i++) {
		if (b[2 * i] != 0 || b[2 * i + 1] != 0) {
			len = 0;
			continue;
		}
		if (len++ == 0)
			start = i;
		if (len > *ret_len) {
			*ret_start = start;
			*ret_len = len;
		}
	}
}

static size_t
put_v6(char *out, const uint8_t b[16])
{
	static const char digits[] = "0123456789abcdef";
	size_t zeros, len, n = 0;

	if (is_mapped(b)) {	/* only when somebody built it by hand */
		/* NOLINTNEXTLINE(bugprone-not-null-terminated-result): put_v4 goes on behind it */
		memcpy(out, "::ffff:", 7);
		return 7 + put_v4(out + 7, b + 12);
	}
	longest_zeros(b, &zeros, &len);
	for (size_t i = 0; i < 8; i++) {
		unsigned v = (unsigned)b[2 * i] << 8 | b[2 * i + 1];
		unsigned shift = v >= 0x1000 ? 12 : v >= 0x100 ? 8 : v >= 0x10 ? 4 : 0;

		if (i == zeros) {
			out[n++] = ':';
			out[n++] = ':';
			i += len - 1;
			continue;
		}
		if (n > 0 && out[n - 1] != ':')
			out[n++] = ':';
		for (;; shift -= 4) {
			out[n++] = digits[v >> shift & 0xf];
			if (shift == 0)
				break;
		}
	}
	return n;
}

size_t
ip_format(struct ip ip, char out[IP_TEXT_MAX])
{
	size_t n;

	if (ip.family == 4)
		n = put_v4(out, ip.b);
	else if (ip.family == 6)
		n = put_v6(out, ip.b);
	else {
		memcpy(out, "none", 4);
		n = 4;
	}
	out[n] = '\0';
	return n;
}

bool
ip_put(struct buf *to, struct ip ip)
{
	char text[IP_TEXT_MAX];

	return buf_put(to, text, ip_format(ip, text));
}

/* b with everything behind the first `bits` bits cleared. */
static struct ip
masked(struct ip ip, unsigned bits)
{
	for (unsigned i = 0; i < sizeof ip.b; i++) {
		if (bits >= 8 * (i + 1))
			continue;
		ip.b[i] = (uint8_t)(ip.b[i] & (bits <= 8 * i ? 0 : 0xff00 >> (bits - 8 * i)));
	}
	return ip;
}

enum rc
ip_net_parse(struct slice text, struct ip_net *ret_net)
{
	size_t slash = slice_find(text, '/'), at = 0;
	struct slice prefix = slice_from(text, slash + 1);
	struct ip ip;
	unsigned bits, max;
	bool mapped;

	if (ip_parse(slice_first(text, slash), &ip) != RC_OK)
		return RC_SYNTAX;
	mapped = ip.family == 4 && slice_find(slice_first(text, slash), ':') < slash;
	max = ip.family == 4 && !mapped ? 32 : 128;
	if (slash == text.n) {
		bits = max;
	} else {
		if (!decimal(prefix, &at, 999, &bits) || at != prefix.n)
			return RC_SYNTAX;
		if (bits > max)
			return RC_RANGE;
	}
	if (mapped) {
		/* Shorter, it would hold addresses that are not IPv4 and could not match what it seems to. */
		if (bits < 96)
			return RC_RANGE;
		bits -= 96;
	}
	*ret_net = (struct ip_net){ masked(ip, bits), (uint8_t)bits };
	return RC_OK;
}

bool
ip_net_is_wide(struct slice text, struct ip_net *ret_net)
{
	size_t slash = slice_find(text, '/');
	struct ip ip;

	return slash < text.n && ip_net_parse(text, ret_net) == RC_OK && ip_parse(slice_first(text, slash), &ip) == RC_OK &&
	    !ip_eq(ip, ret_net->ip);
}

size_t
ip_net_format(struct ip_net net, char out[IP_NET_TEXT_MAX])
{
	size_t n = ip_format(net.ip, out);

	if (net.ip.family != 0) {
		out[n++] = '/';
		n += put_decimal(out + n, net.bits);
		out[n] = '\0';
	}
	return n;
}

bool
ip_eq(struct ip a, struct ip b)
{
	return a.family == b.family && memcmp(a.b, b.b, a.family == 4 ? 4 : a.family == 6 ? 16 : 0) == 0;
}

bool
ip_net_has(struct ip_net net, struct ip ip)
{
	return ip.family != 0 && ip_eq(net.ip, masked(ip, net.bits));
}

struct ip_net
ip_client_network(struct ip ip, unsigned v4bits, unsigned v6bits)
{
	unsigned max = ip.family == 4 ? 32 : 128, bits = ip.family == 4 ? v4bits : v6bits;

	if (ip.family == 0)
		return (struct ip_net){ { 0, { 0 } }, 0 };
	if (bits > max)
		bits = max;
	return (struct ip_net){ masked(ip, bits), (uint8_t)bits };
}

bool
ip_from_sockaddr(const struct sockaddr_storage *from, socklen_t len, struct ip *ret_ip, uint16_t *ret_port)
{
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
	uint8_t b[16];
	uint16_t port;

	if (len < sizeof from->ss_family)
		return false;
	if (from->ss_family == AF_INET && len >= sizeof v4) {
		memcpy(&v4, from, sizeof v4);
		memcpy(b, &v4.sin_addr, 4);
		*ret_ip = ip_v4(b);
		port = v4.sin_port;
	} else if (from->ss_family == AF_INET6 && len >= sizeof v6) {
		memcpy(&v6, from, sizeof v6);
		memcpy(b, &v6.sin6_addr, 16);
		*ret_ip = ip_v6(b);
		port = v6.sin6_port;
	} else {
		return false;
	}
	if (ret_port != NULL)
		*ret_port = ntohs(port);
	return true;
}

socklen_t
ip_to_sockaddr(struct ip ip, uint16_t port, struct sockaddr_storage *ret_to)
{
	memset(ret_to, 0, sizeof *ret_to);
	if (ip.family == 4) {
		struct sockaddr_in v4 = { .sin_family = AF_INET, .sin_port = htons(port) };

		memcpy(&v4.sin_addr, ip.b, 4);
		memcpy(ret_to, &v4, sizeof v4);
		return sizeof v4;
	}
	if (ip.family == 6) {
		struct sockaddr_in6 v6 = { .sin6_family = AF_INET6, .sin6_port = htons(port) };

		memcpy(&v6.sin6_addr, ip.b, 16);
		memcpy(ret_to, &v6, sizeof v6);
		return sizeof v6;
	}
	return 0;
}

/* ---- kinds of addresses -------------------------------------------------------------------------------------------*/

#define NET4(b0, b1, b2, n)	{ { 4, { (b0), (b1), (b2) } }, (n) }
#define NET6(b0, b1, b2, b3, n)	{ { 6, { (b0), (b1), (b2), (b3) } }, (n) }

static bool
in_any(const struct ip_net *nets, size_t n, struct ip ip)
{
	for (size_t i = 0; i < n; i++)
		if (ip_net_has(nets[i], ip))
			return true;
	return false;
}
#define IN_ANY(nets, ip) in_any((nets), sizeof (nets) / sizeof (nets)[0], (ip))

static const struct ip_net unspecified[] = { NET4(0, 0, 0, 8), NET6(0, 0, 0, 0, 128) };
static const struct ip_net loopback[] = { NET4(127, 0, 0, 8), { { 6, { [15] = 1 } }, 128 } };
static const struct ip_net private[] = {
	NET4(10, 0, 0, 8), NET4(172, 16, 0, 12), NET4(192, 168, 0, 16),	/* RFC 1918 */
	NET4(100, 64, 0, 10),						/* RFC 6598 */
	NET6(0xfc, 0, 0, 0, 7),						/* RFC 4193 */
	NET6(0xfe, 0xc0, 0, 0, 10),					/* RFC 3879: site-local, still routed by some */
};
static const struct ip_net link_local[] = { NET4(169, 254, 0, 16), NET6(0xfe, 0x80, 0, 0, 10) };
static const struct ip_net multicast[] = { NET4(224, 0, 0, 4), NET6(0xff, 0, 0, 0, 8) };

/* Of RFC 6890 and its registry, what is neither public nor in a table above. */
static const struct ip_net reserved[] = {
	NET4(192, 0, 0, 24),			/* IETF protocol assignments */
	NET4(192, 0, 2, 24), NET4(198, 51, 100, 24), NET4(203, 0, 113, 24),	/* RFC 5737: documentation */
	NET4(198, 18, 0, 15),			/* RFC 2544: benchmarks */
	NET4(240, 0, 0, 4),			/* RFC 1112: reserved, and broadcast */
	NET6(0, 0, 0, 0, 96),			/* RFC 4291 2.5.5.1: "IPv4-compatible" */
	{ { 6, { 0, 0x64, 0xff, 0x9b, 0, 1 } }, 48 },	/* RFC 8215: local NAT64 */
	{ { 6, { 1, 0 } }, 64 },		/* RFC 6666: discard */
	NET6(0x20, 0x01, 0, 0, 23),		/* IETF protocol assignments, Teredo among them */
	NET6(0x20, 0x01, 0x0d, 0xb8, 32),	/* RFC 3849: documentation */
	NET6(0x3f, 0xff, 0, 0, 20),		/* RFC 9637: documentation */
};
static const struct ip_net nat64 = { { 6, { 0, 0x64, 0xff, 0x9b } }, 96 };	/* RFC 6052 */
static const struct ip_net six_to_four = NET6(0x20, 0x02, 0, 0, 16);		/* RFC 3056 */

bool ip_is_unspecified(struct ip ip) { return IN_ANY(unspecified, ip); }
bool ip_is_loopback(struct ip ip) { return IN_ANY(loopback, ip); }
bool ip_is_private(struct ip ip) { return IN_ANY(private, ip); }
bool ip_is_link_local(struct ip ip) { return IN_ANY(link_local, ip); }
bool ip_is_multicast(struct ip ip) { return IN_ANY(multicast, ip); }

bool
ip_is_public(struct ip ip)
{
	if (ip_net_has(nat64, ip))
		ip = ip_v4(ip.b + 12);
	else if (ip_net_has(six_to_four, ip))
		ip = ip_v4(ip.b + 2);
	return ip.family != 0 && !ip_is_unspecified(ip) && !ip_is_loopback(ip) && !ip_is_private(ip) &&
	    !ip_is_link_local(ip) && !ip_is_multicast(ip) && !IN_ANY(reserved, ip);
}
