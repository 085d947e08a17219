/* common/sandbox/profile_vault.c -- vault: signs, and holds what nobody else has. Fewer calls than any other room. Its threads
 * are made in room_ops.threads, after Landlock and before the filter. */
#include "common/sandbox/profile.h"

#include <seccomp.h>

static const struct sc_rule rules[] = {
	{ SCMP_SYS(pread64), SC_ALLOW, { { 0 } }, "keys that were renewed, by descriptor from master" },
};

const struct sandbox_profile profile_vault = {
	.rules = rules,
	.n_rules = sizeof rules / sizeof rules[0],
	.nofile = 1024,		/* a line to each smtpd, and a key file on its way */
	.address_space = UINT64_C(1) << 30,	/* the stacks of 64 threads are a sixteenth of it */
	.threads = true,
};
