/* master/privileges.c -- root, but not all of it, see privileges.h. */
#include "master/privileges.h"

#include <errno.h>
#include <linux/capability.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { CAPS_MAX = 64 };

static const struct {
	unsigned cap;
	const char *why;
} kept[] = {
	{ CAP_SETUID, "rooms drop to their accounts" },
	{ CAP_SETGID, "the same" },
	{ CAP_SETPCAP, "rooms empty their bounding set" },
	{ CAP_SYS_CHROOT, "rooms lock themselves into an empty folder" },
	{ CAP_SYS_ADMIN, "rooms without network leave for an empty network namespace" },
	{ CAP_NET_BIND_SERVICE, "port 25" },
	{ CAP_CHOWN, "the spool belongs to the queue's account" },
	{ CAP_FOWNER, "its mode is set after that" },
	{ CAP_DAC_READ_SEARCH, "configuration and tables of other owners are read" },
	{ CAP_DAC_OVERRIDE, "the run and spool folders are made below folders of other owners" },
	{ CAP_KILL, "rooms that hang are ended" },
};

static uint64_t
kept_set(void)
{
	uint64_t set = 0;

	for (size_t i = 0; i < sizeof kept / sizeof kept[0]; i++)
		set |= UINT64_C(1) << kept[i].cap;
	return set;
}

enum rc
privileges_reduce(struct buf *why)
{
	struct __user_cap_header_struct head = { _LINUX_CAPABILITY_VERSION_3, 0 };
	struct __user_cap_data_struct data[2] = { { 0 } };
	uint64_t keep = kept_set();

	for (unsigned cap = 0; cap < CAPS_MAX; cap++)
		if ((keep & (UINT64_C(1) << cap)) == 0 && prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) == -1 && errno != EINVAL) {
			(void)buf_printf(why, "capability %u cannot be given up: %m", cap);
			return RC_DENIED;
		}
	if (syscall(SYS_capget, &head, data) == -1)
		return rc_from_errno(errno);
	for (unsigned i = 0; i < 2; i++) {
		uint32_t mask = (uint32_t)(keep >> (32 * i));

		data[i].permitted &= mask;
		data[i].effective &= mask;
		data[i].inheritable = 0;
	}
	if (syscall(SYS_capset, &head, data) == -1) {
		(void)buf_printf(why, "capabilities cannot be given up: %m");
		return RC_DENIED;
	}
	return RC_OK;
}
