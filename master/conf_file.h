/* master/conf_file.h -- postern.conf into a struct conf.
 *
 * The grammar is libconfuse's: sections, lists in braces, include("file"), # comments. What may stand in it comes from
 * common/conf_schema.h. Every complaint names file and line, says what is wrong and what to do. */
#ifndef POSTERN_MASTER_CONF_FILE_H
#define POSTERN_MASTER_CONF_FILE_H

#include "common/conf.h"

/* Where an option got its value: for config show. */
struct conf_origin {
	const struct conf_section *section;
	size_t nth;		/* which of several sections of that kind */
	const struct conf_option *option;
	char *file;		/* NULL: on the command line */
	uint32_t line;
	uint32_t again;		/* the last line where it stands once more in the file, and what it says there counts; 0: once */
};

struct conf_source {
	struct conf *conf;
	struct conf_origin *origins;
	size_t n_origins;
};

/* Reads file (NULL: defaults alone), then applies overrides, each "section.option=value" or "option=value". RC_OK, or
 * RC_SYNTAX with one line per complaint in errors, or RC_NOTFOUND when there is no such file. */
enum rc conf_file_read(const char *file, char *const *overrides, size_t n_overrides, struct conf_source *ret_source,
    struct buf *errors);
void conf_source_free(struct conf_source *s);	/* unrefs conf too */

/* NULL: the option stands at its default. */
const struct conf_origin *conf_origin_find(const struct conf_source *s, const struct conf_section *section, size_t nth,
    const struct conf_option *option);

/* The struct of the nth section of this kind, and how many there are. */
void *conf_section_at(const struct conf *c, const struct conf_section *s, size_t nth);
size_t conf_section_count(const struct conf *c, const struct conf_section *s);
const char *conf_section_title(const struct conf *c, const struct conf_section *s, size_t nth);	/* NULL: untitled */

#endif
