/* common/rc.h -- the one enum for failures that are the world's, not ours.
 *
 * A function that can fail for reasons outside the program returns enum rc; its outputs are written only on RC_OK.
 * What rc means for mail: RC_SYNTAX and RC_RANGE are the peer's fault (a 5xx reply), everything else becomes a 4xx
 * reply or a later retry. Our own faults never become an rc: they are BUG(). */
#ifndef POSTERN_COMMON_RC_H
#define POSTERN_COMMON_RC_H

enum rc {
	RC_OK = 0,
	RC_SYNTAX,	/* bytes that do not follow the grammar */
	RC_RANGE,	/* well-formed, but over a limit */
	RC_MORE,	/* incomplete: more bytes are needed */
	RC_NOTFOUND,
	RC_EXISTS,
	RC_AGAIN,	/* busy or full now; the same call may work later */
	RC_NOMEM,
	RC_IO,		/* the disk or a descriptor failed */
	RC_NOSPACE,	/* ENOSPC, EDQUOT: recovers when somebody frees space */
	RC_CORRUPT,	/* stored data fails its checksum */
	RC_DENIED,
	RC_CLOSED,	/* the other side is gone */
	RC_TIMEOUT,
	RC_UNSUPPORTED,
};

/* A constant string, never NULL, for logs. */
const char *rc_name(enum rc rc);

/* The rc for an errno value that a system call left. */
enum rc rc_from_errno(int error);

/* Our own fault: prints where and why to stderr and aborts. Outside input must never reach it. */
_Noreturn void bug_at(const char *file, int line, const char *why);
#define BUG(why) bug_at(__FILE__, __LINE__, why)
#define BUG_ON(condition) ((condition) ? BUG(#condition) : (void)0)

#endif
