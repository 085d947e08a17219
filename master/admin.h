/* master/admin.h -- what the control room passes on to the master: status, config show, stop, reload, selftest. */
#ifndef POSTERN_MASTER_ADMIN_H
#define POSTERN_MASTER_ADMIN_H

#include "common/json.h"
#include "master/child.h"

ipc_fn admin_on_request;	/* A_REQUEST; ctx is the struct child of control */

/* Rows and ends of answers, for the parts of master that answer later. */
void admin_row(struct child *control, uint32_t handle, struct buf *json);	/* clears json */
void admin_end(struct child *control, uint32_t handle, enum rc status, const char *text);

void admin_house_ready(struct master *m);	/* every room is ready for the first time */

#endif
