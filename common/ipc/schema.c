/* common/ipc/schema.c -- the message list as a table. */
#include "common/ipc/schema.h"

const struct ipc_info ipc_info[IPC_TYPE_MAX] = {
#define IPC_ROW(NAME, lower, no, from, to, fds) [NAME] = { #NAME, from, to, fds },
	IPC_MESSAGES(IPC_ROW)
#undef IPC_ROW
};
