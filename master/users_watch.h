/* master/users_watch.h -- the files of the auth room (users, certificates of users) change without a reload: posternctl passwd
 * takes effect at once.
 *
 * They are looked at twice a second. What has changed, and then stood still from one look to the next, is opened and given to
 * the auth room, which says whether it is any good. Only then do the descriptors take the place of those that a room gets
 * which is started again: a broken file never shuts everybody out. */
#ifndef POSTERN_MASTER_USERS_WATCH_H
#define POSTERN_MASTER_USERS_WATCH_H

#include "common/ipc/peer.h"
#include "common/loop.h"
#include "master/certificate.h"

struct child;
struct master;

enum { USERS_FILES = 2, USERS_LOOK_MS = 500 };

/* What stands in the master's context. */
struct users_ware {
	struct timer timer;
	uint32_t serial;		/* of what was offered last */
	uint32_t generation;		/* of the configuration that the looks are about */
	struct file_look last[USERS_FILES];	/* at the last look, */
	struct file_look tried[USERS_FILES];	/* and as given to the room last */
	const char *unfit;		/* what was said of them last; NULL: they are as they should be */
	bool refused;			/* by the room, which has said why in the log: what was there before stays in use */
	bool offered;			/* the room has not answered yet, */
	pid_t offered_to;		/* this process */
	int fds[USERS_FILES];		/* of what was offered; -1: there is no such file in the configuration */
};

/* Why files as they are now are not in use, for people; NULL: they are, or soon will be. */
const char *users_watch_trouble(const struct users_ware *u);
void users_watch_start(struct master *m);
void users_watch_stop(struct master *m);
ipc_fn users_watch_on_taken;

#endif
