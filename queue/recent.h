/* queue/recent.h -- the bytes of messages that were just accepted, so that their first attempt reads nothing from disk.
 *
 * A copy of envelope and content, within a budget: the longest kept make room. Losing one costs a read. */
#ifndef POSTERN_QUEUE_RECENT_H
#define POSTERN_QUEUE_RECENT_H

#include "common/slice.h"
#include "queue/message.h"

enum {
	RECENT_BYTES_MAX = 16 * 1024 * 1024,	/* seconds of the heaviest traffic; behind it stands the kernel's own cache */
	RECENT_ONE_MAX = 256 * 1024,		/* larger messages are not kept */
};

struct recents {
	struct link all;	/* oldest first */
	size_t bytes;
};

void recents_init(struct recents *all);
void recents_free(struct recents *all);
/* Keeps a copy for a message that has none; may silently not. */
void recent_keep(struct recents *all, struct message *m, struct slice envelope, struct slice content);
/* The copies, borrowed until the next recent_keep or recent_drop. False: not kept. */
bool recent_get(const struct message *m, struct slice *ret_envelope, struct slice *ret_content);
void recent_drop(struct recents *all, struct message *m);

#endif
