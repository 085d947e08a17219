/* queue/ids.h -- ids of messages: blocks for each smtpd, some for ourselves, none ever twice.
 *
 * An smtpd may only use ids that it was given, each once: it may have been broken into. What it was given is kept as
 * bits, IDS_BLOCKS_MAX blocks of it; older ones can no longer be used. */
#ifndef POSTERN_QUEUE_IDS_H
#define POSTERN_QUEUE_IDS_H

#include "common/queue_id.h"

enum {
	IDS_BLOCK = 1024,	/* ids in a block */
	IDS_BLOCKS_MAX = 4096,	/* kept for an smtpd: four million ids, an hour at a thousand messages a second */
};

struct ids {
	struct msgid next;	/* the first that nobody has */
};

/* Our own, for bounces. */
struct own_ids {
	struct msgid next;
	uint32_t left;
};
enum rc own_ids_next(struct own_ids *own, struct ids *ids, struct msgid *ret_id);

/* What an smtpd was given. */
struct ids_block;
struct granted_ids {
	struct ids_block *blocks;	/* a ring, in order of seq */
	uint32_t room, first, n;
};

/* A new block for this smtpd. RC_RANGE, RC_NOMEM. */
enum rc granted_ids_more(struct granted_ids *g, struct ids *ids, struct msgid *ret_first);
/* Marks it as used. False: never given to this smtpd, or used before, or too long ago. */
bool granted_ids_use(struct granted_ids *g, struct msgid id);
void granted_ids_free(struct granted_ids *g);

#endif
