/* master/paths.h -- the folders of an installation: made when missing, checked, and handed out as descriptors. */
#ifndef POSTERN_MASTER_PATHS_H
#define POSTERN_MASTER_PATHS_H

#include "common/buf.h"
#include "common/conf.h"
#include "common/rc.h"

#include <sys/types.h>

struct paths {
	char *state_dir;	/* the spool: owned by the queue's account, 0700; master opens it and never works in it */
	char *run_dir;		/* 0755: control, lock, empty */
	char *control;		/* the admin socket */
	char *empty;		/* the empty root of every room, owned by root, 0555 */
	char *scratch;		/* an empty folder for the self-test, as a stand-in for spool and log */
};

/* base NULL: the places of the build. RC_NOMEM. */
enum rc paths_choose(const struct conf_global *conf, const char *base, struct paths *ret_paths);
void paths_free(struct paths *p);

/* Makes run_dir with what belongs into it, and state_dir for the queue's uid. why gets the complaint. */
enum rc paths_make(const struct paths *p, uid_t queue_uid, gid_t queue_gid, struct buf *why);

/* RC_DENIED: the spool that is there belongs to another account than the queue's; its files could not be opened. */
enum rc paths_check_spool(const struct paths *p, uid_t queue_uid, gid_t queue_gid, struct buf *why);

/* A folder, open for reading: what a child that works beneath it is given. No symbolic link as its last part; -1 with why. */
int paths_open_folder(const char *path, struct buf *why);

#endif
