/* ctl/server.c -- see server.h. */
#include "ctl/server.h"

#include "ctl/ask.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PATIENCE = 5 };	/* seconds */

static const char *
text_of(const json_t *row, const char *key)
{
	const char *text = json_string_value(json_object_get(row, key));

	return text == NULL ? "" : text;
}

static char *
copy_of(const char *text)
{
	return *text == '\0' ? NULL : strdup(text);
}

/* --- status: the master's row says how it was started --- */

static bool
on_status(void *ctx, enum admin_row kind, struct slice text)
{
	struct server *s = ctx;
	json_t *row = kind == ADMIN_ROW_JSON ? json_loadb((const char *)text.p, text.n, 0, NULL) : NULL;
	const json_t *overrides = json_object_get(row, "overrides");
	bool is_master = strcmp(text_of(row, "role"), "master") == 0;

	if (is_master && !s->reached) {
		s->reached = true;
		s->config = copy_of(text_of(row, "config"));
		s->base = copy_of(text_of(row, "base"));
		s->run_dir = copy_of(text_of(row, "run_dir"));
		s->overrides = calloc(json_array_size(overrides) + 1, sizeof *s->overrides);
		for (size_t i = 0; s->overrides != NULL && i < json_array_size(overrides); i++) {
			const char *one = json_string_value(json_array_get(overrides, i));

			if (one != NULL && (s->overrides[s->n_overrides] = strdup(one)) != NULL)
				s->n_overrides++;
		}
	}
	json_decref(row);
	return !is_master;
}

void
server_find(const char *socket, struct server *ret_server)
{
	const struct request q = { .verb = ADMIN_STATUS };
	int fd = ask_try(socket);

	*ret_server = (struct server){ .reached = false };
	if (fd == -1)
		return;
	ask_patience(fd, PATIENCE);
	(void)ask(fd, &q, on_status, ret_server);
	(void)close(fd);
}

void
server_free(struct server *s)
{
	for (size_t i = 0; i < s->n_overrides; i++)
		free(s->overrides[i]);
	free(s->overrides);
	free(s->config);
	free(s->base);
	free(s->run_dir);
	*s = (struct server){ .reached = false };
}

/* --- config show --- */

struct wanted {
	const char *section, *option;
	struct buf *to;
	bool found;
};

static bool
on_option(void *ctx, enum admin_row kind, struct slice text)
{
	struct wanted *w = ctx;
	json_t *row = kind == ADMIN_ROW_JSON ? json_loadb((const char *)text.p, text.n, 0, NULL) : NULL;

	if (strcmp(text_of(row, "section"), w->section) == 0 && strcmp(text_of(row, "option"), w->option) == 0 &&
	    *text_of(row, "title") == '\0')
		w->found = buf_put_str(w->to, text_of(row, "value"));
	json_decref(row);
	return !w->found;
}

bool
server_option(const char *socket, const char *section, const char *option, struct buf *to)
{
	const struct request q = { .verb = ADMIN_CONFIG_SHOW, .all_pages = true };
	struct wanted w = { section, option, to, false };
	int fd = ask_try(socket);

	if (fd == -1)
		return false;
	ask_patience(fd, PATIENCE);
	(void)ask(fd, &q, on_option, &w);
	(void)close(fd);
	return w.found;
}
