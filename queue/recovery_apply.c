/* queue/recovery_apply.c -- what the records of a segment say, and what is done about those that say nothing; see recovery.h. */
#include "queue/recovery.h"

#include <errno.h>
#include <stdlib.h>

static bool
known_damage(const struct recovery *r, uint32_t number, const struct spool_range *bad)
{
	for (size_t i = 0; i < r->n_known; i++)
		if (r->known_segment[i] == number && r->known_bad[i].offset <= bad->offset &&
		    bad->offset + bad->length <= r->known_bad[i].offset + r->known_bad[i].length)
			return true;
	return false;
}

void
recovery_pin(struct recovery *r, uint32_t number)
{
	struct segment *g = segments_find(r->s, number);

	if (g != NULL)
		g->live++;
}

void
recovery_set_aside(struct recovery *r, const struct found *f, const struct spool_range *bad, const char *why)
{
	char path[SPOOL_PATH_MAX], name[SPOOL_PATH_MAX];
	int rc;

	r->damage = true;
	if (known_damage(r, f->number, bad))
		return;
	spool_segment_path(path, f->number);
	quarantine_segment_name(name, f->number, bad->offset);
	/* The copy from an earlier start is the mark that it was reported. Without one the segment itself has to stay. */
	rc = quarantine_copy(r->io, path, name, bad->offset, bad->length);
	if (rc == -EEXIST)
		return;
	if (rc < 0)
		recovery_pin(r, f->number);
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
	struct found *f = recovery_find(r, number);

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

enum rc
recovery_apply(struct recovery *r, struct found *f, const struct spool_scan *scan)
{
	for (size_t i = 0; i < scan->n_entries; i++) {
		const struct spool_entry *e = &scan->entries[i];
		struct spool_range bad = { e->offset, (uint32_t)spool_frame_bytes(e->header.length) };
		enum rc rc = apply_entry(r, f, e);

		if (rc == RC_CORRUPT)
			recovery_set_aside(r, f, &bad, "a record makes no sense");
		else if (rc != RC_OK) {
			r->why = "no memory";
			return rc;
		}
	}
	for (size_t i = 0; i < scan->n_bad; i++)
		recovery_set_aside(r, f, &scan->bad[i], "a checksum is wrong");
	if (scan->sequence > r->sequence)
		r->sequence = scan->sequence;
	if (scan->batch > r->batch)
		r->batch = scan->batch;
	f->batch = f->sealed ? f->seal.batch : scan->batch;
	f->digest = f->sealed ? f->seal.digest : scan->digest;
	f->cut = scan->end;
	return RC_OK;
}
