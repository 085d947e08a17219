/* common/sandbox/profile.h -- what a room may do, as data: one table of system calls a room, beside the base set.
 *
 * The filter (seccomp.c), its tests (tests/common/test_filters.c) and the self-test (probe.c) are all made from these
 * tables. To let a room make one more call: a row in profile_ROOM.c, with the reason. A call that has several rows is
 * legal when any of them matches; all rows of a call have the same verdict, and arguments are compared for equality
 * under a mask only, because libseccomp up to 2.6.0 merges other comparisons wrongly (GHSA-4q85-33p6-j5g6). A room's
 * row replaces all base rows of the same call; what rooms with threads have in common is in threads.c. What no row allows
 * kills the process. */
#ifndef POSTERN_COMMON_SANDBOX_PROFILE_H
#define POSTERN_COMMON_SANDBOX_PROFILE_H

#include "common/ipc/role.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum sc_verdict {
	SC_ALLOW = 1,
	SC_EACCES,	/* refused softly: the C library asks, and lives with no */
	SC_ENOSYS,
};

enum { SC_ARGS_MAX = 3 };

/* Argument number index, under mask, must equal value. mask 0: no condition (ends the list). */
struct sc_arg {
	unsigned index;
	uint64_t mask, value;
};

struct sc_rule {
	int nr;			/* SCMP_SYS(name); negative when this machine has no such call: then the row is void */
	enum sc_verdict verdict;
	struct sc_arg args[SC_ARGS_MAX];
	const char *why;
};

/* The kernel looks at the low half only of an int argument, and what a caller leaves above is noise. */
#define SC_INT(i, v)		{ (i), UINT64_C(0xffffffff), (uint32_t)(v) }
/* All bits but these are zero; all of these bits are set. For ints. */
#define SC_ONLY(i, bits)	{ (i), UINT64_C(0xffffffff) & ~(uint64_t)(uint32_t)(bits), 0 }
#define SC_HAS(i, bits)		{ (i), (uint64_t)(uint32_t)(bits), (uint64_t)(uint32_t)(bits) }
#define SC_NULL(i)		{ (i), UINT64_MAX, 0 }

/* What Landlock leaves a room beneath the folders that it was given. */
enum {
	WALL_READ = 1 << 0,	/* open files for reading, list folders */
	WALL_WRITE = 1 << 1,	/* open files for writing, truncate */
	WALL_CREATE = 1 << 2,	/* make files and folders */
	WALL_REMOVE = 1 << 3,	/* unlink files, and folders */
	WALL_MOVE = 1 << 4,	/* rename and link between folders */
};

struct sandbox_profile {
	const struct sc_rule *rules;
	size_t n_rules;
	uint64_t nofile;	/* descriptors at most; 0: as many as the hard limit allows */
	uint64_t address_space;	/* bytes; 0: no limit */
	unsigned wall;		/* WALL_ bits beneath the given folders */
	bool net;		/* needs the machine's network: no empty network namespace, TCP connect to any port */
	bool threads;		/* makes threads before the filter (they count as processes of the uid): has thread_rules too */
};

extern const struct sc_rule base_rules[];
extern const size_t n_base_rules;

/* Beside the rows of a room with threads, and like them in place of base rows of the same call. */
extern const struct sc_rule thread_rules[];
extern const size_t n_thread_rules;

/* NULL: no such room (master and the commands are not sandboxed). */
const struct sandbox_profile *sandbox_profile(enum role role);

/* Is row number i of the base set in force for this profile, that is, not replaced? */
bool base_rule_applies(const struct sandbox_profile *p, size_t i);

extern const struct sandbox_profile profile_log, profile_control, profile_router, profile_resolver, profile_queue,
    profile_smtpd, profile_deliver, profile_local, profile_mailbox, profile_vault, profile_auth;

#endif
