/* master/wares.h -- what the master opens for the rooms: listening sockets, tables, the spool, the log's destination.
 *
 * Opened once a generation; a room gets its own duplicate of each whenever it starts and with every new generation. */
#ifndef POSTERN_MASTER_WARES_H
#define POSTERN_MASTER_WARES_H

#include "common/conf.h"
#include "common/ipc/schema.h"
#include "master/accounts.h"
#include "master/paths.h"

struct ware {
	struct ware *next;
	enum role role;			/* whom it is for */
	enum file_purpose purpose;
	char *name, *path;		/* M_FILE */
	int fd;
};

struct wares {
	struct ware *first;
};

/* Opens everything that c needs. Listening sockets of old that are still wanted are shared, so that no connection is
 * lost. RC_OK; otherwise why says what and the remedy, and nothing stays open. */
enum rc wares_open(const struct conf *c, const struct paths *paths, const struct account *rooms, const struct wares *old,
    struct wares *ret_wares, struct buf *why);
void wares_close(struct wares *w);

/* NULL at the end; start with NULL. */
const struct ware *wares_next(const struct wares *w, enum role role, const struct ware *after);

/* What the file holds at this moment, in sealed memory: what was good when it was checked can be had again whatever is
 * written into the file later. The descriptor is taken over, the copy is the caller's. -1: errno says why. */
int ware_copy(int fd, const char *name, uint64_t max);

enum { WARE_AUTH_FILE_MAX = 256 * 1024 * 1024 };	/* bytes of a file of users */

#endif
