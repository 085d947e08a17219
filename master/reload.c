/* master/reload.c -- reading the configuration again, see reload.h. */
#include "master/reload.h"

#include "common/log.h"
#include "master/admin.h"
#include "master/conf_warn.h"
#include "master/generation.h"
#include "master/notify.h"

#include <stdlib.h>
#include <string.h>

enum { RELOAD_DEADLINE_MS = 60000 };	/* rooms that have not taken it by then are reported, not waited for */

struct reload {
	uint32_t number;
	unsigned asker_index;
	uint32_t handle;	/* 0: nobody waits */
	bool asked;
	bool rolling_back;
	struct buf why;		/* of the refusal that made us roll back */
	struct timer deadline;
};

static void
answer(struct master *m, const struct reload *r, enum rc status, const char *text)
{
	struct child *control = r->asked ? child_find(m, ROLE_CONTROL, r->asker_index) : NULL;

	if (control != NULL)
		admin_end(control, r->handle, status, text);
}

/* Complaints end with a line end each, which is none of the log's. */
static void
log_refused(const char *text)
{
	struct slice why = slice_str(text);

	while (why.n > 0 && why.p[why.n - 1] == '\n')
		why.n--;
	log_say(LOG_CONFIG_REFUSED, NULL, F_STR("why", why));
}

static void
finish(struct master *m, enum rc status, const char *text)
{
	struct reload *r = m->reload;

	m->reload = NULL;
	timer_cancel(&r->deadline);
	/* What the rooms have refused has no certificates of its own either. */
	if (r->rolling_back)
		certificates_drop_next(m);
	else if (r->number == m->generation)
		certificates_use_next(m);
	if (status == RC_OK) {
		log_say(LOG_CONFIG_ADOPTED, NULL, F_U64("generation", m->generation));
		conf_warn_log(m->source.conf);
	} else
		log_refused(text);
	answer(m, r, status, text);
	notify_ready(status == RC_OK ? "running" : "running with the old configuration: the new one is broken");
	buf_free(&r->why);
	free(r);
}

static void
send_all(struct master *m)
{
	for (struct child *c = m->children; c != NULL; c = c->next)
		if (c->kind == CHILD_ROOM && child_running(c) && c->state != CHILD_STOPPING)
			child_send_generation(c);
}

static void
on_deadline(struct timer *t, void *ctx)
{
	(void)t;
	finish(ctx, RC_TIMEOUT, "some rooms have not taken the new configuration yet; posternctl status shows which");
}

void
reload_progress(struct master *m)
{
	struct reload *r = m->reload;

	if (m->phase == PHASE_STARTING) {
		for (const struct child *c = m->children; c != NULL; c = c->next)
			if (c->kind == CHILD_ROOM && c->state != CHILD_READY)
				return;
		m->phase = PHASE_RUNNING;
		admin_house_ready(m);
		return;
	}
	if (r == NULL)
		return;
	for (const struct child *c = m->children; c != NULL; c = c->next)
		if (c->kind == CHILD_ROOM && !c->surplus && c->state != CHILD_DOWN && c->state != CHILD_STOPPING &&
		    c->generation != r->number)
			return;
	if (r->rolling_back)
		finish(m, RC_SYNTAX, buf_words(&r->why, "out of memory"));
	else
		finish(m, RC_OK, buf_words(&m->tls.notes, ""));
}

static void
switch_to(struct master *m, struct generation *g)
{
	generation_adopt(m, g);
	m->reload->number = m->generation;
	send_all(m);
	generation_processes(m);
}

/* Back to the configuration that worked: it is still in memory as the rooms know it. */
static void
roll_back(struct master *m, struct reload *r)
{
	struct generation old = { .encoded = BUF_INIT(16 * 1024 * 1024) };
	struct buf errors = BUF_INIT(64 * 1024);

	r->rolling_back = true;
	certificates_drop_next(m);
	/* The file is what was refused: the old options live in m->previous. */
	old.source = m->previous;
	m->previous = (struct conf_source){ NULL, NULL, 0 };
	old.source.conf->generation = m->generation + 1;
	if (wares_open(old.source.conf, &m->paths, m->accounts, &m->wares, &old.wares, &errors) == RC_OK &&
	    conf_encode(old.source.conf, &old.encoded))
		switch_to(m, &old);
	else {
		(void)buf_printf(&r->why, "; and the old configuration cannot be opened again: %s",
		    buf_words(&errors, "out of memory"));
		generation_free(&old);
		finish(m, RC_SYNTAX, buf_words(&r->why, "out of memory"));
	}
	buf_free(&errors);
}

void
reload_refused(struct master *m, const struct child *c)
{
	struct reload *r = m->reload;

	/* A room that refuses while it starts ends by itself and is dealt with then. */
	if (r == NULL || r->rolling_back || c->state == CHILD_STARTING || m->previous.conf == NULL)
		return;
	(void)buf_printf(&r->why, "%s refused the new configuration: %s", role_name(c->role), c->why == NULL ? "?" : c->why);
	roll_back(m, r);
}

void
reload_begin(struct master *m, struct child *asker, uint32_t handle)
{
	struct buf errors = BUF_INIT(64 * 1024);
	struct generation g;
	struct reload *r;
	enum rc rc;

	if (m->phase != PHASE_RUNNING || m->reload != NULL) {
		if (asker != NULL)
			admin_end(asker, handle, RC_AGAIN, m->reload != NULL ? "another reload is under way" :
			    "Postern is starting or stopping");
		return;
	}
	r = calloc(1, sizeof *r);
	if (r == NULL) {
		if (asker != NULL)
			admin_end(asker, handle, RC_NOMEM, "out of memory");
		return;
	}
	m->reload = r;
	r->asked = asker != NULL;
	r->asker_index = asker == NULL ? 0 : asker->index;
	r->handle = handle;
	buf_init(&r->why, 64 * 1024);
	timer_setup(&r->deadline, m->loop, on_deadline, m);
	notify_reloading();
	rc = generation_prepare(m, m->generation + 1, &m->wares, &g, &errors);
	if (rc != RC_OK) {
		/* One status for all that can be wrong with it; the words say what. */
		finish(m, RC_SYNTAX, buf_words(&errors, rc_name(rc)));
	} else {
		timer_start(&r->deadline, RELOAD_DEADLINE_MS);
		switch_to(m, &g);
	}
	buf_free(&errors);
}
