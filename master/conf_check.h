/* master/conf_check.h -- what a table of types and ranges cannot say: values that must make sense, alone or together. */
#ifndef POSTERN_MASTER_CONF_CHECK_H
#define POSTERN_MASTER_CONF_CHECK_H

#include "master/conf_file.h"

/* errors: a line per complaint, "file:line: what, and what to do". RC_SYNTAX when there is one. */
enum rc conf_check(const struct conf_source *s, struct buf *errors);

#endif
