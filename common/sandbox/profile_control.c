/* common/sandbox/profile_control.c -- control: accepts on the admin socket and asks who is there. */
#include "common/sandbox/profile.h"

#include <fcntl.h>
#include <seccomp.h>
#include <sys/socket.h>

#ifndef SO_PEERGROUPS
#define SO_PEERGROUPS 59
#endif
#define OPTION(level, name) { SC_INT(1, level), SC_INT(2, name) }

static const struct sc_rule rules[] = {
	{ SCMP_SYS(accept4), SC_ALLOW, { { 0 } }, "a command" },
	{ SCMP_SYS(getsockopt), SC_ALLOW, OPTION(SOL_SOCKET, SO_PEERCRED), "whose it is" },
	{ SCMP_SYS(getsockopt), SC_ALLOW, OPTION(SOL_SOCKET, SO_PEERGROUPS), "and of which groups" },
	{ SCMP_SYS(getsockopt), SC_ALLOW, OPTION(SOL_SOCKET, SO_ERROR), "why a connection failed" },
	{ SCMP_SYS(shutdown), SC_ALLOW, { { 0 } }, "the last row arrives before the end" },
};

const struct sandbox_profile profile_control = {
	.rules = rules,
	.n_rules = sizeof rules / sizeof rules[0],
	.nofile = 1024,		/* commands at a time */
	.address_space = UINT64_C(1) << 30,
};
