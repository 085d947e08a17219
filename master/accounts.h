/* master/accounts.h -- under which uid each room runs. */
#ifndef POSTERN_MASTER_ACCOUNTS_H
#define POSTERN_MASTER_ACCOUNTS_H

#include "common/buf.h"
#include "common/ipc/role.h"
#include "common/rc.h"

#include <sys/types.h>

struct account {
	uid_t uid;
	gid_t gid;
};

/* uid_base 0: the accounts that the package made, by name; otherwise uid_base plus the room's number, a uid and a gid for
 * each. RC_NOTFOUND names the missing account and says how to make it. Fills rooms[role] for every room. */
enum rc accounts_find(uint32_t uid_base, struct account rooms[ROLE_COUNT], struct buf *why);

#endif
