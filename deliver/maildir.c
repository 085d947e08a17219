/* deliver/maildir.c -- see maildir.h. */
#include "deliver/maildir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum {
	COPY_PIECE = 64 * 1024,
	CREATE_TRIES = 3,	/* a name that vanishes between open and lock, again and again, is somebody's game */
	DIRENT_BYTES = 8192,
};

static const char prefix[] = "postern.";

static enum rc
failed(struct maildir *m, const char *what)
{
	m->error = errno;
	m->what = what;
	return rc_from_errno(errno);
}

static enum rc
refused(struct maildir *m, const char *what)
{
	m->error = 0;
	m->what = what;
	return RC_DENIED;
}

/* --- folders --- */

/* Nobody else may make or swap what we find in there. */
static enum rc
check_owner(struct maildir *m, int fd, const char *what)
{
	struct stat st;

	if (fstat(fd, &st) == -1)
		return failed(m, what);
	if (st.st_uid != m->uid)
		return refused(m, "the Maildir or a folder in it belongs to somebody else");
	if ((st.st_mode & S_IWOTH) != 0)
		return refused(m, "the Maildir or a folder in it may be written to by anybody");
	return RC_OK;
}

static enum rc
open_sub(struct maildir *m, int folder, const char *name, int *ret_fd, bool *made)
{
	enum rc rc;

	if (mkdirat(folder, name, 0700) == 0)
		*made = true;
	else if (errno != EEXIST)
		return failed(m, "making the folders of the Maildir");
	*ret_fd = openat(folder, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (*ret_fd == -1)
		return failed(m, "opening the folders of the Maildir");
	rc = check_owner(m, *ret_fd, "looking at the folders of the Maildir");
	if (rc != RC_OK) {
		(void)close(*ret_fd);
		*ret_fd = -1;
	}
	return rc;
}

/* New folders must not be lost with what is in them. */
static enum rc
sync_folder(struct maildir *m, int folder)
{
	int fd = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	enum rc rc = RC_OK;

	if (fd == -1 || fsync(fd) == -1)
		rc = failed(m, "syncing the Maildir");
	if (fd != -1)
		(void)close(fd);
	return rc;
}

/* '/' and ':' would end a name or its flags; the Maildir page has these replacements. */
static void
put_host(struct maildir *m, struct slice host)
{
	size_t n = 0;

	for (size_t i = 0; i < host.n && n + 4 <= MAILDIR_HOST_MAX; i++) {
		uint8_t c = host.p[i];

		if (c == '/' || c == ':' || c == ',' || c <= ' ' || c >= 0x7f) {
			(void)snprintf(m->host + n, 5, "\\%03o", c);
			n += 4;
		} else {
			m->host[n++] = (char)c;
		}
	}
	m->host[n] = '\0';
}

enum rc
maildir_open(struct maildir *m, int folder, uid_t uid, struct slice host)
{
	bool made = false;
	int cur = -1;
	enum rc rc;

	*m = (struct maildir){ .tmp = -1, .new = -1, .uid = uid };
	put_host(m, host);
	rc = check_owner(m, folder, "looking at the Maildir");
	if (rc == RC_OK)
		rc = open_sub(m, folder, "tmp", &m->tmp, &made);
	if (rc == RC_OK)
		rc = open_sub(m, folder, "new", &m->new, &made);
	if (rc == RC_OK)
		rc = open_sub(m, folder, "cur", &cur, &made);
	if (rc == RC_OK && made)
		rc = sync_folder(m, folder);
	if (cur != -1)
		(void)close(cur);
	if (rc != RC_OK)
		maildir_close(m);
	return rc;
}

void
maildir_close(struct maildir *m)
{
	if (m->tmp != -1)
		(void)close(m->tmp);
	if (m->new != -1)
		(void)close(m->new);
	m->tmp = m->new = -1;
}

/* --- a file --- */

static void
tmp_name(const struct maildir *m, struct msgid id, uint16_t index, char name[MAILDIR_NAME_MAX])
{
	char qid[QUEUE_ID_LEN];

	queue_id_format(id, qid);
	(void)snprintf(name, MAILDIR_NAME_MAX, "%s%012llx.%.*s.%u.%s", prefix, (unsigned long long)id.spool, QUEUE_ID_LEN,
	    qid, (unsigned)index, m->host);
}

/* What stands under the name is ours, locked, and what the name still means. RC_MORE: it vanished meanwhile. */
static enum rc
claim(struct maildir *m, const struct maildir_file *f, nlink_t *ret_links)
{
	struct stat st, named;

	if (flock(f->fd, LOCK_EX | LOCK_NB) == -1) {
		if (errno == EWOULDBLOCK) {
			m->error = 0;
			m->what = "another process is delivering this message";
			return RC_AGAIN;
		}
		return failed(m, "locking a file in tmp");
	}
	if (fstat(f->fd, &st) == -1)
		return failed(m, "looking at a file in tmp");
	if (!S_ISREG(st.st_mode) || st.st_uid != m->uid)
		return refused(m, "something in tmp has the name of our file and is not ours");
	if (fstatat(m->tmp, f->name, &named, AT_SYMLINK_NOFOLLOW) == -1 || named.st_ino != st.st_ino ||
	    named.st_dev != st.st_dev)
		return RC_MORE;
	*ret_links = st.st_nlink;
	return RC_OK;
}

static enum rc
open_claimed(struct maildir *m, struct maildir_file *f, nlink_t *ret_links)
{
	enum rc rc = RC_MORE;

	for (int i = 0; i < CREATE_TRIES && rc == RC_MORE; i++) {
		f->fd = openat(m->tmp, f->name, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, 0600);
		if (f->fd == -1)
			return failed(m, "making a file in tmp");
		rc = claim(m, f, ret_links);
		if (rc != RC_OK) {
			(void)close(f->fd);
			f->fd = -1;
		}
	}
	return rc == RC_MORE ? refused(m, "files vanish from tmp") : rc;
}

enum rc
maildir_create(struct maildir *m, struct msgid id, uint16_t index, struct maildir_file *ret_file)
{
	struct maildir_file f = { .fd = -1 };
	nlink_t links = 0;
	enum rc rc;

	tmp_name(m, id, index, f.name);
	rc = open_claimed(m, &f, &links);
	if (rc != RC_OK)
		return rc;
	if (links > 1) {
		rc = fsync(f.fd) == -1 || fsync(m->new) == -1 ? failed(m, "syncing new") : RC_EXISTS;
		(void)close(f.fd);
		return rc;
	}
	/* What an attempt that died has left. */
	if (ftruncate(f.fd, 0) == -1) {
		rc = failed(m, "emptying a file in tmp");
		(void)close(f.fd);
		return rc;
	}
	*ret_file = f;
	return RC_OK;
}

enum rc
maildir_write(struct maildir *m, struct maildir_file *f, struct slice bytes)
{
	while (bytes.n > 0) {
		ssize_t n = pwrite(f->fd, bytes.p, bytes.n, (off_t)f->size);

		if (n == -1 && errno == EINTR)
			continue;
		if (n <= 0) {
			errno = n == 0 ? ENOSPC : errno;
			return failed(m, "writing to tmp");
		}
		f->size += (size_t)n;
		bytes = slice_from(bytes, (size_t)n);
	}
	return RC_OK;
}

enum rc
maildir_copy(struct maildir *m, struct maildir_file *f, const struct maildir_file *from, uint64_t offset)
{
	uint8_t piece[COPY_PIECE];
	enum rc rc = RC_OK;

	while (rc == RC_OK && offset < from->size) {
		ssize_t n = pread(from->fd, piece, sizeof piece, (off_t)offset);

		if (n == -1 && errno == EINTR)
			continue;
		if (n <= 0) {
			errno = n == 0 ? EIO : errno;
			return failed(m, "reading from tmp");
		}
		offset += (size_t)n;
		rc = maildir_write(m, f, slice_of(piece, (size_t)n));
	}
	return rc;
}

/* --- into new --- */

static void
new_name(struct maildir *m, const struct maildir_file *f, char name[MAILDIR_NAME_MAX])
{
	struct timespec now;

	(void)clock_gettime(CLOCK_REALTIME, &now);
	(void)snprintf(name, MAILDIR_NAME_MAX, "%lld.M%06ldP%ldQ%u.%s,S=%llu", (long long)now.tv_sec, now.tv_nsec / 1000,
	    (long)getpid(), ++m->delivered, m->host, (unsigned long long)f->size);
}

static enum rc
enter_new(struct maildir *m, const struct maildir_file *f)
{
	char name[MAILDIR_NAME_MAX];

	new_name(m, f, name);
	if (linkat(m->tmp, f->name, m->new, name, 0) == 0)
		return RC_OK;
	/* Some file systems have no links: there the window in which a crash makes a duplicate stays open. */
	if ((errno == EPERM || errno == EOPNOTSUPP || errno == ENOSYS || errno == EMLINK) &&
	    renameat2(m->tmp, f->name, m->new, name, 1 /* RENAME_NOREPLACE */) == 0)
		return RC_OK;
	return failed(m, "moving the message to new");
}

enum rc
maildir_deliver(struct maildir *m, struct maildir_file *f)
{
	enum rc rc;

	if (fsync(f->fd) == -1)
		return failed(m, "syncing the message");
	rc = enter_new(m, f);
	if (rc != RC_OK)
		return rc;
	/* Once it is seen in new it may be read and gone: no way back, but the next attempt will find two links. */
	f->linked = true;
	return fsync(m->new) == -1 ? failed(m, "syncing new") : RC_OK;
}

void
maildir_abandon(struct maildir *m, struct maildir_file *f)
{
	if (f->fd == -1)
		return;
	if (!f->linked)
		(void)unlinkat(m->tmp, f->name, 0);
	(void)close(f->fd);
	f->fd = -1;
}

void
maildir_forget(struct maildir *m, struct msgid id, uint16_t index)
{
	char name[MAILDIR_NAME_MAX];

	tmp_name(m, id, index, name);
	(void)unlinkat(m->tmp, name, 0);
}

/* --- what others left --- */

static void
sweep_one(struct maildir *m, const char *name, int64_t now)
{
	struct stat st;

	if (strncmp(name, prefix, sizeof prefix - 1) == 0 && fstatat(m->tmp, name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	    now - (int64_t)st.st_mtime > MAILDIR_STALE_S)
		(void)unlinkat(m->tmp, name, 0);
}

/* The system call itself: readdir would need more of the C library than this room lets it have. */
void
maildir_sweep(struct maildir *m, int64_t now)
{
	_Alignas(struct dirent64) char space[DIRENT_BYTES];
	ssize_t n;

	if (lseek(m->tmp, 0, SEEK_SET) == -1)
		return;
	for (int seen = 0; seen < MAILDIR_SWEEP_MAX && (n = getdents64(m->tmp, space, sizeof space)) > 0;)
		for (ssize_t at = 0; at < n; seen++) {
			const struct dirent64 *e = (const struct dirent64 *)(space + at);

			sweep_one(m, e->d_name, now);
			at += e->d_reclen;
		}
}
