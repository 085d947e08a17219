/* common/file.h -- all that a regular file holds, up to a limit. Read from its beginning whatever the descriptor's offset is, for
 * processes share open files that the master has sent. It blocks as long as the disk does: for small local files, or memory
 * that the master has sealed, at the start and when they were renewed.
 *
 * When it is not RC_OK, errno says why. */
#ifndef POSTERN_COMMON_FILE_H
#define POSTERN_COMMON_FILE_H

#include "common/buf.h"
#include "common/rc.h"

/* Up to its end or max bytes: *ret_n == max may mean that there are more. The room is the caller's, who knows whether it has to
 * be locked or wiped; it may hold a part of the file when this fails. */
enum rc file_read(int fd, void *to, size_t max, size_t *ret_n);
/* Appends all of it. RC_RANGE (EFBIG): more than the buffer's ceiling; RC_NOMEM. The buffer holds a part then. */
enum rc file_read_buf(int fd, struct buf *to);

#endif
