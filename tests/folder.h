/* tests/folder.h -- where the files of a unit test stand: below TMPDIR, which tests/tools/tap makes for one program and removes
 * with all that is in it, however the program ended; by itself, below /tmp. */
#ifndef POSTERN_TESTS_FOLDER_H
#define POSTERN_TESTS_FOLDER_H

#include <stdio.h>
#include <stdlib.h>

/* For mkdtemp and mkstemp: TMPDIR/postern-NAME-XXXXXX. A path that does not fit ends the test. */
static inline void
folder_template(char *path, size_t size, const char *name)
{
	const char *parent = getenv("TMPDIR");
	int n = snprintf(path, size, "%s/postern-%s-XXXXXX", parent == NULL || *parent == '\0' ? "/tmp" : parent, name);

	if (n < 0 || (size_t)n >= size)
		abort();
}

#endif
