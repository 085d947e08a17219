/* common/escape.h -- the one place that makes outside bytes fit for logs and terminals (THREATS 53).
 *
 * Everything outside 0x20-0x7e, and `\` and the quotes around it, becomes \xNN, so that the text is one line of printable
 * ASCII, cannot steer a terminal, cannot end a quoted value, and can be read back. What is longer than the cap ends in "...". */
#ifndef POSTERN_COMMON_ESCAPE_H
#define POSTERN_COMMON_ESCAPE_H

#include "common/buf.h"

/* The first max bytes of s, escaped; then "..." when there were more. False: `to` is full. */
bool escape_put(struct buf *to, struct slice s, size_t max);

/* The same as the value of key=value: within double quotes when it is empty, begins with a quote or holds a space, `=` or an
 * escape. One that holds double quotes and no single ones stands within single quotes, and its own as they are: people read
 * it. What is cut off counts, so that no quote of the value is ever like the one that ends it. */
bool escape_value_put(struct buf *to, struct slice s, size_t max);

#endif
