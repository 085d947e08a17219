/* master/run_lock.c -- see run_lock.h. */
#include "master/run_lock.h"

#include "common/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
	LOCK_TEXT_MAX = 16 * 1024,
	/* Two bytes are locked, each for itself. Between the first and the second, what the file holds is of the run before. */
	LOCK_RUNS = 0,		/* a master has the place */
	LOCK_TOLD = 1,		/* and the text is its own */
};

/* Of the open file, not of the process: it stays when the process goes to the background. */
static bool
lock_byte(int fd, off_t byte)
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

/* NULL: no memory. To be freed. */
static char *
path_of(const char *run_dir)
{
	char *s = NULL;

	return asprintf(&s, "%s/lock", run_dir) == -1 ? NULL : s;
}

enum rc
run_lock_take(const char *run_dir, int *ret_lock, struct buf *why)
{
	char *name = path_of(run_dir);
	enum rc rc = RC_OK;
	int fd;

	if (name == NULL) {
		(void)buf_printf(why, "%s/lock: out of memory", run_dir);
		return RC_NOMEM;
	}
	/* Whoever may open it for reading may lock it for reading, and so keep a master from starting: nobody else may. */
	fd = open(name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd == -1 || fchmod(fd, 0600) == -1 || !lock_byte(fd, LOCK_RUNS)) {
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
run_lock_tell(int fd, struct slice text, struct buf *why)
{
	struct buf content = BUF_INIT(LOCK_TEXT_MAX);
	enum rc rc = RC_OK;

	(void)buf_printf(&content, "%ld\n", (long)getpid());
	if (!buf_put_slice(&content, text))
		rc = RC_RANGE;
	else if (ftruncate(fd, 0) == -1 || !write_all(fd, buf_slice(&content)) || !lock_byte(fd, LOCK_TOLD))
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
	size_t n;

	buf_clear(to);
	room = buf_reserve(to, LOCK_TEXT_MAX);
	if (room == NULL || file_read(fd, room, LOCK_TEXT_MAX, &n) != RC_OK)
		return false;
	buf_advance(to, n);
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
run_lock_read(const char *run_dir, struct buf *to)
{
	struct buf text = BUF_INIT(LOCK_TEXT_MAX);
	char *name = path_of(run_dir);
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
