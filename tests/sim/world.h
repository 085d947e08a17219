/* tests/sim/world.h -- the simulated machine: one clock, one source of chance, one list of what happens next, and
 * processes that can die at any moment.
 *
 * Everything that real code asks of the outside ends here or in net.h, because the program is linked with --wrap for those
 * functions (Makefile.inc has the list): time, chance, memory, sockets. Nothing runs by itself: world_step() takes the
 * earliest thing that is due, moves the clock there, and runs it. So the same seed gives the same run, to the byte. */
#ifndef POSTERN_TESTS_SIM_WORLD_H
#define POSTERN_TESTS_SIM_WORLD_H

#include "common/ipc/role.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { MS = 1000, SECOND = 1000 * 1000 };	/* microseconds, as all times here */
#define MINUTE (INT64_C(60) * SECOND)
#define HOUR (60 * MINUTE)
#define DAY (24 * HOUR)
#define YEAR (365 * DAY)

/* Something that is to happen. Embedded; zeroed is valid and idle. */
typedef void slot_fn(void *ctx);
struct slot {
	uint64_t at, order;
	size_t index;		/* in the heap, from 1; 0: not pending */
	slot_fn *fn;
	void *ctx;
};

/* A process: its memory and its loop. What it does is said in house.h. */
struct block;
struct proc {
	const char *name;
	enum role role;
	unsigned index;
	bool alive;
	bool dying;		/* killed in the middle of a turn: the rest of the turn reaches nobody */
	unsigned dies_at_write;	/* killed at so many writes from now; 0: not */
	struct loop *loop;
	struct block *heap;
	size_t heap_bytes, heap_blocks;
};

/* For the programs themselves: says which seed it was when a signal ends them; and the real time. */
void world_tell_signals(void);
double world_real_seconds(void);
/* A whole number that is all of the word; false otherwise. */
bool world_number(const char *word, uint64_t *ret);

void world_begin(uint64_t seed, bool verbose);
void world_end(void);
bool world_step(void);			/* false: nothing will ever happen again */
uint64_t world_next(void);		/* when it will do so; UINT64_MAX: never */

uint64_t world_now(void);		/* since the machine was started; never jumps */
int64_t world_wall(void);		/* what the machine takes for the time of day */
void world_jump(int64_t us);		/* of the time of day */
void world_advance(uint64_t us);	/* time that passes inside a call that blocks */

void slot_set(struct slot *s, uint64_t in, slot_fn *fn, void *ctx);	/* replaces */
void slot_clear(struct slot *s);

/* --- chance --- */
uint64_t world_random(void);
uint64_t world_below(uint64_t n);	/* 0..n-1 */
bool world_chance(unsigned in);		/* once in so many; 0: never */
/* From min to max, small ones as likely as large ones. */
uint64_t world_spread(uint64_t min, uint64_t max);

/* --- processes --- */
extern struct proc *world_current;	/* whose code runs; NULL: the machine's, or an actor's */
struct proc *world_enter(struct proc *p);	/* returns the one before, for the way back */
/* At once, in the middle of whatever it does: its memory is gone. Its descriptors are net_close_all's. */
void proc_free_memory(struct proc *p);

/* Power has failed in the middle of an event: what still runs of it has no effect on anything outside. */
extern bool world_blackout;

/* --- what happened: hashed always, printed when verbose --- */
void world_trace(const char *format, ...) __attribute__((format(printf, 1, 2)));
bool world_verbose(void);
uint64_t world_hash(void);
void world_note(const void *bytes, size_t n);	/* into the hash only */

/* A promise was broken: said once, remembered. The run goes on to its end. */
void world_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));
const char *world_failure(void);	/* the first; NULL: none */

#endif
