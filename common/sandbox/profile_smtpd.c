/* common/sandbox/profile_smtpd.c -- smtpd: accepted connections only. It lives in an empty network namespace: the
 * listening sockets it was given, and what they accept, stay in the one they were made in. */
#include "common/sandbox/profile.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <seccomp.h>
#include <sys/socket.h>

#define OPTION(level, name) { SC_INT(1, level), SC_INT(2, name) }

static const struct sc_rule rules[] = {
	{ SCMP_SYS(accept4), SC_ALLOW, { { 0 } }, "a client" },
	{ SCMP_SYS(sendmsg), SC_ALLOW, { { 0 } }, "replies, gathered" },
	{ SCMP_SYS(recvfrom), SC_ALLOW, { SC_NULL(4) }, "recv with flags" },
	{ SCMP_SYS(sendto), SC_ALLOW, { SC_NULL(4) }, "send with MSG_MORE or MSG_NOSIGNAL; never to an address" },
	{ SCMP_SYS(pread64), SC_ALLOW, { { 0 } }, "certificates, from master; other workers read the same open file" },
	{ SCMP_SYS(shutdown), SC_ALLOW, { { 0 } }, "the last reply arrives before the end" },
	{ SCMP_SYS(setsockopt), SC_ALLOW, OPTION(IPPROTO_TCP, TCP_NODELAY), "replies leave at once" },
	{ SCMP_SYS(setsockopt), SC_ALLOW, OPTION(IPPROTO_TCP, TCP_CORK), "replies of a pipeline leave together" },
	{ SCMP_SYS(setsockopt), SC_ALLOW, OPTION(SOL_SOCKET, SO_KEEPALIVE), "clients that vanished" },
	{ SCMP_SYS(setsockopt), SC_ALLOW, OPTION(SOL_SOCKET, SO_LINGER), "a client that is thrown out gets a reset" },
	{ SCMP_SYS(getsockopt), SC_ALLOW, OPTION(SOL_SOCKET, SO_ERROR), "why a connection failed" },
	{ SCMP_SYS(getsockname), SC_ALLOW, { { 0 } }, "which of our addresses the client came to" },
	{ SCMP_SYS(getpeername), SC_ALLOW, { { 0 } }, "who the client is" },
	{ SCMP_SYS(fcntl), SC_ALLOW, { SC_INT(1, F_GETFL) }, "non-blocking" },
	{ SCMP_SYS(fcntl), SC_ALLOW, { SC_INT(1, F_SETFL) }, "non-blocking" },
	{ SCMP_SYS(fcntl), SC_ALLOW, { SC_INT(1, F_GETFD) }, "libevent asks" },
	{ SCMP_SYS(fcntl), SC_ALLOW, { SC_INT(1, F_SETFD) }, "close-on-exec" },
	{ SCMP_SYS(fcntl), SC_ALLOW, { SC_INT(1, F_DUPFD_CLOEXEC) }, "the spare descriptor for when none is left" },
};

const struct sandbox_profile profile_smtpd = {
	.rules = rules,
	.n_rules = sizeof rules / sizeof rules[0],
	.address_space = UINT64_C(4) << 30,	/* sessions at their maximum, each with its buffers full */
};
