/* master/run_lock.h -- one master an installation: the file run-dir/lock, and what the master that runs tells there of itself. */
#ifndef POSTERN_MASTER_RUN_LOCK_H
#define POSTERN_MASTER_RUN_LOCK_H

#include "common/buf.h"
#include "common/rc.h"
#include "common/slice.h"

#include <stdbool.h>

/* Holds for as long as *ret_lock is open, here or in a child. RC_EXISTS: another one runs. */
enum rc run_lock_take(const char *run_dir, int *ret_lock, struct buf *why);
/* Writes the number of this process there, and the text behind it: from now on they can be read. */
enum rc run_lock_tell(int fd, struct slice text, struct buf *why);
/* Appends what the master that runs has written there. False: none does, or it has not yet: never what one before it wrote.
 * Takes no lock of its own, so that it is in nobody's way. */
bool run_lock_read(const char *run_dir, struct buf *to);

#endif
