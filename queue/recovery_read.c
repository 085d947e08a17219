/* queue/recovery_read.c -- the frames of every segment: how far each counts, and what is in it; see recovery.h. */
#include "queue/recovery.h"

#include <stdlib.h>
#include <string.h>

static uint32_t
end_of(const struct found *f)
{
	return f->sealed ? f->seal.end : f->has_end ? f->end.end : 0;
}

/* RC_NOTFOUND: no footer to be had. */
static enum rc
read_footer(struct recovery *r, const struct found *f, int fd, uint8_t **ret_bytes, struct spool_scan *ret_scan)
{
	size_t n = (size_t)(f->size - f->end.end);
	struct spool_header h;
	struct slice payload;
	uint8_t *bytes;
	enum rc rc;

	if (!f->has_end || f->end.footer == 0 || f->end.end != end_of(f))
		return RC_NOTFOUND;
	bytes = malloc(n);
	if (bytes == NULL)
		return RC_NOTFOUND;
	rc = recovery_read_small(r, f, fd, f->end.footer, bytes, n, &h, &payload) && h.type == SPOOL_FOOTER ?
	    spool_scan_footer(ret_scan, payload, &f->end) : RC_NOTFOUND;
	if (rc == RC_OK)
		*ret_bytes = bytes;
	else
		free(bytes);
	return rc;
}

/* The whole file; a spare segment is a hole behind its first frame. A range that the disk will not read is taken for
 * zeros, and so for damage. */
static enum rc
read_file(struct recovery *r, const struct found *f, int fd, uint8_t **ret_bytes)
{
	enum { STEP = 1024 * 1024, SECTOR = 4096 };
	uint8_t *bytes = calloc(1, f->size == 0 ? 1 : (size_t)f->size);

	if (bytes == NULL)
		return RC_NOMEM;
	for (uint64_t at = 0; at < f->size; at += STEP) {
		size_t n;

		if (r->io->ops->skip_hole(r->io, fd, &at) == 0 && at >= f->size)
			break;
		n = f->size - at < STEP ? (size_t)(f->size - at) : STEP;
		if (spool_io_read_all(r->io, fd, bytes + at, n, at) >= 0)
			continue;
		memset(bytes + at, 0, n);
		for (uint64_t i = at; i < at + n; i += SECTOR)
			(void)spool_io_read_all(r->io, fd, bytes + i, at + n - i < SECTOR ? (size_t)(at + n - i) : SECTOR, i);
	}
	*ret_bytes = bytes;
	return RC_OK;
}

/* What was read of a segment; the entries of the scan borrow from the bytes. */
struct reading {
	uint8_t *bytes;
	struct spool_scan scan;
};

static void
reading_free(struct reading *reading)
{
	spool_scan_free(&reading->scan);
	free(reading->bytes);
	reading->bytes = NULL;
}

static enum rc
scan_found(struct recovery *r, struct found *f, bool later, struct reading *ret_reading)
{
	struct spool_limit limit = { end_of(f), later };
	char path[SPOOL_PATH_MAX];
	uint8_t *bytes = NULL;
	enum rc rc;
	int fd;

	spool_segment_path(path, f->number);
	fd = r->io->ops->open(r->io, path, SPOOL_OPEN_READ);
	if (fd < 0)
		return recovery_fail(r, fd, "cannot open a segment");
	rc = read_footer(r, f, fd, &ret_reading->bytes, &ret_reading->scan);
	if (rc == RC_NOTFOUND || rc == RC_CORRUPT) {
		rc = read_file(r, f, fd, &bytes);
		if (rc == RC_OK)
			rc = spool_scan(&ret_reading->scan, &f->key, slice_of(bytes, (size_t)f->size), limit);
		if (rc == RC_OK)
			ret_reading->bytes = bytes;
		else
			free(bytes);
	}
	(void)r->io->ops->close(r->io, fd);
	if (rc != RC_OK)
		r->why = rc == RC_UNSUPPORTED ? "a record was written by a newer version" : "cannot read a segment";
	return rc;
}

/* A spare that was never used, or one whose first batch was never finished: nothing of it was ever acknowledged. */
static void
remove_found(struct recovery *r, struct found *f)
{
	char path[SPOOL_PATH_MAX];

	spool_segment_path(path, f->number);
	(void)r->io->ops->unlink(r->io, path);
	f->readable = false;
}

/* The youngest segment with a batch; everything older was durable to its end. r->n_found: there is none. What was read of
 * it is handed on: it has no footer after a crash, and was read whole. */
static enum rc
find_last(struct recovery *r, size_t *ret_last, struct reading *ret_reading)
{
	for (size_t i = r->n_found; i-- > 0;) {
		struct found *f = &r->found[i];
		struct reading reading;
		bool used;
		enum rc rc;

		if (!f->readable)
			continue;
		rc = scan_found(r, f, false, &reading);
		if (rc != RC_OK)
			return rc;
		used = reading.scan.batch != 0 || end_of(f) > SPOOL_FIRST_FRAME;
		r->sequence = reading.scan.sequence > r->sequence ? reading.scan.sequence : r->sequence;
		if (used) {
			*ret_last = i;
			*ret_reading = reading;
			return RC_OK;
		}
		r->stats.torn += reading.scan.torn;
		reading_free(&reading);
		remove_found(r, f);
	}
	*ret_last = r->n_found;
	return RC_OK;
}

static enum rc
take(struct recovery *r, struct found *f, const struct spool_scan *scan, bool is_last)
{
	if (scan->batch == 0 && scan->n_entries == 0 && end_of(f) <= SPOOL_FIRST_FRAME) {
		/* Given up before it held anything, or an unused spare. */
		if (!scan->empty && end_of(f) == 0 && !is_last)
			recovery_quarantine(r, f, "no batch can be read");
		remove_found(r, f);
		return RC_OK;
	}
	r->stats.torn += scan->torn && end_of(f) == 0;
	return segments_add(r->s, f->number) == NULL ? RC_NOMEM : recovery_apply(r, f, scan);
}

static void
check_list(struct recovery *r)
{
	char name[SPOOL_PATH_MAX];

	for (size_t i = 0; i < r->n_listed; i++) {
		const struct found *f = recovery_find(r, r->listed[i]);

		if (f != NULL)
			continue;
		spool_segment_path(name, r->listed[i]);
		quarantine_say(r->listed[i], 0, 0, "a segment is missing", name, NULL);
		r->stats.damaged++;
	}
}

enum rc
recovery_read_segments(struct recovery *r)
{
	struct reading of_last = { .bytes = NULL };
	size_t last = 0;
	enum rc rc = recovery_find_all(r);

	if (rc != RC_OK)
		return rc;
	rc = find_last(r, &last, &of_last);
	for (size_t i = 0; rc == RC_OK && i < last; i++) {
		struct found *f = &r->found[i];
		struct reading reading;

		if (!f->readable)
			continue;
		rc = scan_found(r, f, true, &reading);
		if (rc != RC_OK)
			break;
		rc = take(r, f, &reading.scan, false);
		reading_free(&reading);
	}
	if (rc == RC_OK && last < r->n_found)
		rc = take(r, &r->found[last], &of_last.scan, true);
	reading_free(&of_last);
	check_list(r);
	return rc;
}
