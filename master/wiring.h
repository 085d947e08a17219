/* master/wiring.h -- who may speak to whom (ARCHITECTURE, "Who may speak to whom"): the lines of the house. */
#ifndef POSTERN_MASTER_WIRING_H
#define POSTERN_MASTER_WIRING_H

#include "master/child.h"

/* Draws the lines between this process, which has just been started, and all others that run; and ours to log. */
void wiring_connect(struct child *c);

/* The line between a mailbox process and local: the process is sent its end, the other is returned (-1: none). */
int wiring_mailbox(struct child *c);

#endif
