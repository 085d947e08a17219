/* master/counts_memory.h -- the memory in which the smtpd processes count their clients (common/counts.h). */
#ifndef POSTERN_MASTER_COUNTS_MEMORY_H
#define POSTERN_MASTER_COUNTS_MEMORY_H

#include "common/buf.h"
#include "common/conf.h"
#include "common/rc.h"

/* Makes it, formatted, of a size that can never change again: a descriptor that can write, and one that cannot. Pages
 * come to be when they are used. RC_IO, RC_NOMEM with a reason in why. */
enum rc counts_memory_make(const struct conf *c, int *ret_write, int *ret_read, struct buf *why);

#endif
