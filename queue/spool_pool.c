/* queue/spool_pool.c -- work that may block, done in threads, and its way back into the loop. */
#include "queue/spool_pool.h"

#include <errno.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <unistd.h>

void
spool_list_append(struct spool_list *l, struct spool_work *w)
{
	w->next = NULL;
	if (l->tail == NULL)
		l->head = w;
	else
		l->tail->next = w;
	l->tail = w;
}

static void
spool_list_move(struct spool_list *to, struct spool_list *from)
{
	if (from->head == NULL)
		return;
	if (to->tail == NULL)
		to->head = from->head;
	else
		to->tail->next = from->head;
	to->tail = from->tail;
	*from = (struct spool_list){ NULL, NULL };
}

struct spool_work *
spool_list_take(struct spool_list *l)
{
	struct spool_work *w = l->head;

	if (w == NULL)
		return NULL;
	l->head = w->next;
	if (l->head == NULL)
		l->tail = NULL;
	w->next = NULL;
	return w;
}

void
spool_list_drop(struct spool_list *l)
{
	struct spool_work *w;

	while ((w = spool_list_take(l)) != NULL)
		if (w->drop != NULL)
			w->drop(w);
}

enum rc
spool_thread_start(pthread_t *thread, void *(*main)(void *), void *arg)
{
	sigset_t all, old;
	int error;

	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &old);
	error = pthread_create(thread, NULL, main, arg);
	(void)pthread_sigmask(SIG_SETMASK, &old, NULL);
	return error == 0 ? RC_OK : error == ENOMEM ? RC_NOMEM : RC_AGAIN;
}

/* --- the bell --- */

enum rc
spool_bell_init(struct spool_bell *bell)
{
	*bell = (struct spool_bell){ .fd = -1 };
	return pthread_mutex_init(&bell->lock, NULL) == 0 ? RC_OK : RC_NOMEM;
}

static void
on_bell(struct watch *w, bool readable, bool writable, void *ctx)
{
	struct spool_bell *bell = ctx;
	uint64_t count;

	(void)w, (void)writable;
	if (readable && read(bell->fd, &count, sizeof count) < 0 && errno != EAGAIN && errno != EINTR)
		BUG("eventfd cannot be read");
	(void)spool_bell_answer(bell);
}

enum rc
spool_bell_attach(struct spool_bell *bell, struct loop *loop)
{
	bell->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (bell->fd < 0)
		return rc_from_errno(errno);
	watch_init(&bell->watch, loop, bell->fd, on_bell, bell);
	watch_set(&bell->watch, true, false);
	return RC_OK;
}

void
spool_bell_ring(struct spool_bell *bell, struct spool_work *w)
{
	struct spool_list list = { NULL, NULL };

	spool_list_append(&list, w);
	spool_bell_ring_all(bell, &list);
}

void
spool_bell_ring_all(struct spool_bell *bell, struct spool_list *list)
{
	uint64_t one = 1;
	bool first;

	if (list->head == NULL)
		return;
	(void)pthread_mutex_lock(&bell->lock);
	first = bell->list.head == NULL;
	spool_list_move(&bell->list, list);
	(void)pthread_mutex_unlock(&bell->lock);
	/* A full counter wakes as well: the only way this can fail. */
	if (first && bell->fd >= 0 && write(bell->fd, &one, sizeof one) < 0)
		return;
}

bool
spool_bell_answer(struct spool_bell *bell)
{
	struct spool_list list;
	struct spool_work *w;
	bool any = false;

	(void)pthread_mutex_lock(&bell->lock);
	list = bell->list;
	bell->list = (struct spool_list){ NULL, NULL };
	(void)pthread_mutex_unlock(&bell->lock);
	while ((w = spool_list_take(&list)) != NULL) {
		any = true;
		w->done(w);
	}
	return any;
}

void
spool_bell_end(struct spool_bell *bell)
{
	if (bell->fd >= 0) {
		watch_stop(&bell->watch);
		(void)close(bell->fd);
		bell->fd = -1;
	}
	spool_list_drop(&bell->list);
	(void)pthread_mutex_destroy(&bell->lock);
}

/* --- pools --- */

enum rc
spool_pool_init(struct spool_pool *pool, struct spool_bell *bell)
{
	*pool = (struct spool_pool){ .bell = bell };
	if (pthread_mutex_init(&pool->lock, NULL) != 0)
		return RC_NOMEM;
	if (pthread_cond_init(&pool->wake, NULL) == 0)
		return RC_OK;
	(void)pthread_mutex_destroy(&pool->lock);
	return RC_NOMEM;
}

static void *
pool_main(void *arg)
{
	struct spool_pool *pool = arg;

	(void)pthread_mutex_lock(&pool->lock);
	for (;;) {
		struct spool_work *w = spool_list_take(&pool->list);

		if (w == NULL) {
			if (pool->stop)
				break;
			(void)pthread_cond_wait(&pool->wake, &pool->lock);
			continue;
		}
		(void)pthread_mutex_unlock(&pool->lock);
		w->run(w);
		spool_bell_ring(pool->bell, w);
		(void)pthread_mutex_lock(&pool->lock);
	}
	(void)pthread_mutex_unlock(&pool->lock);
	return NULL;
}

enum rc
spool_pool_start(struct spool_pool *pool, unsigned n_threads)
{
	BUG_ON(n_threads > SPOOL_THREADS_MAX);
	while (pool->n_threads < n_threads) {
		enum rc rc = spool_thread_start(&pool->threads[pool->n_threads], pool_main, pool);

		if (rc != RC_OK)
			return rc;
		pool->n_threads++;
	}
	return RC_OK;
}

void
spool_pool_queue(struct spool_pool *pool, struct spool_work *w)
{
	(void)pthread_mutex_lock(&pool->lock);
	spool_list_append(&pool->list, w);
	(void)pthread_cond_signal(&pool->wake);
	(void)pthread_mutex_unlock(&pool->lock);
}

bool
spool_pool_pump(struct spool_pool *pool)
{
	struct spool_work *w;

	if (pool->n_threads > 0)
		return false;
	(void)pthread_mutex_lock(&pool->lock);
	w = spool_list_take(&pool->list);
	(void)pthread_mutex_unlock(&pool->lock);
	if (w == NULL)
		return false;
	w->run(w);
	spool_bell_ring(pool->bell, w);
	return true;
}

void
spool_pool_stop(struct spool_pool *pool)
{
	(void)pthread_mutex_lock(&pool->lock);
	pool->stop = true;
	(void)pthread_cond_broadcast(&pool->wake);
	(void)pthread_mutex_unlock(&pool->lock);
	while (pool->n_threads > 0)
		(void)pthread_join(pool->threads[--pool->n_threads], NULL);
	pool->stop = false;
}

void
spool_pool_end(struct spool_pool *pool)
{
	spool_list_drop(&pool->list);
	(void)pthread_cond_destroy(&pool->wake);
	(void)pthread_mutex_destroy(&pool->lock);
}
