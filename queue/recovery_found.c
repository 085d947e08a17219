/* queue/recovery_found.c -- which segments there are, and what stands at their beginnings and ends; see recovery.h. */
#include "queue/recovery.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int
add_found(void *arg, const char *name)
{
	struct recovery *r = arg;
	char path[SPOOL_PATH_MAX], *end;
	unsigned long number = strtoul(name, &end, 16);

	if (end != name + 8 || number == 0 || number >= UINT32_MAX)
		return 0;
	if (strcmp(end, ".tmp") == 0) {
		(void)snprintf(path, sizeof path, SPOOL_DIR_SEGMENTS "/%08x.tmp", (unsigned)number);
		(void)r->io->ops->unlink(r->io, path);
		return 0;
	}
	if (strcmp(end, ".seg") != 0)
		return 0;
	if (r->n_found == r->max_found) {
		size_t max = r->max_found == 0 ? 64 : r->max_found * 2;
		struct found *p = reallocarray(r->found, max, sizeof *p);

		if (p == NULL)
			return -ENOMEM;
		r->found = p;
		r->max_found = max;
	}
	r->found[r->n_found++] = (struct found){ .number = (uint32_t)number };
	if (number > r->highest)
		r->highest = (uint32_t)number;
	return 0;
}

static int
by_number(const void *a, const void *b)
{
	const struct found *x = a, *y = b;

	return x->number < y->number ? -1 : x->number > y->number;
}

struct found *
recovery_find(struct recovery *r, uint32_t number)
{
	struct found key = { .number = number };

	return r->n_found == 0 ? NULL : bsearch(&key, r->found, r->n_found, sizeof key, by_number);
}

/* A frame of a small record at an offset, into room; payload borrows from room. */
bool
recovery_read_small(struct recovery *r, const struct found *f, int fd, uint64_t at, uint8_t *room, size_t max,
    struct spool_header *h, struct slice *payload)
{
	ssize_t n = spool_io_read_all(r->io, fd, room, max, at);

	if (n < 0)
		r->read_error = (int)n;
	if (n < SPOOL_HEADER_BYTES || spool_header_parse(&f->key, slice_of(room, (size_t)n), h) != RC_OK)
		return false;
	*payload = slice_first(slice_from(slice_of(room, (size_t)n), SPOOL_HEADER_BYTES), h->length);
	return spool_payload_ok(&f->key, h, *payload);
}

/* SEALs stand first in a segment, and are true whether their batch was finished or not. */
static void
read_seals(struct recovery *r, const struct found *f, int fd)
{
	uint8_t room[SPOOL_HEADER_BYTES + SPOOL_SEAL_PAYLOAD + SPOOL_ALIGN];
	uint64_t at = SPOOL_FIRST_FRAME;
	struct spool_seal_record seal;
	struct spool_header h;
	struct slice payload;

	while (recovery_read_small(r, f, fd, at, room, sizeof room, &h, &payload) && h.type == SPOOL_SEAL &&
	    spool_seal_get(payload, &seal) == RC_OK) {
		struct found *about = recovery_find(r, seal.number);

		if (about != NULL && seal.number < f->number && seal.end >= SPOOL_FIRST_FRAME) {
			about->sealed = true;
			about->seal = seal;
		}
		at += spool_frame_bytes(h.length);
	}
}

static void
read_end(struct recovery *r, struct found *f, int fd)
{
	uint8_t room[SPOOL_END_FRAME];
	struct spool_header h;
	struct slice payload;

	if (f->size < SPOOL_FIRST_FRAME + SPOOL_END_FRAME)
		return;
	f->has_end = recovery_read_small(r, f, fd, f->size - SPOOL_END_FRAME, room, sizeof room, &h, &payload) &&
	    h.type == SPOOL_END && spool_end_get(payload, &f->end) == RC_OK && f->end.end >= SPOOL_FIRST_FRAME &&
	    f->end.end <= f->size && (f->end.footer == 0 || f->end.footer == f->end.end);
}

/* Set aside whole: nothing in it can be verified. */
void
recovery_quarantine(struct recovery *r, struct found *f, const char *why)
{
	char path[SPOOL_PATH_MAX], to[SPOOL_PATH_MAX];

	spool_segment_path(path, f->number);
	(void)snprintf(to, sizeof to, SPOOL_DIR_QUARANTINE "/%08x.seg", f->number);
	if (r->io->ops->rename(r->io, path, to, false) == 0) {
		(void)r->io->ops->sync_folder(r->io, SPOOL_DIR_QUARANTINE);
		(void)r->io->ops->sync_folder(r->io, SPOOL_DIR_SEGMENTS);
	}
	quarantine_say(f->number, 0, f->size, why, to, NULL);
	r->stats.damaged++;
}

/* The first frame, the SEALs behind it, the END. -errno: what cannot be read now may be whole, and only bytes that were read and
 * do not verify are damage. */
static int
read_ends(struct recovery *r, struct found *f, int fd, enum rc *ret_parsed)
{
	uint8_t first[SPOOL_FIRST_FRAME];
	int rc = r->io->ops->size(r->io, fd, &f->size);
	ssize_t n = rc < 0 ? rc : spool_io_read_all(r->io, fd, first, sizeof first, 0);

	if (n < 0)
		return (int)n;
	*ret_parsed = spool_segment_parse(slice_of(first, (size_t)n), &f->first);
	f->readable = *ret_parsed == RC_OK && f->first.number == f->number && f->size <= SPOOL_SEGMENT_MAX;
	f->has_end = false;
	if (f->readable) {
		spool_key_make(&f->key, f->first.nonce);
		read_seals(r, f, fd);
		read_end(r, f, fd);
	}
	return r->read_error;
}

/* What a process wrote and never synced, or with a sync that failed, is in the memory of the machine and looks as if it were on
 * the disk; and a start acts on what it reads (the file of a message that is done is removed). So the disk is made to have it, or
 * memory to forget it. A sync that fails here is about bytes that nobody was promised. */
static void
make_memory_tell_the_truth(struct recovery *r, int fd)
{
	(void)r->io->ops->datasync(r->io, fd);
	(void)r->io->ops->forget(r->io, fd);
}

/* durable: a younger segment has its END, so this one was synced to its own, if it has one. */
static enum rc
look_at(struct recovery *r, struct found *f, bool durable)
{
	enum rc parsed = RC_OK;
	char path[SPOOL_PATH_MAX];
	int fd, error;

	spool_segment_path(path, f->number);
	fd = r->io->ops->open(r->io, path, SPOOL_OPEN_READ);
	if (fd < 0)
		return recovery_fail(r, fd, "cannot open a segment");
	if (!durable)
		make_memory_tell_the_truth(r, fd);
	error = read_ends(r, f, fd, &parsed);
	if (durable && error == 0 && !f->has_end) {
		make_memory_tell_the_truth(r, fd);
		error = read_ends(r, f, fd, &parsed);
	}
	(void)r->io->ops->close(r->io, fd);
	if (error < 0)
		return recovery_fail(r, error, "cannot read a segment");
	if (parsed == RC_UNSUPPORTED) {
		r->why = "a segment was written by a newer version";
		return parsed;
	}
	return RC_OK;
}

enum rc
recovery_find_all(struct recovery *r)
{
	int error = r->io->ops->list(r->io, SPOOL_DIR_SEGMENTS, add_found, r);
	bool durable = false;

	if (error < 0)
		return recovery_fail(r, error, "cannot list the segments");
	if (r->n_found > 0)
		qsort(r->found, r->n_found, sizeof r->found[0], by_number);
	for (size_t i = r->n_found; i-- > 0;) {
		enum rc rc = look_at(r, &r->found[i], durable);

		if (rc != RC_OK)
			return rc;
		durable = durable || r->found[i].has_end;
	}
	for (size_t i = 0; i < r->n_found; i++)
		if (!r->found[i].readable)
			recovery_quarantine(r, &r->found[i], "the segment cannot be identified");
	return RC_OK;
}
