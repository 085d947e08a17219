/* master/reload.h -- a new configuration without dropping a session.
 *
 * A file with mistakes is refused before any room hears of it. When a room refuses what the checks let pass, all rooms
 * are sent back to the old configuration, as a new generation. */
#ifndef POSTERN_MASTER_RELOAD_H
#define POSTERN_MASTER_RELOAD_H

#include "master/child.h"

/* asker: control's child whose request waits for the end, with its handle; NULL for SIGHUP. */
void reload_begin(struct master *m, struct child *asker, uint32_t handle);

void reload_progress(struct master *m);				/* a room is ready, or gone */
void reload_refused(struct master *m, const struct child *c);	/* a room refused a generation */

#endif
