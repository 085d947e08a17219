/* common/sandbox/profile_router.c -- router: reads the tables it is given, and decides. */
#include "common/sandbox/profile.h"

#include <seccomp.h>

static const struct sc_rule rules[] = {
	{ SCMP_SYS(pread64), SC_ALLOW, { { 0 } }, "tables" },
	{ SCMP_SYS(lseek), SC_ALLOW, { { 0 } }, "their size, and back to their start" },
	{ SCMP_SYS(statx), SC_ALLOW, { { 0 } }, "their size; there is no name to ask about" },
};

const struct sandbox_profile profile_router = {
	.rules = rules,
	.n_rules = sizeof rules / sizeof rules[0],
	.nofile = 4096,		/* tables of two generations, and lines */
	/* No limit on memory: router { max-table-size } has one for each table. */
};
