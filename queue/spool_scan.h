/* queue/spool_scan.h -- reads a segment as a crash or a bad disk left it: what counts, what is damaged, where it ends.
 *
 * Pure: the whole file in memory in, lists out. The rule (docs/QUEUE.md "Starting"): a frame counts when the COMMIT behind it
 * does. A batch that is not whole, with nothing committed after it, was being written when the power went: torn, and never
 * acknowledged. Everything else that does not verify was durable once: damage, to be set aside, never cut off. */
#ifndef POSTERN_QUEUE_SPOOL_SCAN_H
#define POSTERN_QUEUE_SPOOL_SCAN_H

#include "queue/spool_record.h"

enum { SPOOL_BAD_MAX = 65536 };	/* damaged ranges reported for one segment; further ones join the last */

struct spool_range {
	uint32_t offset, length;
};

struct spool_scan {
	struct spool_entry *entries;	/* in order; payloads borrow from the file; without COMMIT, FOOTER, END */
	size_t n_entries, max_entries;
	struct spool_range *bad;
	size_t n_bad, max_bad;
	uint32_t end;			/* what counts ends here */
	uint64_t batch, digest;		/* of the last COMMIT; 0: there is none */
	uint64_t sequence;		/* highest seen, counted or not */
	bool torn;			/* something stood behind the end */
	bool empty;			/* nothing but zeros behind the first frame */
};

struct spool_limit {
	uint32_t end;		/* what a SEAL or END says; 0: unknown */
	bool later;		/* a later segment has a batch: the last one here was durable */
};

/* file: from offset 0. RC_NOMEM; RC_UNSUPPORTED: a record that this version does not know and must not pass over. */
enum rc spool_scan(struct spool_scan *scan, const struct spool_key *key, struct slice file, struct spool_limit limit);
/* From a FOOTER's payload instead. RC_CORRUPT: scan the file then. */
enum rc spool_scan_footer(struct spool_scan *scan, struct slice footer, const struct spool_end *end);
void spool_scan_free(struct spool_scan *scan);

#endif
