/* queue/spool_io.c -- the spool's system calls, all beneath one directory descriptor. */
#include "queue/spool_io.h"

#include "common/clock.h"
#include "common/rc.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <limits.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

struct real_io {
	struct spool_io io;
	int dir;
};

static int
dir_of(const struct spool_io *io)
{
	const struct real_io *r = (const struct real_io *)(const void *)io;

	return r->dir;
}

static int
result(int rc)
{
	return rc < 0 ? -errno : rc;
}

static int
real_open(struct spool_io *io, const char *path, enum spool_open how)
{
	int flags = O_CLOEXEC | O_NOFOLLOW | O_NOCTTY, fd;

	switch (how) {
	case SPOOL_OPEN_READ:
		flags |= O_RDONLY;
		break;
	case SPOOL_OPEN_WRITE:
		flags |= O_RDWR;
		break;
	case SPOOL_OPEN_CREATE:
		flags |= O_RDWR | O_CREAT | O_EXCL;
		break;
	case SPOOL_OPEN_TAKE:
		flags |= O_RDWR | O_CREAT;
		break;
	}
	do
		fd = openat(dir_of(io), path, flags, 0600);
	while (fd < 0 && errno == EINTR);
	return result(fd);
}

static int
real_close(struct spool_io *io, int fd)
{
	(void)io;
	return result(close(fd));
}

static ssize_t
real_pread(struct spool_io *io, int fd, void *to, size_t n, uint64_t at)
{
	ssize_t got = pread(fd, to, n, (off_t)at);

	(void)io;
	return got < 0 ? -errno : got;
}

static ssize_t
real_pwritev(struct spool_io *io, int fd, const struct iovec *v, int n, uint64_t at)
{
	ssize_t put = pwritev(fd, v, n, (off_t)at);

	(void)io;
	return put < 0 ? -errno : put;
}

static int
real_datasync(struct spool_io *io, int fd)
{
	(void)io;
	return result(fdatasync(fd));
}

static int
real_sync_folder(struct spool_io *io, const char *path)
{
	int fd = openat(dir_of(io), path[0] == '\0' ? "." : path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW), rc;

	if (fd < 0)
		return -errno;
	rc = result(fsync(fd));
	(void)close(fd);
	return rc;
}

static int
real_start_writeback(struct spool_io *io, int fd, uint64_t at, uint64_t n)
{
	(void)io;
	return result(sync_file_range(fd, (off_t)at, (off_t)n, SYNC_FILE_RANGE_WRITE));
}

static int
real_forget(struct spool_io *io, int fd)
{
	(void)io;
	return -posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
}

static int
real_skip_hole(struct spool_io *io, int fd, uint64_t *at)
{
	off_t found = lseek(fd, (off_t)*at, SEEK_DATA);

	(void)io;
	if (found >= 0)
		*at = (uint64_t)found;
	else if (errno == ENXIO)
		*at = SPOOL_NO_DATA;
	else
		return -errno;
	return 0;
}

static int
real_reserve(struct spool_io *io, int fd, uint64_t bytes)
{
	int rc = result(fallocate(fd, 0, 0, (off_t)bytes));

	(void)io;
	/* Some file systems cannot; a sparse file of that size reads the same. */
	return rc == -EOPNOTSUPP ? result(ftruncate(fd, (off_t)bytes)) : rc;
}

static int
real_truncate(struct spool_io *io, int fd, uint64_t bytes)
{
	(void)io;
	return result(ftruncate(fd, (off_t)bytes));
}

static int
real_size(struct spool_io *io, int fd, uint64_t *ret_bytes)
{
	struct stat st;

	(void)io;
	if (fstat(fd, &st) != 0)
		return -errno;
	*ret_bytes = (uint64_t)st.st_size;
	return 0;
}

static int
real_stat(struct spool_io *io, const char *path, uint64_t *ret_bytes)
{
	struct stat st;

	if (fstatat(dir_of(io), path, &st, AT_SYMLINK_NOFOLLOW) != 0)
		return -errno;
	*ret_bytes = (uint64_t)st.st_size;
	return 0;
}

static int
real_rename(struct spool_io *io, const char *from, const char *to, bool replace)
{
	return result(renameat2(dir_of(io), from, dir_of(io), to, replace ? 0 : RENAME_NOREPLACE));
}

static int
real_unlink(struct spool_io *io, const char *path)
{
	return result(unlinkat(dir_of(io), path, 0));
}

static int
real_mkdir(struct spool_io *io, const char *path)
{
	return result(mkdirat(dir_of(io), path, 0700));
}

static int
real_list(struct spool_io *io, const char *path, spool_list_fn *fn, void *arg)
{
	int fd = openat(dir_of(io), path[0] == '\0' ? "." : path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW), rc = 0;
	struct dirent *e;
	DIR *d;

	if (fd < 0)
		return -errno;
	d = fdopendir(fd);
	if (d == NULL) {
		rc = -errno;
		(void)close(fd);
		return rc;
	}
	/* NOLINTNEXTLINE(concurrency-mt-unsafe): threads share no stream of a folder */
	for (errno = 0; rc == 0 && (e = readdir(d)) != NULL; errno = 0)
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
			rc = fn(arg, e->d_name);
	if (rc == 0 && errno != 0)
		rc = -errno;
	(void)closedir(d);
	return rc;
}

/* What cannot keep the promise behind 250: memory, layers that copy, other people's disks. */
static const char *
unsafe_kind(unsigned long type)
{
	static const struct {
		unsigned long type;
		const char *name;
	} kinds[] = {
		{ TMPFS_MAGIC, "tmpfs" },
		{ 0x858458f6, "ramfs" },
		{ OVERLAYFS_SUPER_MAGIC, "overlay" },
		{ NFS_SUPER_MAGIC, "nfs" },
		{ 0x65735546, "fuse" },
		{ 0xff534d42, "cifs" },
		{ 0xfe534d42, "smb2" },
		{ 0x01021997, "9p" },
		{ 0x00c36400, "ceph" },
	};

	for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
		if ((type & 0xffffffff) == kinds[i].type)
			return kinds[i].name;
	return NULL;
}

static int
real_space(struct spool_io *io, struct spool_space *ret_space)
{
	struct statfs s;

	if (fstatfs(dir_of(io), &s) != 0)
		return -errno;
	ret_space->free = (uint64_t)s.f_bavail * (uint64_t)s.f_bsize;
	ret_space->total = (uint64_t)s.f_blocks * (uint64_t)s.f_bsize;
	ret_space->unsafe = unsafe_kind((unsigned long)s.f_type);
	return 0;
}

static int
real_lock(struct spool_io *io, int fd)
{
	(void)io;
	return result(flock(fd, LOCK_EX | LOCK_NB));
}

static int64_t
real_now(struct spool_io *io)
{
	(void)io;
	return clock_wall_us();
}

static void
real_random(struct spool_io *io, void *to, size_t n)
{
	(void)io;
	randombytes_buf(to, n);
}

static const struct spool_io_ops real_ops = {
	.open = real_open,
	.close = real_close,
	.pread = real_pread,
	.pwritev = real_pwritev,
	.datasync = real_datasync,
	.sync_folder = real_sync_folder,
	.start_writeback = real_start_writeback,
	.forget = real_forget,
	.skip_hole = real_skip_hole,
	.reserve = real_reserve,
	.truncate = real_truncate,
	.size = real_size,
	.stat = real_stat,
	.rename = real_rename,
	.unlink = real_unlink,
	.mkdir = real_mkdir,
	.list = real_list,
	.space = real_space,
	.lock = real_lock,
	.now = real_now,
	.random = real_random,
};

struct spool_io *
spool_io_real(int dir)
{
	struct real_io *r = malloc(sizeof *r);

	if (r == NULL)
		return NULL;
	*r = (struct real_io){ { &real_ops }, dir };
	return &r->io;
}

void
spool_io_real_free(struct spool_io *io)
{
	free(io);
}

/* --- loops over short reads and writes --- */

static void
skip_iov(struct iovec **v, int *n, size_t done)
{
	while (*n > 0 && done >= (*v)->iov_len) {
		done -= (*v)->iov_len;
		(*v)++;
		(*n)--;
	}
	if (*n > 0) {
		(*v)->iov_base = (uint8_t *)(*v)->iov_base + done;
		(*v)->iov_len -= done;
	}
}

int
spool_io_write_all(struct spool_io *io, int fd, struct iovec *v, int n, uint64_t at)
{
	skip_iov(&v, &n, 0);
	while (n > 0) {
		ssize_t put = io->ops->pwritev(io, fd, v, n > IOV_MAX ? IOV_MAX : n, at);

		if (put == -EINTR || put == -EAGAIN)
			continue;
		if (put <= 0)
			return put < 0 ? (int)put : -EIO;
		at += (uint64_t)put;
		skip_iov(&v, &n, (size_t)put);
	}
	return 0;
}

ssize_t
spool_io_read_all(struct spool_io *io, int fd, void *to, size_t n, uint64_t at)
{
	size_t have = 0;

	while (have < n) {
		ssize_t got = io->ops->pread(io, fd, (uint8_t *)to + have, n - have, at + have);

		if (got == -EINTR)
			continue;
		if (got < 0)
			return got;
		if (got == 0)
			break;
		have += (size_t)got;
	}
	return (ssize_t)have;
}
