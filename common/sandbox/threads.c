/* common/sandbox/threads.c -- the system calls that threads need, for every room that has some. They are made in
 * room_ops.threads, before the filter: what makes one is not here. */
#include "common/sandbox/profile.h"

#include <linux/futex.h>
#include <seccomp.h>

#define FUTEX(op, why) { SCMP_SYS(futex), SC_ALLOW, { SC_INT(1, op) }, why }

const struct sc_rule thread_rules[] = {
	{ SCMP_SYS(set_robust_list), SC_ALLOW, { { 0 } }, "a thread may still be starting when the filter falls" },
	{ SCMP_SYS(rseq), SC_ALLOW, { { 0 } }, "the same" },
	FUTEX(FUTEX_WAIT_PRIVATE, "locks"),
	FUTEX(FUTEX_WAKE_PRIVATE, "locks"),
	FUTEX(FUTEX_WAIT_BITSET_PRIVATE, "pthread_cond_timedwait"),
	FUTEX(FUTEX_WAIT_BITSET_PRIVATE | FUTEX_CLOCK_REALTIME, "pthread_cond_wait, sem_wait"),
	FUTEX(FUTEX_WAIT | FUTEX_CLOCK_REALTIME, "joining a thread: the kernel wakes it at the thread's end"),
	FUTEX(FUTEX_WAIT_BITSET | FUTEX_CLOCK_REALTIME, "the same"),
	FUTEX(FUTEX_WAIT, "the same"),
	FUTEX(FUTEX_WAKE, "the same"),
	FUTEX(FUTEX_REQUEUE_PRIVATE, "pthread_cond_broadcast of older libraries"),
	FUTEX(FUTEX_CMP_REQUEUE_PRIVATE, "the same"),
};
const size_t n_thread_rules = sizeof thread_rules / sizeof thread_rules[0];
