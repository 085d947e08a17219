/* common/sandbox/profile_mailbox.c -- mailbox: the recipient himself, in his mail folder and nowhere else. */
#include "common/sandbox/profile.h"

#include <seccomp.h>

static const struct sc_rule rules[] = {
	{ SCMP_SYS(openat), SC_ALLOW, { { 0 } }, "messages; Landlock keeps it beneath the folder" },
	{ SCMP_SYS(openat2), SC_ALLOW, { { 0 } }, "the same, following no link" },
	{ SCMP_SYS(mkdirat), SC_ALLOW, { { 0 } }, "tmp, new, cur" },
	{ SCMP_SYS(linkat), SC_ALLOW, { { 0 } }, "tmp to new, never over another" },
	{ SCMP_SYS(renameat), SC_ALLOW, { { 0 } }, "the same" },
	{ SCMP_SYS(renameat2), SC_ALLOW, { { 0 } }, "the same" },
	{ SCMP_SYS(unlinkat), SC_ALLOW, { { 0 } }, "what was not finished" },
	{ SCMP_SYS(pwrite64), SC_ALLOW, { { 0 } }, "content" },
	{ SCMP_SYS(pread64), SC_ALLOW, { { 0 } }, "content again, for the next recipient's copy" },
	{ SCMP_SYS(flock), SC_ALLOW, { { 0 } }, "two attempts at one message must not mix" },
	{ SCMP_SYS(fsync), SC_ALLOW, { { 0 } }, "delivered means on disk" },
	{ SCMP_SYS(fdatasync), SC_ALLOW, { { 0 } }, "the same" },
	{ SCMP_SYS(ftruncate), SC_ALLOW, { { 0 } }, "what was not finished" },
	{ SCMP_SYS(fallocate), SC_ALLOW, { { 0 } }, "a full disk is known before the first byte" },
	{ SCMP_SYS(fchmod), SC_ALLOW, { { 0 } }, "0600, whatever the umask" },
	{ SCMP_SYS(newfstatat), SC_ALLOW, { { 0 } }, "whose folder is it; is the message there already" },
	{ SCMP_SYS(statx), SC_ALLOW, { { 0 } }, "the same" },
	{ SCMP_SYS(getdents64), SC_ALLOW, { { 0 } }, "leftovers in tmp" },
	{ SCMP_SYS(lseek), SC_ALLOW, { { 0 } }, "rewinding a folder" },
	{ SCMP_SYS(fstatfs), SC_ALLOW, { { 0 } }, "free space" },
};

const struct sandbox_profile profile_mailbox = {
	.rules = rules,
	.n_rules = sizeof rules / sizeof rules[0],
	.nofile = 64,
	.address_space = UINT64_C(512) << 20,
	.wall = WALL_READ | WALL_WRITE | WALL_CREATE | WALL_REMOVE | WALL_MOVE,
};
