/* queue/spool_pool.h -- work that may block, done in threads, and its way back into the loop.
 *
 * A work item is embedded in what it works on. It belongs to the pool from spool_pool_queue until its done() runs, in the
 * loop's thread. Everything that passes between the threads passes under the locks of this file or the committer's. */
#ifndef POSTERN_QUEUE_SPOOL_POOL_H
#define POSTERN_QUEUE_SPOOL_POOL_H

#include "common/loop.h"
#include "common/rc.h"

#include <pthread.h>

struct spool_work {
	struct spool_work *next;
	void (*run)(struct spool_work *w);	/* in a thread; may block */
	void (*done)(struct spool_work *w);	/* in the loop, afterwards; may free w */
	void (*drop)(struct spool_work *w);	/* instead of both, when everything is thrown away; may be NULL */
};

struct spool_list {
	struct spool_work *head, *tail;
};
void spool_list_append(struct spool_list *l, struct spool_work *w);
struct spool_work *spool_list_take(struct spool_list *l);	/* NULL: empty */
void spool_list_drop(struct spool_list *l);

/* Wakes the loop. */
struct spool_bell {
	pthread_mutex_t lock;
	struct spool_list list;
	struct watch watch;
	int fd;		/* -1: nobody sleeps; spool_bell_answer is called by hand */
};
enum rc spool_bell_init(struct spool_bell *bell);
/* From now on the loop answers. */
enum rc spool_bell_attach(struct spool_bell *bell, struct loop *loop);
void spool_bell_ring(struct spool_bell *bell, struct spool_work *w);	/* any thread: done() will run in the loop */
void spool_bell_ring_all(struct spool_bell *bell, struct spool_list *list);	/* the same, together; list becomes empty */
bool spool_bell_answer(struct spool_bell *bell);	/* runs every done(); false: there was none */
/* Drops what is left in it. */
void spool_bell_end(struct spool_bell *bell);

enum { SPOOL_THREADS_MAX = 4 };
struct spool_pool {
	pthread_mutex_t lock;
	pthread_cond_t wake;
	struct spool_list list;
	struct spool_bell *bell;
	pthread_t threads[SPOOL_THREADS_MAX];
	unsigned n_threads;	/* 0: spool_pool_pump does the work */
	bool stop;
};
enum rc spool_pool_init(struct spool_pool *pool, struct spool_bell *bell);
enum rc spool_pool_start(struct spool_pool *pool, unsigned n_threads);
void spool_pool_queue(struct spool_pool *pool, struct spool_work *w);
bool spool_pool_pump(struct spool_pool *pool);	/* without threads: one item; false: nothing to do */
/* Waits until everything queued is done, and ends the threads. */
void spool_pool_stop(struct spool_pool *pool);
void spool_pool_end(struct spool_pool *pool);		/* drops what was not done */

/* A thread with every signal blocked. */
enum rc spool_thread_start(pthread_t *thread, void *(*main)(void *), void *arg);

#endif
