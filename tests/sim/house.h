/* tests/sim/house.h -- Postern in the simulated machine: the real smtpd, queue and deliver, each a process of world.h, with
 * a router and a resolver that are played (others.c), lines between them, and a master that starts again what died.
 *
 * The queue's disk is sim_disk.c. Its committer and readers run inline (store_pump), a simulated moment after the turn
 * that gave them work; smtpd hears of it in the turn that follows. */
#ifndef POSTERN_TESTS_SIM_HOUSE_H
#define POSTERN_TESTS_SIM_HOUSE_H

#include "common/ip.h"
#include "tests/queue/sim_disk.h"
#include "tests/sim/net.h"
#include "tests/sim/world.h"

struct queue;

enum { HOUSE_SMTPDS_MAX = 2, HOUSE_DELIVERS_MAX = 2 };

struct house_params {
	unsigned smtpds, delivers;
	uint64_t segment_size, big_message, min_free;
	uint64_t retry_first, retry_max, expire, expire_bounce;	/* milliseconds */
};

void house_begin(const struct house_params *params);
void house_end(void);

struct sock *house_listener(unsigned smtpd);	/* clients come here, also while it is down */
unsigned house_smtpds(void);

/* --- what can happen to it --- */
enum house_room { HOUSE_QUEUE, HOUSE_SMTPD, HOUSE_DELIVER, HOUSE_ROUTER, HOUSE_RESOLVER, HOUSE_ROOMS };
void house_kill(enum house_room room, unsigned index);		/* between two turns */
void house_kill_at_write(enum house_room room, unsigned index, unsigned n);	/* in the middle of one */
void house_kill_at_disk(unsigned n);			/* the queue, at its nth operation on the disk from now */
void house_stop(enum house_room room, unsigned index);	/* as the master asks: finish, then exit */
void house_pause(enum house_room room, unsigned index, uint64_t us);	/* SIGSTOP, SIGCONT */
void house_replace_line(void);				/* one of them, chosen at random */
void house_power_cut(enum sim_cut how);			/* now; power is back in a moment */
void house_power_cut_at_disk(unsigned n, enum sim_cut how);
struct sim_disk *house_disk(void);			/* to make it fail */
void house_disk_delay(uint64_t min, uint64_t max);	/* microseconds for each round of writing */

/* How often messages may have been sent twice by now: deaths and lost lines. */
uint64_t house_crashes(void);

/* --- what can be seen of it --- */
bool house_is_up(void);				/* all rooms live, the queue has its spool */
uint64_t house_queued(void);			/* messages in the queue's index; UINT64_MAX while it is down */
bool house_queue_is_idle(void);			/* the index is empty, and so is all that hangs on it */
bool house_queue_takes_mail(void);
size_t house_queue_blocks(void);			/* pieces of memory in use */
unsigned house_sessions(void);			/* in all smtpds */

#endif
