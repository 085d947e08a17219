/* common/sandbox/profile_local.c -- local: plans deliveries to mailboxes; only frames come and go. */
#include "common/sandbox/profile.h"

const struct sandbox_profile profile_local = {
	.nofile = 2048,		/* a line for each mailbox process */
	.address_space = UINT64_C(2) << 30,	/* the windows of local { processes-max } messages */
};
