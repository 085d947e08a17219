/* queue/store_recover.c -- the start: lock, identity, read every segment, decide what counts, tell what is alive.
 *
 * Nothing is ever appended to a segment that a start has found: its end is decided once, written as a SEAL into the first
 * batch of a new segment, and what stands behind it never counts again. Running it twice gives the same as once. */
#include "queue/recovery.h"

#include "common/log.h"

#include <stdlib.h>
#include <time.h>

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
	enum rc rc = recovery_lock(r);

	if (rc == RC_OK)
		rc = recovery_make_folders(r);
	if (rc == RC_OK)
		rc = recovery_read_segments(r);
	if (rc == RC_OK)
		rc = recovery_count_boot(r);
	if (rc == RC_OK)
		rc = open_log(r);
	if (rc == RC_OK)
		rc = recovery_tell(r, visit, arg);
	if (rc == RC_OK)
		recovery_remove_orphans(r);
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
