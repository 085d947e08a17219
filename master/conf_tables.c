/* master/conf_tables.c -- rules and tables, checked before any room hears of them, see conf_tables.h. */
#include "master/conf_tables.h"

#include "common/file.h"
#include "common/policy/rules.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct loading {
	struct buf bytes;
	uint64_t max;
	struct buf *notes;
};

/* The words in why name no path. */
static enum rc
read_file(const char *path, uint64_t max, struct buf *bytes, struct buf *why)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct stat st;
	enum rc rc;

	if (fd == -1 || fstat(fd, &st) == -1) {
		(void)buf_printf(why, "cannot be opened: %m");
		if (fd != -1)
			(void)close(fd);
		return RC_IO;
	}
	buf_free(bytes);
	buf_init(bytes, max);
	if (!S_ISREG(st.st_mode)) {
		(void)buf_put_str(why, "is not a regular file; a table must be one");
		rc = RC_UNSUPPORTED;
	} else {
		rc = file_read_buf(fd, bytes);
		if (rc == RC_RANGE)
			(void)buf_put_str(why, table_too_large);
		else if (rc != RC_OK)
			(void)buf_printf(why, "cannot be read: %m");
	}
	(void)close(fd);
	return rc;
}

enum rc
conf_table_read(const char *path, uint64_t max, struct buf *bytes, struct buf *why)
{
	struct buf what = BUF_INIT(1024);
	enum rc rc = read_file(path, max, bytes, &what);

	if (rc != RC_OK) {
		(void)buf_printf(why, "%s: ", path);
		(void)buf_put_slice(why, buf_slice(&what));
	}
	buf_free(&what);
	return rc;
}

static enum rc
load(void *ctx, struct slice name, const char *path, struct slice *ret_bytes, struct buf *why)
{
	struct loading *l = ctx;
	enum rc rc = read_file(path, l->max, &l->bytes, why);

	(void)name;
	if (rc == RC_OK) {
		*ret_bytes = buf_slice(&l->bytes);
		table_warn_text(*ret_bytes, path, l->notes);
	}
	return rc;
}

/* Which section of the configuration has its struct there. False: none. */
static bool
find_section(const struct conf *c, const void *at, const struct conf_section **ret_section, size_t *ret_nth)
{
	for (size_t i = 0; i < n_conf_sections; i++)
		for (size_t n = 0; n < conf_section_count(c, &conf_sections[i]); n++)
			if (conf_section_at(c, &conf_sections[i], n) == at) {
				*ret_section = &conf_sections[i];
				*ret_nth = n;
				return true;
			}
	return false;
}

/* NULL: its section has none of this name. */
static const struct conf_option *
find_option(const struct conf_section *s, const char *name)
{
	for (size_t i = 0; i < s->n_options; i++)
		if (strcmp(s->options[i].name, name) == 0)
			return &s->options[i];
	return NULL;
}

/* What policy_places asks. */
static void
find_place(void *ctx, const void *section, const char *option, const char **file, uint32_t *line)
{
	const struct conf_source *source = ctx;
	const struct conf_origin *origin = NULL;
	const struct conf_section *s;
	const struct conf_option *o;
	size_t nth;

	if (!find_section(source->conf, section, &s, &nth))
		return;
	o = find_option(s, option);
	if (o != NULL)
		origin = conf_origin_find(source, s, nth, o);
	if (origin == NULL)
		return;
	*file = origin->file;
	*line = origin->line;
}

enum rc
conf_tables_check(const struct conf_source *source, struct buf *notes, struct buf *errors)
{
	struct loading l = { BUF_INIT(0), source->conf->router.max_table_size, notes };
	const struct policy_files files = { load, &l };
	const struct policy_places places = { find_place, (void *)(uintptr_t)source };
	enum rc rc = policy_check_conf(source->conf, &files, &places, notes, errors);

	buf_free(&l.bytes);
	return rc;
}
