/* common/ip.h -- an IP address, and a network of addresses, as values.
 *
 * There is one form of each address: an IPv4 address that arrives in an IPv6 dress (::ffff:1.2.3.4, RFC 4291 2.5.5.2)
 * becomes family 4 at the door, so that no rule about it can be passed by (THREATS 23). Text is parsed strictly: no
 * octal, no short forms, no zones. Everything here is pure. */
#ifndef POSTERN_COMMON_IP_H
#define POSTERN_COMMON_IP_H

#include "common/buf.h"
#include "common/rc.h"
#include "common/slice.h"

#include <sys/socket.h>

struct ip {
	uint8_t family;		/* 4, 6, or 0 for none */
	uint8_t b[16];		/* network order; IPv4 uses the first four */
};

/* The addresses that share the first `bits` bits; bits behind them are zero. */
struct ip_net {
	struct ip ip;
	uint8_t bits;		/* 0..32 or 0..128 */
};

enum {
	IP_TEXT_MAX = 46,	/* longest text of an address, with its NUL */
	IP_NET_TEXT_MAX = IP_TEXT_MAX + 4,
};

/* The whole slice: a dotted quad without leading zeros, or IPv6 in any form of RFC 4291 2.2, in either case of hex.
 * RC_SYNTAX. */
enum rc ip_parse(struct slice text, struct ip *ret_ip);

/* The one canonical text: dotted quad, or RFC 5952. "none" for family 0. NUL-terminated; returns its length. */
size_t ip_format(struct ip ip, char out[IP_TEXT_MAX]);
bool ip_put(struct buf *to, struct ip ip);

/* "10.0.0.0/8", "2001:db8::/32", or a single address. Bits behind the prefix are cleared. A v4-mapped network of 96
 * bits or more becomes an IPv4 network. RC_SYNTAX; RC_RANGE: a prefix longer than the address. */
enum rc ip_net_parse(struct slice text, struct ip_net *ret_net);
/* Is it a network with bits behind its prefix, such as 10.0.0.1/8? Then *ret_net is all of what it means. */
bool ip_net_is_wide(struct slice text, struct ip_net *ret_net);
size_t ip_net_format(struct ip_net net, char out[IP_NET_TEXT_MAX]);

/* Never true between families: ::/0 does not hold 192.0.2.1. */
bool ip_net_has(struct ip_net net, struct ip ip);

bool ip_eq(struct ip a, struct ip b);

/* The network of a client for counting and limits: its first v4bits (0..32) or v6bits (0..128) bits. Family 0 gives
 * family 0. */
struct ip_net ip_client_network(struct ip ip, unsigned v4bits, unsigned v6bits);

/* From what the kernel filled in, len bytes of it. False (outputs untouched): neither AF_INET nor AF_INET6, or short.
 * ret_port (host order) may be NULL. */
bool ip_from_sockaddr(const struct sockaddr_storage *from, socklen_t len, struct ip *ret_ip, uint16_t *ret_port);

/* For bind and connect; port in host order. Returns the length, 0 for family 0. */
socklen_t ip_to_sockaddr(struct ip ip, uint16_t port, struct sockaddr_storage *ret_to);

/* What kind of address it is. All are false for family 0. */
bool ip_is_unspecified(struct ip ip);	/* 0.0.0.0/8, :: */
bool ip_is_loopback(struct ip ip);	/* 127/8, ::1 */
bool ip_is_private(struct ip ip);	/* RFC 1918, RFC 6598 (100.64/10), RFC 4193 (fc00::/7), fec0::/10 */
bool ip_is_link_local(struct ip ip);	/* 169.254/16, fe80::/10 */
bool ip_is_multicast(struct ip ip);	/* 224/4, ff00::/8 */

/* May a stranger's MX record lead us there? True only for addresses of the public internet: none of the above, not
 * reserved, for documentation or for benchmarks (RFC 6890), and no IPv6 form that carries such an IPv4 address inside
 * (6to4, NAT64). THREATS 23. */
bool ip_is_public(struct ip ip);

#endif
