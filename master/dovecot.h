/* master/dovecot.h -- the connection between the auth room and Dovecot: the room has neither file system nor network, and is
 * given one that is open. */
#ifndef POSTERN_MASTER_DOVECOT_H
#define POSTERN_MASTER_DOVECOT_H

#include "master/child.h"

enum {
	DOVECOT_PATH_MAX = 107,		/* of sun_path, without its NUL */
	DOVECOT_PAUSE_MS = 100,		/* between two connections: a room that was broken into cannot make a flood of them */
};

ipc_fn dovecot_on_connect;	/* M_CONNECT; ctx is the struct child of auth */

#endif
