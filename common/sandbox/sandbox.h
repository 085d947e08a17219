/* common/sandbox/sandbox.h -- locking a room up, in the one right order.
 *
 * docs/THREATS.md, "The lock-down" says why in this order; profile_ROLE.c has what each room may do as a table with a
 * reason on each row, from which both the filter and its tests are made. */
#ifndef POSTERN_COMMON_SANDBOX_H
#define POSTERN_COMMON_SANDBOX_H

#include "common/buf.h"
#include "common/ipc/role.h"
#include "common/rc.h"

#include <stdbool.h>
#include <stdint.h>

struct sandbox_params {
	enum role role;
	uint32_t uid, gid;
	const char *root;	/* empty folder, owned by root, 0555 */
	const int *beneath;	/* descriptors of folders under which files may be used (Landlock), at most 4 */
	size_t n_beneath;
	const char *folder;	/* mailbox: its folder is opened as the user after the uid changed; NULL otherwise */
	bool enforce;		/* false: what the kernel lacks is reported and passed over */
	/* May be NULL. Called after Landlock and the uid, just before the filter, which then covers every thread: the only
	 * place where a room may make threads (Landlock and capabilities bind a thread and those it makes, no others). */
	enum rc (*make_threads)(void *ctx, struct buf *why);
	void *ctx;
};

/* First step, right after exec: closes every descriptor but 0-3, sets the resource limits, empties the environment. */
enum rc sandbox_begin(enum role role);

/* Everything else, in order; nothing is undone on failure: the process must exit. report gets one line a step
 * ("seccomp: 47 calls"), and on failure the reason. *ret_folder: the descriptor of params->folder, -1 without. */
enum rc sandbox_enter(const struct sandbox_params *params, struct buf *report, int *ret_folder);

#endif
