/* queue/store_read.c -- reading a message back in a reader's thread, verified; what does not verify goes to quarantine. */
#include "queue/store_private.h"

#include "common/log.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

enum { COPY_STEP = 1024 * 1024 };

/* --- quarantine --- */

void
quarantine_segment_name(char out[SPOOL_PATH_MAX], uint32_t segment, uint32_t offset)
{
	(void)snprintf(out, SPOOL_PATH_MAX, SPOOL_DIR_QUARANTINE "/%08x-%08x.bad", segment, offset);
}

static void
quarantine_big_name(char out[SPOOL_PATH_MAX], struct msgid id)
{
	(void)snprintf(out, SPOOL_PATH_MAX, SPOOL_DIR_QUARANTINE "/%012llx%04x%016llx.big", (unsigned long long)id.spool,
	    id.boot, (unsigned long long)id.seq);
}

void
quarantine_say(uint32_t segment, uint64_t offset, uint64_t length, const char *why, const char *file,
    const struct msgid *id)
{
	log_say(LOG_SPOOL_DAMAGE, id, F_U64("segment", segment), F_U64("offset", offset), F_U64("length", length),
	    F_TEXT("why", why), F_TEXT("file", file));
}

static int
copy_bytes(struct spool_io *io, int from, int to, uint64_t offset, uint64_t length)
{
	uint8_t *room = malloc(COPY_STEP);
	int rc = room == NULL ? -ENOMEM : 0;

	for (uint64_t done = 0; rc == 0 && done < length;) {
		size_t want = length - done < COPY_STEP ? (size_t)(length - done) : COPY_STEP;
		ssize_t n = spool_io_read_all(io, from, room, want, offset + done);
		struct iovec v = { room, n < 0 ? 0 : (size_t)n };

		if (n <= 0) {
			rc = n < 0 ? (int)n : 0;
			break;
		}
		rc = spool_io_write_all(io, to, &v, 1, done);
		done += (uint64_t)n;
	}
	free(room);
	return rc;
}

int
quarantine_copy(struct spool_io *io, const char *path, const char *name, uint64_t offset, uint64_t length)
{
	char tmp[SPOOL_PATH_MAX];
	uint64_t size;
	int from, to, rc;

	if (io->ops->stat(io, name, &size) == 0)
		return -EEXIST;
	/* Under its name only when it is whole: the name is the mark that nothing more is to be saved. */
	(void)snprintf(tmp, sizeof tmp, "%s.tmp", name);
	(void)io->ops->unlink(io, tmp);
	to = io->ops->open(io, tmp, SPOOL_OPEN_CREATE);
	if (to < 0)
		return to;
	from = io->ops->open(io, path, SPOOL_OPEN_READ);
	rc = from < 0 ? from : 0;
	if (rc == 0 && length == 0)
		rc = io->ops->size(io, from, &length);
	if (rc == 0)
		rc = copy_bytes(io, from, to, offset, length);
	if (rc == 0)
		rc = io->ops->datasync(io, to);
	if (from >= 0)
		(void)io->ops->close(io, from);
	(void)io->ops->close(io, to);
	if (rc == 0)
		rc = io->ops->rename(io, tmp, name, false);
	if (rc == 0)
		return io->ops->sync_folder(io, SPOOL_DIR_QUARANTINE);
	(void)io->ops->unlink(io, tmp);
	return rc;
}

/* --- a read --- */

struct store_reading {
	struct spool_work work;
	struct store_reading *next, **prev;
	struct store *store;
	store_read_fn *fn;	/* NULL: nobody wants it any more */
	void *arg;
	struct msgid id;
	struct store_where where;
	uint64_t offset;
	size_t length;
	bool envelope;
	/* Written by the reader. */
	enum rc rc;
	uint8_t *room;
	struct slice out;
	const char *why;	/* of damage */
	char quarantine[SPOOL_PATH_MAX];
	int quarantined;
};

/* The frame of a message as it is taken off the disk: everything up to `have` bytes of payload. */
struct opened {
	int fd;
	struct spool_key key;
	struct spool_header header;
	struct spool_head head;
	uint64_t at;		/* of the payload */
};

static enum rc
damaged(struct store_reading *r, const char *why)
{
	r->why = why;
	return RC_CORRUPT;
}

static enum rc
open_frame(struct store_reading *r, struct opened *o)
{
	struct spool_io *io = r->store->io;
	uint8_t first[SPOOL_FIRST_FRAME], frame[SPOOL_HEADER_BYTES + SPOOL_HEAD_BYTES];
	struct spool_segment segment;
	char path[SPOOL_PATH_MAX];
	ssize_t n;

	spool_segment_path(path, r->where.segment);
	o->fd = io->ops->open(io, path, SPOOL_OPEN_READ);
	if (o->fd < 0)
		return rc_from_errno(-o->fd);
	n = spool_io_read_all(io, o->fd, first, sizeof first, 0);
	if (n < 0)
		return rc_from_errno((int)-n);
	if (spool_segment_parse(slice_of(first, (size_t)n), &segment) != RC_OK)
		return damaged(r, "the segment cannot be identified");
	spool_key_make(&o->key, segment.nonce);
	o->at = (uint64_t)r->where.offset * SPOOL_ALIGN + SPOOL_HEADER_BYTES;
	n = spool_io_read_all(io, o->fd, frame, sizeof frame, o->at - SPOOL_HEADER_BYTES);
	if (n < 0)
		return rc_from_errno((int)-n);
	if ((size_t)n != sizeof frame || spool_header_parse(&o->key, slice_of(frame, (size_t)n), &o->header) != RC_OK)
		return damaged(r, "the header of a message is damaged");
	if (!msgid_eq(o->header.id, r->id) || o->header.type != (store_where_is_big(r->where) ? SPOOL_BIG : SPOOL_MESSAGE) ||
	    o->header.length < SPOOL_HEAD_BYTES || spool_head_get(slice_of(frame + SPOOL_HEADER_BYTES, SPOOL_HEAD_BYTES),
	    &o->head) != RC_OK || o->head.envelope > o->header.length - SPOOL_HEAD_BYTES)
		return damaged(r, "another record stands in the place of a message");
	return RC_OK;
}

/* n bytes of the payload into r->room. */
static enum rc
read_payload(struct store_reading *r, const struct opened *o, size_t n)
{
	ssize_t got;

	r->room = malloc(n == 0 ? 1 : n);
	if (r->room == NULL)
		return RC_NOMEM;
	got = spool_io_read_all(r->store->io, o->fd, r->room, n, o->at);
	if (got < 0)
		return rc_from_errno((int)-got);	/* EIO too: cables and arrays come back, and nothing has shown damage */
	return (size_t)got == n ? RC_OK : damaged(r, "the segment ends inside a message");
}

static enum rc
read_envelope(struct store_reading *r, const struct opened *o)
{
	size_t n = SPOOL_HEAD_BYTES + (size_t)o->head.envelope;
	enum rc rc = read_payload(r, o, n);

	if (rc != RC_OK)
		return rc;
	if (!spool_head_ok(&o->key, &o->head, slice_of(r->room, n)))
		return damaged(r, "the envelope of a message is damaged");
	r->out = slice_of(r->room + SPOOL_HEAD_BYTES, o->head.envelope);
	return RC_OK;
}

static enum rc
read_small(struct store_reading *r, const struct opened *o)
{
	size_t before = SPOOL_HEAD_BYTES + (size_t)o->head.envelope;
	enum rc rc = read_payload(r, o, o->header.length);
	struct slice content;

	if (rc != RC_OK)
		return rc;
	if (!spool_payload_ok(&o->key, &o->header, slice_of(r->room, o->header.length)))
		return damaged(r, "a message is damaged");
	content = slice_of(r->room + before, o->header.length - before);
	r->out = slice_first(slice_from(content, r->offset < content.n ? (size_t)r->offset : content.n), r->length);
	return RC_OK;
}

/* Whole blocks around the range, and their sums. */
static enum rc
read_blocks(struct store_reading *r, int fd, uint64_t size, uint64_t start, uint64_t end)
{
	struct spool_io *io = r->store->io;
	uint64_t first = start / SPOOL_BIG_BLOCK, last = (end + SPOOL_BIG_BLOCK - 1) / SPOOL_BIG_BLOCK;
	uint64_t from = first * SPOOL_BIG_BLOCK, to = last * SPOOL_BIG_BLOCK < size ? last * SPOOL_BIG_BLOCK : size;
	size_t n = (size_t)(to - from), sums = (size_t)(last - first) * 8;
	ssize_t got, got_sums = 0;
	struct rd rd;

	r->room = malloc(n + sums + 1);
	if (r->room == NULL)
		return RC_NOMEM;
	got = spool_io_read_all(io, fd, r->room, n, from);
	if (got >= 0)
		got_sums = spool_io_read_all(io, fd, r->room + n, sums, size + first * 8);
	if (got < 0 || got_sums < 0)
		return rc_from_errno((int)-(got < 0 ? got : got_sums));
	if (got != (ssize_t)n || got_sums != (ssize_t)sums)
		return damaged(r, "the file of a big message is cut");
	rd = (struct rd){ slice_of(r->room + n, sums), false };
	for (uint64_t i = first; i < last; i++) {
		struct slice block = slice_first(slice_from(slice_of(r->room, n), (size_t)(i - first) * SPOOL_BIG_BLOCK),
		    SPOOL_BIG_BLOCK);

		if (rd_u64(&rd) != spool_block_sum(r->id, i, block))
			return damaged(r, "a block of a big message is damaged");
	}
	r->out = slice_of(r->room + (start - from), (size_t)(end - start));
	return RC_OK;
}

static enum rc
read_big(struct store_reading *r, const struct opened *o)
{
	uint64_t size = o->head.content, start = r->offset < size ? r->offset : size;
	uint64_t end = size - start < r->length ? size : start + r->length;
	char path[SPOOL_PATH_MAX];
	enum rc rc;
	int fd;

	if (start == end)
		return RC_OK;
	spool_big_path(path, r->id);
	fd = r->store->io->ops->open(r->store->io, path, SPOOL_OPEN_READ);
	if (fd < 0)
		return fd == -ENOENT ? damaged(r, "the file of a big message is missing") : rc_from_errno(-fd);
	rc = read_blocks(r, fd, size, start, end);
	(void)r->store->io->ops->close(r->store->io, fd);
	return rc;
}

static void
set_aside(struct store_reading *r)
{
	struct spool_io *io = r->store->io;
	char path[SPOOL_PATH_MAX];

	if (store_where_is_big(r->where) && !r->envelope) {
		spool_big_path(path, r->id);
		quarantine_big_name(r->quarantine, r->id);
		r->quarantined = quarantine_copy(io, path, r->quarantine, 0, 0);
		return;
	}
	spool_segment_path(path, r->where.segment);
	quarantine_segment_name(r->quarantine, r->where.segment, r->where.offset * SPOOL_ALIGN);
	r->quarantined = quarantine_copy(io, path, r->quarantine, (uint64_t)r->where.offset * SPOOL_ALIGN,
	    r->where.length & 0x7fffffff);
}

static void
run_read(struct spool_work *w)
{
	struct store_reading *r = (struct store_reading *)(void *)w;
	struct opened o = { .fd = -1 };

	r->rc = open_frame(r, &o);
	if (r->rc == RC_OK)
		r->rc = r->envelope ? read_envelope(r, &o) : store_where_is_big(r->where) ? read_big(r, &o) : read_small(r, &o);
	if (o.fd >= 0)
		(void)r->store->io->ops->close(r->store->io, o.fd);
	if (r->rc == RC_CORRUPT)
		set_aside(r);
}

/* --- the loop's side --- */

static void
reading_free(struct store_reading *r)
{
	*r->prev = r->next;
	if (r->next != NULL)
		r->next->prev = r->prev;
	r->store->n_reads--;
	free(r->room);
	free(r);
}

/* So that later starts need not report it again. */
static void
remember_damage(struct store_reading *r)
{
	const struct msgid none = { 0, 0, 0 };
	struct spool_op *op = spool_op_new(r->store, SPOOL_HEADER_BYTES + 16);
	uint8_t *p = op == NULL ? NULL : spool_op_frame(op, SPOOL_QUARANTINED, none, 12);
	struct wr w = { p, 0, 12, false };

	if (p == NULL || !spool_op_refer(op, none, r->where.segment, false, false)) {
		spool_op_free(op);
		return;
	}
	wr_u32(&w, r->where.segment);
	wr_u32(&w, r->where.offset * SPOOL_ALIGN);
	wr_u32(&w, r->where.length & 0x7fffffff);
	store_queue_op(r->store, op);
}

static void
read_done(struct spool_work *w)
{
	struct store_reading *r = (struct store_reading *)(void *)w;

	if (r->rc == RC_CORRUPT && r->quarantined != -EEXIST) {
		quarantine_say(r->where.segment, (uint64_t)r->where.offset * SPOOL_ALIGN, r->where.length & 0x7fffffff, r->why,
		    r->quarantine, &r->id);
		if (r->store->recovered && !(store_where_is_big(r->where) && !r->envelope))
			remember_damage(r);
	}
	if (r->fn != NULL)
		r->fn(r->arg, r->rc, r->rc == RC_OK ? r->out : slice_of(NULL, 0));
	reading_free(r);
}

static void
start_read(struct store *s, const struct store_reading *want)
{
	struct store_reading *r = s->n_reads >= READS_MAX ? NULL : malloc(sizeof *r);

	if (r == NULL) {
		want->fn(want->arg, s->n_reads >= READS_MAX ? RC_AGAIN : RC_NOMEM, slice_of(NULL, 0));
		return;
	}
	*r = *want;
	r->store = s;
	r->work.run = run_read;
	r->work.done = read_done;
	r->next = s->reads;
	r->prev = &s->reads;
	if (s->reads != NULL)
		s->reads->prev = &r->next;
	s->reads = r;
	s->n_reads++;
	spool_pool_queue(&s->readers, &r->work);
}

void
store_read(struct store *s, struct msgid id, struct store_where where, uint64_t offset, size_t length,
    store_read_fn *fn, void *arg)
{
	struct store_reading r = { .fn = fn, .arg = arg, .id = id, .where = where, .offset = offset,
		.length = length < STORE_READ_MAX ? length : STORE_READ_MAX };

	start_read(s, &r);
}

void
store_read_envelope(struct store *s, struct msgid id, struct store_where where, store_read_fn *fn, void *arg)
{
	struct store_reading r = { .fn = fn, .arg = arg, .id = id, .where = where, .envelope = true };

	start_read(s, &r);
}

void
store_read_cancel(struct store *s, void *arg)
{
	for (struct store_reading *r = s->reads; r != NULL; r = r->next)
		if (r->arg == arg)
			r->fn = NULL;
}

/* At the end, when no thread has them any more. */
void
reads_forget(struct store *s)
{
	while (s->reads != NULL)
		reading_free(s->reads);
}
