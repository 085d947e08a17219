/* common/processors.h -- how many processors there are to share the work. */
#ifndef POSTERN_COMMON_PROCESSORS_H
#define POSTERN_COMMON_PROCESSORS_H

#include <unistd.h>

/* 1 to 256. Before the sandbox: the C library reads it from a file. */
static inline unsigned
processors_online(void)
{
	long n = sysconf(_SC_NPROCESSORS_ONLN);

	return n < 1 ? 1 : n > 256 ? 256 : (unsigned)n;
}

#endif
