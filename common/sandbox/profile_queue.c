/* common/sandbox/profile_queue.c -- queue: the spool and nothing but the spool. No socket of any kind can be made. Its
 * threads (committer, readers) are made in room_ops.threads, after Landlock and before the filter. */
#include "common/sandbox/profile.h"

#include <fcntl.h>
#include <seccomp.h>

#define FCNTL(command, why) { SCMP_SYS(fcntl), SC_ALLOW, { SC_INT(1, command) }, why }

static const struct sc_rule rules[] = {
	{ SCMP_SYS(openat), SC_ALLOW, { { 0 } }, "segments and big messages; Landlock keeps it beneath the spool" },
	{ SCMP_SYS(pread64), SC_ALLOW, { { 0 } }, "reading records" },
	{ SCMP_SYS(preadv), SC_ALLOW, { { 0 } }, "the same, gathered" },
	{ SCMP_SYS(preadv2), SC_ALLOW, { { 0 } }, "the same, only when it is in the cache (RWF_NOWAIT)" },
	{ SCMP_SYS(pwrite64), SC_ALLOW, { { 0 } }, "appending records" },
	{ SCMP_SYS(pwritev), SC_ALLOW, { { 0 } }, "the same, a whole batch" },
	{ SCMP_SYS(pwritev2), SC_ALLOW, { { 0 } }, "the same" },
	{ SCMP_SYS(fdatasync), SC_ALLOW, { { 0 } }, "the promise behind 250" },
	{ SCMP_SYS(fsync), SC_ALLOW, { { 0 } }, "the same, and folders" },
	{ SCMP_SYS(sync_file_range), SC_ALLOW, { { 0 } }, "early write-back of big messages" },
	{ SCMP_SYS(fallocate), SC_ALLOW, { { 0 } }, "segments are laid out before they are written; holes of dead messages" },
	{ SCMP_SYS(ftruncate), SC_ALLOW, { { 0 } }, "the uncommitted tail" },
	{ SCMP_SYS(fadvise64), SC_ALLOW, { { 0 } }, "start-up reads ahead, and does not push out the cache" },
	{ SCMP_SYS(lseek), SC_ALLOW, { { 0 } }, "sizes, holes" },
	{ SCMP_SYS(renameat), SC_ALLOW, { { 0 } }, "a new segment gets its name" },
	{ SCMP_SYS(renameat2), SC_ALLOW, { { 0 } }, "the same, never over an old one" },
	{ SCMP_SYS(linkat), SC_ALLOW, { { 0 } }, "quarantine" },
	{ SCMP_SYS(unlinkat), SC_ALLOW, { { 0 } }, "segments and big messages that are done" },
	{ SCMP_SYS(mkdirat), SC_ALLOW, { { 0 } }, "folders of the spool" },
	{ SCMP_SYS(getdents64), SC_ALLOW, { { 0 } }, "what is in the spool" },
	{ SCMP_SYS(newfstatat), SC_ALLOW, { { 0 } }, "sizes, by name too" },
	{ SCMP_SYS(statx), SC_ALLOW, { { 0 } }, "the same" },
	{ SCMP_SYS(fstatfs), SC_ALLOW, { { 0 } }, "free space; is this a disk" },
	{ SCMP_SYS(flock), SC_ALLOW, { { 0 } }, "one queue a spool" },
	FCNTL(F_GETFL, "non-blocking"),
	FCNTL(F_SETFL, "non-blocking"),
	FCNTL(F_GETFD, "libevent asks"),
	FCNTL(F_SETFD, "close-on-exec"),
	FCNTL(F_DUPFD_CLOEXEC, "fdopendir needs a descriptor of its own"),
	FCNTL(F_OFD_SETLK, "one queue a spool"),
	FCNTL(F_OFD_GETLK, "the same"),
	{ SCMP_SYS(eventfd2), SC_ALLOW, { { 0 } }, "the committer wakes the loop" },
};

const struct sandbox_profile profile_queue = {
	.rules = rules,
	.n_rules = sizeof rules / sizeof rules[0],
	.nofile = 8192,		/* open segments and big messages */
	/* No limit on memory: the index of ten million messages may need it, and the queue is the last to die. */
	.wall = WALL_READ | WALL_WRITE | WALL_CREATE | WALL_REMOVE | WALL_MOVE,
	.threads = true,
};
