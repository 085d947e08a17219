/* common/sandbox/profile_vault.c -- vault: signs, and holds what nobody else has. Fewer calls than any other room. Its threads
 * are made in room_ops.threads, after Landlock and before the filter. */
#include "common/sandbox/profile.h"

#include <linux/futex.h>
#include <seccomp.h>

#define FUTEX(op, why) { SCMP_SYS(futex), SC_ALLOW, { SC_INT(1, op) }, why }

static const struct sc_rule rules[] = {
	{ SCMP_SYS(pread64), SC_ALLOW, { { 0 } }, "keys that were renewed, by descriptor from master" },
	{ SCMP_SYS(set_robust_list), SC_ALLOW, { { 0 } }, "a thread may still be starting when the filter falls" },
	{ SCMP_SYS(rseq), SC_ALLOW, { { 0 } }, "the same" },
	FUTEX(FUTEX_WAIT_PRIVATE, "locks"),
	FUTEX(FUTEX_WAKE_PRIVATE, "locks"),
	FUTEX(FUTEX_WAIT_BITSET_PRIVATE, "pthread_cond_timedwait"),
	FUTEX(FUTEX_WAIT_BITSET_PRIVATE | FUTEX_CLOCK_REALTIME, "pthread_cond_wait"),
	FUTEX(FUTEX_WAIT | FUTEX_CLOCK_REALTIME, "joining a thread: the kernel wakes it at the thread's end"),
	FUTEX(FUTEX_WAIT_BITSET | FUTEX_CLOCK_REALTIME, "the same"),
	FUTEX(FUTEX_WAIT, "the same"),
	FUTEX(FUTEX_WAKE, "the same"),
	FUTEX(FUTEX_REQUEUE_PRIVATE, "pthread_cond_broadcast of older libraries"),
	FUTEX(FUTEX_CMP_REQUEUE_PRIVATE, "the same"),
};

const struct sandbox_profile profile_vault = {
	.rules = rules,
	.n_rules = sizeof rules / sizeof rules[0],
	.nofile = 1024,		/* a line to each smtpd, and a key file on its way */
	.address_space = UINT64_C(1) << 30,	/* the stacks of 64 threads are a sixteenth of it */
	.threads = true,
};
