/* master/conf_complete.h -- what the administrator left out: names and places that depend on the machine. */
#ifndef POSTERN_MASTER_CONF_COMPLETE_H
#define POSTERN_MASTER_CONF_COMPLETE_H

#include "common/conf.h"

enum { EMBEDDED_PORT = 2525 };	/* where it listens when there is no file at all: needs no privilege, disturbs nobody */

/* Fills hostname, and a listener when there is none (embedded: no file was read). */
enum rc conf_complete(struct conf *c, bool embedded, struct buf *errors);

#endif
