/* queue/spool_scan.c -- reads a segment as a crash or a bad disk left it: what counts, what is damaged, where it ends. */
#include "queue/spool_scan.h"

#include <stdlib.h>

/* The walk through a file: one step finds a frame, or a gap where none verifies. */
struct walk {
	const struct spool_key *key;
	struct slice file;
	size_t pos;
	struct spool_header h;
	struct slice payload;
};

/* A COMMIT met on the way. */
struct met {
	struct spool_commit commit;
	uint32_t end;		/* of its frame */
	size_t entries;		/* met before it */
	size_t bad;
	bool whole;		/* everything in its batch verifies */
};

enum { MET_MAX = 2 };	/* the last one and the one before */

static bool
frame_at(const struct walk *w, size_t at, struct spool_header *ret_h, struct slice *ret_payload)
{
	struct slice rest = slice_from(w->file, at), payload;
	struct spool_header h;

	if (spool_header_parse(w->key, rest, &h) != RC_OK || spool_frame_bytes(h.length) > rest.n)
		return false;
	payload = slice_first(slice_from(rest, SPOOL_HEADER_BYTES), h.length);
	if (!spool_payload_ok(w->key, &h, payload))
		return false;
	*ret_h = h;
	*ret_payload = payload;
	return true;
}

/* Where the next frame begins that verifies, or the end of the file. */
static size_t
resync(const struct walk *w, size_t at)
{
	struct slice payload;
	struct spool_header h;

	/* A header that verifies has a length that can be believed, even when its payload is damaged: what is inside may be
	 * anything, and is not looked at. */
	if (spool_header_parse(w->key, slice_from(w->file, at), &h) == RC_OK &&
	    spool_frame_bytes(h.length) <= w->file.n - at) {
		at += spool_frame_bytes(h.length);
		if (at + SPOOL_HEADER_BYTES > w->file.n || frame_at(w, at, &h, &payload))
			return at;
	}
	for (at = (at + SPOOL_ALIGN) & ~(size_t)(SPOOL_ALIGN - 1); at + SPOOL_HEADER_BYTES <= w->file.n; at += SPOOL_ALIGN)
		if (frame_at(w, at, &h, &payload))
			return at;
	return w->file.n;
}

static bool
add_bad(struct spool_scan *s, size_t offset, size_t length)
{
	if (s->n_bad == SPOOL_BAD_MAX) {
		s->bad[s->n_bad - 1].length = (uint32_t)(offset + length - s->bad[s->n_bad - 1].offset);
		return true;
	}
	if (s->n_bad == s->max_bad) {
		size_t max = s->max_bad == 0 ? 16 : s->max_bad * 2;
		struct spool_range *p = reallocarray(s->bad, max, sizeof *p);

		if (p == NULL)
			return false;
		s->bad = p;
		s->max_bad = max;
	}
	s->bad[s->n_bad++] = (struct spool_range){ (uint32_t)offset, (uint32_t)length };
	return true;
}

static bool
add_entry(struct spool_scan *s, const struct spool_header *h, size_t offset, struct slice payload)
{
	if (s->n_entries == s->max_entries) {
		size_t max = s->max_entries == 0 ? 1024 : s->max_entries * 2;
		struct spool_entry *p = reallocarray(s->entries, max, sizeof *p);

		if (p == NULL)
			return false;
		s->entries = p;
		s->max_entries = max;
	}
	s->entries[s->n_entries++] = (struct spool_entry){ *h, (uint32_t)offset, payload };
	return true;
}

static bool
known_type(const struct spool_header *h)
{
	return (h->type >= SPOOL_SEGMENT && h->type <= SPOOL_TYPE_MAX && h->type != SPOOL_MOVE && h->version <= 1) ||
	    (h->flags & SPOOL_FLAG_OPTIONAL) != 0;
}

static bool
all_zero(struct slice s)
{
	return s.n == 0 || (s.p[0] == 0 && memcmp(s.p, s.p + 1, s.n - 1) == 0);
}

/* What one batch adds up to while it is walked through. */
struct sum {
	uint64_t digest;
	uint32_t frames;
	size_t start;
	bool gap;
};

static void
meet(struct met met[MET_MAX], const struct spool_scan *s, const struct spool_commit *c, const struct sum *sum, size_t end)
{
	met[0] = met[1];
	met[1] = (struct met){ *c, (uint32_t)end, s->n_entries, s->n_bad,
		!sum->gap && sum->start == c->start && sum->frames == c->frames && sum->digest == c->digest };
}

/* Walks to the end of what is there. met: the last two COMMITs. */
static enum rc
walk_file(struct spool_scan *s, struct walk *w, struct met met[MET_MAX])
{
	struct sum sum = { 0, 0, w->pos, false };

	while (w->pos + SPOOL_HEADER_BYTES <= w->file.n) {
		struct spool_commit c;
		size_t next;

		if (!frame_at(w, w->pos, &w->h, &w->payload)) {
			next = resync(w, w->pos);
			if (!add_bad(s, w->pos, next - w->pos))
				return RC_NOMEM;
			sum.gap = true;
			w->pos = next;
			continue;
		}
		next = w->pos + spool_frame_bytes(w->h.length);
		if (!known_type(&w->h))
			return RC_UNSUPPORTED;
		if (w->h.sequence > s->sequence)
			s->sequence = w->h.sequence;
		if (w->h.type == SPOOL_COMMIT && spool_commit_get(w->payload, &c) == RC_OK) {
			meet(met, s, &c, &sum, next);
			sum = (struct sum){ 0, 0, next, false };
		} else if (w->h.type != SPOOL_FOOTER && w->h.type != SPOOL_END) {
			if (!add_entry(s, &w->h, w->pos, w->payload))
				return RC_NOMEM;
			sum.digest = spool_digest(w->key, sum.digest, w->file.p + w->pos);
			sum.frames++;
		}
		w->pos = next;
	}
	return RC_OK;
}

static void
cut_at(struct spool_scan *s, uint32_t end)
{
	while (s->n_entries > 0 && s->entries[s->n_entries - 1].offset >= end)
		s->n_entries--;
	while (s->n_bad > 0 && s->bad[s->n_bad - 1].offset >= end)
		s->n_bad--;
	if (s->n_bad > 0 && s->bad[s->n_bad - 1].length > end - s->bad[s->n_bad - 1].offset)
		s->bad[s->n_bad - 1].length = end - s->bad[s->n_bad - 1].offset;
	s->end = end;
}

/* Nobody says where it ends: the last batch that counts decides. */
static void
decide_end(struct spool_scan *s, const struct met met[MET_MAX], bool later, struct slice file)
{
	const struct met *last = &met[1];
	bool undone = last->commit.batch != 0 && !last->whole && !later;
	uint32_t end;

	/* A batch with holes and nothing after it: its sync never returned. */
	if (undone)
		last = &met[0];
	s->batch = last->commit.batch;
	s->digest = last->commit.digest;
	end = last->commit.batch == 0 ? SPOOL_FIRST_FRAME : last->end;
	/* It began where another had ended, which therefore was synced, even if its COMMIT is damaged. */
	if (undone && met[1].commit.start > end && met[1].commit.start < met[1].end) {
		end = met[1].commit.start;
		s->batch = met[1].commit.batch - 1;
	}
	cut_at(s, end);
	s->torn = !all_zero(slice_from(file, s->end));
}

enum rc
spool_scan(struct spool_scan *s, const struct spool_key *key, struct slice file, struct spool_limit limit)
{
	struct walk w = { .key = key, .file = limit.end != 0 ? slice_first(file, limit.end) : file, .pos = SPOOL_FIRST_FRAME };
	struct met met[MET_MAX];
	enum rc rc;

	*s = (struct spool_scan){ .end = SPOOL_FIRST_FRAME };
	memset(met, 0, sizeof met);
	s->empty = all_zero(slice_from(file, SPOOL_FIRST_FRAME));
	if (s->empty && limit.end <= SPOOL_FIRST_FRAME)
		return RC_OK;
	rc = walk_file(s, &w, met);
	if (rc != RC_OK) {
		spool_scan_free(s);
		return rc;
	}
	if (limit.end == 0) {
		decide_end(s, met, limit.later, file);
		return RC_OK;
	}
	/* Everything before the end was durable once. */
	s->end = limit.end;
	s->batch = met[1].commit.batch;
	s->digest = met[1].commit.digest;
	s->torn = !all_zero(slice_from(file, limit.end));
	if (w.pos < limit.end && !add_bad(s, w.pos, limit.end - w.pos)) {
		spool_scan_free(s);
		return RC_NOMEM;
	}
	return RC_OK;
}

enum rc
spool_scan_footer(struct spool_scan *s, struct slice footer, const struct spool_end *end)
{
	struct rd rd = { footer, false };
	struct spool_entry e;

	*s = (struct spool_scan){ .end = end->end, .batch = end->batch, .digest = end->digest, .sequence = end->sequence };
	while (spool_entry_next(&rd, &e)) {
		if (!known_type(&e.header)) {
			spool_scan_free(s);
			return RC_UNSUPPORTED;
		}
		if (!add_entry(s, &e.header, e.offset, e.payload)) {
			spool_scan_free(s);
			return RC_NOMEM;
		}
	}
	if (rd.bad) {
		spool_scan_free(s);
		return RC_CORRUPT;
	}
	return RC_OK;
}

void
spool_scan_free(struct spool_scan *s)
{
	free(s->entries);
	free(s->bad);
	*s = (struct spool_scan){ .end = 0 };
}
