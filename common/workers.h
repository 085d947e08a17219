/* common/workers.h -- what takes long, done by a few threads: checking passwords, signing with RSA.
 *
 * The number of threads is the bound of what they take, memory for hashes above all; the queue before them is bounded too.
 * Threads are made once, inside the sandbox and before its filter. */
#ifndef POSTERN_COMMON_WORKERS_H
#define POSTERN_COMMON_WORKERS_H

#include "common/loop.h"
#include "common/rc.h"

/* Embedded in what is to be done; the submitter's until done() is called. */
struct work {
	struct work *next;
	void (*run)(struct work *w);	/* in a thread: touches nothing but the work itself */
	void (*done)(struct work *w);	/* in the loop, afterwards */
	bool ran, urgent;		/* of the workers */
};

struct workers;

struct workers_kind {
	int nice;
	/* While more wants to wait than may (RC_AGAIN of workers_submit()), and a second longer, all threads together work this
	 * part of one processor's time only, in per cent; what was submitted first or early is done all the same. 0: they never
	 * rest. */
	unsigned overload_share;
	bool (*warm_up)(void);		/* in each thread, before anything else and before the filter; NULL: none */
};

/* kind is copied. RC_NOMEM, RC_AGAIN: no threads; RC_UNSUPPORTED: one could not warm up. */
enum rc workers_start(const struct workers_kind *kind, unsigned threads, struct workers **ret_workers);
/* The loop hears of finished work from now on. */
void workers_attach(struct workers *w, struct loop *loop);
/* Waits for what runs; work that has not begun, or not been reported, is left to its submitter. NULL is fine. */
void workers_stop(struct workers *w);

/* RC_AGAIN: max_waiting others wait already, and the threads begin to rest (overload_share). */
enum rc workers_submit(struct workers *w, struct work *work, unsigned max_waiting);
/* Before all that waits, and by a thread that rests, too. */
void workers_submit_first(struct workers *w, struct work *work);
/* Before all that waits and came by workers_submit(), however many do; and by a thread that rests, too. RC_AGAIN: max_waiting
 * others wait that came like this. */
enum rc workers_submit_early(struct workers *w, struct work *work, unsigned max_waiting);
/* Of work that was submitted and not reported: true: it had not begun, and is the submitter's again; false: it has run, and the
 * loop will hear of it. Blocks while it runs. */
bool workers_take_back(struct workers *w, struct work *work);

#endif
