/* common/sandbox/profile_deliver.c -- deliver: outgoing connections only, in the machine's network. */
#include "common/sandbox/profile.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <seccomp.h>
#include <sys/socket.h>

#define OPTION(level, name) { SC_INT(1, level), SC_INT(2, name) }
/* The type carries SOCK_NONBLOCK and SOCK_CLOEXEC in the same argument. */
#define STREAM { 1, UINT64_C(0xffffffff) & ~(uint64_t)(SOCK_NONBLOCK | SOCK_CLOEXEC), SOCK_STREAM }

static const struct sc_rule rules[] = {
	{ SCMP_SYS(socket), SC_ALLOW, { SC_INT(0, AF_INET), STREAM }, "to a mail host, IPv4" },
	{ SCMP_SYS(socket), SC_ALLOW, { SC_INT(0, AF_INET6), STREAM }, "to a mail host, IPv6" },
	{ SCMP_SYS(bind), SC_ALLOW, { { 0 } }, "deliver { source }; Landlock leaves only port 0" },
	{ SCMP_SYS(connect), SC_ALLOW, { { 0 } }, "to a mail host; only sockets of socket() above can be connected" },
	{ SCMP_SYS(sendmsg), SC_ALLOW, { { 0 } }, "commands and content, gathered" },
	{ SCMP_SYS(recvfrom), SC_ALLOW, { SC_NULL(4) }, "recv with flags" },
	{ SCMP_SYS(sendto), SC_ALLOW, { SC_NULL(4) }, "send with MSG_MORE or MSG_NOSIGNAL" },
	{ SCMP_SYS(shutdown), SC_ALLOW, { { 0 } }, "the end of a session" },
	{ SCMP_SYS(setsockopt), SC_ALLOW, OPTION(IPPROTO_TCP, TCP_NODELAY), "commands leave at once" },
	{ SCMP_SYS(setsockopt), SC_ALLOW, OPTION(IPPROTO_TCP, TCP_CORK), "commands of a pipeline leave together" },
	{ SCMP_SYS(setsockopt), SC_ALLOW, OPTION(IPPROTO_TCP, TCP_USER_TIMEOUT), "hosts that vanished" },
	{ SCMP_SYS(setsockopt), SC_ALLOW, OPTION(SOL_SOCKET, SO_KEEPALIVE), "hosts that vanished" },
	{ SCMP_SYS(setsockopt), SC_ALLOW, OPTION(SOL_SOCKET, SO_LINGER), "a host that is given up gets a reset" },
	{ SCMP_SYS(setsockopt), SC_ALLOW, OPTION(IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT), "source address without using up a port" },
	{ SCMP_SYS(setsockopt), SC_ALLOW, OPTION(IPPROTO_IPV6, IPV6_V6ONLY), "no IPv4 in disguise" },
	{ SCMP_SYS(getsockopt), SC_ALLOW, OPTION(SOL_SOCKET, SO_ERROR), "did the connection come up" },
	{ SCMP_SYS(getsockname), SC_ALLOW, { { 0 } }, "which of our addresses it left from" },
	{ SCMP_SYS(getpeername), SC_ALLOW, { { 0 } }, "whom it reached" },
};

const struct sandbox_profile profile_deliver = {
	.rules = rules,
	.n_rules = sizeof rules / sizeof rules[0],
	.address_space = UINT64_C(4) << 30,	/* sessions at their maximum, each with its window full */
	.net = true,
};
