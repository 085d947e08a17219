/* master/admin.c -- the master's part of the admin line, see admin.h. */
#include "master/admin.h"

#include "common/admin.h"
#include "common/log.h"
#include "master/notify.h"
#include "master/reload.h"
#include "master/selftest.h"
#include "master/stop.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { ROW_MAX = 64 * 1024 };

void
admin_row(struct child *control, uint32_t handle, struct buf *json)
{
	struct a_row m = { ADMIN_ROW_JSON, buf_slice(json) };
	uint8_t *space;
	struct wr w;

	space = malloc(a_row_size(&m));
	if (space == NULL)
		return;
	w = (struct wr){ space, 0, a_row_size(&m), false };
	if (a_row_put(&w, &m))
		(void)outbox_put(&control->outbox, A_ROW, handle, slice_of(space, w.n), -1);
	free(space);
	buf_clear(json);
}

static void
end_page(struct child *control, uint32_t handle, enum rc status, const char *text, uint64_t cursor)
{
	struct a_end m = { (uint8_t)status, slice_first(slice_str(text), 8192), cursor != 0, cursor };
	uint8_t space[8192 + 64];
	struct wr w = { space, 0, sizeof space, false };

	if (a_end_put(&w, &m))
		(void)outbox_put(&control->outbox, A_END, handle, slice_of(space, w.n), -1);
}

void
admin_end(struct child *control, uint32_t handle, enum rc status, const char *text)
{
	end_page(control, handle, status, text, 0);
}

/* --- status --- */

/* For who wants to read the same configuration as we: from another folder. */
static void
how_started(struct json *j, const struct options *o, const struct paths *paths)
{
	char *file = o->file == NULL ? NULL : realpath(o->file, NULL);

	json_key_text(j, "config", file != NULL ? file : o->file != NULL ? o->file : "");
	json_key_text(j, "base", o->base != NULL ? o->base : "");
	json_key_text(j, "run_dir", paths->run_dir);
	json_key_array(j, "overrides");
	for (size_t i = 0; i < o->n_overrides; i++)
		json_str(j, slice_str(o->overrides[i]));
	json_end(j);
	free(file);
}

static void
status_row(struct child *control, uint32_t handle, const struct child *c, const struct master *m)
{
	struct buf b = BUF_INIT(ROW_MAX);
	struct json j;

	json_init(&j, &b);
	json_object(&j);
	json_key_text(&j, "role", c == NULL ? "master" : role_name(c->role));
	json_key_u64(&j, "index", c == NULL ? 0 : c->index);
	json_key_u64(&j, "pid", c == NULL ? (uint64_t)getpid() : (uint64_t)c->pid);
	json_key_u64(&j, "uid", c == NULL ? 0 : m->accounts[c->role].uid);
	json_key_text(&j, "state", c == NULL ? "running" : child_state_name(c));
	json_key_u64(&j, "restarts", c == NULL ? 0 : c->restarts);
	json_key_u64(&j, "uptime", (loop_now(m->loop) - (c == NULL ? m->since : c->since)) / 1000);
	json_key_u64(&j, "generation", c == NULL ? m->generation : c->generation);
	if (c == NULL)
		how_started(&j, &m->options, &m->paths);
	json_end(&j);
	if (json_ok(&j))
		admin_row(control, handle, &b);
	buf_free(&b);
}

/* Who was added to such a file gets in no sooner than it is mended, and nothing else tells the operator. */
static void
users_trouble_row(struct child *control, uint32_t handle)
{
	const char *why = users_watch_trouble(&control->master->users);
	struct buf b = BUF_INIT(ROW_MAX), text = BUF_INIT(1024);
	struct json j;

	if (why == NULL)
		return;
	(void)buf_printf(&text, "NOT TAKEN: a file of auth { } %s; the last good one stays in use", why);
	json_init(&j, &b);
	json_object(&j);
	json_key_str(&j, "users", buf_slice(&text));
	json_end(&j);
	if (json_ok(&j))
		admin_row(control, handle, &b);
	buf_free(&b);
	buf_free(&text);
}

static void
status(struct child *control, uint32_t handle)
{
	struct master *m = control->master;

	status_row(control, handle, NULL, m);
	/* By the order of the schema, whatever the order of the list: people compare two runs. */
	for (unsigned role = ROLE_LOG; role < ROLE_COUNT; role++)
		for (unsigned index = 0, found = 1; found != 0; index++) {
			const struct child *c = child_find(m, (enum role)role, index);

			found = c != NULL;
			if (c != NULL)
				status_row(control, handle, c, m);
		}
	users_trouble_row(control, handle);
	admin_end(control, handle, RC_OK, "");
}

/* --- config show --- */

static void
config_row(struct child *control, uint32_t handle, const struct conf_section *s, size_t nth, const struct conf_option *o)
{
	const struct conf_source *source = &control->master->source;
	const struct conf_origin *origin = conf_origin_find(source, s, nth, o);
	const char *title = conf_section_title(source->conf, s, nth);
	struct buf b = BUF_INIT(ROW_MAX), value = BUF_INIT(ROW_MAX), from = BUF_INIT(4096);
	struct json j;

	(void)conf_get(conf_section_at(source->conf, s, nth), o, &value);
	if (origin == NULL)
		(void)buf_put_str(&from, "default");
	else if (origin->file == NULL)
		(void)buf_put_str(&from, "command line");
	else
		(void)buf_printf(&from, "%s:%u", origin->file, origin->line);
	json_init(&j, &b);
	json_object(&j);
	json_key_text(&j, "section", s->name);
	json_key_text(&j, "title", title == NULL ? "" : title);
	json_key_text(&j, "option", o->name);
	json_key_str(&j, "value", buf_slice(&value));
	json_key_str(&j, "source", buf_slice(&from));
	json_end(&j);
	if (json_ok(&j))
		admin_row(control, handle, &b);
	buf_free(&b);
	buf_free(&value);
	buf_free(&from);
}

/* A page of rows: the cursor counts options from the top. */
static void
config_show(struct child *control, uint32_t handle, const struct a_request *r)
{
	const struct conf *c = control->master->source.conf;
	uint64_t at = 0;
	uint32_t left = r->limit == 0 || r->limit > ADMIN_PAGE_MAX ? ADMIN_PAGE_MAX : r->limit;

	for (size_t i = 0; i < n_conf_sections; i++)
		for (size_t nth = 0; nth < conf_section_count(c, &conf_sections[i]); nth++)
			for (size_t k = 0; k < conf_sections[i].n_options; k++, at++) {
				if (at < r->cursor)
					continue;
				if (left-- == 0) {
					end_page(control, handle, RC_OK, "", at);
					return;
				}
				config_row(control, handle, &conf_sections[i], nth, &conf_sections[i].options[k]);
			}
	admin_end(control, handle, RC_OK, "");
}

const char *
admin_on_request(void *ctx, struct peer *p, uint32_t handle, struct rd *body, int fd)
{
	struct child *control = ctx;
	struct a_request r;

	(void)p, (void)fd;
	if (!a_request_get(body, &r))
		return "malformed A_REQUEST";
	switch (r.verb) {
	case ADMIN_STATUS:
		status(control, handle);
		break;
	case ADMIN_CONFIG_SHOW:
		config_show(control, handle, &r);
		break;
	case ADMIN_TLS_SHOW:
		certificates_show(control, handle);
		break;
	case ADMIN_RELOAD:
		reload_begin(control->master, control, handle);
		break;
	case ADMIN_STOP:
		admin_end(control, handle, RC_OK, "");
		stop_begin(control->master, "posternctl stop");
		break;
	case ADMIN_SELFTEST:
		selftest_begin(control, handle, r.arg);
		break;
	default:
		return "a verb that is not master's";
	}
	return NULL;
}

void
admin_house_ready(struct master *m)
{
	log_say(LOG_STARTED, NULL, F_TEXT("version", POSTERN_VERSION), F_U64("pid", (uint64_t)getpid()),
	    F_U64("generation", m->generation), F_TEXT("config", m->options.file == NULL ? "(embedded)" : m->options.file));
	notify_ready("running");
	notify_watchdog(&m->watchdog, m->loop);
	if (m->ready_fd != -1) {
		(void)!write(m->ready_fd, "", 1);
		(void)close(m->ready_fd);
		m->ready_fd = -1;
	}
}
