/* common/sandbox/landlock.c -- the wall of the kernel's own: files, TCP, signals. Raw system calls and our own copies of
 * the constants, because a distribution's headers are often older than its kernel. */
#include "common/sandbox/walls.h"

#include <errno.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { RULESET_VERSION = 1, RULE_PATH_BENEATH = 1, RULE_NET_PORT = 2 };

/* linux/landlock.h; the ABI that brought each */
#define FS_EXECUTE	(UINT64_C(1) << 0)
#define FS_WRITE_FILE	(UINT64_C(1) << 1)
#define FS_READ_FILE	(UINT64_C(1) << 2)
#define FS_READ_DIR	(UINT64_C(1) << 3)
#define FS_REMOVE_DIR	(UINT64_C(1) << 4)
#define FS_REMOVE_FILE	(UINT64_C(1) << 5)
#define FS_MAKE_DIR	(UINT64_C(1) << 7)
#define FS_MAKE_REG	(UINT64_C(1) << 8)
#define FS_ABI_1	((UINT64_C(1) << 13) - 1)
#define FS_REFER	(UINT64_C(1) << 13)	/* ABI 2 */
#define FS_TRUNCATE	(UINT64_C(1) << 14)	/* ABI 3 */
#define FS_IOCTL_DEV	(UINT64_C(1) << 15)	/* ABI 5 */
#define NET_BIND_TCP	(UINT64_C(1) << 0)	/* ABI 4 */
#define NET_CONNECT_TCP	(UINT64_C(1) << 1)
#define SCOPE_ABSTRACT_UNIX (UINT64_C(1) << 0)	/* ABI 6 */
#define SCOPE_SIGNAL	(UINT64_C(1) << 1)

struct ruleset {
	uint64_t handled_fs, handled_net, scoped;
};
struct path_beneath {
	uint64_t allowed;
	int32_t parent;
} __attribute__((packed));
struct net_port {
	uint64_t allowed, port;
};

/* What each ABI added. A kernel refuses a ruleset with bits that it does not know, and knows those of all before it. */
static const struct {
	int abi;
	uint64_t fs, net, scoped;
} added[] = {
	{ 1, FS_ABI_1, 0, 0 },
	{ 2, FS_REFER, 0, 0 },
	{ 3, FS_TRUNCATE, 0, 0 },
	{ 4, 0, NET_BIND_TCP | NET_CONNECT_TCP, 0 },
	{ 5, FS_IOCTL_DEV, 0, 0 },
	{ 6, 0, 0, SCOPE_ABSTRACT_UNIX | SCOPE_SIGNAL },
};

int
landlock_abi(void)
{
	long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, RULESET_VERSION);

	return abi < 0 ? 0 : (int)abi;
}

static uint64_t
rights_of(unsigned wall)
{
	uint64_t rights = 0;

	if ((wall & WALL_READ) != 0)
		rights |= FS_READ_FILE | FS_READ_DIR;
	if ((wall & WALL_WRITE) != 0)
		rights |= FS_WRITE_FILE | FS_TRUNCATE;
	if ((wall & WALL_CREATE) != 0)
		rights |= FS_MAKE_REG | FS_MAKE_DIR;
	if ((wall & WALL_REMOVE) != 0)
		rights |= FS_REMOVE_FILE | FS_REMOVE_DIR;
	if ((wall & WALL_MOVE) != 0)
		rights |= FS_REFER;
	return rights;
}

static bool
add_beneath(int ruleset, uint64_t rights, const int *beneath, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct path_beneath rule = { rights, beneath[i] };

		if (syscall(SYS_landlock_add_rule, ruleset, RULE_PATH_BENEATH, &rule, 0) == -1)
			return false;
	}
	return true;
}

enum rc
landlock_apply(const struct sandbox_profile *p, const int *beneath, size_t n_beneath, struct buf *report)
{
	struct ruleset handled = { 0, 0, 0 };
	struct net_port any = { NET_BIND_TCP, 0 };
	int abi = landlock_abi();
	size_t size;
	long ruleset;

	if (abi == 0)
		return RC_UNSUPPORTED;
	for (size_t i = 0; i < sizeof added / sizeof added[0]; i++)
		if (added[i].abi <= abi) {
			handled.handled_fs |= added[i].fs;
			handled.handled_net |= added[i].net;
			handled.scoped |= added[i].scoped;
		}
	/* Which port a mail host or a name server listens on is configured and may change with a reload, which a wall
	 * cannot: connecting stays open to these rooms, and binding is left for port 0 (a source address). */
	if (p->net)
		handled.handled_net &= ~NET_CONNECT_TCP;
	/* Older kernels refuse a longer struct even when what it adds is zero only by its length: cut it to what they know. */
	size = abi >= 6 ? sizeof handled : abi >= 4 ? offsetof(struct ruleset, scoped) : offsetof(struct ruleset, handled_net);
	ruleset = syscall(SYS_landlock_create_ruleset, &handled, size, 0);
	if (ruleset == -1)
		goto fail;
	if (p->wall != 0 && !add_beneath((int)ruleset, rights_of(p->wall) & handled.handled_fs, beneath, n_beneath))
		goto fail;
	if (p->net && (handled.handled_net & NET_BIND_TCP) != 0 &&
	    syscall(SYS_landlock_add_rule, (int)ruleset, RULE_NET_PORT, &any, 0) == -1)
		goto fail;
	if (syscall(SYS_landlock_restrict_self, (int)ruleset, 0) == -1)
		goto fail;
	(void)close((int)ruleset);
	(void)buf_printf(report, "landlock: ABI %d, %zu folders, TCP connect %s, signals and abstract sockets %s\n", abi,
	    p->wall == 0 ? (size_t)0 : n_beneath, abi < 4 ? "not covered" : p->net ? "open" : "closed",
	    abi < 6 ? "not covered" : "closed");
	return RC_OK;
fail:
	(void)buf_printf(report, "landlock: %s\n", strerror(errno));
	if (ruleset != -1)
		(void)close((int)ruleset);
	return RC_IO;
}
