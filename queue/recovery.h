/* queue/recovery.h -- a start of the spool, between the files that do it: store_recover.c leads, and nobody else includes this.
 *
 * recovery_place.c: the folders, the lock, the identity. recovery_found.c: which segments there are. recovery_read.c: their
 * frames. recovery_apply.c: what the records say. recovery_tell.c: what is alive, told step by step after the store has
 * opened. */
#ifndef POSTERN_QUEUE_RECOVERY_H
#define POSTERN_QUEUE_RECOVERY_H

#include "queue/spool_scan.h"
#include "queue/store_index.h"
#include "queue/store_private.h"

/* One segment file that was found. */
struct found {
	uint32_t number;
	uint64_t size;
	struct spool_segment first;
	struct spool_key key;
	bool readable;			/* its first frame verifies */
	bool dead;			/* a DEAD names it */
	bool sealed;			/* a SEAL in a younger segment names it: */
	struct spool_seal_record seal;
	bool has_end;			/* it ends in an END: */
	struct spool_end end;
	/* After the scan. */
	uint64_t batch, digest;
	uint32_t cut;
};

struct recovery {
	struct store *s;
	struct spool_io *io;
	struct found *found;
	size_t n_found, max_found;
	struct store_index index;
	struct spool_range *known_bad;	/* pairs with known_segment */
	uint32_t *known_segment;
	size_t n_known, max_known;
	uint32_t *listed;		/* of the youngest SEGMENTS */
	size_t n_listed;
	uint64_t sequence, batch;
	uint32_t highest;		/* segment number */
	bool damage;			/* some, reported now or earlier */
	int read_error;			/* the disk refused to read: no word about what is there, the start must not go on */
	struct store_stats stats;
	uint64_t began;			/* monotonic, milliseconds */
	const char *why;
	struct teller *teller;		/* while it is told what is alive */
};

/* --- recovery_place.c --- */
/* Keeps the reason; error is negative. */
enum rc recovery_fail(struct recovery *r, int error, const char *why);
enum rc recovery_make_folders(struct recovery *r);
enum rc recovery_lock(struct recovery *r);
/* A boot number that was never used, durable before anybody gets an id from it. */
enum rc recovery_count_boot(struct recovery *r);

/* --- recovery_found.c --- */
/* Every segment file, looked at and in the order of the numbers; what nothing can be read of is set aside. */
enum rc recovery_find_all(struct recovery *r);
struct found *recovery_find(struct recovery *r, uint32_t number);	/* NULL: there is none */
/* A frame of a small record at an offset, into room; payload borrows from room. */
bool recovery_read_small(struct recovery *r, const struct found *f, int fd, uint64_t at, uint8_t *room, size_t max,
    struct spool_header *h, struct slice *payload);
/* Set aside whole: nothing in it can be verified. */
void recovery_quarantine(struct recovery *r, struct found *f, const char *why);

/* --- recovery_apply.c --- */
/* What was read of a segment becomes part of the index. */
enum rc recovery_apply(struct recovery *r, struct found *f, const struct spool_scan *scan);
/* A range that cannot be used: copied to quarantine and reported, once. */
void recovery_set_aside(struct recovery *r, const struct found *f, const struct spool_range *bad, const char *why);

/* For this run the segment stays, whatever else becomes of what is in it: something there is not known to be safe. */
void recovery_pin(struct recovery *r, uint32_t number);

/* --- recovery_read.c --- */
enum rc recovery_read_segments(struct recovery *r);

/* --- recovery_tell.c --- */
/* Begins to tell every message that is alive, in the order of their places. RC_NOMEM. */
enum rc recovery_tell_begin(struct recovery *r, store_visit_fn *visit, store_told_fn *told, void *arg);
/* Tells all that is left, here and now. */
enum rc recovery_tell_rest(struct recovery *r);
/* Tells step by step, while the store is at work. */
void recovery_tell_on(struct recovery *r);
uint64_t recovery_untold(const struct recovery *r);
void recovery_teller_free(struct recovery *r);

#endif
