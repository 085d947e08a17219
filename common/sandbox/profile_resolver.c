/* common/sandbox/profile_resolver.c -- resolver: DNS over UDP and TCP, in the machine's network. Its library parses what
 * strangers answer and has a history (THREATS 26): no file, no thread, no fork. */
#include "common/sandbox/profile.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <seccomp.h>
#include <sys/socket.h>

#define OPTION(level, name) { SC_INT(1, level), SC_INT(2, name) }
#define TYPE(type) { 1, UINT64_C(0xffffffff) & ~(uint64_t)(SOCK_NONBLOCK | SOCK_CLOEXEC), (type) }

#ifndef TCP_FASTOPEN_CONNECT
#define TCP_FASTOPEN_CONNECT 30
#endif

static const struct sc_rule rules[] = {
	{ SCMP_SYS(socket), SC_ALLOW, { SC_INT(0, AF_INET), TYPE(SOCK_DGRAM) }, "a query, IPv4" },
	{ SCMP_SYS(socket), SC_ALLOW, { SC_INT(0, AF_INET6), TYPE(SOCK_DGRAM) }, "a query, IPv6" },
	{ SCMP_SYS(socket), SC_ALLOW, { SC_INT(0, AF_INET), TYPE(SOCK_STREAM) }, "a long answer, IPv4" },
	{ SCMP_SYS(socket), SC_ALLOW, { SC_INT(0, AF_INET6), TYPE(SOCK_STREAM) }, "a long answer, IPv6" },
	{ SCMP_SYS(bind), SC_ALLOW, { { 0 } }, "a random source port for each query" },
	{ SCMP_SYS(connect), SC_ALLOW, { { 0 } }, "to the server asked" },
	{ SCMP_SYS(sendto), SC_ALLOW, { { 0 } }, "queries" },
	{ SCMP_SYS(sendmsg), SC_ALLOW, { { 0 } }, "queries over TCP, with TCP_FASTOPEN" },
	{ SCMP_SYS(recvfrom), SC_ALLOW, { { 0 } }, "answers" },
	{ SCMP_SYS(shutdown), SC_ALLOW, { { 0 } }, "the end of a TCP query" },
	{ SCMP_SYS(setsockopt), SC_ALLOW, OPTION(SOL_SOCKET, SO_REUSEADDR), "libunbound" },
	{ SCMP_SYS(setsockopt), SC_ALLOW, OPTION(SOL_SOCKET, SO_RCVBUF), "libunbound" },
	{ SCMP_SYS(setsockopt), SC_ALLOW, OPTION(SOL_SOCKET, SO_SNDBUF), "libunbound" },
	{ SCMP_SYS(setsockopt), SC_ALLOW, OPTION(IPPROTO_IP, IP_MTU_DISCOVER), "no fragments that could be forged" },
	{ SCMP_SYS(setsockopt), SC_ALLOW, OPTION(IPPROTO_IPV6, IPV6_V6ONLY), "no IPv4 in disguise" },
	{ SCMP_SYS(setsockopt), SC_ALLOW, OPTION(IPPROTO_IPV6, IPV6_MTU), "no fragments" },
	{ SCMP_SYS(setsockopt), SC_ALLOW, OPTION(IPPROTO_IPV6, IPV6_MTU_DISCOVER), "no fragments" },
	{ SCMP_SYS(setsockopt), SC_ALLOW, OPTION(IPPROTO_TCP, TCP_MAXSEG), "libunbound" },
	{ SCMP_SYS(setsockopt), SC_ALLOW, OPTION(IPPROTO_TCP, TCP_NODELAY), "libunbound" },
	{ SCMP_SYS(setsockopt), SC_ALLOW, OPTION(IPPROTO_TCP, TCP_FASTOPEN_CONNECT), "libunbound" },
	{ SCMP_SYS(setsockopt), SC_ALLOW, OPTION(IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT), "libunbound, TCP from a given address" },
	{ SCMP_SYS(getsockopt), SC_ALLOW, OPTION(SOL_SOCKET, SO_ERROR), "did the TCP connection come up" },
	{ SCMP_SYS(getsockopt), SC_ALLOW, OPTION(SOL_SOCKET, SO_RCVBUF), "libunbound" },
	{ SCMP_SYS(getsockopt), SC_ALLOW, OPTION(SOL_SOCKET, SO_SNDBUF), "libunbound" },
	{ SCMP_SYS(getsockname), SC_ALLOW, { { 0 } }, "libunbound" },
	{ SCMP_SYS(getpeername), SC_ALLOW, { { 0 } }, "libunbound" },
	/* resolver { trust-anchor, root-hints } may come anew with a reload. */
	{ SCMP_SYS(lseek), SC_ALLOW, { { 0 } }, "files that master sent, read again" },
	{ SCMP_SYS(pread64), SC_ALLOW, { { 0 } }, "the same" },
};

const struct sandbox_profile profile_resolver = {
	.rules = rules,
	.n_rules = sizeof rules / sizeof rules[0],
	.address_space = UINT64_C(12) << 30,	/* the largest cache that resolver { cache } takes, three times */
	.net = true,
};
