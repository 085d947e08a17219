/* queue/store_recover.c -- the start: lock, identity, read every segment, decide what counts, tell what is alive.
 *
 * Nothing is ever appended to a segment that a start has found: its end is decided once, written as a SEAL into the first
 * batch of a new segment, and what stands behind it never counts again. Running it twice gives the same as once. */
#include "queue/spool_scan.h"
#include "queue/store_index.h"
#include "queue/store_private.h"

#include "common/log.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

/* One segment file that was found. */
struct found {
	uint32_t number;
	uint64_t size;
	struct spool_segment first;
	struct spool_key key;
	bool readable;			/* its first frame verifies */
	bool dead;			/* a DEAD names it */
	bool sealed;			/* a SEAL in a younger segment names it: */
	struct spool_seal_record seal;
	bool has_end;			/* it ends in an END: */
	struct spool_end end;
	/* After the scan. */
	uint64_t batch, digest;
	uint32_t cut;
};

struct recovery {
	struct store *s;
	struct spool_io *io;
	struct found *found;
	size_t n_found, max_found;
	struct store_index index;
	struct spool_range *known_bad;	/* pairs with known_segment */
	uint32_t *known_segment;
	size_t n_known, max_known;
	uint32_t *listed;		/* of the youngest SEGMENTS */
	size_t n_listed;
	uint64_t sequence, batch;
	uint32_t highest;		/* segment number */
	bool damage;			/* some, reported now or earlier */
	struct store_stats stats;
	const char *why;
};

/* --- the folder, the lock, the identity --- */

static enum rc
fail(struct recovery *r, int error, const char *why)
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

static enum rc
make_folders(struct recovery *r)
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
	return rc == 0 ? RC_OK : fail(r, rc, "cannot make the spool's folders");
}

static enum rc
lock_spool(struct recovery *r)
{
	struct spool_space space;
	int rc = r->io->ops->space(r->io, &space);

	if (rc < 0)
		return fail(r, rc, "cannot ask the file system for its free space");
	if (space.unsafe != NULL && !r->s->params.allow_unsafe_fs) {
		r->why = "the spool is on a file system that cannot keep the promise behind 250 (allow-unsafe-fs takes it anyway)";
		return RC_UNSUPPORTED;
	}
	r->s->free_bytes = space.free;
	rc = r->io->ops->open(r->io, SPOOL_FILE_LOCK, SPOOL_OPEN_TAKE);
	if (rc < 0)
		return fail(r, rc, "cannot open the spool's lock");
	r->s->lock_fd = rc;
	rc = r->io->ops->lock(r->io, r->s->lock_fd);
	if (rc == -EWOULDBLOCK) {
		r->why = "another queue has this spool";
		return RC_EXISTS;
	}
	return rc < 0 ? fail(r, rc, "cannot lock the spool") : RC_OK;
}

static enum rc
read_identity(struct recovery *r, struct spool_identity *ret_i)
{
	uint8_t bytes[SPOOL_ID_BYTES + 1];
	int fd = r->io->ops->open(r->io, SPOOL_FILE_IDENTITY, SPOOL_OPEN_READ);
	ssize_t n;

	if (fd < 0)
		return fd == -ENOENT ? RC_NOTFOUND : fail(r, fd, "cannot read spool.id");
	n = spool_io_read_all(r->io, fd, bytes, sizeof bytes, 0);
	(void)r->io->ops->close(r->io, fd);
	return n < 0 ? fail(r, (int)n, "cannot read spool.id") : spool_identity_parse(slice_of(bytes, (size_t)n), ret_i);
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
static enum rc
count_boot(struct recovery *r)
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
		return fail(r, error, "cannot write spool.id");
	r->s->ident = (struct spool_ident){ i.spool, i.boot };
	return RC_OK;
}

/* --- which segments there are --- */

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

static struct found *
find_found(struct recovery *r, uint32_t number)
{
	struct found key = { .number = number };

	return r->n_found == 0 ? NULL : bsearch(&key, r->found, r->n_found, sizeof key, by_number);
}

/* A frame of a small record at an offset, into room; payload borrows from room. */
static bool
read_small(struct recovery *r, const struct found *f, int fd, uint64_t at, uint8_t *room, size_t max, struct spool_header *h,
    struct slice *payload)
{
	ssize_t n = spool_io_read_all(r->io, fd, room, max, at);

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

	while (read_small(r, f, fd, at, room, sizeof room, &h, &payload) && h.type == SPOOL_SEAL &&
	    spool_seal_get(payload, &seal) == RC_OK) {
		struct found *about = find_found(r, seal.number);

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
	f->has_end = read_small(r, f, fd, f->size - SPOOL_END_FRAME, room, sizeof room, &h, &payload) &&
	    h.type == SPOOL_END && spool_end_get(payload, &f->end) == RC_OK && f->end.end >= SPOOL_FIRST_FRAME &&
	    f->end.end <= f->size && (f->end.footer == 0 || f->end.footer == f->end.end);
}

/* Set aside whole: nothing in it can be verified. */
static void
quarantine_file(struct recovery *r, struct found *f, const char *why)
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

static enum rc
look_at(struct recovery *r, struct found *f)
{
	uint8_t first[SPOOL_FIRST_FRAME];
	char path[SPOOL_PATH_MAX];
	ssize_t n = -EIO;
	int fd, rc;
	enum rc parsed;

	spool_segment_path(path, f->number);
	fd = r->io->ops->open(r->io, path, SPOOL_OPEN_READ);
	if (fd < 0)
		return fail(r, fd, "cannot open a segment");
	/* After a failed sync the memory of the machine may show what the disk does not have. */
	(void)r->io->ops->forget(r->io, fd);
	rc = r->io->ops->size(r->io, fd, &f->size);
	if (rc == 0)
		n = spool_io_read_all(r->io, fd, first, sizeof first, 0);
	if (rc < 0 || n == -ENOMEM) {
		(void)r->io->ops->close(r->io, fd);
		return fail(r, rc < 0 ? rc : (int)n, "cannot read a segment");
	}
	parsed = n < 0 ? RC_CORRUPT : spool_segment_parse(slice_of(first, (size_t)n), &f->first);
	f->readable = parsed == RC_OK && f->first.number == f->number && f->size <= SPOOL_SEGMENT_MAX;
	if (f->readable) {
		spool_key_make(&f->key, f->first.nonce);
		read_seals(r, f, fd);
		read_end(r, f, fd);
	}
	(void)r->io->ops->close(r->io, fd);
	if (parsed == RC_UNSUPPORTED) {
		r->why = "a segment was written by a newer version";
		return parsed;
	}
	return RC_OK;
}

/* --- what is in them --- */

static bool
known_damage(const struct recovery *r, uint32_t number, const struct spool_range *bad)
{
	for (size_t i = 0; i < r->n_known; i++)
		if (r->known_segment[i] == number && r->known_bad[i].offset <= bad->offset &&
		    bad->offset + bad->length <= r->known_bad[i].offset + r->known_bad[i].length)
			return true;
	return false;
}

static void
set_aside(struct recovery *r, const struct found *f, const struct spool_range *bad, const char *why)
{
	char path[SPOOL_PATH_MAX], name[SPOOL_PATH_MAX];

	r->damage = true;
	if (known_damage(r, f->number, bad))
		return;
	spool_segment_path(path, f->number);
	quarantine_segment_name(name, f->number, bad->offset);
	/* The copy from an earlier start is the mark that it was reported. */
	if (quarantine_copy(r->io, path, name, bad->offset, bad->length) == -EEXIST)
		return;
	r->stats.damaged++;
	quarantine_say(f->number, bad->offset, bad->length, why, name, NULL);
}

static enum rc
take_segments(struct recovery *r, struct slice payload)
{
	struct rd rd = { payload, false };
	uint32_t n = rd_u32(&rd);
	uint32_t *list;

	if (rd.bad || rd.s.n != (size_t)n * 4)
		return RC_CORRUPT;
	list = reallocarray(r->listed, n == 0 ? 1 : n, sizeof *list);
	if (list == NULL)
		return RC_NOMEM;
	for (uint32_t i = 0; i < n; i++)
		list[i] = rd_u32(&rd);
	r->listed = list;
	r->n_listed = n;
	return RC_OK;
}

static enum rc
take_dead(struct recovery *r, uint32_t segment, struct slice payload)
{
	struct rd rd = { payload, false };
	uint32_t number = rd_u32(&rd);
	struct found *f = find_found(r, number);

	if (!rd_end(&rd))
		return RC_CORRUPT;
	if (f != NULL) {
		f->dead = true;
		segments_refer(r->s, segment, number);
	}
	for (size_t i = 0; i < r->n_listed; i++)
		if (r->listed[i] == number)
			r->listed[i--] = r->listed[--r->n_listed];
	return RC_OK;
}

static enum rc
take_known_damage(struct recovery *r, uint32_t segment, struct slice payload)
{
	struct rd rd = { payload, false };
	uint32_t number = rd_u32(&rd);
	struct spool_range bad = { rd_u32(&rd), 0 };

	bad.length = rd_u32(&rd);
	if (!rd_end(&rd))
		return RC_CORRUPT;
	if (r->n_known == r->max_known) {
		size_t max = r->max_known == 0 ? 16 : r->max_known * 2;
		struct spool_range *p = reallocarray(r->known_bad, max, sizeof *p);
		uint32_t *q = p == NULL ? NULL : reallocarray(r->known_segment, max, sizeof *q);

		r->known_bad = p == NULL ? r->known_bad : p;
		r->known_segment = q == NULL ? r->known_segment : q;
		if (q == NULL)
			return RC_NOMEM;
		r->max_known = max;
	}
	r->known_bad[r->n_known] = bad;
	r->known_segment[r->n_known++] = number;
	segments_refer(r->s, segment, number);
	return RC_OK;
}

static enum rc
apply_entry(struct recovery *r, const struct found *f, const struct spool_entry *e)
{
	uint32_t about;
	enum rc rc;

	switch (e->header.type) {
	case SPOOL_SEGMENTS:
		return take_segments(r, e->payload);
	case SPOOL_DEAD:
		return take_dead(r, f->number, e->payload);
	case SPOOL_QUARANTINED:
		return take_known_damage(r, f->number, e->payload);
	default:
		rc = index_apply(&r->index, f->number, e, &about);
		if (about != 0)
			segments_refer(r->s, f->number, about);
		return rc;
	}
}

static enum rc
apply_scan(struct recovery *r, struct found *f, const struct spool_scan *scan)
{
	for (size_t i = 0; i < scan->n_entries; i++) {
		const struct spool_entry *e = &scan->entries[i];
		struct spool_range bad = { e->offset, (uint32_t)spool_frame_bytes(e->header.length) };
		enum rc rc = apply_entry(r, f, e);

		if (rc == RC_CORRUPT)
			set_aside(r, f, &bad, "a record makes no sense");
		else if (rc != RC_OK) {
			r->why = "no memory";
			return rc;
		}
	}
	for (size_t i = 0; i < scan->n_bad; i++)
		set_aside(r, f, &scan->bad[i], "a checksum is wrong");
	if (scan->sequence > r->sequence)
		r->sequence = scan->sequence;
	if (scan->batch > r->batch)
		r->batch = scan->batch;
	f->batch = f->sealed ? f->seal.batch : scan->batch;
	f->digest = f->sealed ? f->seal.digest : scan->digest;
	f->cut = scan->end;
	return RC_OK;
}

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
	rc = read_small(r, f, fd, f->end.footer, bytes, n, &h, &payload) && h.type == SPOOL_FOOTER ?
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
		return fail(r, fd, "cannot open a segment");
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
			quarantine_file(r, f, "no batch can be read");
		remove_found(r, f);
	} else {
		r->stats.torn += scan.torn && end_of(f) == 0;
		if (segments_add(r->s, f->number) == NULL)
			rc = RC_NOMEM;
		else
			rc = apply_scan(r, f, &scan);
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
		const struct found *f = find_found(r, r->listed[i]);

		if (f != NULL)
			continue;
		spool_segment_path(name, r->listed[i]);
		quarantine_say(r->listed[i], 0, 0, "a segment is missing", name, NULL);
		r->stats.damaged++;
	}
}

static enum rc
read_segments(struct recovery *r)
{
	size_t last;
	int error = r->io->ops->list(r->io, SPOOL_DIR_SEGMENTS, add_found, r);
	enum rc rc;

	if (error < 0)
		return fail(r, error, "cannot list the segments");
	if (r->n_found > 0)
		qsort(r->found, r->n_found, sizeof r->found[0], by_number);
	for (size_t i = 0; i < r->n_found; i++) {
		rc = look_at(r, &r->found[i]);
		if (rc != RC_OK)
			return rc;
	}
	for (size_t i = 0; i < r->n_found; i++)
		if (!r->found[i].readable)
			quarantine_file(r, &r->found[i], "the segment cannot be identified");
	rc = find_last(r, &last);
	for (size_t i = 0; rc == RC_OK && i < r->n_found; i++)
		if (r->found[i].readable)
			rc = read_one(r, i, last);
	check_list(r);
	return rc;
}

/* --- what is alive --- */

static bool
is_dead(struct recovery *r, uint32_t number)
{
	const struct found *f = find_found(r, number);

	return f == NULL || f->dead;
}

/* Content in a file must be there, whole. */
static void
check_big(struct recovery *r, const struct index_message *m)
{
	uint64_t blocks = (m->head.content + SPOOL_BIG_BLOCK - 1) / SPOOL_BIG_BLOCK, size;
	char path[SPOOL_PATH_MAX];

	spool_big_path(path, m->id);
	if (r->io->ops->stat(r->io, path, &size) == 0 && size == m->head.content + 8 * blocks)
		return;
	quarantine_say(m->where.segment, (uint64_t)m->where.offset * SPOOL_ALIGN, 0, "the file of a big message is missing or cut",
	    path, &m->id);
	r->stats.damaged++;
}

struct orphans {
	struct recovery *r;
	unsigned folder;
};

static int
remove_orphan(void *arg, const char *name)
{
	const struct orphans *o = arg;
	struct msgid id = { 0, 0, 0 };
	const struct index_message *m;
	char path[SPOOL_PATH_MAX], part[17];
	size_t n = strlen(name);

	if (n != 32 || strspn(name, "0123456789abcdef") != n)
		return 0;
	memcpy(part, name, 12);
	part[12] = '\0';
	id.spool = strtoull(part, NULL, 16);
	memcpy(part, name + 12, 4);
	part[4] = '\0';
	id.boot = (uint16_t)strtoul(part, NULL, 16);
	id.seq = strtoull(name + 16, NULL, 16);
	m = index_find(&o->r->index, id);
	if ((id.seq & 0xff) != o->folder || (m != NULL && !m->dropped && store_where_is_big(m->where)))
		return 0;
	spool_big_path(path, id);
	(void)o->r->io->ops->unlink(o->r->io, path);
	return 0;
}

/* Files of messages that were never acknowledged, or are finished. Only when every record could be read: a record that
 * is damaged may be the one that names the file. */
static void
remove_orphans(struct recovery *r)
{
	char path[SPOOL_PATH_MAX];

	if (r->damage || r->stats.damaged > 0)
		return;
	for (unsigned i = 0; i < BIG_FOLDERS; i++) {
		struct orphans o = { r, i };

		(void)snprintf(path, sizeof path, SPOOL_DIR_BIG "/%02x", i);
		(void)r->io->ops->list(r->io, path, remove_orphan, &o);
	}
}

/* The first batch of this start. */
static enum rc
open_log(struct recovery *r)
{
	struct committer *c = &r->s->committer;
	enum rc rc = RC_OK;

	for (size_t i = 0; i < r->n_found && rc == RC_OK; i++) {
		const struct found *f = &r->found[i];
		struct spool_seal_record seal = { f->number, f->cut, f->batch == 0 ? 1 : f->batch, f->digest, SPOOL_SEAL_START };

		if (!f->readable)
			continue;
		if (!committer_add_live(c, f->number))
			rc = RC_NOMEM;
		/* Its seal must live as long as it does: the older one may go with its segment. */
		if (!f->has_end && rc == RC_OK && !committer_add_seal(c, &seal))
			rc = RC_NOMEM;
	}
	if (rc == RC_OK)
		rc = committer_open(c, r->s->ident, r->highest + 1, r->sequence, r->batch);
	if (rc != RC_OK)
		r->why = "cannot write the first batch of this start";
	return rc;
}

/* --- telling --- */

struct teller {
	struct recovery *r;
	store_visit_fn *visit;
	void *arg;
	int fd;
	uint32_t open;		/* segment behind fd */
	uint8_t *room;
	size_t cap;
	struct store_rcpt *pending;
	uint32_t n_pending;
};

static bool
teller_room(struct teller *t, size_t bytes, uint32_t n_rcpts)
{
	if (bytes > t->cap) {
		uint8_t *p = realloc(t->room, bytes + bytes / 2);

		if (p == NULL)
			return false;
		t->room = p;
		t->cap = bytes + bytes / 2;
	}
	if (n_rcpts > t->n_pending) {
		struct store_rcpt *p = calloc(n_rcpts, sizeof *p);

		if (p == NULL)
			return false;
		free(t->pending);
		t->pending = p;
		t->n_pending = n_rcpts;
	}
	return true;
}

static bool
teller_read(struct teller *t, const struct index_message *m, size_t bytes)
{
	struct spool_io *io = t->r->io;
	const struct found *f = find_found(t->r, m->where.segment);
	struct spool_head head;
	char path[SPOOL_PATH_MAX];
	uint64_t at = (uint64_t)m->where.offset * SPOOL_ALIGN + SPOOL_HEADER_BYTES;

	if (t->open != m->where.segment) {
		if (t->fd >= 0)
			(void)io->ops->close(io, t->fd);
		spool_segment_path(path, m->where.segment);
		t->fd = io->ops->open(io, path, SPOOL_OPEN_READ);
		t->open = m->where.segment;
	}
	return t->fd >= 0 && spool_io_read_all(io, t->fd, t->room, bytes, at) == (ssize_t)bytes &&
	    spool_head_get(slice_of(t->room, bytes), &head) == RC_OK && head.sum == m->head.sum &&
	    spool_head_ok(&f->key, &head, slice_of(t->room, bytes));
}

static enum rc
tell_one(struct teller *t, const struct index_message *m)
{
	size_t bytes = SPOOL_HEAD_BYTES + (size_t)m->head.envelope;
	struct spool_range bad = { m->where.offset * SPOOL_ALIGN, m->where.length & 0x7fffffff };
	struct segment *home = segments_find(t->r->s, m->where.segment);
	struct store_message out = { .id = m->id, .where = m->where, .size = m->head.content, .flags = m->flags,
		.stored_at = m->head.stored_at, .rcpts = m->rcpts, .n_rcpts = m->head.n_rcpts };

	if (!teller_room(t, bytes, m->head.n_rcpts))
		return RC_NOMEM;
	if (!teller_read(t, m, bytes)) {
		set_aside(t->r, find_found(t->r, m->where.segment), &bad, "an envelope cannot be read");
		return RC_OK;
	}
	if (home != NULL)
		home->live++;
	out.envelope = slice_of(t->room + SPOOL_HEAD_BYTES, m->head.envelope);
	if (out.rcpts == NULL)
		out.rcpts = t->pending;
	if (store_where_is_big(m->where))
		check_big(t->r, m);
	t->r->stats.messages++;
	for (uint32_t i = 0; i < out.n_rcpts; i++)
		t->r->stats.recipients += out.rcpts[i].state == STORE_PENDING || out.rcpts[i].state == STORE_DEFERRED;
	if (t->visit != NULL)
		t->visit(t->arg, &out);
	return RC_OK;
}

static enum rc
tell_all(struct recovery *r, store_visit_fn *visit, void *arg)
{
	struct teller t = { .r = r, .visit = visit, .arg = arg, .fd = -1 };
	struct index_message **list;
	enum rc rc = RC_OK;
	size_t n;

	list = index_sorted(&r->index, &n);
	if (list == NULL)
		rc = RC_NOMEM;
	for (size_t i = 0; rc == RC_OK && i < n; i++)
		if (!is_dead(r, list[i]->where.segment))
			rc = tell_one(&t, list[i]);
	if (t.fd >= 0)
		(void)r->io->ops->close(r->io, t.fd);
	free(t.room);
	free(t.pending);
	free(list);
	if (rc != RC_OK)
		r->why = "no memory";
	return rc;
}

static uint64_t
monotonic_ms(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static enum rc
recover(struct recovery *r, store_visit_fn *visit, void *arg)
{
	enum rc rc = lock_spool(r);

	if (rc == RC_OK)
		rc = make_folders(r);
	if (rc == RC_OK)
		rc = read_segments(r);
	if (rc == RC_OK)
		rc = count_boot(r);
	if (rc == RC_OK)
		rc = open_log(r);
	if (rc == RC_OK)
		rc = tell_all(r, visit, arg);
	if (rc == RC_OK)
		remove_orphans(r);
	return rc;
}

enum rc
store_recover(struct store *s, store_visit_fn *visit, void *arg, struct store_stats *ret_stats, const char **ret_why)
{
	struct recovery r = { .s = s, .io = s->io, .why = "no memory" };
	uint64_t start = monotonic_ms(), seed;
	struct committer_look look;
	enum rc rc;

	BUG_ON(s->recovered);
	s->io->ops->random(s->io, &seed, sizeof seed);
	index_init(&r.index, seed);
	rc = recover(&r, visit, arg);
	if (rc == RC_OK) {
		s->recovered = true;
		look = committer_look(&s->committer);
		segments_set_current(s, look.current);
		r.stats.segments = (uint32_t)s->n_segments;
		r.stats.ms = (uint32_t)(monotonic_ms() - start);
		segments_consider_all(s);
		keeper_want_spare(s);
		timer_start(&s->timer, PROBE_MS);
		*ret_stats = r.stats;
	} else
		*ret_why = r.why;
	index_free(&r.index);
	free(r.found);
	free(r.known_bad);
	free(r.known_segment);
	free(r.listed);
	return rc;
}
