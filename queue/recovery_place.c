/* queue/recovery_place.c -- the folder, the lock, the identity; see recovery.h. */
#include "queue/recovery.h"

#include <errno.h>
#include <stdio.h>

enum rc
recovery_fail(struct recovery *r, int error, const char *why)
{
	r->why = why;
	return rc_from_errno(-error);
}

static int
make_folder(struct spool_io *io, const char *path, bool *made)
{
	int rc = io->ops->mkdir(io, path);

	*made |= rc == 0;
	return rc == -EEXIST ? 0 : rc;
}

enum rc
recovery_make_folders(struct recovery *r)
{
	char path[SPOOL_PATH_MAX];
	bool made = false;
	int rc = make_folder(r->io, SPOOL_DIR_SEGMENTS, &made);

	if (rc == 0)
		rc = make_folder(r->io, SPOOL_DIR_QUARANTINE, &made);
	if (rc == 0)
		rc = make_folder(r->io, SPOOL_DIR_BIG, &made);
	if (rc == 0 && made)
		rc = r->io->ops->sync_folder(r->io, "");
	made = false;
	for (unsigned i = 0; rc == 0 && i < BIG_FOLDERS; i++) {
		(void)snprintf(path, sizeof path, SPOOL_DIR_BIG "/%02x", i);
		rc = make_folder(r->io, path, &made);
	}
	if (rc == 0 && made)
		rc = r->io->ops->sync_folder(r->io, SPOOL_DIR_BIG);
	return rc == 0 ? RC_OK : recovery_fail(r, rc, "cannot make the spool's folders");
}

enum rc
recovery_lock(struct recovery *r)
{
	struct spool_space space;
	int rc = r->io->ops->space(r->io, &space);

	if (rc < 0)
		return recovery_fail(r, rc, "cannot ask the file system for its free space");
	if (space.unsafe != NULL && !r->s->params.allow_unsafe_fs) {
		r->why = "the spool is on a file system that cannot keep the promise behind 250 (allow-unsafe-fs takes it "
		    "anyway)";
		return RC_UNSUPPORTED;
	}
	r->s->free_bytes = space.free;
	rc = r->io->ops->open(r->io, SPOOL_FILE_LOCK, SPOOL_OPEN_TAKE);
	if (rc < 0)
		return recovery_fail(r, rc, "cannot open the spool's lock");
	r->s->lock_fd = rc;
	rc = r->io->ops->lock(r->io, r->s->lock_fd);
	if (rc == -EWOULDBLOCK) {
		r->why = "another queue has this spool";
		return RC_EXISTS;
	}
	return rc < 0 ? recovery_fail(r, rc, "cannot lock the spool") : RC_OK;
}

static enum rc
read_identity(struct recovery *r, struct spool_identity *ret_i)
{
	uint8_t bytes[SPOOL_ID_BYTES + 1];
	int fd = r->io->ops->open(r->io, SPOOL_FILE_IDENTITY, SPOOL_OPEN_READ);
	ssize_t n;

	if (fd < 0)
		return fd == -ENOENT ? RC_NOTFOUND : recovery_fail(r, fd, "cannot read spool.id");
	n = spool_io_read_all(r->io, fd, bytes, sizeof bytes, 0);
	(void)r->io->ops->close(r->io, fd);
	return n < 0 ? recovery_fail(r, (int)n, "cannot read spool.id") : spool_identity_parse(slice_of(bytes, (size_t)n), ret_i);
}

static int
write_identity(struct recovery *r, const struct spool_identity *i)
{
	static const char tmp[] = SPOOL_FILE_IDENTITY ".tmp";
	uint8_t bytes[SPOOL_ID_BYTES];
	struct iovec v = { bytes, sizeof bytes };
	int fd, rc;

	spool_identity_put(bytes, i);
	(void)r->io->ops->unlink(r->io, tmp);
	fd = r->io->ops->open(r->io, tmp, SPOOL_OPEN_CREATE);
	if (fd < 0)
		return fd;
	rc = spool_io_write_all(r->io, fd, &v, 1, 0);
	if (rc == 0)
		rc = r->io->ops->datasync(r->io, fd);
	(void)r->io->ops->close(r->io, fd);
	if (rc == 0)
		rc = r->io->ops->rename(r->io, tmp, SPOOL_FILE_IDENTITY, true);
	return rc == 0 ? r->io->ops->sync_folder(r->io, "") : rc;
}

/* A boot number that was never used, durable before anybody gets an id from it. When spool.id is lost, the segments know. */
enum rc
recovery_count_boot(struct recovery *r)
{
	struct spool_identity i = { .format = SPOOL_FORMAT };
	enum rc rc = read_identity(r, &i);
	int error;

	if (rc == RC_UNSUPPORTED)
		r->why = "the spool was written by a newer version";
	if (rc != RC_OK && rc != RC_NOTFOUND && rc != RC_CORRUPT)
		return rc;
	for (size_t n = 0; n < r->n_found; n++) {
		const struct spool_segment *f = &r->found[n].first;

		if (!r->found[n].readable || (i.spool != 0 && i.spool != f->spool))
			continue;
		i.spool = f->spool;
		i.boot = f->boot > i.boot ? f->boot : i.boot;
	}
	if (i.boot == UINT16_MAX || i.spool == 0) {
		r->io->ops->random(r->io, &i.spool, sizeof i.spool);
		i.spool = (i.spool >> 16) | 1;
		i.boot = 0;
	}
	i.boot++;
	i.format = SPOOL_FORMAT;
	error = write_identity(r, &i);
	if (error < 0)
		return recovery_fail(r, error, "cannot write spool.id");
	r->s->ident = (struct spool_ident){ i.spool, i.boot };
	return RC_OK;
}
