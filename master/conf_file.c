/* master/conf_file.c -- reads postern.conf with libconfuse, see conf_file.h. */
#include "master/conf_file.h"

#include "common/policy/suggest.h"
#include "master/conf_braces.h"

#include <confuse.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
	OPTIONS_MAX = 64,	/* of one section; checked at start */
	ERRORS_MAX = 64 * 1024,
};

/* libconfuse hands no context to its callbacks. Master is single-threaded and reads one file at a time. */
static struct reading {
	struct conf_source *source;
	struct buf *errors;
	bool failed;
	const cfg_t *root;
	const cfg_opt_t *list;	/* the one whose } has not been read yet; NULL: none */
	unsigned list_n;	/* its elements so far */
} reading;

/* --- walking over the sections of a struct conf --- */

size_t
conf_section_count(const struct conf *c, const struct conf_section *s)
{
	return s->multi ? *(const size_t *)(const void *)((const char *)c + s->offset_count) : 1;
}

void *
conf_section_at(const struct conf *c, const struct conf_section *s, size_t nth)
{
	/* The struct is ours to write: const here only says that the walk itself changes nothing. */
	char *at = (char *)(uintptr_t)c + s->offset;

	if (!s->multi)
		return at;
	return *(char **)(void *)at + nth * s->size;
}

const char *
conf_section_title(const struct conf *c, const struct conf_section *s, size_t nth)
{
	return s->multi ? *(char *const *)conf_section_at(c, s, nth) : NULL;
}

static const struct conf_section *
section_named(const char *name)
{
	for (size_t i = 0; i < n_conf_sections; i++)
		if (strcmp(conf_sections[i].name, name) == 0)
			return &conf_sections[i];
	return NULL;
}

static const struct conf_option *
option_named(const struct conf_section *s, const char *name)
{
	for (size_t i = 0; i < s->n_options; i++)
		if (strcmp(s->options[i].name, name) == 0)
			return &s->options[i];
	return NULL;
}

/* --- complaints --- */

static void
say_meant(const struct conf_section *s, const char *typed)
{
	struct suggest near;
	size_t before = buf_len(reading.errors);

	suggest_init(&near, slice_str(typed));
	for (size_t i = 0; i < s->n_options; i++)
		suggest_offer(&near, slice_str(s->options[i].name));
	/* At the top level a misspelt word may be a section. */
	if (*s->name == '\0')
		for (size_t i = 1; i < n_conf_sections; i++)
			suggest_offer(&near, slice_str(conf_sections[i].name));
	suggest_put(&near, reading.errors);
	if (buf_len(reading.errors) == before)
		(void)buf_put_str(reading.errors, "; postern.conf(5) lists them all");
	(void)buf_put_byte(reading.errors, '\n');
}

/* Many a name stands in several sections, and which was meant only the administrator knows. False: it stands in none. */
static bool
say_homes(const char *option)
{
	const char *before = "; it belongs ", *into = "into ";
	size_t left = 0;

	for (size_t i = 0; i < n_conf_sections; i++)
		left += option_named(&conf_sections[i], option) != NULL;
	if (left == 0)
		return false;
	for (size_t i = 0; i < n_conf_sections; i++) {
		const char *name = conf_sections[i].name;

		if (option_named(&conf_sections[i], option) == NULL)
			continue;
		if (*name == '\0')
			(void)buf_printf(reading.errors, "%sat the top, outside any section", before);
		else
			(void)buf_printf(reading.errors, "%s%s%s { }", before, into, name);
		into = *name == '\0' ? into : "";
		before = --left == 1 ? " or " : ", ";
	}
	(void)buf_put_byte(reading.errors, '\n');
	return true;
}

static void
say_unknown(const struct conf_section *s, const char *typed)
{
	(void)buf_printf(reading.errors, "there is no option '%s'%s%s", typed, *s->name == '\0' ? "" : " in section ", s->name);
	if (*s->name != '\0' && section_named(typed) != NULL)
		(void)buf_printf(reading.errors, "; sections do not stand in sections: is the } of %s missing above?\n", s->name);
	else if (!say_homes(typed))
		say_meant(s, typed);
}

/* Sections that stand once are made by libconfuse before it knows of a file. */
static const char *
file_of(const cfg_t *cfg)
{
	if (cfg != NULL && cfg->filename != NULL)
		return cfg->filename;
	return reading.root == NULL ? NULL : reading.root->filename;
}

static void
say_place(const cfg_t *cfg)
{
	reading.failed = true;
	if (cfg != NULL && file_of(cfg) != NULL)
		(void)buf_printf(reading.errors, "%s:%d: ", file_of(cfg), cfg->line);
}

static void __attribute__((format(printf, 2, 0)))
on_error(cfg_t *cfg, const char *format, va_list ap)
{
	static const char unknown[] = "no such option '";
	char text[1024];
	const struct conf_section *s = cfg == NULL || cfg->name == NULL ? NULL : section_named(cfg->name);

	say_place(cfg);
	(void)vsnprintf(text, sizeof text, format, ap);
	if (strncmp(text, unknown, sizeof unknown - 1) == 0) {
		char *typed = text + sizeof unknown - 1;

		typed[strcspn(typed, "'")] = '\0';
		say_unknown(s == NULL ? &conf_sections[0] : s, typed);
	} else
		(void)buf_printf(reading.errors, "%s\n", text);
}

/* --- values, one at a time as libconfuse meets them --- */

static void
say_expected(const struct conf_option *o, const char *text, enum rc rc)
{
	static const char *const kinds[] = {
		[CONF_BOOL] = "yes or no", [CONF_U32] = "a number", [CONF_SIZE] = "a size, such as 64K or 50M",
		[CONF_TIME] = "a time with its unit, such as 30s, 5m or 1h30m", [CONF_STR] = "a string", [CONF_LIST] = "a list",
	};

	if (rc == RC_RANGE)
		(void)buf_printf(reading.errors, "%s = %s is out of range; write a value from %s to %s\n", o->name, text,
		    o->min == NULL ? "0" : o->min, o->max == NULL ? "as much as you like" : o->max);
	else
		(void)buf_printf(reading.errors, "%s = \"%s\" makes no sense; write %s\n", o->name, text, kinds[o->kind]);
}

static enum rc
origin_add(const struct conf_section *s, size_t nth, const struct conf_option *o, const char *file, uint32_t line)
{
	struct conf_source *source = reading.source;
	struct conf_origin *more = reallocarray(source->origins, source->n_origins + 1, sizeof *more);

	if (more == NULL)
		return RC_NOMEM;
	source->origins = more;
	more[source->n_origins] = (struct conf_origin){ s, nth, o, file == NULL ? NULL : strdup(file), line, 0 };
	source->n_origins++;
	return RC_OK;
}

/* libconfuse tells of every element of a list, and of its end with as many elements as before. What += adds goes on, too. */
static bool
list_goes_on(cfg_opt_t *opt)
{
	unsigned n = cfg_opt_size(opt);
	bool same = reading.list == opt && (n == reading.list_n || n == reading.list_n + 1);

	reading.list = (same && n == reading.list_n) || n == 0 ? NULL : opt;
	reading.list_n = n;
	return same || n > 1;
}

/* Of a list every element comes here. The first place stays the option's, and the next is kept beside it. */
static void
note_origin(const struct conf_section *s, size_t nth, const struct conf_option *o, const cfg_t *cfg, bool goes_on)
{
	struct conf_source *source = reading.source;

	for (size_t i = 0; i < source->n_origins; i++) {
		struct conf_origin *had = &source->origins[i];

		if (had->section != s || had->nth != nth || had->option != o)
			continue;
		if (!goes_on)
			had->again = (uint32_t)cfg->line;
		return;
	}
	(void)origin_add(s, nth, o, file_of(cfg), (uint32_t)cfg->line);
}

const struct conf_origin *
conf_origin_find(const struct conf_source *s, const struct conf_section *section, size_t nth,
    const struct conf_option *option)
{
	/* The last one counts: the command line comes after the file. */
	for (size_t i = s->n_origins; i > 0; i--) {
		const struct conf_origin *o = &s->origins[i - 1];

		if (o->section == section && o->nth == nth && o->option == option)
			return o;
	}
	return NULL;
}

/* The section that cfg is about, made on its first option; its place is that of the first option. */
static void *
target_of(cfg_t *cfg, const struct conf_section **ret_s, size_t *ret_nth)
{
	struct conf *c = reading.source->conf;
	const struct conf_section *s = section_named(cfg->name);
	void *at = NULL;

	if (s == NULL)
		s = &conf_sections[0];	/* libconfuse calls the top level "root" */
	*ret_s = s;
	*ret_nth = 0;
	if (!s->multi)
		return conf_section_at(c, s, 0);
	for (size_t i = 0; i < conf_section_count(c, s); i++)
		if (strcmp(conf_section_title(c, s, i), cfg->title) == 0) {
			*ret_nth = i;
			return conf_section_at(c, s, i);
		}
	*ret_nth = conf_section_count(c, s);
	return conf_add(c, s, cfg->title, &at) == RC_OK ? at : NULL;
}

static void
note_place(void *section, const cfg_t *cfg)
{
	struct conf_section_head *p = section;

	if (p->conf_file == NULL && file_of(cfg) != NULL) {
		p->conf_file = strdup(file_of(cfg));
		p->conf_line = (uint32_t)cfg->line;
	}
}

/* A validating callback: libconfuse has just read a value of this option; its line is the current one. */
static int
on_value(cfg_t *cfg, cfg_opt_t *opt)
{
	const struct conf_section *s;
	const struct conf_option *o;
	size_t nth;
	void *section = target_of(cfg, &s, &nth);
	enum rc rc = RC_OK;

	o = option_named(s, opt->name);
	if (section == NULL || o == NULL)
		return -1;
	note_place(section, cfg);
	note_origin(s, nth, o, cfg, o->kind == CONF_LIST && list_goes_on(opt));
	if (o->kind == CONF_LIST) {
		struct conf_list *list = (struct conf_list *)(void *)((char *)section + o->offset);

		/* Called after every element: the whole list as read so far replaces the one before. */
		conf_list_clear(list);
		for (unsigned i = 0; i < cfg_opt_size(opt) && rc == RC_OK; i++)
			if (strcmp(cfg_opt_getnstr(opt, i), CONF_EMPTY_LIST) != 0)
				rc = conf_list_add(list, slice_str(cfg_opt_getnstr(opt, i)));
		return rc == RC_OK ? 0 : -1;
	}
	rc = conf_set(section, o, cfg_opt_getnstr(opt, cfg_opt_size(opt) - 1));
	if (rc == RC_OK)
		return 0;
	say_place(cfg);
	say_expected(o, cfg_opt_getnstr(opt, cfg_opt_size(opt) - 1), rc);
	return 0;	/* read on: the administrator wants to see all mistakes at once */
}

/* A section without any option would otherwise never be met by on_value. */
static int
on_section(cfg_t *cfg, cfg_opt_t *opt)
{
	cfg_t *inner = cfg_opt_getnsec(opt, cfg_opt_size(opt) - 1);
	const struct conf_section *s;
	size_t nth;

	(void)cfg;
	if (inner == NULL || inner->title == NULL)
		return 0;
	note_place(target_of(inner, &s, &nth), inner);
	return 0;
}

/* libconfuse's scanner ends the whole process when a read fails, as it does for a folder: such a file must never reach
 * it. */
static bool
is_readable(const char *file, const char **ret_why)
{
	struct stat st;

	*ret_why = NULL;
	if (access(file, R_OK) == -1 || stat(file, &st) == -1)
		*ret_why = strerror(errno);
	else if (!S_ISREG(st.st_mode))
		*ret_why = "not a regular file";
	return *ret_why == NULL;
}

/* The file in memory, as libconfuse is to see it. -1 after a complaint. What is wrong with it but can be read is told, and read
 * on for other mistakes. */
static int
open_plain(const char *file)
{
	struct buf text = BUF_INIT(CONF_FILE_MAX);
	enum rc rc = conf_braces_read(file, &text, reading.errors);
	struct slice rest;
	int fd = -1;

	if (rc != RC_OK)
		reading.failed = true;
	if (rc == RC_OK || rc == RC_SYNTAX)
		fd = memfd_create("postern-conf", MFD_CLOEXEC);
	for (rest = buf_slice(&text); fd != -1 && rest.n > 0;) {
		ssize_t n = write(fd, rest.p, rest.n);

		if (n > 0) {
			rest = slice_from(rest, (size_t)n);
		} else if (errno != EINTR) {
			(void)close(fd);
			fd = -1;
		}
	}
	buf_free(&text);
	if (fd != -1)
		(void)lseek(fd, 0, SEEK_SET);
	else if (rc == RC_OK || rc == RC_SYNTAX)
		(void)buf_printf(reading.errors, "%s: cannot be kept in memory: %m\n", file);
	reading.failed |= fd == -1;
	return fd;
}

/* libconfuse opens what it includes by a name; then the name is set right, for messages. */
static int
include_plain(cfg_t *cfg, cfg_opt_t *opt, const char *file)
{
	int fd = open_plain(file), failed;
	char place[32];
	const char *name = place;
	char *copy;

	if (fd == -1)
		return 1;
	(void)snprintf(place, sizeof place, "/proc/self/fd/%d", fd);
	failed = cfg_include(cfg, opt, 1, &name);
	(void)close(fd);
	copy = failed != 0 ? NULL : strdup(file);
	if (copy != NULL) {
		free(cfg->filename);
		cfg->filename = copy;
	}
	return failed;
}

static int
on_include(cfg_t *cfg, cfg_opt_t *opt, int argc, const char **argv)
{
	const char *why;

	if (argc == 1 && !is_readable(argv[0], &why)) {
		say_place(cfg);
		(void)buf_printf(reading.errors, "include: %s: %s; write the whole path of a file\n", argv[0], why);
		return 1;
	}
	if (argc != 1)
		return cfg_include(cfg, opt, argc, argv);	/* which complains */
	return include_plain(cfg, opt, argv[0]);
}

/* --- the table for libconfuse --- */

static void
describe_options(const struct conf_section *s, cfg_opt_t *to)
{
	for (size_t i = 0; i < s->n_options; i++) {
		to[i] = (cfg_opt_t)CFG_STR(s->options[i].name, NULL, CFGF_NODEFAULT);
		if (s->options[i].kind == CONF_LIST)
			to[i] = (cfg_opt_t)CFG_STR_LIST(s->options[i].name, NULL, CFGF_NODEFAULT);
		to[i].validcb = on_value;
	}
}

static cfg_opt_t *
describe_all(cfg_opt_t **ret_rows)
{
	size_t n_top = conf_sections[0].n_options + n_conf_sections + 1, n_rows = 0;
	cfg_opt_t *top, *rows;
	size_t at = 0, n = 0;

	for (size_t i = 1; i < n_conf_sections; i++)
		n_rows += conf_sections[i].n_options + 1;
	top = calloc(n_top, sizeof *top);
	rows = calloc(n_rows, sizeof *rows);
	if (top == NULL || rows == NULL)
		BUG("no memory for the option table");
	describe_options(&conf_sections[0], top);
	n = conf_sections[0].n_options;
	for (size_t i = 1; i < n_conf_sections; i++, n++) {
		const struct conf_section *s = &conf_sections[i];

		describe_options(s, rows + at);
		rows[at + s->n_options] = (cfg_opt_t)CFG_END();
		top[n] = (cfg_opt_t)CFG_SEC(s->name, rows + at, CFGF_NONE);
		if (s->multi)
			top[n] = (cfg_opt_t)CFG_SEC(s->name, rows + at, CFGF_MULTI | CFGF_TITLE | CFGF_NO_TITLE_DUPES);
		top[n].validcb = on_section;
		at += s->n_options + 1;
	}
	top[n++] = (cfg_opt_t)CFG_FUNC("include", on_include);
	top[n] = (cfg_opt_t)CFG_END();
	*ret_rows = rows;
	return top;
}

static enum rc
parse_file(const char *file)
{
	cfg_opt_t *rows, *top;
	const char *why;
	FILE *from;
	cfg_t *cfg;
	int r, fd;

	if (!is_readable(file, &why)) {
		(void)buf_printf(reading.errors, "%s: %s; name another file with postern -c\n", file, why);
		return RC_NOTFOUND;
	}
	fd = open_plain(file);
	from = fd == -1 ? NULL : fdopen(fd, "r");
	if (from == NULL) {
		if (fd != -1)
			(void)close(fd);
		return RC_IO;
	}
	top = describe_all(&rows);
	cfg = cfg_init(top, CFGF_NONE);
	if (cfg == NULL)
		BUG("no memory for the configuration");
	reading.root = cfg;
	(void)cfg_set_error_function(cfg, on_error);
	cfg->filename = strdup(file);
	r = cfg_parse_fp(cfg, from);
	(void)fclose(from);
	reading.root = NULL;
	(void)cfg_free(cfg);
	free(top);
	free(rows);
	if (r == CFG_SUCCESS && !reading.failed)
		return RC_OK;
	if (buf_len(reading.errors) == 0)
		(void)buf_printf(reading.errors, "%s: cannot be read\n", file);
	return RC_SYNTAX;
}

/* --- overrides of the command line --- */

static enum rc
note_override(const struct conf_section *s, const struct conf_option *o)
{
	for (size_t i = 0; i < reading.source->n_origins; i++) {
		struct conf_origin *had = &reading.source->origins[i];

		if (had->file == NULL && had->section == s && had->option == o) {
			had->again = 1;
			return RC_OK;
		}
	}
	return origin_add(s, 0, o, NULL, 0);
}

static enum rc
override_one(struct conf *c, const char *text)
{
	char name[128];
	const char *equals = strchr(text, '='), *dot;
	const struct conf_section *s = &conf_sections[0];
	const struct conf_option *o;
	const char *option = name;
	enum rc rc;

	if (equals == NULL || (size_t)(equals - text) >= sizeof name) {
		(void)buf_printf(reading.errors, "-o %s: write it as section.option=value\n", text);
		return RC_SYNTAX;
	}
	memcpy(name, text, (size_t)(equals - text));
	name[equals - text] = '\0';
	dot = strchr(name, '.');
	if (dot != NULL) {
		name[dot - name] = '\0';
		s = section_named(name);
		option = dot + 1;
	}
	if (s == NULL || s->multi) {
		(void)buf_printf(reading.errors, s == NULL ? "-o %s: there is no section '%s'; postern.conf(5) lists them all\n" :
		    "-o %s: the options of %s cannot be set here, since each such section has a title; write it in the file\n",
		    text, name);
		return RC_SYNTAX;
	}
	o = option_named(s, option);
	if (o == NULL) {
		(void)buf_printf(reading.errors, "-o %s: ", text);
		say_unknown(s, option);
		return RC_SYNTAX;
	}
	rc = conf_set(conf_section_at(c, s, 0), o, equals + 1);
	if (rc == RC_OK)
		return note_override(s, o);
	(void)buf_put_str(reading.errors, "-o: ");
	say_expected(o, equals + 1, rc);
	return RC_SYNTAX;
}

enum rc
conf_file_read(const char *file, char *const *overrides, size_t n_overrides, struct conf_source *ret_source,
    struct buf *errors)
{
	struct conf_source source = { conf_new(), NULL, 0 };
	enum rc rc = RC_OK;

	if (source.conf == NULL)
		return RC_NOMEM;
	for (size_t i = 0; i < n_conf_sections; i++)
		BUG_ON(conf_sections[i].n_options > OPTIONS_MAX);
	reading = (struct reading){ .source = &source, .errors = errors };
	if (file != NULL)
		rc = parse_file(file);
	for (size_t i = 0; i < n_overrides; i++) {
		enum rc one = override_one(source.conf, overrides[i]);

		if (rc == RC_OK)
			rc = one;
	}
	reading = (struct reading){ .source = NULL };
	if (rc == RC_OK)
		*ret_source = source;
	else
		conf_source_free(&source);
	return rc;
}

void
conf_source_free(struct conf_source *s)
{
	for (size_t i = 0; i < s->n_origins; i++)
		free(s->origins[i].file);
	free(s->origins);
	conf_unref(s->conf);
	*s = (struct conf_source){ NULL, NULL, 0 };
}
