/* queue/spool_segment.c -- one segment file that is open for writing: made, appended to, sealed. */
#include "queue/spool_segment.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

enum {
	ZERO_STEP = 1024 * 1024,	/* bytes written at once while a spare is filled */
	FOOTER_SHARE = 8,		/* a footer larger than this part of its segment is not worth it */
};

void
spool_segment_path(char out[SPOOL_PATH_MAX], uint32_t number)
{
	(void)snprintf(out, SPOOL_PATH_MAX, SPOOL_DIR_SEGMENTS "/%08x.seg", number);
}

void
spool_big_path(char out[SPOOL_PATH_MAX], struct msgid id)
{
	(void)snprintf(out, SPOOL_PATH_MAX, SPOOL_DIR_BIG "/%02x/%012llx%04x%016llx", (unsigned)(id.seq & 0xff),
	    (unsigned long long)id.spool, id.boot, (unsigned long long)id.seq);
}

static int
write_zeros(struct spool_file *f)
{
	uint8_t *zeros = calloc(1, ZERO_STEP);
	int rc = zeros == NULL ? -ENOMEM : 0;

	for (uint64_t at = 0; rc == 0 && at < f->size; at += ZERO_STEP) {
		struct iovec v = { zeros, f->size - at < ZERO_STEP ? (size_t)(f->size - at) : ZERO_STEP };

		rc = spool_io_write_all(f->io, f->fd, &v, 1, at);
		if (rc == 0)
			(void)f->io->ops->start_writeback(f->io, f->fd, at, ZERO_STEP);
	}
	free(zeros);
	return rc;
}

static int
fill_file(struct spool_file *f, struct spool_ident ident, bool zeros)
{
	struct spool_segment s = {
		.format = SPOOL_FORMAT,
		.boot = ident.boot,
		.spool = ident.spool,
		.number = f->number,
		.made_at = f->io->ops->now(f->io),
	};
	uint8_t first[SPOOL_FIRST_FRAME];
	struct iovec v = { first, sizeof first };
	int rc;

	f->io->ops->random(f->io, f->nonce, sizeof f->nonce);
	memcpy(s.nonce, f->nonce, sizeof s.nonce);
	spool_key_make(&f->key, f->nonce);
	spool_segment_frame(first, &s);
	rc = f->io->ops->reserve(f->io, f->fd, f->size);
	if (rc == 0 && zeros)
		rc = write_zeros(f);
	if (rc == 0)
		rc = spool_io_write_all(f->io, f->fd, &v, 1, 0);
	return rc == 0 ? f->io->ops->datasync(f->io, f->fd) : rc;
}

/* docs/QUEUE.md "Writing", 4: file synced, then its name, then the folder, all before the first record. */
struct spool_file *
spool_file_make(struct spool_io *io, struct spool_ident ident, uint32_t number, uint64_t size, bool zeros, int *ret_error)
{
	struct spool_file *f = calloc(1, sizeof *f);
	char path[SPOOL_PATH_MAX], tmp[SPOOL_PATH_MAX];
	bool named = false;
	int rc;

	if (f == NULL) {
		*ret_error = -ENOMEM;
		return NULL;
	}
	f->io = io;
	f->number = number;
	f->size = size;
	f->end = SPOOL_FIRST_FRAME;
	buf_init(&f->footer, (size_t)(size / FOOTER_SHARE));
	spool_segment_path(path, number);
	(void)snprintf(tmp, sizeof tmp, SPOOL_DIR_SEGMENTS "/%08x.tmp", number);
	(void)io->ops->unlink(io, tmp);
	f->fd = io->ops->open(io, tmp, SPOOL_OPEN_CREATE);
	rc = f->fd < 0 ? f->fd : fill_file(f, ident, zeros);
	if (rc == 0)
		rc = io->ops->rename(io, tmp, path, false);
	named = rc == 0;
	if (rc == 0)
		rc = io->ops->sync_folder(io, SPOOL_DIR_SEGMENTS);
	if (rc == 0)
		return f;
	if (f->fd >= 0)
		(void)io->ops->unlink(io, named ? path : tmp);
	spool_file_free(f);
	*ret_error = rc;
	return NULL;
}

int
spool_file_seal(struct spool_file *f)
{
	size_t n = f->footer.failed ? 0 : buf_len(&f->footer), footer = n == 0 ? 0 : spool_frame_bytes((uint32_t)n);
	struct spool_header h = { .type = SPOOL_FOOTER, .version = 1, .flags = SPOOL_FLAG_OPTIONAL, .length = (uint32_t)n };
	struct spool_end e = { n == 0 ? 0 : (uint32_t)f->end, (uint32_t)f->end, f->batch, f->sequence, f->digest };
	uint8_t *tail;
	struct iovec v;
	struct wr w;
	int rc;

	if (f->batch == 0 || f->end + footer + SPOOL_END_FRAME > SPOOL_SEGMENT_MAX)
		return 0;
	tail = malloc(footer + SPOOL_END_FRAME);
	if (tail == NULL)
		return -ENOMEM;
	if (n > 0) {
		memcpy(tail + SPOOL_HEADER_BYTES, buf_slice(&f->footer).p, n);
		spool_frame_finish(&f->key, tail, &h);
	}
	h = (struct spool_header){ .type = SPOOL_END, .version = 1, .flags = SPOOL_FLAG_OPTIONAL, .length = SPOOL_END_PAYLOAD };
	w = (struct wr){ tail + footer + SPOOL_HEADER_BYTES, 0, SPOOL_END_PAYLOAD, false };
	spool_end_put(&w, &e);
	spool_frame_finish(&f->key, tail + footer, &h);
	v = (struct iovec){ tail, footer + SPOOL_END_FRAME };
	rc = spool_io_write_all(f->io, f->fd, &v, 1, f->end);
	if (rc == 0)
		rc = f->io->ops->truncate(f->io, f->fd, f->end + footer + SPOOL_END_FRAME);
	if (rc == 0)
		rc = f->io->ops->datasync(f->io, f->fd);
	free(tail);
	return rc;
}

void
spool_file_free(struct spool_file *f)
{
	if (f == NULL)
		return;
	if (f->fd >= 0)
		(void)f->io->ops->close(f->io, f->fd);
	buf_free(&f->footer);
	free(f);
}
