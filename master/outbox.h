/* master/outbox.h -- frames for one room, in order, some with a descriptor.
 *
 * A descriptor needs room in the kernel's buffer at once, so what does not fit waits here, and everything behind it too.
 * A room that does not read grows its outbox to OUTBOX_MAX frames, then it is given up. */
#ifndef POSTERN_MASTER_OUTBOX_H
#define POSTERN_MASTER_OUTBOX_H

#include "common/ipc/peer.h"

enum { OUTBOX_MAX = 10000 };	/* a room is given a few frames a line and file; this many means that it hangs */

struct outbox_frame;

struct outbox {
	struct peer *line;	/* borrowed */
	struct outbox_frame *first, **last;
	size_t n;
	struct timer retry;
};

void outbox_setup(struct outbox *o, struct loop *loop, struct peer *line);
void outbox_clear(struct outbox *o);	/* closes the descriptors that wait */

/* Takes fd over (-1: none). RC_OK, or RC_CLOSED when the line is down or the room does not read. */
enum rc outbox_put(struct outbox *o, enum ipc_type type, uint32_t handle, struct slice body, int fd);

#endif
