/* common/rc.c -- names of failures, and the end of the process for a fault of our own. */
#include "common/rc.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

const char *
rc_name(enum rc rc)
{
	switch (rc) {
	case RC_OK:
		return "ok";
	case RC_SYNTAX:
		return "syntax";
	case RC_RANGE:
		return "range";
	case RC_MORE:
		return "more";
	case RC_NOTFOUND:
		return "not-found";
	case RC_EXISTS:
		return "exists";
	case RC_AGAIN:
		return "again";
	case RC_NOMEM:
		return "no-memory";
	case RC_IO:
		return "io-error";
	case RC_NOSPACE:
		return "no-space";
	case RC_CORRUPT:
		return "corrupt";
	case RC_DENIED:
		return "denied";
	case RC_CLOSED:
		return "closed";
	case RC_TIMEOUT:
		return "timeout";
	case RC_UNSUPPORTED:
		return "unsupported";
	}
	return "unknown";
}

enum rc
rc_from_errno(int error)
{
	switch (error) {
	case 0:
		return RC_OK;
	case ENOENT:
		return RC_NOTFOUND;
	case EEXIST:
		return RC_EXISTS;
	case EAGAIN:
	case EINTR:
	case EMFILE:
	case ENFILE:
		return RC_AGAIN;
	case ENOMEM:
		return RC_NOMEM;
	case ENOSPC:
	case EDQUOT:
		return RC_NOSPACE;
	case EACCES:
	case EPERM:
		return RC_DENIED;
	case EPIPE:
	case ECONNRESET:
		return RC_CLOSED;
	case ETIMEDOUT:
		return RC_TIMEOUT;
	default:
		return RC_IO;
	}
}

void
bug_at(const char *file, int line, const char *why)
{
	(void)fprintf(stderr, "postern: BUG at %s:%d: %s\n", file, line, why);
	abort();
}
