/* tests/fuzz/workers_at_once.c -- common/workers.h without threads: an input does the same thing every time. What is
 * submitted is run at once, and reported in a later turn: workers_turn(). */
#include "tests/fuzz/workers_at_once.h"

#include <stdlib.h>

struct workers {
	struct work *first, **last;
	unsigned n;
};

enum rc
workers_start(const struct workers_kind *kind, unsigned threads, struct workers **ret_workers)
{
	struct workers *w = calloc(1, sizeof *w);

	(void)kind, (void)threads;
	if (w == NULL)
		return RC_NOMEM;
	w->last = &w->first;
	*ret_workers = w;
	return RC_OK;
}

void
workers_attach(struct workers *w, struct loop *loop)
{
	(void)w, (void)loop;
}

/* As the real ones do, it leaves what was not reported to its submitter. */
void
workers_stop(struct workers *w)
{
	free(w);
}

enum rc
workers_submit(struct workers *w, struct work *work, unsigned max_waiting)
{
	if (w->n >= max_waiting)
		return RC_AGAIN;
	work->run(work);
	work->next = NULL;
	*w->last = work;
	w->last = &work->next;
	w->n++;
	return RC_OK;
}

void
workers_submit_first(struct workers *w, struct work *work)
{
	(void)workers_submit(w, work, UINT32_MAX);
}

enum rc
workers_submit_early(struct workers *w, struct work *work, unsigned max_waiting)
{
	return workers_submit(w, work, max_waiting);
}

bool
workers_take_back(struct workers *w, struct work *work)
{
	(void)w, (void)work;
	return false;		/* it has run */
}

void
workers_turn(struct workers *w)
{
	struct work *list = w->first;

	w->first = NULL;
	w->last = &w->first;
	w->n = 0;
	while (list != NULL) {
		struct work *one = list;

		list = one->next;
		one->done(one);
	}
}
