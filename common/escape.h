/* common/escape.h -- the one place that makes outside bytes fit for logs and terminals (THREATS 53).
 *
 * Everything outside 0x20-0x7e, and `\` and `"`, becomes \xNN, so that the text is one line of printable ASCII, cannot
 * steer a terminal, cannot end a quoted value, and can be read back. What is longer than the cap ends in "...". */
#ifndef POSTERN_COMMON_ESCAPE_H
#define POSTERN_COMMON_ESCAPE_H

#include "common/buf.h"

/* The first max bytes of s, escaped; then "..." when there were more. False: `to` is full. */
bool escape_put(struct buf *to, struct slice s, size_t max);

/* The same as the value of key=value: within double quotes when it is empty or holds a space, `=` or an escape. */
bool escape_value_put(struct buf *to, struct slice s, size_t max);

#endif
