/* common/sandbox/enter.c -- the order in which a room locks itself up (docs/THREATS.md, "The lock-down").
 *
 * Nothing here may depend on anything that a stranger sent: all of it runs before the first hostile byte. */
#include <config.h>

#include "common/sandbox/sandbox.h"

#include "common/sandbox/profile.h"
#include "common/sandbox/walls.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifdef POSTERN_SANITIZERS
enum { SANITIZED = true };	/* their run time needs /proc, address space and calls that no filter would pass */

/* Looking for leaks at the end takes /proc and ptrace, which a locked process has lost. The run time asks this. */
static bool locked_up;
int __lsan_is_turned_off(void);
int
__lsan_is_turned_off(void)
{
	return locked_up;
}
#else
enum { SANITIZED = false };
#endif

enum {
	FIRST_UNWIRED_FD = 4,	/* 0-2 and the line to master stay */
	CAPS_MAX = 64,		/* bits in the kernel's sets */
};

/* --- begin: right after exec --- */

static bool
lower_limit(int resource, rlim_t to)
{
	struct rlimit r;

	if (getrlimit((__rlimit_resource_t)resource, &r) == -1)
		return false;
	/* Only down: raising a hard limit would need CAP_SYS_RESOURCE. */
	if (r.rlim_max == RLIM_INFINITY || to < r.rlim_max)
		r.rlim_max = to;
	r.rlim_cur = r.rlim_max;
	return setrlimit((__rlimit_resource_t)resource, &r) == 0;
}

/* No limit on file size: standard error may be a file, and the last words of a room that aborts go there. */
static bool
set_limits(const struct sandbox_profile *p)
{
	if (!lower_limit(RLIMIT_CORE, 0) || !lower_limit(RLIMIT_NOFILE, p->nofile == 0 ? RLIM_INFINITY : p->nofile))
		return false;
	/* For root it has no effect; once the uid is the room's own, it can have no children. */
	if (!p->threads && !SANITIZED && !lower_limit(RLIMIT_NPROC, 0))
		return false;
	return p->address_space == 0 || SANITIZED || lower_limit(RLIMIT_AS, p->address_space);
}

enum rc
sandbox_begin(enum role role)
{
	const struct sandbox_profile *p = sandbox_profile(role);

	if (p == NULL)
		return RC_UNSUPPORTED;
	if (close_range(FIRST_UNWIRED_FD, ~0U, 0) == -1 || clearenv() != 0)
		return RC_IO;
	(void)umask(077);
	/* A line whose other end died is an error to handle, not a signal to die of; the same for a limit on a file. */
	if (signal(SIGPIPE, SIG_IGN) == SIG_ERR || signal(SIGXFSZ, SIG_IGN) == SIG_ERR)
		return RC_IO;
	/* exec has just set it to 1: whoever has our uid could read our memory and take our descriptors. */
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) == -1 || !set_limits(p))
		return RC_IO;
	return RC_OK;
}

/* --- enter --- */

struct entry {
	const struct sandbox_params *params;
	const struct sandbox_profile *profile;
	struct buf *report;
	int folder;
};

static enum rc
failed(struct entry *e, const char *step)
{
	enum rc rc = rc_from_errno(errno);

	(void)buf_printf(e->report, "%s: %s\n", step, strerror(errno));
	return rc;
}

/* For what a kernel or a container may lack. */
static enum rc
lacking(struct entry *e, const char *step)
{
	if (e->params->enforce)
		return failed(e, step);
	(void)buf_printf(e->report, "missing: %s: %s\n", step, strerror(errno));
	return RC_OK;
}

/* A thread made before this point would keep what this one gives up. */
static enum rc
check_alone(struct entry *e)
{
	DIR *d = SANITIZED ? NULL : opendir("/proc/self/task");
	const struct dirent *entry;
	unsigned threads = 0;

	if (d == NULL)
		return RC_OK;	/* no /proc: the check from outside (postern selftest) sees it too */
	while ((entry = readdir(d)) != NULL)
		threads += entry->d_name[0] != '.';
	(void)closedir(d);
	if (threads <= 1)
		return RC_OK;
	(void)buf_printf(e->report, "threads: %u exist already; they belong into room_ops.threads\n", threads);
	return RC_DENIED;
}

/* As the user, whose home may be on a file system where root is nobody, and whose symbolic links must not lead us where
 * he cannot go himself. */
static enum rc
open_folder(struct entry *e)
{
	const struct sandbox_params *p = e->params;
	enum rc rc = RC_OK;

	if (p->folder == NULL)
		return RC_OK;
	if (setgroups(0, NULL) == -1 || setegid(p->gid) == -1 || seteuid(p->uid) == -1)
		return failed(e, "folder: becoming the user");
	if (mkdir(p->folder, 0700) == -1 && errno != EEXIST)
		rc = failed(e, "folder: cannot make it");
	if (rc == RC_OK)
		e->folder = open(p->folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (rc == RC_OK && e->folder == -1)
		rc = failed(e, "folder: cannot open it");
	if (seteuid(0) == -1 || setegid(0) == -1)
		return failed(e, "folder: becoming root again");
	return rc;
}

/* No mount namespace: it would hold mounts that the administrator wants to take away, and behind an empty root, without
 * capabilities, it keeps nobody from anything. */
static enum rc
leave_namespaces(struct entry *e)
{
	if (unshare(CLONE_NEWIPC | CLONE_NEWUTS) == -1) {
		enum rc rc = lacking(e, "namespaces: ipc, uts");

		if (rc != RC_OK)
			return rc;
	}
	if (e->profile->net) {
		(void)buf_put_str(e->report, "network: the machine's\n");
		return RC_OK;
	}
	if (unshare(CLONE_NEWNET) == -1)
		return lacking(e, "empty network namespace");
	(void)buf_put_str(e->report, "network: none\n");
	return RC_OK;
}

static enum rc
leave_file_system(struct entry *e)
{
	struct stat st;

	if (SANITIZED) {
		(void)buf_put_str(e->report, "missing: chroot, seccomp, address-space limit (sanitizer build)\n");
		return RC_OK;
	}
	if (e->params->root == NULL || e->params->root[0] != '/') {
		errno = EINVAL;
		return failed(e, "empty root");
	}
	if (lstat(e->params->root, &st) == -1)
		return failed(e, "empty root");
	if (!S_ISDIR(st.st_mode) || st.st_uid != 0 || (st.st_mode & 0022) != 0) {
		errno = ENOTDIR;
		return failed(e, "empty root: not a folder that only root may write to");
	}
	if (chroot(e->params->root) == -1)
		return lacking(e, "empty root");
	if (chdir("/") == -1)
		return failed(e, "empty root");
	(void)buf_put_str(e->report, "root: empty\n");
	return RC_OK;
}

/* While still root: what is gone from the bounding set can never come back, by any exec. */
static enum rc
drop_bounding_set(struct entry *e)
{
	if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) == -1)
		return lacking(e, "capabilities: ambient set");
	for (unsigned long cap = 0; cap < CAPS_MAX; cap++)
		if (prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) == -1)
			return errno == EINVAL ? RC_OK : lacking(e, "capabilities: bounding set");
	return RC_OK;
}

static enum rc
become_user(struct entry *e)
{
	const struct sandbox_params *p = e->params;

	if (p->uid == 0 || p->gid == 0) {
		errno = EPERM;
		return failed(e, "uid: root is no room's account");
	}
	if (setgroups(0, NULL) == -1 || setresgid(p->gid, p->gid, p->gid) == -1 ||
	    setresuid(p->uid, p->uid, p->uid) == -1)
		return failed(e, "uid");
	(void)buf_printf(e->report, "uid: %lu gid: %lu groups: none\n", (unsigned long)p->uid, (unsigned long)p->gid);
	return RC_OK;
}

static enum rc
drop_capabilities(struct entry *e)
{
	struct __user_cap_header_struct head = { _LINUX_CAPABILITY_VERSION_3, 0 };
	struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = { { 0, 0, 0 } };

	if (syscall(SYS_capset, &head, none) == -1)
		return failed(e, "capabilities");
	(void)buf_put_str(e->report, "capabilities: none\n");
	return RC_OK;
}

static enum rc
close_doors(struct entry *e)
{
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == -1)
		return failed(e, "no_new_privs");
	/* Changing the uid may have set it back to what /proc/sys/fs/suid_dumpable says. */
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) == -1)
		return failed(e, "dumpable");
	return RC_OK;
}

static enum rc
raise_landlock(struct entry *e)
{
	const struct sandbox_params *p = e->params;
	enum rc rc;

	rc = p->folder == NULL ? landlock_apply(e->profile, p->beneath, p->n_beneath, e->report) :
	    landlock_apply(e->profile, &e->folder, 1, e->report);
	if (rc == RC_UNSUPPORTED) {
		errno = ENOSYS;
		return lacking(e, "landlock");
	}
	return rc;
}

static enum rc
make_threads(struct entry *e)
{
	return e->params->make_threads == NULL ? RC_OK : e->params->make_threads(e->params->ctx, e->report);
}

/* What cannot be asked any more once the filter stands. */
static enum rc
check_identity(struct entry *e)
{
	struct __user_cap_header_struct head = { _LINUX_CAPABILITY_VERSION_3, 0 };
	struct __user_cap_data_struct caps[_LINUX_CAPABILITY_U32S_3];
	uid_t r, s, u;
	gid_t rg, eg, sg;

	if (getresuid(&r, &u, &s) == -1 || getresgid(&rg, &eg, &sg) == -1 || syscall(SYS_capget, &head, caps) == -1)
		return failed(e, "check");
	errno = EPERM;
	if (r != e->params->uid || u != r || s != r || rg != e->params->gid || eg != rg || sg != rg)
		return failed(e, "check: still another user");
	if (getgroups(0, NULL) != 0)
		return failed(e, "check: groups left");
	for (size_t i = 0; i < _LINUX_CAPABILITY_U32S_3; i++)
		if ((caps[i].effective | caps[i].permitted | caps[i].inheritable) != 0)
			return failed(e, "check: capabilities left");
	return RC_OK;
}

static enum rc
raise_seccomp(struct entry *e)
{
	return SANITIZED ? RC_OK : seccomp_apply(e->profile, e->report);
}

static enum rc
check_locked(struct entry *e)
{
	errno = EPERM;
	if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1 || prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) != 0)
		return failed(e, "check: new privileges or dumps are possible");
	if (!SANITIZED && prctl(PR_GET_SECCOMP, 0, 0, 0, 0) != 2)
		return failed(e, "check: no filter");
	return RC_OK;
}

enum rc
sandbox_enter(const struct sandbox_params *params, struct buf *report, int *ret_folder)
{
	/* The order is the point; docs/THREATS.md, "The lock-down" has the reason of each place. */
	static enum rc (*const steps[])(struct entry *) = {
		check_alone,
		open_folder,		/* needs the file system */
		leave_namespaces,	/* needs CAP_SYS_ADMIN */
		leave_file_system,	/* needs CAP_SYS_CHROOT */
		drop_bounding_set,	/* needs CAP_SETPCAP */
		become_user,		/* needs CAP_SETUID; takes the capabilities away */
		drop_capabilities,
		close_doors,		/* Landlock and seccomp ask for no_new_privs */
		raise_landlock,
		make_threads,		/* they inherit everything above */
		check_identity,
		raise_seccomp,		/* the last: nothing above would pass it */
		check_locked,
	};
	struct entry e = { params, sandbox_profile(params->role), report, -1 };

	if (e.profile == NULL)
		return RC_UNSUPPORTED;
#ifdef POSTERN_SANITIZERS
	locked_up = true;
#endif
	for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
		enum rc rc = steps[i](&e);

		if (rc != RC_OK)
			return rc;
	}
	*ret_folder = e.folder;
	return RC_OK;
}
