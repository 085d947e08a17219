/* common/sandbox/base.c -- the system calls that every locked room may make, with the reason for each, and the list of
 * profiles. Measured: a room at work makes read, write, epoll_wait, epoll_ctl and little else; the rest is what the C
 * library does on rare days (memory, a failed assertion, the end). */
#include "common/sandbox/profile.h"

#include <fcntl.h>
#include <linux/futex.h>
#include <seccomp.h>
#include <sys/mman.h>
#include <sys/prctl.h>

#ifndef PR_SET_VMA
#define PR_SET_VMA 0x53564d41
#endif

/* Private memory only, and never executable: with no file system there is nothing to map but this. */
#define MAP_LEGAL (MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_STACK | MAP_NORESERVE | MAP_POPULATE)
#define PROT_LEGAL (PROT_READ | PROT_WRITE)

#define ALLOW(call, why)	{ SCMP_SYS(call), SC_ALLOW, { { 0 } }, why }
#define SOFT(call, how, why)	{ SCMP_SYS(call), how, { { 0 } }, why }

const struct sc_rule base_rules[] = {
	/* --- lines to the other rooms, and the loop --- */
	ALLOW(read, "frames, sockets, eventfds"),
	ALLOW(readv, "the same, gathered"),
	ALLOW(write, "frames, sockets, stderr on the way out"),
	ALLOW(writev, "the same, gathered"),
	ALLOW(recvmsg, "lines and files that master sends later"),
	ALLOW(close, "lines and sockets that are done"),
	ALLOW(epoll_wait, "the loop"),
	ALLOW(epoll_pwait, "the loop, where epoll_wait does not exist"),
	ALLOW(epoll_pwait2, "the loop of libevent 2.2"),
	ALLOW(epoll_ctl, "the loop"),
	{ SCMP_SYS(fcntl), SC_ALLOW, { SC_INT(1, F_GETFL) }, "non-blocking" },
	{ SCMP_SYS(fcntl), SC_ALLOW, { SC_INT(1, F_SETFL) }, "non-blocking" },
	{ SCMP_SYS(fcntl), SC_ALLOW, { SC_INT(1, F_GETFD) }, "libevent asks" },
	{ SCMP_SYS(fcntl), SC_ALLOW, { SC_INT(1, F_SETFD) }, "close-on-exec" },

	/* --- memory --- */
	ALLOW(brk, "malloc"),
	{ SCMP_SYS(mmap), SC_ALLOW, { SC_ONLY(2, PROT_LEGAL), SC_ONLY(3, MAP_LEGAL) }, "malloc; never executable or shared" },
	ALLOW(munmap, "free"),
	ALLOW(mremap, "realloc of a large block"),
	{ SCMP_SYS(mprotect), SC_ALLOW, { SC_ONLY(2, PROT_LEGAL) }, "malloc's arenas grow this way; never executable" },
	{ SCMP_SYS(madvise), SC_ALLOW, { SC_INT(2, MADV_DONTNEED) }, "malloc gives back" },
	{ SCMP_SYS(madvise), SC_ALLOW, { SC_INT(2, MADV_FREE) }, "malloc gives back" },
	{ SCMP_SYS(madvise), SC_ALLOW, { SC_INT(2, MADV_DONTDUMP) }, "libsodium" },
	{ SCMP_SYS(madvise), SC_ALLOW, { SC_INT(2, MADV_DODUMP) }, "libsodium" },
	{ SCMP_SYS(futex), SC_ALLOW, { SC_INT(1, FUTEX_WAIT_PRIVATE) }, "locks inside libraries" },
	{ SCMP_SYS(futex), SC_ALLOW, { SC_INT(1, FUTEX_WAKE_PRIVATE) }, "locks inside libraries" },

	/* --- time and chance --- */
	ALLOW(clock_gettime, "when the vDSO cannot answer"),
	ALLOW(gettimeofday, "the same"),
	ALLOW(time, "the same"),
	ALLOW(clock_getres, "libevent, once"),
	ALLOW(clock_nanosleep, "usleep inside libraries"),
	ALLOW(nanosleep, "the same"),
	ALLOW(getrandom, "random numbers"),

	/* --- itself --- */
	ALLOW(getpid, "the log; libraries that look for a fork"),
	ALLOW(gettid, "abort"),
	ALLOW(getuid, "libraries that ask whether they are privileged"),
	ALLOW(geteuid, "the same"),
	ALLOW(getgid, "the same"),
	ALLOW(getegid, "the same"),
	ALLOW(rt_sigreturn, "back from a signal"),
	ALLOW(rt_sigprocmask, "abort, exit of a thread"),
	ALLOW(rt_sigaction, "abort puts SIGABRT back to its default"),
	ALLOW(sigaltstack, "the stack of a signal, at a thread's end"),
	ALLOW(restart_syscall, "the kernel makes it after a stop and continue"),
	ALLOW(tgkill, "abort; Landlock and the uid keep it inside this process"),
	ALLOW(sched_yield, "locks inside libraries"),
	ALLOW(exit, "the end of a thread"),
	ALLOW(exit_group, "the end"),
	{ SCMP_SYS(prctl), SC_ALLOW, { SC_INT(0, PR_GET_SECCOMP) }, "the room's own check that it is locked" },
	{ SCMP_SYS(prctl), SC_ALLOW, { SC_INT(0, PR_GET_NO_NEW_PRIVS) }, "the same" },
	{ SCMP_SYS(prctl), SC_ALLOW, { SC_INT(0, PR_GET_DUMPABLE) }, "the same" },
	{ SCMP_SYS(prctl), SC_ALLOW, { SC_INT(0, PR_SET_VMA) }, "newer C libraries name their memory" },
	{ SCMP_SYS(prlimit64), SC_ALLOW, { SC_INT(0, 0), SC_NULL(2) }, "reading our own limits; never setting" },
	{ SCMP_SYS(newfstatat), SC_ALLOW, { SC_HAS(3, AT_EMPTY_PATH) }, "fstat of glibc 2.33 and later" },
	ALLOW(fstat, "what is this descriptor"),

	/* --- the C library tries these, and does without --- */
	SOFT(open, SC_EACCES, "time zones, /proc, /sys"),
	SOFT(openat, SC_EACCES, "the same"),
	SOFT(access, SC_EACCES, "the same"),
	SOFT(faccessat, SC_EACCES, "the same"),
	SOFT(faccessat2, SC_EACCES, "the same"),
	SOFT(stat, SC_EACCES, "the same"),
	SOFT(lstat, SC_EACCES, "the same"),
	SOFT(readlink, SC_EACCES, "the same"),
	SOFT(readlinkat, SC_EACCES, "the same"),
	SOFT(statx, SC_ENOSYS, "the same"),
	SOFT(clone3, SC_ENOSYS, "its arguments are out of the filter's reach; clone is not allowed either"),
	SOFT(rseq, SC_ENOSYS, "threads register; there are none to come"),
	SOFT(getcpu, SC_ENOSYS, "malloc asks on which processor it is"),
	SOFT(sched_getaffinity, SC_EACCES, "malloc counts processors"),
	SOFT(sysinfo, SC_ENOSYS, "qsort asks how much memory there is"),
	SOFT(uname, SC_EACCES, "libraries name the machine"),
	SOFT(ioctl, SC_EACCES, "stdio asks whether it writes to a terminal"),
};
const size_t n_base_rules = sizeof base_rules / sizeof base_rules[0];

static const struct sandbox_profile *const profiles[ROLE_COUNT] = {
	[ROLE_LOG] = &profile_log,
	[ROLE_CONTROL] = &profile_control,
	[ROLE_ROUTER] = &profile_router,
	[ROLE_RESOLVER] = &profile_resolver,
	[ROLE_QUEUE] = &profile_queue,
	[ROLE_SMTPD] = &profile_smtpd,
	[ROLE_DELIVER] = &profile_deliver,
	[ROLE_LOCAL] = &profile_local,
	[ROLE_MAILBOX] = &profile_mailbox,
	[ROLE_VAULT] = &profile_vault,
	[ROLE_AUTH] = &profile_auth,
};

const struct sandbox_profile *
sandbox_profile(enum role role)
{
	return (unsigned)role < ROLE_COUNT ? profiles[role] : NULL;
}

bool
base_rule_applies(const struct sandbox_profile *p, size_t i)
{
	for (size_t k = 0; k < p->n_rules; k++)
		if (p->rules[k].nr == base_rules[i].nr)
			return false;
	for (size_t k = 0; k < n_thread_rules && p->threads; k++)
		if (thread_rules[k].nr == base_rules[i].nr)
			return false;
	return true;
}
