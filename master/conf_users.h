/* master/conf_users.h -- the users file, checked before the auth room hears of it. */
#ifndef POSTERN_MASTER_CONF_USERS_H
#define POSTERN_MASTER_CONF_USERS_H

#include "common/conf.h"

/* auth { users-file }, up to the first line that is wrong. On anything but RC_OK errors gets "path:line: what" of that line, or
 * the place in the configuration and what is wrong with the file. */
enum rc conf_users_check(const struct conf *c, struct buf *errors);

#endif
