/* common/sandbox/profile_auth.c -- auth: passwords and hashes, and nothing to take them away by. Its threads are made in
 * room_ops.threads, after Landlock and before the filter. */
#include "common/sandbox/profile.h"

#include <linux/futex.h>
#include <seccomp.h>

#define FUTEX(op, why) { SCMP_SYS(futex), SC_ALLOW, { SC_INT(1, op) }, why }

static const struct sc_rule rules[] = {
	{ SCMP_SYS(pread64), SC_ALLOW, { { 0 } }, "the users file, and its like" },
	{ SCMP_SYS(pwrite64), SC_ALLOW, { { 0 } }, "what users have sent, into the two files that came open" },
	{ SCMP_SYS(ftruncate), SC_ALLOW, { { 0 } }, "their length" },
	{ SCMP_SYS(fdatasync), SC_ALLOW, { { 0 } }, "so that it survives a crash" },
	{ SCMP_SYS(lseek), SC_ALLOW, { { 0 } }, "the size of a file" },
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

const struct sandbox_profile profile_auth = {
	.rules = rules,
	.n_rules = sizeof rules / sizeof rules[0],
	.nofile = 1024,
	/* No limit on memory: auth { workers, max-hash-memory } have one for what can be asked of it from outside. */
	.threads = true,
};
