/* queue/message.h -- what the queue keeps in memory of a message: enough to schedule it, nothing to read in it.
 *
 * About 90 bytes a message and 32 a recipient. Addresses, texts and times in full stay on disk; they are read when the
 * message is attempted or shown (a message that was just accepted keeps its bytes until its first attempt, see
 * recent.h). All messages stand in one ordered index, by id. */
#ifndef POSTERN_QUEUE_MESSAGE_H
#define POSTERN_QUEUE_MESSAGE_H

#include "common/queue_id.h"
#include "queue/store.h"
#include "queue/tree.h"
#include "queue/wheel.h"

struct destination;
struct late;
struct reason;
struct recent;

enum rcpt_state {
	RCPT_NEW,		/* in no list: being made, or just taken out of one */
	RCPT_WAITING,		/* in the wheel, until due.at */
	RCPT_READY,		/* in the list of its destination */
	RCPT_STALE,		/* in the list of those whose route has to be asked again */
	RCPT_ROUTING,		/* the router has been asked */
	RCPT_BUSY,		/* in a job: one delivery at a time */
	RCPT_FAILING,		/* failed; the bounce that says so is being made durable */
	RCPT_DONE,		/* delivered, bounced or removed */
};

enum {
	MESSAGE_RCPTS_MAX = 50000,	/* smtpd max-recipients cannot be set higher; an index fits 16 bits */
	GENERATION_MASK = (1 << 13) - 1,
};

/* due.link also serves the lists of READY and STALE. due.index: which one of its message. due.state: enum rcpt_state.
 * due.generation: that routed it; 0: ask before the next attempt. */
struct rcpt {
	struct due due;			/* first */
	struct destination *destination;
};

enum {	/* message.flags */
	MESSAGE_BOUNCE = 1 << 0,
	MESSAGE_URGENT = 1 << 1,	/* MT-PRIORITY above 0 (RFC 6710 5): ahead of the others of its destination */
	MESSAGE_DAMAGED = 1 << 2,	/* its content cannot be read: it waits for an operator */
	MESSAGE_GONE = 1 << 3,		/* removed by an operator while a job or a look-up still held it */
	MESSAGE_NOTICED = 1 << 4,	/* its sender knows that it waits, or is not to: late.h */
	MESSAGE_LOW = 1 << 5,		/* MT-PRIORITY -4 and below: behind the others */
};

struct message {
	struct tree_node node;		/* first */
	uint64_t key;			/* boot and seq of its id: see message_key */
	uint64_t spool;
	uint64_t size;			/* of the content */
	struct store_where where;
	uint32_t arrived;		/* tick of schedule.h */
	uint32_t n_rcpts;
	uint32_t n_open;		/* not RCPT_DONE */
	uint16_t holds;			/* jobs, look-ups and listings that will come back to it */
	uint16_t flags;
	struct recent *recent;		/* its bytes, while they are kept; or NULL */
	struct reason **reasons;	/* why recipients wait, n_rcpts of them; or NULL */
	struct late *late;		/* its time; or NULL */
	struct rcpt rcpts[];
};

/* Orders ids as they were given out; the printed id and this are the same thing. */
static inline uint64_t
message_key(struct msgid id)
{
	return (uint64_t)id.boot << 40 | (id.seq & QUEUE_ID_SEQ_MAX);
}

static inline struct msgid
message_id(const struct message *m)
{
	return (struct msgid){ m->spool, (uint16_t)(m->key >> 40), m->key & QUEUE_ID_SEQ_MAX };
}

static inline struct message *
rcpt_message(struct rcpt *r)
{
	return (struct message *)(void *)((char *)(r - r->due.index) - offsetof(struct message, rcpts));
}

/* n_rcpts 1..MESSAGE_RCPTS_MAX. NULL: no memory. The message is in no index yet; all its recipients are
 * RCPT_NEW without a destination. */
struct message *message_new(struct msgid id, uint32_t n_rcpts);

struct messages {
	struct tree by_id;
	uint64_t n_rcpts;	/* not done, of all */
	uint64_t bytes;		/* of content */
};

void messages_init(struct messages *all);
/* False: a message with that id is there. */
bool messages_add(struct messages *all, struct message *m);
struct message *messages_find(const struct messages *all, uint64_t key);
struct message *messages_after(const struct messages *all, uint64_t key);	/* the next behind key, NULL: none */
void messages_remove(struct messages *all, struct message *m);			/* not freed */
static inline size_t messages_count(const struct messages *all) { return all->by_id.n; }

#endif
