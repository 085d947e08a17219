/* common/sandbox/probe.h -- the self-test from inside: things that a locked room must not be able to do, tried one by one.
 *
 * The master starts a sacrificial process of each room for each probe (M_PROBE): it answers M_PROBED, or the filter kills
 * it (SIGSYS), which is the better denial. A probe fails on unexpected success, and also when the call got through to
 * the kernel's own checks and only its arguments were bad: a denial must come from a wall. */
#ifndef POSTERN_COMMON_SANDBOX_PROBE_H
#define POSTERN_COMMON_SANDBOX_PROBE_H

#include "common/buf.h"
#include "common/ipc/role.h"

enum probe_verdict {	/* M_PROBED */
	PROBE_DENIED = 1,
	PROBE_OPEN,	/* unexpected success, or reached the kernel */
	PROBE_VOID,	/* no such probe, or it does not apply to this room */
};

unsigned probe_count(void);			/* probes are 0 .. count - 1 */
const char *probe_name(unsigned n);		/* "execve /bin/sh"; "?" when out of range */
/* False: this room needs the thing, or this build or machine cannot try it. */
bool probe_applies(unsigned n, enum role role);

/* Tries it; may not return. text gets a line about the outcome. */
enum probe_verdict probe_run(unsigned n, enum role role, struct buf *text);

#endif
