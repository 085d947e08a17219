/* queue/store_index.h -- while the spool is read: which messages there are and what became of their recipients.
 * Exists only during recovery; afterwards the store's owner keeps what it needs. */
#ifndef POSTERN_QUEUE_STORE_INDEX_H
#define POSTERN_QUEUE_STORE_INDEX_H

#include "queue/spool_record.h"
#include "queue/store.h"


struct index_message {
	struct msgid id;
	struct store_where where;
	struct spool_head head;
	uint64_t sequence;
	uint32_t flags;
	bool used, dropped;
	struct store_rcpt *rcpts;	/* head.n_rcpts of them, or NULL: all pending; texts are malloc'ed */
};

struct store_index {
	struct index_message *slots;	/* open addressing */
	size_t n, cap;
	uint64_t seed;
};

void index_init(struct store_index *index, uint64_t seed);
void index_free(struct store_index *index);
struct index_message *index_find(struct store_index *index, struct msgid id);

/* Applies a record, in the order of sequence. Records that are not about messages are passed over. about: the segment of
 * the message that a record changes, 0 when there is none. RC_NOMEM. RC_CORRUPT: sums are right, content is not. */
enum rc index_apply(struct store_index *index, uint32_t segment, const struct spool_entry *e, uint32_t *ret_about);

/* The live ones, in the order of their place. NULL: no memory, or none (*ret_n 0). free() it. */
struct index_message **index_sorted(struct store_index *index, size_t *ret_n);

#endif
