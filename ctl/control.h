/* ctl/control.h -- the daemon's end of the admin line.
 *
 * Accepts posternctl on the socket that master bound, asks the kernel who it is, and passes each request to the room
 * that knows (common/admin.h) and the rows back. It knows nothing itself, holds no row longer than the client's socket
 * needs, and one client has one request under way. */
#ifndef POSTERN_CTL_CONTROL_H
#define POSTERN_CTL_CONTROL_H

#include "common/room.h"
#include "ctl/clients.h"

#include <sys/types.h>

enum {
	CONTROL_CLIENTS_MAX = 64,	/* at a time; more are turned away */
	CONTROL_GROUPS_MAX = 65536,	/* groups of one peer (NGROUPS_MAX of Linux) */
};

struct control_client;

struct control {
	struct room *room;
	struct watch listener;		/* fd -1 until master sends it */
	struct peer *lines[ROLE_COUNT];	/* to the rooms that answer; master's is room->master */
	struct control_client *clients;
	unsigned n_clients;
	uint32_t last_handle;
	gid_t admin_gid;
	bool has_admin_gid;
	struct client_counts counts;
};

extern const struct room_ops control_ops;

/* May a peer of these credentials use the line? Pure. */
bool control_admits(uid_t uid, const gid_t *groups, size_t n_groups, bool has_admin_gid, gid_t admin_gid);

#endif
