/* master/mailbox.h -- processes that become a recipient, started when local asks for one. */
#ifndef POSTERN_MASTER_MAILBOX_H
#define POSTERN_MASTER_MAILBOX_H

#include "master/child.h"

enum {
	MAILBOX_USER_MAX = 255,		/* bytes of a user's name */
	MAILBOX_PROCESSES_MAX = 1000,	/* whatever local asks for: local { processes-max } ends there too */
	/* Its user can stop it with a signal, and local gives it up after local { timeout }: it must not stay for ever. It
	 * lives so many times as long, and a little; what it was doing is tried again, without a second copy
	 * (deliver/maildir.h). */
	MAILBOX_LIFE_TIMEOUTS = 2,
	MAILBOX_LIFE_MORE_MS = 10 * 1000,
};

ipc_fn mailbox_on_spawn;	/* M_SPAWN; ctx is the struct child of local */

void mailbox_ready(struct child *c);	/* it is locked up and waits: local gets the other end of the line */
void mailbox_gone(struct child *c);	/* it ended; before it was ready: local is told why */

#endif
