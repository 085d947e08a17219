/* master/conf_braces.h -- sections and comments that a configuration file begins and does not end.
 *
 * libconfuse takes the end of the file for the end of what is open, and so a forgotten brace changes what the rest of the
 * file means without a word. This looks at braces, quotes and comments only, by the same rules. */
#ifndef POSTERN_MASTER_CONF_BRACES_H
#define POSTERN_MASTER_CONF_BRACES_H

#include "common/buf.h"
#include "common/rc.h"

/* RC_SYNTAX: "file:line: what, and what to do" in errors; the line is that of the beginning. RC_IO: it cannot be read. */
enum rc conf_braces_check(const char *file, struct buf *errors);

#endif
