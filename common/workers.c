/* common/workers.c -- see workers.h. */
#include "common/workers.h"

#include "common/clock.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <unistd.h>

enum {
	OVERLOAD_MS = 1000,		/* since the last that was turned away */
	STACK = 1024 * 1024,		/* whatever RLIMIT_STACK says: rooms have a limit of memory, and hashes are not on it */
};

struct workers {
	struct workers_kind kind;
	pthread_mutex_t lock;
	pthread_cond_t more;		/* there is work, or the end */
	pthread_cond_t changed;		/* a thread is ready, or has done something */
	pthread_cond_t rest;		/* rest is over: urgent work, or the end */
	uint64_t overloaded;		/* when the last was turned away; 0: never */
	unsigned n_ready;		/* threads that have set themselves up: the filter may come */
	bool unfit;			/* one of them could not */
	struct work *first, **last;	/* waits */
	unsigned n_waiting;
	unsigned n_urgent;		/* of them, at their head */
	struct work *finished;
	bool stopping;
	int bell;			/* eventfd: something is finished */
	struct watch watch;
	bool attached;
	unsigned n_threads;
	pthread_t threads[];
};

/* --- in the threads --- */

static void
ring(const struct workers *w)
{
	uint64_t one = 1;

	/* A full counter wakes as well: the only way this can fail. */
	if (write(w->bell, &one, sizeof one) < 0)
		return;
}

/* NULL: the end. Called with the lock held. */
static struct work *
take(struct workers *w)
{
	struct work *work;

	while (w->first == NULL && !w->stopping)
		(void)pthread_cond_wait(&w->more, &w->lock);
	if (w->stopping)
		return NULL;
	work = w->first;
	w->first = work->next;
	if (w->first == NULL)
		w->last = &w->first;
	w->n_waiting--;
	w->n_urgent -= work->urgent;
	return work;
}

/* After work that took so long. Called with the lock held. */
static void
rest(struct workers *w, uint64_t took)
{
	unsigned share = w->kind.overload_share;
	uint64_t until = clock_monotonic_ms() + (share == 0 ? 0 : took * (100 * w->n_threads - share) / share);

	while (share > 0 && !w->stopping && w->n_urgent == 0 && w->overloaded != 0) {
		uint64_t now = clock_monotonic_ms(), over = w->overloaded + OVERLOAD_MS, end = until < over ? until : over;
		struct timespec at = { (time_t)(end / 1000), (long)(end % 1000 * 1000000) };

		/* Nobody was turned away for a while: those who wait now are to be served. */
		if (now >= end)
			return;
		(void)pthread_cond_timedwait(&w->rest, &w->lock, &at);
	}
}

static void *
thread_main(void *arg)
{
	struct workers *w = arg;
	struct work *work;
	uint64_t began;
	bool fit;

	/* Of this thread alone (setpriority(2), "C library/kernel differences"). */
	if (w->kind.nice != 0)
		(void)setpriority(PRIO_PROCESS, 0, w->kind.nice);
	fit = w->kind.warm_up == NULL || w->kind.warm_up();
	(void)pthread_mutex_lock(&w->lock);
	w->n_ready++;
	w->unfit |= !fit;
	(void)pthread_cond_signal(&w->changed);
	while ((work = take(w)) != NULL) {
		(void)pthread_mutex_unlock(&w->lock);
		began = clock_monotonic_ms();
		work->run(work);
		(void)pthread_mutex_lock(&w->lock);
		work->ran = true;
		(void)pthread_cond_broadcast(&w->changed);
		work->next = w->finished;
		w->finished = work;
		ring(w);
		rest(w, clock_monotonic_ms() - began);
	}
	(void)pthread_mutex_unlock(&w->lock);
	return NULL;
}

/* --- in the loop --- */

static void
on_bell(struct watch *watch, bool readable, bool writable, void *ctx)
{
	struct workers *w = ctx;
	struct work *work, *next;
	uint64_t count;

	(void)watch, (void)readable, (void)writable;
	if (read(w->bell, &count, sizeof count) < 0 && errno != EAGAIN && errno != EINTR)
		BUG("eventfd cannot be read");
	(void)pthread_mutex_lock(&w->lock);
	work = w->finished;
	w->finished = NULL;
	(void)pthread_mutex_unlock(&w->lock);
	for (; work != NULL; work = next) {
		next = work->next;
		work->done(work);
	}
}

enum rc
workers_submit(struct workers *w, struct work *work, unsigned max_waiting)
{
	enum rc rc = RC_OK;

	(void)pthread_mutex_lock(&w->lock);
	if (w->n_waiting >= max_waiting) {
		rc = RC_AGAIN;
		w->overloaded = clock_monotonic_ms();
	} else {
		work->next = NULL;
		work->ran = work->urgent = false;
		*w->last = work;
		w->last = &work->next;
		w->n_waiting++;
		(void)pthread_cond_signal(&w->more);
	}
	(void)pthread_mutex_unlock(&w->lock);
	return rc;
}

/* Called with the lock held. */
static void
hurry(struct workers *w, struct work *work, struct work **at)
{
	work->ran = false;
	work->urgent = true;
	work->next = *at;
	*at = work;
	if (work->next == NULL)
		w->last = &work->next;
	w->n_waiting++;
	w->n_urgent++;
	(void)pthread_cond_signal(&w->more);
	(void)pthread_cond_broadcast(&w->rest);
}

void
workers_submit_first(struct workers *w, struct work *work)
{
	(void)pthread_mutex_lock(&w->lock);
	hurry(w, work, &w->first);
	(void)pthread_mutex_unlock(&w->lock);
}

enum rc
workers_submit_early(struct workers *w, struct work *work, unsigned max_waiting)
{
	struct work **at = &w->first;
	enum rc rc = RC_OK;

	(void)pthread_mutex_lock(&w->lock);
	if (w->n_urgent >= max_waiting)
		rc = RC_AGAIN;
	while (rc == RC_OK && *at != NULL && (*at)->urgent)
		at = &(*at)->next;
	if (rc == RC_OK)
		hurry(w, work, at);
	(void)pthread_mutex_unlock(&w->lock);
	return rc;
}

bool
workers_take_back(struct workers *w, struct work *work)
{
	struct work **at = &w->first;
	bool waits;

	(void)pthread_mutex_lock(&w->lock);
	while (*at != NULL && *at != work)
		at = &(*at)->next;
	waits = *at != NULL;
	if (waits) {
		*at = work->next;
		if (*at == NULL)
			w->last = at;
		w->n_waiting--;
		w->n_urgent -= work->urgent;
	}
	while (!waits && !work->ran)
		(void)pthread_cond_wait(&w->changed, &w->lock);
	(void)pthread_mutex_unlock(&w->lock);
	return waits;
}

/* Signals are the loop's affair. */
static bool
start_one(struct workers *w)
{
	pthread_attr_t attr;
	sigset_t all, old;
	int error;

	(void)pthread_attr_init(&attr);
	(void)pthread_attr_setstacksize(&attr, STACK);
	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &old);
	error = pthread_create(&w->threads[w->n_threads], &attr, thread_main, w);
	(void)pthread_attr_destroy(&attr);
	(void)pthread_sigmask(SIG_SETMASK, &old, NULL);
	w->n_threads += error == 0;
	return error == 0;
}

enum rc
workers_start(const struct workers_kind *kind, unsigned threads, struct workers **ret_workers)
{
	struct workers *w = calloc(1, sizeof *w + threads * sizeof w->threads[0]);
	pthread_condattr_t monotonic;
	bool unfit;

	if (w == NULL)
		return RC_NOMEM;
	w->kind = *kind;
	w->last = &w->first;
	w->bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	(void)pthread_mutex_init(&w->lock, NULL);
	(void)pthread_cond_init(&w->more, NULL);
	(void)pthread_cond_init(&w->changed, NULL);
	(void)pthread_condattr_init(&monotonic);
	(void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	(void)pthread_cond_init(&w->rest, &monotonic);
	(void)pthread_condattr_destroy(&monotonic);
	while (w->bell != -1 && w->n_threads < threads && start_one(w))
		;
	if (w->n_threads < threads) {
		workers_stop(w);
		return RC_AGAIN;
	}
	(void)pthread_mutex_lock(&w->lock);
	while (w->n_ready < threads)
		(void)pthread_cond_wait(&w->changed, &w->lock);
	unfit = w->unfit;
	(void)pthread_mutex_unlock(&w->lock);
	if (unfit) {
		workers_stop(w);
		return RC_UNSUPPORTED;
	}
	*ret_workers = w;
	return RC_OK;
}

void
workers_attach(struct workers *w, struct loop *loop)
{
	watch_init(&w->watch, loop, w->bell, on_bell, w);
	watch_set(&w->watch, true, false);
	w->attached = true;
}

void
workers_stop(struct workers *w)
{
	if (w == NULL)
		return;
	(void)pthread_mutex_lock(&w->lock);
	w->stopping = true;
	(void)pthread_cond_broadcast(&w->more);
	(void)pthread_cond_broadcast(&w->rest);
	(void)pthread_mutex_unlock(&w->lock);
	for (unsigned i = 0; i < w->n_threads; i++)
		(void)pthread_join(w->threads[i], NULL);
	if (w->attached)
		watch_stop(&w->watch);
	if (w->bell != -1)
		(void)close(w->bell);
	(void)pthread_cond_destroy(&w->more);
	(void)pthread_cond_destroy(&w->changed);
	(void)pthread_cond_destroy(&w->rest);
	(void)pthread_mutex_destroy(&w->lock);
	free(w);
}
