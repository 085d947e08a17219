/* master/privileges.h -- root, but not all of it. */
#ifndef POSTERN_MASTER_PRIVILEGES_H
#define POSTERN_MASTER_PRIVILEGES_H

#include "common/buf.h"
#include "common/rc.h"

/* Gives up for good every capability that neither the master nor the way of a room into its sandbox needs. */
enum rc privileges_reduce(struct buf *why);

#endif
