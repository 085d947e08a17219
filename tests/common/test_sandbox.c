/* tests/common/test_sandbox.c -- the walls from inside and outside: every probe from inside every locked room, the process as
 * /proc shows it, and that each room can still do its work. What the filters say is in test_filters.c. Needs root. */
#include <config.h>

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "tests/folder.h"

#include "common/sandbox/probe.h"
#include "common/sandbox/profile.h"
#include "common/sandbox/sandbox.h"
#include "common/sandbox/walls.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <pthread.h>
#include <seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
	TEST_UID = 64123,
	EXIT_SETUP = 99,	/* the child could not get to the point of the test */
};

static char base[64];
static char root[128], folder[128], mail[128];

static const char *
needs_root(void)
{
#ifdef POSTERN_SANITIZERS
	return "sanitizer build";
#else
	return geteuid() == 0 ? NULL : "needs root";
#endif
}

#define SKIP_UNLESS_ROOT()							\
	if (needs_root() != NULL) {						\
		print_message("# SKIP %s\n", needs_root());			\
		skip();								\
	}

static int
make_folders(void **state)
{
	(void)state;
	if (needs_root() != NULL)
		return 0;
	folder_template(base, sizeof base, "walls");
	if (mkdtemp(base) == NULL)
		return -1;
	(void)snprintf(root, sizeof root, "%s/root", base);
	(void)snprintf(folder, sizeof folder, "%s/folder", base);
	(void)snprintf(mail, sizeof mail, "%s/home", base);
	if (chmod(base, 0755) != 0 || mkdir(root, 0555) != 0 || mkdir(folder, 0700) != 0 || mkdir(mail, 0700) != 0 ||
	    chown(folder, TEST_UID, TEST_UID) != 0 || chown(mail, TEST_UID, TEST_UID) != 0)
		return -1;
	(void)snprintf(mail, sizeof mail, "%s/home/Maildir", base);
	return 0;
}

static int
remove_folders(void **state)
{
	char command[256];
	pid_t child;

	(void)state;
	if (needs_root() != NULL)
		return 0;
	(void)snprintf(command, sizeof command, "%s", base);
	child = fork();
	if (child == 0) {
		(void)execlp("rm", "rm", "-rf", command, (char *)NULL);
		_exit(1);
	}
	return waitpid(child, NULL, 0) == child ? 0 : -1;
}

/* --- 1. from inside --- */


static void
must(bool ok, const char *what)
{
	if (!ok) {
		(void)fprintf(stderr, "# setup: %s: %s\n", what, strerror(errno));
		_exit(EXIT_SETUP);
	}
}

static enum rc (*threads_hook)(void *ctx, struct buf *why);

/* In a child: locked up as this role, with a line at descriptor 3. Returns the folder's descriptor or -1. */
static int
lock_up(enum role role, const int *keep)
{
	struct buf report = BUF_INIT(64 * 1024);
	int pair[2], dir = -1, ret = -1;
	struct sandbox_params params = { .role = role, .uid = TEST_UID, .gid = TEST_UID, .root = root, .enforce = true,
	    .make_threads = threads_hook };

	must(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0, "socketpair");
	must(keep == NULL || dup2(*keep, 0) == 0, "dup2");
	if (pair[0] != 3)
		must(dup2(pair[0], 3) == 3, "dup2");
	must(sandbox_begin(role) == RC_OK, "begin");
	if (role == ROLE_QUEUE || role == ROLE_LOG) {
		dir = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
		must(dir != -1, "open");
		params.beneath = &dir;
		params.n_beneath = 1;
	}
	if (role == ROLE_MAILBOX)
		params.folder = mail;
	if (sandbox_enter(&params, &report, &ret) != RC_OK) {
		(void)fprintf(stderr, "# %s", buf_cstr(&report));
		_exit(EXIT_SETUP);
	}
	return ret != -1 ? ret : dir;
}

static void
every_probe_is_denied(void **state)
{
	unsigned tried = 0, killed = 0;

	(void)state;
	SKIP_UNLESS_ROOT();
	for (enum role role = ROLE_LOG; role < ROLE_COUNT; role++)
		for (unsigned n = 0; n < probe_count(); n++) {
			int status;
			pid_t child;

			if (!probe_applies(n, role))
				continue;
			(void)fflush(NULL);
			child = fork();
			assert_true(child >= 0);
			if (child == 0) {
				struct buf text = BUF_INIT(1024);
				enum probe_verdict v;

				(void)lock_up(role, NULL);
				v = probe_run(n, role, &text);
				if (v != PROBE_DENIED)
					(void)fprintf(stderr, "# %s\n", buf_cstr(&text));
				_exit((int)v);
			}
			assert_int_equal(waitpid(child, &status, 0), child);
			tried++;
			if (WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS)
				killed++;
			else if (!WIFEXITED(status) || WEXITSTATUS(status) != PROBE_DENIED)
				fail_msg("%s: %s: status %x", role_name(role), probe_name(n), (unsigned)status);
		}
	print_message("# %u probes, %u killed, %u denied\n", tried, killed, tried - killed);
	assert_true(tried > 500);
}

/* Landlock must hold where the filter would let through, and against a process of the same uid. */
static void
landlock_alone_holds(void **state)
{
	int status;
	pid_t child, sibling;

	(void)state;
	SKIP_UNLESS_ROOT();
	if (landlock_abi() < 6)
		skip();
	sibling = fork();
	assert_true(sibling >= 0);
	if (sibling == 0) {
		if (setresuid(TEST_UID, TEST_UID, TEST_UID) == 0)
			(void)prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
		for (;;)
			(void)pause();
	}
	(void)usleep(50 * 1000);
	child = fork();
	if (child == 0) {
		struct buf report = BUF_INIT(4096);
		struct sockaddr_in sin = { .sin_family = AF_INET, .sin_port = htons(25),
		    .sin_addr = { htonl(INADDR_LOOPBACK) } };
		struct iovec v = { &sin, 1 };
		int tcp;

		must(setresgid(TEST_UID, TEST_UID, TEST_UID) == 0 && setresuid(TEST_UID, TEST_UID, TEST_UID) == 0, "uid");
		must(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0, "no_new_privs");
		must(kill(sibling, 0) == 0, "the sibling is there");
		must(landlock_apply(&profile_smtpd, NULL, 0, &report) == RC_OK, "landlock");
		tcp = socket(AF_INET, SOCK_STREAM, 0);
		if (open("/etc/passwd", O_RDONLY) != -1)
			_exit(11);
		if (connect(tcp, (struct sockaddr *)&sin, sizeof sin) != -1 || errno != EACCES)
			_exit(12);
		if (kill(sibling, 0) != -1 || errno != EPERM)
			_exit(13);
		if (ptrace(PTRACE_SEIZE, sibling, 0, 0) != -1)
			_exit(14);
		if (process_vm_readv(sibling, &v, 1, &v, 1, 0) != -1 || errno != EPERM)
			_exit(15);
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	(void)kill(sibling, SIGKILL);
	(void)waitpid(sibling, NULL, 0);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

/* --- 2. from outside --- */

static void
expect_line(const char *path, const char *key, const char *value)
{
	char line[512];
	size_t n = strlen(key);
	FILE *f = fopen(path, "r");
	bool seen = false;

	assert_non_null(f);
	while (fgets(line, sizeof line, f) != NULL) {
		char *v = line + n;
		size_t len;

		if (strncmp(line, key, n) != 0)
			continue;
		while (*v == '\t' || *v == ' ')
			v++;
		len = strlen(v);
		while (len > 0 && (v[len - 1] == '\n' || v[len - 1] == ' ' || v[len - 1] == '\t'))
			v[--len] = '\0';
		if (strcmp(v, value) != 0)
			fail_msg("%s: %s is '%s', not '%s'", path, key, v, value);
		seen = true;
	}
	(void)fclose(f);
	if (!seen)
		fail_msg("%s: no %s", path, key);
}

static void
looks_locked(pid_t pid, pid_t tid)
{
	static const char none[] = "0000000000000000", uids[] = "64123\t64123\t64123\t64123";
	char path[128], target[128];
	ssize_t n;

	(void)snprintf(path, sizeof path, "/proc/%d/task/%d/status", (int)pid, (int)tid);
	expect_line(path, "Seccomp:", "2");
	expect_line(path, "NoNewPrivs:", "1");
	expect_line(path, "CapInh:", none);
	expect_line(path, "CapPrm:", none);
	expect_line(path, "CapEff:", none);
	expect_line(path, "CapBnd:", none);
	expect_line(path, "CapAmb:", none);
	expect_line(path, "Uid:", uids);
	expect_line(path, "Gid:", uids);
	expect_line(path, "Groups:", "");
	(void)snprintf(path, sizeof path, "/proc/%d/root", (int)pid);
	n = readlink(path, target, sizeof target - 1);
	assert_true(n > 0);
	target[n] = '\0';
	assert_string_equal(target, root);
}

static void *
idle_thread(void *arg)
{
	char byte;

	return read(*(int *)arg, &byte, 1) == 1 ? arg : NULL;
}

static int thread_pipe[2];

static enum rc
one_thread(void *ctx, struct buf *why)
{
	pthread_t t;

	(void)ctx, (void)why;
	return pthread_create(&t, NULL, idle_thread, &thread_pipe[0]) == 0 ? RC_OK : RC_AGAIN;
}

static void
proc_shows_a_locked_process(void **state)
{
	(void)state;
	SKIP_UNLESS_ROOT();
	for (enum role role = ROLE_LOG; role < ROLE_COUNT; role++) {
		int ready[2];
		pid_t child;
		char byte, path[128];
		unsigned threads = 0;
		struct stat st;

		if (sandbox_profile(role) == NULL)
			continue;
		assert_int_equal(pipe(ready), 0);
		child = fork();
		assert_true(child >= 0);
		if (child == 0) {
			must(dup2(ready[1], 2) == 2, "dup2");
			threads_hook = role == ROLE_QUEUE ? one_thread : NULL;
			/* Descriptor 0 blocks for ever: nobody writes. */
			must(pipe(thread_pipe) == 0 && dup2(thread_pipe[0], 0) == 0 && dup2(thread_pipe[1], 1) == 1, "pipe");
			thread_pipe[0] = 0;
			(void)lock_up(role, NULL);
			_exit(write(2, "x", 1) == 1 && read(0, &byte, 1) == 1);
		}
		(void)close(ready[1]);
		assert_int_equal(read(ready[0], &byte, 1), 1);
		for (pid_t tid = child; tid < child + 8; tid++) {
			(void)snprintf(path, sizeof path, "/proc/%d/task/%d", (int)child, (int)tid);
			if (access(path, F_OK) != 0)
				continue;
			looks_locked(child, tid);
			threads++;
		}
		assert_int_equal(threads, role == ROLE_QUEUE ? 2 : 1);
		/* Owned by root: not dumpable, so that nobody of its uid looks in. */
		(void)snprintf(path, sizeof path, "/proc/%d/mem", (int)child);
		assert_int_equal(stat(path, &st), 0);
		assert_int_equal(st.st_uid, 0);
		(void)snprintf(path, sizeof path, "/proc/%d/limits", (int)child);
		expect_line(path, "Max core file size", "0                    0                    bytes");
		(void)close(ready[0]);
		(void)kill(child, SIGKILL);
		(void)waitpid(child, NULL, 0);
	}
}

/* --- 3. and still able to work --- */

static void
child_exits(int want_signal, enum role role, int keep, int (*work)(int dir))
{
	int status;
	pid_t child;

	(void)fflush(NULL);
	child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		int dir;

		threads_hook = NULL;
		dir = lock_up(role, keep == -1 ? NULL : &keep);
		_exit(work(dir));
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	if (want_signal != 0) {
		assert_true(WIFSIGNALED(status));
		assert_int_equal(WTERMSIG(status), want_signal);
		return;
	}
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
		fail_msg("%s: status %x", role_name(role), (unsigned)status);
}

static int
work_of_all(int dir)
{
	(void)dir;
	for (size_t n = 1; n < 64u << 20; n *= 7) {
		char *p = malloc(n);

		if (p == NULL)
			return 2;
		p[n - 1] = 1;
		p = realloc(p, n * 2);
		free(p);
	}
	(void)fprintf(stderr, "# a line on stderr\n");
	return 0;
}

static int
work_bug(int dir)
{
	(void)dir;
	BUG("on purpose");
}

static int
work_queue(int dir)
{
	struct iovec v[2] = { { (char[]){ "abc" }, 3 }, { (char[]){ "def" }, 3 } };
	char back[6];
	int fd = openat(dir, "segment.new", O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	if (fd == -1 || fallocate(fd, 0, 0, 4096) != 0 || pwritev(fd, v, 2, 0) != 6 || fdatasync(fd) != 0)
		return 2;
	if (mkdirat(dir, "big", 0700) != 0 || renameat(dir, "segment.new", dir, "big/segment") != 0)
		return 3;
	if (pread(fd, back, 6, 0) != 6 || memcmp(back, "abcdef", 6) != 0 || ftruncate(fd, 6) != 0 || fsync(dir) == 0)
		return 4;	/* O_PATH: fsync of the folder needs a descriptor of its own */
	(void)close(fd);
	fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd == -1 || fsync(fd) != 0 || unlinkat(dir, "big/segment", 0) != 0)
		return 5;
	return openat(dir, "../home", O_RDONLY | O_DIRECTORY) == -1 && errno == EACCES ? 0 : 6;
}

static int
work_mailbox(int dir)
{
	int fd;

	if (mkdirat(dir, "tmp", 0700) != 0 || mkdirat(dir, "new", 0700) != 0)
		return 2;
	fd = openat(dir, "tmp/m", O_WRONLY | O_CREAT | O_EXCL, 0600);
	if (fd == -1 || write(fd, "mail", 4) != 4 || fsync(fd) != 0)
		return 3;
	if (linkat(dir, "tmp/m", dir, "new/m", 0) != 0 || unlinkat(dir, "tmp/m", 0) != 0)
		return 4;
	if (renameat(dir, "new/m", dir, "tmp/m") != 0)
		return 5;
	return openat(dir, "..", O_RDONLY | O_DIRECTORY) == -1 && errno == EACCES ? 0 : 6;
}

static int
work_log(int dir)
{
	int fd = openat(dir, "log", O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);

	if (fd == -1 || write(fd, "line\n", 5) != 5)
		return 2;
	return openat(dir, "log", O_RDONLY) == -1 && errno == EACCES ? 0 : 3;
}

static int
work_smtpd(int dir)
{
	int one = 1, fd = accept4(0, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

	(void)dir;
	if (fd == -1 || setsockopt(fd, IPPROTO_TCP, 1 /* TCP_NODELAY */, &one, sizeof one) != 0)
		return 2;
	return send(fd, "220\r\n", 5, MSG_NOSIGNAL) == 5 && shutdown(fd, SHUT_WR) == 0 ? 0 : 3;
}

static uint16_t listener_port;

static int
work_deliver(int dir)
{
	struct sockaddr_in sin = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	(void)dir;
	if (fd == -1 || bind(fd, (struct sockaddr *)&sin, sizeof sin) != 0)
		return 2;
	sin.sin_port = listener_port;
	return connect(fd, (struct sockaddr *)&sin, sizeof sin) == 0 ? 0 : 3;
}

static int
make_listener(void)
{
	struct sockaddr_in sin = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
	socklen_t len = sizeof sin;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&sin, sizeof sin), 0);
	assert_int_equal(listen(fd, 8), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&sin, &len), 0);
	listener_port = sin.sin_port;
	return fd;
}

static void
rooms_can_work(void **state)
{
	struct sockaddr_in sin = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
	int listener, client;

	(void)state;
	SKIP_UNLESS_ROOT();
	for (enum role role = ROLE_LOG; role < ROLE_COUNT; role++)
		if (sandbox_profile(role) != NULL)
			child_exits(0, role, -1, work_of_all);
	child_exits(0, ROLE_QUEUE, -1, work_queue);
	child_exits(0, ROLE_MAILBOX, -1, work_mailbox);
	child_exits(0, ROLE_LOG, -1, work_log);
	listener = make_listener();
	sin.sin_port = listener_port;
	child_exits(0, ROLE_DELIVER, -1, work_deliver);
	client = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(connect(client, (struct sockaddr *)&sin, sizeof sin), 0);
	(void)close(accept(listener, NULL, NULL));	/* the connection of work_deliver */
	child_exits(0, ROLE_SMTPD, listener, work_smtpd);
	(void)close(client);
	(void)close(listener);
}

/* Our own faults end in SIGABRT and a message, not in SIGSYS. */
static void
bug_aborts(void **state)
{
	(void)state;
	SKIP_UNLESS_ROOT();
	for (enum role role = ROLE_LOG; role < ROLE_COUNT; role++)
		if (sandbox_profile(role) != NULL)
			child_exits(SIGABRT, role, -1, work_bug);
}

/* --- 4. what must be refused --- */

static void
root_is_refused(void **state)
{
	struct buf report = BUF_INIT(4096);
	int status, ignored;
	pid_t child;

	(void)state;
	SKIP_UNLESS_ROOT();
	child = fork();
	if (child == 0) {
		struct sandbox_params params = { .role = ROLE_SMTPD, .root = root, .enforce = false };

		_exit(sandbox_enter(&params, &report, &ignored) == RC_OK ? 1 : 0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

static void
early_threads_are_refused(void **state)
{
	int status;
	pid_t child;

	(void)state;
	SKIP_UNLESS_ROOT();
	child = fork();
	if (child == 0) {
		struct buf report = BUF_INIT(4096);
		struct sandbox_params params = { .role = ROLE_QUEUE, .uid = TEST_UID, .gid = TEST_UID, .root = root };
		int ignored;

		must(pipe(thread_pipe) == 0 && one_thread(NULL, NULL) == RC_OK, "thread");
		_exit(sandbox_enter(&params, &report, &ignored) == RC_DENIED ? 0 : 1);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

/* What exec hands down is gone: descriptors, environment, soft limits. */
static void
begin_cleans_up(void **state)
{
	int status;
	pid_t child = fork();

	(void)state;
	if (child == 0) {
		struct rlimit r;

		must(setenv("LD_PRELOAD", "x", 1) == 0 && dup2(0, 77) == 77, "setup");
		must(sandbox_begin(ROLE_CONTROL) == RC_OK, "begin");
		if (getenv("LD_PRELOAD") != NULL || fcntl(77, F_GETFD) != -1)
			_exit(2);
		if (getrlimit(RLIMIT_CORE, &r) != 0 || r.rlim_max != 0)
			_exit(3);
		if (getrlimit(RLIMIT_NOFILE, &r) != 0 || r.rlim_max > profile_control.nofile || r.rlim_cur != r.rlim_max)
			_exit(4);
		_exit(prctl(PR_GET_DUMPABLE, 0, 0, 0, 0));
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(begin_cleans_up),
		cmocka_unit_test(rooms_can_work),
		cmocka_unit_test(bug_aborts),
		cmocka_unit_test(proc_shows_a_locked_process),
		cmocka_unit_test(landlock_alone_holds),
		cmocka_unit_test(root_is_refused),
		cmocka_unit_test(early_threads_are_refused),
		cmocka_unit_test(every_probe_is_denied),
	};

	return cmocka_run_group_tests(tests, make_folders, remove_folders);
}
