/* master/stop.h -- the end of the house: rooms stop in the order in which mail flows, the log last. */
#ifndef POSTERN_MASTER_STOP_H
#define POSTERN_MASTER_STOP_H

#include "master/child.h"

void stop_begin(struct master *m, const char *reason);	/* harmless when it has begun */
void stop_progress(struct master *m);			/* a room has ended */
/* During the first start this room refused or died: the others end at once, and the daemon with them. */
void stop_failed_start(struct master *m, const struct child *c);

#endif
