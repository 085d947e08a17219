/* queue/committer.h -- the one writer of the log: takes what is queued, writes it, ends it with a COMMIT, syncs, answers.
 *
 * What gathers while a sync runs is the next batch: no timer. Batch n+1 is not written before the sync of n returned: that
 * is what lets recovery tell a torn tail from damage. Runs in its own thread, or step by step in committer_pump. */
#ifndef POSTERN_QUEUE_COMMITTER_H
#define POSTERN_QUEUE_COMMITTER_H

#include "queue/spool_segment.h"
#include "queue/store.h"

enum {
	BATCH_BYTES_MAX = 8 * 1024 * 1024,	/* latency: everybody in a batch waits for all of it */
	BATCH_OPS_MAX = 4000,
	SEALS_MAX = 4096,		/* segments given up since the last one that worked */
	RESERVE_SHARE = 8,		/* this part of a segment is kept for changes when no other segment can be had */
};

/* Which messages an op speaks of, for the store's book-keeping once it is durable. */
struct op_ref {
	struct msgid id;
	uint32_t segment;
	bool drop, big;
};

/* One atomic group on its way to the disk: frames whose headers lack sequence and sums. */
struct spool_op {
	struct spool_work work;
	struct store *store;
	uint8_t *frames;
	size_t bytes, cap;
	uint32_t n_frames, n_changes;
	bool client;		/* somebody waits who can be told to try later: never held back */
	bool has_mail;		/* the first frame is a message, this one: */
	bool has_big;		/* with content in big/ */
	struct msgid mail;
	struct op_ref *refs;
	size_t n_refs, max_refs;
	uint32_t dead;		/* segment that a DEAD in it speaks of; 0: none */
	store_done_fn *fn;
	void *arg;
	/* Written by the committer. */
	enum rc rc;
	uint32_t segment, offset;	/* of the first frame, in bytes */
};

enum committer_state { COMMITTER_OK, COMMITTER_FULL, COMMITTER_FAILED };

struct committer_ops {
	/* All run in the loop's thread. */
	void (*op_done)(struct spool_work *w);		/* the work of a struct spool_op */
	void (*rolled)(struct spool_work *w);		/* the work of a struct spool_file that is full: seal it */
	void (*notice)(struct spool_work *w);		/* state or current segment changed: ask committer_look */
};

struct committer {
	struct spool_io *io;
	struct spool_bell *bell;
	const struct committer_ops *ops;
	struct spool_ident ident;
	uint64_t segment_size;
	void *owner;

	pthread_mutex_t lock;		/* guards from here... */
	pthread_cond_t wake;
	struct spool_list queue;
	unsigned n_queued, n_clients;	/* in it; mail of clients among them */
	unsigned gathers;		/* it waits for so many; 0: it does not */
	bool asleep;			/* it waits for anything at all */
	struct spool_file *spares;	/* oldest first */
	unsigned n_spares;
	uint32_t next_number;
	bool stop, probe, notice_queued;
	enum committer_state state;
	int error;			/* why it is not OK: errno */
	uint32_t current_number;	/* what the loop may know of current */
	uint32_t *live;			/* segments that exist, for SPOOL_SEGMENTS; the loop keeps it */
	size_t n_live, max_live;	/* ...to here */
	struct spool_work notice;

	/* The committer's own, or the loop's before it runs. */
	struct spool_list held;		/* ops that wait for the disk to work again */
	struct spool_file *current;
	uint32_t last_number;		/* the youngest segment ever used */
	uint64_t sequence, batch;
	unsigned last_n;		/* ops of the last batch */
	struct spool_seal_record *seals;	/* for the next segment's first batch */
	size_t n_seals, max_seals;
	bool seals_written;		/* in current */
	bool spoiled;			/* current must not be written to, and cannot be given up yet */
	struct iovec *iov;
	struct buf prologue;
	pthread_t thread;
	bool threaded;
};

enum rc committer_init(struct committer *c, struct spool_io *io, struct spool_bell *bell, const struct committer_ops *ops,
    void *owner, uint64_t segment_size);
void committer_end(struct committer *c);	/* frees ops that never ran, without their fn */

/* Before it runs: continues a spool where recovery found it. Blocks: makes the first segment, writes and syncs its first
 * batch. RC_IO, RC_NOSPACE, RC_NOMEM. */
enum rc committer_open(struct committer *c, struct spool_ident ident, uint32_t next_number, uint64_t sequence,
    uint64_t batch);
bool committer_add_seal(struct committer *c, const struct spool_seal_record *seal);	/* before committer_open */

enum rc committer_start(struct committer *c);
void committer_queue(struct committer *c, struct spool_op *op);
void committer_probe(struct committer *c);	/* try the disk again */
bool committer_pump(struct committer *c);	/* without a thread: one step; false: nothing to do */
/* Writes what is queued and ends the thread; committer_pump goes on from there. */
void committer_join(struct committer *c);
/* At the end, after a last probe: what could not be written is answered with RC_IO. */
void committer_refuse_held(struct committer *c);

/* Spare segments: the loop has them made elsewhere, in numbers that only the committer gives. */
uint32_t committer_take_number(struct committer *c);
void committer_add_spare(struct committer *c, struct spool_file **spare);
unsigned committer_spares(struct committer *c);

bool committer_add_live(struct committer *c, uint32_t number);
void committer_remove_live(struct committer *c, uint32_t number);

struct committer_look {
	enum committer_state state;
	int error;
	uint32_t current;
};
struct committer_look committer_look(struct committer *c);

/* Builders of ops. False: no memory. */
struct spool_op *spool_op_new(struct store *store, size_t bytes);
/* Room for a frame with this payload; its header is written but for what the committer knows. NULL: no memory. */
uint8_t *spool_op_frame(struct spool_op *op, uint8_t type, struct msgid id, uint32_t length);
bool spool_op_refer(struct spool_op *op, struct msgid id, uint32_t segment, bool drop, bool big);
void spool_op_free(struct spool_op *op);

#endif
