/* common/sandbox/walls.h -- the two walls that need more than a call: Landlock and the system-call filter. For enter.c
 * and the tests; rooms use sandbox.h. */
#ifndef POSTERN_COMMON_SANDBOX_WALLS_H
#define POSTERN_COMMON_SANDBOX_WALLS_H

#include "common/buf.h"
#include "common/rc.h"
#include "common/sandbox/profile.h"

/* The newest Landlock that the running kernel speaks; 0: none. */
int landlock_abi(void);

/* Gives up every right that the running kernel's Landlock knows, but for what the profile keeps beneath these folders.
 * Binds this thread and those it makes later. RC_UNSUPPORTED: no Landlock here. report: a line, or the reason. */
enum rc landlock_apply(const struct sandbox_profile *p, const int *beneath, size_t n_beneath, struct buf *report);

/* Installs the filter of this profile in every thread. */
enum rc seccomp_apply(const struct sandbox_profile *p, struct buf *report);

/* The same filter as BPF instructions into fd, for the test that emulates it. */
enum rc seccomp_export(const struct sandbox_profile *p, int fd);

#endif
