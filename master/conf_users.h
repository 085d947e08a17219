/* master/conf_users.h -- the users file, checked before the auth room hears of it. */
#ifndef POSTERN_MASTER_CONF_USERS_H
#define POSTERN_MASTER_CONF_USERS_H

#include "common/conf.h"

/* Every line of auth { users-file }. On anything but RC_OK errors gets "path:line: what". */
enum rc conf_users_check(const struct conf *c, struct buf *errors);

#endif
