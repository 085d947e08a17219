/* tests/router/house.h -- a configuration for tests of the rules, written as lines, and the policy made of it. */
#ifndef POSTERN_TESTS_ROUTER_HOUSE_H
#define POSTERN_TESTS_ROUTER_HOUSE_H

#include "common/policy/check.h"

#include <stdio.h>
#include <stdlib.h>

/* One option: section, title ("" when it has none), option, value as conf_set takes it. A titled section is made when
 * its title is first seen; conf_line counts the lines. */
struct house_line {
	const char *section, *title, *option, *value;
};

static inline const struct conf_section *
house_section(const char *name)
{
	for (size_t i = 0; i < n_conf_sections; i++)
		if (strcmp(conf_sections[i].name, name) == 0)
			return &conf_sections[i];
	abort();
}

/* Every section struct begins with these (CONF_STRUCT). */
struct house_head {
	char *title, *conf_file;
	uint32_t conf_line;
};

static inline void *
house_place(struct conf *c, const struct conf_section *s, const char *title, uint32_t line)
{
	char *base = (char *)c;
	void *at = base + s->offset;

	if (s->multi) {
		size_t n = *(size_t *)(void *)(base + s->offset_count);
		char *first = *(char **)(void *)(base + s->offset);

		at = n == 0 ? NULL : first + (n - 1) * s->size;
		if ((at == NULL || strcmp(((struct house_head *)at)->title, title) != 0) && conf_add(c, s, title, &at) != RC_OK)
			abort();
	}
	if (((struct house_head *)at)->conf_file == NULL) {
		((struct house_head *)at)->conf_file = strdup("postern.conf");
		((struct house_head *)at)->conf_line = line;
	}
	return at;
}

static inline struct conf *
house_conf(const struct house_line *lines, size_t n)
{
	struct conf *c = conf_new();

	if (c == NULL)
		abort();
	c->generation = 1;
	for (size_t i = 0; i < n; i++) {
		const struct conf_section *s = house_section(lines[i].section);
		void *at = house_place(c, s, lines[i].title, (uint32_t)i + 1);
		size_t k;

		for (k = 0; k < s->n_options && strcmp(s->options[k].name, lines[i].option) != 0; k++)
			;
		if (k == s->n_options || conf_set(at, &s->options[k], lines[i].value) != RC_OK) {
			(void)fprintf(stderr, "no such line: %s %s\n", lines[i].section, lines[i].option);
			abort();
		}
	}
	return c;
}

/* Files for policy_new, by name. */
struct house_file {
	const char *name;
	const char *bytes;
};
struct house_files {
	const struct house_file *v;
	size_t n;
};

static inline enum rc
house_load(void *ctx, struct slice name, const char *path, struct slice *ret_bytes, struct buf *why)
{
	const struct house_files *files = ctx;

	(void)path;
	for (size_t i = 0; i < files->n; i++)
		if (slice_eq(slice_str(files->v[i].name), name)) {
			*ret_bytes = slice_str(files->v[i].bytes);
			return RC_OK;
		}
	(void)buf_put_str(why, "could not be opened");
	return RC_NOTFOUND;
}

#endif
