/* queue/store_recover.c -- the start: lock, identity, read every segment, decide what counts, tell what is alive.
 *
 * Nothing is ever appended to a segment that a start has found: its end is decided once, written as a SEAL into the first
 * batch of a new segment, and what stands behind it never counts again. Running it twice gives the same as once. */
#include "queue/recovery.h"

#include "common/clock.h"
#include "common/log.h"

#include <stdlib.h>

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

static enum rc
read_spool(struct recovery *r)
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
	return rc;
}

static void
free_all(struct recovery *r)
{
	r->s->recovery = NULL;
	recovery_teller_free(r);
	index_free(&r->index);
	free(r->found);
	free(r->known_bad);
	free(r->known_segment);
	free(r->listed);
	free(r);
}

/* Until here a segment might have looked dead because what lives in it had not been counted. */
void
recovery_end(struct recovery *r, bool told)
{
	struct store *s = r->s;

	free_all(r);
	if (told)
		segments_consider_all(s);
}

enum rc
store_open(struct store *s, struct store_stats *ret_stats, const char **ret_why)
{
	struct recovery *r = calloc(1, sizeof *r);
	struct committer_look look;
	uint64_t seed;
	enum rc rc;

	BUG_ON(s->recovered);
	*ret_why = "no memory";
	if (r == NULL)
		return RC_NOMEM;
	*r = (struct recovery){ .s = s, .io = s->io, .began = clock_monotonic_ms(), .why = "no memory" };
	s->io->ops->random(s->io, &seed, sizeof seed);
	index_init(&r->index, seed);
	rc = read_spool(r);
	*ret_why = r->why;
	if (rc != RC_OK) {
		free_all(r);
		return rc;
	}
	s->recovery = r;
	s->recovered = true;
	look = committer_look(&s->committer);
	segments_set_current(s, look.current);
	r->stats.segments = (uint32_t)s->n_segments;
	r->stats.ms = (uint32_t)(clock_monotonic_ms() - r->began);
	keeper_want_spare(s);
	timer_start(&s->timer, PROBE_MS);
	*ret_stats = r->stats;
	return RC_OK;
}

enum rc
store_tell(struct store *s, store_visit_fn *visit, store_told_fn *told, void *arg)
{
	enum rc rc = recovery_tell_begin(s->recovery, visit, told, arg);

	if (rc == RC_OK)
		recovery_tell_on(s->recovery);
	return rc;
}

uint64_t
store_untold(const struct store *s)
{
	return s->recovery == NULL ? 0 : recovery_untold(s->recovery);
}

enum rc
store_recover(struct store *s, store_visit_fn *visit, void *arg, struct store_stats *ret_stats, const char **ret_why)
{
	enum rc rc = store_open(s, ret_stats, ret_why);

	if (rc != RC_OK)
		return rc;
	rc = recovery_tell_begin(s->recovery, visit, NULL, arg);
	if (rc == RC_OK)
		rc = recovery_tell_rest(s->recovery);
	s->recovery->stats.ms = (uint32_t)(clock_monotonic_ms() - s->recovery->began);
	*ret_stats = s->recovery->stats;
	*ret_why = "no memory";
	s->recovered = rc == RC_OK;
	recovery_end(s->recovery, rc == RC_OK);
	return rc;
}
