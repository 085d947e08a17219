/* common/sandbox/profile_auth.c -- auth: passwords and hashes, and nothing to take them away by. Its threads are made in
 * room_ops.threads, after Landlock and before the filter. */
#include "common/sandbox/profile.h"

#include <seccomp.h>

static const struct sc_rule rules[] = {
	{ SCMP_SYS(pread64), SC_ALLOW, { { 0 } }, "the users file, and its like" },
	{ SCMP_SYS(pwrite64), SC_ALLOW, { { 0 } }, "what users have sent, into the two files that came open" },
	{ SCMP_SYS(ftruncate), SC_ALLOW, { { 0 } }, "their length" },
	{ SCMP_SYS(fdatasync), SC_ALLOW, { { 0 } }, "so that it survives a crash" },
	{ SCMP_SYS(lseek), SC_ALLOW, { { 0 } }, "the size of a file" },
};

const struct sandbox_profile profile_auth = {
	.rules = rules,
	.n_rules = sizeof rules / sizeof rules[0],
	.nofile = 1024,
	/* No limit on memory: auth { workers, max-hash-memory } have one for what can be asked of it from outside. */
	.threads = true,
};
