/* master/conf_braces.h -- a configuration file as it is given to libconfuse: looked through for what it begins and does not end,
 * and without its comments.
 *
 * libconfuse takes the end of the file for the end of what is open, and so a forgotten brace changes what the rest of the
 * file means without a word; and it counts lines wrongly where there are comments. This looks at braces, quotes and comments
 * only, by the same rules. */
#ifndef POSTERN_MASTER_CONF_BRACES_H
#define POSTERN_MASTER_CONF_BRACES_H

#include "common/buf.h"
#include "common/rc.h"

/* What stands in an empty list of the text: libconfuse tells of values only. */
#define CONF_EMPTY_LIST "\001"

enum { CONF_FILE_MAX = 16 * 1024 * 1024 };	/* bytes: tables stand in files of their own */

/* The file's text with blanks in the place of comments, so that every line is where it was, and CONF_EMPTY_LIST in "= {}".
 * RC_SYNTAX: something does not end, "file:line: what, and what to do" in errors; the line is that of the beginning, and the
 * text is complete all the same. RC_IO, RC_RANGE: it cannot be read, or is larger than CONF_FILE_MAX. */
enum rc conf_braces_read(const char *file, struct buf *ret_text, struct buf *errors);

#endif
