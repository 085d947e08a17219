/* common/sandbox/profile_log.c -- log: its destination. Creates and appends to one file beneath the log's folder. */
#include "common/sandbox/profile.h"

#include <fcntl.h>
#include <seccomp.h>

static const struct sc_rule rules[] = {
	{ SCMP_SYS(openat), SC_ALLOW, { { 0 } }, "the log file, again after a rotation; Landlock keeps it in its folder" },
	{ SCMP_SYS(poll), SC_ALLOW, { { 0 } }, "may stderr be written to without waiting" },
	{ SCMP_SYS(ppoll), SC_ALLOW, { { 0 } }, "the same, where poll does not exist" },
	{ SCMP_SYS(sendto), SC_ALLOW, { SC_NULL(4) }, "to the system log, on the socket that came connected" },
	{ SCMP_SYS(sendmsg), SC_ALLOW, { { 0 } }, "the same, gathered" },
	{ SCMP_SYS(sendmmsg), SC_ALLOW, { { 0 } }, "the same, many at once" },
	{ SCMP_SYS(fdatasync), SC_ALLOW, { { 0 } }, "the last lines, at the end" },
};

const struct sandbox_profile profile_log = {
	.rules = rules,
	.n_rules = sizeof rules / sizeof rules[0],
	.nofile = 1024,		/* a line for each room */
	.address_space = UINT64_C(3) << 30,	/* log { ring } at its largest, and as much again while it is replaced */
	.wall = WALL_WRITE | WALL_CREATE,
};
