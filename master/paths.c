/* master/paths.c -- the folders of an installation, see paths.h. */
#include "master/paths.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char *
joined(const char *a, const char *b)
{
	char *s = NULL;

	if (asprintf(&s, "%s/%s", a, b) == -1)
		return NULL;
	return s;
}

/* What the configuration says, or BASE/name, or the place of the build. */
static char *
chosen(const char *configured, const char *base, const char *name, const char *built_in)
{
	if (*configured != '\0')
		return strdup(configured);
	return base != NULL ? joined(base, name) : strdup(built_in);
}

enum rc
paths_choose(const struct conf_global *conf, const char *base, struct paths *ret_paths)
{
	struct paths p = { 0 };

	p.state_dir = chosen(conf->state_dir, base, "spool", POSTERN_LOCALSTATEDIR "/spool/postern");
	p.run_dir = chosen(conf->run_dir, base, "run", POSTERN_RUNSTATEDIR);
	if (p.state_dir != NULL && p.run_dir != NULL) {
		p.control = joined(p.run_dir, "control");
		p.empty = joined(p.run_dir, "empty");
		p.scratch = joined(p.run_dir, "scratch");
	}
	if (p.control == NULL || p.empty == NULL || p.scratch == NULL) {
		paths_free(&p);
		return RC_NOMEM;
	}
	*ret_paths = p;
	return RC_OK;
}

void
paths_free(struct paths *p)
{
	free(p->state_dir);
	free(p->run_dir);
	free(p->control);
	free(p->empty);
	free(p->scratch);
	*p = (struct paths){ 0 };
}

int
paths_open_folder(const char *path, struct buf *why)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (fd == -1)
		(void)buf_printf(why, "%s: %m", path);
	return fd;
}

/* Missing parents are made too, 0755, as install(1) would. */
static enum rc
make_parents(const char *path, struct buf *why)
{
	char *copy = strdup(path);
	enum rc rc = RC_OK;

	if (copy == NULL)
		return RC_NOMEM;
	for (char *slash = strchr(copy + 1, '/'); slash != NULL && rc == RC_OK; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		if (mkdir(copy, 0755) == -1 && errno != EEXIST) {
			rc = rc_from_errno(errno);
			(void)buf_printf(why, "%s: %m", copy);
		}
		*slash = '/';
	}
	free(copy);
	return rc;
}

/* By descriptor: what is changed is what was opened, whatever stands at the path meanwhile. */
static enum rc
make_folder(const char *path, mode_t mode, uid_t uid, gid_t gid, struct buf *why)
{
	enum rc rc = make_parents(path, why);
	struct stat st;
	int fd;

	if (rc != RC_OK)
		return rc;
	if (mkdir(path, mode) == -1 && errno != EEXIST) {
		rc = rc_from_errno(errno);
		(void)buf_printf(why, "%s: cannot be made: %m", path);
		return rc;
	}
	fd = paths_open_folder(path, why);
	if (fd == -1)
		return RC_IO;
	if (fstat(fd, &st) == -1 || ((st.st_uid != uid || st.st_gid != gid) && fchown(fd, uid, gid) == -1) ||
	    ((st.st_mode & 07777) != mode && fchmod(fd, mode) == -1)) {
		rc = rc_from_errno(errno);
		(void)buf_printf(why, "%s: owner and mode cannot be set: %m", path);
	}
	(void)close(fd);
	return rc;
}

enum rc
paths_make(const struct paths *p, uid_t queue_uid, gid_t queue_gid, struct buf *why)
{
	enum rc rc = make_folder(p->run_dir, 0755, 0, 0, why);

	if (rc == RC_OK)
		rc = make_folder(p->empty, 0555, 0, 0, why);
	if (rc == RC_OK)
		rc = make_folder(p->scratch, 0555, 0, 0, why);
	if (rc == RC_OK)
		rc = make_folder(p->state_dir, 0700, queue_uid, queue_gid, why);
	return rc;
}

enum rc
paths_check_spool(const struct paths *p, uid_t queue_uid, gid_t queue_gid, struct buf *why)
{
	char *name = joined(p->state_dir, "spool.id");
	struct stat st;
	bool foreign = name != NULL && lstat(name, &st) == 0 && st.st_uid != queue_uid;

	free(name);
	if (!foreign)
		return RC_OK;
	(void)buf_printf(why, "%s: this spool belongs to uid %u, and the queue is to run as uid %u (uid-base, or the account"
	    " postern-queue); with Postern stopped: chown -R %u:%u %s", p->state_dir, (unsigned)st.st_uid, (unsigned)queue_uid,
	    (unsigned)queue_uid, (unsigned)queue_gid, p->state_dir);
	return RC_DENIED;
}

/* --- one master an installation --- */

enum {
	LOCK_TEXT_MAX = 16 * 1024,
	/* Two bytes are locked, each for itself. Between the first and the second, what the file holds is of the run before. */
	LOCK_RUNS = 0,		/* a master has the place */
	LOCK_TOLD = 1,		/* and the text is its own */
};

/* Of the open file, not of the process: it stays when the process goes to the background. */
static bool
lock(int fd, off_t byte)
{
	struct flock one = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = byte, .l_len = 1 };

	return fcntl(fd, F_OFD_SETLK, &one) == 0;
}

static bool
is_locked(int fd, off_t byte)
{
	struct flock one = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = byte, .l_len = 1 };

	return fcntl(fd, F_OFD_GETLK, &one) == 0 && one.l_type == F_WRLCK;
}

enum rc
paths_lock(const struct paths *p, int *ret_lock, struct buf *why)
{
	char *name = joined(p->run_dir, "lock");
	enum rc rc = RC_OK;
	int fd;

	if (name == NULL)
		return RC_NOMEM;
	/* Whoever may open it for reading may lock it for reading, and so keep a master from starting: nobody else may. */
	fd = open(name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd == -1 || fchmod(fd, 0600) == -1 || !lock(fd, LOCK_RUNS)) {
		rc = errno == EWOULDBLOCK ? RC_EXISTS : rc_from_errno(errno);
		if (rc == RC_EXISTS)
			(void)buf_printf(why, "%s is locked: another Postern runs here; posternctl stop ends it", name);
		else
			(void)buf_printf(why, "%s: %m", name);
		if (fd != -1)
			(void)close(fd);
	} else
		*ret_lock = fd;
	free(name);
	return rc;
}

/* A write that is short has a reason, which the next one gives. */
static bool
write_all(int fd, struct slice s)
{
	off_t at = 0;

	while (s.n > 0) {
		ssize_t n = pwrite(fd, s.p, s.n, at);

		if (n == 0)
			errno = ENOSPC;
		if (n == 0 || (n == -1 && errno != EINTR))
			return false;
		if (n > 0) {
			s = slice_from(s, (size_t)n);
			at += n;
		}
	}
	return true;
}

enum rc
paths_lock_tell(int fd, struct slice text, struct buf *why)
{
	struct buf content = BUF_INIT(LOCK_TEXT_MAX);
	enum rc rc = RC_OK;

	(void)buf_printf(&content, "%ld\n", (long)getpid());
	if (!buf_put_slice(&content, text))
		rc = RC_RANGE;
	else if (ftruncate(fd, 0) == -1 || !write_all(fd, buf_slice(&content)) || !lock(fd, LOCK_TOLD))
		rc = rc_from_errno(errno);
	if (rc != RC_OK)
		(void)buf_printf(why, "run-dir: its file \"lock\" cannot be written: %s",
		    rc == RC_RANGE ? "the paths are too long" : strerror(errno));
	buf_free(&content);
	return rc;
}

static bool
read_text(int fd, struct buf *to)
{
	uint8_t *room;
	ssize_t n;

	buf_clear(to);
	room = buf_reserve(to, LOCK_TEXT_MAX);
	n = room == NULL ? -1 : pread(fd, room, LOCK_TEXT_MAX, 0);
	if (n > 0)
		buf_advance(to, (size_t)n);
	return n > 0;
}

/* The text before and after it was seen that its writer has the lock: the same, or one master has followed another meanwhile. */
static bool
read_told(int fd, struct buf *to)
{
	enum { TRIES = 100 };
	struct buf before = BUF_INIT(LOCK_TEXT_MAX);
	bool ok = false;

	for (unsigned i = 0; i < TRIES && !ok; i++) {
		if (!read_text(fd, &before) || !is_locked(fd, LOCK_TOLD))
			break;
		ok = read_text(fd, to) && slice_eq(buf_slice(to), buf_slice(&before));
	}
	buf_free(&before);
	return ok;
}

bool
paths_read_lock(const char *run_dir, struct buf *to)
{
	struct buf text = BUF_INIT(LOCK_TEXT_MAX);
	char *name = joined(run_dir, "lock");
	int fd = name == NULL ? -1 : open(name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	bool told = fd != -1 && read_told(fd, &text);

	if (told)
		told = buf_put_slice(to, buf_slice(&text));
	if (fd != -1)
		(void)close(fd);
	buf_free(&text);
	free(name);
	return told;
}
