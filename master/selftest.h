/* master/selftest.h -- posternctl selftest: every room tries what must fail, in processes started for nothing else.
 *
 * A probe process is a room's own executable, locked up exactly like the room, with no line to anybody but the master: it
 * tries one forbidden thing and answers, or is killed by its filter, which is the better denial. */
#ifndef POSTERN_MASTER_SELFTEST_H
#define POSTERN_MASTER_SELFTEST_H

#include "master/child.h"

void selftest_begin(struct child *control, uint32_t handle, struct slice what);

/* Of a CHILD_PROBE: */
void selftest_send(struct child *c);	/* the frames before its M_GO */
void selftest_ready(struct child *c);	/* it is locked up: here comes the probe */
void selftest_gone(struct child *c);
ipc_fn selftest_on_probed;		/* M_PROBED; ctx is its struct child */

#endif
