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

/* The whole file. A range that the disk will not read is taken for zeros, and so for damage. */
static enum rc
read_file(struct recovery *r, const struct found *f, int fd, uint8_t **ret_bytes)
{
	enum { STEP = 1024 * 1024, SECTOR = 4096 };
	uint8_t *bytes = calloc(1, f->size == 0 ? 1 : (size_t)f->size);

	if (bytes == NULL)
		return RC_NOMEM;
	for (uint64_t at = 0; at < f->size; at += STEP) {
		size_t n = f->size - at < STEP ? (size_t)(f->size - at) : STEP;

		if (spool_io_read_all(r->io, fd, bytes + at, n, at) >= 0)
			continue;
		memset(bytes + at, 0, n);
		for (uint64_t i = at; i < at + n; i += SECTOR)
			(void)spool_io_read_all(r->io, fd, bytes + i, at + n - i < SECTOR ? (size_t)(at + n - i) : SECTOR, i);
	}
	*ret_bytes = bytes;
	return RC_OK;
}

static enum rc
scan_found(struct recovery *r, struct found *f, bool later, uint8_t **ret_bytes, struct spool_scan *ret_scan)
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
	rc = read_footer(r, f, fd, ret_bytes, ret_scan);
	if (rc == RC_NOTFOUND || rc == RC_CORRUPT) {
		rc = read_file(r, f, fd, &bytes);
		if (rc == RC_OK)
			rc = spool_scan(ret_scan, &f->key, slice_of(bytes, (size_t)f->size), limit);
		if (rc == RC_OK)
			*ret_bytes = bytes;
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

/* The youngest segment with a batch; everything older was durable to its end. r->n_found: there is none. */
static enum rc
find_last(struct recovery *r, size_t *ret_last)
{
	for (size_t i = r->n_found; i-- > 0;) {
		struct found *f = &r->found[i];
		struct spool_scan scan;
		uint8_t *bytes;
		bool used;
		enum rc rc;

		if (!f->readable)
			continue;
		rc = scan_found(r, f, false, &bytes, &scan);
		if (rc != RC_OK)
			return rc;
		used = scan.batch != 0 || end_of(f) > SPOOL_FIRST_FRAME;
		r->sequence = scan.sequence > r->sequence ? scan.sequence : r->sequence;
		r->stats.torn += !used && scan.torn;
		spool_scan_free(&scan);
		free(bytes);
		if (used) {
			*ret_last = i;
			return RC_OK;
		}
		remove_found(r, f);
	}
	*ret_last = r->n_found;
	return RC_OK;
}

static enum rc
read_one(struct recovery *r, size_t i, size_t last)
{
	struct found *f = &r->found[i];
	struct spool_scan scan;
	uint8_t *bytes;
	enum rc rc = scan_found(r, f, i < last, &bytes, &scan);

	if (rc != RC_OK)
		return rc;
	if (scan.batch == 0 && scan.n_entries == 0 && end_of(f) <= SPOOL_FIRST_FRAME) {
		/* Given up before it held anything, or an unused spare. */
		if (!scan.empty && end_of(f) == 0 && i < last)
			recovery_quarantine(r, f, "no batch can be read");
		remove_found(r, f);
	} else {
		r->stats.torn += scan.torn && end_of(f) == 0;
		if (segments_add(r->s, f->number) == NULL)
			rc = RC_NOMEM;
		else
			rc = recovery_apply(r, f, &scan);
	}
	spool_scan_free(&scan);
	free(bytes);
	return rc;
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
	size_t last;
	enum rc rc = recovery_find_all(r);

	if (rc != RC_OK)
		return rc;
	rc = find_last(r, &last);
	for (size_t i = 0; rc == RC_OK && i < r->n_found; i++)
		if (r->found[i].readable)
			rc = read_one(r, i, last);
	check_list(r);
	return rc;
}
