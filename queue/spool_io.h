/* queue/spool_io.h -- every touch of the disk and of the wall clock that the spool makes, as an interface: the real one
 * works beneath one directory descriptor, the simulated one (tests/queue/sim_disk.c) forgets what was not synced.
 *
 * Functions return >= 0, or -errno. path: one of our own names, relative, "" for the directory itself. They may be
 * called from any thread; the real ones are plain system calls. */
#ifndef POSTERN_QUEUE_SPOOL_IO_H
#define POSTERN_QUEUE_SPOOL_IO_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

struct spool_io;

enum spool_open {
	SPOOL_OPEN_READ,
	SPOOL_OPEN_WRITE,	/* read and write, must exist */
	SPOOL_OPEN_CREATE,	/* the same, must not exist */
	SPOOL_OPEN_TAKE,	/* the same, may exist */
};

struct spool_space {
	uint64_t free, total;	/* bytes; free: for us, not for root */
	const char *unsafe;	/* kind of file system that cannot keep our promises ("tmpfs"); NULL: none known */
};

typedef int spool_list_fn(void *arg, const char *name);	/* nonzero stops */

enum { SPOOL_PATH_MAX = 96 };
#define SPOOL_NO_DATA UINT64_MAX

struct spool_io_ops {
	int (*open)(struct spool_io *io, const char *path, enum spool_open how);
	int (*close)(struct spool_io *io, int fd);
	/* May be short. */
	ssize_t (*pread)(struct spool_io *io, int fd, void *to, size_t n, uint64_t at);
	ssize_t (*pwritev)(struct spool_io *io, int fd, const struct iovec *v, int n, uint64_t at);
	int (*datasync)(struct spool_io *io, int fd);		/* the data and the size */
	int (*sync_folder)(struct spool_io *io, const char *path);	/* the names in it */
	int (*start_writeback)(struct spool_io *io, int fd, uint64_t at, uint64_t n);	/* a hint */
	int (*forget)(struct spool_io *io, int fd);		/* a hint: read from the disk, not from memory */
	/* Moves *at on to where data may begin: what is passed over reads as zeros. SPOOL_NO_DATA: to the end of the file. */
	int (*skip_hole)(struct spool_io *io, int fd, uint64_t *at);
	int (*reserve)(struct spool_io *io, int fd, uint64_t bytes);	/* space for bytes from 0, reads as zeros */
	int (*truncate)(struct spool_io *io, int fd, uint64_t bytes);
	int (*size)(struct spool_io *io, int fd, uint64_t *ret_bytes);
	int (*stat)(struct spool_io *io, const char *path, uint64_t *ret_bytes);
	int (*rename)(struct spool_io *io, const char *from, const char *to, bool replace);
	int (*unlink)(struct spool_io *io, const char *path);
	int (*mkdir)(struct spool_io *io, const char *path);
	int (*list)(struct spool_io *io, const char *path, spool_list_fn *fn, void *arg);	/* without . and .. */
	int (*space)(struct spool_io *io, struct spool_space *ret_space);
	int (*lock)(struct spool_io *io, int fd);		/* -EWOULDBLOCK: somebody else has it */
	int64_t (*now)(struct spool_io *io);			/* wall clock, microseconds */
	void (*random)(struct spool_io *io, void *to, size_t n);
};

struct spool_io {
	const struct spool_io_ops *ops;
};

/* All of v, or -errno. Changes v. */
int spool_io_write_all(struct spool_io *io, int fd, struct iovec *v, int n, uint64_t at);
/* Up to n bytes, fewer only at the end of the file. */
ssize_t spool_io_read_all(struct spool_io *io, int fd, void *to, size_t n, uint64_t at);

/* The real one. dir is borrowed until spool_io_real_free. NULL: no memory. */
struct spool_io *spool_io_real(int dir);
void spool_io_real_free(struct spool_io *io);

#endif
