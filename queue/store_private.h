/* queue/store_private.h -- what the files of the store share. Nobody else includes it. */
#ifndef POSTERN_QUEUE_STORE_PRIVATE_H
#define POSTERN_QUEUE_STORE_PRIVATE_H

#include "queue/committer.h"
#include "queue/spool_io.h"
#include "queue/store.h"

enum {
	SPARES = 2,			/* segments prepared in advance */
	READS_MAX = 4096,		/* reads that wait */
	READERS = 2,
	WRITERS = 2,			/* of big files */
	PROBE_MS = 2000,		/* between looks at a disk that is in use or broken */
	BIG_FOLDERS = 256,
};

/* One segment that exists, as the loop sees it. */
struct segment {
	uint32_t number;
	uint32_t live;		/* messages in it that are not dropped */
	uint32_t pins;		/* older segments that still exist and that records in this one speak of */
	uint32_t *referrers;	/* younger segments whose records speak of this one */
	size_t n_referrers, max_referrers;
	bool current;		/* still written to */
	bool dying;		/* its DEAD is queued */
};

struct store {
	struct loop *loop;
	struct spool_io *io;
	struct store_params params;
	const struct store_ops *ops;
	void *ctx;
	struct spool_ident ident;
	int lock_fd;

	struct spool_bell bell;
	struct committer committer;
	struct spool_pool readers, writers, keeper;
	bool recovered, threaded, closing;
	struct recovery *recovery;	/* while not all that lives has been told */

	struct segment *segments;	/* by number */
	size_t n_segments, max_segments;
	uint32_t current;		/* number of the youngest known */

	enum store_state state;
	enum committer_state committer_state;
	int committer_error;
	bool spare_failed;		/* no space for a spare segment */
	bool spare_wanted;		/* one is being prepared */
	bool probing;			/* a look at the free space is under way */
	uint64_t free_bytes;
	struct timer timer;
	size_t held_changes;		/* queued and not yet durable */

	struct store_stream *streams;	/* open ones */
	uint64_t forsaken_bytes;	/* of aborted ones that the disk is not done with */
	struct store_reading *reads;	/* waiting or running */
	unsigned n_reads;
};

/* --- store_segments.c: which segments may go --- */
struct segment *segments_find(struct store *s, uint32_t number);
struct segment *segments_add(struct store *s, uint32_t number);	/* found or made; NULL: no memory */
/* Records in segment from speak of a message (or of the end) of segment about. */
void segments_refer(struct store *s, uint32_t from, uint32_t about);
void segments_set_current(struct store *s, uint32_t number);
void segments_consider(struct store *s, uint32_t number);	/* may it be deleted? then it is */
void segments_dead(struct store *s, uint32_t number);	/* its DEAD is durable */
void segments_consider_all(struct store *s);
void segments_free(struct store *s);
void keeper_want_spare(struct store *s);
void keeper_seal(struct store *s, struct spool_file *f);
void keeper_unlink_big(struct store *s, struct msgid id);
void keeper_look_at_space(struct store *s);

/* --- store_recover.c --- */
/* All has been told, or never will be. Consumes the recovery. */
void recovery_end(struct recovery *r, bool told);

/* --- store.c --- */
void store_update_state(struct store *s);
/* Queues an op that was built, or answers it at once when it cannot be taken now. */
void store_queue_op(struct store *s, struct spool_op *op);
void store_answer_op(struct store *s, struct spool_op *op, enum rc rc);

/* --- store_read.c, store_big.c --- */
void reads_forget(struct store *s);
void streams_forget(struct store *s);
/* Copies a range of a segment (or a whole file, length 0) to quarantine/ under name. -EEXIST: it is there already. */
int quarantine_copy(struct spool_io *io, const char *path, const char *name, uint64_t offset, uint64_t length);
void quarantine_segment_name(char out[SPOOL_PATH_MAX], uint32_t segment, uint32_t offset);
void quarantine_say(uint32_t segment, uint64_t offset, uint64_t length, const char *why, const char *file,
    const struct msgid *id);

#endif
