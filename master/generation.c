/* master/generation.c -- a configuration from the file to something that rooms can be given, see generation.h. */
#include "master/generation.h"

#include "common/processors.h"
#include "master/child.h"
#include "master/conf_check.h"
#include "master/conf_complete.h"
#include "master/conf_networks.h"
#include "master/conf_tables.h"
#include "master/conf_users.h"
#include "master/conf_warn.h"
#include "master/fixed.h"

#include <string.h>

enum {
	ENCODED_MAX = 16 * 1024 * 1024,
	NOTES_MAX = 256 * 1024,
};

/* The mistakes of rules and tables, and of the users file, are told together. */
static enum rc
check_files(const struct conf_source *source, struct buf *notes, struct buf *errors)
{
	enum rc rc = conf_tables_check(source, notes, errors), users = conf_users_check(source->conf, errors);

	return rc != RC_OK ? rc : users;
}

enum rc
generation_read(const struct options *o, struct conf_source *ret_source, struct buf *notes, struct buf *errors)
{
	struct conf_source source;
	enum rc rc = conf_file_read(o->file, o->overrides, o->n_overrides, &source, errors);

	if (rc != RC_OK)
		return rc;
	rc = conf_complete(source.conf, o->file == NULL, errors);
	if (rc == RC_OK)
		rc = conf_networks_read(source.conf, errors);
	if (rc == RC_OK)
		rc = conf_check(&source, errors);
	if (rc == RC_OK)
		rc = check_files(&source, notes, errors);
	if (rc != RC_OK) {
		conf_source_free(&source);
		return rc;
	}
	conf_warn_text(&source, notes);
	conf_warn(source.conf, notes);
	*ret_source = source;
	return RC_OK;
}

static enum rc
check_fixed(const struct master *m, const struct conf *new, struct buf *errors)
{
	struct buf running = BUF_INIT(64 * 1024);
	struct paths paths;
	enum rc rc = paths_choose(&new->global, m->options.base, &paths);

	if (rc != RC_OK)
		return rc;
	rc = fixed_put(&running, &m->source.conf->global, &m->paths) ?
	    fixed_check(buf_slice(&running), &new->global, &paths, errors) : RC_NOMEM;
	buf_free(&running);
	paths_free(&paths);
	return rc;
}

enum rc
generation_prepare(struct master *m, uint32_t number, const struct wares *old, struct generation *ret_g,
    struct buf *errors)
{
	struct generation g = { .encoded = BUF_INIT(ENCODED_MAX), .notes = BUF_INIT(NOTES_MAX) };
	enum rc rc = generation_read(&m->options, &g.source, &g.notes, errors);

	if (rc != RC_OK) {
		buf_free(&g.notes);
		return rc;
	}
	g.source.conf->generation = number;
	if (old != NULL)
		rc = check_fixed(m, g.source.conf, errors);
	if (rc == RC_OK)
		rc = wares_open(g.source.conf, &m->paths, m->accounts, old, &g.wares, errors);
	if (rc == RC_OK)
		rc = certificates_open(g.source.conf, old == NULL ? NULL : &m->tls.now, &g.certificates, &g.notes, errors);
	if (rc == RC_OK && !conf_encode(g.source.conf, &g.encoded)) {
		(void)buf_printf(errors,
		    "the configuration, with the networks of its table files, is larger than %d MiB (or out of memory);"
		    " make lists and tables smaller\n", ENCODED_MAX >> 20);
		rc = RC_RANGE;
	}
	if (rc != RC_OK)
		generation_free(&g);
	else
		*ret_g = g;
	return rc;
}

void
generation_free(struct generation *g)
{
	wares_close(&g->wares);
	certificates_free(&g->certificates);
	buf_free(&g->notes);
	buf_free(&g->encoded);
	conf_source_free(&g->source);
}

void
generation_adopt(struct master *m, struct generation *g)
{
	wares_close(&m->wares);
	buf_free(&m->encoded);
	conf_source_free(&m->previous);
	m->previous = m->source;
	m->source = g->source;
	m->wares = g->wares;
	m->encoded = g->encoded;
	m->generation = g->source.conf->generation;
	certificates_drop_next(m);
	m->tls.next = g->certificates;
	m->tls.has_next = true;
	buf_free(&m->tls.notes);
	m->tls.notes = g->notes;
}

/* --- how many of each --- */

static unsigned
wanted(const struct conf *c, enum role role)
{
	if (role == ROLE_SMTPD)
		return c->smtpd.processes == 0 ? processors_online() : c->smtpd.processes;
	if (role == ROLE_DELIVER)
		return c->deliver.processes == 0 ? processors_online() : c->deliver.processes;
	if (role == ROLE_AUTH)
		return conf_uses_auth(c) ? 1 : 0;
	return 1;
}

static void
stop_surplus(struct master *m, enum role role, unsigned n)
{
	struct child *next;

	for (struct child *c = m->children; c != NULL; c = next) {
		next = c->next;
		if (c->kind == CHILD_ROOM && c->role == role && c->index >= n && !c->surplus)
			child_retire(c, (uint32_t)m->source.conf->global.stop_grace);
	}
}

void
generation_processes(struct master *m)
{
	/* The log first, so that the others have somebody to talk to; the front door last. */
	static const enum role order[] = {
		ROLE_LOG, ROLE_QUEUE, ROLE_ROUTER, ROLE_RESOLVER, ROLE_DELIVER, ROLE_LOCAL, ROLE_CONTROL, ROLE_VAULT, ROLE_AUTH,
		ROLE_SMTPD,
	};

	for (size_t i = 0; i < sizeof order / sizeof order[0]; i++) {
		unsigned n = wanted(m->source.conf, order[i]);

		for (unsigned k = 0; k < n; k++)
			if (child_find(m, order[i], k) == NULL && child_add(m, order[i], k) == NULL)
				BUG("no memory for a process");
		stop_surplus(m, order[i], n);
	}
}
