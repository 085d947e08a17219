/* queue/store_segments.c -- which segments exist, when one may go, and the keeper's work: spares, seals, unlinking.
 *
 * A segment goes when no message in it is alive and no record in it is needed: a record that says what became of a
 * message in an older segment is needed while that segment exists, or the message would rise from the dead. */
#include "queue/store_private.h"

#include <errno.h>
#include <stdlib.h>

enum { SEGMENTS_MAX = 1 << 20 };

/* --- the table, ordered by number --- */

static size_t
lower_bound(const struct store *s, uint32_t number)
{
	size_t low = 0, high = s->n_segments;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (s->segments[mid].number < number)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

struct segment *
segments_find(struct store *s, uint32_t number)
{
	size_t i = lower_bound(s, number);

	return i < s->n_segments && s->segments[i].number == number ? &s->segments[i] : NULL;
}

struct segment *
segments_add(struct store *s, uint32_t number)
{
	size_t i = lower_bound(s, number);

	if (i < s->n_segments && s->segments[i].number == number)
		return &s->segments[i];
	if (s->n_segments == s->max_segments) {
		size_t max = s->max_segments == 0 ? 64 : s->max_segments * 2;
		struct segment *p = max > SEGMENTS_MAX ? NULL : reallocarray(s->segments, max, sizeof *p);

		if (p == NULL)
			return NULL;
		s->segments = p;
		s->max_segments = max;
	}
	memmove(&s->segments[i + 1], &s->segments[i], (s->n_segments - i) * sizeof s->segments[0]);
	s->n_segments++;
	s->segments[i] = (struct segment){ .number = number };
	return &s->segments[i];
}

void
segments_refer(struct store *s, uint32_t from, uint32_t about)
{
	struct segment *a = segments_find(s, about), *f;

	if (from == about || a == NULL)
		return;
	/* Records come in order: the last referrer is the only one that can be the same. */
	if (a->n_referrers > 0 && a->referrers[a->n_referrers - 1] == from)
		return;
	if (a->n_referrers == a->max_referrers) {
		size_t max = a->max_referrers == 0 ? 4 : a->max_referrers * 2;
		uint32_t *p = reallocarray(a->referrers, max, sizeof *p);

		if (p == NULL) {
			/* Then from stays until the next start: safe, only not tidy. */
			f = segments_add(s, from);
			if (f != NULL)
				f->pins++;
			return;
		}
		a->referrers = p;
		a->max_referrers = max;
	}
	a->referrers[a->n_referrers++] = from;
	f = segments_add(s, from);
	if (f != NULL)
		f->pins++;
}

void
segments_set_current(struct store *s, uint32_t number)
{
	struct segment *old, *new;
	uint32_t before = s->current;

	if (number <= s->current && s->current != 0)
		return;
	old = segments_find(s, s->current);
	if (old != NULL)
		old->current = false;
	s->current = number;
	new = segments_add(s, number);
	if (new != NULL)
		new->current = true;
	if (before != 0)
		segments_consider(s, before);
}

static void
forget_segment(struct store *s, uint32_t number)
{
	size_t i = lower_bound(s, number);
	struct segment gone;

	if (i == s->n_segments || s->segments[i].number != number)
		return;
	gone = s->segments[i];
	s->n_segments--;
	memmove(&s->segments[i], &s->segments[i + 1], (s->n_segments - i) * sizeof s->segments[0]);
	for (size_t r = 0; r < gone.n_referrers; r++) {
		struct segment *f = segments_find(s, gone.referrers[r]);

		if (f != NULL && f->pins > 0)
			f->pins--;
		segments_consider(s, gone.referrers[r]);
	}
	free(gone.referrers);
}

void
segments_free(struct store *s)
{
	for (size_t i = 0; i < s->n_segments; i++)
		free(s->segments[i].referrers);
	free(s->segments);
	s->segments = NULL;
	s->n_segments = s->max_segments = 0;
}

/* --- the keeper's tasks --- */

struct task {
	struct spool_work work;
	struct store *store;
	struct spool_file *file;
	uint32_t number;
	struct msgid id;
	struct spool_space space;
	int rc;
};

static struct task *
task_of(struct spool_work *w)
{
	return (struct task *)(void *)w;
}

static void
task_free(struct spool_work *w)
{
	spool_file_free(task_of(w)->file);
	free(task_of(w));
}

static struct task *
task_new(struct store *s, void (*run)(struct spool_work *), void (*done)(struct spool_work *))
{
	struct task *t = calloc(1, sizeof *t);

	if (t != NULL) {
		t->store = s;
		t->work.run = run;
		t->work.done = done;
		t->work.drop = task_free;
	}
	return t;
}

/* --- deletion: DEAD durable, then the file, then the folder --- */

static void
run_unlink_segment(struct spool_work *w)
{
	struct task *t = task_of(w);
	struct spool_io *io = t->store->io;
	char path[SPOOL_PATH_MAX];

	spool_segment_path(path, t->number);
	t->rc = io->ops->unlink(io, path);
	if (t->rc == 0 || t->rc == -ENOENT)
		t->rc = io->ops->sync_folder(io, SPOOL_DIR_SEGMENTS);
}

static void
segment_unlinked(struct spool_work *w)
{
	struct task *t = task_of(w);

	/* Otherwise it may come back at a power cut, and everything that speaks of it stays too. The next start tries again. */
	if (t->rc == 0)
		forget_segment(t->store, t->number);
	free(t);
}

void
segments_dead(struct store *s, uint32_t number)
{
	struct task *t = task_new(s, run_unlink_segment, segment_unlinked);

	if (t == NULL)
		return;		/* the next start does it */
	t->number = number;
	spool_pool_queue(&s->keeper, &t->work);
}

void
segments_consider(struct store *s, uint32_t number)
{
	struct segment *g = segments_find(s, number);
	const struct msgid none = { 0, 0, 0 };
	struct spool_op *op;
	struct wr w;
	uint8_t *p;

	if (g == NULL || g->current || g->dying || g->live > 0 || g->pins > 0 || s->closing || s->recovery != NULL)
		return;
	op = spool_op_new(s, SPOOL_HEADER_BYTES + 8);
	p = op == NULL ? NULL : spool_op_frame(op, SPOOL_DEAD, none, 4);
	if (p == NULL || !spool_op_refer(op, none, number, false, false)) {
		spool_op_free(op);
		return;		/* the next start, or the next change of its neighbours, finds it again */
	}
	w = (struct wr){ p, 0, 4, false };
	wr_u32(&w, number);
	op->dead = number;
	g->dying = true;
	store_queue_op(s, op);
}

void
segments_consider_all(struct store *s)
{
	for (size_t i = 0; i < s->n_segments; i++)
		segments_consider(s, s->segments[i].number);
}

/* --- spares --- */

static void
run_spare(struct spool_work *w)
{
	struct task *t = task_of(w);
	struct store *s = t->store;

	t->file = spool_file_make(s->io, s->ident, t->number, s->params.segment_size, s->params.prepare_zeros, &t->rc);
}

static void
spare_made(struct spool_work *w)
{
	struct task *t = task_of(w);
	struct store *s = t->store;

	s->spare_wanted = false;
	if (t->file != NULL) {
		s->spare_failed = false;
		committer_add_spare(&s->committer, &t->file);
		keeper_want_spare(s);
	} else
		s->spare_failed = t->rc == -ENOSPC || t->rc == -EDQUOT;
	store_update_state(s);
	free(t);
}

void
keeper_want_spare(struct store *s)
{
	struct task *t;

	if (s->spare_wanted || s->closing || committer_spares(&s->committer) >= SPARES)
		return;
	t = task_new(s, run_spare, spare_made);
	if (t == NULL)
		return;
	t->number = committer_take_number(&s->committer);
	s->spare_wanted = true;
	spool_pool_queue(&s->keeper, &t->work);
}

/* --- sealing --- */

static void
run_seal(struct spool_work *w)
{
	struct spool_file *f = (struct spool_file *)(void *)w;

	(void)spool_file_seal(f);	/* without END it is scanned at the next start: slower, nothing else */
}

static void
sealed(struct spool_work *w)
{
	spool_file_free((struct spool_file *)(void *)w);
}

void
keeper_seal(struct store *s, struct spool_file *f)
{
	f->work.run = run_seal;
	f->work.done = f->work.drop = sealed;
	spool_pool_queue(&s->keeper, &f->work);
}

/* --- big files and free space --- */

static void
run_unlink_big(struct spool_work *w)
{
	struct task *t = task_of(w);
	char path[SPOOL_PATH_MAX];

	spool_big_path(path, t->id);
	(void)t->store->io->ops->unlink(t->store->io, path);	/* if it comes back, the next start removes it */
}

void
keeper_unlink_big(struct store *s, struct msgid id)
{
	struct task *t = task_new(s, run_unlink_big, task_free);

	if (t == NULL)
		return;
	t->id = id;
	spool_pool_queue(&s->keeper, &t->work);
}

static void
run_space(struct spool_work *w)
{
	struct task *t = task_of(w);

	t->rc = t->store->io->ops->space(t->store->io, &t->space);
}

static void
space_known(struct spool_work *w)
{
	struct task *t = task_of(w);
	struct store *s = t->store;

	s->probing = false;
	if (t->rc == 0)
		s->free_bytes = t->space.free;
	keeper_want_spare(s);
	store_update_state(s);
	free(t);
}

void
keeper_look_at_space(struct store *s)
{
	struct task *t;

	if (s->probing || s->closing)
		return;
	t = task_new(s, run_space, space_known);
	if (t == NULL)
		return;
	s->probing = true;
	spool_pool_queue(&s->keeper, &t->work);
}
