/* common/sandbox/probe.c -- what an intruder would try, as a table. Raw system calls, so that no library stands between
 * the attempt and the wall. A row says for which rooms the thing is legal, and why. */
#include <config.h>

#include "common/sandbox/probe.h"

#include "common/sandbox/profile.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/keyctl.h>
#include <netinet/in.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum {
	FDS_TRIED = 64,		/* descriptors from which the escape of "folder .." starts */
	SOME_PORT = 2525,
	SOMEBODY = 1,		/* the pid of init: it is always there */
	X32_BIT = 0x40000000,
	INT80_GETPID = 20,	/* number 20 is getpid for 32-bit programs, writev for us */
};

#define NET_ROOMS	(ROLE_BIT(ROLE_DELIVER) | ROLE_BIT(ROLE_RESOLVER))


/* Either a call with its arguments, or something that takes more than one. Both return -1 and errno for no. */
struct probe {
	const char *name;
	int nr;
	long args[6];
	long (*run)(void);
	uint32_t legal;		/* ROLE_BITs of the rooms that may */
	const char *why;	/* they may */
	int also;		/* another errno that means denied: ENOENT in an empty root */
};

/* An argument that points somewhere. */
#define P(...)	((long)(intptr_t)(__VA_ARGS__))

static const char *const no_strings[1] = { NULL };
static const char *const shell[] = { "/bin/sh", "-c", "exit 0", NULL };

static struct sockaddr_in
loopback_port(uint16_t port)
{
	return (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = htons(port),
	    .sin_addr = { htonl(INADDR_LOOPBACK) } };
}

static long
connect_tcp(void)
{
	struct sockaddr_in sin = loopback_port(25);
	long fd = syscall(SCMP_SYS(socket), AF_INET, SOCK_STREAM, 0);

	return fd == -1 ? -1 : syscall(SCMP_SYS(connect), fd, &sin, sizeof sin);
}

static long
send_udp(void)
{
	struct sockaddr_in sin = loopback_port(53);
	long fd = syscall(SCMP_SYS(socket), AF_INET, SOCK_DGRAM, 0);

	return fd == -1 ? -1 : syscall(SCMP_SYS(sendto), fd, "x", 1, 0, &sin, sizeof sin);
}

static long
bind_tcp_port(void)
{
	struct sockaddr_in sin = loopback_port(SOME_PORT);
	long fd = syscall(SCMP_SYS(socket), AF_INET, SOCK_STREAM, 0);

	return fd == -1 ? -1 : syscall(SCMP_SYS(bind), fd, &sin, sizeof sin);
}

static long
listen_tcp(void)
{
	long fd = syscall(SCMP_SYS(socket), AF_INET, SOCK_STREAM, 0);

	return fd == -1 ? -1 : syscall(SCMP_SYS(listen), fd, 1);
}

/* Descriptor 3 is a Unix stream socket: the kernel would answer EISCONN. */
static long
send_to_address(void)
{
	struct sockaddr_in sin = loopback_port(SOME_PORT);

	return syscall(SCMP_SYS(sendto), 3, "", 0, 0, &sin, sizeof sin);
}

/* From every folder that we may hold, up and out. */
static long
climb_out(void)
{
	for (int fd = 0; fd < FDS_TRIED; fd++) {
		long out = syscall(SCMP_SYS(openat), fd, "../../../../../../../../etc/passwd", O_RDONLY, 0);

		if (out != -1)
			return out;
		if (errno != EBADF && errno != ENOTDIR && errno != EACCES && errno != ENOENT)
			return -1;
	}
	errno = EACCES;
	return -1;
}

static long
make_executable(void)
{
	void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return p == MAP_FAILED ? -1 : syscall(SCMP_SYS(mprotect), p, 4096, PROT_READ | PROT_EXEC);
}

/* The child of a success must not go on as a second room. */
static long
parent_only(long pid)
{
	if (pid == 0)
		_exit(0);
	return pid;
}

static long
do_fork(void)
{
#ifdef SYS_fork
	return parent_only(syscall(SYS_fork));
#else
	return parent_only(syscall(SCMP_SYS(clone), SIGCHLD, 0, 0, 0, 0));
#endif
}

static long
do_clone(void)
{
	return parent_only(syscall(SCMP_SYS(clone), SIGCHLD, 0, 0, 0, 0));
}

static long
do_clone3(void)
{
	const uint64_t args[11] = { [4] = SIGCHLD };

	return parent_only(syscall(SCMP_SYS(clone3), args, sizeof args));
}

static long
read_memory_of(void)
{
	char byte;
	struct iovec mine = { &byte, 1 }, theirs = { &byte, 1 };

	return syscall(SCMP_SYS(process_vm_readv), SOMEBODY, &mine, 1, &theirs, 1, 0);
}

static long
steal_descriptor(void)
{
	long pidfd = syscall(SCMP_SYS(pidfd_open), SOMEBODY, 0);

	return pidfd == -1 ? -1 : syscall(SCMP_SYS(pidfd_getfd), pidfd, 0, 0);
}

static long
raise_limit(void)
{
	struct rlimit r = { 0, 0 };

	return syscall(SCMP_SYS(prlimit64), 0, RLIMIT_CORE, &r, NULL);
}

static long
set_capabilities(void)
{
	uint32_t head[2] = { 0x20080522, 0 }, sets[6] = { 0 };

	return syscall(SCMP_SYS(capset), head, sets);
}

#ifdef __x86_64__
static long
call_x32(void)
{
	return syscall(X32_BIT | SCMP_SYS(getpid));
}

static long
call_int80(void)
{
	long r;

	__asm__ volatile("int $0x80" : "=a"(r) : "0"((long)INT80_GETPID) : "memory", "r8", "r9", "r10", "r11");
	if (r >= 0)
		return r;
	errno = (int)-r;
	return -1;
}
#endif

#define CALL(name, call, ...)		{ name, SCMP_SYS(call), { __VA_ARGS__ }, NULL, 0, NULL, 0 }
#define PATH_CALL(name, call, ...)	{ name, SCMP_SYS(call), { __VA_ARGS__ }, NULL, 0, NULL, ENOENT }
#define STEPS(name, fn)			{ name, 0, { 0 }, fn, 0, NULL, 0 }

static const struct probe probes[] = {
	/* --- files --- */
	PATH_CALL("open /etc/passwd", openat, AT_FDCWD, P("/etc/passwd"), O_RDONLY),
	PATH_CALL("open /etc/passwd the old way", open, P("/etc/passwd"), O_RDONLY),
	PATH_CALL("open /proc/1/environ", openat, AT_FDCWD, P("/proc/1/environ"), O_RDONLY),
	PATH_CALL("open /proc/self/mem", openat, AT_FDCWD, P("/proc/self/mem"), O_RDWR),
	PATH_CALL("open the root folder", openat, AT_FDCWD, P("."), O_RDONLY | O_DIRECTORY),
	PATH_CALL("create a file", openat, AT_FDCWD, P("/intruder"), O_WRONLY | O_CREAT, 0600),
	PATH_CALL("create a file without name", openat, AT_FDCWD, P("/"), O_TMPFILE | O_RDWR, 0600),
	PATH_CALL("openat2 /etc/passwd", openat2, AT_FDCWD, P("/etc/passwd"), P((const uint64_t[3]){ 0 }), 24),
	{ "climb out of a folder", 0, { 0 }, climb_out, 0, NULL, 0 },
	PATH_CALL("stat /etc/passwd", newfstatat, AT_FDCWD, P("/etc/passwd"), P((uint64_t[32]){ 0 }), 0),
	PATH_CALL("make a folder", mkdirat, AT_FDCWD, P("/intruder"), 0700),
	PATH_CALL("make a device", mknodat, AT_FDCWD, P("/intruder"), 0020600, 0x103),
	PATH_CALL("make a symbolic link", symlinkat, P("/etc"), AT_FDCWD, P("/intruder")),
	PATH_CALL("unlink", unlinkat, AT_FDCWD, P("/etc/passwd"), 0),
	PATH_CALL("rename", renameat2, AT_FDCWD, P("/etc/passwd"), AT_FDCWD, P("/intruder"), 0),
	PATH_CALL("hard link", linkat, AT_FDCWD, P("/etc/passwd"), AT_FDCWD, P("/intruder"), 0),
	PATH_CALL("chmod", fchmodat, AT_FDCWD, P("/"), 0777),
	PATH_CALL("chown", fchownat, AT_FDCWD, P("/"), 0, 0, 0),
	PATH_CALL("truncate", truncate, P("/etc/passwd"), 0),
	PATH_CALL("change directory", chdir, P("/")),
	CALL("chroot", chroot, P("/")),
	CALL("mount", mount, P("none"), P("/"), P("tmpfs"), 0, 0),
	CALL("umount", umount2, P("/"), 2),
	CALL("pivot_root", pivot_root, P("/"), P("/")),
	CALL("open_tree", open_tree, AT_FDCWD, P("/"), 0),
	CALL("fsopen", fsopen, P("tmpfs"), 0),
	CALL("open_by_handle_at", open_by_handle_at, AT_FDCWD, P("\0\0\0\0\0\0\0\0"), O_RDONLY),
	CALL("inotify", inotify_init1, 0),
	CALL("fanotify", fanotify_init, 0, 0),
	CALL("memfd_create", memfd_create, P("x"), 0),
	CALL("extended attributes", getxattr, P("/"), P("user.x"), 0, 0),

	/* --- sockets --- */
	CALL("socket: Unix", socket, AF_UNIX, SOCK_STREAM, 0),
	CALL("socket: netlink", socket, AF_NETLINK, SOCK_RAW, 0),
	CALL("socket: packet", socket, AF_PACKET, SOCK_RAW, 0),
	CALL("socket: raw", socket, AF_INET, SOCK_RAW, IPPROTO_ICMP),
	CALL("socket: vsock", socket, AF_VSOCK, SOCK_STREAM, 0),
	CALL("socket: kernel cryptography", socket, AF_ALG, SOCK_SEQPACKET, 0),
	CALL("socketpair", socketpair, AF_UNIX, SOCK_STREAM, 0, P((int[2]){ 0 })),
	{ "socket: TCP", SCMP_SYS(socket), { AF_INET, SOCK_STREAM, 0 }, NULL, NET_ROOMS, "mail hosts, DNS over TCP", 0 },
	{ "socket: TCP over IPv6", SCMP_SYS(socket), { AF_INET6, SOCK_STREAM, 0 }, NULL, NET_ROOMS, "the same", 0 },
	{ "socket: UDP", SCMP_SYS(socket), { AF_INET, SOCK_DGRAM, 0 }, NULL, ROLE_BIT(ROLE_RESOLVER), "DNS", 0 },
	{ "socket: UDP over IPv6", SCMP_SYS(socket), { AF_INET6, SOCK_DGRAM, 0 }, NULL, ROLE_BIT(ROLE_RESOLVER), "DNS", 0 },
	{ "connect out over TCP", 0, { 0 }, connect_tcp, NET_ROOMS, "that is their work", 0 },
	{ "send out over UDP", 0, { 0 }, send_udp, ROLE_BIT(ROLE_RESOLVER), "that is its work", 0 },
	{ "send to an address", 0, { 0 }, send_to_address, ROLE_BIT(ROLE_RESOLVER), "queries", 0 },
	STEPS("take a TCP port", bind_tcp_port),
	STEPS("listen", listen_tcp),

	/* --- processes --- */
	CALL("execve /bin/sh", execve, P("/bin/sh"), P(shell), P(no_strings)),
	CALL("execveat /bin/sh", execveat, AT_FDCWD, P("/bin/sh"), P(shell), P(no_strings), 0),
	STEPS("fork", do_fork),
	STEPS("clone", do_clone),
	STEPS("clone3", do_clone3),
	CALL("a thread", clone, CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD, 0, 0, 0, 0),
	CALL("kill another process", kill, SOMEBODY, 0),
	CALL("kill everybody", kill, -1, 0),
	CALL("signal another thread", tkill, SOMEBODY, 0),
	CALL("signal another process", tgkill, SOMEBODY, SOMEBODY, 0),
	CALL("queue a signal", rt_sigqueueinfo, SOMEBODY, 0, P((const char[128]){ 0 })),
	CALL("trace another process", ptrace, PTRACE_SEIZE, SOMEBODY, 0, 0),
	CALL("be traced", ptrace, PTRACE_TRACEME, 0, 0, 0),
	STEPS("read another's memory", read_memory_of),
	STEPS("take another's descriptor", steal_descriptor),
	CALL("kcmp", kcmp, SOMEBODY, SOMEBODY, 0, 0, 0),
	CALL("read another's limits", prlimit64, SOMEBODY, RLIMIT_CORE, 0, P((uint64_t[2]){ 0 })),
	STEPS("change our limits", raise_limit),
	CALL("priority", setpriority, PRIO_PROCESS, 0, 0),
	CALL("personality", personality, 0xffffffff),
	CALL("a session of our own", setsid, 0),

	/* --- memory --- */
	CALL("map executable memory", mmap, 0, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0),
	CALL("map shared memory", mmap, 0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0),
	STEPS("make memory executable", make_executable),
	CALL("pkey_mprotect", pkey_mprotect, 0, 0, PROT_READ | PROT_EXEC, -1),
	CALL("System V shared memory", shmget, 0, 4096, 01600),
	CALL("System V message queue", msgget, 0, 01600),
	CALL("lock all memory", mlockall, MCL_CURRENT),
	CALL("userfaultfd", userfaultfd, 0),
	CALL("memfd_secret", memfd_secret, 0),

	/* --- who we are --- */
	CALL("setuid 0", setuid, 0),
	CALL("setresuid 0", setresuid, 0, 0, 0),
	CALL("setgid 0", setgid, 0),
	CALL("setgroups", setgroups, 0, 0),
	STEPS("capset", set_capabilities),
	CALL("become dumpable", prctl, PR_SET_DUMPABLE, 1, 0, 0, 0),
	CALL("another filter", prctl, PR_SET_SECCOMP, 1, 0, 0, 0),
	CALL("seccomp", seccomp, 2, 0, 0),
	CALL("unshare: user namespace", unshare, CLONE_NEWUSER),
	CALL("unshare: network namespace", unshare, CLONE_NEWNET),
	CALL("setns", setns, 0, 0),
	CALL("keyctl", keyctl, KEYCTL_GET_KEYRING_ID, KEY_SPEC_SESSION_KEYRING, 1),
	CALL("add_key", add_key, P("user"), P("x"), P("x"), 1, KEY_SPEC_SESSION_KEYRING),

	/* --- the kernel --- */
	CALL("bpf", bpf, 0, P((const uint64_t[16]){ 2, 4, 4, 1 }), 128),
	CALL("perf_event_open", perf_event_open, P((const uint32_t[32]){ 1, 128 }), 0, -1, -1, 0),
	CALL("io_uring", io_uring_setup, 1, P((uint32_t[30]){ 0 })),
	CALL("load a module", init_module, P(""), 0, P("")),
	CALL("kexec", kexec_load, 0, 0, 0, 0),
	CALL("kernel log", syslog, 10, 0, 0),
	CALL("set the clock", clock_settime, 0, P((const int64_t[2]){ 0, 0 })),
	CALL("set the host name", sethostname, P("x"), 1),
	CALL("input into a terminal", ioctl, 0, 0x5412, P("x")),
	CALL("descriptor by ioctl", ioctl, 3, 0x8901, P((int[1]){ 0 })),
	CALL("POSIX timer", timer_create, 0, 0, P((int[1]){ 0 })),
#ifdef __x86_64__
	CALL("iopl", iopl, 3),
	CALL("modify_ldt", modify_ldt, 0, 0, 0),
	STEPS("x32 call", call_x32),
	STEPS("int 0x80 call", call_int80),
#endif
};

unsigned
probe_count(void)
{
	return sizeof probes / sizeof probes[0];
}

const char *
probe_name(unsigned n)
{
	return n < probe_count() ? probes[n].name : "?";
}

bool
probe_applies(unsigned n, enum role role)
{
#ifdef POSTERN_SANITIZERS
	/* There is no filter to be tested, and without it some of these would do harm. */
	(void)n, (void)role;
	return false;
#else
	return n < probe_count() && sandbox_profile(role) != NULL && (probes[n].legal & ROLE_BIT(role)) == 0 &&
	    (probes[n].run != NULL || probes[n].nr >= 0);
#endif
}

static bool
is_wall(const struct probe *p, int error)
{
	return error == EACCES || error == EPERM || error == ENOSYS || (p->also != 0 && error == p->also);
}

enum probe_verdict
probe_run(unsigned n, enum role role, struct buf *text)
{
	const struct probe *p;
	long r;

	if (!probe_applies(n, role)) {
		(void)buf_put_str(text, "does not apply");
		return PROBE_VOID;
	}
	p = &probes[n];
	errno = 0;
	r = p->run != NULL ? p->run() :
	    syscall(p->nr, p->args[0], p->args[1], p->args[2], p->args[3], p->args[4], p->args[5]);
	if (r == -1 && is_wall(p, errno)) {
		(void)buf_printf(text, "denied: %s", strerror(errno));
		return PROBE_DENIED;
	}
	(void)buf_printf(text, r == -1 ? "reached the kernel: %s" : "unexpected success%s", r == -1 ? strerror(errno) : "");
	return PROBE_OPEN;
}
