/* master/conf_tables.h -- rules and tables, checked as the router will read them.
 *
 * Tables are the administrator's own files: the master may read them. What it reads is compiled and thrown away. */
#ifndef POSTERN_MASTER_CONF_TABLES_H
#define POSTERN_MASTER_CONF_TABLES_H

#include "master/conf_file.h"

/* "file:line: what, and what to do" in errors, a line for each mistake; in notes for what is allowed and can hardly be meant. */
enum rc conf_tables_check(const struct conf_source *source, struct buf *notes, struct buf *errors);

/* A table file, of max bytes at most. What was in bytes, a buffer that is initialized, is forgotten; a part of the file may be in
 * it on failure, with words in why, the path in front. */
enum rc conf_table_read(const char *path, uint64_t max, struct buf *bytes, struct buf *why);

#endif
