/* ctl/passwd_file.c -- see passwd_file.h. */
#include "ctl/passwd_file.h"

#include "common/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

static bool
complain(const struct passwd_file *f, const char *what)
{
	(void)fprintf(stderr, "posternctl: %s: %s: %s\n", f->path, what, strerror(errno));
	return false;
}

static bool
load(struct passwd_file *f, bool may_make)
{
	int fd = openat(f->folder, f->name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	struct stat st;
	bool ok;

	if (fd == -1 && errno == ENOENT && may_make) {
		f->is_new = true;
		f->mode = 0600;
		return true;
	}
	if (fd == -1)
		return complain(f, "cannot be opened");
	ok = fstat(fd, &st) == 0 && file_read_buf(fd, &f->bytes) == RC_OK;
	if (!ok)
		(void)complain(f, "cannot be read");
	(void)close(fd);
	f->mode = st.st_mode & 0640;
	f->uid = st.st_uid;
	f->gid = st.st_gid;
	return ok;
}

/* A next file that was installed, or given up, while we waited for its lock is not the one to wait for. */
static bool
is_still_there(const struct passwd_file *f)
{
	struct stat ours, there;

	return fstat(f->next, &ours) == 0 && fstatat(f->folder, f->next_name, &there, AT_SYMLINK_NOFOLLOW) == 0 &&
	    ours.st_ino == there.st_ino && ours.st_dev == there.st_dev;
}

static bool
lock_next(struct passwd_file *f)
{
	for (;;) {
		f->next = openat(f->folder, f->next_name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
		if (f->next == -1 || flock(f->next, LOCK_EX) == -1)
			return complain(f, "the file beside it that replaces it cannot be made");
		if (is_still_there(f))
			return true;
		(void)close(f->next);
	}
}

bool
passwd_file_open(struct passwd_file *f, const char *path, bool may_change, bool may_make)
{
	const char *slash = strrchr(path, '/');
	char *folder = slash == NULL ? strdup(".") : strndup(path, slash == path ? 1 : (size_t)(slash - path));

	*f = (struct passwd_file){ .folder = -1, .next = -1, .path = path, .bytes = BUF_INIT(PASSWD_FILE_MAX) };
	f->name = strdup(slash == NULL ? path : slash + 1);
	if (folder != NULL && f->name != NULL && asprintf(&f->next_name, ".%s.new", f->name) != -1) {
		f->folder = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (f->folder == -1)
			(void)complain(f, "its folder cannot be opened");
	}
	free(folder);
	if (f->folder != -1 && (!may_change || lock_next(f)) && load(f, may_make))
		return true;
	passwd_file_close(f);
	return false;
}

void
passwd_file_close(struct passwd_file *f)
{
	if (f->next != -1) {
		if (is_still_there(f))
			(void)unlinkat(f->folder, f->next_name, 0);
		(void)close(f->next);
	}
	if (f->folder != -1)
		(void)close(f->folder);
	f->folder = f->next = -1;
	free(f->name);
	free(f->next_name);
	f->name = f->next_name = NULL;
	buf_free(&f->bytes);
}

/* --- lines --- */

static struct slice
take_line(struct slice *rest)
{
	struct slice line = slice_first(*rest, slice_find(*rest, '\n'));

	*rest = slice_from(*rest, line.n + 1);
	return line;
}

bool
passwd_file_next(struct slice *rest, struct credential *ret_c)
{
	struct buf why = BUF_INIT(512);
	enum rc rc = RC_NOTFOUND;

	while (rest->n > 0 && rc != RC_OK)
		rc = credential_parse(take_line(rest), ret_c, &why);
	buf_free(&why);
	return rc == RC_OK;
}

bool
passwd_file_find(const struct passwd_file *f, struct slice user, struct credential *ret_c)
{
	struct slice rest = buf_slice(&f->bytes);

	while (passwd_file_next(&rest, ret_c))
		if (slice_eq(ret_c->user, user))
			return true;
	return false;
}

static bool
has_secret(struct slice rest)
{
	uint8_t secret[SCRAM_KEY_BYTES];
	enum rc rc = RC_NOTFOUND;

	while (rest.n > 0 && rc != RC_OK)
		rc = credential_secret_parse(take_line(&rest), secret);
	return rc == RC_OK;
}

/* Everything but this user's lines stays as it is, comments and what cannot be read included. */
static bool
rewrite(const struct passwd_file *f, struct slice user, struct slice line, struct buf *to)
{
	struct slice rest = buf_slice(&f->bytes);
	bool placed = false;

	if (!has_secret(rest))
		(void)credential_secret_put(to);
	while (rest.n > 0) {
		struct slice old = take_line(&rest);

		if (old.n > user.n && old.p[user.n] == ':' && slice_starts(old, user)) {
			if (!placed)
				(void)buf_put_slice(to, line);
			placed = true;
			continue;
		}
		(void)buf_put_slice(to, old);
		(void)buf_put_byte(to, '\n');
	}
	if (!placed)
		(void)buf_put_slice(to, line);
	return !to->failed;
}

static bool
write_whole(int fd, struct slice s)
{
	while (s.n > 0) {
		ssize_t n = write(fd, s.p, s.n);

		if (n == -1 && errno != EINTR)
			return false;
		if (n > 0)
			s = slice_from(s, (size_t)n);
	}
	return true;
}

/* Complete and on disk before it gets the name, and the name on disk too. */
static bool
install(const struct passwd_file *f, struct slice content)
{
	/* A file that belongs to somebody else stays his, as far as we may give it away. */
	if (!f->is_new && fchown(f->next, f->uid, f->gid) == -1 && geteuid() == 0)
		return false;
	return ftruncate(f->next, 0) == 0 && write_whole(f->next, content) && fchmod(f->next, f->mode) == 0 &&
	    fsync(f->next) == 0 && renameat(f->folder, f->next_name, f->folder, f->name) == 0 && fsync(f->folder) == 0;
}

bool
passwd_file_replace(struct passwd_file *f, struct slice user, struct slice line)
{
	struct buf content = BUF_INIT(PASSWD_FILE_MAX);
	bool ok = rewrite(f, user, line, &content);

	if (!ok)
		(void)fputs("posternctl: out of memory\n", stderr);
	else if (!install(f, buf_slice(&content)))
		ok = complain(f, "cannot be written");
	buf_free(&content);
	return ok;
}
