/* master/conf_warn.h -- what is allowed in a configuration and can hardly be meant: said, and no reason to refuse it. */
#ifndef POSTERN_MASTER_CONF_WARN_H
#define POSTERN_MASTER_CONF_WARN_H

#include "master/conf_file.h"

/* notes: a line for each, "file:line: warning: what, and what to do". */
void conf_warn(const struct conf *c, struct buf *notes);

/* The same of how it is written: options that stand twice, networks with bits behind their prefix. */
void conf_warn_text(const struct conf_source *s, struct buf *notes);

/* The same, to the log: for a configuration that is in use from now on. */
void conf_warn_log(const struct conf *c);

#endif
